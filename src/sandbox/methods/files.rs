//! `files.*` but downloads: lists, details, comments, uploads.

use serde_json::{Value, json};

use super::{Answer, Call, Page};
use crate::sandbox::ids::{self, Ts};
use crate::sandbox::params::Params;
use crate::sandbox::workspace::Refusal;
use crate::sandbox::workspace::state::{Parent, State, Stored, Version};
use crate::sandbox::workspace::view::FileView;

pub(super) fn list(call: Call<'_>) -> Answer {
    let state = call.workspace().read();
    let channel = call.readable_channel(&state)?;
    let user =
        call.params.get("user").map(|user| state.user_by_name(user).ok_or(Refusal("user_not_found"))).transpose()?;
    let bound = |name| call.params.get(name).and_then(Ts::parse).filter(|ts| *ts != Ts::default()).map(|ts| ts.seconds);
    let (from, to) = (bound("ts_from"), bound("ts_to"));
    let mut files: Vec<usize> = state.channels[channel]
        .files
        .iter()
        .copied()
        .filter(|file| {
            let file = &state.files[*file];
            !file.is_deleted
                && user.is_none_or(|user| file.user == user)
                && from.is_none_or(|from| file.created >= from)
                && to.is_none_or(|to| file.created <= to)
        })
        .collect();
    files.sort_by(|one, other| {
        let key = |file: usize| (state.files[file].created, state.files[file].id.as_str());
        key(*other).cmp(&key(*one))
    });
    let total = files.len();
    let page = Page::read(call.params, 100);
    let files: Vec<Value> =
        page.cut(files).into_iter().map(|file| state.file_json(file, FileView::Stream(channel), call.caller)).collect();
    let paging = page.paging(files.len(), total);
    Ok(json!({ "files": files, "paging": paging }))
}

pub(super) fn info(call: Call<'_>) -> Answer {
    let state = call.workspace().read();
    let file = call.file(&state, "file")?;
    let comments = state.file_comments(file);
    let total = comments.len();
    let page = Page::read(call.params, 100);
    let comments = page.cut(comments);
    let paging = page.paging(comments.len(), total);
    Ok(json!({
        "file": state.file_json(file, FileView::Info, call.caller),
        "comments": comments,
        "paging": paging,
    }))
}

pub(super) fn upload(call: Call<'_>) -> Answer {
    let params = call.params;
    let (part_name, bytes) = match (params.uploads.first(), params.get("content")) {
        (Some(part), _) => (part.name.as_str(), part.bytes.clone()),
        (None, Some(content)) => ("", content.to_owned().into()),
        (None, None) => return Err(Refusal("no_file_data")),
    };
    let version = Version::new(Stored::Bytes(bytes)).map_err(|_unreadable| Refusal("fatal_error"))?;
    let name = params.get("filename").unwrap_or(part_name);
    let name = if name.is_empty() { "untitled" } else { name };
    call.workspace().change(|state| {
        let mut channels = Vec::new();
        let names = params.get("channels").or_else(|| params.get("channel"));
        for name in names.unwrap_or_default().split(',').map(str::trim) {
            let channel = state
                .channel_by_id(name)
                .filter(|channel| call.is_in(state, *channel))
                .ok_or(Refusal("invalid_channel"))?;
            if !channels.contains(&channel) {
                channels.push(channel);
            }
        }
        let (file, _ts) = state.upload(&channels, call.caller, name, version, call.faults());
        let body = state.file_json(file, FileView::Upload, call.caller);
        Ok(json!({ "file": body }))
    })
}

fn own_file(call: Call<'_>, state: &State) -> Result<usize, Refusal> {
    let file = call.file(state, "file")?;
    if state.files[file].user == call.caller || call.moderates(state) {
        Ok(file)
    } else {
        Err(Refusal("cant_delete_file"))
    }
}

pub(super) fn delete(call: Call<'_>) -> Answer {
    call.workspace().change(|state| {
        let file = own_file(call, state)?;
        state.delete_file(file)?;
        Ok(json!({}))
    })
}

fn comment_text(params: &Params) -> Result<&str, Refusal> {
    // The reference misspells it for edits.
    params.get("comment").or_else(|| params.get("commant")).ok_or(Refusal("no_comment"))
}

