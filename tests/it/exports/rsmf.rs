//! Files of RSMF, parsed by Python's `email`, held against the published schema by `jsonschema`, and against
//! the warnings of the validator by a check of our own: they have no defect, no error and no warning.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use teamchat_archive::sandbox::seed::SeedMessage;
use teamchat_archive::sandbox::story;

use crate::cli::harness::python;
use crate::cli::harness::{DONE, INCOMPLETE, Place, Server, aloud, files_below, list, number, string};
use crate::served::crawled;

const ANN: &str = "ann@harbour.example";
const BOB: &str = "bob@harbour.example";
const EVA: &str = "eva@harbour.example";
const MIB: usize = 1 << 20;
const LOST: &str = "bytes that will be missing";
const RTL_NAME: &str = "שרה \u{202e}evil\u{202c}, \"Boss\" <x>";

/// The folder of the schema and the samples; `None`, said aloud, where it is missing and not required.
fn formats() -> Option<PathBuf> {
    let data = std::env::var_os("TEAMCHAT_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from);
    let folder = data.join("formats");
    if folder.exists() {
        return Some(folder);
    }
    let is_required = std::env::var("TEAMCHAT_DATA_REQUIRED").is_ok_and(|value| value == "1");
    let text = format!("NOT TESTED: no schema of RSMF at {} (TEAMCHAT_DATA names its folder)", folder.display());
    assert!(!is_required, "{text}");
    aloud(&text);
    None
}

fn run_python(script: &str, args: &[&Path]) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/thirdparty").join(script);
    let output = Command::new(python()).arg("-B").arg(&script).args(args).output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let shown: String = stdout.chars().rev().take(3000).collect::<Vec<_>>().into_iter().rev().collect();
    assert!(output.status.success(), "{}: {stderr}\n{shown}", script.display());
    serde_json::from_str(&stdout).unwrap()
}

/// Exports, checks every file and returns the report of the export and what was read.
fn export(place: &Place, formats: &Path, name: &str, more: &[&str]) -> (Value, Value) {
    let mut args = vec!["export", "--format", "rsmf", "--output", name, "--json"];
    args.extend(more);
    let outcome = place.run(&args);
    assert!([DONE, INCOMPLETE].contains(&outcome.code), "{outcome}");
    let report = outcome.json();
    assert_eq!(report["balanced"], true, "{report}");
    let (schema, data) = (formats.join("rsmf_schema_2_0_0.json"), place.path(name).join("data"));
    let read = run_python("rsmf_check.py", &[Path::new("--whole"), &schema, &data]);
    assert_eq!(read["problems"], serde_json::json!([]));
    let others: Vec<PathBuf> =
        files_below(&data).into_iter().filter(|path| path.extension().is_none_or(|ending| ending != "rsmf")).collect();
    assert!(others.is_empty(), "{others:?}");
    (report, read)
}

/// The one event of the conversation whose body holds a text.
#[track_caller]
fn event(read: &Value, text: &str) -> Value {
    let is_it = |event: &Value| event["type"] != "unknown" && string(event, "/body").contains(text);
    let found: Vec<Value> = events(read).into_iter().filter(is_it).collect();
    assert_eq!(found.len(), 1, "events that say {text:?}: {found:?}");
    found[0].clone()
}

fn events(read: &Value) -> Vec<Value> {
    list(read, "/read").iter().flat_map(|file| list(file, "/manifest/events")).collect()
}

/// A custom pair of an event; empty without one.
fn pair(event: &Value, name: &str) -> String {
    let pairs = event["custom"].as_array().cloned().unwrap_or_default();
    pairs.iter().find(|pair| pair["name"] == name).map(|pair| string(pair, "/value")).unwrap_or_default()
}

/// The pairs of an event whose name begins so.
fn pairs(event: &Value, name: &str) -> Vec<String> {
    let pairs = event["custom"].as_array().cloned().unwrap_or_default();
    pairs.iter().filter(|pair| string(pair, "/name").starts_with(name)).map(|pair| string(pair, "/value")).collect()
}

