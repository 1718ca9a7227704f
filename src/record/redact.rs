use std::borrow::Cow;
use std::ops::Range;

use super::header::Kind;
use crate::model::{Digest, json};

/// URL fields of a file object, which the server makes.
fn is_url_field(name: &str) -> bool {
    name.starts_with("url_") || name.starts_with("permalink") || name.starts_with("thumb_")
}

/// Takes bearer secrets out of an item before it is hashed and kept: in the URL fields of file
/// objects, and nowhere else, the value of a `ticket=` or `token=` parameter becomes `sha256-` and
/// the first 16 hexadecimal digits of its SHA-256. Returns the bytes and how many were replaced.
///
/// Tickets open a file without a token and do not expire (protocol notes 1.2); all else stays as
/// the server sent it, byte for byte.
pub fn redact(kind: Kind, item: &[u8]) -> (Cow<'_, [u8]>, u32) {
    let mut found = Vec::new();
    match kind {
        Kind::File => in_file(item, 0..item.len(), &mut found),
        Kind::Message | Kind::Event => in_message(item, 0..item.len(), 0, &mut found),
        Kind::Pins => {
            for element in json::elements(item, 0..item.len()).0 {
                in_message(item, element, 0, &mut found);
            }
        }
        Kind::Unknown => {
            in_file(item, 0..item.len(), &mut found);
            in_message(item, 0..item.len(), 0, &mut found);
            found.sort_by_key(|range: &Range<usize>| range.start);
            found.dedup();
        }
        _ => {}
    }
    if found.is_empty() {
        return (Cow::Borrowed(item), 0);
    }
    let mut out = Vec::with_capacity(item.len());
    let mut copied = 0;
    for range in &found {
        out.extend_from_slice(&item[copied..range.start]);
        let short = Digest::of(&item[range.clone()]).short();
        out.extend_from_slice(b"sha256-");
        out.extend_from_slice(short.as_bytes());
        copied = range.end;
    }
    out.extend_from_slice(&item[copied..]);
    (Cow::Owned(out), u32::try_from(found.len()).unwrap_or(u32::MAX))
}

/// Takes bearer secrets out of a piece of a feed that is kept as evidence: the values of `ticket=`
/// and `token=` anywhere in it, since a feed has no fields that hold nothing but addresses.
pub fn redact_markup(text: &str) -> (String, u32) {
    let (mut out, mut rest, mut count) = (String::with_capacity(text.len()), text, 0);
    loop {
        let places = ["ticket=", "token="].into_iter().filter_map(|name| Some(rest.find(name)? + name.len()));
        let Some(start) = places.min() else { break };
        let is_end = |c: char| c.is_whitespace() || matches!(c, '&' | '"' | '\'' | '<' | '>' | '#' | '\\');
        let end = rest[start..].find(is_end).map_or(rest.len(), |length| start + length);
        out.push_str(&rest[..start]);
        if end > start && !rest[start..end].starts_with("sha256-") {
            count += 1;
            out.push_str("sha256-");
            out.push_str(&Digest::of(&rest.as_bytes()[start..end]).short());
        } else {
            out.push_str(&rest[start..end]);
        }
        rest = &rest[end..];
    }
    out.push_str(rest);
    (out, count)
}

/// A message may hold `file`, `files`, and (pins of the wrapped shape, comments) a `message`.
fn in_message(bytes: &[u8], range: Range<usize>, depth: usize, found: &mut Vec<Range<usize>>) {
    for (key, value) in json::members(bytes, range) {
        match json::text(&bytes[key]).as_deref() {
            Some("file") => in_file(bytes, value, found),
            Some("files") => {
                for element in json::elements(bytes, value).0 {
                    in_file(bytes, element, found);
                }
            }
            Some("message" | "previous_message" | "item") if depth < 4 => in_message(bytes, value, depth + 1, found),
            _ => {}
        }
    }
}

fn in_file(bytes: &[u8], range: Range<usize>, found: &mut Vec<Range<usize>>) {
    for (key, value) in json::members(bytes, range) {
        let is_url = json::text(&bytes[key]).is_some_and(|name| is_url_field(&name));
        if is_url && bytes[value.start] == b'"' {
            secrets_in_url(bytes, value, found);
        }
    }
}

