//! Random schedules: people post, edit, delete, whisper, comment, come and go, the server misbehaves,
//! passes die, and after each pass nothing in the archive is untrue; when the weather clears, one or
//! two more passes make it the whole truth.
//!
//! All that happens is drawn from dice that the schedule's number throws, at each request of a pass.
//! The moment of a death, and the order of requests that are under way at once, depend on the
//! machine all the same: a number plays alike, and not always the same.

use std::panic::AssertUnwindSafe;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use teamchat_archive::crawl::Options;
use teamchat_archive::sandbox::{Fault, Running};

use super::town::{ANN, BOB, EVA, ROOMS, TALKS, Town, full, outcome_problems};
use crate::support::{Session, canonical};

/// Plays one schedule alone, by its number.
const ONE: &str = "TEAMCHAT_SCHEDULE";

/// A small generator (xorshift64*), so that a schedule can be played again from its number.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let mixed = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(mixed).unwrap() % limit.max(1)
    }

    pub(crate) fn pick<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        if list.is_empty() { None } else { Some(&list[self.below(list.len())]) }
    }

    pub(crate) fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }
}

/// What may go wrong during a schedule.
const WEATHER: &[Fault] = &[
    Fault::Error500,
    Fault::Reset,
    Fault::TruncatedJson,
    Fault::BrokenJson,
    Fault::PageDrift,
    Fault::SilentHasMore,
    Fault::Unordered,
    Fault::TsTie,
    Fault::DstRepeat,
    Fault::CounterWrap,
    Fault::TicketExpiry,
    Fault::ErrorAsHtml,
    Fault::InvalidUtf8,
    Fault::MembershipLoss,
    Fault::TokenRevoked,
    Fault::RateLimit,
    Fault::LostEvent,
    Fault::DuplicateEvent,
    Fault::RtmCut,
];

/// Lets a fault come, or all go.
fn weather(dice: &mut Dice, running: &Running, is_spoilt: &mut bool) -> String {
    if dice.one_in(3) {
        clear(running);
        return "clear".to_owned();
    }
    let fault = WEATHER[dice.below(WEATHER.len())];
    let rate = match fault {
        // It asks for a whole second.
        Fault::RateLimit => 0.01,
        Fault::TokenRevoked => 0.02,
        _ => [0.05, 0.2, 0.5, 1.0][dice.below(4)],
    };
    *is_spoilt |= fault == Fault::InvalidUtf8;
    running.set_fault(fault, rate);
    format!("{} {rate}", fault.name())
}

fn clear(running: &Running) {
    for fault in WEATHER {
        running.set_fault(*fault, 0.0);
    }
}

/// Ids that were made on the way.
#[derive(Default)]
struct Made {
    comments: Vec<String>,
    files: Vec<String>,
    removed: Vec<String>,
}

/// One random change of the workspace; what it refuses (a message that is gone) is no change. Nothing
/// comes back and no channel goes while a pass is under way, so that what was recorded as deleted
/// during it is deleted at its end, and what was not removed with its channel.
fn change(dice: &mut Dice, running: &Running, made: &mut Made, step: usize, is_during: bool) -> String {
    let workspace = running.workspace();
    let people = [ANN, BOB, EVA];
    let user = people[dice.below(people.len())];
    let other = people[dice.below(people.len())];
    let place = *dice.pick(&[&ROOMS[..], &TALKS[..]].concat()).unwrap();
    let room = ROOMS[dice.below(ROOMS.len())];
    let author = if let Some((one, two)) = place.split_once('-') {
        let name = if dice.one_in(2) { one } else { two };
        *people.iter().find(|person| person.starts_with(name)).unwrap()
    } else {
        user
    };
    let items = workspace.truth();
    let (at, ts) = dice.pick(&items).map(|item| (item.channel.clone(), item.ts.clone())).unwrap();
    let words = format!("step {step}");
    let what = dice.below(23);
    let done = match what {
        0..=2 => workspace.post(place, author, &words).map(drop),
        3 => workspace.whisper(room, user, other, &words).map(drop),
        4 | 5 => workspace.edit(&at, &ts, None, &words),
        6 | 7 => workspace.delete(&at, &ts, None),
        8 if !is_during => {
            let is_lost = |channel: &str| made.removed.contains(&canonical(channel));
            let gone: Vec<_> = items.iter().filter(|item| item.state == "deleted" && !is_lost(&item.channel)).collect();
            dice.pick(&gone).map_or(Ok(()), |item| workspace.restore(&item.channel, &item.ts))
        }
        9 => workspace.react(&at, &ts, user, ["tea", "wave"][dice.below(2)]),
        10 => workspace.unreact(&at, &ts, user),
        11 => match dice.pick(&made.files) {
            Some(file) => workspace.comment(file, user, &words).map(|id| made.comments.push(id)),
            None => Ok(()),
        },
        12 => dice.pick(&made.comments).map_or(Ok(()), |id| workspace.edit_comment(id, &words)),
        13 => dice.pick(&made.comments).map_or(Ok(()), |id| workspace.delete_comment(id)),
        14 => workspace
            .upload(place, author, &format!("{step}.txt"), words.clone().into_bytes())
            .map(|(id, _)| made.files.push(id)),
        15 => dice.pick(&made.files).map_or(Ok(()), |file| workspace.replace_file(file, words.clone().into_bytes())),
        16 => {
            let is_global = dice.one_in(2);
            workspace.pin(&at, &ts, user, is_global).or_else(|_| workspace.unpin(&at, &ts, user))
        }
        17 => workspace.leave(room, user).or_else(|_| workspace.join(room, user)),
        18 => workspace.join(room, user),
        19 => workspace.comment_message(&at, &ts, user, &words).map(drop),
        20 => workspace.set_topic(room, user, &words),
        21 => dice.pick(&made.files).map_or(Ok(()), |file| workspace.delete_file(file)),
        _ => match dice.below(4) {
            0 => workspace.rename_user(user, &format!("Person {step}")),
            1 => {
                let rooms = workspace.channels();
                let (id, _) = dice.pick(&rooms).unwrap();
                workspace.rename_channel(id, &format!("room-{step}"))
            }
            2 => workspace.archive_channel(room),
            _ if is_during => Ok(()),
            _ => workspace.remove_channel(room).map(|()| {
                let gone = items.iter().find(|item| item.text == format!("{room} line 0"));
                made.removed.extend(gone.map(|item| canonical(&item.channel)));
            }),
        },
    };
    let outcome = done.map_or_else(|refusal| refusal.0.to_owned(), |()| "done".to_owned());
    format!("{what} {place}/{room} {at}/{ts} {author}: {outcome}")
}

