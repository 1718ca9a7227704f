//! The `TeamChat` API over the archive: its methods, replies and refusals, and the clients that read
//! it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, header};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use teamchat_archive::api::{Connection, Reader};
use teamchat_archive::crawl::{Account, Options};
use teamchat_archive::history::{item, messages_between};
use teamchat_archive::model::{ChannelId, MessageTs, Role, Scope};
use teamchat_archive::record::Kind;
use teamchat_archive::store::{Change, FIRST_SOURCE};

use super::{Answer, Desk, encode, get, only, post, send};
use crate::reference::{Schemas, index};
use crate::support::{TestArchive, quick};
use crate::thirdparty::run_script;

/// What serve answers, by the contract.
const ANSWERED: [&str; 20] = [
    "api.test",
    "auth.test",
    "channels.list",
    "channels.info",
    "channels.history",
    "channels.atom.history",
    "files.list",
    "files.info",
    "files.download",
    "im.list",
    "items.info",
    "pins.list",
    "reactions.get",
    "reactions.list",
    "search.all",
    "search.files",
    "search.messages",
    "users.identity",
    "users.info",
    "users.list",
];

/// A token that sees two channels, and their ids.
async fn limited(desk: &Desk) -> (String, BTreeSet<String>) {
    let all = desk.token("looks them up", Role::Auditor, &Scope::All);
    let (one, two) = (desk.channel(&all, "legal").await, desk.channel(&all, "purchasing").await);
    let token = desk.token("two channels'", Role::Reviewer, &only(&[&one, &two]));
    (token, [one, two].into())
}

fn counts(living: &BTreeMap<String, BTreeMap<String, String>>) -> BTreeMap<&String, usize> {
    living.iter().map(|(id, items)| (id, items.len())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_nobody_here_wrote_read_what_stands() {
    let desk = Desk::open().await;
    let url = desk.listen().await;
    let all = desk.auditor_token();
    let ids = desk.ids(&all, "channels.list", "channels").await;
    let (few, two) = limited(&desk).await;
    for (token, ids) in [(all, ids), (few, two)] {
        let living = desk.living(&ids);
        let counts = counts(&living);
        let total: usize = counts.values().sum();

        let walked = run_script("slacker_walk.py", &url, &token, &[]).await;
        assert_eq!(walked["channels"], json!(counts));
        assert_eq!((&walked["count"], &walked["distinct"]), (&json!(total), &json!(total)));

        let (busiest, items) = living.iter().max_by_key(|(_, items)| items.len()).unwrap();
        let read = run_script("slack_sdk_read.py", &url, &token, &[busiest]).await;
        assert_eq!(read["ids"], json!(items.keys().rev().collect::<Vec<_>>()));
        assert_eq!(read["has_more"], false);
        let found = read["found_ids"].as_array().unwrap();
        assert!(found.len() > 1, "{:?} is found {} times", read["word"], found.len());

        let feeds = run_script("feedparser_read.py", &url, &token, &[]).await;
        assert_eq!(feeds["channels"], json!(counts));
        assert!(feeds["enclosures"].as_u64().unwrap() > 0);
    }
}

/// A way to send a call.
#[derive(Debug, Clone, Copy)]
enum Way {
    GetQuery,
    GetBearer,
    PostQuery,
    PostForm,
    PostFormBearer,
    PostJson,
    PostJsonBearer,
    PostParts,
}

const WAYS: [Way; 8] = [
    Way::GetQuery,
    Way::GetBearer,
    Way::PostQuery,
    Way::PostForm,
    Way::PostFormBearer,
    Way::PostJson,
    Way::PostJsonBearer,
    Way::PostParts,
];

fn form(arguments: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = arguments.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
    pairs.join("&")
}

fn request(way: Way, method: &str, token: &str, arguments: &[(&str, &str)]) -> Request<Body> {
    let path = format!("/teamchatapi/{method}");
    let mut with_token = arguments.to_vec();
    with_token.push(("token", token));
    let object = |arguments: &[(&str, &str)]| json!(arguments.iter().copied().collect::<BTreeMap<_, _>>()).to_string();
    let bearer = format!("Bearer {token}");
    let (kind_form, kind_json) = ("application/x-www-form-urlencoded", "application/json; charset=utf-8");
    let (builder, body) = match way {
        Way::GetQuery => (get(&format!("{path}?{}", form(&with_token))), String::new()),
        Way::GetBearer => {
            (get(&format!("{path}?{}", form(arguments))).header(header::AUTHORIZATION, bearer), String::new())
        }
        Way::PostQuery => (post(&format!("{path}?{}", form(&with_token))), String::new()),
        Way::PostForm => (post(&path).header(header::CONTENT_TYPE, kind_form), form(&with_token)),
        Way::PostFormBearer => {
            (post(&path).header(header::CONTENT_TYPE, kind_form).header(header::AUTHORIZATION, bearer), form(arguments))
        }
        Way::PostJson => (post(&path).header(header::CONTENT_TYPE, kind_json), object(&with_token)),
        Way::PostJsonBearer => (
            post(&path).header(header::CONTENT_TYPE, kind_json).header(header::AUTHORIZATION, bearer),
            if arguments.is_empty() { String::new() } else { object(arguments) },
        ),
        Way::PostParts => {
            let mut body = String::new();
            for (name, value) in &with_token {
                body.push_str(&format!("--cut\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"));
            }
            body.push_str("--cut--\r\n");
            (post(&path).header(header::CONTENT_TYPE, "multipart/form-data; boundary=cut"), body)
        }
    };
    builder.body(Body::from(body)).unwrap()
}

/// Tickets differ from reply to reply in nothing that matters.
fn without_tickets(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Some(at) = text.find("ticket=") {
                text.truncate(at);
            }
        }
        Value::Array(list) => list.iter_mut().for_each(without_tickets),
        Value::Object(map) => map.values_mut().for_each(without_tickets),
        _ => {}
    }
}

