use askama::Template;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};

use super::request::number;
use super::words::{Words, words};
use crate::{index, store};

/// What a handler answers when it cannot give a page.
#[derive(Debug)]
pub(super) enum WebError {
    /// It does not exist, or is out of scope: the same answer.
    NotFound,
    /// It is there, and cannot be proved yet: why, and what to do.
    NoProof(String),
    /// It is there, and what the reader may not see would be told with it: what they are told instead.
    Closed(String),
    /// The request cannot be read.
    Bad(String),
    /// It is not for this account, whatever it names: why, and who may.
    Forbidden(String),
    /// The access log could not be written, so nothing is shown.
    Unlogged(String),
    /// A content on the disk is not what was received: its SHA-256 that should be.
    Damaged(String),
    /// What is stored is not what was stored: the record, where one can be named, and what is wrong.
    Altered(Option<u64>, String),
    /// The archive could not be read.
    Internal(String),
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    w: &'static Words,
    title: String,
    detail: &'a str,
    css: String,
    /// Something is wrong with the archive itself.
    is_alarm: bool,
    /// Under which the log has more.
    reference: String,
}

impl IntoResponse for WebError {
    fn into_response(self) -> Response {
        let w = words();
        let is_alarm = matches!(self, Self::Altered(..) | Self::Damaged(_));
        let (status, title, detail) = match self {
            Self::NotFound => (StatusCode::NOT_FOUND, w.say("not-found"), w.say("not-found-detail")),
            Self::NoProof(detail) => (StatusCode::NOT_FOUND, w.say("no-proof"), detail),
            Self::Closed(detail) => (StatusCode::NOT_FOUND, w.say("closed"), detail),
            Self::Bad(detail) => (StatusCode::BAD_REQUEST, w.say("bad-request"), detail),
            Self::Forbidden(detail) => (StatusCode::FORBIDDEN, w.say("forbidden"), detail),
            Self::Unlogged(detail) => {
                tracing::error!(detail, request.id = number(), "the access log can't be written, so nothing is shown");
                (StatusCode::SERVICE_UNAVAILABLE, w.say("unlogged"), w.say("unlogged-detail"))
            }
            Self::Damaged(content) => {
                tracing::error!(content, request.id = number(), "a file's content on the disk is not what it was");
                (StatusCode::INTERNAL_SERVER_ERROR, w.say("damaged"), w.with("damaged-detail", content))
            }
            // A second try helps nothing, and the server did not fail: what is there cannot be shown as what was
            // signed.
            Self::Altered(record, detail) => {
                tracing::error!(record, detail, request.id = number(), "what is stored is not what was stored");
                let title = record.map_or_else(|| w.say("altered"), |record| w.with("altered-record", record));
                (StatusCode::CONFLICT, title, w.with("altered-detail", detail))
            }
            Self::Internal(detail) => {
                // What went wrong inside is for the operator's log; a reader is told where to ask.
                tracing::error!(detail, request.id = number(), "a page could not be made");
                (StatusCode::INTERNAL_SERVER_ERROR, w.say("internal"), w.say("internal-detail"))
            }
        };
        page(status, title, &detail, is_alarm)
    }
}

fn page(status: StatusCode, title: String, detail: &str, is_alarm: bool) -> Response {
    let css = super::assets::css_url();
    // What went wrong on our side can be asked about; what is not there need not.
    let reference = if status.is_server_error() { number() } else { String::new() };
    render(status, &ErrorPage { w: words(), title, detail, css, is_alarm, reference })
}

/// The page of a refusal that says why in its own words.
pub(super) fn refusal(status: StatusCode, detail: &str) -> Response {
    let w = words();
    if status == StatusCode::METHOD_NOT_ALLOWED {
        return page(status, w.say("wrong-verb"), &w.say("wrong-verb-detail"), false);
    }
    page(status, w.say("bad-request"), detail, false)
}

impl From<store::Error> for WebError {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Corrupt { seq, detail } => Self::Altered(Some(seq.0), detail),
            error if error.is_integrity() => Self::Altered(None, error.to_string()),
            error => Self::Internal(error.to_string()),
        }
    }
}

impl From<store::ProofError> for WebError {
    fn from(error: store::ProofError) -> Self {
        match error {
            store::ProofError::Store(error) => error.into(),
            missing => Self::NoProof(words().with("no-proof-detail", missing)),
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
