//! The simulated server, held against the reference and the protocol notes.
//!
//! Talks to it over HTTP as a stranger would. One test calls every method of the reference and
//! judges each reply by its schema; the others hold it to what a schema can't say: how pages
//! follow each other, which odd forms an id or a size has where, why something is refused. A test
//! gathers all disagreements before it fails.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use md5::{Digest as _, Md5};
use serde_json::{Value, json};
use teamchat_archive::sandbox::{self, Options, Running};

use crate::reference;
use crate::talk::{Arguments, Talk, length, media_type};

/// `response` of a digest login, as RFC 7616 section 3.4.2 has it for MD5-Sess.
fn digest_response(user: &str, password: &str, challenge: &Value, cnonce: &str, uri: &str) -> String {
    let part = |name: &str| challenge[name].as_str().unwrap_or_default();
    let hex = |text: String| Md5::digest(text).iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    let secret = hex(format!("{user}:{}:{password}", part("realm")));
    let session = hex(format!("{secret}:{}:{cnonce}", part("nonce")));
    let request = hex(format!("{}:{uri}", part("method")));
    hex(format!("{session}:{}:00000001:{cnonce}:{}:{request}", part("nonce"), part("qop")))
}

#[test]
fn the_digest_of_these_tests_gives_the_published_value() {
    let sample =
        reference::samples().into_iter().find(|sample| sample.file == "iwauthentication.login.digest.1.json").unwrap();
    let challenge = serde_json::from_str(&sample.text).unwrap();
    let uri = "/teamchatapi/iwauthentication.login.digest";
    let response = digest_response("admin@icewarp.com", "secret", &challenge, "0a4f113b", uri);
    assert_eq!(response, "3bc6ba83f19ffb45bec88ba2283f2267");
}

async fn start() -> Running {
    sandbox::start(sandbox::story::seed(), Options::default()).await.unwrap()
}

/// A member of the workspace other than the caller, still there.
async fn somebody_else(talk: &mut Talk) -> String {
    let me = talk.get("auth.test", &[]).await["user_id"].clone();
    let members = talk.get("users.list", &[]).await;
    talk.list(&members, "/members")
        .iter()
        .find(|user| user["id"] != me && user["deleted"] == false && user["is_bot"] == false)
        .map(|user| user["id"].as_str().unwrap().to_owned())
        .unwrap()
}

/// A token of somebody who may moderate. All accounts of a sandbox have one password.
async fn token_of_an_admin(talk: &mut Talk, password: &str) -> String {
    let members = talk.get("users.list", &[]).await;
    let admin = talk
        .list(&members, "/members")
        .into_iter()
        .find(|user| user["is_admin"] == true && user["deleted"] == false)
        .unwrap();
    let credentials = [("username", admin["id"].as_str().unwrap()), ("password", password)];
    let login = talk.write("iwauthentication.login.plain", &credentials).await;
    talk.text(&login, "/token")
}

/// The channel with the most messages of those on its first large page.
async fn busiest_channel(talk: &mut Talk) -> String {
    let reply = talk.get("channels.list", &[]).await;
    let mut busiest = (0, String::new());
    for channel in talk.list(&reply, "/channels") {
        let id = channel["id"].as_str().unwrap();
        let history = talk.get("channels.history", &[("channel", id), ("count", "1000")]).await;
        let count = talk.list(&history, "/messages").len();
        busiest = busiest.max((count, id.to_owned()));
    }
    assert!(busiest.0 > 20, "no channel of the story has more than 20 messages");
    busiest.1
}

