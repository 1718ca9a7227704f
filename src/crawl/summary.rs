use std::collections::BTreeMap;

use serde::Serialize;

/// Something the server did that does not fit, or that could not be had.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// A word for it: `unreadable_item`, `seam`, `no_progress` …
    pub kind: &'static str,
    /// The channel, where it has one.
    pub channel: String,
    /// What was seen, for people.
    pub detail: String,
}

/// New, edited, deleted, restored.
#[derive(Debug, Clone, Default, Serialize)]
pub struct MessageCounts {
    /// Seen for the first time.
    pub new: u64,
    /// Reading otherwise than before.
    pub edited: u64,
    /// Gone, by two witnesses.
    pub deleted: u64,
    /// Gone before and back.
    pub restored: u64,
}

/// New, edited, deleted.
#[derive(Debug, Clone, Default, Serialize)]
pub struct CommentCounts {
    /// Seen for the first time.
    pub new: u64,
    /// Reading otherwise than before.
    pub edited: u64,
    /// Gone, by two witnesses.
    pub deleted: u64,
}

/// Files seen for the first time, versions fetched, bytes, failures.
#[derive(Debug, Clone, Default, Serialize)]
pub struct FileCounts {
    /// Seen for the first time.
    pub new: u64,
    /// Versions whose bytes were fetched.
    pub versions: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Not to be had; they are owed or a gap.
    pub failed: u64,
}

/// Channels seen, walked to their end, failed.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ChannelCounts {
    /// Seen.
    pub seen: u64,
    /// Walked to the end.
    pub walked: u64,
    /// Not to be had; they are owed or a gap.
    pub failed: u64,
}

/// Records added: how many, and the numbers of the first and last.
#[derive(Debug, Clone, Default, Serialize)]
pub struct RecordCounts {
    /// How many.
    pub added: u64,
    /// Number of the first.
    pub first: Option<u64>,
    /// Number of the last.
    pub last: Option<u64>,
}

/// A count of changes.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ChangeCount {
    /// Sets that differ.
    pub changed: u64,
}

/// One channel held against its feed: digests of both sides as they came, over the range that both
/// covered, and the verdict.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Reconciliation {
    /// Whose view it was.
    pub account: String,
    /// The channel.
    pub channel: String,
    /// The lowest message that was compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The highest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// In words.
    pub verdict: &'static str,
    /// SHA-256 over the SHA-256 of each message's body, page by page from the newest, oldest first in each.
    pub json: String,
    /// SHA-256 over the SHA-256 of each document of the feed, in the order in which they were read.
    pub atom: String,
}

/// What was held against the feeds; each channel once a day.
#[derive(Debug, Clone, Default, Serialize)]
pub struct ReconciledCounts {
    /// Channels.
    pub channels: u64,
    /// Messages that both sides cover.
    pub messages: u64,
    /// Those about which they did not agree, also when read again.
    pub disagreements: u64,
    /// The report of each channel.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reports: Vec<Reconciliation>,
}

/// What a pass did (contract, "`crawl`").
#[derive(Debug, Clone, Default, Serialize)]
pub struct Summary {
    /// Number of the run.
    pub run: u64,
    /// `complete`, or `partial` when something is owed or was not reached.
    pub result: &'static str,
    /// Channels and conversations.
    pub channels: ChannelCounts,
    /// Records appended.
    pub records: RecordCounts,
    /// Messages.
    pub messages: MessageCounts,
    /// Files.
    pub files: FileCounts,
    /// Comments on files.
    pub comments: CommentCounts,
    /// Reactions.
    pub reactions: ChangeCount,
    /// Pins.
    pub pins: ChangeCount,
    /// Channels held against their feeds.
    pub reconciled: ReconciledCounts,
    /// Requests sent.
    pub requests: u64,
    /// Those that were second tries.
    pub retries: u64,
    /// Bytes of replies and files.
    pub bytes_received: u64,
    /// What did not fit.
    pub findings: Vec<Finding>,
    /// How long it took.
    pub duration_ms: u64,
    /// Accounts that the server no longer accepts, with its reason. Empty ones are left out.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub refused_accounts: BTreeMap<String, String>,
    /// Debts that are open at the end.
    pub debts: u64,
    /// Gaps that are open at the end.
    pub gaps: u64,
}

impl Summary {
    /// Two runs, one right after the other, told as one: what they did is added up, and what is open
    /// is as the later one left it.
    #[must_use]
    pub fn followed_by(mut self, later: Self) -> Self {
        self.run = later.run;
        self.result = later.result;
        self.channels.seen += later.channels.seen;
        self.channels.walked += later.channels.walked;
        self.channels.failed += later.channels.failed;
        self.records.added += later.records.added;
        self.records.first = self.records.first.or(later.records.first);
        self.records.last = later.records.last.or(self.records.last);
        self.messages.new += later.messages.new;
        self.messages.edited += later.messages.edited;
        self.messages.deleted += later.messages.deleted;
        self.messages.restored += later.messages.restored;
        self.files.new += later.files.new;
        self.files.versions += later.files.versions;
        self.files.bytes += later.files.bytes;
        self.files.failed += later.files.failed;
        self.comments.new += later.comments.new;
        self.comments.edited += later.comments.edited;
        self.comments.deleted += later.comments.deleted;
        self.reactions.changed += later.reactions.changed;
        self.pins.changed += later.pins.changed;
        self.reconciled.channels += later.reconciled.channels;
        self.reconciled.messages += later.reconciled.messages;
        self.reconciled.disagreements += later.reconciled.disagreements;
        self.reconciled.reports.extend(later.reconciled.reports);
        self.requests += later.requests;
        self.retries += later.retries;
        self.bytes_received += later.bytes_received;
        self.findings.extend(later.findings);
        self.findings.sort();
        self.findings.dedup();
        self.duration_ms += later.duration_ms;
        self.refused_accounts.extend(later.refused_accounts);
        self.debts = later.debts;
        self.gaps = later.gaps;
        self
    }
}
