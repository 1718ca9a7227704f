//! One tokenizer for every script: what it makes of a text does not depend on the words around.
//!
//! Letters, marks and digits between separators are one word, folded: compatibility forms, case,
//! accents and vowel points gone. Scripts that are written without spaces become overlapping pairs
//! of characters, one token a position, so that any substring is a phrase. Nothing is left out:
//! no stop words, no stemming, no length limit that drops a word. The rules are those of
//! `docs/SEARCH.md`; no token reaches over a line's end.

use std::ops::Range;

use icu_casemap::CaseMapper;
use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};
use icu_properties::CodePointMapData;
use icu_properties::props::{GeneralCategory, Script};

/// Changes whenever the same text would give other tokens: an index of another version is rebuilt.
pub const FOLD_VERSION: u32 = 2;
/// Begins a joined form. Typed, it is a separator like any control character.
pub const JOINED: char = '\u{1e}';
/// Between the two characters of a pair, and before the number of words that a joined form covers.
/// Typed, it is a separator like any control character.
pub const PAIR: char = '\u{1f}';
/// Between two parts of one text.
pub const PART_BREAK: char = '\u{1d}';
/// How many positions stay empty between two parts: more than the furthest that a proximity reaches.
pub const PART_GAP: u32 = 1000;

/// Longer words are cut into pieces at consecutive positions; none is dropped.
const LONGEST: usize = 256;
/// Most words of a joined form. Longer runs of linked words have none.
const MOST_JOINED: usize = 8;
/// What links two words when it stands alone between them.
const LINKS: [char; 9] = ['\'', '’', '-', '_', '.', ',', '/', '\u{a0}', '\u{202f}'];

const ZERO_WIDTH_JOINER: char = '\u{200d}';

/// A token: what is indexed, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The folded text.
    pub text: String,
    /// Where it stands among the words of the text.
    pub position: u32,
    /// How many positions it covers: of a joined form its words, otherwise 1.
    pub length: u32,
    /// First byte in the text.
    pub start: usize,
    /// Past the last byte; of a pair, past its second character.
    pub end: usize,
}

/// Takes a token's text, position, length in positions and bytes.
pub(super) type Each<'a> = dyn FnMut(&str, u32, u32, Range<usize>) + 'a;

/// The tokens of a text by position; at one position the plain token first, then its variant, then
/// joined forms.
pub fn tokens(text: &str) -> Vec<Token> {
    tokens_to_end(text).0
}

/// [`tokens`], and how many positions the text takes up, part breaks included: the first of the line
/// that follows.
pub fn tokens_to_end(text: &str) -> (Vec<Token>, u32) {
    let mut found = Vec::new();
    let end = for_each_token(text, &mut |text, position, length, bytes| {
        found.push(Token { text: text.to_owned(), position, length, start: bytes.start, end: bytes.end });
    });
    (found, end)
}

/// Gives `each` every token in the order of [`tokens`]; answers with the number of positions that the
/// text takes up.
pub fn for_each_token(text: &str, each: &mut Each<'_>) -> u32 {
    let mut walk = Walk::new(text, each);
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        if byte.is_ascii_alphanumeric() {
            let end = at + bytes[at..].iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
            // An accent may follow, and then the last letter is not what it seems.
            if bytes.get(end).is_none_or(u8::is_ascii) {
                walk.ascii_word(at..end);
                at = end;
                continue;
            }
        } else if byte.is_ascii() {
            if char::from(*byte) == PART_BREAK {
                walk.break_part();
            }
            at += 1;
            continue;
        }
        let (class, length) = run(&text[at..]);
        match class {
            Class::Word => walk.word(at..at + length),
            Class::Unspaced => walk.unspaced(at..at + length),
            Class::Separator | Class::Joiner => {}
        }
        at += length;
    }
    walk.close();
    walk.position
}

/// Whether a token, as it is indexed, is a pair or a lone character of an unspaced script.
pub(super) fn is_unspaced_token(token: &str) -> bool {
    token.chars().next().is_some_and(|c| classify(c) == Class::Unspaced)
}