fn secrets_in_url(bytes: &[u8], range: Range<usize>, found: &mut Vec<Range<usize>>) {
    let url = &bytes[range.clone()];
    let mut at = 0;
    while at < url.len() {
        let rest = &url[at..];
        let name = [&b"ticket="[..], b"token="]
            .into_iter()
            .find(|name| rest.len() >= name.len() && rest[..name.len()].eq_ignore_ascii_case(name));
        let Some(name) = name.filter(|_| at > 0 && !url[at - 1].is_ascii_alphanumeric() || follows_escape(url, at))
        else {
            at += 1;
            continue;
        };
        let start = at + name.len();
        let mut end = start;
        while end < url.len() {
            match url[end] {
                // An escaped slash belongs to the value; any other escape (\u0026) ends it.
                b'\\' if url.get(end + 1) == Some(&b'/') => end += 2,
                b'&' | b'"' | b'#' | b'\\' => break,
                _ => end += 1,
            }
        }
        if end > start && !url[start..end].starts_with(b"sha256-") {
            found.push(range.start + start..range.start + end);
        }
        at = end.max(start);
    }
}

/// Whether the parameter's name follows `\u0026` or `\u003f`, whose last digit is alphanumeric.
fn follows_escape(url: &[u8], at: usize) -> bool {
    at >= 6 && url[at - 6..at].starts_with(b"\\u00")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(kind: Kind, item: &str) -> (String, u32) {
        let (bytes, count) = redact(kind, item.as_bytes());
        (String::from_utf8(bytes.into_owned()).unwrap(), count)
    }

    #[test]
    fn tickets_in_url_fields_are_replaced_and_the_rest_is_untouched() {
        let item = r#"{"text":"see https://h/?ticket=KEEP&token=KEEP","file":{"name":"ticket=KEEP","url_private":"https:\/\/h\/x?override_method=files.download&ticket=eJw1,SECRET.t&editcounter=0","permalink":"https://h/x?ticket=SECRET\u0026a=1"}}"#;
        let (out, count) = redacted(Kind::Message, item);
        assert_eq!(count, 2);
        assert!(!out.contains("SECRET"));
        assert_eq!(out.matches("KEEP").count(), 3);
        assert!(out.contains("&editcounter=0") && out.contains(r"\u0026a=1"));
        assert_eq!(redacted(Kind::Message, &out), (out.clone(), 0), "a second time changes nothing");
    }

    #[test]
    fn files_lists_and_wrapped_pins_are_reached() {
        let file = r#"{"url_private_download":"http://h/f?ticket=SECRET","title":"t"}"#;
        assert_eq!(redacted(Kind::File, file).1, 1);
        assert_eq!(redacted(Kind::Message, &format!(r#"{{"files":[{file},{file}]}}"#)).1, 2);
        let event =
            format!(r#"{{"type":"message","subtype":"message_changed","message":{{"file":{file},"files":[{file}]}}}}"#);
        assert_eq!(redacted(Kind::Event, &event).1, 2);
        assert_eq!(redacted(Kind::Event, &format!(r#"{{"type":"file_shared","file":{file}}}"#)).1, 1);
        let pins = format!(r#"[{{"type":"message","message":{{"file":{file}}}}},{{"file":{file}}}]"#);
        let (out, count) = redacted(Kind::Pins, &pins);
        assert_eq!(count, 2);
        assert!(!out.contains("SECRET"));
    }

    #[test]
    fn an_escaped_separator_is_seen() {
        let (out, count) = redacted(Kind::File, r#"{"url_private":"http://h/f?a=1\u0026ticket=SECRET\u0026b=2"}"#);
        assert_eq!(count, 1);
        assert!(!out.contains("SECRET") && out.contains(r"\u0026b=2"));
    }

    #[test]
    fn a_feed_keeps_no_secret() {
        let entry =
            r#"<link href="https://h/x?a=1&amp;ticket=SECRET&amp;editcounter=0"/><content>token=SECRET'</content>"#;
        let (out, count) = redact_markup(entry);
        assert_eq!(count, 2);
        assert!(!out.contains("SECRET") && out.contains("&amp;editcounter=0") && out.ends_with("'</content>"));
        assert_eq!(redact_markup(&out), (out.clone(), 0), "a second time changes nothing");
        assert_eq!(redact_markup("ticket="), ("ticket=".to_owned(), 0));
    }

    #[test]
    fn text_without_files_is_borrowed() {
        assert!(matches!(redact(Kind::Message, b"{\"text\":\"ticket=x\"}"), (Cow::Borrowed(_), 0)));
    }
}
