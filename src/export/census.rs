//! How many records are in scope, counted from the records in their order and not from what comes out.
//!
//! The stream of units goes through conversations by their indexes; this goes through the log. What the two count
//! must be the same, so a record that either loses is seen in the reconciliation. Where every version is in scope
//! the count is that of the records' own headers; else it takes what stood from the same rules as the stream.
//! Records in scope that belong to nothing which the stream could give are counted, and listed one by one.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use chrono::NaiveDate;

use super::Error;
use super::request::Versions;
use super::scan::{Numbers, People, each_record};
use super::selection::Selection;
use super::unit::{Cell, said_created};
use crate::history::{AsOf, Item, Version, author, file_ids, item};
use crate::model::{ChannelId, MessageTs, RecordSeq, UtcTime, json};
use crate::record::{Kind, Record, State};
use crate::store::{Change, FIRST_SOURCE};

/// What is in scope, and where files stand.
#[derive(Debug, Default)]
pub(super) struct Census {
    /// Records by custodian, conversation and day. A file that stands in two conversations is counted in both.
    counts: BTreeMap<(u32, u32, NaiveDate), u64>,
    /// All of them.
    pub(super) records: u64,
    /// Records in scope that no unit holds; they are counted like the others.
    pub(super) orphans: Vec<Orphan>,
    /// Where each file is given.
    pub(super) placement: Placement,
    /// The channels that records name.
    pub(super) channels: BTreeSet<ChannelId>,
    people: People,
}

/// A record in scope that no unit holds.
#[derive(Debug)]
pub(super) struct Orphan {
    pub(super) seq: RecordSeq,
    pub(super) cell: Cell,
    /// Why, for the list of exceptions.
    pub(super) why: &'static str,
}

const UNREAD: &str = "the archive has no reading of it: it was only found to be gone";
const NO_MESSAGE: &str = "the message to which these reactions belong is not in the archive";
const NO_FILE: &str = "the file to which this comment belongs is not in the archive";
const NO_PLACE: &str = "no conversation in scope is known to show it";
const NO_ITEM: &str = "it could not be recognised, and is archived as it came";

/// The conversation of what stands in none.
fn nowhere() -> Option<ChannelId> {
    ChannelId::parse("none")
}

/// For each file the conversations in which it stands, and the first message in scope that shows it there.
#[derive(Debug, Default)]
pub(super) struct Placement {
    channels: Numbers,
    files: HashMap<Arc<str>, Places>,
    /// By conversation, the files that no message in scope shows, by the time at which they stand.
    alone: BTreeMap<ChannelId, BTreeSet<(UtcTime, Arc<str>)>>,
}

/// Where a file stands.
#[derive(Debug, Default)]
struct Places {
    /// By channel; few files have more than one.
    shown: Vec<(u32, MessageTs)>,
    /// The first of the conversations in which it is given.
    first: Option<u32>,
}

impl Placement {
    /// Whether a file is given with this message; else with an earlier one.
    pub(super) fn is_given_with(&self, file: &str, channel: &ChannelId, ts: MessageTs) -> bool {
        let number = self.channels.known(channel);
        self.files
            .get(file)
            .is_some_and(|places| places.shown.iter().any(|(place, first)| Some(*place) == number && *first == ts))
    }

    /// The files that stand on their own in a conversation, by time.
    pub(super) fn alone(&self, channel: &ChannelId) -> impl Iterator<Item = &(UtcTime, Arc<str>)> {
        self.alone.get(channel).into_iter().flatten()
    }

    /// The first of the conversations in which a file stands, in their order; `None` when it is given in none.
    pub(super) fn first_conversation(&self, file: &str) -> Option<&ChannelId> {
        Some(self.channels.channel(self.files.get(file)?.first?))
    }

    /// Whether a file stands anywhere in the set, or is shown by a message of it.
    pub(super) fn names(&self, file: &str) -> bool {
        self.files.contains_key(file)
    }

    fn show(&mut self, file: &str, channel: u32, ts: MessageTs) {
        if !self.files.contains_key(file) {
            self.files.insert(file.into(), Places::default());
        }
        let Some(places) = self.files.get_mut(file) else { return };
        match places.shown.iter_mut().find(|(place, _)| *place == channel) {
            Some((_, first)) => *first = ts.min(*first),
            None => places.shown.push((channel, ts)),
        }
    }

