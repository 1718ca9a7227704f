//! `users.*`: people and presence.

use serde_json::{Value, json};

use super::{Answer, Call};
use crate::sandbox::ids::Ts;
use crate::sandbox::workspace::{Refusal, now};

pub(super) fn identity(call: Call<'_>) -> Value {
    let state = call.workspace().read();
    json!({ "user": state.user_json(call.caller) })
}

pub(super) fn info(call: Call<'_>) -> Answer {
    let state = call.workspace().read();
    let user = call.params.need("user", "user_not_found")?;
    let user = state.user_by_name(user).ok_or(Refusal("user_not_found"))?;
    let person = &state.users[user];
    if (person.is_hidden || person.is_unlisted) && user != call.caller {
        return Err(Refusal("user_not_visible"));
    }
    Ok(json!({ "user": state.user_json(user) }))
}

pub(super) fn list(call: Call<'_>) -> Answer {
    let state = call.workspace().read();
    let is_shown = |user: &usize| !state.users[*user].is_hidden && !state.users[*user].is_unlisted;
    let users: Vec<usize> = if call.params.get("channel").is_some() {
        let channel = call.readable_channel(&state)?;
        state.channels[channel].members.iter().copied().filter(is_shown).collect()
    } else {
        (0..state.users.len()).filter(is_shown).collect()
    };
    let members: Vec<_> = users.into_iter().map(|user| state.user_json(user)).collect();
    let cache_ts = Ts { seconds: now(), fraction: 369 };
    Ok(json!({ "members": members, "cache_ts": cache_ts.to_string() }))
}

pub(super) fn get_presence(call: Call<'_>) -> Value {
    let state = call.workspace().read();
    let user = &state.users[call.caller];
    json!({
        "presence": if user.is_away { "away" } else { "active" },
        "last_activity": user.last_activity,
        "online": state.flag(user.connections > 0),
        "connection_count": user.connections.to_string(),
    })
}

pub(super) fn set_active(call: Call<'_>) -> Value {
    call.workspace().change(|state| state.set_presence(call.caller, false));
    json!({})
}

pub(super) fn set_presence(call: Call<'_>) -> Answer {
    let is_away = match call.params.get("presence") {
        Some("away") => true,
        Some("auto") => false,
        _ => return Err(Refusal("invalid_presence")),
    };
    call.workspace().change(|state| state.set_presence(call.caller, is_away));
    Ok(json!({}))
}
