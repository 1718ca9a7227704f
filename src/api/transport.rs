use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::Instant;
use url::Url;

use super::error::{Error, is_auth_code, is_passing_code};
use super::limit::{Limiter, Politeness};
use super::page::Reply;
use super::retry::Patience;
use super::tls::{PinVerifier, Trust, pinned_config, presented_fingerprint};
use crate::model::{Clock, Digest, json};

/// A JSON reply longer than this is refused: 1,000 messages of 64 KiB fit.
const MAX_REPLY_BYTES: usize = 256 << 20;

/// A server that answers nothing but "later" is given up when the pauses that it asked for come to
/// more than this.
pub const MAX_PAUSED: Duration = Duration::from_hours(1);

/// How to reach a server.
#[derive(Debug, Clone, Default)]
pub struct ServerOptions {
    /// Which certificates are good.
    pub trust: Trust,
    /// `http://host:port` of a proxy; none is used unless it is named.
    pub proxy: Option<String>,
    /// How hard the server may be asked.
    pub politeness: Politeness,
    /// How long a call is tried again.
    pub patience: Patience,
    /// Our clock.
    pub clock: Clock,
}

/// What was asked of a server so far.
#[derive(Debug, Default)]
pub struct Meter {
    /// Requests sent.
    pub requests: AtomicU64,
    /// Those of them that were second and later tries.
    pub retries: AtomicU64,
    /// Bytes of bodies received.
    pub bytes: AtomicU64,
}

/// A connection to one server, without an account. Everything that is asked of that server goes
/// through one pace and one number of connections.
#[derive(Debug)]
pub struct Connection {
    http: reqwest::Client,
    base: Url,
    limiter: Limiter,
    patience: Patience,
    clock: Clock,
    meter: Meter,
}

/// A failure that may pass, or one that will not.
enum Failure {
    Passing(String),
    Pause(Duration),
    Final(Error),
}

