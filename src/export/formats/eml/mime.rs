//! Mail as RFC 5322 has it: header fields, encoded words (RFC 2047), parameters (RFC 2231), base64 in lines
//! of 76 (RFC 2045). Everything is ASCII, no line is longer than 998 bytes, lines end in CRLF.

use std::io::{Result, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

/// Longer lines of a header are folded, where there is a place to do so.
const COLUMNS: usize = 76;
/// A word that is longer is encoded, so that it can be folded.
const LONGEST_WORD: usize = 200;
/// Bytes of a line of base64: 76 columns.
const GROUP: usize = 57;
/// Bytes of text in one encoded word: 60 columns of base64, 72 with what is around them.
const WORD: usize = 45;

/// A header field whose value is text.
pub(super) fn field(name: &str, value: &str) -> String {
    let value: String = value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let words: Vec<String> = if is_plain(&value) && value.split(' ').all(|word| word.len() <= LONGEST_WORD) {
        value.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect()
    } else {
        encoded(&value, name.len())
    };
    folded(name, &words)
}

/// A header field with addresses: display name and address of each.
pub(super) fn addresses(name: &str, people: &[(String, String)]) -> String {
    let mut words = Vec::new();
    for (n, (display, address)) in people.iter().enumerate() {
        let display: String = display.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        if !display.is_empty() {
            if is_plain(&display) && display.len() <= LONGEST_WORD {
                // A quoted string is one word: its blanks are no place to fold.
                words.push(format!("\"{}\"", display.replace('\\', "\\\\").replace('"', "\\\"")));
            } else {
                words.extend(encoded(&display, if n == 0 { name.len() } else { 0 }));
            }
        }
        let comma = if n + 1 < people.len() { "," } else { "" };
        words.push(format!("<{address}>{comma}"));
    }
    folded(name, &words)
}

/// Words of a field on as few lines as they need.
pub(super) fn folded(name: &str, words: &[String]) -> String {
    let mut out = format!("{name}:");
    let mut column = out.len();
    for word in words {
        if column + 1 + word.len() > COLUMNS && column > name.len() + 1 {
            out.push_str("\r\n");
            column = 0;
        }
        out.push(' ');
        out.push_str(word);
        column += 1 + word.len();
    }
    out.push_str("\r\n");
    out
}

/// Whether a text can stand in a header as it is.
fn is_plain(text: &str) -> bool {
    text.chars().all(|c| matches!(c, ' '..='~')) && !text.contains("=?") && text.trim() == text && !text.contains("  ")
}

/// A text as encoded words, none of which cuts a character in two. The first stands after as many columns.
fn encoded(text: &str, columns: usize) -> Vec<String> {
    let mut out = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let room = if out.is_empty() { (COLUMNS - 14).saturating_sub(columns) / 4 * 3 } else { WORD };
        let mut end = rest.len().min(room.clamp(6, WORD));
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        out.push(format!("=?utf-8?B?{}?=", BASE64.encode(&rest[..end])));
        rest = &rest[end..];
    }
    out
}

/// A header field with a value and one parameter, whose text may be anything.
pub(super) fn with_parameter(field: &str, value: &str, parameter: &str, text: &str) -> String {
    if is_plain(text) && text.len() <= 60 && !text.contains(['"', '\\', '%', '\'']) {
        return format!("{field}: {value};\r\n {parameter}=\"{text}\"\r\n");
    }
    let mut pieces = vec![String::new()];
    for c in text.chars() {
        let mut buffer = [0; 4];
        let mut shown = String::new();
        for byte in c.encode_utf8(&mut buffer).bytes() {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_') {
                shown.push(char::from(byte));
            } else {
                shown.push_str(&format!("%{byte:02X}"));
            }
        }
        match pieces.last_mut() {
            Some(last) if last.len() + shown.len() <= 54 => last.push_str(&shown),
            _ => pieces.push(shown),
        }
    }
    let mut out = format!("{field}: {value}");
    let is_one = pieces.len() == 1;
    for (n, piece) in pieces.iter().enumerate() {
        let charset = if n == 0 { "UTF-8''" } else { "" };
        let number = if is_one { String::new() } else { format!("*{n}") };
        out.push_str(&format!(";\r\n {parameter}{number}*={charset}{piece}"));
    }
    out.push_str("\r\n");
    out
}

