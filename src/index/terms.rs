//! What a lookup stands for among the tokens of the index.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use levenshtein_automata::{DFA, Distance, LevenshteinAutomatonBuilder, SINK_STATE};
use tantivy::postings::TermInfo;
use tantivy::termdict::TermDictionary;
use tantivy_fst::Automaton;

use super::Error;
use crate::query::{JOINED, Lookup, Matcher, PAIR};

/// A token of one segment's dictionary.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// As it is indexed.
    pub(super) text: String,
    /// Where its documents stand.
    pub(super) info: TermInfo,
    /// How many positions it covers.
    pub(super) length: u32,
}

/// How many words a joined form covers, as it says itself.
fn covered(token: &str) -> Option<u32> {
    token.strip_prefix(JOINED)?.rsplit_once(PAIR)?.1.parse().ok()
}

/// Everything that begins with `text` lies below this.
fn past(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.as_bytes().to_vec();
    // No byte of UTF-8 is 0xff.
    let last = bytes.last_mut()?;
    *last += 1;
    Some(bytes)
}

/// A lookup, ready for the dictionaries of all segments.
pub(super) struct Finder<'a> {
    lookup: &'a Lookup,
    /// Positions that a token covers, unless it says otherwise itself.
    length: u32,
    /// Of lookups that stand for more than one token: what they stand for.
    matcher: Option<Matcher>,
    /// Of words with edits.
    alike: Option<Arc<DFA>>,
}

impl<'a> Finder<'a> {
    pub(super) fn new(lookup: &'a Lookup, length: u32) -> Result<Self, Error> {
        let matcher = match lookup {
            Lookup::Word(_) | Lookup::Pair(_) | Lookup::Character(_) => None,
            _ => Some(Matcher::new(lookup).map_err(Error::TooBroad)?),
        };
        let alike = match lookup {
            Lookup::Fuzzy(word, edits) => Some(Arc::new(automata(*edits).build_dfa(word))),
            _ => None,
        };
        Ok(Self { lookup, length, matcher, alike })
    }

    /// Calls `found` for each token of `dictionary` that the lookup stands for, joined forms last. Stops
    /// when it answers with an error.
    pub(super) fn find(
        &self,
        dictionary: &TermDictionary,
        found: &mut dyn FnMut(Found) -> Result<(), Error>,
    ) -> Result<(), Error> {
        match self.lookup {
            Lookup::Word(word) => {
                self.exact(dictionary, word, found)?;
                self.beginning(dictionary, &format!("{JOINED}{word}{PAIR}"), found)
            }
            Lookup::Pair(pair) => self.exact(dictionary, pair, found),
            Lookup::Character(character) => {
                self.exact(dictionary, character, found)?;
                self.beginning(dictionary, &format!("{character}{PAIR}"), found)
            }
            Lookup::Wild(_) | Lookup::Stem(_) | Lookup::Regex(_) => {
                let literal = self.matcher.as_ref().map(Matcher::beginning).unwrap_or_default();
                self.beginning(dictionary, &literal, found)?;
                // Without a beginning everything was looked at already.
                if literal.is_empty() {
                    return Ok(());
                }
                self.beginning(dictionary, &format!("{JOINED}{literal}"), found)
            }
            Lookup::Fuzzy(..) => {
                if let Some(letters) = &self.alike {
                    for joined in [false, true] {
                        let alike = Alike { letters: Arc::clone(letters), joined };
                        let mut stream = dictionary.search(alike).into_stream()?;
                        while stream.advance() {
                            self.take(stream.key(), stream.value(), found)?;
                        }
                    }
                }
                Ok(())
            }
            Lookup::Numbers(..) => {
                for first in '0'..='9' {
                    self.beginning(dictionary, &first.to_string(), found)?;
                }
                for first in '0'..='9' {
                    self.beginning(dictionary, &format!("{JOINED}{first}"), found)?;
                }
                Ok(())
            }
        }
    }

