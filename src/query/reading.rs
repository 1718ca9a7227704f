//! From what a person typed to what is looked for.
//!
//! Pure, and the only place that makes leaves: whatever is typed goes through the tokenizer that the
//! texts went through. Each refusal is a sentence for people. The rules are those of
//! `docs/SEARCH.md`.

use super::fold::{Class, JOINED, PAIR, PART_BREAK, Token, classify, fold_word, is_unspaced_token, tokens};
use super::matcher::{Matcher, has_stemmer};
use super::spans::{Lookup, Plan};

/// Longest expression, in characters.
pub(super) const LONGEST_EXPRESSION: usize = 1000;
/// Most letters of a pattern, in bytes: no longer word is indexed whole.
const LONGEST_PATTERN: usize = 256;
/// Most differences of a fuzzy word.
const MOST_EDITS: u8 = 2;

/// Words as they were typed, one after the other.
pub fn plan(typed: &str) -> Plan {
    sequence(pieces(typed))
}

/// Words of which some hold `*` (any letters) or `?` (one letter), one after the other.
pub(super) fn pattern(typed: &str) -> Result<Plan, String> {
    let mut found = Vec::new();
    // Text without patterns is read as a whole: its words may be linked.
    let mut plain = String::new();
    let mut rest = typed;
    while let Some(first) = rest.chars().next() {
        let is_separator = |c: char| !is_wildcard(c) && classify(c) == Class::Separator;
        let between = is_separator(first);
        let end = rest.find(|c| is_separator(c) != between).unwrap_or(rest.len());
        let (stretch, after) = rest.split_at(end);
        rest = after;
        if !stretch.contains(is_wildcard) {
            plain.push_str(stretch);
            continue;
        }
        for part in parts_of_stretch(stretch)? {
            match part {
                Part::Plain(text) => plain.push_str(text),
                Part::Pattern(text) => {
                    found.extend(pieces(&plain));
                    plain.clear();
                    found.push(wild(text)?);
                }
            }
        }
    }
    found.extend(pieces(&plain));
    Ok(sequence(found))
}

/// Words that differ from the one that was typed in at most so many letters.
pub(super) fn fuzzy(typed: &str, edits: u8) -> Result<Plan, String> {
    if edits > MOST_EDITS {
        return Err(format!("`{typed}~{edits}`: a fuzzy word may differ in at most {MOST_EDITS} letters"));
    }
    let words = one_word(typed, "~")?;
    Ok(any(words.into_iter().map(|word| Plan::Leaf(Lookup::Fuzzy(word, edits), 1)).collect()))
}

/// Words with the stem of the one that was typed.
pub(super) fn stem(typed: &str) -> Result<Plan, String> {
    let words = one_word(typed, "~~")?;
    if words.iter().any(|word| !has_stemmer(word)) {
        return Err(format!("`{typed}~~`: the endings of words in this script are not known; use a pattern with `*`"));
    }
    Ok(any(words.into_iter().map(|word| Plan::Leaf(Lookup::Stem(word), 1)).collect()))
}

/// Words that an expression describes as a whole.
pub(super) fn expression(typed: &str) -> Result<Plan, String> {
    if typed.is_empty() {
        return Err("an expression between slashes is empty".to_owned());
    }
    if typed.chars().count() > LONGEST_EXPRESSION {
        return Err(format!("an expression is at most {LONGEST_EXPRESSION} characters long"));
    }
    let lookup = Lookup::Regex(typed.to_owned());
    Matcher::new(&lookup)?;
    Ok(Plan::Leaf(lookup, 1))
}

/// Whole numbers from the first to the last.
pub(super) fn numbers(from: u64, to: u64) -> Plan {
    Plan::Leaf(Lookup::Numbers(from, to), 1)
}

fn sequence(mut pieces: Vec<Plan>) -> Plan {
    match pieces.len() {
        0 => Plan::Nothing,
        1 => pieces.remove(0),
        _ => Plan::Sequence(pieces),
    }
}

fn any(mut parts: Vec<Plan>) -> Plan {
    match parts.len() {
        0 => Plan::Nothing,
        1 => parts.remove(0),
        _ => Plan::Any(parts),
    }
}

fn word(text: &str) -> Plan {
    Plan::Leaf(Lookup::Word(text.to_owned()), 1)
}

