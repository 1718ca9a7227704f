//! What stands on a page: messages, files, comments, pins, each with its records.

use std::collections::HashSet;

use serde_json::Value;

use super::words::{self, capital};
use super::{Contents, Given};
use crate::export::facts;
use crate::export::markup::{escape, html, link, pieces, visible};
use crate::export::out::{Content, Set};
use crate::export::unit::{Entry, FileFamily, Role, Subject, Unit, Version};
use crate::model::{UtcTime, Zone, rfc3339};

/// Of the note that stands in words above.
const DELETED_ABOVE: &str = "Deleted: when, is said above.";

/// A page while it is written.
pub(super) struct Page<'a> {
    set: &'a Set<'a>,
    zone: Zone,
    contents: &'a Contents,
    /// The messages that stand on it.
    here: HashSet<&'a str>,
    /// The item that is being written.
    out: String,
}

impl<'a> Page<'a> {
    pub(super) fn new(set: &'a Set<'a>, unit: &'a Unit, contents: &'a Contents) -> Self {
        let messages = unit.entries.iter().filter_map(|entry| entry.message.as_ref());
        let here = messages.map(|message| message.key.as_str()).collect();
        Self { set, zone: set.request.zone, contents, here, out: String::new() }
    }

    fn put(&mut self, html: &str) {
        self.out.push_str(html);
    }

    /// A sentence in a paragraph of a class.
    fn say(&mut self, class: &str, text: &str) {
        self.put(&format!("<p class=\"{class}\">{}</p>\n", escape(&visible(text))));
    }

    /// An item as HTML.
    pub(super) fn entry(&mut self, entry: &Entry) -> &str {
        self.out.clear();
        if let Some(message) = &entry.message {
            self.message(entry, message);
        } else if let Some(pins) = &entry.pins {
            self.pins(entry, pins);
        } else {
            for family in &entry.files {
                self.put("<article class=\"item\">\n<header>");
                self.who(&family.file, &["file"]);
                self.time(&family.file);
                self.put("</header>\n<p class=\"note\">No message in this set shows this file.</p>\n");
                self.family(family);
                self.put("</article>\n");
            }
        }
        &self.out
    }

    fn message(&mut self, entry: &Entry, message: &Subject) {
        let latest = message.latest();
        let subtype = latest.body["subtype"].as_str().unwrap_or_default();
        let is_event = subtype.starts_with("channel_") || subtype.starts_with("group_");
        let class = if is_event { "item event" } else { "item" };
        self.put(&format!("<article class=\"{class}\" id=\"m{}\">\n<header>", escape(&message.key)));
        let mut badges = Vec::new();
        match subtype {
            "bot_message" => badges.push("bot"),
            "me_message" => badges.push("action"),
            "file_comment" => badges.push("comment on a file"),
            _ => {}
        }
        if message.readings().count() > 1 || facts::edit(latest).is_some() {
            badges.push("edited");
        }
        self.who(message, &badges);
        self.state_badges(message);
        self.time(message);
        self.put("</header>\n");
        self.answers(latest);
        self.reading(message, latest);
        self.attachments(&latest.body["attachments"], message.time);
        for line in words::files_elsewhere(self.set, entry) {
            self.say("note", &line);
        }
        self.reactions(&latest.body["reactions"], entry.time);
        for version in &entry.reactions {
            let observed = self.zone.full_text(version.observed());
            self.say("note", &format!("Reactions had changed when they were observed on {observed}:"));
            if version.withheld.is_some() {
                self.slip(version);
                continue;
            }
            if facts::reactions(&version.body).is_empty() {
                self.say("note", "None was left.");
            }
            self.reactions(&version.body, version.observed());
        }
        self.history(message);
        for family in &entry.files {
            self.family(family);
        }
        let mut rows: Vec<(String, &Version)> =
            message.versions.iter().map(|version| (words::what(message, version), version)).collect();
        rows.extend(entry.reactions.iter().map(|version| ("reactions after they changed".to_owned(), version)));
        self.records(&rows);
        self.put("</article>\n");
    }

    /// Name, id, kind and badges.
    fn who(&mut self, subject: &Subject, badges: &[&str]) {
        let (name, id) = words::author(self.set.names, subject);
        let mut who = format!("<bdi class=\"author\">{}</bdi>", escape(&visible(name)));
        if !id.is_empty() {
            who.push_str(&format!(" <bdi class=\"id\">{}</bdi>", escape(&visible(id))));
        }
        self.put(&who);
        for badge in badges {
            self.put(&format!(" <span class=\"badge\">{badge}</span>"));
        }
    }

