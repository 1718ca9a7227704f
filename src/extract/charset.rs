//! From bytes in any character set to text: byte-order mark, then UTF-8, then a guess, which is said.

use std::borrow::Cow;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

use super::output::Output;

/// Bytes that a guess looks at.
const GUESS_BYTES: usize = 1 << 20;
/// Bytes that are decoded at once: what is made of a large file is never there twice.
const CHUNK: usize = 64 << 10;

/// A character set, and how it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Charset {
    pub(super) encoding: &'static Encoding,
    pub(super) is_guess: bool,
}

/// Finds the character set of a text. `declared` is what the text says of itself.
pub(super) fn find(bytes: &[u8], declared: Option<&'static Encoding>) -> Charset {
    let sure = |encoding| Charset { encoding, is_guess: false };
    if let Some((encoding, _)) = Encoding::for_bom(bytes) {
        return sure(encoding);
    }
    if let Some(encoding) = wide(bytes) {
        return Charset { encoding, is_guess: true };
    }
    let has_escape = bytes.contains(&0x1b);
    match std::str::from_utf8(bytes) {
        Ok(_) if !has_escape => return sure(UTF_8),
        // A text that says it is something else, and can be UTF-8, is UTF-8: that is no accident.
        Ok(text) if !text.is_ascii() => return sure(UTF_8),
        _ => {}
    }
    if let Some(encoding) = declared {
        return sure(encoding);
    }
    // One broken byte does not make a text of another character set.
    let (mut sound, mut broken) = (0, 0);
    for chunk in bytes.utf8_chunks() {
        sound += chunk.valid().chars().filter(|letter| !letter.is_ascii()).count();
        broken += usize::from(!chunk.invalid().is_empty());
    }
    if broken > 0 && sound >= 20 * broken {
        return Charset { encoding: UTF_8, is_guess: true };
    }
    let sample = &bytes[..bytes.len().min(GUESS_BYTES)];
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    detector.feed(sample, sample.len() == bytes.len());
    let encoding = detector.guess(None, Utf8Detection::Deny);
    if bytes.is_ascii() && encoding == WINDOWS_1252 {
        return sure(UTF_8);
    }
    Charset { encoding, is_guess: true }
}

/// UTF-16 without a mark: every other byte is zero nearly always, as in a text of mostly Latin letters.
pub(super) fn wide(bytes: &[u8]) -> Option<&'static Encoding> {
    let sample = &bytes[..bytes.len().min(4_096) & !1];
    let pairs = sample.len() / 2;
    if pairs < 2 {
        return None;
    }
    let zeros = |first: usize| sample.iter().skip(first).step_by(2).filter(|byte| **byte == 0).count();
    let (even, odd) = (zeros(0), zeros(1));
    if odd * 10 >= pairs * 7 && even * 50 <= pairs {
        return Some(UTF_16LE);
    }
    (even * 10 >= pairs * 7 && odd * 50 <= pairs).then_some(UTF_16BE)
}

/// The beginning of a text, to tell what kind it is.
pub(super) fn decode_head(head: &[u8]) -> Cow<'_, str> {
    let encoding = Encoding::for_bom(head).map(|(encoding, _)| encoding).or_else(|| wide(head)).unwrap_or(UTF_8);
    encoding.decode(head).0
}

/// Says in which character set a text was taken to be.
pub(super) fn say(charset: Charset, out: &mut Output) {
    out.charset(charset.encoding.name());
    if charset.is_guess {
        out.note(format!("the character set was guessed: {}", charset.encoding.name()));
    }
}

