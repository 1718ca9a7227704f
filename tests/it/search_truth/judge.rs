//! The definition of what a search finds, computed by brute force over the tokens of each document.
//!
//! It shares nothing with the index but the tokenizer. Where a faster way would do, the one that reads
//! like the definition was taken.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};

use teamchat_archive::query::{Token, tokens};

use super::document::{Document, Part};
use super::sought::{Expression, Piece, Sought, Wording};

/// Between the two characters of a pair, and after the letters of a joined form.
const PAIR: char = '\u{1f}';
/// Before the letters of a joined form.
const JOINED: char = '\u{1e}';
const DAY: i64 = 86_400_000_000;

/// A stretch of positions: the first, and the one past the last.
pub(super) type Span = (u32, u32);

/// Whether a document, as it stood at a moment, is among those looked for.
pub(super) fn finds(sought: &Sought, document: &Document, at: i64) -> bool {
    finds_within(sought, document, at, &Part::ALL)
}

fn finds_within(sought: &Sought, document: &Document, at: i64, parts: &[Part]) -> bool {
    let on_day = document.ts.div_euclid(DAY);
    match sought {
        Sought::Wording(wording) => parts.iter().any(|part| !spans(wording, &document.text(*part).tokens).is_empty()),
        Sought::And(all) => all.iter().all(|one| finds_within(one, document, at, parts)),
        Sought::Or(all) => all.iter().any(|one| finds_within(one, document, at, parts)),
        Sought::Not(inner) => !finds_within(inner, document, at, parts),
        Sought::Within(part, inner) => finds_within(inner, document, at, &[*part]),
        Sought::From(id) => document.author.eq_ignore_ascii_case(id),
        Sought::In(id) => document.channels.contains(id),
        Sought::BeforeDay(day) => on_day < *day,
        Sought::AfterDay(day) => on_day > *day,
        Sought::OnDay(day) => on_day == *day,
        Sought::Kind(kind) => document.kind == *kind,
        Sought::Property(property) => document.has(*property, at),
        Sought::Extension(extension) => document.extension == *extension,
        Sought::SizeFrom(bytes) => document.size >= *bytes,
    }
}

/// Every span of a wording in one text.
pub(super) fn spans(wording: &Wording, text: &[Token]) -> BTreeSet<Span> {
    match wording {
        Wording::Word(typed) => in_sequence(&cut(typed), text),
        Wording::Phrase(pieces) => in_sequence(&cut_all(pieces), text),
        Wording::Pattern(pattern) => in_sequence(&cut_pattern(pattern), text),
        Wording::Fuzzy(typed, edits) => {
            let spellings = [folded(typed), spelled_out(typed)];
            with_letters(text, &|letters| spellings.iter().any(|word| is_within(word, letters, *edits)))
        }
        Wording::Matching(expression) => with_letters(text, &|letters| describes(expression, letters)),
        Wording::Numbers(from, to) => with_letters(text, &|letters| {
            letters.bytes().all(|byte| byte.is_ascii_digit())
                && letters.parse().is_ok_and(|number: u64| (*from..=*to).contains(&number))
        }),
        Wording::Window(pieces, slop) => in_any_order(&cut_all(pieces), *slop, text),
        Wording::Near(left, distance, right) => {
            let (left, right) = (spans(left, text), spans(right, text));
            let is_near = |x: Span, y: Span| apart(x, y).is_some_and(|apart| apart <= *distance);
            hulls(&left, &right, &is_near)
        }
        Wording::Before(left, distance, right) => {
            let (left, right) = (spans(left, text), spans(right, text));
            let is_near = |x: Span, y: Span| x.1 <= y.0 && apart(x, y).is_some_and(|apart| apart <= *distance);
            hulls(&left, &right, &is_near)
        }
        Wording::NotNear(left, distance, right) => {
            let right = spans(right, text);
            let is_disturbed = |x: Span| right.iter().any(|y| apart(x, *y).is_none_or(|apart| apart <= *distance));
            spans(left, text).into_iter().filter(|x| !is_disturbed(*x)).collect()
        }
        Wording::Either(all) => all.iter().flat_map(|one| spans(one, text)).collect(),
    }
}

