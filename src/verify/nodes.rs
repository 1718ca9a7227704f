use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Check, Finding};
use crate::ledger::{Checkpoint, Frontier, Note, hash_children};
use crate::model::Digest;
use crate::store::{SPAN, Tables};

/// The level of the nodes that stand over one span.
const SPAN_LEVEL: u8 = 7;
const _: () = assert!(1 << SPAN_LEVEL == SPAN);

/// The leaves as they come, span by span, and what follows from them.
#[derive(Default)]
pub(super) struct Spans {
    /// The span whose leaves come now.
    open: Option<(u64, Vec<Option<Digest>>)>,
    /// Roots of whole spans; `None` where a leaf is not known.
    roots: BTreeMap<u64, Option<Digest>>,
    /// Sizes that are no multiple of a span at which a root is wanted, and the root of the leaves
    /// between the last multiple and there.
    partial: BTreeMap<u64, Option<Digest>>,
}

/// The root of some leaves; `None` when one of them is not known.
fn root_of(leaves: &[Option<Digest>]) -> Option<Digest> {
    let mut frontier = Frontier::default();
    for leaf in leaves {
        frontier.push((*leaf)?, |_, _, _| {});
    }
    Some(frontier.root())
}

impl Spans {
    /// Roots are wanted at these sizes.
    pub(super) fn new(sizes: impl IntoIterator<Item = u64>) -> Self {
        let partial = sizes.into_iter().filter(|size| !size.is_multiple_of(SPAN)).map(|size| (size, None));
        Self { partial: partial.collect(), ..Self::default() }
    }

    /// Takes the leaf of a record. Records come in order; one that comes twice counts as it came
    /// last, and is found elsewhere.
    pub(super) fn take(&mut self, seq: u64, leaf: Option<Digest>) {
        let span = seq / SPAN;
        if self.open.as_ref().is_none_or(|(open, _)| *open != span) {
            self.close();
            self.open = Some((span, vec![None; usize::try_from(SPAN).expect("a small number")]));
        }
        if let Some((_, leaves)) = &mut self.open {
            leaves[usize::try_from(seq % SPAN).expect("a small number")] = leaf;
        }
    }

    /// The spans of which a leaf was taken.
    pub(super) fn seen(&self) -> impl Iterator<Item = u64> {
        self.roots.keys().copied()
    }

    /// Ends the span that is open.
    pub(super) fn close(&mut self) {
        let Some((span, leaves)) = self.open.take() else { return };
        for (size, root) in self.partial.range_mut(span * SPAN..span.saturating_add(1).saturating_mul(SPAN)) {
            *root = root_of(&leaves[..usize::try_from(size % SPAN).expect("a small number")]);
        }
        self.roots.insert(span, root_of(&leaves));
    }
}

fn described(level: u8, index: u64) -> String {
    format!("the tree's node of level {level}, number {index}")
}

