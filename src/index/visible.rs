//! Which documents the asker may see, where that is not all: for the expansions of a pattern and for
//! how rare a word is, which must not tell of the others.

use std::collections::HashMap;

use tantivy::index::{InvertedIndexReader, SegmentId, SegmentReader};
use tantivy::postings::TermInfo;
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{BitSet, DocSet as _, Searcher, TERMINATED, Term};

use super::Error;
use super::schema::Fields;
use crate::model::Scope;

/// The documents of an asker and a bound.
#[derive(Debug, Default)]
pub(super) struct Visible {
    /// In each segment; `None`: all of them.
    segments: Option<HashMap<SegmentId, BitSet>>,
}

impl Visible {
    /// Those of `scope` whose record is below `bound`.
    pub(super) fn new(searcher: &Searcher, fields: &Fields, scope: &Scope, bound: Option<u64>) -> Result<Self, Error> {
        if *scope == Scope::All && bound.is_none() {
            return Ok(Self::default());
        }
        let mut segments = HashMap::new();
        for segment in searcher.segment_readers() {
            let mut set = match scope {
                Scope::All => BitSet::with_max_value_and_full(segment.max_doc()),
                Scope::Channels(channels) => {
                    let mut set = BitSet::with_max_value(segment.max_doc());
                    let index = segment.inverted_index(fields.channel)?;
                    for channel in channels {
                        let term = Term::from_field_text(fields.channel, channel.as_str());
                        if let Some(mut docs) = index.read_postings(&term, IndexRecordOption::Basic)? {
                            while docs.doc() != TERMINATED {
                                set.insert(docs.doc());
                                docs.advance();
                            }
                        }
                    }
                    set
                }
            };
            if let Some(bound) = bound {
                let seq = segment.fast_fields().u64("seq")?;
                if seq.max_value() >= bound {
                    for doc in 0..segment.max_doc() {
                        if seq.first(doc).is_none_or(|seq| seq >= bound) {
                            set.remove(doc);
                        }
                    }
                }
            }
            segments.insert(segment.segment_id(), set);
        }
        Ok(Self { segments: Some(segments) })
    }

    /// Whether a document of `segment` is one of them.
    fn holds(&self, segment: &SegmentReader, doc: u32) -> bool {
        segment.is_deleted(doc).eq(&false)
            && self
                .segments
                .as_ref()
                .is_none_or(|segments| segments.get(&segment.segment_id()).is_some_and(|set| set.contains(doc)))
    }

    /// How many there are.
    pub(super) fn documents(&self, searcher: &Searcher) -> u64 {
        match &self.segments {
            None => searcher.num_docs(),
            Some(segments) => searcher
                .segment_readers()
                .iter()
                .map(|segment| match segments.get(&segment.segment_id()) {
                    Some(set) if segment.has_deletes() => {
                        segment.doc_ids_alive().filter(|doc| set.contains(*doc)).count() as u64
                    }
                    Some(set) => set.len() as u64,
                    None => 0,
                })
                .sum(),
        }
    }

    /// In how many of them a token stands.
    pub(super) fn frequency(&self, segment: &SegmentReader, field: Field, info: &TermInfo) -> tantivy::Result<u64> {
        if self.segments.is_none() && !segment.has_deletes() {
            return Ok(u64::from(info.doc_freq));
        }
        let index = segment.inverted_index(field)?;
        let mut docs = index.read_postings_from_terminfo(info, IndexRecordOption::Basic)?;
        let mut count = 0;
        while docs.doc() != TERMINATED {
            count += u64::from(self.holds(segment, docs.doc()));
            docs.advance();
        }
        Ok(count)
    }

    /// Whether it stands in any of them.
    pub(super) fn has(
        &self,
        segment: &SegmentReader,
        index: &InvertedIndexReader,
        info: &TermInfo,
    ) -> tantivy::Result<bool> {
        if self.segments.is_none() && !segment.has_deletes() {
            return Ok(true);
        }
        let mut docs = index.read_postings_from_terminfo(info, IndexRecordOption::Basic)?;
        while docs.doc() != TERMINATED {
            if self.holds(segment, docs.doc()) {
                return Ok(true);
            }
            docs.advance();
        }
        Ok(false)
    }
}