/// How far two spans are from each other: 1 for neighbours, `None` when they overlap.
fn apart(x: Span, y: Span) -> Option<u32> {
    if x.1 <= y.0 {
        Some(y.0 - x.1 + 1)
    } else if y.1 <= x.0 {
        Some(x.0 - y.1 + 1)
    } else {
        None
    }
}

fn hulls(left: &BTreeSet<Span>, right: &BTreeSet<Span>, is_near: &dyn Fn(Span, Span) -> bool) -> BTreeSet<Span> {
    let mut out = BTreeSet::new();
    for x in left {
        for y in right {
            if is_near(*x, *y) {
                out.insert((x.0.min(y.0), x.1.max(y.1)));
            }
        }
    }
    out
}

/// A piece of what was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Sound {
    /// A word, with its variants.
    Word(Vec<String>),
    /// Words that are linked, and their letters in one.
    Linked(Vec<Vec<String>>, String),
    /// The pairs of a run of an unspaced script.
    Run(Vec<String>),
    /// A run of one character.
    Character(String),
    /// With `*` and `?`, folded; and as it is spelled without umlauts.
    Pattern([String; 2]),
}

fn cut_all(pieces: &[Piece]) -> Vec<Sound> {
    pieces
        .iter()
        .flat_map(|piece| match piece {
            Piece::Typed(typed) => cut(typed),
            Piece::Pattern(pattern) => cut_pattern(pattern),
        })
        .collect()
}

thread_local! {
    /// What was cut already: a query is held against hundreds of texts.
    static CUT: RefCell<HashMap<String, Vec<Sound>>> = RefCell::default();
    static FOLDED: RefCell<HashMap<String, String>> = RefCell::default();
}

/// The pieces of a text without patterns.
fn cut(typed: &str) -> Vec<Sound> {
    CUT.with_borrow_mut(|known| known.entry(typed.to_owned()).or_insert_with(|| cut_anew(typed)).clone())
}

fn cut_anew(typed: &str) -> Vec<Sound> {
    let all = tokens(typed);
    let positions = all.iter().map(|token| token.position).max().map_or(0, |last| last + 1);
    let at = |position: u32| all.iter().filter(move |token| token.position == position);
    let words = |position: u32| -> Vec<String> {
        at(position).filter(|token| !token.text.starts_with(JOINED)).map(|token| token.text.clone()).collect()
    };
    let mut out = Vec::new();
    let mut position = 0;
    while position < positions {
        // A number's form without its last group stands for a part of what is linked only.
        let joined = at(position).filter(|token| token.text.starts_with(JOINED)).max_by_key(|token| token.length);
        if let Some(joined) = joined {
            let linked = (position..position + joined.length).map(words).collect();
            out.push(Sound::Linked(linked, letters(joined).unwrap().to_owned()));
            position += joined.length;
            continue;
        }
        let first = words(position);
        if first[0].contains(PAIR) {
            let pairs: Vec<String> =
                (position..positions).map(|n| words(n)[0].clone()).take_while(|text| text.contains(PAIR)).collect();
            // The last character of the run stands alone at the position after its last pair.
            position += u32::try_from(pairs.len()).unwrap() + 1;
            out.push(Sound::Run(pairs));
            continue;
        }
        position += 1;
        out.push(if is_unspaced(&first[0]) { Sound::Character(first[0].clone()) } else { Sound::Word(first) });
    }
    out
}

/// Whether a word begins like a run of a script that is written without spaces. The blocks are those
/// of the random documents and some more.
fn is_unspaced(text: &str) -> bool {
    text.chars().next().is_some_and(|c| {
        matches!(c, '\u{e00}'..='\u{fff}' | '\u{1000}'..='\u{109f}' | '\u{1100}'..='\u{11ff}' | '\u{1780}'..='\u{17ff}'
            | '\u{1b00}'..='\u{1b7f}' | '\u{2600}'..='\u{27bf}' | '\u{3040}'..='\u{9fff}' | '\u{a000}'..='\u{a4cf}'
            | '\u{a980}'..='\u{a9df}' | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}' | '\u{1f000}'..='\u{1faff}'
            | '\u{20000}'..='\u{3ffff}')
    })
}

