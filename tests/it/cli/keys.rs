//! The signing keys: shown, rotated, lost, and whom a check trusts afterwards.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};
use teamchat_archive::ledger::{ArchiveId, Note, SigningKey, VerifierKey};
use teamchat_archive::model::Clock;
use teamchat_archive::record::{KeyBefore, OwnNote, Reason};
use teamchat_archive::sandbox::generate;
use teamchat_archive::store::keys::Keys;
use teamchat_archive::store::{Layout, NewKey, Reader, Signing, Writer, create};
use teamchat_archive::verify::{self, Depth, Report};

use crate::talk::http_client;

use super::harness::{DONE, FAILURE, INTEGRITY, Place, Server, USAGE, number, string};

/// A small archive with one crawl in it, and the key that was made for it.
fn crawled() -> (Server, Place, String) {
    let server = Server::start(generate::seed(12, 3));
    let place = Place::new();
    place.enrol(&server.ready);
    place.crawl();
    let first = place.path("first.vkey");
    fs_err::copy(place.keys().join("ledger.vkey"), &first).unwrap();
    (server, place, first.to_str().unwrap().to_owned())
}

fn show(place: &Place) -> Value {
    place.run(&["key", "show", "--json"]).expect(DONE).json()
}

fn verifier(path: &str) -> VerifierKey {
    VerifierKey::parse(&fs_err::read_to_string(path).unwrap()).unwrap()
}

fn newest_note(place: &Place) -> Note {
    Note::parse(&fs_err::read(place.archive().join("checkpoints/latest.note")).unwrap()).unwrap()
}

