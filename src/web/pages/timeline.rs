//! A stretch of a channel: around a message, from a day on, as of a moment.

use askama::Template;
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::NaiveDate;
use serde::Deserialize;

use super::Shell;
use super::captured::{Captured, bounds};
use super::matches::{Around, Matches};
use super::months::{Map, map};
use super::pair::pair;
use super::transcript::{Counts, Members, Row, Stretch, members};
use super::view::{Moment, called};
use super::way::Way;
use crate::history::{AsOf, ChannelFacts, Directory, Item};
use crate::model::{ChannelId, MessageTs, RecordSeq, parse_time};
use crate::web::desk::Desk;
use crate::web::error::{WebError, blocking, render};
use crate::web::markup::{Change, Piece, direction, visible};

/// Messages of a page, and at most.
const PAGE: usize = 100;
const LARGEST: usize = 500;

/// Where in the channel, and how it is read.
#[derive(Debug, Default, Deserialize)]
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
    /// Whose matches are gone through.
    q: Option<String>,
    /// As it was at this moment.
    asof: Option<String>,
}

#[derive(Template)]
#[template(path = "timeline.html")]
struct Timeline {
    shell: Shell,
    head: Head,
    way: Way,
    rows: Vec<Row>,
    is_empty: bool,
    older: Option<String>,
    newer: Option<String>,
    /// The day that the page is about: of the message or the day that was asked for, else of its newest or, further
    /// back, its first message.
    date: String,
    /// The days with messages before and after: what it is called, and where.
    previous_day: Option<(NaiveDate, String)>,
    next_day: Option<(NaiveDate, String)>,
    print: Option<(NaiveDate, String)>,
    /// A day that was asked for on which nothing was said.
    silent: String,
    matches: Option<Matches>,
    map: Option<Map>,
    then: Option<Then>,
    /// What was typed as a moment and is none, and why.
    as_of: String,
    no_moment: String,
    walked: String,
    notes: Vec<String>,
}

/// What a page of a channel says of the channel.
pub(crate) struct Head {
    pub(crate) name: String,
    /// Both who talk in a direct conversation, where they are known.
    pub(crate) pair: Option<String>,
    pub(crate) is_im: bool,
    pub(crate) topic: String,
    pub(crate) topic_dir: &'static str,
    pub(crate) members: Members,
    pub(crate) was: String,
    pub(crate) mark: String,
    /// That name and topic are of a later time than the page; empty: they are of its time.
    pub(crate) later: String,
    pub(crate) excluded: Option<String>,
}

/// What is said above a page that is as of a moment.
pub(crate) struct Then {
    pub(crate) at: String,
    pub(crate) counts: Counts,
    pub(crate) now: String,
}

/// A channel that the reader may see, read as of some moment.
pub(crate) struct Room {
    pub(crate) channel: ChannelId,
    pub(crate) now: std::sync::Arc<Directory>,
    pub(crate) as_of: AsOf,
    /// As it was typed.
    pub(crate) asked_as_of: String,
    /// Why that is no moment; empty: it is one, or none was typed.
    pub(crate) no_moment: String,
}

impl Room {
    pub(crate) fn open(desk: &Desk, id: &str, asof: Option<&str>) -> Result<Self, WebError> {
        let channel = ChannelId::parse(id).ok_or(WebError::NotFound)?;
        let now = desk.directory()?;
        if !now.channels.contains_key(&channel) {
            return Err(WebError::NotFound);
        }
        let asked_as_of = asof.unwrap_or_default().trim().to_owned();
        let (as_of, no_moment) = match asked_as_of.as_str() {
            "" => (AsOf::Now, String::new()),
            text => match parse_time(text, desk.zone) {
                Some(time) => (AsOf::Time(time), String::new()),
                None => (AsOf::Now, desk.w.with("as-of-no-time-named", text)),
            },
        };
        Ok(Self { channel, now, as_of, asked_as_of, no_moment })
    }

    /// Nothing later than this was there.
    pub(crate) fn end(&self) -> MessageTs {
        match self.as_of {
            AsOf::Time(time) => MessageTs::from_micros(time.timestamp_micros()),
            _ => MessageTs::MAX,
        }
    }

