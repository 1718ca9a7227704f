//! Bytes and texts that numbers decide, made while they are read: large content that nobody holds.

use axum::body::{Body, Bytes};
use futures_util::stream;
use sha2::{Digest as _, Sha256};

use super::{dice, ids};

/// Bytes that are made at once.
const CHUNK: u64 = 64 << 10;

/// Length of a long text in bytes.
const LONG_TEXT: usize = 1 << 20;

/// The chunk of a filler that begins at `chunk * CHUNK`, cut to `length`.
fn chunk(seed: u64, number: u64, length: usize) -> Vec<u8> {
    let words = CHUNK / 8;
    let first = number * words;
    let mut bytes: Vec<u8> =
        (first..first + words).flat_map(|word| dice::mix(seed ^ dice::mix(word)).to_le_bytes()).collect();
    bytes.truncate(length);
    bytes
}

/// The chunks that hold `length` bytes from `first` on, each cut to what is asked for.
fn chunks(seed: u64, first: u64, length: u64) -> impl Iterator<Item = Bytes> + Send {
    let end = first + length;
    (first / CHUNK..end.div_ceil(CHUNK)).map(move |number| {
        let at = |position: u64| usize::try_from(position).expect("a chunk is small");
        let start = number * CHUNK;
        let bytes = Bytes::from(chunk(seed, number, at((end - start).min(CHUNK))));
        bytes.slice(at(first.saturating_sub(start))..)
    })
}

/// A body of `length` bytes of the filler, from the byte `first` on.
pub(super) fn body(seed: u64, first: u64, length: u64) -> Body {
    Body::from_stream(stream::iter(chunks(seed, first, length).map(Ok::<_, std::io::Error>)))
}

/// Lower-case SHA-256 of the first `size` bytes of the filler.
pub(super) fn digest(seed: u64, size: u64) -> String {
    let mut hash = Sha256::new();
    for bytes in chunks(seed, 0, size) {
        hash.update(&bytes);
    }
    ids::hex(&hash.finalize())
}

/// A text made 1 MiB long: it begins as it did, and goes on with numbered lines.
pub(super) fn long_text(text: &str) -> String {
    use std::fmt::Write as _;
    let mut long = String::with_capacity(LONG_TEXT + 64);
    long.push_str(text);
    for line in 1.. {
        if long.len() >= LONG_TEXT {
            break;
        }
        write!(long, "\nline {line} of a long text").expect("a string takes what is written to it");
    }
    // What is longer from the start stays as it is.
    if text.len() < LONG_TEXT {
        long.truncate(LONG_TEXT);
    }
    long
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(first: u64, length: u64) -> Vec<u8> {
        chunks(7, first, length).flatten().collect()
    }

    #[test]
    fn a_part_is_the_part_of_the_whole() {
        let whole = read(0, 3 * CHUNK + 5);
        assert_eq!(whole.len(), 196_613);
        for (first, length) in [(0, 0), (0, 1), (CHUNK - 1, 2), (CHUNK, CHUNK), (70_001, 100_003), (196_612, 1)] {
            let from = usize::try_from(first).unwrap();
            let to = from + usize::try_from(length).unwrap();
            assert!(read(first, length) == whole[from..to], "{length} from {first}");
        }
        assert_eq!(digest(7, 196_613), ids::hex(&Sha256::digest(&whole)));
        assert_ne!(digest(8, 196_613), digest(7, 196_613));
    }

    #[test]
    fn a_long_text_has_its_length_and_its_beginning() {
        let long = long_text("děkuji");
        assert_eq!(long.len(), LONG_TEXT);
        assert!(long.starts_with("děkuji\nline 1 of a long text\nline 2"));
        assert_eq!(long_text(&long), long);
    }
}
