//! One channel's walk: newest to oldest between a floor and a pin, page by page, each page and the
//! place it reached committed together (protocol notes (b), steps 2 and 6.1–6.6).

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Error;
use super::files;
use super::odd::oddities;
use super::pass::{ChannelTask, Pass};
use super::pins::reaction_change;
use crate::api::wire::Message;
use crate::api::{self, HistoryWindow, Item, Page};
use crate::history::{Known, known_between, messages_before};
use crate::model::{ChannelId, Digest, MessageTs, UtcTime, rfc3339};
use crate::record::{Kind, Origin, change_digest, redact};
use crate::store::{Batch, Change, NewRecord, StateChange, WalkRow};

/// How far below the pin the next walk begins: message stamps of servers that count local time
/// can fall back by an hour (protocol notes 1.2).
const MARGIN_SECONDS: u64 = 65 * 60;
/// Messages a page.
const PAGE: u32 = 1000;
/// More than this many messages gone at once, and more than one in twenty, is no deletion but a
/// change of what can be seen (protocol notes 6.6).
const BREAKER: usize = 50;
/// The debt that a tripped breaker leaves; its key is the channel, the account, and the floor of
/// the walk that tripped it, with spaces between.
pub(super) const DISAPPEARANCE: &str = "disappearance";
/// The result of a walk whose messages came out of order.
pub(super) const ORDER_NOT_PROVED: &str = "order not proved";

/// What is remembered of a channel between passes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Standing {
    /// A walk that was cut off.
    #[serde(skip_serializing_if = "Option::is_none")]
    in_flight: Option<InFlight>,
    /// When files and pins of the channel were last read whole (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sides_at: Option<String>,
    /// When the channel was last held against its feed (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) atom_at: Option<String>,
}

/// A walk under way. Its cursor means something only with the floor and the pin it was minted
/// under, so the three are kept together (protocol notes 6.2).
#[derive(Debug, Clone, Serialize, Deserialize)]
struct InFlight {
    floor: i64,
    pin: Option<i64>,
    cursor: i64,
}

/// What a walk gave.
#[derive(Debug, Default)]
pub(super) struct Walked {
    /// Files that its messages name, with what was seen of each.
    pub(super) files: BTreeMap<String, FileSight>,
    /// Whether anything in the window was new or different.
    pub(super) changed: bool,
    /// The budget ran out before the end.
    pub(super) cut_off: bool,
}

/// What a message or a list shows of a file.
#[derive(Debug, Clone, Default)]
pub(super) struct FileSight {
    pub(super) timestamp: i64,
    pub(super) edit_counter: u64,
    pub(super) comments: i64,
    pub(super) channels: BTreeSet<ChannelId>,
    /// Something was said about it: its comments are read again whatever their number.
    pub(super) is_talked_about: bool,
}

impl FileSight {
    pub(super) fn of(file: &api::wire::File, channel: &ChannelId) -> Self {
        Self {
            timestamp: file.timestamp,
            edit_counter: file.edit_counter(),
            comments: file.comments_count,
            channels: [channel.clone()].into(),
            is_talked_about: false,
        }
    }

    /// Puts a later sight of the same file over this one.
    pub(super) fn update(&mut self, mut later: Self) {
        later.channels.append(&mut self.channels);
        later.is_talked_about |= self.is_talked_about;
        *self = later;
    }
}

