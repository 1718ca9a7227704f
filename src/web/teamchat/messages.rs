use serde_json::{Value, json};

use super::files::with_tickets;
use super::{Call, Refusal, page_of};
use crate::history::Item;
use crate::model::{ChannelId, MessageTs, json};
use crate::record::Kind;
use crate::web::desk::Web;

/// Messages read at once while looking for those that still stand.
const STEP: usize = 512;

/// A message as it last read, with its reactions as they last were, and files that open here.
pub(super) fn object(web: &Web, call: &Call, item: &Item) -> Result<Value, Refusal> {
    let latest = item.latest().ok_or(Refusal::Code("message_not_found"))?;
    let mut value = json::parse(&latest.record.body).filter(Value::is_object).unwrap_or_else(
        || json!({"type": "message", "ts": item.key, "text": String::from_utf8_lossy(&latest.record.body)}),
    );
    if let Some(channel) = &item.channel
        && let Some(reactions) = call.archive(web).item(Kind::Reactions, Some(channel), &item.key)?
        && let Some(newest) = reactions.versions.last()
        && let Some(object) = value.as_object_mut()
    {
        let reactions = json::parse(&newest.record.body).unwrap_or_default();
        if reactions.as_array().is_some_and(Vec::is_empty) {
            object.remove("reactions");
        } else {
            object.insert("reactions".to_owned(), reactions);
        }
    }
    for name in ["file", "files"] {
        match value.get_mut(name) {
            Some(Value::Array(files)) => files.iter_mut().try_for_each(|file| with_tickets(web, call, file))?,
            Some(file @ Value::Object(_)) => with_tickets(web, call, file)?,
            _ => {}
        }
    }
    Ok(value)
}

/// The messages that still stand between two bounds, both inclusive: the `count` nearest to the
/// later one, newest first, or nearest to the earlier one when `forward`. One more than asked for
/// says that there are more.
pub(super) fn standing(
    web: &Web,
    call: &Call,
    channel: &ChannelId,
    oldest: MessageTs,
    latest: MessageTs,
    count: usize,
    forward: bool,
) -> Result<Vec<Item>, Refusal> {
    let mut found: Vec<Item> = Vec::new();
    let (mut low, mut high) = (oldest, latest);
    while found.len() <= count && low <= high {
        let step = STEP.max(count + 1);
        let items = if forward {
            call.archive(web).messages_after(channel, low, step)?
        } else {
            call.archive(web).messages_before(channel, high, step)?
        };
        let stamps: Vec<MessageTs> = items.iter().filter_map(|item| MessageTs::parse(&item.key)).collect();
        let (Some(first), Some(last)) = (stamps.first().copied(), stamps.last().copied()) else { break };
        let is_last_step = items.len() < step;
        let live = items.into_iter().filter(|item| {
            !item.is_gone() && MessageTs::parse(&item.key).is_some_and(|ts| (oldest..=latest).contains(&ts))
        });
        if forward {
            found.extend(live);
            low = MessageTs::from_micros(last.micros() + 1);
        } else {
            let mut live: Vec<Item> = live.collect();
            live.reverse();
            found.extend(live);
            if first == MessageTs::MIN {
                break;
            }
            high = first.before();
        }
        if is_last_step {
            break;
        }
    }
    if forward {
        let more = found.len() > count;
        found.truncate(count + usize::from(more));
        if more {
            // The one beyond says that there are more; it stays last in the array's order.
            let extra = found.pop();
            found.reverse();
            found.extend(extra);
        } else {
            found.reverse();
        }
    } else {
        found.truncate(count + 1);
    }
    Ok(found)
}

/// A time stamp that a call is bounded by. Clients send whole seconds and fewer digits, too; 0 bounds nothing.
fn bound(call: &Call, name: &str, code: &'static str) -> Result<Option<MessageTs>, Refusal> {
    let Some(text) = call.text(name) else { return Ok(None) };
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let found = MessageTs::parse(&format!("{seconds}.{fraction:0<6}")).ok_or(Refusal::Code(code))?;
    Ok((found != MessageTs::MIN).then_some(found))
}

/// The bounds of a history call, as inclusive ones, and whether it pages forward.
pub(super) fn bounds(call: &Call) -> Result<(MessageTs, MessageTs, bool), Refusal> {
    let latest = bound(call, "latest", "invalid_ts_latest")?;
    let oldest = bound(call, "oldest", "invalid_ts_oldest")?;
    let inclusive = call.flag("inclusive");
    let forward = latest.is_none() && oldest.is_some();
    let low = oldest.map_or(MessageTs::MIN, |ts| if inclusive { ts } else { MessageTs::from_micros(ts.micros() + 1) });
    let high = latest.map_or(MessageTs::MAX, |ts| if inclusive { ts } else { ts.before() });
    Ok((low, high, forward))
}

