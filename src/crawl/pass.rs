use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use serde::Serialize;
use serde_json::json;
use tokio::time::Instant;

use super::summary::{Finding, Summary};
use super::walk::{FileSight, Standing};
use super::{Error, files, people, pins, reconcile, walk};
use crate::api;
use crate::model::{ChannelId, Clock, Digest, MessageTs, SourceId, UtcTime, rfc3339};
use crate::record::{Kind, Origin};
use crate::store::{
    AccountRow, Appended, Appender, Batch, Blobs, Change, FIRST_SOURCE, FileRow, NewRecord, Reader, StateChange,
};

/// Files and pins of a channel in which nothing moved are read again after this long.
const SIDES_EVERY: chrono::TimeDelta = chrono::TimeDelta::hours(1);

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
    /// What is never fetched.
    pub exclude: Vec<Exclusion>,
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
            exclude: Vec::new(),
            clock: Clock::System,
        }
    }
}

/// Channels and conversations that are never fetched. In each text `*` stands for any text, and an
/// empty one names nothing.
#[derive(Debug, Clone, Default)]
pub struct Exclusion {
    /// A channel's id or name.
    pub channel: String,
    /// The other person of a direct conversation.
    pub user: String,
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
    /// Whether its last walk saw its messages in order.
    pub(super) is_order_proved: bool,
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
    progress: &'a dyn Progress,
    deadline: Option<Instant>,
    /// A channel, and a file, that no budget refuses (protocol notes 6.10).
    first_channel: AtomicBool,
    pub(super) first_file: AtomicBool,
    summary: &'a Mutex<Summary>,
    tasks: Mutex<HashMap<ChannelId, ChannelTask>>,
    /// Channels in which the breaker tripped, with the floor of that walk.
    pub(super) tripped: HashMap<ChannelId, MessageTs>,
    /// Files as they were fetched before this pass.
    pub(super) known_files: HashMap<String, FileRow>,
    pub(super) feeds: reconcile::Feeds,
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