/// Walks a channel from the newest message down to the floor.
pub(super) async fn walk(pass: &Pass<'_>, task: &ChannelTask) -> Result<Walked, Error> {
    let mut standing = task.standing.clone();
    // A first walk goes on where it was cut off. A later one is short and begins again, because
    // only a walk seen from pin to floor can say what was absent from it.
    let resumed = standing.in_flight.take().filter(|_| !pass.options.full && task.pin.is_none());
    let tripped = pass.tripped.get(&task.id).copied();
    let floor = match (&resumed, task.pin) {
        (Some(walk), _) => MessageTs::from_micros(walk.floor),
        (None, Some(pin)) if !pass.options.full && task.is_order_proved => {
            pin.minus_seconds(MARGIN_SECONDS).min(tripped.unwrap_or(MessageTs::MAX))
        }
        _ => MessageTs::MIN,
    };
    let mut pin = resumed.as_ref().and_then(|walk| walk.pin).map(MessageTs::from_micros);
    let mut cursor = resumed.as_ref().map_or(MessageTs::MAX, |walk| MessageTs::from_micros(walk.cursor));
    // A first walk that died left messages behind too, though no pin.
    let has_earlier = task.pin.is_some() || task.standing.in_flight.is_some();
    let mut seen: Option<HashSet<MessageTs>> = (resumed.is_none() && has_earlier).then(HashSet::new);
    let mut previous: Option<MessageTs> = resumed.as_ref().map(|_| cursor);
    let mut out = Walked::default();
    let mut order_proved = true;
    let mut without_progress = 0;
    let mut first_unit = true;
    loop {
        if !first_unit && pass.is_over() {
            out.cut_off = true;
            return Ok(out);
        }
        first_unit = false;
        let page = read_page(pass, task, floor, cursor, previous).await?;
        if page.seam {
            // The message the last page ended with is gone or moved; what is below it still comes.
            tracing::debug!(channel.id = %task.id, "the walk's seam does not match");
        }
        if page.disordered {
            order_proved = false;
            pass.find("disorder", task, "messages came outside the order or the bounds that were asked for; all were kept, and the whole channel is walked again by the next pass");
        }
        if pin.is_none() {
            pin = page.stamps.iter().max().copied();
        }
        if let Some(seen) = &mut seen {
            seen.extend(&page.stamps);
        }
        // What came from outside the bounds is kept and does not move the cursor.
        let last = page.stamps.iter().filter(|ts| (floor..=cursor).contains(ts)).min().copied();
        let is_full = page.items.len() >= PAGE as usize;
        let is_overlap = page.items.len() == 1 && last.is_some() && previous == last;
        let ended = page.items.is_empty() || is_overlap || !page.has_more && !is_full;
        let batch = to_batch(pass, task, &page, &mut out)?;
        if ended {
            pass.append(batch).await?;
            break;
        }
        let next = match last {
            Some(last) if last < cursor => {
                without_progress = 0;
                last
            }
            // The whole page bears one time stamp, or the server repeats itself: step below it
            // rather than ask for the same page for ever.
            Some(last) => {
                without_progress += 1;
                order_proved = false;
                pass.find("tie_overflow", task, "more messages bear one time stamp than a page holds");
                last.before()
            }
            None => {
                without_progress += 2;
                cursor
            }
        };
        let mut batch = batch;
        standing.in_flight =
            Some(InFlight { floor: floor.micros(), pin: pin.map(MessageTs::micros), cursor: next.micros() });
        batch.changes.push(StateChange::Walk(row(pass, task, task.pin, &standing, None, "under way")));
        // The commit point of a page: its records and the cursor below it, or neither.
        pass.append(batch).await?;
        if without_progress > 1 {
            let detail = "it gives the same messages, or none whose time stamp can be read, again and again";
            return Err(api::Error::Broken { method: "channels.history".to_owned(), detail: detail.to_owned() }.into());
        }
        previous = Some(next);
        cursor = next;
    }
    let pin = pin.max(task.pin);
    if let (Some(seen), Some(pin), true) = (&seen, pin, order_proved) {
        absent(pass, task, floor, pin, seen, &mut out).await?;
    }
    standing.in_flight = None;
    let result = if order_proved { "complete" } else { ORDER_NOT_PROVED };
    let now = pass.options.clock.now();
    let mut changes = vec![StateChange::Walk(row(pass, task, pin, &standing, Some(now), result))];
    changes.push(StateChange::Paid { kind: "channel", key: task.id.to_string() });
    let order = task.id.to_string();
    changes.push(if order_proved {
        StateChange::Paid { kind: "order", key: order }
    } else {
        let reason = "its messages came out of order; the next pass walks it whole".to_owned();
        StateChange::Owed { kind: "order", key: order, reason, at: now }
    });
    // The commit point of a walk: only here does the pin move, over a window walked to its end and
    // looked through for what was missing.
    pass.append(Batch { records: Vec::new(), changes }).await?;
    Ok(out)
}

fn row(
    pass: &Pass<'_>,
    task: &ChannelTask,
    pin: Option<MessageTs>,
    standing: &Standing,
    walked_until: Option<UtcTime>,
    result: &str,
) -> WalkRow {
    WalkRow {
        account: pass.account.to_owned(),
        source: pass.source,
        channel: task.id.clone(),
        pin,
        walk: serde_json::to_string(standing).ok(),
        walked_until: walked_until.or(task.walked_until),
        result: result.to_owned(),
        run: pass.run,
    }
}

/// Remembers something of a channel that was walked; the walk's own result stands.
pub(super) fn remembered(walked: WalkRow, change: impl FnOnce(&mut Standing)) -> StateChange {
    let mut standing: Standing =
        walked.walk.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    change(&mut standing);
    StateChange::Walk(WalkRow { walk: serde_json::to_string(&standing).ok(), ..walked })
}

/// Remembers that files and pins of a channel were read whole.
pub(super) fn sides_done(pass: &Pass<'_>, walked: WalkRow) -> StateChange {
    remembered(walked, |standing| standing.sides_at = Some(rfc3339(pass.options.clock.now())))
}

