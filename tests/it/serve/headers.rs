//! The headers of every answer: all routes, all verbs, whoever asks and whatever comes of it.

mod judge;

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::{Method, header};

use self::judge::Judged;
use super::routes::{addresses, routes};
use super::staff::{Staff, assert_all_were_shown, picture};
use super::{Answer, Desk, encode, get, send};

fn judge(what: &str, answer: &Answer, problems: &mut Vec<String>) {
    let Answer { status, headers, body } = answer;
    judge::judge(what, Judged { status: *status, headers, body, is_https: false }, problems);
}

/// What stands for the parameters of a route: things that are there, and things that are not.
struct Known {
    channel: String,
    file: String,
    asset: (String, String),
    ticket: String,
}

impl Known {
    async fn of(desk: &Desk) -> Self {
        let token = desk.auditor_token();
        let channel = desk.channel(&token, "legal").await;
        let files = desk.reply(&token, "files.list", &[]).await;
        let page = send(&desk.router, get("/login").body(Body::empty()).unwrap()).await.text();
        let (_, sheet) = page.split_once("/static/").unwrap();
        let (hash, rest) = sheet.split_once('/').unwrap();
        let name = rest.split('"').next().unwrap();
        let file = picture(desk);
        let ticket = url::Url::parse(files["files"][0]["url_private"].as_str().unwrap()).unwrap();
        let ticket = format!("{}?{}", ticket.path(), ticket.query().unwrap());
        Self { channel, file, asset: (hash.to_owned(), name.to_owned()), ticket }
    }

    fn values(&self, section: &str, name: &str) -> Vec<String> {
        let known = match (section, name) {
            ("c", "id") => encode(&self.channel),
            ("f", "id") => encode(&self.file),
            ("static", "hash") => self.asset.0.clone(),
            ("static", "name") => self.asset.1.clone(),
            ("teamchatapi", _) => "search.all".to_owned(),
            (_, "date") => "2026-01-05".to_owned(),
            (_, "id") => encode("klara.zemanova@orlava.example"),
            _ => "1".to_owned(),
        };
        vec![known, "nothing".to_owned()]
    }
}

#[tokio::test]
async fn every_answer_of_every_route_has_its_headers() {
    let desk = Desk::open().await;
    let known = Known::of(&desk).await;
    let staff = Staff::at_work(&desk).await;
    let mut problems = Vec::new();
    let (mut seen, mut numbers, mut asked) = (BTreeSet::new(), BTreeSet::new(), 0);
    let mut shown = BTreeSet::new();
    let mut queries = vec![String::new(), "?v=0".to_owned(), "?v=many&page=-1&count=x".to_owned()];
    queries.push(format!("?q={}&name={}&to=https://a.example/", encode("\"("), encode("a b")));
    queries.push("?q=crane".to_owned());
    for route in routes() {
        let (name, cookie) = staff.of(&route.pattern);
        for address in addresses(&route.pattern, &|section, name| known.values(section, name)) {
            for method in [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
                for query in if method == Method::GET { &queries[..] } else { &queries[..1] } {
                    for cookie in [cookie, ""] {
                        // Signing out is tried below, when nothing is to follow.
                        if route.pattern == "/logout"
                            || route.pattern.starts_with("/sessions/") && method == Method::POST
                        {
                            continue;
                        }
                        let address = format!("{address}{query}");
                        let request = get(&address).method(method.clone()).header(header::COOKIE, cookie);
                        let answer = send(&desk.router, request.body(Body::empty()).unwrap()).await;
                        let who = if cookie.is_empty() { "nobody" } else { name };
                        judge(&format!("{who}: {method} {address}"), &answer, &mut problems);
                        seen.insert(answer.status.as_u16());
                        numbers.insert(answer.header("x-request-id").to_owned());
                        asked += 1;
                        if method == Method::GET && answer.status == 200 {
                            shown.insert(route.pattern.clone());
                        }
                        if answer.status.is_server_error() {
                            problems.push(format!("{method} {address}: {}", answer.status));
                        }
                    }
                }
            }
        }
    }
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
    assert_eq!(numbers.len(), asked, "two requests have one number");
    assert_all_were_shown(&shown, &[]);
    for status in [200, 303, 400, 404, 405] {
        assert!(seen.contains(&status), "no answer was {status}: {seen:?}");
    }
}

