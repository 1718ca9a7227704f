//! I2, I3, I4, I6, I12, I13: how far a walk has come, what a death costs, what a repetition adds.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use teamchat_archive::crawl::Options;
use teamchat_archive::model::Clock;
use teamchat_archive::record::Kind;
use teamchat_archive::sandbox::Fault;

use super::stir;
use crate::schedules::play::Dice;
use crate::schedules::town::{ANN, BOB, EVA, Moment, Place, Town, full};
use crate::support::{TestArchive, World, fold};

/// A message's place, header facts that do not name a run or a time, and body.
type Content = BTreeSet<(String, String, u32, Vec<String>, Vec<u8>)>;

/// All that an archive says of what was seen: every version of everything, whenever it was recorded.
fn content(archive: &TestArchive) -> Content {
    let blocks = archive.reader().blocks(0, usize::MAX >> 1).unwrap();
    let records = blocks.into_iter().flat_map(|block| block.records);
    records
        .filter(|record| !matches!(record.header.kind, Kind::Coverage | Kind::Finding))
        .map(|record| {
            let header = record.header;
            let place = format!("{:?} {} {}", header.kind, header.channel.unwrap_or_default(), header.key);
            let mut shared_in = header.shared_in;
            shared_in.sort();
            shared_in.extend(header.attachments);
            (place, format!("{:?}", header.state), header.version, shared_in, record.body)
        })
        .collect()
}

/// What is alive in the channels that Ann sees, for her eyes.
fn alive(moment: &Moment, visible: &BTreeSet<String>) -> BTreeSet<Place> {
    let seen = moment.items.iter().filter(|((channel, _), items)| {
        let for_her = items.iter().any(|item| {
            item.state == "current" && item.whisper_to.as_deref().is_none_or(|to| to == ANN || item.user == ANN)
        });
        for_her && visible.contains(channel)
    });
    seen.map(|(place, _)| place.clone()).collect()
}

/// Looks at all pins that moved: whatever lies at or below one and is alive is archived.
fn above_what_was_walked(town: &Town, visible: &BTreeSet<String>, pins: &mut BTreeMap<String, String>) -> Vec<Place> {
    let walks = town.archive.reader().walks().unwrap();
    let mut moved = BTreeMap::new();
    for walk in walks {
        if let Some(pin) = walk.pin.map(|pin| pin.to_string())
            && pins.get(walk.channel.as_str()) != Some(&pin)
        {
            pins.insert(walk.channel.as_str().to_owned(), pin.clone());
            moved.insert(walk.channel.as_str().to_owned(), pin);
        }
    }
    if moved.is_empty() {
        return Vec::new();
    }
    let archived = fold(&town.archive.reader());
    let places = alive(&Moment::of(&town.running.workspace()), visible).into_iter();
    places
        .filter(|(channel, ts)| {
            moved.get(channel).is_some_and(|pin| ts <= pin)
                && !archived.get(channel).is_some_and(|messages| messages.contains_key(ts))
        })
        .collect()
}

