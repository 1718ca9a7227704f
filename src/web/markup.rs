//! Message text as pieces that a template prints, each escaped by it. No HTML of the source is
//! ever passed on.

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
        && let Some(end) = inner.find("```")
    {
        return Some((Piece::Block(unturned(&entities(&without_marks(inner[..end].trim_matches('\n'))))), end + 6));
    }
    if let Some(inner) = text.strip_prefix('`')
        && let Some(end) = inner.find(['`', '\n']).filter(|&end| end > 0 && inner.as_bytes()[end] == b'`')
    {
        return Some((Piece::Code(unturned(&entities(&without_marks(&inner[..end])))), end + 2));
    }
    if let Some(inner) = text.strip_prefix('<')
        && let Some(end) = inner.find(['>', '\n']).filter(|&end| inner.as_bytes()[end] == b'>')
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
    if (text.starts_with("http://") || text.starts_with("https://")) && !before.ends_with(char::is_alphanumeric) {
        let end = text.find(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"' | ')')).unwrap_or(text.len());
        let end = text[..end].trim_end_matches(['.', ',', ';', ':', '!', '?', '\'']).len();
        let href = entities(&without_marks(&text[..end]));
        let host = host(&href)?;
        return Some((Piece::Link { label: unturned(&href), href: address(href), host }, end));
    }
    None
}

/// A character that turns the direction of what follows, or is not seen at all.
fn is_control(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
}

/// What stands in one piece, with what would turn its direction shown as what it is.
fn unturned(text: &str) -> String {
    text.chars().map(|c| if is_control(c) { format!("[U+{:04X}]", u32::from(c)) } else { c.to_string() }).collect()
}

/// An address as a browser would send it, when it holds what would turn its direction.
fn address(href: String) -> String {
    if !href.contains(is_control) {
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

/// A name or file name with what would turn its direction shown as what it is.
pub(super) fn visible(text: &str) -> String {
    text.chars()
        .map(|c| if is_control(c) || c.is_control() { format!("[U+{:04X}]", u32::from(c)) } else { c.to_string() })
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

/// A piece of a comparison of two versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// In both.
    Same(String),
    /// Only in the earlier.
    Removed(String),
    /// Only in the later.
    Added(String),
}

/// Words compared at most; longer texts are shown one after the other.
const MAX_WORDS: usize = 2000;

/// What changed from one text to the next, word by word.
pub(super) fn compare(before: &str, after: &str) -> Vec<Change> {
    let words = |text: &str| -> Vec<String> {
        let mut out: Vec<String> = Vec::new();
        let mut in_space = None;
        for c in text.chars() {
            if in_space != Some(c.is_whitespace()) || out.is_empty() {
                out.push(String::new());
                in_space = Some(c.is_whitespace());
            }
            if let Some(last) = out.last_mut() {
                last.push(c);
            }
        }
        out
    };
    let (a, b) = (words(before), words(after));
    if a.len() > MAX_WORDS || b.len() > MAX_WORDS {
        return vec![Change::Removed(before.to_owned()), Change::Added(after.to_owned())];
    }
    // lengths[i][j]: the longest common subsequence of a[i..] and b[j..].
    let mut lengths = vec![vec![0_u32; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            lengths[i][j] =
                if a[i] == b[j] { lengths[i + 1][j + 1] + 1 } else { lengths[i + 1][j].max(lengths[i][j + 1]) };
        }
    }
    let mut out: Vec<Change> = Vec::new();
    let mut push = |change: Change| match (out.last_mut(), change) {
        (Some(Change::Same(text)), Change::Same(more))
        | (Some(Change::Removed(text)), Change::Removed(more))
        | (Some(Change::Added(text)), Change::Added(more)) => text.push_str(&more),
        (_, change) => out.push(change),
    };
    let (mut i, mut j) = (0, 0);
    while i < a.len() || j < b.len() {
        if i < a.len() && j < b.len() && a[i] == b[j] {
            push(Change::Same(a[i].clone()));
            i += 1;
            j += 1;
        } else if j >= b.len() || (i < a.len() && lengths[i + 1][j] >= lengths[i][j + 1]) {
            push(Change::Removed(a[i].clone()));
            i += 1;
        } else {
            push(Change::Added(b[j].clone()));
            j += 1;
        }
    }
    out
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
    fn the_direction_is_that_of_most_letters() {
        assert_eq!(direction(&of("IceWarp هذا نص طويل بالعربية")), "rtl");
        assert_eq!(direction(&of("the word שלום in English text")), "ltr");
    }

    #[test]
    fn versions_are_compared_word_by_word() {
        assert_eq!(
            compare("signed the order tomorrow", "signed the order today"),
            [
                Change::Same("signed the order ".into()),
                Change::Removed("tomorrow".into()),
                Change::Added("today".into())
            ]
        );
        assert_eq!(compare("a", "a"), [Change::Same("a".into())]);
    }
}
