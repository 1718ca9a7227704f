//! zip and gzip: names as text, entries one level deeper, whatever their headers say of sizes. 7z is recognised.

use std::io::{Cursor, Read as _};

use flate2::read::GzDecoder;
use zip::ZipArchive;
use zip::result::ZipError;

use super::embedded;
use super::output::{Output, Trouble};
use super::sniff::find;

/// The coder of 7z that encrypts (AES-256 with SHA-256), as its headers name it.
const SEVEN_ZIP_AES: &[u8] = &[0x06, 0xf1, 0x07, 0x01];

/// Reads a zip.
pub(super) fn read_zip(bytes: &[u8], out: &mut Output, depth: u32) -> Result<(), Trouble> {
    let mut archive = match ZipArchive::new(Cursor::new(bytes)) {
        Ok(archive) => archive,
        Err(error) => return read_cut_zip(bytes, &error, out, depth),
    };
    let comment = String::from_utf8_lossy(archive.comment()).into_owned();
    if !comment.is_empty() {
        out.text(&comment);
        out.line_break();
    }
    let (mut encrypted, mut files) = (0, 0);
    for number in 0..archive.len() {
        out.entry()?;
        if out.is_full() {
            return Ok(());
        }
        let entry = match archive.by_index_raw(number) {
            Ok(entry) => (entry_name(&entry), entry.is_dir(), entry.encrypted()),
            Err(error) => {
                out.partial(format!("entry {}: {error}", number + 1));
                continue;
            }
        };
        let (name, is_folder, is_encrypted) = entry;
        if is_folder || is_encrypted {
            out.part(&name);
            encrypted += u32::from(is_encrypted);
            files += u32::from(!is_folder);
            continue;
        }
        files += 1;
        let content = match archive.by_index(number) {
            Ok(entry) => out.inflate(entry),
            Err(ZipError::Io(error)) => Err(Trouble::Damaged(error.to_string())),
            Err(error) => Err(Trouble::Unsupported(error.to_string())),
        };
        match content {
            Ok(content) => embedded(&name, &content, out, depth),
            Err(trouble) => {
                out.part(&name);
                if matches!(trouble, Trouble::TooBig(_)) {
                    return Err(trouble);
                }
                out.partial(format!("{name}: {}", trouble.what()));
            }
        }
        out.line_break();
    }
    if encrypted == 0 {
        return Ok(());
    }
    let what = format!("{encrypted} of {files} entries open with a password");
    if encrypted == files {
        return Err(Trouble::Encrypted(what));
    }
    out.partial(what);
    Ok(())
}

/// Names are in UTF-8 more often than their flag says so.
fn entry_name<R: std::io::Read + ?Sized>(entry: &zip::read::ZipFile<'_, R>) -> String {
    match std::str::from_utf8(entry.name_raw()) {
        Ok(name) => name.to_owned(),
        Err(_) => entry.name().map_or_else(|_| String::from_utf8_lossy(entry.name_raw()).into_owned(), Into::into),
    }
}

/// Reads what its local headers tell of a zip whose directory is cut off or damaged.
fn read_cut_zip(bytes: &[u8], error: &ZipError, out: &mut Output, depth: u32) -> Result<(), Trouble> {
    let mut rest = bytes;
    while let Some(at) = find(rest, b"PK\x03\x04") {
        rest = &rest[at..];
        let field = |at: usize| rest.get(at..at + 2).map_or(0, |two| usize::from(u16::from_le_bytes([two[0], two[1]])));
        let (flags, method, name_bytes, extra_bytes) = (field(6), field(8), field(26), field(28));
        let Some(name) = rest.get(30..30 + name_bytes) else { break };
        out.entry()?;
        let name = String::from_utf8_lossy(name).into_owned();
        let content = rest.get(30 + name_bytes + extra_bytes..).unwrap_or_default();
        if flags & 1 == 0 && method == 8 {
            // Deflate knows its own end; what inflates before a fault is kept.
            let mut sound = Vec::new();
            let inflated = out.inflate(Kept { inner: flate2::read::DeflateDecoder::new(content), kept: &mut sound });
            if let Err(trouble @ Trouble::TooBig(_)) = inflated {
                return Err(trouble);
            }
            embedded(&name, &sound, out, depth);
        } else {
            out.part(&name);
        }
        out.line_break();
        rest = content;
    }
    Err(Trouble::Damaged(format!("the zip's directory can't be read ({error}); entries were looked for one by one")))
}

