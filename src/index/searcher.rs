//! Answers searches: hits in a total order, exact totals, pages that new records do not shift.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tantivy::collector::{Collector, Count};
use tantivy::index::SegmentId;
use tantivy::query::{BooleanQuery, Occur, Query as EngineQuery, RangeQuery, TermSetQuery};
use tantivy::{IndexReader, Opstamp, ReloadPolicy, Term};

use super::Error;
use super::as_of::AsOfQuery;
use super::budget::Budget;
use super::collect::{Collect, Collected, Rank};
use super::compile::{Compiler, Expansion, unscored};
use super::facets::{FacetCounts, FacetPlan};
use super::indexer::{Payload, RENEW_AFTER, current, open_generation, payload};
use super::schema::{Fields, fields};
use super::visible::Visible;
use crate::history::{Directory, ItemState};
use crate::model::{RecordSeq, Scope, UtcTime};
use crate::query::{Query, Sort};
use crate::store::Layout;

/// Pages are counted up to this many hits; a cursor goes on beyond.
const DEEPEST: usize = 10_000;

/// In which order hits come. Each order is total: equal hits come by channel, time and record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// What fits best first (BM25).
    Relevance,
    /// Newest first.
    Newest,
    /// Oldest first.
    Oldest,
}

impl Order {
    /// The word on the command line and in addresses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Relevance => "relevance",
            Self::Newest => "newest",
            Self::Oldest => "oldest",
        }
    }

    /// The order of that word.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Relevance, Self::Newest, Self::Oldest].into_iter().find(|order| order.as_str() == text)
    }
}

/// Which hits of a result are wanted.
#[derive(Debug, Clone)]
pub enum Paging {
    /// By number: skip so many, take so many.
    Page {
        /// How many to skip.
        offset: usize,
        /// How many to take.
        limit: usize,
    },
    /// From where another answer stopped; new records and merges do not shift it.
    Cursor {
        /// What that answer gave.
        cursor: String,
        /// How many to take.
        limit: usize,
    },
}

/// A search.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// What is looked for.
    pub query: &'a Query,
    /// What the asker may see: part of the search, not a filter after it.
    pub scope: &'a Scope,
    /// Names for `from:` and `in:`.
    pub directory: &'a Directory,
    /// Only these kinds; empty: all.
    pub kinds: &'a [Sort],
    /// Only these states; empty: all.
    pub states: &'a [ItemState],
    /// As everything stood at this moment; `None`: now.
    pub as_of: Option<UtcTime>,
    /// In which order.
    pub order: Order,
    /// Which hits.
    pub paging: Paging,
    /// What is counted and chosen by facet.
    pub facets: Option<FacetPlan>,
}

/// A hit: the record to read from the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hit {
    /// Its number.
    pub seq: RecordSeq,
}

/// A result.
#[derive(Debug, Clone)]
pub struct Answer {
    /// How many match, exactly.
    pub total: u64,
    /// The hits of this page.
    pub hits: Vec<Hit>,
    /// Where the next page begins; `None` at the end.
    pub next_cursor: Option<String>,
    /// Every record below this number was searched.
    pub searched_through: u64,
    /// What should be known about how the query was read.
    pub notes: Vec<String>,
    /// What its patterns stood for.
    pub expansions: Vec<Expansion>,
    /// Hits by facet and by time.
    pub facets: FacetCounts,
}

struct Open {
    folder: PathBuf,
    index: tantivy::Index,
    reader: IndexReader,
    /// Which commit and which segments the reader shows.
    shown: (Opstamp, Vec<SegmentId>),
    reloads: u32,
}

impl Open {
    fn generation(folder: PathBuf, index: tantivy::Index) -> Result<Self, Error> {
        let shown = commit_of(&index)?;
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        Ok(Self { folder, index, reader, shown, reloads: 0 })
    }
}

