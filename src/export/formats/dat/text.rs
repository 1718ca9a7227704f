//! The text of a document: what reviewers read and search. Of a message and a comment what it last said comes
//! first, then every other version and every note of the archive with its record number; of a file the text
//! that was read in it, then the notes. UTF-8 with a byte order mark; lines end with LF; what people wrote is
//! not wrapped, trimmed or cleaned.

use std::fmt::Write as _;

use serde_json::Value;

use crate::export::facts::{self, Author};
use crate::export::formats::plain::{plain, said};
use crate::export::names::Names;
use crate::export::unit::{Conversation, FileFamily, Role, Subject, Version};
use crate::export::withhold::slip;
use crate::model::{ChannelId, Scope, UtcTime, Zone};

/// Writes texts: by the names of the time, in the zone of the set.
#[derive(Clone, Copy)]
pub(super) struct Scribe<'a> {
    pub(super) names: &'a Names,
    pub(super) zone: Zone,
    /// What whoever asked may see.
    pub(super) scope: &'a Scope,
}

impl Scribe<'_> {
    /// `Ann One <ann@example.com>`.
    pub(super) fn person(&self, id: &str, time: UtcTime) -> String {
        let Some(person) = self.names.person(id, time) else { return id.to_owned() };
        let address = if person.email.is_empty() { id } else { &person.email };
        if person.name == address { person.name.clone() } else { format!("{} <{address}>", person.name) }
    }

    /// Who made it, as far as that may be shown: of a program that has no id the name alone.
    pub(super) fn author(&self, subject: &Subject) -> Option<String> {
        match subject.shown_author() {
            Author::Known(id) => Some(self.person(id, subject.time)),
            Author::Named(name) => Some(name.to_owned()),
            Author::NotStated | Author::Withheld => None,
        }
    }

    /// The text of a message or a comment. `lines` stand below its head: the files of a message, say.
    pub(super) fn subject(
        &self,
        bates: &str,
        conversation: &Conversation,
        subject: &Subject,
        lines: &[String],
    ) -> String {
        let latest = subject.latest();
        let mut out = head(bates, conversation);
        if let Some(author) = self.author(subject) {
            line(&mut out, "From", &author);
        }
        if subject.is_dated() {
            line(&mut out, "Sent", &self.time(subject.time));
        } else {
            line(&mut out, "First seen by the archive", &self.time(subject.time));
        }
        if let Some(subtype) = latest.body["subtype"].as_str().filter(|subtype| !subtype.is_empty()) {
            line(&mut out, "Kind", subtype);
        }
        if let Some(edited) = self.edited(latest) {
            line(&mut out, "Edit", &edited);
        }
        if subject.is_gone
            && let Some(gone) = subject.deletions().last()
        {
            line(&mut out, "Deletion", &self.gone(gone));
        }
        for text in lines {
            writeln!(out, "{text}").unwrap_or_default();
        }
        out.push('\n');
        out.push_str(&said(latest, self.names, subject.time));
        out.push('\n');
        if subject.versions.len() > 1 || latest.role != Role::Reading {
            self.versions(&mut out, subject);
        }
        out
    }

    /// The text of a file's document: what was read in it, and what the archive notes of it.
    pub(super) fn file(
        &self,
        family: &FileFamily,
        version: &Version,
        read: Option<&str>,
        notes: &[&Version],
        remarks: &[String],
    ) -> String {
        let mut out = '\u{feff}'.to_string();
        if let Some(withheld) = &version.withheld {
            writeln!(out, "{}", slip(withheld)).unwrap_or_default();
        } else if let Some(read) = read {
            out.push_str(read);
        }
        let mut more: Vec<String> = remarks.to_vec();
        let comment = said(version, self.names, family.file.time);
        if version.withheld.is_none() && !comment.is_empty() {
            more.push(format!("Written with the file:\n{comment}"));
        }
        more.extend(notes.iter().map(|note| self.note(&family.file, note)));
        if !more.is_empty() {
            if !out.ends_with(['\n', '\u{feff}']) {
                out.push('\n');
            }
            writeln!(out, "{RULE}\n{}", more.join("\n")).unwrap_or_default();
        }
        out
    }

    /// The text of a list of pins.
    pub(super) fn pins(&self, bates: &str, conversation: &Conversation, version: &Version) -> String {
        let mut out = head(bates, conversation);
        let header = &version.record.header;
        line(&mut out, "Pinned items", &format!("as the archive saw them {}", self.time(version.observed())));
        line(&mut out, "Shown to", &header.account);
        out.push('\n');
        if let Some(withheld) = &version.withheld {
            writeln!(out, "{}", slip(withheld)).unwrap_or_default();
            return out;
        }
        if !version.body.is_array() {
            writeln!(out, "{}", said(version, self.names, version.observed())).unwrap_or_default();
            return out;
        }
        let pins = facts::pins(&version.body);
        if pins.is_empty() {
            out.push_str("Nothing is pinned.\n");
        }
        let time = version.observed();
        for pin in pins {
            let pin = pin.in_words(self.names, self.zone, time, |text| plain(text, self.names, time));
            writeln!(out, "- {pin}").unwrap_or_default();
        }
        out
    }

    /// The reactions that a record tells of, as a line of a message's text.
    pub(super) fn reactions(&self, version: &Version, list: &Value, time: UtcTime) -> String {
        let shown = match &version.withheld {
            Some(withheld) => slip(withheld),
            None => facts::reactions_in_words(list, self.names, time),
        };
        let shown = if shown.is_empty() { "none".to_owned() } else { shown };
        format!(
            "Reactions: {shown} (record {}, as the archive saw them {})",
            version.seq,
            self.time(version.observed())
        )
    }

    /// When a thing went, in words that say no more than the source did.
    pub(super) fn gone(&self, version: &Version) -> String {
        facts::gone(version).in_words(self.names, self.zone)
    }

    /// `2026-03-04 10:22:07 +01:00 (Europe/Prague)`.
    fn time(&self, time: UtcTime) -> String {
        format!("{} ({})", self.zone.full_text(time), self.zone.name())
    }

    /// Who edited it when, as the source says.
    fn edited(&self, version: &Version) -> Option<String> {
        facts::edit(version).map(|edit| edit.in_words(self.names, self.zone))
    }

    fn versions(&self, out: &mut String, subject: &Subject) {
        writeln!(out, "{RULE}").unwrap_or_default();
        for version in &subject.versions {
            writeln!(out, "{}", self.note(subject, version)).unwrap_or_default();
        }
    }

    /// A version of a subject: what it is, its record, when the archive saw it, what it says.
    fn note(&self, subject: &Subject, version: &Version) -> String {
        let seen = format!("record {}, seen by the archive {}", version.seq, self.time(version.observed()));
        let text = || match &version.withheld {
            Some(withheld) => slip(withheld),
            None => said(version, self.names, subject.time),
        };
        match version.role {
            Role::Reading if version.seq == subject.latest().seq => {
                format!("Version {} ({seen}): as above", version.number)
            }
            Role::Reading => {
                let edited = self.edited(version).map(|edited| format!("; {edited}")).unwrap_or_default();
                format!("Version {} ({seen}{edited}), replaced later:\n{}", version.number, text())
            }
            Role::Partial => format!("Seen in part ({seen}):\n{}", text()),
            Role::Gone => {
                let mut out = format!("Gone (record {}): {}", version.seq, self.gone(version));
                if let Some(before) = subject.before(version).filter(|_| subject.readings().count() > 1) {
                    write!(out, "\n  It then read as in record {}.", before.seq).unwrap_or_default();
                }
                for (method, said) in facts::gone(version).witnesses {
                    write!(out, "\n  {method}: {said}").unwrap_or_default();
                }
                out
            }
            Role::Back => format!("Back, as it was before ({seen})"),
            Role::Shared => {
                let places = facts::places(version, self.scope);
                let places: Vec<&str> = places.iter().map(ChannelId::as_str).collect();
                let places =
                    if places.is_empty() { "one that is not named here".to_owned() } else { places.join(", ") };
                format!("Seen in another conversation, and unchanged ({seen}): {places}")
            }
        }
    }
}

/// Parts what was written from what the archive notes.
const RULE: &str = "----- notes of the archive -----";

fn head(bates: &str, conversation: &Conversation) -> String {
    let mut out = format!("\u{feff}{bates}\n");
    let kind = if conversation.is_direct { "direct conversation with" } else { "channel" };
    line(&mut out, "Conversation", &format!("{kind} {} ({})", conversation.name, conversation.id));
    out
}

fn line(out: &mut String, name: &str, value: &str) {
    writeln!(out, "{name}: {value}").unwrap_or_default();
}
