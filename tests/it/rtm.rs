//! The real-time client: against the sandbox, over TLS and through a proxy, and against servers
//! that the sandbox would never be.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use teamchat_archive::api::{self, Connection, Event, Meaning, Pace, ServerOptions, Socket, Trust, is_noise, meaning};
use teamchat_archive::model::{ChannelId, Digest};
use teamchat_archive::sandbox::seed::{Seed, SeedChannel, SeedUser};
use teamchat_archive::sandbox::{Fault, Options, Running, start};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::cli::tls;
use crate::stub::Stub;
use crate::support::quick;
use crate::talk::http_client;

const ANN: &str = "ann@harbour.example";
const BOB: &str = "bob@harbour.example";

/// Far longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

async fn sandbox() -> Running {
    let user = |email: &str, is_admin| SeedUser {
        email: email.to_owned(),
        name: email.split('@').next().unwrap().to_owned(),
        is_admin,
        tz: "Europe/Prague".to_owned(),
        ..SeedUser::default()
    };
    let channel = SeedChannel {
        key: "quay".to_owned(),
        name: "quay".to_owned(),
        created: 1_490_000_000,
        members: vec![ANN.to_owned(), BOB.to_owned()],
        ..SeedChannel::default()
    };
    let seed = Seed {
        domain: "harbour.example".to_owned(),
        account: ANN.to_owned(),
        users: vec![user(ANN, true), user(BOB, false)],
        channels: vec![channel],
        ..Seed::default()
    };
    start(seed, Options { control: true, ..Options::default() }).await.unwrap()
}

fn reader_at(url: &str, token: &str, options: &ServerOptions) -> api::Reader {
    api::Reader::new(Arc::new(Connection::new(url, options).unwrap()), token.to_owned().into())
}

fn reader(running: &Running) -> api::Reader {
    reader_at(&running.url, &running.token, &quick())
}

async fn next(socket: &mut Socket) -> Event {
    tokio::time::timeout(PATIENCE, socket.next()).await.expect("an event comes").unwrap()
}

