//! Who and what there is: the account itself, people, channels, direct conversations.

use std::collections::{BTreeMap, HashMap};

use serde_json::json;

use super::Error;
use super::pass::{ChannelTask, Pass};
use super::walk::{ORDER_NOT_PROVED, Standing};
use crate::api::{self, Item};
use crate::model::{ChannelId, UtcTime, rfc3339};
use crate::record::{Kind, Origin, change_digest};
use crate::store::{Batch, Change, NewRecord, VersionRow};

/// Records an account's identity, once and when it changes.
pub(super) async fn identity(pass: &Pass<'_>, reply: &api::Reply) -> Result<(), Error> {
    let known = pass.store.versions(Kind::Account, pass.source, None, pass.account)?.last().copied();
    let record =
        versioned(pass, Kind::Account, None, pass.account, known, &reply.bytes, "auth.test", reply.received_at)?;
    append(pass, record.into_iter().collect()).await
}

async fn append(pass: &Pass<'_>, records: Vec<NewRecord>) -> Result<(), Error> {
    if !records.is_empty() {
        pass.append(Batch { records, changes: Vec::new() }).await?;
    }
    Ok(())
}

/// A record of a subject that reads otherwise than its newest version; none when it reads alike.
#[expect(clippy::too_many_arguments, reason = "a record's facts, named once, in the order of its header")]
fn versioned(
    pass: &Pass<'_>,
    kind: Kind,
    channel: Option<&ChannelId>,
    key: &str,
    known: Option<VersionRow>,
    body: &[u8],
    via: &'static str,
    observed_at: UtcTime,
) -> Result<Option<NewRecord>, Error> {
    let (version, change) = match known {
        None => (1, Change::New),
        Some(row) => {
            let record = pass.store.record(row.seq)?;
            let same = record.body == body || change_digest(kind, &record.body) == change_digest(kind, body);
            match (same, row.change == Change::Gone) {
                (true, false) => return Ok(None),
                (true, true) => (row.version + 1, Change::Back),
                (false, true) => (row.version + 1, Change::BackChanged),
                (false, false) => (row.version + 1, Change::Changed),
            }
        }
    };
    Ok(Some(NewRecord {
        kind,
        source: pass.source,
        channel: channel.cloned(),
        key: key.to_owned(),
        version,
        change,
        origin: Origin::Observed,
        via,
        account: pass.account.to_owned(),
        run: pass.run,
        observed_at,
        tickets: 0,
        attachments: Vec::new(),
        shared_in: Vec::new(),
        body: body.to_vec(),
    }))
}

/// Reads everyone the account can see.
pub(super) async fn people(pass: &Pass<'_>) -> Result<(), Error> {
    let page = pass.reader.users_list(None).await?;
    let known: HashMap<String, VersionRow> = pass.store.newest(Kind::User)?.into_iter().collect();
    let mut records = Vec::new();
    for item in &page.items {
        let Some(id) = item.view.as_ref().map(|user| user.id.clone()).filter(|id| !id.is_empty()) else {
            pass.find_anywhere("unreadable_item", "a person in users.list has no id that can be read");
            continue;
        };
        records.extend(versioned(
            pass,
            Kind::User,
            None,
            &id,
            known.get(&id).copied(),
            &item.bytes,
            "users.list",
            page.received_at,
        )?);
    }
    append(pass, records).await
}

/// Reads the channels and conversations the account sees, records what is new or different, and
/// says which are to be walked: those that are listed, and conversations that were closed since.
pub(super) async fn channels(pass: &Pass<'_>) -> Result<Vec<ChannelTask>, Error> {
    let mut tasks: BTreeMap<ChannelId, ChannelTask> = BTreeMap::new();
    let walks: HashMap<ChannelId, crate::store::WalkRow> = pass
        .store
        .walks()?
        .into_iter()
        .filter(|row| row.account == pass.account)
        .map(|row| (row.channel.clone(), row))
        .collect();
    let known_channels: HashMap<String, VersionRow> = pass.store.newest(Kind::Channel)?.into_iter().collect();
    let known_ims: HashMap<String, VersionRow> = pass.store.newest(Kind::Im)?.into_iter().collect();
    let mut records = Vec::new();

    let list = pass.reader.channels_list().await?;
    let list_is_whole = list.is_whole;
    if !list.is_whole {
        pass.incomplete("list_cut_short", "the list of channels had no end");
    }
    for item in &list.items {
        let Some((id, view)) = item.view.as_ref().and_then(|view| Some((ChannelId::parse(&view.id)?, view))) else {
            pass.find_anywhere("unreadable_item", "a channel in channels.list has no id that can be read");
            continue;
        };
        if view.roster_is_cut() {
            tracing::debug!(channel.id = %id, "the server cut the list of members");
        }
        records.extend(channel_record(pass, &id, known_channels.get(id.as_str()).copied(), item, list.received_at)?);
        tasks.insert(
            id.clone(),
            task(id, &view.id, &view.name, false, walks.get(&ChannelId::parse(&view.id).expect("parsed above"))),
        );
    }
    let ims = pass.reader.im_list().await?;
    if !ims.is_whole {
        pass.incomplete("list_cut_short", "the list of direct conversations had no end");
    }
    for item in &ims.items {
        let Some((id, view)) = item.view.as_ref().and_then(|view| Some((ChannelId::parse(&view.id)?, view))) else {
            pass.find_anywhere("unreadable_item", "a conversation in im.list has no id that can be read");
            continue;
        };
        records.extend(versioned(
            pass,
            Kind::Im,
            Some(&id),
            id.as_str(),
            known_ims.get(id.as_str()).copied(),
            &item.bytes,
            "im.list",
            ims.received_at,
        )?);
        let walk = walks.get(&id);
        tasks.insert(id.clone(), task(id, &view.id, &view.user, true, walk));
    }
    append(pass, records).await?;

    for (id, walk) in &walks {
        if tasks.contains_key(id) {
            continue;
        }
        if let Some(row) = known_ims.get(id.as_str()) {
            // im.list shows open conversations only; a closed one can still be read (row 28).
            let view: Option<api::wire::Im> = serde_json::from_slice(&pass.store.record(row.seq)?.body).ok();
            if let Some(view) = view {
                tasks.insert(id.clone(), task(id.clone(), &view.id, &view.user, true, Some(walk)));
            }
        } else if list_is_whole {
            vanished(pass, id, known_channels.get(id.as_str()).copied()).await?;
        }
    }
    for id in tasks.keys() {
        visible_again(pass, id).await?;
    }
    Ok(tasks.into_values().collect())
}

