//! Pins of a channel and reactions on its messages, as sets that change.

use super::Error;
use super::pass::{ChannelTask, Pass};
use crate::api::wire::Message;
use crate::api::{Item, tolerant};
use crate::history::Known;
use crate::model::{MessageTs, UtcTime, json};
use crate::record::{Kind, Origin, change_digest, redact};
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

/// A record of the reactions on a message, when they are not what was last known: `newest` is the
/// last record about them, else they stand in the message as it was archived.
pub(super) fn reaction_change(
    pass: &Pass<'_>,
    task: &ChannelTask,
    ts: MessageTs,
    known: &Known,
    newest: Option<VersionRow>,
    item: &Item<Message>,
    received_at: UtcTime,
) -> Result<Option<NewRecord>, Error> {
    let now = json::member(&item.bytes, "reactions").map(|range| &item.bytes[range]);
    let in_message = json::member(&known.body, "reactions").map(|range| &known.body[range]);
    let key = ts.to_string();
    let before = match &newest {
        Some(row) => reaction_set(Some(&pass.store.record(row.seq)?.body)),
        None => reaction_set(in_message),
    };
    if before == reaction_set(now) {
        return Ok(None);
    }
    pass.count(|summary| summary.reactions.changed += 1);
    let version = newest.map_or(1, |row| row.version + 1);
    Ok(Some(NewRecord {
        kind: Kind::Reactions,
        source: pass.source,
        channel: Some(task.id.clone()),
        key,
        version,
        change: if version == 1 { Change::New } else { Change::Changed },
        // A message that no longer has the member was sent without it: the empty set is our note.
        origin: if now.is_some() { Origin::Observed } else { Origin::Noted },
        via: "channels.history",
        account: pass.account.to_owned(),
        run: pass.run,
        observed_at: received_at,
        tickets: 0,
        attachments: Vec::new(),
        shared_in: Vec::new(),
        body: now.unwrap_or(b"[]").to_vec(),
    }))
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
