//! The load file of review platforms, read by Python's csv module and judged by the rules of the trade: no
//! gap in the numbers, whole families, files that are there and have the digests that are said.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use teamchat_archive::sandbox::Workspace;
use teamchat_archive::sandbox::seed::{Content, SeedFile, SeedMessage};
use teamchat_archive::sandbox::story;

use crate::cli::harness::python;
use crate::cli::harness::{DONE, INCOMPLETE, Outcome, Place, Server, USAGE, files_below, list, number, string};
use crate::served::crawled;

const ANN: &str = "ann@harbour.example";
const BOB: &str = "bob@harbour.example";
const EVA: &str = "eva@harbour.example";

/// A document: its fields, and `text`.
type Document = BTreeMap<String, String>;

/// What the reader says of a set.
struct Read {
    all: Value,
    documents: Vec<Document>,
}

impl Read {
    fn of(bag: &Path) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/thirdparty/dat_read.py");
        let output = Command::new(python()).arg("-B").arg(script).arg(bag.join("data")).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {stderr}", bag.display());
        let all: Value = serde_json::from_slice(&output.stdout).unwrap();
        let documents = serde_json::from_value(all["documents"].clone()).unwrap();
        Self { all, documents }
    }

    fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Document> {
        self.documents.iter().filter(move |document| document["DOCTYPE"] == kind)
    }

    /// The only document of a kind in whose text that stands.
    #[track_caller]
    fn the(&self, kind: &str, text: &str) -> &Document {
        let found: Vec<&Document> = self.of_kind(kind).filter(|document| document["text"].contains(text)).collect();
        assert_eq!(found.len(), 1, "{kind} documents with {text:?}: {found:?}");
        found[0]
    }

    /// The documents of files of that name.
    fn files(&self, name: &str) -> Vec<&Document> {
        self.of_kind("Chat file").filter(|document| document["FILENAME"] == name).collect()
    }
}

/// A harbour where much happened, and its archive.
struct Harbour {
    _server: Server,
    place: Place,
}

const BIG: usize = 1 << 20;
const LOST: &str = "bytes that will be missing";

