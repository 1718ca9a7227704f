//! One tokenizer for every script: what it makes of a text does not depend on the words around.
//!
//! Letters, marks and digits between separators are one word, folded: compatibility forms, case,
//! accents and vowel points gone. Scripts that are written without spaces become overlapping pairs
//! of characters, one token a position, so that any substring is a phrase. Nothing is left out:
//! no stop words, no stemming, no length limit that drops a word.

use icu_casemap::CaseMapper;
use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};
use icu_properties::props::{GeneralCategory, Script};
use icu_properties::{CodePointMapData, CodePointMapDataBorrowed};
use tantivy::tokenizer::{Token as EngineToken, TokenStream, Tokenizer};

/// Changes whenever the same text would give other tokens: an index of another version is rebuilt.
pub(super) const FOLD_VERSION: u32 = 1;

/// Between the two characters of a pair.
const PAIR: char = '\u{1f}';
/// Longer words are cut into pieces at consecutive positions; none is dropped.
const LONGEST: usize = 256;

/// A token: what is indexed, and the bytes of the text it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The folded text.
    pub text: String,
    /// First byte in the text.
    pub start: usize,
    /// Past the last byte.
    pub end: usize,
    /// The last character of a run of an unspaced script, alone: in a text it stands at the end
    /// of the run; in a query it stands for any pair that begins with it.
    pub is_run_end: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Separator,
    Word,
    Unspaced,
    /// Continues whatever it stands in: marks and invisible format characters.
    Joiner,
}

fn categories() -> CodePointMapDataBorrowed<'static, GeneralCategory> {
    CodePointMapData::<GeneralCategory>::new()
}

fn scripts() -> CodePointMapDataBorrowed<'static, Script> {
    CodePointMapData::<Script>::new()
}

fn is_unspaced(c: char) -> bool {
    if c.is_ascii() {
        return false;
    }
    let script = scripts().get(c);
    matches!(
        script,
        Script::Han
            | Script::Hiragana
            | Script::Katakana
            | Script::Bopomofo
            | Script::Hangul
            | Script::Thai
            | Script::Lao
            | Script::Khmer
            | Script::Myanmar
            | Script::Tibetan
            | Script::Javanese
            | Script::Balinese
            | Script::Yi
    ) || matches!(c, '\u{30fc}' | '\u{ff70}' | '\u{ff9e}' | '\u{ff9f}')
}

fn classify(c: char) -> Class {
    if c.is_ascii() {
        return if c.is_ascii_alphanumeric() { Class::Word } else { Class::Separator };
    }
    let category = categories().get(c);
    match category {
        GeneralCategory::NonspacingMark
        | GeneralCategory::SpacingMark
        | GeneralCategory::EnclosingMark
        | GeneralCategory::Format => Class::Joiner,
        // Tatweel stretches a word and is no letter of it.
        _ if c == '\u{640}' => Class::Joiner,
        GeneralCategory::UppercaseLetter
        | GeneralCategory::LowercaseLetter
        | GeneralCategory::TitlecaseLetter
        | GeneralCategory::ModifierLetter
        | GeneralCategory::OtherLetter
        | GeneralCategory::DecimalNumber
        | GeneralCategory::LetterNumber
        | GeneralCategory::OtherNumber => {
            if is_unspaced(c) {
                Class::Unspaced
            } else {
                Class::Word
            }
        }
        GeneralCategory::OtherSymbol => Class::Unspaced,
        _ => Class::Separator,
    }
}

/// Continues the character before it in an unspaced run.
fn extends_cluster(c: char) -> bool {
    matches!(c, '\u{e33}' | '\u{eb3}' | '\u{ff9e}' | '\u{ff9f}' | '\u{1160}'..='\u{11ff}' | '\u{1f3fb}'..='\u{1f3ff}')
        || classify(c) == Class::Joiner
}

/// The tokens of a text, in order; each stands at the position of its index.
pub fn tokens(text: &str) -> Vec<Token> {
    let mut out = Vec::new();
    let mut run: Option<(Class, usize)> = None;
    for (at, c) in text.char_indices() {
        let class = classify(c);
        match (run, class) {
            (Some(_), Class::Joiner) => {}
            (Some((kind, _)), class) if kind == class => {}
            (Some((kind, start)), class) => {
                emit(text, kind, start, at, &mut out);
                run = begin(class, at);
            }
            (None, class) => run = begin(class, at),
        }
    }
    if let Some((kind, start)) = run {
        emit(text, kind, start, text.len(), &mut out);
    }
    out
}

fn begin(class: Class, at: usize) -> Option<(Class, usize)> {
    matches!(class, Class::Word | Class::Unspaced).then_some((class, at))
}

fn emit(text: &str, kind: Class, start: usize, end: usize, out: &mut Vec<Token>) {
    if kind == Class::Unspaced {
        emit_unspaced(text, start, end, out);
    } else {
        emit_word(text, start, end, out);
    }
}

