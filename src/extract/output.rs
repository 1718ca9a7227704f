//! What a format hands over, and the limits that hold for all of them.
//!
//! Runs inside the confined child. A format is one file with one function,
//! `pub(super) fn read(bytes: &[u8], out: &mut Output, depth: u32) -> Result<(), Trouble>`: it writes text as it
//! finds it, so that what was read before a fault is kept (status `partial`).

use std::io::Read;

use serde::{Deserialize, Serialize};

/// Between two parts of a text (entries, sheets, slides, headers). No file can write it: see [`Output::text`].
pub const PART: char = '\u{1d}';

/// Bytes that may be inflated before the ratio to the file's own size counts.
const RATIO_FROM: u64 = 1 << 20;
/// Inflated bytes for each byte of the file. Deflate reaches 1,032; documents stay well below 200.
const RATIO: u64 = 200;
/// Notes that are kept, and the bytes of each: they are for people.
const NOTES: usize = 40;
const NOTE_BYTES: usize = 300;
/// Bytes of all pictures that are handed over for recognition.
const PICTURE_BYTES: usize = 64 << 20;
const THUMBNAIL_BYTES: usize = 64 << 10;

/// Bounds on one extraction. Each is checked while bytes are made, never believed from a header.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of text; more is cut off and said (`is_truncated`).
    pub text_bytes: usize,
    /// Bytes that decompression may make, over all entries and depths.
    pub inflated_bytes: u64,
    /// Entries of containers, over all depths.
    pub entries: u32,
    /// Containers within containers.
    pub depth: u32,
    /// Pages of a document.
    pub pages: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { text_bytes: 50 << 20, inflated_bytes: 200 << 20, entries: 10_000, depth: 5, pages: 5_000 }
    }
}

/// Why reading ended before the end of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// A password is needed.
    Encrypted(String),
    /// Nothing here can read it.
    Unsupported(String),
    /// It is damaged, or not what it says it is.
    Damaged(String),
    /// A limit was reached: which.
    TooBig(String),
}

impl Trouble {
    /// What was wrong, for people.
    pub fn what(&self) -> &str {
        match self {
            Self::Encrypted(what) | Self::Unsupported(what) | Self::Damaged(what) | Self::TooBig(what) => what,
        }
    }
}

/// Where the text of a file is collected.
#[derive(Debug)]
pub struct Output {
    limits: Limits,
    source_bytes: Option<u64>,
    text: String,
    inflated: u64,
    entries: u32,
    pages: u32,
    notes: Vec<String>,
    charset: Option<String>,
    thumbnail: Option<Vec<u8>>,
    pictures: Vec<Vec<u8>>,
    is_truncated: bool,
    is_partial: bool,
}

impl Output {
    /// An empty one.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            source_bytes: None,
            text: String::new(),
            inflated: 0,
            entries: 0,
            pages: 0,
            notes: Vec::new(),
            charset: None,
            thumbnail: None,
            pictures: Vec::new(),
            is_truncated: false,
            is_partial: false,
        }
    }

    /// Tells the size of the outermost file, which the ratio of [`Output::inflate`] is held against.
    pub fn source_bytes(&mut self, bytes: u64) {
        self.source_bytes = Some(bytes);
    }

    /// Appends text. Line ends become `\n`; other control characters but the tab become spaces, so that no file
    /// can write the marks that stand between parts and tokens. What is past the limit is left out and said.
    pub fn text(&mut self, text: &str) {
        let mut letters = text.chars().peekable();
        while let Some(letter) = letters.next() {
            let letter = match letter {
                '\r' if letters.peek() == Some(&'\n') => continue,
                '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => '\n',
                '\n' | '\t' => letter,
                _ if letter.is_control() => ' ',
                _ => letter,
            };
            if !self.push(letter) {
                return;
            }
        }
    }

    fn push(&mut self, letter: char) -> bool {
        if self.is_truncated || self.text.len() + letter.len_utf8() > self.limits.text_bytes {
            self.is_truncated = true;
            return false;
        }
        self.text.push(letter);
        true
    }

    /// Ends the line, unless one was just ended or nothing was written.
    pub fn line_break(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with(['\n', PART]) {
            self.push('\n');
        }
    }

    /// Begins a new part (sheet, slide, entry, header): U+001D between parts, then the name on a line of its
    /// own when it has one.
    pub fn part(&mut self, name: &str) {
        if !self.text.is_empty() && !self.text.ends_with(PART) {
            self.push(PART);
        }
        if !name.is_empty() {
            self.text(name);
            self.line_break();
        }
    }

    /// Counts a page.
    pub fn page(&mut self) -> Result<(), Trouble> {
        if self.pages >= self.limits.pages {
            return Err(Trouble::TooBig(format!("it has more than {} pages", self.limits.pages)));
        }
        self.pages += 1;
        Ok(())
    }

    /// Counts a container's entry.
    pub fn entry(&mut self) -> Result<(), Trouble> {
        if self.entries >= self.limits.entries {
            return Err(Trouble::TooBig(format!("it has more than {} entries", self.limits.entries)));
        }
        self.entries += 1;
        Ok(())
    }

    /// Reads what inflates to its end, within the limits: on bytes over all entries and depths, and once past
    /// 1 MiB on their ratio to the file's size.
    pub fn inflate(&mut self, mut reader: impl Read) -> Result<Vec<u8>, Trouble> {
        let mut out = Vec::new();
        let mut chunk = [0; 16 << 10];
        loop {
            let read = match reader.read(&mut chunk) {
                Ok(0) => return Ok(out),
                Ok(read) => read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Trouble::Damaged(format!("can't inflate it: {error}"))),
            };
            self.inflated += read as u64;
            if self.inflated > self.limits.inflated_bytes {
                return Err(Trouble::TooBig(format!("it inflates to more than {} bytes", self.limits.inflated_bytes)));
            }
            let is_swelling = self.source_bytes.is_some_and(|bytes| self.inflated / RATIO > bytes);
            if self.inflated > RATIO_FROM && is_swelling {
                return Err(Trouble::TooBig(format!("it inflates to more than {RATIO} times its size")));
            }
            out.extend_from_slice(&chunk[..read]);
        }
    }

    /// The limits that hold.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Whether no more text is taken: a format may end early.
    pub fn is_full(&self) -> bool {
        self.is_truncated
    }

    /// Something a reader should know: a hidden sheet, deleted text. Each is kept once.
    pub fn note(&mut self, what: impl Into<String>) {
        let mut what = what.into();
        if what.len() > NOTE_BYTES {
            what.truncate(what.floor_char_boundary(NOTE_BYTES));
            what.push('…');
        }
        if self.notes.len() < NOTES && !self.notes.contains(&what) {
            self.notes.push(what);
        }
    }

    /// Something could not be read; the rest goes on.
    pub fn partial(&mut self, what: impl Into<String>) {
        self.is_partial = true;
        self.note(what);
    }

    /// The character set that the text was taken to be in; the first that is said stands.
    pub fn charset(&mut self, name: &str) {
        self.charset.get_or_insert_with(|| name.to_owned());
    }

    /// A small picture of the file, PNG or JPEG; one that is too large is left out.
    pub fn thumbnail(&mut self, bytes: Vec<u8>) {
        if bytes.len() <= THUMBNAIL_BYTES {
            self.thumbnail = Some(bytes);
        }
    }

    /// A picture whose text the parent may have recognised: PNG, JPEG or PNM. What is past the limit is left
    /// out and said.
    pub fn picture(&mut self, bytes: Vec<u8>) {
        if self.pictures.iter().map(Vec::len).sum::<usize>() + bytes.len() > PICTURE_BYTES {
            self.partial("there are more pictures than are looked at for text");
            return;
        }
        self.pictures.push(bytes);
    }

    /// The text as far as it was read.
    pub fn collected(&self) -> &str {
        &self.text
    }

    /// Takes it apart.
    pub(super) fn into_parts(self) -> Parts {
        Parts {
            text: self.text,
            notes: self.notes,
            charset: self.charset,
            thumbnail: self.thumbnail,
            pictures: self.pictures,
            pages: (self.pages > 0).then_some(self.pages),
            is_truncated: self.is_truncated,
            is_partial: self.is_partial,
        }
    }
}

