//! A day of a channel to print: all of it, what is known of how well it was captured, and what the print can be
//! checked by.

use std::fmt::Write as _;

use askama::Template;
use axum::extract::{Path, Query};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use chrono::NaiveDate;
use serde::Deserialize;

use super::Shell;
use super::captured::{Captured, bounds};
use super::timeline::{Head, Room, Then};
use super::transcript::{Row, Stretch};
use super::view::Moment;
use super::way::Way;
use crate::history::{AsOf, Item};
use crate::model::{Digest, MessageTs, Scope};
use crate::web::desk::Desk;
use crate::web::error::{WebError, blocking, render};
use crate::web::markup::{Change, Piece, visible};
use crate::web::visits::Told;

/// Messages of a sheet: a longer day has several.
const SHEET: usize = 1000;

/// Which sheet, and as of when.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Place {
    /// From this time stamp of the day on.
    from: Option<String>,
    asof: Option<String>,
}

#[derive(Template)]
#[template(path = "day.html")]
struct DayPage {
    shell: Shell,
    head: Head,
    day: String,
    /// The first moment of it and the first after it.
    bounds: (Moment, Moment),
    seen_by: String,
    then: Option<Then>,
    /// The messages before this sheet's, and after: where they are.
    part_of: String,
    previous: Option<String>,
    next: Option<String>,
    covered: Vec<String>,
    gaps: usize,
    rows: Vec<Row>,
    messages: usize,
    records: usize,
    list: String,
    list_href: String,
    timeline: String,
}

/// What stands on one sheet.
struct Sheet {
    room: Room,
    day: NaiveDate,
    way: Way,
    from: MessageTs,
    end: MessageTs,
    items: Vec<Item>,
    /// Where the next sheet begins.
    next: Option<MessageTs>,
}

impl Sheet {
    fn read(desk: &Desk, id: &str, date: &str, place: &Place) -> Result<Self, WebError> {
        let room = Room::open(desk, id, place.asof.as_deref())?;
        if !room.no_moment.is_empty() {
            return Err(WebError::Bad(room.no_moment));
        }
        let bad = || WebError::Bad(desk.w.with("no-day", date));
        let day = NaiveDate::parse_from_str(date, "%Y-%m-%d").map_err(|_| bad())?;
        let (start, end) = bounds(desk.zone, day);
        let from = match place.from.as_deref() {
            None | Some("") => start,
            Some(text) => MessageTs::parse(text)
                .filter(|from| (start..end).contains(from))
                .ok_or_else(|| WebError::Bad(desk.w.with("no-time-stamp", text)))?,
        };
        let mut items = desk.archive().messages_after(&room.channel, from, SHEET + 1)?;
        let is_of_day = |ts: MessageTs| ts < end && ts <= room.end();
        items.retain(|item| MessageTs::parse(&item.key).is_some_and(is_of_day));
        let next = items.get(SHEET).and_then(|item| MessageTs::parse(&item.key));
        items.truncate(SHEET);
        let way = Way::new(desk, id, &[("asof", &room.asked_as_of)]);
        Ok(Self { room, day, way, from, end, items, next })
    }

    /// The records of a sheet, a line each: number, and hash of the leaf in the tree of the archive.
    fn list(&self, desk: &Desk) -> Result<(usize, String), WebError> {
        let (mut count, mut out) = (0, String::new());
        for item in &self.items {
            for (seq, leaf) in desk.archive().leaves(item)? {
                count += 1;
                // Writing into a text does not fail.
                let _ = writeln!(out, "{seq} {leaf}");
            }
        }
        Ok((count, out))
    }

    fn is_first(&self, desk: &Desk) -> bool {
        self.from == bounds(desk.zone, self.day).0
    }
}

/// The day as a sheet.
pub(crate) async fn page(
    desk: Desk,
    Path((id, date)): Path<(String, String)>,
    Query(place): Query<Place>,
) -> Result<Response, WebError> {
    let page = blocking(move || build(&desk, &id, &date, &place)).await?;
    let content = page.list.clone();
    let mut response = render(StatusCode::OK, &page);
    response.extensions_mut().insert(Told { content: Some(content), ..Told::default() });
    Ok(response)
}

/// The list whose SHA-256 stands at the foot of the sheet.
pub(crate) async fn list(
    desk: Desk,
    Path((id, date)): Path<(String, String)>,
    Query(place): Query<Place>,
) -> Result<Response, WebError> {
    let text = blocking(move || Ok(Sheet::read(&desk, &id, &date, &place)?.list(&desk)?.1)).await?;
    let content = Digest::of(text.as_bytes()).to_string();
    let mut response = ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response();
    response.extensions_mut().insert(Told { content: Some(content), ..Told::default() });
    Ok(response)
}

