//! What lies between two messages that are shown: how many others there are, whether they stand or are gone.

use super::timeline::count_between;
use crate::model::{ChannelId, MessageTs, SourceId};
use crate::record::Kind;
use crate::store::{Change, Error, Reader};

/// How many messages of a channel lie between two others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Passed {
    /// Not known to be gone.
    pub standing: u64,
    /// Gone, their texts kept.
    pub gone: u64,
}

/// The messages after `after` and before `before`.
pub(super) fn passed_between(
    reader: &Reader,
    source: SourceId,
    channel: &ChannelId,
    after: MessageTs,
    before: MessageTs,
) -> Result<Passed, Error> {
    let (from, to) = (MessageTs::from_micros(after.micros() + 1), before.before());
    if from > to {
        return Ok(Passed::default());
    }
    let later = reader.versions_between(Kind::Message, source, channel, from, to)?;
    let decides = |change: &Change| *change != Change::Earlier;
    let last = |rows: &Vec<crate::store::VersionRow>| rows.iter().rev().map(|row| row.change).find(decides);
    let gone = later.values().filter(|rows| last(rows) == Some(Change::Gone)).count() as u64;
    Ok(Passed { standing: count_between(reader, source, channel, from, to)?, gone })
}
