//! What format a file is: by what it holds first, then by its name and type, which anyone can write.

use std::io::{Cursor, Read as _};

/// A format that is told from others. Which of them can be read is said by the table in `formats`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Text,
    Html,
    Xml,
    Rtf,
    Mail,
    Msg,
    Zip,
    Gzip,
    Tar,
    SevenZip,
    Pdf,
    Docx,
    Xlsx,
    Pptx,
    /// odt, ods, odp and their templates.
    Odf,
    Doc,
    Xls,
    Ppt,
    /// An office document in the wrapping that a password gives it.
    LockedOffice,
    /// png, jpeg, gif, bmp, tiff, webp.
    Picture,
    /// Something else; what, if that is known.
    Other(&'static str),
}

impl Format {
    /// What it is called to people.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Html => "html",
            Self::Xml => "xml",
            Self::Rtf => "rtf",
            Self::Mail => "mail",
            Self::Msg => "Outlook message",
            Self::Zip => "zip",
            Self::Gzip => "gzip",
            Self::Tar => "tar",
            Self::SevenZip => "7z",
            Self::Pdf => "pdf",
            Self::Docx => "docx",
            Self::Xlsx => "xlsx",
            Self::Pptx => "pptx",
            Self::Odf => "OpenDocument",
            Self::Doc => "doc",
            Self::Xls => "xls",
            Self::Ppt => "ppt",
            Self::LockedOffice => "office document with a password",
            Self::Picture => "picture",
            Self::Other(what) => what,
        }
    }
}

/// Bytes at the beginning that are looked at.
const HEAD_BYTES: usize = 64 << 10;
const LOCAL_HEADER: &[u8] = b"PK\x03\x04";
/// Entries of a zip whose names are looked at.
const ZIP_NAMES: usize = 2_000;

/// Says what a file is.
pub(super) fn sniff(bytes: &[u8], name: &str, mime: &str) -> Format {
    let head = &bytes[..bytes.len().min(HEAD_BYTES)];
    let extension = name.rsplit_once('.').map_or(String::new(), |(_, extension)| extension.to_ascii_lowercase());
    let mime = mime.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if let Some(format) = by_signature(bytes, head) {
        return format;
    }
    if is_text(head) {
        return kind_of_text(head, &extension, &mime);
    }
    if let Some(kind) = infer::get(head) {
        return Format::Other(kind.mime_type());
    }
    match extension.as_str() {
        "txt" | "csv" | "tsv" | "md" | "log" | "json" => Format::Text,
        "html" | "htm" => Format::Html,
        "eml" => Format::Mail,
        _ if mime == "text/html" => Format::Html,
        _ if mime == "message/rfc822" => Format::Mail,
        _ if mime.starts_with("text/") => Format::Text,
        _ => Format::Other("data of no known kind"),
    }
}

fn by_signature(bytes: &[u8], head: &[u8]) -> Option<Format> {
    let begins = |signature: &[u8]| head.starts_with(signature);
    let begin = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    if begin.starts_with(b"{\\rtf") {
        return Some(Format::Rtf);
    }
    // Mail systems and printers put lines before it.
    if find(&head[..head.len().min(1024)], b"%PDF-").is_some() {
        return Some(Format::Pdf);
    }
    if begins(b"PK\x03\x04") || begins(b"PK\x05\x06") {
        return Some(kind_of_zip(bytes));
    }
    if begins(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") {
        return Some(kind_of_compound(bytes));
    }
    if begins(b"\x1f\x8b\x08") {
        return Some(Format::Gzip);
    }
    if begins(b"7z\xbc\xaf\x27\x1c") {
        return Some(Format::SevenZip);
    }
    if head.get(257..262) == Some(b"ustar") {
        return Some(Format::Tar);
    }
    let is_picture = begins(b"\x89PNG\r\n\x1a\n")
        || begins(b"\xff\xd8\xff")
        || begins(b"GIF87a")
        || begins(b"GIF89a")
        || begins(b"II*\0")
        || begins(b"MM\0*")
        || begins(b"RIFF") && head.get(8..12) == Some(b"WEBP")
        // The four bytes in between are reserved and zero; "BM" alone may begin a text.
        || begins(b"BM") && head.get(6..10) == Some(&[0; 4]);
    is_picture.then_some(Format::Picture)
}

