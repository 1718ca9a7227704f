use super::fold::{Token, tokens};
use crate::query::Query;

/// Before a hit in a marked text (Slack's convention).
pub const HIT_START: char = '\u{e000}';
/// After a hit in a marked text.
pub const HIT_END: char = '\u{e001}';

/// What a query looks for in texts: runs of tokens, and whether the last is a beginning.
fn wanted(query: &Query, out: &mut Vec<(Vec<Token>, bool)>) {
    match query {
        Query::Word { text, prefix } => out.push((tokens(text), *prefix)),
        Query::Phrase(text) | Query::FileName(text) => out.push((tokens(text), false)),
        Query::And(parts) | Query::Or(parts) => parts.iter().for_each(|part| wanted(part, out)),
        _ => {}
    }
}

fn is_match(found: &Token, sought: &Token, is_last: bool, prefix: bool, follows_pair: bool) -> bool {
    if sought.is_run_end && follows_pair {
        return true;
    }
    if sought.is_run_end && is_last {
        return found.text == sought.text
            || found.text.strip_prefix(sought.text.as_str()).is_some_and(|rest| rest.starts_with('\u{1f}'));
    }
    if is_last && prefix { found.text.starts_with(&sought.text) } else { found.text == sought.text }
}

/// `text` with [`HIT_START`] and [`HIT_END`] around what `query` matched in it; `None` when it
/// matched nothing there.
pub fn mark(text: &str, query: &Query) -> Option<String> {
    // Marks that somebody wrote are none of ours.
    let text = &text.replace([HIT_START, HIT_END], "");
    let mut sought = Vec::new();
    wanted(query, &mut sought);
    let found = tokens(text);
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for (run, prefix) in sought.iter().filter(|(run, _)| !run.is_empty()) {
        // The last character of an unspaced run is within the pair before it.
        let drops_last = run.len() > 1 && run[run.len() - 1].is_run_end && run[run.len() - 2].text.contains('\u{1f}');
        let length = run.len() - usize::from(drops_last);
        for at in 0..found.len().saturating_sub(length - 1) {
            let all = (0..length).all(|n| {
                let follows_pair = n > 0 && run[n - 1].text.contains('\u{1f}');
                is_match(&found[at + n], &run[n], n + 1 == run.len(), *prefix, follows_pair)
            });
            if all {
                let last = &found[at + length - 1];
                // A lone character matched the beginning of a pair: it ends with its first half.
                let end = if run[length - 1].is_run_end && !last.is_run_end {
                    last.start + text[last.start..last.end].chars().next().map_or(0, char::len_utf8)
                } else {
                    last.end
                };
                ranges.push((found[at].start, end));
            }
        }
    }
    if ranges.is_empty() {
        return None;
    }
    ranges.sort_unstable();
    let mut merged: Vec<(usize, usize)> = Vec::new();
    for (start, end) in ranges {
        match merged.last_mut() {
            Some(last) if start <= last.1 => last.1 = last.1.max(end),
            _ => merged.push((start, end)),
        }
    }
    let mut out = String::with_capacity(text.len() + merged.len() * 6);
    let mut copied = 0;
    for (start, end) in merged {
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
        mark(text, &parse(query, &context).unwrap().query)
            .map(|text| text.replace(HIT_START, "[").replace(HIT_END, "]"))
    }

    #[test]
    fn hits_are_marked_as_they_stand_in_the_text() {
        for (text, query, expected) in [
            ("Signed the Change Order today", "\"change order\"", Some("Signed the [Change Order] today")),
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