    /// By conversation, in their order, when a file is first shown in it.
    fn shown(&self, file: &str) -> BTreeMap<ChannelId, MessageTs> {
        let shown = self.files.get(file).map_or(&[][..], |places| &places.shown);
        shown.iter().map(|(channel, ts)| (self.channels.channel(*channel).clone(), *ts)).collect()
    }
}

/// A message of which there is more to say than one record does, or that has reactions.
#[derive(Debug, Default)]
struct Several {
    records: u32,
    reactions: u32,
    /// Who is its custodian, once a reading was met.
    author: Option<u32>,
}

/// What the headers say of a file or a comment.
#[derive(Debug)]
struct Told {
    records: u32,
    /// Who is its custodian, once a reading was met.
    author: Option<u32>,
    created: UtcTime,
    /// The channels in which it was seen.
    places: Vec<u32>,
}

/// What the passes over the records gather.
#[derive(Default)]
struct Gathered {
    several: BTreeMap<(u32, MessageTs), Several>,
    files: BTreeMap<Box<str>, Told>,
    comments: BTreeMap<Box<str>, Told>,
    /// Lists of pins, where not every version counts.
    pins: BTreeSet<(ChannelId, String)>,
}

impl Census {
    /// Counts what is in scope.
    pub(super) fn take(selection: &Selection<'_>, progress: &mut dyn FnMut(u64)) -> Result<Self, Error> {
        let mut census = Self::default();
        let mut gathered = Gathered::default();
        each_record(selection.reader, selection.size, |_, record| {
            let header = &record.header;
            let is_more = header.kind == Kind::Message && (header.version > 1 || header.state == State::Gone);
            if (is_more || header.kind == Kind::Reactions)
                && let (Some(channel), Some(ts)) = (header.channel_id(), MessageTs::parse(&header.key))
                && selection.takes_message(&channel, ts)
            {
                let several = gathered.several.entry((census.placement.channels.of(&channel), ts)).or_default();
                several.reactions += u32::from(header.kind == Kind::Reactions);
            }
            Ok(())
        })?;
        each_record(selection.reader, selection.size, |seq, record| {
            if seq.0 % 4096 == 0 {
                progress(seq.0);
            }
            census.meet(selection, &mut gathered, seq, record);
            Ok(())
        })?;
        census.messages_with_several(selection, &gathered)?;
        for (channel, key) in &gathered.pins {
            for (observed, ..) in pins(selection, channel, key)? {
                census.count_for(selection, "", channel, observed, 1);
            }
        }
        census.files(selection, &gathered)?;
        census.records = census.counts.values().sum();
        Ok(census)
    }

    /// Records by cell.
    pub(super) fn cells(&self) -> impl Iterator<Item = (Cell, u64)> {
        self.counts.iter().map(|((person, channel, day), count)| (self.cell(*person, *channel, *day), *count))
    }

    fn cell(&self, person: u32, channel: u32, day: NaiveDate) -> Cell {
        let custodian = Arc::clone(self.people.id(person));
        Cell { custodian, conversation: self.placement.channels.channel(channel).clone(), day }
    }

    fn count(&mut self, selection: &Selection<'_>, custodian: u32, channel: u32, time: UtcTime, records: u32) {
        if records > 0 {
            let day = selection.request.zone.date(time);
            *self.counts.entry((custodian, channel, day)).or_default() += u64::from(records);
        }
    }

    fn count_for(
        &mut self,
        selection: &Selection<'_>,
        custodian: &str,
        conversation: &ChannelId,
        time: UtcTime,
        records: u32,
    ) {
        let (custodian, channel) = (self.people.of(custodian), self.placement.channels.of(conversation));
        self.count(selection, custodian, channel, time, records);
    }

