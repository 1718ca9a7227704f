//! An archive of each format that was released, made once and never again: every later build opens
//! it, finds nothing amiss, reads out of it what stood in it, and goes on with it.
//!
//! `TEAMCHAT_MAKE_GOLDEN=1` makes that of this build's format, when there is none yet.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use teamchat_archive::ledger::SigningKey;
use teamchat_archive::model::{Clock, Digest};
use teamchat_archive::sandbox::generate;
use teamchat_archive::store::{Layout, SealLimits, Writer, compact};

use super::harness::{DONE, INTEGRITY, Place, Server, files_below, number, string};
use crate::cli::harness::python;

/// The format of this build.
const FORMAT: u32 = 4;

fn fixture(format: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/archives/v{format}"))
}

/// What the archive's own `read.sh` prints.
fn read_out(archive: &Path) -> Vec<u8> {
    let sh = "sqlite3 archive.db \"SELECT text FROM about WHERE name = 'read.sh'\" > ../read.sh && sh ../read.sh .";
    let output = Command::new("sh").arg("-c").arg(sh).current_dir(archive).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn copy(from: &Path, to: &Path) {
    for path in files_below(from) {
        let target = to.join(path.strip_prefix(from).unwrap());
        fs_err::create_dir_all(target.parent().unwrap()).unwrap();
        fs_err::copy(&path, target).unwrap();
    }
}

/// Some of everything: edits, deletions, files, a followed key, sealed and open blocks, an access log.
fn make(folder: &Path) {
    let server = Server::start(generate::seed(700, 46));
    let place = Place::new();
    place.enrol(&server.ready);
    place.crawl();
    let first = fs_err::read(place.keys().join("ledger.vkey")).unwrap();
    let workspace = server.running.workspace();
    let me = server.ready.username.clone();
    let (channel, _) = workspace.channels().swap_remove(0);
    let lines: Vec<String> = (0..6).map(|n| workspace.post(&channel, &me, &format!("golden {n}")).unwrap()).collect();
    let (file, _) = workspace.upload(&channel, &me, "golden.txt", b"what a file holds".to_vec()).unwrap();
    workspace.comment(&file, &me, "about the file").unwrap();
    place.crawl();
    place.run(&["key", "rotate", "--overlap", "0s"]).expect(DONE);
    workspace.edit(&channel, &lines[0], None, "golden, said otherwise").unwrap();
    workspace.delete(&channel, &lines[1], None).unwrap();
    place.crawl();
    {
        let key = fs_err::read_to_string(place.keys().join("ledger.key")).unwrap();
        let layout = Layout::new(place.archive());
        let lock = layout.lock().unwrap();
        let mut writer = Writer::open(&layout, lock, Some(SigningKey::parse(&key).unwrap()), Clock::System).unwrap();
        let limits = SealLimits { train_records: 256, ..SealLimits::default() };
        let compacted = compact(&mut writer, limits, &mut |_, _| {}).unwrap();
        assert!(compacted.sealed > 0 && compacted.trained == 1, "{compacted:?}");
    }
    workspace.post(&channel, &me, "golden, after sealing").unwrap();
    place.crawl();
    place
        .run_fed(&["user", "add", "ada", "--role", "auditor", "--password-file", "-"], "a long pass phrase\n")
        .expect(DONE);
    let mut serve = place.start(&["serve", "--listen", "127.0.0.1:0", "--json"]);
    serve.line();
    serve.terminate();
    serve.finish().expect(DONE);
    place.verified();

    let records = read_out(&place.archive());
    let status = place.status();
    fs_err::remove_dir_all(place.archive().join("index")).unwrap();
    copy(&place.archive(), &folder.join("archive"));
    fs_err::remove_file(folder.join("archive/archive.lock")).unwrap();
    fs_err::write(folder.join("first.vkey"), first).unwrap();
    fs_err::copy(place.keys().join("ledger.vkey"), folder.join("ledger.vkey")).unwrap();
    fs_err::copy(place.keys().join("access.vkey"), folder.join("access.vkey")).unwrap();
    let expected = json!({
        "records": status["records"],
        "read_sh_sha256": Digest::of(&records).to_string(),
        "checkpoint": {"size": status["checkpoint"]["size"], "root": status["checkpoint"]["root"]},
        "messages": status["messages"],
        "files": status["files"],
        "comments": status["comments"],
    });
    fs_err::write(folder.join("expected.json"), format!("{expected:#}\n")).unwrap();
}

#[test]
fn the_archive_of_format_4_is_opened_read_checked_and_gone_on_with() {
    let fixture = fixture(FORMAT);
    if std::env::var_os("TEAMCHAT_MAKE_GOLDEN").is_some() && !fixture.exists() {
        make(&fixture);
    }
    let expected: Value = serde_json::from_slice(&fs_err::read(fixture.join("expected.json")).unwrap()).unwrap();
    let place = Place::new();
    copy(&fixture.join("archive"), &place.archive());
    for key in ["ledger.vkey", "access.vkey"] {
        fs_err::create_dir_all(place.keys()).unwrap();
        fs_err::copy(fixture.join(key), place.keys().join(key)).unwrap();
    }
    let first = fixture.join("first.vkey").to_str().unwrap().to_owned();

    // Read without us, and as by us.
    let records = read_out(&place.archive());
    assert_eq!(Digest::of(&records).to_string(), string(&expected, "/read_sh_sha256"));
    let checked = place.run(&["verify", "--json", "--key", &first]).expect(DONE).json();
    assert_eq!(number(&checked, "/checked/records"), number(&expected, "/records"));
    assert!(number(&checked, "/checked/entries") > 0, "{checked}");
    let status = place.status();
    for name in ["records", "messages", "files", "comments"] {
        assert_eq!(status[name], expected[name], "{name}");
    }
    for name in ["size", "root"] {
        assert_eq!(status["checkpoint"][name], expected["checkpoint"][name], "{name}");
    }

    // Found, and proved to a stranger.
    place.run(&["index", "rebuild"]).expect(DONE);
    let found = place.run(&["search", "golden", "--json"]).expect(DONE).json();
    assert!(number(&found, "/messages/total") >= 7, "{found}");
    let record = number(&found, "/messages/matches/0/archive/record").to_string();
    let proof = place.run(&["show", &record, "--proof"]).expect(DONE).stdout;
    fs_err::write(place.path("golden.tlog-proof"), proof).unwrap();
    fs_err::write(place.path("verify.py"), place.run(&["verifier"]).expect(DONE).stdout).unwrap();
    let judged = Command::new(python())
        .args(["-B", "-I"])
        .arg(place.path("verify.py"))
        .arg("--key")
        .arg(fixture.join("ledger.vkey"))
        .arg(place.path("golden.tlog-proof"))
        .output()
        .unwrap();
    assert!(judged.status.success(), "{}", String::from_utf8_lossy(&judged.stdout));

    // Gone on with: its key is not kept here, so another takes over and says so.
    place.run(&["key", "rotate", "--lost"]).expect(DONE);
    let after = read_out(&place.archive());
    assert!(after.starts_with(&records) && after.len() > records.len());
    place.run(&["verify"]).expect(DONE);
    place.run(&["verify", "--key", &first]).expect(INTEGRITY);
}
