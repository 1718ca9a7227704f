//! Stretches of positions in one text, and how they combine: the meaning of phrases and proximity.
//!
//! Pure: where the spans of a single token come from (an index, a text in memory) is the caller's. The
//! rules are those of `docs/SEARCH.md`.

use std::cmp::Reverse;
use std::collections::hash_map::Entry;
use std::collections::{BinaryHeap, HashMap};
use std::fmt;

/// Most parts of a phrase with a distance.
pub const MOST_IN_WINDOW: usize = 8;

/// Positions [`start`, `end`) of one text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// First position.
    pub start: u32,
    /// Past the last position.
    pub end: u32,
}

/// Which tokens a leaf stands for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lookup {
    /// This word, and any joined form of these letters.
    Word(String),
    /// This pair of characters of an unspaced script, as it is indexed.
    Pair(String),
    /// This character of an unspaced script, alone or at the beginning of a pair.
    Character(String),
    /// Words and joined forms that a pattern with `*` and `?` describes as a whole; its letters are folded.
    Wild(String),
    /// Words and joined forms at most so many edits away.
    Fuzzy(String, u8),
    /// Words with the same stem.
    Stem(String),
    /// Words and joined forms that an expression describes as a whole.
    Regex(String),
    /// Words and joined forms of digits that are a whole number from the first to the last.
    Numbers(u64, u64),
}

impl fmt::Display for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(text) | Self::Character(text) | Self::Wild(text) => f.write_str(text),
            Self::Pair(text) => f.write_str(&text.replace('\u{1f}', "")),
            Self::Fuzzy(text, edits) => write!(f, "{text}~{edits}"),
            Self::Stem(text) => write!(f, "{text}~~"),
            Self::Regex(text) => write!(f, "/{text}/"),
            Self::Numbers(from, to) => write!(f, "{from}..{to}"),
        }
    }
}

/// What is looked for in one text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Plan {
    /// Nothing: a text without a token was asked for.
    Nothing,
    /// The spans of some tokens. A joined form covers as many positions as it says; any other token
    /// so many as are given here (2 for the last pair of a run, otherwise 1).
    Leaf(Lookup, u32),
    /// Each begins where the one before ends.
    Sequence(Vec<Self>),
    /// Those of any.
    Any(Vec<Self>),
    /// All, in any order, without overlapping, with at most so many positions of none of them between.
    Window(Vec<Self>, u32),
    /// The hulls of a span of each, at most so many positions apart (neighbours are 1 apart).
    Near {
        /// One side.
        left: Box<Self>,
        /// The other.
        right: Box<Self>,
        /// How far apart at most.
        distance: u32,
        /// Whether the left one has to come first.
        in_order: bool,
    },
    /// The left side's that have none of the right side's so near, on either side or overlapping.
    NotNear {
        /// What is found.
        left: Box<Self>,
        /// What must not be near.
        right: Box<Self>,
        /// How near.
        distance: u32,
    },
}

/// More spans than this in one text are not followed: proximity of words that stand everywhere has more
/// answers than anybody can use.
const MOST_SPANS: usize = 1_000_000;
/// Putting spans together in any order takes at most so many steps; many of them may lead to one span.
const MOST_STEPS: usize = 4 * MOST_SPANS;

/// A text holds more spans than are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than {MOST_SPANS} stretches of one text match")]
pub struct TooManySpans;

/// The spans of a plan in one text, sorted, each once. `leaf` gives those of a leaf's tokens, in any
/// order.
pub fn evaluate(plan: &Plan, leaf: &mut dyn FnMut(&Lookup, u32) -> Vec<Span>) -> Result<Vec<Span>, TooManySpans> {
    let mut all = |parts: &[Plan]| parts.iter().map(|part| evaluate(part, leaf)).collect::<Result<Vec<_>, _>>();
    match plan {
        Plan::Nothing => Ok(Vec::new()),
        Plan::Leaf(lookup, length) => sorted(leaf(lookup, *length)),
        Plan::Sequence(parts) => sequence(&all(parts)?),
        Plan::Any(parts) => any(&all(parts)?),
        Plan::Window(parts, slop) => window(&all(parts)?, *slop),
        Plan::Near { left, right, distance, in_order } => {
            near(&evaluate(left, leaf)?, &evaluate(right, leaf)?, *distance, *in_order)
        }
        Plan::NotNear { left, right, distance } => not_near(&evaluate(left, leaf)?, &evaluate(right, leaf)?, *distance),
    }
}

fn sorted(mut spans: Vec<Span>) -> Result<Vec<Span>, TooManySpans> {
    if spans.len() > MOST_SPANS {
        return Err(TooManySpans);
    }
    spans.sort_unstable();
    spans.dedup();
    Ok(spans)
}

