//! The query of the engine that answers one part of ours: documents one of whose texts holds a span
//! of a plan.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tantivy::fieldnorm::FieldNormReader;
use tantivy::index::{SegmentId, SegmentReader};
use tantivy::postings::{Postings as _, SegmentPostings};
use tantivy::query::{EmptyScorer, EnableScoring, Explanation, Query, Scorer, Weight};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocId, DocSet, Score, Searcher, TERMINATED};

use super::budget::Budget;
use super::cursor_tree::{Combined, Cursor, Tokens};
use super::terms::Found;
use super::visible::Visible;
use crate::query::Plan;

/// BM25's saturation.
const K1: f32 = 1.2;
/// BM25's weight of the length.
const B: f32 = 0.75;
/// A part of a score is a multiple of this, so that a sum is the same in any order of its parts: the
/// engine adds them up in an order that depends on its segments.
const GRAIN: f32 = 1.0 / 1024.0;

/// A text that is searched.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text {
    /// Where its tokens are.
    pub(super) field: Field,
    /// How many positions count as neither long nor short. Fixed, so that a score does not change when
    /// other documents come.
    pub(super) mean: f32,
}

/// A leaf of a plan with what it stands for.
#[derive(Debug)]
pub(super) struct Leaf {
    /// In each segment and text.
    pub(super) found: HashMap<(SegmentId, Field), Vec<Found>>,
    /// Whether its words count for the score: those that were typed as they are, and not after NOT.
    pub(super) is_scored: bool,
}

/// A plan whose leaves were looked up, in the order in which they stand.
#[derive(Debug)]
pub(super) struct Matching {
    pub(super) plan: Plan,
    pub(super) leaves: Vec<Leaf>,
    pub(super) texts: Vec<Text>,
    pub(super) visible: Arc<Visible>,
    pub(super) budget: Arc<Budget>,
}

/// [`Matching`] as the engine takes it.
#[derive(Debug, Clone)]
pub(super) struct MatchingQuery(pub(super) Arc<Matching>);

impl Query for MatchingQuery {
    fn weight(&self, scoring: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        let rarities = match scoring.searcher() {
            Some(searcher) if scoring.is_scoring_enabled() => Some(self.0.rarities(searcher)?),
            _ => None,
        };
        Ok(Box::new(MatchingWeight { matching: Arc::clone(&self.0), rarities }))
    }
}

impl Matching {
    /// How rare each scored token is: BM25's inverse document frequency among the documents that the
    /// search looks at.
    fn rarities(&self, searcher: &Searcher) -> tantivy::Result<HashMap<(Field, String), f32>> {
        let mut frequencies: HashMap<(Field, String), u64> = HashMap::new();
        let mut counted = HashSet::new();
        for leaf in self.leaves.iter().filter(|leaf| leaf.is_scored) {
            for segment in searcher.segment_readers() {
                for text in &self.texts {
                    let key = (segment.segment_id(), text.field);
                    for found in leaf.found.get(&key).into_iter().flatten() {
                        // Two leaves may be the same word.
                        if counted.insert((key, found.text.as_str())) {
                            let count = self.visible.frequency(segment, text.field, &found.info)?;
                            *frequencies.entry((text.field, found.text.clone())).or_default() += count;
                        }
                    }
                }
            }
        }
        let documents = self.visible.documents(searcher);
        Ok(frequencies.into_iter().map(|(key, count)| (key, rarity(documents, count))).collect())
    }

    fn cursor(&self, segment: &SegmentReader, text: Text, with: IndexRecordOption) -> tantivy::Result<Cursor> {
        let mut next = 0;
        self.branch(&self.plan, segment, text, with, &mut next)
    }

    fn branch(
        &self,
        plan: &Plan,
        segment: &SegmentReader,
        text: Text,
        with: IndexRecordOption,
        next: &mut usize,
    ) -> tantivy::Result<Cursor> {
        let parts = |parts: &[Plan], next: &mut usize| -> tantivy::Result<Vec<Cursor>> {
            parts.iter().map(|part| self.branch(part, segment, text, with, next)).collect()
        };
        Ok(match plan {
            Plan::Nothing => Cursor::Leaf(Tokens::None),
            Plan::Leaf(..) => {
                let leaf = &self.leaves[*next];
                *next += 1;
                Cursor::Leaf(Tokens::new(leaf.postings(segment, text.field, with)?))
            }
            Plan::Sequence(all) => Cursor::All(parts(all, next)?, Combined::Sequence),
            Plan::Any(any) => Cursor::Any(parts(any, next)?),
            Plan::Window(all, slop) => Cursor::All(parts(all, next)?, Combined::Window(*slop)),
            Plan::Near { left, right, distance, in_order } => {
                let left = self.branch(left, segment, text, with, next)?;
                let right = self.branch(right, segment, text, with, next)?;
                Cursor::All(vec![left, right], Combined::Near(*distance, *in_order))
            }
            Plan::NotNear { left, right, distance } => {
                let left = self.branch(left, segment, text, with, next)?;
                let right = self.branch(right, segment, text, with, next)?;
                Cursor::Without(Box::new(left), Box::new(right), *distance)
            }
        })
    }