/// By the names in its directory, or where that is cut off by those in its local headers.
fn kind_of_zip(bytes: &[u8]) -> Format {
    if let Ok(mut archive) = zip::ZipArchive::new(Cursor::new(bytes)) {
        let mut mimetype = Vec::new();
        if let Ok(entry) = archive.by_name("mimetype") {
            // What can't be read is no type of anything.
            entry.take(128).read_to_end(&mut mimetype).unwrap_or_default();
        }
        if is_open_document(&mimetype) {
            return Format::Odf;
        }
        return kind_of_parts(archive.file_names_raw());
    }
    let mut at = 0;
    let mut names = Vec::new();
    while let Some(found) = find(&bytes[at..], LOCAL_HEADER).filter(|_| names.len() < ZIP_NAMES) {
        let header = &bytes[at + found..];
        at += found + LOCAL_HEADER.len();
        let field =
            |at: usize| header.get(at..at + 2).map_or(0, |two| usize::from(u16::from_le_bytes([two[0], two[1]])));
        let Some(name) = header.get(30..30 + field(26)) else { continue };
        let content = header.get(30 + field(26) + field(28)..).unwrap_or_default();
        if name == b"mimetype" && is_open_document(content) {
            return Format::Odf;
        }
        names.push(name);
    }
    kind_of_parts(names)
}

fn is_open_document(mimetype: &[u8]) -> bool {
    mimetype.starts_with(b"application/vnd.oasis.opendocument.")
}

/// An office document says what its parts are, and has those of its program.
fn kind_of_parts<'a>(names: impl IntoIterator<Item = &'a [u8]>) -> Format {
    let mut has_types = false;
    let mut format = Format::Zip;
    for name in names {
        // Of a document that was cut off, the list of types may be gone; its main part says as much.
        let main: [&[u8]; 4] =
            [b"[Content_Types].xml", b"word/document.xml", b"xl/workbook.xml", b"ppt/presentation.xml"];
        has_types |= main.iter().any(|main| name.eq_ignore_ascii_case(main));
        let begins = |folder: &[u8]| name.get(..folder.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(folder));
        let found = [(&b"word/"[..], Format::Docx), (b"xl/", Format::Xlsx), (b"ppt/", Format::Pptx)];
        if let Some((_, found)) = found.into_iter().find(|(folder, _)| format == Format::Zip && begins(folder)) {
            format = found;
        }
        if has_types && format != Format::Zip {
            return format;
        }
    }
    Format::Zip
}

/// By the streams of the compound file's root.
fn kind_of_compound(bytes: &[u8]) -> Format {
    const STREAMS: [(&str, Format); 6] = [
        ("__properties_version1.0", Format::Msg),
        ("EncryptedPackage", Format::LockedOffice),
        ("WordDocument", Format::Doc),
        ("Workbook", Format::Xls),
        ("Book", Format::Xls),
        ("PowerPoint Document", Format::Ppt),
    ];
    if let Ok(file) = cfb::CompoundFile::open(Cursor::new(bytes)) {
        for (stream, format) in STREAMS {
            if file.is_stream(format!("/{stream}")) {
                return format;
            }
        }
        return Format::Other("compound file of no known kind");
    }
    // Damaged: the names stand in the directory as they are.
    for (stream, format) in STREAMS {
        let name: Vec<u8> = stream.encode_utf16().flat_map(u16::to_le_bytes).collect();
        if stream != "Book" && find(bytes, &name).is_some() {
            return format;
        }
    }
    Format::Other("compound file of no known kind")
}

/// Whether it can be text in some character set: no zeros but those of UTF-16 and UTF-32, few control characters.
fn is_text(head: &[u8]) -> bool {
    if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") || super::charset::wide(head).is_some() {
        return true;
    }
    let controls = head
        .iter()
        .filter(|byte| **byte < 0x20 && !matches!(**byte, b'\t' | b'\n' | b'\r' | 0x0c | 0x08 | 0x1b))
        .count();
    !head.contains(&0) && controls * 50 <= head.len()
}

fn kind_of_text(head: &[u8], extension: &str, mime: &str) -> Format {
    let decoded = super::charset::decode_head(head);
    let begin = decoded.trim_start();
    let early = begin[..begin.floor_char_boundary(2_048)].to_ascii_lowercase();
    let has_html = ["<html", "<!doctype html", "<body", "<head>"].iter().any(|tag| early.contains(tag));
    if extension == "eml" || mime == "message/rfc822" || is_mail(begin) {
        return Format::Mail;
    }
    if early.starts_with('<') && has_html {
        return Format::Html;
    }
    if early.starts_with("<?xml") || early.starts_with("<svg") {
        return Format::Xml;
    }
    match extension {
        "html" | "htm" | "xhtml" => Format::Html,
        "xml" | "svg" | "xsd" | "xsl" if early.starts_with('<') => Format::Xml,
        _ if mime == "text/html" && early.contains('<') => Format::Html,
        _ => Format::Text,
    }
}

