//! A message as Slack's exports have it, and beside it, in `archive`, what they have no place for.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value, json};

use super::naming::slack_id;
use crate::export::facts::{self, Author};
use crate::export::out::Set;
use crate::export::unit::{Entry, FileFamily, Role, Subject, Unit, Version};
use crate::model::{ChannelId, Digest, RecordSeq, Scope, UtcTime, rfc3339};

/// Stands before the name of a machine that has no id: no id has a blank in it.
pub(super) const NAMED: &str = "(named) ";
/// What is said of a time that the source did not say.
pub(super) const NO_TIME: &str = "when the archive first saw it: the source does not say when it was made";

/// A message for a day's array.
pub(super) struct Written {
    pub(super) ts: String,
    pub(super) body: Value,
    /// The time stamp of the message that it answers, and its author's id in the zip.
    pub(super) answers: Option<(String, String)>,
}

/// Who is named in what is written.
pub(super) struct People<'a> {
    pub(super) set: &'a Set<'a>,
    /// Ids of the source.
    pub(super) named: BTreeSet<String>,
}

impl People<'_> {
    fn id(&mut self, id: &str) -> String {
        self.named.insert(id.to_owned());
        slack_id('U', id)
    }

    /// The id in the zip of who made something.
    fn author(&mut self, author: Author<'_>) -> String {
        match author {
            Author::Named(name) => self.id(&format!("{NAMED}{name}")),
            author => self.id(author.or_words()),
        }
    }

    fn map(&mut self, value: &mut Value) {
        if let Some(id) = value.as_str().filter(|id| !id.is_empty()) {
            *value = json!(self.id(id));
        }
    }

    /// A text whose mentions bear the ids of the zip.
    fn text(&mut self, text: &str, time: UtcTime) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('<') {
            out.push_str(&rest[..at]);
            rest = &rest[at..];
            if let Some((mention, used)) = self.mention(rest, time) {
                out.push_str(&mention);
                rest = &rest[used..];
            } else {
                out.push('<');
                rest = &rest[1..];
            }
        }
        out.push_str(rest);
        out
    }

    /// The mention that a text begins with, and how many bytes it was.
    fn mention(&mut self, text: &str, time: UtcTime) -> Option<(String, usize)> {
        let end = 1 + text[1..].find(['<', '>', '\n']).filter(|end| text[1 + end..].starts_with('>'))?;
        let inside = &text[1..end];
        let (target, label) = inside.split_at(inside.find('|').unwrap_or(inside.len()));
        if let Some(id) = target.strip_prefix('@') {
            self.set.names.person(id, time)?;
            return Some((format!("<@{}{label}>", self.id(id)), end + 1));
        }
        let id = ChannelId::parse(target.strip_prefix('#')?)?;
        Some((format!("<#{}{label}>", slack_id('C', id.as_str())), end + 1))
    }
}

/// A record as `archive` has it.
pub(super) fn note(version: &Version, scope: &Scope) -> Value {
    let mut out = json!({
        "record": version.seq.0,
        "version": version.number,
        "observed_at": version.record.header.observed_at,
        "account": version.record.header.account,
    });
    let places = facts::places(version, scope);
    if version.withheld.is_none() && !places.is_empty() {
        out["seen_in"] = places.iter().map(ChannelId::as_str).collect();
    }
    if version.body.is_null() && !version.record.body.is_empty() {
        out["body_base64"] = json!(BASE64.encode(&version.record.body));
    } else {
        out["body"] = version.body.clone();
    }
    if let Some(withheld) = &version.withheld {
        out["withheld"] = json!({"action": withheld.hiding.as_str(), "reason": withheld.reason});
    }
    out
}

