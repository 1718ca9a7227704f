//! Texts for people to read: what a message says as pieces, and the pieces as HTML or as plain text. Nothing
//! of the source becomes markup: each piece is escaped where it is written, and a character that is not seen,
//! or that turns the direction of what follows, is shown as its number. The three marks that people who write
//! Hebrew or Arabic type between words (U+200E, U+200F, U+061C) stay: they turn nothing but themselves, and a
//! search for a phrase finds it.

use super::names::Names;
use crate::model::{ChannelId, UtcTime};

/// How plain text is set off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Style {
    bold: bool,
    italic: bool,
    struck: bool,
}

/// A piece of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Text(String, Style),
    /// Leads to an `http` or `https` address.
    Link {
        href: String,
        label: String,
    },
    /// A person, a channel, or everybody.
    Mention(String),
    /// Between back-quotes.
    Code(String),
    /// Between triple back-quotes.
    Block(String),
}

/// Longer addresses stay text.
const LONGEST_ADDRESS: usize = 4096;

/// Whether a character would not be seen, or would turn the direction of what follows.
pub(super) fn is_hidden(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// How many characters of a text are shown as their numbers.
pub(super) fn hidden_in(text: &str) -> usize {
    // A line end of two characters is a line end.
    text.chars().filter(|c| is_hidden(*c)).count() - text.matches("\r\n").count()
}

/// A text on one line, with what is hidden in it shown as its number.
pub(super) fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' | '\t' => out.push(' '),
            '\r' if chars.peek() == Some(&'\n') => {}
            c if is_hidden(c) => out.push_str(&format!("[U+{:04X}]", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

/// A text as it can stand in HTML, in an element or between double quotes.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' if chars.peek() == Some(&'\n') => {}
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if is_hidden(c) => out.push_str(&format!("[U+{:04X}]", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

/// A text as it can stand between double quotes in a style sheet inside HTML.
pub(super) fn css_string(text: &str) -> String {
    let mut out = String::new();
    for c in visible(text).chars() {
        if c.is_alphanumeric() || matches!(c, ' ' | '-' | '.' | ',' | ':' | '+') {
            out.push(c);
        } else {
            out.push_str(&format!("\\{:x} ", u32::from(c)));
        }
    }
    out
}

/// A relative path as a link has it.
pub(super) fn path_href(path: &str) -> String {
    const KEPT: &percent_encoding::AsciiSet =
        &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'/');
    percent_encoding::utf8_percent_encode(path, KEPT).to_string()
}

fn entities(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

/// An address that a reader may follow, written as a browser would send it.
fn address(href: &str) -> Option<String> {
    if href.len() > LONGEST_ADDRESS {
        return None;
    }
    let url = url::Url::parse(href).ok()?;
    (matches!(url.scheme(), "http" | "https") && url.has_host()).then(|| url.into())
}

/// An address for a link, if it is one that a reader may follow.
pub(super) fn link(href: &str) -> Option<String> {
    address(href)
}

/// The pieces of a text of the server, with people and channels by their names at a time.
pub(super) fn pieces(text: &str, names: &Names, time: UtcTime) -> Vec<Piece> {
    let mut parser = Parser { names, time, style: Style::default(), ends: [0; 3], no_end: [0; 3], out: Vec::new() };
    let mut plain = String::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let before = text[..at].chars().next_back();
        if matches!(c, '<' | '`' | 'h')
            && let Some((piece, used)) = parser.special(&text[at..], before)
        {
            parser.flush(&mut plain);
            parser.out.push(piece);
            at += used;
            parser.end_before(at);
        } else if matches!(c, '*' | '_' | '~') && parser.mark(text, at, c, before, &mut plain) {
            at += 1;
        } else {
            plain.push(c);
            at += c.len_utf8();
        }
    }
    parser.flush(&mut plain);
    parser.out
}

struct Parser<'a> {
    names: &'a Names,
    time: UtcTime,
    style: Style,
    /// Where what is bold, italic, struck ends.
    ends: [usize; 3],
    /// Up to where it is known that nothing ends: a text of marks alone is read once, not once a mark.
    no_end: [usize; 3],
    out: Vec<Piece>,
}

impl Parser<'_> {
    fn flush(&mut self, plain: &mut String) {
        if !plain.is_empty() {
            self.out.push(Piece::Text(entities(plain), self.style));
            plain.clear();
        }
    }

    fn flag(&mut self, n: usize) -> &mut bool {
        match n {
            0 => &mut self.style.bold,
            1 => &mut self.style.italic,
            _ => &mut self.style.struck,
        }
    }

    /// Ends what should have ended inside a piece that was just taken.
    fn end_before(&mut self, at: usize) {
        for n in 0..3 {
            if at > self.ends[n] {
                *self.flag(n) = false;
            }
        }
    }

    /// Takes a mark that begins or ends a style; `false`: it is text.
    fn mark(&mut self, text: &str, at: usize, c: char, before: Option<char>, plain: &mut String) -> bool {
        let n = match c {
            '*' => 0,
            '_' => 1,
            _ => 2,
        };
        if *self.flag(n) {
            if at != self.ends[n] {
                return false;
            }
            self.flush(plain);
            *self.flag(n) = false;
            return true;
        }
        let rest = &text[at + 1..];
        let begins = before.is_none_or(|c| !c.is_alphanumeric())
            && rest.chars().next().is_some_and(|next| !next.is_whitespace() && next != c);
        if !begins || at < self.no_end[n] {
            return false;
        }
        let mut last = c;
        let mut chars = rest.char_indices().peekable();
        while let Some((place, found)) = chars.next() {
            if found == '\n' {
                self.no_end[n] = at + 1 + place;
                return false;
            }
            let next = chars.peek().map(|(_, next)| *next);
            if found == c && !last.is_whitespace() && next.is_none_or(|next| !next.is_alphanumeric() && next != c) {
                self.flush(plain);
                *self.flag(n) = true;
                self.ends[n] = at + 1 + place;
                return true;
            }
            last = found;
        }
        self.no_end[n] = text.len();
        false
    }

    /// A link, mention or code that `text` begins with, and how many bytes it is.
    fn special(&self, text: &str, before: Option<char>) -> Option<(Piece, usize)> {
        if let Some(inner) = text.strip_prefix("```")
            && let Some(end) = inner.find("```")
        {
            return Some((Piece::Block(entities(inner[..end].trim_matches('\n'))), end + 6));
        }
        if let Some(inner) = text.strip_prefix('`') {
            let end = inner.find(['`', '\n']).filter(|end| *end > 0 && inner[*end..].starts_with('`'))?;
            return Some((Piece::Code(entities(&inner[..end])), end + 2));
        }
        if let Some(inner) = text.strip_prefix('<') {
            let end = inner.find(['>', '<', '\n']).filter(|end| inner[*end..].starts_with('>'))?;
            return Some((self.pointed(&inner[..end])?, end + 2));
        }
        if !(text.starts_with("http://") || text.starts_with("https://")) || before.is_some_and(char::is_alphanumeric) {
            return None;
        }
        let mut window = text.len().min(LONGEST_ADDRESS + 1);
        while !text.is_char_boundary(window) {
            window -= 1;
        }
        let end = text[..window]
            .find(|c: char| c.is_whitespace() || is_hidden(c) || matches!(c, '<' | '>' | '"' | ')' | '`'))
            .unwrap_or(window);
        let end = text[..end].trim_end_matches(['.', ',', ';', ':', '!', '?', '\'', '*', '_', '~']).len();
        let label = entities(&text[..end]);
        Some((Piece::Link { href: address(&label)?, label }, end))
    }

    /// What stands between `<` and `>`.
    fn pointed(&self, inside: &str) -> Option<Piece> {
        let (target, label) = inside.split_once('|').map_or((inside, None), |(target, label)| (target, Some(label)));
        if let Some(id) = target.strip_prefix('@') {
            let known = self.names.person(id, self.time).map(|person| person.name.clone());
            let name = known.or_else(|| label.map(entities)).unwrap_or_else(|| id.to_owned());
            return Some(Piece::Mention(format!("@{name}")));
        }
        if let Some(id) = target.strip_prefix('#') {
            let known = || ChannelId::parse(id).map(|id| self.names.conversation_name(&id, self.time));
            let name = label.map(entities).or_else(known).unwrap_or_else(|| id.to_owned());
            return Some(Piece::Mention(format!("#{name}")));
        }
        if let Some(command) = target.strip_prefix('!') {
            return Some(Piece::Mention(format!("@{}", entities(label.unwrap_or(command)))));
        }
        if let Some(address) = target.strip_prefix("mailto:").or_else(|| target.strip_prefix("tel:")) {
            // Words to read: nothing on a page leads anywhere but to other pages.
            let (address, label) = (entities(address), label.map(entities));
            let text = match label.filter(|label| *label != address) {
                Some(label) => format!("{label} <{address}>"),
                None => address,
            };
            return Some(Piece::Text(text, self.style));
        }
        let href = entities(target);
        let label = label.map_or_else(|| href.clone(), entities);
        Some(Piece::Link { href: address(&href)?, label })
    }
}

/// Pieces as HTML. A link is followed by the address that it leads to, unless that is what it is called.
pub(super) fn html(pieces: &[Piece]) -> String {
    let mut out = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(text, style) => {
                let marks = [(style.bold, "b"), (style.italic, "i"), (style.struck, "s")];
                let on: Vec<&str> = marks.iter().filter(|(is_on, _)| *is_on).map(|(_, name)| *name).collect();
                for name in &on {
                    out.push_str(&format!("<{name}>"));
                }
                out.push_str(&escape(text));
                on.iter().rev().for_each(|name| out.push_str(&format!("</{name}>")));
            }
            Piece::Link { href, label } => {
                out.push_str(&format!(
                    "<a href=\"{}\" rel=\"noopener noreferrer\"><bdi>{}</bdi></a>",
                    escape(href),
                    escape(label)
                ));
                if href.trim_end_matches('/') != label.trim_end_matches('/') {
                    out.push_str(&format!(" <bdi class=\"target\">({})</bdi>", escape(href)));
                }
            }
            Piece::Mention(name) => {
                out.push_str(&format!("<bdi class=\"mention\">{}</bdi>", escape(&visible(name))));
            }
            Piece::Code(text) => out.push_str(&format!("<code>{}</code>", escape(text))),
            Piece::Block(text) => out.push_str(&format!("<code class=\"block\">{}</code>", escape(text))),
        }
    }
    out
}

