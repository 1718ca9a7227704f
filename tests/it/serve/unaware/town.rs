//! A small random town, and what its people go on to do where the reviewer reads and elsewhere.

use teamchat_archive::sandbox::Running;
use teamchat_archive::sandbox::seed::{
    Action, Content, Seed, SeedChannel, SeedComment, SeedFile, SeedMessage, SeedUser,
};

use crate::schedules::play::Dice;
use crate::support::World;

pub(super) const ANN: &str = "ann@harbour.example";
pub(super) const BOB: &str = "bob@harbour.example";
pub(super) const EVA: &str = "eva@harbour.example";
pub(super) const IDA: &str = "ida@harbour.example";
/// Says nothing where the reviewer reads.
pub(super) const JON: &str = "jon@harbour.example";
pub(super) const PEOPLE: [&str; 5] = [ANN, BOB, EVA, IDA, JON];

pub(super) const WORDS: [&str; 10] =
    ["crane", "gearbox", "contract", "price", "plate", "anchor", "signed", "order", "ship", "craning"];
/// Said elsewhere only: those that begin like a word, are almost one, or are none.
pub(super) const ELSEWHERE: [&str; 6] = ["crabs", "crand", "cranberry", "zeppelin", "anchored", "plane"];
/// The first moment of the days on which people talk, and how many there are.
pub(super) const BEGINS: i64 = 1_772_409_600;
pub(super) const DAYS: usize = 12;

pub(super) fn person(email: &str) -> SeedUser {
    SeedUser {
        email: email.to_owned(),
        name: email.split('@').next().unwrap().to_owned(),
        real_name: format!("Person {}", &email[..3]),
        tz: "Europe/Prague".to_owned(),
        ..SeedUser::default()
    }
}

pub(super) fn moment(dice: &mut Dice) -> i64 {
    BEGINS + i64::try_from(dice.below(DAYS * 86_400)).unwrap()
}

pub(super) fn line(dice: &mut Dice, words: &[&str]) -> String {
    let count = 2 + dice.below(5);
    let mut line: Vec<&str> = (0..count).map(|_| *dice.pick(words).unwrap()).collect();
    if dice.one_in(4) {
        line.push("<@bob@harbour.example>");
    }
    line.join(" ")
}

/// Two channels and a conversation, files with comments, reactions, pins.
pub(super) fn town(dice: &mut Dice) -> Seed {
    let place = |key: &str, is_im: bool, members: &[&str]| SeedChannel {
        key: key.to_owned(),
        name: if is_im { String::new() } else { key.to_owned() },
        topic: if is_im { String::new() } else { format!("the {key} and its crane") },
        created: BEGINS - 86_400,
        members: members.iter().map(|member| (*member).to_owned()).collect(),
        is_im,
        ..SeedChannel::default()
    };
    let channels = vec![
        place("quay", false, &[ANN, BOB, EVA]),
        place("dock", false, &[ANN, BOB, IDA]),
        place("ann-bob", true, &[ANN, BOB]),
    ];
    let mut messages = Vec::new();
    for n in 0..36 {
        let channel = ["quay", "dock", "ann-bob"][n % 3];
        let who = if channel == "ann-bob" { [ANN, BOB][dice.below(2)] } else { [ANN, BOB, EVA, IDA][dice.below(4)] };
        messages.push(SeedMessage {
            channel: channel.to_owned(),
            user: who.to_owned(),
            at: moment(dice),
            text: line(dice, &WORDS),
            reactions: if dice.one_in(4) { vec![("thumbsup".to_owned(), BOB.to_owned())] } else { Vec::new() },
            pinned: (n % 12 == 1).then_some(None),
            label: format!("m{n}"),
            ..SeedMessage::default()
        });
    }
    let mut files = Vec::new();
    for (n, channel) in ["quay", "dock", "ann-bob"].into_iter().enumerate() {
        let file = format!("plan-{n}");
        files.push(SeedFile {
            key: file.clone(),
            name: format!("{}-{n}.txt", WORDS[n]),
            user: BOB.to_owned(),
            channels: vec![channel.to_owned()],
            created: BEGINS,
            content: Content::Bytes(format!("the {} of the {}", WORDS[n], WORDS[n + 1]).into_bytes()),
            comments: vec![SeedComment { user: BOB.to_owned(), text: line(dice, &WORDS), created: BEGINS + 60 }],
            ..SeedFile::default()
        });
        messages.push(SeedMessage {
            channel: channel.to_owned(),
            user: BOB.to_owned(),
            at: moment(dice),
            subtype: "file_share".to_owned(),
            files: vec![file],
            ..SeedMessage::default()
        });
    }
    Seed {
        domain: "harbour.example".to_owned(),
        account: ANN.to_owned(),
        users: PEOPLE.into_iter().map(person).collect(),
        channels,
        files,
        messages,
        ..Seed::default()
    }
}

