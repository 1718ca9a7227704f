//! The rules of a workspace, without HTTP.

use std::sync::Arc;

use super::*;
use crate::sandbox::seed::{Content, SeedChannel, SeedFile, SeedMessage, SeedUser};

const ANN: &str = "ann@harbour.example";

fn workspace(rates: &[(Fault, f64)], later: Vec<Action>) -> Workspace {
    let seed = Seed {
        domain: "harbour.example".to_owned(),
        account: ANN.to_owned(),
        users: vec![SeedUser { email: ANN.to_owned(), ..SeedUser::default() }],
        channels: vec![SeedChannel {
            key: "quay".to_owned(),
            name: "quay".to_owned(),
            created: 1_490_000_000,
            ..SeedChannel::default()
        }],
        files: vec![SeedFile {
            key: "plan".to_owned(),
            name: "plan.txt".to_owned(),
            user: ANN.to_owned(),
            channels: vec!["quay".to_owned()],
            content: Content::Bytes(b"one".to_vec()),
            ..SeedFile::default()
        }],
        messages: (0..10)
            .map(|number| SeedMessage {
                channel: "quay".to_owned(),
                user: ANN.to_owned(),
                at: 1_490_000_000 + number,
                text: number.to_string(),
                ..SeedMessage::default()
            })
            .collect(),
        later,
        ..Seed::default()
    };
    let faults = Arc::new(Faults::new(rates, 1));
    Workspace::new(seed, Settings::default(), faults, String::new(), [0; 16]).unwrap()
}

fn stamps(workspace: &Workspace) -> Vec<Ts> {
    let state = workspace.read();
    state.channels[0].messages.iter().map(|message| message.ts).collect()
}

#[test]
fn time_stamps_grow_even_across_the_counter() {
    let workspace = workspace(&[], Vec::new());
    workspace.change(|state| state.counter = u16::MAX - 5);
    let mut last = Ts::default();
    for _ in 0..20 {
        let ts = Ts::parse(&workspace.post("quay", ANN, "x").unwrap()).unwrap();
        assert!(ts > last);
        last = ts;
    }
}

#[test]
fn a_wrapping_counter_sorts_a_later_message_lower() {
    let workspace = workspace(&[(Fault::CounterWrap, 1.0)], Vec::new());
    let posted: Vec<String> = (0..8).map(|_| workspace.post("quay", ANN, "x").unwrap()).collect();
    let fractions: Vec<&str> = posted.iter().map(|ts| ts.split_once('.').unwrap().1).collect();
    assert!(fractions.contains(&"065535") && fractions.contains(&"000000"));
    assert!(stamps(&workspace).is_sorted());
}

#[test]
fn a_counter_wraps_again_and_again_and_no_stamp_comes_twice() {
    let workspace = workspace(&[(Fault::CounterWrap, 1.0)], Vec::new());
    let posted: Vec<Ts> = (0..200).map(|_| Ts::parse(&workspace.post("quay", ANN, "x").unwrap()).unwrap()).collect();
    let lower = posted.windows(2).filter(|pair| pair[1] < pair[0]).count();
    assert_eq!(lower, 4, "one of each second's run");
    let distinct: std::collections::HashSet<&Ts> = posted.iter().collect();
    assert_eq!(distinct.len(), posted.len());
    workspace.faults().set(Fault::CounterWrap, 0.0);
    let after = Ts::parse(&workspace.post("quay", ANN, "x").unwrap()).unwrap();
    assert!(posted.iter().all(|ts| *ts < after));
}

#[test]
fn a_repeated_hour_lies_below_the_newest_however_old_that_is() {
    let workspace = workspace(&[(Fault::DstRepeat, 1.0)], Vec::new());
    let newest = *stamps(&workspace).last().unwrap();
    for _ in 0..100 {
        let ts = Ts::parse(&workspace.post("quay", ANN, "x").unwrap()).unwrap();
        assert!(ts < newest && newest.seconds - ts.seconds <= 3600, "{ts}");
    }
    assert_eq!(stamps(&workspace).last(), Some(&newest));
}

