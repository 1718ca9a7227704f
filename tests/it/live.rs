//! Live events: what is told is archived, in whatever order and however often it comes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use teamchat_archive::api::{Event, Pace, Socket};
use teamchat_archive::crawl::Notice;
use teamchat_archive::record::Kind;
use teamchat_archive::sandbox::Fault;

use crate::schedules::play::Dice;
use crate::schedules::town::{ANN, BOB, EVA, Town, full};
use crate::support::{Fold, Session, fold};

/// Far longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn options() -> teamchat_archive::crawl::Options {
    teamchat_archive::crawl::Options::default()
}

/// Waits until so many events were kept.
async fn heard(session: &Session, count: u64) {
    let until = tokio::time::Instant::now() + PATIENCE;
    while session.heard.events.load(std::sync::atomic::Ordering::Relaxed) < count {
        assert!(tokio::time::Instant::now() < until, "the events did not come");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Texts, and whether it is gone, of a message.
fn said(fold: &Fold, channel: &str, ts: &str) -> Option<(Vec<String>, bool)> {
    fold.get(channel)?.get(ts).map(|found| (found.versions.clone(), found.is_gone))
}

#[tokio::test]
async fn what_is_edited_and_deleted_between_two_passes_is_archived_with_every_reading() {
    let mut town = Town::new(9, &[ANN]).await;
    town.crawl(&options()).await.unwrap();
    let session = town.archive.session(&town.accounts).await;
    let workspace = town.running.workspace();
    let quay = town.channel("quay");
    let ts = workspace.post("quay", BOB, "first").unwrap();
    workspace.edit("quay", &ts, None, "second").unwrap();
    workspace.edit("quay", &ts, Some(ANN), "third").unwrap();
    workspace.delete("quay", &ts, Some(EVA)).unwrap();
    heard(&session, 4).await;
    let told = fold(&town.archive.reader());
    let all = ["first", "second", "third"].map(str::to_owned).to_vec();
    assert_eq!(said(&told, &quay, &ts), Some((all.clone(), false)), "a deletion needs a second witness");
    session.touch(&town.accounts, &options()).await.unwrap();
    let after = fold(&town.archive.reader());
    assert_eq!(said(&after, &quay, &ts), Some((all, true)));
    let evidence = after[&quay][&ts].item.evidence().unwrap();
    assert_eq!(evidence["gone"]["cause"], "event");
    assert_eq!(evidence["gone"].get("actor"), None, "the event named nobody");
    let methods: BTreeSet<&str> =
        evidence["gone"]["witnesses"].as_array().unwrap().iter().map(|one| one["method"].as_str().unwrap()).collect();
    assert_eq!(methods, BTreeSet::from(["items.info", "rtm"]));
    let record = evidence["gone"]["witnesses"][1]["record"].as_u64().unwrap();
    let event = town.archive.reader().record(teamchat_archive::model::RecordSeq(record)).unwrap();
    assert_eq!(event.header.kind, Kind::Event);
    assert!(String::from_utf8_lossy(&event.body).contains("message_deleted"));
    session.end().await;
    // The walk finds nothing that was not told.
    let summary = town.crawl(&options()).await.unwrap();
    assert_eq!((summary.messages.new, summary.messages.edited, summary.messages.deleted), (0, 0, 0));
    assert_eq!(town.audit(&BTreeSet::new()), Vec::<String>::new());
    town.archive.check();
    town.stop().await;
}

#[tokio::test]
async fn a_deletion_that_was_told_and_not_looked_at_is_attributed_by_the_next_walk() {
    let mut town = Town::new(9, &[ANN]).await;
    town.crawl(&options()).await.unwrap();
    let session = town.archive.session(&town.accounts).await;
    let workspace = town.running.workspace();
    let quay = town.channel("quay");
    let ts = workspace.post("quay", BOB, "soon gone").unwrap();
    workspace.delete("quay", &ts, None).unwrap();
    heard(&session, 2).await;
    session.die().await;
    let summary = town.crawl(&options()).await.unwrap();
    assert_eq!(summary.messages.deleted, 1);
    let evidence = fold(&town.archive.reader())[&quay][&ts].item.evidence().unwrap();
    assert_eq!(evidence["gone"]["cause"], "event");
    let witnesses = evidence["gone"]["witnesses"].as_array().unwrap();
    assert_eq!(witnesses.len(), 3, "{evidence}");
    assert_eq!(town.audit(&BTreeSet::new()), Vec::<String>::new());
    town.archive.check();
    town.stop().await;
}

#[tokio::test]
async fn a_deletion_that_nobody_told_of_a_message_that_was_is_found() {
    let mut town = Town::new(9, &[ANN]).await;
    town.crawl(&options()).await.unwrap();
    let session = town.archive.session(&town.accounts).await;
    let workspace = town.running.workspace();
    let quay = town.channel("quay");
    let ts = workspace.post("quay", BOB, "soon gone").unwrap();
    heard(&session, 1).await;
    session.end().await;
    workspace.delete("quay", &ts, None).unwrap();
    let summary = town.crawl(&options()).await.unwrap();
    assert_eq!(summary.messages.deleted, 1, "it is newer than all that the walk saw");
    assert_eq!(fold(&town.archive.reader())[&quay][&ts].item.evidence().unwrap()["gone"]["cause"], "unknown");
    assert_eq!(town.audit(&BTreeSet::new()), Vec::<String>::new());
    town.archive.check();
    town.stop().await;
}

#[tokio::test]
async fn everything_else_that_is_told_is_looked_at() {
    let mut town = Town::new(9, &[ANN]).await;
    town.crawl(&options()).await.unwrap();
    let session = town.archive.session(&town.accounts).await;
    let workspace = town.running.workspace();
    let (channel, ts) = workspace.labelled("quay-3").unwrap();
    workspace.react(&channel, &ts, EVA, "tea").unwrap();
    workspace.pin(&channel, &ts, EVA, true).unwrap();
    let (file, _) = workspace.upload("quay", BOB, "new.txt", b"new".to_vec()).unwrap();
    workspace.comment(&file, EVA, "well").unwrap();
    workspace.replace_file("plan", b"rewritten".to_vec()).unwrap();
    workspace.rename_user(BOB, "Robert").unwrap();
    workspace.set_topic("quay", BOB, "tides").unwrap();
    let made = workspace.create_channel(ANN, "berth").unwrap();
    workspace.post(&made, ANN, "first here").unwrap();
    workspace.delete("quay", &ts, None).unwrap();
    workspace.restore("quay", &ts).unwrap();
    let events = session.heard.events.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(events, 0, "nothing was heard yet");
    heard(&session, 14).await;
    // What is still under way is heard as well.
    tokio::time::sleep(Duration::from_millis(200)).await;
    session.touch(&town.accounts, &options()).await.unwrap();
    session.end().await;
    assert_eq!(town.audit(&BTreeSet::new()), Vec::<String>::new());
    let names = vec![ANN.to_owned()];
    town.note_shown(&names).await;
    assert_eq!(town.differences(&names).await, Vec::<String>::new());
    let summary = town.crawl(&options()).await.unwrap();
    assert_eq!((summary.result, summary.debts), ("complete", 0));
    town.archive.check();
    town.stop().await;
}

/// What happened in the quay, as one listener hears it.
async fn events(town: &Town, count: usize) -> Vec<Event> {
    let workspace = town.running.workspace();
    let mut socket = Socket::open(&town.accounts[0].reader, Pace::default()).await.unwrap();
    let mut stamps = Vec::new();
    for number in 0..count {
        let ts = workspace.post("quay", BOB, &format!("line {number}")).unwrap();
        stamps.push(ts);
    }
    for (number, ts) in stamps.iter().enumerate() {
        for round in 0..number % 4 {
            workspace.edit("quay", ts, None, &format!("line {number}, edit {round}")).unwrap();
        }
        if number % 3 == 0 {
            workspace.delete("quay", ts, None).unwrap();
        }
    }
    workspace.post("quay", BOB, "the end").unwrap();
    let mut events = Vec::new();
    loop {
        let event = tokio::time::timeout(PATIENCE, socket.next()).await.unwrap().unwrap();
        let value: Value = serde_json::from_slice(&event.bytes).unwrap();
        let is_last = value["text"] == "the end";
        events.push(event);
        if is_last {
            socket.close().await;
            return events;
        }
    }
}

/// Each message as it stands: its last text, and whether it is gone.
fn standing(fold: &Fold) -> BTreeMap<(String, String), (String, bool)> {
    fold.iter()
        .flat_map(|(channel, messages)| {
            messages.iter().map(|(ts, found)| ((channel.clone(), ts.clone()), (found.text.clone(), found.is_gone)))
        })
        .collect()
}

#[tokio::test]
async fn i11_order_loss_and_repetition_of_events_change_only_when_something_is_known() {
    let mut town = Town::new(3, &[ANN]).await;
    town.crawl(&options()).await.unwrap();
    let told = events(&town, 24).await;
    let mut dice = Dice::new(11);
    for round in 0..6 {
        // Some are lost, some come twice, and all in any order; the first round is undisturbed.
        let mut order: Vec<Event> = Vec::new();
        for event in &told {
            let copies = if round == 0 { 1 } else { dice.below(3) };
            for _ in 0..copies {
                let place = if round == 0 { order.len() } else { dice.below(order.len() + 1) };
                order.insert(place, event.clone());
            }
        }
        let heard_of = order.len();
        let town_archive = town.archive.copy();
        let mut session = town_archive.session(&[]).await;
        for part in order.chunks(1 + dice.below(9)) {
            session.hear(&town.accounts[0], part.to_vec()).await;
        }
        let kept = town_archive.reader().counters().unwrap()["event.subjects"];
        assert_eq!(usize::try_from(kept).unwrap(), heard_of, "each is kept as often as it came");
        session.touch(&town.accounts, &options()).await.unwrap();
        session.pass(&town.accounts, &full(), || true).await.unwrap().unwrap();
        session.end().await;
        let is = std::mem::replace(&mut town.archive, town_archive);
        let names = vec![ANN.to_owned()];
        town.note_shown(&names).await;
        assert_eq!(town.differences(&names).await, Vec::<String>::new(), "round {round}");
        town.archive.check();
        town.archive = is;
    }
    // Without a single event the same stands: a message that was deleted before any pass is not known.
    let silent = town.archive.copy();
    silent.crawl(&town.accounts[0], &full()).await.unwrap();
    let without = standing(&fold(&silent.reader()));
    let mut session = town.archive.session(&[]).await;
    session.hear(&town.accounts[0], told).await;
    session.pass(&town.accounts, &full(), || true).await.unwrap().unwrap();
    session.end().await;
    let mut with = standing(&fold(&town.archive.reader()));
    with.retain(|place, (_, is_gone)| !*is_gone || without.contains_key(place));
    assert_eq!(with, without);
    silent.check();
    town.archive.check();
    town.stop().await;
}

#[tokio::test]
async fn a_connection_that_is_cut_is_opened_again_and_a_revoked_account_is_not_listened_with() {
    let town = Town::new(3, &[ANN, EVA]).await;
    town.crawl(&options()).await.unwrap();
    let mut session = town.archive.session(&town.accounts).await;
    let workspace = town.running.workspace();
    assert_eq!(workspace.cut_sockets(), 2);
    let (mut open, mut ended) = (BTreeSet::new(), BTreeSet::new());
    while open.len() < 2 {
        match tokio::time::timeout(PATIENCE, session.notices.recv()).await.unwrap().unwrap() {
            Notice::Connected(name) => drop(open.insert(name)),
            Notice::Disconnected(name, _) => drop(ended.insert(name)),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(ended.len(), 2);
    let before = session.heard.events.load(std::sync::atomic::Ordering::Relaxed);
    workspace.post("quay", BOB, "after the cut").unwrap();
    heard(&session, before + 2).await;
    workspace.revoke_all(EVA).unwrap();
    workspace.post("quay", BOB, "wakes the sandbox").unwrap();
    let refused = async {
        loop {
            if let Notice::Refused(name, error) = session.notices.recv().await.unwrap() {
                return (name, error.to_string());
            }
        }
    };
    let (name, error) = tokio::time::timeout(PATIENCE, refused).await.unwrap();
    assert_eq!(name, EVA);
    assert!(error.contains("token_revoked"), "{error}");
    session.end().await;
    town.archive.check();
    town.stop().await;
}

#[tokio::test]
async fn what_an_event_shows_of_a_file_opens_no_door() {
    let town = Town::new(3, &[ANN]).await;
    town.crawl(&options()).await.unwrap();
    let session = town.archive.session(&town.accounts).await;
    town.running.set_fault(Fault::DuplicateEvent, 0.5);
    town.running.workspace().upload("quay", BOB, "secret.txt", b"x".to_vec()).unwrap();
    heard(&session, 2).await;
    session.end().await;
    let records = town.records();
    let events = records.iter().filter(|record| record.header.kind == Kind::Event);
    assert!(events.clone().any(|event| event.header.tickets > 0));
    for event in events {
        let text = String::from_utf8_lossy(&event.body).into_owned();
        for (at, mark) in text.match_indices("ticket=") {
            assert!(text[at + mark.len()..].starts_with("sha256-"), "{text}");
        }
    }
    town.archive.check();
    town.stop().await;
}
