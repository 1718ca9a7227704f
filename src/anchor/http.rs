use std::time::Duration;

use futures_util::StreamExt as _;
use url::Url;

use super::Error;

/// What a keeper answered.
pub(super) struct Reply {
    pub(super) status: u16,
    /// The media type, lower case, without parameters.
    pub(super) media_type: String,
    pub(super) body: Vec<u8>,
}

/// Host and port, for messages: an address may hold what is nobody's business.
pub(super) fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Posts `body` and reads the answer, of `limit` bytes at most. Redirections are not followed: a
/// keeper is where the settings say.
pub(super) async fn post(
    url: Url,
    proxy: Option<&Url>,
    media_type: &'static str,
    body: Vec<u8>,
    limit: usize,
) -> Result<Reply, Error> {
    let place = host(&url);
    let unavailable = |detail: &str| {
        Error::Unavailable(format!("can't reach {place}: {detail}; the next checkpoint is offered again"))
    };
    // The first client of this process installs the provider; later calls find it there.
    let _installed_before = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("teamchat-archive/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(10))
        .timeout(Duration::from_secs(20))
        .no_proxy();
    if let Some(proxy) = proxy {
        let proxy = reqwest::Proxy::all(proxy.clone());
        builder =
            builder.proxy(proxy.map_err(|_| Error::Refused("the proxy in archive.toml can't be used".to_owned()))?);
    }
    let client = builder.build().map_err(|_| Error::Refused("the HTTP client can't be set up".to_owned()))?;
    let request = client.post(url).header(reqwest::header::CONTENT_TYPE, media_type).body(body);
    let response = request.send().await.map_err(|error| unavailable(&reason(&error)))?;
    let status = response.status().as_u16();
    let media_type = response.headers().get(reqwest::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type =
        media_type.and_then(|value| value.split(';').next()).unwrap_or_default().trim().to_ascii_lowercase();
    let mut body = Vec::new();
    let mut chunks = response.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        body.extend_from_slice(&chunk.map_err(|error| unavailable(&reason(&error)))?);
        if body.len() > limit {
            return Err(Error::Refused(format!(
                "the answer of {place} is longer than {limit} bytes: is the address right?"
            )));
        }
    }
    Ok(Reply { status, media_type, body })
}

/// The innermost cause, which names no address.
fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it takes too long".to_owned();
    }
    let mut cause = std::error::Error::source(error);
    while let Some(deeper) = cause.and_then(std::error::Error::source) {
        cause = Some(deeper);
    }
    cause.map_or_else(|| "the connection broke".to_owned(), ToString::to_string)
}