/// A harbour where much happened, and its archive.
fn harbour() -> (Server, Place) {
    let mut seed = crate::crawl::seed(12);
    seed.users[2].real_name = RTL_NAME.to_owned();
    seed.channels[0].topic = "tides and\nwinds, \"all\"".to_owned();
    seed.messages.push(SeedMessage {
        channel: "quay".to_owned(),
        user: BOB.to_owned(),
        at: 1_490_000_200,
        text: "a program says".to_owned(),
        extra: vec![("user".to_owned(), "".into()), ("username".to_owned(), ANN.into())],
        ..SeedMessage::default()
    });
    // Eva posts on the dock and is no member there.
    seed.channels[1].members.retain(|member| member != EVA);
    let server = Server::start(seed);
    let place = Place::new();
    place.enrol(&server.ready);
    let workspace = server.running.workspace();
    let quay = workspace.channels().into_iter().find(|(_, name)| name == "quay").unwrap().0;
    let post = |user: &str, text: &str| workspace.post(&quay, user, text).unwrap();
    let edited = post(BOB, "first wording <https://a.example/?x=1&amp;y=2|here> <@eva@harbour.example>");
    let deleted = post(EVA, "to be taken away");
    let restored = post(BOB, "goes and comes back");
    post(EVA, "שלום \u{202e}abc\u{202c} \u{1}\u{7f}end\r\n--=_rsmf_\r\n.\r\n");
    post(BOB, &format!("{} the end of it", "long line\n".repeat(MIB / 10)));
    let secret = post(BOB, "the secret formula");
    post(EVA, "the redacted price");
    let upload = |name: &str, bytes: &[u8]| workspace.upload(&quay, BOB, name, bytes.to_vec()).unwrap();
    let (plan, _) = upload("plan.txt", b"plan, first");
    let first = workspace.comment(&plan, EVA, "a comment, first").unwrap();
    let second = workspace.comment(&plan, ANN, "a comment to remove").unwrap();
    for (name, bytes) in [("../../x", "dots"), ("CON", "device"), ("same.txt", "same one"), ("same.txt", "same two")] {
        upload(name, bytes.as_bytes());
    }
    upload("žluť\u{202e}fdp.exe", b"");
    upload("lost.doc", LOST.as_bytes());
    upload("secret.xls", b"secret bytes");
    place.crawl();
    workspace.edit(&quay, &edited, Some(ANN), "second wording").unwrap();
    workspace.edit(&quay, &secret, None, "the secret formula, corrected").unwrap();
    workspace.delete(&quay, &deleted, None).unwrap();
    workspace.delete(&quay, &restored, None).unwrap();
    workspace.replace_file(&plan, b"plan, second".to_vec()).unwrap();
    workspace.edit_comment(&first, "a comment, second").unwrap();
    workspace.delete_comment(&second).unwrap();
    workspace.react(&quay, &edited, EVA, "tada").unwrap();
    workspace.pin(&quay, &edited, BOB, true).unwrap();
    place.run(&["crawl", "--full", "--json"]).expect(DONE);
    workspace.unreact(&quay, &edited, EVA).unwrap();
    workspace.react(&quay, &edited, BOB, "eyes").unwrap();
    workspace.restore(&quay, &restored).unwrap();
    workspace.leave(&quay, EVA).unwrap();
    workspace.set_topic(&quay, BOB, "calm").unwrap();
    place.run(&["crawl", "--full", "--json"]).expect(DONE);
    let lost = files_below(&place.archive())
        .into_iter()
        .find(|path| fs_err::read(path).is_ok_and(|bytes| bytes == LOST.as_bytes()))
        .unwrap();
    fs_err::remove_file(lost).unwrap();
    (server, place)
}

