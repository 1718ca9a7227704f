//! Clients that nobody here wrote, run against the simulated server, and searching what `serve` serves.
//!
//! The scripts of `tests/thirdparty/` read with slacker, `slack_sdk` and feedparser and fail by
//! themselves when the server contradicts itself; here their counts are held against what the
//! server knows to be there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use teamchat_archive::sandbox::{self, Options, Running};

use crate::cli::described;
use crate::cli::harness::{DONE, list, number, python, string};
use crate::served::{Desk, crawled};
use crate::talk::http_client;

/// Runs `tests/thirdparty/<script> URL TOKEN ARGS…`, where `url` is the base of a `TeamChat` API,
/// and returns the one line of JSON that it prints. A script that exits non-zero fails the test
/// with what it said.
pub(crate) async fn run_script(script: &str, url: &str, token: &str, args: &[&str]) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/thirdparty").join(script);
    let mut command = Command::new(python());
    command.arg("-B").arg(path).args([url, token]).args(args).env("PYTHONWARNINGS", "ignore");
    // The server is on loopback, and slack_sdk heeds no NO_PROXY.
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    // The server may run on the caller's runtime, so this thread must not wait for the script.
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {}\n{stdout}{stderr}", output.status);
    serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{script} printed no JSON ({error}): {stdout}"))
}

async fn start() -> Running {
    let options = Options { control: true, ..Options::default() };
    sandbox::start(sandbox::story::seed(), options).await.unwrap()
}

/// What the server knows to be there: the living messages of each channel of `channels.list`, by
/// time stamp.
async fn truth(running: &Running) -> BTreeMap<String, BTreeMap<String, String>> {
    let http = http_client();
    let url = url::Url::parse(&running.url).unwrap().join("/_control/truth").unwrap();
    let lines = http.get(url).send().await.unwrap().text().await.unwrap();
    let list = format!("{}channels.list?token={}", running.url, running.token);
    let list: Value = http.get(list).send().await.unwrap().json().await.unwrap();
    let mut truth: BTreeMap<String, BTreeMap<String, String>> = list["channels"]
        .as_array()
        .unwrap()
        .iter()
        .map(|channel| (channel["id"].as_str().unwrap().to_owned(), BTreeMap::new()))
        .collect();
    for line in lines.lines() {
        let item: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
        if item["state"] != "deleted"
            && let Some(channel) = truth.get_mut(&text("channel"))
        {
            channel.insert(text("ts"), text("text"));
        }
    }
    truth
}

#[tokio::test]
async fn slacker_walks_each_channel_to_its_end() {
    let running = start().await;
    let truth = truth(&running).await;
    let walked = run_script("slacker_walk.py", &running.url, &running.token, &[]).await;
    let counts: BTreeMap<&String, usize> = truth.iter().map(|(id, items)| (id, items.len())).collect();
    assert_eq!(walked["channels"], json!(counts));
    let total: usize = counts.values().sum();
    assert_eq!(walked["count"], json!(total));
    assert_eq!(walked["distinct"], json!(total));
    let pages = walked["pages"].as_u64().unwrap();
    assert!(pages > truth.len() as u64, "no channel of the story takes a second page");

    let (busiest, items) = truth.iter().max_by_key(|(_, items)| items.len()).unwrap();
    let one = run_script("slacker_walk.py", &running.url, &running.token, &[busiest]).await;
    assert_eq!(one["channels"], json!({ busiest: items.len() }));
    running.stop().await;
}

#[tokio::test]
async fn slack_sdk_reads_history_and_finds_a_word() {
    let running = start().await;
    let truth = truth(&running).await;
    let (channel, items) = truth.iter().max_by_key(|(_, items)| items.len()).unwrap();
    let read = run_script("slack_sdk_read.py", &running.url, &running.token, &[channel]).await;
    let newest_first: Vec<&String> = items.keys().rev().collect();
    assert_eq!(read["ids"], json!(newest_first));
    assert_eq!(read["has_more"], json!(false));
    let word = read["word"].as_str().unwrap();
    let found = read["found_ids"].as_array().unwrap();
    assert!(found.len() > 1, "the most frequent word {word:?} is found {} times", found.len());
    for ts in found {
        let text = items[ts.as_str().unwrap()].to_lowercase();
        assert!(text.contains(word), "{word:?} is not in {text:?}");
    }
    running.stop().await;
}

/// The word searched for, its total of messages and of files, and how many texts are marked.
fn searched(read: &Value) -> (String, [u64; 4]) {
    let numbers = ["/messages", "/files", "/pages", "/marked"].map(|pointer| number(read, pointer));
    (string(read, "/word"), numbers)
}

#[test]
fn slacker_and_slack_sdk_search_what_serve_serves() {
    let (server, place) = crawled(sandbox::story::seed());
    server.running.play_later().unwrap();
    place.run(&["crawl", "--full", "--json"]).expect(DONE);
    let desk = Desk::open(&place);

    let walked = desk.run_script("slacker_walk.py", &[]);
    let (word, [messages, files, pages, marked]) = searched(&walked["search"]);
    let reply = desk.reply("search.all", &[("query", &word), ("count", "1000")]);
    assert_eq!(number(&reply, "/messages/total"), messages, "{word:?}");
    assert_eq!(number(&reply, "/files/total"), files, "{word:?}");
    assert!(pages > 2 && pages == messages.div_ceil(7), "{word:?}: {pages} pages of {messages} messages");
    assert!(marked > 0 && marked <= messages, "{word:?}: {marked} of {messages} messages are marked");

    let mut told = 0;
    for channel in list(&desk.reply("channels.list", &[]), "/channels") {
        let (id, name) = (string(&channel, "/id"), string(&channel, "/name"));
        let history = desk.reply("channels.history", &[("channel", &id), ("count", "1000")]);
        if list(&history, "/messages").len() < 20 {
            continue;
        }
        let read = desk.run_script("slack_sdk_read.py", &[&id]);
        let word = string(&read, "/word");
        let reply = desk.reply("search.messages", &[("query", &word), ("channel", &id), ("count", "1000")]);
        assert_eq!(number(&read, "/found"), number(&reply, "/messages/total"), "{word:?} in {name}");
        let found: BTreeSet<String> =
            list(&read, "/found_ids").iter().map(|ts| ts.as_str().unwrap().to_owned()).collect();
        let due: BTreeSet<String> = list(&reply, "/messages/matches").iter().map(|hit| string(hit, "/ts")).collect();
        assert_eq!(found, due, "{word:?} in {name}");
        assert_eq!(number(&read, "/marked"), list(&read, "/expected").len() as u64, "{word:?} in {name}");
        assert_eq!(number(&read, "/pages"), number(&read, "/found").div_ceil(3), "{word:?} in {name}");
        told += 1;
    }
    assert!(told > 2, "only {told} channels have enough to search in");
    desk.close();
}

#[test]
fn schemathesis_is_answered_as_it_is_described() {
    described::every_answer_is_as_it_is_described(12, 20_261_129, false);
}

#[tokio::test]
async fn feedparser_reads_each_feed_without_a_bozo_flag() {
    let running = start().await;
    let truth = truth(&running).await;
    let read = run_script("feedparser_read.py", &running.url, &running.token, &[]).await;
    let counts: BTreeMap<&String, usize> = truth.iter().map(|(id, items)| (id, items.len())).collect();
    assert_eq!(read["channels"], json!(counts));
    assert!(read["enclosures"].as_u64().unwrap() > 0, "no entry of the story has a file");
    running.stop().await;
}
