//! From a page of history to records: what is new or different on it, what does not fit.

use std::collections::{BTreeMap, HashMap};

use super::Error;
use super::files::{self, FileSight};
use super::odd::oddities;
use super::pass::{ChannelTask, Pass};
use super::pins::{Reacted, reacted, unsaid_reactions};
use super::walk::Walked;
use crate::api::wire::Message;
use crate::api::{self, HistoryWindow, Item, Page};
use crate::history::{Known, known_between};
use crate::model::json::member;
use crate::model::{Digest, MessageTs, UtcTime};
use crate::record::{Kind, Origin, change_digest, redact};
use crate::store::{Batch, Change, NewRecord};

/// Messages a page.
const PAGE: u32 = 1000;
/// A page of so many items is not believed to be the last on the server's word alone: servers cap
/// pages as they like, and this is the size they give when none is asked for (protocol notes 2.2).
const FULL: usize = 100;

/// Whether no page comes after one of that length.
fn is_last(has_more: bool, length: usize) -> bool {
    length == 0 || !has_more && length < FULL
}

/// How many pages a walk over so many messages reads. Each but the first begins with the message
/// that the one before ended with.
pub(super) fn pages(messages: u64) -> u64 {
    let (mut pages, mut length, mut left) = (1, messages.min(PAGE.into()), messages.saturating_sub(PAGE.into()));
    while !is_last(left > 0, usize::try_from(length).unwrap_or(usize::MAX)) {
        pages += 1;
        if left == 0 {
            break;
        }
        length = left.saturating_add(1).min(PAGE.into());
        left -= length - 1;
    }
    pages
}

/// A page of history, with what does not fit about it.
pub(super) struct ReadPage {
    pub(super) items: Vec<(Item<Message>, Option<MessageTs>)>,
    pub(super) stamps: Vec<MessageTs>,
    pub(super) has_more: bool,
    /// It does not begin with the message that the one before ended with.
    pub(super) seam: bool,
    pub(super) disordered: bool,
    /// Just before it was asked for: it may show what stood then.
    asked_at: UtcTime,
    received_at: UtcTime,
}

/// A page of the history that was read again, and archived as in a walk.
pub(super) struct Look {
    /// Its items that have a time stamp.
    pub(super) items: Vec<(MessageTs, Item<Message>)>,
    /// The lowest of them within the bounds.
    pub(super) last: Option<MessageTs>,
    /// Nothing comes below it.
    pub(super) is_end: bool,
    /// All came in the order and the bounds that were asked for.
    pub(super) is_ordered: bool,
    pub(super) files: BTreeMap<String, FileSight>,
    pub(super) changed: bool,
}

/// Reads a page of the history outside a walk: no cursor moves.
pub(super) async fn look(
    pass: &Pass<'_>,
    task: &ChannelTask,
    floor: MessageTs,
    cursor: MessageTs,
    previous: Option<MessageTs>,
) -> Result<Look, Error> {
    let page = read_page(pass, task, floor, cursor, previous).await?;
    let mut out = Walked::default();
    keep(pass, task, &page, &mut out).await?;
    let last = page.lowest(floor, cursor);
    let is_end = page.is_end(previous, last);
    let items = page.items.into_iter().filter_map(|(item, ts)| Some((ts?, item))).collect();
    Ok(Look { items, last, is_end, is_ordered: !page.disordered, files: out.files, changed: out.changed })
}

/// Archives what is new or different on a page.
pub(super) async fn keep(pass: &Pass<'_>, task: &ChannelTask, page: &ReadPage, out: &mut Walked) -> Result<(), Error> {
    let turn = pass.appender.turn(&task.id).await;
    let batch = to_batch(pass, task, page, out)?;
    if !batch.records.is_empty() || !batch.changes.is_empty() {
        pass.append_in_turn(batch, turn).await?;
    } else {
        drop(turn);
    }
    unsaid_reactions(pass, task, out).await
}

