use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use crate::web::Web;
use crate::web::error::WebError;

/// The process answers.
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// The archive can be read.
pub(crate) async fn readyz(State(web): State<Arc<Web>>) -> Response {
    match web.reader.head() {
        Ok(head) => format!("ok, {head} records\n").into_response(),
        Err(error) => {
            tracing::error!(%error, "the archive can't be read");
            (StatusCode::SERVICE_UNAVAILABLE, "the archive can't be read\n").into_response()
        }
    }
}

/// Nothing here is for search engines.
pub(crate) async fn robots() -> Response {
    ([(header::CONTENT_TYPE, "text/plain")], "User-agent: *\nDisallow: /\n").into_response()
}

pub(crate) async fn not_found() -> WebError {
    WebError::NotFound
}
