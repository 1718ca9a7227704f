//! What a pass would ask, told beforehand: the decisions of a pass, taken from the state that it
//! would begin with, without reading any history.
//!
//! What only the server knows costs a plan a few requests of its own: the lists of channels and
//! conversations; for a channel that was never walked its list of files and, from a search that
//! matches everything, the number of its messages. What is new since the last pass, only a pass
//! tells.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::Serialize;

use super::files::{self, FileSight};
use super::pass::{Account, ChannelTask, Options, are_sides_due, changed_history, tripped};
use super::walk::{Reach, resumed};
use super::{Error, audit, page, people, reconcile};
use crate::api::{self, HistoryWindow, wire};
use crate::history::count_between;
use crate::model::{ChannelId, MessageTs, UtcTime};
use crate::record::Kind;
use crate::store::{Change, FIRST_SOURCE, FileRow, Reader, WalkRow};

/// Searches that match every message where a server understands them, the likeliest first.
const EVERYTHING: [&str; 3] = ["after:1970-01-01", "before:2100-01-01", "*"];
/// Channels in which none of them found anything before the search is given up.
const SEARCH_TRIES: usize = 5;
/// What a pass does itself for each request, message and person, the writing included: the release
/// build on two cores that the server shares.
const REQUEST: Duration = Duration::from_micros(400);
const NEW_MESSAGE: Duration = Duration::from_micros(18);
const KNOWN_MESSAGE: Duration = Duration::from_micros(27);
const PERSON: Duration = Duration::from_micros(100);
/// Requests of a pass beside those for channels and files: `auth.test` and the three lists.
const LISTS: u64 = 4;

/// What a pass would ask for.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Plan {
    /// Requests it would send.
    pub requests: u64,
    /// Seconds it would take, to the nearest one and never 0.
    pub seconds: u64,
    /// The same in milliseconds.
    pub duration_ms: u64,
    /// Channels it would walk.
    pub channels: u64,
    /// Channels among them that were never walked to their end: what is said of them is what the
    /// server's search says, or, where it says nothing, one page each.
    pub never_walked: u64,
    /// Messages it would read and compare with what is archived.
    pub messages: u64,
    /// Files it would look at.
    pub files: u64,
    /// Whether more is needed than is said here, because the server does not tell how long the
    /// history of some channel is.
    pub is_lower_bound: bool,
    /// What the figures rest on.
    pub basis: String,
}

/// Predicts a pass with some accounts, at so many requests a second (0: as fast as they are
/// answered), without fetching any history.
pub async fn plan(
    accounts: &[Account],
    store: &Reader,
    options: &Options,
    requests_per_second: f64,
) -> Result<Plan, Error> {
    let mut forecast = Forecast {
        store,
        options,
        now: options.clock.now(),
        walks: store.walks()?,
        known_files: store.file_states(FIRST_SOURCE)?,
        looked_at: HashSet::new(),
        downloaded: HashSet::new(),
        answered: (0, Duration::ZERO),
        longest: 0,
        new_messages: 0,
        plan: Plan::default(),
    };
    for account in accounts {
        forecast.account(account).await?;
    }
    forecast.in_time(requests_per_second)
}

/// A plan under way.
struct Forecast<'a> {
    store: &'a Reader,
    options: &'a Options,
    now: UtcTime,
    walks: Vec<WalkRow>,
    known_files: HashMap<String, FileRow>,
    /// Files that an earlier account of this pass has looked at.
    looked_at: HashSet<String>,
    downloaded: HashSet<String>,
    /// Requests that the plan itself has sent, and how long their answers took together.
    answered: (u64, Duration),
    /// Pages of the history of one channel, at most.
    longest: u64,
    /// Messages of channels of which none is archived.
    new_messages: u64,
    plan: Plan,
}

