//! Bad input: each kind has its message, its hint and its exit code, and loses nothing.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::StatusCode;
use axum::response::Html;
use serde_json::json;
use teamchat_archive::sandbox::{Fault, story};
use teamchat_archive::store::{Layout, Reader};

use super::harness::{
    DONE, FAILURE, INTEGRITY, PATIENCE, Place, REFUSED, Server, TEMPORARY, USAGE, aloud, files_below, list, number,
};
use super::small_disk::SmallDisk;

fn crawled() -> (Server, Place) {
    let server = Server::start(story::seed());
    let place = Place::new();
    place.enrol(&server.ready);
    place.crawl();
    (server, place)
}

/// All that is in a folder, so that a later look can say that nothing changed. SQLite's shared
/// memory and its empty log are no contents.
fn contents(folder: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    files_below(folder)
        .into_iter()
        .filter(|path| !path.to_string_lossy().ends_with("-shm"))
        .map(|path| (path.clone(), fs_err::read(path).unwrap()))
        .filter(|(path, bytes)| !(bytes.is_empty() && path.to_string_lossy().ends_with("-wal")))
        .collect()
}

#[test]
fn a_server_that_does_not_answer_is_75_and_leaves_no_archive() {
    let place = Place::new();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}/teamchatapi/");
    place.run(&["init", "--server", &url]).expect_error(TEMPORARY, &["can't reach"]).with_hint("address");
    assert!(!place.has_archive());
    assert!(!place.keys().exists(), "keys of no archive are left behind");
}

#[test]
fn a_server_that_went_away_is_75_for_login_and_crawl_and_what_was_archived_stays() {
    let (server, place) = crawled();
    let before = place.status();
    let Server { runtime, running, ready } = server;
    runtime.block_on(running.stop());
    let token = place.file("token", &ready.token);
    place.run(&["login", "--token-file", &token]).expect_error(TEMPORARY, &["can't reach"]);
    place.run(&["crawl"]).expect_error(TEMPORARY, &["can't reach"]).with_hint("next run");
    let after = place.status();
    assert_eq!(after["messages"], before["messages"]);
    place.run(&["search", "crane"]).expect(DONE);
    place.verified();
}

#[test]
fn a_web_server_that_is_not_teamchat_is_1_with_a_hint_and_leaves_no_archive() {
    let page = || async { Html("<!doctype html><title>Welcome</title><p>It works!") };
    let elsewhere = || async { (StatusCode::NOT_FOUND, "no such page") };
    let other = || async { axum::Json(json!({"hello": "world"})) };
    let array = || async { axum::Json(json!([1, 2])) };
    let empty = || async { "" };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let routers = [
        ("html", Router::new().fallback(page)),
        ("404", Router::new().fallback(elsewhere)),
        ("json without ok", Router::new().fallback(other)),
        ("a json array", Router::new().fallback(array)),
        ("nothing", Router::new().fallback(empty)),
    ];
    for (what, router) in routers {
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}/teamchatapi/", listener.local_addr().unwrap());
        let serving = runtime.spawn(async move { axum::serve(listener, router).await });
        let place = Place::new();
        let out = place.run(&["init", "--server", &url]);
        assert!(!place.has_archive(), "{what}: a directory is left behind: {out}");
        assert!(!place.keys().exists(), "{what}: keys are left behind");
        let out = out.expect_error(FAILURE, &["TeamChat"]).with_hint("teamchatapi");
        assert!(!out.stderr.contains("<title>"), "{what}: the page is printed: {out}");
        serving.abort();
    }
    let place = Place::new();
    for bad in ["ftp://127.0.0.1/", "", "http://", "file:///etc/passwd"] {
        let out = place.run(&["init", "--server", bad]);
        assert!([FAILURE, USAGE].contains(&out.code) && out.stderr.contains("error:"), "{bad:?}: {out}");
        assert!(!place.has_archive());
    }
}