#[tokio::test]
async fn each_sandbox_reply_validates_against_its_schema() {
    let running = start().await;
    let mut talk = Talk::new(&running.url, &running.token);
    let plain = ask_who_is_there(&mut talk, &running.username, &running.password).await;
    let digest = log_in_by_digest(&mut talk, &running.username, &running.password).await;
    read_what_is_there(&mut talk).await;

    // Not everybody may rename a channel or put somebody out of it.
    talk.token = token_of_an_admin(&mut talk, &running.password).await;
    let other = somebody_else(&mut talk).await;
    let created = talk.write("channels.create", &[("name", "conformance")]).await;
    let channel = talk.text(&created, "/channel/id");
    let channel = channel.as_str();
    write_messages(&mut talk, channel).await;
    write_files(&mut talk, channel, &other).await;
    change_channel(&mut talk, channel, &other).await;
    write_directly(&mut talk, &other).await;

    for method in ["search.all", "search.files", "search.messages"] {
        talk.read(method, &[("channel", channel), ("query", "harbour")]).await;
    }
    talk.read("rtm.start", &[]).await;
    talk.write("channels.leave", &[("channel", channel)]).await;

    talk.token = plain;
    talk.write("iwauthentication.logout", &[]).await;
    let after = talk.get("auth.test", &[]).await;
    talk.expect(after["ok"] == false, format!("a token lives on after logout: {after}"));
    talk.token = digest;
    talk.write("auth.revoke", &[]).await;
    let after = talk.get("auth.test", &[]).await;
    talk.expect(after["ok"] == false, format!("a revoked token lives on: {after}"));

    let missing: Vec<String> = reference::index().into_keys().filter(|method| !talk.called.contains(method)).collect();
    assert!(missing.is_empty(), "this test calls no {missing:?}");
    running.stop().await;
    talk.finish();
}

/// Identity, users and presence; returns a token of a plain login.
async fn ask_who_is_there(talk: &mut Talk, username: &str, password: &str) -> String {
    talk.read("api.test", &[("colour", "blue")]).await;
    talk.read("auth.test", &[]).await;
    let credentials = [("username", username), ("password", password)];
    let login = talk.write("iwauthentication.login.plain", &credentials).await;
    talk.read("users.identity", &[]).await;
    talk.read("users.info", &[("user", username)]).await;
    let bare = talk.read("users.list", &[]).await;
    for user in talk.list(&bare, "/members") {
        talk.read("users.info", &[("user", user["id"].as_str().unwrap())]).await;
    }
    let (kind, image) = talk.bytes("files.avatar", &[("email", username), ("internal", "1")]).await;
    talk.expect(
        (kind == "image/png" && image.starts_with(b"\x89PNG\r\n"))
            || (kind == "image/jpeg" && image.starts_with(b"\xff\xd8\xff")),
        format!("files.avatar gives {} bytes of {kind}", image.len()),
    );
    talk.text(&login, "/token")
}

/// The two calls of a digest login; returns the token.
async fn log_in_by_digest(talk: &mut Talk, username: &str, password: &str) -> String {
    let method = "iwauthentication.login.digest";
    let challenge = talk.write(method, &[("username", username)]).await;
    talk.expect_equal("authorized of the challenge", &challenge["authorized"], &json!("false"));
    let (cnonce, uri) = ("0a4f113b0a4f113b", format!("/teamchatapi/{method}"));
    let response = digest_response(username, password, &challenge, cnonce, &uri);
    let mut answer =
        vec![("username", username), ("nc", "00000001"), ("cnonce", cnonce), ("uri", &uri), ("response", &response)];
    for name in ["realm", "qop", "nonce", "algorithm", "method"] {
        answer.push((name, challenge[name].as_str().unwrap_or_default()));
    }
    let granted = talk.write(method, &answer).await;
    talk.expect_equal("authorized of the answer", &granted["authorized"], &json!("true"));
    talk.text(&granted, "/token")
}

/// Everything the story has, read in whole.
async fn read_what_is_there(talk: &mut Talk) {
    let channels = talk.read("channels.list", &[]).await;
    let ims = talk.read("im.list", &[]).await;
    let ids: Vec<String> = talk
        .list(&channels, "/channels")
        .iter()
        .chain(&talk.list(&ims, "/ims"))
        .map(|conversation| conversation["id"].as_str().unwrap().to_owned())
        .collect();
    for channel in talk.list(&channels, "/channels") {
        let id = channel["id"].as_str().unwrap();
        talk.read("channels.info", &[("channel", id)]).await;
        talk.read("users.list", &[("channel", id)]).await;
        talk.read("users.getPresence", &[("channel", id)]).await;
        let query = channel["name"].as_str().unwrap();
        talk.read("search.all", &[("channel", id), ("query", query)]).await;
    }
    for id in &ids {
        let history = talk.read("channels.history", &[("channel", id), ("count", "1000")]).await;
        let messages = talk.list(&history, "/messages");
        for message in &messages {
            let ts = message["ts"].as_str().unwrap();
            talk.read("items.info", &[("channel", id), ("ts", ts)]).await;
            if message.get("reactions").is_some() {
                talk.read("reactions.get", &[("channel", id), ("timestamp", ts)]).await;
            }
        }
        talk.read("pins.list", &[("channel", id)]).await;
        talk.read("reactions.list", &[("channel", id)]).await;
        let files = talk.read("files.list", &[("channel", id), ("count", "1000")]).await;
        for file in talk.list(&files, "/files") {
            talk.read("files.info", &[("file", file["id"].as_str().unwrap())]).await;
        }
        let all = [("channel", id.as_str()), ("count", "1000")];
        let (kind, feed) = talk.bytes("channels.atom.history", &all).await;
        talk.expect(kind == "application/atom+xml", format!("channels.atom.history served as {kind}"));
        let feed = atom_syndication::Feed::read_from(feed.as_slice()).unwrap();
        let entries: BTreeSet<&str> = feed.entries.iter().filter_map(|entry| entry.id.rsplit(':').next()).collect();
        let told: BTreeSet<&str> = messages.iter().map(|m| m["ts"].as_str().unwrap()).collect();
        talk.expect(entries == told, format!("feed and history of {id} hold other messages"));
    }
}

