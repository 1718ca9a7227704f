//! Reads a set in the format `native` that somebody supplied: nothing of it is believed that its manifests, its
//! proof and the key do not bear out.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{BufRead, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use flate2::read::MultiGzDecoder;

use super::Error;
use super::bag::files_below;
use super::formats::native::{RECORDS, TITLE};
use crate::history::{Item, Told, Version};
use crate::ledger::{ArchiveId, Checkpoint, Frontier, LeafEntry, Note, Opening, VerifierKey, hash_children};
use crate::model::{ChannelId, Digest, MessageTs, RecordSeq, rfc3339};
use crate::record::{Header, Kind, LIVE, Record, State, change_digest, is_part_of};
use crate::store::{Change, FIRST_SOURCE};

/// Longer records and lines are refused.
const MAX_BYTES: usize = 128 << 20;
/// A record that names more contents is refused; `verify.py` has the same limit.
const MAX_ATTACHMENTS: usize = 240;

/// A record that was supplied.
#[derive(Debug, Clone)]
pub struct Supplied {
    /// Its number in the archive that it is from.
    pub seq: RecordSeq,
    /// How it related to the version before.
    pub change: Change,
    /// The record as it was there.
    pub record: Record,
}

/// A set that was supplied, after everything of it was checked.
#[derive(Debug)]
pub struct NativeSet {
    folder: PathBuf,
    /// The log that it is from.
    pub origin: String,
    /// The signed checkpoint.
    pub checkpoint: Checkpoint,
    /// The server that was archived, by the set's own word: no record that is signed says it.
    pub server: String,
    /// SHA-256 of its tag manifest.
    pub digest: Digest,
    /// Records in it.
    pub records: u64,
    /// The contents in it, by the number of their record.
    contents: BTreeMap<u64, Digest>,
}

fn bad(path: &Path, detail: impl Into<String>) -> Error {
    Error::Supplied { path: path.to_owned(), detail: detail.into() }
}

impl NativeSet {
    /// Opens a bag: each file must be as its manifests list it, each record must be in the tree that `key`
    /// signed, or, without one, the key that came with it; each content must be one that its record names; and
    /// the versions of each subject must follow each other.
    pub fn open(folder: &Path, key: Option<&VerifierKey>) -> Result<Self, Error> {
        let (digest, mut payload) = check_manifests(folder)?;
        if payload.remove(&format!("data/{RECORDS}")).is_none() {
            return Err(bad(folder, format!("it is no set in the format native: data/{RECORDS} is missing")));
        }
        let mut contents = BTreeMap::new();
        for (name, digest) in payload {
            let number = name.strip_prefix("data/contents/");
            let seq = number.and_then(|text| text.parse().ok().filter(|seq: &u64| seq.to_string() == text));
            let seq = seq.ok_or_else(|| bad(&folder.join(&name), "a set in the format native has no such file"))?;
            contents.insert(seq, digest);
        }
        let read = |name: &str| {
            let path = folder.join(name);
            fs_err::read_to_string(&path).map_err(Error::file("read", path))
        };
        let note_path = folder.join("proofs/checkpoint.note");
        let text = read("proofs/checkpoint.note")?;
        let own = read("ledger.vkey")?;
        let own =
            VerifierKey::parse(own.trim()).map_err(|error| bad(&folder.join("ledger.vkey"), error.to_string()))?;
        let note = Note::parse(text.as_bytes()).map_err(|error| bad(&note_path, error.to_string()))?;
        note.verify(key.unwrap_or(&own)).map_err(|error| bad(&note_path, error.to_string()))?;
        let checkpoint = Checkpoint::parse(note.text()).map_err(|error| bad(&note_path, error.to_string()))?;
        let custody: serde_json::Value = serde_json::from_str(&read("CUSTODY.json")?)
            .map_err(|error| bad(&folder.join("CUSTODY.json"), error.to_string()))?;
        let server = custody["source"]["server"].as_str().unwrap_or_default().to_owned();
        let mut set = Self {
            folder: folder.to_owned(),
            origin: checkpoint.origin.clone(),
            checkpoint,
            server,
            digest,
            records: 0,
            contents,
        };
        set.records = set.check_records()?;
        Ok(set)
    }

