//! Atom (RFC 4287): an archived feed for each conversation (RFC 5005, section 4). `feed.atom` is the current
//! document and holds the last month; each month before it is `YYYY-MM.atom`, and `prev-archive` and
//! `next-archive` lead from one to the other. Months are those of the zone of the set. A volume has feeds of its
//! own, with the same ids.
//!
//! An entry is a message, a file that no message shows, or a comment; an answer is `in-reply-to` what it answers, a
//! comment on a file its file (RFC 4685). `published` is when the server says that it was written, and is left out
//! where it does not; `updated` is when it says that it was edited, else as `published`, else when the archive first
//! saw it, and `ta:time` says so. What is gone is a tombstone (RFC 6721). That needs a `when`: it is the server's
//! own word where there is one, and else the moment at which the archive first found it missing, which is the
//! latest that it can have been; `at:comment` then says both bounds in words. Earlier versions, records behind a
//! tombstone, ids of people, reactions and pins are elements of the namespace `urn:x-teamchat-archive:atom:1`, which
//! readers of feeds pass over.
//!
//! Entries of a month lie in one file beside the bag until the month is over. `CONVERSATIONS.csv` tells which
//! folder is which conversation.

use std::io::{Read as _, Seek as _, SeekFrom, Write as _};

use fs_err::File;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Format;
use super::xml::Xml;
use crate::export::Error;
use crate::export::facts::{self, Author};
use crate::export::out::{Content, Out, Set};
use crate::export::paths::safe;
use crate::export::table::line;
use crate::export::unit::{Cell, Conversation, Entry, FileFamily, Role, Subject, Unit, Version};
use crate::export::withhold::slip;
use crate::model::{Digest, UtcTime, rfc3339};

const NAMESPACES: &str = "xmlns=\"http://www.w3.org/2005/Atom\" xmlns:fh=\"http://purl.org/syndication/history/1.0\" \
     xmlns:at=\"http://purl.org/atompub/tombstones/1.0\" xmlns:thr=\"http://purl.org/syndication/thread/1.0\" \
     xmlns:ta=\"urn:x-teamchat-archive:atom:1\"";
/// Characters of a title.
const TITLE: usize = 80;
const INDEX: &str = "CONVERSATIONS.csv";
const NO_TIME: &str = "the source does not say when it was made; `updated` is when the archive first saw it";

/// A month of a feed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Month {
    /// `2026-03`.
    name: String,
    /// Where its entries begin, and where they end.
    from: u64,
    to: u64,
    /// When the newest thing in it was updated.
    updated: String,
    /// The feed's id, its title and its subtitle.
    id: String,
    title: String,
    subtitle: String,
    folder: String,
    /// The conversation's own id, and what it is.
    conversation: String,
    kind: String,
    /// The month before it.
    previous: Option<String>,
}

/// See the module.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Atom {
    /// The month before the one that is being written: whether that becomes an archive, too, is not known.
    held: Option<Month>,
    month: Option<Month>,
    /// Bytes of entries in the volume.
    bytes: u64,
}

impl Format for Atom {
    fn begin(&mut self, out: &mut Out<'_>) -> Result<(), Error> {
        *self = Self::default();
        out.append(INDEX, line(&["folder", "conversation_id", "conversation_type", "name"]).as_bytes())
    }

    fn unit(&mut self, unit: &Unit, out: &mut Out<'_>) -> Result<(), Error> {
        let name = unit.day.format("%Y-%m").to_string();
        let folder = folder(&unit.conversation);
        let mut previous = None;
        if let Some(month) = &self.month {
            if month.folder != folder {
                self.end_feed(out)?;
            } else if month.name != name {
                previous = Some(month.name.clone());
                self.end_month(out)?;
            }
        }
        let bytes = self.bytes;
        let month = self.month.get_or_insert_with(|| Month {
            name,
            from: bytes,
            to: bytes,
            updated: String::new(),
            id: feed_id(out.set, &unit.conversation),
            title: String::new(),
            subtitle: String::new(),
            folder,
            conversation: unit.conversation.id.to_string(),
            kind: if unit.conversation.is_direct { "direct" } else { "channel" }.to_owned(),
            previous,
        });
        // As it was called last in the month.
        for (now, called) in
            [(&mut month.title, &unit.conversation.name), (&mut month.subtitle, &unit.conversation.topic)]
        {
            if now != called {
                let mut xml = Xml::default();
                xml.text(called);
                xml.remark_above(" in the name or the topic of the conversation", &unit.entries, out)?;
                now.clone_from(called);
            }
        }
        for entry in &unit.entries {
            let mut writer = Writer {
                xml: Xml::default(),
                beside: Xml::default(),
                feed: &month.id,
                folder: &month.folder,
                updated: String::new(),
            };
            writer.entry(entry, out)?;
            let path = spool(out);
            let file = out.bag.growing(&path)?;
            file.write_all(writer.xml.text.as_bytes()).map_err(file.error())?;
            let (written, updated) = (writer.xml.text.len() as u64, writer.updated);
            self.bytes += written;
            month.to = self.bytes;
            month.updated = std::mem::take(&mut month.updated).max(updated);
        }
        Ok(())
    }