/// Compares every stored node with what stands under it.
///
/// A record that was altered breaks the node of its own span and no other: the levels above are held
/// against the stored nodes below them. Where a node and what stands under it disagree, the node
/// above tells which of the two was altered.
pub(super) fn check(check: &mut Check<'_>, tables: &Tables, spans: &Spans, head: u64) {
    let mut stored: BTreeMap<u8, BTreeMap<u64, Option<Digest>>> = BTreeMap::new();
    for (level, index, hash) in &tables.nodes {
        stored.entry(*level).or_default().insert(*index, Digest::from_slice(hash));
    }
    let nothing = BTreeMap::new();
    let top = stored.keys().next_back().copied().unwrap_or(0);
    for level in stored.keys().filter(|level| **level < SPAN_LEVEL) {
        for index in stored[level].keys() {
            let detail = format!("{} stands lower than nodes are stored", described(*level, *index));
            check.find(Finding::new("node", detail).at(index << level));
        }
    }
    let mut standing: HashMap<(u8, u64), Digest> = HashMap::new();
    let mut below: BTreeMap<u64, Digest> = BTreeMap::new();
    let mut broken_spans = BTreeSet::new();
    for level in SPAN_LEVEL..64 {
        let computed: BTreeMap<u64, Digest> = if level == SPAN_LEVEL {
            let whole = spans.roots.iter().filter(|(span, _)| is_under(level, **span, head));
            whole.filter_map(|(span, root)| Some((*span, (*root)?))).collect()
        } else {
            let left = below.iter().filter(|(index, _)| index.is_multiple_of(2));
            left.filter_map(|(index, left)| Some((index / 2, hash_children(left, below.get(&(index + 1))?)))).collect()
        };
        let here = stored.get(&level).unwrap_or(&nothing);
        if computed.is_empty() && level > top {
            break;
        }
        let above = stored.get(&(level + 1)).unwrap_or(&nothing);
        let indexes: BTreeSet<u64> = computed.keys().chain(here.keys()).copied().collect();
        let mut standing_here = BTreeMap::new();
        for index in indexes {
            let start = index << level;
            let name = described(level, index);
            let stands = match (computed.get(&index).copied(), here.get(&index).copied()) {
                (Some(computed), Some(Some(stored))) if computed == stored => {
                    check.report.checked.nodes += 1;
                    computed
                }
                (Some(due), Some(Some(is))) => {
                    check.report.checked.nodes += 1;
                    let fits = |hash: &Digest| fits(index, hash, &computed, here, above);
                    let finding = if fits(&due) {
                        let detail = format!("{name} was altered: what stands under it and the node above it agree");
                        Finding::new("node", detail).instead(due, is)
                    } else if fits(&is) && level == SPAN_LEVEL {
                        let detail = format!(
                            "a record was altered, or the secret that it is hashed with: records {start} to {} do not give {name}, and the node above agrees with it",
                            start + SPAN - 1
                        );
                        Finding::new("block", detail).instead(is, due)
                    } else {
                        Finding::new("node", format!("{name} does not match its records")).instead(due, is)
                    };
                    check.find(finding.at(start));
                    broken_spans.insert(start / SPAN);
                    if fits(&due) { due } else { is }
                }
                (Some(due), Some(None)) => {
                    check.find(
                        Finding::new("node", format!("{name} is not 32 bytes")).at(start).instead(due, "other bytes"),
                    );
                    due
                }
                (Some(due), None) => {
                    check.find(Finding::new("node", format!("{name} is missing")).at(start).instead(due, "nothing"));
                    due
                }
                // Of what stands under it something is missing or unreadable, which is said already.
                (None, Some(Some(is))) if is_under(level, index, head) => is,
                (None, Some(is)) => {
                    let detail = if is.is_none() && is_under(level, index, head) {
                        format!("{name} is not 32 bytes")
                    } else {
                        format!("{name} is one that no records stand under")
                    };
                    check.find(Finding::new("node", detail).at(start));
                    continue;
                }
                (None, None) => continue,
            };
            standing_here.insert(index, stands);
            standing.insert((level, index), stands);
        }
        below = standing_here;
    }
    roots(check, tables, spans, &standing, &broken_spans);
}

/// Whether so many records stand under the whole of a node.
fn is_under(level: u8, index: u64, head: u64) -> bool {
    (u128::from(index) + 1) << level <= u128::from(head)
}

/// Whether the node above is what this node would give with its neighbour.
fn fits(
    index: u64,
    hash: &Digest,
    computed: &BTreeMap<u64, Digest>,
    stored: &BTreeMap<u64, Option<Digest>>,
    above: &BTreeMap<u64, Option<Digest>>,
) -> bool {
    let Some(Some(parent)) = above.get(&(index / 2)) else { return false };
    let other = index ^ 1;
    let neighbours = [computed.get(&other).copied(), stored.get(&other).copied().flatten()];
    neighbours.into_iter().flatten().any(|other| {
        let given = if index.is_multiple_of(2) { hash_children(hash, &other) } else { hash_children(&other, hash) };
        given == *parent
    })
}

/// Where the records give another root than a checkpoint was signed over: in the span that its size
/// cuts, no stored node tells of a record that was altered.
fn roots(
    check: &mut Check<'_>,
    tables: &Tables,
    spans: &Spans,
    standing: &HashMap<(u8, u64), Digest>,
    broken_spans: &BTreeSet<u64>,
) {
    let mut good = 0;
    let mut told = None;
    for (size, note, _) in &tables.checkpoints {
        let Some(Some(partial)) = spans.partial.get(size) else { continue };
        let parsed = Note::parse(note.as_bytes()).and_then(|note| Checkpoint::parse(note.text()));
        // What cannot be read, or is stored under another size, is said with the checkpoints.
        let Some(signed) = parsed.ok().filter(|signed| signed.size == *size) else { continue };
        let span = size / SPAN;
        let Some(root) = root_at(standing, span, *partial) else { continue };
        if root == signed.root {
            good = *size;
        } else if told != Some(span) && !broken_spans.contains(&span) {
            told = Some(span);
            let from = good.max(span * SPAN);
            let detail = format!(
                "a record was altered, or the secret that it is hashed with: records {from} to {} do not give the root that was signed for {size} records",
                size - 1
            );
            check.find(Finding::new("block", detail).at(from).instead(signed.root, root));
        }
    }
}

/// The root over so many whole spans and `partial`, the root of what follows them.
fn root_at(standing: &HashMap<(u8, u64), Digest>, spans: u64, partial: Digest) -> Option<Digest> {
    let mut peaks = Vec::new();
    let mut start = 0;
    while start < spans {
        let level = u8::try_from((spans - start).ilog2()).expect("a level is below 64");
        peaks.push(*standing.get(&(level + SPAN_LEVEL, start >> level))?);
        start += 1 << level;
    }
    Some(peaks.iter().rev().fold(partial, |right, left| hash_children(left, &right)))
}
