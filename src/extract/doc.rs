//! Word documents of 1997 to 2003, and those of Word 6 and 95 as far as they go.
//!
//! The text is not in one stretch: a table of pieces says where each run of it is and how its letters are kept.
//! Places of letters count through the subdocuments one after the other: body, footnotes, headers, notes. What
//! tracked changes deleted stands among the rest, and is kept.

use std::path::Path;

use super::drawing;
use super::ole::{Ole, code_page, long, short, wide};
use super::output::{Output, Trouble};

const WORD_97: u16 = 0xA5EC;
const WORD_95: u16 = 0xA5DC;

/// The subdocuments of Word 97 in their order, and where the header says how many letters each has.
const STORIES_97: [(&str, usize); 8] = [
    ("", 76),
    ("footnotes", 80),
    ("headers and footers", 84),
    ("macros", 88),
    ("comments", 92),
    ("endnotes", 96),
    ("text boxes", 100),
    ("text boxes of headers", 104),
];
/// The same of Word 6 and 95.
const STORIES_95: [(&str, usize); 8] = [
    ("", 0x34),
    ("footnotes", 0x38),
    ("headers and footers", 0x3C),
    ("macros", 0x40),
    ("comments", 0x44),
    ("endnotes", 0x48),
    ("text boxes", 0x4C),
    ("text boxes of headers", 0x50),
];

/// Reads a `.doc`.
pub(super) fn read_storage(ole: &mut Ole<'_>, storage: &Path, out: &mut Output) -> Result<(), Trouble> {
    let main = ole.stream(storage, "WordDocument", out).unwrap_or_default();
    let kind = short(&main, 0).unwrap_or(0);
    let flags = short(&main, 0x0A).unwrap_or(0);
    if flags & 0x0100 != 0 {
        return Err(Trouble::Encrypted("it is locked with a password".to_owned()));
    }
    match kind {
        WORD_97 => {
            let name = if flags & 0x0200 != 0 { "1Table" } else { "0Table" };
            let table = ole.stream(storage, name, out).unwrap_or_default();
            let pieces = section(&table, &main, 0x1A2).map(|complex| pieces(complex, true)).unwrap_or_default();
            word_97(&main, &pieces, out);
            people(&table, &main, out);
            Ok(())
        }
        WORD_95 => {
            word_95(&main, flags, out);
            Ok(())
        }
        _ => Err(Trouble::Unsupported("a document of Word 2 or before".to_owned())),
    }
}

/// The stretch of `table` whose start and length stand in `main` at a place.
fn section<'a>(table: &'a [u8], main: &[u8], at: usize) -> Option<&'a [u8]> {
    let (start, length) = (long(main, at)? as usize, long(main, at + 4)? as usize);
    let rest = table.get(start..)?;
    (length > 0).then(|| &rest[..length.min(rest.len())])
}

/// A run of letters in the main stream.
struct Piece {
    letters: usize,
    start: usize,
    is_wide: bool,
}

/// The table of pieces. Counts are taken from its length, and places are held against each other.
fn pieces(complex: &[u8], may_be_wide: bool) -> Vec<Piece> {
    let mut at = 0;
    // Runs of properties stand before it.
    while complex.get(at) == Some(&1) {
        let Some(length) = short(complex, at + 1) else { return Vec::new() };
        at += 3 + usize::from(length);
    }
    if complex.get(at) != Some(&2) {
        return Vec::new();
    }
    let Some(table) = complex.get(at + 5..) else { return Vec::new() };
    let length = long(complex, at + 1).map_or(0, |length| length as usize).min(table.len());
    let table = &table[..length];
    let count = length.saturating_sub(4) / 12;
    let mut pieces = Vec::new();
    for place in 0..count {
        let descriptor = (count + 1) * 4 + place * 8;
        let (Some(from), Some(to), Some(code)) =
            (long(table, place * 4), long(table, place * 4 + 4), long(table, descriptor + 2))
        else {
            break;
        };
        let letters = to.saturating_sub(from) as usize;
        let (start, is_wide) = if !may_be_wide {
            (code as usize, false)
        } else if code & 0x4000_0000 != 0 {
            ((code & 0x3FFF_FFFF) as usize / 2, false)
        } else {
            ((code & 0x3FFF_FFFF) as usize, true)
        };
        pieces.push(Piece { letters, start, is_wide });
    }
    pieces
}

