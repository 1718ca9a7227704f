//! Events made by hand, as no sandbox sends them: in part, late, broken, of what is excluded. None may
//! lead the archive to say what never was.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use teamchat_archive::api::{Event, Pace, Socket};
use teamchat_archive::crawl::Options;
use teamchat_archive::index::Searcher;
use teamchat_archive::model::{ChannelId, Clock, Exclusion};
use teamchat_archive::record::Kind;
use teamchat_archive::store::Change;

use crate::schedules::town::{ANN, BOB, EVA, Town, full};
use crate::support::{Folded, fold};

fn event(body: impl Into<Vec<u8>>) -> Event {
    Event { bytes: body.into(), kind: String::new(), received_at: Clock::System.now() }
}

fn told(body: &Value) -> Event {
    event(body.to_string())
}

fn message_deleted(channel: &str, ts: &str, user: &str) -> Event {
    told(&json!({"type": "message", "subtype": "message_deleted", "channel": channel, "deleted_ts": ts, "user": user}))
}

fn message_changed(channel: &str, message: &Value) -> Event {
    told(&json!({"type": "message", "subtype": "message_changed", "channel": channel, "message": message}))
}

/// A message as it is archived.
fn archived(town: &Town, channel: &str, ts: &str) -> Folded {
    fold(&town.archive.reader()).remove(channel).unwrap().remove(ts).unwrap()
}

fn excluding(channel: &str) -> Vec<Exclusion> {
    vec![Exclusion { channel: channel.to_owned(), ..Exclusion::default() }]
}

/// A town in which the newest message of the quay is of now, so that a pass looks no further back
/// than the hour before.
async fn town_of_today() -> Town {
    let town = Town::new(9, &[ANN]).await;
    town.running.workspace().post("quay", BOB, "of today").unwrap();
    town.crawl(&Options::default()).await.unwrap();
    town
}

#[tokio::test]
async fn a_message_that_was_told_in_part_is_completed_by_the_walk_and_counts_as_no_edit() {
    let mut town = Town::new(3, &[ANN]).await;
    town.crawl(&Options::default()).await.unwrap();
    let mut session = town.archive.session(&[]).await;
    let workspace = town.running.workspace();
    let quay = town.channel("quay");
    let plain = workspace.post("quay", BOB, "quagga").unwrap();
    let (_, shared) = workspace.upload("quay", EVA, "a.txt", b"a".to_vec()).unwrap();
    let text = workspace.truth().into_iter().find(|item| item.ts == shared).unwrap().text;
    let parts = [(&plain, BOB, "quagga"), (&shared, EVA, text.as_str())].map(|(ts, user, text)| {
        told(&json!({"type": "message", "channel": quay, "ts": ts, "user": user, "text": text}))
    });
    session.hear(&town.accounts[0], parts.to_vec()).await;
    // The same once more, and whole: nothing new.
    session.hear(&town.accounts[0], vec![parts[1].clone()]).await;
    session.end().await;
    let summary = town.crawl(&Options::default()).await.unwrap();
    assert_eq!((summary.messages.new, summary.messages.edited), (0, 0), "{summary:?}");
    for ts in [&plain, &shared] {
        let found = archived(&town, &quay, ts);
        assert_eq!(found.item.readings().len(), 1, "{ts}: {:?}", found.item);
    }
    let found = archived(&town, &quay, &shared);
    assert_eq!(found.item.versions.last().unwrap().change, Change::Fetched);
    assert_eq!(town.audit(&BTreeSet::new()), Vec::<String>::new());
    town.archive.check();
    let indexed = Searcher::new(&town.archive.layout).all_records().unwrap();
    let documents = found.item.versions.iter().filter(|version| indexed.contains(&version.seq.0));
    assert_eq!(documents.count(), 1);
    town.stop().await;
}