    /// The names for a page about `day`: those of that day's end, or of the moment of which it is.
    pub(crate) fn names(&self, desk: &Desk, day: Option<NaiveDate>) -> Result<std::sync::Arc<Directory>, WebError> {
        let as_of = match (self.as_of, day) {
            (AsOf::Now, Some(day)) => {
                let end = bounds(desk.zone, day).1.time();
                if end >= desk.web().now() { AsOf::Now } else { AsOf::Time(end) }
            }
            (as_of, _) => as_of,
        };
        if as_of == AsOf::Now {
            return Ok(std::sync::Arc::clone(&self.now));
        }
        Ok(std::sync::Arc::new(desk.archive().names_at(&self.now, &self.channel, as_of)?))
    }

    pub(crate) fn facts(&self) -> &ChannelFacts {
        // It was there when the room was opened.
        &self.now.channels[&self.channel]
    }

    /// What a page says above its messages, with the names of its time.
    pub(crate) fn head(
        &self,
        desk: &Desk,
        names: &Directory,
        day: Option<NaiveDate>,
        captured: &Captured,
    ) -> Result<Head, WebError> {
        let facts = names.channels.get(&self.channel).unwrap_or_else(|| self.facts());
        let later = if facts.is_later {
            let record = desk.archive().record(facts.record)?;
            let seen = record.map(|record| Moment::new(record.header.observed(), desk.zone).full).unwrap_or_default();
            if facts.is_im { desk.w.with("name-first-seen", seen) } else { desk.w.with("topic-first-seen", seen) }
        } else {
            String::new()
        };
        let topic = visible(&facts.topic);
        // A page as of a moment says above of which; one of today needs no date.
        let day = day.filter(|_| !std::ptr::eq(names, std::sync::Arc::as_ptr(&self.now)) && self.as_of == AsOf::Now);
        let now_called = Some(&self.facts().name).filter(|now| **now != facts.name);
        let earlier = facts.earlier_names.iter().map(|name| visible(name)).collect::<Vec<_>>().join(", ");
        Ok(Head {
            name: visible(&facts.name),
            pair: pair(desk, names, facts, captured)?,
            is_im: facts.is_im,
            topic_dir: direction(&[Piece::Text(topic.clone())]),
            topic,
            members: members(desk, &self.channel, names, day)?,
            was: match now_called {
                Some(now) => desk.w.with("room-now-called", visible(now)),
                None if earlier.is_empty() => String::new(),
                None => desk.w.with("room-formerly", earlier),
            },
            mark: if facts.is_lost {
                desk.w.say("channel-lost")
            } else if facts.is_archived {
                desk.w.say("channel-archived")
            } else {
                String::new()
            },
            later,
            excluded: captured.excluded.clone(),
        })
    }
}

impl Head {
    /// What the channel is called in titles.
    pub(crate) fn title(&self, desk: &Desk) -> String {
        match &self.pair {
            Some(pair) => pair.clone(),
            None => called(desk.w, &self.name, self.is_im),
        }
    }
}

/// A stretch of a channel.
pub(crate) async fn page(desk: Desk, Path(id): Path<String>, Query(place): Query<Place>) -> Result<Response, WebError> {
    let page = blocking(move || build(&desk, &id, &place)).await?;
    let status = if page.no_moment.is_empty() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    Ok(render(status, &page))
}

/// The messages of a page, and what it is about.
struct Found {
    items: Vec<Item>,
    /// Where a page without messages stands.
    edge: Option<MessageTs>,
    target: Option<MessageTs>,
    /// The day that was asked for.
    day: Option<NaiveDate>,
    /// What the title says of the place.
    title: Option<String>,
}

fn next(ts: MessageTs) -> MessageTs {
    MessageTs::from_micros(ts.micros() + 1)
}