fn commit_of(index: &tantivy::Index) -> Result<(Opstamp, Vec<SegmentId>), Error> {
    let metas = index.load_metas()?;
    Ok((metas.opstamp, metas.segments.iter().map(tantivy::SegmentMeta::id).collect()))
}

/// Searches an index. Clones share it; it follows commits and new generations.
#[derive(Clone)]
pub struct Searcher {
    layout: Layout,
    fields: Arc<Fields>,
    open: Arc<Mutex<Option<Open>>>,
}

impl std::fmt::Debug for Searcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Searcher")
    }
}

/// The place in an order from which a cursor goes on: the last hit, and how many records the first
/// page knew.
struct Mark {
    rank: Rank,
    bound: u64,
}

impl Mark {
    fn parse(text: &str, order: Order) -> Option<Self> {
        let mut parts = text.split('.');
        (parts.next()? == order.as_str()).then_some(())?;
        let mut number = || u64::from_str_radix(parts.next()?, 16).ok();
        let score = u32::try_from(number()?).ok()?;
        let rank = Rank { score, time: number()?, place: number()?, seq: number()? };
        let bound = number()?;
        parts.next().is_none().then_some(Self { rank, bound })
    }

    fn to_text(&self, order: Order) -> String {
        let Rank { score, time, place, seq } = self.rank;
        format!("{}.{score:x}.{time:x}.{place:x}.{seq:x}.{:x}", order.as_str(), self.bound)
    }
}

impl Searcher {
    /// For the index of an archive, which need not exist yet.
    pub fn new(layout: &Layout) -> Self {
        Self { layout: layout.clone(), fields: Arc::new(fields()), open: Arc::default() }
    }

    fn view(&self) -> Result<(tantivy::Searcher, Payload), Error> {
        let absent = |detail: &str| Error::Absent { path: self.layout.index(), detail: detail.to_owned() };
        let folder = current(&self.layout).ok_or_else(|| absent("it has not been built"))?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.as_ref().is_none_or(|open| open.folder != folder || open.reloads >= RENEW_AFTER) {
            let index = open_generation(&folder)?;
            if !payload(&index)?.is_ours() {
                return Err(absent("it was built by another version"));
            }
            *open = Some(Open::generation(folder, index)?);
        }
        let open = open.as_mut().ok_or_else(|| absent("it could not be opened"))?;
        // The payload is read before the reload: what is then searched holds that much at least.
        let payload = payload(&open.index)?;
        let newest = commit_of(&open.index)?;
        if open.shown != newest {
            open.reader.reload()?;
            open.shown = newest;
            open.reloads += 1;
        }
        Ok((open.reader.searcher(), payload))
    }

    /// Every record below this number can be found.
    pub fn reached(&self) -> Result<u64, Error> {
        Ok(self.view()?.1.records_through)
    }

    /// The index as it is now, which stays so for several searches.
    pub(super) fn still(&self) -> Result<Still, Error> {
        let (searcher, payload) = self.view()?;
        Ok(Still { searcher, payload, fields: Arc::clone(&self.fields) })
    }

    /// Finds what a request asks for.
    pub fn search(&self, request: &Request<'_>) -> Result<Answer, Error> {
        self.still()?.search(request)
    }

    /// What every document says of itself: for the check of an index.
    pub(super) fn all(&self) -> Result<Held, Error> {
        let (searcher, payload) = self.view()?;
        let mut checks = Vec::with_capacity(usize::try_from(searcher.num_docs()).unwrap_or(0));
        for segment in searcher.segment_readers() {
            let (seq, check) = (segment.fast_fields().u64("seq")?, segment.fast_fields().u64("check")?);
            checks.extend(
                segment.doc_ids_alive().map(|doc| (seq.first(doc).unwrap_or(u64::MAX), check.first(doc).unwrap_or(0))),
            );
        }
        Ok(Held { payload, checks })
    }

    /// The record of every document, sorted.
    pub fn records(&self) -> Result<Vec<u64>, Error> {
        let mut records: Vec<u64> = self.all()?.checks.into_iter().map(|(seq, _)| seq).collect();
        records.sort_unstable();
        Ok(records)
    }