#[test]
fn a_revoked_token_is_5_and_the_account_needs_login() {
    let (server, place) = crawled();
    let keys = files_below(&place.keys().join("accounts"));
    let file: serde_json::Value = match fs_err::read_to_string(&keys[0]) {
        Ok(text) => serde_json::from_str(&text)
            .unwrap_or_else(|_| serde_json::to_value(text.parse::<toml::Table>().unwrap()).unwrap()),
        Err(error) => panic!("{error}"),
    };
    let token = super::harness::string(&file, "/token");
    server.running.workspace().revoke(&token);
    let before = place.status();
    place.run(&["crawl"]).expect_error(REFUSED, &["does not accept"]).with_hint("login");
    let listed = place.run(&["account", "list", "--json"]).expect(DONE).json();
    assert_eq!(listed[0]["state"], "needs_login", "{listed}");
    assert!(listed[0]["reason"].is_string(), "{listed}");
    assert_eq!(place.status()["accounts"][0]["state"], "needs_login");
    assert_eq!(place.status()["messages"], before["messages"], "a refusal is no deletion");
    assert_eq!(place.run(&["search", "is:deleted"]).code, FAILURE);
    place.verified();
    let password = place.path("password");
    let login = ["login", "--username", &server.ready.username, "--password-file", password.to_str().unwrap()];
    place.run(&login).expect(DONE);
    // The one record says that the account's gap is closed.
    let summary = place.crawl();
    assert_eq!((number(&summary, "/records/added"), number(&summary, "/messages/new")), (1, 0), "{summary}");
    assert_eq!(place.run(&["account", "list", "--json"]).expect(DONE).json()[0]["state"], "ok");
}

#[test]
fn a_directory_without_an_archive_and_one_that_is_not_empty() {
    let server = Server::start(story::seed());
    let place = Place::new();
    for args in [
        &["status"][..],
        &["crawl"],
        &["search", "x"],
        &["verify"],
        &["show", "1"],
        &["account", "list"],
        &["user", "list"],
        &["token", "list"],
        &["index", "status"],
        &["config", "check"],
        &["serve"],
    ] {
        place.run(args).expect_error(FAILURE, &["no archive"]).with_hint("init");
        assert!(!place.has_archive(), "{args:?} made a directory");
    }
    fs_err::create_dir(place.archive()).unwrap();
    place.run(&["status"]).expect_error(FAILURE, &["no archive"]);
    place.file("archive/notes.txt", "mine");
    let init = ["init", "--server", server.ready.url.as_str()];
    place.run(&init).expect_error(FAILURE, &["not empty"]).with_hint("--archive");
    assert_eq!(fs_err::read_dir(place.archive()).unwrap().count(), 1);
    assert!(!place.keys().exists());
    fs_err::remove_file(place.path("archive/notes.txt")).unwrap();
    place.run(&init).expect(DONE);
    place.run(&init).expect_error(FAILURE, &["not empty"]);
    place.run(&["crawl"]).expect_error(FAILURE, &["no account"]).with_hint("login");
    // A file where a directory should be.
    let file = place.file("plain", "text");
    let out = place.run(&["--archive", &file, "init", "--server", &server.ready.url]);
    assert!(out.code != DONE && out.stderr.contains("error:"), "{out}");
    assert_eq!(fs_err::read_to_string(&file).unwrap(), "text");
}

#[test]
fn a_newer_format_is_refused_by_name_and_nothing_is_changed() {
    let (_server, place) = crawled();
    let database = place.archive().join("archive.db");
    let connection = rusqlite::Connection::open(&database).unwrap();
    let own: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(connection);
    let before = contents(&place.archive());
    for args in [&["status"][..], &["crawl"], &["search", "crane"], &["verify"], &["show", "1"], &["index", "rebuild"]]
    {
        let out = place.run(args).expect_error(FAILURE, &["newer", "99"]).with_hint("nothing was changed");
        assert!(contents(&place.archive()) == before, "something was changed: {out}");
    }
    drop(rusqlite::Connection::open(&database).unwrap().pragma_update(None, "user_version", own));
    place.verified();

    let access = place.archive().join("access.db");
    let password = place.file("p", "correct horse battery staple");
    place.run(&["user", "add", "ada", "--role", "auditor", "--password-file", &password]).expect(DONE);
    rusqlite::Connection::open(&access).unwrap().pragma_update(None, "user_version", 99).unwrap();
    place.run(&["user", "list"]).expect_error(FAILURE, &["newer"]);
    place.run(&["serve", "--listen", "127.0.0.1:0"]).expect_error(FAILURE, &["newer"]);
    place.run(&["search", "crane"]).expect(DONE);
}

