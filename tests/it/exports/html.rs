//! Pages for people, read by Python's `html.parser`: every record has its place, nothing is loaded or run, and
//! hostile texts stay texts.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use teamchat_archive::record::Kind;
use teamchat_archive::sandbox::seed::{Content, SeedFile, SeedMessage};
use teamchat_archive::store::{Layout, Reader};

use crate::cli::harness::python;
use crate::cli::harness::{DONE, INCOMPLETE, Place, Server, files_below, list, number, string};

const ANN: &str = "ann@harbour.example";
const BOB: &str = "bob@harbour.example";
const EVA: &str = "eva@harbour.example";
const MIB: usize = 1 << 20;
/// A question that is answered on its day and later.
const ASKED: &str = "1490000300.000001";
/// A file that stands in two channels.
const SHARED: &str = "1490000400.000001";
const LOST: &[u8] = b"bytes that will be missing";
/// A picture of one point.
const DOT: &[u8] =
    b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff!\xf9\x04\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";

pub(super) fn run_python(script: &str, folder: &Path) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/thirdparty").join(script);
    let output = Command::new(python()).arg("-B").arg(&script).arg(folder).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {stderr}", script.display());
    let read: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(read["problems"], serde_json::json!([]));
    read
}

/// A harbour where much happened, and its archive.
pub(super) fn harbour() -> (Server, Place) {
    let mut seed = crate::crawl::seed(12);
    seed.users[2].real_name = "שרה \u{202e}evil\u{202c}, \"Boss\" <x>".to_owned();
    seed.channels[0].topic = "tides and\nwinds, \"all\" </style>".to_owned();
    let told = |text: &str, ts: &str, extra: &[(&str, Value)]| SeedMessage {
        channel: "quay".to_owned(),
        user: BOB.to_owned(),
        ts: ts.to_owned(),
        text: text.to_owned(),
        extra: extra.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        ..SeedMessage::default()
    };
    seed.messages.push(told("who has the key?", ASKED, &[("thread_ts", json!(ASKED))]));
    let answer = [
        ("thread_ts", json!(ASKED)),
        ("reactions", json!([{"name": "key", "count": 5, "users": [EVA]}])),
        (
            "attachments",
            json!([{"title": "card \u{202e}turned", "fields": [{"title": "of a field", "value": "\u{200f}\u{5d0}\u{5d1} \u{61c}"}]}]),
        ),
    ];
    seed.messages.push(told("I have it", "1490000300.000002", &answer));
    seed.messages.push(told("later, of an earlier day", "1490190000.000001", &[("thread_ts", json!(ASKED))]));
    let bot = [("user", json!("")), ("username", json!(ANN)), ("subtype", json!("bot_message"))];
    seed.messages.push(told("a machine says", "1490000300.000003", &bot));
    seed.files.push(SeedFile {
        key: "both".to_owned(),
        name: "both.txt".to_owned(),
        title: "The tables of the tides".to_owned(),
        user: BOB.to_owned(),
        channels: vec!["quay".to_owned(), "dock".to_owned()],
        created: 1_490_000_400,
        content: Content::Bytes(b"tides".to_vec()),
        ..SeedFile::default()
    });
    for channel in ["quay", "dock"] {
        seed.messages.push(SeedMessage {
            channel: channel.to_owned(),
            subtype: "file_share".to_owned(),
            files: vec!["both".to_owned()],
            ..told("", SHARED, &[])
        });
    }
    let server = Server::start(seed);
    let place = Place::new();
    place.enrol(&server.ready);
    let workspace = server.running.workspace();
    let quay = workspace.channels().into_iter().find(|(_, name)| name == "quay").unwrap().0;
    let post = |user: &str, text: &str| workspace.post(&quay, user, text).unwrap();
    let edited = post(BOB, "first wording <https://a.example/?x=1&amp;y=2|here> <@eva@harbour.example> *bold* `code`");
    let deleted = post(EVA, "to be taken away");
    let restored = post(BOB, "goes and comes back");
    post(EVA, "שלום \u{202e}abc\u{202c} \u{1}\u{7f}end\r\nFrom me\r\n--=_m_\r\n.\r\n");
    post(BOB, "</style></div></article><script>alert(1)</script><img src=x onerror=alert(2)> <javascript:alert(3)|x>");
    post(BOB, "<https://a.example/\" onclick=\"alert(4)|\"onclick=1> http://a.example/'onclick=alert(5)");
    post(BOB, &format!("{} the end of it", "long line\n".repeat(MIB / 10)));
    post(BOB, "the secret formula");
    post(EVA, "the redacted price");
    let upload = |name: &str, bytes: &[u8]| workspace.upload(&quay, BOB, name, bytes.to_vec()).unwrap();
    let (plan, _) = upload("berths.txt", b"plan, first");
    let first = workspace.comment(&plan, EVA, "a comment, first").unwrap();
    let second = workspace.comment(&plan, ANN, "a comment to remove").unwrap();
    for (name, bytes) in [("../../x", "dots"), ("CON", "device"), ("same.txt", "same one"), ("same.txt", "same two")] {
        upload(name, bytes.as_bytes());
    }
    upload("žluť\u{202e}fdp.exe", b"");
    upload("dot \"1\" #&?.gif", DOT);
    upload("lost.doc", LOST);
    place.crawl();
    workspace.edit(&quay, &edited, Some(ANN), "second wording").unwrap();
    workspace.delete(&quay, &deleted, None).unwrap();
    workspace.delete(&quay, &restored, None).unwrap();
    workspace.replace_file(&plan, b"plan, second".to_vec()).unwrap();
    workspace.edit_comment(&first, "a comment, second").unwrap();
    let reader = Reader::open(&Layout::new(place.archive())).unwrap();
    let of_seed = reader.newest(Kind::Comment).unwrap().into_iter().find_map(|(key, _)| {
        let id = key.rsplit('/').next().unwrap().to_owned();
        (id != first && id != second).then_some(id)
    });
    workspace.edit_comment(&of_seed.unwrap(), "good, and more").unwrap();
    workspace.delete_comment(&second).unwrap();
    workspace.react(&quay, &edited, EVA, "tada").unwrap();
    workspace.pin(&quay, &edited, BOB, true).unwrap();
    let dock = workspace.channels().into_iter().find(|(_, name)| name == "dock").unwrap().0;
    workspace.pin(&dock, SHARED, BOB, true).unwrap();
    place.run(&["crawl", "--full", "--json"]).expect(DONE);
    workspace.unreact(&quay, &edited, EVA).unwrap();
    workspace.react(&quay, &edited, BOB, "eyes").unwrap();
    workspace.restore(&quay, &restored).unwrap();
    workspace.leave(&quay, EVA).unwrap();
    workspace.set_topic(&quay, BOB, "calm").unwrap();
    place.run(&["crawl", "--full", "--json"]).expect(DONE);
    let lost =
        files_below(&place.archive()).into_iter().find(|path| fs_err::read(path).is_ok_and(|bytes| bytes == LOST));
    fs_err::remove_file(lost.unwrap()).unwrap();
    (server, place)
}