#[test]
fn a_message_of_the_past_can_be_posted_and_edited() {
    let workspace = workspace(&[], Vec::new());
    let [one, other] = ["a", "b"].map(|text| workspace.post_at("quay", ANN, text, 1_400_000_000).unwrap());
    assert_ne!(one, other);
    assert!(one.starts_with("1400000000."));
    workspace.edit("quay", &one, None, "edited").unwrap();
    assert!(stamps(&workspace).is_sorted());
    let truth = workspace.truth();
    let item = truth.iter().find(|item| item.ts == one).unwrap();
    assert_eq!(item.versions, ["a", "edited"]);
}

#[test]
fn long_texts_are_chosen_once_and_known_to_the_truth() {
    let workspace = workspace(&[], Vec::new());
    let mut before = workspace.truth();
    workspace.set_faults(&[(Fault::HugeText, 0.5)]);
    let after = workspace.truth();
    workspace.set_faults(&[(Fault::HugeText, 0.0)]);
    assert_eq!(workspace.truth(), after, "what is long stays long");
    let mut long = 0;
    for (before, after) in before.iter_mut().zip(&after) {
        if after.text.len() == 1 << 20 {
            assert_eq!(after.versions, [before.text.clone(), after.text.clone()]);
            long += 1;
        } else {
            assert_eq!(before, after);
        }
    }
    assert!((1..10).contains(&long), "{long}");

    let from_start = self::workspace(&[(Fault::HugeText, 1.0)], Vec::new());
    let ts = from_start.post("quay", ANN, "short").unwrap();
    from_start.edit("quay", &ts, None, "shorter").unwrap();
    let truth = from_start.truth();
    let versions = &truth.last().unwrap().versions;
    assert!(versions.iter().all(|text| text.len() == 1 << 20) && versions.len() == 2);
    assert!(versions[0].starts_with("short\n") && versions[1].starts_with("shorter\n"));
    assert_eq!(truth[0].versions.len(), 1, "nobody saw it short");
}

#[test]
fn names_that_lead_astray_are_chosen_once() {
    let workspace = workspace(&[], Vec::new());
    let upload = |name: &str| workspace.upload("quay", ANN, name, Vec::new()).unwrap().0;
    let clean = upload("clean.txt");
    workspace.set_faults(&[(Fault::PathTricks, 1.0)]);
    let name_of = |file: &str| {
        let truth = workspace.file_truth().unwrap();
        truth.iter().find(|known| known.file == file).unwrap().name.clone()
    };
    let tricked = name_of(&clean);
    assert_ne!(tricked, "clean.txt");
    let names: std::collections::HashSet<String> = (0..60).map(|_| name_of(&upload("x.txt"))).collect();
    assert!(names.len() >= 8 && !names.contains("x.txt"), "{names:?}");
    workspace.set_faults(&[(Fault::PathTricks, 0.0)]);
    assert_eq!(name_of(&clean), tricked);
}

#[test]
fn generated_contents_have_their_digest_without_being_held() {
    let workspace = workspace(&[], Vec::new());
    let content = Content::Generated { size: 100_000, seed: 3 };
    let (file, _) = workspace.upload_content("quay", ANN, "big.bin", content).unwrap();
    workspace.replace_content(&file, Content::Generated { size: 0, seed: 3 }).unwrap();
    let truth = workspace.file_truth().unwrap();
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let versions = &truth.iter().find(|known| known.file == file).unwrap().versions;
    assert_eq!((versions.len(), versions[1].as_str()), (2, empty));
    assert_eq!(versions[0], crate::sandbox::filler::digest(3, 100_000));
}

#[test]
fn events_that_nobody_reads_are_bounded() {
    let workspace = workspace(&[], Vec::new());
    let text = "x".repeat(1 << 20);
    for _ in 0..80 {
        workspace.post("quay", ANN, &text).unwrap();
    }
    let state = workspace.read();
    let held: usize = state.events.iter().map(|event| event.body.len()).sum();
    assert_eq!(held, state.event_bytes);
    assert!(held <= 64 << 20 && state.events.len() > 50, "{held}");
}

