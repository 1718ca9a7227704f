//! Who and what there is: the account itself, people, channels, direct conversations.

use std::collections::{BTreeMap, HashMap};

use serde_json::json;

use super::Error;
use super::live::HISTORY;
use super::pass::{ChannelTask, Pass};
use super::walk;
use crate::api;
use crate::model::{ChannelId, Digest, UtcTime, json as bytes, rfc3339};
use crate::record::{Kind, Origin, change_digest};
use crate::store::{Batch, Change, FIRST_SOURCE, NewRecord, Reader, StateChange, VersionRow, WalkResult, WalkRow};

/// Records an account's identity, once and when it changes.
pub(super) async fn identity(pass: &Pass<'_>, reply: &api::Reply) -> Result<(), Error> {
    let known = pass.store.versions(Kind::Account, pass.source, None, pass.account)?.last().copied();
    let mut seen = Sight::new(pass, Kind::Account, "auth.test", reply.received_at)?;
    seen.look(None, pass.account, known, &reply.bytes)?;
    seen.keep().await
}

/// What one reply showed of many subjects of a kind, collected to be recorded together.
pub(super) struct Sight<'a> {
    pass: &'a Pass<'a>,
    kind: Kind,
    via: &'static str,
    observed_at: UtcTime,
    /// How subjects read to this account where the newest record has another account's reading.
    views: HashMap<(String, String), Digest>,
    batch: Batch,
}

impl<'a> Sight<'a> {
    pub(super) fn new(pass: &'a Pass<'a>, kind: Kind, via: &'static str, observed_at: UtcTime) -> Result<Self, Error> {
        let views = pass.store.views(pass.account, pass.source, kind)?;
        Ok(Self { pass, kind, via, observed_at, views, batch: Batch::default() })
    }

    /// A subject as it reads now; a record when that is neither its newest version nor what this
    /// account was shown before. Two accounts that are shown a subject differently do not write it
    /// in turn.
    pub(super) fn look(
        &mut self,
        channel: Option<&ChannelId>,
        key: &str,
        known: Option<VersionRow>,
        body: &[u8],
    ) -> Result<(), Error> {
        let digest = change_digest(self.kind, body);
        let place = (channel.map(|channel| channel.as_str().to_owned()).unwrap_or_default(), key.to_owned());
        let own = self.views.get(&place).copied();
        let (version, change) = match known {
            None => (1, Change::New),
            Some(row) => {
                let record = self.pass.store.record(row.seq)?;
                let newest = change_digest(self.kind, &record.body);
                let same = record.body == body || newest == digest;
                let was_gone = row.change == Change::Gone;
                if same && own.is_some() {
                    self.view(self.pass.account, channel, key, None);
                }
                match (same, was_gone) {
                    (true, false) => return Ok(()),
                    // It reads so to this account, and otherwise to the one that looked last, for as
                    // long as that one looks. Else it has changed back.
                    (false, false)
                        if own == Some(digest) && self.pass.is_looked_at_by(&record.header.account, channel) =>
                    {
                        return Ok(());
                    }
                    (true, true) => (row.version + 1, Change::Back),
                    (false, true) => (row.version + 1, Change::BackChanged),
                    (false, false) => {
                        // One that looked since and kept no reading of its own was shown the same: what
                        // it is shown now is a change, and not how it reads to this account. Taken for
                        // a difference, it would hide from the other account that it changed back.
                        let has_agreed = own.is_none() && self.pass.has_looked_since(record.header.observed());
                        if record.header.account != self.pass.account && !has_agreed {
                            self.view(&record.header.account, channel, key, Some(newest));
                        }
                        if own.is_some() {
                            self.view(self.pass.account, channel, key, None);
                        }
                        (row.version + 1, Change::Changed)
                    }
                }
            }
        };
        self.batch.records.push(NewRecord {
            kind: self.kind,
            source: self.pass.source,
            channel: channel.cloned(),
            key: key.to_owned(),
            version,
            change,
            origin: if self.kind == Kind::Roster { Origin::Noted } else { Origin::Observed },
            via: self.via,
            account: self.pass.account.to_owned(),
            run: self.pass.run,
            observed_at: self.observed_at,
            tickets: 0,
            attachments: Vec::new(),
            shared_in: Vec::new(),
            body: body.to_vec(),
        });
        Ok(())
    }

    /// A channel that is shown and was never walked is a gap from the record on that shows it. If the
    /// pass ends before the walk, the next one knows that this account was shown the channel: when
    /// it is listed no more, it has lost it, and holds no reading against another account's.
    fn begin(&mut self, task: &ChannelTask) {
        if task.is_new && !self.pass.options.excludes(task) {
            self.batch.changes.push(walk::not_begun(self.pass, task));
        }
    }

    fn view(&mut self, account: &str, channel: Option<&ChannelId>, key: &str, digest: Option<Digest>) {
        self.batch.changes.push(StateChange::View {
            account: account.to_owned(),
            source: self.pass.source,
            kind: self.kind,
            channel: channel.cloned(),
            key: key.to_owned(),
            digest,
        });
    }

