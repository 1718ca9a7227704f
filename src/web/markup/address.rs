//! Addresses that stand in a message as they are, and how far one is looked for. No look ahead begins anew what
//! another one went through, so that the steps of reading a message grow with its length and no faster.

use crate::index::{HIT_END, HIT_START};

#[cfg(test)]
thread_local! {
    /// Bytes that looks ahead went through, on this thread.
    pub(in crate::web) static LOOKED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// What a look ahead in `text` found. Tests add up how far all of them went.
pub(in crate::web) fn ahead(text: &str, found: Option<usize>) -> Option<usize> {
    #[cfg(test)]
    LOOKED.set(LOOKED.get() + found.unwrap_or(text.len()));
    #[cfg(not(test))]
    let _ = text;
    found
}

fn ends(c: char) -> bool {
    c.is_whitespace() || matches!(c, '<' | '>' | '"' | ')')
}

/// How many bytes of `text` are the address that it begins with, if it begins with one of the web. `is_address` is
/// asked whether a browser may follow what is written so.
///
/// Whether it may is decided by the host, and whatever follows that may be long and hold other addresses: it is
/// looked at when the beginning is no reason to refuse, and then never again.
pub(in crate::web) fn bare_address(text: &str, is_address: impl Fn(&str) -> bool) -> Option<usize> {
    let scheme = ["http://", "https://"].into_iter().find(|scheme| text.starts_with(*scheme))?.len();
    // Browsers pass over any number of slashes here, and marks of hits are not part of the text.
    let slashes = &text[scheme..];
    let is_passed = |c: char| matches!(c, '/' | '\\' | HIT_START | HIT_END);
    let host = scheme + ahead(slashes, slashes.find(|c: char| !is_passed(c))).unwrap_or(slashes.len());
    let rest = &text[host..];
    let stop = ahead(rest, rest.find(|c: char| ends(c) || matches!(c, '/' | '\\' | '#'))).unwrap_or(rest.len());
    if rest[stop..].starts_with(['/', '\\', '#']) && !is_address(&text[..=host + stop]) {
        return None;
    }
    let end = host + ahead(rest, rest.find(ends)).unwrap_or(rest.len());
    let end = text[..end].trim_end_matches(['.', ',', ';', ':', '!', '?', '\'']).len();
    is_address(&text[..end]).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTS: [&str; 27] = [
        "http://",
        "https://",
        "a",
        "b.example",
        "1",
        "%",
        "%41",
        "[",
        "::1",
        "]",
        ":",
        ":80",
        "/",
        "\\",
        "?",
        "#",
        "@",
        ".",
        "!",
        ",",
        "&lt;",
        "&amp;",
        "\u{e000}",
        "\u{1}",
        "é",
        "xn--",
        " ",
    ];

    /// As a message has it: marks of hits are no part of it, and three characters are written otherwise.
    fn is_address(text: &str) -> bool {
        let text = text.replace([HIT_START, HIT_END], "").replace("&lt;", "<").replace("&amp;", "&");
        url::Url::parse(&text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.host_str().is_some())
    }

    /// The same, from the whole of what may be one.
    fn slowly(text: &str) -> Option<usize> {
        if !text.starts_with("http://") && !text.starts_with("https://") {
            return None;
        }
        let end = text.find(ends).unwrap_or(text.len());
        let end = text[..end].trim_end_matches(['.', ',', ';', ':', '!', '?', '\'']).len();
        is_address(&text[..end]).then_some(end)
    }

    proptest::proptest! {
        #[test]
        fn the_beginning_of_an_address_decides_as_the_whole_does(
            scheme in 0_usize..2,
            parts in proptest::collection::vec(0..PARTS.len(), 0..16),
        ) {
            let text: String = std::iter::once(scheme).chain(parts).map(|part| PARTS[part]).collect();
            proptest::prop_assert_eq!(bare_address(&text, is_address), slowly(&text));
        }
    }

    #[test]
    fn an_address_ends_before_what_closes_a_sentence() {
        for (text, end) in [
            ("https://b.example/y?z=1. And", Some(23)),
            ("http://[::1].?", Some(12)),
            ("http://%/x", None),
            ("http:////a\"", Some(10)),
            ("http://", None),
            ("ftp://a", None),
        ] {
            assert_eq!(bare_address(text, is_address), end, "{text}");
        }
    }
}
