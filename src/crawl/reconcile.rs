//! The history held against the feed of the same history, `channels.atom.history` (protocol notes
//! 4). One server and one database are behind both, so what this catches is faults of writing out
//! and of paging, not a server that says the same false thing twice.
//!
//! The report of a channel is digests and a verdict in the run's row; only disagreements are
//! records, each once. Whatever the feed does, no pass fails by it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use super::Error;
use super::files::FileSight;
use super::judge::{Disagreement, Side, Verdict, judge};
use super::page::look;
use super::pass::{ChannelTask, Pass};
use super::summary::Reconciliation;
use crate::api::wire::Message;
use crate::api::{self, AtomEntry, AtomFeed, HistoryWindow, Item, Tombstone};
use crate::history::{self, Known, known_between, messages_before};
use crate::model::{Digest, MessageTs, UtcTime, rfc3339};
use crate::record::{Kind, Origin, redact, redact_markup};
use crate::store::{Batch, Change, NewRecord, Standing, StateChange};

/// A channel is held against its feed again after this long.
const EVERY: chrono::TimeDelta = chrono::TimeDelta::days(1);
/// How far down that reaches, unless all is asked for: so many seconds, or so many messages.
const DAILY_SECONDS: u64 = 30 * 24 * 60 * 60;
const DAILY_MESSAGES: u64 = 2000;
/// Pages of the feed that are read of a channel, at most: a server may give few entries a page.
const DAILY_PAGES: u32 = 25;
const FULL_PAGES: u32 = 10_000;
/// Entries a page.
const PAGE: u32 = 1000;
/// Pages of the history that one look again may take.
const PAGES_AGAIN: u32 = 20;
/// Messages of a channel that are looked at one by one in a pass.
const PROBES: u32 = 100;
/// Removals that are looked up in a pass, the newest first.
const TOMBSTONES: usize = 2000;
/// Messages among which one that stands is looked for below the end of a feed.
const NEIGHBOURS: usize = 20;

const CONTENT_MISMATCH: &str = "content_mismatch";
const ATOM_OMISSION: &str = "atom_omission";
const JSON_OMISSION: &str = "json_omission";
const TOMBSTONE: &str = "tombstone";

/// Findings that have records of their own, with both sides.
pub(super) const RECORDED: [&str; 4] = [CONTENT_MISMATCH, ATOM_OMISSION, JSON_OMISSION, TOMBSTONE];

/// What one account's pass has learnt of the feeds of its server.
#[derive(Debug, Default)]
pub(super) struct Feeds {
    /// The server has none.
    is_absent: AtomicBool,
    /// They do not answer at the moment.
    is_down: AtomicBool,
}

/// What a reconciliation brought to light besides its findings.
#[derive(Debug, Default)]
pub(super) struct Reconciled {
    /// Files named by messages that were read again, or that were recorded as gone.
    pub(super) files: BTreeMap<String, FileSight>,
    /// Something was archived or recorded as gone.
    pub(super) changed: bool,
}

/// Whether a day is over since a channel was held against its feed.
pub(super) fn is_due(standing: &Standing, now: UtcTime) -> bool {
    standing.atom_at.is_none_or(|last| now - last >= EVERY)
}

/// The lowest message of a channel that is held against its feed.
pub(super) fn floor(is_full: bool, pin: MessageTs) -> MessageTs {
    if is_full { MessageTs::MIN } else { pin.minus_seconds(DAILY_SECONDS) }
}

/// How many pages of the feed are read for so many messages between that floor and the pin. Each
/// but the first begins with the message that the one before ended with.
pub(super) fn pages(is_full: bool, messages: u64) -> u64 {
    let (first, each) = (u64::from(PAGE), u64::from(PAGE) - 1);
    let wanted = if is_full { messages } else { messages.min(DAILY_MESSAGES) };
    let pages = 1 + wanted.saturating_sub(first).div_ceil(each);
    // A page that is full is not known to be the last.
    let is_last_full = messages >= first && (messages - first).is_multiple_of(each);
    let is_proof_read = is_last_full && (is_full || messages < DAILY_MESSAGES);
    let most = if is_full { FULL_PAGES } else { DAILY_PAGES };
    (pages + u64::from(is_proof_read)).min(most.into())
}