    /// The content of a file's version, where the set has one, and its SHA-256.
    pub fn content(&self, seq: RecordSeq) -> Option<(PathBuf, Digest)> {
        self.contents.get(&seq.0).map(|digest| (self.content_path(seq.0), *digest))
    }

    fn content_path(&self, seq: u64) -> PathBuf {
        self.folder.join("data/contents").join(seq.to_string())
    }

    /// Calls `each` with every record, in order.
    pub fn each(&self, each: &mut dyn FnMut(Supplied) -> Result<(), Error>) -> Result<(), Error> {
        let mut records = Records::open(&self.folder)?;
        while let Some(supplied) = records.next()? {
            each(supplied)?;
        }
        Ok(())
    }

    /// Holds every record against the proof, which has the same in the same order, and every content against its
    /// record; how many records there are.
    fn check_records(&self) -> Result<u64, Error> {
        let path = self.folder.join("proofs/records.tlog-set.gz");
        let mut proof = Proof::open(&path, &self.checkpoint)?;
        let mut records = Records::open(&self.folder)?;
        let mut contents = self.contents.iter().peekable();
        let unnamed = |seq: u64| bad(&self.content_path(seq), format!("record {seq} of the set names no such content"));
        let hasher = RandomState::new();
        let mut seen = Vec::new();
        loop {
            let at = records.text.at;
            let (supplied, opened) = (records.next()?, proof.next()?);
            let Some(Supplied { seq, record, .. }) = supplied else {
                if let Some(Opened { seq, .. }) = opened {
                    return Err(bad(&path, format!("record {seq} is proved and not in the set")));
                }
                break;
            };
            let header = &record.header;
            let is_proved = opened.is_some_and(|opened| {
                (opened.seq, opened.kind) == (seq.0, header.kind.number())
                    && opened.header == header.to_line()
                    && opened.body == record.body
            });
            if !is_proved {
                return Err(bad(&path, format!("record {seq} of the set is not the one that was signed")));
            }
            if let Some((number, digest)) = contents.next_if(|(number, _)| **number <= seq.0)
                && (*number != seq.0 || !header.attachment_digests().contains(digest))
            {
                return Err(unnamed(*number));
            }
            // Those are read in order only: there may be two of one name.
            if !matches!(header.kind, Kind::Coverage | Kind::Event) {
                let subject = hasher.hash_one((header.kind.number(), &header.channel, &header.key));
                seen.push((subject, at << 1 | u64::from(header.version == 1)));
            }
        }
        if let Some((number, _)) = contents.next() {
            return Err(unnamed(*number));
        }
        self.check_subjects(seen)?;
        Ok(records.count)
    }

    /// The versions of each subject follow each other, and each is what it says it is after those before it.
    /// `seen` has a hash of the subject of each record, and where the record lies, with a bit for the first version.
    fn check_subjects(&self, mut seen: Vec<(u64, u64)>) -> Result<(), Error> {
        seen.sort_unstable();
        let mut records = Records::open(&self.folder)?;
        for versions in seen.chunk_by(|(one, _), (other, _)| one == other) {
            // Almost all have one version, and that it says so was seen.
            if versions.len() == 1 && versions[0].1 & 1 == 1 {
                continue;
            }
            let mut item = None;
            for (_, place) in versions {
                let Supplied { seq, change, record } = records.at(place >> 1)?;
                let version = Version { version: record.header.version, seq, change, record };
                if let Some(detail) = out_of_place(item.as_ref(), &version) {
                    return Err(records.wrong(seq, detail));
                }
                let item = item.get_or_insert_with(|| Item {
                    kind: version.record.header.kind,
                    source: FIRST_SOURCE,
                    channel: version.record.header.channel_id(),
                    key: version.record.header.key.clone(),
                    versions: Vec::new(),
                });
                item.versions.push(version);
            }
        }
        Ok(())
    }
}