#[tokio::test]
async fn what_fails_or_is_refused_has_its_headers_too() {
    let desk = Desk::open().await;
    let known = Known::of(&desk).await;
    let cookie = desk.auditor();
    let mut problems = Vec::new();
    let mut ask = async |what: &str, status: u16, path: &str, pairs: &[(&str, &str)], method: Method| {
        let mut request = get(path).method(method).header(header::COOKIE, &cookie);
        for (name, value) in pairs {
            request = request.header(*name, *value);
        }
        let answer = send(&desk.router, request.body(Body::empty()).unwrap()).await;
        judge(&format!("{what}: GET {path}"), &answer, &mut problems);
        if answer.status != status {
            problems.push(format!("{what}: {} is not {status}", answer.status));
        }
        answer
    };
    let blob = format!("/f/{}/blob", encode(&known.file));
    ask("whole", 200, &blob, &[], Method::GET).await;
    ask("part", 206, &blob, &[("range", "bytes=0-3")], Method::GET).await;
    ask("no such part", 416, &blob, &[("range", "bytes=999999999-")], Method::GET).await;
    ask("prefetch", 503, "/c", &[("sec-purpose", "prefetch")], Method::GET).await;
    ask("another site", 403, "/look", &[("sec-fetch-site", "cross-site")], Method::POST).await;
    ask("another origin", 403, "/login", &[("origin", "https://evil.example")], Method::POST).await;
    ask("no page", 404, "/nowhere", &[], Method::GET).await;
    ask("no text", 404, "/%ff", &[], Method::GET).await;
    ask("no text", 400, "/c/%ff", &[], Method::GET).await;
    ask("no number", 400, "/f/x?v=many", &[], Method::GET).await;
    ask("no such asset", 404, "/static/0000/archive.css", &[], Method::GET).await;
    ask("a ticket", 200, &known.ticket, &[], Method::GET).await;
    ask("no ticket", 200, "/teamchatapi/files.download?ticket=x", &[], Method::GET).await;
    ask("signed out", 303, "/logout", &[], Method::POST).await;

    // A damaged archive, and then a log that can't be written.
    let cookie = desk.cookie("bea", teamchat_archive::model::Role::Auditor, &teamchat_archive::model::Scope::All);
    let other = rusqlite::Connection::open(desk.archive.layout.access()).unwrap();
    other
        .execute_batch("CREATE TRIGGER no_more BEFORE INSERT ON entry BEGIN SELECT RAISE(ABORT, 'full'); END")
        .unwrap();
    let router = desk.another_router();
    let refused = send(&router, get("/c").header(header::COOKIE, &cookie).body(Body::empty()).unwrap()).await;
    judge("unlogged: GET /c", &refused, &mut problems);
    assert_eq!(refused.status, 503);
    other.execute_batch("DROP TRIGGER no_more").unwrap();
    let archive = rusqlite::Connection::open(desk.archive.layout.database()).unwrap();
    archive.execute_batch("DROP TRIGGER block_update; UPDATE block SET bytes = zeroblob(10)").unwrap();
    // One that has read no block yet.
    let router = desk.another_router();
    let damaged = send(&router, get("/r/1").header(header::COOKIE, &cookie).body(Body::empty()).unwrap()).await;
    judge("damaged: GET /r/1", &damaged, &mut problems);
    assert!(damaged.status.as_u16() >= 400, "{}", damaged.status);
    other.execute_batch("ALTER TABLE session RENAME TO gone").unwrap();
    let failed = send(&router, get("/c").header(header::COOKIE, &cookie).body(Body::empty()).unwrap()).await;
    judge("without a table: GET /c", &failed, &mut problems);
    assert_eq!(failed.status, 500);
    assert!(!failed.text().contains("session") && !failed.text().contains("table"), "{}", failed.text());
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

#[tokio::test]
async fn reports_of_browsers_are_taken_and_limited() {
    let desk = Desk::open().await;
    let report = async |kind: &str, body: &str| {
        let request = super::post("/csp-report").header(header::CONTENT_TYPE, kind);
        send(&desk.router, request.body(Body::from(body.to_owned())).unwrap()).await.status.as_u16()
    };
    let good = r#"{"csp-report": {"blocked-uri": "inline", "effective-directive": "script-src"}}"#;
    assert_eq!(report("application/csp-report", good).await, 204);
    assert_eq!(report("application/csp-report", "no JSON").await, 400);
    assert_eq!(report("application/csp-report", &format!("\"{}\"", "x".repeat(9000))).await, 413);
    assert_eq!(report("text/plain", good).await, 415);
    let mut answers = BTreeSet::new();
    for _ in 0..40 {
        answers.insert(report("application/reports+json", "[]").await);
    }
    assert_eq!(answers, BTreeSet::from([204, 429]));
}
