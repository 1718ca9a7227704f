use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;

use super::record::find;
use super::view::{MessageView, Moment, message};
use super::{Shell, Viewer};
use crate::history::{Directory, Item, item};
use crate::model::{ChannelId, Digest, json};
use crate::query::PART_BREAK;
use crate::record::Kind;
use crate::store::{FIRST_SOURCE, ResultRow};
use crate::web::error::{WebError, blocking, render};
use crate::web::markup::{Change, Piece, encode, visible};
use crate::web::visits::Told;
use crate::web::{Web, teamchat};

/// Files of a page.
const PAGE: usize = 100;

#[derive(Template)]
#[template(path = "files.html")]
struct Files {
    shell: Shell,
    rows: Vec<Row>,
    total: usize,
    newer: Option<String>,
    older: Option<String>,
}

struct Row {
    href: String,
    name: String,
    size: String,
    user: String,
    created: Moment,
    channels: String,
    mark: &'static str,
}

/// Which page.
#[derive(Debug, Deserialize)]
pub(crate) struct Paging {
    #[serde(default)]
    from: usize,
}

fn text(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn size_text(bytes: i64) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{}.{} KiB", bytes / 1024, bytes % 1024 * 10 / 1024),
        _ => format!("{}.{} MiB", bytes / 1_048_576, bytes % 1_048_576 * 10 / 1_048_576),
    }
}

fn channel_names(channels: &[ChannelId], directory: &Directory, viewer: &Viewer) -> String {
    channels
        .iter()
        .filter(|id| viewer.scope.allows(id))
        .map(|id| visible(directory.channel(id)))
        .collect::<Vec<_>>()
        .join(", ")
}

/// The files in the reader's scope, newest first.
pub(crate) async fn list(
    State(web): State<Arc<Web>>,
    viewer: Viewer,
    Query(paging): Query<Paging>,
) -> Result<Response, WebError> {
    let page = blocking(move || {
        let directory = web.directory(&viewer.scope)?;
        let files = teamchat::all_files(&web.reader, &viewer.scope)?;
        let total = files.len();
        let mut rows = Vec::new();
        for file in files.iter().skip(paging.from).take(PAGE) {
            let value = &file.value;
            let created = chrono::DateTime::from_timestamp(file.created, 0).unwrap_or(chrono::DateTime::UNIX_EPOCH);
            rows.push(Row {
                href: format!("/f/{}", encode(&file.id)),
                name: visible(&text(value, "name")),
                size: size_text(json::as_int(&value["size"]).unwrap_or(0)),
                user: visible(directory.person(&text(value, "user"))),
                created: Moment::new(created, web.zone),
                channels: channel_names(&file.channels, &directory, &viewer),
                mark: match (file.is_gone, file.versions > 1) {
                    (true, _) => "gone from the server",
                    (false, true) => "several versions",
                    (false, false) => "",
                },
            });
        }
        let shell = Shell::new(&web, &viewer, "files", "Files");
        Ok(Files {
            shell,
            total,
            newer: (paging.from > 0).then(|| format!("/f?from={}", paging.from.saturating_sub(PAGE))),
            older: (paging.from.saturating_add(PAGE) < total).then(|| format!("/f?from={}", paging.from + PAGE)),
            rows,
        })
    })
    .await?;
    Ok(render(StatusCode::OK, &page))
}

