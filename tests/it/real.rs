//! Real chat through the binary, small. The soak target runs the same flow on the large corpora.

use crate::cli::flows::{self, Corpus, MEDIUM};

const SMALL: Corpus = Corpus { name: "small", messages: 1_997, channels: 5, files: 48 };

#[test]
fn the_small_corpus_is_archived_whole() {
    flows::a_corpus_is_archived_whole(&SMALL);
}

#[test]
fn the_medium_corpus_is_archived_whole() {
    flows::a_corpus_is_archived_whole(&MEDIUM);
}
