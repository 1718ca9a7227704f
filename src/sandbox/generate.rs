//! Placeholder: the generator is written elsewhere.

use super::seed::Seed;

/// A generated workspace.
pub fn seed(_messages: usize, _seed: u64) -> Seed {
    super::story::seed()
}
