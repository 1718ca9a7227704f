//! Compound files, which the office formats before 2007 are kept in: a file system within a file.
//!
//! Which document it holds is told by the names of its streams. Documents within documents are storages of the
//! same file, and are read in place.

use std::io::{Cursor, Read as _};
use std::path::{Path, PathBuf};

use cfb::CompoundFile;
use encoding_rs::Encoding;

use super::drawing;
use super::output::{Output, Trouble};
use super::{doc, embedded, ppt, xls};

const SUMMARY: &str = "\u{5}SummaryInformation";
/// Identifiers of the properties of words that a person wrote.
const SUMMARY_WORDS: [u32; 6] = [2, 3, 4, 5, 6, 8];

/// An opened compound file.
pub(super) struct Ole<'a> {
    file: CompoundFile<Cursor<&'a [u8]>>,
    bytes: usize,
}

impl<'a> Ole<'a> {
    /// Reads its directory.
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, Trouble> {
        match CompoundFile::open(Cursor::new(bytes)) {
            Ok(file) => Ok(Self { file, bytes: bytes.len() }),
            Err(error) => Err(Trouble::Damaged(format!("can't read it as a compound file: {error}"))),
        }
    }

    /// Whether there is a stream of that name in a storage.
    pub(super) fn has(&self, storage: &Path, name: &str) -> bool {
        self.file.is_stream(storage.join(name))
    }

    /// A stream, as far as it can be read; `None` when there is none. A chain of blocks that comes back to itself
    /// ends where more was read than the file holds.
    pub(super) fn stream(&mut self, storage: &Path, name: &str, out: &mut Output) -> Option<Vec<u8>> {
        let path = storage.join(name);
        if !self.file.is_stream(&path) {
            return None;
        }
        let mut bytes = Vec::new();
        let name = name.trim_start_matches(char::is_control);
        match self.file.open_stream(&path) {
            Ok(stream) => {
                if let Err(error) = stream.take(self.bytes as u64).read_to_end(&mut bytes) {
                    out.partial(format!("stream {name} was read in part: {error}"));
                }
            }
            Err(error) => out.partial(format!("stream {name} could not be read: {error}")),
        }
        Some(bytes)
    }

    /// The storages right below one, with their names.
    fn storages(&self, storage: &Path) -> Vec<PathBuf> {
        let Ok(entries) = self.file.read_storage(storage) else { return Vec::new() };
        entries.filter(cfb::Entry::is_storage).map(|entry| entry.path().to_owned()).collect()
    }

    /// Reads the documents that hang below a storage.
    pub(super) fn embedded(&mut self, storage: &Path, out: &mut Output, depth: u32) {
        for inner in self.storages(storage) {
            if out.is_full() {
                return;
            }
            let name = inner.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if depth >= out.limits().depth {
                out.partial(format!("{name}: documents are nested more than {depth} deep"));
                return;
            }
            if let Err(trouble) = out.entry() {
                out.partial(trouble.what());
                return;
            }
            out.part("");
            match read_storage(self, &inner, out, depth + 1) {
                // Most storages hold how something looks.
                Ok(()) | Err(Trouble::Unsupported(_)) => {}
                Err(trouble) => out.partial(format!("{name}: {}", trouble.what())),
            }
        }
    }
}

/// Reads whatever document a compound file holds.
pub(super) fn read(bytes: &[u8], out: &mut Output, depth: u32) -> Result<(), Trouble> {
    read_storage(&mut Ole::open(bytes)?, Path::new("/"), out, depth)
}

fn read_storage(ole: &mut Ole<'_>, storage: &Path, out: &mut Output, depth: u32) -> Result<(), Trouble> {
    if ole.has(storage, "EncryptedPackage") {
        return Err(Trouble::Encrypted("it is locked with a password".to_owned()));
    }
    properties(ole, storage, out);
    if ole.has(storage, "WordDocument") {
        doc::read_storage(ole, storage, out)?;
        ole.embedded(&storage.join("ObjectPool"), out, depth);
    } else if ole.has(storage, "Workbook") || ole.has(storage, "Book") {
        xls::read_storage(ole, storage, out)?;
        ole.embedded(storage, out, depth);
    } else if ole.has(storage, "PowerPoint Document") {
        ppt::read_storage(ole, storage, out, depth)?;
    } else if let Some(bytes) = ole.stream(storage, "Package", out) {
        embedded("package", &bytes, out, depth);
    } else if let Some(bytes) = ole.stream(storage, "\u{1}Ole10Native", out) {
        native(&bytes, out, depth);
    } else if let Some(bytes) = ole.stream(storage, "CONTENTS", out) {
        embedded("contents", &bytes, out, depth);
    } else if ole.has(storage, "PP40") {
        return Err(Trouble::Unsupported("a presentation of PowerPoint 95 or before".to_owned()));
    } else {
        return Err(Trouble::Unsupported("a compound file of an unknown kind".to_owned()));
    }
    Ok(())
}