    pub(super) async fn keep(self) -> Result<(), Error> {
        append(self.pass, self.batch).await
    }
}

async fn append(pass: &Pass<'_>, batch: Batch) -> Result<(), Error> {
    if !batch.records.is_empty() || !batch.changes.is_empty() {
        pass.append(batch).await?;
    }
    Ok(())
}

/// Reads everyone the account can see.
pub(super) async fn people(pass: &Pass<'_>) -> Result<(), Error> {
    let page = pass.reader.users_list(None).await?;
    let known: HashMap<String, VersionRow> = pass.store.newest(Kind::User)?.into_iter().collect();
    let mut seen = Sight::new(pass, Kind::User, "users.list", page.received_at)?;
    let mut listed = pass.listed_people.lock().await;
    for item in &page.items {
        let Some(id) = item.view.as_ref().map(|user| user.id.clone()).filter(|id| !id.is_empty()) else {
            pass.find_anywhere("unreadable_item", "a person in users.list has no id that can be read");
            continue;
        };
        seen.look(None, &id, known.get(&id).copied(), &item.bytes)?;
        listed.insert(id);
    }
    seen.keep().await
}

/// Reads the channels and conversations the account sees, records what is new or different, and
/// says which are to be walked: those that are listed and not excluded, and conversations that were
/// closed since.
pub(super) async fn channels(pass: &Pass<'_>) -> Result<Vec<ChannelTask>, Error> {
    let mut tasks: BTreeMap<ChannelId, ChannelTask> = BTreeMap::new();
    let walks: HashMap<ChannelId, WalkRow> = pass
        .store
        .walks()?
        .into_iter()
        .filter(|row| row.account == pass.account)
        .map(|row| (row.channel.clone(), row))
        .collect();
    let known_channels: HashMap<String, VersionRow> = pass.store.newest(Kind::Channel)?.into_iter().collect();
    let known_ims: HashMap<String, VersionRow> = pass.store.newest(Kind::Im)?.into_iter().collect();

    let list = pass.reader.channels_list().await?;
    let list_is_whole = list.is_whole;
    if !list.is_whole {
        pass.incomplete("list_cut_short", "the list of channels had no end");
    }
    let mut seen = Sight::new(pass, Kind::Channel, "channels.list", list.received_at)?;
    for item in &list.items {
        let Some((id, view)) = item.view.as_ref().and_then(|view| Some((ChannelId::parse(&view.id)?, view))) else {
            pass.find_anywhere("unreadable_item", "a channel in channels.list has no id that can be read");
            continue;
        };
        seen.look(Some(&id), id.as_str(), known_channels.get(id.as_str()).copied(), &item.bytes)?;
        let walk = walks.get(&id);
        let cut_roster = view.roster_is_cut().then_some(view.num_members).flatten();
        let task = ChannelTask { cut_roster, ..task(id.clone(), &view.id, &view.name, false, walk) };
        seen.begin(&task);
        tasks.insert(id, task);
    }
    seen.keep().await?;
    let ims = pass.reader.im_list().await?;
    if !ims.is_whole {
        pass.incomplete("list_cut_short", "the list of direct conversations had no end");
    }
    let mut seen = Sight::new(pass, Kind::Im, "im.list", ims.received_at)?;
    for item in &ims.items {
        let Some((id, view)) = item.view.as_ref().and_then(|view| Some((ChannelId::parse(&view.id)?, view))) else {
            pass.find_anywhere("unreadable_item", "a conversation in im.list has no id that can be read");
            continue;
        };
        seen.look(Some(&id), id.as_str(), known_ims.get(id.as_str()).copied(), &item.bytes)?;
        let task = task(id.clone(), &view.id, &view.user, true, walks.get(&id));
        seen.begin(&task);
        tasks.insert(id, task);
    }
    seen.keep().await?;

    let listed: Vec<api::wire::Channel> = list.items.into_iter().filter_map(|item| item.view).collect();
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
            vanished(pass, walk, known_channels.get(id.as_str()).copied(), &listed).await?;
        }
    }
    for id in tasks.keys() {
        visible_again(pass, id).await?;
    }
    Ok(tasks.into_values().filter(|task| !pass.options.excludes(task)).collect())
}

/// The channels and conversations that this account walks, as they are archived: nothing is asked.
pub(super) fn known(pass: &Pass<'_>) -> Result<Vec<ChannelTask>, Error> {
    let mut tasks = Vec::new();
    for walk in pass.store.walks()?.into_iter().filter(|row| row.account == pass.account) {
        let id = walk.channel.clone();
        if walk.result == WalkResult::Lost {
            continue;
        }
        for (kind, name) in [(Kind::Channel, "name"), (Kind::Im, "user")] {
            if let Some(row) = pass.store.versions(kind, pass.source, Some(&id), id.as_str())?.last() {
                let body = pass.store.record(row.seq)?.body;
                let text = |name| bytes::member_text(&body, name).unwrap_or_default();
                tasks.push(task(id, &text("id"), &text(name), kind == Kind::Im, Some(&walk)));
                break;
            }
        }
    }
    Ok(tasks)
}

