use atom_syndication::{Content, Entry, Feed, FixedDateTime, Link, Person, Text};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};

use super::messages::{bounds, object, standing};
use super::{Call, Refusal};
use crate::model::{Digest, MessageTs, UtcTime};
use crate::web::desk::Web;
use crate::web::markup::encode;

/// Titles are the beginning of the text.
const TITLE: usize = 80;

fn fixed(time: UtcTime) -> FixedDateTime {
    time.fixed_offset()
}

/// What XML 1.0 cannot hold becomes U+FFFD.
fn clean(text: &str) -> String {
    text.chars()
        .map(|c| {
            if matches!(c, '\t' | '\n' | '\r') || (c >= ' ' && !matches!(c, '\u{fffe}' | '\u{ffff}')) {
                c
            } else {
                '\u{fffd}'
            }
        })
        .collect()
}

/// `channels.atom.history` (RFC 4287; protocol notes 4).
pub(super) fn history(web: &Web, call: &Call) -> Result<Response, Refusal> {
    let channel = call.channel()?;
    let facts = call.directory.channels.get(&channel).ok_or(Refusal::Code("channel_not_found"))?;
    let (oldest, latest, forward) = bounds(call)?;
    let count = call.number("count", 100, 1000);
    let mut items = standing(web, call, &channel, oldest, latest, count, forward)?;
    items.truncate(count);
    for item in &items {
        call.shows(item);
    }
    let host = url::Url::parse(&web.about().server)
        .ok()
        .and_then(|url| url.host_str().map(str::to_owned))
        .unwrap_or_else(|| "teamchat".to_owned());
    let mut entries = Vec::new();
    let mut newest = chrono::DateTime::UNIX_EPOCH;
    for item in &items {
        let value = object(web, call, item)?;
        let ts = MessageTs::parse(&item.key).unwrap_or(MessageTs::MIN);
        let text = clean(value["text"].as_str().unwrap_or_default());
        let author = value["user"].as_str().or_else(|| value["username"].as_str()).unwrap_or("unknown");
        let edited = value["edited"]["ts"].as_str().and_then(MessageTs::parse).map(MessageTs::time);
        let updated = edited.unwrap_or_else(|| ts.time());
        newest = newest.max(updated);
        let title: String = text.chars().take(TITLE).collect();
        let mut entry = Entry {
            id: format!("tag:{host},2017:teamchat:{channel}:{ts}"),
            title: Text::plain(if title.trim().is_empty() { "(no text)".to_owned() } else { title }),
            updated: fixed(updated),
            published: Some(fixed(ts.time())),
            authors: vec![Person {
                name: clean(call.directory.person(author)),
                email: author.contains('@').then(|| author.to_owned()),
                ..Person::default()
            }],
            content: Some(Content { value: Some(text), content_type: Some("text".to_owned()), ..Content::default() }),
            ..Entry::default()
        };
        entry.links.push(Link {
            href: format!("{}items.info?channel={}&ts={ts}", call.base, encode(&facts.api_id)),
            rel: "alternate".to_owned(),
            ..Link::default()
        });
        let files = value.get("file").into_iter().chain(value["files"].as_array().into_iter().flatten());
        for file in files {
            let href = file["url_private"].as_str().unwrap_or_default();
            if !href.is_empty() {
                entry.links.push(Link {
                    href: href.to_owned(),
                    rel: "enclosure".to_owned(),
                    title: file["name"].as_str().map(clean),
                    length: Some(file["size"].to_string()),
                    ..Link::default()
                });
            }
        }
        entries.push(entry);
    }
    let feed = Feed {
        id: format!("tag:{host},2017:teamchat:{channel}"),
        title: Text::plain(clean(&facts.name)),
        updated: fixed(newest),
        entries,
        links: vec![Link {
            href: format!("{}channels.atom.history?channel={}", call.base, encode(&facts.api_id)),
            rel: "self".to_owned(),
            ..Link::default()
        }],
        ..Feed::default()
    };
    let text = feed.to_string();
    let tag = format!("\"{}\"", Digest::of(text.as_bytes()).short());
    Ok(([(header::CONTENT_TYPE, "application/atom+xml; charset=utf-8".to_owned()), (header::ETAG, tag)], text)
        .into_response())
}
