//! Pins of a channel and reactions on its messages, as sets that change.

use super::Error;
use super::pass::{ChannelTask, Pass};
use super::walk::Walked;
use crate::api::wire::Message;
use crate::api::{self, Item, tolerant};
use crate::history::{Known, item};
use crate::model::{MessageTs, UtcTime, json};
use crate::record::{Kind, Origin, Record, change_digest, redact};
use crate::store::{Batch, Change, NewRecord, VersionRow};

/// Reads the pins that this account is shown in a channel; a set that differs is a new version.
pub(super) async fn pins(pass: &Pass<'_>, task: &ChannelTask) -> Result<(), Error> {
    let page = pass.reader.pins_list(&task.api_id).await?;
    let Some(body) = page.reply.member("items").filter(|_| page.is_whole) else { return Ok(()) };
    let key = format!("{}/{}", task.id, pass.account);
    let (body, tickets) = redact(Kind::Pins, &body);
    let newest = pass.store.versions(Kind::Pins, pass.source, Some(&task.id), &key)?.last().copied();
    let version = match newest {
        None if page.items.is_empty() => return Ok(()),
        None => 1,
        Some(row) => {
            let known = pass.store.record(row.seq)?;
            if change_digest(Kind::Pins, &known.body) == change_digest(Kind::Pins, &body) {
                return Ok(());
            }
            row.version + 1
        }
    };
    pass.count(|summary| summary.pins.changed += 1);
    let record = NewRecord {
        kind: Kind::Pins,
        source: pass.source,
        channel: Some(task.id.clone()),
        key,
        version,
        change: if version == 1 { Change::New } else { Change::Changed },
        origin: Origin::Observed,
        via: "pins.list",
        account: pass.account.to_owned(),
        run: pass.run,
        observed_at: page.received_at,
        tickets,
        attachments: Vec::new(),
        shared_in: Vec::new(),
        body: body.into_owned(),
    };
    pass.append(Batch { records: vec![record], changes: Vec::new() }).await?;
    Ok(())
}

/// A set of reactions in one spelling: names in order, people in order.
fn reaction_set(array: Option<&[u8]>) -> Vec<(String, i64, Vec<String>)> {
    let Some(serde_json::Value::Array(values)) = array.and_then(json::parse) else { return Vec::new() };
    let mut set: Vec<(String, i64, Vec<String>)> = values
        .iter()
        .map(|value| {
            let mut users: Vec<String> =
                value["users"].as_array().into_iter().flatten().filter_map(tolerant::as_text).collect();
            users.sort();
            (
                tolerant::as_text(&value["name"]).unwrap_or_default(),
                tolerant::as_int(&value["count"]).unwrap_or(0),
                users,
            )
        })
        .filter(|(name, count, users)| !name.is_empty() && (*count > 0 || !users.is_empty()))
        .collect();
    set.sort();
    set
}

/// What a message says of the reactions on it.
pub(super) enum Reacted {
    /// They are those that are known.
    AsKnown,
    /// They are others.
    Otherwise(NewRecord),
    /// Nothing: some are known, and this server may not show any in messages.
    Unsaid,
}

/// What a message says of the reactions on it: `newest` is the last record about them, else they
/// stand in the message as it was archived.
pub(super) fn reacted(
    pass: &Pass<'_>,
    task: &ChannelTask,
    ts: MessageTs,
    known: &Known,
    newest: Option<VersionRow>,
    item: &Item<Message>,
    received_at: UtcTime,
) -> Result<Reacted, Error> {
    let now = json::member(&item.bytes, "reactions").map(|range| &item.bytes[range]);
    let last = newest.map(|row| pass.store.record(row.seq)).transpose()?;
    let before = reactions_before(last.as_ref(), &known.body);
    if before == reaction_set(now) {
        return Ok(Reacted::AsKnown);
    }
    // Where the history itself was the last to show them, it would show them still.
    let was_asked = last.map_or(known.told_at.is_some(), |record| record.header.via == ASKED);
    if now.is_none() && was_asked && !pass.has_reactions_in_messages() {
        return Ok(Reacted::Unsaid);
    }
    // A message that no longer has the member was sent without it: the empty set is our note.
    let origin = if now.is_some() { Origin::Observed } else { Origin::Noted };
    let body = now.unwrap_or(b"[]").to_vec();
    Ok(Reacted::Otherwise(reactions(pass, task, ts, newest, (origin, "channels.history", received_at), body)))
}

/// How the reactions on a message are read that does not show them.
const ASKED: &str = "reactions.get";

/// Asks for the reactions on messages that say nothing of them (protocol notes (b), step 4).
pub(super) async fn unsaid_reactions(pass: &Pass<'_>, task: &ChannelTask, out: &mut Walked) -> Result<(), Error> {
    for ts in std::mem::take(&mut out.unsaid) {
        let key = ts.to_string();
        let page = match pass.reader.reactions_get(&task.api_id, &key).await {
            Err(api::Error::Refused { .. }) => continue,
            other => other?,
        };
        let Some(body) = page.reply.member("reactions").filter(|_| page.is_whole) else { continue };
        let newest = pass.store.versions(Kind::Reactions, pass.source, Some(&task.id), &key)?.last().copied();
        let last = newest.map(|row| pass.store.record(row.seq)).transpose()?;
        let message = item(pass.store, Kind::Message, pass.source, Some(&task.id), &key)?;
        let in_message = message.as_ref().and_then(crate::history::Item::latest).map(|latest| &latest.record.body[..]);
        if reactions_before(last.as_ref(), in_message.unwrap_or_default()) == reaction_set(Some(&body)) {
            continue;
        }
        out.changed = true;
        let read = (Origin::Observed, ASKED, page.received_at);
        let record = reactions(pass, task, ts, newest, read, body.to_vec());
        pass.append(Batch { records: vec![record], changes: Vec::new() }).await?;
    }
    Ok(())
}

fn reactions_before(last: Option<&Record>, message: &[u8]) -> Vec<(String, i64, Vec<String>)> {
    match last {
        Some(record) => reaction_set(Some(&record.body)),
        None => reaction_set(json::member(message, "reactions").map(|range| &message[range])),
    }
}

fn reactions(
    pass: &Pass<'_>,
    task: &ChannelTask,
    ts: MessageTs,
    newest: Option<VersionRow>,
    (origin, via, observed_at): (Origin, &'static str, UtcTime),
    body: Vec<u8>,
) -> NewRecord {
    pass.count(|summary| summary.reactions.changed += 1);
    let version = newest.map_or(1, |row| row.version + 1);
    NewRecord {
        kind: Kind::Reactions,
        source: pass.source,
        channel: Some(task.id.clone()),
        key: ts.to_string(),
        version,
        change: if version == 1 { Change::New } else { Change::Changed },
        origin,
        via,
        account: pass.account.to_owned(),
        run: pass.run,
        observed_at,
        tickets: 0,
        attachments: Vec::new(),
        shared_in: Vec::new(),
        body,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_reactions_has_no_order() {
        let a =
            reaction_set(Some(br#"[{"name":"b","count":1,"users":["x"]},{"name":"a","count":2,"users":["y","x"]}]"#));
        let b =
            reaction_set(Some(br#"[{"name":"a","users":["x","y"],"count":"2"},{"count":1,"name":"b","users":["x"]}]"#));
        assert_eq!(a, b);
        assert_eq!(reaction_set(None), reaction_set(Some(b"[]")));
        assert_ne!(a, reaction_set(None));
    }
}
