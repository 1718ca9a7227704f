//! `messages.csv`, a row a version of a message, file or comment, and a row a note that one is gone; `files/`
//! with the contents. Where the source does not say when something was made, its times are empty. A spreadsheet opens it and obeys nothing of it: a field that it would take for a formula
//! begins with an apostrophe. UTF-8 with a byte order mark, CRLF.

use super::Format;
use crate::export::Error;
use crate::export::facts::{self, Author};
use crate::export::out::{Content, Out};
use crate::export::paths::safe;
use crate::export::table::line;
use crate::export::unit::{Entry, FileFamily, Role, Subject, Unit, Version};
use crate::export::withhold::slip;
use crate::model::rfc3339;
use crate::record::Kind;

const NAME: &str = "messages.csv";

const COLUMNS: [&str; 28] = [
    "record",
    "kind",
    "version",
    "state",
    "conversation_id",
    "conversation_name",
    "conversation_type",
    "ts",
    "date",
    "time",
    "time_utc",
    "author_id",
    "author_name",
    "author_email",
    "subtype",
    "text",
    "edited_at_utc",
    "edited_by",
    "observed_at_utc",
    "parent",
    "reactions",
    "file_id",
    "file_name",
    "file_size",
    "file_sha256",
    "file_path",
    "cards",
    "remark",
];

/// See the module.
#[derive(Debug)]
pub(super) struct Csv;

/// What stands in a row beside what its record says.
#[derive(Default)]
struct Beside {
    parent: String,
    remark: String,
    id: String,
    name: String,
    size: String,
    sha256: String,
    path: String,
}

impl Format for Csv {
    fn begin(&mut self, out: &mut Out<'_>) -> Result<(), Error> {
        out.append(NAME, format!("\u{feff}{}", line(&COLUMNS)).as_bytes())
    }

    fn unit(&mut self, unit: &Unit, out: &mut Out<'_>) -> Result<(), Error> {
        for entry in &unit.entries {
            entry_rows(unit, entry, out)?;
        }
        Ok(())
    }

    fn end(&mut self, out: &mut Out<'_>) -> Result<(), Error> {
        let path = out.path(NAME);
        out.bag.grown(&path)?;
        Ok(())
    }

    fn growth(&self) -> (u64, u64) {
        (3, 1)
    }
}

fn entry_rows(unit: &Unit, entry: &Entry, out: &mut Out<'_>) -> Result<(), Error> {
    if let Some(message) = &entry.message {
        let given = entry.files.iter().map(FileFamily::id).chain(entry.given_before.iter().map(String::as_str));
        let elsewhere = entry.given_elsewhere.iter().map(|(id, _)| id).chain(&entry.not_given);
        let ids: Vec<&str> = given.chain(elsewhere.map(String::as_str)).collect();
        let beside = Beside {
            parent: message.answers().unwrap_or_default().to_owned(),
            remark: facts::files_not_here(entry, out.set.names).join("; "),
            id: ids.join(" "),
            ..Beside::default()
        };
        for version in &message.versions {
            row(unit, message, version, &beside, out)?;
            out.produced(&message.cell, version)?;
        }
    }
    for version in &entry.reactions {
        note(unit, entry, "reactions", version, out)?;
    }
    for family in &entry.files {
        family_rows(unit, entry, family, out)?;
    }
    if let Some(pins) = &entry.pins {
        note(unit, entry, "pins", pins, out)?;
    }
    Ok(())
}

fn family_rows(unit: &Unit, entry: &Entry, family: &FileFamily, out: &mut Out<'_>) -> Result<(), Error> {
    let parent = entry.message.as_ref().map_or("", |message| message.key.as_str());
    for version in &family.file.versions {
        let relative = format!("files/{}/{}-{}", unit.conversation.folder(), version.seq, safe(family.name(version)));
        let content = out.copy_content(&relative, version)?;
        let mut file = Beside {
            parent: parent.to_owned(),
            id: family.id().to_owned(),
            name: family.name(version).to_owned(),
            ..Beside::default()
        };
        if let Content::Written(written) = &content {
            file.size = written.size.to_string();
            file.sha256 = written.sha256.to_string();
            file.path = out.path(&relative);
        }
        row(unit, &family.file, version, &file, out)?;
        out.produced_with(&family.file.cell, version, &content)?;
    }
    let beside = Beside { parent: family.id().to_owned(), ..Beside::default() };
    for comment in &family.comments {
        for version in &comment.versions {
            row(unit, comment, version, &beside, out)?;
            out.produced(&comment.cell, version)?;
        }
    }
    Ok(())
}