/// A reader that keeps what it gave, so that a fault at the end does not lose it.
struct Kept<'a, R> {
    inner: R,
    kept: &'a mut Vec<u8>,
}

impl<R: std::io::Read> std::io::Read for Kept<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(into)?;
        self.kept.extend_from_slice(&into[..count]);
        Ok(count)
    }
}

/// Reads a gzip: its members one after the other are one file.
pub(super) fn read_gzip(bytes: &[u8], out: &mut Output, depth: u32) -> Result<(), Trouble> {
    let mut rest = bytes;
    let mut name = String::new();
    let mut sound = Vec::new();
    let mut fault = None;
    while rest.starts_with(b"\x1f\x8b") {
        out.entry()?;
        let mut decoder = GzDecoder::new(rest);
        let inflated = out.inflate(Kept { inner: decoder.by_ref(), kept: &mut sound });
        if let Some(named) = decoder.header().and_then(|header| header.filename()).filter(|_| name.is_empty()) {
            name = String::from_utf8_lossy(named).into_owned();
        }
        rest = decoder.into_inner();
        match inflated {
            Ok(_) => {}
            Err(trouble @ Trouble::Damaged(_)) => {
                fault = Some(trouble);
                break;
            }
            Err(trouble) => return Err(trouble),
        }
    }
    embedded(&name, &sound, out, depth);
    fault.map_or(Ok(()), Err)
}

