//! Checkpoints that go elsewhere, and what they find: whole archives that were put back, or made
//! anew, by someone who can write to everything but the keepers.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use teamchat_archive::ledger::{Checkpoint, SigningKey, VerifierKey};
use teamchat_archive::model::{ChannelId, Clock, Digest};
use teamchat_archive::record::{Kind, Record, State};
use teamchat_archive::sandbox::story;
use teamchat_archive::store::{Batch, Change, FIRST_SOURCE, Layout, NewRecord, Reader, StateChange, Writer, create};

use super::harness::{DONE, INTEGRITY, Outcome, Place, Server, Started, USAGE, list, number, string};
use crate::keepers::{Authority, Witness, openssl};

fn crawled() -> (Server, Place) {
    let server = Server::start(story::seed());
    let place = Place::new();
    place.enrol(&server.ready);
    place.crawl();
    (server, place)
}

/// Adds a keeper to the settings.
fn keep(place: &Place, kind: &str, name: &str, rest: &str) {
    let path = place.archive().join("archive.toml");
    let text = fs_err::read_to_string(&path).unwrap();
    fs_err::write(path, format!("{text}\n[[anchor]]\nkind = \"{kind}\"\nname = \"{name}\"\n{rest}\n")).unwrap();
}

/// Adds a folder as a keeper; its place.
fn keep_folder(place: &Place) -> PathBuf {
    let folder = place.path("elsewhere");
    fs_err::create_dir_all(&folder).unwrap();
    keep(place, "folder", "disk", &format!("path = \"{}\"", folder.display()));
    folder
}

