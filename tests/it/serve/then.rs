//! A channel as of a moment: what stood then and nothing that came later, with the names of the time.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::header;
use secrecy::ExposeSecret as _;
use serde_json::Value;
use teamchat_archive::api::{Connection, ServerOptions};
use teamchat_archive::crawl::Options;
use teamchat_archive::history::{Item, Version, messages_between};
use teamchat_archive::index::Indexer;
use teamchat_archive::model::{ChannelId, Clock, MessageTs, RecordSeq, Role, Zone, rfc3339};
use teamchat_archive::record::Visit;
use teamchat_archive::sandbox::{self, Running};
use teamchat_archive::store::FIRST_SOURCE;
use teamchat_archive::store::access::{Access, Arrival, Grant};
use teamchat_archive::web::{Web, router};

use super::timeline::has_class;
use super::{Desk, PASSWORD, Part, encode, get, link, parts, send, tags, text_of};
use crate::support::{TestArchive, account_of, quick};

/// The texts of a page's messages by their anchors; of one that was gone, nothing.
pub(super) fn texts(html: &str) -> Vec<(String, String)> {
    let mut out: Vec<(String, String)> = Vec::new();
    let mut is_said = false;
    let mut in_details = false;
    for part in parts(html) {
        match part {
            Part::Tag(tag) if tag.name == "article" => out.push((tag.attribute("id").to_owned(), String::new())),
            Part::Tag(tag) if tag.name == "details" => in_details = true,
            Part::Tag(tag) if tag.name == "/details" => in_details = false,
            Part::Tag(tag) if has_class(&tag, "said") => is_said = !in_details,
            Part::Tag(tag) if tag.name == "/div" => is_said = false,
            Part::Text(text) if is_said => out.last_mut().unwrap().1.push_str(&text),
            _ => {}
        }
    }
    out
}

fn archived(desk: &Desk, channel: &str) -> Vec<Item> {
    let channel = ChannelId::parse(channel).unwrap();
    messages_between(&desk.archive.reader(), FIRST_SOURCE, &channel, MessageTs::MIN, MessageTs::MAX).unwrap()
}

/// Letters of a text that no notation of the chat changes.
pub(super) fn letters(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).collect()
}

fn body(version: &Version) -> Value {
    serde_json::from_slice(&version.record.body).unwrap()
}

/// The last observation of the first crawl, and the last of the second.
fn moments(desk: &Desk) -> (String, String) {
    let reader = desk.archive.reader();
    let headers: Vec<_> =
        (0..reader.head().unwrap()).map(|seq| reader.record(RecordSeq(seq)).unwrap().header).collect();
    let first = headers.iter().find(|header| header.run > 0).unwrap().run;
    let of = |keep: &dyn Fn(u64) -> bool| {
        headers.iter().filter(|header| keep(header.run)).map(|header| header.observed_at.clone()).max().unwrap()
    };
    (of(&|run| run == first), of(&|run| run > first))
}

