//! Sentences that pages and mails share, of what [`crate::export::facts`] reads.

use crate::export::facts;
use crate::export::names::Names;
use crate::export::out::Set;
use crate::export::unit::{Entry, FileFamily, Role, Subject, Unit, Version};
use crate::model::{ChannelId, MessageTs, UtcTime, Zone};

/// Who made a subject, for display: the name of the time, or what stands for one, and the id where that says more.
pub(in crate::export::formats) fn author<'a>(names: &'a Names, subject: &'a Subject) -> (&'a str, &'a str) {
    let author = subject.shown_author();
    let Some(id) = author.id() else { return (author.or_words(), "") };
    let name = names.name(id, subject.time);
    (name, if name == id { "" } else { id })
}

/// [`author`] in one piece.
pub(in crate::export::formats) fn author_in_words(names: &Names, subject: &Subject) -> String {
    match author(names, subject) {
        (name, "") => name.to_owned(),
        (name, id) => format!("{name} ({id})"),
    }
}

/// When something was made; where the source does not say it, that the time is another one.
pub(in crate::export::formats) fn made(subject: &Subject, zone: Zone) -> String {
    let time = zone.full_text(subject.time);
    if subject.is_dated() { time } else { format!("first seen by the archive {time}") }
}

/// What is said of a subject whose first reading is later than the moment that was asked for.
pub(in crate::export::formats) const LATER: &str =
    "How it read at the moment that was asked for is not known: it was first seen so later.";

/// Whether the time of an entry is one that the source says.
pub(in crate::export::formats) fn is_dated(entry: &Entry) -> bool {
    entry.pins.is_none() && (entry.message.is_some() || entry.files.iter().all(|family| family.file.is_dated()))
}

/// Which message another answers, by its time stamp: `the message of …`.
pub(in crate::export::formats) fn message_of(ts: &str, zone: Zone) -> String {
    match MessageTs::parse(ts) {
        Some(at) => format!("the message of {} ({ts})", zone.full_text(at.time())),
        None => format!("the message {ts}"),
    }
}

/// What a card says beside its fields, in the order in which it is shown.
pub(in crate::export::formats) const CARD: [&str; 5] = ["pretext", "author_name", "title", "text", "footer"];

/// The messages, files and comments of an entry.
fn subjects_of(entry: &Entry) -> impl Iterator<Item = &Subject> {
    let families = entry.files.iter().flat_map(|family| std::iter::once(&family.file).chain(&family.comments));
    entry.message.iter().chain(families)
}

/// The messages, files and comments of a unit.
pub(in crate::export::formats) fn subjects(unit: &Unit) -> impl Iterator<Item = &Subject> {
    unit.entries.iter().flat_map(subjects_of)
}

/// Every record of a unit.
pub(in crate::export::formats) fn versions(unit: &Unit) -> impl Iterator<Item = &Version> {
    unit.entries.iter().flat_map(|entry| {
        let of_subjects = subjects_of(entry).flat_map(|subject| &subject.versions);
        of_subjects.chain(&entry.reactions).chain(&entry.pins)
    })
}

/// The numbers of [`versions`].
pub(in crate::export::formats) fn seqs(unit: &Unit) -> Vec<u64> {
    versions(unit).map(|version| version.seq.0).collect()
}

/// What a note says that is no reading: gone, back, seen elsewhere.
pub(in crate::export::formats) fn note(set: &Set<'_>, subject: &Subject, version: &Version) -> String {
    let observed = set.request.zone.full_text(version.observed());
    // Of several readings it is said which.
    let is_one = subject.readings().nth(1).is_none();
    let before = subject.before(version).filter(|_| !is_one).map(|before| before.number);
    match version.role {
        Role::Gone => {
            let read = before.map(|number| format!(" It read as version {number} then.")).unwrap_or_default();
            format!("{}{read}", gone(set, version))
        }
        Role::Back => {
            let read = before.map_or_else(|| "as before".to_owned(), |number| format!("as version {number}"));
            format!("Restored: it was there again, {read}, when it was observed on {observed}.")
        }
        _ => {
            let places = places(set, subject, version).unwrap_or_else(|| "in another conversation".to_owned());
            format!("It was seen unchanged {places}, on {observed}.")
        }
    }
}

