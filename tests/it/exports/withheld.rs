//! What is withheld is nowhere in the set, and still proved to be there.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;
use teamchat_archive::model::Digest;
use teamchat_archive::record::{Kind, Record};
use teamchat_archive::sandbox::seed::Seed;
use teamchat_archive::store::{Layout, Reader};

use super::{Desk, holding, table, town};
use crate::cli::harness::{DONE, INCOMPLETE, Place, Server, USAGE};

/// A small archive with something privileged of every kind, all of it pinned where that can be.
fn vault() -> Desk {
    let server = Server::start(Seed { account: town::ANN.to_owned(), ..town::seed(9) });
    let place = Place::new();
    place.enrol(&server.ready);
    let workspace = server.running.workspace();
    let room = workspace.create_channel(town::ANN, "vault").unwrap();
    workspace.join(&room, town::BOB).unwrap();
    let said = workspace.post(&room, town::BOB, "zqmessage as it was first").unwrap();
    let gone = workspace.post(&room, town::BOB, "zqgone").unwrap();
    workspace.post(&room, town::ANN, "nothing that anybody minds").unwrap();
    let (file, share) = workspace.upload(&room, town::BOB, "zqname.txt", b"zqcontent".to_vec()).unwrap();
    workspace.comment(&file, town::BOB, "zqcomment").unwrap();
    let (other, _) = workspace.upload(&room, town::BOB, "open.txt", b"for everybody".to_vec()).unwrap();
    workspace.comment(&other, town::BOB, "zqremark").unwrap();
    workspace.set_topic(&room, town::BOB, "zqtopic").unwrap();
    workspace.pin(&room, &said, town::ANN, true).unwrap();
    workspace.pin(&room, &share, town::ANN, true).unwrap();
    place.crawl();
    workspace.edit(&room, &said, None, "zqedited").unwrap();
    workspace.delete(&room, &gone, None).unwrap();
    place.run(&["crawl", "--full", "--json"]).expect(DONE);
    let reader = Reader::open(&Layout::new(place.archive())).unwrap();
    Desk { place, reader, server }
}

/// The first record of a kind that holds these words.
fn find(records: &BTreeMap<u64, Record>, kind: Kind, words: &str) -> u64 {
    let holds = |record: &Record| record.header.kind == kind && String::from_utf8_lossy(&record.body).contains(words);
    let found = records.iter().find(|(_, record)| holds(record));
    *found.unwrap_or_else(|| panic!("no {kind:?} says {words}")).0
}

#[test]
fn what_is_withheld_leaks_into_no_format() {
    let desk = vault();
    let records = desk.records();
    let find = |kind: Kind, words: &str| find(&records, kind, words);
    let content = Digest::of(b"zqcontent").to_string();
    let of_file = ["zqname", "zqcontent", content.as_str(), "zqcomment"];
    let (file, share) = (find(Kind::File, "zqname"), find(Kind::Message, "zqname"));
    // What is listed, and what must then stand nowhere.
    let cases: [(String, &[&str]); 6] = [
        (format!("{},withhold", find(Kind::Message, "zqedited")), &["zqmessage", "zqedited"]),
        (format!("{},withhold", find(Kind::Comment, "zqremark")), &["zqremark"]),
        (format!("{file},withhold"), &of_file),
        (format!("{share},withhold,advice\n{file},redact"), &of_file),
        (format!("{},withhold", find(Kind::Message, "zqgone")), &["zqgone", "absent from the whole window"]),
        (format!("{},redact", find(Kind::Message, "zqtopic")), &["zqtopic"]),
    ];
    let leaks = |bag: &Path, words: &[&str]| {
        let words: Vec<&Path> = std::iter::once(bag).chain(words.iter().map(Path::new)).collect();
        desk.python("thirdparty/leaks.py", &words)
    };
    for format in ["jsonl", "csv", "html", "rsmf", "slack", "native"] {
        for (number, (line, words)) in cases.iter().enumerate() {
            let name = format!("{format}-{number}");
            let list = desk.place.file("list.csv", &format!("record,action,reason\n{line},advice\n"));
            let outcome = desk.try_export(&name, &["--format", format, "--withhold", &list]);
            assert!([DONE, INCOMPLETE].contains(&outcome.code), "{outcome}");
            let report = outcome.json();
            assert_eq!(
                (&report["balanced"], &report["not_in_scope"]),
                (&true.into(), &serde_json::json!([])),
                "{name}"
            );
            let bag = desk.place.path(&name);
            assert_eq!(leaks(&bag, words), "", "{name}: {line}");
            let (code, said) = desk.check(&bag);
            assert_eq!(code, 0, "{name}: {said}");
        }
    }
    // What is not listed is there: nothing else was hidden, and the search finds what it should.
    let said = leaks(&desk.place.path("jsonl-1"), &["zqmessage", "zqname", &content, "zqcomment", "zqgone", "zqtopic"]);
    for words in ["zqmessage", "zqname", &content, "zqcomment", "zqgone", "zqtopic"] {
        assert!(said.contains(words), "{words} is not in the set");
    }
    desk.place.verified();
}