fn copy_folder(from: &Path, to: &Path) {
    fs_err::create_dir_all(to).unwrap();
    for entry in fs_err::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            fs_err::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// The database and the checkpoints as they are now, to be put back later.
fn copy_aside(place: &Place, name: &str) -> PathBuf {
    let aside = place.path(name);
    copy_folder(&place.archive().join("checkpoints"), &aside.join("checkpoints"));
    for file in ["archive.db", "archive.db-wal"] {
        if place.archive().join(file).exists() {
            fs_err::copy(place.archive().join(file), aside.join(file)).unwrap();
        }
    }
    aside
}

/// Puts a database in the place of the archive's.
fn put_database(place: &Place, aside: &Path) {
    for file in ["archive.db", "archive.db-wal", "archive.db-shm"] {
        let path = place.archive().join(file);
        if path.exists() {
            fs_err::remove_file(&path).unwrap();
        }
        if aside.join(file).exists() && !file.ends_with("shm") {
            fs_err::copy(aside.join(file), path).unwrap();
        }
    }
}

fn put_checkpoints(place: &Place, aside: &Path) {
    fs_err::remove_dir_all(place.archive().join("checkpoints")).unwrap();
    copy_folder(&aside.join("checkpoints"), &place.archive().join("checkpoints"));
}

/// The newest file of a folder of checkpoints, by name.
fn latest(folder: &Path) -> PathBuf {
    folder.join("latest.note")
}

/// `crawl` is refused, `verify` finds, a monitor is told; searching and reading go on.
#[track_caller]
fn is_refused_and_read(place: &Place, words: &[&str]) -> Vec<Value> {
    let before = fs_err::read(place.archive().join("archive.db")).unwrap();
    place.run(&["crawl"]).expect_error(INTEGRITY, words).with_hint("reading");
    assert_eq!(fs_err::read(place.archive().join("archive.db")).unwrap(), before, "it was written to");
    let check = place.run(&["status", "--check"]).expect(INTEGRITY);
    assert!(check.text().contains("integrity:"), "{check}");
    let found = place.run(&["search", "crane", "--json", "--limit", "1"]).expect(DONE).json();
    let record = number(&list(&found, "/messages/matches")[0], "/archive/record");
    place.run(&["show", &record.to_string()]).expect(DONE);
    findings(place.run(&["verify", "--json"]).expect(INTEGRITY))
}

fn findings(outcome: Outcome) -> Vec<Value> {
    let report = outcome.json();
    assert_eq!(report["ok"], false);
    list(&report, "/findings")
}

/// Whether one of the findings is of this kind and says this.
#[track_caller]
fn says(findings: &[Value], kind: &str, words: &str) {
    let is_it = |finding: &&Value| finding["kind"] == kind && string(finding, "/detail").contains(words);
    assert!(findings.iter().any(|finding| is_it(&finding)), "no {kind} says {words:?}: {findings:?}");
}

fn signing_key(place: &Place) -> SigningKey {
    SigningKey::parse(&fs_err::read_to_string(place.keys().join("ledger.key")).unwrap()).unwrap()
}

fn verifier_key(place: &Place) -> VerifierKey {
    signing_key(place).verifier()
}

#[test]
fn checkpoints_go_to_every_keeper_and_what_they_answer_is_kept_and_checked() {
    let server = Server::start(story::seed());
    let place = Place::new();
    place.enrol(&server.ready);
    let folder = keep_folder(&place);
    let witness = server.runtime.block_on(Witness::start("witness.example/w"));
    witness.knows(&verifier_key(&place));
    keep(&place, "witness", "w1", &format!("url = \"{}\"\nkey = \"{}\"", witness.url, witness.vkey()));
    let authority = server.runtime.block_on(Authority::start(&place.path("authority"), "sha256"));
    keep(&place, "timestamp", "tsa", &format!("url = \"{}\"", authority.url));
    place.run(&["config", "check"]).expect(DONE);

    assert_eq!(
        list(&place.crawl(), "/findings")
            .iter()
            .filter(|finding| string(finding, "/kind").starts_with("anchor"))
            .count(),
        0
    );
    let first = number(&place.status(), "/checkpoint/size");
    server.running.play_later().unwrap();
    place.run(&["crawl", "--full"]).expect(DONE);
    let status = place.status();
    let second = number(&status, "/checkpoint/size");
    assert!(second > first);
    // The authority is asked once a day.
    let sizes: Vec<(String, u64)> =
        list(&status, "/anchors").iter().map(|anchor| (string(anchor, "/kind"), number(anchor, "/size"))).collect();
    let expected = [("folder", second), ("witness", second), ("timestamp", first)];
    assert_eq!(sizes, expected.map(|(kind, size)| (kind.to_owned(), size)));
    assert!(list(&status, "/anchors").iter().all(|anchor| anchor["error"].is_null()), "{status}");
    let text = place.run(&["status"]).expect(DONE).text();
    assert!(text.contains(&format!("witness w1: {second} records")), "{text}");

    // The folder holds what `checkpoints/` holds, byte for byte.
    for size in [first, second] {
        let name = format!("{size:012}.note");
        let own = fs_err::read(place.archive().join("checkpoints").join(&name)).unwrap();
        assert_eq!(fs_err::read(folder.join(&name)).unwrap(), own);
    }
    let origin = verifier_key(&place).name().to_owned();
    let reader = Reader::open(&Layout::new(place.archive())).unwrap();
    assert_eq!(witness.seen(&origin), Some((second, reader.root(second).unwrap())));
    assert_eq!(witness.asked()[0], ("old 0".to_owned(), 0));
    assert_eq!(witness.asked()[1].0, format!("old {first}"));
    let stamp = reader.last_anchored("timestamp:tsa").unwrap().unwrap();
    let note = fs_err::read(place.archive().join(format!("checkpoints/{first:012}.note"))).unwrap();
    assert_eq!(stamp.evidence, authority.exchanged()[0].1);
    assert!(authority.verify(&stamp.evidence, &note).unwrap().contains("Verification: OK"));
    // As the README has it, with stock programs alone.
    let words = format!(
        "SELECT writefile('stamp.tsr', evidence) FROM anchored WHERE sink = 'timestamp:tsa' AND size = {first}"
    );
    let wrote = Command::new("sqlite3").args(["archive.db", &words]).current_dir(place.archive()).status().unwrap();
    assert!(wrote.success());
    let (data, root) = (format!("checkpoints/{first:012}.note"), place.path("authority/root.pem"));
    let args = ["ts", "-verify", "-data", &data, "-in", "stamp.tsr", "-CAfile", root.to_str().unwrap()];
    assert!(openssl(&place.archive(), &args).unwrap().contains("Verification: OK"));
    fs_err::remove_file(place.archive().join("stamp.tsr")).unwrap();

    // Two copies and the newest once more, two cosignatures, one time-stamp, two notes of a folder.
    let report = place.verified();
    assert_eq!(number(&report, "/checked/anchors"), 3 + 2 + 1 + 2, "{report}");
    // A pass that adds nothing asks nobody.
    let asked = witness.asked().len();
    assert_eq!(number(&place.crawl(), "/records/added"), 0);
    assert_eq!((witness.asked().len(), authority.exchanged().len()), (asked, 1));

    // An answer that was changed, and one about a checkpoint that is not here, are found.
    let connection = rusqlite::Connection::open(place.archive().join("archive.db")).unwrap();
    let definition: String = connection
        .query_row("SELECT sql FROM sqlite_schema WHERE name = 'anchored_update'", [], |row| row.get(0))
        .unwrap();
    connection
        .execute_batch(&format!(
            "DROP TRIGGER anchored_update;
             UPDATE anchored SET evidence = (SELECT evidence FROM anchored WHERE sink = 'witness:w1' AND size = {first})
             WHERE sink = 'witness:w1' AND size = {second};
             UPDATE anchored SET size = {second} WHERE sink = 'timestamp:tsa';
             INSERT INTO anchored VALUES (3, 'witness:w1', '', x'');
             {definition};"
        ))
        .unwrap();
    drop(connection);
    let found = findings(place.run(&["verify", "--json"]).expect(INTEGRITY));
    assert_eq!(found.len(), 3, "{found:?}");
    says(&found, "anchor", "does not match the text");
    says(&found, "anchor", "other bytes");
    says(&found, "anchor", "a checkpoint that is not here");
}

#[test]
fn a_keeper_that_fails_stops_nothing_and_is_asked_again() {
    let server = Server::start(story::seed());
    let place = Place::new();
    place.enrol(&server.ready);
    let witness = server.runtime.block_on(Witness::start("witness.example/w"));
    keep(&place, "witness", "w1", &format!("url = \"{}\"\nkey = \"{}\"", witness.url, witness.vkey()));
    let folder = place.path("elsewhere");
    keep(&place, "folder", "disk", &format!("path = \"{}\"", folder.display()));

    // The crawl is complete all the same: nothing of the server is missing.
    let summary = place.crawl();
    says(&list(&summary, "/findings"), "anchor_failed", "does not know this archive");
    says(&list(&summary, "/findings"), "anchor_failed", "mount the disk");
    let status = place.status();
    assert_eq!((&status["coverage"]["complete"], &status["coverage"]["debts"]), (&json!(true), &json!(0)));
    for anchor in list(&status, "/anchors") {
        assert!(anchor["size"].is_null() && anchor["time"].is_null() && anchor["error"].is_string(), "{anchor}");
        assert!(anchor["error_since"].is_string(), "{anchor}");
    }
    let text = place.run(&["status"]).expect(DONE).text();
    assert!(text.contains("witness w1: nothing yet") && text.contains("give its operator"), "{text}");
    place.run(&["status", "--check"]).expect(DONE);
    let report = place.verified();
    assert!(report["notes"].to_string().contains("were not compared"), "{report}");

    // The watch tells of both, and goes on.
    fs_err::create_dir(&folder).unwrap();
    let mut watch = place.start(&["watch", "--json", "--interval", "2s", "--checkpoint-interval", "1s"]);
    let failed = next(&mut watch, |line| line["event"] == "anchor_failed");
    assert_eq!(
        (&failed["kind"], &failed["name"], &failed["contradicts"]),
        (&json!("witness"), &json!("w1"), &json!(false))
    );
    witness.knows(&verifier_key(&place));
    let kept = next(&mut watch, |line| line["event"] == "anchored" && line["kind"] == "witness");
    assert_eq!(number(&kept, "/size"), number(&status, "/checkpoint/size"));
    watch.terminate();
    watch.finish().expect(DONE);
    let status = place.status();
    for anchor in list(&status, "/anchors") {
        assert_eq!((&anchor["size"], &anchor["error"]), (&status["checkpoint"]["size"], &Value::Null), "{anchor}");
    }
    place.verified();

    // A disk that came off, or was emptied.
    fs_err::remove_dir_all(&folder).unwrap();
    fs_err::create_dir(&folder).unwrap();
    says(&findings(place.run(&["verify", "--json"]).expect(INTEGRITY)), "anchor", "are gone");
    // And a witness that was shown another history: that is no failure of the witness.
    let origin = verifier_key(&place).name().to_owned();
    let seen = witness.seen(&origin).unwrap();
    witness.believes(&origin, Some((seen.0, Digest::of(b"another history"))));
    server.running.play_later().unwrap();
    let summary = place.run(&["crawl", "--full", "--json"]).expect(INTEGRITY).json();
    assert_eq!(summary["result"], "complete");
    says(&list(&summary, "/findings"), "anchor_failed", "was put there and is gone");
    says(&list(&summary, "/findings"), "anchor_contradicts", "another history");
    assert_eq!(fs_err::read_dir(&folder).unwrap().count(), 0);
    let check = place.run(&["status", "--check"]).expect(INTEGRITY);
    assert!(check.text().contains("another history"), "{check}");
    witness.believes(&origin, Some(seen));
    place.crawl();
    place.run(&["status", "--check"]).expect(DONE);
    let status = place.status();
    let states: Vec<(bool, bool)> = list(&status, "/anchors")
        .iter()
        .map(|anchor| (anchor["size"] == status["checkpoint"]["size"], anchor["contradicts"] == true))
        .collect();
    assert_eq!(states, [(true, false), (false, false)], "{status}");
}

/// The next line of NDJSON for which `is_it` holds.
fn next(watch: &mut Started, is_it: impl Fn(&Value) -> bool) -> Value {
    loop {
        let line: Value = serde_json::from_str(&watch.line()).unwrap();
        if is_it(&line) {
            return line;
        }
    }
}

#[test]
fn an_older_archive_is_not_written_to() {
    let (server, place) = crawled();
    let folder = keep_folder(&place);
    place.crawl();
    let older = copy_aside(&place, "older");
    let size = number(&place.status(), "/records");
    server.running.play_later().unwrap();
    place.run(&["crawl", "--full"]).expect(DONE);
    place.verified();
    let newer = copy_aside(&place, "newer");

    // The database alone was put back: `checkpoints/` knows better.
    put_database(&place, &older);
    let off = place.path("taken-off");
    fs_err::rename(&folder, &off).unwrap();
    let found = is_refused_and_read(&place, &["only", &size.to_string(), "older copy", "checkpoints/"]);
    says(&found, "checkpoint", "older copy");
    fs_err::rename(&off, &folder).unwrap();
    // The checkpoints too: the folder elsewhere knows better.
    put_checkpoints(&place, &older);
    let found = is_refused_and_read(&place, &["older copy", "elsewhere/"]);
    says(&found, "anchor", "older copy of the archive was put back");
    // The folder's files were renamed: what they say counts, not what they are called.
    let newest = latest(&folder);
    fs_err::rename(&newest, folder.join("000000000001.note")).unwrap();
    for name in fs_err::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
        if fs_err::read(&name).unwrap() == fs_err::read(latest(&newer.join("checkpoints"))).unwrap()
            && !name.ends_with("000000000001.note")
        {
            fs_err::remove_file(name).unwrap();
        }
    }
    is_refused_and_read(&place, &["older copy", "elsewhere/000000000001.note"]);
    // A file that says nothing any more is named, and not passed over.
    fs_err::write(folder.join("000000000001.note"), "nothing").unwrap();
    place
        .run(&["crawl"])
        .expect_error(INTEGRITY, &["elsewhere/000000000001.note", "can't be trusted"])
        .with_hint("move the file away");
    // Nobody here knows better; a copy that someone has does.
    fs_err::remove_dir_all(&folder).unwrap();
    let kept = latest(&newer.join("checkpoints"));
    let found = findings(place.run(&["verify", "--json", "--checkpoint", kept.to_str().unwrap()]).expect(INTEGRITY));
    says(&found, "checkpoint", "older copy of the archive was put back");
    // The newer one put back, all is well again.
    copy_folder(&newer.join("checkpoints"), &folder);
    put_database(&place, &newer);
    put_checkpoints(&place, &newer);
    place.crawl();
    place.verified();
}

