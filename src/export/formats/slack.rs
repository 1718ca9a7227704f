//! `slack-export.zip`: the zip that a Slack workspace's export is, which review platforms and viewers load.
//!
//! At its root `users.json`, `channels.json`, `groups.json`, `dms.json`, `mpims.json` and
//! `integration_logs.json`; a folder for each conversation with an array of messages for each day in the zone
//! of the set; contents below `attachments/` of that folder, and `url_private` leads to them. A set has a zip
//! for each volume; without another bound a volume ends before 10 GB, which is as much as readers take. The
//! profile `everlaw` lists every conversation in `channels.json`, since that reader refuses folders that are
//! not named there.
//!
//! What other tools know of a message stands where they look for it. What they have no place for stands in the
//! key `archive` of the message, the file, the person or the conversation, which they pass over: earlier
//! versions, the evidence that something is gone, comments on files, the record's number. `NAMES.csv` beside
//! the zip tells which id and which folder of the zip is what in the source: readers take ids of Slack's shape
//! only, so others are replaced by a digest of themselves. A conversation's folder bears its name as it was
//! last known, with a piece of a digest of its id where the name is no safe one or not the only one.
//!
//! Until a volume ends its days lie one after the other in one file beside the bag, a message a line; the zip
//! is written from there, in the order of the set, every entry dated 1980, so that the same set is the same
//! bytes.

mod message;
mod naming;
mod spool;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io::Write as _;

use serde_json::{Value, json};
use zip::write::{SimpleFileOptions, StreamWriter};
use zip::{CompressionMethod, DateTime, ZipWriter};

use self::message::People;
use self::naming::{Naming, slack_id};
use self::spool::{Line, Spool};
use super::Format;
use crate::export::Error;
use crate::export::bag::NewFile;
use crate::export::facts::{AUTHOR_NOT_STATED, AUTHOR_WITHHELD};
use crate::export::out::{Content, Out, Set};
use crate::export::paths::safe;
use crate::export::table::line;
use crate::export::unit::{Blob, Entry, FileFamily, Unit};
use crate::history::PersonKind;
use crate::model::{ChannelId, UtcTime, json as bytes_json};
use crate::record::Kind;
use crate::store::FIRST_SOURCE;

const NAME: &str = "slack-export.zip";
/// What readers of these zips take at most.
const VOLUME_BYTES: u64 = 10_000_000_000;
/// A zip entry that may grow beyond this is written with 64-bit sizes.
const LARGE: u64 = 0xF000_0000;

/// Where the content of a file lies in the zip of a volume.
#[derive(Debug, Clone)]
struct Place {
    path: String,
    blob: Option<Blob>,
    /// In which volume it was last put.
    volume: u32,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Slack {
    everlaw: bool,
    /// Ids and folders; made when they are first needed.
    naming: Option<Naming>,
    spool: Spool,
    /// The conversation that units come from.
    conversation: Option<ChannelId>,
    /// People who appear in the volume.
    people: BTreeSet<String>,
    /// Files of the conversation that units come from.
    files: HashMap<String, Place>,
    /// Their paths in lower case: some systems hold only one of two that differ in case.
    taken: HashSet<String>,
    /// What was remembered was not read yet.
    is_cut_off: bool,
    /// Bytes of contents that the volume will hold.
    contents: u64,
}

impl Slack {
    /// With the rules of the reader that the request names.
    pub(super) fn new(everlaw: bool) -> Self {
        Self { everlaw, ..Self::default() }
    }
}

impl Format for Slack {
    fn begin(&mut self, _out: &mut Out<'_>) -> Result<(), Error> {
        self.spool = Spool::default();
        self.people.clear();
        self.conversation = None;
        self.contents = 0;
        Ok(())
    }

    fn unit(&mut self, unit: &Unit, out: &mut Out<'_>) -> Result<(), Error> {
        self.take_up(out)?;
        let id = &unit.conversation.id;
        self.naming(out.set).meet(id);
        let folder = self.naming(out.set).folder(id).to_owned();
        let day = format!("{folder}/{}.json", unit.day);
        // It ends in its own conversation: what follows the line of another one belongs to that.
        if self.spool.day.as_ref().is_some_and(|open| open.path != day) {
            self.spool.end_day(out)?;
        }
        if self.conversation.as_ref() != Some(id) {
            // A conversation that goes on in another volume still shows files of the one before.
            if !self.files.is_empty() && !self.goes_on(id) {
                self.forget_files();
            }
            self.spool.add(out, &Line::Conversation { id: id.to_string() })?;
            self.conversation = Some(id.clone());
            let creator = observed(id, out.set)?["creator"].as_str().map(str::to_owned);
            let members = out.set.names.conversation(id, moment(out.set)).members;
            self.meet(members.into_iter().chain(creator.filter(|id| !id.is_empty())), out)?;
        }
        for entry in &unit.entries {
            self.entry(unit, entry, &folder, &day, out)?;
        }
        if !unit.is_continued {
            self.spool.end_day(out)?;
        }
        Ok(())
    }

