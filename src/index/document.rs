use serde_json::Value;
use tantivy::TantivyDocument;

use super::schema::Fields;
use crate::history::{Item, ItemState};
use crate::model::{ChannelId, MessageTs, RecordSeq, json};
use crate::record::{Kind, Record};

/// What of a record is searched, whatever its kind.
#[derive(Debug, Clone, Default)]
pub(super) struct Content {
    pub(super) kind: &'static str,
    pub(super) channels: Vec<ChannelId>,
    pub(super) author: String,
    pub(super) ts: i64,
    pub(super) body: String,
    pub(super) title: String,
    pub(super) extension: String,
    pub(super) comment: String,
    pub(super) flags: Vec<&'static str>,
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
        Kind::Comment => Some(Content {
            kind: "comment",
            channels: file_channels.to_vec(),
            author: text(&value, "user"),
            ts: seconds(&value, "created").saturating_mul(1_000_000),
            body: text(&value, "comment"),
            comment: header.key.rsplit_once('/').map(|(_, id)| format!("c:{id}")).unwrap_or_default(),
            flags: vec!["comment"],
            ..Content::default()
        }),
        Kind::File => Some(Content {
            kind: "file",
            channels: file_channels.to_vec(),
            author: text(&value, "user"),
            ts: seconds(&value, "created").saturating_mul(1_000_000),
            title: titles(&value),
            body: text(&value["initial_comment"], "comment"),
            extension: extension(&text(&value, "name")),
            flags: vec!["file"],
            ..Content::default()
        }),
        _ => None,
    }
}

fn titles(file: &Value) -> String {
    let (name, title) = (text(file, "name"), text(file, "title"));
    if title == name || title.is_empty() { name } else { format!("{name}\n{title}") }
}

/// The text of a message as people read it. A comment's text stands in its `comment`; an
/// attachment's in its fields. A body that is not JSON is searched as it is.
fn message(record: &Record, value: &Value) -> Content {
    let header = &record.header;
    if value.is_null() {
        return Content {
            kind: "message",
            channels: header.channel_id().into_iter().collect(),
            ts: MessageTs::parse(&header.key).map_or(0, MessageTs::micros),
            body: String::from_utf8_lossy(&record.body).into_owned(),
            ..Content::default()
        };
    }
    let mut body = text(value, "text");
    let comment = text(&value["comment"], "comment");
    if !comment.is_empty() && !body.contains(&comment) {
        body = if body.is_empty() { comment } else { format!("{body}\n{comment}") };
    }
    for attachment in value["attachments"].as_array().into_iter().flatten() {
        for name in ["pretext", "author_name", "title", "text", "footer", "fallback"] {
            let part = text(attachment, name);
            if !part.is_empty() && !body.contains(&part) {
                body.push('\n');
                body.push_str(&part);
            }
        }
        for field in attachment["fields"].as_array().into_iter().flatten() {
            for name in ["title", "value"] {
                body.push('\n');
                body.push_str(&text(field, name));
            }
        }
    }
    for name in ["topic", "purpose", "name", "old_name"] {
        let part = text(value, name);
        if !part.is_empty() && !body.contains(&part) {
            body.push('\n');
            body.push_str(&part);
        }
    }
    let files: Vec<&Value> =
        value.get("file").into_iter().chain(value["files"].as_array().into_iter().flatten()).collect();
    let mut flags = Vec::new();
    let mut flag = |has: bool, name: &'static str| {
        if has {
            flags.push(name);
        }
    };
    flag(body.contains("://"), "link");
    flag(!files.is_empty(), "file");
    flag(value["reactions"].as_array().is_some_and(|set| !set.is_empty()), "reaction");
    flag(value["edited"].is_object(), "edited");
    flag(text(value, "subtype") == "bot_message" || value.get("bot_id").is_some(), "bot");
    flag(value["comment"].is_object(), "comment");
    let mut title = String::new();
    for file in files {
        title.push_str(&titles(file));
        title.push('\n');
    }
    let user = text(value, "user");
    Content {
        kind: "message",
        channels: header.channel_id().into_iter().collect(),
        author: if user.is_empty() { text(value, "username") } else { user },
        ts: MessageTs::parse(&header.key).map_or(0, MessageTs::micros),
        body,
        title,
        extension: String::new(),
        comment: Some(text(&value["comment"], "id"))
            .filter(|id| !id.is_empty())
            .map(|id| stream_comment(&id))
            .unwrap_or_default(),
        flags,
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

/// A number for a channel id: FNV-1a, so that it is the same in every index.
fn place(channel: Option<&ChannelId>) -> u64 {
    channel.map_or(0, |channel| {
        channel
            .as_str()
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    })
}

/// The document of one reading.
pub(super) fn document(
    fields: &Fields,
    seq: RecordSeq,
    key: &str,
    content: &Content,
    state: ItemState,
    is_changed: bool,
    is_im: bool,
) -> TantivyDocument {
    let mut document = TantivyDocument::default();
    document.add_u64(fields.seq, seq.0);
    document.add_text(fields.kind, content.kind);
    for channel in &content.channels {
        document.add_text(fields.channel, channel.as_str());
    }
    document.add_text(fields.author, content.author.to_lowercase());
    document.add_i64(fields.ts, content.ts);
    document.add_u64(fields.place, place(content.channels.first()));
    document.add_text(fields.state, state.as_str());
    let mut flags = content.flags.clone();
    match state {
        ItemState::Current => flags.push("current"),
        ItemState::Edited => flags.push("superseded"),
        ItemState::Deleted => flags.push("deleted"),
    }
    if is_changed && !flags.contains(&"edited") {
        flags.push("edited");
    }
    if is_im {
        flags.push("im");
    }
    for flag in flags {
        document.add_text(fields.flag, flag);
    }
    document.add_text(fields.key, key);
    if !content.extension.is_empty() {
        document.add_text(fields.extension, &content.extension);
    }
    if !content.comment.is_empty() {
        document.add_text(fields.comment, &content.comment);
    }
    document.add_text(fields.body, &content.body);
    if !content.title.is_empty() {
        document.add_text(fields.title, &content.title);
    }
    document
}

/// The part of a subject's key that people know it by.
pub(super) fn public_key(item: &Item) -> &str {
    item.key.rsplit('/').next().unwrap_or(&item.key)
}