async fn write_messages(talk: &mut Talk, channel: &str) {
    let posted =
        talk.write("chat.postMessage", &[("channel", channel), ("text", "the harbour is <quiet> & cold")]).await;
    let ts = talk.text(&posted, "/ts");
    let ts = ts.as_str();
    talk.expect_equal("message.ts of chat.postMessage", &posted["message"]["ts"], &posted["ts"]);
    let edit = [("channel", channel), ("ts", ts), ("text", "the harbour sleeps")];
    let updated = talk.write("chat.update", &edit).await;
    talk.expect_equal("text of chat.update", &updated["text"], &json!("the harbour sleeps"));
    let item = [("channel", channel), ("timestamp", ts)];
    let thumb = [("channel", channel), ("timestamp", ts), ("name", "thumbsup")];
    talk.write("reactions.add", &thumb).await;
    talk.read("reactions.get", &item).await;
    let reacted = talk.read("reactions.list", &[("channel", channel)]).await;
    talk.expect_equal("items reacted to", &json!(length(&reacted, "/items")), &json!(1));
    let info = talk.read("items.info", &[("channel", channel), ("ts", ts)]).await;
    talk.expect_equal("text of items.info", &info["message"]["text"], &json!("the harbour sleeps"));
    let global = [("channel", channel), ("timestamp", ts), ("global", "1")];
    talk.write("pins.add", &global).await;
    let pins = talk.read("pins.list", &[("channel", channel)]).await;
    talk.expect_equal("ts of the pin", &pins["items"][0]["ts"], &json!(ts));
    talk.write("pins.remove", &item).await;
    talk.write("reactions.remove", &item).await;
    let history = talk.read("channels.history", &[("channel", channel), ("unreads", "1")]).await;
    talk.expect(
        history["unread_count_display"].is_u64(),
        "channels.history with unreads=1 gives no unread_count_display",
    );
    talk.write("chat.delete", &[("channel", channel), ("ts", ts)]).await;
    talk.refused("items.info", &[("channel", channel), ("ts", ts)], "message_not_found").await;
}

