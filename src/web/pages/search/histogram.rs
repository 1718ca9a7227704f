//! Matches by time, as a picture. Numbers are whole units of its view box, so that it needs no script and no style.

use std::collections::BTreeMap;

use chrono::{Datelike as _, NaiveDate};

use super::asked::Asked;
use super::days::{Days, Unit};
use super::gaps::Missing;
use crate::model::{TimeRange, UtcTime, Zone};
use crate::web::desk::Desk;

/// The view box.
pub(crate) const WIDTH: usize = 960;
const TOP: u64 = 6;
pub(crate) const BASE: u64 = 70;
/// A bar is no wider than this.
const WIDEST: usize = 64;
/// Links of a histogram at most, and how wide each is at least: 24 of the 768 pixels that the picture has at least,
/// so that it can be hit.
const MOST_LINKS: usize = 31;
const NARROWEST: usize = 30;
/// Names of times stand no closer than this.
const APART: usize = 66;
/// A hatched stretch of this width has a word in it.
const WORDY: usize = 92;

/// One or some bars: a link that narrows the search to their days.
pub(crate) struct Link {
    pub(crate) name: String,
    pub(crate) count: u64,
    pub(crate) href: String,
    /// Some of its time was not captured.
    pub(crate) is_missing: bool,
    pub(crate) x: usize,
    pub(crate) width: usize,
    /// The outlines of its bars.
    pub(crate) path: String,
}

pub(crate) struct Hatch {
    pub(crate) x: usize,
    pub(crate) width: usize,
    pub(crate) is_wordy: bool,
}

pub(crate) struct Label {
    pub(crate) x: usize,
    pub(crate) text: String,
}

/// The picture.
#[derive(Default)]
pub(crate) struct Histogram {
    pub(crate) links: Vec<Link>,
    pub(crate) hatches: Vec<Hatch>,
    pub(crate) labels: Vec<Label>,
    /// How far the bars reach.
    pub(crate) width: usize,
    /// Matches without a time.
    pub(crate) undated: u64,
}

/// Matches by day. What stands on the first day of 1970 or before has no time: nobody wrote it then.
fn dated(counts: &BTreeMap<NaiveDate, u64>) -> (BTreeMap<NaiveDate, u64>, u64) {
    let (dated, undated): (BTreeMap<_, _>, BTreeMap<_, _>) =
        counts.iter().map(|(day, count)| (*day, *count)).partition(|(day, _)| *day > NaiveDate::default());
    (dated, undated.values().sum())
}

/// The bars that make one link, as places in `stretches`.
fn grouped(unit: Unit, stretches: &[Days]) -> Vec<std::ops::Range<usize>> {
    let count = stretches.len();
    let key = |n: usize| -> i64 {
        let day = stretches[n].first;
        let place = i64::try_from(n).unwrap_or(0);
        let several = i64::try_from(count.div_ceil(MOST_LINKS)).unwrap_or(1);
        match unit {
            _ if count <= MOST_LINKS => place,
            Unit::Day => i64::from(Unit::Week.first(day).num_days_from_ce()),
            Unit::Month if count <= 3 * (MOST_LINKS - 1) => i64::from(day.year()) * 4 + i64::from(day.month0() / 3),
            Unit::Month => i64::from(day.year()),
            Unit::Year => i64::from(Unit::Decade.first(day).year()),
            Unit::Week | Unit::Decade => place / several,
        }
    };
    let mut out: Vec<std::ops::Range<usize>> = Vec::new();
    for n in 0..count {
        match out.last_mut() {
            Some(last) if key(last.start) == key(n) => last.end = n + 1,
            _ => out.push(n..n + 1),
        }
    }
    out
}

/// The same where the first and the last, cut by an end of the picture, are not too narrow.
fn widened(mut groups: Vec<std::ops::Range<usize>>, x: &impl Fn(usize) -> usize) -> Vec<std::ops::Range<usize>> {
    let is_narrow = |group: &std::ops::Range<usize>| x(group.end) - x(group.start) < NARROWEST;
    if let [.., before, last] = groups.as_mut_slice()
        && is_narrow(last)
    {
        before.end = last.end;
        groups.pop();
    }
    if let [first, after, ..] = groups.as_mut_slice()
        && is_narrow(first)
    {
        after.start = first.start;
        groups.remove(0);
    }
    groups
}

