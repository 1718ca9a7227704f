//! Whether the archive is whole, as its page says it: each way of tampering is found and named, and a record that was
//! tampered with is a page in red.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, params};
use teamchat_archive::ledger::{Checkpoint, Note, SigningKey};
use teamchat_archive::model::{Clock, Role, Scope, Zone};
use teamchat_archive::store::access::Access;
use teamchat_archive::verify;
use teamchat_archive::web::{Web, router};
use tokio::sync::watch;

use super::{Desk, filled, form, get, send, text_of};
use crate::support::{TestArchive, key};

/// The web side of an archive, and how many checks it has ended.
struct Side {
    router: Router,
    ended: watch::Receiver<u64>,
}

/// The web side of a copy, whose checks trust the key that it was signed with.
fn open(archive: &TestArchive) -> Side {
    let reader = archive.reader();
    let access = Access::open(&archive.layout, Clock::System).unwrap();
    let web = Web::new(reader.clone(), access, Zone::UTC, Clock::System).unwrap();
    let trusted = key().verifier();
    let (count, ended) = watch::channel(0);
    let web = web.with_check(Arc::new(move |depth, progress| {
        let report = verify::check(&reader, depth, Some(&trusted), progress);
        count.send_modify(|count| *count += 1);
        report
    }));
    Side { router: router(Arc::new(web)), ended }
}

async fn page(router: &Router, cookie: &str, path: &str) -> super::Answer {
    send(router, get(path).header(header::COOKIE, cookie).body(Body::empty()).unwrap()).await
}

async fn ask(router: &Router, cookie: &str, depth: &str) -> super::Answer {
    let request = form("/verify").header(header::COOKIE, cookie).body(filled(&[("depth", depth)])).unwrap();
    send(router, request).await
}

/// What the page says when the check that was asked for has ended.
async fn checked(side: &Side, cookie: &str, depth: &str) -> String {
    let mut ended = side.ended.clone();
    ended.mark_unchanged();
    assert_eq!(ask(&side.router, cookie, depth).await.status, 303);
    let waiting = async {
        ended.changed().await.unwrap();
        loop {
            let html = page(&side.router, cookie, "/verify").await.text();
            if !html.contains("role=\"status\"") {
                return html;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(120), waiting).await.unwrap()
}

#[tokio::test]
async fn a_check_that_is_asked_for_says_what_it_did() {
    let desk = Desk::open().await;
    let side = open(&desk.archive);
    let ada = desk.auditor();
    let html = page(&side.router, &ada, "/verify").await.text();
    let text = text_of(&html);
    assert!(text.contains("No check has been run here since this server started"), "{text}");
    let reader = desk.archive.reader();
    let (checkpoint, _, _) = reader.newest_checkpoint().unwrap().unwrap();
    assert!(text.contains(&checkpoint.root.to_string()), "{text}");
    assert!(text.contains(&key().verifier().id()) && text.contains(&key().verifier().to_text()), "{text}");
    assert!(text.contains("No keeper elsewhere has taken a checkpoint"), "{text}");
    for (depth, well) in [
        ("quick", "The signed checkpoints are as they were signed. No record was read."),
        ("sample", "Everything that was checked is as it was signed."),
    ] {
        let text = text_of(&checked(&side, &ada, depth).await);
        assert!(text.contains(well) && !is_alarmed(&text), "{text}");
        assert!(DAMAGE.iter().all(|(_, words)| !text.contains(words)), "{text}");
        assert!(text.contains("asked for by ada") && text.contains("which is kept outside the archive"), "{text}");
        assert_eq!(text.contains("records proved"), depth == "sample", "{text}");
    }
    assert!(page(&side.router, &ada, "/").await.text().contains("Everything that was checked is as it was signed."));
    assert_eq!(ask(&side.router, &ada, "full").await.status, 400, "that one is for the command");
    // A reviewer is told how it went, and asks for none.
    let legal = desk.running.workspace().channels().into_iter().find(|(_, name)| name == "legal").unwrap().0;
    let eve = desk.cookie("eve", Role::Reviewer, &super::only(&[&legal]));
    let html = page(&side.router, &eve, "/verify").await.text();
    assert!(
        html.contains("Everything that was checked is as it was signed.") && !html.contains("name=\"depth\""),
        "{html}"
    );
    assert_eq!(ask(&side.router, &eve, "quick").await.status, 403);
    let victor = desk.cookie("victor", Role::Verifier, &Scope::nothing());
    assert!(page(&side.router, &victor, "/verify").await.text().contains("name=\"depth\""));
    assert_eq!(ask(&side.router, &victor, "quick").await.status, 303);
}

/// A connection that respects neither guards nor checks.
fn attack(archive: &TestArchive) -> Connection {
    let connection = Connection::open(archive.layout.database()).unwrap();
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false).unwrap();
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, false).unwrap();
    connection
}

