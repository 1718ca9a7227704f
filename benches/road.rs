//! The road from a server to an answer, timed step by step on a synthetic workspace.
//!
//! `cargo bench` prints a line a step. `TEAMCHAT_BENCH_MESSAGES` sets the size (default 100,000).
//! Figures are this machine's; what is worth quoting is how the steps stand to each other.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark that fails stops, and prints what it measured"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use teamchat_archive::api::{self, Connection, Credentials, Politeness, ServerOptions};
use teamchat_archive::crawl::{self, Account, Options};
use teamchat_archive::history::directory;
use teamchat_archive::index::{Indexer, Order, Paging, Request, Searcher};
use teamchat_archive::ledger::{ArchiveId, SigningKey};
use teamchat_archive::model::{Clock, Scope, Zone};
use teamchat_archive::query::{Context, parse};
use teamchat_archive::sandbox::{self, generate};
use teamchat_archive::store::{Appender, Layout, Reader, Writer, create};
use teamchat_archive::verify::{Depth, check};

/// Queries of the search step: a rare word, a common one, two, a phrase, a beginning, a time.
const QUERIES: [&str; 6] = ["invoice", "the", "crane report", "\"the report\"", "deliv*", "the during:2026"];
/// How often each is asked.
const TIMES: usize = 50;

fn rate(what: &str, count: u64, took: Duration) {
    #[expect(clippy::cast_precision_loss, reason = "a rate for reading")]
    let rate = count as f64 / took.as_secs_f64();
    println!("{what:<28} {count:>9} in {:>8.2} s   {rate:>12.0} a second", took.as_secs_f64());
}

fn main() {
    let messages = std::env::var("TEAMCHAT_BENCH_MESSAGES").ok().and_then(|text| text.parse().ok()).unwrap_or(100_000);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(road(messages));
}

async fn road(messages: usize) {
    let start = Instant::now();
    let running = sandbox::start(generate::seed(messages, 1), sandbox::Options::default()).await.unwrap();
    rate("workspace generated", messages as u64, start.elapsed());

    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::new(folder.path());
    let key = SigningKey::new("bench.example/road", [1; 32]).unwrap();
    create(&layout, ArchiveId([1; 16]), &key.verifier().to_text(), "bench.example/road", &running.url, &Clock::System)
        .unwrap();
    let options = ServerOptions {
        politeness: Politeness { requests_per_second: 0.0, connections: 4 },
        ..ServerOptions::default()
    };
    let connection = Arc::new(Connection::new(&running.url, &options).unwrap());
    let credentials =
        Credentials::Digest { username: running.username.clone(), password: running.password.clone().into() };
    let opened = connection.sign_in(&credentials).await.unwrap();
    let account = Account {
        name: "bench".to_owned(),
        user_id: opened.user_id,
        reader: api::Reader::new(connection, opened.token),
    };
    let reader = Reader::open(&layout).unwrap();

    for what in ["crawled, first pass", "crawled, nothing new"] {
        let writer = Writer::open(
            &layout,
            layout.lock().unwrap(),
            Some(SigningKey::new("bench.example/road", [1; 32]).unwrap()),
            Clock::System,
        )
        .unwrap();
        let (appender, thread) = Appender::start(writer);
        let start = Instant::now();
        crawl::run(std::slice::from_ref(&account), &reader, &appender, &Options::default(), &()).await.unwrap();
        rate(what, messages as u64, start.elapsed());
        drop(appender);
        drop(thread.join().unwrap());
    }
    let head = reader.head().unwrap();
    let start = Instant::now();
    Indexer::open(&layout).unwrap().catch_up(&reader, None, &mut |_| {}).unwrap();
    rate("indexed", head, start.elapsed());
    let start = Instant::now();
    let report = check(&reader, Depth::Full, reader.own_key().as_ref(), &mut |_, _| {}).unwrap();
    assert!(report.ok, "{:?}", report.findings);
    rate("verified", head, start.elapsed());
    let database = fs_err::metadata(layout.database()).unwrap().len();
    println!("{:<28} {database:>9} bytes, {} a record", "archive.db", database / head);

    let (names, searcher) = (directory(&reader).unwrap(), Searcher::new(&layout));
    for text in QUERIES {
        let parsed = parse(text, &Context { zone: Zone::UTC, now: Clock::System.now() }).unwrap();
        let mut total = 0;
        let mut times: Vec<Duration> = (0..TIMES)
            .map(|_| {
                let start = Instant::now();
                let request = Request {
                    query: &parsed.query,
                    scope: &Scope::All,
                    directory: &names,
                    kinds: &[],
                    states: &[],
                    as_of: None,
                    order: Order::Newest,
                    paging: Paging::Page { offset: 0, limit: 20 },
                    facets: None,
                };
                total = searcher.search(&request).unwrap().total;
                start.elapsed()
            })
            .collect();
        times.sort();
        println!(
            "search {text:<21} {total:>9} hits   p50 {:>6.2} ms   p99 {:>6.2} ms",
            times[TIMES / 2].as_secs_f64() * 1e3,
            times[TIMES * 99 / 100].as_secs_f64() * 1e3
        );
    }
    running.stop().await;
}
