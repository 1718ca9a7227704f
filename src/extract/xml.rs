//! The events of an XML part, with what may not be trusted taken away.
//!
//! A document type is passed over and noted: no entity that it declares is put in, and nothing outside is ever
//! asked for. Elements are known by their local names, since writers choose the prefixes.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event as Raw};

use super::output::{Output, Trouble};

/// Elements within elements. What people write stays below a hundred.
const MAX_DEPTH: usize = 1_000;

/// What a part is made of; an empty element is a start and an end.
pub(super) enum Event<'a> {
    /// An element begins.
    Start(Tag<'a>),
    /// The element of this local name ends.
    End(&'a str),
    /// Characters between.
    Text(&'a str),
}

/// The beginning of an element.
pub(super) struct Tag<'a>(BytesStart<'a>);

impl Tag<'_> {
    /// Its name without prefix.
    pub(super) fn name(&self) -> &str {
        self.0.local_name().into_inner()
    }

    /// Its name with prefix.
    pub(super) fn full_name(&self) -> &str {
        self.0.name().into_inner()
    }

    /// The attribute of this name that has no prefix.
    pub(super) fn plain(&self, name: &str) -> Option<String> {
        self.find(|prefix, local| prefix.is_none() && local == name)
    }

    /// The attribute of this name that has a prefix, whatever it is.
    pub(super) fn prefixed(&self, name: &str) -> Option<String> {
        self.find(|prefix, local| prefix.is_some() && local == name)
    }

    /// The first attribute of this name, with a prefix or without.
    pub(super) fn any(&self, name: &str) -> Option<String> {
        self.find(|_, local| local == name)
    }

    /// Whether it has the attribute and its value means yes.
    pub(super) fn is_on(&self, name: &str) -> bool {
        self.any(name).is_some_and(|value| matches!(value.as_str(), "1" | "true" | "on"))
    }

    fn find(&self, accept: impl Fn(Option<&str>, &str) -> bool) -> Option<String> {
        let mut attributes = self.0.attributes();
        attributes.with_checks(false);
        for attribute in attributes.flatten() {
            let (local, prefix) = attribute.key.decompose();
            if accept(prefix.map(quick_xml::name::Prefix::into_inner), local.into_inner()) {
                let value = attribute.normalized_value(XmlVersion::Implicit1_0);
                return Some(value.map_or_else(|_| attribute.value.to_string(), Cow::into_owned));
            }
        }
        None
    }
}

/// The text of a part: UTF-8, or UTF-16 when it begins with its mark; what is neither is replaced.
pub(super) fn decode(bytes: &[u8]) -> String {
    let encoding = encoding_rs::Encoding::for_bom(bytes).map_or(encoding_rs::UTF_8, |(encoding, _)| encoding);
    let (text, _, _) = encoding.decode(bytes);
    text.into_owned()
}

