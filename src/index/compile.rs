//! From a query's tree to what the engine runs.

use std::ops::Bound;

use tantivy::Term;
use tantivy::query::{
    AllQuery, BooleanQuery, EmptyQuery, Occur, PhraseQuery, Query as EngineQuery, RangeQuery, RegexPhraseQuery,
    RegexQuery, TermQuery, TermSetQuery,
};
use tantivy::schema::{Field, IndexRecordOption};

use super::Error;
use super::fold::{Token, tokens};
use super::schema::Fields;
use crate::history::Directory;
use crate::model::Scope;
use crate::query::{Flag, Query};

/// Between the characters of a pair, in a pattern.
const PAIR: &str = "\u{1f}";

type Boxed = Box<dyn EngineQuery>;

/// What is needed to turn names into ids.
pub(super) struct Compiler<'a> {
    pub(super) fields: &'a Fields,
    pub(super) directory: &'a Directory,
    pub(super) scope: &'a Scope,
    /// What a person should know about the result.
    pub(super) notes: Vec<String>,
}

impl Compiler<'_> {
    /// The tree as a query of the engine.
    pub(super) fn compile(&mut self, query: &Query) -> Result<Boxed, Error> {
        Ok(match query {
            Query::All => Box::new(AllQuery),
            Query::Word { text, prefix } => self.text(text, *prefix)?,
            Query::Phrase(text) => self.text(text, false)?,
            Query::And(parts) => {
                let parts: Vec<(Occur, Boxed)> = parts
                    .iter()
                    .map(|part| match part {
                        Query::Not(inner) => Ok((Occur::MustNot, self.compile(inner)?)),
                        other => Ok((Occur::Must, self.compile(other)?)),
                    })
                    .collect::<Result<_, Error>>()?;
                all_of(parts)
            }
            Query::Or(parts) => {
                Box::new(BooleanQuery::union(parts.iter().map(|part| self.compile(part)).collect::<Result<_, _>>()?))
            }
            Query::Not(inner) => all_of(vec![(Occur::MustNot, self.compile(inner)?)]),
            Query::From(who) => self.from(who),
            Query::In(channel) => self.in_channel(channel),
            Query::Time(range) => {
                let bound = |time: crate::model::UtcTime| Term::from_field_i64(self.fields.ts, time.timestamp_micros());
                let lower = range.from.map_or(Bound::Unbounded, |from| Bound::Included(bound(from)));
                let upper = range.to.map_or(Bound::Unbounded, |to| Bound::Excluded(bound(to)));
                match (&lower, &upper) {
                    (Bound::Unbounded, Bound::Unbounded) => Box::new(AllQuery),
                    _ => Box::new(RangeQuery::new(lower, upper)),
                }
            }
            Query::Kind(kind) => term(self.fields.kind, kind.as_str()),
            Query::Flag(Flag::Edited) => term(self.fields.flag, "edited"),
            Query::Flag(flag) => term(self.fields.flag, flag.as_str()),
            Query::FileName(name) => self.text_in(self.fields.title, name, false)?,
            Query::Extension(extension) => term(self.fields.extension, extension),
            Query::Id(id) => self.id(id),
        })
    }

    fn id(&self, id: &str) -> Boxed {
        let by_key = term(self.fields.key, id);
        match id.parse::<u64>() {
            Ok(seq) => {
                let by_number: Boxed =
                    Box::new(TermQuery::new(Term::from_field_u64(self.fields.seq, seq), IndexRecordOption::Basic));
                Box::new(BooleanQuery::union(vec![by_key, by_number]))
            }
            Err(_) => by_key,
        }
    }

    /// Whether what a person typed names this id or name.
    fn names(typed: &str, id: &str, name: &str) -> bool {
        let typed = typed.to_lowercase();
        let (id, name) = (id.to_lowercase(), name.to_lowercase());
        id == typed
            || name == typed
            || id.split('@').next() == Some(typed.as_str())
            || name.split_whitespace().any(|word| word == typed)
    }

    fn from(&mut self, who: &str) -> Boxed {
        let mut ids: Vec<String> = self
            .directory
            .people
            .iter()
            .filter(|(id, facts)| Self::names(who, id, &facts.name))
            .map(|(id, _)| id.to_lowercase())
            .collect();
        if ids.is_empty() {
            // Somebody who wrote may be in no list of people.
            ids.push(who.to_lowercase());
            self.notes
                .push(format!("nobody in the archive's lists of people is called `{who}`; it was read as an address"));
        }
        ids.sort();
        Box::new(TermSetQuery::new(ids.iter().map(|id| Term::from_field_text(self.fields.author, id))))
    }

    fn in_channel(&mut self, channel: &str) -> Boxed {
        let ids: Vec<&str> = self
            .directory
            .channels
            .iter()
            .filter(|(id, facts)| {
                self.scope.allows(id)
                    && (Self::names(channel, id.as_str(), &facts.name)
                        || facts.api_id == channel
                        || facts.earlier_names.iter().any(|name| name.eq_ignore_ascii_case(channel))
                        || facts.is_im && facts.members.iter().any(|member| Self::names(channel, member, &facts.name)))
            })
            .map(|(id, _)| id.as_str())
            .collect();
        if ids.is_empty() {
            self.notes.push(format!("no channel you can see is called `{channel}`"));
            return Box::new(EmptyQuery);
        }
        Box::new(TermSetQuery::new(ids.into_iter().map(|id| Term::from_field_text(self.fields.channel, id))))
    }

    /// A word or phrase in what was written or in the names of files.
    fn text(&mut self, text: &str, prefix: bool) -> Result<Boxed, Error> {
        let body = self.text_in(self.fields.body, text, prefix)?;
        let title = self.text_in(self.fields.title, text, prefix)?;
        Ok(Box::new(BooleanQuery::union(vec![body, title])))
    }

    fn text_in(&mut self, field: Field, text: &str, prefix: bool) -> Result<Boxed, Error> {
        let found = tokens(text);
        if found.is_empty() {
            let note = format!("`{text}` has no letter or digit, so nothing can match it");
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
            return Ok(Box::new(EmptyQuery));
        }
        let pieces = pieces(&found, prefix);
        if let [(_, piece)] = pieces.as_slice() {
            return Ok(match piece {
                Piece::Exact(text) => {
                    Box::new(TermQuery::new(Term::from_field_text(field, text), IndexRecordOption::WithFreqs))
                }
                Piece::Pattern(pattern) => Box::new(RegexQuery::from_pattern(pattern, field)?),
            });
        }
        if pieces.iter().all(|(_, piece)| matches!(piece, Piece::Exact(_))) {
            let terms = pieces
                .into_iter()
                .map(|(offset, piece)| (offset, Term::from_field_text(field, &piece.into_text())))
                .collect();
            return Ok(Box::new(PhraseQuery::new_with_offset(terms)));
        }
        let patterns = pieces
            .into_iter()
            .map(|(offset, piece)| match piece {
                Piece::Exact(text) => (offset, escape(&text)),
                Piece::Pattern(pattern) => (offset, pattern),
            })
            .collect();
        Ok(Box::new(RegexPhraseQuery::new_with_offset(field, patterns)))
    }
}

