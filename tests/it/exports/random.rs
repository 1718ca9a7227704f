//! Whatever people did, every version, deletion and content of it is in a set of each format, or in its list of
//! what is not: workspaces in which a random week happens, every text of which has a word of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use teamchat_archive::model::{RecordSeq, json};
use teamchat_archive::record::{Kind, Record, State};
use teamchat_archive::sandbox::Workspace;
use teamchat_archive::sandbox::seed::Seed;
use teamchat_archive::store::{Layout, Reader};

use super::harness::{DONE, INCOMPLETE, Place, Server, aloud, python};
use super::play::Dice;
use super::town;

/// Every format whose parts are text, files, mails or zips; `native` has a test of its own.
const FORMATS: [&str; 10] = ["rsmf", "dat", "eml", "html", "csv", "jsonl", "slack", "mbox", "actiance", "atom"];
const PEOPLE: [&str; 3] = [town::ANN, town::BOB, town::EVA];
/// Passes, and what happens before each.
const PASSES: usize = 4;
const STEPS: usize = 45;

/// Plays the workspace of that number, archives it and takes it apart again.
pub(crate) fn conserves(number: u64) {
    let server = Server::start(Seed { account: town::ANN.to_owned(), ..town::seed(9) });
    let place = Place::new();
    place.enrol(&server.ready);
    let mut week = Week { dice: Dice::new(number), ..Week::default() };
    for pass in 0..PASSES {
        for _ in 0..STEPS {
            week.step(&server.running.workspace());
        }
        let flags: &[&str] = if pass == 0 { &["crawl", "--json"] } else { &["crawl", "--full", "--json"] };
        place.run(flags).expect(DONE);
    }
    let reader = Reader::open(&Layout::new(place.archive())).unwrap();
    let all: BTreeMap<u64, Record> =
        (0..reader.head().unwrap()).map(|seq| (seq, reader.record(RecordSeq(seq)).unwrap())).collect();
    for format in FORMATS {
        let context = format!("workspace {number}, {format}");
        let more: &[&str] = if week.dice.one_in(3) { &["--volume-size", "200k"] } else { &[] };
        let outcome = place.run(&[&["export", "--json", "--format", format, "--output", format], more].concat());
        assert!([DONE, INCOMPLETE].contains(&outcome.code), "{context}: {outcome}");
        let report = outcome.json();
        assert_eq!(report["balanced"], true, "{context}: {report}");
        check(&place.path(format), format, &all, &context);
        judge(&place, format, &context);
    }
    place.verified();
}

/// Others read the set: its own checker, bagit, and whoever reads the format.
fn judge(place: &Place, format: &str, context: &str) {
    let bag = place.path(format);
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/thirdparty");
    let run = |script: &Path, args: &[&Path]| -> String {
        let output = Command::new(python()).arg("-B").arg(script).args(args).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        assert!(output.status.success(), "{context}, {}: {text}", script.display());
        text
    };
    run(&bag.join("verify.py"), &["--key".as_ref(), &place.keys().join("ledger.vkey"), &bag]);
    run(&scripts.join("bagit_read.py"), &[&bag]);
    let data = bag.join("data");
    let script = match format {
        "eml" | "mbox" => "mail_check.py",
        "html" => "html_check.py",
        "dat" => "dat_read.py",
        "actiance" => "actiance_tree.py",
        "rsmf" => "rsmf_check.py",
        _ => return,
    };
    let schema = std::env::var_os("TEAMCHAT_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from)
        .join("formats/rsmf_schema_2_0_0.json");
    if format == "rsmf" {
        if schema.exists() {
            run(&scripts.join(script), &[&schema, &data]);
        } else {
            aloud("NOT TESTED: the schema of RSMF on random workspaces (it is not there)");
        }
        return;
    }
    // Each volume of pages has an index of its own.
    let parts = if format == "html" { volumes(&data) } else { vec![data] };
    for part in parts {
        let said = run(&scripts.join(script), &[&part]);
        if ["mail_check.py", "html_check.py"].contains(&script) {
            let said: Value = serde_json::from_str(&said).unwrap();
            assert_eq!(said["problems"], serde_json::json!([]), "{context}, {}", part.display());
        }
    }
}

/// The volumes of a payload, or all of it when it has none.
fn volumes(data: &Path) -> Vec<PathBuf> {
    let folders = fs_err::read_dir(data).unwrap().map(|entry| entry.unwrap().path());
    let volumes: Vec<PathBuf> =
        folders.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("VOL"))).collect();
    if volumes.is_empty() { vec![data.to_owned()] } else { volumes }
}

