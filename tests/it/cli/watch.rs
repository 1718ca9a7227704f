//! `watch`: what it prints, how it ends, and that it feeds an archive while others read it.

use std::os::unix::net::UnixDatagram;
use std::sync::mpsc::channel;
use std::time::Duration;

use serde_json::Value;
use teamchat_archive::sandbox::story;

use super::harness::{DONE, FAILURE, INCOMPLETE, Place, Ready, Server, Started, TEMPORARY, list, number, string};
use super::living::{Life, a_living_workspace_is_watched, pause};

#[test]
fn what_lives_for_a_moment_is_archived_while_it_is_listened_to() {
    a_living_workspace_is_watched(&Life {
        time: Duration::from_secs(12),
        per_second: 20,
        cut_every: Some(Duration::from_secs(5)),
        interval: Duration::from_secs(2),
        lifetimes: vec![
            Some(Duration::from_millis(100)),
            Some(Duration::from_secs(1)),
            Some(Duration::from_secs(4)),
            None,
        ],
    });
}

#[test]
fn what_lives_longer_than_a_pass_is_archived_by_passes_alone() {
    a_living_workspace_is_watched(&Life {
        time: Duration::from_secs(10),
        per_second: 20,
        cut_every: None,
        interval: Duration::from_secs(1),
        lifetimes: vec![
            Some(Duration::from_millis(500)),
            Some(Duration::from_secs(3)),
            Some(Duration::from_secs(5)),
            None,
        ],
    });
}

