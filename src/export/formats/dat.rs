//! A load file for review platforms: Concordance DAT, Opticon OPT, texts, natives.
//!
//! ```text
//! VOL001/DATA/VOL001.dat               a row a document
//! VOL001/DATA/VOL001.opt               the page images
//! VOL001/DATA/VOL001_PARTICIPANTS.dat  who was in each conversation on each day, whole
//! VOL001/DATA/FIELDS.txt               what each field means
//! VOL001/TEXT/0001/TCA00000001.txt     the text of each document
//! VOL001/NATIVES/0001/TCA00000002.pdf  the contents of files
//! VOL001/IMAGES/0001/TCA00000002.pdf   pages that stand in for a file or for what is withheld
//! ```
//!
//! A message is a document; each version of a file that it brings, and each comment on that file, is a
//! document of its family. A file that no message in scope shows, and a list of pins, is a parent itself.
//! Earlier versions of a message, deletions and reactions are fields and part of its text. A thousand
//! documents share a folder. Paths go from the folder in which the volume lies, with backslashes.
//!
//! Numbers are by document, go on over volumes, and leave none out.
//!
//! The OPT names images, and a platform that reads it takes TIFF, JPEG and PDF and refuses text. Chat has no
//! pages, and pictures of it would be an invention of ours; so messages and comments are not in the OPT and
//! their PAGECOUNT is 0: they are reviewed by their text. What reviewers expect a page for has one, a PDF with
//! its number: a file that is produced as it is, a file whose content is missing, and a slip-sheet.

mod page;
mod row;
mod text;

use serde_json::{Value, json};

use self::row::{COLUMNS, Column, List, PARTICIPANTS, Row, Who};
use self::text::Scribe;
use super::Format;
use crate::export::Error;
use crate::export::facts::{self, Edit};
use crate::export::out::{Content, Out};
use crate::export::paths::ending;
use crate::export::request::{Bates, Request};
use crate::export::unit::{Cell, Entry, FileFamily, Role, Subject, Unit, Version};
use crate::model::{ChannelId, UtcTime, rfc3339};

/// What numbers begin with when nobody asked for anything else.
const PREFIX: &str = "TCA";
/// Digits of a number; more where they do not suffice.
const DIGITS: usize = 8;
/// Documents in a folder.
const FOLDER: u64 = 1_000;
/// The name of the only volume of a set that has none.
const ONLY_VOLUME: &str = "VOL001";
/// So many members of a conversation stand in a row.
const MEMBERS: usize = 100;
/// See the module.
#[derive(Debug)]
pub(super) struct Dat {
    bates: Bates,
    /// The number of the next document.
    next: u64,
    /// No unit of the volume is written so far. It never holds where a run is noted, which is after a unit.
    is_fresh: bool,
}

/// A document of a family.
struct Document<'a> {
    number: u64,
    parent: Option<u64>,
    thing: Thing<'a>,
}

/// What a document is.
#[derive(Clone, Copy)]
enum Thing<'a> {
    Message(&'a Subject),
    /// A version of a file; the last of them also holds what the archive notes of the file.
    File {
        family: &'a FileFamily,
        version: &'a Version,
        is_last: bool,
    },
    Comment(&'a Subject),
    Pins(&'a Version),
}

/// What every document has, as it is written.
struct Place<'a> {
    unit: &'a Unit,
    /// The first members of the conversation: for `PARTICIPANTS`.
    members: &'a List,
    entry: &'a Entry,
    documents: &'a [Document<'a>],
    document: &'a Document<'a>,
    bates: String,
    /// The number of its folders.
    folder: u64,
}

impl Format for Dat {
    fn begin(&mut self, out: &mut Out<'_>) -> Result<(), Error> {
        self.bates.check()?;
        self.is_fresh = true;
        out.append(&data(out, ".dat"), format!("\u{feff}{}", row::header(COLUMNS)).as_bytes())?;
        out.append(&data(out, ".opt"), b"")?;
        out.append(&data(out, "_PARTICIPANTS.dat"), format!("\u{feff}{}", row::header(PARTICIPANTS)).as_bytes())?;
        let fields: String = COLUMNS.iter().map(|(name, what)| format!("{name}: {what}\r\n")).collect();
        out.write(&place(out, "DATA/FIELDS.txt"), fields.as_bytes())?;
        Ok(())
    }

