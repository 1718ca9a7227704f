//! What a single word or phrase is: letters to find as they stand, a pattern, or another way of saying
//! many words.

use std::borrow::Cow;

use super::spans::MOST_IN_WINDOW;
use super::{MAX_DISTANCE, Plan, reading};

/// What a word, a phrase or an expression asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Form<'a> {
    /// Only `*`: anything at all.
    Everything,
    /// Words as they stand.
    Plain(&'a str),
    /// With `*` and `?`.
    Pattern(Cow<'a, str>),
    /// Words spelled almost like this one.
    Fuzzy(&'a str, u8),
    /// Words of the same stem.
    Stem(&'a str),
    /// Whole numbers.
    Numbers(u64, u64),
    /// An expression.
    Expression(&'a str),
    /// Between quotation marks.
    Phrase(&'a str),
    /// Words of a phrase in any order, with so many others among them.
    Window(&'a str, u32),
}

impl<'a> Form<'a> {
    /// What a run of letters without spaces asks for.
    pub(super) fn of_word(text: &'a str) -> Result<Self, String> {
        if is_stars(text) {
            return Ok(Self::Everything);
        }
        if let Some(numbers) = numbers(text) {
            return numbers;
        }
        // In an address a question mark separates.
        let is_address = text.contains("://");
        let has_pattern = text.contains('*') || text.contains('?') && !is_address;
        let both = || Err(format!("`{text}` cannot have `*` or `?` and `~`; use one of them"));
        if let Some(word) = text.strip_suffix("~~").filter(|word| !word.is_empty()) {
            return if has_pattern { both() } else { Ok(Self::Stem(word)) };
        }
        if let Some((word, edits)) = text.rsplit_once('~')
            && !word.is_empty()
            && edits.bytes().all(|byte| byte.is_ascii_digit())
        {
            return match edits {
                _ if has_pattern => both(),
                _ if word.ends_with('~') => Err(format!("`{text}`: `~~` (the same stem) takes no number")),
                "" | "1" => Ok(Self::Fuzzy(word, 1)),
                "2" => Ok(Self::Fuzzy(word, 2)),
                _ => Err(format!("`{text}`: words can be 1 or 2 letters away, not {edits}")),
            };
        }
        if !is_address && let Some(refusal) = other_language(text) {
            return Err(refusal);
        }
        Ok(match (has_pattern, is_address) {
            (false, _) => Self::Plain(text),
            (true, false) => Self::Pattern(Cow::Borrowed(text)),
            (true, true) => Self::Pattern(Cow::Owned(text.replace('?', " "))),
        })
    }

    /// What stood between quotation marks.
    pub(super) fn of_phrase(text: &'a str, slop: Option<u32>) -> Self {
        match slop {
            None => Self::Phrase(text),
            Some(slop) => Self::Window(text, slop),
        }
    }

    /// The one way of writing it. `Everything` and what a word's place would make something else are
    /// the caller's concern.
    pub(super) fn written(&self) -> String {
        match self {
            Self::Everything => "*".to_owned(),
            Self::Plain(text) => (*text).to_owned(),
            Self::Pattern(text) => text.clone().into_owned(),
            Self::Fuzzy(word, edits) => format!("{word}~{edits}"),
            Self::Stem(word) => format!("{word}~~"),
            Self::Numbers(from, to) => format!("{from}..{to}"),
            Self::Expression(text) if text.contains(|c: char| c.is_whitespace() || c == '/') => {
                format!("\"##{text}##\"")
            }
            Self::Expression(text) => format!("/{text}/"),
            Self::Phrase(text) => format!("\"{text}\""),
            Self::Window(text, slop) => format!("\"{text}\"~{slop}"),
        }
    }

    /// It in words, for people.
    pub(super) fn in_words(&self) -> String {
        match self {
            Self::Everything => "everything".to_owned(),
            Self::Plain(text) => format!("`{text}`"),
            Self::Pattern(text) => {
                let is_plain = |text: &str| !text.contains(['*', '?']);
                match (text.strip_suffix('*'), text.strip_prefix('*')) {
                    (Some(beginning), _) if is_plain(beginning) => format!("words beginning with `{beginning}`"),
                    (_, Some(end)) if is_plain(end) => format!("words ending in `{end}`"),
                    _ => format!("words like `{text}`"),
                }
            }
            Self::Fuzzy(word, 1) => format!("words at most 1 letter away from `{word}`"),
            Self::Fuzzy(word, edits) => format!("words at most {edits} letters away from `{word}`"),
            Self::Stem(word) => format!("forms of `{word}`"),
            Self::Numbers(from, to) => format!("numbers from {from} to {to}"),
            Self::Expression(text) => format!("words that fit `/{text}/`"),
            Self::Phrase(text) => format!("\"{text}\""),
            Self::Window(text, slop) => {
                format!("the words of \"{text}\" in any order with at most {slop} others among them")
            }
        }
    }

    /// What it finds, or why nothing can be looked for so.
    pub(super) fn plan(&self) -> Result<Plan, String> {
        match self {
            Self::Everything => Err("`*` alone stands for any word; write more of it".to_owned()),
            Self::Plain(text) => Ok(reading::plan(text)),
            Self::Pattern(text) => reading::pattern(text),
            Self::Fuzzy(word, edits) => reading::fuzzy(word, *edits),
            Self::Stem(word) => reading::stem(word),
            Self::Numbers(from, to) => Ok(reading::numbers(*from, *to)),
            Self::Expression(text) => reading::expression(text),
            Self::Phrase(text) => sequence(text),
            Self::Window(text, slop) => window(text, *slop),
        }
    }
}

fn is_stars(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte == b'*')
}

/// What is said of signs that mean something in other query languages: read as text they would find
/// the wrong things.
fn other_language(text: &str) -> Option<String> {
    if let Some((word, weight)) = text.rsplit_once('^')
        && word.ends_with(char::is_alphanumeric)
        && weight.starts_with(|c: char| c.is_ascii_digit())
        && weight.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
    {
        return Some(format!(
            "`{text}`: words have no weights; leave `^{weight}` out, or quote it to find it as it stands"
        ));
    }
    if let Some((before, after)) = text.split_once('%')
        && before.ends_with(char::is_alphabetic)
        && after.trim_start_matches('%').starts_with(char::is_alphabetic)
    {
        let word = text.replace('%', "");
        return Some(format!("`{text}`: words spelled alike are written `{word}~`; quote it to find it as it stands"));
    }
    None
}

/// `100..250` and `100~~250`.
fn numbers(text: &str) -> Option<Result<Form<'_>, String>> {
    let (from, to) = text.split_once("..").or_else(|| text.split_once("~~"))?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(from) || !is_number(to) {
        return None;
    }
    Some(match (from.parse::<u64>(), to.parse::<u64>()) {
        (Ok(from), Ok(to)) if from <= to => Ok(Form::Numbers(from, to)),
        (Ok(from), Ok(to)) => Err(format!("`{text}` goes down; write {to}..{from}")),
        _ => Err(format!("`{text}` holds a number that is too large; it may be up to {}", u64::MAX)),
    })
}

/// The words of a phrase in this order.
fn sequence(text: &str) -> Result<Plan, String> {
    if text.split_whitespace().any(is_stars) {
        return Err("`*` alone cannot stand in a phrase; to let other words in between write \"a b\"~1".to_owned());
    }
    if text.contains(['*', '?']) { reading::pattern(text) } else { Ok(reading::plan(text)) }
}

/// The words of a phrase in any order. What has no letter or digit takes no part.
fn window(text: &str, slop: u32) -> Result<Plan, String> {
    debug_assert!(slop <= MAX_DISTANCE, "read so");
    let mut parts = Vec::new();
    for word in text.split(is_gap).filter(|word| !word.is_empty()) {
        match sequence(word)? {
            Plan::Nothing => {}
            _ if parts.len() == MOST_IN_WINDOW => {
                return Err(format!("a phrase with `~` has at most {MOST_IN_WINDOW} words"));
            }
            part => parts.push(part),
        }
    }
    Ok(match parts.len() {
        0 => Plan::Nothing,
        1 => parts.remove(0),
        _ => Plan::Window(parts, slop),
    })
}

/// What divides the words of a phrase. A space that does not break links them.
fn is_gap(c: char) -> bool {
    c.is_whitespace() && !matches!(c, '\u{a0}' | '\u{202f}')
}
