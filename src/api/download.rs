use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::StreamExt as _;
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use url::Url;

use super::error::Error;
use super::transport::{Connection, innermost};
use crate::model::json;

/// How long a download may stand still.
const STALL: Duration = Duration::from_mins(1);
/// An error page is never longer than this (protocol notes 1.1).
const ERROR_PAGE_BYTES: usize = 64 * 1024;
/// A date of change names one content only when the reply is younger than it by this much: before,
/// the content may have changed again within the same second (RFC 9110 section 8.8.2.2).
const SETTLED: chrono::TimeDelta = chrono::TimeDelta::minutes(1);

/// Where downloaded bytes go.
pub trait Sink {
    /// What can fail there.
    type Error: std::fmt::Display;

    /// Takes the next bytes.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Self::Error>;

    /// Forgets what it took: the bytes come again from the first.
    fn restart(&mut self) -> Result<(), Self::Error>;
}

/// How far the download of one content into one sink has come, from one try to the next.
#[derive(Debug, Default)]
pub struct Transfer {
    /// Bytes that the sink holds.
    received: u64,
    /// How many there are in all, if the server said so.
    total: Option<u64>,
    /// The header that names exactly this content (RFC 9110 section 13.1.5). Without it the next try
    /// begins at the first byte.
    validator: Option<(HeaderName, HeaderValue)>,
}

impl Transfer {
    /// Bytes that the sink holds.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Nothing is built upon what came: the next try begins at the first byte.
    pub fn start_over(&mut self) {
        self.validator = None;
    }

    /// A content that begins with the reply that has these headers.
    fn begun(headers: &HeaderMap, total: Option<u64>) -> Self {
        Self { received: 0, total, validator: validator(headers) }
    }

    /// The length of the whole, if a reply of status 206 is the rest of what the sink holds.
    fn continued_by(&self, headers: &HeaderMap) -> Option<u64> {
        let (first, total) = content_range(text(headers, &header::CONTENT_RANGE)?)?;
        let is_same_length = self.total.is_none_or(|known| known == total);
        // A server that passes over `If-Range` still says what the rest belongs to.
        let is_same_content =
            self.validator.as_ref().is_some_and(|(name, known)| headers.get(name).is_none_or(|given| given == known));
        (first == Some(self.received) && is_same_length && is_same_content).then_some(total)
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// What a later request can name exactly these bytes with: a strong entity tag, or, where there is
/// no tag at all, a date of change that can no longer be that of two contents.
fn validator(headers: &HeaderMap) -> Option<(HeaderName, HeaderValue)> {
    if let Some(tag) = headers.get(header::ETAG) {
        return tag.as_bytes().starts_with(b"\"").then(|| (header::ETAG, tag.clone()));
    }
    let date = |name| chrono::DateTime::parse_from_rfc2822(text(headers, name)?).ok();
    let (changed, now) = (date(&header::LAST_MODIFIED)?, date(&header::DATE)?);
    let value = headers.get(header::LAST_MODIFIED)?;
    (now - changed >= SETTLED).then(|| (header::LAST_MODIFIED, value.clone()))
}

/// The first byte (none: none was satisfiable) and the length of the whole that a `Content-Range`
/// tells; one that keeps the length to itself tells nothing.
fn content_range(value: &str) -> Option<(Option<u64>, u64)> {
    let (range, total) = value.trim().strip_prefix("bytes ")?.split_once('/')?;
    let total = total.parse().ok()?;
    if range == "*" {
        return Some((None, total));
    }
    let (first, last) = range.split_once('-')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last && last < total).then_some((Some(first), total))
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
    /// The server asks for this pause; it holds for every request of the connection, and is no
    /// failure of the file (protocol notes (b) 15).
    #[error("the server asks for a pause of {} s", .0.as_secs())]
    Pause(Duration),
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
    /// fresh ticket, and gives the same `transfer` to the next try, which goes on where this one
    /// broke off if the server can prove that the rest belongs to what came (protocol notes 6.12).
    ///
    /// The beginning of every reply is held back until it is known not to be an error page, so an
    /// error never reaches the sink; until then what the sink holds stays good.
    pub async fn download<S: Sink>(
        &self,
        url: &Url,
        limit: u64,
        transfer: &mut Transfer,
        sink: &mut S,
    ) -> Result<Download, DownloadError<S::Error>> {
        let _permit = self.limiter().enter().await;
        self.meter().requests.fetch_add(1, Ordering::Relaxed);
        // Offsets count the file's own bytes, so they must not be packed on the way.
        let mut request = self.http().get(url.clone()).header(header::ACCEPT_ENCODING, "identity");
        let resumed = transfer.validator.clone().filter(|_| transfer.received > 0);
        let is_resumed = resumed.is_some();
        if let Some((_, validator)) = resumed {
            request = request
                .header(header::RANGE, format!("bytes={}-", transfer.received))
                .header(header::IF_RANGE, validator);
        }
        let send = tokio::time::timeout(self.patience().request, request.send()).await;
        let response = match send {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(DownloadError::Broken(innermost(&error.without_url()))),
            Err(_) => return Err(DownloadError::Broken("no answer".to_owned())),
        };
        let status = response.status();
        let headers = response.headers();
        // What the sink holds is forgotten only when other bytes take its place.
        let mut fresh = None;
        match status.as_u16() {
            200 => fresh = Some(Transfer::begun(headers, response.content_length())),
            206 if is_resumed => {
                let Some(total) = transfer.continued_by(headers) else {
                    transfer.start_over();
                    return Err(DownloadError::Broken("the server went on with another part or content".to_owned()));
                };
                transfer.total = Some(total);
            }
            416 if is_resumed => {
                let range = text(headers, &header::CONTENT_RANGE).and_then(content_range);
                if range == Some((None, transfer.received))
                    && transfer.total.is_none_or(|total| total == transfer.received)
                {
                    return Ok(Download { size: transfer.received });
                }
                transfer.start_over();
                return Err(DownloadError::Broken("the server has no bytes where it broke off".to_owned()));
            }
            401 | 403 | 410 => return Err(DownloadError::Expired(status.to_string())),
            429 => {
                let pause = self.patience().pause(text(headers, &header::RETRY_AFTER));
                self.limiter().pause(pause);
                self.meter().retries.fetch_add(1, Ordering::Relaxed);
                return Err(DownloadError::Pause(pause));
            }
            300..=399 => return Err(DownloadError::Elsewhere(format!("a redirect, {status}"))),
            500..=599 => return Err(DownloadError::Broken(status.to_string())),
            _ => return Err(DownloadError::Refused(status.to_string())),
        }
        let is_named = headers.contains_key(header::CONTENT_DISPOSITION);
        let kind = text(headers, &header::CONTENT_TYPE).unwrap_or_default().to_ascii_lowercase();
        let mut is_holding = !is_named && (kind.starts_with("text/html") || kind.starts_with("application/json"));
        let (before, announced) = match &fresh {
            Some(fresh) => (0, fresh.total),
            None => (transfer.received, transfer.total),
        };
        if announced.is_some_and(|length| length > limit) {
            return Err(DownloadError::TooLarge(limit));
        }
        let mut held: Vec<u8> = Vec::new();
        let mut size = before;
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
            if !is_holding {
                take(transfer, &mut fresh, sink, &chunk)?;
                continue;
            }
            held.extend_from_slice(&chunk);
            if held.len() > ERROR_PAGE_BYTES {
                is_holding = false;
                take(transfer, &mut fresh, sink, &std::mem::take(&mut held))?;
            }
        }
        if let Some(announced) = announced.filter(|length| *length != size) {
            if size > announced {
                transfer.start_over();
            }
            return Err(DownloadError::Broken(format!("{size} of {announced} bytes came")));
        }
        if let Some(code) = is_holding.then(|| error_page(&held)).flatten() {
            let is_ticket = code.contains("ticket") || code.contains("expired");
            return Err(if is_ticket { DownloadError::Expired(code) } else { DownloadError::Refused(code) });
        }
        // An empty file takes the place of what the sink holds, too.
        take(transfer, &mut fresh, sink, &held)?;
        Ok(Download { size })
    }
}

