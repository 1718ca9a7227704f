//! Documents as they stood at a moment.
//!
//! A document says when its record was observed, when the next reading of the same item was, and in which
//! stretches the item was found to be gone. Times are those of our observations: nobody knows better.

use tantivy::columnar::Column;
use tantivy::index::SegmentReader;
use tantivy::query::{EnableScoring, Explanation, Query, Scorer, Weight};
use tantivy::{DocId, DocSet, Score, TERMINATED};

use crate::history::ItemState;
use crate::model::UtcTime;

/// Documents that existed at a moment, in one of some states; without states: in any.
#[derive(Debug, Clone)]
pub(super) struct AsOfQuery {
    pub(super) moment: UtcTime,
    pub(super) states: Vec<ItemState>,
}

impl Query for AsOfQuery {
    fn weight(&self, _scoring: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(AsOfWeight(self.clone())))
    }
}

struct AsOfWeight(AsOfQuery);

impl Weight for AsOfWeight {
    fn scorer(&self, segment: &SegmentReader, _boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        let mut scorer = AsOfScorer {
            standing: AsOf::new(segment, self.0.moment)?,
            states: self.0.states.clone(),
            end: segment.max_doc(),
            doc: 0,
        };
        scorer.settle(0);
        Ok(Box::new(scorer))
    }

    fn explain(&self, _segment: &SegmentReader, _doc: DocId) -> tantivy::Result<Explanation> {
        Ok(Explanation::new("it stood so at that moment", 1.0))
    }
}

/// How the documents of a segment stood at a moment.
pub(super) struct AsOf {
    moment: i64,
    observed: Column<i64>,
    replaced: Column<i64>,
    gone: Column<i64>,
}

impl AsOf {
    pub(super) fn new(segment: &SegmentReader, moment: UtcTime) -> tantivy::Result<Self> {
        let fast = segment.fast_fields();
        Ok(Self {
            moment: moment.timestamp_micros(),
            observed: fast.i64("observed")?,
            replaced: fast.i64("replaced")?,
            gone: fast.i64("gone")?,
        })
    }

    /// What a document was at the moment; `None` when nobody had seen it yet.
    pub(super) fn state(&self, doc: DocId) -> Option<ItemState> {
        if self.observed.first(doc).is_none_or(|observed| observed > self.moment) {
            return None;
        }
        if self.replaced.first(doc).is_some_and(|replaced| replaced <= self.moment) {
            return Some(ItemState::Edited);
        }
        // Moments at which it went and came back, in turn.
        let changes = self.gone.values_for_doc(doc).filter(|change| *change <= self.moment).count();
        Some(if changes % 2 == 1 { ItemState::Deleted } else { ItemState::Current })
    }
}

struct AsOfScorer {
    standing: AsOf,
    states: Vec<ItemState>,
    end: DocId,
    doc: DocId,
}

impl AsOfScorer {
    fn settle(&mut self, from: DocId) -> DocId {
        self.doc = (from..self.end)
            .find(|doc| {
                self.standing.state(*doc).is_some_and(|state| self.states.is_empty() || self.states.contains(&state))
            })
            .unwrap_or(TERMINATED);
        self.doc
    }
}

impl DocSet for AsOfScorer {
    fn advance(&mut self) -> DocId {
        if self.doc == TERMINATED { TERMINATED } else { self.settle(self.doc + 1) }
    }

    fn seek(&mut self, target: DocId) -> DocId {
        if self.doc >= target { self.doc } else { self.settle(target) }
    }

    fn doc(&self) -> DocId {
        self.doc
    }

    fn size_hint(&self) -> u32 {
        self.end
    }
}

impl Scorer for AsOfScorer {
    fn score(&mut self) -> Score {
        0.0
    }
}
