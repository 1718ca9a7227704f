//! Rich text: what is written in it, headers, footnotes, comments and deleted text with it. Fonts, styles and
//! pictures are left out.

use std::collections::HashMap;

use encoding_rs::{Encoding, SHIFT_JIS, WINDOWS_1252};

use super::charset::code_page;
use super::output::{Output, Trouble};

/// Groups within groups. They are kept in a list and not on the stack: the limit is for memory.
const DEPTH: usize = 10_000;
/// Fonts that are remembered.
const FONTS: usize = 10_000;

/// Reads it.
pub(super) fn read(bytes: &[u8], out: &mut Output, _: u32) -> Result<(), Trouble> {
    let mut reader = Reader {
        bytes,
        at: 0,
        group: Group {
            encoding: WINDOWS_1252,
            unicode_skip: 1,
            is_skipped: false,
            is_html_shadow: false,
            place: Place::Text,
        },
        outer: Vec::new(),
        fonts: HashMap::new(),
        default_encoding: WINDOWS_1252,
        font: 0,
        pending: Vec::new(),
        high_surrogate: None,
        to_skip: 0,
        is_starred: false,
    };
    reader.read(out)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Text,
    FontTable,
}

#[derive(Clone, Copy)]
struct Group {
    encoding: &'static Encoding,
    unicode_skip: u32,
    is_skipped: bool,
    /// Inside what stands for HTML that is elsewhere (`\htmlrtf`).
    is_html_shadow: bool,
    place: Place,
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    group: Group,
    outer: Vec<Group>,
    fonts: HashMap<i32, &'static Encoding>,
    default_encoding: &'static Encoding,
    /// The font that the font table is at.
    font: i32,
    /// Bytes of a code page that wait for the rest of their letter.
    pending: Vec<u8>,
    high_surrogate: Option<u32>,
    /// Characters to pass over after a `\u`.
    to_skip: u32,
    /// The group's first word is preceded by `\*`: who does not know it passes over it.
    is_starred: bool,
}