/// Plays one schedule; what went wrong, with what had happened until then.
async fn play(number: u64) -> Result<(), String> {
    let mut dice = Dice::new(number);
    // One in ten has a channel of more than one page.
    let size = if number % 10 == 9 { 1100 } else { 9 };
    let people = [&[ANN][..], &[EVA], &[ANN, EVA], &[EVA, ANN]][dice.below(4)];
    let mut town = Town::new(size, people).await;
    let names: Vec<String> = people.iter().map(|&user| user.to_owned()).collect();
    let mut made = Made { files: vec!["plan".to_owned(), "list".to_owned()], ..Made::default() };
    let mut log = vec![format!("accounts {people:?}, {size} messages")];
    let mut step = 0;
    // One after the other the requests come in one order: such a schedule plays alike each time.
    let connections = if dice.one_in(4) { 4 } else { 1 };
    let has_weather = !dice.one_in(4);
    // One in three is listened to as well, as in a watch.
    let is_live = number % 3 == 2;
    let mut session: Option<Session> = None;
    for _ in 0..2 + dice.below(4) {
        if is_live && session.is_none() {
            session = Some(town.archive.session(&town.accounts).await);
        }
        for _ in 0..dice.below(12) {
            step += 1;
            // Sometimes events come one by one, sometimes many at once.
            if dice.one_in(2) {
                tokio::task::yield_now().await;
            }
            log.push(change(&mut dice, &town.running, &mut made, step, false));
        }
        town.removed.extend(made.removed.iter().cloned());
        if has_weather && dice.one_in(2) {
            log.push(weather(&mut dice, &town.running, &mut town.is_spoilt));
        }
        let options = Options {
            full: dice.one_in(3),
            budget: dice.one_in(5).then_some(Duration::ZERO),
            connections,
            ..Options::default()
        };
        let alone = dice.one_in(2).then(|| dice.below(people.len()));
        let accounts = match alone {
            Some(at) => town.accounts[at..=at].to_vec(),
            None => town.accounts.clone(),
        };
        let mut life = if dice.one_in(3) { dice.below(250) } else { usize::MAX };
        let is_busy = dice.one_in(2);
        let running = &town.running;
        let mut during = Vec::new();
        let mut is_spoilt = town.is_spoilt;
        // What happens meanwhile happens between a request and its answer.
        let meter = &accounts[0].reader.connection().meter().requests;
        let mut asked = meter.load(Ordering::Relaxed);
        let watch = || {
            while is_busy && asked < meter.load(Ordering::Relaxed) {
                asked += 1;
                if dice.one_in(8) {
                    step += 1;
                    during.push(change(&mut dice, running, &mut made, step, true));
                }
                if has_weather && dice.one_in(12) {
                    during.push(weather(&mut dice, running, &mut is_spoilt));
                }
            }
            life = life.saturating_sub(1);
            life > 0
        };
        let outcome = match &session {
            Some(session) => session.pass(&accounts, &options, watch).await,
            None => town.archive.crawl_watched(&accounts, &options, watch).await,
        };
        town.is_spoilt = is_spoilt;
        if let Some(open) = session.take() {
            if outcome.is_none() {
                open.die().await;
            } else {
                if dice.one_in(2) {
                    let looked = open.touch(&town.accounts, &options).await;
                    log.push(format!("looked at what was told: {:?}", looked.map(|all| all.len())));
                }
                if dice.one_in(4) {
                    open.end().await;
                } else {
                    session = Some(open);
                }
            }
        }
        clear(&town.running);
        town.sign_in_again();
        let said = match &outcome {
            None => "died".to_owned(),
            Some(Ok(summary)) => format!("{}, {} debts, {:?}", summary.result, summary.debts, summary.findings),
            Some(Err(error)) => error.to_string(),
        };
        log.extend(during.into_iter().map(|line| format!("    {line}")));
        let names: Vec<&str> = accounts.iter().map(|account| account.name.as_str()).collect();
        log.push(format!("crawl {names:?} full={} budget={:?}: {said}", options.full, options.budget));
        let mut problems = town.audit(&town.removed.clone());
        problems.extend(outcome.iter().flat_map(|outcome| outcome_problems(outcome, true)));
        if !problems.is_empty() {
            return Err(told(number, "after this pass", &problems, &log));
        }
    }

    if let Some(open) = session {
        open.end().await;
        let problems = town.audit(&town.removed.clone());
        if !problems.is_empty() {
            return Err(told(number, "after the last that was heard", &problems, &log));
        }
    }
    // The weather clears, and one of the accounts or all of them find all that they can know. The first pass may be told that much vanished at once, and wait for a second.
    let mut results = Vec::new();
    let names = if dice.one_in(3) { vec![dice.pick(&names).unwrap().clone()] } else { names };
    for round in 0..2 {
        let mut outcomes = Vec::new();
        if names.len() == people.len() && dice.one_in(2) {
            outcomes.push(town.crawl(&full()).await);
        } else {
            for name in &names {
                outcomes.push(town.crawl_as(name, &full()).await);
            }
        }
        results = outcomes;
        log.push(format!("full crawl {round}: {results:?}"));
        let problems = town.audit(&town.removed.clone());
        if !problems.is_empty() {
            return Err(told(number, "after a full pass", &problems, &log));
        }
        town.note_shown(&names).await;
    }
    let mut problems = town.differences(&names).await;
    for result in results {
        match result {
            Ok(summary) if summary.result == "complete" => {}
            // A channel that was lost stays a gap, and there is nothing else.
            Ok(summary) if summary.debts == 0 && summary.gaps > 0 && town.lacks_only_what_was_lost() => {}
            // What another account owes, this one can't pay.
            Ok(_) if names.len() < people.len() => {}
            other => problems.push(format!("in fair weather the second full pass gave {other:?}; {:?}", town.owed())),
        }
    }
    if !problems.is_empty() {
        return Err(told(number, "at the end", &problems, &log));
    }
    let before = town.records().len();
    for name in &names {
        town.crawl_as(name, &full()).await.map_err(|error| error.to_string())?;
    }
    let records = town.records();
    let new = &records[before..];
    if !new.is_empty() {
        let problems: Vec<String> =
            new.iter().map(|record| format!("{:?} {}", record.header, String::from_utf8_lossy(&record.body))).collect();
        return Err(told(number, "a pass in which nothing changed added records", &problems, &log));
    }
    if number.is_multiple_of(10) {
        town.archive.check();
    } else {
        town.archive.check_records();
    }
    town.stop().await;
    Ok(())
}