/// What stands one after the other in a text without patterns.
fn pieces(typed: &str) -> Vec<Plan> {
    // Whoever types has no parts in mind.
    let found = tokens(&typed.replace(PART_BREAK, " "));
    let mut found = found.as_slice();
    let mut pieces = Vec::new();
    while let Some(first) = found.first() {
        if is_unspaced_token(&first.text) {
            let pairs = found.iter().take_while(|token| is_pair(&token.text)).count();
            for (n, pair) in found[..pairs].iter().enumerate() {
                // The last one covers both of its characters, and the one after it is spared.
                let length = if n + 1 == pairs { 2 } else { 1 };
                pieces.push(Plan::Leaf(Lookup::Pair(pair.text.clone()), length));
            }
            if pairs == 0 {
                pieces.push(Plan::Leaf(Lookup::Character(first.text.clone()), 1));
            }
            found = &found[pairs + 1..];
            continue;
        }
        let (first, joined) = take_word(&mut found);
        match joined {
            Some((letters, covered)) => {
                let mut words = vec![first];
                words.extend((1..covered).map(|_| take_word(&mut found).0));
                pieces.push(Plan::Any(vec![Plan::Sequence(words), word(&letters)]));
            }
            None => pieces.push(first),
        }
    }
    pieces
}

fn is_pair(token: &str) -> bool {
    token.contains(PAIR) && !token.starts_with(JOINED)
}

/// The word at the next position, with its variant; and the joined form of it and all that are linked
/// to it, with their number.
fn take_word(found: &mut &[Token]) -> (Plan, Option<(String, u32)>) {
    let Some(first) = found.first() else { return (Plan::Nothing, None) };
    let here = found.iter().take_while(|token| token.position == first.position).count();
    let (here, after) = found.split_at(here);
    *found = after;
    let words = here.iter().filter(|token| !token.text.starts_with(JOINED)).map(|token| word(&token.text));
    // The longest comes first; a shorter one leaves out what was typed.
    let joined = here.iter().find_map(|token| {
        let (letters, _) = token.text.strip_prefix(JOINED)?.rsplit_once(PAIR)?;
        Some((letters.to_owned(), token.length))
    });
    (any(words.collect()), joined)
}

fn is_wildcard(c: char) -> bool {
    matches!(c, '*' | '?')
}

/// Of a stretch without separators.
enum Part<'a> {
    /// No pattern.
    Plain(&'a str),
    /// Letters with `*` and `?`.
    Pattern(&'a str),
}

/// Cuts a stretch without separators where a script with words meets one without spaces.
fn parts_of_stretch(stretch: &str) -> Result<Vec<Part<'_>>, String> {
    let mut runs: Vec<(&str, bool)> = Vec::new();
    let mut rest = stretch;
    while let Some(first) = rest.chars().next() {
        let is_unspaced = classify(first) == Class::Unspaced;
        let ends = |c: char| classify(c) != Class::Joiner && (classify(c) == Class::Unspaced) != is_unspaced;
        let (run, after) = rest.split_at(rest.find(ends).unwrap_or(rest.len()));
        runs.push((run, is_unspaced));
        rest = after;
    }
    let mut parts = Vec::new();
    for (n, (run, is_unspaced)) in runs.iter().enumerate() {
        if *is_unspaced || !run.contains(is_wildcard) {
            parts.push(Part::Plain(run));
            continue;
        }
        let (has_before, has_after) = (n > 0, n + 1 < runs.len());
        // A run is found inside longer ones anyway.
        if has_before != has_after && run.chars().all(|c| c == '*') {
            continue;
        }
        if (has_before && run.starts_with(is_wildcard)) || (has_after && run.ends_with(is_wildcard)) {
            return Err(format!(
                "`{stretch}`: `*` and `?` cannot stand for characters of a script without spaces; look for what \
                 stands before and after with `w/N`"
            ));
        }
        parts.push(Part::Pattern(run));
    }
    Ok(parts)
}