#[test]
fn a_key_is_followed_by_another_that_both_have_signed_for() {
    let (_server, place, first) = crawled();
    let before = show(&place);
    assert_eq!((&before["previous"], &before["ledger"]["private"]), (&Value::Null, &json!("kept")));
    let rotated = place.run(&["key", "rotate", "--json"]).expect(DONE).json();
    assert_eq!(rotated["previous_key_id"], before["ledger"]["key_id"]);
    assert_ne!(rotated["key_id"], before["ledger"]["key_id"]);
    let state = show(&place);
    assert_eq!(state["ledger"]["key_id"], rotated["key_id"]);
    assert_eq!((&state["pinned"], &state["previous"]["signs"]), (&rotated["key_id"], &json!(true)));
    assert_eq!(place.status()["checkpoint"]["key_id"], rotated["key_id"]);
    for (name, mode) in [("ledger.key", 0o600), ("ledger.key.retired", 0o600), ("access.key", 0o600)] {
        let found = fs_err::metadata(place.keys().join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(found, mode, "{name}");
    }
    assert!(!place.keys().join("ledger.key.next").exists());
    let second = place.keys().join("ledger.vkey").to_str().unwrap().to_owned();
    for key in [&first, &second] {
        newest_note(&place).verify(&verifier(key)).unwrap();
        place.run(&["verify", "--key", key]).expect(DONE);
    }
    // Nothing new: no record, no second record of the archive itself.
    assert_eq!(number(&place.crawl(), "/records/added"), 0);
    place.verified();
    assert_eq!(number(&place.status(), "/records"), number(&rotated, "/record") + 1);

    // Without an overlap the key before signs what tells of the change, and nothing after it.
    let third = place.run(&["key", "rotate", "--overlap", "0s", "--json"]).expect(DONE).json();
    let state = show(&place);
    assert_eq!((&state["previous"]["signs"], &state["previous"]["may_be_destroyed"]), (&json!(false), &json!(true)));
    let doctor = place.run(&["doctor"]).text();
    assert!(doctor.contains("may be destroyed"), "{doctor}");
    let middle = place.path("second.vkey");
    fs_err::write(&middle, format!("{}\n", string(&rotated, "/vkey"))).unwrap();
    for key in [first.as_str(), middle.to_str().unwrap(), second.as_str()] {
        place.run(&["verify", "--key", key]).expect(DONE);
    }
    assert_eq!(string(&third, "/reason"), "rotated");
    // A checkpoint of the first days is still accepted, by whichever key is trusted.
    let notes = place.archive().join("checkpoints");
    let mut names: Vec<_> = fs_err::read_dir(&notes).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    let oldest = names.iter().find(|path| path.extension().is_some()).unwrap();
    place.run(&["verify", "--quick", "--checkpoint", oldest.to_str().unwrap()]).expect(DONE);
}

#[test]
fn a_lost_key_is_said_to_be_lost_and_its_trust_ends_there() {
    let (_server, place, first) = crawled();
    place.run(&["key", "rotate", "--lost"]).expect_error(USAGE, &["not lost"]).with_hint("without `--lost`");
    fs_err::remove_file(place.keys().join("ledger.key")).unwrap();
    place.run(&["key", "rotate"]).expect_error(FAILURE, &["no signing key"]);
    let rotated = place.run(&["key", "rotate", "--lost", "--json"]).expect(DONE).json();
    assert_eq!((&rotated["reason"], &rotated["overlap_until"]), (&json!("lost"), &Value::Null));
    assert_eq!(number(&place.crawl(), "/records/added"), 0);
    place.verified();
    let report = place.run(&["verify", "--json", "--key", &first]).expect(INTEGRITY).json();
    let found = &report["findings"][0];
    assert_eq!((&found["kind"], &found["record"]), (&json!("checkpoint"), &rotated["record"]), "{report}");
    assert!(string(found, "/detail").contains("was lost"), "{report}");
    assert_eq!(report["findings"].as_array().unwrap().len(), 1, "{report}");
    let state = show(&place);
    assert_eq!(state["previous"]["private"], "not kept here");
    assert!(place.keys().join("ledger.vkey.retired").exists());
}

fn key(seed: u8) -> SigningKey {
    SigningKey::new("archive.example/k", [seed; 32]).unwrap()
}

/// An archive under the key of seed 1 with a signed record of itself.
fn signed(folder: &std::path::Path) -> Layout {
    let layout = Layout::new(folder.join("archive"));
    fs_err::create_dir_all(layout.root()).unwrap();
    let vkey = key(1).verifier().to_text();
    create(&layout, ArchiveId([3; 16]), &vkey, "archive.example/k", "https://chat.example/", &Clock::System).unwrap();
    let mut writer = writer(&layout, 1, None);
    writer.describe(None).unwrap().unwrap();
    assert_eq!(writer.describe(None).unwrap(), None, "nothing changed");
    writer.checkpoint().unwrap();
    layout
}

fn writer(layout: &Layout, seed: u8, also: Option<u8>) -> Writer {
    // Whoever rewrites an archive asks nobody.
    let trusted = (1..=9).map(|seed| key(seed).verifier()).collect();
    let signing = Signing { key: Some(key(seed)), also: also.map(key), trusted };
    Writer::open_with(layout, layout.lock().unwrap(), signing, Clock::System).unwrap()
}

fn change(from: u8, to: u8, reason: Reason) -> NewKey {
    let previous = KeyBefore { vkey: key(from).verifier().to_text(), reason, overlap_until: None };
    NewKey { vkey: key(to).verifier().to_text(), previous }
}

fn trusting(layout: &Layout, seed: u8) -> Report {
    let key = key(seed).verifier();
    verify::check(&Reader::open(layout).unwrap(), Depth::Full, Some(&key), &mut |_, _| {}).unwrap()
}

#[test]
fn who_has_no_key_can_record_a_change_of_it_and_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let layout = signed(folder.path());
    assert!(trusting(&layout, 1).ok);
    // The record alone: nothing is signed since, and that is said.
    let mut forger = writer(&layout, 9, None);
    forger.describe(Some(change(1, 9, Reason::Rotated))).unwrap().unwrap();
    let report = trusting(&layout, 1);
    assert!(report.ok && report.notes.iter().any(|note| note.contains("nothing is signed since")), "{report:?}");
    // With a checkpoint that only the forger signed.
    forger.checkpoint().unwrap();
    drop(forger);
    let report = trusting(&layout, 1);
    let said = |words: &str| report.findings.iter().any(|finding| finding.detail.contains(words));
    assert!(!report.ok && said("no checkpoint after that record is signed by a key that is trusted"), "{report:?}");
    // Whoever trusts the forger's key has been told of it by the forger.
    assert!(trusting(&layout, 9).ok);

    // A forger who then gives the key back, so that the keeper signs on, gains nothing for what the
    // forger signed alone.
    let layout = signed(tempfile::tempdir_in(folder.path()).unwrap().keep().as_path());
    let mut forger = writer(&layout, 9, None);
    forger.describe(Some(change(1, 9, Reason::Rotated))).unwrap().unwrap();
    forger.describe(Some(change(9, 1, Reason::Rotated))).unwrap().unwrap();
    forger.checkpoint().unwrap();
    drop(forger);
    let report = trusting(&layout, 1);
    assert!(!report.ok, "{report:?}");
}