async fn write_files(talk: &mut Talk, channel: &str, other: &str) {
    let content = [("channels", channel), ("content", "tide table\n"), ("filename", "tides.txt")];
    let by_form = talk.write("files.upload", &content).await;
    let small = talk.text(&by_form, "/file/id");

    let part = reqwest::multipart::Part::bytes(b"twenty-one bytes here".to_vec())
        .file_name("test")
        .mime_str("application/octet-stream")
        .unwrap();
    let form = reqwest::multipart::Form::new()
        .text("token", talk.token.clone())
        .text("channels", channel.to_owned())
        .text("filename", "test")
        .part("file", part);
    let request = talk.http.post(format!("{}files.upload", talk.base)).multipart(form);
    let uploaded = talk.json_of("files.upload", request).await;
    talk.judge("files.upload", "files.upload", &uploaded);
    talk.expect_equal("size of the upload", &uploaded["file"]["size"], &json!(21));
    let file = talk.text(&uploaded, "/file/id");
    let file = file.as_str();

    let add = [("file", file), ("comment", "a comment")];
    let added = talk.write("files.comments.add", &add).await;
    let comment = talk.text(&added, "/comment/id");
    let edit = [("file", file), ("id", comment.as_str()), ("commant", "edited")];
    let edited = talk.write("files.comments.edit", &edit).await;
    talk.expect_equal("comment after the edit", &edited["comment"]["comment"], &json!("edited"));
    let info = talk.read("files.info", &[("file", file)]).await;
    talk.expect_equal("comments of files.info", &info["comments"][0]["comment"], &json!("edited"));
    talk.expect_equal("comments_count", &info["file"]["comments_count"], &json!(1));
    let list = talk.read("files.list", &[("channel", channel)]).await;
    talk.expect_equal("files listed", &json!(length(&list, "/files")), &json!(2));
    talk.write("pins.add", &[("channel", channel), ("file", file)]).await;
    talk.read("pins.list", &[("channel", channel)]).await;
    talk.write("pins.remove", &[("channel", channel), ("file", file)]).await;
    talk.write("files.comments.delete", &[("file", file), ("id", &comment)]).await;

    let url = talk.text(&info, "/file/url_private_download");
    let ticket = url::Url::parse(&url)
        .unwrap()
        .query_pairs()
        .find_map(|(name, value)| (name == "ticket").then(|| value.into_owned()))
        .unwrap_or_default();
    let (kind, bytes) = talk.bytes("files.download", &[("ticket", &ticket)]).await;
    talk.expect(bytes == b"twenty-one bytes here", format!("the download is other bytes, as {kind}"));
    for filetype in ["text", "spreadsheet", "presentation"] {
        let (kind, _) = talk.bytes("files.empty", &[("filetype", filetype)]).await;
        talk.expect(
            kind != "application/json" && kind != "text/html",
            format!("files.empty {filetype} served as {kind}"),
        );
    }

    let session = talk.write("files.edit", &[("id", file), ("deviceid", "d1"), ("mode", "0")]).await;
    let key = talk.text(&session, "/key");
    talk.expect(
        key.len() == 20 && key.starts_with(file),
        format!("key of files.edit is {key}, not the id and 8 hex digits"),
    );
    let permission = [("session_key", key.as_str()), ("user", other), ("permission", "2")];
    talk.write("files.seteditingpermission", &permission).await;
    let name = [("session_key", key.as_str()), ("filename", "new.docx")];
    talk.write("files.seteditingproperties", &name).await;
    talk.write("files.stopedit", &[("id", file), ("deviceid", "d1")]).await;
    talk.write("files.delete", &[("file", &small)]).await;
}

async fn change_channel(talk: &mut Talk, channel: &str, other: &str) {
    let renamed = talk.write("channels.rename", &[("channel", channel), ("name", "renamed")]).await;
    talk.expect_equal("id after the rename", &renamed["channel"]["id"], &json!(channel));
    talk.expect_equal("name after the rename", &renamed["channel"]["name"], &json!("renamed"));
    let topic = talk.write("channels.settopic", &[("id", channel), ("topic", "tides")]).await;
    talk.expect_equal("topic", &topic["topic"], &json!("tides"));
    let purpose = talk.write("channels.setpurpose", &[("id", channel), ("purpose", "to test")]).await;
    talk.expect_equal("purpose", &purpose["purpose"], &json!("to test"));
    talk.write("channels.join", &[("channel", channel)]).await;
    // The reference lacks channels.invite (number 2.8 is missing); without it nobody is there to kick.
    let invited = talk.get("channels.invite", &[("channel", channel), ("user", other)]).await;
    talk.expect(invited["ok"] == true, format!("channels.invite: {invited}"));
    talk.write("channels.kick", &[("channel", channel), ("user", other)]).await;
    // The reference heads channels.info as channel.info.
    let singular = talk.get("channel.info", &[("channel", channel)]).await;
    talk.judge("channel.info", "channels.info", &singular);
    let members = talk.list(&singular, "/channel/members");
    talk.expect(!members.contains(&json!(other)), "a member who was put out is still there");
    talk.expect_equal("num_members after the kick", &singular["channel"]["num_members"], &json!(members.len()));
    talk.write("users.setActive", &[("channel", channel)]).await;
    talk.write("users.setPresence", &[("channel", channel), ("presence", "away")]).await;
    talk.write("users.setPresence", &[("channel", channel), ("presence", "auto")]).await;
}