/// What a server says of a channel that was never walked to its end.
#[derive(Default)]
struct Survey {
    /// Messages; `None` where it does not say.
    messages: Option<u64>,
    /// The newest of them.
    newest: Option<MessageTs>,
    /// Those of the stretch that is held against the feed.
    in_feed: Option<u64>,
    files: BTreeMap<String, FileSight>,
    /// Files that the first page of the list does not hold.
    more_files: u64,
}

/// A search that counts all messages, looked for once for an account.
#[derive(Default)]
struct Counter {
    /// One that found something: the others need not be tried.
    query: Option<&'static str>,
    /// Channels in which nothing was found so far.
    vain: usize,
}

/// What one account's pass would ask for.
#[derive(Default)]
struct Share {
    requests: u64,
    /// Pages of the audit that are due.
    audit: u64,
    /// Files to be looked at, by id.
    files: BTreeMap<String, FileSight>,
    more_files: u64,
}

impl Forecast<'_> {
    async fn account(&mut self, account: &Account) -> Result<(), Error> {
        let meter = account.reader.connection().meter();
        let asked = || [&meter.requests, &meter.answer_micros].map(|count| count.load(Ordering::Relaxed));
        let before = asked();
        let (tasks, lost) = self.tasks(account).await?;
        let mut surveys = self.surveys(account, &tasks).await?;
        let has_feed = self.has_feed(account, &tasks).await?;
        let after = asked();
        self.answered.0 += after[0] - before[0];
        self.answered.1 += Duration::from_micros(after[1] - before[1]);

        let tripped = tripped(self.store, &account.name)?;
        let changed = changed_history(self.store, &account.name)?;
        // A pass asks a server without feeds for one, too.
        let vain = u64::from(has_feed == Some(false));
        let mut share = Share { requests: LISTS + lost + vain, ..Share::default() };
        for task in &tasks {
            self.plan.channels += 1;
            self.plan.never_walked += u64::from(task.walked_until.is_none());
            let survey = surveys.remove(&task.id);
            // Down to the floor of what vanished at once, and to the beginning of what was said to change.
            let beginning = vec![MessageTs::MIN];
            let floors = if changed.contains_key(&task.id) { Some(&beginning) } else { tripped.get(&task.id) };
            self.channel(account, task, survey, floors, has_feed == Some(true), &mut share)?;
        }
        share.requests += share.audit.min(audit::granted(share.requests));
        self.files(&tasks, &mut share)?;
        self.plan.requests += share.requests;
        Ok(())
    }

    /// The channels that a pass would walk, and how many lost ones it would ask after.
    async fn tasks(&self, account: &Account) -> Result<(Vec<ChannelTask>, u64), Error> {
        let channels = account.reader.channels_list().await?;
        let ims = account.reader.im_list().await?;
        let walks: HashMap<&ChannelId, &WalkRow> =
            self.walks.iter().filter(|row| row.account == account.name).map(|row| (&row.channel, row)).collect();
        let channels_seen: Vec<wire::Channel> = channels.items.into_iter().filter_map(|item| item.view).collect();
        let cut_rosters: HashMap<ChannelId, i64> = channels_seen
            .iter()
            .filter(|view| view.roster_is_cut())
            .filter_map(|view| Some((ChannelId::parse(&view.id)?, view.num_members?)))
            .collect();
        let ims_seen = ims.items.into_iter().filter_map(|item| item.view);
        let mut seen: Vec<(String, String, bool)> =
            channels_seen.into_iter().map(|view| (view.id, view.name, false)).collect();
        seen.extend(ims_seen.map(|view| (view.id, view.user, true)));
        for (id, row) in self.store.newest(Kind::Im)? {
            // A conversation that was closed since can still be read (row 28).
            if walks.keys().any(|walked| walked.as_str() == id) {
                let view: Option<wire::Im> = serde_json::from_slice(&self.store.record(row.seq)?.body).ok();
                seen.extend(view.map(|view| (view.id, view.user, true)));
            }
        }
        let mut tasks: BTreeMap<ChannelId, ChannelTask> = BTreeMap::new();
        for (api_id, name, is_im) in seen {
            let Some(id) = ChannelId::parse(&api_id) else { continue };
            let walk = walks.get(&id).copied();
            let cut_roster = cut_rosters.get(&id).copied();
            tasks
                .entry(id.clone())
                .or_insert_with(|| ChannelTask { cut_roster, ..people::task(id, &api_id, &name, is_im, walk) });
        }
        let mut lost = 0;
        for id in walks.keys().filter(|id| channels.is_whole && !tasks.contains_key(**id)) {
            lost += u64::from(!people::is_known_as_lost(self.store, &account.name, id)?);
        }
        let is_wanted = |task: &ChannelTask| {
            !self.options.excludes(task) && self.options.only.as_ref().is_none_or(|only| only.contains(&task.id))
        };
        Ok((tasks.into_values().filter(is_wanted).collect(), lost))
    }

    /// Asks about each channel that was never walked to its end.
    async fn surveys(&self, account: &Account, tasks: &[ChannelTask]) -> Result<HashMap<ChannelId, Survey>, Error> {
        let mut surveys = HashMap::new();
        let mut counter = Counter::default();
        for task in tasks.iter().filter(|task| task.walked_until.is_none()) {
            let mut survey = Survey::default();
            let list = account.reader.files_list(&task.api_id, None, files::PAGE, 1).await;
            if let Some((list, paging)) = unless_refused(list)? {
                for file in list.items.iter().filter_map(|item| item.view.as_ref()) {
                    survey.files.insert(file.id.clone(), FileSight::of(file, &task.id));
                }
                survey.more_files = u64::try_from(paging.total).unwrap_or(0).saturating_sub(list.items.len() as u64);
            }
            if let Some((total, newest)) = counter.count(account, task).await? {
                (survey.messages, survey.newest) = (Some(total), newest);
                if let Some(newest) = newest.filter(|_| reconcile::pages(false, total) > 1) {
                    // The day before the floor, since a search leaves out the day that it names.
                    let floor = reconcile::floor(self.options.full, newest).minus_seconds(24 * 60 * 60);
                    let query = format!("after:{}", floor.time().date_naive());
                    survey.in_feed = ask(account, task, &query).await?.map(|(count, _)| count.min(total));
                }
            }
            surveys.insert(task.id.clone(), survey);
        }
        for survey in surveys.values_mut() {
            // Nothing found is nothing there only where the search is known to find something.
            let has_files = !survey.files.is_empty();
            survey.messages = survey.messages.filter(|total| *total > 0 || counter.query.is_some() && !has_files);
        }
        Ok(surveys)
    }

    /// Whether the server has feeds, asked with bounds between which there is no message; `None`
    /// where a pass would read none.
    async fn has_feed(&self, account: &Account, tasks: &[ChannelTask]) -> Result<Option<bool>, Error> {
        let is_due = |task: &&ChannelTask| self.options.full || reconcile::is_due(&task.standing, self.now);
        let Some(task) = tasks.iter().find(is_due) else { return Ok(None) };
        let window = HistoryWindow { oldest: MessageTs::MAX, latest: MessageTs::MAX, count: 1 };
        let feed = account.reader.channels_atom_history(&task.api_id, window).await;
        Ok(Some(unless_refused(feed)?.is_some()))
    }

    /// What a channel would be asked for: as `walk`, `reconcile`, and the files and pins of a pass.
    fn channel(
        &mut self,
        account: &Account,
        task: &ChannelTask,
        survey: Option<Survey>,
        tripped: Option<&Vec<MessageTs>>,
        has_feed: bool,
        share: &mut Share,
    ) -> Result<(), Error> {
        let is_full = self.options.full;
        let shown = |from, to| -> Result<u64, Error> {
            let archived = count_between(self.store, FIRST_SOURCE, &task.id, from, to)?;
            let unseen = self.store.unseen(&account.name, FIRST_SOURCE, &task.id, from, to)?;
            Ok(archived.saturating_sub(unseen.len() as u64))
        };
        let reach = Reach::due(is_full, task, self.now);
        let resumed = resumed(is_full, task);
        let is_survey = survey.is_some();
        let survey = survey.unwrap_or_default();
        let pin = task.pin.or(survey.newest);

        let (messages, all) = match (is_survey, resumed) {
            (false, _) => {
                let messages = shown(reach.floor(task.pin, tripped), MessageTs::MAX)?;
                (messages, None)
            }
            (true, None) => (survey.messages.unwrap_or(0), survey.messages),
            // Those below the place where it was cut off, and the one at that place.
            (true, Some(walk)) => {
                let read = shown(MessageTs::from_micros(walk.cursor), MessageTs::MAX)?;
                (survey.messages.map_or(0, |all| all.saturating_sub(read) + 1), survey.messages)
            }
        };
        self.plan.is_lower_bound |= is_survey && survey.messages.is_none();
        self.plan.messages += messages;
        self.new_messages += if is_survey { messages } else { 0 };
        self.longest = self.longest.max(page::pages(messages));
        share.requests += page::pages(messages);

        if has_feed && (is_full || reconcile::is_due(&task.standing, self.now)) {
            let messages = match (all, pin) {
                (Some(all), _) => survey.in_feed.unwrap_or(all),
                (None, Some(pin)) => shown(reconcile::floor(is_full, pin), pin)?,
                (None, None) => 0,
            };
            share.requests += reconcile::pages(is_full, messages);
        }
        if is_survey || are_sides_due(is_full, &task.standing, self.now) {
            let is_here = |row: &&FileRow| row.channels.contains(&task.id);
            let archived = self.known_files.values().filter(is_here).count() as u64;
            let files = if is_survey { survey.files.len() as u64 + survey.more_files } else { archived };
            share.requests += files::pages(files) + 1 + u64::from(task.cut_roster.is_some());
        }
        for (id, sight) in survey.files {
            share.files.entry(id).or_default().update(sight);
        }
        share.more_files += survey.more_files;

        let mut standing = task.standing.clone();
        if resumed.is_none() {
            reach.done(&mut standing, self.now);
        }
        if let Some(pin) = pin {
            for (_, ring) in audit::due(&mut standing, self.now) {
                let (floor, top) = ring.left(pin, &mut standing);
                share.audit += page::pages(match all {
                    Some(all) => all,
                    None => shown(floor, top)?,
                });
            }
        }
        Ok(())
    }

    /// What the files of a pass would be asked for: those that are new, wanted or owed, or all.
    fn files(&mut self, tasks: &[ChannelTask], share: &mut Share) -> Result<(), Error> {
        let mut wanted: BTreeSet<String> = std::mem::take(&mut share.files)
            .into_iter()
            .filter(|(id, sight)| self.options.full || files::is_due(self.known_files.get(id), sight))
            .map(|(id, _)| id)
            .collect();
        wanted.extend(self.store.files_wanted(FIRST_SOURCE)?.into_iter().map(|(id, _)| id));
        wanted.extend(self.store.debts()?.into_iter().filter(|debt| debt.kind == "file").map(|debt| debt.key));
        let newest: HashMap<String, _> = self.store.newest(Kind::File)?.into_iter().collect();
        if self.options.full {
            let is_walked = |row: &FileRow| tasks.iter().any(|task| row.channels.contains(&task.id));
            let standing = self.known_files.iter().filter(|(id, row)| {
                is_walked(row) && newest.get(*id).is_none_or(|newest| newest.change != Change::Gone)
            });
            wanted.extend(standing.map(|(id, _)| id.clone()));
        }
        for id in wanted {
            let is_first = self.looked_at.insert(id.clone());
            // What one account has fetched, the next does not look at again.
            if !is_first && self.options.files && !self.options.full {
                continue;
            }
            self.plan.files += u64::from(is_first);
            share.requests += files::comment_pages(self.known_files.get(&id).map_or(0, |row| row.comments));
            let has_bytes = match newest.get(&id) {
                Some(row) => !self.store.record(row.seq)?.header.attachments.is_empty(),
                None => false,
            };
            if self.options.files && !has_bytes && self.downloaded.insert(id) {
                share.requests += 1;
            }
        }
        self.plan.files += share.more_files;
        share.requests += share.more_files * if self.options.files { 2 } else { 1 };
        Ok(())
    }
}

