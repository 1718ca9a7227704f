//! What cannot be exported is refused, and says what to do.

use super::Desk;
use crate::cli::harness::{FAILURE, USAGE};

#[test]
fn what_cannot_be_exported_is_refused_with_a_hint() {
    let desk = Desk::open();
    let csv = ["--format", "csv"];
    let run = |flags: &[&str]| desk.try_export("refused", &[&csv, flags].concat());
    run(&["--query", "nobodyeverwrotethis"])
        .expect_error(FAILURE, &["nothing in the archive is in this scope", "nobodyeverwrotethis"])
        .with_hint("search");
    run(&["--from", "1999-01-01", "--to", "1999-02-01"]).expect_error(FAILURE, &["nothing in the archive"]);
    run(&["--from", "2026-02-01", "--to", "2026-01-01"]).expect_error(USAGE, &["--from is not before --to"]);
    run(&["--channel", "C0NOSUCH"]).expect_error(USAGE, &["C0NOSUCH"]).with_hint("coverage");
    run(&["--custodian", "nobody@example.com"]).expect_error(USAGE, &["nobody@example.com"]);
    run(&["--query", "(unfinished"]).expect_error(USAGE, &["query can't be read"]);
    run(&["--tz", "Mars/Olympus"]).expect_error(USAGE, &["no zone"]);
    run(&["--volume-size", "many"]).expect_error(USAGE, &["`many` is no size"]);
    for flags in [["--profile", "everlaw"], ["--bates-prefix", "A"]] {
        run(&flags).expect_error(USAGE, &[flags[0], "means nothing to the format csv"]);
    }
    let list = desk.place.file("bad.csv", "record,action,reason\n5,hide,because\n");
    run(&["--withhold", &list]).expect_error(USAGE, &["line 2", "neither withhold nor redact"]);
    assert!(!desk.place.path("refused").exists() && !desk.place.path("refused.partial").exists());

    fs_err::create_dir(desk.place.path("taken")).unwrap();
    desk.try_export("taken", &csv).expect_error(USAGE, &["exists already"]).with_hint("--output");
    fs_err::create_dir(desk.place.path("begun.partial")).unwrap();
    fs_err::write(desk.place.path("begun.partial/theirs.txt"), "not ours").unwrap();
    desk.try_export("begun", &csv).expect_error(USAGE, &["begun.partial", "unfinished"]).with_hint("goes on with it");
    desk.place.verified();
}

#[test]
fn a_content_that_is_missing_or_damaged_is_listed_and_counted() {
    let desk = Desk::open();
    let files: Vec<_> =
        desk.records().into_iter().filter(|(_, record)| !record.header.attachments.is_empty()).collect();
    let path = |digest: &str| desk.place.archive().join("blobs").join(&digest[..2]).join(&digest[2..4]).join(digest);
    let (gone, damaged, unreadable) = (&files[0], &files[1], &files[2]);
    fs_err::remove_file(path(&gone.1.header.attachments[0])).unwrap();
    let place = path(&damaged.1.header.attachments[0]);
    let mut bytes = fs_err::read(&place).unwrap();
    bytes[0] ^= 1;
    fs_err::remove_file(&place).unwrap();
    fs_err::write(&place, bytes).unwrap();
    // What the system can't read is no reason to hand out nothing.
    let place = path(&unreadable.1.header.attachments[0]);
    fs_err::remove_file(&place).unwrap();
    fs_err::create_dir(&place).unwrap();
    for format in ["csv", "jsonl", "html", "eml", "dat", "slack", "rsmf", "actiance", "atom", "mbox", "native"] {
        let (bag, report) = desk.export(&format!("lost-{format}"), &["--format", format]);
        let rows = super::table(&bag.join("EXCEPTIONS.csv"));
        let of = |seq: u64| rows.iter().find(|row| row["record"] == seq.to_string() && row["class"] == "exception");
        assert!(of(gone.0).unwrap()["detail"].contains("not in the archive"), "{report}");
        assert!(of(damaged.0).unwrap()["detail"].contains("damaged"), "{report}");
        assert!(of(unreadable.0).is_some(), "{format}: {report}");
        assert_eq!(desk.check(&bag).0, 0, "the set itself is whole");
    }
}
