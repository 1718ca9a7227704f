//! What a stranger is handed, and checks with tools of their own: `verify.py` under a plain Python, Go's
//! packages for signed notes and transparent logs. The archive's own code has no part in their judgement.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use teamchat_archive::ledger::{Label, Note, Part, SigningKey, VerifierKey};
use teamchat_archive::model::RecordSeq;
use teamchat_archive::record::Kind;
use teamchat_archive::sandbox::story;
use teamchat_archive::store::{Layout, Reader, RecordProof};

use crate::cli::flows::hex;
use crate::cli::harness::python;
use crate::cli::harness::{DONE, FAILURE, Place, Server, list, number};

/// An archive of the story, with the checker that it prints, and a folder for what is handed out.
struct Desk {
    place: Place,
    reader: Reader,
}

/// What verify.py said.
struct Said {
    code: i32,
    text: String,
}

impl Said {
    #[track_caller]
    fn is(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, code, "{}", self.text);
        for word in words {
            assert!(self.text.contains(word), "{word:?} is not said: {}", self.text);
        }
    }
}

impl Desk {
    fn open() -> Self {
        let server = Server::start(story::seed());
        let place = Place::new();
        place.enrol(&server.ready);
        place.crawl();
        let script = place.run(&["verifier"]).expect(DONE).stdout;
        fs_err::write(place.path("verify.py"), script).unwrap();
        let reader = Reader::open(&Layout::new(place.archive())).unwrap();
        Self { place, reader }
    }

    fn vkey(&self) -> PathBuf {
        self.place.keys().join("ledger.vkey")
    }

    /// Runs the checker on files of the folder.
    fn check(&self, args: &[&str]) -> Said {
        let mut command = Command::new(python());
        command.args(["-B", "-I"]).arg(self.place.path("verify.py")).args(args);
        let output = command.current_dir(self.place.folder.path()).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        Said { code: output.status.code().unwrap_or(-1), text: String::from_utf8(text).unwrap() }
    }

    /// The number of the first record of that kind of which this is so.
    fn record(&self, kind: Kind, is_it: impl Fn(&teamchat_archive::record::Record) -> bool) -> u64 {
        let head = self.reader.head().unwrap();
        let found = (0..head).find(|seq| {
            let record = self.reader.record(RecordSeq(*seq)).unwrap();
            record.header.kind == kind && is_it(&record)
        });
        found.unwrap_or_else(|| panic!("the story has no such {kind:?}"))
    }

    /// What `show --proof` prints, as a file of the folder; its name.
    fn proof(&self, seq: u64) -> String {
        let text = self.place.run(&["show", &seq.to_string(), "--proof"]).expect(DONE).stdout;
        self.keep(&format!("{seq}.tlog-proof"), &text)
    }

    fn keep(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.place.path(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, bytes).unwrap();
        name.to_owned()
    }

    /// The proof with another line of signature under its checkpoint.
    fn signed_also(&self, proof: &RecordProof, key: &SigningKey) -> String {
        let note = Note::parse(proof.note.as_bytes()).unwrap();
        let other = key.sign(note.text()).to_string();
        let line = other.rsplit_once("\n\n").unwrap().1;
        format!("{}{line}", proof.to_text())
    }

