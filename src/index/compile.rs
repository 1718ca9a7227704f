//! From a query's tree to what the engine runs.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use tantivy::Term;
use tantivy::query::{
    AllQuery, BooleanQuery, ConstScoreQuery, EmptyQuery, Occur, Query as EngineQuery, RangeQuery, TermQuery,
    TermSetQuery,
};
use tantivy::schema::{Field, IndexRecordOption};

use super::Error;
use super::as_of::AsOfQuery;
use super::budget::Budget;
use super::called::{channels_called, conversations, conversations_with, people_called};
use super::matching::{Leaf, Matching, MatchingQuery, Text};
use super::schema::Fields;
use super::terms::{Finder, Found, shown};
use super::visible::Visible;
use crate::history::{Directory, ItemState};
use crate::model::{ChannelId, Scope, UtcTime};
use crate::query::{Flag, Lookup, Plan, Query, Within};

/// A pattern that stands for more words than this is refused: an answer is never cut short.
pub const MAX_EXPANSIONS: usize = 50_000;

/// Mean lengths of the three texts, in positions; see [`Text::mean`].
const BODY_MEAN: f32 = 20.0;
const TITLE_MEAN: f32 = 4.0;
const CONTENT_MEAN: f32 = 500.0;

type Boxed = Box<dyn EngineQuery>;

/// What a pattern stood for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expansion {
    /// The part of the query.
    pub written: String,
    /// The words of the archive that it stands for, sorted.
    pub words: Vec<String>,
}

/// What is needed to turn names into ids and patterns into words.
pub(super) struct Compiler<'a> {
    pub(super) fields: &'a Fields,
    pub(super) directory: &'a Directory,
    pub(super) scope: &'a Scope,
    pub(super) searcher: &'a tantivy::Searcher,
    pub(super) visible: Arc<Visible>,
    pub(super) budget: Arc<Budget>,
    /// The moment whose state is asked for; `None`: now.
    pub(super) as_of: Option<UtcTime>,
    /// What a person should know about the result.
    pub(super) notes: Vec<String>,
    /// What the patterns stood for.
    pub(super) expansions: BTreeMap<String, BTreeSet<String>>,
}

