//! Sends contents of files. They are hostile: whatever a browser makes of one, it runs nothing, reaches nothing,
//! and is saved under a name that says what it is.

use std::path::Path;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use futures_util::stream::{Stream, StreamExt as _, try_unfold};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

use super::error::WebError;
use super::markup::{encode, is_unseen};
use crate::model::Digest;
use crate::store::Blobs;

/// For a browser that shows a content in spite of everything: in an origin of its own, without scripts, forms,
/// or a way to any address.
const POLICY: &str = "sandbox; default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// Longer names are cut before their ending.
const LONGEST_NAME: usize = 240;
/// Bytes that are read at once.
const CHUNK: usize = 64 << 10;

/// A content, and how it is to be taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent<'a> {
    pub(super) content: &'a Digest,
    /// The name that somebody gave it.
    pub(super) name: &'a str,
    pub(super) kind: &'static str,
    /// To be shown in place, and not saved.
    pub(super) is_inline: bool,
}

/// Streams a content with its name (RFC 6266), whole or in part. Its ETag is its SHA-256. What is on the disk is
/// held against that while it is sent: of a content that is not what it was, the end never comes.
pub(super) async fn send_blob(blobs: &Blobs, sent: &Sent<'_>, headers: &HeaderMap) -> Result<Response, WebError> {
    send_file(&blobs.path(sent.content), sent, headers).await
}

/// The same, of a file that lies elsewhere and has that digest.
pub(super) async fn send_file(path: &Path, sent: &Sent<'_>, headers: &HeaderMap) -> Result<Response, WebError> {
    let content = *sent.content;
    let mut file = tokio::fs::File::open(path).await.map_err(|_| WebError::NotFound)?;
    let internal = |error: std::io::Error| WebError::Internal(error.to_string());
    let size = file.metadata().await.map_err(internal)?.len();
    let tag = format!("\"{content}\"");
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let asked = text(&header::RANGE).filter(|_| text(&header::IF_RANGE).is_none_or(|given| given == tag));
    let (status, first, length) = match range(asked, size) {
        Err(()) => {
            let mut response = StatusCode::RANGE_NOT_SATISFIABLE.into_response();
            set(&mut response, header::CONTENT_RANGE, &format!("bytes */{size}"));
            return Ok(response);
        }
        Ok(None) => (StatusCode::OK, 0, size),
        Ok(Some((first, last))) => (StatusCode::PARTIAL_CONTENT, first, last - first + 1),
    };
    file.seek(std::io::SeekFrom::Start(first)).await.map_err(internal)?;
    let stream = ReaderStream::with_capacity(file.take(length), CHUNK);
    let body = if length == size { Body::from_stream(checked(stream, content)) } else { Body::from_stream(stream) };
    let how = if sent.is_inline { "inline" } else { "attachment" };
    let mut response = (status, [(header::CONTENT_TYPE, sent.kind)], body).into_response();
    set(&mut response, header::CONTENT_DISPOSITION, &disposition(how, sent.name));
    set(&mut response, header::CONTENT_LENGTH, &length.to_string());
    set(&mut response, header::ETAG, &tag);
    set(&mut response, header::ACCEPT_RANGES, "bytes");
    set(&mut response, header::CONTENT_SECURITY_POLICY, POLICY);
    // RFC 9530: of the whole, whichever part is sent.
    let digest = format!("sha-256=:{}:", BASE64.encode(content.0));
    set(&mut response, HeaderName::from_static("repr-digest"), &digest);
    if status == StatusCode::PARTIAL_CONTENT {
        set(&mut response, header::CONTENT_RANGE, &format!("bytes {first}-{}/{size}", first + length - 1));
    }
    Ok(response)
}

fn set(response: &mut Response, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        response.headers_mut().insert(name, value);
    }
}

