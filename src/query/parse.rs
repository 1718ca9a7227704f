use chrono::{Datelike as _, NaiveDate};

use super::lex::{Token, lex};
use super::{Context, Flag, MAX_BYTES, MAX_CLAUSES, MAX_DEPTH, Parsed, Place, Query, QueryError, Sort};
use crate::model::{TimeRange, UtcTime, Zone};

/// The fields that a query may name, with what each is followed by.
pub const FIELDS: [(&str, &str); 12] = [
    ("from", "a person's name or address"),
    ("in", "a channel's name or id"),
    ("before", "a day: before it"),
    ("after", "a day: after it"),
    ("on", "a day"),
    ("during", "a day, a month (2026-03) or a year"),
    ("has", "link, file, reaction"),
    ("is", "edited, deleted, current, im, bot, comment"),
    ("kind", "message, comment, file"),
    ("file", "words of a file's name"),
    ("ext", "a file's extension"),
    ("id", "a time stamp, an id or a record's number"),
];

/// Reads a query. An empty one means everything.
pub fn parse(text: &str, context: &Context) -> Result<Parsed, QueryError> {
    if text.len() > MAX_BYTES {
        let place = Place { start: MAX_BYTES, end: text.len() };
        return Err(QueryError { what: format!("a query is at most {MAX_BYTES} bytes long"), place });
    }
    let tokens = lex(text)?;
    let end = Place { start: text.len(), end: text.len() };
    let mut parser = Parser { tokens: &tokens, at: 0, end, context, clauses: 0, warnings: Vec::new() };
    if tokens.is_empty() {
        return Ok(Parsed { query: Query::All, warnings: Vec::new() });
    }
    let query = parser.or(0)?;
    match parser.peek() {
        None => Ok(Parsed { query, warnings: parser.warnings }),
        Some(_) => {
            Err(QueryError { what: "a closing parenthesis without its opening one".to_owned(), place: parser.place() })
        }
    }
}

