//! Channels of more members than the server lists.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use serde_json::{Value, json};
use teamchat_archive::api::{self, Connection};
use teamchat_archive::crawl::{Account, Options, plan};
use teamchat_archive::history::{self, Item};
use teamchat_archive::model::Clock;
use teamchat_archive::record::{Kind, Origin};
use teamchat_archive::sandbox::seed::{Seed, SeedUser};
use teamchat_archive::sandbox::{self, Running};

use crate::crawl::seed;
use crate::stub::Stub;
use crate::support::{TestArchive, account_of, canonical, quick};

const ANN: &str = "ann@harbour.example";
const BOB: &str = "bob@harbour.example";

/// The quay has 360 members, the dock 3.
fn crowd() -> Seed {
    let mut seed = seed(12);
    for number in 0..357 {
        let name = format!("hand{number}");
        let email = format!("{name}@harbour.example");
        seed.channels[0].members.push(email.clone());
        seed.users.push(SeedUser { real_name: name.clone(), email, name, tz: "UTC".to_owned(), ..SeedUser::default() });
    }
    seed
}

struct Place {
    running: Running,
    archive: TestArchive,
    connection: Arc<Connection>,
    time: Arc<AtomicI64>,
}

impl Place {
    async fn new(seed: Seed) -> Self {
        let running = sandbox::start(seed, sandbox::Options::default()).await.unwrap();
        let archive = TestArchive::new(&running.url);
        let connection = Arc::new(Connection::new(&running.url, &quick()).unwrap());
        Self { running, archive, connection, time: Arc::new(AtomicI64::new(1_790_000_000_000)) }
    }

    /// An hour later, what a pass with these people adds.
    async fn pass(&self, people: &[&str]) -> u64 {
        self.time.fetch_add(60 * 60 * 1000, Ordering::Relaxed);
        let options = Options { clock: Clock::Set(Arc::clone(&self.time)), ..Options::default() };
        let accounts: Vec<_> = people.iter().map(|user| account_of(&self.running, user, &self.connection)).collect();
        let planned = plan(&accounts, &self.archive.reader(), &options, 0.0).await.unwrap();
        let done = self.archive.crawl_watched(&accounts, &options, || true).await.unwrap().unwrap();
        assert_eq!((done.result, planned.requests), ("complete", done.requests), "{planned:?}\n{done:?}");
        done.records.added
    }

    fn rosters(&self) -> Vec<Item> {
        self.archive.newest(Kind::Roster).into_values().collect()
    }

    /// Members of the quay that are archived, of how many there are, and whether a limit says so.
    fn quay(&self) -> (usize, u64, bool) {
        let reader = self.archive.reader();
        let directory = history::directory(&reader).unwrap();
        let facts = directory.channels.values().find(|facts| facts.name == "quay").unwrap();
        let now = Clock::Set(Arc::clone(&self.time)).now();
        let covered = history::coverage(&reader, &directory, &[], &BTreeSet::new(), now).unwrap();
        let limits = covered.channels.iter().flat_map(|channel| &channel.limits);
        (facts.members.len(), facts.member_count, limits.into_iter().any(|limit| limit.kind() == "roster_cut"))
    }

    async fn end(self) {
        self.archive.check();
        self.running.stop().await;
    }
}

