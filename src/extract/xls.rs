//! Excel workbooks of 1993 to 2003: a stream of records, each with a number for its kind and a length.
//!
//! Cells are written row by row as the records come, so that nothing is laid out by ranges that the file claims;
//! notes, headers, links and text boxes are read on the way.

use std::collections::HashMap;
use std::path::Path;

use encoding_rs::Encoding;

use super::drawing;
use super::ole::{Ole, code_page, long, short, wide};
use super::output::{Output, Trouble};

const FORMULA: u16 = 0x0006;
const HEADER: u16 = 0x0014;
const FOOTER: u16 = 0x0015;
const NAME: u16 = 0x0018;
const NOTE: u16 = 0x001C;
const FILE_PASS: u16 = 0x002F;
const CONTINUE: u16 = 0x003C;
const CODE_PAGE: u16 = 0x0042;
const BOUND_SHEET: u16 = 0x0085;
const MULTIPLE_RK: u16 = 0x00BD;
const RICH_STRING: u16 = 0x00D6;
const SHARED_STRINGS: u16 = 0x00FC;
const LABEL_SHARED: u16 = 0x00FD;
const TEXT_OBJECT: u16 = 0x01B6;
const HYPERLINK: u16 = 0x01B8;
const NUMBER: u16 = 0x0203;
const LABEL: u16 = 0x0204;
const STRING: u16 = 0x0207;
const ROW: u16 = 0x0208;
const RK: u16 = 0x027E;
const BEGIN: u16 = 0x0809;
const SERIES_TEXT: u16 = 0x100D;

/// The version in [`BEGIN`] from which on text is Unicode.
const UNICODE_VERSION: u16 = 0x0600;

/// Reads a `.xls`.
pub(super) fn read_storage(ole: &mut Ole<'_>, storage: &Path, out: &mut Output) -> Result<(), Trouble> {
    let name = if ole.has(storage, "Workbook") { "Workbook" } else { "Book" };
    let bytes = ole.stream(storage, name, out).unwrap_or_default();
    let mut book = Book::new();
    let mut at = 0;
    while let (Some(kind), Some(length)) = (short(&bytes, at), short(&bytes, at + 2)) {
        if out.is_full() {
            break;
        }
        let start = at;
        let body = &bytes[at + 4..];
        at += 4 + usize::from(length);
        if body.len() < usize::from(length) {
            out.partial("the workbook ends in the middle of a record");
        }
        let body = &body[..body.len().min(usize::from(length))];
        // Long texts go on in records of their own.
        let mut more = Vec::new();
        if matches!(kind, SHARED_STRINGS | TEXT_OBJECT) {
            while short(&bytes, at) == Some(CONTINUE) {
                let Some(length) = short(&bytes, at + 2).map(usize::from) else { break };
                let rest = &bytes[at + 4..];
                more.push(&rest[..length.min(rest.len())]);
                at += 4 + length;
            }
        }
        book.record(kind, start, body, &more, out)?;
    }
    book.finish(out);
    Ok(())
}

struct Book {
    encoding: &'static Encoding,
    is_unicode: bool,
    /// Where each sheet begins, and what it is called.
    sheets: HashMap<usize, String>,
    strings: Vec<String>,
    /// The row of the cell before.
    row: Option<u16>,
    margins: Vec<String>,
    notes: Vec<String>,
    names: Vec<String>,
    links: Vec<String>,
}

impl Book {
    fn new() -> Self {
        Self {
            encoding: encoding_rs::WINDOWS_1252,
            is_unicode: true,
            sheets: HashMap::new(),
            strings: Vec::new(),
            row: None,
            margins: Vec::new(),
            notes: Vec::new(),
            names: Vec::new(),
            links: Vec::new(),
        }
    }

