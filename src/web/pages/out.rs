//! The page between a message and where its link leads: who reads the archive sees the whole address first, and goes
//! there by a link of their own choosing.

use askama::Template;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use url::Url;

use super::Shell;
use crate::web::desk::Desk;
use crate::web::error::{WebError, render};
use crate::web::markup::visible;

/// Longer addresses are nobody's.
const LONGEST: usize = 8192;

/// Where to.
#[derive(Debug, Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    to: String,
}

#[derive(Template)]
#[template(path = "out.html")]
struct OutPage {
    shell: Shell,
    host: String,
    /// As a browser sends it.
    address: String,
    /// As it was written, when that is not the same.
    written: String,
    notes: Vec<String>,
}

/// An address that a browser may be sent to.
fn parse(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok().filter(|_| text.len() <= LONGEST)?;
    (matches!(url.scheme(), "http" | "https") && url.host_str().is_some_and(|host| !host.is_empty())).then_some(url)
}

/// Where a link of a message leads.
pub(crate) async fn page(desk: Desk, Query(asked): Query<Asked>) -> Result<Response, WebError> {
    let w = desk.w;
    let Some(url) = parse(&asked.to) else {
        return Err(WebError::Bad(w.say("out-no-address")));
    };
    let host = url.host_str().unwrap_or_default().to_owned();
    let mut notes = Vec::new();
    if !url.username().is_empty() || url.password().is_some() {
        notes.push(w.say("out-user"));
    }
    if host.split('.').any(|label| label.starts_with("xn--")) {
        notes.push(w.say("out-letters"));
    }
    if url.scheme() == "http" {
        notes.push(w.say("out-open"));
    }
    let address = url.to_string();
    let written = visible(&asked.to);
    let page = OutPage {
        shell: Shell { entry: "", ..Shell::new(&desk, "", w.with("out-title", &host)) },
        written: if written == address { String::new() } else { written },
        host,
        address,
        notes,
    };
    Ok(render(StatusCode::OK, &page))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn only_addresses_of_the_web_lead_out() {
        for good in ["https://a.example/x?y=z#f", "http://192.0.2.1:8080/", "HTTPS://A.Example", "https://ü.example/"]
        {
            assert!(parse(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "/f",
            "//a.example/",
            "a.example",
            "javascript:alert(1)",
            "JaVaScRiPt:alert(1)",
            "data:text/html,<script>alert(1)</script>",
            "vbscript:x",
            "file:///etc/passwd",
            "ftp://a.example/",
            "blob:https://a.example/1",
            "view-source:https://a.example/",
            "mailto:a@b.example",
            "https://",
            "\u{1}javascript:alert(1)",
        ] {
            assert!(parse(bad).is_none(), "{bad}");
        }
        assert!(parse(&format!("https://a.example/{}", "x".repeat(9000))).is_none());
        // What a browser would read otherwise than a person is shown as the browser reads it.
        assert_eq!(parse("https:\\\\good.example\\@evil.example/").unwrap().host_str(), Some("good.example"));
        assert_eq!(parse("https://good.example@evil.example/").unwrap().host_str(), Some("evil.example"));
        assert_eq!(parse("java\tscript:alert(1)"), None);
        assert_eq!(parse("https://аpple.example/").unwrap().host_str(), Some("xn--pple-43d.example"));
    }
}
