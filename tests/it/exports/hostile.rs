//! The archive that the tests of slack, actiance and atom read: names that are no names, long and broken texts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use teamchat_archive::sandbox::seed::{Action, Content, Seed, SeedChannel, SeedFile, SeedMessage, SeedUser};
use teamchat_archive::sandbox::story;

use super::table;
use crate::cli::harness::python;
use crate::cli::harness::{DONE, INCOMPLETE, Place, Server, files_below};
use crate::served::crawled;

/// A name that turns the direction of text.
pub(super) const TURNED: &str = "מאיה \u{202e}txt.exe";
/// The story's account and one of its people.
pub(super) const ANN: &str = "klara.zemanova@orlava.example";
/// Comes to a channel and goes again.
pub(super) const PETR: &str = "petr.malek@orlava.example";

/// The story, and on top of it all that a person may do to an archive: names that are no names, long and
/// broken texts, files of one name, a thread. What happens later edits and deletes some of it.
pub(super) fn hostile() -> Seed {
    let mut seed = story::seed();
    let turned = format!("turned@{}", seed.domain);
    seed.users.push(SeedUser {
        email: turned.clone(),
        name: "turned".to_owned(),
        real_name: TURNED.to_owned(),
        ..SeedUser::default()
    });
    let creator = seed.channels.iter().find(|channel| !channel.is_im).unwrap().creator.clone();
    for (key, name) in [("up", "../../x"), ("con", "CON"), ("one", "Twin"), ("two", "twin"), ("mark", "a[b]{c}")] {
        seed.channels.push(SeedChannel {
            key: key.to_owned(),
            name: name.to_owned(),
            created: 1_767_500_000,
            creator: creator.clone(),
            members: vec![ANN.to_owned(), turned.clone()],
            ..SeedChannel::default()
        });
        seed.messages.push(SeedMessage {
            channel: key.to_owned(),
            user: turned.clone(),
            at: 1_767_600_000,
            text: format!("first in {key}, to <@{ANN}> &amp; all"),
            ..SeedMessage::default()
        });
    }
    let mut say = |at: i64, text: String, label: &str| {
        seed.messages.push(SeedMessage {
            channel: "up".to_owned(),
            user: turned.clone(),
            at,
            text,
            label: label.to_owned(),
            ..SeedMessage::default()
        });
    };
    say(1_767_600_100, format!("long {} end", "ab ".repeat((1 << 20) / 3)), "");
    say(1_767_600_200, "null \u{0} escape \u{1b} nonchar \u{fffe} ]]> <b> &lt;i&gt;".to_owned(), "");
    say(1_767_600_300, "wrongly written".to_owned(), "to edit");
    say(1_770_300_400, "never to be seen".to_owned(), "to delete");
    say(1_767_600_600, "corected by its author".to_owned(), "by another");
    say(1_767_600_900, "who comes along".to_owned(), "to answer");
    say(1_772_800_500, "secret of the client".to_owned(), "secret");
    say(1_772_800_600, "number of the account".to_owned(), "");
    for (n, content) in [(1, "first twin"), (2, "second twin"), (3, "the lost one")] {
        let (key, name) = (format!("twin-{n}"), if n == 3 { "../lost #1%.txt" } else { "twin.txt" });
        seed.files.push(SeedFile {
            key: key.clone(),
            name: name.to_owned(),
            user: ANN.to_owned(),
            channels: vec!["up".to_owned()],
            content: Content::Bytes(content.as_bytes().to_vec()),
            ..SeedFile::default()
        });
        seed.messages.push(SeedMessage {
            channel: "up".to_owned(),
            user: ANN.to_owned(),
            at: 1_767_600_400 + n,
            text: String::new(),
            subtype: "file_share".to_owned(),
            files: vec![key],
            ..SeedMessage::default()
        });
    }
    let card = serde_json::json!([{"title": "Tide gauge", "fields": [{"title": "level", "value": "high"}]}]);
    for (at, text, extra) in [
        (1_767_600_910, "", vec![("attachments", card)]),
        // A machine that calls itself what a person is called.
        (1_767_600_920, "beep", vec![("user", Value::from("")), ("username", Value::from(ANN))]),
    ] {
        seed.messages.push(SeedMessage {
            channel: "up".to_owned(),
            user: turned.clone(),
            at,
            text: text.to_owned(),
            extra: extra.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            ..SeedMessage::default()
        });
    }
    seed.later.push(Action::Edit {
        label: "to edit".to_owned(),
        user: turned.clone(),
        text: "rightly written".to_owned(),
    });
    seed.later.push(Action::Delete { label: "to delete".to_owned(), user: turned });
    seed.later.push(Action::ReplaceFile { file: "twin-1".to_owned(), content: b"first twin, again".to_vec() });
    seed
}

