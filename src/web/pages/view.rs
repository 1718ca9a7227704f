use std::collections::HashMap;

use serde_json::Value;

use crate::history::{Directory, Item, ItemState, Version};
use crate::index::mark;
use crate::model::{ChannelId, MessageTs, UtcTime, Zone, json};
use crate::query::{Query, Within};
use crate::record::{Kind, Record, State};
use crate::web::markup::{self, Change, Piece, compare, direction, encode, visible};
use crate::web::text;

/// A moment as it is shown: in the reader's zone, with UTC behind it.
#[derive(Debug, Clone)]
pub(crate) struct Moment {
    pub(crate) clock: String,
    pub(crate) full: String,
    pub(crate) iso: String,
}

impl Moment {
    pub(crate) fn new(time: UtcTime, zone: Zone) -> Self {
        Self { clock: zone.clock_text(time), full: zone.full_text(time), iso: crate::model::rfc3339(time) }
    }

    pub(crate) fn parse(text: &str, zone: Zone) -> Self {
        let time =
            chrono::DateTime::parse_from_rfc3339(text).map_or(chrono::DateTime::UNIX_EPOCH, |time| time.to_utc());
        Self::new(time, zone)
    }
}

/// A file as a message shows it.
#[derive(Debug, Clone)]
pub(crate) struct FileChip {
    pub(crate) href: String,
    pub(crate) name: String,
}

/// A reaction as it is shown.
#[derive(Debug, Clone)]
pub(crate) struct ReactionChip {
    pub(crate) name: String,
    pub(crate) count: i64,
    pub(crate) people: String,
}

/// One reading of an item.
#[derive(Debug, Clone)]
pub(crate) struct VersionView {
    pub(crate) number: usize,
    pub(crate) record: u64,
    pub(crate) observed: Moment,
    pub(crate) changes: Vec<Change>,
}

/// A message on a page.
#[derive(Debug, Clone)]
pub(crate) struct MessageView {
    pub(crate) record: u64,
    pub(crate) anchor: String,
    pub(crate) at: Moment,
    pub(crate) author: String,
    pub(crate) author_id: String,
    /// 0 to 7: the tint of the author's initials.
    pub(crate) tint: u8,
    pub(crate) initials: String,
    pub(crate) body: Vec<Piece>,
    pub(crate) dir: &'static str,
    /// What kind of item, when it is not an ordinary message.
    pub(crate) note: String,
    pub(crate) files: Vec<FileChip>,
    pub(crate) reactions: Vec<ReactionChip>,
    pub(crate) versions: Vec<VersionView>,
    /// When and how it went, in words.
    pub(crate) gone: String,
    pub(crate) pinned: bool,
    pub(crate) is_target: bool,
    /// Written by the same person shortly after the one before.
    pub(crate) continues: bool,
    pub(crate) day: String,
}