    fn unit(&mut self, unit: &Unit, out: &mut Out<'_>) -> Result<(), Error> {
        if unit.part == 1 || self.is_fresh {
            participants(unit, out)?;
        }
        self.is_fresh = false;
        let members = members(unit, MEMBERS, out);
        for entry in &unit.entries {
            let documents = family(entry, self.next);
            for document in &documents {
                let (bates, folder) = (self.number(document.number), (document.number - self.bates.start) / FOLDER + 1);
                let place = Place { unit, members: &members, entry, documents: &documents, document, bates, folder };
                self.document(&place, out)?;
            }
            self.next += documents.len() as u64;
        }
        Ok(())
    }

    fn end(&mut self, out: &mut Out<'_>) -> Result<(), Error> {
        for ending in [".dat", ".opt", "_PARTICIPANTS.dat"] {
            let path = out.path(&data(out, ending));
            out.bag.grown(&path)?;
        }
        Ok(())
    }

    fn state(&self) -> Value {
        json!({"next": self.next})
    }

    fn resume(&mut self, state: &Value) {
        self.next = state["next"].as_u64().unwrap_or(self.next);
    }

    fn growth(&self) -> (u64, u64) {
        // A row and the head of a text for the 512 bytes that each version weighs at least; the text of a file.
        (8, 2)
    }
}

impl Dat {
    /// Numbers as they were asked for.
    pub(super) fn new(request: &Request) -> Self {
        let bates = request.bates.clone().unwrap_or(Bates { prefix: PREFIX.to_owned(), start: 1 });
        Self { next: bates.start, is_fresh: false, bates }
    }

    fn number(&self, number: u64) -> String {
        format!("{}{number:0DIGITS$}", self.bates.prefix)
    }

    /// Writes a document: what is in it, its row, its page, and the account of its records.
    fn document(&self, place: &Place<'_>, out: &mut Out<'_>) -> Result<(), Error> {
        let mut row = Row::of(COLUMNS);
        self.about_family(&mut row, place, out);
        match place.document.thing {
            Thing::Message(subject) => self.message(row, place, subject, out),
            Thing::File { family, version, is_last } => file(row, place, family, version, is_last, out),
            Thing::Comment(subject) => self.comment(row, place, subject, out),
            Thing::Pins(version) => pins(row, place, version, out),
        }
    }

    fn about_family(&self, row: &mut Row, place: &Place<'_>, out: &Out<'_>) {
        let documents = place.documents;
        let (first, last) = (documents[0].number, documents[documents.len() - 1].number);
        row.set(Column::BegBates, place.bates.as_str());
        row.set(Column::EndBates, place.bates.as_str());
        row.set(Column::BegAttach, self.number(first));
        row.set(Column::EndAttach, self.number(last));
        match place.document.parent {
            Some(parent) => row.set(Column::ParentBates, self.number(parent)),
            None => row.set(Column::AttachCount, (last - first).to_string()),
        }
        row.set(Column::Volume, volume(out));
        let conversation = &place.unit.conversation;
        row.set(Column::Subject, conversation.name.as_str());
        row.set(Column::ConversationId, conversation.id.as_str());
        row.set(Column::ChannelName, conversation.name.as_str());
        row.set(Column::ChannelTopic, conversation.topic.as_str());
        row.set(Column::ConversationType, if conversation.is_direct { "direct" } else { "channel" });
        row.put(Column::Participants, place.members.clone());
        row.set(Column::ParticipantCount, conversation.members.len().to_string());
        row.set(Column::TimeZone, out.set.request.zone.name());
        // Platforms expect the fields; chat has nothing for them.
        for column in [Column::Cc, Column::Bcc, Column::Confidentiality] {
            row.set(column, "");
        }
    }

