//! `channels.atom.history`: the same window as `channels.history`, as an RFC 4287 feed.

use std::collections::BTreeMap;

use atom_syndication::extension::Extension;
use atom_syndication::{Category, Content, Entry, Feed, FixedDateTime, Link, Person, Text};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use chrono::DateTime;
use md5::{Digest as _, Md5};

use super::download::{Conditions, http_date};
use super::ids::{self, Ts};
use super::methods::{self, Call, history::Window};
use super::params::Params;
use super::server::{Sandbox, refuse, typed};
use super::workspace::Refusal;
use super::workspace::state::{Message, State};

/// Letters of the text that make the title.
const TITLE: usize = 80;

const TC: &str = "urn:x-teamchat";
const TOMBSTONES: &str = "http://purl.org/atompub/tombstones/1.0";

pub(super) fn history(sandbox: &Sandbox, params: &Params, conditions: &Conditions) -> Response {
    let (text, modified) = match feed(sandbox, params) {
        Ok(written) => written,
        Err(refusal) => return refuse(refusal, "application/json; charset=utf-8"),
    };
    let etag = format!("\"{}\"", ids::hex(&Md5::digest(&text)));
    let mut response = if conditions.is_fresh(&etag, modified) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        typed(StatusCode::OK, "application/atom+xml; charset=utf-8", text.into())
    };
    let headers = response.headers_mut();
    for (name, value) in [(header::ETAG, etag), (header::LAST_MODIFIED, http_date(modified))] {
        let value = HeaderValue::from_str(&value).expect("hex digits and dates are header text");
        headers.insert(name, value);
    }
    response
}

fn feed(sandbox: &Sandbox, params: &Params) -> Result<(String, i64), Refusal> {
    let (caller, token) = methods::authenticate(sandbox, params)?;
    let call = Call { sandbox, params, token, caller };
    let state = sandbox.workspace.read();
    let channel = call.readable_channel(&state)?;
    let selection = Window::read(params)?.select(call, &state, channel);
    let stream = &state.channels[channel];
    let mut modified = Ts { seconds: stream.created, fraction: 0 };
    let mut entries = Vec::with_capacity(selection.positions.len());
    for at in &selection.positions {
        let message = &stream.messages[*at];
        modified = modified.max(updated(message));
        entries.push(entry(&state, channel, message, caller));
    }
    let mut feed = Feed {
        id: tag(&state, channel, None),
        title: Text::plain(clean(&stream.name)),
        updated: date(modified),
        entries,
        ..Feed::default()
    };
    feed.links.push(Link {
        href: format!("{}/teamchatapi/channels.atom.history?channel={}", state.origin, ids::encode(&stream.id)),
        rel: "self".to_owned(),
        mime_type: Some("application/atom+xml".to_owned()),
        ..Link::default()
    });
    feed.namespaces.insert("tc".to_owned(), TC.to_owned());
    if state.settings.atom_extensions {
        add_tombstones(&state, channel, caller, &mut feed);
    }
    Ok((feed.to_string(), modified.seconds))
}

fn updated(message: &Message) -> Ts {
    message.edited().map_or(message.ts, |(_, ts)| ts)
}

fn date(ts: Ts) -> FixedDateTime {
    DateTime::from_timestamp(ts.seconds, ts.fraction * 1000).unwrap_or_default().fixed_offset()
}

/// `tag:HOST,2017:teamchat:<unpadded channel id>:<ts>`.
fn tag(state: &State, channel: usize, ts: Option<Ts>) -> String {
    let host = if state.domain.is_empty() { "localhost" } else { &state.domain };
    let id = ids::unpadded(&state.channels[channel].id);
    match ts {
        Some(ts) => format!("tag:{host},2017:teamchat:{id}:{ts}"),
        None => format!("tag:{host},2017:teamchat:{id}"),
    }
}

/// Text without the control characters that XML 1.0 can't carry.
fn clean(text: &str) -> String {
    text.chars()
        .filter(|letter| {
            matches!(letter, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}'
                | '\u{10000}'..)
        })
        .collect()
}

fn extension(name: &str, value: Option<String>) -> Extension {
    Extension { name: name.to_owned(), value, ..Extension::default() }
}

fn entry(state: &State, channel: usize, message: &Message, caller: usize) -> Entry {
    let author = &state.users[message.user];
    let text = clean(&message.shown_text());
    let mut links = vec![Link {
        href: format!(
            "{}/teamchatapi/items.info?channel={}&ts={}",
            state.origin,
            ids::encode(&state.channels[channel].id),
            message.ts
        ),
        rel: "alternate".to_owned(),
        ..Link::default()
    }];
    for file in message.files() {
        let entry = &state.files[*file];
        if !entry.is_deleted {
            links.push(Link {
                href: state.file_url(*file, caller),
                rel: "enclosure".to_owned(),
                mime_type: Some("application/octet-stream".to_owned()),
                title: Some(clean(&entry.name)),
                length: Some(entry.newest().size.to_string()),
                ..Link::default()
            });
        }
    }
    let categories = if message.subtype.is_empty() {
        Vec::new()
    } else {
        vec![Category { term: message.subtype.clone(), scheme: Some(format!("{TC}:subtype")), label: None }]
    };
    let ts = extension("tc:ts", Some(message.ts.to_string()));
    Entry {
        id: tag(state, channel, Some(message.ts)),
        title: Text::plain(text.chars().take(TITLE).collect::<String>()),
        published: Some(date(message.ts)),
        updated: date(updated(message)),
        authors: vec![Person {
            name: clean(&author.real_name),
            email: Some(author.email.clone()),
            ..Person::default()
        }],
        categories,
        links,
        content: Some(Content { value: Some(text), content_type: Some("text".to_owned()), ..Content::default() }),
        extensions: BTreeMap::from([("tc".to_owned(), BTreeMap::from([("ts".to_owned(), vec![ts])]))]),
        ..Entry::default()
    }
}

/// RFC 6721: what was removed, when and by whom.
fn add_tombstones(state: &State, channel: usize, caller: usize, feed: &mut Feed) {
    let mut deleted = Vec::new();
    for message in &state.channels[channel].messages {
        let Some((by, when)) = message.more.as_deref().and_then(|more| more.deleted_by) else {
            continue;
        };
        if !message.is_deleted || !State::is_for(message, caller) {
            continue;
        }
        let mut person = extension("at:by", None);
        let name = extension("name", Some(clean(&state.users[by].real_name)));
        person.children.insert("name".to_owned(), vec![name]);
        let mut tombstone = extension("at:deleted-entry", None);
        tombstone.attrs = BTreeMap::from([
            ("ref".to_owned(), tag(state, channel, Some(message.ts))),
            ("when".to_owned(), date(when).to_rfc3339()),
        ]);
        tombstone.children.insert("by".to_owned(), vec![person]);
        deleted.push(tombstone);
    }
    if !deleted.is_empty() {
        feed.namespaces.insert("at".to_owned(), TOMBSTONES.to_owned());
        feed.extensions.insert("at".to_owned(), BTreeMap::from([("deleted-entry".to_owned(), deleted)]));
    }
}
