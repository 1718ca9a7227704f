//! What a stranger is handed about a record, to check without us.

use super::error::Error;
use super::reader::Reader;
use crate::ledger::{Checkpoint, Label, Opening, TlogProof, verify_inclusion};
use crate::model::{Digest, RecordSeq};

/// A record with all that shows it to be in the newest signed checkpoint.
#[derive(Debug, Clone)]
pub struct RecordProof {
    /// Its number, which is the leaf's index.
    pub seq: RecordSeq,
    /// What opens its leaf. A part may be withheld ([`Opening::redact`]); the proof stays good.
    pub opening: Opening,
    /// The audit path, leaf's sibling first.
    pub path: Vec<Digest>,
    /// The size and root that were signed.
    pub checkpoint: Checkpoint,
    /// The signed note with them, verbatim.
    pub note: String,
}

impl RecordProof {
    /// The same proof for somebody who is told neither what the record says nor what is said of it.
    #[must_use]
    pub fn closed(mut self) -> Self {
        self.opening.redact(Label::Header);
        self.opening.redact(Label::Body);
        self
    }

    /// The `.tlog-proof` text (C2SP tlog-proof), with the opening as its extra line.
    pub fn to_text(&self) -> String {
        let extra = Some(self.opening.to_line().into_bytes());
        TlogProof { index: self.seq.0, path: self.path.clone(), extra, checkpoint: self.note.clone() }.to_text()
    }
}

/// Why there is no proof of a record.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// Nothing was signed so far.
    #[error("no checkpoint was signed yet, so nothing can be proved")]
    NoCheckpoint,
    /// The record is newer than all that was signed.
    #[error("record {seq} was added after the newest checkpoint, which covers {size} records")]
    Uncovered {
        /// The record.
        seq: RecordSeq,
        /// Records in the newest checkpoint.
        size: u64,
    },
    /// The archive could not be read, or is not what was signed.
    #[error(transparent)]
    Store(#[from] Error),
}

impl Reader {
    /// The proof that record `seq` is in the newest signed checkpoint. It is checked before it is
    /// handed out: one that does not hold is [`Error::Corrupt`].
    pub fn proof(&self, seq: RecordSeq) -> Result<RecordProof, ProofError> {
        let (checkpoint, note, _) = self.newest_checkpoint()?.ok_or(ProofError::NoCheckpoint)?;
        if seq.0 >= checkpoint.size {
            return Err(ProofError::Uncovered { seq, size: checkpoint.size });
        }
        let opening = self.opening(seq)?;
        let path = self.inclusion(seq, checkpoint.size)?;
        verify_inclusion(seq.0, checkpoint.size, &opening.entry().hash(), &path, &checkpoint.root).map_err(
            |error| Error::Corrupt {
                seq,
                detail: format!("it is not what the newest checkpoint was signed for: {error}"),
            },
        )?;
        Ok(RecordProof { seq, opening, path, checkpoint, note })
    }
}