    fn message(&self, mut row: Row, place: &Place<'_>, subject: &Subject, out: &mut Out<'_>) -> Result<(), Error> {
        let (scribe, entry, latest) = (scribe(out), place.entry, subject.latest());
        row.set(Column::DocType, "Chat message");
        about_subject(&mut row, place, subject, last_edit(&subject.versions), out);
        sent(&mut row, subject.time, out);
        let changes = entry.reactions.iter().map(|version| version.seq);
        let records: Vec<String> =
            subject.versions.iter().map(|version| version.seq).chain(changes).map(|seq| seq.to_string()).collect();
        row.set_list(Column::Records, records.iter().map(String::as_str));
        let answers = facts::answers(latest).unwrap_or_default();
        let thread = latest.body["thread_ts"].as_str().filter(|ts| !ts.is_empty()).unwrap_or(answers);
        row.set(Column::ThreadId, thread);
        row.set(Column::Answers, answers);
        let standing = facts::standing_reactions(entry).map(|(_, list)| list);
        let standing = standing.map(|list| facts::reactions_in_words(list, out.set.names, subject.time));
        row.set(Column::Reactions, standing.unwrap_or_default());
        let mut lines = Vec::new();
        if !answers.is_empty() {
            lines.push(format!("Answers: {answers}"));
        }
        for document in place.documents {
            if let Thing::File { family, version, .. } = document.thing {
                lines.push(format!("File: {} ({})", family.name(version), self.number(document.number)));
            }
        }
        if latest.withheld.is_none() {
            let elsewhere: Vec<String> =
                entry.given_elsewhere.iter().map(|(id, channel)| format!("{id} in {channel}")).collect();
            for (column, what, ids) in [
                (Column::FilesBefore, "File given before", &entry.given_before),
                (Column::FilesElsewhere, "File given in another conversation", &elsewhere),
                (Column::FilesNotGiven, "File of which nothing is in scope", &entry.not_given),
            ] {
                row.set_list(column, ids.iter().map(String::as_str));
                lines.extend(ids.iter().map(|id| format!("{what}: {id}")));
            }
        }
        let own = subject.versions.iter().map(|version| (version, &version.body["reactions"]));
        lines.extend(
            own.filter(|(_, list)| !facts::reactions(list).is_empty())
                .map(|(version, list)| scribe.reactions(version, list, subject.time)),
        );
        lines.extend(entry.reactions.iter().map(|version| scribe.reactions(version, &version.body, subject.time)));
        let text = scribe.subject(&place.bates, &place.unit.conversation, subject, &lines);
        write_text(&mut row, place, &text, true, out)?;
        slip_sheet(&mut row, place, latest, out)?;
        finish(&row, &subject.cell, latest, out)?;
        out.produced_all(subject)?;
        entry.reactions.iter().try_for_each(|version| out.produced(&entry.cell, version))
    }

    fn comment(&self, mut row: Row, place: &Place<'_>, subject: &Subject, out: &mut Out<'_>) -> Result<(), Error> {
        let latest = subject.latest();
        row.set(Column::DocType, "Chat comment");
        about_subject(&mut row, place, subject, last_edit(&subject.versions), out);
        if subject.is_dated() {
            sent(&mut row, subject.time, out);
        }
        created(&mut row, subject, out);
        let records: Vec<String> = subject.versions.iter().map(|version| version.seq.to_string()).collect();
        row.set_list(Column::Records, records.iter().map(String::as_str));
        let file = place.document.parent.map(|parent| format!("Comment on: {}", self.number(parent)));
        let lines: Vec<String> = file.into_iter().collect();
        let text = scribe(out).subject(&place.bates, &place.unit.conversation, subject, &lines);
        write_text(&mut row, place, &text, true, out)?;
        slip_sheet(&mut row, place, latest, out)?;
        finish(&row, &subject.cell, latest, out)?;
        out.produced_all(subject)
    }
}