    fn state_badges(&mut self, subject: &Subject) {
        if subject.versions.iter().any(|version| version.withheld.is_some()) {
            self.put(" <span class=\"badge is-slip\">slip-sheet</span>");
        }
        if subject.is_gone {
            self.put(" <span class=\"badge is-gone\">deleted</span>");
        } else if subject.versions.iter().any(|version| matches!(version.role, Role::Gone | Role::Back)) {
            self.put(" <span class=\"badge\">restored</span>");
        }
    }

    fn time(&mut self, subject: &Subject) {
        let time = subject.time;
        let seen = if subject.is_dated() { "" } else { "first seen by the archive " };
        let shown = format!(
            " <time datetime=\"{}\" title=\"{}\">{seen}{} <span class=\"offset\">{}</span></time>",
            rfc3339(time),
            self.zone.full_text(time),
            if subject.kind == crate::record::Kind::Message {
                self.zone.clock_text(time)
            } else {
                format!("{} {}", self.zone.date(time), self.zone.clock_text(time))
            },
            self.zone.offset_text(time)
        );
        self.put(&shown);
    }

    /// Which message this one answers.
    fn answers(&mut self, version: &Version) {
        let Some(ts) = facts::answers(version) else { return };
        let mut what = escape(&visible(&words::message_of(ts, self.zone)));
        if self.here.contains(ts) {
            what = format!("<a href=\"#m{}\">{what}</a>", escape(ts));
        }
        self.put(&format!("<p class=\"note\">Answers {what}.</p>\n"));
    }

    /// The text of a subject as it last read, and the note that it is gone.
    fn reading(&mut self, subject: &Subject, latest: &Version) {
        if latest.role == Role::Gone {
            self.say("note", "What it said is not in this set.");
        } else {
            self.text(latest, subject.time, subject.is_gone);
        }
        if let Some(edit) = facts::edit(latest) {
            self.say("note", &format!("{}.", capital(&edit.in_words(self.set.names, self.zone))));
        }
        self.went(subject);
    }

    /// How a subject went that is gone; that it was not seen at the moment that was asked for.
    fn went(&mut self, subject: &Subject) {
        if subject.is_later {
            self.say("note", words::LATER);
        }
        if let Some(gone) = subject.deletions().last().filter(|_| subject.is_gone) {
            self.say("evidence", &words::gone(self.set, gone));
        }
    }

    /// What a version says.
    fn text(&mut self, version: &Version, time: UtcTime, is_gone: bool) {
        if version.withheld.is_some() {
            self.slip(version);
            return;
        }
        if version.body.is_null() {
            let raw = String::from_utf8_lossy(&version.record.body).into_owned();
            self.say("note", "It could not be understood. As it came:");
            self.put(&format!("<div class=\"text\" dir=\"auto\">{}</div>\n", escape(&raw)));
            return;
        }
        let text = version.text();
        if text.is_empty() {
            return;
        }
        let shown = html(&pieces(text, self.set.names, time));
        let class = if is_gone { "text gone-text" } else { "text" };
        self.put(&format!("<div class=\"{class}\" dir=\"auto\">{shown}</div>\n"));
    }

    /// What stands in the place of what is not shown.
    fn slip(&mut self, version: &Version) {
        let Some(withheld) = &version.withheld else { return };
        self.say("slip", &crate::export::withhold::slip(withheld));
    }

    /// The cards that a program adds to its message.
    fn attachments(&mut self, cards: &Value, time: UtcTime) {
        for card in cards.as_array().into_iter().flatten() {
            let of = |name: &str| card[name].as_str().unwrap_or_default();
            self.put("<div class=\"card\">\n");
            for name in words::CARD {
                let text = of(name);
                if text.is_empty() {
                    continue;
                }
                let mut shown = html(&pieces(text, self.set.names, time));
                if name == "title" {
                    shown = format!("<b>{shown}</b>");
                    if let Some(href) = link(of("title_link")) {
                        shown.push_str(&format!(
                            " <a class=\"target\" href=\"{0}\" rel=\"noopener noreferrer\"><bdi>{0}</bdi></a>",
                            escape(&href)
                        ));
                    }
                }
                self.put(&format!("<div class=\"text\" dir=\"auto\">{shown}</div>\n"));
            }
            for field in card["fields"].as_array().into_iter().flatten() {
                let of = |name: &str| field[name].as_str().unwrap_or_default();
                let line =
                    format!("<b>{}</b> {}", escape(of("title")), html(&pieces(of("value"), self.set.names, time)));
                self.put(&format!("<div class=\"text\" dir=\"auto\">{line}</div>\n"));
            }
            let fallback = of("fallback");
            if !fallback.is_empty() && fallback != of("title") && fallback != of("text") {
                self.put(&format!("<div class=\"text note\" dir=\"auto\">{}</div>\n", escape(fallback)));
            }
            self.put("</div>\n");
        }
    }

