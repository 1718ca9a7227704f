//! What should have been in a stretch of history and was not: a deletion when two witnesses say
//! so, else a change of what one account can see (protocol notes 6.6).

use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::{Value, json};

use super::Error;
use super::pass::{ChannelTask, Pass};
use super::walk::Walked;
use crate::api;
use crate::history::{self, Version, messages_before};
use crate::model::{MessageTs, RecordSeq, rfc3339};
use crate::record::{Kind, LIVE, Origin, State};
use crate::store::{Batch, Change, NewRecord, StateChange, WalkResult};

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
    files: Vec<String>,
    /// The accounts from whose view it is archived.
    shown_to: BTreeSet<String>,
}

impl Missing {
    fn of(ts: MessageTs, item: &history::Item, latest: &Version) -> Self {
        let present = item.versions.iter().filter(|version| version.record.header.state == State::Present);
        let shown_to = present.map(|version| version.record.header.account.clone()).collect();
        Self { ts, files: api::tolerant::files_named(&latest.record.body), shown_to }
    }
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
        let window = json!({"method": "channels.history", "from": floor.to_string(), "to": top.to_string(), "said": "absent from the whole window"});
        let told = pass.store.told(pass.source, &task.id, floor, top)?;
        let evidence = Evidence { window: Some(window), cause, told };
        if !probe(pass, task, &evidence, missing, out).await? {
            return Ok(false);
        }
    }
    // The stretch reached down to where it tripped, so nothing of it was left out.
    let paid = tripped
        .into_iter()
        .map(|floor| StateChange::Paid { kind: DISAPPEARANCE, key: format!("{} {floor}", pass.debt_key(task)) });
    let mut changes: Vec<StateChange> = paid.collect();
    if !pass.store.told(pass.source, &task.id, floor, top)?.is_empty() {
        // What is told meanwhile is for the next pass.
        let (channel, before) = (task.id.clone(), Some(pass.head));
        changes.push(StateChange::Settled { source: pass.source, channel, from: floor, to: top, before });
    }
    if !changes.is_empty() {
        pass.append(Batch { records: Vec::new(), changes }).await?;
    }
    Ok(true)
}

/// Notes what a walk that proved no absence has not shown, so that the new pin does not make it pass
/// for shown.
pub(super) async fn note_unseen(
    pass: &Pass<'_>,
    task: &ChannelTask,
    floor: MessageTs,
    top: MessageTs,
    seen: &HashSet<MessageTs>,
) -> Result<(), Error> {
    let changes = compare(pass, task, floor, top, seen)?.changes;
    if !changes.is_empty() {
        pass.append(Batch { records: Vec::new(), changes }).await?;
    }
    Ok(())
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
    Ok(floor == MessageTs::MIN || below.iter().all(history::Item::is_gone))
}

/// What is known of messages that may be gone, besides what the server says of each by itself.
pub(super) struct Evidence {
    /// A whole stretch of the history without them, as a witness.
    pub(super) window: Option<Value>,
    /// Why they went, where no event tells.
    pub(super) cause: &'static str,
    /// Those of which a live event told, with the event's record.
    pub(super) told: HashMap<MessageTs, RecordSeq>,
}

/// Looks for messages of whose deletion live events told, all or those that are `asked` for: without
/// a window that lacks them, the event and the server's own word are the two witnesses. Whether it
/// came to its end.
pub(super) async fn settle_told(
    pass: &Pass<'_>,
    task: &ChannelTask,
    asked: Option<&BTreeSet<MessageTs>>,
    out: &mut Walked,
) -> Result<bool, Error> {
    let mut told = pass.store.told(pass.source, &task.id, MessageTs::MIN, MessageTs::MAX)?;
    told.retain(|ts, _| asked.is_none_or(|asked| asked.contains(ts)));
    let mut missing = Vec::new();
    let mut settled = Vec::new();
    for (ts, event) in &told {
        // The message itself may still be told of.
        let item = history::item(pass.store, Kind::Message, pass.source, Some(&task.id), &ts.to_string())?;
        let Some(item) = item else { continue };
        if item.is_gone() {
            settled.push(is_settled(pass, task, *ts, *event));
        } else if let Some(latest) = item.latest() {
            missing.push(Missing::of(*ts, &item, latest));
        }
    }
    if !settled.is_empty() {
        pass.append(Batch { records: Vec::new(), changes: settled }).await?;
    }
    missing.sort_by_key(|missing| missing.ts);
    probe(pass, task, &Evidence { window: None, cause: "event", told }, missing, out).await
}