impl Forecast<'_> {
    /// The plan with the time it takes, at so many requests a second or, at 0, without a pace.
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    fn in_time(mut self, requests_per_second: f64) -> Result<Plan, Error> {
        let plan = &mut self.plan;
        let (sent, took) = self.answered;
        let answer = if sent > 0 { took.as_secs_f64() / sent as f64 } else { 0.0 };
        // Channels are walked side by side, the pages of each one after another.
        let wait = (plan.requests as f64 / self.options.connections.max(1) as f64).max(self.longest as f64) * answer;
        let people = self.store.newest(Kind::User)?.len() as f64 * PERSON.as_secs_f64();
        let known = plan.messages.saturating_sub(self.new_messages) as f64 * KNOWN_MESSAGE.as_secs_f64();
        let new = self.new_messages as f64 * NEW_MESSAGE.as_secs_f64();
        let work = plan.requests as f64 * REQUEST.as_secs_f64() + people + known + new;
        let pace = if requests_per_second > 0.0 { plan.requests as f64 / requests_per_second } else { 0.0 };
        let seconds = pace.max(wait + work);
        plan.duration_ms = u64::try_from(Duration::from_secs_f64(seconds).as_millis()).unwrap_or(u64::MAX);
        plan.seconds = (plan.duration_ms.saturating_add(500) / 1000).max(1);
        plan.basis = if pace >= wait + work {
            format!("at {requests_per_second} requests a second")
        } else {
            format!("as fast as the server answered the plan ({:.1} ms) and as such work is done here", answer * 1000.0)
        };
        plan.basis.push_str(
            "; from what is archived and, where nothing is, from the server's lists of files and its search; what is new since the last pass and the bytes of files are not counted",
        );
        if plan.is_lower_bound {
            plan.basis.push_str(
                "; the server does not say how long some histories are: such a channel is counted with one page",
            );
        }
        Ok(self.plan)
    }
}

