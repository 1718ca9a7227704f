//! The texts that pictures carry beside their pixels: comments, titles, authors.
//!
//! Read from the bytes, without decoding a pixel: they are there even when the pixels are damaged. Each walk over chunks goes
//! forward, and each list has a named limit.

use flate2::read::ZlibDecoder;
use image::ImageFormat;

use super::output::Output;

/// Texts of one picture.
const TEXTS: usize = 1_000;
/// Entries of one directory of TIFF: the format's own limit is higher than any file's need.
const ENTRIES: usize = 4_096;
/// Pages of a TIFF.
const PAGES: usize = 5_000;

/// Tags whose value is a text, and whether it is UTF-16: `ImageDescription`, `Artist`, `Copyright`, `DocumentName`, `PageName`; then
/// what Windows writes as title, comment, author, keywords and subject.
const TAGS: [(u16, bool); 10] = [
    (0x010d, false),
    (0x010e, false),
    (0x011d, false),
    (0x013b, false),
    (0x8298, false),
    (0x9c9b, true),
    (0x9c9c, true),
    (0x9c9d, true),
    (0x9c9e, true),
    (0x9c9f, true),
];
/// Where the directory of EXIF's own tags is, and the one text among them.
const EXIF_DIRECTORY: u16 = 0x8769;
const USER_COMMENT: u16 = 0x9286;

/// Writes the texts of a picture, each as a part.
pub(super) fn read(bytes: &[u8], format: ImageFormat, out: &mut Output) {
    let mut texts = Vec::new();
    match format {
        ImageFormat::Png => read_png(bytes, &mut texts, out),
        ImageFormat::Jpeg => read_jpeg(bytes, &mut texts),
        ImageFormat::Tiff => read_exif(bytes, &mut texts),
        ImageFormat::WebP => read_webp(bytes, &mut texts),
        _ => {}
    }
    for text in texts.into_iter().take(TEXTS) {
        let text = text.trim_matches(|letter: char| letter.is_whitespace() || letter.is_control());
        if !text.is_empty() {
            out.part("");
            out.text(text);
        }
    }
}

fn latin(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// UTF-8 when it is, else Latin-1: the standards say ASCII, and programs write what they have.
fn narrow(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes).map_or_else(|_| latin(bytes), str::to_owned)
}

fn wide(bytes: &[u8], is_little: bool) -> String {
    let (pairs, _) = bytes.as_chunks::<2>();
    let units = pairs.iter().map(|pair| if is_little { u16::from_le_bytes(*pair) } else { u16::from_be_bytes(*pair) });
    char::decode_utf16(units).map(|letter| letter.unwrap_or('\u{fffd}')).collect()
}

/// What stands before the first of some bytes, and behind.
fn cut(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let place = bytes.iter().position(|byte| *byte == at)?;
    Some((&bytes[..place], &bytes[place + 1..]))
}

/// The texts of PNG: `tEXt`, `zTXt`, `iTXt`, and EXIF.
fn read_png(bytes: &[u8], texts: &mut Vec<String>, out: &mut Output) {
    let mut rest = bytes.get(8..).unwrap_or_default();
    while let Some((length, behind)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        let Some((kind, behind)) = behind.split_first_chunk::<4>() else { return };
        let Some(data) = behind.get(..length) else { return };
        match kind {
            b"tEXt" => texts.extend(cut(data, 0).map(|(_, text)| latin(text))),
            b"zTXt" => {
                // Behind the name is the number of the method, of which there is one.
                if let Some((_, [0, packed @ ..])) = cut(data, 0)
                    && let Ok(text) = out.inflate(ZlibDecoder::new(packed))
                {
                    texts.push(latin(&text));
                }
            }
            b"iTXt" => texts.extend(international(data, out)),
            b"eXIf" => read_exif(data, texts),
            _ => {}
        }
        if texts.len() > TEXTS {
            return;
        }
        rest = behind.get(length + 4..).unwrap_or_default();
    }
}

/// The text of an `iTXt` chunk: name, whether it is compressed, language, translated name, text.
fn international(data: &[u8], out: &mut Output) -> Option<String> {
    let (name, behind) = cut(data, 0)?;
    // A packet of XML for programs.
    if name == b"XML:com.adobe.xmp" {
        return None;
    }
    let (is_packed, behind) = behind.split_first()?;
    let (_, text) = cut(behind.get(1..)?, 0).and_then(|(_, behind)| cut(behind, 0))?;
    if *is_packed == 0 {
        return Some(narrow(text));
    }
    out.inflate(ZlibDecoder::new(text)).ok().map(|text| narrow(&text))
}