impl ReadPage {
    /// One message that was asked for by itself; `None` when another came.
    pub(super) fn of_one(item: Item<Message>, ts: MessageTs, asked_at: UtcTime, received_at: UtcTime) -> Option<Self> {
        let is_it = item.view.as_ref().and_then(Message::parsed_ts) == Some(ts);
        let items = vec![(item, Some(ts))];
        is_it.then_some(Self {
            items,
            stamps: vec![ts],
            has_more: false,
            seam: false,
            disordered: false,
            asked_at,
            received_at,
        })
    }

    /// The lowest of its time stamps within the bounds that were asked for. What came from outside
    /// them is kept and moves no cursor.
    pub(super) fn lowest(&self, floor: MessageTs, cursor: MessageTs) -> Option<MessageTs> {
        self.stamps.iter().filter(|ts| (floor..=cursor).contains(ts)).min().copied()
    }

    /// Whether nothing can come after it: it is empty, or holds only what the page before ended
    /// with, or says so. A long page is not believed to be the last on the server's word alone.
    pub(super) fn is_end(&self, previous: Option<MessageTs>, lowest: Option<MessageTs>) -> bool {
        let is_overlap = self.items.len() == 1 && lowest.is_some() && previous == lowest;
        is_overlap || is_last(self.has_more, self.items.len())
    }
}

/// Reads a page, and once more when it is not what it should be: an item that cannot be read, a
/// seam, disorder. What still does not fit is kept and said.
pub(super) async fn read_page(
    pass: &Pass<'_>,
    task: &ChannelTask,
    floor: MessageTs,
    cursor: MessageTs,
    previous: Option<MessageTs>,
) -> Result<ReadPage, Error> {
    let window = HistoryWindow { oldest: floor, latest: cursor, count: PAGE };
    let ask = async || -> Result<(ReadPage, bool), Error> {
        let asked_at = pass.reader.connection().clock().now();
        let page = pass.reader.channels_history(&task.api_id, window).await?;
        Ok(judge(page, asked_at, floor, cursor, previous))
    };
    let mut read = ask().await?;
    let unreadable = |read: &ReadPage| read.items.iter().any(|(_, ts)| ts.is_none());
    if !read.1 || unreadable(&read.0) || read.0.seam || read.0.disordered {
        let again = ask().await?;
        if again.1 {
            read = again;
        }
    }
    if !read.1 {
        return Err(api::Error::Broken {
            method: "channels.history".to_owned(),
            detail: "its list of messages has no end".to_owned(),
        }
        .into());
    }
    Ok(read.0)
}

/// A page with its faults named, and whether its list was whole.
fn judge(
    page: Page<Message>,
    asked_at: UtcTime,
    floor: MessageTs,
    cursor: MessageTs,
    previous: Option<MessageTs>,
) -> (ReadPage, bool) {
    let items: Vec<(Item<Message>, Option<MessageTs>)> = page
        .items
        .into_iter()
        .map(|item| {
            let ts = match &item.view {
                Some(view) => view.parsed_ts(),
                // Not JSON, but the stamp may still stand in it.
                None => crate::model::json::member_text(&item.bytes, "ts").and_then(|text| MessageTs::parse(&text)),
            };
            (item, ts)
        })
        .collect();
    let stamps: Vec<MessageTs> = items.iter().filter_map(|(_, ts)| *ts).collect();
    let in_order = stamps.windows(2).all(|pair| pair[0] >= pair[1]);
    let in_bounds = stamps.iter().all(|ts| (floor..=cursor).contains(ts));
    let read = ReadPage {
        // A server that does not say is asked until nothing new comes.
        has_more: page.has_more.unwrap_or(!items.is_empty()),
        seam: previous.is_some() && stamps.first() != previous.as_ref(),
        disordered: !in_order || !in_bounds,
        asked_at,
        received_at: page.received_at,
        items,
        stamps,
    };
    (read, page.is_whole)
}