/// Makes an archive anew with one message changed, through the store's own interface: every leaf,
/// node, table and counter is as it would be if that had been said. It is signed with `key`.
fn remake(place: &Place, key: &SigningKey) -> PathBuf {
    let from = Reader::open(&Layout::new(place.archive())).unwrap();
    let folder = place.path("remade");
    if folder.exists() {
        fs_err::remove_dir_all(&folder).unwrap();
    }
    let layout = Layout::new(&folder);
    fs_err::create_dir_all(layout.root()).unwrap();
    let archive = from.archive();
    let made = chrono::DateTime::parse_from_rfc3339(&archive.created_at).unwrap();
    let clock = Clock::set(made.timestamp_millis());
    create(&layout, archive.id, &key.verifier().to_text(), &archive.origin, &archive.server, &clock).unwrap();
    let own = SigningKey::parse(&key.to_private_text()).unwrap();
    let mut writer = Writer::open(&layout, layout.lock().unwrap(), Some(own), Clock::System).unwrap();
    let run = writer.start_run("crawl").unwrap();
    let mut batch = Batch::default();
    let mut is_changed = false;
    for record in from.blocks(0, usize::MAX).unwrap().into_iter().flat_map(|block| block.records) {
        let mut new = again(&from, record);
        let words = br#""text":""#;
        if let Some(at) = new
            .body
            .windows(words.len())
            .position(|window| window == words)
            .filter(|_| !is_changed && new.kind == Kind::Message)
        {
            new.body.splice(at + words.len()..at + words.len(), *b"Never ");
            is_changed = true;
        }
        batch.records.push(new);
    }
    assert!(is_changed);
    batch.changes =
        from.blobs().unwrap().into_iter().map(|(digest, size)| StateChange::Blob { digest, size }).collect();
    let (at, result) = (Clock::System.now(), "complete".to_owned());
    batch.changes.push(StateChange::RunEnded { run, at, result, summary: "{}".to_owned() });
    writer.append(batch).unwrap();
    writer.checkpoint().unwrap();
    folder
}