/// A word with wildcards, and as it is spelled without umlauts if it was typed with any.
fn wild(typed: &str) -> Result<Plan, String> {
    let (mut plain, mut spelled) = (String::new(), String::new());
    for part in typed.split_inclusive(is_wildcard) {
        let letters = part.trim_end_matches(is_wildcard);
        let (folded, variant) = fold_word(letters);
        if !folded.chars().all(|c| matches!(classify(c), Class::Word | Class::Joiner)) {
            return Err(format!("`{typed}`: `{letters}` is more than one word, and cannot stand in a pattern"));
        }
        spelled.push_str(variant.as_ref().unwrap_or(&folded));
        plain.push_str(&folded);
        let wildcard = &part[letters.len()..];
        for pattern in [&mut plain, &mut spelled] {
            if wildcard != "*" || !pattern.ends_with('*') {
                pattern.push_str(wildcard);
            }
        }
    }
    if plain == "*" {
        return Err("a lone `*` is any word; leave it out, or say with `w/N` how far apart the words around it may be"
            .to_owned());
    }
    if plain.len() > LONGEST_PATTERN {
        return Err(format!("the letters of a pattern are at most {LONGEST_PATTERN} bytes long"));
    }
    let mut patterns = vec![plain];
    if patterns[0] != spelled {
        patterns.push(spelled);
    }
    Ok(any(patterns.into_iter().map(|pattern| Plan::Leaf(Lookup::Wild(pattern), 1)).collect()))
}