/// A text on the lines that it has, with what is hidden in it shown as its number.
pub(super) fn visible_lines(text: &str) -> String {
    text.split('\n').map(|line| visible_line(line.strip_suffix('\r').unwrap_or(line))).collect::<Vec<_>>().join("\n")
}

fn visible_line(line: &str) -> String {
    line.split('\t').map(visible).collect::<Vec<_>>().join("\t")
}

/// Pieces as plain text.
pub(super) fn plain(pieces: &[Piece]) -> String {
    let shown = visible_lines;
    let mut out = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(text, style) => {
                let marks = [(style.bold, '*'), (style.italic, '_'), (style.struck, '~')];
                let on: String = marks.iter().filter(|(is_on, _)| *is_on).map(|(_, mark)| *mark).collect();
                out.push_str(&on);
                out.push_str(&shown(text));
                out.extend(on.chars().rev());
            }
            Piece::Link { href, label } if href.trim_end_matches('/') == label.trim_end_matches('/') => {
                out.push_str(&shown(label));
            }
            Piece::Link { href, label } => out.push_str(&format!("{} <{href}>", shown(label))),
            Piece::Mention(name) => out.push_str(&visible(name)),
            Piece::Code(text) => out.push_str(&format!("`{}`", shown(text))),
            Piece::Block(text) => out.push_str(&format!("\n```\n{}\n```\n", shown(text))),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> String {
        html(&pieces(text, &Names::default(), UtcTime::UNIX_EPOCH))
    }

    #[test]
    fn marks_become_elements_and_the_rest_stays_text() {
        for (given, expected) in [
            ("a *bold* _it_ ~no~", "a <b>bold</b> <i>it</i> <s>no</s>"),
            ("*_both_*", "<b></b><b><i>both</i></b>"),
            ("2*3*4 snake_case_name * a *", "2*3*4 snake_case_name * a *"),
            ("a *b\nc*", "a *b\nc*"),
            ("`<b>`", "<code>&lt;b&gt;</code>"),
            ("```\nx &lt; y\n```", "<code class=\"block\">x &lt; y</code>"),
            ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
            ("&lt;img src=x onerror=1&gt;", "&lt;img src=x onerror=1&gt;"),
            ("<javascript:alert(1)|x>", "&lt;javascript:alert(1)|x&gt;"),
            (
                "<@ann|Ann \"A\"> <#C1|gen> <!here>",
                "<bdi class=\"mention\">@Ann &quot;A&quot;</bdi> <bdi class=\"mention\">#gen</bdi> <bdi class=\"mention\">@here</bdi>",
            ),
            ("a\u{202e}b\u{7}", "a[U+202E]b[U+0007]"),
        ] {
            let shown = of(given).replace("<b></b>", "");
            assert_eq!(shown, expected.replace("<b></b>", ""), "{given:?}");
        }
    }

    #[test]
    fn plain_text_is_what_a_reader_would_search_for() {
        for (given, expected) in [
            ("a&amp;b &lt;c&gt; &amp;lt;", "a&b <c> &lt;"),
            (
                "<mailto:a@b.example|a@b.example> <mailto:a@b.example|Ann &amp; Co> <mailto:c@d.example>",
                "a@b.example Ann & Co <a@b.example> c@d.example",
            ),
            ("<tel:+420123|+420 123>", "+420 123 <+420123>"),
            ("<#C1|r&amp;d> <#C2> <@bob|Bob &lt;b&gt;> <!here|R&amp;D>", "#r&d #C2 @Bob <b> @R&D"),
            (
                "<https://a.example|https://a.example> <https://a.example/x|here>",
                "https://a.example here <https://a.example/x>",
            ),
            ("\u{200f}שלום\u{200e} \u{61c}abc\u{202e}", "\u{200f}שלום\u{200e} \u{61c}abc[U+202E]"),
            ("one\r\ntwo\rthree\tfour", "one\ntwo[U+000D]three\tfour"),
            ("*bold* `x &amp; y`", "*bold* `x & y`"),
        ] {
            assert_eq!(plain(&pieces(given, &Names::default(), UtcTime::UNIX_EPOCH)), expected, "{given:?}");
        }
        assert_eq!(hidden_in("a\u{200f}\r\nb\u{7}\u{202e}"), 2);
    }

    #[test]
    fn links_show_where_they_lead() {
        assert_eq!(
            of("<https://a.example/x?a=1&amp;b=2|here>"),
            "<a href=\"https://a.example/x?a=1&amp;b=2\" rel=\"noopener noreferrer\"><bdi>here</bdi></a> \
             <bdi class=\"target\">(https://a.example/x?a=1&amp;b=2)</bdi>"
        );
        assert_eq!(
            of("see https://a.example/x."),
            "see <a href=\"https://a.example/x\" rel=\"noopener noreferrer\"><bdi>https://a.example/x</bdi></a>."
        );
        let quoted = of("<https://a.example/\" onclick=\"x|y>");
        assert!(!quoted.contains("\" onclick"), "{quoted}");
    }

    #[test]
    fn a_long_text_of_marks_is_read_once() {
        for unit in ["*a ", "_", "<", "`", "<@", "~x"] {
            let text = unit.repeat(200_000);
            assert!(!of(&text).is_empty());
        }
    }

    #[test]
    fn nothing_leaves_a_string_of_a_style_sheet() {
        assert_eq!(css_string("a\"</style>\n"), "a\\22 \\3c \\2f style\\3e  ");
    }
}
