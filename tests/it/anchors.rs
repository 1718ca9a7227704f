//! Keepers of checkpoints, asked through the library: each answer that they may give, and what is
//! made of it.

use std::sync::Mutex;
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use teamchat_archive::anchor::{self, Destination, Error, Evidence, Offer, Sink};
use teamchat_archive::ledger::{Checkpoint, CosignerKey, CosigningKey};
use teamchat_archive::model::{ChannelId, Clock, Digest};
use teamchat_archive::record::{Kind, Origin};
use teamchat_archive::store::{AnchoredRow, Batch, Change, FIRST_SOURCE, NewRecord, Writer};

use crate::keepers::{Authority, Witness};
use crate::stub::Stub;
use crate::support::{TestArchive, key};

const ORIGIN: &str = "teamchat-archive/test";

/// An archive without a server.
struct Grown {
    archive: TestArchive,
    records: u64,
}

impl Grown {
    fn new() -> Self {
        Self { archive: TestArchive::in_memory("https://chat.example/teamchatapi/"), records: 0 }
    }

    /// Adds so many messages and signs.
    fn grow(&mut self, count: u64) -> (Checkpoint, String) {
        let layout = &self.archive.layout;
        let mut writer = Writer::open(layout, layout.lock().unwrap(), Some(key()), Clock::System).unwrap();
        let records = (self.records..self.records + count).map(message).collect();
        writer.append(Batch { records, changes: Vec::new() }).unwrap();
        self.records += count;
        writer.checkpoint().unwrap().unwrap();
        self.newest()
    }

    fn newest(&self) -> (Checkpoint, String) {
        let (checkpoint, note, _) = self.archive.reader().newest_checkpoint().unwrap().unwrap();
        (checkpoint, note)
    }

    /// Offers the newest checkpoint.
    async fn offer(&self, sink: &Sink, last: Option<u64>) -> Result<Vec<u8>, Error> {
        let (checkpoint, note) = self.newest();
        let (reader, keys) = (self.archive.reader(), [key().verifier()]);
        anchor::submit(sink, Offer { reader: &reader, keys: &keys, checkpoint: &checkpoint, note: &note, last }).await
    }
}

fn message(number: u64) -> NewRecord {
    NewRecord {
        kind: Kind::Message,
        source: FIRST_SOURCE,
        channel: ChannelId::parse("C1"),
        key: format!("{}.000001", 1_700_000_000 + number),
        version: 1,
        change: Change::New,
        origin: Origin::Observed,
        via: "channels.history",
        account: "a@b.example".to_owned(),
        run: 1,
        observed_at: Clock::set(1_700_000_000_000).now(),
        tickets: 0,
        attachments: Vec::new(),
        shared_in: Vec::new(),
        body: format!("{{\"ts\":\"{}.000001\",\"text\":\"hello\"}}", 1_700_000_000 + number).into_bytes(),
    }
}

fn sink(destination: Destination) -> Sink {
    Sink { name: "k".to_owned(), every: Duration::ZERO, destination }
}

fn witness_at(url: &str, vkey: &str) -> Sink {
    let (url, key) = (url.parse().unwrap(), Box::new(CosignerKey::parse(vkey).unwrap()));
    sink(Destination::Witness { url, key, proxy: None })
}

fn authority_at(url: &str) -> Sink {
    sink(Destination::Timestamp { url: url.parse().unwrap(), proxy: None })
}

fn judged(sink: &Sink, size: u64, evidence: &[u8], note: &str) -> Evidence {
    let row = AnchoredRow { size, sink: sink.id(), at: String::new(), evidence: evidence.to_vec() };
    anchor::judge(std::slice::from_ref(sink), &row, note)
}

