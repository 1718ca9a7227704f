//! Versions of a text, held against each other word by word.

use super::unturned;

/// A piece of a comparison of two versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::web) enum Change {
    /// In both.
    Same(String),
    /// Only in the earlier.
    Removed(String),
    /// Only in the later.
    Added(String),
}

/// Words compared at most; longer texts are shown one after the other. Blanks count as words.
const MAX_WORDS: usize = 2000;
/// Steps of comparison for one page. Two versions of a thousand words take four million, two of twenty words take
/// sixteen hundred.
const STEPS: u64 = 20_000_000;

/// How many steps of comparison a page may still take: each word of one version is held against each of the other.
#[derive(Debug)]
pub(in crate::web) struct Effort(u64);

impl Effort {
    /// For a whole page.
    pub(in crate::web) fn of_a_page() -> Self {
        Self(STEPS)
    }

    /// For what is shown without comparisons.
    pub(in crate::web) fn none() -> Self {
        Self(0)
    }

    /// Whether so many steps may be taken; then they are.
    fn takes(&mut self, steps: u64) -> bool {
        let left = self.0.checked_sub(steps);
        self.0 = left.unwrap_or(self.0);
        left.is_some()
    }
}

/// A version that is compared with none. What would turn the direction is shown as what it is.
pub(in crate::web) fn whole(text: &str) -> Vec<Change> {
    vec![Change::Same(unturned(text))]
}

/// What changed from one text to the next, word by word; `None` where that would take more steps than are left. What
/// would turn the direction is shown as what it is.
pub(in crate::web) fn compare(before: &str, after: &str, effort: &mut Effort) -> Option<Vec<Change>> {
    let (before, after) = (unturned(before), unturned(after));
    let (a, b) = (words(&before), words(&after));
    let (a, b) = (a.len(), b.len());
    let steps = if a.max(b) > MAX_WORDS { a + b } else { a * b };
    effort.takes(steps as u64).then(|| gathered(changes(&before, &after)))
}

/// Changes with nothing but blanks between them as one: what was removed, then what was added. A sentence that was
/// written anew is not read word by word.
fn gathered(changes: Vec<Change>) -> Vec<Change> {
    let mut out: Vec<Change> = Vec::new();
    let (mut removed, mut added, mut blank) = (String::new(), String::new(), String::new());
    let flush = |removed: &mut String, added: &mut String, out: &mut Vec<Change>| {
        if !removed.is_empty() {
            out.push(Change::Removed(std::mem::take(removed)));
        }
        if !added.is_empty() {
            out.push(Change::Added(std::mem::take(added)));
        }
    };
    for change in changes {
        let is_open = !removed.is_empty() || !added.is_empty();
        match change {
            Change::Same(text) if is_open && blank.is_empty() && text.chars().all(char::is_whitespace) => blank = text,
            Change::Same(text) => {
                flush(&mut removed, &mut added, &mut out);
                out.push(Change::Same(std::mem::take(&mut blank) + &text));
            }
            Change::Removed(text) => {
                added.push_str(&blank);
                removed = removed + &std::mem::take(&mut blank) + &text;
            }
            Change::Added(text) => {
                removed.push_str(&blank);
                added = added + &std::mem::take(&mut blank) + &text;
            }
        }
    }
    flush(&mut removed, &mut added, &mut out);
    if !blank.is_empty() {
        out.push(Change::Same(blank));
    }
    out
}

/// Words and the blanks between them.
fn words(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut from = 0;
    let mut in_space = None;
    for (at, c) in text.char_indices() {
        if in_space.replace(c.is_whitespace()).is_some_and(|before| before != c.is_whitespace()) {
            out.push(&text[from..at]);
            from = at;
        }
    }
    if from < text.len() {
        out.push(&text[from..]);
    }
    out
}

