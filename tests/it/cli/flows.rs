//! Long flows, each written once: `make test` runs them small, the soak target large. A corpus of
//! real chat is crawled and counted; a crawl is killed again and again and taken up again.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use teamchat_archive::sandbox::seed::Seed;
use teamchat_archive::sandbox::{Fault, corpus};
use teamchat_archive::store::{Layout, Reader};

use super::harness::{DONE, PATIENCE, Place, Server, aloud, files_below, list, number, string};

/// What is known of a corpus.
pub(crate) struct Corpus {
    pub(crate) name: &'static str,
    pub(crate) messages: u64,
    pub(crate) channels: u64,
    pub(crate) files: u64,
}

pub(crate) const MEDIUM: Corpus = Corpus { name: "medium", messages: 55_767, channels: 18, files: 59 };

/// The folder of a corpus. Where it is missing this says so aloud, and fails when data is required.
pub(crate) fn corpus_folder(name: &str) -> Option<PathBuf> {
    let data = std::env::var_os("TEAMCHAT_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from);
    let folder = data.join(name);
    if folder.join("messages.ndjson.zst").exists() || folder.join("messages.ndjson").exists() {
        return Some(folder);
    }
    let is_required = std::env::var("TEAMCHAT_DATA_REQUIRED").is_ok_and(|value| value == "1");
    let text = format!("NOT TESTED: the corpus `{name}` is not at {} (TEAMCHAT_DATA names its folder)", data.display());
    assert!(!is_required, "{text}");
    aloud(&text);
    None
}

/// SHA-256 of each file of a corpus, by its id, as the corpus itself says.
pub(crate) fn digests(folder: &Path) -> BTreeMap<String, String> {
    let files = corpus_lines(folder, "files");
    files.iter().map(|file| (string(file, "/id"), string(file, "/sha256"))).collect()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut out, byte| {
        write!(out, "{byte:02x}").unwrap();
        out
    })
}

/// SHA-256 of every file content in an archive, computed from the bytes on disk.
pub(crate) fn stored_digests(archive: &Path) -> BTreeSet<String> {
    files_below(&archive.join("blobs")).iter().map(|path| hex(&Sha256::digest(fs_err::read(path).unwrap()))).collect()
}

/// A corpus through the whole road: counts, contents, a second pass that adds nothing, `verify`.
pub(crate) fn a_corpus_is_archived_whole(expected: &Corpus) {
    let Some(folder) = corpus_folder(expected.name) else { return };
    let server = Server::start(corpus::load(&folder).unwrap());
    let place = Place::new();
    place.enrol(&server.ready);
    let first = place.crawl();
    assert_eq!(first["result"], "complete", "{first}");
    assert_eq!(number(&first, "/messages/new"), expected.messages);
    assert_eq!(first["findings"], json!([]), "{first}");
    let status = place.status();
    assert_eq!(number(&status, "/messages/current"), expected.messages);
    assert_eq!(number(&status, "/messages/versions"), expected.messages);
    assert_eq!(number(&status, "/messages/deleted"), 0);
    assert_eq!(number(&status, "/channels"), expected.channels);
    assert_eq!(number(&status, "/files/count"), expected.files);
    assert_eq!(number(&status, "/index/lag"), 0);
    assert_eq!(status["coverage"]["complete"], true, "{status}");

    let digests = digests(&folder);
    assert_eq!(digests.len() as u64, expected.files, "the corpus is another one");
    let wanted: BTreeSet<String> = digests.values().cloned().collect();
    if expected.files > 0 {
        assert_eq!(stored_digests(&place.archive()), wanted);
    }
    for (id, digest) in &digests {
        let shown = place.run(&["show", &format!("file:{id}"), "--json"]).expect(DONE).json();
        assert_eq!(shown["origin"]["attachments"], json!([digest]), "file {id}");
    }

    let second = place.crawl();
    assert_eq!(number(&second, "/records/added"), 0, "{second}");
    assert_eq!(number(&place.status(), "/records"), number(&status, "/records"));
    let report = place.verified();
    assert_eq!(number(&report, "/checked/records"), number(&status, "/records"));
    assert_eq!(number(&report, "/checked/blobs"), wanted.len() as u64);
}