fn word_97(main: &[u8], pieces: &[Piece], out: &mut Output) {
    let mut writer = Writer::new(main, &STORIES_97);
    if pieces.is_empty() {
        out.partial("its table of pieces can't be read: the text is taken as one stretch");
        let (start, end) = (long(main, 0x18).unwrap_or(0) as usize, long(main, 0x1C).unwrap_or(0) as usize);
        if let Some(bytes) = main.get(start..end.min(main.len())) {
            let is_wide = bytes.iter().skip(1).step_by(2).filter(|byte| **byte == 0).count() * 3 > bytes.len();
            let text = if is_wide { wide(bytes) } else { encoding_rs::WINDOWS_1252.decode(bytes).0.into_owned() };
            writer.write(&text, out);
        }
    }
    let mut held = 0;
    for piece in pieces {
        let bytes = piece.letters.saturating_mul(if piece.is_wide { 2 } else { 1 });
        let rest = main.get(piece.start..).unwrap_or_default();
        if rest.len() < bytes {
            out.partial("a piece of the text is not in the file");
        }
        let bytes = &rest[..bytes.min(rest.len())];
        // Pieces may lie over each other in a hostile file: together they are not more than a few times the whole.
        held += bytes.len();
        if held > main.len().saturating_mul(4) {
            out.partial("its table of pieces names the same text again and again");
            break;
        }
        if piece.is_wide {
            writer.write(&wide(bytes), out);
        } else {
            writer.write(&encoding_rs::WINDOWS_1252.decode(bytes).0, out);
        }
    }
    writer.finish(out);
}

fn word_95(main: &[u8], flags: u16, out: &mut Output) {
    // The language that Word ran in tells the code page best; fonts would tell it run by run.
    let page = match short(main, 6).unwrap_or(0) & 0x3FF {
        0x01 => 1256,
        0x02 | 0x19 | 0x22 | 0x23 | 0x2F => 1251,
        0x05 | 0x0E | 0x15 | 0x18 | 0x1A | 0x1B | 0x1C | 0x24 => 1250,
        0x08 => 1253,
        0x0D => 1255,
        0x11 => 932,
        0x12 => 949,
        0x1E => 874,
        0x1F => 1254,
        0x25..=0x27 => 1257,
        _ => 1252,
    };
    let encoding = code_page(page);
    out.note(format!("a document of Word 6 or 95, taken to be in {}", encoding.name()));
    let mut writer = Writer::new(main, &STORIES_95);
    let complex = if flags & 4 == 0 { None } else { section(main, main, 0x160) };
    match complex.map(|complex| pieces(complex, false)) {
        Some(pieces) if !pieces.is_empty() => {
            for piece in pieces {
                let rest = main.get(piece.start..).unwrap_or_default();
                writer.write(&encoding.decode(&rest[..piece.letters.min(rest.len())]).0, out);
            }
        }
        _ => {
            let (start, end) = (long(main, 0x18).unwrap_or(0) as usize, long(main, 0x1C).unwrap_or(0) as usize);
            match main.get(start..end.min(main.len())) {
                Some(bytes) => writer.write(&encoding.decode(bytes).0, out),
                None => out.partial("its text is not in the file"),
            }
        }
    }
    writer.finish(out);
}

/// The names of those who changed or commented, which stand in a table of their own.
fn people(table: &[u8], main: &[u8], out: &mut Output) {
    let mut names: Vec<String> = Vec::new();
    // Authors of comments: each name with its length before it.
    if let Some(owners) = section(table, main, 0x1BA) {
        let mut at = 0;
        while let Some(length) = short(owners, at) {
            at += 2;
            let Some(name) = owners.get(at..at + usize::from(length) * 2) else { break };
            at += name.len();
            let name = wide(name);
            if !name.is_empty() && names.len() < MAX_PEOPLE && !names.contains(&name) {
                names.push(name);
            }
        }
    }
    drawing::lines("authors of comments", &names, out);
}