    fn record(
        &mut self,
        kind: u16,
        start: usize,
        body: &[u8],
        more: &[&[u8]],
        out: &mut Output,
    ) -> Result<(), Trouble> {
        match kind {
            BEGIN => {
                self.is_unicode = short(body, 0).is_some_and(|version| version >= UNICODE_VERSION);
                if let Some(name) = self.sheets.get(&start).cloned() {
                    self.end_sheet(out);
                    out.part(&name);
                }
                self.row = None;
            }
            FILE_PASS => return Err(Trouble::Encrypted("it is locked with a password".to_owned())),
            CODE_PAGE => self.encoding = code_page(short(body, 0).unwrap_or(1252)),
            BOUND_SHEET => {
                let name = self.text(body, 6, 1).unwrap_or_default();
                if body.get(4).is_some_and(|state| state & 3 != 0) {
                    out.note(format!("sheet {name} is hidden"));
                }
                self.sheets.insert(long(body, 0).unwrap_or(0) as usize, name);
            }
            SHARED_STRINGS => self.strings = shared_strings(body, more, out),
            LABEL_SHARED => {
                let number = long(body, 6).unwrap_or(0) as usize;
                match self.strings.get(number).cloned() {
                    Some(text) => self.cell(body, &text, out),
                    None => out.partial("a cell refers to a text that is not in the file"),
                }
            }
            LABEL | RICH_STRING => {
                if let Some(text) = self.text(body, 6, 2) {
                    self.cell(body, &text, out);
                }
            }
            // The cached text of the formula before it.
            STRING => {
                if let Some(text) = self.text(body, 0, 2) {
                    out.text(&text);
                }
            }
            NUMBER => {
                if let Some(number) = float(body, 6) {
                    self.cell(body, &number.to_string(), out);
                }
            }
            RK => {
                if let Some(packed) = long(body, 6) {
                    self.cell(body, &unpack(packed).to_string(), out);
                }
            }
            MULTIPLE_RK => {
                let count = body.len().saturating_sub(6) / 6;
                for packed in (0..count).filter_map(|place| long(body, 4 + place * 6 + 2)) {
                    self.cell(body, &unpack(packed).to_string(), out);
                }
            }
            FORMULA => match body.get(12..14) {
                // The result is a text, a truth value or an error.
                Some([0xFF, 0xFF]) => self.cell(body, "", out),
                Some(_) | None => {
                    if let Some(number) = float(body, 6) {
                        self.cell(body, &number.to_string(), out);
                    }
                }
            },
            ROW if short(body, 12).is_some_and(|flags| flags & 0x20 != 0) => out.note("it has hidden rows"),
            HEADER | FOOTER => {
                let text = if self.is_unicode { self.text(body, 0, 2) } else { self.text(body, 0, 1) };
                self.margins.extend(text.map(|text| super::xlsx::without_codes(&text)));
            }
            NAME => self.names.extend(self.defined_name(body)),
            NOTE => self.notes.extend(self.note(body)),
            TEXT_OBJECT => self.notes.extend(text_object(body, more)),
            HYPERLINK => self.links.extend(link(body)),
            SERIES_TEXT => {
                if let Some(text) = self.text(body, 2, 1) {
                    out.line_break();
                    out.text(&text);
                    out.line_break();
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Writes a cell; the first two bytes of its record are its row.
    fn cell(&mut self, body: &[u8], text: &str, out: &mut Output) {
        let row = short(body, 0);
        if self.row == row {
            out.text("\t");
        } else {
            out.line_break();
            self.row = row;
        }
        out.text(text);
    }

    /// A text with its length before it, in one byte or two.
    fn text(&self, body: &[u8], at: usize, length_bytes: usize) -> Option<String> {
        let length = match length_bytes {
            1 => usize::from(*body.get(at)?),
            _ => usize::from(short(body, at)?),
        };
        let rest = body.get(at + length_bytes..)?;
        Some(if self.is_unicode { letters(rest, length) } else { self.narrow(&rest[..length.min(rest.len())]) })
    }

    fn narrow(&self, bytes: &[u8]) -> String {
        self.encoding.decode(bytes).0.into_owned()
    }

    fn defined_name(&self, body: &[u8]) -> Option<String> {
        let is_built_in = short(body, 0)? & 0x20 != 0;
        let length = usize::from(*body.get(3)?);
        let rest = body.get(14..)?;
        let name = if self.is_unicode { letters(rest, length) } else { self.narrow(&rest[..length.min(rest.len())]) };
        (!is_built_in && !name.is_empty()).then_some(name)
    }

    /// Of Excel 95 and before, a note's text; later, its author.
    fn note(&self, body: &[u8]) -> Option<String> {
        if self.is_unicode {
            return self.text(body, 8, 2).filter(|author| !author.is_empty());
        }
        let rest = body.get(6..)?;
        Some(self.narrow(rest))
    }

    /// What belongs to the sheet that ends.
    fn end_sheet(&mut self, out: &mut Output) {
        out.line_break();
        for (title, lines) in [
            ("headers and footers", &mut self.margins),
            ("comments and text boxes", &mut self.notes),
            ("links", &mut self.links),
        ] {
            lines.retain(|line| !line.trim().is_empty());
            drawing::lines(title, lines, out);
            lines.clear();
        }
    }

    fn finish(mut self, out: &mut Output) {
        self.end_sheet(out);
        drawing::lines("defined names", &self.names, out);
    }
}

/// Letters behind a byte that tells whether each has one byte or two.
fn letters(bytes: &[u8], length: usize) -> String {
    let Some((flags, rest)) = bytes.split_first() else { return String::new() };
    if flags & 1 == 0 {
        rest[..length.min(rest.len())].iter().map(|byte| char::from(*byte)).collect()
    } else {
        wide(&rest[..(length * 2).min(rest.len())])
    }
}

fn float(body: &[u8], at: usize) -> Option<f64> {
    let bytes = body.get(at..at + 8)?;
    Some(f64::from_le_bytes(bytes.try_into().ok()?))
}

/// A number in four bytes: a whole one or the upper half of a floating one, perhaps a hundred times too large.
fn unpack(packed: u32) -> f64 {
    let number = if packed & 2 == 0 {
        f64::from_bits(u64::from(packed & !3) << 32)
    } else {
        f64::from(packed.cast_signed() >> 2)
    };
    if packed & 1 == 0 { number } else { number / 100.0 }
}

/// The text of a note or a text box, in the first record that goes on.
fn text_object(body: &[u8], more: &[&[u8]]) -> Option<String> {
    let mut left = usize::from(short(body, 10)?);
    let mut text = String::new();
    for part in more {
        if left == 0 {
            break;
        }
        let part_text = letters(part, left);
        left = left.saturating_sub(part_text.encode_utf16().count());
        text.push_str(&part_text);
    }
    Some(text)
}

/// The address of a link: whichever of its texts looks like one.
fn link(body: &[u8]) -> Option<String> {
    let marks = ["http", "mailto:", "ftp", "file:"];
    let text = wide(body.get(24..)?);
    let shifted = wide(body.get(25..)?);
    [text, shifted].into_iter().find_map(|text| {
        let start = marks.iter().filter_map(|mark| text.find(mark)).min()?;
        Some(text[start..].split('\0').next().unwrap_or_default().to_owned())
    })
}

/// Reads bytes that go on from record to record.
struct Segments<'a> {
    parts: Vec<&'a [u8]>,
    part: usize,
    at: usize,
}

impl Segments<'_> {
    /// Goes to the next record when this one is used up; whether there is one.
    fn settle(&mut self) -> bool {
        while self.parts.get(self.part).is_some_and(|part| self.at >= part.len()) {
            self.part += 1;
            self.at = 0;
        }
        self.part < self.parts.len()
    }

    fn byte(&mut self) -> Option<u8> {
        if !self.settle() {
            return None;
        }
        let byte = self.parts[self.part][self.at];
        self.at += 1;
        Some(byte)
    }

    fn short(&mut self) -> Option<u16> {
        Some(u16::from_le_bytes([self.byte()?, self.byte()?]))
    }

    fn long(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes([self.byte()?, self.byte()?, self.byte()?, self.byte()?]))
    }

    fn skip(&mut self, mut count: usize) {
        while count > 0 && self.settle() {
            let here = count.min(self.parts[self.part].len() - self.at);
            self.at += here;
            count -= here;
        }
    }

    /// A text; `None` where the records end before it does.
    fn text(&mut self) -> Option<String> {
        let length = usize::from(self.short()?);
        let flags = self.byte()?;
        let runs = if flags & 8 == 0 { 0 } else { usize::from(self.short()?) };
        let extra = if flags & 4 == 0 { 0 } else { self.long()? as usize };
        let mut is_wide = flags & 1 != 0;
        let mut units: Vec<u16> = Vec::new();
        while units.len() < length {
            let used_up = self.parts.get(self.part).is_some_and(|part| self.at >= part.len());
            if used_up {
                // Letters that go on in the next record begin with what each takes there.
                is_wide = self.byte()? & 1 != 0;
            }
            units.push(if is_wide { self.short()? } else { u16::from(self.byte()?) });
        }
        self.skip(runs.saturating_mul(4).saturating_add(extra));
        Some(String::from_utf16_lossy(&units))
    }
}

fn shared_strings(body: &[u8], more: &[&[u8]], out: &mut Output) -> Vec<String> {
    let mut parts = vec![body];
    parts.extend(more);
    let mut segments = Segments { parts, part: 0, at: 4 };
    let count = segments.long().unwrap_or(0) as usize;
    let mut strings = Vec::new();
    while strings.len() < count {
        let Some(text) = segments.text() else {
            out.partial("the shared texts end early");
            break;
        };
        strings.push(text);
    }
    strings
}

#[cfg(test)]
mod tests {
    use super::super::ole::read;
    use super::super::ole::tests::{compound, wide_bytes};
    use super::super::output::Limits;
    use super::super::package::tests::{found, survives};
    use super::*;

