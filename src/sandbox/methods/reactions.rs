//! `reactions.*`: one reaction of each person on each item.

use serde_json::{Value, json};

use super::{Answer, Call, Page};
use crate::sandbox::workspace::Refusal;

pub(super) fn add(call: Call<'_>) -> Answer {
    let name = call.params.need("name", "invalid_name")?;
    call.workspace().change(|state| {
        let channel = call.readable_channel(state)?;
        let ts = call.ts("timestamp")?;
        call.item(state, channel, ts)?;
        state.react(channel, ts, call.caller, name)?;
        Ok(json!({}))
    })
}

pub(super) fn remove(call: Call<'_>) -> Answer {
    call.workspace().change(|state| {
        let channel = call.readable_channel(state)?;
        let ts = call.ts("timestamp")?;
        call.item(state, channel, ts)?;
        state.unreact(channel, ts, call.caller, call.params.get("name"))?;
        Ok(json!({}))
    })
}

pub(super) fn get(call: Call<'_>) -> Answer {
    let state = call.workspace().read();
    let channel = call.readable_channel(&state)?;
    call.params.need("timestamp", "no_item_specified")?;
    let at = call.item(&state, channel, call.ts("timestamp")?)?;
    let message = &state.channels[channel].messages[at];
    Ok(json!({ "type": "message", "reactions": state.reactions_json(message) }))
}

pub(super) fn list(call: Call<'_>) -> Answer {
    let state = call.workspace().read();
    let channel = call.readable_channel(&state)?;
    let user = match call.params.get("user") {
        Some(user) => state.user_by_name(user).ok_or(Refusal("user_not_found"))?,
        None => call.caller,
    };
    let items: Vec<usize> = state.channels[channel]
        .messages
        .iter()
        .enumerate()
        .rev()
        .filter(|(_, message)| {
            message.more.as_deref().is_some_and(|more| more.reactions.iter().any(|(_, who)| *who == user))
                && call.shows(&state, channel, message)
        })
        .map(|(at, _)| at)
        .collect();
    let total = items.len();
    let page = Page::read(call.params, 100);
    let items: Vec<Value> = page
        .cut(items)
        .into_iter()
        .map(|at| {
            let message = &state.channels[channel].messages[at];
            let mut body = state.message_json(channel, message, Some(call.caller));
            // The reference leaves `users` out of the second reaction; so does this list.
            if let Some(reactions) = body["reactions"].as_array_mut() {
                for reaction in reactions.iter_mut().skip(1) {
                    if let Some(reaction) = reaction.as_object_mut() {
                        reaction.remove("users");
                    }
                }
            }
            json!({
                "type": "message",
                "channel": state.channels[channel].id,
                "message": body,
            })
        })
        .collect();
    let paging = page.paging(items.len(), total);
    Ok(json!({ "items": items, "paging": paging }))
}
