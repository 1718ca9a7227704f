use crate::model::{ChannelId, Digest, MessageTs, SourceId, UtcTime};
use crate::record::{Kind, Origin};

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
    /// A file that reads as before, whose contents were fetched at last.
    Fetched,
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
        }
    }

    /// The change of that number.
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::New, Self::Changed, Self::Gone, Self::Back, Self::BackChanged, Self::Shared, Self::Fetched]
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
    /// The unfinished walk, as the crawl wrote it.
    pub walk: Option<String>,
    /// When the last whole walk ended.
    pub walked_until: Option<UtcTime>,
    /// `complete`, or why not.
    pub result: String,
    /// The run that wrote this.
    pub run: u64,
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