/// Exports in a format; the report.
pub(super) fn export(place: &Place, format: &str, name: &str, more: &[&str]) -> Value {
    let outcome = place.run(&[&["export", "--format", format, "--output", name, "--json"], more].concat());
    assert!([DONE, INCOMPLETE].contains(&outcome.code), "{outcome}");
    let report = outcome.json();
    assert_eq!(report["balanced"], true, "{report}");
    report
}

/// The records of a set of lines, with what each says: what every other format must hold.
pub(super) fn lines(place: &Place, name: &str, more: &[&str]) -> Vec<Value> {
    export(place, "jsonl", name, more);
    let text = fs_err::read_to_string(place.path(name).join("data/records.jsonl")).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|line: &Value| line.get("record").is_some())
        .collect()
}

pub(super) fn numbers(lines: &[Value]) -> BTreeSet<u64> {
    lines.iter().map(|line| number(line, "/record")).collect()
}

/// The record of the line whose body holds a text.
pub(super) fn record_of(lines: &[Value], text: &str) -> u64 {
    number(lines.iter().find(|line| line["body"].as_str().is_some_and(|body| body.contains(text))).unwrap(), "/record")
}

/// A list of what is withheld: the secret, and the price but for its author.
pub(super) fn withheld(place: &Place, lines: &[Value]) -> String {
    let (secret, price) = (record_of(lines, "the secret formula"), record_of(lines, "the redacted price"));
    place.file(
        "withheld.csv",
        &format!("record,action,reason\n{secret},withhold,Privileged <b>\n{price},redact,Price\n"),
    )
}

