use axum::Form;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;

use crate::model::Zone;
use crate::web::desk::{Desk, KEYS, THEME, ZONE};
use crate::web::error::WebError;
use crate::web::signin::local_path;

/// How somebody likes to see pages.
#[derive(Debug, Deserialize)]
pub(crate) struct Look {
    #[serde(default)]
    tz: String,
    #[serde(default)]
    theme: String,
    #[serde(default)]
    keys: String,
    #[serde(default)]
    back: String,
}

/// Keeps the zone, the colours and whether keys work in cookies, and goes back.
pub(crate) async fn set(desk: Desk, Form(look): Form<Look>) -> Result<Response, WebError> {
    let zone = Zone::parse(look.tz.trim()).ok_or_else(|| WebError::Bad(desk.w.with("look-no-zone", &look.tz)))?;
    let theme = if ["light", "dark"].contains(&look.theme.as_str()) { look.theme.as_str() } else { "" };
    let keys = if look.keys.is_empty() { "off" } else { "" };
    let mut response = StatusCode::SEE_OTHER.into_response();
    let back = HeaderValue::from_str(&without_zone(local_path(&look.back)));
    response.headers_mut().insert(header::LOCATION, back.unwrap_or_else(|_| HeaderValue::from_static("/")));
    for (name, value) in [(ZONE, zone.name()), (THEME, theme), (KEYS, keys)] {
        let age = if value.is_empty() { 0 } else { 365 * 24 * 3600 };
        let cookie = format!("{name}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax");
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
    Ok(response)
}

/// An address without the zone that it names: one that was chosen would not be seen.
pub(super) fn without_zone(address: &str) -> String {
    let Some((path, query)) = address.split_once('?') else { return address.to_owned() };
    let kept: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with("tz=") && !pair.is_empty()).collect();
    if kept.is_empty() { path.to_owned() } else { format!("{path}?{}", kept.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_zone_of_an_address_gives_way() {
        for (address, left) in [
            ("/c", "/c"),
            ("/c/x?tz=UTC", "/c/x"),
            ("/search?q=a&tz=Europe%2FPrague&sort=newest", "/search?q=a&sort=newest"),
            ("/search?q=tz%3D", "/search?q=tz%3D"),
        ] {
            assert_eq!(without_zone(address), left, "{address}");
        }
    }
}