#[tokio::test]
async fn every_method_answers_in_its_shape_by_each_way() {
    let desk = Desk::open().await;
    let token = desk.auditor_token();
    let schemas = Schemas::load();
    let legal = desk.channel(&token, "legal").await;
    let history = desk.reply(&token, "channels.history", &[("channel", &legal), ("count", "1000")]).await;
    let messages = history["messages"].as_array().unwrap();
    let ts = messages[0]["ts"].as_str().unwrap();
    let reacted = messages.iter().find(|message| message.get("reactions").is_some()).expect("a reaction in #legal");
    let (reacted_ts, who) = (reacted["ts"].as_str().unwrap(), reacted["reactions"][0]["users"][0].as_str().unwrap());
    let files = desk.reply(&token, "files.list", &[]).await;
    let file = files["files"].as_array().unwrap().iter().find(|file| file["comments_count"] != 0).unwrap();
    let (file, user) = (file["id"].as_str().unwrap(), messages[0]["user"].as_str().unwrap());
    let calls: [(&str, &[(&str, &str)], &str); 18] = [
        ("api.test", &[("foo", "bär & more")], "/args/foo"),
        ("auth.test", &[], "/user_id"),
        ("channels.list", &[], "/channels/0/id"),
        ("channels.info", &[("channel", &legal)], "/channel/id"),
        ("channels.history", &[("channel", &legal), ("count", "50")], "/messages/49/ts"),
        ("files.list", &[], "/files/0/id"),
        ("files.info", &[("file", file)], "/comments/0/comment"),
        ("im.list", &[], "/ims/0/id"),
        ("items.info", &[("channel", &legal), ("ts", ts)], "/message/ts"),
        ("pins.list", &[("channel", &legal)], "/items/0"),
        ("reactions.get", &[("channel", &legal), ("timestamp", reacted_ts)], "/reactions/0/name"),
        ("reactions.list", &[("channel", &legal), ("user", who)], "/items/0/message/ts"),
        ("search.all", &[("channel", &legal), ("query", "contract")], "/messages/matches/0/ts"),
        ("search.files", &[("query", "pdf OR png")], "/files"),
        ("search.messages", &[("query", "crane")], "/messages/matches/0/ts"),
        ("users.identity", &[], "/user/id"),
        ("users.info", &[("user", user)], "/user/id"),
        ("users.list", &[], "/members/0/id"),
    ];
    let mut problems = Vec::new();
    for (method, arguments, pointer) in calls {
        let mut first: Option<Value> = None;
        for way in WAYS {
            let answer = send(&desk.router, request(way, method, &token, arguments)).await;
            let kind = answer.header(header::CONTENT_TYPE).split(';').next().unwrap().to_owned();
            if answer.status != 200 || kind != "application/json" {
                problems.push(format!("{method} {way:?}: {} {kind}", answer.status));
                continue;
            }
            if answer.text().contains(&token) {
                problems.push(format!("{method} {way:?}: the token stands in the reply"));
            }
            let mut reply = answer.json();
            problems
                .extend(schemas.problems(method, &reply).into_iter().map(|told| format!("{method} {way:?}: {told}")));
            if reply.pointer(pointer).is_none() {
                problems.push(format!("{method} {way:?}: nothing at {pointer}"));
            }
            without_tickets(&mut reply);
            match &first {
                None => first = Some(reply),
                Some(first) if *first != reply => problems.push(format!("{method} {way:?}: another reply")),
                Some(_) => {}
            }
        }
    }
    let feed = desk.call(&token, "channels.atom.history", &[("channel", &legal)]).await;
    assert!(feed.header(header::CONTENT_TYPE).starts_with("application/atom+xml"));
    assert!(!feed.text().contains(&token));
    for way in WAYS {
        let answer = send(&desk.router, request(way, "channels.atom.history", &token, &[("channel", &legal)])).await;
        if !answer.text().contains("<feed") {
            problems.push(format!("channels.atom.history {way:?}: {}", answer.text()));
        }
    }
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

#[tokio::test]
async fn what_writes_is_refused_and_what_nobody_knows_is_unknown() {
    let desk = Desk::open().await;
    let token = desk.auditor_token();
    let schemas = Schemas::load();
    let head = desk.archive.reader().head().unwrap();
    let documented = index();
    let mut refused = 0;
    let mut problems = Vec::new();
    let unknown =
        ["no.such", "channels", "chat.postmessage", "channels.list.", "channels.invite", "_control", "rtm.connect"];
    let others = documented.keys().map(String::as_str).filter(|method| !ANSWERED.contains(method));
    for (method, code) in
        others.map(|method| (method, "read_only_archive")).chain(unknown.map(|method| (method, "unknown_method")))
    {
        refused += 1;
        for way in WAYS {
            let arguments = [("channel", "x"), ("ts", "1.000000"), ("text", "y")];
            let answer = send(&desk.router, request(way, method, &token, &arguments)).await;
            let reply = answer.json();
            if reply["error"] != code || !schemas.problems("error", &reply).is_empty() {
                problems.push(format!("{method} {way:?}: {reply}"));
            }
        }
    }
    assert_eq!(refused, 35 + unknown.len());
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert_eq!(desk.archive.reader().head().unwrap(), head);
}

#[tokio::test]
async fn only_a_token_that_holds_is_let_in() {
    let desk = Desk::open().await;
    let good = desk.auditor_token();
    let spare = desk.token("spare", Role::Auditor, &Scope::All);
    desk.access.revoke_token("spare").unwrap();
    let ends = desk.now() + chrono::TimeDelta::minutes(1);
    let (short, _) = desk.access.create_token("short", Role::Auditor, &Scope::All, ends).unwrap();
    let short = secrecy::ExposeSecret::expose_secret(&short).to_owned();
    assert_eq!(desk.call(&short, "auth.test", &[]).await.json()["ok"], true);
    desk.hand.fetch_add(60_000, Ordering::Relaxed);
    let cookie = desk.auditor();
    let mut changed = good.clone();
    changed.pop();
    changed.push(if good.ends_with('A') { 'B' } else { 'A' });
    for method in ANSWERED.iter().filter(|method| !["api.test", "files.download"].contains(method)) {
        for way in WAYS {
            for (token, code) in [
                ("arc_guess", "invalid_auth"),
                (changed.as_str(), "invalid_auth"),
                (spare.as_str(), "invalid_auth"),
                (short.as_str(), "invalid_auth"),
                ("'; DROP TABLE token; --", "invalid_auth"),
                ("", "not_authed"),
            ] {
                if token.is_empty() && !matches!(way, Way::GetQuery | Way::PostForm | Way::PostJson) {
                    continue;
                }
                let reply = send(&desk.router, request(way, method, token, &[("channel", "x")])).await.json();
                assert_eq!(reply, json!({"ok": false, "error": code}), "{method} {way:?} {token:?}");
            }
        }
        let without = get(&format!("/teamchatapi/{method}")).body(Body::empty()).unwrap();
        assert_eq!(send(&desk.router, without).await.json()["error"], "not_authed", "{method}");
        // A session of the pages opens no method.
        let with_cookie = desk.page(&cookie, &format!("/teamchatapi/{method}")).await;
        assert_eq!(with_cookie.json()["error"], "not_authed", "{method}");
    }
    // And a token opens no page.
    let bearer = get("/c").header(header::AUTHORIZATION, format!("Bearer {good}")).body(Body::empty()).unwrap();
    assert_eq!(send(&desk.router, bearer).await.status, 303);
    // api.test needs none and echoes none.
    for way in WAYS {
        let reply = send(&desk.router, request(way, "api.test", &good, &[("a", "b")])).await.json();
        assert_eq!(reply, json!({"ok": true, "args": {"a": "b"}}), "{way:?}");
    }
    let failing = desk.call(&good, "api.test", &[("error", "my_error")]).await.json();
    assert_eq!((&failing["ok"], &failing["error"]), (&json!(false), &json!("my_error")));
}

#[tokio::test]
async fn pages_past_the_end_are_empty_and_pages_before_it_add_up() {
    let desk = Desk::open().await;
    let token = desk.auditor_token();
    let legal = desk.channel(&token, "legal").await;
    let mut most = (String::new(), 0);
    for item in desk.reply(&token, "users.list", &[]).await["members"].as_array().unwrap() {
        let user = item["id"].as_str().unwrap().to_owned();
        let list = desk.reply(&token, "reactions.list", &[("channel", &legal), ("user", &user)]).await;
        let total = list["paging"]["total"].as_u64().unwrap();
        if total > most.1 {
            most = (user, total);
        }
    }
    let busy = most.0;
    let lists: [(&str, &[(&str, &str)], &str, &str); 5] = [
        ("files.list", &[], "/files", "/paging"),
        ("search.messages", &[("query", "crane")], "/messages/matches", "/messages/paging"),
        ("search.all", &[("query", "crane")], "/messages/matches", "/messages/paging"),
        ("search.files", &[("query", "pdf")], "/files/matches", "/files/paging"),
        ("reactions.list", &[("channel", &legal), ("user", &busy)], "/items", "/paging"),
    ];
    for (method, arguments, items, paging) in lists {
        let with = |count: &str, page: &str| {
            let mut arguments: Vec<(String, String)> =
                arguments.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            arguments.push(("count".to_owned(), count.to_owned()));
            arguments.push(("page".to_owned(), page.to_owned()));
            arguments
        };
        let ask = async |count: &str, page: &str| {
            let arguments = with(count, page);
            let arguments: Vec<(&str, &str)> =
                arguments.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let mut reply = desk.reply(&token, method, &arguments).await;
            without_tickets(&mut reply);
            reply
        };
        let whole = ask("1000", "1").await;
        let all = whole.pointer(items).unwrap().as_array().unwrap().clone();
        let total = all.len() as u64;
        assert!(total > 0, "{method}: nothing to page through");
        assert_eq!(whole.pointer(paging).unwrap()["total"], total, "{method}");
        let pages = total.div_ceil(3);
        let mut joined = Vec::new();
        for page in 1..=pages {
            let reply = ask("3", &page.to_string()).await;
            let found = reply.pointer(items).unwrap().as_array().unwrap();
            let told = reply.pointer(paging).unwrap();
            assert_eq!(
                (&told["total"], &told["page"], &told["pages"], &told["count"]),
                (&json!(total), &json!(page), &json!(pages), &json!(found.len())),
                "{method}"
            );
            joined.extend(found.clone());
        }
        assert_eq!(joined, all, "{method}: the pages are not the whole");
        for page in [(pages + 1).to_string(), "1000".to_owned(), "9007199254740992".to_owned(), u64::MAX.to_string()] {
            let arguments = with("3", &page);
            let arguments: Vec<(&str, &str)> =
                arguments.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let reply = desk.call(&token, method, &arguments).await.json();
            assert_eq!(reply["ok"], true, "{method} page {page}: {reply}");
            assert_eq!(reply.pointer(items), Some(&json!([])), "{method} page {page}");
            assert_eq!(reply.pointer(paging).unwrap()["total"], total, "{method} page {page}");
        }
    }
}

/// A bound of a history call: which, and how it is written.
#[derive(Debug, Clone)]
enum Bound {
    Absent,
    Zero,
    /// The n-th message's stamp, so many microseconds off.
    Near(prop::sample::Index, i64),
    /// Its whole second.
    Second(prop::sample::Index),
    Last,
}

fn bound() -> impl Strategy<Value = Bound> {
    prop_oneof![
        2 => Just(Bound::Absent),
        1 => Just(Bound::Zero),
        5 => (any::<prop::sample::Index>(), -1_i64..=1).prop_map(|(index, off)| Bound::Near(index, off)),
        1 => any::<prop::sample::Index>().prop_map(Bound::Second),
        1 => Just(Bound::Last),
    ]
}

fn micros(ts: &str) -> i64 {
    let (seconds, fraction) = ts.split_once('.').unwrap_or((ts, "0"));
    seconds.parse::<i64>().unwrap() * 1_000_000 + format!("{fraction:0<6}").parse::<i64>().unwrap()
}

fn written(bound: &Bound, stamps: &[String]) -> Option<String> {
    Some(match bound {
        Bound::Absent => return None,
        Bound::Zero => "0".to_owned(),
        Bound::Near(index, off) => {
            let at = micros(index.get::<String>(stamps)) + off;
            format!("{}.{:06}", at / 1_000_000, at % 1_000_000)
        }
        Bound::Second(index) => index.get::<String>(stamps).split('.').next().unwrap().to_owned(),
        Bound::Last => "9999999999.999999".to_owned(),
    })
}

#[test]
fn history_is_what_a_brute_force_over_the_truth_gives() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let desk = runtime.block_on(Desk::open());
    let token = desk.auditor_token();
    let mut places = runtime.block_on(desk.ids(&token, "channels.list", "channels"));
    places.extend(runtime.block_on(desk.ids(&token, "im.list", "ims")));
    let living = desk.living(&places);
    let gone: BTreeSet<(String, String)> =
        desk.truth().into_iter().filter(|item| item.state == "deleted").map(|item| (item.channel, item.ts)).collect();
    assert!(gone.iter().any(|(channel, _)| places.contains(channel)), "nothing was deleted");
    let channels: Vec<&String> = living.iter().filter(|(_, items)| !items.is_empty()).map(|(id, _)| id).collect();
    let strategy = (
        any::<prop::sample::Index>(),
        bound(),
        bound(),
        prop::sample::select(vec!["", "0", "1", "true"]),
        prop_oneof![4 => (1_usize..40).prop_map(Some), 1 => Just(Some(1000)), 1 => Just(None)],
    );
    let config = Config { cases: 400, failure_persistence: None, ..Config::default() };
    let tried = TestRunner::new(config).run(&strategy, |(channel, latest, oldest, inclusive, count)| {
        let channel = *channel.get(&channels);
        let items = &living[channel];
        let mut stamps: Vec<String> = items.keys().cloned().collect();
        stamps.sort_by_key(|ts| micros(ts));
        let (latest, oldest) = (written(&latest, &stamps), written(&oldest, &stamps));
        let mut arguments = vec![("channel", channel.clone())];
        arguments.extend(latest.clone().map(|ts| ("latest", ts)));
        arguments.extend(oldest.clone().map(|ts| ("oldest", ts)));
        if !inclusive.is_empty() {
            arguments.push(("inclusive", inclusive.to_owned()));
        }
        arguments.extend(count.map(|count| ("count", count.to_string())));
        let asked: Vec<(&str, &str)> = arguments.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let reply = runtime.block_on(desk.reply(&token, "channels.history", &asked));

        let is_inclusive = matches!(inclusive, "1" | "true");
        let high = latest.as_deref().filter(|ts| *ts != "0").map(micros);
        let low = oldest.as_deref().filter(|ts| *ts != "0").map(micros);
        let count = count.unwrap_or(100);
        let within = |ts: &&String| {
            let at = micros(ts);
            high.is_none_or(|high| at < high || is_inclusive && at == high)
                && low.is_none_or(|low| at > low || is_inclusive && at == low)
        };
        let mut due: Vec<&String> = stamps.iter().filter(within).collect();
        let has_more = due.len() > count;
        if high.is_none() && low.is_some() {
            due.truncate(count);
        } else {
            due.drain(..due.len().saturating_sub(count));
        }
        due.reverse();
        let got: Vec<&str> =
            reply["messages"].as_array().unwrap().iter().map(|message| message["ts"].as_str().unwrap()).collect();
        prop_assert_eq!(&got, &due.iter().map(|ts| ts.as_str()).collect::<Vec<_>>(), "{:?}", asked);
        prop_assert_eq!(&reply["has_more"], &json!(has_more), "{:?}", asked);
        for message in reply["messages"].as_array().unwrap() {
            prop_assert_eq!(message["text"].as_str().unwrap_or_default(), &items[message["ts"].as_str().unwrap()]);
        }
        Ok(())
    });
    if let Err(error) = tried {
        panic!("{error}");
    }
    for (name, code) in [("latest", "invalid_ts_latest"), ("oldest", "invalid_ts_oldest")] {
        for bad in ["x", "-1", "1.2.3", "1.0000001"] {
            let reply =
                runtime.block_on(desk.call(&token, "channels.history", &[("channel", channels[0]), (name, bad)]));
            assert_eq!(reply.json()["error"], code, "{name}={bad}");
        }
    }
}

