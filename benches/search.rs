//! What a search takes on a corpus of real chat, beside SQLite's FTS5 on the same rows in the same run.
//!
//! `cargo bench --bench search` prints a line a query: hits, and the median and the 99th percentile of
//! each engine, always with the exact total. `TEAMCHAT_DATA` names the folder of corpora (default
//! `../shared/data`), `TEAMCHAT_BENCH_CORPUS` the corpus (default `large`). What FTS5 cannot ask is left
//! out on its side. Figures are this machine's; what is worth quoting is how the two stand to each other.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark that fails stops, and prints what it measured"
)]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::NaiveDate;
use rusqlite::{Connection as Database, params};
use teamchat_archive::api::{self, Connection, Credentials, Politeness, ServerOptions};
use teamchat_archive::crawl::{self, Account, Options};
use teamchat_archive::history::{Directory, directory};
use teamchat_archive::index::{FacetPlan, Indexer, Order, Paging, Request, Searcher, Stretch, completeness};
use teamchat_archive::ledger::{ArchiveId, SigningKey};
use teamchat_archive::model::{Clock, MessageTs, Scope, Zone, json};
use teamchat_archive::query::{Context, parse};
use teamchat_archive::record::Kind;
use teamchat_archive::sandbox::{self, corpus};
use teamchat_archive::store::{Appender, Layout, Reader, Writer, create};

/// How often each query is asked.
const TIMES: usize = 100;

/// A query of ours and, where it can ask the same, of FTS5; the year that FTS5 is to keep to; whether
/// hits are counted by what they are and by month.
struct Asked {
    what: &'static str,
    ours: &'static str,
    fts: Option<&'static str>,
    year: Option<i32>,
    order: Order,
    facets: bool,
}

const fn asked(what: &'static str, ours: &'static str, fts: Option<&'static str>) -> Asked {
    Asked { what, ours, fts, year: None, order: Order::Newest, facets: false }
}

const QUERIES: [Asked; 13] = [
    asked("rare word", "wireshark", Some("wireshark")),
    asked("common word, newest", "the", Some("the")),
    Asked { order: Order::Relevance, ..asked("common word, best", "install", Some("install")) },
    asked("AND", "install driver", Some("install AND driver")),
    asked("OR", "nvidia OR radeon", Some("nvidia OR radeon")),
    asked("NOT", "install -driver", Some("install NOT driver")),
    asked("phrase", "\"how do i\"", Some("\"how do i\"")),
    asked("w/5", "install w/5 driver", Some("NEAR(install driver, 4)")),
    asked("prefix", "instal*", Some("instal*")),
    asked("wildcard inside", "in*ll", None),
    asked("fuzzy", "instal~1", None),
    Asked { year: Some(2015), ..asked("date range", "the during:2015", Some("the")) },
    Asked { facets: true, ..asked("facets, by month", "install", Some("install")) },
];

fn rate(what: &str, count: u64, took: Duration) {
    #[expect(clippy::cast_precision_loss, reason = "a rate for reading")]
    let rate = count as f64 / took.as_secs_f64();
    println!("{what:<28} {count:>9} in {:>8.2} s   {rate:>12.0} a second", took.as_secs_f64());
}

/// Median and 99th percentile of asking `TIMES` times, in milliseconds, and what was found last.
fn timed(mut ask: impl FnMut() -> u64) -> (u64, f64, f64) {
    let mut found = 0;
    let mut times: Vec<Duration> = (0..TIMES)
        .map(|_| {
            let start = Instant::now();
            found = ask();
            start.elapsed()
        })
        .collect();
    times.sort();
    (found, times[TIMES / 2].as_secs_f64() * 1e3, times[TIMES * 99 / 100].as_secs_f64() * 1e3)
}