/// What a note of a disappearance says, with its evidence.
pub(in crate::export::formats) fn gone(set: &Set<'_>, version: &Version) -> String {
    let gone = facts::gone(version);
    let evidence = gone.evidence().map(|evidence| format!(" Evidence: {evidence}.")).unwrap_or_default();
    format!("{}.{evidence}", capital(&gone.in_words(set.names, set.request.zone)))
}

/// The conversations in which a file was seen, beside that in which it stands here: `in the conversations …`.
pub(in crate::export::formats) fn places(set: &Set<'_>, file: &Subject, version: &Version) -> Option<String> {
    let places = facts::places(version, &set.request.scope);
    let others = places.iter().filter(|channel| **channel != file.cell.conversation);
    let names: Vec<String> = others.map(|channel| conversation(set, channel, version.observed())).collect();
    let noun = if names.len() == 1 { "conversation" } else { "conversations" };
    (!names.is_empty()).then(|| format!("in the {noun} {}", names.join(", ")))
}

/// What a conversation was called, with its id.
fn conversation(set: &Set<'_>, channel: &ChannelId, time: UtcTime) -> String {
    let name = set.names.conversation_name(channel, time);
    if name == channel.as_str() { name } else { format!("{name} ({channel})") }
}

/// Files that a message shows and that do not stand with it: name, id, and where they are.
pub(in crate::export::formats) fn files_elsewhere(set: &Set<'_>, entry: &Entry) -> Vec<String> {
    let Some(message) = entry.message.as_ref().filter(|message| message.latest().withheld.is_none()) else {
        return Vec::new();
    };
    let name = |id: &str| {
        let of_body = |version: &Version| {
            let body = &version.body;
            let files = body.get("file").into_iter().chain(body["files"].as_array().into_iter().flatten());
            let names = files.filter(|file| file["id"].as_str() == Some(id)).filter_map(|file| file["name"].as_str());
            names.map(str::to_owned).find(|name| !name.is_empty())
        };
        let name = message.versions.iter().rev().find_map(of_body);
        name.map_or_else(|| format!("File {id}"), |name| format!("File {name} ({id})"))
    };
    let before = entry
        .given_before
        .iter()
        .map(|id| format!("{} stands with an earlier message of this conversation.", name(id)));
    let elsewhere = entry.given_elsewhere.iter().map(|(id, channel)| {
        format!("{} is given in the conversation {}.", name(id), conversation(set, channel, entry.time))
    });
    let nowhere = entry.not_given.iter().map(|id| format!("{}: nothing of it is in this set.", name(id)));
    before.chain(elsewhere).chain(nowhere).collect()
}

/// The title of a file, where it says more than the name.
pub(in crate::export::formats) fn title<'a>(family: &'a FileFamily, version: &'a Version) -> Option<&'a str> {
    version.body["title"].as_str().filter(|title| !title.is_empty() && *title != family.name(version))
}

/// The head of a list of pins.
pub(in crate::export::formats) fn pins(set: &Set<'_>, pins: &Version) -> String {
    let account = facts::who(set.names, &pins.record.header.account, Some(pins.observed()));
    let observed = set.request.zone.full_text(pins.observed());
    let is_silent = facts::pins(&pins.body).iter().any(|pin| pin.pinned_at.is_none());
    let silent = if is_silent { " Where no time of pinning is written, the server says none." } else { "" };
    format!("What was pinned here, as it was shown to {account} and observed by the archive on {observed}.{silent}")
}

/// What a version is, in a few words, for the list of records.
pub(in crate::export::formats) fn what(subject: &Subject, version: &Version) -> String {
    let kind = version.record.header.kind.as_str();
    let what = match subject.state_of(version) {
        "current" => "as it stands",
        "edited" => "earlier reading",
        "deleted" => "as it last read",
        "partial" => "known in part",
        "gone" => "note that it is gone",
        "back" => "seen again as before",
        _ => "seen in another conversation",
    };
    format!("{kind}, version {}: {what}", version.number)
}

/// `1 message`, `2 messages`.
pub(in crate::export::formats) fn count(number: u64, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// A sentence begins large.
pub(in crate::export::formats) fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}
