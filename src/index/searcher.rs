use std::cmp::Reverse;
use std::ops::Bound;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tantivy::collector::{Count, TopDocs};
use tantivy::index::SegmentId;
use tantivy::query::{BooleanQuery, ConstScoreQuery, Occur, Query as EngineQuery, RangeQuery, TermSetQuery};
use tantivy::{DocId, IndexReader, Opstamp, ReloadPolicy, Score, SegmentReader, Term};

use super::Error;
use super::compile::{Compiler, all_of};
use super::indexer::{Payload, RENEW_AFTER, current, open_generation, payload};
use super::schema::{Fields, SCHEMA_VERSION, fields};
use crate::history::{Directory, ItemState};
use crate::model::{RecordSeq, Scope};
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
#[derive(Debug)]
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
    /// In which order.
    pub order: Order,
    /// Which hits.
    pub paging: Paging,
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

/// The place in an order from which a cursor goes on.
struct Mark {
    offset: usize,
    bound: u64,
}

impl Mark {
    fn parse(text: &str, order: Order) -> Option<Self> {
        let mut parts = text.split('.');
        let (name, offset, bound) = (parts.next()?, parts.next()?, parts.next()?);
        (name == order.as_str() && parts.next().is_none()).then_some(())?;
        Some(Self { offset: offset.parse().ok()?, bound: bound.parse().ok()? })
    }

    fn to_text(&self, order: Order) -> String {
        format!("{}.{}.{}", order.as_str(), self.offset, self.bound)
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
            if payload(&index)?.schema != SCHEMA_VERSION {
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

    /// Finds what a request asks for.
    pub fn search(&self, request: &Request<'_>) -> Result<Answer, Error> {
        let (searcher, payload) = self.view()?;
        let mut compiler =
            Compiler { fields: &self.fields, directory: request.directory, scope: request.scope, notes: Vec::new() };
        let mut parts = vec![(Occur::Must, compiler.compile(request.query)?)];
        let notes = compiler.notes;
        let filter = |query: Box<dyn EngineQuery>| {
            (Occur::Must, Box::new(ConstScoreQuery::new(query, 0.0)) as Box<dyn EngineQuery>)
        };
        if let Scope::Channels(channels) = request.scope {
            parts.push(filter(Box::new(TermSetQuery::new(
                channels.iter().map(|id| Term::from_field_text(self.fields.channel, id.as_str())),
            ))));
        }
        if !request.kinds.is_empty() {
            parts.push(filter(Box::new(TermSetQuery::new(
                request.kinds.iter().map(|kind| Term::from_field_text(self.fields.kind, kind.as_str())),
            ))));
        }
        if !request.states.is_empty() {
            parts.push(filter(Box::new(TermSetQuery::new(
                request.states.iter().map(|state| Term::from_field_text(self.fields.state, state.as_str())),
            ))));
        }
        let (offset, limit, bound) = match &request.paging {
            Paging::Page { offset, limit } => (*offset, *limit, payload.records_through),
            Paging::Cursor { cursor, limit } => {
                let mark = Mark::parse(cursor, request.order)
                    .ok_or_else(|| Error::TooBroad("the cursor is not one that this search gave".to_owned()))?;
                parts.push(filter(Box::new(RangeQuery::new(
                    Bound::Unbounded,
                    Bound::Excluded(Term::from_field_u64(self.fields.seq, mark.bound)),
                ))));
                (mark.offset, *limit, mark.bound)
            }
        };
        let query: Box<dyn EngineQuery> =
            if parts.len() == 1 { all_of(parts) } else { Box::new(BooleanQuery::new(parts)) };
        // Collecting takes room for all that is skipped, so nothing is collected past the end.
        let is_past_end = offset > 0 && offset >= searcher.search(&query, &Count)?;
        if !is_past_end && offset > DEEPEST && matches!(request.paging, Paging::Page { .. }) {
            return Err(Error::TooBroad(format!(
                "pages are counted up to {DEEPEST} hits; narrow the search or follow the cursor"
            )));
        }
        let (total, hits) = if limit == 0 || is_past_end {
            (searcher.search(&query, &Count)?, Vec::new())
        } else {
            let top = TopDocs::with_limit(limit).and_offset(offset);
            match request.order {
                Order::Relevance => {
                    let key = |segment: &SegmentReader| {
                        let read = key_reader(segment);
                        move |doc: DocId, score: Score| {
                            let (ts, place, seq) = read(doc);
                            // Scores are 0 and more, so their bits are ordered as they are.
                            (score.max(0.0).to_bits(), ts, place, Reverse(seq))
                        }
                    };
                    let (total, found) = searcher.search(&query, &(Count, top.tweak_score(key)))?;
                    (total, found.into_iter().map(|(key, _)| key.3.0).collect())
                }
                Order::Newest | Order::Oldest => {
                    let sign = if request.order == Order::Newest { 1 } else { -1 };
                    let key = move |segment: &SegmentReader| {
                        let read = key_reader(segment);
                        move |doc: DocId| {
                            let (ts, place, seq) = read(doc);
                            (0_u32, ts * sign, place, Reverse(seq))
                        }
                    };
                    let (total, found) = searcher.search(&query, &(Count, top.order_by(key)))?;
                    (total, found.into_iter().map(|(key, _)| key.3.0).collect::<Vec<u64>>())
                }
            }
        };
        let hits: Vec<Hit> = hits.into_iter().map(|seq| Hit { seq: RecordSeq(seq) }).collect();
        let reached = offset.saturating_add(hits.len());
        let next_cursor =
            (limit > 0 && reached < total).then(|| Mark { offset: reached, bound }.to_text(request.order));
        Ok(Answer { total: total as u64, hits, next_cursor, searched_through: payload.records_through, notes })
    }

    /// The number of every document, sorted: for `verify`.
    pub fn all_records(&self) -> Result<Vec<u64>, Error> {
        let (searcher, _) = self.view()?;
        let mut out = Vec::new();
        for segment in searcher.segment_readers() {
            let seq = segment.fast_fields().u64("seq")?;
            out.extend(segment.doc_ids_alive().filter_map(|doc| seq.first(doc)));
        }
        out.sort_unstable();
        Ok(out)
    }
}

/// Reads time, channel and number of a document of one segment.
fn key_reader(segment: &SegmentReader) -> impl Fn(DocId) -> (i64, u64, u64) + use<> {
    let fast = segment.fast_fields();
    let (ts, place, seq) = (fast.i64("ts").ok(), fast.u64("place").ok(), fast.u64("seq").ok());
    move |doc| {
        (
            ts.as_ref().and_then(|column| column.first(doc)).unwrap_or(0),
            place.as_ref().and_then(|column| column.first(doc)).unwrap_or(0),
            seq.as_ref().and_then(|column| column.first(doc)).unwrap_or(0),
        )
    }
}