#[tokio::test]
async fn it_reads_as_it_did_and_says_so() {
    let desk = Desk::open().await;
    let cookie = desk.auditor();
    let (first, second) = moments(&desk);
    // The server's times have whole seconds: some before the first thing that happened after the first crawl.
    let moment = chrono::DateTime::parse_from_rfc3339(&first).unwrap().to_utc() - chrono::TimeDelta::seconds(3);
    let first = rfc3339(moment);
    let truth = desk.truth();
    let (mut edited, mut gone, mut later) = (0, 0, 0);
    for id in desk.ids(&desk.auditor_token(), "channels.list", "channels").await {
        let items = archived(&desk, &id);
        let base = format!("/c/{}?asof={}", encode(&id), encode(&first));
        let html = desk.html(&cookie, &format!("{base}&n=500")).await;
        let said = text_of(&html);
        assert!(said.contains("As a member saw it at "), "{id}");
        assert!(!said.contains("gone between"), "{id}: something is gone before it went");
        let mut due = Vec::new();
        for item in &items {
            let ts = MessageTs::parse(&item.key).unwrap();
            if ts.time() > moment {
                later += 1;
                continue;
            }
            let known = truth.iter().find(|known| known.channel == id && known.ts == item.key).unwrap();
            // An edit counts from the second that the server gives for it.
            let stood = |version: &&Version| {
                let edited = body(version)["edited"]["ts"].as_str().and_then(MessageTs::parse);
                edited.is_none_or(|edited| edited.time() <= moment)
            };
            let readings = item.readings();
            let reading = readings.iter().copied().rfind(stood).unwrap();
            let text = body(reading)["text"].as_str().unwrap_or_default().to_owned();
            assert!(known.versions.contains(&text) || text.is_empty(), "{text}");
            due.push((format!("m{}", reading.seq), text));
            edited += usize::from(readings.len() > 1 && reading.seq == readings[0].seq);
        }
        let found = texts(&html);
        let due = &due[due.len().saturating_sub(500)..];
        assert_eq!(
            found.iter().map(|(anchor, _)| anchor).collect::<Vec<_>>(),
            due.iter().map(|(anchor, _)| anchor).collect::<Vec<_>>(),
            "{id}"
        );
        for ((anchor, text), (_, was)) in found.iter().zip(due) {
            // Cards of machines follow the text.
            if !was.contains(['<', '&', '\u{200e}', '\u{200f}', '\u{202e}']) {
                assert!(letters(text).starts_with(&letters(was)), "{id} {anchor}: {text} is not {was}");
            }
        }
        // Ways on keep the moment.
        let html = desk.html(&cookie, &format!("{base}&n=5")).await;
        if let Some(older) = link(&html, "prev") {
            assert!(older.contains("asof="), "{older}");
            let html = desk.html(&cookie, &older).await;
            assert!(text_of(&html).contains("As a member saw it at "));
            assert_eq!(link(&html, "next").map(|newer| newer.contains("asof=")), Some(true));
        }
        assert_eq!(link(&html, "next"), None, "nothing is newer than the moment");

        // After they went, a line without the text stands in the place of each.
        let html = desk.html(&cookie, &format!("/c/{}?asof={}&n=500", encode(&id), encode(&second))).await;
        for item in items.iter().rev().take(500).filter(|item| item.is_gone()) {
            let (_, text) =
                texts(&html).into_iter().find(|(id, _)| *id == format!("m{}", item.latest().unwrap().seq)).unwrap();
            assert_eq!(text, "", "{}", item.key);
            gone += 1;
        }
        let count = items.iter().rev().take(500).filter(|item| item.is_gone()).count();
        let said = text_of(&html);
        assert_eq!(said.contains("gone by then: a line without"), count > 0, "{id}: {count}");
        assert_eq!(said.matches("a member saw nothing here").count(), count, "{id}");
    }
    assert!(edited > 3 && gone > 3 && later > 3, "{edited} edited, {gone} gone, {later} later");
}

#[tokio::test]
async fn names_topics_and_members_are_those_of_the_time() {
    let desk = Desk::open().await;
    let cookie = desk.auditor();
    let token = desk.auditor_token();
    let (first, _) = moments(&desk);
    let panel = desk.channel(&token, "operator-panel").await;
    let project = desk.channel(&token, "project-aubin").await;
    let heading = |html: &str| text_of(html.split_once("<h1>").unwrap().1.split_once("</h1>").unwrap().0);
    let then = |id: &str| format!("/c/{}?asof={}", encode(id), encode(&first));

    let now = desk.html(&cookie, &format!("/c/{}", encode(&panel))).await;
    assert_eq!(heading(&now), "#operator-panel");
    assert!(text_of(&now).contains("formerly panel"), "{now}");
    let html = desk.html(&cookie, &then(&panel)).await;
    assert!(heading(&html).starts_with("#panel") || heading(&html) == "#panel", "{}", heading(&html));
    assert!(text_of(&html).contains("now called operator-panel"), "{html}");

    let topic = "Both cranes in service; settlement in #legal";
    assert!(text_of(&desk.html(&cookie, &format!("/c/{}", encode(&project))).await).contains(topic));
    let html = desk.html(&cookie, &then(&project)).await;
    let lead = html.split_once("<article").unwrap().0;
    assert!(!text_of(lead).contains(topic), "{lead}");
    // Viktor left between the two crawls.
    let names = |html: &str| {
        let list = html.split_once("<ul class=\"names\">").unwrap().1.split_once("</ul>").unwrap().0.to_owned();
        text_of(&list)
    };
    assert!(names(&html).contains("Viktor"));
    assert!(!names(&desk.html(&cookie, &format!("/c/{}", encode(&project))).await).contains("Viktor"));
}