/// Whether it begins as a mail does: header lines only, of which two are those that every mail has.
fn is_mail(begin: &str) -> bool {
    const USUAL: [&str; 12] = [
        "from",
        "to",
        "cc",
        "subject",
        "date",
        "received",
        "message-id",
        "mime-version",
        "return-path",
        "delivered-to",
        "content-type",
        "reply-to",
    ];
    let mut usual = 0;
    for (number, line) in begin.lines().take(60).enumerate() {
        if line.is_empty() {
            break;
        }
        if number > 0 && line.starts_with([' ', '\t']) {
            continue;
        }
        // The line that mail boxes put before each mail.
        if number == 0 && line.starts_with("From ") {
            continue;
        }
        let Some((name, _)) = line.split_once(':') else { return false };
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
            return false;
        }
        usual += usize::from(USUAL.contains(&name.to_ascii_lowercase().as_str()));
    }
    usual >= 2
}

/// Where `wanted` first stands.
pub(super) fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = *wanted.first()?;
    let mut at = 0;
    while let Some(found) = bytes.get(at..)?.iter().position(|byte| *byte == first) {
        at += found;
        if bytes[at..].starts_with(wanted) {
            return Some(at);
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zip_of(names: &[(&str, &str)]) -> Vec<u8> {
        super::super::archive::tests::zip_of(names)
    }

    #[test]
    fn content_says_more_than_a_name() {
        let mut tar = vec![0; 512];
        tar[257..262].copy_from_slice(b"ustar");
        let docx = zip_of(&[("[Content_Types].xml", "x"), ("_rels/.rels", "x"), ("word/document.xml", "x")]);
        let cut = docx[..docx.len() - 40].to_vec();
        let late = zip_of(&[("docProps/thumbnail.jpeg", "x"), ("ppt/a.xml", "x"), ("[Content_Types].xml", "x")]);
        let odt = zip_of(&[("mimetype", "application/vnd.oasis.opendocument.text"), ("content.xml", "x")]);
        let zip = zip_of(&[("notes/letter.docx", "x"), ("word/a", "x")]);
        let program = [b"\x7fELF\x02\x01\x01".to_vec(), vec![0; 100]].concat();
        let utf16: Vec<u8> = "<html><body>x".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for (bytes, name, mime, expected) in [
            (&b"%PDF-1.4\n"[..], "a.txt", "text/plain", Format::Pdf),
            (b"\r\n%PDF-1.4\n", "", "", Format::Pdf),
            (b"{\\rtf1 x}", "a.doc", "application/msword", Format::Rtf),
            (&docx, "a.zip", "", Format::Docx),
            (&cut, "a.zip", "", Format::Docx),
            (&late, "a.pptx", "", Format::Pptx),
            (&odt, "", "", Format::Odf),
            (&zip, "a.docx", "", Format::Zip),
            (b"\x1f\x8b\x08\0", "", "", Format::Gzip),
            (b"7z\xbc\xaf\x27\x1c", "", "", Format::SevenZip),
            (&tar, "", "", Format::Tar),
            (b"\x89PNG\r\n\x1a\n\0\0", "a.txt", "", Format::Picture),
            (b"BMW is a car", "", "", Format::Text),
            (b"<!DOCTYPE html><p>x", "a.txt", "", Format::Html),
            (&utf16, "", "", Format::Html),
            (b"<?xml version='1.0'?><a/>", "", "", Format::Xml),
            (b"<b>x</b>", "a.htm", "", Format::Html),
            (b"<b>x</b>", "a.md", "", Format::Text),
            (b"From: a@b.cz\nSubject: x\n\nhello", "", "", Format::Mail),
            (b"Note: this\nSubject: x\n\nhello", "", "", Format::Text),
            (b"hello", "a.eml", "", Format::Mail),
            (b"", "a.pdf", "", Format::Text),
            (&program, "a.txt", "", Format::Other("application/x-executable")),
            (b"\0\x01\x02\x03", "a.bin", "", Format::Other("data of no known kind")),
        ] {
            assert_eq!(sniff(bytes, name, mime), expected, "{name} {:?}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn a_compound_file_is_told_by_its_root() {
        for (stream, expected) in [
            ("/WordDocument", Format::Doc),
            ("/Workbook", Format::Xls),
            ("/PowerPoint Document", Format::Ppt),
            ("/__properties_version1.0", Format::Msg),
            ("/EncryptedPackage", Format::LockedOffice),
            ("/Other", Format::Other("compound file of no known kind")),
        ] {
            let mut file = cfb::CompoundFile::create(Cursor::new(Vec::new())).expect("memory takes it");
            drop(file.create_stream(stream).expect("memory takes it"));
            let bytes = file.into_inner().into_inner();
            assert_eq!(sniff(&bytes, "", ""), expected, "{stream}");
        }
    }
}