#[test]
fn ties_and_the_repeated_hour_come_when_asked_for() {
    let tied = workspace(&[(Fault::TsTie, 1.0)], Vec::new());
    assert!(stamps(&tied).windows(2).any(|pair| pair[0] == pair[1]));
    let repeated = workspace(&[], Vec::new());
    let before = Ts::parse(&repeated.post("quay", ANN, "x").unwrap()).unwrap();
    repeated.faults().set(Fault::DstRepeat, 1.0);
    let after = Ts::parse(&repeated.post("quay", ANN, "y").unwrap()).unwrap();
    assert!(after < before && after.seconds >= before.seconds - 3600);
}

#[test]
fn what_shares_the_stamp_of_a_deleted_comment_is_no_comment() {
    let workspace = workspace(&[], Vec::new());
    let comment = workspace.comment("plan", ANN, "seen").unwrap();
    workspace.faults().set(Fault::TsTie, 1.0);
    let tied = Ts::parse(&workspace.post("quay", ANN, "tied").unwrap()).unwrap();
    let comments = || workspace.read().file_comments(0);
    assert_eq!(stamps(&workspace).iter().filter(|ts| **ts == tied).count(), 2);
    assert_eq!(comments().len(), 1);
    workspace.delete_comment(&comment).unwrap();
    assert_eq!(comments(), Vec::<serde_json::Value>::new());
}

#[test]
fn a_sweep_takes_the_oldest_and_tells_the_truth() {
    let workspace = workspace(&[(Fault::RetentionSweep, 1.0)], Vec::new());
    let truth = workspace.truth();
    let gone: Vec<bool> = truth.iter().map(|item| item.state == "deleted").collect();
    assert_eq!(gone.iter().filter(|gone| **gone).count(), truth.len() / 2);
    assert!(gone.is_sorted_by(|earlier, later| earlier >= later));
}

#[test]
fn the_file_of_an_upload_has_the_id_of_its_message() {
    let workspace = workspace(&[], Vec::new());
    let (file, ts) = workspace.upload("quay", ANN, "a.txt", b"a".to_vec()).unwrap();
    let clock = IdClock::default();
    assert_eq!(file, crate::sandbox::ids::item_id(Ts::parse(&ts).unwrap(), clock));
    workspace.replace_file(&file, b"b".to_vec()).unwrap();
    let truth = workspace.file_truth().unwrap();
    assert_eq!(truth.last().unwrap().versions.len(), 2);
}

#[test]
fn a_file_that_is_posted_later_is_not_there_before() {
    let post = Action::Post(SeedMessage {
        channel: "quay".to_owned(),
        user: ANN.to_owned(),
        text: "here it is".to_owned(),
        files: vec!["plan".to_owned()],
        ..SeedMessage::default()
    });
    let workspace = workspace(&[], vec![post.clone()]);
    assert_eq!(workspace.truth().len(), 10);
    assert_eq!(workspace.file_truth().unwrap().len(), 0);
    workspace.apply(post).unwrap();
    assert_eq!(workspace.truth().len(), 11);
    assert_eq!(workspace.file_truth().unwrap().len(), 1);
}

#[test]
fn one_person_has_one_reaction_on_an_item() {
    let workspace = workspace(&[], Vec::new());
    let ts = workspace.post("quay", ANN, "x").unwrap();
    workspace.react("quay", &ts, ANN, "angry").unwrap();
    workspace.react("quay", &ts, ANN, "thumbsup").unwrap();
    assert_eq!(workspace.react("quay", &ts, ANN, "thumbsup"), Err(Refusal("already_reacted")));
    workspace.unreact("quay", &ts, ANN).unwrap();
    assert_eq!(workspace.unreact("quay", &ts, ANN), Err(Refusal("no_reaction")));
}

#[test]
fn a_closed_account_loses_its_tokens() {
    let workspace = workspace(&[], Vec::new());
    let token = workspace.token_for(ANN).unwrap();
    workspace.close_account(ANN).unwrap();
    assert!(workspace.read().tokens[&token].is_revoked);
    assert!(workspace.read().users[0].deleted);
}
