//! The simulated server, asked as a client asks it.

use std::path::PathBuf;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use md5::{Digest as _, Md5};
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};
use teamchat_archive::sandbox::seed::{Content, Seed, SeedChannel, SeedComment, SeedFile, SeedMessage, SeedUser};
use teamchat_archive::sandbox::{Fault, Options, Running, Settings, corpus, start};
use tokio_tungstenite::tungstenite::Message;

pub(crate) const ANN: &str = "ann@harbour.example";
pub(crate) const BOB: &str = "bob@harbour.example";

pub(crate) fn seed(messages: usize) -> Seed {
    let user = |email: &str, is_admin| SeedUser {
        email: email.to_owned(),
        name: email.split('@').next().unwrap().to_owned(),
        real_name: "Some One".to_owned(),
        is_admin,
        tz: "Europe/Prague".to_owned(),
        ..SeedUser::default()
    };
    let channel = |key: &str| SeedChannel {
        key: key.to_owned(),
        name: key.to_owned(),
        created: 1_490_000_000,
        members: vec![ANN.to_owned(), BOB.to_owned()],
        ..SeedChannel::default()
    };
    Seed {
        domain: "harbour.example".to_owned(),
        account: ANN.to_owned(),
        users: vec![user(ANN, true), user(BOB, false)],
        channels: vec![channel("quay"), channel("dock")],
        messages: (0..messages)
            .map(|number| SeedMessage {
                channel: "quay".to_owned(),
                user: BOB.to_owned(),
                at: 1_490_000_100 + i64::try_from(number).unwrap() / 3,
                text: format!("line {number}"),
                label: format!("m{number}"),
                ..SeedMessage::default()
            })
            .collect(),
        files: vec![SeedFile {
            key: "plan".to_owned(),
            name: "plán \"A\".txt".to_owned(),
            user: BOB.to_owned(),
            channels: vec!["dock".to_owned()],
            created: 1_490_000_050,
            content: Content::Bytes(b"0123456789".to_vec()),
            comments: vec![SeedComment { user: ANN.to_owned(), text: "good".to_owned(), created: 1_490_000_060 }],
            ..SeedFile::default()
        }],
        ..Seed::default()
    }
}

/// A client with the token of the ready line.
pub(crate) struct Door {
    pub(crate) client: Client,
    pub(crate) running: Running,
}

impl Door {
    pub(crate) async fn open(seed: Seed, options: Options) -> Self {
        // The client insists on it even for plain HTTP; another test may have been first.
        let _already = rustls::crypto::ring::default_provider().install_default();
        Self { client: Client::new(), running: start(seed, options).await.unwrap() }
    }

    pub(crate) async fn with(messages: usize) -> Self {
        let options = Options { control: true, ..Options::default() };
        Self::open(seed(messages), options).await
    }

    pub(crate) async fn send(&self, method: &str, params: &[(&str, &str)]) -> Response {
        let url = format!("{}{method}", self.running.url);
        let mut form = params.to_vec();
        if !params.iter().any(|(key, _)| *key == "token") {
            form.push(("token", &self.running.token));
        }
        self.client.post(url).form(&form).send().await.unwrap()
    }

    pub(crate) async fn call(&self, method: &str, params: &[(&str, &str)]) -> Value {
        self.send(method, params).await.json().await.unwrap()
    }

    pub(crate) async fn control(&self, action: &str, body: Value) -> Value {
        let origin = self.running.url.replace("/teamchatapi/", "");
        let url = format!("{origin}/_control/{action}");
        let answer = self.client.post(url).json(&body).send().await.unwrap();
        answer.json().await.unwrap()
    }

    pub(crate) async fn lines(&self, name: &str) -> Vec<Value> {
        let origin = self.running.url.replace("/teamchatapi/", "");
        let url = format!("{origin}/_control/{name}");
        let text = self.client.get(url).send().await.unwrap().text().await;
        text.unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub(crate) async fn channel(&self, name: &str) -> String {
        let list = self.call("channels.list", &[]).await;
        let channels = list["channels"].as_array().unwrap();
        let found = channels.iter().find(|channel| channel["name"] == name);
        found.unwrap()["id"].as_str().unwrap().to_owned()
    }

    /// All messages, paged backwards by the last time stamp.
    pub(crate) async fn walk(&self, channel: &str, count: &str) -> Vec<Value> {
        let mut all: Vec<Value> = Vec::new();
        let mut latest = "9999999999.999999".to_owned();
        loop {
            let page =
                self.call("channels.history", &[("channel", channel), ("latest", &latest), ("count", count)]).await;
            let messages = page["messages"].as_array().unwrap();
            all.extend(messages.iter().cloned());
            if page["has_more"] == false {
                return all;
            }
            text_of(&messages[messages.len() - 1], "ts").clone_into(&mut latest);
        }
    }
}

pub(crate) fn text_of<'a>(body: &'a Value, key: &str) -> &'a str {
    body[key].as_str().unwrap()
}

