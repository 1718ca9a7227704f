//! Identifiers as `IceWarp` shapes them: time stamps, item ids, channel addresses.
//!
//! Pure functions; nothing here knows a workspace.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Datelike as _, Timelike as _};
use md5::{Digest as _, Md5};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What stays unescaped inside an identifier.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A message time stamp: seconds and a six-digit fraction, never a float.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ts {
    /// Unix seconds.
    pub seconds: i64,
    /// The digits after the point; a 16-bit counter where the server minted it.
    pub fraction: u32,
}

impl Ts {
    /// Reads `seconds` or `seconds.digits`; fewer than six digits are padded on the right.
    pub fn parse(text: &str) -> Option<Self> {
        let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
        let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if seconds.is_empty() || seconds.len() > 12 || fraction.len() > 6 || !is_digits(seconds) || !is_digits(fraction)
        {
            return None;
        }
        Some(Self { seconds: seconds.parse().ok()?, fraction: format!("{fraction:0<6}").parse().ok()? })
    }
}

impl fmt::Display for Ts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{:06}", self.seconds, self.fraction)
    }
}

/// Which clock the first eight digits of an item id carry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum IdClock {
    /// Unix seconds, as servers of 2018 do.
    #[default]
    Unix,
    /// MS-DOS date and time in the server's local time (Prague), as servers of 2017 do.
    Dos,
}

/// The item id that belongs to a time stamp: 8 hex digits of time, 4 of the counter.
pub fn item_id(ts: Ts, clock: IdClock) -> String {
    let time = match clock {
        IdClock::Unix => u32::try_from(ts.seconds).unwrap_or(u32::MAX),
        IdClock::Dos => dos_time(ts.seconds),
    };
    format!("{time:08x}{:04x}", ts.fraction & 0xffff)
}

fn dos_time(seconds: i64) -> u32 {
    let Some(utc) = DateTime::from_timestamp(seconds, 0) else {
        return 0;
    };
    let local = utc.with_timezone(&chrono_tz::Europe::Prague);
    let years = u32::try_from(local.year() - 1980).unwrap_or(0) & 0x7f;
    (years << 25)
        | (local.month() << 21)
        | (local.day() << 16)
        | (local.hour() << 11)
        | (local.minute() << 5)
        | (local.second() / 2)
}

/// Percent-encodes for a path segment or a query value.
pub fn encode(text: &str) -> String {
    utf8_percent_encode(text, UNRESERVED).to_string()
}

/// The id of a channel: the folder address of its group account, padded base64.
pub fn channel_id(owner: &str, folder: &str) -> String {
    STANDARD.encode(format!("{}&{}", encode(owner), encode(&format!("TeamChat\\{folder}"))))
}

/// The id of a direct conversation: `D` and twelve letters, the same for the same two people.
pub fn im_id(one: &str, other: &str) -> String {
    let (first, second) = if one < other { (one, other) } else { (other, one) };
    let digest = Md5::digest(format!("{first}\n{second}"));
    let letters = digest.iter().take(12).map(|byte| char::from(b'A' + byte % 26));
    std::iter::once('D').chain(letters).collect()
}

/// The form under which two spellings of an id are the same: no padding, standard alphabet.
pub fn canonical(id: &str) -> String {
    id.trim_end_matches('=')
        .chars()
        .map(|letter| match letter {
            // A form decoder turns an unescaped plus into a space.
            '-' | ' ' => '+',
            '_' => '/',
            other => other,
        })
        .collect()
}

/// An id as `chat.*` and `files.*` give it.
pub fn unpadded(id: &str) -> &str {
    id.trim_end_matches('=')
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string can't fail");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ts_and_item_id_share_the_counter() {
        let old = Ts::parse("1490004760.000165").unwrap();
        assert_eq!(item_id(old, IdClock::Dos), "4a74599400a5");
        let new = Ts::parse("1516195206.000463").unwrap();
        assert_eq!(item_id(new, IdClock::Unix), "5a5f4d8601cf");
        assert_eq!(new.to_string(), "1516195206.000463");
    }

    #[test]
    fn ts_refuses_what_is_no_number() {
        for text in ["", "x", "1.2.3", "-1", "1.1234567", "1e9", "NaN"] {
            assert_eq!(Ts::parse(text), None, "{text}");
        }
        assert_eq!(Ts::parse("1.5").map(|ts| ts.fraction), Some(500_000));
    }

    #[test]
    fn channel_ids_are_folder_addresses() {
        assert_eq!(
            channel_id("public-folders@t.com", "4a6a82180016"),
            "cHVibGljLWZvbGRlcnMlNDB0LmNvbSZUZWFtQ2hhdCU1QzRhNmE4MjE4MDAxNg=="
        );
    }
}
