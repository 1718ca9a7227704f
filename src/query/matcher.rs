//! Whether a single token is one that a lookup stands for.

use frostem::{Algorithm, Stemmer};
use regex::{Regex, RegexBuilder};

use super::fold::{JOINED, PAIR, is_unspaced_token};
use super::spans::Lookup;

/// Memory that a compiled expression may take.
const EXPRESSION_BYTES: usize = 1 << 20;

/// A lookup, made ready to be held against many tokens.
#[derive(Debug)]
pub struct Matcher(Kind);

#[derive(Debug)]
enum Kind {
    Word(String),
    Pair(String),
    Character(String),
    Wild(Vec<char>),
    Fuzzy(Vec<char>, usize),
    Stem(String, Vec<(Algorithm, String)>),
    Regex(Regex),
    Numbers(u64, u64),
}

impl Matcher {
    /// Makes one; an expression that cannot be compiled is refused with the reason.
    pub fn new(lookup: &Lookup) -> Result<Self, String> {
        Ok(Self(match lookup {
            Lookup::Word(word) => Kind::Word(word.clone()),
            Lookup::Pair(pair) => Kind::Pair(pair.clone()),
            Lookup::Character(character) => Kind::Character(character.clone()),
            Lookup::Wild(pattern) => Kind::Wild(pattern.chars().collect()),
            Lookup::Fuzzy(word, edits) => Kind::Fuzzy(word.chars().collect(), usize::from(*edits)),
            Lookup::Stem(word) => Kind::Stem(stem_beginning(word), stems(word)),
            Lookup::Regex(expression) => {
                let refused = |error: regex::Error| format!("`/{expression}/` cannot be used: {}", reason(&error));
                // Alone first: a parenthesis too many would end the group that holds it.
                compile(expression).map_err(refused)?;
                Kind::Regex(compile(&format!("^(?:{expression})$")).map_err(refused)?)
            }
            Lookup::Numbers(from, to) => Kind::Numbers(*from, *to),
        }))
    }

    /// What every word that it matches begins with; maybe nothing.
    pub fn beginning(&self) -> String {
        match &self.0 {
            Kind::Wild(pattern) => pattern.iter().take_while(|c| !matches!(c, '*' | '?')).collect(),
            Kind::Stem(beginning, _) => beginning.clone(),
            _ => String::new(),
        }
    }

    /// Whether the lookup stands for a token, given as it is indexed. A joined form is judged by its
    /// letters.
    pub fn matches(&self, token: &str) -> bool {
        match &self.0 {
            Kind::Pair(pair) => token == pair,
            Kind::Character(character) => {
                token.strip_prefix(character.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(PAIR))
            }
            Kind::Word(word) => letters(token).is_some_and(|letters| letters == word),
            Kind::Stem(beginning, wanted) => {
                token.starts_with(beginning.as_str())
                    && !token.starts_with(JOINED)
                    && letters(token).is_some_and(|letters| has_stem(letters, wanted))
            }
            Kind::Wild(pattern) => letters(token).is_some_and(|letters| is_like(pattern, letters)),
            Kind::Fuzzy(word, edits) => letters(token).is_some_and(|letters| is_within(word, letters, *edits)),
            Kind::Regex(expression) => letters(token).is_some_and(|letters| expression.is_match(letters)),
            Kind::Numbers(from, to) => letters(token)
                .filter(|letters| letters.bytes().all(|byte| byte.is_ascii_digit()))
                .and_then(|letters| letters.parse::<u64>().ok())
                .is_some_and(|number| (*from..=*to).contains(&number)),
        }
    }
}

fn compile(expression: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(expression)
        // Tokens are folded; what was typed is not.
        .case_insensitive(true)
        .size_limit(EXPRESSION_BYTES)
        .dfa_size_limit(EXPRESSION_BYTES)
        .nest_limit(50)
        .build()
}

/// Whether words of this script have stems.
pub(super) fn has_stemmer(word: &str) -> bool {
    !algorithms(word).is_empty()
}

/// The letters of a word or joined form; `None` for tokens of unspaced scripts.
fn letters(token: &str) -> Option<&str> {
    match token.strip_prefix(JOINED) {
        Some(joined) => joined.rsplit_once(PAIR).map(|(letters, _)| letters),
        None if is_unspaced_token(token) => None,
        None => Some(token),
    }
}

/// Why an expression is refused, in one sentence: the engine draws a picture of it, which ends in the
/// reason.
fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

