//! What a highlighter marks: the words by which a plan matched, and no others.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use super::fold::{JOINED, PAIR, for_each_token, is_unspaced_token};
use super::matcher::Matcher;
use super::spans::{self, Lookup, Plan, Span, TooManySpans};

/// The bytes of the words of `text` that take part in a span of `plan`: in order, without overlaps. Of
/// proximity both sides and not what is between, of its negation the left side. A text with more spans
/// than are followed has no marks.
///
/// Takes memory for the words that some part of the plan stands for, and not for the others.
pub fn byte_ranges(plan: &Plan, text: &str) -> Vec<Range<usize>> {
    let mut leaves = Vec::new();
    gather_leaves(plan, &mut leaves);
    let hits = hits(&leaves, text);
    let Ok(found) = Found::evaluate(plan, &mut hits.iter()) else { return Vec::new() };
    let mut used = Vec::new();
    found.mark(&found.spans, &mut used);
    merged(used)
}

/// A token that a leaf stands for.
#[derive(Debug, Clone)]
struct Hit {
    span: Span,
    bytes: Range<usize>,
    is_unspaced: bool,
}

fn gather_leaves<'a>(plan: &'a Plan, leaves: &mut Vec<(&'a Lookup, u32)>) {
    match plan {
        Plan::Nothing => {}
        Plan::Leaf(lookup, length) => leaves.push((lookup, *length)),
        Plan::Sequence(parts) | Plan::Any(parts) | Plan::Window(parts, _) => {
            for part in parts {
                gather_leaves(part, leaves);
            }
        }
        Plan::Near { left, right, distance: _, in_order: _ } | Plan::NotNear { left, right, distance: _ } => {
            gather_leaves(left, leaves);
            gather_leaves(right, leaves);
        }
    }
}

/// The tokens of the text that each leaf stands for.
fn hits(leaves: &[(&Lookup, u32)], text: &str) -> Vec<Vec<Hit>> {
    // A phrase may have thousands of words; they are not tried one by one.
    let mut exact: HashMap<&str, Vec<usize>> = HashMap::new();
    let mut others: Vec<(usize, Matcher)> = Vec::new();
    for (leaf, (lookup, _)) in leaves.iter().enumerate() {
        match lookup {
            Lookup::Word(text) | Lookup::Pair(text) | Lookup::Character(text) => {
                exact.entry(text).or_default().push(leaf);
            }
            // An expression that cannot be compiled stands for nothing; reading refuses it.
            other => others.extend(Matcher::new(other).ok().map(|matcher| (leaf, matcher))),
        }
    }
    let mut hits: Vec<Vec<Hit>> = vec![Vec::new(); leaves.len()];
    // Leaves whose last hit is the first character of a pair, and ends where the next token begins.
    let mut open: Vec<usize> = Vec::new();
    for_each_token(text, &mut |token, position, covered, bytes| {
        for leaf in open.drain(..) {
            if let Some(hit) = hits[leaf].last_mut()
                && hit.bytes.start < bytes.start
            {
                hit.bytes.end = bytes.start;
            }
        }
        let is_unspaced = is_unspaced_token(token);
        let is_joined = token.starts_with(JOINED);
        let mut add = |leaf: usize| {
            let length = if is_joined { covered } else { leaves[leaf].1 };
            let span = Span { start: position, end: position.saturating_add(length) };
            hits[leaf].push(Hit { span, bytes: bytes.clone(), is_unspaced });
        };
        let (first, rest) = token.split_once(PAIR).unwrap_or((token, ""));
        let word = if is_joined { first.trim_start_matches(JOINED) } else { token };
        for leaf in exact.get(word).into_iter().flatten() {
            add(*leaf);
        }
        if is_unspaced && !rest.is_empty() {
            for leaf in exact.get(first).into_iter().flatten() {
                add(*leaf);
                open.push(*leaf);
            }
        }
        for (leaf, _) in others.iter().filter(|(_, matcher)| matcher.matches(token)) {
            add(*leaf);
        }
    });
    hits
}