fn term(field: Field, text: &str) -> Boxed {
    Box::new(TermQuery::new(Term::from_field_text(field, text), IndexRecordOption::Basic))
}

enum Piece {
    Exact(String),
    Pattern(String),
}

impl Piece {
    fn into_text(self) -> String {
        match self {
            Self::Exact(text) | Self::Pattern(text) => text,
        }
    }
}

/// The terms of a run of words with their positions. The last character of an unspaced run says
/// nothing that the pair before it does not say; alone, it stands for every pair it begins.
fn pieces(found: &[Token], prefix: bool) -> Vec<(usize, Piece)> {
    let last = found.len() - 1;
    let mut out = Vec::new();
    for (n, token) in found.iter().enumerate() {
        let follows_pair = n > 0 && found[n - 1].text.contains(PAIR);
        let piece = match (token.is_run_end, n == last) {
            (true, _) if follows_pair => continue,
            (true, true) => Piece::Pattern(format!("{}({PAIR}.*)?", escape(&token.text))),
            (false, true) if prefix => Piece::Pattern(format!("{}.*", escape(&token.text))),
            _ => Piece::Exact(token.text.clone()),
        };
        out.push((n, piece));
    }
    out
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_punctuation() {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// A conjunction. One that only excludes starts from everything: the engine would find nothing.
pub(super) fn all_of(mut parts: Vec<(Occur, Boxed)>) -> Boxed {
    if parts.iter().all(|(occur, _)| *occur == Occur::MustNot) {
        parts.push((Occur::Must, Box::new(AllQuery)));
    }
    Box::new(BooleanQuery::new(parts))
}
