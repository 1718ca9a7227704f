//! The bag: others accept it, and whatever is changed in it is named.

use super::{Desk, table};

#[test]
fn a_set_is_accepted_as_it_is_and_with_no_byte_changed() {
    let desk = Desk::open();
    let (bag, report) = desk.export("set", &["--format", "jsonl"]);
    let said = desk.python("thirdparty/bagit_read.py", &[&bag]);
    assert!(said.contains("valid"), "{said}");
    let (code, said) = desk.check(&bag);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("records.tlog-set.gz") && said.contains("signed by"), "{said}");
    assert!(said.contains(report["sha256"].as_str().unwrap()), "{said}");
    assert!(said.contains("they, and no others, are the records in data/records.jsonl"), "{said}");
    assert!(!bag.with_file_name("set.partial").exists());
    let custody: serde_json::Value = serde_json::from_slice(&fs_err::read(bag.join("CUSTODY.json")).unwrap()).unwrap();
    assert_eq!(custody["checkpoint"]["size"], report["checkpoint"]);
    assert_eq!(custody["counts"]["records_in_scope"], report["records"]);

    // The second set proves that the log goes on from the first.
    desk.server
        .running
        .workspace()
        .post(&desk.server.running.workspace().channels()[0].0, "petr.malek@orlava.example", "one more")
        .unwrap();
    desk.place.crawl();
    let channel = desk.server.running.workspace().channels().into_iter().find(|(_, name)| name == "general").unwrap().0;
    let (small, _) = desk.export("small", &["--format", "csv", "--channel", &channel, "--from", "2026-11-01"]);
    let (code, said) = desk.check(&small);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("the log goes on from its first"), "{said}");
    let vkey = desk.place.keys().join("ledger.vkey");
    let said = desk.python("verifier/sweep_bag.py", &[&small, &vkey, "12".as_ref()]);
    assert!(said.contains("every change was named"), "{said}");
    desk.place.verified();
}

#[test]
fn the_access_log_says_what_was_handed_out() {
    let desk = Desk::open();
    let (bag, report) = desk.export("set", &["--format", "csv", "--query", "crane"]);
    let log = teamchat_archive::store::AccessLog::open_reading(
        &teamchat_archive::store::Layout::new(desk.place.archive()),
        desk.reader.archive().id,
        &desk.reader.archive().origin,
    );
    let visit = log.unwrap().unwrap().last(teamchat_archive::record::Action::Export).unwrap().unwrap();
    assert_eq!(visit.query.as_deref(), Some("crane"));
    assert_eq!(visit.content.as_deref(), report["sha256"].as_str());
    assert_eq!(visit.scope.unwrap()["checkpoint"], report["checkpoint"]);
    let manifest = fs_err::read(bag.join("tagmanifest-sha256.txt")).unwrap();
    assert_eq!(teamchat_archive::model::Digest::of(&manifest).to_string(), report["sha256"].as_str().unwrap());
    let rows = table(&bag.join("RECONCILIATION.csv"));
    let sum = |name: &str| rows.iter().map(|row| row[name].parse::<i64>().unwrap()).sum::<i64>();
    assert_eq!(sum("in_scope"), report["records"].as_i64().unwrap());
    assert_eq!((sum("difference"), sum("produced") + sum("exceptions")), (0, sum("in_scope")));
    desk.place.verified();
}

#[test]
fn a_zip_opens_with_the_password_and_not_without() {
    let desk = Desk::open();
    let password = desk.place.file("zip-password", "correct horse battery staple\n");
    let (zip, report) = desk.export("set.zip", &["--format", "csv", "--zip-password-file", &password]);
    assert!(zip.is_file() && !desk.place.path("set.zip.partial").exists(), "{report}");
    let said = desk.python("thirdparty/zip_read.py", &[&zip, password.as_ref(), &desk.place.path("unpacked")]);
    assert!(said.contains("AES-256"), "{said}");
    let bag = desk.place.path("unpacked/set");
    assert_eq!(desk.check(&bag).0, 0);
    let all = fs_err::read(&zip).unwrap();
    assert!(!all.windows(7).any(|at| at == b"battery"), "the password is in it");
    let manifest = fs_err::read(bag.join("tagmanifest-sha256.txt")).unwrap();
    assert_eq!(teamchat_archive::model::Digest::of(&manifest).to_string(), report["sha256"].as_str().unwrap());
    desk.place.verified();
}

#[test]
fn what_stands_in_two_conversations_is_given_once_where_that_is_asked() {
    let desk = Desk::open();
    let (bag, report) = desk.export("twice", &["--format", "csv"]);
    let (once, deduped) = desk.export("once", &["--format", "csv", "--dedupe"]);
    let files = |bag: &std::path::Path| {
        table(&bag.join("data/messages.csv")).into_iter().filter(|row| row["kind"] == "file").count()
    };
    assert!(files(&once) < files(&bag), "no file of the story stands in two conversations");
    assert_eq!(report["records"], deduped["records"]);
    let rows = table(&once.join("EXCEPTIONS.csv"));
    let duplicates = rows.iter().filter(|row| row["class"] == "not carried" && row["kind"] == "file").count();
    assert_eq!(files(&bag) - files(&once), duplicates);
    assert!(rows.iter().any(|row| row["detail"].starts_with("given once, in the conversation ")));
    desk.place.verified();
}