/// The words of a text as a person would cut them: letters and digits, without case.
fn words(text: &str) -> BTreeSet<String> {
    let plain = text.to_lowercase();
    plain.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn matches<'a>(reply: &'a Value, list: &str) -> &'a [Value] {
    reply[list]["matches"].as_array().unwrap()
}

#[tokio::test]
async fn a_search_finds_what_stands_and_counts_it_exactly() {
    let desk = Desk::open().await;
    let token = desk.auditor_token();
    let mut places = desk.ids(&token, "channels.list", "channels").await;
    places.extend(desk.ids(&token, "im.list", "ims").await);
    let truth: Vec<_> = desk.truth().into_iter().filter(|item| places.contains(&item.channel)).collect();
    // Words of plain messages that stand, that are one word in any cutting, in no link and code.
    let mut holders: BTreeMap<String, BTreeSet<(String, String)>> = BTreeMap::new();
    let plain = |text: &str| !text.contains(['<', '`', '_', '\'', '’', '-', '/', '.', '@']);
    let mut unsure: BTreeSet<String> = BTreeSet::new();
    for item in &truth {
        let words = words(&item.text);
        if item.state == "current" && plain(&item.text) && item.subtype.is_empty() {
            for word in words {
                holders.entry(word).or_default().insert((item.channel.clone(), item.ts.clone()));
            }
        } else {
            unsure.extend(words);
        }
    }
    let mut tried = 0;
    for (word, due) in &holders {
        if word.len() < 5 || !word.bytes().all(|byte| byte.is_ascii_lowercase()) || unsure.contains(word) || tried == 60
        {
            continue;
        }
        let reply = desk.reply(&token, "search.messages", &[("query", word), ("count", "1000")]).await;
        let found: BTreeSet<(String, String)> = matches(&reply, "messages")
            .iter()
            .filter(|found| found["archive"]["kind"] == "message")
            .map(|found| {
                (found["archive"]["channel"].as_str().unwrap().to_owned(), found["ts"].as_str().unwrap().to_owned())
            })
            .collect();
        let due: BTreeSet<(String, String)> =
            due.iter().map(|(channel, ts)| (ChannelId::parse(channel).unwrap().to_string(), ts.clone())).collect();
        assert!(found.is_superset(&due), "{word:?}: {:?} is not found", due.difference(&found));
        let extra: Vec<_> = found.difference(&due).collect();
        assert!(extra.is_empty(), "{word:?} is found in {extra:?}");
        assert_eq!(reply["messages"]["total"], matches(&reply, "messages").len(), "{word:?}");
        tried += 1;
    }
    assert!(tried > 15, "only {tried} words were tried");
}