pub(crate) fn error_of(body: &Value) -> &str {
    assert_eq!(body["ok"], false, "{body}");
    text_of(body, "error")
}

#[tokio::test]
async fn every_documented_method_is_known() {
    let door = Door::with(3).await;
    let reference = "api.test auth.test channels.create channels.history channel.info \
        channels.info channels.join channels.kick channels.leave channels.list channels.rename \
        channels.setpurpose channels.settopic channels.setTopic chat.delete chat.postMessage \
        chat.update files.comments.add files.comments.delete files.comments.edit files.delete \
        files.edit files.info files.list files.seteditingpermission files.seteditingproperties \
        files.stopedit files.upload im.close im.list im.open im.history items.info \
        iwauthentication.login.digest iwauthentication.login.plain pins.add pins.list pins.remove \
        reactions.add reactions.get reactions.list reactions.remove rtm.start rtm.connect \
        search.all search.files search.messages users.getPresence users.identity users.info \
        users.list users.setActive users.setPresence channels.invite channels.atom.history \
        files.avatar files.download files.empty iwauthentication.logout auth.revoke";
    for method in reference.split_whitespace() {
        let token = door.running.workspace().token_for(ANN).unwrap();
        let answer = door.send(method, &[("token", &token)]).await;
        assert_eq!(answer.status(), StatusCode::OK, "{method}");
        let body: Value = answer.json().await.unwrap();
        assert_ne!(body["error"], "unknown_method", "{method}");
    }
    let unknown = door.call("files.fly", &[]).await;
    assert_eq!(error_of(&unknown), "unknown_method");
}

#[tokio::test]
async fn a_token_comes_by_query_form_json_or_header() {
    let door = Door::with(0).await;
    let (url, token) = (&door.running.url, &door.running.token);
    let url = format!("{url}auth.test");
    let requests = [
        door.client.get(&url).query(&[("token", token)]),
        door.client.post(&url).query(&[("token", token)]),
        door.client.post(&url).form(&[("token", token)]),
        door.client.post(&url).json(&json!({ "token": token })),
        door.client.post(&url).bearer_auth(token).header("content-type", "application/json"),
    ];
    for request in requests {
        let body: Value = request.send().await.unwrap().json().await.unwrap();
        assert_eq!(body["user_id"], ANN);
    }
    let body: Value = door.client.get(&url).send().await.unwrap().json().await.unwrap();
    assert_eq!(error_of(&body), "not_authed");
    let echo = door.call("api.test", &[("foo", "bar")]).await;
    assert_eq!(echo, json!({ "ok": true, "args": { "foo": "bar" } }));
}

