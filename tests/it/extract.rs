//! Text extraction through the real binary: what is read, what a confined child is refused, and what hostile files do.

use std::io::{Cursor, Write as _};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use teamchat_archive::extract::output::Limits;
use teamchat_archive::extract::{Bounds, EXTRACTOR_VERSION, Extracted, Extractor, Status};

fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_teamchat-archive"))
}

/// Bounds for a test on a busy machine.
fn patient() -> Bounds {
    Bounds { wall: Duration::from_mins(10), ..Bounds::default() }
}

fn extract_within(name: &str, bytes: &[u8], bounds: Bounds) -> Extracted {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("content");
    fs_err::write(&path, bytes).unwrap();
    Extractor::new(program(), bounds, None).extract(&path, name, "").unwrap()
}

fn extract(name: &str, bytes: &[u8]) -> Extracted {
    extract_within(name, bytes, patient())
}

fn zip_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in files {
        zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn files_are_read_by_a_child() {
    let mail: &[u8] = b"From: a@example.cz\r\nSubject: offer\r\n\r\nthe body\r\n";
    let zip = zip_of(&[("letter.rtf", br"{\rtf1\ansi\ansicpg1250 \'9elut\'fd}"), ("mail.eml", mail)]);
    for (name, bytes, engine, wanted) in [
        ("a.txt", "žlutý kůň".as_bytes(), "plain", &["žlutý kůň"][..]),
        ("a.html", b"<html><p>one</p><!-- two -->", "html5gum", &["one", "two"]),
        ("a.xml", b"<?xml version='1.0'?><a b='two'>one</a>", "xml", &["one", "two"]),
        ("a.rtf", br"{\rtf1 one{\deleted two}}", "rtf", &["one", "two"]),
        ("a.eml", mail, "mail-parser", &["Subject: offer", "the body"]),
        ("a.zip", &zip, "zip", &["letter.rtf", "žlutý", "Subject: offer"]),
    ] {
        let found = extract(name, bytes);
        assert_eq!((found.status, found.engine.as_str()), (Status::Ok, engine), "{name}: {found:?}");
        assert_eq!(found.version, EXTRACTOR_VERSION);
        for text in wanted {
            assert!(found.text.contains(text), "{name}: {text:?} in {found:?}");
        }
    }
}

#[test]
fn a_file_of_many_megabytes_goes_through_the_pipes() {
    let line = "a line of some length that is in the file very often\n";
    let text = line.repeat(200_000);
    let found = extract("a.txt", text.as_bytes());
    assert_eq!(found.status, Status::Ok, "{:?}", found.detail);
    assert!(found.text == text, "{} bytes of {}", found.text.len(), text.len());
}

#[test]
fn a_confined_child_is_refused_everything_else() {
    let tested = Command::new(program()).args(["extract-worker", "--self-test"]).env_clear().output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&tested.stdout).unwrap();
    let attempts = report["attempts"].as_array().unwrap();
    assert!(attempts.len() > 10, "{report}");
    for attempt in attempts {
        assert_eq!(attempt["is_refused"], true, "{attempt}");
    }
    if cfg!(target_os = "linux") {
        assert_eq!(report["confinement"]["has_filter"], true, "{report}");
        let forbidden = |words: &str| {
            let attempt = attempts.iter().find(|attempt| attempt["attempt"] == words).unwrap();
            attempt["said"].as_str().unwrap().contains("not permitted")
        };
        for words in ["open a file for reading", "connect to a port", "start a program", "signal another process"] {
            assert!(forbidden(words), "{words}: {report}");
        }
    }
    assert!(tested.status.success());
}

#[test]
fn hostile_files_end_with_a_status() {
    let zeros = vec![0; 30 << 20];
    let bomb = zip_of(&[("kept.txt", b"kept"), ("zeros", &zeros)]);
    let found = extract("a.zip", &bomb);
    assert_eq!((found.status, found.text.contains("kept")), (Status::TooBig, true), "{:?}", found.detail);

    let mut nested = b"core".to_vec();
    for _ in 0..50 {
        nested = zip_of(&[("next", &nested)]);
    }
    let found = extract("a.zip", &nested);
    assert_eq!((found.status, found.text.contains("core")), (Status::Partial, false), "{:?}", found.detail);

    let groups = [b"{\\rtf1 ".to_vec(), vec![b'{'; 3 << 20]].concat();
    assert_eq!(extract("a.rtf", &groups).status, Status::Failed);

    let elements = [b"<html>".to_vec(), b"<b>".repeat(1 << 20)].concat();
    assert_eq!(extract("a.html", &elements).status, Status::Ok);

    // Messages within messages, each a multipart of its own.
    let mut mail = b"From: a@b.cz\r\nSubject: core\r\n\r\ncore\r\n".to_vec();
    for number in 0..2_000 {
        let head = format!(
            "From: a@b.cz\r\nSubject: s\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b{number}\r\n\r\n\
             --b{number}\r\nContent-Type: message/rfc822\r\n\r\n"
        );
        mail = [head.as_bytes(), &mail, format!("--b{number}--\r\n").as_bytes()].concat();
    }
    let found = extract("a.eml", &mail);
    assert!(found.text.len() < 10 << 20, "{}", found.text.len());
    assert!(matches!(found.status, Status::Partial | Status::Failed), "{:?} {:?}", found.status, found.detail);
}

#[test]
fn limits_of_size_and_time_hold() {
    let limits = Limits { text_bytes: 1_000, ..Limits::default() };
    let found = extract_within("a.txt", &[b'a'; 5_000], Bounds { limits, ..patient() });
    assert_eq!((found.status, found.text.len(), found.is_truncated), (Status::Partial, 1_000, true));

    let found = extract_within("a.txt", b"12345", Bounds { file_bytes: 4, ..patient() });
    assert_eq!((found.status, found.text.as_str()), (Status::TooBig, ""));

    let found = extract_within("a.txt", b"12345", Bounds { wall: Duration::from_micros(1), ..patient() });
    assert_eq!((found.status, found.text.as_str()), (Status::Timeout, ""));
}

#[test]
fn what_nothing_reads_says_what_it_is() {
    let found = extract("film.mp4", b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom");
    assert_eq!(found.status, Status::Unsupported);
    assert!(found.detail.as_deref().unwrap().contains("video/mp4"), "{found:?}");
}

#[test]
fn threads_share_an_extractor() {
    let extractor = Extractor::new(program(), patient(), None);
    let folder = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for number in 0..4 {
            let path = folder.path().join(number.to_string());
            fs_err::write(&path, format!("text {number}")).unwrap();
            let extractor = &extractor;
            scope.spawn(move || {
                let found = extractor.extract(&path, "a.txt", "text/plain").unwrap();
                assert_eq!(found.text, format!("text {number}"));
            });
        }
    });
}
