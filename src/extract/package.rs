//! The parts of an office document that is a zip file, by their paths.
//!
//! Every part is inflated through [`Output::inflate`], whatever size its header claims. When the directory at the
//! end is missing or damaged, the parts are found by the headers that stand before each: a document that was cut
//! off gives the parts it still has.

use std::io::{Cursor, ErrorKind, Read};

use zip::ZipArchive;
use zip::read::{ZipReadOptions, read_zipfile_from_stream_with_options};

use super::output::{Output, Trouble};
use super::xml;

const LOCAL_HEADER: &[u8] = b"PK\x03\x04";
/// Bytes of a local header before the name.
const LOCAL_HEADER_BYTES: usize = 30;

/// An opened document.
pub(super) struct Package<'a> {
    bytes: &'a [u8],
    /// None when its directory could not be read.
    archive: Option<ZipArchive<Cursor<&'a [u8]>>>,
    parts: Vec<Part>,
}

/// One part, and where it is: its number in the directory, or the bytes that hold it.
struct Part {
    name: String,
    place: usize,
    end: usize,
}

impl<'a> Package<'a> {
    /// Finds the parts.
    pub(super) fn open(bytes: &'a [u8], out: &mut Output) -> Result<Self, Trouble> {
        let package = Self::find(bytes, out)?;
        let limit = out.limits().entries as usize;
        if package.parts.len() > limit {
            return Err(Trouble::TooBig(format!("it has more than {limit} parts")));
        }
        Ok(package)
    }

    fn find(bytes: &'a [u8], out: &mut Output) -> Result<Self, Trouble> {
        match ZipArchive::new(Cursor::new(bytes)) {
            Ok(archive) => {
                let parts = archive.file_names_raw().enumerate();
                let parts = parts.map(|(place, name)| Part { name: plain_name(name), place, end: 0 }).collect();
                Ok(Self { bytes, archive: Some(archive), parts })
            }
            Err(error) => {
                let parts = scan(bytes);
                if parts.is_empty() {
                    return Err(Trouble::Damaged(format!("can't read it as a zip file: {error}")));
                }
                out.partial(format!("its directory of parts can't be read ({error}): they were looked for one by one"));
                Ok(Self { bytes, archive: None, parts })
            }
        }
    }

    /// The paths of all parts.
    pub(super) fn names(&self) -> Vec<String> {
        self.parts.iter().map(|part| part.name.clone()).collect()
    }

    /// The paths that `accept` takes, ordered by the number at their end: `slide2.xml` before `slide10.xml`.
    pub(super) fn numbered(&self, accept: impl Fn(&str) -> bool) -> Vec<String> {
        let mut names: Vec<String> = self.names().into_iter().filter(|name| accept(name)).collect();
        names.sort_by_cached_key(|name| {
            let stem = name.rsplit_once('.').map_or(name.as_str(), |(stem, _)| stem);
            let digits = stem.len() - stem.trim_end_matches(|letter: char| letter.is_ascii_digit()).len();
            let number: u64 = stem[stem.len() - digits..].parse().unwrap_or(0);
            (stem[..stem.len() - digits].to_owned(), number)
        });
        names.dedup();
        names
    }

    /// The bytes of a part; `None` when there is none of that path. Of a damaged one, what came before the damage.
    pub(super) fn read(&mut self, name: &str, out: &mut Output) -> Result<Option<Vec<u8>>, Trouble> {
        let exact = self.parts.iter().position(|part| part.name == name);
        // Paths in such a document are told apart without regard to case.
        let place = exact.or_else(|| self.parts.iter().position(|part| part.name.eq_ignore_ascii_case(name)));
        let Some(place) = place else { return Ok(None) };
        let part = &self.parts[place];
        out.entry()?;
        let mut fault = None;
        let options = ZipReadOptions::new().ignore_crc32(true);
        let bytes = if let Some(archive) = &mut self.archive {
            let file = archive.by_index_with_options(part.place, options).map_err(|error| refusal(name, &error))?;
            out.inflate(UpToDamage { inner: file, fault: &mut fault })?
        } else {
            let mut slice = &self.bytes[part.place..part.end];
            // A size that is told after the bytes is not known yet: everything up to the next part may be read.
            let held = slice.len() as u64;
            let options = if is_streamed(slice) { options.override_compressed_size(held) } else { options };
            let file = read_zipfile_from_stream_with_options(&mut slice, options);
            let Some(file) = file.map_err(|error| refusal(name, &error))? else { return Ok(None) };
            out.inflate(UpToDamage { inner: file, fault: &mut fault })?
        };
        if let Some(fault) = fault {
            out.partial(format!("{name} is damaged: {fault}"));
        }
        Ok(Some(bytes))
    }

