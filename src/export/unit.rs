//! What a format is given: a stretch of one conversation, never more than fits in memory, with families
//! whole and names as they were.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::NaiveDate;
use serde_json::Value;

use super::reach::Hidden;
use super::request::Withheld;
use crate::history::{Item, Version as ItemVersion, author, names_others, without_others};
use crate::model::{ChannelId, Digest, MessageTs, RecordSeq, Scope, UtcTime, json};
use crate::record::{Kind, Record, State};
use crate::store::Change;

/// Where something is counted: who is its custodian, in which conversation, on which day.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Cell {
    pub(super) custodian: Arc<str>,
    pub(super) conversation: ChannelId,
    pub(super) day: NaiveDate,
}

/// What a version is among those of its subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// How it read.
    Reading,
    /// A reading known in part, of which a later version holds the whole.
    Partial,
    /// Our note that it is gone.
    Gone,
    /// It is back, as it was before.
    Back,
    /// A file that reads as before was seen in another channel.
    Shared,
}

/// One record of a subject.
#[derive(Debug)]
pub(super) struct Version {
    pub(super) seq: RecordSeq,
    pub(super) number: u32,
    pub(super) role: Role,
    /// The record as it may be shown: what is withheld is not in it.
    pub(super) record: Record,
    /// The body, read.
    pub(super) body: Value,
    /// Why it is not shown, if it is not.
    pub(super) withheld: Option<Withheld>,
    /// It names conversations that whoever asked may not see: they are left out, and its proof keeps closed what
    /// the server sent.
    pub(super) is_closed: bool,
    /// The content of a file, where the archive has it and it may be shown.
    pub(super) blob: Option<Blob>,
}

/// A file's content.
#[derive(Debug, Clone)]
pub(super) struct Blob {
    pub(super) digest: Digest,
    pub(super) size: u64,
}

impl Version {
    /// When it was observed.
    pub(super) fn observed(&self) -> UtcTime {
        self.record.header.observed()
    }

    /// The text that was written: of a message, a comment, or with a file.
    pub(super) fn text(&self) -> &str {
        let text = match self.record.header.kind {
            Kind::Comment => &self.body["comment"],
            Kind::File => &self.body["initial_comment"]["comment"],
            // The text of a comment in the stream stands in the comment.
            _ if self.body["comment"]["comment"].is_string()
                && self.body["text"].as_str().is_none_or(str::is_empty) =>
            {
                &self.body["comment"]["comment"]
            }
            _ => &self.body["text"],
        };
        text.as_str().unwrap_or_default()
    }

    /// When the source says that it was edited so.
    pub(super) fn edited_at(&self) -> Option<MessageTs> {
        self.body["edited"]["ts"].as_str().and_then(MessageTs::parse)
    }

    /// Who edited it, as far as the source says.
    pub(super) fn edited_by(&self) -> Option<&str> {
        self.body["edited"]["user"].as_str().filter(|user| !user.is_empty())
    }
}

/// A message, a file or a comment, with its versions that are in scope.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) kind: Kind,
    /// Time stamp, file id, or file id `/` comment id.
    pub(super) key: String,
    /// When the source says that it was made.
    pub(super) time: UtcTime,
    /// Who made it: the id. Empty where the source does not say.
    pub(super) author: String,
    /// Readings in the order in which it read so; notes after the reading that they follow.
    pub(super) versions: Vec<Version>,
    /// Its newest note says that it is gone.
    pub(super) is_gone: bool,
    /// The source says that it was there at the moment that was asked for, and how it read then is not known: its
    /// first reading is a later one.
    pub(super) is_later: bool,
    pub(super) cell: Cell,
}

impl Subject {
    /// Its readings, in the order in which it read so.
    pub(super) fn readings(&self) -> impl DoubleEndedIterator<Item = &Version> {
        self.versions.iter().filter(|version| version.role == Role::Reading)
    }

    /// How it last read. There is always one, or nothing of it is in scope.
    pub(super) fn latest(&self) -> &Version {
        self.readings().next_back().unwrap_or(&self.versions[0])
    }