fn channel_record(
    pass: &Pass<'_>,
    id: &ChannelId,
    known: Option<VersionRow>,
    item: &Item<api::wire::Channel>,
    received_at: UtcTime,
) -> Result<Option<NewRecord>, Error> {
    versioned(pass, Kind::Channel, Some(id), id.as_str(), known, &item.bytes, "channels.list", received_at)
}

fn task(id: ChannelId, api_id: &str, name: &str, is_im: bool, walk: Option<&crate::store::WalkRow>) -> ChannelTask {
    let standing: Standing =
        walk.and_then(|row| row.walk.as_deref()).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    ChannelTask {
        id,
        api_id: api_id.to_owned(),
        name: name.to_owned(),
        pin: walk.and_then(|row| row.pin),
        walked_until: walk.and_then(|row| row.walked_until),
        standing,
        is_new: walk.is_none(),
        is_order_proved: walk.is_none_or(|row| row.result != ORDER_NOT_PROVED),
        is_im,
    }
}

/// A channel that is no longer listed. What it held is not deleted by that: the server is asked
/// what became of it, and the answer is recorded as a change of what can be seen (6.11).
async fn vanished(pass: &Pass<'_>, id: &ChannelId, known: Option<VersionRow>) -> Result<(), Error> {
    let Some(row) = known else { return Ok(()) };
    let view: Option<api::wire::Channel> = serde_json::from_slice(&pass.store.record(row.seq)?.body).ok();
    let Some(view) = view else { return Ok(()) };
    let said = match pass.reader.channels_info(&view.id).await {
        Ok(Some(item)) if item.view.as_ref().and_then(|view| view.is_member) == Some(false) => {
            "the account is no longer a member".to_owned()
        }
        Ok(_) => "it answers, but is not listed".to_owned(),
        Err(api::Error::Refused { code, .. }) => code,
        Err(error) => return Err(error.into()),
    };
    let newest = pass.store.versions(Kind::Visibility, pass.source, Some(id), id.as_str())?.last().copied();
    if newest.is_some_and(|row| row.change == Change::Gone) {
        return Ok(());
    }
    pass.find_in(
        "channel_lost",
        id.as_str(),
        &format!("{} is no longer listed; asked for it, the server says: {said}", view.name),
    );
    let now = pass.options.clock.now();
    let body = json!({"lost": {"name": view.name, "noticed": rfc3339(now), "said": said}});
    append(pass, vec![visibility(pass, id, newest, Change::Gone, now, &body)]).await
}

async fn visible_again(pass: &Pass<'_>, id: &ChannelId) -> Result<(), Error> {
    let newest = pass.store.versions(Kind::Visibility, pass.source, Some(id), id.as_str())?.last().copied();
    if newest.is_none_or(|row| row.change != Change::Gone) {
        return Ok(());
    }
    let now = pass.options.clock.now();
    let body = json!({"visible": {"noticed": rfc3339(now)}});
    append(pass, vec![visibility(pass, id, newest, Change::Back, now, &body)]).await
}

fn visibility(
    pass: &Pass<'_>,
    id: &ChannelId,
    newest: Option<VersionRow>,
    change: Change,
    at: UtcTime,
    body: &serde_json::Value,
) -> NewRecord {
    NewRecord {
        kind: Kind::Visibility,
        source: pass.source,
        channel: Some(id.clone()),
        key: id.as_str().to_owned(),
        version: newest.map_or(1, |row| row.version + 1),
        change,
        origin: Origin::Noted,
        via: "channels.info",
        account: pass.account.to_owned(),
        run: pass.run,
        observed_at: at,
        tickets: 0,
        attachments: Vec::new(),
        shared_in: Vec::new(),
        body: body.to_string().into_bytes(),
    }
}