    fn reactions(&mut self, list: &Value, time: UtcTime) {
        let list = facts::reactions(list);
        if list.is_empty() {
            return;
        }
        self.put("<ul class=\"reactions\">");
        for reaction in list {
            let chip = reaction.in_words(self.set.names, time);
            self.put(&format!("<li><bdi>{}</bdi></li>", escape(&visible(&chip))));
        }
        self.put("</ul>\n");
    }

    /// Every version but the one that is shown already, in the order in which it read so, with the notes
    /// between them.
    fn history(&mut self, subject: &Subject) {
        // Alone, or with the note that stands above it.
        let told = subject.deletions().last().filter(|_| subject.is_gone).map(|gone| gone.seq);
        if subject.versions.len() - usize::from(told.is_some()) < 2 {
            return;
        }
        let latest = subject.latest().seq;
        self.put("<section class=\"history\">\n<p class=\"label\">History</p>\n<ol>\n");
        for (n, version) in subject.versions.iter().enumerate() {
            let observed = self.zone.full_text(version.observed());
            let line = match version.role {
                Role::Reading => {
                    let when = match facts::edit(version) {
                        Some(edit) => edit.in_words(self.set.names, self.zone),
                        None if n == 0 => "as first read".to_owned(),
                        None => "changed; the server does not say when".to_owned(),
                    };
                    let here = if version.seq == latest { " It is the one above." } else { "" };
                    format!("Version {}: {when}. Observed {observed}.{here}", version.number)
                }
                Role::Partial => format!("Version {}: known in part. Observed {observed}.", version.number),
                Role::Gone if Some(version.seq) == told => DELETED_ABOVE.to_owned(),
                _ => words::note(self.set, subject, version),
            };
            self.put("<li>");
            self.say(if version.role == Role::Gone { "evidence" } else { "when" }, &line);
            if version.seq != latest && matches!(version.role, Role::Reading | Role::Partial) {
                self.text(version, subject.time, false);
                self.attachments(&version.body["attachments"], subject.time);
                self.reactions(&version.body["reactions"], subject.time);
            }
            self.put("</li>\n");
        }
        self.put("</ol>\n</section>\n");
    }

    /// A file with its versions and its comments.
    fn family(&mut self, family: &FileFamily) {
        let file = &family.file;
        let latest = file.latest();
        self.put("<section class=\"file\">\n<h2>File ");
        self.put(&format!("<bdi>{}</bdi>", escape(&visible(family.name(latest)))));
        self.state_badges(file);
        self.put("</h2>\n");
        let who = words::author_in_words(self.set.names, file);
        self.say("when", &format!("{who}, {}; file {}", words::made(file, self.zone), family.id()));
        self.went(file);
        self.put("<ol class=\"versions\">\n");
        let mut said = "";
        for version in &file.versions {
            self.put("<li>");
            self.file_version(family, version);
            if version.withheld.is_none() && version.text() != said {
                said = version.text();
                self.text(version, file.time, file.is_gone);
            }
            self.put("</li>\n");
        }
        self.put("</ol>\n");
        let rows: Vec<(String, &Version)> =
            file.versions.iter().map(|version| (words::what(file, version), version)).collect();
        self.records(&rows);
        for comment in &family.comments {
            self.comment(comment);
        }
        self.put("</section>\n");
    }

