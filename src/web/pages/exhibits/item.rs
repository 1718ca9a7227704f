//! One message, comment or file of an exhibit, with every record of it.

use serde_json::Value;

use super::texts::{Bit, Named, Run, bits, direction, plain, runs, unchanged};
use crate::history::{Directory, Item, Version, author};
use crate::ledger::Checkpoint;
use crate::model::{Digest, MessageTs, RecordSeq, UtcTime, json};
use crate::record::{Kind, Record, State};
use crate::web::desk::Desk;
use crate::web::error::WebError;
use crate::web::pages::view::{Moment, gone_words, note};

/// What the newest checkpoint covers.
#[derive(Debug, Clone)]
pub(crate) struct Covered {
    pub(crate) checkpoint: Option<(Checkpoint, String)>,
}

impl Covered {
    pub(crate) fn now(desk: &Desk) -> Result<Self, WebError> {
        Ok(Self { checkpoint: desk.web().checkpoint()? })
    }

    fn has(&self, seq: RecordSeq) -> bool {
        self.checkpoint.as_ref().is_some_and(|(checkpoint, _)| seq.0 < checkpoint.size)
    }
}

/// A text of a record: where in its body it stands, and how it is shown.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    pub(crate) from: String,
    pub(crate) bits: Vec<Bit>,
    pub(crate) dir: &'static str,
    /// What it is, where it is not the message itself.
    pub(crate) what: String,
}

/// A text of a record held against the one before.
#[derive(Debug, Clone)]
pub(crate) struct Changed {
    pub(crate) from: String,
    /// The record with the earlier text.
    pub(crate) before: Option<u64>,
    pub(crate) runs: Vec<Run>,
}

/// A moment that a record says, and where.
#[derive(Debug, Clone)]
pub(crate) struct Dated {
    pub(crate) what: String,
    pub(crate) from: String,
    pub(crate) at: Moment,
}

/// One record.
#[derive(Debug, Clone)]
pub(crate) struct RecordView {
    pub(crate) record: u64,
    pub(crate) what: String,
    pub(crate) observed: Moment,
    /// SHA-256 of the body, unless that stays closed.
    pub(crate) digest: String,
    pub(crate) leaf: String,
    /// The SHA-256 of the content that it brings.
    pub(crate) content: String,
    pub(crate) size: String,
    pub(crate) is_covered: bool,
    /// Its bytes name channels that the reader may not see.
    pub(crate) is_closed: bool,
    /// How it read, where there are several readings.
    pub(crate) said: Vec<Changed>,
    pub(crate) dates: Vec<Dated>,
    /// Who removed it, as the source says, and where that stands.
    pub(crate) actor: String,
}

impl RecordView {
    /// What is shown of it can be held against its proof.
    pub(crate) fn is_bound(&self) -> bool {
        self.is_covered && !self.is_closed
    }
}

/// A message, comment or file.
#[derive(Debug, Clone)]
pub(crate) struct ItemView {
    /// The record of how it last read.
    pub(crate) record: u64,
    pub(crate) chosen: Vec<u64>,
    /// Why it comes along.
    pub(crate) along: String,
    pub(crate) author: String,
    pub(crate) author_id: String,
    /// The name of the member of the body that names the author; empty: none does.
    pub(crate) author_from: &'static str,
    /// When it was said, and which kind of check that is.
    pub(crate) at: Option<Moment>,
    pub(crate) at_is: &'static str,
    pub(crate) at_from: &'static str,
    pub(crate) note: String,
    pub(crate) said: Vec<Said>,
    pub(crate) edits: usize,
    pub(crate) gone: String,
    /// The files that it names.
    pub(crate) files: Vec<NamedFile>,
    pub(crate) records: Vec<RecordView>,
    /// Of how it last read.
    pub(crate) is_bound: bool,
}

/// A file as a message names it, and where in its body.
#[derive(Debug, Clone)]
pub(crate) struct NamedFile {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) from: String,
}