/// Holds a channel that was just walked whole against its feed, when a day is over or everything is
/// asked for.
pub(super) async fn reconcile(pass: &Pass<'_>, task: &ChannelTask) -> Result<Reconciled, Error> {
    let now = pass.options.clock.now();
    let is_due = pass.options.full || is_due(&task.standing, now);
    if !is_due || pass.is_over() || pass.feeds.is_down.load(Ordering::Relaxed) {
        return Ok(Reconciled::default());
    }
    let mut work = Work::new(pass, task);
    if !pass.feeds.is_absent.load(Ordering::Relaxed) {
        match work.run().await {
            Ok(()) => work.report(),
            Err(Error::Server(error)) if !matches!(error, api::Error::Auth { .. }) => {
                // What else failed than the feed may work the next time.
                if !work.is_feed_at_fault || !unavailable(pass, task, &error) {
                    return Ok(work.out);
                }
            }
            Err(error) => return Err(error),
        }
    }
    if let Some(mut row) = pass.store.walk(pass.account, pass.source, &task.id)? {
        row.standing.atom_at = Some(now);
        if work.out.changed {
            row.standing.sides_at = None;
        }
        pass.append(Batch { records: Vec::new(), changes: vec![StateChange::Walk(row)] }).await?;
    }
    Ok(work.out)
}

/// Says what the feed did not give, and whether that is all there is to be had of it for a day.
fn unavailable(pass: &Pass<'_>, task: &ChannelTask, error: &api::Error) -> bool {
    tracing::debug!(channel.id = %task.id, %error, "the feed could not be used");
    match error {
        api::Error::Unreachable { .. } => {
            pass.feeds.is_down.store(true, Ordering::Relaxed);
            false
        }
        api::Error::Refused { code, .. } if code != "unknown_method" => {
            pass.find("atom_refused", task, &format!("the feed of the channel was refused: {code}"));
            true
        }
        api::Error::Broken { .. } => {
            pass.find("atom_unreadable", task, "the feed of the channel can't be read; nothing was held against it");
            true
        }
        api::Error::Refused { .. } | api::Error::NotTeamChat { .. } => {
            pass.feeds.is_absent.store(true, Ordering::Relaxed);
            let detail = "the server gives no feeds of its channels; nothing can be held against their history";
            pass.find_anywhere("atom_unavailable", detail);
            true
        }
        _ => false,
    }
}

/// An entry of the feed: what it says, and its own words.
struct Entry {
    side: Side,
    raw: String,
}

/// What a page of the feed says, within the bounds that were asked for.
#[derive(Default)]
struct FeedPage {
    entries: BTreeMap<MessageTs, Entry>,
    tombstones: BTreeMap<MessageTs, Tombstone>,
    /// Entries that it holds, wherever they lie.
    length: usize,
    /// Each entry could be told from the others.
    is_keyed: bool,
    digest: Option<Digest>,
    /// What is archived from its lowest entry up.
    known: BTreeMap<MessageTs, Known>,
}

impl FeedPage {
    fn sides(&self) -> BTreeMap<MessageTs, Side> {
        self.entries.iter().map(|(ts, entry)| (*ts, entry.side.clone())).collect()
    }
}

/// A channel's reconciliation under way.
struct Work<'a> {
    pass: &'a Pass<'a>,
    task: &'a ChannelTask,
    floor: MessageTs,
    pin: MessageTs,
    probes: u32,
    disagreements: u64,
    messages: u64,
    /// The lowest message that was compared.
    lowest: Option<MessageTs>,
    /// The feed reached as far down as the archive does.
    is_whole: bool,
    is_feed_at_fault: bool,
    json_digests: Vec<u8>,
    atom_digests: Vec<u8>,
    tombstones: BTreeMap<MessageTs, Tombstone>,
    out: Reconciled,
}