/// The row of a channel that was never walked, so that it counts as a gap until it is.
pub(super) fn not_begun(pass: &Pass<'_>, task: &ChannelTask) -> StateChange {
    StateChange::Walk(row(pass, task, None, &Standing::default(), None, "not begun"))
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
    let batch = to_batch(pass, task, &page, &mut out)?;
    if !batch.records.is_empty() || !batch.changes.is_empty() {
        pass.append(batch).await?;
    }
    let last = page.stamps.iter().filter(|ts| (floor..=cursor).contains(ts)).min().copied();
    let is_overlap = page.items.len() == 1 && last.is_some() && previous == last;
    let is_end = page.items.is_empty() || is_overlap || !page.has_more && page.items.len() < PAGE as usize;
    let items = page.items.into_iter().filter_map(|(item, ts)| Some((ts?, item))).collect();
    Ok(Look { items, last, is_end, is_ordered: !page.disordered, files: out.files, changed: out.changed })
}

struct ReadPage {
    items: Vec<(Item<Message>, Option<MessageTs>)>,
    stamps: Vec<MessageTs>,
    has_more: bool,
    seam: bool,
    disordered: bool,
    received_at: UtcTime,
}

/// Reads a page, and once more when it is not what it should be: an item that cannot be read, a
/// seam, disorder. What still does not fit is kept and said.
async fn read_page(
    pass: &Pass<'_>,
    task: &ChannelTask,
    floor: MessageTs,
    cursor: MessageTs,
    previous: Option<MessageTs>,
) -> Result<ReadPage, Error> {
    let window = HistoryWindow { oldest: floor, latest: cursor, count: PAGE };
    let mut read = judge(pass.reader.channels_history(&task.api_id, window).await?, floor, cursor, previous);
    let unreadable = |read: &ReadPage| read.items.iter().any(|(_, ts)| ts.is_none());
    if !read.1 || unreadable(&read.0) || read.0.seam || read.0.disordered {
        let again = judge(pass.reader.channels_history(&task.api_id, window).await?, floor, cursor, previous);
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
fn judge(page: Page<Message>, floor: MessageTs, cursor: MessageTs, previous: Option<MessageTs>) -> (ReadPage, bool) {
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
        received_at: page.received_at,
        items,
        stamps,
    };
    (read, page.is_whole)
}

/// Records for what is new or different on a page.
fn to_batch(pass: &Pass<'_>, task: &ChannelTask, page: &ReadPage, out: &mut Walked) -> Result<Batch, Error> {
    let mut batch = Batch::default();
    let (mut known, reactions) = match (page.stamps.iter().min(), page.stamps.iter().max()) {
        (Some(from), Some(to)) => (
            known_between(pass.store, pass.source, &task.id, *from, *to)?,
            pass.store.versions_between(Kind::Reactions, pass.source, &task.id, *from, *to)?,
        ),
        _ => Default::default(),
    };
    let mut on_page: BTreeMap<String, FileSight> = BTreeMap::new();
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
                let same = known.body == body.as_ref()
                    || change_digest(Kind::Message, &known.body) == change_digest(Kind::Message, &body);
                let newest_reactions = reactions.get(ts).and_then(|rows| rows.last()).copied();
                if let Some(record) = reaction_change(pass, task, *ts, known, newest_reactions, item, page.received_at)?
                {
                    out.changed = true;
                    batch.records.push(record);
                }
                match (same, known.is_gone) {
                    (true, false) => continue,
                    (true, true) => (known.version + 1, Change::Back),
                    (false, true) => (known.version + 1, Change::BackChanged),
                    (false, false) if is_tie(known, &item.bytes) => {
                        batch.records.extend(unknown(pass, task, &item.bytes, page.received_at)?);
                        tie(pass, task, *ts);
                        continue;
                    }
                    (false, false) => (known.version + 1, Change::Changed),
                }
            }
        };
        pass.count(|summary| match change {
            Change::New => summary.messages.new += 1,
            Change::Changed => summary.messages.edited += 1,
            Change::Back | Change::BackChanged => summary.messages.restored += 1,
            Change::Gone | Change::Shared | Change::Fetched => {}
        });
        out.changed = true;
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
        known.insert(*ts, Known { version, is_gone: false, body: body.clone() });
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

