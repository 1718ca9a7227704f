use crate::model::{ChannelId, MessageTs, RecordSeq, SourceId, json};
use crate::record::{Kind, Record, State};
use crate::store::{Change, Error, Reader};

/// One version of a subject, with its record.
#[derive(Debug, Clone)]
pub struct Version {
    /// 1, 2, …
    pub version: u32,
    /// Number of the record.
    pub seq: RecordSeq,
    /// How it relates to the one before.
    pub change: Change,
    /// The record.
    pub record: Record,
}

/// Whether a version is what stands now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemState {
    /// It stands.
    Current,
    /// A later version replaced it.
    Edited,
    /// The subject is gone and this is how it last read.
    Deleted,
}

impl ItemState {
    /// The word in every output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Edited => "edited",
            Self::Deleted => "deleted",
        }
    }
}

/// A subject with all its versions, oldest first; there is at least one.
#[derive(Debug, Clone)]
pub struct Item {
    /// What it is about.
    pub kind: Kind,
    /// Which server or import.
    pub source: SourceId,
    /// Its channel, for what belongs to one.
    pub channel: Option<ChannelId>,
    /// Its key.
    pub key: String,
    /// Every version, those that say it is gone included.
    pub versions: Vec<Version>,
}

impl Item {
    /// Whether its newest version says that it is gone.
    pub fn is_gone(&self) -> bool {
        self.versions.last().is_some_and(|version| version.record.header.state == State::Gone)
    }

    /// The versions that hold what the source sent, oldest first, without those that only say that
    /// it came back unchanged.
    pub fn readings(&self) -> Vec<&Version> {
        let mut out: Vec<&Version> = Vec::new();
        for version in self.versions.iter().filter(|version| version.record.header.state == State::Present) {
            match version.change {
                Change::Back | Change::Shared => {}
                // The same version of a file, now with its contents: it stands for both.
                Change::Fetched => {
                    out.pop();
                    out.push(version);
                }
                Change::New | Change::Changed | Change::BackChanged | Change::Gone => out.push(version),
            }
        }
        out
    }

    /// The channels a file was seen in.
    pub fn shared_in(&self) -> Vec<ChannelId> {
        let mut out: Vec<ChannelId> = Vec::new();
        for id in self
            .versions
            .iter()
            .flat_map(|version| &version.record.header.shared_in)
            .filter_map(|id| ChannelId::parse(id))
        {
            if !out.contains(&id) {
                out.push(id);
            }
        }
        out
    }

    /// How it last read.
    pub fn latest(&self) -> Option<&Version> {
        self.readings().last().copied()
    }

    /// What a reading of it is now.
    pub fn state_of(&self, seq: RecordSeq) -> ItemState {
        match self.latest() {
            Some(latest) if latest.seq != seq => ItemState::Edited,
            _ if self.is_gone() => ItemState::Deleted,
            _ => ItemState::Current,
        }
    }

    /// The evidence of its disappearance, when it is gone: our note, as JSON.
    pub fn evidence(&self) -> Option<serde_json::Value> {
        self.versions.last().filter(|_| self.is_gone()).and_then(|version| json::parse(&version.record.body))
    }
}

/// A subject by its key; `None` when nothing is known of it.
pub fn item(
    reader: &Reader,
    kind: Kind,
    source: SourceId,
    channel: Option<&ChannelId>,
    key: &str,
) -> Result<Option<Item>, Error> {
    let mut versions = Vec::new();
    if kind == Kind::Message {
        let found = match (channel, MessageTs::parse(key)) {
            (Some(channel), Some(ts)) => first_version(reader, source, channel, ts)?,
            _ => None,
        };
        let Some((seq, record)) = found else { return Ok(None) };
        versions.push(Version { version: 1, seq, change: Change::New, record });
    }
    for row in reader.versions(kind, source, channel, key)? {
        versions.push(Version {
            version: row.version,
            seq: row.seq,
            change: row.change,
            record: reader.record(row.seq)?,
        });
    }
    if versions.is_empty() {
        return Ok(None);
    }
    Ok(Some(Item { kind, source, channel: channel.cloned(), key: key.to_owned(), versions }))
}

/// The first version of a message, through the span index.
fn first_version(
    reader: &Reader,
    source: SourceId,
    channel: &ChannelId,
    ts: MessageTs,
) -> Result<Option<(RecordSeq, Record)>, Error> {
    let key = ts.to_string();
    for (_, _, first) in reader.message_blocks(source, channel, ts, ts)? {
        let block = reader.block(first)?;
        for (seq, record) in (block.first.0..).zip(&block.records) {
            let header = &record.header;
            if header.kind == Kind::Message
                && header.version == 1
                && header.key == key
                && header.channel.as_deref() == Some(channel.as_str())
            {
                return Ok(Some((RecordSeq(seq), record.clone())));
            }
        }
    }
    Ok(None)
}