#[tokio::test]
async fn a_moment_is_read_as_people_write_it_and_garbage_is_refused() {
    let desk = Desk::open().await;
    let cookie = desk.auditor();
    let legal = encode(&desk.channel(&desk.auditor_token(), "legal").await);
    for (asof, zone, due) in [
        ("2026-03-04T10:22:00Z", "UTC", "2026-03-04 10:22:00 +00:00"),
        ("2026-03-04T10:22", "Europe/Prague", "2026-03-04 10:22:00 +01:00"),
        ("2026-03-04 10:22:33", "UTC", "2026-03-04 10:22:33 +00:00"),
        ("2026-03-04", "Europe/Prague", "2026-03-04 00:00:00 +01:00"),
        ("4 March 2026 10:22", "Europe/Prague", "2026-03-04 10:22:00 +01:00"),
        ("1772620920.000001", "UTC", "2026-03-04 10:42:00 +00:00"),
    ] {
        let path = format!("/c/{legal}?asof={}&tz={}", encode(asof), encode(zone));
        let html = desk.html(&cookie, &path).await;
        assert!(text_of(&html).contains(&format!("As a member saw it at {due}")), "{path}");
        for tag in tags(&html).iter().filter(|tag| tag.name == "a" && matches!(tag.attribute("rel"), "prev" | "next")) {
            let href = tag.attribute("href");
            assert!(href.contains("asof=") && href.contains("tz="), "{path}: {href}");
        }
    }
    for asof in ["yesterday", "2026-02-30", "2026-03-04T25:00", "x"] {
        let path = format!("/c/{legal}?asof={}", encode(asof));
        let answer = desk.page(&cookie, &path).await;
        assert_eq!(answer.status, 400, "{path}");
        // The form leads to this place of the page, which is what went wrong.
        let there = tags(&answer.text()).into_iter().filter(|tag| tag.attribute("id") == "then").collect::<Vec<_>>();
        assert_eq!(there.iter().map(|tag| tag.attribute("role")).collect::<Vec<_>>(), ["alert"], "{path}");
    }
    // Where it could be read, it leads to the newest message of that time, and the time stands there, too.
    let html = desk.html(&cookie, &format!("/c/{legal}?asof=2026-03-04T10:22&tz=UTC")).await;
    let below = html.split_once("id=\"then\"").unwrap().1;
    assert!(
        below.contains("at 2026-03-04 10:22:00 +00:00")
            && below.contains("id=\"end\"")
            && !below.contains("class=\"message")
    );
    assert!(tags(&html).iter().any(|tag| tag.name == "form" && tag.attribute("action").ends_with("#then")));
    // Before anything was said nothing is there, and a search says so as of then.
    let html = desk.html(&cookie, &format!("/c/{legal}?asof=1999-01-01&q=crane")).await;
    assert!(text_of(&html).contains("There is no archived message here"));
}

/// The quay of a small town, crawled in November 2017 and again a day later, after one of its messages was edited and
/// one deleted. All were written in one minute of the 20th of March 2017.
struct Quay {
    running: Running,
    archive: TestArchive,
    id: String,
    cookie: String,
    router: Router,
}

/// When the first crawl is made, in Unix milliseconds.
const FIRST: i64 = 1_510_000_000_000;
const DAY: i64 = 24 * 60 * 60 * 1000;

/// A moment in an address.
fn as_of(ms: i64) -> String {
    format!("asof={}", encode(&rfc3339(chrono::DateTime::from_timestamp_millis(ms).unwrap())))
}