    /// Changes each byte of the proofs; what the sweep says.
    fn sweep(&self, proofs: &[&str]) -> Value {
        let sweep = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/verifier/sweep.py");
        let mut command = Command::new(python());
        command.arg("-B").arg(sweep).arg(self.place.path("verify.py")).arg(self.vkey()).args(proofs);
        let output = command.current_dir(self.place.folder.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

#[test]
fn verify_py_accepts_a_proof_and_none_with_any_byte_changed() {
    let desk = Desk::open();
    let vkey = desk.vkey().to_str().unwrap().to_owned();
    let text = |record: &teamchat_archive::record::Record| String::from_utf8_lossy(&record.body).into_owned();
    let message = desk.record(Kind::Message, |record| text(record).contains("crane"));
    let file = desk.record(Kind::File, |record| !record.header.attachments.is_empty());
    let note = desk.record(Kind::Coverage, |_| true);
    let last = number(&desk.place.status(), "/checkpoint/size") - 1;
    let proofs: Vec<String> = [message, file, note, 0, last].map(|seq| desk.proof(seq)).into();
    for proof in &proofs {
        desk.check(&["--key", &vkey, proof]).is(0, &["good  ", "Proved", "Not proved", "by teamchat-archive/"]);
    }
    // All at once, and what was proved is what is archived.
    let names: Vec<&str> = proofs.iter().map(String::as_str).collect();
    let said = desk.check(&[&["--key", &vkey, "--show"], names.as_slice()].concat());
    said.is(0, &["\"kind\":\"message\"", "\"kind\":\"file\"", "\"kind\":\"coverage\""]);
    let attached = desk.reader.record(RecordSeq(file)).unwrap().header.attachments[0].clone();
    for line in text(&desk.reader.record(RecordSeq(message)).unwrap()).lines().chain([attached.as_str()]) {
        assert!(said.text.contains(&format!("      | {line}\n")), "{line} in {}", said.text);
    }
    let proof = desk.reader.proof(RecordSeq(message)).unwrap();
    let key = VerifierKey::parse(&fs_err::read_to_string(desk.vkey()).unwrap()).unwrap();
    said.is(
        0,
        &[
            &format!("record {message} of the {}", proof.checkpoint.size),
            &proof.checkpoint.origin,
            &format!("signed by {}+{}", key.name(), key.id()),
        ],
    );

    let mut bare = proof.clone();
    for label in [Label::Header, Label::Body] {
        assert!(bare.opening.redact(label));
    }
    let bare = desk.keep("bare.tlog-proof", bare.to_text().as_bytes());
    let swept = desk.sweep(&[&proofs[0], &bare]);
    assert!(number(&swept, "/tried") > 10_000, "{swept}");
    assert_eq!(number(&swept, "/same"), 0, "{swept}");
    desk.place.verified();
}

#[test]
fn what_is_withheld_stays_hidden_and_proved() {
    let desk = Desk::open();
    let vkey = desk.vkey().to_str().unwrap().to_owned();
    let seq = desk.record(Kind::File, |record| !record.header.attachments.is_empty());
    let record = desk.reader.record(RecordSeq(seq)).unwrap();
    let body = String::from_utf8(record.body.clone()).unwrap();
    let mut proof = desk.reader.proof(RecordSeq(seq)).unwrap();
    assert!(proof.opening.redact(Label::Body) && proof.opening.redact(Label::Attachment(0)));
    assert!(matches!(proof.opening.parts()[1], (Label::Body, Part::Redacted(_))));
    let name = desk.keep("withheld.tlog-proof", proof.to_text().as_bytes());
    let said = desk.check(&["--key", &vkey, "--show", &name]);
    said.is(0, &["withheld: body, attachment 1", "\"kind\":\"file\""]);
    assert!(!said.text.contains(&body), "{}", said.text);
    desk.place.verified();
}

#[test]
fn other_signatures_are_passed_over_and_a_bad_one_of_the_log_is_not() {
    let desk = Desk::open();
    let vkey = desk.vkey().to_str().unwrap().to_owned();
    let proof = desk.reader.proof(RecordSeq(3)).unwrap();
    let witness = SigningKey::new("witness.example/w", [9; 32]).unwrap();
    let two = desk.signed_also(&proof, &witness);
    let name = desk.keep("two.tlog-proof", two.as_bytes());
    desk.check(&["--key", &vkey, &name]).is(0, &["also signed, which was not checked: witness.example/w (key id "]);
    // Nothing can vouch for the line of a signer who is not known: such a change proves the same.
    let swept = desk.sweep(&[&name]);
    let line = two.trim_end().rsplit_once('\n').unwrap().1.len() as u64;
    let same = number(&swept, "/same");
    assert!(same > 0 && same < line * 6, "{swept}");

    let line = proof.note.trim_end().rsplit_once('\n').unwrap().1;
    let (name, signature) = line.rsplit_once(' ').unwrap();
    // The same signature with its last digits changed: still the key's own line, and wrong.
    let wrong = format!("{name} {}AAAA{}", &signature[..40], &signature[44..]);
    for text in [format!("{}{wrong}\n", proof.to_text()), proof.to_text().replace(line, &format!("{wrong}\n{line}"))] {
        let name = desk.keep("wrong.tlog-proof", text.as_bytes());
        desk.check(&["--key", &vkey, &name]).is(1, &["bad   wrong.tlog-proof: "]);
    }
    let twice = desk.keep("twice.tlog-proof", format!("{}{line}\n", proof.to_text()).as_bytes());
    desk.check(&["--key", &vkey, &twice]).is(0, &["good  "]);
    desk.place.verified();
}

#[test]
fn the_key_is_given_or_found_or_its_absence_is_told() {
    let desk = Desk::open();
    let proof = fs_err::read(desk.place.path(&desk.proof(1))).unwrap();
    let name = desk.keep("alone/1.tlog-proof", &proof);
    desk.check(&[&name]).is(1, &["bad   alone/1.tlog-proof: no key was given", "--key FILE"]);
    let vkey = fs_err::read(desk.vkey()).unwrap();
    desk.keep("alone/ledger.vkey", &vkey);
    let id = VerifierKey::parse(&String::from_utf8_lossy(&vkey)).unwrap().id();
    desk.check(&[&name]).is(0, &["The key came with what it is to prove", &id, "--key FILE"]);
    let other = SigningKey::new("other.example/log", [4; 32]).unwrap().verifier().to_text();
    let other = desk.keep("other.vkey", other.as_bytes());
    desk.check(&["--key", &other, &name]).is(1, &["no signature is by the key other.example/log+"]);
    let renamed = SigningKey::new(desk.reader.archive().origin.as_str(), [4; 32]).unwrap().verifier().to_text();
    let renamed = desk.keep("renamed.vkey", renamed.as_bytes());
    desk.check(&["--key", &renamed, &name]).is(1, &["no signature is by the key "]);
    for (text, why) in [("", "not a key"), ("a+b+c", "not a key"), ("x+00000000+AQAB", "not an Ed25519 key")] {
        let broken = desk.keep("broken.vkey", text.as_bytes());
        desk.check(&["--key", &broken, &name]).is(1, &["bad   broken.vkey: ", why]);
    }
    desk.check(&["--key", "nowhere.vkey", &name]).is(1, &["bad   nowhere.vkey: "]);
    desk.check(&["nowhere.tlog-proof"]).is(1, &["bad   nowhere.tlog-proof: "]);
    desk.check(&["verify.py"]).is(1, &["bad   verify.py: this is not a C2SP tlog-proof"]);
    desk.place.verified();
}

fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// A bag of one file with its proof, made as RFC 8493 says.
fn bag(desk: &Desk, name: &str) -> PathBuf {
    let seq = desk.record(Kind::File, |record| !record.header.attachments.is_empty());
    let digest = desk.reader.record(RecordSeq(seq)).unwrap().header.attachments[0].clone();
    let blob = desk.place.archive().join(format!("blobs/{}/{}/{digest}", &digest[..2], &digest[2..4]));
    let blob = fs_err::read(blob).unwrap();
    assert_eq!(sha256(&blob), digest);
    let proof = fs_err::read(desk.place.path(&desk.proof(seq))).unwrap();
    let odd = b"a file of which nothing is proved";
    let files: Vec<(&str, Vec<u8>)> = vec![
        ("data/files/plan one.bin", blob),
        ("data/100%25 sure%0Atwo lines.txt", odd.to_vec()),
        ("proofs/1.tlog-proof", proof),
        ("ledger.vkey", fs_err::read(desk.vkey()).unwrap()),
        ("bagit.txt", b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n".to_vec()),
    ];
    let mut manifests = [String::new(), String::new()];
    for (path, bytes) in &files {
        desk.keep(&format!("{name}/{}", path.replace("%0A", "\n").replace("%25", "%")), bytes);
        manifests[usize::from(!path.starts_with("data/"))].push_str(&format!("{}  {path}\n", sha256(bytes)));
    }
    manifests[1].push_str(&format!("{}  manifest-sha256.txt\n", sha256(manifests[0].as_bytes())));
    desk.keep(&format!("{name}/manifest-sha256.txt"), manifests[0].as_bytes());
    desk.keep(&format!("{name}/tagmanifest-sha256.txt"), manifests[1].as_bytes());
    desk.place.path(name)
}

#[test]
fn a_bag_is_checked_file_by_file() {
    let desk = Desk::open();
    let vkey = desk.vkey().to_str().unwrap().to_owned();
    let whole = ["good  whole: the 2 files", "attachment 1: the file data/files/plan one.bin", "1 of the 2 files"];
    bag(&desk, "whole");
    desk.check(&["--key", &vkey, "whole"]).is(0, &whole);
    desk.check(&["whole"]).is(0, &whole);
    desk.check(&["whole"])
        .is(0, &["The key came with what it is to prove (whole/ledger.vkey)".split(" (").next().unwrap()]);

    let append = |path: &str| {
        let mut bytes = fs_err::read(desk.place.path(path)).unwrap();
        bytes.push(b'!');
        desk.keep(path, &bytes);
    };
    type Harm<'a> = Box<dyn Fn(&Path) + 'a>;
    let manifest = |bag: &Path, from: &str, to: &str| {
        let path = bag.join("manifest-sha256.txt");
        let text = fs_err::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        fs_err::write(path, text.replace(from, to)).unwrap();
    };
    let harms: Vec<(&str, &str, Harm<'_>)> = vec![
        ("changed", "data/files/plan one.bin: its SHA-256", Box::new(|_| append("changed/data/files/plan one.bin"))),
        ("added", "data/new.txt: it is not listed", Box::new(|_| drop(desk.keep("added/data/new.txt", b"new")))),
        (
            "lost",
            "data/files/plan one.bin: it is listed",
            Box::new(|bag| fs_err::remove_file(bag.join("data/files/plan one.bin")).unwrap()),
        ),
        ("key", "ledger.vkey: its SHA-256", Box::new(|_| append("key/ledger.vkey"))),
        ("proof", "1.tlog-proof: ", Box::new(|_| append("proof/proofs/1.tlog-proof"))),
        ("list", "manifest-sha256.txt: its SHA-256", Box::new(|_| append("list/manifest-sha256.txt"))),
        ("out", "names a file outside the bag", Box::new(|bag| manifest(bag, "data/files", "data/../../files"))),
        (
            "twice",
            "names a file twice",
            Box::new(|bag| manifest(bag, "data/100%25 sure%0Atwo lines.txt", "data/files/plan one.bin")),
        ),
        (
            "unlisted",
            "manifest-sha256.txt: it is missing",
            Box::new(|bag| fs_err::remove_file(bag.join("manifest-sha256.txt")).unwrap()),
        ),
        ("plain", "bagit.txt: it is missing", Box::new(|bag| fs_err::remove_file(bag.join("bagit.txt")).unwrap())),
        ("unproved", "there is no proof in it", Box::new(|bag| fs_err::remove_dir_all(bag.join("proofs")).unwrap())),
        (
            "link",
            "it is a link",
            Box::new(|bag| std::os::unix::fs::symlink("/etc/hostname", bag.join("data/link")).unwrap()),
        ),
    ];
    for (name, why, harm) in harms {
        harm(&bag(&desk, name));
        let said = desk.check(&["--key", &vkey, name]);
        said.is(1, &[why]);
        // Whatever it is called, a file writes no line of ours.
        assert!(said.text.lines().any(|line| line.starts_with("bad   ") && line.contains(why)), "{}", said.text);
    }
    desk.place.verified();
}

#[test]
fn the_checker_is_printed_where_no_archive_is() {
    let place = Place::new();
    let script = place.run(&["verifier"]).expect(DONE).text();
    assert!(script.starts_with("#!/usr/bin/env python3\n") && !place.has_archive());
    let page = place.run(&["verifier", "--html"]).expect(DONE).text();
    assert!(page.starts_with("<!doctype html>\n") && page.ends_with("</html>\n"));
    // Readable by the Python that it promises to run under, and with its standard library alone.
    fs_err::write(place.path("verify.py"), &script).unwrap();
    let parse = "import ast, sys; tree = ast.parse(open(sys.argv[1]).read(), feature_version=(3, 8)); print(*sorted(name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names), sum(isinstance(node, ast.ImportFrom) for node in ast.walk(tree)))";
    let output = Command::new(python()).args(["-c", parse]).arg(place.path("verify.py")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(
        said.trim(),
        "argparse base64 collections datetime gzip hashlib hmac html.parser json os re sys zlib 0",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let help = Command::new(python()).arg(place.path("verify.py")).arg("--help").output().unwrap();
    assert!(String::from_utf8_lossy(&help.stdout).contains("--key FILE"));
    place.run(&["show", "1", "--proof"]).expect_error(FAILURE, &["no archive"]);
}

/// The program of Go, built once.
fn tlogcheck() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let go = python().with_file_name("go");
        assert!(go.exists(), "no Go at {}: run `make test-setup`", go.display());
        let packages =
            std::env::var_os("TEAMCHAT_ARCHIVE_TEST_GOPATH").map_or("/usr/share/gocode".into(), PathBuf::from);
        let note = packages.join("src/golang.org/x/mod/sumdb/note");
        assert!(note.exists(), "no golang.org/x/mod at {}: run `make test-setup`", note.display());
        let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tlogcheck");
        let built = Command::new(go)
            .arg("build")
            .arg("-o")
            .arg(&out)
            .arg("main.go")
            .current_dir(root.join("tests/thirdparty/tlogcheck"))
            // Debian's packages lie where Go looked before it had modules.
            .envs([("GO111MODULE", "off"), ("GOTOOLCHAIN", "local"), ("GOFLAGS", ""), ("CGO_ENABLED", "0")])
            .env("GOPATH", packages)
            .env("GOCACHE", Path::new(env!("CARGO_TARGET_TMPDIR")).join("go-cache"))
            .output()
            .unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        out
    })
}

/// What Go says of a proof: the line, or at which step it does not hold.
fn go_says(vkey: &Path, leaf: &str, proof: &str) -> Result<String, String> {
    use std::io::Write as _;
    let mut command = Command::new(tlogcheck());
    command.arg(vkey).arg(leaf).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(proof.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().trim().to_owned();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

#[test]
fn go_accepts_the_same_proof_and_no_other() {
    let desk = Desk::open();
    let size = number(&desk.place.status(), "/checkpoint/size");
    for seq in [0, 1, 127, 128, size / 2, size - 1] {
        let proof = desk.reader.proof(RecordSeq(seq)).unwrap();
        let text = fs_err::read_to_string(desk.place.path(&desk.proof(seq))).unwrap();
        let leaf = proof.opening.entry().hash().to_string();
        assert_eq!(go_says(&desk.vkey(), &leaf, &text), Ok(format!("record {seq} of {size}")));
    }
    let proof = desk.reader.proof(RecordSeq(5)).unwrap();
    let (text, leaf) = (proof.to_text(), proof.opening.entry().hash().to_string());
    let other = desk.reader.leaf_entry(RecordSeq(6)).unwrap().hash().to_string();
    let line = proof.note.trim_end().rsplit_once(' ').unwrap().1;
    let changed = |from: &str, to: &str| {
        assert!(text.contains(from));
        text.replacen(from, to, 1)
    };
    let foreign = SigningKey::new(&proof.checkpoint.origin, [4; 32]).unwrap();
    let foreign_key = desk.place.file("foreign.vkey", &foreign.verifier().to_text());
    // Signed anew, so that only the tree speaks against it.
    let mut larger = proof.clone();
    // One more would do nothing: the tree of that size has the same path. The size is what is signed.
    larger.checkpoint.size <<= 2;
    larger.note = larger.checkpoint.sign(&foreign).to_string();
    let path = proof.path.iter().map(|hash| base64_of(&hash.0)).collect::<Vec<String>>();
    for (what, step, vkey, leaf, text) in [
        ("index", "inclusion", desk.vkey(), &leaf, changed("index 5\n", "index 6\n")),
        ("leaf", "inclusion", desk.vkey(), &other, text.clone()),
        ("size", "signature", desk.vkey(), &leaf, changed(&format!("\n{size}\n"), &format!("\n{}\n", size + 1))),
        ("larger size, signed", "inclusion", foreign_key.clone().into(), &leaf, larger.to_text()),
        ("signature", "signature", desk.vkey(), &leaf, changed(line, &format!("{}AAAA{}", &line[..40], &line[44..]))),
        ("key", "signature", foreign_key.into(), &leaf, text.clone()),
        ("path", "inclusion", desk.vkey(), &leaf, changed(&format!("{}\n", path[0]), "")),
    ] {
        let said = go_says(&vkey, leaf, &text);
        assert!(said.as_ref().is_err_and(|why| why.starts_with(step)), "{what}: {said:?}");
    }
    desk.place.verified();
}

fn base64_of(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[test]
fn every_hit_of_a_search_can_be_handed_out() {
    let desk = Desk::open();
    let vkey = desk.vkey().to_str().unwrap().to_owned();
    let found = desk.place.run(&["search", "crane", "--json", "--limit", "5"]).expect(DONE).json();
    let records: Vec<u64> =
        list(&found, "/messages/matches").iter().map(|hit| number(hit, "/archive/record")).collect();
    assert!(!records.is_empty());
    for seq in records {
        let name = desk.proof(seq);
        desk.check(&["--key", &vkey, "--show", &name]).is(0, &["crane"]);
    }
    desk.place.verified();
}
