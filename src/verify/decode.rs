use std::collections::{BTreeMap, HashMap, VecDeque};
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, PoisonError};

use crate::index::is_searched_in_stream;
use crate::ledger::{ArchiveId, SpanSecret};
use crate::model::{Digest, RecordSeq};
use crate::record::Kind;
use crate::store::{Block, BlockOpener, BlockRow, Error, Reader, SPAN, leaf_hash};

/// Rows read in one go.
const ROWS: usize = 16;
/// Blocks under way for each thread: the bound on memory, with [`ROWS`].
const AHEAD: usize = 8;

/// What leaves are computed with.
pub(super) struct Means<'a> {
    pub(super) archive: ArchiveId,
    /// Secrets by span; a span without one has no leaves.
    pub(super) secrets: &'a HashMap<u64, SpanSecret>,
    pub(super) dictionaries: &'a HashMap<i64, Vec<u8>>,
}

/// A block, decoded and hashed.
pub(super) struct Opened {
    /// Its row, without its bytes.
    pub(super) row: BlockRow,
    pub(super) block: Result<Block, Error>,
    /// The leaf of each record, where it could be computed.
    pub(super) leaves: Vec<Option<Digest>>,
    /// Ids of the comments that stand in the stream of a channel.
    pub(super) in_stream: Vec<String>,
}

/// Decodes and hashes every block on all cores and hands them to `each` in the order of the archive.
pub(super) fn blocks(
    reader: &Reader,
    means: &Means<'_>,
    each: &mut dyn FnMut(Opened) -> Result<(), Error>,
) -> Result<(), Error> {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let (work, queue) = channel::<(usize, BlockRow)>();
    let (sender, done) = channel();
    let queue = Mutex::new(queue);
    std::thread::scope(|scope| {
        // Moved in, so that the threads see the end of the work whichever way this closure ends.
        let work = work;
        for _ in 0..threads {
            let (queue, sender) = (&queue, sender.clone());
            scope.spawn(move || {
                let mut opener = BlockOpener::new(means.dictionaries);
                while let Some((place, row)) = next(queue) {
                    if sender.send((place, open(means, &mut opener, row))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut rows = Rows { reader, after: None, read: VecDeque::new() };
        // Blocks come back in any order; what came early waits here.
        let mut early: BTreeMap<usize, Opened> = BTreeMap::new();
        let (mut sent, mut taken) = (0, 0);
        loop {
            // No more are under way than this, so that neither channel grows beyond it.
            while sent - taken < threads * AHEAD
                && let Some(row) = rows.next()?
            {
                work.send((sent, row)).map_err(|_| Error::Stopped)?;
                sent += 1;
            }
            if taken == sent {
                return Ok(());
            }
            while !early.contains_key(&taken) {
                let (place, opened) = done.recv().map_err(|_| Error::Stopped)?;
                early.insert(place, opened);
            }
            if let Some(opened) = early.remove(&taken) {
                each(opened)?;
            }
            taken += 1;
        }
    })
}

fn next(queue: &Mutex<Receiver<(usize, BlockRow)>>) -> Option<(usize, BlockRow)> {
    queue.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

/// The rows of blocks in order, read some at a time: no read of the database lasts long.
struct Rows<'a> {
    reader: &'a Reader,
    after: Option<u64>,
    read: VecDeque<BlockRow>,
}

impl Rows<'_> {
    fn next(&mut self) -> Result<Option<BlockRow>, Error> {
        if self.read.is_empty() {
            self.read = self.reader.block_rows(self.after, ROWS)?.into();
        }
        let row = self.read.pop_front();
        if let Some(row) = &row {
            self.after = Some(row.first);
        }
        Ok(row)
    }
}

fn open(means: &Means<'_>, opener: &mut BlockOpener<'_>, mut row: BlockRow) -> Opened {
    let first = row.first;
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let block = opener.open(&row)?;
        let leaves = (first..).zip(&block.records).map(|(seq, record)| {
            means
                .secrets
                .get(&(seq / SPAN))
                .and_then(|secret| leaf_hash(&means.archive, secret, RecordSeq(seq), record))
        });
        let leaves = leaves.collect();
        let messages = block.records.iter().filter(|record| record.header.kind == Kind::Message);
        let in_stream = messages.filter_map(is_searched_in_stream).collect();
        Ok((block, leaves, in_stream))
    }));
    row.bytes = Vec::new();
    // A block made so that reading it fails in a way that nobody thought of is a damaged block.
    let opened = opened.unwrap_or_else(|_| {
        Err(Error::Corrupt { seq: RecordSeq(first), detail: "its block breaks whoever reads it".to_owned() })
    });
    match opened {
        Ok((block, leaves, in_stream)) => Opened { row, block: Ok(block), leaves, in_stream },
        Err(error) => Opened { row, block: Err(error), leaves: Vec::new(), in_stream: Vec::new() },
    }
}