/// Asks for each missing message by itself; only when the server says that it does not exist is it
/// recorded as gone. Whether all were asked for.
async fn probe(
    pass: &Pass<'_>,
    task: &ChannelTask,
    evidence: &Evidence,
    missing: Vec<Missing>,
    out: &mut Walked,
) -> Result<bool, Error> {
    let mut gone: Vec<(Missing, String)> = Vec::new();
    let mut changes = Vec::new();
    let mut whole = true;
    let mut failure = None;
    for (number, missing) in missing.into_iter().enumerate() {
        if number > 0 && pass.is_over() {
            whole = false;
            break;
        }
        if gone.len() + changes.len() >= BATCH {
            bury(pass, task, evidence, std::mem::take(&mut gone), std::mem::take(&mut changes), out).await?;
        }
        let ts = missing.ts;
        if pass.is_shown_to_another(&task.id, ts, &missing.shown_to)? {
            // Another account still holds it as shown: for this one it is out of sight, and
            // whether it is gone is for the other to find out, for as long as it looks.
            changes.push(StateChange::Unseen {
                account: pass.account.to_owned(),
                source: pass.source,
                channel: task.id.clone(),
                ts,
                is_lost: true,
            });
            continue;
        }
        match pass.reader.items_info(&task.api_id, &ts.to_string()).await {
            Err(api::Error::Refused { code, .. }) if code == "message_not_found" => gone.push((missing, code)),
            Ok(_) => {
                tracing::debug!(channel.id = %task.id, %ts, "a message is not in the history but answers by itself");
                // What was told until now is no evidence of what may come.
                changes.extend(evidence.told.get(&ts).map(|event| is_settled(pass, task, ts, *event)));
            }
            Err(api::Error::Refused { code, .. }) => {
                let detail = format!("message {ts} is not in the history and its own look-up was refused: {code}");
                pass.find("unclear_absence", task, &detail);
            }
            Err(error) => {
                failure = Some(error);
                break;
            }
        }
    }
    bury(pass, task, evidence, gone, changes, out).await?;
    match failure {
        Some(error) => Err(error.into()),
        None => Ok(whole),
    }
}

/// That what was told of a message up to an event has been looked at.
fn is_settled(pass: &Pass<'_>, task: &ChannelTask, ts: MessageTs, event: RecordSeq) -> StateChange {
    let before = Some(RecordSeq(event.0 + 1));
    StateChange::Settled { source: pass.source, channel: task.id.clone(), from: ts, to: ts, before }
}

/// Records as gone what the server said does not exist.
async fn bury(
    pass: &Pass<'_>,
    task: &ChannelTask,
    evidence: &Evidence,
    gone: Vec<(Missing, String)>,
    changes: Vec<StateChange>,
    out: &mut Walked,
) -> Result<(), Error> {
    if gone.is_empty() && changes.is_empty() {
        return Ok(());
    }
    let turn = pass.appender.turn(&task.id).await;
    let mut batch = Batch { records: Vec::new(), changes };
    for (missing, code) in gone {
        let ts = missing.ts;
        // Live events may have told more of it since it was found missing.
        let item = history::item(pass.store, Kind::Message, pass.source, Some(&task.id), &ts.to_string())?;
        let Some(item) = item.filter(|item| !item.is_gone()) else { continue };
        let Some((newest, latest)) = item.versions.last().zip(item.latest()) else { continue };
        if batch.records.is_empty() {
            batch.changes.extend(sides_are_due(pass, task)?);
        }
        batch.records.push(record_of(pass, task, evidence, ts, (newest.version + 1, latest), &code)?);
        batch.changes.push(StateChange::Settled {
            source: pass.source,
            channel: task.id.clone(),
            from: ts,
            to: ts,
            before: None,
        });
        for file in missing.files {
            batch.changes.push(StateChange::FileWanted {
                source: pass.source,
                id: file.clone(),
                channel: task.id.clone(),
            });
            out.files.entry(file).or_default().is_talked_about = true;
        }
    }
    let count = batch.records.len() as u64;
    out.changed |= count > 0;
    pass.count(|summary| summary.messages.deleted += count);
    // The commit point of the deletions.
    pass.append_in_turn(batch, turn).await?;
    Ok(())
}

/// With a change, that files and pins of the channel are to be read again: a pass that dies before
/// it comes to them must not forget it.
fn sides_are_due(pass: &Pass<'_>, task: &ChannelTask) -> Result<Option<StateChange>, Error> {
    let row = pass.store.walk(pass.account, pass.source, &task.id)?;
    Ok(row.filter(|row| row.standing.sides_at.is_some()).map(|mut row| {
        row.standing.sides_at = None;
        StateChange::Walk(row)
    }))
}