/// The comments of JPEG and its EXIF, which stand before the pixels.
fn read_jpeg(bytes: &[u8], texts: &mut Vec<String>) {
    let mut rest = bytes.get(2..).unwrap_or_default();
    while let [0xff, marker, high, low, behind @ ..] = rest {
        // The pixels begin.
        if *marker == 0xda || texts.len() > TEXTS {
            return;
        }
        // The length counts its own two bytes.
        let length = usize::from(u16::from_be_bytes([*high, *low])).saturating_sub(2);
        let Some(data) = behind.get(..length) else { return };
        match marker {
            0xfe => texts.push(narrow(data)),
            0xe1 => {
                if let Some(exif) = data.strip_prefix(b"Exif\0\0") {
                    read_exif(exif, texts);
                }
            }
            _ => {}
        }
        rest = &behind[length..];
    }
}

/// The EXIF of WebP, a chunk of a RIFF file.
fn read_webp(bytes: &[u8], texts: &mut Vec<String>) {
    let mut rest = bytes.get(12..).unwrap_or_default();
    while let Some((kind, behind)) = rest.split_first_chunk::<4>() {
        let Some((length, behind)) = behind.split_first_chunk::<4>() else { return };
        let length = u32::from_le_bytes(*length) as usize;
        let Some(data) = behind.get(..length) else { return };
        if kind == b"EXIF" {
            read_exif(data.strip_prefix(b"Exif\0\0").unwrap_or(data), texts);
        }
        // Chunks begin at even places.
        rest = behind.get(length + length % 2..).unwrap_or_default();
    }
}

/// A file of TIFF, or EXIF, which has the same form.
struct Tiff<'a> {
    bytes: &'a [u8],
    is_little: bool,
}

/// An entry of a directory: tag, kind of value, number of values, and the four bytes that are the value or its place.
struct Entry {
    tag: u16,
    kind: u16,
    count: u32,
    value: [u8; 4],
}

impl<'a> Tiff<'a> {
    fn open(bytes: &'a [u8]) -> Option<Self> {
        let is_little = match bytes.get(..4)? {
            b"II\x2a\0" => true,
            b"MM\0\x2a" => false,
            _ => return None,
        };
        Some(Self { bytes, is_little })
    }

    fn short(&self, bytes: [u8; 2]) -> u16 {
        if self.is_little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) }
    }

    fn long(&self, bytes: [u8; 4]) -> u32 {
        if self.is_little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) }
    }

    fn long_at(&self, place: usize) -> Option<u32> {
        Some(self.long(*self.bytes.get(place..)?.first_chunk()?))
    }

    /// The entries of the directory at a place, and where the next one is.
    fn directory(&self, place: u32) -> Option<(Vec<Entry>, u32)> {
        let behind = self.bytes.get(place as usize..)?;
        let (count, behind) = behind.split_first_chunk::<2>()?;
        let count = usize::from(self.short(*count));
        let mut entries = Vec::new();
        for entry in behind.as_chunks::<12>().0.iter().take(count.min(ENTRIES)) {
            let [tag, tag_end, kind, kind_end, count @ ..] = *entry;
            let [first, second, third, fourth, value @ ..] = count;
            entries.push(Entry {
                tag: self.short([tag, tag_end]),
                kind: self.short([kind, kind_end]),
                count: self.long([first, second, third, fourth]),
                value,
            });
        }
        let next = self.long_at(place as usize + 2 + count * 12).unwrap_or(0);
        Some((entries, next))
    }

    /// The bytes of an entry whose values are bytes.
    fn value<'b>(&'b self, entry: &'b Entry) -> Option<&'b [u8]> {
        // 1: bytes, 2: ASCII, 7: undefined.
        if !matches!(entry.kind, 1 | 2 | 7) {
            return None;
        }
        let count = entry.count as usize;
        if count <= 4 {
            return entry.value.get(..count);
        }
        let place = self.long(entry.value) as usize;
        self.bytes.get(place..place.checked_add(count)?)
    }
}

fn read_exif(bytes: &[u8], texts: &mut Vec<String>) {
    let Some(tiff) = Tiff::open(bytes) else { return };
    for page in pages_of(&tiff) {
        let Some((entries, _)) = tiff.directory(page) else { continue };
        for entry in &entries {
            if texts.len() > TEXTS {
                return;
            }
            if entry.tag == EXIF_DIRECTORY {
                let inner = tiff.directory(tiff.long(entry.value));
                let comment = inner.iter().flat_map(|(entries, _)| entries).find(|entry| entry.tag == USER_COMMENT);
                texts.extend(
                    comment.and_then(|entry| tiff.value(entry)).map(|value| user_comment(value, tiff.is_little)),
                );
            }
            let Some((_, is_wide)) = TAGS.iter().find(|(tag, _)| *tag == entry.tag) else { continue };
            let Some(value) = tiff.value(entry) else { continue };
            // Windows writes UTF-16 in the order of its own machines, whatever the file's is.
            texts.push(if *is_wide { wide(value, true) } else { narrow(value) });
        }
    }
}

/// A text behind eight bytes that name its encoding.
fn user_comment(value: &[u8], is_little: bool) -> String {
    match value {
        [b'U', b'N', b'I', b'C', b'O', b'D', b'E', 0, text @ ..] => wide(text, is_little),
        _ => narrow(value.get(8..).unwrap_or_default()),
    }
}

