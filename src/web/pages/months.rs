//! A channel on one line: how much was said in each month, and what was not captured.

use std::collections::BTreeMap;

use chrono::{Datelike as _, Months, NaiveDate};

use super::captured::{Captured, bounds};
use super::way::Way;
use crate::model::MessageTs;
use crate::web::desk::Desk;
use crate::web::words::grouped;

/// Bars at most: each stays wide enough to be hit.
const BARS: i32 = 40;
const WIDTH: u64 = 960;
const WIDEST: u64 = 36;
const HEIGHT: u64 = 28;

/// One stretch of months.
pub(crate) struct Bar {
    /// `March 2026`, or from month to month.
    pub(crate) name: String,
    pub(crate) count: String,
    pub(crate) has_any: bool,
    pub(crate) href: String,
    pub(crate) x: u64,
    pub(crate) y: u64,
    pub(crate) width: u64,
    pub(crate) height: u64,
    /// Some of it was not captured.
    pub(crate) has_gap: bool,
    /// The page shows a day of it.
    pub(crate) is_here: bool,
    /// A year begins with it.
    pub(crate) year: Option<i32>,
}

/// All bars, and how wide they are together.
pub(crate) struct Map {
    pub(crate) bars: Vec<Bar>,
    pub(crate) width: u64,
    /// With the years below them.
    pub(crate) height: u64,
    /// Of the highest bar.
    pub(crate) highest: u64,
}

/// The months from the first with a message to the last, as so many at once that few bars are enough.
fn stretches(counts: &BTreeMap<NaiveDate, u64>) -> Vec<(NaiveDate, NaiveDate, u64)> {
    let (Some(first), Some(last)) = (counts.keys().next(), counts.keys().next_back()) else { return Vec::new() };
    let months = (last.year() - first.year()) * 12 + last.month0().cast_signed() - first.month0().cast_signed() + 1;
    let step = [1, 3, 12, 60, 600].into_iter().find(|step| months.div_euclid(*step) < BARS).unwrap_or(6000);
    // Quarters and years begin where calendars begin them.
    let begins = |date: &NaiveDate| {
        let month = if step >= 12 { 1 } else { date.month0() / step.unsigned_abs() * step.unsigned_abs() + 1 };
        let year = if step >= 12 { date.year() - date.year().rem_euclid(step / 12) } else { date.year() };
        NaiveDate::from_ymd_opt(year, month, 1).unwrap_or(*date)
    };
    let mut out = Vec::new();
    let mut from = begins(first);
    while from <= *last {
        let Some(to) = from.checked_add_months(Months::new(step.unsigned_abs())) else { break };
        out.push((from, to, counts.range(from..to).map(|(_, count)| count).sum()));
        from = to;
    }
    out
}

/// The map of a channel; `None` where one bar would be all of it.
pub(crate) fn map(
    desk: &Desk,
    way: &Way,
    counts: &BTreeMap<NaiveDate, u64>,
    captured: &Captured,
    here: Option<(NaiveDate, NaiveDate)>,
) -> Option<Map> {
    let stretches = stretches(counts);
    if stretches.len() < 2 {
        return None;
    }
    let highest = stretches.iter().map(|(.., count)| *count).max().unwrap_or(1).max(1);
    let width = (WIDTH / stretches.len() as u64).min(WIDEST);
    let mut year = None;
    let bar = |(number, (from, to, count)): (u64, &(NaiveDate, NaiveDate, u64))| {
        let last = to.pred_opt().unwrap_or(*to);
        let name = |date: &NaiveDate| date.format("%B %Y").to_string();
        let height = if *count == 0 { 1 } else { (count * HEIGHT / highest).max(3) };
        let (start, end) = (bounds(desk.zone, *from).0, bounds(desk.zone, last).1);
        let is_new = year != Some(from.year());
        year = Some(from.year());
        Bar {
            name: if name(from) == name(&last) { name(from) } else { format!("{} – {}", name(from), name(&last)) },
            count: grouped(*count),
            has_any: *count > 0,
            href: way.to(&[("date", &from.to_string())]),
            x: number * width,
            y: HEIGHT - height,
            width: width - 2,
            height,
            has_gap: captured.between(start.before(), end.max(MessageTs::MIN)).next().is_some(),
            is_here: here.is_some_and(|(first, last)| first < *to && last >= *from),
            year: is_new.then(|| from.year()),
        }
    };
    let bars: Vec<Bar> = (0..).zip(&stretches).map(bar).collect();
    Some(Map { width: width * bars.len() as u64, height: HEIGHT + 16, highest: HEIGHT, bars })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(months: &[(i32, u32, u64)]) -> Vec<(String, u64)> {
        let counts = months.iter().map(|(y, m, n)| (NaiveDate::from_ymd_opt(*y, *m, 1).unwrap(), *n)).collect();
        stretches(&counts).into_iter().map(|(from, _, count)| (from.to_string(), count)).collect()
    }

    #[test]
    fn months_without_a_message_have_their_place_and_many_are_joined() {
        let due: Vec<_> =
            [("2025-11-01", 3), ("2025-12-01", 0), ("2026-01-01", 5)].map(|(d, n)| (d.to_owned(), n)).into();
        assert_eq!(of(&[(2025, 11, 3), (2026, 1, 5)]), due);
        let years = of(&[(2016, 5, 1), (2016, 7, 2), (2026, 1, 4)]);
        assert_eq!((years.len(), years[0].clone()), (40, ("2016-04-01".to_owned(), 1)));
        let long = of(&[(1970, 1, 1), (2026, 12, 1)]);
        assert!(long.len() <= 40, "{}", long.len());
        assert_eq!(long.iter().map(|(_, count)| count).sum::<u64>(), 2);
        assert_eq!(of(&[]), []);
    }
}
