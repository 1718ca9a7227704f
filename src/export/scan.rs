//! All records in their order, once, in constant memory.

use std::collections::HashMap;
use std::sync::Arc;

use super::Error;
use crate::model::{ChannelId, RecordSeq};
use crate::record::Record;
use crate::store::Reader;

/// Blocks read at once.
const BLOCKS: usize = 16;

/// Calls `each` with every record below `end`.
pub(super) fn each_record(
    reader: &Reader,
    end: u64,
    mut each: impl FnMut(RecordSeq, Record) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut next = 0;
    while next < end {
        let blocks = reader.blocks(next, BLOCKS)?;
        for block in blocks {
            for (seq, record) in (block.first.0..).zip(block.records) {
                if (next..end).contains(&seq) {
                    each(RecordSeq(seq), record)?;
                    next = seq + 1;
                }
            }
        }
    }
    Ok(())
}

/// Small numbers for channels, so that a message is twelve bytes in a set of a million.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    by_id: HashMap<ChannelId, u32>,
    ids: Vec<ChannelId>,
}

impl Numbers {
    /// The number of a channel, given to it when it is first seen.
    pub(super) fn of(&mut self, channel: &ChannelId) -> u32 {
        if let Some(number) = self.by_id.get(channel) {
            return *number;
        }
        let number = u32::try_from(self.ids.len()).unwrap_or(u32::MAX);
        self.by_id.insert(channel.clone(), number);
        self.ids.push(channel.clone());
        number
    }

    /// The number of a channel that was seen.
    pub(super) fn known(&self, channel: &ChannelId) -> Option<u32> {
        self.by_id.get(channel).copied()
    }

    /// The channel of a number.
    pub(super) fn channel(&self, number: u32) -> &ChannelId {
        &self.ids[number as usize]
    }
}

/// Small numbers for people's ids.
#[derive(Debug, Default)]
pub(super) struct People {
    by_id: HashMap<Arc<str>, u32>,
    ids: Vec<Arc<str>>,
}

impl People {
    /// The number of a person, given to them when they are first named.
    pub(super) fn of(&mut self, id: &str) -> u32 {
        if let Some(number) = self.by_id.get(id) {
            return *number;
        }
        let number = u32::try_from(self.ids.len()).unwrap_or(u32::MAX);
        let id: Arc<str> = id.into();
        self.by_id.insert(Arc::clone(&id), number);
        self.ids.push(id);
        number
    }

    /// The number of a person who was named.
    pub(super) fn known(&self, id: &str) -> Option<u32> {
        self.by_id.get(id).copied()
    }

    /// The id of a number.
    pub(super) fn id(&self, number: u32) -> &Arc<str> {
        &self.ids[number as usize]
    }
}
