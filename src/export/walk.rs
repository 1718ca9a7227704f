//! The stream of what is in scope: conversation by conversation, oldest first, in units that fit in memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::NaiveDate;

use super::Error;
use super::census::{Orphan, Placement, find, of_notes, pins};
use super::names::Names;
use super::reach::Hidden;
use super::selection::Selection;
use super::unit::{Cell, Entry, FileFamily, Role, Subject, Unit, Version, author_of, created, of_record, versions};
use crate::history::{Item, Messages, Version as ItemVersion, file_ids};
use crate::model::{ChannelId, Digest, MessageTs, RecordSeq, UtcTime};
use crate::record::{Kind, State};
use crate::store::{Change, FIRST_SOURCE};

/// A unit ends before it weighs more bytes than this.
const UNIT_BYTES: usize = 8 << 20;
/// A unit ends before the contents of its files have more bytes than this.
const UNIT_CONTENTS: u64 = 256 << 20;
/// A unit ends before it has more events than this: more are refused in one file of RSMF.
pub(super) const UNIT_EVENTS: usize = 10_000;

/// Where a unit stands in the stream: units of one selection always come in this order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub(super) struct Position {
    pub(super) conversation: String,
    /// See [`Unit::number`].
    pub(super) number: u64,
}

/// Goes through what is in scope.
pub(super) struct Walk<'a> {
    pub(super) selection: &'a Selection<'a>,
    pub(super) placement: &'a Placement,
    pub(super) names: &'a Names,
    /// Sizes of the contents that are in the archive.
    pub(super) sizes: &'a HashMap<Digest, u64>,
    pub(super) people: HashMap<String, Arc<str>>,
}

/// Makes units out of entries that come by time.
struct Cutter<'w, 'f> {
    names: &'w Names,
    channel: &'w ChannelId,
    entries: Vec<Entry>,
    day: Option<NaiveDate>,
    number: u64,
    part: u32,
    bytes: usize,
    contents: u64,
    events: usize,
    each: &'f mut dyn FnMut(Unit) -> Result<(), Error>,
}

impl<'w, 'f> Cutter<'w, 'f> {
    fn new(names: &'w Names, channel: &'w ChannelId, each: &'f mut dyn FnMut(Unit) -> Result<(), Error>) -> Self {
        let (entries, day, number, part, bytes, contents, events) = (Vec::new(), None, 0, 1, 0, 0, 0);
        Self { names, channel, entries, day, number, part, bytes, contents, events, each }
    }

    fn add(&mut self, entry: Entry) -> Result<(), Error> {
        let (bytes, contents, events) = (entry.weight(), entry.blob_bytes(), entry.events());
        let is_full = !self.entries.is_empty()
            && (self.bytes + bytes > UNIT_BYTES
                || self.contents + contents > UNIT_CONTENTS
                || self.events + events > UNIT_EVENTS);
        // Where a zone's clocks go back at midnight a day ends twice: what comes after its first end stays in
        // the day that had begun.
        if self.day.is_none_or(|day| day < entry.cell.day) {
            self.cut(false)?;
            self.day = Some(entry.cell.day);
            self.part = 1;
        } else if is_full {
            self.cut(true)?;
            self.part += 1;
        }
        self.bytes += bytes;
        self.contents += contents;
        self.events += events;
        self.entries.push(entry);
        Ok(())
    }

    fn cut(&mut self, is_continued: bool) -> Result<(), Error> {
        let entries = std::mem::take(&mut self.entries);
        (self.bytes, self.contents, self.events) = (0, 0, 0);
        let (Some(day), Some(first)) = (self.day, entries.first()) else { return Ok(()) };
        let conversation = Arc::new(self.names.conversation(self.channel, first.time));
        self.number += 1;
        (self.each)(Unit { conversation, day, number: self.number, part: self.part, is_continued, entries })
    }
}