/// What each kind of damage is called, and no other is: of which the archive that nothing was done to has none.
const DAMAGE: [(&str, &str); 5] = [
    ("a bit", "its block does not match the block's digest"),
    ("deleted", "it is no longer here"),
    ("reordered", "its block says that it begins at record"),
    ("cut off", "records are here, so newer ones were lost or an older copy was put back"),
    ("forged", "no signature is by the key"),
];

/// Whether a page says that something was found, as it does of no archive that is whole.
fn is_alarmed(text: &str) -> bool {
    let verdict = regex::Regex::new(r"\b[1-9][0-9]* things? (is|are) not as (it was|they were) signed").unwrap();
    verdict.is_match(text) && !text.contains("Everything that was checked")
}

/// The page tells of this kind of damage, in words that it has for no other.
fn assert_tells(text: &str, damage: &str) {
    assert!(is_alarmed(text), "{damage}: {text}");
    let told: Vec<&str> = DAMAGE.iter().filter(|(_, words)| text.contains(words)).map(|(name, _)| *name).collect();
    assert_eq!(told, [damage], "{text}");
}

/// Whether a text names a record of those that begin with `first`, or the one after them.
fn names_one(text: &str, first: i64, count: i64) -> bool {
    (first..=first + count).any(|record| text.contains(&format!("Record {record}:")))
}

