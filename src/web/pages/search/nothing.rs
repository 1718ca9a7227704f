//! What a page says that found nothing: where it looked, and what its parts find alone.

use super::advanced::{is_query, word};
use super::asked::Asked;
use super::reading::part_texts;
use crate::history::Directory;
use crate::index::{Order, Paging, Request};
use crate::model::UtcTime;
use crate::query::{self, Context, Parsed, Query};
use crate::web::desk::Desk;
use crate::web::error::WebError;

/// Parts and words that are tried alone.
const TRIED: usize = 10;

/// A search that is like the one that found nothing.
pub(crate) struct Alone {
    pub(crate) text: String,
    pub(crate) count: u64,
    pub(crate) href: String,
}

#[derive(Default)]
pub(crate) struct Nothing {
    /// Versions of messages, comments and files that were looked through.
    pub(crate) searched: u64,
    pub(crate) alone: Vec<Alone>,
    /// The same query without what was chosen beside it.
    pub(crate) unnarrowed: Option<Alone>,
}

impl Nothing {
    pub(crate) fn of(
        desk: &Desk,
        asked: &Asked,
        parsed: &Parsed,
        as_of: Option<UtcTime>,
        directory: &Directory,
    ) -> Result<Self, WebError> {
        let count = |query: &Query| -> Result<u64, WebError> {
            let request = Request {
                query,
                scope: &desk.viewer.scope,
                directory,
                kinds: &[],
                states: &[],
                as_of,
                order: Order::Newest,
                paging: Paging::Page { offset: 0, limit: 0 },
                facets: None,
            };
            match desk.search(&request) {
                Ok(answer) => Ok(answer.total),
                // A part may stand for too much by itself.
                Err(crate::index::Error::TooBroad(_)) => Ok(0),
                Err(error) => Err(error.into()),
            }
        };
        let context = Context { zone: desk.zone, now: desk.web().now() };
        let mut out = Self { searched: count(&Query::All)?, ..Self::default() };
        let unnarrowed = Asked { only: Vec::new(), on: None, ..asked.asking(&asked.q) };
        if (!asked.only.is_empty() || asked.on.is_some()) && !asked.q.trim().is_empty() {
            let count = count(&parsed.query)?;
            out.unnarrowed = Some(Alone { text: asked.q.clone(), count, href: unnarrowed.href() });
        }
        // Where nothing is archived, no part is found either.
        let parts = if out.searched > 0 { texts(&asked.q, parsed) } else { Vec::new() };
        for text in parts {
            let Ok(read) = query::parse(&text, &context) else { continue };
            let count = count(&read.query)?;
            out.alone.push(Alone { href: unnarrowed.asking(&text).href(), count, text });
        }
        Ok(out)
    }
}

/// The parts of a query, the words of its phrases, and of a single word those that begin with it or are
/// spelled almost like it.
fn texts(q: &str, parsed: &Parsed) -> Vec<String> {
    let parts = part_texts(q, parsed);
    let mut out: Vec<String> = Vec::new();
    let mut add = |text: String| {
        if out.len() < TRIED && text != q.trim() && !out.contains(&text) && is_query(&text) {
            out.push(text);
        }
    };
    for part in &parts {
        add((*part).to_owned());
        let is_phrase =
            part.starts_with('"') && part.trim_end_matches(|c: char| c == '~' || c.is_ascii_digit()).ends_with('"');
        if is_phrase {
            part.split(['"', '~', ' '])
                .filter(|text| text.contains(char::is_alphabetic))
                .filter_map(word)
                .for_each(&mut add);
        }
        let is_near = part.split_whitespace().any(|word| word.contains('/'));
        if is_near || part.contains(" OR ") {
            let operands = part.split(|c: char| c.is_whitespace() || "()\"".contains(c));
            operands
                .filter(|text| *text != "OR" && !text.contains(['/', ':']) && text.len() > 1)
                .filter_map(word)
                .for_each(&mut add);
        }
    }
    if let [alone] = parts.as_slice()
        && alone.chars().all(char::is_alphanumeric)
        && alone.chars().count() > 2
    {
        add(format!("{alone}*"));
        add(format!("{alone}~"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Zone;

    #[test]
    fn parts_and_words_are_tried_alone() {
        for (q, due) in [
            ("crane gearbx", &["crane", "gearbx"][..]),
            ("\"change ordr\" from:jana", &["\"change ordr\"", "change", "ordr", "from:jana"]),
            ("\"change ordr\"", &["change", "ordr"]),
            ("(price OR plate) w/3 gearbx", &["price", "plate", "gearbx"]),
            ("gearbx", &["gearbx*", "gearbx~"]),
            ("-x y", &["-x", "y"]),
            ("", &[]),
        ] {
            let parsed = query::parse(q, &Context { zone: Zone::UTC, now: chrono::DateTime::UNIX_EPOCH }).unwrap();
            assert_eq!(texts(q, &parsed), due, "{q}");
        }
    }
}