/// The lines of a corpus's file, packed or not.
pub(crate) fn corpus_lines(folder: &Path, name: &str) -> Vec<Value> {
    let mut text = String::new();
    let packed = folder.join(format!("{name}.ndjson.zst"));
    if packed.exists() {
        let file = fs_err::File::open(packed).unwrap();
        zstd::Decoder::new(file).unwrap().read_to_string(&mut text).unwrap();
    } else {
        text = fs_err::read_to_string(folder.join(format!("{name}.ndjson"))).unwrap();
    }
    text.split('\n').filter(|line| !line.is_empty()).map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The archive's own readers print every message of a corpus, before and after it was compacted, and all
/// records just as they did before.
pub(crate) fn a_corpus_is_read_without_us(expected: &Corpus) {
    let Some(folder) = corpus_folder(expected.name) else { return };
    let server = Server::start(corpus::load(&folder).unwrap());
    let place = Place::new();
    place.enrol(&server.ready);
    place.crawl();
    let said = |message: &Value| (string(message, "/ts"), string(message, "/user"), string(message, "/text"));
    let mut due: Vec<_> = corpus_lines(&folder, "messages").iter().map(said).collect();
    due.sort();
    assert_eq!(due.len() as u64, expected.messages, "the corpus is another one");

    let read = |program: &str, name: &str, args: &[&str]| -> Vec<u8> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/read").join(name);
        let began = Instant::now();
        let output = Command::new(program).arg(script).args(args).arg(place.archive()).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{name}: {:?}", output.stderr);
        aloud(&format!(
            "{}: {name} {args:?} printed {} bytes in {:?}",
            expected.name,
            output.stdout.len(),
            began.elapsed()
        ));
        output.stdout
    };
    let mut before = None;
    for packing in ["open", "sealed"] {
        if packing == "sealed" {
            let compacted = place.run(&["compact", "--json"]).expect(DONE).json();
            aloud(&format!("{}: {compacted}", expected.name));
            assert!(number(&compacted, "/block_bytes/after") < number(&compacted, "/block_bytes/before"));
            assert!(number(&compacted, "/database_bytes/after") <= number(&compacted, "/database_bytes/before"));
            let again = place.run(&["compact", "--json"]).expect(DONE).json();
            assert_eq!(number(&again, "/records/sealed"), 0, "{again}");
        }
        let bodies = read("sh", "read.sh", &["--messages"]);
        let lines = bodies.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let mut found: Vec<_> = lines.map(|line| said(&serde_json::from_slice(line).unwrap())).collect();
        found.sort();
        assert!(found == due, "{packing}: {} messages for {}", found.len(), due.len());
        let records = read("python3", "read.py", &[]);
        assert!(read("sh", "read.sh", &[]) == records, "{packing}: the readers differ");
        // A dictionary is a record, too: it comes after all that was there.
        let before = before.get_or_insert_with(|| records.clone());
        assert!(records.starts_with(before), "{packing}: a record was changed");
    }
    place.verified();
}

/// A corpus comes through whatever the server answers now and then.
pub(crate) fn a_corpus_comes_through_bad_weather(expected: &Corpus, faults: &[(Fault, f64)]) {
    let Some(folder) = corpus_folder(expected.name) else { return };
    let server = Server::start(corpus::load(&folder).unwrap());
    let place = Place::new();
    place.enrol(&server.ready);
    for (fault, rate) in faults {
        server.running.set_fault(*fault, *rate);
    }
    let crawl = place.crawl();
    aloud(&format!(
        "{} through {faults:?}: {} requests, {} of them second tries, {} ms",
        expected.name, crawl["requests"], crawl["retries"], crawl["duration_ms"]
    ));
    assert_eq!(number(&crawl, "/messages/new"), expected.messages);
    assert!(number(&crawl, "/retries") > 0, "nothing went wrong: {crawl}");
    let status = place.status();
    assert_eq!(number(&status, "/messages/current"), expected.messages);
    assert_eq!(number(&status, "/messages/deleted"), 0);
    assert_eq!(number(&status, "/files/count"), expected.files);
    assert_eq!(stored_digests(&place.archive()), digests(&folder).into_values().collect());
    assert_eq!(status["coverage"]["complete"], true, "{status}");
    for (fault, _) in faults {
        server.running.set_fault(*fault, 0.0);
    }
    assert_eq!(number(&place.crawl(), "/records/added"), 0);
    place.verified();
}

