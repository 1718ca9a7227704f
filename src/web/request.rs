//! A number for each request, under which the operator's log has what went wrong with it; and an answer that tells
//! no more than that, whatever a handler did.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;

use super::error::{WebError, refusal};

/// The header that tells the number.
const HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// What a refusal says of itself is read up to here.
const LONGEST: usize = 4096;

tokio::task_local! {
    static NUMBER: String;
}

/// The number of the request that this task answers; empty outside of one.
pub(super) fn number() -> String {
    NUMBER.try_with(Clone::clone).unwrap_or_default()
}

/// Gives a request its number, and answers for a handler that panics.
pub(super) async fn numbered(request: Request, next: Next) -> Response {
    let mut bytes = [0; 8];
    // Without a random source requests are told apart by time in the log.
    if getrandom::fill(&mut bytes).is_err() {
        tracing::warn!("the system gives no random bytes");
    }
    let number = format!("{:016x}", u64::from_be_bytes(bytes));
    let is_page = !request.uri().path().starts_with("/teamchatapi/");
    let mut response = NUMBER
        .scope(number.clone(), async {
            match AssertUnwindSafe(next.run(request)).catch_unwind().await {
                Ok(response) if is_page => dressed(response).await,
                Ok(response) => response,
                Err(panic) => WebError::Internal(format!("a handler panicked: {}", words_of(&*panic))).into_response(),
            }
        })
        .await;
    if let Ok(value) = HeaderValue::from_str(&number) {
        response.headers_mut().insert(HEADER, value);
    }
    response
}

fn words_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

/// A refusal of the framework's — an address that cannot be read, a verb that is not answered — as a page like any
/// other.
async fn dressed(response: Response) -> Response {
    let is_refusal = matches!(
        response.status(),
        StatusCode::BAD_REQUEST
            | StatusCode::METHOD_NOT_ALLOWED
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::UNSUPPORTED_MEDIA_TYPE
            | StatusCode::UNPROCESSABLE_ENTITY
    );
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if !is_refusal || kind.is_some_and(|kind| !kind.starts_with("text/plain")) {
        return response;
    }
    let (parts, body) = response.into_parts();
    let detail = axum::body::to_bytes(body, LONGEST).await.unwrap_or_default();
    let mut page = refusal(parts.status, &String::from_utf8_lossy(&detail));
    if let Some(verbs) = parts.headers.get(header::ALLOW) {
        page.headers_mut().insert(header::ALLOW, verbs.clone());
    }
    page
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::extract::Query;
    use axum::middleware::from_fn;
    use axum::routing::get;
    use serde::Deserialize;
    use tower::ServiceExt as _;

    use super::*;

    #[derive(Deserialize)]
    struct Number {
        n: u8,
    }

    async fn ask(path: &str) -> (StatusCode, String, String) {
        let panics = |Query(Number { n }): Query<Number>| async move {
            let all: [u8; 3] = [1, 2, 3];
            all[usize::from(n)].to_string()
        };
        let router = Router::new().route("/n", get(panics)).layer(from_fn(numbered));
        let response = router.oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
        let number = response.headers()[HEADER].to_str().unwrap().to_owned();
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, number, String::from_utf8(body.into()).unwrap())
    }

    #[tokio::test]
    async fn a_handler_that_panics_is_answered_for_under_its_number() {
        let (status, first, body) = ask("/n?n=1").await;
        assert_eq!((status, body.as_str()), (StatusCode::OK, "2"));
        let (status, second, body) = ask("/n?n=9").await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(body.contains(&second), "{body}");
        assert!(!body.contains("index out of bounds") && !body.contains("panicked"), "{body}");
        assert!(first.len() == 16 && first != second);
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_answered_with_a_page() {
        let (status, _, body) = ask("/n?n=many").await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(body.starts_with("<!doctype html>") && body.contains("invalid digit"), "{body}");
    }
}
