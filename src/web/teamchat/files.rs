use std::collections::HashMap;

use axum::http::{HeaderMap, header};
use axum::response::Response;
use serde_json::{Value, json};

use super::tickets::Opened;
use super::{Call, Refusal, asked, download_error, header_text, page_of, send};
use crate::history::{Item, Scoped, Version};
use crate::model::{ChannelId, Digest, json};
use crate::record::{Kind, Visit};
use crate::web::desk::Web;
use crate::web::markup::encode;
use crate::web::sending::{Sent, send_blob};

/// A file as it last was.
#[derive(Debug, Clone)]
struct FileObject {
    id: String,
    record: u64,
    value: Value,
    created: i64,
    is_gone: bool,
    channels: Vec<ChannelId>,
}

/// All files in scope, newest first.
fn all_files(archive: Scoped<'_>) -> Result<Vec<FileObject>, crate::store::Error> {
    let mut out = Vec::new();
    for found in archive.files()? {
        let Some(latest) = found.latest() else { continue };
        let Some(value) = json::parse(&latest.record.body) else { continue };
        out.push(FileObject {
            record: latest.seq.0,
            created: json::as_int(&value["created"]).unwrap_or(0),
            value,
            is_gone: found.is_gone(),
            channels: found.shared_in(),
            id: found.key,
        });
    }
    out.sort_by(|a, b| (b.created, &b.id).cmp(&(a.created, &a.id)));
    Ok(out)
}

/// Puts addresses of this archive, with tickets for this token, where the server's were.
pub(super) fn with_tickets(web: &Web, call: &Call, file: &mut Value) -> Result<(), Refusal> {
    let Some(id) = file["id"].as_str() else { return Ok(()) };
    let found = call.archive(web).item(Kind::File, None, id)?;
    let content = found
        .as_ref()
        .and_then(Item::latest)
        .and_then(|latest| latest.record.header.attachment_digests().first().copied());
    let name = file["name"].as_str().unwrap_or("file").to_owned();
    let counter = file["url_private"]
        .as_str()
        .and_then(|url| url.split_once("editcounter="))
        .map_or("0", |(_, rest)| rest.split('&').next().unwrap_or("0"))
        .to_owned();
    let url = match content {
        Some(content) => {
            let ticket = web.tickets().mint(&content, &name, &call.bearer, web.now());
            format!(
                "{}{}?override_method=files.download&ticket={ticket}&editcounter={counter}",
                call.base,
                encode(&name)
            )
        }
        None => String::new(),
    };
    if let Some(object) = file.as_object_mut() {
        for name in ["url_private", "url_private_download", "permalink", "permalink_public"] {
            if object.contains_key(name) {
                object.insert(name.to_owned(), json!(url));
            }
        }
    }
    Ok(())
}

/// `files.list`: newest first; `ts_from` and `ts_to` inclusive on the time of creation.
pub(super) fn list(web: &Web, call: &Call) -> Result<Value, Refusal> {
    let channel = match call.text("channel") {
        Some(_) => Some(call.channel()?),
        None => None,
    };
    let bound = |name: &str| call.text(name).and_then(|text| text.split('.').next()?.parse::<i64>().ok());
    let (from, to, user) = (bound("ts_from"), bound("ts_to"), call.text("user"));
    let files: Vec<FileObject> = all_files(call.archive(web))?
        .into_iter()
        .filter(|file| !file.is_gone)
        .filter(|file| channel.as_ref().is_none_or(|channel| file.channels.contains(channel)))
        .filter(|file| from.is_none_or(|from| file.created >= from) && to.is_none_or(|to| file.created <= to))
        .filter(|file| user.is_none_or(|user| file.value["user"].as_str() == Some(user)))
        .collect();
    let (page, paging) = page_of(&files, call.number("count", 100, 1000), call.number("page", 1, usize::MAX));
    let mut out = Vec::new();
    for file in page {
        call.shown.borrow_mut().insert(file.record);
        let mut value = file.value;
        with_tickets(web, call, &mut value)?;
        value["comments_count"] = json!(standing_comments(web, call, &file.id)?.len());
        value["channels"] = json!(visible_channels(call, &file.channels));
        out.push(value);
    }
    Ok(json!({"ok": true, "files": out, "paging": paging}))
}

