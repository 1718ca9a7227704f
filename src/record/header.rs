use serde::{Deserialize, Serialize};

use crate::ledger::{ArchiveId, LeafEntry, Opening};
use crate::model::{ChannelId, Digest, UtcTime, rfc3339};

/// What a record is about. The number is on disk and in the leaf: never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Kind {
    /// An item of a channel's stream. Key: its time stamp.
    Message = 1,
    /// A version of a file. Key: the file's id.
    File = 2,
    /// A version of a comment on a file. Key: file id, `/`, comment id.
    Comment = 3,
    /// A channel's facts with its roster, as `channels.list` gives them. Key: the channel.
    Channel = 4,
    /// A person's facts. Key: the user id.
    User = 5,
    /// A direct conversation's facts. Key: the conversation.
    Im = 6,
    /// The pins that one account was shown in a channel. Key: channel, `/`, account.
    Pins = 7,
    /// The reactions on a message after they changed. Key: the message's time stamp.
    Reactions = 8,
    /// Who the archived account is, as the server says. Key: the account.
    Account = 9,
    /// What was walked, by whom, with which result. Key: the run.
    Coverage = 10,
    /// Something the source did that could not be understood or does not fit. Key: SHA-256 of
    /// what is said of it, so that the same finding is noted once.
    Finding = 11,
    /// A channel, or many items at once, that an account can no longer see. Key: the channel, `/`,
    /// the account, and `/messages` for many items.
    Visibility = 12,
    /// An item that could not be recognised, as it came. Key: SHA-256 of its bytes.
    Unknown = 13,
    /// A live event, as it came over the socket. Key: SHA-256 of its bytes, `/`, when it came, since
    /// a server may send the same twice.
    Event = 14,
    /// An inventory of the people and rooms that should be there, as it was supplied. Key:
    /// `expected`.
    Inventory = 15,
    /// The members of a channel whose list the server cuts in the channel's facts. Key: the channel.
    /// A note of their ids, the number that the server says there are, and the SHA-256 of the reply:
    /// that holds a whole person for each, and they have records of their own.
    Roster = 16,
    /// What the archive says of itself: its id, its log, its verification key and the one before,
    /// the server, and the SHA-256 of each text of its `about` table. Key: `archive`.
    Archive = 17,
    /// A dictionary that blocks are packed with from then on: its id, its SHA-256, and what it was
    /// trained on. Key: the id. The dictionary itself stands in a table of its own.
    Dictionary = 18,
}

impl Kind {
    /// All kinds, by number.
    pub const ALL: [Self; 18] = [
        Self::Message,
        Self::File,
        Self::Comment,
        Self::Channel,
        Self::User,
        Self::Im,
        Self::Pins,
        Self::Reactions,
        Self::Account,
        Self::Coverage,
        Self::Finding,
        Self::Visibility,
        Self::Unknown,
        Self::Event,
        Self::Inventory,
        Self::Roster,
        Self::Archive,
        Self::Dictionary,
    ];

    /// The number on disk.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The kind of that number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::File => "file",
            Self::Comment => "comment",
            Self::Channel => "channel",
            Self::User => "user",
            Self::Im => "im",
            Self::Pins => "pins",
            Self::Reactions => "reactions",
            Self::Account => "account",
            Self::Coverage => "coverage",
            Self::Finding => "finding",
            Self::Visibility => "visibility",
            Self::Unknown => "unknown",
            Self::Event => "event",
            Self::Inventory => "inventory",
            Self::Roster => "roster",
            Self::Archive => "archive",
            Self::Dictionary => "dictionary",
        }
    }

    /// Whether every version has a row of its own in the subject table. First versions of
    /// messages have none: they are found through the span index, which costs a fraction of a
    /// byte a message instead of forty. Notes of coverage and events are read in order only.
    pub fn is_listed(self, version: u32) -> bool {
        match self {
            Self::Message => version > 1,
            Self::Coverage | Self::Event => false,
            _ => true,
        }
    }
}

/// What a header names under `via` for what came as a live event and not as a method's reply.
pub const LIVE: &str = "rtm";

