//! The fields that a query may name, and what their values mean.

use super::moment::{Period, period};
use super::{Context, Flag, Query, Sort, Within};
use crate::model::{TimeRange, UtcTime};

/// The fields that a query may name, with what each is followed by. Several values in parentheses,
/// `in:(legal sales)`, mean one of them.
pub const FIELDS: [(&str, &str); 31] = [
    ("from", "a person's name or address"),
    ("author", "the same as from:"),
    ("in", "a channel's name or id"),
    ("channel", "the same as in:"),
    ("with", "somebody who takes part in the conversation"),
    ("to", "the same as with:"),
    ("mentions", "somebody who is mentioned"),
    ("before", "a day, month or year: before it"),
    ("after", "a day, month or year: after it"),
    ("on", "a day, month or year (2026-03-04, 2026-03, july, yesterday, \"last week\") or two with .. between"),
    ("during", "the same as on:"),
    ("date", "the same as on:; also date>=2026-03-04"),
    ("sent", "the same as date:"),
    ("has", "link, file, reaction, pin or the name of a reaction (:thumbsup:)"),
    ("is", "edited, deleted, current, superseded, im, bot, comment, thread, pinned, unextracted or truncated"),
    ("state", "current, edited (a later version replaced it) or deleted"),
    ("kind", "message, comment or file"),
    ("type", "the same as kind:"),
    ("body", "words of what was written, or several in parentheses"),
    ("title", "words of a file's name or title, or several in parentheses"),
    ("file", "the same as title:"),
    ("filename", "the same as title:"),
    ("content", "words of a file's text, or several in parentheses"),
    ("ext", "a file's extension"),
    ("filetype", "the same as ext:"),
    ("mime", "a file's media type, such as application/pdf"),
    ("size", "a file's size (10kb, 1.5mb) or two with .. between; also size>1mb"),
    ("extraction", "how reading a file's text ended: ok, partial, encrypted, unsupported, failed, timeout or too_big"),
    ("record", "a record's number or two with .. between; also record>=100"),
    ("id", "a time stamp, an id or a record's number"),
    ("reaction", "the name of a reaction"),
];

/// How reading a file's text can end.
const OUTCOMES: [&str; 7] = ["ok", "partial", "encrypted", "unsupported", "failed", "timeout", "too_big"];

/// A field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Field {
    /// As it was typed, in small letters.
    pub(super) name: &'static str,
    asks: Asks,
}

/// What a field's value is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asks {
    Author,
    Channel,
    Member,
    Mention,
    Before,
    After,
    Date,
    Has,
    Is,
    State,
    Kind,
    Text(Within),
    Extension,
    Mime,
    Size,
    Extraction,
    Record,
    Id,
    Reaction,
}

/// How a value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Is,
    Less,
    AtMost,
    More,
    AtLeast,
}

impl Comparison {
    /// The sign of comparison that a text begins with, and its length.
    pub(super) fn at(text: &str) -> Option<(Self, usize)> {
        Some(match text.as_bytes() {
            [b'<', b'=', ..] => (Self::AtMost, 2),
            [b'>', b'=', ..] => (Self::AtLeast, 2),
            [b'<', ..] => (Self::Less, 1),
            [b'>', ..] => (Self::More, 1),
            [b'=', ..] => (Self::Is, 1),
            _ => return None,
        })
    }
}

impl Field {
    /// The field of this name, in large or small letters.
    pub(super) fn named(name: &str) -> Option<Self> {
        let (name, _) = *FIELDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        let asks = match name {
            "from" | "author" => Asks::Author,
            "in" | "channel" => Asks::Channel,
            "with" | "to" => Asks::Member,
            "mentions" => Asks::Mention,
            "before" => Asks::Before,
            "after" => Asks::After,
            "on" | "during" | "date" | "sent" => Asks::Date,
            "has" => Asks::Has,
            "is" => Asks::Is,
            "state" => Asks::State,
            "kind" | "type" => Asks::Kind,
            "body" => Asks::Text(Within::Body),
            "title" | "file" | "filename" => Asks::Text(Within::Title),
            "content" => Asks::Text(Within::Content),
            "ext" | "filetype" => Asks::Extension,
            "mime" => Asks::Mime,
            "size" => Asks::Size,
            "extraction" => Asks::Extraction,
            "record" => Asks::Record,
            "id" => Asks::Id,
            "reaction" => Asks::Reaction,
            _ => return None,
        };
        Some(Self { name, asks })
    }

    /// The text that it restricts words to.
    pub(super) fn within(self) -> Option<Within> {
        match self.asks {
            Asks::Text(within) => Some(within),
            _ => None,
        }
    }