#[derive(Template)]
#[template(path = "file.html")]
struct FilePage {
    shell: Shell,
    name: String,
    title: String,
    versions: Vec<FileVersion>,
    comments: Vec<MessageView>,
    gone: String,
    facts: Vec<(&'static str, String)>,
    preview: Option<String>,
    text: Option<String>,
}

struct FileVersion {
    number: usize,
    record: u64,
    observed: Moment,
    size: String,
    digest: String,
    href: Option<String>,
}

/// One file: versions, contents, comments.
pub(crate) async fn page(
    State(web): State<Arc<Web>>,
    viewer: Viewer,
    Path(id): Path<String>,
) -> Result<Response, WebError> {
    let page = blocking(move || build(&web, &viewer, &id)).await?;
    Ok(render(StatusCode::OK, &page))
}

fn build(web: &Web, viewer: &Viewer, id: &str) -> Result<FilePage, WebError> {
    let found = find(web, viewer, &format!("file:{id}"))?.item;
    let directory = web.directory(&viewer.scope)?;
    let latest = found.latest().ok_or(WebError::NotFound)?;
    let value = json::parse(&latest.record.body).unwrap_or_default();
    let mut versions = Vec::new();
    for (n, reading) in found.readings().into_iter().enumerate() {
        let value = json::parse(&reading.record.body).unwrap_or_default();
        let digest = reading.record.header.attachments.first().cloned();
        versions.push(FileVersion {
            number: n + 1,
            record: reading.seq.0,
            observed: Moment::parse(&reading.record.header.observed_at, web.zone),
            size: size_text(json::as_int(&value["size"]).unwrap_or(0)),
            href: digest.as_ref().map(|_| format!("/f/{}/blob?v={}", encode(id), n + 1)),
            digest: digest.unwrap_or_else(|| "not fetched".to_owned()),
        });
    }
    let name = visible(&text(&value, "name"));
    let mut facts = vec![
        ("id", id.to_owned()),
        ("uploaded by", visible(directory.person(&text(&value, "user")))),
        (
            "created",
            Moment::new(
                chrono::DateTime::from_timestamp(json::as_int(&value["created"]).unwrap_or(0), 0)
                    .unwrap_or(chrono::DateTime::UNIX_EPOCH),
                web.zone,
            )
            .full,
        ),
        ("shared in", channel_names(&found.shared_in(), &directory, viewer)),
        ("type, as the server says", text(&value, "pretty_type")),
    ];
    let newest = found.readings().len();
    let kind =
        latest.record.header.attachment_digests().first().map(|digest| sniff(web, digest)).transpose()?.flatten();
    let preview =
        kind.filter(|kind| kind.starts_with("image/")).map(|_| format!("/f/{}/blob?v={newest}&inline=1", encode(id)));
    let digest = latest.record.header.attachment_digests().first().copied();
    let read = match (web.derived(), &digest) {
        (Some(derived), Some(digest)) => derived.newest(digest)?,
        _ => None,
    };
    facts.push(("text for the search", reading_of(read.as_ref(), digest.is_some())));
    let shown = match &digest {
        Some(digest) if preview.is_none() => plain_text(web, digest)?,
        _ => None,
    };
    let shown = shown.or_else(|| read.map(|row| beginning(&row.text)).filter(|text| !text.trim().is_empty()));
    Ok(FilePage {
        shell: Shell::new(web, viewer, "files", name.clone()),
        title: visible(&text(&value, "title")),
        name,
        versions,
        comments: comments(web, &found, &directory)?,
        gone: if found.is_gone() { super::view::gone_sentence(&found, web.zone) } else { String::new() },
        facts,
        preview,
        text: shown,
    })
}

fn comments(web: &Web, file: &Item, directory: &Directory) -> Result<Vec<MessageView>, WebError> {
    let mut found = Vec::new();
    for (key, _) in web.reader.newest_under(Kind::Comment, FIRST_SOURCE, None, &format!("{}/", file.key))? {
        let Some(comment) = item(&web.reader, Kind::Comment, FIRST_SOURCE, None, &key)? else { continue };
        if let Some(latest) = comment.latest() {
            found.push(message(&comment, latest, directory, web.zone, None));
        }
    }
    found.sort_by(|a, b| (&a.at.iso, a.record).cmp(&(&b.at.iso, b.record)));
    Ok(found)
}

/// What the bytes are, when they are of a type that may be shown in a page.
fn sniff(web: &Web, digest: &Digest) -> Result<Option<&'static str>, WebError> {
    let path = web.blobs.path(digest);
    let mut head = vec![0; 64];
    let Ok(mut file) = fs_err::File::open(path) else { return Ok(None) };
    let count = std::io::Read::read(&mut file, &mut head).map_err(|error| WebError::Internal(error.to_string()))?;
    let kind = infer::get(&head[..count]).map(|kind| kind.mime_type());
    Ok(kind.filter(|kind| matches!(*kind, "image/png" | "image/jpeg" | "image/gif" | "image/webp" | "application/pdf")))
}