#[test]
fn a_database_of_garbage_is_1_for_the_others_and_3_for_verify() {
    for (what, damage) in [
        ("garbage", (|bytes: &mut Vec<u8>| *bytes = b"this is no database at all ".repeat(400)) as fn(&mut Vec<u8>)),
        ("cut off", |bytes| bytes.truncate(5000)),
        ("a page of noise", |bytes| bytes[4096..8192].fill(0xa5)),
    ] {
        let (_server, place) = crawled();
        let database = place.archive().join("archive.db");
        let connection = rusqlite::Connection::open(&database).unwrap();
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        drop(connection);
        for name in ["archive.db-wal", "archive.db-shm"] {
            drop(fs_err::remove_file(place.archive().join(name)));
        }
        let mut bytes = fs_err::read(&database).unwrap();
        damage(&mut bytes);
        fs_err::write(&database, &bytes).unwrap();
        let verify = place.run(&["verify"]);
        assert_eq!(verify.code, INTEGRITY, "{what}: {verify}");
        let crawl = place.run(&["crawl"]);
        assert!([FAILURE, INTEGRITY].contains(&crawl.code) && !crawl.stderr.contains("panicked"), "{what}: {crawl}");
        if what == "garbage" {
            crawl.expect_error(FAILURE, &["damaged"]).with_hint("verify");
            place.run(&["status"]).expect_error(FAILURE, &["damaged"]);
            assert_eq!(fs_err::read(&database).unwrap(), bytes, "a damaged database was written to");
        }
    }
}

#[test]
fn the_second_of_two_writers_is_75_and_readers_go_on() {
    let server = Server::start(story::seed());
    let place = Place::new();
    place.enrol(&server.ready);
    server.running.set_fault(Fault::Slow, 1.0);
    let reader = Reader::open(&Layout::new(place.archive())).unwrap();
    let mut first = place.start(&["crawl", "--json"]);
    let deadline = Instant::now() + PATIENCE;
    while reader.head().unwrap() == 0 {
        let has_ended = first.ends_within(Duration::from_millis(2));
        assert!(Instant::now() < deadline && !has_ended, "the first crawl gets nowhere");
    }
    let pid = first.child.id().to_string();
    let second = place.run(&["crawl"]).expect_error(TEMPORARY, &["another process", &pid]).with_hint("wait");
    assert!(second.text().is_empty());
    place.run(&["index", "rebuild"]).expect_error(TEMPORARY, &["another process"]);
    place.run(&["status"]).expect(DONE);
    assert!([DONE, FAILURE].contains(&place.run(&["search", "crane"]).code));
    assert!(!first.ends_within(Duration::ZERO), "the first crawl ended too early to show anything");
    server.running.set_fault(Fault::Slow, 0.0);
    first.finish().expect(DONE);
    assert_eq!(number(&place.crawl(), "/records/added"), 0);
    place.verified();
}

#[test]
fn a_signing_key_that_others_can_read_or_that_is_gone_stops_writing_only() {
    let (server, place) = crawled();
    let key = place.keys().join("ledger.key");
    fs_err::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let out = place.run(&["crawl"]).expect_error(FAILURE, &["read by others"]).with_hint("chmod 600");
    assert!(!out.stderr.contains(fs_err::read_to_string(&key).unwrap().trim()), "the key is printed");
    fs_err::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    place.crawl();

    let kept = place.path("kept.key");
    fs_err::rename(&key, &kept).unwrap();
    server.running.play_later().unwrap();
    let before = place.status();
    place.run(&["crawl"]).expect_error(FAILURE, &["no signing key"]).with_hint("keys_dir");
    assert_eq!(place.status()["records"], before["records"], "records without a signature were added");
    place.run(&["search", "crane"]).expect(DONE);
    place.run(&["status"]).expect(DONE);
    place.run(&["show", "1"]).expect(DONE);
    place.verified();
    fs_err::write(&key, "PRIVATE+KEY+rubbish\n").unwrap();
    fs_err::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    place.run(&["crawl"]).expect_error(FAILURE, &["does not hold a signing key"]);
    // Another archive's key must not sign here.
    let other = Place::new();
    other.enrol(&server.ready);
    fs_err::copy(other.keys().join("ledger.key"), &key).unwrap();
    place.run(&["crawl"]).expect_error(FAILURE, &["another archive"]);
    assert_eq!(place.status()["records"], before["records"]);
    fs_err::rename(&kept, &key).unwrap();
    place.run(&["crawl", "--full"]).expect(DONE);
    place.verified();

    fs_err::remove_file(place.keys().join("ledger.vkey")).unwrap();
    let report = place.run(&["verify", "--json"]).expect(DONE).json();
    assert_eq!(report["key"], "unpinned");
}

#[test]
fn a_second_archive_never_takes_the_place_of_the_first_ones_keys() {
    let (server, place) = crawled();
    let key = fs_err::read(place.keys().join("ledger.key")).unwrap();
    let second = place.path("second");
    let args = ["init", "--archive", second.to_str().unwrap(), "--server", &server.ready.url];
    place.run(&args).expect_error(FAILURE, &["keys of another archive"]).with_hint("--keys-dir");
    assert!(!second.exists());
    place.run(&["demo", "--once"]).expect(DONE);
    assert!(fs_err::read(place.keys().join("ledger.key")).unwrap() == key, "the key of an archive was overwritten");
    place.crawl();
    place.verified();
}