#[tokio::test]
async fn a_witness_cosigns_what_continues_and_nothing_else() {
    let mut grown = Grown::new();
    let (first, note) = grown.grow(5);
    let witness = Witness::start("witness.example/w").await;
    let keeper = witness_at(&witness.url, &witness.vkey());

    let error = grown.offer(&keeper, None).await.unwrap_err();
    assert_eq!(witness.answered(), 404);
    assert!(
        matches!(&error, Error::Refused(text) if text.contains(ORIGIN) && text.contains(&key().verifier().to_text())),
        "{error}"
    );
    witness.knows(&key().verifier());
    let answer = grown.offer(&keeper, None).await.unwrap();
    assert_eq!(witness.seen(ORIGIN), Some((5, first.root)));
    assert_eq!(judged(&keeper, 5, &answer, &note), Evidence::Right);

    // From one size to the next, over a span's end, and with a proof that has hashes in it.
    for (count, last) in [(1, 5), (124, 6), (70, 130), (300, 200)] {
        let (checkpoint, note) = grown.grow(count);
        let answer = grown.offer(&keeper, Some(last)).await.unwrap();
        assert_eq!(witness.seen(ORIGIN), Some((checkpoint.size, checkpoint.root)));
        assert_eq!(judged(&keeper, checkpoint.size, &answer, &note), Evidence::Right);
        assert_ne!(witness.asked().last().unwrap().1, 0);
    }
    // What it answered once is no answer to another checkpoint.
    let (now, note) = grown.newest();
    assert!(matches!(judged(&keeper, now.size, &answer, &note), Evidence::Wrong(_)));

    // We have forgotten what it has seen; it says so, and is asked again.
    grown.grow(1);
    let before = witness.asked().len();
    grown.offer(&keeper, None).await.unwrap();
    let asked: Vec<String> = witness.asked()[before..].iter().map(|(line, _)| line.clone()).collect();
    assert_eq!(asked, ["old 0", "old 500"]);
    // It has it already: the answer was lost on the way.
    grown.offer(&keeper, Some(500)).await.unwrap();
    assert_eq!(witness.asked().last().unwrap(), &("old 501".to_owned(), 0));
    // It has forgotten.
    witness.believes(ORIGIN, None);
    grown.offer(&keeper, Some(500)).await.unwrap();
    assert_eq!(witness.asked().last().unwrap(), &("old 0".to_owned(), 0));
    grown.archive.check_records();
}

#[tokio::test]
async fn a_witness_that_has_seen_another_history_says_so() {
    let mut grown = Grown::new();
    let witness = Witness::start("witness.example/w").await;
    witness.knows(&key().verifier());
    let keeper = witness_at(&witness.url, &witness.vkey());
    let (checkpoint, _) = grown.grow(20);
    let other = Digest::of(b"another history");
    for (seen, last, status, words) in [
        ((30, other), None, 409, "older copy"),
        ((30, other), Some(10), 409, "older copy"),
        ((20, other), None, 409, "another history"),
        ((20, other), Some(20), 409, "another history"),
        ((10, other), Some(10), 422, "another history"),
        ((16, other), None, 422, "another history"),
    ] {
        witness.believes(ORIGIN, Some(seen));
        let error = grown.offer(&keeper, last).await.unwrap_err();
        assert!(error.is_contradiction() && error.to_string().contains(words), "{seen:?} {last:?}: {error}");
        assert_eq!(witness.answered(), status, "{seen:?} {last:?}");
        assert_eq!(witness.seen(ORIGIN), Some(seen), "it believes what it believed");
    }
    witness.believes(ORIGIN, Some((10, grown.archive.reader().root(10).unwrap())));
    grown.offer(&keeper, None).await.unwrap();
    assert_eq!(witness.seen(ORIGIN), Some((20, checkpoint.root)));
    // A log's key that it trusts no more.
    let stranger = teamchat_archive::ledger::SigningKey::new(ORIGIN, [1; 32]).unwrap();
    witness.knows(&stranger.verifier());
    grown.grow(1);
    let error = grown.offer(&keeper, Some(20)).await.unwrap_err();
    assert_eq!(witness.answered(), 403);
    assert!(matches!(&error, Error::Refused(text) if text.contains(&key().verifier().to_text())), "{error}");
    grown.archive.check_records();
}