#[test]
fn every_record_has_its_place_on_a_page_that_runs_and_loads_nothing() {
    let (_server, place) = harbour();
    let due = lines(&place, "lines", &[]);
    export(&place, "html", "set", &["--tz", "Europe/Prague"]);
    let read = run_python("html_check.py", &place.path("set/data"));
    let shown: Vec<u64> = list(&read, "/records").iter().map(|seq| seq.as_u64().unwrap()).collect();
    assert_eq!(shown.len(), due.len(), "a record stands in one place");
    assert_eq!(shown.into_iter().collect::<BTreeSet<u64>>(), numbers(&due));

    let text = string(&read, "/text");
    for said in [
        "first wording here (https://a.example/?x=1&y=2)",
        "second wording",
        "goes and comes back",
        "Restored: it was there again",
        "a comment, first",
        "a comment, second",
        "a comment to remove",
        "שלום [U+202E]abc[U+202C] [U+0001][U+007F]end",
        "<script>alert(1)</script><img src=x onerror=alert(2)> <javascript:alert(3)|x>",
        "the end of it",
        ":tada: ",
        ":eyes: ",
        "Not in this set: its content is not in the archive.",
        "the secret formula",
        "[U+202E]evil[U+202C], \"Boss\" <x>",
        "as the server says",
        "Answers the message of 2017-03-20 09:58:20 +01:00 (1490000300.000001).",
        ":key: שרה [U+202E]evil[U+202C], \"Boss\" <x> (eva@harbour.example), 4 who are not named",
        "card [U+202E]turned",
        "of a field \u{200f}\u{5d0}\u{5d1} \u{61c}",
        "titled \u{201c}The tables of the tides\u{201d}",
        "in the conversation dock (",
        "Where no time of pinning is written, the server says none.",
        "good, and more",
    ] {
        assert!(text.contains(said), "no page says {said:?}");
    }
    let links = list(&read, "/answers").len();
    assert_eq!(links, 1, "an answer leads to its message where that is on the page");
    let old = text.split("as first read.").find(|piece| piece.contains("\ngood\n")).unwrap();
    let now = old.split("Version 2: ").nth(1).unwrap();
    assert!(now.starts_with("edited 2") && now.contains("as the server says"), "a comment has its own mark: {now}");
    assert!(!text.contains("which is not named"));
    assert!(string(&read, "/gone").contains("to be taken away"), "what is deleted is struck out");
    assert!(!string(&read, "/gone").contains("goes and comes back"), "what is back is not");
    assert_eq!(number(&read, "/pictures"), 1);

    // Two files of one name are two, and none lies where its name would have it.
    let files: Vec<String> = files_below(&place.path("set/data/files"))
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    let with = |ending: &str| files.iter().filter(|name| name.ends_with(ending)).count();
    assert_eq!((with("-same.txt"), with("-berths.txt"), with("-_CON"), with("-lost.doc")), (2, 2, 1, 0), "{files:?}");
    let exceptions = fs_err::read_to_string(place.path("set/EXCEPTIONS.csv")).unwrap();
    assert_eq!(exceptions.lines().filter(|line| line.starts_with("exception,")).count(), 1, "{exceptions}");
    assert!(exceptions.contains("replaced,") && !exceptions.contains("not carried"), "{exceptions}");
    let card = record_of(&due, "I have it");
    let is_of_card =
        |line: &&str| line.starts_with(&format!("replaced,{card},")) && line.contains(",1 characters that");
    assert_eq!(exceptions.lines().filter(is_of_card).count(), 1, "{exceptions}");
    assert!(exceptions.contains(",2 characters in names and the topic"), "{exceptions}");

    // With one file given once, the other place says where.
    export(&place, "html", "once", &["--dedupe"]);
    let read = run_python("html_check.py", &place.path("once/data"));
    let text = string(&read, "/text");
    let given = ["dock", "quay"].iter().any(|name| text.contains(&format!("is given in the conversation {name} (")));
    assert!(given && text.contains("File both.txt ("), "{text}");
}

#[test]
fn what_is_withheld_is_a_slip_sheet_and_volumes_stand_by_themselves() {
    let (_server, place) = harbour();
    let due = lines(&place, "lines", &[]);
    let list_of = withheld(&place, &due);
    export(&place, "html", "set", &["--withhold", &list_of]);
    let read = run_python("html_check.py", &place.path("set/data"));
    let text = string(&read, "/text");
    assert!(!text.contains("the secret formula") && !text.contains("the redacted price"));
    assert!(text.contains("(author withheld)"));
    let slips: Vec<Value> = list(&read, "/slips");
    assert!(
        slips.contains(&"[Withheld: Privileged <b>]".into()) && slips.contains(&"[Redacted: Price]".into()),
        "{slips:?}"
    );

    export(&place, "html", "volumes", &["--volume-size", "200k"]);
    let data = place.path("volumes/data");
    let (mut shown, mut volumes) = (BTreeSet::new(), 0);
    for volume in fs_err::read_dir(&data).unwrap() {
        let read = run_python("html_check.py", &volume.unwrap().path());
        shown.extend(list(&read, "/records").iter().map(|seq| seq.as_u64().unwrap()));
        volumes += 1;
    }
    assert!(volumes > 1, "{volumes}");
    assert_eq!(shown, numbers(&due));
}