impl Quay {
    async fn open() -> Self {
        let running = sandbox::start(crate::crawl::seed(12), sandbox::Options::default()).await.unwrap();
        let archive = TestArchive::new(&running.url);
        let id = running.workspace().channels().into_iter().find(|(_, name)| name == "quay").unwrap().0;
        let crawl = async |at: i64| {
            let clock = Clock::set(at);
            let options = ServerOptions { clock: clock.clone(), ..quick() };
            let account =
                account_of(&running, &running.username, &Arc::new(Connection::new(&running.url, &options).unwrap()));
            archive.crawl(&account, &Options { full: true, clock, ..Options::default() }).await.unwrap();
        };
        crawl(FIRST).await;
        let workspace = running.workspace();
        let ts = |label: &str| workspace.labelled(label).unwrap().1;
        workspace.edit(&id, &ts("m3"), None, "the wombat came later").unwrap();
        workspace.delete(&id, &ts("m4"), None).unwrap();
        crawl(FIRST + DAY).await;
        Indexer::open(&archive.layout).unwrap().catch_up(&archive.reader(), None, &mut |_| {}).unwrap();
        let clock = Clock::set(FIRST + 2 * DAY);
        let access = Access::open(&archive.layout, clock.clone()).unwrap();
        access.add_user("ada", &Grant::new(Role::Auditor, None).unwrap(), &PASSWORD.to_owned().into()).unwrap();
        let cookie = access.start_session("ada", &Visit::default(), Arrival::default()).unwrap();
        let web = Web::new(archive.reader(), access, Zone::UTC, clock).unwrap();
        let cookie = format!("__Host-sid={}", cookie.expose_secret());
        Self { running, archive, id, cookie, router: router(Arc::new(web)) }
    }

    async fn html(&self, path: &str) -> String {
        let request = get(path).header(header::COOKIE, &self.cookie).body(Body::empty()).unwrap();
        let answer = send(&self.router, request).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.text()
    }

    async fn end(self) {
        self.archive.check();
        self.running.stop().await;
    }
}

/// What a page of a search found: how many, how many of each state, and the rows.
fn result(html: &str) -> (String, BTreeMap<String, String>, Vec<String>) {
    let found = html.split_once("<p class=\"found\"><strong>").unwrap().1.split("</strong>").next().unwrap();
    let states = html.split_once("<section aria-labelledby=\"by-state\">").map_or("", |(_, rest)| rest);
    let states = states.split("</section>").next().unwrap().split("<li>").skip(1).map(|item| {
        let (name, count) = item.split_once("<bdi>").unwrap().1.split_once("</bdi><span class=\"count\">").unwrap();
        (name.to_owned(), count.split('<').next().unwrap().to_owned())
    });
    let list = html.split_once("<ol class=\"hits\"").map_or("", |(_, rest)| rest.split("</ol>").next().unwrap());
    let rows = list.split("<li class=\"hit\"").skip(1).map(|row| text_of(&format!("<li{row}")));
    (found.to_owned(), states.collect(), rows.collect())
}

#[tokio::test]
async fn a_search_finds_and_counts_what_stood_then_as_it_read() {
    let quay = Quay::open().await;
    let states = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(name, count)| ((*name).to_owned(), (*count).to_owned())).collect()
    };
    let whole = states(&[("Current", "12")]);
    let changed = states(&[("Current", "10"), ("Earlier wording", "1"), ("Deleted", "1")]);
    let lines = encode("\"quay line\"");
    // Before anything was archived, between the crawls up to the last moment before the second, and from it on.
    for (at, found, due) in [
        (FIRST - 1, "0 matches", &states(&[])),
        (FIRST, "12 matches", &whole),
        (FIRST + DAY - 1, "12 matches", &whole),
        (FIRST + DAY, "12 matches", &changed),
    ] {
        let html = quay.html(&format!("/search?q={lines}&{}", as_of(at))).await;
        let (total, states, _) = result(&html);
        assert_eq!((total.as_str(), &states), (found, due), "as of {at}");
        assert_eq!(text_of(&html).contains("earlier wordings or deleted"), due.len() > 1, "as of {at}");
        assert!(text_of(&html).contains("had been archived") || found == "0 matches", "as of {at}");
    }
    let (before, after) = (as_of(FIRST + DAY / 2), as_of(FIRST + DAY + DAY / 2));
    let search = async |q: &str, asof: &str| result(&quay.html(&format!("/search?q={}&{asof}", encode(q))).await);
    // The later wording is not found before it was there.
    assert_eq!(search("wombat", &before).await.0, "0 matches");
    let (total, _, rows) = search("wombat", &after).await;
    assert_eq!(total, "1 match");
    assert!(rows[0].contains("the wombat came later"), "{rows:?}");
    // The earlier one reads as what stood, and says nothing of what came later.
    let (total, _, rows) = search("\"quay line 3\"", &before).await;
    assert_eq!(total, "1 match");
    for later in ["earlier wording", "of 2", "wombat"] {
        assert!(!rows[0].contains(later), "{later}: {}", rows[0]);
    }
    let (total, _, rows) = search("\"quay line 3\"", &after).await;
    assert_eq!(total, "1 match");
    assert!(rows[0].contains("earlier wording, 1 of 2"), "{}", rows[0]);
    // And what went later stands there still, also beside a hit.
    let (total, _, rows) = search("\"quay line 4\"", &before).await;
    assert_eq!(total, "1 match");
    assert!(!rows[0].contains("deleted") && !rows[0].contains("removed"), "{}", rows[0]);
    let (_, _, rows) = search("\"quay line 5\"", &before).await;
    assert!(rows[0].contains("quay line 4") && !rows[0].contains("deleted"), "{}", rows[0]);
    let (total, _, rows) = search("\"quay line 4\"", &after).await;
    assert_eq!(total, "1 match");
    assert!(rows[0].contains("deleted") && rows[0].contains("gone between"), "{}", rows[0]);
    let (_, _, rows) = search("\"quay line 5\"", &after).await;
    assert!(rows[0].contains("quay line 4") && rows[0].contains("deleted"), "{}", rows[0]);
    quay.end().await;
}

