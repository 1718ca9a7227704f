//! Real chat through the binary, small. The soak target runs the same flow on the large corpora.

use teamchat_archive::sandbox::Fault;

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

#[test]
fn the_small_corpus_comes_through_errors_and_cut_connections() {
    flows::a_corpus_comes_through_bad_weather(&SMALL, &[(Fault::Error500, 0.1), (Fault::Reset, 0.1)]);
}

#[test]
fn the_small_corpus_is_read_without_us() {
    flows::a_corpus_is_read_without_us(&SMALL);
}
