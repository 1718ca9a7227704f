//! What is changed in the log by whoever can write to its file.

use teamchat_archive::ledger::SigningKey;
use teamchat_archive::model::Clock;
use teamchat_archive::record::{Action, Visit};
use teamchat_archive::store::AccessLog;
use teamchat_archive::verify::{self, Depth, Report, Trust};

use crate::support::TestArchive;

/// A log of so many entries with a checkpoint, in an archive without records.
fn logged(count: u64) -> (TestArchive, AccessLog, SigningKey) {
    let archive = TestArchive::in_memory("https://chat.example/");
    let log = AccessLog::open(&archive.layout, Clock::System).unwrap();
    let key = SigningKey::new(log.origin(), [9; 32]).unwrap();
    log.introduce(&key).unwrap();
    for n in 1..count {
        let visit = Visit { user: Some("ada".to_owned()), record: Some(n.to_string()), ..Visit::default() };
        log.record(Action::View, &visit).unwrap();
    }
    log.checkpoint(&key).unwrap();
    (archive, log, key)
}

fn checked(archive: &TestArchive, key: &SigningKey) -> Report {
    let trust = Trust { ledger: None, access: Some(key.verifier()) };
    verify::check_with(&archive.reader(), Depth::Full, &trust, &mut |_, _| {}).unwrap()
}

#[test]
fn whatever_is_changed_in_the_log_is_found_and_named() {
    let (archive, log, key) = logged(300);
    let report = checked(&archive, &key);
    assert!(report.ok, "{:?}", report.findings);
    assert_eq!(report.checked.entries, 300);
    drop(log);
    let swap = "UPDATE entry SET number = 900 WHERE number = 20; UPDATE entry SET number = 20 WHERE number = 21; UPDATE entry SET number = 21 WHERE number = 900";
    for (guards, change, said) in [
        (
            &["entry_update"][..],
            "UPDATE entry SET body = replace(body, '17', '18') WHERE number = 17",
            "entry 17 is not what was written",
        ),
        (
            &["entry_update"],
            "UPDATE entry SET header = replace(header, 'view', 'export') WHERE number = 299",
            "entry 299 is not",
        ),
        (&["entry_update"], "UPDATE entry SET leaf = zeroblob(32) WHERE number = 130", "entry 130 is not"),
        (&["entry_update"], swap, "entry 20 stands in another"),
        (&["entry_delete"], "DELETE FROM entry WHERE number = 50", "entry 50 is missing"),
        (&["entry_delete"], "DELETE FROM entry WHERE number = 299", "signed over 300 entries"),
        (
            &["entry_delete", "checkpoint_delete"],
            "DELETE FROM entry WHERE number > 200; DELETE FROM checkpoint",
            "signed over 300 entries",
        ),
        (&["node_update"], "UPDATE node SET hash = zeroblob(32) WHERE level = 7 AND idx = 1", "entries 128 to 255"),
        (&["node_delete"], "DELETE FROM node WHERE level = 8", "entries 0 to 255"),
        (&["salt_update"], "UPDATE salt SET secret = zeroblob(32) WHERE span = 2", "entry 256 is not"),
        (&["salt_delete"], "DELETE FROM salt WHERE span = 2", "its span is missing"),
        (&["signer_update"], "UPDATE signer SET vkey = 'x'", "the keys that it is said to be signed with"),
        (&["checkpoint_update"], "UPDATE checkpoint SET note = replace(note, '300', '299')", "stored as another"),
        (&["entry_update"], "SELECT 1", "trigger entry_update on entry is missing"),
    ] {
        let copy = archive.copy();
        let raw = rusqlite::Connection::open(copy.layout.access()).unwrap();
        assert!(change == "SELECT 1" || raw.execute_batch(change).is_err(), "no guard holds against {change}");
        let definitions: Vec<String> = guards
            .iter()
            .map(|guard| {
                raw.query_row("SELECT sql FROM sqlite_schema WHERE name = ?1", [guard], |row| row.get(0)).unwrap()
            })
            .collect();
        for guard in guards {
            raw.execute_batch(&format!("DROP TRIGGER {guard}")).unwrap();
        }
        raw.execute_batch(change).unwrap();
        if change != "SELECT 1" {
            definitions.iter().for_each(|definition| raw.execute_batch(definition).unwrap());
        }
        drop(raw);
        let report = checked(&copy, &key);
        assert!(!report.ok, "{change} is not found");
        assert!(report.findings.iter().all(|finding| finding.kind == "access"), "{change}: {:?}", report.findings);
        assert!(report.findings.iter().any(|finding| finding.detail.contains(said)), "{change}: {:?}", report.findings);
    }
}

#[test]
fn a_log_that_is_made_anew_without_the_key_is_found() {
    let (archive, log, key) = logged(5);
    drop(log);
    // Everything anew, with the forger's key, and no trace of the right one.
    let forged = archive.copy();
    fs_err::remove_dir_all(forged.layout.checkpoints()).unwrap();
    for name in ["access.db", "access.db-wal", "access.db-shm"] {
        let path = forged.layout.root().join(name);
        if path.exists() {
            fs_err::remove_file(path).unwrap();
        }
    }
    let log = AccessLog::open(&forged.layout, Clock::System).unwrap();
    let other = SigningKey::new(log.origin(), [6; 32]).unwrap();
    log.introduce(&other).unwrap();
    log.checkpoint(&other).unwrap();
    let report = checked(&forged, &key);
    assert!(
        report.findings.iter().any(|finding| finding.detail.contains("not signed by the key that is trusted")),
        "{:?}",
        report.findings
    );
    // An older copy under newer notes is refused before anything is served.
    let older = archive.copy();
    let log = AccessLog::open(&older.layout, Clock::System).unwrap();
    log.record(Action::View, &Visit::default()).unwrap();
    log.checkpoint(&key).unwrap();
    drop(log);
    for name in ["access.db", "access.db-wal", "access.db-shm"] {
        let (from, to) = (archive.layout.root().join(name), older.layout.root().join(name));
        if from.exists() {
            fs_err::copy(from, to).unwrap();
        } else if to.exists() {
            fs_err::remove_file(to).unwrap();
        }
    }
    let log = AccessLog::open(&older.layout, Clock::System).unwrap();
    let error = log.refuse_rollback(Some(&key.verifier())).unwrap_err();
    assert!(error.is_integrity() && error.to_string().contains("only 5 are here"), "{error}");
    assert!(!checked(&older, &key).ok);
}