#[tokio::test]
async fn a_search_knows_states_channels_cursors_and_marks() {
    let desk = Desk::open().await;
    let token = desk.auditor_token();
    let legal = desk.channel(&token, "legal").await;
    let reader = desk.archive.reader();
    // A word that only an earlier version has, and one that only a deleted message has.
    let mut places = desk.ids(&token, "channels.list", "channels").await;
    places.extend(desk.ids(&token, "im.list", "ims").await);
    let mut current: BTreeSet<String> = BTreeSet::new();
    let (mut edited, mut deleted) = (Vec::new(), Vec::new());
    for id in &places {
        let channel = ChannelId::parse(id).unwrap();
        for item in messages_between(&reader, FIRST_SOURCE, &channel, MessageTs::MIN, MessageTs::MAX).unwrap() {
            let texts: Vec<String> = item
                .readings()
                .iter()
                .map(|version| serde_json::from_slice::<Value>(&version.record.body).unwrap())
                .map(|body| body["text"].as_str().unwrap_or_default().to_owned())
                .collect();
            let last = texts.len() - 1;
            for (n, text) in texts.iter().enumerate() {
                let found = words(text);
                match (n == last, item.is_gone()) {
                    (true, false) => current.extend(found),
                    (true, true) => deleted.push((item.key.clone(), found)),
                    (false, _) => edited.push((item.key.clone(), found)),
                }
            }
        }
    }
    let only_in = |list: &[(String, BTreeSet<String>)]| {
        let is_rare = |word: &&String| word.len() > 4 && word.is_ascii() && !current.contains(*word);
        list.iter().find_map(|(ts, words)| Some((ts.clone(), words.iter().find(is_rare)?.clone()))).unwrap()
    };
    for (state, (ts, word)) in [("edited", only_in(&edited)), ("deleted", only_in(&deleted))] {
        let plain = desk.reply(&token, "search.messages", &[("query", &word)]).await;
        assert_eq!(plain["messages"]["total"], 0, "{word:?} stands nowhere");
        let found = desk.reply(&token, "search.messages", &[("query", &word), ("states", state)]).await;
        let hit = matches(&found, "messages").iter().find(|found| found["ts"] == *ts);
        let hit = hit.unwrap_or_else(|| panic!("{word:?} of {ts} is not among the {state}: {found}"));
        assert_eq!(hit["archive"]["state"], state);
    }

    let query = "the OR crane";
    let total = async |states: &str| {
        let reply = desk.reply(&token, "search.all", &[("query", query), ("states", states)]).await;
        let total = |list: &str| reply[list]["total"].as_u64().unwrap();
        (total("messages"), total("files"))
    };
    let (one, two, three) = (total("current").await, total("edited").await, total("deleted").await);
    assert!(one.0 > 0 && two.0 > 0 && three.0 > 0, "{one:?} {two:?} {three:?}");
    assert_eq!(total("current,edited,deleted").await, (one.0 + two.0 + three.0, one.1 + two.1 + three.1));
    let by_default = desk.reply(&token, "search.all", &[("query", query)]).await;
    assert_eq!(by_default["messages"]["total"], one.0);
    let refused = desk.call(&token, "search.all", &[("query", query), ("states", "nonsense")]).await.json();
    assert_eq!(refused["ok"], false);

    // Channel by channel it is the same as all of it.
    let mut sum = 0;
    for id in &places {
        let reply =
            desk.reply(&token, "search.messages", &[("query", query), ("channel", id), ("count", "1000")]).await;
        let canonical = ChannelId::parse(id).unwrap();
        for found in matches(&reply, "messages") {
            assert_eq!(found["archive"]["channel"], canonical.as_str());
        }
        sum += reply["messages"]["total"].as_u64().unwrap();
    }
    let comments = {
        let reply = desk.reply(&token, "search.messages", &[("query", query), ("count", "1000")]).await;
        let without = |found: &&Value| found["archive"]["channel"].is_null();
        matches(&reply, "messages").iter().filter(without).count() as u64
    };
    assert_eq!(sum + comments, one.0, "the channels add up to another total");

    // The cursor goes through all of it, each once, and ends.
    for sort in ["newest", "oldest", "relevance"] {
        let whole = desk
            .reply(
                &token,
                "search.messages",
                &[("query", query), ("sort", sort), ("states", "current,edited,deleted"), ("count", "1000")],
            )
            .await;
        let records = |reply: &Value| -> Vec<u64> {
            matches(reply, "messages").iter().map(|found| found["archive"]["record"].as_u64().unwrap()).collect()
        };
        let mut joined = Vec::new();
        let mut cursor = String::new();
        loop {
            let mut arguments =
                vec![("query", query), ("sort", sort), ("states", "current,edited,deleted"), ("count", "37")];
            if !cursor.is_empty() {
                arguments.push(("cursor", cursor.as_str()));
            }
            let reply = desk.reply(&token, "search.messages", &arguments).await;
            assert_eq!(reply["messages"]["total"], whole["messages"]["total"], "{sort}");
            joined.extend(records(&reply));
            assert!(joined.len() <= 5000, "{sort}: the cursor has no end");
            match reply["next_cursor"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => break,
            }
        }
        assert_eq!(joined.len() as u64, whole["messages"]["total"].as_u64().unwrap(), "{sort}");
        assert_eq!(joined[..records(&whole).len()], records(&whole), "{sort}");
        assert_eq!(joined.iter().collect::<BTreeSet<_>>().len(), joined.len(), "{sort}: one comes twice");
    }
    for forged in ["garbage", "x.1.1", "newest.-1.1", "~", "newest.1"] {
        let reply = desk.call(&token, "search.messages", &[("query", query), ("cursor", forged)]).await.json();
        assert_ne!(reply["error"], "fatal_error", "{forged}");
    }
    // One that goes past the end finds nothing, and takes no room for what it skips.
    for far in [
        "relevance.ffffffff.ffffffffffffffff.ffffffffffffffff.ffffffffffffffff.1869f",
        "relevance.ffffffff.ffffffffffffffff.ffffffffffffffff.ffffffffffffffff.ffffffffffffffff",
    ] {
        let reply = desk.reply(&token, "search.messages", &[("query", query), ("cursor", far)]).await;
        assert_eq!(matches(&reply, "messages"), &[] as &[Value], "{far}");
        assert!(reply["next_cursor"].is_null(), "{far}");
    }

    let marked =
        desk.reply(&token, "search.messages", &[("query", "contract"), ("channel", &legal), ("highlight", "1")]).await;
    let bare = desk.reply(&token, "search.messages", &[("query", "contract"), ("channel", &legal)]).await;
    let mut marked_texts = 0;
    for (with, without) in matches(&marked, "messages").iter().zip(matches(&bare, "messages")) {
        let matched = with;
        let (with, without) = (with["text"].as_str().unwrap(), without["text"].as_str().unwrap());
        assert!(!without.contains(['\u{e000}', '\u{e001}']));
        assert_eq!(with.replace(['\u{e000}', '\u{e001}'], ""), without);
        marked_texts += usize::from(with != without);
        let inside: Vec<&str> =
            with.split('\u{e000}').skip(1).map(|rest| rest.split('\u{e001}').next().unwrap()).collect();
        let in_text = matched["archive"]["matched_in"].as_array().unwrap().contains(&json!("text"));
        assert!(!in_text || inside.iter().any(|hit| hit.to_lowercase().contains("contract")), "{with:?}");
    }
    assert!(marked_texts > 1, "{marked_texts} texts are marked");
    assert_eq!(desk.call(&token, "search.all", &[]).await.json()["error"], "no_query");
    assert_eq!(desk.call(&token, "search.all", &[("query", "(")]).await.json()["ok"], false);
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn fetch(router: &Router, address: &str, headers: &[(&str, &str)]) -> Answer {
    let url = url::Url::parse(address).unwrap();
    let mut request = get(&format!("{}?{}", url.path(), url.query().unwrap()));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    send(router, request.body(Body::empty()).unwrap()).await
}

fn assert_refused(answer: &Answer, code: &str, why: &str) {
    let kind = answer.header(header::CONTENT_TYPE);
    assert!(kind.starts_with("text/html"), "{why}: {kind}");
    assert_eq!(answer.json(), json!({"ok": false, "error": code}), "{why}");
    assert!(answer.header(header::CONTENT_DISPOSITION).is_empty(), "{why}: an error that looks like a file");
}

#[tokio::test]
async fn a_ticket_opens_its_file_and_no_other() {
    let desk = Desk::open().await;
    let token = desk.auditor_token();
    let truth = desk.running.workspace().file_truth().unwrap();
    let list = desk.reply(&token, "files.list", &[("count", "1000")]).await;
    let files = list["files"].as_array().unwrap();
    assert_eq!(
        files.iter().map(|file| file["id"].as_str().unwrap()).collect::<BTreeSet<_>>(),
        truth.iter().filter(|file| file.state == "current").map(|file| file.file.as_str()).collect::<BTreeSet<_>>()
    );
    let mut is_shortened = false;
    for file in files {
        let id = file["id"].as_str().unwrap();
        let due = truth.iter().find(|known| known.file == id).unwrap();
        let info = desk.reply(&token, "files.info", &[("file", id)]).await;
        for address in [&file["url_private"], &file["url_private_download"], &info["file"]["url_private"]] {
            let Some(address) = address.as_str() else { continue };
            assert!(!address.contains(&token), "{address}");
            let answer = fetch(&desk.router, address, &[]).await;
            assert_eq!(answer.status, 200, "{address}");
            assert_eq!(
                Some(&sha256(&answer.body)),
                due.versions.last(),
                "{address} of {due:?}: {}",
                answer.text().chars().take(200).collect::<String>()
            );
            let how = answer.header(header::CONTENT_DISPOSITION);
            assert!(how.starts_with("attachment;"), "{how}");
            // What turns a name around is not saved with it, nor what a system or a shell may read as more than a name.
            let is_odd = |c: char| ('\u{202a}'..='\u{202e}').contains(&c) || "/\\:*?\"<>|".contains(c);
            let saved = due.name.replace(is_odd, "_");
            if saved.len() <= 240 {
                assert!(how.ends_with(&format!("filename*=UTF-8''{}", encode(&saved))), "{how}");
            } else {
                // No system takes a longer one; its beginning and its kind stay.
                let (_, name) = how.split_once("filename*=UTF-8''").unwrap();
                let ending = encode(&saved[saved.rfind('.').unwrap()..]);
                assert!(encode(&saved).starts_with(name.strip_suffix(&ending).unwrap()), "{how}");
                is_shortened = true;
            }
            assert_eq!(answer.header(header::CONTENT_LENGTH), answer.body.len().to_string());
        }
    }
    assert!(is_shortened, "no name was too long");

    let address = |n: usize| files[n]["url_private"].as_str().unwrap().to_owned();
    let big = (0..files.len()).max_by_key(|&n| files[n]["size"].as_u64().unwrap_or(0)).unwrap();
    let whole = fetch(&desk.router, &address(big), &[]).await;
    let (size, tag) = (whole.body.len(), whole.header(header::ETAG).to_owned());
    assert!(size > 100 && tag.starts_with('"'));
    for (range, first, last) in [
        ("bytes=0-0", 0, 0),
        ("bytes=10-19", 10, 19),
        ("bytes=90-", 90, size - 1),
        ("bytes=-5", size - 5, size - 1),
        ("bytes=5-99999999", 5, size - 1),
    ] {
        for extra in [None, Some(("if-range", tag.as_str()))] {
            let mut headers = vec![("range", range)];
            headers.extend(extra);
            let part = fetch(&desk.router, &address(big), &headers).await;
            assert_eq!(part.status, 206, "{range}");
            assert_eq!(part.body, whole.body[first..=last], "{range}");
            assert_eq!(part.header(header::CONTENT_RANGE), format!("bytes {first}-{last}/{size}"));
        }
    }
    for headers in [
        &[("range", "bytes=10-19"), ("if-range", "\"another\"")][..],
        &[("range", "bytes=10-19"), ("if-range", "Wed, 21 Oct 2015 07:28:00 GMT")],
        &[("range", "lines=1-2")],
        &[("range", "bytes=9-1")],
    ] {
        let answer = fetch(&desk.router, &address(big), headers).await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (200, size), "{headers:?}");
    }
    let beyond = fetch(&desk.router, &address(big), &[("range", &format!("bytes={size}-"))]).await;
    assert_eq!(
        (beyond.status.as_u16(), beyond.header(header::CONTENT_RANGE)),
        (416, format!("bytes */{size}").as_str())
    );
    assert!(beyond.body.is_empty());

    let ticket = url::Url::parse(&address(big))
        .unwrap()
        .query_pairs()
        .find(|(name, _)| name == "ticket")
        .unwrap()
        .1
        .into_owned();
    let open = async |ticket: &str| {
        let path = format!("/teamchatapi/files.download?ticket={}", encode(ticket));
        send(&desk.router, get(&path).body(Body::empty()).unwrap()).await
    };
    assert_eq!(sha256(&open(&ticket).await.body), sha256(&whole.body));
    let (text, seal) = ticket.split_once('.').unwrap();
    let other = address(usize::from(big == 0));
    let other =
        url::Url::parse(&other).unwrap().query_pairs().find(|(name, _)| name == "ticket").unwrap().1.into_owned();
    let flip = |text: &str, at: usize| -> String {
        text.char_indices().map(|(n, c)| if n == at { if c == 'A' { 'B' } else { 'A' } } else { c }).collect()
    };
    let mut forged =
        vec![String::new(), "x".to_owned(), ".".to_owned(), text.to_owned(), format!("{text}."), format!(".{seal}")];
    forged.push(format!("{text}.{}", &seal[..8]));
    forged.push(format!("{text}.{}", other.split_once('.').unwrap().1));
    forged.extend((0..text.len()).step_by(5).map(|at| format!("{}.{seal}", flip(text, at))));
    forged.extend((0..seal.len() - 1).map(|at| format!("{text}.{}", flip(seal, at))));
    for forged in forged {
        assert_refused(&open(&forged).await, "invalid_ticket", &forged);
    }
    assert_refused(&fetch(&desk.another_router(), &address(big), &[]).await, "invalid_ticket", "of another process");

    desk.hand.fetch_add(14 * 60 * 1000, Ordering::Relaxed);
    assert_eq!(open(&ticket).await.status, 200);
    assert_eq!(sha256(&open(&ticket).await.body), sha256(&whole.body));
    desk.hand.fetch_add(61 * 1000, Ordering::Relaxed);
    assert_refused(&open(&ticket).await, "ticket_expired", "after 15 minutes");
}