impl Histogram {
    /// Of the matches of each day, within the days that were asked for.
    pub(crate) fn draw(
        desk: &Desk,
        asked: &Asked,
        counts: &BTreeMap<NaiveDate, u64>,
        time: TimeRange,
        missing: &[Missing],
    ) -> Self {
        let (counts, undated) = dated(counts);
        let ends = counts.keys().next().copied().zip(counts.keys().next_back().copied());
        let found = ends.map(|(first, last)| Days { first, last });
        let mut out = Self { undated, ..Self::default() };
        let Some(days) = super::days::shown(time, found, desk.web().now(), desk.zone) else { return out };
        let (unit, stretches) = Unit::divide(days);
        out.width = (stretches.len() * WIDEST).min(WIDTH);
        let x = |n: usize| n * out.width / stretches.len();
        let heights: Vec<u64> =
            stretches.iter().map(|days| counts.range(days.first..=days.last).map(|(_, count)| count).sum()).collect();
        let highest = heights.iter().copied().max().unwrap_or(0).max(1);
        let hatches = hatches(desk.zone, &stretches, missing, &x);
        for group in widened(grouped(unit, &stretches), &x) {
            let days = Days { first: stretches[group.start].first, last: stretches[group.end - 1].last };
            let (from, to) = (x(group.start), x(group.end));
            out.links.push(Link {
                name: days.name(desk.w),
                count: heights[group.clone()].iter().sum(),
                href: asked.within(Some(days), desk.zone).href(),
                is_missing: hatches.iter().any(|hatch| hatch.x < to && hatch.x + hatch.width > from),
                x: from,
                width: to - from,
                path: group.map(|n| outline(x(n), x(n + 1), heights[n] * (BASE - TOP) / highest, heights[n])).collect(),
            });
        }
        out.labels = labels(unit, &stretches, &x);
        out.hatches = hatches;
        out
    }
}

/// A bar; of none, a tick on the line.
fn outline(from: usize, to: usize, height: u64, count: u64) -> String {
    let margin = ((to - from) / 10).max(1);
    let width = (to - from).saturating_sub(2 * margin).max(1);
    let height = if count == 0 { 1 } else { height.max(3) };
    format!("M{} {BASE}v-{height}h{width}v{height}z", from + margin)
}

/// Where time is missing, as far as it is shown.
fn hatches(zone: Zone, stretches: &[Days], missing: &[Missing], x: &impl Fn(usize) -> usize) -> Vec<Hatch> {
    // The place of a moment, within its bar as far as it has gone.
    let place = |time: UtcTime| -> usize {
        for (n, days) in stretches.iter().enumerate() {
            let TimeRange { from: Some(from), to: Some(to) } = days.range(zone) else { continue };
            if time < to {
                let (gone, all) = ((time - from).num_minutes().max(0), (to - from).num_minutes().max(1));
                let width = i64::try_from(x(n + 1) - x(n)).unwrap_or(0);
                return x(n) + usize::try_from(gone * width / all).unwrap_or(0);
            }
        }
        x(stretches.len())
    };
    let mut spans: Vec<(usize, usize)> = missing.iter().map(|gap| (place(gap.from), place(gap.to))).collect();
    spans.sort_unstable();
    let mut out: Vec<Hatch> = Vec::new();
    for (from, to) in spans {
        match out.last_mut() {
            Some(last) if from <= last.x + last.width => last.width = last.width.max(to.saturating_sub(last.x)),
            _ if to > from => out.push(Hatch { x: from, width: to - from, is_wordy: false }),
            _ => {}
        }
    }
    for hatch in &mut out {
        hatch.is_wordy = hatch.width >= WORDY;
    }
    out
}

