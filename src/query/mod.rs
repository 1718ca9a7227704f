//! The query language: what a person types, as a tree, or an error that says where it stops.
//!
//! Pure: no index, no clock. Every input gives a tree or an error with its place; nothing is
//! guessed and nothing is passed over in silence. What a tree finds is defined in `docs/SEARCH.md`
//! and built here from the bottom up: [`tokens`] cuts texts, [`spans`] says how stretches of them
//! combine, `reading` turns typed words into a [`Plan`], and `parse` puts plans and conditions
//! together.

mod explain;
mod field;
mod fold;
mod form;
mod highlight;
mod lex;
mod matcher;
mod moment;
mod near;
mod parse;
pub mod reading;
pub mod spans;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod totality;

pub use explain::explain;
pub use field::FIELDS;
pub use fold::{FOLD_VERSION, JOINED, PAIR, PART_BREAK, PART_GAP, Token, for_each_token, tokens, tokens_to_end};
pub use highlight::byte_ranges;
pub use matcher::Matcher;
pub use parse::parse;
pub use reading::plan;
pub use spans::{Lookup, Plan};

use crate::model::{TimeRange, UtcTime, Zone};

/// Longest query, in bytes.
pub const MAX_BYTES: usize = 64 * 1024;
/// Deepest nesting of parentheses and negations.
pub const MAX_DEPTH: usize = 64;
/// Most words, phrases and conditions in one query.
pub const MAX_CLAUSES: usize = 5_000;
/// Furthest apart that words may be asked to stand.
pub const MAX_DISTANCE: u32 = 1_000;

/// Where in the query something stands, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// First byte.
    pub start: usize,
    /// Past the last byte.
    pub end: usize,
}

/// Why a query cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} (at character {character})")]
pub struct QueryError {
    /// What is wrong, and what would be right.
    pub what: String,
    /// Where.
    pub place: Place,
    /// Which character that begins with, counted from 1: what people are told.
    pub character: usize,
}

/// How relative and bare dates are read.
#[derive(Debug, Clone, Copy)]
pub struct Context {
    /// The zone in which days begin.
    pub zone: Zone,
    /// The present moment, for `today` and `yesterday`.
    pub now: UtcTime,
}

/// What kind of thing is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// Messages, with those that are comments.
    Message,
    /// Comments that stand in no channel's stream.
    Comment,
    /// Files.
    File,
}

impl Sort {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Comment => "comment",
            Self::File => "file",
        }
    }
}

/// A property that a message or file has or has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the word that people type")]
pub enum Flag {
    Link,
    File,
    Reaction,
    Edited,
    Deleted,
    Current,
    Superseded,
    Im,
    Bot,
    Comment,
    Thread,
    Pinned,
    Unextracted,
    Truncated,
}

impl Flag {
    /// The word in the index.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::File => "file",
            Self::Reaction => "reaction",
            Self::Edited => "edited",
            Self::Deleted => "deleted",
            Self::Current => "current",
            Self::Superseded => "superseded",
            Self::Im => "im",
            Self::Bot => "bot",
            Self::Comment => "comment",
            Self::Thread => "thread",
            Self::Pinned => "pinned",
            Self::Unextracted => "unextracted",
            Self::Truncated => "truncated",
        }
    }
}

/// Which of a document's texts words are looked for in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Within {
    /// Each of them, but never across two.
    Any,
    /// What was written.
    Body,
    /// Names and titles of files.
    Title,
    /// What was read out of a file.
    Content,
}

/// A query as a tree.
#[derive(Debug, Clone, PartialEq)]
pub enum Query {
    /// Everything.
    All,
    /// A stretch of text.
    Text {
        /// Where it stands.
        within: Within,
        /// What it is.
        plan: Plan,
        /// As typed, in the one way of writing it.
        typed: String,
    },
    /// All of them.
    And(Vec<Self>),
    /// One of them at least.
    Or(Vec<Self>),
    /// Not this.
    Not(Box<Self>),
    /// Written by someone whose id or name is like this.
    From(String),
    /// In a channel whose id or name is like this.
    In(String),
    /// In a conversation that someone like this takes part in.
    With(String),
    /// Someone like this is mentioned.
    Mentions(String),
    /// Within a stretch of time.
    Time(TimeRange),
    /// Of a kind.
    Kind(Sort),
    /// With a property.
    Flag(Flag),
    /// A file's extension in small letters, without the point.
    Extension(String),
    /// A file's media type in small letters.
    Mime(String),
    /// A file of so many bytes; both ends belong to it.
    Size {
        /// At least.
        from: Option<u64>,
        /// At most.
        to: Option<u64>,
    },
    /// Records with these numbers; both ends belong to it.
    Records {
        /// The first.
        from: Option<u64>,
        /// The last.
        to: Option<u64>,
    },
    /// With a reaction of this name, without colons.
    Reaction(String),
    /// A file whose text was read with this outcome.
    Extraction(String),
    /// A message's time stamp, a file's or a comment's id, or a record's number.
    Id(String),
}

/// A query and what should be known about how it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// The tree.
    pub query: Query,
    /// Where the parts stand of which each must hold, in the order of [`Query::And`]; one that is the whole where
    /// the query is no such list.
    pub parts: Vec<Place>,
    /// Doubts that a person should settle.
    pub warnings: Vec<String>,
    /// How much work the reading was: at most in proportion to the query's length.
    pub steps: usize,
}

/// The texts that a query looks for, without those that must not be there: what a highlighter marks.
pub fn plans(query: &Query) -> Vec<(Within, &Plan)> {
    let mut found = Vec::new();
    let mut open = vec![query];
    while let Some(query) = open.pop() {
        match query {
            Query::Text { within, plan, .. } => found.push((*within, plan)),
            Query::And(parts) | Query::Or(parts) => open.extend(parts.iter().rev()),
            _ => {}
        }
    }
    found
}
