//! Transfers that break: each is taken up where it broke off, begins again where nothing proves that
//! the rest belongs to what came, and is owed when the server gives nothing. What is stored is what
//! the server has, byte for byte.

use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures_util::stream::{self, StreamExt as _};
use teamchat_archive::api::{self, Connection};
use teamchat_archive::crawl::{Account, Options};
use teamchat_archive::model::Digest;
use teamchat_archive::record::Kind;
use teamchat_archive::sandbox::seed::Content;
use teamchat_archive::sandbox::{self, Fault};

use crate::crawl::seed;
use crate::stub::{Asked, Stub};
use crate::support::{TestArchive, account, assert_is_truth, quick};

/// Bytes of the file that a stub has.
const SIZE: usize = 100_000;
/// How many of them come before a transfer breaks.
const HALF: usize = 60_000;
/// A try that brings less than 16 KiB counts as one that brings nothing.
const PIECE: usize = 20_000;

/// The file's content: no stretch of it is like another.
fn content() -> Bytes {
    (0..SIZE).map(|at| u8::try_from((at * at + at / 251) % 251).unwrap()).collect::<Vec<u8>>().into()
}

/// Another content of the same length.
fn other_content() -> Bytes {
    content().iter().map(|byte| byte ^ 1).collect::<Vec<u8>>().into()
}

/// The byte from which on a request wants the file.
fn wanted(asked: &Asked) -> usize {
    let range = asked.headers.get("range").map(|range| range.to_str().unwrap().to_owned());
    range.map_or(0, |range| range.strip_prefix("bytes=").unwrap().strip_suffix('-').unwrap().parse().unwrap())
}

fn reply(status: u16, headers: &[(&str, &str)], body: Body) -> Response {
    let mut response = Response::builder().status(status).header("content-type", "application/octet-stream");
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.header("content-disposition", "attachment").body(body).unwrap()
}

/// A body that breaks off after `bytes`.
fn cut(bytes: Bytes) -> Body {
    let broken = stream::once(async {
        // While this waits the server sends what it has.
        tokio::task::yield_now().await;
        Err(std::io::Error::other("the connection is cut on purpose"))
    });
    Body::from_stream(stream::iter([Ok(bytes)]).chain(broken))
}

/// The file from a request's first byte on, `count` bytes of it, as a server with this tag says it.
fn tagged(asked: &Asked, tag: &str, content: Bytes, count: usize) -> Response {
    let first = wanted(asked);
    let length = (SIZE - first).to_string();
    let range = format!("bytes {first}-{}/{SIZE}", SIZE - 1);
    let end = (first + count).min(SIZE);
    let body = if end == SIZE { Body::from(content.slice(first..)) } else { cut(content.slice(first..end)) };
    let headers = [("etag", tag), ("content-length", length.as_str()), ("content-range", range.as_str())];
    if first == 0 { reply(200, &headers[..2], body) } else { reply(206, &headers, body) }
}

fn half(asked: &Asked) -> Response {
    tagged(asked, "\"one\"", content(), HALF)
}

fn rest(asked: &Asked) -> Response {
    tagged(asked, "\"one\"", content(), SIZE)
}

fn piece(asked: &Asked) -> Response {
    tagged(asked, "\"one\"", content(), PIECE)
}

fn half_with_weak_tag(asked: &Asked) -> Response {
    tagged(asked, "W/\"one\"", content(), HALF)
}

fn rest_of_another(asked: &Asked) -> Response {
    tagged(asked, "\"two\"", other_content(), SIZE)
}

fn half_with_a_date(_: &Asked) -> Response {
    let length = SIZE.to_string();
    let headers = [("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"), ("content-length", length.as_str())];
    reply(200, &headers, cut(content().slice(..HALF)))
}

fn half_without_validator(_: &Asked) -> Response {
    reply(200, &[("content-length", &SIZE.to_string())], cut(content().slice(..HALF)))
}

/// All bytes, and then the connection breaks: their number was not announced.
fn all_but_the_end(_: &Asked) -> Response {
    reply(200, &[("etag", "\"one\"")], cut(content()))
}

fn whole(_: &Asked) -> Response {
    reply(200, &[("etag", "\"one\"")], Body::from(content()))
}

fn whole_of_another(_: &Asked) -> Response {
    reply(200, &[("etag", "\"two\"")], Body::from(other_content()))
}

fn from_a_wrong_byte(asked: &Asked) -> Response {
    let first = wanted(asked) + 1;
    let range = format!("bytes {first}-{}/{SIZE}", SIZE - 1);
    reply(206, &[("etag", "\"one\""), ("content-range", &range)], Body::from(content().slice(first..)))
}

