//! Message text as pieces that a template prints, each escaped by it. No HTML of the source is
//! ever passed on.

mod address;
mod comparison;

#[cfg(test)]
pub(super) use self::address::LOOKED;
pub(super) use self::address::{ahead, bare_address};
pub(super) use self::comparison::{Change, Effort, changes, compare, whole};
use crate::history::Directory;
use crate::index::{HIT_END, HIT_START};
use crate::model::ChannelId;

/// A piece of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// Plain.
    Text(String),
    /// Plain, and what a search found.
    Hit(String),
    /// A link, which is shown with its host and leads out of the archive.
    Link {
        /// `http` or `https`.
        href: String,
        /// What it is called.
        label: String,
        /// Where it leads.
        host: String,
    },
    /// A person or channel.
    Mention(String),
    /// Between back-quotes.
    Code(String),
    /// Between triple back-quotes.
    Block(String),
    /// A character that changes the direction of text without being seen.
    Control(String),
}

/// Percent-encodes what has a meaning in a path or query.
pub(super) fn encode(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

fn entities(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

fn without_marks(text: &str) -> String {
    text.replace([HIT_START, HIT_END], "")
}

/// The host of an address, if it is one that a browser may follow.
fn host(href: &str) -> Option<String> {
    let url = url::Url::parse(href).ok()?;
    matches!(url.scheme(), "http" | "https").then(|| url.host_str().map(str::to_owned)).flatten()
}

/// The pieces of a message. Hit marks in `text` become [`Piece::Hit`].
pub(super) fn pieces(text: &str, directory: &Directory) -> Vec<Piece> {
    let mut out = Vec::new();
    let mut in_hit = false;
    let mut rest = text;
    while !rest.is_empty() {
        let next = rest.find(['<', '`', 'h']).unwrap_or(rest.len());
        let (plain, tail) = rest.split_at(next);
        plain_pieces(plain, &mut in_hit, &mut out);
        let Some((piece, used)) = special(tail, plain, directory) else {
            let length = tail.chars().next().map_or(0, char::len_utf8);
            plain_pieces(&tail[..length], &mut in_hit, &mut out);
            rest = &tail[length..];
            continue;
        };
        out.push(piece);
        rest = &tail[used..];
    }
    merge(out)
}

/// A link, mention or code that `text` begins with, and how many bytes it is.
fn special(text: &str, before: &str, directory: &Directory) -> Option<(Piece, usize)> {
    if let Some(inner) = text.strip_prefix("```")
        && let Some(end) = ahead(inner, inner.find("```"))
    {
        return Some((Piece::Block(unturned(&entities(&without_marks(inner[..end].trim_matches('\n'))))), end + 6));
    }
    if let Some(inner) = text.strip_prefix('`')
        && let Some(end) = ahead(inner, inner.find(['`', '\n'])).filter(|&end| end > 0 && inner.as_bytes()[end] == b'`')
    {
        return Some((Piece::Code(unturned(&entities(&without_marks(&inner[..end])))), end + 2));
    }
    if let Some(inner) = text.strip_prefix('<')
        && let Some(end) = ahead(inner, inner.find(['<', '>', '\n'])).filter(|&end| inner.as_bytes()[end] == b'>')
    {
        let inside = without_marks(&inner[..end]);
        let (target, label) =
            inside.split_once('|').map_or((inside.as_str(), None), |(target, label)| (target, Some(label)));
        let used = end + 2;
        if let Some(id) = target.strip_prefix('@') {
            let known = directory.people.get(id).map(|facts| facts.name.as_str());
            return Some((Piece::Mention(unturned(&format!("@{}", known.or(label).unwrap_or(id)))), used));
        }
        if let Some(id) = target.strip_prefix('#') {
            let name =
                label.map(str::to_owned).or_else(|| ChannelId::parse(id).map(|id| directory.channel(&id).to_owned()));
            return Some((Piece::Mention(unturned(&format!("#{}", name.unwrap_or_else(|| id.to_owned())))), used));
        }
        if let Some(command) = target.strip_prefix('!') {
            return Some((Piece::Mention(unturned(&format!("@{}", label.unwrap_or(command)))), used));
        }
        let href = entities(target);
        let host = host(&href)?;
        let label = unturned(&entities(label.unwrap_or(target)));
        return Some((Piece::Link { label, href: address(href), host }, used));
    }
    if before.ends_with(char::is_alphanumeric) {
        return None;
    }
    let written = |text: &str| entities(&without_marks(text));
    let end = bare_address(text, |text| host(&written(text)).is_some())?;
    let href = written(&text[..end]);
    let host = host(&href)?;
    Some((Piece::Link { label: unturned(&href), href: address(href), host }, end))
}

/// A character that turns the direction of what follows.
fn is_control(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}')
}

/// A character that turns the direction of what follows, or is not seen at all: with it a name looks like another.
/// Joiners are not among them, since scripts are written with them.
pub(super) fn is_unseen(c: char) -> bool {
    is_control(c) || matches!(c, '\u{ad}' | '\u{180e}' | '\u{200b}' | '\u{2060}'..='\u{2065}' | '\u{feff}')
}

/// What stands in one piece, with what would turn its direction shown as what it is.
fn unturned(text: &str) -> String {
    text.chars().map(|c| if is_control(c) { format!("[U+{:04X}]", u32::from(c)) } else { c.to_string() }).collect()
}

/// An address as a browser would send it, when it holds what would turn its direction.
fn address(href: String) -> String {
    if !href.contains(is_unseen) {
        return href;
    }
    url::Url::parse(&href).map_or(href, String::from)
}

/// Adds plain text; `in_hit` says whether it begins inside a hit, and is left as it ends.
fn plain_pieces(text: &str, in_hit: &mut bool, out: &mut Vec<Piece>) {
    let text = entities(text);
    let mut plain = String::new();
    for c in text.chars() {
        match c {
            HIT_START => {
                out.push(Piece::Text(std::mem::take(&mut plain)));
                *in_hit = true;
            }
            HIT_END => {
                out.push(if *in_hit {
                    Piece::Hit(std::mem::take(&mut plain))
                } else {
                    Piece::Text(std::mem::take(&mut plain))
                });
                *in_hit = false;
            }
            c if is_control(c) => {
                out.push(if *in_hit {
                    Piece::Hit(std::mem::take(&mut plain))
                } else {
                    Piece::Text(std::mem::take(&mut plain))
                });
                out.push(Piece::Control(format!("U+{:04X}", u32::from(c))));
            }
            c => plain.push(c),
        }
    }
    out.push(if *in_hit { Piece::Hit(plain) } else { Piece::Text(plain) });
}

/// Joins neighbours of a kind and drops what is empty.
fn merge(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut out: Vec<Piece> = Vec::new();
    for piece in pieces {
        match (out.last_mut(), piece) {
            (_, Piece::Text(text) | Piece::Hit(text)) if text.is_empty() => {}
            (Some(Piece::Text(before)), Piece::Text(text)) | (Some(Piece::Hit(before)), Piece::Hit(text)) => {
                before.push_str(&text);
            }
            (_, piece) => out.push(piece),
        }
    }
    out
}

/// The pieces of a text that is not in the chat's notation, such as what was read in a file: hits, and what is not
/// seen as what it is.
pub(super) fn lines(text: &str) -> Vec<Piece> {
    let mut out: Vec<Piece> = Vec::new();
    let mut is_hit = false;
    for c in text.chars() {
        let shown = match c {
            HIT_START | HIT_END => {
                is_hit = c == HIT_START;
                continue;
            }
            '\r' => continue,
            '\n' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => '\n',
            c if c != '\t' && (is_unseen(c) || c.is_control()) => {
                out.push(Piece::Control(format!("U+{:04X}", u32::from(c))));
                continue;
            }
            c => c,
        };
        match (out.last_mut(), is_hit) {
            (Some(Piece::Text(text)), false) | (Some(Piece::Hit(text)), true) => text.push(shown),
            (_, true) => out.push(Piece::Hit(shown.to_string())),
            (_, false) => out.push(Piece::Text(shown.to_string())),
        }
    }
    out
}

/// A name or file name with what is not seen in it shown as what it is.
pub(super) fn visible(text: &str) -> String {
    text.chars()
        .map(|c| if is_unseen(c) || c.is_control() { format!("[U+{:04X}]", u32::from(c)) } else { c.to_string() })
        .collect()
}

/// `rtl` when most letters outside addresses and code are of a right-to-left script: the first
/// letter alone is often that of a brand or path.
pub(super) fn direction(pieces: &[Piece]) -> &'static str {
    let (mut right, mut left) = (0_u32, 0_u32);
    for piece in pieces {
        let (Piece::Text(text) | Piece::Hit(text)) = piece else { continue };
        for c in text.chars().filter(|c| c.is_alphabetic()) {
            match c {
                '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{feff}' => right += 1,
                _ => left += 1,
            }
        }
    }
    if right > left { "rtl" } else { "ltr" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<Piece> {
        pieces(text, &Directory::default())
    }

    fn text(text: &str) -> Piece {
        Piece::Text(text.to_owned())
    }

    #[test]
    fn marks_become_pieces() {
        assert_eq!(
            of("see <https://a.example/x|the plan> or https://b.example/y?z=1. `let x` <@sara@a.example|Sara>"),
            [
                text("see "),
                Piece::Link { href: "https://a.example/x".into(), label: "the plan".into(), host: "a.example".into() },
                text(" or "),
                Piece::Link {
                    href: "https://b.example/y?z=1".into(),
                    label: "https://b.example/y?z=1".into(),
                    host: "b.example".into()
                },
                text(". "),
                Piece::Code("let x".into()),
                text(" "),
                Piece::Mention("@Sara".into()),
            ]
        );
        assert_eq!(of("```\na < b\n```"), [Piece::Block("a < b".into())]);
        assert_eq!(of("a &lt;b&gt; &amp;amp;"), [text("a <b> &amp;")]);
    }

    #[test]
    fn addresses_that_run_code_are_text() {
        for hostile in ["<javascript:alert(1)|click>", "<data:text/html,x>", "javascript:alert(1)"] {
            assert!(of(hostile).iter().all(|piece| !matches!(piece, Piece::Link { .. })), "{hostile}");
        }
    }

    #[test]
    fn hits_and_hidden_characters_are_shown() {
        assert_eq!(of("a \u{e000}hit\u{e001} b"), [text("a "), Piece::Hit("hit".into()), text(" b")]);
        assert_eq!(of("a\u{202e}b"), [text("a"), Piece::Control("U+202E".into()), text("b")]);
        assert_eq!(visible("a\u{202e}gpj.exe\n"), "a[U+202E]gpj.exe[U+000A]");
    }

    #[test]
    fn a_text_of_a_file_is_shown_as_it_is_written() {
        assert_eq!(
            lines("<b> &lt; https://a.example `x`\r\n\u{e000}hit\u{e001}\t\u{202e}\u{0}end"),
            [
                text("<b> &lt; https://a.example `x`\n"),
                Piece::Hit("hit".into()),
                text("\t"),
                Piece::Control("U+202E".into()),
                Piece::Control("U+0000".into()),
                text("end"),
            ]
        );
        assert_eq!(lines(""), []);
        assert_eq!(visible("pay\u{200b}pal می\u{200c}خواهم"), "pay[U+200B]pal می\u{200c}خواهم");
    }

    #[test]
    fn the_direction_is_that_of_most_letters() {
        assert_eq!(direction(&of("IceWarp هذا نص طويل بالعربية")), "rtl");
        assert_eq!(direction(&of("the word שלום in English text")), "ltr");
    }

    #[test]
    fn the_steps_of_reading_a_message_grow_with_its_length_and_no_faster() {
        for piece in [
            "<",
            "<a",
            "<a\n",
            "<@",
            "<http://%",
            "h",
            "http://%",
            "http://[",
            "http://%?",
            "http://%\\",
            "http:///",
            "`",
            "``a",
            "`a\n",
            "````a",
            "http://a/\u{200b}",
            "http://a\u{1}/",
            "https://a.example/",
            "<https://a.example|<",
        ] {
            let text = piece.repeat(200_000 / piece.len());
            LOOKED.set(0);
            of(&text);
            let looked = LOOKED.get();
            assert!(looked <= 8 * text.len(), "{piece:?}: {looked} bytes were looked at in {}", text.len());
        }
    }

    #[test]
    fn a_target_ends_where_another_begins() {
        let link = Piece::Link { href: "https://a.example".into(), label: "a".into(), host: "a.example".into() };
        assert_eq!(of("<b <https://a.example|a>"), [text("<b "), link]);
        assert_eq!(of("a < b <c"), [text("a < b <c")]);
    }
}