/// Where the pages of a TIFF are. The 64-bit form of the format is not looked into.
pub(super) fn tiff_pages(bytes: &[u8]) -> Vec<u32> {
    Tiff::open(bytes).map(|tiff| pages_of(&tiff)).unwrap_or_default()
}

fn pages_of(tiff: &Tiff<'_>) -> Vec<u32> {
    let mut pages: Vec<u32> = Vec::new();
    let mut next = tiff.long_at(4).unwrap_or(0);
    // A directory that follows itself ends the list.
    while next != 0 && pages.len() < PAGES && !pages.contains(&next) {
        let Some((_, after)) = tiff.directory(next) else { break };
        pages.push(next);
        next = after;
    }
    pages
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;
    use proptest::prelude::*;

    use super::super::output::Limits;
    use super::*;

    fn packed(text: &str) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).expect("memory takes it");
        encoder.finish().expect("memory takes it")
    }

    fn chunk(kind: &str, data: &[u8]) -> Vec<u8> {
        let length = u32::try_from(data.len()).expect("it is small").to_be_bytes();
        [&length[..], kind.as_bytes(), data, &[0; 4]].concat()
    }

    /// A directory with a description, a title by Windows and a comment in EXIF's own directory.
    fn exif() -> Vec<u8> {
        let entry = |tag: u16, kind: u16, count: u32, value: u32| {
            [&tag.to_le_bytes()[..], &kind.to_le_bytes(), &count.to_le_bytes(), &value.to_le_bytes()].concat()
        };
        let title: Vec<u8> = "Čas\0".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let first = [entry(0x010e, 2, 10, 68), entry(0x9c9b, 1, 8, 78), entry(0x8769, 4, 1, 50)].concat();
        let inner = entry(0x9286, 7, 13, 86);
        [
            &b"II\x2a\0\x08\0\0\0\x03\0"[..],
            &first,
            &[0; 4],
            &1_u16.to_le_bytes(),
            &inner,
            &[0; 4],
            b"The scene\0",
            &title,
            b"ASCII\0\0\0noted",
        ]
        .concat()
    }

    fn texts(bytes: &[u8], format: ImageFormat) -> String {
        let mut out = Output::new(Limits::default());
        read(bytes, format, &mut out);
        out.collected().to_owned()
    }

    #[test]
    fn texts_beside_the_pixels_are_found() {
        let png = [
            b"\x89PNG\r\n\x1a\n".to_vec(),
            chunk("tEXt", b"Comment\0caf\xe9"),
            chunk("zTXt", &[b"Title\0\0".to_vec(), packed("a packed title")].concat()),
            chunk("iTXt", "Author\0\0\0cs\0Autor\0Čapek".as_bytes()),
            chunk("iTXt", &[b"Author\0\x01\0\0\0".to_vec(), packed("Němcová")].concat()),
            chunk("iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<x/>"),
            chunk("eXIf", &exif()),
        ]
        .concat();
        let jpeg =
            [b"\xff\xd8\xff\xfe\0\x07hello\xff\xe1\0\x6bExif\0\0", &exif()[..], b"\xff\xda\xff\xfe\0\x05not"].concat();
        let webp = [b"RIFF\0\0\0\0WEBPVP8X\x03\0\0\0abc\0EXIF\x63\0\0\0", &exif()[..]].concat();
        let of_exif = "The scene\u{1d}Čas\u{1d}noted";
        for (bytes, format, expected) in [
            (png, ImageFormat::Png, format!("café\u{1d}a packed title\u{1d}Čapek\u{1d}Němcová\u{1d}{of_exif}")),
            (jpeg, ImageFormat::Jpeg, format!("hello\u{1d}{of_exif}")),
            (webp, ImageFormat::WebP, of_exif.to_owned()),
            (exif(), ImageFormat::Tiff, of_exif.to_owned()),
            (Vec::new(), ImageFormat::Png, String::new()),
        ] {
            assert_eq!(texts(&bytes, format), expected, "{format:?}");
        }
    }

    #[test]
    fn pages_that_lead_back_to_the_first_end() {
        let mut bytes = exif();
        bytes[46..50].copy_from_slice(&8_u32.to_le_bytes());
        assert_eq!(tiff_pages(&bytes), [8]);
        assert_eq!(tiff_pages(b"II\x2b\0"), [] as [u32; 0]);
    }

    proptest! {
        #[test]
        fn no_bytes_break_a_walk(head in 0_usize..4, bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let (start, format) = [
                (&b"\x89PNG\r\n\x1a\n"[..], ImageFormat::Png),
                (b"\xff\xd8\xff\xe1\0\x20Exif\0\0II\x2a\0", ImageFormat::Jpeg),
                (b"RIFF\0\0\0\0WEBPEXIF", ImageFormat::WebP),
                (b"MM\0\x2a\0\0\0\x08", ImageFormat::Tiff),
            ][head];
            let file = [start, &bytes].concat();
            prop_assert!(texts(&file, format).len() <= 4 * file.len() + 4_000);
        }
    }
}
