//! How a query was read: its parts, what they stand for, and the same search without each of them.

use std::ops::Range;

use super::asked::Asked;
use super::rail::Names;
use crate::history::Directory;
use crate::index::{Expansion, channels_called, conversations_with, people_called};
use crate::model::{ChannelId, Zone};
use crate::query::{Context, Parsed, Place, Query, explain, parse, plans};
use crate::web::desk::Desk;
use crate::web::markup::visible;

/// Words of a pattern that are shown.
const SHOWN_WORDS: usize = 40;
/// Names that a name stands for, and names that are told of.
const SHOWN_NAMES: usize = 12;

/// A part of a query that must hold beside the others.
pub(crate) struct PartView {
    pub(crate) read: String,
    /// The search without it.
    pub(crate) without: Option<String>,
    /// The word alone, where the part stands for words like it, and the search for that.
    pub(crate) exact: Option<(String, String)>,
}

/// What a pattern or a name stood for.
pub(crate) struct StandsFor {
    pub(crate) written: String,
    pub(crate) count: usize,
    pub(crate) words: String,
    pub(crate) more: usize,
}

/// How a query was read.
#[derive(Default)]
pub(crate) struct Reading {
    pub(crate) sentence: String,
    /// What never matters in a text.
    pub(crate) folded: Vec<String>,
    pub(crate) parts: Vec<PartView>,
    pub(crate) names: Vec<StandsFor>,
    pub(crate) expansions: Vec<StandsFor>,
}

/// A query that cannot be read, around the place where it stops.
pub(crate) struct Fault {
    pub(crate) what: String,
    pub(crate) before: String,
    pub(crate) at: String,
    pub(crate) after: String,
}

impl Fault {
    pub(crate) fn new(text: &str, what: String, place: Place) -> Self {
        let (start, end) = (text.floor_char_boundary(place.start), text.floor_char_boundary(place.end));
        let piece = |range: Range<usize>| text.get(range).map(visible).unwrap_or_default();
        Self { what, before: piece(0..start), at: piece(start..end), after: piece(end..text.len()) }
    }
}

/// The texts of the parts of a query of which each must hold.
pub(crate) fn part_texts<'q>(text: &'q str, parsed: &Parsed) -> Vec<&'q str> {
    parsed.parts.iter().filter_map(|place| text.get(place.start..place.end)).collect()
}

impl Reading {
    pub(crate) fn new(
        desk: &Desk,
        asked: &Asked,
        parsed: &Parsed,
        found: &[Expansion],
        directory: &Directory,
        names: &Names<'_>,
    ) -> Self {
        let w = desk.w;
        let mut out = Self { sentence: explain(&parsed.query, desk.zone), ..Self::default() };
        if !plans(&parsed.query).is_empty() {
            out.folded.push(w.say("folded"));
            if asked.q.chars().any(|c| matches!(c, '\u{600}'..='\u{6ff}')) {
                out.folded.push(w.say("folded-arabic"));
            }
            if asked.q.chars().any(|c| "äöüøåÄÖÜØÅ".contains(c)) {
                out.folded.push(w.say("folded-umlauts"));
            }
        }
        out.parts = parts(desk, asked, parsed);
        out.expansions = found.iter().map(|found| stands_for(&found.written, &found.words, SHOWN_WORDS)).collect();
        let mut meant = Vec::new();
        name_parts(&parsed.query, directory, names, &mut meant);
        meant.dedup_by(|a, b| a.0 == b.0);
        out.names = meant.iter().take(SHOWN_NAMES).map(|(who, all)| stands_for(who, all, SHOWN_NAMES)).collect();
        out
    }

    /// Whether there is more to say than the sentence does.
    pub(crate) fn has_more(&self) -> bool {
        self.parts.len() > 1
            || self.parts.iter().any(|part| part.exact.is_some())
            || !self.names.is_empty()
            || !self.expansions.is_empty()
    }
}

fn stands_for(written: &str, words: &[String], most: usize) -> StandsFor {
    let shown = &words[..words.len().min(most)];
    StandsFor {
        written: visible(written),
        count: words.len(),
        words: visible(&shown.join(" · ")),
        more: words.len() - shown.len(),
    }
}

fn parts(desk: &Desk, asked: &Asked, parsed: &Parsed) -> Vec<PartView> {
    let queries: &[Query] = match &parsed.query {
        Query::And(parts) if parts.len() == parsed.parts.len() => parts,
        query => std::slice::from_ref(query),
    };
    let places = parsed.parts.iter().zip(queries);
    places
        .map(|(place, query)| PartView {
            read: visible(&explain(query, desk.zone)),
            without: (queries.len() > 1)
                .then(|| without(&asked.q, *place, desk.zone))
                .flatten()
                .map(|q| asked.asking(&q).href()),
            exact: exact(asked.q.get(place.start..place.end).unwrap_or_default()).map(|word| {
                let (before, after) = (&asked.q[..place.start], &asked.q[place.end..]);
                (word.to_owned(), asked.asking(&format!("{before}{word}{after}")).href())
            }),
        })
        .collect()
}

