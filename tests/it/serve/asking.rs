//! How a router is asked, without a socket, and what it answers.

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use teamchat_archive::model::{ChannelId, Scope};
use tower::ServiceExt as _;

/// The password of every account here.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// A header, or nothing.
    pub(crate) fn header(&self, name: impl header::AsHeaderName) -> &str {
        self.headers.get(name).map_or("", |value| std::str::from_utf8(value.as_bytes()).unwrap())
    }
}

pub(crate) fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// A request without a body.
pub(crate) fn get(path: &str) -> axum::http::request::Builder {
    Request::builder().method(Method::GET).uri(path).header(header::HOST, "archive.example")
}

/// The head of a POST.
pub(crate) fn post(path: &str) -> axum::http::request::Builder {
    Request::builder().method(Method::POST).uri(path).header(header::HOST, "archive.example")
}

/// The head of a form.
pub(crate) fn form(path: &str) -> axum::http::request::Builder {
    post(path).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
}

/// What is filled into a form.
pub(crate) fn filled(fields: &[(&str, &str)]) -> Body {
    let pairs: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
    Body::from(pairs.join("&"))
}

pub(crate) async fn send(router: &Router, request: Request<Body>) -> Answer {
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap().to_vec();
    Answer { status: parts.status, headers: parts.headers, body }
}

/// The scope of these channels.
pub(crate) fn only(channels: &[&str]) -> Scope {
    Scope::Channels(channels.iter().map(|id| ChannelId::parse(id).unwrap()).collect())
}