pub(super) fn task(id: ChannelId, api_id: &str, name: &str, is_im: bool, walk: Option<&WalkRow>) -> ChannelTask {
    ChannelTask {
        id,
        api_id: api_id.to_owned(),
        name: name.to_owned(),
        pin: walk.and_then(|row| row.pin),
        walked_until: walk.and_then(|row| row.walked_until),
        standing: walk.map(|row| row.standing.clone()).unwrap_or_default(),
        is_new: walk.is_none(),
        result: walk.map_or(WalkResult::NotBegun, |row| row.result),
        is_trusted: walk.is_none_or(|row| {
            !matches!(row.result, WalkResult::OrderNotProved | WalkResult::InParts | WalkResult::Lost)
        }),
        is_im,
        cut_roster: None,
    }
}

/// A channel that is no longer listed. What it held is not deleted by that: the server is asked
/// what became of it, and the answer is recorded as a change of what can be seen (6.11). It is
/// asked again from time to time, and owed until somebody decides that it is not wanted.
async fn vanished(
    pass: &Pass<'_>,
    walk: &WalkRow,
    known: Option<VersionRow>,
    listed: &[api::wire::Channel],
) -> Result<(), Error> {
    let id = &walk.channel;
    let Some(row) = known else { return Ok(()) };
    let view: Option<api::wire::Channel> = serde_json::from_slice(&pass.store.record(row.seq)?.body).ok();
    let Some(view) = view else { return Ok(()) };
    let now = pass.options.clock.now();
    let key = visibility_key(pass.account, id);
    let newest = pass.store.versions(Kind::Visibility, pass.source, Some(id), &key)?.last().copied();
    // What the walk still owed is owed as part of the lost channel.
    let history = pass.changed_history.get(id).into_iter().flatten();
    let mut paid: Vec<StateChange> = history.map(|key| StateChange::Paid { kind: HISTORY, key: key.clone() }).collect();
    if newest.is_some_and(|row| row.change == Change::Gone) {
        return append(pass, Batch { records: Vec::new(), changes: paid }).await;
    }
    let said = match pass.reader.channels_info(&view.id).await {
        Ok(Some(item)) if item.view.as_ref().and_then(|view| view.is_member) == Some(false) => {
            "the account is no longer a member".to_owned()
        }
        Ok(_) => "it answers, but is not listed".to_owned(),
        Err(api::Error::Refused { code, .. }) => code,
        Err(error) => return Err(error.into()),
    };
    pass.find_in(
        "channel_lost",
        id.as_str(),
        &format!("{} is no longer listed; asked for it, the server says: {said}", view.name),
    );
    // Made at the same moment by the same owner, and not walked before: perhaps it was renamed and
    // got another id with that (1.2).
    let mut renamed = None;
    for other in listed.iter().filter(|other| other.created == view.created && other.creator == view.creator) {
        let is_new = match ChannelId::parse(&other.id) {
            Some(other) => {
                let walk = pass.store.walk(pass.account, pass.source, &other)?;
                walk.is_none_or(|row| row.result == WalkResult::NotBegun)
            }
            None => false,
        };
        if is_new && other.created > 0 {
            renamed = Some(other);
        }
    }
    let body = match renamed {
        None => json!({"lost": {"name": view.name, "noticed": rfc3339(now), "said": said}}),
        Some(other) => {
            json!({"lost": {"name": view.name, "noticed": rfc3339(now), "said": said, "possible_rename": {"channel": other.id, "name": other.name}}})
        }
    };
    let record = visibility(pass, id, newest, Change::Gone, now, &body);
    let lost = StateChange::Walk(WalkRow { result: WalkResult::Lost, run: pass.run, ..walk.clone() });
    paid.extend(["channel", "order"].map(|kind| StateChange::Paid { kind, key: format!("{id} {}", pass.account) }));
    paid.push(lost);
    append(pass, Batch { records: vec![record], changes: paid }).await
}

/// The subject of what one account can see of a channel.
fn visibility_key(account: &str, id: &ChannelId) -> String {
    format!("{id}/{account}")
}

/// Whether it is recorded that an account can no longer see a channel: it is not asked for again.
pub(super) fn is_known_as_lost(store: &Reader, account: &str, id: &ChannelId) -> Result<bool, Error> {
    let rows = store.versions(Kind::Visibility, FIRST_SOURCE, Some(id), &visibility_key(account, id))?;
    Ok(rows.last().is_some_and(|row| row.change == Change::Gone))
}

async fn visible_again(pass: &Pass<'_>, id: &ChannelId) -> Result<(), Error> {
    let key = visibility_key(pass.account, id);
    let newest = pass.store.versions(Kind::Visibility, pass.source, Some(id), &key)?.last().copied();
    if newest.is_none_or(|row| row.change != Change::Gone) {
        return Ok(());
    }
    let now = pass.options.clock.now();
    let body = json!({"visible": {"noticed": rfc3339(now)}});
    append(pass, Batch { records: vec![visibility(pass, id, newest, Change::Back, now, &body)], changes: Vec::new() })
        .await
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
        key: visibility_key(pass.account, id),
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