#[tokio::test]
async fn login_is_plain_or_digest_and_locks() {
    let door = Door::with(0).await;
    let password = door.running.password.clone();
    let plain = door.call("iwauthentication.login.plain", &[("username", ANN), ("password", &password)]).await;
    assert_eq!(plain["authorized"], "true");
    let token = text_of(&plain, "token");
    assert_eq!((token.len(), &token[..5]), (69, "xoxp-"));
    assert_eq!(door.call("auth.revoke", &[("token", token)]).await["revoked"], "true");
    let dead = door.call("auth.test", &[("token", token)]).await;
    assert_eq!(error_of(&dead), "token_revoked");

    let method = "iwauthentication.login.digest";
    let challenge = door.call(method, &[("username", ANN)]).await;
    assert_eq!(challenge["algorithm"], "MD5-Sess");
    assert_eq!(challenge["authorized"], "false");
    let nonce = text_of(&challenge, "nonce");
    let md5 = |text: String| format!("{:032x}", u128::from_be_bytes(Md5::digest(text).into()));
    let first = md5(format!("{}:{nonce}:abc", md5(format!("{ANN}:realm:{password}"))));
    let second = md5("authenticate:/x".to_owned());
    let response = md5(format!("{first}:{nonce}:00000001:abc:auth:{second}"));
    let answer = [
        ("username", ANN),
        ("realm", "realm"),
        ("nonce", nonce),
        ("qop", "auth"),
        ("algorithm", "MD5-Sess"),
        ("method", "authenticate"),
        ("nc", "00000001"),
        ("cnonce", "abc"),
        ("uri", "/x"),
        ("response", &response),
    ];
    let granted = door.call(method, &answer).await;
    assert_eq!(granted["authorized"], "true");
    let again = door.call(method, &answer).await;
    assert_eq!(error_of(&again), "stale_nonce");

    let plain = "iwauthentication.login.plain";
    for _ in 0..10 {
        let refused = door.call(plain, &[("username", ANN), ("password", "no")]).await;
        assert_eq!(error_of(&refused), "invalid_auth");
    }
    let locked = door.call(plain, &[("username", ANN), ("password", &password)]).await;
    assert_eq!(error_of(&locked), "invalid_auth");
}

#[tokio::test]
async fn history_pages_both_ways() {
    let door = Door::with(250).await;
    let channel = door.channel("quay").await;
    let all = door.walk(&channel, "100").await;
    let stamps: Vec<&str> = all.iter().map(|message| text_of(message, "ts")).collect();
    assert_eq!(stamps.len(), 250);
    assert!(stamps.is_sorted_by(|newer, older| newer > older));

    // Only `oldest`: the page next to it, still newest first.
    let page = door.call("channels.history", &[("channel", &channel), ("oldest", "1"), ("count", "10")]).await;
    assert_eq!(page["messages"][9]["text"], "line 0");
    assert_eq!(page["messages"][0]["text"], "line 9");
    assert_eq!(page["has_more"], true);
    assert_eq!((&page["latest"], &page["oldest"]), (&json!("0.000000"), &json!("1")));

    // Bounds are exclusive unless told.
    let bounds = [("channel", channel.as_str()), ("oldest", stamps[20]), ("latest", stamps[10])];
    let outside = door.call("channels.history", &bounds).await;
    assert_eq!(outside["messages"].as_array().unwrap().len(), 9);
    let inclusive = [&bounds[..], &[("inclusive", "1")]].concat();
    let inside = door.call("channels.history", &inclusive).await;
    assert_eq!(inside["messages"].as_array().unwrap().len(), 11);
    assert_eq!(inside["has_more"], false);
    let broken = door.call("channels.history", &[("channel", &channel), ("latest", "x")]).await;
    assert_eq!(error_of(&broken), "invalid_ts_latest");
}

#[tokio::test]
async fn ids_are_padded_in_lists_and_bare_in_chat() {
    let door = Door::with(0).await;
    let channel = door.channel("quay").await;
    assert_eq!(channel.len() % 4, 0);
    let bare = channel.trim_end_matches('=');
    let posted = door.call("chat.postMessage", &[("channel", bare), ("text", "hi")]).await;
    assert_eq!(posted["channel"], bare);
    assert_eq!(posted["message"]["is_stared"], false);
    let by_name = door.call("channels.info", &[("channel", "quay")]).await;
    assert_eq!(error_of(&by_name), "channel_not_found");
}

#[tokio::test]
async fn edits_and_deletions_leave_only_the_truth() {
    let door = Door::with(2).await;
    let channel = door.channel("quay").await;
    let all = door.walk(&channel, "10").await;
    let (newer, older) = (text_of(&all[0], "ts"), text_of(&all[1], "ts"));
    let edited = door.call("chat.update", &[("channel", &channel), ("ts", older), ("text", "changed")]).await;
    assert_eq!(edited["text"], "changed");
    door.call("chat.delete", &[("channel", &channel), ("ts", newer)]).await;
    let left = door.walk(&channel, "10").await;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0]["edited"]["user"], ANN);
    let gone = door.call("items.info", &[("channel", &channel), ("ts", newer)]).await;
    assert_eq!(error_of(&gone), "message_not_found");
    let truth = door.lines("truth").await;
    let of = |ts: &str| truth.iter().find(|item| item["ts"] == ts).unwrap().clone();
    assert_eq!(of(older)["versions"], json!(["line 0", "changed"]));
    assert_eq!(of(newer)["state"], "deleted");
    door.control("restore", json!({ "channel": channel, "ts": newer })).await;
    assert_eq!(door.walk(&channel, "10").await.len(), 2);
}

