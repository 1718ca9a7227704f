//! The checks of the archive that are asked for from a page: one at a time, beside the pages, and what the last
//! one gave for as long as this process runs.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::model::{Clock, UtcTime};
use crate::store::Error;
use crate::verify::{Depth, Report};

/// Checks that are remembered.
const PAST: usize = 30;

/// Checks the archive and tells how far it came: what is done, and of how much.
pub type Check = dyn Fn(Depth, &mut dyn FnMut(u64, u64)) -> Result<Report, Error> + Send + Sync;

/// A check under way.
#[derive(Debug, Clone)]
pub(super) struct Running {
    pub(super) depth: Depth,
    pub(super) by: String,
    pub(super) began: UtcTime,
    pub(super) done: u64,
    pub(super) all: u64,
}

/// A check that ended.
#[derive(Debug, Clone)]
pub(super) struct Checked {
    pub(super) depth: Depth,
    pub(super) by: String,
    pub(super) began: UtcTime,
    pub(super) ended: UtcTime,
    /// What it found, or why it came to no end.
    pub(super) outcome: Result<Report, String>,
}

#[derive(Default)]
struct State {
    running: Option<(Depth, String, UtcTime)>,
    /// Those that ended, the last one at the end.
    past: VecDeque<Arc<Checked>>,
}

/// What is checked and was checked.
pub(super) struct Checks {
    check: Arc<Check>,
    clock: Clock,
    /// Since when results are kept.
    since: UtcTime,
    state: Arc<Mutex<State>>,
    progress: Arc<(AtomicU64, AtomicU64)>,
}

/// Ends a check, whatever becomes of it: the next one may begin.
struct Ending {
    state: Arc<Mutex<State>>,
    clock: Clock,
    outcome: Option<Result<Report, String>>,
}

impl Ending {
    fn with(mut self, outcome: Result<Report, Error>) {
        self.outcome = Some(outcome.map_err(|error| error.to_string()));
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((depth, by, began)) = state.running.take() {
            let outcome = self.outcome.take().unwrap_or_else(|| Err("the check panicked".to_owned()));
            let ended = self.clock.now();
            if state.past.len() == PAST {
                state.past.pop_front();
            }
            state.past.push_back(Arc::new(Checked { depth, by, began, ended, outcome }));
        }
    }
}

impl Checks {
    pub(super) fn new(check: Arc<Check>, clock: Clock) -> Self {
        Self { check, since: clock.now(), clock, state: Arc::default(), progress: Arc::default() }
    }

    /// Since when results are kept.
    pub(super) fn since(&self) -> UtcTime {
        self.since
    }

    /// The check under way and the last one that ended.
    pub(super) fn state(&self) -> (Option<Running>, Option<Arc<Checked>>) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let running = state.running.clone().map(|(depth, by, began)| Running {
            depth,
            by,
            began,
            done: self.progress.0.load(Ordering::Relaxed),
            all: self.progress.1.load(Ordering::Relaxed),
        });
        (running, state.past.back().cloned())
    }

    /// Those that ended before the last one, the newest first.
    pub(super) fn earlier(&self) -> Vec<Arc<Checked>> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.past.iter().rev().skip(1).cloned().collect()
    }

    /// Begins a check on a thread of its own; `false` while another one runs. It reads only, and needs no end:
    /// when the process ends, so does it.
    pub(super) fn start(&self, depth: Depth, by: String) -> bool {
        {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if state.running.is_some() {
                return false;
            }
            state.running = Some((depth, by, self.clock.now()));
        }
        self.progress.0.store(0, Ordering::Relaxed);
        self.progress.1.store(0, Ordering::Relaxed);
        let (check, progress) = (Arc::clone(&self.check), Arc::clone(&self.progress));
        let ending = Ending { state: Arc::clone(&self.state), clock: self.clock.clone(), outcome: None };
        drop(tokio::task::spawn_blocking(move || {
            let outcome = check(depth, &mut |done, all| {
                progress.0.store(done, Ordering::Relaxed);
                progress.1.store(all, Ordering::Relaxed);
            });
            ending.with(outcome);
        }));
        true
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::verify::Checked as Count;

    fn report(findings: Vec<crate::verify::Finding>) -> Report {
        Report {
            ok: findings.is_empty(),
            checked: Count::default(),
            findings,
            notes: Vec::new(),
            key: "unpinned".to_owned(),
            accepted: Vec::new(),
        }
    }

    async fn ended(checks: &Checks) -> Arc<Checked> {
        loop {
            if let (None, Some(last)) = checks.state() {
                return last;
            }
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn one_check_runs_at_a_time_and_a_panic_holds_nothing_up() {
        let (go, may_go) = mpsc::channel::<bool>();
        let may_go = Mutex::new(may_go);
        let check: Arc<Check> = Arc::new(move |_, progress| {
            progress(3, 9);
            assert!(may_go.lock().unwrap().recv().unwrap(), "as it was told");
            Ok(report(Vec::new()))
        });
        let checks = Checks::new(check, Clock::set(1000));
        assert!(checks.state().0.is_none() && checks.state().1.is_none());
        assert!(checks.start(Depth::Quick, "ada".to_owned()));
        assert!(!checks.start(Depth::Sample(9), "eve".to_owned()));
        while checks.state().0.unwrap().all == 0 {
            tokio::task::yield_now().await;
        }
        let running = checks.state().0.unwrap();
        assert_eq!((running.done, running.all, running.by.as_str(), running.depth), (3, 9, "ada", Depth::Quick));
        go.send(true).unwrap();
        let last = ended(&checks).await;
        assert!(last.outcome.as_ref().unwrap().ok && last.by == "ada");
        assert!(checks.start(Depth::Quick, "eve".to_owned()));
        // A panic inside leaves the lock poisoned and is told as what it is.
        go.send(false).unwrap();
        while checks.state().1.unwrap().by != "eve" {
            tokio::task::yield_now().await;
        }
        assert_eq!(checks.state().1.unwrap().outcome.as_ref().unwrap_err(), "the check panicked");
        assert_eq!(checks.earlier().iter().map(|before| before.by.as_str()).collect::<Vec<_>>(), ["ada"]);
        assert!(checks.state().0.is_none());
    }
}
