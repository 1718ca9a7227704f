//! The Merkle ledger: RFC 6962 hashing, proofs, salted commitments, signed notes, checkpoints.
//!
//! Pure: no I/O, no clock, no randomness of its own. What is stored where is `store`'s business;
//! this room says what is hashed, what is signed, and how anyone checks it.

mod checkpoint;
mod commitment;
mod note;
mod opening;
mod proof;
mod tree;

pub use checkpoint::{Checkpoint, TlogProof};
pub use commitment::{ArchiveId, Label, LeafEntry, SpanSecret};
pub use note::{Note, NoteError, SigningKey, VerifierKey};
pub use opening::{Opening, OpeningError, Part};
pub use proof::{ProofError, consistency_proof, inclusion_proof, verify_consistency, verify_inclusion};
pub use tree::{Frontier, empty_root, hash_children, hash_leaf};
