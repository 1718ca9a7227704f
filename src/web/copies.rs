//! Copies of pictures that were made for pages, as long as there is room: in memory, since what is derived on the
//! disk belongs to the one process that writes.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::{AcquireError, Semaphore, SemaphorePermit};

use crate::model::Digest;

/// Bytes of all copies together.
const ROOM: usize = 16 << 20;

/// A copy of a picture.
#[derive(Debug, Clone)]
pub(super) struct Copy {
    pub(super) kind: &'static str,
    pub(super) bytes: Bytes,
}

/// The copies, the last used at the end.
#[derive(Debug)]
pub(super) struct Copies {
    kept: Mutex<VecDeque<((Digest, u32), Copy)>>,
    turn: Semaphore,
}

impl Copies {
    pub(super) fn new() -> Self {
        Self { kept: Mutex::default(), turn: Semaphore::new(1) }
    }

    /// Waits until nobody else makes a copy.
    pub(super) async fn turn(&self) -> Result<SemaphorePermit<'_>, AcquireError> {
        self.turn.acquire().await
    }

    /// The copy of a content with this longest side, if it is kept.
    pub(super) fn get(&self, content: &Digest, side: u32) -> Option<Copy> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let place = kept.iter().position(|(key, _)| *key == (*content, side))?;
        let entry = kept.remove(place)?;
        let copy = entry.1.clone();
        kept.push_back(entry);
        Some(copy)
    }

    /// Keeps a copy, and lets go of those that were not asked for the longest.
    pub(super) fn put(&self, content: &Digest, side: u32, copy: Copy) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(key, _)| *key != (*content, side));
        kept.push_back(((*content, side), copy));
        let mut size: usize = kept.iter().map(|(_, copy)| copy.bytes.len()).sum();
        while size > ROOM {
            let Some((_, oldest)) = kept.pop_front() else { break };
            size -= oldest.bytes.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_asked_for_goes_first() {
        let copies = Copies::new();
        let copy = || Copy { kind: "image/png", bytes: vec![0; ROOM / 3].into() };
        let digests = [1, 2, 3, 4].map(|byte| Digest([byte; 32]));
        for digest in &digests[..3] {
            copies.put(digest, 320, copy());
        }
        assert!(copies.get(&digests[0], 320).is_some());
        copies.put(&digests[3], 320, copy());
        let kept = digests.map(|digest| copies.get(&digest, 320).is_some());
        assert_eq!(kept, [true, false, true, true]);
        assert!(copies.get(&digests[0], 1600).is_none(), "another size is another copy");
        copies.put(&digests[0], 1600, Copy { kind: "image/png", bytes: vec![0; ROOM + 1].into() });
        assert!(copies.get(&digests[0], 1600).is_none(), "larger than all the room");
    }
}