fn main() {
    let data = std::env::var_os("TEAMCHAT_DATA").map_or_else(|| PathBuf::from("../shared/data"), PathBuf::from);
    let name = std::env::var("TEAMCHAT_BENCH_CORPUS").unwrap_or_else(|_| "large".to_owned());
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::new(folder.path());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(archive(&data.join(name), &layout));
    let reader = Reader::open(&layout).unwrap();
    let start = Instant::now();
    Indexer::open(&layout).unwrap().catch_up(&reader, None, &mut |_| {}).unwrap();
    rate("indexed by us", reader.head().unwrap(), start.elapsed());
    let start = Instant::now();
    let compared = completeness(&Searcher::new(&layout), &reader, None, &mut |_| {}).unwrap();
    assert!(compared.is_whole(), "{compared:?}");
    rate("compared with the records", compared.compared, start.elapsed());
    let bytes: u64 = walk(&layout.index());
    let start = Instant::now();
    let database = folder.path().join("fts.db");
    let (fts, rows) = full_text(&reader, &database);
    rate("indexed by FTS5", rows, start.elapsed());
    println!("index: ours {bytes} bytes, FTS5 {} bytes", fs_err::metadata(&database).unwrap().len());

    let (names, searcher) = (directory(&reader).unwrap(), Searcher::new(&layout));
    println!(
        "{:<22} {:>9} {:>10} {:>10}   {:>9} {:>10} {:>10}",
        "", "hits", "p50 ms", "p99 ms", "FTS5 hits", "p50 ms", "p99 ms"
    );
    for asked in &QUERIES {
        let (hits, p50, p99) = timed(|| ours(&searcher, &names, asked));
        let theirs = match asked.fts {
            Some(text) => {
                let (hits, p50, p99) = timed(|| full_text_search(&fts, text, asked));
                format!("{hits:>9} {p50:>10.2} {p99:>10.2}")
            }
            None => String::new(),
        };
        println!("{:<22} {hits:>9} {p50:>10.2} {p99:>10.2}   {theirs}", asked.what);
    }
}

fn walk(folder: &std::path::Path) -> u64 {
    fs_err::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| if path.is_dir() { walk(&path) } else { fs_err::metadata(&path).unwrap().len() })
        .sum()
}

async fn archive(corpus: &std::path::Path, layout: &Layout) {
    let running = sandbox::start(corpus::load(corpus).unwrap(), sandbox::Options::default()).await.unwrap();
    let key = || SigningKey::new("bench.example/search", [1; 32]).unwrap();
    create(
        layout,
        ArchiveId([1; 16]),
        &key().verifier().to_text(),
        "bench.example/search",
        &running.url,
        &Clock::System,
    )
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
    let reader = Reader::open(layout).unwrap();
    let writer = Writer::open(layout, layout.lock().unwrap(), Some(key()), Clock::System).unwrap();
    let (appender, thread) = Appender::start(writer);
    let start = Instant::now();
    crawl::run(std::slice::from_ref(&account), &reader, &appender, &Options::default(), &()).await.unwrap();
    drop(appender);
    drop(thread.join().unwrap());
    rate("crawled", reader.head().unwrap(), start.elapsed());
    running.stop().await;
}

fn ours(searcher: &Searcher, names: &Directory, asked: &Asked) -> u64 {
    let parsed = parse(asked.ours, &Context { zone: Zone::UTC, now: Clock::System.now() }).unwrap();
    let request = Request {
        query: &parsed.query,
        scope: &Scope::All,
        directory: names,
        kinds: &[],
        states: &[],
        as_of: None,
        order: asked.order,
        paging: Paging::Page { offset: 0, limit: 20 },
        facets: asked.facets.then(|| FacetPlan {
            counts: true,
            histogram: Some((Stretch::Month, Zone::UTC)),
            ..FacetPlan::default()
        }),
    };
    searcher.search(&request).unwrap().total
}