fn told(number: u64, when: &str, problems: &[String], log: &[String]) -> String {
    format!(
        "schedule {number} ({ONE}={number} plays it alone), {when}:\n  {}\n{}\n",
        problems.join("\n  "),
        log.join("\n")
    )
}

/// Plays a schedule on a runtime of its own.
fn run(number: u64) -> Result<(), String> {
    let play = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(play(number))
    };
    std::panic::catch_unwind(AssertUnwindSafe(play)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(format!("schedule {number} ({ONE}={number} plays it alone) panicked: {}", text.unwrap_or_default()))
    })
}

/// Plays so many schedules, two for each core at once, and tells of all that fail.
pub(crate) fn play_all(count: u64) {
    let one: Option<u64> = std::env::var(ONE).ok().map(|number| number.parse().unwrap());
    let (first, end) = one.map_or((0, count), |number| (number, number + 1));
    let next = AtomicU64::new(first);
    let failed: Mutex<Vec<(u64, String)>> = Mutex::default();
    // Half of its time a schedule waits for its server.
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) * 2;
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= end {
                        return;
                    }
                    if let Err(told) = run(number) {
                        failed.lock().unwrap().push((number, told));
                    }
                }
            });
        }
    });
    let mut failed = failed.into_inner().unwrap();
    failed.sort();
    let numbers: Vec<u64> = failed.iter().map(|(number, _)| *number).collect();
    let texts: Vec<&str> = failed.iter().map(|(_, text)| text.as_str()).take(10).collect();
    assert!(
        failed.is_empty(),
        "{} of {} schedules failed: {numbers:?}; the first ten:\n{}",
        failed.len(),
        end - first,
        texts.join("\n")
    );
}
