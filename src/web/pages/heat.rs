//! The map of what is covered: a row for each channel, a column for each month or week, and in each cell one
//! letter, which is a link. Time that was walked and in which nothing was said has a dot, so that nobody takes it for
//! a part that is missing.

use chrono::{Datelike as _, Days, Months, NaiveDate};

use crate::history::{ChannelCoverage, Reach, Stand};
use crate::model::{ChannelId, MessageTs, UtcTime, Zone};
use crate::store::Error;
use crate::web::desk::Desk;
use crate::web::markup::{encode, visible};
use crate::web::words::Words;

/// Columns of a page.
const COLUMNS: usize = 36;

/// How wide a column is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Width {
    Month,
    Week,
}

impl Width {
    /// The word in an address.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Month => "month",
            Self::Week => "week",
        }
    }

    /// The one that was asked for, else the one in which the days between two fit on a page.
    pub(crate) fn choose(asked: &str, earliest: NaiveDate, today: NaiveDate) -> Option<Self> {
        match asked {
            "week" => Some(Self::Week),
            "" if (today - earliest).num_weeks() < i64::try_from(COLUMNS).unwrap_or(i64::MAX) => Some(Self::Week),
            "" | "month" => Some(Self::Month),
            _ => None,
        }
    }

    /// The first day of the column in which a day lies.
    fn first(self, day: NaiveDate) -> NaiveDate {
        match self {
            Self::Month => day.with_day(1).unwrap_or(day),
            Self::Week => day.week(chrono::Weekday::Mon).checked_first_day().unwrap_or(day),
        }
    }

    /// The first day of the column that is so many further on.
    fn ahead(self, first: NaiveDate, columns: u32) -> NaiveDate {
        match self {
            Self::Month => first.checked_add_months(Months::new(columns)),
            Self::Week => first.checked_add_days(Days::new(u64::from(columns) * 7)),
        }
        .unwrap_or(NaiveDate::MAX)
    }

    fn back(self, first: NaiveDate, columns: u32) -> NaiveDate {
        match self {
            Self::Month => first.checked_sub_months(Months::new(columns)),
            Self::Week => first.checked_sub_days(Days::new(u64::from(columns) * 7)),
        }
        .unwrap_or(NaiveDate::MIN)
    }
}

/// A stretch of time that every channel is asked about.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    from: UtcTime,
    to: UtcTime,
    pub(crate) first: NaiveDate,
    /// Under its group.
    pub(crate) label: String,
    /// By itself.
    pub(crate) full: String,
}

/// Columns that stand under one heading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) label: String,
    pub(crate) span: usize,
}

/// The columns up to the one in which `last` lies, oldest first: as many as a page has, and none that ends before
/// `earliest`.
fn columns(width: Width, zone: Zone, earliest: NaiveDate, last: NaiveDate) -> Vec<Column> {
    let newest = width.first(last);
    let most = u32::try_from(COLUMNS - 1).unwrap_or(u32::MAX);
    let mut first = width.back(newest, most).max(width.first(earliest)).min(newest);
    let mut out = Vec::new();
    while first <= newest && out.len() < COLUMNS {
        let next = width.ahead(first, 1);
        let (label, full) = match width {
            Width::Month => ("%m", "%Y-%m"),
            Width::Week => ("%d", "%Y-%m-%d"),
        };
        out.push(Column {
            from: zone.start_of_day(first),
            to: zone.start_of_day(next),
            first,
            label: first.format(label).to_string(),
            full: first.format(full).to_string(),
        });
        first = next;
    }
    out
}

fn groups(width: Width, columns: &[Column]) -> Vec<Group> {
    let mut out: Vec<Group> = Vec::new();
    for column in columns {
        let label = column.first.format(if width == Width::Month { "%Y" } else { "%Y-%m" }).to_string();
        match out.last_mut() {
            Some(group) if group.label == label => group.span += 1,
            _ => out.push(Group { label, span: 1 }),
        }
    }
    out
}

