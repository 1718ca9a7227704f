//! The form for who does not write queries: its fields become a query in plain text.

use axum::extract::Query;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;

use super::asked::Asked;
use crate::index::Facet;
use crate::model::Zone;
use crate::query::{self, Context};
use crate::web::desk::Desk;

/// The states among which the form lets one choose.
const OFFERED_STATES: [&str; 3] = ["current", "edited", "deleted"];

/// What is filled in, and the search that the form stands beside.
#[derive(Debug, Default, Clone, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Form {
    pub(super) words: String,
    pub(super) phrase: String,
    pub(super) channel: String,
    pub(super) person: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) file: String,
    pub(super) state: String,
    pub(super) sort: String,
    pub(super) asof: String,
    pub(super) tz: String,
    /// A query that the fields do not say: what they say is looked for within it.
    pub(super) within: String,
    /// What else the search was narrowed to, as its address has it.
    pub(super) rest: String,
}

/// Leads to the search that the form asks for.
pub(crate) async fn lead(_desk: Desk, Query(form): Query<Form>) -> Response {
    let href = form.asked().href();
    (axum::http::StatusCode::SEE_OTHER, [(header::LOCATION, href)]).into_response()
}

impl Form {
    /// The form beside a search. Its fields say the query where they can; where they cannot, it is kept whole.
    pub(super) fn of(asked: &Asked) -> Self {
        let mut form = Self::read(&asked.q).unwrap_or_else(|| Self { within: asked.q.clone(), ..Self::default() });
        let states: Vec<&String> =
            asked.only.iter().filter(|(facet, _)| *facet == Facet::State).map(|(_, state)| state).collect();
        if let [state] = states.as_slice()
            && OFFERED_STATES.contains(&state.as_str())
        {
            form.state.clone_from(state);
        }
        let keeps = |facet: Facet| facet != Facet::State || form.state.is_empty();
        let only = asked.only.iter().filter(|(facet, _)| keeps(*facet)).cloned().collect();
        form.rest = Asked { page: 1, on: asked.on, only, ..Asked::default() }.query();
        form.sort.clone_from(&asked.sort);
        form.asof.clone_from(&asked.as_of);
        form.tz.clone_from(&asked.zone);
        form
    }

    /// The fields that would be written as this query; `None`: no fields would.
    fn read(query: &str) -> Option<Self> {
        let mut form = Self::default();
        let mut words = Vec::new();
        for token in tokens(query) {
            let inner = token.trim_matches('"').to_owned();
            let is_phrase = inner.contains(char::is_whitespace) || word(&inner).as_ref() == Some(&inner);
            match token.split_once(':') {
                Some(("from", who)) => who.trim_matches('"').clone_into(&mut form.person),
                Some(("in", channel)) => channel.trim_matches('"').clone_into(&mut form.channel),
                Some(("date", days)) => {
                    let (from, to) = days.split_once("..")?;
                    if ![from, to].iter().all(|day| day.is_empty() || day.parse::<chrono::NaiveDate>().is_ok()) {
                        return None;
                    }
                    (form.from, form.to) = (from.to_owned(), to.to_owned());
                }
                Some(("has", "file")) => "on".clone_into(&mut form.file),
                _ if token.starts_with('"') && is_phrase => form.phrase = inner,
                _ => words.push(inner),
            }
        }
        form.words = words.join(" ");
        // Each part must hold, in whatever order they stand.
        let sorted = |query: &str| {
            let mut all: Vec<String> = tokens(query).map(str::to_owned).collect();
            all.sort_unstable();
            all
        };
        (sorted(&form.query()) == sorted(query)).then_some(form)
    }