impl Connection {
    /// Prepares a connection to `server`, the base URL of the API. A bare host means the path that
    /// every known installation has, `/teamchatapi/`. Nothing is sent yet.
    pub fn new(server: &str, options: &ServerOptions) -> Result<Self, Error> {
        let base = base_url(server)?;
        // The first connection installs the provider; later calls find it there.
        let _installed_before = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("teamchat-archive/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(15))
            .pool_max_idle_per_host(options.politeness.connections.max(1))
            .no_proxy();
        if let Some(proxy) = &options.proxy {
            let proxy = reqwest::Proxy::all(proxy)
                .map_err(|_| Error::Settings("the proxy is not a URL such as http://proxy:3128".to_owned()))?;
            builder = builder.proxy(proxy);
        }
        builder = match &options.trust {
            Trust::System => builder,
            Trust::Authority(path) => {
                let pem = fs_err::read(path)
                    .map_err(|error| Error::Settings(format!("the certificate authority can't be read: {error}")))?;
                let certificates = reqwest::Certificate::from_pem_bundle(&pem).ok().filter(|found| !found.is_empty());
                let certificates = certificates
                    .ok_or_else(|| Error::Settings(format!("{} holds no certificate in PEM form", path.display())))?;
                builder.tls_certs_merge(certificates)
            }
            Trust::Pin(pin) => builder.tls_backend_preconfigured(pinned_config(PinVerifier::new(Some(*pin)))?),
        };
        let http =
            builder.build().map_err(|error| Error::Settings(format!("the HTTP client can't be set up: {error}")))?;
        Ok(Self {
            http,
            base,
            limiter: Limiter::new(options.politeness),
            patience: options.patience,
            clock: options.clock.clone(),
            meter: Meter::default(),
        })
    }

    /// The base URL, ending in a slash.
    pub fn base(&self) -> &Url {
        &self.base
    }

    /// Encrypted, or on this machine.
    pub(super) fn is_private(&self) -> bool {
        let is_local =
            self.base.host_str().is_some_and(|host| matches!(host, "localhost" | "[::1]") || host.starts_with("127."));
        self.base.scheme() == "https" || is_local
    }

    /// Host and port, for messages.
    pub fn host(&self) -> String {
        let host = self.base.host_str().unwrap_or_default();
        self.base.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// What was asked so far.
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// By how much the pace is stretched because the server answers slowly; 1 is not at all.
    pub fn slowed_by(&self) -> u32 {
        self.limiter.slowed_by()
    }

    pub(super) fn patience(&self) -> &Patience {
        &self.patience
    }

    pub(super) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    pub(super) fn limiter(&self) -> &Limiter {
        &self.limiter
    }

    /// Our clock.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Calls a method until it answers or patience runs out. Parameters travel in the body, so
    /// that no log of URLs between here and there ever holds the token.
    pub(super) async fn call(
        &self,
        method: &str,
        parameters: &[(&str, String)],
        token: Option<&SecretString>,
    ) -> Result<Reply, Error> {
        self.patiently(method, || self.once(method, parameters, token)).await
    }

    async fn patiently<T, F: Future<Output = Result<T, Failure>>>(
        &self,
        method: &str,
        attempt: impl Fn() -> F,
    ) -> Result<T, Error> {
        let start = Instant::now();
        let mut tries = 0;
        let mut paused = Duration::ZERO;
        loop {
            let failure = match attempt().await {
                Ok(done) => return Ok(done),
                Err(failure) => failure,
            };
            let detail = match failure {
                Failure::Final(error) => return Err(error),
                Failure::Pause(pause) => {
                    tracing::info!(method, pause_seconds = pause.as_secs(), "the server asks for a pause");
                    self.limiter.pause(pause);
                    paused += pause;
                    self.meter.retries.fetch_add(1, Ordering::Relaxed);
                    if paused > MAX_PAUSED {
                        return Err(self.unreachable("it asks for a pause again and again", tries, start.elapsed()));
                    }
                    continue;
                }
                Failure::Passing(detail) => detail,
            };
            tries += 1;
            if tries >= self.patience.tries || start.elapsed().saturating_sub(paused) > self.patience.deadline {
                return Err(self.unreachable(&format!("{method}: {detail}"), tries, start.elapsed()));
            }
            self.meter.retries.fetch_add(1, Ordering::Relaxed);
            tracing::debug!(method, tries, detail, "trying again");
            tokio::time::sleep(self.patience.wait(tries)).await;
        }
    }

    pub(super) fn unreachable(&self, detail: &str, tries: u32, elapsed: Duration) -> Error {
        Error::Unreachable { host: self.host(), detail: detail.to_owned(), tries, elapsed }
    }

    async fn once(
        &self,
        method: &str,
        parameters: &[(&str, String)],
        token: Option<&SecretString>,
    ) -> Result<Reply, Failure> {
        let bytes = self.fetch(method, parameters, token).await?;
        let received_at = self.clock.now();
        judge(method, &bytes)?;
        Ok(Reply { bytes, received_at })
    }

    /// One request and its body, whatever that holds.
    async fn fetch(
        &self,
        method: &str,
        parameters: &[(&str, String)],
        token: Option<&SecretString>,
    ) -> Result<Bytes, Failure> {
        let url =
            self.base.join(method).map_err(|_| Failure::Final(Error::Settings(format!("{method} is no method"))))?;
        let mut form: Vec<(&str, &str)> = parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
        if let Some(token) = token {
            form.push(("token", token.expose_secret()));
        }
        let request = self.http.post(url).form(&form);
        self.exchange(request).await
    }

    /// Uploads are the one kind of call whose body is not a form (the Operator's).
    pub(super) async fn call_multipart(
        &self,
        method: &str,
        make: impl Fn() -> reqwest::multipart::Form,
    ) -> Result<Reply, Error> {
        self.patiently(method, || async {
            let url = self
                .base
                .join(method)
                .map_err(|_| Failure::Final(Error::Settings(format!("{method} is no method"))))?;
            let bytes = self.exchange(self.http.post(url).multipart(make())).await?;
            judge(method, &bytes)?;
            Ok(Reply { bytes, received_at: self.clock.now() })
        })
        .await
    }

    /// Calls a method whose reply is a document (Atom, an image) and whose errors are JSON.
    pub(super) async fn call_for_document(
        &self,
        method: &str,
        parameters: &[(&str, String)],
        token: &SecretString,
    ) -> Result<Bytes, Error> {
        self.patiently(method, || async {
            let bytes = self.fetch(method, parameters, Some(token)).await?;
            if bytes.trim_ascii_start().first() == Some(&b'{') && json::member(&bytes, "ok").is_some() {
                judge(method, &bytes)?;
            }
            Ok(bytes)
        })
        .await
    }

    async fn exchange(&self, request: reqwest::RequestBuilder) -> Result<Bytes, Failure> {
        let permit = self.limiter.enter().await;
        self.meter.requests.fetch_add(1, Ordering::Relaxed);
        let start = Instant::now();
        let work = async {
            let response = match request.send().await {
                Ok(response) => response,
                Err(error) => return Err(self.connect_failure(error).await),
            };
            self.body(response).await
        };
        let out = tokio::time::timeout(self.patience.request, work).await;
        drop(permit);
        self.limiter.answered(start.elapsed());
        out.unwrap_or_else(|_| Err(Failure::Passing(format!("no answer within {} s", self.patience.request.as_secs()))))
    }

    async fn body(&self, response: reqwest::Response) -> Result<Bytes, Failure> {
        let status = response.status();
        if status.as_u16() == 429 {
            let header = response.headers().get(reqwest::header::RETRY_AFTER).and_then(|value| value.to_str().ok());
            return Err(Failure::Pause(self.patience.pause(header)));
        }
        if status.is_redirection() {
            return Err(Failure::Final(Error::NotTeamChat {
                url: self.base.to_string(),
                detail: format!("it redirects elsewhere ({status})"),
            }));
        }
        if status.is_server_error() {
            return Err(Failure::Passing(format!("status {status}")));
        }
        let mut body = BytesMut::new();
        let mut stream = response.bytes_stream();
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|_| Failure::Passing("the reply broke off".to_owned()))?;
            self.meter.bytes.fetch_add(chunk.len() as u64, Ordering::Relaxed);
            if body.len() + chunk.len() > MAX_REPLY_BYTES {
                return Err(Failure::Final(Error::NotTeamChat {
                    url: self.base.to_string(),
                    detail: "its reply has no end".to_owned(),
                }));
            }
            body.extend_from_slice(&chunk);
        }
        if status.is_client_error() && body.trim_ascii_start().first() != Some(&b'{') {
            let detail = format!("it answers {status}");
            return Err(Failure::Final(Error::NotTeamChat { url: self.base.to_string(), detail }));
        }
        Ok(body.freeze())
    }