/// A record as it would be appended.
fn again(from: &Reader, record: Record) -> NewRecord {
    let Record { header, body } = record;
    let channel = header.channel_id();
    let versions = from.versions(header.kind, FIRST_SOURCE, channel.as_ref(), &header.key).unwrap();
    let change = versions.iter().find(|row| row.version == header.version).map(|row| row.change);
    assert!(change.is_some() || header.version == 1 && header.state == State::Present);
    NewRecord {
        kind: header.kind,
        source: FIRST_SOURCE,
        key: header.key.clone(),
        version: header.version,
        change: change.unwrap_or(Change::New),
        origin: header.origin,
        via: Box::leak(header.via.clone().into_boxed_str()),
        account: header.account.clone(),
        run: header.run,
        observed_at: header.observed(),
        tickets: header.tickets,
        attachments: header.attachment_digests(),
        shared_in: header.shared_in.iter().filter_map(|id| ChannelId::parse(id)).collect(),
        channel,
        body,
    }
}

/// Puts a remade archive in the place of the true one, with its own checkpoints and index.
fn put_remade(place: &Place, remade: &Path) {
    put_database(place, remade);
    put_checkpoints(place, remade);
    fs_err::remove_dir_all(place.archive().join("index")).unwrap();
    place.run(&["index", "rebuild"]).expect(DONE);
}