/// A plan with its spans in a text.
struct Found<'a> {
    plan: &'a Plan,
    spans: Vec<Span>,
    parts: Vec<Self>,
    /// Of a leaf.
    hits: &'a [Hit],
}

impl<'a> Found<'a> {
    /// `hits` are those of the leaves, in the order in which they stand in the plan.
    fn evaluate(plan: &'a Plan, hits: &mut std::slice::Iter<'a, Vec<Hit>>) -> Result<Self, TooManySpans> {
        let own: &[Hit] = match plan {
            Plan::Leaf(..) => hits.next().map_or(&[], Vec::as_slice),
            _ => &[],
        };
        let parts: Vec<Self> = match plan {
            Plan::Nothing | Plan::Leaf(..) => Vec::new(),
            Plan::Sequence(parts) | Plan::Any(parts) | Plan::Window(parts, _) => {
                parts.iter().map(|part| Self::evaluate(part, hits)).collect::<Result<_, _>>()?
            }
            Plan::Near { left, right, distance: _, in_order: _ } | Plan::NotNear { left, right, distance: _ } => {
                vec![Self::evaluate(left, hits)?, Self::evaluate(right, hits)?]
            }
        };
        let of_parts: Vec<Vec<Span>> = parts.iter().map(|part| part.spans.clone()).collect();
        let spans = match (plan, of_parts.as_slice()) {
            (Plan::Leaf(..), _) => spans::any(&[own.iter().map(|hit| hit.span).collect()])?,
            (Plan::Sequence(_), parts) => spans::sequence(parts)?,
            (Plan::Any(_), parts) => spans::any(parts)?,
            (Plan::Window(_, slop), parts) => spans::window(parts, *slop)?,
            (Plan::Near { distance, in_order, .. }, [left, right]) => spans::near(left, right, *distance, *in_order)?,
            (Plan::NotNear { distance, .. }, [left, right]) => spans::not_near(left, right, *distance)?,
            (Plan::Nothing | Plan::Near { .. } | Plan::NotNear { .. }, _) => Vec::new(),
        };
        Ok(Self { plan, spans, parts, hits: own })
    }

    /// Notes the hits out of which the spans `wanted`, some of its own in order, are made.
    fn mark(&self, wanted: &[Span], used: &mut Vec<Hit>) {
        if wanted.is_empty() {
            return;
        }
        let of_parts: Vec<BTreeSet<Span>> = match self.plan {
            Plan::Nothing => return,
            Plan::Leaf(..) => {
                used.extend(self.hits.iter().filter(|hit| wanted.binary_search(&hit.span).is_ok()).cloned());
                return;
            }
            Plan::Any(_) => {
                let wanted: BTreeSet<Span> = wanted.iter().copied().collect();
                vec![wanted; self.parts.len()]
            }
            Plan::Sequence(_) => self.used_in_sequence(wanted),
            Plan::Window(_, slop) => self.used_in_window(*slop, wanted),
            Plan::Near { distance, in_order, .. } => self.used_near(*distance, *in_order, wanted),
            Plan::NotNear { .. } => vec![wanted.iter().copied().collect()],
        };
        for (part, wanted) in self.parts.iter().zip(of_parts) {
            part.mark(&wanted.into_iter().collect::<Vec<_>>(), used);
        }
    }

    fn used_in_sequence(&self, wanted: &[Span]) -> Vec<BTreeSet<Span>> {
        let parts: Vec<&[Span]> = self.parts.iter().map(|part| part.spans.as_slice()).collect();
        let Some((first, rest)) = parts.split_first() else { return Vec::new() };
        // What the first few make, for each number of them.
        let mut made: Vec<BTreeSet<Span>> = vec![first.iter().copied().collect()];
        for part in rest {
            let before = &made[made.len() - 1];
            made.push(
                before.iter().flat_map(|before| following(*before, part).map(|span| hull(*before, span))).collect(),
            );
        }
        // Backwards, only what leads to a span that is wanted.
        let mut used = vec![BTreeSet::new(); parts.len()];
        let mut alive: BTreeSet<Span> = wanted.iter().copied().collect();
        for n in (1..parts.len()).rev() {
            let mut before_alive = BTreeSet::new();
            for before in &made[n - 1] {
                for span in following(*before, parts[n]).filter(|span| alive.contains(&hull(*before, *span))) {
                    used[n].insert(span);
                    before_alive.insert(*before);
                }
            }
            alive = before_alive;
        }
        used[0] = alive;
        used
    }