    fn asked(&self) -> Asked {
        let mut asked = Asked::parse(&self.rest);
        asked.q = match (self.within.trim(), self.query()) {
            ("", fields) => fields,
            (within, fields) if fields.is_empty() => within.to_owned(),
            (within, fields) if is_choice(within) => format!("({within}) {fields}"),
            (within, fields) => format!("{within} {fields}"),
        };
        self.sort.clone_into(&mut asked.sort);
        self.asof.trim().clone_into(&mut asked.as_of);
        self.tz.clone_into(&mut asked.zone);
        if !self.state.is_empty() {
            asked.only.retain(|(facet, _)| *facet != Facet::State);
            asked = asked.with(Facet::State, &self.state);
        }
        asked
    }

    /// The query in the one way of writing it.
    fn query(&self) -> String {
        let mut parts: Vec<String> = self.words.split_whitespace().filter_map(word).collect();
        parts.extend(quoted(&self.phrase));
        parts.extend(quoted(&self.person).map(|who| format!("from:{}", plain(&who))));
        parts.extend(
            quoted(self.channel.trim().trim_start_matches('#')).map(|channel| format!("in:{}", plain(&channel))),
        );
        let (from, to) = (self.from.trim(), self.to.trim());
        if !from.is_empty() || !to.is_empty() {
            // A day is no text in quotes; what is none is refused by the search, in its place.
            parts.push(format!(
                "date:{}..{}",
                from.replace(char::is_whitespace, ""),
                to.replace(char::is_whitespace, "")
            ));
        }
        if !self.file.is_empty() {
            parts.push("has:file".to_owned());
        }
        parts.join(" ")
    }
}

/// What stands between spaces, of which those in quotation marks are none.
fn tokens(query: &str) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    let is_end = move |c: char| {
        is_quoted ^= c == '"';
        !is_quoted && c.is_whitespace()
    };
    query.split(is_end).filter(|token| !token.is_empty())
}

/// Whether a query is one of several, so that what follows it would belong to the last of them.
fn is_choice(query: &str) -> bool {
    parse(query).is_some_and(|parsed| matches!(parsed.query, query::Query::Or(_)))
}

/// What is between quotation marks; a mark of its own would end it.
fn quoted(text: &str) -> Option<String> {
    let text: String = text.chars().filter(|c| !is_quote(*c) && !c.is_control()).collect();
    let text = text.trim();
    (!text.is_empty()).then(|| format!("\"{text}\""))
}

fn is_quote(c: char) -> bool {
    matches!(c, '"' | '\u{201c}'..='\u{201f}' | '\u{ab}' | '\u{bb}' | '\u{ff02}')
}

/// Without quotation marks where they change nothing.
fn plain(quoted: &str) -> String {
    let inner = quoted.trim_matches('"');
    let is_plain = inner.chars().all(|c| c.is_alphanumeric() || "._@-".contains(c));
    if is_plain && !inner.starts_with(['-', '.']) { inner.to_owned() } else { quoted.to_owned() }
}

/// A word as it stands, between quotation marks where it would mean something else.
pub(crate) fn word(text: &str) -> Option<String> {
    let quoted = quoted(text)?;
    let inner = quoted.trim_matches('"');
    let is_word = inner.chars().all(|c| c.is_alphanumeric() || "'’-_".contains(c))
        && inner.starts_with(char::is_alphanumeric)
        && !["AND", "OR", "NOT", "NEAR", "ONEAR"].contains(&inner);
    Some(if is_word { inner.to_owned() } else { quoted.clone() })
}

/// Whether a text can be read as a query.
pub(crate) fn is_query(text: &str) -> bool {
    parse(text).is_some()
}

