use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::summary::{Finding, Summary};
use super::{Error, absence, live, reconcile};
use crate::api;
use crate::model::{ChannelId, Clock, Exclusion, MessageTs, RecordSeq, SourceId, UtcTime};
use crate::record::Kind;
use crate::store::{
    self, Appended, Appender, Batch, Blobs, DiskSpace, FIRST_SOURCE, FileRow, Incoming, Reader, Standing, StateChange,
    Turn, WalkResult, WalkRow,
};

/// Files, pins and roster of a channel in which nothing moved are read again after this long.
const SIDES_EVERY: chrono::TimeDelta = chrono::TimeDelta::hours(1);
/// The mark of when a message was first seen with the reactions on it.
const REACTIONS_IN_MESSAGES: &str = "reactions_in_messages";

/// Whether files, pins and roster of a channel are read again although nothing moved in it.
pub(super) fn are_sides_due(is_full: bool, standing: &Standing, now: UtcTime) -> bool {
    is_full || standing.sides_at.is_none_or(|last| now - last >= SIDES_EVERY)
}

/// How a pass is made.
#[derive(Debug, Clone)]
pub struct Options {
    /// Walks all history again instead of the newest stretch.
    pub full: bool,
    /// Fetches file contents.
    pub files: bool,
    /// Only these channels.
    pub only: Option<BTreeSet<ChannelId>>,
    /// Stops asking after this long; what is under way is finished, the rest is taken up next.
    pub budget: Option<Duration>,
    /// Channels walked at once.
    pub connections: usize,
    /// Larger files are owed.
    pub max_file_bytes: u64,
    /// How much of the disk, in percent, file contents leave free for texts; 0: nothing.
    pub disk_reserve_percent: u8,
    /// What there is of the disk that a content is received on.
    pub disk: fn(&Incoming) -> Result<DiskSpace, store::Error>,
    /// What is never fetched.
    pub exclude: Vec<Exclusion>,
    /// All accounts that are crawled with, those that are not part of this run included: while one
    /// of them is shown a message, its absence from another's view is no deletion. Empty: nobody
    /// said, and only those of this run count.
    pub enrolled: BTreeSet<String>,
    /// Accounts that are not crawled with any more.
    pub resting: BTreeSet<String>,
    /// An inventory of what should be there, to be recorded as it was supplied.
    pub inventory: Option<Vec<u8>>,
    /// Whether the pass signs a checkpoint at its end. The first of an archive is signed in any case.
    pub checkpoint: bool,
    /// Once it is set, nothing more is asked for: what is under way is finished, as when the budget
    /// is used up, and the first unit of work is no exception.
    pub stop: Arc<AtomicBool>,
    /// Our clock.
    pub clock: Clock,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            full: false,
            files: true,
            only: None,
            budget: None,
            connections: 4,
            max_file_bytes: 4 << 30,
            disk_reserve_percent: 0,
            disk: Incoming::disk,
            exclude: Vec::new(),
            enrolled: BTreeSet::new(),
            resting: BTreeSet::new(),
            inventory: None,
            checkpoint: true,
            stop: Arc::default(),
            clock: Clock::System,
        }
    }
}

impl Options {
    /// Whether the policy is never to fetch a channel or conversation.
    pub(super) fn excludes(&self, task: &ChannelTask) -> bool {
        let person = task.is_im.then_some(task.name.as_str());
        self.exclude.iter().any(|entry| entry.covers(task.id.as_str(), &task.name, person))
    }
}

/// An account to crawl with.
#[derive(Debug, Clone)]
pub struct Account {
    /// Its name here.
    pub name: String,
    /// Who it was when it was stored.
    pub user_id: String,
    /// What reads with it.
    pub reader: api::Reader,
}

/// Told how a pass goes on. The command line draws it; the crawl does not know how.
pub trait Progress: Send + Sync {
    /// A step began; `total` channels or files are in it.
    fn step(&self, _what: &str, _total: u64) {}
    /// One of them is done.
    fn done(&self) {}
    /// So many messages were read.
    fn messages(&self, _count: u64) {}
}

/// Says nothing.
impl Progress for () {}

/// A channel to be walked.
#[derive(Debug, Clone)]
pub(super) struct ChannelTask {
    pub(super) id: ChannelId,
    /// The id in the server's spelling, sent back as it came.
    pub(super) api_id: String,
    pub(super) name: String,
    pub(super) is_im: bool,
    pub(super) pin: Option<MessageTs>,
    pub(super) walked_until: Option<UtcTime>,
    pub(super) standing: Standing,
    /// It has no row of crawl state yet.
    pub(super) is_new: bool,
    /// Whether its last walk can be built upon: the next one need not go down to the beginning.
    pub(super) is_trusted: bool,
    /// How its last walk ended.
    pub(super) result: WalkResult,
    /// How many members it has, where the list of channels does not name them all.
    pub(super) cut_roster: Option<i64>,
}

