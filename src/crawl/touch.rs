//! A small pass: what live events gave reason to look at, and nothing else.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::account;
use super::files::{self, FileSight};
use super::live::Wanted;
use super::page::{ReadPage, keep};
use super::pass::{Account, ChannelTask, Frame, Options, Pass};
use super::run::note_outcome;
use super::summary::Summary;
use super::walk::Walked;
use super::{Error, absence, people, pins};
use crate::api;
use crate::model::{ChannelId, MessageTs, json};
use crate::record::Kind;
use crate::store::{Appender, FIRST_SOURCE, Reader};

/// Looks with one account at what its live events gave reason to look at. What it added and found is
/// counted as in a pass; it has no run of its own.
///
/// A failure of the server leaves nothing half done and is the caller's to try again; everything
/// looked at here is looked at by the next pass, too.
pub async fn touch(
    account: &Account,
    wanted: &Wanted,
    store: &Reader,
    appender: &Appender,
    options: &Options,
    run: u64,
) -> Result<Summary, Error> {
    let summary = Mutex::new(Summary { run, result: "complete", ..Summary::default() });
    let frame = Frame { store, appender, options, progress: &(), run, deadline: None, summary: &summary };
    let pass = Pass::new(&frame, account)?;
    let outcome = look(&pass, wanted).await;
    if matches!(outcome, Err(Error::Server(api::Error::Auth { .. }))) {
        note_outcome(&pass, account, &outcome).await?;
    }
    outcome?;
    drop(pass);
    Ok(summary.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner))
}

async fn look(pass: &Pass<'_>, wanted: &Wanted) -> Result<(), Error> {
    let mut walks = wanted.walks.clone();
    let mut tasks = people::known(pass)?;
    // What was excluded since it was walked is left alone.
    tasks.retain(|task| !pass.options.excludes(task));
    let is_known = |tasks: &[ChannelTask], id: &ChannelId| tasks.iter().any(|task| task.id == *id);
    let mut named = wanted.walks.iter().chain(&wanted.pins).chain(wanted.items.keys());
    if wanted.lists || named.any(|id| !is_known(&tasks, id)) {
        people::people(pass).await?;
        tasks = people::channels(pass).await?;
        walks.extend(tasks.iter().filter(|task| task.is_new).map(|task| task.id.clone()));
    }
    pass.set_tasks(&tasks);

    let seen: Mutex<BTreeMap<String, FileSight>> = Mutex::default();
    for task in tasks.iter().filter(|task| walks.contains(&task.id)) {
        let outcome = account::channel_pass(pass, task, &seen).await;
        account::channel_outcome(pass, task, outcome).await?;
    }
    let mut files = seen.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    for task in &tasks {
        if let Some(items) = wanted.items.get(&task.id) {
            let mut out = Walked::default();
            match absence::settle_told(pass, task, Some(items), &mut out).await {
                // It stays told, and is asked for by the next pass.
                Ok(_) | Err(Error::Server(api::Error::Broken { .. })) => {}
                Err(error) => return Err(error),
            }
            for ts in items {
                let is_reacted_to = wanted.reacted.contains(&(task.id.clone(), *ts));
                item(pass, task, *ts, is_reacted_to, &mut out).await?;
            }
            for (id, sight) in out.files {
                files.entry(id).or_default().update(sight);
            }
        }
        if wanted.pins.contains(&task.id) {
            pins::pins(pass, task).await?;
        }
    }
    for (id, channels) in &wanted.files {
        let sight = files.entry(id.clone()).or_default();
        sight.channels.extend(channels.iter().cloned());
        sight.is_talked_about = true;
    }
    files::look_at(pass, files).await
}

/// Asks for a message by itself, unless it is known to be gone; what is new about it is archived.
async fn item(
    pass: &Pass<'_>,
    task: &ChannelTask,
    ts: MessageTs,
    is_reacted_to: bool,
    out: &mut Walked,
) -> Result<(), Error> {
    let known = crate::history::item(pass.store, Kind::Message, FIRST_SOURCE, Some(&task.id), &ts.to_string())?;
    if known.is_some_and(|known| known.is_gone()) {
        return Ok(());
    }
    let clock = pass.reader.connection().clock();
    let asked_at = clock.now();
    match pass.reader.items_info(&task.api_id, &ts.to_string()).await {
        Ok(Some(item)) => {
            let is_silent = json::member(&item.bytes, "reactions").is_none();
            if is_reacted_to && is_silent && !pass.has_reactions_in_messages() {
                out.unsaid.insert(ts);
            }
            match ReadPage::of_one(item, ts, asked_at, clock.now()) {
                Some(page) => keep(pass, task, &page, out).await,
                None => Ok(()),
            }
        }
        // Whether it is gone is for a walk to say, and so is what cannot be read by itself: it must
        // not keep the rest from being looked at.
        Ok(None) | Err(api::Error::Refused { .. } | api::Error::Broken { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
