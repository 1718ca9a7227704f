use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::index::{self, Indexer};
use crate::store::{Layout, Reader};

/// What was archived can be found after about so long, or after a few times as long as it took to
/// index the last of it, so that indexing never takes most of the machine.
const PAUSE: Duration = Duration::from_secs(2);
const SHARE: u32 = 4;

type Turned = (Option<Indexer>, Result<u64, index::Error>);

/// Keeps the index up with an archive that grows. The caller holds the writer's lock.
pub(in crate::app) struct Indexing {
    layout: Layout,
    reader: Reader,
    indexer: Option<Indexer>,
    reached: u64,
    busy: Option<JoinHandle<Turned>>,
    began: Instant,
    next: Instant,
}

impl Indexing {
    /// For the archive of `reader`. The index is opened when there is something to index.
    pub(in crate::app) fn new(reader: &Reader) -> Self {
        let now = Instant::now();
        let layout = reader.layout().clone();
        Self { layout, reader: reader.clone(), indexer: None, reached: 0, busy: None, began: now, next: now }
    }

    /// Waits until a round of indexing has ended or it is time for the next; begins it when there is
    /// something to index. A failure is told once and what it was about is tried again.
    pub(in crate::app) async fn step(&mut self) -> Result<(), index::Error> {
        if let Some(busy) = &mut self.busy {
            let turned = busy.await;
            self.busy = None;
            self.next = Instant::now() + PAUSE.max(self.began.elapsed() * SHARE);
            let (indexer, outcome) = turned.map_err(|_| index::Error::Engine("its thread ended".to_owned()))?;
            self.indexer = indexer;
            outcome?;
            return Ok(());
        }
        tokio::time::sleep_until(self.next).await;
        self.next = Instant::now() + PAUSE;
        let head = self.reader.head()?;
        if head > self.reached {
            self.reached = head;
            self.begin();
        }
        Ok(())
    }

    fn begin(&mut self) {
        self.began = Instant::now();
        let (layout, reader, indexer) = (self.layout.clone(), self.reader.clone(), self.indexer.take());
        self.busy = Some(tokio::task::spawn_blocking(move || round(indexer, &layout, &reader)));
    }

    /// Brings the index to the archive's end.
    pub(in crate::app) async fn finish(mut self) -> Result<(), index::Error> {
        if self.busy.is_some() {
            // What went wrong with it shows again in the last round.
            let _earlier = self.step().await;
        }
        self.begin();
        self.step().await
    }
}

fn round(indexer: Option<Indexer>, layout: &Layout, reader: &Reader) -> Turned {
    let opened = match indexer {
        Some(indexer) => Ok(indexer),
        None => Indexer::open(layout),
    };
    match opened.and_then(|mut indexer| indexer.catch_up(reader, &mut |_| {}).map(|count| (indexer, count))) {
        Ok((indexer, count)) if indexer.is_worn() => (None, indexer.close().map(|()| count)),
        Ok((indexer, count)) => (Some(indexer), Ok(count)),
        // One that failed is opened again: what it had not committed is gone.
        Err(error) => (None, Err(error)),
    }
}
