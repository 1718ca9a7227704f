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

/// What was filled in.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Form {
    words: String,
    phrase: String,
    channel: String,
    person: String,
    from: String,
    to: String,
    file: String,
    state: String,
    sort: String,
    asof: String,
    tz: String,
}

/// Leads to the search that the form asks for.
pub(crate) async fn lead(_desk: Desk, Query(form): Query<Form>) -> Response {
    let href = form.asked().href();
    (axum::http::StatusCode::SEE_OTHER, [(header::LOCATION, href)]).into_response()
}

impl Form {
    fn asked(&self) -> Asked {
        let mut asked = Asked { page: 1, ..Asked::default() };
        asked.q = self.query();
        self.sort.clone_into(&mut asked.sort);
        self.asof.trim().clone_into(&mut asked.as_of);
        self.tz.clone_into(&mut asked.zone);
        if !self.state.is_empty() {
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
    query::parse(text, &Context { zone: Zone::UTC, now: chrono::DateTime::UNIX_EPOCH }).is_ok()
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
