use std::borrow::Cow;
use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use crate::model::Digest;

struct Asset {
    name: &'static str,
    kind: &'static str,
    bytes: Cow<'static, [u8]>,
    hash: String,
}

/// A style sheet without what is there for its readers: comments, and the space around its signs. Nothing in it is in
/// quotes that would read otherwise without.
fn squeezed(sheet: &str) -> String {
    let mut bare = String::with_capacity(sheet.len());
    let mut rest = sheet;
    while let Some((before, after)) = rest.split_once("/*") {
        bare.push_str(before);
        rest = after.split_once("*/").map_or("", |(_, after)| after);
    }
    bare.push_str(rest);
    let mut short = bare.split_whitespace().collect::<Vec<_>>().join(" ");
    for (long, brief) in
        [(" {", "{"), ("{ ", "{"), ("; ", ";"), (" }", "}"), ("} ", "}"), (", ", ","), (": ", ":"), (" > ", ">")]
    {
        short = short.replace(long, brief);
    }
    short.replace(";}", "}")
}

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    let make = |name, kind, bytes: Cow<'static, [u8]>| Asset { name, kind, hash: Digest::of(&bytes).short(), bytes };
    let sheet = squeezed(include_str!("../../web/static/archive.css")).into_bytes();
    vec![
        make("archive.css", "text/css; charset=utf-8", sheet.into()),
        make(
            "archive.js",
            "text/javascript; charset=utf-8",
            include_bytes!("../../web/static/archive.js").as_slice().into(),
        ),
        make("icons.svg", "image/svg+xml", include_bytes!("../../web/static/icons.svg").as_slice().into()),
        make("favicon.svg", "image/svg+xml", include_bytes!("../../web/static/favicon.svg").as_slice().into()),
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

/// The address of the script, without which every page works, too.
pub(super) fn script_url() -> String {
    url("archive.js")
}

/// The address of the pictures, each of which is a symbol of one file.
pub(super) fn icons_url() -> String {
    url("icons.svg")
}

/// The description of the API for programs, which is the same for every archive and tells nothing of this one.
pub(super) async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], include_str!("../../schemas/openapi.json")).into_response()
}

/// A file of the interface. Its address holds its hash, so it may be kept for ever.
pub(super) async fn serve(Path((hash, name)): Path<(String, String)>) -> Response {
    match ASSETS.iter().find(|asset| asset.name == name && asset.hash == hash) {
        Some(asset) => (
            [(header::CONTENT_TYPE, asset.kind), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")],
            asset.bytes.as_ref(),
        )
            .into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

pub(super) async fn favicon() -> Response {
    let asset = ASSETS.iter().find(|asset| asset.name == "favicon.svg");
    asset.map_or_else(
        || StatusCode::NOT_FOUND.into_response(),
        |asset| ([(header::CONTENT_TYPE, asset.kind)], asset.bytes.as_ref()).into_response(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sheet_is_sent_without_what_only_its_readers_need() {
        let sheet =
            "/* Look. */\na > b, .c:hover { margin: 0 auto; width: calc(-1 * 2px); }\n@media print { d { e: f; } }\n";
        let short = "a>b,.c:hover{margin:0 auto;width:calc(-1 * 2px)}@media print{d{e:f}}";
        assert_eq!(squeezed(sheet), short);
    }

    #[test]
    fn sheet_and_script_weigh_little() {
        for (name, most) in [("archive.css", 20 * 1024), ("archive.js", 10 * 1024)] {
            let asset = ASSETS.iter().find(|asset| asset.name == name).unwrap();
            assert!(asset.bytes.len() <= most, "{name}: {} bytes", asset.bytes.len());
        }
    }
}