/// The blocks: number of the first record, how many, bytes.
fn blocks(connection: &Connection) -> Vec<(i64, i64, Vec<u8>)> {
    let mut statement = connection.prepare("SELECT first, count, bytes FROM block ORDER BY first").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

#[tokio::test]
async fn each_way_of_tampering_is_found_and_named() {
    let desk = Desk::open().await;
    let ada = desk.auditor();
    let all = blocks(&attack(&desk.archive));
    let head = desk.archive.reader().head().unwrap();
    assert!(head < 2000, "{head} records: of any two, the sample has one");
    // Two blocks of messages that hold as many records; people and channels stand at the beginning.
    // What is missed is told by the block behind, so each has one in its own span of 128.
    let is_followed = |block: &(i64, i64, Vec<u8>)| {
        let next = block.0 + block.1;
        next / 128 == block.0 / 128 && next < head.cast_signed()
    };
    let long = |block: &&(i64, i64, Vec<u8>)| block.1 >= 4 && block.0 > 200 && is_followed(block);
    // The other is the last that fits: where it stands in the last span no proof can be made, and the first is named
    // all the same.
    type Block = (i64, i64, Vec<u8>);
    let is_twin = |one: &Block, other: &Block| other.0 > one.0 && other.1 == one.1;
    let pair = all
        .iter()
        .filter(long)
        .find_map(|one| Some((one, all.iter().filter(long).rfind(|other| is_twin(one, other))?)));
    let ((first, count, bytes), twin) = pair.unwrap();
    let (first, count) = (*first, *count);

    // One bit of what is stored.
    let copy = desk.archive.copy();
    let mut bytes = bytes.clone();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    attack(&copy).execute("UPDATE block SET bytes = ?1 WHERE first = ?2", params![bytes, first]).unwrap();
    let side = open(&copy);
    let text = text_of(&checked(&side, &ada, "sample").await);
    assert_tells(&text, "a bit");
    assert!(names_one(&text, first, count), "{text}");
    for path in [format!("/r/{first}"), format!("/r/{}/raw.json", first + count - 1), format!("/r/{first}/proof.json")]
    {
        let answer = page(&side.router, &ada, &path).await;
        let html = answer.text();
        assert_eq!(answer.status, 409, "{path}: {html}");
        assert!(html.contains("class=\"alert\" role=\"alert\""), "{path}: {html}");
        assert!(html.contains(&format!("<h1>Record {first} is damaged</h1>")), "{path}: {html}");
    }
    // One of the same span is whole and has no proof. Others may be versions of what is damaged.
    let span = first / 128 * 128;
    let mut whole = None;
    for seq in (span..(span + 128).min(head.cast_signed())).filter(|seq| !(first..first + count).contains(seq)) {
        let near = page(&side.router, &ada, &format!("/r/{seq}")).await;
        if near.status == 200 {
            whole = Some(near.text());
            break;
        }
        assert_eq!(near.status, 409, "/r/{seq}: {}", near.text());
    }
    let whole = whole.expect("all of a span are damaged by one block");
    assert!(whole.contains(&format!("record {first} is damaged")), "{whole}");
    assert_eq!(page(&side.router, &ada, "/verify").await.status, 200);

    // Records that are gone.
    let copy = desk.archive.copy();
    attack(&copy).execute("DELETE FROM block WHERE first = ?1", [first]).unwrap();
    let text = text_of(&checked(&open(&copy), &ada, "sample").await);
    assert_tells(&text, "deleted");
    assert!(names_one(&text, first, count), "{text}");

    // Records in another order: two blocks change places.
    let copy = desk.archive.copy();
    let other = attack(&copy);
    let exchange = "UPDATE block SET first = ?2 WHERE first = ?1";
    for (from, to) in [(first, -1), (twin.0, first), (-1, twin.0)] {
        other.execute(exchange, [from, to]).unwrap();
    }
    drop(other);
    let text = text_of(&checked(&open(&copy), &ada, "sample").await);
    assert_tells(&text, "reordered");
    assert!(names_one(&text, first, count) && names_one(&text, twin.0, count), "{text}");

    // The end is cut off. Signatures and roots are enough to tell.
    let copy = desk.archive.copy();
    let last = all.last().unwrap().0;
    attack(&copy).execute("DELETE FROM block WHERE first >= ?1", [last]).unwrap();
    let text = text_of(&checked(&open(&copy), &ada, "quick").await);
    assert_tells(&text, "cut off");
    assert!(text.contains("A checkpoint:") && text.contains(&format!("only {last} records are here")), "{text}");

    // A checkpoint of somebody else's.
    let copy = desk.archive.copy();
    let (size, note, _) = desk.archive.reader().checkpoints().unwrap().pop().unwrap();
    let signed = Checkpoint::parse(Note::parse(note.as_bytes()).unwrap().text()).unwrap();
    let forger = SigningKey::new("teamchat-archive/test", [66; 32]).unwrap();
    let forged = signed.sign(&forger).to_string();
    let sql = "UPDATE checkpoint SET note = ?1 WHERE size = ?2";
    attack(&copy).execute(sql, params![forged, i64::try_from(size).unwrap()]).unwrap();
    let text = text_of(&checked(&open(&copy), &ada, "quick").await);
    assert_tells(&text, "forged");
    assert!(text.contains(&format!("A checkpoint: the checkpoint of {size} records")), "{text}");
    assert!(text.contains(&key().verifier().id()), "it does not say whose signature is missing: {text}");
    desk.archive.check();
}

#[tokio::test]
async fn who_sees_little_is_told_that_something_is_wrong_and_not_what() {
    let desk = Desk::open().await;
    let legal = desk.running.workspace().channels().into_iter().find(|(_, name)| name == "legal").unwrap().0;
    let (ada, eve) = (desk.auditor(), desk.cookie("eve", Role::Reviewer, &super::only(&[&legal])));
    let copy = desk.archive.copy();
    let (first, count, _) = blocks(&attack(&copy)).into_iter().find(|block| block.1 >= 4).unwrap();
    attack(&copy).execute("DELETE FROM block WHERE first = ?1", [first]).unwrap();
    let side = open(&copy);
    let text = text_of(&checked(&side, &ada, "sample").await);
    assert!(is_alarmed(&text) && names_one(&text, first, count), "{text}");
    let text = text_of(&page(&side.router, &eve, "/verify").await.text());
    assert!(is_alarmed(&text) && text.contains("told to who watches over the archive"), "{text}");
    assert!(DAMAGE.iter().all(|(_, words)| !text.contains(words)), "{text}");
    assert!(!names_one(&text, first, count), "{text}");
}
