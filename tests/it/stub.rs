//! A server that answers each method with bytes of the test's choice, for replies that the sandbox
//! would never send.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::http::Uri;
use axum::response::IntoResponse as _;
use tokio::task::AbortHandle;

/// A stub that listens until it is dropped.
pub(crate) struct Stub {
    /// The base address.
    pub(crate) url: String,
    task: AbortHandle,
}

impl Stub {
    /// `answer` is given the method's name and the parameters of the form.
    pub(crate) async fn start(
        answer: impl Fn(&str, &HashMap<String, String>) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        let answer = Arc::new(answer);
        let handle = move |uri: Uri, body: Bytes| {
            let answer = Arc::clone(&answer);
            async move {
                let method = uri.path().rsplit('/').next().unwrap_or_default().to_owned();
                let parameters = url::form_urlencoded::parse(&body).into_owned().collect();
                let bytes = answer(&method, &parameters);
                ([("content-type", "application/json")], bytes).into_response()
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
