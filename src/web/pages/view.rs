//! What is said, as a page shows it: a reading with its author, time, files, reactions and earlier wordings.

use serde_json::Value;

use crate::history::{Directory, Item, ItemState, Version, author, file_ids};
use crate::index::mark;
use crate::model::{ChannelId, MessageTs, UtcTime, Zone, json};
use crate::query::{Query, Within};
use crate::record::{Kind, Record, State};
use crate::web::desk::Desk;
use crate::web::markup::{self, Change, Effort, Piece, compare, direction, encode, visible, whole};
use crate::web::words::Words;

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
    /// When it was edited and by whom, as the server says; empty where it says nothing.
    pub(crate) edited: String,
    pub(crate) changes: Vec<Change>,
    /// It is shown whole, since the page compares no more.
    pub(crate) is_whole: bool,
    pub(crate) dir: &'static str,
    /// It is shown here and nowhere else on the page, which the access log is to know.
    pub(crate) is_apart: bool,
}

/// The message that another one answers.
#[derive(Debug, Clone)]
pub(crate) struct QuoteView {
    pub(crate) href: String,
    /// Its record, when it is shown here and nowhere else on the page, which the access log is to know.
    pub(crate) record: Option<u64>,
    pub(crate) author: String,
    pub(crate) at: Moment,
    /// Its beginning.
    pub(crate) body: Vec<Piece>,
    pub(crate) dir: &'static str,
    /// What became of it, or that it is not here.
    pub(crate) note: String,
}

/// A message on a page.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(crate) struct MessageView {
    pub(crate) record: u64,
    pub(crate) anchor: String,
    pub(crate) at: Moment,
    pub(crate) author: String,
    pub(crate) author_id: String,
    /// The id, and what they are called now when that is another name.
    pub(crate) author_title: String,
    /// The page of who wrote it; empty for somebody who is in no list of people.
    pub(crate) author_href: String,
    pub(crate) body: Vec<Piece>,
    pub(crate) dir: &'static str,
    /// What kind of item, when it is not an ordinary message.
    pub(crate) note: String,
    pub(crate) files: Vec<FileChip>,
    pub(crate) reactions: Vec<ReactionChip>,
    pub(crate) versions: Vec<VersionView>,
    /// It was edited before the archive first saw it, and how it read then is not here.
    pub(crate) lacks_first: bool,
    /// When and how it went, in words.
    pub(crate) gone: String,
    /// What should be known of how it is shown here.
    pub(crate) remarks: Vec<String>,
    /// What it answers.
    pub(crate) quote: Option<QuoteView>,
    /// It can be chosen for an exhibit.
    pub(crate) can_pick: bool,
    /// Its earlier wordings are shown from the beginning.
    pub(crate) is_open: bool,
    pub(crate) pinned: bool,
    pub(crate) is_target: bool,
    /// Written by the same person shortly after the one before.
    pub(crate) continues: bool,
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
pub(crate) fn note(w: &Words, value: &Value) -> String {
    match get(value, "subtype").as_str() {
        "" | "file_share" => String::new(),
        "channel_join" | "group_join" => w.say("note-joined"),
        "channel_leave" | "group_leave" => w.say("note-left"),
        "channel_topic" | "group_topic" => w.say("note-topic"),
        "channel_purpose" | "group_purpose" => w.say("note-purpose"),
        "channel_name" | "group_name" => w.say("note-renamed"),
        "channel_archive" | "group_archive" => w.say("note-archived"),
        "pinned_item" => w.say("note-pinned"),
        "file_comment" | "message_comment" => w.say("note-comment"),
        "bot_message" => w.say("note-bot"),
        "me_message" => w.say("note-me"),
        other => other.replace('_', " "),
    }
}

/// The sentence about a disappearance: only what the source said.
pub(crate) fn gone_sentence(desk: &Desk, item: &Item) -> String {
    let Some(evidence) = item.evidence() else { return String::new() };
    // That a channel can no longer be seen is noted in other words than that something was removed.
    if !evidence["gone"].is_object() {
        let noticed = evidence["visible"]["noticed"].as_str();
        return noticed
            .map_or_else(String::new, |at| desk.w.with("gone-from-sight", Moment::parse(at, desk.zone).full));
    }
    let names = desk.directory().unwrap_or_else(|error| {
        tracing::warn!(%error, "names cannot be read: ids stand for them");
        std::sync::Arc::default()
    });
    gone_words(desk, &names, &evidence)
}

/// What a note says of how something went. Whoever removed it is named only where an event of the server did.
pub(crate) fn gone_words(desk: &Desk, names: &Directory, note: &Value) -> String {
    let (gone, w) = (&note["gone"], desk.w);
    let time = |name: &str| Moment::parse(gone[name].as_str().unwrap_or_default(), desk.zone).full;
    let who = match gone["actor"].as_str().filter(|id| !id.is_empty()) {
        Some(id) => match visible(names.person(id)) {
            name if name == id => w.with("gone-by", name),
            name => w.with("gone-by", format!("{name} ({})", visible(id))),
        },
        None if gone["cause"] == "swept" => w.say("gone-with-all-older"),
        None => w.say("gone-by-nobody-named"),
    };
    if gone["at"].is_string() {
        return w.with_three("gone-at", time("at"), time("last_seen"), who);
    }
    w.with_three("gone-between", time("last_seen"), time("first_missing"), who)
}

