//! The end of a server that clients hold on to: its access log is signed all the same.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use teamchat_archive::app::{self, NewArchive};
use teamchat_archive::config::Environment;
use teamchat_archive::model::{Clock, Zone};
use teamchat_archive::sandbox::{self, story};
use teamchat_archive::store::{AccessLog, Side, VisitFilter};
use teamchat_archive::web::{Bounds, Listening, Web, router};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// What takes longer does not come.
const NEVER: Duration = Duration::from_mins(5);

/// Answer to a try to sign in with a name that nobody has.
async fn try_to_sign_in(address: SocketAddr) -> String {
    let form = "username=eve&password=a%20guess%20of%20hers";
    let head =
        "POST /login HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-www-form-urlencoded\r\nconnection: close";
    let mut client = TcpStream::connect(address).await.unwrap();
    let request = format!("{head}\r\ncontent-length: {}\r\n\r\n{form}", form.len());
    client.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    answer
}

/// How many entries there are, and over how many the newest checkpoint was signed.
fn sizes(log: &AccessLog) -> (u64, u64) {
    let newest = log.listed(&VisitFilter::default(), Side::Before(u64::MAX), 1).unwrap();
    let signed = log.newest_checkpoint().unwrap();
    (newest.first().map_or(0, |entry| entry.number + 1), signed.map_or(0, |(checkpoint, _)| checkpoint.size))
}

#[tokio::test]
async fn half_a_request_does_not_keep_the_server_from_ending_nor_the_access_log_from_being_signed() {
    let folder = tempfile::tempdir().unwrap();
    let running = sandbox::start(story::seed(), sandbox::Options::default()).await.unwrap();
    let new = NewArchive {
        root: &folder.path().join("archive"),
        server: &running.url,
        pin: None,
        ca: None,
        keys_dir: Some(folder.path().join("keys")),
    };
    let archive = app::create(&new, &Environment::default(), &Clock::System).await.unwrap();
    let (access, signer) = archive.open_access().unwrap();
    let log = access.log().clone();
    let web = Web::new(archive.reader.clone(), access, Zone::UTC, Clock::System).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // Only the end of its patience ends it.
    let bounds = Bounds { head: NEVER * 2, ending: Duration::from_millis(50), ..Bounds::default() };
    let listening = Listening::new(listener, router(Arc::new(web)), None, &[]).with_bounds(bounds);
    let stop = CancellationToken::new();
    let serving = tokio::spawn(signer.unwrap().during(listening.until(stop.clone().cancelled_owned())));

    let mut half = TcpStream::connect(address).await.unwrap();
    half.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n").await.unwrap();
    // It came later and is answered: the half was read before.
    let answer = try_to_sign_in(address).await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    let (entries, signed) = sizes(&log);
    assert!(entries > signed, "{signed} of {entries} entries are signed before the end");

    stop.cancel();
    tokio::time::timeout(NEVER, serving).await.expect("it does not end").unwrap();
    assert_eq!(sizes(&log), (entries, entries));
    let mut rest = Vec::new();
    drop(tokio::time::timeout(NEVER, half.read_to_end(&mut rest)).await.expect("it is held on to"));
    assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&rest));
}