fn comment_answer(state: &State, channel: usize, ts: Ts) -> Answer {
    let at = state.alive(channel, ts)?;
    let message = &state.channels[channel].messages[at];
    Ok(json!({ "comment": state.comment_json(channel, message, false) }))
}

pub(super) fn add_comment(call: Call<'_>) -> Answer {
    let text = comment_text(call.params)?;
    call.workspace().change(|state| {
        let file = call.file(state, "file")?;
        let (channel, ts) = state.comment_on_file(file, call.caller, text, call.faults())?;
        comment_answer(state, channel, ts)
    })
}

/// A living comment of the named file that the caller may change.
fn own_comment(call: Call<'_>, state: &State, error: &'static str) -> Result<(usize, Ts), Refusal> {
    let file = call.file(state, "file")?;
    let id = call.params.need("id", "comment_not_found")?;
    let (channel, ts) = *state.comment_index.get(id).ok_or(Refusal("comment_not_found"))?;
    let at = state.alive(channel, ts).map_err(|_gone| Refusal("comment_not_found"))?;
    let message = &state.channels[channel].messages[at];
    match message.comment().map(|comment| comment.parent) {
        Some(Parent::File(parent)) if parent == file => {}
        _ => return Err(Refusal("comment_not_found")),
    }
    if message.user == call.caller || call.moderates(state) { Ok((channel, ts)) } else { Err(Refusal(error)) }
}

pub(super) fn edit_comment(call: Call<'_>) -> Answer {
    let text = comment_text(call.params)?;
    call.workspace().change(|state| {
        let (channel, ts) = own_comment(call, state, "cant_edit")?;
        state.edit(channel, ts, Some(call.caller), text)?;
        comment_answer(state, channel, ts)
    })
}

pub(super) fn delete_comment(call: Call<'_>) -> Answer {
    call.workspace().change(|state| {
        let (channel, ts) = own_comment(call, state, "cant_delete")?;
        state.delete(channel, ts, Some(call.caller))?;
        Ok(json!({}))
    })
}

/// The file named by `id`, by `file` or by the time of its message.
fn edited_file(call: Call<'_>, state: &State) -> Result<usize, Refusal> {
    for name in ["id", "file"] {
        if call.params.get(name).is_some() {
            return call.file(state, name);
        }
    }
    let ts = call.ts("timestamp").map_err(|_bad| Refusal("file_not_found"))?;
    state
        .channels
        .iter()
        .filter_map(|channel| Some(channel.messages[channel.find_alive(ts)?].files()))
        .find_map(|files| files.first().copied())
        .ok_or(Refusal("file_not_found"))
}

pub(super) fn edit(call: Call<'_>) -> Answer {
    let state = call.workspace().read();
    let file = edited_file(call, &state)?;
    let entry = &state.files[file];
    let key = format!("{}{}", entry.id, ids::hex(&state.secret[..4]));
    let url = state.file_url(file, call.caller);
    Ok(json!({
        "data": {
            "documentType": "text",
            "document": {
                "filetype": entry.name.rsplit('.').next().unwrap_or_default(),
                "key": key,
                "title": entry.title,
                "url": url,
            },
            "editorConfig": {
                "mode": "edit",
                "callbackUrl": format!("{}/.well-known/icewarp-officecallback/{key}", state.origin),
                "user": {
                    "firstname": state.users[call.caller].real_name,
                    "id": format!("{:x}", call.caller),
                    "lastname": "",
                },
            },
        },
        "mode": 0,
        "key": key,
    }))
}

pub(super) fn editing(call: Call<'_>) -> Answer {
    call.params.need("session_key", "invalid_arg_name")?;
    Ok(json!({}))
}

/// Ends an editing session: the same bytes (or those sent along) become a new version.
pub(super) fn stop_edit(call: Call<'_>) -> Answer {
    call.workspace().change(|state| {
        let file = edited_file(call, state)?;
        let sent = call.params.uploads.first().map(|part| part.bytes.clone());
        let version = match sent {
            Some(bytes) => Version::new(Stored::Bytes(bytes)).map_err(|_unreadable| Refusal("fatal_error"))?,
            None => state.files[file].newest().clone(),
        };
        state.replace_file(file, version)?;
        Ok(json!({}))
    })
}
