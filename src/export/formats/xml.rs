//! Text of a chat as XML: what XML 1.0 can't hold is replaced, what is not seen is shown as its number, and both
//! are counted.

use std::collections::BTreeSet;

use crate::export::Error;
use crate::export::facts;
use crate::export::markup;
use crate::export::names::Names;
use crate::export::out::Out;
use crate::export::unit::{Cell, Entry, Version};
use crate::model::UtcTime;

/// A piece of XML that is written, and what of its text stands there as something else.
#[derive(Debug, Default)]
pub(super) struct Xml {
    pub(super) text: String,
    replaced: u64,
    which: BTreeSet<char>,
}

/// Whether XML 1.0 can hold a character (section 2.2).
fn is_allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

impl Xml {
    /// Adds markup of ours as it is.
    pub(super) fn raw(&mut self, markup: &str) {
        self.text.push_str(markup);
    }

    /// Adds text, escaped for content and for attributes.
    pub(super) fn text(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '&' => self.text.push_str("&amp;"),
                '<' => self.text.push_str("&lt;"),
                '>' => self.text.push_str("&gt;"),
                '"' => self.text.push_str("&quot;"),
                // A parser would make a line break of it.
                '\r' => self.text.push_str("&#13;"),
                c if is_allowed(c) => self.text.push(c),
                c => {
                    self.replaced += 1;
                    self.which.insert(c);
                    self.text.push('\u{fffd}');
                }
            }
        }
    }

    /// Adds an attribute.
    pub(super) fn attribute(&mut self, name: &str, value: &str) {
        self.raw(&format!(" {name}=\""));
        // A parser would make a blank of a line break or a tab (section 3.3.3).
        let parts: Vec<&str> = value.split('\n').collect();
        for (n, part) in parts.iter().enumerate() {
            if n > 0 {
                self.raw("&#10;");
            }
            for (n, part) in part.split('\t').enumerate() {
                if n > 0 {
                    self.raw("&#9;");
                }
                self.text(part);
            }
        }
        self.raw("\"");
    }

    /// Adds an element with nothing but text in it, on a line of its own.
    pub(super) fn element(&mut self, indent: &str, name: &str, text: &str) {
        self.raw(&format!("{indent}<{name}>"));
        self.text(text);
        self.raw(&format!("</{name}>\n"));
    }

    /// A text of the chat in plain words.
    pub(super) fn plain(&mut self, text: &str, names: &Names, time: UtcTime) -> String {
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            // A line end of two characters is a line end.
            if markup::is_hidden(c) && !(c == '\r' && chars.peek() == Some(&'\n')) {
                self.replaced += 1;
                self.which.insert(c);
            }
        }
        markup::plain(&markup::pieces(text, names, time))
    }

    /// What a message says: its text, and below it the cards that it carries, in plain words.
    pub(super) fn said(&mut self, version: &Version, names: &Names, time: UtcTime) -> String {
        let mut lines = facts::cards(version);
        lines.insert(0, version.text().to_owned());
        let mut lines: Vec<String> = lines.iter().map(|line| self.plain(line, names, time)).collect();
        lines.retain(|line| !line.is_empty());
        lines.join("\n")
    }

    /// Lists what was replaced in a record since this was last asked for.
    pub(super) fn remark(&mut self, cell: &Cell, version: &Version, out: &mut Out<'_>) -> Result<(), Error> {
        self.remark_in("", cell, version, out)
    }

    /// Lists what was replaced in something that belongs to no record alone: with the first record of the entries
    /// that it stands above.
    pub(super) fn remark_above(&mut self, place: &str, entries: &[Entry], out: &mut Out<'_>) -> Result<(), Error> {
        let Some(entry) = entries.first() else { return Ok(()) };
        let files = entry.files.iter().map(|family| &family.file);
        let first = entry.message.iter().chain(files).next().map(|subject| (&subject.cell, subject.latest()));
        let Some((cell, version)) = first.or_else(|| Some((&entry.cell, entry.pins.as_ref()?))) else { return Ok(()) };
        self.remark_in(place, cell, version, out)
    }

    fn remark_in(&mut self, place: &str, cell: &Cell, version: &Version, out: &mut Out<'_>) -> Result<(), Error> {
        let (replaced, which) = (std::mem::take(&mut self.replaced), std::mem::take(&mut self.which));
        if replaced == 0 {
            return Ok(());
        }
        let which: Vec<String> = which.iter().map(|c| format!("U+{:04X}", u32::from(*c))).collect();
        let what =
            format!("{replaced} characters{place} stand there as U+FFFD or as their number: {}", which.join(" "));
        out.remark("replaced", cell, version, &what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_xml_cannot_hold_is_replaced_and_counted() {
        let mut xml = Xml::default();
        xml.text("a<b> & \"c\"\r\u{0}\u{1b}\u{fffe}\u{1f600}");
        assert_eq!(xml.text, "a&lt;b&gt; &amp; &quot;c&quot;&#13;\u{fffd}\u{fffd}\u{fffd}\u{1f600}");
        assert_eq!((xml.replaced, xml.which.len()), (3, 3));
        let mut xml = Xml::default();
        xml.attribute("x", "a\nb\tc");
        assert_eq!(xml.text, " x=\"a&#10;b&#9;c\"");
    }

    #[test]
    fn what_is_not_seen_is_its_number_and_counted() {
        let mut xml = Xml::default();
        let plain = xml.plain("a\u{202e}b\r\n\u{0} &lt;<@ann|A&amp;B>", &Names::default(), UtcTime::UNIX_EPOCH);
        assert!(plain.starts_with("a[U+202E]b") && plain.contains("[U+0000] <@A"), "{plain:?}");
        assert_eq!((xml.replaced, xml.which.len()), (2, 2));
    }
}