/// The same as [`compare`], of texts as they are, and however many steps it takes.
pub(in crate::web) fn changes(before: &str, after: &str) -> Vec<Change> {
    let (a, b) = (words(before), words(after));
    if a.len() > MAX_WORDS || b.len() > MAX_WORDS {
        return vec![Change::Removed(before.to_owned()), Change::Added(after.to_owned())];
    }
    // lengths[i][j]: the longest common subsequence of a[i..] and b[j..].
    let mut lengths = vec![vec![0_u32; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            lengths[i][j] =
                if a[i] == b[j] { lengths[i + 1][j + 1] + 1 } else { lengths[i + 1][j].max(lengths[i][j + 1]) };
        }
    }
    let mut out: Vec<Change> = Vec::new();
    let mut push = |change: Change| match (out.last_mut(), change) {
        (Some(Change::Same(text)), Change::Same(more))
        | (Some(Change::Removed(text)), Change::Removed(more))
        | (Some(Change::Added(text)), Change::Added(more)) => text.push_str(&more),
        (_, change) => out.push(change),
    };
    let (mut i, mut j) = (0, 0);
    while i < a.len() || j < b.len() {
        if i < a.len() && j < b.len() && a[i] == b[j] {
            push(Change::Same(a[i].to_owned()));
            i += 1;
            j += 1;
        } else if j >= b.len() || (i < a.len() && lengths[i + 1][j] >= lengths[i][j + 1]) {
            push(Change::Removed(a[i].to_owned()));
            i += 1;
        } else {
            push(Change::Added(b[j].to_owned()));
            j += 1;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compare(before: &str, after: &str) -> Vec<Change> {
        super::compare(before, after, &mut Effort::of_a_page()).expect("a page may take more steps than that")
    }

    #[test]
    fn versions_are_compared_word_by_word() {
        assert_eq!(
            compare("signed the order tomorrow", "signed the order today"),
            [
                Change::Same("signed the order ".into()),
                Change::Removed("tomorrow".into()),
                Change::Added("today".into())
            ]
        );
        assert_eq!(compare("a", "a"), [Change::Same("a".into())]);
        assert_eq!(
            compare("so. Please prove me wrong.\nEnd", "so. It was right then.\nEnd"),
            [
                Change::Same("so. ".into()),
                Change::Removed("Please prove me wrong.".into()),
                Change::Added("It was right then.".into()),
                Change::Same("\nEnd".into()),
            ]
        );
        for (before, after) in
            [("a b c d", "a x c y"), ("a b ", "a c "), ("one", ""), ("a b", "b a c"), ("x  y", "z  y q")]
        {
            let side = |drop: fn(&Change) -> bool| -> String {
                let kept = compare(before, after).into_iter().filter(|change| !drop(change));
                kept.map(|(Change::Same(text) | Change::Removed(text) | Change::Added(text))| text).collect()
            };
            assert_eq!(side(|change| matches!(change, Change::Added(_))), before);
            assert_eq!(side(|change| matches!(change, Change::Removed(_))), after);
        }
    }

    #[test]
    fn words_and_blanks_are_the_text() {
        assert_eq!(words("a  b\n c"), ["a", "  ", "b", "\n ", "c"]);
        assert_eq!(words(" a "), [" ", "a", " "]);
        assert!(words("").is_empty());
    }

    #[test]
    fn what_would_turn_a_comparison_is_shown() {
        assert_eq!(compare("a", "a \u{202e}b"), [Change::Same("a".into()), Change::Added(" [U+202E]b".into())]);
        assert_eq!(whole("a\u{202e}"), [Change::Same("a[U+202E]".into())]);
    }

    #[test]
    fn nothing_is_compared_beyond_what_a_page_may_take() {
        let text = |n: usize| format!("{}{n}", "word ".repeat(100));
        let mut effort = Effort(201 * 201 * 3);
        let compared = (0..10).filter(|n| super::compare(&text(*n), &text(n + 1), &mut effort).is_some()).count();
        assert_eq!((compared, effort.0), (3, 0));
        assert_eq!(super::compare("a", "b", &mut effort), None);
        // What fits is compared all the same after what did not.
        let mut effort = Effort(1);
        assert_eq!(super::compare("a b", "a c", &mut effort), None);
        assert!(super::compare("a", "b", &mut effort).is_some());
        assert_eq!(super::compare("a", "b", &mut Effort::none()), None);
        // What is too long for any page is shown one after the other, which takes as many steps as there are words.
        let (long, mut effort) = ("a ".repeat(MAX_WORDS), Effort::of_a_page());
        assert_eq!(
            super::compare(&long, "b", &mut effort),
            Some(vec![Change::Removed(long.clone()), Change::Added("b".into())])
        );
        assert_eq!(effort.0, STEPS - 4001);
    }
}