    /// The notes that it is gone.
    pub(super) fn deletions(&self) -> impl Iterator<Item = &Version> {
        self.versions.iter().filter(|version| version.role == Role::Gone)
    }

    /// A reading's state: `current`, `edited` or `deleted`.
    pub(super) fn state_of(&self, version: &Version) -> &'static str {
        match version.role {
            Role::Reading if version.seq == self.latest().seq => {
                if self.is_gone {
                    "deleted"
                } else {
                    "current"
                }
            }
            Role::Reading => "edited",
            Role::Partial => "partial",
            Role::Gone => "gone",
            Role::Back => "back",
            Role::Shared => "shared",
        }
    }

    /// Bytes of its bodies: what it weighs in memory.
    pub(super) fn weight(&self) -> usize {
        self.versions.iter().map(|version| version.record.body.len() + 512).sum()
    }
}

/// A file with its comments, at the place where it is given.
#[derive(Debug)]
pub(super) struct FileFamily {
    pub(super) file: Subject,
    pub(super) comments: Vec<Subject>,
}

impl FileFamily {
    /// The file's id.
    pub(super) fn id(&self) -> &str {
        &self.file.key
    }

    /// The name that a version of it has.
    pub(super) fn name<'a>(&'a self, version: &'a Version) -> &'a str {
        ["name", "title"]
            .into_iter()
            .filter_map(|name| version.body[name].as_str())
            .find(|name| !name.is_empty())
            .unwrap_or(self.id())
    }
}

/// A message with the files that it brings, or a file that no message in scope shows, or the pins of a channel.
#[derive(Debug)]
pub(super) struct Entry {
    /// When it stands there.
    pub(super) time: UtcTime,
    pub(super) message: Option<Subject>,
    /// The reactions on the message after they changed, oldest first.
    pub(super) reactions: Vec<Version>,
    /// The files given here with their comments.
    pub(super) files: Vec<FileFamily>,
    /// Files that the message shows and that are given with an earlier message of the conversation.
    pub(super) given_before: Vec<String>,
    /// Files that it shows and that are given in another conversation of the set (`--dedupe`).
    pub(super) given_elsewhere: Vec<(String, ChannelId)>,
    /// Files that it shows and of which nothing is in scope, or nothing in the archive.
    pub(super) not_given: Vec<String>,
    /// A list of pins, as one account was shown it.
    pub(super) pins: Option<Version>,
    pub(super) cell: Cell,
}

impl Entry {
    /// Bytes of its bodies.
    pub(super) fn weight(&self) -> usize {
        let own: usize = self.message.iter().map(Subject::weight).sum();
        let notes: usize = self.reactions.iter().chain(&self.pins).map(|version| version.record.body.len() + 512).sum();
        let files: usize = self
            .files
            .iter()
            .map(|family| family.file.weight() + family.comments.iter().map(Subject::weight).sum::<usize>())
            .sum();
        own + notes + files + 256
    }

    /// Events that a reader of chat would count: the message, and each comment of its files.
    pub(super) fn events(&self) -> usize {
        1 + self.files.iter().map(|family| 1 + family.comments.len()).sum::<usize>()
    }

    /// Bytes of contents.
    pub(super) fn blob_bytes(&self) -> u64 {
        self.files
            .iter()
            .flat_map(|family| &family.file.versions)
            .filter_map(|version| version.blob.as_ref())
            .map(|blob| blob.size)
            .sum()
    }
}

/// A conversation as it was on a day.
#[derive(Debug, Clone)]
pub(super) struct Conversation {
    pub(super) id: ChannelId,
    pub(super) name: String,
    pub(super) topic: String,
    /// Ids of those who were in it, as far as the source names them.
    pub(super) members: Vec<String>,
    pub(super) is_direct: bool,
}

impl Conversation {
    /// A name for a folder or a file: what people call it, and enough of its id that no two are one.
    pub(super) fn folder(&self) -> String {
        let digest = Digest::of(self.id.as_str().as_bytes()).to_string();
        let mut name = super::paths::safe(&self.name);
        let mut end = name.len().min(60);
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        name.truncate(end);
        format!("{name}-{}", &digest[..8])
    }
}