    fn record(kind: u16, body: &[u8]) -> Vec<u8> {
        let mut bytes = kind.to_le_bytes().to_vec();
        bytes.extend(u16::try_from(body.len()).unwrap().to_le_bytes());
        bytes.extend(body);
        bytes
    }

    /// A cell's place, its look, and what it holds.
    fn cell(kind: u16, row: u8, value: &[u8]) -> Vec<u8> {
        record(kind, &[&[row, 0, 0, 0, 0, 0], value].concat())
    }

    fn narrow(text: &str) -> Vec<u8> {
        let mut bytes = u16::try_from(text.len()).unwrap().to_le_bytes().to_vec();
        bytes.push(0);
        bytes.extend(text.as_bytes());
        bytes
    }

    fn begin(version: u16) -> Vec<u8> {
        record(BEGIN, &[version.to_le_bytes(), [5, 0]].concat())
    }

    fn workbook() -> Vec<u8> {
        // Text that goes on in the next record, first narrow, then wide.
        let mut strings = vec![2, 0, 0, 0, 2, 0, 0, 0];
        strings.extend(narrow("plain"));
        strings.extend([8, 0, 0]);
        strings.extend(b"narr");
        let mut more = vec![1];
        more.extend(wide_bytes("ěščř"));
        let head = [begin(0x600), record(SHARED_STRINGS, &strings), record(CONTINUE, &more)].concat();
        let sheet_record = 4 + 8 + 4;
        let place = u32::try_from(head.len() + sheet_record).unwrap();
        let mut sheet = place.to_le_bytes().to_vec();
        sheet.extend([1, 0, 4, 0]);
        sheet.extend(b"Plan");
        let mut noted = vec![0; 18];
        noted[10] = 4;
        [
            head,
            record(BOUND_SHEET, &sheet),
            begin(0x600),
            record(HEADER, &narrow("&CSecret")),
            cell(LABEL_SHARED, 0, &[0, 0, 0, 0]),
            cell(NUMBER, 0, &12.5_f64.to_le_bytes()),
            cell(LABEL_SHARED, 1, &[1, 0, 0, 0]),
            cell(RK, 1, &((1234_u32 << 2) | 3).to_le_bytes()),
            cell(FORMULA, 1, &[0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0]),
            record(STRING, &narrow("cached")),
            record(TEXT_OBJECT, &noted),
            record(CONTINUE, b"\0note"),
        ]
        .concat()
    }