#[tokio::test]
async fn downloads_know_ranges_validators_and_dead_tickets() {
    let door = Door::with(0).await;
    let channel = door.channel("dock").await;
    let list = door.call("files.list", &[("channel", &channel)]).await;
    let file = &list["files"][0];
    assert_eq!((&file["size"], &file["mimetype"]), (&json!(0), &json!("")));
    let id = text_of(file, "id");
    let info = door.call("files.info", &[("file", id)]).await;
    assert_eq!(info["file"]["size"], 10);
    assert_eq!(info["file"]["mimetype"], "F");
    assert_eq!(info["file"]["channels"], json!([""]));
    assert_eq!(info["comments"][0]["comment"], "good");
    let url = text_of(&info["file"], "url_private");

    let whole = door.client.get(url).send().await.unwrap();
    assert_eq!(whole.headers()["content-type"], "application/octet-stream");
    let disposition = whole.headers()["content-disposition"].to_str().unwrap();
    assert!(disposition.contains("filename*=UTF-8''pl%C3%A1n%20%22A%22.txt"));
    let etag = whole.headers()["etag"].to_str().unwrap().to_owned();
    assert_eq!(&whole.bytes().await.unwrap()[..], b"0123456789");
    let get = |range: &str, if_range: &str| {
        let request = door.client.get(url).header("range", range);
        request.header("if-range", if_range).send()
    };
    let part = get("bytes=4-", &etag).await.unwrap();
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.headers()["content-range"], "bytes 4-9/10");
    assert_eq!(&part.bytes().await.unwrap()[..], b"456789");
    let changed = get("bytes=4-", "\"other\"").await.unwrap();
    assert_eq!(changed.status(), StatusCode::OK);
    let beyond = get("bytes=10-", &etag).await.unwrap();
    assert_eq!(beyond.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    let fresh = door.client.get(url).header("if-none-match", &etag);
    assert_eq!(fresh.send().await.unwrap().status(), StatusCode::NOT_MODIFIED);

    door.running.workspace().delete_file(id).unwrap();
    let dead = door.client.get(url).send().await.unwrap();
    assert_eq!(dead.status(), StatusCode::OK);
    assert!(dead.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
    assert!(dead.headers().get("content-disposition").is_none());
    let body: Value = serde_json::from_str(&dead.text().await.unwrap()).unwrap();
    assert_eq!(error_of(&body), "invalid_ticket");
}

#[tokio::test]
async fn uploads_are_shared_by_a_message_whose_time_is_the_id() {
    let door = Door::with(0).await;
    let channel = door.channel("quay").await;
    let part = reqwest::multipart::Part::bytes(b"bytes".to_vec()).file_name("a.png");
    let form = reqwest::multipart::Form::new()
        .text("channels", channel.clone())
        .text("token", door.running.token.clone())
        .part("file", part);
    let url = format!("{}files.upload", door.running.url);
    let answer = door.client.post(url).multipart(form).send().await.unwrap();
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["file"]["size"], 5);
    assert_eq!(body["file"]["filetype"], ".png");
    let shared = &door.walk(&channel, "10").await[0];
    assert_eq!(shared["subtype"], "file_share");
    assert_eq!(shared["file"]["id"], body["file"]["id"]);
    let (seconds, fraction) = text_of(shared, "ts").split_once('.').unwrap();
    let (seconds, fraction): (u64, u64) = (seconds.parse().unwrap(), fraction.parse().unwrap());
    assert_eq!(body["file"]["id"], format!("{seconds:08x}{fraction:04x}"));
}

#[tokio::test]
async fn big_uploads_pass() {
    let door = Door::with(0).await;
    let channel = door.channel("quay").await;
    let bytes = vec![7; 5_000_000];
    let part = reqwest::multipart::Part::bytes(bytes.clone()).file_name("big.bin");
    let form = reqwest::multipart::Form::new().text("channels", channel).part("file", part);
    let url = format!("{}files.upload", door.running.url);
    let request = door.client.post(url).bearer_auth(&door.running.token);
    let answer = request.multipart(form).send().await.unwrap();
    let body: Value = answer.json().await.unwrap();
    let url = text_of(&body["file"], "url_private");
    let got = door.client.get(url).send().await.unwrap().bytes().await;
    assert!(got.unwrap() == bytes);
}