/// The word that was typed before `mark`, and its variant; nothing of a text without tokens.
fn one_word(typed: &str, mark: &str) -> Result<Vec<String>, String> {
    let found = tokens(typed);
    if found.iter().any(|token| is_unspaced_token(&token.text)) {
        return Err(format!("`{typed}{mark}`: `{mark}` is for words, and this script is written without spaces"));
    }
    if found.iter().any(|token| token.position > 0) {
        return Err(format!(
            "`{typed}{mark}`: `{mark}` is for a single word, and this is several; write it behind each"
        ));
    }
    Ok(found.into_iter().map(|token| token.text).collect())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::spans::{Span, evaluate};
    use super::*;
    use proptest::prelude::*;

    /// The spans of a plan in a text, in the most obvious way.
    pub(crate) fn spans_in(plan: &Plan, text: &str) -> Vec<Span> {
        let found = tokens(text);
        evaluate(plan, &mut |lookup, length| {
            let matcher = Matcher::new(lookup).unwrap();
            let covered = |token: &Token| if token.text.starts_with(JOINED) { token.length } else { length };
            found
                .iter()
                .filter(|token| matcher.matches(&token.text))
                .map(|token| Span { start: token.position, end: token.position + covered(token) })
                .collect()
        })
        .unwrap()
    }

    fn finds(text: &str, query: &str) -> bool {
        !spans_in(&plan(query), text).is_empty()
    }

    /// A plan in short: sequences in `( )`, others in `[ ]`, a length other than 1 behind `+`.
    fn shown(plan: &Plan) -> String {
        let all = |parts: &[Plan]| parts.iter().map(shown).collect::<Vec<_>>().join(" ");
        match plan {
            Plan::Nothing => "-".to_owned(),
            Plan::Leaf(Lookup::Word(text), 1) => text.clone(),
            Plan::Leaf(lookup, length) => {
                let kind = format!("{lookup:?}");
                let kind = kind.split('(').next().unwrap();
                format!("{kind}:{lookup}{}", if *length == 1 { String::new() } else { format!("+{length}") })
            }
            Plan::Sequence(parts) => format!("({})", all(parts)),
            Plan::Any(parts) => format!("[{}]", all(parts)),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn typed_words_become_plans() {
        for (typed, expected) in [
            ("", "-"),
            ("!!", "-"),
            ("Contract", "contract"),
            ("Change  Order", "(change order)"),
            ("change\norder\u{1d}form", "(change order form)"),
            ("Müller", "[muller mueller]"),
            ("Mueller", "mueller"),
            ("don't", "[(don t) dont]"),
            ("I don't know", "(i [(don t) dont] know)"),
            ("12,500.00", "[(12 500 00) 1250000]"),
            ("john.doe@acme.cz", "([(john doe) johndoe] [(acme cz) acmecz])"),
            ("Müller-Öl", "[([muller mueller] [ol oel]) mullerol]"),
            ("a.b.c.d.e.f.g.h.i", "(a b c d e f g h i)"),
            ("京", "Character:京"),
            ("京都", "Pair:京都+2"),
            ("東京都", "(Pair:東京 Pair:京都+2)"),
            ("東京 都", "(Pair:東京+2 Character:都)"),
            ("iPhone用 x", "(iphone Character:用 x)"),
            ("👍", "Character:👍"),
        ] {
            assert_eq!(shown(&plan(typed)), expected, "{typed}");
        }
    }

    #[test]
    fn patterns_become_plans() {
        for (typed, expected) in [
            ("", "-"),
            ("ship", "ship"),
            ("SHIP*", "Wild:ship*"),
            ("wom?n", "Wild:wom?n"),
            ("*ing", "Wild:*ing"),
            ("a**b", "Wild:a*b"),
            ("??", "Wild:??"),
            ("?*", "Wild:?*"),
            ("Řeč*", "Wild:rec*"),
            ("Mül*", "[Wild:mul* Wild:muel*]"),
            ("john.d*", "(john Wild:d*)"),
            ("don't ship* it's", "([(don t) dont] Wild:ship* [(it s) its])"),
            ("东京*", "Pair:东京+2"),
            ("*东京*", "Pair:东京+2"),
            ("京*", "Character:京"),
            ("东京abc*", "(Pair:东京+2 Wild:abc*)"),
            ("*abc东京", "(Wild:*abc Pair:东京+2)"),
        ] {
            assert_eq!(pattern(typed).map(|plan| shown(&plan)).as_deref(), Ok(expected), "{typed}");
        }
        for (typed, expected) in [
            ("*", "a lone `*`"),
            ("a * b", "a lone `*`"),
            ("**", "a lone `*`"),
            ("东*京", "`东*京`: `*` and `?` cannot stand for characters of a script without spaces"),
            ("东?", "`东?`: `*` and `?` cannot"),
            ("abc*东", "`abc*东`: `*` and `?` cannot"),
            ("½*", "`½*`: `½` is more than one word"),
            (&format!("{}*", "x".repeat(256)), "the letters of a pattern are at most 256 bytes"),
        ] {
            let refusal = pattern(typed).unwrap_err();
            assert!(refusal.starts_with(expected), "{typed}: {refusal}");
        }
    }

    #[test]
    fn marks_behind_a_word_become_plans() {
        for (read, expected) in [
            (fuzzy("Colour", 1), Ok("Fuzzy:colour~1")),
            (fuzzy("Müll", 2), Ok("[Fuzzy:mull~2 Fuzzy:muell~2]")),
            (fuzzy("...", 2), Ok("-")),
            (fuzzy("colour", 3), Err("`colour~3`: a fuzzy word may differ in at most 2 letters")),
            (fuzzy("don't", 1), Err("`don't~`: `~` is for a single word, and this is several; write it behind each")),
            (fuzzy("东", 1), Err("`东~`: `~` is for words, and this script is written without spaces")),
            (stem("Applied"), Ok("Stem:applied~~")),
            (
                stem("two words"),
                Err("`two words~~`: `~~` is for a single word, and this is several; write it behind each"),
            ),
            (stem("ⲁⲃ"), Err("`ⲁⲃ~~`: the endings of words in this script are not known; use a pattern with `*`")),
            (expression("ship(ped|ment)"), Ok("Regex:/ship(ped|ment)/")),
            (expression(""), Err("an expression between slashes is empty")),
            (expression(&"x".repeat(1001)), Err("an expression is at most 1000 characters long")),
            (Ok(numbers(100, 250)), Ok("Numbers:100..250")),
        ] {
            assert_eq!(read.map(|plan| shown(&plan)), expected.map(str::to_owned).map_err(str::to_owned));
        }
        for typed in ["a(", "a)|(?:b", "(?x)a #", "(a{1000}){1000}"] {
            let refusal = expression(typed).unwrap_err();
            assert!(refusal.starts_with(&format!("`/{typed}/` cannot be used: ")), "{refusal}");
        }
    }

    #[test]
    fn words_are_found_in_every_script() {
        for (text, query) in [
            ("Příliš žluťoučký kůň", "prilis ZLUTOUCKY kun"),
            ("Pr\u{30c}i\u{301}lis\u{30c}", "Příliš"),
            ("Příliš", "Pr\u{30c}i\u{301}lis\u{30c}"),
            ("Straße", "STRASSE"),
            ("Herr Müller", "Mueller"),
            ("Herr Mueller", "Müller"),
            ("Herr Muller", "Müller"),
            ("Århus, Øresund", "aarhus oeresund"),
            ("İstanbul ve ışık", "istanbul"),
            ("ışık", "isik"),
            ("Łódź", "lodz"),
            ("Việt Nam", "viet nam"),
            ("مُحَمَّد", "محمد"),
            ("مـــحمد", "محمد"),
            ("أحمد", "احمد"),
            ("می\u{200c}خواهم", "میخواهم"),
            ("کتاب", "كتاب"),
            ("שָׁלוֹם", "שלום"),
            ("Οδυσσεύς", "ΟΔΥΣΣΕΥΣ"),
            ("Привет, Мир", "привет мир"),
            ("ёлка", "елка"),
            ("東京都に行く", "京都"),
            ("東京都に行く", "東京都に行く"),
            ("南京市长江大桥", "市长"),
            ("研究生命起源", "生命"),
            ("ｶﾞﾗｽ", "ガラス"),
            ("データベース", "ﾃﾞｰﾀ"),
            ("ตากลมโต", "กลม"),
            ("น้ำตก", "น้ำ"),
            ("ខ្ញុំស្រឡាញ់", "ស្រឡាញ់"),
            ("နိုင်ငံတော်", "နိုင်ငံ"),
            ("ພາສາລາວ", "ລາວ"),
            ("བོད་སྐད", "སྐད"),
            ("계약서를 보냈다", "계약서"),
            ("계약서", "계약서"),
            ("हिन्दी भाषा", "हिन्दी"),
            ("see https://example.com/Q3-report_final.pdf", "report"),
            ("see https://example.com/Q3-report_final.pdf", "example.com"),
            ("john.doe@acme.cz", "acme"),
            ("john.doe@acme.cz", "John.Doe@ACME.cz"),
            ("ﬁnal oﬃce", "final office"),
            ("ＡＢＣ１２３", "abc123"),
            ("well done 👍🏽👏", "👍"),
            ("well done 👍👏", "👏🏿"),
            ("🇨🇿🇸🇰", "🇸🇰"),
            ("soft\u{ad}hyphen zero\u{200b}width", "softhyphen zerowidth"),
            ("2026年3月", "年3月"),
            ("١٢٣", "123"),
            ("京", "京"),
            ("東京", "京"),
            ("I don’t know", "don't know"),
            ("I dont know", "don't know"),
            ("I don't know", "dont know"),
            ("e-mail", "email"),
            ("email", "e-mail"),
            ("costs 12,500.00 today", "12500"),
            ("costs 12,500.00 today", "12,500"),
            ("costs 12500 today", "12,500 today"),
            ("costs 12\u{a0}500 today", "costs 12500"),
            ("㈱日本", "日本"),
        ] {
            assert!(finds(text, query), "`{query}` in `{text}`: {:?} {:?}", tokens(text), plan(query));
        }
    }

    #[test]
    fn other_words_are_not() {
        for (text, query) in [
            ("हिन्दी", "हन"),
            ("กิน", "ก"),
            ("東京", "京東"),
            ("東京,都", "東京都"),
            ("report", "repor"),
            ("Muller", "Mueller"),
            ("don't", "donut"),
            ("one\u{1d}two", "one two"),
            ("👩\u{200d}💻", "👩"),
            ("🇨🇿🇸🇰", "🇿🇸"),
            ("Acme™", "m"),
            ("12,500", "500,12"),
        ] {
            assert!(!finds(text, query), "`{query}` in `{text}`: {:?} {:?}", tokens(text), plan(query));
        }
    }

    proptest! {
        #[test]
        fn a_text_is_found_in_itself(text in super::super::fold::tests::texts()) {
            let typed = text.replace(PART_BREAK, " ");
            prop_assert_eq!(spans_in(&plan(&typed), &typed).is_empty(), tokens(&typed).is_empty());
        }

        #[test]
        fn whatever_is_typed_is_read_or_refused(typed in "[a-cä京東👍½ *?'.\u{301}\\-]{0,12}") {
            match pattern(&typed) {
                Ok(read) if !typed.contains(['*', '?']) => prop_assert_eq!(read, plan(&typed)),
                Ok(read) => prop_assert!(!shown(&read).is_empty()),
                Err(refusal) => prop_assert!(typed.contains(['*', '?']) && !refusal.ends_with('.'), "{refusal}"),
            }
        }

        #[test]
        fn any_part_of_an_unspaced_run_is_found(text in "[京都東가나ก👍]{1,10}", from in 0_usize..10, count in 1_usize..10) {
            let query: String = text.chars().skip(from).take(count).collect();
            let other: String = query.chars().rev().collect();
            prop_assert_eq!(finds(&text, &query), !query.is_empty());
            prop_assert_eq!(finds(&text, &other), !other.is_empty() && text.contains(&other));
        }
    }
}