#[test]
fn wrong_flags_accounts_and_settings_are_2_and_named() {
    let (_server, place) = crawled();
    place.run(&["crawl", "--quickly"]).expect_error(USAGE, &["--quickly"]);
    place.run(&["crwal"]).expect_error(USAGE, &["crwal"]);
    place.run(&["crawl", "--budget", "soon"]).expect_error(USAGE, &["soon"]);
    place.run(&["crawl", "--rate", "0"]).expect_error(USAGE, &["rate"]);
    place.run(&["search"]).expect(USAGE);
    place.run(&["init", "--server", "http://127.0.0.1:1/", "--pin", "md5:1"]).expect_error(USAGE, &["md5:1"]);
    place.run(&["crawl", "--account", "nobody"]).expect_error(USAGE, &["nobody"]).with_hint("account list");
    place.run(&["account", "disable", "nobody"]).expect_error(USAGE, &["nobody"]);

    let config = place.archive().join("archive.toml");
    let text = fs_err::read_to_string(&config).unwrap();
    for (bad, named) in [
        (format!("tiemzone = \"UTC\"\n{text}"), "tiemzone"),
        (text.replace("[limits]", "[limits]\nrequests = 3"), "requests"),
        (format!("{text}\n[sevrer]\nurl = \"x\"\n"), "sevrer"),
        (text.replace("connections = 4", "connections = \"four\""), "four"),
        (format!("{text}\n[["), "archive.toml"),
    ] {
        fs_err::write(&config, &bad).unwrap();
        for args in [&["config", "check"][..], &["crawl"], &["status"]] {
            let out = place.run(args).expect_error(USAGE, &["archive.toml"]).with_hint("config check");
            assert!(out.stderr.contains(named), "{named} is not named: {out}");
        }
    }
    fs_err::write(&config, text).unwrap();
    place.run(&["config", "check"]).expect(DONE);
}

