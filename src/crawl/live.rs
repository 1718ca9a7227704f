//! Live events: each is kept as it came, and what it tells of a message is archived with it.
//!
//! An event is a hint with no claim to be complete (protocol notes 6.7). What it shows, a message
//! new or edited, is a reading like any other and is archived at once; what it only claims, a
//! deletion, a changed file, a history that is to be read again, becomes something to look at
//! ([`Hints`]), and the server is asked. So order, loss or repetition of events changes when
//! something is known and nothing else (invariant I11).

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::Error;
use super::account::identified;
use super::page::is_tie;
use super::pass::Account;
use crate::api::{self, ChannelChange, Event, Meaning, Pace, Socket, meaning, tolerant};
use crate::history::{Item, Told, Version, item};
use crate::model::{ChannelId, Digest, Exclusion, MessageTs, RecordSeq, SourceId, UtcTime, json};
use crate::record::{Kind, LIVE, Origin, Record, redact};
use crate::store::{Appender, Batch, Change, FIRST_SOURCE, NewRecord, Reader, StateChange, WalkResult, WalkRow};

/// The debt that is left when the server says that history changed; its key is the channel, the
/// account, and when the event came, with spaces between.
pub(super) const HISTORY: &str = "history";

/// Events that become durable together.
const BATCH: usize = 256;
/// Bytes of them, about.
const BATCH_BYTES: usize = 8 << 20;
/// Things to look at that are remembered; beyond them a whole pass looks at everything.
const MAX_WANTED: usize = 10_000;
/// Waits between two tries to connect: doubled each time, begun anew after a connection that held
/// so long.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_mins(1);
const HELD: Duration = Duration::from_secs(10);
/// What was told is kept for so long after the word to stop.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// Below its channel's newest by more than this, a message is out of the next walk's reach.
const REACH_SECONDS: u64 = 60 * 60;

/// What live events of one account gave reason to look at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// People, channels and conversations are to be listed again.
    pub(super) lists: bool,
    /// Channels whose history is to be walked again.
    pub(super) walks: BTreeSet<ChannelId>,
    /// Channels whose pins changed.
    pub(super) pins: BTreeSet<ChannelId>,
    /// Messages to be asked for by themselves.
    pub(super) items: BTreeMap<ChannelId, BTreeSet<MessageTs>>,
    /// Those of them to which somebody reacted.
    pub(super) reacted: BTreeSet<(ChannelId, MessageTs)>,
    /// Files that came, changed or went, or were talked about, with where.
    pub(super) files: BTreeMap<String, BTreeSet<ChannelId>>,
    /// More was told than is remembered: a whole pass is due.
    pub is_too_much: bool,
}

impl Wanted {
    /// Whether there is nothing to look at.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn len(&self) -> usize {
        let items: usize = self.items.values().map(BTreeSet::len).sum();
        items + self.files.len() + self.walks.len() + self.pins.len()
    }

    fn item(&mut self, channel: &ChannelId, ts: MessageTs) {
        self.items.entry(channel.clone()).or_default().insert(ts);
    }

    fn file(&mut self, id: &str, channel: Option<&ChannelId>) {
        self.files.entry(id.to_owned()).or_default().extend(channel.cloned());
    }

    fn add(&mut self, more: Self) {
        self.lists |= more.lists;
        self.is_too_much |= more.is_too_much;
        self.walks.extend(more.walks);
        self.reacted.extend(more.reacted);
        self.pins.extend(more.pins);
        for (channel, items) in more.items {
            self.items.entry(channel).or_default().extend(items);
        }
        for (file, channels) in more.files {
            self.files.entry(file).or_default().extend(channels);
        }
        if self.len() > MAX_WANTED {
            *self = Self { lists: self.lists, is_too_much: true, ..Self::default() };
        }
    }
}

/// What is to be looked at, between whoever listens and whoever looks.
#[derive(Debug, Default)]
pub struct Hints {
    wanted: Mutex<Wanted>,
}

impl Hints {
    /// Adds to what is to be looked at.
    pub fn add(&self, more: Wanted) {
        if !more.is_empty() {
            self.wanted.lock().unwrap_or_else(PoisonError::into_inner).add(more);
        }
    }