fn cut_pattern(pattern: &str) -> Vec<Sound> {
    if pattern.chars().any(|c| is_unspaced(&c.to_string())) {
        // Such a run is found inside longer ones anyway.
        return cut(pattern.trim_matches('*'));
    }
    let mut out = [String::new(), String::new()];
    for piece in pattern.split_inclusive(['*', '?']) {
        let literal = piece.trim_end_matches(['*', '?']);
        for (out, letters) in out.iter_mut().zip([folded(literal), spelled_out(literal)]) {
            out.push_str(&letters);
            out.push_str(&piece[literal.len()..]);
        }
    }
    vec![Sound::Pattern(out)]
}

/// A word as its variant stands among the tokens, or as it is folded when it has none.
fn spelled_out(word: &str) -> String {
    let found = tokens(word);
    let variant = found.get(1).filter(|token| token.position == 0 && !token.text.starts_with(JOINED));
    variant.or(found.first()).map(|token| token.text.clone()).unwrap_or_default()
}

/// A word as it stands among the tokens.
fn folded(word: &str) -> String {
    let fold = || tokens(word).into_iter().next().map(|token| token.text).unwrap_or_default();
    FOLDED.with_borrow_mut(|known| known.entry(word.to_owned()).or_insert_with(fold).clone())
}

/// The letters of a word or of a joined form; `None` of a pair or a lone character of an unspaced script.
fn letters(token: &Token) -> Option<&str> {
    match token.text.strip_prefix(JOINED) {
        Some(joined) => joined.split(PAIR).next(),
        None if token.text.contains(PAIR) || is_unspaced(&token.text) => None,
        None => Some(&token.text),
    }
}

fn span(token: &Token) -> Span {
    (token.position, token.position + token.length)
}

fn with_letters(text: &[Token], is_meant: &dyn Fn(&str) -> bool) -> BTreeSet<Span> {
    text.iter().filter(|token| letters(token).is_some_and(is_meant)).map(span).collect()
}

/// The spans of one piece.
fn sounding(sound: &Sound, text: &[Token]) -> BTreeSet<Span> {
    match sound {
        Sound::Word(variants) => with_letters(text, &|letters| variants.iter().any(|variant| variant == letters)),
        Sound::Linked(words, joined) => {
            let words: Vec<Sound> = words.iter().cloned().map(Sound::Word).collect();
            let mut out = in_sequence(&words, text);
            out.extend(with_letters(text, &|letters| letters == joined));
            out
        }
        Sound::Run(pairs) => {
            let stands =
                |pair: &str, position: u32| text.iter().any(|token| token.position == position && token.text == pair);
            let starts = text.iter().filter(|token| token.text == pairs[0]).map(|token| token.position);
            starts
                .filter(|start| (*start..).zip(pairs).all(|(position, pair)| stands(pair, position)))
                .map(|start| (start, start + u32::try_from(pairs.len()).unwrap() + 1))
                .collect()
        }
        Sound::Character(character) => {
            let begins = format!("{character}{PAIR}");
            let is_meant = |token: &&Token| token.text == *character || token.text.starts_with(&begins);
            text.iter().filter(is_meant).map(|token| (token.position, token.position + 1)).collect()
        }
        Sound::Pattern(spellings) => {
            let patterns = spellings.each_ref().map(|pattern| pattern.chars().collect::<Vec<char>>());
            with_letters(text, &|letters| {
                let letters: Vec<char> = letters.chars().collect();
                patterns.iter().any(|pattern| fits(pattern, &letters))
            })
        }
    }
}

/// Pieces of which each begins where the one before ends; of no pieces there are no spans.
fn in_sequence(sounds: &[Sound], text: &[Token]) -> BTreeSet<Span> {
    let Some((first, rest)) = sounds.split_first() else { return BTreeSet::new() };
    let firsts = sounding(first, text);
    if rest.is_empty() || firsts.is_empty() {
        return firsts;
    }
    let rests = in_sequence(rest, text);
    let follows = |x: Span, y: Span| x.1 == y.0;
    hulls(&firsts, &rests, &follows)
}

