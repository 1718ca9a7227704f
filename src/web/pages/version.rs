//! Leads to a version of what a record is about, by the number that its page gives it.

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::record::find;
use crate::web::desk::Desk;
use crate::web::error::{WebError, blocking};

/// The record of the version with this number.
pub(crate) async fn page(desk: Desk, Path((record, number)): Path<(String, String)>) -> Result<Response, WebError> {
    let seq = blocking(move || {
        let found = find(&desk, &format!("record:{record}"))?;
        let place = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        let readings = found.item.readings();
        place.and_then(|place| readings.get(place)).map(|reading| reading.seq).ok_or(WebError::NotFound)
    })
    .await?;
    Ok((StatusCode::SEE_OTHER, [(header::LOCATION, format!("/r/{seq}"))]).into_response())
}