impl Walk<'_> {
    /// Calls `each` with every unit of a conversation, in order.
    pub(super) fn conversation(
        &mut self,
        channel: &ChannelId,
        each: &mut dyn FnMut(Unit) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if !self.selection.takes_channel(channel) {
            return Ok(());
        }
        let selection = self.selection;
        // What does not come with a message, by time: files on their own, and pins.
        let mut others: BTreeMap<(UtcTime, u32, String), Other> = BTreeMap::new();
        for (time, file) in self.placement.alone(channel) {
            others.insert((*time, 0, file.to_string()), Other::File);
        }
        let prefix = format!("{channel}/");
        for (key, _) in selection.reader.newest_under(Kind::Pins, FIRST_SOURCE, Some(channel), &prefix)? {
            for (observed, version, seq) in pins(selection, channel, &key)? {
                others.insert((observed, version, key.clone()), Other::Pins(seq));
            }
        }
        let mut cutter = Cutter::new(self.names, channel, each);
        let range = selection.request.range;
        let from = range.from.map_or(MessageTs::MIN, |from| MessageTs::from_micros(from.timestamp_micros()));
        let mut messages = Messages::new(selection.reader, FIRST_SOURCE, channel, from)?;
        // The messages that have reactions, as far as messages were looked up.
        let (mut reactions, mut through) = (HashMap::new(), None);
        while let Some(item) = messages.next().transpose()? {
            let Some(ts) = MessageTs::parse(&item.key) else { continue };
            if range.to.is_some_and(|to| ts.time() >= to) {
                break;
            }
            if messages.through() != through {
                through = messages.through();
                let to = through.unwrap_or(ts);
                reactions = selection.reader.versions_between(Kind::Reactions, FIRST_SOURCE, channel, ts, to)?;
            }
            let Some(item) = selection.below(item).filter(|_| selection.takes_message(channel, ts)) else { continue };
            while let Some(entry) = others.first_entry().filter(|entry| entry.key().0 < ts.time()) {
                let ((time, _, key), other) = entry.remove_entry();
                if let Some(entry) = self.other(channel, time, &key, &other)? {
                    cutter.add(entry)?;
                }
            }
            if let Some(entry) = self.message(channel, ts, &item, reactions.contains_key(&ts))? {
                cutter.add(entry)?;
            }
        }
        for ((time, _, key), other) in others {
            if let Some(entry) = self.other(channel, time, &key, &other)? {
                cutter.add(entry)?;
            }
        }
        cutter.cut(false)
    }

    /// A record of which [`Orphan`] says why no unit holds it, as it may be shown.
    pub(super) fn orphan(&self, orphan: &Orphan) -> Result<Version, Error> {
        let selection = self.selection;
        let record = selection.reader.record(orphan.seq)?;
        let header = &record.header;
        let channel = header.channel_id();
        let own = selection.request.withheld.get(&orphan.seq).map(Hidden::from);
        let hidden = match (header.kind, &channel, MessageTs::parse(&header.key)) {
            (Kind::Message | Kind::Reactions, Some(channel), Some(ts)) => selection.hides_message(channel, ts).cloned(),
            (Kind::File, ..) => selection.hides_file(&header.key).cloned(),
            (Kind::Comment, ..) => selection.hides_comment(&header.key).cloned(),
            // Nobody knows what it shows.
            (_, channel, _) => own.or_else(|| selection.hides_pins(channel.as_ref()?)),
        };
        let hidden = selection.request.withheld.get(&orphan.seq).map(Hidden::from).or(hidden);
        let role = if header.state == State::Gone { Role::Gone } else { Role::Reading };
        let scope = &selection.request.scope;
        Ok(of_record(orphan.seq, header.version, role, &record, hidden.as_ref(), scope, &|_| None))
    }

    fn cell(&mut self, custodian: &str, channel: &ChannelId, time: UtcTime) -> Cell {
        let known = self.people.entry(custodian.to_owned()).or_insert_with(|| custodian.into());
        Cell {
            custodian: Arc::clone(known),
            conversation: channel.clone(),
            day: self.selection.request.zone.date(time),
        }
    }

    fn message(
        &mut self,
        channel: &ChannelId,
        ts: MessageTs,
        item: &Item,
        has_reactions: bool,
    ) -> Result<Option<Entry>, Error> {
        let (selection, placement) = (self.selection, self.placement);
        let chosen = selection.versions(item);
        if chosen.is_empty() {
            return Ok(None);
        }
        let mut shown: Vec<String> = Vec::new();
        for version in &chosen {
            let body = crate::model::json::parse(&version.record.body).unwrap_or_default();
            for file in file_ids(&body) {
                if !shown.iter().any(|known| known == file) {
                    shown.push(file.to_owned());
                }
            }
        }
        let hidden = selection.hides_message(channel, ts);
        let author = Selection::custodian(hidden, &author_of(item)).to_owned();
        let cell = self.cell(&author, channel, ts.time());
        let mut reactions = Vec::new();
        if has_reactions && let Some(changes) = find(selection, Kind::Reactions, Some(channel), &item.key)? {
            let sizes = |_: &Digest| None;
            for version in of_notes(selection, &changes) {
                let (seq, number, scope) = (version.seq, version.version, &selection.request.scope);
                reactions.push(of_record(seq, number, Role::Reading, &version.record, hidden, scope, &sizes));
            }
        }
        let message = self.subject(item, &chosen, ts.time(), cell.clone(), author, hidden);
        let (mut files, mut given_before, mut not_given) = (Vec::new(), Vec::new(), Vec::new());
        for file in shown {
            if placement.first_conversation(&file).is_none() {
                not_given.push(file);
            } else if !placement.is_given_with(&file, channel, ts) {
                given_before.push(file);
            } else if let Some(family) = self.file(channel, ts.time(), &file)? {
                files.push(family);
            } else {
                not_given.push(file);
            }
        }
        Ok(Some(Entry {
            time: ts.time(),
            message: Some(message),
            reactions,
            files,
            given_before,
            given_elsewhere: Vec::new(),
            not_given,
            pins: None,
            cell,
        }))
    }

    fn subject(
        &self,
        item: &Item,
        chosen: &[&ItemVersion],
        time: UtcTime,
        cell: Cell,
        author: String,
        hidden: Option<&Hidden>,
    ) -> Subject {
        let sizes = |digest: &Digest| self.sizes.get(digest).copied();
        let versions = versions(item, chosen, hidden, &self.selection.request.scope, &sizes);
        // What was told late says nothing of whether it stands.
        let newest = chosen.iter().rev().find(|version| version.change != Change::Earlier);
        let is_gone = newest.is_some_and(|version| version.record.header.state == State::Gone);
        let is_later = crate::history::item_at(item, self.selection.as_of()).is_some_and(|at| at.is_later);
        Subject { kind: item.kind, key: item.key.clone(), time, author, versions, is_gone, is_later, cell }
    }

    /// A file with its comments, as it stands in a conversation at a time.
    fn file(&mut self, channel: &ChannelId, time: UtcTime, id: &str) -> Result<Option<FileFamily>, Error> {
        let selection = self.selection;
        let Some(item) = find(selection, Kind::File, None, id)? else { return Ok(None) };
        let chosen = selection.versions(&item);
        if chosen.is_empty() {
            return Ok(None);
        }
        let author = Selection::custodian(selection.hides_file(id), &author_of(&item)).to_owned();
        let cell = self.cell(&author, channel, time);
        let file = self.subject(&item, &chosen, created(&item), cell, author, selection.hides_file(id));
        let mut comments = Vec::new();
        for (key, _) in selection.reader.newest_under(Kind::Comment, FIRST_SOURCE, None, &format!("{id}/"))? {
            let Some(item) = find(selection, Kind::Comment, None, &key)? else { continue };
            let chosen = selection.versions(&item);
            if chosen.is_empty() {
                continue;
            }
            let author = Selection::custodian(selection.hides_comment(&key), &author_of(&item)).to_owned();
            // Counted on the day of its file: a family is not torn apart.
            let cell = self.cell(&author, channel, time);
            let hidden = selection.hides_comment(&key).cloned();
            comments.push(self.subject(&item, &chosen, created(&item), cell, author, hidden.as_ref()));
        }
        comments.sort_by(|a, b| (a.time, &a.key).cmp(&(b.time, &b.key)));
        Ok(Some(FileFamily { file, comments }))
    }

    fn other(&mut self, channel: &ChannelId, time: UtcTime, key: &str, other: &Other) -> Result<Option<Entry>, Error> {
        let mut entry = Entry {
            time,
            message: None,
            reactions: Vec::new(),
            files: Vec::new(),
            given_before: Vec::new(),
            given_elsewhere: Vec::new(),
            not_given: Vec::new(),
            pins: None,
            cell: self.cell("", channel, time),
        };
        match other {
            Other::File => match self.file(channel, time, key)? {
                Some(family) => {
                    entry.cell = family.file.cell.clone();
                    entry.files.push(family);
                }
                None => return Ok(None),
            },
            Other::Pins(seq) => {
                let hidden = self.selection.hides_pins(channel);
                let record = self.selection.reader.record(*seq)?;
                let version = record.header.version;
                let scope = &self.selection.request.scope;
                entry.pins = Some(of_record(*seq, version, Role::Reading, &record, hidden.as_ref(), scope, &|_| None));
            }
        }
        Ok(Some(entry))
    }
}

