//! Actiance XML, the `FileDump` that compliance archives take in: a file for each conversation and day in the
//! zone of the set, and the contents below `files/` of its folder. A day too long for memory goes on in
//! `-part2`, which is a whole file of its own.
//!
//! Who was in the conversation when the day began, or when it ended, is there all day, unless its stream says
//! when they came or went; who acts without being there comes with what they do. Times are milliseconds since
//! 1970, in UTC, and never outside the day: where something that stands there has another time, or none that the
//! source says, its content says so. A message that was edited stands there once for each reading: earlier ones as
//! `EditedOriginalMsg`, which point at the last by `EditedNewMsgId`. A message that is gone has another one after
//! it, with `delete` and how it last read. A file is transferred once; how it read later, and what was written with
//! it, is a message. Reactions and pins have no place in this format.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;

use super::Format;
use super::xml::Xml;
use crate::export::Error;
use crate::export::facts::{self, Author};
use crate::export::out::{Content, Out, Set};
use crate::export::paths::safe;
use crate::export::unit::{Cell, Entry, FileFamily, Role, Subject, Unit, Version};
use crate::export::withhold::slip;
use crate::history::PersonKind;
use crate::model::UtcTime;

const PARTIAL: &str = "it is known in part only, and a later version holds the whole";
const SHARED: &str = "it says that a file was seen in another conversation, for which the format has no place";
const REACTIONS: &str = "the format has no place for reactions";
const PINS: &str = "the format has no place for pins";
const NO_TIME: &str = "the source does not say when it was made: its time here is that of its first observation";

/// See the module.
#[derive(Debug)]
pub(super) struct Actiance;

/// A `Message`.
struct Message<'a> {
    id: String,
    author: Author<'a>,
    time: UtcTime,
    updated: Option<&'static str>,
    /// When the server says that it was.
    updated_at: Option<UtcTime>,
    new_id: Option<&'a str>,
    content: String,
}

impl<'a> Message<'a> {
    fn new(id: String, author: Author<'a>, time: UtcTime, content: String) -> Self {
        Self { id, author, time, updated: None, updated_at: None, new_id: None, content }
    }
}

impl Format for Actiance {
    fn unit(&mut self, unit: &Unit, out: &mut Out<'_>) -> Result<(), Error> {
        let (set, conversation) = (out.set, &unit.conversation);
        let zone = set.request.zone;
        let next = unit.day.succ_opt().unwrap_or(unit.day);
        let start = zone.start_of_day(unit.day);
        // The last millisecond of the day.
        let end = zone.start_of_day(next) - chrono::TimeDelta::milliseconds(1);
        let mut day = Day { xml: Xml::default(), unit, folder: conversation.folder(), start, end };
        let part = if unit.part == 1 { String::new() } else { format!("-part{}", unit.part) };
        let mut file = out.create(&format!("{}/{}{part}.xml", day.folder, unit.day))?;
        let at = |time: UtcTime| set.names.conversation(&conversation.id, time).members;
        let (first, last) = (at(start), at(end));
        let presence = day.presence(&first, &last);
        let xml = &mut day.xml;
        xml.raw("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        xml.raw("<FileDump xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">\n  <Conversation");
        xml.attribute("Perspective", &conversation.name);
        xml.raw(">\n");
        let kind = if conversation.is_direct { "direct" } else { "channel" };
        xml.element("    ", "RoomID", &format!("{kind} - {} - {}", conversation.name, conversation.id));
        xml.element("    ", "StartTimeUTC", &millis(start));
        participants(xml, "ParticipantEntered", presence.iter().map(|(who, (from, _))| (*from, *who)), set);
        xml.remark_above(" in the names of the conversation and of its people", &unit.entries, out)?;
        for entry in &unit.entries {
            day.entry(entry, out)?;
            file.write_all(day.xml.text.as_bytes()).map_err(file.error())?;
            day.xml.text.clear();
        }
        let xml = &mut day.xml;
        participants(xml, "ParticipantLeft", presence.iter().map(|(who, (_, to))| (*to, *who)), set);
        xml.element("    ", "EndTimeUTC", &millis(end));
        xml.raw("  </Conversation>\n</FileDump>\n");
        file.write_all(xml.text.as_bytes()).map_err(file.error())?;
        out.bag.list(file)?;
        Ok(())
    }