    async fn connect_failure(&self, error: reqwest::Error) -> Failure {
        // The URL of a form post holds no secret, but habits should not depend on that.
        let error = error.without_url();
        match self.untrusted(&error).await {
            Some(untrusted) => Failure::Final(untrusted),
            None => Failure::Passing(innermost(&error)),
        }
    }

    /// What is wrong with the server's certificate, if that is why a request failed.
    pub(super) async fn untrusted(&self, error: &reqwest::Error) -> Option<Error> {
        let detail = certificate_problem(error)?;
        let fingerprint = presented_fingerprint(&self.base).await;
        Some(Error::Untrusted { host: self.host(), detail, fingerprint })
    }

    /// Asks whether TeamChat answers there: `api.test`, which needs no account.
    pub async fn probe(&self) -> Result<(), Error> {
        let ask = || async {
            let bytes = self.fetch("api.test", &[], None).await?;
            let not = |detail: &str| {
                Failure::Final(Error::NotTeamChat { url: self.base.to_string(), detail: detail.to_owned() })
            };
            match json::member(&bytes, "ok") {
                Some(_) => judge("api.test", &bytes),
                None if bytes.trim_ascii_start().first() == Some(&b'{') => {
                    Err(not("its reply to api.test has no `ok`"))
                }
                None => Err(not("its reply to api.test is not JSON")),
            }
        };
        match self.patiently("api.test", ask).await {
            Err(Error::Refused { code, .. }) if code == "unknown_method" => {
                Err(Error::NotTeamChat { url: self.base.to_string(), detail: "it does not know api.test".to_owned() })
            }
            other => other,
        }
    }

    /// SHA-256 of the public key that the server presents, over https.
    pub async fn fingerprint(&self) -> Option<Digest> {
        presented_fingerprint(&self.base).await
    }
}

