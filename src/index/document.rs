//! What a record says, as it is indexed: its texts, what it is found by besides, and a check over all of it.

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tantivy::TantivyDocument;

use super::schema::Fields;
use crate::history::{Item, ItemState};
use crate::model::{ChannelId, Digest, MessageTs, RecordSeq, json};
use crate::query::PART_BREAK;
use crate::record::{Kind, Record};

/// What of a record is searched, whatever its kind.
#[derive(Debug, Clone, Default)]
pub(super) struct Content {
    pub(super) kind: &'static str,
    pub(super) channels: Vec<ChannelId>,
    pub(super) author: String,
    pub(super) ts: i64,
    pub(super) body: Parts,
    pub(super) title: Parts,
    pub(super) extension: String,
    pub(super) mime: String,
    pub(super) size: Option<u64>,
    pub(super) blob: Option<Digest>,
    pub(super) comment: String,
    /// What the members of its family have in common, as texts.
    pub(super) families: Vec<String>,
    pub(super) mentions: Vec<String>,
    pub(super) reactions: Vec<String>,
    pub(super) flags: Vec<&'static str>,
}

/// A text in parts that no phrase reaches across.
#[derive(Debug, Clone, Default)]
pub(super) struct Parts(String);

impl Parts {
    /// Adds a part, unless the same one stands there already.
    fn add(&mut self, part: &str) {
        // A break that somebody typed is none.
        let part = part.replace(PART_BREAK, " ");
        if part.is_empty() || self.0.split(PART_BREAK).any(|known| known == part) {
            return;
        }
        if !self.0.is_empty() {
            self.0.push(PART_BREAK);
        }
        self.0.push_str(&part);
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    fn of(part: &str) -> Self {
        let mut parts = Self::default();
        parts.add(part);
        parts
    }
}

fn text(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn seconds(value: &Value, name: &str) -> i64 {
    match value.get(name) {
        Some(Value::Number(number)) => number.as_i64().unwrap_or(0),
        Some(Value::String(text)) => text.parse().unwrap_or(0),
        _ => 0,
    }
}

/// The extension of a file name, lower case.
fn extension(name: &str) -> String {
    name.rsplit_once('.')
        .map(|(_, extension)| extension.to_lowercase())
        .filter(|extension| extension.len() <= 12)
        .unwrap_or_default()
}

/// The searched content of a reading; `None` for kinds that are not searched. `file_channels` are
/// those that the file, or the file that a comment belongs to, was seen in.
pub(super) fn content(record: &Record, file_channels: &[ChannelId]) -> Option<Content> {
    let header = &record.header;
    let value = json::parse(&record.body).unwrap_or_default();
    match header.kind {
        Kind::Message => Some(message(record, &value)),
        Kind::Comment => {
            let (file, id) = header.key.rsplit_once('/').unwrap_or(("", &header.key));
            let written = text(&value, "comment");
            Some(Content {
                kind: "comment",
                channels: file_channels.to_vec(),
                author: text(&value, "user"),
                ts: seconds(&value, "created").saturating_mul(1_000_000),
                mentions: mentions(&written),
                flags: with_link(vec!["comment"], &written),
                body: Parts::of(&written),
                comment: format!("c:{id}"),
                families: vec![family_of_file(file)],
                reactions: reactions(&value),
                ..Content::default()
            })
        }
        Kind::File => {
            let written = text(&value["initial_comment"], "comment");
            let mut title = Parts::default();
            titles(&value, &mut title);
            Some(Content {
                kind: "file",
                channels: file_channels.to_vec(),
                author: text(&value, "user"),
                ts: seconds(&value, "created").saturating_mul(1_000_000),
                title,
                mentions: mentions(&written),
                flags: with_link(vec!["file"], &written),
                body: Parts::of(&written),
                extension: extension(&text(&value, "name")),
                mime: text(&value, "mimetype").to_lowercase(),
                size: json::as_int(&value["size"]).and_then(|size| u64::try_from(size).ok()),
                blob: header.attachment_digests().first().copied(),
                families: vec![family_of_file(&header.key)],
                reactions: reactions(&value),
                ..Content::default()
            })
        }
        _ => None,
    }
}

/// The texts of a record that are searched, parts of one divided by [`PART_BREAK`].
#[derive(Debug, Clone, Default)]
pub struct Texts {
    /// What was written.
    pub body: String,
    /// Names and titles of files.
    pub title: String,
}

/// What of a record is searched; what was read in a file is kept elsewhere.
pub fn texts(record: &Record) -> Texts {
    let content = content(record, &[]).unwrap_or_default();
    Texts { body: content.body.0, title: content.title.0 }
}

fn family_of_file(id: &str) -> String {
    format!("f:{id}")
}

/// The number of the family of a file: of the file, its comments, and the messages that carry it. Another
/// family may have the same.
pub(super) fn file_family(id: &str) -> u64 {
    number(&family_of_file(id))
}

fn with_link(mut flags: Vec<&'static str>, text: &str) -> Vec<&'static str> {
    if text.contains("://") {
        flags.push("link");
    }
    flags
}

fn titles(file: &Value, into: &mut Parts) {
    into.add(&text(file, "name"));
    into.add(&text(file, "title"));
}

/// Who is named: `<@id>` and `<@id|name>`.
fn mentions(text: &str) -> Vec<String> {
    let mut out: Vec<String> = text
        .split("<@")
        .skip(1)
        .filter_map(|rest| rest.split_once('>'))
        .map(|(inner, _)| inner.split('|').next().unwrap_or(inner).to_lowercase())
        .filter(|id| !id.is_empty())
        .collect();
    out.sort();
    out.dedup();
    out
}

fn reactions(value: &Value) -> Vec<String> {
    value["reactions"].as_array().into_iter().flatten().map(|reaction| text(reaction, "name").to_lowercase()).collect()
}

/// The text of a message as people read it. A comment's text stands in its `comment`; an
/// attachment's in its fields. A body that is not JSON is searched as it is.
fn message(record: &Record, value: &Value) -> Content {
    let header = &record.header;
    let channels: Vec<ChannelId> = header.channel_id().into_iter().collect();
    let own_family = format!("m:{}/{}", header.channel.as_deref().unwrap_or_default(), header.key);
    if value.is_null() {
        return Content {
            kind: "message",
            channels,
            ts: MessageTs::parse(&header.key).map_or(0, MessageTs::micros),
            body: Parts::of(&String::from_utf8_lossy(&record.body)),
            families: vec![own_family],
            ..Content::default()
        };
    }
    let mut body = Parts::of(&text(value, "text"));
    body.add(&text(&value["comment"], "comment"));
    for attachment in value["attachments"].as_array().into_iter().flatten() {
        for name in ["pretext", "author_name", "title", "text", "footer", "fallback"] {
            body.add(&text(attachment, name));
        }
        for field in attachment["fields"].as_array().into_iter().flatten() {
            for name in ["title", "value"] {
                body.add(&text(field, name));
            }
        }
    }
    for name in ["topic", "purpose", "name", "old_name"] {
        body.add(&text(value, name));
    }
    let files: Vec<&Value> =
        value.get("file").into_iter().chain(value["files"].as_array().into_iter().flatten()).collect();
    let mut title = Parts::default();
    let mut families = Vec::new();
    for file in files.iter().filter(|file| file.is_object()) {
        titles(file, &mut title);
        let id = text(file, "id");
        if !id.is_empty() {
            families.push(family_of_file(&id));
        }
    }
    if families.is_empty() {
        families.push(own_family);
    }
    let reactions = reactions(value);
    let mut flags = Vec::new();
    let mut flag = |has: bool, name: &'static str| {
        if has {
            flags.push(name);
        }
    };
    flag(body.as_str().contains("://"), "link");
    flag(!files.is_empty(), "file");
    flag(!reactions.is_empty(), "reaction");
    flag(value["edited"].is_object(), "edited");
    flag(text(value, "subtype") == "bot_message" || value.get("bot_id").is_some(), "bot");
    flag(value["comment"].is_object(), "comment");
    flag(value.get("thread_ts").is_some(), "thread");
    flag(value["pinned_to"].as_array().is_some_and(|pinned| !pinned.is_empty()), "pinned");
    let user = text(value, "user");
    Content {
        kind: "message",
        channels,
        author: if user.is_empty() { text(value, "username") } else { user },
        ts: MessageTs::parse(&header.key).map_or(0, MessageTs::micros),
        mentions: mentions(body.as_str()),
        body,
        title,
        families,
        reactions,
        comment: Some(text(&value["comment"], "id"))
            .filter(|id| !id.is_empty())
            .map(|id| stream_comment(&id))
            .unwrap_or_default(),
        flags,
        ..Content::default()
    }
}

/// How a comment that stands in a channel's stream is named, apart from one read from its file.
pub(super) fn stream_comment(id: &str) -> String {
    format!("m:{id}")
}

/// The comment that a message of a stream is, if it is one: found there, and not again as a
/// comment read from its file.
pub fn is_searched_in_stream(record: &Record) -> Option<String> {
    // Almost no message is one, and parsing them all would take longer than decompressing them. A name
    // can be written with escapes.
    let has_none = |body: &str| !body.contains("comment") && !body.contains("\\u");
    if std::str::from_utf8(&record.body).is_ok_and(has_none) {
        return None;
    }
    let id = json::parse(&record.body).map(|value| text(&value["comment"], "id"))?;
    (record.header.kind == Kind::Message && !id.is_empty()).then_some(id)
}

/// A number for a text: FNV-1a, so that it is the same in every index.
pub(super) fn number(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// What was read in a file, or why nothing was.
#[derive(Debug, Clone, Default)]
pub(super) struct ReadText {
    /// The word for what became of it; empty for what is no file.
    pub(super) status: String,
    pub(super) text: String,
    pub(super) is_truncated: bool,
}

/// How a reading stands among those of its item.
#[derive(Debug, Clone)]
pub(super) struct Standing {
    pub(super) state: ItemState,
    /// The item has other readings.
    pub(super) is_changed: bool,
    /// It is not the first of them.
    pub(super) is_later: bool,
    /// It is in a direct conversation.
    pub(super) is_im: bool,
    /// Microseconds since 1970: when it was first observed, when the next reading was, and when the
    /// item went and came back, in turn.
    pub(super) observed: i64,
    pub(super) replaced: Option<i64>,
    pub(super) gone: Vec<i64>,
}

/// One document, before the engine has it.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) seq: RecordSeq,
    pub(super) key: String,
    pub(super) content: Content,
    pub(super) standing: Standing,
    pub(super) read: ReadText,
}

impl Made {
    fn flags(&self) -> Vec<&'static str> {
        let mut flags = self.content.flags.clone();
        flags.push(match self.standing.state {
            ItemState::Current => "current",
            ItemState::Edited => "superseded",
            ItemState::Deleted => "deleted",
        });
        let mut add = |has: bool, name: &'static str| {
            if has && !flags.contains(&name) {
                flags.push(name);
            }
        };
        // Known to be changed at any time at which it stood.
        add(self.standing.is_later || self.content.flags.contains(&"edited"), "revised");
        add(self.standing.is_changed, "edited");
        add(self.standing.is_im, "im");
        add(!self.read.status.is_empty() && self.read.status != "ok", "unextracted");
        add(self.read.is_truncated, "truncated");
        flags
    }

