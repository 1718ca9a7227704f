//! SIGKILL in the middle of a crawl loses nothing and leaves nothing twice.

use teamchat_archive::sandbox::generate;

use super::flows;

/// How many messages the workspace has; the soak target uses a real corpus instead.
const MESSAGES: usize = 20_000;
const SEED: u64 = 20_260_722;

#[test]
fn a_crawl_killed_at_any_moment_goes_on_to_the_same_archive() {
    flows::a_killed_crawl_goes_on(|| generate::seed(MESSAGES, SEED));
}
