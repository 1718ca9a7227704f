use std::collections::BTreeMap;
use std::ops::Range;

use atom_syndication::extension::{Extension, ExtensionMap};
use atom_syndication::{Entry, Feed};

use super::error::Error;
use crate::model::{MessageTs, UtcTime};

/// A feed longer than this is not read: 1,000 messages of 64 KiB fit.
const MAX_FEED_BYTES: usize = 64 << 20;
/// Elements inside elements that are followed. The parser recurses, and a feed has no need of more.
const MAX_DEPTH: usize = 64;
/// Our extension: the exact time stamp, since a date may have been rounded.
const TIME_STAMPS: (&str, &str, &str) = ("urn:x-teamchat", "tc", "ts");
/// RFC 6721.
const TOMBSTONES: (&str, &str, &str) = ("http://purl.org/atompub/tombstones/1.0", "at", "deleted-entry");

/// A channel's history as an Atom feed.
#[derive(Debug, Clone, Default)]
pub struct AtomFeed {
    /// The entries, in document order, which means nothing (RFC 4287).
    pub entries: Vec<AtomEntry>,
    /// What the feed says was removed (RFC 6721).
    pub tombstones: Vec<Tombstone>,
}

/// What an entry's text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TextForm {
    /// The whole text.
    #[default]
    Plain,
    /// The whole text as HTML or XHTML.
    Html,
    /// A title or a summary: the beginning of the text, if anything.
    Beginning,
}

/// One entry.
#[derive(Debug, Clone)]
pub struct AtomEntry {
    /// Its id.
    pub id: String,
    /// The message's time stamp, from the extension, the end of the id, or the date.
    pub ts: Option<MessageTs>,
    /// Its author's mail address, where given.
    pub author: String,
    /// The text.
    pub text: String,
    /// What the text is.
    pub form: TextForm,
    /// When it was last changed.
    pub updated: chrono::DateTime<chrono::FixedOffset>,
    /// The entry as it came. It may hold bearer secrets.
    pub raw: String,
}

/// What a feed says of an entry that was removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tombstone {
    /// The message's time stamp, from the end of the id.
    pub ts: Option<MessageTs>,
    /// When it was removed, where that can be read.
    pub at: Option<UtcTime>,
    /// Who removed it; empty when it does not say.
    pub by: String,
    /// The element as it came.
    pub raw: String,
}

impl AtomFeed {
    /// Whether a document is a feed, well-formed or not, rather than a page or anything else.
    pub fn is_feed(bytes: &[u8]) -> bool {
        root(bytes).is_some_and(|name| name.rsplit(':').next() == Some("feed"))
    }

    /// Reads a feed. What is too long or too deep is refused before it is parsed.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let broken = |detail: String| Error::Broken { method: "channels.atom.history".to_owned(), detail };
        if bytes.len() > MAX_FEED_BYTES {
            return Err(broken("the feed is too long".to_owned()));
        }
        // The parser knows Atom's elements by their names alone, so a prefix of theirs goes.
        let prefix = root(bytes).and_then(|name| Some(name.split_once(':')?.0.to_owned()));
        let stripped = prefix.map(|prefix| without_prefix(bytes, &prefix));
        let bytes = stripped.as_deref().unwrap_or(bytes);
        let children = children(bytes).map_err(|detail| broken(detail.to_owned()))?;
        let feed = Feed::read_from(bytes).map_err(|error| broken(error.to_string()))?;
        let raw = |name: &str| -> Vec<String> {
            let named = children.iter().filter(|(found, _)| found == name);
            named.map(|(_, range)| String::from_utf8_lossy(&bytes[range.clone()]).into_owned()).collect()
        };
        let mut as_came = raw("entry").into_iter();
        let entries = feed.entries().iter().map(|entry| {
            let raw = as_came.next().unwrap_or_default();
            read_entry(&feed, entry, raw)
        });
        let entries = entries.collect();
        let mut tombstones = Vec::new();
        for (prefix, extension, place) in named(feed.extensions(), &[feed.namespaces()], TOMBSTONES) {
            let as_came = raw(&format!("{prefix}:{}", TOMBSTONES.2));
            tombstones.push(read_tombstone(extension, as_came.get(place).cloned().unwrap_or_default()));
        }
        Ok(Self { entries, tombstones })
    }
}

