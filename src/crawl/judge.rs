//! What two descriptions of one channel say of each message: the table of protocol notes 4, and
//! what is made equal before anything is called different.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use icu_normalizer::ComposingNormalizerBorrowed;

use crate::api::{AtomEntry, TextForm, Tombstone};
use crate::model::{Digest, MessageTs, UtcTime, json};

/// Two times of one edit may lie this far apart: servers count in steps of two seconds.
const EDIT_TOLERANCE: chrono::TimeDelta = chrono::TimeDelta::seconds(2);
/// What a title says of a message without text.
const NO_TEXT: &str = "(no text)";

/// What one side says of a message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Side {
    /// The text as that side wrote it; `None` when it says nothing that can be compared.
    text: Option<String>,
    form: TextForm,
    /// When it was last changed, or written.
    changed_at: Option<UtcTime>,
}

impl Side {
    /// A message as JSON.
    pub(super) fn of_json(ts: MessageTs, item: &[u8]) -> Self {
        let edited = json::member(item, "edited").map(|range| &item[range]);
        let changed_at = match edited {
            // A mark whose time cannot be read says that the time of writing is not the one.
            Some(mark) if mark.first() == Some(&b'{') => {
                json::member_text(mark, "ts").and_then(|text| MessageTs::parse(&text)).map(MessageTs::time)
            }
            _ => Some(ts.time()),
        };
        Self { text: json::member_text(item, "text"), form: TextForm::Plain, changed_at }
    }

    /// A message as an entry of a feed.
    pub(super) fn of_atom(entry: &AtomEntry) -> Self {
        let is_said = entry.form != TextForm::Beginning || !matches!(entry.text.trim(), "" | NO_TEXT);
        let updated = entry.updated.to_utc();
        Self {
            text: is_said.then(|| entry.text.clone()),
            form: entry.form,
            changed_at: Some(updated).filter(|updated| *updated > chrono::DateTime::UNIX_EPOCH),
        }
    }

    /// Equal for two readings of a side that says the same.
    pub(super) fn digest(&self) -> Digest {
        let time = self.changed_at.map(|time| time.timestamp_micros());
        Digest::of(format!("{time:?} {:?} {:?}", self.form, self.text).as_bytes())
    }

    /// Whether this, as JSON, and an entry say the same.
    pub(super) fn agrees_with(&self, atom: &Self) -> bool {
        let same_time = match (self.changed_at, atom.changed_at) {
            (Some(ours), Some(theirs)) => (ours - theirs).abs() <= EDIT_TOLERANCE,
            _ => true,
        };
        let same_text = match (&self.text, &atom.text) {
            (Some(ours), Some(theirs)) => same_text(ours, theirs, atom.form),
            _ => true,
        };
        same_time && same_text
    }
}

fn same_text(json: &str, atom: &str, form: TextForm) -> bool {
    let ours = plain(json);
    match form {
        TextForm::Plain => ours == plain(atom),
        TextForm::Html => {
            let theirs = on_one_line(&plain(&without_tags(atom)));
            // The mark-up of the chat may have become elements, or have been left as it was.
            [ours, plain(&shown(json)), plain(&without_tags(json))].iter().any(|ours| on_one_line(ours) == theirs)
        }
        TextForm::Beginning => {
            let theirs = on_one_line(&plain(atom));
            let theirs = theirs.trim_end_matches('…').trim_end_matches("...").trim_end();
            on_one_line(&ours).starts_with(theirs) || on_one_line(&plain(&shown(json))).starts_with(theirs)
        }
    }
}

/// A text without what two spellings of it may differ in: entities, line ends, composition, white
/// space around it, and characters that XML cannot carry.
pub(super) fn plain(text: &str) -> String {
    let text = without_entities(text).replace("\r\n", "\n").replace('\r', "\n");
    let carried: String = text.chars().filter(|letter| is_carried(*letter)).collect();
    ComposingNormalizerBorrowed::new_nfc().normalize(carried.trim()).into_owned()
}

/// Whether XML 1.0 can hold the character. What it cannot may be left out or replaced by U+FFFD.
fn is_carried(letter: char) -> bool {
    matches!(letter, '\t' | '\n' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffc}' | '\u{10000}'..)
}

fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Entities as what they stand for, however often they were escaped: how often is no part of what
/// was said.
fn without_entities(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        while let Some(after) = ["amp;", "#38;", "#x26;"].iter().find_map(|name| rest.strip_prefix(name)) {
            rest = after;
        }
        let (letter, after) = entity(rest).unwrap_or(('&', rest));
        out.push(letter);
        rest = after;
    }
    out.push_str(rest);
    out
}

/// The character of an entity whose `&` was read, and what follows it.
fn entity(rest: &str) -> Option<(char, &str)> {
    let (name, after) = rest.split_at_checked(rest.bytes().take(10).position(|byte| byte == b';')?)?;
    let letter = match name {
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => '\u{a0}',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(digits) => u32::from_str_radix(digits, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)?
        }
    };
    Some((letter, &after[1..]))
}

/// The text of HTML. Good enough to compare, not to show.
fn without_tags(html: &str) -> String {
    let mut out = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        out.push_str(&rest[..at]);
        let tag = &rest[at + 1..];
        let is_tag = tag.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?'));
        if let Some(end) = tag.find('>').filter(|_| is_tag) {
            let name = tag[..end].trim_matches('/').split(|c: char| !c.is_ascii_alphanumeric()).next();
            let name = name.unwrap_or_default().to_ascii_lowercase();
            if matches!(name.as_str(), "br" | "p" | "div" | "li" | "tr" | "blockquote" | "pre") {
                out.push('\n');
            }
            rest = &tag[end + 1..];
        } else {
            out.push('<');
            rest = tag;
        }
    }
    out.push_str(rest);
    out
}

/// The chat's own mark-up as it is shown: `<url|label>` is the label, `<@user|name>` the name.
fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('<') {
        out.push_str(before);
        let Some((inside, after)) = after.split_once('>') else {
            out.push('<');
            rest = after;
            continue;
        };
        out.push_str(inside.split_once('|').map_or(inside, |(_, label)| label));
        rest = after;
    }
    out.push_str(rest);
    out
}

/// What is to be thought of a message about which the two sides do not agree. Agreement has no
/// word: it is what is not in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Both have it, and it reads otherwise.
    ContentMismatch,
    /// The feed lacks what the history has.
    AtomOmission,
    /// The history lacks what the feed has.
    JsonOmission,
    /// It was archived, the history lacks it, and the feed says that it was removed.
    Tombstone,
    /// It was archived and neither has it: for the walk, which wants two witnesses.
    Absent,
}

/// A message about which the two sides do not agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Disagreement {
    /// Which.
    pub(super) ts: MessageTs,
    /// What it is.
    pub(super) verdict: Verdict,
}