/// Whether the subject was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The body is what the server sent.
    Present,
    /// The body is our note of the evidence that it is gone.
    Gone,
}

/// Where the bytes are from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Seen by us on a server.
    Observed,
    /// Our own note about what was seen.
    Noted,
    /// Supplied by someone.
    Imported,
}

/// The header line. Its JSON has the fields in this order; a field without a value is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// What the record is about.
    pub kind: Kind,
    /// Which server or import.
    pub source: u32,
    /// The channel, in canonical form, for what belongs to one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// The subject's key within kind, source and channel.
    pub key: String,
    /// 1 for the first record about a subject, then one more each.
    pub version: u32,
    /// Whether the subject was there.
    pub state: State,
    /// Number of this record among those of its channel, from 1: gaps would show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n: Option<u64>,
    /// Seen, noted or supplied.
    pub origin: Origin,
    /// The method whose reply held the bytes, [`LIVE`], or what made us note them.
    pub via: String,
    /// Whose view it is.
    pub account: String,
    /// The run in which it was written.
    pub run: u64,
    /// When the reply came (our clock, UTC, RFC 3339).
    pub observed_at: String,
    /// How many bearer secrets in URL fields were replaced by the beginning of their SHA-256.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub tickets: u32,
    /// SHA-256 of attached contents.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub attachments: Vec<String>,
    /// For files: the channels in whose history or list it was seen, in canonical form. The
    /// server's own detail of a file does not say (protocol notes, row 18).
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub shared_in: Vec<String>,
    /// For what was supplied out of another archive: what it was in the one that first wrote it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub first: Option<Box<First>>,
}

/// What a supplied record was in the archive that first wrote it. Everything else in its header, but for the place
/// among the records of its channel and the run, is as it was there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct First {
    /// Seen, noted or supplied.
    pub origin: Origin,
    /// The name of that archive's log.
    pub log: String,
    /// The record's number there.
    pub record: u64,
    /// The run in which it was written there.
    pub run: u64,
    /// The server or import that it was of there.
    pub source: u32,
    /// How many records the signed checkpoint covered with which it was supplied.
    pub checkpoint: u64,
    /// SHA-256 of the tag manifest of the bag in which it was supplied.
    pub bag: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl Header {
    /// The line that is hashed and stored, without a newline.
    pub fn to_line(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a header is plain data")
    }

    /// The channel, when it has one.
    pub fn channel_id(&self) -> Option<ChannelId> {
        self.channel.as_deref().and_then(ChannelId::parse)
    }

    /// When it was observed. Headers are written by [`rfc3339`], so this parses.
    pub fn observed(&self) -> UtcTime {
        chrono::DateTime::parse_from_rfc3339(&self.observed_at)
            .map_or(chrono::DateTime::UNIX_EPOCH, |time| time.to_utc())
    }

    /// Sets the time of observation.
    pub fn set_observed(&mut self, time: UtcTime) {
        self.observed_at = rfc3339(time);
    }

    /// The attachments as digests; what is not one is left out (and found by `verify`).
    pub fn attachment_digests(&self) -> Vec<Digest> {
        self.attachments.iter().filter_map(|text| text.parse().ok()).collect()
    }
}

/// A record: its header and the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Our line about it.
    pub header: Header,
    /// What was received (or, for notes, what we say).
    pub body: Vec<u8>,
}

impl Record {
    /// The leaf entry of this record under the key of its number.
    pub fn leaf(&self, archive: &ArchiveId, key: &[u8; 32]) -> LeafEntry {
        let header = self.header.to_line();
        LeafEntry::new(archive, self.header.kind.number(), key, &header, &self.body, &self.header.attachment_digests())
    }

    /// What opens that leaf to whom it is handed.
    pub fn opening(&self, archive: &ArchiveId, key: &[u8; 32]) -> Opening {
        let header = self.header.to_line();
        Opening::new(archive, self.header.kind.number(), key, &header, &self.body, &self.header.attachment_digests())
    }
}
