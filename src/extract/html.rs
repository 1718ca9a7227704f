//! Web pages and the bodies of mails: what is seen, then what is not (titles, descriptions, addresses of links,
//! comments) as a part of its own, so that no phrase is cut in two by it.

use std::convert::Infallible;

use encoding_rs::Encoding;
use html5gum::emitters::callback::{CallbackEmitter, CallbackEvent};
use html5gum::{Span, Tokenizer};

use super::charset;
use super::output::{Output, Trouble};

/// Bytes in which a page may say its character set.
const DECLARED_WITHIN: usize = 4_096;

/// Reads a page.
#[expect(clippy::unnecessary_wraps, reason = "every format has this signature")]
pub(super) fn read(bytes: &[u8], out: &mut Output, _: u32) -> Result<(), Trouble> {
    let found = charset::find(bytes, declared(bytes));
    charset::say(found, out);
    write(&charset::decode(bytes, found.encoding), out);
    Ok(())
}

/// The character set that a `meta` element names.
fn declared(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(DECLARED_WITHIN)]).to_ascii_lowercase();
    let (_, rest) = head.split_once("charset")?;
    let rest = rest.trim_start().strip_prefix('=')?.trim_start().trim_start_matches(['"', '\'']);
    let label: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_:.".contains(*c)).collect();
    // A page whose declaration could be read byte by byte is in no wide set, whatever it says.
    Encoding::for_label(label.as_bytes()).map(Encoding::output_encoding)
}

/// Writes what a page holds.
pub(super) fn write(page: &str, out: &mut Output) {
    let mut hidden = Hidden { text: String::new(), limit: out.limits().text_bytes };
    let mut state = State::default();
    let mut emitter = CallbackEmitter::new(|event: CallbackEvent<'_>, _: Span<()>| -> Option<Infallible> {
        state.take(&event, out, &mut hidden);
        None
    });
    // Scripts, styles and titles are no markup inside.
    emitter.naively_switch_states(true);
    Tokenizer::new_with_emitter(page, emitter).for_each(drop);
    if !hidden.text.is_empty() {
        out.part("");
        out.text(&hidden.text);
        out.line_break();
    }
}

/// What is not seen, collected until the end.
struct Hidden {
    text: String,
    limit: usize,
}

impl Hidden {
    fn line(&mut self, text: &str) {
        let text = text.trim();
        if !text.is_empty() && self.text.len() + text.len() < self.limit {
            self.text.push_str(text);
            self.text.push('\n');
        }
    }
}

#[derive(Default)]
struct State {
    tag: String,
    attribute: String,
    /// The element whose text is no text: script or style.
    skipping: Option<String>,
    /// Inside how many elements that keep their line ends.
    preserved: usize,
    /// White space was seen and nothing after it.
    has_gap: bool,
    /// Something stands on this line.
    has_text: bool,
}

impl State {
    fn take(&mut self, event: &CallbackEvent<'_>, out: &mut Output, hidden: &mut Hidden) {
        match event {
            CallbackEvent::OpenStartTag { name } => {
                self.tag = String::from_utf8_lossy(name).into_owned();
                self.open(out);
            }
            CallbackEvent::AttributeName { name } => self.attribute = String::from_utf8_lossy(name).into_owned(),
            CallbackEvent::AttributeValue { value } => self.attribute(&String::from_utf8_lossy(value), hidden),
            CallbackEvent::EndTag { name } => {
                let name = String::from_utf8_lossy(name);
                if self.skipping.as_deref() == Some(&*name) {
                    self.skipping = None;
                }
                if matches!(&*name, "pre" | "textarea") {
                    self.preserved = self.preserved.saturating_sub(1);
                }
                if matches!(&*name, "td" | "th") {
                    out.text("\t");
                    self.has_gap = false;
                } else if is_block(&name) {
                    self.line(out);
                }
            }
            CallbackEvent::String { value } if self.skipping.is_none() => {
                self.text(&String::from_utf8_lossy(value), out);
            }
            CallbackEvent::Comment { value } => hidden.line(&String::from_utf8_lossy(value)),
            CallbackEvent::CloseStartTag { .. }
            | CallbackEvent::String { .. }
            | CallbackEvent::Doctype { .. }
            | CallbackEvent::Error(_) => {}
        }
    }

    fn open(&mut self, out: &mut Output) {
        match self.tag.as_str() {
            "script" | "style" => self.skipping = Some(self.tag.clone()),
            "pre" | "textarea" => {
                self.preserved += 1;
                self.line(out);
            }
            "br" => {
                out.text("\n");
                (self.has_gap, self.has_text) = (false, false);
            }
            tag if is_block(tag) => self.line(out),
            _ => {}
        }
    }

