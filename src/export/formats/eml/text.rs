//! A unit as plain text: what every reader of mail shows and every tool of review extracts.

use serde_json::Value;

use crate::export::facts;
use crate::export::formats::pages::words;
use crate::export::formats::pages::{Contents, Given};
use crate::export::markup::{pieces, plain, visible, visible_lines};
use crate::export::out::{Content, Set};
use crate::export::unit::{Entry, FileFamily, Role, Subject, Unit, Version};
use crate::model::{UtcTime, Zone};

struct Text<'a> {
    set: &'a Set<'a>,
    zone: Zone,
    contents: &'a Contents,
    /// The item that is being written.
    out: String,
}

/// A unit as text, an item at a time.
pub(super) fn text<E>(
    set: &Set<'_>,
    unit: &Unit,
    contents: &Contents,
    mut put: impl FnMut(&str) -> Result<(), E>,
) -> Result<(), E> {
    let mut text = Text { set, zone: set.request.zone, contents, out: String::new() };
    text.head(unit);
    put(&text.out)?;
    unit.entries.iter().try_for_each(|entry| {
        text.out.clear();
        text.entry(entry);
        put(&text.out)
    })
}

impl Text<'_> {
    fn line(&mut self, depth: usize, line: &str) {
        for line in line.split('\n') {
            self.out.push_str(&"  ".repeat(depth));
            self.out.push_str(line);
            self.out.push('\n');
        }
    }

    /// A line of words that may hold what is not seen.
    fn say(&mut self, depth: usize, words: &str) {
        self.line(depth, &visible(words));
    }

    /// What somebody wrote.
    fn written(&mut self, depth: usize, text: &str, time: UtcTime) {
        if !text.is_empty() {
            let shown = plain(&pieces(text, self.set.names, time));
            self.line(depth, &shown);
        }
    }

    fn head(&mut self, unit: &Unit) {
        let (set, conversation) = (self.set, &unit.conversation);
        let part = if unit.part > 1 || unit.is_continued { format!(", part {}", unit.part) } else { String::new() };
        self.say(0, &format!("{}, {}, {}{part}", conversation.name, unit.day.format("%A"), unit.day));
        if !conversation.topic.is_empty() {
            self.say(0, &format!("Topic: {}", conversation.topic));
        }
        let time = unit.entries.first().map_or(set.made_at, |entry| entry.time);
        let members: Vec<String> =
            conversation.members.iter().map(|id| facts::who(set.names, id, Some(time))).collect();
        if !members.is_empty() {
            self.say(0, &format!("Members: {}", members.join(", ")));
        }
        self.line(
            0,
            &format!("Times are in {}. Topic and members are those at the first item below.", set.request.zone.name()),
        );
        self.line(
            0,
            "This mail was put together from an archive of chat. Nobody sent it; it names those who wrote and those who were members.",
        );
        self.line(0, "");
    }

    fn entry(&mut self, entry: &Entry) {
        if let Some(message) = &entry.message {
            self.subject(0, message, "");
            for line in words::files_elsewhere(self.set, entry) {
                self.say(1, &line);
            }
            for version in &entry.reactions {
                let said = match slip(version) {
                    Some(slip) => slip,
                    None => facts::reactions_in_words(&version.body, self.set.names, version.observed()),
                };
                let said = if said.is_empty() { "none" } else { &said };
                let observed = self.zone.full_text(version.observed());
                self.say(1, &format!("Reactions as observed on {observed}: {said}"));
            }
        }
        if let Some(pins) = &entry.pins {
            self.pins(entry, pins);
        }
        for family in &entry.files {
            self.family(family);
        }
        let mut records: Vec<&Version> = entry.message.iter().flat_map(|message| &message.versions).collect();
        records.extend(entry.reactions.iter().chain(&entry.pins));
        self.records(1, &records);
        self.line(0, "");
    }

    fn pins(&mut self, entry: &Entry, pins: &Version) {
        self.say(0, &words::pins(self.set, pins));
        if let Some(slip) = slip(pins) {
            self.say(1, &slip);
            return;
        }
        let list = facts::pins(&pins.body);
        if list.is_empty() {
            self.line(1, "Nothing was pinned.");
        }
        for pin in list {
            let head = facts::Pin { text: "", ..pin.clone() };
            self.say(1, &format!("- {}", head.in_words(self.set.names, self.zone, entry.time, str::to_owned)));
            self.written(2, pin.text, entry.time);
        }
    }

    /// A message or a comment with its versions.
    fn subject(&mut self, depth: usize, subject: &Subject, what: &str) {
        let who = words::author_in_words(self.set.names, subject);
        let gone = if subject.is_gone { " [deleted]" } else { "" };
        self.say(depth, &format!("[{}] {what}{who}{gone}", words::made(subject, self.zone)));
        let latest = subject.latest();
        if let Some(ts) = facts::answers(latest) {
            self.say(depth + 1, &format!("(answers {})", words::message_of(ts, self.zone)));
        }
        self.reading(depth, latest, subject.time);
        if let Some(edit) = facts::edit(latest) {
            self.say(depth + 1, &format!("({})", edit.in_words(self.set.names, self.zone)));
        }
        if subject.is_later {
            self.line(depth + 1, words::LATER);
        }
        if subject.versions.len() < 2 {
            return;
        }
        for version in &subject.versions {
            match version.role {
                Role::Reading if version.seq == latest.seq => {}
                Role::Reading | Role::Partial => {
                    let head = self.version_head(version);
                    self.say(depth + 1, &format!("{head}:"));
                    self.reading(depth + 1, version, subject.time);
                }
                _ => self.say(depth + 1, &words::note(self.set, subject, version)),
            }
        }
    }

    /// `Version 2, edited …, observed …`.
    fn version_head(&self, version: &Version) -> String {
        let partly = if version.role == Role::Partial { ", known in part" } else { "" };
        let edit = facts::edit(version).map(|edit| format!(", {}", edit.in_words(self.set.names, self.zone)));
        let observed = self.zone.full_text(version.observed());
        format!("Version {}{partly}{}, observed {observed}", version.number, edit.unwrap_or_default())
    }

    /// What a version says.
    fn reading(&mut self, depth: usize, version: &Version, time: UtcTime) {
        if version.role == Role::Gone {
            self.line(depth, "What it said is not in this set.");
            return;
        }
        if let Some(slip) = slip(version) {
            self.say(depth, &slip);
            return;
        }
        if version.body.is_null() {
            self.line(depth, "It could not be understood. As it came:");
            self.line(depth, &visible_lines(&String::from_utf8_lossy(&version.record.body)));
            return;
        }
        self.written(depth, version.text(), time);
        for card in version.body["attachments"].as_array().into_iter().flatten() {
            self.card(depth + 1, card, time);
        }
        for reaction in facts::reactions(&version.body["reactions"]) {
            self.say(depth + 1, &reaction.in_words(self.set.names, time));
        }
    }

    fn card(&mut self, depth: usize, card: &Value, time: UtcTime) {
        let of = |value: &Value| plain(&pieces(value.as_str().unwrap_or_default(), self.set.names, time));
        let texts = words::CARD.iter().chain(&["title_link", "fallback"]).map(|name| of(&card[*name]));
        let fields = card["fields"].as_array().into_iter().flatten();
        let fields = fields.map(|field| format!("{}: {}", of(&field["title"]), of(&field["value"])));
        let lines: Vec<String> = texts.filter(|text| !text.is_empty()).chain(fields).collect();
        for line in lines {
            self.line(depth, &format!("| {}", line.replace('\n', "\n| ")));
        }
    }

    fn family(&mut self, family: &FileFamily) {
        let file = &family.file;
        let who = words::author_in_words(self.set.names, file);
        let gone = if file.is_gone { " [deleted]" } else { "" };
        let (name, made) = (family.name(file.latest()), words::made(file, self.zone));
        self.say(1, &format!("File {name} of {who}, {made}; file {}{gone}", family.id()));
        if file.is_later {
            self.line(2, words::LATER);
        }
        let mut said = "";
        for version in &file.versions {
            let line = match (version.role, slip(version)) {
                (Role::Reading | Role::Partial, Some(slip)) => slip,
                (Role::Reading | Role::Partial, None) => self.file_version(family, version),
                _ => words::note(self.set, file, version),
            };
            self.say(2, &line);
            if version.withheld.is_none() && version.text() != said {
                said = version.text();
                self.written(2, said, file.time);
            }
        }
        self.records(2, &file.versions.iter().collect::<Vec<_>>());
        for comment in &family.comments {
            self.subject(2, comment, "comment by ");
            self.records(3, &comment.versions.iter().collect::<Vec<_>>());
        }
    }

    fn file_version(&self, family: &FileFamily, version: &Version) -> String {
        let mut out = format!("{}: {}", self.version_head(version), family.name(version));
        if let Some(title) = words::title(family, version) {
            out.push_str(&format!(", titled \u{201c}{title}\u{201d}"));
        }
        match self.contents.get(&version.seq) {
            Some(Given { content: Content::Written(written), place, .. }) => {
                out.push_str(&format!(", {} bytes, attached as {place}, SHA-256 {}", written.size, written.sha256));
            }
            Some(Given { content: Content::Missing(why), .. }) => out.push_str(&format!("; not in this set: {why}")),
            _ => {}
        }
        if let Some(places) = words::places(self.set, &family.file, version) {
            out.push_str(&format!(". It was seen {places} then, too."));
        }
        out
    }

    fn records(&mut self, depth: usize, records: &[&Version]) {
        let list: Vec<String> = records.iter().map(|version| version.seq.to_string()).collect();
        if !list.is_empty() {
            self.line(depth, &format!("{} {}", if list.len() == 1 { "Record" } else { "Records" }, list.join(", ")));
        }
    }
}

/// What stands in the place of what is withheld.
fn slip(version: &Version) -> Option<String> {
    version.withheld.as_ref().map(crate::export::withhold::slip)
}
