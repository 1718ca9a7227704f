//! Counts what matches, keeps the best of it in a total order, and counts it by facet.

use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::{Column, StrColumn};
use tantivy::index::SegmentReader;
use tantivy::{DocId, Score};

use super::budget::Budget;
use super::document::number;
use super::facets::{FacetCounts, FacetPlan, SegmentFacets};
use super::searcher::Order;
use crate::model::Scope;

/// Where a document stands in an order: the smaller, the earlier. Score or nothing, time, channel, record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    pub(super) score: u32,
    pub(super) time: u64,
    pub(super) place: u64,
    pub(super) seq: u64,
}

/// What is wanted of the documents that match.
#[derive(Debug)]
pub(super) struct Collect {
    pub(super) order: Order,
    /// Only what stands after this is kept; all is counted.
    pub(super) after: Option<Rank>,
    /// How many are kept.
    pub(super) limit: usize,
    pub(super) facets: Option<FacetPlan>,
    /// What the asker may see.
    pub(super) scope: Scope,
    pub(super) budget: Arc<Budget>,
}

/// The channel by which a document stands in an order.
enum Place {
    /// For who may see all of them: the number that the index has.
    First(Column<u64>),
    /// A file stands in channels that the asker may not see, too: the first that they may, and the number of
    /// each of these by the place of its name in the segment's dictionary.
    Seen(StrColumn, HashMap<u64, u64>),
}

impl Place {
    fn new(scope: &Scope, segment: &SegmentReader) -> tantivy::Result<Self> {
        let fast = segment.fast_fields();
        if let Scope::Channels(channels) = scope
            && let Some(names) = fast.str("channel")?
        {
            let mut numbers = HashMap::new();
            for id in channels {
                if let Some(ord) = names.dictionary().term_ord(id.as_str())? {
                    numbers.insert(ord, number(id.as_str()));
                }
            }
            return Ok(Self::Seen(names, numbers));
        }
        Ok(Self::First(fast.u64("place")?))
    }

    fn of(&self, doc: DocId) -> u64 {
        match self {
            Self::First(place) => place.first(doc),
            Self::Seen(names, numbers) => names.term_ords(doc).find_map(|ord| numbers.get(&ord).copied()),
        }
        .unwrap_or(0)
    }
}

/// What was collected.
#[derive(Debug, Default)]
pub(super) struct Collected {
    /// How many match.
    pub(super) total: u64,
    /// The first ones, in order.
    pub(super) best: Vec<Rank>,
    pub(super) facets: FacetCounts,
}

pub(super) struct Segment {
    order: Order,
    after: Option<Rank>,
    limit: usize,
    ts: Column<i64>,
    place: Place,
    seq: Column<u64>,
    facets: Option<SegmentFacets>,
    budget: Arc<Budget>,
    total: u64,
    best: BinaryHeap<Rank>,
}

impl Collector for Collect {
    type Fruit = Collected;
    type Child = Segment;

    fn for_segment(&self, _ordinal: u32, segment: &SegmentReader) -> tantivy::Result<Segment> {
        let fast = segment.fast_fields();
        Ok(Segment {
            order: self.order,
            after: self.after,
            limit: self.limit,
            ts: fast.i64("ts")?,
            place: Place::new(&self.scope, segment)?,
            seq: fast.u64("seq")?,
            facets: self.facets.as_ref().map(|plan| SegmentFacets::new(plan, segment)).transpose()?,
            budget: Arc::clone(&self.budget),
            total: 0,
            best: BinaryHeap::new(),
        })
    }

    fn requires_scoring(&self) -> bool {
        self.order == Order::Relevance && self.limit > 0
    }

    fn merge_fruits(&self, fruits: Vec<tantivy::Result<Collected>>) -> tantivy::Result<Collected> {
        let mut merged = Collected::default();
        for fruit in fruits {
            let fruit = fruit?;
            merged.total += fruit.total;
            merged.best.extend(fruit.best);
            merged.facets.add(fruit.facets);
        }
        merged.best.sort_unstable();
        merged.best.truncate(self.limit);
        Ok(merged)
    }
}

impl SegmentCollector for Segment {
    type Fruit = tantivy::Result<Collected>;

    fn collect(&mut self, doc: DocId, score: Score) {
        if !self.budget.go_on() {
            return;
        }
        if let Some(facets) = &mut self.facets
            && !facets.count(doc)
        {
            return;
        }
        self.total += 1;
        if self.limit == 0 {
            return;
        }
        let ts = tantivy::i64_to_u64(self.ts.first(doc).unwrap_or(0));
        // A sum of nothing is the negative zero, whose bits are not those of zero.
        let score = if score > 0.0 { score } else { 0.0 };
        let (score, time) = match self.order {
            // Scores are 0 and more, so their bits are ordered as they are.
            Order::Relevance => (!score.to_bits(), !ts),
            Order::Newest => (0, !ts),
            Order::Oldest => (0, ts),
        };
        let is_full = self.best.len() >= self.limit;
        // Most are told apart by score and time already.
        if is_full && self.best.peek().is_some_and(|worst| (worst.score, worst.time) < (score, time)) {
            return;
        }
        let place = self.place.of(doc);
        let seq = self.seq.first(doc).unwrap_or(0);
        let rank = Rank { score, time, place, seq };
        if self.after.is_some_and(|after| rank <= after) {
            return;
        }
        self.best.push(rank);
        if self.best.len() > self.limit {
            self.best.pop();
        }
    }

    fn harvest(self) -> tantivy::Result<Collected> {
        Ok(Collected {
            total: self.total,
            best: self.best.into_vec(),
            facets: self.facets.map(SegmentFacets::harvest).transpose()?.unwrap_or_default(),
        })
    }
}