    fn growth(&self) -> (u64, u64) {
        (3, 1)
    }
}

fn millis(time: UtcTime) -> String {
    time.timestamp_millis().to_string()
}

/// When one person was there: who was a member as the day began or ended, and came and went as its stream says.
/// Where it does not say when, they are there from its beginning, and to its end.
fn spells(is_member: bool, moves: &[(UtcTime, bool)], start: UtcTime, end: UtcTime) -> Vec<(UtcTime, UtcTime)> {
    let mut open = match moves.first() {
        Some((_, comes)) => (!comes).then_some(start),
        None => is_member.then_some(start),
    };
    let mut out = Vec::new();
    for (at, comes) in moves {
        if *comes {
            open = open.or(Some(*at));
        } else {
            out.extend(open.take().map(|from| (from, *at)));
        }
    }
    out.extend(open.map(|from| (from, end)));
    out
}

/// Elements of those who come or go, by time.
fn participants<'a>(xml: &mut Xml, element: &str, list: impl Iterator<Item = (UtcTime, Author<'a>)>, set: &Set<'_>) {
    let list: BTreeSet<(UtcTime, Author<'_>)> = list.collect();
    for (time, who) in list {
        xml.raw(&format!("    <{element}>\n"));
        xml.element("      ", "LoginName", login(who, time, set));
        xml.element("      ", "UserType", user_type(who, time, set));
        xml.element("      ", "DateTimeUTC", &millis(time));
        let person = who.id().and_then(|id| set.names.person(id, time));
        xml.element("      ", "CorporateEmailID", person.map_or("", |person| person.email.as_str()));
        xml.raw(&format!("    </{element}>\n"));
    }
}

/// The address of a person where the source gives one, else the id; of who has none the name.
fn login<'a>(who: Author<'a>, time: UtcTime, set: &Set<'a>) -> &'a str {
    let person = who.id().and_then(|id| set.names.person(id, time));
    person.map(|person| person.email.as_str()).filter(|email| !email.is_empty()).unwrap_or(who.or_words())
}

fn user_type(who: Author<'_>, time: UtcTime, set: &Set<'_>) -> &'static str {
    let kind = who.id().and_then(|id| set.names.person(id, time)?.kind);
    if kind == Some(PersonKind::Bot) || matches!(who, Author::Named(_)) { "bot" } else { "user" }
}

/// A conversation's day that is being written.
struct Day<'a> {
    xml: Xml,
    unit: &'a Unit,
    folder: String,
    start: UtcTime,
    end: UtcTime,
}

impl<'a> Day<'a> {
    /// The moment of the day that is nearest to a time.
    fn within(&self, time: UtcTime) -> UtcTime {
        time.clamp(self.start, self.end)
    }