impl Compiler<'_> {
    /// The tree as a query of the engine. `is_scored`: its words count for the order by relevance.
    pub(super) fn compile(&mut self, query: &Query, is_scored: bool) -> Result<Boxed, Error> {
        Ok(match query {
            Query::All => Box::new(AllQuery),
            Query::Text { within, plan, .. } => self.text(*within, plan, is_scored)?,
            Query::And(parts) => {
                let parts: Vec<(Occur, Boxed)> = parts
                    .iter()
                    .map(|part| match part {
                        Query::Not(inner) => Ok((Occur::MustNot, self.compile(inner, false)?)),
                        other => Ok((Occur::Must, self.compile(other, is_scored)?)),
                    })
                    .collect::<Result<_, Error>>()?;
                all_of(parts)
            }
            Query::Or(parts) => Box::new(BooleanQuery::union(
                parts.iter().map(|part| self.compile(part, is_scored)).collect::<Result<_, _>>()?,
            )),
            Query::Not(inner) => all_of(vec![(Occur::MustNot, self.compile(inner, false)?)]),
            Query::From(who) => self.people(self.fields.author, who),
            Query::Mentions(who) => self.people(self.fields.mention, who),
            Query::In(channel) => self.in_channel(channel),
            Query::With(who) => self.with(who),
            Query::Time(range) => {
                let bound = |time: UtcTime| Term::from_field_i64(self.fields.ts, time.timestamp_micros());
                let lower = range.from.map_or(Bound::Unbounded, |from| Bound::Included(bound(from)));
                let upper = range.to.map_or(Bound::Unbounded, |to| Bound::Excluded(bound(to)));
                between(lower, upper)
            }
            Query::Kind(kind) => term(self.fields.kind, kind.as_str()),
            Query::Flag(flag) => self.flag(*flag),
            Query::Extension(extension) => term(self.fields.extension, extension),
            Query::Mime(mime) => term(self.fields.mime, mime),
            Query::Extraction(status) => term(self.fields.status, status),
            Query::Reaction(name) => term(self.fields.reaction, name),
            Query::Size { from, to } => numbers(self.fields.size, *from, *to),
            Query::Records { from, to } => numbers(self.fields.seq, *from, *to),
            Query::Id(id) => self.id(id),
        })
    }

    fn flag(&mut self, flag: Flag) -> Boxed {
        // A file that the asker may see can stand in a conversation that is not for them, too.
        if flag == Flag::Im && *self.scope != Scope::All {
            return self.in_one_of(&conversations(self.directory), || "you can see no direct conversation".to_owned());
        }
        let state = match flag {
            Flag::Current => Some(ItemState::Current),
            Flag::Deleted => Some(ItemState::Deleted),
            Flag::Superseded => Some(ItemState::Edited),
            _ => None,
        };
        match (self.as_of, state) {
            // Changed by then: a later reading, or one that was replaced.
            (Some(moment), None) if flag == Flag::Edited => {
                let replaced = unscored(Box::new(AsOfQuery { moment, states: vec![ItemState::Edited] }));
                Box::new(BooleanQuery::union(vec![term(self.fields.flag, "revised"), replaced]))
            }
            (Some(moment), Some(state)) => unscored(Box::new(AsOfQuery { moment, states: vec![state] })),
            _ => term(self.fields.flag, flag.as_str()),
        }
    }

    fn id(&self, id: &str) -> Boxed {
        let by_key = term(self.fields.key, id);
        match id.parse::<u64>() {
            Ok(seq) => Box::new(BooleanQuery::union(vec![by_key, numbers(self.fields.seq, Some(seq), Some(seq))])),
            Err(_) => by_key,
        }
    }

    fn people(&mut self, field: Field, who: &str) -> Boxed {
        let mut ids = people_called(self.directory, who);
        if ids.is_empty() {
            // Somebody who wrote may be in no list of people.
            ids.push(who.to_lowercase());
            self.notes
                .push(format!("nobody in the archive's lists of people is called `{who}`; it was read as an address"));
        }
        if ids.len() > 1 {
            self.notes.push(format!("`{who}` is {} people: {}", ids.len(), ids.join(", ")));
        }
        unscored(Box::new(TermSetQuery::new(ids.iter().map(|id| Term::from_field_text(field, id)))))
    }

    /// In one of these channels, as far as the asker may see them; a note where that is none.
    fn in_one_of(&mut self, channels: &[&ChannelId], none: impl FnOnce() -> String) -> Boxed {
        let allowed = channels.iter().filter(|id| self.scope.allows(id));
        let terms: Vec<Term> = allowed.map(|id| Term::from_field_text(self.fields.channel, id.as_str())).collect();
        if terms.is_empty() {
            self.notes.push(none());
            return Box::new(EmptyQuery);
        }
        unscored(Box::new(TermSetQuery::new(terms)))
    }

    fn in_channel(&mut self, channel: &str) -> Boxed {
        let found = channels_called(self.directory, channel);
        self.in_one_of(&found, || format!("no channel you can see is called `{channel}`"))
    }

    fn with(&mut self, who: &str) -> Boxed {
        let found = conversations_with(self.directory, who);
        self.in_one_of(&found, || format!("no direct conversation with `{who}` is among what you can see"))
    }

    fn text(&mut self, within: Within, plan: &Plan, is_scored: bool) -> Result<Boxed, Error> {
        let text = |field, mean| Text { field, mean };
        let (body, title, content) = (
            text(self.fields.body, BODY_MEAN),
            text(self.fields.title, TITLE_MEAN),
            text(self.fields.content, CONTENT_MEAN),
        );
        let texts = match within {
            Within::Any => vec![body, title, content],
            Within::Body => vec![body],
            Within::Title => vec![title],
            Within::Content => vec![content],
        };
        let mut leaves = Vec::new();
        self.look_up(plan, &texts, is_scored, &mut leaves)?;
        // The parser has said that there is nothing to look for.
        if leaves.is_empty() {
            return Ok(Box::new(EmptyQuery));
        }
        Ok(Box::new(MatchingQuery(Arc::new(Matching {
            plan: plan.clone(),
            leaves,
            texts,
            visible: Arc::clone(&self.visible),
            budget: Arc::clone(&self.budget),
        }))))
    }

    /// The leaves of a plan, in order.
    fn look_up(&mut self, plan: &Plan, texts: &[Text], is_scored: bool, into: &mut Vec<Leaf>) -> Result<(), Error> {
        match plan {
            Plan::Nothing => Ok(()),
            Plan::Leaf(lookup, length) => {
                into.push(self.leaf(lookup, *length, texts, is_scored)?);
                Ok(())
            }
            Plan::Sequence(parts) | Plan::Any(parts) | Plan::Window(parts, _) => {
                parts.iter().try_for_each(|part| self.look_up(part, texts, is_scored, into))
            }
            Plan::Near { left, right, .. } => {
                self.look_up(left, texts, is_scored, into)?;
                self.look_up(right, texts, is_scored, into)
            }
            Plan::NotNear { left, right, .. } => {
                self.look_up(left, texts, is_scored, into)?;
                self.look_up(right, texts, false, into)
            }
        }
    }

    fn leaf(&mut self, lookup: &Lookup, length: u32, texts: &[Text], is_scored: bool) -> Result<Leaf, Error> {
        let is_exact = matches!(lookup, Lookup::Word(_) | Lookup::Pair(_) | Lookup::Character(_));
        let written = (!is_exact).then(|| lookup.to_string());
        let mut words: BTreeSet<String> = BTreeSet::new();
        let mut found = HashMap::new();
        let finder = Finder::new(lookup, length)?;
        for segment in self.searcher.segment_readers() {
            for text in texts {
                let index = segment.inverted_index(text.field)?;
                let mut here: Vec<Found> = Vec::new();
                finder.find(index.terms(), &mut |token| {
                    if is_exact {
                        here.push(token);
                        return Ok(());
                    }
                    if !self.budget.go_on() {
                        return self.budget.check();
                    }
                    // What only others can see is not told, and not counted.
                    if !self.visible.has(segment, &index, &token.info)? {
                        return Ok(());
                    }
                    words.insert(shown(&token.text));
                    if words.len() > MAX_EXPANSIONS {
                        return Err(Error::TooBroad(format!(
                            "`{lookup}` stands for more than {MAX_EXPANSIONS} words of the archive; write more of it"
                        )));
                    }
                    here.push(token);
                    Ok(())
                })?;
                if !here.is_empty() {
                    found.insert((segment.segment_id(), text.field), here);
                }
            }
        }
        if let Some(written) = written {
            self.expansions.entry(written).or_default().extend(words);
        }
        Ok(Leaf { found, is_scored: is_scored && is_exact })
    }
}