impl Harbour {
    fn new() -> Self {
        let mut seed = crate::crawl::seed(12);
        seed.users[2].real_name = "Eva; þorn ® \u{202e}one".to_owned();
        seed.channels[0].topic = "tides ® and\nwinds".to_owned();
        let line = |text: &str, extra: &[(&str, &str)]| SeedMessage {
            channel: "quay".to_owned(),
            user: BOB.to_owned(),
            at: 1_490_000_200,
            text: text.to_owned(),
            extra: extra.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect(),
            ..SeedMessage::default()
        };
        seed.messages.push(line("a program says", &[("user", ""), ("username", ANN)]));
        let liked = SeedMessage { reactions: vec![("tea".to_owned(), EVA.to_owned())], ..line("liked", &[]) };
        seed.messages.push(SeedMessage { label: "liked".to_owned(), ..liked });
        seed.files.push(SeedFile {
            key: "both".to_owned(),
            name: "both.txt".to_owned(),
            title: "Both; of them".to_owned(),
            user: BOB.to_owned(),
            channels: vec!["dock".to_owned(), "quay".to_owned()],
            created: 1_490_000_250,
            content: Content::Bytes(b"in two".to_vec()),
            ..SeedFile::default()
        });
        for channel in ["dock", "quay"] {
            let (files, channel) = (vec!["both".to_owned()], channel.to_owned());
            seed.messages.push(SeedMessage { subtype: "file_share".to_owned(), files, channel, ..line("", &[]) });
        }
        let server = Server::start(seed);
        let place = Place::new();
        place.enrol(&server.ready);
        let workspace: Arc<Workspace> = server.running.workspace();
        let quay = workspace.channels().into_iter().find(|(_, name)| name == "quay").unwrap().0;
        let post = |user: &str, text: &str| workspace.post(&quay, user, text).unwrap();
        let (_, liked) = workspace.labelled("liked").unwrap();
        workspace.comment_message(&quay, &liked, ANN, "an answer to what is liked").unwrap();
        let edited = post(BOB, "first wording þ ® <https://a.example/?x=1&amp;y=2|here>");
        let deleted = post(EVA, "to be taken away, <@bob@harbour.example>");
        let restored = post(BOB, "goes and comes back");
        post(EVA, "שלום \u{202e}abc\u{202c} \u{1}\u{7f}end");
        post(BOB, &format!("{}\u{14}the end of it", "long line\n".repeat(BIG / 10)));
        post(BOB, "the secret formula");
        post(BOB, "the redacted price");
        let upload = |name: &str, bytes: &[u8]| workspace.upload(&quay, BOB, name, bytes.to_vec()).unwrap();
        let (plan, _) = upload("scheme.txt", b"plan, first");
        let first = workspace.comment(&plan, EVA, "a comment, first").unwrap();
        let second = workspace.comment(&plan, ANN, "a comment to remove").unwrap();
        for (name, bytes) in
            [("../../x", "dots"), ("CON", "device"), ("same.txt", "same one"), ("same.txt", "same two")]
        {
            upload(name, bytes.as_bytes());
        }
        upload("þ®name.pdf", b"no pdf at all");
        upload("lost.doc", LOST.as_bytes());
        upload("secret.xls", b"secret bytes");
        // The server dates changes of files and comments by the second: they come in a later one.
        let now = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let made = now();
        while now() == made {
            place.crawl();
        }
        workspace.edit(&quay, &edited, None, "second wording").unwrap();
        workspace.delete(&quay, &deleted, None).unwrap();
        workspace.delete(&quay, &restored, None).unwrap();
        workspace.replace_file(&plan, b"plan, second".to_vec()).unwrap();
        workspace.edit_comment(&first, "a comment, second").unwrap();
        workspace.delete_comment(&second).unwrap();
        workspace.react(&quay, &edited, EVA, "tada").unwrap();
        workspace.react(&quay, &liked, BOB, "tada").unwrap();
        workspace.pin(&quay, &edited, BOB, true).unwrap();
        place.run(&["crawl", "--full", "--json"]).expect(DONE);
        workspace.restore(&quay, &restored).unwrap();
        place.run(&["crawl", "--full", "--json"]).expect(DONE);
        let lost = files_below(&place.archive())
            .into_iter()
            .find(|path| fs_err::read(path).is_ok_and(|bytes| bytes == LOST.as_bytes()))
            .unwrap();
        fs_err::remove_file(lost).unwrap();
        Self { _server: server, place }
    }

    fn export(&self, name: &str, more: &[&str]) -> Read {
        export(&self.place, name, more);
        Read::of(&self.place.path(name))
    }
}

fn export(place: &Place, name: &str, more: &[&str]) -> Value {
    let mut args = vec!["export", "--format", "dat", "--output", name, "--json"];
    args.extend(more);
    let outcome: Outcome = place.run(&args);
    assert!([DONE, INCOMPLETE].contains(&outcome.code), "{outcome}");
    let report = outcome.json();
    assert_eq!(report["balanced"], true, "{report}");
    report
}

