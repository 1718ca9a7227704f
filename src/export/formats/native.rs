//! `records.txt`: every record of the set as it is archived, in the order of their numbers, and the records that
//! go with them: the channels and conversations, the people, and of a set of everything all else that the archive
//! noted. `contents/` holds the content of each version of a file under the number of its record. `import` makes
//! an archive of it.
//!
//! ```text
//! teamchat-archive/native/v1
//!
//! <number> <change> <bytes of the body> <header, one line of JSON>
//! <the body, byte for byte>
//! ```
//!
//! and a newline after each body. The header is the line that the record's leaf was computed from. The change is
//! the number under which the record stands in the table of versions (docs/FORMAT.md). What is withheld is not in
//! it. The file ends with a line `end <number of records>`.

use std::collections::{HashMap, HashSet};
use std::io::Write as _;

use serde_json::Value;

use super::Format;
use crate::export::Error;
use crate::export::out::Out;
use crate::export::request::{Request, Versions};
use crate::export::scan::each_record;
use crate::export::unit::Unit;
use crate::export::withhold;
use crate::history::{Version, item};
use crate::model::{ChannelId, RecordSeq, json};
use crate::record::{Kind, Record, State};
use crate::store::{Change, FIRST_SOURCE, Reader};

/// The file with the records.
pub(in crate::export) const RECORDS: &str = "records.txt";
/// Its first line.
pub(in crate::export) const TITLE: &str = "teamchat-archive/native/v1";

/// Refuses what would leave subjects without some of their versions.
pub(super) fn refuse(request: &Request) -> Result<(), Error> {
    let what = match request {
        Request { versions: Versions::Current, .. } => "--versions current",
        Request { as_of: Some(_), .. } => "--as-of",
        Request { volume_bytes: Some(_), .. } => "--volume-size",
        Request { dedupe: true, .. } => "--dedupe",
        _ => return Ok(()),
    };
    Err(Error::Usage(format!(
        "the format native gives records as they are archived, all versions in one file: {what} does not go with it"
    )))
}

/// See the module.
#[derive(Debug)]
pub(super) struct Native;