    /// Takes all of it.
    pub fn take(&self) -> Wanted {
        std::mem::take(&mut *self.wanted.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether there is something.
    pub fn has_some(&self) -> bool {
        !self.wanted.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

/// Steps of an eighth of a doubling, from a microsecond to a day.
const STEPS: usize = 8 * 37;

/// What was heard so far, by all who listen.
#[derive(Debug)]
pub struct Heard {
    /// Events kept.
    pub events: AtomicU64,
    /// Messages archived from them for the first time.
    pub new: AtomicU64,
    /// Further readings of messages.
    pub edited: AtomicU64,
    delays: Mutex<[u64; STEPS]>,
}

impl Default for Heard {
    fn default() -> Self {
        Self {
            events: AtomicU64::default(),
            new: AtomicU64::default(),
            edited: AtomicU64::default(),
            delays: Mutex::new([0; STEPS]),
        }
    }
}

impl Heard {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in a short table")]
    fn note_delay(&self, delay: Duration) {
        let step = (delay.as_secs_f64() * 1e6).max(1.0).log2() * 8.0;
        let mut delays = self.delays.lock().unwrap_or_else(PoisonError::into_inner);
        delays[(step as usize).min(STEPS - 1)] += 1;
    }

    /// The time from an event's last byte to its being durable that `share` of the events did not
    /// exceed, in milliseconds, to a tenth of itself; `None` before the first.
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    pub fn delay_ms(&self, share: f64) -> Option<f64> {
        let delays = self.delays.lock().unwrap_or_else(PoisonError::into_inner);
        let all: u64 = delays.iter().sum();
        let mut seen = 0;
        for (step, count) in delays.iter().enumerate() {
            seen += count;
            if *count > 0 && seen as f64 >= all as f64 * share {
                return Some(((step + 1) as f64 / 8.0).exp2() / 1e3);
            }
        }
        None
    }
}

/// What becomes of an account's live connection.
#[derive(Debug)]
pub enum Notice {
    /// It is open: what happened before has to be asked for by a pass that begins now.
    Connected(String),
    /// It ended, and is opened again after a while.
    Disconnected(String, api::Error),
    /// The account cannot be listened with any more.
    Refused(String, Error),
    /// The archive could not be written.
    Failed(Error),
}

/// Listens with one account.
pub struct Listener {
    /// The account.
    pub account: Account,
    /// The archive.
    pub store: Reader,
    /// Its writer.
    pub appender: Appender,
    /// The run in which it listens.
    pub run: u64,
    /// What is never archived.
    pub exclude: Vec<Exclusion>,
    /// Where what is to be looked at goes.
    pub hints: Arc<Hints>,
    /// Where it is told how the connection fares.
    pub notices: mpsc::Sender<Notice>,
    /// What is heard is counted here.
    pub heard: Arc<Heard>,
}

impl Listener {
    /// Listens until `stop`; opens the connection again whenever it ends.
    pub async fn listen(self, stop: CancellationToken) {
        let name = self.account.name.clone();
        let mut wait = FIRST_WAIT;
        loop {
            let began = Instant::now();
            let ended = self.connection(&stop).await;
            let notice = match ended {
                Ok(()) => return,
                Err(error @ (Error::Store(_) | Error::UnknownChannel(_))) => Notice::Failed(error),
                Err(error @ (Error::OtherIdentity { .. } | Error::Server(api::Error::Auth { .. }))) => {
                    Notice::Refused(name.clone(), error)
                }
                // A server that has no live events will not have them in a minute.
                Err(error) if is_unknown(&error) => Notice::Refused(name.clone(), error),
                Err(Error::Server(error)) => Notice::Disconnected(name.clone(), error),
            };
            let is_over = matches!(notice, Notice::Failed(_) | Notice::Refused(..));
            if self.notices.send(notice).await.is_err() || is_over {
                return;
            }
            if began.elapsed() >= HELD {
                wait = FIRST_WAIT;
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(wait) => {}
            }
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// One connection, from its opening to its end; `Ok` when it was told to stop.
    async fn connection(&self, stop: &CancellationToken) -> Result<(), Error> {
        let open = async {
            // Nothing is kept under an account's name that is another's.
            identified(&self.account).await?;
            Ok::<_, Error>(Socket::open(&self.account.reader, Pace::default()).await?)
        };
        let mut socket = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            opened = open => opened?,
        };
        if self.notices.send(Notice::Connected(self.account.name.clone())).await.is_err() {
            return Ok(());
        }
        loop {
            let first = tokio::select! {
                () = stop.cancelled() => {
                    let last = self.gather(&mut socket, None, LAST_WORDS).await;
                    self.keep(last).await?;
                    socket.close().await;
                    return Ok(());
                }
                event = socket.next() => event?,
            };
            let events = self.gather(&mut socket, Some(first), Duration::ZERO).await;
            self.keep(events).await?;
        }
    }

    /// What has come already, and what comes within `wait`, as much as is kept at once. How the
    /// connection ended meanwhile is told by the next look at it.
    async fn gather(&self, socket: &mut Socket, first: Option<Event>, wait: Duration) -> Vec<Event> {
        let mut bytes = first.as_ref().map_or(0, |event| event.bytes.len());
        let mut events: Vec<Event> = first.into_iter().collect();
        let until = Instant::now() + wait;
        while events.len() < BATCH && bytes < BATCH_BYTES {
            let left = until.saturating_duration_since(Instant::now());
            let Ok(Ok(event)) = timeout(left, socket.next()).await else { break };
            bytes += event.bytes.len();
            events.push(event);
        }
        events
    }

    /// Makes events durable, with what they tell of messages, as if they had just been heard in this
    /// order.
    pub async fn keep(&self, events: Vec<Event>) -> Result<(), Error> {
        let mut told: Vec<(Event, Meaning)> = Vec::with_capacity(events.len());
        let mut wanted = Wanted::default();
        for event in events {
            let meaning = meaning(&event.bytes);
            if self.is_kept(&event.bytes, &meaning, &mut wanted)? {
                told.push((event, meaning));
            }
        }
        if !told.is_empty() {
            let channels: BTreeSet<&ChannelId> = told.iter().filter_map(|(_, meaning)| channel_of(meaning)).collect();
            let mut turns = Vec::with_capacity(channels.len());
            for channel in channels {
                turns.push(self.appender.turn(channel).await);
            }
            let mut work = Work::new(self, wanted);
            for (event, meaning) in &told {
                work.event(event, meaning)?;
            }
            let Work { batch, new, edited, wanted: found, .. } = work;
            // The commit point of events: they, and what they tell of messages.
            self.appender.append_in_turn(batch, turns).await?;
            wanted = found;
            let now = self.account.reader.connection().clock().now();
            for (event, _) in &told {
                self.heard.note_delay((now - event.received_at).to_std().unwrap_or_default());
            }
            self.heard.events.fetch_add(told.len() as u64, Ordering::Relaxed);
            self.heard.new.fetch_add(new, Ordering::Relaxed);
            self.heard.edited.fetch_add(edited, Ordering::Relaxed);
        }
        self.hints.add(wanted);
        Ok(())
    }

    /// Whether an event may be archived. What is excluded by the name of its channel may not before
    /// that name is known: it is left to the walk, which knows it. Files are known by messages, and
    /// belong where they were shared. What cannot be read may be of any channel.
    fn is_kept(&self, event: &[u8], meaning: &Meaning, wanted: &mut Wanted) -> Result<bool, Error> {
        if self.exclude.is_empty() {
            return Ok(true);
        }
        let channels = match meaning {
            Meaning::File { id } | Meaning::FileDeleted { id } | Meaning::FileComment { file: id } => {
                let Some(file) = item(&self.store, Kind::File, FIRST_SOURCE, None, id.as_str())? else {
                    return Ok(false);
                };
                for channel in file.shared_in() {
                    if self.is_excluded(&channel)? == Some(false) {
                        return Ok(true);
                    }
                }
                return Ok(file.shared_in().is_empty());
            }
            Meaning::Other => match json::parse(event) {
                Some(value) => channels_named(&value),
                None => return Ok(false),
            },
            other => channel_of(other).cloned().into_iter().collect(),
        };
        for channel in channels {
            match self.is_excluded(&channel)? {
                Some(false) => {}
                Some(true) => return Ok(false),
                None => {
                    wanted.lists = true;
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Whether a channel is never archived; `None`: its name is not known yet.
    fn is_excluded(&self, channel: &ChannelId) -> Result<Option<bool>, Error> {
        let named = self.name_of(channel)?;
        Ok(named.map(|(name, person)| {
            self.exclude.iter().any(|entry| entry.covers(channel.as_str(), &name, person.as_deref()))
        }))
    }

    /// The name of a channel, and of a direct conversation the other person.
    fn name_of(&self, channel: &ChannelId) -> Result<Option<(String, Option<String>)>, Error> {
        for kind in [Kind::Channel, Kind::Im] {
            if let Some(row) = self.store.versions(kind, FIRST_SOURCE, Some(channel), channel.as_str())?.last() {
                let body = self.store.record(row.seq)?.body;
                let text = |name| json::member_text(&body, name).unwrap_or_default();
                return Ok(Some(match kind {
                    Kind::Channel => (text("name"), None),
                    _ => (text("user"), Some(text("user"))),
                }));
            }
        }
        Ok(None)
    }
}

fn is_unknown(error: &Error) -> bool {
    matches!(error, Error::Server(error) if error.code() == Some("unknown_method"))
}

/// Every channel that stands anywhere in an event of an unknown kind.
fn channels_named(event: &serde_json::Value) -> Vec<ChannelId> {
    let mut found = Vec::new();
    let mut open = vec![event];
    while let Some(value) = open.pop() {
        for name in ["channel", "channel_id"] {
            let id = value.get(name).map(|named| named.get("id").unwrap_or(named)).and_then(tolerant::as_text);
            found.extend(id.and_then(|id| ChannelId::parse(&id)));
        }
        open.extend(value.as_array().into_iter().flatten());
        open.extend(value.as_object().into_iter().flat_map(serde_json::Map::values));
    }
    found
}

/// The channel of which an event tells.
fn channel_of(meaning: &Meaning) -> Option<&ChannelId> {
    match meaning {
        Meaning::Message { channel, .. }
        | Meaning::Changed { channel, .. }
        | Meaning::Deleted { channel, .. }
        | Meaning::Reaction { channel, .. }
        | Meaning::Pin { channel }
        | Meaning::Channel { id: channel, .. }
        | Meaning::HistoryChanged { channel: Some(channel), .. } => Some(channel),
        Meaning::File { .. }
        | Meaning::FileDeleted { .. }
        | Meaning::FileComment { .. }
        | Meaning::HistoryChanged { channel: None, .. }
        | Meaning::User { .. }
        | Meaning::Other => None,
    }
}

/// Events on their way into the archive.
struct Work<'a> {
    listener: &'a Listener,
    batch: Batch,
    /// Messages as they stand with what is in the batch; `None`: nothing is known of it.
    items: BTreeMap<(ChannelId, MessageTs), Option<Item>>,
    unknown: BTreeSet<String>,
    wanted: Wanted,
    new: u64,
    edited: u64,
}

impl<'a> Work<'a> {
    fn new(listener: &'a Listener, wanted: Wanted) -> Self {
        Self {
            listener,
            batch: Batch::default(),
            items: BTreeMap::new(),
            unknown: BTreeSet::new(),
            wanted,
            new: 0,
            edited: 0,
        }
    }

    /// An event as it came, and what follows from it.
    fn event(&mut self, event: &Event, meaning: &Meaning) -> Result<(), Error> {
        let place = self.batch.records.len();
        let (bytes, own) = self.listener.account.reader.without_token(&event.bytes);
        let (body, tickets) = redact(Kind::Event, &bytes);
        let record = NewRecord {
            kind: Kind::Event,
            channel: channel_of(meaning).cloned(),
            key: format!("{}/{}", Digest::of(&body), crate::model::rfc3339(event.received_at)),
            tickets: tickets + own,
            body: body.into_owned(),
            ..self.blank(event.received_at)
        };
        self.batch.records.push(record);
        match meaning {
            Meaning::Message { channel, ts, message } => {
                self.reading(channel, *ts, &event.bytes[message.clone()], event.received_at, true)?;
            }
            Meaning::Changed { channel, ts, message, .. } => {
                self.reading(channel, *ts, &event.bytes[message.clone()], event.received_at, false)?;
            }
            Meaning::Deleted { channel, ts, .. } => {
                let channel = channel.clone();
                self.wanted.item(&channel, *ts);
                self.batch.changes.push(StateChange::Told { source: FIRST_SOURCE, channel, ts: *ts, event: place });
            }
            Meaning::Reaction { channel, ts } => {
                self.wanted.item(channel, *ts);
                self.wanted.reacted.insert((channel.clone(), *ts));
            }
            Meaning::Pin { channel } => drop(self.wanted.pins.insert(channel.clone())),
            Meaning::File { id } | Meaning::FileDeleted { id } | Meaning::FileComment { file: id } => {
                self.wanted.file(id.as_str(), None);
            }
            Meaning::Channel { id, change } => {
                self.wanted.lists = true;
                if *change == ChannelChange::Appeared {
                    self.wanted.walks.insert(id.clone());
                }
            }
            Meaning::HistoryChanged { channel, .. } => self.history_changed(channel.as_ref(), event.received_at)?,
            Meaning::User { .. } => self.wanted.lists = true,
            Meaning::Other => {}
        }
        Ok(())
    }

    /// A message as an event shows it.
    fn reading(
        &mut self,
        channel: &ChannelId,
        ts: MessageTs,
        bytes: &[u8],
        at: UtcTime,
        is_new: bool,
    ) -> Result<(), Error> {
        let listener = self.listener;
        let account = &listener.account.name;
        self.sides(channel, ts, bytes, is_new)?;
        let (bytes, own) = listener.account.reader.without_token(bytes);
        let (body, tickets) = redact(Kind::Message, &bytes);
        let place = (channel.clone(), ts);
        let known = match self.items.entry(place.clone()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let key = ts.to_string();
                entry.insert(item(&listener.store, Kind::Message, FIRST_SOURCE, Some(channel), &key)?)
            }
        };
        let (version, change) = match known {
            None => (1, Change::New),
            Some(known) => {
                if is_new && known.latest().is_some_and(|latest| is_tie(&latest.record.body, &body)) {
                    return self.tie(channel, &body, tickets + own, at);
                }
                // A walk may have come before the message was shown to this account.
                if !listener.store.unseen(account, FIRST_SOURCE, channel, ts, ts)?.is_empty() {
                    self.batch.changes.push(StateChange::Seen {
                        account: account.clone(),
                        source: FIRST_SOURCE,
                        channel: channel.clone(),
                        ts,
                    });
                }
                let version = known.versions.last().map_or(1, |newest| newest.version + 1);
                match known.told(&body, is_new) {
                    Told::Known => return Ok(()),
                    Told::Newer => (version, Change::Changed),
                    Told::Earlier => (version, Change::Earlier),
                }
            }
        };
        let record = NewRecord {
            kind: Kind::Message,
            channel: Some(channel.clone()),
            key: ts.to_string(),
            version,
            change,
            tickets: tickets + own,
            body: body.into_owned(),
            ..self.blank(at)
        };
        // Its number is given by the writer; nothing here looks at it.
        let kept = Record { header: record.header(None), body: record.body.clone() };
        let kept = Version { version, seq: RecordSeq(u64::MAX), change, record: kept };
        let item = self.items.entry(place).or_default().get_or_insert_with(|| Item {
            kind: Kind::Message,
            source: FIRST_SOURCE,
            channel: Some(channel.clone()),
            key: ts.to_string(),
            versions: Vec::new(),
        });
        item.versions.push(kept);
        if change == Change::New {
            self.new += 1;
            let unseen = unseen_by_others(&listener.store, account, FIRST_SOURCE, channel, ts)?;
            self.batch.changes.extend(unseen);
        } else {
            self.edited += 1;
        }
        self.batch.records.push(record);
        Ok(())
    }

    /// What else a message gives reason to look at.
    fn sides(&mut self, channel: &ChannelId, ts: MessageTs, bytes: &[u8], is_new: bool) -> Result<(), Error> {
        let store = &self.listener.store;
        let account = &self.listener.account.name;
        for file in tolerant::files_named(bytes) {
            self.batch.changes.push(StateChange::FileWanted {
                source: FIRST_SOURCE,
                id: file.clone(),
                channel: channel.clone(),
            });
            self.wanted.file(&file, Some(channel));
        }
        let subtype = json::member_text(bytes, "subtype").unwrap_or_default();
        if subtype.starts_with("channel_") || subtype.starts_with("group_") {
            self.wanted.lists = true;
        }
        if subtype.ends_with("pinned_item") {
            self.wanted.pins.insert(channel.clone());
        }
        if is_new {
            return Ok(());
        }
        // An edit of what the next walk reads again needs no look of its own.
        let pin = store.walk(account, FIRST_SOURCE, channel)?.and_then(|row| row.pin);
        if pin.is_some_and(|pin| ts < pin.minus_seconds(REACH_SECONDS)) {
            self.wanted.item(channel, ts);
        }
        Ok(())
    }

    /// A second message under the time stamp of another, kept as an item of its own.
    fn tie(&mut self, channel: &ChannelId, body: &[u8], tickets: u32, at: UtcTime) -> Result<(), Error> {
        let store = &self.listener.store;
        let key = Digest::of(body).to_string();
        let is_known = !store.versions(Kind::Unknown, FIRST_SOURCE, Some(channel), &key)?.is_empty();
        if !is_known && self.unknown.insert(key.clone()) {
            let record = NewRecord {
                kind: Kind::Unknown,
                channel: Some(channel.clone()),
                key,
                tickets,
                body: body.to_vec(),
                ..self.blank(at)
            };
            self.batch.records.push(record);
        }
        Ok(())
    }

    /// Much changed at once: owed until the history was walked again from end to end. What was never
    /// walked is walked so without that, and what is lost when it comes back.
    fn history_changed(&mut self, channel: Option<&ChannelId>, at: UtcTime) -> Result<(), Error> {
        let account = &self.listener.account.name;
        self.wanted.walks.extend(channel.cloned());
        let rows = self.listener.store.walks()?.into_iter();
        let is_meant = |row: &WalkRow| channel.is_none_or(|channel| row.channel == *channel);
        let walked = rows.filter(|row| row.account == *account && row.result != WalkResult::Lost && is_meant(row));
        for channel in walked.map(|row| row.channel) {
            if !self.listener.exclude.is_empty() && self.listener.is_excluded(&channel)? != Some(false) {
                continue;
            }
            self.batch.changes.push(StateChange::Owed {
                kind: HISTORY,
                key: format!("{channel} {account} {}", at.timestamp_micros()),
                reason: "the server said that its history changed: the next pass walks it whole".to_owned(),
                at,
            });
            self.wanted.walks.insert(channel);
        }
        Ok(())
    }

    fn blank(&self, at: UtcTime) -> NewRecord {
        NewRecord {
            kind: Kind::Event,
            source: FIRST_SOURCE,
            channel: None,
            key: String::new(),
            version: 1,
            change: Change::New,
            origin: Origin::Observed,
            via: LIVE,
            account: self.listener.account.name.clone(),
            run: self.listener.run,
            observed_at: at,
            tickets: 0,
            attachments: Vec::new(),
            shared_in: Vec::new(),
            body: Vec::new(),
        }
    }
}

/// A new message below where other accounts have walked: none of them was shown it.
fn unseen_by_others(
    store: &Reader,
    account: &str,
    source: SourceId,
    channel: &ChannelId,
    ts: MessageTs,
) -> Result<Vec<StateChange>, Error> {
    let mut out = Vec::new();
    for other in store.walkers()?.into_iter().filter(|other| other != account) {
        let pin = store.walk(&other, source, channel)?.and_then(|row| row.pin);
        if pin.is_some_and(|pin| ts <= pin) {
            out.push(StateChange::Unseen { account: other, source, channel: channel.clone(), ts, is_lost: false });
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(id: &str) -> ChannelId {
        ChannelId::parse(id).unwrap()
    }

    #[test]
    fn more_than_is_remembered_asks_for_a_whole_pass() {
        let mut wanted = Wanted::default();
        for number in 0..=MAX_WANTED {
            let mut more = Wanted::default();
            more.item(&channel("C1"), MessageTs::from_micros(i64::try_from(number).unwrap()));
            wanted.add(more);
        }
        assert!(wanted.is_too_much && wanted.items.is_empty());
    }

    #[test]
    fn hints_are_taken_once() {
        let hints = Hints::default();
        hints.add(Wanted::default());
        assert!(!hints.has_some(), "nothing is to be looked at");
        hints.add(Wanted { pins: [channel("C1")].into(), ..Wanted::default() });
        assert!(hints.has_some());
        assert_eq!(hints.take().pins.len(), 1);
        assert!(hints.take().is_empty());
    }

    #[test]
    fn delays_are_told_to_a_tenth() {
        let heard = Heard::default();
        assert_eq!(heard.delay_ms(0.99), None);
        for _ in 0..99 {
            heard.note_delay(Duration::from_millis(4));
        }
        heard.note_delay(Duration::from_secs(3));
        let near = |share: f64, wanted: f64| (heard.delay_ms(share).unwrap() / wanted - 1.0).abs() < 0.1;
        assert!(near(0.5, 4.0) && near(0.99, 4.0) && near(1.0, 3000.0), "{:?}", heard.delay_ms(1.0));
    }
}
