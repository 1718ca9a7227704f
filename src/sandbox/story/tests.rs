use std::collections::{HashMap, HashSet};
use std::io::{Cursor, Read as _};

use zip::ZipArchive;

use super::*;
use crate::sandbox::seed::{Action, Content, SeedChannel, SeedFile};

fn bytes(file: &SeedFile) -> &[u8] {
    match &file.content {
        Content::Bytes(bytes) => bytes,
        other => panic!("{other:?} is not in memory"),
    }
}

fn ending(file: &SeedFile) -> &str {
    file.name.rsplit('.').next().unwrap_or_default()
}

#[test]
fn each_script_is_read() {
    for (channel, text) in scripts() {
        assert!(!script::parse(channel, text).unwrap().is_empty(), "{channel}");
    }
}

#[test]
fn a_script_says_which_line_is_wrong() {
    let problem = script::parse("x", "== 01-05\n25:00 petr no such hour").unwrap_err();
    assert_eq!(problem, "x, line 2: not a message: 25:00 petr no such hour");
    let problem = script::parse("x", "== 01-05\n08:00 petr hi\n? what").unwrap_err();
    assert_eq!(problem, "x, line 3: not understood: ? what");
    assert!(script::parse("x", "| nothing above").is_err());
}

#[test]
fn the_story_is_the_same_each_time() {
    assert_eq!(format!("{:?}", seed()), format!("{:?}", seed()));
}

#[test]
fn every_name_in_the_story_leads_somewhere() {
    let seed = seed();
    let users: HashSet<&str> = seed.users.iter().map(|user| user.email.as_str()).collect();
    let channels: HashMap<&str, &_> = seed.channels.iter().map(|channel| (channel.key.as_str(), channel)).collect();
    let files: HashSet<&str> = seed.files.iter().map(|file| file.key.as_str()).collect();
    assert_eq!(files.len(), seed.files.len());
    let mut shared = HashSet::new();
    let mut strangers = Vec::new();
    for message in seed.messages.iter().chain(&seed.chatter) {
        let channel = channels[message.channel.as_str()];
        let reactors = message.reactions.iter().map(|(_, who)| who);
        for who in std::iter::once(&message.user).chain(reactors).chain(message.edited.as_ref().map(|edit| &edit.0)) {
            assert!(users.contains(who.as_str()), "{who}");
            if !channel.members.contains(who) {
                strangers.push(format!("{who} in {}: {}", message.channel, message.text));
            }
        }
        assert!(!message.text.contains("<@") || message.text.contains('@'));
        assert!(message.at == 0 || message.at > channel.created, "{} {}", message.channel, message.text);
        assert!(message.edited.as_ref().is_none_or(|edit| edit.1 > message.at), "{}", message.text);
        let people: HashSet<&String> = message.reactions.iter().map(|reaction| &reaction.1).collect();
        assert_eq!(people.len(), message.reactions.len(), "one reaction a person: {}", message.text);
        for file in &message.files {
            assert!(files.contains(file.as_str()), "{file}");
            shared.insert(file.as_str());
        }
    }
    assert!(strangers.is_empty(), "{strangers:#?}");
    let unshared: Vec<_> = files.difference(&shared).collect();
    assert!(unshared.is_empty(), "{unshared:?}");
    let comments: usize = seed.files.iter().map(|file| file.comments.len()).sum();
    assert!(comments >= 30, "{comments}: a comment names a file that does not exist");
    for file in &seed.files {
        assert!(users.contains(file.user.as_str()), "{}", file.key);
        for comment in &file.comments {
            assert!(users.contains(comment.user.as_str()) && comment.created > 0, "{}", file.key);
        }
    }
}

#[test]
fn time_only_moves_on_within_a_channel() {
    let mut newest: HashMap<String, i64> = HashMap::new();
    for message in seed().messages {
        let last = newest.insert(message.channel, message.at).unwrap_or_default();
        assert!(message.at > last, "{}", message.text);
    }
}

