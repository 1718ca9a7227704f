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