/// What became of reading a file's text, in words.
fn reading_of(read: Option<&ResultRow>, is_here: bool) -> String {
    let Some(row) = read else {
        return if is_here { "not read yet: found by its name" } else { "the file is not here: found by its name" }
            .to_owned();
    };
    let outcome = match row.status.as_str() {
        "ok" => "read",
        "partial" => "read in part",
        "encrypted" => "not readable: encrypted",
        "unsupported" => "not readable: no reader for this kind of file",
        "timeout" => "not read to the end: it took too long",
        "too_big" => "not read to the end: too big",
        _ => "not readable",
    };
    let detail = row.detail.as_deref().map(|detail| format!("; {}", visible(detail))).unwrap_or_default();
    let cut = if row.is_truncated { "; its end is cut off" } else { "" };
    format!("{outcome}, by {}{detail}{cut}", visible(&row.engine))
}

/// The beginning of what was read in a file.
fn beginning(text: &str) -> String {
    let text = text.replace(PART_BREAK, "\n");
    let end = text.char_indices().nth(SHOWN_TEXT).map_or(text.len(), |(end, _)| end);
    let shown: Vec<String> = text[..end].lines().map(|line| visible(&line.replace('\t', "    "))).collect();
    let more = if end < text.len() { "\n[the rest is in the download]" } else { "" };
    format!("{}{more}", shown.join("\n"))
}

/// Characters of a file's text that a page shows.
const SHOWN_TEXT: usize = 64 * 1024;

/// A file of plain text, its beginning, for reading in the page.
fn plain_text(web: &Web, digest: &Digest) -> Result<Option<String>, WebError> {
    const LONGEST: u64 = SHOWN_TEXT as u64;
    let Ok(file) = fs_err::File::open(web.blobs.path(digest)) else { return Ok(None) };
    let size = file.metadata().map_err(|error| WebError::Internal(error.to_string()))?.len();
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut std::io::Read::take(file, LONGEST), &mut bytes)
        .map_err(|error| WebError::Internal(error.to_string()))?;
    let text = match std::str::from_utf8(&bytes) {
        Ok(text) => text,
        // The limit may have cut a character in two.
        Err(error) if size > LONGEST && error.error_len().is_none() => {
            std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return Ok(None),
    };
    let is_text = !text.is_empty() && !text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'));
    let more = if size > LONGEST { "\n[the rest is in the download]" } else { "" };
    Ok(is_text.then(|| format!("{text}{more}")))
}

/// Which version, and how.
#[derive(Debug, Deserialize)]
pub(crate) struct Wanted {
    v: Option<usize>,
    inline: Option<u8>,
}

/// The bytes of a version. They are hostile: a type only from our own list, sandboxed, and saved
/// unless they are an image asked for inline.
pub(crate) async fn blob(
    State(web): State<Arc<Web>>,
    viewer: Viewer,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Result<Response, WebError> {
    let shared = Arc::clone(&web);
    let (digest, name, kind) = blocking(move || {
        let found = find(&shared, &viewer, &format!("file:{id}"))?.item;
        let readings = found.readings();
        let number = wanted.v.unwrap_or(readings.len()).checked_sub(1).ok_or(WebError::NotFound)?;
        let reading = readings.get(number).ok_or(WebError::NotFound)?;
        let digest = reading.record.header.attachment_digests().first().copied().ok_or(WebError::NotFound)?;
        let value = json::parse(&reading.record.body).unwrap_or_default();
        let kind = sniff(&shared, &digest)?;
        Ok((digest, text(&value, "name"), kind))
    })
    .await?;
    let inline = wanted.inline == Some(1) && kind.is_some_and(|kind| kind.starts_with("image/"));
    let mut response =
        teamchat::send_blob(&web.blobs, &digest, &name, kind.unwrap_or("application/octet-stream"), inline, &headers)
            .await?;
    let policy = "sandbox; default-src 'none'; style-src 'unsafe-inline'";
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, header::HeaderValue::from_static(policy));
    response.extensions_mut().insert(Told { content: Some(digest.to_string()), ..Told::default() });
    Ok(response)
}