    fn end(&mut self, out: &mut Out<'_>) -> Result<(), Error> {
        self.take_up(out)?;
        self.spool.end_day(out)?;
        spool::close(out)?;
        self.zip(out)?;
        self.names(out)
    }

    fn state(&self) -> Value {
        json!({
            "conversation": self.conversation.as_ref().map(ChannelId::as_str),
            "spool": self.spool.state(),
            "contents": self.contents,
        })
    }

    fn resume(&mut self, state: &Value) {
        self.conversation = state["conversation"].as_str().and_then(ChannelId::parse);
        self.spool = Spool::from_state(&state["spool"]);
        self.contents = state["contents"].as_u64().unwrap_or(0);
        self.is_cut_off = true;
    }

    fn growth(&self) -> (u64, u64) {
        (3, 1)
    }

    fn pending_bytes(&self) -> u64 {
        self.spool.bytes() + self.contents
    }

    fn volume_bytes(&self) -> Option<u64> {
        Some(VOLUME_BYTES)
    }
}

impl Slack {
    fn naming(&mut self, set: &Set<'_>) -> &mut Naming {
        self.naming.get_or_insert_with(|| Naming::new(set.names, moment(set)))
    }

    /// Whether the files that are remembered are those of this conversation.
    fn goes_on(&self, id: &ChannelId) -> bool {
        self.naming.as_ref().is_some_and(|naming| {
            let folder = format!("{}/", naming.folder(id));
            self.files.values().any(|place| place.path.starts_with(&folder))
        })
    }