#[test]
fn what_comes_later_names_what_is_there() {
    let seed = seed();
    let mut labels: HashSet<String> = seed.messages.iter().map(|message| message.label.clone()).collect();
    let mut comments: HashSet<(String, String)> = HashSet::new();
    for file in &seed.files {
        comments.extend(file.comments.iter().map(|comment| (file.key.clone(), comment.user.clone())));
    }
    labels.remove("");
    let channels: HashSet<&str> = seed.channels.iter().map(|channel| channel.key.as_str()).collect();
    let files: HashSet<&str> = seed.files.iter().map(|file| file.key.as_str()).collect();
    let mut deleted = 0;
    for action in &seed.later {
        match action {
            Action::Post(message) => {
                assert!(channels.contains(message.channel.as_str()) && message.user.contains('@'));
                labels.insert(message.label.clone());
            }
            Action::Edit { label, user, .. } | Action::React { label, user, .. } | Action::Pin { label, user } => {
                assert!(labels.contains(label) && user.contains('@'), "{label}");
            }
            Action::Delete { label, user } => {
                assert!(labels.remove(label) && user.contains('@'), "{label}");
                deleted += 1;
            }
            Action::RenameChannel { channel, .. }
            | Action::SetTopic { channel, .. }
            | Action::Leave { channel, .. } => {
                assert!(channels.contains(channel.as_str()), "{channel}");
            }
            Action::CloseAccount { user } => {
                assert!(seed.users.iter().any(|one| &one.email == user));
            }
            Action::Comment { file, user, .. } => {
                assert!(files.contains(file.as_str()));
                comments.insert((file.clone(), user.clone()));
            }
            Action::EditComment { file, user, .. } | Action::DeleteComment { file, user } => {
                assert!(comments.contains(&(file.clone(), user.clone())), "{file}");
            }
            Action::ReplaceFile { file, content } => {
                let old = seed.files.iter().find(|one| &one.key == file).unwrap();
                assert_ne!(bytes(old), content);
            }
        }
    }
    assert!(deleted >= 5 && (25..=40).contains(&seed.later.len()), "{}", seed.later.len());
    assert!((30..=60).contains(&seed.chatter.len()));
}

#[test]
fn the_account_sees_all_channels_and_not_all_conversations() {
    let seed = seed();
    let (conversations, rooms): (Vec<_>, Vec<_>) = seed.channels.iter().partition(|channel| channel.is_im);
    let has_account = |channel: &SeedChannel| channel.members.contains(&seed.account);
    assert!(rooms.iter().all(|channel| has_account(channel)));
    let hidden = conversations.iter().filter(|channel| !has_account(channel));
    assert_eq!(hidden.count(), 3);
    assert!(conversations.iter().all(|channel| channel.members.len() == 2));
}

#[test]
fn there_is_as_much_as_promised() {
    let seed = seed();
    let rooms = seed.channels.iter().filter(|channel| !channel.is_im).count();
    assert!((9..=12).contains(&rooms), "{rooms} channels");
    assert!((1_200..=1_800).contains(&seed.messages.len()), "{} messages", seed.messages.len());
    assert!(written().len() >= 450, "{} written by hand", written().len());
    assert!(seed.files.len() >= 36, "{} files", seed.files.len());
    assert!(seed.messages.iter().filter(|message| message.pinned.is_some()).count() >= 10);
    assert!(seed.messages.iter().filter(|message| message.edited.is_some()).count() >= 3);
    assert!(seed.messages.iter().any(|message| matches!(message.pinned, Some(Some(_)))));
    let with = |letters: std::ops::RangeInclusive<char>| {
        let speaks = |message: &&SeedMessage| message.text.chars().any(|letter| letters.contains(&letter));
        seed.messages.iter().filter(speaks).count()
    };
    let scripts = [
        ("Arabic", 'ء'..='ي', 30),
        ("Hebrew", 'א'..='ת', 7),
        ("kana", 'ぁ'..='ヺ', 25),
        ("Han", '一'..='鿿', 40),
        ("Thai", 'ก'..='๛', 8),
        ("Devanagari", 'ऀ'..='ॿ', 4),
        ("Cyrillic", 'А'..='я', 1),
    ];
    for (name, letters, least) in scripts {
        let found = with(letters);
        assert!(found >= least, "{name}: {found}");
    }
    for subtype in [
        "channel_join",
        "channel_topic",
        "channel_purpose",
        "channel_name",
        "channel_archive",
        "me_message",
        "bot_message",
        "file_share",
    ] {
        assert!(seed.messages.iter().any(|message| message.subtype == subtype), "{subtype}");
    }
}

