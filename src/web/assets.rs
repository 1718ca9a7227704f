use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use crate::model::Digest;

struct Asset {
    name: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
    hash: String,
}

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    let make = |name, kind, bytes: &'static [u8]| Asset { name, kind, bytes, hash: Digest::of(bytes).short() };
    vec![
        make("archive.css", "text/css; charset=utf-8", include_bytes!("../../web/static/archive.css")),
        make("favicon.svg", "image/svg+xml", include_bytes!("../../web/static/favicon.svg")),
    ]
});

fn url(name: &str) -> String {
    let hash = ASSETS.iter().find(|asset| asset.name == name).map_or("", |asset| asset.hash.as_str());
    format!("/static/{hash}/{name}")
}

/// The address of the style sheet; it changes when the sheet does.
pub(super) fn css_url() -> String {
    url("archive.css")
}

/// A file of the interface. Its address holds its hash, so it may be kept for ever.
pub(super) async fn serve(Path((hash, name)): Path<(String, String)>) -> Response {
    match ASSETS.iter().find(|asset| asset.name == name && asset.hash == hash) {
        Some(asset) => (
            [(header::CONTENT_TYPE, asset.kind), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")],
            asset.bytes,
        )
            .into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

pub(super) async fn favicon() -> Response {
    let asset = ASSETS.iter().find(|asset| asset.name == "favicon.svg");
    asset.map_or_else(
        || StatusCode::NOT_FOUND.into_response(),
        |asset| ([(header::CONTENT_TYPE, asset.kind)], asset.bytes).into_response(),
    )
}