/// Hands every event to `take`, until the end, a fault of the XML, or an error of `take`: the last two are noted
/// as what could not be read of `part`.
pub(super) fn walk(
    part: &str,
    text: &str,
    out: &mut Output,
    mut take: impl FnMut(Event<'_>, &mut Output) -> Result<(), Trouble>,
) {
    if let Err(what) = run(text, out, &mut take) {
        out.partial(format!("{part} was read in part: {what}"));
    }
}

fn run(
    text: &str,
    out: &mut Output,
    take: &mut impl FnMut(Event<'_>, &mut Output) -> Result<(), Trouble>,
) -> Result<(), String> {
    let mut reader = Reader::from_str(text);
    let config = reader.config_mut();
    config.expand_empty_elements = true;
    config.allow_dangling_amp = true;
    let mut depth = 0_usize;
    while !out.is_full() {
        let taken = match reader.read_event().map_err(|error| error.to_string())? {
            Raw::Start(tag) => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(format!("its elements are nested more than {MAX_DEPTH} deep"));
                }
                take(Event::Start(Tag(tag)), out)
            }
            Raw::End(tag) => {
                depth -= 1;
                take(Event::End(tag.local_name().into_inner()), out)
            }
            Raw::Text(text) => take(Event::Text(&text.into_inner()), out),
            Raw::CData(text) => take(Event::Text(&text.into_inner()), out),
            Raw::GeneralRef(reference) => match reference.resolve_char_ref() {
                Ok(Some(letter)) => take(Event::Text(letter.encode_utf8(&mut [0; 4])), out),
                Ok(None) => {
                    if let Some(letter) = resolve_predefined_entity(&reference.into_inner()) {
                        take(Event::Text(letter), out)
                    } else {
                        out.note("it holds entities of its own, which are left out");
                        Ok(())
                    }
                }
                Err(_) => Ok(()),
            },
            Raw::DocType(_) => {
                out.note("it declares a document type, which is passed over");
                Ok(())
            }
            Raw::Comment(_) | Raw::Decl(_) | Raw::PI(_) | Raw::Empty(_) => Ok(()),
            Raw::Eof if depth > 0 => return Err("it ends in the middle".to_owned()),
            Raw::Eof => return Ok(()),
        };
        taken.map_err(|trouble| trouble.what().to_owned())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::output::Limits;
    use super::*;

    fn text_of(xml: &str) -> (String, Output) {
        let mut out = Output::new(Limits::default());
        let mut found = String::new();
        walk("part", xml, &mut out, |event, _| {
            match event {
                Event::Start(tag) => found.push_str(&format!("<{}>", tag.name())),
                Event::End(name) => found.push_str(&format!("</{name}>")),
                Event::Text(text) => found.push_str(text),
            }
            Ok(())
        });
        (found, out)
    }

    #[test]
    fn events_hold_text_as_it_is_meant() {
        for (xml, expected) in [
            ("<w:a><w:b/>x &amp; y &#x17E;</w:a>", "<a><b></b>x & y ž</a>"),
            ("<a><![CDATA[<b>]]></a>", "<a><b></a>"),
            ("<a><!-- no -->b<?no?></a>", "<a>b</a>"),
            ("<a>x & y</a>", "<a>x & y</a>"),
        ] {
            let (found, out) = text_of(xml);
            assert_eq!(found, expected, "{xml}");
            assert!(!out.into_parts().is_partial, "{xml}");
        }
    }

    #[test]
    fn no_entity_is_put_in_and_that_is_noted() {
        let (found, out) = text_of(
            "<!DOCTYPE a [<!ENTITY b 'inside'><!ENTITY c SYSTEM 'file:///etc/passwd'>]><a>text &b;&c; goes on</a>",
        );
        assert_eq!(found, "<a>text  goes on</a>");
        let parts = out.into_parts();
        assert_eq!(parts.notes.len(), 2);
        assert!(!parts.is_partial);
    }

    #[test]
    fn what_came_before_a_fault_is_kept() {
        for xml in ["<a>text", "<a>text</b>", "<a>text<b", &format!("<a>text{}", "<b>".repeat(2_000))] {
            let (found, out) = text_of(xml);
            assert!(found.starts_with("<a>text"), "{found}");
            assert!(out.into_parts().is_partial);
        }
    }

    #[test]
    fn attributes_are_told_apart_by_their_prefix() {
        let mut out = Output::new(Limits::default());
        let mut seen = Vec::new();
        walk("part", "<p id='1' r:id='2' w:show='true' e='&lt;'/>", &mut out, |event, _| {
            if let Event::Start(tag) = event {
                seen = vec![tag.plain("id"), tag.prefixed("id"), tag.any("id"), tag.plain("show"), tag.any("e")];
                assert!(tag.is_on("show"));
            }
            Ok(())
        });
        assert_eq!(seen, [Some("1"), Some("2"), Some("1"), None, Some("<")].map(|value| value.map(str::to_owned)));
    }

    #[test]
    fn a_part_may_be_in_utf_16() {
        let mut bytes = vec![0xFF, 0xFE];
        bytes.extend("<a>ž</a>".encode_utf16().flat_map(u16::to_le_bytes));
        assert_eq!(decode(&bytes), "<a>ž</a>");
        assert_eq!(decode(b"\xEF\xBB\xBF<a/>"), "<a/>");
    }
}
