//! What became of each record: an event, or something that an event carries.
//!
//! | in the archive | in the manifest |
//! |---|---|
//! | a message | a `message`; `join` and `leave` in channels; `history` for topic, purpose, name and the like |
//! | its readings | `edits`, with the text before and after, the time and the person that the source says |
//! | a note that it is gone | `deleted`, and a pair with the time the source gave, or between which looks |
//! | reactions | `reactions` as last seen, and a pair for each list that was seen before |
//! | a file | `attachments` of its message, each version's content, and a pair for each record |
//! | a comment on a file | a `message` whose `parent` is the event that brings the file |
//! | a list of pins | an `unknown` event at the time when the archive was shown it |
//!
//! The schema wants somebody for every edit. Where the source says of none who edited, it is the participant
//! [`NOT_STATED`]: the author may be another.

use std::collections::HashMap;

use serde::Serialize;

use super::MAX_CONTENT;
use super::container::encoded;
use super::manifest::within;
use crate::export::Error;
use crate::export::facts::{self, Author};
use crate::export::formats::plain::{plain, said};
use crate::export::out::{Out, no_content};
use crate::export::paths::safe;
use crate::export::unit::{Blob, Entry, FileFamily, Role, Subject, Unit, Version};
use crate::export::withhold::slip;
use crate::model::{ChannelId, Digest, RecordSeq, UtcTime, Zone};

/// Stands where the records name nobody, or nobody who may be shown.
pub(super) const NOT_STATED: &str = "teamchat-archive:not-stated";

/// How such a participant is shown.
pub(super) const NOT_STATED_DISPLAY: &str = "(not stated)";

/// What the id of a program begins with that the source gives no account: its own name follows, and is nobody's id.
pub(super) const POSTED_AS: &str = "posted-as:";

/// A name and a value that the schema does not know. Neither is empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Pair {
    name: String,
    value: String,
}

impl Pair {
    /// The pair, or none where there is nothing to say.
    pub(super) fn of(name: impl Into<String>, value: impl Into<String>) -> Option<Self> {
        let (name, value) = (name.into(), value.into());
        (!name.is_empty() && !value.is_empty()).then_some(Self { name, value })
    }

    /// As the transcript has it.
    pub(super) fn line(&self) -> (&str, &str) {
        (&self.name, &self.value)
    }
}

/// A reaction and who gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reaction {
    pub(super) value: String,
    pub(super) count: u64,
    pub(super) actors: Vec<String>,
}

/// A content that goes into the zip.
#[derive(Debug, Clone)]
pub(super) struct Attachment {
    /// Its name in the zip.
    pub(super) entry: String,
    pub(super) display: String,
    pub(super) blob: Blob,
}

/// A change of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Edit {
    pub(super) actor: String,
    /// When, if the source says.
    pub(super) time: Option<UtcTime>,
    /// How it read before; `None` when it was first seen after the edit.
    pub(super) previous: Option<String>,
    pub(super) new: String,
}

/// An event of the conversation.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) id: String,
    pub(super) kind: &'static str,
    pub(super) time: UtcTime,
    pub(super) parent: Option<String>,
    pub(super) actor: String,
    pub(super) body: String,
    pub(super) is_deleted: bool,
    pub(super) reactions: Vec<Reaction>,
    pub(super) attachments: Vec<Attachment>,
    pub(super) edits: Vec<Edit>,
    pub(super) custom: Vec<Pair>,
    /// It is none of the source: see [`super::members`].
    pub(super) is_synthesized: bool,
}

impl Event {
    /// An event with nothing but its place.
    pub(super) fn new(id: String, kind: &'static str, time: UtcTime, actor: &str) -> Self {
        Self {
            id,
            kind,
            time: within(time),
            parent: None,
            actor: if actor.is_empty() { NOT_STATED } else { actor }.to_owned(),
            body: String::new(),
            is_deleted: false,
            reactions: Vec::new(),
            attachments: Vec::new(),
            edits: Vec::new(),
            custom: Vec::new(),
            is_synthesized: false,
        }
    }

    fn pair(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.custom.extend(Pair::of(name, value));
    }

