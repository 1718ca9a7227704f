//! Whatever is in scope is in the set, or in its list of what is not.

use std::collections::BTreeSet;

use teamchat_archive::ledger::SigningKey;
use teamchat_archive::model::{ChannelId, Clock, RecordSeq, UtcTime};
use teamchat_archive::record::{Kind, Origin, State};
use teamchat_archive::store::{Batch, Change, FIRST_SOURCE, Layout, NewRecord, Reader, Writer};

use super::{Desk, contents, holding, table};
use crate::cli::harness::{DONE, INCOMPLETE, Place, Server};
use crate::schedules::town;

/// Each record is named once by what was written, or is in the list of exceptions; each content is there.
fn conserves(desk: &Desk, format: &str, named: impl Fn(&std::path::Path) -> Vec<u64>) {
    let (bag, report) = desk.export(&format!("conserved-{format}"), &["--format", format]);
    let listed = table(&bag.join("EXCEPTIONS.csv"));
    let not_there: BTreeSet<u64> = listed
        .iter()
        .filter(|row| ["not carried", "exception"].contains(&row["class"].as_str()))
        .map(|row| row["record"].parse().unwrap())
        .collect();
    let there: BTreeSet<u64> = named(&bag).into_iter().collect();
    let due: BTreeSet<u64> = desk.records().keys().copied().collect();
    let lost: Vec<&u64> = due.iter().filter(|seq| !there.contains(seq) && !not_there.contains(seq)).collect();
    assert_eq!(lost, Vec::<&u64>::new(), "{format}: {report}");
    assert_eq!(there.difference(&due).collect::<Vec<_>>(), Vec::<&u64>::new(), "{format}");
    let held: BTreeSet<String> =
        contents(&bag).values().map(|bytes| teamchat_archive::model::Digest::of(bytes).to_string()).collect();
    for (seq, record) in desk.records() {
        if record.header.state == State::Present && record.header.kind == Kind::File {
            for digest in &record.header.attachments {
                assert!(held.contains(digest), "{format}: the content of record {seq} is missing");
            }
        }
    }
    assert_eq!(desk.check(&bag).0, 0);
}

