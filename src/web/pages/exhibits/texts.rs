//! Texts as an exhibit shows them: in pieces of which each says what was sent in its place, so that what is shown
//! can be held against the proven bytes (`schemas/verify/exhibit.js` and `verify.py` do it, by the same rules).

use std::collections::BTreeMap;

use crate::history::Directory;
use crate::model::ChannelId;
use crate::web::markup::{Change, ahead, bare_address, changes};

/// A piece of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Bit {
    /// As it was sent, but for three entities and the first half of CRLF.
    Text(String),
    /// A character that is not seen, or turns the direction of what follows.
    Control {
        /// Its number.
        code: u32,
        /// `U+202E`.
        label: String,
    },
    /// Something in the server's notation.
    Token {
        /// `mention`, `link` or `code`.
        kind: &'static str,
        /// As it was sent.
        written: String,
        /// What it means.
        shown: String,
    },
}

/// A stretch of a comparison: in both, only in the earlier text (`del`), or only in the later (`ins`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) side: &'static str,
    pub(crate) bits: Vec<Bit>,
}

/// The names that an exhibit shows, by id: of people, and of channels that are mentioned.
#[derive(Debug, Default)]
pub(crate) struct Named(pub(crate) BTreeMap<String, String>);

impl Named {
    /// The name of an id, if it has one; the exhibit lists it then.
    pub(crate) fn of(&mut self, directory: &Directory, id: &str) -> Option<String> {
        let channel = || ChannelId::parse(id).and_then(|id| directory.channels.get(&id));
        let name = directory.people.get(id).map(|facts| &facts.name).or_else(|| channel().map(|facts| &facts.name))?;
        let name = plain(name);
        self.0.insert(id.to_owned(), name.clone());
        Some(name)
    }
}

