//! The child's side: walls first, then one file, one reply, and the end.
//!
//! The request is the first line on stdin, as JSON, and the file's bytes follow it to the end: a name is content, so it
//! stands in no argument and no environment variable, and the child holds no open file of the archive. The reply is a
//! line of JSON on stdout, then the text, the thumbnail and the pictures, with the lengths that the line says.

use std::io::{self, BufRead, Read as _, Write};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::Status;
use super::confine::{self, Confinement, Refusal};
use super::formats;
use super::output::{Limits, Output};

/// Bytes that the first line may have, either way.
pub(super) const LINE_BYTES: u64 = 64 << 10;

/// What the parent asks.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) name: String,
    pub(super) mime: String,
    pub(super) file_bytes: u64,
    pub(super) limits: Limits,
}

/// What the child answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reply {
    /// It could not confine itself, and read nothing.
    Refused(String),
    /// What it read; the bytes follow.
    Read(Header),
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) status: Status,
    pub(super) engine: String,
    pub(super) notes: Vec<String>,
    pub(super) charset: Option<String>,
    pub(super) pages: Option<u32>,
    pub(super) is_truncated: bool,
    pub(super) text_bytes: usize,
    pub(super) thumbnail_bytes: Option<usize>,
    pub(super) picture_bytes: Vec<usize>,
}

/// Where a reader last panicked; the message is left out, since it may hold what the file holds.
static LAST_FAULT: Mutex<Option<String>> = Mutex::new(None);

/// Takes the place where a reader last panicked.
pub(super) fn last_fault() -> Option<String> {
    LAST_FAULT.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Confines this process for good, reads one request and one file from `input`, and answers on `output`.
pub fn serve(input: &mut impl BufRead, output: &mut impl Write) -> io::Result<()> {
    if let Err(why) = confine::confine() {
        serde_json::to_writer(&mut *output, &Reply::Refused(why))?;
        output.write_all(b"\n")?;
        return output.flush();
    }
    std::panic::set_hook(Box::new(|fault| {
        let place = fault.location().map(|place| format!("({}:{})", file_name(place.file()), place.line()));
        *LAST_FAULT.lock().unwrap_or_else(PoisonError::into_inner) = place;
    }));
    let mut line = Vec::new();
    input.take(LINE_BYTES).read_until(b'\n', &mut line)?;
    let request: Request = serde_json::from_slice(&line)?;
    let mut bytes = Vec::new();
    // Exactly as much as the parent told of: growing step by step would take it twice.
    bytes.try_reserve_exact(usize::try_from(request.file_bytes).unwrap_or(usize::MAX)).map_err(io::Error::other)?;
    input.take(request.file_bytes).read_to_end(&mut bytes)?;
    answer(&request, &bytes, output)
}

/// A source file's name without the folders of whoever built it.
fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

fn answer(request: &Request, bytes: &[u8], output: &mut impl Write) -> io::Result<()> {
    let mut found = Output::new(request.limits);
    found.source_bytes(bytes.len() as u64);
    let ending = formats::read(&request.name, &request.mime, bytes, &mut found);
    let parts = found.into_parts();
    let mut notes = parts.notes;
    notes.extend(ending.trouble.as_ref().map(|trouble| trouble.what().to_owned()));
    if parts.is_truncated {
        notes.push(format!("there is more text than the {} bytes that are kept", request.limits.text_bytes));
    }
    let header = Header {
        status: ending.status(!parts.text.trim().is_empty(), parts.is_partial || parts.is_truncated),
        engine: ending.engine.to_owned(),
        notes,
        charset: parts.charset,
        pages: parts.pages,
        is_truncated: parts.is_truncated,
        text_bytes: parts.text.len(),
        thumbnail_bytes: parts.thumbnail.as_ref().map(Vec::len),
        picture_bytes: parts.pictures.iter().map(Vec::len).collect(),
    };
    serde_json::to_writer(&mut *output, &Reply::Read(header))?;
    output.write_all(b"\n")?;
    output.write_all(parts.text.as_bytes())?;
    output.write_all(&parts.thumbnail.unwrap_or_default())?;
    for picture in parts.pictures {
        output.write_all(&picture)?;
    }
    output.flush()
}

/// Confines this process for good and tries what must be refused.
pub fn test_confinement() -> Result<(Confinement, Vec<Refusal>), String> {
    let confinement = confine::confine()?;
    Ok((confinement, confine::attempts()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_a_line_and_the_bytes_it_tells_of() {
        let limits = Limits { text_bytes: 5, ..Limits::default() };
        let request = Request { name: "a.txt".to_owned(), mime: String::new(), file_bytes: 9, limits };
        let mut reply = Vec::new();
        answer(&request, b"123456789", &mut reply).unwrap();
        let end = reply.iter().position(|byte| *byte == b'\n').unwrap();
        let Reply::Read(header) = serde_json::from_slice(&reply[..end]).unwrap() else { panic!("refused") };
        assert_eq!((header.status, header.text_bytes, header.is_truncated), (Status::Partial, 5, true));
        assert_eq!(&reply[end + 1..], b"12345");
    }

    #[test]
    fn a_fault_is_named_without_the_folders_of_the_build() {
        assert_eq!(file_name("/a/b/src/lib.rs"), "lib.rs");
        assert_eq!(file_name("lib.rs"), "lib.rs");
    }
}