impl<'a> Work<'a> {
    fn new(pass: &'a Pass<'a>, task: &'a ChannelTask) -> Self {
        Self {
            pass,
            task,
            floor: MessageTs::MIN,
            pin: MessageTs::MAX,
            probes: PROBES,
            disagreements: 0,
            messages: 0,
            lowest: None,
            is_whole: false,
            is_feed_at_fault: false,
            json_digests: Vec::new(),
            atom_digests: Vec::new(),
            tombstones: BTreeMap::new(),
            out: Reconciled::default(),
        }
    }

    /// Pages through the feed from the pin down, and judges each page over the range it covers.
    async fn run(&mut self) -> Result<(), Error> {
        let (pass, task) = (self.pass, self.task);
        let pin = pass.store.walk(pass.account, pass.source, &task.id)?.and_then(|row| row.pin);
        // A channel in which nothing was found has no pin: whatever its feed has is too much.
        self.pin = pin.unwrap_or(MessageTs::MAX);
        self.floor = floor(pass.options.full, self.pin);
        let mut cursor = self.pin;
        let pages = if pass.options.full { FULL_PAGES } else { DAILY_PAGES };
        for number in 0..pages {
            if number > 0 && pass.is_over() {
                return Ok(());
            }
            let feed = self.feed(self.floor, cursor).await?;
            self.atom_digests.extend(feed.digest.iter().flat_map(|digest| digest.0));
            self.tombstones.extend(feed.tombstones.clone());
            let Some(low) = feed.entries.keys().next().copied() else {
                self.is_whole = !self.is_anything_below(cursor)?;
                break;
            };
            // The page before ended with the message that this one begins with.
            let high = if number == 0 { cursor } else { cursor.before() };
            if low <= high {
                self.page(&feed, low, high).await?;
            }
            let is_short = feed.length < PAGE as usize;
            if low >= cursor && number > 0 || is_short && !self.is_anything_below(low)? {
                self.is_whole = !self.is_anything_below(low)?;
                break;
            }
            if !pass.options.full && self.messages >= DAILY_MESSAGES {
                self.is_whole = true;
                break;
            }
            cursor = low;
        }
        self.leftover_tombstones().await
    }

    /// Whether a message below `ts` stands in the archive that the feed was asked for.
    fn is_anything_below(&self, ts: MessageTs) -> Result<bool, Error> {
        let (pass, task) = (self.pass, self.task);
        if ts <= self.floor {
            return Ok(false);
        }
        let below = messages_before(pass.store, pass.source, &task.id, ts.before(), NEIGHBOURS)?;
        let is_asked_for = |key: &str| MessageTs::parse(key).is_some_and(|ts| ts >= self.floor);
        Ok(below.iter().any(|item| !item.is_gone() && is_asked_for(&item.key)))
    }

    /// A page of the feed; read once more when it cannot be parsed.
    async fn feed(&mut self, from: MessageTs, to: MessageTs) -> Result<FeedPage, Error> {
        let (pass, task) = (self.pass, self.task);
        let window = HistoryWindow { oldest: from, latest: to, count: PAGE };
        let mut answer = pass.reader.channels_atom_history(&task.api_id, window).await;
        if matches!(answer, Err(api::Error::Broken { .. })) {
            answer = pass.reader.channels_atom_history(&task.api_id, window).await;
        }
        self.is_feed_at_fault = answer.is_err();
        let (feed, bytes) = answer?;
        let stamps = feed.entries.iter().filter_map(|entry| entry.ts);
        let known = match stamps.filter(|ts| (from..=to).contains(ts)).min() {
            Some(low) => known_between(pass.store, pass.source, &task.id, low, to)?,
            None => BTreeMap::new(),
        };
        Ok(to_page(feed, &bytes, from..=to, known))
    }