/// Whether two bodies under one stamp are two messages: other authors, and neither is an edit of
/// the other (protocol notes 1.2 (c)).
fn is_tie(known: &Known, bytes: &[u8]) -> bool {
    use crate::model::json::{member, member_text};
    let authors = (member_text(&known.body, "user"), member_text(bytes, "user"));
    let edited = member(&known.body, "edited").is_some() || member(bytes, "edited").is_some();
    authors.0.is_some() && authors.1.is_some() && authors.0 != authors.1 && !edited
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

/// Messages that this account was shown before, that lie in the window it has just been shown
/// whole, and that were not in it. Each is asked for by itself; only when the server says that it
/// does not exist is it recorded as gone: the two witnesses of protocol notes 6.6.
async fn absent(
    pass: &Pass<'_>,
    task: &ChannelTask,
    floor: MessageTs,
    pin: MessageTs,
    seen: &HashSet<MessageTs>,
    out: &mut Walked,
) -> Result<(), Error> {
    let (missing, live) = not_seen(pass, task, floor, pin, seen)?;
    let tripped = pass.tripped.get(&task.id).copied();
    // The breaker holds for one pass; a second one that finds the same asks for each (6.6).
    if tripped.is_none() && missing.len() > BREAKER && missing.len() * 20 > live {
        let detail =
            format!("{} of {live} messages can no longer be seen at once; none is recorded as deleted", missing.len());
        pass.find("mass_disappearance", task, &detail);
        let at = pass.options.clock.now();
        let debt = StateChange::Owed { kind: DISAPPEARANCE, key: tripped_key(pass, task, floor), reason: detail, at };
        pass.append(Batch { records: Vec::new(), changes: vec![debt] }).await?;
        return Ok(());
    }
    let first_missing = pass.options.clock.now();
    for Missing { ts, version, observed_at, files } in missing {
        match pass.reader.items_info(&task.api_id, &ts.to_string()).await {
            Err(api::Error::Refused { code, .. }) if code == "message_not_found" => {
                out.changed = true;
                pass.count(|summary| summary.messages.deleted += 1);
                let body = json!({
                    "gone": {
                        "last_seen": observed_at,
                        "first_missing": rfc3339(first_missing),
                        "cause": "unknown",
                        "witnesses": [
                            {"method": "channels.history", "from": floor.to_string(), "to": pin.to_string(), "said": "absent from the whole window"},
                            {"method": "items.info", "said": code},
                        ],
                    }
                });
                let record = NewRecord {
                    kind: Kind::Message,
                    source: pass.source,
                    channel: Some(task.id.clone()),
                    key: ts.to_string(),
                    version: version + 1,
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
                };
                pass.append(Batch { records: vec![record], changes: Vec::new() }).await?;
                for file in files {
                    out.files.entry(file).or_default().is_talked_about = true;
                }
            }
            Ok(_) => {
                tracing::debug!(channel.id = %task.id, %ts, "a message is not in the history but answers by itself");
            }
            Err(api::Error::Refused { code, .. }) => {
                pass.find(
                    "unclear_absence",
                    task,
                    &format!("message {ts} is not in the history and its own look-up was refused: {code}"),
                );
            }
            Err(error) => return Err(error.into()),
        }
    }
    // The window reached down to the tripped floor, so nothing of it was left out.
    if let Some(tripped) = tripped {
        let paid = StateChange::Paid { kind: DISAPPEARANCE, key: tripped_key(pass, task, tripped) };
        pass.append(Batch { records: Vec::new(), changes: vec![paid] }).await?;
    }
    Ok(())
}

fn tripped_key(pass: &Pass<'_>, task: &ChannelTask, floor: MessageTs) -> String {
    format!("{} {} {floor}", task.id, pass.account)
}

/// A message that should have been in a walk and was not.
struct Missing {
    ts: MessageTs,
    version: u32,
    observed_at: String,
    files: Vec<String>,
}

/// What this account was shown before between two bounds and was not shown now, and how many
/// messages stand there. Read in steps, so that a long channel is never in memory whole.
fn not_seen(
    pass: &Pass<'_>,
    task: &ChannelTask,
    floor: MessageTs,
    pin: MessageTs,
    seen: &HashSet<MessageTs>,
) -> Result<(Vec<Missing>, usize), Error> {
    const STEP: usize = 2000;
    let (mut missing, mut live) = (Vec::new(), 0);
    let mut to = pin;
    loop {
        let items = messages_before(pass.store, pass.source, &task.id, to, STEP)?;
        let first = items.first().and_then(|item| MessageTs::parse(&item.key));
        for item in &items {
            let (Some(ts), Some(newest), Some(latest)) =
                (MessageTs::parse(&item.key), item.versions.last(), item.latest())
            else {
                continue;
            };
            if ts < floor || item.is_gone() {
                continue;
            }
            live += 1;
            if latest.record.header.account == pass.account && !seen.contains(&ts) {
                missing.push(Missing {
                    ts,
                    version: newest.version,
                    observed_at: newest.record.header.observed_at.clone(),
                    files: api::tolerant::files_named(&latest.record.body),
                });
            }
        }
        match first {
            Some(first) if items.len() == STEP && first > floor => to = first.before(),
            _ => return Ok((missing, live)),
        }
    }
}