/// An archive of it, before and after what happens later, with a content lost.
pub(super) fn archive() -> (Server, Place) {
    let (server, place) = crawled(hostile());
    let workspace = server.running.workspace();
    let at = |label: &str| workspace.labelled(label).unwrap();
    let ((up, parent), (_, secret)) = (at("to answer"), at("secret"));
    workspace.comment_message(&up, &parent, ANN, "I do").unwrap();
    workspace.edit(&up, &at("by another").1, Some(ANN), "corrected by another").unwrap();
    for ts in [&parent, &secret] {
        workspace.react(&up, ts, ANN, "tea").unwrap();
        workspace.pin(&up, ts, ANN, true).unwrap();
    }
    let twin = workspace.file_truth().unwrap().into_iter().find(|file| file.name == "twin.txt").unwrap();
    workspace.comment(&twin.file, ANN, "a late remark").unwrap();
    workspace.join(&up, PETR).unwrap();
    workspace.leave(&up, PETR).unwrap();
    server.running.play_later().unwrap();
    place.run(&["crawl", "--full", "--json"]).expect(DONE);
    let lost: Vec<PathBuf> = files_below(&place.archive().join("blobs"))
        .into_iter()
        .filter(|path| fs_err::read(path).is_ok_and(|bytes| bytes == b"the lost one"))
        .collect();
    assert_eq!(lost.len(), 1, "{lost:?}");
    fs_err::remove_file(&lost[0]).unwrap();
    (server, place)
}

/// Makes a set and returns its payload. Every record in scope is accounted for.
#[track_caller]
pub(super) fn export(place: &Place, format: &str, more: &[&str]) -> PathBuf {
    let bag = place.path(&format!("set-{format}-{}", more.len()));
    let mut args = vec!["export", "--format", format, "--output", bag.to_str().unwrap(), "--json"];
    args.extend(more);
    let outcome = place.run(&args);
    assert!([DONE, INCOMPLETE].contains(&outcome.code), "{outcome}");
    let report = outcome.json();
    assert_eq!(report["balanced"], true, "{outcome}");
    bag.join("data")
}

/// The records of messages whose text contains something, from a set of JSON lines.
pub(super) fn records(place: &Place, words: &[&str]) -> Vec<u64> {
    let data = export(place, "jsonl", &[]);
    let text = fs_err::read_to_string(data.join("records.jsonl")).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let find = |word: &&str| {
        let found = lines.iter().find(|line| line["body"].as_str().is_some_and(|body| body.contains(*word)));
        found.unwrap_or_else(|| panic!("no record has {word:?}"))["record"].as_u64().unwrap()
    };
    words.iter().map(find).collect()
}

/// A list that withholds the client's secret and redacts the number of the account.
pub(super) fn withheld(place: &Place) -> String {
    let records = records(place, &["secret of the client", "number of the account"]);
    let text = format!("record,action,reason\n{},withhold,Privileged\n{},redact,Private\n", records[0], records[1]);
    place.file("withheld.csv", &text)
}

/// What `tests/thirdparty/<script>` prints, as JSON.
#[track_caller]
pub(super) fn read_with(script: &str, place: &Place, args: &[&str]) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/thirdparty").join(script);
    let output = Command::new(python())
        .arg("-B")
        .arg(path)
        .args(args)
        .env("TMPDIR", place.path("tmp"))
        .env("PYTHONWARNINGS", "ignore")
        .env("PYTHONIOENCODING", "utf-8")
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {}\n{stderr}", output.status);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{script}: {error}\n{stderr}"))
}