/// Whether a character of a text is shown by its number. Joiners are not: scripts are written with them.
fn is_odd(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\t'))
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

fn code_of(c: char) -> String {
    format!("U+{:04X}", u32::from(c))
}

/// A name, or whatever stands on one line, with what is not seen in it shown as what it is.
pub(crate) fn plain(text: &str) -> String {
    let shown =
        |c: char| if is_odd(c) || matches!(c, '\n' | '\t') { format!("[{}]", code_of(c)) } else { c.to_string() };
    text.chars().map(shown).collect()
}

fn decoded(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

/// Plain text in pieces, added to `out`.
fn add_plain(text: &str, out: &mut Vec<Bit>) {
    let text = decoded(text);
    let mut chars = text.chars().peekable();
    let mut held = String::new();
    while let Some(c) = chars.next() {
        if c == '\r' && chars.peek() == Some(&'\n') {
            continue;
        }
        if is_odd(c) {
            flush(&mut held, out);
            out.push(Bit::Control { code: u32::from(c), label: code_of(c) });
        } else {
            held.push(c);
        }
    }
    flush(&mut held, out);
}

fn flush(held: &mut String, out: &mut Vec<Bit>) {
    match out.last_mut() {
        _ if held.is_empty() => {}
        Some(Bit::Text(before)) => before.push_str(&std::mem::take(held)),
        _ => out.push(Bit::Text(std::mem::take(held))),
    }
}

/// The pieces of a message's text.
pub(crate) fn bits(text: &str, directory: &Directory, named: &mut Named) -> Vec<Bit> {
    let mut out = Vec::new();
    let mut rest = text;
    let mut plain_from = rest;
    let mut refused = usize::MAX;
    while !rest.is_empty() {
        let before = &plain_from[..plain_from.len() - rest.len()];
        if let Some((kind, length, shown)) = token(rest, before, &mut refused, directory, named) {
            add_plain(before, &mut out);
            out.push(Bit::Token { kind, written: rest[..length].to_owned(), shown });
            rest = &rest[length..];
            plain_from = rest;
        } else {
            let length = rest.chars().next().map_or(0, char::len_utf8);
            rest = &rest[length..];
            rest = &rest[rest.find(['<', '`', 'h']).unwrap_or(rest.len())..];
        }
    }
    add_plain(plain_from, &mut out);
    out
}

/// A mention, link or code that a text begins with: its kind, its length in bytes, and what it is shown as.
///
/// `refused` is how much of the text is left from the character on for which an address was refused last. What begins
/// in that address before the character is refused for the same one, and is not looked through again.
fn token(
    text: &str,
    before: &str,
    refused: &mut usize,
    directory: &Directory,
    named: &mut Named,
) -> Option<(&'static str, usize, String)> {
    let found = if let Some(inner) = text.strip_prefix("```") {
        let end = ahead(inner, inner.find("```"))?;
        ("code", end + 6, decoded(inner[..end].trim_matches('\n')))
    } else if let Some(inner) = text.strip_prefix('`') {
        let end = ahead(inner, inner.find(['`', '\n'])).filter(|end| *end > 0 && inner.as_bytes()[*end] == b'`')?;
        ("code", end + 2, decoded(&inner[..end]))
    } else if let Some(inner) = text.strip_prefix('<') {
        let end = ahead(inner, inner.find(['<', '>', '\n'])).filter(|end| inner.as_bytes()[*end] == b'>')?;
        let (target, label) = inner[..end].split_once('|').map_or((&inner[..end], None), |(a, b)| (a, Some(b)));
        if let Some(id) = target.strip_prefix(['@', '#', '!']) {
            let sign = if target.starts_with('#') { '#' } else { '@' };
            let name = named.of(directory, id).unwrap_or_else(|| plain(label.unwrap_or(id)));
            ("mention", end + 2, format!("{sign}{name}"))
        } else {
            let href = decoded(target);
            if !is_address(&href) {
                return None;
            }
            let label = decoded(label.unwrap_or_default());
            let shown = if label.is_empty() || label == href { href } else { format!("{label} ({href})") };
            ("link", end + 2, shown)
        }
    } else {
        if before.ends_with(char::is_alphanumeric) || text.len() > *refused {
            return None;
        }
        let end = bare_address(text, |text| is_address(&decoded(text)))?;
        if let Some(odd) = text[..end].rfind(is_odd) {
            *refused = text.len() - odd;
            return None;
        }
        ("link", end, decoded(&text[..end]))
    };
    // What is not seen in it would be shown as if it were not there.
    (!text[..found.1].contains(is_odd)).then_some(found)
}

fn is_address(href: &str) -> bool {
    url::Url::parse(href).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// What changed from one text to the next.
pub(crate) fn runs(before: &str, after: &str) -> Vec<Run> {
    let run = |change| {
        let (side, text) = match change {
            Change::Same(text) => ("", text),
            Change::Removed(text) => ("del", text),
            Change::Added(text) => ("ins", text),
        };
        let mut bits = Vec::new();
        add_plain(&text, &mut bits);
        Run { side, bits }
    };
    changes(before, after).into_iter().map(run).collect()
}

/// A text that is compared with none.
pub(crate) fn unchanged(text: &str) -> Vec<Run> {
    let mut bits = Vec::new();
    add_plain(text, &mut bits);
    vec![Run { side: "", bits }]
}

/// `rtl` when most letters outside tokens are of a right-to-left script.
pub(crate) fn direction(bits: &[Bit]) -> &'static str {
    let texts = bits.iter().filter_map(|bit| if let Bit::Text(text) = bit { Some(text) } else { None });
    let (mut right, mut left) = (0_u32, 0_u32);
    for c in texts.flat_map(|text| text.chars()).filter(|c| c.is_alphabetic()) {
        match c {
            '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{feff}' => right += 1,
            _ => left += 1,
        }
    }
    if right > left { "rtl" } else { "ltr" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::PersonFacts;
    use crate::web::markup::LOOKED;

    fn of(text: &str) -> Vec<Bit> {
        let mut directory = Directory::default();
        directory.people.insert("sara@x".into(), PersonFacts { name: "Sara\u{202e}".into(), ..Default::default() });
        bits(text, &directory, &mut Named::default())
    }

    fn token(kind: &'static str, written: &str, shown: &str) -> Bit {
        Bit::Token { kind, written: written.to_owned(), shown: shown.to_owned() }
    }

    fn text(text: &str) -> Bit {
        Bit::Text(text.to_owned())
    }

    #[test]
    fn every_piece_says_what_was_sent_in_its_place() {
        assert_eq!(
            of(
                "hi <@sara@x|S> &lt;b&gt; see <https://a.example/?x=1&amp;y|the plan>, https://b.example. `a &amp; b`\r\nend"
            ),
            [
                text("hi "),
                token("mention", "<@sara@x|S>", "@Sara[U+202E]"),
                text(" <b> see "),
                token("link", "<https://a.example/?x=1&amp;y|the plan>", "the plan (https://a.example/?x=1&y)"),
                text(", "),
                token("link", "https://b.example", "https://b.example"),
                text(". "),
                token("code", "`a &amp; b`", "a & b"),
                text("\nend"),
            ]
        );
        assert_eq!(of("```\nlet x\n```"), [token("code", "```\nlet x\n```", "let x")]);
        assert_eq!(
            of("<!here> <#C9>"),
            [token("mention", "<!here>", "@here"), text(" "), token("mention", "<#C9>", "#C9")]
        );
    }

    #[test]
    fn what_is_not_seen_is_shown_and_hides_in_no_token() {
        let chip = |code: u32| Bit::Control { code, label: format!("U+{code:04X}") };
        assert_eq!(of("a\u{202e}b\rc\u{0}"), [text("a"), chip(0x202e), text("b"), chip(13), text("c"), chip(0)]);
        assert_eq!(of("<@x|\u{200b}y>"), [text("<@x|"), chip(0x200b), text("y>")]);
        assert_eq!(of("<javascript:alert(1)|x>"), [text("<javascript:alert(1)|x>")]);
        assert_eq!(of("می\u{200c}خواهم"), [text("می\u{200c}خواهم")]);
        assert_eq!(plain("a\n\u{feff}b"), "a[U+000A][U+FEFF]b");
        assert_eq!(direction(&of("IceWarp هذا نص طويل")), "rtl");
    }

    /// The same as [`bits`], with no memory of what was refused.
    fn slowly(text: &str) -> Vec<Bit> {
        let (directory, mut named) = (Directory::default(), Named::default());
        let (mut out, mut from, mut at) = (Vec::new(), 0, 0);
        while at < text.len() {
            let found = super::token(&text[at..], &text[from..at], &mut { usize::MAX }, &directory, &mut named);
            let Some((kind, length, shown)) = found else {
                at += text[at..].chars().next().map_or(1, char::len_utf8);
                continue;
            };
            add_plain(&text[from..at], &mut out);
            out.push(Bit::Token { kind, written: text[at..at + length].to_owned(), shown });
            (from, at) = (at + length, at + length);
        }
        add_plain(&text[from..], &mut out);
        out
    }

    proptest::proptest! {
        #[test]
        fn what_was_refused_once_is_refused_for_all_that_begins_in_it(
            parts in proptest::collection::vec(0_usize..16, 0..24),
        ) {
            let known = [
                "http://", "https://", "a.example", "/", "%", "\u{200b}", "\u{e000}", ".", " ", "\n", "<", ">", "|", "`",
                "```", "h",
            ];
            let text: String = parts.into_iter().map(|part| known[part]).collect();
            proptest::prop_assert_eq!(of(&text), slowly(&text));
        }
    }

    #[test]
    fn the_steps_of_reading_a_message_grow_with_its_length_and_no_faster() {
        let pieces = [
            "<",
            "<a\n",
            "<http://%",
            "http://%",
            "http://%?",
            "`",
            "``a",
            "````a",
            "```\u{200b}",
            "`\u{200b}",
            "http://a/",
            "http://a/\u{200b}",
            "http://a/`x`\u{200b}",
            "<https://a/\u{200b}>",
        ];
        for piece in pieces {
            let text = piece.repeat(200_000 / piece.len());
            LOOKED.set(0);
            of(&text);
            assert!(LOOKED.get() <= 8 * text.len(), "{piece:?}: {} bytes in {}", LOOKED.get(), text.len());
        }
        // One character at the end, for which all of it is refused.
        let text = format!("{}\u{200b}", "http://a/".repeat(20_000));
        LOOKED.set(0);
        of(&text);
        assert!(LOOKED.get() <= 8 * text.len(), "{} bytes in {}", LOOKED.get(), text.len());
    }

    #[test]
    fn a_comparison_has_what_was_sent_on_each_side() {
        let run = |side, text: &str| Run { side, bits: vec![Bit::Text(text.to_owned())] };
        assert_eq!(runs("due &lt;mon&gt;", "due tue"), [run("", "due "), run("del", "<mon>"), run("ins", "tue")]);
        assert_eq!(unchanged(""), [Run { side: "", bits: Vec::new() }]);
    }
}
