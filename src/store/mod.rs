//! The archive on disk: SQLite, blocks, the tree, blobs, crawl state, web accounts. The only SQL.
//!
//! Records, tree and crawl state change in one transaction; what is appended is durable when the
//! call returns. There is one writer ([`Writer`], behind [`Appender`]) and any number of readers
//! ([`Reader`]), which never write and hold no transaction for longer than one call.

mod about;
pub mod access;
mod access_list;
mod access_log;
mod anchored;
mod appender;
mod blobs;
mod change;
mod compact;
mod db;
mod derived;
mod dictionary;
mod error;
pub mod keys;
mod layout;
mod moment;
mod notes;
mod proof;
mod reader;
mod rows;
mod saved;
mod state;
mod subjects;
mod tables;
#[cfg(test)]
pub(crate) mod tests;
mod tree;
mod writer;

pub use access_list::{Side, VisitFilter};
pub use access_log::{AccessDatabase, AccessLog, AccessTables, StoredVisit, access_origin, examine_access};
pub use anchored::AnchoredRow;
pub use appender::{Appender, Turn, WriterThread};
pub use blobs::{Blobs, DiskSpace, Incoming};
pub use change::{
    AccountRow, Audit, Batch, Change, InFlight, NewRecord, Standing, StateChange, SuppliedRecord, WalkResult, WalkRow,
};
pub use compact::{Compacted, SealLimits, Sealing, Weight, compact};
pub use derived::{Derived, DerivedReader, NewResult, ResultRow};
pub use dictionary::dictionary_id;
pub use error::Error;
pub use layout::{Layout, WriteLock, write_whole};
pub use moment::moment;
#[cfg(feature = "failpoints")]
pub use moment::{Watch, watch};
pub use notes::{Breadth, NoteFile, Unusable, note_files, refuse_contradiction, signed_by};
pub use proof::{ProofError, RecordProof};
pub use reader::{ArchiveRow, Block, OwnRecord, Reader, missing};
pub use rows::{BlockOpener, BlockRow, DictionaryRow, Misfit, SaltRow, leaf_hash};
pub use saved::SavedSearch;
pub use state::{DebtRow, FileRow, RunRow};
pub use subjects::VersionRow;
pub use tables::{SubjectRow, Tables, expected_about, expected_definitions};
pub use tree::SPAN;
pub use writer::{Appended, NewKey, Signing, Writer, create, message_ranges};

/// The source that `init` makes: the one server of this archive.
pub const FIRST_SOURCE: crate::model::SourceId = crate::model::SourceId(1);