/// What people change where the reviewer reads.
pub(super) fn goes_on_here(running: &Running, dice: &mut Dice) {
    let workspace = running.workspace();
    for n in 0..36 {
        let label = format!("m{n}");
        let action = match dice.below(6) {
            0 => Action::Edit { label, user: ANN.to_owned(), text: line(dice, &WORDS) },
            1 => Action::Delete { label, user: ANN.to_owned() },
            2 => Action::React { label, user: ANN.to_owned(), name: "eyes".to_owned() },
            _ => continue,
        };
        // Not everybody may change everything.
        let _refused = workspace.apply(action);
    }
}

/// What people do where the reviewer does not read. The ids of the places.
pub(super) async fn goes_on_elsewhere(running: &Running, dice: &mut Dice) -> Vec<String> {
    let workspace = running.workspace();
    let mut words = WORDS.to_vec();
    words.extend(ELSEWHERE);
    let mut places = Vec::new();
    // One of them is called like a word, and one like the reviewer's own.
    for name in ["crane", "quays", "attic"].into_iter().take(2 + dice.below(2)) {
        let id = workspace.create_channel(ANN, name).unwrap();
        for who in [BOB, EVA, JON] {
            // Some are there already.
            let _refused = workspace.join(&id, who);
        }
        workspace.set_topic(&id, ANN, "the quay and its crane").unwrap();
        places.push(id);
    }
    let world = World::of(running);
    for who in [EVA, JON] {
        let opened = world.ask("im.open", &[("user", who)]).await;
        places.push(opened["id"].as_str().or_else(|| opened["channel"]["id"].as_str()).unwrap().to_owned());
    }
    for (n, place) in places.iter().enumerate() {
        let mut said = Vec::new();
        for _ in 0..6 + dice.below(8) {
            let at = moment(dice);
            said.push(workspace.post_at(place, ANN, &line(dice, &words), at).unwrap());
        }
        workspace.edit(place, &said[0], Some(ANN), &line(dice, &words)).unwrap();
        workspace.react(place, &said[1], ANN, "eyes").unwrap();
        workspace.pin(place, &said[2], ANN, true).unwrap();
        workspace.comment_message(place, &said[3], ANN, &line(dice, &words)).unwrap();
        workspace.delete(place, &said[4], Some(ANN)).unwrap();
        // The same bytes under the same name as a file that the reviewer sees, and others.
        let bytes = format!("the {} of the {}", WORDS[0], WORDS[1]).into_bytes();
        let (file, _) = workspace.upload(place, ANN, "crane-0.txt", bytes).unwrap();
        workspace.comment(&file, ANN, &line(dice, &words)).unwrap();
        // A file of the reviewer's, too.
        let theirs = &running.workspace().file_truth().unwrap();
        let theirs = theirs.iter().find(|file| file.name.ends_with(&format!("-{}.txt", n % 3))).unwrap();
        workspace.share(&theirs.file, place, ANN).unwrap();
        workspace.upload(place, ANN, &format!("zeppelin-{n}.xyz"), line(dice, &words).into_bytes()).unwrap();
    }
    places
}