/// Pieces in any order that do not overlap, in stretches with at most `slop` positions of none.
fn in_any_order(sounds: &[Sound], slop: u32, text: &[Token]) -> BTreeSet<Span> {
    if sounds.is_empty() {
        return BTreeSet::new();
    }
    let mut choices: Vec<Vec<Span>> = vec![Vec::new()];
    for sound in sounds {
        let mut longer = Vec::new();
        for one in sounding(sound, text) {
            for choice in &choices {
                if choice.iter().all(|other| apart(*other, one).is_some()) {
                    longer.push([choice.as_slice(), &[one]].concat());
                }
            }
        }
        choices = longer;
    }
    let mut out = BTreeSet::new();
    for choice in choices {
        let hull = (choice.iter().map(|one| one.0).min().unwrap(), choice.iter().map(|one| one.1).max().unwrap());
        let used: u32 = choice.iter().map(|one| one.1 - one.0).sum();
        if hull.1 - hull.0 - used <= slop {
            out.insert(hull);
        }
    }
    out
}

/// Whether a pattern describes the whole of some letters.
pub(super) fn fits(pattern: &[char], letters: &[char]) -> bool {
    match pattern.split_first() {
        None => letters.is_empty(),
        Some(('*', rest)) => (0..=letters.len()).any(|skipped| fits(rest, &letters[skipped..])),
        Some(('?', rest)) => !letters.is_empty() && fits(rest, &letters[1..]),
        Some((letter, rest)) => letters.first() == Some(letter) && fits(rest, &letters[1..]),
    }
}

/// Whether an expression describes the whole of some letters.
fn describes(expression: &Expression, letters: &str) -> bool {
    let letters: Vec<char> = letters.chars().collect();
    ends(expression, &letters, 0).contains(&letters.len())
}

/// Where what an expression describes can end, when it begins at `at`.
fn ends(expression: &Expression, letters: &[char], at: usize) -> BTreeSet<usize> {
    let one = |is_meant: bool| if is_meant { BTreeSet::from([at + 1]) } else { BTreeSet::new() };
    let is_same = |letter: &char, found: &char| letter.to_lowercase().eq(found.to_lowercase());
    match expression {
        Expression::Letter(letter) => one(letters.get(at).is_some_and(|found| is_same(letter, found))),
        Expression::Any => one(at < letters.len()),
        Expression::OneOf(all) => {
            one(letters.get(at).is_some_and(|found| all.iter().any(|letter| is_same(letter, found))))
        }
        Expression::Sequence(parts) => parts.iter().fold(BTreeSet::from([at]), |starts, part| {
            starts.into_iter().flat_map(|start| ends(part, letters, start)).collect()
        }),
        Expression::Either(parts) => parts.iter().flat_map(|part| ends(part, letters, at)).collect(),
        Expression::Maybe(inner) => {
            let mut out = ends(inner, letters, at);
            out.insert(at);
            out
        }
        Expression::Repeated(inner, times) => {
            // Once per letter and once more is as often as a repetition can add something new.
            let mut out = BTreeSet::new();
            let mut starts = BTreeSet::from([at]);
            for round in 0..=letters.len() + times {
                if round >= *times {
                    out.extend(&starts);
                }
                starts = starts.into_iter().flat_map(|start| ends(inner, letters, start)).collect();
            }
            out
        }
    }
}

/// Whether at most `edits` insertions, deletions, replacements and transpositions of neighbours make
/// one word of the other, none of them touching what another did: tried one after the other.
pub(super) fn is_within(from: &str, to: &str, edits: usize) -> bool {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    are_within(&from, &to, edits)
}

fn are_within(from: &[char], to: &[char], edits: usize) -> bool {
    let ([a, from_rest @ ..], [b, to_rest @ ..]) = (from, to) else { return from.len().max(to.len()) <= edits };
    if a == b && are_within(from_rest, to_rest, edits) {
        return true;
    }
    let Some(fewer) = edits.checked_sub(1) else { return false };
    are_within(from_rest, to_rest, fewer)
        || are_within(from_rest, to, fewer)
        || are_within(from, to_rest, fewer)
        || matches!((from, to), ([a, b, from @ ..], [c, d, to @ ..]) if a == d && b == c && are_within(from, to, fewer))
}
