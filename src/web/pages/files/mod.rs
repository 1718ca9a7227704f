//! Files: the list, a page for each, what was read in it, pictures of it, its bytes.
//!
//! What people send each other is hostile until the opposite is known, and it never is. So a page shows a picture
//! only as a copy that was made here, and a text only as text; the bytes themselves are for saving (`blob`).

mod blob;
mod list;
mod page;
mod picture;
mod text;

use serde::Deserialize;
use serde_json::Value;

pub(crate) use blob::blob;
pub(crate) use list::list;
pub(crate) use page::page;
pub(crate) use picture::{preview, thumbnail};
pub(crate) use text::text;

use super::record::find;
use super::view::Moment;
use crate::history::{AsOf, Item, Version, item_at};
use crate::model::{Digest, json, parse_time};
use crate::web::desk::Desk;
use crate::web::error::WebError;
use crate::web::markup::encode;
use crate::web::words::Words;

/// Which version is asked for: by its number, else by a moment.
#[derive(Debug, Deserialize)]
pub(crate) struct Wanted {
    v: Option<usize>,
    asof: Option<String>,
}

/// One version of a file.
struct Chosen {
    item: Item,
    /// From 1.
    number: usize,
    /// How it reads.
    reading: Version,
    /// What the server said of it.
    value: Value,
    /// How it comes that this one is shown, when a moment was asked for; else empty.
    then: String,
}

impl Chosen {
    /// The version that is wanted, else the last.
    fn find(desk: &Desk, id: &str, wanted: &Wanted) -> Result<Self, WebError> {
        let item = find(desk, &format!("file:{id}"))?.item;
        let readings = item.readings();
        let (number, then) = match (wanted.v, wanted.asof.as_deref().map(str::trim)) {
            (Some(number), _) => (number, String::new()),
            (None, None | Some("")) => (readings.len(), String::new()),
            (None, Some(text)) => {
                let time = parse_time(text, desk.zone)
                    .ok_or_else(|| WebError::Bad(desk.w.with("as-of-no-time-named", text)))?;
                let at = Moment::new(time, desk.zone).full;
                match item_at(&item, AsOf::Time(time)) {
                    None => (1, desk.w.with("file-then-not-there", at)),
                    Some(stood) => {
                        let place = readings.iter().position(|reading| reading.seq == stood.reading.seq).unwrap_or(0);
                        let seen = Moment::parse(&stood.reading.record.header.observed_at, desk.zone).full;
                        let then = match (&stood.gone, stood.is_later) {
                            (Some(_), _) => desk.w.with("file-then-gone", at),
                            (None, true) => desk.w.with_two("file-then-first-seen-later", at, seen),
                            (None, false) => desk.w.with_two("file-then", at, seen),
                        };
                        (place + 1, then)
                    }
                }
            }
        };
        let reading = number.checked_sub(1).and_then(|place| readings.get(place).copied());
        let reading = reading.ok_or(WebError::NotFound)?.clone();
        let value = json::parse(&reading.record.body).unwrap_or_default();
        Ok(Self { item, number, reading, value, then })
    }

    /// Its content, if it was fetched.
    fn content(&self) -> Option<Digest> {
        content_of(&self.reading)
    }

    fn name(&self) -> String {
        text_at(&self.value, "name")
    }
}

fn content_of(reading: &Version) -> Option<Digest> {
    reading.record.header.attachment_digests().first().copied()
}

fn text_at(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Where a file is shown.
fn href(id: &str) -> String {
    format!("/f/{}", encode(id))
}

fn size_text(w: &Words, bytes: i64) -> String {
    match bytes {
        ..1024 => w.count("size-bytes", bytes.max(0)),
        1024..1_048_576 => w.with("size-kib", format!("{}.{}", bytes / 1024, bytes % 1024 * 10 / 1024)),
        _ => w.with("size-mib", format!("{}.{}", bytes / 1_048_576, bytes % 1_048_576 * 10 / 1_048_576)),
    }
}

/// What bytes are, by our own look at them. What is not in this list has no type: neither the server's word nor
/// the name's ending counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Png,
    Jpeg,
    Gif,
    WebP,
    Pdf,
    Other,
}

impl Sort {
    /// Looks at a content. What is not there is of no type.
    fn of(desk: &Desk, digest: &Digest) -> Result<Self, WebError> {
        let mut head = [0; 64];
        let Ok(mut file) = fs_err::File::open(desk.web().blobs().path(digest)) else { return Ok(Self::Other) };
        let count = std::io::Read::read(&mut file, &mut head).map_err(|error| WebError::Internal(error.to_string()))?;
        Ok(Self::of_bytes(&head[..count]))
    }

    fn of_bytes(head: &[u8]) -> Self {
        match infer::get(head).map(|kind| kind.mime_type()) {
            Some("image/png") => Self::Png,
            Some("image/jpeg") => Self::Jpeg,
            Some("image/gif") => Self::Gif,
            Some("image/webp") => Self::WebP,
            Some("application/pdf") => Self::Pdf,
            _ => Self::Other,
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Gif => "image/gif",
            Self::WebP => "image/webp",
            Self::Pdf => "application/pdf",
            Self::Other => "application/octet-stream",
        }
    }

    fn is_picture(self) -> bool {
        matches!(self, Self::Png | Self::Jpeg | Self::Gif | Self::WebP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_what_the_bytes_begin_with_and_on_the_list() {
        for (head, sort) in [
            (&b"\x89PNG\r\n\x1a\n\0\0"[..], Sort::Png),
            (b"\xff\xd8\xff\xe0\0\x10JFIF", Sort::Jpeg),
            (b"GIF89a\x01\0\x01\0", Sort::Gif),
            (b"RIFF\x24\0\0\0WEBPVP8 ", Sort::WebP),
            (b"%PDF-1.7\n", Sort::Pdf),
            (b"<html><script>alert(1)</script>", Sort::Other),
            (b"<?xml version='1.0'?><svg/>", Sort::Other),
            (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", Sort::Other),
            (b"MZ\x90\0", Sort::Other),
            (b"", Sort::Other),
        ] {
            assert_eq!(Sort::of_bytes(head), sort, "{:?}", String::from_utf8_lossy(head));
        }
        assert_eq!(Sort::Other.media_type(), "application/octet-stream");
    }

    #[test]
    fn sizes_are_for_reading() {
        let w = crate::web::words::words();
        for (bytes, text) in
            [(0, "0 bytes"), (1, "1 byte"), (1023, "1,023 bytes"), (1024, "1.0 KiB"), (217_088, "212.0 KiB")]
        {
            assert_eq!(size_text(w, bytes), text);
        }
        assert_eq!(size_text(w, 3 << 30), "3072.0 MiB");
    }
}