/// One channel in one column.
pub(crate) struct Cell {
    pub(crate) class: &'static str,
    pub(crate) letter: &'static str,
    pub(crate) word: String,
    pub(crate) href: String,
}

/// One channel.
pub(crate) struct Line {
    pub(crate) href: String,
    pub(crate) sign: &'static str,
    pub(crate) name: String,
    pub(crate) cells: Vec<Cell>,
}

/// What a letter means.
pub(crate) struct Meaning {
    pub(crate) class: &'static str,
    pub(crate) letter: &'static str,
    pub(crate) word: String,
    pub(crate) text: String,
}

/// The whole map, as a page has it.
pub(crate) struct Heat {
    pub(crate) groups: Vec<Group>,
    pub(crate) columns: Vec<Column>,
    pub(crate) lines: Vec<Line>,
    pub(crate) legend: Vec<Meaning>,
    pub(crate) older: Option<String>,
    pub(crate) newer: Option<String>,
    /// The same in columns of the other width.
    pub(crate) other: String,
    pub(crate) width: Width,
}

const ALL: [Stand; 7] =
    [Stand::Covered, Stand::Silent, Stand::Part, Stand::Gap, Stand::Waiting, Stand::Excluded, Stand::Before];

fn meaning(w: &Words, stand: Stand) -> Meaning {
    let (class, letter, word, text) = match stand {
        Stand::Covered => ("c", "C", w.say("stand-covered"), w.say("stand-covered-text")),
        Stand::Silent => ("n", "·", w.say("stand-silent"), w.say("stand-silent-text")),
        Stand::Part => ("p", "P", w.say("stand-part"), w.say("stand-part-text")),
        Stand::Gap => ("g hatched", "G", w.say("stand-gap"), w.say("stand-gap-text")),
        Stand::Waiting => ("w", "W", w.say("stand-waiting"), w.say("stand-waiting-text")),
        Stand::Excluded => ("x", "X", w.say("stand-excluded"), w.say("stand-excluded-text")),
        Stand::Before => ("b", "-", w.say("stand-before"), w.say("stand-before-text")),
    };
    Meaning { class, letter, word, text }
}

/// Which part of the map is asked for.
pub(crate) struct Frame<'a> {
    pub(crate) by: &'a str,
    pub(crate) to: &'a str,
    /// What stands in an address of the page beside these two, with a `&` at its end.
    pub(crate) rest: String,
}

