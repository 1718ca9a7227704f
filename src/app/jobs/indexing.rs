use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::app::{Archive, Error};
use crate::index::{self, Indexer};
use crate::store::DerivedReader;

/// What was archived can be found after about so long, or after a few times as long as it took to
/// index the last of it, so that indexing never takes most of the machine.
const PAUSE: Duration = Duration::from_secs(2);
const SHARE: u32 = 4;

type Turned = (Option<Indexer>, Result<u64, Error>);

/// Keeps the index up with an archive that grows. The caller holds the writer's lock.
pub(in crate::app) struct Indexing {
    archive: Archive,
    indexer: Option<Indexer>,
    reached: u64,
    busy: Option<JoinHandle<Turned>>,
    began: Instant,
    next: Instant,
}

impl Indexing {
    /// For an archive. The index is opened when there is something to index.
    pub(in crate::app) fn new(archive: &Archive) -> Self {
        let now = Instant::now();
        Self { archive: archive.clone(), indexer: None, reached: 0, busy: None, began: now, next: now }
    }

    /// Waits until a round of indexing has ended or it is time for the next; begins it when there is
    /// something to index. A failure is told once and what it was about is tried again.
    pub(in crate::app) async fn step(&mut self) -> Result<(), Error> {
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
        let head = self.archive.reader.head()?;
        if head > self.reached {
            self.reached = head;
            self.begin();
        }
        Ok(())
    }

    fn begin(&mut self) {
        self.began = Instant::now();
        let (archive, indexer) = (self.archive.clone(), self.indexer.take());
        self.busy = Some(tokio::task::spawn_blocking(move || round(indexer, &archive)));
    }

    /// Brings the index to the archive's end.
    pub(in crate::app) async fn finish(mut self) -> Result<(), Error> {
        if self.busy.is_some() {
            // What went wrong with it shows again in the last round.
            let _earlier = self.step().await;
        }
        self.begin();
        self.step().await
    }
}

/// Indexes what is new, then reads the text of new files and indexes that: messages are found while a
/// long file is still being read.
fn round(indexer: Option<Indexer>, archive: &Archive) -> Turned {
    let opened = match indexer {
        Some(indexer) => Ok(indexer),
        None => Indexer::open(&archive.layout).map_err(Error::from),
    };
    let caught_up = opened.and_then(|mut indexer| {
        let mut count = 0;
        for is_last in [false, true] {
            if is_last && archive.read_contents(&mut |_, _| {})? == 0 {
                break;
            }
            let derived = DerivedReader::open(&archive.layout)?;
            count += indexer.catch_up(&archive.reader, derived.as_ref(), &mut |_| {})?;
        }
        Ok((indexer, count))
    });
    match caught_up {
        Ok((indexer, count)) if indexer.is_worn() => (None, indexer.close().map(|()| count).map_err(Error::from)),
        Ok((indexer, count)) => (Some(indexer), Ok(count)),
        // One that failed is opened again: what it had not committed is gone.
        Err(error) => (None, Err(error)),
    }
}
