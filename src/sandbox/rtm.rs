//! The real-time socket: a single-use address, `hello`, replay, then events as they happen.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::response::Response;
use serde_json::{Value, json};

use super::faults::Fault;
use super::server::Sandbox;
use super::ticket::Ticket;
use super::workspace::now;
use super::workspace::state::{self, SocketTicket};

/// The most that a client may send at once.
const MAX_CLIENT_BYTES: usize = 16 << 10;

/// How long a client may take to accept what it is sent.
const SEND_DEADLINE: Duration = Duration::from_secs(30);

/// Events copied out of the workspace at once.
const MAX_BATCH: usize = 256;

pub(super) async fn connect(
    State(sandbox): State<Arc<Sandbox>>,
    Path(socket): Path<String>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let ticket =
        sandbox.workspace.change(|state| state.sockets.remove(&socket)).filter(|ticket| ticket.expires >= now());
    upgrade.max_message_size(MAX_CLIENT_BYTES).on_upgrade(async move |mut stream| {
        if let Some(ticket) = ticket {
            serve(&sandbox, stream, ticket).await;
            return;
        }
        let error = json!({ "code": 1, "msg": "Socket URL has expired" });
        let _gone = send_json(&mut stream, &json!({ "type": "error", "error": error })).await;
        let _gone = stream.send(Message::Close(None)).await;
    })
}

/// Why a conversation is over.
enum End {
    /// With a Close frame.
    Closed,
    /// Without a goodbye, or the other side is gone.
    Cut,
}

async fn send_json(stream: &mut WebSocket, body: &Value) -> Result<(), End> {
    send(stream, body.to_string().into()).await
}

async fn send(stream: &mut WebSocket, text: Utf8Bytes) -> Result<(), End> {
    let text = Message::Text(text);
    match tokio::time::timeout(SEND_DEADLINE, stream.send(text)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(End::Cut),
    }
}

async fn serve(sandbox: &Sandbox, mut stream: WebSocket, ticket: SocketTicket) {
    let mut cuts = sandbox.workspace.cuts();
    sandbox.workspace.change(|state| {
        state.users[ticket.user].connections += 1;
        state.set_presence(ticket.user, false);
    });
    // However the socket ends, the person is counted out.
    let end = tokio::select! {
        end = converse(sandbox, &mut stream, &ticket) => end.err().unwrap_or(End::Closed),
        _ = cuts.changed() => End::Cut,
    };
    sandbox.workspace.change(|state| {
        let user = &mut state.users[ticket.user];
        user.connections = user.connections.saturating_sub(1);
        if user.connections == 0 {
            state.set_presence(ticket.user, true);
        }
    });
    if matches!(end, End::Closed) {
        let _gone = tokio::time::timeout(SEND_DEADLINE, stream.send(Message::Close(None))).await;
    }
}

async fn converse(sandbox: &Sandbox, stream: &mut WebSocket, ticket: &SocketTicket) -> Result<(), End> {
    let mut changed = sandbox.workspace.subscribe();
    let mut next = ticket.from_event;
    send_json(stream, &json!({ "type": "hello" })).await?;
    loop {
        changed.mark_unchanged();
        loop {
            let Some(batch) = news(sandbox, ticket, &mut next)? else {
                break;
            };
            let is_heard = !batch.is_empty();
            for body in batch {
                send(stream, body).await?;
            }
            if is_heard && sandbox.workspace.faults().hits(Fault::RtmCut) {
                return Err(End::Cut);
            }
        }
        tokio::select! {
            () = sandbox.stop.cancelled() => return Ok(()),
            woken = changed.changed() => woken.map_err(|_closed| End::Closed)?,
            received = stream.recv() => match received {
                Some(Ok(Message::Text(text))) => {
                    let reply = hear(sandbox, ticket, &text);
                    send_json(stream, &reply).await?;
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Ok(()),
                Some(Ok(_)) => {}
            },
        }
    }
}

/// The events since `next` for this listener; `None` when there are none. The conversation is over
/// once the token is dead, and when the listener is so late that events are gone: what it hears is
/// whole, or it hears that it is not.
fn news(sandbox: &Sandbox, ticket: &SocketTicket, next: &mut u64) -> Result<Option<Vec<Utf8Bytes>>, End> {
    let state = sandbox.workspace.read();
    let is_open = state.tokens.get(&ticket.token).is_some_and(|token| !token.is_revoked);
    let first = state.events.front().map_or(state.next_event, |event| event.number);
    if !is_open || *next < first {
        return Err(End::Closed);
    }
    let skip = usize::try_from(next.saturating_sub(first)).unwrap_or(usize::MAX);
    if skip >= state.events.len() {
        return Ok(None);
    }
    let faults = sandbox.workspace.faults();
    let mut batch = Vec::new();
    for event in state.events.iter().skip(skip).take(MAX_BATCH) {
        *next = event.number + 1;
        if !state.hears(&event.audience, ticket.user, faults) || faults.hits(Fault::LostEvent) {
            continue;
        }
        let body = for_listener(&state, ticket.user, &event.body);
        if faults.hits(Fault::DuplicateEvent) {
            batch.push(body.clone());
        }
        batch.push(body);
    }
    Ok(Some(batch))
}

/// An event with download tickets for this listener: they are written for the ready account, and
/// nobody is given what opens another's doors.
fn for_listener(state: &state::State, listener: usize, body: &Utf8Bytes) -> Utf8Bytes {
    const MARK: &str = "ticket=";
    if listener == state.account || !body.contains(MARK) {
        return body.clone();
    }
    let mut parts = body.as_str().split(MARK);
    let mut written = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        written.push_str(MARK);
        let (sealed, rest) = part.split_at(part.find(['&', '"']).unwrap_or(part.len()));
        match Ticket::open(sealed, &state.secret) {
            Some(ticket) => written.push_str(&Ticket { subject: listener, ..ticket }.seal(&state.secret)),
            // Somebody wrote of a ticket.
            None => written.push_str(sealed),
        }
        written.push_str(rest);
    }
    written.into()
}

/// Answers what a client sends: pings and messages.
fn hear(sandbox: &Sandbox, ticket: &SocketTicket, text: &str) -> Value {
    let fail = |id: &Value, code: i64, reason: &str| json!({ "ok": false, "reply_to": id, "error": { "code": code, "msg": reason } });
    let Ok(Value::Object(mut sent)) = serde_json::from_str::<Value>(text) else {
        return fail(&Value::Null, 2, "message is no JSON object");
    };
    let id = sent.remove("id").unwrap_or_default();
    match sent.get("type").and_then(Value::as_str) {
        Some("ping") => {
            sent.insert("type".to_owned(), json!("pong"));
            sent.insert("reply_to".to_owned(), id);
            Value::Object(sent)
        }
        Some("message") => {
            let get = |name| sent.get(name).and_then(Value::as_str).unwrap_or_default();
            let (channel, text) = (get("channel"), get("text"));
            let posted = sandbox.workspace.change(|state| {
                let channel = state.channel_by_id(channel).filter(|channel| state.is_member(*channel, ticket.user))?;
                let faults = sandbox.workspace.faults();
                (!text.is_empty()).then(|| state.post(channel, ticket.user, text, "", faults))
            });
            match posted {
                Some(ts) => {
                    json!({ "ok": true, "reply_to": id, "ts": ts.to_string(), "text": text })
                }
                None => fail(&id, 2, "message can't be posted"),
            }
        }
        _ => fail(&id, 2, "type is unknown"),
    }
}
