//! Sets whose owner sees less than before, or less than all; and how many of one account are under way.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{Cursor, Read as _};
use std::process::Command;
use std::sync::Arc;

use serde_json::{Value, json};
use teamchat_archive::api::Connection;
use teamchat_archive::crawl::Options;
use teamchat_archive::history::{coverage, directory};
use teamchat_archive::model::{ChannelId, Clock, Role, Scope};
use teamchat_archive::store::access::{Grant, JobState};

use super::exporting::Office;
use super::{Desk, only, text_of};
use crate::support::{account, account_of, quick};

/// A file of a set by the end of its name, if there is one.
fn file(set: &[u8], name: &str) -> Option<Vec<u8>> {
    let mut zip = zip::ZipArchive::new(Cursor::new(set)).unwrap();
    for place in 0..zip.len() {
        let mut entry = zip.by_index(place).unwrap();
        if entry.name().unwrap().ends_with(name) {
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            return Some(content);
        }
    }
    None
}

fn custody(set: &[u8]) -> Value {
    serde_json::from_slice(&file(set, "/CUSTODY.json").unwrap()).unwrap()
}

/// The conversations of which anything is in a set.
fn conversations(set: &[u8]) -> BTreeSet<String> {
    let table = file(set, "/RECONCILIATION.csv").unwrap();
    let mut reader = csv::Reader::from_reader(table.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&table));
    let column = reader.headers().unwrap().iter().position(|column| column == "conversation").unwrap();
    reader.records().map(|row| row.unwrap()[column].to_owned()).filter(|id| !id.is_empty()).collect()
}

/// Asks for a set and waits until it is made; its bytes.
async fn set(office: &Office, cookie: &str) -> Vec<u8> {
    let answer = office.form(cookie, "/exports", &[("format", "csv")]).await;
    assert_eq!(answer.status, 303, "{}", text_of(&answer.text()));
    office.wait().await;
    given(office, cookie, answer.header("location")).await
}

/// The bytes of a set that was made.
async fn given(office: &Office, cookie: &str, place: &str) -> Vec<u8> {
    let answer = office.page(cookie, &format!("{place}/set.zip")).await;
    assert_eq!(answer.status, 200, "{}", text_of(&office.page(cookie, place).await.text()));
    answer.body
}