    /// The text of an XML part, like [`Package::read`].
    pub(super) fn read_xml(&mut self, name: &str, out: &mut Output) -> Result<Option<String>, Trouble> {
        Ok(self.read(name, out)?.map(|bytes| xml::decode(&bytes)))
    }

    /// A part that the document can do without: a fault is noted, and the rest goes on.
    pub(super) fn optional_xml(&mut self, name: &str, out: &mut Output) -> Option<String> {
        match self.read_xml(name, out) {
            Ok(text) => text,
            Err(trouble) => {
                out.partial(format!("{name} could not be read: {}", trouble.what()));
                None
            }
        }
    }

    /// What a part points to, by the `.rels` part beside it.
    pub(super) fn relations(&mut self, name: &str, out: &mut Output) -> Vec<Relation> {
        let (folder, file) = name.rsplit_once('/').unwrap_or(("", name));
        let path = if folder.is_empty() { format!("_rels/{file}.rels") } else { format!("{folder}/_rels/{file}.rels") };
        let mut relations = Vec::new();
        let Some(text) = self.optional_xml(&path, out) else { return relations };
        xml::walk(&path, &text, out, |event, _| {
            if let xml::Event::Start(tag) = event
                && tag.name() == "Relationship"
            {
                let is_external = tag.plain("TargetMode").is_some_and(|mode| mode == "External");
                let target = tag.plain("Target").unwrap_or_default();
                relations.push(Relation {
                    id: tag.plain("Id").unwrap_or_default(),
                    kind: tag.plain("Type").unwrap_or_default().rsplit('/').next().unwrap_or_default().to_owned(),
                    target: if is_external { target } else { resolve(folder, &target) },
                    is_external,
                });
            }
            Ok(())
        });
        relations
    }
}

/// Whether a part is XML, by its path.
pub(super) fn is_xml(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(_, extension)| extension.eq_ignore_ascii_case("xml"))
}

/// One entry of a `.rels` part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Relation {
    /// What the part calls it.
    pub(super) id: String,
    /// The last step of its type's address: `hyperlink`, `notesSlide`.
    pub(super) kind: String,
    /// The path of a part, or an address outside.
    pub(super) target: String,
    /// Whether it points out of the document.
    pub(super) is_external: bool,
}

/// The path that a relation of a part in `folder` means.
fn resolve(folder: &str, target: &str) -> String {
    let from_root = target.starts_with('/');
    let mut steps: Vec<&str> = if from_root { Vec::new() } else { folder.split('/').collect() };
    for step in target.split(['/', '\\']) {
        match step {
            "" | "." => {}
            ".." => {
                steps.pop();
            }
            _ => steps.push(step),
        }
    }
    steps.retain(|step| !step.is_empty());
    steps.join("/")
}

fn plain_name(name: &[u8]) -> String {
    // Some writers put a root or the other slash, which the standard forbids and every reader takes.
    String::from_utf8_lossy(name).replace('\\', "/").trim_start_matches('/').to_owned()
}

fn refusal(name: &str, error: &zip::result::ZipError) -> Trouble {
    match error {
        zip::result::ZipError::UnsupportedArchive(what) if what.contains("assword") => {
            Trouble::Encrypted(format!("{name} needs a password"))
        }
        _ => Trouble::Damaged(format!("{name}: {error}")),
    }
}

/// The parts by the headers that stand before each.
fn scan(bytes: &[u8]) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut at = 0;
    while let Some(found) = find(&bytes[at..], LOCAL_HEADER) {
        let start = at + found;
        if let Some(last) = parts.last_mut() {
            last.end = start;
        }
        at = start + LOCAL_HEADER.len();
        let Some(header) = bytes.get(start..start + LOCAL_HEADER_BYTES) else { break };
        let short = |place: usize| usize::from(u16::from_le_bytes([header[place], header[place + 1]]));
        let (name_bytes, extra_bytes) = (short(26), short(28));
        let name_start = start + LOCAL_HEADER_BYTES;
        let Some(name) = bytes.get(name_start..name_start + name_bytes) else { break };
        parts.push(Part { name: plain_name(name), place: start, end: bytes.len() });
        if !is_streamed(header) {
            let packed = u32::from_le_bytes([header[18], header[19], header[20], header[21]]) as usize;
            let end = (name_start + name_bytes + extra_bytes).saturating_add(packed);
            at = at.max(end.min(bytes.len()));
        }
    }
    parts
}

/// Whether the sizes of a part stand behind it instead of in its header.
fn is_streamed(header: &[u8]) -> bool {
    header.get(6).is_some_and(|flags| flags & 8 != 0)
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// Ends where its source is damaged, and says so, so that what came before is kept.
struct UpToDamage<'a, R> {
    inner: R,
    fault: &'a mut Option<String>,
}