/// What a character is to the tokenizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Stands between tokens.
    Separator,
    /// A letter or digit of a script with words.
    Word,
    /// A character of a script that is written without spaces.
    Unspaced,
    /// Continues whatever it stands in: marks and invisible format characters.
    Joiner,
}

fn category(c: char) -> GeneralCategory {
    CodePointMapData::<GeneralCategory>::new().get(c)
}

fn script(c: char) -> Script {
    CodePointMapData::<Script>::new().get(c)
}

pub(super) fn classify(c: char) -> Class {
    match c {
        '0'..='9' | 'a'..='z' | 'A'..='Z' => return Class::Word,
        '\0'..='\u{7f}' | '\u{d7}' | '\u{f7}' => return Class::Separator,
        // The scripts of most texts need no look-up: Latin, Cyrillic, kana, Han, Hangul.
        '\u{c0}'..='\u{24f}' | '\u{400}'..='\u{481}' | '\u{48a}'..='\u{52f}' => return Class::Word,
        _ if is_plain_unspaced(c) => return Class::Unspaced,
        // Tatweel stretches a word, a skin tone colours a symbol; neither is a character of it.
        '\u{640}' | '\u{1f3fb}'..='\u{1f3ff}' => return Class::Joiner,
        _ => {}
    }
    match category(c) {
        GeneralCategory::NonspacingMark
        | GeneralCategory::SpacingMark
        | GeneralCategory::EnclosingMark
        | GeneralCategory::Format => Class::Joiner,
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

fn is_unspaced(c: char) -> bool {
    matches!(
        script(c),
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

/// Characters of unspaced scripts that folding leaves as they are: kana, Han, Hangul syllables.
fn is_plain_unspaced(c: char) -> bool {
    matches!(c, '\u{3041}'..='\u{3096}' | '\u{30a1}'..='\u{30fa}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}')
}

/// ½ and its like hold a separator: 3½ is 3 and ½, and not 31 and 2.
fn is_fraction(c: char) -> bool {
    matches!(c, '\u{bc}'..='\u{be}' | '\u{2150}'..='\u{215f}' | '\u{2189}')
}

/// The class of the first character, and the bytes of it and of what continues it. `text` is not empty.
fn run(text: &str) -> (Class, usize) {
    let mut characters = text.char_indices();
    let Some((_, first)) = characters.next() else { return (Class::Separator, 0) };
    let class = classify(first);
    if matches!(class, Class::Separator | Class::Joiner) {
        return (class, first.len_utf8());
    }
    let end = characters.find(|(_, c)| {
        let next = classify(*c);
        next != Class::Joiner && (next != class || is_fraction(*c))
    });
    (class, end.map_or(text.len(), |(at, _)| at))
}

/// Continues the character before it in an unspaced run.
fn extends_character(c: char) -> bool {
    matches!(c, '\u{e33}' | '\u{eb3}' | '\u{ff9e}' | '\u{ff9f}' | '\u{1160}'..='\u{11ff}')
        || classify(c) == Class::Joiner
}

/// Two of these make a flag.
fn is_regional(c: char) -> bool {
    matches!(c, '\u{1f1e6}'..='\u{1f1ff}')
}

/// The bytes of the first character of an unspaced run: a base and its marks, or a sequence of symbols
/// that is seen as one. `text` is not empty.
fn character(text: &str) -> usize {
    let mut characters = text.char_indices();
    let Some((_, first)) = characters.next() else { return 0 };
    let mut may_be_flag = is_regional(first);
    let mut is_joining = false;
    for (at, c) in characters {
        let goes_on = extends_character(c)
            || (may_be_flag && is_regional(c))
            || (is_joining && category(c) == GeneralCategory::OtherSymbol);
        if !goes_on {
            return at;
        }
        may_be_flag &= !is_regional(c);
        is_joining = c == ZERO_WIDTH_JOINER;
    }
    text.len()
}

/// A word folded: plainly, and as it is written where there are no umlauts, if it has any.
pub(super) fn fold_word(raw: &str) -> (String, Option<String>) {
    let composed = fold_case(raw);
    let variant = composed.contains(['ä', 'ö', 'ü', 'ø', 'å']).then(|| {
        let mut spelled = String::with_capacity(composed.len() + 4);
        for c in composed.chars() {
            match c {
                'ä' => spelled.push_str("ae"),
                'ö' | 'ø' => spelled.push_str("oe"),
                'ü' => spelled.push_str("ue"),
                'å' => spelled.push_str("aa"),
                other => spelled.push(other),
            }
        }
        without_accents(&spelled)
    });
    (without_accents(&composed), variant)
}

/// Compatibility forms and case made one.
fn fold_case(raw: &str) -> String {
    let nfkc = ComposingNormalizerBorrowed::new_nfkc();
    nfkc.normalize(&CaseMapper::new().fold_string(&nfkc.normalize(raw))).into_owned()
}

fn without_accents(composed: &str) -> String {
    let mut plain = String::with_capacity(composed.len());
    for c in DecomposingNormalizerBorrowed::new_nfd().normalize(composed).chars().filter(|c| !is_dropped(*c)) {
        match c {
            'ø' => plain.push('o'),
            'đ' | 'ð' => plain.push('d'),
            'ł' => plain.push('l'),
            'ħ' => plain.push('h'),
            'ı' => plain.push('i'),
            'æ' => plain.push_str("ae"),
            'œ' => plain.push_str("oe"),
            'ς' => plain.push('σ'),
            'ة' => plain.push('ه'),
            'ى' | 'ی' => plain.push('ي'),
            'ک' => plain.push('ك'),
            // Alef with whatever sits on it has lost that above; wasla is a letter of its own.
            'ٱ' => plain.push('ا'),
            other => plain.push(western_digit(other)),
        }
    }
    ComposingNormalizerBorrowed::new_nfc().normalize(&plain).into_owned()
}

/// The digits of Arabic and of the scripts of India are the same numbers.
fn western_digit(c: char) -> char {
    const ZEROS: [char; 11] = ['٠', '۰', '०', '০', '੦', '૦', '୦', '௦', '౦', '೦', '൦'];
    if c.is_ascii() {
        return c;
    }
    ZEROS
        .iter()
        .find_map(|zero| char::from_digit(u32::from(c).checked_sub(u32::from(*zero)).filter(|value| *value < 10)?, 10))
        .unwrap_or(c)
}

/// Accents, vowel points, and what cannot be seen. Vowel signs of Indic and other scripts belong
/// to the word and stay.
fn is_dropped(c: char) -> bool {
    if c.is_ascii() {
        return false;
    }
    match category(c) {
        GeneralCategory::Format => true,
        GeneralCategory::NonspacingMark | GeneralCategory::EnclosingMark => {
            let is_vowel_point = matches!(c, '\u{591}'..='\u{5c7}' | '\u{610}'..='\u{61a}' | '\u{64b}'..='\u{65f}' | '\u{670}' | '\u{6d6}'..='\u{6ed}');
            is_vowel_point || (script(c) == Script::Inherited && !matches!(c, '\u{3099}' | '\u{309a}'))
        }
        _ => c == '\u{640}',
    }
}

/// What only chooses between pictures of one character.
fn is_appearance(c: char) -> bool {
    matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}' | '\u{1f3fb}'..='\u{1f3ff}')
        || category(c) == GeneralCategory::Format
}

/// A word that waits until it is known which others are linked to it.
struct Word {
    /// Where it ends among the letters of all that wait.
    end: usize,
    variant: Option<String>,
    /// What links it to the one before.
    link: Option<char>,
    bytes: Range<usize>,
}

/// A walk through a text.
struct Walk<'a, 'b> {
    text: &'a str,
    each: &'a mut Each<'b>,
    /// Of the next token.
    position: u32,
    /// Letters of the words that wait.
    letters: String,
    /// Linked words, at most [`MOST_JOINED`].
    words: Vec<Word>,
    /// Where the last word ended, if another may be linked to it.
    last_end: Option<usize>,
    /// More words are linked than a joined form covers, and some have gone by.
    is_overlong: bool,
    /// The character of an unspaced run that waits for the one after it; maybe empty.
    character: String,
    character_bytes: Range<usize>,
    /// A token that is put together.
    made: String,
}

impl<'a, 'b> Walk<'a, 'b> {
    fn new(text: &'a str, each: &'a mut Each<'b>) -> Self {
        Self {
            text,
            each,
            position: 0,
            letters: String::new(),
            words: Vec::new(),
            last_end: None,
            is_overlong: false,
            character: String::new(),
            character_bytes: 0..0,
            made: String::new(),
        }
    }

    /// Positions beyond what fits are all the last one: such a text is longer than any that is kept.
    fn go_on(&mut self, positions: u32) {
        self.position = self.position.saturating_add(positions);
    }

    fn break_part(&mut self) {
        self.close();
        self.go_on(PART_GAP);
    }

    fn ascii_word(&mut self, bytes: Range<usize>) {
        let raw = &self.text[bytes.clone()];
        if raw.len() > LONGEST {
            self.close();
            self.cut(&raw.to_ascii_lowercase(), &bytes);
            return;
        }
        let link = self.link(bytes.start);
        let from = self.letters.len();
        self.letters.push_str(raw);
        self.letters[from..].make_ascii_lowercase();
        self.wait(None, link, bytes);
    }

    fn word(&mut self, bytes: Range<usize>) {
        if self.text[bytes.clone()].is_ascii() {
            return self.ascii_word(bytes);
        }
        let (plain, variant) = fold_word(&self.text[bytes.clone()]);
        let is_one = plain.chars().all(|c| matches!(classify(c), Class::Word | Class::Joiner));
        if !is_one || plain.len() > LONGEST {
            self.close();
            self.pieces(&plain, &bytes);
            self.end_run();
        } else if !plain.is_empty() {
            let link = self.link(bytes.start);
            self.letters.push_str(&plain);
            self.wait(variant.filter(|variant| variant.len() <= LONGEST), link, bytes);
        }
    }

    fn unspaced(&mut self, bytes: Range<usize>) {
        self.close();
        let mut at = bytes.start;
        while at < bytes.end {
            let rest = &self.text[at..bytes.end];
            let end = at + character(rest);
            let raw = &self.text[at..end];
            let mut characters = raw.chars();
            if characters.next().is_some_and(is_plain_unspaced) && characters.next().is_none() {
                self.character(raw, at..end);
            } else {
                self.pieces(&fold_case(raw), &(at..end));
            }
            at = end;
        }
        self.end_run();
    }

    /// What a compatibility form stands for, as if it had been written out: ㌔ is two characters, ™ a word.
    fn pieces(&mut self, folded: &str, bytes: &Range<usize>) {
        let mut at = 0;
        while at < folded.len() {
            let rest = &folded[at..];
            let (class, mut length) = run(rest);
            match class {
                Class::Word => {
                    self.end_run();
                    self.cut(&without_accents(&rest[..length]), bytes);
                }
                Class::Unspaced => {
                    length = character(rest);
                    let clean: String = rest[..length].chars().filter(|c| !is_appearance(*c)).collect();
                    self.character(&clean, bytes.clone());
                }
                Class::Separator => self.end_run(),
                Class::Joiner => {}
            }
            at += length;
        }
    }

    /// A word at once, in pieces if it is long. No other waits.
    fn cut(&mut self, word: &str, bytes: &Range<usize>) {
        let mut rest = word;
        while !rest.is_empty() {
            let piece = &rest[..rest.floor_char_boundary(LONGEST)];
            (self.each)(piece, self.position, 1, bytes.clone());
            self.go_on(1);
            rest = &rest[piece.len()..];
        }
    }

    /// A character of an unspaced run.
    fn character(&mut self, character: &str, bytes: Range<usize>) {
        if !self.character.is_empty() {
            self.made.clear();
            self.made.push_str(&self.character);
            self.made.push(PAIR);
            self.made.push_str(character);
            (self.each)(&self.made, self.position, 1, self.character_bytes.start..bytes.end);
            self.go_on(1);
        }
        self.character.clear();
        self.character.push_str(character);
        self.character_bytes = bytes;
    }

    fn end_run(&mut self) {
        if !self.character.is_empty() {
            (self.each)(&self.character, self.position, 1, self.character_bytes.clone());
            self.go_on(1);
            self.character.clear();
        }
    }

    /// What links a word that begins at `start` to the one before. Without a link, those before are done.
    fn link(&mut self, start: usize) -> Option<char> {
        let link = self.last_end.and_then(|end| {
            let mut between = self.text[end..start].chars();
            between.next().filter(|c| LINKS.contains(c) && between.next().is_none())
        });
        if link.is_none() {
            self.close();
        } else if self.words.len() == MOST_JOINED {
            self.is_overlong = true;
            self.flush();
        }
        link
    }

    /// Notes a word whose letters were put to those of the words that wait.
    fn wait(&mut self, variant: Option<String>, link: Option<char>, bytes: Range<usize>) {
        self.last_end = Some(bytes.end);
        self.words.push(Word { end: self.letters.len(), variant, link, bytes });
    }

    /// Nothing is linked to the words that wait.
    fn close(&mut self) {
        self.flush();
        self.is_overlong = false;
        self.last_end = None;
    }

    /// Gives away the words that wait.
    fn flush(&mut self) {
        let mut from = 0;
        for n in 0..self.words.len() {
            let Word { end, variant, bytes, link: _ } = &self.words[n];
            let bytes = bytes.clone();
            (self.each)(&self.letters[from..*end], self.position, 1, bytes.clone());
            if let Some(variant) = variant {
                (self.each)(variant, self.position, 1, bytes);
            }
            from = *end;
            if n == 0 && !self.is_overlong {
                self.join();
            }
            self.go_on(1);
        }
        self.words.clear();
        self.letters.clear();
    }

    /// The joined forms of the words that wait, at the position of the first.
    fn join(&mut self) {
        let Some((last, before)) = self.words.split_last() else { return };
        let links = before.iter().filter_map(|word| word.link);
        // The last group of a number may be its fraction.
        let may_be_fraction = self.letters.bytes().all(|byte| byte.is_ascii_digit()) && {
            let digits = last.end - before.last().map_or(0, |word| word.end);
            digits != 3 || (before.len() > 1 && links.into_iter().all(|link| last.link != Some(link)))
        };
        let shorter = may_be_fraction.then_some(before.len());
        for count in [Some(self.words.len()), shorter].into_iter().flatten().filter(|count| *count > 1) {
            let last = &self.words[count - 1];
            self.made.clear();
            self.made.push(JOINED);
            self.made.push_str(&self.letters[..last.end]);
            self.made.push(PAIR);
            let covered = u32::try_from(count).expect("a joined form is of few words");
            self.made.push(char::from_digit(covered, 10).expect("a joined form is of less than ten words"));
            (self.each)(&self.made, self.position, covered, self.words[0].bytes.start..last.bytes.end);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Tokens as `position:text`, the length behind a `+` if it is not 1; JOINED shown as `=`, PAIR as `|`.
    fn shown(text: &str) -> String {
        let shown: Vec<String> = tokens(text)
            .iter()
            .map(|token| {
                let text = token.text.replace(JOINED, "=").replace(PAIR, "|");
                let length = if token.length == 1 { String::new() } else { format!("+{}", token.length) };
                format!("{}:{text}{length}", token.position)
            })
            .collect();
        shown.join(" ")
    }

    #[test]
    fn words_and_their_forms_have_their_positions() {
        for (text, expected) in [
            ("", ""),
            ("!! \u{301} ...", ""),
            ("Hello, World", "0:hello 1:world"),
            ("Příliš ŽLUŤOUČKÝ", "0:prilis 1:zlutoucky"),
            ("Straße ﬁnal", "0:strasse 1:final"),
            ("Müller Ångström", "0:muller 0:mueller 1:angstrom 1:aangstroem"),
            ("Mu\u{308}ller", "0:muller 0:mueller"),
            ("Øst ærlig œuvre", "0:ost 0:oest 1:aerlig 2:oeuvre"),
            ("don't", "0:don 0:=dont|2+2 1:t"),
            ("don’t say", "0:don 0:=dont|2+2 1:t 2:say"),
            ("don''t -a- b", "0:don 1:t 2:a 3:b"),
            ("e-mail/post", "0:e 0:=emailpost|3+3 1:mail 2:post"),
            ("Müller-Lüdenscheidt", "0:muller 0:mueller 0:=mullerludenscheidt|2+2 1:ludenscheidt 1:luedenscheidt"),
            ("12,500", "0:12 0:=12500|2+2 1:500"),
            ("12\u{a0}500", "0:12 0:=12500|2+2 1:500"),
            ("12\u{202f}500", "0:12 0:=12500|2+2 1:500"),
            ("12,500.00", "0:12 0:=1250000|3+3 0:=12500|2+2 1:500 2:00"),
            ("1.234,567", "0:1 0:=1234567|3+3 0:=1234|2+2 1:234 2:567"),
            ("1,234,567", "0:1 0:=1234567|3+3 1:234 2:567"),
            ("12.50", "0:12 0:=1250|2+2 1:50"),
            ("a.b.c.d.e.f.g.h", "0:a 0:=abcdefgh|8+8 1:b 2:c 3:d 4:e 5:f 6:g 7:h"),
            ("a.b.c.d.e.f.g.h.i x.y", "0:a 1:b 2:c 3:d 4:e 5:f 6:g 7:h 8:i 9:x 9:=xy|2+2 10:y"),
            ("a.\nb", "0:a 1:b"),
            ("a.\u{1d}b", "0:a 1001:b"),
            ("a\u{1e}b\u{1f}c", "0:a 1:b 2:c"),
            ("½ 3½ m²", "0:1 1:2 2:3 3:1 4:2 5:m2"),
            ("١٢٣ ۴۵ १२", "0:123 1:45 2:12"),
            ("soft\u{ad}hyphen zero\u{200b}width", "0:softhyphen 1:zerowidth"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn unspaced_scripts_become_pairs() {
        for (text, expected) in [
            ("京", "0:京"),
            ("東京都", "0:東|京 1:京|都 2:都"),
            ("東京,京都", "0:東|京 1:京 2:京|都 3:都"),
            ("年3月", "0:年 1:3 2:月"),
            ("a.京.b", "0:a 1:京 2:b"),
            ("ｶﾞﾗｽ", "0:ガ|ラ 1:ラ|ス 2:ス"),
            ("กิน", "0:กิ|น 1:น"),
            ("각", "0:각"),
            ("葛\u{e0100}城", "0:葛|城 1:城"),
            ("㌔", "0:キ|ロ 1:ロ"),
            ("㈱東", "0:株 1:東"),
            ("Acme™", "0:acme 1:tm"),
            ("👍🏽👏", "0:👍|👏 1:👏"),
            ("❤️", "0:❤"),
            ("👩🏽\u{200d}💻👍", "0:👩💻|👍 1:👍"),
            ("🇨🇿🇸🇰", "0:🇨🇿|🇸🇰 1:🇸🇰"),
            ("👩💻", "0:👩|💻 1:💻"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn a_long_word_is_cut_at_characters_and_not_dropped() {
        for (word, pieces) in [("x".repeat(256), 1), ("x".repeat(1000), 4), ("я".repeat(200), 2), ("hй".repeat(200), 3)]
        {
            let found = tokens(&word);
            assert_eq!(found.len(), pieces, "{word}");
            let together: String = found.iter().map(|token| token.text.as_str()).collect();
            assert_eq!(together, fold_word(&word).0);
            assert_eq!(
                found.iter().map(|token| token.position as usize).collect::<Vec<_>>(),
                (0..pieces).collect::<Vec<_>>()
            );
        }
        assert_eq!(
            shown(&format!("{}-a", "x".repeat(257))).split(' ').count(),
            3,
            "a word in pieces is linked to none"
        );
    }

    #[test]
    fn bytes_are_those_of_the_text() {
        for (text, expected) in [
            ("Ahoj, SVĚTE!", vec!["Ahoj", "SVĚTE"]),
            ("I don’t", vec!["I", "don", "don’t", "t"]),
            ("東京都に", vec!["東京", "京都", "都に", "に"]),
            ("e\u{301}té", vec!["e\u{301}té"]),
            ("x½", vec!["x", "½", "½"]),
        ] {
            let found: Vec<&str> = tokens(text).iter().map(|token| &text[token.start..token.end]).collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn unspaced_tokens_are_told_from_words() {
        for (token, expected) in [
            ("word", false),
            ("слово", false),
            ("\u{1e}dont\u{1f}2", false),
            ("京", true),
            ("東\u{1f}京", true),
            ("👍", true),
            ("", false),
        ] {
            assert_eq!(is_unspaced_token(token), expected, "{token}");
        }
    }

    /// Text out of what the tokenizer treats in different ways.
    pub(crate) fn texts() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            "[a-cA-C0-9]{1,3}",
            "[äöüøåéßđİıœ]{1,2}",
            "[\u{300}-\u{308}\u{200b}-\u{200d}\u{fe0f}\u{1f3fb}]",
            "[京都東가각ｶﾞกิำ㌔㈱½™👍👩🇨🇿]{1,3}",
            "[שאة\u{64b}١हि]{1,3}",
            "[-'’_.,/ \u{a0}\u{1d}\u{1e}\u{1f}\n]",
            "\\PC",
        ];
        proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn tokens_stand_in_order_at_characters_of_the_text(text in texts()) {
            let (found, end) = tokens_to_end(&text);
            for token in &found {
                prop_assert!(token.start < token.end);
                prop_assert!(text.is_char_boundary(token.start) && text.is_char_boundary(token.end));
                prop_assert!(!token.text.is_empty() && token.position + token.length <= end);
                prop_assert_eq!(token.length > 1, token.text.starts_with(JOINED));
                prop_assert!(!text[token.start..token.end].contains(['\n', PART_BREAK]));
            }
            for pair in found.windows(2) {
                prop_assert!(pair[0].position <= pair[1].position && pair[0].start <= pair[1].start);
                prop_assert!(pair[1].position - pair[0].position <= 1 || text.contains(PART_BREAK));
            }
        }

        #[test]
        fn composed_and_decomposed_texts_are_the_same(text in texts()) {
            let composed = ComposingNormalizerBorrowed::new_nfc().normalize(&text).into_owned();
            let decomposed = DecomposingNormalizerBorrowed::new_nfd().normalize(&text).into_owned();
            prop_assert_eq!(shown(&composed), shown(&decomposed));
        }

        #[test]
        fn lines_put_together_are_the_text(text in texts()) {
            let (mut bytes, mut positions, mut found) = (0, 0, Vec::new());
            for line in text.split_inclusive('\n') {
                let (tokens, end) = tokens_to_end(line);
                found.extend(tokens.into_iter().map(|token| Token {
                    position: token.position + positions,
                    start: token.start + bytes,
                    end: token.end + bytes,
                    ..token
                }));
                bytes += line.len();
                positions += end;
            }
            prop_assert_eq!((found, positions), tokens_to_end(&text));
        }
    }
}
