use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::StreamExt as _;
use url::Url;

use super::error::Error;
use super::transport::{Connection, innermost};
use crate::model::json;

/// How long a download may stand still.
const STALL: Duration = Duration::from_mins(1);
/// An error page is never longer than this (protocol notes 1.1).
const ERROR_PAGE_BYTES: u64 = 64 * 1024;

/// Where downloaded bytes go.
pub trait Sink {
    /// What can fail there.
    type Error: std::fmt::Display;

    /// Takes the next bytes.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Self::Error>;
}

/// What came of a download.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Download {
    /// Bytes that were written to the sink.
    pub size: u64,
}

/// Why a file was not fetched.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError<E: std::fmt::Display> {
    /// The URL points to another host: the token and the ticket stay at home.
    #[error("its address is on another host ({0})")]
    Elsewhere(String),
    /// The server answered with an error, perhaps dressed as a page (protocol notes 1.1).
    #[error("the server refused it: {0}")]
    Refused(String),
    /// The ticket no longer opens it.
    #[error("its ticket is no longer good: {0}")]
    Expired(String),
    /// The bytes stopped, or are not as many as were announced.
    #[error("the transfer broke: {0}")]
    Broken(String),
    /// It is larger than allowed.
    #[error("it is larger than {0} bytes")]
    TooLarge(u64),
    /// The bytes could not be stored.
    #[error("{0}")]
    Sink(E),
}

impl Connection {
    /// The download address of a file on this server: same host and port, or, where the server
    /// wrote its own name short (protocol notes, row 37), the same path on the configured host.
    pub fn download_url(&self, given: &str) -> Result<Url, Error> {
        let absolute = self.base().join(given).map_err(|_| Error::Settings("its address is no URL".to_owned()))?;
        let base = self.base();
        let same =
            absolute.host_str() == base.host_str() && absolute.port_or_known_default() == base.port_or_known_default();
        if same && absolute.scheme() == base.scheme() {
            return Ok(absolute);
        }
        if absolute.path().starts_with(base.path()) && (self.is_short_name(&absolute) || same) {
            let mut own = base.clone();
            own.set_path(absolute.path());
            own.set_query(absolute.query());
            return Ok(own);
        }
        Err(Error::Settings(format!("its address is on another host ({})", absolute.host_str().unwrap_or("?"))))
    }

    /// Whether a URL names this server by a part of its name.
    pub(super) fn is_short_name(&self, url: &Url) -> bool {
        self.base().host_str().is_some_and(|host| {
            url.host_str().is_some_and(|given| !given.contains('.') && host.split('.').any(|part| part == given))
        })
    }