/// A file that was put into a document as it is: its name, where it came from, its bytes.
fn native(bytes: &[u8], out: &mut Output, depth: u32) {
    // Size of all, 2 bytes, name, path, 8 bytes, a path with its length, size, bytes.
    let mut at = 6;
    let mut text = || {
        let rest = bytes.get(at..)?;
        let end = rest.iter().position(|byte| *byte == 0)?;
        at += end + 1;
        Some(encoding_rs::WINDOWS_1252.decode(&rest[..end]).0.into_owned())
    };
    let names = (text(), text());
    let (Some(name), Some(_)) = names else {
        // Some writers put the bytes right behind the size.
        embedded("object", bytes.get(4..).unwrap_or_default(), out, depth);
        return;
    };
    let held = long(bytes, at + 4).and_then(|path_bytes| {
        let start = (at + 8).checked_add(path_bytes as usize)?;
        let size = long(bytes, start)? as usize;
        let rest = bytes.get(start + 4..)?;
        Some(&rest[..size.min(rest.len())])
    });
    match held {
        Some(held) => embedded(&name, held, out, depth),
        None => out.partial(format!("embedded file {name} is damaged")),
    }
}

/// Title, subject, author and the like.
fn properties(ole: &mut Ole<'_>, storage: &Path, out: &mut Output) {
    if let Some(bytes) = ole.stream(storage, SUMMARY, out) {
        drawing::lines("properties", &summary(&bytes), out);
    }
}

fn summary(bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    // The first set of properties, by the place that the header tells.
    let Some(set) = long(bytes, 44).and_then(|start| bytes.get(start as usize..)) else { return found };
    let count = long(set, 4).unwrap_or(0) as usize;
    let entry = |place: usize| Some((long(set, 8 + place * 8)?, long(set, 12 + place * 8)? as usize));
    let entries: Vec<(u32, usize)> = (0..count.min(100)).map_while(entry).collect();
    let page = entries.iter().find(|(id, _)| *id == 1).and_then(|(_, at)| short(set, at.checked_add(4)?));
    let encoding = code_page(page.unwrap_or(1252));
    for (id, at) in entries {
        let Some(size) = at.checked_add(4).and_then(|at| long(set, at)).map(|size| size as usize) else { continue };
        let Some(rest) = set.get(at + 8..) else { continue };
        if !SUMMARY_WORDS.contains(&id) {
            continue;
        }
        let value = match long(set, at) {
            Some(0x1E) if page == Some(1200) => wide(&rest[..size.min(rest.len())]),
            Some(0x1E) => encoding.decode(&rest[..size.min(rest.len())]).0.into_owned(),
            Some(0x1F) => wide(&rest[..size.saturating_mul(2).min(rest.len())]),
            _ => continue,
        };
        let value = value.trim_end_matches('\0').trim();
        if !value.is_empty() {
            found.push(value.to_owned());
        }
    }
    found
}

/// The encoding that Windows has under a number; the western one when there is none of it.
pub(super) fn code_page(number: u16) -> &'static Encoding {
    match number {
        874 => encoding_rs::WINDOWS_874,
        932 => encoding_rs::SHIFT_JIS,
        936 => encoding_rs::GBK,
        949 => encoding_rs::EUC_KR,
        950 => encoding_rs::BIG5,
        866 => encoding_rs::IBM866,
        1250 => encoding_rs::WINDOWS_1250,
        1251 => encoding_rs::WINDOWS_1251,
        1253 => encoding_rs::WINDOWS_1253,
        1254 => encoding_rs::WINDOWS_1254,
        1255 => encoding_rs::WINDOWS_1255,
        1256 => encoding_rs::WINDOWS_1256,
        1257 => encoding_rs::WINDOWS_1257,
        1258 => encoding_rs::WINDOWS_1258,
        10000 | 32768 => encoding_rs::MACINTOSH,
        65001 => encoding_rs::UTF_8,
        _ => encoding_rs::WINDOWS_1252,
    }
}

