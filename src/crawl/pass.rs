use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::json;
use tokio::time::Instant;

use super::files::FileSight;
use super::summary::{Finding, Summary};
use super::{Error, absence, audit, disk, files, live, people, pins, reconcile, roster, walk};
use crate::api;
use crate::history::{self, INVENTORY, Version, coverage, directory};
use crate::model::{ChannelId, Clock, Digest, Exclusion, MessageTs, RecordSeq, SourceId, UtcTime, rfc3339};
use crate::record::{Kind, Origin};
use crate::store::{
    self, AccountRow, Appended, Appender, Batch, Blobs, Change, DiskSpace, FIRST_SOURCE, FileRow, Incoming, NewRecord,
    Reader, Standing, StateChange, WalkResult, WalkRow,
};

/// Files, pins and roster of a channel in which nothing moved are read again after this long.
const SIDES_EVERY: chrono::TimeDelta = chrono::TimeDelta::hours(1);

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
    /// Whether the pass signs a checkpoint at its end.
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
    progress: &'a dyn Progress,
    deadline: Option<Instant>,
    /// A channel, and a file, that no budget refuses (protocol notes 6.10).
    first_channel: AtomicBool,
    pub(super) first_file: AtomicBool,
    pub(super) first_audit: AtomicBool,
    /// The server no longer accepts the account: nothing more is asked with it.
    is_refused: AtomicBool,
    /// Requests of the connection before this pass.
    requests_before: u64,
    summary: &'a Mutex<Summary>,
    tasks: Mutex<HashMap<ChannelId, ChannelTask>>,
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
    known_files: HashMap<String, FileRow>,
}

