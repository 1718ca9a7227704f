//! The history held against the feed: a sandbox behind a layer that alters what it answers, so that
//! each row of the table of protocol notes 4 comes about, and feeds of every condition.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use atom_syndication::{Content, Entry, Feed};
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};
use teamchat_archive::api::{self, Connection, ServerOptions};
use teamchat_archive::crawl::{Account, Options, Summary};
use teamchat_archive::history;
use teamchat_archive::model::{Clock, MessageTs};
use teamchat_archive::record::Kind;
use teamchat_archive::sandbox::seed::{Seed, SeedMessage};
use teamchat_archive::sandbox::workspace::{Settings, Workspace};
use teamchat_archive::sandbox::{self, Parts, story};
use teamchat_archive::store::FIRST_SOURCE;
use tokio::task::AbortHandle;
use tower::ServiceExt as _;

use crate::crawl::seed;
use crate::support::{Folded, TestArchive, canonical, fold, quick, text};

const ATOM: &str = "channels.atom.history";
const BOB: &str = "bob@harbour.example";
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// Our clock at the first pass.
const START_MS: i64 = 1_490_100_000_000;

/// Given a method and its reply, the reply that goes out instead.
type Alter = dyn Fn(&str, Vec<u8>) -> (u16, Vec<u8>) + Send + Sync;

/// A sandbox whose answers are altered.
struct Altered {
    archive: TestArchive,
    account: Account,
    workspace: Arc<Workspace>,
    alter: Arc<Mutex<Arc<Alter>>>,
    /// Feeds that were asked for.
    feeds: Arc<AtomicUsize>,
    clock: Arc<AtomicI64>,
    parts_stop: Parts,
    task: AbortHandle,
}

impl Altered {
    async fn start(seed: Seed, atom_extensions: bool) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let settings = Settings { atom_extensions, ..Settings::default() };
        let options = sandbox::Options { settings, ..sandbox::Options::default() };
        let parts = {
            let origin = origin.clone();
            tokio::task::spawn_blocking(move || sandbox::router(seed, &options, &origin).unwrap()).await.unwrap()
        };
        let untouched: Arc<Alter> = Arc::new(|_: &str, bytes: Vec<u8>| (200, bytes));
        let alter = Arc::new(Mutex::new(untouched));
        let feeds = Arc::new(AtomicUsize::new(0));
        let (inner, held, counted) = (parts.router.clone(), Arc::clone(&alter), Arc::clone(&feeds));
        let handle = move |request: Request| {
            let (inner, held, counted) = (inner.clone(), Arc::clone(&held), Arc::clone(&counted));
            async move {
                let method = request.uri().path().rsplit('/').next().unwrap().to_owned();
                if method == ATOM {
                    counted.fetch_add(1, Ordering::Relaxed);
                }
                let (mut head, body) = inner.oneshot(request).await.unwrap().into_parts();
                let bytes: Bytes = to_bytes(body, usize::MAX).await.unwrap();
                let alter = Arc::clone(&held.lock().unwrap());
                let (status, bytes) = alter(&method, bytes.to_vec());
                if status != 200 {
                    head.status = StatusCode::from_u16(status).unwrap();
                }
                head.headers.remove(header::CONTENT_LENGTH);
                Response::from_parts(head, Body::from(bytes))
            }
        };
        let router = Router::new().fallback(handle);
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() }).abort_handle();
        let url = format!("{origin}/teamchatapi/");
        let clock = Arc::new(AtomicI64::new(START_MS));
        let options = ServerOptions { clock: Clock::Set(Arc::clone(&clock)), ..quick() };
        let connection = Arc::new(Connection::new(&url, &options).unwrap());
        let account = Account {
            name: parts.username.clone(),
            user_id: parts.username.clone(),
            reader: api::Reader::new(connection, parts.token.clone().into()),
        };
        Self {
            archive: TestArchive::new(&url),
            account,
            workspace: Arc::clone(&parts.workspace),
            alter,
            feeds,
            clock,
            parts_stop: parts,
            task,
        }
    }

    fn alter(&self, alter: impl Fn(&str, Vec<u8>) -> (u16, Vec<u8>) + Send + Sync + 'static) {
        *self.alter.lock().unwrap() = Arc::new(alter);
    }

    /// Alters the feed of every channel.
    fn alter_feeds(&self, alter: impl Fn(&mut Feed) + Send + Sync + 'static) {
        self.alter(move |method, bytes| {
            if method != ATOM {
                return (200, bytes);
            }
            let mut feed = Feed::read_from(bytes.as_slice()).unwrap();
            alter(&mut feed);
            (200, feed.to_string().into_bytes())
        });
    }

    async fn crawl(&self, full: bool) -> Summary {
        let options = Options { full, clock: Clock::Set(Arc::clone(&self.clock)), ..Options::default() };
        let summary = self.archive.crawl(&self.account, &options).await.unwrap();
        assert_eq!((summary.result, summary.debts), ("complete", 0), "{summary:?}");
        summary
    }

    /// Nothing is added by another pass over everything, and the archive is whole.
    async fn is_settled(&self) {
        let again = self.crawl(true).await;
        assert_eq!(again.records.added, 0, "{again:?}");
        self.archive.check();
    }

    fn place(&self, label: &str) -> (String, String) {
        self.workspace.labelled(label).unwrap()
    }

    fn message(&self, label: &str) -> Folded {
        let (channel, ts) = self.place(label);
        fold(&self.archive.reader()).remove(&canonical(&channel)).unwrap().remove(&ts).unwrap()
    }

    /// The records of disagreements, by kind.
    fn disagreements(&self) -> BTreeMap<String, Vec<Value>> {
        let mut out: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for block in self.archive.reader().blocks(0, usize::MAX >> 1).unwrap() {
            for record in block.records.into_iter().filter(|record| record.header.kind == Kind::Finding) {
                let body = String::from_utf8(record.body).unwrap();
                assert_eq!(body.matches("ticket=sha256-").count(), body.matches("ticket=").count(), "{body}");
                let mut finding = serde_json::from_str::<Value>(&body).unwrap()["finding"].take();
                finding["header_channel"] = json!(record.header.channel);
                out.entry(text(&finding["kind"])).or_default().push(finding);
            }
        }
        out
    }

    /// The one disagreement, of this kind.
    fn only(&self, kind: &str) -> Value {
        let mut all = self.disagreements();
        assert_eq!(all.keys().collect::<Vec<_>>(), [kind], "{all:?}");
        let mut found = all.remove(kind).unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    }
}

