//! The watch: passes on a schedule, live events in between, the index and the checkpoints kept up,
//! until it is told to stop.
//!
//! One loop decides what is done next; one pass at a time is under way. A live connection is opened
//! before the pass that catches up begins, and each time it is opened again another pass begins: what
//! happened while nobody listened was told to nobody (protocol notes 6.7).

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

use super::jobs::indexing::Indexing;
use super::jobs::listening::Listening;
use super::jobs::sealing::Compaction;
use super::jobs::supervisor::Supervisor;
use super::{Archive, Error, Offered};
use crate::api::{self, Connection, Patience};
use crate::config::Environment;
use crate::crawl::{self, Account, Heard, Notice, Options, Summary, Wanted};
use crate::ledger::Checkpoint;
use crate::store::{Appender, Batch, StateChange};

/// What live events gave reason to look at is collected for so long.
const GATHER: Duration = Duration::from_secs(1);
/// The first pass waits no longer than this for live connections.
const CONNECT_WITHIN: Duration = Duration::from_secs(15);
/// A pass that is told to stop ends within this, or is left where it is: the next goes on.
const STOP_WITHIN: Duration = Duration::from_secs(20);
/// How often it is told what was heard, if anything was.
const REPORT_EVERY: Duration = Duration::from_mins(1);

/// How an archive is watched.
#[derive(Debug, Clone)]
pub struct WatchOptions {
    /// From the beginning of one pass to that of the next.
    pub interval: Duration,
    /// From one signed checkpoint to the next.
    pub checkpoint_interval: Duration,
    /// Requests a second instead of those in the settings; 0 is without limit.
    pub rate: Option<f64>,
}

impl Default for WatchOptions {
    fn default() -> Self {
        Self { interval: Duration::from_mins(5), checkpoint_interval: Duration::from_mins(10), rate: None }
    }
}

/// What live events brought since the watch began.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct LiveCounts {
    /// Events kept.
    pub events: u64,
    /// Messages archived from them for the first time.
    pub new: u64,
    /// Further readings of messages.
    pub edited: u64,
    /// Deletions that they told and the server confirmed.
    pub deleted: u64,
    /// From an event's last byte to its being durable: half of them took no longer, in milliseconds.
    pub durable_p50_ms: Option<f64>,
    /// 99 in 100 took no longer.
    pub durable_p99_ms: Option<f64>,
}

