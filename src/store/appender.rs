use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, mpsc, oneshot};

use super::change::Batch;
use super::compact::SealLimits;
use super::error::Error;
use super::writer::{Appended, Writer};
use crate::ledger::Checkpoint;
use crate::model::ChannelId;

/// Batches that may wait for the disk. When it is full, those who crawl wait: a slow disk slows
/// the crawl and never grows memory.
const QUEUE: usize = 8;

enum Command {
    Append(Batch, Vec<Turn>, oneshot::Sender<Result<Appended, Error>>),
    StartRun(&'static str, oneshot::Sender<Result<u64, Error>>),
    Checkpoint(oneshot::Sender<Result<Option<Checkpoint>, Error>>),
    Seal(SealLimits, oneshot::Sender<Result<bool, Error>>),
}

/// Sends batches to the writer's thread. Clones share it; it ends when the last is dropped.
#[derive(Clone)]
pub struct Appender {
    commands: mpsc::Sender<Command>,
    turns: Arc<Mutex<HashMap<ChannelId, Arc<AsyncMutex<()>>>>>,
}

/// Held from reading what is known of a channel's messages until what follows from it is durable; see
/// [`Appender::turn`].
pub struct Turn(#[expect(dead_code, reason = "held, not looked at")] OwnedMutexGuard<()>);

/// The writer's thread. [`Self::join`] gives the writer back once every [`Appender`] is dropped.
pub struct WriterThread {
    thread: JoinHandle<Writer>,
}

impl WriterThread {
    /// Waits until all that was sent is done.
    pub fn join(self) -> Result<Writer, Error> {
        self.thread.join().map_err(|_| Error::Stopped)
    }
}

impl Appender {
    /// Moves `writer` to a thread of its own.
    pub fn start(mut writer: Writer) -> (Self, WriterThread) {
        let (commands, mut queue) = mpsc::channel(QUEUE);
        let thread = std::thread::spawn(move || {
            let mut sealing = None;
            while let Some(command) = queue.blocking_recv() {
                // A caller that no longer waits for its answer is none of the writer's business.
                match command {
                    Command::Append(batch, turns, reply) => {
                        let appended = writer.append(batch);
                        drop(turns);
                        drop(reply.send(appended));
                    }
                    Command::StartRun(kind, reply) => drop(reply.send(writer.start_run(kind))),
                    Command::Checkpoint(reply) => drop(reply.send(writer.checkpoint())),
                    Command::Seal(limits, reply) => drop(reply.send(writer.seal_one(limits, &mut sealing))),
                }
            }
            writer
        });
        (Self { commands, turns: Arc::default() }, WriterThread { thread })
    }

    /// Waits for the turn to append to a channel's messages. Whoever numbers a version by what is
    /// known holds it meanwhile: a walk and live events come upon the same message at once.
    ///
    /// Nobody waits for the server with a turn in hand. Only live events take several, in the order
    /// of the channels; everyone else takes one, and gives it to [`Self::append_in_turn`].
    pub async fn turn(&self, channel: &ChannelId) -> Turn {
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(turns.entry(channel.clone()).or_default())
        };
        Turn(turn.lock_owned().await)
    }

    async fn ask<T>(&self, make: impl FnOnce(oneshot::Sender<Result<T, Error>>) -> Command) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(make(reply)).await.map_err(|_| Error::Stopped)?;
        answer.await.map_err(|_| Error::Stopped)?
    }

    /// Appends what hangs on no channel's messages; durable when it returns.
    pub async fn append(&self, batch: Batch) -> Result<Appended, Error> {
        self.append_in_turn(batch, Vec::new()).await
    }

    /// Appends a batch and ends the turns in which it was made; durable when it returns. The turns go
    /// with the batch: whoever is dropped while it waits leaves it in the queue, and who comes next in
    /// the channel must not look before it is written.
    pub async fn append_in_turn(&self, batch: Batch, turns: Vec<Turn>) -> Result<Appended, Error> {
        self.ask(|reply| Command::Append(batch, turns, reply)).await
    }

    /// Notes the start of a run and gives its number.
    pub async fn start_run(&self, kind: &'static str) -> Result<u64, Error> {
        self.ask(|reply| Command::StartRun(kind, reply)).await
    }

    /// Seals one block; `false` when nothing is left to seal. See [`Writer::seal_one`].
    pub async fn seal(&self, limits: SealLimits) -> Result<bool, Error> {
        self.ask(|reply| Command::Seal(limits, reply)).await
    }

    /// Signs the tree as it is; see [`Writer::checkpoint`].
    pub async fn checkpoint(&self) -> Result<Option<Checkpoint>, Error> {
        self.ask(Command::Checkpoint).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Reader;
    use crate::store::tests::{bench, messages, writer};

    #[tokio::test]
    async fn a_turn_lasts_until_its_batch_is_written_though_nobody_waits_for_it() {
        let bench = bench();
        let (appender, thread) = Appender::start(writer(&bench));
        let reader = Reader::open(&bench.layout).unwrap();
        let channel = ChannelId::parse("C1").unwrap();
        for second in 0..20 {
            let turn = appender.turn(&channel).await;
            assert_eq!(reader.head().unwrap(), second, "what was sent in the turn before is known");
            let append = appender.append_in_turn(messages("C1", [second]), vec![turn]);
            // Sent, and then given up.
            tokio::select! {
                biased;
                appended = append => drop(appended.unwrap()),
                () = std::future::ready(()) => {}
            }
        }
        drop(appender);
        thread.join().unwrap();
        assert_eq!(reader.head().unwrap(), 20);
    }
}
