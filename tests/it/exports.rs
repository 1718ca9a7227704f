//! Sets for other people: what is in a bag, what is said of it, and that others can read it.

mod actiance;
mod atom;
mod bag;
mod changed;
mod conservation;
mod dat;
mod hostile;
mod html;
mod mail;
mod native;
mod random;
mod refusals;
mod resume;
mod rsmf;
mod scope;
mod slack;
mod withheld;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use teamchat_archive::record::{Kind, Record};
use teamchat_archive::sandbox::story;
use teamchat_archive::store::{Layout, Reader};

use crate::cli::harness::{self, DONE, Outcome, Place, Server, files_below, python};
use crate::schedules::{play, town};

/// An archive with edits, deletions, restores, comments, versions of files, pins, reactions, leavers, texts from
/// right to left and hostile names.
pub(crate) struct Desk {
    pub(crate) place: Place,
    pub(crate) reader: Reader,
    pub(crate) server: Server,
}

impl Desk {
    pub(crate) fn open() -> Self {
        let server = Server::start(story::seed());
        let place = Place::new();
        place.enrol(&server.ready);
        place.crawl();
        let workspace = server.running.workspace();
        let (channel, _) = workspace.channels().into_iter().find(|(_, name)| name == "general").unwrap();
        let user = "petr.malek@orlava.example";
        let first = workspace.post(&channel, user, "one <script>alert(1)</script> þ\u{14}® =2+3").unwrap();
        let gone = workspace.post(&channel, user, "this will be taken back").unwrap();
        workspace.post(&channel, user, "\u{202e}evil\u{202c} مرحبا بالعالم שלום \u{0}\u{7}\u{fffe}").unwrap();
        workspace.post(&channel, user, &"long ".repeat(210_000)).unwrap();
        let (file, _) =
            workspace.upload(&channel, user, "../../etc/pass\u{202e}wd:CON", b"first content".to_vec()).unwrap();
        workspace.upload(&channel, user, "NUL", b"same name".to_vec()).unwrap();
        workspace.upload(&channel, user, "NUL", b"same name again".to_vec()).unwrap();
        let comment = workspace.comment(&file, user, "a comment that will change").unwrap();
        place.crawl();
        workspace.edit(&channel, &first, Some(user), "two <b>not bold</b>").unwrap();
        workspace.delete(&channel, &gone, Some(user)).unwrap();
        workspace.replace_file(&file, b"second content, other length".to_vec()).unwrap();
        workspace.edit_comment(&comment, "a comment that has changed").unwrap();
        workspace.rename_user("sara.nasser@orlava.example", "Sara \"=cmd|' /C calc'!A0\" Nasser").unwrap();
        server.running.play_later().unwrap();
        place.crawl();
        workspace.restore(&channel, &gone).unwrap();
        workspace.delete_comment(&comment).unwrap();
        place.crawl();
        let reader = Reader::open(&Layout::new(place.archive())).unwrap();
        Self { place, reader, server }
    }

    /// `export --json` with these flags; where the set is, and the report.
    pub(crate) fn export(&self, name: &str, flags: &[&str]) -> (PathBuf, Value) {
        let report = self.try_export(name, flags).expect(DONE).json();
        assert_eq!(report["balanced"], true, "{report}");
        (self.place.path(name), report)
    }

    pub(crate) fn try_export(&self, name: &str, flags: &[&str]) -> Outcome {
        self.place.run(&[&["export", "--json", "--output", name], flags].concat())
    }

    /// Every record of the archive that a set can be asked for, by number.
    pub(crate) fn records(&self) -> BTreeMap<u64, Record> {
        let head = self.reader.head().unwrap();
        let kinds = [Kind::Message, Kind::File, Kind::Comment, Kind::Reactions, Kind::Pins];
        let all = (0..head).map(|seq| (seq, self.reader.record(teamchat_archive::model::RecordSeq(seq)).unwrap()));
        all.filter(|(_, record)| kinds.contains(&record.header.kind)).collect()
    }

    /// What a script in Python says of a set; it must end well.
    pub(crate) fn python(&self, script: &str, args: &[&Path]) -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(script);
        let output = Command::new(python()).arg("-B").arg(path).args(args).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        assert!(output.status.success(), "{script}: {text}");
        text
    }

    /// Runs a set's own checker on it with the log's key: exit code and what it says.
    pub(crate) fn check(&self, bag: &Path) -> (i32, String) {
        let mut command = Command::new(python());
        command
            .args(["-B", "-I"])
            .arg(bag.join("verify.py"))
            .arg("--key")
            .arg(self.place.keys().join("ledger.vkey"))
            .arg(bag);
        let output = command.output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&text).into_owned())
    }
}

/// The rows of a table of a set, by the names of its columns.
pub(crate) fn table(path: &Path) -> Vec<BTreeMap<String, String>> {
    let bytes = fs_err::read(path).unwrap();
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let mut reader = csv::Reader::from_reader(bytes);
    let names: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    reader.records().map(|row| names.iter().cloned().zip(row.unwrap().iter().map(str::to_owned)).collect()).collect()
}

/// All bytes of a set, its packed proofs unpacked, by path.
pub(crate) fn contents(bag: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut out = BTreeMap::new();
    for path in files_below(bag) {
        let mut bytes = fs_err::read(&path).unwrap();
        if path.extension().is_some_and(|ending| ending == "gz") {
            let mut unpacked = Vec::new();
            flate2::read::GzDecoder::new(bytes.as_slice()).read_to_end(&mut unpacked).unwrap();
            bytes = unpacked;
        }
        out.insert(path.strip_prefix(bag).unwrap().to_str().unwrap().to_owned(), bytes);
    }
    out
}

/// The files of a folder that hold a text, its JSON form included.
pub(crate) fn holding(bag: &Path, text: &str) -> Vec<String> {
    let needle = text.as_bytes();
    contents(bag)
        .into_iter()
        .filter(|(_, bytes)| bytes.windows(needle.len()).any(|at| at == needle))
        .map(|(path, _)| path)
        .collect()
}