/// One account's part of a pass.
pub(super) struct Pass<'a> {
    pub(super) reader: &'a api::Reader,
    pub(super) store: &'a Reader,
    pub(super) appender: &'a Appender,
    pub(super) blobs: Blobs,
    pub(super) options: &'a Options,
    pub(super) account: &'a str,
    pub(super) source: SourceId,
    pub(super) run: u64,
    /// The number of records when it began.
    pub(super) head: RecordSeq,
    pub(super) progress: &'a dyn Progress,
    deadline: Option<Instant>,
    /// A channel, and a file, that no budget refuses (protocol notes 6.10).
    pub(super) first_channel: AtomicBool,
    pub(super) first_file: AtomicBool,
    pub(super) first_audit: AtomicBool,
    /// The server no longer accepts the account: nothing more is asked with it.
    pub(super) is_refused: AtomicBool,
    /// Requests of the connection before this pass.
    requests_before: u64,
    summary: &'a Mutex<Summary>,
    pub(super) tasks: Mutex<HashMap<ChannelId, ChannelTask>>,
    /// Channels in which the breaker tripped, with the floors of those stretches.
    pub(super) tripped: HashMap<ChannelId, Vec<MessageTs>>,
    /// Debts by channel of history that the server said has changed: the next walk goes down to the
    /// beginning and pays them.
    pub(super) changed_history: HashMap<ChannelId, Vec<String>>,
    /// Messages of this server were seen with their reactions, now or in an earlier pass.
    has_reactions_in_messages: AtomicBool,
    /// How far other accounts have walked, by channel.
    others: HashMap<ChannelId, Vec<WalkRow>>,
    /// The other accounts that are crawled with and that the server accepts.
    active_others: BTreeSet<String>,
    /// Those that are not crawled with any more, or that it does not accept.
    resting_others: BTreeSet<String>,
    /// When this account ended its last pass in which the server let it.
    last_success: Option<UtcTime>,
    /// Files as they were fetched before this pass.
    pub(super) known_files: HashMap<String, FileRow>,
    pub(super) feeds: reconcile::Feeds,
    /// People whom this pass was shown by `users.list`. Who looks at people holds it, so that nobody
    /// who stands on two rosters is recorded twice.
    pub(super) listed_people: tokio::sync::Mutex<HashSet<String>>,
}

/// What the accounts before this one left, read once for a pass.
struct Before {
    tripped: HashMap<ChannelId, Vec<MessageTs>>,
    changed_history: HashMap<ChannelId, Vec<String>>,
    others: HashMap<ChannelId, Vec<WalkRow>>,
    active_others: BTreeSet<String>,
    resting_others: BTreeSet<String>,
    last_success: Option<UtcTime>,
    known_files: HashMap<String, FileRow>,
}

impl Before {
    fn read(store: &Reader, account: &str, options: &Options) -> Result<Self, Error> {
        let mut others: HashMap<ChannelId, Vec<WalkRow>> = HashMap::new();
        for row in store.walks()?.into_iter().filter(|row| row.account != account) {
            others.entry(row.channel.clone()).or_default().push(row);
        }
        // Who never ended a pass has no row, and may have been told of messages all the same.
        let mut active_others = options.enrolled.clone();
        active_others.remove(account);
        let mut resting_others = BTreeSet::new();
        let mut last_success = None;
        for row in store.accounts()? {
            if row.name == account {
                last_success = row.last_success;
                continue;
            }
            if row.state != "ok" {
                active_others.remove(&row.name);
            }
            let is_resting = row.state != "ok" || options.resting.contains(&row.name);
            if is_resting && !active_others.contains(&row.name) {
                resting_others.insert(row.name);
            }
        }
        Ok(Self {
            tripped: tripped(store, account)?,
            changed_history: changed_history(store, account)?,
            others,
            active_others,
            resting_others,
            last_success,
            known_files: store.file_states(FIRST_SOURCE)?,
        })
    }
}

/// What the passes of one run have in common.
pub(super) struct Frame<'a> {
    pub(super) store: &'a Reader,
    pub(super) appender: &'a Appender,
    pub(super) options: &'a Options,
    pub(super) progress: &'a dyn Progress,
    pub(super) run: u64,
    pub(super) deadline: Option<Instant>,
    pub(super) summary: &'a Mutex<Summary>,
}