/// The counts that must be the same whatever happened on the way.
fn counts(status: &Value) -> Value {
    let mut out = json!({});
    for name in ["messages", "files", "comments", "channels", "users", "coverage"] {
        out[name] = status[name].clone();
    }
    out
}

/// At which share of an undisturbed archive's records a crawl is killed, in thousandths. The last
/// one falls into what follows the records: index and checkpoint.
pub(crate) const KILLED_AT: &[u64] = &[0, 20, 150, 400, 700, 900, 990, 1000];

/// A crawl is killed (SIGKILL) at each of `KILLED_AT`, taken up each time by the next, and ends in
/// the archive of a crawl that nobody disturbed.
pub(crate) fn a_killed_crawl_goes_on(seed: impl Fn() -> Seed) {
    let server = Server::start(seed());
    let undisturbed = Place::new();
    undisturbed.enrol(&server.ready);
    undisturbed.crawl();
    let wanted = undisturbed.status();
    let records = number(&wanted, "/records");
    undisturbed.verified();

    let place = Place::new();
    place.enrol(&server.ready);
    let mut killed = 0;
    for share in KILLED_AT {
        let reader = Reader::open(&Layout::new(place.archive())).unwrap();
        let before = reader.head().unwrap();
        let goal = (records * share / 1000).max(before + 1).min(records);
        let mut crawl = place.start(&["crawl", "--json"]);
        let deadline = Instant::now() + PATIENCE;
        let mut has_ended = false;
        while !has_ended && reader.head().unwrap() < goal {
            assert!(Instant::now() < deadline, "the crawl does not reach {goal} records");
            has_ended = crawl.ends_within(Duration::from_millis(1));
        }
        killed += usize::from(!has_ended);
        crawl.kill();
        let outcome = crawl.finish();
        assert!([-1, DONE].contains(&outcome.code), "{outcome}");
        let after = reader.head().unwrap();
        assert!(after >= before, "records went: {before}, then {after}");
        drop(reader);
        // What a reader meets in between is an archive, too.
        place.run(&["status"]).expect(DONE);
        if [0, 400].contains(share) {
            place.verified();
        }
    }
    assert!(killed >= 4, "only {killed} crawls were killed before they ended");
    let last = place.crawl();
    assert_eq!(last["result"], "complete", "{last}");
    let status = place.status();
    assert_eq!(counts(&status), counts(&wanted));
    assert_eq!(number(&status, "/index/lag"), 0);
    assert_eq!(stored_digests(&place.archive()), stored_digests(&undisturbed.archive()));
    place.verified();
    assert_eq!(number(&place.crawl(), "/records/added"), 0);
    // The same things are found, and no thing twice.
    for (kind, sort) in [("messages", "oldest"), ("files", "newest")] {
        let args = ["search", "e*", "--json", "--kind", kind, "--sort", sort, "--limit", "50"];
        let [found, due] = [&place, &undisturbed].map(|place| place.run(&args).expect(DONE).json());
        assert_eq!(found[kind]["total"], due[kind]["total"], "{kind}");
        let [found, due] = [found, due].map(|reply| {
            let matches = list(&reply, &format!("/{kind}/matches"));
            matches.iter().map(|found| found["ts"].clone()).collect::<Vec<Value>>()
        });
        assert_eq!(found, due, "{kind}");
    }
}