fn file(
    mut row: Row,
    place: &Place<'_>,
    family: &FileFamily,
    version: &Version,
    is_last: bool,
    out: &mut Out<'_>,
) -> Result<(), Error> {
    let subject = &family.file;
    row.set(Column::DocType, "Chat file");
    about_subject(&mut row, place, subject, facts::edit(version), out);
    about_version(&mut row, version);
    if place.entry.message.is_some() {
        sent(&mut row, place.entry.time, out);
    }
    created(&mut row, subject, out);
    let name = if version.withheld.is_some() { "" } else { family.name(version) };
    row.set(Column::FileName, name);
    row.set(Column::FileExt, ending(name).trim_start_matches('.'));
    let title = version.body["title"].as_str().unwrap_or_default();
    if version.withheld.is_none() {
        row.set(Column::Title, title);
        about_places(&mut row, place, subject, out);
    }
    let notes: Vec<&Version> = subject
        .versions
        .iter()
        .filter(|note| is_last && note.role != Role::Reading && note.seq != version.seq)
        .collect();
    let records: Vec<String> =
        std::iter::once(version).chain(notes.iter().copied()).map(|version| version.seq.to_string()).collect();
    row.set_list(Column::Records, records.iter().map(String::as_str));

    let extension = if ending(name).is_empty() { ".bin".to_owned() } else { ending(name) };
    let relative = path("NATIVES", place, &extension);
    let content = out.copy_content(&self::place(out, &relative), version)?;
    let mut lines = Vec::new();
    let (status, shown) = match &content {
        Content::Written(written) => {
            row.set(Column::FileSize, written.size.to_string());
            row.set(Column::Md5, written.md5.clone().unwrap_or_default());
            row.set(Column::Sha256, written.sha256.to_string());
            row.set(Column::HashOf, "NATIVE");
            let native = backslashed(out, &relative);
            row.set(Column::NativePath, native.as_str());
            ("produced".to_owned(), ["Produced in native form".to_owned(), native])
        }
        Content::Missing(why) => {
            lines.push(format!("No native: {why}."));
            (why.clone(), ["No native".to_owned(), why.clone()])
        }
        Content::NotDue => {
            ("none of its own".to_owned(), ["No native".to_owned(), "This record brings no content.".to_owned()])
        }
    };
    row.set(Column::ContentStatus, if version.withheld.is_some() { "withheld".to_owned() } else { status });
    let reading = match version.blob.as_ref().filter(|_| version.withheld.is_none() && version.role == Role::Reading) {
        Some(blob) => {
            let reading = out.set.reading(&blob.digest)?;
            let status = reading.as_ref().map_or("not read", |reading| reading.status.as_str());
            row.set(Column::TextStatus, status);
            if reading.as_ref().is_none_or(|reading| reading.status != "ok" || reading.is_truncated) {
                let cut = reading.as_ref().is_some_and(|reading| reading.is_truncated);
                lines.push(format!("Its text: {status}{}.", if cut { ", and cut at the limit" } else { "" }));
            }
            reading
        }
        None => None,
    };
    for (what, value) in [("Name", name), ("Title", title)] {
        if !row::holds(value) {
            lines.push(format!("{what}: {value}"));
        }
    }
    let read = reading.as_ref().map(|reading| reading.text.as_str());
    // Without a reading of it in scope the document shows a note, which is in its text too.
    let own = (version.role != Role::Reading).then_some(version);
    let noted: Vec<&Version> = own.into_iter().chain(notes.iter().copied()).collect();
    let text = scribe(out).file(family, version, read, &noted, &lines);
    write_text(&mut row, place, &text, !matches!(content, Content::Written(_)), out)?;
    if version.withheld.is_some() {
        slip_sheet(&mut row, place, version, out)?;
    } else {
        image(&mut row, place, &shown.each_ref().map(String::as_str), out)?;
    }
    finish(&row, &subject.cell, version, out)?;
    out.produced_with(&subject.cell, version, &content)?;
    notes.iter().try_for_each(|note| out.produced(&subject.cell, note))
}

