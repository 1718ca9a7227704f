//! A workspace that lives while it is watched: people post, edit and delete many times a second, the
//! live connection is cut again and again, and what was archived is held against what was said.
//! `make test` lets it live for seconds, the soak target for minutes.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::{Duration, Instant};

use serde_json::Value;
use teamchat_archive::sandbox::{self, generate};
use teamchat_archive::store::{Layout, Reader};

use super::harness::{DONE, INCOMPLETE, Place, Server, Started, aloud, number};
use crate::support::{World, assert_are_reads, canonical, differences, fold, methods_called};

/// How a workspace lives.
pub(crate) struct Life {
    /// For how long.
    pub(crate) time: Duration,
    /// Posts, edits and deletions a second.
    pub(crate) per_second: u32,
    /// The live connection is cut this often; `None`: nobody listens, and the archive is fed by passes
    /// alone.
    pub(crate) cut_every: Option<Duration>,
    /// From the beginning of one pass to the next.
    pub(crate) interval: Duration,
    /// How long messages live, in turn; `None`: for good.
    pub(crate) lifetimes: Vec<Option<Duration>>,
}

/// The event of what was said is on its way for no longer than this.
const DELIVERY: Duration = Duration::from_secs(1);

/// Something said, and when.
struct Saying {
    text: String,
    at: Instant,
    /// The connection was open.
    is_heard: bool,
}

struct Said {
    channel: String,
    ts: String,
    class: usize,
    readings: Vec<Saying>,
    lived: Option<Duration>,
}