impl Counter {
    /// How many messages a channel has, and the newest of them; `None` where the server's search
    /// does not say.
    async fn count(&mut self, account: &Account, task: &ChannelTask) -> Result<Option<Found>, Error> {
        if self.query.is_none() && self.vain >= SEARCH_TRIES {
            return Ok(None);
        }
        let mut answer = None;
        for query in EVERYTHING.into_iter().filter(|query| self.query.is_none_or(|known| known == *query)) {
            let found = ask(account, task, query).await?;
            answer = found.or(answer);
            if found.is_some_and(|(total, _)| total > 0) {
                self.query = Some(query);
                return Ok(found);
            }
        }
        self.vain += 1;
        Ok(answer)
    }
}

/// How many messages a search found, and the newest of them.
type Found = (u64, Option<MessageTs>);

/// What a channel's search says; `None` when the server refuses it or answers something else.
async fn ask(account: &Account, task: &ChannelTask, query: &str) -> Result<Option<Found>, Error> {
    let answer = unless_refused(account.reader.search_newest(&task.api_id, query).await)?;
    Ok(answer.and_then(|answer| answer.messages).map(|messages| {
        let total = messages.total.max(messages.paging.unwrap_or_default().total);
        let newest = messages.matches.first().and_then(|found| MessageTs::parse(found["ts"].as_str()?));
        (u64::try_from(total).unwrap_or(0), newest)
    }))
}

/// An answer; `None` when the server does not give this one. That it gives none at all, or none to
/// the account, ends the plan.
fn unless_refused<T>(answer: Result<T, api::Error>) -> Result<Option<T>, Error> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error @ (api::Error::Auth { .. } | api::Error::Unreachable { .. })) => Err(error.into()),
        Err(_) => Ok(None),
    }
}