#[tokio::test]
async fn the_sheet_of_a_day_reads_and_counts_as_then() {
    let quay = Quay::open().await;
    let sheet = async |more: &str| {
        let html = quay.html(&format!("/c/{}/day/2017-03-20?{more}", encode(&quay.id))).await;
        let entries = html.split("<tr class=\"entry").skip(1).map(|row| row.split("</tr>").next().unwrap().to_owned());
        let entries: Vec<String> = entries.collect();
        (text_of(&html), entries)
    };
    let line = |entries: &[String], text: &str| {
        let found = entries.iter().map(|entry| text_of(&format!("<tr{entry}"))).find(|entry| entry.contains(text));
        found.unwrap_or_else(|| panic!("no entry says {text}"))
    };
    // Twelve lines and a file; what was not written then is not there.
    for (asof, due) in [
        ("asof=1490000101.999999".to_owned(), 7),
        (as_of(FIRST + DAY / 2), 13),
        (as_of(FIRST + DAY - 1), 13),
        (as_of(FIRST + DAY), 13),
        (String::new(), 13),
    ] {
        let (text, entries) = sheet(&asof).await;
        assert_eq!(entries.len(), due, "{asof}");
        assert!(text.contains(&format!("There are {due} on this sheet.")), "{asof}: {text}");
        assert_eq!(text.contains("As a member saw it at "), !asof.is_empty(), "{asof}");
        assert_eq!(text.contains("each as it read then"), !asof.is_empty(), "{asof}: {text}");
        assert_eq!(text.contains("Every archived message from"), asof.is_empty(), "{asof}: {text}");
    }
    for asof in ["asof=1490000101.999999".to_owned(), as_of(FIRST), as_of(FIRST + DAY - 1)] {
        let (text, entries) = sheet(&asof).await;
        for later in ["wombat", "2 versions", "deleted, text kept", "gone between", "Gone by then", "was gone by then"]
        {
            assert!(!text.contains(later), "{asof} tells of {later}: {text}");
        }
        line(&entries, "quay line 3");
        line(&entries, "quay line 4");
        assert!(entries.iter().all(|entry| !entry.starts_with(" gone")), "{asof}");
    }
    let (text, entries) = sheet(&as_of(FIRST + DAY)).await;
    line(&entries, "the wombat came later");
    assert!(text.contains("1 message here was gone by then") && !text.contains("quay line 4"), "{text}");
    line(&entries, "Gone by then: a member saw nothing here.");
    // Without a moment all of it stands there.
    let (_, entries) = sheet("").await;
    assert!(line(&entries, "quay line 4").contains("deleted, text kept"), "{entries:?}");
    assert!(line(&entries, "the wombat came later").contains("quay line 3"), "{entries:?}");
    quay.end().await;
}