/// The set names every record that is due, or lists it; each word and each content of those it does not list is
/// somewhere in it.
fn check(bag: &Path, format: &str, all: &BTreeMap<u64, Record>, context: &str) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/thirdparty/conserved.py");
    let output = Command::new(python()).arg("-B").arg(script).arg(format).arg(bag.join("data")).output().unwrap();
    assert!(output.status.success(), "{context}: {}", String::from_utf8_lossy(&output.stderr));
    let held: Value = serde_json::from_slice(&output.stdout).unwrap();
    let strings = |name: &str| -> BTreeSet<String> { serde_json::from_value(held[name].clone()).unwrap() };
    let (words, contents, gone, back) = (strings("words"), strings("contents"), strings("gone"), strings("back"));
    let named: BTreeSet<u64> = serde_json::from_value(held["records"].clone()).unwrap();
    let listed = listed(bag);
    let due: BTreeMap<&u64, &Record> = all.iter().filter(|(_, record)| is_due(record)).collect();
    let mut latest: BTreeMap<(Kind, Option<String>, String), BTreeSet<String>> = BTreeMap::new();
    let mut lost = Vec::new();
    for (seq, record) in &due {
        let header = &record.header;
        let subject = (header.kind, header.channel.clone(), header.key.clone());
        let own = own_words(record);
        if header.state == State::Present {
            latest.insert(subject.clone(), own.clone());
        }
        if listed.contains(seq) {
            continue;
        }
        let is_named = if format == "actiance" {
            let before = latest.get(&subject);
            header.state == State::Present || before.is_none_or(|own| own.is_subset(&gone) || own.is_subset(&back))
        } else {
            named.contains(seq)
        };
        let is_there = own.is_subset(&words)
            && (header.kind != Kind::File
                || header.state == State::Gone
                || header.attachments.iter().all(|digest| contents.contains(digest)));
        if !is_named || !is_there {
            lost.push(format!(
                "{seq} {:?} {} named {is_named}, there {is_there}: {own:?} after {:?}",
                header.kind,
                if header.state == State::Gone { "gone" } else { "present" },
                latest.get(&subject)
            ));
        }
    }
    assert_eq!(lost, Vec::<String>::new(), "{context}");
    // It names no record that is not due.
    let others: Vec<&u64> = named.iter().filter(|seq| !due.contains_key(seq)).collect();
    assert_eq!(others, Vec::<&u64>::new(), "{context}");
}

/// Records that a set lists as not in it, or not whole.
fn listed(bag: &Path) -> BTreeSet<u64> {
    let bytes = fs_err::read(bag.join("EXCEPTIONS.csv")).unwrap();
    let mut reader = csv::Reader::from_reader(bytes.as_slice());
    let rows = reader.records().map(Result::unwrap);
    rows.filter(|row| ["not carried", "exception"].contains(&&row[0])).map(|row| row[1].parse().unwrap()).collect()
}

fn is_due(record: &Record) -> bool {
    matches!(record.header.kind, Kind::Message | Kind::File | Kind::Comment | Kind::Reactions | Kind::Pins)
}

/// The words of the text that a record brings: not those of what it quotes.
fn own_words(record: &Record) -> BTreeSet<String> {
    if record.header.state == State::Gone {
        return BTreeSet::new();
    }
    let body = json::parse(&record.body).unwrap_or_default();
    let texts: Vec<&Value> = match record.header.kind {
        Kind::Message => vec![&body["text"]],
        Kind::Comment => vec![&body["comment"]],
        Kind::File => vec![&body["name"]],
        _ => Vec::new(),
    };
    texts.into_iter().filter_map(Value::as_str).flat_map(words_in).collect()
}