fn of_a_wrong_length(asked: &Asked) -> Response {
    let first = wanted(asked);
    let range = format!("bytes {first}-{}/{}", SIZE - 1, SIZE + 1);
    reply(206, &[("etag", "\"one\""), ("content-range", &range)], Body::from(content().slice(first..)))
}

fn nothing_there(_: &Asked) -> Response {
    reply(416, &[("content-range", &format!("bytes */{SIZE}"))], Body::empty())
}

fn nothing_there_of_less(_: &Asked) -> Response {
    reply(416, &[("content-range", "bytes */7")], Body::empty())
}

/// An error as the vendor's server sends it: with status 200 and as a page.
fn error_page(_: &Asked) -> Response {
    let body = r#"{"ok":false,"error":"ticket_expired"}"#;
    Response::builder().header("content-type", "text/html; charset=utf-8").body(Body::from(body)).unwrap()
}

fn refused(_: &Asked) -> Response {
    reply(403, &[], Body::empty())
}

fn broken_at_once(_: &Asked) -> Response {
    reply(200, &[("content-length", &SIZE.to_string())], cut(Bytes::new()))
}

type Answer = fn(&Asked) -> Response;

/// A server with one channel and one file in it, whose bytes it gives as it is told: each request
/// for them gets the next answer, those after the last the last one.
struct Shelf {
    stub: Stub,
    /// `Range` and `If-Range` of each request for the bytes, and the ticket it came with.
    asked: Arc<Mutex<Vec<(String, String, String)>>>,
}

impl Shelf {
    /// `version` is told how often the bytes were asked for, and gives the edit counter.
    async fn start(size: usize, answers: &'static [Answer], version: fn(usize) -> usize) -> Self {
        let asked: Arc<Mutex<Vec<(String, String, String)>>> = Arc::default();
        let log = Arc::clone(&asked);
        let stub = Stub::serve(move |request| {
            let mut log = log.lock().unwrap();
            if request.method == "files.download" {
                let header = |name: &str| {
                    request.headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
                };
                log.push((header("range"), header("if-range"), request.parameters["ticket"].clone()));
                return answers[log.len().min(answers.len()) - 1](request);
            }
            let counter = version(log.len());
            let file = format!(
                r#"{{"id":"4a74599400a5","name":"plan.bin","created":1490000050,"timestamp":1490000050,"size":{size},"comments_count":0,"channels":["QQ=="],"url_private":"files.download?ticket=t{}&editcounter={counter}"}}"#,
                log.len()
            );
            let body = match request.method.as_str() {
                "auth.test" => r#"{"user":"a@t.com","user_id":"a@t.com","url":"/","ok":true}"#.to_owned(),
                "users.list" => r#"{"members":[],"cache_ts":"1.000000","ok":true}"#.to_owned(),
                "channels.list" => {
                    r#"{"channels":[{"id":"QQ==","name":"quay","is_member":true,"num_members":0,"members":[]}],"ok":true}"#
                        .to_owned()
                }
                "im.list" => r#"{"ims":[],"ok":true}"#.to_owned(),
                "files.list" => format!(
                    r#"{{"files":[{file}],"paging":{{"count":100,"total":1,"page":1,"pages":1}},"ok":true}}"#
                ),
                "files.info" => format!(
                    r#"{{"file":{file},"comments":[],"paging":{{"count":0,"total":0,"page":1,"pages":0}},"ok":true}}"#
                ),
                "pins.list" => r#"{"items":[],"ok":true}"#.to_owned(),
                "channels.history" => r#"{"messages":[],"has_more":false,"ok":true}"#.to_owned(),
                _ => r#"{"ok":false,"error":"message_not_found"}"#.to_owned(),
            };
            Response::builder().header("content-type", "application/json").body(Body::from(body)).unwrap()
        })
        .await;
        Self { stub, asked }
    }

    fn account(&self) -> Account {
        let connection = Arc::new(Connection::new(&self.stub.url, &quick()).unwrap());
        Account {
            name: "a@t.com".to_owned(),
            user_id: "a@t.com".to_owned(),
            reader: api::Reader::new(connection, "t".to_owned().into()),
        }
    }

    /// The first bytes that were asked for, and the tickets: each request has one of its own.
    fn firsts(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        for (number, (_, _, ticket)) in asked.iter().enumerate() {
            assert_eq!(*ticket, format!("t{number}"), "a fresh ticket for each try");
        }
        asked.iter().map(|(range, _, _)| range.clone()).collect()
    }
}

/// The digests of what an archive stores.
fn stored(archive: &TestArchive) -> Vec<Digest> {
    archive.reader().blobs().unwrap().into_iter().map(|(digest, _)| digest).collect()
}

