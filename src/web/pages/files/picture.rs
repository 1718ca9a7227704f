//! Pictures of files: copies that are made here, never the bytes that somebody sent.

use std::io::Read as _;

use axum::extract::{Path, Query};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};

use super::{Chosen, Sort, Wanted};
use crate::extract::{self, Preview, Unshown};
use crate::model::Digest;
use crate::web::copies::Copy;
use crate::web::desk::Desk;
use crate::web::error::{WebError, blocking};
use crate::web::visits::Told;

/// The longer side of a picture on a file's page, and of one in a list.
const LARGE: u32 = 1600;
const SMALL: u32 = 320;
/// Larger files are not opened for a picture.
const LARGEST: u64 = 64 << 20;

/// A copy for the page of a file.
pub(crate) async fn preview(
    desk: Desk,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, WebError> {
    copy(desk, id, wanted, LARGE).await
}

/// A copy for a list.
pub(crate) async fn thumbnail(
    desk: Desk,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, WebError> {
    copy(desk, id, wanted, SMALL).await
}

async fn copy(desk: Desk, id: String, wanted: Wanted, side: u32) -> Result<Response, WebError> {
    let shared = desk.clone();
    let content = blocking(move || {
        let chosen = Chosen::find(&shared, &id, &wanted)?;
        let content = chosen.content().ok_or(WebError::NotFound)?;
        if Sort::of(&shared, &content)?.is_picture() { Ok(content) } else { Err(WebError::NotFound) }
    })
    .await?;
    let known = desk.web().copies().get(&content, side);
    let copy = match known {
        Some(copy) => copy,
        None => made(&desk, content, side).await?,
    };
    let kind = copy.kind;
    let mut response = ([(header::CONTENT_TYPE, kind)], copy.bytes.clone()).into_response();
    response.extensions_mut().insert(Told { content: Some(content.to_string()), ..Told::default() });
    Ok(response)
}

/// Makes a copy, one at a time: a picture may take hundreds of megabytes while it is open.
async fn made(desk: &Desk, content: Digest, side: u32) -> Result<Copy, WebError> {
    let _permit = desk.web().copies().turn().await.map_err(|error| WebError::Internal(error.to_string()))?;
    // Whoever waited for the same one finds it made.
    if let Some(copy) = desk.web().copies().get(&content, side) {
        return Ok(copy);
    }
    let shared = desk.clone();
    let copy = blocking(move || {
        // What the readers of files made is as good, and they are confined.
        if side == SMALL
            && let Some(derived) = shared.web().derived()
            && let Some(bytes) = derived.thumbnail(&content)?
        {
            let kind = if bytes.starts_with(b"\x89PNG") { "image/png" } else { "image/jpeg" };
            return Ok(Copy { kind, bytes: bytes.into() });
        }
        let file = fs_err::File::open(shared.web().blobs().path(&content)).map_err(|_| WebError::NotFound)?;
        let mut bytes = Vec::new();
        file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|error| WebError::Internal(error.to_string()))?;
        if bytes.len() as u64 > LARGEST {
            return Err(WebError::NotFound);
        }
        // What was changed on the disk since it was fetched is not what was sent.
        if Digest::of(&bytes) != content {
            return Err(WebError::Damaged(content.to_string()));
        }
        match extract::preview(&bytes, side) {
            Ok(Preview { bytes, kind, .. }) => Ok(Copy { kind, bytes: bytes.into() }),
            Err(Unshown::Unsupported | Unshown::TooBig(_) | Unshown::Damaged(_)) => Err(WebError::NotFound),
        }
    })
    .await?;
    desk.web().copies().put(&content, side, copy.clone());
    Ok(copy)
}