/// The same texts in FTS5, with the time beside them for the order.
fn full_text(reader: &Reader, path: &std::path::Path) -> (Database, u64) {
    let mut database = Database::open(path).unwrap();
    database
        .execute_batch(
            "PRAGMA journal_mode = WAL;
             CREATE VIRTUAL TABLE fts USING fts5(body, content = '', tokenize = 'unicode61 remove_diacritics 2');
             CREATE TABLE place (rowid INTEGER PRIMARY KEY, ts INTEGER, channel TEXT, author TEXT);",
        )
        .unwrap();
    let mut rows = 0;
    let transaction = database.transaction().unwrap();
    {
        let mut text = transaction.prepare("INSERT INTO fts (rowid, body) VALUES (?1, ?2)").unwrap();
        let mut place = transaction.prepare("INSERT INTO place VALUES (?1, ?2, ?3, ?4)").unwrap();
        let (mut next, head) = (0, reader.head().unwrap());
        while next < head {
            for block in reader.blocks(next, 64).unwrap() {
                for (seq, record) in (block.first.0..).zip(&block.records) {
                    // A block begins before the record that was asked for.
                    if seq < next || record.header.kind != Kind::Message {
                        next = next.max(seq + 1);
                        continue;
                    }
                    next = seq + 1;
                    let value = json::parse(&record.body).unwrap_or_default();
                    let ts = MessageTs::parse(&record.header.key).map_or(0, MessageTs::micros);
                    let number = i64::try_from(seq).unwrap();
                    text.execute(params![number, value["text"].as_str().unwrap_or_default()]).unwrap();
                    place.execute(params![number, ts, record.header.channel, value["user"].as_str()]).unwrap();
                    rows += 1;
                }
            }
        }
    }
    transaction.commit().unwrap();
    database.execute_batch("INSERT INTO fts (fts) VALUES ('optimize'); CREATE INDEX by_ts ON place (ts);").unwrap();
    (database, rows)
}

/// The first twenty in order, the exact total and, where they are asked for, the hits of each channel,
/// author and month.
fn full_text_search(database: &Database, text: &str, asked: &Asked) -> u64 {
    const HITS: &str = "FROM fts JOIN place ON place.rowid = fts.rowid WHERE fts MATCH ?1 AND ts >= ?2 AND ts < ?3";
    let year =
        |year: i32| NaiveDate::from_ymd_opt(year, 1, 1).map(|day| Zone::UTC.start_of_day(day).timestamp_micros());
    let (from, to) = match asked.year {
        Some(number) => (year(number).unwrap(), year(number + 1).unwrap()),
        None => (0, i64::MAX),
    };
    let (page, count) = match (asked.order, asked.year) {
        // Only what asks for times is joined with them.
        (Order::Relevance, None) => (
            "SELECT rowid FROM fts WHERE fts MATCH ?1 AND ?2 < ?3 ORDER BY rank LIMIT 20".to_owned(),
            "SELECT count(*) FROM fts WHERE fts MATCH ?1 AND ?2 < ?3".to_owned(),
        ),
        (_, None) => (
            format!("SELECT fts.rowid {HITS} ORDER BY ts DESC LIMIT 20"),
            "SELECT count(*) FROM fts WHERE fts MATCH ?1 AND ?2 < ?3".to_owned(),
        ),
        _ => (format!("SELECT fts.rowid {HITS} ORDER BY ts DESC LIMIT 20"), format!("SELECT count(*) {HITS}")),
    };
    let mut page = database.prepare_cached(&page).unwrap();
    let found: Vec<i64> =
        page.query_map(params![text, from, to], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert!(!found.is_empty(), "{text}");
    let total: i64 =
        database.prepare_cached(&count).unwrap().query_row(params![text, from, to], |row| row.get(0)).unwrap();
    if asked.facets {
        for group in ["channel", "author", "strftime('%Y-%m', ts / 1000000, 'unixepoch')"] {
            let counts = format!("SELECT {group}, count(*) {HITS} GROUP BY 1");
            let mut counts = database.prepare_cached(&counts).unwrap();
            let counted = counts.query_map(params![text, from, to], |row| row.get::<_, i64>(1)).unwrap();
            assert_eq!(counted.map(Result::unwrap).sum::<i64>(), total);
        }
    }
    u64::try_from(total).unwrap()
}