/// What stands in a conversation beside its messages.
enum Other {
    File,
    Pins(RecordSeq),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Scope;

    fn entry(day: NaiveDate, file: Option<u64>) -> Entry {
        let cell = Cell { custodian: "ann".into(), conversation: ChannelId::parse("C1").unwrap(), day };
        let subject = |versions| Subject {
            kind: Kind::File,
            key: "F".to_owned(),
            time: UtcTime::UNIX_EPOCH,
            author: String::new(),
            versions,
            is_gone: false,
            is_later: false,
            cell: cell.clone(),
        };
        let header = serde_json::from_value(serde_json::json!({
            "kind": "file", "source": 1, "key": "F", "version": 1, "state": "present", "origin": "observed", "via": "",
            "account": "ann", "run": 1, "observed_at": "2026-01-01T00:00:00Z",
        }));
        let record = crate::record::Record { header: header.unwrap(), body: b"{}".to_vec() };
        let files = file.map(|size| {
            let mut version = of_record(RecordSeq(1), 1, Role::Reading, &record, None, &Scope::All, &|_| None);
            version.blob = Some(super::super::unit::Blob { digest: Digest::of(b""), size });
            FileFamily { file: subject(vec![version]), comments: Vec::new() }
        });
        Entry {
            time: UtcTime::UNIX_EPOCH,
            message: None,
            reactions: Vec::new(),
            files: files.into_iter().collect(),
            given_before: Vec::new(),
            given_elsewhere: Vec::new(),
            not_given: Vec::new(),
            pins: None,
            cell,
        }
    }

