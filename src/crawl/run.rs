use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use serde_json::json;
use tokio::time::Instant;

use super::account::account_pass;
use super::pass::{Account, Frame, Options, Pass, Progress};
use super::summary::Summary;
use super::{Error, disk, reconcile};
use crate::api;
use crate::history::{INVENTORY, coverage, directory};
use crate::model::{ChannelId, Digest, MessageTs, rfc3339};
use crate::record::{Kind, Origin};
use crate::store::{
    AccountRow, Appender, Batch, Change, FIRST_SOURCE, NewRecord, Reader, StateChange, WalkResult, WalkRow,
};

/// The mark of the last record that tells the coverage of all channels together.
const COVERED: &str = "coverage";
/// How often there is one.
const COVERAGE_EVERY: chrono::TimeDelta = chrono::TimeDelta::days(1);

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
/// The pass ends in a signed checkpoint, if [`Options::checkpoint`] asks for one. A failure of the server in one channel is a finding, the
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
    // Before the run counts as ended: a death or a full disk in between leaves a run that was cut
    // off, never records of a finished one that nothing signed speaks of. A first checkpoint is not
    // put off.
    if options.checkpoint || store.newest_checkpoint()?.is_none() {
        appender.checkpoint().await?;
    }
    appender.append(Batch { records: Vec::new(), changes: vec![ended] }).await?;
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