/// How a text is read, where no date in it matters.
fn parse(text: &str) -> Option<query::Parsed> {
    query::parse(text, &Context { zone: Zone::UTC, now: chrono::DateTime::UNIX_EPOCH }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(fields: &[(&str, &str)], due: &str) {
        let query: Vec<String> =
            fields.iter().map(|(name, value)| format!("{name}={}", crate::web::markup::encode(value))).collect();
        let uri: axum::http::Uri = format!("/search/advanced?{}", query.join("&")).parse().unwrap();
        let Query(form) = Query::<Form>::try_from_uri(&uri).unwrap();
        let written = form.query();
        assert_eq!(written, due, "{fields:?}");
        assert!(is_query(&written), "{written}");
    }

    #[test]
    fn what_is_filled_in_becomes_a_query() {
        check(&[("words", "crane  gearbox")], "crane gearbox");
        check(
            &[("words", "AND price? don't (x)"), ("phrase", "change \"order\"")],
            "\"AND\" \"price?\" don't \"(x)\" \"change order\"",
        );
        check(&[("person", "Jana Říhová"), ("channel", "#legal")], "from:\"Jana Říhová\" in:legal");
        check(&[("person", "jana.rihova@orlava.example")], "from:jana.rihova@orlava.example");
        check(&[("from", "2026-03-02"), ("to", "2026-03-08")], "date:2026-03-02..2026-03-08");
        check(&[("from", "2026-03-02")], "date:2026-03-02..");
        check(&[("to", "2026-03-08"), ("file", "on")], "date:..2026-03-08 has:file");
        check(&[("words", "from:jana -x")], "\"from:jana\" \"-x\"");
        check(&[], "");
    }

    #[test]
    fn the_fields_say_a_query_that_they_would_write_and_no_other() {
        for query in [
            "",
            "crane gearbox",
            "\"AND\" \"price?\" don't \"(x)\" \"change order\" from:\"Jana Říhová\" in:legal date:2026-03-02..2026-03-08 has:file",
            "\"order\" from:jana.rihova@orlava.example date:..2026-03-08",
        ] {
            let form = Form::of(&Asked { q: query.to_owned(), page: 1, ..Asked::default() });
            assert_eq!((form.query().as_str(), form.within.as_str()), (query, ""), "{form:?}");
        }
        let form = Form::of(&Asked { q: "in:quays  crane".to_owned(), page: 1, ..Asked::default() });
        assert_eq!((form.query().as_str(), form.within.as_str()), ("crane in:quays", ""));
        for query in [
            "is:deleted crane",
            "crane OR hoist",
            "from:a from:b",
            "date:today..",
            "from: crane",
            "-crane",
            "\"a b\" \"c d\"",
        ] {
            let form = Form::of(&Asked { q: query.to_owned(), page: 1, ..Asked::default() });
            assert_eq!((form.query().as_str(), form.within.as_str()), ("", query), "{form:?}");
            assert_eq!(form.asked().q, query, "nothing was filled in");
        }
    }

    #[test]
    fn what_the_form_does_not_show_is_kept() {
        let asked = Asked::parse(
            "q=crane+OR+hoist&sort=newest&on=2026-03-02..2026-03-08&kind=message&state=deleted&tz=UTC&page=3",
        );
        let mut form = Form::of(&asked);
        assert_eq!((form.state.as_str(), form.sort.as_str()), ("deleted", "newest"));
        assert_eq!(form.asked(), Asked { page: 1, ..asked.clone() }, "sent as it stood");
        "Viktor".clone_into(&mut form.person);
        "edited".clone_into(&mut form.state);
        let narrowed = form.asked();
        assert_eq!(narrowed.q, "(crane OR hoist) from:Viktor");
        assert!(is_query(&narrowed.q) && narrowed.has(Facet::State, "edited") && narrowed.has(Facet::Kind, "message"));
        assert!(!narrowed.has(Facet::State, "deleted") && narrowed.on == asked.on);
        // Of two states none is the one of the form; both stay.
        let both = Asked::parse("q=crane&state=deleted&state=edited");
        let form = Form::of(&both);
        assert_eq!((form.words.as_str(), form.state.as_str()), ("crane", ""));
        assert_eq!(form.asked(), both);
    }

    #[test]
    fn the_state_and_the_moment_are_choices_beside_it() {
        let form = Form {
            words: "a".to_owned(),
            state: "deleted".to_owned(),
            asof: "2026-03-01".to_owned(),
            tz: "UTC".to_owned(),
            ..Form::default()
        };
        assert_eq!(form.asked().href(), "/search?q=a&asof=2026-03-01&tz=UTC&state=deleted");
    }
}
