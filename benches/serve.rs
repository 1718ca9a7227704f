//! What the pages take: in a channel of very many messages, and in searches of a corpus of real chat.
//!
//! `cargo bench --bench serve` makes two archives with the program itself, keeps them below `target/tmp` for later
//! runs, serves each on a port of its own and asks as a browser does, signed in, over HTTP; every view is written to
//! the access log first, as always. It prints median, 99th percentile and longest of each page, the time until
//! `serve` is ready, and its memory. `TEAMCHAT_BENCH_MESSAGES` says how many messages the channel has (default
//! 1000000), `TEAMCHAT_DATA` names the folder of corpora (default `../shared/data`), `TEAMCHAT_BENCH_CORPUS` the
//! corpus of the searches (default `large`; empty: no searches).
//!
//! Searches come at a fixed rate, and one that has to wait for the one before it counts from when it was due.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark that fails stops, and prints what it measured"
)]

#[path = "../tests/it/cli/harness.rs"]
#[expect(dead_code, reason = "shared with the integration tests, which use the rest")]
mod harness;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use harness::{DONE, Place, Server, Started, number, string};
use serde_json::Value;
use teamchat_archive::sandbox::seed::Seed;
use teamchat_archive::sandbox::{corpus, generate};

const PASSWORD: &str = "correct horse battery";
/// How often each page of the channel is asked for, each time at another place.
const TIMES: usize = 300;
/// Searches a second, how many of them in all for each query, and over how many connections.
const RATE: u32 = 20;
const SEARCHES: u32 = 200;
const CONNECTIONS: u32 = 2;
/// The generator's history ends here, a Monday in August 2026, and every week before it has messages.
const END: u64 = 1_788_134_400;
const WEEK: u64 = 7 * 86_400;

fn main() {
    drop(rustls::crypto::ring::default_provider().install_default());
    let count = std::env::var("TEAMCHAT_BENCH_MESSAGES").map_or(1_000_000, |text| text.parse().unwrap());
    let data = std::env::var_os("TEAMCHAT_DATA").map_or_else(|| PathBuf::from("../shared/data"), PathBuf::from);
    let corpus = std::env::var("TEAMCHAT_BENCH_CORPUS").unwrap_or_else(|_| "large".to_owned());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let place = archive(&format!("channel-{count}"), || one_channel(count));
    runtime.block_on(channel(&place, count));
    if !corpus.is_empty() {
        let place = archive(&corpus, || corpus::load(&data.join(&corpus)).unwrap());
        runtime.block_on(searches(&place));
    }
}

/// The messages of a generated workspace, all in its first channel, where everybody is a member.
fn one_channel(count: usize) -> Seed {
    let mut seed = generate::seed(count, 1);
    seed.channels.truncate(1);
    let channel = &mut seed.channels[0];
    channel.members = seed.users.iter().map(|user| user.email.clone()).collect();
    for message in &mut seed.messages {
        message.channel.clone_from(&channel.key);
    }
    for file in &mut seed.files {
        file.channels = vec![channel.key.clone()];
    }
    seed.later.clear();
    seed.chatter.clear();
    seed
}

/// An archive that is made once, with an account that sees all of it.
fn archive(name: &str, seed: impl FnOnce() -> Seed) -> Place {
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-serve").join(name);
    let mut place = Place::new();
    for (variable, folder) in [("TEAMCHAT_ARCHIVE", "archive"), ("TEAMCHAT_ARCHIVE_KEYS_DIR", "keys")] {
        place.extra.push((variable.to_owned(), kept.join(folder).to_str().unwrap().to_owned()));
    }
    let whole = kept.join("whole");
    if !whole.exists() {
        if kept.exists() {
            fs_err::remove_dir_all(&kept).unwrap();
        }
        fs_err::create_dir_all(&kept).unwrap();
        let start = Instant::now();
        let server = Server::start(seed());
        place.enrol(&server.ready);
        let mut run = place.start(&["crawl", "--json"]);
        while !run.ends_within(Duration::from_mins(1)) {}
        run.finish().expect(DONE);
        let password = place.file("bench-password", &format!("{PASSWORD}\n"));
        place.run(&["user", "add", "bench", "--role", "auditor", "--password-file", &password]).expect(DONE);
        println!("{name}: made in {:.0} s", start.elapsed().as_secs_f64());
        fs_err::write(whole, "").unwrap();
    }
    place
}

/// `serve` under way, and a reader who is signed in.
struct Reader {
    serving: Started,
    url: String,
    cookie: String,
    clients: Vec<reqwest::Client>,
}

impl Reader {
    async fn start(place: &Place) -> Self {
        let start = Instant::now();
        let mut serving = place.start(&["serve", "--listen", "127.0.0.1:0", "--json"]);
        let ready: Value = serde_json::from_str(&serving.line()).unwrap();
        let took = start.elapsed().as_secs_f64() * 1e3;
        println!("\n{} records; ready in {took:.0} ms", number(&place.status(), "/records"));
        let url = string(&ready, "/url").trim_end_matches('/').to_owned();
        let client = || {
            let none = reqwest::redirect::Policy::none();
            reqwest::Client::builder().no_proxy().redirect(none).pool_max_idle_per_host(1).build().unwrap()
        };
        let clients: Vec<_> = (0..CONNECTIONS).map(|_| client()).collect();
        let form = [("username", "bench"), ("password", PASSWORD)];
        let answer = clients[0].post(format!("{url}/login")).form(&form).send().await.unwrap();
        assert_eq!(answer.status(), 303);
        let cookie = answer.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        Self { serving, url, cookie, clients }
    }

