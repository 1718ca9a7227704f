//! A full verify beside its ceiling: what it takes to decompress the same blocks and to hash the same
//! bytes, on as many threads, in the same run.
//!
//! `cargo bench --bench verify` prints a line each. `TEAMCHAT_BENCH_RECORDS` sets the size (default
//! 500,000). Figures are this machine's; what is worth quoting is the share of the ceiling.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark that fails stops, and prints what it measured"
)]
#![expect(clippy::cast_precision_loss, reason = "rates are for reading")]

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use teamchat_archive::ledger::{ArchiveId, SigningKey};
use teamchat_archive::model::{ChannelId, Clock};
use teamchat_archive::record::{Kind, Origin};
use teamchat_archive::store::{Batch, BlockRow, Change, FIRST_SOURCE, Layout, NewRecord, Reader, Writer, create};
use teamchat_archive::verify::{Depth, check};
use zstd::bulk::Decompressor;

/// Records of one transaction.
const BATCH: u64 = 1000;
/// Times each figure is taken; the best counts.
const TIMES: usize = 3;

/// Words that texts are made of, so that they compress about as chat does.
const WORDS: [&str; 16] = [
    "the", "crane", "report", "invoice", "delivery", "is", "late", "again", "ask", "Sara", "before", "Friday",
    "please", "thanks", "site", "see",
];

fn key() -> SigningKey {
    SigningKey::new("bench.example/verify", [1; 32]).unwrap()
}

/// A message whose words follow from its number.
fn message(number: u64) -> NewRecord {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut words = Vec::new();
    for _ in 0..4 + number % 23 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        words.push(WORDS[usize::try_from(state % 16).unwrap()]);
    }
    let ts = format!("{}.{:06}", 1_600_000_000 + number, number % 1_000_000);
    let body = format!(
        r#"{{"type":"message","user":"u{}@acme.example","text":"{}","ts":"{ts}"}}"#,
        number % 40,
        words.join(" ")
    );
    NewRecord {
        kind: Kind::Message,
        source: FIRST_SOURCE,
        channel: ChannelId::parse(&format!("C{}", number / 5000 % 50)),
        key: ts,
        version: 1,
        change: Change::New,
        origin: Origin::Observed,
        via: "channels.history",
        account: "bench@acme.example".to_owned(),
        run: 1,
        observed_at: Clock::set(1_700_000_000_000).now(),
        tickets: 0,
        attachments: Vec::new(),
        shared_in: Vec::new(),
        body: body.into_bytes(),
    }
}

/// The best of some runs.
fn best(mut run: impl FnMut() -> Duration) -> Duration {
    (0..TIMES).map(|_| run()).min().unwrap()
}

/// Does `work` for each place below `count` on all cores.
fn on_all_cores(count: usize, work: impl Fn(&mut dyn FnMut() -> Option<usize>) + Sync) -> Duration {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let next = AtomicUsize::new(0);
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| work(&mut || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|place| *place < count)));
        }
    });
    start.elapsed()
}

/// What a block decompresses to, its digest checked.
fn text(decompressor: &mut Decompressor<'_>, row: &BlockRow) -> Vec<u8> {
    assert_eq!(Sha256::digest(&row.bytes)[..], row.digest[..]);
    let size = Decompressor::upper_bound(&row.bytes).unwrap();
    decompressor.decompress(&row.bytes, size).unwrap()
}

fn main() {
    let records: u64 =
        std::env::var("TEAMCHAT_BENCH_RECORDS").ok().and_then(|text| text.parse().ok()).unwrap_or(500_000);
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::new(folder.path().join("archive"));
    fs_err::create_dir_all(layout.root()).unwrap();
    let server = "https://bench.example/teamchatapi/";
    create(&layout, ArchiveId([1; 16]), &key().verifier().to_text(), "bench.example/verify", server, &Clock::System)
        .unwrap();
    let mut writer = Writer::open(&layout, layout.lock().unwrap(), Some(key()), Clock::System).unwrap();
    let start = Instant::now();
    let mut number = 0;
    while number < records {
        let end = records.min(number + BATCH);
        writer.append(Batch { records: (number..end).map(message).collect(), changes: Vec::new() }).unwrap();
        number = end;
    }
    writer.checkpoint().unwrap();
    drop(writer);
    println!("{records} records appended in {:.2} s", start.elapsed().as_secs_f64());

    let reader = Reader::open(&layout).unwrap();
    let mut rows: Vec<BlockRow> = Vec::new();
    loop {
        let more = reader.block_rows(rows.last().map(|row| row.first), 1000).unwrap();
        if more.is_empty() {
            break;
        }
        rows.extend(more);
    }
    let stored: usize = rows.iter().map(|row| row.bytes.len()).sum();
    let mut decompressor = Decompressor::new().unwrap();
    let texts: Vec<Vec<u8>> = rows.iter().map(|row| text(&mut decompressor, row)).collect();
    let raw: usize = texts.iter().map(Vec::len).sum();
    let line = |what: &str, took: Duration| {
        let seconds = took.as_secs_f64();
        let (rate, megabytes) = (records as f64 / seconds, raw as f64 / 1e6 / seconds);
        println!("{what:<36} {seconds:>8.3} s   {rate:>12.0} records/s   {megabytes:>8.1} MB/s");
    };
    println!("{} blocks, {:.1} MB stored, {:.1} MB raw", rows.len(), stored as f64 / 1e6, raw as f64 / 1e6);

    // What a verify cannot do without: the bytes decompressed, and each hashed once.
    let decoded = best(|| {
        on_all_cores(rows.len(), |next| {
            let mut decompressor = Decompressor::new().unwrap();
            while let Some(place) = next() {
                assert_eq!(text(&mut decompressor, &rows[place]).len(), texts[place].len());
            }
        })
    });
    line("ceiling: SHA-256 of stored, zstd", decoded);
    let hashed = best(|| {
        on_all_cores(texts.len(), |next| {
            while let Some(place) = next() {
                assert_ne!(Sha256::digest(&texts[place])[..8], [0; 8]);
            }
        })
    });
    line("ceiling: SHA-256 of raw", hashed);
    line("ceiling: both", decoded + hashed);
    let verified = best(|| {
        let start = Instant::now();
        let report = check(&reader, Depth::Full, Some(&key().verifier()), &mut |_, _| {}).unwrap();
        assert!(report.ok && report.checked.records == records, "{:?}", report.findings);
        start.elapsed()
    });
    line("full verify", verified);
    let share = 100.0 * (decoded + hashed).as_secs_f64() / verified.as_secs_f64();
    println!("full verify runs at {share:.0} % of the ceiling");
}
