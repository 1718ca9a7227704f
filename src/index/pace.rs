//! Holds indexing to so many records a second.

use std::time::{Duration, Instant};

/// Holds work back to so many steps a second.
#[derive(Debug)]
pub(super) struct Pace {
    per_second: Option<u32>,
    began: Instant,
    done: u32,
}

impl Pace {
    pub(super) fn unlimited() -> Self {
        Self::new(None)
    }

    pub(super) fn new(per_second: Option<u32>) -> Self {
        Self { per_second: per_second.filter(|rate| *rate > 0), began: Instant::now(), done: 0 }
    }

    /// Counts a step and waits for its time.
    pub(super) fn count(&mut self) {
        let Some(per_second) = self.per_second else { return };
        self.done += 1;
        if self.done < per_second.div_ceil(10) {
            return;
        }
        let due = Duration::from_secs_f64(f64::from(self.done) / f64::from(per_second));
        while let Some(rest) = due.checked_sub(self.began.elapsed()).filter(|rest| !rest.is_zero()) {
            std::thread::park_timeout(rest);
        }
        self.began = Instant::now();
        self.done = 0;
    }
}