#[test]
fn everything_that_happened_is_in_the_files_and_nothing_warns() {
    let Some(formats) = formats() else { return };
    let (_server, place) = harbour();
    let (report, read) = export(&place, &formats, "set", &["--tz", "Europe/Prague"]);
    assert_eq!(number(&report, "/units"), number(&read, "/files"));

    let edited = event(&read, "second wording");
    let edits = list(&edited, "/edits");
    assert_eq!(edits.len(), 1);
    assert_eq!(string(&edits[0], "/participant"), ANN);
    assert_eq!(string(&edits[0], "/new"), "second wording");
    assert_eq!(string(&edits[0], "/previous"), format!("first wording here <https://a.example/?x=1&y=2> @{RTL_NAME}"));
    assert!(["+01:00", "+02:00"].contains(&&string(&edits[0], "/timestamp")[26..]), "{edited}");
    assert_eq!(edited["reactions"], serde_json::json!([{"value": "eyes", "count": 1, "participants": [BOB]}]));
    let lists = pairs(&edited, "reactions_in_record_");
    assert!(lists.iter().any(|list| list.contains(":tada: ")), "{lists:?}");
    assert!(!pair(&edited, "record").is_empty() && !pair(&edited, "record_2").is_empty(), "{edited}");
    assert_eq!(pair(&edited, "version_2"), "2");
    assert!(!pair(&edited, "ts").is_empty() && !pair(&edited, "observed_at_2").is_empty(), "{edited}");

    let gone = event(&read, "to be taken away");
    assert_eq!(gone["deleted"], true);
    assert!(pair(&gone, "note_2").starts_with("deleted "), "{gone}");
    let back = event(&read, "goes and comes back");
    assert!(back.get("deleted").is_none(), "{back}");
    assert!(
        pair(&back, "note_2").starts_with("deleted ") && pair(&back, "note_3").starts_with("there again"),
        "{back}"
    );

    assert!(string(&event(&read, "the end of it"), "/body").len() > MIB);
    assert!(string(&event(&read, "שלום"), "/body").starts_with("שלום \u{202e}abc\u{202c} \u{1}\u{7f}end"));

    // Both versions of the file, with their contents, on one event; its comments hang on it.
    let has_two = |event: &Value| event["attachments"].as_array().is_some_and(|files| files.len() == 2);
    let plan = events(&read).into_iter().find(has_two).unwrap();
    let told: Vec<(String, u64)> =
        list(&plan, "/attachments").iter().map(|file| (string(file, "/display"), number(file, "/size"))).collect();
    assert_eq!(told, [("plan.txt".to_owned(), 11), ("plan.txt".to_owned(), 12)]);
    let comment = events(&read)
        .into_iter()
        .find(|event| event["body"] == "a comment, second" && !pair(event, "comment_on_file").is_empty())
        .unwrap();
    assert_eq!(comment["parent"], plan["id"]);
    assert_eq!(comment["edits"][0]["previous"], "a comment, first");
    assert_eq!(comment["edits"][0]["participant"], "teamchat-archive:not-stated");
    let removed = events(&read)
        .into_iter()
        .find(|event| event["body"] == "a comment to remove" && !pair(event, "comment_on_file").is_empty())
        .unwrap();
    assert_eq!(removed["deleted"], true);

    // Names of people are no paths, and two files of one name are two.
    let attached: Vec<Value> =
        events(&read).iter().flat_map(|event| event["attachments"].as_array().cloned().unwrap_or_default()).collect();
    for (name, count) in [("../../x", 1), ("CON", 1), ("same.txt", 2), ("žluť\u{202e}fdp.exe", 1)] {
        let found: Vec<&Value> = attached.iter().filter(|file| file["display"] == name).collect();
        assert_eq!(found.len(), count, "{name}");
    }
    assert!(attached.iter().all(|file| {
        let id = string(file, "/id");
        id.is_ascii() && id.chars().all(|c| !c.is_control() && !"/\\:".contains(c))
    }));
    let exceptions = fs_err::read_to_string(place.path("set/EXCEPTIONS.csv")).unwrap();
    let missing: Vec<&str> = exceptions.lines().filter(|line| line.starts_with("exception,")).collect();
    assert!(missing.len() == 1 && missing[0].contains("not in the archive"), "{exceptions}");
    assert!(!exceptions.contains("not carried"), "{exceptions}");

    // Who acts and is not there joins by our hand, and it says so; who leaves, leaves.
    let joins: Vec<Value> =
        events(&read).into_iter().filter(|event| pair(event, "added_by_exporter") == "yes").collect();
    assert!(joins.iter().any(|join| join["participant"] == EVA && join["type"] == "join"), "{joins:?}");
    // A name that a program gives itself is nobody's id, though it looks like one.
    let bot = event(&read, "a program says");
    assert_eq!(bot["participant"], format!("posted-as:{ANN}"));
    let people: Vec<Value> =
        list(&read, "/read").iter().flat_map(|file| list(file, "/manifest/participants")).collect();
    let bots: Vec<&Value> = people.iter().filter(|person| person["id"] == bot["participant"]).collect();
    assert!(!bots.is_empty() && bots.iter().all(|bot| bot["display"] == ANN && bot.get("email").is_none()), "{bots:?}");
    assert_eq!(number(&read, "/joins_added"), joins.len() as u64);
    assert!(number(&read, "/types/leave") > 0 && number(&read, "/types/history") > 0, "{}", read["types"]);
    let pins = events(&read).into_iter().find(|event| event["type"] == "unknown").unwrap();
    assert!(string(&pins, "/body").contains("wording"), "{pins}");
    assert!(string(&pins, "/body").contains("by Person bob (bob@harbour.example)"), "{pins}");
    assert!(pair(&pins, "timestamp_is").contains("the source gives no time"), "{pins}");

    // The text for reviewers says what the manifest says, and turns nothing around.
    let file = list(&read, "/read").into_iter().find(|file| string(file, "/text").contains("second wording")).unwrap();
    let text = string(&file, "/text");
    assert!(
        text.contains("[U+202E]abc") && !text.contains('\u{202e}') && text.contains("before:"),
        "it is {text:.400}"
    );
    assert_eq!(string(&file, "/headers/X-RSMF-Application"), "TeamChat");
    assert!(file["headers"].get("X-RSMF-Participants").is_none(), "a name of the quay can't stand there");
    let direct =
        list(&read, "/read").into_iter().find(|file| file["manifest"]["conversations"][0]["type"] == "direct").unwrap();
    assert_eq!(direct["manifest"]["conversations"][0]["custodian"], ANN);
    assert_eq!(string(&direct, "/headers/X-RSMF-Custodian"), "Person ann");
    assert_eq!(string(&direct, "/headers/From"), "Person bob <bob@harbour.example>");

    // A good file, broken in many ways, and the samples of the makers.
    let good = list(&read, "/read").into_iter().find(|file| string(file, "/text").contains("second wording")).unwrap();
    let good = PathBuf::from(string(&good, "/file"));
    let broken =
        run_python("rsmf_break.py", &[&formats.join("rsmf_schema_2_0_0.json"), &formats.join("rsmf_samples"), &good]);
    assert!(number(&broken, "/broken") > 50, "{broken}");
}

