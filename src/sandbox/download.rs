//! What is no JSON: file bytes with ranges and validators, avatars, empty documents.
//!
//! An error here is JSON with the type `text/html`, as the vendor's server sends it.

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

use super::server::{Sandbox, refuse, typed};
use super::ticket::Ticket;
use super::workspace::Refusal;
use super::workspace::state::{State, Stored};
use super::{filler, ids, methods};
use crate::sandbox::params::Params;

/// A picture of one pixel.
const PIXEL: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

const HTML: &str = "text/html; charset=utf-8";

/// The conditional headers of a request.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    range: Option<String>,
    if_range: Option<String>,
    if_none_match: Option<String>,
    if_modified_since: Option<String>,
}

impl Conditions {
    pub(super) fn read(headers: &HeaderMap) -> Self {
        let get = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).map(str::to_owned);
        Self {
            range: get(header::RANGE),
            if_range: get(header::IF_RANGE),
            if_none_match: get(header::IF_NONE_MATCH),
            if_modified_since: get(header::IF_MODIFIED_SINCE),
        }
    }

    /// Whether the client has this version already.
    pub(super) fn is_fresh(&self, etag: &str, modified: i64) -> bool {
        if let Some(known) = &self.if_none_match {
            return known.split(',').map(str::trim).any(|known| known == "*" || known.trim_start_matches("W/") == etag);
        }
        self.if_modified_since
            .as_deref()
            .and_then(|date| DateTime::parse_from_rfc2822(date).ok())
            .is_some_and(|date| date.timestamp() >= modified)
    }

    /// The part that is asked for, if the validator still holds.
    fn wanted(&self, etag: &str, modified: i64, size: u64) -> Wanted {
        let is_current = self.if_range.as_deref().is_none_or(|known| known == etag || known == http_date(modified));
        match &self.range {
            Some(range) if is_current => parse_range(range, size),
            _ => Wanted::Whole,
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    Whole,
    /// First and last byte.
    Part(u64, u64),
    Nothing,
}

/// A single byte range; anything else asks for the whole.
fn parse_range(text: &str, size: u64) -> Wanted {
    let Some((first, last)) = text.strip_prefix("bytes=").and_then(|range| range.trim().split_once('-')) else {
        return Wanted::Whole;
    };
    match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), _) if first >= size => Wanted::Nothing,
        (Ok(first), Ok(last)) if last >= first => Wanted::Part(first, last.min(size - 1)),
        (Ok(first), Err(_)) if last.is_empty() => Wanted::Part(first, size - 1),
        (Err(_), Ok(length)) if first.is_empty() => {
            if length == 0 || size == 0 {
                Wanted::Nothing
            } else {
                Wanted::Part(size.saturating_sub(length), size - 1)
            }
        }
        _ => Wanted::Whole,
    }
}

pub(super) fn http_date(seconds: i64) -> String {
    DateTime::<Utc>::from_timestamp(seconds, 0).unwrap_or_default().format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

fn header_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("invalid"))
}

/// What a download serves, copied out of the lock.
struct Served {
    name: String,
    etag: String,
    modified: i64,
    size: u64,
    content: Stored,
    is_tricky: bool,
}

fn granted(sandbox: &Sandbox, params: &Params) -> Result<Served, Refusal> {
    let (file, caller) = if let Some(text) = params.get("ticket") {
        let state = sandbox.workspace.read();
        let ticket = Ticket::open(text, &state.secret).ok_or(Refusal("invalid_ticket"))?;
        let file = state.file_by_id(&ticket.item).ok_or(Refusal("invalid_ticket"))?;
        (file, ticket.subject)
    } else {
        let (caller, _token) = methods::authenticate(sandbox, params)?;
        let state = sandbox.workspace.read();
        let file = params
            .get("file")
            .or_else(|| params.get("id"))
            .and_then(|id| state.file_by_id(id))
            .ok_or(Refusal("invalid_ticket"))?;
        (file, caller)
    };
    let state = sandbox.workspace.read();
    check_access(sandbox, &state, file, caller)?;
    let entry = &state.files[file];
    let newest = entry.newest();
    Ok(Served {
        name: entry.name.clone(),
        etag: format!("\"{}-{}-{}\"", ids::encode(&entry.id), entry.edit_counter(), newest.size),
        modified: entry.timestamp,
        size: newest.size,
        content: newest.content.clone(),
        is_tricky: entry.is_tricky,
    })
}

fn check_access(sandbox: &Sandbox, state: &State, file: usize, caller: usize) -> Result<(), Refusal> {
    let entry = &state.files[file];
    if entry.is_deleted || caller >= state.users.len() {
        return Err(Refusal("invalid_ticket"));
    }
    let faults = sandbox.workspace.faults();
    let is_visible =
        entry.channels.iter().any(|channel| state.is_member(*channel, caller) && !state.is_lost(*channel, faults));
    if is_visible && !state.users[caller].deleted { Ok(()) } else { Err(Refusal("no_permission")) }
}

/// `attachment` with the name twice: plain for old readers, RFC 8187 for the rest. A raw name keeps
/// its slashes in both.
fn disposition(name: &str, is_raw: bool) -> String {
    let mut plain = String::with_capacity(name.len());
    for letter in name.chars() {
        match letter {
            '\\' if is_raw => plain.push_str("\\\\"),
            '/' if is_raw => plain.push('/'),
            '"' | '\\' | '/' => plain.push('_'),
            ' '..='~' => plain.push(letter),
            _ => plain.push('_'),
        }
    }
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{}", ids::encode(name))
}