fn row(unit: &Unit, subject: &Subject, version: &Version, beside: &Beside, out: &mut Out<'_>) -> Result<(), Error> {
    let (zone, dates, names) = (out.set.request.zone, out.set.request.dates, out.set.names);
    let body = &version.body;
    let ts = if subject.kind == Kind::Message { subject.key.as_str() } else { "" };
    let made = Some(subject.time).filter(|_| subject.is_dated());
    let (id, name, email) = match subject.shown_author() {
        Author::Known(id) => {
            let email = names.person(id, subject.time).map_or("", |person| person.email.as_str());
            (id, names.name(id, subject.time), email)
        }
        Author::Named(name) => ("", name, ""),
        Author::NotStated | Author::Withheld => ("", "", ""),
    };
    let mut remarks = vec![beside.remark.clone()];
    let text = match version.role {
        Role::Gone => {
            let gone = facts::gone(version);
            remarks.extend(subject.before(version).map(|before| format!("it last read as record {}", before.seq)));
            remarks.extend(gone.evidence());
            format!("[{}]", gone.in_words(names, zone))
        }
        Role::Shared if version.withheld.is_none() => {
            format!("[{}]", facts::places_in_words(version, &out.set.request.scope, names))
        }
        _ => version.text().to_owned(),
    };
    if made.is_none() {
        remarks.push("the source does not say when it was made".to_owned());
    }
    remarks.retain(|remark| !remark.is_empty());
    let edit = facts::edit(version);
    let shown = [
        version.seq.to_string(),
        subject.kind.as_str().to_owned(),
        version.number.to_string(),
        subject.state_of(version).to_owned(),
        unit.conversation.id.to_string(),
        unit.conversation.name.clone(),
        if unit.conversation.is_direct { "direct" } else { "channel" }.to_owned(),
        ts.to_owned(),
        made.map(|time| zone.date(time).format(dates.pattern()).to_string()).unwrap_or_default(),
        made.map(|time| zone.clock_text(time)).unwrap_or_default(),
        made.map(rfc3339).unwrap_or_default(),
        id.to_owned(),
        name.to_owned(),
        email.to_owned(),
        body["subtype"].as_str().unwrap_or_default().to_owned(),
        text,
        edit.and_then(|edit| edit.at).map(rfc3339).unwrap_or_default(),
        edit.and_then(|edit| edit.by).unwrap_or_default().to_owned(),
        version.record.header.observed_at.clone(),
        beside.parent.clone(),
        reactions(&body["reactions"]),
        beside.id.clone(),
        beside.name.clone(),
        beside.size.clone(),
        beside.sha256.clone(),
        beside.path.clone(),
        facts::cards(version).join("\n"),
        remarks.join("; "),
    ];
    out.append(NAME, line(&shown.each_ref().map(String::as_str)).as_bytes())
}

/// A row for a list of reactions or of pins.
fn note(unit: &Unit, entry: &Entry, kind: &str, version: &Version, out: &mut Out<'_>) -> Result<(), Error> {
    let zone = out.set.request.zone;
    let mut row = vec![String::new(); COLUMNS.len()];
    let (text, listed) = match &version.withheld {
        Some(withheld) => (slip(withheld), String::new()),
        None if kind == "pins" => {
            (facts::pins_in_words(version, out.set.names, zone, str::to_owned).join("\n"), String::new())
        }
        None => (String::new(), reactions(&version.body)),
    };
    for (column, value) in [
        (0, version.seq.to_string()),
        (1, kind.to_owned()),
        (2, version.number.to_string()),
        (4, unit.conversation.id.to_string()),
        (5, unit.conversation.name.clone()),
        (15, text),
        (18, version.record.header.observed_at.clone()),
        (20, listed),
    ] {
        row[column] = value;
    }
    if let Some(message) = &entry.message {
        row[7].clone_from(&message.key);
        row[8] = zone.date(entry.time).format(out.set.request.dates.pattern()).to_string();
        row[9] = zone.clock_text(entry.time);
        row[10] = rfc3339(entry.time);
    }
    let fields: Vec<&str> = row.iter().map(String::as_str).collect();
    out.append(NAME, line(&fields).as_bytes())?;
    out.produced(&entry.cell, version)
}

/// `horse (2): ann, bob; joy (1): eve`: how many gave each, and the ids of those who are named.
fn reactions(list: &serde_json::Value) -> String {
    let one = |reaction: &facts::Reaction<'_>| {
        let name = if reaction.name.is_empty() { "?" } else { reaction.name };
        format!("{name} ({}): {}", reaction.count, reaction.users.join(", "))
    };
    facts::reactions(list).iter().map(one).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reactions_say_how_many_and_who() {
        let list = json!([{"name": "tea", "count": 3, "users": ["ann"]}, {"name": "joy", "users": ["bob", "eva"]}]);
        assert_eq!(reactions(&list), "tea (3): ann; joy (2): bob, eva");
    }
}