/// Says of a 7z whether a password is needed, as far as its last header tells.
pub(super) fn read_seven_zip(bytes: &[u8], _: &mut Output, _: u32) -> Result<(), Trouble> {
    let number = |at: usize| bytes.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes);
    let header = number(12).zip(number(20)).and_then(|(offset, size)| {
        let start = usize::try_from(offset).ok()?.checked_add(32)?;
        bytes.get(start..start.checked_add(usize::try_from(size).ok()?)?)
    });
    match header {
        None => Err(Trouble::Damaged("the 7z ends before its header".to_owned())),
        Some(header) if find(header, SEVEN_ZIP_AES).is_some() => {
            Err(Trouble::Encrypted("the 7z opens with a password".to_owned()))
        }
        Some(_) => Err(Trouble::Unsupported("nothing here reads it: 7z".to_owned())),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;
    use zip::write::SimpleFileOptions;

    use super::super::Status;
    use super::super::formats::tests::{read_all, read_within};
    use super::super::output::Limits;
    use super::*;

    /// A zip of these names and texts.
    pub(in crate::extract) fn zip_of(files: &[(&str, &str)]) -> Vec<u8> {
        let files: Vec<(&str, &[u8])> = files.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
        zip_of_bytes(&files)
    }

    fn zip_of_bytes(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in files {
            let method =
                if *name == "mimetype" { zip::CompressionMethod::Stored } else { zip::CompressionMethod::Deflated };
            zip.start_file(*name, SimpleFileOptions::default().compression_method(method)).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    fn gzip_of(bytes: &[u8]) -> Vec<u8> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(bytes).unwrap();
        gzip.finish().unwrap()
    }

    #[test]
    fn names_and_contents_at_any_depth() {
        let inner = zip_of(&[("deep/letter.txt", "a letter")]);
        let page = gzip_of(b"<html><p>a page</p>");
        let zip = zip_of_bytes(&[("a.txt", b"first"), ("inner.zip", &inner), ("page.html.gz", &page)]);
        let (status, text, notes) = read_all("a.zip", &zip);
        assert_eq!(status, Status::Ok, "{notes:?}");
        assert_eq!(
            text,
            "a.txt\nfirst\n\u{1d}inner.zip\n\u{1d}deep/letter.txt\na letter\n\u{1d}page.html.gz\n\u{1d}a page\n"
        );
    }

    #[test]
    fn an_entry_that_nothing_reads_makes_it_partial_and_is_named() {
        let zip = zip_of_bytes(&[("film.mp4", b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom"), ("a.txt", b"text")]);
        let (status, text, notes) = read_all("a.zip", &zip);
        assert_eq!((status, text.as_str()), (Status::Partial, "film.mp4\n\u{1d}a.txt\ntext\n"));
        assert!(notes[0].contains("film.mp4") && notes[0].contains("video/mp4"), "{notes:?}");
    }

    #[test]
    fn bombs_end_at_the_limits() {
        let zeros = vec![0; 20 << 20];
        let zip = zip_of_bytes(&[("a.txt", b"kept"), ("zeros", &zeros)]);
        let (status, text, notes) = read_all("a.zip", &zip);
        assert_eq!((status, text.as_str()), (Status::TooBig, "a.txt\nkept\n\u{1d}zeros\n"), "{notes:?}");
        let mut nested = zip_of(&[("core.txt", "core")]);
        for _ in 0..10 {
            nested = zip_of_bytes(&[("next.zip", &nested)]);
        }
        let (status, text, _) = read_all("a.zip", &nested);
        assert_eq!((status, text.contains("core")), (Status::Partial, false));
        let many: Vec<String> = (0..50).map(|number| format!("{number}.txt")).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|name| (name.as_str(), "x")).collect();
        let (status, ..) = read_within("a.zip", &zip_of(&many), Limits { entries: 20, ..Limits::default() });
        assert_eq!(status, Status::TooBig);
        assert_eq!(read_all("a.gz", &gzip_of(&zeros)).0, Status::TooBig);
    }

    #[test]
    fn a_zip_without_its_directory_is_read_by_its_entries() {
        let zip = zip_of(&[("a.txt", "first"), ("b.txt", "second")]);
        let end = find(&zip, b"PK\x01\x02").unwrap();
        let (status, text, _) = read_all("a.zip", &zip[..end]);
        assert_eq!((status, text.as_str()), (Status::Partial, "a.txt\nfirst\n\u{1d}b.txt\nsecond\n"));
    }

    #[test]
    fn a_cut_gzip_keeps_what_it_gave() {
        let text: String = (0..50_000).map(|number| format!("line {number}\n")).collect();
        let gzip = gzip_of(text.as_bytes());
        let (status, found, _) = read_all("a.gz", &gzip[..gzip.len() / 2]);
        assert_eq!(status, Status::Partial);
        assert!(found.len() > 1_000 && text.starts_with(&found[..1_000]));
    }

    #[test]
    fn what_has_a_password_says_so() {
        let mut zip = zip_of(&[("a.txt", "first"), ("b.txt", "second")]);
        // The flag of encryption, in both headers of the first entry.
        zip[6] |= 1;
        let directory = find(&zip, b"PK\x01\x02").unwrap();
        zip[directory + 8] |= 1;
        let (status, text, _) = read_all("a.zip", &zip);
        assert_eq!((status, text.as_str()), (Status::Partial, "a.txt\n\u{1d}b.txt\nsecond\n"));
        let mut one = zip_of(&[("a.txt", "first")]);
        one[6] |= 1;
        let directory = find(&one, b"PK\x01\x02").unwrap();
        one[directory + 8] |= 1;
        let (status, text, _) = read_all("a.zip", &one);
        assert_eq!((status, text.as_str()), (Status::Encrypted, "a.txt\n"));
        let seven_zip = |header: &[u8]| {
            let mut bytes = b"7z\xbc\xaf\x27\x1c\0\x04\0\0\0\0".to_vec();
            bytes.extend(0_u64.to_le_bytes());
            bytes.extend((header.len() as u64).to_le_bytes());
            bytes.extend([0; 4]);
            bytes.extend(header);
            read_all("a.7z", &bytes).0
        };
        assert_eq!(seven_zip(&[0x17, 0x06, 0xf1, 0x07, 0x01]), Status::Encrypted);
        assert_eq!(seven_zip(&[0x17, 0x06]), Status::Unsupported);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_damaged_archive_never_panics(at in 0_usize..2_000, bit in 0_u8..8, cut in 0_usize..2_000) {
            let inner = gzip_of(b"some text that is packed");
            let mut zip = zip_of_bytes(&[("a.txt", b"first"), ("b.gz", &inner), ("c.html", b"<html>x")]);
            let length = zip.len();
            zip[at % length] ^= 1 << bit;
            zip.truncate(length - cut % length);
            let (_, text, notes) = read_all("a.zip", &zip);
            prop_assert!(text.len() < 10_000);
            prop_assert!(!notes.iter().any(|note| note.contains("failed on it")), "{:?}", notes);
        }
    }
}
