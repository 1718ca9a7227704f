//! The access log: each view has its entry before a byte of it is sent, what cannot be logged is not
//! shown, and what is changed in the log is found.

use std::time::Duration;

use axum::body::Body;
use axum::http::header;
use serde_json::{Value, json};
use teamchat_archive::ledger::SigningKey;
use teamchat_archive::model::{Clock, Role, Scope};
use teamchat_archive::record::{Action, Visit};
use teamchat_archive::store::AccessLog;
use teamchat_archive::verify::{self, Depth, Report, Trust};

use super::{Desk, PASSWORD, encode, get, only, post, send};
use crate::support::TestArchive;

/// The entries from number `from` on: action, and body.
fn entries(desk: &Desk, from: u64) -> Vec<(String, Value)> {
    let log = desk.access.log();
    let entries = log.entries(from, 1000).unwrap().into_iter().map(|entry| {
        let header: Value = serde_json::from_str(&entry.header).unwrap();
        assert_eq!(header["number"], entry.number);
        (header["action"].as_str().unwrap().to_owned(), serde_json::from_str(&entry.body).unwrap())
    });
    entries.collect()
}

/// Content routes for who has this cookie and token, and what their entries must say.
async fn views(desk: &Desk, token: &str) -> Vec<(String, Value)> {
    let legal = desk.channel(token, "legal").await;
    let files = desk.reply(token, "files.list", &[]).await;
    let file = files["files"][0]["id"].as_str().unwrap().to_owned();
    let ticket = url::Url::parse(files["files"][0]["url_private"].as_str().unwrap()).unwrap();
    let hits = desk.reply(token, "search.messages", &[("query", "crane"), ("states", "current,edited,deleted")]).await;
    let hits = hits["messages"]["total"].as_u64().unwrap();
    assert!(hits > 0);
    vec![
        ("/".to_owned(), json!({"page": "overview"})),
        ("/c".to_owned(), json!({"page": "channels"})),
        (
            format!("/c/{}?date=2026-01-05", encode(&legal)),
            json!({"page": "timeline", "channel": legal, "place": "date=2026-01-05"}),
        ),
        ("/c/none".to_owned(), json!({"page": "timeline", "channel": "none", "status": 404})),
        (
            "/search?q=crane&kind=messages".to_owned(),
            json!({"page": "search", "query": "crane", "hits": hits, "place": "kind=messages"}),
        ),
        ("/search?q=%28".to_owned(), json!({"page": "search", "query": "(", "status": 400})),
        ("/r/1".to_owned(), json!({"page": "record", "record": "1"})),
        ("/r/1/raw.json".to_owned(), json!({"page": "raw", "record": "1"})),
        ("/r/1/proof.tlog-proof".to_owned(), json!({"page": "proof", "record": "1"})),
        ("/f".to_owned(), json!({"page": "files"})),
        (format!("/f/{}", encode(&file)), json!({"page": "file", "file": file})),
        (format!("/f/{}/blob?v=1", encode(&file)), json!({"page": "blob", "file": file, "place": "v=1"})),
        (
            format!("/teamchatapi/channels.history?token={token}&channel={}", encode(&legal)),
            json!({"page": "api", "method": "channels.history", "channel": legal, "token": "auditor's"}),
        ),
        (
            format!("/teamchatapi/channels.atom.history?token={token}&channel={}", encode(&legal)),
            json!({"page": "api", "method": "channels.atom.history", "channel": legal}),
        ),
        (
            format!("/teamchatapi/search.messages?token={token}&query=crane&states=current,edited,deleted"),
            json!({"page": "api", "method": "search.messages", "query": "crane", "hits": hits}),
        ),
        (
            format!("/teamchatapi/files.info?token={token}&file=none"),
            json!({"page": "api", "method": "files.info", "file": "none", "error": "file_not_found"}),
        ),
        (
            format!("{}?{}", ticket.path(), ticket.query().unwrap()),
            json!({"page": "api", "method": "files.download", "token": "auditor's"}),
        ),
    ]
}

#[tokio::test]
async fn each_view_leaves_one_entry_that_says_what_was_seen_and_by_whom() {
    let desk = Desk::open().await;
    let cookie = desk.auditor();
    let token = desk.auditor_token();
    let mut contents = 0;
    for (path, due) in views(&desk, &token).await {
        let before = desk.access.log().size().unwrap();
        let answer = desk.page(&cookie, &path).await;
        assert_eq!(answer.status, due["status"].as_u64().unwrap_or(200) as u16, "{path}");
        let found = entries(&desk, before);
        assert_eq!(found.len(), 1, "{path}: {found:?}");
        let (action, body) = &found[0];
        assert_eq!(action, "view", "{path}");
        for (name, value) in due.as_object().unwrap() {
            assert_eq!(body[name], *value, "{path}: {name} of {body}");
        }
        let who = if path.starts_with("/teamchatapi") { ("token", "auditor's") } else { ("user", "ada") };
        assert_eq!(body[who.0], who.1, "{path}: {body}");
        assert_eq!((&body["role"], &body["scope"]), (&json!("auditor"), &json!("all")), "{path}");
        assert_eq!(body["status"], answer.status.as_u16());
        if let Some(content) = body["content"].as_str() {
            assert_eq!(content, teamchat_archive::model::Digest::of(&answer.body).to_string(), "{path}");
            contents += 1;
        }
    }
    assert_eq!(contents, 2, "a blob and a download name what was sent");

    // What shows nothing of the archive leaves none.
    let before = desk.access.log().size().unwrap();
    for path in [
        "/login",
        "/healthz",
        "/readyz",
        "/robots.txt",
        "/favicon.ico",
        "/nowhere",
        "/teamchatapi/api.test",
        "/teamchatapi/auth.test?token=arc_x",
    ] {
        desk.page(&cookie, path).await;
    }
    desk.page("", "/c").await;
    assert_eq!(entries(&desk, before), [], "these are no views");

    // Who sees few channels is noted with them, and where the request came from.
    let narrow = desk.cookie("rita", Role::Reviewer, &only(&["C1", "C2"]));
    let before = desk.access.log().size().unwrap();
    let request = get("/c").header(header::COOKIE, &narrow).header("x-forwarded-for", "203.0.113.9");
    let mut request = request.body(Body::empty()).unwrap();
    let peer: std::net::SocketAddr = "127.0.0.1:4711".parse().unwrap();
    request.extensions_mut().insert(axum::extract::ConnectInfo(peer));
    send(&desk.router, request).await;
    let (_, body) = entries(&desk, before).remove(0);
    assert_eq!((&body["scope"], &body["from"]), (&json!(["C1", "C2"]), &json!("127.0.0.1:4711")));
    assert_eq!((&body["forwarded_for"], &body["role"]), (&json!("203.0.113.9"), &json!("reviewer")));
    desk.archive.check();
}