/// Memory of a process, in MB, without the files that it looks into; `None` once it has ended.
pub(crate) fn memory_of(process: &Started) -> Option<u64> {
    let status = fs_err::read_to_string(format!("/proc/{}/status", process.child.id())).ok()?;
    let line = status.lines().find(|line| line.starts_with("RssAnon:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024)
}

/// Lets time pass.
pub(crate) fn pause(server: &Server, time: Duration) {
    server.runtime.block_on(async { tokio::time::sleep(time).await });
}

/// Lets the workspace live; what was said, when the connection was cut, and memory as it went.
fn live(life: &Life, server: &Server, process: &Started) -> (Vec<Said>, Vec<Instant>, Vec<u64>) {
    let workspace = server.running.workspace();
    let channels = workspace.channels();
    let mut said: Vec<Said> = Vec::new();
    let mut due: BinaryHeap<Reverse<(Instant, usize, bool)>> = BinaryHeap::new();
    let (mut cuts, mut memory) = (Vec::new(), Vec::new());
    let began = Instant::now();
    let mut cut_at = life.cut_every.map(|every| began + every);
    let mut memory_at = began;
    let mut tick = 0_u32;
    while began.elapsed() < life.time {
        let next = began + Duration::from_secs(1) * tick / life.per_second;
        pause(server, next.saturating_duration_since(Instant::now()));
        tick += 1;
        let now = Instant::now();
        if cut_at.is_some_and(|at| now >= at) {
            cuts.push(now);
            workspace.cut_sockets();
            cut_at = life.cut_every.map(|every| now + every);
        }
        if now >= memory_at {
            memory.extend(memory_of(process));
            memory_at = now + life.time / 60;
        }
        let is_heard = workspace.open_sockets() > 0;
        if due.peek().is_some_and(|Reverse((at, ..))| *at <= now) {
            let Reverse((_, place, is_edit)) = due.pop().unwrap();
            let message = &mut said[place];
            if is_edit {
                let text = format!("message {place}, edited {tick}");
                workspace.edit(&message.channel, &message.ts, None, &text).unwrap();
                message.readings.push(Saying { text, at: now, is_heard });
            } else {
                workspace.delete(&message.channel, &message.ts, None).unwrap();
                message.lived = Some(now - message.readings[0].at);
            }
            continue;
        }
        let place = said.len();
        let (channel, _) = &channels[place % channels.len().min(5)];
        let text = format!("message {place}");
        let ts = workspace.post(channel, &server.ready.username, &text).unwrap();
        let class = place % life.lifetimes.len();
        if let Some(lifetime) = life.lifetimes[class] {
            due.push(Reverse((now + lifetime, place, false)));
        }
        if place.is_multiple_of(3) {
            let after = life.lifetimes[class].map_or(Duration::from_secs(2), |lifetime| lifetime / 2);
            due.push(Reverse((now + after, place, true)));
        }
        let readings = vec![Saying { text, at: now, is_heard }];
        said.push(Said { channel: channel.clone(), ts, class, readings, lived: None });
    }
    (said, cuts, memory)
}

/// Watches a workspace while it lives, and holds what was archived against what was said.
pub(crate) fn a_living_workspace_is_watched(life: &Life) {
    let options = sandbox::Options { control: true, ..sandbox::Options::default() };
    let server = Server::with(generate::seed(500, 7), options);
    let place = Place::new();
    place.run(&["init", "--server", &server.ready.url]).expect(DONE);
    let password = place.file("password", &server.ready.password);
    let mut login = vec!["login", "--username", &server.ready.username, "--password-file", &password];
    login.extend(life.cut_every.map(|_| "--live"));
    place.run(&login).expect(DONE);
    let interval = format!("{}s", life.interval.as_secs());
    let watch = place.start(&["watch", "--json", "--interval", &interval]);
    let reader = |place: &Place| Reader::open(&Layout::new(place.archive())).unwrap();
    while reader(&place).walks().unwrap().iter().all(|walk| walk.walked_until.is_none()) {
        pause(&server, Duration::from_millis(50));
    }
    let (said, cuts, memory) = live(life, &server, &watch);
    // What was said last is heard, too.
    pause(&server, DELIVERY * 2);
    watch.terminate();
    let outcome = watch.finish();
    assert!([DONE, INCOMPLETE].contains(&outcome.code), "{outcome}");
    let lines: Vec<Value> = outcome.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().any(|line| line["event"] == "stopping"), "{outcome}");
    assert_eq!(number(&place.status(), "/index/lag"), 0, "the index holds all that was added");

    let archived = fold(&reader(&place));
    let passes: Vec<u64> =
        lines.iter().filter(|line| line["run"].is_u64()).map(|pass| number(pass, "/duration_ms")).collect();
    let longest = Duration::from_millis(passes.iter().copied().max().unwrap_or_default());
    // Whether each of them must be archived: it was told while the connection held, or, where nobody
    // listened, it lived until a pass that began after it came to its end.
    let was_cut = |at: Instant| cuts.iter().any(|cut| *cut >= at && *cut < at + DELIVERY);
    let is_due = |message: &Said, reading: &Saying| match life.cut_every {
        Some(_) => reading.is_heard && !was_cut(reading.at),
        None => {
            reading.text == message.readings.last().unwrap().text
                && message.lived.is_some_and(|lived| {
                    lived > life.interval + longest + reading.at.duration_since(message.readings[0].at)
                })
        }
    };
    let mut counts: BTreeMap<usize, (u64, u64)> = BTreeMap::new();
    let mut missing = Vec::new();
    for message in &said {
        let found = archived.get(&canonical(&message.channel)).and_then(|channel| channel.get(&message.ts));
        for reading in message.readings.iter().filter(|reading| is_due(message, reading)) {
            let is_there = found.is_some_and(|found| found.versions.contains(&reading.text));
            let count = counts.entry(message.class).or_default();
            count.0 += 1;
            count.1 += u64::from(is_there);
            if !is_there {
                missing.push(format!("{} {:?}, which lived {:?}", message.ts, reading.text, message.lived));
            }
        }
    }
    let kinds: Vec<String> = counts
        .iter()
        .map(|(class, (due, caught))| format!("{:?}: {caught} of {due}", life.lifetimes[*class]))
        .collect();
    let heard = lines.iter().rev().find(|line| line["event"] == "live").cloned().unwrap_or_default();
    aloud(&format!(
        "lived {:?}, {} messages said, {} cuts, {} passes (the longest {longest:?}); readings caught of those due, by lifetime: {}; live: {heard}; memory in MB: {memory:?}",
        life.time,
        said.len(),
        cuts.len(),
        passes.len(),
        kinds.join(", ")
    ));
    let (due, caught) = counts.values().fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1));
    assert!(due > 0, "nothing was due");
    if life.cut_every.is_some() {
        assert_eq!(missing, Vec::<String>::new(), "{caught} of {due} caught");
        assert!(heard["durable_p99_ms"].as_f64().unwrap() <= 2000.0, "{heard}");
        assert!(!cuts.is_empty() && lines.iter().filter(|line| line["event"] == "connected").count() > cuts.len() / 2);
    } else {
        assert!(caught * 100 >= due * 99, "{caught} of {due} caught; {missing:?}");
    }
    // Flat: what it takes at the end it took in the middle, as far as an allocator can be held to that.
    let (middle, end) = (memory[memory.len() / 2], *memory.last().unwrap());
    assert!(end <= middle + middle / 5 + 30, "memory grows: {memory:?}");

    // After the next walk the archive is the truth.
    place.crawl();
    let visible = server.runtime.block_on(World::of(&server.running).visible());
    let problems = differences(&fold(&reader(&place)), &server.running, &visible, true);
    assert_eq!(problems, Vec::<String>::new());
    let methods = server.runtime.block_on(methods_called(&server.running));
    assert_are_reads(&methods);
    assert_eq!(methods.contains("rtm.start"), life.cut_every.is_some());
    let reader = reader(&place);
    for block in reader.blocks(0, usize::MAX >> 1).unwrap() {
        for record in block.records {
            let text = String::from_utf8_lossy(&record.body).into_owned();
            for secret in [&server.ready.token, &server.ready.password] {
                assert!(!text.contains(secret.as_str()), "a secret stands in {:?}", record.header);
            }
        }
    }
    place.verified();
}