/// A stretch of one conversation on one day in the zone of the set.
#[derive(Debug)]
pub(super) struct Unit {
    pub(super) conversation: Arc<Conversation>,
    pub(super) day: NaiveDate,
    /// 1, 2, … of its conversation.
    pub(super) number: u64,
    /// 1, and more where a day is too long for one unit.
    pub(super) part: u32,
    /// The day goes on in another unit.
    pub(super) is_continued: bool,
    pub(super) entries: Vec<Entry>,
}

/// Makes versions out of an item's, those in scope only.
pub(super) fn versions(
    item: &Item,
    chosen: &[&ItemVersion],
    why: Option<&Hidden>,
    scope: &Scope,
    size_of: &dyn Fn(&Digest) -> Option<u64>,
) -> Vec<Version> {
    let places: HashMap<RecordSeq, usize> =
        (0..).zip(item.readings()).map(|(place, reading)| (reading.seq, place)).collect();
    let place = |version: &ItemVersion| places.get(&version.seq).copied();
    let mut out: Vec<(usize, Version)> = Vec::with_capacity(chosen.len());
    let mut last = 0;
    for version in chosen {
        let role = match (version.record.header.state, version.change, place(version)) {
            (State::Gone, _, _) => Role::Gone,
            (_, _, Some(_)) => Role::Reading,
            (_, Change::Back, _) => Role::Back,
            (_, Change::Shared, _) => Role::Shared,
            _ => Role::Partial,
        };
        // A note stands after the reading that was newest when it was made.
        let at = place(version).unwrap_or(last);
        if version.change != Change::Earlier {
            last = last.max(at);
        }
        out.push((at, of_record(version.seq, version.version, role, &version.record, why, scope, size_of)));
    }
    out.sort_by_key(|(at, version)| (*at, version.seq));
    out.into_iter().map(|(_, version)| version).collect()
}

/// A version of a record, without what may not be shown of it.
pub(super) fn of_record(
    seq: RecordSeq,
    number: u32,
    role: Role,
    record: &Record,
    why: Option<&Hidden>,
    scope: &Scope,
    size_of: &dyn Fn(&Digest) -> Option<u64>,
) -> Version {
    let is_closed = is_closed(record, scope);
    let mut record = if is_closed { without_others(record, &|id| scope.allows(id)) } else { record.clone() };
    let withheld = why.map(|why| why.of(seq));
    let blob = match (why, record.header.attachment_digests().first()) {
        (None, Some(digest)) => size_of(digest).map(|size| Blob { digest: *digest, size }),
        _ => None,
    };
    if let Some(withheld) = &withheld {
        record = super::withhold::shown(&record, withheld);
    }
    let body = json::parse(&record.body).unwrap_or_default();
    Version { seq, number, role, record, body, withheld, is_closed, blob }
}

/// Whether a record names conversations that whoever asked may not see.
pub(super) fn is_closed(record: &Record, scope: &Scope) -> bool {
    *scope != Scope::All && names_others(record, &|id| scope.allows(id))
}

/// Why a record is not given as it was sent.
pub(super) const CLOSED: &str =
    "it names conversations that whoever asked may not see; they are left out, and the proof keeps its bytes closed";

/// Who made a subject: the author of its first reading in the archive.
pub(super) fn author_of(item: &Item) -> String {
    item.versions
        .iter()
        .find(|version| version.record.header.state == State::Present)
        .map(|version| author(&json::parse(&version.record.body).unwrap_or_default()).to_owned())
        .unwrap_or_default()
}

/// When a file or a comment was made, as the source says, else when it was first seen.
pub(super) fn created(item: &Item) -> UtcTime {
    let first = &item.versions[0].record;
    let present = item.versions.iter().find(|version| version.record.header.state == State::Present);
    let said = present.and_then(|version| said_created(&json::parse(&version.record.body)?));
    said.unwrap_or_else(|| first.header.observed())
}

/// When a file or a comment says that it was made. What lies after the year 9999 is no number of seconds.
pub(super) fn said_created(body: &Value) -> Option<UtcTime> {
    let seconds = json::as_int(&body["created"]).filter(|seconds| (1..253_402_300_800).contains(seconds))?;
    UtcTime::from_timestamp(seconds, 0)
}