#[test]
fn a_rewritten_archive_is_found_by_what_was_kept_elsewhere() {
    let (_server, place) = crawled();
    let kept = place.path("kept.note");
    fs_err::copy(latest(&place.archive().join("checkpoints")), &kept).unwrap();
    let kept = kept.to_str().unwrap();
    let with_copy = ["verify", "--json", "--checkpoint", kept];
    place.run(&with_copy).expect(DONE);

    // Without the key: what the key's owner keeps finds it.
    let stranger = SigningKey::new(verifier_key(&place).name(), [9; 32]).unwrap();
    let true_one = copy_aside(&place, "true");
    put_remade(&place, &remake(&place, &stranger));
    let found = findings(place.run(&["verify", "--json"]).expect(INTEGRITY));
    says(&found, "archive", "names another verification key");
    says(&found, "checkpoint", "is not signed by the key that was in force");
    let crawl = place.run(&["crawl"]);
    assert_ne!(crawl.code, DONE, "{crawl}");
    // Without a new signature: the old one does not fit.
    let remade = place.path("remade");
    fs_err::remove_dir_all(remade.join("checkpoints")).unwrap();
    copy_folder(&true_one.join("checkpoints"), &remade.join("checkpoints"));
    let path = remade.join("archive.db");
    let vkey = verifier_key(&place).to_text();
    let truth = rusqlite::Connection::open(true_one.join("archive.db")).unwrap();
    let notes: Vec<(i64, String, String)> = truth
        .prepare("SELECT size, note, at FROM checkpoint")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let about: String =
        truth.query_row("SELECT text FROM about WHERE name LIKE '%key%'", [], |row| row.get(0)).unwrap();
    let forged = rusqlite::Connection::open(path).unwrap();
    let triggers: Vec<(String, String)> = forged
        .prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    for (name, _) in &triggers {
        forged.execute_batch(&format!("DROP TRIGGER {name}")).unwrap();
    }
    forged.execute("DELETE FROM checkpoint", []).unwrap();
    for (size, note, at) in notes {
        forged.execute("INSERT INTO checkpoint VALUES (?1, ?2, ?3)", rusqlite::params![size, note, at]).unwrap();
    }
    forged.execute("UPDATE archive SET vkey = ?1", [&vkey]).unwrap();
    forged.execute("UPDATE about SET text = ?1 WHERE name LIKE '%key%'", [about]).unwrap();
    for (_, sql) in &triggers {
        forged.execute_batch(sql).unwrap();
    }
    drop(forged);
    put_remade(&place, &remade);
    let found = is_refused_and_read(&place, &["another root"]);
    says(&found, "checkpoint", "another root");

    // With the key: the archive by itself is right in all its parts …
    put_database(&place, &true_one);
    put_checkpoints(&place, &true_one);
    let folder = place.path("elsewhere");
    copy_folder(&true_one.join("checkpoints"), &folder);
    put_remade(&place, &remake(&place, &signing_key(&place)));
    place.verified();
    let shown = place.run(&["search", "Never", "--json"]).expect(DONE).json();
    assert!(number(&shown, "/messages/total") > 0, "{shown}");
    // … and an earlier checkpoint is not.
    let found = findings(place.run(&with_copy).expect(INTEGRITY));
    assert_eq!(found.len(), 1, "{found:?}");
    says(&found, "checkpoint", "give another root");
    assert_ne!(found[0]["expected"], found[0]["found"]);
    // A folder elsewhere has it, and nothing more is written.
    keep(&place, "folder", "disk", &format!("path = \"{}\"", folder.display()));
    let found = is_refused_and_read(&place, &["another root", "elsewhere/"]);
    says(&found, "anchor", "give another root");
}

