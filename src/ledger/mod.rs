//! The Merkle ledger: RFC 6962 hashing, proofs, salted commitments, signed notes, checkpoints,
//! cosignatures, proof files.
//!
//! Pure: no I/O, no clock, no randomness of its own. What is stored where is `store`'s business;
//! this room says what is hashed, what is signed, and how anyone checks it.

mod checkpoint;
mod commitment;
mod cosignature;
mod key;
mod known;
mod note;
mod opening;
mod proof;
mod tlog_proof;
mod tree;

pub use checkpoint::Checkpoint;
pub use commitment::{ArchiveId, Label, LeafEntry, SpanSecret};
pub use cosignature::{CosignerKey, CosigningKey};
pub use known::{KnownKey, Verified};
pub use note::{Note, NoteError, Signature, SigningKey, VerifierKey};
pub use opening::{Opening, OpeningError, Part};
pub use proof::{ProofError, consistency_proof, inclusion_proof, verify_consistency, verify_inclusion};
pub use tlog_proof::{Proved, TlogProof, TlogProofError};
pub use tree::{Frontier, empty_root, hash_children, hash_leaf};
