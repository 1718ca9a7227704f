use serde_json::{Value, json};

use super::{Call, Refusal};
use crate::model::{ChannelId, json};
use crate::web::desk::Web;

/// A channel's object as the server last gave it.
fn object(web: &Web, call: &Call, id: &ChannelId) -> Result<Value, Refusal> {
    let facts = call.directory.channels.get(id).ok_or(Refusal::Code("channel_not_found"))?;
    let record = call.archive(web).record(facts.record)?;
    let mut value = record
        .and_then(|record| json::parse(&record.body))
        .unwrap_or_else(|| json!({"id": facts.api_id, "name": facts.name}));
    if let Some(object) = value.as_object_mut()
        && !facts.is_im
    {
        object.insert("is_member".to_owned(), json!(true));
    }
    Ok(value)
}

/// `channels.list`: those in scope.
pub(super) fn list(web: &Web, call: &Call) -> Result<Value, Refusal> {
    let mut channels = Vec::new();
    for (id, facts) in call.directory.channels.iter().filter(|(id, facts)| !facts.is_im && call.scope.allows(id)) {
        if call.flag("exclude_archived") && facts.is_archived {
            continue;
        }
        let mut value = object(web, call, id)?;
        if call.flag("exclude_members")
            && let Some(object) = value.as_object_mut()
        {
            object.remove("members");
        }
        channels.push(value);
    }
    Ok(json!({"ok": true, "channels": channels}))
}

/// `channels.info`.
pub(super) fn info(web: &Web, call: &Call) -> Result<Value, Refusal> {
    Ok(json!({"ok": true, "channel": object(web, call, &call.channel()?)?}))
}

/// `im.list`: the direct conversations in scope.
pub(super) fn im_list(web: &Web, call: &Call) -> Result<Value, Refusal> {
    let ims = call.directory.channels.iter().filter(|(id, facts)| facts.is_im && call.scope.allows(id));
    let ims: Vec<Value> = ims.map(|(id, _)| object(web, call, id)).collect::<Result<_, _>>()?;
    Ok(json!({"ok": true, "ims": ims}))
}
