use std::fmt;
use std::future::poll_fn;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::header;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as Broken, Message};
use url::Url;

use super::error::Error;
use super::meaning::kind;
use super::reader::Reader;
use super::transport::{Connection, innermost};
use crate::model::{Clock, UtcTime, json};

/// The longest event that is taken. Four bytes for each character of the longest message that is
/// known (40,000) fit many times.
const MAX_EVENT_BYTES: usize = 4 << 20;
/// What waits to be sent is pings and answers to pings.
const MAX_UNSENT_BYTES: usize = 64 << 10;
/// How much of what a server says of an error is repeated, and how long a word of it may be: an
/// address or a token is longer.
const MAX_REASON_CHARS: usize = 200;
const MAX_REASON_WORD_CHARS: usize = 24;

/// When a silent connection is asked whether it lives, and when it is given up (protocol notes
/// (b) 9).
const PING_AFTER: Duration = Duration::from_secs(10);
const GIVE_UP_AFTER: Duration = Duration::from_secs(30);
const HELLO_WITHIN: Duration = Duration::from_secs(30);
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

/// How long a [`Socket`] waits for what.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// A ping is sent when nothing was sent for so long.
    pub ping_after: Duration,
    /// The connection is given up when nothing at all came for so long.
    pub give_up_after: Duration,
    /// The greeting comes so soon after the connection.
    pub hello_within: Duration,
    /// Saying good-bye takes no longer.
    pub close_within: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            ping_after: PING_AFTER,
            give_up_after: GIVE_UP_AFTER,
            hello_within: HELLO_WITHIN,
            close_within: CLOSE_WITHIN,
        }
    }
}

/// Something that the server told, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The exact text; bytes, when the server sent bytes.
    pub bytes: Vec<u8>,
    /// Its `type`; empty when it has none that can be read.
    pub kind: String,
    /// When its last byte came.
    pub received_at: UtcTime,
}

/// Whether events of this kind say nothing of what an archive holds: the protocol's own, who is
/// online or typing, and `reconnect_url`, which is a secret besides. A [`Socket`] drops them.
pub fn is_noise(kind: &str) -> bool {
    matches!(
        kind,
        "hello"
            | "pong"
            | "presence_change"
            | "manual_presence_change"
            | "presence_query"
            | "presence_sub"
            | "user_typing"
            | "typing"
            | "reconnect_url"
    )
}

/// A real-time connection of one account. It only listens: what it sends is pings.
///
/// What it tells is a hint with no claim to be complete (protocol notes 6.7): events may be lost,
/// come twice or in another order, and whatever happened while there was no connection is never
/// told. Nothing is read from the network but by [`Socket::next`], one event at a time, so a slow
/// caller slows the server and never grows memory.
pub struct Socket {
    stream: WebSocketStream<reqwest::Upgraded>,
    host: String,
    clock: Clock,
    pace: Pace,
    heard_at: Instant,
    pinged_at: Instant,
    polled_at: Instant,
    pings: u64,
    /// An event that came where the greeting was due.
    early: Option<Event>,
    ended: Option<Error>,
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").field("host", &self.host).field("ended", &self.ended).finish_non_exhaustive()
    }
}

impl Socket {
    /// Asks for an address with `rtm.start`, connects, and waits for the greeting. Events since
    /// the answer of `rtm.start` are told first. While it is open, the account appears online.
    pub async fn open(reader: &Reader, pace: Pace) -> Result<Self, Error> {
        Self::open_at(reader.connection(), &reader.rtm_start().await?, pace).await
    }

    /// The same at an address that [`Reader::rtm_start`] gave. It is good for one use.
    pub async fn open_at(connection: &Connection, url: &SecretString, pace: Pace) -> Result<Self, Error> {
        let stream = upgraded(connection, socket_url(connection, url)?).await?;
        let config = WebSocketConfig::default()
            .write_buffer_size(0)
            .max_write_buffer_size(MAX_UNSENT_BYTES)
            .max_message_size(Some(MAX_EVENT_BYTES))
            .max_frame_size(Some(MAX_EVENT_BYTES));
        let now = Instant::now();
        let mut socket = Self {
            stream: WebSocketStream::from_raw_socket(stream, Role::Client, Some(config)).await,
            host: connection.host(),
            clock: connection.clock().clone(),
            pace,
            heard_at: now,
            pinged_at: now,
            polled_at: now,
            pings: 0,
            early: None,
            ended: None,
        };
        let greeted = timeout(pace.hello_within, socket.greeting()).await;
        greeted.unwrap_or_else(|_| Err(socket.end("it did not greet")))?;
        Ok(socket)
    }

