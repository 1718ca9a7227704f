//! `records.jsonl`: one JSON object a line. The first is the manifest, the last says `complete` and counts
//! the others; without it the file is not whole. Between them a line a record: its header, the body exactly as
//! the server sent it, in base64 where it is not UTF-8, and, beside them, what the archive knows of it.
//! `files/` holds the contents.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value, json};

use super::Format;
use crate::export::Error;
use crate::export::facts::Author;
use crate::export::out::{Content, Out};
use crate::export::paths::safe;
use crate::export::unit::{CLOSED, Cell, Entry, FileFamily, Subject, Unit, Version};
use crate::model::rfc3339;

const NAME: &str = "records.jsonl";

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Jsonl {
    lines: u64,
}

impl Format for Jsonl {
    fn begin(&mut self, out: &mut Out<'_>) -> Result<(), Error> {
        self.lines = 0;
        let request = out.set.request;
        let manifest = json!({"manifest": {
            "format": "teamchat-archive/jsonl/v1",
            "archive": out.set.archive().to_string(),
            "server": out.set.reader.archive().server,
            "checkpoint": out.set.size,
            "made_at": rfc3339(out.set.made_at),
            "zone": request.zone.name(),
            "scope": request.describe(),
        }});
        out.append(NAME, format!("{manifest}\n").as_bytes())
    }

    fn unit(&mut self, unit: &Unit, out: &mut Out<'_>) -> Result<(), Error> {
        for entry in &unit.entries {
            self.entry(unit, entry, out)?;
        }
        Ok(())
    }

    fn end(&mut self, out: &mut Out<'_>) -> Result<(), Error> {
        let complete = json!({"complete": {"records": self.lines}});
        out.append(NAME, format!("{complete}\n").as_bytes())?;
        let path = out.path(NAME);
        out.bag.grown(&path)?;
        Ok(())
    }

    fn state(&self) -> Value {
        json!(self.lines)
    }

    fn resume(&mut self, state: &Value) {
        self.lines = state.as_u64().unwrap_or(0);
    }

    fn growth(&self) -> (u64, u64) {
        (3, 1)
    }
}

impl Jsonl {
    fn entry(&mut self, unit: &Unit, entry: &Entry, out: &mut Out<'_>) -> Result<(), Error> {
        if let Some(message) = &entry.message {
            let elsewhere: Vec<Value> = entry
                .given_elsewhere
                .iter()
                .map(|(id, channel)| json!({"file": id, "conversation": channel.as_str()}))
                .collect();
            let files = json!({
                "files": entry.files.iter().map(FileFamily::id).collect::<Vec<_>>(),
                "files_given_before": entry.given_before,
                "files_given_elsewhere": elsewhere,
                "files_not_given": entry.not_given,
            });
            for version in &message.versions {
                self.line(unit, message, version, files.clone(), out)?;
                out.produced(&message.cell, version)?;
            }
        }
        for version in &entry.reactions {
            self.note(unit, &entry.cell, version, out)?;
        }
        for family in &entry.files {
            self.file(unit, family, out)?;
        }
        if let Some(pins) = &entry.pins {
            self.note(unit, &entry.cell, pins, out)?;
        }
        Ok(())
    }

    fn file(&mut self, unit: &Unit, family: &FileFamily, out: &mut Out<'_>) -> Result<(), Error> {
        let cell = &family.file.cell;
        for version in &family.file.versions {
            let relative =
                format!("files/{}/{}-{}", unit.conversation.folder(), version.seq, safe(family.name(version)));
            let content = out.copy_content(&relative, version)?;
            let path = matches!(content, Content::Written(_)).then(|| out.path(&relative));
            self.line(unit, &family.file, version, json!({"path": path}), out)?;
            out.produced_with(cell, version, &content)?;
        }
        for comment in &family.comments {
            for version in &comment.versions {
                self.line(unit, comment, version, json!({}), out)?;
                out.produced(&comment.cell, version)?;
            }
        }
        Ok(())
    }

    fn line(
        &mut self,
        unit: &Unit,
        subject: &Subject,
        version: &Version,
        more: Value,
        out: &mut Out<'_>,
    ) -> Result<(), Error> {
        let (author, name) = match subject.shown_author() {
            Author::Known(id) => (id, out.set.names.name(id, subject.time)),
            Author::Named(name) => ("", name),
            Author::NotStated | Author::Withheld => ("", ""),
        };
        let mut known = json!({
            "conversation": unit.conversation.id.as_str(),
            "conversation_name": unit.conversation.name,
            // Null where the source does not say when it was made.
            "time": subject.is_dated().then(|| rfc3339(subject.time)),
            "author": author,
            "author_name": name,
            "state": subject.state_of(version),
        });
        if let (Some(known), Value::Object(more)) = (known.as_object_mut(), more) {
            known.extend(more);
        }
        self.write(version, known, out)
    }

    fn note(&mut self, unit: &Unit, cell: &Cell, version: &Version, out: &mut Out<'_>) -> Result<(), Error> {
        let known = json!({"conversation": unit.conversation.id.as_str(), "conversation_name": unit.conversation.name});
        self.write(version, known, out)?;
        out.produced(cell, version)
    }

    fn write(&mut self, version: &Version, known: Value, out: &mut Out<'_>) -> Result<(), Error> {
        let mut line = Map::new();
        line.insert("record".to_owned(), json!(version.seq.0));
        line.insert("header".to_owned(), json!(version.record.header));
        match std::str::from_utf8(&version.record.body) {
            Ok(text) => line.insert("body".to_owned(), json!(text)),
            Err(_) => line.insert("body_base64".to_owned(), json!(BASE64.encode(&version.record.body))),
        };
        line.insert("archive".to_owned(), known);
        if let Some(withheld) = &version.withheld {
            line.insert("withheld".to_owned(), json!({"action": withheld.hiding.as_str(), "reason": withheld.reason}));
        }
        if version.is_closed && version.withheld.is_none() {
            line.insert("closed".to_owned(), json!(CLOSED));
        }
        self.lines += 1;
        let mut text = serde_json::to_vec(&line).unwrap_or_default();
        text.push(b'\n');
        out.append(NAME, &text)
    }
}