impl Drop for Altered {
    fn drop(&mut self) {
        self.parts_stop.stop();
        self.task.abort();
    }
}

fn kinds(summary: &Summary) -> Vec<&'static str> {
    summary.findings.iter().map(|finding| finding.kind).collect()
}

/// Ten days before everything else in the quay: below what an ordinary walk reads again.
fn with_old_messages(count: usize) -> Seed {
    let mut seed = seed(30);
    let sample = seed.messages.iter().find(|message| message.channel == "quay" && !message.label.is_empty()).unwrap();
    let old = |number: usize| SeedMessage {
        at: sample.at - 10 * 86_400 + i64::try_from(number).unwrap(),
        text: format!("old {number}"),
        label: format!("old{number}"),
        ..sample.clone()
    };
    let all: Vec<SeedMessage> = (0..count).map(old).collect();
    seed.messages.splice(0..0, all);
    seed
}

fn is_of(entry: &Entry, ts: &str) -> bool {
    entry.id().ends_with(ts)
}

fn set_text(entry: &mut Entry, text: &str) {
    entry.set_content(Content { value: Some(text.to_owned()), ..Content::default() });
}

/// Takes one message out of every history.
fn without_message(bytes: Vec<u8>, ts: &str) -> Vec<u8> {
    let mut reply: Value = serde_json::from_slice(&bytes).unwrap();
    if let Some(messages) = reply["messages"].as_array_mut() {
        messages.retain(|message| message["ts"] != ts);
    }
    reply.to_string().into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_feed_of_a_sound_server_agrees() {
    for extensions in [false, true] {
        let world = Altered::start(story::seed(), extensions).await;
        let first = world.crawl(false).await;
        assert_eq!((first.findings.len(), first.reconciled.disagreements), (0, 0), "{first:?}");
        assert_eq!(first.reconciled.channels, first.channels.walked);
        assert!(first.reconciled.messages > 100, "{first:?}");
        let verdicts: BTreeSet<&str> = first.reconciled.reports.iter().map(|report| report.verdict).collect();
        assert_eq!(verdicts, BTreeSet::from(["agrees"]), "{first:?}");
        assert!(world.feeds.load(Ordering::Relaxed) as u64 <= first.channels.walked, "one page each");
        let second = world.crawl(false).await;
        assert_eq!((second.reconciled.channels, second.records.added), (0, 0), "not before a day is over");
        let whole = world.crawl(true).await;
        assert_eq!((whole.reconciled.disagreements, whole.records.added), (0, 0), "{whole:?}");
        assert!(whole.reconciled.messages >= first.messages.new, "{whole:?}");
        world.clock.fetch_add(DAY_MS, Ordering::Relaxed);
        let tomorrow = world.crawl(false).await;
        // The one record of a new day tells what was covered.
        assert_eq!((tomorrow.reconciled.channels, tomorrow.records.added), (first.channels.walked, 1));
        let digests = |summary: &Summary| -> BTreeSet<String> {
            summary.reconciled.reports.iter().map(|report| report.json.clone()).collect()
        };
        assert_eq!(digests(&first), digests(&tomorrow), "nothing changed");
        world.archive.check();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_differs_is_recorded_once_with_both_sides() {
    let world = Altered::start(seed(30), false).await;
    let (channel, ts) = world.place("m3");
    world.alter_feeds(move |feed| {
        let entry = feed.entries.iter_mut().find(|entry| is_of(entry, &ts));
        entry.into_iter().for_each(|entry| set_text(entry, "tampered with"));
    });
    let first = world.crawl(false).await;
    assert_eq!(kinds(&first), ["content_mismatch"], "{first:?}");
    assert_eq!(first.reconciled.disagreements, 1);
    assert!(first.reconciled.reports.iter().any(|report| report.verdict == "differs"));
    let finding = world.only("content_mismatch");
    assert_eq!(finding["header_channel"], canonical(&channel), "it holds what only the channel's readers may see");
    assert!(text(&finding["json"]).contains("quay line 3") && text(&finding["json"]).starts_with('{'), "{finding}");
    assert!(text(&finding["atom"]).contains("tampered with") && text(&finding["atom"]).starts_with("<entry>"));
    assert_eq!(world.message("m3").versions, ["quay line 3"], "the archive keeps what the history says");
    world.is_settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_of_edit_that_differs_is_a_disagreement() {
    let world = Altered::start(seed(30), false).await;
    let (_, ts) = world.place("m3");
    world.alter_feeds(move |feed| {
        let entry = feed.entries.iter_mut().find(|entry| is_of(entry, &ts));
        entry.into_iter().for_each(|entry| entry.updated += chrono::TimeDelta::hours(1));
    });
    assert_eq!(kinds(&world.crawl(false).await), ["content_mismatch"]);
    world.is_settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_difference_that_passes_is_none() {
    let world = Altered::start(seed(30), false).await;
    let (_, ts) = world.place("m3");
    let times = AtomicUsize::new(0);
    world.alter_feeds(move |feed| {
        let entry = feed.entries.iter_mut().find(|entry| is_of(entry, &ts));
        if let Some(entry) = entry.filter(|_| times.fetch_add(1, Ordering::Relaxed) == 0) {
            set_text(entry, "as it read a moment ago");
        }
    });
    let first = world.crawl(false).await;
    assert_eq!((first.findings.len(), first.reconciled.disagreements), (0, 0), "{first:?}");
    assert!(world.feeds.load(Ordering::Relaxed) > first.channels.walked as usize, "it was read again");
    world.is_settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_feed_lacks_is_an_omission_of_the_feed() {
    let world = Altered::start(seed(30), false).await;
    let (_, ts) = world.place("m3");
    world.alter_feeds(move |feed| feed.entries.retain(|entry| !is_of(entry, &ts)));
    let first = world.crawl(false).await;
    assert_eq!(kinds(&first), ["atom_omission"], "{first:?}");
    let finding = world.only("atom_omission");
    assert!(text(&finding["json"]).contains("quay line 3") && finding["atom"].is_null(), "{finding}");
    world.is_settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_history_lacks_is_recovered() {
    let world = Altered::start(seed(30), false).await;
    let (_, ts) = world.place("m3");
    world.alter(move |method, bytes| match method {
        "channels.history" => (200, without_message(bytes, &ts)),
        _ => (200, bytes),
    });
    let first = world.crawl(false).await;
    assert_eq!(kinds(&first), ["json_omission"], "{first:?}");
    let finding = world.only("json_omission");
    assert!(text(&finding["atom"]).contains("quay line 3"), "{finding}");
    let found = world.message("m3");
    assert_eq!((found.text.as_str(), found.is_gone), ("quay line 3", false));
    assert_eq!(found.item.versions[0].record.header.via, "items.info");
    world.is_settled().await;
    assert!(!world.message("m3").is_gone, "a look-up of its own still gives it");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_the_server_itself_does_not_know_is_nothing() {
    let world = Altered::start(seed(30), false).await;
    let (_, ts) = world.place("m3");
    world.alter_feeds(move |feed| {
        let mut extra = feed.entries.iter().filter(|entry| is_of(entry, &ts)).cloned().collect::<Vec<_>>();
        for entry in &mut extra {
            entry.set_id(entry.id().replace(&ts, "1490000102.999999"));
            entry.extensions.clear();
        }
        feed.entries.append(&mut extra);
    });
    let first = world.crawl(false).await;
    assert_eq!((first.findings.len(), first.reconciled.disagreements), (0, 0), "{first:?}");
    let reader = world.archive.reader();
    let (channel, _) = world.place("m3");
    let channel = teamchat_archive::model::ChannelId::parse(&channel).unwrap();
    let found = history::item(&reader, Kind::Message, FIRST_SOURCE, Some(&channel), "1490000102.999999").unwrap();
    assert!(found.is_none(), "nothing was invented");
    world.is_settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tombstone_is_a_witness_with_a_time_and_an_actor() {
    let world = Altered::start(with_old_messages(3), true).await;
    world.crawl(false).await;
    // The lowest of the feed, and one in its middle.
    for label in ["old0", "old2"] {
        let (channel, ts) = world.place(label);
        world.workspace.delete(&channel, &ts, Some(BOB)).unwrap();
    }
    let soon = world.crawl(false).await;
    assert_eq!(soon.messages.deleted, 0, "it lies below the walk: {soon:?}");
    world.clock.fetch_add(DAY_MS, Ordering::Relaxed);
    let later = world.crawl(false).await;
    assert_eq!((later.messages.deleted, later.findings.len()), (2, 0), "{later:?}");
    for label in ["old0", "old2"] {
        let gone = world.message(label);
        assert!(gone.is_gone && gone.text.starts_with("old"), "{gone:?}");
        let evidence = gone.item.evidence().unwrap()["gone"].take();
        assert_eq!((text(&evidence["cause"]), text(&evidence["actor"])), ("event".to_owned(), "Person bob".to_owned()));
        assert!(chrono::DateTime::parse_from_rfc3339(&text(&evidence["at"])).is_ok(), "{evidence}");
        let methods: Vec<String> =
            evidence["witnesses"].as_array().unwrap().iter().map(|witness| text(&witness["method"])).collect();
        assert_eq!(methods, ["channels.history", ATOM], "{evidence}");
        assert!(text(&evidence["last_seen"]) <= text(&evidence["first_missing"]));
    }
    world.is_settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tombstone_that_names_nobody_accuses_nobody() {
    let world = Altered::start(with_old_messages(3), true).await;
    world.crawl(false).await;
    let (channel, ts) = world.place("old1");
    world.workspace.delete(&channel, &ts, Some(BOB)).unwrap();
    world.alter_feeds(|feed| {
        for tombstone in feed.extensions.values_mut().flat_map(|names| names.values_mut()).flatten() {
            tombstone.children.clear();
            tombstone.attrs.insert("when".to_owned(), "lately".to_owned());
        }
    });
    world.clock.fetch_add(DAY_MS, Ordering::Relaxed);
    assert_eq!(world.crawl(false).await.messages.deleted, 1);
    let evidence = world.message("old1").item.evidence().unwrap()["gone"].take();
    assert!(evidence["actor"].is_null() && evidence["at"].is_null(), "{evidence}");
    world.is_settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tombstone_tells_more_of_a_deletion_that_is_known() {
    let world = Altered::start(seed(30), true).await;
    world.crawl(false).await;
    let (channel, ts) = world.place("m5");
    world.workspace.delete(&channel, &ts, Some(BOB)).unwrap();
    let second = world.crawl(true).await;
    assert_eq!((second.messages.deleted, second.findings.len()), (1, 0), "{second:?}");
    let finding = world.only("tombstone");
    assert_eq!((text(&finding["ts"]), text(&finding["actor"])), (ts, "Person bob".to_owned()));
    world.is_settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tombstone_of_what_the_history_has_is_no_deletion() {
    let world = Altered::start(seed(30), true).await;
    world.crawl(false).await;
    let (channel, ts) = world.place("m5");
    let (other, gone) = world.place("m6");
    world.workspace.delete(&other, &gone, Some(BOB)).unwrap();
    world.crawl(true).await;
    // The feed buries m5 instead, which is alive.
    world.alter(move |method, bytes| match method {
        ATOM => {
            let mut feed = Feed::read_from(bytes.as_slice()).unwrap();
            feed.entries.retain(|entry| !is_of(entry, &ts));
            (200, feed.to_string().replace(&format!(":{gone}\""), &format!(":{ts}\"")).into_bytes())
        }
        _ => (200, bytes),
    });
    let third = world.crawl(true).await;
    assert_eq!((third.messages.deleted, kinds(&third)), (0, vec!["atom_omission"]), "{third:?}");
    assert!(!world.message("m5").is_gone);
    let omission = &world.disagreements()["atom_omission"][0];
    assert!(text(&omission["tombstone"]).contains("deleted-entry"), "{omission}");
    assert_eq!(canonical(&channel), text(&omission["channel"]));
    world.is_settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_below_the_walk_is_seen_by_the_feed_and_archived() {
    let world = Altered::start(with_old_messages(3), false).await;
    world.crawl(false).await;
    let (channel, ts) = world.place("old1");
    world.workspace.edit(&channel, &ts, None, "old 1, edited").unwrap();
    assert_eq!(world.crawl(false).await.messages.edited, 0);
    world.clock.fetch_add(DAY_MS, Ordering::Relaxed);
    let later = world.crawl(false).await;
    assert_eq!((later.messages.edited, later.findings.len()), (1, 0), "{later:?}");
    assert_eq!(world.message("old1").versions, ["old 1", "old 1, edited"]);
    world.is_settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bare_feeds_and_other_prefixes_do() {
    let keyed_by_id = |feed: &mut Feed| {
        feed.namespaces.clear();
        feed.entries.iter_mut().for_each(|entry| entry.extensions.clear());
    };
    let keyed_by_date = |feed: &mut Feed| {
        for entry in &mut feed.entries {
            entry.set_id("urn:uuid:2f6e");
            entry.extensions.clear();
        }
    };
    let in_html = |feed: &mut Feed| {
        for entry in &mut feed.entries {
            let text = entry.content().and_then(Content::value).unwrap_or_default().to_owned();
            let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\n', "<br/>");
            let html = Some(format!("<p>{text}</p>"));
            entry.set_content(Content { value: html, content_type: Some("html".to_owned()), ..Content::default() });
        }
    };
    let titles_alone = |feed: &mut Feed| feed.entries.iter_mut().for_each(|entry| entry.set_content(None));
    let alterations: [fn(&mut Feed); 4] = [keyed_by_id, keyed_by_date, in_html, titles_alone];
    for (number, alteration) in alterations.into_iter().enumerate() {
        let world = Altered::start(story::seed(), false).await;
        world.alter_feeds(alteration);
        let first = world.crawl(true).await;
        assert_eq!((first.findings.len(), first.reconciled.disagreements), (0, 0), "{number}: {first:?}");
        assert!(first.reconciled.messages > 300, "{number}: {first:?}");
        world.is_settled().await;
    }

    let world = Altered::start(with_old_messages(3), true).await;
    world.alter(|method, bytes| match method {
        ATOM => {
            let text = String::from_utf8(bytes).unwrap();
            let text = text.replace("<tc:", "<exact:").replace("</tc:", "</exact:").replace("xmlns:tc", "xmlns:exact");
            let text = text.replace("<at:", "<dead:").replace("</at:", "</dead:").replace("xmlns:at", "xmlns:dead");
            (200, text.into_bytes())
        }
        _ => (200, bytes),
    });
    world.crawl(false).await;
    let (channel, ts) = world.place("old1");
    world.workspace.delete(&channel, &ts, Some(BOB)).unwrap();
    world.clock.fetch_add(DAY_MS, Ordering::Relaxed);
    let later = world.crawl(false).await;
    assert_eq!((later.messages.deleted, later.findings.len()), (1, 0), "{later:?}");
    world.is_settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_that_gives_less_is_followed_and_then_compared_as_far_as_it_goes() {
    // Seven entries a page, whatever is asked.
    let world = Altered::start(seed(30), false).await;
    world.alter_feeds(|feed| feed.entries.truncate(7));
    let first = world.crawl(false).await;
    assert_eq!((first.findings.len(), first.reconciled.disagreements), (0, 0), "{first:?}");
    let agrees = first.reconciled.reports.iter().filter(|report| report.verdict == "agrees").count() as u64;
    assert_eq!(agrees, first.channels.walked, "{first:?}");
    assert!(first.reconciled.messages >= 45, "{first:?}");
    world.is_settled().await;

    // The newest of the channel, whatever is asked.
    let world = Altered::start(seed(30), false).await;
    let newest = MessageTs::parse(&world.place("m20").1).unwrap();
    world.alter_feeds(move |feed| {
        feed.entries.retain(|entry| {
            let ts = entry.id().rsplit(':').next().and_then(MessageTs::parse);
            ts.is_some_and(|ts| ts >= newest)
        });
    });
    let first = world.crawl(false).await;
    assert_eq!((first.findings.len(), first.reconciled.disagreements), (0, 0), "{first:?}");
    let quay = canonical(&world.place("m20").0);
    let report = first.reconciled.reports.iter().find(|report| report.channel == quay).unwrap();
    assert_eq!(report.verdict, "agrees as far as the feed goes");
    assert_eq!(report.from, Some(newest.to_string()));
    world.is_settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_feeds_is_a_limit_said_once() {
    let unknown = br#"{"ok":false,"error":"unknown_method"}"#;
    let page = b"<!DOCTYPE html><html><body><h1>Sorry</h1></body></html>";
    for (status, body) in [(200, &unknown[..]), (404, b"nothing here"), (200, page), (404, page)] {
        let world = Altered::start(seed(30), false).await;
        world.alter(move |method, bytes| if method == ATOM { (status, body.to_vec()) } else { (200, bytes) });
        let first = world.crawl(false).await;
        assert_eq!(kinds(&first), ["atom_unavailable"], "{first:?}");
        assert_eq!(first.reconciled.channels, 0);
        // Channels are walked side by side; nobody asks who could have known.
        assert!((1..=4).contains(&world.feeds.swap(0, Ordering::Relaxed)));
        world.crawl(false).await;
        assert_eq!(world.feeds.load(Ordering::Relaxed), 0, "not before a day is over");
        world.clock.fetch_add(DAY_MS, Ordering::Relaxed);
        let tomorrow = world.crawl(false).await;
        // The one record of a new day tells what was covered.
        assert_eq!((kinds(&tomorrow), tomorrow.records.added), (vec!["atom_unavailable"], 1), "{tomorrow:?}");
        world.is_settled().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_that_cannot_be_read_or_is_down_costs_nothing_else() {
    let cut = |bytes: Vec<u8>| bytes[..bytes.len() / 2].to_vec();
    let crossed = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace("</id>", "</di>").into_bytes();
    let deep =
        |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replacen("<entry>", &"<x:y>".repeat(50_000), 1).into_bytes();
    let huge =
        |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replacen("</feed>", &" ".repeat(65 << 20), 1).into_bytes();
    let spoilers: [fn(Vec<u8>) -> Vec<u8>; 4] = [cut, crossed, deep, huge];
    for (number, spoil) in spoilers.into_iter().enumerate() {
        let world = Altered::start(seed(5), false).await;
        world.alter(move |method, bytes| (200, if method == ATOM { spoil(bytes) } else { bytes }));
        let first = world.crawl(false).await;
        let said: BTreeSet<&str> = kinds(&first).into_iter().collect();
        assert_eq!(said, BTreeSet::from(["atom_unreadable"]), "{number}: {first:?}");
        world.is_settled().await;
    }

    let world = Altered::start(seed(5), false).await;
    world.alter(|method, bytes| (if method == ATOM { 503 } else { 200 }, bytes));
    let first = world.crawl(false).await;
    assert_eq!((first.findings.len(), first.reconciled.channels), (0, 0), "{first:?}");
    world.alter(|_, bytes| (200, bytes));
    let second = world.crawl(false).await;
    assert_eq!(second.reconciled.channels, second.channels.walked, "asked again as soon as it may answer");
    world.is_settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_channel_costs_a_request_for_each_thousand_messages_and_few_every_day() {
    let world = Altered::start(seed(4500), false).await;
    let first = world.crawl(false).await;
    assert_eq!(first.reconciled.disagreements, 0, "{first:?}");
    assert!((2000..3100).contains(&first.reconciled.messages), "{first:?}");
    assert!(world.feeds.swap(0, Ordering::Relaxed) <= 3 + 2, "three pages of one channel, one of two others");
    let whole = world.crawl(true).await;
    assert!(whole.reconciled.messages >= 4500, "{whole:?}");
    assert!(world.feeds.load(Ordering::Relaxed) <= 5 + 2);
    assert_eq!(whole.records.added, 0);
    world.archive.check();
}