struct Parser<'a> {
    tokens: &'a [(Token, Place)],
    at: usize,
    end: Place,
    context: &'a Context,
    clauses: usize,
    warnings: Vec<String>,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(token, _)| token)
    }

    fn place(&self) -> Place {
        self.tokens.get(self.at).map_or(self.end, |(_, place)| *place)
    }

    fn fail<T>(&self, what: impl Into<String>) -> Result<T, QueryError> {
        Err(QueryError { what: what.into(), place: self.place() })
    }

    fn or(&mut self, depth: usize) -> Result<Query, QueryError> {
        let mut mixed = false;
        let (first, first_is_and) = self.and(depth)?;
        mixed |= first_is_and;
        let mut parts = vec![first];
        while self.peek() == Some(&Token::Or) {
            self.at += 1;
            let (part, is_and) = self.and(depth)?;
            mixed |= is_and;
            parts.push(part);
        }
        if parts.len() == 1 {
            return Ok(parts.remove(0));
        }
        if mixed {
            let warning = "AND and OR are mixed without parentheses: AND was read first";
            if !self.warnings.iter().any(|known| known == warning) {
                self.warnings.push(warning.to_owned());
            }
        }
        Ok(Query::Or(parts))
    }

    /// A conjunction, and whether more than one thing is in it.
    fn and(&mut self, depth: usize) -> Result<(Query, bool), QueryError> {
        let mut parts = vec![self.not(depth)?];
        loop {
            match self.peek() {
                Some(Token::And) => {
                    self.at += 1;
                    parts.push(self.not(depth)?);
                }
                None | Some(Token::Or | Token::Close) => break,
                Some(_) => parts.push(self.not(depth)?),
            }
        }
        if parts.len() == 1 { Ok((parts.remove(0), false)) } else { Ok((Query::And(parts), true)) }
    }

    fn not(&mut self, depth: usize) -> Result<Query, QueryError> {
        if depth > MAX_DEPTH {
            return self.fail(format!("it is nested more than {MAX_DEPTH} deep"));
        }
        if self.peek() == Some(&Token::Not) {
            self.at += 1;
            return Ok(Query::Not(Box::new(self.not(depth + 1)?)));
        }
        self.atom(depth)
    }

    fn atom(&mut self, depth: usize) -> Result<Query, QueryError> {
        self.clauses += 1;
        if self.clauses > MAX_CLAUSES {
            return self.fail(format!("it has more than {MAX_CLAUSES} parts"));
        }
        let Some((token, place)) = self.tokens.get(self.at).cloned() else {
            return self.fail("something to look for is missing here");
        };
        match token {
            Token::Open => {
                self.at += 1;
                let inner = self.or(depth + 1)?;
                if self.peek() != Some(&Token::Close) {
                    return Err(QueryError { what: "the parenthesis is not closed".to_owned(), place });
                }
                self.at += 1;
                Ok(inner)
            }
            Token::Close | Token::And | Token::Or => self.fail("something to look for is missing here"),
            Token::Not => self.not(depth + 1),
            Token::Phrase(text) => {
                let phrase = self.phrase(text)?;
                self.at += 1;
                self.refuse_suffix()?;
                Ok(phrase)
            }
            Token::Word(text) => {
                let word = self.word(&text)?;
                self.at += 1;
                Ok(word)
            }
            Token::Field(name) => self.field(&name, place),
        }
    }

    fn phrase(&self, text: String) -> Result<Query, QueryError> {
        if text.trim().is_empty() {
            return self.fail("there is nothing between the quotation marks");
        }
        Ok(Query::Phrase(text))
    }

    /// `"a b"~5` is proximity, which is not a phrase and a word.
    fn refuse_suffix(&self) -> Result<(), QueryError> {
        let Some((Token::Word(text), place)) = self.tokens.get(self.at) else { return Ok(()) };
        let touches = self.tokens[self.at - 1].1.end == place.start;
        if touches && text.starts_with(['~', '*']) {
            return self.fail(format!("`{text}` after a phrase is not understood by this version"));
        }
        Ok(())
    }

    fn word(&self, text: &str) -> Result<Query, QueryError> {
        let lower = text.to_ascii_lowercase();
        let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        if ["w/", "pre/", "near/", "onear/"].iter().any(|name| lower.strip_prefix(name).is_some_and(is_number)) {
            return self.fail(format!("`{text}` (words near each other) is not understood by this version"));
        }
        if text.len() > 2 && text.starts_with('/') && text.ends_with('/') && !text[1..text.len() - 1].contains('/') {
            return self.fail("expressions between slashes are not understood by this version; quote the text to find it as it stands");
        }
        if let Some((before, after)) = text.rsplit_once('~')
            && !before.is_empty()
            && (after.is_empty() || is_number(after))
        {
            return self.fail(format!("`{text}` (words spelled alike) is not understood by this version"));
        }
        let (stem, prefix) = match text.strip_suffix('*') {
            Some(stem) => (stem, true),
            None => (text, false),
        };
        // An address may hold a question mark; a word may only end in them.
        let inner = stem.trim_end_matches('?');
        if !stem.contains("://") && inner.contains(['*', '?']) {
            return self.fail("`*` and `?` inside a word are not understood by this version; `*` may end a word");
        }
        if prefix && stem.chars().filter(|c| c.is_alphanumeric()).count() == 0 {
            return if stem.is_empty() { Ok(Query::All) } else { self.fail("`*` needs at least one letter before it") };
        }
        Ok(Query::Word { text: stem.to_owned(), prefix })
    }

    fn field(&mut self, name: &str, place: Place) -> Result<Query, QueryError> {
        self.at += 1;
        let value = match self.tokens.get(self.at) {
            Some((Token::Word(text) | Token::Phrase(text), value_place))
                if value_place.start == place.end && !text.trim().is_empty() =>
            {
                text.clone()
            }
            // `on:10:30` and the like: the lexer took the value for a field of its own.
            Some((Token::Field(text), value_place)) if value_place.start == place.end => text.clone(),
            _ if FIELDS.iter().any(|(known, _)| *known == name) => {
                let what = FIELDS.iter().find(|(known, _)| *known == name).map_or("a value", |(_, what)| *what);
                return Err(QueryError { what: format!("`{name}:` is followed by {what}, without a space"), place });
            }
            _ => return Err(unknown_field(name, place)),
        };
        let query = self.field_value(name, &value, place)?;
        self.at += 1;
        Ok(query)
    }

    fn field_value(&self, name: &str, value: &str, place: Place) -> Result<Query, QueryError> {
        let zone = self.context.zone;
        let fail = |what: String| Err(QueryError { what, place: Place { start: place.start, end: self.place().end } });
        let day = |value: &str| {
            self.day(value).ok_or_else(|| QueryError {
                what: format!("`{value}` is no day; it looks like 2026-03-04, today or yesterday"),
                place: self.place(),
            })
        };
        Ok(match name {
            "from" => Query::From(value.trim_start_matches(['@', '<']).trim_end_matches('>').to_owned()),
            "in" => Query::In(value.trim_start_matches(['#', '@']).to_owned()),
            "before" => Query::Time(TimeRange { from: None, to: Some(zone.start_of_day(day(value)?)) }),
            "after" => Query::Time(TimeRange { from: Some(start_of_next(zone, day(value)?)), to: None }),
            "on" => {
                let day = day(value)?;
                Query::Time(TimeRange { from: Some(zone.start_of_day(day)), to: Some(start_of_next(zone, day)) })
            }
            "during" => match self.during(value) {
                Some(range) => Query::Time(range),
                None => {
                    return fail(format!(
                        "`{value}` is no day, month or year; it looks like 2026-03-04, 2026-03 or 2026"
                    ));
                }
            },
            "has" => Query::Flag(match value {
                "link" => Flag::Link,
                "file" => Flag::File,
                "reaction" => Flag::Reaction,
                _ => return fail(format!("`has:{value}` is not known; there are has:link, has:file and has:reaction")),
            }),
            "is" => Query::Flag(match value {
                "edited" => Flag::Edited,
                "deleted" => Flag::Deleted,
                "current" => Flag::Current,
                "superseded" => Flag::Superseded,
                "im" | "dm" => Flag::Im,
                "bot" => Flag::Bot,
                "comment" => Flag::Comment,
                _ => {
                    return fail(format!(
                        "`is:{value}` is not known; there are is:edited, is:deleted, is:current, is:im, is:bot and is:comment"
                    ));
                }
            }),
            "kind" => Query::Kind(match value {
                "message" | "messages" => Sort::Message,
                "comment" | "comments" => Sort::Comment,
                "file" | "files" => Sort::File,
                _ => {
                    return fail(format!(
                        "`kind:{value}` is not known; there are kind:message, kind:comment and kind:file"
                    ));
                }
            }),
            "file" | "filename" => Query::FileName(value.to_owned()),
            "ext" => Query::Extension(value.trim_start_matches('.').to_lowercase()),
            "id" => Query::Id(value.to_owned()),
            _ => return Err(unknown_field(name, place)),
        })
    }

    fn day(&self, value: &str) -> Option<NaiveDate> {
        let today = self.context.zone.date(self.context.now);
        match value {
            "today" => Some(today),
            "yesterday" => today.pred_opt(),
            _ => NaiveDate::parse_from_str(value, "%Y-%m-%d").ok(),
        }
    }

    fn during(&self, value: &str) -> Option<TimeRange> {
        let zone = self.context.zone;
        let (first, next) = if let Some(day) = self.day(value) {
            (day, day.succ_opt()?)
        } else if let Some((year, month)) = value.split_once('-') {
            let first = NaiveDate::from_ymd_opt(year.parse().ok()?, month.parse().ok()?, 1)?;
            (first, first.checked_add_months(chrono::Months::new(1))?)
        } else {
            let first = NaiveDate::from_ymd_opt(value.parse().ok()?, 1, 1)?;
            (first, first.with_year(first.year() + 1)?)
        };
        Some(TimeRange { from: Some(zone.start_of_day(first)), to: Some(zone.start_of_day(next)) })
    }
}