    /// The units that entries of these days make: number, day, part, entries.
    fn units(entries: Vec<Entry>) -> Vec<(u64, String, u32, usize)> {
        let mut out = Vec::new();
        let (names, channel) = (Names::default(), ChannelId::parse("C1").unwrap());
        let mut each = |unit: Unit| {
            out.push((unit.number, unit.day.to_string(), unit.part, unit.entries.len()));
            Ok(())
        };
        let mut cutter = Cutter::new(&names, &channel, &mut each);
        entries.into_iter().try_for_each(|entry| cutter.add(entry)).unwrap();
        cutter.cut(false).unwrap();
        out
    }

    #[test]
    fn a_day_that_ends_twice_is_not_gone_back_to() {
        let days = ["2006-10-28", "2006-10-29", "2006-10-28", "2006-10-29", "+55841-01-01"];
        let entries = days.map(|day| entry(day.parse().unwrap(), None)).into();
        let expected = [(1, "2006-10-28", 1, 1), (2, "2006-10-29", 1, 3), (3, "+55841-01-01", 1, 1)];
        assert_eq!(units(entries), expected.map(|(number, day, part, all)| (number, day.to_owned(), part, all)));
    }

    #[test]
    fn a_unit_ends_before_its_contents_weigh_too_much() {
        let day: NaiveDate = "2026-01-01".parse().unwrap();
        let sizes = [UNIT_CONTENTS / 2, UNIT_CONTENTS / 2, 1, 5 * UNIT_CONTENTS, 7];
        let parts: Vec<_> = units(sizes.map(|size| entry(day, Some(size))).into());
        assert_eq!(
            parts.iter().map(|(_, _, part, all)| (*part, *all)).collect::<Vec<_>>(),
            [(1, 2), (2, 1), (3, 1), (4, 1)]
        );
    }
}
