//! The mail around a manifest (RFC 5322): headers, a text for people, and one attachment, `rsmf.zip`.
//!
//! Both parts are base64, so that no line of theirs can be taken for the boundary, which has a character that
//! base64 has not. The zip is written to a file beside the set first and then copied in pieces, so that only a
//! piece of it is in memory.

use std::io::{BufReader, BufWriter, Read, Write as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use zip::write::{SimpleFileOptions, ZipWriter};

use super::events::Event;
use super::manifest::{Manifest, is_address};
use crate::export::Error;
use crate::export::bag::NewFile;
use crate::model::{Digest, UtcTime, Zone};
use crate::store::Blobs;

/// Bytes in a line of base64: 76 characters.
const LINE: usize = 57;

/// Headers of a mail, each folded so that no line is too long.
#[derive(Default)]
pub(super) struct Headers(String);

impl Headers {
    /// A header whose value is ASCII and short.
    pub(super) fn plain(&mut self, name: &str, value: &str) {
        self.0.push_str(&format!("{name}: {value}\r\n"));
    }

    /// A header for people.
    pub(super) fn text(&mut self, name: &str, value: &str) {
        self.plain(name, &words(value));
    }

    /// A header with values that are separated by commas, one a line.
    pub(super) fn list(&mut self, name: &str, values: &[String]) {
        self.plain(name, &values.join(",\r\n "));
    }

    /// The headers and the empty line after them.
    pub(super) fn end(mut self) -> String {
        self.0.push_str("\r\n");
        self.0
    }
}

/// What no header may hold, coded or not. The manifest has it as it was.
fn is_break(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// A text as it can stand in a header (RFC 2047).
fn words(text: &str) -> String {
    let text: String = text.chars().map(|c| if is_break(c) { ' ' } else { c }).collect();
    let text = text.trim();
    let is_plain = text.len() <= 70 && text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) && !text.contains("=?");
    if is_plain {
        return text.to_owned();
    }
    let mut out: Vec<String> = Vec::new();
    let mut piece = String::new();
    for c in text.chars() {
        if piece.len() + c.len_utf8() > 39 {
            out.push(std::mem::take(&mut piece));
        }
        piece.push(c);
    }
    out.push(piece);
    let coded: Vec<String> = out.iter().map(|piece| format!("=?utf-8?B?{}?=", BASE64.encode(piece))).collect();
    coded.join("\r\n ")
}

/// A mailbox: a name and an address. `None` where the address is none that a mail can hold.
pub(super) fn mailbox(name: &str, address: &str) -> Option<String> {
    if !address.is_ascii() || !is_address(address) {
        return None;
    }
    if name.chars().all(|c| is_break(c) || c.is_whitespace()) {
        return Some(format!("<{address}>"));
    }
    let is_short = name.len() <= 60 && name.trim() == name;
    let is_word = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b' ');
    let is_quotable = name.bytes().all(|byte| (0x20..0x7f).contains(&byte)) && !name.contains("=?");
    let coded = if is_short && is_word {
        name.to_owned()
    } else if is_short && is_quotable {
        format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
    } else {
        words_always(name)
    };
    Some(format!("{coded}\r\n <{address}>"))
}

/// Coded words, where a bare one would mean something else.
fn words_always(name: &str) -> String {
    let coded = words(name);
    if coded.starts_with("=?") { coded } else { format!("=?utf-8?B?{}?=", BASE64.encode(coded)) }
}

/// `Tue, 13 Jan 2026 09:05:41 +0100`.
pub(super) fn date(zone: Zone, time: UtcTime) -> String {
    let offset = zone.offset_text(time).replace(':', "");
    let (zone, offset) = if offset.len() == 5 { (zone, offset) } else { (Zone::UTC, "+0000".to_owned()) };
    format!("{} {} {offset}", zone.date(time).format("%a, %d %b %Y"), zone.clock_text(time))
}

/// Bytes of a content in base64, with the ends of its lines.
pub(super) fn encoded(bytes: u64) -> u64 {
    const OF_LINE: u64 = LINE as u64;
    let rest = bytes % OF_LINE;
    bytes / OF_LINE * (OF_LINE / 3 * 4 + 2) + if rest > 0 { rest.div_ceil(3) * 4 + 2 } else { 0 }
}

/// The boundary of a file: no base64 holds it.
pub(super) fn boundary(seed: &str) -> String {
    format!("=_rsmf_{}", &Digest::of(seed.as_bytes()).to_string()[..32])
}