fn build(desk: &Desk, id: &str, date: &str, place: &Place) -> Result<DayPage, WebError> {
    let w = desk.w;
    let sheet = Sheet::read(desk, id, date, place)?;
    let Sheet { room, day, way, .. } = &sheet;
    let captured = Captured::of(desk, &room.channel)?;
    let names = room.names(desk, Some(*day))?;
    let head = room.head(desk, &names, Some(*day), &captured)?;
    let older = desk.archive().messages_before(&room.channel, sheet.from.before(), 1)?;
    let older = older.first().and_then(|item| MessageTs::parse(&item.key));
    let stretch = Stretch {
        desk,
        channel: &room.channel,
        way,
        captured: &captured,
        items: &sheet.items,
        names: &names,
        now: &room.now,
        as_of: room.as_of,
        query: None,
        target: None,
        day: None,
        // Of a sheet it matters what lies within the day.
        after: Some(if sheet.is_first(desk) { sheet.from.before() } else { older.unwrap_or(sheet.from.before()) }),
        goes_on: sheet.next.is_some(),
    };
    let (rows, counts) = stretch.rows_until(sheet.end)?;
    let (records, text) = sheet.list(desk)?;
    let list = Digest::of(text.as_bytes()).to_string();
    let title = head.title(desk);
    let shown = |ts: MessageTs| Moment::new(ts.time(), desk.zone);
    let start = bounds(desk.zone, *day).0;
    let from_pair = sheet.from.to_string();
    let here: &[(&str, &str)] = if sheet.is_first(desk) { &[] } else { &[("from", &from_pair)] };
    let moment = match room.as_of {
        AsOf::Time(time) => Some(Moment::new(time, desk.zone).full),
        _ => None,
    };
    let page_title = w.with_two("title-in-room", &title, day);
    Ok(DayPage {
        shell: Shell::new(
            desk,
            "channels",
            moment.as_ref().map_or_else(|| page_title.clone(), |at| w.with_two("title-as-of", &page_title, at)),
        ),
        day: day.format("%A %-d %B %Y").to_string(),
        bounds: (shown(start), shown(sheet.end)),
        seen_by: seen_by(desk),
        then: moment.map(|at| Then { at, counts, now: way.without("asof", &[("date", date)]) }),
        part_of: match (sheet.is_first(desk), sheet.next) {
            (true, None) => String::new(),
            (true, Some(next)) => w.with_two("sheet-until", SHEET, shown(next).full),
            (false, None) => w.with("sheet-from", shown(sheet.from).full),
            (false, Some(next)) => w.with_two("sheet-from-until", shown(sheet.from).full, shown(next).full),
        },
        previous: (!sheet.is_first(desk)).then(|| way.of_day(*day, "", &[])),
        next: sheet.next.map(|next| way.of_day(*day, "", &[("from", &next.to_string())])),
        covered: covered(desk, &captured, *day),
        gaps: captured.between(start.before(), sheet.end.before()).count(),
        messages: rows.iter().filter(|row| matches!(row, Row::Message(_))).count(),
        rows,
        records,
        list,
        list_href: way.of_day(*day, "/list.txt", here),
        timeline: way.to(&[("date", date)]),
        head,
    })
}

/// Under which scope a sheet was made: what it does not show may lie outside.
fn seen_by(desk: &Desk) -> String {
    match &desk.viewer.scope {
        Scope::All => desk.w.with("sheet-scope-all", &desk.viewer.name),
        Scope::Channels(channels) => desk.w.with_two("sheet-scope-some", &desk.viewer.name, channels.len()),
    }
}

/// What is known of how well a day was captured.
fn covered(desk: &Desk, captured: &Captured, day: NaiveDate) -> Vec<String> {
    let w = desk.w;
    let mut out: Vec<String> = captured.excluded.iter().cloned().collect();
    for (account, at) in &captured.walks {
        out.push(match at {
            Some(at) => w.with_two("sheet-walked", visible(account), Moment::new(*at, desk.zone).full),
            None => w.with("sheet-not-walked", visible(account)),
        });
    }
    if captured.walks.is_empty() {
        out.push(w.say("sheet-walked-by-nobody"));
    }
    if captured.is_after(desk.zone, day) {
        out.push(w.with("day-not-walked", day));
    }
    out.extend(captured.notes.iter().cloned());
    out
}
