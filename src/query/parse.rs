//! Puts the pieces of a query together.

use super::field::{Comparison, Field};
use super::form::Form;
use super::lex::{Lexed, Piece, Refusal, lex};
use super::near::Near;
use super::{Context, MAX_BYTES, MAX_CLAUSES, MAX_DEPTH, Parsed, Place, Plan, Query, QueryError, Within};

/// Most expressions in one query: each costs time to prepare, whatever its length.
const MAX_EXPRESSIONS: usize = 100;
/// Most doubts about single words that are told.
const MAX_WORD_WARNINGS: usize = 20;

const MIXED_WARNING: &str = "AND and OR are mixed without parentheses: AND was read first";
const SMALL_WARNING: &str =
    "`and`, `or` and `not` in small letters were read as words: write AND, OR and NOT in capitals to combine";

/// Reads a query. An empty one means everything.
pub fn parse(text: &str, context: &Context) -> Result<Parsed, QueryError> {
    read(text, context, &mut 0).map_err(|Refusal { what, place }| {
        let character = text.char_indices().take_while(|(at, _)| *at < place.start).count() + 1;
        QueryError { what, place, character }
    })
}

/// Reads a query, and counts in `steps` how much work that was, also where it ends in a refusal.
pub(super) fn read(text: &str, context: &Context, steps: &mut usize) -> Result<Parsed, Refusal> {
    if text.len() > MAX_BYTES {
        let place = Place { start: text.floor_char_boundary(MAX_BYTES), end: text.len() };
        return Err(Refusal { what: format!("a query is at most {MAX_BYTES} bytes long"), place });
    }
    let Lexed { pieces, mut warnings, .. } = lex(text, steps)?;
    if pieces.is_empty() {
        return Ok(Parsed { query: Query::All, parts: Vec::new(), warnings, steps: *steps });
    }
    if has_small_operators(&pieces) {
        warnings.push(SMALL_WARNING.to_owned());
    }
    let mut parser = Parser {
        pieces: &pieces,
        at: 0,
        end: Place { start: text.len(), end: text.len() },
        context,
        within: Within::Any,
        clauses: 0,
        expressions: 0,
        is_mixed: false,
        word_warnings: Vec::new(),
        top: Vec::new(),
        steps,
    };
    let Part { query, .. } = parser.or(0)?;
    if parser.peek().is_some() {
        return parser.refuse("a closing parenthesis without its opening one");
    }
    if parser.is_mixed {
        warnings.insert(0, MIXED_WARNING.to_owned());
    }
    warnings.append(&mut parser.word_warnings);
    Ok(Parsed { query, parts: parser.top, warnings, steps: *parser.steps })
}

/// Who writes `w/5` comes from a language in which operators are written in small letters too.
fn has_small_operators(pieces: &[(Piece, Place)]) -> bool {
    pieces.iter().any(|(piece, _)| matches!(piece, Piece::Near(_)))
        && pieces.iter().any(|(piece, _)| match piece {
            Piece::Word(word) => ["and", "or", "not"].iter().any(|name| word.eq_ignore_ascii_case(name)),
            _ => false,
        })
}

/// Something that was read, and where.
struct Part {
    query: Query,
    place: Place,
    /// How deep proximities stand in one another.
    height: usize,
}