    fn file_version(&mut self, family: &FileFamily, version: &Version) {
        let file = &family.file;
        if !matches!(version.role, Role::Reading | Role::Partial) {
            let is_told = file.is_gone && file.deletions().last().is_some_and(|gone| gone.seq == version.seq);
            let line = if is_told { DELETED_ABOVE.to_owned() } else { words::note(self.set, file, version) };
            self.put(&escape(&visible(&line)));
            return;
        }
        if version.withheld.is_some() {
            self.slip(version);
            return;
        }
        let partly = if version.role == Role::Partial { ", known in part" } else { "" };
        let edit = facts::edit(version).map(|edit| format!(", {}", edit.in_words(self.set.names, self.zone)));
        let line = format!(
            "Version {}{partly}{}, observed {}: ",
            version.number,
            edit.unwrap_or_default(),
            self.zone.full_text(version.observed())
        );
        self.put(&escape(&visible(&line)));
        let name = escape(&visible(family.name(version)));
        let title = words::title(family, version)
            .map(|title| format!(", titled <bdi>\u{201c}{}\u{201d}</bdi>", escape(&visible(title))))
            .unwrap_or_default();
        match self.contents.get(&version.seq) {
            Some(Given { content: Content::Written(written), place, is_link, is_picture }) => {
                let place = escape(place);
                let named = if *is_link {
                    // A page or a drawing could run something in the reader's browser: it is saved instead.
                    let save = if is_shown_by_browsers(place.as_str()) { "" } else { " download" };
                    format!("<a href=\"{place}\"{save}><bdi>{name}</bdi></a>")
                } else {
                    format!("<bdi>{name}</bdi>, attached as <bdi>{place}</bdi>")
                };
                self.put(&format!(
                    "{named}{title}, {} bytes<br><span class=\"hash\">SHA-256 {}</span>",
                    written.size, written.sha256
                ));
                if *is_picture {
                    self.put(&format!("<img class=\"picture\" src=\"{place}\" alt=\"{name}\">"));
                }
            }
            Some(Given { content: Content::Missing(why), .. }) => {
                self.put(&format!("<bdi>{name}</bdi>{title}. <b>Not in this set: {}.</b>", escape(&visible(why))));
            }
            _ => self.put(&format!("<bdi>{name}</bdi>{title}")),
        }
        if let Some(places) = words::places(self.set, file, version) {
            self.say("when", &format!("It was seen {places} then, too."));
        }
    }

    fn comment(&mut self, comment: &Subject) {
        self.put("<section class=\"comment\">\n<header>");
        let edited = comment.readings().count() > 1 || facts::edit(comment.latest()).is_some();
        self.who(comment, if edited { &["comment", "edited"] } else { &["comment"] });
        self.state_badges(comment);
        self.time(comment);
        self.put("</header>\n");
        self.reading(comment, comment.latest());
        self.history(comment);
        let rows: Vec<(String, &Version)> =
            comment.versions.iter().map(|version| (words::what(comment, version), version)).collect();
        self.records(&rows);
        self.put("</section>\n");
    }

    fn pins(&mut self, entry: &Entry, pins: &Version) {
        self.put("<article class=\"item\">\n<header><span class=\"badge\">pins</span></header>\n");
        self.say("note", &words::pins(self.set, pins));
        if pins.withheld.is_some() {
            self.slip(pins);
        } else if facts::pins(&pins.body).is_empty() {
            self.say("note", "Nothing was pinned.");
        } else {
            self.put("<ol class=\"versions pins\">\n");
            for pin in facts::pins(&pins.body) {
                let head = facts::Pin { text: "", ..pin.clone() };
                self.put("<li>");
                self.say("when", &capital(&head.in_words(self.set.names, self.zone, entry.time, str::to_owned)));
                if !pin.text.is_empty() {
                    let shown = html(&pieces(pin.text, self.set.names, entry.time));
                    self.put(&format!("<div class=\"text\" dir=\"auto\">{shown}</div>\n"));
                }
                self.put("</li>\n");
            }
            self.put("</ol>\n");
        }
        self.records(&[("pins as observed".to_owned(), pins)]);
        self.put("</article>\n");
    }

    /// The records that something is made of, with what each is and when it was observed.
    fn records(&mut self, rows: &[(String, &Version)]) {
        let numbers: Vec<String> = rows.iter().map(|(_, version)| version.seq.to_string()).collect();
        let noun = if numbers.len() == 1 { "Record" } else { "Records" };
        self.put(&format!("<details class=\"records\"><summary>{noun} {}</summary>\n<ul>\n", numbers.join(", ")));
        for (what, version) in rows {
            let header = &version.record.header;
            self.put(&format!(
                "<li id=\"r{0}\">Record {0}, {1}: observed {2}, account <bdi>{3}</bdi>, <bdi>{4}</bdi></li>\n",
                version.seq,
                escape(what),
                self.zone.full_text(version.observed()),
                escape(&visible(&header.account)),
                escape(&visible(&header.via))
            ));
        }
        self.put("</ul></details>\n");
    }
}

/// Whether a browser shows a file of such a name and runs nothing of it.
fn is_shown_by_browsers(place: &str) -> bool {
    let ending = crate::export::paths::ending(place);
    matches!(ending.as_str(), ".pdf" | ".png" | ".jpg" | ".jpeg" | ".gif" | ".webp" | ".txt" | ".mp4" | ".mp3")
}