fn find(desk: &Desk, room: &Room, place: &Place) -> Result<Found, WebError> {
    let count = place.n.unwrap_or(PAGE).clamp(1, LARGEST);
    let end = room.end();
    let before = |to: MessageTs, count: usize| desk.archive().messages_before(&room.channel, to.min(end), count);
    let after = |from: MessageTs, count: usize| later(desk, room, from, count);
    let parse = |text: &str| MessageTs::parse(text).ok_or_else(|| WebError::Bad(desk.w.with("no-time-stamp", text)));
    let shown = |ts: MessageTs| Moment::new(ts.time(), desk.zone).full;
    let mut found = Found { items: Vec::new(), edge: None, target: None, day: None, title: None };
    if let Some(at) = &place.at {
        let ts = target_of(desk, &room.channel, at)?;
        found.target = Some(ts);
        found.title = Some(desk.w.with("title-around", shown(ts)));
        found.items = before(ts.before(), count / 2)?;
        found.items.extend(after(ts, count - count / 2)?);
        found.edge = Some(ts);
    } else if let Some(date) = place.date.as_deref().filter(|date| !date.is_empty()) {
        let day =
            NaiveDate::parse_from_str(date, "%Y-%m-%d").map_err(|_| WebError::Bad(desk.w.with("no-day", date)))?;
        let start = bounds(desk.zone, day).0;
        found.day = Some(day);
        found.title = Some(day.to_string());
        found.items = after(start, count)?;
        found.edge = Some(start);
    } else if let Some(from) = &place.after {
        let from = parse(from)?;
        found.title = Some(desk.w.with("title-after", shown(from)));
        found.items = after(next(from), count)?;
        found.edge = Some(next(from));
    } else if let Some(to) = &place.before {
        let to = parse(to)?;
        found.title = Some(desk.w.with("title-before", shown(to)));
        found.items = before(to.before(), count)?;
        found.edge = Some(to);
    } else {
        found.items = before(MessageTs::MAX, count)?;
    }
    Ok(found)
}

/// Messages from a time stamp on that were there by the moment of which the page is.
fn later(desk: &Desk, room: &Room, from: MessageTs, count: usize) -> Result<Vec<Item>, WebError> {
    let mut items = desk.archive().messages_after(&room.channel, from, count)?;
    items.retain(|item| MessageTs::parse(&item.key).is_none_or(|ts| ts <= room.end()));
    Ok(items)
}

fn build(desk: &Desk, id: &str, place: &Place) -> Result<Timeline, WebError> {
    let room = Room::open(desk, id, place.asof.as_deref())?;
    let w = desk.w;
    let found = find(desk, &room, place)?;
    let q = place.q.as_deref().map(str::trim).unwrap_or_default();
    let n = place.n.map(|n| n.to_string()).unwrap_or_default();
    let as_of = if room.no_moment.is_empty() { room.asked_as_of.as_str() } else { "" };
    let way = Way::new(desk, id, &[("q", q), ("asof", as_of), ("n", &n)]);
    let stamps: Vec<MessageTs> = found.items.iter().filter_map(|item| MessageTs::parse(&item.key)).collect();
    let (first, last) = (stamps.first().copied(), stamps.last().copied());
    let stamp = |items: Vec<Item>| items.first().and_then(|item| MessageTs::parse(&item.key));
    let before = |to: MessageTs| desk.archive().messages_before(&room.channel, to.min(room.end()), 1);
    let older = match first.or(found.edge) {
        Some(first) => stamp(before(first.before())?),
        None => None,
    };
    let newer = match last.map(next).or(found.edge) {
        Some(from) => stamp(later(desk, &room, from, 1)?),
        None => None,
    };
    let date = |ts: MessageTs| desk.zone.date(ts.time());
    let is_newest = found.edge.is_none();
    let anchor_day = found.day.or(found.target.map(date)).or(if is_newest { last } else { first }.map(date));
    let names = room.names(desk, anchor_day.filter(|_| !is_newest))?;
    let captured = Captured::of(desk, &room.channel)?;
    let (query, matches) = if q.is_empty() {
        (None, None)
    } else {
        let around = Around {
            desk,
            channel: &room.channel,
            directory: &room.now,
            way: &way,
            text: q,
            as_of: room.as_of,
            target: found.target,
            first: first.or(found.edge).unwrap_or(MessageTs::MIN),
        };
        let (query, matches) = around.find()?;
        (query, Some(matches))
    };
    let stretch = Stretch {
        desk,
        channel: &room.channel,
        way: &way,
        captured: &captured,
        items: &found.items,
        names: &names,
        now: &room.now,
        as_of: room.as_of,
        query: query.as_ref(),
        target: found.target,
        day: found.day,
        after: older,
        goes_on: newer.is_some(),
    };
    let (rows, counts) = stretch.rows()?;
    let head = room.head(desk, &names, anchor_day, &captured)?;
    let day_of = |ts: MessageTs| (date(ts), way.to(&[("date", &date(ts).to_string())]));
    let (mut previous_day, mut next_day) = (None, None);
    if let Some((start, end)) = anchor_day.map(|day| bounds(desk.zone, day)) {
        // What stands on the page, or right beside it, need not be looked up.
        let known = || older.iter().chain(&stamps).chain(&newer).copied();
        previous_day = known().filter(|ts| *ts < start).max();
        if previous_day.is_none() && older.is_some() {
            previous_day = stamp(before(start.before())?);
        }
        next_day = known().filter(|ts| *ts >= end).min();
        if next_day.is_none() && newer.is_some() {
            next_day = stamp(later(desk, &room, end, 1)?);
        }
    }
    let room_title = head.title(desk);
    let title = match &found.title {
        Some(place) => w.with_two("title-in-room", &room_title, place),
        None => room_title,
    };
    let then = match room.as_of {
        AsOf::Time(time) => {
            Some(Then { at: Moment::new(time, desk.zone).full, counts, now: way.without("asof", &place_of(place)) })
        }
        _ => None,
    };
    let title = match &then {
        Some(then) => w.with_two("title-as-of", title, &then.at),
        None => title,
    };
    let here = match (first.map(date), last.map(date)) {
        (Some(first), Some(last)) => Some((first, last)),
        _ => anchor_day.map(|day| (day, day)),
    };
    let map = if then.is_some() { None } else { months(desk, &room, &way, &captured, here) };
    Ok(Timeline {
        is_empty: found.items.is_empty(),
        older: older.map(|_| way.to(&[("before", &first.or(found.edge).unwrap_or(MessageTs::MIN).to_string())])),
        newer: newer.map(|_| {
            let after = last.or(found.edge.map(MessageTs::before)).unwrap_or(MessageTs::MIN);
            way.to(&[("after", &after.to_string())])
        }),
        date: anchor_day.map(|day| day.to_string()).unwrap_or_default(),
        previous_day: previous_day.map(day_of),
        next_day: next_day.map(day_of),
        print: anchor_day.map(|day| (day, way.day(day))),
        silent: silent(desk, found.day, first, &captured),
        matches,
        map,
        then,
        as_of: room.asked_as_of.clone(),
        no_moment: room.no_moment.clone(),
        walked: captured
            .until
            .map_or_else(|| w.say("walked-never-yet"), |at| w.with("walked-at", Moment::new(at, desk.zone).full)),
        notes: captured.notes,
        shell: Shell::new(desk, "channels", title),
        head,
        way,
        rows,
    })
}