impl Reader<'_> {
    fn read(&mut self, out: &mut Output) -> Result<(), Trouble> {
        while let Some(byte) = self.bytes.get(self.at).copied() {
            self.at += 1;
            if out.is_full() {
                return Ok(());
            }
            match byte {
                b'{' => {
                    self.flush(out);
                    if self.outer.len() >= DEPTH {
                        return Err(Trouble::Damaged(format!("its groups are more than {DEPTH} deep")));
                    }
                    self.outer.push(self.group);
                    self.to_skip = 0;
                }
                b'}' => {
                    self.flush(out);
                    self.to_skip = 0;
                    self.is_starred = false;
                    match self.outer.pop() {
                        Some(outer) => self.group = outer,
                        None => break,
                    }
                    if self.outer.is_empty() {
                        return Ok(());
                    }
                }
                b'\\' => self.control(out),
                b'\r' | b'\n' => {}
                byte => self.byte(byte, out),
            }
        }
        self.flush(out);
        out.partial("the rich text ends before its last group is closed");
        Ok(())
    }

    /// A byte of text in the code page that holds here.
    fn byte(&mut self, byte: u8, out: &mut Output) {
        if self.to_skip > 0 {
            self.to_skip -= 1;
            return;
        }
        if self.group.is_skipped || self.group.place == Place::FontTable {
            return;
        }
        if byte.is_ascii() && self.pending.is_empty() {
            let mut letter = [0; 4];
            self.write(char::from(byte).encode_utf8(&mut letter), out);
        } else {
            self.pending.push(byte);
            // Bounded, at a place where a letter is whole.
            if self.pending.len() >= 4_096 && byte.is_ascii() {
                self.flush(out);
            }
        }
    }

    fn flush(&mut self, out: &mut Output) {
        self.high_surrogate = None;
        if self.pending.is_empty() {
            return;
        }
        let text = self.group.encoding.decode_without_bom_handling(&self.pending).0.into_owned();
        self.pending.clear();
        self.write(&text, out);
    }

    fn write(&self, text: &str, out: &mut Output) {
        if !self.group.is_skipped && !self.group.is_html_shadow && self.group.place == Place::Text {
            out.text(text);
        }
    }

    fn control(&mut self, out: &mut Output) {
        let Some(first) = self.bytes.get(self.at).copied() else { return };
        if !first.is_ascii_alphabetic() {
            self.at += 1;
            self.symbol(first, out);
            return;
        }
        let rest = &self.bytes[self.at..];
        let length = rest.iter().take_while(|byte| byte.is_ascii_alphabetic()).count().min(32);
        let word = std::str::from_utf8(&rest[..length]).unwrap_or_default();
        self.at += length;
        let rest = &self.bytes[self.at..];
        let is_negative = rest.first() == Some(&b'-');
        let sign = usize::from(is_negative);
        let digits = rest[sign.min(rest.len())..].iter().take_while(|byte| byte.is_ascii_digit()).count().min(10);
        let number =
            std::str::from_utf8(&rest[sign.min(rest.len())..][..digits]).ok().and_then(|text| text.parse::<i64>().ok());
        let number = number.map(|number| if is_negative { -number } else { number });
        if number.is_some() {
            self.at += sign + digits;
        }
        if self.bytes.get(self.at) == Some(&b' ') {
            self.at += 1;
        }
        self.word(word, number.and_then(|number| i32::try_from(number).ok()), out);
    }

    fn symbol(&mut self, symbol: u8, out: &mut Output) {
        match symbol {
            b'\'' => {
                let digits = self.bytes.get(self.at..self.at + 2).and_then(|two| std::str::from_utf8(two).ok());
                if let Some(byte) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
                    self.at += 2;
                    if self.to_skip > 0 {
                        self.to_skip -= 1;
                    } else if !self.group.is_skipped && self.group.place == Place::Text {
                        self.pending.push(byte);
                    }
                }
            }
            b'*' => self.is_starred = true,
            b'\\' | b'{' | b'}' => self.byte(symbol, out),
            b'~' => self.say("\u{a0}", out),
            b'_' => self.say("-", out),
            b'\r' | b'\n' => self.say("\n", out),
            _ => {}
        }
    }

    /// Text of a control word.
    fn say(&mut self, text: &str, out: &mut Output) {
        if self.to_skip > 0 {
            self.to_skip -= 1;
            return;
        }
        self.flush(out);
        self.write(text, out);
    }

    fn word(&mut self, word: &str, number: Option<i32>, out: &mut Output) {
        let is_starred = std::mem::take(&mut self.is_starred);
        if word != "u" {
            self.flush(out);
        }
        match word {
            "u" => self.unicode(number.unwrap_or_default(), out),
            "uc" => self.group.unicode_skip = u32::try_from(number.unwrap_or(1)).unwrap_or(1).min(16),
            "bin" => self.at = self.at.saturating_add(usize::try_from(number.unwrap_or(0)).unwrap_or(0)),
            "ansicpg" => {
                let encoding = code_page(number.and_then(|number| u32::try_from(number).ok()).unwrap_or(1252));
                self.default_encoding = encoding;
                self.group.encoding = encoding;
                out.charset(encoding.name());
            }
            "mac" => self.default_to(10_000),
            "f" | "af" if self.group.place == Place::FontTable => self.font = number.unwrap_or(0),
            "f" => {
                let font = self.fonts.get(&number.unwrap_or(0));
                self.group.encoding = font.copied().unwrap_or(self.default_encoding);
            }
            "plain" => self.group.encoding = self.default_encoding,
            "fcharset" | "cpg" if self.group.place == Place::FontTable => {
                let encoding = match (word, number.unwrap_or(0)) {
                    ("cpg", page) => Some(code_page(u32::try_from(page).unwrap_or(1252))),
                    (_, set) => font_charset(set),
                };
                if let Some(encoding) = encoding.filter(|_| self.fonts.len() < FONTS) {
                    self.fonts.insert(self.font, encoding);
                }
            }
            "fonttbl" => self.group.place = Place::FontTable,
            "htmlrtf" => self.group.is_html_shadow = number != Some(0),
            "deleted" if number != Some(0) => self.note("it holds deleted text", out),
            "v" if number != Some(0) => self.note("it holds hidden text", out),
            "par" | "line" | "sect" | "page" | "softpage" | "column" | "row" | "nestrow" => self.say("\n", out),
            "tab" | "cell" | "nestcell" => self.say("\t", out),
            "emdash" => self.say("—", out),
            "endash" => self.say("–", out),
            "bullet" => self.say("•", out),
            "lquote" => self.say("‘", out),
            "rquote" => self.say("’", out),
            "ldblquote" => self.say("“", out),
            "rdblquote" => self.say("”", out),
            "emspace" | "enspace" | "qmspace" => self.say(" ", out),
            // Kept, each on lines of its own.
            "header" | "headerl" | "headerr" | "headerf" | "footer" | "footerl" | "footerr" | "footerf"
            | "footnote" | "annotation" | "shptxt" | "title" | "subject" | "author" | "keywords" | "doccomm"
            | "company" | "manager" | "category" | "comment"
                if !self.group.is_skipped =>
            {
                out.line_break();
            }
            "shpinst" | "atnid" | "atnauthor" | "fldinst" | "background" | "shppict" | "ud" => {}
            "colortbl" | "stylesheet" | "pict" | "objdata" | "objclass" | "generator" | "themedata" | "datastore"
            | "xmlnstbl" | "listtable" | "listoverridetable" | "rsidtbl" | "latentstyles" | "revtbl" | "filetbl"
            | "nonshppict" | "bkmkstart" | "bkmkend" | "blipuid" | "panose" | "colorschememapping" | "sn" | "sv"
            | "operator" | "template" => self.group.is_skipped = true,
            _ if is_starred => self.group.is_skipped = true,
            _ => {}
        }
    }

    fn note(&self, what: &str, out: &mut Output) {
        if !self.group.is_skipped {
            out.note(what);
        }
    }

    fn default_to(&mut self, page: u32) {
        self.default_encoding = code_page(page);
        self.group.encoding = self.default_encoding;
    }

    /// A UTF-16 unit as a signed number, and after it what older readers show instead.
    fn unicode(&mut self, number: i32, out: &mut Output) {
        let waiting = self.high_surrogate.take();
        self.flush(out);
        self.to_skip = self.group.unicode_skip;
        let unit = if number < 0 { number + 0x1_0000 } else { number };
        let Ok(unit) = u32::try_from(unit) else { return };
        let letter = match (waiting, unit) {
            (_, 0xd800..=0xdbff) => {
                self.high_surrogate = Some(unit);
                return;
            }
            (Some(high), 0xdc00..=0xdfff) => char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + (unit - 0xdc00)),
            // Symbol fonts place their letters in a private area, over ASCII.
            (_, 0xf020..=0xf07e) => char::from_u32(unit - 0xf000),
            _ => char::from_u32(unit),
        };
        let mut bytes = [0; 4];
        self.write(letter.unwrap_or(char::REPLACEMENT_CHARACTER).encode_utf8(&mut bytes), out);
    }
}