fn file_debts(archive: &TestArchive) -> Vec<String> {
    let debts = archive.reader().debts().unwrap().into_iter().filter(|debt| debt.kind == "file");
    debts.map(|debt| debt.reason).collect()
}

/// Crawls a shelf that gives these answers; it is asked for these ranges, and `expected` is stored.
async fn check(what: &str, size: usize, answers: &'static [Answer], ranges: &[&str], expected: Option<&[u8]>) -> Shelf {
    let shelf = Shelf::start(size, answers, |_| 1).await;
    let archive = TestArchive::in_memory(&shelf.stub.url);
    let summary = archive.crawl(&shelf.account(), &Options::default()).await.unwrap();
    assert_eq!(shelf.firsts(), ranges, "{what}: the ranges asked for; {summary:?}");
    let expected: Vec<Digest> = expected.into_iter().map(Digest::of).collect();
    assert_eq!(stored(&archive), expected, "{what}: {summary:?}");
    assert_eq!(file_debts(&archive).is_empty(), !expected.is_empty(), "{what}: {summary:?}");
    archive.check();
    shelf
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_transfer_goes_on_where_it_broke_off() {
    let file = content();
    let on = "bytes=60000-";
    let shelf = check("a rest", SIZE, &[half, rest], &["", on], Some(&file)).await;
    assert_eq!(shelf.asked.lock().unwrap()[1].1, "\"one\"");
    let shelf = check("a date", SIZE, &[half_with_a_date, rest], &["", on], Some(&file)).await;
    assert_eq!(shelf.asked.lock().unwrap()[1].1, "Sun, 06 Nov 1994 08:49:37 GMT");
    check("an error page for the rest", SIZE, &[half, error_page, rest], &["", on, on], Some(&file)).await;
    check("a refusal of the rest", SIZE, &[half, refused, rest], &["", on, on], Some(&file)).await;
    check("nothing for the rest", SIZE, &[half, broken_at_once, rest], &["", on, on], Some(&file)).await;
    let all = ["", "bytes=100000-"];
    check("all but its end", SIZE, &[all_but_the_end, nothing_there], &all, Some(&file)).await;
    let pieces = ["", "bytes=20000-", "bytes=40000-", "bytes=60000-", "bytes=80000-"];
    check("five pieces", SIZE, &[piece], &pieces, Some(&file)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_begins_again_where_nothing_proves_that_the_rest_belongs_to_it() {
    let (file, other) = (content(), other_content());
    let again = ["", "bytes=60000-", ""];
    check("a part from a wrong byte", SIZE, &[half, from_a_wrong_byte, whole], &again, Some(&file)).await;
    check("a part of a wrong length", SIZE, &[half, of_a_wrong_length, whole], &again, Some(&file)).await;
    check("a part of another content", SIZE, &[half, rest_of_another, whole], &again, Some(&file)).await;
    check("nothing there, of less", SIZE, &[half, nothing_there_of_less, whole], &again, Some(&file)).await;
    let answered_whole = ["", "bytes=60000-"];
    check("the whole again", SIZE, &[half, whole], &answered_whole, Some(&file)).await;
    check("the whole of another", SIZE, &[half, whole_of_another], &answered_whole, Some(&other)).await;
    let never_asked = ["", ""];
    check("a weak tag", SIZE, &[half_with_weak_tag, whole], &never_asked, Some(&file)).await;
    check("no validator", SIZE, &[half_without_validator, whole], &never_asked, Some(&file)).await;
    check("another length than files.info says", SIZE, &[empty, whole], &never_asked, Some(&file)).await;
}

fn empty(_: &Asked) -> Response {
    reply(200, &[("etag", "\"none\""), ("content-length", "0")], Body::empty())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_file_is_a_file() {
    check("an empty file", 0, &[empty], &[""], Some(b"")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_gives_nothing_is_given_up_and_the_file_owed() {
    check("nothing at all", SIZE, &[broken_at_once], &[""; 8], None).await;
    check("always an error page", SIZE, &[error_page], &[""; 8], None).await;
    // The first try brings something, the others nothing that is new.
    check("always the same half", SIZE, &[half_without_validator], &[""; 9], None).await;
    let mut stuck = vec![""];
    stuck.resize(9, "bytes=60000-");
    check("a rest that never comes", SIZE, &[half, refused], &stuck, None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_try_is_as_good_as_the_first() {
    let mut answers: Vec<Answer> = vec![broken_at_once; 7];
    answers.push(whole);
    check("bytes at the eighth try", SIZE, answers.leak(), &[""; 8], Some(&content())).await;
}

fn later(_: &Asked) -> Response {
    reply(429, &[], Body::empty())
}

fn much_later(_: &Asked) -> Response {
    reply(429, &[("retry-after", "3600")], Body::empty())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_asks_for_pauses_is_waited_for_and_no_try_is_used_up() {
    let file = content();
    let answers: &[Answer] = &[half, later, later, later, later, later, rest];
    let on = "bytes=60000-";
    let shelf = Shelf::start(SIZE, answers, |_| 1).await;
    let archive = TestArchive::in_memory(&shelf.stub.url);
    archive.crawl(&shelf.account(), &Options::default()).await.unwrap();
    // A pause asks for no new ticket.
    let asked: Vec<(String, String)> =
        shelf.asked.lock().unwrap().iter().map(|(range, _, ticket)| (range.clone(), ticket.clone())).collect();
    let mut expected = vec![("".to_owned(), "t0".to_owned())];
    expected.extend(std::iter::repeat_n((on.to_owned(), "t1".to_owned()), 6));
    assert_eq!(asked, expected);
    assert_eq!((stored(&archive), file_debts(&archive)), (vec![Digest::of(&file)], Vec::new()));
    archive.check();
}

#[tokio::test(start_paused = true)]
async fn a_server_that_asks_for_nothing_but_pauses_is_given_up_after_an_hour() {
    let shelf = Shelf::start(SIZE, &[much_later], |_| 1).await;
    let archive = TestArchive::in_memory(&shelf.stub.url);
    archive.crawl(&shelf.account(), &Options::default()).await.unwrap();
    assert_eq!(shelf.asked.lock().unwrap().len(), 2, "the first pause is waited for, the second is one too many");
    assert_eq!(file_debts(&archive), ["the server asks for a pause of 3600 s, again and again"]);
    archive.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_replaced_while_it_is_fetched_is_archived_as_it_is_afterwards() {
    let shelf = Shelf::start(SIZE, &[half, whole_of_another], |asked| asked.min(1)).await;
    let archive = TestArchive::in_memory(&shelf.stub.url);
    let summary = archive.crawl(&shelf.account(), &Options::default()).await.unwrap();
    assert_eq!(shelf.firsts(), ["", ""], "nothing is built upon the version before; {summary:?}");
    assert_eq!(stored(&archive), [Digest::of(&other_content())]);
    let (_, file) = archive.newest(Kind::File).pop_first().unwrap();
    let contents: Vec<usize> = file.versions.iter().map(|version| version.record.header.attachments.len()).collect();
    assert_eq!(contents, [0, 1], "what was seen of the version before is kept without its bytes");
    assert_eq!(file_debts(&archive), Vec::<String>::new());
    archive.check();

    let shelf = Shelf::start(SIZE, &[half], |asked| asked).await;
    let archive = TestArchive::in_memory(&shelf.stub.url);
    archive.crawl(&shelf.account(), &Options::default()).await.unwrap();
    let owed = file_debts(&archive);
    assert!(owed.len() == 1 && owed[0].contains("replaced on the server again and again"), "{owed:?}");
    assert_eq!(stored(&archive), []);
    archive.check();
}

/// The sandbox's faults, on a file that comes in many parts: what came once is not fetched again.
#[tokio::test(flavor = "multi_thread")]
async fn no_fault_of_the_sandbox_makes_a_file_come_twice() {
    const LARGE: u64 = 3 << 20;
    for (fault, rate) in
        [(Fault::ResetMidBody, 0.6), (Fault::Reset, 0.5), (Fault::SlowTrickle, 0.1), (Fault::TicketExpiry, 0.6)]
    {
        let running = sandbox::start(seed(9), sandbox::Options::default()).await.unwrap();
        let (file, _) = running
            .workspace()
            .upload_content("dock", "bob@harbour.example", "large.bin", Content::Generated { size: LARGE, seed: 5 })
            .unwrap();
        let archive = TestArchive::in_memory(&running.url);
        let account = account(&running).await;
        running.set_fault(fault, rate);
        // One request after another: the same number of the sandbox's dice for each, in every run.
        let summary = archive.crawl(&account, &Options { connections: 1, ..Options::default() }).await.unwrap();
        running.set_fault(fault, 0.0);
        let truth = running.workspace().file_truth().unwrap().into_iter().find(|known| known.file == file).unwrap();
        let digests: Vec<String> = stored(&archive).iter().map(Digest::to_string).collect();
        assert!(digests.contains(&truth.versions[0]), "{fault:?}: the large file is stored: {summary:?}");
        let received = summary.bytes_received;
        assert!(received < LARGE + LARGE / 20, "{fault:?}: {received} bytes came of a file of {LARGE}: {summary:?}");
        archive.crawl(&account, &Options { full: true, ..Options::default() }).await.unwrap();
        assert_is_truth(&archive, &running, &account, &format!("{fault:?}")).await;
        running.stop().await;
    }
}