    fn parts(&self, segment: &SegmentReader, rarities: &HashMap<(Field, String), f32>) -> tantivy::Result<Vec<Part>> {
        let mut parts = Vec::new();
        let mut seen = HashSet::new();
        for leaf in self.leaves.iter().filter(|leaf| leaf.is_scored) {
            for text in &self.texts {
                for found in leaf.found.get(&(segment.segment_id(), text.field)).into_iter().flatten() {
                    let Some(rarity) = rarities.get(&(text.field, found.text.clone())) else { continue };
                    if seen.insert((text.field, found.text.as_str())) {
                        parts.push(Part {
                            postings: segment
                                .inverted_index(text.field)?
                                .read_postings_from_terminfo(&found.info, IndexRecordOption::WithFreqs)?,
                            lengths: segment.get_fieldnorms_reader(text.field)?,
                            rarity: *rarity,
                            mean: text.mean,
                        });
                    }
                }
            }
        }
        Ok(parts)
    }
}

impl Leaf {
    fn postings(
        &self,
        segment: &SegmentReader,
        field: Field,
        with: IndexRecordOption,
    ) -> tantivy::Result<Vec<(SegmentPostings, u32)>> {
        let Some(found) = self.found.get(&(segment.segment_id(), field)) else { return Ok(Vec::new()) };
        let index = segment.inverted_index(field)?;
        found.iter().map(|found| Ok((index.read_postings_from_terminfo(&found.info, with)?, found.length))).collect()
    }
}

/// BM25's inverse document frequency.
fn rarity(documents: u64, count: u64) -> f32 {
    #[expect(clippy::cast_precision_loss, reason = "a score is an estimate")]
    let (documents, count) = (documents.max(count) as f32, count as f32);
    (1.0 + (documents - count + 0.5) / (count + 0.5)).ln()
}

/// What one token adds to a score.
struct Part {
    postings: SegmentPostings,
    lengths: FieldNormReader,
    rarity: f32,
    mean: f32,
}

impl Part {
    fn score(&mut self, doc: DocId) -> Score {
        if self.postings.doc() < doc {
            self.postings.seek(doc);
        }
        if self.postings.doc() != doc {
            return 0.0;
        }
        #[expect(clippy::cast_precision_loss, reason = "a score is an estimate")]
        let (count, length) = (self.postings.term_freq() as f32, self.lengths.fieldnorm(doc) as f32);
        let weighed = count * (K1 + 1.0) / (count + K1 * (1.0 - B + B * length / self.mean));
        (self.rarity * weighed / GRAIN).round() * GRAIN
    }
}

struct MatchingWeight {
    matching: Arc<Matching>,
    rarities: Option<HashMap<(Field, String), f32>>,
}

impl Weight for MatchingWeight {
    fn scorer(&self, segment: &SegmentReader, _boost: Score) -> tantivy::Result<Box<dyn Scorer>> {
        let matching = &self.matching;
        let with =
            if is_plain(&matching.plan) { IndexRecordOption::Basic } else { IndexRecordOption::WithFreqsAndPositions };
        let mut cursors = Vec::new();
        for text in &matching.texts {
            let mut cursor = matching.cursor(segment, *text, with)?;
            if cursor.seek(0) != TERMINATED {
                cursors.push(cursor);
            }
        }
        if cursors.is_empty() {
            return Ok(Box::new(EmptyScorer));
        }
        let parts = match &self.rarities {
            Some(rarities) => matching.parts(segment, rarities)?,
            None => Vec::new(),
        };
        let estimate = segment.num_docs();
        let mut scorer = MatchingScorer { cursors, parts, doc: 0, estimate, budget: Arc::clone(&matching.budget) };
        scorer.settle(0);
        Ok(Box::new(scorer))
    }

    fn explain(&self, _segment: &SegmentReader, _doc: DocId) -> tantivy::Result<Explanation> {
        Ok(Explanation::new("a stretch of the text matches", 1.0))
    }
}

/// Whether a document matches wherever its tokens are.
fn is_plain(plan: &Plan) -> bool {
    match plan {
        Plan::Nothing | Plan::Leaf(..) => true,
        Plan::Any(parts) => parts.iter().all(is_plain),
        _ => false,
    }
}

struct MatchingScorer {
    cursors: Vec<Cursor>,
    parts: Vec<Part>,
    doc: DocId,
    estimate: u32,
    budget: Arc<Budget>,
}

impl MatchingScorer {
    /// Goes to the first document from `target` on that matches.
    fn settle(&mut self, target: DocId) -> DocId {
        let mut target = target;
        loop {
            if !self.budget.go_on() {
                self.doc = TERMINATED;
                return TERMINATED;
            }
            let doc = self.cursors.iter_mut().map(|cursor| cursor.seek(target)).min().unwrap_or(TERMINATED);
            if doc == TERMINATED || self.matches(doc) {
                self.doc = doc;
                return doc;
            }
            target = doc + 1;
        }
    }

    fn matches(&mut self, doc: DocId) -> bool {
        for cursor in &mut self.cursors {
            if cursor.doc() != doc {
                continue;
            }
            if cursor.is_plain() {
                return true;
            }
            match cursor.spans(doc) {
                Ok(spans) if !spans.is_empty() => return true,
                Ok(_) => {}
                Err(_) => {
                    self.budget.is_crowded();
                    return false;
                }
            }
        }
        false
    }
}

impl DocSet for MatchingScorer {
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
        self.estimate
    }
}

impl Scorer for MatchingScorer {
    fn score(&mut self) -> Score {
        let doc = self.doc;
        self.parts.iter_mut().map(|part| part.score(doc)).sum()
    }
}
