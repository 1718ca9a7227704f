//! XML for compliance archives: read back as the tree that is due.

use std::process::Command;

use serde_json::{Value, json};

use super::hostile::{ANN, PETR, archive, exceptions, export, read_with, says_no_secret, withheld};
use crate::cli::harness::files_below;

/// The text of an element's child.
fn of<'a>(element: &'a Value, name: &str) -> Option<&'a str> {
    element[2].as_array()?.iter().find(|child| child[0] == name)?[2].as_str()
}

#[test]
fn a_day_is_the_tree_that_it_should_be() {
    let (_server, place) = archive();
    let list = withheld(&place);
    let data = export(&place, "actiance", &["--withhold", &list]);
    let trees = read_with("actiance_tree.py", &place, &[data.to_str().unwrap()]);
    let trees = trees.as_object().unwrap();

    // All of a small room: two people, one message.
    let (_, small) = trees.iter().find(|(path, _)| path.starts_with("_CON-")).unwrap();
    let conversation = &small[2][0];
    let room = of(conversation, "RoomID").unwrap();
    assert!(room.starts_with("channel - CON - "), "{room}");
    let id = room.rsplit(" - ").next().unwrap();
    let message = conversation[2].as_array().unwrap().iter().find(|element| element[0] == "Message").unwrap();
    let message_id = of(message, "MessageId").unwrap();
    assert!(message_id.starts_with(&format!("{id}/1767600000.")), "{message_id}");
    let person = |element: &str, login: &str, at: &str| {
        json!([
            element,
            {},
            [
                ["LoginName", {}, login],
                ["UserType", {}, "user"],
                ["DateTimeUTC", {}, at],
                ["CorporateEmailID", {}, login],
            ]
        ])
    };
    let (klara, turned) = (ANN, "turned@orlava.example");
    let time = of(message, "DateTimeUTC").unwrap();
    assert!(time.starts_with("1767600000"), "{time}");
    let due = json!(["FileDump", {}, [["Conversation", {"Perspective": "CON"}, [
        ["RoomID", {}, room],
        ["StartTimeUTC", {}, "1767571200000"],
        person("ParticipantEntered", klara, "1767571200000"),
        person("ParticipantEntered", turned, "1767571200000"),
        ["Message", {}, [
            ["MessageId", {}, message_id],
            ["LoginName", {}, turned],
            ["UserType", {}, "user"],
            ["DateTimeUTC", {}, time],
            ["Content", {}, "first in con, to @Klára Zemanová & all"],
        ]],
        person("ParticipantLeft", klara, "1767657599999"),
        person("ParticipantLeft", turned, "1767657599999"),
        ["EndTimeUTC", {}, "1767657599999"],
    ]]]]);
    assert_eq!(*small, due);

    // What became of messages and files.
    let all: Vec<&Value> = trees.values().flat_map(|tree| tree[2][0][2].as_array().unwrap()).collect();
    let find = |text: &str| {
        let found = all.iter().find(|element| of(element, "Content").is_some_and(|content| content.starts_with(text)));
        found.copied().unwrap_or_else(|| panic!("no message begins with {text:?}"))
    };
    let (old, new) = (find("wrongly written"), find("rightly written"));
    assert_eq!(of(old, "UpdatedType"), Some("EditedOriginalMsg"));
    assert_eq!(of(old, "EditedNewMsgId"), of(new, "MessageId"));
    assert_eq!(of(new, "UpdatedType"), Some("EditedNewMsg"));
    assert_eq!(of(old, "UpdatedDateTimeUTC"), of(new, "UpdatedDateTimeUTC"));
    assert!(of(new, "UpdatedDateTimeUTC").is_some(), "{new}");
    let (seen, gone) = (find("never to be seen"), find("delete never to be seen"));
    assert_eq!(of(seen, "MessageId"), of(gone, "MessageId"));
    assert_eq!((of(gone, "UpdatedType"), of(gone, "UpdatedDateTimeUTC")), (Some("Deleted"), None));
    assert!(of(gone, "Content").unwrap().contains("\n[deleted between 2"), "{gone}");
    let broken = of(find("null "), "Content").unwrap();
    assert!(broken.ends_with("]]> <b> <i>") && broken.contains('\u{fffd}') && !broken.contains('\u{0}'), "{broken:?}");
    for text in ["[Withheld: Privileged]", "[Redacted: Private]"] {
        find(text);
    }
    // What has no place has a slip-sheet where it is withheld.
    for text in ["[list of pins] [", "[reactions] [Withheld: Privileged]"] {
        find(text);
    }
    let answer = of(find("[in answer to the message "), "Content").unwrap();
    let parent = of(find("who comes along"), "MessageId").unwrap();
    assert_eq!(answer, format!("[in answer to the message {parent}] I do"));
    let other = of(find("corrected by another"), "Content").unwrap();
    assert!(other.contains(&format!(" by Klára Zemanová ({ANN}), as the server says]")), "{other}");
    let late = of(find("[comment on the file twin.txt, at 2"), "Content").unwrap();
    assert!(late.ends_with("] a late remark"), "{late}");
    // Nobody acts outside the day, or comes or goes but when the stream says so.
    for tree in trees.values() {
        let conversation = &tree[2][0];
        let bound = |name: &str| of(conversation, name).unwrap().parse::<i64>().unwrap();
        let (start, end) = (bound("StartTimeUTC"), bound("EndTimeUTC"));
        for element in conversation[2].as_array().unwrap() {
            let at = of(element, "DateTimeUTC").map(|at| at.parse::<i64>().unwrap());
            assert!(at.is_none_or(|at| (start..=end).contains(&at)), "{element}");
        }
    }
    let moves = |element: &str| -> Vec<&str> {
        let of_petr = all.iter().filter(|it| it[0] == element && of(it, "LoginName") == Some(PETR));
        of_petr.map(|it| of(it, "DateTimeUTC").unwrap()).collect()
    };
    for (element, text) in [("ParticipantEntered", "has joined"), ("ParticipantLeft", "has left")] {
        let mut said = all.iter().filter(|it| {
            of(it, "LoginName") == Some(PETR) && of(it, "Content").is_some_and(|content| content.contains(text))
        });
        let said = said.next_back().unwrap_or_else(|| panic!("no message says {text:?}"));
        assert!(moves(element).contains(&of(said, "DateTimeUTC").unwrap()), "{element} {:?}: {said}", moves(element));
    }
    let files: Vec<&Value> = all.iter().filter(|element| element[0] == "FileTransferEnded").copied().collect();
    let mut twins = Vec::new();
    for file in &files {
        let path = of(file, "FileName").unwrap();
        match of(file, "Status") {
            Some("Completed") => assert!(data.join(path).is_file(), "{path}"),
            status => assert_eq!((status, of(file, "UserFileName")), (Some("Failed"), Some("../lost #1%.txt"))),
        }
        if of(file, "UserFileName") == Some("twin.txt") {
            twins.push(fs_err::read_to_string(data.join(path)).unwrap());
        }
    }
    twins.sort();
    assert_eq!(twins, ["first twin", "second twin"], "a later version is no other transfer");
    let later = of(find("[the file twin.txt, "), "Content").unwrap();
    let path = later.split("; its content is ").nth(1).unwrap().split(", 17 bytes").next().unwrap();
    assert_eq!(fs_err::read_to_string(data.join(path)).unwrap(), "first twin, again");
    for path in files_below(&data) {
        let bytes = fs_err::read(&path).unwrap();
        says_no_secret([(path.to_str().unwrap(), bytes.as_slice())]);
    }
    let exceptions = exceptions(&data);
    assert_eq!(exceptions["exception"], ["its content is not in the archive"]);
    let replaced = &exceptions["replaced"];
    assert!(replaced.iter().any(|what| what.contains("U+001B")), "{replaced:?}");
}

#[test]
fn another_parser_takes_every_file() {
    let (_server, place) = archive();
    let data = export(&place, "actiance", &[]);
    let files: Vec<_> = files_below(&data)
        .into_iter()
        .filter(|path| {
            path.extension().is_some_and(|ending| ending == "xml") && !path.to_string_lossy().contains("/files/")
        })
        .collect();
    assert!(files.len() > 50, "{} files", files.len());
    for some in files.chunks(200) {
        let output = Command::new("xmllint").args(["--noout", "--nonet", "--huge"]).args(some).output();
        let output = output.expect("xmllint (package libxml2-utils) reads the FileDumps");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