    /// Bytes of its contents.
    pub(super) fn bytes(&self) -> u64 {
        self.attachments.iter().map(|file| file.blob.size).sum()
    }
}

/// Makes the events of a unit, and says of each of its records what became of it.
pub(super) fn of(unit: &Unit, out: &mut Out<'_>) -> Result<Vec<Event>, Error> {
    let mut maker = Maker {
        zone: out.set.request.zone,
        prefix: Digest::of(unit.conversation.id.as_str().as_bytes()).to_string()[..8].to_owned(),
        unit,
        out,
        bringers: HashMap::new(),
    };
    let mut events = Vec::with_capacity(unit.entries.len());
    for entry in &unit.entries {
        maker.entry(entry, &mut events)?;
    }
    Ok(events)
}

struct Maker<'m, 'o> {
    zone: Zone,
    /// What every id begins with: an event of another conversation never has the same.
    prefix: String,
    unit: &'m Unit,
    out: &'m mut Out<'o>,
    /// The events that bring the files.
    bringers: HashMap<String, String>,
}

impl Maker<'_, '_> {
    fn text(&self, version: &Version, time: UtcTime) -> String {
        said(version, self.out.set.names, time)
    }

    fn entry(&mut self, entry: &Entry, events: &mut Vec<Event>) -> Result<(), Error> {
        let mut head = match (&entry.message, entry.files.first()) {
            (Some(message), _) => Some(self.message(entry, message)?),
            (None, Some(family)) => Some(self.lone_file(entry, family)),
            (None, None) => None,
        };
        if let Some(event) = &mut head {
            self.reactions(entry, event)?;
        }
        let mut comments = Vec::new();
        for (n, family) in entry.files.iter().enumerate() {
            let Some(event) = &mut head else { continue };
            self.bringers.insert(family.id().to_owned(), event.id.clone());
            self.file(n + 1, family, event)?;
            for comment in &family.comments {
                comments.push(self.comment(family, comment, event)?);
            }
        }
        events.extend(head);
        events.append(&mut comments);
        if let Some(pins) = &entry.pins {
            events.push(self.pins(entry, pins)?);
        }
        Ok(())
    }

    fn message(&mut self, entry: &Entry, message: &Subject) -> Result<Event, Error> {
        let latest = message.latest();
        let subtype = latest.body["subtype"].as_str().unwrap_or_default();
        let actor = actor(message);
        // Nobody comes into a conversation of two, or leaves it, for a manifest.
        let is_move = !self.unit.conversation.is_direct && !actor.is_empty();
        let kind = match subtype {
            "channel_join" | "group_join" if is_move => "join",
            "channel_leave" | "group_leave" if is_move => "leave",
            "pinned_item" | "unpinned_item" => "history",
            _ if subtype.starts_with("channel_") || subtype.starts_with("group_") => "history",
            _ => "message",
        };
        let mut event = Event::new(format!("{}-m-{}", self.prefix, message.key), kind, message.time, &actor);
        event.pair("ts", message.key.as_str());
        event.pair("subtype", subtype);
        event.pair("posted_as", latest.body["username"].as_str().unwrap_or_default());
        self.subject(message, &mut event)?;
        if latest.withheld.is_none() {
            let elsewhere = entry.given_elsewhere.iter().map(|(file, channel)| format!("{file} in {channel}"));
            event.pair("files_given_before", entry.given_before.join(", "));
            event.pair("files_given_in_another_conversation", elsewhere.collect::<Vec<_>>().join(", "));
            event.pair("files_not_given", entry.not_given.join(", "));
        }
        if let Some(ts) = facts::answers(latest) {
            event.pair("answers_ts", ts);
            event.parent = Some(format!("{}-m-{ts}", self.prefix));
        } else if subtype == "file_comment" {
            event.parent = entry.given_before.iter().find_map(|file| self.bringers.get(file)).cloned();
        }
        event.pair("comment", latest.body["comment"]["id"].as_str().unwrap_or_default());
        Ok(event)
    }

