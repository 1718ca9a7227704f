//! Days, months and years as people say them.

use chrono::{Datelike as _, Days, Months, NaiveDate};

use super::Context;

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const WEEKDAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// A stretch of whole days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Period {
    /// Its first day.
    pub(super) first: NaiveDate,
    /// The day after its last.
    pub(super) next: NaiveDate,
}

/// The stretch that a text names, seen from the present: `2026-03-04`, `2026-03`, `2026`, `july`, `july
/// 2026`, `yesterday`, `monday` (the last before today), `last week`. A month without its year is the
/// last that has begun. Weeks begin on Monday.
pub(super) fn period(text: &str, context: &Context) -> Option<Period> {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return in_numbers(text);
    }
    let today = context.zone.date(context.now);
    let text = text.to_lowercase().replace(['-', '_'], " ");
    let words: Vec<&str> = text.split_whitespace().take(3).collect();
    match words[..] {
        ["today"] => day(today),
        ["yesterday"] => day(today.pred_opt()?),
        ["last", unit] => {
            let now = around(today, unit)?;
            around(now.first.pred_opt()?, unit)
        }
        ["this", unit] => around(today, unit),
        [name] => match (named(name, &WEEKDAYS), named(name, &MONTHS)) {
            (Some(weekday), _) => {
                let back = (today.weekday().num_days_from_monday() + 7 - weekday - 1) % 7 + 1;
                day(today.checked_sub_days(Days::new(u64::from(back)))?)
            }
            (_, Some(number)) => month(today.year() - i32::from(number + 1 > today.month()), number + 1),
            _ => None,
        },
        [name, year] => month(number(year, 4)?.try_into().ok()?, named(name, &MONTHS)? + 1),
        _ => None,
    }
}

/// Which of some names is meant by it or by its first three letters.
fn named(text: &str, names: &[&str]) -> Option<u32> {
    let at = names.iter().position(|name| *name == text || name[..3] == *text)?;
    u32::try_from(at).ok()
}

fn day(first: NaiveDate) -> Option<Period> {
    Some(Period { first, next: first.succ_opt()? })
}

fn month(year: i32, month: u32) -> Option<Period> {
    let first = NaiveDate::from_ymd_opt(year, month, 1)?;
    Some(Period { first, next: first.checked_add_months(Months::new(1))? })
}

fn year(year: i32) -> Option<Period> {
    Some(Period { first: NaiveDate::from_ymd_opt(year, 1, 1)?, next: NaiveDate::from_ymd_opt(year + 1, 1, 1)? })
}

/// The week, month or year that a day lies in.
fn around(date: NaiveDate, unit: &str) -> Option<Period> {
    match unit {
        "week" => {
            let first = date.checked_sub_days(Days::new(u64::from(date.weekday().num_days_from_monday())))?;
            Some(Period { first, next: first.checked_add_days(Days::new(7))? })
        }
        "month" => month(date.year(), date.month()),
        "year" => year(date.year()),
        _ => None,
    }
}

fn in_numbers(text: &str) -> Option<Period> {
    let parts: Vec<&str> = text.split('-').take(4).collect();
    let (year_text, rest) = parts.split_first()?;
    let year_number = i32::try_from(number(year_text, 4)?).ok()?;
    match rest {
        [] => year(year_number),
        [month_text] => month(year_number, number(month_text, 2)?),
        [month_text, day_text] => {
            day(NaiveDate::from_ymd_opt(year_number, number(month_text, 2)?, number(day_text, 2)?)?)
        }
        _ => None,
    }
}

/// A whole number of so many digits; fewer only where it is no year.
fn number(text: &str, digits: usize) -> Option<u32> {
    let is_long_enough = if digits == 4 { text.len() == 4 } else { (1..=digits).contains(&text.len()) };
    (is_long_enough && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Zone;

    fn check(text: &str, expected: Option<(&str, &str)>) {
        // A Wednesday; in Prague it is Thursday the 5th already.
        let now = chrono::DateTime::parse_from_rfc3339("2026-03-04T23:30:00Z").unwrap().to_utc();
        let context = Context { zone: Zone::parse("Europe/Prague").unwrap(), now };
        let found = period(text, &context).map(|period| (period.first.to_string(), period.next.to_string()));
        let found = found.as_ref().map(|(first, next)| (first.as_str(), next.as_str()));
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn days_months_and_years_are_read_from_the_askers_present() {
        check("2026-03-04", Some(("2026-03-04", "2026-03-05")));
        check("2026-3-4", Some(("2026-03-04", "2026-03-05")));
        check("2026-12", Some(("2026-12-01", "2027-01-01")));
        check("2024", Some(("2024-01-01", "2025-01-01")));
        check("today", Some(("2026-03-05", "2026-03-06")));
        check("Yesterday", Some(("2026-03-04", "2026-03-05")));
        check("last week", Some(("2026-02-23", "2026-03-02")));
        check("this week", Some(("2026-03-02", "2026-03-09")));
        check("last month", Some(("2026-02-01", "2026-03-01")));
        check("last-year", Some(("2025-01-01", "2026-01-01")));
    }

    #[test]
    fn a_weekday_is_the_last_one_before_today() {
        check("wednesday", Some(("2026-03-04", "2026-03-05")));
        check("thursday", Some(("2026-02-26", "2026-02-27")));
        check("fri", Some(("2026-02-27", "2026-02-28")));
        check("monday", Some(("2026-03-02", "2026-03-03")));
        check("sunday", Some(("2026-03-01", "2026-03-02")));
    }

    #[test]
    fn a_month_is_the_last_that_began_unless_its_year_is_said() {
        check("july", Some(("2025-07-01", "2025-08-01")));
        check("march", Some(("2026-03-01", "2026-04-01")));
        check("December", Some(("2025-12-01", "2026-01-01")));
        check("July 2026", Some(("2026-07-01", "2026-08-01")));
        check("2026 jul", None);
        check("jul 2024", Some(("2024-07-01", "2024-08-01")));
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "never",
            "2026-02-30",
            "2026-13",
            "26",
            "20260304",
            "2026-03-04-05",
            "2026-03-",
            "last",
            "last friday",
            "july 26",
            "july 2026 x",
            "+2026",
            "-2026",
            "99999",
            "2026-003",
            "٢٠٢٦",
            "1 2",
        ] {
            check(text, None);
        }
    }
}
