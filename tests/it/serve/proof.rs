//! The proof of a record, as a file and as JSON: the same, for who may see the record, and no more of it
//! than they may see.

use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::json;
use teamchat_archive::export::CHECKER;
use teamchat_archive::ledger::{Checkpoint, Label, Note, Opening, Part, VerifierKey, verify_inclusion};
use teamchat_archive::model::{Digest, RecordSeq, Role};
use teamchat_archive::record::Kind;

use super::{Desk, only};
use crate::cli::harness::python;
use crate::support::key;

/// Whether the separate checker, which has nothing but the proof and the key, accepts it, and what it says.
fn checked(proof: &[u8]) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs_err::write(&path, bytes).unwrap();
        path
    };
    let script = write("verify.py", CHECKER.as_bytes());
    let vkey = write("ledger.vkey", key().verifier().to_text().as_bytes());
    let file = write("record.tlog-proof", proof);
    let mut command = Command::new(python());
    command.args(["-B", "-I"]).arg(script).arg("--key").arg(vkey).arg("--show").arg(file);
    let output = command.current_dir(folder.path()).output().unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    (output.status.success(), text)
}

/// What a `.tlog-proof` text opens.
fn opening(text: &str) -> Opening {
    let extra = text.lines().nth(1).unwrap().strip_prefix("extra ").unwrap();
    Opening::parse(&BASE64.decode(extra).unwrap()).unwrap()
}

#[tokio::test]
async fn the_json_of_a_proof_says_what_its_file_says() {
    let desk = Desk::open().await;
    let ada = desk.auditor();
    let reader = desk.archive.reader();
    let size = reader.newest_checkpoint().unwrap().unwrap().0.size;
    for seq in [0, 5, 127, 128, size - 1] {
        let reply = desk.page(&ada, &format!("/r/{seq}/proof.json")).await.json();
        let file = desk.page(&ada, &format!("/r/{seq}/proof.tlog-proof")).await.text();
        assert_eq!(reply["proof"], json!(file));
        assert_eq!((&reply["record"], &reply["index"], &reply["size"]), (&json!(seq), &json!(seq), &json!(size)));
        assert_eq!(reply["archive"], json!(reader.archive().id.to_string()));
        let word = |name: &str| reply[name].as_str().unwrap().to_owned();
        let note = Note::parse(word("checkpoint").as_bytes()).unwrap();
        note.verify(&VerifierKey::parse(&word("key")).unwrap()).unwrap();
        let checkpoint = Checkpoint::parse(note.text()).unwrap();
        assert_eq!(checkpoint.origin, word("origin"));
        assert_eq!(checkpoint.root.to_string(), word("root"));
        assert!(file.ends_with(&format!("\n\n{}", word("checkpoint"))));
        // The opening is JSON in JSON; a reader that keeps no order finds the same in it.
        let opened = opening(&file);
        assert_eq!(reply["opening"], serde_json::from_str::<serde_json::Value>(&opened.to_line()).unwrap());
        assert_eq!(opened.entry().hash().to_string(), word("leaf"));
        let path: Vec<Digest> =
            reply["path"].as_array().unwrap().iter().map(|hash| hash.as_str().unwrap().parse().unwrap()).collect();
        verify_inclusion(seq, size, &opened.entry().hash(), &path, &checkpoint.root).unwrap();
        let record = reader.record(RecordSeq(seq)).unwrap();
        assert!(matches!(&opened.parts()[0].1, Part::Open { bytes, .. } if *bytes == record.header.to_line()));
        assert!(matches!(&opened.parts()[1].1, Part::Open { bytes, .. } if *bytes == record.body));
    }
    let page = desk.html(&ada, "/r/5").await;
    assert!(page.contains("/r/5/proof.json") && page.contains("/r/5/proof.tlog-proof"));
    desk.archive.check();
}