#[test]
fn each_file_is_what_its_name_says() {
    let mut kinds: HashMap<String, usize> = HashMap::new();
    for file in seed().files {
        let content = bytes(&file);
        *kinds.entry(ending(&file).to_owned()).or_default() += 1;
        match ending(&file) {
            "png" => check_png(&file.name, content),
            "docx" | "xlsx" | "zip" => check_zip(&file.name, content),
            "pdf" => check_pdf(&file.name, content),
            "wav" => assert!(content.starts_with(b"RIFF") && content.len() == 24_044),
            "json" => assert!(serde_json::from_slice::<serde_json::Value>(content).is_ok()),
            "csv" => check_csv(&file.name, content),
            _ => assert!(std::str::from_utf8(content).is_ok(), "{}", file.name),
        }
        assert!(file.name.chars().count() <= 255);
    }
    for kind in
        ["png", "pdf", "docx", "xlsx", "csv", "txt", "md", "svg", "html", "eml", "json", "zip", "log", "wav", "ics"]
    {
        assert!(kinds.contains_key(kind), "{kind}");
    }
}

fn check_png(name: &str, content: &[u8]) {
    let mut rest = content.strip_prefix(b"\x89PNG\r\n\x1a\n").unwrap();
    let mut names = Vec::new();
    while !rest.is_empty() {
        let length = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
        let check = u32::from_be_bytes(rest[8 + length..12 + length].try_into().unwrap());
        assert_eq!(check, container::crc32(&rest[4..8 + length]), "{name}");
        names.push(String::from_utf8_lossy(&rest[4..8]).into_owned());
        rest = &rest[12 + length..];
    }
    assert_eq!(names, ["IHDR", "PLTE", "IDAT", "IEND"], "{name}");
}

fn check_zip(name: &str, content: &[u8]) {
    let mut archive = ZipArchive::new(Cursor::new(content)).unwrap();
    assert!(archive.len() >= 3, "{name}");
    for index in 0..archive.len() {
        let mut text = String::new();
        archive.by_index(index).unwrap().read_to_string(&mut text).unwrap();
        assert!(!text.is_empty(), "{name}");
    }
}

fn check_pdf(name: &str, content: &[u8]) {
    assert!(content.starts_with(b"%PDF-1.4") && content.ends_with(b"%%EOF\n"), "{name}");
    let tail = String::from_utf8_lossy(&content[content.len() - 40..]).into_owned();
    let start: usize = tail.lines().nth_back(1).unwrap().parse().unwrap();
    assert!(content[start..].starts_with(b"xref\n"), "{name}");
}

fn check_csv(name: &str, content: &[u8]) {
    let text = std::str::from_utf8(content).unwrap();
    let cells = |line: &str| line.split('"').step_by(2).map(|part| part.matches(',').count()).sum::<usize>();
    let first = cells(text.lines().next().unwrap());
    assert!(text.lines().all(|line| cells(line) == first), "{name}");
}

#[test]
fn some_files_are_hard_to_handle() {
    let seed = seed();
    let has = |is: &dyn Fn(&SeedFile) -> bool| seed.files.iter().any(is);
    assert!(has(&|file| bytes(file).is_empty()), "an empty file");
    assert!(has(&|file| bytes(file).len() > 900_000), "a large log");
    assert!(has(&|file| file.name.contains('\u{202e}')), "a bidi override");
    assert!(has(&|file| file.name.contains('"') && file.name.contains('<')), "quotes and tags");
    assert!(has(&|file| file.name.chars().count() > 150), "a long name");
    assert!(has(&|file| file.channels.len() > 1), "shared in two channels");
    let mut contents: Vec<&[u8]> = seed.files.iter().map(bytes).filter(|bytes| !bytes.is_empty()).collect();
    let count = contents.len();
    contents.sort_unstable();
    contents.dedup();
    assert!(contents.len() < count, "the same bytes twice");
}
