//! Mails of conversations, read by Python's `email` and `mailbox`: no defects, every record in them, each
//! answering the one before it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::html::{export, harbour, lines, numbers, run_python, withheld};
use crate::cli::harness::{list, string};

fn all(mails: &[Value], what: &str) -> String {
    mails.iter().map(|mail| string(mail, what)).collect()
}

fn records(mails: &[Value]) -> Vec<u64> {
    mails.iter().flat_map(|mail| list(mail, "/records")).map(|seq| seq.as_u64().unwrap()).collect()
}

#[test]
fn mails_hold_every_record_and_every_file_and_mailboxes_hold_the_same_mails() {
    let (_server, place) = harbour();
    let due = lines(&place, "lines", &[]);
    export(&place, "eml", "set", &["--tz", "Asia/Kolkata"]);
    let mails = list(&run_python("mail_check.py", &place.path("set/data")), "/mails");
    let shown = records(&mails);
    assert_eq!(shown.len(), due.len(), "a record stands in one mail");
    assert_eq!(shown.into_iter().collect::<BTreeSet<u64>>(), numbers(&due));
    for text in [all(&mails, "/text"), all(&mails, "/page")] {
        for said in [
            "first wording",
            "second wording",
            "to be taken away",
            "Restored: ",
            "a comment, first",
            "[U+202E]abc",
            "the end of it",
            ":tada: ",
            "From me",
            "not in this set",
            "+05:30",
            "answers the message of 2017-03-20 14:28:20 +05:30 (1490000300.000001)",
            ", 4 who are not named",
            "The tables of the tides",
            "in the conversation dock (",
        ] {
            assert!(text.to_lowercase().contains(&said.to_lowercase()), "no mail says {said:?}");
        }
    }
    assert!(all(&mails, "/text").contains("<img src=x onerror=alert(2)>"));
    assert!(!all(&mails, "/page").contains("<img") && !all(&mails, "/page").contains("<script"));
    assert!(all(&mails, "/date").contains("+0530"));
    let names: Vec<String> =
        mails.iter().flat_map(|mail| list(mail, "/attachments")).map(|file| string(&file, "/name")).collect();
    let with = |ending: &str| names.iter().filter(|name| name.ends_with(ending)).count();
    assert_eq!(
        (with("-same.txt"), with("-berths.txt"), with("-_CON"), with("-žluť_fdp.exe"), with("lost.doc")),
        (2, 2, 1, 1, 0),
        "{names:?}"
    );
    let to: Vec<Value> = mails.iter().flat_map(|mail| list(mail, "/to")).collect();
    assert!(to.iter().any(|one| one[0] == "שרה [U+202E]evil[U+202C], \"Boss\" <x>"), "{to:?}");
    assert!(to.iter().any(|one| one[1] == "bob@harbour.example"), "{to:?}");

    // A machine that calls itself like a person is not that person.
    let machine = mails.iter().find(|mail| string(mail, "/text").contains("a machine says")).unwrap();
    let named: Vec<Value> = list(machine, "/to").into_iter().filter(|one| one[0] == "ann@harbour.example").collect();
    assert!(
        named.len() == 1
            && string(&named[0], "/1").starts_with("no-address@")
            && string(&named[0], "/1").ends_with(".invalid"),
        "{named:?}"
    );
    // Where nothing has a time of the server, the date is not told as if it had.
    let of_ours: Vec<&Value> = mails.iter().filter(|mail| mail["date_is"].is_string()).collect();
    assert!(!of_ours.is_empty() && of_ours.len() < mails.len());
    assert!(of_ours.iter().all(|mail| string(mail, "/text").contains("What was pinned here")), "{of_ours:?}");

    // The same mails, with the same numbers, in boxes.
    export(&place, "mbox", "boxes", &["--tz", "Asia/Kolkata"]);
    let boxed = list(&run_python("mail_check.py", &place.path("boxes/data")), "/mails");
    let by_id = |mails: &[Value]| -> BTreeSet<(String, String)> {
        mails.iter().map(|mail| (string(mail, "/id"), string(mail, "/text"))).collect()
    };
    assert_eq!(boxed.len(), mails.len());
    let (one, other) = (by_id(&mails), by_id(&boxed));
    assert_eq!(one.iter().map(|(id, _)| id).collect::<Vec<_>>(), other.iter().map(|(id, _)| id).collect::<Vec<_>>());
    assert!(one.iter().zip(&other).all(|((_, a), (_, b))| a.replace("\r\n", "\n") == b.replace("\r\n", "\n")));

    for mail in &boxed {
        assert_eq!(string(mail, "/envelope"), string(mail, "/from_address"), "the line before a mail names its sender");
    }

    // What is withheld is in no part of a mail, and the mail is another one.
    let list_of = withheld(&place, &due);
    export(&place, "eml", "withheld", &["--tz", "Asia/Kolkata", "--withhold", &list_of]);
    let hidden = list(&run_python("mail_check.py", &place.path("withheld/data")), "/mails");
    for text in [all(&hidden, "/text"), all(&hidden, "/page")] {
        assert!(!text.contains("the secret formula") && !text.contains("the redacted price"));
        assert!(text.contains("[Redacted: Price]") && text.contains("(author withheld)"));
    }
    let ids: BTreeSet<String> = hidden.iter().map(|mail| string(mail, "/id")).collect();
    assert!(mails.iter().any(|mail| !ids.contains(&string(mail, "/id"))));
    assert!(
        mails.iter().any(|mail| ids.contains(&string(mail, "/id"))),
        "a mail with nothing withheld is the same mail"
    );
}