#[test]
fn an_index_that_is_missing_or_broken_says_how_it_is_made_anew() {
    type Damage = (&'static str, fn(&Path));
    let (_server, place) = crawled();
    let index = place.archive().join("index");
    let total = number(&place.run(&["search", "crane", "--json"]).expect(DONE).json(), "/messages/total");
    let break_it: [Damage; 4] = [
        ("removed", |index| fs_err::remove_dir_all(index).unwrap()),
        ("without meta.json", |index| {
            let meta = files_below(index).into_iter().find(|path| path.ends_with("meta.json")).unwrap();
            fs_err::remove_file(meta).unwrap();
        }),
        ("with a broken meta.json", |index| {
            let meta = files_below(index).into_iter().find(|path| path.ends_with("meta.json")).unwrap();
            fs_err::write(meta, "{\"segments\": 7").unwrap();
        }),
        ("with empty segments", |index| {
            for path in files_below(index) {
                if path
                    .extension()
                    .is_some_and(|ending| ["idx", "pos", "term", "fast", "store"].iter().any(|e| ending == *e))
                {
                    fs_err::write(path, "").unwrap();
                }
            }
        }),
    ];
    for (what, damage) in break_it {
        damage(&index);
        let search = place.run(&["search", "crane"]);
        assert!(!search.stderr.contains("panicked"), "{what}: {search}");
        search.expect_error(FAILURE, &["index"]).with_hint("index rebuild");
        place.run(&["status"]).expect(DONE);
        let verify = place.run(&["verify", "--json"]);
        let report = verify.json();
        let noted = report["notes"].to_string().contains("index");
        let found = report["findings"].to_string().contains("index");
        assert!(noted || found, "{what}: verify says nothing of the index: {verify}");
        assert_eq!(verify.code, if found { INTEGRITY } else { DONE }, "{what}: {verify}");
        if what == "removed" {
            assert!(noted && !found, "an index that is missing is no fault: {verify}");
        }
        place.run(&["index", "rebuild"]).expect(DONE);
        let again = place.run(&["search", "crane", "--json"]).expect(DONE).json();
        assert_eq!(number(&again, "/messages/total"), total, "{what}");
        place.verified();
        if what == "with empty segments" {
            continue;
        }
        damage(&index);
        // A crawl brings it up as well.
        place.crawl();
        assert_eq!(number(&place.status(), "/index/lag"), 0, "{what}");
        let again = place.run(&["search", "crane", "--json"]).expect(DONE).json();
        assert_eq!(number(&again, "/messages/total"), total, "{what}");
    }
}

#[test]
fn a_full_disk_is_75_loses_nothing_and_after_making_room_the_crawl_completes() {
    let server = Server::start(story::seed());
    let reference = Place::new();
    reference.enrol(&server.ready);
    reference.crawl();
    let wanted = reference.status();
    let mut full = Vec::new();
    // Sizes at which different things are the last that fit: tables, file contents, the index.
    for size in ["300k", "700k", "1100k", "1600k", "2200k", "2800k", "3200k", "3600k", "4000k", "4400k"] {
        let mut place = Place::new();
        let Some(disk) = SmallDisk::new(&place.path("disk"), size) else {
            aloud("NOT TESTED: a full disk (this needs root, unshare, nsenter and tmpfs)");
            return;
        };
        place.extra.push(("TEAMCHAT_ARCHIVE".to_owned(), place.path("disk/archive").to_str().unwrap().to_owned()));
        // What is read in files takes room, too.
        place.extra.push(("TEAMCHAT_ARCHIVE_EXTRACT__ENABLED".to_owned(), "true".to_owned()));
        let password = place.file("password", &server.ready.password);
        let login = ["login", "--username", &server.ready.username, "--password-file", &password];
        let init = disk.run(&place, &["init", "--server", &server.ready.url]);
        if init.code != DONE {
            init.expect_error(TEMPORARY, &["full"]).with_hint("make room");
            continue;
        }
        disk.run(&place, &login).expect(DONE);
        let crawl = disk.run(&place, &["crawl", "--json"]);
        if crawl.code == DONE {
            continue;
        }
        full.push(size);
        let crawl = crawl.expect_error(TEMPORARY, &["full"]).with_hint("make room");
        assert!(!crawl.stderr.contains("panicked"), "{size}: {crawl}");
        let held = disk.run(&place, &["status", "--json"]).expect(DONE).json();
        disk.run(&place, &["crawl", "--json"]).expect_error(TEMPORARY, &["full"]);
        disk.grow("64m");
        let verify = disk.run(&place, &["verify", "--json"]).expect(DONE).json();
        assert_eq!(verify["findings"], json!([]), "{size}");
        let again = disk.run(&place, &["crawl", "--json"]).expect(DONE).json();
        assert_eq!(again["result"], "complete");
        let status = disk.run(&place, &["status", "--json"]).expect(DONE).json();
        assert!(number(&status, "/records") >= number(&held, "/records"));
        for name in ["messages", "files", "comments", "channels", "users", "index"] {
            if name != "index" {
                assert_eq!(status[name], wanted[name], "{size}: {name}");
            }
        }
        assert_eq!(number(&status, "/index/lag"), 0);
        assert_eq!(disk.run(&place, &["verify", "--json"]).expect(DONE).json()["ok"], true);
        let leftovers = disk.inside("find", &[&disk.root, "-name", "*.tmp", "-o", "-name", ".tmp*"]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&leftovers.stdout), "", "{size}: temporary files stay");
    }
    assert!(full.len() >= 3, "the disk was full only at {full:?}");
}

#[test]
fn a_damaged_file_content_is_found_and_named() {
    let (_server, place) = crawled();
    let blobs = files_below(&place.archive().join("blobs"));
    let mut bytes = fs_err::read(&blobs[0]).unwrap();
    bytes[0] ^= 1;
    fs_err::set_permissions(&blobs[0], std::fs::Permissions::from_mode(0o644)).unwrap();
    fs_err::write(&blobs[0], &bytes).unwrap();
    fs_err::remove_file(&blobs[1]).unwrap();
    let report = place.run(&["verify", "--json"]).expect(INTEGRITY).json();
    assert_eq!(report["ok"], false);
    let findings = list(&report, "/findings");
    for blob in &blobs[..2] {
        let name = blob.file_name().unwrap().to_str().unwrap();
        let is_named = findings.iter().any(|finding| finding["kind"] == "blob" && finding.to_string().contains(name));
        assert!(is_named, "{name} is not named in {report}");
    }
}

#[test]
fn a_reader_that_stops_reading_is_no_failure() {
    let (_server, place) = crawled();
    let mut command = place.command(&["search", "the", "--limit", "1000"]);
    command.stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(!stderr.contains("panicked") && !stderr.contains("error:"), "{stderr}");
    assert_eq!(output.status.code(), Some(DONE), "{stderr}");
}
