//! The query language: what a person types, as a tree, or an error that says where it stops.
//!
//! Pure: no index, no clock. Every input gives a tree or an error with its place; nothing is
//! guessed and nothing is passed over in silence. What later versions will understand (proximity,
//! fuzzy words, expressions between slashes, wildcards inside a word) is refused by name today,
//! since reading it as plain words would find the wrong things.

mod explain;
mod lex;
mod parse;

pub use explain::explain;
pub use parse::{FIELDS, parse};

use crate::model::{TimeRange, UtcTime, Zone};

/// Longest query, in bytes.
pub const MAX_BYTES: usize = 64 * 1024;
/// Deepest nesting of parentheses and negations.
pub const MAX_DEPTH: usize = 64;
/// Most words, phrases and conditions in one query.
pub const MAX_CLAUSES: usize = 5_000;

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
#[error("{what} (at character {})", .place.start + 1)]
pub struct QueryError {
    /// What is wrong, and what would be right.
    pub what: String,
    /// Where.
    pub place: Place,
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
        }
    }
}

/// A query as a tree.
#[derive(Debug, Clone, PartialEq)]
pub enum Query {
    /// Everything.
    All,
    /// A word, which may hold inner punctuation; with `prefix`, any word that begins so.
    Word {
        /// As typed.
        text: String,
        /// It ended in `*`.
        prefix: bool,
    },
    /// Words in this order with nothing between.
    Phrase(String),
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
    /// Within a stretch of time.
    Time(TimeRange),
    /// Of a kind.
    Kind(Sort),
    /// With a property.
    Flag(Flag),
    /// Words in a file's name or title.
    FileName(String),
    /// A file's extension, without the point.
    Extension(String),
    /// A message's time stamp, a file's or a comment's id, or a record's number.
    Id(String),
}

/// A query and what should be known about how it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// The tree.
    pub query: Query,
    /// Doubts that a person should settle.
    pub warnings: Vec<String>,
}
