//! The door of every content route: an entry of the access log is written before a byte is sent, and
//! when it cannot be written nothing of the content is.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts as _, MatchedPath, RawPathParams, Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::Web;
use super::error::WebError;
use super::pages::Viewer;
use crate::record::{Action, Visit, scope_note};

/// Longer texts of a request are cut in the log.
const LONGEST: usize = 4096;
/// Longer words of a proxy are cut.
const LONGEST_FORWARDED: usize = 256;

/// What a handler tells of its answer that the request does not say: how many matches a query has,
/// the content that is sent. It travels with the answer and never leaves the house.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    pub(super) hits: Option<u64>,
    pub(super) content: Option<String>,
}

pub(super) fn cut(text: &str, longest: usize) -> String {
    let mut end = text.len().min(longest);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

/// Where a request came from. What a proxy says counts only when it stands on this machine.
pub(super) fn origin(parts: &Parts) -> Visit {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
    let is_near = peer.is_none_or(|peer| peer.ip().is_loopback());
    let forwarded = parts.headers.get("x-forwarded-for").and_then(|value| value.to_str().ok());
    Visit {
        from: peer.map(|peer| peer.to_string()),
        forwarded_for: forwarded.filter(|_| is_near).map(|text| cut(text, LONGEST_FORWARDED)),
        ..Visit::default()
    }
}

/// The word for a page, from the pattern of its route.
fn page_name(pattern: &str) -> &str {
    match pattern {
        "/" => "overview",
        "/search" => "search",
        "/c" => "channels",
        "/c/{id}" => "timeline",
        "/r/{record}" => "record",
        "/r/{record}/raw.json" => "raw",
        "/r/{record}/proof.tlog-proof" | "/r/{record}/proof.json" => "proof",
        "/f" => "files",
        "/f/{id}" => "file",
        "/f/{id}/blob" => "blob",
        // A page that has no word yet is named by its route.
        other => other,
    }
}

/// What a page request asks for.
async fn asked(parts: &mut Parts) -> Visit {
    let pattern = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str).to_owned();
    let mut visit = Visit { page: Some(page_name(&pattern).to_owned()), ..origin(parts) };
    if let Ok(params) = RawPathParams::from_request_parts(parts, &()).await {
        for (name, value) in &params {
            let place = match (name, pattern.as_bytes().get(1)) {
                ("id", Some(b'c')) => &mut visit.channel,
                ("id", Some(b'f')) => &mut visit.file,
                _ => &mut visit.record,
            };
            *place = Some(cut(value, LONGEST));
        }
    }
    let mut places = Vec::new();
    for (name, value) in url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()) {
        match name.as_ref() {
            "q" => visit.query = Some(cut(&value, LONGEST)),
            "at" | "date" | "before" | "after" | "from" | "page" | "v" | "state" | "kind" if !value.is_empty() => {
                places.push(format!("{name}={}", cut(&value, LONGEST)));
            }
            _ => {}
        }
    }
    visit.place = (!places.is_empty()).then(|| cut(&places.join(" "), LONGEST));
    visit
}

/// Lets a request for a page through and its answer out, once the log has an entry of it.
pub(super) async fn recorded(State(web): State<Arc<Web>>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let visit = asked(&mut parts).await;
    let viewer = match Viewer::from_request_parts(&mut parts, &()).await {
        Ok(viewer) => viewer,
        Err(error) => return error.into_response(),
    };
    let response = next.run(Request::from_parts(parts, body)).await;
    let told = response.extensions().get::<Told>().cloned().unwrap_or_default();
    let visit = Visit {
        user: Some(viewer.name),
        role: Some(viewer.role.as_str().to_owned()),
        scope: Some(scope_note(&viewer.scope)),
        hits: told.hits,
        content: told.content,
        ..visit
    };
    match before_sending(&web, visit, response.status()).await {
        Ok(()) => response,
        Err(error) => error.into_response(),
    }
}

/// Writes the entry of an answer that is about to be sent. Until this returns, no byte of the answer
/// may leave; when it fails, none ever.
pub(super) async fn before_sending(web: &Web, visit: Visit, status: StatusCode) -> Result<(), WebError> {
    let visit = Visit { status: Some(status.as_u16()), ..visit };
    let log = web.access.log().clone();
    match tokio::task::spawn_blocking(move || log.record(Action::View, &visit)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(WebError::Unlogged(error.to_string())),
        Err(_) => Err(WebError::Unlogged("its writer panicked".to_owned())),
    }
}