/// What `archive` has of a subject beside the reading that stands elsewhere, which is `shown`.
fn history(subject: &Subject, shown: RecordSeq, scope: &Scope) -> Map<String, Value> {
    let latest = subject.latest();
    let mut out = Map::new();
    out.insert("record".to_owned(), json!(latest.seq.0));
    out.insert("version".to_owned(), json!(latest.number));
    out.insert("observed_at".to_owned(), json!(latest.record.header.observed_at));
    if let Some(withheld) = &latest.withheld {
        let value = json!({"action": withheld.hiding.as_str(), "reason": withheld.reason});
        out.insert("withheld".to_owned(), value);
    }
    let (mut others, mut gone) = (Vec::new(), Vec::new());
    for version in &subject.versions {
        let mut one = note(version, scope);
        if version.role == Role::Gone {
            one["last_read_as_record"] = json!(subject.before(version).map(|before| before.seq.0));
            gone.push(one);
        } else if version.seq != shown {
            one["as"] = json!(subject.state_of(version));
            others.push(one);
        }
    }
    for (name, list) in [("other_versions", others), ("deletions", gone)] {
        if !list.is_empty() {
            out.insert(name.to_owned(), json!(list));
        }
    }
    out
}

/// Whose name an author's is, in the form that messages have beside the id.
fn profile(author: Author<'_>, time: UtcTime, set: &Set<'_>) -> Option<Value> {
    let (id, name) = match author {
        Author::Known(id) => (id, set.names.name(id, time)),
        Author::Named(name) => (name, name),
        Author::NotStated | Author::Withheld => return None,
    };
    Some(json!({"name": id, "real_name": name, "display_name": name}))
}

/// The message of an entry, with the files that it shows. A file that no message shows gets a message of ours.
pub(super) fn message(unit: &Unit, entry: &Entry, files: &[Value], people: &mut People<'_>) -> Written {
    let Some(subject) = &entry.message else { return alone(entry, files, people) };
    let (latest, author, set) = (subject.latest(), subject.shown_author(), people.set);
    let last_gone = subject.deletions().last().filter(|_| subject.is_gone);
    let before = last_gone.and_then(|note| subject.before(note));
    let mut archive = history(subject, before.unwrap_or(latest).seq, &set.request.scope);
    archive.insert("conversation_name".to_owned(), json!(unit.conversation.name));
    archive.insert("time".to_owned(), json!(people.set.request.zone.full_text(subject.time)));
    let mut body = match &latest.body {
        Value::Object(body) if latest.role != Role::Gone => body.clone(),
        _ => Map::new(),
    };
    let user = people.author(author);
    let said = text_of(latest);
    if subject.is_gone {
        if let Some(before) = before {
            archive.insert("last_seen_by_archive".to_owned(), before.body.clone());
        }
        let when = last_gone.map(|note| facts::gone(note).in_words(set.names, set.request.zone));
        let thread = body.remove("thread_ts").filter(Value::is_string);
        body = Map::new();
        body.extend(thread.map(|thread| ("thread_ts".to_owned(), thread)));
        body.insert("subtype".to_owned(), json!("tombstone"));
        body.insert("hidden".to_owned(), json!(true));
        let text = format!("This message was {}.", when.as_deref().unwrap_or("deleted"));
        body.insert("text".to_owned(), json!(text));
    } else {
        arrange(&mut body, &mut archive, subject, people);
        body.insert("text".to_owned(), json!(people.text(said, subject.time)));
        reactions(&mut body, entry, people);
    }
    if !entry.reactions.is_empty() {
        let notes: Vec<Value> = entry.reactions.iter().map(|version| note(version, &set.request.scope)).collect();
        archive.insert("reactions_over_time".to_owned(), json!(notes));
    }
    archive.extend(author.id().map(|id| ("author".to_owned(), json!(id))));
    body.extend(profile(author, subject.time, set).map(|profile| ("user_profile".to_owned(), profile)));
    body.extend(subject.answers().map(|ts| ("thread_ts".to_owned(), json!(ts))));
    body.insert("type".to_owned(), json!("message"));
    body.insert("ts".to_owned(), json!(subject.key));
    body.insert("user".to_owned(), json!(user));
    if !files.is_empty() {
        body.insert("files".to_owned(), json!(files));
    }
    body.insert("archive".to_owned(), json!(archive));
    let thread = body.get("thread_ts").and_then(Value::as_str).filter(|thread| *thread != subject.key);
    Written { ts: subject.key.clone(), answers: thread.map(|thread| (thread.to_owned(), user)), body: json!(body) }
}

fn text_of(version: &Version) -> &str {
    if version.role == Role::Gone { "" } else { version.text() }
}

