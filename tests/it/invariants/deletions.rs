//! I5: nothing is recorded as deleted on the word of one witness.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use teamchat_archive::api::{self, Connection};
use teamchat_archive::crawl::{Account, Options};
use teamchat_archive::record::{Kind, State};

use super::stir;
use crate::schedules::town::{ANN, EVA, Town, brisk, full, witness_problems};
use crate::stub::Stub;
use crate::support::{TestArchive, fold};

const NEWEST: &str = r#"{"type":"message","user":"a@t.com","text":"three","ts":"1490000003.000003"}"#;
const MIDDLE: &str = r#"{"type":"message","user":"a@t.com","text":"two","ts":"1490000002.000002"}"#;
const OLDEST: &str = r#"{"type":"message","user":"a@t.com","text":"one","ts":"1490000001.000001"}"#;

fn refusal(code: &str) -> String {
    format!(r#"{{"ok":false,"error":"{code}"}}"#)
}

fn page(items: &[&str]) -> String {
    format!(r#"{{"messages":[{}],"has_more":false,"ok":true}}"#, items.join(","))
}

/// Crawls a server that shows three messages, then one on which the middle one is missing and its
/// own look-up says `item`, and the history `history`. Whether it was recorded as deleted.
async fn is_recorded_as_deleted(history: String, item: String) -> bool {
    let passes = Arc::new(AtomicUsize::new(0));
    let phase = Arc::clone(&passes);
    let stub = Stub::start(move |method, _| {
        let is_first = phase.load(Ordering::Relaxed) == 0;
        let reply = match method {
            "auth.test" => r#"{"user":"a@t.com","user_id":"a@t.com","url":"/","ok":true}"#.to_owned(),
            "users.list" => r#"{"members":[],"cache_ts":"1.000000","ok":true}"#.to_owned(),
            "channels.list" => {
                r#"{"channels":[{"id":"QQ==","name":"odd","is_member":true,"num_members":0,"members":[]}],"ok":true}"#
                    .to_owned()
            }
            "channels.info" => {
                r#"{"channel":{"id":"QQ==","name":"odd","is_member":true,"num_members":0,"members":[]},"ok":true}"#
                    .to_owned()
            }
            "im.list" => r#"{"ims":[],"ok":true}"#.to_owned(),
            "files.list" => r#"{"files":[],"paging":{"count":0,"total":0,"page":1,"pages":0},"ok":true}"#.to_owned(),
            "pins.list" => r#"{"items":[],"ok":true}"#.to_owned(),
            "channels.history" if is_first => page(&[NEWEST, MIDDLE, OLDEST]),
            "channels.history" => history.clone(),
            "items.info" => item.clone(),
            _ => refusal("unknown_method"),
        };
        reply.into_bytes()
    })
    .await;
    let archive = TestArchive::new(&stub.url);
    let account = Account {
        name: "a@t.com".to_owned(),
        user_id: "a@t.com".to_owned(),
        reader: api::Reader::new(Arc::new(Connection::new(&stub.url, &brisk()).unwrap()), "t".to_owned().into()),
    };
    let first = archive.crawl(&account, &Options::default()).await.unwrap();
    assert_eq!((first.result, first.messages.new), ("complete", 3), "{first:?}");
    for options in [Options::default(), full()] {
        passes.fetch_add(1, Ordering::Relaxed);
        // A pass that can't read the channel says so; here it matters only what it recorded.
        drop(archive.crawl(&account, &options).await);
    }
    archive.check();
    let gone: BTreeMap<String, bool> = fold(&archive.reader())
        .into_values()
        .flatten()
        .map(|(ts, message)| (ts, message.is_gone))
        .filter(|(_, is_gone)| *is_gone)
        .collect();
    assert!(gone.keys().all(|ts| ts == "1490000002.000002"), "{gone:?}");
    !gone.is_empty()
}

#[tokio::test(flavor = "multi_thread")]
async fn i5_each_deletion_has_two_witnesses() {
    // One witness alone, or a second that is none.
    let without = || page(&[NEWEST, OLDEST]);
    let found = format!(r#"{{"message":{MIDDLE},"paging":{{"count":0,"total":0,"page":1,"pages":0}},"ok":true}}"#);
    for item in [
        found,
        refusal("no_permission"),
        refusal("channel_not_found"),
        refusal("bad_timestamp"),
        refusal("unknown_method"),
        refusal("fatal_error"),
        r#"{"ok":true}"#.to_owned(),
        "<html>".to_owned(),
    ] {
        assert!(!is_recorded_as_deleted(without(), item.clone()).await, "its look-up said {item}");
    }
    // A window that does not reach so far, or is not whole, is no witness.
    for history in [
        refusal("channel_not_found"),
        refusal("no_permission"),
        page(&[NEWEST, OLDEST]).replace("],\"has_more\":false,\"ok\":true}", ""),
        page(&[OLDEST, NEWEST]),
    ] {
        let is_deleted = is_recorded_as_deleted(history.clone(), refusal("message_not_found")).await;
        assert!(!is_deleted, "its history was {history}");
    }
    assert!(is_recorded_as_deleted(without(), refusal("message_not_found")).await, "two witnesses agree");

    // And on the living server: messages, files and comments.
    let town = Town::new(20, &[ANN, EVA]).await;
    town.crawl(&full()).await.unwrap();
    let workspace = town.running.workspace();
    for round in 0..3 {
        stir(&town, round);
        town.crawl(&full()).await.unwrap();
    }
    let comment = workspace.comment("plan", ANN, "soon gone").unwrap();
    town.crawl(&full()).await.unwrap();
    workspace.delete_comment(&comment).unwrap();
    workspace.delete_file("list").unwrap();
    town.crawl(&full()).await.unwrap();
    let mut gone: BTreeMap<Kind, usize> = BTreeMap::new();
    for record in town.records().into_iter().filter(|record| record.header.state == State::Gone) {
        let name = format!("{:?} {}", record.header.kind, record.header.key);
        assert_eq!(witness_problems(&name, &record.body), Vec::<String>::new());
        *gone.entry(record.header.kind).or_default() += 1;
    }
    assert!(gone[&Kind::Message] >= 5 && gone[&Kind::File] == 1 && gone[&Kind::Comment] == 1, "{gone:?}");
    town.archive.check();
    town.stop().await;
}

/// What comes back as it was is back, and what comes back otherwise is back and changed: the whole
/// check afterwards holds the one against the other.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_gone_and_is_back_is_recorded_as_its_bytes_make_it() {
    let town = Town::new(20, &[ANN]).await;
    let workspace = town.running.workspace();
    let stamp_of = |text: &str| {
        let item = workspace.truth().into_iter().find(|item| item.text == text).unwrap();
        (item.channel, item.ts)
    };
    let comments = ["back as it was", "back and edited"].map(|text| workspace.comment("plan", EVA, text).unwrap());
    let items = ["back as it was", "back and edited"].map(stamp_of);
    let messages = ["dock line 1", "dock line 2"].map(stamp_of);
    town.crawl(&full()).await.unwrap();
    for comment in &comments {
        workspace.delete_comment(comment).unwrap();
    }
    for (channel, ts) in &messages {
        workspace.delete(channel, ts, None).unwrap();
    }
    let gone = town.crawl(&full()).await.unwrap();
    assert_eq!((gone.comments.deleted, gone.messages.deleted), (2, 4), "{gone:?}");
    for (channel, ts) in items.iter().chain(&messages) {
        workspace.restore(channel, ts).unwrap();
    }
    for (channel, ts) in [&items[1], &messages[1]] {
        workspace.edit(channel, ts, None, "edited meanwhile").unwrap();
    }
    town.crawl(&full()).await.unwrap();
    let before = town.records().len();
    town.crawl(&full()).await.unwrap();
    assert_eq!(town.records().len(), before, "they are back once");
    town.archive.check();
    town.stop().await;
}
