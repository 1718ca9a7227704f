//! The long forms, run by `make soak`: the flows of the integration tests on corpora of real chat
//! that are too large for every run.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "../it/cli/flows.rs"]
mod flows;
#[path = "../it/cli/harness.rs"]
#[expect(dead_code, reason = "shared with the integration tests, which use the rest")]
mod harness;
#[path = "../it/schedules/play.rs"]
mod play;
#[path = "../it/support.rs"]
#[expect(dead_code, reason = "shared with the integration tests, which use the rest")]
mod support;
#[path = "../it/schedules/town.rs"]
#[expect(dead_code, reason = "shared with the integration tests, which use the rest")]
mod town;

use teamchat_archive::sandbox::corpus;

const LARGE: flows::Corpus = flows::Corpus { name: "large", messages: 470_938, channels: 531, files: 0 };

/// How many random schedules are played; the integration tests play the first of them.
const SCHEDULES: u64 = 10_000;

#[test]
fn after_any_of_many_schedules_the_archive_is_the_truth_and_no_deletion_is_invented() {
    play::play_all(SCHEDULES);
}

#[test]
fn the_medium_corpus_is_archived_whole() {
    flows::a_corpus_is_archived_whole(&flows::MEDIUM);
}

#[test]
fn the_large_corpus_is_archived_whole() {
    flows::a_corpus_is_archived_whole(&LARGE);
}

#[test]
fn a_crawl_of_the_medium_corpus_killed_at_any_moment_goes_on_to_the_same_archive() {
    let Some(folder) = flows::corpus_folder(flows::MEDIUM.name) else { return };
    flows::a_killed_crawl_goes_on(|| corpus::load(&folder).unwrap());
}