/// What is wrong with a record, whatever stands before it. The change is the set's own word, and the header is
/// signed by a log that may be anybody's: what this archive would not write itself it does not take.
fn misfit(change: Change, header: &Header) -> Option<&'static str> {
    let is_channel = |id: &String| ChannelId::parse(id).is_some_and(|channel| channel.as_str() == id);
    let is_stamp = |key: &str| MessageTs::parse(key).is_some_and(|ts| ts.to_string() == key);
    let is_first = header.version == 1;
    let fits = match change {
        Change::New => is_first,
        Change::Gone => true,
        Change::Changed | Change::Back | Change::BackChanged => !is_first,
        Change::Shared => !is_first && header.kind == Kind::File,
        Change::Fetched => !is_first && matches!(header.kind, Kind::Message | Kind::File),
        Change::Earlier => !is_first && header.kind == Kind::Message,
    };
    let digests = header.attachment_digests();
    match header.kind {
        Kind::Archive | Kind::Dictionary => Some("is what an archive says of itself, which is in no set"),
        _ if digests.len() > MAX_ATTACHMENTS => Some("names too many contents"),
        _ if digests.iter().map(Digest::to_string).ne(header.attachments.iter().cloned()) => {
            Some("names a content by what is no SHA-256")
        }
        _ if !header.channel.iter().chain(&header.shared_in).all(is_channel) => {
            Some("names a channel by what is no id")
        }
        Kind::Message | Kind::Reactions if header.channel.is_none() || !is_stamp(&header.key) => {
            Some("is of a message that has no channel or no time stamp")
        }
        _ if rfc3339(header.observed()) != header.observed_at => Some("was observed at what is no time"),
        _ if header.version == 0 || !fits || (change == Change::Gone) != (header.state == State::Gone) => {
            Some("can't be what the set says of its version")
        }
        _ => None,
    }
}

/// What is wrong with a version of a subject after those before it.
fn out_of_place(before: Option<&Item>, next: &Version) -> Option<&'static str> {
    let newest = before.and_then(|item| item.versions.last()).map_or(0, |version| version.version);
    // Which lists of pins are in a set is decided by when each was observed.
    let is_next =
        if next.record.header.kind == Kind::Pins { next.version > newest } else { next.version == newest + 1 };
    if !is_next {
        return Some("is not the version that goes on from the one before it");
    }
    let before = before?;
    let body = &next.record.body;
    let latest = before.latest().map(|version| &version.record);
    let reads_same =
        || latest.is_some_and(|latest| change_digest(before.kind, &latest.body) == change_digest(before.kind, body));
    let has_same = || latest.is_some_and(|latest| latest.header.attachments == next.record.header.attachments);
    // Of what is no text, a note says that it came back.
    let is_text = matches!(before.kind, Kind::Message | Kind::File | Kind::Comment);
    let fits = match (next.change, before.is_gone()) {
        (Change::Gone, _) | (Change::Changed, false) | (Change::BackChanged, true) => true,
        (Change::Earlier, _) => before.told(body, true) != Told::Newer,
        (Change::Back, true) => !is_text || reads_same() && has_same(),
        (Change::Shared, false) => reads_same() && has_same(),
        (Change::Fetched, false) if before.kind == Kind::File => {
            reads_same() && latest.is_some_and(|latest| latest.header.attachments.is_empty())
        }
        (Change::Fetched, false) => {
            latest.is_some_and(|latest| latest.header.via == LIVE && is_part_of(&latest.body, body))
        }
        _ => false,
    };
    (!fits).then_some("can't be what the set says of its version")
}

/// A text that was supplied, read by lines and by counts of bytes. What it says of its length costs no more memory
/// than there are bytes.
struct Text<R> {
    path: PathBuf,
    reader: R,
    /// Bytes that were read.
    at: u64,
}

impl<R: BufRead> Text<R> {
    fn line(&mut self) -> Result<Vec<u8>, Error> {
        let mut line = Vec::new();
        let limited = self.reader.by_ref().take(MAX_BYTES as u64).read_until(b'\n', &mut line);
        self.at += limited.map_err(Error::file("read", &self.path))? as u64;
        if line.pop() == Some(b'\n') { Ok(line) } else { Err(bad(&self.path, "it is cut off")) }
    }

    /// So many bytes, after which a line ends.
    fn bytes(&mut self, count: usize) -> Result<Vec<u8>, Error> {
        let mut out = Vec::new();
        let limited = self.reader.by_ref().take(count as u64 + 1).read_to_end(&mut out);
        self.at += limited.map_err(Error::file("read", &self.path))? as u64;
        if out.len() == count + 1 && out.pop() == Some(b'\n') {
            return Ok(out);
        }
        Err(bad(&self.path, format!("what ends at its byte {} has another length than it says", self.at)))
    }

