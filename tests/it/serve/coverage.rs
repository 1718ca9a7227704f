//! The map of what is covered: each cell against what was walked, who is told of which channels, and what stands
//! beside it in words.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::body::Body;
use axum::http::header;
use secrecy::ExposeSecret as _;
use teamchat_archive::api::{self, Connection};
use teamchat_archive::crawl::{Account, Options};
use teamchat_archive::history::ExpectedLine;
use teamchat_archive::model::{ChannelId, Clock, Exclusion, Role, Scope, Zone};
use teamchat_archive::record::Visit;
use teamchat_archive::store::access::{Access, Arrival, Grant};
use teamchat_archive::web::{Web, router};

use super::{Desk, PASSWORD, Part, encode, get, only, parts, send, tags, text_of};
use crate::stub::Stub;
use crate::support::{TestArchive, quick};

/// The rows of a map: channel, and a letter for each column.
fn rows(html: &str) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    let (mut name, mut letters, mut place) = (String::new(), String::new(), "");
    for part in parts(html) {
        match part {
            Part::Tag(tag) if tag.name == "th" && tag.attribute("scope") == "row" => {
                (name, letters, place) = (String::new(), String::new(), "name");
            }
            Part::Tag(tag) if tag.name == "td" && !name.is_empty() => place = "cell",
            Part::Tag(tag) if ["/th", "/td"].contains(&tag.name.as_str()) => place = "",
            Part::Tag(tag) if tag.name == "/tr" && !name.is_empty() => {
                out.insert(std::mem::take(&mut name), std::mem::take(&mut letters));
            }
            Part::Text(text) if place == "name" => name.push_str(text.trim()),
            Part::Text(text) if place == "cell" => letters.push_str(text.trim()),
            _ => {}
        }
    }
    out
}

/// The columns of a map, by their full names.
fn columns(html: &str) -> Vec<String> {
    let named = |tag: &super::Tag| tag.name == "th" && !tag.attribute("abbr").is_empty();
    tags(html).iter().filter(|tag| named(tag)).map(|tag| tag.attribute("abbr").to_owned()).collect()
}

/// The web side of an archive at a moment, and the cookie of one who sees all.
fn auditor_of(archive: &TestArchive, at: &str) -> (Router, String) {
    let clock = Clock::set(moment(at));
    let access = Access::open(&archive.layout, clock.clone()).unwrap();
    if access.users().unwrap().is_empty() {
        access.add_user("ada", &Grant::new(Role::Auditor, None).unwrap(), &PASSWORD.to_owned().into()).unwrap();
    }
    let cookie = access.start_session("ada", &Visit::default(), Arrival::default()).unwrap();
    let web = Web::new(archive.reader(), access, Zone::UTC, clock).unwrap();
    (router(Arc::new(web)), format!("__Host-sid={}", cookie.expose_secret()))
}

fn moment(text: &str) -> i64 {
    chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis()
}

