//! XML of no known kind (feeds, drawings, exports): its text, then the values of its attributes and its comments.
//!
//! No entity is resolved but the five that every XML has, and none is fetched: a document type is passed over.

use encoding_rs::Encoding;

use super::charset;
use super::output::{Output, Trouble};

/// Reads it.
#[expect(clippy::unnecessary_wraps, reason = "every format has this signature")]
pub(super) fn read(bytes: &[u8], out: &mut Output, _: u32) -> Result<(), Trouble> {
    let found = charset::find(bytes, declared(bytes));
    charset::say(found, out);
    write(&charset::decode(bytes, found.encoding), out);
    Ok(())
}

fn declared(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = &bytes[..bytes.len().min(256)];
    let head = String::from_utf8_lossy(head);
    let (_, rest) = head.split_once("encoding")?;
    let rest = rest.trim_start().strip_prefix('=')?.trim_start().trim_start_matches(['"', '\'']);
    let label: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_:.".contains(*c)).collect();
    Encoding::for_label(label.as_bytes()).map(Encoding::output_encoding)
}

fn write(text: &str, out: &mut Output) {
    let mut hidden = String::new();
    let limit = out.limits().text_bytes;
    let mut hide = |text: &str| {
        let text = text.trim();
        if !text.is_empty() && hidden.len() + text.len() < limit {
            hidden.push_str(text);
            hidden.push('\n');
        }
    };
    let mut rest = text;
    while !out.is_full() {
        let Some(at) = rest.find('<') else {
            out.text(&resolved(rest));
            break;
        };
        if !rest[..at].trim().is_empty() {
            out.text(&resolved(&rest[..at]));
        }
        rest = &rest[at..];
        if let Some(inside) = rest.strip_prefix("<!--") {
            let (comment, after) = inside.split_once("-->").unwrap_or((inside, ""));
            hide(comment);
            rest = after;
        } else if let Some(inside) = rest.strip_prefix("<![CDATA[") {
            let (data, after) = inside.split_once("]]>").unwrap_or((inside, ""));
            out.text(data);
            rest = after;
        } else if let Some(inside) = rest.strip_prefix("<?") {
            rest = inside.split_once("?>").map_or("", |(_, after)| after);
        } else if rest.starts_with("<!") {
            if rest.contains("<!ENTITY") {
                out.note("it defines entities, which are left as they are written");
            }
            rest = after_document_type(rest);
        } else {
            rest = tag(&rest[1..], &mut hide);
            // Text on both sides of an element is not one word, nor one line.
            out.line_break();
        }
    }
    if !hidden.is_empty() {
        out.part("");
        out.text(&hidden);
    }
}

/// Reads a tag and gives what stands after it.
fn tag<'a>(text: &'a str, hide: &mut impl FnMut(&str)) -> &'a str {
    let mut rest = text;
    loop {
        let Some(at) = rest.find(['>', '"', '\'']) else { return "" };
        let mark = &rest[at..=at];
        let before = rest[..at].trim_end();
        rest = &rest[at + 1..];
        if mark == ">" {
            return rest;
        }
        let Some((value, after)) = rest.split_once(mark) else { return "" };
        let name = before.strip_suffix('=').unwrap_or_default().trim_end();
        let name = name.rsplit(char::is_whitespace).next().unwrap_or_default();
        if !name.starts_with("xmlns") && value.contains(char::is_alphabetic) {
            hide(&resolved(value));
        }
        rest = after;
    }
}

/// What stands after a document type, whose own part is in brackets.
fn after_document_type(text: &str) -> &str {
    let end = text.find('>');
    match text.find('[') {
        Some(bracket) if end.is_none_or(|end| bracket < end) => {
            let inside = &text[bracket..];
            inside.find(']').and_then(|at| inside[at..].split_once('>')).map_or("", |(_, after)| after)
        }
        _ => end.map_or("", |end| &text[end + 1..]),
    }
}

/// The text with the entities of every XML resolved.
fn resolved(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let name = after.split_once(';').map(|(name, _)| name).filter(|name| name.len() <= 10);
        if let Some(letter) = name.and_then(entity) {
            out.push(letter);
            rest = &after[name.map_or(0, str::len) + 1..];
        } else {
            out.push('&');
            rest = after;
        }
    }
    out.push_str(rest);
    out
}

fn entity(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(digits) => u32::from_str_radix(digits, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::super::formats::tests::read_all;

    #[test]
    fn text_then_attributes_and_comments() {
        for (xml, expected) in [
            ("<a><b>x</b><c>y</c></a>", "x\ny\n"),
            ("<a t='one &amp; two' n=\"12\" xmlns='urn:x'>x</a>", "x\n\u{1d}one & two\n"),
            ("<a><![CDATA[<b> & c]]></a>", "<b> & c\n"),
            ("<a>x<!-- secret --></a>", "x\n\u{1d}secret\n"),
            ("<a>&#x17e;&#382;&lt;&nope;&</a>", "žž<&nope;&\n"),
            ("<!DOCTYPE a [<!ENTITY e SYSTEM 'file:///x'>]><a>1 &e; 2</a>", "1 &e; 2\n"),
            ("<!DOCTYPE a SYSTEM 'x.dtd'><a>1</a>", "1\n"),
            ("<a>x", "x"),
            ("<a b='x", ""),
            ("<!-- ", ""),
        ] {
            let (status, text, _) = read_all("a.xml", format!("<?xml version='1.0'?>{xml}").as_bytes());
            assert_eq!((status, text.as_str()), (Status::Ok, expected), "{xml}");
        }
    }

    #[test]
    fn the_declared_character_set_is_used() {
        assert_eq!(read_all("a.xml", b"<?xml version='1.0' encoding='windows-1250'?><a>\x9e</a>").1, "ž\n");
    }
}
