//! Cuts what was typed into pieces. A piece is known by its own letters and what touches it, so the
//! work is in proportion to the length.

use super::field::{Comparison, Field};
use super::near::{Near, Order, SENTENCE_WARNING};
use super::{MAX_DISTANCE, Place};

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) what: String,
    pub(super) place: Place,
}

/// A piece of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Open,
    Close,
    And,
    Or,
    Not,
    Near(Near),
    /// A run without spaces, as typed.
    Word(String),
    /// What stood between quotation marks, and how many other words may stand among its words.
    Phrase(String, Option<u32>),
    /// What stood between slashes.
    Expression(String),
    /// `name:` or `name>=` before a value.
    Field(Field, Comparison),
}

/// The pieces of a query with their places.
#[derive(Debug, Default)]
pub(super) struct Lexed {
    pub(super) pieces: Vec<(Piece, Place)>,
    pub(super) warnings: Vec<String>,
    /// Bytes looked at, those looked at twice counted twice.
    steps: usize,
}

/// Cuts a query into pieces, and adds to `steps` how much it looked at.
pub(super) fn lex(text: &str, steps: &mut usize) -> Result<Lexed, Refusal> {
    let mut lexed = Lexed::default();
    let cut = lexed.cut(text);
    *steps += lexed.steps;
    cut.map(|()| lexed)
}

impl Lexed {
    fn cut(&mut self, text: &str) -> Result<(), Refusal> {
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let start = text.len() - rest.len();
            if first.is_whitespace() {
                self.steps += 1;
                rest = &rest[first.len_utf8()..];
                continue;
            }
            let (mut piece, length) = match first {
                '(' => (Piece::Open, 1),
                ')' => (Piece::Close, 1),
                _ if is_quote(first) => phrase(rest, start)?,
                '-' | '!' if is_sign(&rest[1..]) => {
                    if text[..start].chars().next_back().is_some_and(|before| before == ')' || is_quote(before)) {
                        let what = format!(
                            "`{first}` could mean NOT or be part of a word here; put a space before it for NOT, or leave it out"
                        );
                        return Err(Refusal { what, place: Place { start, end: start + 1 } });
                    }
                    (Piece::Not, 1)
                }
                _ => match self.expression(rest) {
                    Some(expression) => expression,
                    None => self.word(rest, start)?,
                },
            };
            self.steps += length;
            let mut place = Place { start, end: start + length };
            rest = &rest[length..];
            if let Piece::Near(near) = &mut piece
                && let Some(negation) = self.negation()
            {
                place.start = negation;
                if near.order != Order::Either {
                    let what = "`not` before `pre/` is not understood; there is `not w/5`, which looks on both sides"
                        .to_owned();
                    return Err(Refusal { what, place });
                }
                near.order = Order::Apart;
                self.pieces.pop();
            }
            let field = match &piece {
                Piece::Field(field, _) => Some(*field),
                _ => None,
            };
            self.pieces.push((piece, place));
            if let Some(field) = field {
                rest = self.value(field, rest, place.end);
            }
        }
        Ok(())
    }

    /// Where the `not` begins that was cut last, unless something else was.
    fn negation(&self) -> Option<usize> {
        match self.pieces.last()? {
            (Piece::Not, place) if place.end - place.start == 3 => Some(place.start),
            (Piece::Word(word), place) if word.eq_ignore_ascii_case("not") => Some(place.start),
            _ => None,
        }
    }

    /// A value stands as it was typed, whatever its letters would mean elsewhere.
    fn value<'a>(&mut self, field: Field, rest: &'a str, start: usize) -> &'a str {
        let expression = field.within().and_then(|_| self.expression(rest));
        let (piece, length) = match expression {
            Some(expression) => expression,
            None => match run(rest) {
                "" => return rest,
                run => (Piece::Word(run.to_owned()), run.len()),
            },
        };
        self.steps += length;
        self.pieces.push((piece, Place { start, end: start + length }));
        &rest[length..]
    }

    /// `/ship(ped|ment)/`: to the next slash, if nothing of a word follows it. `/usr/bin` is none.
    fn expression(&mut self, rest: &str) -> Option<(Piece, usize)> {
        let inner = rest.strip_prefix('/')?;
        let mut is_escaped = false;
        for (at, c) in inner.char_indices() {
            self.steps += 1;
            if c.is_whitespace() {
                return None;
            }
            if c == '/' && !is_escaped {
                let after = &inner[at + 1..];
                let is_end = after.chars().next().is_none_or(|next| run(&after[..next.len_utf8()]).is_empty());
                return (at > 0 && is_end).then(|| (Piece::Expression(inner[..at].to_owned()), at + 2));
            }
            is_escaped = c == '\\' && !is_escaped;
        }
        None
    }

    fn word(&mut self, rest: &str, start: usize) -> Result<(Piece, usize), Refusal> {
        let run = run(rest);
        match run {
            "AND" | "&&" => return Ok((Piece::And, run.len())),
            "OR" | "||" => return Ok((Piece::Or, run.len())),
            "NOT" => return Ok((Piece::Not, run.len())),
            "/s" | "/S" | "/p" | "/P" => {
                if !self.warnings.iter().any(|known| known == SENTENCE_WARNING) {
                    self.warnings.push(SENTENCE_WARNING.to_owned());
                }
                let distance = if run.eq_ignore_ascii_case("/s") { 15 } else { 50 };
                return Ok((Piece::Near(Near { distance, order: Order::Either }), run.len()));
            }
            _ => {}
        }
        self.steps += run.len();
        let refuse = |what: String, end: usize| Err(Refusal { what, place: Place { start, end: start + end } });
        match near(run, &rest[run.len()..]) {
            Some(Ok((near, length))) => return Ok((Piece::Near(near), length)),
            Some(Err(what)) => return refuse(what, run.len()),
            None => {}
        }
        let name_length = run.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (name, value) = run.split_at(name_length);
        // `https://…` is an address, `C:\…` a path and `10:30` a time: no field and its value.
        if name.is_empty() || value.starts_with("://") || value.starts_with(":\\") {
            return Ok((Piece::Word(run.to_owned()), run.len()));
        }
        let field = Field::named(name);
        if let Some(value) = value.strip_prefix(':') {
            let Some(field) = field else { return refuse(super::field::unknown(name), name.len() + 1) };
            let (comparison, length) =
                if field.is_compared() { Comparison::at(value) } else { None }.unwrap_or((Comparison::Is, 0));
            return Ok((Piece::Field(field, comparison), name.len() + 1 + length));
        }
        if let Some(field) = field.filter(|field| field.is_compared())
            && let Some((comparison, length)) = Comparison::at(value)
        {
            return Ok((Piece::Field(field, comparison), name.len() + length));
        }
        Ok((Piece::Word(run.to_owned()), run.len()))
    }
}

