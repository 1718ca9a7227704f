use std::collections::HashMap;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

use super::tickets::Opened;
use super::{Call, Refusal, asked, download_error, header_text, page_of, send};
use crate::history::{Item, item};
use crate::model::{ChannelId, Digest, Scope, json};
use crate::record::{Kind, Visit};
use crate::store::{Blobs, Change, FIRST_SOURCE, Reader};
use crate::web::Web;
use crate::web::error::WebError;
use crate::web::markup::encode;

/// A file as it last was.
#[derive(Debug, Clone)]
pub(in crate::web) struct FileObject {
    pub(in crate::web) id: String,
    pub(in crate::web) value: Value,
    pub(in crate::web) created: i64,
    pub(in crate::web) is_gone: bool,
    pub(in crate::web) versions: usize,
    pub(in crate::web) channels: Vec<ChannelId>,
}

/// All files in scope, newest first.
pub(in crate::web) fn all_files(reader: &Reader, scope: &Scope) -> Result<Vec<FileObject>, crate::store::Error> {
    let mut out = Vec::new();
    for (id, row) in reader.newest(Kind::File)? {
        let is_gone = row.change == Change::Gone;
        let Some(found) = item(reader, Kind::File, FIRST_SOURCE, None, &id)? else { continue };
        let channels = found.shared_in();
        let value = found.latest().and_then(|latest| json::parse(&latest.record.body));
        let Some(value) = value.filter(|_| scope.allows_any(&channels)) else { continue };
        out.push(FileObject {
            created: json::as_int(&value["created"]).unwrap_or(0),
            id,
            value,
            is_gone,
            versions: found.readings().len(),
            channels,
        });
    }
    out.sort_by(|a, b| (b.created, &b.id).cmp(&(a.created, &a.id)));
    Ok(out)
}