    /// A file that no message in scope shows.
    fn lone_file(&self, entry: &Entry, family: &FileFamily) -> Event {
        let id = format!("{}-f-{}", self.prefix, family.id());
        let mut event = Event::new(id, "message", entry.time, &actor(&family.file));
        let latest = family.file.latest();
        event.body = self.text(latest, entry.time);
        event.is_deleted = family.file.is_gone;
        event.pair("stands_for", "a file that no message of this set shows");
        if !family.file.is_dated() {
            event.pair("timestamp_is", "when the archive first saw it; the source gives no time");
        }
        event
    }

    fn comment(&mut self, family: &FileFamily, comment: &Subject, head: &Event) -> Result<Event, Error> {
        let id = format!("{}-c-{}", self.prefix, comment.key);
        let mut event = Event::new(id, "message", comment.time, &actor(comment));
        event.parent = Some(head.id.clone());
        // The source gives whole seconds for a comment, and a message has digits after them that only number it:
        // in one second, the comment comes after what it hangs on.
        if event.time.timestamp() == head.time.timestamp() {
            event.time = event.time.max(head.time);
        }
        event.pair("comment_on_file", family.id());
        event.pair("comment", comment.key.rsplit('/').next().unwrap_or_default());
        if !comment.is_dated() {
            event.pair("timestamp_is", "when the archive first saw it; the source gives no time");
        }
        self.subject(comment, &mut event)?;
        Ok(event)
    }

    /// Text, edits, disappearances and provenance of a message or a comment.
    fn subject(&mut self, subject: &Subject, event: &mut Event) -> Result<(), Error> {
        let time = subject.time;
        event.body = self.text(subject.latest(), time);
        event.is_deleted = subject.is_gone;
        let readings: Vec<&Version> = subject.readings().collect();
        for (n, version) in readings.iter().enumerate() {
            let before = n.checked_sub(1).map(|n| readings[n]);
            self.edit(subject, before, version, event);
        }
        for (n, version) in subject.versions.iter().enumerate() {
            self.provenance(n + 1, version, event);
            match version.role {
                Role::Reading => {}
                Role::Partial => {
                    let text = self.text(version, time);
                    let text = if text.is_empty() { "(no text)".to_owned() } else { text };
                    event.pair(numbered("known_in_part", n + 1), text);
                }
                _ => event.pair(numbered("note", n + 1), self.note(subject, version)),
            }
            self.out.produced(&subject.cell, version)?;
        }
        Ok(())
    }

    /// The edit that led to a reading: after another one, or one that the source tells of. What changed in what is
    /// not shown is not said.
    fn edit(&self, subject: &Subject, before: Option<&Version>, version: &Version, event: &mut Event) {
        let stated = facts::edit(version);
        let is_new = stated.is_some() && before.is_none_or(|before| facts::edit(before) != stated);
        let is_hidden = before.into_iter().chain([version]).any(|version| version.withheld.is_some());
        if !is_new && (before.is_none() || is_hidden) {
            return;
        }
        let new = self.text(version, subject.time);
        let previous = before.map(|before| self.text(before, subject.time));
        if !is_new && previous.as_ref() == Some(&new) {
            event.pair(
                format!("change_in_record_{}", version.seq),
                "it reads as before, and something beside the text is another",
            );
            return;
        }
        let place = event.edits.len() + 1;
        let (time, actor) = stated.filter(|_| is_new).map_or((None, None), |edit| (edit.at, edit.by));
        let in_order = time.filter(|time| *time >= subject.time).map(within);
        match (time, in_order) {
            (Some(_), Some(_)) => {}
            (Some(time), None) => {
                event.pair(
                    format!("edit_{place}_time"),
                    format!("{}, as the source says, before it was written", self.zone.full_text(time)),
                );
            }
            (None, _) => {
                let seen = self.zone.full_text(version.observed());
                event.pair(format!("edit_{place}_time"), format!("not stated; first seen so at {seen}"));
            }
        }
        if actor.is_none() {
            event.pair(format!("edit_{place}_by"), "not stated");
        }
        event.edits.push(Edit { actor: actor.unwrap_or(NOT_STATED).to_owned(), time: in_order, previous, new });
    }

