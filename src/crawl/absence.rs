//! What should have been in a stretch of history and was not: a deletion when two witnesses say
//! so, else a change of what one account can see (protocol notes 6.6).

use std::collections::HashSet;

use serde_json::json;

use super::Error;
use super::pass::{ChannelTask, Pass};
use super::walk::Walked;
use crate::api;
use crate::history::messages_before;
use crate::model::{MessageTs, UtcTime, rfc3339};
use crate::record::{Kind, Origin, State};
use crate::store::{Batch, Change, NewRecord, StateChange};

/// More than this many messages gone at once, and more than one in twenty, is no deletion but a
/// change of what can be seen, until a second pass finds the same.
const BREAKER: usize = 50;
/// At least so many of the oldest messages gone together, and nothing older left, is the server's
/// own retention at work.
const SWEEP: usize = 20;
/// Deletions that are committed together.
const BATCH: usize = 64;
/// The debt that a tripped breaker leaves; its key is the channel, the account, and the floor of
/// the stretch in which it tripped, with spaces between.
pub(super) const DISAPPEARANCE: &str = "disappearance";

/// A message that should have been in a stretch and was not.
struct Missing {
    ts: MessageTs,
    version: u32,
    observed_at: String,
    files: Vec<String>,
}

/// What a stretch should have held.
struct Compared {
    /// What this account was shown before and was not shown now, newest first.
    missing: Vec<Missing>,
    /// How many messages stand there for this account.
    live: usize,
    /// What it is now known to see or not to see.
    changes: Vec<StateChange>,
}

/// Looks for what was absent from a stretch of history that this account has just been shown
/// whole: `seen` holds every time stamp from `top` down to `floor`, both inclusive. Whether it came
/// to its end: `false` when the budget ran out before.
pub(super) async fn settle(
    pass: &Pass<'_>,
    task: &ChannelTask,
    floor: MessageTs,
    top: MessageTs,
    seen: &HashSet<MessageTs>,
    out: &mut Walked,
) -> Result<bool, Error> {
    let Compared { missing, live, changes } = compare(pass, task, floor, top, seen)?;
    if !changes.is_empty() {
        pass.append(Batch { records: Vec::new(), changes }).await?;
    }
    let tripped: Vec<MessageTs> =
        pass.tripped.get(&task.id).into_iter().flatten().filter(|tripped| **tripped >= floor).copied().collect();
    // The breaker holds for one pass; a second one that finds the same asks for each.
    if tripped.is_empty() && missing.len() > BREAKER && missing.len() * 20 > live {
        trip(pass, task, floor, top, missing.len(), live).await?;
        return Ok(true);
    }
    if !missing.is_empty() {
        if !is_readable(pass, task).await? {
            let detail = format!(
                "{} messages are not in the history any more, and neither is the account a member: none is recorded as deleted",
                missing.len()
            );
            pass.find("unclear_absence", task, &detail);
            return Ok(true);
        }
        let cause = if is_sweep(pass, task, floor, &missing, seen)? { "swept" } else { "unknown" };
        let stretch = Stretch { floor, top, cause, first_missing: pass.options.clock.now() };
        if !probe(pass, task, &stretch, missing, out).await? {
            return Ok(false);
        }
    }
    // The stretch reached down to where it tripped, so nothing of it was left out.
    let paid = tripped
        .into_iter()
        .map(|floor| StateChange::Paid { kind: DISAPPEARANCE, key: format!("{} {floor}", pass.debt_key(task)) });
    let changes: Vec<StateChange> = paid.collect();
    if !changes.is_empty() {
        pass.append(Batch { records: Vec::new(), changes }).await?;
    }
    Ok(true)
}

