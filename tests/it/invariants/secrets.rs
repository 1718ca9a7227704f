//! I8: no ticket, token or password in the archive, in what is logged, in summaries or in errors.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::{Arc, Mutex};

use teamchat_archive::crawl::Account;
use teamchat_archive::sandbox::Fault;
use tracing_subscriber::filter::EnvFilter;

use super::stir;
use crate::schedules::town::{ANN, BOB, Town, full};
use crate::support::{World, account_with, quick};

/// What was logged, for whoever holds the other end.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Adds every ticket that stands in what the server shows to a person now.
async fn gather(world: &World, files: &[String], into: &mut BTreeSet<String>) {
    let mut pages = Vec::new();
    for id in world.readable().await {
        for method in ["channels.history", "files.list", "pins.list"] {
            pages.push(world.bytes(method, &[("channel", &id), ("count", "1000")]).await);
        }
    }
    for file in files {
        pages.push(world.bytes("files.info", &[("file", file)]).await);
    }
    for page in pages {
        let page = String::from_utf8_lossy(&page).into_owned();
        for rest in page.split("ticket=").skip(1) {
            into.insert(rest[..rest.find(['&', '"', '\\']).unwrap()].to_owned());
        }
    }
}

fn files_below(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut out = Vec::new();
    for entry in fs_err::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { out.extend(files_below(&path)) } else { out.push(path) }
    }
    out
}

// On one thread, so that the log of this test is this test's.
#[tokio::test]
async fn i8_no_secret_is_archived_logged_or_said() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new("debug,teamchat_archive=trace,teamchat_archive::sandbox=off"))
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    // While there is one subscriber alone, a place in the code that another test comes to first is never heard
    // again: the thread it stands in is asked, which has none. Of two, each is asked.
    let _beside = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::new());

    let town = Town::new(20, &[]).await;
    let workspace = town.running.workspace();
    let root: Account = account_with(&town.running, &quick()).await;
    let token = workspace.token_for(ANN).unwrap();
    let ann = Account {
        name: ANN.to_owned(),
        user_id: ANN.to_owned(),
        reader: teamchat_archive::api::Reader::new(Arc::clone(root.reader.connection()), token.clone().into()),
    };
    let accounts = [root, ann];
    let world = World::of(&town.running);
    let worlds = [world.as_seen_by(&town.running, ANN), world];
    let mut tickets = BTreeSet::new();
    let mut said = String::new();
    // A text may quote a ticket of a person's own making: that is content. These are the server's.
    for (round, fault) in [
        Fault::TicketExpiry,
        Fault::Error500,
        Fault::BrokenJson,
        Fault::ErrorAsHtml,
        Fault::ResetMidBody,
        Fault::TokenRevoked,
    ]
    .into_iter()
    .enumerate()
    {
        stir(&town, round);
        workspace.upload("cellar", BOB, &format!("of round {round}.txt"), vec![b'x'; round + 1]).unwrap();
        let files: Vec<String> = workspace.file_truth().unwrap().into_iter().map(|file| file.file).collect();
        for world in &worlds {
            gather(world, &files, &mut tickets).await;
        }
        for rate in [0.4, 1.0, 0.0] {
            town.running.set_fault(fault, rate);
            let outcome = town.archive.crawl_watched(&accounts, &full(), || true).await.unwrap();
            said.push_str(&format!("{outcome:?}\n"));
            match outcome {
                Ok(summary) => said.push_str(&serde_json::to_string(&summary).unwrap()),
                Err(error) => said.push_str(&format!("{error} {error:?}")),
            }
        }
    }
    said.push_str(&format!("{accounts:?}"));
    for run in town.archive.reader().runs(1000).unwrap() {
        said.push_str(&format!("{run:?}"));
    }
    for debt in town.archive.reader().debts().unwrap() {
        said.push_str(&format!("{debt:?}"));
    }
    assert!(tickets.len() >= 10, "{} tickets", tickets.len());
    let mut secrets: Vec<(&str, &str)> = tickets.iter().map(|ticket| ("ticket", ticket.as_str())).collect();
    secrets.extend([("token", token.as_str()), ("token", &town.running.token), ("password", &town.running.password)]);

    let logged = log.0.lock().unwrap().clone();
    assert!(logged.len() > 10_000, "{} bytes were logged", logged.len());
    let mut places: Vec<(String, Vec<u8>)> =
        vec![("the log".to_owned(), logged), ("what was said".to_owned(), said.into())];
    for path in files_below(town.archive.layout.root()) {
        places.push((path.display().to_string(), fs_err::read(&path).unwrap()));
    }
    for record in town.records() {
        places.push((format!("{:?}", record.header), [record.header.to_line(), record.body].concat()));
    }
    let mut problems = Vec::new();
    for (place, bytes) in &places {
        let text = String::from_utf8_lossy(bytes);
        for (kind, secret) in &secrets {
            if text.contains(secret) {
                problems.push(format!("a {kind} stands in {place}"));
            }
        }
        if let Some(at) = text.find("xoxp-") {
            let around: String = text[at..].chars().take(30).collect();
            problems.push(format!("a token stands in {place}: {around}"));
        }
    }
    problems.sort();
    problems.dedup();
    assert!(problems.is_empty(), "{} places:\n{}", problems.len(), problems[..problems.len().min(20)].join("\n"));
    town.archive.check();
    town.stop().await;
}