fn read_entry(feed: &Feed, entry: &Entry, raw: String) -> AtomEntry {
    let scopes = [&entry.namespaces, feed.namespaces()];
    let mut extensions = named(entry.extensions(), &scopes, TIME_STAMPS);
    let ts = extensions
        .find_map(|(_, extension, _)| extension.value().and_then(MessageTs::parse))
        .or_else(|| ts_of_id(entry.id()))
        .or_else(|| {
            // A date to the second says nothing of the fraction, which is part of the key.
            let published = entry.published()?;
            Some(MessageTs::from_micros(published.timestamp_micros()))
                .filter(|_| published.timestamp_subsec_micros() > 0)
        });
    let content = entry.content().and_then(|content| Some((content.value()?, content.content_type())));
    let (text, form) = if let Some((text, kind)) = content {
        let is_html = kind.is_some_and(|kind| kind.contains("html"));
        (text.to_owned(), if is_html { TextForm::Html } else { TextForm::Plain })
    } else {
        let summary = entry.summary().map(|summary| summary.value.clone()).filter(|text| !text.is_empty());
        (summary.unwrap_or_else(|| entry.title().value.clone()), TextForm::Beginning)
    };
    AtomEntry {
        id: entry.id().to_owned(),
        ts,
        author: entry
            .authors()
            .first()
            .map(|author| author.email().unwrap_or(author.name()).to_owned())
            .unwrap_or_default(),
        text,
        form,
        updated: *entry.updated(),
        raw,
    }
}

fn read_tombstone(extension: &Extension, raw: String) -> Tombstone {
    let text = |extension: &Extension, name: &str| -> Option<String> {
        Some(extension.children.get(name)?.first()?.value()?.trim().to_owned()).filter(|text| !text.is_empty())
    };
    let by = extension.children.get("by").and_then(|people| people.first());
    let by = by.and_then(|person| {
        let as_text = || person.value().map(str::to_owned);
        text(person, "email").or_else(|| text(person, "name")).or_else(as_text)
    });
    let when = extension.attrs.get("when").and_then(|when| chrono::DateTime::parse_from_rfc3339(when).ok());
    Tombstone {
        ts: extension.attrs.get("ref").and_then(|id| ts_of_id(id)),
        at: when.map(|when| when.to_utc()),
        by: by.unwrap_or_default(),
        raw,
    }
}

/// `…:<ts>`, as the end of an id.
fn ts_of_id(id: &str) -> Option<MessageTs> {
    MessageTs::parse(id.trim().rsplit(':').next()?)
}

/// The extensions of a namespace and name, whatever prefix the document gave the namespace, each
/// with that prefix and its place among those. A prefix that is declared nowhere stands for what it
/// usually does.
fn named<'a>(
    map: &'a ExtensionMap,
    scopes: &'a [&'a BTreeMap<String, String>],
    (uri, usual, name): (&'static str, &'static str, &'static str),
) -> impl Iterator<Item = (&'a str, &'a Extension, usize)> {
    map.iter().flat_map(move |(prefix, names)| {
        let found = names.get(name).into_iter().flatten().enumerate();
        found.filter_map(move |(place, extension)| {
            // Attributes come by their local names, so `xmlns:at` is `at` here.
            let declared = extension.attrs.get(prefix).or_else(|| scopes.iter().find_map(|scope| scope.get(prefix)));
            let is_meant = declared.map_or(prefix == usual, |declared| declared == uri);
            is_meant.then_some((prefix.as_str(), extension, place))
        })
    })
}

/// One piece of mark-up: its name, where it stands, and what it does.
struct Tag<'a> {
    name: &'a str,
    range: Range<usize>,
    opens: bool,
    closes: bool,
}