/// Cuts the run of letters into its subdocuments, and takes out the marks among them.
struct Writer {
    stories: Vec<(&'static str, u32)>,
    at: usize,
    left: u32,
    /// For each open field, whether its code is still being told.
    fields: Vec<bool>,
    code: String,
    codes: Vec<String>,
    is_after_cell: bool,
}

/// Authors that are told apart.
const MAX_PEOPLE: usize = 1_000;
/// Fields within fields.
const MAX_FIELDS: usize = 100;
/// Codes of fields that are kept, which are for links.
const MAX_CODES: usize = 10_000;

impl Writer {
    fn new(main: &[u8], stories: &[(&'static str, usize)]) -> Self {
        let stories: Vec<_> = stories.iter().map(|(name, at)| (*name, long(main, *at).unwrap_or(0))).collect();
        let left = stories[0].1;
        Self { stories, at: 0, left, fields: Vec::new(), code: String::new(), codes: Vec::new(), is_after_cell: false }
    }

    fn write(&mut self, text: &str, out: &mut Output) {
        for letter in text.chars() {
            if out.is_full() {
                return;
            }
            while self.left == 0 && self.at + 1 < self.stories.len() {
                self.at += 1;
                self.left = self.stories[self.at].1;
                self.fields.clear();
                if self.left > 0 {
                    out.part(self.stories[self.at].0);
                }
            }
            // Places count halves of wide letters.
            self.left = self.left.saturating_sub(if letter.len_utf16() == 2 { 2 } else { 1 });
            self.letter(letter, out);
        }
    }

    fn letter(&mut self, letter: char, out: &mut Output) {
        // A row ends with the mark of a cell of its own.
        let ends_row = letter == '\u{7}' && self.is_after_cell;
        self.is_after_cell = letter == '\u{7}';
        let written = match letter {
            '\u{13}' if self.fields.len() < MAX_FIELDS => {
                self.end_code();
                self.fields.push(true);
                return;
            }
            '\u{14}' => {
                if let Some(is_code) = self.fields.last_mut() {
                    *is_code = false;
                }
                self.end_code();
                return;
            }
            '\u{15}' => {
                self.fields.pop();
                self.end_code();
                return;
            }
            '\r' | '\u{B}' | '\u{C}' | '\u{E}' => '\n',
            '\u{7}' if ends_row => '\n',
            '\u{7}' => '\t',
            '\u{1E}' => '-',
            '\t' | '\n' => letter,
            // Marks of pictures, notes and hyphens that are not seen.
            _ if u32::from(letter) < 0x20 => return,
            _ => letter,
        };
        if self.fields.contains(&true) {
            self.code.push(written);
        } else {
            out.text(written.encode_utf8(&mut [0; 4]));
        }
    }

    fn end_code(&mut self) {
        let code = std::mem::take(&mut self.code);
        let is_told = ["HYPERLINK", "INCLUDE", "DDE", "LINK", "XE", "TC", "QUOTE", "ASK", "FILLIN", "SET", "COMMENTS"]
            .iter()
            .any(|name| code.trim_start().starts_with(name));
        if is_told && self.codes.len() < MAX_CODES {
            self.codes.push(code.trim().to_owned());
        }
    }

    fn finish(self, out: &mut Output) {
        out.line_break();
        drawing::lines("links and fields", &self.codes, out);
    }
}

#[cfg(test)]
mod tests {
    use super::super::ole::read;
    use super::super::ole::tests::{compound, wide_bytes};
    use super::super::output::Limits;
    use super::super::package::tests::{found, survives};
    use super::*;

    const TEXT_START: usize = 0x400;

    fn put(bytes: &mut [u8], at: usize, number: usize) {
        bytes[at..at + 4].copy_from_slice(&u32::try_from(number).unwrap().to_le_bytes());
    }

    /// A document of a narrow piece and a wide one, with the letters of each of its subdocuments counted.
    fn document(narrow: &[u8], wide: &str, stories: &[(usize, usize)]) -> Vec<u8> {
        let mut main = vec![0; TEXT_START];
        main[..2].copy_from_slice(&WORD_97.to_le_bytes());
        for (at, letters) in stories {
            put(&mut main, *at, *letters);
        }
        main.extend(narrow);
        let wide_start = main.len();
        main.extend(wide_bytes(wide));
        let wide_letters = wide.encode_utf16().count();

        let mut pieces = vec![0; 28];
        put(&mut pieces, 4, narrow.len());
        put(&mut pieces, 8, narrow.len() + wide_letters);
        put(&mut pieces, 14, (TEXT_START * 2) | 0x4000_0000);
        put(&mut pieces, 22, wide_start);
        // A run of properties stands before the table of pieces.
        let mut table = vec![1, 2, 0, 9, 9, 2, 28, 0, 0, 0];
        table.extend(pieces);
        put(&mut main, 0x1A2, 0);
        put(&mut main, 0x1A6, table.len());
        compound(&[("WordDocument", &main), ("0Table", &table)])
    }

    #[test]
    fn pieces_of_both_kinds_are_one_text() {
        for (narrow, wide, stories, expected) in [
            (&b"Dear \x93all\x94\r"[..], "příliš 漢字\r", &[(76, 21)][..], "Dear “all”/příliš 漢字"),
            (b"body\r", "foot\rhead\r", &[(76, 5), (80, 5), (84, 5)], "body|footnotes/foot|headers and footers/head"),
            (b"a\x07b\x07\x07c\x07", "d\x1Ee\x1F", &[(76, 20)], "a\tb\t/c\td-e"),
            (b"see \x13 HYPERLINK \"x\" \x14here\x15!", "", &[(76, 30)], "see here!|links and fields/HYPERLINK \"x\""),
            (
                b"page \x13 PAGE \x147\x15",
                "\x13 IF \x13 ASK q \x15\x14yes\x15",
                &[(76, 60)],
                "page 7yes|links and fields/ASK q",
            ),
        ] {
            let (text, notes) = found(read, &document(narrow, wide, stories));
            assert_eq!(text, expected);
            assert!(notes.is_empty(), "{notes:?}");
        }
    }

    #[test]
    fn a_locked_document_says_so() {
        let mut main = vec![0; 100];
        main[..2].copy_from_slice(&WORD_97.to_le_bytes());
        main[0x0B] = 1;
        let bytes = compound(&[("WordDocument", &main)]);
        let mut out = Output::new(Limits::default());
        assert!(matches!(read(&bytes, &mut out, 0), Err(Trouble::Encrypted(_))));
    }

    #[test]
    fn without_a_table_of_pieces_the_text_is_one_stretch() {
        let mut main = vec![0; TEXT_START];
        main[..2].copy_from_slice(&WORD_97.to_le_bytes());
        main.extend(b"still here\r");
        let end = main.len();
        put(&mut main, 0x18, TEXT_START);
        put(&mut main, 0x1C, end);
        let (text, notes) = found(read, &compound(&[("WordDocument", &main)]));
        assert_eq!(text, "still here");
        assert_eq!(notes.len(), 1);
    }

    #[test]
    fn word_95_is_read_in_the_code_page_of_its_language() {
        let mut main = vec![0; TEXT_START];
        main[..2].copy_from_slice(&WORD_95.to_le_bytes());
        main[6..8].copy_from_slice(&0x0405_u16.to_le_bytes());
        main.extend(b"m\xECsto\r");
        let end = main.len();
        put(&mut main, 0x18, TEXT_START);
        put(&mut main, 0x1C, end);
        put(&mut main, 0x34, 6);
        let (text, notes) = found(read, &compound(&[("WordDocument", &main)]));
        assert_eq!(text, "město");
        assert_eq!(notes, ["a document of Word 6 or 95, taken to be in windows-1250"]);
    }

    #[test]
    fn a_document_within_is_read() {
        let mut main = vec![0; TEXT_START];
        main[..2].copy_from_slice(&WORD_95.to_le_bytes());
        main.extend(b"outer");
        put(&mut main, 0x18, TEXT_START);
        put(&mut main, 0x1C, TEXT_START + 5);
        put(&mut main, 0x34, 5);
        let show = [0, 0, 0xBA, 0x0F, 4, 0, 0, 0, b'h', 0, b'i', 0];
        let bytes = compound(&[("WordDocument", &main), ("ObjectPool/_1/PowerPoint Document", &show)]);
        let (text, _) = found(read, &bytes);
        assert!(text.starts_with("outer") && text.ends_with("hi"), "{text}");
    }

    #[test]
    fn damage_never_ends_the_reading_of_what_is_there() {
        survives(read, &document(b"body\r", "foot\rhead\r", &[(76, 5), (80, 5), (84, 5)]));
    }
}