/// When a reading was edited and by whom, as the server says in it; empty where it does not.
pub(crate) fn edited(desk: &Desk, names: &Directory, body: &Value) -> String {
    let edited = &body["edited"];
    let Some(ts) = edited["ts"].as_str().and_then(MessageTs::parse) else { return String::new() };
    let at = Moment::new(ts.time(), desk.zone).full;
    match edited["user"].as_str().filter(|id| !id.is_empty()) {
        Some(id) => desk.w.with_two("edited-at-by", at, visible(names.person(id))),
        None => desk.w.with("edited-at", at),
    }
}

/// The readings of an item, each compared with the one before, as far as the page may still compare.
pub(crate) fn versions(desk: &Desk, names: &Directory, item: &Item, effort: &mut Effort) -> Vec<VersionView> {
    let readings: Vec<&Version> = item.readings();
    // Names do not count for the direction.
    let nobody = Directory::default();
    let mut before = String::new();
    let mut out = Vec::new();
    for (n, reading) in readings.iter().enumerate() {
        let text = text_of(&reading.record);
        let compared = if n == 0 { Some(whole(&text)) } else { compare(&before, &text, effort) };
        let dir = direction(&markup::pieces(&text, &nobody));
        out.push(VersionView {
            number: n + 1,
            record: reading.seq.0,
            observed: Moment::parse(&reading.record.header.observed_at, desk.zone),
            edited: edited(desk, names, &json::parse(&reading.record.body).unwrap_or_default()),
            is_whole: compared.is_none(),
            changes: compared.unwrap_or_else(|| whole(&text)),
            dir,
            is_apart: false,
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

/// What a conversation is called: a channel by its name, a direct one by whom it is with.
pub(crate) fn called(w: &Words, name: &str, is_im: bool) -> String {
    if is_im { w.with("conversation-with", name) } else { format!("#{name}") }
}

/// What the conversation with this id is called.
pub(crate) fn channel_name(w: &Words, id: &ChannelId, directory: &Directory) -> String {
    let is_im = directory.channels.get(id).is_some_and(|facts| facts.is_im);
    called(w, &visible(directory.channel(id)), is_im)
}

/// Shows a reading of a message, comment or file. `effort` is what the page may still take to compare versions.
pub(crate) fn message(
    desk: &Desk,
    item: &Item,
    reading: &Version,
    directory: &Directory,
    query: Option<&Query>,
    effort: &mut Effort,
) -> MessageView {
    let value = json::parse(&reading.record.body).unwrap_or_default();
    let raw = text_of(&reading.record);
    let marked = query.and_then(|query| mark(&raw, query, Within::Body)).unwrap_or(raw);
    let body = markup::pieces(&marked, directory);
    let author_id = author(&value).to_owned();
    let written_by = if author_id.is_empty() { desk.w.say("nobody") } else { visible(directory.person(&author_id)) };
    let time = match MessageTs::parse(&item.key) {
        Some(ts) if item.kind == Kind::Message => ts.time(),
        _ => chrono::DateTime::from_timestamp(json::as_int(&value["created"]).unwrap_or(0), 0)
            .unwrap_or(chrono::DateTime::UNIX_EPOCH),
    };
    let chips = file_ids(&value)
        .into_iter()
        .map(|id| FileChip { href: format!("/f/{}", encode(id)), name: visible(&file_name(&value, id)) });
    let mut all_versions = versions(desk, directory, item, effort);
    let lacks_first = all_versions.first().is_some_and(|first| !first.edited.is_empty());
    let mut remarks = Vec::new();
    if lacks_first {
        remarks.push(desk.w.with("edited-before-seen", &all_versions[0].edited));
    }
    for version in &mut all_versions {
        version.is_apart = version.record != reading.seq.0;
    }
    MessageView {
        record: reading.seq.0,
        anchor: format!("m{}", reading.seq.0),
        at: Moment::new(time, desk.zone),
        author: written_by,
        author_href: person_href(directory, &author_id),
        author_title: visible(&author_id),
        author_id,
        dir: direction(&body),
        body,
        note: note(desk.w, &value),
        files: chips.collect(),
        reactions: reactions(&value["reactions"], directory),
        versions: if all_versions.len() > 1 { all_versions } else { Vec::new() },
        gone: if item.is_gone() { gone_sentence(desk, item) } else { String::new() },
        lacks_first,
        remarks,
        quote: None,
        can_pick: false,
        is_open: false,
        pinned: false,
        is_target: false,
        continues: false,
    }
}

/// What a message calls one of its files.
fn file_name(message: &Value, id: &str) -> String {
    let mut files = message.get("file").into_iter().chain(message["files"].as_array().into_iter().flatten());
    files.find(|file| get(file, "id") == id).map(|file| get(file, "name")).unwrap_or_default()
}

/// The page of a person; empty for who is in no list of people.
pub(crate) fn person_href(directory: &Directory, id: &str) -> String {
    if directory.people.contains_key(id) { format!("/people/{}", encode(id)) } else { String::new() }
}

/// The word for a reading's state.
pub(crate) fn state_word(w: &Words, item: &Item, reading: &Version) -> String {
    match item.state_of(reading.seq) {
        ItemState::Current => String::new(),
        ItemState::Edited => w.say("state-earlier"),
        ItemState::Deleted => w.say("state-gone"),
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