/// The rows of the list of exceptions of a set, by class.
pub(super) fn exceptions(data: &Path) -> BTreeMap<String, Vec<String>> {
    let mut reader = csv::Reader::from_path(data.with_file_name("EXCEPTIONS.csv")).unwrap();
    let mut out: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in reader.records() {
        let row = row.unwrap();
        out.entry(row[0].to_owned()).or_default().push(row[7].to_owned());
    }
    out
}

/// A set of a format that was killed after it noted how far it was goes on to the same files.
pub(super) fn goes_on(format: &str) {
    let (_server, place) = crawled(story::seed());
    let args = |name: &'static str| {
        ["export", "--json", "--format", format, "--output", name, "--volume-size", "600k"].map(str::to_owned)
    };
    place.run(&args("whole"));
    let mut run = place.start(&args("cut"));
    let marks = place.path("cut.partial/work/marks.ndjson");
    while fs_err::metadata(&marks).map_or(0, |marks| marks.len()) == 0 {
        assert!(!run.ends_within(Duration::from_millis(1)), "it ended before it noted how far it was");
    }
    run.kill();
    drop(run);
    assert!(!place.path("cut").exists(), "half a set has the name of a whole one");
    let outcome = place.run(&args("cut"));
    assert!([DONE, INCOMPLETE].contains(&outcome.code), "{outcome}");
    assert_eq!(outcome.json()["balanced"], true, "{outcome}");
    let files = |name: &str| fs_err::read_to_string(place.path(name).join("manifest-sha256.txt")).unwrap();
    assert_eq!(files("cut"), files("whole"));
    assert!(files("whole").contains("data/VOL002/"), "one volume");
}

/// No part of a set says what is withheld.
pub(super) fn says_no_secret<'a>(parts: impl IntoIterator<Item = (&'a str, &'a [u8])>) {
    for (name, bytes) in parts {
        for secret in ["secret of the client", "number of the account"] {
            let says = bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
            assert!(!says, "{name} says {secret:?}");
        }
    }
}

#[test]
fn a_row_says_what_is_answered_pinned_and_shown_on_cards() {
    let (_server, place) = archive();
    let rows = table(&export(&place, "csv", &[]).join("messages.csv"));
    let find = |column: &str, text: &str| {
        let row = rows.iter().find(|row| row[column].contains(text));
        row.unwrap_or_else(|| panic!("no {column} has {text:?}"))
    };
    let parent = find("text", "who comes along");
    let answer = rows.iter().find(|row| row["text"] == "I do").expect("the answer has a row");
    assert_eq!((answer["subtype"].as_str(), &answer["parent"]), ("message_comment", &parent["ts"]));
    assert_eq!(find("cards", "Tide gauge")["cards"], "Tide gauge\nlevel: high");
    let beep = find("text", "beep");
    assert_eq!((beep["author_id"].as_str(), beep["author_name"].as_str()), ("", ANN));
    let pins = rows.iter().find(|row| row["kind"] == "pins" && row["text"].contains("who comes along")).unwrap();
    assert!(pins["text"].starts_with("pinned, as Kl") && pins["text"].contains(&parent["ts"]), "{pins:?}");
    assert_eq!(pins["time_utc"], "", "it says when it was pinned");
    let tea = rows.iter().find(|row| row["kind"] == "reactions" && row["ts"] == parent["ts"]).unwrap();
    assert_eq!(tea["reactions"], format!("tea (1): {ANN}"));
    let corrected = find("text", "corrected by another");
    assert_eq!((corrected["edited_by"].as_str(), corrected["author_name"].as_str()), (ANN, TURNED));

    let list = withheld(&place);
    let data = export(&place, "csv", &["--withhold", &list]);
    let rows = table(&data.join("messages.csv"));
    let slips = |kind: &str| rows.iter().filter(|row| row["kind"] == kind && row["text"].starts_with("[")).count();
    assert!(slips("pins") > 0 && slips("reactions") > 0, "no slip-sheet");
    let bytes = fs_err::read(data.join("messages.csv")).unwrap();
    says_no_secret([("messages.csv", bytes.as_slice())]);
}
