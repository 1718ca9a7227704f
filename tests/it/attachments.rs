//! The text of files. Forty-one documents in which a person sees certain phrases, and twenty that are
//! damaged, locked or made to harm: each is archived byte for byte, each has a status, and what can be
//! read is found.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use teamchat_archive::sandbox::corpus;

use crate::cli::flows::{corpus_folder, corpus_lines, digests, stored_digests};
use crate::cli::harness::{DONE, FAILURE, Outcome, PATIENCE, Place, Server, Started, aloud, list, number, string};

/// The most memory that a process of ours may take at any time, whatever is in the files, in MB. The
/// children that read files have limits of their own.
const MOST_MEMORY_MB: u64 = 512;

const STATUSES: [&str; 7] = ["ok", "partial", "encrypted", "unsupported", "failed", "timeout", "too_big"];

/// The most memory that a process has had so far, in MB; `None` once it has ended.
fn peak_memory(process: &Started) -> Option<u64> {
    let status = fs_err::read_to_string(format!("/proc/{}/status", process.child.id())).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024)
}

/// Runs a command to its end and says how much memory it took at most.
fn run_watched(place: &Place, args: &[&str]) -> (Outcome, u64) {
    let mut process = place.start(args);
    let (began, mut peak) = (Instant::now(), 0);
    while !process.ends_within(Duration::from_millis(20)) {
        peak = peak.max(peak_memory(&process).unwrap_or(0));
        assert!(began.elapsed() < PATIENCE, "{args:?} does not end");
    }
    let outcome = process.finish().expect(DONE);
    aloud(&format!("{args:?}: {} s, at most {peak} MB", began.elapsed().as_secs()));
    assert!(peak > 0 && peak < MOST_MEMORY_MB, "{args:?} took {peak} MB");
    (outcome, peak)
}

/// How many results of reading files there are, and the number of the newest.
fn results(place: &Place) -> (i64, i64) {
    let database = rusqlite::Connection::open(place.archive().join("derived.db")).unwrap();
    let query = "SELECT count(*), coalesce(max(number), 0) FROM result";
    // A crawl that was killed may not have come to make it.
    database.query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap_or_default()
}

/// The files that a query finds, by id.
fn files(place: &Place, query: &str) -> BTreeMap<String, Value> {
    let outcome = place.run(&["search", query, "--kind", "files", "--states", "current", "--limit", "1000", "--json"]);
    assert!([DONE, FAILURE].contains(&outcome.code), "{outcome}");
    let reply = outcome.json();
    let found = list(&reply, "/files/matches");
    assert_eq!(number(&reply, "/files/total"), found.len() as u64, "{query}");
    assert_eq!(outcome.code == FAILURE, found.is_empty(), "{query}: the exit code says something else");
    // What became of reading each stands beside the matches, by record.
    let with_outcome = |file: &Value| {
        let mut file = file.clone();
        file["extraction"] = reply["hits"][file["archive"]["record"].to_string()]["extraction"].clone();
        file
    };
    let by_id: BTreeMap<String, Value> = found.iter().map(|file| (string(file, "/id"), with_outcome(file))).collect();
    assert_eq!(by_id.len(), found.len(), "{query}: a file is found twice");
    by_id
}

/// Whether a program is installed.
fn has_program(name: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).any(|folder| folder.join(name).exists())
}

fn crawled(folder: &Path) -> (Server, Place) {
    let server = Server::start(corpus::load(folder).unwrap());
    let mut place = Place::new();
    for setting in ["ENABLED", "RECOGNIZE"] {
        place.extra.push((format!("TEAMCHAT_ARCHIVE_EXTRACT__{setting}"), "true".to_owned()));
    }
    place.enrol(&server.ready);
    run_watched(&place, &["crawl", "--json"]);
    // Whatever the crawl has left for later.
    run_watched(&place, &["index", "rebuild", "--json"]);
    (server, place)
}

/// What may become of a hostile file, by what it is.
fn may_be(file: &Value) -> &'static [&'static str] {
    match (string(file, "/kind").as_str(), string(file, "/name").as_str()) {
        // One of its two entries is not locked.
        ("encrypted", "testZipEncrypted.zip") => &["encrypted", "partial"],
        ("encrypted", _) => &["encrypted"],
        // Anybody may read it.
        ("encrypted-owner-only", _) => &["ok", "partial"],
        // It never ends, so that nobody has read it whole.
        ("recursion-bomb", _) => &["partial", "unsupported", "failed", "timeout", "too_big"],
        _ => &["ok", "partial", "unsupported", "failed", "timeout", "too_big"],
    }
}