    async fn greeting(&mut self) -> Result<(), Error> {
        loop {
            match self.receive().await? {
                Some(event) if event.kind == "hello" => return Ok(()),
                Some(event) if event.kind == "error" => {
                    return Err(self.end(&format!("the server says `{}`", reason(&event.bytes))));
                }
                // A server that does not greet has been heard all the same.
                Some(event) if !is_noise(&event.kind) => {
                    self.early = Some(event);
                    return Ok(());
                }
                _ => {}
            }
        }
    }

    /// Waits for the next event that is no noise, unknown kinds and broken JSON included, and
    /// keeps the connection alive meanwhile. May be dropped at any time: no event is lost by it.
    /// After an error the connection is over, and the same error comes again.
    pub async fn next(&mut self) -> Result<Event, Error> {
        if let Some(event) = self.early.take() {
            return Ok(event);
        }
        // Nobody polled for a while: that silence is the caller's and not the server's.
        if self.polled_at.elapsed() > self.pace.ping_after * 2 {
            self.heard_at = Instant::now();
        }
        loop {
            if let Some(ended) = &self.ended {
                return Err(ended.clone());
            }
            match self.receive().await {
                Ok(Some(event)) if event.kind == "team_migration_started" => {
                    self.ended = Some(self.end("the server moves its data"));
                    return Ok(event);
                }
                Ok(Some(event)) if !is_noise(&event.kind) && !is_answer(&event) => return Ok(event),
                Ok(_) => {}
                Err(error) => self.ended = Some(error),
            }
        }
    }

    /// Says good-bye, and waits for the server's for a while. What it tells meanwhile is not read.
    pub async fn close(mut self) {
        let farewell = async {
            if self.stream.close(None).await.is_ok() {
                while let Some(Ok(_)) = self.stream.next().await {}
            }
        };
        let _late = timeout(self.pace.close_within, farewell).await;
    }

    /// The next message, or nothing when it was none for us or time to look at the clock.
    async fn receive(&mut self) -> Result<Option<Event>, Error> {
        let now = Instant::now();
        let give_up_at = self.heard_at + self.pace.give_up_after;
        // A ping that is due goes out in this very poll, and the next is due so much later.
        let due = self.pinged_at + self.pace.ping_after;
        let next_look = if due > now { due } else { now + self.pace.ping_after };
        // The stream is polled before the time is: what has come is never taken for silence.
        let came = timeout_at(give_up_at.min(next_look), poll_fn(|context| self.poll(context))).await;
        let message = match came {
            Ok(Some(Ok(message))) => message,
            Ok(Some(Err(error))) => return Err(self.end(&described(&error))),
            Ok(None) => return Err(self.end("the server closed it")),
            Err(_) if Instant::now() >= give_up_at => {
                let seconds = self.pace.give_up_after.as_secs();
                return Err(self.end(&format!("nothing came for {seconds} s")));
            }
            Err(_) => return Ok(None),
        };
        self.heard_at = Instant::now();
        let bytes = match message {
            Message::Text(text) => text.as_str().as_bytes().to_vec(),
            Message::Binary(bytes) => bytes.to_vec(),
            Message::Close(_) => return Err(self.end("the server closed it")),
            // Pings are answered by the protocol's machine, which [`Self::poll`] keeps going.
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => return Ok(None),
        };
        Ok(Some(Event { kind: kind(&bytes).unwrap_or_default(), bytes, received_at: self.clock.now() }))
    }

    /// Sends what is to be sent and reads what has come. All state is in `self`, so a future that
    /// is dropped between two polls loses nothing.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Message, Broken>>> {
        let written = self.poll_write(context);
        match (self.stream.poll_next_unpin(context), written) {
            // What came before the line broke is read first.
            (Poll::Pending, Err(error)) => Poll::Ready(Some(Err(error))),
            (polled, _) => polled,
        }
    }

    fn poll_write(&mut self, context: &mut Context<'_>) -> Result<(), Broken> {
        self.polled_at = Instant::now();
        let is_due = self.polled_at.duration_since(self.pinged_at) >= self.pace.ping_after;
        if is_due && let Poll::Ready(ready) = self.stream.poll_ready_unpin(context) {
            ready?;
            self.pings += 1;
            self.pinged_at = self.polled_at;
            let ping = format!(r#"{{"id":{},"type":"ping"}}"#, self.pings);
            self.stream.start_send_unpin(Message::text(ping))?;
        }
        match self.stream.poll_flush_unpin(context) {
            Poll::Ready(Err(error)) => Err(error),
            Poll::Ready(Ok(())) | Poll::Pending => Ok(()),
        }
    }

    fn end(&self, detail: &str) -> Error {
        disconnected(&self.host, detail)
    }
}