#[test]
fn what_is_withheld_is_proved_and_logged() {
    let desk = Desk::open();
    let records = desk.records();
    let message = find(&records, Kind::Message, "one <script>");
    let edited = find(&records, Kind::Message, "two <b>not bold");
    let file = find(&records, Kind::File, "LH-2026-02");
    let name = {
        let body: serde_json::Value = serde_json::from_slice(&records[&file].body).unwrap();
        body["name"].as_str().unwrap().to_owned()
    };
    // The stricter of two lines on one message, each with its own reason.
    let list = desk.place.file(
        "withheld.csv",
        &format!(
            "record,action,reason\n{message},withhold,advice of counsel\n{edited},redact,later advice\n\
             {file},redact,trade secret\n"
        ),
    );
    for format in ["jsonl", "csv"] {
        let bag_name = format!("withheld-{format}");
        let (bag, report) = desk.export(&bag_name, &["--format", format, "--withhold", &list]);
        for words in ["one <script>", "two <b>not bold", &name, &records[&file].header.attachments[0]] {
            assert_eq!(holding(&bag, words), Vec::<String>::new(), "{format}: {words}");
        }
        assert!(!holding(&bag, "[Withheld: later advice]").is_empty());
        let log = table(&bag.join("PRIVILEGE-LOG.csv"));
        assert_eq!(log.len() as u64, report["withheld"].as_u64().unwrap());
        let row = |seq: u64| log.iter().find(|row| row["record"] == seq.to_string()).unwrap();
        assert_eq!((row(message)["action"].as_str(), row(message)["author"].as_str()), ("withhold", ""));
        assert_eq!((row(edited)["action"].as_str(), row(edited)["reason"].as_str()), ("withhold", "later advice"));
        assert_eq!((row(file)["action"].as_str(), row(file)["reason"].as_str()), ("redact", "trade secret"));
        // All of the file, and the messages that show it.
        assert!(log.iter().filter(|row| row["reason"].contains("trade secret")).count() >= 2, "{log:?}");
        let (code, said) = desk.check(&bag);
        assert_eq!(code, 0, "{said}");
        assert!(said.contains("a part is withheld"), "{said}");
    }
    desk.place.verified();
}

#[test]
fn a_change_of_a_set_with_something_withheld_is_named() {
    super::changed::every_change_is_named(6);
}

#[test]
fn a_list_is_heeded_whole_or_refused() {
    let desk = Desk::open();
    let head = desk.reader.head().unwrap();
    let record = |seq| desk.reader.record(teamchat_archive::model::RecordSeq(seq)).unwrap();
    let channel = (0..head).find(|seq| record(*seq).header.kind == Kind::Channel).unwrap();
    let list = |seq: u64| desk.place.file("list.csv", &format!("record,action,reason\n{seq},redact,advice\n"));
    let flags = ["--format", "csv", "--from", "2026-03-04", "--to", "2026-03-07", "--withhold"];
    let run = |seq: u64| desk.try_export("set", &[&flags[..], &[list(seq).as_str()]].concat());
    run(channel).expect_error(USAGE, &[&format!("record {channel}"), "`channel`"]);
    run(head).expect_error(USAGE, &[&format!("record {head}"), "none in the set's checkpoint"]);
    let early = desk.records().into_iter().find(|(_, record)| {
        let ts = teamchat_archive::model::MessageTs::parse(&record.header.key);
        record.header.kind == Kind::Message && ts.unwrap().time().to_rfc3339().as_str() < "2026-03-03"
    });
    let early = early.unwrap().0;
    let report = run(early).expect(DONE).json();
    assert_eq!((&report["not_in_scope"], &report["withheld"]), (&json!([early]), &json!(0)), "{report}");
    // Whoever gets the set learns nothing of it.
    assert!(!desk.place.path("set/PRIVILEGE-LOG.csv").exists());
    desk.place.verified();
}