impl<'a> Pass<'a> {
    /// An account's part of a run.
    pub(super) fn new(frame: &Frame<'a>, account: &'a Account) -> Result<Self, Error> {
        let Before { tripped, changed_history, others, active_others, resting_others, last_success, known_files } =
            Before::read(frame.store, &account.name, frame.options)?;
        Ok(Self {
            reader: &account.reader,
            store: frame.store,
            appender: frame.appender,
            blobs: Blobs::new(frame.store.layout().blobs()),
            options: frame.options,
            account: &account.name,
            source: FIRST_SOURCE,
            run: frame.run,
            head: RecordSeq(frame.store.head()?),
            progress: frame.progress,
            deadline: frame.deadline,
            first_channel: AtomicBool::new(true),
            first_file: AtomicBool::new(true),
            first_audit: AtomicBool::new(true),
            is_refused: AtomicBool::new(false),
            requests_before: account.reader.connection().meter().requests.load(Ordering::Relaxed),
            summary: frame.summary,
            tasks: Mutex::default(),
            tripped,
            changed_history,
            has_reactions_in_messages: AtomicBool::new(frame.store.mark(REACTIONS_IN_MESSAGES)?.is_some()),
            others,
            active_others,
            resting_others,
            last_success,
            known_files,
            feeds: reconcile::Feeds::default(),
            listed_people: tokio::sync::Mutex::default(),
        })
    }

    /// Says which channels there are.
    pub(super) fn set_tasks(&self, tasks: &[ChannelTask]) {
        *self.tasks.lock().unwrap_or_else(PoisonError::into_inner) =
            tasks.iter().map(|task| (task.id.clone(), task.clone())).collect();
    }
}

