//! One set of parameters out of query, form, multipart and JSON, as real clients mix them.

use std::collections::HashMap;

use axum::body::Bytes;
use axum::extract::{FromRequest as _, Multipart, Request};
use axum::http::header;
use serde_json::Value;
use url::form_urlencoded;

use super::workspace::Refusal;

/// An upload larger than this is refused.
pub(super) const MAX_BODY_BYTES: usize = 256 << 20;

/// The arguments of one call.
#[derive(Debug, Default)]
pub(super) struct Params {
    values: HashMap<String, String>,
    /// File parts of a multipart body.
    pub(super) uploads: Vec<Upload>,
}

/// A file part of a multipart body.
#[derive(Debug)]
pub(super) struct Upload {
    pub(super) name: String,
    pub(super) bytes: Bytes,
}

impl Params {
    /// Reads all there is in a request. What the body says wins over the query.
    pub(super) async fn read(request: Request) -> Result<Self, Refusal> {
        let mut params = Self::default();
        if let Some(query) = request.uri().query() {
            params.add_form(query.as_bytes());
        }
        if let Some(token) = request
            .headers()
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "))
        {
            let token = token.trim().to_owned();
            params.values.insert("token".to_owned(), token);
        }
        let content_type = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_ascii_lowercase();
        if content_type.starts_with("multipart/form-data") {
            params.add_multipart(request).await?;
            return Ok(params);
        }
        let body = axum::body::to_bytes(request.into_body(), MAX_BODY_BYTES)
            .await
            .map_err(|_cut| Refusal("request_timeout"))?;
        if content_type.starts_with("application/json") {
            params.add_json(&body)?;
        } else {
            params.add_form(&body);
        }
        Ok(params)
    }

    fn add_form(&mut self, text: &[u8]) {
        for (key, value) in form_urlencoded::parse(text) {
            self.values.insert(key.into_owned(), value.into_owned());
        }
    }

    fn add_json(&mut self, body: &[u8]) -> Result<(), Refusal> {
        if body.trim_ascii().is_empty() {
            return Ok(());
        }
        let Value::Object(object) = serde_json::from_slice(body).map_err(|_broken| Refusal("invalid_json"))? else {
            return Err(Refusal("json_not_object"));
        };
        for (key, value) in object {
            let text = match value {
                Value::Null => continue,
                Value::String(text) => text,
                other => other.to_string(),
            };
            self.values.insert(key, text);
        }
        Ok(())
    }

    async fn add_multipart(&mut self, request: Request) -> Result<(), Refusal> {
        let broken = || Refusal("invalid_form_data");
        let mut parts = Multipart::from_request(request, &()).await.map_err(|_rejected| broken())?;
        while let Some(part) = parts.next_field().await.map_err(|_cut| broken())? {
            let field = part.name().unwrap_or_default().to_owned();
            let file_name = part.file_name().map(str::to_owned);
            let bytes = part.bytes().await.map_err(|_cut| broken())?;
            match file_name {
                Some(name) => self.uploads.push(Upload { name, bytes }),
                None if field == "file" => self.uploads.push(Upload { name: String::new(), bytes }),
                None => {
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    self.values.insert(field, text);
                }
            }
        }
        Ok(())
    }

    /// A parameter that is there and not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A parameter that must be there.
    pub(super) fn need(&self, name: &str, error: &'static str) -> Result<&str, Refusal> {
        self.get(name).ok_or(Refusal(error))
    }

    /// `1` and `true` are true, in any case of letters.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| matches!(value.to_ascii_lowercase().as_str(), "1" | "true"))
    }

    /// A whole number, or the default when absent or malformed.
    pub(super) fn number(&self, name: &str, default: usize) -> usize {
        self.get(name).and_then(|value| value.parse().ok()).unwrap_or(default)
    }

    /// All but the token, for `api.test`.
    pub(super) fn echo(&self) -> Value {
        self.values
            .iter()
            .filter(|(key, _)| key.as_str() != "token")
            .map(|(key, value)| (key.clone(), Value::String(value.clone())))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    async fn read(content_type: &str, body: &str) -> Result<Params, Refusal> {
        let request = Request::builder()
            .uri("/x?token=query&a=1&b=TRUE")
            .header("content-type", content_type)
            .body(Body::from(body.to_owned()))
            .unwrap();
        Params::read(request).await
    }

    #[tokio::test]
    async fn the_body_wins_over_the_query() {
        let params = read("application/x-www-form-urlencoded", "a=2&c=x%26y").await.unwrap();
        assert_eq!(params.get("a"), Some("2"));
        assert_eq!(params.get("c"), Some("x&y"));
        assert!(params.flag("b"));
        assert_eq!(params.get("token"), Some("query"));
    }

    #[tokio::test]
    async fn an_empty_json_body_is_an_empty_object() {
        assert!(read("application/json; charset=utf-8", "").await.is_ok());
        let params = read("application/json", "{\"n\":5,\"t\":true}").await.unwrap();
        assert_eq!(params.number("n", 0), 5);
        assert!(params.flag("t"));
        let refused = read("application/json", "[]").await.err();
        assert_eq!(refused, Some(Refusal("json_not_object")));
    }
}
