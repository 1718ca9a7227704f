//! The door of every content route: an entry of the access log is written before a byte is sent, and
//! when it cannot be written nothing of the content is.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use axum::body::Body;
use axum::extract::{FromRequestParts as _, MatchedPath, RawPathParams, Request, State};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::desk::{Viewer, Web};
use super::error::WebError;
use super::exporting::Exporting;
use super::front::Whence;
use super::words::{grouped, words};
use crate::model::Digest;
use crate::record::{Action, Visit, scope_note};

/// What stands behind the `?` of an address is never longer, so that all of what was asked stands in the log.
pub(super) const LONGEST: usize = 64 << 10;
/// Longer lists of records are told by their number and their SHA-256.
const LONGEST_LIST: usize = 4096;

/// Stands in a page for the number of its entry in the access log, which is known when the page is made
/// and not yet sent. Nobody can guess it, and it never leaves the house.
pub(super) static ENTRY: LazyLock<String> = LazyLock::new(|| {
    let mut bytes = [0_u8; 16];
    // Without a random source a page could only be made to show its own number where somebody wrote this.
    if getrandom::fill(&mut bytes).is_err() {
        tracing::warn!("the system gives no random bytes");
    }
    format!("entry-{:032x}", u128::from_be_bytes(bytes))
});

/// What a handler tells of its answer that the request does not say: how many matches a query has,
/// the content that is sent. It travels with the answer and never leaves the house.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    pub(super) hits: Option<u64>,
    pub(super) content: Option<String>,
    /// What was done, where it is more than a look.
    pub(super) action: Option<Action>,
    /// The set that was asked for. It is begun once that is logged.
    pub(super) set: Option<i64>,
}

pub(super) fn cut(text: &str, longest: usize) -> String {
    let mut end = text.len().min(longest);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

/// Where a request came from; see `front.rs`.
pub(super) fn origin(parts: &Parts) -> Visit {
    parts.extensions.get::<Whence>().map(|whence| whence.visit.clone()).unwrap_or_default()
}

/// The word for a page, from the pattern of its route.
fn page_name(pattern: &str) -> &str {
    match pattern {
        "/" => "overview",
        "/search" => "search",
        "/search/advanced" => "search_form",
        "/saved" | "/saved/keep" | "/saved/{id}/delete" => "saved",
        "/certificate" => "certificate",
        "/exhibits" => "exhibits",
        "/exhibits/{n}" => "exhibit",
        "/exhibits/{n}/exhibit.html" => "exhibit file",
        "/exports" => "exports",
        "/exports/{n}" => "export",
        "/exports/{n}/set.zip" => "set",
        "/c" => "channels",
        "/c/{id}" => "timeline",
        "/c/{id}/day/{date}" => "day",
        "/c/{id}/day/{date}/list.txt" => "day list",
        "/people" => "people",
        "/people/{id}" => "person",
        "/r/{record}/v/{number}" => "version",
        "/r/{record}" => "record",
        "/r/{record}/raw.json" => "raw",
        "/r/{record}/proof.tlog-proof" | "/r/{record}/proof.json" => "proof",
        "/f" => "files",
        "/f/{id}" => "file",
        "/f/{id}/text" => "text",
        "/f/{id}/preview" => "preview",
        "/f/{id}/thumbnail" => "thumbnail",
        "/f/{id}/blob" => "blob",
        "/crawl" => "crawls",
        "/crawl/coverage" => "coverage",
        "/crawl/runs/{run}" => "crawl",
        "/verify" => "verify",
        "/verify/verify.py" | "/verify/verify.html" | "/verify/ledger.vkey" => "verifier",
        "/access" => "access",
        "/access/{entry}" => "entry",
        "/sessions" => "sessions",
        "/sessions/factor" => "second factor",
        "/admin/users" => "users",
        "/admin/tokens" => "tokens",
        // A page that has no word yet is named by its route.
        other => other,
    }
}

/// What a page request asks for.
async fn asked(parts: &mut Parts) -> Visit {
    let pattern = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str).to_owned();
    let mut visit = Visit { page: Some(page_name(&pattern).to_owned()), ..origin(parts) };
    let mut places = Vec::new();
    if let Ok(params) = RawPathParams::from_request_parts(parts, &()).await {
        for (name, value) in &params {
            let value = cut(value, LONGEST);
            match (name, pattern.split('/').nth(1).unwrap_or_default()) {
                ("id", "c") => visit.channel = Some(value),
                ("id", "f") => visit.file = Some(value),
                ("id", "people") => visit.person = Some(value),
                ("record", _) => visit.record = Some(value),
                _ => places.push(format!("{name}={value}")),
            }
        }
    }
    for (name, value) in url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()) {
        match name.as_ref() {
            "q" => visit.query = Some(cut(&value, LONGEST)),
            "channel" if visit.page.as_deref() == Some("coverage") => visit.channel = Some(cut(&value, LONGEST)),
            // In which zone times are shown, and what a link says to the script of a page, changes no content.
            "tz" => {}
            _ if value.is_empty() => {}
            name => places.push(format!("{name}={}", cut(&value, LONGEST))),
        }
    }
    if parts.method != Method::GET {
        places.push(parts.method.to_string());
    }
    visit.place = (!places.is_empty()).then(|| cut(&places.join(" "), LONGEST));
    visit
}