#[test]
fn a_retired_key_signs_nothing_by_itself_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let layout = signed(folder.path());
    let mut both = writer(&layout, 2, Some(1));
    both.describe(Some(change(1, 2, Reason::Rotated))).unwrap().unwrap();
    both.checkpoint().unwrap();
    drop(both);
    for seed in [1, 2] {
        let report = trusting(&layout, seed);
        assert!(report.ok, "{seed}: {report:?}");
    }
    // Whoever stole the first key goes on with it.
    let mut thief = writer(&layout, 1, None);
    thief.describe(Some(change(2, 3, Reason::Rotated))).unwrap().unwrap();
    thief.checkpoint().unwrap();
    drop(thief);
    for seed in [1, 2] {
        let report = trusting(&layout, seed);
        let said = |words: &str| report.findings.iter().any(|finding| finding.detail.contains(words));
        assert!(!report.ok && said("in force"), "{seed}: {report:?}");
    }
}

#[test]
fn what_the_archive_says_of_itself_is_held_against_its_record() {
    let folder = tempfile::tempdir().unwrap();
    let layout = signed(folder.path());
    drop(Reader::open(&layout).unwrap());
    for (guard, sql, kind) in [
        ("archive_update", "UPDATE archive SET created_at = '2020-01-01T00:00:00.000Z'", "archive"),
        ("archive_update", "UPDATE archive SET format = 3", "archive"),
        ("source_update", "UPDATE source SET server = 'https://other.example/'", "archive"),
        ("about_update", "UPDATE about SET text = text || 'x' WHERE name = 'README'", "about"),
        ("about_delete", "DELETE FROM about WHERE name = 'README'", "about"),
        ("about_replace", "INSERT INTO about VALUES ('more', 'x')", "about"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let copy = Layout::new(folder.path().join("archive"));
        copy_below(layout.root(), copy.root());
        assert!(trusting(&copy, 1).ok, "before {sql}");
        let raw = rusqlite::Connection::open(copy.database()).unwrap();
        let definition: String =
            raw.query_row("SELECT sql FROM sqlite_schema WHERE name = ?1", [guard], |row| row.get(0)).unwrap();
        raw.execute_batch(&format!("SAVEPOINT s; DROP TRIGGER {guard}; {sql}; {definition}; RELEASE s")).unwrap();
        let report = trusting(&copy, 1);
        assert!(report.findings.iter().any(|finding| finding.kind == kind), "{sql}: {report:?}");
    }
    // Other texts than those of the record are found.
    let raw = rusqlite::Connection::open(layout.database()).unwrap();
    raw.execute_batch("INSERT INTO maintenance VALUES ('t'); UPDATE about SET text = 'older' WHERE name = 'README'; DELETE FROM maintenance").unwrap();
    drop(raw);
    assert!(!trusting(&layout, 1).ok);
    let own = Reader::open(&layout).unwrap().own_records().unwrap();
    assert_eq!(own.len(), 1);
    let OwnNote { about, previous, .. } = &own[0].note;
    assert!(about.contains_key("README") && previous.is_none());
    // A change of key puts them, and the new public half, in their places.
    let mut both = writer(&layout, 2, Some(1));
    both.describe(Some(change(1, 2, Reason::Rotated))).unwrap().unwrap();
    assert_eq!(both.describe(None).unwrap(), None);
    both.checkpoint().unwrap();
    drop(both);
    assert!(trusting(&layout, 2).ok);
}

#[test]
fn a_change_of_key_that_is_cut_off_anywhere_is_finished_by_whoever_writes_next() {
    let (_server, place, first) = crawled();
    let layout = Layout::new(place.archive());
    let keys = Keys::new(place.keys(), None);
    let origin = verifier(&first).name().to_owned();
    let next = || SigningKey::new(&origin, [77; 32]).unwrap();
    let open = || {
        let signing = Signing { key: Some(next()), also: Some(keys.ledger_key().unwrap()), trusted: Vec::new() };
        Writer::open_with(&layout, layout.lock().unwrap(), signing, Clock::System).unwrap()
    };
    let records = number(&place.status(), "/records");

    // Kept and not recorded: the old key goes on, and a new change draws another.
    keys.store_next_key(&next()).unwrap();
    place.verified();
    assert_eq!(number(&place.crawl(), "/records/added"), 0);
    assert_eq!(show(&place)["ledger"]["key_id"], verifier(&first).id());

    // Recorded and not signed.
    let until = Some("2999-01-01T00:00:00.000Z".to_owned());
    let previous = KeyBefore { vkey: verifier(&first).to_text(), reason: Reason::Rotated, overlap_until: until };
    let mut cut = open();
    cut.describe(Some(NewKey { vkey: next().verifier().to_text(), previous })).unwrap().unwrap();
    drop(cut);
    place.verified();
    let recorded = copied(&place);

    // Signed by both, and the files as they were.
    let mut cut = open();
    cut.checkpoint().unwrap().unwrap();
    drop(cut);
    place.verified();
    let in_order = copied(&place);

    // The one before is beside it, then the public half is the new one's, then all is done.
    fs_err::copy(place.keys().join("ledger.key"), place.keys().join("ledger.key.retired")).unwrap();
    place.verified();
    let retired = copied(&place);
    fs_err::write(place.keys().join("ledger.vkey"), format!("{}\n", next().verifier().to_text())).unwrap();
    place.verified();

    for (what, place) in [("recorded", recorded), ("signed", in_order), ("retired", retired), ("named", place)] {
        // Of two commands that may come next, each finishes it.
        let other = copied(&place);
        let rotated = other.run(&["key", "rotate", "--json"]).expect(DONE).json();
        assert_eq!(rotated["resumed"], true, "{what}: {rotated}");
        assert_eq!(number(&place.crawl(), "/records/added"), 0, "{what}");
        for place in [&place, &other] {
            let state = show(place);
            assert_eq!(state["ledger"]["key_id"], next().verifier().id(), "{what}");
            assert_eq!((&state["ledger"]["private"], &state["pinned"]), (&json!("kept"), &state["ledger"]["key_id"]));
            assert_eq!(state["previous"]["signs"], true, "{what}: {state}");
            assert!(!place.keys().join("ledger.key.next").exists(), "{what}");
            assert_eq!(number(&place.status(), "/records"), records + 1, "{what}");
            place.verified();
            place.run(&["verify", "--key", &first]).expect(DONE);
        }
    }
}

#[test]
fn serving_signs_the_access_log_and_is_refused_over_an_older_one() {
    let server = Server::start(generate::seed(12, 3));
    let place = Place::new();
    place.enrol(&server.ready);
    fs_err::remove_file(place.keys().join("access.key")).unwrap();
    let token = place.run(&["token", "create", "robot", "--channel", "all", "--json"]).expect(DONE).json();
    let token = string(&token, "/token");
    let serve = |calls: usize| {
        let mut started = place.start(&["serve", "--listen", "127.0.0.1:0", "--json"]);
        let url = string(&serde_json::from_str(&started.line()).unwrap(), "/url");
        for _ in 0..calls {
            let request = http_client().get(format!("{url}teamchatapi/users.list")).bearer_auth(&token);
            let reply = server.runtime.block_on(async { request.send().await.unwrap().text().await.unwrap() });
            assert!(reply.contains("\"ok\":true"), "{reply}");
        }
        started.terminate();
        started.finish().expect(DONE);
    };
    serve(2);
    assert!(place.keys().join("access.key").exists(), "an archive without a key for its log is given one");
    let notes = place.archive().join("checkpoints/access");
    let latest = || Note::parse(&fs_err::read(notes.join("latest.note")).unwrap()).unwrap();
    // The token, the key, two calls.
    let vkey = verifier(place.keys().join("access.vkey").to_str().unwrap());
    latest().verify(&vkey).unwrap();
    assert_eq!(latest().text().lines().nth(1), Some("4"));
    place.verified();
    let older = copied(&place);
    serve(1);
    assert_eq!(latest().text().lines().nth(1), Some("5"));
    for name in ["access.db", "access.db-wal", "access.db-shm"] {
        let (from, to) = (older.archive().join(name), place.archive().join(name));
        if to.exists() {
            fs_err::remove_file(&to).unwrap();
        }
        if from.exists() {
            fs_err::copy(from, to).unwrap();
        }
    }
    place.run(&["serve", "--listen", "127.0.0.1:0"]).expect_error(INTEGRITY, &["only 4 are here"]);
    let report = place.run(&["verify", "--json"]).expect(INTEGRITY).json();
    assert_eq!(report["findings"][0]["kind"], "access", "{report}");
    // Everything else goes on.
    place.crawl();
    place.run(&["status"]).expect(DONE);
}

/// The same archive and keys once more.
fn copied(place: &Place) -> Place {
    let other = Place::new();
    copy_below(&place.archive(), &other.archive());
    copy_below(&place.keys(), &other.keys());
    other
}

fn copy_below(from: &std::path::Path, to: &std::path::Path) {
    for path in super::harness::files_below(from) {
        let target = to.join(path.strip_prefix(from).unwrap());
        fs_err::create_dir_all(target.parent().unwrap()).unwrap();
        fs_err::copy(&path, target).unwrap();
    }
}