/// A file that a message names, with what is archived of it.
#[derive(Debug, Clone)]
pub(crate) struct FileView {
    pub(crate) id: String,
    pub(crate) name: String,
    /// Why nothing is said of it.
    pub(crate) missing: String,
    /// The record with the name.
    pub(crate) record: u64,
    pub(crate) is_bound: bool,
    pub(crate) records: Vec<RecordView>,
}

/// What views are made with.
pub(crate) struct Maker<'a> {
    pub(crate) desk: &'a Desk,
    pub(crate) directory: &'a Directory,
    pub(crate) covered: &'a Covered,
    pub(crate) named: Named,
}

/// The texts of a record, with where they stand in its body. The place is empty where the body cannot be read.
fn texts(record: &Record) -> Vec<(String, String)> {
    let Some(body) = json::parse(&record.body) else {
        return vec![(String::new(), String::from_utf8_lossy(&record.body).into_owned())];
    };
    let mut out = Vec::new();
    let mut add = |from: &str| {
        if let Some(text) = at(&body, from).and_then(Value::as_str).filter(|text| !text.is_empty()) {
            out.push((from.to_owned(), text.to_owned()));
        }
    };
    match record.header.kind {
        Kind::Comment => add("comment"),
        Kind::File => {
            add("name");
            // Most have no title of their own.
            if body["title"] != body["name"] {
                add("title");
            }
            add("initial_comment/comment");
        }
        _ => {
            add("text");
            if body["text"].as_str().is_none_or(str::is_empty) {
                add("comment/comment");
            }
            for (n, card) in body["attachments"].as_array().into_iter().flatten().enumerate() {
                for name in ["pretext", "author_name", "title", "title_link", "text"] {
                    add(&format!("attachments/{n}/{name}"));
                }
                for place in 0..card["fields"].as_array().map_or(0, Vec::len) {
                    add(&format!("attachments/{n}/fields/{place}/title"));
                    add(&format!("attachments/{n}/fields/{place}/value"));
                }
                add(&format!("attachments/{n}/footer"));
                if ["pretext", "title", "text"].iter().all(|name| card[*name].as_str().is_none_or(str::is_empty)) {
                    add(&format!("attachments/{n}/fallback"));
                }
            }
        }
    }
    out
}

/// The files that a body names, each once.
fn named_files(body: &Value) -> Vec<NamedFile> {
    let several = (0..body["files"].as_array().map_or(0, Vec::len)).map(|place| format!("files/{place}"));
    let mut out: Vec<NamedFile> = Vec::new();
    for from in std::iter::once("file".to_owned()).chain(several) {
        let text = |name: &str| at(body, &format!("{from}/{name}")).and_then(Value::as_str).unwrap_or_default();
        let (id, name) = (plain(text("id")), plain(text("name")));
        if !id.is_empty() && !out.iter().any(|known| known.id == id) {
            out.push(NamedFile { id, name, from });
        }
    }
    out
}

/// What stands at a place of a body: names and numbers with slashes between.
fn at<'v>(body: &'v Value, from: &str) -> Option<&'v Value> {
    body.pointer(&format!("/{from}"))
}

/// A moment of a note: of our clock, or a time stamp of the server's.
fn moment(text: &str) -> Option<UtcTime> {
    let time = chrono::DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc());
    time.or_else(|| MessageTs::parse(text).map(MessageTs::time))
}

fn seconds(value: &Value) -> Option<UtcTime> {
    let seconds = value.as_i64().filter(|seconds| (1..253_402_300_800).contains(seconds))?;
    UtcTime::from_timestamp(seconds, 0)
}