#[test]
fn everything_that_happened_is_in_the_load_file() {
    let harbour = Harbour::new();
    let read = harbour.export("set", &["--tz", "Europe/Prague", "--date-format", "MM/DD/YYYY"]);
    assert_eq!(read.documents[0]["BEGBATES"], "TCA00000001");
    assert_eq!(read.all["volumes"], serde_json::json!(["VOL001"]));

    let edited = read.the("Chat message", "first wording");
    assert_eq!((edited["EDITED"].as_str(), edited["VERSIONS"].as_str(), edited["DELETED"].as_str()), ("Y", "2", "N"));
    for text in ["second wording", "first wording þ ® here <https://a.example/?x=1&y=2>", "replaced later"] {
        assert!(edited["text"].contains(text), "{text:?}: {}", edited["text"]);
    }
    assert_eq!(edited["REACTIONS"], format!(":tada: Eva; thorn (R) \u{202e}one ({EVA})"));
    let liked = read.the("Chat message", "\nliked\n");
    assert!(liked["REACTIONS"].contains(":tea:") && liked["REACTIONS"].contains(":tada:"), "{liked:?}");
    // The reactions that it had when it was first seen are told, too.
    let told: Vec<&str> = liked["text"].lines().filter(|line| line.starts_with("Reactions: ")).collect();
    assert!(told.len() == 2 && !told[0].contains("tada") && told[1].contains("tada"), "{told:?}");
    let answer = read.the("Chat message", "an answer to what is liked");
    assert_eq!((&answer["ANSWERS"], &answer["THREADID"]), (&liked["ITEMID"], &liked["ITEMID"]));
    let bot = read.the("Chat message", "a program says");
    assert_eq!((bot["FROM"].as_str(), bot["AUTHORID"].as_str()), (ANN, ""));
    assert_eq!(edited["FROM"], "Person bob <bob@harbour.example>");
    assert_eq!(edited["CHANNELTOPIC"], "tides (R) and\nwinds");
    let day = edited["DATESENT"].as_bytes();
    assert!(day.len() == 10 && day[2] == b'/' && day[5] == b'/', "{}", edited["DATESENT"]);
    let old = read.the("Chat message", "quay line 0\n");
    assert_eq!(
        (old["DATESENT"].as_str(), old["TIMESENT"].as_str(), old["UTCOFFSET"].as_str()),
        ("03/20/2017", "09:55:00", "+01:00")
    );
    assert_eq!(old["SENTUTC"], "2017-03-20T08:55:00.000Z");

    let gone = read.the("Chat message", "to be taken away, @Person bob");
    assert_eq!(gone["DELETED"], "Y");
    assert!(gone["text"].contains("Deletion: deleted ") && gone["DELETEDWHEN"].starts_with("deleted "), "{gone:?}");
    assert_eq!(gone["FROM"], "Eva; thorn (R) \u{202e}one <eva@harbour.example>");
    let back = read.the("Chat message", "goes and comes back");
    assert_eq!((back["DELETED"].as_str(), back["RESTORED"].as_str()), ("N", "Y"));
    assert!(
        back["text"].contains("Gone (record ") && back["text"].contains("Back, as it was before"),
        "{}",
        back["text"]
    );

    assert!(read.the("Chat message", "\u{14}the end of it")["text"].len() > BIG);
    read.the("Chat message", "שלום \u{202e}abc\u{202c} \u{1}\u{7f}end");
    let direct: Vec<&Document> = read.of_kind("Chat message").filter(|it| it["CONVERSATIONTYPE"] == "direct").collect();
    assert_eq!(direct.len(), 5);
    assert!(
        direct.iter().all(|it| it["TO"] == "Person ann <ann@harbour.example>" && it["DUPCUSTODIAN"] == ANN),
        "{direct:?}"
    );

    let plans = read.files("scheme.txt");
    assert_eq!(plans.iter().map(|it| it["FILESIZE"].as_str()).collect::<Vec<_>>(), ["11", "12"]);
    assert_eq!(plans.iter().map(|it| !it["DATEMOD"].is_empty()).collect::<Vec<_>>(), [false, true]);
    let both = read.files("both.txt");
    assert_eq!(both.iter().map(|it| it["TITLE"].as_str()).collect::<Vec<_>>(), ["Both; of them"; 2]);
    let comment = read.the("Chat comment", "a comment, second");
    assert!(comment["text"].contains("a comment, first"), "{}", comment["text"]);
    assert_eq!((comment["EDITED"].as_str(), comment["EDITEDUTC"].is_empty()), ("Y", false));
    assert_eq!(comment["PARENTBATES"], plans[1]["BEGBATES"]);
    assert_eq!(comment["BEGATTACH"], plans[0]["PARENTBATES"]);
    let removed = read.the("Chat comment", "a comment to remove");
    assert_eq!(removed["DELETED"], "Y");
    let pins = read.of_kind("Chat pins").collect::<Vec<_>>();
    let is_whole =
        |it: &&Document| it["text"].contains("wording") && it["text"].contains(&format!("by Person bob ({BOB})"));
    assert!(pins.iter().any(is_whole), "{pins:?}");

    let same: Vec<&str> = read.files("same.txt").iter().map(|it| it["NATIVEPATH"].as_str()).collect();
    assert!(same.len() == 2 && same[0] != same[1], "{same:?}");
    for (name, ending) in [("../../x", ".bin"), ("CON", ".bin"), ("th(R)name.pdf", ".pdf")] {
        let found = read.files(name);
        assert_eq!(found.len(), 1, "{name}");
        assert!(found[0]["NATIVEPATH"].ends_with(&format!("{}{ending}", found[0]["BEGBATES"])), "{:?}", found[0]);
    }
    let lost = read.files("lost.doc");
    assert_eq!((lost[0]["NATIVEPATH"].as_str(), lost[0]["PAGECOUNT"].as_str()), ("", "1"));
    assert_eq!(lost[0]["CONTENTSTATUS"], "its content is not in the archive");
    let exceptions = fs_err::read_to_string(harbour.place.path("set/EXCEPTIONS.csv")).unwrap();
    assert_eq!(exceptions.lines().filter(|line| line.starts_with("exception,")).count(), 1, "{exceptions}");
    assert!(exceptions.contains("replaced,") && exceptions.contains("2 in FILENAME"), "{exceptions}");
    // One of them is the semicolon in Eva's name.
    assert!(
        exceptions.contains("the participants file can't hold were replaced: 1 in CHANNELTOPIC, 3 in PARTICIPANTS")
    );

    let records: usize = read.documents.iter().map(|it| it["RECORDS"].split("; ").count()).sum();
    let accounted = harbour.place.run(&["export", "--format", "jsonl", "--output", "plain", "--json"]).json();
    assert_eq!(number(&accounted, "/records"), records as u64);
    assert!(list(&read.all, "/participants").iter().any(|it| string(it, "/PARTICIPANTS").matches('@').count() == 3));
}

