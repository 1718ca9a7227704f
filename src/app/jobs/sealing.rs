use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::store::{Appender, Error, SealLimits};

/// The first time comes when a watch has long settled, the next a day later: what a day brings is soon
/// packed, and pages that are freed meanwhile are filled by what comes next.
const FIRST: Duration = Duration::from_hours(1);
const EVERY: Duration = Duration::from_hours(24);

/// Packs what is archived more tightly, a block at a time, while there is nothing else to do.
pub(in crate::app) struct Compaction {
    next: Instant,
}

impl Compaction {
    pub(in crate::app) fn new() -> Self {
        Self { next: Instant::now() + FIRST }
    }

    /// Waits until it is time, then seals one block. Each is a command of its own to the writer, so that
    /// what is heard live waits for one block at most. A failure ends this day's work: it is told, and
    /// nothing was changed by it.
    pub(in crate::app) async fn step(&mut self, appender: &Appender) -> Result<(), Error> {
        sleep_until(self.next).await;
        let outcome = appender.seal(SealLimits::default()).await;
        if !matches!(outcome, Ok(true)) {
            self.next = Instant::now() + EVERY;
        }
        outcome.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Reader;
    use crate::store::tests::{bench, messages, writer};

    #[tokio::test(start_paused = true)]
    async fn a_watch_packs_once_a_day() {
        let bench = bench();
        let mut first = writer(&bench);
        for number in 0..300 {
            first.append(messages("C1", [number])).unwrap();
        }
        let (appender, thread) = Appender::start(first);
        let blocks = || {
            let blocks = Reader::open(&bench.layout).unwrap().blocks(0, 1000).unwrap();
            blocks.iter().map(|block| block.records.len()).collect::<Vec<usize>>()
        };
        let began = Instant::now();
        let mut compaction = Compaction::new();
        compaction.step(&appender).await.unwrap();
        assert!(began.elapsed() >= FIRST);
        assert_eq!((blocks().len(), blocks()[0]), (45, 256));
        // That nothing is left is found out at once; then a day goes by.
        compaction.step(&appender).await.unwrap();
        appender.append(messages("C1", 300..520)).await.unwrap();
        compaction.step(&appender).await.unwrap();
        assert!(began.elapsed() >= FIRST + EVERY);
        assert_eq!(blocks()[..2], [256, 256]);
        drop(appender);
        drop(thread.join().unwrap());
    }
}
