use std::collections::HashMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::NaiveDate;
use serde::Deserialize;
use serde_json::Value;

use super::view::{MessageView, Moment, timeline};
use super::{Shell, Viewer};
use crate::history::{Item, messages_after, messages_before};
use crate::model::{ChannelId, MessageTs, RecordSeq, json};
use crate::record::Kind;
use crate::store::FIRST_SOURCE;
use crate::web::Web;
use crate::web::error::{WebError, blocking, render};
use crate::web::markup::{Change, Piece, encode, visible};

/// Messages of a page, and at most.
const PAGE: usize = 100;
const LARGEST: usize = 500;

/// Where in the channel.
#[derive(Debug, Deserialize)]
pub(crate) struct Place {
    /// Around this record or time stamp.
    at: Option<String>,
    /// From the beginning of this day on.
    date: Option<String>,
    /// Before this time stamp.
    before: Option<String>,
    /// After this time stamp.
    after: Option<String>,
    /// How many.
    n: Option<usize>,
}

#[derive(Template)]
#[template(path = "timeline.html")]
struct Timeline {
    shell: Shell,
    name: String,
    is_im: bool,
    topic: String,
    members: u64,
    member_names: String,
    was: String,
    href: String,
    messages: Vec<MessageView>,
    older: Option<String>,
    newer: Option<String>,
    date: String,
    walked: String,
    mark: &'static str,
}

/// A stretch of a channel.
pub(crate) async fn page(
    State(web): State<Arc<Web>>,
    viewer: Viewer,
    Path(id): Path<String>,
    Query(place): Query<Place>,
) -> Result<Response, WebError> {
    let page = blocking(move || build(&web, &viewer, &id, &place)).await?;
    Ok(render(StatusCode::OK, &page))
}

fn build(web: &Web, viewer: &Viewer, id: &str, place: &Place) -> Result<Timeline, WebError> {
    let channel = ChannelId::parse(id).filter(|id| viewer.scope.allows(id)).ok_or(WebError::NotFound)?;
    let directory = web.directory(&viewer.scope)?;
    let facts = directory.channels.get(&channel).ok_or(WebError::NotFound)?;
    let count = place.n.unwrap_or(PAGE).clamp(1, LARGEST);
    let before = |to: MessageTs, count: usize| messages_before(&web.reader, FIRST_SOURCE, &channel, to, count);
    let after = |from: MessageTs, count: usize| messages_after(&web.reader, FIRST_SOURCE, &channel, from, count);
    let next = |ts: MessageTs| MessageTs::from_micros(ts.micros() + 1);
    let parse = |text: &str| MessageTs::parse(text).ok_or_else(|| WebError::Bad(format!("`{text}` is no time stamp")));

    let mut target = None;
    // Where a page without messages stands.
    let mut edge = None;
    let items: Vec<Item> = if let Some(at) = &place.at {
        let ts = target_of(web, &channel, at)?;
        target = Some(ts.to_string());
        let mut items = before(ts.before(), count / 2)?;
        items.extend(after(ts, count - count / 2)?);
        items
    } else if let Some(date) = place.date.as_deref().filter(|date| !date.is_empty()) {
        let day = NaiveDate::parse_from_str(date, "%Y-%m-%d")
            .map_err(|_| WebError::Bad(format!("`{date}` is no day; it looks like 2026-03-04")))?;
        after(*edge.insert(MessageTs::from_micros(web.zone.start_of_day(day).timestamp_micros())), count)?
    } else if let Some(from) = &place.after {
        after(*edge.insert(next(parse(from)?)), count)?
    } else if let Some(to) = &place.before {
        before(edge.insert(parse(to)?).before(), count)?
    } else {
        before(MessageTs::MAX, count)?
    };

    let stamps: Vec<MessageTs> = items.iter().filter_map(|item| MessageTs::parse(&item.key)).collect();
    let (first, last) = (stamps.first().copied(), stamps.last().copied());
    let older = match first.or(edge) {
        Some(first) => (!before(first.before(), 1)?.is_empty()).then(|| format!("/c/{}?before={first}", encode(id))),
        None => None,
    };
    let newer = match last.or(edge.map(MessageTs::before)) {
        Some(last) => (!after(next(last), 1)?.is_empty()).then(|| format!("/c/{}?after={last}", encode(id))),
        None => None,
    };
    let later_reactions = match (first, last) {
        (Some(first), Some(last)) => reactions_between(web, &channel, first, last)?,
        _ => HashMap::new(),
    };
    let walk = web.reader.walks()?.into_iter().filter(|row| row.channel == channel).max_by_key(|row| row.walked_until);
    let name = visible(&facts.name);
    let title = if facts.is_im { format!("Conversation with {name}") } else { format!("#{name}") };
    let names: Vec<&str> = facts.members.iter().take(40).map(|id| directory.person(id)).collect();
    Ok(Timeline {
        messages: timeline(&items, &directory, web.zone, target.as_deref(), &pinned(web, &channel)?, &later_reactions),
        shell: Shell::new(web, viewer, "channels", title),
        name,
        is_im: facts.is_im,
        topic: visible(&facts.topic),
        members: facts.member_count,
        member_names: visible(&names.join(", ")),
        was: facts.earlier_names.iter().map(|name| visible(name)).collect::<Vec<_>>().join(", "),
        href: format!("/c/{}", encode(id)),
        older,
        newer,
        date: place
            .date
            .clone()
            .unwrap_or_else(|| first.map(|ts| web.zone.date(ts.time()).to_string()).unwrap_or_default()),
        walked: walk.and_then(|row| row.walked_until).map_or_else(
            || "not walked to the end yet".to_owned(),
            |at| format!("walked to the end at {}", Moment::new(at, web.zone).full),
        ),
        mark: if facts.is_lost {
            "no longer visible to the archived accounts"
        } else if facts.is_archived {
            "archived on the server"
        } else {
            ""
        },
    })
}