    /// Which record it is, for whoever looks for it in the archive.
    fn provenance(&self, n: usize, version: &Version, event: &mut Event) {
        event.pair(numbered("record", n), version.seq.to_string());
        event.pair(numbered("version", n), version.number.to_string());
        event.pair(numbered("observed_at", n), self.zone.full_text(version.observed()));
        if let Some(withheld) = &version.withheld {
            event.pair(numbered("withheld", n), slip(withheld));
        }
    }

    /// What a record says that is no reading.
    fn note(&self, subject: &Subject, version: &Version) -> String {
        match version.role {
            Role::Gone => {
                let gone = facts::gone(version);
                let before = subject.before(version).filter(|_| subject.readings().count() > 1);
                [
                    Some(gone.in_words(self.out.set.names, self.zone)),
                    before.map(|before| format!("it then read as in record {}", before.seq)),
                    gone.evidence().map(|evidence| format!("the evidence: {evidence}")),
                ]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join("; ")
            }
            Role::Back => {
                format!("there again, as it was before, when looked at {}", self.zone.full_text(version.observed()))
            }
            Role::Shared => {
                let places = facts::places(version, &self.out.set.request.scope);
                let places: Vec<&str> = places.iter().map(ChannelId::as_str).collect();
                let place = if places.is_empty() { "one that is not named here".to_owned() } else { places.join(", ") };
                format!("seen in another conversation, reading as before: {place}")
            }
            Role::Reading | Role::Partial => String::new(),
        }
    }

    /// The list of reactions that stands, and every other one that was seen.
    fn reactions(&mut self, entry: &Entry, event: &mut Event) -> Result<(), Error> {
        let (names, time) = (self.out.set.names, event.time);
        let (shown, reactions) = standing(entry);
        event.reactions = reactions;
        let bodies = entry.message.iter().flat_map(|message| &message.versions);
        for version in bodies.filter(|version| Some(version.seq) != shown) {
            let list = facts::reactions_in_words(&version.body["reactions"], names, time);
            event.pair(format!("reactions_in_record_{}", version.seq), list);
        }
        for version in &entry.reactions {
            let list = match &version.withheld {
                Some(withheld) => slip(withheld),
                None => facts::reactions_in_words(&version.body, names, time),
            };
            let list = if list.is_empty() { "none" } else { &list };
            let seen = self.zone.full_text(version.observed());
            event.pair(
                format!("reactions_in_record_{}", version.seq),
                format!("version {}, observed at {seen}: {list}", version.number),
            );
            self.out.produced(&entry.cell, version)?;
        }
        Ok(())
    }

    /// The versions of a file: their contents as attachments, and a pair for each record.
    fn file(&mut self, place: usize, family: &FileFamily, event: &mut Event) -> Result<(), Error> {
        let file = &family.file;
        let (names, author) = (self.out.set.names, file.shown_author());
        for (n, version) in file.versions.iter().enumerate() {
            let name = family.name(version);
            let mut parts = vec![format!("{}, record {}, version {}", family.id(), version.seq, version.number)];
            parts.push(format!("observed at {}", self.zone.full_text(version.observed())));
            let mut missing = None;
            if let Some(withheld) = &version.withheld {
                parts.push(slip(withheld));
            }
            if matches!(version.role, Role::Reading | Role::Partial) {
                parts.push(format!("called {name}"));
                if let Some(title) = version.body["title"].as_str().filter(|title| !title.is_empty() && *title != name)
                {
                    parts.push(format!("titled {title}"));
                }
                match author {
                    Author::Known(id) => parts.push(format!("made by {}", facts::who(names, id, Some(file.time)))),
                    Author::Named(name) => parts.push(format!("made by {name}")),
                    Author::NotStated | Author::Withheld => {}
                }
                if file.is_dated() {
                    parts.push(format!("made at {}", self.zone.full_text(file.time)));
                }
                parts.extend(facts::edit(version).map(|edit| edit.in_words(names, self.zone)));
            } else {
                parts.push(self.note(file, version));
            }
            if version.role == Role::Partial {
                parts.push("known in part".to_owned());
            }
            if version.role == Role::Reading && version.withheld.is_none() {
                match self.content(version) {
                    Ok(blob) => {
                        parts.push(format!("{} bytes, SHA-256 {}", blob.size, blob.digest));
                        let entry = entry_name(version.seq, name);
                        parts.push(format!("in the zip as {entry}"));
                        event.attachments.push(Attachment { entry, display: name.to_owned(), blob });
                    }
                    Err(why) => {
                        parts.push(why.clone());
                        missing = Some(why);
                    }
                }
            }
            let words = self.text(version, file.time);
            if !words.is_empty() && matches!(version.role, Role::Reading | Role::Partial) && event.body != words {
                parts.push(format!("with the words: {words}"));
            }
            event.pair(numbered(&format!("file_{place}"), n + 1), parts.join("; "));
            match missing {
                Some(why) => self.out.exception(&file.cell, version, &why)?,
                None => self.out.produced(&file.cell, version)?,
            }
        }
        Ok(())
    }