#[tokio::test]
async fn what_was_made_when_its_owner_saw_more_is_made_anew() {
    let office = Office::open().await;
    let access = office.desk.access.clone();
    let ada = office.exporter("ada", Role::Auditor, &Scope::All);
    let random = office.desk.channel(&office.desk.auditor_token(), "random").await;
    let seen = ChannelId::parse(&random).unwrap().to_string();
    let all = conversations(&set(&office, &ada).await);
    assert!(all.len() > 1 && all.contains(&seen), "{all:?}");

    // As a process leaves it that dies between the name of the set and the note that it is made.
    access.set_job(1, JobState::Running, None, None).unwrap();
    let grant = Grant { may_export: true, ..Grant::new(Role::Reviewer, Some(only(&[&random]))).unwrap() };
    access.set_role("ada", &grant).unwrap();
    let ada = office.session("ada");
    assert_eq!(office.page(&ada, "/exports/1/set.zip").await.status, 404);
    assert_eq!(office.form(&ada, "/exports/1/again", &[]).await.status, 303);
    office.wait().await;
    let narrow = given(&office, &ada, "/exports/1").await;
    assert_eq!(conversations(&narrow), [seen.clone()].into());
    assert_eq!(custody(&narrow)["scope"]["channels_the_asker_may_see"], json!([seen]));

    // What nobody noted anything of, and what was begun when more was seen, goes no further either.
    let sets = office.desk.archive.layout.root().join("exports");
    for (noted, name) in [(None, "set-N.zip"), (Some(r#"{"scope":"all"}"#), "set-N.zip.partial/data/more.txt")] {
        let id = access.add_job("ada", "format=csv").unwrap().unwrap();
        access.set_job(id, JobState::Stopped, noted, None).unwrap();
        let path = sets.join(id.to_string()).join(name.replace('N', &id.to_string()));
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(&path, "of other channels").unwrap();
        assert_eq!(office.form(&ada, &format!("/exports/{id}/again"), &[]).await.status, 303);
        office.wait().await;
        let job = access.job(id).unwrap().unwrap();
        assert_eq!((job.state, job.error), (JobState::Done, None), "{name}");
        let set = given(&office, &ada, &format!("/exports/{id}")).await;
        assert_eq!(conversations(&set), [seen.clone()].into(), "{name}");
        assert!(file(&set, "/data/more.txt").is_none(), "{name}");
    }
}

#[tokio::test]
async fn a_set_of_some_channels_tells_of_no_other_account_and_no_other_set() {
    let office = Office::over(Desk::alone().await);
    let desk = &office.desk;
    let connection = Arc::new(Connection::new(&desk.running.url, &quick()).unwrap());
    let second = account_of(&desk.running, "petr.malek@orlava.example", &connection);
    desk.archive.crawl(&second, &Options::default()).await.unwrap();
    let first = account(&desk.running).await;
    // Something more is archived, so that the log is longer than it was.
    let grow = async |name: &str| {
        desk.running.workspace().rename_user("viktor.sokol@orlava.example", name).unwrap();
        desk.archive.crawl(&first, &Options { full: true, ..Options::default() }).await.unwrap();
    };
    let reader = desk.archive.reader();
    let covered = coverage(&reader, &directory(&reader).unwrap(), &[], &[].into(), Clock::System.now()).unwrap();
    let theirs = covered.channels.iter().find(|channel| {
        !channel.is_im && channel.accounts.contains(&first.name) && !channel.accounts.contains(&second.name)
    });
    let scope = only(&[&theirs.expect("one account sees a channel that the other does not").channel]);
    let ada = office.exporter("ada", Role::Auditor, &Scope::All);
    let [rita, sam] = ["rita", "sam"].map(|name| office.exporter(name, Role::Reviewer, &scope));

    let sizes = |set: &[u8]| {
        let checkpoint = custody(set)["checkpoint"].clone();
        (checkpoint["size"].as_u64().unwrap(), checkpoint["handed_out_before"].as_u64())
    };
    let accounts = |set: &[u8]| -> BTreeSet<String> {
        serde_json::from_value(custody(set)["source"]["accounts"].clone()).unwrap()
    };
    let whole = set(&office, &ada).await;
    assert_eq!(accounts(&whole), [first.name.clone(), second.name.clone()].into());
    let hers = set(&office, &rita).await;
    assert_eq!(accounts(&hers), [first.name.clone()].into());
    let (begin, none) = sizes(&hers);
    assert_eq!((none, file(&hers, "/proofs/consistency.txt")), (None, None), "ada's set is not told of");

    grow("Viktor the Former").await;
    let whole = set(&office, &ada).await;
    let (middle, before) = sizes(&whole);
    assert!(middle > begin && before == Some(begin) && file(&whole, "/proofs/consistency.txt").is_some());

    grow("Viktor the Latter").await;
    let hers = set(&office, &rita).await;
    let (end, before) = sizes(&hers);
    assert!(end > middle && before == Some(begin), "her own set before is told of: {before:?} of {begin}, {middle}");
    let proof = String::from_utf8(file(&hers, "/proofs/consistency.txt").unwrap()).unwrap();
    assert!(proof.starts_with(&format!("old {begin}\n")), "{proof}");
    let his = set(&office, &sam).await;
    assert_eq!((sizes(&his).1, file(&his, "/proofs/consistency.txt")), (None, None), "rita's sets are hers");
}

#[tokio::test]
async fn an_account_has_three_sets_under_way_and_no_more() {
    const TOO_MANY: &str = "3 of your sets wait or are being made, as many as one account may have at once";
    let office = Office::open().await;
    let access = office.desk.access.clone();
    let [ada, bob] = ["ada", "bob"].map(|name| office.exporter(name, Role::Auditor, &Scope::All));
    // The first one is held where it looks whether it was handed over already: there is a pipe, into which nobody
    // writes as long as the test holds it.
    let id = access.add_job("ada", "format=csv").unwrap().unwrap();
    access.set_job(id, JobState::Running, Some(r#"{"scope":"all"}"#), None).unwrap();
    let partial = office.desk.archive.layout.root().join(format!("exports/{id}/set-{id}.zip.partial"));
    fs_err::create_dir_all(&partial).unwrap();
    let pipe = partial.with_extension("partial.done");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let held = OpenOptions::new().read(true).write(true).open(&pipe).unwrap();

    let asked = [("format", "csv")];
    assert_eq!(office.form(&ada, &format!("/exports/{id}/again"), &[]).await.status, 303);
    for _ in 0..2 {
        assert_eq!(office.form(&ada, "/exports", &asked).await.status, 303);
    }
    let refused = office.form(&ada, "/exports", &asked).await;
    assert_eq!(refused.status, 409);
    assert!(text_of(&refused.text()).contains(TOO_MANY), "{}", text_of(&refused.text()));
    assert_eq!(access.jobs("ada").unwrap().len(), 3, "what is refused is not kept");
    // One that failed is not taken up again either, and is as it was.
    let failed = access.add_job("ada", "format=csv").unwrap().unwrap();
    access.set_job(failed, JobState::Failed, None, Some("the disk was full")).unwrap();
    let refused = office.form(&ada, &format!("/exports/{failed}/again"), &[]).await;
    assert_eq!(refused.status, 400);
    assert!(text_of(&refused.text()).contains(TOO_MANY), "{}", text_of(&refused.text()));
    let job = access.job(failed).unwrap().unwrap();
    assert_eq!((job.state, job.error.as_deref()), (JobState::Failed, Some("the disk was full")));
    assert_eq!(office.form(&bob, "/exports", &asked).await.status, 303, "others have their places");

    // Whoever has opened the pipe comes to its end, and whoever comes later finds none.
    fs_err::remove_file(&pipe).unwrap();
    drop(held);
    office.wait().await;
    assert_eq!(office.form(&ada, &format!("/exports/{failed}/again"), &[]).await.status, 303);
    office.wait().await;
    for job in access.jobs("ada").unwrap().into_iter().chain(access.jobs("bob").unwrap()) {
        assert_eq!((job.state, &job.error), (JobState::Done, &None), "{}", job.id);
    }
}