async fn write_directly(talk: &mut Talk, other: &str) {
    let opened = talk.write("im.open", &[("user", other), ("return_im", "1")]).await;
    talk.expect(opened["channel"].is_object(), "im.open with return_im gives no channel");
    let again = talk.write("im.open", &[("user", other)]).await;
    talk.expect_equal("already_open the second time", &again["already_open"], &json!("true"));
    let id = talk.text(&opened, "/id");
    let id = id.as_str();
    let listed = |reply: &Value| reply["ims"].as_array().is_some_and(|ims| ims.iter().any(|im| im["id"] == id));
    let ims = talk.read("im.list", &[]).await;
    talk.expect(listed(&ims), "im.list lacks the conversation just opened");
    talk.write("chat.postMessage", &[("channel", id), ("text", "hello")]).await;
    talk.write("im.close", &[("channel", id)]).await;
    let ims = talk.read("im.list", &[]).await;
    talk.expect(!listed(&ims), "im.list shows a closed conversation");
    let history = talk.read("channels.history", &[("channel", id), ("count", "1")]).await;
    talk.expect_equal("text in the closed IM", &history["messages"][0]["text"], &json!("hello"));
}

/// Undoes what the server does to an id in one of its two forms.
fn unpadded(id: &str) -> &str {
    id.trim_end_matches('=')
}

#[tokio::test]
async fn sandbox_ids_have_the_forms_of_the_reference() {
    let running = start().await;
    let mut talk = Talk::new(&running.url, &running.token);
    let channels = talk.get("channels.list", &[]).await;
    let hex = |id: &str| id.len() == 12 && id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let mut files = 0;
    for channel in talk.list(&channels, "/channels") {
        let id = channel["id"].as_str().unwrap();
        let folder = base64::engine::general_purpose::STANDARD
            .decode(id)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .unwrap_or_default();
        talk.expect(
            folder.contains("%40") && folder.contains("&TeamChat%5C"),
            format!("channel id {id} is {folder:?}, not owner and folder"),
        );
        let listed = talk.get("files.list", &[("channel", id), ("count", "1000")]).await;
        let listed = talk.list(&listed, "/files");
        for file in &listed {
            files += 1;
            let file_id = file["id"].as_str().unwrap();
            talk.expect(hex(file_id), format!("file id {file_id}"));
            talk.expect_equal(
                "id of the initial comment",
                &file["initial_comment"]["id"],
                &json!(format!("inicomid_{file_id}")),
            );
            talk.expect_equal("text of the initial comment", &file["initial_comment"]["comment"], &json!(""));
            talk.expect_equal("is_intro", &file["initial_comment"]["is_intro"], &json!(true));
            talk.expect(
                file["channels"].as_array().is_some_and(|ids| ids.contains(&json!(unpadded(id)))),
                format!("channels of file {file_id} are {}, not the unpadded {id}", file["channels"]),
            );
        }
    }
    assert!(files > 5, "the story has only {files} files");

    let channel = busiest_channel(&mut talk).await;
    let posted = talk.write("chat.postMessage", &[("channel", &channel), ("text", "x")]).await;
    talk.expect_equal("channel of chat.postMessage", &posted["channel"], &json!(unpadded(&channel)));
    running.stop().await;
    talk.finish();
}

#[tokio::test]
async fn a_file_id_holds_the_counter_of_the_message_that_first_shared_it() {
    let running = start().await;
    let mut talk = Talk::new(&running.url, &running.token);
    let channels = talk.get("channels.list", &[]).await;
    let ims = talk.get("im.list", &[]).await;
    let mut first_share: BTreeMap<String, String> = BTreeMap::new();
    for conversation in talk.list(&channels, "/channels").iter().chain(&talk.list(&ims, "/ims")) {
        let id = conversation["id"].as_str().unwrap();
        let history = talk.get("channels.history", &[("channel", id), ("count", "1000")]).await;
        for message in talk.list(&history, "/messages") {
            if message["subtype"] == "file_share" {
                let file = talk.text(&message, "/file/id");
                let ts = talk.text(&message, "/ts");
                let first = first_share.entry(file).or_insert_with(|| ts.clone());
                if ts < *first {
                    *first = ts;
                }
            }
        }
    }
    assert!(first_share.len() > 5, "the story shares too few files");
    for (file, ts) in first_share {
        let counter = ts.split_once('.').and_then(|(_, counter)| counter.parse().ok());
        let in_id = file.get(8..).and_then(|low| u16::from_str_radix(low, 16).ok());
        talk.expect(
            in_id.is_some() && in_id == counter,
            format!("file {file} was first shared at {ts}: other counters"),
        );
    }
    running.stop().await;
    talk.finish();
}

