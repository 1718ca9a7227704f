//! The simulated server where it is meant to hurt: long texts, names that lead astray, files too
//! large to hold, tokens and sockets that die, rooms and people that nobody is shown.

use futures_util::StreamExt as _;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use teamchat_archive::sandbox::seed::{Content, SeedFile, SeedUser};
use teamchat_archive::sandbox::{Fault, Options, generate};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::sandbox::{ANN, BOB, Door, error_of, seed, text_of};

const CYD: &str = "cyd@harbour.example";

/// A real-time socket.
struct Line(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Line {
    /// Opens one and waits for the greeting.
    async fn open(door: &Door, token: &str) -> Self {
        let started = door.call("rtm.start", &[("token", token)]).await;
        let (socket, _) = tokio_tungstenite::connect_async(text_of(&started, "url")).await.unwrap();
        let mut line = Self(socket);
        assert_eq!(line.next().await.unwrap()["type"], "hello");
        line
    }

    /// The next event; `None` when the socket ended without a Close frame.
    async fn next(&mut self) -> Option<Value> {
        loop {
            match self.0.next().await? {
                Ok(Message::Text(text)) => return Some(serde_json::from_str(&text).unwrap()),
                Ok(Message::Close(_)) => panic!("the socket says goodbye"),
                Ok(_) => {}
                Err(_cut) => return None,
            }
        }
    }

    /// Kinds of the events up to the one of this kind; presence is left out.
    async fn kinds_up_to(&mut self, last: &str) -> Vec<String> {
        let mut kinds = Vec::new();
        while kinds.last().is_none_or(|kind| kind != last) {
            let event = self.next().await.unwrap();
            let kind = event["subtype"].as_str().unwrap_or(text_of(&event, "type"));
            if kind != "presence_change" {
                kinds.push(kind.to_owned());
            }
        }
        kinds
    }
}

/// A workspace with Cyd, who is in the dock only.
async fn with_cyd() -> (Door, String) {
    let mut seed = seed(3);
    seed.users.push(SeedUser { email: CYD.to_owned(), real_name: "Cyd".to_owned(), ..SeedUser::default() });
    seed.channels[1].members.push(CYD.to_owned());
    let door = Door::open(seed, Options { control: true, ..Options::default() }).await;
    let password = door.running.password.clone();
    let login = [("username", CYD), ("password", password.as_str()), ("token", "")];
    let entered = door.call("iwauthentication.login.plain", &login).await;
    let token = text_of(&entered, "token").to_owned();
    (door, token)
}

async fn names_of_channels(door: &Door, token: &str) -> Vec<String> {
    let list = door.call("channels.list", &[("token", token)]).await;
    list["channels"].as_array().unwrap().iter().map(|channel| text_of(channel, "name").to_owned()).collect()
}

#[tokio::test]
async fn a_plain_account_sees_its_own_channels_and_its_own_whispers() {
    let (door, cyd) = with_cyd().await;
    assert_eq!(names_of_channels(&door, &cyd).await, ["dock"]);
    let quay = door.channel("quay").await;
    let refused = door.call("channels.history", &[("channel", &quay), ("token", &cyd)]).await;
    assert_eq!(error_of(&refused), "no_permission");
    let who = door.call("auth.test", &[("token", &cyd)]).await;
    assert_eq!(who["user_id"], CYD);

    let dock = door.channel("dock").await;
    let workspace = door.running.workspace();
    workspace.whisper("dock", BOB, CYD, "for Cyd").unwrap();
    workspace.whisper("dock", BOB, ANN, "for Ann").unwrap();
    let mut seen = Vec::new();
    for token in [door.running.token.clone(), cyd, workspace.token_for(BOB).unwrap()] {
        let page = door.call("channels.history", &[("channel", &dock), ("token", &token)]).await;
        let texts = page["messages"].as_array().unwrap().iter().map(|message| text_of(message, "text").to_owned());
        seen.push(texts.filter(|text| text.starts_with("for")).collect::<Vec<_>>());
    }
    assert_eq!(seen, [vec!["for Ann"], vec!["for Cyd"], vec!["for Ann", "for Cyd"]]);
    door.running.stop().await;
}

#[tokio::test]
async fn hidden_rooms_and_people_are_in_the_inventory_only() {
    let hidden = generate::Hidden { rooms: 10, people: 3 };
    let options = Options { control: true, ..Options::default() };
    let door = Door::open(generate::seed_with_hidden(200, 1, hidden), options).await;
    let inventory = door.lines("inventory").await;
    assert_eq!(inventory, serde_json::from_value::<Vec<Value>>(json!(door.running.inventory())).unwrap());
    let of = |kind: &str, is_hidden: bool| -> Vec<&Value> {
        inventory.iter().filter(|item| item["kind"] == kind && item["hidden"] == is_hidden).collect()
    };
    assert_eq!((of("room", true).len(), of("account", true).len()), (10, 3));
    assert!(inventory.iter().all(|item| !text_of(item, "id").is_empty() && !text_of(item, "name").is_empty()));

    let mut tokens = vec![door.running.token.clone()];
    for person in of("account", false) {
        tokens.push(door.running.workspace().token_for(text_of(person, "id")).unwrap());
    }
    let room = text_of(of("room", true)[0], "id");
    let person = text_of(of("account", true)[0], "id");
    for token in &tokens {
        let who = door.call("auth.test", &[("token", token)]).await;
        if who["error"] == "account_inactive" {
            continue;
        }
        let names = names_of_channels(&door, token).await;
        assert!(names.iter().all(|name| !name.starts_with("hidden-")), "{names:?}");
        for method in ["channels.info", "channels.history", "channels.join"] {
            let refused = door.call(method, &[("channel", room), ("token", token)]).await;
            assert_eq!(error_of(&refused), "channel_not_found", "{method}");
        }
        let refused = door.call("users.info", &[("user", person), ("token", token)]).await;
        assert_eq!(error_of(&refused), "user_not_visible");
    }
    let people = door.call("users.list", &[]).await;
    assert_eq!(people["members"].as_array().unwrap().len(), of("account", false).len());
    assert!(!people.to_string().contains("unlisted"));

    // What happens there is not heard elsewhere.
    let mut line = Line::open(&door, &door.running.token).await;
    let workspace = door.running.workspace();
    workspace.post(room, person, "secret").unwrap();
    workspace.upload(room, person, "secret.txt", b"x".to_vec()).unwrap();
    workspace.rename_user(person, "Secret").unwrap();
    workspace.remove_channel(room).unwrap();
    workspace.post("c0", &door.running.username, "open").unwrap();
    assert_eq!(line.kinds_up_to("message").await, ["message"]);
    assert!(workspace.inventory().iter().all(|item| item.id != room));
    assert!(workspace.truth().iter().any(|item| item.text == "secret" && item.state == "deleted"));
    let made = door.control("create", json!({ "user": door.running.username, "name": "x", "hidden": true })).await;
    assert!(door.running.inventory().iter().any(|item| made["channel"] == item.id && item.hidden));
    door.running.stop().await;
}

#[tokio::test]
async fn coming_going_and_archiving_are_told_to_those_whom_it_concerns() {
    let (door, cyd) = with_cyd().await;
    let dock = door.channel("dock").await;
    let mut ann = Line::open(&door, &door.running.token).await;
    let mut theirs = Line::open(&door, &cyd).await;
    let channel = json!({ "channel": dock });
    let who = json!({ "channel": dock, "user": CYD });
    for (action, body) in [("archive", &channel), ("unarchive", &channel), ("kick", &who)] {
        assert_eq!(door.control(action, body.clone()).await, json!({ "ok": true }), "{action}");
    }
    assert_eq!(theirs.kinds_up_to("channel_left").await, ["channel_archive", "channel_unarchive", "channel_left"]);
    let told = ann.kinds_up_to("member_left_channel").await;
    assert_eq!(told, ["channel_archive", "channel_unarchive", "channel_leave", "member_left_channel"]);
    let left = door.call("channels.info", &[("channel", &dock), ("token", &cyd)]).await;
    assert_eq!((&left["ok"], &left["channel"]["is_member"]), (&json!(true), &json!(false)));

    door.control("join", who.clone()).await;
    door.control("rename", json!({ "channel": dock, "name": "pier" })).await;
    let heard = theirs.kinds_up_to("channel_rename").await;
    assert_eq!(heard, ["channel_join", "member_joined_channel", "channel_joined", "channel_rename"]);
    door.control("leave", who).await;
    door.control("remove", channel).await;
    assert_eq!(ann.kinds_up_to("channel_deleted").await.last().unwrap(), "channel_deleted");
    for token in [&cyd, &door.running.token] {
        let gone = door.call("channels.info", &[("channel", &dock), ("token", token)]).await;
        assert_eq!(error_of(&gone), "channel_not_found");
    }
    let file = door.running.workspace().file_truth().unwrap().remove(0);
    assert_eq!(file.state, "deleted", "a file goes with its last channel");
    door.running.stop().await;
}

#[tokio::test]
async fn a_lost_channel_falls_silent_and_comes_back() {
    let door = Door::with(1).await;
    let mut line = Line::open(&door, &door.running.token).await;
    let workspace = door.running.workspace();
    let file = workspace.file_truth().unwrap().remove(0).file;
    let info = door.call("files.info", &[("file", &file)]).await;
    let url = text_of(&info["file"], "url_private").to_owned();
    door.running.set_fault(Fault::MembershipLoss, 1.0);
    workspace.post("quay", BOB, "unheard").unwrap();
    let denied = door.client.get(&url).send().await.unwrap().text().await.unwrap();
    assert!(denied.contains("no_permission"), "{denied}");
    door.running.set_fault(Fault::MembershipLoss, 0.0);
    workspace.post("quay", BOB, "heard").unwrap();
    let told = line.kinds_up_to("message").await;
    assert_eq!(told, ["channel_left", "channel_left", "channel_joined", "channel_joined", "message"]);
    door.running.stop().await;
}

#[tokio::test]
async fn a_revoked_token_stays_dead_and_a_login_gives_another() {
    let door = Door::with(1).await;
    let mut line = Line::open(&door, &door.running.token).await;
    door.running.set_fault(Fault::TokenRevoked, 0.3);
    let mut answers = 0;
    loop {
        let answer = door.call("auth.test", &[]).await;
        if answer["ok"] == false {
            assert_eq!(error_of(&answer), "token_revoked");
            break;
        }
        answers += 1;
    }
    door.running.set_fault(Fault::TokenRevoked, 0.0);
    let later = door.call("auth.test", &[]).await;
    assert_eq!(error_of(&later), "token_revoked", "after {answers} good answers it is dead for good");
    // The socket of the token ends as well, with a Close frame.
    let end = loop {
        match line.0.next().await {
            Some(Ok(Message::Text(_))) => {}
            end => break end,
        }
    };
    assert!(matches!(end, Some(Ok(Message::Close(_)))), "{end:?}");

    let login = [("username", ANN), ("password", door.running.password.as_str())];
    let entered = door.call("iwauthentication.login.plain", &login).await;
    let token = text_of(&entered, "token");
    assert_eq!(door.call("auth.test", &[("token", token)]).await["ok"], true);
    door.running.set_fault(Fault::TokenRevoked, 1.0);
    assert_eq!(error_of(&door.call("auth.test", &[("token", token)]).await), "token_revoked");
    door.running.set_fault(Fault::TokenRevoked, 0.0);
    let fresh = door.running.workspace().token_for(BOB).unwrap();
    door.control("revoke", json!({ "user": BOB })).await;
    assert_eq!(error_of(&door.call("auth.test", &[("token", &fresh)]).await), "token_revoked");
    door.running.stop().await;
}

#[tokio::test]
async fn sockets_are_cut_without_a_goodbye() {
    let door = Door::with(1).await;
    let mut lines = Vec::new();
    for _ in 0..3 {
        lines.push(Line::open(&door, &door.running.token).await);
    }
    assert_eq!(door.running.cut_sockets(), 3);
    for mut line in lines {
        while line.next().await.is_some() {}
    }
    let line = Line::open(&door, &door.running.token).await;
    assert_eq!(door.control("cut", json!({})).await, json!({ "sockets": 1 }));
    drop(line);

    let mut line = Line::open(&door, &door.running.token).await;
    // Its own presence comes first and would be the batch after which it is cut.
    assert_eq!(line.next().await.unwrap()["type"], "presence_change");
    door.running.set_fault(Fault::RtmCut, 1.0);
    door.running.workspace().post("quay", BOB, "the last words").unwrap();
    assert_eq!(line.next().await.unwrap()["text"], "the last words");
    assert!(line.next().await.is_none());
    door.running.stop().await;
}

#[tokio::test]
async fn tickets_on_a_socket_are_the_listeners_own() {
    let (door, cyd) = with_cyd().await;
    let mut theirs = Line::open(&door, &cyd).await;
    let workspace = door.running.workspace();
    workspace.upload("dock", BOB, "x.txt", b"bytes".to_vec()).unwrap();
    let url = loop {
        let event = theirs.next().await.unwrap();
        if event["type"] == "file_shared" {
            break text_of(&event["file"], "url_private").to_owned();
        }
    };
    assert_eq!(door.client.get(&url).send().await.unwrap().text().await.unwrap(), "bytes");
    workspace.kick("dock", CYD).unwrap();
    let refused = door.client.get(&url).send().await.unwrap().text().await.unwrap();
    assert!(refused.contains("no_permission"), "the ticket of who is out opens nothing: {refused}");
    door.running.stop().await;
}

#[tokio::test]
async fn a_hushed_message_is_not_heard_either() {
    let door = Door::with(1).await;
    let mut line = Line::open(&door, &door.running.token).await;
    door.running.set_fault(Fault::Whisper, 1.0);
    let workspace = door.running.workspace();
    let ts = workspace.post("quay", BOB, "hushed").unwrap();
    workspace.edit("quay", &ts, None, "hushed again").unwrap();
    workspace.post("quay", ANN, "own").unwrap();
    let event = loop {
        let event = line.next().await.unwrap();
        if event["type"] == "message" {
            break event;
        }
    };
    assert_eq!(event["text"], "own");
    door.running.stop().await;
}

async fn sha256(response: Response) -> (u64, String) {
    let (mut size, mut hash) = (0, Sha256::new());
    let mut body = response.bytes_stream();
    while let Some(bytes) = body.next().await {
        let bytes = bytes.unwrap();
        size += u64::try_from(bytes.len()).unwrap();
        hash.update(&bytes);
    }
    (size, hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[tokio::test]
async fn files_of_no_size_and_of_200_megabytes_are_served() {
    const LARGE: u64 = 200 << 20;
    let mut seed = seed(0);
    seed.files.push(SeedFile {
        key: "large".to_owned(),
        name: "large.bin".to_owned(),
        user: BOB.to_owned(),
        channels: vec!["dock".to_owned()],
        content: Content::Generated { size: LARGE, seed: 7 },
        ..SeedFile::default()
    });
    let door = Door::open(seed, Options { control: true, ..Options::default() }).await;
    let address = async |file: &str| {
        let info = door.call("files.info", &[("file", file)]).await;
        (info["file"]["size"].as_u64().unwrap(), text_of(&info["file"], "url_private").to_owned())
    };
    let dock = door.channel("dock").await;
    let list = door.call("files.list", &[("channel", &dock)]).await;
    let files = list["files"].as_array().unwrap();
    let large = files.iter().find(|file| file["name"] == "large.bin").unwrap();
    let (size, url) = address(text_of(large, "id")).await;
    assert_eq!(size, LARGE);
    let part = async |from: u64, length: u64| {
        let range = format!("bytes={from}-{}", from + length - 1);
        let answer = door.client.get(&url).header("range", range).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::PARTIAL_CONTENT);
        answer.bytes().await.unwrap()
    };
    let middle = part(LARGE / 2 - 1000, 2000).await;
    assert_eq!((middle.len(), &middle[500..1700]), (2000, &part(LARGE / 2 - 500, 1200).await[..]));
    assert_eq!(part(LARGE - 5, 5).await.len(), 5);
    // Nobody waits for the whole: only its head is read.
    let whole = door.client.get(&url).send().await.unwrap();
    assert_eq!(whole.content_length(), Some(LARGE));
    drop(whole);

    let upload = json!({ "channel": dock, "user": BOB, "name": "some.bin", "size": 3_000_001, "seed": 9 });
    let some = text_of(&door.control("upload", upload).await, "file").to_owned();
    let (size, some_url) = address(&some).await;
    let served = sha256(door.client.get(&some_url).send().await.unwrap()).await;
    let truth = door.lines("truth?files=1").await;
    let versions = |file: &str| truth.iter().find(|known| known["file"] == file).unwrap()["versions"].clone();
    assert_eq!(served.0, size);
    assert_eq!(versions(&some), json!([served.1]));
    let missing = door.control("upload", json!({ "channel": dock, "user": BOB, "name": "x" })).await;
    assert!(text_of(&missing, "error").contains("`size`"));

    // Faults of the way don't need the whole either.
    door.running.set_fault(Fault::ResetMidBody, 1.0);
    let mut cut = door.client.get(&some_url).send().await.unwrap().bytes_stream();
    let mut received = 0;
    while let Some(Ok(bytes)) = cut.next().await {
        received += bytes.len();
    }
    assert!(received <= 1_500_000, "{received}");
    door.running.set_fault(Fault::ResetMidBody, 0.0);
    door.running.set_fault(Fault::SlowTrickle, 1.0);
    assert_eq!(sha256(door.client.get(&some_url).send().await.unwrap()).await, served);
    door.running.set_fault(Fault::SlowTrickle, 0.0);

    for body in [json!({ "base64": "" }), json!({ "size": 0 })] {
        let mut upload = json!({ "channel": dock, "user": BOB, "name": "empty.txt" });
        upload.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        let empty = text_of(&door.control("upload", upload).await, "file").to_owned();
        let (size, url) = address(&empty).await;
        let whole = door.client.get(&url).send().await.unwrap();
        assert_eq!((size, whole.status(), whole.bytes().await.unwrap().len()), (0, StatusCode::OK, 0));
        let range = door.client.get(&url).header("range", "bytes=0-").send().await.unwrap();
        assert_eq!(range.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    }
    door.running.stop().await;
}

#[tokio::test]
async fn a_tricky_name_stands_everywhere_and_its_bytes_can_be_had() {
    let options = Options { control: true, faults: vec![(Fault::PathTricks, 1.0)], ..Options::default() };
    let door = Door::open(seed(0), options).await;
    let dock = door.channel("dock").await;
    let workspace = door.running.workspace();
    for number in 0..30 {
        workspace.upload("dock", BOB, "tame.txt", vec![number]).unwrap();
    }
    let list = door.call("files.list", &[("channel", &dock)]).await;
    let history = door.walk(&dock, "100").await;
    let mut names = std::collections::BTreeSet::new();
    for file in list["files"].as_array().unwrap() {
        let (id, name) = (text_of(file, "id"), text_of(file, "name"));
        let info = door.call("files.info", &[("file", id)]).await;
        assert_eq!((text_of(&info["file"], "name"), text_of(&info["file"], "title")), (name, name));
        assert!(history.iter().any(|message| message["file"]["id"] == id && message["file"]["name"] == name));
        let answer = door.client.get(text_of(&info["file"], "url_private")).send().await.unwrap();
        let disposition = answer.headers()["content-disposition"].to_str().unwrap().to_owned();
        let encoded = disposition.split("filename*=UTF-8''").nth(1).unwrap();
        assert_eq!(percent_encoding::percent_decode_str(encoded).decode_utf8().unwrap(), name);
        if name.starts_with("../../") {
            assert!(disposition.contains("filename=\"../../etc/passwd\""), "{disposition}");
        }
        let bytes = answer.bytes().await.unwrap();
        assert_eq!(info["file"]["size"], bytes.len());
        names.insert(name.to_owned());
    }
    assert!(names.len() > 5 && !names.contains("tame.txt"), "{names:?}");
    door.running.stop().await;
}

#[tokio::test]
async fn a_long_text_is_the_same_each_time_and_in_the_truth() {
    let door = Door::with(20).await;
    door.control("faults", json!({ "huge-text": 0.2 })).await;
    let channel = door.channel("quay").await;
    let first = door.walk(&channel, "7").await;
    assert_eq!(first, door.walk(&channel, "20").await);
    let truth = door.running.workspace().truth();
    let mut long = 0;
    for message in &first {
        let known = truth.iter().find(|item| message["ts"] == item.ts).unwrap();
        assert_eq!(text_of(message, "text"), known.text);
        long += usize::from(known.text.len() == 1 << 20);
    }
    assert!((1..20).contains(&long), "{long}");
    door.running.stop().await;
}

#[tokio::test]
async fn drifting_pages_leave_the_truth_true() {
    let door = Door::with(60).await;
    let channel = door.channel("quay").await;
    let mut line = Line::open(&door, &door.running.token).await;
    door.running.set_fault(Fault::PageDrift, 1.0);
    let page = door.call("channels.history", &[("channel", &channel), ("count", "20")]).await;
    door.running.set_fault(Fault::PageDrift, 0.0);
    let seam = text_of(&page["messages"][19], "ts");
    let truth = door.running.workspace().truth();
    assert_eq!(truth.iter().find(|item| item.ts == seam).unwrap().state, "deleted");
    let posted = truth.iter().find(|item| item.text == "posted between two pages").unwrap();
    assert_eq!(posted.state, "current");
    assert_eq!(line.kinds_up_to("message").await, ["message_deleted", "message"]);
    let seen = door.walk(&channel, "100").await;
    let current = truth.iter().filter(|item| item.channel == channel && item.state == "current").count();
    assert_eq!(seen.len(), current);
    door.running.workspace().archive_channel(&channel).unwrap();
    door.running.set_fault(Fault::PageDrift, 1.0);
    door.call("channels.history", &[("channel", &channel), ("count", "20")]).await;
    assert_eq!(door.running.workspace().truth(), truth, "nobody posts in an archived channel");
    door.running.stop().await;
}

#[tokio::test]
async fn a_listener_hears_every_change_of_a_busy_workspace() {
    let door = Door::with(1).await;
    let mut line = Line::open(&door, &door.running.token).await;
    let workspace = door.running.workspace();
    let writer = tokio::task::spawn_blocking(move || {
        for number in 0..3000 {
            workspace.post("quay", BOB, &number.to_string()).unwrap();
        }
    });
    let mut expected = 0;
    while expected < 3000 {
        let event = line.next().await.unwrap();
        if event["type"] == "message" {
            assert_eq!(text_of(&event, "text"), expected.to_string());
            expected += 1;
        }
    }
    writer.await.unwrap();
    door.running.stop().await;
}
