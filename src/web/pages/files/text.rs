//! What was read in a file, as a page of its own: long texts in pages, what a search found in them marked.

use askama::Template;
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::{Chosen, Sort, Wanted, href};
use crate::index::mark;
use crate::model::Digest;
use crate::query::{self, Context, PART_BREAK, Within};
use crate::store::ResultRow;
use crate::web::desk::Desk;
use crate::web::error::{WebError, blocking, render};
use crate::web::markup::{Piece, encode, lines, visible};
use crate::web::pages::Shell;
use crate::web::pages::view::Moment;
use crate::web::visits::Told;

/// Bytes of a text on a page of it: a page is cut at the end of a line.
const PAGE: usize = 32 * 1024;
/// A file of plain text that no reader has read is shown up to here.
const PLAIN: u64 = 4 << 20;

/// What was read in a content, and where it is from.
pub(super) struct ReadText {
    /// [`PART_BREAK`] stands between parts.
    pub(super) text: String,
    /// Sentences about where it is from and what is missing of it.
    pub(super) source: Vec<String>,
}

/// What was read in a content; nothing when nothing was. The readers' result counts; a file of plain text that
/// they have not come to speaks for itself.
pub(super) fn read(desk: &Desk, content: &Digest) -> Result<ReadText, WebError> {
    let w = desk.w;
    let row = match desk.web().derived() {
        Some(derived) => derived.newest(content)?,
        None => None,
    };
    let mut source = vec![outcome(desk, row.as_ref())];
    let is_pdf = Sort::of(desk, content)? == Sort::Pdf;
    let (text, row) = match row {
        Some(row) if !row.text.trim().is_empty() => (row.text.clone(), Some(row)),
        other => (plain(desk, content)?, other),
    };
    if let Some(row) = &row {
        if let Some(charset) = &row.charset {
            source.push(w.with("text-charset", visible(charset)));
        }
        if let Some(pages) = row.pages {
            source.push(w.count("text-pages", pages));
        }
        if let Some(detail) = &row.detail {
            source.push(visible(detail));
        }
        if row.is_truncated {
            source.push(w.say("text-cut"));
        }
    }
    if text.is_empty() {
        return Ok(ReadText { text, source });
    }
    if row.as_ref().is_none_or(|row| row.text.trim().is_empty()) {
        source.push(w.say("text-itself"));
    } else {
        source.push(if is_pdf { w.say("text-no-pages") } else { w.say("text-no-layout") });
    }
    Ok(ReadText { text, source })
}

/// What became of reading it, by what and when.
fn outcome(desk: &Desk, row: Option<&ResultRow>) -> String {
    let w = desk.w;
    let Some(row) = row else { return w.say("text-not-yet") };
    let outcome = match row.status.as_str() {
        "ok" => w.say("reading-ok"),
        "partial" => w.say("reading-partial"),
        "encrypted" => w.say("reading-encrypted"),
        "unsupported" => w.say("reading-unsupported"),
        "timeout" => w.say("reading-timeout"),
        "too_big" => w.say("reading-too-big"),
        _ => w.say("reading-failed"),
    };
    w.with_three("text-read-by", outcome, visible(&row.engine), Moment::parse(&row.read_at, desk.zone).full)
}

/// The bytes as text, when that is what they are.
fn plain(desk: &Desk, content: &Digest) -> Result<String, WebError> {
    let Ok(file) = fs_err::File::open(desk.web().blobs().path(content)) else { return Ok(String::new()) };
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut std::io::Read::take(file, PLAIN), &mut bytes)
        .map_err(|error| WebError::Internal(error.to_string()))?;
    let text = match std::str::from_utf8(&bytes) {
        Ok(text) => text,
        // The limit may have cut a character in two.
        Err(error) if bytes.len() as u64 == PLAIN && error.error_len().is_none() => {
            std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => "",
    };
    let is_text = !text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{c}'));
    Ok(if is_text { text.to_owned() } else { String::new() })
}

/// Where the pages of a text begin and end: each at most [`PAGE`] bytes, cut after a line, a word or a character.
fn cuts(text: &str, page: usize) -> Vec<std::ops::Range<usize>> {
    let mut out = Vec::new();
    let mut from = 0;
    while text.len() - from > page {
        let mut end = from + page;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let ahead = &text[from..end];
        // Not so early that a page is nearly empty.
        let after =
            |found: Option<usize>, length: usize| found.filter(|at| *at > page / 2).map(|at| from + at + length);
        end = after(ahead.rfind(['\n', PART_BREAK]), 1).or_else(|| after(ahead.rfind(' '), 1)).unwrap_or(end);
        out.push(from..end);
        from = end;
    }
    out.push(from..text.len());
    out
}