#[tokio::test]
async fn each_odd_answer_of_a_witness_has_its_words() {
    let mut grown = Grown::new();
    let (_, note) = grown.grow(5);
    let text = teamchat_archive::ledger::Note::parse(note.as_bytes()).unwrap().text().to_owned();
    let ours = CosigningKey::new("witness.example/w", [3; 32]).unwrap();
    let other = CosigningKey::new("witness.example/w", [4; 32]).unwrap();
    let vkey = ours.verifier().to_text();
    let sized = |size: &'static str| {
        (StatusCode::CONFLICT, [("content-type", "text/x.tlog.size; charset=x")], size).into_response()
    };
    let lines = |text: String| (StatusCode::OK, text).into_response();
    let good = format!("{}\n", ours.cosign(&text, 7));
    let cases: Vec<(Response, &str, &str)> = vec![
        (lines(String::new()), "refused", "something else"),
        (lines("thank you\n".to_owned()), "refused", "something else"),
        (lines(format!("{}\n", other.cosign(&text, 7))), "refused", "compare `key`"),
        (lines(format!("{}\n", ours.cosign("another\n1\n", 7))), "refused", "does not match"),
        (lines(format!("{good}{}\n", ours.cosign("another\n1\n", 7))), "refused", "does not match"),
        (lines(format!("more text\n\n{good}")), "refused", "something else"),
        (lines(good.repeat(2000)), "refused", "longer"),
        (StatusCode::BAD_REQUEST.into_response(), "refused", "malformed"),
        (StatusCode::FORBIDDEN.into_response(), "refused", "give its operator"),
        (StatusCode::NOT_FOUND.into_response(), "refused", ORIGIN),
        (StatusCode::CONFLICT.into_response(), "contradicts", "another history"),
        (StatusCode::UNPROCESSABLE_ENTITY.into_response(), "contradicts", "another history"),
        (sized("6\n"), "contradicts", "older copy"),
        (sized("4"), "refused", "not which"),
        (sized("04\n"), "refused", "not which"),
        (sized("0\n"), "refused", "what it was told"),
        (sized("4\n"), "refused", "what it was told"),
        (sized("5\n"), "contradicts", "another history"),
        (StatusCode::TOO_MANY_REQUESTS.into_response(), "unavailable", "offered again"),
        (StatusCode::BAD_GATEWAY.into_response(), "unavailable", "offered again"),
        (StatusCode::MOVED_PERMANENTLY.into_response(), "refused", "another address"),
        (StatusCode::IM_A_TEAPOT.into_response(), "refused", "`url`"),
    ];
    for (response, variant, words) in cases {
        let status = response.status();
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let canned = Mutex::new((parts, bytes));
        let stub = Stub::serve(move |_| {
            let (parts, bytes) = canned.lock().unwrap().clone();
            Response::from_parts(parts, bytes.into())
        })
        .await;
        let error = grown.offer(&witness_at(&stub.url, &vkey), None).await.unwrap_err();
        let found = match &error {
            Error::Unavailable(_) => "unavailable",
            Error::Refused(_) => "refused",
            Error::Contradicts(_) => "contradicts",
            Error::Store(_) => "store",
        };
        assert!(found == variant && error.to_string().contains(words), "{status} gave {found}: {error}");
    }
    // Sizes that change between two questions: someone else offers, too.
    let sizes = Mutex::new(["3\n", "4\n"].into_iter());
    let stub = Stub::serve(move |_| {
        let size = sizes.lock().unwrap().next().unwrap();
        (StatusCode::CONFLICT, [("content-type", "text/x.tlog.size")], size).into_response()
    })
    .await;
    let error = grown.offer(&witness_at(&stub.url, &vkey), None).await.unwrap_err();
    assert!(matches!(&error, Error::Unavailable(text) if text.contains("someone else")), "{error}");
    // Nobody there.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = grown.offer(&witness_at(&format!("http://127.0.0.1:{port}/"), &vkey), None).await.unwrap_err();
    assert!(matches!(&error, Error::Unavailable(text) if text.contains(&port.to_string())), "{error}");
    grown.archive.check_records();
}