/// The channels a file was seen in that the token may see, in the server's spelling.
fn visible_channels(call: &Call, channels: &[ChannelId]) -> Vec<String> {
    let seen = channels.iter().filter(|id| call.scope.allows(id));
    seen.map(|id| call.directory.channels.get(id).map_or_else(|| id.to_string(), |facts| facts.api_id.clone()))
        .collect()
}

/// The comments of a file that still stand, oldest first.
fn standing_comments(web: &Web, call: &Call, file: &str) -> Result<Vec<(u64, Value)>, Refusal> {
    let comments = call.archive(web).comments(file)?;
    let standing = comments.iter().filter(|comment| !comment.is_gone()).filter_map(Item::latest);
    let read = |latest: &Version| json::parse(&latest.record.body).map(|body| (latest.seq.0, body));
    let mut out: Vec<(u64, Value)> = standing.filter_map(read).collect();
    out.sort_by_key(|(_, comment)| {
        (json::as_int(&comment["created"]).unwrap_or(0), comment["id"].as_str().unwrap_or_default().to_owned())
    });
    Ok(out)
}

/// `files.info`: a file and a page of its comments.
pub(super) fn info(web: &Web, call: &Call) -> Result<Value, Refusal> {
    let id = call.text("file").ok_or(Refusal::Code("file_not_found"))?;
    let found = call.archive(web).item(Kind::File, None, id)?.ok_or(Refusal::Code("file_not_found"))?;
    let latest = found.latest().ok_or(Refusal::Code("file_not_found"))?;
    let mut value = json::parse(&latest.record.body).unwrap_or_default();
    let channels = found.shared_in();
    if found.is_gone() {
        return Err(Refusal::Code("file_deleted"));
    }
    with_tickets(web, call, &mut value)?;
    let comments = standing_comments(web, call, id)?;
    value["comments_count"] = json!(comments.len());
    value["channels"] = json!(visible_channels(call, &channels));
    let (page, paging) = page_of(&comments, call.number("count", 100, 1000), call.number("page", 1, usize::MAX));
    let (shown, page): (Vec<u64>, Vec<Value>) = page.into_iter().unzip();
    call.shows(&found);
    call.shown.borrow_mut().extend(shown);
    Ok(json!({"ok": true, "file": value, "comments": page, "paging": paging}))
}

/// `files.download`: the bytes that a ticket opens, for the token it was minted for while that
/// holds. The ticket is enough; a token that is sent along must be the same.
pub(super) async fn download(
    web: &Web,
    from: Visit,
    parameters: &HashMap<String, String>,
    headers: &HeaderMap,
) -> Response {
    let ticket = parameters.get("ticket").map(String::as_str).unwrap_or_default();
    let Opened { content, name, holder } = match web.tickets().open(ticket, web.now()) {
        Ok(Some(found)) => found,
        Ok(None) => return download_error("invalid_ticket"),
        Err(()) => return download_error("ticket_expired"),
    };
    let sent = header_text(headers, &header::AUTHORIZATION)
        .and_then(|value| value.strip_prefix("Bearer "))
        .or_else(|| parameters.get("token").map(String::as_str));
    let is_foreign = sent.is_some_and(|secret| !secret.is_empty() && Digest::of(secret.as_bytes()) != holder);
    let access = web.access().clone();
    let token = match tokio::task::spawn_blocking(move || access.token_of(&holder)).await {
        Ok(Ok(Some(token))) if !is_foreign => token,
        _ => return download_error("invalid_ticket"),
    };
    let visit = Visit { content: Some(content.to_string()), ..asked(from, &token, "files.download", &HashMap::new()) };
    let sent = Sent { content: &content, name: &name, kind: "application/octet-stream", is_inline: false };
    if let Ok(response) = send_blob(web.blobs(), &sent, headers).await {
        return send(web, visit, response).await;
    }
    let error = Some("file_not_found".to_owned());
    send(web, Visit { error, ..visit }, download_error("file_not_found")).await
}