/// The beginning of a text, and whether there is more.
pub(super) fn beginning(text: &str, bytes: usize) -> (Vec<Vec<Piece>>, bool) {
    let first = cuts(text, bytes).swap_remove(0);
    (parts(&text[first.clone()]), first.end < text.len())
}

/// The parts of a text, each in pieces.
fn parts(text: &str) -> Vec<Vec<Piece>> {
    text.split(PART_BREAK).filter(|part| !part.trim().is_empty()).map(lines).collect()
}

/// Which page of the text, and what to mark.
#[derive(Debug, Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    page: String,
    #[serde(default)]
    q: String,
}

#[derive(Template)]
#[template(path = "file_text.html")]
struct TextPage {
    shell: Shell,
    name: String,
    file: String,
    download: String,
    version: usize,
    versions: usize,
    source: Vec<String>,
    parts: Vec<Vec<Piece>>,
    number: usize,
    pages: usize,
    q: String,
    error: Option<String>,
    /// Pages of the text on which something of the query stands.
    found: Vec<(usize, String)>,
    older: Option<String>,
    newer: Option<String>,
}

/// The text of a version.
pub(crate) async fn text(
    desk: Desk,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
    Query(asked): Query<Asked>,
) -> Result<Response, WebError> {
    let (page, content) = blocking(move || build(&desk, &id, &wanted, asked)).await?;
    let mut response = render(StatusCode::OK, &page);
    response.extensions_mut().insert(Told { content: Some(content.to_string()), ..Told::default() });
    Ok(response)
}

fn build(desk: &Desk, id: &str, wanted: &Wanted, asked: Asked) -> Result<(TextPage, Digest), WebError> {
    let chosen = Chosen::find(desk, id, wanted)?;
    let content = chosen.content().ok_or(WebError::NotFound)?;
    let ReadText { text, source } = read(desk, &content)?;
    let name = visible(&chosen.name());
    let cuts = cuts(&text, PAGE);
    let number = asked.page.parse().unwrap_or(1_usize).clamp(1, cuts.len());
    let (query, error) = match asked.q.trim() {
        "" => (None, None),
        typed => match query::parse(typed, &Context { zone: desk.zone, now: desk.web().now() }) {
            Ok(parsed) => (Some(parsed.query), None),
            Err(error) => (None, Some(error.to_string())),
        },
    };
    let address = |page: usize| {
        let mut out = format!("{}/text?v={}", href(id), chosen.number);
        if !asked.q.is_empty() {
            out.push_str(&format!("&q={}", encode(&asked.q)));
        }
        if page > 1 {
            out.push_str(&format!("&page={page}"));
        }
        out
    };
    let marked = |page: usize| {
        let shown = &text[cuts[page - 1].clone()];
        query.as_ref().and_then(|query| mark(shown, query, Within::Content))
    };
    let found: Vec<(usize, String)> = match &query {
        Some(_) => (1..=cuts.len()).filter(|page| marked(*page).is_some()).map(|page| (page, address(page))).collect(),
        None => Vec::new(),
    };
    let shown = marked(number).unwrap_or_else(|| text[cuts[number - 1].clone()].to_owned());
    let page = TextPage {
        shell: Shell::new(desk, "files", desk.w.with("text-of", &name)),
        name,
        file: href(id),
        download: format!("{}/blob?v={}", href(id), chosen.number),
        version: chosen.number,
        versions: chosen.item.readings().len(),
        source,
        parts: parts(&shown),
        number,
        pages: cuts.len(),
        error,
        found,
        older: (number > 1).then(|| address(number - 1)),
        newer: (number < cuts.len()).then(|| address(number + 1)),
        q: asked.q,
    };
    Ok((page, content))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_after_lines_and_nothing_of_it_is_lost() {
        for text in [
            String::new(),
            "short".to_owned(),
            "line of words\n".repeat(40),
            "příliš žluťoučký kůň ".repeat(30),
            "nospaces".repeat(50),
            "東京都".repeat(60),
            format!("{}\u{1d}{}", "a".repeat(90), "b".repeat(90)),
        ] {
            let pages = cuts(&text, 100);
            assert_eq!(pages.iter().map(|page| &text[page.clone()]).collect::<String>(), text);
            assert!(pages.iter().all(|page| page.len() <= 100), "{text}");
            assert!(pages.len() <= 1 + 2 * text.len() / 100, "{} pages", pages.len());
        }
        let lines = "line of words\n".repeat(40);
        assert!(cuts(&lines, 100).iter().all(|page| lines[page.clone()].ends_with('\n')));
        assert!(!beginning("one two", 100).1);
        assert!(beginning(&lines, 100).1);
    }

    #[test]
    fn parts_of_a_text_stand_apart() {
        let parts = parts("one\u{1d}\u{1d} \u{1d}two");
        assert_eq!(parts, [[Piece::Text("one".into())], [Piece::Text("two".into())]]);
    }
}