/// The place that an address names, to keep it while something else is let go.
fn place_of(place: &Place) -> Vec<(&'static str, &str)> {
    let all = [("at", &place.at), ("date", &place.date), ("before", &place.before), ("after", &place.after)];
    all.into_iter().filter_map(|(name, value)| value.as_deref().map(|value| (name, value))).collect()
}

/// What is said of a day without a message: whether somebody looked.
fn silent(desk: &Desk, day: Option<NaiveDate>, first: Option<MessageTs>, captured: &Captured) -> String {
    let Some(day) = day else { return String::new() };
    let (start, end) = bounds(desk.zone, day);
    if first.is_some_and(|first| first < end) || captured.between(start.before(), end).next().is_some() {
        return String::new();
    }
    if captured.is_after(desk.zone, day) {
        return desk.w.with("day-not-walked", day);
    }
    desk.w.with("day-silent", day)
}

/// The channel on one line. A page does without it where the index cannot be read.
fn months(
    desk: &Desk,
    room: &Room,
    way: &Way,
    captured: &Captured,
    here: Option<(NaiveDate, NaiveDate)>,
) -> Option<Map> {
    match desk.web().counts().months(desk, &room.channel, &room.now) {
        Ok(counts) => map(desk, way, &counts, captured, here),
        Err(error) => {
            tracing::warn!(%error, "the months of a channel cannot be counted");
            None
        }
    }
}

/// The time stamp that `at` names: itself, or that of a record of this channel.
fn target_of(desk: &Desk, channel: &ChannelId, at: &str) -> Result<MessageTs, WebError> {
    if let Some(ts) = MessageTs::parse(at) {
        return Ok(ts);
    }
    let seq: u64 = at.parse().map_err(|_| WebError::Bad(desk.w.with("no-place", at)))?;
    let record = desk.archive().record(RecordSeq(seq))?.ok_or(WebError::NotFound)?;
    let is_here = record.header.channel_id().as_ref() == Some(channel);
    MessageTs::parse(&record.header.key).filter(|_| is_here).ok_or(WebError::NotFound)
}
