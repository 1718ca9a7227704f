//! `im.*`: direct conversations.

use serde_json::{Value, json};

use super::{Answer, Call};
use crate::sandbox::workspace::Refusal;

pub(super) fn list(call: Call<'_>) -> Value {
    let state = call.workspace().read();
    let ims: Vec<_> = state
        .channels
        .iter()
        .enumerate()
        .filter(|(_, channel)| {
            channel.is_im && channel.members.contains(&call.caller) && !channel.closed_for.contains(&call.caller)
        })
        .map(|(index, _)| state.im_json(index, call.caller))
        .collect();
    json!({ "ims": ims })
}

pub(super) fn open(call: Call<'_>) -> Answer {
    let user = call.params.need("user", "user_not_found")?;
    call.workspace().change(|state| {
        let other =
            state.user_by_name(user).filter(|user| !state.users[*user].is_unlisted).ok_or(Refusal("user_not_found"))?;
        if state.users[other].deleted {
            return Err(Refusal("user_disabled"));
        }
        let (channel, was_open) = state.open_im(call.caller, other);
        let mut body = json!({
            "id": state.channels[channel].id,
            "already_open": state.flag(was_open),
        });
        if call.params.flag("return_im") {
            body["channel"] = state.channel_json(channel, call.caller, false, true);
        }
        Ok(body)
    })
}

pub(super) fn close(call: Call<'_>) -> Answer {
    let name = call.params.need("channel", "channel_not_found")?;
    call.workspace().change(|state| {
        let channel = state
            .channel_by_id(name)
            .filter(|channel| state.channels[*channel].is_im)
            .ok_or(Refusal("channel_not_found"))?;
        let entry = &mut state.channels[channel];
        if !entry.members.contains(&call.caller) {
            return Err(Refusal("user_does_not_own_channel"));
        }
        if !entry.closed_for.contains(&call.caller) {
            entry.closed_for.push(call.caller);
        }
        Ok(json!({}))
    })
}
