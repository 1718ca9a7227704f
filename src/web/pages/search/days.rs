use std::fmt;

use chrono::{Datelike as _, Days as Count, Months, NaiveDate, Weekday};

use crate::model::{TimeRange, UtcTime, Zone};
use crate::web::words::Words;

/// Stretches that a histogram shows at most.
pub(crate) const MOST_BARS: usize = 120;

/// The first and the last year in which a day is looked for.
const YEARS: std::ops::RangeInclusive<i32> = 1..=9999;

/// Whole days in a row; both ends belong to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Days {
    pub(crate) first: NaiveDate,
    pub(crate) last: NaiveDate,
}

impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last { self.first.fmt(f) } else { write!(f, "{}..{}", self.first, self.last) }
    }
}

impl Days {
    /// `2026-03-04` or `2026-03-02..2026-03-08`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let day =
            |text: &str| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|day| YEARS.contains(&day.year()));
        let (first, last) = text.split_once("..").unwrap_or((text, text));
        let (first, last) = (day(first)?, day(last)?);
        (first <= last).then_some(Self { first, last })
    }

    /// From when to when they are in a zone.
    pub(crate) fn range(self, zone: Zone) -> TimeRange {
        let next = self.last.checked_add_days(Count::new(1)).unwrap_or(self.last);
        TimeRange { from: Some(zone.start_of_day(self.first)), to: Some(zone.start_of_day(next)) }
    }

    /// How many.
    pub(crate) fn count(self) -> usize {
        usize::try_from((self.last - self.first).num_days() + 1).unwrap_or(0)
    }

    /// In words: a day, a month or a year by its name, all others by their ends.
    pub(crate) fn name(self, w: &Words) -> String {
        let Self { first, last } = self;
        let is_end_of_month = last.checked_add_days(Count::new(1)).is_none_or(|next| next.day() == 1);
        let is_whole = first.day() == 1 && is_end_of_month;
        let is_year = first.year() == last.year();
        let is_month = is_year && first.month() == last.month();
        if first == last {
            first.format("%A %-d %B %Y").to_string()
        } else if is_whole && is_month {
            first.format("%B %Y").to_string()
        } else if is_whole && is_year && (first.month(), last.month()) == (1, 12) {
            first.format("%Y").to_string()
        } else {
            let begins = if is_month {
                "%-d"
            } else if is_year {
                "%-d %B"
            } else {
                "%-d %B %Y"
            };
            w.with_two("days-from-to", first.format(begins), last.format("%-d %B %Y"))
        }
    }
}

/// How long the stretches of a histogram are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Day,
    /// From Monday on.
    Week,
    Month,
    Year,
    Decade,
}

impl Unit {
    const ALL: [Self; 5] = [Self::Day, Self::Week, Self::Month, Self::Year, Self::Decade];

    /// The first day of the stretch that `day` lies in.
    pub(crate) fn first(self, day: NaiveDate) -> NaiveDate {
        let year = match self {
            Self::Day => return day,
            Self::Week => return day.week(Weekday::Mon).checked_first_day().unwrap_or(day),
            Self::Month => return day.with_day(1).unwrap_or(day),
            Self::Year => day.year(),
            Self::Decade => day.year().div_euclid(10) * 10,
        };
        NaiveDate::from_ymd_opt(year, 1, 1).unwrap_or(day)
    }

    /// The first day of the next stretch.
    fn next(self, day: NaiveDate) -> Option<NaiveDate> {
        let first = self.first(day);
        match self {
            Self::Day => first.checked_add_days(Count::new(1)),
            Self::Week => first.checked_add_days(Count::new(7)),
            Self::Month => first.checked_add_months(Months::new(1)),
            Self::Year => first.checked_add_months(Months::new(12)),
            Self::Decade => first.checked_add_months(Months::new(120)),
        }
    }

    /// Its stretches, the first and the last cut to the days that are asked for.
    fn stretches(self, days: Days) -> Vec<Days> {
        let mut out = Vec::new();
        let mut at = days.first;
        while at <= days.last {
            let next = self.next(at);
            let last = next.and_then(|next| next.pred_opt()).map_or(days.last, |last| last.min(days.last));
            out.push(Days { first: at, last });
            match next {
                Some(next) => at = next,
                None => break,
            }
        }
        out
    }

    /// The finest division of these days that a histogram can show.
    pub(crate) fn divide(days: Days) -> (Self, Vec<Days>) {
        let fits = |unit: &Self| match unit {
            // More days than that are not even counted out.
            Self::Day => days.count() <= MOST_BARS,
            Self::Week => days.count() <= 7 * (MOST_BARS - 1),
            unit => unit.stretches(days).len() <= MOST_BARS,
        };
        let unit = Self::ALL.into_iter().find(fits).unwrap_or(Self::Decade);
        let mut stretches = unit.stretches(days);
        stretches.truncate(MOST_BARS);
        (unit, stretches)
    }
}

