use serde::{Deserialize, Serialize};

use crate::model::{ChannelId, Digest, MessageTs, RecordSeq, SourceId, UtcTime, rfc3339};
use crate::record::{First, Header, Kind, Origin, State};

/// How a record relates to what was known of its subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing was known.
    New,
    /// It reads otherwise than before.
    Changed,
    /// It can no longer be found.
    Gone,
    /// It was gone and is back as it was.
    Back,
    /// It was gone and is back, reading otherwise.
    BackChanged,
    /// A file that reads as before was seen in another channel.
    Shared,
    /// What was known in part reads as before and is now known whole: a file with its contents, a
    /// message of which a live event told.
    Fetched,
    /// A reading from before what was known of a message, told late by a live event: it takes its
    /// place among the others by its time of edit, and what stands stays.
    Earlier,
}

impl Change {
    /// The number in the subject table.
    pub fn number(self) -> u8 {
        match self {
            Self::New => 0,
            Self::Changed => 1,
            Self::Gone => 2,
            Self::Back => 3,
            Self::BackChanged => 4,
            Self::Shared => 5,
            Self::Fetched => 6,
            Self::Earlier => 7,
        }
    }

    /// The change of that number.
    pub fn from_number(number: u8) -> Option<Self> {
        [
            Self::New,
            Self::Changed,
            Self::Gone,
            Self::Back,
            Self::BackChanged,
            Self::Shared,
            Self::Fetched,
            Self::Earlier,
        ]
        .into_iter()
        .find(|change| change.number() == number)
    }
}

/// A record to be appended. The store gives it its number, its place among the records of its
/// channel, and its salt.
#[derive(Debug, Clone)]
pub struct NewRecord {
    /// What it is about.
    pub kind: Kind,
    /// Which server or import.
    pub source: SourceId,
    /// The channel, for what belongs to one.
    pub channel: Option<ChannelId>,
    /// The subject's key; see [`Kind`].
    pub key: String,
    /// 1 for a subject's first, then one more each.
    pub version: u32,
    /// How it relates to the version before.
    pub change: Change,
    /// Seen, noted or supplied.
    pub origin: Origin,
    /// The method whose reply held the bytes.
    pub via: &'static str,
    /// Whose view it is.
    pub account: String,
    /// In which run.
    pub run: u64,
    /// When the reply came.
    pub observed_at: UtcTime,
    /// How many bearer secrets were replaced in `body`.
    pub tickets: u32,
    /// Contents that belong to it.
    pub attachments: Vec<Digest>,
    /// For files: the channels it was seen in.
    pub shared_in: Vec<ChannelId>,
    /// The bytes.
    pub body: Vec<u8>,
}

impl NewRecord {
    /// The line that is kept of it; `n` is its place among the records of its channel.
    pub fn header(&self, n: Option<u64>) -> Header {
        Header {
            kind: self.kind,
            source: self.source.0,
            channel: self.channel.as_ref().map(|channel| channel.as_str().to_owned()),
            key: self.key.clone(),
            version: self.version,
            state: if self.change == Change::Gone { State::Gone } else { State::Present },
            n,
            origin: self.origin,
            via: self.via.to_owned(),
            account: self.account.clone(),
            run: self.run,
            observed_at: rfc3339(self.observed_at),
            tickets: self.tickets,
            attachments: self.attachments.iter().map(Digest::to_string).collect(),
            shared_in: self.shared_in.iter().map(ChannelId::to_string).collect(),
            first: None,
        }
    }
}

/// A record out of another archive.
#[derive(Debug, Clone)]
pub struct SuppliedRecord {
    /// The record; its origin is [`Origin::Imported`].
    pub record: NewRecord,
    /// What its header names under `via`.
    pub via: String,
    /// What it was there.
    pub first: First,
}