impl<R: Read> Read for UpToDamage<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self.inner.read(buffer) {
            Err(error) if error.kind() != ErrorKind::Interrupted => {
                *self.fault = Some(error.to_string());
                Ok(0)
            }
            result => result,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write as _;

    use proptest::prelude::*;
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::super::output::Limits;
    use super::*;

    /// A format's function.
    pub(in super::super) type Read = fn(&[u8], &mut Output, u32) -> Result<(), Trouble>;

    /// A package of these parts.
    pub(in super::super) fn packed(parts: &[(&str, &str)]) -> Vec<u8> {
        packed_bytes(&parts.iter().map(|(name, text)| (*name, text.as_bytes())).collect::<Vec<_>>())
    }

    /// The same of bytes.
    pub(in super::super) fn packed_bytes(parts: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in parts {
            writer.start_file(*name, SimpleFileOptions::default()).unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    /// What a format finds: the text, with `|` between parts and `/` between lines, and the notes.
    pub(in super::super) fn found(read: Read, bytes: &[u8]) -> (String, Vec<String>) {
        let mut out = Output::new(Limits::default());
        read(bytes, &mut out, 0).unwrap();
        let parts = out.into_parts();
        (parts.text.replace("\n\u{1d}", "|").replace('\u{1d}', "|").trim_end().replace('\n', "/"), parts.notes)
    }

    /// Damages a document in random places and reads it: it must come back within small limits.
    pub(in super::super) fn survives(read: Read, bytes: &[u8]) {
        let limits = Limits { text_bytes: 10_000, inflated_bytes: 1 << 20, entries: 100, depth: 3, pages: 50 };
        let places = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12);
        let damages = (places, any::<prop::sample::Index>(), any::<bool>());
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        let result = runner.run(&damages, |(places, cut, is_cut)| {
            let mut bytes = bytes.to_vec();
            for (place, value) in places {
                let place = place.index(bytes.len());
                bytes[place] = value;
            }
            if is_cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            let mut out = Output::new(limits);
            // What it says of damage is its own: only that it comes back, and with how much.
            drop(read(&bytes, &mut out, 0));
            prop_assert!(out.collected().len() <= limits.text_bytes);
            Ok(())
        });
        result.unwrap();
    }

    fn opened(bytes: &[u8]) -> (Package<'_>, Output) {
        let mut out = Output::new(Limits::default());
        (Package::open(bytes, &mut out).unwrap(), out)
    }

    #[test]
    fn parts_are_found_by_path_whatever_their_case_or_slash() {
        let bytes = packed(&[("word/Document.xml", "a"), ("/root.xml", "b"), ("back\\slash.xml", "c")]);
        let (mut package, mut out) = opened(&bytes);
        for (name, expected) in
            [("word/document.xml", Some("a")), ("root.xml", Some("b")), ("back/slash.xml", Some("c")), ("none", None)]
        {
            assert_eq!(package.read_xml(name, &mut out).unwrap().as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn a_package_that_was_cut_off_gives_the_parts_it_has() {
        let long = "many different words 1 2 3 4 5 6 7 8 9 ".repeat(30);
        let bytes = packed(&[("first.xml", &long), ("second.xml", &long)]);
        let second = bytes.windows(10).position(|window| window == b"second.xml").unwrap();
        let (mut package, mut out) = opened(&bytes[..second + 40]);
        assert_eq!(package.read_xml("first.xml", &mut out).unwrap(), Some(long));
        let rest = package.read_xml("second.xml", &mut out).unwrap().unwrap();
        assert!(rest.len() < 1_000, "only the beginning is there");
        assert!(out.into_parts().is_partial);
    }

    #[test]
    fn relations_are_paths_from_the_root() {
        for (folder, target, expected) in [
            ("word", "media/a.png", "word/media/a.png"),
            ("ppt/slides", "../notes/n.xml", "ppt/notes/n.xml"),
            ("xl", "/xl/s.xml", "xl/s.xml"),
            ("", "word/document.xml", "word/document.xml"),
            ("a", "../../../b", "b"),
        ] {
            assert_eq!(resolve(folder, target), expected, "{folder} {target}");
        }
    }

    #[test]
    fn numbered_parts_stand_in_the_order_of_their_numbers() {
        let bytes = packed(&[("s10.xml", ""), ("s2.xml", ""), ("s1.xml", "")]);
        assert_eq!(opened(&bytes).0.numbered(|_| true), ["s1.xml", "s2.xml", "s10.xml"]);
    }

    #[test]
    fn too_many_parts_are_refused() {
        let names: Vec<String> = (0..20).map(|number| format!("p{number}")).collect();
        let parts: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
        let mut out = Output::new(Limits { entries: 10, ..Limits::default() });
        assert!(matches!(Package::open(&packed(&parts), &mut out), Err(Trouble::TooBig(_))));
    }
}