fn disconnected(host: &str, detail: &str) -> Error {
    Error::Disconnected { host: host.to_owned(), detail: detail.to_owned() }
}

/// Whether this is what the server says to a ping and not something that happened.
fn is_answer(event: &Event) -> bool {
    event.kind.is_empty()
        && event.bytes.trim_ascii_start().first() == Some(&b'{')
        && json::member(&event.bytes, "reply_to").is_some()
}

fn described(error: &Broken) -> String {
    match error {
        Broken::Capacity(_) => format!("an event is larger than {} MiB", MAX_EVENT_BYTES >> 20),
        other => other.to_string(),
    }
}

/// The `msg` of an error event, `{"error":{"code":…,"msg":…}}` or flat, as far as it is safe to
/// repeat: it may quote the address.
fn reason(event: &[u8]) -> String {
    let inner = json::member(event, "error").map_or(event, |range| &event[range]);
    let told = json::member_text(inner, "msg").or_else(|| json::member_text(event, "msg"));
    let told = told.unwrap_or_default();
    let words = told.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let may_be_secret = |word: &str| word.contains('/') || word.chars().count() > MAX_REASON_WORD_CHARS;
    let words: Vec<&str> = words.map(|word| if may_be_secret(word) { "…" } else { word }).collect();
    let said: String = words.join(" ").chars().take(MAX_REASON_CHARS).collect();
    if said.is_empty() { "error".to_owned() } else { said }
}

/// Where the socket is, for the HTTP client. The address is taken as given, but never to another
/// host, nor in clear when the API is asked over TLS, as the sample in the reference would have it
/// (protocol notes, row 31). A server that writes its own name short, or without its port, is
/// reached at the configured address (row 37).
fn socket_url(connection: &Connection, given: &SecretString) -> Result<Url, Error> {
    let refused = |detail: &str| Error::Broken { method: "rtm.start".to_owned(), detail: detail.to_owned() };
    let base = connection.base();
    // What the parser says may quote the address.
    let url = base.join(given.expose_secret()).map_err(|_| refused("its url is none"))?;
    let is_private = match url.scheme() {
        "wss" | "https" => true,
        "ws" | "http" => false,
        _ => return Err(refused("its url is of another kind than ws and wss")),
    };
    let is_same_host = url.host_str() == base.host_str();
    if !is_same_host && !connection.is_short_name(&url) {
        let detail = format!("its url is on another host ({})", url.host_str().unwrap_or_default());
        return Err(refused(&detail));
    }
    let mut own = base.clone();
    own.set_path(url.path());
    own.set_query(url.query());
    let is_stricter = is_private && base.scheme() == "http";
    if is_stricter {
        let secured = own.set_scheme("https").and_then(|()| own.set_port(url.port()));
        secured.map_err(|()| refused("its url is none"))?;
    } else if url.port().is_some() && url.port() != base.port_or_known_default() {
        return Err(refused(&format!("its url is on another port ({})", url.port().unwrap_or_default())));
    }
    Ok(own)
}

/// Asks over the connection's own HTTP client for the protocol to be changed (RFC 6455 section 4),
/// so that exactly the certificates, the proxy and the pace of all other calls hold here too. A
/// proxy is asked for a tunnel when the server is asked over TLS; in clear it has to pass the
/// change of protocol on.
async fn upgraded(connection: &Connection, url: Url) -> Result<reqwest::Upgraded, Error> {
    let key = generate_key();
    let request = connection
        .http()
        .get(url)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_KEY, &key);
    let _permit = connection.limiter().enter().await;
    connection.meter().requests.fetch_add(1, Ordering::Relaxed);
    let start = Instant::now();
    let unreachable = |detail: &str| connection.unreachable(detail, 1, start.elapsed());
    let handshake = async {
        let response = match request.send().await.map_err(reqwest::Error::without_url) {
            Ok(response) => response,
            Err(error) => {
                let untrusted = connection.untrusted(&error).await;
                return Err(untrusted.unwrap_or_else(|| unreachable(&innermost(&error))));
            }
        };
        let status = response.status();
        if status.as_u16() == 429 {
            let wait = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
            connection.limiter().pause(connection.patience().pause(wait));
            return Err(unreachable("the real-time address asks for a pause"));
        }
        let accepted = response.headers().get(header::SEC_WEBSOCKET_ACCEPT);
        if status.as_u16() != 101
            || accepted.is_none_or(|value| value.as_bytes() != derive_accept_key(key.as_bytes()).as_bytes())
        {
            return Err(disconnected(&connection.host(), &format!("its address is no WebSocket ({status})")));
        }
        response.upgrade().await.map_err(|error| unreachable(&innermost(&error.without_url())))
    };
    let done = timeout(connection.patience().request, handshake).await;
    done.unwrap_or_else(|_| Err(unreachable("the real-time address does not answer")))
}