    /// The files of the index that are not as they were written.
    pub fn damaged_files(&self) -> Result<Vec<PathBuf>, Error> {
        self.view()?;
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(open) = open.as_ref() else { return Ok(Vec::new()) };
        let mut damaged: Vec<PathBuf> = open.index.validate_checksum()?.into_iter().collect();
        damaged.sort();
        Ok(damaged)
    }
}

/// The documents of an index: record number and check.
pub(super) struct Held {
    pub(super) payload: Payload,
    pub(super) checks: Vec<(u64, u64)>,
}

/// An index as it was at a moment.
pub(super) struct Still {
    searcher: tantivy::Searcher,
    payload: Payload,
    fields: Arc<Fields>,
}

/// A query as the engine runs it, and what should be known of it.
pub(super) struct Compiled {
    pub(super) query: Box<dyn EngineQuery>,
    pub(super) notes: Vec<String>,
    pub(super) expansions: Vec<Expansion>,
    pub(super) budget: Arc<Budget>,
}

impl Still {
    /// Every record below this number can be found.
    pub(super) fn searched_through(&self) -> u64 {
        self.payload.records_through
    }

    /// Collects what a compiled query finds; an error when not all was looked at.
    pub(super) fn collect<C: Collector>(&self, compiled: &Compiled, collector: &C) -> Result<C::Fruit, Error> {
        let fruit = self.searcher.search(&compiled.query, collector)?;
        compiled.budget.check()?;
        Ok(fruit)
    }

    /// How many documents that the request may see belong to one of these families.
    pub(super) fn families(&self, request: &Request<'_>, families: &HashSet<u64>) -> Result<u64, Error> {
        let everything = Request { query: &Query::All, ..request.clone() };
        let compiled = self.compile(&everything, None)?;
        let members =
            TermSetQuery::new(families.iter().map(|family| Term::from_field_u64(self.fields.family, *family)));
        let both = BooleanQuery::new(vec![
            (Occur::Must, compiled.query.box_clone()),
            (Occur::Must, unscored(Box::new(members))),
        ]);
        Ok(self.searcher.search(&both, &Count)? as u64)
    }

    /// The documents with a term that the request may see, in its order, `limit` at most, and how many there are.
    pub(super) fn with_term(&self, request: &Request<'_>, term: Term, limit: usize) -> Result<(u64, Vec<Hit>), Error> {
        let compiled = self.compile(request, None)?;
        let having = unscored(Box::new(TermSetQuery::new([term])));
        let query = BooleanQuery::new(vec![(Occur::Must, compiled.query.box_clone()), (Occur::Must, having)]);
        let budget = Arc::clone(&compiled.budget);
        let scope = request.scope.clone();
        let wanted = Collect { order: request.order, after: None, limit, facets: None, scope, budget };
        let found = self.collect(&Compiled { query: Box::new(query), ..compiled }, &wanted)?;
        let hits = found.best.iter().map(|rank| Hit { seq: RecordSeq(rank.seq) }).collect();
        Ok((found.total, hits))
    }

    pub(super) fn fields(&self) -> &Fields {
        &self.fields
    }