/// Numbers as the log has them: stretches of them, or, where these are too many to list, how many there are and
/// the SHA-256 of the list.
pub(super) fn list(numbers: &BTreeSet<u64>) -> Option<String> {
    let mut stretches: Vec<(u64, u64)> = Vec::new();
    for number in numbers {
        match stretches.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => stretches.push((*number, *number)),
        }
    }
    let texts =
        stretches.iter().map(|(first, last)| if first == last { first.to_string() } else { format!("{first}-{last}") });
    let text = texts.collect::<Vec<_>>().join(",");
    match text.len() {
        0 => None,
        1..=LONGEST_LIST => Some(text),
        _ => Some(format!("{} records, sha256 {}", numbers.len(), Digest::of(text.as_bytes()))),
    }
}

/// The records whose contents stand on a page, read from the page itself so that none can forget to tell: what
/// shows one has its number as `id="m…"`. Nobody can write that into a message: templates escape quotes.
fn shown(page: &str) -> Option<String> {
    const MARK: &str = " id=\"m";
    let numbers = page.match_indices(MARK).filter_map(|(at, _)| {
        let rest = &page[at + MARK.len()..];
        rest[..rest.find('"')?].parse().ok()
    });
    list(&numbers.collect())
}

/// An answer with what it says, when that is a page.
enum Answer {
    Page(axum::http::response::Parts, String),
    Other(Response),
}

/// Takes a page out of its answer.
async fn read(response: Response) -> Result<Answer, WebError> {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if !kind.is_some_and(|kind| kind.starts_with("text/html")) {
        return Ok(Answer::Other(response));
    }
    let (mut parts, body) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    match axum::body::to_bytes(body, usize::MAX).await.map(|bytes| String::from_utf8(bytes.into())) {
        Ok(Ok(page)) => Ok(Answer::Page(parts, page)),
        _ => Err(WebError::Internal("a page was no text".to_owned())),
    }
}

/// Lets a request for a page through and its answer out, once the log has an entry of it.
pub(super) async fn recorded(State(web): State<Arc<Web>>, request: Request, next: Next) -> Response {
    if request.method() != Method::POST {
        return through(web, request, next).await;
    }
    // A change and its entry belong together: who closes the connection stops neither.
    let changed = tokio::spawn(through(web, request, next)).await;
    changed.unwrap_or_else(|_| WebError::Internal("a change panicked".to_owned()).into_response())
}