    /// Reads what the run that was cut off remembered.
    fn take_up(&mut self, out: &mut Out<'_>) -> Result<(), Error> {
        self.naming(out.set);
        if !std::mem::take(&mut self.is_cut_off) {
            return Ok(());
        }
        for volume in 1..=out.volume {
            let is_now = volume == out.volume;
            spool::each_line(out, volume, |line| {
                match line {
                    Line::Conversation { id } => {
                        let id = ChannelId::parse(&id);
                        if let (Some(id), Some(naming)) = (&id, &mut self.naming) {
                            naming.meet(id);
                        }
                        if id.as_ref().is_none_or(|id| !self.goes_on(id)) {
                            self.forget_files();
                        }
                    }
                    Line::Person { id } if is_now => {
                        self.people.insert(id);
                    }
                    Line::File { id, path, blob } => {
                        self.taken.insert(path.to_lowercase());
                        self.files.insert(id, Place { path, blob, volume });
                    }
                    _ => {}
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// People who appear: they are listed in `users.json`.
    fn meet(&mut self, people: impl IntoIterator<Item = String>, out: &mut Out<'_>) -> Result<(), Error> {
        for id in people {
            if !self.people.contains(&id) {
                self.spool.add(out, &Line::Person { id: id.clone() })?;
                self.people.insert(id);
            }
        }
        Ok(())
    }

    fn entry(&mut self, unit: &Unit, entry: &Entry, folder: &str, day: &str, out: &mut Out<'_>) -> Result<(), Error> {
        let mut people = People { set: out.set, named: BTreeSet::new() };
        let mut shown = Vec::new();
        for family in &entry.files {
            shown.push(self.file(family, folder, &mut people, out)?);
        }
        for id in &entry.given_before {
            shown.push(self.given_before(entry, id, out)?);
        }
        for (id, channel) in &entry.given_elsewhere {
            let why = json!({"given_in_the_conversation": channel.as_str()});
            shown.push(message::file_again(entry, id, None, &why));
        }
        for id in &entry.not_given {
            shown.push(message::file_again(entry, id, None, &json!({"nothing_of_it_is_in_the_set": true})));
        }
        for subject in entry.files.iter().flat_map(|family| {
            let file = Some(&family.file).filter(|_| entry.message.is_none());
            file.into_iter().chain(&family.comments)
        }) {
            if !subject.is_dated() {
                let what = "the source does not say when it was made: the time of its first observation, or none";
                out.remark("time", &subject.cell, subject.latest(), what)?;
            }
        }
        if entry.message.is_some() || !shown.is_empty() {
            let written = message::message(unit, entry, &shown, &mut people);
            self.meet(people.named, out)?;
            if let Some((thread, user)) = written.answers {
                self.spool.add(out, &Line::Reply { thread, user, ts: written.ts.clone() })?;
            }
            self.spool.message(out, day, &written.ts, &written.body)?;
        }
        if let Some(message) = &entry.message {
            out.produced_all(message)?;
        }
        for version in &entry.reactions {
            out.produced(&entry.cell, version)?;
        }
        if let Some(pins) = &entry.pins {
            let note = message::note(pins, &out.set.request.scope);
            self.spool.add(out, &Line::Pins { note })?;
            out.produced(&entry.cell, pins)?;
        }
        Ok(())
    }

    /// A file as a message shows it, with its contents in the zip; it and its comments are accounted for.
    fn file(
        &mut self,
        family: &FileFamily,
        folder: &str,
        people: &mut People<'_>,
        out: &mut Out<'_>,
    ) -> Result<Value, Error> {
        let id = safe(family.id());
        let latest = family.file.latest();
        let mut contents = Vec::new();
        let mut current = None;
        for version in &family.file.versions {
            let content = out.set.content(version);
            if let Content::Written(_) = &content
                && let Some(blob) = &version.blob
            {
                let name = safe(family.name(version)).replace('#', "_");
                let is_latest = version.seq == latest.seq;
                let mut path = format!("attachments/{id}-{name}");
                if !is_latest || self.taken.contains(&format!("{folder}/{path}").to_lowercase()) {
                    path = format!("attachments/{id}-record{}-{name}", version.seq);
                }
                let place = Place { path: format!("{folder}/{path}"), blob: Some(blob.clone()), volume: out.volume };
                let key = if is_latest { family.id().to_owned() } else { format!("{}/{}", family.id(), version.seq) };
                self.put(&key, place, out)?;
                if is_latest {
                    current = Some((path.clone(), blob.size));
                }
                contents.push(json!({"record": version.seq.0, "path": path, "sha256": blob.digest.to_string(), "size": blob.size}));
            } else if let Content::Missing(why) = &content {
                contents.push(json!({"record": version.seq.0, "missing": why}));
            }
            out.produced_with(&family.file.cell, version, &content)?;
        }
        for comment in &family.comments {
            out.produced_all(comment)?;
        }
        let current = current.as_ref().map(|(path, size)| (path.as_str(), *size));
        Ok(message::file(family, current, &contents, people))
    }

    fn forget_files(&mut self) {
        self.files.clear();
        self.taken.clear();
    }

    fn put(&mut self, id: &str, place: Place, out: &mut Out<'_>) -> Result<(), Error> {
        self.contents += place.blob.as_ref().map_or(0, |blob| blob.size);
        let line = Line::File { id: id.to_owned(), path: place.path.clone(), blob: place.blob.clone() };
        self.spool.add(out, &line)?;
        self.taken.insert(place.path.to_lowercase());
        self.files.insert(id.to_owned(), place);
        Ok(())
    }

    /// A file that a message shows and that was given with an earlier one.
    fn given_before(&mut self, entry: &Entry, id: &str, out: &mut Out<'_>) -> Result<Value, Error> {
        let mut path = None;
        if let Some(mut place) = self.files.get(id).cloned() {
            if place.volume != out.volume {
                // Each zip is whole: the content is in this one, too.
                place.volume = out.volume;
                self.put(id, place.clone(), out)?;
            }
            path = place.path.split_once('/').map(|(_, path)| path.to_owned());
        }
        let why = json!({"given_with_an_earlier_message": true});
        Ok(message::file_again(entry, id, path.as_deref(), &why))
    }

    fn zip(&mut self, out: &mut Out<'_>) -> Result<(), Error> {
        let file = out.create(NAME)?;
        let mut zip = Zip { writer: ZipWriter::new_stream(file), place: out.bag.folder().join(out.path(NAME)) };
        self.users(&mut zip, out)?;
        self.conversations(&mut zip, out)?;
        for name in ["groups.json", "mpims.json", "integration_logs.json"] {
            zip.begin(name, 0)?;
            zip.write(b"[]\n")?;
        }
        let mut days = spool::Days::open(out)?;
        let mut answers = None;
        let mut lines = spool::Lines::open(out, out.volume)?;
        while let Some(line) = lines.next()? {
            match line {
                Line::Conversation { .. } => answers = Some(spool::Answers::after(&lines)),
                Line::Day { path, bytes } => {
                    zip.begin(&path, bytes)?;
                    days.copy(bytes, answers.as_mut(), out, &mut |piece| zip.write(piece))?;
                }
                Line::File { path, blob: Some(blob), .. } => {
                    zip.begin(&path, blob.size)?;
                    spool::copy(out.set.blobs, &blob, &mut |piece| zip.write(piece))?;
                }
                _ => {}
            }
        }
        out.bag.list(zip.end()?)?;
        Ok(())
    }

    fn users(&self, zip: &mut Zip, out: &Out<'_>) -> Result<(), Error> {
        zip.begin("users.json", 0)?;
        let mut list = List::default();
        for id in &self.people {
            list.add(zip, &user(id, out.set))?;
        }
        list.end(zip)
    }

    fn conversations(&self, zip: &mut Zip, out: &Out<'_>) -> Result<(), Error> {
        self.list(zip, "channels.json", out, |is_direct| !is_direct || self.everlaw)?;
        self.list(zip, "dms.json", out, |is_direct| is_direct)
    }

    /// A list of conversations, with their pins. There may be many of these: each is written as it is read.
    fn list(&self, zip: &mut Zip, name: &str, out: &Out<'_>, takes: impl Fn(bool) -> bool) -> Result<(), Error> {
        zip.begin(name, 0)?;
        let mut list = List::default();
        // What stands after the pins of the conversation that is being written, and how many there are.
        let mut open: Option<(String, u64)> = None;
        let mut lines = spool::Lines::open(out, out.volume)?;
        loop {
            match lines.next()? {
                Some(Line::Pins { note }) => {
                    if let Some((_, pins)) = &mut open {
                        let before = if *pins == 0 { ",\"pins\":[" } else { "," };
                        zip.write(before.as_bytes())?;
                        zip.write(note.to_string().as_bytes())?;
                        *pins += 1;
                    }
                }
                Some(Line::Conversation { id }) => {
                    end_pins(zip, open.take())?;
                    let Some(id) = ChannelId::parse(&id) else { continue };
                    let (archive, mut body) = self.conversation(&id, out)?;
                    let is_direct = body["is_im"] == true;
                    if !takes(is_direct) {
                        continue;
                    }
                    if let Some(body) = body.as_object_mut().filter(|_| name == "dms.json") {
                        body.remove("name");
                    }
                    let (archive, body) = (archive.to_string(), body.to_string());
                    list.next(zip)?;
                    zip.write(format!("{{\"archive\":{}", archive.trim_end_matches('}')).as_bytes())?;
                    open = Some((format!(",{}", body.trim_start_matches('{')), 0));
                }
                Some(_) => {}
                None => break,
            }
        }
        end_pins(zip, open)?;
        list.end(zip)
    }

    /// A conversation as the lists have it: as it was at the moment of the set. What `archive` has of it comes first.
    fn conversation(&self, id: &ChannelId, out: &Out<'_>) -> Result<(Value, Value), Error> {
        let now = out.set.names.conversation(id, moment(out.set));
        let facts = observed(id, out.set)?;
        let folder = self.naming.as_ref().map_or("", |naming| naming.folder(id));
        let remark = |name: &str| facts[name].as_str().or(facts[name]["value"].as_str()).unwrap_or_default().to_owned();
        let members: Vec<String> = now.members.iter().map(|member| slack_id('U', member)).collect();
        let archive = json!({"id": id.as_str(), "name": now.name});
        let created = bytes_json::as_int(&facts["created"]).unwrap_or(0);
        let creator = facts["creator"].as_str().unwrap_or_default();
        let mut body = json!({
            "id": if now.is_direct { folder.to_owned() } else { slack_id('C', id.as_str()) },
            "name": folder,
            "created": created,
            "members": members,
        });
        if now.is_direct {
            body["is_im"] = json!(true);
        } else {
            body["creator"] = json!(if creator.is_empty() { String::new() } else { slack_id('U', creator) });
            body["is_archived"] = json!(facts["is_archived"].as_bool().unwrap_or(false));
            body["topic"] = json!({"value": now.topic, "creator": "", "last_set": 0});
            body["purpose"] = json!({"value": remark("purpose"), "creator": "", "last_set": 0});
        }
        Ok((archive, body))
    }

    /// What is what: ids and folders of the zip, and those of the source.
    fn names(&self, out: &mut Out<'_>) -> Result<(), Error> {
        let mut file = out.create("NAMES.csv")?;
        let mut write = |fields: &[&str]| file.write_all(line(fields).as_bytes()).map_err(file.error());
        write(&["kind", "id_in_zip", "folder", "id_in_source", "name"])?;
        let mut lines = spool::Lines::open(out, out.volume)?;
        while let Some(line) = lines.next()? {
            let Line::Conversation { id } = line else { continue };
            let (Some(id), Some(naming)) = (ChannelId::parse(&id), &self.naming) else { continue };
            let now = out.set.names.conversation(&id, moment(out.set));
            let folder = naming.folder(&id);
            let (kind, in_zip) =
                if now.is_direct { ("direct", folder.to_owned()) } else { ("channel", slack_id('C', id.as_str())) };
            write(&[kind, &in_zip, folder, id.as_str(), &now.name])?;
        }
        for id in &self.people {
            let (source, name) = match id.strip_prefix(message::NAMED) {
                Some(name) => ("", name),
                None => (id.as_str(), out.set.names.name(id, moment(out.set))),
            };
            write(&["person", &slack_id('U', id), "", source, name])?;
        }
        out.bag.list(file)?;
        Ok(())
    }
}

/// When names are looked up for what has one name for the whole set.
fn moment(set: &Set<'_>) -> UtcTime {
    set.request.as_of.unwrap_or(set.made_at)
}

/// Ends a conversation in its list.
fn end_pins(zip: &mut Zip, open: Option<(String, u64)>) -> Result<(), Error> {
    let Some((rest, pins)) = open else { return Ok(()) };
    zip.write(format!("{}{rest}", if pins == 0 { "}" } else { "]}" }).as_bytes())
}

/// The newest facts of a conversation that the set knows.
fn observed(id: &ChannelId, set: &Set<'_>) -> Result<Value, Error> {
    for kind in [Kind::Channel, Kind::Im] {
        let rows = set.reader.versions(kind, FIRST_SOURCE, Some(id), id.as_str())?;
        for row in rows.iter().rev().filter(|row| row.seq.0 < set.size) {
            let record = set.reader.record(row.seq)?;
            if record.header.observed() <= moment(set)
                && let Some(body) = bytes_json::parse(&record.body).filter(|body| body["id"].is_string())
            {
                return Ok(body);
            }
        }
    }
    Ok(Value::Null)
}

/// A person as `users.json` has them.
fn user(id: &str, set: &Set<'_>) -> Value {
    let named = id.strip_prefix(message::NAMED);
    let (name, real_name) = match (id, named) {
        (_, Some(name)) => (name, name),
        (AUTHOR_NOT_STATED, _) => ("unknown", AUTHOR_NOT_STATED),
        (AUTHOR_WITHHELD, _) => ("withheld", AUTHOR_WITHHELD),
        (id, _) => (id, set.names.name(id, moment(set))),
    };
    let archive = if named.is_some() { json!({"is_a_name_alone": true}) } else { json!({"id": id}) };
    let person = set.names.person(id, moment(set));
    let is = |kind: PersonKind| person.is_some_and(|person| person.kind == Some(kind));
    let mut profile = json!({"real_name": real_name, "display_name": real_name});
    if let Some(email) = person.map(|person| person.email.as_str()).filter(|email| !email.is_empty()) {
        profile["email"] = json!(email);
    }
    let mut body = json!({
        "id": slack_id('U', id),
        "name": name,
        "real_name": real_name,
        "profile": profile,
        "is_bot": named.is_some() || is(PersonKind::Bot),
        "archive": archive,
    });
    if is(PersonKind::Guest) {
        body["is_restricted"] = json!(true);
    }
    body
}

/// A zip that is written from front to back.
struct Zip {
    writer: ZipWriter<StreamWriter<NewFile>>,
    place: std::path::PathBuf,
}

impl Zip {
    /// Begins an entry of about so many bytes.
    fn begin(&mut self, name: &str, bytes: u64) -> Result<(), Error> {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(DateTime::DEFAULT)
            .unix_permissions(0o644)
            .large_file(bytes > LARGE);
        self.writer.start_file(name, options).map_err(|error| Error::file("write", &self.place)(error.into()))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.writer.write_all(bytes).map_err(Error::file("write", &self.place))
    }

    fn end(self) -> Result<NewFile, Error> {
        let done = self.writer.finish().map_err(|error| Error::file("write", &self.place)(error.into()))?;
        Ok(done.into_inner())
    }
}

/// A JSON array, an element a line.
#[derive(Default)]
struct List(u64);

impl List {
    /// Begins an element.
    fn next(&mut self, zip: &mut Zip) -> Result<(), Error> {
        self.0 += 1;
        zip.write(if self.0 == 1 { b"[\n" } else { b",\n" })
    }

    fn add(&mut self, zip: &mut Zip, value: &Value) -> Result<(), Error> {
        self.next(zip)?;
        zip.write(value.to_string().as_bytes())
    }

    fn end(self, zip: &mut Zip) -> Result<(), Error> {
        zip.write(if self.0 == 0 { b"[]\n" } else { b"\n]\n" })
    }
}
