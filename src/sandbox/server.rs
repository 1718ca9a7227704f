//! The HTTP side: paths, envelope, faults of transport. What a method means is in
//! [`super::methods`].

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use futures_util::{StreamExt as _, stream};
use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::faults::{Fault, Faults};
use super::params::{MAX_BODY_BYTES, Params};
use super::workspace::{Refusal, Workspace};
use super::{atom, control, download, methods, rtm};

/// Requests that the log keeps.
const MAX_LOG: usize = 200_000;

/// The JSON type that every method answers with.
const JSON: &str = "application/json; charset=utf-8";

/// What every handler shares.
#[derive(Debug)]
pub struct Sandbox {
    pub(super) workspace: Arc<Workspace>,
    pub(super) stop: CancellationToken,
    log: Mutex<VecDeque<RequestLine>>,
}

/// One line of the request log. Parameters are left out: tokens and tickets are among them.
#[derive(Debug, Clone, Serialize)]
pub struct RequestLine {
    /// Name of the method, in lower case.
    pub method: String,
    /// `GET` or `POST`.
    pub verb: String,
    /// When it came, RFC 3339.
    pub time: String,
}

impl Sandbox {
    pub(super) fn new(workspace: Arc<Workspace>, stop: CancellationToken) -> Self {
        Self { workspace, stop, log: Mutex::default() }
    }

    pub(super) fn requests(&self) -> Vec<RequestLine> {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.iter().cloned().collect()
    }

    #[expect(clippy::disallowed_methods, reason = "the simulated server has a clock of its own")]
    fn note(&self, method: &str, verb: &Method) {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        if log.len() == MAX_LOG {
            log.pop_front();
        }
        log.push_back(RequestLine {
            method: method.to_owned(),
            verb: verb.to_string(),
            time: chrono::Utc::now().to_rfc3339(),
        });
    }
}

/// The routes of the sandbox.
pub(super) fn router(sandbox: Arc<Sandbox>, with_control: bool) -> Router {
    let mut router = Router::new().route("/rtm/{socket}", any(rtm::connect)).fallback(call);
    if with_control {
        router = router.merge(control::routes());
    }
    router.layer(DefaultBodyLimit::max(MAX_BODY_BYTES)).with_state(sandbox)
}

/// The method that a path names: any of the three base paths.
fn method_of(path: &str) -> Option<String> {
    let name = ["/teamchatapi/", "/api/api-teamchat/", "/api/"].iter().find_map(|base| path.strip_prefix(base))?;
    Some(percent_decode_str(name).decode_utf8_lossy().into_owned())
}