/// Writes a list of pins.
fn pins(mut row: Row, place: &Place<'_>, version: &Version, out: &mut Out<'_>) -> Result<(), Error> {
    row.set(Column::DocType, "Chat pins");
    row.set(Column::ItemId, version.record.header.key.as_str());
    row.set(Column::Records, version.seq.to_string());
    about_version(&mut row, version);
    let text = scribe(out).pins(&place.bates, &place.unit.conversation, version);
    write_text(&mut row, place, &text, true, out)?;
    slip_sheet(&mut row, place, version, out)?;
    finish(&row, &place.entry.cell, version, out)?;
    out.produced(&place.entry.cell, version)
}

/// The documents of an entry, numbered from `next` on: the parent first.
fn family(entry: &Entry, next: u64) -> Vec<Document<'_>> {
    let mut out: Vec<Document<'_>> = Vec::new();
    let mut add = |thing, parent: Option<u64>| {
        let number = next + out.len() as u64;
        let parent = parent.or_else(|| out.first().map(|first: &Document<'_>| first.number));
        out.push(Document { number, parent, thing });
        number
    };
    if let Some(message) = &entry.message {
        add(Thing::Message(message), None);
    }
    for family in &entry.files {
        let mut versions: Vec<&Version> = family.file.readings().collect();
        if versions.is_empty() {
            versions.extend(family.file.versions.first());
        }
        let mut file = None;
        for (n, version) in versions.iter().copied().enumerate() {
            let is_last = n + 1 == versions.len();
            file = Some(add(Thing::File { family, version, is_last }, None));
        }
        for comment in &family.comments {
            add(Thing::Comment(comment), file);
        }
    }
    if let Some(pins) = &entry.pins {
        add(Thing::Pins(pins), None);
    }
    out
}

fn scribe<'a>(out: &Out<'a>) -> Scribe<'a> {
    Scribe { names: out.set.names, zone: out.set.request.zone, scope: &out.set.request.scope }
}

/// The volume's name: a set without volumes is one.
fn volume(out: &Out<'_>) -> String {
    let name = out.volume_name();
    if name.is_empty() { ONLY_VOLUME.to_owned() } else { name }
}

/// Where something of the volume lies, for [`Out`], which knows the volume only of a set that has some.
fn place(out: &Out<'_>, relative: &str) -> String {
    if out.volume_name().is_empty() { format!("{ONLY_VOLUME}/{relative}") } else { relative.to_owned() }
}

/// A file of `DATA/` that has the volume's name.
fn data(out: &Out<'_>, ending: &str) -> String {
    place(out, &format!("DATA/{}{ending}", volume(out)))
}

/// A path as load files have it.
fn backslashed(out: &Out<'_>, relative: &str) -> String {
    format!("{}/{relative}", volume(out)).replace('/', "\\")
}

/// Where a file of a document lies in the volume.
fn path(folder: &str, place: &Place<'_>, extension: &str) -> String {
    format!("{folder}/{:04}/{}{extension}", place.folder, place.bates)
}

fn date(time: UtcTime, out: &Out<'_>) -> String {
    let request = out.set.request;
    request.zone.date(time).format(request.dates.pattern()).to_string()
}

fn sent(row: &mut Row, time: UtcTime, out: &Out<'_>) {
    let zone = out.set.request.zone;
    row.set(Column::DateSent, date(time, out));
    row.set(Column::TimeSent, zone.clock_text(time));
    row.set(Column::UtcOffset, zone.offset_text(time));
    row.set(Column::SentUtc, rfc3339(time));
}

/// When a file or a comment was made: nothing, where the source does not say it.
fn created(row: &mut Row, subject: &Subject, out: &Out<'_>) {
    let time = subject.time;
    if !subject.is_dated() {
        return;
    }
    row.set(Column::CreatedUtc, rfc3339(time));
    row.set(Column::DateCreated, date(time, out));
    row.set(Column::TimeCreated, out.set.request.zone.clock_text(time));
}