#[tokio::test]
async fn a_change_that_bears_no_mark_of_an_edit_follows_what_it_changed() {
    let town = Town::new(3, &[ANN]).await;
    let workspace = town.running.workspace();
    let quay = town.channel("quay");
    let ts = workspace.post("quay", BOB, "first").unwrap();
    town.crawl(&Options::default()).await.unwrap();
    let mut session = town.archive.session(&[]).await;
    let change = message_changed(&quay, &json!({"type": "message", "ts": ts, "user": BOB, "text": "second"}));
    session.hear(&town.accounts[0], vec![change.clone()]).await;
    session.hear(&town.accounts[0], vec![change]).await;
    let told = archived(&town, &quay, &ts);
    assert_eq!((told.versions, told.text.as_str()), (vec!["first".to_owned(), "second".to_owned()], "second"));
    // The message itself, late: it is how it read at first.
    let late = json!({"type": "message", "channel": quay, "ts": ts, "user": BOB, "text": "zeroth"});
    session.hear(&town.accounts[0], vec![event(late.to_string())]).await;
    assert_eq!(archived(&town, &quay, &ts).text, "second");
    session.end().await;
    town.archive.check();
    town.stop().await;
}

#[tokio::test]
async fn a_deletion_told_before_its_message_is_known_is_attributed_when_that_comes_late() {
    let mut town = town_of_today().await;
    let mut session = town.archive.session(&[]).await;
    let workspace = town.running.workspace();
    let quay = town.channel("quay");
    let ts = workspace.post("quay", BOB, "short").unwrap();
    workspace.delete("quay", &ts, None).unwrap();
    session.hear(&town.accounts[0], vec![message_deleted(&quay, &ts, EVA)]).await;
    session.touch(&town.accounts, &Options::default()).await.unwrap();
    let late = json!({"type": "message", "channel": quay, "ts": ts, "user": BOB, "text": "short"});
    session.hear(&town.accounts[0], vec![told(&late)]).await;
    session.end().await;
    let summary = town.crawl(&Options::default()).await.unwrap();
    assert_eq!(summary.messages.deleted, 1);
    let gone = archived(&town, &quay, &ts).item.evidence().unwrap()["gone"].clone();
    assert_eq!((&gone["cause"], &gone["actor"]), (&json!("event"), &json!(EVA)));
    assert_eq!(town.audit(&BTreeSet::new()), Vec::<String>::new());
    town.archive.check();
    town.stop().await;
}

#[tokio::test]
async fn a_deletion_that_did_not_last_is_no_evidence_of_a_later_one() {
    let mut town = town_of_today().await;
    let mut session = town.archive.session(&[]).await;
    let workspace = town.running.workspace();
    let quay = town.channel("quay");
    let (_, old) = workspace.labelled("quay-3").unwrap();
    // It was deleted and restored before anybody looked.
    session.hear(&town.accounts[0], vec![message_deleted(&quay, &old, EVA)]).await;
    session.touch(&town.accounts, &Options::default()).await.unwrap();
    session.end().await;
    assert!(!archived(&town, &quay, &old).is_gone);
    workspace.delete("quay", &old, None).unwrap();
    let summary = town.crawl(&full()).await.unwrap();
    assert_eq!(summary.messages.deleted, 1);
    let gone = archived(&town, &quay, &old).item.evidence().unwrap()["gone"].clone();
    assert_eq!((&gone["cause"], gone.get("actor")), (&json!("unknown"), None), "{gone}");
    assert_eq!(town.audit(&BTreeSet::new()), Vec::<String>::new());
    town.archive.check();
    town.stop().await;
}

#[tokio::test]
async fn of_two_deletions_that_were_told_the_last_is_the_one_that_lasted() {
    let town = town_of_today().await;
    let mut session = town.archive.session(&[]).await;
    let quay = town.channel("quay");
    let (_, ts) = town.running.workspace().labelled("quay-3").unwrap();
    town.running.workspace().delete("quay", &ts, None).unwrap();
    for user in [EVA, BOB] {
        session.hear(&town.accounts[0], vec![message_deleted(&quay, &ts, user)]).await;
    }
    session.touch(&town.accounts, &Options::default()).await.unwrap();
    session.end().await;
    let gone = archived(&town, &quay, &ts).item.evidence().unwrap()["gone"].clone();
    assert_eq!(gone["actor"], BOB, "{gone}");
    town.archive.check();
    town.stop().await;
}

