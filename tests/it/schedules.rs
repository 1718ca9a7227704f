//! Whatever people and the server do, and whenever a pass dies, the archive ends as the truth.

pub(crate) mod play;
pub(crate) mod town;

/// How many schedules are played here; the soak target plays more.
const SCHEDULES: u64 = 100;

#[test]
fn after_any_schedule_the_archive_is_the_truth_and_no_deletion_is_invented() {
    play::play_all(SCHEDULES);
}