struct Parser<'a> {
    pieces: &'a [(Piece, Place)],
    at: usize,
    end: Place,
    context: &'a Context,
    /// The text that the field around restricts words to.
    within: Within,
    clauses: usize,
    expressions: usize,
    is_mixed: bool,
    word_warnings: Vec<String>,
    /// Where the parts of the outermost conjunction stand.
    top: Vec<Place>,
    steps: &'a mut usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a Piece> {
        self.pieces.get(self.at).map(|(piece, _)| piece)
    }

    fn place(&self) -> Place {
        self.pieces.get(self.at).map_or(self.end, |(_, place)| *place)
    }

    /// From a place to the end of the piece before the present one.
    fn since(&self, start: Place) -> Place {
        let last = self.at.checked_sub(1).and_then(|at| self.pieces.get(at));
        Place { start: start.start, end: last.map_or(start.end, |(_, place)| place.end) }
    }

    fn refuse<T>(&self, what: impl Into<String>) -> Result<T, Refusal> {
        Err(Refusal { what: what.into(), place: self.place() })
    }

    fn or(&mut self, depth: usize) -> Result<Part, Refusal> {
        let start = self.place();
        let (first, mut has_and) = self.and(depth)?;
        if self.peek() != Some(&Piece::Or) {
            return Ok(first);
        }
        let mut height = first.height;
        let mut parts = vec![first.query];
        while self.peek() == Some(&Piece::Or) {
            self.at += 1;
            let (part, is_and) = self.and(depth)?;
            has_and |= is_and;
            height = height.max(part.height);
            parts.push(part.query);
        }
        self.is_mixed |= has_and;
        let place = self.since(start);
        if depth == 0 {
            self.top = vec![place];
        }
        Ok(Part { query: Query::Or(parts), place, height })
    }

    /// A conjunction, and whether more than one thing is in it.
    fn and(&mut self, depth: usize) -> Result<(Part, bool), Refusal> {
        let start = self.place();
        let first = self.not(depth)?;
        let mut height = first.height;
        let place = first.place;
        let mut places = vec![place];
        let mut parts = vec![first.query];
        loop {
            match self.peek() {
                None | Some(Piece::Or | Piece::Close) => break,
                Some(Piece::And) => self.at += 1,
                Some(_) => {}
            }
            let part = self.not(depth)?;
            height = height.max(part.height);
            places.push(part.place);
            parts.push(part.query);
        }
        if depth == 0 {
            self.top = places;
        }
        Ok(match <[Query; 1]>::try_from(parts) {
            Ok([query]) => (Part { query, place, height }, false),
            Err(parts) => (Part { query: Query::And(parts), place: self.since(start), height }, true),
        })
    }

    fn not(&mut self, depth: usize) -> Result<Part, Refusal> {
        *self.steps += 1;
        if depth > MAX_DEPTH {
            return self.refuse(format!("it is nested more than {MAX_DEPTH} deep"));
        }
        if self.peek() != Some(&Piece::Not) {
            return self.near(depth);
        }
        let start = self.place();
        self.at += 1;
        let Part { query, height, .. } = self.not(depth + 1)?;
        Ok(Part { query: Query::Not(Box::new(query)), place: self.since(start), height })
    }

    fn near(&mut self, depth: usize) -> Result<Part, Refusal> {
        let mut left = self.atom(depth)?;
        while let Some(Piece::Near(near)) = self.peek() {
            self.at += 1;
            if self.peek() == Some(&Piece::Not) {
                return self.refuse(format!(
                    "NOT cannot stand beside `{}`; `not w/5` finds what has nothing of a kind near it",
                    near.written()
                ));
            }
            let right = self.atom(depth)?;
            left = self.beside(left, *near, right)?;
        }
        Ok(left)
    }

    /// Two parts near each other, as one.
    fn beside(&mut self, left: Part, near: Near, right: Part) -> Result<Part, Refusal> {
        let place = Place { start: left.place.start, end: right.place.end };
        let height = left.height.max(right.height) + 1;
        if height > MAX_DEPTH {
            let what = format!("more than {MAX_DEPTH} proximities stand in one another");
            return Err(Refusal { what, place });
        }
        let (left, left_typed) = self.operand(left.query, left.place, near)?;
        let (right, right_typed) = self.operand(right.query, right.place, near)?;
        let right_typed = match right {
            Plan::Near { .. } | Plan::NotNear { .. } => format!("({right_typed})"),
            _ => right_typed,
        };
        let typed = format!("{left_typed} {} {right_typed}", near.written());
        *self.steps += typed.len();
        let query = Query::Text { within: self.within, plan: near.plan(left, right), typed };
        Ok(Part { query, place, height })
    }

    /// One side of a proximity: text, or a group of texts of which one is enough.
    fn operand(&mut self, query: Query, place: Place, near: Near) -> Result<(Plan, String), Refusal> {
        let what = match query {
            Query::Text { within, plan, typed } if within == self.within => return Ok((plan, typed)),
            Query::Or(parts) => {
                let mut plans = Vec::with_capacity(parts.len());
                let mut typed = Vec::with_capacity(parts.len());
                for part in parts {
                    let (plan, part) = self.operand(part, place, near)?;
                    plans.push(plan);
                    typed.push(part);
                }
                let typed = format!("({})", typed.join(" OR "));
                *self.steps += typed.len();
                return Ok((Plan::Any(plans), typed));
            }
            Query::And(_) => "AND",
            Query::Not(_) => "NOT",
            Query::All => "`*` alone",
            Query::Text { .. } => {
                let what = format!(
                    "a field cannot stand beside `{near}`; put the field around all of it, as in body:(a {near} b)",
                    near = near.written()
                );
                return Err(Refusal { what, place });
            }
            _ => "a field",
        };
        let what = format!(
            "{what} cannot stand beside `{}`; only words, phrases, patterns and groups of them with OR can",
            near.written()
        );
        Err(Refusal { what, place })
    }

    fn clause(&mut self) -> Result<(), Refusal> {
        *self.steps += 1;
        self.clauses += 1;
        if self.clauses > MAX_CLAUSES {
            return self.refuse(format!("it has more than {MAX_CLAUSES} parts"));
        }
        Ok(())
    }

    fn atom(&mut self, depth: usize) -> Result<Part, Refusal> {
        self.clause()?;
        let place = self.place();
        match self.peek() {
            None | Some(Piece::Close | Piece::And | Piece::Or | Piece::Not) => {
                self.refuse("something to look for is missing here")
            }
            Some(Piece::Near(near)) => {
                self.refuse(format!("something to look for is missing before `{}`", near.written()))
            }
            Some(Piece::Open) => self.group(depth, place),
            Some(Piece::Field(field, comparison)) => self.field(*field, *comparison, depth),
            Some(Piece::Word(word)) => {
                if Form::of_word(word) == Ok(Form::Everything) && self.within == Within::Any {
                    self.at += 1;
                    return Ok(Part { query: Query::All, place, height: 0 });
                }
                self.text()
            }
            Some(Piece::Phrase(..) | Piece::Expression(_)) => self.text(),
        }
    }

    /// What stands between parentheses. `place` is what is not closed if they are not.
    fn group(&mut self, depth: usize, place: Place) -> Result<Part, Refusal> {
        let start = self.place();
        self.at += 1;
        let inner = self.or(depth + 1)?;
        if self.peek() != Some(&Piece::Close) {
            return Err(Refusal { what: "the parenthesis is not closed".to_owned(), place });
        }
        self.at += 1;
        Ok(Part { place: self.since(start), ..inner })
    }

    /// A word, a phrase or an expression.
    fn text(&mut self) -> Result<Part, Refusal> {
        let place = self.place();
        let form = match self.peek() {
            Some(Piece::Word(word)) => Form::of_word(word).or_else(|what| self.refuse(what))?,
            Some(Piece::Phrase(text, slop)) => Form::of_phrase(text, *slop),
            Some(Piece::Expression(text)) => {
                self.expressions += 1;
                if self.expressions > MAX_EXPRESSIONS {
                    return self.refuse(format!("it has more than {MAX_EXPRESSIONS} expressions"));
                }
                Form::Expression(text)
            }
            _ => return self.refuse("something to look for is missing here"),
        };
        let query = self.of_form(&form)?;
        self.at += 1;
        Ok(Part { query, place, height: 0 })
    }

    fn of_form(&mut self, form: &Form<'_>) -> Result<Query, Refusal> {
        if let Form::Phrase(text) | Form::Window(text, _) = form {
            // A phrase counts as many parts as it has words; the first is counted as any part is.
            for _ in text.split_whitespace().skip(1) {
                self.clause()?;
            }
        }
        let plan = form.plan().or_else(|what| self.refuse(what))?;
        let typed = form.written();
        *self.steps += typed.len();
        let ends_in_question = match form {
            Form::Pattern(text) => text.ends_with('?'),
            Form::Phrase(text) | Form::Window(text, _) => text.trim_end().ends_with('?'),
            _ => false,
        };
        if plan == Plan::Nothing {
            self.doubt(format!("`{typed}` has no letter or digit, so nothing can match it"));
        } else if ends_in_question {
            self.doubt(format!(
                "`?` stands for exactly one character: leave it out of `{typed}` to find what ends before it"
            ));
        }
        Ok(Query::Text { within: self.within, plan, typed })
    }

    fn doubt(&mut self, warning: String) {
        if self.word_warnings.len() < MAX_WORD_WARNINGS && !self.word_warnings.contains(&warning) {
            self.word_warnings.push(warning);
        }
    }

    fn field(&mut self, field: Field, comparison: Comparison, depth: usize) -> Result<Part, Refusal> {
        if self.within != Within::Any {
            return self.refuse(format!("`{}:` cannot stand inside the parentheses of another field", field.name));
        }
        let start = self.place();
        self.at += 1;
        let touches = self.place().start == start.end;
        let query = match (self.peek().filter(|_| touches), field.within()) {
            (Some(Piece::Open), Some(within)) => {
                self.within = within;
                let part = self.group(depth, start);
                self.within = Within::Any;
                let part = part?;
                return Ok(Part { place: self.since(start), ..part });
            }
            (Some(Piece::Open), None) if comparison == Comparison::Is => self.list(field, start)?,
            (Some(Piece::Word(_) | Piece::Phrase(..) | Piece::Expression(_)), Some(within)) => {
                self.within = within;
                let part = self.text_of_field();
                self.within = Within::Any;
                part?
            }
            (Some(Piece::Word(value) | Piece::Phrase(value, None)), None) => {
                let query = self.condition(field, comparison, value, start)?;
                self.at += 1;
                query
            }
            _ => {
                let what = format!("`{}:` is followed by {}, without a space", field.name, field.what());
                return Err(Refusal { what, place: start });
            }
        };
        Ok(Part { query, place: self.since(start), height: 0 })
    }

    /// The word, phrase or expression after a field of text. A word that would be something else in
    /// another place is looked for as if it were quoted.
    fn text_of_field(&mut self) -> Result<Query, Refusal> {
        if let Some(Piece::Word(word)) = self.peek() {
            let stands_alone = lex(word, self.steps)
                .is_ok_and(|lexed| matches!(lexed.pieces.as_slice(), [(Piece::Word(alone), _)] if alone == word));
            if !stands_alone {
                let query = self.of_form(&Form::Phrase(word))?;
                self.at += 1;
                return Ok(query);
            }
        }
        Ok(self.text()?.query)
    }

    /// Values in parentheses, of which one is enough.
    fn list(&mut self, field: Field, start: Place) -> Result<Query, Refusal> {
        let open = self.place();
        self.at += 1;
        let mut values = Vec::new();
        loop {
            match self.peek() {
                Some(Piece::Close) if !values.is_empty() => break,
                Some(Piece::Or) if !values.is_empty() => {
                    self.at += 1;
                }
                Some(Piece::Word(_) | Piece::Phrase(_, None)) => {}
                None => return Err(Refusal { what: "the parenthesis is not closed".to_owned(), place: open }),
                Some(_) => {
                    return self.refuse(format!(
                        "in the parentheses after `{}:` stand values, with nothing or OR between",
                        field.name
                    ));
                }
            }
            match self.peek() {
                // People who write lists put commas between.
                Some(Piece::Word(value)) if value.trim_end_matches([',', ';']).len() < value.len() => {
                    self.clause()?;
                    let value = value.trim_end_matches([',', ';']);
                    if !value.is_empty() {
                        values.push(self.condition(field, Comparison::Is, value, start)?);
                    }
                    self.at += 1;
                }
                Some(Piece::Word(value) | Piece::Phrase(value, None)) => {
                    self.clause()?;
                    values.push(self.condition(field, Comparison::Is, value, start)?);
                    self.at += 1;
                }
                _ => return self.refuse("a value is missing here"),
            }
        }
        self.at += 1;
        Ok(match <[Query; 1]>::try_from(values) {
            Ok([value]) => value,
            Err(values) => Query::Or(values),
        })
    }

    fn condition(&self, field: Field, comparison: Comparison, value: &str, start: Place) -> Result<Query, Refusal> {
        field.condition(comparison, value, self.context).map_err(|what| {
            let place = Place { start: start.start, end: self.place().end };
            Refusal { what, place }
        })
    }
}