async fn through(web: Arc<Web>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let is_head = parts.method == Method::HEAD;
    let is_too_long = parts.uri.query().is_some_and(|query| query.len() > LONGEST);
    let visit = asked(&mut parts).await;
    let viewer = match Viewer::from_request_parts(&mut parts, &()).await {
        Ok(viewer) => viewer,
        Err(error) => return error.into_response(),
    };
    let response = if is_too_long {
        WebError::Bad(words().count("address-too-long", LONGEST)).into_response()
    } else {
        next.run(Request::from_parts(parts, body)).await
    };
    let told = response.extensions().get::<Told>().cloned().unwrap_or_default();
    let answer = match read(response).await {
        Ok(answer) => answer,
        Err(error) => Answer::Other(error.into_response()),
    };
    let visit = Visit {
        user: Some(viewer.name),
        role: Some(viewer.role.as_str().to_owned()),
        scope: Some(scope_note(&viewer.scope)),
        hits: told.hits,
        content: told.content,
        // Of a page that is asked for by HEAD nothing is sent.
        shown: if let (Answer::Page(_, page), false) = (&answer, is_head) { shown(page) } else { None },
        ..visit
    };
    let status = match &answer {
        Answer::Page(parts, _) => parts.status,
        Answer::Other(response) => response.status(),
    };
    let action = told.action.unwrap_or(Action::View);
    let logged = logged(&web, action, visit, status).await;
    if let Some(set) = told.set {
        if logged.is_ok() {
            Exporting::begin(&web, set);
        } else {
            web.exporting().forget(set);
        }
    }
    match (logged, answer) {
        (Ok(number), Answer::Page(parts, page)) => {
            Response::from_parts(parts, Body::from(page.replace(ENTRY.as_str(), &grouped(number))))
        }
        (Ok(_), Answer::Other(response)) => response,
        (Err(error), _) => error.into_response(),
    }
}

/// Notes who tried to change accounts and did not: of a change that is made the entry of the change tells.
pub(super) async fn refused(State(web): State<Arc<Web>>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let visit = asked(&mut parts).await;
    let viewer = match Viewer::from_request_parts(&mut parts, &()).await {
        Ok(viewer) => viewer,
        Err(error) => return error.into_response(),
    };
    let response = next.run(Request::from_parts(parts, body)).await;
    if response.status().as_u16() < 400 {
        return response;
    }
    let visit = Visit { user: Some(viewer.name), role: Some(viewer.role.as_str().to_owned()), ..visit };
    match logged(&web, Action::View, visit, response.status()).await {
        Ok(_) => response,
        Err(error) => error.into_response(),
    }
}

/// Writes the entry of an answer that is about to be sent. Until this returns, no byte of the answer
/// may leave; when it fails, none ever. The number of the entry.
pub(super) async fn before_sending(web: &Web, visit: Visit, status: StatusCode) -> Result<u64, WebError> {
    logged(web, Action::View, visit, status).await
}

async fn logged(web: &Web, action: Action, visit: Visit, status: StatusCode) -> Result<u64, WebError> {
    let visit = Visit { status: Some(status.as_u16()), ..visit };
    let log = web.access().log().clone();
    match tokio::task::spawn_blocking(move || log.record(action, &visit)).await {
        Ok(Ok(number)) => Ok(number),
        Ok(Err(error)) => Err(WebError::Unlogged(error.to_string())),
        Err(_) => Err(WebError::Unlogged("its writer panicked".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_page_shows_is_read_from_it() {
        for (page, due) in [
            ("<main id=\"main\"><p>nothing</p>", None),
            (r#"<article class="message" id="m7"><li id="m9"><article id="m8">"#, Some("7-9")),
            (r#"<article id="m12"> id=&#34;m99&#34; <a href="/r/13">"#, Some("12")),
            (r#"<article id="m1"></article><article id="m3">"#, Some("1,3")),
        ] {
            assert_eq!(shown(page).as_deref(), due, "{page}");
        }
        let many: BTreeSet<u64> = (0..4000).map(|n| n * 2).collect();
        let text = list(&many).unwrap();
        assert!(text.starts_with("4000 records, sha256 ") && text.len() < 100, "{text}");
        let others: BTreeSet<u64> = (0..4000).map(|n| n * 2 + 1).collect();
        assert_ne!(list(&others).unwrap(), text);
    }
}
