//! Records: exactly what is on disk, and what decides whether something changed.
//!
//! A record is our header line and the bytes that were received. This room encodes and decodes
//! records and blocks, takes bearer secrets out of URL fields before anything is hashed, and
//! computes the change digest. Pure: no I/O, no clock.

mod block;
mod change;
mod header;
mod own;
mod redact;
mod visit;

pub use block::{BlockError, BlockLimits, DecodedBlock, decode_block, encode_block, encode_sealed_block};
pub use change::{change_digest, is_part_of, roster_members};
pub use header::{First, Header, Kind, LIVE, Origin, Record, State};
pub use own::{KeyBefore, OWN, OwnNote, Reason};
pub use redact::{redact, redact_markup};
pub use visit::{Action, Visit, VisitHeader, scope_list, scope_note, visit_leaf, visit_line};