    /// Nothing follows.
    fn end(&mut self) -> Result<(), Error> {
        let rest = self.reader.fill_buf().map_err(Error::file("read", &self.path))?;
        if rest.is_empty() { Ok(()) } else { Err(bad(&self.path, "something follows its end")) }
    }
}

/// The records of a set, in order.
struct Records {
    text: Text<BufReader<fs_err::File>>,
    count: u64,
    last: Option<u64>,
}

impl Records {
    fn open(folder: &Path) -> Result<Self, Error> {
        let path = folder.join("data").join(RECORDS);
        let file = fs_err::File::open(&path).map_err(Error::file("read", &path))?;
        let mut text = Text { path, reader: BufReader::new(file), at: 0 };
        if text.line()? != TITLE.as_bytes() || !text.line()?.is_empty() {
            return Err(bad(&text.path, format!("it does not begin with {TITLE} and an empty line")));
        }
        Ok(Self { text, count: 0, last: None })
    }

    fn wrong(&self, seq: RecordSeq, detail: &str) -> Error {
        bad(&self.text.path, format!("record {seq} of it {detail}"))
    }

    /// The next record; `None` after the last.
    fn next(&mut self) -> Result<Option<Supplied>, Error> {
        let line = self.text.line()?;
        if let Some(end) = line.strip_prefix(b"end ") {
            if end != self.count.to_string().as_bytes() {
                return Err(bad(&self.text.path, "its last line counts other records"));
            }
            return self.text.end().map(|()| None);
        }
        let supplied = self.record(&line)?;
        let seq = supplied.seq;
        if self.last.is_some_and(|last| seq.0 <= last) {
            return Err(self.wrong(seq, "is out of order"));
        }
        if let Some(detail) = misfit(supplied.change, &supplied.record.header) {
            return Err(self.wrong(seq, detail));
        }
        self.last = Some(seq.0);
        self.count += 1;
        Ok(Some(supplied))
    }

    /// The record that lies at a place.
    fn at(&mut self, place: u64) -> Result<Supplied, Error> {
        self.text.reader.seek(SeekFrom::Start(place)).map_err(Error::file("read", &self.text.path))?;
        let line = self.text.line()?;
        self.record(&line)
    }

    fn record(&mut self, line: &[u8]) -> Result<Supplied, Error> {
        let Some((seq, change, bytes, header)) = parse_head(line) else {
            return Err(bad(&self.text.path, format!("what follows record {:?} of it can't be read", self.last)));
        };
        if bytes > MAX_BYTES {
            return Err(self.wrong(seq, "is too large"));
        }
        let body = self.text.bytes(bytes)?;
        Ok(Supplied { seq, change, record: Record { header, body } })
    }
}

fn parse_head(line: &[u8]) -> Option<(RecordSeq, Change, usize, Header)> {
    let text = std::str::from_utf8(line).ok()?;
    let mut parts = text.splitn(4, ' ');
    let seq = RecordSeq(parts.next()?.parse().ok()?);
    let change = Change::from_number(parts.next()?.parse().ok()?)?;
    let bytes: usize = parts.next()?.parse().ok()?;
    let header: Header = serde_json::from_str(parts.next()?).ok()?;
    // One spelling, or its leaf would be another.
    let mut spelled = format!("{seq} {} {bytes} ", change.number()).into_bytes();
    spelled.extend(header.to_line());
    (spelled == line).then_some((seq, change, bytes, header))
}