    /// Who was there from when to when, of those who were members as the day began and as it ended, and those who
    /// act.
    fn presence(&self, first: &'a [String], last: &'a [String]) -> Vec<(Author<'a>, (UtcTime, UtcTime))> {
        let mut moves: BTreeMap<Author<'_>, Vec<(UtcTime, bool)>> = BTreeMap::new();
        let mut acts: Vec<(Author<'_>, UtcTime)> = Vec::new();
        for entry in &self.unit.entries {
            if let Some(message) = &entry.message {
                let who = message.shown_author();
                acts.push((who, message.time));
                match message.latest().body["subtype"].as_str() {
                    Some("channel_join") => moves.entry(who).or_default().push((message.time, true)),
                    Some("channel_leave") => moves.entry(who).or_default().push((message.time, false)),
                    _ => {}
                }
            }
            for family in &entry.files {
                acts.push((family.file.shown_author(), entry.time));
                acts.extend(family.comments.iter().map(|comment| (comment.shown_author(), self.within(comment.time))));
            }
            let notes = entry.reactions.iter().chain(&entry.pins).filter(|note| note.withheld.is_some());
            acts.extend(notes.map(|_| (Author::Withheld, entry.time)));
        }
        let mut members: BTreeMap<Author<'_>, bool> = moves.keys().map(|who| (*who, false)).collect();
        members.extend(first.iter().chain(last).map(|id| (Author::Known(id), true)));
        let mut present: BTreeMap<Author<'_>, Vec<(UtcTime, UtcTime)>> = BTreeMap::new();
        for (who, is_member) in members {
            let moves = moves.get(&who).map_or(&[][..], Vec::as_slice);
            present.insert(who, spells(is_member, moves, self.start, self.end));
        }
        for (who, time) in acts {
            let spells = present.entry(who).or_default();
            if spells.is_empty() {
                spells.push((time, self.end));
            } else if !spells.iter().any(|(from, to)| (*from..=*to).contains(&time)) {
                spells.push((time, time));
            }
        }
        present.into_iter().flat_map(|(who, spells)| spells.into_iter().map(move |spell| (who, spell))).collect()
    }

    fn message(&mut self, message: &Message<'_>, set: &Set<'_>) {
        let xml = &mut self.xml;
        xml.raw("    <Message>\n");
        xml.element("      ", "MessageId", &message.id);
        xml.element("      ", "LoginName", login(message.author, message.time, set));
        xml.element("      ", "UserType", user_type(message.author, message.time, set));
        xml.element("      ", "DateTimeUTC", &millis(message.time));
        if let Some(updated) = message.updated {
            xml.element("      ", "UpdatedType", updated);
        }
        if let Some(at) = message.updated_at {
            xml.element("      ", "UpdatedDateTimeUTC", &millis(at));
        }
        if let Some(id) = message.new_id {
            xml.element("      ", "EditedNewMsgId", id);
        }
        xml.element("      ", "Content", &message.content);
        xml.raw("    </Message>\n");
    }

    /// A record for which the format has no place: it is listed, and of one that is withheld the slip-sheet stands
    /// there.
    fn no_place(
        &mut self,
        what: &str,
        time: UtcTime,
        cell: &Cell,
        version: &Version,
        why: &str,
        out: &mut Out<'_>,
    ) -> Result<(), Error> {
        let Some(withheld) = &version.withheld else { return out.not_carried(cell, version, why) };
        let id = format!("{}/record-{}", self.unit.conversation.id, version.seq);
        let content = format!("[{what}] {}", slip(withheld));
        self.message(&Message::new(id, Author::Withheld, time, content), out.set);
        out.produced(cell, version)
    }

    fn entry(&mut self, entry: &Entry, out: &mut Out<'_>) -> Result<(), Error> {
        let conversation = &self.unit.conversation.id;
        if let Some(message) = &entry.message {
            let before = message.answers().map(|ts| format!("[in answer to the message {conversation}/{ts}] "));
            let id = format!("{conversation}/{}", message.key);
            let after = facts::files_not_here(entry, out.set.names);
            self.messages(message, &id, &before.unwrap_or_default(), &after, out)?;
        }
        for version in &entry.reactions {
            self.no_place("reactions", entry.time, &entry.cell, version, REACTIONS, out)?;
        }
        for family in &entry.files {
            self.file(entry, family, out)?;
            let name = family.name(family.file.latest());
            for comment in &family.comments {
                let id = format!("{conversation}/comment-{}", comment.key);
                let when = if !comment.is_dated() {
                    out.remark("time", &comment.cell, comment.latest(), NO_TIME)?;
                    ", at a time that the source does not say".to_owned()
                } else if self.within(comment.time) == comment.time {
                    String::new()
                } else {
                    format!(", at {}", out.set.request.zone.full_text(comment.time))
                };
                self.messages(comment, &id, &format!("[comment on the file {name}{when}] "), &[], out)?;
            }
        }
        if let Some(pins) = &entry.pins {
            self.no_place("list of pins", entry.time, &entry.cell, pins, PINS, out)?;
        }
        Ok(())
    }

    /// The readings of a message or of a comment, and what became of it. `before` stands before each text, `after`
    /// below the last.
    fn messages(
        &mut self,
        subject: &Subject,
        id: &str,
        before: &str,
        after: &[String],
        out: &mut Out<'_>,
    ) -> Result<(), Error> {
        let (set, latest, author) = (out.set, subject.latest(), subject.shown_author());
        let (names, zone, time) = (set.names, set.request.zone, self.within(subject.time));
        let edits: Vec<Option<UtcTime>> =
            subject.readings().map(|version| facts::edit(version).and_then(|edit| edit.at)).collect();
        let is_edited = edits.len() > 1 || facts::edit(latest).is_some();
        let mut reading = 0;
        for version in &subject.versions {
            let mut message = Message::new(id.to_owned(), author, time, before.to_owned());
            match version.role {
                Role::Reading => {
                    message.content.push_str(&self.xml.said(version, names, subject.time));
                    if version.seq == latest.seq {
                        message.updated = is_edited.then_some("EditedNewMsg");
                        message.updated_at = edits.get(reading).copied().flatten();
                        for what in after {
                            message.content.push_str(&format!("\n[{what}]"));
                        }
                    } else {
                        message.id = format!("{id}/record-{}", version.seq);
                        message.updated = Some("EditedOriginalMsg");
                        message.updated_at = edits.get(reading + 1).copied().flatten();
                        message.new_id = Some(id);
                    }
                    // LoginName is who wrote it first.
                    let other = facts::edit(version).filter(|edit| edit.by.is_some() && edit.by != author.id());
                    if let Some(edit) = other {
                        message.content.push_str(&format!("\n[{}]", edit.in_words(names, zone)));
                    }
                    reading += 1;
                }
                Role::Gone => {
                    let last = subject.before(version).map(|before| self.xml.said(before, names, subject.time));
                    let when = facts::gone(version);
                    message.updated = Some("Deleted");
                    message.updated_at = when.at;
                    let last = last.unwrap_or_default();
                    message.content = format!("delete {before}{last}\n[{}]", when.in_words(names, zone));
                }
                Role::Back => {
                    message.updated = Some("UpdatedNoMsgChange");
                    message.content.push_str(&self.xml.said(version, names, subject.time));
                    message.content.push_str(&back(version, set));
                }
                Role::Partial | Role::Shared => {
                    let why = if version.role == Role::Partial { PARTIAL } else { SHARED };
                    self.no_place("known in part", time, &subject.cell, version, why, out)?;
                    continue;
                }
            }
            self.message(&message, set);
            self.xml.remark(&subject.cell, version, out)?;
            if !facts::reactions(&version.body["reactions"]).is_empty() {
                out.remark("left out", &subject.cell, version, REACTIONS)?;
            }
            out.produced(&subject.cell, version)?;
        }
        Ok(())
    }

    /// The versions of a file: one transfer, and in messages what else they say.
    fn file(&mut self, entry: &Entry, family: &FileFamily, out: &mut Out<'_>) -> Result<(), Error> {
        let (set, file, author) = (out.set, &family.file, family.file.shown_author());
        let (names, zone) = (set.names, set.request.zone);
        let id = format!("{}/file-{}", self.unit.conversation.id, family.id());
        let first = file.readings().next().map(|version| version.seq);
        if entry.message.is_none() && !file.is_dated() {
            out.remark("time", &file.cell, file.latest(), NO_TIME)?;
        }
        for version in &file.versions {
            let name = family.name(version);
            let mut message = Message::new(id.clone(), author, entry.time, String::new());
            let mut content = Content::NotDue;
            match version.role {
                Role::Reading => {
                    let relative = format!("{}/files/{}-{}", self.folder, version.seq, safe(name));
                    content = out.copy_content(&relative, version)?;
                    if Some(version.seq) == first {
                        self.transfer(author, entry.time, name, &relative, &content, set);
                        if entry.message.is_none() && !file.is_dated() {
                            message.content = format!("[the file {name}: {NO_TIME}]");
                        }
                    } else {
                        let changed = facts::edit(version).and_then(|edit| edit.at);
                        message.time = changed.map_or(entry.time, |at| self.within(at));
                        message.content = later(name, version, changed, &relative, &content, set);
                    }
                    let title = version.body["title"].as_str().filter(|title| !title.is_empty() && *title != name);
                    let said = self.xml.said(version, names, file.time);
                    let said = Some(said.as_str()).filter(|said| !said.is_empty());
                    for (what, text) in [("title", title), ("comment with it", said)] {
                        if let Some(text) = text {
                            message.content.push_str(&format!("\n[{what} of the file {name}] {text}"));
                        }
                    }
                    message.id = format!("{id}/record-{}", version.seq);
                    message.content = message.content.trim_start().to_owned();
                }
                Role::Gone => {
                    let gone = facts::gone(version);
                    let last = file.before(version).map_or(family.id(), |before| family.name(before));
                    message.updated = Some("FileDeleted");
                    message.updated_at = gone.at;
                    message.content = format!("delete {last}\n[{}]", gone.in_words(names, zone));
                }
                Role::Back => {
                    message.updated = Some("UpdatedNoMsgChange");
                    message.content = format!("{name}{}", back(version, set));
                }
                Role::Partial | Role::Shared => {
                    let why = if version.role == Role::Partial { PARTIAL } else { SHARED };
                    self.no_place("of a file", entry.time, &file.cell, version, why, out)?;
                    continue;
                }
            }
            if !message.content.is_empty() {
                self.message(&message, set);
            }
            self.xml.remark(&file.cell, version, out)?;
            out.produced_with(&file.cell, version, &content)?;
        }
        Ok(())
    }

    fn transfer(
        &mut self,
        author: Author<'_>,
        time: UtcTime,
        name: &str,
        path: &str,
        content: &Content,
        set: &Set<'_>,
    ) {
        let is_there = matches!(content, Content::Written(_));
        let xml = &mut self.xml;
        for (element, status) in [("FileTransferStarted", None), ("FileTransferEnded", Some(is_there))] {
            xml.raw(&format!("    <{element}>\n"));
            xml.element("      ", "LoginName", login(author, time, set));
            xml.element("      ", "DateTimeUTC", &millis(time));
            xml.element("      ", "UserFileName", name);
            xml.element("      ", "FileName", if is_there { path } else { "" });
            if let Some(is_there) = status {
                xml.element("      ", "Status", if is_there { "Completed" } else { "Failed" });
            }
            xml.raw(&format!("    </{element}>\n"));
        }
    }
}

fn back(version: &Version, set: &Set<'_>) -> String {
    format!("\n[it is back, as it was before; seen again at {}]", set.request.zone.full_text(version.observed()))
}

/// How a file reads later.
fn later(
    name: &str,
    version: &Version,
    changed: Option<UtcTime>,
    path: &str,
    content: &Content,
    set: &Set<'_>,
) -> String {
    let zone = set.request.zone;
    let since = match changed {
        Some(at) => format!("changed at {}, as the server says", zone.full_text(at)),
        None => format!("first seen so at {}", zone.full_text(version.observed())),
    };
    let what = match content {
        Content::Written(written) => {
            format!("; its content is {path}, {} bytes, SHA-256 {}", written.size, written.sha256)
        }
        Content::Missing(why) => format!("; {why}"),
        Content::NotDue => String::new(),
    };
    format!("[the file {name}, {since}, in place of the one before{what}]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_and_goes_is_there_in_between() {
        let at = |second| UtcTime::from_timestamp(second, 0).unwrap_or_default();
        let of = |is_member: bool, moves: &[(i64, bool)]| -> Vec<(i64, i64)> {
            let moves: Vec<_> = moves.iter().map(|(second, comes)| (at(*second), *comes)).collect();
            let spells = spells(is_member, &moves, at(0), at(100));
            spells.into_iter().map(|(from, to)| (from.timestamp(), to.timestamp())).collect()
        };
        assert_eq!(of(true, &[]), [(0, 100)]);
        assert_eq!(of(false, &[]), []);
        assert_eq!(of(true, &[(10, true)]), [(10, 100)]);
        assert_eq!(of(true, &[(10, false)]), [(0, 10)]);
        assert_eq!(of(false, &[(10, true), (20, false), (30, true)]), [(10, 20), (30, 100)]);
        assert_eq!(of(true, &[(10, false), (20, false)]), [(0, 10)]);
    }
}