/// The next tag from `at` on; `None` at the end, or where the bytes stop being XML.
fn next_tag(bytes: &[u8], mut at: usize) -> Option<Tag<'_>> {
    let past = |from: usize, end: &[u8]| -> Option<usize> {
        let found = bytes.get(from..)?.windows(end.len()).position(|window| window == end)?;
        Some(from + found + end.len())
    };
    loop {
        let start = at + bytes.get(at..)?.iter().position(|byte| *byte == b'<')?;
        let rest = &bytes[start..];
        if rest.starts_with(b"<!--") {
            at = past(start + 4, b"-->")?;
        } else if rest.starts_with(b"<![CDATA[") {
            at = past(start, b"]]>")?;
        } else if rest.starts_with(b"<?") {
            at = past(start, b"?>")?;
        } else {
            let mut quote = None;
            let length = rest.iter().position(|byte| {
                match (quote, byte) {
                    (None, b'"' | b'\'') => quote = Some(*byte),
                    (Some(open), byte) if open == *byte => quote = None,
                    (None, b'>') => return true,
                    _ => {}
                }
                false
            })?;
            let closes = rest.get(1) == Some(&b'/');
            let inside = &rest[if closes { 2 } else { 1 }..length];
            let end =
                inside.iter().position(|byte| byte.is_ascii_whitespace() || *byte == b'/').unwrap_or(inside.len());
            let is_empty = !closes && inside.last() == Some(&b'/');
            return Some(Tag {
                name: std::str::from_utf8(&inside[..end]).ok()?,
                range: start..start + length + 1,
                opens: !closes,
                closes: closes || is_empty,
            });
        }
    }
}

/// The name of the outermost element.
fn root(bytes: &[u8]) -> Option<&str> {
    let tag = next_tag(bytes, 0)?;
    tag.opens.then_some(tag.name)
}

/// The document with `prefix:` taken from the names of its elements.
fn without_prefix(bytes: &[u8], prefix: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(tag) = next_tag(bytes, at) {
        let name = tag.range.start + if tag.opens { 1 } else { 2 };
        out.extend_from_slice(&bytes[at..name]);
        let has_it = tag.name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(':'));
        let kept = if has_it { name + prefix.len() + 1 } else { name };
        out.extend_from_slice(&bytes[kept..tag.range.end]);
        at = tag.range.end;
    }
    out.extend_from_slice(&bytes[at..]);
    out
}