#[tokio::test]
async fn i2_a_pin_is_never_above_a_point_not_fully_walked() {
    let town = Town::new(2300, &[ANN]).await;
    let visible = World::of(&town.running).as_seen_by(&town.running, ANN).visible().await;
    let mut pins = BTreeMap::new();
    let mut deaths = 0;
    let mut walked = 0;
    for life in (3..).step_by(4) {
        let mut polls = 0;
        let mut missing = Vec::new();
        let watch = || {
            polls += 1;
            missing.extend(above_what_was_walked(&town, &visible, &mut pins));
            // While the walk goes down, people go on.
            if polls % 4 == 0 {
                let place = ["quay", "dock", "cellar"][polls / 4 % 3];
                town.running.workspace().post(place, BOB, &format!("life {life}, poll {polls}")).unwrap();
            }
            polls <= life
        };
        let outcome = town.archive.crawl_watched(&town.accounts, &Options::default(), watch).await;
        missing.extend(above_what_was_walked(&town, &visible, &mut pins));
        assert_eq!(missing, Vec::<Place>::new(), "below the pin, alive and not archived, after {polls} polls");
        match outcome {
            None => deaths += 1,
            Some(outcome) => {
                walked += 1;
                outcome.unwrap();
                if walked == 2 {
                    break;
                }
            }
        }
    }
    assert!(deaths > 2 && pins.len() >= 5, "{deaths} deaths, {pins:?}");
    town.archive.check();
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn i3_a_pass_killed_at_any_instant_goes_on_to_the_same_archive() {
    // Ends of pages matter: the quay has more than one.
    let town = Town::new(1030, &[ANN]).await;
    let account = &town.accounts[0];
    let undisturbed = TestArchive::new(&town.running.url);
    undisturbed.crawl(account, &Options::default()).await.unwrap();
    let due = content(&undisturbed);
    let mut deaths = 0;
    for polls in (1..).step_by(5) {
        let archive = TestArchive::new(&town.running.url);
        let outcome = archive.crawl_for(account, &Options::default(), polls).await;
        deaths += usize::from(outcome.is_none());
        let summary = archive.crawl(account, &Options::default()).await.unwrap();
        assert_eq!(summary.result, "complete", "killed after {polls} polls: {summary:?}");
        let found = content(&archive);
        let names = |content: BTreeSet<&(String, String, u32, Vec<String>, Vec<u8>)>| -> Vec<String> {
            content.into_iter().map(|(place, state, version, ..)| format!("{place} {state} {version}")).collect()
        };
        let lost = names(due.difference(&found).collect());
        let invented = names(found.difference(&due).collect());
        assert!(
            lost.is_empty() && invented.is_empty(),
            "killed after {polls} polls: lost {lost:?}, invented {invented:?}"
        );
        archive.check_records();
        if outcome.is_some() {
            break;
        }
    }
    assert!(deaths >= 5, "{deaths} deaths");
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn i4_every_message_alive_during_a_full_walk_is_archived() {
    for (number, drift) in [0.0, 1.0, 0.0, 0.5].into_iter().enumerate() {
        let town = Town::new(2300, &[ANN]).await;
        let visible = World::of(&town.running).as_seen_by(&town.running, ANN).visible().await;
        let workspace = town.running.workspace();
        if number > 1 {
            town.crawl(&Options::default()).await.unwrap();
        }
        town.running.set_fault(Fault::PageDrift, drift);
        let mut dice = Dice::new(number as u64);
        let before = alive(&Moment::of(&workspace), &visible);
        let mut polls = 0;
        let watch = || {
            polls += 1;
            if dice.below(3) == 0 {
                let place = ["quay", "dock", "cellar", "ann-bob"][dice.below(4)];
                workspace.post(place, ANN, &format!("posted at poll {polls}")).unwrap();
                let label = format!("quay-{}", dice.below(2300));
                let (channel, ts) = workspace.labelled(&label).unwrap();
                // One that is gone already is refused.
                let _gone = workspace.delete(&channel, &ts, None);
            }
            true
        };
        let outcome = town.archive.crawl_watched(&town.accounts, &full(), watch).await.unwrap().unwrap();
        let after = alive(&Moment::of(&workspace), &visible);
        assert!(before.difference(&after).count() > 5, "messages went during the walk");
        let archived = fold(&town.archive.reader());
        let is_kept = |(channel, ts): &&Place| archived.get(channel).is_some_and(|messages| messages.contains_key(ts));
        let lost: Vec<&Place> = before.intersection(&after).filter(|place| !is_kept(place)).collect();
        assert!(lost.is_empty(), "drift {drift}, {} lost, such as {:?}: {outcome:?}", lost.len(), lost[0]);
        let stands = |(channel, ts): &&Place| !archived[channel][ts].is_gone;
        let invented: Vec<&Place> = before.intersection(&after).filter(|place| !stands(place)).collect();
        assert!(invented.is_empty(), "drift {drift}: recorded as deleted: {invented:?}");
        town.archive.check();
        town.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn i6_a_second_pass_over_an_unchanged_server_observes_nothing() {
    let town = Town::new(1030, &[ANN, EVA]).await;
    stir(&town, 1);
    town.crawl(&full()).await.unwrap();
    stir(&town, 2);
    town.crawl(&full()).await.unwrap();
    let world = World::of(&town.running).as_seen_by(&town.running, ANN);
    let before = town.records().len();
    for options in [Options::default(), full(), Options::default()] {
        // Looking, and being there, is no change.
        for id in world.readable().await {
            world.ask("channels.history", &[("channel", &id), ("unreads", "1"), ("count", "1")]).await;
        }
        world.ask("users.setPresence", &[("presence", "away")]).await;
        world.ask("users.setActive", &[]).await;
        world.ask("rtm.start", &[]).await;
        town.crawl(&options).await.unwrap();
        let new: Vec<String> = town.records()[before..]
            .iter()
            .filter(|record| !matches!(record.header.kind, Kind::Coverage | Kind::Finding))
            .map(|record| format!("{:?} {} by {}", record.header.kind, record.header.key, record.header.account))
            .collect();
        assert!(new.is_empty(), "full={}: {new:#?}", options.full);
    }
    town.archive.check();
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn i13_a_pass_that_changes_nothing_appends_no_record() {
    for people in [&[ANN][..], &[ANN, EVA]] {
        let town = Town::new(20, people).await;
        let at = 1_800_000_000_000;
        let clock = |minutes: i64| Options { clock: Clock::set(at + minutes * 60_000), ..Options::default() };
        town.crawl(&clock(0)).await.unwrap();
        let before = town.records().len();
        let walks = town.archive.reader().walks().unwrap();
        assert!(walks.iter().all(|walk| walk.walked_until.is_some()), "{walks:?}");
        // Five minutes later, and after the hour at which files and pins are due again.
        for minutes in [5, 10, 75] {
            let full = minutes == 10;
            let summary = town.crawl(&Options { full, ..clock(minutes) }).await.unwrap();
            let new: Vec<String> =
                town.records()[before..].iter().map(|record| format!("{:?}", record.header)).collect();
            assert!(new.is_empty(), "{people:?}, minute {minutes}:\n{}", new.join("\n"));
            assert_eq!((summary.records.added, summary.result), (0, "complete"), "{summary:?}");
            // It leaves its mark in the crawl state instead.
            for walk in town.archive.reader().walks().unwrap() {
                let walked = walk.walked_until.unwrap().timestamp_millis();
                assert_eq!(walked, at + minutes * 60_000, "{walk:?}");
            }
        }
        town.archive.check();
        town.stop().await;
    }
}

/// Faults that spoil stamps and order leave every reply usable: all is captured at once.
#[tokio::test(flavor = "multi_thread")]
async fn i12_no_reply_stops_the_capture_of_what_comes_after_it() {
    for fault in [Fault::Unordered, Fault::TsTie, Fault::DstRepeat, Fault::CounterWrap, Fault::SilentHasMore] {
        let town = Town::new(1030, &[ANN]).await;
        town.crawl(&Options::default()).await.unwrap();
        for rate in [1.0, 0.3] {
            town.running.set_fault(fault, rate);
            captures_what_is_posted(&town, &format!("{fault:?} {rate}"), true).await;
            town.running.set_fault(fault, 0.0);
        }
        captures_what_is_posted(&town, &format!("after {fault:?}"), true).await;
        town.archive.check();
        town.stop().await;
    }
    // Those that spoil whole replies let nothing through for a while, and then everything.
    for fault in [Fault::TruncatedJson, Fault::BrokenJson, Fault::InvalidUtf8, Fault::DeepNesting, Fault::ErrorAsHtml] {
        let town = Town::new(30, &[ANN]).await;
        for rate in [1.0, 0.3] {
            town.running.set_fault(fault, rate);
            captures_what_is_posted(&town, &format!("{fault:?} {rate}"), false).await;
            town.running.set_fault(fault, 0.0);
            captures_what_is_posted(&town, &format!("after {fault:?} {rate}"), true).await;
        }
        town.archive.check();
        town.stop().await;
    }
}

/// Twice somebody posts and a pass is made. Whatever the replies were like, the number of requests
/// is small, and what was posted is archived (when `at_once`), by its text.
async fn captures_what_is_posted(town: &Town, context: &str, at_once: bool) {
    let workspace = town.running.workspace();
    for turn in 0..2 {
        let texts: Vec<String> = (0..4).map(|number| format!("{context}, {turn}.{number}")).collect();
        for (number, text) in texts.iter().enumerate() {
            workspace.post(["quay", "dock"][number % 2], BOB, text).unwrap();
        }
        let meter = &town.accounts[0].reader.connection().meter().requests;
        let before = meter.load(std::sync::atomic::Ordering::Relaxed);
        let options = Options::default();
        let pass = tokio::time::timeout(Duration::from_secs(60), town.crawl(&options));
        let outcome = pass.await.unwrap_or_else(|_| panic!("{context}: the pass has no end"));
        let asked = meter.load(std::sync::atomic::Ordering::Relaxed) - before;
        assert!(asked < 300, "{context}: {asked} requests");
        if !at_once {
            continue;
        }
        let summary = outcome.unwrap();
        let mut kept: BTreeSet<String> = BTreeSet::new();
        for messages in fold(&town.archive.reader()).into_values() {
            kept.extend(messages.into_values().flat_map(|message| message.versions));
        }
        for item in town.archive.newest(Kind::Unknown).into_values() {
            let body: serde_json::Value = serde_json::from_slice(&item.versions[0].record.body).unwrap();
            kept.extend(body["text"].as_str().map(str::to_owned));
        }
        let lost: Vec<&String> = texts.iter().filter(|text| !kept.contains(*text)).collect();
        assert!(lost.is_empty(), "{context}: {lost:?} is not archived: {summary:?}");
        for walk in town.archive.reader().walks().unwrap() {
            assert!(walk.pin.is_some() && walk.walked_until.is_some(), "{context}: {walk:?}");
        }
    }
}
