//! The long forms, run by `make soak`: the flows of the integration tests on corpora of real chat
//! that are too large for every run.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(clippy::pedantic, reason = "a flow is read from top to bottom, and is no interface")]

#[path = "../it/serve/asking.rs"]
#[expect(dead_code, reason = "shared with the integration tests, which use the rest")]
mod asking;
#[path = "../it/exports/changed.rs"]
mod changed;
#[path = "../it/cli/described.rs"]
mod described;
#[path = "../it/cli/flows.rs"]
mod flows;
#[path = "../it/cli/harness.rs"]
#[expect(dead_code, reason = "shared with the integration tests, which use the rest")]
mod harness;
#[path = "../it/cli/living.rs"]
mod living;
#[path = "../it/serve/methods.rs"]
mod methods;
#[path = "../it/schedules/play.rs"]
mod play;
#[path = "../it/exports/random.rs"]
mod random;
#[path = "../it/search_truth.rs"]
mod search_truth;
#[path = "../it/support.rs"]
#[expect(dead_code, reason = "shared with the integration tests, which use the rest")]
mod support;
mod tamper;
#[path = "../it/schedules/town.rs"]
#[expect(dead_code, reason = "shared with the integration tests, which use the rest")]
mod town;
#[path = "../it/serve/unaware.rs"]
mod unaware;
#[path = "../it/serve/written.rs"]
mod written;

/// Where the integration tests have it.
mod schedules {
    pub(crate) use super::play;
}

use std::time::Duration;

use teamchat_archive::sandbox::{Fault, corpus};

use asking::{Answer, PASSWORD, encode, filled, form, get, only, send};

const LARGE: flows::Corpus = flows::Corpus { name: "large", messages: 470_938, channels: 531, files: 0 };

/// How many random schedules are played; the integration tests play the first of them.
const SCHEDULES: u64 = 10_000;

#[test]
fn after_any_of_many_schedules_the_archive_is_the_truth_and_no_deletion_is_invented() {
    play::play_all(SCHEDULES);
}

/// How many random workspaces are exported in every format; the integration tests do the first of them.
const WORKSPACES: u64 = 60;

#[test]
fn nothing_is_lost_in_any_format_whatever_people_did_in_many_workspaces() {
    (0..WORKSPACES).for_each(random::conserves);
}

/// How many random towns are archived with and without what others do elsewhere; the integration tests play the first two.
const TOWNS: u64 = 14;

#[tokio::test]
async fn a_reviewer_cannot_tell_in_any_of_many_towns_whether_others_say_the_same() {
    for seed in 2..TOWNS {
        unaware::play(seed).await;
    }
}

/// How many rounds of random documents and queries; the integration tests play the first of them.
const ROUNDS: usize = 100;

#[test]
fn the_index_finds_in_many_rounds_what_the_definition_says() {
    search_truth::play(ROUNDS);
}

#[test]
fn every_byte_of_a_set_is_changed_and_each_change_is_named() {
    changed::every_change_is_named(0);
}

#[test]
fn schemathesis_asks_at_length_and_is_answered_as_it_is_described() {
    described::every_answer_is_as_it_is_described(300, 7, true);
}

#[test]
fn the_medium_corpus_is_archived_whole() {
    flows::a_corpus_is_archived_whole(&flows::MEDIUM);
}

#[test]
fn the_medium_corpus_is_read_without_us() {
    flows::a_corpus_is_read_without_us(&flows::MEDIUM);
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

#[test]
fn the_medium_corpus_comes_through_errors_cut_connections_and_pauses() {
    let faults = [(Fault::Error500, 0.1), (Fault::Reset, 0.1), (Fault::RateLimit, 0.1)];
    flows::a_corpus_comes_through_bad_weather(&flows::MEDIUM, &faults);
}

#[test]
fn a_workspace_is_watched_for_ten_minutes() {
    living::a_living_workspace_is_watched(&living::Life {
        time: Duration::from_mins(10),
        per_second: 20,
        cut_every: Some(Duration::from_secs(30)),
        interval: Duration::from_mins(1),
        lifetimes: [1, 10, 60].map(|seconds| Some(Duration::from_secs(seconds))).into_iter().chain([None]).collect(),
    });
}

#[test]
fn a_workspace_is_followed_for_three_minutes_by_passes_alone() {
    living::a_living_workspace_is_watched(&living::Life {
        time: Duration::from_mins(3),
        per_second: 20,
        cut_every: None,
        interval: Duration::from_secs(5),
        lifetimes: [2, 8, 15].map(|seconds| Some(Duration::from_secs(seconds))).into_iter().chain([None]).collect(),
    });
}
