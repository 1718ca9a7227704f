//! The fault test of Tessera (transparency-dev): the n-th call of a crawl to the system fails with EIO,
//! or kills the process. One more crawl makes up for either, and never was anything claimed that is
//! not so.
//!
//! `strace` counts the calls of each thread by itself, so the n-th call of each thread is hit; with one
//! thread for the work and one that writes, that is the n-th of one or the other. Only calls on the
//! files of the archive and its keys are counted: what happens to a socket or to the loader of programs
//! is nothing that an archive could be made of.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use teamchat_archive::sandbox::generate;
use teamchat_archive::store::keys::Keys;
use teamchat_archive::store::{Layout, Reader};
use teamchat_archive::verify::{self, Depth};

use crate::content::{Content, content, differences};
use crate::harness::{DONE, FAILURE, INCOMPLETE, Outcome, Place, Server, Started, TEMPORARY, USAGE, aloud};
use crate::support::TestArchive;

/// What is hit.
const CALLS: &[&str] =
    &["openat", "rename", "renameat", "renameat2", "fsync", "fdatasync", "write", "pwrite64", "read", "pread64"];

/// Crawls under way at the same time: most of the time they wait for a disk or the server.
const HANDS: usize = 6;

/// What is disturbed.
const CRAWL: [&str; 2] = ["crawl", "--json"];

/// How long a run over so few messages may take before it is said to hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// How an error that names what failed tells of EIO; the last three are the words of SQLite, for which
/// a part that cannot be read is damage, and a file that cannot be opened for writing is to be read.
const SAYINGS: &[&str] = &[
    "os error 5",
    "code: 5,",
    "disk I/O error",
    "unable to open database file",
    "the disk fails to read it",
    "attempt to write a readonly database",
];

/// What is none of our files: the loader of programs, and the descriptor by which threads wake each
/// other (tokio panics when that fails, and then waits for the thread that it could not wake, for ever:
/// such a crawl is ended here). The n-th call of another thread may hit them.
const OTHERS: &[&str] = &["error while loading shared libraries", "failed to wake I/O driver"];

/// One way in which a crawl is hit.
struct Fault {
    call: &'static str,
    number: usize,
    /// Else the call fails with EIO.
    kills: bool,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = if self.kills { "KILL" } else { "EIO" };
        write!(f, "{what} at the {}-th {}", self.number, self.call)
    }
}

fn copy_below(from: &Path, to: &Path) {
    fs_err::create_dir_all(to).unwrap();
    for entry in fs_err::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_below(&entry.path(), &target);
        } else {
            fs_err::copy(entry.path(), &target).unwrap();
        }
    }
}

/// An archive that was made and enrolled, and not yet crawled.
pub(crate) fn copied(model: &Place) -> Place {
    let mut place = Place::new();
    // One thread that works beside the one that writes.
    place.extra.push(("TOKIO_WORKER_THREADS".to_owned(), "1".to_owned()));
    for part in ["archive", "keys"] {
        copy_below(&model.path(part), &place.path(part));
    }
    place
}

/// The program under `strace` with these options.
pub(crate) fn under_strace(place: &Place, options: &[String], args: &[&str]) -> Outcome {
    let plain = place.command(args);
    let mut command = Command::new("strace");
    command.args(["-f", "-qq"]).args(options).arg(plain.get_program()).args(plain.get_args());
    command.env_clear().current_dir(place.folder.path());
    for (name, value) in plain.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut started = Started::new(command);
    if !started.ends_within(PATIENCE) {
        // It hangs, and has to end so that what it said can be read. It is the child of `strace`.
        let strace = started.child.id();
        let kill = format!("kill -KILL $(cat /proc/{strace}/task/{strace}/children)");
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success(), "{kill}");
    }
    started.finish()
}

