//! An export whose calls to the system kill it: whatever it leaves is no set, and the same command makes the same
//! set of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use teamchat_archive::model::Digest;
use teamchat_archive::record::{Action, VisitHeader};
use teamchat_archive::sandbox::generate;
use teamchat_archive::store::{AccessLog, Layout, Reader};

use crate::harness::{DONE, INCOMPLETE, Outcome, Place, Server, aloud};
use crate::strace::{copied, under_strace};

/// What is hit, where it touches the set.
const CALLS: &[&str] =
    &["openat", "rename", "unlink", "unlinkat", "mkdir", "rmdir", "write", "ftruncate", "syncfs", "fsync", "flock"];

/// Exports under way at the same time.
const HANDS: usize = 4;

/// `export` under `strace` with these options.
fn export(place: &Place, options: &[String], flags: &[&str]) -> Outcome {
    under_strace(place, options, &[&["export", "--json", "--output", "set"], flags].concat())
}

/// Which numbers of each call touch the set, in some thread.
fn numbers(place: &Place, flags: &[&str]) -> BTreeMap<&'static str, BTreeSet<usize>> {
    let log = place.path("calls");
    let options = ["-y", "-o", log.to_str().unwrap(), "-e", &format!("trace={}", CALLS.join(","))];
    let outcome = export(place, &options.map(str::to_owned), flags);
    assert!([DONE, INCOMPLETE].contains(&outcome.code), "{outcome}");
    let text = String::from_utf8_lossy(&fs_err::read(&log).unwrap()).into_owned();
    let set = place.path("set").to_str().unwrap().to_owned();
    let mut counts: BTreeMap<(String, &str), usize> = BTreeMap::new();
    let mut out: BTreeMap<&'static str, BTreeSet<usize>> = BTreeMap::new();
    for line in text.lines() {
        let Some((process, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        let Some(call) = CALLS.iter().find(|call| rest.starts_with(&format!("{call}("))) else { continue };
        let count = counts.entry((process.to_owned(), call)).or_default();
        *count += 1;
        if rest.contains(&set) || rest.contains("\"set") || *call == "syncfs" {
            out.entry(call).or_default().insert(*count);
        }
    }
    out
}

/// The payload of a bag, each file of which is as it is listed; without what says when the set was made.
fn payload(bag: &Path) -> BTreeMap<String, Digest> {
    let mut out = BTreeMap::new();
    for name in ["manifest-sha256.txt", "tagmanifest-sha256.txt"] {
        let text = fs_err::read_to_string(bag.join(name)).unwrap();
        for (digest, path) in text.lines().map(|line| line.split_once("  ").unwrap()) {
            let bytes = fs_err::read(bag.join(path)).unwrap();
            assert_eq!(Digest::of(&bytes).to_string(), digest, "{path}");
            if path.starts_with("data/") {
                let is_dated = |line: &[u8]| [&b"Made at"[..], b"made_at"].iter().any(|word| holds(line, word));
                let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !is_dated(line));
                out.insert(path.to_owned(), Digest::of(&lines.collect::<Vec<_>>().concat()));
            }
        }
    }
    out
}

fn holds(line: &[u8], word: &[u8]) -> bool {
    line.windows(word.len()).any(|at| at == word)
}

/// Entries of the access log that tell of sets.
fn handed_out(place: &Place) -> usize {
    let layout = Layout::new(place.archive());
    let archive = Reader::open(&layout).unwrap().archive().clone();
    let log = AccessLog::open_reading(&layout, archive.id, &archive.origin).unwrap().unwrap();
    let headers = log.entries(0, usize::MAX).unwrap().into_iter().map(|entry| entry.header);
    headers.filter(|header| serde_json::from_str::<VisitHeader>(header).unwrap().action == Action::Export).count()
}

/// What went wrong when the `number`-th `call` killed the export.
fn hit(model: &Place, due: &BTreeMap<String, Digest>, flags: &[&str], call: &str, number: usize) -> Vec<String> {
    let place = copied(model);
    let options = ["-e", &format!("trace={call}"), "-e", &format!("inject={call}:signal=KILL:when={number}")];
    let disturbed = export(&place, &options.map(str::to_owned), flags);
    let mut problems = Vec::new();
    let mut say = |text: String| problems.push(format!("KILL at the {number}-th {call}: {text}"));
    let set = place.path("set");
    if !set.exists() {
        let again = place.run(&[&["export", "--json", "--output", "set"], flags].concat());
        if ![DONE, INCOMPLETE].contains(&again.code) {
            say(format!("the same command ended with {}: {again}; before: {disturbed}", again.code));
            return problems;
        }
    }
    if payload(&set) != *due {
        say("its payload is another".to_owned());
    }
    let entries = handed_out(&place);
    if !(1..=2).contains(&entries) {
        say(format!("the access log tells of {entries} sets"));
    }
    let left: Vec<String> = fs_err::read_dir(place.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with("set") && name != "set" && name != "set.partial.done")
        .collect();
    if !left.is_empty() {
        say(format!("it leaves {left:?}"));
    }
    problems
}

/// Every `stride`-th call kills an export with these flags.
fn every(stride: usize, messages: usize, flags: &[&str]) {
    let server = Server::start(generate::seed(messages, 7));
    let model = Place::new();
    model.enrol(&server.ready);
    model.crawl();
    let undisturbed = copied(&model);
    let numbers = numbers(&undisturbed, flags);
    let due = payload(&undisturbed.path("set"));
    for call in ["openat", "rename", "write", "syncfs", "unlinkat", "flock"] {
        assert!(numbers.contains_key(call), "an export never calls {call}: {:?}", numbers.keys());
    }
    let faults: Vec<(&str, usize)> = numbers
        .iter()
        .flat_map(|(call, numbers)| {
            // The last are those of closing, where most can go wrong.
            let (most, last) = (numbers.iter().step_by(stride), numbers.iter().rev().take(3));
            most.chain(last).map(|number| (*call, *number)).collect::<BTreeSet<_>>()
        })
        .collect();
    let next = AtomicUsize::new(0);
    let problems = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..HANDS {
            scope.spawn(|| {
                while let Some((call, number)) = faults.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = hit(&model, &due, flags, call, *number);
                    problems.lock().unwrap().extend(found);
                }
            });
        }
    });
    let problems = problems.into_inner().unwrap();
    aloud(&format!("{} deaths of an export {flags:?}", faults.len()));
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn an_export_that_a_call_to_the_system_kills_goes_on_to_the_same_set() {
    every(40, 60, &["--format", "csv", "--volume-size", "60k"]);
}

/// For `make soak`: it takes as long as a corpus.
#[test]
fn an_export_in_every_format_dies_at_many_calls_which_takes_as_long_as_a_corpus() {
    for format in ["rsmf", "dat", "eml", "html", "csv", "slack", "mbox", "actiance", "atom", "native", "jsonl"] {
        let volumes: &[&str] = if format == "native" { &[] } else { &["--volume-size", "400k"] };
        every(23, 400, &[&["--format", format], volumes].concat());
    }
}