async fn call(State(sandbox): State<Arc<Sandbox>>, request: Request) -> Response {
    let Some(named) = method_of(request.uri().path()) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let verb = request.method().clone();
    if verb != Method::GET && verb != Method::POST && verb != Method::HEAD {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let conditions = download::Conditions::read(request.headers());
    let params = match Params::read(request).await {
        Ok(params) => params,
        Err(refusal) => return refuse(refusal, JSON),
    };
    let method = params.get("override_method").unwrap_or(&named).to_ascii_lowercase();
    sandbox.note(&method, &verb);
    if let Some(response) = break_before(&sandbox, &method).await {
        return response;
    }
    let response = match method.as_str() {
        "files.download" => download::file(&sandbox, &params, &conditions).await,
        "files.avatar" => download::avatar(&sandbox, &params, &conditions),
        "files.empty" => download::empty(&params),
        "channels.atom.history" => atom::history(&sandbox, &params, &conditions),
        _ => json_answer(&sandbox, method, params).await,
    };
    break_body(sandbox.workspace.faults(), response)
}

/// Runs a method on a thread that may block, and writes its answer.
async fn json_answer(sandbox: &Arc<Sandbox>, method: String, params: Params) -> Response {
    let shared = Arc::clone(sandbox);
    let work = move || {
        let body = methods::answer(&shared, &method, &params);
        let settings = shared.workspace.read().settings;
        let mut text = body.to_string();
        if method == "iwauthentication.login.plain" && settings.broken_login_json {
            // As printed in the reference: the comma after `authorized` is missing.
            for value in ["\"true\"", "true"] {
                let start = format!("\"authorized\":{value}");
                text = text.replacen(&format!("{start},"), &format!("{start}\n"), 1);
            }
        }
        shared.workspace.faults().spoil(text)
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(bytes) => typed(StatusCode::OK, JSON, bytes.into()),
        Err(_panicked) => refuse(Refusal("fatal_error"), JSON),
    }
}

/// A body with its type.
pub(super) fn typed(status: StatusCode, content_type: &'static str, body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// An error in the envelope; downloads send it as `text/html`.
pub(super) fn refuse(Refusal(code): Refusal, content_type: &'static str) -> Response {
    let body: Value = json!({ "ok": false, "error": code });
    typed(StatusCode::OK, content_type, body.to_string().into())
}

/// The faults that leave no answer of the method.
async fn break_before(sandbox: &Sandbox, method: &str) -> Option<Response> {
    let faults = sandbox.workspace.faults();
    if faults.hits(Fault::Timeout) {
        sandbox.stop.cancelled().await;
        return Some(StatusCode::SERVICE_UNAVAILABLE.into_response());
    }
    if faults.hits(Fault::Slow) {
        let pause = Duration::from_millis(400);
        // Ends early when the sandbox stops.
        let _late = tokio::time::timeout(pause, sandbox.stop.cancelled()).await;
    }
    if faults.hits(Fault::Reset) {
        return Some(cut_response(Vec::new(), 1000));
    }
    if faults.hits(Fault::RateLimit) {
        let body = json!({ "ok": false, "error": "ratelimited" }).to_string();
        let mut response = typed(StatusCode::TOO_MANY_REQUESTS, JSON, body.into());
        let headers = response.headers_mut();
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        return Some(response);
    }
    if faults.hits(Fault::RateLimitBadHeader) {
        let body = Bytes::from_static(b"Too many requests");
        let mut response = typed(StatusCode::TOO_MANY_REQUESTS, "text/plain", body);
        let headers = response.headers_mut();
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("soon"));
        return Some(response);
    }
    if faults.hits(Fault::Error500) {
        let body = Bytes::from_static(b"<html><body>Internal Server Error</body></html>");
        return Some(typed(StatusCode::INTERNAL_SERVER_ERROR, "text/html", body));
    }
    if faults.hits(Fault::ErrorAsHtml) {
        return Some(refuse(Refusal("fatal_error"), "text/html"));
    }
    if method == "files.download" && faults.hits(Fault::TicketExpiry) {
        return Some(refuse(Refusal("ticket_expired"), "text/html"));
    }
    None
}

/// A response whose body breaks off: the server closes the connection.
fn cut_response(start: Vec<u8>, announced: usize) -> Response {
    let chunks = stream::iter([Ok(Bytes::from(start)), Err(std::io::Error::other("the connection is cut on purpose"))]);
    // The pause lets the first part leave before the cut.
    let chunks = futures_util::StreamExt::then(chunks, async |chunk| {
        if chunk.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        chunk
    });
    let mut response = Response::new(Body::from_stream(chunks));
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(announced));
    response
}

/// The faults that spoil the way of a body. It is passed on piece by piece: files may be large.
fn break_body(faults: &Faults, response: Response) -> Response {
    let is_cut = faults.hits(Fault::ResetMidBody);
    let is_slow = faults.hits(Fault::SlowTrickle);
    if !is_cut && !is_slow {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let announced = parts.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let Some(length) = announced.or_else(|| body.size_hint().exact()) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    let pace = if is_cut {
        Pace { piece: u64::MAX, left: length / 2, is_cut }
    } else {
        Pace { piece: length.div_ceil(20).max(1), left: length, is_cut }
    };
    Response::from_parts(parts, pace.apply(body))
}

/// How a spoilt body goes on its way.
struct Pace {
    /// A pause follows after so many bytes.
    piece: u64,
    /// What is still to be sent.
    left: u64,
    /// The connection breaks after it.
    is_cut: bool,
}

impl Pace {
    fn apply(self, body: Body) -> Body {
        let start = (self, body.into_data_stream(), Bytes::new(), 0);
        Body::from_stream(stream::unfold(start, async |(mut pace, mut source, mut held, mut room)| {
            while held.is_empty() && pace.left > 0 {
                match source.next().await {
                    Some(Ok(bytes)) => held = bytes,
                    Some(Err(error)) => return Some((Err(error), (pace, source, held, room))),
                    None => pace.left = 0,
                }
            }
            if pace.left == 0 {
                if !std::mem::take(&mut pace.is_cut) {
                    return None;
                }
                // The pause lets the first part leave before the cut.
                tokio::time::sleep(Duration::from_millis(20)).await;
                let cut = axum::Error::new(std::io::Error::other("the connection is cut on purpose"));
                return Some((Err(cut), (pace, source, held, room)));
            }
            if room == 0 {
                if pace.piece < u64::MAX {
                    tokio::time::sleep(Duration::from_millis(25)).await;
                }
                room = pace.piece;
            }
            let allowed = usize::try_from(room.min(pace.left)).unwrap_or(usize::MAX);
            let part = held.split_to(held.len().min(allowed));
            let sent = u64::try_from(part.len()).expect("usize has at most 64 bits");
            room -= sent;
            pace.left -= sent;
            Some((Ok(part), (pace, source, held, room)))
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_base_paths_name_the_same_method() {
        for path in ["/teamchatapi/api.test", "/api/api-teamchat/api.test", "/api/api.test"] {
            assert_eq!(method_of(path).as_deref(), Some("api.test"));
        }
        assert_eq!(method_of("/other"), None);
    }
}
