//! The access log: each view has its entry before a byte of it is sent, what cannot be logged is not
//! shown, and what is changed in the log is found.

mod changed;
mod shown;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use axum::body::Body;
use axum::http::header;
use serde_json::{Value, json};
use teamchat_archive::model::Role;
use teamchat_archive::store::access::Grant;

use super::routes::{addresses, routes};
use super::staff::{Staff, assert_all_were_shown, edited, picture};
use super::{Desk, PASSWORD, encode, get, only, post, send};

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

/// Pages that show nothing of the archive, and why they are looked at without an entry.
const NO_VIEWS: [(&str, &str); 9] = [
    ("/favicon.ico", "a picture of ours"),
    ("/healthz", "says that the process answers"),
    ("/login", "a form"),
    ("/openapi.json", "the same for every archive"),
    ("/out", "an address, and no content"),
    ("/readyz", "says that the archive can be read"),
    ("/robots.txt", "the same for every archive"),
    ("/setup", "a form"),
    ("/static/{hash}/{name}", "a file of ours"),
];

/// The addresses of all pages that show something, each with the pattern of its route: with things that are there
/// in them, and with things that are not.
fn pages(desk: &Desk) -> Vec<(String, String)> {
    let (room, file) = (edited(desk).0, picture(desk));
    let values = |section: &str, name: &str| {
        let known = match (section, name) {
            ("c", "id") => encode(&room),
            ("f", "id") => encode(&file),
            ("people", "id") => encode(&desk.running.username),
            (_, "date") => "2026-01-05".to_owned(),
            _ => "1".to_owned(),
        };
        vec![known, "nothing".to_owned()]
    };
    let shown = routes().into_iter().filter(|route| {
        let is_none = NO_VIEWS.iter().any(|(pattern, _)| *pattern == route.pattern);
        route.gets && route.pattern != "/teamchatapi/{method}" && !is_none
    });
    let found: Vec<(String, String)> = shown
        .flat_map(|route| addresses(&route.pattern, &values).into_iter().map(move |path| (route.pattern.clone(), path)))
        // Of a search that asks for nothing there is no certificate.
        .map(
            |(pattern, path)| {
                if pattern == "/certificate" { (pattern, format!("{path}?q=crane")) } else { (pattern, path) }
            },
        )
        .collect();
    assert!(found.len() > 30, "{found:?}");
    found
}

#[tokio::test]
async fn every_page_of_every_route_leaves_one_entry_and_a_guess_of_the_browser_none() {
    let desk = Desk::open().await;
    let staff = Staff::at_work(&desk).await;
    let mut problems = Vec::new();
    let (mut names, mut shown) = (BTreeMap::new(), BTreeSet::new());
    for (pattern, path) in pages(&desk) {
        let (user, cookie) = staff.of(&pattern);
        let before = desk.access.log().size().unwrap();
        let request = get(&path).header(header::COOKIE, cookie).header("sec-purpose", "prefetch;prerender");
        let guess = send(&desk.router, request.body(Body::empty()).unwrap()).await;
        if guess.status != 503 || !guess.body.is_empty() || desk.access.log().size().unwrap() != before {
            problems.push(format!("{path}: a guess of the browser is answered {} or logged", guess.status));
        }
        let answer = desk.page(cookie, &path).await;
        if answer.status == 200 {
            shown.insert(pattern.clone());
        }
        let found = entries(&desk, before);
        let [(action, body)] = &found[..] else {
            problems.push(format!("{path}: {} entries: {found:?}", found.len()));
            continue;
        };
        // An exhibit that is handed over is more than a look.
        let is_handed = answer.status == 200 && pattern.ends_with("/exhibit.html");
        let due = if is_handed { "exhibit" } else { "view" };
        if action != due || body["user"] != user || body["status"] != answer.status.as_u16() {
            problems.push(format!("{path}: {action} {body}"));
        }
        // What was asked for stands in the entry, wherever it stood in the address.
        let said = body.to_string();
        for (place, segment) in pattern.split('/').zip(path.split('/')) {
            let asked = percent_encoding::percent_decode_str(segment).decode_utf8().unwrap();
            if place.starts_with('{') && !said.contains(&*asked) {
                problems.push(format!("{path}: {asked} is not in {body}"));
            }
        }
        let name = body["page"].as_str().unwrap_or_default().to_owned();
        if name.contains('/') || name.is_empty() {
            problems.push(format!("{path}: its page has no name: {body}"));
        }
        names.entry(name).or_insert_with(BTreeSet::new).insert(pattern);
    }
    // A name is of one page, of the two forms of a proof, and of those of what checks one.
    problems.extend(
        names
            .iter()
            .filter(|(name, patterns)| !["proof", "verifier"].contains(&name.as_str()) && patterns.len() > 1)
            .map(|(name, patterns)| format!("{name} is the name of {patterns:?}")),
    );
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert_all_were_shown(&shown, &NO_VIEWS);
}

#[tokio::test]
async fn no_page_of_any_route_is_shown_while_the_log_cannot_be_written() {
    let desk = Desk::open().await;
    let staff = Staff::at_work(&desk).await;
    let pages = pages(&desk);
    let mut shown = BTreeSet::new();
    for (pattern, path) in &pages {
        if staff.page(&desk, pattern, path).await.status == 200 {
            shown.insert(pattern.clone());
        }
    }
    assert_all_were_shown(&shown, &NO_VIEWS);
    let other = rusqlite::Connection::open(desk.archive.layout.access()).unwrap();
    // As when the disk is full: the database refuses what is new.
    other
        .execute_batch("CREATE TRIGGER no_more BEFORE INSERT ON entry BEGIN SELECT RAISE(ABORT, 'full'); END")
        .unwrap();
    let size = desk.access.log().size().unwrap();
    let mut problems = Vec::new();
    for (pattern, path) in &pages {
        let answer = staff.page(&desk, pattern, path).await;
        let text = answer.text();
        let is_told = answer.status == 503 && text.contains("access log") && answer.body.len() < 2000;
        if !is_told || ["content-disposition", "etag"].iter().any(|name| !answer.header(*name).is_empty()) {
            problems.push(format!("{path}: {} {text}", answer.status));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert_eq!(desk.access.log().size().unwrap(), size);
    other.execute_batch("DROP TRIGGER no_more").unwrap();
    assert_eq!(staff.page(&desk, "/c", "/c").await.status, 200);
    desk.archive.check();
}

#[tokio::test]
async fn a_log_without_room_shows_nothing() {
    let desk = Desk::open().await;
    let ada = desk.auditor();
    desk.html(&ada, "/c").await;
    let pages: i64 = {
        let other = rusqlite::Connection::open(desk.archive.layout.access()).unwrap();
        other.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap()
    };
    // The database may not grow by a page; what it still has room for in the ones it has is written.
    desk.access.log().grow_at_most(u64::try_from(pages).unwrap()).unwrap();
    let mut refused = None;
    for _ in 0..2000 {
        let before = desk.access.log().size().unwrap();
        let answer = desk.page(&ada, "/r/1").await;
        let after = desk.access.log().size().unwrap();
        assert_eq!(after - before, u64::from(answer.status == 200), "{}", answer.status);
        if answer.status != 200 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("the room is used up");
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(!refused.text().contains("Where it is from"), "{}", refused.text());
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
    desk.access.add_user("ada", &Grant::new(Role::Auditor, None).unwrap(), &PASSWORD.to_owned().into()).unwrap();
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