    /// The first 8 bytes of a SHA-256 over all that the document is made of. By it `verify` finds a
    /// document that says something else than its record.
    pub(super) fn check(&self) -> u64 {
        let mut hash = Sha256::new();
        let mut part = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        };
        let Content {
            kind,
            channels,
            author,
            ts,
            body,
            title,
            extension,
            mime,
            size,
            blob,
            comment,
            families,
            mentions,
            reactions,
            flags: _,
        } = &self.content;
        part(&self.seq.0.to_be_bytes());
        part(kind.as_bytes());
        for texts in [
            channels.iter().map(ChannelId::as_str).collect::<Vec<_>>(),
            families.iter().map(String::as_str).collect(),
            mentions.iter().map(String::as_str).collect(),
            reactions.iter().map(String::as_str).collect(),
            self.flags(),
        ] {
            part(&(texts.len() as u64).to_be_bytes());
            for text in texts {
                part(text.as_bytes());
            }
        }
        let blob = blob.map(|digest| digest.to_string()).unwrap_or_default();
        for text in [author, extension, mime, comment, &self.key, &blob, &self.read.status, &self.read.text] {
            part(text.as_bytes());
        }
        part(body.as_str().as_bytes());
        part(title.as_str().as_bytes());
        part(&ts.to_be_bytes());
        part(&size.map_or(0, |size| size + 1).to_be_bytes());
        part(self.standing.state.as_str().as_bytes());
        part(&self.standing.observed.to_be_bytes());
        part(&self.standing.replaced.unwrap_or(i64::MAX).to_be_bytes());
        for change in &self.standing.gone {
            part(&change.to_be_bytes());
        }
        u64::from_be_bytes(hash.finalize()[..8].try_into().expect("a SHA-256 has 32 bytes"))
    }

    /// As the engine takes it.
    pub(super) fn document(&self, fields: &Fields, check: u64) -> TantivyDocument {
        let mut document = TantivyDocument::default();
        let content = &self.content;
        document.add_u64(fields.seq, self.seq.0);
        document.add_u64(fields.check, check);
        document.add_text(fields.kind, content.kind);
        for channel in &content.channels {
            document.add_text(fields.channel, channel.as_str());
        }
        document.add_text(fields.author, content.author.to_lowercase());
        for id in &content.mentions {
            document.add_text(fields.mention, id);
        }
        document.add_i64(fields.ts, content.ts);
        document.add_u64(fields.place, content.channels.first().map_or(0, |channel| number(channel.as_str())));
        document.add_i64(fields.observed, self.standing.observed);
        if let Some(replaced) = self.standing.replaced {
            document.add_i64(fields.replaced, replaced);
        }
        for change in &self.standing.gone {
            document.add_i64(fields.gone, *change);
        }
        document.add_text(fields.state, self.standing.state.as_str());
        for flag in self.flags() {
            document.add_text(fields.flag, flag);
        }
        for name in &content.reactions {
            document.add_text(fields.reaction, name);
        }
        for family in &content.families {
            document.add_u64(fields.family, number(family));
        }
        document.add_text(fields.key, &self.key);
        let mut text = |field, text: &str| {
            if !text.is_empty() {
                document.add_text(field, text);
            }
        };
        text(fields.extension, &content.extension);
        text(fields.mime, &content.mime);
        text(fields.blob, &content.blob.map(|digest| digest.to_string()).unwrap_or_default());
        text(fields.status, &self.read.status);
        text(fields.comment, &content.comment);
        text(fields.body, content.body.as_str());
        text(fields.title, content.title.as_str());
        text(fields.content, &self.read.text);
        if let Some(size) = content.size {
            document.add_u64(fields.size, size);
        }
        document
    }
}

/// The part of a subject's key that people know it by.
pub(super) fn public_key(item: &Item) -> &str {
    item.key.rsplit('/').next().unwrap_or(&item.key)
}
