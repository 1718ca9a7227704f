//! Outlook messages: properties in a compound file. Subject, people, every form of the body, attachments one level
//! deeper, messages within messages, and last the headers as they came.

use std::io::Cursor;

use cfb::CompoundFile;
use encoding_rs::Encoding;

use super::output::{Output, Trouble};
use super::{charset, embedded, html, rtf};

type File<'a> = CompoundFile<Cursor<&'a [u8]>>;

/// Properties that are text, with what stands before them.
const SHOWN: [(&str, &str); 9] = [
    ("0037", "Subject"),
    ("0C1A", "From"),
    ("0C1F", "From"),
    ("5D01", "From"),
    ("0E04", "To"),
    ("0E03", "Cc"),
    ("0E02", "Bcc"),
    ("8009", "Categories"),
    ("001A", "Class"),
];

/// Reads a message.
pub(super) fn read(bytes: &[u8], out: &mut Output, depth: u32) -> Result<(), Trouble> {
    let mut file = CompoundFile::open(Cursor::new(bytes))
        .map_err(|error| Trouble::Damaged(format!("can't read the compound file: {error}")))?;
    message(&mut file, "", out, depth)
}

fn message(file: &mut File<'_>, storage: &str, out: &mut Output, depth: u32) -> Result<(), Trouble> {
    let code_page = code_page(file, storage, out);
    for (property, title) in SHOWN {
        // A class is a word of Outlook's own; it is said by "IPM.Note" in nearly all.
        if let Some(text) =
            text(file, storage, property, code_page, out).filter(|text| !text.trim().is_empty() && text != "IPM.Note")
        {
            out.text(&format!("{title}: {}", text.trim()));
            out.line_break();
        }
    }
    let storages = children(file, storage);
    for recipient in storages.iter().filter(|name| name.starts_with("__recip_version1.0_")) {
        out.entry()?;
        let place = format!("{storage}/{recipient}");
        let said: Vec<String> = ["3001", "39FE", "3003"]
            .iter()
            .filter_map(|property| text(file, &place, property, code_page, out))
            .filter(|text| !text.trim().is_empty())
            .collect();
        out.text(&said.join(" "));
        out.line_break();
    }
    body(file, storage, code_page, out);
    for attachment in storages.iter().filter(|name| name.starts_with("__attach_version1.0_")) {
        out.entry()?;
        if out.is_full() {
            return Ok(());
        }
        let place = format!("{storage}/{attachment}");
        let name = ["3707", "3704", "3001"].iter().find_map(|property| text(file, &place, property, code_page, out));
        let name = name.unwrap_or_default();
        let inner = format!("{place}/__substg1.0_3701000D");
        if file.is_storage(&inner) {
            out.part(&name);
            if depth >= out.limits().depth {
                out.partial(format!("files more than {} deep in others are not read", out.limits().depth));
            } else {
                message(file, &inner, out, depth + 1)?;
            }
        } else if let Some(content) = stream(file, &format!("{place}/__substg1.0_37010102"), out)? {
            embedded(&name, &content, out, depth);
        } else {
            out.part(&name);
            out.partial(format!("the attachment {name} is not in the message"));
        }
        out.line_break();
    }
    if let Some(headers) = text(file, storage, "007D", code_page, out) {
        out.part("");
        out.text(&headers);
        out.line_break();
    }
    Ok(())
}

/// Every form of the body that there is; the packed one only where it is the only one, since others are made from it.
fn body(file: &mut File<'_>, storage: &str, code_page: Option<&'static Encoding>, out: &mut Output) {
    let mut has_body = false;
    if let Some(plain) = text(file, storage, "1000", code_page, out) {
        out.part("");
        out.text(&plain);
        out.line_break();
        has_body = !plain.trim().is_empty();
    }
    let page = match stream(file, &format!("{storage}/__substg1.0_10130102"), out) {
        Ok(Some(bytes)) => Some(charset::decode(&bytes, charset::find(&bytes, code_page).encoding)),
        _ => text(file, storage, "1013", code_page, out),
    };
    if let Some(page) = page {
        out.part("");
        html::write(&page, out);
        out.line_break();
        has_body = true;
    }
    if has_body {
        return;
    }
    match stream(file, &format!("{storage}/__substg1.0_10090102"), out) {
        Ok(Some(packed)) => match unpacked(&packed, out.limits().text_bytes) {
            Some(rich) => {
                out.part("");
                if let Err(trouble) = rtf::read(&rich, out, 0) {
                    out.partial(format!("the body: {}", trouble.what()));
                }
                out.line_break();
            }
            None => out.partial("the body is packed in a way that nothing here reads"),
        },
        Ok(None) => {}
        Err(trouble) => out.partial(format!("the body: {}", trouble.what())),
    }
}