#[cfg(test)]
mod tests {
    use super::super::transport::ServerOptions;
    use super::*;

    #[test]
    fn the_address_is_used_at_the_configured_host_only() {
        let at = |base: &str, given: &str| {
            let connection = Connection::new(base, &ServerOptions::default()).unwrap();
            socket_url(&connection, &given.to_owned().into()).map(|url| url.to_string())
        };
        let base = "https://chat.icewarp.example/teamchatapi/";
        for given in [
            "wss://chat.icewarp.example/rtm/xoxp-1?a=b",
            "ws://chat.icewarp.example/rtm/xoxp-1?a=b",
            "wss://chat.icewarp.example:443/rtm/xoxp-1?a=b",
            "wss://icewarp/rtm/xoxp-1?a=b",
            "/rtm/xoxp-1?a=b",
            "wss://user:secret@chat.icewarp.example/rtm/xoxp-1?a=b#c",
        ] {
            assert_eq!(at(base, given).unwrap(), "https://chat.icewarp.example/rtm/xoxp-1?a=b", "{given}");
        }
        let odd = "http://127.0.0.1:81/teamchatapi/";
        assert_eq!(at(odd, "ws://127.0.0.1:81/rtm/xoxp-1").unwrap(), "http://127.0.0.1:81/rtm/xoxp-1");
        assert_eq!(at(odd, "ws://127.0.0.1/rtm/xoxp-1").unwrap(), "http://127.0.0.1:81/rtm/xoxp-1");
        assert_eq!(at(odd, "wss://127.0.0.1/rtm/xoxp-1").unwrap(), "https://127.0.0.1/rtm/xoxp-1");
        for foreign in [
            "wss://evil.example/rtm/xoxp-1",
            "wss://evil/rtm/xoxp-1",
            "wss://chat.icewarp.example.evil.example/rtm/xoxp-1",
            "wss://chat.icewarp.example@evil.example/rtm/xoxp-1",
            "wss://chat.icewarp.example:8443/rtm/xoxp-1",
            "file://chat.icewarp.example/rtm/xoxp-1",
            "ws://your address/rtm/xoxp-1",
        ] {
            let error = at(base, foreign).unwrap_err();
            assert!(error.is_temporary() && !format!("{error} {error:?}").contains("xoxp"), "{foreign}: {error:?}");
        }
    }

    #[test]
    fn a_reason_is_repeated_without_what_may_be_a_secret() {
        let token = format!("xoxp-{}", "0a".repeat(32));
        for (event, expected) in [
            (r#"{"type":"error","error":{"code":1,"msg":"Socket URL has expired"}}"#, "Socket URL has expired"),
            (r#"{"type":"error","code":1,"msg":"Socket URL has expired"}"#, "Socket URL has expired"),
            (r#"{"type":"error","error":"no","msg":"a\n\u0007b"}"#, "a b"),
            (r#"{"type":"error"}"#, "error"),
            (r#"{"type":"error","error":{"msg":7}}"#, "7"),
            (&format!(r#"{{"error":{{"msg":"wss://h/rtm/{token} is old"}}}}"#), "… is old"),
        ] {
            assert_eq!(reason(event.as_bytes()), expected, "{event}");
        }
        let long = format!(r#"{{"msg":"{}"}}"#, "word ".repeat(1000));
        assert!(reason(long.as_bytes()).len() <= MAX_REASON_CHARS);
        // A cut before the look at words would leave a short piece of it.
        let cut = format!(r#"{{"msg":"{}{token}"}}"#, "word ".repeat(38));
        assert!(!reason(cut.as_bytes()).contains("xoxp-"), "{}", reason(cut.as_bytes()));
    }
}
