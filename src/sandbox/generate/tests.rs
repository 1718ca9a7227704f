use std::collections::{HashMap, HashSet};

use super::*;

fn check(workspace: &Seed) {
    let users: HashSet<&str> = workspace.users.iter().map(|user| user.email.as_str()).collect();
    let channels: HashMap<&str, &SeedChannel> =
        workspace.channels.iter().map(|channel| (channel.key.as_str(), channel)).collect();
    let files: HashSet<&str> = workspace.files.iter().map(|file| file.key.as_str()).collect();
    assert_eq!(users.len(), workspace.users.len(), "users are unique");
    assert_eq!(channels.len(), workspace.channels.len(), "channels are unique");
    assert_eq!(files.len(), workspace.files.len(), "files are unique");
    assert!(users.contains(workspace.account.as_str()));
    for channel in &workspace.channels {
        assert!(channel.is_im || channel.members.contains(&workspace.account));
        assert!(!channel.is_im || (channel.members.len() == 2 && channel.members[0] != channel.members[1]));
    }
    let mut newest: HashMap<&str, (i64, u64)> = HashMap::new();
    let mut shared = HashSet::new();
    for message in &workspace.messages {
        let channel = channels[message.channel.as_str()];
        assert!(channel.members.contains(&message.user));
        assert!(message.at > channel.created);
        let (seconds, counter) = message.ts.split_once('.').unwrap();
        assert_eq!(seconds.parse::<i64>().unwrap(), message.at);
        assert_eq!(counter.len(), 6);
        assert!(counter.parse::<u64>().unwrap() < 65_536);
        let stamp = (message.at, counter.parse().unwrap());
        let before = newest.insert(&message.channel, stamp);
        assert!(before.is_none_or(|before| before < stamp), "{} in {}", message.ts, message.channel);
        let people: HashSet<&str> = message.reactions.iter().map(|(_, who)| who.as_str()).collect();
        assert_eq!(people.len(), message.reactions.len(), "one reaction a person");
        for file in &message.files {
            assert!(files.contains(file.as_str()));
            shared.insert(file.as_str());
        }
    }
    assert_eq!(shared.len(), files.len(), "each file is shared");
}

#[test]
fn each_size_holds_together() {
    for total in [1, 2, 3, 7, 19, 100, 999, 1_000, 20_000] {
        let workspace = seed(total, 11);
        assert_eq!(workspace.messages.len(), total);
        check(&workspace);
    }
}

#[test]
fn hidden_rooms_are_added_and_nothing_else_changes() {
    let plain = seed(500, 5);
    let hidden = seed_with_hidden(500, 5, Hidden { rooms: 10, people: 3 });
    assert_eq!(hidden.messages.len(), plain.messages.len() + 60);
    assert_eq!(format!("{:?}", plain.messages), format!("{:?}", &hidden.messages[..500]));
    let unlisted: HashSet<&String> =
        hidden.users.iter().filter(|user| user.is_hidden).map(|user| &user.email).collect();
    let rooms: Vec<&SeedChannel> = hidden.channels.iter().filter(|channel| channel.is_hidden).collect();
    assert_eq!((rooms.len(), unlisted.len()), (10, 3));
    assert!(rooms.iter().all(|room| room.members.iter().all(|member| unlisted.contains(member))));
    let talking: HashSet<&String> = hidden.messages[500..].iter().map(|message| &message.user).collect();
    assert_eq!(talking, unlisted);
    let lonely = seed_with_hidden(1, 5, Hidden { rooms: 1, people: 0 });
    assert_eq!(lonely.messages.last().unwrap().user, lonely.users.last().unwrap().email);
}

#[test]
fn the_same_arguments_give_the_same_workspace() {
    let [first, second, third] = [seed(3_000, 5), seed(3_000, 5), seed(3_000, 6)].map(|seed| format!("{seed:?}"));
    assert_eq!(first, second);
    assert_ne!(first, third);
}

#[test]
fn a_few_channels_hold_most_messages() {
    let workspace = seed(50_000, 1);
    let first_ten = shares(50_000, workspace.channels.len()).iter().take(10).sum::<usize>();
    assert!(first_ten > 25_000, "{first_ten} of 50,000 in ten of {}", workspace.channels.len());
    assert!(workspace.channels.len() > 50);
}

#[test]
fn there_is_some_of_everything() {
    let workspace = seed(50_000, 1);
    assert_eq!(workspace.files.len(), 100);
    let count = |is: &dyn Fn(&SeedMessage) -> bool| workspace.messages.iter().filter(|message| is(message)).count();
    assert!(count(&|message| message.edited.is_some()) > 800);
    assert!(count(&|message| !message.reactions.is_empty()) > 1_000);
    assert!(count(&|message| message.pinned.is_some()) > 10);
    assert!(count(&|message| message.text.contains('\u{0627}')) > 100, "Arabic");
    assert!(count(&|message| message.subtype == "bot_message") > 1_000);
    assert!(workspace.files.iter().any(|file| !file.comments.is_empty()));
    assert!(workspace.later.len() >= 30);
    assert_eq!(workspace.chatter.len(), 40);
}

#[test]
fn the_last_week_ends_where_it_should() {
    let newest = seed(10_000, 1).messages.iter().map(|message| message.at).max().unwrap();
    assert!(newest < END && newest > END - WEEK_SECONDS);
}
