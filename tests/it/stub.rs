//! A server that answers each method with bytes of the test's choice, for replies that the sandbox
//! would never send.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse as _, Response};
use tokio::task::AbortHandle;

/// A stub that listens until it is dropped.
pub(crate) struct Stub {
    /// The base address.
    pub(crate) url: String,
    task: AbortHandle,
}

/// A request to a stub.
pub(crate) struct Asked {
    /// The method's name.
    pub(crate) method: String,
    pub(crate) headers: HeaderMap,
    /// The parameters of the address and of the form.
    pub(crate) parameters: HashMap<String, String>,
}

impl Stub {
    /// `answer` is given the method's name and the parameters, and gives the JSON of the reply.
    pub(crate) async fn start(
        answer: impl Fn(&str, &HashMap<String, String>) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        Self::serve(move |asked| {
            let bytes = answer(&asked.method, &asked.parameters);
            ([("content-type", "application/json")], bytes).into_response()
        })
        .await
    }

    /// `answer` gives the whole reply.
    pub(crate) async fn serve(answer: impl Fn(&Asked) -> Response + Send + Sync + 'static) -> Self {
        let answer = Arc::new(answer);
        let handle = move |uri: Uri, headers: HeaderMap, body: Bytes| {
            let answer = Arc::clone(&answer);
            async move {
                let method = uri.path().rsplit('/').next().unwrap_or_default().to_owned();
                let pairs = [uri.query().unwrap_or_default().as_bytes(), &body[..]].map(url::form_urlencoded::parse);
                let parameters = pairs.into_iter().flat_map(|pairs| pairs.into_owned()).collect();
                answer(&Asked { method, headers, parameters })
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/teamchatapi/", listener.local_addr().unwrap());
        let router = Router::new().fallback(handle);
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() }).abort_handle();
        Self { url, task }
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.task.abort();
    }
}