#[tokio::test]
async fn comments_pins_and_reactions() {
    let door = Door::with(1).await;
    let (dock, quay) = (door.channel("dock").await, door.channel("quay").await);
    let list = door.call("files.list", &[("channel", &dock)]).await;
    let file = text_of(&list["files"][0], "id").to_owned();
    let added = door.call("files.comments.add", &[("file", &file), ("comment", "one")]).await;
    assert_eq!(added["comment"]["channel"], "");
    let comment = text_of(&added["comment"], "id").to_owned();
    let edited = door.call("files.comments.edit", &[("file", &file), ("id", &comment), ("commant", "two")]).await;
    assert_eq!(edited["comment"]["comment"], "two");
    let newest = &door.walk(&dock, "10").await[0];
    assert_eq!(newest["subtype"], "file_comment");
    assert_eq!(newest["comment"]["id"], comment);
    let deleted = door.call("files.comments.delete", &[("file", &file), ("id", &comment)]).await;
    assert_eq!(deleted["ok"], true);

    let ts = text_of(&door.walk(&quay, "1").await[0], "ts").to_owned();
    let item = [("channel", quay.as_str()), ("timestamp", ts.as_str())];
    let pinned = door.call("pins.add", &item).await;
    assert_eq!(pinned["ok"], "true");
    let again = door.call("pins.add", &item).await;
    assert_eq!(error_of(&again), "already_pinned");
    let bob = door.running.workspace().token_for(BOB).unwrap();
    let theirs = door.call("pins.list", &[("channel", &quay), ("token", &bob)]).await;
    assert_eq!(theirs["items"], json!([]), "a private pin is its owner's");
    let mine = door.call("pins.list", &[("channel", &quay)]).await;
    assert_eq!(mine["items"][0]["ts"], ts);

    for name in ["angry", "thumbsup"] {
        let params = [&item[..], &[("name", name)]].concat();
        assert_eq!(door.call("reactions.add", &params).await["ok"], true);
    }
    let reactions = door.call("reactions.get", &item).await;
    let only = json!([{ "name": "thumbsup", "count": 1, "users": [ANN] }]);
    assert_eq!(reactions["reactions"], only);
    let listed = door.call("reactions.list", &[("channel", &quay)]).await;
    assert_eq!(listed["paging"]["total"], 1);
}

#[tokio::test]
async fn direct_conversations_open_and_close() {
    let door = Door::with(0).await;
    let opened = door.call("im.open", &[("user", BOB)]).await;
    assert_eq!(opened["already_open"], "false");
    let id = text_of(&opened, "id").to_owned();
    assert_eq!((id.len(), &id[..1]), (13, "D"));
    let list = door.call("im.list", &[]).await;
    assert_eq!(list["ims"][0]["is_im"], "true");
    assert_eq!(list["ims"][0]["user"], BOB);
    door.call("im.close", &[("channel", &id)]).await;
    assert_eq!(door.call("im.list", &[]).await["ims"], json!([]));
    let history = door.call("channels.history", &[("channel", &id)]).await;
    assert_eq!(history["ok"], true, "a closed conversation can be read");
}

#[tokio::test]
async fn search_pages_marks_and_clamps() {
    let door = Door::with(45).await;
    let channel = door.channel("quay").await;
    let params = [("channel", channel.as_str()), ("query", "line -7"), ("highlight", "1"), ("sort", "timestamp")];
    let found = door.call("search.messages", &params).await;
    let messages = &found["messages"];
    assert_eq!(messages["total"], 44);
    assert_eq!(messages["matches"].as_array().unwrap().len(), 20);
    assert_eq!(messages["pagination"]["page_count"], 3);
    assert_eq!(messages["matches"][0]["text"], "\u{e000}line\u{e001} 44");
    assert_eq!(messages["matches"][0]["previous"]["text"], "line 43");
    let beyond = [&params[..], &[("page", "101")]].concat();
    let clamped = door.call("search.messages", &beyond).await;
    assert_eq!(clamped["messages"]["paging"]["page"], 1);
    let files = door.call("search.all", &[("query", "plán"), ("channel", &door.channel("dock").await)]).await;
    assert_eq!(files["files"]["total"], 1);
    let empty = door.call("search.all", &[("channel", &channel)]).await;
    assert_eq!(error_of(&empty), "no_query");
}