#[test]
fn what_is_withheld_shows_nothing() {
    let Some(formats) = formats() else { return };
    let (_server, place) = harbour();
    let (_, whole) = export(&place, &formats, "whole", &[]);
    let secret = pair(&event(&whole, "the secret formula"), "record");
    let price = pair(&event(&whole, "the redacted price"), "record");
    let sheet = events(&whole).iter().flat_map(|event| pairs(event, "file_")).find(|text| text.contains("secret.xls"));
    let sheet = sheet.unwrap().split("record ").nth(1).unwrap().split(',').next().unwrap().to_owned();
    let lines = format!(
        "record,action,reason\n{secret},withhold,advice of counsel\n{price},redact,a price\n{sheet},withhold,trade secret\n"
    );
    let file = place.file("withheld.csv", &lines);
    let (report, read) = export(&place, &formats, "shown", &["--withhold", &file]);
    assert!(number(&report, "/withheld") >= 3, "{report}");
    let slip = event(&read, "[Withheld: advice of counsel]");
    assert_eq!(slip["participant"], "teamchat-archive:not-stated");
    assert_eq!(pair(&slip, "record"), secret);
    assert_eq!(pairs(&slip, "change_in_record_"), Vec::<String>::new(), "what changed in what is withheld");
    assert_eq!((pairs(&slip, "record").len(), slip.get("edits")), (2, None));
    assert_eq!(event(&read, "[Redacted: a price]")["participant"], EVA);
    let told = read["read"].to_string();
    for word in ["secret formula", "redacted price", "secret.xls"] {
        assert!(!told.contains(word), "{word}");
    }
    assert!(told.contains("[Withheld: trade secret]"));
    let digest = teamchat_archive::model::Digest::of(b"secret bytes").to_string();
    assert!(whole["read"].to_string().contains(&digest) && !told.contains(&digest));
}

#[test]
fn a_story_is_told_without_a_warning() {
    let Some(formats) = formats() else { return };
    let (_server, place) = crawled(story::seed());
    let (report, read) = export(&place, &formats, "set", &["--tz", "Asia/Kolkata"]);
    assert_eq!(number(&report, "/units"), number(&read, "/files"));
    assert!(number(&read, "/attachments") > 20, "{}", read["types"]);
    let (_, once) = export(&place, &formats, "once", &["--dedupe"]);
    let elsewhere: Vec<String> =
        events(&once).iter().flat_map(|event| pairs(event, "files_given_in_another_conversation")).collect();
    assert!(!elsewhere.is_empty() && elsewhere.iter().all(|place| place.contains(" in ")), "{elsewhere:?}");
}