#[test]
fn nothing_is_lost_in_jsonl_and_every_body_is_as_it_was_archived() {
    let desk = Desk::open();
    let lines = |bag: &std::path::Path| -> Vec<serde_json::Value> {
        let text = fs_err::read_to_string(bag.join("data/records.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    conserves(&desk, "jsonl", |bag| lines(bag).iter().filter_map(|line| line["record"].as_u64()).collect());
    let lines = lines(&desk.place.path("conserved-jsonl"));
    assert!(lines.first().unwrap()["manifest"].is_object());
    assert_eq!(lines.last().unwrap()["complete"]["records"], lines.len() - 2);
    let records = desk.records();
    for line in &lines[1..lines.len() - 1] {
        let record = &records[&line["record"].as_u64().unwrap()];
        assert_eq!(
            serde_json::from_value::<teamchat_archive::record::Header>(line["header"].clone()).unwrap(),
            record.header
        );
        assert_eq!(line["body"].as_str().unwrap().as_bytes(), record.body);
    }
}

#[test]
fn nothing_is_lost_in_csv_and_every_text_comes_back() {
    let desk = Desk::open();
    conserves(&desk, "csv", |bag| {
        table(&bag.join("data/messages.csv")).iter().map(|row| row["record"].parse().unwrap()).collect()
    });
    let rows = table(&desk.place.path("conserved-csv").join("data/messages.csv"));
    let text = |state: &str, words: &str| {
        let row = rows.iter().find(|row| row["state"] == state && row["text"].contains(words));
        row.unwrap_or_else(|| panic!("no {state} row says {words}")).clone()
    };
    assert_eq!(text("edited", "one <script>")["text"], "one <script>alert(1)</script> þ\u{14}® =2+3");
    assert_eq!(text("current", "two <b>")["version"], "2");
    assert_eq!(text("current", "this will be taken back")["version"], "1");
    assert!(rows.iter().any(|row| row["state"] == "gone" && row["text"].starts_with("[deleted ")));
    assert!(rows.iter().any(|row| row["state"] == "back"));
    assert!(text("current", "long long").get("text").unwrap().len() > 1_000_000);
    let python = desk.python("thirdparty/csv_read.py", &[&desk.place.path("conserved-csv/data/messages.csv")]);
    assert_eq!(python.trim(), format!("{} rows, nothing to obey", rows.len()));
}

#[test]
fn nothing_is_lost_in_any_format_whatever_people_did() {
    (0..2).for_each(super::random::conserves);
}

/// An archive of a small workspace, and records beside it that no crawl would leave so: the place, a channel, and the
/// number of the first of them.
fn oddities() -> (Place, Server, u64) {
    let server = Server::start(town::seed(9));
    let place = Place::new();
    place.enrol(&server.ready);
    place.crawl();
    let room = ChannelId::parse(&server.running.workspace().channels()[0].0).unwrap();
    let first = Reader::open(&Layout::new(place.archive())).unwrap().head().unwrap();
    let ann = town::ANN;
    let in_room = |kind, key: &str, body: String| NewRecord {
        kind,
        source: FIRST_SOURCE,
        channel: Some(room.clone()),
        key: key.to_owned(),
        version: 1,
        change: Change::New,
        origin: Origin::Observed,
        via: "channels.history",
        account: ann.to_owned(),
        run: 1,
        observed_at: UtcTime::from_timestamp(1_790_000_000, 0).unwrap(),
        tickets: 0,
        attachments: Vec::new(),
        shared_in: Vec::new(),
        body: body.into_bytes(),
    };
    let beside = |kind, key: &str, body: String| NewRecord { channel: None, ..in_room(kind, key, body) };
    let shows = |ts: &str, file: &str| {
        let body = format!(r#"{{"type":"message","user":"{ann}","ts":"{ts}","text":"see","file":{{"id":"{file}"}}}}"#);
        in_room(Kind::Message, ts, body)
    };
    let file = |id: &str| format!(r#"{{"id":"{id}","user":"{ann}","name":"{id}.txt","created":1767300000}}"#);
    let edited = format!(
        r#"{{"type":"message","user":"{ann}","ts":"1767225600.000100","text":"b","edited":{{"user":"{ann}","ts":"1769904000.000000"}}}}"#
    );
    let renamed = |text: &str| {
        format!(
            r#"{{"type":"message","subtype":"group_name","user":"{ann}","ts":"1767305000.000001","text":"{text}","old_name":"the-secret-dock","name":"x"}}"#
        )
    };
    let gone = r#"{"gone":{"last_seen":"2026-01-03T00:00:00Z","first_missing":"2026-01-04T00:00:00Z"}}"#.to_owned();
    let records = vec![
        // Four that nothing in the archive holds.
        in_room(Kind::Reactions, "1767300000.000001", "[]".to_owned()),
        beside(
            Kind::Comment,
            "nofile/c1",
            format!(r#"{{"id":"c1","user":"{ann}","comment":"x","created":1767300000}}"#),
        ),
        beside(Kind::File, "alone", file("alone")),
        in_room(Kind::Unknown, "0badcafe", r#"{"type":"message","ts":"x"}"#.to_owned()),
        // A file that is gone, shown twice; one that was never seen, shown twice.
        NewRecord { shared_in: vec![room.clone()], ..beside(Kind::File, "lost", file("lost")) },
        NewRecord { version: 2, change: Change::Gone, ..beside(Kind::File, "lost", gone) },
        shows("1767301000.000001", "lost"),
        shows("1767302000.000001", "lost"),
        shows("1767303000.000001", "ghost"),
        shows("1767304000.000001", "ghost"),
        // Written, edited, and first seen only then.
        in_room(Kind::Message, "1767225600.000100", edited),
        // A message that renamed the channel, and was edited.
        in_room(Kind::Message, "1767305000.000001", renamed("first")),
        NewRecord {
            version: 2,
            change: Change::Changed,
            ..in_room(Kind::Message, "1767305000.000001", renamed("then"))
        },
    ];
    let key = SigningKey::parse(&fs_err::read_to_string(place.keys().join("ledger.key")).unwrap()).unwrap();
    let layout = Layout::new(place.archive());
    let mut writer = Writer::open(&layout, layout.lock().unwrap(), Some(key), Clock::System).unwrap();
    writer.append(Batch { records, changes: Vec::new() }).unwrap();
    writer.checkpoint().unwrap();
    (place, server, first)
}

#[test]
fn what_belongs_to_nothing_is_counted_and_listed() {
    let (place, _server, first) = oddities();
    let export = |name: &str, flags: &[&str]| {
        let outcome = place.run(&[&["export", "--json", "--output", name], flags].concat());
        assert!([DONE, INCOMPLETE].contains(&outcome.code), "{flags:?}: {outcome}");
        assert_eq!(outcome.json()["balanced"], true, "{flags:?}: {outcome}");
        let listed = table(&place.path(name).join("EXCEPTIONS.csv"));
        let of = |class: &str| -> Vec<u64> {
            let rows = listed.iter().filter(|row| row["class"] == class).map(|row| row["record"].parse().unwrap());
            rows.filter(|seq: &u64| *seq >= first).collect::<BTreeSet<u64>>().into_iter().collect()
        };
        (of("exception"), of("not given"), of("later"), outcome.json()["records"].as_u64().unwrap())
    };
    let orphans: Vec<u64> = (first..first + 4).collect();
    let (exceptions, not_given, later, all) = export("all", &["--format", "csv"]);
    // The content of the file that is gone was never downloaded either.
    assert_eq!(exceptions, [&orphans[..], &[first + 4]].concat());
    assert_eq!((not_given, later), (vec![first + 8, first + 9], Vec::new()));
    let kinds = [Kind::Message, Kind::File, Kind::Comment, Kind::Reactions, Kind::Pins, Kind::Unknown];
    let reader = Reader::open(&Layout::new(place.archive())).unwrap();
    let due =
        (0..reader.head().unwrap()).filter(|seq| kinds.contains(&reader.record(RecordSeq(*seq)).unwrap().header.kind));
    // One of them may stand in two conversations.
    assert!(all >= due.count() as u64);

    let (exceptions, not_given, ..) = export("current", &["--format", "csv", "--versions", "current"]);
    assert_eq!(exceptions, orphans);
    assert_eq!(not_given, (first + 6..first + 10).collect::<Vec<u64>>());

    let (.., later, _) = export("then", &["--format", "csv", "--as-of", "2026-01-15T00:00:00Z"]);
    assert_eq!(later, [first + 10]);

    // As they are archived they can be given.
    let (exceptions, ..) = export("native", &["--format", "native"]);
    assert_eq!(exceptions, [first + 4]);
    let text = String::from_utf8_lossy(&fs_err::read(place.path("native/data/records.txt")).unwrap()).into_owned();
    for seq in orphans {
        assert!(text.contains(&format!("\n{seq} ")), "record {seq} is not in the set");
    }
}

#[test]
fn a_name_that_only_a_withheld_message_says_is_nowhere() {
    let (place, _server, first) = oddities();
    let list = place.file("list.csv", &format!("record,action,reason\n{},redact,advice\n", first + 12));
    for (name, flags, is_there) in
        [("open", &["--format", "csv"][..], true), ("shut", &["--format", "csv", "--withhold", &list], false)]
    {
        let outcome = place.run(&[&["export", "--json", "--output", name], flags].concat());
        assert!([DONE, INCOMPLETE].contains(&outcome.code), "{outcome}");
        assert_eq!(holding(&place.path(name), "the-secret-dock").is_empty(), !is_there, "{name}");
    }
}