    fn search(&self, request: &Request<'_>) -> Result<Answer, Error> {
        let (offset, limit, mark) = match &request.paging {
            Paging::Page { offset, limit } => (*offset, *limit, None),
            Paging::Cursor { cursor, limit } => {
                let mark = Mark::parse(cursor, request.order)
                    .ok_or_else(|| Error::TooBroad("the cursor is not one that this search gave".to_owned()))?;
                (0, *limit, Some(mark))
            }
        };
        let bound = mark.as_ref().map(|mark| mark.bound);
        let compiled = self.compile(request, bound)?;
        // Collecting takes room for all that is skipped, so nothing is collected past the end.
        let is_past_end = offset > 0 && offset >= self.collect(&compiled, &Count)?;
        if !is_past_end && offset > DEEPEST {
            return Err(Error::TooBroad(format!(
                "pages are counted up to {DEEPEST} hits; narrow the search or follow the cursor"
            )));
        }
        // One more than is shown, to know whether there are more.
        let kept = if limit == 0 || is_past_end { 0 } else { offset.saturating_add(limit).saturating_add(1) };
        let collected = if kept == 0 && request.facets.is_none() {
            // A number alone is often known without a look at each document.
            Collected { total: self.collect(&compiled, &Count)? as u64, ..Collected::default() }
        } else {
            let wanted = Collect {
                order: request.order,
                after: mark.as_ref().map(|mark| mark.rank),
                limit: kept,
                facets: request.facets.clone().map(|plan| FacetPlan { as_of: request.as_of, ..plan }),
                scope: request.scope.clone(),
                budget: Arc::clone(&compiled.budget),
            };
            self.collect(&compiled, &wanted)?
        };
        let rest = collected.best.get(offset..).unwrap_or_default();
        let page = &rest[..rest.len().min(limit)];
        let hits: Vec<Hit> = page.iter().map(|rank| Hit { seq: RecordSeq(rank.seq) }).collect();
        let bound = bound.unwrap_or(self.payload.records_through);
        let next_cursor = page
            .last()
            .filter(|_| rest.len() > page.len())
            .map(|last| Mark { rank: *last, bound }.to_text(request.order));
        Ok(Answer {
            total: collected.total,
            hits,
            next_cursor,
            searched_through: self.payload.records_through,
            notes: compiled.notes,
            expansions: compiled.expansions,
            facets: collected.facets,
        })
    }

    /// The query of the engine for a request; with a bound, only of records below it.
    pub(super) fn compile(&self, request: &Request<'_>, bound: Option<u64>) -> Result<Compiled, Error> {
        let budget = Arc::new(Budget::new());
        let visible = Arc::new(Visible::new(&self.searcher, &self.fields, request.scope, bound)?);
        let mut compiler = Compiler {
            fields: &self.fields,
            directory: request.directory,
            scope: request.scope,
            searcher: &self.searcher,
            visible,
            budget: Arc::clone(&budget),
            as_of: request.as_of,
            notes: Vec::new(),
            expansions: BTreeMap::<String, BTreeSet<String>>::new(),
        };
        let is_scored = request.order == Order::Relevance;
        let mut parts = vec![(Occur::Must, compiler.compile(request.query, is_scored)?)];
        let Compiler { notes, expansions, .. } = compiler;
        let mut filter = |query: Box<dyn EngineQuery>| parts.push((Occur::Must, unscored(query)));
        if let Scope::Channels(channels) = request.scope {
            filter(Box::new(TermSetQuery::new(
                channels.iter().map(|id| Term::from_field_text(self.fields.channel, id.as_str())),
            )));
        }
        if !request.kinds.is_empty() {
            filter(Box::new(TermSetQuery::new(
                request.kinds.iter().map(|kind| Term::from_field_text(self.fields.kind, kind.as_str())),
            )));
        }
        match request.as_of {
            Some(moment) => filter(Box::new(AsOfQuery { moment, states: request.states.to_vec() })),
            None if !request.states.is_empty() => filter(Box::new(TermSetQuery::new(
                request.states.iter().map(|state| Term::from_field_text(self.fields.state, state.as_str())),
            ))),
            None => {}
        }
        if let Some(bound) = bound {
            filter(Box::new(RangeQuery::new(
                Bound::Unbounded,
                Bound::Excluded(Term::from_field_u64(self.fields.seq, bound)),
            )));
        }
        let expansions = expansions
            .into_iter()
            .map(|(written, words)| Expansion { written, words: words.into_iter().collect() })
            .collect();
        Ok(Compiled { query: Box::new(BooleanQuery::new(parts)), notes, expansions, budget })
    }
}
