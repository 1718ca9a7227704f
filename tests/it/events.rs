//! Events made by hand, as no sandbox sends them: in part, late, broken, of what is excluded. None may
//! lead the archive to say what never was.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use teamchat_archive::api::{Event, Pace, Reader, Socket};
use teamchat_archive::crawl::{Account, Options};
use teamchat_archive::index::Searcher;
use teamchat_archive::model::{ChannelId, Clock, Exclusion};
use teamchat_archive::record::Kind;
use teamchat_archive::sandbox::Settings;
use teamchat_archive::store::Change;

use crate::schedules::town::{ANN, BOB, EVA, Town, full, seed};
use crate::support::{Folded, Session, fold, requests};

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
    let indexed = Searcher::new(&town.archive.layout).records().unwrap();
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

/// Holds this thread, and no other, until it is so, or so long.
fn wait(time: Duration, is_so: impl Fn() -> bool) {
    let until = Instant::now() + time;
    while !is_so() && Instant::now() < until {
        std::thread::yield_now();
    }
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
                    wait(Duration::from_millis(20), || false);
                    let heard = session.heard.events.load(Ordering::Relaxed);
                    workspace.edit("quay", &ts, None, &format!("edit {point}")).unwrap();
                    wait(Duration::from_millis(200), || session.heard.events.load(Ordering::Relaxed) > heard);
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

#[tokio::test]
async fn nothing_of_what_is_excluded_is_archived_by_events() {
    for pattern in ["quay", "q*", "ID"] {
        let town = Town::new(9, &[ANN]).await;
        town.crawl(&Options::default()).await.unwrap();
        let quay = town.channel("quay");
        let exclude = excluding(if pattern == "ID" { &quay } else { pattern });
        let workspace = town.running.workspace();
        let files = town.archive.newest(Kind::File);
        let (here, elsewhere): (Vec<_>, Vec<_>) =
            files.iter().partition(|(_, item)| item.shared_in().iter().any(|id| id.as_str() == quay));
        let (file, other) = (here[0].0, elsewhere[0].0);
        let mut session = town.archive.session(&[]).await;
        session.exclude = exclude.clone();
        let before = town.records().len();
        let ts = workspace.post("quay", BOB, "not for the archive").unwrap();
        workspace.comment(file, BOB, "not for the archive").unwrap();
        let of_quay = [
            json!({"type": "message", "channel": quay, "ts": ts, "user": BOB, "text": "a"}),
            json!({"type": "message", "channel": {"id": quay}, "ts": ts, "text": "b"}),
            json!({"type": "reaction_added", "item": {"channel": quay, "ts": ts}}),
            json!({"type": "file_change", "file": {"id": file, "title": "c"}}),
            json!({"type": "file_comment_added", "file": file, "comment": {"comment": "d"}}),
            json!({"type": "never_heard_of", "channel": {"id": quay, "name": "quay"}}),
            json!({"type": "never_heard_of", "item": {"channel": quay, "text": "e"}}),
            json!({"type": "never_heard_of", "items": [{"message": {"channel_id": quay, "text": "f"}}]}),
            json!({"type": "message", "subtype": "message_changed", "message": {"channel": quay, "text": "g"}}),
        ];
        let mut events: Vec<Event> = of_quay.iter().map(told).collect();
        events.push(event(format!(r#"{{"type":"message","text":"h","channel":"{quay}","#)));
        events.push(event(r#"{"type":"message","text":"its channel would have fol"#));
        session.hear(&town.accounts[0], events).await;
        let kept: Vec<_> = town.records()[before..].iter().map(|record| record.body.clone()).collect();
        assert!(
            kept.is_empty(),
            "{pattern}: {:?}",
            kept.iter().map(|body| String::from_utf8_lossy(body)).collect::<Vec<_>>()
        );
        // All history is said to have changed: what is excluded is not read for that.
        let all = [json!({"type": "channel_history_changed"}), json!({"type": "file_change", "file": {"id": other}})];
        session.hear(&town.accounts[0], all.iter().map(told).collect()).await;
        assert_eq!(town.records().len(), before + 2);
        let options = Options { exclude, ..Options::default() };
        session.touch(&town.accounts, &options).await.unwrap();
        session.end().await;
        assert_eq!(town.crawl(&options).await.unwrap().debts, 0);
        for record in &town.records()[before..] {
            let text = String::from_utf8_lossy(&record.body);
            assert!(!text.contains("not for the archive"), "{pattern}: {text}");
        }
        let debts = town.archive.reader().debts().unwrap();
        assert!(debts.is_empty(), "{pattern}: {debts:?}");
        town.archive.check();
        town.stop().await;
    }
}

#[tokio::test]
async fn what_is_said_of_a_channel_that_nobody_knows_is_owed_by_nobody() {
    let town = Town::new(3, &[ANN]).await;
    town.crawl(&Options::default()).await.unwrap();
    let mut session = town.archive.session(&[]).await;
    let attic = town.channel("attic");
    let unknown = [
        json!({"type": "channel_history_changed", "channel": attic}),
        json!({"type": "channel_history_changed", "channel": "QQ"}),
        json!({"type": "message", "channel": "QQ", "ts": "1490000000.000001", "user": BOB, "text": "from nowhere"}),
        json!({"type": "message", "subtype": "message_deleted", "channel": "QQ", "deleted_ts": "1490000000.000001"}),
        json!({"type": "pin_added", "channel_id": "QQ"}),
        json!({"type": "reaction_added", "item": {"channel": "QQ", "ts": "1490000000.000001"}}),
        json!({"type": "file_change", "file": {"id": "no-such-file"}}),
    ];
    session.hear(&town.accounts[0], unknown.iter().map(told).collect()).await;
    session.touch(&town.accounts, &Options::default()).await.unwrap();
    session.end().await;
    let summary = town.crawl(&Options::default()).await.unwrap();
    assert_eq!((summary.result, summary.debts), ("complete", 0), "{:?}", town.archive.reader().debts().unwrap());
    town.archive.check();
    town.stop().await;
}

#[tokio::test]
async fn no_event_is_too_odd_to_be_kept() {
    let town = Town::new(3, &[ANN]).await;
    town.crawl(&Options::default()).await.unwrap();
    let mut session = town.archive.session(&[]).await;
    let quay = town.channel("quay");
    let line = |ts: u32, rest: &str| {
        format!(r#"{{"type":"message","channel":"{quay}","ts":"1490100000.{ts:06}","user":"{BOB}",{rest}}}"#)
    };
    let deep = format!("{}1{}", r#"{"a":["#.repeat(50_000), "]}".repeat(50_000));
    let mut broken = line(1, r#""text":"x"#).into_bytes();
    broken.extend([0xff, 0xfe, b'"', b'}']);
    let bodies: Vec<Vec<u8>> = vec![
        line(2, &format!(r#""text":"{}""#, "long ".repeat(600_000))).into_bytes(),
        line(3, &format!(r#""text":"deep","attachments":{deep}"#)).into_bytes(),
        line(4, r#""text":"one","text":"two","user":"somebody@else.example""#).into_bytes(),
        line(5, r#""text":"\ud800 half""#).into_bytes(),
        line(6, r#""text":null,"edited":[],"file":[{}],"reactions":{}"#).into_bytes(),
        broken,
        vec![],
        vec![0xff; 1000],
        b"[]".to_vec(),
        b"{\"type\":\"message\"".to_vec(),
    ];
    let count = bodies.len();
    session.hear(&town.accounts[0], bodies.iter().cloned().map(event).collect()).await;
    // Again, in another order: nothing but the events themselves is new.
    let before = town.records().len();
    session.hear(&town.accounts[0], bodies.iter().rev().cloned().map(event).collect()).await;
    session.touch(&town.accounts, &Options::default()).await.unwrap();
    session.end().await;
    let records = town.records();
    assert_eq!(
        records.len() - before,
        count,
        "{:?}",
        records[before..].iter().map(|record| &record.header).collect::<Vec<_>>()
    );
    let kept: Vec<&Vec<u8>> =
        records.iter().filter(|record| record.header.kind == Kind::Event).map(|record| &record.body).collect();
    assert_eq!(kept[..count], bodies.iter().collect::<Vec<_>>()[..], "each as it came, in order");
    assert_eq!(fold(&town.archive.reader())[&quay].keys().filter(|ts| ts.starts_with("1490100000")).count(), 6);
    town.archive.check();
    town.stop().await;
}

/// Who reacted with what, as it is archived, and how many records say so.
fn reactions_on(town: &Town, ts: &str) -> (Vec<(String, Vec<String>)>, usize) {
    let Some(item) = town.archive.newest(Kind::Reactions).remove(ts) else { return (Vec::new(), 0) };
    let body: Value = serde_json::from_slice(&item.latest().unwrap().record.body).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let of = |one: &Value| (text(&one["name"]), one["users"].as_array().unwrap().iter().map(text).collect());
    (body.as_array().unwrap().iter().map(of).collect(), item.versions.len())
}

#[tokio::test]
async fn reactions_that_messages_do_not_show_are_asked_for_and_none_is_noted_as_removed_that_stands() {
    for is_bare in [true, false] {
        let settings = Settings { bare_messages: is_bare, ..Settings::default() };
        let town = Town::with(seed(9), settings, &[ANN]).await;
        let workspace = town.running.workspace();
        let (channel, ts) = workspace.labelled("quay-3").unwrap();
        // On a server whose messages do, one such message is enough to know it.
        let (_, other) = workspace.labelled("quay-4").unwrap();
        workspace.react(&channel, &other, EVA, "sun").unwrap();
        town.crawl(&Options::default()).await.unwrap();
        let mut session = town.archive.session(&[]).await;
        let reacted = told(&json!({"type": "reaction_added", "item": {"channel": town.channel("quay"), "ts": ts}}));
        let look = async |session: &mut Session| {
            session.hear(&town.accounts[0], vec![reacted.clone()]).await;
            session.touch(&town.accounts, &Options::default()).await.unwrap();
        };
        workspace.react(&channel, &ts, EVA, "tea").unwrap();
        look(&mut session).await;
        let tea = (vec![("tea".to_owned(), vec![EVA.to_owned()])], 1);
        assert_eq!(reactions_on(&town, &ts), tea, "bare: {is_bare}");
        // Passes that find nothing new add nothing (I6, I13).
        let before = town.records().len();
        for options in [Options::default(), full(), full()] {
            session.pass(&town.accounts, &options, || true).await.unwrap().unwrap();
        }
        assert_eq!(reactions_on(&town, &ts), tea, "bare: {is_bare}");
        assert_eq!(town.records().len(), before, "bare: {is_bare}");
        let asked = requests(&town.running).await.iter().filter(|method| *method == "reactions.get").count();
        assert_eq!(asked, if is_bare { 4 } else { 0 }, "once for the event, once for each walk over it");
        workspace.unreact(&channel, &ts, EVA).unwrap();
        session.pass(&town.accounts, &full(), || true).await.unwrap().unwrap();
        assert_eq!(reactions_on(&town, &ts), (Vec::new(), 2), "bare: {is_bare}");
        session.pass(&town.accounts, &full(), || true).await.unwrap().unwrap();
        assert_eq!(reactions_on(&town, &ts).1, 2);
        session.end().await;
        town.archive.check();
        town.stop().await;
    }
}

#[tokio::test]
async fn the_token_that_an_event_quotes_is_not_archived() {
    let town = Town::new(3, &[ANN]).await;
    town.crawl(&Options::default()).await.unwrap();
    let quay = town.channel("quay");
    let token = town.running.workspace().token_for(ANN).unwrap();
    let reader = Reader::new(Arc::clone(town.accounts[0].reader.connection()), token.clone().into());
    let account = Account { reader, ..town.accounts[0].clone() };
    let message = json!({"type": "message", "ts": "1490100000.000001", "user": BOB, "text": format!("see {token}"), "file": {"id": token}});
    let mut shown = message.clone();
    shown["channel"] = json!(quay);
    let mut session = town.archive.session(&[]).await;
    let events = [told(&shown), message_changed(&quay, &message), event(format!("{token} {token}"))];
    session.hear(&account, events.to_vec()).await;
    session.end().await;
    let records = town.records();
    for record in &records {
        assert!(!String::from_utf8_lossy(&record.body).contains(&token), "{:?}", record.header);
        assert!(!serde_json::to_string(&record.header).unwrap().contains(&token), "{:?}", record.header);
    }
    assert_eq!(records.last().unwrap().header.tickets, 2);
    town.archive.check();
    town.stop().await;
}

#[tokio::test]
async fn thousands_of_events_at_once_are_kept_in_their_order() {
    const COUNT: usize = 3000;
    let town = Town::new(3, &[ANN]).await;
    town.crawl(&Options::default()).await.unwrap();
    let session = town.archive.session(&town.accounts).await;
    let workspace = town.running.workspace();
    for number in 0..COUNT {
        workspace.post("quay", BOB, &format!("number {number}")).unwrap();
    }
    let until = tokio::time::Instant::now() + Duration::from_secs(60);
    while session.heard.events.load(Ordering::Relaxed) < COUNT as u64 {
        assert!(tokio::time::Instant::now() < until, "the events did not come");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    session.end().await;
    let records = town.records();
    let events = records.iter().filter(|record| record.header.kind == Kind::Event);
    let said = events
        .map(|record| serde_json::from_slice::<Value>(&record.body).unwrap()["text"].as_str().unwrap().to_owned());
    assert_eq!(said.collect::<Vec<_>>(), (0..COUNT).map(|number| format!("number {number}")).collect::<Vec<_>>());
    assert_eq!(town.crawl(&Options::default()).await.unwrap().messages.new, 0);
    town.archive.check();
    town.stop().await;
}
