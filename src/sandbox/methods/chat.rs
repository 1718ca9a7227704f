//! `chat.*`: posting, editing, removing.

use serde_json::json;

use super::{Answer, Call};
use crate::sandbox::ids;
use crate::sandbox::workspace::Refusal;
use crate::sandbox::workspace::state::State;

/// Longest text, in characters.
const MAX_TEXT: usize = 40_000;

fn text(call: Call<'_>) -> Result<&str, Refusal> {
    let text = call.params.need("text", "no_text")?;
    if text.chars().count() > MAX_TEXT {
        return Err(Refusal("msg_too_long"));
    }
    Ok(text)
}

fn own(call: Call<'_>, state: &State, channel: usize, error: &'static str) -> Result<ids::Ts, Refusal> {
    let ts = call.ts("ts").map_err(|_bad| Refusal("message_not_found"))?;
    let at = call.item(state, channel, ts)?;
    let is_own = state.channels[channel].messages[at].user == call.caller;
    if is_own || call.moderates(state) { Ok(ts) } else { Err(Refusal(error)) }
}

pub(super) fn post(call: Call<'_>) -> Answer {
    call.workspace().change(|state| {
        let channel = call.writable_channel(state)?;
        let ts = state.post(channel, call.caller, text(call)?, "", call.faults());
        let at = state.alive(channel, ts)?;
        let message = &state.channels[channel].messages[at];
        Ok(json!({
            "ts": ts.to_string(),
            "channel": ids::unpadded(&state.channels[channel].id),
            "message": state.message_json(channel, message, Some(call.caller)),
        }))
    })
}

pub(super) fn update(call: Call<'_>) -> Answer {
    call.workspace().change(|state| {
        let channel = call.writable_channel(state)?;
        let text = text(call)?;
        let ts = own(call, state, channel, "cant_update_message")?;
        state.edit(channel, ts, Some(call.caller), text)?;
        Ok(json!({
            "ts": ts.to_string(),
            "channel": ids::unpadded(&state.channels[channel].id),
            "text": text,
        }))
    })
}

pub(super) fn delete(call: Call<'_>) -> Answer {
    call.workspace().change(|state| {
        let channel = call.writable_channel(state)?;
        let ts = own(call, state, channel, "cant_delete_message")?;
        state.delete(channel, ts, Some(call.caller))?;
        Ok(json!({
            "ts": ts.to_string(),
            "channel": ids::unpadded(&state.channels[channel].id),
        }))
    })
}
