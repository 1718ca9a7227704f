//! JSON as bytes: finding where a value begins and ends, without changing or judging it.
//!
//! An archive keeps what the server sent, byte for byte, so a page is cut into its items here and
//! not by a parser that would print them anew. The scanner follows strings and brackets only: an
//! item whose inside is not JSON is still cut out whole, and costs nothing but itself. Nothing
//! here recurses on outside data; nesting deeper than [`MAX_DEPTH`] is not followed.

use std::ops::Range;

use serde_json::Value;

/// Nesting that is followed. `serde_json` stops at 128 too.
pub const MAX_DEPTH: usize = 120;

fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
        at += 1;
    }
    at
}

/// The end of the string that starts with the quote at `at`.
fn string_end(bytes: &[u8], at: usize) -> Option<usize> {
    let mut i = at + 1;
    while let Some(&byte) = bytes.get(i) {
        match byte {
            b'"' => return Some(i + 1),
            b'\\' => i += 2,
            _ => i += 1,
        }
    }
    None
}

/// Where the value that starts at `at` ends: past its last byte. `None` when the input ends first.
pub fn value_end(bytes: &[u8], at: usize) -> Option<usize> {
    let mut i = at;
    let mut open = 0_usize;
    loop {
        match bytes.get(i)? {
            b'"' => {
                i = string_end(bytes, i)?;
                if open == 0 {
                    return Some(i);
                }
            }
            b'{' | b'[' => {
                open += 1;
                i += 1;
            }
            b'}' | b']' => {
                open = open.checked_sub(1)?;
                i += 1;
                if open == 0 {
                    return Some(i);
                }
            }
            _ if open == 0 => {
                while let Some(byte) = bytes.get(i)
                    && !matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n')
                {
                    i += 1;
                }
                return (i > at).then_some(i);
            }
            _ => i += 1,
        }
    }
}

/// The members of the object that starts at `range.start`: where each key (with its quotes) and
/// each value stands. Ends early where the bytes stop being an object.
pub fn members(bytes: &[u8], range: Range<usize>) -> impl Iterator<Item = (Range<usize>, Range<usize>)> + '_ {
    let bytes = &bytes[..range.end];
    let mut at = skip_space(bytes, range.start);
    let mut done = bytes.get(at) != Some(&b'{');
    at += 1;
    std::iter::from_fn(move || {
        if done {
            return None;
        }
        done = true;
        at = skip_space(bytes, at);
        if bytes.get(at) == Some(&b',') {
            at = skip_space(bytes, at + 1);
        }
        if bytes.get(at) != Some(&b'"') {
            return None;
        }
        let key = at..string_end(bytes, at)?;
        at = skip_space(bytes, key.end);
        if bytes.get(at) != Some(&b':') {
            return None;
        }
        at = skip_space(bytes, at + 1);
        let value = at..value_end(bytes, at)?;
        at = value.end;
        done = false;
        Some((key, value))
    })
}

/// The elements of the array that starts at `range.start`, and, after the last, whether the array
/// was closed. An array cut short gives the whole elements that came.
pub fn elements(bytes: &[u8], range: Range<usize>) -> (Vec<Range<usize>>, bool) {
    let bytes = &bytes[..range.end];
    let mut found = Vec::new();
    let mut at = skip_space(bytes, range.start);
    if bytes.get(at) != Some(&b'[') {
        return (found, false);
    }
    at += 1;
    loop {
        at = skip_space(bytes, at);
        match bytes.get(at) {
            Some(b']') => return (found, true),
            Some(b',') => at += 1,
            Some(_) => match value_end(bytes, at) {
                Some(end) => {
                    found.push(at..end);
                    at = end;
                }
                None => return (found, false),
            },
            None => return (found, false),
        }
    }
}

/// Where the value of the top-level member `name` stands; the last one when a key is repeated, as
/// `serde_json` reads it. In an object cut short, a value without an end reaches to the end.
pub fn member(bytes: &[u8], name: &str) -> Option<Range<usize>> {
    let mut found = None;
    let mut last_end = skip_space(bytes, 0) + 1;
    for (key, value) in members(bytes, 0..bytes.len()) {
        last_end = value.end;
        if string_is(&bytes[key], name) {
            found = Some(value);
        }
    }
    found.or_else(|| {
        let mut at = skip_space(bytes, last_end);
        if bytes.get(at) == Some(&b',') {
            at = skip_space(bytes, at + 1);
        }
        if bytes.get(at) != Some(&b'"') {
            return None;
        }
        let key = at..string_end(bytes, at)?;
        at = skip_space(bytes, key.end);
        (bytes.get(at) == Some(&b':') && string_is(&bytes[key], name)).then(|| skip_space(bytes, at + 1)..bytes.len())
    })
}