    /// Whether `<` and the like may follow it instead of the colon.
    pub(super) fn is_compared(self) -> bool {
        matches!(self.name, "date" | "sent" | "size" | "record")
    }

    /// What it is followed by.
    pub(super) fn what(self) -> &'static str {
        FIELDS.iter().find(|(name, _)| *name == self.name).map_or("a value", |(_, what)| what)
    }

    /// The condition that a value of it makes.
    pub(super) fn condition(self, comparison: Comparison, value: &str, context: &Context) -> Result<Query, String> {
        let value = value.trim();
        let name = self.name;
        let lower = value.to_lowercase();
        let unknown = || Err(format!("`{name}:{value}` is not known; it is followed by {}", self.what()));
        let named = |value: &str, make: fn(String) -> Query| match value.trim() {
            "" => Err(format!("`{name}:` is followed by {}", self.what())),
            value => Ok(make(value.to_owned())),
        };
        match self.asks {
            Asks::Author => named(person(value), Query::From),
            Asks::Channel => named(value.trim_start_matches(['#', '@']), Query::In),
            Asks::Member => named(person(value), Query::With),
            Asks::Mention => named(person(value), Query::Mentions),
            Asks::Before => {
                let Period { first, .. } = day(value, context)?;
                Ok(Query::Time(TimeRange { from: None, to: Some(context.zone.start_of_day(first)) }))
            }
            Asks::After => {
                let Period { next, .. } = day(value, context)?;
                Ok(Query::Time(TimeRange { from: Some(context.zone.start_of_day(next)), to: None }))
            }
            Asks::Date => time(comparison, value, context).map(Query::Time),
            Asks::Has => Ok(match lower.as_str() {
                "link" | "links" => Query::Flag(Flag::Link),
                "file" | "files" => Query::Flag(Flag::File),
                "reaction" | "reactions" => Query::Flag(Flag::Reaction),
                "pin" => Query::Flag(Flag::Pinned),
                _ => match lower.strip_prefix(':').and_then(|name| name.strip_suffix(':')) {
                    Some(name) if !name.is_empty() => Query::Reaction(name.to_owned()),
                    _ => return unknown(),
                },
            }),
            Asks::Is => Ok(Query::Flag(match lower.as_str() {
                "edited" => Flag::Edited,
                "deleted" => Flag::Deleted,
                "current" => Flag::Current,
                "superseded" => Flag::Superseded,
                "im" | "dm" => Flag::Im,
                "bot" => Flag::Bot,
                "comment" => Flag::Comment,
                "thread" => Flag::Thread,
                "pinned" => Flag::Pinned,
                "unextracted" => Flag::Unextracted,
                "truncated" => Flag::Truncated,
                _ => return unknown(),
            })),
            Asks::State => Ok(Query::Flag(match lower.as_str() {
                "current" => Flag::Current,
                "edited" => Flag::Superseded,
                "deleted" => Flag::Deleted,
                _ => return unknown(),
            })),
            Asks::Kind => Ok(Query::Kind(match lower.as_str() {
                "message" | "messages" => Sort::Message,
                "comment" | "comments" => Sort::Comment,
                "file" | "files" => Sort::File,
                _ => return unknown(),
            })),
            Asks::Extension => named(lower.trim_start_matches('.'), Query::Extension),
            Asks::Mime => named(&lower, Query::Mime),
            Asks::Size => numbers(comparison, value, "size", "10kb, 1.5mb or 1mb..2mb", bytes)
                .map(|(from, to)| Query::Size { from, to }),
            Asks::Record => numbers(comparison, value, "number", "100, 100..200 or 100..", whole)
                .map(|(from, to)| Query::Records { from, to }),
            Asks::Extraction => match OUTCOMES.iter().find(|outcome| **outcome == lower.replace('-', "_")) {
                Some(outcome) => Ok(Query::Extraction((*outcome).to_owned())),
                None => unknown(),
            },
            Asks::Id => named(value, Query::Id),
            Asks::Reaction => named(lower.trim_matches(':'), Query::Reaction),
            Asks::Text(_) => Err(format!("`{name}:` is followed by {}", self.what())),
        }
    }
}

/// What is said of a field that there is not.
pub(super) fn unknown(name: &str) -> String {
    let known: Vec<String> = FIELDS.iter().map(|(known, _)| format!("{known}:")).collect();
    format!("`{name}:` is no field; there are {}; quote the text to find it as it stands", known.join(" "))
}

fn person(value: &str) -> &str {
    value.trim_start_matches(['@', '<']).trim_end_matches('>')
}

fn day(value: &str, context: &Context) -> Result<Period, String> {
    period(value, context).ok_or_else(|| {
        format!("`{value}` is no day, month or year; it looks like 2026-03-04, 2026-03, 2026, july, yesterday or \"last week\"")
    })
}