pub(super) async fn file(sandbox: &Sandbox, params: &Params, conditions: &Conditions) -> Response {
    let served = match granted(sandbox, params) {
        Ok(served) => served,
        Err(refusal) => return refuse(refusal, HTML),
    };
    if params.flag("thumbnail") {
        return typed(StatusCode::OK, "image/png", pixel());
    }
    let date = http_date(served.modified);
    let mut response = if conditions.is_fresh(&served.etag, served.modified) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        match conditions.wanted(&served.etag, served.modified, served.size) {
            Wanted::Nothing => {
                let mut response = StatusCode::RANGE_NOT_SATISFIABLE.into_response();
                response.headers_mut().insert(header::CONTENT_RANGE, header_value(&format!("bytes */{}", served.size)));
                return response;
            }
            Wanted::Whole => match bytes(&served.content, 0, served.size).await {
                Ok(body) => Response::new(body),
                Err(_unreadable) => return refuse(Refusal("fatal_error"), HTML),
            },
            Wanted::Part(first, last) => match bytes(&served.content, first, last - first + 1).await {
                Ok(body) => {
                    let mut response = Response::new(body);
                    *response.status_mut() = StatusCode::PARTIAL_CONTENT;
                    let range = format!("bytes {first}-{last}/{}", served.size);
                    let headers = response.headers_mut();
                    headers.insert(header::CONTENT_RANGE, header_value(&range));
                    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(last - first + 1));
                    response
                }
                Err(_unreadable) => return refuse(Refusal("fatal_error"), HTML),
            },
        }
    };
    let is_whole = response.status() == StatusCode::OK;
    let headers = response.headers_mut();
    if is_whole {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(served.size));
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_DISPOSITION, header_value(&disposition(&served.name, served.is_tricky)));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::ETAG, header_value(&served.etag));
    headers.insert(header::LAST_MODIFIED, header_value(&date));
    response
}

async fn bytes(content: &Stored, first: u64, length: u64) -> std::io::Result<Body> {
    match content {
        Stored::Bytes(bytes) => {
            let at = |position: u64| usize::try_from(position).unwrap_or(usize::MAX);
            let end = at(first + length).min(bytes.len());
            Ok(Body::from(bytes.slice(at(first).min(end)..end)))
        }
        Stored::Path(path) => {
            let mut file = tokio::fs::File::open(path).await?;
            file.seek(std::io::SeekFrom::Start(first)).await?;
            Ok(Body::from_stream(ReaderStream::new(file.take(length))))
        }
        Stored::Generated { seed, .. } => Ok(filler::body(*seed, first, length)),
    }
}

fn pixel() -> Bytes {
    STANDARD.decode(PIXEL).expect("the constant is valid base64").into()
}

pub(super) fn avatar(sandbox: &Sandbox, params: &Params, conditions: &Conditions) -> Response {
    // The hash is a right of its own; without it a token is needed.
    if params.get("avatarhash").is_none()
        && let Err(refusal) = methods::authenticate(sandbox, params)
    {
        return refuse(refusal, HTML);
    }
    let email = params.get("email").unwrap_or_default();
    let Some(user) = sandbox.workspace.read().user_by_name(email) else {
        return refuse(Refusal("user_not_found"), HTML);
    };
    let etag = format!("\"avatar-{user}\"");
    let mut response = if conditions.is_fresh(&etag, i64::MAX) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        typed(StatusCode::OK, "image/png", pixel())
    };
    response.headers_mut().insert(header::ETAG, header_value(&etag));
    response
}

pub(super) fn empty(params: &Params) -> Response {
    let name = match params.get("filetype") {
        Some("text") => "empty.docx",
        Some("spreadsheet") => "empty.xlsx",
        Some("presentation") => "empty.pptx",
        _ => return refuse(Refusal("unknown_type"), HTML),
    };
    let mut response = typed(StatusCode::OK, "application/octet-stream", Bytes::new());
    response.headers_mut().insert(header::CONTENT_DISPOSITION, header_value(&disposition(name, false)));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_follow_the_rfc() {
        assert_eq!(parse_range("bytes=0-3", 10), Wanted::Part(0, 3));
        assert_eq!(parse_range("bytes=5-", 10), Wanted::Part(5, 9));
        assert_eq!(parse_range("bytes=-4", 10), Wanted::Part(6, 9));
        assert_eq!(parse_range("bytes=5-99", 10), Wanted::Part(5, 9));
        assert_eq!(parse_range("bytes=10-", 10), Wanted::Nothing);
        assert_eq!(parse_range("bytes=0-", 0), Wanted::Nothing);
        assert_eq!(parse_range("bytes=3-1", 10), Wanted::Whole);
        assert_eq!(parse_range("bytes=0-1,3-4", 10), Wanted::Whole);
        assert_eq!(parse_range("lines=1-2", 10), Wanted::Whole);
    }

    #[test]
    fn hostile_names_stay_inside_the_header() {
        let value = disposition("a\"\r\nX: ü/..\\b.txt", false);
        assert!(HeaderValue::from_str(&value).is_ok());
        assert!(value.starts_with("attachment; filename=\"a___X: __.._b.txt\""), "{value}");
        assert!(value.contains("%C3%BC"));
        let raw = disposition("../\0\r\nC:\\x", true);
        assert!(HeaderValue::from_str(&raw).is_ok());
        assert!(raw.starts_with("attachment; filename=\"../___C:\\\\x\"; filename*=UTF-8''..%2F%00"), "{raw}");
    }

    #[test]
    fn dates_are_http_dates() {
        assert_eq!(http_date(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}