    fn end(&mut self, out: &mut Out<'_>) -> Result<(), Error> {
        self.end_feed(out)?;
        for path in [spool(out), out.path(INDEX)] {
            out.bag.grown(&path)?;
        }
        Ok(())
    }

    fn state(&self) -> Value {
        json!(self)
    }

    fn resume(&mut self, state: &Value) {
        *self = Self::deserialize(state).unwrap_or_default();
    }

    fn growth(&self) -> (u64, u64) {
        (3, 1)
    }

    fn pending_bytes(&self) -> u64 {
        [&self.held, &self.month].into_iter().flatten().map(|month| month.to - month.from).sum()
    }
}

fn spool(out: &Out<'_>) -> String {
    format!("work/atom-{}.entries", out.volume)
}

fn feed_id(set: &Set<'_>, conversation: &Conversation) -> String {
    format!("urn:x-teamchat-archive:{}:{}", set.archive(), encoded(conversation.id.as_str()))
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// The folder of a feed, the same whatever the conversation is called in a month: links between months are
/// relative.
fn folder(conversation: &Conversation) -> String {
    let digest = Digest::of(conversation.id.as_str().as_bytes()).to_string();
    format!("conversation-{}", &digest[..16])
}

impl Atom {
    /// Another month of the feed begins.
    fn end_month(&mut self, out: &mut Out<'_>) -> Result<(), Error> {
        let Some(month) = self.month.take() else { return Ok(()) };
        if let Some(held) = self.held.replace(month.clone()) {
            document(&held, true, Some(&month.name), out)?;
        }
        Ok(())
    }

    /// The feed has no more: its last month is the current document.
    fn end_feed(&mut self, out: &mut Out<'_>) -> Result<(), Error> {
        if let Some(held) = self.held.take() {
            document(&held, true, None, out)?;
        }
        if let Some(month) = self.month.take() {
            document(&month, false, None, out)?;
            let row = line(&[&month.folder, &month.conversation, &month.kind, &month.title]);
            out.append(INDEX, row.as_bytes())?;
        }
        Ok(())
    }
}

/// Writes the document of a month.
fn document(month: &Month, is_archive: bool, next: Option<&str>, out: &mut Out<'_>) -> Result<(), Error> {
    let path = spool(out);
    let place = out.bag.folder().join(&path);
    out.bag.growing(&path)?.flush().map_err(Error::file("write", &place))?;
    let own = if is_archive { format!("{}.atom", month.name) } else { "feed.atom".to_owned() };
    let mut xml = Xml::default();
    xml.raw(&format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<feed {NAMESPACES}>\n"));
    xml.element("  ", "id", &month.id);
    xml.element("  ", "title", if month.title.is_empty() { "(no name)" } else { &month.title });
    if !month.subtitle.is_empty() {
        xml.element("  ", "subtitle", &month.subtitle);
    }
    xml.element("  ", "updated", &month.updated);
    xml.element("  ", "generator", env!("CARGO_PKG_NAME"));
    link(&mut xml, "self", &own);
    if is_archive {
        xml.raw("  <fh:archive/>\n");
        link(&mut xml, "current", "feed.atom");
    }
    if let Some(previous) = &month.previous {
        link(&mut xml, "prev-archive", &format!("{previous}.atom"));
    }
    if let Some(next) = next {
        link(&mut xml, "next-archive", &format!("{next}.atom"));
    }
    let mut file = out.create(&format!("{}/{own}", month.folder))?;
    file.write_all(xml.text.as_bytes()).map_err(file.error())?;
    let mut entries = File::open(&place).map_err(Error::file("read", &place))?;
    entries.seek(SeekFrom::Start(month.from)).map_err(Error::file("read", &place))?;
    std::io::copy(&mut entries.take(month.to - month.from), &mut file).map_err(file.error())?;
    file.write_all(b"</feed>\n").map_err(file.error())?;
    out.bag.list(file)?;
    Ok(())
}

fn link(xml: &mut Xml, relation: &str, address: &str) {
    xml.raw("  <link");
    xml.attribute("rel", relation);
    xml.attribute("type", "application/atom+xml");
    xml.attribute("href", address);
    xml.raw("/>\n");
}

/// The server's word for when it went, else the moment at which it was first found missing.
fn when(version: &Version) -> UtcTime {
    let gone = facts::gone(version);
    gone.at.or(gone.first_missing).unwrap_or_else(|| version.observed())
}

/// The first line of a text, short.
fn title(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("(no text)");
    let mut short: String = line.chars().take(TITLE).collect();
    if short.len() < line.len() {
        short.push('…');
    }
    short
}

/// A relative address of a path.
fn address(path: &str) -> String {
    path.split('/').map(encoded).collect::<Vec<_>>().join("/")
}

/// Begins an element of our namespace for a record.
fn record(xml: &mut Xml, element: &str, version: &Version, more: &[(&str, &str)]) {
    xml.raw(&format!("    <ta:{element}"));
    xml.attribute("record", &version.seq.to_string());
    xml.attribute("version", &version.number.to_string());
    xml.attribute("observed", &version.record.header.observed_at);
    let edit = facts::edit(version);
    let (at, by) = (edit.and_then(|edit| edit.at).map(rfc3339), edit.and_then(|edit| edit.by));
    let edited = [("edited", at.as_deref()), ("edited-by", by)];
    let edited = edited.into_iter().filter_map(|(name, value)| Some((name, value?)));
    for (name, value) in edited.chain(more.iter().copied()) {
        xml.attribute(name, value);
    }
    xml.raw(">");
}

/// The reactions that a record lists, if it does.
fn reactions(xml: &mut Xml, version: &Version, list: &Value, time: UtcTime, set: &Set<'_>) {
    let words = match &version.withheld {
        Some(withheld) => slip(withheld),
        None => facts::reactions_in_words(list, set.names, time),
    };
    record(xml, "reactions", version, &[]);
    xml.text(&words);
    xml.raw("</ta:reactions>\n");
}

fn own_reactions(xml: &mut Xml, version: &Version, time: UtcTime, set: &Set<'_>) {
    let list = &version.body["reactions"];
    if !facts::reactions(list).is_empty() {
        reactions(xml, version, list, time, set);
    }
}

/// Writes the entries of a feed.
struct Writer<'a> {
    xml: Xml,
    /// What stands in the next entry beside what its subject says: links to contents, and elements of our namespace.
    beside: Xml,
    feed: &'a str,
    folder: &'a str,
    /// When the newest of them was updated.
    updated: String,
}

impl Writer<'_> {
    fn entry(&mut self, entry: &Entry, out: &mut Out<'_>) -> Result<(), Error> {
        let mut comments = Vec::new();
        if let Some(message) = &entry.message {
            let id = format!("{}:message:{}", self.feed, message.key);
            for family in &entry.files {
                self.file(family, out)?;
                comments.push((family, id.clone()));
            }
            self.files_not_here(entry);
            for version in &entry.reactions {
                reactions(&mut self.beside, version, &version.body, message.time, out.set);
                self.beside.remark(&entry.cell, version, out)?;
                out.produced(&entry.cell, version)?;
            }
            let answers = message.answers().map(|ts| format!("{}:message:{ts}", self.feed));
            self.subject(message, &id, answers.as_deref(), out)?;
        } else {
            for family in &entry.files {
                let id = format!("{}:file:{}", self.feed, encoded(family.id()));
                self.file(family, out)?;
                let file = &family.file;
                let latest = file.latest();
                let said = self.xml.said(latest, out.set.names, file.time);
                let mut lines = vec![family.name(latest), latest.body["title"].as_str().unwrap_or_default(), &said];
                lines.retain(|line| !line.is_empty());
                lines.dedup();
                self.standing(file, &id, &lines.join("\n"), None, out)?;
                comments.push((family, id));
            }
        }
        for (family, parent) in comments {
            for comment in &family.comments {
                let id = format!("{}:comment:{}", self.feed, encoded(&comment.key));
                self.subject(comment, &id, Some(&parent), out)?;
            }
        }
        if let Some(pins) = &entry.pins {
            self.pins(pins, &entry.cell, out)?;
        }
        Ok(())
    }

    fn files_not_here(&mut self, entry: &Entry) {
        let before = entry.given_before.iter().map(|id| ("before", id.as_str(), None));
        let elsewhere = entry.given_elsewhere.iter().map(|(id, channel)| ("elsewhere", id.as_str(), Some(channel)));
        let nowhere = entry.not_given.iter().map(|id| ("nowhere", id.as_str(), None));
        for (place, id, channel) in before.chain(elsewhere).chain(nowhere) {
            self.beside.raw(&format!("    <ta:file-given-{place}"));
            self.beside.attribute("id", id);
            if let Some(channel) = channel {
                self.beside.attribute("conversation", channel.as_str());
            }
            self.beside.raw("/>\n");
        }
    }

    /// A message or a comment with all its records.
    fn subject(&mut self, subject: &Subject, id: &str, answers: Option<&str>, out: &mut Out<'_>) -> Result<(), Error> {
        let (set, latest) = (out.set, subject.latest());
        for version in &subject.versions {
            let is_entry = version.seq == latest.seq && !subject.is_gone;
            if !is_entry {
                self.other(subject, version, set);
            }
            self.beside.remark(&subject.cell, version, out)?;
        }
        let text = self.xml.said(latest, set.names, subject.time);
        self.standing(subject, id, &text, answers, out)?;
        out.produced_all(subject)
    }

    /// A record that is not the entry itself.
    fn other(&mut self, subject: &Subject, version: &Version, set: &Set<'_>) {
        let xml = &mut self.beside;
        if version.role == Role::Gone {
            let of = subject.before(version).map(|before| before.seq.to_string()).unwrap_or_default();
            record(xml, "gone", version, &[("of", &of)]);
            xml.text(&facts::gone(version).in_words(set.names, set.request.zone));
            xml.raw("</ta:gone>\n");
            return;
        }
        let said = xml.said(version, set.names, subject.time);
        record(xml, "version", version, &[("as", subject.state_of(version))]);
        xml.text(&said);
        xml.raw("</ta:version>\n");
        own_reactions(xml, version, subject.time, set);
    }

    /// An entry, or a tombstone of what is gone, with what was put beside it.
    fn standing(
        &mut self,
        subject: &Subject,
        id: &str,
        text: &str,
        answers: Option<&str>,
        out: &mut Out<'_>,
    ) -> Result<(), Error> {
        let (set, latest, author) = (out.set, subject.latest(), subject.shown_author());
        let name = author.id().map_or(author.or_words(), |id| set.names.name(id, subject.time));
        let time = rfc3339(subject.time);
        let published = subject.is_dated().then_some(time.as_str());
        let last_gone = subject.deletions().last().filter(|_| subject.is_gone);
        let edited = facts::edit(latest).and_then(|edit| edit.at);
        let updated = last_gone.map(when).or(edited).map_or_else(|| time.clone(), rfc3339);
        let xml = &mut self.xml;
        if let Some(gone) = last_gone {
            xml.raw("  <at:deleted-entry");
            xml.attribute("ref", id);
            xml.attribute("when", &updated);
            xml.raw(">\n");
            xml.element("    ", "at:comment", &facts::gone(gone).in_words(set.names, set.request.zone));
            if let Some(published) = published {
                xml.element("    ", "ta:published", published);
            }
        } else {
            xml.raw("  <entry>\n");
            xml.element("    ", "id", id);
            xml.element("    ", "title", &title(text));
            if let Some(published) = published {
                xml.element("    ", "published", published);
            }
            xml.element("    ", "updated", &updated);
            xml.raw("    <author>\n");
            xml.element("      ", "name", name);
            let person = author.id().and_then(|id| set.names.person(id, subject.time));
            if let Some(person) = person.filter(|person| person.email.contains('@')) {
                xml.element("      ", "email", &person.email);
            }
            xml.raw("    </author>\n");
        }
        if published.is_none() {
            xml.element("    ", "ta:time", NO_TIME);
            out.remark("time", &subject.cell, latest, NO_TIME)?;
        }
        xml.raw("    <ta:author");
        if let Author::Known(id) = author {
            xml.attribute("id", id);
        }
        xml.raw(">");
        xml.text(name);
        xml.raw("</ta:author>\n");
        if let Some(parent) = answers {
            xml.raw("    <thr:in-reply-to");
            xml.attribute("ref", parent);
            xml.raw("/>\n");
        }
        if last_gone.is_none() {
            xml.raw("    <content type=\"text\">");
            xml.text(text);
            xml.raw("</content>\n");
            record(xml, "record", latest, &[]);
            xml.raw("</ta:record>\n");
            own_reactions(xml, latest, subject.time, set);
        }
        xml.raw(&std::mem::take(&mut self.beside).text);
        xml.raw(if last_gone.is_some() { "  </at:deleted-entry>\n" } else { "  </entry>\n" });
        xml.remark(&subject.cell, latest, out)?;
        self.updated = std::mem::take(&mut self.updated).max(updated);
        Ok(())
    }

    /// The versions of a file: links to contents, and what each says.
    fn file(&mut self, family: &FileFamily, out: &mut Out<'_>) -> Result<(), Error> {
        let (set, file) = (out.set, &family.file);
        let latest = file.latest();
        let xml = &mut self.beside;
        for version in &file.versions {
            let name = family.name(version);
            let mut content = Content::NotDue;
            match version.role {
                Role::Gone => {
                    let of = file.before(version).map(|before| before.seq.to_string()).unwrap_or_default();
                    record(xml, "file-gone", version, &[("id", family.id()), ("of", &of)]);
                    xml.text(&facts::gone(version).in_words(set.names, set.request.zone));
                    xml.raw("</ta:file-gone>\n");
                }
                Role::Shared => {
                    record(xml, "file-shared", version, &[("id", family.id())]);
                    let words = match &version.withheld {
                        Some(withheld) => slip(withheld),
                        None => facts::places_in_words(version, &set.request.scope, set.names),
                    };
                    xml.text(&words);
                    xml.raw("</ta:file-shared>\n");
                }
                _ => {
                    let path = format!("files/{}-{}", version.seq, safe(name));
                    content = out.copy_content(&format!("{}/{path}", self.folder), version)?;
                    let href = address(&path);
                    let mut more = vec![("id", family.id()), ("as", file.state_of(version))];
                    let (mut sha256, mut size) = (String::new(), String::new());
                    if let Content::Written(written) = &content {
                        (sha256, size) = (written.sha256.to_string(), written.size.to_string());
                        more.extend([("href", href.as_str()), ("sha256", sha256.as_str())]);
                    }
                    if let Content::Missing(why) = &content {
                        more.push(("missing", why.as_str()));
                    }
                    let title = version.body["title"].as_str().filter(|title| !title.is_empty() && *title != name);
                    let said = xml.said(version, set.names, file.time);
                    let said = Some(said.as_str()).filter(|said| !said.is_empty());
                    for (what, text) in [("title", title), ("comment", said)] {
                        more.extend(text.map(|text| (what, text)));
                    }
                    record(xml, "file", version, &more);
                    xml.text(name);
                    xml.raw("</ta:file>\n");
                    if version.seq == latest.seq && !sha256.is_empty() {
                        xml.raw("    <link");
                        for (name, value) in [("rel", "enclosure"), ("title", name), ("length", &size), ("href", &href)]
                        {
                            xml.attribute(name, value);
                        }
                        xml.raw("/>\n");
                    }
                }
            }
            xml.remark(&file.cell, version, out)?;
            out.produced_with(&file.cell, version, &content)?;
        }
        Ok(())
    }

    /// A list of pins stands in the feed, not in an entry.
    fn pins(&mut self, pins: &Version, cell: &Cell, out: &mut Out<'_>) -> Result<(), Error> {
        let (set, time) = (out.set, pins.observed());
        let words = if let Some(withheld) = &pins.withheld {
            slip(withheld)
        } else {
            let plain = |text: &str| self.xml.plain(text, set.names, time);
            facts::pins_in_words(pins, set.names, set.request.zone, plain).join("\n")
        };
        record(&mut self.xml, "pins", pins, &[("account", &pins.record.header.account)]);
        self.xml.text(&words);
        self.xml.raw("</ta:pins>\n");
        self.xml.remark(cell, pins, out)?;
        self.updated = std::mem::take(&mut self.updated).max(pins.record.header.observed_at.clone());
        out.produced(cell, pins)
    }
}
