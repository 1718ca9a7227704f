//! Two people's views in one archive: what one sees and the other does not is archived, and is no
//! deletion; what went is found by either; and the two views do not overwrite each other for ever.

use std::collections::BTreeSet;
use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::task::Poll;

use teamchat_archive::crawl::{self, Options};
use teamchat_archive::record::{Kind, Record, State};
use teamchat_archive::sandbox::Fault;
use teamchat_archive::store::Appender;

use crate::schedules::town::{ANN, BOB, EVA, Town, full};
use crate::support::{Fold, fold};

const BOTH: [&str; 2] = [ANN, EVA];

fn names(people: &[&str]) -> Vec<String> {
    people.iter().map(|&user| user.to_owned()).collect()
}

/// Whether a message is archived and stands.
fn stands(fold: &Fold, channel: &str, ts: &str) -> bool {
    fold.get(channel).and_then(|messages| messages.get(ts)).is_some_and(|message| !message.is_gone)
}

/// Every record that says a message, a file or a comment is gone.
fn deletions(town: &Town) -> Vec<String> {
    let records = town.records().into_iter();
    records
        .filter(|record| record.header.state == State::Gone && record.header.kind != Kind::Visibility)
        .map(|record| format!("{:?}", record.header))
        .collect()
}

async fn assert_is_truth(town: &mut Town, people: &[&str], context: &str) {
    let removed = town.removed.clone();
    let mut problems = town.audit(&removed);
    problems.extend(town.differences(&names(people)).await);
    assert!(problems.is_empty(), "{context}:\n{}", problems.join("\n"));
    town.archive.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whisper_and_a_private_channel_are_archived_by_whoever_sees_them() {
    for people in [[ANN, EVA], [EVA, ANN]] {
        let mut town = Town::new(9, &people).await;
        let workspace = town.running.workspace();
        let to_ann = workspace.whisper("quay", BOB, ANN, "for Ann").unwrap();
        let to_eva = workspace.whisper("quay", BOB, EVA, "for Eva").unwrap();
        let from_eva = workspace.whisper("quay", EVA, BOB, "by Eva").unwrap();
        let (quay, attic, cellar) = (town.channel("quay"), town.channel("attic"), town.channel("cellar"));
        town.crawl(&full()).await.unwrap();
        for _ in 0..2 {
            for user in people {
                town.crawl_as(user, &full()).await.unwrap();
            }
        }
        let archived = fold(&town.archive.reader());
        for ts in [&to_ann, &to_eva, &from_eva] {
            assert!(stands(&archived, &quay, ts), "a whisper at {ts}, crawled as {people:?}");
        }
        assert_eq!((archived[&attic].len(), archived[&cellar].len()), (4, 4));
        assert_eq!(deletions(&town), Vec::<String>::new(), "nothing was deleted");
        assert_is_truth(&mut town, &BOTH, "whispers and private channels").await;
        town.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn five_rounds_of_two_accounts_without_a_change_add_nothing() {
    for options in [full(), Options::default()] {
        for people in [[ANN, EVA], [EVA, ANN]] {
            let town = Town::new(9, &people).await;
            let workspace = town.running.workspace();
            workspace.whisper("quay", BOB, ANN, "for Ann").unwrap();
            workspace.whisper("quay", BOB, EVA, "for Eva").unwrap();
            let (quay, ts) = workspace.labelled("quay-3").unwrap();
            workspace.pin(&quay, &ts, ANN, false).unwrap();
            workspace.pin(&quay, &ts, BOB, true).unwrap();
            workspace.react(&quay, &ts, EVA, "tea").unwrap();
            workspace.comment("plan", BOB, "more").unwrap();
            for user in people {
                town.crawl_as(user, &options).await.unwrap();
            }
            let before = town.records().len();
            for _ in 0..5 {
                for user in people {
                    town.crawl_as(user, &options).await.unwrap();
                }
                town.crawl(&options).await.unwrap();
            }
            let records = town.records();
            let new: BTreeSet<String> = records[before..]
                .iter()
                .map(|record| format!("{:?} {} by {}", record.header.kind, record.header.key, record.header.account))
                .collect();
            assert!(
                new.is_empty(),
                "full={}, {people:?}: {} records, of {new:#?}",
                options.full,
                records.len() - before
            );
            town.archive.check();
            town.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_of_what_both_saw_is_found_by_either() {
    for finder in BOTH {
        for recorder in [ANN, EVA] {
            let mut town = Town::new(9, &BOTH).await;
            let workspace = town.running.workspace();
            town.crawl(&full()).await.unwrap();
            town.note_shown(&names(&BOTH)).await;
            // Who recorded its newest version must not matter for who finds it gone.
            let (quay, ts) = workspace.labelled("quay-4").unwrap();
            workspace.edit(&quay, &ts, None, "edited").unwrap();
            town.crawl_as(recorder, &full()).await.unwrap();
            workspace.delete(&quay, &ts, None).unwrap();
            let (dock, dock_ts) = workspace.labelled("dock-1").unwrap();
            workspace.delete(&dock, &dock_ts, None).unwrap();
            workspace.delete_file("list").unwrap();
            town.crawl_as(finder, &full()).await.unwrap();
            let context = format!("deleted, found by {finder}, the newest version recorded by {recorder}");
            assert_is_truth(&mut town, &[finder], &context).await;
            let files = town.archive.newest(Kind::File).into_values();
            let gone = files.filter(|item| item.is_gone()).count();
            assert_eq!(gone, 1, "{context}: the file that both saw");
            town.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_is_found_although_one_account_rests() {
    let mut town = Town::new(9, &BOTH).await;
    let workspace = town.running.workspace();
    let whisper = workspace.whisper("quay", BOB, ANN, "for Ann").unwrap();
    town.crawl(&full()).await.unwrap();
    town.note_shown(&names(&BOTH)).await;
    let (quay, ts) = workspace.labelled("quay-5").unwrap();
    workspace.delete(&quay, &ts, None).unwrap();
    workspace.delete(&quay, &whisper, None).unwrap();
    // Ann rests. Eva knows of the message and not of the whisper.
    town.crawl_as(EVA, &full()).await.unwrap();
    let archived = fold(&town.archive.reader());
    let channel = town.channel("quay");
    assert!(!stands(&archived, &channel, &ts), "Eva was shown it and is not any more");
    assert!(stands(&archived, &channel, &whisper), "Eva was never shown it, and can't say that it is gone");
    town.crawl_as(ANN, &full()).await.unwrap();
    assert!(!stands(&fold(&town.archive.reader()), &channel, &whisper), "Ann was shown it and is not any more");
    assert_is_truth(&mut town, &BOTH, "after both").await;
    town.stop().await;
}

/// From one moment on the messages of the others are shown to nobody but their authors: Eva still
/// sees her own, Ann does not.
#[tokio::test(flavor = "multi_thread")]
async fn what_one_still_sees_is_not_deleted_because_the_other_does_not() {
    for people in [[ANN, EVA], [EVA, ANN]] {
        let town = Town::new(9, &people).await;
        town.crawl(&full()).await.unwrap();
        let workspace = town.running.workspace();
        let (_, ts) = workspace.labelled("quay-2").unwrap();
        let channel = town.channel("quay");
        assert!(stands(&fold(&town.archive.reader()), &channel, &ts), "Eva's message is archived");
        town.running.set_fault(Fault::Whisper, 1.0);
        town.crawl(&full()).await.unwrap();
        let archived = fold(&town.archive.reader());
        assert!(stands(&archived, &channel, &ts), "one pass of {people:?}: Eva sees her message");
        let of_eva = |line: &String| line.contains(&ts) && line.contains(&channel);
        let claimed: Vec<String> = deletions(&town).into_iter().filter(of_eva).collect();
        assert_eq!(claimed, Vec::<String>::new(), "{people:?}: it never was deleted, not for a moment");
        town.running.set_fault(Fault::Whisper, 0.0);
        town.crawl(&full()).await.unwrap();
        town.archive.check();
        town.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_one_lost_and_the_other_sees_is_not_lost() {
    for people in [[ANN, EVA], [EVA, ANN]] {
        let mut town = Town::new(9, &people).await;
        let workspace = town.running.workspace();
        town.crawl(&full()).await.unwrap();
        workspace.leave("dock", ANN).unwrap();
        workspace.post("dock", EVA, "after Ann left").unwrap();
        for _ in 0..2 {
            town.crawl(&full()).await.unwrap();
        }
        assert_is_truth(&mut town, &BOTH, "Ann left the dock").await;
        assert_eq!(deletions(&town), Vec::<String>::new());
        // Who lost what is on record, once; it does not come and go with each pass.
        let before = town.records().len();
        for user in people.repeat(3) {
            town.crawl_as(user, &full()).await.unwrap();
        }
        let new: Vec<String> = town.records()[before..].iter().map(|record| format!("{:?}", record.header)).collect();
        assert!(new.is_empty(), "{people:?}:\n{}", new.join("\n"));
        workspace.join("dock", ANN).unwrap();
        town.crawl(&full()).await.unwrap();
        assert_is_truth(&mut town, &BOTH, "Ann is back").await;
        town.stop().await;
    }
}

/// Whoever comes second to what the first archived is shown it too, and its deletion is theirs to
/// find; what they were never shown is not.
#[tokio::test(flavor = "multi_thread")]
async fn an_account_enrolled_later_finds_deletions_of_what_it_was_shown() {
    let mut town = Town::new(9, &BOTH).await;
    let workspace = town.running.workspace();
    let (quay, early) = workspace.labelled("quay-1").unwrap();
    let (_, late) = workspace.labelled("quay-7").unwrap();
    town.crawl_as(ANN, &full()).await.unwrap();
    workspace.delete(&quay, &early, None).unwrap();
    town.crawl_as(EVA, &full()).await.unwrap();
    let channel = town.channel("quay");
    let archived = fold(&town.archive.reader());
    assert!(stands(&archived, &channel, &early), "Eva was never shown it, and can't say that it is gone");
    workspace.delete(&quay, &late, None).unwrap();
    town.crawl_as(EVA, &full()).await.unwrap();
    let archived = fold(&town.archive.reader());
    assert!(!stands(&archived, &channel, &late), "Eva was shown it in her first pass");
    town.crawl_as(ANN, &full()).await.unwrap();
    assert_is_truth(&mut town, &BOTH, "after both").await;
    town.stop().await;
}

#[tokio::test]
async fn what_a_walk_out_of_order_never_showed_does_not_pass_for_shown() {
    let mut town = Town::new(9, &[ANN, EVA]).await;
    let workspace = town.running.workspace();
    let ts = workspace.whisper("dock", BOB, ANN, "for your eyes").unwrap();
    workspace.post("dock", BOB, "for all").unwrap();
    town.crawl_as(ANN, &full()).await.unwrap();
    town.running.set_fault(Fault::Unordered, 1.0);
    town.crawl_as(EVA, &Options::default()).await.unwrap();
    town.running.set_fault(Fault::Unordered, 0.0);
    // Alone, so that nobody else vouches for the whisper.
    for _ in 0..3 {
        town.crawl_as(EVA, &full()).await.unwrap();
    }
    let dock = town.channel("dock");
    assert!(stands(&fold(&town.archive.reader()), &dock, &ts), "it was never shown to her");
    assert_eq!(town.audit(&BTreeSet::new()), Vec::<String>::new());
    town.archive.check();
    town.stop().await;
}

#[tokio::test]
async fn what_changed_back_is_recorded_once_the_account_that_saw_the_change_looks_no_more() {
    let mut town = Town::new(9, &[ANN, EVA]).await;
    town.crawl(&full()).await.unwrap();
    let workspace = town.running.workspace();
    workspace.join("cellar", EVA).unwrap();
    town.crawl_as(EVA, &full()).await.unwrap();
    workspace.leave("cellar", EVA).unwrap();
    town.crawl_as(EVA, &full()).await.unwrap();
    town.crawl_as(ANN, &full()).await.unwrap();
    let names = names(&[ANN]);
    town.note_shown(&names).await;
    assert_eq!(town.differences(&names).await, Vec::<String>::new());
    let before = town.records().len();
    town.crawl_as(ANN, &full()).await.unwrap();
    assert_eq!(town.records().len(), before, "and once only");
    town.archive.check();
    town.stop().await;
}

/// A pass may end between the list that shows a channel and its walk, at whichever request.
#[tokio::test]
async fn what_changed_back_is_recorded_wherever_the_pass_that_saw_the_change_broke_off() {
    let mut seen = 0;
    for last in 1..=8 {
        let mut town = Town::new(9, &BOTH).await;
        town.crawl_as(ANN, &full()).await.unwrap();
        let workspace = town.running.workspace();
        workspace.join("cellar", EVA).unwrap();
        let before = town.records().len();
        let eva: Vec<_> = town.accounts.iter().filter(|account| account.name == EVA).cloned().collect();
        let meter = &eva[0].reader.connection().meter().requests;
        let begun = meter.load(Ordering::Relaxed);
        let running = &town.running;
        let watch = || {
            if meter.load(Ordering::Relaxed) > begun + last {
                running.set_fault(Fault::TruncatedJson, 1.0);
            }
            true
        };
        let broke_off = town.archive.crawl_watched(&eva, &full(), watch).await;
        assert!(broke_off.is_some_and(|outcome| outcome.is_err() || last > 3), "{last}");
        town.running.set_fault(Fault::TruncatedJson, 0.0);
        let is_roster = |record: &Record| record.header.kind == Kind::Channel && record.header.account == EVA;
        seen += usize::from(town.records()[before..].iter().any(is_roster));
        workspace.leave("cellar", EVA).unwrap();
        for user in [EVA, ANN] {
            town.crawl_as(user, &full()).await.unwrap();
        }
        let names = names(&BOTH);
        town.note_shown(&names).await;
        assert_eq!(town.differences(&names).await, Vec::<String>::new(), "broken off after {last} requests");
        town.archive.check_records();
        town.stop().await;
    }
    assert!(seen >= 4, "Eva was shown that she is in the cellar {seen} times");
}

#[tokio::test]
async fn what_one_account_saw_change_and_nobody_saw_change_back_is_told_by_the_other() {
    for people in [[ANN, EVA], [EVA, ANN]] {
        let mut town = Town::new(9, &people).await;
        let workspace = town.running.workspace();
        workspace.join("attic", ANN).unwrap();
        town.crawl(&full()).await.unwrap();
        workspace.leave("attic", ANN).unwrap();
        town.crawl_as(EVA, &full()).await.unwrap();
        workspace.join("attic", ANN).unwrap();
        town.crawl_as(ANN, &full()).await.unwrap();
        let names = names(&[ANN]);
        town.note_shown(&names).await;
        assert_eq!(town.differences(&names).await, Vec::<String>::new(), "{people:?}");
        let before = town.records().len();
        for user in people {
            town.crawl_as(user, &full()).await.unwrap();
        }
        assert_eq!(town.records().len(), before, "both are shown the same");
        town.archive.check();
        town.stop().await;
    }
}

/// A message for one of two is archived from her view at each point of the other's walk, which began
/// after it was written and moves its pin past it.
#[tokio::test]
async fn what_is_added_while_a_pin_moves_past_it_was_not_shown_to_the_one_who_walks() {
    let mut held = 0;
    for asked in 1.. {
        let town = Town::new(9, &BOTH).await;
        town.crawl(&full()).await.unwrap();
        let workspace = town.running.workspace();
        let ts = workspace.whisper("quay", ANN, ANN, "for herself").unwrap();
        workspace.post("quay", BOB, "later").unwrap();
        // Something is missing, so that the walk asks for it between comparing and moving its pin.
        let (quay, gone) = workspace.labelled("quay-3").unwrap();
        workspace.delete(&quay, &gone, None).unwrap();

        let options = Options { connections: 1, ..full() };
        let (appender, thread) = Appender::start(town.archive.writer());
        let reader = town.archive.reader();
        let [ann, eva] = [ANN, EVA].map(|name| town.accounts.iter().find(|account| account.name == name).unwrap());
        let requests = &eva.reader.connection().meter().requests;
        let before = requests.load(Ordering::Relaxed);
        let is_over = {
            let mut pass = pin!(crawl::run(std::slice::from_ref(eva), &reader, &appender, &options, &()));
            let is_over = poll_fn(|context| match pass.as_mut().poll(context) {
                Poll::Ready(_) => Poll::Ready(true),
                Poll::Pending if requests.load(Ordering::Relaxed) - before >= asked => Poll::Ready(false),
                Poll::Pending => Poll::Pending,
            })
            .await;
            if !is_over {
                crawl::run(std::slice::from_ref(ann), &reader, &appender, &options, &()).await.unwrap();
                pass.await.unwrap();
            }
            is_over
        };
        drop(appender);
        drop(thread.join().unwrap());
        if is_over {
            town.stop().await;
            break;
        }
        held += 1;
        // From now on Eva looks alone, and nobody else holds the message as shown.
        for _ in 0..2 {
            town.crawl_as(EVA, &full()).await.unwrap();
        }
        let wrong: Vec<String> = deletions(&town).into_iter().filter(|header| header.contains(&ts)).collect();
        assert_eq!(wrong, Vec::<String>::new(), "held at request {asked}");
        assert!(stands(&fold(&town.archive.reader()), &town.channel("quay"), &ts), "held at request {asked}");
        town.archive.check_records();
        town.stop().await;
    }
    assert!(held > 10, "a pass of {held} requests");
}