/// Puts a body of the source into the form that readers of exports take: what they would stumble over goes to
/// `archive`.
fn arrange(
    body: &mut Map<String, Value>,
    archive: &mut Map<String, Value>,
    subject: &Subject,
    people: &mut People<'_>,
) {
    let mut aside = Map::new();
    for name in ["file", "files", "reactions"] {
        // They come back in the form of exports, or are records of their own.
        body.remove(name);
    }
    for (name, is_good) in [
        ("subtype", Value::is_string as fn(&Value) -> bool),
        ("username", Value::is_string),
        ("bot_id", Value::is_string),
        ("thread_ts", Value::is_string),
        ("edited", Value::is_object),
        ("text", Value::is_string),
        ("replies", is_list_of_objects),
        ("attachments", is_list_of_previews),
        ("blocks", |_| false),
        ("bot_link", |_| false),
        ("archive", |_| false),
    ] {
        if body.get(name).is_some_and(|value| !is_good(value))
            && let Some(value) = body.remove(name)
        {
            aside.insert(name.to_owned(), value);
        }
    }
    if !aside.is_empty() {
        archive.insert("set_aside".to_owned(), json!(aside));
    }
    for name in ["inviter", "parent_user_id"] {
        if let Some(value) = body.get_mut(name) {
            people.map(value);
        }
    }
    for name in ["edited", "comment"] {
        if let Some(value) = body.get_mut(name).and_then(|value| value.get_mut("user")) {
            people.map(value);
        }
    }
    for reply in body.get_mut("replies").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(user) = reply.get_mut("user") {
            people.map(user);
        }
    }
    for preview in body.get_mut("attachments").and_then(Value::as_array_mut).into_iter().flatten() {
        for name in ["text", "pretext", "footer"] {
            if let Some(Value::String(text)) = preview.get_mut(name) {
                *text = people.text(text, subject.time);
            }
        }
    }
}

fn is_list_of_objects(value: &Value) -> bool {
    value.as_array().is_some_and(|list| list.iter().all(Value::is_object))
}

fn is_list_of_previews(value: &Value) -> bool {
    let is_text = |value: Option<&Value>| value.is_none_or(Value::is_string);
    let is_field = |field: &Value| field["title"].is_string() && field["value"].is_string();
    let is_preview = |preview: &Value| {
        ["text", "pretext", "footer", "title", "image_url", "from_url"].iter().all(|name| is_text(preview.get(*name)))
            && preview.get("fields").is_none_or(|list| list.as_array().is_some_and(|list| list.iter().all(is_field)))
            && preview.get("mrkdwn_in").is_none_or(Value::is_array)
    };
    is_list_of_objects(value) && value.as_array().into_iter().flatten().all(is_preview)
}

/// The reactions that were seen last.
fn reactions(body: &mut Map<String, Value>, entry: &Entry, people: &mut People<'_>) {
    let Some((_, list)) = facts::standing_reactions(entry) else { return };
    let list: Vec<Value> = facts::reactions(list)
        .iter()
        .filter(|reaction| !reaction.name.is_empty())
        .map(|reaction| {
            let users: Vec<String> = reaction.users.iter().map(|user| people.id(user)).collect();
            json!({"name": reaction.name, "users": users, "count": reaction.count})
        })
        .collect();
    if !list.is_empty() {
        body.insert("reactions".to_owned(), json!(list));
    }
}

/// A message of ours for files that no message in the set shows. Its time stamp is the second of the file and a
/// piece of a digest of its id: two files of one second are two messages.
fn alone(entry: &Entry, files: &[Value], people: &mut People<'_>) -> Written {
    let family = entry.files.first();
    let ts = alone_ts(entry.time, family.map_or("", FileFamily::id));
    let mut archive = json!({"made_by_the_export": true, "time": people.set.request.zone.full_text(entry.time)});
    if family.is_some_and(|family| !family.file.is_dated()) {
        archive["time_is"] = json!(NO_TIME);
    }
    let body = json!({
        "type": "message",
        "ts": ts,
        "user": people.author(family.map_or(Author::NotStated, |family| family.file.shown_author())),
        "text": "[A file of this conversation that no message in this set shows]",
        "files": files,
        "archive": archive,
    });
    Written { ts, body, answers: None }
}