/// A change of crawl state, committed in the transaction of the records it speaks of.
#[derive(Debug, Clone)]
pub enum StateChange {
    /// Where the walk of a channel by an account stands: replaces what was known, whole.
    Walk(WalkRow),
    /// A run ended.
    RunEnded {
        /// Which.
        run: u64,
        /// When.
        at: UtcTime,
        /// `complete` or `partial`.
        result: String,
        /// Its summary as JSON.
        summary: String,
    },
    /// A file was seen in a channel and is to be fetched.
    FileWanted {
        /// Which server or import.
        source: SourceId,
        /// Its id.
        id: String,
        /// Where it was seen.
        channel: ChannelId,
    },
    /// A file as it was last fetched: it is no longer wanted.
    File {
        /// Which server or import.
        source: SourceId,
        /// Its id.
        id: String,
        /// Time stamp, size and edit counter, as text.
        mark: String,
        /// How many comments the server counted.
        comments: u64,
        /// The channels it was seen in.
        channels: Vec<ChannelId>,
    },
    /// A content that is now under `blobs/`.
    Blob {
        /// Its SHA-256.
        digest: Digest,
        /// Its length in bytes.
        size: u64,
    },
    /// Something is owed: recorded once, its tries counted.
    Owed {
        /// `file`, `channel` …
        kind: &'static str,
        /// Which.
        key: String,
        /// Why, in words for people.
        reason: String,
        /// When it was seen to be owed.
        at: UtcTime,
    },
    /// A debt is paid.
    Paid {
        /// `file`, `channel` …
        kind: &'static str,
        /// Which.
        key: String,
    },
    /// How an account fares.
    Account(AccountRow),
    /// An account was not shown a message that is archived inside the range it has walked.
    Unseen {
        /// Whose view.
        account: String,
        /// Which server.
        source: SourceId,
        /// The channel or conversation.
        channel: ChannelId,
        /// The message.
        ts: MessageTs,
        /// It was shown it before, and another account still is.
        is_lost: bool,
    },
    /// It was shown it after all.
    Seen {
        /// Whose view.
        account: String,
        /// Which server.
        source: SourceId,
        /// The channel or conversation.
        channel: ChannelId,
        /// The message.
        ts: MessageTs,
    },
    /// A live event told that a message was deleted; it is not recorded as gone yet. Of several that
    /// told it, the last counts.
    Told {
        /// Which server.
        source: SourceId,
        /// The channel or conversation.
        channel: ChannelId,
        /// The message.
        ts: MessageTs,
        /// The record of the event: its place among the records of this batch.
        event: usize,
    },
    /// What was told of deletions in a stretch is settled: each message in it was found to be gone
    /// or to stand.
    Settled {
        /// Which server.
        source: SourceId,
        /// The channel or conversation.
        channel: ChannelId,
        /// Its lowest end, inclusive.
        from: MessageTs,
        /// Its highest.
        to: MessageTs,
        /// Only what was told by records before this one; `None`: all.
        before: Option<RecordSeq>,
    },
    /// How a subject reads to an account, where that is not how the newest record has it; `None`:
    /// the newest record is how it reads to it.
    View {
        /// Whose view.
        account: String,
        /// Which server.
        source: SourceId,
        /// What the subject is.
        kind: Kind,
        /// Its channel, for what belongs to one.
        channel: Option<ChannelId>,
        /// Its key.
        key: String,
        /// The change digest of the reading.
        digest: Option<Digest>,
    },
    /// A keeper elsewhere has taken a checkpoint. Noted once; a second answer about the same
    /// checkpoint is passed over.
    Anchored {
        /// The checkpoint's size.
        size: u64,
        /// Which keeper: `folder:NAME`, `witness:NAME`, `timestamp:NAME`.
        sink: String,
        /// When it answered.
        at: UtcTime,
        /// What it answered, byte for byte.
        evidence: Vec<u8>,
    },
    /// Something that concerns the whole archive was done.
    Mark {
        /// What.
        name: String,
        /// When.
        at: UtcTime,
    },
}

/// The crawl state of one channel as one account sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalkRow {
    /// Whose view.
    pub account: String,
    /// Which server.
    pub source: SourceId,
    /// The channel or conversation.
    pub channel: ChannelId,
    /// Covered through here for sure (protocol notes 6.1).
    pub pin: Option<MessageTs>,
    /// Where the next pass goes on.
    pub standing: Standing,
    /// When the last whole walk ended.
    pub walked_until: Option<UtcTime>,
    /// How the last walk ended.
    pub result: WalkResult,
    /// The run that wrote this.
    pub run: u64,
}

/// How a walk of a channel ended, or that it has not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WalkResult {
    /// It was never begun.
    NotBegun,
    /// It was cut off and goes on.
    UnderWay,
    /// From the pin to the floor, in order.
    Complete,
    /// To the floor, but the messages came out of order: the next one goes down to the beginning.
    OrderNotProved,
    /// A first walk in more than one part: what other accounts see besides is told by the next one,
    /// which goes down to the beginning.
    InParts,
    /// The server gave an error.
    Failed,
    /// The account can no longer see the channel.
    Lost,
}