/// Records for what is new or different on a page.
pub(super) fn to_batch(pass: &Pass<'_>, task: &ChannelTask, page: &ReadPage, out: &mut Walked) -> Result<Batch, Error> {
    let mut batch = Batch::default();
    let (mut known, reactions) = match (page.stamps.iter().min(), page.stamps.iter().max()) {
        (Some(from), Some(to)) => (
            known_between(pass.store, pass.source, &task.id, *from, *to)?,
            pass.store.versions_between(Kind::Reactions, pass.source, &task.id, *from, *to)?,
        ),
        _ => Default::default(),
    };
    let mut on_page: BTreeMap<String, FileSight> = BTreeMap::new();
    if page.items.iter().any(|(item, _)| member(&item.bytes, "reactions").is_some()) {
        batch.changes.extend(pass.shows_reactions());
    }
    let holders = holders(page, &known);
    for (place, (item, ts)) in page.items.iter().enumerate() {
        let Some(ts) = ts else {
            batch.records.extend(unknown(pass, task, &item.bytes, page.received_at)?);
            pass.find(
                "unreadable_item",
                task,
                "an item of the history has no time stamp that can be read; it is kept as it came",
            );
            continue;
        };
        if item.view.is_none() {
            pass.find("unreadable_item", task, &format!("message {ts} is not JSON; it is kept as it came"));
        }
        for file in item.view.iter().flat_map(Message::all_files) {
            on_page.entry(file.id.clone()).or_default().update(FileSight::of(file, &task.id));
        }
        if let Some(holder) = holders.get(ts).filter(|holder| **holder != place) {
            let digest = |bytes: &[u8]| change_digest(Kind::Message, bytes);
            if digest(&item.bytes) != digest(&page.items[*holder].0.bytes) {
                batch.records.extend(unknown(pass, task, &item.bytes, page.received_at)?);
                tie(pass, task, *ts);
            }
            continue;
        }
        let (body, tickets) = redact(Kind::Message, &item.bytes);
        let (version, change) = match known.get(ts) {
            None => (1, Change::New),
            Some(known) => {
                let newest_reactions = reactions.get(ts).and_then(|rows| rows.last()).copied();
                match reacted(pass, task, *ts, known, newest_reactions, item, page.received_at)? {
                    Reacted::AsKnown => {}
                    Reacted::Otherwise(record) => {
                        out.changed = true;
                        batch.records.push(record);
                    }
                    Reacted::Unsaid => drop(out.unsaid.insert(*ts)),
                }
                match known.becomes(&body, page.asked_at) {
                    None => continue,
                    Some(Change::Changed | Change::BackChanged) if is_tie(&known.body, &item.bytes) => {
                        batch.records.extend(unknown(pass, task, &item.bytes, page.received_at)?);
                        tie(pass, task, *ts);
                        continue;
                    }
                    Some(change) => (known.version + 1, change),
                }
            }
        };
        pass.count(|summary| match change {
            Change::New => summary.messages.new += 1,
            Change::Changed => summary.messages.edited += 1,
            Change::Back | Change::BackChanged => summary.messages.restored += 1,
            Change::Gone | Change::Shared | Change::Fetched | Change::Earlier => {}
        });
        out.changed = true;
        if change == Change::New {
            batch.changes.extend(pass.unseen_by_others(&task.id, *ts));
        }
        if item.view.is_some() {
            for oddity in oddities(&item.bytes) {
                pass.find("odd_item", task, &format!("an item of the history {oddity}; it is kept as it came"));
            }
        }
        if let Some(view) = item.view.as_ref().filter(|view| view.comment.is_some()) {
            // An edited comment changes neither the time stamp of its file nor the number of comments.
            for file in view.all_files() {
                on_page.entry(file.id.clone()).or_default().is_talked_about = true;
            }
        }
        let body = body.into_owned();
        // A second item of the same page may bear the same stamp.
        known.insert(*ts, Known { version, is_gone: false, told_at: None, body: body.clone() });
        batch.records.push(NewRecord {
            kind: Kind::Message,
            source: pass.source,
            channel: Some(task.id.clone()),
            key: ts.to_string(),
            version,
            change,
            origin: Origin::Observed,
            via: "channels.history",
            account: pass.account.to_owned(),
            run: pass.run,
            observed_at: page.received_at,
            tickets,
            attachments: Vec::new(),
            shared_in: Vec::new(),
            body,
        });
    }
    batch.changes.extend(files::remember(pass, &on_page));
    for (id, sight) in on_page {
        out.files.entry(id).or_default().update(sight);
    }
    Ok(batch)
}