/// Passes a whole content on, its last piece only when all of it has the digest that it should.
fn checked<S>(stream: S, content: Digest) -> impl Stream<Item = std::io::Result<Bytes>>
where
    S: Stream<Item = std::io::Result<Bytes>> + Unpin,
{
    try_unfold(Some((stream, Sha256::new(), None::<Bytes>)), move |state| async move {
        let Some((mut stream, mut hash, mut held)) = state else { return Ok(None) };
        while let Some(piece) = stream.next().await.transpose()? {
            hash.update(&piece);
            if let Some(before) = held.replace(piece) {
                return Ok(Some((before, Some((stream, hash, held)))));
            }
        }
        if Digest(hash.finalize().into()) == content {
            return Ok(held.map(|last| (last, None)));
        }
        tracing::error!(%content, "a file's content on the disk is not what it was; `teamchat-archive verify` tells more");
        Err(std::io::Error::other("the content is damaged"))
    })
}

/// How a content is to be taken, with a name in both forms: for readers of plain ASCII, and as it is.
fn disposition(how: &str, name: &str) -> String {
    let name = saved_name(name);
    let plain: String =
        name.chars().map(|c| if c.is_ascii_graphic() && c != '%' || c == ' ' { c } else { '_' }).collect();
    format!("{how}; filename=\"{plain}\"; filename*=UTF-8''{}", encode(&name))
}

/// A name to save something under. What would be a path, a command, or another name to the eye than to the
/// system is a `_`.
fn saved_name(name: &str) -> String {
    let is_odd = |c: char| c.is_control() || is_unseen(c) || "/\\:*?\"<>|".contains(c);
    let name: String = name.chars().map(|c| if is_odd(c) { '_' } else { c }).collect();
    let name = name.trim_matches(|c: char| c == '.' || c.is_whitespace());
    if name.is_empty() {
        return "file".to_owned();
    }
    if name.len() <= LONGEST_NAME {
        return name.to_owned();
    }
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    let ending = if (1..=12).contains(&ending.len()) { format!(".{ending}") } else { String::new() };
    let mut end = LONGEST_NAME - ending.len();
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{ending}", &name[..end])
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

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn a_file_is_saved_under_a_name_that_says_what_it_is() {
        for (name, saved) in [
            ("plan.pdf", "plan.pdf"),
            ("žluťoučký kůň.txt", "žluťoučký kůň.txt"),
            ("../../etc/passwd", "_.._etc_passwd"),
            ("a\"b\r\nX-Bad: 1;\\c.txt", "a_b__X-Bad_ 1;_c.txt"),
            ("invoice\u{202e}gpj.exe", "invoice_gpj.exe"),
            ("zero\u{200b}width\u{feff}.txt", "zero_width_.txt"),
            (".htaccess", "htaccess"),
            ("name. ", "name"),
            ("..", "file"),
            ("", "file"),
        ] {
            assert_eq!(saved_name(name), saved, "{name:?}");
        }
        let long = saved_name(&format!("{}.docx", "ř".repeat(300)));
        assert!(long.len() <= LONGEST_NAME && long.ends_with("ř.docx"), "{long}");
    }

    #[test]
    fn a_name_ends_no_header_and_no_quote() {
        for name in ["a\"; filename=\"b.exe", "a\r\nSet-Cookie: x=y", "50% off.txt", "\u{202e}", "a;b='c'.txt", "ň"] {
            let header = disposition("attachment", name);
            assert!(HeaderValue::from_str(&header).is_ok(), "{header:?}");
            assert_eq!(header.matches('"').count(), 2, "{header}");
            let (plain, encoded) = header.split_once("; filename*=UTF-8''").unwrap();
            assert!(encoded.chars().all(|c| c.is_ascii_alphanumeric() || c == '%'), "{encoded}");
            assert!(plain.starts_with("attachment; filename=\"") && !plain.contains('%'), "{plain}");
        }
    }

    #[tokio::test]
    async fn a_content_that_is_not_what_it_was_never_ends_well() {
        let pieces = || futures_util::stream::iter([b"one ", b"two "].map(|piece| Ok(Bytes::from_static(piece))));
        let whole: Vec<_> = checked(pieces(), Digest::of(b"one two ")).collect().await;
        assert!(whole.iter().all(Result::is_ok) && whole.len() == 2);
        let damaged: Vec<_> = checked(pieces(), Digest::of(b"one too ")).collect().await;
        assert!(damaged.len() == 2 && damaged[0].is_ok() && damaged[1].is_err());
        let empty: Vec<_> = checked(futures_util::stream::empty(), Digest::of(b"")).collect().await;
        assert!(empty.is_empty());
    }
}