#[tokio::test]
async fn a_search_for_a_time_alone_finds_all_of_that_time() {
    let door = Door::with(45).await;
    let channel = door.channel("quay").await;
    let history = door.call("channels.history", &[("channel", &channel), ("count", "1000")]).await;
    let all = history["messages"].as_array().unwrap().len();
    for (query, expected) in [("after:1970-01-01", all), ("before:1970-01-01", 0), ("on:1970-01-01", 0)] {
        let found = door.call("search.messages", &[("channel", channel.as_str()), ("query", query)]).await;
        assert_eq!(found["messages"]["total"], expected, "{query}");
    }
}

#[tokio::test]
async fn the_atom_feed_says_what_history_says() {
    let options = Options { settings: Settings { atom_extensions: true, ..Settings::default() }, ..Options::default() };
    let door = Door::open(seed(30), options).await;
    let channel = door.channel("quay").await;
    let (id, ts) = door.running.workspace().labelled("m3").unwrap();
    door.running.workspace().delete(&id, &ts, None).unwrap();
    let params = [("channel", channel.as_str()), ("count", "20")];
    let answer = door.send("channels.atom.history", &params).await;
    assert!(answer.headers().contains_key("last-modified"));
    let etag = answer.headers()["etag"].to_str().unwrap().to_owned();
    let text = answer.text().await.unwrap();
    let feed: atom_syndication::Feed = text.parse().unwrap();
    let history = door.call("channels.history", &params).await;
    let expected: Vec<&str> =
        history["messages"].as_array().unwrap().iter().map(|message| text_of(message, "ts")).collect();
    let got: Vec<&str> =
        feed.entries().iter().map(|entry| entry.extensions()["tc"]["ts"][0].value().unwrap()).collect();
    assert_eq!(got, expected);
    let tombstone = &feed.extensions()["at"]["deleted-entry"][0];
    assert!(tombstone.attrs()["ref"].ends_with(&ts));
    let url = format!("{}channels.atom.history", door.running.url);
    let again = door.client.get(url).query(&params).bearer_auth(&door.running.token).header("if-none-match", etag);
    assert_eq!(again.send().await.unwrap().status(), StatusCode::NOT_MODIFIED);
}

#[tokio::test]
async fn the_socket_replays_and_answers() {
    let door = Door::with(1).await;
    let channel = door.channel("quay").await;
    let started = door.call("rtm.start", &[]).await;
    let url = text_of(&started, "url").to_owned();
    let ts = door.running.workspace().post("quay", BOB, "before").unwrap();
    let (mut socket, _) = tokio_tungstenite::connect_async(&url).await.unwrap();
    door.control("edit", json!({ "channel": channel, "ts": ts, "text": "after" })).await;
    let mut kinds = Vec::new();
    while kinds.last().is_none_or(|kind| kind != "message_changed") {
        let event: Value = match socket.next().await.unwrap().unwrap() {
            Message::Text(text) => serde_json::from_str(&text).unwrap(),
            _ => continue,
        };
        let kind = event["subtype"].as_str().unwrap_or(text_of(&event, "type"));
        kinds.push(kind.to_owned());
    }
    assert_eq!(kinds, ["hello", "message", "presence_change", "message_changed"]);
    let sent = json!({ "id": 7, "type": "ping", "time": 5 }).to_string();
    socket.send(Message::Text(sent.into())).await.unwrap();
    let pong = socket.next().await.unwrap().unwrap().into_text().unwrap();
    let pong: Value = serde_json::from_str(&pong).unwrap();
    assert_eq!(pong, json!({ "type": "pong", "reply_to": 7, "time": 5 }));

    let (mut second, _) = tokio_tungstenite::connect_async(&url).await.unwrap();
    let refused = second.next().await.unwrap().unwrap().into_text().unwrap();
    assert!(refused.contains("Socket URL has expired"));
    door.running.stop().await;
}