/// Draws the map of some channels; `None` when what is asked for is no width or day. `all` are those by which its
/// beginning is found, so that each page of channels has the same columns.
pub(crate) fn draw(
    desk: &Desk,
    all: &[ChannelCoverage],
    shown: &[ChannelCoverage],
    frame: &Frame<'_>,
) -> Result<Option<Heat>, Error> {
    let (now, zone) = (desk.web().now(), desk.zone);
    let created = desk.created()?;
    let mut earliest = now;
    for id in all.iter().filter_map(|channel| ChannelId::parse(&channel.channel)) {
        let oldest = match created.get(&id) {
            Some(at) => Some(*at),
            None => desk.oldest_message(&id)?.map(MessageTs::time),
        };
        earliest = earliest.min(oldest.unwrap_or(now));
    }
    let (earliest, today) = (zone.date(earliest), zone.date(now));
    let last = if frame.to.is_empty() { Some(today) } else { frame.to.parse().ok() };
    let (Some(width), Some(last)) = (Width::choose(frame.by, earliest, today), last) else { return Ok(None) };
    let last = last.clamp(earliest, today);
    let columns = columns(width, zone, earliest, last);
    let ts = |time: UtcTime| MessageTs::from_micros(time.timestamp_micros());
    let stretches: Vec<_> = columns.iter().map(|column| (ts(column.from), ts(column.to))).collect();
    let mut lines = Vec::new();
    for channel in shown {
        let Some(id) = ChannelId::parse(&channel.channel) else { continue };
        let reach = Reach::of(channel, created.get(&id).copied());
        let spoken = desk.spoken_in(&id, &stretches)?;
        let about = format!("/crawl/coverage?channel={}", encode(&channel.channel));
        let is_open = desk.viewer.scope.allows(&id);
        let cells = columns.iter().zip(spoken).map(|(column, is_spoken)| {
            let stand = reach.stand(column.from, column.to, now, is_spoken);
            let is_read = is_open && matches!(stand, Stand::Covered | Stand::Silent | Stand::Part);
            let href =
                if is_read { format!("/c/{}?date={}", encode(&channel.channel), column.first) } else { about.clone() };
            let Meaning { class, letter, word, .. } = meaning(desk.w, stand);
            Cell { class, letter, word, href }
        });
        lines.push(Line {
            cells: cells.collect(),
            sign: if channel.is_im { "" } else { "#" },
            name: visible(&channel.name),
            href: about,
        });
    }
    let address = |by: Width, to: NaiveDate| format!("/crawl/coverage?{}by={}&to={to}", frame.rest, by.as_str());
    let first = columns.first().map_or(today, |column| column.first);
    let most = u32::try_from(COLUMNS).unwrap_or(u32::MAX);
    let next = width.ahead(width.first(last), 1);
    let newer = (next <= today).then(|| address(width, width.ahead(next, most - 1).min(today)));
    let older = (first > width.first(earliest)).then(|| address(width, first.pred_opt().unwrap_or(first)));
    Ok(Some(Heat {
        groups: groups(width, &columns),
        columns,
        lines,
        legend: ALL.into_iter().map(|stand| meaning(desk.w, stand)).collect(),
        older,
        newer,
        other: address(if width == Width::Month { Width::Week } else { Width::Month }, last),
        width,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn columns_end_with_the_day_that_was_asked_for_and_begin_when_anything_did() {
        let check = |width, earliest: &str, last: &str| {
            let columns = columns(width, Zone::UTC, day(earliest), day(last));
            let ends = [columns.first(), columns.last()].map(|column| column.unwrap().full.clone());
            (columns.len(), ends[0].clone(), ends[1].clone())
        };
        let of = |count: usize, first: &str, last: &str| (count, first.to_owned(), last.to_owned());
        assert_eq!(check(Width::Month, "2025-11-20", "2026-03-04"), of(5, "2025-11", "2026-03"));
        assert_eq!(check(Width::Month, "2010-01-01", "2026-03-04"), of(36, "2023-04", "2026-03"));
        assert_eq!(check(Width::Week, "2026-02-18", "2026-03-04"), of(3, "2026-02-16", "2026-03-02"));
        assert_eq!(check(Width::Week, "2010-01-01", "2026-03-04").0, COLUMNS);
        // A channel that is said to be made later than today has its column all the same.
        assert_eq!(check(Width::Month, "2026-03-04", "2026-03-04"), of(1, "2026-03", "2026-03"));
    }

    #[test]
    fn columns_touch_each_other_in_every_zone() {
        let zone = Zone::parse("America/New_York").unwrap();
        let columns = columns(Width::Week, zone, day("2026-01-01"), day("2026-06-30"));
        assert!(columns.windows(2).all(|pair| pair[0].to == pair[1].from));
        let groups = groups(Width::Week, &columns);
        assert_eq!(groups.iter().map(|group| group.span).sum::<usize>(), columns.len());
        assert_eq!(groups[1].label, "2026-01");
    }

    #[test]
    fn a_short_story_is_told_in_weeks() {
        let today = day("2026-06-30");
        assert_eq!(Width::choose("", day("2026-01-01"), today), Some(Width::Week));
        assert_eq!(Width::choose("", day("2020-01-01"), today), Some(Width::Month));
        assert_eq!(Width::choose("week", day("2020-01-01"), today), Some(Width::Week));
        assert_eq!(Width::choose("year", day("2020-01-01"), today), None);
    }
}