impl Before {
    fn read(store: &Reader, account: &str, options: &Options) -> Result<Self, Error> {
        let mut others: HashMap<ChannelId, Vec<WalkRow>> = HashMap::new();
        for row in store.walks()?.into_iter().filter(|row| row.account != account) {
            others.entry(row.channel.clone()).or_default().push(row);
        }
        let (mut active_others, mut resting_others) = (BTreeSet::new(), BTreeSet::new());
        for row in store.accounts()?.into_iter().filter(|row| row.name != account) {
            let is_enrolled = options.enrolled.contains(&row.name);
            if row.state == "ok" && is_enrolled {
                active_others.insert(row.name);
            } else if row.state != "ok" || options.resting.contains(&row.name) {
                resting_others.insert(row.name);
            }
        }
        Ok(Self {
            tripped: tripped(store, account)?,
            changed_history: changed_history(store, account)?,
            others,
            active_others,
            resting_others,
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
        let Before { tripped, changed_history, others, active_others, resting_others, known_files } =
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
    /// Appends, and counts what was added.
    pub(super) async fn append(&self, mut batch: Batch) -> Result<Appended, Error> {
        // A list that names something twice makes one version of it, not two.
        let mut versions = HashSet::new();
        batch.records.retain(|new| {
            new.kind == Kind::Message || versions.insert((new.kind, new.channel.clone(), new.key.clone(), new.version))
        });
        let count = batch.records.len() as u64;
        let messages = batch.records.iter().filter(|record| record.kind == Kind::Message).count() as u64;
        let appended = self.appender.append(batch).await?;
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
    fn is_stopped(&self) -> bool {
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

/// How a run ended.
#[derive(Debug)]
pub struct Ended {
    /// What it did.
    pub summary: Summary,
    /// The accounts whose part of it did not come to its end.
    pub partial: BTreeSet<String>,
    /// Why no account got through, if none did.
    pub failure: Option<Error>,
}

/// One pass with each account in turn, as [`run_to_end`]; a failure when no account got through.
pub async fn run(
    accounts: &[Account],
    store: &Reader,
    appender: &Appender,
    options: &Options,
    progress: &dyn Progress,
) -> Result<Summary, Error> {
    let ended = run_to_end(accounts, store, appender, options, progress).await?;
    ended.failure.map_or(Ok(ended.summary), Err)
}

/// One pass with each account in turn: everything new, changed or gone since the last.
///
/// The pass ends in a signed checkpoint. A failure of the server in one channel is a finding, the
/// channel's cursor stays, and the pass is `partial`; a failure of the store ends it.
pub async fn run_to_end(
    accounts: &[Account],
    store: &Reader,
    appender: &Appender,
    options: &Options,
    progress: &dyn Progress,
) -> Result<Ended, Error> {
    let started = Instant::now();
    let mut options = options.clone();
    options.resting.retain(|name| accounts.iter().all(|account| account.name != *name));
    options.enrolled.extend(accounts.iter().map(|account| account.name.clone()));
    let options = &options;
    let before = Snapshot::take(store)?;
    let run = appender.start_run("crawl").await?;
    let summary = Mutex::new(Summary { run, result: "complete", ..Summary::default() });
    let deadline = options.budget.map(|budget| started + budget);
    let frame = Frame { store, appender, options, progress, run, deadline, summary: &summary };
    let mut failure = None;
    let mut succeeded = 0;
    let mut partial = BTreeSet::new();
    for account in accounts {
        let meter = account.reader.connection().meter();
        let asked = [&meter.requests, &meter.retries, &meter.bytes].map(|count| count.load(Ordering::Relaxed));
        let pass = Pass::new(&frame, account)?;
        let outcome = account_pass(&pass, account).await;
        let after = [&meter.requests, &meter.retries, &meter.bytes].map(|count| count.load(Ordering::Relaxed));
        pass.count(|summary| {
            summary.requests += after[0] - asked[0];
            summary.retries += after[1] - asked[1];
            summary.bytes_received += after[2] - asked[2];
        });
        let outcome = match outcome {
            Err(Error::Store(error)) => return Err(error.into()),
            other => other,
        };
        let (state, reason) = note_outcome(&pass, account, &outcome).await?;
        match outcome {
            Ok(()) => succeeded += 1,
            Err(error) => {
                pass.count(|summary| {
                    summary.result = "partial";
                    if state != "ok" {
                        summary.refused_accounts.insert(account.name.clone(), reason.unwrap_or_default());
                    }
                });
                pass.find_anywhere("account_failed", &format!("{}: {error}", account.name));
                failure = Some(error);
            }
        }
        // The next account's part is told by itself.
        pass.count(|summary| {
            if std::mem::replace(&mut summary.result, "complete") == "partial" {
                partial.insert(account.name.clone());
            }
        });
    }
    close(store, appender, options, &summary, accounts, &before).await?;
    let mut summary = summary.into_inner().unwrap_or_else(PoisonError::into_inner);
    let covered = coverage(store, &directory(store)?, &options.exclude, &options.resting, options.clock.now())?;
    summary.debts = covered.debts() as u64;
    summary.gaps = covered.gaps() as u64;
    if !partial.is_empty() || summary.debts > 0 || summary.gaps > 0 || summary.channels.failed > 0 {
        summary.result = "partial";
    }
    summary.findings.sort();
    summary.duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let ended = StateChange::RunEnded {
        run,
        at: options.clock.now(),
        result: summary.result.to_owned(),
        summary: serde_json::to_string(&summary).unwrap_or_default(),
    };
    appender.append(Batch { records: Vec::new(), changes: vec![ended] }).await?;
    if options.checkpoint {
        appender.checkpoint().await?;
    }
    Ok(Ended { summary, partial, failure: failure.filter(|_| succeeded == 0) })
}

/// Notes how an account fares after its part of a run: its state and why.
pub(super) async fn note_outcome(
    pass: &Pass<'_>,
    account: &Account,
    outcome: &Result<(), Error>,
) -> Result<(&'static str, Option<String>), Error> {
    let (state, reason, last_success) = match outcome {
        Ok(()) => ("ok", None, Some(pass.options.clock.now())),
        Err(Error::Server(api::Error::Auth { code })) => ("needs_login", Some(code.clone()), None),
        Err(error @ Error::OtherIdentity { .. }) => ("refused", Some(error.to_string()), None),
        Err(error) => ("ok", Some(error.to_string()), None),
    };
    let row = AccountRow {
        name: account.name.clone(),
        user_id: account.user_id.clone(),
        state: state.to_owned(),
        reason: reason.clone(),
        last_success,
    };
    pass.append(Batch { records: Vec::new(), changes: vec![StateChange::Account(row)] }).await?;
    Ok((state, reason))
}

/// Ends a run: its findings become records, each once; so does what was covered, when the time has
/// come (invariant I13), and the inventory, when it reads otherwise than before.
async fn close(
    store: &Reader,
    appender: &Appender,
    options: &Options,
    summary: &Mutex<Summary>,
    accounts: &[Account],
    before: &Snapshot,
) -> Result<(), Error> {
    let (run, findings) = {
        let summary = summary.lock().unwrap_or_else(PoisonError::into_inner);
        (summary.run, summary.findings.clone())
    };
    let now = options.clock.now();
    let note = |kind, key: String, version, body: Vec<u8>| NewRecord {
        kind,
        source: FIRST_SOURCE,
        channel: None,
        key,
        version,
        change: if version == 1 { Change::New } else { Change::Changed },
        origin: if kind == Kind::Inventory { Origin::Imported } else { Origin::Noted },
        via: "crawl",
        account: accounts.first().map(|account| account.name.clone()).unwrap_or_default(),
        run,
        observed_at: now,
        tickets: 0,
        attachments: Vec::new(),
        shared_in: Vec::new(),
        body,
    };
    let mut batch = Batch::default();
    for finding in &findings {
        let body = json!({"finding": finding}).to_string();
        let key = Digest::of(body.as_bytes()).to_string();
        // What passes by itself and is said by the run's summary needs no record of its own.
        let is_passing = matches!(
            finding.kind,
            "account_failed" | "audit_failed" | "channel_failed" | "file_not_fetched" | disk::DISK_RESERVE
        );
        let has_record = reconcile::RECORDED.contains(&finding.kind);
        if !is_passing && !has_record && store.versions(Kind::Finding, FIRST_SOURCE, None, &key)?.is_empty() {
            batch.records.push(note(Kind::Finding, key, 1, body.into_bytes()));
        }
    }
    if let Some(inventory) = &options.inventory {
        let newest = store.versions(Kind::Inventory, FIRST_SOURCE, None, INVENTORY)?.last().copied();
        let is_known = match newest {
            Some(row) => store.record(row.seq)?.body == *inventory,
            None => false,
        };
        if !is_known {
            let version = newest.map_or(1, |row| row.version + 1);
            batch.records.push(note(Kind::Inventory, INVENTORY.to_owned(), version, inventory.clone()));
        }
    }
    let walks = store.walks()?;
    let covered = |rows: &[&WalkRow]| -> serde_json::Value {
        let rows = rows.iter().map(|walk| json!({"account": walk.account, "channel": walk.channel.as_str(), "from": MessageTs::MIN.to_string(), "to": walk.pin.map(|pin| pin.to_string()), "walked_at": walk.walked_until.map(rfc3339), "result": walk.result.as_str()}));
        rows.collect()
    };
    let last = store.mark(COVERED)?;
    let is_whole = !walks.is_empty() && walks.iter().all(|walk| walk.walked_until.is_some());
    let states = store.accounts()?;
    if last.map_or(is_whole, |last| now - last >= COVERAGE_EVERY) {
        let all: Vec<&WalkRow> = walks.iter().collect();
        let states: Vec<serde_json::Value> = states.iter().map(account_state).collect();
        let body = json!({"coverage": covered(&all), "accounts": states});
        batch.records.push(note(Kind::Coverage, format!("{run}"), 1, body.to_string().into_bytes()));
        batch.changes.push(StateChange::Mark { name: COVERED.to_owned(), at: now });
    } else if last.is_some() {
        // In between, an interval is recorded when it closes: the result is another than before. One
        // that is still being walked has none yet.
        let is_result = |result: WalkResult| !matches!(result, WalkResult::NotBegun | WalkResult::UnderWay);
        let closed: Vec<&WalkRow> = walks
            .iter()
            .filter(|row| {
                let before = before.results.get(&(row.account.clone(), row.channel.clone()));
                before.is_some_and(|before| *before != row.result && is_result(*before) && is_result(row.result))
            })
            .collect();
        let changed: Vec<serde_json::Value> = states
            .iter()
            .filter(|row| before.states.get(&row.name).is_some_and(|state| *state != row.state))
            .map(account_state)
            .collect();
        if !closed.is_empty() || !changed.is_empty() {
            let body = json!({"coverage": covered(&closed), "accounts": changed});
            batch.records.push(note(Kind::Coverage, format!("{run}"), 1, body.to_string().into_bytes()));
        }
    }
    if !batch.records.is_empty() {
        let count = batch.records.len() as u64;
        let appended = appender.append(batch).await?;
        let mut summary = summary.lock().unwrap_or_else(PoisonError::into_inner);
        summary.records.added += count;
        summary.records.first = summary.records.first.or(Some(appended.first.0));
        summary.records.last = Some(appended.head - 1);
    }
    Ok(())
}

fn account_state(row: &AccountRow) -> serde_json::Value {
    json!({"account": row.name, "user_id": row.user_id, "state": row.state, "reason": row.reason, "last_success": row.last_success.map(rfc3339)})
}

/// The mark of when a message was first seen with the reactions on it.
const REACTIONS_IN_MESSAGES: &str = "reactions_in_messages";
/// The mark of the last record that tells the coverage of all channels together.
const COVERED: &str = "coverage";
/// How often there is one.
const COVERAGE_EVERY: chrono::TimeDelta = chrono::TimeDelta::days(1);

/// How walks and accounts stood before a run.
struct Snapshot {
    results: HashMap<(String, ChannelId), WalkResult>,
    states: HashMap<String, String>,
}

impl Snapshot {
    fn take(store: &Reader) -> Result<Self, Error> {
        let walks = store.walks()?.into_iter();
        Ok(Self {
            results: walks.map(|row| ((row.account, row.channel), row.result)).collect(),
            states: store.accounts()?.into_iter().map(|row| (row.name, row.state)).collect(),
        })
    }
}

/// Asks whose token it is, so that no view is ever kept under another's name; the reply.
pub(super) async fn identified(account: &Account) -> Result<api::Reply, Error> {
    let (identity, reply) = account.reader.auth_test().await?;
    let found = if identity.user_id.is_empty() { identity.user } else { identity.user_id };
    if !account.user_id.is_empty() && !found.eq_ignore_ascii_case(&account.user_id) {
        return Err(Error::OtherIdentity { account: account.name.clone(), expected: account.user_id.clone(), found });
    }
    Ok(reply)
}

async fn account_pass(pass: &Pass<'_>, account: &Account) -> Result<(), Error> {
    let reply = identified(account).await?;
    people::identity(pass, &reply).await?;
    people::people(pass).await?;
    let tasks = begun(pass, people::channels(pass).await?).await?;
    let only = pass.options.only.as_ref();
    if let Some(unknown) = only.into_iter().flatten().find(|id| !tasks.iter().any(|task| task.id == **id)) {
        return Err(Error::UnknownChannel(unknown.to_string()));
    }
    let mut tasks: Vec<ChannelTask> =
        tasks.into_iter().filter(|task| only.is_none_or(|only| only.contains(&task.id))).collect();
    // The one that has waited longest goes first, so that a budget starves none.
    tasks.sort_by_key(|task| task.walked_until);
    pass.count(|summary| summary.channels.seen += tasks.len() as u64);
    pass.set_tasks(&tasks);
    pass.progress.step("channels", tasks.len() as u64);
    let seen: Mutex<BTreeMap<String, FileSight>> = Mutex::default();
    let seen_ref = &seen;
    let results: Vec<Result<(), Error>> = futures_util::stream::iter(tasks)
        .map(|task| async move {
            let outcome = channel_pass(pass, &task, seen_ref).await;
            pass.progress.done();
            channel_outcome(pass, &task, outcome).await
        })
        .buffer_unordered(pass.options.connections.max(1))
        .collect()
        .await;
    results.into_iter().collect::<Result<(), Error>>()?;
    let seen = seen.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut seen = seen;
    let walked: Vec<ChannelTask> =
        pass.tasks.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
    audit_pass(pass, &walked, &mut seen).await?;
    pass.progress.step("files", seen.len() as u64);
    files::files(pass, seen).await
}

/// The channels that are not excluded; those that are new are a gap until they are walked.
pub(super) async fn begun(pass: &Pass<'_>, tasks: Vec<ChannelTask>) -> Result<Vec<ChannelTask>, Error> {
    let tasks: Vec<ChannelTask> = tasks.into_iter().filter(|task| !is_excluded(pass.options, task)).collect();
    let not_begun = tasks.iter().filter(|task| task.is_new).map(|task| walk::not_begun(pass, task)).collect();
    pass.append(Batch { records: Vec::new(), changes: not_begun }).await?;
    Ok(tasks)
}

/// The audit's part of a pass. What fails in it is tried again by the next.
async fn audit_pass(
    pass: &Pass<'_>,
    tasks: &[ChannelTask],
    seen: &mut BTreeMap<String, FileSight>,
) -> Result<(), Error> {
    let mut out = walk::Walked::default();
    match audit::slice(pass, tasks, &mut out).await {
        Err(Error::Server(error)) if !matches!(error, api::Error::Auth { .. }) => {
            pass.incomplete("audit_failed", &error.to_string());
        }
        other => other?,
    }
    for (id, sight) in out.files {
        seen.entry(id).or_default().update(sight);
    }
    Ok(())
}

/// A failure of the server stays in its channel; one of the account or the store does not.
pub(super) async fn channel_outcome(
    pass: &Pass<'_>,
    task: &ChannelTask,
    outcome: Result<bool, Error>,
) -> Result<(), Error> {
    match outcome {
        Ok(whole) => {
            pass.count(|summary| {
                if whole {
                    summary.channels.walked += 1;
                } else {
                    summary.result = "partial";
                }
            });
            Ok(())
        }
        Err(Error::Server(error)) if !matches!(error, api::Error::Auth { .. }) => {
            pass.count(|summary| summary.channels.failed += 1);
            pass.find("channel_failed", task, &format!("{}: {error}", task.name));
            let debt = StateChange::Owed {
                kind: "channel",
                key: pass.debt_key(task),
                reason: error.to_string(),
                at: pass.options.clock.now(),
            };
            // The cursor of a walk that was cut off stays where it is.
            let row = pass.store.walk(pass.account, pass.source, &task.id)?;
            let failed = row.map(|row| StateChange::Walk(WalkRow { result: WalkResult::Failed, run: pass.run, ..row }));
            let changes = std::iter::once(debt).chain(failed).collect();
            pass.append(Batch { records: Vec::new(), changes }).await?;
            Ok(())
        }
        Err(error) => {
            if matches!(error, Error::Server(api::Error::Auth { .. })) {
                pass.is_refused.store(true, Ordering::Relaxed);
            }
            Err(error)
        }
    }
}

/// Walks a channel; then, where something moved or it is time again, its files, pins and roster.
pub(super) async fn channel_pass(
    pass: &Pass<'_>,
    task: &ChannelTask,
    seen: &Mutex<BTreeMap<String, FileSight>>,
) -> Result<bool, Error> {
    if pass.is_refused.load(Ordering::Relaxed) || pass.is_stopped() {
        return Ok(false);
    }
    // The first is granted whatever the budget, or a standing limit stalls for ever.
    if !pass.first_channel.swap(false, Ordering::Relaxed) && pass.is_over() {
        return Ok(false);
    }
    let mut walked = walk::walk(pass, task).await?;
    // Of what was told, what lies below the walk would wait for the audit.
    if !walked.cut_off && !absence::settle_told(pass, task, None, &mut walked).await? {
        walked.cut_off = true;
    }
    let keep = |found: BTreeMap<String, FileSight>| {
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        for (id, sight) in found {
            // What a list says of a file is newer than what a message says.
            seen.entry(id).or_default().update(sight);
        }
    };
    keep(walked.files);
    if walked.cut_off {
        return Ok(false);
    }
    let compared = reconcile::reconcile(pass, task).await?;
    keep(compared.files);
    let now = pass.options.clock.now();
    if walked.changed || compared.changed || are_sides_due(pass.options.full, &task.standing, now) {
        let (listed, is_whole) = files::listed(pass, task).await?;
        if !is_whole {
            pass.find("list_cut_short", task, "the list of files had no end");
        }
        if is_whole && task.walked_until.is_some() {
            keep(absent_files(pass, task, &listed)?);
        }
        let remembered = files::remember(pass, &listed);
        keep(listed);
        pins::pins(pass, task).await?;
        roster::roster(pass, task).await?;
        let mut changes = remembered;
        if let Some(mut row) = pass.store.walk(pass.account, pass.source, &task.id)? {
            row.standing.sides_at = Some(now);
            changes.push(StateChange::Walk(row));
        }
        pass.append(Batch { records: Vec::new(), changes }).await?;
    }
    Ok(true)
}

/// Archived files of a channel that its whole list no longer has: each is looked up by itself.
fn absent_files(
    pass: &Pass<'_>,
    task: &ChannelTask,
    listed: &BTreeMap<String, FileSight>,
) -> Result<BTreeMap<String, FileSight>, Error> {
    let mut out = BTreeMap::new();
    for (id, row) in pass.store.newest(Kind::File)? {
        if row.change == Change::Gone || listed.contains_key(&id) {
            continue;
        }
        let record = pass.store.record(row.seq)?;
        if !record.header.shared_in.iter().any(|channel| channel == task.id.as_str()) {
            continue;
        }
        // Another account may have seen its last version; this one saw it once.
        let found = history::item(pass.store, Kind::File, pass.source, None, &id)?;
        let is_ours = |version: &Version| version.record.header.account == pass.account;
        if found.is_some_and(|found| found.versions.iter().any(is_ours)) {
            out.insert(id, FileSight::default());
        }
    }
    Ok(out)
}

/// Whether the policy is never to fetch a channel or conversation.
pub(super) fn is_excluded(options: &Options, task: &ChannelTask) -> bool {
    let person = task.is_im.then_some(task.name.as_str());
    options.exclude.iter().any(|entry| entry.covers(task.id.as_str(), &task.name, person))
}