impl WalkResult {
    const ALL: [Self; 7] =
        [Self::NotBegun, Self::UnderWay, Self::Complete, Self::OrderNotProved, Self::InParts, Self::Failed, Self::Lost];

    /// The words in the table and in every output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotBegun => "not begun",
            Self::UnderWay => "under way",
            Self::Complete => "complete",
            Self::OrderNotProved => "order not proved",
            Self::InParts => "in parts",
            Self::Failed => "failed",
            Self::Lost => "lost",
        }
    }

    /// The result of those words. What is not one counts as not begun.
    pub fn parse(text: &str) -> Self {
        Self::ALL.into_iter().find(|result| result.as_str() == text).unwrap_or(Self::NotBegun)
    }
}

/// What is remembered of a channel between passes, beside its pin.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Standing {
    /// A walk that was cut off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_flight: Option<InFlight>,
    /// When files and pins of the channel were last read whole.
    #[serde(with = "moment", skip_serializing_if = "Option::is_none")]
    pub sides_at: Option<UtcTime>,
    /// When the feed was last compared with the history.
    #[serde(with = "moment", skip_serializing_if = "Option::is_none")]
    pub atom_at: Option<UtcTime>,
    /// When the newest day was last walked again.
    #[serde(with = "moment", skip_serializing_if = "Option::is_none")]
    pub day_at: Option<UtcTime>,
    /// When the newest week was.
    #[serde(with = "moment", skip_serializing_if = "Option::is_none")]
    pub week_at: Option<UtcTime>,
    /// The audit of the newest month.
    pub month: Audit,
    /// The audit of all history.
    pub all: Audit,
}

/// A walk under way. Its cursor means something only with the floor and the pin it was minted
/// under, so the three are kept together (protocol notes 6.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InFlight {
    /// Where it is to end, in microseconds.
    pub floor: i64,
    /// Where it began.
    pub pin: Option<i64>,
    /// How far down it came.
    pub cursor: i64,
}

/// A stretch of history that is walked again piece by piece, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Audit {
    /// How far down the present round came, in microseconds; `None` between rounds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<i64>,
    /// When the present round began.
    #[serde(with = "moment", skip_serializing_if = "Option::is_none")]
    pub began_at: Option<UtcTime>,
    /// When every message of the stretch had been looked at again: the beginning of the last round
    /// that came to its end.
    #[serde(with = "moment", skip_serializing_if = "Option::is_none")]
    pub done_at: Option<UtcTime>,
}

/// A time as RFC 3339, so that the state can be read with nothing but SQLite.
mod moment {
    use serde::{Deserialize as _, Deserializer, Serializer};

    use crate::model::{UtcTime, rfc3339};

    #[expect(clippy::ref_option, reason = "serde passes a reference")]
    pub(super) fn serialize<S: Serializer>(time: &Option<UtcTime>, serializer: S) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => serializer.serialize_str(&rfc3339(*time)),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<UtcTime>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        Ok(text.and_then(|text| chrono::DateTime::parse_from_rfc3339(&text).ok()).map(|time| time.to_utc()))
    }
}

/// An account of the archived server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRow {
    /// The name it is known by here.
    pub name: String,
    /// Who it is on the server.
    pub user_id: String,
    /// `ok`, `needs_login`, `refused`, `disabled`.
    pub state: String,
    /// Why it is not `ok`.
    pub reason: Option<String>,
    /// When it last finished a pass.
    pub last_success: Option<UtcTime>,
}

/// Records and the state that goes with them: all or nothing.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// What is appended, in this order.
    pub records: Vec<NewRecord>,
    /// What changes with it.
    pub changes: Vec<StateChange>,
}

/// The key of a subject as the table has it: a message's time stamp padded to ten digits of
/// seconds, so that the order of texts is the order of time.
pub(super) fn stored_key(kind: Kind, key: &str) -> String {
    match (kind, key.find('.')) {
        (Kind::Message | Kind::Reactions, Some(point)) if point < 10 => {
            format!("{key:0>width$}", width = key.len() + 10 - point)
        }
        _ => key.to_owned(),
    }
}