impl Maker<'_> {
    /// A message, comment or file with all its records.
    pub(crate) fn item(&mut self, item: &Item) -> Result<ItemView, WebError> {
        let desk = self.desk;
        let leaves = desk.archive().leaves(item)?;
        let leaf = |seq: RecordSeq| leaves.iter().find(|(at, _)| *at == seq).map(|(_, leaf)| leaf.to_string());
        let readings = item.readings();
        let mut records: Vec<RecordView> = Vec::new();
        for version in &item.versions {
            let number = readings.iter().position(|reading| reading.seq == version.seq);
            let mut view = self.record(version, leaf(version.seq).unwrap_or_default());
            view.what = self.role(version, number, readings.len());
            let before = number.and_then(|number| number.checked_sub(1)).map(|before| readings[before]);
            if number.is_some() && readings.len() > 1 {
                view.said = changed(version, before, self.is_bound(before));
            }
            records.push(view);
        }
        let Some(latest) = item.latest().or_else(|| item.versions.first()) else { return Err(WebError::NotFound) };
        let body = json::parse(&latest.record.body).unwrap_or_default();
        let id = author(&body);
        let (at, at_is, at_from) = match item.kind {
            Kind::Message => (MessageTs::parse(&item.key).map(MessageTs::time), "clock", "key"),
            _ => (seconds(&body["created"]), "moment", "created"),
        };
        let is_present = latest.record.header.state == State::Present;
        let said = texts(&latest.record).into_iter().filter(|_| is_present).map(|(from, text)| {
            let bits = if from.is_empty() {
                unchanged(&text).remove(0).bits
            } else {
                bits(&text, self.directory, &mut self.named)
            };
            let what = match (item.kind, from.as_str()) {
                (Kind::File, "name") => desk.w.say("name"),
                (Kind::File, "title") => desk.w.say("exhibit-said-title"),
                (_, "text" | "comment" | "comment/comment" | "") => String::new(),
                (Kind::File, _) => desk.w.say("exhibit-said-comment"),
                (_, place) if place.ends_with("/author_name") => desk.w.say("exhibit-said-author"),
                (_, place) if place.ends_with("/title_link") => desk.w.say("exhibit-said-link"),
                _ => desk.w.say("exhibit-said-card"),
            };
            Said { dir: direction(&bits), bits, from, what }
        });
        let mut said: Vec<Said> = said.collect();
        // What several in a row are is said once.
        for place in (1..said.len()).rev() {
            if said[place].what == said[place - 1].what {
                said[place].what.clear();
            }
        }
        let named = self.named.of(self.directory, id);
        Ok(ItemView {
            record: latest.seq.0,
            chosen: Vec::new(),
            along: String::new(),
            author: match (&named, id) {
                (_, "") => desk.w.say("nobody"),
                (Some(name), _) => name.clone(),
                (None, id) => plain(id),
            },
            author_id: plain(id),
            author_from: match (id, body["user"].as_str().unwrap_or_default()) {
                ("", _) => "",
                (id, user) if id == user => "user",
                _ => "username",
            },
            at: at.map(|time| Moment::new(time, desk.zone)),
            at_is,
            at_from,
            note: note(desk.w, &body),
            said,
            edits: readings.len(),
            gone: match item.evidence() {
                Some(evidence) => gone_words(desk, self.directory, &evidence),
                None => String::new(),
            },
            files: if item.kind == Kind::Message && is_present { named_files(&body) } else { Vec::new() },
            is_bound: self.is_bound(Some(latest)) == Some(true),
            records,
        })
    }

    /// A file that a message names.
    pub(crate) fn file(&self, id: &str, item: Option<&Item>) -> FileView {
        let w = self.desk.w;
        let shown = |missing, name, record, is_bound, records| FileView {
            id: plain(id),
            name,
            missing,
            record,
            is_bound,
            records,
        };
        let Some((item, latest)) = item.and_then(|item| Some((item, item.latest()?))) else {
            return shown(w.say("exhibit-file-unknown"), String::new(), 0, false, Vec::new());
        };
        let body = json::parse(&latest.record.body).unwrap_or_default();
        let readings = item.readings();
        let leaves = self.desk.archive().leaves(item).unwrap_or_default();
        let mut records = Vec::new();
        for (number, reading) in readings.iter().enumerate() {
            let leaf = leaves.iter().find(|(seq, _)| *seq == reading.seq);
            let mut view = self.record(reading, leaf.map(|(_, leaf)| leaf.to_string()).unwrap_or_default());
            view.what = self.role(reading, Some(number), readings.len());
            let body = json::parse(&reading.record.body).unwrap_or_default();
            view.size = json::as_int(&body["size"])
                .filter(|size| *size > 0)
                .map(|size| w.count("size-bytes", size))
                .unwrap_or_default();
            records.push(view);
        }
        let is_bound = self.is_bound(Some(latest)) == Some(true) && body["name"].is_string();
        shown(String::new(), plain(body["name"].as_str().unwrap_or(id)), latest.seq.0, is_bound, records)
    }

    /// Whether what a record says can be held against its proof; `None` for no record.
    fn is_bound(&self, version: Option<&Version>) -> Option<bool> {
        version.map(|version| self.covered.has(version.seq) && self.desk.archive().opens(&version.record))
    }

    fn record(&self, version: &Version, leaf: String) -> RecordView {
        let (desk, record) = (self.desk, &version.record);
        let is_closed = !desk.archive().opens(record);
        let body = json::parse(&record.body).unwrap_or_default();
        let is_gone = record.header.state == State::Gone;
        let mut dates = Vec::new();
        for (name, what) in [
            ("at", desk.w.say("exhibit-gone-at")),
            ("last_seen", desk.w.say("exhibit-last-seen")),
            ("first_missing", desk.w.say("exhibit-first-missing")),
        ] {
            if let Some(at) = body["gone"][name].as_str().filter(|_| is_gone).and_then(moment) {
                dates.push(Dated { what, from: format!("gone/{name}"), at: Moment::new(at, desk.zone) });
            }
        }
        if let Some(at) = body["edited"]["ts"].as_str().filter(|_| !is_closed).and_then(moment) {
            let what = desk.w.say("exhibit-edited");
            dates.push(Dated { what, from: "edited/ts".to_owned(), at: Moment::new(at, desk.zone) });
        }
        RecordView {
            record: version.seq.0,
            what: String::new(),
            observed: Moment::parse(&record.header.observed_at, desk.zone),
            digest: if is_closed { String::new() } else { Digest::of(&record.body).to_string() },
            leaf,
            content: record.header.attachment_digests().first().map(ToString::to_string).unwrap_or_default(),
            size: String::new(),
            is_covered: self.covered.has(version.seq),
            is_closed,
            said: Vec::new(),
            dates,
            actor: body["gone"]["actor"].as_str().filter(|_| is_gone).map(plain).unwrap_or_default(),
        }
    }

    fn role(&self, version: &Version, number: Option<usize>, of: usize) -> String {
        let w = self.desk.w;
        match (version.record.header.state, number) {
            (State::Gone, _) => w.say("exhibit-role-gone"),
            (_, Some(_)) if of == 1 => w.say("exhibit-role-only"),
            (_, Some(number)) => w.with_two("version-of-versions", number + 1, of),
            (_, None) => match version.change {
                crate::store::Change::Back => w.say("exhibit-role-back"),
                crate::store::Change::Shared => w.say("exhibit-role-shared"),
                _ => w.say("exhibit-role-part"),
            },
        }
    }
}

/// The texts of a reading, each against the one that stood in its place before.
fn changed(version: &Version, before: Option<&Version>, is_bound: Option<bool>) -> Vec<Changed> {
    let earlier = before.map(|before| (before.seq.0, texts(&before.record)));
    let one = |(from, text): (String, String)| {
        let known = earlier.as_ref().and_then(|(seq, texts)| {
            let (_, text) = texts.iter().find(|(place, _)| *place == from)?;
            Some((*seq, text))
        });
        match known {
            Some((seq, known)) => {
                Changed { before: (is_bound == Some(true)).then_some(seq), runs: runs(known, &text), from }
            }
            None => Changed { before: None, runs: unchanged(&text), from },
        }
    };
    texts(&version.record).into_iter().map(one).collect()
}