    fn used_near(&self, distance: u32, in_order: bool, wanted: &[Span]) -> Vec<BTreeSet<Span>> {
        let mut used = vec![BTreeSet::new(); 2];
        let orders: &[(usize, usize)] = if in_order { &[(0, 1)] } else { &[(0, 1), (1, 0)] };
        for (first, second) in orders {
            let second_spans = &self.parts[*second].spans;
            for before in &self.parts[*first].spans {
                let from = second_spans.partition_point(|span| span.start < before.end);
                for span in second_spans[from..].iter().take_while(|span| span.start - before.end < distance) {
                    if wanted.binary_search(&hull(*before, *span)).is_ok() {
                        used[*first].insert(*before);
                        used[*second].insert(*span);
                    }
                }
            }
        }
        used
    }

    fn used_in_window(&self, slop: u32, wanted: &[Span]) -> Vec<BTreeSet<Span>> {
        let parts: Vec<Vec<Span>> = self.parts.iter().map(|part| part.spans.clone()).collect();
        let mut used = vec![BTreeSet::new(); parts.len()];
        // The same followed without an error when the spans were looked for.
        let Ok(fewest) = spans::arrangements(&parts, slop) else { return used };
        let all = (1_u32 << parts.len()) - 1;
        let mut states: Vec<((u32, Span), u32)> = fewest.into_iter().collect();
        states.sort_unstable_by_key(|((_, span), _)| std::cmp::Reverse(span.end));
        // The fewest positions that come to be between on the way from a state to a span that is wanted.
        let mut to_go: HashMap<(u32, Span), u32> = HashMap::new();
        for ((taken, state), between) in states {
            if taken == all && wanted.binary_search(&state).is_ok() {
                to_go.insert((taken, state), 0);
            }
            for n in (0..parts.len()).filter(|n| taken & (1 << n) == 0) {
                let from = parts[n].partition_point(|span| span.start < state.end);
                for span in parts[n][from..].iter().take_while(|span| span.start - state.end <= slop - between) {
                    let Some(after) = to_go.get(&(taken | 1 << n, hull(state, *span))) else { continue };
                    let rest = span.start - state.end + after;
                    if between + rest <= slop {
                        used[n].insert(*span);
                        let known = to_go.entry((taken, state)).or_insert(rest);
                        *known = rest.min(*known);
                    }
                }
            }
            if taken.is_power_of_two() && to_go.contains_key(&(taken, state)) {
                used[taken.trailing_zeros() as usize].insert(state);
            }
        }
        used
    }
}

/// Those of some sorted spans that begin where another ends.
fn following(before: Span, spans: &[Span]) -> impl Iterator<Item = Span> {
    let from = spans.partition_point(|span| span.start < before.end);
    spans[from..].iter().copied().take_while(move |span| span.start == before.end)
}

fn hull(before: Span, after: Span) -> Span {
    Span { start: before.start, end: after.end }
}