#[tokio::test]
async fn control_sets_faults_and_logs_no_tokens() {
    let door = Door::with(1).await;
    door.control("faults", json!({ "rate-limit": 1 })).await;
    let limited = door.send("api.test", &[]).await;
    assert_eq!(limited.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(limited.headers()["retry-after"], "1");
    door.control("faults", json!({ "rate-limit": 0, "truncated-json": 1 })).await;
    let cut = door.send("api.test", &[]).await.text().await.unwrap();
    assert!(serde_json::from_str::<Value>(&cut).is_err());
    door.control("faults", json!({ "truncated-json": 0, "reset-mid-body": 1 })).await;
    assert!(door.send("api.test", &[]).await.text().await.is_err());
    door.control("faults", json!({ "reset-mid-body": 0 })).await;
    let refused = door.control("faults", json!({ "nonsense": 1 })).await;
    assert!(refused["error"].as_str().unwrap().contains("nonsense"));
    let log = door.lines("requests").await;
    assert_eq!(log[0]["method"], "api.test");
    assert!(!format!("{log:?}").contains(&door.running.token));
    let off = Door::open(seed(0), Options::default()).await;
    let url = off.running.url.replace("/teamchatapi/", "/_control/truth");
    let hidden = off.client.get(url).send().await.unwrap();
    assert_eq!(hidden.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn every_message_fault_spoils_a_page() {
    let door = Door::with(5).await;
    let channel = door.channel("quay").await;
    for fault in [
        Fault::LoneSurrogate,
        Fault::NulInText,
        Fault::HugeIntegers,
        Fault::DeepNesting,
        Fault::DuplicateKeys,
        Fault::InvalidUtf8,
    ] {
        let params = [("channel", channel.as_str())];
        let stable = |bytes: reqwest::Result<_>| Vec::from(bytes.unwrap());
        let clean = door.send("channels.history", &params).await.bytes().await;
        door.running.set_fault(fault, 1.0);
        let spoilt = door.send("channels.history", &params).await.bytes().await;
        door.running.set_fault(fault, 0.0);
        assert_ne!(stable(clean), stable(spoilt), "{}", fault.name());
    }
}

#[tokio::test]
async fn lost_channels_tell_so_by_is_member() {
    let door = Door::with(1).await;
    let channel = door.channel("quay").await;
    door.running.set_fault(Fault::MembershipLoss, 1.0);
    assert_eq!(door.call("channels.list", &[]).await["channels"], json!([]));
    let info = door.call("channels.info", &[("channel", &channel)]).await;
    assert_eq!(info["channel"]["is_member"], false);
    let denied = door.call("channels.history", &[("channel", &channel)]).await;
    assert_eq!(error_of(&denied), "no_permission");
}

#[tokio::test]
async fn channels_are_made_archived_and_removed() {
    let door = Door::with(1).await;
    let workspace = door.running.workspace();
    let id = workspace.create_channel(BOB, "pier").unwrap();
    assert_eq!(door.channel("pier").await, id);
    workspace.archive_channel(&id).unwrap();
    let refused = door.call("chat.postMessage", &[("channel", &id), ("text", "hi")]).await;
    assert_eq!(error_of(&refused), "is_archived");
    let quay = door.channel("quay").await;
    workspace.remove_channel(&quay).unwrap();
    let gone = door.call("channels.info", &[("channel", &quay)]).await;
    assert_eq!(error_of(&gone), "channel_not_found");
    let truth = workspace.truth();
    let of_quay = truth.iter().find(|item| item.channel == quay).unwrap();
    assert_eq!(of_quay.state, "deleted");
}

#[tokio::test]
async fn whispers_are_for_two() {
    let mut seed = seed(0);
    seed.users.push(SeedUser { email: "cyd@harbour.example".to_owned(), ..SeedUser::default() });
    let door = Door::open(seed, Options::default()).await;
    let workspace = door.running.workspace();
    let whispered = workspace.whisper("quay", BOB, "cyd@harbour.example", "psst");
    assert!(whispered.is_ok());
    let channel = door.channel("quay").await;
    assert_eq!(door.walk(&channel, "10").await.len(), 0);
    assert_eq!(workspace.truth().last().unwrap().text, "good");
    assert!(workspace.truth().iter().any(|item| item.whisper_to.is_some()));
}

#[tokio::test]
async fn a_living_workspace_posts_edits_and_deletes() {
    let door = Door::with(0).await;
    let mut news = Vec::new();
    door.running.live(Duration::from_millis(1));
    while !(news.iter().any(|item: &Value| item["state"] == "deleted")) {
        news = door.lines("truth").await;
    }
    let edited = news.iter().any(|item| item["versions"].as_array().unwrap().len() == 2);
    assert!(edited);
    door.running.stop().await;
}

#[tokio::test]
async fn a_real_corpus_comes_back_whole() {
    let data = std::env::var_os("TEAMCHAT_DATA").map_or_else(|| PathBuf::from("../shared/data"), PathBuf::from);
    let directory = data.join("small");
    if !directory.exists() {
        assert!(std::env::var_os("TEAMCHAT_DATA_REQUIRED").is_none(), "{} is missing", directory.display());
        println!("skipped: there is no corpus at {}", directory.display());
        return;
    }
    let seed = corpus::load(&directory).unwrap();
    let (messages, users, files) = (seed.messages.len(), seed.users.len(), seed.files.len());
    let door = Door::open(seed, Options::default()).await;
    let list = door.call("channels.list", &[]).await;
    let (mut walked, mut shared) = (0, 0);
    for channel in list["channels"].as_array().unwrap() {
        let id = text_of(channel, "id");
        walked += door.walk(id, "1000").await.len();
        let list = door.call("files.list", &[("channel", id), ("count", "1000")]).await;
        shared += list["files"].as_array().unwrap().len();
        for file in list["files"].as_array().unwrap() {
            let info = door.call("files.info", &[("file", text_of(file, "id"))]).await;
            let bytes = door.client.get(text_of(file, "url_private")).send().await.unwrap();
            let bytes = bytes.bytes().await.unwrap();
            assert_eq!(info["file"]["size"], bytes.len());
        }
    }
    assert_eq!((walked, shared), (messages, files));
    let people = door.call("users.list", &[]).await;
    assert_eq!(people["members"].as_array().unwrap().len(), users);
    let me = door.call("users.identity", &[]).await;
    assert_eq!(me["user"]["id"], "archive@corpus.example");
}

#[tokio::test]
async fn page_faults_hide_shuffle_and_drift() {
    let door = Door::with(60).await;
    let channel = door.channel("quay").await;
    let params = [("channel", channel.as_str()), ("count", "20")];
    let stamps = |page: &Value| -> Vec<String> {
        let messages = page["messages"].as_array().unwrap();
        let stamps = messages.iter().map(|message| text_of(message, "ts").to_owned());
        stamps.collect()
    };
    let clean = stamps(&door.call("channels.history", &params).await);
    door.running.set_fault(Fault::SilentHasMore, 1.0);
    let hidden = door.call("channels.history", &params).await;
    assert_eq!(hidden["has_more"], false);
    door.running.set_fault(Fault::SilentHasMore, 0.0);
    door.running.set_fault(Fault::Unordered, 1.0);
    let mut shuffled = stamps(&door.call("channels.history", &params).await);
    assert_ne!(shuffled, clean);
    shuffled.sort_by(|one, other| other.cmp(one));
    assert_eq!(shuffled, clean);
    door.running.set_fault(Fault::Unordered, 0.0);
    door.running.set_fault(Fault::PageDrift, 1.0);
    door.call("channels.history", &params).await;
    let moved = stamps(&door.call("channels.history", &params).await);
    assert!(!moved.contains(&clean[19]) && !clean.contains(&moved[0]));
}

#[tokio::test]
async fn switches_change_the_shapes() {
    let options = Options {
        settings: Settings {
            strict_bool: true,
            bot_id: true,
            wrapped_pins: true,
            broken_login_json: true,
            ..Settings::default()
        },
        ..Options::default()
    };
    let door = Door::open(seed(1), options).await;
    assert!(door.call("auth.test", &[]).await["bot_id"].is_string());
    let (channel, ts) = door.running.workspace().labelled("m0").unwrap();
    let item = [("channel", channel.as_str()), ("timestamp", ts.as_str())];
    assert_eq!(door.call("pins.add", &item).await["ok"], true);
    let pins = door.call("pins.list", &item).await;
    assert_eq!(pins["items"][0]["message"]["ts"], ts);
    let login = [("username", ANN), ("password", door.running.password.as_str())];
    let text = door.send("iwauthentication.login.plain", &login).await;
    let text = text.text().await.unwrap();
    assert!(serde_json::from_str::<Value>(&text).is_err(), "{text}");
}