/// The word that a part is a pattern of.
fn exact(part: &str) -> Option<&str> {
    let word = part.strip_suffix("~~").or_else(|| part.strip_suffix('*')).or_else(|| {
        let (word, edits) = part.rsplit_once('~')?;
        ["", "1", "2"].contains(&edits).then_some(word)
    })?;
    (!word.is_empty() && word.chars().all(char::is_alphanumeric)).then_some(word)
}

/// A query without one of its parts, if what is left can be read.
fn without(text: &str, place: Place, zone: Zone) -> Option<String> {
    let (before, after) = (text.get(..place.start)?.trim_end(), text.get(place.end..)?.trim_start());
    let is_and = |word: &str| word == "AND" || word == "&&";
    let (before, after) = match (before.rsplit_once(char::is_whitespace), after.split_once(char::is_whitespace)) {
        (Some((rest, last)), _) if is_and(last) => (rest, after),
        (_, Some((first, rest))) if is_and(first) => (before, rest),
        _ => (before, after),
    };
    let left = format!("{} {}", before.trim_end(), after.trim_start()).trim().to_owned();
    let context = Context { zone, now: chrono::DateTime::UNIX_EPOCH };
    parse(&left, &context).is_ok().then_some(left)
}

/// Names in a query with all that each stands for.
fn name_parts(query: &Query, directory: &Directory, names: &Names<'_>, out: &mut Vec<(String, Vec<String>)>) {
    let people = |who: &str| -> Vec<String> {
        let ids = people_called(directory, who);
        ids.iter().map(|id| format!("{} ({id})", names.person(id))).collect()
    };
    let channels = |found: Vec<&ChannelId>| -> Vec<String> { found.iter().map(|id| names.channel(id)).collect() };
    // The nesting of a query is bounded.
    match query {
        Query::And(parts) | Query::Or(parts) => parts.iter().for_each(|part| name_parts(part, directory, names, out)),
        Query::Not(inner) => name_parts(inner, directory, names, out),
        Query::From(who) | Query::Mentions(who) => out.push((who.clone(), people(who))),
        Query::In(called) => out.push((called.clone(), channels(channels_called(directory, called)))),
        Query::With(who) => out.push((who.clone(), channels(conversations_with(directory, who)))),
        _ => {}
    }
    out.retain(|(_, all)| !all.is_empty());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Parsed {
        parse(text, &Context { zone: Zone::UTC, now: chrono::DateTime::UNIX_EPOCH }).unwrap()
    }

    #[test]
    fn a_query_is_left_without_one_part_as_it_was_typed() {
        for (text, at, due) in [
            ("a b", 0, Some("b")),
            ("a  from:x b", 1, Some("a b")),
            ("a AND \"b c\" AND d", 1, Some("a AND d")),
            ("a AND b", 0, Some("b")),
            ("a AND b", 1, Some("a")),
            ("a -b", 1, Some("a")),
            ("(a OR b) -(c d)", 0, Some("-(c d)")),
            ("a w/3 b in:(x y)", 0, Some("in:(x y)")),
        ] {
            let parsed = parsed(text);
            assert_eq!(without(text, parsed.parts[at], Zone::UTC).as_deref(), due, "{text}");
        }
        assert_eq!(part_texts("a OR b", &parsed("a OR b")), ["a OR b"]);
        assert_eq!(part_texts("a (b OR c) NOT d", &parsed("a (b OR c) NOT d")), ["a", "(b OR c)", "NOT d"]);
        assert_eq!(part_texts("", &parsed("")), Vec::<&str>::new());
    }

    #[test]
    fn a_pattern_leads_to_its_word() {
        for (part, due) in [
            ("ship*", Some("ship")),
            ("apply~~", Some("apply")),
            ("colour~", Some("colour")),
            ("colour~2", Some("colour")),
            ("colour", None),
            ("*ing", None),
            ("sh*p*", None),
            ("\"a b\"~2", None),
            ("*", None),
        ] {
            assert_eq!(exact(part), due, "{part}");
        }
    }

    #[test]
    fn a_fault_stands_where_it_is() {
        let fault = Fault::new("a (b", "not closed".to_owned(), Place { start: 2, end: 3 });
        assert_eq!((fault.before.as_str(), fault.at.as_str(), fault.after.as_str()), ("a ", "(", "b"));
        let fault = Fault::new("ž", String::new(), Place { start: 1, end: 9 });
        assert_eq!((fault.before.as_str(), fault.at.as_str(), fault.after.as_str()), ("", "ž", ""));
    }
}
