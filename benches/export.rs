//! What a set of everything takes, in each format: records a second, and the most memory that it had.
//!
//! `cargo bench --bench export` archives a corpus of real chat with the program itself and exports all of it in one
//! format after the other. `TEAMCHAT_DATA` names the folder of corpora (default `../shared/data`),
//! `TEAMCHAT_BENCH_CORPUS` the corpus (default `large`), `TEAMCHAT_BENCH_FORMATS` the formats (default: all).

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

use harness::{DONE, INCOMPLETE, Place, Server, number};
use teamchat_archive::sandbox::corpus;

const FORMATS: &str = "rsmf dat eml html native csv jsonl slack mbox actiance atom";

fn main() {
    let data = std::env::var_os("TEAMCHAT_DATA").map_or_else(|| PathBuf::from("../shared/data"), PathBuf::from);
    let name = std::env::var("TEAMCHAT_BENCH_CORPUS").unwrap_or_else(|_| "large".to_owned());
    let formats = std::env::var("TEAMCHAT_BENCH_FORMATS").unwrap_or_else(|_| FORMATS.to_owned());
    let server = Server::start(corpus::load(&data.join(name)).unwrap());
    let place = Place::new();
    place.enrol(&server.ready);
    let start = Instant::now();
    place.crawl();
    println!("crawled and indexed in {:.1} s", start.elapsed().as_secs_f64());
    drop(server);
    println!(
        "{:<9} {:>9} {:>8} {:>10} {:>8} {:>9} {:>8}",
        "", "records", "seconds", "a second", "peak MB", "files", "MB"
    );
    for format in formats.split_whitespace() {
        let start = Instant::now();
        let mut run = place.start(&["export", "--json", "--format", format, "--output", format]);
        let mut most = 0;
        while !run.ends_within(Duration::from_millis(20)) {
            most = most.max(peak(run.child.id()).unwrap_or_default());
        }
        let took = start.elapsed().as_secs_f64();
        let outcome = run.finish();
        assert!([DONE, INCOMPLETE].contains(&outcome.code), "{outcome}");
        let report = outcome.json();
        assert_eq!(report["balanced"], true, "{report}");
        let records = number(&report, "/records");
        let (files, bytes) = size(&place.path(format));
        #[expect(clippy::cast_precision_loss, reason = "a rate for reading")]
        let rate = records as f64 / took;
        println!("{format:<9} {records:>9} {took:>8.1} {rate:>10.0} {most:>8} {files:>9} {:>8}", bytes >> 20);
        fs_err::remove_dir_all(place.path(format)).unwrap();
    }
}

/// The most memory that a process had so far, in MB.
fn peak(process: u32) -> Option<u64> {
    let text = fs_err::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kib| kib / 1024)
}

fn size(folder: &Path) -> (u64, u64) {
    fs_err::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| if path.is_dir() { size(&path) } else { (1, fs_err::metadata(&path).unwrap().len()) })
        .fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1))
}