fn enrol_live(place: &Place, account: &Ready) {
    place.run(&["init", "--server", &account.url]).expect(DONE);
    let password = place.file("password", &account.password);
    place.run(&["login", "--username", &account.username, "--password-file", &password, "--live"]).expect(DONE);
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
fn it_says_what_happens_and_ends_in_order() {
    let server = Server::start(story::seed());
    let mut place = Place::new();
    enrol_live(&place, &server.ready);
    let supervisor = UnixDatagram::bind(place.path("notify")).unwrap();
    supervisor.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    place.extra.push(("NOTIFY_SOCKET".to_owned(), place.path("notify").to_str().unwrap().to_owned()));
    place.extra.push(("WATCHDOG_USEC".to_owned(), "400000".to_owned()));
    let mut watch = place.start(&["watch", "--json", "--interval", "2s", "--checkpoint-interval", "2s"]);
    let (sender, words) = channel();
    // One that does not listen all the time misses what does not fit into the socket.
    std::thread::spawn(move || {
        let mut bytes = [0; 100];
        while let Ok(length) = supervisor.recv(&mut bytes) {
            if sender.send(String::from_utf8_lossy(&bytes[..length]).into_owned()).is_err() {
                return;
            }
        }
    });
    let heard = || words.recv_timeout(Duration::from_secs(60)).unwrap();
    let ready = next(&mut watch, |line| line["event"] == "ready");
    assert_eq!(list(&ready, "/live"), [server.ready.username.as_str()]);
    assert_eq!(heard(), "READY=1");
    assert_eq!(heard(), "WATCHDOG=1");
    next(&mut watch, |line| line["event"] == "connected");
    let first = next(&mut watch, |line| line["run"].is_u64());
    assert_eq!((string(&first, "/result"), number(&first, "/messages/edited")), ("complete".to_owned(), 0));

    // A second writer is sent away, readers are not.
    place.run(&["crawl"]).expect_error(TEMPORARY, &["archive"]);
    let (room, user) = (server.running.workspace().channels()[0].0.clone(), &server.ready.username);
    let ts = server.running.workspace().post(&room, user, "quagga, once seen").unwrap();
    server.running.workspace().delete(&room, &ts, None).unwrap();
    next(&mut watch, |line| line["event"] == "looked" && number(line, "/messages/deleted") == 1);
    next(&mut watch, |line| line["event"] == "checkpoint");
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while place.run(&["search", "quagga", "--states", "deleted", "--json"]).code != DONE {
        assert!(std::time::Instant::now() < deadline, "it is never found");
    }
    assert_eq!(server.running.workspace().cut_sockets(), 1);
    next(&mut watch, |line| line["event"] == "disconnected");
    next(&mut watch, |line| line["event"] == "connected");

    watch.terminate();
    let out = watch.finish().expect(DONE);
    assert!(out.text().contains("\"stopping\""), "{out}");
    assert_eq!(out.stderr, "");
    while heard() != "STOPPING=1" {}
    let status = place.status();
    assert_eq!(number(&status, "/index/lag"), 0);
    assert_eq!(number(&status, "/checkpoint/size"), number(&status, "/records"));
    place.verified();
    assert_eq!(number(&place.crawl(), "/messages/new"), 0);
}

#[test]
fn it_needs_an_account_and_ends_with_4_while_something_is_owed() {
    let server = Server::start(story::seed());
    let place = Place::new();
    place.run(&["init", "--server", &server.ready.url]).expect(DONE);
    place.run(&["watch"]).expect_error(FAILURE, &["account"]).with_hint("login");
    let password = place.file("password", &server.ready.password);
    place.run(&["login", "--username", &server.ready.username, "--password-file", &password]).expect(DONE);
    let mut watch = place.start(&["watch", "--json"]);
    let ready = next(&mut watch, |line| line["event"] == "ready");
    assert_eq!(list(&ready, "/live"), Vec::<Value>::new(), "nobody appears online who is not");
    next(&mut watch, |line| line["run"].is_u64());
    assert_eq!(server.running.workspace().open_sockets(), 0);
    watch.terminate();
    watch.finish().expect(DONE);
    // A file that cannot be had is owed.
    server.running.set_fault(teamchat_archive::sandbox::Fault::TicketExpiry, 1.0);
    server.running.workspace().upload("general", &server.ready.username, "a.txt", b"a".to_vec()).unwrap();
    let mut watch = place.start(&["watch", "--json", "--rate", "unlimited"]);
    next(&mut watch, |line| line["run"].is_u64());
    watch.terminate();
    watch.finish().expect(INCOMPLETE);
    place.verified();
}

#[test]
fn an_account_enrolled_meanwhile_is_watched_with_and_a_disabled_one_is_not() {
    let server = Server::start(story::seed());
    let place = Place::new();
    enrol_live(&place, &server.ready);
    let mut watch = place.start(&["watch", "--json", "--interval", "1s"]);
    next(&mut watch, |line| line["run"].is_u64());
    let workspace = server.running.workspace();
    let other =
        workspace.truth().iter().map(|item| item.user.clone()).find(|user| *user != server.ready.username).unwrap();
    let token = place.file("token", &workspace.token_for(&other).unwrap());
    place.run(&["login", "--username", &other, "--token-file", &token, "--live"]).expect(DONE);
    next(&mut watch, |line| line["event"] == "connected" && line["account"] == other.as_str());
    place.run(&["account", "disable", &server.ready.username, "--reason", "left"]).expect(DONE);
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while workspace.open_sockets() != 1 {
        assert!(std::time::Instant::now() < deadline, "it is listened with for ever");
        pause(&server, Duration::from_millis(50));
    }
    watch.terminate();
    watch.finish();
    place.verified();
}

#[test]
fn a_token_that_was_revoked_is_renewed_with_the_kept_password_and_listened_with_again() {
    let server = Server::start(story::seed());
    let place = Place::new();
    place.run(&["init", "--server", &server.ready.url]).expect(DONE);
    let password = place.file("password", &server.ready.password);
    let login = ["login", "--username", &server.ready.username, "--password-file", &password];
    place.run(&[&login[..], &["--live", "--keep-password"]].concat()).expect(DONE);
    // No pass is due for an hour: it is the refusal that leads to one.
    let mut watch = place.start(&["watch", "--json", "--interval", "1h"]);
    next(&mut watch, |line| line["run"].is_u64());
    let (workspace, user) = (server.running.workspace(), &server.ready.username);
    let room = workspace.channels()[0].0.clone();
    workspace.revoke_all(user).unwrap();
    workspace.post(&room, user, "while nobody listens").unwrap();
    next(&mut watch, |line| line["event"] == "refused");
    let pass = next(&mut watch, |line| line["run"].is_u64());
    assert_eq!(string(&pass, "/result"), "complete", "{pass}");
    assert!(list(&pass, "/findings").iter().any(|finding| finding["kind"] == "signed_in_again"), "{pass}");
    next(&mut watch, |line| line["event"] == "connected");
    next(&mut watch, |line| line["run"].is_u64());
    let ts = workspace.post(&room, user, "heard again").unwrap();
    workspace.delete(&room, &ts, None).unwrap();
    next(&mut watch, |line| line["event"] == "looked" && number(line, "/messages/deleted") == 1);
    watch.terminate();
    watch.finish().expect(DONE);
    place.verified();
}

#[test]
fn a_server_that_goes_away_and_comes_back_is_waited_for() {
    let server = Server::start(story::seed());
    let place = Place::new();
    enrol_live(&place, &server.ready);
    let mut watch = place.start(&["watch", "--json", "--interval", "1s"]);
    next(&mut watch, |line| line["run"].is_u64());
    let workspace = server.running.workspace();
    let fault = teamchat_archive::sandbox::Fault::Reset;
    server.running.set_fault(fault, 1.0);
    assert_eq!(workspace.cut_sockets(), 1);
    next(&mut watch, |line| line["event"] == "disconnected");
    let room = workspace.channels()[0].0.clone();
    workspace.post(&room, &server.ready.username, "while it was away").unwrap();
    server.running.set_fault(fault, 0.0);
    next(&mut watch, |line| line["event"] == "connected");
    next(&mut watch, |line| line["run"].is_u64() && line["result"] == "complete");
    watch.terminate();
    watch.finish().expect(DONE);
    let found = place.run(&["search", "\"while it was away\"", "--json"]).expect(DONE).json();
    assert_eq!(number(&found, "/messages/total"), 1);
    place.verified();
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let server = Server::start(story::seed());
    let place = Place::new();
    enrol_live(&place, &server.ready);
    let script = r#""$0" watch --json --interval 1s | head -n 1 >"$1"; echo "${PIPESTATUS[0]}" >"$2""#;
    let out = place.path("line");
    let code = place.path("code");
    let mut command = std::process::Command::new("bash");
    let prepared = place.command(&["watch"]);
    command.args(["-c", script, env!("CARGO_BIN_EXE_teamchat-archive")]).arg(&out).arg(&code);
    for (name, value) in prepared.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    command.current_dir(place.path(".")).stdin(std::process::Stdio::null());
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let ended = Started::new(command).finish();
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{ended}");
    assert_eq!(fs_err::read_to_string(code).unwrap().trim(), "0");
    assert!(fs_err::read_to_string(out).unwrap().contains("ready"));
    place.verified();
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let server = Server::start(story::seed());
    let place = Place::new();
    enrol_live(&place, &server.ready);
    let mut watch = place.start(&["watch", "--json", "--interval", "1s"]);
    next(&mut watch, |line| line["run"].is_u64());
    // From now on a pass waits for answers that do not come.
    server.running.set_fault(teamchat_archive::sandbox::Fault::Timeout, 1.0);
    assert!(!watch.ends_within(Duration::from_secs(3)));
    watch.terminate();
    assert!(!watch.ends_within(Duration::from_secs(2)), "the pass is given time to end");
    watch.terminate();
    assert!(watch.ends_within(Duration::from_secs(10)), "twenty seconds would be those of the pass");
    watch.finish().expect(DONE);
    place.verified();
}