/// `channels.history` (protocol notes 2.2).
pub(super) fn history(web: &Web, call: &Call) -> Result<Value, Refusal> {
    let channel = call.channel()?;
    let (oldest, latest, forward) = bounds(call)?;
    let count = call.number("count", 100, 1000);
    let mut items = standing(web, call, &channel, oldest, latest, count, forward)?;
    let has_more = items.len() > count;
    items.truncate(count);
    for item in &items {
        call.shows(item);
    }
    let messages: Vec<Value> = items.iter().map(|item| object(web, call, item)).collect::<Result<_, _>>()?;
    let said = |name: &str| Ok::<_, Refusal>(bound(call, name, "invalid_ts")?.unwrap_or(MessageTs::MIN).to_string());
    let mut body = json!({
        "ok": true,
        "messages": messages,
        "has_more": has_more,
        "latest": said("latest")?,
        "oldest": said("oldest")?,
    });
    if call.flag("unreads") {
        body["unread_count_display"] = json!(0);
    }
    Ok(body)
}

fn find(web: &Web, call: &Call, name: &str) -> Result<Item, Refusal> {
    let channel = call.channel()?;
    let ts = call
        .text(name)
        .or_else(|| call.text("ts"))
        .or_else(|| call.text("timestamp"))
        .ok_or(Refusal::Code("no_item_specified"))?;
    let ts = MessageTs::parse(ts).ok_or(Refusal::Code("bad_timestamp"))?;
    let found = call.archive(web).item(Kind::Message, Some(&channel), &ts.to_string())?;
    found.filter(|item| !item.is_gone()).ok_or(Refusal::Code("message_not_found"))
}

/// `items.info`.
pub(super) fn item_info(web: &Web, call: &Call) -> Result<Value, Refusal> {
    let found = find(web, call, "ts")?;
    call.shows(&found);
    Ok(
        json!({"ok": true, "message": object(web, call, &found)?, "paging": {"count": 0, "total": 0, "page": 1, "pages": 0}}),
    )
}

/// `pins.list`: what was pinned when it was last read, for all accounts together.
pub(super) fn pins(web: &Web, call: &Call) -> Result<Value, Refusal> {
    let channel = call.channel()?;
    let mut items: Vec<Value> = Vec::new();
    for pinned in call.archive(web).pins(&channel)? {
        for mut pin in pinned.as_array().cloned().unwrap_or_default() {
            if let Some(file) = pin.get_mut("file") {
                with_tickets(web, call, file)?;
            }
            if !items.contains(&pin) {
                items.push(pin);
            }
        }
    }
    Ok(json!({"ok": true, "items": items}))
}

/// `reactions.get`.
pub(super) fn reactions_get(web: &Web, call: &Call) -> Result<Value, Refusal> {
    let found = find(web, call, "timestamp")?;
    call.shows(&found);
    let message = object(web, call, &found)?;
    Ok(
        json!({"ok": true, "type": "message", "reactions": message.get("reactions").cloned().unwrap_or_else(|| json!([]))}),
    )
}

/// `reactions.list`: what a person reacted to in a channel, newest first.
pub(super) fn reactions_list(web: &Web, call: &Call) -> Result<Value, Refusal> {
    let channel = call.channel()?;
    let user = match call.text("user") {
        Some(user) => user.to_owned(),
        None => web.accounts()?.into_iter().next().map(|row| row.user_id).unwrap_or_default(),
    };
    let mut found = Vec::new();
    for item in call
        .archive(web)
        .messages_between(&channel, MessageTs::MIN, MessageTs::MAX)?
        .iter()
        .rev()
        .filter(|item| !item.is_gone())
    {
        let message = object(web, call, item)?;
        let set =
            message["reactions"].as_array().into_iter().flatten().any(|reaction| {
                reaction["users"].as_array().into_iter().flatten().any(|id| id.as_str() == Some(&user))
            });
        if set {
            let message = json!({"type": "message", "channel": call.text("channel"), "message": message});
            found.push((item.latest().map(|latest| latest.seq.0), message));
        }
    }
    let (page, paging) = page_of(&found, call.number("count", 100, 1000), call.number("page", 1, usize::MAX));
    let (shown, items): (Vec<Option<u64>>, Vec<Value>) = page.into_iter().unzip();
    call.shown.borrow_mut().extend(shown.into_iter().flatten());
    Ok(json!({"ok": true, "items": items, "paging": paging}))
}