fn start_of_next(zone: Zone, day: NaiveDate) -> UtcTime {
    day.succ_opt().map_or(chrono::DateTime::<chrono::Utc>::MAX_UTC, |next| zone.start_of_day(next))
}

fn unknown_field(name: &str, place: Place) -> QueryError {
    let known: Vec<String> = FIELDS.iter().map(|(known, _)| format!("{known}:")).collect();
    QueryError {
        what: format!("`{name}:` is no field; there are {}; quote the text to find it as it stands", known.join(" ")),
        place,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::explain;
    use super::*;

    fn context() -> Context {
        let now = chrono::DateTime::parse_from_rfc3339("2026-03-04T10:00:00Z").unwrap().to_utc();
        Context { zone: Zone::parse("Europe/Prague").unwrap(), now }
    }

    fn check(text: &str, expected: &str) {
        let parsed = parse(text, &context()).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(explain(&parsed.query, context().zone), expected, "{text}");
    }

    #[test]
    fn words_phrases_and_operators() {
        check("", "everything");
        check("change order", "`change` AND `order`");
        check("\"change order\" -draft", "\"change order\" AND NOT `draft`");
        check("a OR b c", "`a` OR (`b` AND `c`)");
        check("(a OR b) AND NOT c", "(`a` OR `b`) AND NOT `c`");
        check("a && !b || c", "(`a` AND NOT `b`) OR `c`");
        check("ship*", "words beginning with `ship`");
        check("well-known don't", "`well-known` AND `don't`");
        check("https://a.example/x?y=1 10:30", "`https://a.example/x?y=1` AND `10:30`");
        check("“smart quotes”", "\"smart quotes\"");
        check("why?", "`why?`");
    }

    #[test]
    fn fields_and_dates_in_the_zone_of_the_asker() {
        check("from:@sara in:#legal", "written by `sara` AND in `legal`");
        check("before:2026-03-04", "before 2026-03-04 00:00:00 +01:00");
        check("after:2026-03-28", "from 2026-03-29 00:00:00 +01:00 on");
        check("on:yesterday", "from 2026-03-03 00:00:00 +01:00 to 2026-03-04 00:00:00 +01:00");
        check("during:2026-03", "from 2026-03-01 00:00:00 +01:00 to 2026-04-01 00:00:00 +02:00");
        check(
            "has:link is:edited ext:.PDF kind:file file:\"price list\"",
            "has a link AND edited AND extension `pdf` AND files AND file name \"price list\"",
        );
    }

    #[test]
    fn what_is_not_understood_is_refused_with_its_place() {
        for (text, part, at) in [
            ("a \"b", "not closed", 2),
            ("(a", "not closed", 0),
            ("a)", "without its opening", 1),
            ("a AND", "missing", 5),
            ("OR a", "missing", 0),
            ("foo:bar", "no field", 0),
            ("from:", "followed by", 0),
            ("x on:never", "no day", 5),
            ("has:wings", "has:link", 0),
            ("a w/5 b", "not understood", 2),
            ("colour~1", "not understood", 0),
            ("/a.b/", "not understood", 0),
            ("wom?n", "not understood", 0),
            ("w*n", "not understood", 0),
            ("\"a b\"~5", "not understood", 5),
            ("\"\"", "nothing between", 0),
        ] {
            let error = parse(text, &context()).unwrap_err();
            assert!(error.what.contains(part), "{text}: {error}");
            assert_eq!(error.place.start, at, "{text}: {error}");
        }
    }

    #[test]
    fn mixing_without_parentheses_is_warned_about() {
        assert_eq!(parse("a b OR c", &context()).unwrap().warnings.len(), 1);
        assert!(parse("(a b) OR c", &context()).unwrap().warnings.is_empty());
        assert!(parse("a OR b", &context()).unwrap().warnings.is_empty());
    }

    #[test]
    fn depth_and_length_have_limits() {
        assert!(parse(&"(".repeat(10_000), &context()).unwrap_err().what.contains("nested"));
        assert!(parse(&"NOT ".repeat(10_000), &context()).unwrap_err().what.contains("nested"));
        assert!(parse(&"a ".repeat(6_000), &context()).unwrap_err().what.contains("parts"));
        assert!(parse(&"a".repeat(70_000), &context()).unwrap_err().what.contains("bytes"));
    }

    proptest! {
        #[test]
        fn any_text_gives_a_tree_or_an_error_inside_it(text in "\\PC{0,60}") {
            if let Err(error) = parse(&text, &context()) {
                prop_assert!(error.place.start <= text.len() && error.place.end <= text.len().max(error.place.start));
            }
        }

        #[test]
        fn any_mix_of_the_grammars_pieces_gives_a_tree_or_an_error(parts in proptest::collection::vec(prop_oneof![
            Just("("), Just(")"), Just("AND"), Just("OR"), Just("NOT"), Just("-"), Just("\""), Just("a"), Just("from:"), Just("on:2026-01-01"), Just("*"), Just("w/5"), Just(":")], 0..24)) {
            for text in [parts.join(" "), parts.concat()] {
                if let Err(error) = parse(&text, &context()) {
                    prop_assert!(error.place.start <= text.len(), "{}", error);
                }
            }
        }
    }
}