fn alone_ts(time: UtcTime, id: &str) -> String {
    let digest = Digest::of(id.as_bytes()).0;
    let piece = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
    // Servers count from zero: what is small may be a message's.
    format!("{}.{:06}", time.timestamp(), 100_000 + piece % 900_000)
}

/// A file as a message shows it; `current` is where its content lies in the folder, and its size.
pub(super) fn file(
    family: &FileFamily,
    current: Option<(&str, u64)>,
    contents: &[Value],
    people: &mut People<'_>,
) -> Value {
    let subject = &family.file;
    let (latest, author) = (subject.latest(), subject.shown_author());
    let mut archive = history(subject, latest.seq, &people.set.request.scope);
    let mut body = match &latest.body {
        Value::Object(body) if latest.role != Role::Gone => body.clone(),
        _ => Map::new(),
    };
    // Addresses on the server and small pictures lead nowhere for those who read the set.
    body.retain(|name, _| {
        !name.starts_with("thumb_") && !name.starts_with("url_private") && !name.starts_with("permalink")
    });
    for name in ["channels", "groups", "ims", "archive", "initial_comment", "comments"] {
        if let Some(value) = body.remove(name) {
            archive.insert(name.to_owned(), value);
        }
    }
    let name = family.name(latest);
    body.insert("id".to_owned(), json!(family.id()));
    body.insert("name".to_owned(), json!(name));
    body.insert("user".to_owned(), json!(people.author(author)));
    if body.get("title").is_none_or(|title| title.as_str().is_none_or(str::is_empty)) {
        body.insert("title".to_owned(), json!(name));
    }
    if !body.get("mimetype").is_some_and(Value::is_string) {
        body.remove("mimetype");
    }
    if let Some((path, size)) = current {
        body.insert("url_private".to_owned(), json!(path));
        body.insert("url_private_download".to_owned(), json!(path));
        body.insert("size".to_owned(), json!(size));
    }
    if !contents.is_empty() {
        archive.insert("contents".to_owned(), json!(contents));
    }
    archive.extend(author.id().map(|id| ("author".to_owned(), json!(id))));
    let comments: Vec<Value> = family.comments.iter().map(|comment| self::comment(comment, people)).collect();
    if !comments.is_empty() {
        archive.insert("comments_on_it".to_owned(), json!(comments));
    }
    body.insert("archive".to_owned(), json!(archive));
    json!(body)
}

fn comment(comment: &Subject, people: &mut People<'_>) -> Value {
    let latest = comment.latest();
    let mut archive = history(comment, latest.seq, &people.set.request.scope);
    archive.insert("body".to_owned(), latest.body.clone());
    let made = Some(comment.time).filter(|_| comment.is_dated());
    json!({
        "id": comment.key.rsplit('/').next(),
        "user": people.author(comment.shown_author()),
        // Null where the source does not say when it was made.
        "created": made.map(|time| time.timestamp()),
        "created_at": made.map(rfc3339),
        "state": comment.state_of(latest),
        "comment": people.text(text_of(latest), comment.time),
        "archive": archive,
    })
}

/// A file that is not given with the message that shows it. `why` is what `archive` says of that.
pub(super) fn file_again(entry: &Entry, id: &str, path: Option<&str>, why: &Value) -> Value {
    let said = entry.message.as_ref().map(|message| &message.latest().body).into_iter();
    let found = said
        .flat_map(|body| body.get("file").into_iter().chain(body["files"].as_array().into_iter().flatten()))
        .find(|file| file["id"] == id);
    let text = |name: &str| found.and_then(|file| file[name].as_str()).filter(|text| !text.is_empty());
    let name = text("name").or(text("title")).unwrap_or(id);
    let mut body = json!({
        "id": id,
        "name": name,
        "title": text("title").unwrap_or(name),
        "archive": why,
    });
    if let Some(path) = path {
        body["url_private"] = json!(path);
        body["url_private_download"] = json!(path);
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_files_of_one_second_have_two_time_stamps() {
        let of = |id| alone_ts(UtcTime::UNIX_EPOCH, id);
        assert_eq!(of("f1"), of("f1"));
        assert_ne!(of("f1"), of("f2"));
        assert!(of("f1").starts_with("0.") && of("f1").len() == 8, "{}", of("f1"));
    }
}