#[tokio::test]
async fn sandbox_files_say_less_in_lists_than_in_detail() {
    let running = start().await;
    let mut talk = Talk::new(&running.url, &running.token);
    let channels = talk.get("channels.list", &[]).await;
    let mut with_comments = 0;
    for channel in talk.list(&channels, "/channels") {
        let id = channel["id"].as_str().unwrap();
        let listed = talk.get("files.list", &[("channel", id), ("count", "1000")]).await;
        talk.expect_equal("paging.count of files.list", &listed["paging"]["count"], &json!(length(&listed, "/files")));
        for file in talk.list(&listed, "/files") {
            let file_id = file["id"].as_str().unwrap();
            talk.expect_equal("size in files.list", &file["size"], &json!(0));
            talk.expect_equal("mimetype in files.list", &file["mimetype"], &json!(""));
            let name = file["name"].as_str().unwrap();
            if let Some((stem, extension)) = name.rsplit_once('.')
                && !stem.is_empty()
                && extension.bytes().all(|b| b.is_ascii_alphanumeric())
            {
                let dotted = json!(format!(".{extension}"));
                talk.expect(
                    file["filetype"].as_str().map(str::to_lowercase) == dotted.as_str().map(str::to_lowercase),
                    format!("filetype of {name} is {}", file["filetype"]),
                );
            }
            let info = talk.get("files.info", &[("file", file_id)]).await;
            talk.expect_equal("mimetype in files.info", &info["file"]["mimetype"], &json!("F"));
            talk.expect_equal("channels in files.info", &info["file"]["channels"], &json!([""]));
            let comments = length(&info, "/comments");
            talk.expect_equal("comments_count", &info["file"]["comments_count"], &json!(comments));
            talk.expect_equal("paging.total of files.info", &info["paging"]["total"], &json!(comments));
            with_comments += usize::from(comments > 0);
            let url = talk.text(&info, "/file/url_private_download");
            let response = talk.http.get(&url).send().await.unwrap();
            let disposition = response.headers().contains_key("content-disposition");
            talk.expect(disposition, format!("{name} comes without Content-Disposition"));
            let bytes = response.bytes().await.unwrap();
            talk.expect_equal("size in files.info", &info["file"]["size"], &json!(bytes.len()));
        }
        let pins = talk.get("pins.list", &[("channel", id)]).await;
        for pin in talk.list(&pins, "/items").iter().filter(|pin| pin.get("file").is_some()) {
            talk.expect_equal("size in pins.list", &pin["file"]["size"], &json!(0));
            talk.expect_equal("mimetype in pins.list", &pin["file"]["mimetype"], &json!(""));
        }
    }
    assert!(with_comments > 0, "no file of the story has a comment");
    running.stop().await;
    talk.finish();
}