/// Writes what comes after the headers: the text, then the zip that lies at `archive`.
pub(super) fn write_parts(file: &mut NewFile, boundary: &str, text: &str, archive: &Path) -> Result<(), Error> {
    let head = format!(
        "--{boundary}\r\nContent-Type: text/plain; charset=\"utf-8\"\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    );
    write(file, head.as_bytes())?;
    encode(file, text.as_bytes(), Path::new("the text"))?;
    let head = format!(
        "\r\n--{boundary}\r\nContent-Type: application/zip; name=\"rsmf.zip\"\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"rsmf.zip\"\r\n\r\n"
    );
    write(file, head.as_bytes())?;
    let zip = fs_err::File::open(archive).map_err(Error::file("read", archive))?;
    encode(file, BufReader::with_capacity(1 << 16, zip), archive)?;
    write(file, format!("\r\n--{boundary}--\r\n").as_bytes())
}

/// Writes to the file of the set.
pub(super) fn write(file: &mut NewFile, bytes: &[u8]) -> Result<(), Error> {
    file.write_all(bytes).map_err(file.error())
}

/// Copies in base64, in whole lines.
fn encode(file: &mut NewFile, mut from: impl Read, place: &Path) -> Result<(), Error> {
    let mut piece = Vec::with_capacity(LINE * 1024);
    let mut lines = String::with_capacity(LINE * 1400);
    loop {
        piece.clear();
        let read =
            from.by_ref().take((LINE * 1024) as u64).read_to_end(&mut piece).map_err(Error::file("read", place))?;
        if read == 0 {
            return Ok(());
        }
        lines.clear();
        for line in piece.chunks(LINE) {
            BASE64.encode_string(line, &mut lines);
            lines.push_str("\r\n");
        }
        write(file, lines.as_bytes())?;
    }
}

/// Writes the zip: the manifest and the contents, all of them at its root.
pub(super) fn write_zip(place: &Path, manifest: &Manifest<'_>, events: &[Event], blobs: &Blobs) -> Result<(), Error> {
    let failed = |error: zip::result::ZipError| Error::file("write", place)(error.into());
    let file = fs_err::File::create(place).map_err(Error::file("write", place))?;
    let mut zip = ZipWriter::new(BufWriter::with_capacity(1 << 16, file));
    let packed = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated).large_file(false);
    zip.start_file("rsmf_manifest.json", packed).map_err(failed)?;
    let mut pipe = BufWriter::with_capacity(1 << 16, &mut zip);
    serde_json::to_writer(&mut pipe, manifest).map_err(|error| Error::file("write", place)(error.into()))?;
    pipe.flush().map_err(Error::file("write", place))?;
    drop(pipe);
    for attachment in events.iter().flat_map(|event| &event.attachments) {
        // Most contents are packed by themselves.
        let stored = SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Stored)
            .large_file(attachment.blob.size >= u64::from(u32::MAX));
        zip.start_file(attachment.entry.as_str(), stored).map_err(failed)?;
        let source = blobs.path(&attachment.blob.digest);
        let mut content = fs_err::File::open(&source).map_err(Error::file("read", &source))?;
        let mut piece = vec![0; 1 << 16];
        loop {
            match content.read(&mut piece).map_err(Error::file("read", &source))? {
                0 => break,
                read => zip.write_all(&piece[..read]).map_err(Error::file("write", place))?,
            }
        }
    }
    let mut file = zip.finish().map_err(failed)?;
    file.flush().map_err(Error::file("write", place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_holds_no_line_of_its_own() {
        assert_eq!(words("plain, text"), "plain, text");
        for text in ["a\r\nBcc: x@y.example", "=?utf-8?B?eA==?=", "Říhová", &"ů".repeat(200), &"x".repeat(300)] {
            let coded = words(text);
            for line in coded.split("\r\n ") {
                assert!(line.is_ascii() && line.len() <= 75 && !line.contains(['\r', '\n']), "{line}");
            }
        }
        assert_eq!(words("a\r\nb"), "a  b");
    }

    #[test]
    fn a_mailbox_is_quoted_or_coded_or_not_there() {
        assert_eq!(mailbox("Ann One", "a@b.example").as_deref(), Some("Ann One\r\n <a@b.example>"));
        assert_eq!(mailbox("One, \"Ann\"", "a@b.example").as_deref(), Some("\"One, \\\"Ann\\\"\"\r\n <a@b.example>"));
        assert_eq!(mailbox("Ř", "a@b.example").as_deref(), Some("=?utf-8?B?xZg=?=\r\n <a@b.example>"));
        assert_eq!(mailbox("a\r\nb", "a@b.example").as_deref(), Some("=?utf-8?B?YSAgYg==?=\r\n <a@b.example>"));
        assert_eq!(mailbox(" \n", "a@b.example").as_deref(), Some("<a@b.example>"));
        assert_eq!(mailbox("Ann", "not one"), None);
        assert_eq!(mailbox("Ann", "ř@b.example"), None);
    }

    #[test]
    fn base64_is_as_long_as_it_is_said_to_be() {
        for size in [0, 1, 56, 57, 58, 1000] {
            let mut lines = String::new();
            for line in vec![0; size].chunks(LINE) {
                BASE64.encode_string(line, &mut lines);
                lines.push_str("\r\n");
            }
            assert_eq!(encoded(size as u64), lines.len() as u64, "{size}");
        }
    }

    #[test]
    fn a_date_is_one_of_mail() {
        let prague = Zone::parse("Europe/Prague").unwrap();
        let time = UtcTime::from_timestamp(1_768_291_541, 0).unwrap();
        assert_eq!(date(prague, time), "Tue, 13 Jan 2026 09:05:41 +0100");
    }
}