/// What an [`Output`] holds at the end.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) text: String,
    pub(super) notes: Vec<String>,
    pub(super) charset: Option<String>,
    pub(super) thumbnail: Option<Vec<u8>>,
    pub(super) pictures: Vec<Vec<u8>>,
    pub(super) pages: Option<u32>,
    pub(super) is_truncated: bool,
    pub(super) is_partial: bool,
}

#[cfg(test)]
mod tests {
    use std::io::repeat;

    use super::*;

    fn small() -> Output {
        Output::new(Limits { text_bytes: 10, inflated_bytes: 3 << 20, entries: 2, depth: 1, pages: 1 })
    }

    #[test]
    fn text_holds_no_control_character_but_tab_and_line_feed() {
        for (written, expected) in [
            ("a\tb\nc", "a\tb\nc"),
            ("a\r\nb", "a\nb"),
            ("a\rb", "a\nb"),
            ("a\u{1d}\u{1e}\u{1f}b", "a   b"),
            ("a\u{0}b\u{9b}c", "a b c"),
            ("a\u{2028}b", "a\nb"),
        ] {
            let mut out = small();
            out.text(written);
            assert_eq!(out.collected(), expected, "{written:?}");
        }
    }

    #[test]
    fn text_ends_at_the_limit_and_says_so() {
        let mut out = small();
        out.text("123456789é and more");
        assert_eq!(out.collected(), "123456789");
        assert!(out.is_full());
        out.text("x");
        assert_eq!(out.collected(), "123456789", "nothing is written after a gap");
    }

    #[test]
    fn parts_have_a_mark_between_them() {
        let mut out = Output::new(Limits::default());
        out.part("one");
        out.text("a");
        out.line_break();
        out.line_break();
        out.part("");
        out.part("two");
        out.text("b");
        assert_eq!(out.collected(), "one\na\n\u{1d}two\nb");
    }

    #[test]
    fn what_inflates_is_bounded_in_bytes_and_ratio() {
        let mut out = small();
        assert_eq!(out.inflate(&b"abc"[..]).unwrap(), b"abc");
        assert!(matches!(out.inflate(repeat(0)), Err(Trouble::TooBig(what)) if what.contains("bytes")));
        let mut out = small();
        out.source_bytes(1000);
        assert!(matches!(out.inflate(repeat(0)), Err(Trouble::TooBig(what)) if what.contains("200 times")));
    }

    #[test]
    fn entries_and_pages_are_counted() {
        let mut out = small();
        assert!(out.page().is_ok() && out.page().is_err());
        assert!(out.entry().is_ok() && out.entry().is_ok() && out.entry().is_err());
    }

    #[test]
    fn notes_are_kept_once_and_short() {
        let mut out = small();
        out.note("a");
        out.note("a");
        out.partial("é".repeat(400));
        let parts = out.into_parts();
        assert_eq!(parts.notes.len(), 2);
        assert!(parts.notes[1].len() < 310 && parts.is_partial);
    }
}