/// The days that are shown: those that are asked for as far as that is said, else those with matches. What is asked
/// for beyond today and beyond every match is left out, and what lies before there was any chat.
pub(crate) fn shown(asked: TimeRange, matches: Option<Days>, now: UtcTime, zone: Zone) -> Option<Days> {
    let day = |time: UtcTime| zone.date(time);
    let earliest = NaiveDate::from_ymd_opt(1970, 1, 2)?;
    let today = matches.map_or(day(now), |days| days.last.max(day(now)));
    let before = |time: UtcTime| time.checked_sub_signed(chrono::TimeDelta::microseconds(1)).map_or(earliest, day);
    let first = asked.from.map(|from| day(from).max(earliest)).or(matches.map(|days| days.first))?;
    let last = match (asked.to.map(before), asked.from, matches) {
        (Some(last), ..) => last.min(today),
        (None, _, Some(days)) => days.last,
        (None, Some(_), None) => today,
        (None, None, None) => return None,
    };
    (first <= last).then_some(Days { first, last })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::words::words;

    fn days(text: &str) -> Days {
        Days::parse(text).unwrap()
    }

    #[test]
    fn days_are_read_and_said() {
        for (text, name) in [
            ("2026-03-04", "Wednesday 4 March 2026"),
            ("2026-03-01..2026-03-31", "March 2026"),
            ("2026-01-01..2026-12-31", "2026"),
            ("2026-03-02..2026-03-08", "2 to 8 March 2026"),
            ("2026-03-30..2026-04-05", "30 March to 5 April 2026"),
            ("2025-12-29..2026-01-04", "29 December 2025 to 4 January 2026"),
            ("2026-01-01..2026-03-31", "1 January to 31 March 2026"),
        ] {
            assert_eq!((days(text).to_string().as_str(), days(text).name(words()).as_str()), (text, name));
        }
        for text in
            ["", "2026", "2026-03-08..2026-03-02", "2026-02-30", "..", "2026-03-02..", "+12026-01-01", "0000-01-01"]
        {
            assert_eq!(Days::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_day_lasts_as_long_as_clocks_say() {
        let prague = Zone::parse("Europe/Prague").unwrap();
        for (day, hours) in [("2026-03-28", 24), ("2026-03-29", 23), ("2026-10-25", 25)] {
            let TimeRange { from, to } = days(day).range(prague);
            assert_eq!((to.unwrap() - from.unwrap()).num_hours(), hours, "{day}");
        }
    }

    #[test]
    fn stretches_cover_every_day_once_and_are_few() {
        for (text, unit, count) in [
            ("2026-03-04", Unit::Day, 1),
            ("2026-01-01..2026-04-30", Unit::Day, 120),
            ("2026-01-01..2026-05-01", Unit::Week, 18),
            ("2026-01-01..2027-12-31", Unit::Week, 105),
            ("2020-01-15..2026-06-30", Unit::Month, 78),
            ("1990-05-05..2026-06-30", Unit::Year, 37),
            ("0001-01-01..2026-12-31", Unit::Decade, 120),
        ] {
            let (found, stretches) = Unit::divide(days(text));
            assert_eq!((found, stretches.len()), (unit, count), "{text}");
            assert_eq!(stretches[0].first, days(text).first);
            for pair in stretches.windows(2) {
                assert_eq!(pair[0].last.succ_opt(), Some(pair[1].first), "{text}");
            }
            if unit != Unit::Decade {
                assert_eq!(stretches.last().unwrap().last, days(text).last);
            }
        }
    }

    #[test]
    fn what_is_shown_is_what_was_asked_for_or_found() {
        let now = days("2026-06-10").range(Zone::UTC).from.unwrap();
        let found = Some(days("2026-02-03..2026-03-04"));
        for (from, to, matches, due) in [
            (None, None, found, Some("2026-02-03..2026-03-04")),
            (None, None, None, None),
            (Some("2026-01-01"), None, found, Some("2026-01-01..2026-03-04")),
            (Some("2026-01-01"), None, None, Some("2026-01-01..2026-06-10")),
            (None, Some("2026-05-01"), found, Some("2026-02-03..2026-04-30")),
            (Some("0001-01-01"), Some("9999-01-01"), None, Some("1970-01-02..2026-06-10")),
            (Some("2027-01-01"), None, None, None),
        ] {
            let at = |day: Option<&str>| day.and_then(|day| days(day).range(Zone::UTC).from);
            let shown = shown(TimeRange { from: at(from), to: at(to) }, matches, now, Zone::UTC);
            assert_eq!(shown.map(|days| days.to_string()).as_deref(), due, "{from:?} {to:?}");
        }
    }
}
