use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

/// How hard a server may be asked (contract, "Politeness").
#[derive(Debug, Clone, Copy)]
pub struct Politeness {
    /// Requests a second; 0: as fast as it answers (for one's own server).
    pub requests_per_second: f64,
    /// Requests under way at once.
    pub connections: usize,
}

impl Default for Politeness {
    fn default() -> Self {
        Self { requests_per_second: 10.0, connections: 4 }
    }
}

/// Answer times that are remembered.
const WINDOW: usize = 20;

/// One limit for everything that is asked of one server: a pace, a number of connections, and
/// pauses that the server asks for. When the median answer takes twice as long as it did at
/// first, the pace is halved until it recovers.
#[derive(Debug)]
pub(super) struct Limiter {
    interval: Option<Duration>,
    slots: Semaphore,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    next: Instant,
    recent: VecDeque<Duration>,
    baseline: Option<Duration>,
    slow: u32,
}

impl Limiter {
    pub(super) fn new(politeness: Politeness) -> Self {
        let rate = politeness.requests_per_second;
        Self {
            interval: (rate > 0.0).then(|| Duration::from_secs_f64(1.0 / rate)),
            slots: Semaphore::new(politeness.connections.max(1)),
            state: Mutex::new(State { next: Instant::now(), recent: VecDeque::new(), baseline: None, slow: 1 }),
        }
    }

    /// Waits for a connection and for the next place in the pace.
    pub(super) async fn enter(&self) -> SemaphorePermit<'_> {
        let permit = self.slots.acquire().await.expect("the semaphore is never closed");
        while let Some(at) = self.place() {
            tokio::time::sleep_until(at).await;
            // A paced call has taken its place; unpaced ones look whether the pause was prolonged.
            if self.interval.is_some() {
                break;
            }
        }
        permit
    }

    /// Takes the next place in the pace, or says until when to wait.
    fn place(&self) -> Option<Instant> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let at = state.next.max(now);
        if at == now || self.interval.is_some() {
            state.next = at + self.interval.unwrap_or_default() * state.slow;
        }
        (at > now).then_some(at)
    }

    /// Holds everything back for `pause`, as a `Retry-After` asks.
    pub(super) fn pause(&self, pause: Duration) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.next = state.next.max(Instant::now() + pause);
    }

    /// Notes how long an answer took.
    pub(super) fn answered(&self, took: Duration) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.recent.push_back(took);
        if state.recent.len() < WINDOW {
            return;
        }
        let mut sorted: Vec<Duration> = state.recent.drain(..).collect();
        sorted.sort();
        let median = sorted[WINDOW / 2];
        // Below this a doubling is the noise of a quick server, not a sign of distress.
        let baseline = *state.baseline.get_or_insert(median.max(Duration::from_millis(20)));
        if median > baseline * 2 {
            state.slow = (state.slow * 2).min(16);
        } else if median < baseline * 3 / 2 {
            state.slow = (state.slow / 2).max(1);
        }
    }

    /// By how much the pace is stretched at present.
    pub(super) fn slowed_by(&self) -> u32 {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).slow
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn calls_keep_the_pace() {
        let limiter = Limiter::new(Politeness { requests_per_second: 10.0, connections: 4 });
        let start = Instant::now();
        for _ in 0..11 {
            drop(limiter.enter().await);
        }
        assert_eq!(start.elapsed().as_millis(), 1000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_holds_back_everyone_even_without_a_pace() {
        let limiter = Limiter::new(Politeness { requests_per_second: 0.0, connections: 4 });
        let start = Instant::now();
        drop(limiter.enter().await);
        assert_eq!(start.elapsed(), Duration::ZERO);
        limiter.pause(Duration::from_secs(7));
        drop(limiter.enter().await);
        assert_eq!(start.elapsed().as_secs(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_in_distress_is_asked_less_and_then_more_again() {
        let limiter = Limiter::new(Politeness::default());
        let feed = |ms| (0..WINDOW).for_each(|_| limiter.answered(Duration::from_millis(ms)));
        feed(50);
        assert_eq!(limiter.slowed_by(), 1);
        feed(120);
        assert_eq!(limiter.slowed_by(), 2);
        feed(120);
        assert_eq!(limiter.slowed_by(), 4);
        feed(50);
        feed(50);
        assert_eq!(limiter.slowed_by(), 1);
    }
}
