use super::{Place, QueryError};

/// A piece of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    Open,
    Close,
    And,
    Or,
    Not,
    /// A run without spaces, as typed.
    Word(String),
    /// What stood between quotation marks.
    Phrase(String),
    /// `name:` before a value.
    Field(String),
}

/// The pieces of a query with their places.
pub(super) fn lex(text: &str) -> Result<Vec<(Token, Place)>, QueryError> {
    let mut out = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let start = text.len() - rest.len();
        let first = rest.chars().next().unwrap_or_default();
        if first.is_whitespace() {
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let (token, length) = match first {
            '(' => (Token::Open, 1),
            ')' => (Token::Close, 1),
            '"' | '\u{201c}' | '\u{201d}' | '\u{201e}' => phrase(rest, start, first)?,
            '-' | '!'
                if rest[1..].chars().next().is_some_and(|next| !next.is_whitespace()) && first_in_word(text, start) =>
            {
                (Token::Not, 1)
            }
            _ => word(rest),
        };
        out.push((token, Place { start, end: start + length }));
        rest = &rest[length..];
    }
    Ok(out)
}

fn first_in_word(text: &str, at: usize) -> bool {
    text[..at].chars().next_back().is_none_or(|before| before.is_whitespace() || before == '(')
}

fn phrase(rest: &str, start: usize, open: char) -> Result<(Token, usize), QueryError> {
    let inner = &rest[open.len_utf8()..];
    let is_close = |c: char| if open == '"' { c == '"' } else { matches!(c, '"' | '\u{201c}' | '\u{201d}') };
    match inner.char_indices().find(|(_, c)| is_close(*c)) {
        Some((end, close)) => Ok((Token::Phrase(inner[..end].to_owned()), open.len_utf8() + end + close.len_utf8())),
        None => Err(QueryError {
            what: "the quotation mark is not closed".to_owned(),
            place: Place { start, end: start + rest.len() },
        }),
    }
}

fn word(rest: &str) -> (Token, usize) {
    let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '"')).unwrap_or(rest.len());
    let text = &rest[..end];
    match text {
        "AND" | "&&" => return (Token::And, end),
        "OR" | "||" => return (Token::Or, end),
        "NOT" => return (Token::Not, end),
        _ => {}
    }
    if let Some((name, value)) = text.split_once(':') {
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphabetic());
        // `https://…` is an address and `10:30` a time, not a field and its value.
        if is_name && !value.starts_with("//") {
            return (Token::Field(name.to_ascii_lowercase()), name.len() + 1);
        }
    }
    (Token::Word(text.to_owned()), end)
}