/// Gives bytes that are surely the file's to the sink, which forgets what it holds when they are the
/// first of a `fresh` content.
fn take<S: Sink>(
    transfer: &mut Transfer,
    fresh: &mut Option<Transfer>,
    sink: &mut S,
    bytes: &[u8],
) -> Result<(), DownloadError<S::Error>> {
    if let Some(fresh) = fresh.take() {
        if transfer.received > 0 {
            sink.restart().map_err(DownloadError::Sink)?;
        }
        *transfer = fresh;
    }
    sink.write(bytes).map_err(DownloadError::Sink)?;
    transfer.received += bytes.len() as u64;
    Ok(())
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
    fn a_range_is_told_with_its_first_byte_and_the_whole_length() {
        for (value, expected) in [
            ("bytes 5-9/10", Some((Some(5), 10))),
            ("bytes */10", Some((None, 10))),
            ("bytes 5-9/*", None),
            ("bytes 5-10/10", None),
            ("bytes 9-5/10", None),
            ("bytes 5-/10", None),
            ("lines 5-9/10", None),
        ] {
            assert_eq!(content_range(value), expected, "{value}");
        }
    }

    #[test]
    fn a_validator_names_exactly_one_content() {
        let changed = ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT");
        let (later, at_once) = (("date", "Sun, 06 Nov 1994 08:50:37 GMT"), ("date", "Sun, 06 Nov 1994 08:49:38 GMT"));
        for (headers, expected) in [
            (&[("etag", "\"a\""), changed][..], Some("\"a\"")),
            // Where there is a tag a date may not stand in for it (RFC 9110 section 13.1.5).
            (&[("etag", "W/\"a\""), changed, later], None),
            (&[changed, later], Some(changed.1)),
            (&[changed, at_once], None),
            (&[changed], None),
            (&[("last-modified", "yesterday"), later], None),
            (&[], None),
        ] {
            let map =
                headers.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
            let found = validator(&map.collect());
            assert_eq!(found.as_ref().and_then(|(_, value)| value.to_str().ok()), expected, "{headers:?}");
        }
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
