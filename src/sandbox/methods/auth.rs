//! Sessions once logged in: who am I, sign off, open a socket.

use serde_json::{Value, json};

use super::{Answer, Call};
use crate::sandbox::new_token;
use crate::sandbox::params::Params;
use crate::sandbox::workspace::state::SocketTicket;
use crate::sandbox::workspace::{Refusal, now};

/// How long the address of `rtm.start` is good for.
const SOCKET_SECONDS: i64 = 30;

pub(super) fn test_api(params: &Params) -> Value {
    let mut body = json!({ "args": params.echo() });
    if let Some(error) = params.get("error") {
        body["ok"] = json!(false);
        body["error"] = json!(error);
    }
    body
}

pub(super) fn test(call: Call<'_>) -> Value {
    let state = call.workspace().read();
    let id = &state.users[call.caller].id;
    let mut body = json!({ "user": id, "user_id": id, "url": "/teamchatapi/auth.test" });
    if state.settings.bot_id {
        body["bot_id"] = json!(format!("B{}", call.caller));
    }
    body
}

pub(super) fn revoke(call: Call<'_>) -> Value {
    call.workspace().revoke(call.token);
    let state = call.workspace().read();
    json!({ "revoked": state.flag(true) })
}

pub(super) fn logout(call: Call<'_>) -> Value {
    call.workspace().revoke(call.token);
    json!({})
}

pub(super) fn start_rtm(call: Call<'_>) -> Answer {
    let socket = new_token();
    call.workspace().change(|state| {
        let expired = now();
        state.sockets.retain(|_, ticket| ticket.expires >= expired);
        let ticket = SocketTicket {
            token: call.token.to_owned(),
            user: call.caller,
            from_event: state.next_event,
            expires: expired + SOCKET_SECONDS,
        };
        state.sockets.insert(socket.clone(), ticket);
        let (scheme, host) = state.origin.split_once("://").ok_or(Refusal("fatal_error"))?;
        let scheme = if scheme == "https" { "wss" } else { "ws" };
        Ok(json!({ "url": format!("{scheme}://{host}/rtm/{socket}") }))
    })
}