    /// Judges one page; what the sides do not agree on is read again before anything is said of it.
    async fn page(&mut self, feed: &FeedPage, low: MessageTs, high: MessageTs) -> Result<(), Error> {
        let (pass, task) = (self.pass, self.task);
        let standing: BTreeMap<MessageTs, &Known> =
            feed.known.range(low..=high).filter(|(_, known)| !known.is_gone).map(|(ts, known)| (*ts, known)).collect();
        let ours: BTreeMap<MessageTs, Side> =
            standing.iter().map(|(ts, known)| (*ts, Side::of_json(*ts, &known.body))).collect();
        for known in standing.values() {
            self.json_digests.extend_from_slice(&Digest::of(&known.body).0);
        }
        self.messages += standing.len() as u64;
        self.lowest = Some(low);
        let archived = standing.keys().copied().collect();
        let mut found = judge(&ours, &archived, &feed.sides(), &feed.tombstones, low..=high);
        if !feed.is_keyed {
            found.retain(|one| one.verdict != Verdict::AtomOmission);
            pass.find(
                "atom_unkeyed",
                task,
                "entries of the feed bear no time stamp that can be read; they were not compared",
            );
        }
        match found.iter().map(|one| one.ts).max() {
            Some(to) => self.again(low, to).await,
            None => Ok(()),
        }
    }

    /// Reads both sides once more, history first and through the door of every walk, so that what
    /// happened meanwhile is archived and no longer a disagreement; then acts on what is left.
    async fn again(&mut self, from: MessageTs, to: MessageTs) -> Result<(), Error> {
        let (pass, task) = (self.pass, self.task);
        let Some(items) = self.history(from, to).await? else { return Ok(()) };
        let feed = self.feed(from, to).await?;
        let Some(low) = feed.entries.keys().next().copied() else { return Ok(()) };
        let archived: BTreeSet<MessageTs> =
            feed.known.iter().filter(|(_, known)| !known.is_gone).map(|(ts, _)| *ts).collect();
        let mut ours: BTreeMap<MessageTs, Side> = BTreeMap::new();
        let mut bodies: BTreeMap<MessageTs, &Item<Message>> = BTreeMap::new();
        for (ts, item) in &items {
            let side = Side::of_json(*ts, &item.bytes);
            let agrees = feed.entries.get(ts).is_some_and(|entry| side.agrees_with(&entry.side));
            // Of several under one stamp, the one that the feed shows too.
            if agrees || !ours.contains_key(ts) {
                ours.insert(*ts, side);
                bodies.insert(*ts, item);
            }
        }
        let found = judge(&ours, &archived, &feed.sides(), &feed.tombstones, low..=to);
        for Disagreement { ts, verdict } in found {
            if verdict == Verdict::AtomOmission && !feed.is_keyed || verdict == Verdict::Absent {
                continue;
            }
            self.disagreements += 1;
            if self.probes == 0 {
                pass.find("atom_differs", task, "more messages differ from the feed than are looked at one by one");
                continue;
            }
            self.probes -= 1;
            let item = bodies.get(&ts).map(|item| (item.bytes.as_ref(), &ours[&ts]));
            let entry = feed.entries.get(&ts);
            match verdict {
                Verdict::ContentMismatch => self.note(CONTENT_MISMATCH, ts, item, entry, None).await?,
                Verdict::AtomOmission => {
                    if self.ask(ts).await?.is_some() {
                        self.note(ATOM_OMISSION, ts, item, None, feed.tombstones.get(&ts)).await?;
                    } else {
                        self.disagreements -= 1;
                    }
                }
                Verdict::JsonOmission => match self.ask(ts).await? {
                    Some((item, times)) => self.recover(ts, &item, times, entry).await?,
                    None => self.disagreements -= 1,
                },
                Verdict::Tombstone => {
                    self.disagreements -= 1;
                    if let Some(tombstone) = feed.tombstones.get(&ts) {
                        self.bury(ts, tombstone, from, to).await?;
                    }
                }
                Verdict::Absent => {}
            }
        }
        Ok(())
    }