fn get(value: &Value, name: &str) -> String {
    match value.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// What a reading says, as text.
pub(crate) fn text_of(record: &Record) -> String {
    let Some(value) = json::parse(&record.body) else { return String::from_utf8_lossy(&record.body).into_owned() };
    if record.header.kind == Kind::Comment {
        return get(&value, "comment");
    }
    if record.header.kind == Kind::File {
        let (name, title) = (get(&value, "name"), get(&value, "title"));
        return if title.is_empty() || title == name { name } else { format!("{name} ({title})") };
    }
    let mut text = get(&value, "text");
    let comment = value.get("comment").map(|comment| get(comment, "comment")).unwrap_or_default();
    if text.is_empty() {
        text = comment;
    }
    for attachment in value["attachments"].as_array().into_iter().flatten() {
        let parts = ["pretext", "title", "text", "fallback"].map(|name| get(attachment, name));
        let part = parts.iter().filter(|part| !part.is_empty()).take(3).cloned().collect::<Vec<_>>().join("\n");
        if !part.is_empty() && !text.contains(&part) {
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(&part);
        }
    }
    text
}

/// A word for a subtype, for people.
fn note(value: &Value) -> String {
    match get(value, "subtype").as_str() {
        "" | "file_share" => String::new(),
        "channel_join" | "group_join" => "joined".to_owned(),
        "channel_leave" | "group_leave" => "left".to_owned(),
        "channel_topic" | "group_topic" => "set the topic".to_owned(),
        "channel_purpose" | "group_purpose" => "set the purpose".to_owned(),
        "channel_name" | "group_name" => "renamed the channel".to_owned(),
        "channel_archive" | "group_archive" => "archived the channel".to_owned(),
        "pinned_item" => "pinned an item".to_owned(),
        "file_comment" | "message_comment" => "comment".to_owned(),
        "bot_message" => "bot".to_owned(),
        "me_message" => "says of themself".to_owned(),
        other => other.replace('_', " "),
    }
}

fn initials(name: &str) -> String {
    name.split(|c: char| !c.is_alphanumeric())
        .filter_map(|word| word.chars().next())
        .take(2)
        .flat_map(char::to_uppercase)
        .collect()
}

/// The sentence about a disappearance: only what the source said.
pub(crate) fn gone_sentence(item: &Item, zone: Zone) -> String {
    let Some(evidence) = item.evidence() else { return String::new() };
    let gone = &evidence["gone"];
    let between = |name: &str| Moment::parse(gone[name].as_str().unwrap_or_default(), zone).full;
    let who =
        gone["actor"].as_str().map_or_else(|| text::GONE_BY_WHOM.to_owned(), |actor| format!("removed by {actor}"));
    format!("gone between {} and {}; {who}", between("last_seen"), between("first_missing"))
}

/// The readings of an item, each compared with the one before.
pub(crate) fn versions(item: &Item, zone: Zone) -> Vec<VersionView> {
    let readings: Vec<&Version> = item.readings();
    let mut before = String::new();
    let mut out = Vec::new();
    for (n, reading) in readings.iter().enumerate() {
        let text = text_of(&reading.record);
        let changes = if n == 0 { vec![Change::Same(text.clone())] } else { compare(&before, &text) };
        out.push(VersionView {
            number: n + 1,
            record: reading.seq.0,
            observed: Moment::parse(&reading.record.header.observed_at, zone),
            changes,
        });
        before = text;
    }
    out
}

/// Reactions from a JSON array, with the names of those who set them.
pub(crate) fn reactions(array: &Value, directory: &Directory) -> Vec<ReactionChip> {
    array
        .as_array()
        .into_iter()
        .flatten()
        .map(|reaction| {
            let people: Vec<&str> = reaction["users"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(|id| directory.person(id))
                .collect();
            let count = json::as_int(&reaction["count"]).unwrap_or(i64::try_from(people.len()).unwrap_or(0));
            ReactionChip { name: visible(&get(reaction, "name")), count, people: visible(&people.join(", ")) }
        })
        .filter(|chip| chip.count > 0)
        .collect()
}

/// Shows a reading of a message, comment or file.
pub(crate) fn message(
    item: &Item,
    reading: &Version,
    directory: &Directory,
    zone: Zone,
    query: Option<&Query>,
) -> MessageView {
    let value = json::parse(&reading.record.body).unwrap_or_default();
    let raw = text_of(&reading.record);
    let marked = query.and_then(|query| mark(&raw, query, Within::Body)).unwrap_or(raw);
    let body = markup::pieces(&marked, directory);
    let author_id = Some(get(&value, "user")).filter(|id| !id.is_empty()).unwrap_or_else(|| get(&value, "username"));
    let author = visible(if author_id.is_empty() { "nobody" } else { directory.person(&author_id) });
    let time = match MessageTs::parse(&item.key) {
        Some(ts) if item.kind == Kind::Message => ts.time(),
        _ => chrono::DateTime::from_timestamp(json::as_int(&value["created"]).unwrap_or(0), 0)
            .unwrap_or(chrono::DateTime::UNIX_EPOCH),
    };
    let files = value.get("file").into_iter().chain(value["files"].as_array().into_iter().flatten());
    let mut chips: Vec<FileChip> = Vec::new();
    for file in files {
        let href = format!("/f/{}", encode(&get(file, "id")));
        if !chips.iter().any(|chip| chip.href == href) {
            chips.push(FileChip { href, name: visible(&get(file, "name")) });
        }
    }
    let all_versions = versions(item, zone);
    MessageView {
        record: reading.seq.0,
        anchor: format!("m{}", reading.seq.0),
        at: Moment::new(time, zone),
        tint: u8::try_from(author_id.bytes().map(u32::from).sum::<u32>() % 8).unwrap_or(0),
        initials: initials(&author),
        author,
        author_id,
        dir: direction(&body),
        body,
        note: note(&value),
        files: chips,
        reactions: reactions(&value["reactions"], directory),
        versions: if all_versions.len() > 1 { all_versions } else { Vec::new() },
        gone: if item.is_gone() { gone_sentence(item, zone) } else { String::new() },
        pinned: false,
        is_target: false,
        continues: false,
        day: zone.date(time).format("%A %-d %B %Y").to_string(),
    }
}

/// Messages of a timeline: days begun, authors not repeated, reactions as they last were.
pub(crate) fn timeline(
    items: &[Item],
    directory: &Directory,
    zone: Zone,
    target: Option<&str>,
    pinned: &[String],
    later_reactions: &HashMap<MessageTs, Value>,
) -> Vec<MessageView> {
    let mut out: Vec<MessageView> = Vec::new();
    let mut previous: Option<(String, String, UtcTime)> = None;
    for item in items {
        let Some(latest) = item.latest() else { continue };
        let mut view = message(item, latest, directory, zone, None);
        let ts = MessageTs::parse(&item.key);
        if let Some(array) = ts.and_then(|ts| later_reactions.get(&ts)) {
            view.reactions = reactions(array, directory);
        }
        view.is_target = target == Some(item.key.as_str());
        view.pinned = pinned.contains(&item.key);
        let time = ts.map_or(chrono::DateTime::UNIX_EPOCH, MessageTs::time);
        let day = view.day.clone();
        view.continues = previous.as_ref().is_some_and(|(author, last_day, last)| {
            *author == view.author_id
                && *last_day == day
                && time - *last < chrono::TimeDelta::minutes(5)
                && view.note.is_empty()
                && view.gone.is_empty()
        });
        if previous.as_ref().is_some_and(|(_, last_day, _)| *last_day == day) {
            view.day = String::new();
        }
        previous = Some((if view.note.is_empty() { view.author_id.clone() } else { String::new() }, day, time));
        out.push(view);
    }
    out
}

/// The word for a reading's state.
pub(crate) fn state_word(item: &Item, reading: &Version) -> &'static str {
    match item.state_of(reading.seq) {
        ItemState::Current => "",
        ItemState::Edited => "earlier version",
        ItemState::Deleted => "deleted",
    }
}

/// Where a record is shown in its channel.
pub(crate) fn channel_href(channel: &ChannelId, at: u64) -> String {
    format!("/c/{}?at={at}#m{at}", encode(channel.as_str()))
}

/// Whether a record says that something is there.
pub(crate) fn is_present(record: &Record) -> bool {
    record.header.state == State::Present
}
