//! A talk with a server over HTTP, in which every reply is judged.
//!
//! Disagreements are kept and the talk goes on, so that one run tells them all. It knows methods
//! and JSON, and no type of the client or of the simulated server.

use std::collections::BTreeSet;

use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use crate::reference::Schemas;
pub(crate) use crate::support::http_client;

/// A talk with a server: every reply is judged, every disagreement kept, and the talk goes on.
pub(crate) struct Talk {
    pub(crate) http: reqwest::Client,
    pub(crate) base: String,
    pub(crate) token: String,
    schemas: Schemas,
    pub(crate) called: BTreeSet<String>,
    disagreements: Vec<String>,
}

/// Parameters of a call.
pub(crate) type Arguments<'a> = &'a [(&'a str, &'a str)];

impl Talk {
    pub(crate) fn new(base: &str, token: &str) -> Self {
        Self {
            http: http_client(),
            base: base.to_owned(),
            token: token.to_owned(),
            schemas: Schemas::load(),
            called: BTreeSet::new(),
            disagreements: Vec::new(),
        }
    }

    pub(crate) fn expect(&mut self, holds: bool, claim: impl Into<String>) {
        if !holds {
            self.disagreements.push(claim.into());
        }
    }

    pub(crate) fn expect_equal(&mut self, what: &str, got: &Value, wanted: &Value) {
        self.expect(got == wanted, format!("{what}: {got} where {wanted} is due"));
    }

    /// The string at a JSON pointer; a disagreement when there is none.
    pub(crate) fn text(&mut self, reply: &Value, pointer: &str) -> String {
        let text = reply.pointer(pointer).and_then(Value::as_str);
        self.expect(text.is_some(), format!("no string at {pointer} of {reply}"));
        text.unwrap_or_default().to_owned()
    }

    /// The array at a JSON pointer; a disagreement when there is none.
    pub(crate) fn list(&mut self, reply: &Value, pointer: &str) -> Vec<Value> {
        let list = reply.pointer(pointer).and_then(Value::as_array);
        self.expect(list.is_some(), format!("no array at {pointer} of {reply}"));
        list.cloned().unwrap_or_default()
    }

    pub(crate) async fn json_of(&mut self, method: &str, request: reqwest::RequestBuilder) -> Value {
        let response = request.send().await.unwrap();
        let status = response.status();
        self.expect(status == 200, format!("{method}: status {status}"));
        let kind = media_type(&response);
        self.expect(kind == "application/json", format!("{method}: served as {kind}"));
        let body = response.bytes().await.unwrap();
        serde_json::from_slice(&body).unwrap_or_else(|error| {
            self.disagreements.push(format!("{method}: {error}"));
            Value::Null
        })
    }

    pub(crate) fn judge(&mut self, method: &str, schema: &str, reply: &Value) {
        for problem in self.schemas.problems(schema, reply) {
            self.disagreements.push(format!("{method}: {problem}"));
        }
        self.called.insert(schema.to_owned());
    }

    /// A method that writes: POST with a form, the token in it.
    pub(crate) async fn write(&mut self, method: &str, arguments: Arguments<'_>) -> Value {
        let mut form = arguments.to_vec();
        let token = self.token.clone();
        form.push(("token", &token));
        let request = self.http.post(format!("{}{method}", self.base)).form(&form);
        let reply = self.json_of(method, request).await;
        self.judge(method, method, &reply);
        reply
    }

    /// A method that reads: GET with the token in the query, then POST with the token in the
    /// header; both replies are judged, the first is returned.
    pub(crate) async fn read(&mut self, method: &str, arguments: Arguments<'_>) -> Value {
        let reply = self.get(method, arguments).await;
        self.judge(method, method, &reply);
        let request = self.http.post(format!("{}{method}", self.base)).bearer_auth(&self.token).form(arguments);
        let posted = self.json_of(method, request).await;
        self.judge(method, method, &posted);
        reply
    }

    /// GET without judgement.
    pub(crate) async fn get(&mut self, method: &str, arguments: Arguments<'_>) -> Value {
        let request =
            self.http.get(format!("{}{method}", self.base)).query(&[("token", self.token.as_str())]).query(arguments);
        self.json_of(method, request).await
    }

    /// A refusal, and for what reason.
    pub(crate) async fn refused(&mut self, method: &str, arguments: Arguments<'_>, code: &str) {
        let reply = self.get(method, arguments).await;
        for problem in self.schemas.problems("error", &reply) {
            self.disagreements.push(format!("{method} refused: {problem}"));
        }
        self.expect_equal(&format!("error of {method} {arguments:?}"), &reply["error"], &json!(code));
    }

    /// GET of what is not JSON: its media type and bytes.
    pub(crate) async fn bytes(&mut self, method: &str, arguments: Arguments<'_>) -> (String, Vec<u8>) {
        let request =
            self.http.get(format!("{}{method}", self.base)).query(&[("token", self.token.as_str())]).query(arguments);
        let response = request.send().await.unwrap();
        let status = response.status();
        self.expect(status == 200, format!("{method}: status {status}"));
        let kind = media_type(&response);
        self.called.insert(method.to_owned());
        (kind, response.bytes().await.unwrap().to_vec())
    }

    pub(crate) fn finish(self) {
        let count = self.disagreements.len();
        assert!(count == 0, "{count} disagreements:\n{}", self.disagreements.join("\n"));
    }
}

/// The media type of a reply, without its parameters.
pub(crate) fn media_type(response: &reqwest::Response) -> String {
    let value = response.headers().get(CONTENT_TYPE).map(|value| value.to_str().unwrap());
    value.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_owned()
}

/// How many items the array at a JSON pointer has; 0 when there is none.
pub(crate) fn length(reply: &Value, pointer: &str) -> usize {
    reply.pointer(pointer).and_then(Value::as_array).map_or(0, Vec::len)
}
