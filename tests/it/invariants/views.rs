//! I10: whatever was not had is named. Here by the facts that every report is made of: how far each
//! account walked each channel, what is owed, how the accounts fare, what can no longer be seen.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use teamchat_archive::crawl::Options;
use teamchat_archive::model::ChannelId;
use teamchat_archive::record::{Kind, State};
use teamchat_archive::sandbox::Fault;

use crate::schedules::town::{ANN, EVA, Town, full};

/// Everything an archive admits not to have, by the word for it.
fn admitted(town: &Town) -> BTreeSet<String> {
    let reader = town.archive.reader();
    let mut out: BTreeSet<String> = BTreeSet::new();
    for walk in reader.walks().unwrap() {
        if walk.walked_until.is_none() {
            out.insert(format!("not walked: {} by {}", walk.channel, walk.account));
        } else if walk.result.as_str() != "complete" {
            out.insert(format!("{}: {} by {}", walk.result.as_str(), walk.channel, walk.account));
        }
    }
    out.extend(reader.debts().unwrap().into_iter().map(|debt| format!("owed: {} {}", debt.kind, debt.key)));
    let troubled = reader.accounts().unwrap().into_iter().filter(|account| account.state != "ok");
    out.extend(troubled.map(|account| format!("account: {} {}", account.name, account.state)));
    for record in town.records() {
        if record.header.kind == Kind::Visibility && record.header.state == State::Gone {
            let channel = record.header.channel.unwrap_or_default();
            out.insert(format!("lost: {channel} by {}", record.header.account));
        }
    }
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn i10_every_gap_is_named() {
    // A budget that did not reach all channels.
    let town = Town::new(20, &[ANN]).await;
    let none = Options { budget: Some(Duration::ZERO), ..Options::default() };
    let cut = town.crawl(&none).await.unwrap();
    assert_eq!(cut.result, "partial", "{cut:?}");
    let unwalked = admitted(&town).into_iter().filter(|gap| gap.starts_with("not walked: ")).count();
    assert_eq!(unwalked as u64, cut.channels.seen - cut.channels.walked, "each channel that was not reached is a gap");

    // One channel excluded from the walk by choice is still a gap of the archive, not of the pass.
    let only = Options { only: Some([ChannelId::parse(&town.channel("dock")).unwrap()].into()), ..full() };
    town.crawl(&only).await.unwrap();
    assert!(admitted(&town).iter().any(|gap| gap.starts_with("not walked: ")), "{:?}", admitted(&town));
    town.crawl(&full()).await.unwrap();
    assert_eq!(admitted(&town), BTreeSet::new(), "all was walked");

    // Files that could not be had.
    let workspace = town.running.workspace();
    let (file, _) = workspace.upload("quay", EVA, "new.txt", b"new".to_vec()).unwrap();
    town.running.set_fault(Fault::TicketExpiry, 1.0);
    assert_eq!(town.crawl(&full()).await.unwrap().result, "partial");
    assert_eq!(admitted(&town), [format!("owed: file {file}")].into());
    town.running.set_fault(Fault::TicketExpiry, 0.0);
    town.crawl(&full()).await.unwrap();
    assert_eq!(admitted(&town), BTreeSet::new(), "the file was fetched");

    // File contents left out by choice are owed all the same.
    workspace.replace_file("list", b"another version".to_vec()).unwrap();
    let summary = town.crawl(&Options { files: false, ..full() }).await.unwrap();
    assert_eq!(summary.result, "partial", "{summary:?}");
    assert_eq!(admitted(&town).len(), 1, "{:?}", admitted(&town));
    town.crawl(&full()).await.unwrap();

    // Messages out of order.
    town.running.set_fault(Fault::Unordered, 1.0);
    assert_eq!(town.crawl(&full()).await.unwrap().result, "partial");
    let quay = town.channel("quay");
    assert!(admitted(&town).iter().any(|gap| gap.contains(&quay)), "{:?}", admitted(&town));
    town.running.set_fault(Fault::Unordered, 0.0);
    town.crawl(&full()).await.unwrap();
    assert_eq!(admitted(&town), BTreeSet::new(), "the order is proved");

    // A membership lost; the gap stays named, whatever happens in the channel.
    workspace.leave("cellar", ANN).unwrap();
    town.crawl(&full()).await.unwrap();
    let lost = format!("lost: {} by {ANN}", town.channel("cellar"));
    assert_eq!(admitted(&town), [lost.clone()].into());
    town.crawl(&full()).await.unwrap();
    assert_eq!(admitted(&town), [lost].into());

    // The account itself.
    town.running.set_fault(Fault::TokenRevoked, 1.0);
    assert!(town.crawl(&full()).await.is_err());
    assert!(admitted(&town).contains(&format!("account: {ANN} needs_login")), "{:?}", admitted(&town));
    town.archive.check();
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn i10_much_that_vanished_at_once_is_owed_until_it_is_confirmed() {
    let mut town = Town::new(300, &[ANN]).await;
    town.crawl(&full()).await.unwrap();
    let removed = BTreeSet::new();
    assert_eq!(town.audit(&removed), Vec::<String>::new());
    town.note_shown(&[ANN.to_owned()]).await;
    town.running.set_fault(Fault::RetentionSweep, 0.5);
    let second = town.crawl(&full()).await.unwrap();
    assert_eq!((second.result, second.messages.deleted < 51), ("partial", true), "{second:?}");
    let quay = town.channel("quay");
    assert!(
        admitted(&town).iter().any(|gap| gap.starts_with("owed: ") && gap.contains(&quay)),
        "{:?}",
        admitted(&town)
    );
    let has_record = town.records().iter().any(|record| {
        record.header.kind == Kind::Visibility && record.header.channel.as_deref() == Some(quay.as_str())
    });
    assert!(has_record, "one change of what can be seen is on record");
    let third = town.crawl(&full()).await.unwrap();
    assert_eq!(third.result, "complete", "{third:?}");
    let mut problems = town.audit(&removed);
    problems.extend(town.differences(&[ANN.to_owned()]).await);
    assert_eq!(problems, Vec::<String>::new());
    let causes: BTreeSet<String> = town
        .records()
        .into_iter()
        .filter(|record| record.header.state == State::Gone && record.header.kind == Kind::Message)
        .filter(|record| record.header.channel.as_deref() == Some(quay.as_str()))
        .map(|record| serde_json::from_slice::<serde_json::Value>(&record.body).unwrap()["gone"]["cause"].to_string())
        .collect();
    assert_eq!(causes, ["\"swept\"".to_owned()].into(), "all that is older than an edge went together");
    town.archive.check();
    town.stop().await;
}

/// The same number, here and there: no moving edge, so nobody can say why.
#[tokio::test(flavor = "multi_thread")]
async fn what_went_here_and_there_was_not_swept() {
    let town = Town::new(300, &[ANN]).await;
    town.crawl(&full()).await.unwrap();
    let workspace = town.running.workspace();
    for number in (1..300).step_by(3) {
        let (channel, ts) = workspace.labelled(&format!("quay-{number}")).unwrap();
        workspace.delete(&channel, &ts, None).unwrap();
    }
    town.crawl(&full()).await.unwrap();
    let last = town.crawl(&full()).await.unwrap();
    assert_eq!((last.result, last.messages.deleted), ("complete", 100), "{last:?}");
    let causes: BTreeSet<String> = town
        .records()
        .into_iter()
        .filter(|record| record.header.state == State::Gone && record.header.kind == Kind::Message)
        .map(|record| serde_json::from_slice::<serde_json::Value>(&record.body).unwrap()["gone"]["cause"].to_string())
        .collect();
    assert_eq!(causes, ["\"unknown\"".to_owned()].into());
    town.archive.check();
    town.stop().await;
}

/// A channel that is gone with all in it, or that was left: a change of what can be seen, and no
/// deletion of what was in it.
#[tokio::test(flavor = "multi_thread")]
async fn a_channel_removed_left_archived_or_renamed_deletes_nothing() {
    let mut town = Town::new(20, &[ANN, EVA]).await;
    town.crawl(&full()).await.unwrap();
    let workspace = town.running.workspace();
    town.removed.insert(town.channel("dock"));
    let removed = town.removed.clone();
    workspace.remove_channel("dock").unwrap();
    workspace.leave("cellar", ANN).unwrap();
    workspace.archive_channel("attic").unwrap();
    workspace.rename_channel("quay", "wharf").unwrap();
    for _ in 0..3 {
        town.crawl(&full()).await.unwrap();
        assert_eq!(town.audit(&removed), Vec::<String>::new());
    }
    let gone = town
        .records()
        .into_iter()
        .filter(|record| record.header.state == State::Gone && record.header.kind != Kind::Visibility);
    let gone: Vec<String> = gone.map(|record| format!("{:?}", record.header)).collect();
    assert_eq!(gone, Vec::<String>::new());
    town.archive.check();
    town.stop().await;
}

/// Whether a membership goes between two passes or in the middle of one, in the end the archive says
/// the same of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_channel_lost_during_a_pass_is_as_lost_as_one_lost_between_two() {
    let mut said = Vec::new();
    for is_during in [false, true] {
        let town = Town::new(20, &[ANN]).await;
        town.crawl(&full()).await.unwrap();
        let workspace = town.running.workspace();
        let meter = &town.accounts[0].reader.connection().meter().requests;
        // Who it is, who there is, channels and conversations: the next request is the first of a walk.
        let walks = meter.load(Ordering::Relaxed) + 5;
        let watch = || {
            if is_during && meter.load(Ordering::Relaxed) >= walks {
                // Refused the second time.
                let _left = workspace.leave("cellar", ANN);
            }
            true
        };
        if !is_during {
            workspace.leave("cellar", ANN).unwrap();
        }
        let options = Options { connections: 1, ..full() };
        town.archive.crawl_watched(&town.accounts, &options, watch).await.unwrap().unwrap();
        assert!(workspace.leave("cellar", ANN).is_err(), "Ann left");
        town.crawl(&full()).await.unwrap();
        let last = town.crawl(&full()).await.unwrap();
        said.push((last.result, last.debts, admitted(&town)));
        town.archive.check();
        town.stop().await;
    }
    assert_eq!(said[0], said[1], "left between two passes, and in the middle of one");
}
