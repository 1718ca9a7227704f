//! A cursor and an archive that goes on: messages come, are edited and deleted, the index is committed
//! and its segments are merged between any two pages, and each hit of the first state is met once.

use std::collections::BTreeSet;

use serde_json::Value;
use tantivy::Index;
use teamchat_archive::sandbox::seed::{Seed, SeedChannel, SeedMessage, SeedUser};

use crate::cli::harness::{DONE, Place, Server, list, number};
use crate::served::{ALL_STATES, Desk, Dice, crawled};

const ANN: &str = "ann@harbour.example";
const HITS: usize = 60;

/// Messages with the word once or several times, in texts of unequal length, many at the same second:
/// so that each order has ties and no order is that of the records.
fn seed(dice: &mut Dice) -> Seed {
    let channel = |key: &str| SeedChannel {
        key: key.to_owned(),
        name: key.to_owned(),
        created: 1_489_000_000,
        members: vec![ANN.to_owned()],
        ..SeedChannel::default()
    };
    let mut messages: Vec<SeedMessage> = Vec::new();
    for number in 0..HITS * 2 {
        let says = if number < HITS { "tide ".repeat(1 + dice.below(3)) } else { "calm ".to_owned() };
        messages.push(SeedMessage {
            channel: ["quay", "dock"][dice.below(2)].to_owned(),
            user: ANN.to_owned(),
            at: 1_490_000_000 + i64::try_from(dice.below(40)).unwrap(),
            text: format!("{says}{}", "water ".repeat(dice.below(6))),
            ..SeedMessage::default()
        });
    }
    Seed {
        domain: "harbour.example".to_owned(),
        account: ANN.to_owned(),
        users: vec![SeedUser { email: ANN.to_owned(), name: "ann".to_owned(), is_admin: true, ..SeedUser::default() }],
        channels: vec![channel("quay"), channel("dock")],
        messages,
        ..Seed::default()
    }
}

fn records(reply: &Value) -> Vec<u64> {
    list(reply, "/messages/matches").iter().map(|found| number(found, "/archive/record")).collect()
}

/// Merges all segments of the index that serves into one, as the engine does at a time of its own.
fn merge(place: &Place) -> usize {
    let folder = place.archive().join("index");
    let current = fs_err::read_to_string(folder.join("CURRENT")).unwrap();
    let index = Index::open_in_dir(folder.join(current.trim())).unwrap();
    let segments = index.searchable_segment_ids().unwrap();
    let mut writer = index.writer_with_num_threads::<tantivy::TantivyDocument>(1, 15_000_000).unwrap();
    writer.merge(&segments).wait().unwrap();
    writer.wait_merging_threads().unwrap();
    assert_eq!(index.searchable_segment_ids().unwrap().len(), 1);
    segments.len()
}

/// Something happens: messages come that the query finds, one of the hits is edited, one deleted.
fn go_on(server: &Server, place: &Place, dice: &mut Dice) {
    let workspace = server.running.workspace();
    for _ in 0..=dice.below(4) {
        let (channel, _) = workspace.channels()[dice.below(2)].clone();
        workspace.post(&channel, ANN, &"tide ".repeat(1 + dice.below(4))).unwrap();
    }
    let standing: Vec<_> = workspace.truth().into_iter().filter(|item| item.state == "current").collect();
    let edited = &standing[dice.below(standing.len())];
    workspace.edit(&edited.channel, &edited.ts, Some(ANN), &format!("tide turned {}", dice.below(1000))).unwrap();
    let deleted = standing.iter().find(|item| item.ts != edited.ts && item.text.contains("tide")).unwrap();
    workspace.delete(&deleted.channel, &deleted.ts, Some(ANN)).unwrap();
    place.run(&["crawl", "--full", "--json"]).expect(DONE);
}

fn a_cursor_meets_each_hit_once(sort: &str, count: &str, seed_number: u64) {
    let mut dice = Dice(seed_number);
    let (server, place) = crawled(seed(&mut dice));
    // Some history first, so that the index has several segments and changed records from the start.
    go_on(&server, &place, &mut dice);
    let desk = Desk::open(&place);
    let ask = |arguments: &[(&str, &str)]| {
        let fixed = [("query", "tide"), ("sort", sort), ("states", ALL_STATES)];
        desk.reply("search.messages", &[&fixed[..], arguments].concat())
    };
    let first = ask(&[("count", "1000")]);
    let due = records(&first);
    assert!(due.len() >= HITS, "{} hits", due.len());
    assert_eq!(number(&first, "/messages/total"), due.len() as u64);

    let mut reply = ask(&[("count", count)]);
    let mut met = records(&reply);
    let (mut pages, mut merged) = (1, 0);
    while let Some(cursor) = reply["next_cursor"].as_str() {
        go_on(&server, &place, &mut dice);
        if dice.below(2) == 0 {
            merged += usize::from(merge(&place) > 1);
        }
        if pages == 2 {
            place.run(&["index", "rebuild"]).expect(DONE);
        }
        reply = ask(&[("count", count), ("cursor", cursor)]);
        assert_eq!(number(&reply, "/messages/total"), due.len() as u64, "{sort}: the total moves on page {pages}");
        met.extend(records(&reply));
        pages += 1;
        assert!(pages < 100, "{sort}: the cursor has no end");
    }
    assert!(pages > 4 && merged > 0, "{sort}: {pages} pages and {merged} merges");
    assert_eq!(met.iter().collect::<BTreeSet<_>>().len(), met.len(), "{sort}: one is met twice");
    assert_eq!(met, due, "{sort}: a page was shifted");
    // What came meanwhile is found by whoever asks anew.
    let now = ask(&[("count", "1000")]);
    assert!(number(&now, "/messages/total") > due.len() as u64, "nothing came");
    assert!(due.iter().all(|record| records(&now).contains(record)), "{sort}: a hit went");
    desk.close();
    place.verified();
}

#[test]
fn a_cursor_by_relevance_meets_each_hit_once_while_records_arrive() {
    a_cursor_meets_each_hit_once("relevance", "9", 1);
}

#[test]
fn a_cursor_from_the_newest_meets_each_hit_once_while_records_arrive() {
    a_cursor_meets_each_hit_once("newest", "11", 2);
}

#[test]
fn a_cursor_from_the_oldest_meets_each_hit_once_while_records_arrive() {
    a_cursor_meets_each_hit_once("oldest", "13", 3);
}