/// Whether `*` and `?` in a pattern can stand for something so that it reads like `text`. Takes at most
/// the product of both lengths in steps.
fn is_like(pattern: &[char], text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut in_pattern) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while at < text.len() {
        match pattern.get(in_pattern) {
            Some('*') => {
                star = Some((in_pattern, at));
                in_pattern += 1;
            }
            Some(c) if *c == '?' || *c == text[at] => {
                at += 1;
                in_pattern += 1;
            }
            _ => match &mut star {
                // The last star takes one more.
                Some((place, taken)) => {
                    *taken += 1;
                    (at, in_pattern) = (*taken, *place + 1);
                }
                None => return false,
            },
        }
    }
    pattern[in_pattern..].iter().all(|c| *c == '*')
}

/// Whether at most `edits` insertions, deletions, replacements or exchanges of neighbours make `text` of
/// `word`, none of them touching what another did (optimal string alignment).
fn is_within(word: &[char], text: &str, edits: usize) -> bool {
    let text: Vec<char> = text.chars().collect();
    if word.len().abs_diff(text.len()) > edits {
        return false;
    }
    let width = text.len() + 1;
    let mut before_last = vec![0; width];
    let mut last: Vec<usize> = (0..width).collect();
    for (n, c) in word.iter().enumerate() {
        let mut row = vec![n + 1; width];
        for (m, d) in text.iter().enumerate() {
            let replaced = last[m] + usize::from(c != d);
            row[m + 1] = replaced.min(last[m + 1] + 1).min(row[m] + 1);
            if n > 0 && m > 0 && *c == text[m - 1] && word[n - 1] == *d {
                row[m + 1] = row[m + 1].min(before_last[m - 1] + 1);
            }
        }
        if row.iter().min().is_some_and(|fewest| *fewest > edits) {
            return false;
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[width - 1] <= edits
}

/// Words of one stem begin with the same two letters, except in Arabic script.
fn stem_beginning(word: &str) -> String {
    match word.chars().next() {
        Some('\u{600}'..='\u{6ff}') => String::new(),
        _ => word.chars().take(2).collect(),
    }
}

/// The stems of a word in the languages of its script.
fn stems(word: &str) -> Vec<(Algorithm, String)> {
    algorithms(word).iter().map(|algorithm| (*algorithm, stem(*algorithm, word))).collect()
}

fn has_stem(letters: &str, wanted: &[(Algorithm, String)]) -> bool {
    wanted.iter().any(|(algorithm, wanted)| stem(*algorithm, letters) == *wanted)
}

fn stem(algorithm: Algorithm, word: &str) -> String {
    Stemmer::new(algorithm).stem(word).into_owned()
}

/// Stemmers for a script. Those that take off beginnings are left out, except for Arabic.
fn algorithms(word: &str) -> &'static [Algorithm] {
    use Algorithm as A;
    match word.chars().find(|c| c.is_alphabetic()) {
        Some('\u{370}'..='\u{3ff}' | '\u{1f00}'..='\u{1fff}') => &[A::Greek],
        Some('\u{400}'..='\u{52f}') => &[A::Russian],
        Some('\u{530}'..='\u{58f}') => &[A::Armenian],
        Some('\u{590}'..='\u{5ff}') => &[A::Yiddish],
        Some('\u{600}'..='\u{6ff}') => &[A::Arabic, A::Persian],
        Some('\u{900}'..='\u{97f}') => &[A::Hindi, A::Nepali],
        Some('\u{b80}'..='\u{bff}') => &[A::Tamil],
        Some(c) if u32::from(c) < 0x250 => &[
            A::Basque,
            A::Catalan,
            A::Czech,
            A::Danish,
            A::Dutch,
            A::English,
            A::Estonian,
            A::Finnish,
            A::French,
            A::German,
            A::Hungarian,
            A::Italian,
            A::Lithuanian,
            A::Norwegian,
            A::Polish,
            A::Portuguese,
            A::Romanian,
            A::Spanish,
            A::Swedish,
            A::Turkish,
        ],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{prop_assert_eq, proptest};

    #[test]
    fn lookups_stand_for_tokens() {
        let word = |text: &str| Lookup::Word(text.to_owned());
        let pair = |text: &str| Lookup::Pair(text.to_owned());
        let character = |text: &str| Lookup::Character(text.to_owned());
        let wild = |text: &str| Lookup::Wild(text.to_owned());
        let fuzzy = |text: &str, edits| Lookup::Fuzzy(text.to_owned(), edits);
        let stem = |text: &str| Lookup::Stem(text.to_owned());
        let regex = |text: &str| Lookup::Regex(text.to_owned());
        for (lookup, token, expected) in [
            (word("dont"), "dont", true),
            (word("dont"), "\u{1e}dont\u{1f}2", true),
            (word("dont"), "don", false),
            (word("a"), "東\u{1f}a", false),
            (pair("東\u{1f}京"), "東\u{1f}京", true),
            (pair("東\u{1f}京"), "東", false),
            (character("東"), "東", true),
            (character("東"), "東\u{1f}京", true),
            (character("京"), "東\u{1f}京", false),
            (character("👩"), "👩💻", false),
            (wild("ship*"), "ship", true),
            (wild("ship*"), "\u{1e}shipto\u{1f}2", true),
            (wild("*"), "東\u{1f}京", false),
            (wild("wom?n"), "women", true),
            (wild("wom?n"), "womn", false),
            (wild("*1"), "\u{1e}a2\u{1f}1", false),
            (fuzzy("colour", 1), "color", true),
            (fuzzy("colour", 1), "cluor", false),
            (fuzzy("form", 1), "from", true),
            (fuzzy("ca", 2), "abc", false),
            (fuzzy("東", 1), "京", false),
            (stem("apply"), "applied", true),
            (stem("apply"), "supplied", false),
            (stem("smlouva"), "smlouvy", true),
            (stem("договор"), "договора", true),
            (stem("apply"), "\u{1e}applied\u{1f}2", false),
            (regex("ship(ped|ment)"), "shipment", true),
            (regex("ship(ped|ment)"), "shipments", false),
            (regex("SHIP"), "ship", true),
            (regex("a|bc"), "bcd", false),
            (regex("."), "東", false),
            (Lookup::Numbers(100, 250), "100", true),
            (Lookup::Numbers(100, 250), "0250", true),
            (Lookup::Numbers(100, 250), "251", false),
            (Lookup::Numbers(100, 250), "100a", false),
            (Lookup::Numbers(0, u64::MAX), "99999999999999999999", false),
            (Lookup::Numbers(12_000, 13_000), "\u{1e}12500\u{1f}2", true),
        ] {
            assert_eq!(Matcher::new(&lookup).unwrap().matches(token), expected, "{lookup} {token}");
        }
    }

    #[test]
    fn every_match_begins_as_it_is_said() {
        for (lookup, expected) in [
            (Lookup::Wild("ship*t".to_owned()), "ship"),
            (Lookup::Wild("*ing".to_owned()), ""),
            (Lookup::Wild("a?b".to_owned()), "a"),
            (Lookup::Stem("apply".to_owned()), "ap"),
            (Lookup::Stem("كتاب".to_owned()), ""),
            (Lookup::Regex("abc".to_owned()), ""),
        ] {
            assert_eq!(Matcher::new(&lookup).unwrap().beginning(), expected, "{lookup}");
        }
    }

    /// Tries every split for every star.
    fn is_like_naively(pattern: &[char], text: &[char]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some(('*', rest)), _) => (0..=text.len()).any(|from| is_like_naively(rest, &text[from..])),
            (Some((c, pattern)), Some((d, text))) => (*c == '?' || c == d) && is_like_naively(pattern, text),
            _ => false,
        }
    }

    /// Tries every edit at every place; none touches what another did.
    fn distance(one: &[char], other: &[char]) -> usize {
        let (Some((c, after)), Some((d, after_other))) = (one.split_first(), other.split_first()) else {
            return one.len() + other.len();
        };
        let replaced = distance(after, after_other) + usize::from(c != d);
        let removed = distance(after, other).min(distance(one, after_other)) + 1;
        let exchanged = match (one, other) {
            ([a, b, one @ ..], [c, d, other @ ..]) if a == d && b == c => distance(one, other) + 1,
            _ => usize::MAX,
        };
        replaced.min(removed).min(exchanged)
    }

    proptest! {
        #[test]
        fn patterns_agree_with_trying_everything(pattern in "[ab*?]{0,6}", text in "[ab]{0,7}") {
            let (pattern, letters): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
            prop_assert_eq!(is_like(&pattern, &text), is_like_naively(&pattern, &letters));
        }

        #[test]
        fn edits_agree_with_trying_everything(word in "[abc]{0,5}", text in "[abc]{0,5}", edits in 0_usize..4) {
            let (word, letters): (Vec<char>, Vec<char>) = (word.chars().collect(), text.chars().collect());
            prop_assert_eq!(is_within(&word, &text, edits), distance(&word, &letters) <= edits);
        }

        #[test]
        fn numbers_agree_with_their_values(number in 0_u64..400, zeros in 0_usize..3, from in 0_u64..400, to in 0_u64..400) {
            let matcher = Matcher::new(&Lookup::Numbers(from, to)).unwrap();
            let token = format!("{}{number}", "0".repeat(zeros));
            prop_assert_eq!(matcher.matches(&token), from <= number && number <= to);
        }
    }
}
