use axum::routing::get;
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

use super::*;

/// What takes longer does not come. Where time stands still, nobody waits for it.
const NEVER: Duration = Duration::from_mins(2);
const ASKED: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";
const SLOW: &[u8] = b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n";
/// The end of each answer.
const MARK: &str = "that is all";

fn peer() -> SocketAddr {
    "203.0.113.9:4711".parse().unwrap()
}

fn routes() -> Router {
    let peer = |ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { format!("{peer}: {MARK}") };
    Router::new().route("/", get(peer))
}

fn host(encryption: Option<Arc<ServerConfig>>) -> Host {
    Host {
        router: routes(),
        encrypted: encryption.map(Encrypted::new),
        bounds: Bounds::default(),
        ending: CancellationToken::new(),
    }
}

/// Settings of a server with a certificate, and a client that trusts it.
fn certified() -> (Arc<ServerConfig>, TlsConnector) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate.der().clone()).unwrap();
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Arc::new(server), TlsConnector::from(Arc::new(client)))
}

/// An answer up to its mark; an error when the connection ends before.
async fn answer(client: &mut (impl AsyncRead + Unpin)) -> std::io::Result<String> {
    let mut text = String::new();
    let mut buffer = [0; 1024];
    while !text.ends_with(MARK) {
        match client.read(&mut buffer).await? {
            0 => return Err(ErrorKind::UnexpectedEof.into()),
            length => text.push_str(std::str::from_utf8(&buffer[..length]).unwrap()),
        }
    }
    Ok(text)
}