/// One span of each part, each beginning where the one before ends: the hulls.
pub fn sequence(parts: &[Vec<Span>]) -> Result<Vec<Span>, TooManySpans> {
    let Some((first, rest)) = parts.split_first() else { return Ok(Vec::new()) };
    let mut found = first.clone();
    for part in rest {
        let mut next = Vec::new();
        for before in &found {
            let from = part.partition_point(|span| span.start < before.end);
            for span in part[from..].iter().take_while(|span| span.start == before.end) {
                next.push(Span { start: before.start, end: span.end });
            }
            if next.len() > MOST_SPANS {
                return Err(TooManySpans);
            }
        }
        found = sorted(next)?;
    }
    Ok(found)
}

/// The spans of all parts.
pub fn any(parts: &[Vec<Span>]) -> Result<Vec<Span>, TooManySpans> {
    sorted(parts.iter().flatten().copied().collect())
}

/// Pairs of a span of `first` and one of `second` that begins at its end or less than `distance`
/// positions later: the hulls.
fn followed(first: &[Span], second: &[Span], distance: u32, into: &mut Vec<Span>) -> Result<(), TooManySpans> {
    for before in first {
        let from = second.partition_point(|span| span.start < before.end);
        for span in second[from..].iter().take_while(|span| span.start - before.end < distance) {
            into.push(Span { start: before.start, end: span.end });
        }
        if into.len() > MOST_SPANS {
            return Err(TooManySpans);
        }
    }
    Ok(())
}

/// A span of each side that do not overlap and are at most `distance` apart, where neighbours are 1
/// apart: the hulls. Both sides are sorted.
pub fn near(left: &[Span], right: &[Span], distance: u32, in_order: bool) -> Result<Vec<Span>, TooManySpans> {
    let mut found = Vec::new();
    followed(left, right, distance, &mut found)?;
    if !in_order {
        followed(right, left, distance, &mut found)?;
    }
    sorted(found)
}

/// The spans of `left` that no span of `right` overlaps or is within `distance` of. Both sides are sorted.
pub fn not_near(left: &[Span], right: &[Span], distance: u32) -> Result<Vec<Span>, TooManySpans> {
    // The furthest end among the spans of `right` up to each.
    let furthest: Vec<u32> = right
        .iter()
        .scan(0, |furthest, span| {
            *furthest = span.end.max(*furthest);
            Some(*furthest)
        })
        .collect();
    let is_free = |span: &Span| {
        let count = right.partition_point(|other| other.start < span.end.saturating_add(distance));
        count == 0 || furthest[count - 1].saturating_add(distance) <= span.start
    };
    Ok(left.iter().filter(|span| is_free(span)).copied().collect())
}

/// One span of each part, in any order and without overlapping, with at most `slop` positions of none of
/// them between: the hulls.
pub fn window(parts: &[Vec<Span>], slop: u32) -> Result<Vec<Span>, TooManySpans> {
    let all = (1_u64 << parts.len().min(32)) - 1;
    let arranged = arrangements(parts, slop)?;
    sorted(arranged.into_keys().filter(|(used, _)| u64::from(*used) == all).map(|(_, span)| span).collect())
}