/// UTF-16 text; half a character at the end is left out.
pub(super) fn wide(bytes: &[u8]) -> String {
    let units = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
    char::decode_utf16(units).map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

/// Two bytes, the low one first.
pub(super) fn short(bytes: &[u8], at: usize) -> Option<u16> {
    let pair = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_le_bytes([pair[0], pair[1]]))
}

/// Four bytes, the lowest first.
pub(super) fn long(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes([four[0], four[1], four[2], four[3]]))
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write as _;

    use super::super::output::Limits;
    use super::super::package::tests::{found, survives};
    use super::*;

    /// A compound file of these streams, with the storages that their paths name.
    pub(in super::super) fn compound(streams: &[(&str, &[u8])]) -> Vec<u8> {
        let mut file = CompoundFile::create(Cursor::new(Vec::new())).unwrap();
        for (path, bytes) in streams {
            if let Some(storage) = Path::new(path).parent() {
                file.create_storage_all(storage).unwrap();
            }
            file.create_stream(path).unwrap().write_all(bytes).unwrap();
        }
        file.flush().unwrap();
        file.into_inner().into_inner()
    }

    /// Text as these files keep it when it is wide.
    pub(in super::super) fn wide_bytes(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    fn refusal(bytes: &[u8]) -> Trouble {
        read(bytes, &mut Output::new(Limits::default()), 0).unwrap_err()
    }

    #[test]
    fn what_cannot_be_read_is_told_apart() {
        assert!(matches!(refusal(&compound(&[("EncryptedPackage", b"x")])), Trouble::Encrypted(_)));
        assert!(matches!(refusal(&compound(&[("PP40", b"x")])), Trouble::Unsupported(_)));
        assert!(matches!(refusal(&compound(&[("other", b"x")])), Trouble::Unsupported(_)));
        assert!(matches!(refusal(b"not one"), Trouble::Damaged(_)));
    }

    #[test]
    fn properties_are_read_in_their_code_page() {
        let mut set = Vec::new();
        // Two properties: the code page, and a title.
        set.extend([0, 0, 0, 0, 2, 0, 0, 0]);
        set.extend([1, 0, 0, 0, 24, 0, 0, 0, 2, 0, 0, 0, 32, 0, 0, 0]);
        set.extend([2, 0, 0, 0, 0xE2, 4, 0, 0]);
        set.extend([0x1E, 0, 0, 0, 5, 0, 0, 0, b'm', 0xEC, b's', b't', 0]);
        let mut bytes = vec![0; 44];
        bytes.extend([48, 0, 0, 0]);
        bytes.extend(&set);
        assert_eq!(summary(&bytes), ["měst"]);
        assert!(summary(&bytes[..60]).is_empty());
    }

    #[test]
    fn a_file_that_was_put_in_as_it_is_goes_one_level_deeper() {
        let inner = compound(&[("PowerPoint Document", &[0, 0, 0xBA, 0x0F, 4, 0, 0, 0, b'h', 0, b'i', 0])]);
        let mut native = vec![0, 0, 0, 0, 2, 0];
        native.extend(b"plan.ppt\0C:\\plan.ppt\0\0\0\x03\0");
        native.extend([2, 0, 0, 0, b'x', 0]);
        native.extend(u32::try_from(inner.len()).unwrap().to_le_bytes());
        native.extend(&inner);
        let (text, _) = found(read, &compound(&[("\u{1}Ole10Native", &native)]));
        assert!(text.contains("plan.ppt") && text.ends_with("hi"), "{text}");
    }

    #[test]
    fn damage_never_ends_the_reading_of_what_is_there() {
        let inner = compound(&[("PowerPoint Document", &[0, 0, 0xBA, 0x0F, 4, 0, 0, 0, b'h', 0, b'i', 0])]);
        survives(read, &inner);
    }
}