async fn end_of(socket: &mut Socket) -> api::Error {
    let ended = async {
        loop {
            if let Err(error) = socket.next().await {
                return error;
            }
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.expect("it ends")
}

fn kind_of(event: &Event) -> String {
    let value: Value = serde_json::from_slice(&event.bytes).unwrap();
    assert_eq!(value["type"], event.kind.as_str());
    value["subtype"].as_str().unwrap_or(&event.kind).to_owned()
}

/// Nothing that is printed of these says a secret.
fn are_silent(shown: &[&dyn std::fmt::Debug], secrets: &[&str]) {
    let text = format!("{shown:?} {shown:#?}");
    for secret in secrets {
        assert!(secret.len() > 8 && !text.contains(secret), "{text}");
    }
}

#[tokio::test]
async fn what_happens_is_told_in_order_with_its_exact_bytes() {
    let running = sandbox().await;
    let workspace = running.workspace();
    // A listener that knows nothing but the protocol hears the same.
    let reader = reader(&running);
    let started = reader.rtm_start().await.unwrap();
    let (mut plain, _) = tokio_tungstenite::connect_async(started.expose_secret()).await.unwrap();
    let mut socket = Socket::open(&reader, Pace::default()).await.unwrap();

    let ts = workspace.post("quay", BOB, "first \"quoted\" – žluť").unwrap();
    workspace.edit("quay", &ts, None, "second").unwrap();
    workspace.react("quay", &ts, ANN, "thumbsup").unwrap();
    workspace.pin("quay", &ts, ANN, true).unwrap();
    let (file, _) = workspace.upload("quay", BOB, "plan.txt", b"0123".to_vec()).unwrap();
    let comment = workspace.comment(&file, ANN, "good").unwrap();
    workspace.delete_comment(&comment).unwrap();
    workspace.delete_file(&file).unwrap();
    workspace.delete("quay", &ts, None).unwrap();
    workspace.rename_channel("quay", "pier").unwrap();
    workspace.rename_user(BOB, "Robert").unwrap();
    workspace.restore("quay", &ts).unwrap();

    let mut events = Vec::new();
    while events.last().is_none_or(|event: &Event| event.kind != "channel_history_changed") {
        events.push(next(&mut socket).await);
    }
    let mut expected: Vec<Vec<u8>> = Vec::new();
    while expected.last().is_none_or(|text| !text.windows(23).any(|part| part == b"channel_history_changed")) {
        let message = tokio::time::timeout(PATIENCE, plain.next()).await.unwrap().unwrap().unwrap();
        let text = message.into_text().unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        if !is_noise(value["type"].as_str().unwrap()) {
            expected.push(text.as_str().as_bytes().to_vec());
        }
    }
    let got: Vec<Vec<u8>> = events.iter().map(|event| event.bytes.clone()).collect();
    assert_eq!(got, expected);

    let channel = workspace.channels().into_iter().find(|(_, name)| name == "pier").unwrap().0;
    let channel = ChannelId::parse(&channel).unwrap();
    let mut seen = Vec::new();
    for event in &events {
        let meaning = meaning(&event.bytes);
        assert_ne!(meaning, Meaning::Other, "{}", String::from_utf8_lossy(&event.bytes));
        match &meaning {
            Meaning::Message { channel: at, message, .. } => {
                assert_eq!((at, message), (&channel, &(0..event.bytes.len())));
            }
            Meaning::Changed { channel: at, ts: which, message, editor, .. } => {
                let item: Value = serde_json::from_slice(&event.bytes[message.clone()]).unwrap();
                assert_eq!((at, which.to_string(), item["text"].as_str()), (&channel, ts.clone(), Some("second")));
                assert_eq!(editor.as_ref().unwrap().as_str(), BOB);
            }
            Meaning::Deleted { actor, .. } => assert_eq!(*actor, None),
            Meaning::Reaction { channel: at, ts: which } => assert_eq!((at, which.to_string()), (&channel, ts.clone())),
            Meaning::Pin { channel: at } => assert_eq!(at, &channel),
            Meaning::File { id } | Meaning::FileDeleted { id } | Meaning::FileComment { file: id } => {
                assert_eq!(id.as_str(), file);
            }
            Meaning::Channel { id, .. } => assert_eq!(id, &channel),
            Meaning::HistoryChanged { channel: at, latest } => {
                assert_eq!((at.as_ref(), latest.map(|latest| latest.to_string())), (Some(&channel), Some(ts.clone())));
            }
            Meaning::User { id } => assert_eq!(id.as_str(), BOB),
            Meaning::Other => {}
        }
        seen.push(kind_of(event));
    }
    for kind in [
        "message_changed",
        "message_deleted",
        "reaction_added",
        "pin_added",
        "file_shared",
        "file_comment_added",
        "file_comment_deleted",
        "file_deleted",
        "channel_rename",
        "user_change",
    ] {
        assert!(seen.iter().any(|seen| seen == kind), "{kind} is not among {seen:?}");
    }
    assert_eq!(seen[..4], ["message", "message_changed", "reaction_added", "pin_added"]);

    let url = format!("{}requests", running.url.replace("/teamchatapi/", "/_control/"));
    let log = http_client().get(url).send().await.unwrap().text().await.unwrap();
    let methods: Vec<String> = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["method"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(methods, ["rtm.start", "rtm.start"]);
    are_silent(&[&socket, &events, &reader, &started], &[&running.token, started.expose_secret()]);
    tokio::time::timeout(PATIENCE, socket.close()).await.unwrap();
    running.stop().await;
}

#[tokio::test]
async fn events_since_the_address_was_given_come_first() {
    let running = sandbox().await;
    let reader = reader(&running);
    let url = reader.rtm_start().await.unwrap();
    let ts = running.workspace().post("quay", BOB, "before").unwrap();
    let mut socket = Socket::open_at(reader.connection(), &url, Pace::default()).await.unwrap();
    let event: Value = serde_json::from_slice(&next(&mut socket).await.bytes).unwrap();
    assert_eq!((event["ts"].as_str(), event["text"].as_str()), (Some(ts.as_str()), Some("before")));
    running.stop().await;
}

#[tokio::test]
async fn lost_and_repeated_events_are_told_as_they_come() {
    let running = sandbox().await;
    let workspace = running.workspace();
    let mut socket = Socket::open(&reader(&running), Pace::default()).await.unwrap();
    running.set_fault(Fault::DuplicateEvent, 0.5);
    running.set_fault(Fault::LostEvent, 0.5);
    let posted: Vec<String> = (0..40).map(|number| format!("line {number}")).collect();
    for text in &posted {
        workspace.post("quay", BOB, text).unwrap();
    }
    let text_of = |event: Event| -> String {
        serde_json::from_slice::<Value>(&event.bytes).unwrap()["text"].as_str().unwrap().to_owned()
    };
    // The sandbox throws its dice for all of them before it sends the first.
    let mut told = vec![text_of(next(&mut socket).await)];
    running.set_fault(Fault::DuplicateEvent, 0.0);
    running.set_fault(Fault::LostEvent, 0.0);
    workspace.post("quay", BOB, "the end").unwrap();
    while told.last().unwrap() != "the end" {
        told.push(text_of(next(&mut socket).await));
    }
    told.pop();
    let mut once = told.clone();
    once.dedup();
    assert!(once.len() < told.len() && once.len() < posted.len(), "{told:?}");
    let mut rest = posted.iter();
    assert!(once.iter().all(|text| rest.any(|posted| posted == text)), "{told:?}");
    running.stop().await;
}

#[tokio::test]
async fn a_socket_that_the_server_closes_is_a_temporary_error_for_good() {
    let running = sandbox().await;
    let mut socket = Socket::open(&reader(&running), Pace::default()).await.unwrap();
    running.workspace().revoke(&running.token);
    running.workspace().post("quay", BOB, "wakes the sandbox").unwrap();
    let ended = end_of(&mut socket).await;
    assert!(ended.is_temporary() && ended.to_string().contains("the server closed it"), "{ended}");
    assert_eq!(end_of(&mut socket).await.to_string(), ended.to_string());
    are_silent(&[&ended, &socket], &[&running.token]);
    running.stop().await;
}

#[tokio::test]
async fn an_address_opens_once_and_the_refusal_does_not_show_it() {
    let running = sandbox().await;
    let reader = reader(&running);
    let url = reader.rtm_start().await.unwrap();
    let socket = Socket::open_at(reader.connection(), &url, Pace::default()).await.unwrap();
    let refused = Socket::open_at(reader.connection(), &url, Pace::default()).await.unwrap_err();
    assert!(refused.is_temporary() && refused.to_string().contains("Socket URL has expired"), "{refused}");
    let secret = url.expose_secret().rsplit('/').next().unwrap().to_owned();
    are_silent(&[&refused, &refused.to_string(), &socket], &[&secret, &running.token]);
    running.stop().await;
}

#[tokio::test]
async fn an_event_beyond_the_limit_ends_the_connection_and_says_so() {
    let running = sandbox().await;
    let mut socket = Socket::open(&reader(&running), Pace::default()).await.unwrap();
    running.workspace().post("quay", BOB, &"x".repeat(3 << 20)).unwrap();
    assert!(next(&mut socket).await.bytes.len() > 3 << 20);
    running.workspace().post("quay", BOB, &"x".repeat(5 << 20)).unwrap();
    let ended = end_of(&mut socket).await;
    assert!(ended.is_temporary() && ended.to_string().contains("larger than 4 MiB"), "{ended}");
    running.stop().await;
}

/// A server at whose socket the test itself speaks.
struct Partner {
    connection: Connection,
    sockets: mpsc::Receiver<WebSocketStream<TcpStream>>,
}

const SECRET: &str = "xoxp-5ec2e75ec2e75ec2e75ec2e7";

impl Partner {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let connection = Connection::new(&format!("http://{}", listener.local_addr().unwrap()), &quick()).unwrap();
        let (sender, sockets) = mpsc::channel(4);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let socket = tokio_tungstenite::accept_async(stream).await.unwrap();
                if sender.send(socket).await.is_err() {
                    return;
                }
            }
        });
        Self { connection, sockets }
    }

    /// Both ends, after this was said in greeting.
    async fn open(
        &mut self,
        greeting: &[&str],
        pace: Pace,
    ) -> (Result<Socket, api::Error>, WebSocketStream<TcpStream>) {
        let url = SecretString::from(format!("/rtm/{SECRET}"));
        let serving = async {
            let mut there = self.sockets.recv().await.unwrap();
            for text in greeting {
                there.send(Message::text(*text)).await.unwrap();
            }
            there
        };
        let opened = async { tokio::join!(Socket::open_at(&self.connection, &url, pace), serving) };
        tokio::time::timeout(PATIENCE, opened).await.unwrap()
    }

    /// The same, greeted as it is due.
    async fn greeted(&mut self, pace: Pace) -> (Socket, WebSocketStream<TcpStream>) {
        let (socket, there) = self.open(&[r#"{"type":"hello"}"#], pace).await;
        (socket.unwrap(), there)
    }
}

#[tokio::test]
async fn a_silent_server_is_pinged_and_then_given_up() {
    let mut partner = Partner::start().await;
    let (mut socket, mut there) = partner.greeted(Pace::default()).await;
    // From here on time passes when everybody waits.
    tokio::time::pause();
    let listening = async {
        let mut ids = Vec::new();
        while let Some(Ok(Message::Text(text))) = there.next().await {
            let ping: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(ping, json!({ "id": ping["id"], "type": "ping" }));
            ids.push(ping["id"].as_u64().unwrap());
        }
        ids
    };
    let hearing = async {
        let ended = end_of(&mut socket).await;
        drop(socket);
        ended
    };
    let (ids, ended) = tokio::join!(listening, hearing);
    assert!(ended.is_temporary() && ended.to_string().contains("nothing came for 30 s"), "{ended}");
    assert!(ids.starts_with(&[1, 2]), "{ids:?}");
}

#[tokio::test]
async fn answers_keep_a_quiet_connection_and_are_no_events() {
    let mut partner = Partner::start().await;
    let (mut socket, mut there) = partner.greeted(Pace::default()).await;
    // From here on time passes when everybody waits.
    tokio::time::pause();
    let serving = async {
        let mut pongs = 0;
        // Far longer than a silent server is borne.
        for round in 0..30 {
            let ping: Value = loop {
                match there.next().await.unwrap().unwrap() {
                    Message::Text(text) => break serde_json::from_str(&text).unwrap(),
                    message => pongs += usize::from(message == Message::Pong("are you there".into())),
                }
            };
            let id = &ping["id"];
            // As Slack answers, as a server without pings does, and as the protocol itself does.
            match round % 3 {
                0 => there.send(Message::text(json!({ "type": "pong", "reply_to": id }).to_string())).await.unwrap(),
                1 => there.send(Message::text(json!({ "ok": false, "reply_to": id }).to_string())).await.unwrap(),
                _ => there.send(Message::Ping("are you there".into())).await.unwrap(),
            }
        }
        there.send(Message::text(r#"{"type":"the_first_event"}"#)).await.unwrap();
        (there, pongs)
    };
    let (event, (mut there, mut pongs)) = tokio::join!(socket.next(), serving);
    tokio::time::resume();
    assert_eq!(event.unwrap().kind, "the_first_event");
    let closing = tokio::spawn(socket.close());
    let mut is_closed = false;
    while let Some(Ok(message)) = there.next().await {
        pongs += usize::from(message == Message::Pong("are you there".into()));
        is_closed |= message.is_close();
    }
    assert!(is_closed && pongs == 10, "{is_closed} {pongs}");
    closing.await.unwrap();
}

#[tokio::test]
async fn a_caller_that_was_away_is_not_a_server_that_was_silent() {
    let mut partner = Partner::start().await;
    let (mut socket, mut there) = partner.greeted(Pace::default()).await;
    tokio::time::pause();
    tokio::time::advance(Pace::default().give_up_after * 2).await;
    tokio::time::resume();
    let serving = async {
        // The ping that was due all the time.
        let ping = there.next().await.unwrap().unwrap();
        there.send(Message::text(r#"{"type":"an_event"}"#)).await.unwrap();
        ping
    };
    let (event, ping) = tokio::join!(next(&mut socket), serving);
    assert!(event.kind == "an_event" && ping.is_text(), "{event:?} {ping:?}");
}

#[tokio::test]
async fn a_wait_that_is_dropped_loses_no_event() {
    let mut partner = Partner::start().await;
    let (mut socket, mut there) = partner.greeted(Pace::default()).await;
    let serving = async {
        for number in 0..300 {
            let text = json!({ "type": "counted", "number": number, "padding": "x".repeat(number * 37) });
            there.send(Message::text(text.to_string())).await.unwrap();
        }
    };
    let hearing = async {
        let (mut numbers, mut dropped) = (Vec::new(), 0);
        while numbers.len() < 300 {
            tokio::select! {
                biased;
                event = socket.next() => {
                    let value: Value = serde_json::from_slice(&event.unwrap().bytes).unwrap();
                    numbers.push(value["number"].as_u64().unwrap());
                }
                () = std::future::ready(()) => {
                    dropped += 1;
                    tokio::task::yield_now().await;
                }
            }
        }
        assert!(dropped > 0, "no wait was dropped");
        numbers
    };
    let (numbers, ()) = tokio::time::timeout(PATIENCE, async { tokio::join!(hearing, serving) }).await.unwrap();
    assert_eq!(numbers, (0..300).collect::<Vec<u64>>());
}

#[tokio::test]
async fn noise_is_dropped_and_everything_else_is_given_out_as_it_came() {
    let mut partner = Partner::start().await;
    let (mut socket, mut there) = partner.greeted(Pace::default()).await;
    let reconnect = json!({ "type": "reconnect_url", "url": format!("wss://h/{SECRET}") }).to_string();
    for noise in [r#"{"type":"presence_change"}"#, r#"{"type":"user_typing"}"#, r#"{"type":"hello"}"#, &reconnect] {
        there.send(Message::text(noise)).await.unwrap();
    }
    let odd = [
        "",
        "no JSON",
        r#"{"type":"#,
        r#"["type":"hello"]"#,
        r#"{"type":7}"#,
        r#"{ "type" : "unheard_of" }"#,
        r#"{"type":"message","reply_to":1}"#,
    ];
    for text in odd {
        there.send(Message::text(text)).await.unwrap();
    }
    there.send(Message::Binary(vec![0xff, 0, b'{'].into())).await.unwrap();
    let kinds = ["", "", "", "", "7", "unheard_of", "message"];
    for (text, kind) in odd.iter().zip(kinds) {
        let event = next(&mut socket).await;
        assert_eq!((event.bytes.as_slice(), event.kind.as_str()), (text.as_bytes(), kind));
    }
    assert_eq!(next(&mut socket).await.bytes, [0xff, 0, b'{']);

    there.send(Message::text(r#"{"type":"team_migration_started"}"#)).await.unwrap();
    there.send(Message::text(r#"{"type":"never_read"}"#)).await.unwrap();
    assert_eq!(next(&mut socket).await.kind, "team_migration_started");
    let ended = end_of(&mut socket).await;
    assert!(ended.is_temporary() && ended.to_string().contains("moves its data"), "{ended}");
}

#[tokio::test]
async fn a_server_that_does_not_greet_as_it_should() {
    let mut partner = Partner::start().await;
    let (silent, _there) = partner.open(&[], Pace { hello_within: Duration::from_millis(50), ..Pace::default() }).await;
    let silent = silent.unwrap_err();
    assert!(silent.is_temporary() && silent.to_string().contains("did not greet"), "{silent}");

    let told = format!("wss://127.0.0.1/rtm/{SECRET} has {SECRET} expired");
    for error in [json!({ "code": 1, "msg": told }), json!("see msg")] {
        let greeting = json!({ "type": "error", "error": error, "msg": told }).to_string();
        let (refused, _there) = partner.open(&[&greeting], Pace::default()).await;
        let refused = refused.unwrap_err();
        assert!(refused.is_temporary() && refused.to_string().contains("`… has … expired`"), "{refused}");
        are_silent(&[&refused], &[SECRET]);
    }

    let early = r#"{"type":"message","text":"before the greeting"}"#;
    let greetings = [r#"{"type":"presence_change"}"#, early, r#"{"type":"hello"}"#, r#"{"type":"second"}"#];
    let (socket, _there) = partner.open(&greetings, Pace::default()).await;
    let mut socket = socket.unwrap();
    assert_eq!(next(&mut socket).await.bytes, early.as_bytes());
    assert_eq!(next(&mut socket).await.kind, "second");

    let (socket, mut there) = partner.greeted(Pace::default()).await;
    let mut socket = socket;
    there.send(Message::text(r#"{"type":"last"}"#)).await.unwrap();
    drop(there);
    assert_eq!(next(&mut socket).await.kind, "last");
    assert!(end_of(&mut socket).await.is_temporary());
}

#[tokio::test]
async fn an_address_on_another_host_or_that_is_no_socket_is_not_used() {
    let foreign = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = foreign.local_addr().unwrap().port();
    for (url, why) in [
        (format!("ws://localhost:{port}/rtm/{SECRET}"), "another host (localhost)"),
        (format!("ws://127.0.0.1:{port}/rtm/{SECRET}"), "another port"),
        (format!("ws://your address/rtm/{SECRET}"), "its url is none"),
        (String::new(), "it gave no url"),
        (format!("/rtm/{SECRET}"), "no WebSocket (200 OK)"),
    ] {
        let stub = Stub::start(move |_, _| json!({ "ok": true, "url": url }).to_string().into_bytes()).await;
        let refused = Socket::open(&reader_at(&stub.url, SECRET, &quick()), Pace::default()).await.unwrap_err();
        assert!(refused.is_temporary() && refused.to_string().contains(why), "{refused}");
        are_silent(&[&refused, &refused.to_string()], &[SECRET]);
    }
    let came = tokio::time::timeout(Duration::ZERO, foreign.accept()).await;
    assert!(came.is_err(), "somebody called elsewhere");
}

/// One event over an encrypted socket.
async fn hears(server: &tls::Behind, options: &ServerOptions) -> Result<(), api::Error> {
    let reader = reader_at(&server.ready.url, &server.ready.token, options);
    let mut socket = Socket::open(&reader, Pace::default()).await?;
    let (channel, _) = server.parts.workspace.channels().swap_remove(0);
    server.parts.workspace.post(&channel, &server.ready.username, "over TLS").unwrap();
    let event = next(&mut socket).await;
    assert!(String::from_utf8(event.bytes).unwrap().contains("over TLS"));
    are_silent(&[&socket], &[&server.ready.token]);
    socket.close().await;
    Ok(())
}

#[test]
fn certificates_are_judged_as_for_every_other_call() {
    let certificate = tls::self_signed();
    let (authority, signed) = tls::signed_by_an_authority();
    let (server, other) = (tls::serve(&certificate), tls::serve(&signed));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("authority.pem");
    fs_err::write(&file, authority).unwrap();
    let pin = |text: &str| Trust::Pin(text.strip_prefix("sha256:").unwrap().parse::<Digest>().unwrap());
    let trusting = |trust| ServerOptions { trust, ..quick() };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        hears(&server, &trusting(pin(&certificate.pin()))).await.unwrap();
        hears(&other, &trusting(Trust::Authority(file.clone()))).await.unwrap();

        // The address is opened with another trust than it was asked for with.
        let trusted = reader_at(&server.ready.url, &server.ready.token, &trusting(pin(&certificate.pin())));
        for trust in [Trust::System, Trust::Authority(file), pin(&signed.pin())] {
            let url = trusted.rtm_start().await.unwrap();
            assert!(url.expose_secret().starts_with("wss://"));
            let connection = Connection::new(&server.ready.url, &trusting(trust)).unwrap();
            let refused = Socket::open_at(&connection, &url, Pace::default()).await.unwrap_err();
            let api::Error::Untrusted { fingerprint: Some(presented), .. } = &refused else { panic!("{refused:?}") };
            assert_eq!(format!("sha256:{presented}"), certificate.pin());
            let secret = url.expose_secret().rsplit('/').next().unwrap().to_owned();
            are_silent(&[&refused, &refused.to_string()], &[&secret, &server.ready.token]);
            // It was not used up: nothing of it reached the server.
            Socket::open_at(trusted.connection(), &url, Pace::default()).await.unwrap();
        }
    });
    server.parts.stop();
    other.parts.stop();
}

/// A proxy that only tunnels, and tells where to.
async fn proxy() -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, asked) = mpsc::channel(16);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let sender = sender.clone();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(client.read_u8().await.unwrap());
                }
                let line = String::from_utf8(head).unwrap().lines().next().unwrap().to_owned();
                let target = line.split(' ').nth(1).unwrap().to_owned();
                sender.send(line).await.unwrap();
                let mut server = TcpStream::connect(target).await.unwrap();
                client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                let _cut = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    (url, asked)
}

#[test]
fn the_configured_proxy_is_asked_for_a_tunnel() {
    let certificate = tls::self_signed();
    let server = tls::serve(&certificate);
    let pin = certificate.pin().strip_prefix("sha256:").unwrap().parse::<Digest>().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let (url, mut asked) = proxy().await;
        let options = ServerOptions { trust: Trust::Pin(pin), proxy: Some(url), ..quick() };
        hears(&server, &options).await.unwrap();
        let authority = server.ready.url.strip_prefix("https://").unwrap().strip_suffix("/teamchatapi/").unwrap();
        let line = asked.recv().await.unwrap();
        assert_eq!(line, format!("CONNECT {authority} HTTP/1.1"));
    });
    server.parts.stop();
}
