//! Every method of the API, held against the access log: one entry of each answer, and no answer without its entry.

use axum::body::Body;
use axum::http::header;
use serde_json::{Value, json};

use super::methods::METHODS;
use super::{Answer, Desk, filled, form, get, send};

/// Needs no token and shows nothing of the archive.
const FREE: &str = "api.test";

/// What each method is asked with, so that it answers with something.
struct Known {
    token: String,
    channel: String,
    talk: String,
    ts: String,
    file: String,
    ticket: String,
}

impl Known {
    async fn of(desk: &Desk) -> Self {
        let token = desk.auditor_token();
        let channel = desk.channel(&token, "legal").await;
        let talk = desk.ids(&token, "im.list", "ims").await.into_iter().next().unwrap();
        let history = desk.reply(&token, "channels.history", &[("channel", &channel)]).await;
        let ts = history["messages"][0]["ts"].as_str().unwrap().to_owned();
        let files = desk.reply(&token, "files.list", &[]).await;
        let file = files["files"][0]["id"].as_str().unwrap().to_owned();
        let url = url::Url::parse(files["files"][0]["url_private"].as_str().unwrap()).unwrap();
        let ticket = url.query_pairs().find(|(name, _)| name == "ticket").unwrap().1.into_owned();
        Self { token, channel, talk, ts, file, ticket }
    }

    fn arguments<'a>(&'a self, desk: &'a Desk, method: &str, needed: &[&'static str]) -> Vec<(&'static str, &'a str)> {
        let value = |name: &str| match name {
            "channel" if method.starts_with("im.") => self.talk.as_str(),
            "channel" => &self.channel,
            "ts" => &self.ts,
            "file" => &self.file,
            "ticket" => &self.ticket,
            "user" => &desk.running.username,
            "query" => "crane",
            other => panic!("nothing stands for {other} of {method}"),
        };
        needed.iter().map(|name| (*name, value(name))).collect()
    }

    /// Asks by both verbs.
    async fn ask(&self, desk: &Desk, method: &str, arguments: &[(&str, &str)]) -> [(&'static str, Answer); 2] {
        let bearer = format!("Bearer {}", self.token);
        let by_form = form(&format!("/teamchatapi/{method}")).header(header::AUTHORIZATION, bearer);
        let by_form = send(&desk.router, by_form.body(filled(arguments)).unwrap()).await;
        [("GET", desk.call(&self.token, method, arguments).await), ("POST", by_form)]
    }
}

/// What was noted from number `from` on: action, and body.
fn noted(desk: &Desk, from: u64) -> Vec<(String, Value)> {
    let entries = desk.access.log().entries(from, 100).unwrap().into_iter().map(|entry| {
        let header: Value = serde_json::from_str(&entry.header).unwrap();
        (header["action"].as_str().unwrap().to_owned(), serde_json::from_str(&entry.body).unwrap())
    });
    entries.collect()
}

/// Whether a method gave what it is for.
fn assert_is_good(method: &str, answer: &Answer) {
    let kind = answer.header(header::CONTENT_TYPE);
    assert_eq!(answer.status, 200, "{method}: {}", answer.text());
    match method {
        "files.download" => assert_eq!(kind, "application/octet-stream", "{}", answer.text()),
        "channels.atom.history" => assert!(kind.starts_with("application/atom+xml"), "{}", answer.text()),
        _ => assert_eq!(answer.json()["ok"], true, "{method}: {}", answer.text()),
    }
}

#[tokio::test]
async fn each_answer_of_every_method_has_one_entry_with_its_name() {
    let desk = Desk::open().await;
    let known = Known::of(&desk).await;
    for (method, _, needed, _) in METHODS {
        let arguments = known.arguments(&desk, method, needed);
        let before = desk.access.log().size().unwrap();
        let answers = known.ask(&desk, method, &arguments).await;
        let found = noted(&desk, before);
        let due = if method == FREE { 0 } else { answers.len() };
        assert_eq!(found.len(), due, "{method}: {found:?}");
        for (_, answer) in &answers {
            assert_is_good(method, answer);
        }
        for (action, body) in &found {
            assert_eq!((action.as_str(), &body["method"]), ("view", &json!(method)), "{body}");
            assert_eq!((&body["page"], &body["token"]), (&json!("api"), &json!("auditor's")), "{body}");
            assert_eq!((&body["role"], &body["scope"]), (&json!("auditor"), &json!("all")), "{body}");
            assert_eq!((&body["status"], &body["error"]), (&json!(200), &Value::Null), "{body}");
            // What of the archive is meant; a ticket is a secret.
            for (name, value) in arguments.iter().filter(|(name, _)| *name != "ticket") {
                assert!(body.to_string().contains(value), "{method}: {name} is not in {body}");
            }
        }
    }
    // Refusals, too: of what is not there, of what would change something, of what nobody knows.
    for (method, error) in [
        ("channels.info", "channel_not_found"),
        ("chat.postMessage", "read_only_archive"),
        ("no.such.method", "unknown_method"),
    ] {
        let before = desk.access.log().size().unwrap();
        let answers = known.ask(&desk, method, &[("channel", "none")]).await;
        assert!(answers.iter().all(|(_, answer)| answer.json()["error"] == error), "{method}");
        let found = noted(&desk, before);
        assert_eq!(found.len(), answers.len(), "{method}: {found:?}");
        for (_, body) in found {
            assert_eq!((&body["method"], &body["error"]), (&json!(method), &json!(error)), "{body}");
        }
    }
}

#[tokio::test]
async fn no_method_is_answered_while_the_log_cannot_be_written() {
    let desk = Desk::open().await;
    let known = Known::of(&desk).await;
    for (method, _, needed, _) in METHODS {
        for (_, answer) in known.ask(&desk, method, &known.arguments(&desk, method, needed)).await {
            assert_is_good(method, &answer);
        }
    }
    let other = rusqlite::Connection::open(desk.archive.layout.access()).unwrap();
    // As when the disk is full: the database refuses what is new.
    other
        .execute_batch("CREATE TRIGGER no_more BEFORE INSERT ON entry BEGIN SELECT RAISE(ABORT, 'full'); END")
        .unwrap();
    let size = desk.access.log().size().unwrap();
    let due = json!({"ok": false, "error": "access_log_unavailable"});
    let mut problems = Vec::new();
    for (method, _, needed, _) in METHODS.iter().filter(|(method, ..)| *method != FREE) {
        for (verb, answer) in known.ask(&desk, method, &known.arguments(&desk, method, needed)).await {
            // The whole of the answer, so there is nothing else in it.
            if answer.status != 503 || serde_json::from_slice::<Value>(&answer.body).ok().as_ref() != Some(&due) {
                problems.push(format!("{verb} {method}: {} {}", answer.status, answer.text()));
            }
            for name in ["content-disposition", "etag", "repr-digest", "content-range", "last-modified"] {
                if answer.headers.contains_key(name) {
                    problems.push(format!("{verb} {method}: {name}: {}", answer.header(name)));
                }
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert_eq!(desk.access.log().size().unwrap(), size);
    let free = send(&desk.router, get(&format!("/teamchatapi/{FREE}")).body(Body::empty()).unwrap()).await;
    assert_is_good(FREE, &free);
    other.execute_batch("DROP TRIGGER no_more").unwrap();
    desk.reply(&known.token, "channels.list", &[]).await;
    desk.archive.check();
}
