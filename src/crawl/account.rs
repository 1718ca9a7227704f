use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use futures_util::StreamExt as _;

use super::files::FileSight;
use super::pass::{Account, ChannelTask, Pass, are_sides_due};
use super::{Error, absence, audit, files, people, pins, reconcile, roster, walk};
use crate::api;
use crate::history::{self, Version};
use crate::record::Kind;
use crate::store::{Batch, Change, StateChange, WalkResult, WalkRow};

/// Asks whose token it is, so that no view is ever kept under another's name; the reply.
pub(super) async fn identified(account: &Account) -> Result<api::Reply, Error> {
    let (identity, reply) = account.reader.auth_test().await?;
    let found = if identity.user_id.is_empty() { identity.user } else { identity.user_id };
    if !account.user_id.is_empty() && !found.eq_ignore_ascii_case(&account.user_id) {
        return Err(Error::OtherIdentity { account: account.name.clone(), expected: account.user_id.clone(), found });
    }
    Ok(reply)
}

/// One account's part of a run: who and what there is, each channel, the audit's slice, then files.
pub(super) async fn account_pass(pass: &Pass<'_>, account: &Account) -> Result<(), Error> {
    let reply = identified(account).await?;
    people::identity(pass, &reply).await?;
    people::people(pass).await?;
    let tasks = people::channels(pass).await?;
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