    /// Whether the budget is used up.
    pub(super) fn is_over(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
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

    pub(super) fn say(&self, what: &str) {
        tracing::debug!(account = self.account, "{what}");
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

/// The channels in which an account's breaker tripped.
fn tripped(store: &Reader, account: &str) -> Result<HashMap<ChannelId, MessageTs>, Error> {
    let debts = store.debts()?.into_iter().filter(|debt| debt.kind == walk::DISAPPEARANCE);
    Ok(debts
        .filter_map(|debt| {
            let (rest, floor) = debt.key.rsplit_once(' ')?;
            let (channel, holder) = rest.split_once(' ')?;
            (holder == account).then_some((ChannelId::parse(channel)?, MessageTs::parse(floor)?))
        })
        .collect())
}

/// One pass with each account in turn: everything new, changed or gone since the last.
///
/// The pass ends in a signed checkpoint. A failure of the server in one channel is a finding, the
/// channel's cursor stays, and the pass is `partial`; a failure of the store ends it.
pub async fn run(
    accounts: &[Account],
    store: &Reader,
    appender: &Appender,
    options: &Options,
    progress: &dyn Progress,
) -> Result<Summary, Error> {
    let started = Instant::now();
    let run = appender.start_run("crawl").await?;
    let summary = Mutex::new(Summary { run, result: "complete", ..Summary::default() });
    let deadline = options.budget.map(|budget| started + budget);
    let mut failure = None;
    let mut succeeded = 0;
    for account in accounts {
        let meter = account.reader.connection().meter();
        let before = [&meter.requests, &meter.retries, &meter.bytes].map(|count| count.load(Ordering::Relaxed));
        let pass = Pass {
            reader: &account.reader,
            store,
            appender,
            blobs: Blobs::new(store.layout().blobs()),
            options,
            account: &account.name,
            source: FIRST_SOURCE,
            run,
            progress,
            deadline,
            first_channel: AtomicBool::new(true),
            first_file: AtomicBool::new(true),
            summary: &summary,
            tasks: Mutex::default(),
            tripped: tripped(store, &account.name)?,
            known_files: store.file_states(FIRST_SOURCE)?,
            feeds: reconcile::Feeds::default(),
        };
        let outcome = account_pass(&pass, account).await;
        let after = [&meter.requests, &meter.retries, &meter.bytes].map(|count| count.load(Ordering::Relaxed));
        pass.count(|summary| {
            summary.requests += after[0] - before[0];
            summary.retries += after[1] - before[1];
            summary.bytes_received += after[2] - before[2];
        });
        let now = options.clock.now();
        let (state, reason, last_success) = match &outcome {
            Ok(()) => ("ok", None, Some(now)),
            Err(Error::Server(api::Error::Auth { code })) => ("needs_login", Some(code.clone()), None),
            Err(error @ Error::OtherIdentity { .. }) => ("refused", Some(error.to_string()), None),
            Err(Error::Store(_)) => return Err(outcome.err().unwrap_or_else(|| unreachable!("it was just matched"))),
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
    }
    close(store, appender, options, &summary, accounts).await?;
    let mut summary = summary.into_inner().unwrap_or_else(PoisonError::into_inner);
    summary.debts = store.debts()?.len() as u64;
    if summary.debts > 0 || summary.channels.failed > 0 {
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
    appender.checkpoint().await?;
    match failure {
        Some(error) if succeeded == 0 => Err(error),
        _ => Ok(summary),
    }
}

/// Records the findings, each once, and, at the end of an archive's first run, what was covered.
async fn close(
    store: &Reader,
    appender: &Appender,
    options: &Options,
    summary: &Mutex<Summary>,
    accounts: &[Account],
) -> Result<(), Error> {
    let (run, findings) = {
        let summary = summary.lock().unwrap_or_else(PoisonError::into_inner);
        (summary.run, summary.findings.clone())
    };
    let note = |kind, key: String, body: String| NewRecord {
        kind,
        source: FIRST_SOURCE,
        channel: None,
        key,
        version: 1,
        change: Change::New,
        origin: Origin::Noted,
        via: "crawl",
        account: accounts.first().map(|account| account.name.clone()).unwrap_or_default(),
        run,
        observed_at: options.clock.now(),
        tickets: 0,
        attachments: Vec::new(),
        shared_in: Vec::new(),
        body: body.into_bytes(),
    };
    let mut records = Vec::new();
    for finding in &findings {
        let body = json!({"finding": finding}).to_string();
        let key = Digest::of(body.as_bytes()).to_string();
        // What passes by itself and is said by the run's summary needs no record of its own.
        let is_passing = matches!(finding.kind, "account_failed" | "channel_failed" | "file_not_fetched");
        let has_record = reconcile::RECORDED.contains(&finding.kind);
        if !is_passing && !has_record && store.versions(Kind::Finding, FIRST_SOURCE, None, &key)?.is_empty() {
            records.push(note(Kind::Finding, key, body));
        }
    }
    let walks = store.walks()?;
    let is_first = store.counters()?.get("coverage.subjects").copied().unwrap_or(0) == 0;
    if is_first && !walks.is_empty() && walks.iter().all(|walk| walk.walked_until.is_some()) {
        let covered: Vec<serde_json::Value> = walks
            .iter()
            .map(|walk| json!({"account": walk.account, "channel": walk.channel.as_str(), "from": "0.000000", "to": walk.pin.map(|pin| pin.to_string()), "walked_at": walk.walked_until.map(rfc3339), "result": walk.result}))
            .collect();
        records.push(note(Kind::Coverage, format!("{run}"), json!({"coverage": covered}).to_string()));
    }
    if !records.is_empty() {
        let count = records.len() as u64;
        let appended = appender.append(Batch { records, changes: Vec::new() }).await?;
        let mut summary = summary.lock().unwrap_or_else(PoisonError::into_inner);
        summary.records.added += count;
        summary.records.first = summary.records.first.or(Some(appended.first.0));
        summary.records.last = Some(appended.head - 1);
    }
    Ok(())
}

async fn account_pass(pass: &Pass<'_>, account: &Account) -> Result<(), Error> {
    let (identity, reply) = pass.reader.auth_test().await?;
    let found = if identity.user_id.is_empty() { identity.user.clone() } else { identity.user_id.clone() };
    if !account.user_id.is_empty() && !found.eq_ignore_ascii_case(&account.user_id) {
        return Err(Error::OtherIdentity { account: account.name.clone(), expected: account.user_id.clone(), found });
    }
    people::identity(pass, &reply).await?;
    people::people(pass).await?;
    let tasks = people::channels(pass).await?;
    let tasks: Vec<ChannelTask> = tasks.into_iter().filter(|task| !is_excluded(pass, task)).collect();
    let not_begun = tasks.iter().filter(|task| task.is_new).map(|task| walk::not_begun(pass, task)).collect();
    pass.append(Batch { records: Vec::new(), changes: not_begun }).await?;
    let only = pass.options.only.as_ref();
    if let Some(unknown) = only.into_iter().flatten().find(|id| !tasks.iter().any(|task| task.id == **id)) {
        return Err(Error::UnknownChannel(unknown.to_string()));
    }
    let mut tasks: Vec<ChannelTask> =
        tasks.into_iter().filter(|task| only.is_none_or(|only| only.contains(&task.id))).collect();
    // The one that has waited longest goes first, so that a budget starves none.
    tasks.sort_by_key(|task| task.walked_until);
    pass.count(|summary| summary.channels.seen += tasks.len() as u64);
    *pass.tasks.lock().unwrap_or_else(PoisonError::into_inner) =
        tasks.iter().map(|task| (task.id.clone(), task.clone())).collect();
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
    pass.progress.step("files", seen.len() as u64);
    files::files(pass, seen).await
}

/// A failure of the server stays in its channel; one of the account or the store does not.
async fn channel_outcome(pass: &Pass<'_>, task: &ChannelTask, outcome: Result<bool, Error>) -> Result<(), Error> {
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
                key: task.id.to_string(),
                reason: error.to_string(),
                at: pass.options.clock.now(),
            };
            pass.append(Batch { records: Vec::new(), changes: vec![debt] }).await?;
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Walks a channel; then, where something moved or it is time again, its files and pins.
async fn channel_pass(
    pass: &Pass<'_>,
    task: &ChannelTask,
    seen: &Mutex<BTreeMap<String, FileSight>>,
) -> Result<bool, Error> {
    // The first is granted whatever the budget, or a standing limit stalls for ever.
    if !pass.first_channel.swap(false, Ordering::Relaxed) && pass.is_over() {
        return Ok(false);
    }
    let walked = walk::walk(pass, task).await?;
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
    let last = task.standing.sides_at.as_deref().and_then(|text| chrono::DateTime::parse_from_rfc3339(text).ok());
    let is_due = pass.options.full
        || walked.changed
        || compared.changed
        || last.is_none_or(|last| now - last.to_utc() >= SIDES_EVERY);
    if is_due {
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
        let mut changes = remembered;
        changes.extend(pass.store.walk(pass.account, pass.source, &task.id)?.map(|row| walk::sides_done(pass, row)));
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
        let is_here = record.header.shared_in.iter().any(|channel| channel == task.id.as_str());
        if is_here && record.header.account == pass.account {
            out.insert(id, FileSight::default());
        }
    }
    Ok(out)
}

/// Whether a channel is excluded by name or id, or a conversation by the other person.
fn is_excluded(pass: &Pass<'_>, task: &ChannelTask) -> bool {
    pass.options.exclude.iter().any(|exclude| {
        let by_channel = !exclude.channel.is_empty()
            && (matches(&exclude.channel, task.id.as_str()) || matches(&exclude.channel, &task.name));
        by_channel || (task.is_im && !exclude.user.is_empty() && matches(&exclude.user, &task.name))
    })
}

/// Whether `text` is of the form of `pattern`, in which `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut last = None;
    for part in parts {
        last = Some(part);
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    match last {
        None => rest.is_empty(),
        Some(part) => text.ends_with(part),
    }
}

/// What a pass would ask for.
#[derive(Debug, Clone, Serialize)]
pub struct Plan {
    /// Requests it is known to need.
    pub requests: u64,
    /// Seconds at the pace that is set.
    pub seconds: u64,
    /// Channels it would walk.
    pub channels: u64,
    /// Channels among them that were never walked: how long their history is, only walking tells,
    /// so each is counted with one page.
    pub never_walked: u64,
    /// What the figures rest on.
    pub basis: &'static str,
}

/// Predicts a pass without fetching any history: reads the lists of channels and conversations.
pub async fn plan(
    accounts: &[Account],
    store: &Reader,
    options: &Options,
    requests_per_second: f64,
) -> Result<Plan, Error> {
    let walks = store.walks()?;
    let mut plan = Plan {
        requests: 0,
        seconds: 0,
        channels: 0,
        never_walked: 0,
        basis: "one page of history for each channel, one list of files and of pins and one page of the feed where they are due; longer histories take a page for each 1,000 messages",
    };
    let now = options.clock.now();
    for account in accounts {
        plan.requests += 4;
        let channels = account.reader.channels_list().await?;
        let ims = account.reader.im_list().await?;
        let ids =
            channels.items.iter().filter_map(|item| item.view.as_ref().and_then(|view| ChannelId::parse(&view.id)));
        let ids = ids
            .chain(ims.items.iter().filter_map(|item| item.view.as_ref().and_then(|view| ChannelId::parse(&view.id))));
        for id in ids.filter(|id| options.only.as_ref().is_none_or(|only| only.contains(id))) {
            plan.channels += 1;
            let walk =
                walks.iter().find(|row| row.account == account.name && row.channel == id && row.walked_until.is_some());
            let standing: Standing = walk
                .and_then(|row| row.walk.as_deref())
                .and_then(|text| serde_json::from_str(text).ok())
                .unwrap_or_default();
            let last = standing.sides_at.as_deref().and_then(|text| chrono::DateTime::parse_from_rfc3339(text).ok());
            let sides_due = last.is_none_or(|last| now - last.to_utc() >= SIDES_EVERY);
            let feed_due = reconcile::is_due(&standing, now);
            plan.never_walked += u64::from(walk.is_none());
            plan.requests += 1 + if sides_due || options.full { 2 } else { 0 };
            plan.requests += u64::from(feed_due || options.full);
        }
    }
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an estimate in whole seconds"
    )]
    {
        plan.seconds = if requests_per_second > 0.0 {
            (plan.requests as f64 / requests_per_second).ceil() as u64
        } else {
            plan.requests / 50
        };
    }
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text, expected) in [
            ("hr-*", "hr-cases", true),
            ("hr-*", "the-hr-cases", false),
            ("*secret*", "a-secret-room", true),
            ("C1", "C1", true),
            ("C1", "C12", false),
            ("*", "", true),
            ("a*b", "ab", true),
            ("a*b", "abc", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