/// The children of the outermost element: name and place.
fn children(bytes: &[u8]) -> Result<Vec<(String, Range<usize>)>, &'static str> {
    let mut found = Vec::new();
    let (mut depth, mut at, mut start) = (0_usize, 0, 0);
    while let Some(tag) = next_tag(bytes, at) {
        at = tag.range.end;
        if tag.name.starts_with('!') {
            return Err("it declares a document type");
        }
        if tag.opens {
            if depth == 1 {
                start = tag.range.start;
            }
            depth += 1;
            if depth > MAX_DEPTH {
                return Err("its elements are nested too deep");
            }
        }
        if tag.closes {
            depth = depth.saturating_sub(1);
            if depth == 1 {
                found.push((tag.name.to_owned(), start..at));
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TS: &str = "1490004760.000165";

    fn feed(attributes: &str, inside: &str) -> String {
        format!(
            "<?xml version=\"1.0\"?><feed xmlns=\"http://www.w3.org/2005/Atom\" {attributes}><id>f</id><title>t</title><updated>2017-03-20T10:12:40Z</updated>{inside}</feed>"
        )
    }

    fn entry(id: &str, inside: &str) -> String {
        format!("<entry><id>{id}</id><title>the title</title><updated>2017-03-20T10:12:40Z</updated>{inside}</entry>")
    }

    fn parsed(text: &str) -> AtomFeed {
        AtomFeed::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn the_time_stamp_comes_from_wherever_it_stands() {
        let id = format!("tag:t.com,2017:teamchat:x:{TS}");
        for (attributes, entry) in [
            ("", entry(&id, "")),
            ("xmlns:tc=\"urn:x-teamchat\"", entry("urn:uuid:1", &format!("<tc:ts>{TS}</tc:ts>"))),
            ("xmlns:z9=\"urn:x-teamchat\"", entry("urn:uuid:1", &format!("<z9:ts>{TS}</z9:ts>"))),
            ("", entry("urn:uuid:1", &format!("<q:ts xmlns:q=\"urn:x-teamchat\">{TS}</q:ts>"))),
            ("", entry("urn:uuid:1", "<published>2017-03-20T11:12:40.000165+01:00</published>")),
        ] {
            let found = parsed(&feed(attributes, &entry)).entries.remove(0);
            assert_eq!(found.ts, MessageTs::parse(TS), "{attributes} {entry}");
            assert_eq!(found.raw, entry, "as it came");
        }
        let none = entry("urn:uuid:1", "<published>2017-03-20T10:12:40Z</published>");
        assert_eq!(parsed(&feed("", &none)).entries[0].ts, None, "a second is no key");
        let other = entry("urn:uuid:1", &format!("<tc:ts>{TS}</tc:ts>"));
        assert_eq!(parsed(&feed("xmlns:tc=\"urn:other\"", &other)).entries[0].ts, None);
    }

    #[test]
    fn tombstones_are_found_under_any_prefix() {
        let uri = "http://purl.org/atompub/tombstones/1.0";
        for prefix in ["at", "dead"] {
            let one = |ts: &str, inside: &str| {
                format!(
                    "<{prefix}:deleted-entry ref=\"tag:t:{ts}\" when=\"2017-03-21T00:00:00Z\">{inside}</{prefix}:deleted-entry>"
                )
            };
            let by = format!("<{prefix}:by><name>Ann</name><email>ann@t.com</email></{prefix}:by>");
            let inside = format!("{}{}{}", one(TS, &by), entry("x", ""), one("1.000001", ""));
            let found = parsed(&feed(&format!("xmlns:{prefix}=\"{uri}\""), &inside));
            assert_eq!(found.tombstones.len(), 2);
            let first = &found.tombstones[0];
            assert_eq!((first.ts, first.by.as_str()), (MessageTs::parse(TS), "ann@t.com"));
            assert_eq!(first.at.map(|at| at.timestamp()), Some(1_490_054_400));
            assert_eq!(first.raw, one(TS, &by));
            assert_eq!((found.tombstones[1].by.as_str(), &found.tombstones[1].raw), ("", &one("1.000001", "")));
        }
        let other = "<at:deleted-entry ref=\"tag:t:1.000001\"/>";
        assert!(parsed(&feed("xmlns:at=\"urn:other\"", other)).tombstones.is_empty());
    }

    #[test]
    fn atom_itself_may_have_a_prefix() {
        let text = "<a:feed xmlns:a=\"http://www.w3.org/2005/Atom\" xmlns=\"urn:x\"><a:id>f</a:id><a:updated>2017-03-20T10:12:40Z</a:updated><a:entry><a:id>t:1.000001</a:id><a:updated>2017-03-20T10:12:40Z</a:updated><a:content type=\"html\">&lt;b&gt;x</a:content></a:entry></a:feed>";
        let found = parsed(text);
        assert_eq!((found.entries[0].text.as_str(), found.entries[0].form), ("<b>x", TextForm::Html));
        assert_eq!(found.entries[0].ts, MessageTs::parse("1.000001"));
    }

    #[test]
    fn without_content_there_is_the_title() {
        let found = parsed(&feed("", &entry("x:1.000001", "")));
        assert_eq!((found.entries[0].text.as_str(), found.entries[0].form), ("the title", TextForm::Beginning));
    }

    #[test]
    fn what_is_no_feed_or_a_hostile_one_is_refused() {
        assert!(!AtomFeed::is_feed(b"<!DOCTYPE html><html><body>404</body></html>"));
        assert!(!AtomFeed::is_feed(b"{\"ok\":false}") && !AtomFeed::is_feed(b""));
        assert!(AtomFeed::is_feed(b"<?xml version='1.0'?><!-- <html> --><a:feed>"));
        let whole = feed("", &entry("x:1.000001", "<content>a</content>"));
        let deep = feed("", &entry("x:1.000001", &"<n:a>".repeat(100_000)));
        let bomb = format!("<!DOCTYPE f [<!ENTITY a \"b\">]>{whole}");
        let long = feed("", &" ".repeat(MAX_FEED_BYTES));
        for text in [deep.as_str(), &bomb, &long, &whole[..whole.len() - 20], "<feed>", "<feed", ""] {
            assert!(matches!(AtomFeed::parse(text.as_bytes()), Err(Error::Broken { .. })), "{text:.60}");
        }
    }
}
