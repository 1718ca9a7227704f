//! A query in words.

use super::form::Form;
use super::lex::{Piece, lex};
use super::{Flag, Query, Sort, Within};
use crate::model::Zone;

/// A query in words, as it was read: shown beside every result.
pub fn explain(query: &Query, zone: Zone) -> String {
    match query {
        Query::All => "everything".to_owned(),
        Query::Text { within, typed, .. } => {
            let place = match within {
                Within::Any => "",
                Within::Body => " in what was written",
                Within::Title => " in the name of a file",
                Within::Content => " in the text of a file",
            };
            text(typed) + place
        }
        Query::And(parts) => joined(parts, " AND ", zone),
        Query::Or(parts) => joined(parts, " OR ", zone),
        Query::Not(inner) => format!("NOT {}", grouped(inner, zone)),
        Query::From(who) => format!("written by `{who}`"),
        Query::In(channel) => format!("in `{channel}`"),
        Query::With(who) => format!("in a conversation with `{who}`"),
        Query::Mentions(who) => format!("mentions `{who}`"),
        Query::Time(range) => match (range.from, range.to) {
            (Some(from), Some(to)) => format!("written from {} to {}", zone.full_text(from), zone.full_text(to)),
            (Some(from), None) => format!("written from {} on", zone.full_text(from)),
            (None, Some(to)) => format!("written before {}", zone.full_text(to)),
            (None, None) => "written at any time".to_owned(),
        },
        Query::Kind(kind) => match kind {
            Sort::Message => "messages",
            Sort::Comment => "comments",
            Sort::File => "files",
        }
        .to_owned(),
        Query::Flag(flag) => match flag {
            Flag::Link => "has a link",
            Flag::File => "has a file",
            Flag::Reaction => "has a reaction",
            Flag::Edited => "edited",
            Flag::Deleted => "deleted",
            Flag::Current => "current",
            Flag::Superseded => "replaced by a later version",
            Flag::Im => "in a direct conversation",
            Flag::Bot => "by a bot",
            Flag::Comment => "is a comment",
            Flag::Thread => "in a thread",
            Flag::Pinned => "pinned",
            Flag::Unextracted => "a file whose text could not be read in full",
            Flag::Truncated => "a file with more text than is searched",
        }
        .to_owned(),
        Query::Extension(extension) => format!("extension `{extension}`"),
        Query::Mime(mime) => format!("media type `{mime}`"),
        Query::Size { from, to } => match (from, to) {
            (Some(from), Some(to)) if from == to => format!("of {from} bytes"),
            (Some(from), Some(to)) => format!("of {from} to {to} bytes"),
            (Some(from), None) => format!("of {from} bytes or more"),
            (None, Some(to)) => format!("of {to} bytes or less"),
            (None, None) => "of any size".to_owned(),
        },
        Query::Records { from, to } => match (from, to) {
            (Some(from), Some(to)) if from == to => format!("record {from}"),
            (Some(from), Some(to)) => format!("records {from} to {to}"),
            (Some(from), None) => format!("records from {from} on"),
            (None, Some(to)) => format!("records up to {to}"),
            (None, None) => "any record".to_owned(),
        },
        Query::Reaction(name) => format!("has the reaction `:{name}:`"),
        Query::Extraction(outcome) => format!("a file whose text was read with the outcome `{outcome}`"),
        Query::Id(id) => format!("id `{id}`"),
    }
}

fn joined(parts: &[Query], between: &str, zone: Zone) -> String {
    parts.iter().map(|part| grouped(part, zone)).collect::<Vec<_>>().join(between)
}

fn grouped(query: &Query, zone: Zone) -> String {
    match query {
        Query::And(_) | Query::Or(_) => format!("({})", explain(query, zone)),
        _ => explain(query, zone),
    }
}

/// A stretch of text in words. It is written in the query language, so its pieces say what it is.
fn text(typed: &str) -> String {
    let Ok(lexed) = lex(typed, &mut 0) else { return format!("`{typed}`") };
    let mut out = String::new();
    for (piece, place) in lexed.pieces {
        match piece {
            Piece::Open => out.push('('),
            Piece::Close => out.push(')'),
            Piece::Or => out.push_str(" OR "),
            Piece::Near(near) => out.push_str(&format!(" {} ", near.in_words())),
            Piece::Word(word) => match Form::of_word(&word) {
                Ok(form) => out.push_str(&form.in_words()),
                Err(_) => out.push_str(&format!("`{word}`")),
            },
            Piece::Phrase(text, slop) => out.push_str(&Form::of_phrase(&text, slop).in_words()),
            Piece::Expression(text) => out.push_str(&Form::Expression(&text).in_words()),
            Piece::And | Piece::Not | Piece::Field(..) => out.push_str(&typed[place.start..place.end]),
        }
    }
    out
}
