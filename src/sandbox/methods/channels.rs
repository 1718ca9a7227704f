//! `channels.*` but history.

use serde_json::{Value, json};

use super::{Answer, Call};
use crate::sandbox::workspace::Refusal;
use crate::sandbox::workspace::state::State;
use crate::sandbox::workspace::view::MAX_MEMBERS;

/// Longest topic and purpose, in characters.
const MAX_REMARK: usize = 250;

/// Longest name of a channel, in characters.
const MAX_NAME: usize = 80;

fn warn_if_cut(body: &mut Value, is_cut: bool) {
    if is_cut {
        body["warning"] = json!("member_list_truncated");
    }
}

fn channel_answer(call: Call<'_>, state: &State, channel: usize) -> Value {
    let is_lost = call.has_lost(state, channel);
    let mut body = json!({ "channel": state.channel_json(channel, call.caller, is_lost, true) });
    let is_cut = state.channels[channel].members.len() > MAX_MEMBERS;
    warn_if_cut(&mut body, is_cut);
    body
}

fn check_name(state: &State, name: &str, but: Option<usize>) -> Result<(), Refusal> {
    if name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
        return Err(Refusal("invalid_name"));
    }
    let is_taken = state
        .channels
        .iter()
        .enumerate()
        .any(|(index, channel)| !channel.is_im && channel.name == name && Some(index) != but);
    if is_taken {
        return Err(Refusal("name_taken"));
    }
    Ok(())
}

pub(super) fn create(call: Call<'_>) -> Answer {
    let name = call.params.need("name", "no_channel")?;
    call.workspace().change(|state| {
        check_name(state, name, None)?;
        if state.users[call.caller].is_restricted {
            return Err(Refusal("restricted_action"));
        }
        let channel = state.create_channel(call.caller, name, false);
        Ok(channel_answer(call, state, channel))
    })
}

pub(super) fn info(call: Call<'_>) -> Answer {
    let state = call.workspace().read();
    let channel = call.channel(&state)?;
    Ok(channel_answer(call, &state, channel))
}

pub(super) fn list(call: Call<'_>) -> Value {
    let state = call.workspace().read();
    let with_members = !call.params.flag("exclude_members");
    let without_archived = call.params.flag("exclude_archived");
    let mut is_cut = false;
    let mut channels = Vec::new();
    for (index, channel) in state.channels.iter().enumerate() {
        if channel.is_im || (without_archived && channel.is_archived) || !call.is_in(&state, index) {
            continue;
        }
        is_cut |= with_members && channel.members.len() > MAX_MEMBERS;
        channels.push(state.channel_json(index, call.caller, false, with_members));
    }
    let mut body = json!({ "channels": channels });
    warn_if_cut(&mut body, is_cut);
    body
}

pub(super) fn invite(call: Call<'_>) -> Answer {
    let user = call.params.need("user", "user_not_found")?;
    call.workspace().change(|state| {
        let channel = call.writable_channel(state)?;
        let user = state.user_by_name(user).ok_or(Refusal("user_not_found"))?;
        state.join(channel, user, call.faults());
        Ok(channel_answer(call, state, channel))
    })
}

pub(super) fn join(call: Call<'_>) -> Answer {
    call.workspace().change(|state| {
        let name = call.params.get("channel").or_else(|| call.params.get("name"));
        let channel = name
            .and_then(|name| state.channel_by_name(name))
            .filter(|channel| {
                let entry = &state.channels[*channel];
                !entry.is_im && (!entry.is_hidden || state.is_member(*channel, call.caller))
            })
            .ok_or(Refusal("channel_not_found"))?;
        if state.channels[channel].is_archived {
            return Err(Refusal("is_archived"));
        }
        state.join(channel, call.caller, call.faults());
        Ok(json!({}))
    })
}

pub(super) fn kick(call: Call<'_>) -> Answer {
    let user = call.params.need("user", "user_not_found")?;
    call.workspace().change(|state| {
        let channel = call.writable_channel(state)?;
        let user = state.user_by_name(user).ok_or(Refusal("user_not_found"))?;
        if user == call.caller {
            return Err(Refusal("cant_kick_self"));
        }
        if !call.moderates(state) {
            return Err(Refusal("restricted_action"));
        }
        state.kick(channel, user, call.faults())?;
        Ok(json!({}))
    })
}

pub(super) fn leave(call: Call<'_>) -> Answer {
    call.workspace().change(|state| {
        let channel = call.channel(state)?;
        if state.channels[channel].folder == "TeamChat" {
            return Err(Refusal("cant_leave_general"));
        }
        if state.is_member(channel, call.caller) {
            state.leave(channel, call.caller, call.faults())?;
        }
        Ok(json!({}))
    })
}

pub(super) fn rename(call: Call<'_>) -> Answer {
    let name = call.params.need("name", "invalid_name")?;
    call.workspace().change(|state| {
        let channel = call.writable_channel(state)?;
        check_name(state, name, Some(channel))?;
        if !call.moderates(state) {
            return Err(Refusal("not_authorized"));
        }
        state.rename_channel(channel, name);
        Ok(channel_answer(call, state, channel))
    })
}

pub(super) fn set_remark(call: Call<'_>, kind: &'static str) -> Answer {
    let value = call.params.get(kind).unwrap_or_default();
    call.workspace().change(|state| {
        let channel = call.writable_channel(state)?;
        if value.chars().count() > MAX_REMARK {
            return Err(Refusal("too_long"));
        }
        state.set_remark(channel, call.caller, kind, value, call.faults());
        let mut body = json!({});
        body[kind] = json!(value);
        Ok(body)
    })
}