#[tokio::test]
async fn a_ticket_is_good_for_its_own_token_only() {
    let desk = Desk::open().await;
    let token = desk.auditor_token();
    let other = desk.token("other", Role::Auditor, &Scope::All);
    let list = desk.reply(&token, "files.list", &[]).await;
    let address = list["files"][0]["url_private"].as_str().unwrap();
    let bearer = |token: &str| format!("Bearer {token}");
    let own = fetch(&desk.router, address, &[("authorization", &bearer(&token))]).await;
    assert!(!own.header(header::CONTENT_DISPOSITION).is_empty());
    let foreign = fetch(&desk.router, address, &[("authorization", &bearer(&other))]).await;
    assert_refused(&foreign, "invalid_ticket", "with another token");
    desk.access.revoke_token("auditor's").unwrap();
    assert_refused(&fetch(&desk.router, address, &[]).await, "invalid_ticket", "of a token that was withdrawn");
}

/// What stands in an archive: bodies of messages by channel and time stamp, files with their
/// digests, comments.
fn standing(
    archive: &TestArchive,
) -> (BTreeMap<(String, String), Value>, BTreeMap<String, Vec<String>>, BTreeMap<String, String>) {
    let reader = archive.reader();
    let mut messages = BTreeMap::new();
    for (_, source, channel, _) in reader.tables().unwrap().channels {
        let id = ChannelId::parse(&channel).unwrap();
        for item in messages_between(&reader, source, &id, MessageTs::MIN, MessageTs::MAX).unwrap() {
            if !item.is_gone() {
                let body: Value = serde_json::from_slice(&item.latest().unwrap().record.body).unwrap();
                let told = json!({"text": body["text"], "user": body["user"], "subtype": body["subtype"], "comment": body["comment"]["comment"], "file": body["file"]["id"]});
                messages.insert((channel.clone(), item.key.clone()), told);
            }
        }
    }
    let mut files = BTreeMap::new();
    for (id, row) in reader.newest(Kind::File).unwrap() {
        if row.change != Change::Gone {
            let found = item(&reader, Kind::File, FIRST_SOURCE, None, &id).unwrap().unwrap();
            files.insert(id, found.latest().unwrap().record.header.attachments.clone());
        }
    }
    let mut comments = BTreeMap::new();
    for (key, row) in reader.newest(Kind::Comment).unwrap() {
        if row.change != Change::Gone {
            let body: Value = serde_json::from_slice(&reader.record(row.seq).unwrap().body).unwrap();
            comments.insert(key, body["comment"].as_str().unwrap().to_owned());
        }
    }
    (messages, files, comments)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_own_crawler_makes_the_same_archive_from_it() {
    let desk = Desk::open().await;
    let url = desk.listen().await;
    let token = desk.auditor_token();
    let connection = Arc::new(Connection::new(&url, &quick()).unwrap());
    let reader = Reader::new(connection, token.into());
    let (who, _) = reader.auth_test().await.unwrap();
    let user_id = who.user_id.clone();
    let account = Account { name: "archive".to_owned(), user_id, reader };
    let copy = TestArchive::new(&url);
    let summary = copy.crawl(&account, &Options::default()).await.unwrap();
    assert_eq!(summary.result, "complete", "{summary:?}");
    assert_eq!(summary.files.failed, 0);
    assert!(summary.findings.is_empty(), "{:?}", summary.findings);

    let (messages, files, comments) = standing(&desk.archive);
    let (copied_messages, copied_files, copied_comments) = standing(&copy);
    assert!(messages.len() > 500 && files.len() > 10 && comments.len() > 5);
    assert_eq!(copied_messages.keys().collect::<Vec<_>>(), messages.keys().collect::<Vec<_>>());
    for (key, told) in &messages {
        assert_eq!(&copied_messages[key], told, "{key:?}");
    }
    assert_eq!(copied_files, files);
    assert_eq!(copied_comments, comments);
    let again = copy.crawl(&account, &Options::default()).await.unwrap();
    assert_eq!(again.records.added, 0, "{again:?}");
}
