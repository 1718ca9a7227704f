//! The archive on disk: SQLite, blocks, the tree, blobs, crawl state, web accounts. The only SQL.
//!
//! Records, tree and crawl state change in one transaction; what is appended is durable when the
//! call returns. There is one writer ([`Writer`], behind [`Appender`]) and any number of readers
//! ([`Reader`]), which never write and hold no transaction for longer than one call.

mod about;
pub mod access;
mod appender;
mod blobs;
mod change;
mod db;
mod error;
pub mod keys;
mod layout;
mod moment;
mod reader;
mod rows;
mod state;
#[cfg(test)]
pub(crate) mod tests;
mod tree;
mod writer;

pub use appender::{Appender, Turn, WriterThread};
pub use blobs::{Blobs, DiskSpace, Incoming};
pub use change::{AccountRow, Audit, Batch, Change, InFlight, NewRecord, Standing, StateChange, WalkResult, WalkRow};
pub use error::Error;
pub use layout::{Layout, WriteLock, write_whole};
pub use moment::moment;
#[cfg(feature = "failpoints")]
pub use moment::{Watch, watch};
pub use reader::{ArchiveRow, Block, Reader, SubjectRow, Tables, VersionRow, expected_about, expected_definitions};
pub use rows::{BlockOpener, BlockRow, DictionaryRow, Misfit, SaltRow, leaf_hash};
pub use state::{DebtRow, FileRow, RunRow};
pub use tree::SPAN;
pub use writer::{Appended, Writer, create, message_ranges};

/// The source that `init` makes: the one server of this archive.
pub const FIRST_SOURCE: crate::model::SourceId = crate::model::SourceId(1);