fn tie(pass: &Pass<'_>, task: &ChannelTask, ts: MessageTs) {
    let detail = format!("two messages bear the time stamp {ts}; the second is kept as an item of its own");
    pass.find("tie", task, &detail);
}

/// Which item of a page each time stamp belongs to: where several bear one, that which reads as
/// what is known, else the first. The others are messages of their own.
fn holders(page: &ReadPage, known: &BTreeMap<MessageTs, Known>) -> HashMap<MessageTs, usize> {
    let mut holders: HashMap<MessageTs, usize> = HashMap::new();
    for (place, (item, ts)) in page.items.iter().enumerate() {
        let Some(ts) = ts else { continue };
        if let Some(holder) = holders.get_mut(ts) {
            let digest = |body: &[u8]| change_digest(Kind::Message, body);
            let is_known =
                known.get(ts).is_some_and(|known| digest(&known.body) == digest(&redact(Kind::Message, &item.bytes).0));
            if is_known {
                *holder = place;
            }
        } else {
            holders.insert(*ts, place);
        }
    }
    holders
}

/// Whether what comes under a known stamp is another message: it has another author, and is no edit,
/// which would bear a mark (protocol notes 1.2 (c) and 1.3).
pub(super) fn is_tie(known: &[u8], bytes: &[u8]) -> bool {
    use crate::model::json::member_text;
    let authors = (member_text(known, "user"), member_text(bytes, "user"));
    authors.0.is_some() && authors.1.is_some() && authors.0 != authors.1 && member(bytes, "edited").is_none()
}

/// An item that cannot be recognised, kept once under the digest of its bytes.
fn unknown(
    pass: &Pass<'_>,
    task: &ChannelTask,
    bytes: &[u8],
    received_at: UtcTime,
) -> Result<Option<NewRecord>, Error> {
    let (body, tickets) = redact(Kind::Unknown, bytes);
    let key = Digest::of(&body).to_string();
    if !pass.first_sight(Kind::Unknown, Some(&task.id), &key)? {
        return Ok(None);
    }
    Ok(Some(NewRecord {
        kind: Kind::Unknown,
        source: pass.source,
        channel: Some(task.id.clone()),
        key,
        version: 1,
        change: Change::New,
        origin: Origin::Observed,
        via: "channels.history",
        account: pass.account.to_owned(),
        run: pass.run,
        observed_at: received_at,
        tickets,
        attachments: Vec::new(),
        shared_in: Vec::new(),
        body: body.into_owned(),
    }))
}

#[cfg(test)]
mod tests {
    use super::is_tie;

    #[test]
    fn another_author_without_a_mark_of_an_edit_is_another_message() {
        let ann = br#"{"user":"ann","text":"a","ts":"1.000000"}"#;
        let edited = br#"{"user":"ann","text":"b","ts":"1.000000","edited":{"user":"eva","ts":"2.000000"}}"#;
        let bob = br#"{"user":"bob","text":"a","ts":"1.000000"}"#;
        assert!(is_tie(ann, bob) && is_tie(edited, bob));
        assert!(!is_tie(ann, edited) && !is_tie(bob, edited), "an edit may bear its editor's name");
        assert!(!is_tie(ann, br#"{"text":"a","ts":"1.000000"}"#), "nobody says who wrote it");
    }
}