/// An address that a header can hold, if `text` is one: nothing that would have to be quoted.
pub(super) fn address(text: &str) -> Option<&str> {
    let (local, domain) = text.rsplit_once('@')?;
    let is_dotted = |part: &str, more: &str| {
        part.split('.')
            .all(|atom| !atom.is_empty() && atom.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c)))
    };
    (text.len() <= 254 && is_dotted(local, "!#$&'*+-/=?^_`{|}~") && is_dotted(domain, "-")).then_some(text)
}

/// Writes what it is given as base64 in lines of 76 columns; [`Lines::end`] writes the last.
pub(super) struct Lines<W: Write> {
    to: W,
    rest: Vec<u8>,
}

impl<W: Write> Lines<W> {
    pub(super) fn new(to: W) -> Self {
        Self { to, rest: Vec::with_capacity(GROUP) }
    }

    fn line(&mut self, bytes: &[u8]) -> Result<()> {
        let mut line = BASE64.encode(bytes);
        line.push_str("\r\n");
        self.to.write_all(line.as_bytes())
    }

    pub(super) fn add(&mut self, mut bytes: &[u8]) -> Result<()> {
        if !self.rest.is_empty() {
            let take = bytes.len().min(GROUP - self.rest.len());
            self.rest.extend_from_slice(&bytes[..take]);
            bytes = &bytes[take..];
            if self.rest.len() < GROUP {
                return Ok(());
            }
            let rest = std::mem::take(&mut self.rest);
            self.line(&rest)?;
        }
        let mut groups = bytes.chunks_exact(GROUP);
        for group in groups.by_ref() {
            self.line(group)?;
        }
        self.rest.extend_from_slice(groups.remainder());
        Ok(())
    }

    pub(super) fn end(mut self) -> Result<()> {
        let rest = std::mem::take(&mut self.rest);
        if rest.is_empty() { Ok(()) } else { self.line(&rest) }
    }
}

impl<W: Write> Write for Lines<W> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.add(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_ascii_and_short() {
        for text in
            ["plain", "ůřžš ".repeat(60).trim(), "a =?utf-8?B?x?= b", &"x".repeat(3000), "שלום\r\nBcc: x@y.example", ""]
        {
            let shown = field("Subject", text);
            assert!(shown.is_ascii() && shown.ends_with("\r\n"), "{shown:?}");
            assert!(shown.lines().all(|line| line.len() <= 78), "{shown:?}");
            assert!(shown.trim_end().split("\r\n").skip(1).all(|line| line.starts_with(' ')), "{shown:?}");
        }
        assert_eq!(field("Subject", "a b"), "Subject: a b\r\n");
    }

    #[test]
    fn names_of_people_stay_names() {
        let people = vec![
            ("O'Brien, \"Bob\" \\".to_owned(), "bob@a.example".to_owned()),
            ("Klára".to_owned(), "klara@a.example".to_owned()),
        ];
        assert_eq!(
            addresses("To", &people),
            "To: \"O'Brien, \\\"Bob\\\" \\\\\" <bob@a.example>, =?utf-8?B?S2zDoXJh?=\r\n <klara@a.example>\r\n"
        );
        assert_eq!(address("a.b+c@x.example"), Some("a.b+c@x.example"));
        for text in ["a", "a@", "@b", "a b@c", "a..b@c", "a@b\r\nBcc: c", "ů@x.example", "a@b>"] {
            assert_eq!(address(text), None, "{text:?}");
        }
    }

    #[test]
    fn parameters_hold_any_name() {
        assert_eq!(with_parameter("X", "a", "filename", "b c.txt"), "X: a;\r\n filename=\"b c.txt\"\r\n");
        assert_eq!(with_parameter("X", "a", "filename", "ů\"\r\n"), "X: a;\r\n filename*=UTF-8''%C5%AF%22%0D%0A\r\n");
        let long = with_parameter("X", "a", "filename", &"ů".repeat(100));
        assert!(long.contains("filename*0*=UTF-8''%C5") && long.contains("filename*1*=%C5"));
        assert!(long.lines().all(|line| line.len() <= 78), "{long}");
    }

    #[test]
    fn base64_comes_in_lines_however_it_is_written() {
        let bytes: Vec<u8> = (0..=255).cycle().take(1000).collect();
        let whole = BASE64.encode(&bytes);
        for step in [1, 7, 56, 57, 58, 1000] {
            let mut out = Vec::new();
            let mut lines = Lines::new(&mut out);
            bytes.chunks(step).for_each(|piece| lines.add(piece).unwrap());
            lines.end().unwrap();
            let text = String::from_utf8(out).unwrap();
            assert!(text.lines().all(|line| line.len() <= 76));
            assert_eq!(text.replace("\r\n", ""), whole, "{step}");
        }
    }
}
