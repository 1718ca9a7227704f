//! The places in a text by which it matched: as marks in the text, and as positions for viewers.

use std::ops::Range;

use crate::query::{Query, Within, byte_ranges, plans};

/// Before a hit in a marked text (Slack's convention).
pub const HIT_START: char = '\u{e000}';
/// After a hit in a marked text.
pub const HIT_END: char = '\u{e001}';

/// Where in `text`, which is the document's `within`, words stand that `query` matched: bytes, in order,
/// without overlaps.
pub fn positions(text: &str, query: &Query, within: Within) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = plans(query)
        .into_iter()
        .filter(|(wanted, _)| *wanted == Within::Any || *wanted == within || within == Within::Any)
        .flat_map(|(_, plan)| byte_ranges(plan, text))
        .collect();
    found.sort_unstable_by_key(|range| (range.start, range.end));
    let mut merged: Vec<Range<usize>> = Vec::with_capacity(found.len());
    for range in found {
        match merged.last_mut() {
            Some(last) if range.start < last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

/// `text` with [`HIT_START`] and [`HIT_END`] around what `query` matched in it; `None` when it
/// matched nothing there.
pub fn mark(text: &str, query: &Query, within: Within) -> Option<String> {
    // Marks that somebody wrote are none of ours.
    let text = &text.replace([HIT_START, HIT_END], "");
    let found = positions(text, query, within);
    if found.is_empty() {
        return None;
    }
    let mut out = String::with_capacity(text.len() + found.len() * 6);
    let mut copied = 0;
    for Range { start, end } in found {
        out.push_str(&text[copied..start]);
        out.push(HIT_START);
        out.push_str(&text[start..end]);
        out.push(HIT_END);
        copied = end;
    }
    out.push_str(&text[copied..]);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Zone;
    use crate::query::{Context, parse};

    fn marked(text: &str, query: &str) -> Option<String> {
        let context = Context { zone: Zone::UTC, now: chrono::DateTime::UNIX_EPOCH };
        mark(text, &parse(query, &context).unwrap().query, Within::Body)
            .map(|text| text.replace(HIT_START, "[").replace(HIT_END, "]"))
    }

    #[test]
    fn hits_are_marked_as_they_stand_in_the_text() {
        for (text, query, expected) in [
            ("Signed the Change Order today", "\"change order\"", Some("Signed the [Change] [Order] today")),
            ("Příliš žluťoučký", "zlutoucky", Some("Příliš [žluťoučký]")),
            ("shipping, shipped, ship", "ship*", Some("[shipping], [shipped], [ship]")),
            ("東京都に行く", "京都", Some("東[京都]に行く")),
            ("東京都", "京", Some("東[京]都")),
            ("nothing here", "elsewhere", None),
            ("a b", "a -b", Some("[a] b")),
        ] {
            assert_eq!(marked(text, query).as_deref(), expected, "{query}");
        }
    }
}