/// The character set of a font; `None` for the document's own.
fn font_charset(number: i32) -> Option<&'static Encoding> {
    let page = match number {
        0 => 1252,
        77 => 10_000,
        128 => return Some(SHIFT_JIS),
        129 => 949,
        134 => 936,
        136 => 950,
        161 => 1253,
        162 => 1254,
        163 => 1258,
        177 => 1255,
        178..=180 => 1256,
        186 => 1257,
        204 => 1251,
        222 => 874,
        238 => 1250,
        _ => return None,
    };
    Some(code_page(page))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Status;
    use super::super::formats::tests::read_all;

    fn check(rtf: &str, expected: &str) {
        let (status, text, notes) = read_all("a.rtf", rtf.as_bytes());
        assert_eq!((status, text.as_str()), (Status::Ok, expected), "{rtf} {notes:?}");
    }

    #[test]
    fn letters_are_read_in_their_code_page() {
        check(r"{\rtf1\ansi\ansicpg1250 \'9elu\'9dou\'e8k\'fd}", "žluťoučký");
        check(
            r"{\rtf1\ansi{\fonttbl{\f0\fcharset0 Arial;}{\f1\fcharset238 Arial CE;}}\f0 \'9e\f1 \'9e{\f0 \'e9}\'9e}",
            "žžéž",
        );
        check(r"{\rtf1\ansi{\fonttbl{\f3\fcharset128 Mincho;}}\f3 \'93\'fa\'96\'7b\'8c\'ea\'83A}", "日本語ア");
        check(r"{\rtf1\ansi \u382\'9e\u-10179?\u-8704? x}", "ž😀 x");
        check(r"{\rtf1\ansi\uc2 \u382zzx\uc0\u382 x}", "žxžx");
        check(r"{\rtf1\mac \'8e}", "é");
    }

    #[test]
    fn lines_tables_and_signs() {
        check("{\\rtf1 a\\par b\\tab c\\line\r\nd\\~e\\_f\\{\\\\\\}}", "a\nb\tc\nd\u{a0}e-f{\\}");
        check(r"{\rtf1 a\cell b\cell\row c}", "a\tb\t\nc");
        check(r"{\rtf1 \ldblquote a\rdblquote\emdash b}", "“a”—b");
    }

    #[test]
    fn what_is_not_seen_is_read_too_and_said() {
        check(
            r"{\rtf1{\info{\title T}{\author A}{\operator O}}{\header H}a{\footnote F}b}",
            "T\nA\nH\na\nFb".replace("H\na", "Ha").as_str(),
        );
        check(r"{\rtf1 a{\*\annotation C}}", "a\nC");
        let (_, text, notes) = read_all("a.rtf", br"{\rtf1 a{\deleted gone}{\v secret}{\v0 x}}");
        assert_eq!(text, "agonesecretx");
        assert_eq!(notes, ["it holds deleted text", "it holds hidden text"]);
    }

    #[test]
    fn what_is_no_text_is_left_out() {
        check(r"{\rtf1{\stylesheet{\s0 Normal;}}{\colortbl;\red0;}{\pict 0102}{\*\unknown x}a{\*\htmltag <b>}b}", "ab");
        check(r"{\rtf1\fromhtml1 a\htmlrtf\par\htmlrtf0 b}", "ab");
        check("{\\rtf1 a\\bin3 }}}b}", "ab");
    }

    #[test]
    fn a_cut_one_keeps_what_was_read() {
        let (status, text, _) = read_all("a.rtf", br"{\rtf1 a\par {b");
        assert_eq!((status, text.as_str()), (Status::Partial, "a\nb"));
        let (status, ..) = read_all("a.rtf", format!("{{\\rtf1 a{}", "{".repeat(1 << 20)).as_bytes());
        assert_eq!(status, Status::Partial);
    }

    proptest! {
        #[test]
        fn any_mix_of_its_pieces_is_read(parts in proptest::collection::vec(prop_oneof![
            Just("{"), Just("}"), Just("\\"), Just("\\u"), Just("\\u-"), Just("-1"), Just("99999999999"), Just("\\'"), Just("9e"),
            Just("\\bin"), Just("\\fonttbl"), Just("\\f"), Just("\\fcharset128"), Just("\\*"), Just("é"), Just("\\uc"), Just(" ")], 0..40)) {
            let (_, _, notes) = read_all("a.rtf", format!("{{\\rtf1{}", parts.concat()).as_bytes());
            prop_assert!(!notes.iter().any(|note| note.contains("failed on it")), "{:?}", notes);
        }
    }
}