/// The two ends of `a..b`; either may be missing.
fn ends(value: &str) -> Option<(Option<&str>, Option<&str>)> {
    let (from, to) = value.split_once("..")?;
    Some((Some(from.trim()).filter(|from| !from.is_empty()), Some(to.trim()).filter(|to| !to.is_empty())))
}

fn time(comparison: Comparison, value: &str, context: &Context) -> Result<TimeRange, String> {
    let start = |period: Period| context.zone.start_of_day(period.first);
    let end = |period: Period| context.zone.start_of_day(period.next);
    let range = |from: Option<UtcTime>, to: Option<UtcTime>| TimeRange { from, to };
    if let Some((from, to)) = ends(value).filter(|_| comparison == Comparison::Is) {
        let from = from.map(|from| day(from, context)).transpose()?.map(start);
        let to = to.map(|to| day(to, context)).transpose()?.map(end);
        return match (from, to) {
            (None, None) => Err(format!("`{value}` has no day on either side")),
            (Some(from), Some(to)) if from >= to => Err(format!("`{value}` ends before it begins")),
            _ => Ok(range(from, to)),
        };
    }
    let period = day(value, context)?;
    Ok(match comparison {
        Comparison::Is => range(Some(start(period)), Some(end(period))),
        Comparison::Less => range(None, Some(start(period))),
        Comparison::AtMost => range(None, Some(end(period))),
        Comparison::More => range(Some(end(period)), None),
        Comparison::AtLeast => range(Some(start(period)), None),
    })
}

/// The lowest and the highest number that are asked for.
fn numbers(
    comparison: Comparison,
    value: &str,
    what: &str,
    example: &str,
    read: fn(&str) -> Option<u64>,
) -> Result<(Option<u64>, Option<u64>), String> {
    let read = |text: &str| read(text).ok_or_else(|| format!("`{text}` is no {what}; it looks like {example}"));
    if let Some((from, to)) = ends(value).filter(|_| comparison == Comparison::Is) {
        let (from, to) = (from.map(read).transpose()?, to.map(read).transpose()?);
        return match (from, to) {
            (None, None) => Err(format!("`{value}` has no {what} on either side")),
            (Some(low), Some(high)) if low > high => Err(format!("`{value}` goes down; write the lower {what} first")),
            _ => Ok((from, to)),
        };
    }
    let number = read(value)?;
    let beyond = || format!("no {what} lies beyond {value}");
    Ok(match comparison {
        Comparison::Is => (Some(number), Some(number)),
        Comparison::Less => (None, Some(number.checked_sub(1).ok_or_else(beyond)?)),
        Comparison::AtMost => (None, Some(number)),
        Comparison::More => (Some(number.checked_add(1).ok_or_else(beyond)?), None),
        Comparison::AtLeast => (Some(number), None),
    })
}

fn whole(text: &str) -> Option<u64> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

/// `1.5mb` in bytes. A kilobyte is 1,024 bytes, as wherever sizes are shown; parts of a byte are dropped.
fn bytes(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let unit_at = lower.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(lower.len());
    let (number, unit) = lower.split_at(unit_at);
    let unit: u64 = match unit {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        _ => return None,
    };
    let Some((units, parts)) = number.split_once('.') else { return whole(number)?.checked_mul(unit) };
    if parts.len() > 3 {
        return None;
    }
    let parts = whole(parts)? * unit / 10_u64.pow(u32::try_from(parts.len()).ok()?);
    whole(units)?.checked_mul(unit)?.checked_add(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_of_the_list_is_known() {
        for (name, what) in FIELDS {
            let field = Field::named(&name.to_uppercase()).unwrap_or_else(|| panic!("{name}"));
            assert_eq!((field.name, field.what()), (name, what));
            if let Some(other) = what.strip_prefix("the same as ") {
                let other = other.split(':').next().unwrap();
                assert_eq!(field.asks, Field::named(other).unwrap().asks, "{name}");
            }
        }
        assert_eq!(Field::named("colour"), None);
    }

    #[test]
    fn sizes_are_read_in_units_of_1024() {
        for (text, expected) in [
            ("0", Some(0)),
            ("10b", Some(10)),
            ("10k", Some(10_240)),
            ("1MB", Some(1_048_576)),
            ("1.5mb", Some(1_572_864)),
            ("2GiB", Some(2_147_483_648)),
            ("0.001k", Some(1)),
            ("", None),
            ("mb", None),
            ("1.", None),
            (".5", None),
            ("1.2.3", None),
            ("1.0001mb", None),
            ("1tb", None),
            ("-1", None),
            ("99999999999999999999", None),
            ("18446744073709551615kb", None),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }
}