fn string_is(quoted: &[u8], name: &str) -> bool {
    let inner = &quoted[1..quoted.len() - 1];
    inner == name.as_bytes() || (inner.contains(&b'\\') && text(quoted).is_some_and(|decoded| decoded == name))
}

/// The text of the top-level member `name`: a string decoded, a number as its digits.
pub fn member_text(bytes: &[u8], name: &str) -> Option<String> {
    let range = member(bytes, name)?;
    text(&bytes[range])
}

/// A JSON string decoded, or a number's digits. What is not valid Unicode (bytes, lone surrogates)
/// becomes U+FFFD: this is for reading, never for keeping.
pub fn text(value: &[u8]) -> Option<String> {
    match value.first()? {
        b'"' if value.len() >= 2 => {}
        b'-' | b'0'..=b'9' => return Some(String::from_utf8_lossy(value).into_owned()),
        _ => return None,
    }
    let inner = &value[1..value.len() - 1];
    if !inner.contains(&b'\\') {
        return Some(String::from_utf8_lossy(inner).into_owned());
    }
    let inner = String::from_utf8_lossy(inner);
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner.as_ref();
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let escaped = rest[at + 1..].chars().next()?;
        rest = &rest[at + 1 + escaped.len_utf8()..];
        match escaped {
            'n' => out.push('\n'),
            't' => out.push('\t'),
            'r' => out.push('\r'),
            'b' => out.push('\u{8}'),
            'f' => out.push('\u{c}'),
            'u' => {
                let (c, used) = code_point(rest);
                out.push(c);
                rest = &rest[used..];
            }
            other => out.push(other),
        }
    }
    out.push_str(rest);
    Some(out)
}

fn hex4(text: &str) -> Option<u32> {
    text.get(..4).and_then(|digits| u32::from_str_radix(digits, 16).ok())
}

/// The character whose four digits (and perhaps second half) `rest` begins with, and their length.
fn code_point(rest: &str) -> (char, usize) {
    let Some(first) = hex4(rest) else { return (char::REPLACEMENT_CHARACTER, 0) };
    if (0xD800..0xDC00).contains(&first)
        && let Some(second) = rest.get(4..).and_then(|r| r.strip_prefix("\\u")).and_then(hex4)
        && (0xDC00..0xE000).contains(&second)
    {
        let joined = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
        return (char::from_u32(joined).unwrap_or(char::REPLACEMENT_CHARACTER), 10);
    }
    (char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER), 4)
}

/// The value parsed for reading. Bytes that are not UTF-8 and lone surrogates are replaced before
/// a second try; `None` when it is not JSON even then.
pub fn parse(bytes: &[u8]) -> Option<Value> {
    if let Ok(value) = serde_json::from_slice(bytes) {
        return Some(value);
    }
    let mended = mend_surrogates(&String::from_utf8_lossy(bytes));
    serde_json::from_str(&mended).ok()
}

fn mend_surrogates(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let Some(escaped) = rest.chars().next() else { break };
        if escaped == 'u' {
            let (c, used) = code_point(&rest[1..]);
            if c == char::REPLACEMENT_CHARACTER {
                out.push_str("\\ufffd");
            } else {
                out.push('\\');
                out.push_str(&rest[..=used]);
            }
            rest = &rest[1 + used..];
        } else {
            out.push('\\');
            out.push(escaped);
            rest = &rest[escaped.len_utf8()..];
        }
    }
    out.push_str(rest);
    out
}

/// What [`canonical`] does with a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// It counts.
    Yes,
    /// It is left out.
    No,
}

/// One spelling for equal values: members sorted by key, white space gone, escapes undone,
/// members that `keep` refuses left out. `keep` is given the keys of the enclosing objects
/// (arrays add none) and the member's own. Numbers keep their digits. Used to decide whether
/// something changed, never for what is kept.
pub fn canonical(bytes: &[u8], keep: &dyn Fn(&[String], &str) -> Keep) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let start = skip_space(bytes, 0);
    canonical_into(bytes, start..bytes.len(), keep, &mut Vec::new(), 0, &mut out);
    out
}