/// The last edit that versions tell of.
fn last_edit(versions: &[Version]) -> Option<Edit<'_>> {
    versions.iter().filter_map(facts::edit).max_by_key(|edit| edit.at)
}

/// What is said of a subject as a whole, and of how it last read.
fn about_subject(row: &mut Row, place: &Place<'_>, subject: &Subject, edit: Option<Edit<'_>>, out: &Out<'_>) {
    let (scribe, latest, conversation) = (scribe(out), subject.latest(), &place.unit.conversation);
    let author = subject.shown_author();
    let from = scribe.author(subject);
    let is_named = from.is_some();
    if let Some(from) = from {
        row.set(Column::Custodian, &*subject.cell.custodian);
        row.set(Column::AuthorId, author.id().unwrap_or_default());
        row.set(Column::From, from);
    }
    if !conversation.is_direct {
        row.set(Column::To, format!("#{}", conversation.name));
    } else if is_named {
        let others = || conversation.members.iter().map(String::as_str).filter(|id| Some(*id) != author.id());
        let names: Vec<String> = others().map(|id| scribe.person(id, subject.time)).collect();
        row.set_list(Column::To, names.iter().map(String::as_str));
        row.set_list(Column::DupCustodian, others());
    }
    row.set(Column::ItemId, subject.key.as_str());
    row.set(Column::Subtype, latest.body["subtype"].as_str().unwrap_or_default());
    let readings = subject.readings().count();
    row.set(Column::Edited, if readings > 1 || last_edit(&subject.versions).is_some() { "Y" } else { "N" });
    if let Some(at) = edit.and_then(|edit| edit.at) {
        row.set(Column::EditedUtc, rfc3339(at));
        row.set(Column::DateMod, date(at, out));
        row.set(Column::TimeMod, out.set.request.zone.clock_text(at));
    }
    if let Some((at, by)) = edit.and_then(|edit| Some((edit.at, edit.by?))) {
        row.set(Column::EditedBy, scribe.person(by, at.unwrap_or(subject.time)));
    }
    row.set(Column::Deleted, if subject.is_gone { "Y" } else { "N" });
    if let Some(gone) = subject.deletions().last() {
        row.set(Column::DeletedWhen, scribe.gone(gone));
        row.set(Column::Restored, if subject.is_gone { "N" } else { "Y" });
    } else {
        row.set(Column::Restored, "N");
    }
    row.set(Column::Versions, readings.to_string());
    about_version(row, latest);
}

fn about_version(row: &mut Row, version: &Version) {
    row.set(Column::Version, version.number.to_string());
    row.set(Column::ObservedUtc, version.record.header.observed_at.as_str());
}

/// Where else a file stands, as far as whoever asked may see it, and who has it there.
fn about_places(row: &mut Row, place: &Place<'_>, subject: &Subject, out: &Out<'_>) {
    let own = &place.unit.conversation.id;
    let mut places = vec![own.clone()];
    for id in subject.versions.iter().flat_map(|version| facts::places(version, &out.set.request.scope)) {
        if !places.contains(&id) {
            places.push(id);
        }
    }
    row.set_list(Column::AllConversations, places.iter().map(ChannelId::as_str));
    let mut others: Vec<String> = Vec::new();
    for id in &places {
        let conversation = out.set.names.conversation(id, place.entry.time);
        if conversation.is_direct {
            for member in conversation.members {
                if Some(&*member) != subject.shown_author().id() && !others.contains(&member) {
                    others.push(member);
                }
            }
        }
    }
    row.set_list(Column::DupCustodian, others.iter().map(String::as_str));
}

/// Writes the text; `is_hashed`: its digests stand for the document, which has no native.
fn write_text(row: &mut Row, place: &Place<'_>, text: &str, is_hashed: bool, out: &mut Out<'_>) -> Result<(), Error> {
    let relative = path("TEXT", place, ".txt");
    let written = out.write(&self::place(out, &relative), text.as_bytes())?;
    row.set(Column::TextPath, backslashed(out, &relative));
    if is_hashed {
        row.set(Column::Md5, written.md5.unwrap_or_default());
        row.set(Column::Sha256, written.sha256.to_string());
        row.set(Column::HashOf, "TEXT");
    }
    Ok(())
}