/// A condition without a score.
pub(super) fn unscored(query: Boxed) -> Boxed {
    Box::new(ConstScoreQuery::new(query, 0.0))
}

fn between(lower: Bound<Term>, upper: Bound<Term>) -> Boxed {
    match (&lower, &upper) {
        (Bound::Unbounded, Bound::Unbounded) => unscored(Box::new(AllQuery)),
        _ => unscored(Box::new(RangeQuery::new(lower, upper))),
    }
}

fn numbers(field: Field, from: Option<u64>, to: Option<u64>) -> Boxed {
    let bound = |number: Option<u64>| {
        number.map_or(Bound::Unbounded, |number| Bound::Included(Term::from_field_u64(field, number)))
    };
    between(bound(from), bound(to))
}

fn term(field: Field, text: &str) -> Boxed {
    unscored(Box::new(TermQuery::new(Term::from_field_text(field, text), IndexRecordOption::Basic)))
}

/// A conjunction. One that only excludes starts from everything: the engine would find nothing.
pub(super) fn all_of(mut parts: Vec<(Occur, Boxed)>) -> Boxed {
    if parts.iter().all(|(occur, _)| *occur == Occur::MustNot) {
        parts.push((Occur::Must, unscored(Box::new(AllQuery))));
    }
    Box::new(BooleanQuery::new(parts))
}