impl Pass<'_> {
    /// Appends what hangs on no channel's messages, and counts what was added.
    pub(super) async fn append(&self, batch: Batch) -> Result<Appended, Error> {
        self.append_with(batch, Vec::new()).await
    }

    /// Appends what follows from what is known of a channel's messages, and counts what was added.
    pub(super) async fn append_in_turn(&self, batch: Batch, turn: Turn) -> Result<Appended, Error> {
        self.append_with(batch, vec![turn]).await
    }

    async fn append_with(&self, mut batch: Batch, turns: Vec<Turn>) -> Result<Appended, Error> {
        // A list that names something twice makes one version of it, not two.
        let mut versions = HashSet::new();
        batch.records.retain(|new| {
            new.kind == Kind::Message || versions.insert((new.kind, new.channel.clone(), new.key.clone(), new.version))
        });
        let count = batch.records.len() as u64;
        let messages = batch.records.iter().filter(|record| record.kind == Kind::Message).count() as u64;
        let appended = self.appender.append_in_turn(batch, turns).await?;
        if count > 0 {
            self.count(|summary| {
                summary.records.added += count;
                summary.records.first =
                    Some(summary.records.first.map_or(appended.first.0, |first| first.min(appended.first.0)));
                summary.records.last = summary.records.last.max(Some(appended.head - 1));
            });
            self.progress.messages(messages);
        }
        Ok(appended)
    }

    pub(super) fn count(&self, change: impl FnOnce(&mut Summary)) {
        change(&mut self.summary.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Whether the budget is used up, or the pass is to stop.
    pub(super) fn is_over(&self) -> bool {
        self.is_stopped() || self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// Whether the pass is to stop, whatever was granted.
    pub(super) fn is_stopped(&self) -> bool {
        self.options.stop.load(Ordering::Relaxed)
    }

    pub(super) fn find(&self, kind: &'static str, task: &ChannelTask, detail: &str) {
        self.find_in(kind, task.id.as_str(), detail);
    }

    pub(super) fn find_anywhere(&self, kind: &'static str, detail: &str) {
        self.find_in(kind, "", detail);
    }

    pub(super) fn find_in(&self, kind: &'static str, channel: &str, detail: &str) {
        let finding = Finding { kind, channel: channel.to_owned(), detail: detail.to_owned() };
        self.count(|summary| {
            if !summary.findings.contains(&finding) {
                summary.findings.push(finding);
            }
        });
    }

    /// A finding that leaves the pass partial.
    pub(super) fn incomplete(&self, kind: &'static str, detail: &str) {
        self.find_anywhere(kind, detail);
        self.count(|summary| summary.result = "partial");
    }

    /// Requests sent in this pass.
    pub(super) fn requests(&self) -> u64 {
        self.reader.connection().meter().requests.load(Ordering::Relaxed).saturating_sub(self.requests_before)
    }

    /// The key of what this account owes in a channel.
    pub(super) fn debt_key(&self, task: &ChannelTask) -> String {
        format!("{} {}", task.id, self.account)
    }

    /// Whether another account has walked a channel.
    pub(super) fn has_others(&self, channel: &ChannelId) -> bool {
        self.others.contains_key(channel)
    }

    /// A message that is new where other accounts have walked already: none of them was shown it.
    pub(super) fn unseen_by_others(&self, channel: &ChannelId, ts: MessageTs) -> Vec<StateChange> {
        let others = self.others.get(channel).into_iter().flatten();
        others
            .filter(|row| row.pin.is_some_and(|pin| ts <= pin))
            .map(|row| StateChange::Unseen {
                account: row.account.clone(),
                source: self.source,
                channel: channel.clone(),
                ts,
                is_lost: false,
            })
            .collect()
    }

    /// Whether another account that is crawled with was last shown a message: by a walk that went
    /// past it, or by a live event. `shown_to` are the accounts from whose view it is archived.
    pub(super) fn is_shown_to_another(
        &self,
        channel: &ChannelId,
        ts: MessageTs,
        shown_to: &BTreeSet<String>,
    ) -> Result<bool, Error> {
        let rows = self.others.get(channel).map(Vec::as_slice).unwrap_or_default();
        for other in &self.active_others {
            let row = rows.iter().find(|row| row.account == *other);
            let is_lost = row.is_some_and(|row| row.result == WalkResult::Lost);
            let has_walked =
                row.is_some_and(|row| row.result != WalkResult::NotBegun && row.pin.is_some_and(|pin| ts <= pin));
            if !is_lost
                && (has_walked || shown_to.contains(other))
                && self.store.unseen(other, self.source, channel, ts, ts)?.is_empty()
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether another account may still be looking at something, so that its reading stands beside
    /// this one's: it is crawled with, and has not lost the channel.
    pub(super) fn is_looked_at_by(&self, account: &str, channel: Option<&ChannelId>) -> bool {
        let rows = channel.and_then(|channel| self.others.get(channel)).into_iter().flatten();
        let is_lost = rows.filter(|row| row.account == account).any(|row| row.result == WalkResult::Lost);
        !is_lost && !self.resting_others.contains(account)
    }

    /// Whether this account ended a pass after something was observed, and so was shown it, too.
    pub(super) fn has_looked_since(&self, observed: UtcTime) -> bool {
        self.last_success.is_some_and(|at| at > observed)
    }

    pub(super) fn say(&self, what: &str) {
        tracing::debug!(account = self.account, "{what}");
    }

    /// Whether messages of this server show the reactions on them, so that one without any has none.
    pub(super) fn has_reactions_in_messages(&self) -> bool {
        self.has_reactions_in_messages.load(Ordering::Relaxed)
    }

    /// That they do; remembered the first time.
    pub(super) fn shows_reactions(&self) -> Option<StateChange> {
        let is_known = self.has_reactions_in_messages.swap(true, Ordering::Relaxed);
        let at = self.options.clock.now();
        (!is_known).then(|| StateChange::Mark { name: REACTIONS_IN_MESSAGES.to_owned(), at })
    }

    /// Whether nothing is recorded yet under this key.
    pub(super) fn first_sight(&self, kind: Kind, channel: Option<&ChannelId>, key: &str) -> Result<bool, Error> {
        Ok(self.store.versions(kind, self.source, channel, key)?.is_empty())
    }

    /// The task of a channel that this pass sees, by any spelling of its id.
    pub(super) fn channel(&self, id: &str) -> Option<ChannelTask> {
        let id = ChannelId::parse(id)?;
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }
}

/// The channels in which an account's breaker tripped, and down to where.
pub(super) fn tripped(store: &Reader, account: &str) -> Result<HashMap<ChannelId, Vec<MessageTs>>, Error> {
    let mut out: HashMap<ChannelId, Vec<MessageTs>> = HashMap::new();
    for debt in store.debts()?.into_iter().filter(|debt| debt.kind == absence::DISAPPEARANCE) {
        let found = debt.key.rsplit_once(' ').and_then(|(rest, floor)| {
            let (channel, holder) = rest.split_once(' ')?;
            (holder == account).then_some((ChannelId::parse(channel)?, MessageTs::parse(floor)?))
        });
        if let Some((channel, floor)) = found {
            out.entry(channel).or_default().push(floor);
        }
    }
    Ok(out)
}

/// What an account owes for the server having said that history changed, by channel.
pub(super) fn changed_history(store: &Reader, account: &str) -> Result<HashMap<ChannelId, Vec<String>>, Error> {
    let mut out: HashMap<ChannelId, Vec<String>> = HashMap::new();
    for debt in store.debts()?.into_iter().filter(|debt| debt.kind == live::HISTORY) {
        if debt.key.split(' ').nth(1) == Some(account)
            && let Some(channel) = debt.channel()
        {
            out.entry(channel).or_default().push(debt.key);
        }
    }
    Ok(out)
}