    #[test]
    fn sheets_are_written_row_by_row() {
        let (text, notes) = found(read, &compound(&[("Workbook", &workbook())]));
        assert_eq!(
            text,
            "Plan/plain\t12.5/narrěščř\t12.34\tcached|headers and footers/Secret|comments and text boxes/note"
        );
        assert_eq!(notes, ["sheet Plan is hidden"]);
    }

    #[test]
    fn before_1997_text_is_in_a_code_page() {
        let book = [
            begin(0x500),
            record(CODE_PAGE, &1250_u16.to_le_bytes()),
            cell(LABEL, 0, b"\x05\0m\xECsto"),
            record(NOTE, b"\0\0\0\0\x04\0why?"),
        ]
        .concat();
        let (text, _) = found(read, &compound(&[("Book", &book)]));
        assert_eq!(text, "město|comments and text boxes/why?");
    }

    #[test]
    fn packed_numbers() {
        for (packed, expected) in [
            ((7 << 2) | 2, 7.0),
            ((1234 << 2) | 3, 12.34),
            (0x3FF0_0000, 1.0),
            (0x3FF0_0001, 0.01),
            ((-5_i32 << 2).cast_unsigned() | 2, -5.0),
        ] {
            assert!((unpack(packed) - expected).abs() < 1e-9, "{packed:x}");
        }
    }

    #[test]
    fn a_locked_workbook_says_so() {
        let bytes = compound(&[("Workbook", &[begin(0x600), record(FILE_PASS, &[1, 0])].concat())]);
        let mut out = Output::new(Limits::default());
        assert!(matches!(read(&bytes, &mut out, 0), Err(Trouble::Encrypted(_))));
    }

    #[test]
    fn a_count_of_texts_is_not_believed() {
        let book = [begin(0x600), record(SHARED_STRINGS, &[0xFF; 8]), cell(LABEL_SHARED, 0, &[9, 0, 0, 0])].concat();
        let (_, notes) = found(read, &compound(&[("Workbook", &book)]));
        assert_eq!(notes, ["the shared texts end early", "a cell refers to a text that is not in the file"]);
    }

    #[test]
    fn damage_never_ends_the_reading_of_what_is_there() {
        survives(read, &compound(&[("Workbook", &workbook())]));
    }
}