#[test]
fn the_text_of_every_file_is_found_or_said_to_be_missing() {
    let Some(folder) = corpus_folder("attachments") else { return };
    let (_server, place) = crawled(&folder);
    assert_eq!(stored_digests(&place.archive()), digests(&folder).into_values().collect());

    // Each file has a status, and the readable ones were read.
    let hostile: BTreeMap<String, Value> =
        corpus_lines(&folder, "hostile").into_iter().map(|file| (string(&file, "/file"), file)).collect();
    assert_eq!(hostile.len(), 20, "the corpus is another one");
    let all = files(&place, "*");
    assert_eq!(all.len(), 61);
    let of = |file: &Value| file.pointer("/extraction/status").and_then(Value::as_str).unwrap_or("missing").to_owned();
    let status: BTreeMap<&str, String> = all.iter().map(|(id, file)| (id.as_str(), of(file))).collect();
    let mut problems = Vec::new();
    for (id, status) in &status {
        let (name, detail) = (string(&all[*id], "/name"), all[*id]["extraction"].to_string());
        let allowed = hostile.get(*id).map_or(&["ok", "partial"][..], may_be);
        // Pictures say nothing without a program that reads them.
        let is_unread_picture = !has_program("tesseract") && [".png", ".tif"].iter().any(|end| name.ends_with(end));
        if !STATUSES.contains(&status.as_str()) || !(allowed.contains(&status.as_str()) || is_unread_picture) {
            problems.push(format!("{id} {name} is {status}, may be {allowed:?}: {detail}"));
        } else if hostile.contains_key(*id) {
            aloud(&format!("hostile: {name}: {detail}"));
        }
    }

    // What was not read whole is on one list, and nothing else is.
    let unread: BTreeSet<&str> = status.iter().filter(|(_, status)| *status != "ok").map(|(id, _)| *id).collect();
    let listed = files(&place, "is:unextracted");
    assert_eq!(listed.keys().map(String::as_str).collect::<BTreeSet<&str>>(), unread, "is:unextracted");
    for word in STATUSES {
        let due: BTreeSet<&str> = status.iter().filter(|(_, status)| *status == word).map(|(id, _)| *id).collect();
        let found = files(&place, &format!("extraction:{word}"));
        assert_eq!(found.keys().map(String::as_str).collect::<BTreeSet<&str>>(), due, "extraction:{word}");
    }
    let told = place.run(&["index", "status", "--json"]).expect(DONE).json();
    for word in STATUSES {
        let due = status.values().filter(|status| *status == word).count();
        assert_eq!(told["files"][word].as_u64().unwrap_or(0), due as u64, "{word}: {told}");
    }
    assert_eq!(told["complete"]["whole"], true, "{told}");

    problems.extend(missed_phrases(&place, &folder));
    if !files(&place, "\"RETHINKING THE FINANCIAL NETWORK\"").contains_key("FFTJ7LSQXO") {
        problems.push("anybody may read testPDF_protected.pdf, and its heading is not found".to_owned());
    }

    // A second time nothing is read again: the results outlive the index.
    let before = results(&place);
    assert!(before.0 >= 61, "{before:?}");
    run_watched(&place, &["index", "rebuild", "--json"]);
    assert_eq!(results(&place), before);
    fs_err::remove_dir_all(place.archive().join("index")).unwrap();
    run_watched(&place, &["index", "rebuild", "--json"]);
    assert_eq!(results(&place), before);
    assert_eq!(files(&place, "is:unextracted").keys().collect::<Vec<_>>(), listed.keys().collect::<Vec<_>>());
    place.verified();
    assert!(problems.is_empty(), "{}:\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn kills_while_files_are_read_and_indexed_cost_time_and_nothing_else() {
    let Some(folder) = corpus_folder("attachments") else { return };
    let server = Server::start(corpus::load(&folder).unwrap());
    let mut place = Place::new();
    place.enrol(&server.ready);
    place.crawl();
    let index = |place: &Place| place.run(&["index", "status", "--json"]).expect(DONE).json();
    let before = index(&place);
    assert_eq!(before["complete"]["whole"], true, "{before}");
    place.extra.push(("TEAMCHAT_ARCHIVE_EXTRACT__ENABLED".to_owned(), "true".to_owned()));
    let (mut killed, mut kept) = (0, 0);
    for patience in [300, 500, 800, 1200, 1800, 2600, 200, 400] {
        let mut crawl = place.start(&["crawl"]);
        if crawl.ends_within(Duration::from_millis(patience)) {
            break;
        }
        crawl.kill();
        killed += 1;
        kept = results(&place).0.max(kept);
        let after = index(&place);
        assert_eq!(after["complete"]["whole"], true, "after {patience} ms: {after}");
        assert_eq!(after["generation"], before["generation"], "after {patience} ms it was built anew");
        place.verified();
    }
    assert!(killed >= 3 && kept > 0, "{killed} were killed, when {kept} files had been read");
    place.crawl();
    let after = index(&place);
    assert_eq!((&after["complete"]["whole"], &after["generation"]), (&true.into(), &before["generation"]), "{after}");
    assert_eq!(results(&place).0, 61, "each was read once, however often it was begun");
    assert!(!files(&place, "\"Footnote appears here\"").is_empty());
    place.verified();
}

/// The phrases that are not found in a file in which a person sees them. What is found beside them is
/// told, for somebody to look at.
fn missed_phrases(place: &Place, folder: &Path) -> Vec<String> {
    let can_read_pictures = has_program("tesseract");
    let truth = corpus_lines(folder, "ground_truth");
    assert_eq!(truth.len(), 71, "the corpus is another one");
    let (mut missed, mut further) = (Vec::new(), Vec::new());
    for line in &truth {
        let phrase = string(line, "/query");
        if !can_read_pictures && list(line, "/requires").iter().any(|need| need == "ocr") {
            aloud(&format!("NOT TESTED: {phrase:?} stands in a picture, and tesseract is not installed"));
            continue;
        }
        let found = files(place, &format!("\"{phrase}\""));
        let expected: BTreeSet<String> =
            list(line, "/expected_files").iter().map(|id| id.as_str().unwrap().to_owned()).collect();
        for id in expected.iter().filter(|id| !found.contains_key(*id)) {
            missed.push(format!("missed: {} {phrase:?} in {id} ({}; {})", line["id"], line["name"], line["requires"]));
        }
        for (id, file) in found.iter().filter(|(id, _)| !expected.contains(*id)) {
            further.push(format!("{} {phrase:?} in {id} ({})", line["id"], file["name"]));
        }
        for (id, file) in &found {
            let highlight = string(file, "/archive/highlight");
            if !highlight.contains('\u{e000}') {
                missed.push(format!("not marked: {phrase:?} in {id}: {highlight:?}"));
            }
        }
    }
    aloud(&format!("{} phrases; also found, and not named by the ground truth:\n{}", truth.len(), further.join("\n")));
    missed
}