    /// Streams a file into `sink`, `limit` bytes at most. One try: its caller knows how to get a
    /// fresh ticket. The beginning is held back until it is known not to be an error page, so an
    /// error never reaches the sink.
    pub async fn download<S: Sink>(
        &self,
        url: &Url,
        limit: u64,
        sink: &mut S,
    ) -> Result<Download, DownloadError<S::Error>> {
        let _permit = self.limiter().enter().await;
        self.meter().requests.fetch_add(1, Ordering::Relaxed);
        let send = tokio::time::timeout(self.patience().request, self.http().get(url.clone()).send()).await;
        let response = match send {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(DownloadError::Broken(innermost(&error.without_url()))),
            Err(_) => return Err(DownloadError::Broken("no answer".to_owned())),
        };
        let status = response.status();
        match status.as_u16() {
            200 => {}
            401 | 403 | 410 => return Err(DownloadError::Expired(status.to_string())),
            429 => {
                let header = response.headers().get(reqwest::header::RETRY_AFTER).and_then(|value| value.to_str().ok());
                self.limiter().pause(self.patience().pause(header));
                return Err(DownloadError::Broken("the server asks for a pause".to_owned()));
            }
            300..=399 => return Err(DownloadError::Elsewhere(format!("a redirect, {status}"))),
            500..=599 => return Err(DownloadError::Broken(status.to_string())),
            _ => return Err(DownloadError::Refused(status.to_string())),
        }
        let header = |name| {
            response
                .headers()
                .get(name)
                .and_then(|value: &reqwest::header::HeaderValue| value.to_str().ok())
                .unwrap_or_default()
                .to_owned()
        };
        let is_named = response.headers().contains_key(reqwest::header::CONTENT_DISPOSITION);
        let kind = header(reqwest::header::CONTENT_TYPE).to_ascii_lowercase();
        let announced = response.content_length();
        if announced.is_some_and(|length| length > limit) {
            return Err(DownloadError::TooLarge(limit));
        }
        let may_be_error = !is_named && (kind.starts_with("text/html") || kind.starts_with("application/json"));
        let mut held: Vec<u8> = Vec::new();
        let mut is_holding = may_be_error;
        let mut size = 0_u64;
        let mut stream = response.bytes_stream();
        loop {
            let chunk = match tokio::time::timeout(STALL, stream.next()).await {
                Ok(Some(Ok(chunk))) => chunk,
                Ok(None) => break,
                Ok(Some(Err(error))) => return Err(DownloadError::Broken(innermost(&error.without_url()))),
                Err(_) => return Err(DownloadError::Broken("it stood still".to_owned())),
            };
            self.meter().bytes.fetch_add(chunk.len() as u64, Ordering::Relaxed);
            size += chunk.len() as u64;
            if size > limit {
                return Err(DownloadError::TooLarge(limit));
            }
            if is_holding {
                held.extend_from_slice(&chunk);
                if size > ERROR_PAGE_BYTES {
                    is_holding = false;
                    sink.write(&held).map_err(DownloadError::Sink)?;
                    held = Vec::new();
                }
            } else {
                sink.write(&chunk).map_err(DownloadError::Sink)?;
            }
        }
        if announced.is_some_and(|length| length != size) {
            return Err(DownloadError::Broken(format!("{size} of {} bytes came", announced.unwrap_or(0))));
        }
        if is_holding {
            if let Some(code) = error_page(&held) {
                let is_ticket = code.contains("ticket") || code.contains("expired");
                return Err(if is_ticket { DownloadError::Expired(code) } else { DownloadError::Refused(code) });
            }
            sink.write(&held).map_err(DownloadError::Sink)?;
        }
        Ok(Download { size })
    }
}

/// The code of an error that is dressed as a page: an object with `ok:false` or an `error`.
fn error_page(bytes: &[u8]) -> Option<String> {
    let value = json::parse(bytes)?;
    let object = value.as_object()?;
    let refused = object.get("ok").and_then(super::tolerant::as_bool) == Some(false);
    let code = object.get("error").and_then(super::tolerant::as_text);
    (refused || code.is_some()).then(|| code.unwrap_or_else(|| "no reason given".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::super::transport::ServerOptions;
    use super::*;

    #[test]
    fn an_error_page_is_recognised_and_a_file_like_one_is_not() {
        assert_eq!(error_page(br#"{"ok":false,"error":"ticket_expired"}"#).unwrap(), "ticket_expired");
        assert_eq!(error_page(br#"{"ok":"false"}"#).unwrap(), "no reason given");
        assert_eq!(error_page(br#"{"ok":true}"#), None);
        assert_eq!(error_page(b"<html>error</html>"), None);
        assert_eq!(error_page(br#"["error"]"#), None);
    }

    #[test]
    fn files_come_from_the_configured_host_only() {
        let connection =
            Connection::new("https://chat.icewarp.example/teamchatapi/", &ServerOptions::default()).unwrap();
        let own = connection.download_url("https://chat.icewarp.example/teamchatapi/a.txt?ticket=x").unwrap();
        assert_eq!(own.host_str(), Some("chat.icewarp.example"));
        let short = connection.download_url("https://icewarp/teamchatapi/a.txt?ticket=x").unwrap();
        assert_eq!(short.as_str(), "https://chat.icewarp.example/teamchatapi/a.txt?ticket=x");
        for foreign in
            ["https://evil.example/teamchatapi/a?ticket=x", "http://evil.example/", "https://evil/teamchatapi/a"]
        {
            let error = connection.download_url(foreign).unwrap_err().to_string();
            assert!(error.contains("another host"), "{error}");
        }
    }
}