#[tokio::test]
async fn a_deletion_of_an_old_message_that_was_told_before_a_kill_is_found_by_the_next_pass() {
    let mut town = town_of_today().await;
    let mut session = town.archive.session(&[]).await;
    let quay = town.channel("quay");
    let (_, ts) = town.running.workspace().labelled("quay-3").unwrap();
    town.running.workspace().delete("quay", &ts, None).unwrap();
    session.hear(&town.accounts[0], vec![message_deleted(&quay, &ts, EVA)]).await;
    session.die().await;
    let summary = town.crawl(&Options::default()).await.unwrap();
    assert_eq!(summary.messages.deleted, 1, "it lies below what the pass walks");
    assert_eq!(archived(&town, &quay, &ts).item.evidence().unwrap()["gone"]["actor"], EVA);
    assert_eq!(town.audit(&BTreeSet::new()), Vec::<String>::new());
    town.archive.check();
    town.stop().await;
}

#[tokio::test]
async fn a_whisper_that_only_live_events_showed_is_not_gone_for_those_who_were_never_shown_it() {
    let mut town = Town::new(1100, &[ANN, EVA]).await;
    let dock = Options { only: Some([ChannelId::parse(&town.channel("dock")).unwrap()].into()), ..Options::default() };
    town.crawl_as(ANN, &dock).await.unwrap();
    let workspace = town.running.workspace();
    let mut socket = Socket::open(&town.accounts[0].reader, Pace::default()).await.unwrap();
    let ts = workspace.whisper("quay", BOB, ANN, "for Ann alone").unwrap();
    let heard = socket.next().await.unwrap();
    socket.close().await;
    workspace.post("quay", BOB, "for all").unwrap();
    // Eva's first walk is under way when Ann's event comes, and ends above it.
    let enrolled = BTreeSet::from([ANN, EVA].map(str::to_owned));
    let options = Options { enrolled, ..Options::default() };
    let eva = town.accounts.iter().find(|account| account.name == EVA).unwrap().clone();
    let first = Options { budget: Some(Duration::ZERO), connections: 1, ..options.clone() };
    let quay = ChannelId::parse(&town.channel("quay")).unwrap();
    let only_quay = Options { only: Some([quay.clone()].into()), ..first };
    town.archive.crawl(&eva, &only_quay).await.unwrap();
    let mut session = town.archive.session(&[]).await;
    session.hear(&town.accounts[0], vec![heard]).await;
    session.end().await;
    for _ in 0..3 {
        town.archive.crawl(&eva, &Options { full: false, ..options.clone() }).await.unwrap();
    }
    town.archive.crawl(&eva, &Options { full: true, ..options }).await.unwrap();
    assert!(!archived(&town, quay.as_str(), &ts).is_gone);
    assert_eq!(town.audit(&BTreeSet::new()), Vec::<String>::new());
    // Both look, and it is found when it is gone.
    workspace.delete("quay", &ts, None).unwrap();
    for _ in 0..2 {
        town.crawl(&full()).await.unwrap();
    }
    assert!(archived(&town, quay.as_str(), &ts).is_gone);
    assert_eq!(town.audit(&BTreeSet::new()), Vec::<String>::new());
    town.archive.check();
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_was_read_before_an_edit_was_told_does_not_undo_it() {
    let town = Town::new(30, &[ANN]).await;
    town.crawl(&Options::default()).await.unwrap();
    let workspace = town.running.workspace();
    let (_, ts) = workspace.labelled("quay-29").unwrap();
    let quay = town.channel("quay");
    let options = Options { only: Some([ChannelId::parse(&quay).unwrap()].into()), ..Options::default() };
    let session = town.archive.session(&town.accounts).await;
    // The edit is made and told at each point of a pass in turn.
    for point in 0.. {
        let mut left = Some(point);
        let watch = || {
            left = match left {
                Some(0) => {
                    // What was asked for is answered, and not read yet.
                    std::thread::sleep(Duration::from_millis(20));
                    let heard = session.heard.events.load(Ordering::Relaxed);
                    workspace.edit("quay", &ts, None, &format!("edit {point}")).unwrap();
                    let until = Instant::now() + Duration::from_millis(200);
                    while session.heard.events.load(Ordering::Relaxed) == heard && Instant::now() < until {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                    None
                }
                other => other.map(|left| left - 1),
            };
            true
        };
        session.pass(&town.accounts, &options, watch).await.unwrap().unwrap();
        if left.is_some() {
            break;
        }
    }
    session.end().await;
    let truth = workspace.truth().into_iter().find(|item| item.ts == ts && item.user == EVA).unwrap();
    assert!(truth.versions.len() > 2);
    assert_eq!(archived(&town, &quay, &ts).versions, truth.versions);
    town.archive.check();
    town.stop().await;
}