    fn attribute(&mut self, value: &str, hidden: &mut Hidden) {
        let is_kept = match self.attribute.as_str() {
            "alt" | "title" | "placeholder" | "aria-label" | "summary" | "label" => true,
            "content" => self.tag == "meta",
            "value" => matches!(self.tag.as_str(), "input" | "button" | "option"),
            "href" => {
                let value = value.trim_start().to_ascii_lowercase();
                self.tag == "a" && ["http:", "https:", "mailto:", "ftp:", "tel:"].iter().any(|s| value.starts_with(s))
            }
            _ => false,
        };
        if is_kept {
            hidden.line(value);
        }
    }

    fn text(&mut self, text: &str, out: &mut Output) {
        if self.preserved > 0 {
            out.text(text);
            self.has_text = true;
            return;
        }
        if text.starts_with(char::is_whitespace) {
            self.has_gap = true;
        }
        for word in text.split_ascii_whitespace() {
            if self.has_gap && self.has_text {
                out.text(" ");
            }
            out.text(word);
            (self.has_gap, self.has_text) = (true, true);
        }
        if !text.trim_ascii().is_empty() {
            self.has_gap = text.ends_with(|letter: char| letter.is_ascii_whitespace());
        }
    }

    fn line(&mut self, out: &mut Output) {
        out.line_break();
        (self.has_gap, self.has_text) = (false, false);
    }
}

/// Elements that begin a line.
fn is_block(tag: &str) -> bool {
    matches!(
        tag,
        "address"
            | "article"
            | "aside"
            | "blockquote"
            | "body"
            | "caption"
            | "dd"
            | "details"
            | "dialog"
            | "div"
            | "dl"
            | "dt"
            | "fieldset"
            | "figcaption"
            | "figure"
            | "footer"
            | "form"
            | "h1"
            | "h2"
            | "h3"
            | "h4"
            | "h5"
            | "h6"
            | "head"
            | "header"
            | "hr"
            | "html"
            | "legend"
            | "li"
            | "main"
            | "nav"
            | "ol"
            | "optgroup"
            | "option"
            | "p"
            | "pre"
            | "section"
            | "select"
            | "summary"
            | "table"
            | "tbody"
            | "textarea"
            | "tfoot"
            | "thead"
            | "title"
            | "tr"
            | "ul"
    )
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::super::formats::tests::read_all;

    #[test]
    fn what_is_seen_stands_before_what_is_not() {
        for (page, expected) in [
            ("<html><p>a  b\n c</p><p>d</p>", "a b c\nd\n"),
            ("<html>a<b>b</b>c <i>d</i> e", "abc d e"),
            ("<html>a<b> b</b>", "a b"),
            ("<html>a<br>b", "a\nb"),
            ("<html><table><tr><td>a</td><td>b</td></tr><tr><td>c</table>", "a\tb\t\nc\n"),
            ("<html>a &amp; b &eacute; &#x17e; &nope;", "a & b é ž &nope;"),
            ("<html><script>var a = '<p>no</p>'</script>b<style>p{}</style>", "b"),
            ("<html><title>T</title><body>x", "T\nx"),
            ("<html><pre>a\n  b</pre>c", "a\n  b\nc"),
            ("<html>a<!-- secret -->b", "ab\u{1d}secret\n"),
            ("<html>see <a href='https://x.cz/y'>it</a> <img alt='cat'>.", "see it .\u{1d}https://x.cz/y\ncat\n"),
            ("<html><a href='javascript:x()'>it</a>", "it"),
            ("<html><meta name=keywords content='k, l'>x", "x\u{1d}k, l\n"),
            ("<html><p", ""),
        ] {
            let (status, text, _) = read_all("a.html", page.as_bytes());
            assert_eq!((status, text.as_str()), (Status::Ok, expected), "{page}");
        }
    }

    #[test]
    fn a_page_is_read_in_the_character_set_that_it_declares() {
        for (page, expected) in [
            (&b"<html><meta charset=windows-1250><p>\x9e"[..], "ž\n"),
            (
                b"<html><meta http-equiv=x content='text/html; charset=iso-8859-2'><p>\xb9",
                "š\u{1d}text/html; charset=iso-8859-2\n",
            ),
            ("<html><meta charset=iso-8859-1><p>ž".as_bytes(), "ž\n"),
            (b"<html><meta charset=utf-16><p>z", "z\n"),
        ] {
            assert_eq!(read_all("a.html", page).1.trim_end_matches('\n'), expected.trim_end_matches('\n'));
        }
    }
}
