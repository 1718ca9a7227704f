//! What a search says of time that was not captured: in a sentence, in its picture, and on the sheet about it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::body::Body;
use axum::http::header;
use secrecy::ExposeSecret as _;
use teamchat_archive::api::{self, Connection};
use teamchat_archive::crawl::{Account, Options};
use teamchat_archive::index::Indexer;
use teamchat_archive::model::{Clock, Role, Scope, Zone};
use teamchat_archive::record::Visit;
use teamchat_archive::store::access::{Access, Arrival, Grant};
use teamchat_archive::web::{Web, router};

use super::super::{Desk, PASSWORD, get, only, send, tags, text_of};
use super::{asking, bars, has_class, inside, main_of, number, total};
use crate::stub::Stub;
use crate::support::{TestArchive, account, quick};

/// Two channels, of which one was read until noon of the 10th of March 2026 and failed on the 20th.
struct Harbour {
    _stub: Stub,
    _archive: TestArchive,
    access: Access,
    router: Router,
}

fn moment(text: &str) -> i64 {
    chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis()
}

impl Harbour {
    async fn open() -> Self {
        let fails = Arc::new(AtomicBool::new(false));
        let is_failing = Arc::clone(&fails);
        let stub = Stub::start(move |method, parameters| {
            let channel = parameters.get("channel").map_or("", String::as_str);
            let reply = match (method, channel) {
                ("auth.test", _) => r#"{"ok":true,"user":"ann","user_id":"ann"}"#,
                ("users.list", _) => r#"{"ok":true,"members":[{"id":"ann","name":"ann"}]}"#,
                ("channels.list", _) => {
                    r#"{"ok":true,"channels":[{"id":"C1","name":"quay","created":1767571200,"members":["ann"]},{"id":"C2","name":"dock","created":1767571200,"members":["ann"]}]}"#
                }
                ("im.list", _) => r#"{"ok":true,"ims":[]}"#,
                ("channels.history", "C2") if is_failing.load(Ordering::Relaxed) => {
                    r#"{"ok":false,"error":"internal_error"}"#
                }
                // The 20th of January and the 2nd of March 2026.
                ("channels.history", _) => {
                    r#"{"ok":true,"messages":[{"type":"message","user":"ann","text":"crane two","ts":"1772445600.000200"},{"type":"message","user":"ann","text":"crane one","ts":"1768903200.000100"}],"has_more":false}"#
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
            archive.crawl(&account, &options).await.unwrap().result
        };
        assert_eq!(pass("2026-03-10T12:00:00Z").await, "complete");
        fails.store(true, Ordering::Relaxed);
        assert_eq!(pass("2026-03-20T12:00:00Z").await, "partial");
        Indexer::open(&archive.layout).unwrap().catch_up(&archive.reader(), None, &mut |_| {}).unwrap();
        let clock = Clock::set(moment("2026-03-20T13:00:00Z"));
        let access = Access::open(&archive.layout, clock.clone()).unwrap();
        let web = Web::new(archive.reader(), access.clone(), Zone::UTC, clock).unwrap();
        Self { _stub: stub, _archive: archive, access, router: router(Arc::new(web)) }
    }

    fn cookie(&self, name: &str, role: Role, scope: &Scope) -> String {
        let grant = Grant::new(role, Some(scope.clone())).unwrap();
        self.access.add_user(name, &grant, &PASSWORD.to_owned().into()).unwrap();
        let cookie = self.access.start_session(name, &Visit::default(), Arrival::default()).unwrap();
        format!("__Host-sid={}", cookie.expose_secret())
    }

    async fn html(&self, cookie: &str, path: &str) -> String {
        let answer = send(&self.router, get(path).header(header::COOKIE, cookie).body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.text()
    }
}

/// A rectangle of the picture: from where, how wide.
fn boxes(html: &str, class: &str) -> Vec<(u64, u64)> {
    let rects = tags(html).into_iter().filter(|tag| tag.name == "rect" && has_class(tag, class));
    rects.map(|tag| (number(tag.attribute("x")), number(tag.attribute("width")))).collect()
}

/// What the bars are called that say that some of their time was not captured.
fn missing_bars(html: &str) -> Vec<String> {
    let links = tags(html).into_iter().filter(|tag| tag.attribute("aria-label").ends_with(", not captured"));
    links.map(|tag| tag.attribute("aria-label").split(": ").next().unwrap().to_owned()).collect()
}

/// The rows of the table beside the picture of which it says so.
fn missing_rows(html: &str) -> Vec<String> {
    let rows = html.split("<tr><th scope=\"row\">").skip(1).map(|row| row.split("</tr>").next().unwrap());
    let rows = rows.filter(|row| text_of(row).ends_with("not captured"));
    rows.map(|row| inside(row, |tag| tag.name == "a").unwrap()).collect()
}

#[tokio::test]
async fn what_was_not_captured_is_told_where_it_matters() {
    let desk = Desk::alone().await;
    let cookie = desk.auditor();
    let token = desk.auditor_token();
    let before = desk.html(&cookie, &asking("in:legal crane")).await;
    assert!(!before.contains("bar-gap") && !text_of(&before).contains("Silence there says nothing"));
    let legal = desk.channel(&token, "legal").await;
    desk.running.workspace().leave(&legal, &desk.running.username).unwrap();
    let again = account(&desk.running).await;
    desk.archive.crawl(&again, &Options { full: true, ..Options::default() }).await.unwrap();
    let today = desk.now().date_naive();
    let next = today.checked_add_days(chrono::Days::new(2)).unwrap();
    let week = format!("date:{}..{next}", today.checked_sub_days(chrono::Days::new(7)).unwrap());

    let html = desk.html(&cookie, &asking(&format!("in:legal {week}"))).await;
    let said = text_of(main_of(&html));
    assert!(
        said.contains("Not wholly captured since")
            && said.contains(": #legal.")
            && said.contains("Silence there says nothing"),
        "{said}"
    );
    assert!(tags(&html).iter().any(|tag| tag.attribute("href").starts_with("/crawl/coverage?channel=")));
    // A gap of another channel or of another time is no gap of this search.
    for elsewhere in [format!("in:random {week}"), "in:legal date:2026-01-01..2026-01-31".to_owned()] {
        let html = desk.html(&cookie, &asking(&elsewhere)).await;
        assert!(!text_of(main_of(&html)).contains("Silence there says nothing"), "{elsewhere}");
    }
    // Who may not see the channel is told of nothing.
    let random = desk.channel(&token, "random").await;
    let reviewer = desk.cookie("rita", Role::Reviewer, &only(&[&random]));
    let html = desk.html(&reviewer, &asking(&week)).await;
    assert!(!text_of(&html).contains("legal") && !text_of(&html).contains("Silence there says nothing"));
}

#[tokio::test]
async fn time_that_was_not_captured_is_hatched_where_it_is() {
    let harbour = Harbour::open().await;
    let ada = harbour.cookie("ada", Role::Auditor, &Scope::All);
    let rita = harbour.cookie("rita", Role::Reviewer, &only(&["C1"]));
    let days = "date:2026-03-01..2026-03-20";
    let html = harbour.html(&ada, &asking(&format!("crane {days}"))).await;
    let bars = bars(&html);
    let rooms = boxes(&html, "bar-room");
    assert_eq!((bars.len(), rooms.len(), total(&html)), (20, 20, 2), "a bar a day");
    assert_eq!(bars[9].0, "Tuesday 10 March 2026");
    // From noon of the 10th to the end.
    let hatched = boxes(&html, "bar-gap");
    let (tenth, last) = (rooms[9], rooms[19]);
    assert_eq!(hatched.len(), 1, "{hatched:?}");
    let (from, width) = hatched[0];
    assert!(from.abs_diff(tenth.0 + tenth.1 / 2) <= 1, "hatched from {from}, and the 10th is {tenth:?}");
    assert_eq!(from + width, last.0 + last.1);
    // The picture, each bar, and each row of the table say it in words, too.
    let due: Vec<String> = bars[9..].iter().map(|(name, ..)| name.clone()).collect();
    assert_eq!((missing_bars(&html), missing_rows(&html)), (due.clone(), due));
    let picture = html.split_once("<svg class=\"bars\"").unwrap().1.split("</svg>").next().unwrap();
    let words: String = picture.split("<text").skip(1).map(|part| text_of(&format!("<text{part}"))).collect();
    assert!(words.contains("not captured"), "{words}");

    // Not of the other channel, not of the time before, and not for who does not see the channel.
    for (cookie, q) in [
        (&ada, format!("crane in:quay {days}")),
        (&ada, "crane date:2026-03-01..2026-03-09".to_owned()),
        (&rita, format!("crane {days}")),
    ] {
        let html = harbour.html(cookie, &asking(&q)).await;
        assert!(total(&html) > 0 && !boxes(&html, "bar-room").is_empty(), "{q}");
        assert_eq!(boxes(&html, "bar-gap"), [], "{q}");
        assert!(missing_bars(&html).is_empty() && missing_rows(&html).is_empty(), "{q}");
        assert!(!text_of(main_of(&html)).contains("not captured"), "{q}");
    }
}

#[tokio::test]
async fn the_sheet_about_a_search_names_each_gap_and_its_reason() {
    let harbour = Harbour::open().await;
    let ada = harbour.cookie("ada", Role::Auditor, &Scope::All);
    let rita = harbour.cookie("rita", Role::Reviewer, &only(&["C1"]));
    let reason = "its last walk failed: the next `crawl` tries again (in the view of ann)";
    let row = |html: &str, name: &str| {
        let rows = html.split("<tr>").map(|row| text_of(row.split("</tr>").next().unwrap()));
        rows.into_iter().find(|row| row.starts_with(name)).unwrap_or_else(|| panic!("no row of {name}"))
    };
    // Of what was found, and of what was not.
    for (q, heading) in [("crane", "Certificate: what was found"), ("zyzzyva", "Certificate: nothing was found")] {
        let path = asking(&format!("{q} date:2026-03-01..2026-03-20")).replace("/search", "/certificate");
        let html = harbour.html(&ada, &path).await;
        let text = text_of(main_of(&html));
        assert!(text.contains(heading), "{text}");
        let dock = row(&html, "#dock");
        assert!(dock.contains("C2") && dock.contains("Not captured: from 2026-03-"), "{dock}");
        assert!(dock.contains(reason), "{dock}");
        let quay = row(&html, "#quay");
        assert!(quay.contains("no gap known") && !quay.contains("Not captured"), "{quay}");
        assert_eq!(text.matches("Of 1 of them a part of the time searched was not captured.").count(), 2, "{text}");
        assert!(text.contains("2 channels and conversations were looked into."), "{text}");

        let html = harbour.html(&rita, &path).await;
        let text = text_of(&html);
        assert!(row(&html, "#quay").contains("no gap known"), "{text}");
        assert!(text.contains("1 channel or conversation was looked into."), "{text}");
        assert!(text.contains("No gap is known in the time searched."), "{text}");
        for telling in ["dock", "C2", "Not captured", "walk failed", "was not captured"] {
            assert!(!text.contains(telling), "{telling}: {text}");
        }
    }
    // What is missing of another time is no gap of this search.
    let html = harbour.html(&ada, "/certificate?q=crane%20date%3A2026-01-01..2026-02-28").await;
    let text = text_of(main_of(&html));
    assert!(row(&html, "#dock").contains("no gap known") && !text.contains(reason), "{text}");
    assert!(text.contains("No gap is known in the time searched."), "{text}");
}