/// Up to what ends any word.
fn run(rest: &str) -> &str {
    let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '(' | ')') || is_quote(c)).unwrap_or(rest.len());
    &rest[..end]
}

/// Quotation marks, also those that word processors make of them.
fn is_quote(c: char) -> bool {
    matches!(c, '"' | '\u{201c}'..='\u{201f}' | '\u{ab}' | '\u{bb}' | '\u{ff02}')
}

/// Whether `-` or `!` means NOT before this. `->`, `--force` and `!!` are text.
fn is_sign(after: &str) -> bool {
    let next = after.chars().next();
    next.is_some_and(|next| !next.is_whitespace() && !matches!(next, '-' | '!' | '=' | '>' | ')' | '.' | ',' | ';'))
}

fn phrase(rest: &str, start: usize) -> Result<(Piece, usize), Refusal> {
    let refuse = |what: &str, from: usize, to: usize| {
        Err(Refusal { what: what.to_owned(), place: Place { start: start + from, end: start + to } })
    };
    let open = rest.chars().next().unwrap_or_default();
    let inner = &rest[open.len_utf8()..];
    let is_close = |c: char| if open == '"' { c == '"' } else { is_quote(c) };
    let Some((length, close)) = inner.char_indices().find(|(_, c)| is_close(*c)) else {
        return refuse("the quotation mark is not closed", 0, rest.len());
    };
    let text = &inner[..length];
    let end = open.len_utf8() + length + close.len_utf8();
    if text.trim().is_empty() {
        return refuse("there is nothing between the quotation marks", 0, end);
    }
    let after = &rest[end..];
    let suffix = if after.starts_with(['~', '*']) { run(after) } else { "" };
    let expression = text.strip_prefix("##").and_then(|text| text.strip_suffix("##")).filter(|text| !text.is_empty());
    match (suffix.strip_prefix('~').map(distance), expression) {
        (None, _) if !suffix.is_empty() => refuse(
            "`*` after a phrase is not understood; it stands inside, as in \"change ord*\"",
            end,
            end + suffix.len(),
        ),
        (None, Some(expression)) => Ok((Piece::Expression(expression.to_owned()), end)),
        (None, None) => Ok((Piece::Phrase(text.to_owned(), None), end)),
        (Some(Some(slop)), None) if slop <= MAX_DISTANCE => {
            Ok((Piece::Phrase(text.to_owned(), Some(slop)), end + suffix.len()))
        }
        (Some(_), None) => refuse(
            "`~` after a phrase is followed by how many other words may stand among its words, 0 to 1000",
            end,
            end + suffix.len(),
        ),
        (Some(_), Some(_)) => refuse("`~` cannot follow an expression", end, end + suffix.len()),
    }
}

/// A whole number; one too large for anything is the largest.
fn distance(digits: &str) -> Option<u32> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u32::MAX))
}

/// A proximity operator and its length, or what is wrong with it. `after` is what follows the run.
fn near(run: &str, after: &str) -> Option<Result<(Near, usize), String>> {
    let (name, order, digits, length) = if let "NEAR" | "ONEAR" = run {
        let order = if run == "NEAR" { Order::Either } else { Order::Before };
        let digits = after.strip_prefix('(').and_then(|inner| {
            let length = inner.bytes().take_while(u8::is_ascii_digit).count();
            inner[length..].starts_with(')').then(|| &inner[..length])
        });
        let Some(digits) = digits else {
            let what = format!(
                "`{run}` is followed by a number of words, as in {run}(5) or {run}/5; quote it to find it as a word"
            );
            return Some(Err(what));
        };
        (run, order, digits, run.len() + digits.len() + 2)
    } else {
        let (name, order) =
            [("w/", Order::Either), ("near/", Order::Either), ("pre/", Order::Before), ("onear/", Order::Before)]
                .into_iter()
                .find(|(name, _)| {
                    run.get(..name.len()).is_some_and(|beginning| beginning.eq_ignore_ascii_case(name))
                })?;
        (&run[..name.len()], order, &run[name.len()..], run.len())
    };
    if digits.is_empty() {
        let what =
            format!("`{name}` needs a number of words right after it, as in w/5; quote it to find it as it stands");
        return Some(Err(what));
    }
    // `w/o` is a word.
    let distance = distance(digits)?;
    if !(1..=MAX_DISTANCE).contains(&distance) {
        return Some(Err(format!("words can be 1 to {MAX_DISTANCE} apart, not {digits}")));
    }
    Some(Ok((Near { distance, order }, length)))
}
