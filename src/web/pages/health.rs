use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use crate::web::desk::Web;
use crate::web::error::{WebError, blocking};

/// The process answers.
pub(crate) async fn healthz() -> &'static str {
    "ok\n"
}

/// The archive can be read. Whoever asks is not signed in, and not told how much is in it.
pub(crate) async fn readyz(State(web): State<Arc<Web>>) -> Response {
    match blocking(move || Ok(web.head()?)).await {
        Ok(_) => "ok\n".into_response(),
        Err(error) => {
            tracing::error!(?error, "the archive can't be read");
            (StatusCode::SERVICE_UNAVAILABLE, "the archive can't be read\n").into_response()
        }
    }
}

/// Nothing here is for search engines.
pub(crate) async fn robots() -> Response {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], "User-agent: *\nDisallow: /\n").into_response()
}

pub(crate) async fn not_found() -> WebError {
    WebError::NotFound
}