/// Something that a watch has to tell.
#[derive(Debug)]
pub enum WatchEvent<'a> {
    /// It works.
    Ready {
        /// All accounts.
        accounts: Vec<String>,
        /// Those that are listened with.
        live: Vec<String>,
    },
    /// An account's live connection is open.
    Connected(&'a str),
    /// It ended and is opened again.
    Disconnected(&'a str, &'a api::Error),
    /// An account can't be listened with any more.
    Refused(&'a str, &'a crawl::Error),
    /// A pass ended.
    Pass(&'a Summary),
    /// A pass could not be made; the next is made when it is time.
    Failed(&'a Error),
    /// What an account's events gave reason to look at was looked at, and something was new.
    Looked(&'a str, &'a Summary),
    /// What was heard so far.
    Live(LiveCounts),
    /// The tree was signed.
    Checkpoint(&'a Checkpoint),
    /// A keeper of checkpoints was offered one.
    Offered(&'a Offered),
    /// The index could not be brought up; it is tried again.
    IndexFailed(&'a Error),
    /// It was told to stop and ends what is under way.
    Stopping,
}

/// Told what happens; `false` when nobody listens any more and the watch is to end.
pub trait Audience {
    /// Takes an event.
    fn tell(&mut self, event: WatchEvent<'_>) -> bool;
}

impl<F: FnMut(WatchEvent<'_>) -> bool> Audience for F {
    fn tell(&mut self, event: WatchEvent<'_>) -> bool {
        self(event)
    }
}

/// One thing under way, and what came of it.
type Work<'a> = Pin<Box<dyn Future<Output = Done> + 'a>>;

/// Checkpoints on their way to their keepers, and what those said.
type Offering<'a> = Pin<Box<dyn Future<Output = Result<Vec<Offered>, Error>> + 'a>>;

enum Done {
    Pass(Result<Summary, Error>),
    Touch(String, Wanted, Result<Summary, crawl::Error>),
}

/// Watches until `stop` is there (a second time: at once) or the archive can't be written any more.
/// What live events brought, when it was told to stop.
pub async fn watch(
    archive: &Archive,
    environment: &Environment,
    options: &WatchOptions,
    audience: &mut dyn Audience,
    stop: impl AsyncFn(),
) -> Result<LiveCounts, Error> {
    let connection = archive.connect(Patience::default(), options.rate)?;
    // Who is enrolled may change at any time; that nobody is at the beginning is a mistake.
    archive.accounts(&[], &connection)?;
    let (appender, thread) = archive.write()?;
    let supervisor = Supervisor::new(environment.notify_socket.as_ref(), environment.watchdog);
    let run = appender.start_run("watch").await?;
    let mut watch = Watch {
        archive,
        options,
        audience,
        supervisor,
        listening: Listening::new(&appender, run),
        appender: &appender,
        connection: &connection,
        stop: Arc::default(),
        run,
        deleted: 0,
        told: LiveCounts::default(),
        waiting: BTreeSet::new(),
        catch_up: BTreeSet::new(),
        next_pass: Instant::now(),
        touched: BTreeMap::new(),
        is_touch_next: false,
        is_audience_gone: false,
    };
    let outcome = watch.run(&stop).await;
    let counts = watch.counts();
    watch.supervisor.say("STOPPING=1");
    watch.listening.stop().await;
    let ended = async {
        outcome?;
        let at = archive.clock.now();
        let (result, summary) = ("complete".to_owned(), serde_json::to_string(&counts).unwrap_or_default());
        let ended = StateChange::RunEnded { run, at, result, summary };
        appender.checkpoint().await?;
        appender.append(Batch { records: Vec::new(), changes: vec![ended] }).await?;
        let offered = tokio::select! {
            offered = archive.offer(&appender) => offered?,
            () = stop() => Vec::new(),
        };
        for one in &offered {
            watch.audience.tell(WatchEvent::Offered(one));
        }
        Ok::<_, Error>(())
    };
    let ended = ended.await;
    drop(appender);
    // The lock goes with the writer, when all that was sent to it is done.
    drop(tokio::task::spawn_blocking(move || thread.join()).await.map_err(|_| crate::store::Error::Stopped)??);
    ended?;
    Ok(counts)
}

struct Watch<'a> {
    archive: &'a Archive,
    options: &'a WatchOptions,
    audience: &'a mut dyn Audience,
    supervisor: Supervisor,
    listening: Listening,
    appender: &'a Appender,
    connection: &'a Arc<Connection>,
    /// Passes end at the next possible place once it is set.
    stop: Arc<AtomicBool>,
    run: u64,
    deleted: u64,
    /// What was last told of live events.
    told: LiveCounts,
    /// Accounts whose live connections the first pass waits for.
    waiting: BTreeSet<String>,
    /// Accounts whose connections were opened since their last pass began.
    catch_up: BTreeSet<String>,
    next_pass: Instant,
    /// When what an account's events told was last looked at.
    touched: BTreeMap<String, Instant>,
    /// After a pass, hints come first, or passes that follow each other would starve them.
    is_touch_next: bool,
    is_audience_gone: bool,
}

impl<'a> Watch<'a> {
    async fn run(&mut self, stop: &impl AsyncFn()) -> Result<(), Error> {
        let accounts = self.archive.accounts(&[], self.connection)?;
        let live = self.listening.tend(self.archive, &accounts)?;
        self.waiting = live.iter().cloned().collect();
        let accounts = accounts.into_iter().map(|account| account.name).collect();
        self.tell(WatchEvent::Ready { accounts, live });
        self.supervisor.say("READY=1");

        let mut indexing = Indexing::new(self.archive);
        let (mut compaction, appender) = (Compaction::new(), self.appender);
        let mut checkpoint = interval(self.options.checkpoint_interval.max(Duration::from_secs(1)));
        let mut report = interval(REPORT_EVERY);
        // Half the time that is allowed, as sd_watchdog_enabled(3) advises.
        let every = self.supervisor.watchdog.map_or(Duration::from_hours(1), |limit| limit / 2);
        let mut alive = interval(every.max(Duration::from_millis(10)));
        for ticks in [&mut checkpoint, &mut report, &mut alive] {
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks.reset();
        }
        let connect_until = Instant::now() + CONNECT_WITHIN;
        let mut work: Option<Work<'a>> = None;
        // Beside everything else: a keeper that does not answer holds up nothing.
        let mut offering: Option<Offering<'a>> = None;
        let mut stopped = Box::pin(stop());
        loop {
            if work.is_none() && (self.waiting.is_empty() || Instant::now() >= connect_until) {
                self.waiting.clear();
                work = self.next()?;
            }
            let is_idle = work.is_none();
            let wake = if self.waiting.is_empty() { self.wake() } else { connect_until };
            tokio::select! {
                () = &mut stopped => break,
                Some(notice) = self.listening.notices.recv() => self.notice(notice)?,
                done = async { work.as_mut().expect("it is there").await }, if work.is_some() => {
                    work = None;
                    self.done(done)?;
                }
                () = sleep_until(wake), if is_idle => {}
                outcome = indexing.step() => {
                    if let Err(error) = outcome {
                        self.tell(WatchEvent::IndexFailed(&error));
                    }
                }
                outcome = compaction.step(appender), if is_idle => {
                    if let Err(error) = outcome {
                        tracing::warn!(%error, "what is archived can't be packed more tightly; `verify` says more");
                    }
                }
                _ = checkpoint.tick() => {
                    self.checkpoint().await?;
                    if offering.is_none() {
                        let (archive, appender) = (self.archive, self.appender);
                        offering = Some(Box::pin(archive.offer(appender)));
                    }
                }
                offered = async { offering.as_mut().expect("it is there").await }, if offering.is_some() => {
                    offering = None;
                    self.offered(&offered?);
                }
                _ = report.tick() => self.report(),
                _ = alive.tick() => self.alive().await?,
            }
            if self.is_audience_gone {
                break;
            }
        }
        self.tell(WatchEvent::Stopping);
        self.stop.store(true, Ordering::Relaxed);
        if let Some(work) = work {
            let last = tokio::select! {
                last = timeout(STOP_WITHIN, work) => last.ok(),
                () = stop() => None,
            };
            if let Some(done) = last {
                self.done(done)?;
            }
        }
        if let Some(offering) = offering {
            tokio::select! {
                offered = offering => self.offered(&offered?),
                () = stop() => {}
            }
        }
        self.report();
        indexing.finish().await?;
        Ok(())
    }

    /// What is done next, if it is time for anything.
    fn next(&mut self) -> Result<Option<Work<'a>>, Error> {
        let is_due = Instant::now() >= self.next_pass || !self.catch_up.is_empty();
        if is_due && !(self.is_touch_next && self.ripe().is_some()) {
            return self.pass();
        }
        let Some(name) = self.ripe() else { return Ok(None) };
        self.is_touch_next = false;
        self.touch(name)
    }

    /// A pass with all accounts when it is time for one, else with those that have to catch up.
    fn pass(&mut self) -> Result<Option<Work<'a>>, Error> {
        self.is_touch_next = true;
        let is_regular = Instant::now() >= self.next_pass;
        let mut accounts = self.accounts()?;
        let begun = self.listening.tend(self.archive, &accounts)?;
        // Those that are connecting now are walked once they are.
        if is_regular {
            self.next_pass = Instant::now() + self.options.interval;
        } else {
            accounts.retain(|account| self.catch_up.contains(&account.name));
        }
        self.catch_up.retain(|name| begun.contains(name));
        if accounts.is_empty() {
            return Ok(None);
        }
        let (archive, appender, options) = (self.archive, self.appender, self.crawl_options()?);
        Ok(Some(Box::pin(async move { Done::Pass(archive.passes(&accounts, &options, &(), appender).await) })))
    }

    /// Those that are enrolled now.
    fn accounts(&self) -> Result<Vec<Account>, Error> {
        match self.archive.accounts(&[], self.connection) {
            Err(Error::NoAccount(_)) => Ok(Vec::new()),
            other => other,
        }
    }

    /// The account whose hints have waited long enough.
    fn ripe(&self) -> Option<String> {
        let is_ripe = |name: &String| self.touched.get(name).is_none_or(|last| last.elapsed() >= GATHER);
        self.listening.hints().find(|(name, hints)| is_ripe(name) && hints.has_some()).map(|(name, _)| name.clone())
    }

    /// When to look again whether it is time for something.
    fn wake(&self) -> Instant {
        if self.listening.hints().any(|(_, hints)| hints.has_some()) {
            return (Instant::now() + GATHER / 4).min(self.next_pass);
        }
        // Hints that come meanwhile are looked at soon.
        if self.listening.hints().next().is_some() {
            (Instant::now() + GATHER).min(self.next_pass)
        } else {
            self.next_pass
        }
    }

    fn touch(&mut self, name: String) -> Result<Option<Work<'a>>, Error> {
        self.touched.insert(name.clone(), Instant::now());
        let Some((_, hints)) = self.listening.hints().find(|(account, _)| **account == name) else { return Ok(None) };
        let wanted = hints.take();
        if wanted.is_too_much {
            self.catch_up.insert(name);
            return Ok(None);
        }
        let found: Vec<Account> = match self.archive.accounts(std::slice::from_ref(&name), self.connection) {
            Err(Error::UnknownAccount(_)) => Vec::new(),
            other => other?,
        };
        let Some(account) = found.into_iter().next() else { return Ok(None) };
        let (reader, appender, run, options) = (&self.archive.reader, self.appender, self.run, self.crawl_options()?);
        Ok(Some(Box::pin(async move {
            let outcome = crawl::touch(&account, &wanted, reader, appender, &options, run).await;
            Done::Touch(name, wanted, outcome)
        })))
    }

    fn crawl_options(&self) -> Result<Options, Error> {
        Ok(Options { checkpoint: false, stop: Arc::clone(&self.stop), ..self.archive.crawl_options()? })
    }

    fn done(&mut self, done: Done) -> Result<(), Error> {
        match done {
            Done::Pass(Ok(summary)) => {
                self.tell(WatchEvent::Pass(&summary));
                // An account that was signed in again is listened with from now on.
                let accounts = self.accounts()?;
                self.listening.tend(self.archive, &accounts)?;
            }
            Done::Pass(Err(error @ (Error::Store(_) | Error::Crawl(crawl::Error::Store(_))))) => return Err(error),
            Done::Touch(_, _, Err(crawl::Error::Store(error))) => return Err(error.into()),
            Done::Pass(Err(error)) => self.tell(WatchEvent::Failed(&error)),
            Done::Touch(name, _, Ok(summary)) => {
                self.deleted += summary.messages.deleted;
                if summary.records.added > 0 {
                    self.tell(WatchEvent::Looked(&name, &summary));
                }
            }
            // The pass after the next sign-in looks at everything.
            Done::Touch(_, _, Err(crawl::Error::Server(api::Error::Auth { .. }))) => {}
            Done::Touch(name, wanted, Err(error)) => {
                tracing::info!(account = name, %error, "what live events told could not be looked at");
                if let Some((_, hints)) = self.listening.hints().find(|(account, _)| **account == name) {
                    hints.add(wanted);
                }
                // Not at once: the server has just failed.
                self.touched.insert(name, Instant::now() + self.options.interval.min(Duration::from_secs(10)));
            }
        }
        Ok(())
    }

    fn notice(&mut self, notice: Notice) -> Result<(), Error> {
        match notice {
            Notice::Connected(name) => {
                self.tell(WatchEvent::Connected(&name));
                self.waiting.remove(&name);
                self.catch_up.insert(name);
            }
            Notice::Disconnected(name, error) => {
                self.tell(WatchEvent::Disconnected(&name, &error));
                self.waiting.remove(&name);
            }
            Notice::Refused(name, error) => {
                self.tell(WatchEvent::Refused(&name, &error));
                self.waiting.remove(&name);
                // A pass signs it in again, where that can be done without a person.
                self.catch_up.insert(name);
            }
            Notice::Failed(error) => return Err(error.into()),
        }
        Ok(())
    }

    async fn checkpoint(&mut self) -> Result<(), Error> {
        if let Some(checkpoint) = self.appender.checkpoint().await? {
            self.tell(WatchEvent::Checkpoint(&checkpoint));
        }
        Ok(())
    }

    fn offered(&mut self, offered: &[Offered]) {
        for one in offered {
            self.tell(WatchEvent::Offered(one));
        }
    }

    /// Says that it lives, once the writer has answered: a watch whose disk hangs is as good as dead.
    async fn alive(&mut self) -> Result<(), Error> {
        if self.supervisor.watchdog.is_some() {
            self.appender.append(Batch::default()).await?;
            self.supervisor.say("WATCHDOG=1");
        }
        Ok(())
    }

    fn counts(&self) -> LiveCounts {
        let heard: &Heard = &self.listening.heard;
        LiveCounts {
            events: heard.events.load(Ordering::Relaxed),
            new: heard.new.load(Ordering::Relaxed),
            edited: heard.edited.load(Ordering::Relaxed),
            deleted: self.deleted,
            durable_p50_ms: heard.delay_ms(0.5),
            durable_p99_ms: heard.delay_ms(0.99),
        }
    }

    fn report(&mut self) {
        let counts = self.counts();
        if counts != self.told {
            self.told = counts.clone();
            self.tell(WatchEvent::Live(counts));
        }
    }

    fn tell(&mut self, event: WatchEvent<'_>) {
        self.is_audience_gone |= !self.audience.tell(event);
    }
}