#[tokio::test]
async fn what_names_other_channels_stays_closed_and_the_proof_good() {
    let desk = Desk::open().await;
    let reader = desk.archive.reader();
    let shared = (0..reader.head().unwrap()).find_map(|seq| {
        let header = reader.record(RecordSeq(seq)).unwrap().header;
        (header.kind == Kind::File && header.shared_in.len() > 1).then_some((seq, header.shared_in))
    });
    let (seq, channels) = shared.expect("no file of the story was shared in two channels");
    let eve = desk.cookie("eve", Role::Reviewer, &only(&[&channels[0]]));
    let both = desk.cookie("bob", Role::Reviewer, &only(&[&channels[0], &channels[1]]));
    let leaf = reader.leaf_entry(RecordSeq(seq)).unwrap();
    for (cookie, is_open) in [(&eve, false), (&both, channels.len() == 2), (&desk.auditor(), true)] {
        let file = desk.page(cookie, &format!("/r/{seq}/proof.tlog-proof")).await.text();
        let opened = opening(&file);
        assert_eq!(opened.entry(), leaf);
        let reply = desk.page(cookie, &format!("/r/{seq}/proof.json")).await.json();
        assert_eq!(reply["proof"], json!(file));
        for (at, due) in [Label::Header, Label::Body].into_iter().enumerate() {
            let (label, part) = &opened.parts()[at];
            assert_eq!(*label, due);
            assert_eq!(matches!(part, Part::Open { .. }), is_open, "{due:?} {channels:?}");
            assert_eq!(reply["opening"]["parts"][at].get("bytes").is_some(), is_open, "{due:?}");
        }
        // The page shows the same text.
        let page = desk.html(cookie, &format!("/r/{seq}")).await;
        assert!(page.contains(file.lines().nth(1).unwrap()), "{page}");
    }
    desk.archive.check();
}

#[tokio::test]
async fn a_proof_that_is_downloaded_is_accepted_elsewhere() {
    let desk = Desk::open().await;
    let reader = desk.archive.reader();
    let size = reader.newest_checkpoint().unwrap().unwrap().0.size;
    let headers = (0..size).map(|seq| (seq, reader.record(RecordSeq(seq)).unwrap().header));
    let (shared, header) = headers.clone().find(|(_, header)| header.shared_in.len() > 1).unwrap();
    let message = headers.clone().find(|(_, header)| header.kind == Kind::Message).unwrap().0;
    let ada = desk.auditor();
    let eve = desk.cookie("eve", Role::Reviewer, &only(&[&header.shared_in[0]]));
    // All of a record, and one whose bytes stay closed.
    for (cookie, seq, is_open) in
        [(&ada, 0, true), (&ada, message, true), (&ada, shared, true), (&ada, size - 1, true), (&eve, shared, false)]
    {
        let file = desk.page(cookie, &format!("/r/{seq}/proof.tlog-proof")).await;
        let reply = desk.page(cookie, &format!("/r/{seq}/proof.json")).await.json();
        for (what, bytes) in [("the file", &*file.body), ("the JSON", reply["proof"].as_str().unwrap().as_bytes())] {
            let (is_good, said) = checked(bytes);
            assert!(is_good && said.contains("good  "), "{what} of {seq}: {said}");
            assert!(said.contains(&format!("record {seq} of the {size}")), "{what} of {seq}: {said}");
            let body = String::from_utf8(reader.record(RecordSeq(seq)).unwrap().body).unwrap();
            let is_shown = body.lines().all(|line| said.contains(line));
            assert_eq!(is_shown, is_open, "{what} of {seq} opens the record: {said}");
        }
        // Of another record, or signed with another key, it proves nothing.
        let text = file.text();
        let other = text.replacen(&format!("index {seq}\n"), &format!("index {}\n", seq ^ 1), 1);
        assert_ne!(other, text);
        let (is_good, said) = checked(other.as_bytes());
        assert!(!is_good && said.contains("bad   "), "{seq}: {said}");
    }
}