    /// Counts a record where it can be judged alone, and notes what the others need.
    fn meet(&mut self, selection: &Selection<'_>, gathered: &mut Gathered, seq: RecordSeq, record: Record) {
        let header = &record.header;
        let channel = header.channel_id();
        if let Some(channel) = &channel
            && matches!(header.kind, Kind::Message | Kind::Pins | Kind::Reactions | Kind::Channel | Kind::Im)
            && !self.channels.contains(channel)
        {
            self.channels.insert(channel.clone());
        }
        let body = || match header.state {
            State::Present => json::parse(&record.body).unwrap_or_default(),
            State::Gone => serde_json::Value::Null,
        };
        match (header.kind, channel, MessageTs::parse(&header.key)) {
            (Kind::Message, Some(channel), Some(ts)) => {
                if !selection.takes_message(&channel, ts) {
                    return;
                }
                let number = self.placement.channels.of(&channel);
                let several = gathered.several.get_mut(&(number, ts));
                if selection.takes_all_versions() {
                    let body = body();
                    for file in file_ids(&body) {
                        self.placement.show(file, number, ts);
                    }
                    let hidden = selection.hides_message(&channel, ts);
                    match several {
                        Some(several) => {
                            several.records += 1;
                            if several.author.is_none() && header.state == State::Present {
                                several.author = Some(self.people.of(Selection::custodian(hidden, author(&body))));
                            }
                        }
                        None => self.count_for(
                            selection,
                            Selection::custodian(hidden, author(&body)),
                            &channel,
                            ts.time(),
                            1,
                        ),
                    }
                } else if several.is_none() {
                    let key = header.key.clone();
                    let version = Version { version: header.version, seq, change: Change::New, record };
                    let (kind, source) = (Kind::Message, FIRST_SOURCE);
                    let item = Item { kind, source, channel: Some(channel), key, versions: vec![version] };
                    self.message(selection, &item, ts);
                }
            }
            // They were counted in the pass before.
            (Kind::Reactions, Some(_), Some(_)) => {}
            (Kind::Pins, Some(channel), _) => {
                if !selection.takes_all_versions() {
                    gathered.pins.insert((channel, header.key.clone()));
                } else if selection.takes_note(&channel, header.observed()) {
                    self.count_for(selection, "", &channel, header.observed(), 1);
                }
            }
            (Kind::File, ..) => {
                let file = Self::told(&mut gathered.files, &record);
                for channel in header.shared_in.iter().filter_map(|id| ChannelId::parse(id)) {
                    let number = self.placement.channels.of(&channel);
                    if !file.places.contains(&number) {
                        file.places.push(number);
                    }
                }
                if file.author.is_none() && header.state == State::Present {
                    let body = body();
                    let hidden = selection.hides_file(&header.key);
                    file.author = Some(self.people.of(Selection::custodian(hidden, author(&body))));
                    file.created = said_created(&body).unwrap_or(file.created);
                }
            }
            (Kind::Comment, ..) => {
                let comment = Self::told(&mut gathered.comments, &record);
                if comment.author.is_none() && header.state == State::Present {
                    let body = body();
                    let hidden = selection.hides_comment(&header.key);
                    comment.author = Some(self.people.of(Selection::custodian(hidden, author(&body))));
                    comment.created = said_created(&body).unwrap_or(comment.created);
                }
            }
            (Kind::Unknown | Kind::Message | Kind::Reactions | Kind::Pins, channel, _) => {
                let observed = header.observed();
                if let Some(channel) = channel.or_else(nowhere)
                    && selection.takes_note(&channel, observed)
                {
                    self.orphan(selection, [seq], "", &channel, observed, NO_ITEM);
                }
            }
            _ => {}
        }
    }