fn emit_word(text: &str, start: usize, end: usize, out: &mut Vec<Token>) {
    let raw = &text[start..end];
    if raw.is_ascii() {
        push_pieces(raw.to_ascii_lowercase(), start, end, out);
        return;
    }
    let folded = fold_word(raw);
    // Compatibility forms such as ½ become several words, all from the same place.
    let mut word = String::new();
    for c in folded.chars() {
        match classify(c) {
            Class::Separator => push_pieces(std::mem::take(&mut word), start, end, out),
            Class::Unspaced => {
                push_pieces(std::mem::take(&mut word), start, end, out);
                out.push(Token { text: c.to_string(), start, end, is_run_end: true });
            }
            Class::Word | Class::Joiner => word.push(c),
        }
    }
    push_pieces(word, start, end, out);
}

fn push_pieces(word: String, start: usize, end: usize, out: &mut Vec<Token>) {
    if word.is_empty() {
        return;
    }
    if word.len() <= LONGEST {
        out.push(Token { text: word, start, end, is_run_end: false });
        return;
    }
    let mut rest = word.as_str();
    while !rest.is_empty() {
        let cut = rest
            .char_indices()
            .map(|(at, c)| at + c.len_utf8())
            .take_while(|&to| to <= LONGEST)
            .last()
            .unwrap_or(rest.len());
        out.push(Token { text: rest[..cut].to_owned(), start, end, is_run_end: false });
        rest = &rest[cut..];
    }
}

fn fold_word(raw: &str) -> String {
    let nfkc = ComposingNormalizerBorrowed::new_nfkc();
    let folded = CaseMapper::new().fold_string(&nfkc.normalize(raw)).into_owned();
    let decomposed = DecomposingNormalizerBorrowed::new_nfd().normalize(&nfkc.normalize(&folded)).into_owned();
    let kept: String = decomposed.chars().filter(|c| !is_dropped(*c)).collect();
    let mut mapped = String::with_capacity(kept.len());
    for c in kept.chars() {
        match c {
            'ø' => mapped.push('o'),
            'đ' | 'ð' => mapped.push('d'),
            'ł' => mapped.push('l'),
            'ħ' => mapped.push('h'),
            'ı' => mapped.push('i'),
            'æ' => mapped.push_str("ae"),
            'œ' => mapped.push_str("oe"),
            'ς' => mapped.push('σ'),
            'ة' => mapped.push('ه'),
            'ى' | 'ی' => mapped.push('ي'),
            'ک' => mapped.push('ك'),
            // Alef with whatever sits on it has lost that above; wasla is a letter of its own.
            'ٱ' => mapped.push('ا'),
            '٠'..='٩' => mapped.push(digit(c, '٠')),
            '۰'..='۹' => mapped.push(digit(c, '۰')),
            other => mapped.push(other),
        }
    }
    ComposingNormalizerBorrowed::new_nfc().normalize(&mapped).into_owned()
}

fn digit(c: char, zero: char) -> char {
    char::from_digit(u32::from(c) - u32::from(zero), 10).unwrap_or(c)
}

/// Accents, vowel points, and what cannot be seen. Vowel signs of Indic and other scripts belong
/// to the word and stay.
fn is_dropped(c: char) -> bool {
    if c.is_ascii() {
        return false;
    }
    match categories().get(c) {
        GeneralCategory::Format => true,
        GeneralCategory::NonspacingMark | GeneralCategory::EnclosingMark => {
            let script = scripts().get(c);
            let is_vowel_point = matches!(c, '\u{591}'..='\u{5c7}' | '\u{610}'..='\u{61a}' | '\u{64b}'..='\u{65f}' | '\u{670}' | '\u{6d6}'..='\u{6ed}');
            (script == Script::Inherited && !matches!(c, '\u{3099}' | '\u{309a}')) || is_vowel_point
        }
        _ => c == '\u{640}',
    }
}

fn emit_unspaced(text: &str, start: usize, end: usize, out: &mut Vec<Token>) {
    let mut clusters: Vec<(String, usize, usize)> = Vec::new();
    let mut from = start;
    for (at, c) in text[start..end].char_indices().map(|(at, c)| (start + at, c)) {
        if at > from && !extends_cluster(c) {
            push_cluster(text, from, at, &mut clusters);
            from = at;
        }
    }
    push_cluster(text, from, end, &mut clusters);
    for (n, (cluster, from, to)) in clusters.iter().enumerate() {
        match clusters.get(n + 1) {
            Some((next, _, next_to)) => {
                out.push(Token {
                    text: format!("{cluster}{PAIR}{next}"),
                    start: *from,
                    end: *next_to,
                    is_run_end: false,
                });
            }
            None => out.push(Token { text: cluster.clone(), start: *from, end: *to, is_run_end: true }),
        }
    }
}