/// Every file of a bag is as its manifests list it, and no other is there: the digest of the tag manifest, and
/// those of the files of the payload. A link could lead out of the bag and is no file of it.
fn check_manifests(folder: &Path) -> Result<(Digest, BTreeMap<String, Digest>), Error> {
    if !folder.join("bagit.txt").exists() {
        return Err(bad(folder, "it is no bag: bagit.txt is missing"));
    }
    let mut left: BTreeSet<String> = files_below(folder)?.into_iter().collect();
    let (mut digest, mut payload) = (Digest::of(b""), BTreeMap::new());
    for (manifest, is_tag) in [("tagmanifest-sha256.txt", true), ("manifest-sha256.txt", false)] {
        let path = folder.join(manifest);
        let text = fs_err::read_to_string(&path).map_err(Error::file("read", &path))?;
        if is_tag {
            digest = Digest::of(text.as_bytes());
        }
        for line in text.lines() {
            let (expected, name) =
                line.split_once("  ").ok_or_else(|| bad(&path, "a line is not a SHA-256 and a path"))?;
            let is_inside = !name.split('/').any(|part| matches!(part, "" | "." | ".."));
            if !is_inside || name.starts_with("data/") == is_tag {
                return Err(bad(&path, format!("it names {name}, which does not belong in it")));
            }
            let place = folder.join(name);
            let is_file = left.remove(name) && place.symlink_metadata().is_ok_and(|meta| meta.is_file());
            let found = if is_file { Some(super::bag::digest_of(&place)?) } else { None };
            match found {
                Some(found) if found.to_string() == expected => {
                    if !is_tag {
                        payload.insert(name.to_owned(), found);
                    }
                }
                _ => return Err(bad(&place, format!("it is not the file that {manifest} lists"))),
            }
        }
    }
    left.remove("tagmanifest-sha256.txt");
    match left.first() {
        None => Ok((digest, payload)),
        Some(name) => Err(bad(&folder.join(name), "no manifest lists it")),
    }
}

/// A record as the proof opens it.
struct Opened {
    seq: u64,
    kind: u8,
    header: Vec<u8>,
    body: Vec<u8>,
}

/// The proof of a set, read from its beginning to its end; see [`super::proofs`].
struct Proof<'a> {
    text: Text<BufReader<MultiGzDecoder<fs_err::File>>>,
    checkpoint: &'a Checkpoint,
    archive: ArchiveId,
    /// Records that were passed.
    at: u64,
    /// The perfect subtrees of what was passed, with their levels, largest first.
    trees: Vec<(u32, Digest)>,
}

impl<'a> Proof<'a> {
    fn open(path: &Path, checkpoint: &'a Checkpoint) -> Result<Self, Error> {
        let file = fs_err::File::open(path).map_err(Error::file("read", path))?;
        let reader = BufReader::with_capacity(1 << 16, MultiGzDecoder::new(file));
        let mut text = Text { path: path.to_owned(), reader, at: 0 };
        let head: Vec<Vec<u8>> = (0..5).map(|_| text.line()).collect::<Result<_, _>>()?;
        let archive = std::str::from_utf8(&head[2]).ok().and_then(|line| line.strip_prefix("archive "));
        let archive = archive.and_then(|id| u128::from_str_radix(id, 16).ok());
        let archive =
            archive.map(|number| ArchiveId(number.to_be_bytes())).ok_or_else(|| bad(path, "it names no archive"))?;
        let expected = [
            super::proofs::TITLE.to_owned(),
            format!("origin {}", checkpoint.origin),
            format!("archive {archive}"),
            format!("size {}", checkpoint.size),
            String::new(),
        ];
        if head != expected.map(String::into_bytes) {
            return Err(bad(path, "it is not the proof of a set of that log and size"));
        }
        Ok(Self { text, checkpoint, archive, at: 0, trees: Vec::new() })
    }

    fn misplaced(&self) -> Error {
        bad(&self.text.path, format!("what stands at record {} does not belong there", self.at))
    }