    fn exact(
        &self,
        dictionary: &TermDictionary,
        text: &str,
        found: &mut dyn FnMut(Found) -> Result<(), Error>,
    ) -> Result<(), Error> {
        match dictionary.get(text)? {
            Some(info) => found(Found { text: text.to_owned(), info, length: self.length }),
            None => Ok(()),
        }
    }

    /// The tokens that begin with `literal` and that the lookup stands for. Joined forms only when
    /// `literal` begins one or is empty.
    fn beginning(
        &self,
        dictionary: &TermDictionary,
        literal: &str,
        found: &mut dyn FnMut(Found) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut range = dictionary.range().ge(literal);
        if let Some(past) = past(literal) {
            range = range.lt(past);
        }
        let mut stream = range.into_stream()?;
        while stream.advance() {
            self.take(stream.key(), stream.value(), found)?;
        }
        Ok(())
    }

    fn take(
        &self,
        key: &[u8],
        info: &TermInfo,
        found: &mut dyn FnMut(Found) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let Ok(text) = std::str::from_utf8(key) else { return Ok(()) };
        if self.matcher.as_ref().is_none_or(|matcher| matcher.matches(text)) {
            let length = covered(text).unwrap_or(self.length);
            found(Found { text: text.to_owned(), info: info.clone(), length })?;
        }
        Ok(())
    }
}

/// Words at most so many edits away, or joined forms of such letters, as the engine's dictionary is
/// walked by.
struct Alike {
    letters: Arc<DFA>,
    joined: bool,
}

/// How much of a token was read.
#[derive(Clone, Copy)]
enum Part {
    /// Nothing of a joined form.
    Nothing,
    /// Letters, that lead the automaton there.
    Letters(u32),
    /// The letters of a joined form, of which the number of words is left.
    Joined,
    /// What is not looked for.
    Other,
}

impl Automaton for Alike {
    type State = Part;

    fn start(&self) -> Part {
        if self.joined { Part::Nothing } else { Part::Letters(self.letters.initial_state()) }
    }

    fn is_match(&self, part: &Part) -> bool {
        match part {
            Part::Letters(state) => !self.joined && matches!(self.letters.distance(*state), Distance::Exact(_)),
            Part::Joined => true,
            Part::Nothing | Part::Other => false,
        }
    }

    fn can_match(&self, part: &Part) -> bool {
        !matches!(part, Part::Other | Part::Letters(SINK_STATE))
    }

    // Both marks are one byte of UTF-8, which is no part of another character.
    fn accept(&self, part: &Part, byte: u8) -> Part {
        match part {
            Part::Nothing if char::from(byte) == JOINED => Part::Letters(self.letters.initial_state()),
            Part::Letters(state) if self.joined && char::from(byte) == PAIR => match self.letters.distance(*state) {
                Distance::Exact(_) => Part::Joined,
                Distance::AtLeast(_) => Part::Other,
            },
            Part::Letters(state) => Part::Letters(self.letters.transition(*state, byte)),
            Part::Joined => Part::Joined,
            Part::Nothing | Part::Other => Part::Other,
        }
    }
}

/// Making the tables of a distance takes milliseconds, and there are two.
fn automata(edits: u8) -> Arc<LevenshteinAutomatonBuilder> {
    static MADE: OnceLock<Mutex<HashMap<u8, Arc<LevenshteinAutomatonBuilder>>>> = OnceLock::new();
    let mut made = MADE.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(made.entry(edits).or_insert_with(|| Arc::new(LevenshteinAutomatonBuilder::new(edits, true))))
}

/// The word of a token as people read it.
pub(super) fn shown(token: &str) -> String {
    match token.strip_prefix(JOINED).and_then(|joined| joined.rsplit_once(PAIR)) {
        Some((letters, _)) => letters.to_owned(),
        None => token.replace(PAIR, ""),
    }
}
