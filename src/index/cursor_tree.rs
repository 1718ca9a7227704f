//! Walks the postings of a plan in one text field of one segment, document by document.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use tantivy::postings::{Postings as _, SegmentPostings};
use tantivy::{DocId, DocSet as _, TERMINATED};

use crate::query::spans::{self, Span, TooManySpans};

/// The documents and places of the tokens that a leaf stands for.
pub(super) enum Tokens {
    /// There are none.
    None,
    /// One token, which covers so many positions.
    One(Box<SegmentPostings>, u32),
    /// Several.
    Many(Union),
}

/// Several lists of postings read as one.
pub(super) struct Union {
    postings: Vec<(SegmentPostings, u32)>,
    /// Those that stand beyond the document.
    waiting: BinaryHeap<Reverse<(DocId, usize)>>,
    /// Those that stand at it.
    here: Vec<usize>,
    doc: DocId,
}

impl Union {
    fn new(postings: Vec<(SegmentPostings, u32)>) -> Self {
        let waiting = postings
            .iter()
            .enumerate()
            .filter(|(_, (list, _))| list.doc() != TERMINATED)
            .map(|(at, (list, _))| Reverse((list.doc(), at)))
            .collect();
        let mut union = Self { postings, waiting, here: Vec::new(), doc: 0 };
        union.settle();
        union
    }

    fn settle(&mut self) {
        self.here.clear();
        self.doc = self.waiting.peek().map_or(TERMINATED, |Reverse((doc, _))| *doc);
        while let Some(Reverse((doc, at))) = self.waiting.peek().copied()
            && doc == self.doc
        {
            self.waiting.pop();
            self.here.push(at);
        }
    }

    fn seek(&mut self, target: DocId) -> DocId {
        if self.doc >= target {
            return self.doc;
        }
        for at in std::mem::take(&mut self.here) {
            let next = self.postings[at].0.seek(target);
            if next != TERMINATED {
                self.waiting.push(Reverse((next, at)));
            }
        }
        while let Some(Reverse((doc, at))) = self.waiting.peek().copied()
            && doc < target
        {
            self.waiting.pop();
            let next = self.postings[at].0.seek(target);
            if next != TERMINATED {
                self.waiting.push(Reverse((next, at)));
            }
        }
        self.settle();
        self.doc
    }
}

impl Tokens {
    pub(super) fn new(mut postings: Vec<(SegmentPostings, u32)>) -> Self {
        match postings.len() {
            0 => Self::None,
            1 => postings.pop().map_or(Self::None, |(list, length)| Self::One(Box::new(list), length)),
            _ => Self::Many(Union::new(postings)),
        }
    }

    fn doc(&self) -> DocId {
        match self {
            Self::None => TERMINATED,
            Self::One(list, _) => list.doc(),
            Self::Many(union) => union.doc,
        }
    }

    fn seek(&mut self, target: DocId) -> DocId {
        match self {
            Self::None => TERMINATED,
            Self::One(list, _) if list.doc() >= target => list.doc(),
            Self::One(list, _) => list.seek(target),
            Self::Many(union) => union.seek(target),
        }
    }

    fn spans(&mut self) -> Vec<Span> {
        let mut starts = Vec::new();
        let span = |start: u32, length: u32| Span { start, end: start + length };
        match self {
            Self::None => Vec::new(),
            Self::One(list, length) => {
                list.positions(&mut starts);
                starts.iter().map(|start| span(*start, *length)).collect()
            }
            Self::Many(union) => {
                let mut out = Vec::new();
                for at in &union.here {
                    let (list, length) = &mut union.postings[*at];
                    list.positions(&mut starts);
                    out.extend(starts.iter().map(|start| span(*start, *length)));
                }
                out.sort_unstable();
                out.dedup();
                out
            }
        }
    }
}

/// How the spans of several parts combine.
#[derive(Debug, Clone, Copy)]
pub(super) enum Combined {
    /// One after the other.
    Sequence,
    /// Within a stretch.
    Window(u32),
    /// Two of them, so near.
    Near(u32, bool),
}

/// A plan over postings.
pub(super) enum Cursor {
    /// Tokens.
    Leaf(Tokens),
    /// Any of several.
    Any(Vec<Self>),
    /// All of several, combined.
    All(Vec<Self>, Combined),
    /// The first, where the second is not so near.
    Without(Box<Self>, Box<Self>, u32),
}

impl Cursor {
    /// The document it stands at: one that may match, and none before it does that was not passed.
    pub(super) fn doc(&self) -> DocId {
        match self {
            Self::Leaf(tokens) => tokens.doc(),
            Self::Any(parts) => parts.iter().map(Self::doc).min().unwrap_or(TERMINATED),
            // Aligned by `seek`, except at the very beginning.
            Self::All(parts, _) => parts.iter().map(Self::doc).max().unwrap_or(TERMINATED),
            Self::Without(left, _, _) => left.doc(),
        }
    }

    /// The first document from `target` on that may match.
    pub(super) fn seek(&mut self, target: DocId) -> DocId {
        match self {
            Self::Leaf(tokens) => tokens.seek(target),
            Self::Any(parts) => parts.iter_mut().map(|part| part.seek(target)).min().unwrap_or(TERMINATED),
            Self::All(parts, _) => {
                let mut target = target;
                'aligned: loop {
                    for part in parts.iter_mut() {
                        let doc = part.seek(target);
                        if doc > target {
                            if doc == TERMINATED {
                                return TERMINATED;
                            }
                            target = doc;
                            continue 'aligned;
                        }
                    }
                    return target;
                }
            }
            Self::Without(left, _, _) => left.seek(target),
        }
    }

    /// Whether every document it stands at matches, wherever the tokens are.
    pub(super) fn is_plain(&self) -> bool {
        match self {
            Self::Leaf(_) => true,
            Self::Any(parts) => parts.iter().all(Self::is_plain),
            Self::All(..) | Self::Without(..) => false,
        }
    }

    /// The spans in `doc`, at which or before which it stands.
    pub(super) fn spans(&mut self, doc: DocId) -> Result<Vec<Span>, TooManySpans> {
        if self.seek(doc) != doc {
            return Ok(Vec::new());
        }
        match self {
            Self::Leaf(tokens) => Ok(tokens.spans()),
            Self::Any(parts) => {
                let found: Vec<Vec<Span>> = parts.iter_mut().map(|part| part.spans(doc)).collect::<Result<_, _>>()?;
                spans::any(&found)
            }
            Self::All(parts, combined) => {
                let mut found = Vec::with_capacity(parts.len());
                for part in parts {
                    let part = part.spans(doc)?;
                    if part.is_empty() {
                        return Ok(Vec::new());
                    }
                    found.push(part);
                }
                match (combined, found.as_slice()) {
                    (Combined::Sequence, found) => spans::sequence(found),
                    (Combined::Window(slop), found) => spans::window(found, *slop),
                    (Combined::Near(distance, in_order), [left, right]) => {
                        spans::near(left, right, *distance, *in_order)
                    }
                    (Combined::Near(..), _) => Ok(Vec::new()),
                }
            }
            Self::Without(left, right, distance) => {
                let found = left.spans(doc)?;
                if found.is_empty() {
                    return Ok(found);
                }
                spans::not_near(&found, &right.spans(doc)?, *distance)
            }
        }
    }
}