/// Names of the storages inside a storage, in their order.
fn children(file: &File<'_>, storage: &str) -> Vec<String> {
    let place = if storage.is_empty() { "/" } else { storage };
    let Ok(entries) = file.read_storage(place) else { return Vec::new() };
    entries.filter(cfb::Entry::is_storage).map(|entry| entry.name().to_owned()).collect()
}

/// A stream's bytes; they count as inflated, since a damaged chain of sectors can name a sector many times.
fn stream(file: &mut File<'_>, place: &str, out: &mut Output) -> Result<Option<Vec<u8>>, Trouble> {
    if !file.is_stream(place) {
        return Ok(None);
    }
    let stream = file.open_stream(place).map_err(|error| Trouble::Damaged(format!("can't read {place}: {error}")))?;
    // A length that is no truth must not cost memory: it is read as far as it goes.
    out.inflate(stream).map(Some)
}

/// A property as text, in whichever of its two forms is there.
fn text(
    file: &mut File<'_>,
    storage: &str,
    property: &str,
    code_page: Option<&'static Encoding>,
    out: &mut Output,
) -> Option<String> {
    if let Ok(Some(wide)) = stream(file, &format!("{storage}/__substg1.0_{property}001F"), out) {
        return Some(charset::decode(&wide, encoding_rs::UTF_16LE));
    }
    let narrow = stream(file, &format!("{storage}/__substg1.0_{property}001E"), out).ok()??;
    let found = charset::find(&narrow, code_page);
    charset::say(found, out);
    Some(charset::decode(&narrow, found.encoding))
}

