use std::fmt;

use super::UtcTime;

/// A message's time stamp, `seconds.fraction` with six digits after the point.
///
/// It is a key, not a number: the fraction is a 16-bit counter on `IceWarp` and microseconds in
/// a corpus (protocol notes 1.2), so it is never put through a float. Ordered by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageTs {
    seconds: u64,
    fraction: u32,
}

impl MessageTs {
    /// Below every message.
    pub const MIN: Self = Self { seconds: 0, fraction: 0 };
    /// Above every message: the bound that asks for the newest.
    pub const MAX: Self = Self { seconds: 9_999_999_999, fraction: 999_999 };

    /// Parses exactly the form that [`fmt::Display`] prints: up to ten digits, a point, six digits.
    pub fn parse(text: &str) -> Option<Self> {
        let (seconds, fraction) = text.split_once('.')?;
        let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        let canonical = seconds == "0" || !seconds.starts_with('0');
        if !digits(seconds) || !digits(fraction) || seconds.len() > 10 || fraction.len() != 6 || !canonical {
            return None;
        }
        Some(Self { seconds: seconds.parse().ok()?, fraction: fraction.parse().ok()? })
    }

    /// From microseconds since 1970 (the form the store keeps).
    pub fn from_micros(micros: i64) -> Self {
        let micros = u64::try_from(micros).unwrap_or(0);
        let fraction = u32::try_from(micros % 1_000_000).unwrap_or(0);
        Self { seconds: micros / 1_000_000, fraction }.min(Self::MAX)
    }

    /// As one integer, the fraction read as microseconds: keeps the order.
    pub fn micros(self) -> i64 {
        i64::try_from(self.seconds * 1_000_000 + u64::from(self.fraction)).unwrap_or(i64::MAX)
    }

    /// Whole seconds since 1970.
    pub fn seconds(self) -> i64 {
        i64::try_from(self.seconds).unwrap_or(i64::MAX)
    }

    /// The stamp `seconds` earlier, not below [`Self::MIN`].
    #[must_use]
    pub fn minus_seconds(self, seconds: u64) -> Self {
        if seconds > self.seconds {
            return Self::MIN;
        }
        Self { seconds: self.seconds - seconds, fraction: self.fraction }
    }

    /// The stamp just below, one step of the fraction down.
    #[must_use]
    pub fn before(self) -> Self {
        Self::from_micros(self.micros() - 1)
    }

    /// The moment it names, read as Unix time.
    pub fn time(self) -> UtcTime {
        chrono::DateTime::from_timestamp(self.seconds(), self.fraction * 1000).unwrap_or(chrono::DateTime::UNIX_EPOCH)
    }
}

impl fmt::Display for MessageTs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.seconds, self.fraction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_stamp_keeps_its_digits_and_its_order() {
        let ts = MessageTs::parse("1490004760.000165").unwrap();
        assert_eq!(ts.to_string(), "1490004760.000165");
        assert_eq!(MessageTs::from_micros(ts.micros()), ts);
        assert!(ts < MessageTs::parse("1490004760.000166").unwrap());
        assert_eq!(ts.before().to_string(), "1490004760.000164");
        assert_eq!(ts.minus_seconds(2_000_000_000), MessageTs::MIN);
    }

    #[test]
    fn other_spellings_are_refused_so_that_they_are_kept_as_unknown() {
        for odd in
            ["1490004760", "1490004760.165", "01490004760.000165", "x.000000", "1.0000000", ".000000", "-1.000000"]
        {
            assert_eq!(MessageTs::parse(odd), None, "{odd}");
        }
    }
}
