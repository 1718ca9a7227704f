//! `items.info`: one item by its time stamp, with its comments.

use serde_json::{Value, json};

use super::{Answer, Call, Page};

pub(super) fn info(call: Call<'_>) -> Answer {
    let state = call.workspace().read();
    let channel = call.readable_channel(&state)?;
    let ts = call.ts("ts")?;
    let at = call.item(&state, channel, ts)?;
    let message = &state.channels[channel].messages[at];
    let mut comments: Vec<Value> = Vec::new();
    if let Some(more) = message.more.as_deref() {
        if message.comment().is_none() {
            for file in &more.files {
                comments.extend(state.file_comments(*file));
            }
        }
        for ts in &more.comments {
            if let Some(at) = state.channels[channel].find_comment(*ts) {
                let comment = &state.channels[channel].messages[at];
                comments.push(state.comment_json(channel, comment, false));
            }
        }
    }
    let total = comments.len();
    let page = Page::read(call.params, 100);
    let comments = page.cut(comments);
    let paging = page.paging(comments.len(), total);
    let mut body = json!({
        "message": state.message_json(channel, message, Some(call.caller)),
        "paging": paging,
    });
    if total > 0 {
        body["comments"] = json!(comments);
    }
    Ok(body)
}