fn push_cluster(text: &str, from: usize, to: usize, clusters: &mut Vec<(String, usize, usize)>) {
    let nfkc = ComposingNormalizerBorrowed::new_nfkc();
    let folded = CaseMapper::new().fold_string(&nfkc.normalize(&text[from..to])).into_owned();
    let clean: String = nfkc
        .normalize(&folded)
        .chars()
        .filter(|c| categories().get(*c) != GeneralCategory::Format && !matches!(c, '\u{fe00}'..='\u{fe0f}'))
        .collect();
    // A compatibility form may stand for several characters: ㌔ is two.
    let mut piece = String::new();
    for c in clean.chars() {
        if !piece.is_empty() && !extends_cluster(c) {
            clusters.push((std::mem::take(&mut piece), from, to));
        }
        piece.push(c);
    }
    if !piece.is_empty() {
        clusters.push((piece, from, to));
    }
}

/// [`tokens`] for tantivy.
#[derive(Clone, Default)]
pub(super) struct Fold;

pub(super) struct FoldStream {
    tokens: std::vec::IntoIter<Token>,
    current: EngineToken,
    position: usize,
}

impl Tokenizer for Fold {
    type TokenStream<'a> = FoldStream;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> FoldStream {
        FoldStream { tokens: tokens(text).into_iter(), current: EngineToken::default(), position: 0 }
    }
}

impl TokenStream for FoldStream {
    fn advance(&mut self) -> bool {
        let Some(token) = self.tokens.next() else { return false };
        self.current = EngineToken {
            offset_from: token.start,
            offset_to: token.end,
            position: self.position,
            text: token.text,
            position_length: 1,
        };
        self.position += 1;
        true
    }

    fn token(&self) -> &EngineToken {
        &self.current
    }

    fn token_mut(&mut self) -> &mut EngineToken {
        &mut self.current
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether `query` is found in `text` as a run of words, by the rules that the index follows.
    fn finds(text: &str, query: &str) -> bool {
        let (text, query) = (tokens(text), tokens(query));
        let last = query.len() - 1;
        (0..text.len()).any(|at| {
            query.iter().enumerate().all(|(n, token)| match text.get(at + n) {
                None => token.is_run_end && n > 0 && n == last,
                Some(found) if token.is_run_end && n == last => {
                    n > 0 && !query[n - 1].is_run_end && query[n - 1].text.contains(PAIR)
                        || found.text == token.text
                        || found.text.starts_with(&format!("{}{PAIR}", token.text))
                }
                Some(found) => found.text == token.text,
            })
        })
    }

    #[test]
    fn words_are_found_in_every_script() {
        for (text, query) in [
            ("Příliš žluťoučký kůň", "prilis ZLUTOUCKY kun"),
            ("Pr\u{30c}i\u{301}lis\u{30c}", "Příliš"),
            ("Straße", "STRASSE"),
            ("İstanbul ve ışık", "istanbul"),
            ("ışık", "isik"),
            ("Łódź", "lodz"),
            ("Việt Nam", "viet nam"),
            ("مُحَمَّد", "محمد"),
            ("مـــحمد", "محمد"),
            ("أحمد", "احمد"),
            ("می\u{200c}خواهم", "میخواهم"),
            ("שָׁלוֹם", "שלום"),
            ("Οδυσσεύς", "ΟΔΥΣΣΕΥΣ"),
            ("Привет, Мир", "привет мир"),
            ("東京都に行く", "京都"),
            ("南京市长江大桥", "市长"),
            ("研究生命起源", "生命"),
            ("ｶﾞﾗｽ", "ガラス"),
            ("ตากลมโต", "กลม"),
            ("계약서를 보냈다", "계약서"),
            ("हिन्दी भाषा", "हिन्दी"),
            ("see https://example.com/Q3-report_final.pdf", "report"),
            ("john.doe@acme.cz", "acme"),
            ("ﬁnal oﬃce", "final office"),
            ("ＡＢＣ１２３", "abc123"),
            ("well done 👍🏽👏", "👍"),
            ("soft\u{ad}hyphen zero\u{200b}width", "softhyphen zerowidth"),
            ("2026年3月", "年3月"),
            ("١٢٣", "123"),
            ("京", "京"),
        ] {
            assert!(finds(text, query), "`{query}` in `{text}`: {:?} {:?}", tokens(text), tokens(query));
        }
    }

    #[test]
    fn other_words_are_not() {
        for (text, query) in [("हिन्दी", "हन"), ("กิน", "ก"), ("東京", "京東"), ("report", "repor")]
        {
            assert!(!finds(text, query), "`{query}` in `{text}`");
        }
    }

    #[test]
    fn a_long_word_is_cut_and_not_dropped() {
        let word = "x".repeat(1000);
        let found = tokens(&word);
        assert_eq!(found.len(), 4);
        assert_eq!(found.iter().map(|token| token.text.len()).sum::<usize>(), 1000);
    }

    #[test]
    fn offsets_point_into_the_text() {
        let text = "Ahoj, světe 東京!";
        for token in tokens(text) {
            assert!(text.is_char_boundary(token.start) && text.is_char_boundary(token.end) && token.start < token.end);
        }
        assert_eq!(&text[tokens(text)[1].start..tokens(text)[1].end], "světe");
    }
}
