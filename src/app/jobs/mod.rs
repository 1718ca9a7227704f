//! What a watch does beside its passes, one file each.

pub(super) mod indexing;
pub(super) mod listening;
pub(super) mod sealing;
pub(super) mod supervisor;