impl Format for Native {
    /// Notes what is in scope and copies contents; the records are written at the end, in their order.
    fn unit(&mut self, unit: &Unit, out: &mut Out<'_>) -> Result<(), Error> {
        for entry in &unit.entries {
            // An archive that is made of the set needs all versions of a subject, as they are.
            let of_message = entry.message.iter().flat_map(|message| &message.versions).chain(&entry.reactions);
            let is_closed = of_message.clone().any(|version| version.is_closed);
            for version in of_message {
                if is_closed { out.left_closed(&entry.cell, version) } else { out.produced(&entry.cell, version) }?;
            }
            match &entry.pins {
                Some(pins) if pins.is_closed => out.left_closed(&entry.cell, pins)?,
                Some(pins) => out.produced(&entry.cell, pins)?,
                None => {}
            }
            for family in &entry.files {
                if family.file.versions.iter().any(|version| version.is_closed) {
                    for subject in std::iter::once(&family.file).chain(&family.comments) {
                        for version in &subject.versions {
                            out.left_closed(&subject.cell, version)?;
                        }
                    }
                    continue;
                }
                let is_first = out
                    .set
                    .placement
                    .first_conversation(family.id())
                    .is_none_or(|first| *first == unit.conversation.id);
                for version in &family.file.versions {
                    if is_first {
                        let content = out.copy_content(&format!("contents/{}", version.seq), version)?;
                        out.produced_with(&family.file.cell, version, &content)?;
                    } else {
                        out.produced(&family.file.cell, version)?;
                    }
                }
                for comment in &family.comments {
                    if comment.versions.iter().any(|version| version.is_closed) {
                        comment.versions.iter().try_for_each(|version| out.left_closed(&comment.cell, version))?;
                    } else {
                        out.produced_all(comment)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn end(&mut self, out: &mut Out<'_>) -> Result<(), Error> {
        let set = out.set;
        let with = Beside::of(out)?;
        let mut changes = Changes { reader: set.reader, ahead: HashMap::new() };
        let path = out.path(RECORDS);
        let mut file = out.bag.create(&path, false)?;
        writeln!(file, "{TITLE}\n").map_err(file.error())?;
        let mut count = 0_u64;
        let mut beside = Vec::new();
        each_record(set.reader, set.size, |seq, record| {
            let goes_with = with.takes(&record);
            if !is_in_scope(out, seq) && !goes_with {
                return Ok(());
            }
            if goes_with {
                beside.push(seq);
            }
            count += 1;
            let change = changes.of(seq, &record)?;
            let mut written = write!(file, "{seq} {} {} ", change.number(), record.body.len());
            written = written.and_then(|()| file.write_all(&record.header.to_line()));
            written = written.and_then(|()| file.write_all(b"\n"));
            written = written.and_then(|()| file.write_all(&record.body));
            written.and_then(|()| file.write_all(b"\n")).map_err(file.error())
        })?;
        writeln!(file, "end {count}").map_err(file.error())?;
        out.bag.list(file)?;
        // They are in no count of what is in scope, and proved like the others.
        for seq in beside {
            out.accounts.shown.insert(seq);
        }
        Ok(())
    }

    fn growth(&self) -> (u64, u64) {
        (2, 1)
    }
}

/// Whether a record itself is in the set, and not only a note that it is withheld.
fn is_in_scope(out: &Out<'_>, seq: RecordSeq) -> bool {
    out.accounts.shown.contains(seq.0) && !out.accounts.hidden.contains(seq.0)
}

/// The records that go with those in scope.
struct Beside {
    is_everything: bool,
    channels: HashSet<ChannelId>,
    /// Those of whom there is a record and whom any record of the set names.
    people: HashSet<String>,
    /// Channels of which the facts are not given.
    silent: HashSet<ChannelId>,
}

impl Beside {
    fn of(out: &Out<'_>) -> Result<Self, Error> {
        let (set, request) = (out.set, out.set.request);
        let is_everything = request.query.is_none()
            && request.records.is_none()
            && request.channels.is_empty()
            && request.custodian.is_none()
            && request.range == crate::model::TimeRange::default()
            && request.withheld.is_empty()
            && request.scope == crate::model::Scope::All;
        let channels = out.accounts.by_cell().into_keys().map(|cell| cell.conversation.clone()).collect();
        let mut with = Self { is_everything, channels, people: HashSet::new(), silent: HashSet::new() };
        if is_everything {
            return Ok(with);
        }
        // Facts of a channel that name what is withheld stay behind, in all their versions.
        let topics = withhold::topics(request, set.reader, set.size)?;
        for channel in with.channels.iter().filter(|_| !topics.is_empty()) {
            if let Some(facts) = item(set.reader, Kind::Channel, FIRST_SOURCE, Some(channel), channel.as_str())? {
                let tells = |version: &Version| {
                    let body = json::parse(&version.record.body).unwrap_or_default();
                    withhold::remarks(&body).any(|text| topics.contains(text))
                };
                if facts.versions.iter().any(tells) {
                    with.silent.insert(channel.clone());
                }
            }
        }
        let known: HashSet<String> = set.reader.newest(Kind::User)?.into_iter().map(|(key, _)| key).collect();
        each_record(set.reader, set.size, |seq, record| {
            // Whom a withheld record names is not said either.
            let is_of_set = is_in_scope(out, seq) || record.header.kind != Kind::User && with.takes(&record);
            if is_of_set && with.people.len() < known.len() {
                name(&record.header.account, &known, &mut with.people);
                name_all(&json::parse(&record.body).unwrap_or_default(), &known, &mut with.people);
            }
            Ok(())
        })?;
        Ok(with)
    }

    fn takes(&self, record: &Record) -> bool {
        let header = &record.header;
        let is_known = || header.channel_id().is_some_and(|channel| self.channels.contains(&channel));
        match header.kind {
            // Those are in scope, or they are not. What an archive says of itself, and how it is packed, is its own.
            Kind::Message
            | Kind::File
            | Kind::Comment
            | Kind::Reactions
            | Kind::Pins
            | Kind::Archive
            | Kind::Dictionary => false,
            _ if self.is_everything => true,
            Kind::Channel => {
                header.channel_id().is_some_and(|id| self.channels.contains(&id) && !self.silent.contains(&id))
            }
            Kind::Im | Kind::Roster => is_known(),
            Kind::User => self.people.contains(&header.key),
            Kind::Account
            | Kind::Coverage
            | Kind::Finding
            | Kind::Visibility
            | Kind::Unknown
            | Kind::Event
            | Kind::Inventory => false,
        }
    }
}

/// Under which change each record stands in the table of versions, asked in the order of the records.
struct Changes<'a> {
    reader: &'a Reader,
    /// Those of later versions of a subject, whose rows are all read with its second.
    ahead: HashMap<u64, Change>,
}

impl Changes<'_> {
    fn of(&mut self, seq: RecordSeq, record: &Record) -> Result<Change, Error> {
        let header = &record.header;
        // Of almost all records the header says it.
        if header.state == State::Gone {
            return Ok(Change::Gone);
        }
        if header.version == 1 || !header.kind.is_listed(header.version) {
            return Ok(Change::New);
        }
        if let Some(change) = self.ahead.remove(&seq.0) {
            return Ok(change);
        }
        let rows = self.reader.versions(header.kind, FIRST_SOURCE, header.channel_id().as_ref(), &header.key)?;
        let later = rows.iter().filter(|row| row.seq > seq && row.change != Change::Gone);
        self.ahead.extend(later.map(|row| (row.seq.0, row.change)));
        Ok(rows.iter().find(|row| row.seq == seq).map_or(Change::Changed, |row| row.change))
    }
}

/// Adds whom a text names: it is their id, or mentions it.
fn name(text: &str, known: &HashSet<String>, people: &mut HashSet<String>) {
    let mentioned = text.split("<@").skip(1).filter_map(|rest| rest.split(['>', '|']).next());
    people.extend(std::iter::once(text).chain(mentioned).filter(|id| known.contains(*id)).map(str::to_owned));
}

/// Adds whom any text of a body names: who wrote, edited, reacted, is a member, is mentioned.
fn name_all(value: &Value, known: &HashSet<String>, people: &mut HashSet<String>) {
    match value {
        Value::String(text) => name(text, known, people),
        Value::Array(values) => values.iter().for_each(|value| name_all(value, known, people)),
        Value::Object(values) => values.values().for_each(|value| name_all(value, known, people)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_named_in_any_place_is_found() {
        let known: HashSet<String> = ["a", "b", "c", "d", "e"].map(str::to_owned).into();
        let body = serde_json::json!({
            "user": "a", "text": "hello <@b> and <@c|Cee>, not e, <@x>", "reactions": [{"users": ["d", "y"]}],
        });
        let mut people = HashSet::new();
        name_all(&body, &known, &mut people);
        let mut found: Vec<String> = people.into_iter().collect();
        found.sort();
        assert_eq!(found, ["a", "b", "c", "d"]);
    }
}
