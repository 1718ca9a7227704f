//! `pins.*`: global pins for all, private ones for their owner.

use serde_json::{Value, json};

use super::{Answer, Call};
use crate::sandbox::ids::Ts;
use crate::sandbox::workspace::Refusal;
use crate::sandbox::workspace::state::State;

/// The item that a call names: by time, by file (id or name), or by comment.
fn target(call: Call<'_>, state: &State, channel: usize) -> Result<Ts, Refusal> {
    if call.params.get("timestamp").is_some() {
        let ts = call.ts("timestamp").map_err(|_bad| Refusal("message_not_found"))?;
        call.item(state, channel, ts)?;
        return Ok(ts);
    }
    if let Some(comment) = call.params.get("file_comment") {
        return match state.comment_index.get(comment) {
            Some((home, ts)) if *home == channel => Ok(*ts),
            _ => Err(Refusal("message_not_found")),
        };
    }
    let name = call.params.need("file", "no_item_specified")?;
    state.channels[channel]
        .messages
        .iter()
        .rev()
        .filter(|message| call.shows(state, channel, message))
        .find(|message| {
            message.files().iter().any(|file| {
                let file = &state.files[*file];
                !file.is_deleted && (file.id == name || file.name == name)
            })
        })
        .map(|message| message.ts)
        .ok_or(Refusal("message_not_found"))
}

pub(super) fn add(call: Call<'_>) -> Answer {
    call.workspace().change(|state| {
        let channel = call.readable_channel(state).map_err(|refusal| match refusal.0 {
            "no_permission" => Refusal("permission_denied"),
            _ => refusal,
        })?;
        let ts = target(call, state, channel)?;
        state.pin(channel, ts, call.caller, call.params.flag("global"))?;
        Ok(json!({ "ok": state.flag(true) }))
    })
}

pub(super) fn remove(call: Call<'_>) -> Answer {
    call.workspace().change(|state| {
        let channel = call.readable_channel(state)?;
        let ts = target(call, state, channel)?;
        state.unpin(channel, ts, call.caller)?;
        Ok(json!({ "ok": state.flag(true) }))
    })
}

pub(super) fn list(call: Call<'_>) -> Answer {
    let state = call.workspace().read();
    let channel = call.readable_channel(&state)?;
    let items: Vec<Value> = state.channels[channel]
        .messages
        .iter()
        .rev()
        .filter(|message| {
            message
                .more
                .as_deref()
                .is_some_and(|more| more.pinned_by.is_some() || more.pinned_privately.contains(&call.caller))
                && call.shows(&state, channel, message)
        })
        .map(|message| {
            let body = state.message_json(channel, message, Some(call.caller));
            if state.settings.wrapped_pins {
                let pinned_by = message.more.as_deref().and_then(|more| more.pinned_by).unwrap_or(call.caller);
                json!({
                    "type": "message",
                    "channel": state.channels[channel].id,
                    "message": body,
                    "created": message.ts.seconds,
                    "created_by": state.users[pinned_by].id,
                })
            } else {
                body
            }
        })
        .collect();
    Ok(json!({ "items": items }))
}