/// Writes a text, chunk by chunk.
pub(super) fn write(bytes: &[u8], charset: Charset, out: &mut Output) {
    let mut decoder = charset.encoding.new_decoder_with_bom_removal();
    let chunks = bytes.len().div_ceil(CHUNK).max(1);
    for (number, chunk) in bytes.chunks(CHUNK).enumerate() {
        if out.is_full() {
            return;
        }
        let is_last = number + 1 == chunks;
        let room = decoder.max_utf8_buffer_length(chunk.len()).unwrap_or(chunk.len() * 3 + 16);
        let mut text = String::with_capacity(room);
        let _ = decoder.decode_to_string(chunk, &mut text, is_last);
        out.text(&text);
    }
}

/// The whole of a text that is known to be small or already in memory.
pub(super) fn decode(bytes: &[u8], encoding: &'static Encoding) -> String {
    encoding.decode(bytes).0.into_owned()
}

/// The character set of a Windows code page; those that nothing decodes are read as the usual Western one.
pub(super) fn code_page(number: u32) -> &'static Encoding {
    let label: &[u8] = match number {
        866 => b"ibm866",
        874 => b"windows-874",
        932 => b"shift_jis",
        936 => b"gbk",
        949 => b"euc-kr",
        950 => b"big5",
        1200 => b"utf-16le",
        1201 => b"utf-16be",
        1250 => b"windows-1250",
        1251 => b"windows-1251",
        1253 => b"windows-1253",
        1254 => b"windows-1254",
        1255 => b"windows-1255",
        1256 => b"windows-1256",
        1257 => b"windows-1257",
        1258 => b"windows-1258",
        10_000 => b"macintosh",
        10_007 => b"x-mac-cyrillic",
        20_866 => b"koi8-r",
        21_866 => b"koi8-u",
        28_592 => b"iso-8859-2",
        28_595 => b"iso-8859-5",
        28_597 => b"iso-8859-7",
        28_605 => b"iso-8859-15",
        50_220..=50_222 => b"iso-2022-jp",
        51_932 => b"euc-jp",
        54_936 => b"gb18030",
        65_001 => b"utf-8",
        _ => b"windows-1252",
    };
    Encoding::for_label(label).unwrap_or(WINDOWS_1252)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], name: &str, is_guess: bool) {
        let found = find(bytes, None);
        assert_eq!((found.encoding.name(), found.is_guess), (name, is_guess), "{:?}", String::from_utf8_lossy(bytes));
    }

    #[test]
    fn a_mark_then_utf8_then_a_guess() {
        check(b"plain", "UTF-8", false);
        check("žluťoučký kůň".as_bytes(), "UTF-8", false);
        check(b"\xef\xbb\xbfx", "UTF-8", false);
        check(b"\xff\xfea\0b\0", "UTF-16LE", false);
        check(b"a\0b\0c\0d\0", "UTF-16LE", true);
        check(b"\0a\0b\0c\0d", "UTF-16BE", true);
        check(b"", "UTF-8", false);
        let broken = format!("{}x", "příliš žluťoučký kůň úpěl ďábelské ódy ".repeat(5));
        let mut broken = broken.into_bytes();
        broken.push(0xff);
        check(&broken, "UTF-8", true);
        let russian = "Однажды, в студёную зимнюю пору, я из лесу вышел; был сильный мороз.";
        // KOI8-U is KOI8-R with letters where that has lines; the guess does not tell them apart.
        for name in ["windows-1251", "KOI8-U", "IBM866"] {
            let encoding = Encoding::for_label(name.as_bytes()).expect("a known name");
            let bytes = encoding.encode(&russian.replace('ё', "е")).0.into_owned();
            check(&bytes, name, true);
        }
        let japanese =
            Encoding::for_label(b"iso-2022-jp").expect("a known name").encode("日本語の文章です。").0.into_owned();
        check(&japanese, "ISO-2022-JP", true);
    }

    #[test]
    fn what_is_declared_stands_where_it_can_be_true() {
        let declared = Some(WINDOWS_1252);
        assert_eq!(find(b"caf\xe9", declared).encoding, WINDOWS_1252);
        assert_eq!(find("café".as_bytes(), declared).encoding, UTF_8);
    }
}
