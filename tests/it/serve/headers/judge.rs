//! What the headers of an answer have to say, whatever it answers.

use axum::http::{HeaderMap, StatusCode, header};

/// What no answer of a page may do in a browser.
const POLICY: [&str; 14] = [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "font-src 'self'",
    "connect-src 'self'",
    "form-action 'self'",
    "frame-src 'self'",
    "object-src 'none'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types archive",
    "report-uri /csp-report",
];

/// What is said for all, with one value.
const FIXED: [(&str, &str); 5] = [
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("x-robots-tag", "noindex"),
];

/// What a page may not reach, whatever runs in it.
const DEVICES: [&str; 8] =
    ["camera", "microphone", "geolocation", "usb", "payment", "serial", "hid", "display-capture"];

/// What would tell of us, or let others in.
const NEVER: [&str; 4] = ["server", "x-powered-by", "access-control-allow-origin", "access-control-allow-credentials"];

/// An answer: its status, its headers, its body.
#[derive(Clone, Copy)]
pub(crate) struct Judged<'a> {
    pub(crate) status: StatusCode,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
    /// People reach it over TLS only.
    pub(crate) is_https: bool,
}

impl Judged<'_> {
    fn header(&self, name: impl header::AsHeaderName) -> &str {
        self.headers.get(name).map_or("", |value| std::str::from_utf8(value.as_bytes()).unwrap())
    }
}

/// What of an answer's headers is not as it should be.
pub(crate) fn judge(what: &str, answer: Judged<'_>, problems: &mut Vec<String>) {
    let mut wrong = |detail: String| problems.push(format!("{what} ({}): {detail}", answer.status.as_u16()));
    for (name, due) in FIXED {
        let found: Vec<_> = answer.headers.get_all(name).iter().collect();
        if found.len() != 1 || found[0] != due {
            wrong(format!("{name}: {found:?}"));
        }
    }
    let policy: Vec<&str> = answer.header(header::CONTENT_SECURITY_POLICY).split("; ").collect();
    if answer.headers.get_all(header::CONTENT_SECURITY_POLICY).iter().count() != 1 {
        wrong("not one policy".to_owned());
    }
    let is_content = policy.first() == Some(&"sandbox");
    let is_right = if is_content { policy.contains(&"default-src 'none'") } else { policy == POLICY };
    if !is_right {
        wrong(format!("policy {policy:?}"));
    }
    let closed = answer.header("permissions-policy");
    for device in DEVICES {
        if !closed.split(", ").any(|part| part == format!("{device}=()")) {
            wrong(format!("{device} is not closed: {closed}"));
        }
    }
    let is_static = what.contains(" /static/") && answer.status == 200;
    let due = if is_static { "public, max-age=31536000, immutable" } else { "no-store" };
    if answer.header(header::CACHE_CONTROL) != due {
        wrong(format!("cache-control: {}", answer.header(header::CACHE_CONTROL)));
    }
    let number = answer.header("x-request-id");
    if number.len() != 16 || !number.chars().all(|c| c.is_ascii_hexdigit()) {
        wrong(format!("x-request-id: {number:?}"));
    }
    for name in NEVER {
        if answer.headers.contains_key(name) {
            wrong(format!("{name}: {}", answer.header(name)));
        }
    }
    if answer.headers.contains_key(header::STRICT_TRANSPORT_SECURITY) != answer.is_https {
        wrong(format!("strict-transport-security: {}", answer.header(header::STRICT_TRANSPORT_SECURITY)));
    }
    if !answer.body.is_empty() && answer.header(header::CONTENT_TYPE).is_empty() {
        wrong("a body of no type".to_owned());
    }
    let kind = answer.header(header::CONTENT_TYPE);
    if kind.starts_with("text/") && !kind.contains("charset=utf-8") {
        wrong(format!("no character set: {kind}"));
    }
    let is_page = kind.starts_with("text/html");
    if is_page && is_content && !answer.header(header::CONTENT_DISPOSITION).starts_with("attachment") {
        wrong("a content as a page".to_owned());
    }
    if answer.status.is_server_error() && is_page && !String::from_utf8_lossy(answer.body).contains(number) {
        wrong("a fault without its number".to_owned());
    }
}