    /// The next record that is opened; `None` after the last, when all leads to the root of the checkpoint.
    fn next(&mut self) -> Result<Option<Opened>, Error> {
        loop {
            let line = String::from_utf8(self.text.line()?).map_err(|_| self.misplaced())?;
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["end"] => return self.close().map(|()| None),
                ["node", level, hash] => {
                    let hash = BASE64.decode(hash).ok().and_then(|bytes| Digest::from_slice(&bytes));
                    let (Ok(level), Some(hash)) = (level.parse(), hash) else { return Err(self.misplaced()) };
                    self.put(level, hash)?;
                }
                ["open", index, kind, key, header, body] if index == self.at.to_string() => {
                    return self.opened(kind, key, header, body).map(Some);
                }
                ["shut", index, opening] if index == self.at.to_string() => {
                    let opening = Opening::parse(opening.as_bytes()).map_err(|_| self.misplaced())?;
                    if opening.archive() != self.archive {
                        return Err(self.misplaced());
                    }
                    self.put(0, opening.entry().hash())?;
                }
                _ => return Err(self.misplaced()),
            }
        }
    }

    fn opened(&mut self, kind: &str, key: &str, header: &str, body: &str) -> Result<Opened, Error> {
        let key: Option<[u8; 32]> = BASE64.decode(key).ok().and_then(|bytes| bytes.try_into().ok());
        let sizes = (header.parse::<usize>().ok(), body.parse::<usize>().ok(), kind.parse::<u8>().ok());
        let (Some(key), (Some(header), Some(body), Some(kind))) = (key, sizes) else { return Err(self.misplaced()) };
        if header > MAX_BYTES || body > MAX_BYTES {
            return Err(self.misplaced());
        }
        let (header, body) = (self.text.bytes(header)?, self.text.bytes(body)?);
        let parsed: Header = serde_json::from_slice(&header).map_err(|_| self.misplaced())?;
        let attachments = parsed.attachment_digests();
        if attachments.len() > MAX_ATTACHMENTS {
            return Err(bad(&self.text.path, format!("record {} names too many contents", self.at)));
        }
        let leaf = LeafEntry::new(&self.archive, kind, &key, &header, &body, &attachments).hash();
        let seq = self.at;
        self.put(0, leaf)?;
        Ok(Opened { seq, kind, header, body })
    }

    /// Adds a perfect subtree.
    fn put(&mut self, level: u32, hash: Digest) -> Result<(), Error> {
        let end = 1_u64
            .checked_shl(level)
            .filter(|width| self.at.is_multiple_of(*width))
            .and_then(|width| self.at.checked_add(width));
        let end = end.filter(|end| *end <= self.checkpoint.size).ok_or_else(|| self.misplaced())?;
        self.at = end;
        let (mut level, mut hash) = (level, hash);
        while let Some((_, left)) = self.trees.pop_if(|(known, _)| *known == level) {
            hash = hash_children(&left, &hash);
            level += 1;
        }
        self.trees.push((level, hash));
        Ok(())
    }

    /// Nothing follows, and all leads to the root of the checkpoint.
    fn close(&mut self) -> Result<(), Error> {
        self.text.end()?;
        let mut trees = std::mem::take(&mut self.trees).into_iter().rev().map(|(_, hash)| hash);
        let root = match trees.next() {
            Some(last) => trees.fold(last, |right, left| hash_children(&left, &right)),
            None => Frontier::default().root(),
        };
        if self.at != self.checkpoint.size || root != self.checkpoint.root {
            return Err(bad(&self.text.path, "it does not lead to the root of the checkpoint"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::record::Origin;

    fn header(kind: Kind, version: u32, state: State) -> Header {
        Header {
            kind,
            source: 1,
            channel: (kind != Kind::File).then(|| "C1".to_owned()),
            key: "1.000000".to_owned(),
            version,
            state,
            n: None,
            origin: Origin::Observed,
            via: "x".to_owned(),
            account: "a".to_owned(),
            run: 1,
            observed_at: "2026-01-01T00:00:00.000Z".to_owned(),
            tickets: 0,
            attachments: Vec::new(),
            shared_in: Vec::new(),
            first: None,
        }
    }

    #[test]
    fn a_record_that_no_archive_would_write_is_refused() {
        let good = header(Kind::Message, 1, State::Present);
        assert_eq!(misfit(Change::New, &good), None);
        assert_eq!(misfit(Change::Gone, &header(Kind::Visibility, 1, State::Gone)), None);
        assert_eq!(misfit(Change::Shared, &header(Kind::File, 2, State::Present)), None);
        let wrong: [(Change, Header); 13] = [
            (Change::New, header(Kind::Archive, 1, State::Present)),
            (Change::New, header(Kind::Dictionary, 1, State::Present)),
            (Change::Changed, good.clone()),
            (Change::Gone, good.clone()),
            (Change::New, header(Kind::Message, 1, State::Gone)),
            (Change::New, header(Kind::Message, 2, State::Present)),
            (Change::Shared, header(Kind::Message, 2, State::Present)),
            (Change::Earlier, header(Kind::File, 2, State::Present)),
            (Change::New, Header { key: "01.000000".to_owned(), ..good.clone() }),
            (Change::New, Header { channel: None, ..good.clone() }),
            (Change::New, Header { observed_at: "yesterday".to_owned(), ..good.clone() }),
            (Change::New, Header { attachments: vec!["x".to_owned()], ..good.clone() }),
            (Change::New, Header { attachments: vec![Digest::of(b"").to_string(); 254], ..good.clone() }),
        ];
        for (change, header) in wrong {
            assert!(misfit(change, &header).is_some(), "{change:?} {header:?}");
        }
    }

    #[test]
    fn versions_follow_each_other() {
        let version = |kind, number, change, text: &str| {
            let state = if change == Change::Gone { State::Gone } else { State::Present };
            let record = Record { header: header(kind, number, state), body: format!(r#"{{"text":"{text}"}}"#).into() };
            Version { version: number, seq: RecordSeq(u64::from(number)), change, record }
        };
        let item = |kind, versions| {
            let (channel, key) = (ChannelId::parse("C1"), "1.000000".to_owned());
            Item { kind, source: FIRST_SOURCE, channel, key, versions }
        };
        let message = |number, change, text| version(Kind::Message, number, change, text);
        assert_eq!(out_of_place(None, &message(1, Change::New, "a")), None);
        assert!(out_of_place(None, &message(2, Change::Changed, "a")).is_some(), "it begins in the middle");
        assert_eq!(out_of_place(None, &version(Kind::Pins, 2, Change::Changed, "a")), None);
        let stands = item(Kind::Message, vec![message(1, Change::New, "a")]);
        let gone = item(Kind::Message, vec![message(1, Change::New, "a"), message(2, Change::Gone, "")]);
        let after = |before: &Item, change, text| {
            let number = u32::try_from(before.versions.len()).unwrap() + 1;
            out_of_place(Some(before), &version(before.kind, number, change, text)).is_none()
        };
        assert!(out_of_place(Some(&stands), &message(1, Change::New, "b")).is_some(), "the same again");
        assert!(out_of_place(Some(&stands), &message(3, Change::Changed, "b")).is_some(), "a gap");
        assert!(after(&stands, Change::Changed, "b") && !after(&gone, Change::Changed, "b"));
        assert!(
            after(&gone, Change::Back, "a") && !after(&gone, Change::Back, "b") && !after(&stands, Change::Back, "a")
        );
        assert!(after(&gone, Change::BackChanged, "b") && !after(&stands, Change::BackChanged, "b"));
        assert!(!after(&stands, Change::Fetched, "b"), "an edit is hidden");
        assert!(after(&stands, Change::Earlier, "b"));
        assert!(!after(&stands, Change::Earlier, r#"b","edited":{"ts":"2.000000"},"x":""#), "an edit is hidden");
        let file = item(Kind::File, vec![version(Kind::File, 1, Change::New, "a")]);
        assert!(after(&file, Change::Shared, "a") && !after(&file, Change::Shared, "b"));
    }

    /// Reads a proof of a log of the size to its end.
    fn read(size: u64, lines: &str) -> Result<(), Error> {
        let archive = ArchiveId([7; 16]);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("proof");
        let mut file = flate2::write::GzEncoder::new(fs_err::File::create(&path).unwrap(), flate2::Compression::fast());
        let title = crate::export::proofs::TITLE;
        write!(file, "{title}\norigin o\narchive {archive}\nsize {size}\n\n{lines}").unwrap();
        file.finish().unwrap();
        let checkpoint = Checkpoint { origin: "o".to_owned(), size, root: Digest::of(b"") };
        let mut proof = Proof::open(&path, &checkpoint)?;
        while proof.next()?.is_some() {}
        Ok(())
    }

    #[test]
    fn a_proof_of_any_size_is_refused_and_not_died_of() {
        let detail = |size, lines: &str| read(size, lines).unwrap_err().to_string();
        let hash = BASE64.encode([1; 32]);
        let node = format!("node 63 {hash}\n");
        assert!(detail(u64::MAX, &node.repeat(2)).contains("record 9223372036854775808 does not belong"));
        assert!(detail(u64::MAX, &format!("node 64 {hash}\n")).contains("record 0 does not belong"));
        assert!(detail(1, "end\nmore\n").contains("something follows its end"));
        let many =
            Header { attachments: vec![Digest::of(b"").to_string(); 254], ..header(Kind::File, 1, State::Present) };
        let line = String::from_utf8(many.to_line()).unwrap();
        let open = format!("open 0 2 {hash} {} 1\n{line}\nx\nend\n", line.len());
        assert!(detail(1, &open).contains("names too many contents"));
        assert!(detail(1, &format!("open 0 2 {hash} 99999999 1\nx")).contains("another length"));
    }
}