#[test]
fn a_checkpoint_from_elsewhere_is_judged_whatever_it_is() {
    let (_server, place) = crawled();
    let key = signing_key(&place);
    let origin = key.verifier().name().to_owned();
    let reader = Reader::open(&Layout::new(place.archive())).unwrap();
    let size = reader.head().unwrap();
    let checkpoint = |origin: &str, size: u64, root: Digest| Checkpoint { origin: origin.to_owned(), size, root };
    let root = reader.root(size - 1).unwrap();
    let right = checkpoint(&origin, size - 1, root).sign(&key).to_string();
    let stranger = SigningKey::new(&origin, [9; 32]).unwrap();
    let foreign = SigningKey::new("another/log", [9; 32]).unwrap();
    let cases = [
        ("right", right.clone(), None),
        ("newer", checkpoint(&origin, size + 1, root).sign(&key).to_string(), Some("older copy of the archive")),
        ("fork", checkpoint(&origin, size, root).sign(&key).to_string(), Some("another root")),
        ("foreign", checkpoint("another/log", 1, root).sign(&foreign).to_string(), Some("another archive")),
        (
            "unsigned",
            checkpoint(&origin, size - 1, root).sign(&stranger).to_string(),
            Some("no signature is by the key"),
        ),
        (
            "changed",
            right.replace(&format!("\n{}\n", size - 1), &format!("\n{size}\n")),
            Some("does not match the text"),
        ),
        ("broken", right[..right.len() / 2].to_owned(), Some("no checkpoint")),
        ("empty", String::new(), Some("no checkpoint")),
    ];
    let folder = place.path("sent");
    fs_err::create_dir(&folder).unwrap();
    let mut all = vec!["verify".to_owned(), "--quick".to_owned(), "--json".to_owned()];
    for (name, text, words) in &cases {
        let path = folder.join(format!("{name}.note"));
        fs_err::write(&path, text).unwrap();
        let path = path.to_str().unwrap().to_owned();
        let code = if words.is_some() { INTEGRITY } else { DONE };
        let outcome = place.run(&["verify", "--quick", "--json", "--checkpoint", &path]).expect(code);
        match words {
            None => assert_eq!(outcome.json()["findings"], json!([])),
            Some(words) => {
                let found = findings(outcome);
                assert_eq!((found.len(), string(&found[0], "/path")), (1, path.clone()), "{name}: {found:?}");
                says(&found, "checkpoint", words);
                let text = place.run(&["verify", "--quick", "--checkpoint", &path]).expect(INTEGRITY).text();
                assert!(text.contains(words) && text.contains("expected"), "{name}: {text}");
            }
        }
        all.extend(["--checkpoint".to_owned(), path]);
    }
    let wrong = cases.iter().filter(|(_, _, words)| words.is_some()).count();
    // Several at once, and a folder of them.
    assert_eq!(findings(place.run(&all).expect(INTEGRITY)).len(), wrong);
    let sent = folder.to_str().unwrap();
    assert_eq!(
        findings(place.run(&["verify", "--quick", "--json", "--checkpoint", sent]).expect(INTEGRITY)).len(),
        wrong
    );
    let own = place.archive().join("checkpoints");
    place.run(&["verify", "--checkpoint", own.to_str().unwrap()]).expect(DONE);
    // What can't be read says nothing, and that is said.
    let nothing = place.path("nothing");
    fs_err::create_dir(&nothing).unwrap();
    place
        .run(&["verify", "--checkpoint", nothing.to_str().unwrap()])
        .expect_error(USAGE, &["no checkpoint", "nothing"]);
    place.run(&["verify", "--checkpoint", "/nowhere"]).expect_error(USAGE, &["can't be read", "/nowhere"]);
}

#[test]
fn keepers_in_the_settings_are_checked() {
    let (_server, place) = crawled();
    let settings = fs_err::read_to_string(place.archive().join("archive.toml")).unwrap();
    let inside = place.archive().join("copies");
    for (kind, rest, words) in [
        ("folder", format!("path = \"{}\"", inside.display()), "own directory"),
        ("folder", "path = \"copies\"".to_owned(), "root"),
        ("witness", "url = \"https://w.example/\"\nkey = \"w+00000000+AAAA\"".to_owned(), "key"),
        (
            "witness",
            format!("url = \"https://w.example/\"\nkey = \"{}\"", verifier_key(&place).to_text()),
            "another algorithm",
        ),
        ("timestamp", "url = \"https://me:word@tsa.example/\"".to_owned(), "no secrets"),
    ] {
        keep(&place, kind, "k", &rest);
        place.run(&["config", "check"]).expect_error(USAGE, &["anchor `k`", words]);
        fs_err::write(place.archive().join("archive.toml"), &settings).unwrap();
    }
    place.verified();
}