    /// What is known of a file or a comment, with a record of it more.
    fn told<'t>(known: &'t mut BTreeMap<Box<str>, Told>, record: &Record) -> &'t mut Told {
        let told = known.entry(record.header.key.as_str().into()).or_insert_with(|| Told {
            records: 0,
            author: None,
            created: record.header.observed(),
            places: Vec::new(),
        });
        told.records += 1;
        told
    }

    /// Counts records that no unit holds, and lists them.
    fn orphan(
        &mut self,
        selection: &Selection<'_>,
        records: impl IntoIterator<Item = RecordSeq>,
        custodian: &str,
        conversation: &ChannelId,
        time: UtcTime,
        why: &'static str,
    ) {
        let (person, channel) = (self.people.of(custodian), self.placement.channels.of(conversation));
        let day = selection.request.zone.date(time);
        for seq in records {
            self.count(selection, person, channel, time, 1);
            let cell = self.cell(person, channel, day);
            self.orphans.push(Orphan { seq, cell, why });
        }
    }

    /// Counts the versions of a message that are in scope, and notes the files that they show. Its custodian, where
    /// any is.
    fn message(&mut self, selection: &Selection<'_>, item: &Item, ts: MessageTs) -> Option<u32> {
        let channel = item.channel.as_ref()?;
        let number = self.placement.channels.of(channel);
        let chosen = selection.versions(item);
        for version in &chosen {
            let body = json::parse(&version.record.body).unwrap_or_default();
            for file in file_ids(&body) {
                self.placement.show(file, number, ts);
            }
        }
        if chosen.is_empty() {
            return None;
        }
        let author = super::unit::author_of(item);
        let custodian = self.people.of(Selection::custodian(selection.hides_message(channel, ts), &author));
        self.count(selection, custodian, number, ts.time(), in_u32(chosen.len()));
        Some(custodian)
    }

    fn messages_with_several(&mut self, selection: &Selection<'_>, gathered: &Gathered) -> Result<(), Error> {
        let is_plain = selection.takes_all_versions();
        for ((number, ts), several) in &gathered.several {
            let channel = self.placement.channels.channel(*number).clone();
            let key = ts.to_string();
            let of = |kind| find(selection, kind, Some(&channel), &key);
            let seqs = |item: Option<Item>| item.map_or(Vec::new(), |item| all(&item));
            let custodian = if is_plain {
                if let Some(custodian) = several.author {
                    self.count(selection, custodian, *number, ts.time(), several.records + several.reactions);
                    continue;
                }
                if several.records > 0 {
                    self.orphan(selection, seqs(of(Kind::Message)?), "", &channel, ts.time(), UNREAD);
                }
                None
            } else {
                match of(Kind::Message)? {
                    Some(item) => match self.message(selection, &item, *ts) {
                        Some(custodian) => Some(custodian),
                        // It does not stand, and with it nothing that belongs to it.
                        None => continue,
                    },
                    None => None,
                }
            };
            if several.reactions == 0 {
                continue;
            }
            let reactions = of(Kind::Reactions)?;
            let chosen: Vec<RecordSeq> =
                reactions.iter().flat_map(|item| of_notes(selection, item)).map(|version| version.seq).collect();
            match custodian {
                Some(custodian) => self.count(selection, custodian, *number, ts.time(), in_u32(chosen.len())),
                None => self.orphan(selection, chosen, "", &channel, ts.time(), NO_MESSAGE),
            }
        }
        Ok(())
    }

    fn files(&mut self, selection: &Selection<'_>, gathered: &Gathered) -> Result<(), Error> {
        for (id, file) in &gathered.files {
            let records = records_of(selection, Kind::File, id, file)?;
            if records == 0 {
                continue;
            }
            let prefix = format!("{id}/");
            let comments = gathered.comments.range::<str, _>((Bound::Included(prefix.as_str()), Bound::Unbounded));
            let comments: Vec<_> = comments.take_while(|(key, _)| key.starts_with(&prefix)).collect();
            let places = self.places(selection, id, file);
            let first = places.first_key_value().map(|(channel, (time, _))| (channel.clone(), *time));
            // Nobody says where it stands: in scope is what no scope of conversations leaves out.
            let alone = || {
                let nowhere = nowhere().filter(|_| file.places.is_empty())?;
                selection.takes_file(&nowhere, file.created, id, false).then_some((nowhere, file.created))
            };
            let Some((channel, time)) = first.or_else(alone) else { continue };
            // Of what was never read nothing is given, and what stands nowhere can't be.
            if file.author.is_none() || places.is_empty() {
                let why = if file.author.is_none() { UNREAD } else { NO_PLACE };
                let family = std::iter::once((Kind::File, id, file))
                    .chain(comments.into_iter().map(|(key, comment)| (Kind::Comment, key, comment)));
                for (kind, key, told) in family {
                    let seqs = chosen_of(selection, kind, key)?;
                    let custodian = self.custodian(told);
                    self.orphan(selection, seqs, &custodian, &channel, time, why);
                }
                continue;
            }
            let shared: Arc<str> = (&**id).into();
            let mut said = Vec::with_capacity(comments.len());
            let mut unread = Vec::new();
            for (key, comment) in comments {
                match comment.author {
                    Some(author) => said.push((author, records_of(selection, Kind::Comment, key, comment)?)),
                    None if selection.takes_all_versions() => unread.extend(chosen_of(selection, Kind::Comment, key)?),
                    None => {}
                }
            }
            let Some(custodian) = file.author else { continue };
            for (place, (channel, (time, is_shown))) in places.into_iter().enumerate() {
                let number = self.placement.channels.of(&channel);
                if place == 0 {
                    self.placement.files.entry(Arc::clone(&shared)).or_default().first = Some(number);
                    self.orphan(selection, std::mem::take(&mut unread), "", &channel, time, UNREAD);
                }
                if !is_shown {
                    self.placement.alone.entry(channel.clone()).or_default().insert((time, Arc::clone(&shared)));
                    self.channels.insert(channel);
                }
                self.count(selection, custodian, number, time, records);
                for (person, records) in &said {
                    self.count(selection, *person, number, time, *records);
                }
            }
        }
        for (key, comment) in &gathered.comments {
            let file = key.split('/').next().unwrap_or_default();
            if gathered.files.contains_key(file) {
                continue;
            }
            let shown = self.placement.shown(file).into_iter().next().map(|(channel, ts)| (channel, ts.time(), true));
            let place = shown.or_else(|| nowhere().map(|nowhere| (nowhere, comment.created, false)));
            let Some((channel, time, is_shown)) = place else { continue };
            if selection.takes_file(&channel, time, file, is_shown) {
                let seqs = chosen_of(selection, Kind::Comment, key)?;
                let custodian = self.custodian(comment);
                self.orphan(selection, seqs, &custodian, &channel, time, NO_FILE);
            }
        }
        Ok(())
    }

    /// The conversations in scope in which a file stands, when, and whether a message shows it there.
    fn places(&self, selection: &Selection<'_>, id: &str, file: &Told) -> BTreeMap<ChannelId, (UtcTime, bool)> {
        let mut places: BTreeMap<ChannelId, (UtcTime, bool)> =
            self.placement.shown(id).into_iter().map(|(channel, ts)| (channel, (ts.time(), true))).collect();
        for channel in &file.places {
            places.entry(self.placement.channels.channel(*channel).clone()).or_insert((file.created, false));
        }
        places.retain(|channel, (time, is_shown)| selection.takes_file(channel, *time, id, *is_shown));
        places
    }

    fn custodian(&self, told: &Told) -> Arc<str> {
        told.author.map_or_else(|| "".into(), |author| Arc::clone(self.people.id(author)))
    }
}