/// Records that many messages can no longer be seen, and owes a second look.
async fn trip(
    pass: &Pass<'_>,
    task: &ChannelTask,
    floor: MessageTs,
    top: MessageTs,
    missing: usize,
    live: usize,
) -> Result<(), Error> {
    let detail = format!("{missing} of {live} messages can no longer be seen at once; none is recorded as deleted");
    pass.find("mass_disappearance", task, &detail);
    let at = pass.options.clock.now();
    let key = format!("{}/{}/messages", task.id, pass.account);
    let newest = pass.store.versions(Kind::Visibility, pass.source, Some(&task.id), &key)?.last().copied();
    let body = json!({"disappeared": {"from": floor.to_string(), "to": top.to_string(), "missing": missing, "of": live, "noticed": rfc3339(at)}});
    let record = NewRecord {
        kind: Kind::Visibility,
        source: pass.source,
        channel: Some(task.id.clone()),
        key,
        version: newest.map_or(1, |row| row.version + 1),
        change: if newest.is_some() { Change::Changed } else { Change::New },
        origin: Origin::Noted,
        via: "channels.history",
        account: pass.account.to_owned(),
        run: pass.run,
        observed_at: at,
        tickets: 0,
        attachments: Vec::new(),
        shared_in: Vec::new(),
        body: body.to_string().into_bytes(),
    };
    let debt =
        StateChange::Owed { kind: DISAPPEARANCE, key: format!("{} {floor}", pass.debt_key(task)), reason: detail, at };
    pass.append(Batch { records: vec![record], changes: vec![debt] }).await?;
    Ok(())
}

/// Whether the channel is still there and the account a member. A direct conversation that
/// `channels.info` does not know is judged by the history that was just read.
async fn is_readable(pass: &Pass<'_>, task: &ChannelTask) -> Result<bool, Error> {
    match pass.reader.channels_info(&task.api_id).await {
        Ok(item) => Ok(item.and_then(|item| item.view).is_none_or(|view| view.is_member != Some(false))),
        Err(api::Error::Refused { .. }) => Ok(task.is_im),
        Err(error) => Err(error.into()),
    }
}

/// Whether everything older than a moving edge vanished together (protocol notes (b), "swept").
fn is_sweep(
    pass: &Pass<'_>,
    task: &ChannelTask,
    floor: MessageTs,
    missing: &[Missing],
    seen: &HashSet<MessageTs>,
) -> Result<bool, Error> {
    let Some(edge) = missing.iter().map(|missing| missing.ts).max() else { return Ok(false) };
    if missing.len() < SWEEP || seen.iter().any(|ts| *ts < edge) {
        return Ok(false);
    }
    let below = messages_before(pass.store, pass.source, &task.id, floor.before(), 1)?;
    Ok(floor == MessageTs::MIN || below.iter().all(crate::history::Item::is_gone))
}

/// The stretch as evidence.
struct Stretch {
    floor: MessageTs,
    top: MessageTs,
    cause: &'static str,
    first_missing: UtcTime,
}

/// Asks for each missing message by itself; only when the server says that it does not exist is it
/// recorded as gone. Whether all were asked for.
async fn probe(
    pass: &Pass<'_>,
    task: &ChannelTask,
    stretch: &Stretch,
    missing: Vec<Missing>,
    out: &mut Walked,
) -> Result<bool, Error> {
    let mut batch = Batch::default();
    let (mut whole, mut is_told) = (true, false);
    for (number, missing) in missing.into_iter().enumerate() {
        if number > 0 && pass.is_over() {
            whole = false;
            break;
        }
        if batch.records.len() + batch.changes.len() >= BATCH {
            pass.append(std::mem::take(&mut batch)).await?;
        }
        let ts = missing.ts;
        if pass.is_shown_to_another(&task.id, ts)? {
            // Another account still holds it as shown: for this one it is out of sight, and
            // whether it is gone is for the other to find out, for as long as it looks.
            batch.changes.push(StateChange::Unseen {
                account: pass.account.to_owned(),
                source: pass.source,
                channel: task.id.clone(),
                ts,
                is_lost: true,
            });
            continue;
        }
        match pass.reader.items_info(&task.api_id, &ts.to_string()).await {
            Err(api::Error::Refused { code, .. }) if code == "message_not_found" => {
                out.changed = true;
                pass.count(|summary| summary.messages.deleted += 1);
                batch.records.push(gone(pass, task, stretch, &missing, &code));
                if !std::mem::replace(&mut is_told, true) {
                    batch.changes.extend(sides_are_due(pass, task)?);
                }
                for file in missing.files {
                    batch.changes.push(StateChange::FileWanted {
                        source: pass.source,
                        id: file.clone(),
                        channel: task.id.clone(),
                    });
                    out.files.entry(file).or_default().is_talked_about = true;
                }
            }
            Ok(_) => {
                tracing::debug!(channel.id = %task.id, %ts, "a message is not in the history but answers by itself");
            }
            Err(api::Error::Refused { code, .. }) => {
                let detail = format!("message {ts} is not in the history and its own look-up was refused: {code}");
                pass.find("unclear_absence", task, &detail);
            }
            Err(error) => {
                pass.append(batch).await?;
                return Err(error.into());
            }
        }
    }
    // The commit point of the deletions.
    pass.append(batch).await?;
    Ok(whole)
}