#[tokio::test]
async fn sandbox_history_pages_as_the_protocol_says() {
    let running = start().await;
    let mut talk = Talk::new(&running.url, &running.token);
    let channel = busiest_channel(&mut talk).await;
    let all = talk.get("channels.history", &[("channel", &channel), ("count", "1000")]).await;
    let stamps: Vec<String> =
        talk.list(&all, "/messages").iter().map(|message| message["ts"].as_str().unwrap().to_owned()).collect();
    let order = |ts: &String| {
        let (seconds, counter) = ts.split_once('.').unwrap();
        (seconds.parse::<u64>().unwrap(), counter.parse::<u64>().unwrap())
    };
    talk.expect(stamps.is_sorted_by(|a, b| order(a) > order(b)), "history is not newest first");
    talk.expect_equal("has_more of the whole", &all["has_more"], &json!(false));
    talk.expect_equal("latest without a bound", &all["latest"], &json!("0.000000"));
    talk.expect_equal("oldest without a bound", &all["oldest"], &json!("0.000000"));

    let (newest, oldest) = (stamps[0].as_str(), stamps[stamps.len() - 1].as_str());
    let (upper, lower) = (stamps[4].as_str(), stamps[9].as_str());
    let last = stamps.len();
    let checks: [(Arguments<'_>, &[String], bool); 9] = [
        (&[("count", "5")], &stamps[..5], true),
        (&[("count", "5"), ("latest", upper)], &stamps[5..10], true),
        (&[("count", "5"), ("latest", upper), ("inclusive", "1")], &stamps[4..9], true),
        (&[("latest", upper), ("oldest", lower)], &stamps[5..9], false),
        (&[("latest", upper), ("oldest", lower), ("inclusive", "true")], &stamps[4..10], false),
        (&[("count", "2"), ("latest", upper), ("oldest", lower)], &stamps[5..7], true),
        // Only oldest: the page nearest to it, so that a walk can go forward.
        (&[("count", "3"), ("oldest", oldest)], &stamps[last - 4..last - 1], true),
        (&[("count", "3"), ("oldest", "0")], &stamps[..3], true),
        (&[("oldest", newest)], &[], false),
    ];
    for (bounds, wanted, more) in checks {
        let mut arguments = vec![("channel", channel.as_str())];
        arguments.extend(bounds);
        let page = talk.get("channels.history", &arguments).await;
        let got: Vec<Value> = talk.list(&page, "/messages").iter().map(|message| message["ts"].clone()).collect();
        talk.expect_equal(&format!("page of {bounds:?}"), &json!(got), &json!(wanted));
        talk.expect_equal(&format!("has_more of {bounds:?}"), &page["has_more"], &json!(more));
    }
    let page = talk.get("channels.history", &[("channel", &channel), ("latest", upper)]).await;
    talk.expect_equal("latest is the request's", &page["latest"], &json!(upper));
    running.stop().await;
    talk.finish();
}

#[tokio::test]
async fn sandbox_search_finds_what_history_holds() {
    let running = start().await;
    let mut talk = Talk::new(&running.url, &running.token);
    let channel = busiest_channel(&mut talk).await;
    let channel = channel.as_str();
    for number in 0..23 {
        let text = format!("quaternion number {number}");
        talk.write("chat.postMessage", &[("channel", channel), ("text", &text)]).await;
    }
    let found = talk.read("search.messages", &[("channel", channel), ("query", "quaternion")]).await;
    let block = &found["messages"];
    talk.expect_equal("query", &found["query"], &json!("quaternion"));
    talk.expect_equal("total", &block["total"], &json!(23));
    talk.expect_equal("paging", &block["paging"], &json!({"count": 20, "total": 23, "page": 1, "pages": 2}));
    let pagination = json!({"total_count": 23, "page": 1, "per_page": 20, "page_count": 2, "first": 1, "last": 20});
    talk.expect_equal("pagination", &block["pagination"], &pagination);
    for match_ in talk.list(&found, "/messages/matches") {
        let id = match_["channel"]["id"].as_str().map(unpadded);
        talk.expect_equal("channel of a match", &json!(id), &json!(unpadded(channel)));
        for name in ["username", "text", "permalink"] {
            talk.expect(match_[name].is_string(), format!("a match has no {name}: {match_}"));
        }
    }
    let second = [("channel", channel), ("query", "quaternion"), ("page", "2")];
    let second = talk.read("search.messages", &second).await;
    talk.expect_equal("matches on page 2", &json!(length(&second, "/messages/matches")), &json!(3));
    talk.expect_equal("paging.count on page 2", &second["messages"]["paging"]["count"], &json!(3));
    talk.expect_equal("first on page 2", &second["messages"]["pagination"]["first"], &json!(21));
    let far = [("channel", channel), ("query", "quaternion"), ("page", "101")];
    let far = talk.read("search.messages", &far).await;
    talk.expect_equal("page 101 is page", &far["messages"]["paging"]["page"], &json!(1));
    let marked = [("channel", channel), ("query", "quaternion"), ("highlight", "1"), ("count", "1")];
    let marked = talk.read("search.all", &marked).await;
    let text = talk.text(&marked, "/messages/matches/0/text");
    talk.expect(text.starts_with("\u{e000}quaternion\u{e001} number"), format!("highlight=1 gives {text:?}"));
    running.stop().await;
    talk.finish();
}

#[tokio::test]
async fn one_person_has_one_reaction_on_a_message() {
    let running = start().await;
    let mut talk = Talk::new(&running.url, &running.token);
    let channel = busiest_channel(&mut talk).await;
    let channel = channel.as_str();
    let posted = talk.write("chat.postMessage", &[("channel", channel), ("text", "x")]).await;
    let ts = talk.text(&posted, "/ts");
    let item = [("channel", channel), ("timestamp", ts.as_str())];
    for name in ["thumbsup", "angry"] {
        talk.write("reactions.add", &[item[0], item[1], ("name", name)]).await;
    }
    let got = talk.read("reactions.get", &item).await;
    let wanted = json!([{ "name": "angry", "count": 1, "users": [running.username] }]);
    talk.expect_equal("reactions", &got["reactions"], &wanted);
    talk.write("reactions.remove", &item).await;
    let got = talk.read("reactions.get", &item).await;
    talk.expect_equal("reactions after removal", &got["reactions"], &json!([]));
    running.stop().await;
    talk.finish();
}

#[tokio::test]
async fn sandbox_identity_is_told_as_the_reference_does() {
    let running = start().await;
    let mut talk = Talk::new(&running.url, &running.token);
    let me = talk.read("auth.test", &[]).await;
    talk.expect_equal("user", &me["user"], &json!(running.username));
    talk.expect_equal("user_id", &me["user_id"], &me["user"]);
    talk.expect_equal("url", &me["url"], &json!("/teamchatapi/auth.test"));
    let echo = talk.read("api.test", &[("colour", "blue")]).await;
    talk.expect_equal("args of api.test", &echo["args"], &json!({ "colour": "blue" }));
    // Somebody's account is closed in what the story keeps for later.
    running.play_later().unwrap();
    let users = talk.read("users.list", &[]).await;
    let users = talk.list(&users, "/members");
    talk.expect(users.iter().any(|user| user["deleted"] == true), "users.list hides those who left");
    talk.refused("api.test", &[("error", "too_cold")], "too_cold").await;
    running.stop().await;
    talk.finish();
}

#[tokio::test]
async fn sandbox_refusals_name_their_reason() {
    let running = start().await;
    let mut talk = Talk::new(&running.url, &running.token);
    let channel = busiest_channel(&mut talk).await;
    let here = ("channel", channel.as_str());
    let nowhere = ("channel", "bm93aGVyZQ==");
    let never = "1000000000.000001";
    talk.refused("channels.history", &[nowhere], "channel_not_found").await;
    talk.refused("channels.atom.history", &[nowhere], "channel_not_found").await;
    talk.refused("channels.info", &[nowhere], "channel_not_found").await;
    talk.refused("channels.history", &[here, ("latest", "yesterday")], "invalid_ts_latest").await;
    talk.refused("channels.history", &[here, ("oldest", "yesterday")], "invalid_ts_oldest").await;
    talk.refused("items.info", &[here, ("ts", never)], "message_not_found").await;
    talk.refused("reactions.get", &[here, ("timestamp", never)], "message_not_found").await;
    talk.refused("chat.postMessage", &[here, ("text", "")], "no_text").await;
    talk.refused("chat.delete", &[here, ("ts", never)], "message_not_found").await;
    talk.refused("files.info", &[("file", "000000000000")], "file_not_found").await;
    talk.refused("files.list", &[nowhere], "channel_not_found").await;
    talk.refused("users.info", &[("user", "nobody@nowhere.example")], "user_not_found").await;
    talk.refused("pins.add", &[here], "no_item_specified").await;
    let posted = talk.write("chat.postMessage", &[here, ("text", "not pinned")]).await;
    let ts = talk.text(&posted, "/ts");
    talk.refused("pins.remove", &[here, ("timestamp", &ts)], "not_pinned").await;
    talk.refused("channels.replies", &[here], "unknown_method").await;
    let wrong = [("username", running.username.as_str()), ("password", "not it")];
    talk.refused("iwauthentication.login.plain", &wrong, "invalid_auth").await;

    // An error of a download is JSON that says it is HTML.
    let request = talk.http.get(format!("{}files.download", talk.base)).query(&[("ticket", "eJwDAAAAAAE_t")]);
    let response = request.send().await.unwrap();
    let kind = media_type(&response);
    talk.expect(kind == "text/html", format!("a refused download is served as {kind}"));
    let body: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    talk.expect_equal("error of a download", &body["error"], &json!("invalid_ticket"));

    talk.token = "xoxp-0".to_owned();
    talk.refused("channels.list", &[], "invalid_auth").await;
    talk.token.clear();
    talk.refused("channels.list", &[], "not_authed").await;
    running.stop().await;
    talk.finish();
}
