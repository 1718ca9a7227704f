//! What the crawl promises whatever happens: I1 to I13 of the protocol notes, each by its number,
//! held against the sandbox's own truth.

mod accounts;
mod deletions;
mod progress;
mod secrets;
mod views;
mod weather;

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};
use teamchat_archive::record::{Kind, Record};
use teamchat_archive::sandbox::Fault;

use crate::schedules::town::{ANN, BOB, EVA, Town, full};
use crate::support::http_client;

/// A digest of each record, header and body.
fn seals(records: &[Record]) -> Vec<[u8; 32]> {
    let seal = |record: &Record| {
        let line = record.header.to_line();
        Sha256::new().chain_update(line).chain_update(b"\n").chain_update(&record.body).finalize().into()
    };
    records.iter().map(seal).collect()
}

/// Posts, edits, deletes, comments, replaces, renames: something of everything. What a fault took away
/// is refused, and is no change.
fn stir(town: &Town, round: usize) {
    let workspace = town.running.workspace();
    let at = |label: &str| workspace.labelled(label).unwrap();
    for place in ["quay", "dock", "attic", "cellar"] {
        workspace.post(place, BOB, &format!("{place}, round {round}")).unwrap();
    }
    workspace.whisper("quay", BOB, ANN, &format!("whispered, round {round}")).unwrap();
    let (channel, ts) = at(&format!("quay-{}", 2 * round));
    let _refused = workspace.edit(&channel, &ts, None, &format!("edited in round {round}"));
    let (channel, ts) = at(&format!("quay-{}", 2 * round + 1));
    let _refused = workspace.delete(&channel, &ts, None);
    let (channel, ts) = at("dock-2");
    let _refused = workspace.react(&channel, &ts, EVA, ["tea", "wave"][round % 2]);
    let _refused = workspace.pin(&channel, &ts, ANN, false).or_else(|_| workspace.unpin(&channel, &ts, ANN));
    workspace.comment("plan", EVA, &format!("comment {round}")).unwrap();
    workspace.replace_file("list", format!("version {round}").into_bytes()).unwrap();
    workspace.upload("dock", ANN, &format!("{round}.txt"), format!("upload {round}").into_bytes()).unwrap();
    let id = workspace.channels()[0].0.clone();
    workspace.rename_channel(&id, &format!("quay-{round}")).unwrap();
    workspace.set_topic("cellar", BOB, &format!("topic {round}")).unwrap();
    workspace.rename_user(BOB, &format!("Bob {round}")).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn i1_no_archived_byte_is_ever_changed() {
    let town = Town::new(20, &[ANN, EVA]).await;
    let mut before: Vec<[u8; 32]> = Vec::new();
    let mut held = |town: &Town, context: &str| {
        let now = seals(&town.records());
        assert!(now.len() >= before.len() && now[..before.len()] == before[..], "{context}: an earlier record differs");
        let grew = now.len() > before.len();
        before = now;
        grew
    };
    town.crawl(&full()).await.unwrap();
    assert!(held(&town, "the first pass"));
    for (round, fault) in [Fault::Error500, Fault::Unordered, Fault::MembershipLoss, Fault::DstRepeat, Fault::TsTie]
        .into_iter()
        .enumerate()
    {
        town.running.set_fault(fault, 0.3);
        stir(&town, round);
        // A pass that fails appends what it had, or nothing.
        drop(town.crawl(&full()).await);
        let grew = held(&town, fault.name());
        town.running.set_fault(fault, 0.0);
        town.crawl(&full()).await.unwrap();
        assert!(held(&town, fault.name()) || grew, "a round of changes adds records");
        let polls = 40 * (round + 1);
        town.archive.crawl_for(&town.accounts[0], &full(), polls).await;
        held(&town, "a pass that died");
    }
    let database = rusqlite::Connection::open(town.archive.layout.database()).unwrap();
    for statement in [
        "UPDATE block SET bytes = zeroblob(10)",
        "UPDATE block SET first = first + 1",
        "DELETE FROM block",
        "INSERT OR REPLACE INTO block SELECT * FROM block",
        "UPDATE subject SET seq = seq + 1",
        "DELETE FROM subject",
        "INSERT OR REPLACE INTO subject SELECT * FROM subject",
        "DELETE FROM salt",
        "UPDATE node SET hash = zeroblob(32)",
        "DELETE FROM node",
        "DELETE FROM checkpoint",
    ] {
        let refused = database.execute(statement, []);
        assert!(refused.is_err(), "`{statement}` was done: {refused:?}");
    }
    drop(database);
    assert!(!held(&town, "after what SQL was refused"));
    town.archive.check();
    town.stop().await;
}

/// What an archiver may call: the methods marked as read in the protocol notes' table, and the
/// log-ins. Made by hand from there.
const MAY_BE_CALLED: &[&str] = &[
    "api.test",
    "auth.test",
    "channel.info",
    "channels.atom.history",
    "channels.history",
    "channels.info",
    "channels.list",
    "files.avatar",
    "files.download",
    "files.info",
    "files.list",
    "im.list",
    "items.info",
    "iwauthentication.login.digest",
    "iwauthentication.login.plain",
    "iwauthentication.logout",
    "pins.list",
    "reactions.get",
    "reactions.list",
    "rtm.start",
    "search.all",
    "search.files",
    "search.messages",
    "users.identity",
    "users.info",
    "users.list",
];

/// What the sandbox was asked: the methods, in order.
pub(crate) async fn requests(town: &Town) -> Vec<String> {
    let url = town.running.url.replace("/teamchatapi/", "/_control/requests");
    let text = http_client().get(url).send().await.unwrap().text().await.unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    lines.map(|line| line["method"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn i7_nothing_is_asked_that_could_change_the_server() {
    let mut town = Town::new(20, &[ANN, EVA]).await;
    town.crawl(&full()).await.unwrap();
    for (round, fault) in
        [Fault::ErrorAsHtml, Fault::TicketExpiry, Fault::MembershipLoss, Fault::TokenRevoked, Fault::Reset]
            .into_iter()
            .enumerate()
    {
        stir(&town, round);
        town.running.set_fault(fault, 0.3);
        drop(town.crawl(&full()).await);
        town.running.set_fault(fault, 0.0);
        town.sign_in_again();
        town.crawl(&full()).await.unwrap();
    }
    let workspace = town.running.workspace();
    workspace.leave("dock", ANN).unwrap();
    workspace.remove_channel("attic").unwrap();
    town.crawl(&full()).await.unwrap();
    let account = crate::support::account_with(&town.running, &crate::support::quick()).await;
    town.archive.crawl(&account, &full()).await.unwrap();

    let asked = requests(&town).await;
    let methods: BTreeSet<&str> = asked.iter().map(String::as_str).collect();
    let forbidden: Vec<&&str> = methods.iter().filter(|method| !MAY_BE_CALLED.contains(*method)).collect();
    assert!(forbidden.is_empty(), "{forbidden:?}");
    for needed in ["iwauthentication.login.digest", "channels.history", "files.download", "items.info", "channels.info"]
    {
        assert!(methods.contains(needed), "the test did not get as far as {needed}: {methods:?}");
    }
    town.archive.check();
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn i9_a_stored_file_is_what_the_server_served_and_no_error_is_one() {
    let town = Town::new(9, &[ANN]).await;
    let workspace = town.running.workspace();
    // Contents that look like what must not be stored.
    let contents: Vec<Vec<u8>> = vec![
        br#"{"ok":false,"error":"ticket_expired"}"#.to_vec(),
        b"<html><body>Internal Server Error</body></html>".to_vec(),
        Vec::new(),
        b"x".to_vec(),
        (0..300_000_u32).flat_map(u32::to_le_bytes).collect(),
    ];
    for (number, content) in contents.iter().enumerate() {
        let name = ["a.json", "a.html", "empty", "x", "large.bin"][number];
        workspace.upload("quay", BOB, name, content.clone()).unwrap();
    }
    let served = |bytes: &[u8]| {
        (Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>(), bytes.len() as u64)
    };
    let mut due: BTreeSet<(String, u64)> = contents.iter().map(|content| served(content)).collect();
    due.extend([served(b"0123456789"), served(b"a,b,c")].into_iter());
    let stored = |town: &Town| -> BTreeSet<(String, u64)> {
        let blobs = town.archive.reader().blobs().unwrap();
        blobs.into_iter().map(|(digest, size)| (digest.to_string(), size)).collect()
    };
    for fault in [Fault::ErrorAsHtml, Fault::TicketExpiry, Fault::ResetMidBody, Fault::Error500, Fault::TruncatedJson] {
        for rate in [1.0, 0.4] {
            town.running.set_fault(fault, rate);
            drop(town.crawl(&full()).await);
            town.running.set_fault(fault, 0.0);
            let alien: Vec<(String, u64)> = stored(&town).difference(&due).cloned().collect();
            assert!(alien.is_empty(), "{fault:?} {rate}: {alien:?} was stored and never served");
        }
    }
    let last = town.crawl(&full()).await.unwrap();
    assert_eq!((last.result, last.files.failed), ("complete", 0), "{last:?}");
    let lost: Vec<(String, u64)> = due.difference(&stored(&town)).filter(|(_, size)| *size > 0).cloned().collect();
    assert!(lost.is_empty(), "{lost:?} was served and is not stored");
    for (id, item) in town.archive.newest(Kind::File) {
        assert_eq!(item.latest().unwrap().record.header.attachments.len(), 1, "file {id} has its content");
    }
    // The bytes on the disk, by our own count and not the archive's word.
    for (digest, size) in stored(&town) {
        let path = town.archive.layout.blobs().join(&digest[..2]).join(&digest[2..4]).join(&digest);
        let bytes = fs_err::read(&path).or_else(|_| fs_err::read(path.with_file_name(&digest[4..]))).unwrap();
        assert_eq!(served(&bytes), (digest, size));
    }
    town.archive.check();
    town.stop().await;
}
