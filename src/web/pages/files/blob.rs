//! The bytes of a version. They are hostile: a type only from our own list, sandboxed, and for saving unless they
//! are a picture that was asked for in place.

use axum::extract::{Path, Query};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;

use super::{Chosen, Sort, Wanted};
use crate::web::desk::Desk;
use crate::web::error::{WebError, blocking};
use crate::web::sending::{Sent, send_blob};
use crate::web::visits::Told;

/// Whether to look or to save.
#[derive(Debug, Deserialize)]
pub(crate) struct How {
    #[serde(default)]
    inline: String,
}

/// The bytes, as they were received.
pub(crate) async fn blob(
    desk: Desk,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
    Query(how): Query<How>,
    headers: HeaderMap,
) -> Result<Response, WebError> {
    let shared = desk.clone();
    let (content, name, sort) = blocking(move || {
        let chosen = Chosen::find(&shared, &id, &wanted)?;
        let content = chosen.content().ok_or(WebError::NotFound)?;
        Ok((content, chosen.name(), Sort::of(&shared, &content)?))
    })
    .await?;
    let sent = Sent {
        content: &content,
        name: &name,
        kind: sort.media_type(),
        is_inline: how.inline == "1" && sort.is_picture(),
    };
    let mut response = send_blob(desk.web().blobs(), &sent, &headers).await?;
    response.extensions_mut().insert(Told { content: Some(content.to_string()), ..Told::default() });
    Ok(response)
}