/// The time stamp that `at` names: itself, or that of a record of this channel.
fn target_of(web: &Web, channel: &ChannelId, at: &str) -> Result<MessageTs, WebError> {
    if let Some(ts) = MessageTs::parse(at) {
        return Ok(ts);
    }
    let seq: u64 =
        at.parse().map_err(|_| WebError::Bad(format!("`{at}` is neither a record's number nor a time stamp")))?;
    if seq >= web.reader.head()? {
        return Err(WebError::NotFound);
    }
    let record = web.reader.record(RecordSeq(seq))?;
    let is_here = record.header.channel_id().as_ref() == Some(channel);
    MessageTs::parse(&record.header.key).filter(|_| is_here).ok_or(WebError::NotFound)
}

/// Reactions that changed after their message was archived, as they last were.
pub(crate) fn reactions_between(
    web: &Web,
    channel: &ChannelId,
    from: MessageTs,
    to: MessageTs,
) -> Result<HashMap<MessageTs, Value>, WebError> {
    let mut out = HashMap::new();
    for (ts, rows) in web.reader.versions_between(Kind::Reactions, FIRST_SOURCE, channel, from, to)? {
        if let Some(row) = rows.last() {
            out.insert(ts, json::parse(&web.reader.record(row.seq)?.body).unwrap_or_default());
        }
    }
    Ok(out)
}

/// Time stamps of what is pinned in a channel, by any account.
fn pinned(web: &Web, channel: &ChannelId) -> Result<Vec<String>, WebError> {
    let mut out = Vec::new();
    for (_, row) in web.reader.newest_under(Kind::Pins, FIRST_SOURCE, Some(channel), "")? {
        let items = json::parse(&web.reader.record(row.seq)?.body).unwrap_or_default();
        for item in items.as_array().into_iter().flatten() {
            let ts = item["ts"].as_str().or_else(|| item["message"]["ts"].as_str());
            out.extend(ts.map(str::to_owned));
        }
    }
    Ok(out)
}