fn in_u32(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// How many records of a file or a comment are in scope, wherever it stands.
fn records_of(selection: &Selection<'_>, kind: Kind, key: &str, told: &Told) -> Result<u32, Error> {
    if selection.takes_all_versions() && !selection.hides_shares(kind) {
        return Ok(told.records);
    }
    Ok(in_u32(chosen_of(selection, kind, key)?.len()))
}

/// The records of a file or a comment that are in scope.
fn chosen_of(selection: &Selection<'_>, kind: Kind, key: &str) -> Result<Vec<RecordSeq>, Error> {
    let Some(item) = find(selection, kind, None, key)? else { return Ok(Vec::new()) };
    if selection.takes_all_versions() {
        return Ok(all(&item));
    }
    Ok(selection.versions(&item).into_iter().map(|version| version.seq).collect())
}

/// The records of an item.
fn all(item: &Item) -> Vec<RecordSeq> {
    item.versions.iter().map(|version| version.seq).collect()
}

/// An item as far as the set's checkpoint covers it.
pub(super) fn find(
    selection: &Selection<'_>,
    kind: Kind,
    channel: Option<&ChannelId>,
    key: &str,
) -> Result<Option<Item>, Error> {
    Ok(item(selection.reader, kind, FIRST_SOURCE, channel, key)?.and_then(|item| selection.below(item)))
}

/// The versions in scope of a list of reactions, which has no author and no deletion.
pub(super) fn of_notes<'i>(selection: &Selection<'_>, item: &'i Item) -> Vec<&'i Version> {
    let counts = |version: &&Version| match selection.as_of() {
        AsOf::Time(time) => version.record.header.observed() <= time,
        _ => true,
    };
    let mut chosen: Vec<&Version> = item.versions.iter().filter(counts).collect();
    if selection.request.versions == Versions::Current {
        chosen = chosen.pop().into_iter().collect();
    }
    chosen
}

/// The versions in scope of a list of pins: when each was observed, its number, its record. The lists hold whole
/// messages, so none is kept.
pub(super) fn pins(
    selection: &Selection<'_>,
    channel: &ChannelId,
    key: &str,
) -> Result<Vec<(UtcTime, u32, RecordSeq)>, Error> {
    let mut out = Vec::new();
    for row in selection.reader.versions(Kind::Pins, FIRST_SOURCE, Some(channel), key)? {
        if row.seq.0 < selection.size {
            let observed = selection.reader.record(row.seq)?.header.observed();
            if selection.request.as_of.is_none_or(|as_of| observed <= as_of) {
                out.push((observed, row.version, row.seq));
            }
        }
    }
    if selection.request.versions == Versions::Current {
        out = out.pop().into_iter().collect();
    }
    out.retain(|(observed, ..)| selection.takes_note(channel, *observed));
    Ok(out)
}
