use chrono::{NaiveDate, NaiveDateTime, NaiveTime, Offset as _, TimeZone as _};

use super::{MessageTs, UtcTime};

/// A half-open stretch of time: `from` belongs to it, `to` does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TimeRange {
    /// First moment; `None`: from the beginning.
    pub from: Option<UtcTime>,
    /// First moment after; `None`: without end.
    pub to: Option<UtcTime>,
}

/// The zone in which days begin and times are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Zone(chrono_tz::Tz);

impl Zone {
    /// Coordinated Universal Time.
    pub const UTC: Self = Self(chrono_tz::UTC);

    /// An IANA name such as `Europe/Prague`.
    pub fn parse(name: &str) -> Option<Self> {
        name.parse().ok().map(Self)
    }

    /// The IANA name.
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// Which release of the zones' database all of them are from, such as `2025b`.
    pub fn database() -> &'static str {
        chrono_tz::IANA_TZDB_VERSION
    }

    /// The first moment of `date` in this zone. Where a clock change removes midnight, the first
    /// moment that exists; where it repeats, the earlier.
    pub fn start_of_day(self, date: NaiveDate) -> UtcTime {
        self.local(date.and_time(NaiveTime::MIN))
    }

    /// The moment at which clocks in this zone show `clock`. Where a clock change removes it, the next
    /// quarter of an hour that exists; where it repeats, the earlier.
    pub fn local(self, clock: NaiveDateTime) -> UtcTime {
        let quarters = (0..24 * 60).step_by(15).map(chrono::TimeDelta::minutes);
        let mut candidates = quarters.filter_map(|later| clock.checked_add_signed(later));
        let found = candidates.find_map(|clock| self.0.from_local_datetime(&clock).earliest());
        found.map_or_else(|| clock.and_utc(), |found| found.to_utc())
    }

    /// The day that `time` falls on in this zone.
    pub fn date(self, time: UtcTime) -> NaiveDate {
        time.with_timezone(&self.0).date_naive()
    }

    /// `10:22:07`.
    pub fn clock_text(self, time: UtcTime) -> String {
        time.with_timezone(&self.0).format("%H:%M:%S").to_string()
    }

    /// `2026-03-04 10:22:07 +01:00`.
    pub fn full_text(self, time: UtcTime) -> String {
        time.with_timezone(&self.0).format("%Y-%m-%d %H:%M:%S %:z").to_string()
    }

    /// `+01:00`, as it is at `time`.
    pub fn offset_text(self, time: UtcTime) -> String {
        time.with_timezone(&self.0).offset().fix().to_string()
    }
}

/// A length of time as people write one: `90s`, `30m`, `2h`, `1d`; a bare number is seconds.
pub fn parse_duration(text: &str) -> Option<std::time::Duration> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..split].parse().ok()?;
    let seconds = match &text[split..] {
        "s" | "" => number,
        "m" => number.saturating_mul(60),
        "h" => number.saturating_mul(3600),
        "d" => number.saturating_mul(86400),
        _ => return None,
    };
    Some(std::time::Duration::from_secs(seconds))
}

/// `2026-03-04T09:22:07.123Z`.
pub fn rfc3339(time: UtcTime) -> String {
    time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

/// Days, and days with a time by the clock, as people write them and as the pages do.
const DATES: [&str; 2] = ["%Y-%m-%d", "%d %B %Y"];
const CLOCKS: [&str; 6] = [
    "%Y-%m-%d %H:%M",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%dT%H:%M:%S",
    "%d %B %Y %H:%M",
    "%d %B %Y %H:%M:%S",
];

/// A time as people give one: RFC 3339, a date (the start of that day in `zone`), a date and a time by the clock of
/// `zone`, or a message's time stamp.
pub fn parse_time(text: &str, zone: Zone) -> Option<UtcTime> {
    if let Ok(time) = chrono::DateTime::parse_from_rfc3339(text) {
        return Some(time.to_utc());
    }
    if let Some(date) = DATES.iter().find_map(|format| NaiveDate::parse_from_str(text, format).ok()) {
        return Some(zone.start_of_day(date));
    }
    if let Some(clock) = CLOCKS.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok()) {
        return Some(zone.local(clock));
    }
    MessageTs::parse(text).map(MessageTs::time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_starts_in_the_zone_of_the_asker() {
        let prague = Zone::parse("Europe/Prague").unwrap();
        assert_eq!(rfc3339(parse_time("2026-03-04", prague).unwrap()), "2026-03-03T23:00:00.000Z");
        assert_eq!(rfc3339(parse_time("2026-03-04", Zone::UTC).unwrap()), "2026-03-04T00:00:00.000Z");
    }

    #[test]
    fn a_time_is_read_as_people_and_pages_write_it() {
        let prague = Zone::parse("Europe/Prague").unwrap();
        for (text, time) in [
            ("2026-03-04 10:17", "2026-03-04T09:17:00.000Z"),
            ("2026-07-04T10:17:05", "2026-07-04T08:17:05.000Z"),
            ("4 March 2026 10:17", "2026-03-04T09:17:00.000Z"),
            ("4 March 2026", "2026-03-03T23:00:00.000Z"),
            ("2026-03-04T10:17:00Z", "2026-03-04T10:17:00.000Z"),
        ] {
            assert_eq!(parse_time(text, prague).map(rfc3339).as_deref(), Some(time), "{text}");
        }
        for text in ["", "yesterday", "2026-03-04 25:00", "2026-02-30", "31 June 2026", "10:17"] {
            assert_eq!(parse_time(text, prague), None, "{text}");
        }
    }

    #[test]
    fn a_day_without_midnight_starts_when_it_starts() {
        // Beirut moves its clocks forward at midnight, so 00:30 of that day does not exist.
        let beirut = Zone::parse("Asia/Beirut").unwrap();
        let start = beirut.start_of_day(NaiveDate::from_ymd_opt(2024, 3, 31).unwrap());
        assert_eq!(beirut.full_text(start), "2024-03-31 01:00:00 +03:00");
    }

    #[test]
    fn a_clock_that_shows_a_time_twice_means_the_first() {
        let prague = Zone::parse("Europe/Prague").unwrap();
        let local = |text: &str| prague.local(text.parse().unwrap());
        assert_eq!(rfc3339(local("2026-03-04T10:22:00")), "2026-03-04T09:22:00.000Z");
        assert_eq!(rfc3339(local("2026-10-25T02:30:00")), "2026-10-25T00:30:00.000Z");
        assert_eq!(prague.full_text(local("2026-03-29T02:20:00")), "2026-03-29 03:05:00 +02:00");
        assert_eq!(
            local("+262142-12-31T23:59:00"),
            "+262142-12-31T22:59:00".parse::<NaiveDateTime>().unwrap().and_utc()
        );
    }

    #[test]
    fn a_time_stamp_is_a_time() {
        let time = parse_time("1490004760.000165", Zone::UTC).unwrap();
        assert_eq!(time.timestamp(), 1_490_004_760);
        assert_eq!(parse_time("yesterday", Zone::UTC), None);
    }
}