fn note(item: &Item, version: usize) -> Value {
    serde_json::from_slice(&item.versions[version].record.body).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_roster_that_the_server_cuts_is_kept_whole() {
    let place = Place::new(crowd()).await;
    place.pass(&[ANN]).await;
    let rosters = place.rosters();
    assert_eq!(rosters.len(), 1, "the dock's members are all in its facts: {rosters:?}");
    let quay = canonical(&place.running.workspace().channels()[0].0);
    assert_eq!((rosters[0].key.as_str(), rosters[0].versions.len()), (quay.as_str(), 1));
    assert_eq!(rosters[0].versions[0].record.header.origin, Origin::Noted);
    let body = note(&rosters[0], 0);
    let members = body["roster"]["members"].as_array().unwrap();
    assert_eq!((members.len(), &members[0], &body["roster"]["of"]), (360, &json!(ANN), &json!(360)));
    assert_eq!(body["roster"]["reply"].as_str().unwrap().len(), 64, "{body}");
    assert_eq!(place.quay(), (360, 360, false));
    assert_eq!(place.pass(&[ANN]).await, 0, "nothing changed");

    place.running.workspace().leave("quay", "hand350@harbour.example").unwrap();
    place.pass(&[ANN]).await;
    let rosters = place.rosters();
    assert_eq!(rosters[0].versions.len(), 2, "{rosters:?}");
    assert_eq!(note(&rosters[0], 1)["roster"]["members"].as_array().unwrap().len(), 359);
    assert_eq!(place.quay(), (359, 359, false));
    place.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_accounts_do_not_write_one_roster_in_turn() {
    let place = Place::new(crowd()).await;
    place.pass(&[ANN, BOB]).await;
    for _ in 0..3 {
        assert_eq!(place.pass(&[BOB, ANN]).await, 0, "nothing changed");
    }
    assert_eq!(place.rosters()[0].versions.len(), 1);
    place.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_does_not_name_stays_a_limit() {
    let mut seed = crowd();
    for user in seed.users.iter_mut().rev().take(20) {
        user.is_hidden = true;
    }
    let place = Place::new(seed).await;
    place.pass(&[ANN]).await;
    assert_eq!(place.quay(), (340, 360, true));
    assert_eq!(place.pass(&[ANN]).await, 0, "nothing changed");
    place.end().await;
}

/// A server with two rooms, of which it lists one member each; `roster` is what it says of either.
async fn rooms(roster: &'static str) -> (Stub, TestArchive, Account) {
    let stub = Stub::start(move |method, parameters| {
        let reply = match method {
            "auth.test" => r#"{"ok":true,"user":"ann","user_id":"ann"}"#,
            "users.list" if parameters.contains_key("channel") => roster,
            "users.list" => r#"{"ok":true,"members":[{"id":"ann","name":"ann"}]}"#,
            "channels.list" => {
                r#"{"ok":true,"channels":[{"id":"C1","name":"one","members":["ann"],"num_members":2},{"id":"C2","name":"two","members":["ann"],"num_members":2}]}"#
            }
            "im.list" => r#"{"ok":true,"ims":[]}"#,
            "channels.history" => r#"{"ok":true,"messages":[],"has_more":false}"#,
            "files.list" => r#"{"ok":true,"files":[],"paging":{"total":0}}"#,
            "pins.list" => r#"{"ok":true,"items":[]}"#,
            _ => r#"{"ok":false,"error":"unknown_method"}"#,
        };
        reply.as_bytes().to_vec()
    })
    .await;
    let archive = TestArchive::new(&stub.url);
    let connection = Arc::new(Connection::new(&stub.url, &quick()).unwrap());
    let reader = api::Reader::new(connection, "x".into());
    (stub, archive, Account { name: "ann".to_owned(), user_id: "ann".to_owned(), reader })
}

#[tokio::test(flavor = "multi_thread")]
async fn people_who_stand_only_on_rosters_are_recorded_once() {
    let (_stub, archive, account) = rooms(r#"{"ok":true,"members":[{"id":"ann","name":"ann"},{"id":"zoe"}]}"#).await;
    let full = Options { full: true, ..Options::default() };
    archive.crawl(&account, &full).await.unwrap();
    assert_eq!(archive.newest(Kind::Roster).len(), 2);
    let people: Vec<(String, usize)> =
        archive.newest(Kind::User).into_iter().map(|(id, item)| (id, item.versions.len())).collect();
    assert_eq!(people, [("ann".to_owned(), 1), ("zoe".to_owned(), 1)]);
    assert_eq!(archive.crawl(&account, &full).await.unwrap().records.added, 0);
    archive.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn everyone_there_is_makes_no_roster() {
    for reply in [
        r#"{"ok":true,"members":[{"id":"ann"},{"id":"bob"},{"id":"zoe"}]}"#,
        r#"{"ok":true,"members":[]}"#,
        r#"{"ok":false,"error":"channel_not_found"}"#,
    ] {
        let (_stub, archive, account) = rooms(reply).await;
        let done = archive.crawl(&account, &Options::default()).await.unwrap();
        assert_eq!((done.channels.walked, archive.newest(Kind::Roster).len()), (2, 0), "{reply}: {done:?}");
        archive.check();
    }
}
