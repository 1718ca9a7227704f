//! The tokens of the query room as the engine takes them.

use tantivy::tokenizer::{TextAnalyzer, Token as EngineToken, TokenStream, Tokenizer};

use crate::query::{Token, tokens_to_end};

/// Name of the tokenizer in the schema.
pub(super) const FOLD: &str = "fold2";

/// Makes the tokenizer known to an index that was opened.
pub(super) fn register(index: &tantivy::Index) {
    index.tokenizers().register(FOLD, TextAnalyzer::from(Fold));
}

/// Tokens for the engine, line by line: a text may be as long as a book, and no token reaches over a
/// line.
#[derive(Clone, Default)]
struct Fold;

struct FoldStream<'a> {
    lines: std::str::SplitInclusive<'a, char>,
    /// Bytes and positions before the line.
    bytes: usize,
    positions: usize,
    line: std::vec::IntoIter<Token>,
    /// Where the line ends.
    next_bytes: usize,
    next_positions: usize,
    current: EngineToken,
}

impl Tokenizer for Fold {
    type TokenStream<'a> = FoldStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> FoldStream<'a> {
        FoldStream {
            lines: text.split_inclusive('\n'),
            bytes: 0,
            positions: 0,
            line: Vec::new().into_iter(),
            next_bytes: 0,
            next_positions: 0,
            current: EngineToken::default(),
        }
    }
}

impl TokenStream for FoldStream<'_> {
    fn advance(&mut self) -> bool {
        loop {
            if let Some(token) = self.line.next() {
                let position = self.positions + token.position as usize;
                self.current = EngineToken {
                    offset_from: self.bytes + token.start,
                    offset_to: self.bytes + token.end,
                    position,
                    text: token.text,
                    position_length: 1,
                };
                return true;
            }
            let Some(line) = self.lines.next() else { return false };
            self.bytes = self.next_bytes;
            self.positions = self.next_positions;
            self.next_bytes += line.len();
            let (tokens, positions) = tokens_to_end(line);
            self.next_positions = self.positions + positions as usize;
            self.line = tokens.into_iter();
        }
    }

    fn token(&self) -> &EngineToken {
        &self.current
    }

    fn token_mut(&mut self) -> &mut EngineToken {
        &mut self.current
    }
}