#[tokio::test]
async fn what_cannot_be_logged_is_not_shown() {
    let desk = Desk::open().await;
    let cookie = desk.auditor();
    let token = desk.auditor_token();
    let views = views(&desk, &token).await;
    let mut shown = Vec::new();
    for (path, _) in &views {
        shown.push(desk.page(&cookie, path).await);
    }
    desk.access.log().wait_at_most(Duration::from_millis(20)).unwrap();
    let size = desk.access.log().size().unwrap();
    let other = rusqlite::Connection::open(desk.archive.layout.access()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    for ((path, _), before) in views.iter().zip(&shown) {
        let answer = desk.page(&cookie, path).await;
        assert_eq!(answer.status, 503, "{path}: {}", answer.text());
        assert!(answer.body.len() < 2000 && answer.body != before.body, "{path}: {}", answer.text());
        for name in ["content-disposition", "etag"] {
            assert_eq!(answer.header(name), "", "{path}: {name}");
        }
        let text = answer.text();
        assert!(text.contains("access log") || text.contains("access_log_unavailable"), "{path}: {text}");
    }
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(desk.access.log().size().unwrap(), size);
    assert_eq!(desk.page(&cookie, "/c").await.status, 200, "it goes on when the log can be written again");

    // Nor is what the log's own guards refuse.
    other
        .execute_batch("CREATE TRIGGER no_more BEFORE INSERT ON entry BEGIN SELECT RAISE(ABORT, 'full'); END")
        .unwrap();
    assert_eq!(desk.page(&cookie, "/r/1/raw.json").await.status, 503);
    let form = format!("username=ada&password={}", encode(PASSWORD));
    let request = post("/login").header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    let answer = send(&desk.router, request.body(Body::from(form)).unwrap()).await;
    assert_eq!(answer.status, 503, "nobody signs in unseen");
    assert!(!answer.headers.contains_key(header::SET_COOKIE));
    other.execute_batch("DROP TRIGGER no_more").unwrap();
    desk.archive.check();
}

#[tokio::test]
async fn signing_in_and_out_is_logged_and_no_secret_is() {
    let desk = Desk::open().await;
    desk.access.add_user("ada", Role::Auditor, &Scope::All, &PASSWORD.to_owned().into()).unwrap();
    let token = desk.auditor_token();
    let before = desk.access.log().size().unwrap();
    let sign_in = async |name: &str, password: &str| {
        let form = format!("username={}&password={}", encode(name), encode(password));
        let request = post("/login").header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        send(&desk.router, request.body(Body::from(form)).unwrap()).await
    };
    sign_in("ada", "a wrong password 1").await;
    sign_in("typed into the wrong field", "a wrong password 2").await;
    sign_in(&"long ".repeat(100), "a wrong password 3").await;
    let opened = sign_in("ada", PASSWORD).await;
    let cookie = opened.header(header::SET_COOKIE).split(';').next().unwrap().to_owned();
    desk.html(&cookie, "/search?q=crane").await;
    let files = desk.reply(&token, "files.list", &[]).await;
    let ticket = url::Url::parse(files["files"][0]["url_private"].as_str().unwrap()).unwrap();
    let path = format!("{}?{}", ticket.path(), ticket.query().unwrap());
    assert_eq!(desk.page("", &path).await.status, 200);
    let secret = format!("token={token}");
    let out = post("/logout").header(header::COOKIE, &cookie).body(Body::from(secret)).unwrap();
    assert_eq!(send(&desk.router, out).await.status, 303);
    let actions: Vec<(String, Value)> = entries(&desk, before);
    let words: Vec<&str> = actions.iter().map(|(action, _)| action.as_str()).collect();
    let failed = "sign_in_failed";
    assert_eq!(words, [failed, failed, failed, "sign_in", "view", "view", "view", "sign_out"]);
    assert_eq!(actions[0].1["subject"], "ada");
    assert_eq!((&actions[1].1["subject"], &actions[2].1["subject"]), (&Value::Null, &Value::Null));
    let ticket = ticket.query_pairs().find(|(name, _)| name == "ticket").unwrap().1.into_owned();
    for path in ["access.db", "access.db-wal"] {
        let bytes = fs_err::read(desk.archive.layout.root().join(path)).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        for hidden in [PASSWORD, "wrong password", "wrong field", &token, &cookie["__Host-sid=".len()..], &ticket] {
            assert!(!text.contains(hidden), "{hidden} is in {path}");
        }
    }
    desk.archive.check();
}

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