    /// The content of a version when it is in the archive, is what it should be, and fits into a file, else why not.
    fn content(&self, version: &Version) -> Result<Blob, String> {
        let Some(blob) = &version.blob else { return Err(no_content(version).to_owned()) };
        if let Some(why) = too_large(blob.size) {
            return Err(why);
        }
        match self.out.set.check(blob) {
            Ok(()) => Ok(blob.clone()),
            Err(missing) => Err(missing.in_words()),
        }
    }

    /// A list of pins. The source does not say when it was made.
    fn pins(&mut self, entry: &Entry, version: &Version) -> Result<Event, Error> {
        let mut event = Event::new(format!("{}-p-{}", self.prefix, version.seq), "unknown", entry.time, "");
        let header = &version.record.header;
        event.pair("timestamp_is", "when the archive was shown the list; the source gives no time");
        self.provenance(1, version, &mut event);
        event.pair("seen_by_account", header.account.as_str());
        event.body = if let Some(withheld) = &version.withheld {
            format!("[List of pins] {}", slip(withheld))
        } else {
            let names = self.out.set.names;
            let line = |pin: facts::Pin<'_>| {
                format!("- {}", pin.in_words(names, self.zone, entry.time, |text| plain(text, names, entry.time)))
            };
            let lines: Vec<String> = facts::pins(&version.body).into_iter().map(line).collect();
            let list = match lines.join("\n") {
                // What is no list is shown as it came.
                _ if !version.body.is_array() => self.text(version, entry.time),
                list if list.is_empty() => "nothing is pinned".to_owned(),
                list => list,
            };
            format!("[Pinned, as {} was shown it at {}]\n{list}", header.account, self.zone.full_text(entry.time))
        };
        self.out.produced(&entry.cell, version)?;
        Ok(event)
    }
}

impl From<facts::Reaction<'_>> for Reaction {
    /// One without a name has no place in the schema.
    fn from(reaction: facts::Reaction<'_>) -> Self {
        let value = if reaction.name.is_empty() { "(no name)" } else { reaction.name };
        let actors = reaction.users.into_iter().map(str::to_owned).collect();
        Self { value: value.to_owned(), count: reaction.count, actors }
    }
}

/// The reactions that stand, and which record has them.
fn standing(entry: &Entry) -> (Option<RecordSeq>, Vec<Reaction>) {
    let Some((version, list)) = facts::standing_reactions(entry) else { return (None, Vec::new()) };
    (Some(version.seq), facts::reactions(list).into_iter().map(Reaction::from).collect())
}

/// The id of the participant who made it; empty where that is not known or may not be shown.
fn actor(subject: &Subject) -> String {
    match subject.shown_author() {
        Author::Known(id) => id.to_owned(),
        Author::Named(name) => format!("{POSTED_AS}{name}"),
        Author::NotStated | Author::Withheld => String::new(),
    }
}

/// Why a content of that size goes into no file, if it does not.
fn too_large(size: u64) -> Option<String> {
    let is_it = encoded(size) > MAX_CONTENT;
    is_it.then(|| format!("its content of {size} bytes does not fit into a file of RSMF, which has 2 GB at most"))
}

/// The first has the bare name.
fn numbered(name: &str, n: usize) -> String {
    if n == 1 { name.to_owned() } else { format!("{name}_{n}") }
}