/// In order, those that overlap made one; also those that touch inside an unspaced run.
fn merged(mut used: Vec<Hit>) -> Vec<Range<usize>> {
    used.sort_unstable_by_key(|hit| (hit.bytes.start, hit.bytes.end));
    let mut merged: Vec<Hit> = Vec::new();
    for hit in used {
        match merged.last_mut() {
            Some(last)
                if hit.bytes.start < last.bytes.end
                    || (hit.bytes.start == last.bytes.end && hit.is_unspaced && last.is_unspaced) =>
            {
                last.bytes.end = last.bytes.end.max(hit.bytes.end);
            }
            _ => merged.push(hit),
        }
    }
    merged.into_iter().map(|hit| hit.bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::super::reading::tests::spans_in;
    use super::super::reading::{pattern, plan};
    use super::*;
    use proptest::prelude::*;

    fn marked(plan: &Plan, text: &str) -> String {
        let mut shown = text.to_owned();
        for range in byte_ranges(plan, text).into_iter().rev() {
            shown.insert(range.end, ']');
            shown.insert(range.start, '[');
        }
        shown
    }

    fn near(left: &str, right: &str, distance: u32, in_order: bool) -> Plan {
        Plan::Near { left: Box::new(plan(left)), right: Box::new(plan(right)), distance, in_order }
    }

    #[test]
    fn words_that_matched_are_marked() {
        for (plan, text, expected) in [
            (plan("change order"), "The Change Order, no order", "The [Change] [Order], no order"),
            (plan("zlutoucky"), "Příliš žluťoučký", "Příliš [žluťoučký]"),
            (plan("Müller"), "Mueller Muller", "[Mueller] [Muller]"),
            (pattern("ship*").unwrap(), "shipping, shipped, ship, hip", "[shipping], [shipped], [ship], hip"),
            (plan("don't"), "I don't, dont", "I [don't], [dont]"),
            (plan("12500"), "it is 12,500.00 today", "it is [12,500].00 today"),
            (plan("京都"), "東京都に行く", "東[京都]に行く"),
            (plan("東京都に"), "東京都に行く", "[東京都に]行く"),
            (plan("京"), "東京都 京", "東[京]都 [京]"),
            (plan("ロ"), "㌔a", "[㌔]a"),
            (plan("東 京"), "東京", "[東京]"),
            (plan("nothing"), "elsewhere", "elsewhere"),
            (plan("..."), "...", "..."),
            (near("a", "b", 2, false), "a x b x x a", "[a] x [b] x x a"),
            (near("a", "b", 2, true), "b a x b", "b [a] x [b]"),
            (
                Plan::NotNear { left: Box::new(plan("a")), right: Box::new(plan("b")), distance: 1 },
                "a b c a",
                "a b c [a]",
            ),
            (Plan::Window(vec![plan("a"), plan("b")], 1), "b x a x x b", "[b] x [a] x x b"),
            (Plan::Window(vec![plan("a"), plan("a")], 0), "a x a a", "a x [a] [a]"),
            (Plan::Window(vec![plan("a"), plan("b"), plan("c")], 1), "a x b x c a b", "a x [b] x [c] [a] [b]"),
            (Plan::Sequence(vec![Plan::Any(vec![plan("a"), plan("b")]), plan("c")]), "a b c b", "a [b] [c] b"),
        ] {
            assert_eq!(marked(&plan, text), expected, "{plan:?}");
        }
    }

    fn plans() -> impl Strategy<Value = Plan> {
        let leaf = prop_oneof!["[abc]", "[abc]-[abc]", "[京都東]{1,3}"].prop_map(|typed| plan(&typed));
        leaf.prop_recursive(3, 12, 3, |inner| {
            let some = proptest::collection::vec(inner.clone(), 1..4);
            let two = (inner.clone().prop_map(Box::new), inner.prop_map(Box::new), 1_u32..4);
            prop_oneof![
                some.clone().prop_map(Plan::Sequence),
                some.clone().prop_map(Plan::Any),
                (some, 0_u32..4).prop_map(|(parts, slop)| Plan::Window(parts, slop)),
                (two.clone(), any::<bool>()).prop_map(|((left, right, distance), in_order)| Plan::Near {
                    left,
                    right,
                    distance,
                    in_order
                }),
                two.prop_map(|(left, right, distance)| Plan::NotNear { left, right, distance }),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_text_has_marks_exactly_when_it_matches(plan in plans(), text in "([abc][ -]|[京都東]{1,3}){0,10}") {
            let ranges = byte_ranges(&plan, &text);
            prop_assert_eq!(ranges.is_empty(), spans_in(&plan, &text).is_empty());
            for two in ranges.windows(2) {
                prop_assert!(two[0].end <= two[1].start);
            }
            for range in ranges {
                prop_assert!(!text[range].trim_matches([' ', '-']).is_empty());
            }
        }
    }
}