fn words_in(text: &str) -> Vec<String> {
    let is_word = |word: &&str| {
        word.strip_prefix("zq")
            .and_then(|rest| rest.strip_suffix('q'))
            .is_some_and(|number| number.parse::<u32>().is_ok())
    };
    text.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(is_word).map(str::to_owned).collect()
}

/// What happens in a workspace.
struct Week {
    dice: Dice,
    words: u32,
    comments: Vec<String>,
    files: Vec<String>,
}

impl Default for Week {
    fn default() -> Self {
        Self { dice: Dice::new(0), words: 0, comments: Vec::new(), files: Vec::new() }
    }
}

/// What stands around a word.
const TEXTS: [&str; 9] = [
    "{}",
    "the {} on the quay",
    "=cmd({}) þ\u{14}®",
    "\u{202e}{}\u{202c} مرحبا",
    "<b>{}</b> &amp; <https://a.example/?{}|*{}*>",
    "]]> {} \u{1}\u{fffe}",
    "<@eva@harbour.example> {}?",
    "From {}\n--=_b\n.\n> {}",
    "\"{}\", '{}'; `{}`",
];
const NAMES: [&str; 7] = ["{}.txt", "../../{}", "CON.{}", "{} \u{202e}fdp.exe", "a/{}:b?.doc", "{}.ZIP", ".{}"];

impl Week {
    /// A text with a word that stands nowhere else.
    fn text(&mut self, forms: &[&str]) -> String {
        self.words += 1;
        let form = self.dice.pick(forms).unwrap();
        form.replace("{}", &format!("zq{}q", self.words))
    }

    /// One change; what the server refuses is none.
    fn step(&mut self, workspace: &Workspace) {
        let user = *self.dice.pick(&PEOPLE).unwrap();
        let rooms: Vec<String> = workspace.channels().into_iter().map(|(id, _)| id).collect();
        let room = self.dice.pick(&rooms).unwrap().as_str();
        let items = workspace.truth();
        let item = self.dice.pick(&items).unwrap();
        let (at, ts) = (item.channel.clone(), item.ts.clone());
        let gone: Vec<_> = items.iter().filter(|item| item.state == "deleted").collect();
        let file = self.dice.pick(&self.files).cloned();
        let comment = self.dice.pick(&self.comments).cloned();
        let text = self.text(&TEXTS);
        let _ = match (self.dice.below(22), file, comment) {
            (0..=5, ..) => workspace.post(room, user, &text).map(drop),
            (6 | 7, ..) => workspace.edit(&at, &ts, None, &text),
            (8, ..) => workspace.delete(&at, &ts, None),
            (9, ..) => self.dice.pick(&gone).map_or(Ok(()), |item| workspace.restore(&item.channel, &item.ts)),
            (10, ..) => workspace.react(&at, &ts, user, "tea"),
            (11, ..) => workspace.unreact(&at, &ts, user),
            (12 | 13, ..) => {
                let name = self.text(&NAMES);
                workspace.upload(room, user, &name, text.into_bytes()).map(|(id, _)| self.files.push(id))
            }
            (14, Some(file), _) => workspace.replace_file(&file, text.into_bytes()),
            (15 | 16, Some(file), _) => workspace.comment(&file, user, &text).map(|id| self.comments.push(id)),
            (17, _, Some(comment)) => workspace.edit_comment(&comment, &text),
            (18, _, Some(comment)) => workspace.delete_comment(&comment),
            (19, Some(file), _) => workspace.delete_file(&file),
            (20, ..) => workspace.pin(&at, &ts, user, true).or_else(|_| workspace.unpin(&at, &ts, user)),
            _ => match self.dice.below(4) {
                0 => workspace.rename_user(user, &text),
                1 => workspace.set_topic(room, user, &text),
                2 => workspace.leave(room, town::EVA).or_else(|_| workspace.join(room, town::EVA)),
                _ => workspace.rename_channel(&at, &format!("room-{}", self.words)),
            },
        };
    }
}
