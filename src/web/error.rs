use askama::Template;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};

use super::text;
use crate::{index, store};

/// What a handler answers when it cannot give a page.
#[derive(Debug)]
pub(super) enum WebError {
    /// It does not exist, or is out of scope: the same answer.
    NotFound,
    /// It is there, and cannot be proved yet: why, and what to do.
    NoProof(String),
    /// The request cannot be read.
    Bad(String),
    /// The access log could not be written, so nothing is shown.
    Unlogged(String),
    /// The archive could not be read.
    Internal(String),
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    title: &'a str,
    detail: &'a str,
    css: String,
}

impl IntoResponse for WebError {
    fn into_response(self) -> Response {
        let (status, title, detail) = match self {
            Self::NotFound => (StatusCode::NOT_FOUND, text::NOT_FOUND, text::NOT_FOUND_DETAIL.to_owned()),
            Self::NoProof(detail) => (StatusCode::NOT_FOUND, text::NO_PROOF, detail),
            Self::Bad(detail) => (StatusCode::BAD_REQUEST, text::BAD_REQUEST, detail),
            Self::Unlogged(detail) => {
                tracing::error!(detail, "the access log can't be written, so nothing is shown");
                (StatusCode::SERVICE_UNAVAILABLE, text::UNLOGGED, text::UNLOGGED_DETAIL.to_owned())
            }
            Self::Internal(detail) => {
                // What went wrong inside is for the operator's log; a reader is told where to ask.
                tracing::error!(detail, "a page could not be made");
                (StatusCode::INTERNAL_SERVER_ERROR, text::INTERNAL, text::INTERNAL_DETAIL.to_owned())
            }
        };
        let page = ErrorPage { title, detail: &detail, css: super::assets::css_url() };
        render(status, &page)
    }
}

impl From<store::Error> for WebError {
    fn from(error: store::Error) -> Self {
        Self::Internal(error.to_string())
    }
}

impl From<store::ProofError> for WebError {
    fn from(error: store::ProofError) -> Self {
        match error {
            store::ProofError::Store(error) => error.into(),
            missing => Self::NoProof(format!("{}: {missing}.", text::NO_PROOF_DETAIL)),
        }
    }
}

impl From<store::access::AccessError> for WebError {
    fn from(error: store::access::AccessError) -> Self {
        Self::Internal(error.to_string())
    }
}

impl From<index::Error> for WebError {
    fn from(error: index::Error) -> Self {
        match error {
            index::Error::TooBroad(detail) => Self::Bad(detail),
            other => Self::Internal(other.to_string()),
        }
    }
}

/// A template as an answer.
pub(super) fn render(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a template failed");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Runs blocking reads of the archive off the async threads.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, WebError> + Send + 'static,
) -> Result<T, WebError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(WebError::Internal("a reader panicked".to_owned())))
}