#[test]
fn what_is_withheld_keeps_its_number_and_shows_nothing() {
    let harbour = Harbour::new();
    let whole = harbour.export("whole", &[]);
    let record = |document: &Document| document["RECORDS"].split("; ").next().unwrap().to_owned();
    let secret = whole.the("Chat message", "the secret formula");
    let price = whole.the("Chat message", "the redacted price");
    let sheet = whole.files("secret.xls")[0];
    let (secret, price, sheet) = (secret.clone(), price.clone(), sheet.clone());
    let bot = whole.the("Chat message", "a program says").clone();
    let lines = format!(
        "record,action,reason\n{},withhold,advice þ of counsel\n{},redact,a price\n{},withhold,trade secret\n{},redact,a program\n",
        record(&secret),
        record(&price),
        record(&sheet),
        record(&bot)
    );
    let file = harbour.place.file("withheld.csv", &lines);
    let read = harbour.export("shown", &["--withhold", &file]);
    assert_eq!(read.documents.len(), whole.documents.len());
    let find = |bates: &str| read.documents.iter().find(|document| document["BEGBATES"] == bates).unwrap();
    let now = find(&secret["BEGBATES"]);
    assert_eq!((now["FROM"].as_str(), now["AUTHORID"].as_str(), now["CUSTODIAN"].as_str()), ("", "", ""));
    assert_eq!((now["WITHHELD"].as_str(), now["PAGECOUNT"].as_str()), ("withhold", "1"));
    assert_eq!(now["WITHHELDREASON"], "advice th of counsel");
    assert!(now["text"].contains("[Withheld: advice þ of counsel]") && !now["text"].contains("From:"), "{now:?}");
    let now = find(&price["BEGBATES"]);
    assert_eq!((now["FROM"].as_str(), now["WITHHELD"].as_str()), (price["FROM"].as_str(), "redact"));
    assert!(now["text"].contains("[Redacted: a price]"), "{now:?}");
    let now = find(&bot["BEGBATES"]);
    assert_eq!((now["FROM"].as_str(), now["AUTHORID"].as_str(), now["WITHHELD"].as_str()), (ANN, "", "redact"));
    let now = find(&sheet["BEGBATES"]);
    assert_eq!(
        (now["NATIVEPATH"].as_str(), now["FILENAME"].as_str(), now["CONTENTSTATUS"].as_str()),
        ("", "", "withheld")
    );
    for path in files_below(&harbour.place.path("shown/data")) {
        let bytes = fs_err::read(&path).unwrap();
        for word in ["secret formula", "redacted price", "secret bytes", "secret.xls"] {
            let holds = bytes.windows(word.len()).any(|window| window == word.as_bytes());
            assert!(!holds, "{} says {word:?}", path.display());
        }
    }
}

