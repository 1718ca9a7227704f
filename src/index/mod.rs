//! Full-text search over every version of every message, comment and file. What is found is defined
//! in `docs/SEARCH.md`.
//!
//! The index holds nothing that cannot be rebuilt from the records and the results of reading files: it
//! can be deleted at any time. Its commit carries the number of records it has reached, so that after
//! any crash it goes on from there. It stores no text; hits are record numbers, and what is shown is
//! read from the store. Facts about tantivy that this room rests on were probed in November 2026 with
//! 0.27: its own query parser, phrase and prefix queries lose records silently, so none is used.

mod as_of;
mod budget;
mod called;
mod collect;
mod compile;
mod complete;
mod cursor_tree;
mod document;
mod facets;
mod highlight;
mod indexer;
mod making;
mod matching;
mod pace;
mod report;
mod schema;
mod searcher;
mod sharing;
mod terms;
#[cfg(test)]
mod tests;
mod tokenizer;
mod visible;

pub use called::{channels_called, conversations, conversations_with, people_called};
pub use compile::{Expansion, MAX_EXPANSIONS};
pub use complete::{Completeness, completeness};
pub use document::{Texts, is_searched_in_stream, texts};
pub use facets::{Facet, FacetCounts, FacetPlan, Stretch};
pub use highlight::{HIT_END, HIT_START, mark, positions};
pub use indexer::{IndexStatus, Indexer, status};
pub use report::{Report, ReportLine, report};
pub use schema::SCHEMA_VERSION;
pub use searcher::{Answer, Hit, Order, Paging, Request, Searcher};
pub use sharing::Standing;

use std::path::PathBuf;

/// Why the index could not be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is none, or it is of another version: it can be rebuilt.
    #[error("there is no usable search index at {path}: {detail}")]
    Absent {
        /// Where.
        path: PathBuf,
        /// Why it cannot be used.
        detail: String,
    },
    /// tantivy failed.
    #[error("the search index failed: {0}")]
    Engine(String),
    /// A word or beginning stands for too many words: a result would not be complete.
    #[error("{0}")]
    TooBroad(String),
    /// The archive could not be read.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
}

impl From<tantivy::TantivyError> for Error {
    fn from(error: tantivy::TantivyError) -> Self {
        match error {
            tantivy::TantivyError::InvalidArgument(detail) if detail.contains("expansions") => {
                Self::TooBroad("a word in a phrase begins too many words of the archive; write more of it".to_owned())
            }
            // The engine hands on what the system said in a dozen wrappings, some of them text only.
            other if other.to_string().contains("(os error 28)") => {
                Self::Store(std::io::Error::from(std::io::ErrorKind::StorageFull).into())
            }
            other => Self::Engine(other.to_string()),
        }
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::Store(error.into())
    }
}