/// Holds a history against a feed, over the range that both cover and nowhere else. `archived` is
/// what stands in the archive and is not recorded as gone.
///
/// A tombstone yields to an entry that was changed after it (RFC 6721), and to a history that has
/// the message.
pub(super) fn judge(
    json: &BTreeMap<MessageTs, Side>,
    archived: &BTreeSet<MessageTs>,
    atom: &BTreeMap<MessageTs, Side>,
    tombstones: &BTreeMap<MessageTs, Tombstone>,
    covered: RangeInclusive<MessageTs>,
) -> Vec<Disagreement> {
    if covered.is_empty() {
        return Vec::new();
    }
    let mut all: BTreeSet<MessageTs> = json.range(covered.clone()).map(|(ts, _)| *ts).collect();
    all.extend(atom.range(covered.clone()).map(|(ts, _)| *ts));
    all.extend(archived.range(covered));
    let verdict = |ts: &MessageTs| match (json.get(ts), atom.get(ts), tombstones.get(ts)) {
        (Some(ours), Some(theirs), _) if ours.agrees_with(theirs) => None,
        (Some(_), Some(_), _) => Some(Verdict::ContentMismatch),
        (Some(_), None, _) => Some(Verdict::AtomOmission),
        (None, Some(theirs), Some(tombstone)) if tombstone.at > theirs.changed_at => {
            archived.contains(ts).then_some(Verdict::Tombstone)
        }
        (None, Some(_), _) => Some(Verdict::JsonOmission),
        (None, None, Some(_)) => Some(Verdict::Tombstone),
        (None, None, None) => Some(Verdict::Absent),
    };
    all.into_iter().filter_map(|ts| Some(Disagreement { ts, verdict: verdict(&ts)? })).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ts(number: i64) -> MessageTs {
        MessageTs::from_micros(1_490_000_000_000_000 + number * 1_000_000)
    }

    fn side(text: &str, form: TextForm) -> Side {
        Side { text: Some(text.to_owned()), form, changed_at: Some(ts(0).time()) }
    }

    fn json(text: &str) -> Side {
        side(text, TextForm::Plain)
    }

    #[test]
    fn spellings_of_one_text_agree() {
        for (ours, theirs, form) in [
            ("a &amp; b &lt;c&gt;", "a & b <c>", TextForm::Plain),
            ("a & b", "a &amp;amp; b", TextForm::Plain),
            ("one\r\ntwo\rthree", "one\ntwo\nthree\n", TextForm::Plain),
            ("caf\u{e9}", "cafe\u{301}", TextForm::Plain),
            ("nul \u{0} inside", "nul  inside", TextForm::Plain),
            ("nul \u{0} inside", "nul \u{fffd} inside", TextForm::Plain),
            (
                "<@ann@t.com> see <https://h/x?a=1&amp;b=2|this>",
                "<@ann@t.com> see <https://h/x?a=1&b=2|this>",
                TextForm::Plain,
            ),
            (
                "<@U1|ann> see <https://h/|this>\nnow",
                "<p><b>ann</b> see <a href=\"https://h/\">this</a><br/>now</p>",
                TextForm::Html,
            ),
            ("1 &lt; 2 it's", "1 &lt; 2 it&#39;s", TextForm::Html),
            ("a < b", "a < b", TextForm::Html),
            ("two words\nand more of them", "two words and more…", TextForm::Beginning),
            ("short", "short", TextForm::Beginning),
        ] {
            assert!(json(ours).agrees_with(&side(theirs, form)), "{ours:?} {theirs:?}");
        }
        for (ours, theirs, form) in [
            ("yes", "no", TextForm::Plain),
            ("yes", "", TextForm::Plain),
            ("", "yes", TextForm::Html),
            ("a <b> c", "a c", TextForm::Plain),
            ("the price is 5", "<p>the price is <b>6</b></p>", TextForm::Html),
            ("two words", "too wor", TextForm::Beginning),
        ] {
            assert!(!json(ours).agrees_with(&side(theirs, form)), "{ours:?} {theirs:?}");
        }
    }

    #[test]
    fn a_time_of_edit_counts_and_its_rounding_does_not() {
        let plain = Side::of_json(ts(0), br#"{"text":"a"}"#);
        let at = |number: i64| Side { changed_at: Some(ts(number).time()), ..json("a") };
        assert!(plain.agrees_with(&at(0)) && plain.agrees_with(&at(2)) && !plain.agrees_with(&at(3)));
        let edited = Side::of_json(ts(0), br#"{"text":"a","edited":{"user":"u","ts":"1490000060.000001"}}"#);
        assert!(edited.agrees_with(&at(60)) && !edited.agrees_with(&at(0)));
        let unreadable = Side::of_json(ts(0), br#"{"text":"a","edited":{"user":"u"}}"#);
        assert!(unreadable.agrees_with(&at(60)) && unreadable.agrees_with(&at(0)));
        assert!(edited.agrees_with(&Side { changed_at: None, ..json("a") }), "a feed without times");
    }

    #[test]
    fn each_row_of_the_table() {
        let all = ts(0)..=ts(99);
        let map = |sides: &[(i64, &str)]| -> BTreeMap<MessageTs, Side> {
            sides.iter().map(|(number, text)| (ts(*number), json(text))).collect()
        };
        let removed =
            |number: i64, at: i64| (ts(number), Tombstone { at: Some(ts(at).time()), ..Tombstone::default() });
        let history = map(&[(1, "same"), (2, "ours"), (3, "only here"), (7, "buried and alive")]);
        let feed = map(&[(1, "same"), (2, "theirs"), (4, "only there"), (8, "back again"), (9, "buried")]);
        let archived = [1, 2, 3, 5, 6, 7, 9].map(ts).into();
        let tombstones = [removed(5, 50), removed(7, 50), removed(8, -50), removed(9, 50), removed(10, 50)].into();
        let found: Vec<(MessageTs, Verdict)> = judge(&history, &archived, &feed, &tombstones, all)
            .into_iter()
            .map(|disagreement| (disagreement.ts, disagreement.verdict))
            .collect();
        let expected = [
            (ts(2), Verdict::ContentMismatch),
            (ts(3), Verdict::AtomOmission),
            (ts(4), Verdict::JsonOmission),
            (ts(5), Verdict::Tombstone),
            (ts(6), Verdict::Absent),
            (ts(7), Verdict::AtomOmission),
            (ts(8), Verdict::JsonOmission),
            (ts(9), Verdict::Tombstone),
        ];
        assert_eq!(found, expected);
        assert!(judge(&history, &archived, &feed, &tombstones, ts(1)..=ts(1)).is_empty(), "only what both cover");
        let nothing = ts(9)..=ts(1);
        assert!(judge(&history, &archived, &feed, &tombstones, nothing).is_empty());
    }

    fn escaped(text: &str) -> String {
        text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
    }

    proptest! {
        #[test]
        fn escaping_a_text_any_number_of_times_changes_nothing(text in "(?s).{0,60}|[&;#amplt38x26 ]{0,30}") {
            prop_assert_eq!(plain(&escaped(&text)), plain(&text));
            prop_assert_eq!(plain(&escaped(&escaped(&text))), plain(&text));
        }

        #[test]
        fn html_of_a_text_is_that_text(text in "[a-zé<>&;\\n ]{0,60}") {
            let html = format!("<div>{}</div>", escaped(&text).replace('\n', "<br>"));
            prop_assert!(json(&escaped(&text)).agrees_with(&side(&html, TextForm::Html)), "{}", html);
        }

        /// Every message is judged once, what is alike on both sides never, and nothing outside.
        #[test]
        fn a_verdict_is_what_the_sets_say(
            ours in proptest::collection::btree_map(0..20_i64, 0..2_u8, 0..12),
            theirs in proptest::collection::btree_map(0..20_i64, 0..2_u8, 0..12),
            archived in proptest::collection::btree_set(0..20_i64, 0..12),
            buried in proptest::collection::btree_set(0..20_i64, 0..6),
            from in 0..20_i64,
            to in 0..20_i64,
        ) {
            let sides = |numbers: &BTreeMap<i64, u8>| -> BTreeMap<MessageTs, Side> {
                numbers.iter().map(|(number, text)| (ts(*number), json(&text.to_string()))).collect()
            };
            let stands: BTreeSet<MessageTs> = archived.iter().copied().map(ts).collect();
            let tombstones = buried.iter().map(|number| (ts(*number), Tombstone::default())).collect();
            let found = judge(&sides(&ours), &stands, &sides(&theirs), &tombstones, ts(from)..=ts(to));
            let found: BTreeMap<MessageTs, Verdict> = found.iter().map(|one| (one.ts, one.verdict)).collect();
            for number in 0..20 {
                let (j, a) = (ours.get(&number), theirs.get(&number));
                let expected = match (j, a) {
                    _ if number < from || number > to => None,
                    (Some(j), Some(a)) => (j != a).then_some(Verdict::ContentMismatch),
                    (Some(_), None) => Some(Verdict::AtomOmission),
                    (None, Some(_)) => Some(Verdict::JsonOmission),
                    (None, None) if !archived.contains(&number) => None,
                    (None, None) if buried.contains(&number) => Some(Verdict::Tombstone),
                    (None, None) => Some(Verdict::Absent),
                };
                prop_assert_eq!(found.get(&ts(number)).copied(), expected, "{}", number);
            }
        }
    }
}