/// The code page of texts that are not wide: of the message, or of whoever made it.
fn code_page(file: &mut File<'_>, storage: &str, out: &mut Output) -> Option<&'static Encoding> {
    let properties = stream(file, &format!("{storage}/__properties_version1.0"), out).ok()??;
    // Entries of 16 bytes stand after a header of 32 bytes, or of 24 in a message within a message.
    let header = if storage.is_empty() { 32 } else { 24 };
    let number = |wanted: [u8; 4]| {
        let entry = properties.get(header..)?.chunks_exact(16).find(|entry| entry[..4] == wanted)?;
        Some(u32::from_le_bytes([entry[8], entry[9], entry[10], entry[11]]))
    };
    // PidTagMessageCodepage, then PidTagInternetCodepage.
    let page = number([0x03, 0x00, 0xfd, 0x3f]).or_else(|| number([0x03, 0x00, 0xde, 0x3f]))?;
    // 0 and 1 stand for "the machine's own".
    (page > 1).then(|| charset::code_page(page))
}

/// What the dictionary of packed rich text begins with ([MS-OXRTFCP] 2.1.2.1).
const DICTIONARY: &[u8; 207] = b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript \
\\fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par \\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx";

/// Unpacks rich text ([MS-OXRTFCP]); what was unpacked before a fault is kept.
fn unpacked(packed: &[u8], limit: usize) -> Option<Vec<u8>> {
    let kind = packed.get(8..12)?;
    let content = packed.get(16..)?;
    if kind == b"MELA" {
        return Some(content.to_vec());
    }
    if kind != b"LZFu" {
        return None;
    }
    let mut ring = [b' '; 4_096];
    ring[..DICTIONARY.len()].copy_from_slice(DICTIONARY);
    let mut end = DICTIONARY.len();
    let mut out = Vec::new();
    let mut bytes = content.iter().copied();
    while let Some(control) = bytes.next() {
        for bit in 0..8 {
            if out.len() >= limit {
                return Some(out);
            }
            let Some(first) = bytes.next() else { return Some(out) };
            if control & (1 << bit) == 0 {
                ring[end] = first;
                end = (end + 1) % ring.len();
                out.push(first);
                continue;
            }
            let Some(second) = bytes.next() else { return Some(out) };
            let reference = usize::from(u16::from_be_bytes([first, second]));
            let start = reference >> 4;
            // A reference to where the next byte goes is the end.
            if start == end {
                return Some(out);
            }
            for step in 0..(reference & 15) + 2 {
                let byte = ring[(start + step) % ring.len()];
                ring[end] = byte;
                end = (end + 1) % ring.len();
                out.push(byte);
            }
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use proptest::prelude::*;

    use super::super::Status;
    use super::super::formats::tests::read_all;
    use super::*;

    fn wide(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    fn message_of(streams: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let mut file = CompoundFile::create(Cursor::new(Vec::new())).unwrap();
        for (path, bytes) in streams {
            if let Some((storage, _)) = path.rsplit_once('/').filter(|(storage, _)| !storage.is_empty()) {
                file.create_storage_all(storage).unwrap();
            }
            file.create_stream(path).unwrap().write_all(bytes).unwrap();
        }
        file.into_inner().into_inner()
    }

    fn properties(page: u32) -> Vec<u8> {
        let mut bytes = vec![0; 32];
        bytes.extend([0x03, 0x00, 0xfd, 0x3f, 6, 0, 0, 0]);
        bytes.extend(page.to_le_bytes());
        bytes.extend([0; 4]);
        bytes
    }

    fn sample() -> Vec<u8> {
        let attached = "/__attach_version1.0_#00000000";
        let inner = "/__attach_version1.0_#00000001/__substg1.0_3701000D";
        message_of(&[
            ("/__properties_version1.0", properties(1250)),
            ("/__substg1.0_0037001F", wide("Předmět")),
            ("/__substg1.0_1000001E", b"\x9eivot".to_vec()),
            ("/__substg1.0_10130102", b"<html><p>formatted</p>".to_vec()),
            ("/__recip_version1.0_#00000000/__substg1.0_3001001F", wide("Jan")),
            ("/__recip_version1.0_#00000000/__substg1.0_39FE001F", wide("jan@example.cz")),
            (&format!("{attached}/__substg1.0_3707001F"), wide("list.csv")),
            (&format!("{attached}/__substg1.0_37010102"), b"a,b".to_vec()),
            (&format!("{inner}/__properties_version1.0"), vec![0; 24]),
            (&format!("{inner}/__substg1.0_1000001F"), wide("inner body")),
            ("/__substg1.0_007D001F", wide("Received: from x")),
        ])
    }

    #[test]
    fn all_of_a_message_is_read() {
        let (status, text, notes) = read_all("a.msg", &sample());
        assert_eq!(status, Status::Ok, "{notes:?}");
        for wanted in [
            "Subject: Předmět\n",
            "Jan jan@example.cz\n",
            "život\n",
            "formatted\n",
            "list.csv\na,b\n",
            "inner body\n",
            "Received: from x\n",
        ] {
            assert!(text.contains(wanted), "{wanted:?} in {text:?}");
        }
    }

    #[test]
    fn packed_rich_text_is_unpacked() {
        // The example of [MS-OXRTFCP] 4.1.
        let packed = [
            0x2d, 0, 0, 0, 0x2b, 0, 0, 0, b'L', b'Z', b'F', b'u', 0xf1, 0xc5, 0xc7, 0xa7, 0x03, 0x00, 0x0a, 0x00, 0x72,
            0x63, 0x70, 0x67, 0x31, 0x32, 0x35, 0x42, 0x32, 0x0a, 0xf3, 0x20, 0x68, 0x65, 0x6c, 0x09, 0x00, 0x20, 0x62,
            0x77, 0x05, 0xb0, 0x6c, 0x64, 0x7d, 0x0a, 0x80, 0x0f, 0xa0,
        ];
        let rich = unpacked(&packed, 1_000).unwrap();
        assert_eq!(String::from_utf8_lossy(&rich), "{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n");
        let message =
            message_of(&[("/__properties_version1.0", vec![0; 32]), ("/__substg1.0_10090102", packed.to_vec())]);
        assert_eq!(read_all("a.msg", &message).1, "hello world\n");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_damaged_message_never_panics(at in 0_usize..100_000, bit in 0_u8..8, cut in 0_usize..100_000) {
            let mut bytes = sample();
            let length = bytes.len();
            bytes[at % length] ^= 1 << bit;
            bytes.truncate(length - cut % (length / 4));
            let (_, text, notes) = read_all("a.msg", &bytes);
            prop_assert!(text.len() < 1 << 20);
            prop_assert!(!notes.iter().any(|note| note.contains("failed on it")), "{:?}", notes);
        }

        #[test]
        fn anything_unpacks_within_its_limit(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut packed = b"\0\0\0\0\0\0\0\0LZFu\0\0\0\0".to_vec();
            packed.extend(bytes);
            let rich = unpacked(&packed, 500).unwrap();
            prop_assert!(rich.len() < 500 + 17);
        }
    }
}