/// The slip-sheet of what is not shown; nothing of what is.
fn slip_sheet(row: &mut Row, place: &Place<'_>, version: &Version, out: &mut Out<'_>) -> Result<(), Error> {
    let Some(withheld) = &version.withheld else {
        row.set(Column::PageCount, "0");
        return Ok(());
    };
    row.set(Column::Withheld, withheld.hiding.as_str());
    row.set(Column::WithheldReason, withheld.reason.as_str());
    let what = match withheld.hiding {
        crate::export::Hiding::Withhold => "Withheld",
        crate::export::Hiding::Redact => "Redacted",
    };
    image(row, place, &[what, "The reason stands in the load file and in the privilege log."], out)
}

/// Writes the page that stands in for a document, and its line of the OPT.
fn image(row: &mut Row, place: &Place<'_>, lines: &[&str], out: &mut Out<'_>) -> Result<(), Error> {
    let relative = path("IMAGES", place, ".pdf");
    out.write(&self::place(out, &relative), &page::page(&place.bates, lines))?;
    row.set(Column::PageCount, "1");
    // Number, volume, image, first page of a document, folder break, box break, pages.
    let line = format!("{},{},{},Y,,,1\r\n", place.bates, volume(out), backslashed(out, &relative));
    out.append(&data(out, ".opt"), line.as_bytes())
}

/// Writes the row, and lists what it could not hold.
fn finish(row: &Row, cell: &Cell, version: &Version, out: &mut Out<'_>) -> Result<(), Error> {
    let (line, replaced) = row.line();
    out.append(&data(out, ".dat"), line.as_bytes())?;
    remark("a load file", &replaced, cell, version, out)
}

fn remark(
    what: &str,
    replaced: &[(&str, usize)],
    cell: &Cell,
    version: &Version,
    out: &mut Out<'_>,
) -> Result<(), Error> {
    if replaced.is_empty() {
        return Ok(());
    }
    let fields: Vec<String> = replaced.iter().map(|(name, count)| format!("{count} in {name}")).collect();
    let what = format!("characters that {what} can't hold were replaced: {}", fields.join(", "));
    out.remark("replaced", cell, version, &what)
}

/// So many of those who were in a conversation, by the names of its first item.
fn members(unit: &Unit, most: usize, out: &Out<'_>) -> List {
    let (scribe, time) = (scribe(out), unit.entries.first().map_or(UtcTime::MAX_UTC, |entry| entry.time));
    let members: Vec<String> = unit.conversation.members.iter().take(most).map(|id| scribe.person(id, time)).collect();
    List::of(members.iter().map(String::as_str))
}

/// Lists everybody who was in a conversation on a day. What it replaces is listed with the first record of the
/// day.
fn participants(unit: &Unit, out: &mut Out<'_>) -> Result<(), Error> {
    let conversation = &unit.conversation;
    let Some(entry) = unit.entries.first() else { return Ok(()) };
    let mut row = Row::of(PARTICIPANTS);
    row.set(Who::Conversation, conversation.id.as_str());
    row.set(Who::Date, date(entry.time, out));
    row.set(Who::Name, conversation.name.as_str());
    row.set(Who::Topic, conversation.topic.as_str());
    row.set(Who::Count, conversation.members.len().to_string());
    row.put(Who::People, members(unit, usize::MAX, out));
    let (line, replaced) = row.line();
    out.append(&data(out, "_PARTICIPANTS.dat"), line.as_bytes())?;
    let message = entry.message.as_ref().map(Subject::latest);
    let version = message.or_else(|| entry.files.first().map(|family| family.file.latest())).or(entry.pins.as_ref());
    version.map_or(Ok(()), |version| remark("the participants file", &replaced, &entry.cell, version, out))
}