fn canonical_into(
    bytes: &[u8],
    range: Range<usize>,
    keep: &dyn Fn(&[String], &str) -> Keep,
    path: &mut Vec<String>,
    depth: usize,
    out: &mut Vec<u8>,
) {
    if depth > MAX_DEPTH {
        out.extend_from_slice(&bytes[range]);
        return;
    }
    match bytes.get(range.start) {
        Some(b'{') => {
            let mut found: Vec<(String, Range<usize>)> = members(bytes, range)
                .filter_map(|(key, value)| Some((text(&bytes[key])?, value)))
                .filter(|(key, _)| keep(path, key) == Keep::Yes)
                .collect();
            found.sort_by(|a, b| a.0.cmp(&b.0));
            out.push(b'{');
            for (key, value) in found {
                push_string(&key, out);
                out.push(b':');
                path.push(key);
                canonical_into(bytes, value, keep, path, depth + 1, out);
                path.pop();
                out.push(b',');
            }
            out.push(b'}');
        }
        Some(b'[') => {
            out.push(b'[');
            for element in elements(bytes, range).0 {
                canonical_into(bytes, element, keep, path, depth + 1, out);
                out.push(b',');
            }
            out.push(b']');
        }
        Some(b'"') => match std::str::from_utf8(&bytes[range.clone()]).ok().and_then(|_| text(&bytes[range.clone()])) {
            Some(decoded) if !decoded.contains(char::REPLACEMENT_CHARACTER) => push_string(&decoded, out),
            // What decoding would replace is compared as the bytes it is.
            _ => out.extend_from_slice(&bytes[range]),
        },
        _ => out.extend_from_slice(bytes[range].trim_ascii_end()),
    }
}

fn push_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text.bytes() {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

/// A boolean as `true`, `"true"`, `1` or `"1"`.
pub fn as_bool(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        Value::Number(number) => number.as_i64().map(|number| number != 0),
        Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" => Some(true),
            "false" | "0" | "no" | "" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// An integer, also as text or as a number with a fraction.
pub fn as_int(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| {
            #[expect(clippy::cast_possible_truncation, reason = "a fraction is cut off on purpose; the cast saturates")]
            number.as_f64().map(|float| float as i64)
        }),
        Value::String(text) => text.trim().split('.').next().and_then(|digits| digits.parse().ok()),
        _ => None,
    }
}

/// A text, also from a number or a boolean.
pub fn as_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(_: &[String], _: &str) -> Keep {
        Keep::Yes
    }

    #[test]
    fn items_are_cut_out_as_they_stand() {
        let page = br#"{"ok":true, "messages": [ {"a":"]}\"" , "b":[1,2]},nonsense here?,{"c":{}} ],"has_more":false}"#;
        let range = member(page, "messages").unwrap();
        let (items, closed) = elements(page, range);
        let cut: Vec<&[u8]> = items.iter().map(|r| &page[r.clone()]).collect();
        assert!(closed);
        assert_eq!(cut[0], br#"{"a":"]}\"" , "b":[1,2]}"#);
        assert_eq!(cut.last().unwrap(), &br#"{"c":{}}"#);
        assert_eq!(&page[member(page, "has_more").unwrap()], b"false");
    }

    #[test]
    fn a_page_cut_short_gives_the_whole_items_that_came() {
        let page = br#"{"ok":true,"messages":[{"ts":"1"},{"ts":"2"},{"ts":"#;
        let (items, closed) = elements(page, member(page, "messages").unwrap());
        assert_eq!(items.len(), 2);
        assert!(!closed);
    }

    #[test]
    fn text_survives_bad_unicode() {
        assert_eq!(text(br#""a\u00e9\ud83d\ude00\/""#).unwrap(), "aé😀/");
        assert_eq!(text(br#""x\ud800y""#).unwrap(), "x\u{fffd}y");
        assert_eq!(text(b"\"\xff\"").unwrap(), "\u{fffd}");
        assert_eq!(parse(br#"{"t":"x\ud800\ny"}"#).unwrap()["t"], "x\u{fffd}\ny");
        assert_eq!(parse(b"{\"t\":\"\xff\"}").unwrap()["t"], "\u{fffd}");
    }

    #[test]
    fn equal_values_have_one_canonical_spelling() {
        let a = canonical(br#"{ "b" : "a\/b", "a" : [1, {"x":null}] }"#, &all);
        let b = canonical(br#"{"a":[1,{"x":null}],"b":"a/b"}"#, &all);
        assert_eq!(a, b);
        assert_ne!(a, canonical(br#"{"a":[1,{"x":null}],"b":"a/c"}"#, &all));
        let dropped = canonical(br#"{"a":1,"unread":5}"#, &|_, key| if key == "unread" { Keep::No } else { Keep::Yes });
        assert_eq!(dropped, canonical(br#"{"a":1}"#, &all));
    }

    #[test]
    fn two_kinds_of_bad_text_do_not_become_one() {
        assert_ne!(canonical(br#"{"t":"\ud800"}"#, &all), canonical(br#"{"t":"\ud801"}"#, &all));
    }

    #[test]
    fn deep_nesting_ends() {
        let deep = "[".repeat(100_000);
        assert_eq!(value_end(deep.as_bytes(), 0), None);
        let closed = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
        assert_eq!(value_end(closed.as_bytes(), 0), Some(100_000));
        assert!(!canonical(closed.as_bytes(), &all).is_empty());
        assert_eq!(parse(closed.as_bytes()), None);
    }
}