/// With the first record of a change, that files and pins of the channel are to be read again: a
/// pass that dies before it comes to them must not forget it.
fn sides_are_due(pass: &Pass<'_>, task: &ChannelTask) -> Result<Option<StateChange>, Error> {
    let row = pass.store.walk(pass.account, pass.source, &task.id)?;
    Ok(row.filter(|row| row.standing.sides_at.is_some()).map(|mut row| {
        row.standing.sides_at = None;
        StateChange::Walk(row)
    }))
}

fn gone(pass: &Pass<'_>, task: &ChannelTask, stretch: &Stretch, missing: &Missing, code: &str) -> NewRecord {
    let body = json!({
        "gone": {
            "last_seen": missing.observed_at,
            "first_missing": rfc3339(stretch.first_missing),
            "cause": stretch.cause,
            "witnesses": [
                {"method": "channels.history", "from": stretch.floor.to_string(), "to": stretch.top.to_string(), "said": "absent from the whole window"},
                {"method": "items.info", "said": code},
            ],
        }
    });
    NewRecord {
        kind: Kind::Message,
        source: pass.source,
        channel: Some(task.id.clone()),
        key: missing.ts.to_string(),
        version: missing.version + 1,
        change: Change::Gone,
        origin: Origin::Noted,
        via: "items.info",
        account: pass.account.to_owned(),
        run: pass.run,
        observed_at: pass.options.clock.now(),
        tickets: 0,
        attachments: Vec::new(),
        shared_in: Vec::new(),
        body: body.to_string().into_bytes(),
    }
}

/// Compares a stretch as it was shown with what is archived of it. Read in steps, so that a long
/// channel is never in memory whole.
fn compare(
    pass: &Pass<'_>,
    task: &ChannelTask,
    floor: MessageTs,
    top: MessageTs,
    seen: &HashSet<MessageTs>,
) -> Result<Compared, Error> {
    const STEP: usize = 2000;
    let mut found = Compared { missing: Vec::new(), live: 0, changes: Vec::new() };
    let unseen = pass.store.unseen(pass.account, pass.source, &task.id, floor, top)?;
    for ts in unseen.keys().filter(|ts| seen.contains(ts)) {
        found.changes.push(StateChange::Seen {
            account: pass.account.to_owned(),
            source: pass.source,
            channel: task.id.clone(),
            ts: *ts,
        });
    }
    let mut to = top;
    loop {
        let items = messages_before(pass.store, pass.source, &task.id, to, STEP)?;
        let first = items.first().and_then(|item| MessageTs::parse(&item.key));
        for item in items.iter().rev() {
            let (Some(ts), Some(newest), Some(latest)) =
                (MessageTs::parse(&item.key), item.versions.last(), item.latest())
            else {
                continue;
            };
            if ts < floor || item.is_gone() || unseen.get(&ts) == Some(&false) && !seen.contains(&ts) {
                continue;
            }
            let is_ours = |version: &crate::history::Version| {
                let header = &version.record.header;
                header.account == pass.account && header.state == State::Present
            };
            if seen.contains(&ts) {
                found.live += 1;
            } else if task.pin.is_some_and(|pin| ts <= pin) || item.versions.iter().any(is_ours) {
                found.live += 1;
                found.missing.push(Missing {
                    ts,
                    version: newest.version,
                    observed_at: newest.record.header.observed_at.clone(),
                    files: api::tolerant::files_named(&latest.record.body),
                });
            } else {
                // Archived from another account's view, and never in this one's.
                found.changes.push(StateChange::Unseen {
                    account: pass.account.to_owned(),
                    source: pass.source,
                    channel: task.id.clone(),
                    ts,
                    is_lost: false,
                });
            }
        }
        match first {
            Some(first) if items.len() == STEP && first > floor => to = first.before(),
            _ => return Ok(found),
        }
    }
}
