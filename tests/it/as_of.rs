//! What stood at a moment: names, topics, members and messages before and after they changed.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use teamchat_archive::api::{Connection, ServerOptions};
use teamchat_archive::crawl::{Account, Options};
use teamchat_archive::history::{self, AsOf, ChannelFacts, Directory, PersonKind, directory_at, item_at};
use teamchat_archive::model::{ChannelId, Clock, RecordSeq, UtcTime};
use teamchat_archive::record::Kind;
use teamchat_archive::sandbox::{self, Running};
use teamchat_archive::store::FIRST_SOURCE;

use crate::crawl::seed;
use crate::support::{TestArchive, account_of, quick, text};

const ANN: &str = "ann@harbour.example";
const BOB: &str = "bob@harbour.example";
const EVA: &str = "eva@harbour.example";
/// When the first crawl is made, in Unix milliseconds.
const FIRST: i64 = 1_790_000_000_000;
const DAY: i64 = 24 * 60 * 60 * 1000;

fn at(ms: i64) -> UtcTime {
    chrono::DateTime::from_timestamp_millis(ms).unwrap()
}

/// A town that is crawled, changes, and is crawled again a day later.
struct Town {
    running: Running,
    archive: TestArchive,
    account: Account,
    time: Arc<AtomicI64>,
    quay: ChannelId,
}

impl Town {
    async fn new() -> Self {
        let mut seed = seed(12);
        seed.users[2].is_restricted = true;
        let running = sandbox::start(seed, sandbox::Options::default()).await.unwrap();
        let archive = TestArchive::new(&running.url);
        let time = Arc::new(AtomicI64::new(FIRST));
        let options = ServerOptions { clock: Clock::Set(Arc::clone(&time)), ..quick() };
        let account = account_of(&running, ANN, &Arc::new(Connection::new(&running.url, &options).unwrap()));
        let quay = ChannelId::parse(&running.workspace().channels()[0].0).unwrap();
        let town = Self { running, archive, account, time, quay };
        town.crawl().await;
        town
    }

    async fn crawl(&self) {
        let options = Options { full: true, clock: Clock::Set(Arc::clone(&self.time)), ..Options::default() };
        self.archive.crawl(&self.account, &options).await.unwrap();
    }

    async fn crawl_a_day_later(&self) {
        self.time.fetch_add(DAY, Ordering::Relaxed);
        self.crawl().await;
    }

    fn directory(&self, as_of: AsOf) -> Directory {
        directory_at(&self.archive.reader(), as_of).unwrap()
    }

    /// How a message of the quay read: its text, whether it was gone.
    fn message(&self, label: &str, as_of: AsOf) -> Option<(String, bool)> {
        let (_, ts) = self.running.workspace().labelled(label).unwrap();
        let reader = self.archive.reader();
        let item = history::item(&reader, Kind::Message, FIRST_SOURCE, Some(&self.quay), &ts).unwrap().unwrap();
        let found = item_at(&item, as_of)?;
        let body: serde_json::Value = serde_json::from_slice(&found.reading.record.body).unwrap();
        Some((text(&body["text"]), found.gone.is_some()))
    }

    async fn end(self) {
        self.archive.check();
        self.running.stop().await;
    }
}

fn quay(directory: &Directory, id: &ChannelId) -> ChannelFacts {
    directory.channels[id].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn names_topics_and_members_are_those_of_the_time() {
    let town = Town::new().await;
    let head = town.archive.reader().head().unwrap();
    let workspace = town.running.workspace();
    workspace.rename_user(BOB, "Robert the Younger").unwrap();
    workspace.rename_channel(town.quay.as_str(), "pier").unwrap();
    workspace.set_topic(town.quay.as_str(), BOB, "storms").unwrap();
    workspace.leave(town.quay.as_str(), EVA).unwrap();
    workspace.close_account(EVA).unwrap();
    town.crawl_a_day_later().await;

    let last_of_first = RecordSeq(head - 1);
    for before in [AsOf::Time(at(FIRST)), AsOf::Time(at(FIRST + DAY - 1)), AsOf::Record(last_of_first)] {
        let names = town.directory(before);
        let facts = quay(&names, &town.quay);
        assert_eq!((names.person(BOB), facts.name.as_str(), facts.topic.as_str()), ("Person bob", "quay", ""));
        assert_eq!((facts.member_count, facts.members.len(), facts.is_later), (3, 3, false), "{before:?}");
        assert!(facts.earlier_names.is_empty() && !names.people[EVA].is_deleted && !names.people[BOB].is_later);
        let conversation = names.channels.values().find(|facts| facts.is_im).unwrap();
        assert_eq!(conversation.name, "Person bob", "{before:?}");
    }
    for after in [AsOf::Time(at(FIRST + DAY)), AsOf::Now] {
        let names = town.directory(after);
        let facts = quay(&names, &town.quay);
        assert_eq!((names.person(BOB), facts.name.as_str()), ("Robert the Younger", "pier"));
        assert_eq!((facts.topic.as_str(), facts.member_count, facts.members.len()), ("storms", 2, 2));
        assert_eq!((facts.earlier_names, names.people[EVA].is_deleted), (vec!["quay".to_owned()], true));
    }
    town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_first_seen_later_is_told_and_marked() {
    let town = Town::new().await;
    let names = town.directory(AsOf::Time(at(FIRST - 1)));
    assert_eq!((names.person(BOB), names.people[BOB].is_later), ("Person bob", true));
    assert!(quay(&names, &town.quay).is_later);
    town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_is_lost_from_when_that_was_seen() {
    let town = Town::new().await;
    town.running.workspace().leave(town.quay.as_str(), ANN).unwrap();
    town.crawl_a_day_later().await;
    assert!(!quay(&town.directory(AsOf::Time(at(FIRST))), &town.quay).is_lost);
    assert!(quay(&town.directory(AsOf::Now), &town.quay).is_lost);
    town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_are_what_the_source_says_of_them() {
    let town = Town::new().await;
    let names = town.directory(AsOf::Now);
    assert_eq!(names.people[BOB].kind, Some(PersonKind::Member));
    assert_eq!(names.people[EVA].kind, Some(PersonKind::Guest));
    town.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_reads_as_it_did_at_the_time() {
    let town = Town::new().await;
    let workspace = town.running.workspace();
    for label in ["m3", "m4"] {
        let (channel, ts) = workspace.labelled(label).unwrap();
        if label == "m3" {
            workspace.edit(&channel, &ts, None, "edited").unwrap();
        } else {
            workspace.delete(&channel, &ts, None).unwrap();
        }
    }
    town.crawl_a_day_later().await;
    // The sandbox's clock is not ours: it dates the edit later than we saw it, so our clock counts.
    for (label, before, after) in
        [("m3", ("quay line 3", false), ("edited", false)), ("m4", ("quay line 4", false), ("quay line 4", true))]
    {
        let read = |time: i64| town.message(label, AsOf::Time(at(time)));
        let expected = |(text, is_gone): (&str, bool)| Some((text.to_owned(), is_gone));
        assert_eq!(read(FIRST + DAY - 1), expected(before), "{label}");
        assert_eq!(read(FIRST + DAY), expected(after), "{label}");
        assert_eq!(town.message(label, AsOf::Now), expected(after), "{label}");
        assert_eq!(read(1_500_000_000_000), expected(before), "{label}: written in March 2017");
        assert_eq!(read(1_480_000_000_000), None, "{label}: not written yet");
    }
    town.end().await;
}