    /// A page, by the connection of that number, and how long it took to its last byte.
    async fn get(&self, connection: u32, path: &str) -> (String, Duration) {
        let start = Instant::now();
        let request = self.clients[connection as usize].get(format!("{}{path}", self.url));
        let answer = request.header("cookie", &self.cookie).send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert_eq!(status, 200, "{path}: {text}");
        (text, start.elapsed())
    }

    fn print_memory(&self) {
        let status = fs_err::read_to_string(format!("/proc/{}/status", self.serving.child.id())).unwrap();
        let of = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1024
        };
        println!("memory: {} MB resident, {} MB at most", of("VmRSS:"), of("VmHWM:"));
    }
}

fn print(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |place: usize| times[place.min(times.len() - 1)].as_secs_f64() * 1e3;
    println!(
        "{what:<34} {:>5} times  p50 {:>8.1} ms  p99 {:>8.1} ms  max {:>8.1} ms",
        times.len(),
        at(times.len() / 2),
        at(times.len() * 99 / 100),
        at(times.len() - 1)
    );
}

/// What follows `mark` in a page, as far as an address goes.
fn after<'a>(page: &'a str, mark: &str) -> Option<&'a str> {
    let rest = &page[page.find(mark)? + mark.len()..];
    rest.split(['"', '&', '?', '#']).next()
}

async fn channel(place: &Place, count: usize) {
    let reader = Reader::start(place).await;
    let (channels, _) = reader.get(0, "/c").await;
    let room = format!("/c/{}", after(&channels, "href=\"/c/").unwrap());
    let (_, took) = reader.get(0, &room).await;
    print("newest, the first time", vec![took]);
    print("newest", asked(&reader, |_| room.clone()).await);
    // The messages of the half in the middle, never twice the same place.
    let weeks = (count as u64 * 90 / 180_000).clamp(1, 360);
    let second = |n: usize| END - weeks * WEEK * 3 / 4 + weeks * WEEK / 2 * n as u64 / TIMES as u64;
    let (mut times, mut records) = (Vec::new(), Vec::new());
    for n in 0..TIMES {
        let (page, took) = reader.get(0, &format!("{room}?at={}.000000", second(n))).await;
        records.extend(after(&page, "href=\"/r/").map(str::to_owned));
        times.push(took);
    }
    print("?at= a time in the middle", times);
    let record = |n: usize| &records[n % records.len()];
    print("?at= a record in the middle", asked(&reader, |n| format!("{room}?at={}", record(n))).await);
    for (what, mark) in [("next page", "?after="), ("previous page", "?before=")] {
        let (mut page, _) = reader.get(0, &format!("{room}?at={}", record(TIMES / 2))).await;
        let mut times = Vec::new();
        while times.len() < TIMES
            && let Some(stamp) = after(&page, mark)
        {
            let (next, took) = reader.get(0, &format!("{room}{mark}{stamp}")).await;
            times.push(took);
            page = next;
        }
        assert!(!times.is_empty(), "no link to the {what}");
        print(what, times);
    }
    let last = chrono::NaiveDate::from_ymd_opt(2026, 8, 28).unwrap();
    let day = |n: usize| last - chrono::Days::new(n as u64 * 7 % (weeks * 7));
    print("jump to date", asked(&reader, |n| format!("{room}?date={}", day(n))).await);
    print("a day to print", asked(&reader, |n| format!("{room}/day/{}", day(n))).await);
    print("record", asked(&reader, |n| format!("/r/{}", record(n))).await);
    print("list of channels", asked(&reader, |_| "/c".to_owned()).await);
    reader.print_memory();
}

async fn asked(reader: &Reader, path: impl Fn(usize) -> String) -> Vec<Duration> {
    let mut times = Vec::with_capacity(TIMES);
    for n in 0..TIMES {
        times.push(reader.get(0, &path(n)).await.1);
    }
    times
}

async fn searches(place: &Place) {
    let reader = Reader::start(place).await;
    let (people, _) = reader.get(0, "/people").await;
    let from = format!("from:{} install", after(&people, "href=\"/people/").unwrap());
    let queries = [
        ("common word", "the"),
        ("word", "install"),
        ("rare word", "wireshark"),
        ("phrase", "\"how do i\""),
        ("from:", from.as_str()),
        ("filters", "install -driver during:2015"),
        ("nothing found", "xyzzyplugh"),
    ];
    println!("searches: {RATE} a second over {CONNECTIONS} connections");
    for (what, query) in queries {
        let form: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
        let (path, reader) = (format!("/search?q={form}"), &reader);
        let start = Instant::now();
        let ask = |connection: u32| {
            let path = path.clone();
            async move {
                let mut times = Vec::new();
                for n in (connection..SEARCHES).step_by(CONNECTIONS as usize) {
                    let due = start + Duration::from_secs(1) / RATE * n;
                    tokio::time::sleep_until(due.into()).await;
                    reader.get(connection, &path).await;
                    times.push(due.elapsed());
                }
                times
            }
        };
        let (mut times, more) = tokio::join!(ask(0), ask(1));
        times.extend(more);
        print(what, times);
    }
    reader.print_memory();
}