async fn ask(client: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> std::io::Result<String> {
    client.write_all(ASKED).await?;
    answer(client).await
}

/// Whether the other side ends it, by whatever means.
async fn is_closed(client: &mut (impl AsyncRead + Unpin)) -> bool {
    let mut rest = Vec::new();
    timeout(NEVER, client.read_to_end(&mut rest)).await.is_ok()
}

/// Lets everything else go as far as it can, on a runtime of one thread.
async fn everything_else() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

/// A connection without a socket, so that the clock can be held.
fn talk(encryption: Option<Arc<ServerConfig>>) -> (DuplexStream, JoinHandle<()>) {
    let (client, server) = duplex(1 << 16);
    (client, tokio::spawn(host(encryption).receive(server, peer())))
}

#[tokio::test(start_paused = true)]
async fn half_a_head_is_given_up_after_its_time() {
    for sent in ["", "GET / HT", "PRI * HTTP", "GET / HTTP/1.1\r\nhost: x\r\n"] {
        let (mut client, talk) = talk(None);
        let start = Instant::now();
        client.write_all(sent.as_bytes()).await.unwrap();
        assert!(is_closed(&mut client).await, "{sent:?} is waited on for ever");
        assert_eq!(start.elapsed().as_secs(), 15, "{sent:?}");
        talk.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_that_trickles_in_has_no_longer() {
    let (mut client, talk) = talk(None);
    let start = Instant::now();
    let mut trickle = b"GET / HTTP/1.1\r\nx: ".iter().chain(std::iter::repeat(&b'x'));
    // A byte each second of a clock that is held.
    while client.write_all(&[*trickle.next().unwrap()]).await.is_ok() && start.elapsed() < NEVER {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!((15..=17).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    talk.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_connection_answers_one_request_after_the_other_until_none_comes() {
    let (mut client, talk) = talk(None);
    for _ in 0..3 {
        let answer = ask(&mut client).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("203.0.113.9:4711: "), "{answer}");
        // Each has the whole time.
        tokio::time::sleep(Duration::from_secs(14)).await;
    }
    ask(&mut client).await.unwrap();
    let start = Instant::now();
    assert!(is_closed(&mut client).await);
    assert_eq!(start.elapsed().as_secs(), 15);
    talk.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_does_not_come_is_given_up_after_its_time() {
    // Nothing, and the beginning of a record.
    for sent in [&b""[..], b"\x16\x03\x01\x02\x00\x01"] {
        let (mut client, talk) = talk(Some(certified().0));
        let start = Instant::now();
        client.write_all(sent).await.unwrap();
        assert!(is_closed(&mut client).await, "{sent:?}");
        assert_eq!(start.elapsed().as_secs(), 10, "{sent:?}");
        talk.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn half_a_head_within_tls_is_given_up_too() {
    let (settings, connector) = certified();
    let (client, talk) = talk(Some(settings));
    let mut client = connector.connect(ServerName::try_from("localhost").unwrap(), client).await.unwrap();
    ask(&mut client).await.unwrap();
    let start = Instant::now();
    client.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    client.flush().await.unwrap();
    assert!(is_closed(&mut client).await);
    assert_eq!(start.elapsed().as_secs(), 15);
    talk.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn at_the_end_who_has_asked_for_nothing_is_let_go_at_once() {
    for encryption in [None, Some(certified().0)] {
        let (mut client, server) = duplex(1 << 16);
        let host = host(encryption);
        let ending = host.ending.clone();
        let talk = tokio::spawn(host.receive(server, peer()));
        everything_else().await;
        let start = Instant::now();
        ending.cancel();
        assert!(is_closed(&mut client).await);
        talk.await.unwrap();
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}

/// A listener at work.
struct Open {
    address: SocketAddr,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

impl Open {
    async fn new(router: Router, encryption: Option<Arc<ServerConfig>>, bounds: Bounds) -> Self {
        Self::with(router, encryption, bounds, |_| {}).await
    }

    async fn with(
        router: Router,
        encryption: Option<Arc<ServerConfig>>,
        bounds: Bounds,
        change: impl FnOnce(&mut Listening),
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut listening = Listening::new(listener, router, encryption, &[]).with_bounds(bounds);
        change(&mut listening);
        let stop = CancellationToken::new();
        let serving = tokio::spawn(listening.until(stop.clone().cancelled_owned()));
        Self { address, stop, serving }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// A connection on which a request was answered: a new one for each that was closed instead.
    async fn ask_until_answered(&self) -> TcpStream {
        let asked = async {
            loop {
                let mut client = self.connect().await;
                if ask(&mut client).await.is_ok() {
                    return client;
                }
            }
        };
        timeout(NEVER, asked).await.expect("nobody gets in")
    }

    /// Ends it.
    async fn close(self) {
        self.stop.cancel();
        timeout(NEVER, self.serving).await.expect("it does not end").unwrap();
    }
}

#[tokio::test]
async fn beyond_the_bound_the_next_waits_until_one_ends() {
    let open = Open::new(routes(), None, Bounds { connections: 1, ..Bounds::default() }).await;
    let mut first = open.connect().await;
    ask(&mut first).await.unwrap();
    let mut second = open.connect().await;
    second.write_all(ASKED).await.unwrap();
    everything_else().await;
    let early = second.try_read(&mut [0; 16]);
    assert_eq!(early.unwrap_err().kind(), ErrorKind::WouldBlock);
    // The first is served all the while.
    ask(&mut first).await.unwrap();
    drop(first);
    timeout(NEVER, answer(&mut second)).await.expect("it waits for ever").unwrap();
    open.close().await;
}

#[tokio::test]
async fn silent_clients_that_have_all_places_lose_them() {
    let (settings, connector) = certified();
    let bounds = Bounds { connections: 2, handshake: Duration::from_millis(100), ..Bounds::default() };
    let open = Open::new(routes(), Some(settings), bounds).await;
    let silent = (open.connect().await, open.connect().await);
    let asked = async {
        loop {
            // Our own handshake may take too long on a busy machine.
            let client = connector.connect(ServerName::try_from("localhost").unwrap(), open.connect().await).await;
            let Ok(mut client) = client else { continue };
            if let Ok(answer) = ask(&mut client).await {
                // And once more on the same one.
                ask(&mut client).await.unwrap();
                return answer;
            }
        }
    };
    let answer = timeout(NEVER, asked).await.expect("nobody gets in");
    assert!(answer.contains("127.0.0.1:"), "{answer}");
    drop(silent);
    open.close().await;
}

#[tokio::test]
async fn silent_clients_keep_nobody_out() {
    let (settings, connector) = certified();
    let bounds = Bounds { handshake: NEVER * 2, connections: 1000, ..Bounds::default() };
    let open = Open::new(routes(), Some(settings), bounds).await;
    // More than there were handshakes at once in an earlier program.
    let mut silent = Vec::new();
    for _ in 0..260 {
        silent.push(open.connect().await);
    }
    let asked = async {
        let connected = connector.connect(ServerName::try_from("localhost").unwrap(), open.connect().await).await;
        ask(&mut connected.unwrap()).await.unwrap();
    };
    timeout(NEVER, asked).await.expect("it is kept out");
    open.close().await;
    drop(silent);
}

#[tokio::test]
async fn more_connections_of_one_address_than_it_may_have_are_closed() {
    let bounds = Bounds { of_one_address: 2, ..Bounds::default() };
    let open = Open::with(routes(), None, bounds, |listening| listening.trusted.clear()).await;
    let (mut first, mut second) = (open.connect().await, open.connect().await);
    ask(&mut first).await.unwrap();
    ask(&mut second).await.unwrap();
    assert!(is_closed(&mut open.connect().await).await);
    // The others stay, and a place that is given back is another's.
    ask(&mut first).await.unwrap();
    drop(second);
    let mut third = open.ask_until_answered().await;
    ask(&mut first).await.unwrap();
    ask(&mut third).await.unwrap();
    open.close().await;
}

#[tokio::test]
async fn this_machine_and_trusted_proxies_may_have_more() {
    let this_machine = |_: &mut Listening| {};
    let proxy = |listening: &mut Listening| listening.trusted = vec![Network::parse("127.0.0.1").unwrap()];
    let changes: [fn(&mut Listening); 2] = [this_machine, proxy];
    for change in changes {
        let open = Open::with(routes(), None, Bounds { of_one_address: 1, ..Bounds::default() }, change).await;
        let mut clients = Vec::new();
        for _ in 0..5 {
            let mut client = open.connect().await;
            ask(&mut client).await.unwrap();
            clients.push(client);
        }
        open.close().await;
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxies = [Network::parse("10.0.0.0/8").unwrap()];
    let trusted = Listening::new(listener, routes(), None, &proxies).trusted;
    for (address, may) in [
        ("127.0.0.1", true),
        ("127.1.2.3", true),
        ("::1", true),
        ("::ffff:127.0.0.1", true),
        ("10.9.8.7", true),
        ("192.0.2.1", false),
        ("2001:db8::1", false),
    ] {
        let address: IpAddr = address.parse().unwrap();
        assert_eq!(trusted.iter().any(|network| network.contains(address)), may, "{address}");
    }
}

#[test]
fn who_goes_makes_room_for_another_of_the_same_address() {
    let crowd = Crowd::default();
    let [one, mapped, other] =
        ["192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"].map(|text| text.parse::<IpAddr>().unwrap());
    let first = crowd.enter(one, 2).unwrap();
    let second = crowd.enter(mapped, 2).unwrap();
    assert!(crowd.enter(one, 2).is_none() && crowd.enter(mapped, 2).is_none());
    let third = crowd.enter(other, 2).unwrap();
    drop(first);
    let fourth = crowd.enter(mapped, 2).unwrap();
    assert!(crowd.enter(one, 2).is_none());
    drop((second, third, fourth));
    assert!(crowd.0.lock().unwrap().is_empty(), "addresses are remembered for ever");
}

/// Routes of which one answers only when it is let; what lets it, and what tells that it was asked.
fn slow() -> (Router, Arc<Semaphore>, Arc<Notify>) {
    let (gate, entered) = (Arc::new(Semaphore::new(0)), Arc::new(Notify::new()));
    let (gated, enters) = (Arc::clone(&gate), Arc::clone(&entered));
    let wait = move || {
        let gate = Arc::clone(&gated);
        enters.notify_one();
        async move {
            drop(gate.acquire().await);
            MARK
        }
    };
    (routes().route("/slow", get(wait)), gate, entered)
}

#[tokio::test]
async fn at_the_end_what_was_asked_is_answered_and_nobody_else_gets_in() {
    let (router, gate, entered) = slow();
    let open = Open::new(router, None, Bounds { ending: NEVER * 2, ..Bounds::default() }).await;
    let (mut idle, mut asking) = (open.connect().await, open.connect().await);
    ask(&mut idle).await.unwrap();
    asking.write_all(SLOW).await.unwrap();
    entered.notified().await;
    open.stop.cancel();
    let refused = async { while TcpStream::connect(open.address).await.is_ok() {} };
    timeout(NEVER, refused).await.expect("it listens on");
    assert!(is_closed(&mut idle).await);
    gate.add_permits(1);
    let answer = timeout(NEVER, answer(&mut asking)).await.expect("no answer").unwrap();
    assert!(answer.contains("connection: close"), "{answer}");
    open.close().await;
}

#[tokio::test]
async fn what_does_not_end_in_time_is_cut_off() {
    let (router, _gate, entered) = slow();
    let bounds = Bounds { ending: Duration::from_millis(20), head: NEVER * 2, ..Bounds::default() };
    let open = Open::new(router, None, bounds).await;
    let (mut half, mut asking) = (open.connect().await, open.connect().await);
    half.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    asking.write_all(SLOW).await.unwrap();
    entered.notified().await;
    everything_else().await;
    open.close().await;
    for client in [&mut half, &mut asking] {
        assert!(is_closed(client).await);
    }
}