async fn page(router: &Router, cookie: &str, path: &str) -> String {
    let answer = send(router, get(path).header(header::COOKIE, cookie).body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.text()
}

#[tokio::test]
async fn a_failed_pass_turns_the_time_after_it_into_a_gap() {
    // Of the three channels one is always read, one until its server fails, one never.
    let fails = Arc::new(AtomicBool::new(false));
    let is_failing = Arc::clone(&fails);
    let stub = Stub::start(move |method, parameters| {
        let channel = parameters.get("channel").map_or("", String::as_str);
        let reply = match (method, channel) {
            ("auth.test", _) => r#"{"ok":true,"user":"ann","user_id":"ann"}"#,
            ("users.list", _) => r#"{"ok":true,"members":[{"id":"ann","name":"ann"}]}"#,
            ("channels.list", _) => {
                r#"{"ok":true,"channels":[{"id":"C1","name":"quay","created":1767571200,"members":["ann"]},{"id":"C2","name":"dock","created":1767571200,"members":["ann"]},{"id":"C3","name":"pier","created":1767571200,"members":["ann"]}]}"#
            }
            ("im.list", _) => r#"{"ok":true,"ims":[]}"#,
            ("channels.history", "C3") => r#"{"ok":false,"error":"internal_error"}"#,
            ("channels.history", "C2") if is_failing.load(Ordering::Relaxed) => {
                r#"{"ok":false,"error":"internal_error"}"#
            }
            // The 20th of January and the 2nd of March 2026.
            ("channels.history", _) => {
                r#"{"ok":true,"messages":[{"type":"message","user":"ann","text":"two","ts":"1772445600.000200"},{"type":"message","user":"ann","text":"one","ts":"1768903200.000100"}],"has_more":false}"#
            }
            ("files.list", _) => r#"{"ok":true,"files":[],"paging":{"total":0}}"#,
            ("pins.list", _) => r#"{"ok":true,"items":[]}"#,
            _ => r#"{"ok":false,"error":"unknown_method"}"#,
        };
        reply.as_bytes().to_vec()
    })
    .await;
    let archive = TestArchive::new(&stub.url);
    let account = Account {
        name: "ann".to_owned(),
        user_id: "ann".to_owned(),
        reader: api::Reader::new(Arc::new(Connection::new(&stub.url, &quick()).unwrap()), "x".to_owned().into()),
    };
    let pass = async |at: &str| {
        let options = Options { clock: Clock::set(moment(at)), ..Options::default() };
        archive.crawl(&account, &options).await.unwrap()
    };
    pass("2026-03-10T12:00:00Z").await;
    let (router, cookie) = auditor_of(&archive, "2026-03-10T13:00:00Z");
    let html = page(&router, &cookie, "/crawl/coverage?by=month").await;
    assert_eq!(columns(&html), ["2026-01", "2026-02", "2026-03"]);
    let row = |name: &str, letters: &str| (name.to_owned(), letters.to_owned());
    assert_eq!(rows(&html), BTreeMap::from([row("#quay", "C·C"), row("#dock", "C·C"), row("#pier", "GGG")]));

    // Two months later, with nobody having looked: nothing went wrong, and nothing is known.
    let (router, cookie) = auditor_of(&archive, "2026-05-20T13:00:00Z");
    let html = page(&router, &cookie, "/crawl/coverage?by=month").await;
    assert_eq!(rows(&html), BTreeMap::from([row("#quay", "C·PWW"), row("#dock", "C·PWW"), row("#pier", "GGGGG")]));

    fails.store(true, Ordering::Relaxed);
    let summary = pass("2026-05-20T12:00:00Z").await;
    assert_eq!(summary.result, "partial");
    let (router, cookie) = auditor_of(&archive, "2026-05-20T13:00:00Z");
    let html = page(&router, &cookie, "/crawl/coverage?by=month").await;
    assert_eq!(rows(&html), BTreeMap::from([row("#quay", "C·C··"), row("#dock", "C·PGG"), row("#pier", "GGGGG")]));
    let text = text_of(&html);
    assert!(text.contains("Something is missing: 2 gaps"), "{text}");
    assert!(text.contains("its last walk failed: the next crawl tries again"), "{text}");
    // Those with something missing stand first.
    assert!(html.find("<bdi>dock</bdi>").unwrap() < html.find("<bdi>quay</bdi>").unwrap());

    // The same in weeks, and of one channel.
    let html = page(&router, &cookie, "/crawl/coverage?channel=C2&by=week&to=2026-03-20").await;
    assert_eq!(columns(&html).last().unwrap(), "2026-03-16");
    let weeks = &rows(&html)["#dock"];
    assert!(weeks.starts_with('·') && weeks.contains('C') && weeks.ends_with("PG"), "{weeks}");
    assert!(text_of(&html).contains("the server gave an error"), "{html}");

    // The crawl that failed says so on its page.
    let html = page(&router, &cookie, "/crawl").await;
    let runs: Vec<String> = tags(&html)
        .iter()
        .filter(|tag| tag.name == "a" && tag.attribute("href").starts_with("/crawl/runs/"))
        .map(|tag| tag.attribute("href").to_owned())
        .collect();
    assert_eq!(runs, ["/crawl/runs/2", "/crawl/runs/1"]);
    let html = page(&router, &cookie, &runs[0]).await;
    let text = text_of(&html);
    assert!(text.contains("something was left open") && text.contains("channel_failed"), "{text}");
    assert!(html.contains("href=\"/crawl/coverage?channel=C2\""), "{html}");
    assert!(text.contains("With the view of") && text.contains("ann"), "{text}");
}

#[tokio::test]
async fn each_state_has_its_words_and_each_cell_leads_somewhere() {
    let desk = Desk::open().await;
    let ada = desk.auditor();
    let html = desk.html(&ada, "/crawl/coverage").await;
    let text = text_of(&html);
    for word in ["covered", "walked, nothing said", "in part", "gap", "waiting", "excluded", "before"] {
        assert!(html.contains(&format!("<strong>{word}</strong>")), "{word}");
    }
    assert!(text.contains("Everything the archived accounts can see was walked to its end"), "{text}");
    // What no crawl can see is said though nothing is missing, and how many people's views there are.
    assert!(text.contains("people are enrolled") && text.contains("left no trace"), "{text}");
    let found = rows(&html);
    assert!(found.len() > 10 && found.values().all(|row| row.chars().count() == columns(&html).len()), "{found:?}");
    let letters: BTreeSet<char> = found.values().flat_map(|row| row.chars()).collect();
    assert!(letters.is_subset(&BTreeSet::from(['C', '·', '-'])) && letters.contains(&'C'), "{found:?}");
    // Each cell is a link, with a word of its own, and none leads nowhere.
    let mut leads = BTreeSet::new();
    let all = tags(&html);
    for pair in all.windows(2).filter(|pair| pair[0].name == "td" && !pair[0].attribute("class").is_empty()) {
        assert_eq!(pair[1].name, "a", "{pair:?}");
        assert!(!pair[1].attribute("title").is_empty(), "{pair:?}");
        assert_eq!(pair[1].attribute("aria-label"), pair[1].attribute("title"), "the word is heard, not the letter");
        leads.insert(pair[1].attribute("href").to_owned());
    }
    assert!(leads.len() > 10, "{leads:?}");
    for href in leads.iter().step_by(7) {
        assert_eq!(desk.page(&ada, href).await.status, 200, "{href}");
    }
    // A cell with messages shows them where it leads.
    let cell = leads.iter().find(|href| href.starts_with("/c/")).unwrap();
    assert!(desk.html(&ada, cell).await.contains("class=\"message"), "{cell}");

    for (path, said) in [
        ("/crawl/coverage?by=year", "drawn by=month"),
        ("/crawl/coverage?to=yesterday", "drawn by=month"),
        ("/crawl/coverage?page=99", "no page 99"),
    ] {
        let answer = desk.page(&ada, path).await;
        assert!(answer.status == 400 && text_of(&answer.text()).contains(said), "{path}: {}", answer.text());
    }
    assert_eq!(desk.page(&ada, "/crawl/coverage?channel=nothing").await.status, 404);
}

#[tokio::test]
async fn who_sees_some_channels_is_told_of_those() {
    let desk = Desk::open().await;
    let channels = desk.running.workspace().channels();
    let legal = channels.iter().find(|(_, name)| name == "legal").unwrap();
    let scope = only(&[&legal.0]);
    let eve = desk.cookie("eve", Role::Reviewer, &scope);
    let html = desk.html(&eve, "/crawl/coverage").await;
    assert_eq!(rows(&html).into_keys().collect::<Vec<_>>(), ["#legal"]);
    let text = text_of(&html);
    assert!(text.contains("of the channels given to you was walked to its end"), "{text}");
    let pages = [html, desk.html(&eve, "/").await];
    let (other, name) = channels.iter().find(|(id, name)| *id != legal.0 && name.len() > 5).unwrap();
    for html in &pages {
        assert!(!html.contains(name.as_str()) && !html.contains(&encode(other)), "{html}");
    }
    let hidden = desk.page(&eve, &format!("/crawl/coverage?channel={}", encode(other))).await;
    let nothing = desk.page(&eve, "/crawl/coverage?channel=C1").await;
    assert_eq!((hidden.status, hidden.text()), (nothing.status, nothing.text()));
    assert_eq!(hidden.status, 404);
    assert_eq!(desk.page(&eve, "/crawl").await.status, 404, "crawls are of all channels");

    // A verifier is told of every channel, and nothing leads to contents.
    let victor = desk.cookie("victor", Role::Verifier, &Scope::nothing());
    let html = desk.html(&victor, "/crawl/coverage").await;
    assert_eq!(rows(&html), rows(&desk.html(&desk.auditor(), "/crawl/coverage").await));
    assert!(!tags(&html).iter().any(|tag| tag.attribute("href").starts_with("/c/")), "{html}");
    desk.html(&victor, "/crawl").await;
    let html = desk.html(&victor, "/crawl/runs/1").await;
    assert!(!tags(&html).iter().any(|tag| tag.attribute("href").starts_with("/r/")), "{html}");
    assert_eq!(desk.page(&victor, "/crawl/runs/99").await.status, 404);
}

#[tokio::test]
async fn an_inventory_is_held_against_what_is_here() {
    let desk = Desk::open().await;
    let line = |is_account, id: &str, name: &str| ExpectedLine { is_account, id: id.to_owned(), name: name.to_owned() };
    let lines = vec![
        line(true, &desk.running.username, ""),
        line(true, "nobody@orlava.example", "Nobody"),
        line(false, "", "legal"),
        line(false, "", "the room that is not there"),
    ];
    let web = desk.another().with_inventory(Arc::new(move || Ok(Some(lines.clone()))));
    let router = router(Arc::new(web));
    let ada = desk.auditor();
    let text = text_of(&page(&router, &ada, "/crawl/coverage").await);
    assert!(text.matches("1 of 2 expected are here.").count() == 2, "{text}");
    assert!(text.contains("nobody@orlava.example Nobody") && text.contains("the room that is not there"), "{text}");
    // It names rooms beyond what others may see.
    let legal = desk.running.workspace().channels().into_iter().find(|(_, name)| name == "legal").unwrap().0;
    let eve = desk.cookie("eve", Role::Reviewer, &only(&[&legal]));
    assert!(!page(&router, &eve, "/crawl/coverage").await.contains("the room that is not there"));
}

#[tokio::test]
async fn what_is_excluded_is_said_with_who_decided_it() {
    let desk = Desk::open().await;
    let entry = Exclusion {
        channel: "legal".to_owned(),
        reason: "privileged".to_owned(),
        by: "the board".to_owned(),
        since: "2026-01-01".to_owned(),
        ..Exclusion::default()
    };
    let router = router(Arc::new(desk.another().with_policy(vec![entry], BTreeSet::new())));
    let ada = desk.auditor();
    let legal = desk.running.workspace().channels().into_iter().find(|(_, name)| name == "legal").unwrap().0;
    let id = ChannelId::parse(&legal).unwrap();
    for path in
        ["/crawl/coverage".to_owned(), format!("/crawl/coverage?channel={}", encode(id.as_str())), "/".to_owned()]
    {
        let text = text_of(&page(&router, &ada, &path).await);
        assert!(text.contains("privileged") && text.contains("the board"), "{path}: {text}");
    }
}