/// What spans of different parts can be put together to, as [`window`] does it: which parts (a bit each),
/// from where to where, with the fewest positions between.
pub(super) fn arrangements(parts: &[Vec<Span>], slop: u32) -> Result<HashMap<(u32, Span), u32>, TooManySpans> {
    let mut fewest: HashMap<(u32, Span), u32> = HashMap::new();
    if parts.iter().any(Vec::is_empty) || parts.len() > MOST_IN_WINDOW {
        return Ok(fewest);
    }
    let mut open: BinaryHeap<Reverse<(u32, u32, u32)>> = BinaryHeap::new();
    for (n, part) in parts.iter().enumerate() {
        for span in part {
            fewest.insert((1 << n, *span), 0);
            open.push(Reverse((span.end, span.start, 1 << n)));
        }
    }
    let mut steps = 0;
    // By their ends: whatever leads to a state ends before it.
    while let Some(Reverse((end, start, used))) = open.pop() {
        let between = fewest[&(used, Span { start, end })];
        for (n, part) in parts.iter().enumerate().filter(|(n, _)| used & (1 << n) == 0) {
            let from = part.partition_point(|span| span.start < end);
            for span in part[from..].iter().take_while(|span| span.start - end <= slop - between) {
                steps += 1;
                let key = (used | 1 << n, Span { start, end: span.end });
                let gaps = between + (span.start - end);
                match fewest.entry(key) {
                    Entry::Vacant(entry) => {
                        entry.insert(gaps);
                        open.push(Reverse((span.end, start, key.0)));
                    }
                    Entry::Occupied(mut entry) => {
                        let known = entry.get_mut();
                        *known = gaps.min(*known);
                    }
                }
            }
        }
        if fewest.len() > MOST_SPANS || steps > MOST_STEPS {
            return Err(TooManySpans);
        }
    }
    Ok(fewest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{Strategy, prop_assert_eq, proptest};

    fn spans(pairs: &[(u32, u32)]) -> Vec<Span> {
        pairs.iter().map(|(start, end)| Span { start: *start, end: *end }).collect()
    }

    #[test]
    fn neighbours_are_one_apart() {
        let (left, right) = (spans(&[(0, 1), (10, 12)]), spans(&[(1, 2), (7, 8)]));
        for (distance, in_order, expected) in [
            (1, false, spans(&[(0, 2)])),
            (2, false, spans(&[(0, 2)])),
            (3, false, spans(&[(0, 2), (7, 12)])),
            (3, true, spans(&[(0, 2)])),
            (7, true, spans(&[(0, 2), (0, 8)])),
        ] {
            assert_eq!(near(&left, &right, distance, in_order), Ok(expected), "{distance} {in_order}");
        }
        for (distance, expected) in [(1, spans(&[(10, 12)])), (2, spans(&[(10, 12)])), (3, vec![])] {
            assert_eq!(not_near(&left, &right, distance), Ok(expected), "{distance}");
        }
        assert_eq!(not_near(&left, &[], 1000), Ok(left));
    }

    #[test]
    fn a_text_with_too_many_spans_is_refused() {
        let many: Vec<Span> = (0..3_000).map(|start| Span { start, end: start + 1 }).collect();
        assert_eq!(near(&many, &many, 1_000, false), Err(TooManySpans));
        assert_eq!(window(&[many.clone(), many.clone(), many], 1_000), Err(TooManySpans));
    }

    #[test]
    fn a_window_of_more_parts_than_are_followed_has_no_span() {
        let part = spans(&[(0, 1)]);
        assert_eq!(window(&vec![part.clone(); MOST_IN_WINDOW + 1], 5), Ok(vec![]));
        assert_eq!(window(&vec![part; 40], 5), Ok(vec![]));
        assert_eq!(window(&[], 5), Ok(vec![]));
    }

    fn some() -> impl Strategy<Value = Vec<Span>> {
        proptest::collection::btree_set((0_u32..12, 1_u32..4), 0..6)
            .prop_map(|all| all.into_iter().map(|(start, length)| Span { start, end: start + length }).collect())
    }

    /// Every choice of one span of each part.
    fn choices(parts: &[Vec<Span>]) -> Vec<Vec<Span>> {
        parts.iter().fold(vec![vec![]], |chosen, part| {
            chosen.iter().flat_map(|some| part.iter().map(|span| [some.as_slice(), &[*span]].concat())).collect()
        })
    }

    fn hull(spans: &[Span]) -> Span {
        let start = spans.iter().map(|span| span.start).min().unwrap();
        Span { start, end: spans.iter().map(|span| span.end).max().unwrap() }
    }

    fn gathered(found: impl Iterator<Item = Span>) -> Vec<Span> {
        found.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
    }

    /// How far apart two spans are; overlapping ones are not.
    fn apart(one: Span, other: Span) -> Option<u32> {
        one.start.checked_sub(other.end).or_else(|| other.start.checked_sub(one.end)).map(|between| between + 1)
    }

    proptest! {
        #[test]
        fn a_sequence_is_every_choice_without_gaps(parts in proptest::collection::vec(some(), 1..4)) {
            let chains = choices(&parts).into_iter().filter(|some| some.windows(2).all(|two| two[0].end == two[1].start));
            prop_assert_eq!(sequence(&parts), Ok(gathered(chains.map(|some| hull(&some)))));
        }

        #[test]
        fn any_is_all(parts in proptest::collection::vec(some(), 0..4)) {
            prop_assert_eq!(any(&parts), Ok(gathered(parts.concat().into_iter())));
        }

        #[test]
        fn near_is_every_pair_that_is_near(left in some(), right in some(), distance in 1_u32..6, in_order: bool) {
            let pairs = choices(&[left.clone(), right.clone()]).into_iter().filter(|two| {
                apart(two[0], two[1]).is_some_and(|apart| apart <= distance)
                    && (!in_order || two[0].end <= two[1].start)
            });
            prop_assert_eq!(near(&left, &right, distance, in_order), Ok(gathered(pairs.map(|two| hull(&two)))));
        }

        #[test]
        fn not_near_is_whatever_has_none_near(left in some(), right in some(), distance in 1_u32..6) {
            let free = left.iter().copied().filter(|span| {
                right.iter().all(|other| apart(*span, *other).is_some_and(|apart| apart > distance))
            });
            prop_assert_eq!(not_near(&left, &right, distance), Ok(gathered(free)));
        }

        #[test]
        fn a_window_is_every_choice_that_fits(parts in proptest::collection::vec(some(), 1..4), slop in 0_u32..6) {
            let fitting = choices(&parts).into_iter().filter(|some| {
                let mut ordered = some.clone();
                ordered.sort();
                let between: Option<u32> = ordered.windows(2).map(|two| two[1].start.checked_sub(two[0].end)).sum();
                between.is_some_and(|between| between <= slop)
            });
            prop_assert_eq!(window(&parts, slop), Ok(gathered(fitting.map(|some| hull(&some)))));
        }
    }
}
