use super::{Flag, Query, Sort};
use crate::model::Zone;

/// A query in words, as it was read: shown beside every result.
pub fn explain(query: &Query, zone: Zone) -> String {
    match query {
        Query::All => "everything".to_owned(),
        Query::Word { text, prefix: false } => format!("`{text}`"),
        Query::Word { text, prefix: true } => format!("words beginning with `{text}`"),
        Query::Phrase(text) => format!("\"{text}\""),
        Query::And(parts) => joined(parts, " AND ", zone),
        Query::Or(parts) => joined(parts, " OR ", zone),
        Query::Not(inner) => format!("NOT {}", grouped(inner, zone)),
        Query::From(who) => format!("written by `{who}`"),
        Query::In(channel) => format!("in `{channel}`"),
        Query::Time(range) => match (range.from, range.to) {
            (Some(from), Some(to)) => format!("from {} to {}", zone.full_text(from), zone.full_text(to)),
            (Some(from), None) => format!("from {} on", zone.full_text(from)),
            (None, Some(to)) => format!("before {}", zone.full_text(to)),
            (None, None) => "at any time".to_owned(),
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
        }
        .to_owned(),
        Query::FileName(name) => format!("file name \"{name}\""),
        Query::Extension(extension) => format!("extension `{extension}`"),
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