/// Names of times below the bars, where there is room.
fn labels(unit: Unit, stretches: &[Days], x: &impl Fn(usize) -> usize) -> Vec<Label> {
    let mut out: Vec<Label> = Vec::new();
    let mut year = None;
    let is_long = stretches.len() > 24;
    for (n, days) in stretches.iter().enumerate() {
        let day = days.first;
        let before = n.checked_sub(1).map(|before| stretches[before].first);
        let is_new = |part: fn(&NaiveDate) -> i32| before.is_none_or(|before| part(&before) != part(&day));
        let begins = match unit {
            Unit::Day if is_long => is_new(|day| i32::try_from(day.iso_week().week()).unwrap_or(0)),
            Unit::Week => is_new(|day| i32::try_from(day.month()).unwrap_or(0)),
            Unit::Month if is_long => is_new(NaiveDate::year),
            _ => true,
        };
        let has_room = out.last().is_none_or(|last| x(n) >= last.x + APART);
        if !begins || !has_room || x(n) + APART / 2 > WIDTH {
            continue;
        }
        let is_new_year = year.replace(day.year()) != Some(day.year());
        let format = match (unit, is_new_year) {
            (Unit::Day, true) => "%-d %b %Y",
            (Unit::Day, false) => "%-d %b",
            (Unit::Week | Unit::Month, true) => "%b %Y",
            (Unit::Week | Unit::Month, false) => "%b",
            (Unit::Year | Unit::Decade, _) => "%Y",
        };
        out.push(Label { x: x(n), text: day.format(format).to_string() });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::parse_time;

    fn days(text: &str) -> Days {
        Days::parse(text).unwrap()
    }

    #[test]
    fn bars_are_put_together_where_they_are_too_narrow_to_be_hit() {
        for (text, links) in [
            ("2026-03-01..2026-03-31", 31),
            ("2026-03-01..2026-04-01", 6),
            ("2026-01-01..2026-04-30", 18),
            ("2025-01-01..2026-12-31", 27),
            ("2020-01-15..2026-06-30", 26),
            ("2017-01-01..2026-12-31", 10),
            ("1971-01-01..2026-12-31", 6),
        ] {
            let (unit, stretches) = Unit::divide(days(text));
            let groups = grouped(unit, &stretches);
            assert_eq!(groups.len(), links, "{text} of {} {unit:?}", stretches.len());
            assert!(groups.len() <= MOST_LINKS);
            assert_eq!((groups[0].start, groups.last().unwrap().end), (0, stretches.len()));
            assert!(groups.windows(2).all(|pair| pair[0].end == pair[1].start), "{text}");
            let x = |n: usize| n * WIDTH / stretches.len();
            let wide = widened(groups, &x);
            assert!(wide.iter().all(|group| x(group.end) - x(group.start) >= NARROWEST), "{text}: {wide:?}");
            assert_eq!((wide[0].start, wide.last().unwrap().end), (0, stretches.len()), "{text}");
        }
    }

    #[test]
    fn what_is_missing_is_hatched_to_the_day_and_once() {
        let (_, stretches) = Unit::divide(days("2026-03-01..2026-03-10"));
        let at = |text: &str| parse_time(text, Zone::UTC).unwrap();
        let gap = |from: &str, to: &str| Missing { from: at(from), to: at(to) };
        let found = |gaps: &[Missing]| -> Vec<(usize, usize)> {
            hatches(Zone::UTC, &stretches, gaps, &|n| n * 10).iter().map(|hatch| (hatch.x, hatch.width)).collect()
        };
        assert_eq!(found(&[gap("2026-03-03", "2026-03-05")]), [(20, 20)]);
        assert_eq!(found(&[gap("2026-03-03T12:00:00Z", "2026-03-05"), gap("2026-03-04", "2026-03-06")]), [(25, 25)]);
        assert_eq!(found(&[gap("2026-01-01", "2026-03-01")]), []);
        assert_eq!(found(&[gap("2026-01-01", "2026-03-02"), gap("2026-03-10", "2027-01-01")]), [(0, 10), (90, 10)]);
        let ever = Missing { from: UtcTime::MIN_UTC, to: UtcTime::MAX_UTC };
        assert_eq!(found(&[ever]), [(0, 100)]);
    }

    #[test]
    fn what_has_no_time_is_counted_apart() {
        let day = |text: &str| days(text).first;
        let counts = [(day("1969-12-31"), 1), (day("1970-01-01"), 2), (day("2026-03-04"), 4)].into();
        let (dated, undated) = dated(&counts);
        assert_eq!((dated.into_iter().collect::<Vec<_>>(), undated), (vec![(day("2026-03-04"), 4)], 3));
    }

    #[test]
    fn names_of_times_do_not_touch() {
        for text in [
            "2026-03-04",
            "2026-03-01..2026-03-31",
            "2026-01-01..2026-04-30",
            "2025-01-01..2026-12-31",
            "2017-01-01..2026-12-31",
        ] {
            let (unit, stretches) = Unit::divide(days(text));
            let labels = labels(unit, &stretches, &|n| n * WIDTH / stretches.len());
            assert!(!labels.is_empty(), "{text}");
            assert!(labels[0].text.contains("20"), "{text}: the year is not said: {}", labels[0].text);
            assert!(labels.windows(2).all(|pair| pair[0].x + APART <= pair[1].x), "{text}");
        }
    }
}