#[test]
fn a_file_that_is_given_elsewhere_is_named_where_it_stands_too() {
    let harbour = Harbour::new();
    let read = harbour.export("once", &["--dedupe"]);
    let file = &read.files("both.txt")[0];
    let elsewhere: Vec<&Document> = read.documents.iter().filter(|it| !it["FILESELSEWHERE"].is_empty()).collect();
    assert_eq!(elsewhere.len(), 1, "{elsewhere:?}");
    let told = format!("{} in {}", file["ITEMID"], file["CONVERSATIONID"]);
    assert_eq!(elsewhere[0]["FILESELSEWHERE"], told);
    assert!(elsewhere[0]["text"].contains(&format!("File given in another conversation: {told}")), "{elsewhere:?}");
}

#[test]
fn numbers_go_on_over_volumes() {
    let harbour = Harbour::new();
    let read = harbour.export("set", &["--volume-size", "100k", "--bates-prefix", "AB-", "--bates-start", "99999990"]);
    assert!(list(&read.all, "/volumes").len() > 1, "{:?}", read.all["volumes"]);
    assert_eq!(read.documents[0]["BEGBATES"], "AB-99999990");
    assert_eq!(read.documents[10]["BEGBATES"], "AB-100000000");
    for prefix in ["a/b", "..", "ž"] {
        let args = ["export", "--format", "dat", "--output", "no", "--bates-prefix", prefix];
        harbour.place.run(&args).expect_error(USAGE, &["can't begin a Bates number"]);
        assert!(!harbour.place.path("no.partial").exists());
    }
}

/// Every file below a folder with its bytes.
fn tree(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let name = |path: &Path| path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
    files_below(folder).iter().map(|path| (name(path), fs_err::read(path).unwrap())).collect()
}

#[test]
fn a_run_that_was_killed_goes_on_to_the_same_bytes() {
    let (_server, place) = crawled(story::seed());
    let more = ["--volume-size", "600k"];
    export(&place, "whole", &more);
    let partial = place.path("cut.partial");
    let mut args = vec!["export", "--format", "dat", "--output", "cut", "--json"];
    args.extend(more);
    let mut started = place.start(&args);
    while fs_err::metadata(partial.join("work/marks.ndjson")).map_or(0, |marks| marks.len()) == 0 {
        assert!(!started.ends_within(Duration::from_millis(1)), "it ended before it noted how far it was");
    }
    started.kill();
    drop(started);
    let first = partial.join("data/VOL001/TEXT/0001/TCA00000001.txt");
    let written = fs_err::metadata(&first).unwrap().modified().unwrap();
    export(&place, "cut", &more);
    let kept = place.path("cut/data/VOL001/TEXT/0001/TCA00000001.txt");
    assert_eq!(fs_err::metadata(kept).unwrap().modified().unwrap(), written, "it began anew");
    let (whole, cut) = (tree(&place.path("whole/data")), tree(&place.path("cut/data")));
    assert_eq!(whole.keys().collect::<Vec<_>>(), cut.keys().collect::<Vec<_>>());
    let other: Vec<&String> =
        whole.iter().filter(|(name, bytes)| cut[*name] != **bytes).map(|(name, _)| name).collect();
    assert!(other.is_empty(), "{other:?}");
    let read = Read::of(&place.path("cut"));
    assert!(list(&read.all, "/volumes").len() > 2 && read.documents.len() > 900, "{:?}", read.all["volumes"]);
}