/// Puts addresses of this archive, with tickets for this token, where the server's were.
pub(super) fn with_tickets(web: &Web, call: &Call, file: &mut Value) -> Result<(), Refusal> {
    let Some(id) = file["id"].as_str() else { return Ok(()) };
    let found = item(&web.reader, Kind::File, FIRST_SOURCE, None, id)?;
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
            let ticket = web.tickets.mint(&content, &name, &call.bearer, web.clock.now());
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
    let files: Vec<FileObject> = all_files(&web.reader, &call.scope)?
        .into_iter()
        .filter(|file| !file.is_gone)
        .filter(|file| channel.as_ref().is_none_or(|channel| file.channels.contains(channel)))
        .filter(|file| from.is_none_or(|from| file.created >= from) && to.is_none_or(|to| file.created <= to))
        .filter(|file| user.is_none_or(|user| file.value["user"].as_str() == Some(user)))
        .collect();
    let (page, paging) = page_of(&files, call.number("count", 100, 1000), call.number("page", 1, usize::MAX));
    let mut out = Vec::new();
    for file in page {
        let mut value = file.value;
        with_tickets(web, call, &mut value)?;
        value["comments_count"] = json!(standing_comments(web, &file.id)?.len());
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
fn standing_comments(web: &Web, file: &str) -> Result<Vec<Value>, Refusal> {
    let mut out = Vec::new();
    for (_, row) in web.reader.newest_under(Kind::Comment, FIRST_SOURCE, None, &format!("{file}/"))? {
        if row.change != Change::Gone {
            out.extend(json::parse(&web.reader.record(row.seq)?.body));
        }
    }
    out.sort_by_key(|comment| {
        (json::as_int(&comment["created"]).unwrap_or(0), comment["id"].as_str().unwrap_or_default().to_owned())
    });
    Ok(out)
}

/// `files.info`: a file and a page of its comments.
pub(super) fn info(web: &Web, call: &Call) -> Result<Value, Refusal> {
    let id = call.text("file").ok_or(Refusal::Code("file_not_found"))?;
    let found = item(&web.reader, Kind::File, FIRST_SOURCE, None, id)?.ok_or(Refusal::Code("file_not_found"))?;
    let latest = found.latest().ok_or(Refusal::Code("file_not_found"))?;
    let mut value = json::parse(&latest.record.body).unwrap_or_default();
    let channels = found.shared_in();
    if !call.scope.allows_any(&channels) {
        return Err(Refusal::Code("file_not_found"));
    }
    if found.is_gone() {
        return Err(Refusal::Code("file_deleted"));
    }
    with_tickets(web, call, &mut value)?;
    let comments = standing_comments(web, id)?;
    value["comments_count"] = json!(comments.len());
    value["channels"] = json!(visible_channels(call, &channels));
    let (page, paging) = page_of(&comments, call.number("count", 100, 1000), call.number("page", 1, usize::MAX));
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
    let Opened { content, name, holder } = match web.tickets.open(ticket, web.clock.now()) {
        Ok(Some(found)) => found,
        Ok(None) => return download_error("invalid_ticket"),
        Err(()) => return download_error("ticket_expired"),
    };
    let sent = header_text(headers, &header::AUTHORIZATION)
        .and_then(|value| value.strip_prefix("Bearer "))
        .or_else(|| parameters.get("token").map(String::as_str));
    let is_foreign = sent.is_some_and(|secret| !secret.is_empty() && Digest::of(secret.as_bytes()) != holder);
    let token = match web.access.token_of(&holder) {
        Ok(Some(token)) if !is_foreign => token,
        _ => return download_error("invalid_ticket"),
    };
    let visit = Visit { content: Some(content.to_string()), ..asked(from, &token, "files.download", &HashMap::new()) };
    let sent = send_blob(&web.blobs, &content, &name, "application/octet-stream", false, headers).await;
    if let Ok(response) = sent {
        return send(web, visit, response).await;
    }
    let error = Some("file_not_found".to_owned());
    send(web, Visit { error, ..visit }, download_error("file_not_found")).await
}

/// The first and last byte of a `Range` over `size` bytes; `None` for no usable range, `Err` for
/// one outside the content (RFC 9110 section 14).
fn range(text: Option<&str>, size: u64) -> Result<Option<(u64, u64)>, ()> {
    let Some((first, last)) = text
        .and_then(|text| text.strip_prefix("bytes="))
        .filter(|text| !text.contains(','))
        .and_then(|text| text.split_once('-'))
    else {
        return Ok(None);
    };
    let found = match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => (first, last.min(size.saturating_sub(1))),
        (Ok(first), Err(_)) if last.trim().is_empty() => (first, size.saturating_sub(1)),
        (Err(_), Ok(count)) if first.trim().is_empty() && count > 0 => {
            (size.saturating_sub(count), size.saturating_sub(1))
        }
        _ => return Ok(None),
    };
    if found.0 < size { Ok(Some(found)) } else { Err(()) }
}

/// Streams a content with its name (RFC 6266), whole or in part. Its ETag is its SHA-256.
pub(in crate::web) async fn send_blob(
    blobs: &Blobs,
    content: &Digest,
    name: &str,
    kind: &'static str,
    inline: bool,
    headers: &HeaderMap,
) -> Result<Response, WebError> {
    let mut file = tokio::fs::File::open(blobs.path(content)).await.map_err(|_| WebError::NotFound)?;
    let size = file.metadata().await.map_err(|error| WebError::Internal(error.to_string()))?.len();
    let tag = format!("\"{content}\"");
    let asked = header_text(headers, &header::RANGE)
        .filter(|_| header_text(headers, &header::IF_RANGE).is_none_or(|given| given == tag));
    let (status, first, length) = match range(asked, size) {
        Err(()) => {
            let mut response = StatusCode::RANGE_NOT_SATISFIABLE.into_response();
            response.headers_mut().insert(
                header::CONTENT_RANGE,
                HeaderValue::from_str(&format!("bytes */{size}"))
                    .map_err(|error| WebError::Internal(error.to_string()))?,
            );
            return Ok(response);
        }
        Ok(None) => (StatusCode::OK, 0, size),
        Ok(Some((first, last))) => (StatusCode::PARTIAL_CONTENT, first, last - first + 1),
    };
    file.seek(std::io::SeekFrom::Start(first)).await.map_err(|error| WebError::Internal(error.to_string()))?;
    let body = Body::from_stream(ReaderStream::new(file.take(length)));
    let plain: String = name
        .chars()
        .map(|c| if c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '/' | '%') || c == ' ' { c } else { '_' })
        .collect();
    let how = if inline { "inline" } else { "attachment" };
    let disposition = format!("{how}; filename=\"{plain}\"; filename*=UTF-8''{}", encode(name));
    let mut response = (status, [(header::CONTENT_TYPE, kind)], body).into_response();
    let mut set = |name, text: &str| {
        if let Ok(value) = HeaderValue::from_str(text) {
            response.headers_mut().insert(name, value);
        }
    };
    set(header::CONTENT_DISPOSITION, &disposition);
    set(header::CONTENT_LENGTH, &length.to_string());
    set(header::ETAG, &tag);
    set(header::ACCEPT_RANGES, "bytes");
    if status == StatusCode::PARTIAL_CONTENT {
        set(header::CONTENT_RANGE, &format!("bytes {first}-{}/{size}", first + length - 1));
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::range;

    #[test]
    fn ranges_as_clients_send_them() {
        for (text, expected) in [
            (None, Ok(None)),
            (Some("bytes=0-3"), Ok(Some((0, 3)))),
            (Some("bytes=5-"), Ok(Some((5, 9)))),
            (Some("bytes=-4"), Ok(Some((6, 9)))),
            (Some("bytes=2-99"), Ok(Some((2, 9)))),
            (Some("bytes=10-"), Err(())),
            (Some("bytes=3-1"), Ok(None)),
            (Some("bytes=0-1,4-5"), Ok(None)),
            (Some("items=0-1"), Ok(None)),
        ] {
            assert_eq!(range(text, 10), expected, "{text:?}");
        }
    }
}