/// The name of a content in the zip: its record's number makes it the only one, and the rest is plain ASCII
/// for readers that know no other. How people called it is its `display`.
fn entry_name(seq: RecordSeq, name: &str) -> String {
    let name: String = safe(name).chars().map(|c| if c.is_ascii() { c } else { '_' }).collect();
    format!("{seq}-{name}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::names::Names;
    use crate::export::unit::Cell;
    use crate::record::{Kind, Record};

    fn version(seq: u64, kind: &str, observed_at: &str, body: serde_json::Value) -> Version {
        let header = serde_json::json!({
            "kind": kind, "source": 1, "channel": "C1", "key": "1.000001", "version": 1, "state": "present",
            "origin": "observed", "via": "channels.history", "account": "ann", "run": 1, "observed_at": observed_at,
        });
        let record = Record { header: serde_json::from_value(header).unwrap(), body: Vec::new() };
        Version {
            seq: RecordSeq(seq),
            number: 1,
            role: Role::Reading,
            record,
            body,
            withheld: None,
            is_closed: false,
            blob: None,
        }
    }

    #[test]
    fn what_is_no_json_is_shown_as_it_came() {
        let mut odd = version(1, "message", "2026-01-01T00:00:00Z", serde_json::Value::Null);
        odd.record.body = b"{not json".to_vec();
        assert_eq!(said(&odd, &Names::default(), UtcTime::UNIX_EPOCH), "{not json");
    }

    #[test]
    fn the_newest_list_of_reactions_stands_after_an_edit_too() {
        let tea = serde_json::json!([{"name": "tea", "users": ["bob"]}]);
        let cell = Cell {
            custodian: "ann".into(),
            conversation: ChannelId::parse("C1").unwrap(),
            day: chrono::NaiveDate::default(),
        };
        let message = Subject {
            kind: Kind::Message,
            key: "1.000001".to_owned(),
            time: UtcTime::UNIX_EPOCH,
            author: "ann".to_owned(),
            versions: vec![
                version(1, "message", "2026-01-01T00:00:00Z", serde_json::json!({"text": "a"})),
                version(3, "message", "2026-01-03T00:00:00Z", serde_json::json!({"text": "b"})),
            ],
            is_gone: false,
            is_later: false,
            cell: cell.clone(),
        };
        let entry = Entry {
            time: UtcTime::UNIX_EPOCH,
            message: Some(message),
            reactions: vec![version(2, "reactions", "2026-01-02T00:00:00Z", tea)],
            files: Vec::new(),
            given_before: Vec::new(),
            given_elsewhere: Vec::new(),
            not_given: Vec::new(),
            pins: None,
            cell,
        };
        let (record, reactions) = standing(&entry);
        assert_eq!((record, reactions.len()), (Some(RecordSeq(2)), 1));
    }

    #[test]
    fn a_content_that_fits_into_no_file_is_none() {
        assert_eq!(too_large(1_388_000_000), None);
        assert!(too_large(1_389_000_000).is_some_and(|why| why.contains("1389000000 bytes")));
    }

    #[test]
    fn a_reaction_always_has_a_name() {
        let list = serde_json::json!([{"name": "eyes", "count": 3, "users": ["a", ""]}, {"users": ["b"]}]);
        let of = |value: &str, count, actor: &str| Reaction {
            value: value.to_owned(),
            count,
            actors: vec![actor.to_owned()],
        };
        let found: Vec<Reaction> = facts::reactions(&list).into_iter().map(Reaction::from).collect();
        assert_eq!(found, [of("eyes", 3, "a"), of("(no name)", 1, "b")]);
    }

    #[test]
    fn names_in_the_zip_are_plain_and_never_one() {
        assert_eq!(entry_name(RecordSeq(7), "../../žluť.pdf"), "7-_..__lu_.pdf");
        assert_ne!(entry_name(RecordSeq(7), "a.txt"), entry_name(RecordSeq(8), "a.txt"));
        assert_eq!(entry_name(RecordSeq(7), "CON"), "7-_CON");
    }

    #[test]
    fn a_pair_is_never_empty() {
        assert_eq!(Pair::of("a", ""), None);
        assert_eq!(Pair::of("", "a"), None);
        assert_eq!(Pair::of("a", "b").map(|pair| pair.line() == ("a", "b")), Some(true));
    }
}
