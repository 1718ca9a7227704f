//! How long a search may take. One that is out of time says so; it gives no part of an answer.

use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::Error;

/// How long a search may take before it is refused: an answer that is not whole is never given.
const LONGEST: Duration = Duration::from_secs(10);
/// Steps between two looks at the clock.
const STEPS: u32 = 4096;

const RUNNING: u8 = 0;
const LATE: u8 = 1;
const CROWDED: u8 = 2;

/// What a search may use. The engine's scorers cannot fail: they end early and say so here, and the
/// searcher asks before it believes a result.
#[derive(Debug)]
pub(super) struct Budget {
    until: Instant,
    steps: AtomicU32,
    state: AtomicU8,
}

impl Budget {
    pub(super) fn new() -> Self {
        Self { until: Instant::now() + LONGEST, steps: AtomicU32::new(0), state: AtomicU8::new(RUNNING) }
    }

    /// Counts a step; `false` when the search has to end.
    pub(super) fn go_on(&self) -> bool {
        if self.steps.fetch_add(1, Ordering::Relaxed).is_multiple_of(STEPS) && Instant::now() > self.until {
            self.state.fetch_max(LATE, Ordering::Relaxed);
        }
        self.state.load(Ordering::Relaxed) == RUNNING
    }

    /// A document holds too many matching stretches to look at all of them.
    pub(super) fn is_crowded(&self) {
        self.state.fetch_max(CROWDED, Ordering::Relaxed);
    }

    /// Whether all was looked at.
    pub(super) fn check(&self) -> Result<(), Error> {
        match self.state.load(Ordering::Relaxed) {
            RUNNING => Ok(()),
            CROWDED => Err(Error::TooBroad(
                "the words stand near each other in too many ways in one text; ask for a smaller distance".to_owned(),
            )),
            _ => Err(Error::TooBroad(format!(
                "the search was not finished within {} seconds; narrow it, by a channel or a date for instance",
                LONGEST.as_secs()
            ))),
        }
    }
}