#[tokio::test]
async fn a_keeper_is_reached_through_its_proxy() {
    let mut grown = Grown::new();
    let (_, note) = grown.grow(5);
    let text = teamchat_archive::ledger::Note::parse(note.as_bytes()).unwrap().text().to_owned();
    let ours = CosigningKey::new("witness.example/w", [3; 32]).unwrap();
    let answer = format!("{}\n", ours.cosign(&text, 7));
    let given = answer.clone();
    let proxy = Stub::serve(move |asked| match asked.headers["host"].to_str().unwrap() {
        "witness.invalid" => given.clone().into_response(),
        other => (StatusCode::BAD_GATEWAY, other.to_owned()).into_response(),
    })
    .await;
    let (url, key) = ("http://witness.invalid/w".parse().unwrap(), Box::new(ours.verifier()));
    let keeper = sink(Destination::Witness { url, key, proxy: Some(proxy.url.parse().unwrap()) });
    assert_eq!(grown.offer(&keeper, None).await.unwrap(), answer.as_bytes());
    grown.archive.check_records();
}

#[tokio::test]
async fn a_time_stamp_is_kept_as_it_came_and_checked_by_openssl() {
    let mut grown = Grown::new();
    let (first, note) = grown.grow(5);
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::start(folder.path(), "sha256, sha512").await;
    let keeper = authority_at(&authority.url);
    let answer = grown.offer(&keeper, None).await.unwrap();
    let (request, given) = authority.exchanged().remove(0);
    assert_eq!(answer, given, "it is kept byte for byte");
    let described = authority.describe(&request);
    let imprint = Digest::of(note.as_bytes()).to_string();
    let octets: String = described.lines().filter(|line| line.trim_start().starts_with("00")).collect();
    let octets: String = octets.chars().filter(char::is_ascii_hexdigit).collect();
    assert!(octets.contains(&imprint[..16]), "{described}");
    for line in
        ["Version: 1", "Hash Algorithm: sha256", "Policy OID: unspecified", "Nonce: 0x", "Certificate required: yes"]
    {
        assert!(described.contains(line), "{described}");
    }
    assert!(authority.verify(&answer, note.as_bytes()).unwrap().contains("Verification: OK"));
    let refusal = authority.verify(&answer, note.replace('5', "6").as_bytes()).unwrap_err();
    assert!(refusal.contains("message imprint mismatch"), "{refusal}");
    assert_eq!(judged(&keeper, first.size, &answer, &note), Evidence::Right);

    // Each request has its own number, and an answer is about its checkpoint alone.
    let (second, next) = grown.grow(1);
    grown.offer(&keeper, Some(5)).await.unwrap();
    let requests: Vec<Vec<u8>> = authority.exchanged().into_iter().map(|(request, _)| request).collect();
    assert_ne!(requests[0], requests[1]);
    assert!(
        matches!(judged(&keeper, second.size, &answer, &next), Evidence::Wrong(detail) if detail.contains("other bytes"))
    );

    // An old answer, replayed to a new request for the same note.
    let replay = answer.clone();
    let stub = Stub::serve(move |_| replay.clone().into_response()).await;
    let (checkpoint, reader, keys) = (first, grown.archive.reader(), [key().verifier()]);
    let offer = Offer { reader: &reader, keys: &keys, checkpoint: &checkpoint, note: &note, last: None };
    let error = anchor::submit(&authority_at(&stub.url), offer).await.unwrap_err();
    assert!(error.to_string().contains("another request"), "{error}");
    grown.archive.check_records();
}

#[tokio::test]
async fn an_authority_that_gives_no_time_stamp_is_told() {
    let mut grown = Grown::new();
    grown.grow(5);
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::start(folder.path(), "sha512").await;
    let error = grown.offer(&authority_at(&authority.url), None).await.unwrap_err();
    assert!(matches!(&error, Error::Refused(text) if text.contains("SHA-256")), "{error}");
    for (status, body, words) in
        [(200, "<html>", "no time-stamp response"), (500, "", "can't answer now"), (404, "", "`url`")]
    {
        let stub = Stub::serve(move |_| (StatusCode::from_u16(status).unwrap(), body).into_response()).await;
        let error = grown.offer(&authority_at(&stub.url), None).await.unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
    grown.archive.check_records();
}