/// The record of a deletion: our note of the evidence. Who deleted it, and when, stands in it only
/// where an event says so.
fn record_of(
    pass: &Pass<'_>,
    task: &ChannelTask,
    evidence: &Evidence,
    ts: MessageTs,
    (version, latest): (u32, &Version),
    code: &str,
) -> Result<NewRecord, Error> {
    let now = pass.options.clock.now();
    let mut witnesses: Vec<Value> = evidence.window.iter().cloned().collect();
    witnesses.push(json!({"method": "items.info", "said": code}));
    let mut gone = json!({
        "last_seen": latest.record.header.observed_at,
        "first_missing": rfc3339(now),
        "cause": evidence.cause,
    });
    if let Some(seq) = evidence.told.get(&ts) {
        let event = pass.store.record(*seq)?;
        gone["cause"] = json!("event");
        if let api::Meaning::Deleted { actor, event_ts, .. } = api::meaning(&event.body) {
            // The fraction of a time stamp is a counter, and no part of the time.
            if let Some(at) = event_ts.and_then(|at| chrono::DateTime::from_timestamp(at.seconds(), 0)) {
                gone["at"] = json!(rfc3339(at));
            }
            if let Some(actor) = actor {
                gone["actor"] = json!(actor.as_str());
            }
        }
        let received = &event.header.observed_at;
        witnesses.push(json!({"method": LIVE, "record": seq.0, "received": received, "said": "message_deleted"}));
    }
    gone["witnesses"] = Value::Array(witnesses);
    Ok(NewRecord {
        kind: Kind::Message,
        source: pass.source,
        channel: Some(task.id.clone()),
        key: ts.to_string(),
        version,
        change: Change::Gone,
        origin: Origin::Noted,
        via: "items.info",
        account: pass.account.to_owned(),
        run: pass.run,
        observed_at: now,
        tickets: 0,
        attachments: Vec::new(),
        shared_in: Vec::new(),
        body: json!({ "gone": gone }).to_string().into_bytes(),
    })
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
    // A walk in parts moved the pin without having been shown all below it.
    let pin = task.pin.filter(|_| task.result != WalkResult::InParts);
    let mut found = Compared { missing: Vec::new(), live: 0, changes: Vec::new() };
    let mut to = top;
    loop {
        let items = messages_before(pass.store, pass.source, &task.id, to, STEP)?;
        let first = items.first().and_then(|item| MessageTs::parse(&item.key));
        let goes_on = first.filter(|first| items.len() == STEP && *first > floor);
        // After the messages: whoever adds one notes with it that this account was not shown it.
        let unseen = pass.store.unseen(pass.account, pass.source, &task.id, goes_on.unwrap_or(floor), to)?;
        for ts in unseen.keys().filter(|ts| seen.contains(ts)) {
            found.changes.push(StateChange::Seen {
                account: pass.account.to_owned(),
                source: pass.source,
                channel: task.id.clone(),
                ts: *ts,
            });
        }
        for item in items.iter().rev() {
            let Some((ts, latest)) = MessageTs::parse(&item.key).zip(item.latest()) else { continue };
            if ts < floor || item.is_gone() || unseen.get(&ts) == Some(&false) && !seen.contains(&ts) {
                continue;
            }
            let is_ours = |version: &Version| {
                let header = &version.record.header;
                header.account == pass.account && header.state == State::Present
            };
            if seen.contains(&ts) {
                found.live += 1;
            } else if pin.is_some_and(|pin| ts <= pin) || item.versions.iter().any(is_ours) {
                found.live += 1;
                found.missing.push(Missing::of(ts, item, latest));
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
        match goes_on {
            Some(first) => to = first.before(),
            None => return Ok(found),
        }
    }
}

/// Messages that others added since the archive had `since` records, at or below where the pin is
/// about to move: this account was not shown them, and whoever added them did not know that its pin
/// would pass them. To be asked in the channel's turn, and appended with the pin.
pub(super) fn added_meanwhile(
    pass: &Pass<'_>,
    task: &ChannelTask,
    since: u64,
    pin: Option<MessageTs>,
    seen: &HashSet<MessageTs>,
) -> Result<Vec<StateChange>, Error> {
    const STEP: usize = 64;
    let (mut added, mut ours) = (BTreeSet::new(), BTreeSet::new());
    let (mut from, head) = (since, pass.store.head()?);
    while from < head {
        let blocks = pass.store.blocks(from, STEP)?;
        let Some(last) = blocks.last() else { break };
        from = last.first.0 + last.records.len() as u64;
        for (seq, record) in blocks.iter().flat_map(|block| (block.first.0..).zip(&block.records)) {
            let header = &record.header;
            let is_here = header.kind == Kind::Message && header.channel.as_deref() == Some(task.id.as_str());
            let Some(ts) = MessageTs::parse(&header.key).filter(|_| seq >= since && is_here) else { continue };
            if header.account == pass.account {
                ours.insert(ts);
            } else if header.version == 1 && pin.is_some_and(|pin| ts <= pin) && !seen.contains(&ts) {
                added.insert(ts);
            }
        }
    }
    let unseen = |ts: &MessageTs| StateChange::Unseen {
        account: pass.account.to_owned(),
        source: pass.source,
        channel: task.id.clone(),
        ts: *ts,
        is_lost: false,
    };
    Ok(added.difference(&ours).map(unseen).collect())
}