    /// The history between two bounds, archived as in a walk; `None` when it could not be read to
    /// its end, so that nothing can be said of what it lacks.
    async fn history(
        &mut self,
        from: MessageTs,
        to: MessageTs,
    ) -> Result<Option<Vec<(MessageTs, Item<Message>)>>, Error> {
        let (mut cursor, mut previous, mut all) = (to, None, Vec::new());
        for _ in 0..PAGES_AGAIN {
            let page = look(self.pass, self.task, from, cursor, previous).await?;
            for (id, sight) in page.files {
                self.out.files.entry(id).or_default().update(sight);
            }
            self.out.changed |= page.changed;
            all.extend(page.items);
            match page.last {
                _ if !page.is_ordered => return Ok(None),
                _ if page.is_end => return Ok(Some(all)),
                Some(last) if last < cursor => (cursor, previous) = (last, Some(last)),
                _ => return Ok(None),
            }
        }
        Ok(None)
    }

    /// One message by itself, and when it was asked for and came; `None` when the server does not
    /// give it.
    async fn ask(&self, ts: MessageTs) -> Result<Option<(Item<Message>, (UtcTime, UtcTime))>, Error> {
        let clock = self.pass.reader.connection().clock();
        let asked_at = clock.now();
        match self.pass.reader.items_info(&self.task.api_id, &ts.to_string()).await {
            Ok(item) => {
                let is_it = |item: &Item<Message>| item.view.as_ref().and_then(Message::parsed_ts) == Some(ts);
                Ok(item.filter(is_it).map(|item| (item, (asked_at, clock.now()))))
            }
            Err(api::Error::Refused { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Archives a message that only the feed told of, as its own look-up gives it.
    async fn recover(
        &mut self,
        ts: MessageTs,
        item: &Item<Message>,
        (asked_at, received_at): (UtcTime, UtcTime),
        entry: Option<&Entry>,
    ) -> Result<(), Error> {
        let (pass, task) = (self.pass, self.task);
        let (body, tickets) = redact(Kind::Message, &item.bytes);
        let turn = pass.appender.turn(&task.id).await;
        let known = known_between(pass.store, pass.source, &task.id, ts, ts)?.remove(&ts);
        let change = known.as_ref().map_or(Some(Change::New), |known| known.becomes(&body, asked_at));
        if let Some(change) = change {
            self.out.changed = true;
            pass.count(|summary| match change {
                Change::New => summary.messages.new += 1,
                Change::Changed => summary.messages.edited += 1,
                Change::Back | Change::BackChanged => summary.messages.restored += 1,
                _ => {}
            });
            for file in item.view.iter().flat_map(Message::all_files) {
                self.out.files.entry(file.id.clone()).or_default().update(FileSight::of(file, &task.id));
            }
            let record = NewRecord {
                key: ts.to_string(),
                version: known.map_or(1, |known| known.version + 1),
                change,
                origin: Origin::Observed,
                via: "items.info",
                observed_at: received_at,
                tickets,
                body: body.into_owned(),
                ..self.blank(Kind::Message)
            };
            let unseen = if change == Change::New { pass.unseen_by_others(&task.id, ts) } else { Vec::new() };
            pass.append_in_turn(Batch { records: vec![record], changes: unseen }, turn).await?;
        } else {
            drop(turn);
        }
        self.note(JSON_OMISSION, ts, Some((&item.bytes, &Side::of_json(ts, &item.bytes))), entry, None).await
    }

    /// Records a deletion of which the feed tells: the second witness beside a history that was
    /// read again without the message. A time and an actor stand in it only if the feed names them.
    async fn bury(
        &mut self,
        ts: MessageTs,
        tombstone: &Tombstone,
        from: MessageTs,
        to: MessageTs,
    ) -> Result<(), Error> {
        let (pass, task) = (self.pass, self.task);
        self.tombstones.remove(&ts);
        let turn = pass.appender.turn(&task.id).await;
        let item = history::item(pass.store, Kind::Message, pass.source, Some(&task.id), &ts.to_string())?;
        let Some((newest, latest)) =
            item.as_ref().filter(|item| !item.is_gone()).and_then(|item| Some((item.versions.last()?, item.latest()?)))
        else {
            return Ok(());
        };
        let now = pass.options.clock.now();
        let (raw, tickets) = redact_markup(&tombstone.raw);
        let mut gone = json!({
            "last_seen": newest.record.header.observed_at,
            "first_missing": rfc3339(now),
            "cause": "event",
            "witnesses": [
                {"method": "channels.history", "from": from.to_string(), "to": to.to_string(), "said": "absent from the whole window"},
                {"method": "channels.atom.history", "said": raw},
            ],
        });
        name(&mut gone, tombstone);
        for file in api::tolerant::files_named(&latest.record.body) {
            self.out.files.entry(file).or_default().is_talked_about = true;
        }
        let record = NewRecord {
            key: ts.to_string(),
            version: newest.version + 1,
            change: Change::Gone,
            via: "channels.atom.history",
            observed_at: now,
            tickets,
            body: json!({ "gone": gone }).to_string().into_bytes(),
            ..self.blank(Kind::Message)
        };
        self.out.changed = true;
        pass.count(|summary| summary.messages.deleted += 1);
        pass.append_in_turn(Batch { records: vec![record], changes: Vec::new() }, turn).await?;
        Ok(())
    }

    /// Tombstones that no page has dealt with: of messages below what the feed covers, and of those
    /// whose deletion is recorded already, without what the feed knows of it.
    async fn leftover_tombstones(&mut self) -> Result<(), Error> {
        let (pass, task) = (self.pass, self.task);
        let all: Vec<(MessageTs, Tombstone)> = std::mem::take(&mut self.tombstones).into_iter().rev().collect();
        for (ts, tombstone) in all.into_iter().take(TOMBSTONES) {
            let Some(item) = history::item(pass.store, Kind::Message, pass.source, Some(&task.id), &ts.to_string())?
            else {
                continue;
            };
            if let Some(evidence) = item.evidence() {
                let witnesses = evidence["gone"]["witnesses"].as_array().cloned().unwrap_or_default();
                if !witnesses.iter().any(|witness| witness["method"] == "channels.atom.history") {
                    self.note(TOMBSTONE, ts, None, None, Some(&tombstone)).await?;
                }
            } else if self.lowest.is_none_or(|lowest| ts < lowest) && self.probes > 0 {
                self.probes -= 1;
                let is_absent = |items: &Vec<(MessageTs, Item<Message>)>| items.iter().all(|(found, _)| *found != ts);
                if self.history(ts, ts).await?.as_ref().is_some_and(is_absent) {
                    self.bury(ts, &tombstone, ts, ts).await?;
                }
            }
        }
        Ok(())
    }

    /// A disagreement as a record, with both sides as they came but for secrets; once for what
    /// either side says.
    async fn note(
        &mut self,
        kind: &'static str,
        ts: MessageTs,
        item: Option<(&[u8], &Side)>,
        entry: Option<&Entry>,
        tombstone: Option<&Tombstone>,
    ) -> Result<(), Error> {
        let (pass, task) = (self.pass, self.task);
        let detail = match kind {
            CONTENT_MISMATCH => format!("message {ts} reads otherwise in the feed than in the history"),
            ATOM_OMISSION => format!("message {ts} is in the history and not in the feed"),
            JSON_OMISSION => format!("message {ts} is in the feed and not in the history; it was archived by itself"),
            _ => format!("the feed tells of the deletion of message {ts}, which was known without it"),
        };
        let said = json!([
            kind,
            task.id.as_str(),
            ts.to_string(),
            item.map(|(_, side)| side.digest().to_string()),
            entry.map(|entry| entry.side.digest().to_string()),
            tombstone.map(|tombstone| (tombstone.at.map(rfc3339), &tombstone.by)),
        ]);
        let key = Digest::of(said.to_string().as_bytes()).to_string();
        if kind != TOMBSTONE {
            pass.find(kind, task, &detail);
        }
        if !pass.first_sight(Kind::Finding, Some(&task.id), &key)? {
            return Ok(());
        }
        let mut finding = json!({"kind": kind, "channel": task.id.as_str(), "detail": detail, "ts": ts.to_string()});
        let mut secrets = 0;
        if let Some((bytes, _)) = item {
            let (bytes, tickets) = redact(Kind::Message, bytes);
            finding["json"] = json!(String::from_utf8_lossy(&bytes));
            secrets += tickets;
        }
        if let Some(raw) = entry.map(|entry| &entry.raw) {
            let (raw, tickets) = redact_markup(raw);
            finding["atom"] = json!(raw);
            secrets += tickets;
        }
        if let Some(tombstone) = tombstone {
            let (raw, tickets) = redact_markup(&tombstone.raw);
            finding["tombstone"] = json!(raw);
            name(&mut finding, tombstone);
            secrets += tickets;
        }
        let record = NewRecord {
            key,
            via: "channels.atom.history",
            observed_at: pass.options.clock.now(),
            tickets: secrets,
            body: json!({ "finding": finding }).to_string().into_bytes(),
            ..self.blank(Kind::Finding)
        };
        pass.append(Batch { records: vec![record], changes: Vec::new() }).await?;
        Ok(())
    }

    fn blank(&self, kind: Kind) -> NewRecord {
        let (pass, task) = (self.pass, self.task);
        NewRecord {
            kind,
            source: pass.source,
            channel: Some(task.id.clone()),
            key: String::new(),
            version: 1,
            change: Change::New,
            origin: Origin::Noted,
            via: "",
            account: pass.account.to_owned(),
            run: pass.run,
            observed_at: UtcTime::default(),
            tickets: 0,
            attachments: Vec::new(),
            shared_in: Vec::new(),
            body: Vec::new(),
        }
    }

    /// The report for the run's row.
    fn report(&self) {
        let verdict = match (self.disagreements, self.lowest, self.is_whole) {
            (1.., _, _) => "differs",
            (0, _, true) => "agrees",
            (0, Some(_), false) => "agrees as far as the feed goes",
            (0, None, false) => "the feed is empty",
        };
        let report = Reconciliation {
            account: self.pass.account.to_owned(),
            channel: self.task.id.to_string(),
            from: self.lowest.map(|ts| ts.to_string()),
            to: self.lowest.map(|_| self.pin.to_string()),
            verdict,
            json: Digest::of(&self.json_digests).to_string(),
            atom: Digest::of(&self.atom_digests).to_string(),
        };
        self.pass.count(|summary| {
            summary.reconciled.channels += 1;
            summary.reconciled.messages += self.messages;
            summary.reconciled.disagreements += self.disagreements;
            summary.reconciled.reports.push(report);
        });
    }
}

/// Adds the time and the actor of a removal, as far as the feed names them.
fn name(note: &mut serde_json::Value, tombstone: &Tombstone) {
    if let Some(at) = tombstone.at {
        note["at"] = json!(rfc3339(at));
    }
    if !tombstone.by.is_empty() {
        note["actor"] = json!(tombstone.by);
    }
}

/// What a feed says between two bounds. Of several entries under one stamp, the one that says what
/// is known.
fn to_page(
    feed: AtomFeed,
    bytes: &[u8],
    bounds: std::ops::RangeInclusive<MessageTs>,
    known: BTreeMap<MessageTs, Known>,
) -> FeedPage {
    let mut page = FeedPage {
        length: feed.entries.len(),
        is_keyed: feed.entries.iter().all(|entry| entry.ts.is_some()),
        digest: Some(Digest::of(bytes)),
        known,
        ..FeedPage::default()
    };
    let keyed = |entry: AtomEntry| Some((entry.ts.filter(|ts| bounds.contains(ts))?, entry));
    for (ts, entry) in feed.entries.into_iter().filter_map(keyed) {
        let side = Side::of_atom(&entry);
        let is_known = page.known.get(&ts).is_some_and(|known| Side::of_json(ts, &known.body).agrees_with(&side));
        if is_known || !page.entries.contains_key(&ts) {
            page.entries.insert(ts, Entry { side, raw: entry.raw });
        }
    }
    for tombstone in feed.tombstones {
        if let Some(ts) = tombstone.ts.filter(|ts| bounds.contains(ts)) {
            page.tombstones.insert(ts, tombstone);
        }
    }
    page
}