/// Whether a reply says that all went well.
fn judge(method: &str, bytes: &Bytes) -> Result<(), Failure> {
    let start = bytes.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(bytes.len());
    let is_whole = json::value_end(bytes, start).is_some_and(|end| bytes[end..].trim_ascii().is_empty());
    let ok = json::member(bytes, "ok")
        .and_then(|range| json::parse(&bytes[range]))
        .and_then(|value| super::tolerant::as_bool(&value));
    match ok {
        Some(true) if is_whole => Ok(()),
        Some(false) => {
            // A code is a word; whatever else a server puts there is not repeated.
            let is_word = |text: &String| {
                text.len() <= 64
                    && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
            };
            let code =
                json::member_text(bytes, "error").filter(is_word).unwrap_or_else(|| "no_reason_given".to_owned());
            if is_passing_code(&code) {
                Err(Failure::Passing(format!("the server says {code}")))
            } else if is_auth_code(&code) {
                Err(Failure::Final(Error::Auth { code }))
            } else {
                Err(Failure::Final(Error::Refused { method: method.to_owned(), code }))
            }
        }
        _ => Err(Failure::Passing("the reply is cut short or no JSON".to_owned())),
    }
}

fn base_url(server: &str) -> Result<Url, Error> {
    let with_scheme = if server.contains("://") { server.to_owned() } else { format!("https://{server}") };
    let mut url = Url::parse(&with_scheme).map_err(|error| {
        Error::Settings(format!("`{server}` is no URL ({error}); it looks like https://chat.example.com/teamchatapi/"))
    })?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(Error::Settings(format!("`{server}` is no http or https URL")));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Error::Settings("a server's URL holds no user name or password: use `login`".to_owned()));
    }
    url.set_query(None);
    url.set_fragment(None);
    if url.path() == "/" {
        url.set_path("/teamchatapi/");
    } else if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(url)
}

fn chain<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| match error.downcast_ref::<std::io::Error>() {
        // Its source is that of the error within, which would be passed over.
        Some(io) => io.get_ref().map(|inner| inner as &(dyn std::error::Error + 'static)),
        None => error.source(),
    })
}

fn certificate_problem(error: &reqwest::Error) -> Option<String> {
    let text = |error: &rustls::Error| match error {
        rustls::Error::InvalidCertificate(rustls::CertificateError::ApplicationVerificationFailure) => {
            "it has not the pinned public key".to_owned()
        }
        other => other.to_string(),
    };
    for cause in chain(error) {
        if let Some(found) = cause.downcast_ref::<rustls::Error>() {
            return Some(text(found));
        }
    }
    None
}

/// The last cause, which is the one that says something.
pub(super) fn innermost(error: &reqwest::Error) -> String {
    chain(error).last().map_or_else(|| error.to_string(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_host_gets_the_usual_path() {
        for (given, expected) in [
            ("chat.example.com", "https://chat.example.com/teamchatapi/"),
            ("http://127.0.0.1:8123", "http://127.0.0.1:8123/teamchatapi/"),
            ("https://h/api/x?token=1#f", "https://h/api/x/"),
        ] {
            assert_eq!(base_url(given).unwrap().as_str(), expected);
        }
        for bad in ["ftp://h/", "https://user:secret@h/", "http://", "https://exa mple/"] {
            let error = base_url(bad).unwrap_err().to_string();
            assert!(!error.contains("secret") || bad.contains("exa"), "{error}");
        }
    }

    #[test]
    fn replies_are_judged_by_their_body() {
        let of = |text: &'static str| judge("m", &Bytes::from_static(text.as_bytes()));
        assert!(of(r#"{"a":1,"ok":true}"#).is_ok());
        assert!(of(r#"{"ok":"true"}"#).is_ok());
        assert!(matches!(of(r#"{"ok":false,"error":"token_revoked"}"#), Err(Failure::Final(Error::Auth { .. }))));
        assert!(matches!(
            of(r#"{"ok":false,"error":"channel_not_found"}"#),
            Err(Failure::Final(Error::Refused { .. }))
        ));
        assert!(matches!(of(r#"{"ok":false,"error":"ratelimited"}"#), Err(Failure::Passing(_))));
        assert!(matches!(of(r#"{"ok":true,"messages":[{"a"#), Err(Failure::Passing(_))));
        assert!(matches!(of("<html>"), Err(Failure::Passing(_))));
    }
}