/// For each call, which numbers of it touch the archive or its keys, in some thread of an undisturbed
/// crawl.
fn numbers(place: &Place) -> BTreeMap<&'static str, BTreeSet<usize>> {
    let log = place.path("calls");
    let options = ["-y", "-o", log.to_str().unwrap(), "-e", &format!("trace={}", CALLS.join(","))];
    under_strace(place, &options.map(str::to_owned), &CRAWL).expect(DONE);
    let text = String::from_utf8_lossy(&fs_err::read(&log).unwrap()).into_owned();
    let folder = place.folder.path().to_str().unwrap().to_owned();
    let mut counts: BTreeMap<(String, &str), usize> = BTreeMap::new();
    let mut out: BTreeMap<&'static str, BTreeSet<usize>> = BTreeMap::new();
    for line in text.lines() {
        // `PID call(…`, and `PID <... call resumed>` for the rest of one that was interrupted.
        let Some((process, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        let Some(call) = CALLS.iter().find(|call| rest.starts_with(&format!("{call}("))) else { continue };
        let count = counts.entry((process.to_owned(), call)).or_default();
        *count += 1;
        if rest.contains(&folder) {
            out.entry(call).or_default().insert(*count);
        }
    }
    out
}

fn report(place: &Place) -> verify::Report {
    let reader = Reader::open(&Layout::new(place.archive())).unwrap();
    let key = Keys::new(place.keys(), None).ledger_vkey();
    verify::check(&reader, Depth::Full, Some(&key.unwrap()), &mut |_, _| {}).unwrap()
}

/// What an archive says, as the other deaths are held against.
fn said(place: &Place) -> Content {
    let archive = TestArchive { _folder: tempfile::tempdir().unwrap(), layout: Layout::new(place.archive()) };
    let mut said = content(&archive);
    // The holder's note in the lock, and settings, are there from the beginning on.
    said.retain(|what, _| !what.starts_with("on disk: archive."));
    said
}

/// Whether it was a write to its standard error that failed: the one that would have told of another
/// failure, since the n-th call of each thread is hit.
fn silenced(log: &[u8]) -> bool {
    let log = String::from_utf8_lossy(log);
    // A call that another thread's comes in between of is told in two lines.
    let mut last = BTreeMap::new();
    log.lines().filter_map(|line| line.split_once(' ')).any(|(thread, call)| {
        let call = call.trim_start();
        if !call.starts_with("<... write resumed>") {
            last.insert(thread, call.starts_with("write(2, "));
        }
        call.ends_with("(INJECTED)") && last.get(thread) == Some(&true)
    })
}

/// What went wrong with one fault.
fn hit(model: &Place, due: &Content, fault: &Fault) -> Vec<String> {
    let place = copied(model);
    let how = if fault.kills { "signal=KILL" } else { "error=EIO" };
    let inject = format!("inject={}:{how}:when={}", fault.call, fault.number);
    let log = place.path("calls");
    let trace = format!("trace={}", fault.call);
    let options = ["-o", log.to_str().unwrap(), "-e", &trace, "-e", &inject].map(str::to_owned);
    let disturbed = under_strace(&place, &options, &CRAWL);
    let mut problems = Vec::new();
    let mut say = |text: String| problems.push(format!("{fault}: {text}"));
    if disturbed.stderr.contains("panicked") && !OTHERS.iter().any(|words| disturbed.stderr.contains(words)) {
        say(format!("it panicked: {disturbed}"));
    }
    let was_killed = disturbed.code == -1 || disturbed.code == 137;
    match disturbed.code {
        // What it says is done is done, and what is stored is whole.
        DONE | INCOMPLETE => {
            let report = report(&place);
            if !report.ok {
                say(format!("it ended with {}, and verify finds {:?}", disturbed.code, report.findings));
            }
        }
        // A file of settings that the disk does not give is one that cannot be used.
        FAILURE | TEMPORARY | USAGE => {
            let says = |words: &&str| disturbed.stderr.contains(*words);
            let names_it = disturbed.stderr.contains("error:") && SAYINGS.iter().any(says)
                || silenced(&fs_err::read(&log).unwrap());
            let is_bare = disturbed.stderr.contains("error: Input/output error (os error 5)\n");
            if !names_it || is_bare {
                say(format!("its error does not say what failed: {disturbed}"));
            }
        }
        _ if OTHERS.iter().any(|words| disturbed.stderr.contains(words)) => {}
        _ if was_killed && fault.kills => {}
        code => say(format!("it ended with {code}: {disturbed}")),
    }
    let again = place.run(&["crawl", "--json"]);
    if again.code != DONE {
        say(format!("the next crawl ended with {}: {again}", again.code));
        return problems;
    }
    let report = report(&place);
    if !report.ok {
        say(format!("after the next crawl, verify finds {:?}", report.findings));
    }
    problems.extend(differences(&said(&place), due).into_iter().map(|text| format!("{fault}: {text}")));
    problems
}

/// Every `stride`-th call of each kind, failing and killing.
fn every(stride: usize) {
    let began = Instant::now();
    let found = Command::new("strace").arg("-V").output();
    assert!(found.is_ok_and(|out| out.status.success()), "strace is missing: `make test-setup` installs it");
    let server = Server::start(generate::seed(4, 7));
    let workspace = server.running.workspace();
    let (channel, _) = workspace.channels().remove(0);
    let me = &server.ready.username;
    let (file, _) = workspace.upload(&channel, me, "plan.txt", b"what stands in a file".to_vec()).unwrap();
    workspace.comment(&file, me, "about the file").unwrap();
    let model = Place::new();
    model.enrol(&server.ready);

    let undisturbed = copied(&model);
    undisturbed.crawl();
    let due = said(&undisturbed);
    let counted = copied(&model);
    let numbers = numbers(&counted);
    for call in ["openat", "fsync", "write", "pwrite64", "pread64"] {
        assert!(numbers.contains_key(call), "a crawl never calls {call}: {:?}", numbers.keys());
    }
    assert!(numbers.keys().any(|call| call.starts_with("rename")), "nothing is renamed: {:?}", numbers.keys());

    let mut faults = Vec::new();
    let mut calls = 0;
    for (call, numbers) in &numbers {
        for kills in [false, true] {
            // Each list begins elsewhere, so that both kinds do not hit the same calls.
            let skip = if kills { stride / 2 } else { 0 };
            faults.extend(numbers.iter().skip(skip).step_by(stride).map(|number| Fault {
                call,
                number: *number,
                kills,
            }));
        }
        calls += numbers.len();
    }
    assert!(faults.len() >= 2 * calls / stride && faults.len() > 20, "{} faults of {calls} calls", faults.len());
    let next = AtomicUsize::new(0);
    let problems = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..HANDS {
            scope.spawn(|| {
                while let Some(fault) = faults.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = hit(&model, &due, fault);
                    problems.lock().unwrap().extend(found);
                }
            });
        }
    });
    let problems = problems.into_inner().unwrap();
    aloud(&format!("{} faults at {calls} calls to the system, {:?}", faults.len(), began.elapsed()));
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn a_crawl_whose_calls_to_the_system_fail_or_kill_it_is_made_up_for() {
    every(7);
}

/// For `make soak`: it takes as long as a corpus.
#[test]
fn every_single_call_to_the_system_fails_or_kills_once_which_takes_as_long_as_a_corpus() {
    every(1);
}
