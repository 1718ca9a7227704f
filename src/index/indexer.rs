//! From records to documents, in order, so that a commit can say how far it came.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tantivy::query::TermQuery;
use tantivy::schema::IndexRecordOption;
use tantivy::{DocAddress, Index, IndexReader, IndexWriter, ReloadPolicy, Term};

use super::Error;
use super::document::{Made, stream_comment};
use super::making::{Making, Subject};
use super::pace::Pace;
use super::schema::{Fields, SCHEMA_VERSION, fields};
use super::tokenizer::register;
use crate::history::item;
use crate::model::{RecordSeq, SourceId};
use crate::query::FOLD_VERSION;
use crate::record::{Kind, Record};
use crate::store::{DerivedReader, Layout, Reader, moment, write_whole};

/// Memory for documents that wait for a commit.
const MEMORY: usize = 128 << 20;
/// Threads that index.
const THREADS: usize = 2;
/// Records between two commits of a long catch-up.
const COMMIT_EVERY: u64 = 100_000;
/// Blocks read at once.
const BLOCKS: usize = 64;
/// Results of reading files taken up at once.
const RESULTS: usize = 256;

/// Commits after which an open index is closed and opened again. The engine's directory remembers the
/// path of every file that it ever opened and forgets none (tantivy 0.27; a heap profile of a followed
/// workspace with 40 changes a second showed 0.5 MB more in eight minutes, and nothing else that grew).
pub(super) const RENEW_AFTER: u32 = 500;

/// What a commit says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Payload {
    /// Every record below this number is in the index.
    pub(super) records_through: u64,
    /// Every result of reading a file up to this row is.
    #[serde(default)]
    pub(super) results_through: u64,
    /// Documents.
    #[serde(default)]
    pub(super) documents: u64,
    /// The checks of all documents, combined by exclusive or.
    #[serde(default)]
    pub(super) digest: u64,
    /// Version of the documents.
    pub(super) schema: u32,
    /// Version of the tokenizer.
    pub(super) fold: u32,
}

impl Payload {
    pub(super) fn is_ours(&self) -> bool {
        self.schema == SCHEMA_VERSION && self.fold == FOLD_VERSION
    }
}

/// The folder of the generation that serves.
pub(super) fn current(layout: &Layout) -> Option<PathBuf> {
    let name = fs_err::read_to_string(layout.index().join("CURRENT")).ok()?;
    let name = name.trim();
    name.starts_with("gen-").then(|| layout.index().join(name)).filter(|folder| folder.join("meta.json").exists())
}

/// What the last commit in `folder` says.
pub(super) fn payload(index: &Index) -> Result<Payload, Error> {
    let meta = index.load_metas()?;
    Ok(meta.payload.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default())
}

pub(super) fn open_generation(folder: &Path) -> Result<Index, Error> {
    let index = Index::open_in_dir(folder)?;
    register(&index);
    Ok(index)
}

/// How the index stands to the archive.
#[derive(Debug, Clone, Default, Serialize)]
pub struct IndexStatus {
    /// Every record below this number is in it.
    pub record: u64,
    /// Records that are not.
    pub lag: u64,
    /// Documents.
    pub documents: u64,
    /// Name of the generation.
    pub generation: Option<String>,
    /// Bytes on disk.
    pub bytes: u64,
}

/// The state of the index beside an archive of `head` records. An index that is missing or
/// unreadable is one that has reached nothing.
pub fn status(layout: &Layout, head: u64) -> IndexStatus {
    let mut out = IndexStatus { lag: head, bytes: folder_bytes(&layout.index()), ..IndexStatus::default() };
    let Some(folder) = current(layout) else { return out };
    let Ok(index) = open_generation(&folder) else { return out };
    let Ok(payload) = payload(&index) else { return out };
    if payload.is_ours() {
        out.record = payload.records_through;
        out.lag = head.saturating_sub(payload.records_through);
        out.documents = payload.documents;
        out.generation = folder.file_name().map(|name| name.to_string_lossy().into_owned());
    }
    out
}

fn folder_bytes(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_dir() => folder_bytes(&entry.path()),
            Ok(meta) => meta.len(),
            Err(_) => 0,
        })
        .sum()
}

/// Writes the index. Held by the one process that holds the archive's lock.
pub struct Indexer {
    layout: Layout,
    folder: PathBuf,
    is_new: bool,
    writer: IndexWriter,
    /// Shows the newest commit.
    committed: IndexReader,
    fields: Fields,
    reached: Payload,
    commits: u32,
    pace: Pace,
    pending: Pending,
}

/// What changed since the last commit.
#[derive(Default)]
struct Pending {
    /// Documents added, with their checks.
    added: HashMap<u64, u64>,
    /// Committed documents that are taken out.
    removed: HashSet<u64>,
    /// Comments added that were read from their file, by id.
    comments: HashMap<String, Vec<u64>>,
    /// Comments added that stand in a channel's stream.
    stream_comments: HashSet<String>,
}

impl Indexer {
    /// Opens the index of an archive, or begins a new generation when there is none that this
    /// build can go on with.
    pub fn open(layout: &Layout) -> Result<Self, Error> {
        let usable = current(layout).and_then(|folder| {
            let index = open_generation(&folder).ok()?;
            let payload = payload(&index).ok()?;
            payload.is_ours().then_some((folder, index, payload))
        });
        match usable {
            Some((folder, index, payload)) => Self::with(layout, folder, &index, payload, false),
            None => Self::rebuild(layout),
        }
    }

    /// Begins a new generation beside the one that serves, which serves on until
    /// [`Self::catch_up`] has filled the new one. One that was begun and cut off is gone on with.
    pub fn rebuild(layout: &Layout) -> Result<Self, Error> {
        let serving = current(layout);
        let mut number = 1;
        loop {
            let folder = layout.index().join(format!("gen-{number}"));
            if serving.as_ref() == Some(&folder) {
                number += 1;
                continue;
            }
            if folder.exists() {
                let begun = open_generation(&folder).ok().and_then(|index| {
                    let payload = payload(&index).ok().filter(Payload::is_ours)?;
                    Some((index, payload))
                });
                if let Some((index, payload)) = begun {
                    return Self::with(layout, folder, &index, payload, true);
                }
                fs_err::remove_dir_all(&folder)?;
            }
            fs_err::create_dir_all(&folder)?;
            moment(&folder, "generation's folder made");
            let index = Index::create_in_dir(&folder, fields().schema)?;
            moment(&folder, "generation made");
            register(&index);
            let payload = Payload { schema: SCHEMA_VERSION, fold: FOLD_VERSION, ..Payload::default() };
            return Self::with(layout, folder, &index, payload, true);
        }
    }

    fn with(layout: &Layout, folder: PathBuf, index: &Index, reached: Payload, is_new: bool) -> Result<Self, Error> {
        let writer = index.writer_with_num_threads(THREADS, MEMORY)?;
        let committed = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        Ok(Self {
            layout: layout.clone(),
            folder,
            is_new,
            writer,
            committed,
            fields: fields(),
            reached,
            commits: 0,
            pace: Pace::unlimited(),
            pending: Pending::default(),
        })
    }

    /// Takes at most so many records a second, so that a rebuild leaves the machine to others.
    pub fn set_rate(&mut self, records_per_second: Option<u32>) {
        self.pace = Pace::new(records_per_second);
    }

    /// Whether it should be closed and opened again before it is used further.
    pub fn is_worn(&self) -> bool {
        self.commits >= RENEW_AFTER
    }

    /// Ends it, once what the engine does in the background is done.
    pub fn close(self) -> Result<(), Error> {
        Ok(self.writer.wait_merging_threads()?)
    }

    /// Brings the index to the archive's head, with what was read in files, and says how many records it
    /// read. `progress` is told the number of records reached.
    pub fn catch_up(
        &mut self,
        reader: &Reader,
        derived: Option<&DerivedReader>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<u64, Error> {
        let start = self.reached.records_through;
        let head = reader.head()?;
        let mut making = Making::new(reader, derived)?;
        let mut since_commit = self.results(reader, derived, &mut making)?;
        while self.reached.records_through < head {
            let blocks = reader.blocks(self.reached.records_through, BLOCKS)?;
            if blocks.is_empty() {
                break;
            }
            for block in blocks {
                for (seq, record) in (block.first.0..).zip(&block.records) {
                    if seq < self.reached.records_through {
                        continue;
                    }
                    self.add(reader, &mut making, RecordSeq(seq), record)?;
                    self.reached.records_through = seq + 1;
                    since_commit += 1;
                    self.pace.count();
                }
            }
            progress(self.reached.records_through);
            if since_commit >= COMMIT_EVERY {
                self.commit()?;
                since_commit = 0;
            }
        }
        if since_commit > 0 || self.is_new {
            self.commit()?;
        }
        if self.is_new {
            self.take_over()?;
        }
        Ok(self.reached.records_through - start)
    }

    /// Takes up what was read in files since: the documents of those files are made anew. Says how many
    /// results there were.
    fn results(
        &mut self,
        reader: &Reader,
        derived: Option<&DerivedReader>,
        making: &mut Making<'_>,
    ) -> Result<u64, Error> {
        let Some(derived) = derived else { return Ok(0) };
        // The results were thrown away and are being made anew.
        if derived.last()? < self.reached.results_through {
            self.reached.results_through = 0;
        }
        let mut count = 0;
        loop {
            let rows = derived.since(self.reached.results_through, RESULTS)?;
            let Some((last, _)) = rows.last().copied() else { return Ok(count) };
            for (_, digest) in rows {
                let term = Term::from_field_text(self.fields.blob, &digest.to_string());
                for seq in self.committed_records(&term)? {
                    let record = reader.record(RecordSeq(seq))?;
                    let source = SourceId(record.header.source);
                    if let Some(file) = item(reader, Kind::File, source, None, &record.header.key)? {
                        let subject = making.all(&file)?;
                        self.replace(subject)?;
                    }
                }
                count += 1;
            }
            self.reached.results_through = last;
        }
    }

    fn commit(&mut self) -> Result<(), Error> {
        moment(&self.folder, "index about to be committed");
        let mut prepared = self.writer.prepare_commit()?;
        prepared.set_payload(&serde_json::to_string(&self.reached).map_err(|error| Error::Engine(error.to_string()))?);
        // The commit point: documents and the number they reach become visible together. After a
        // crash before it, the same records are read again.
        moment(&self.folder, "index commit prepared");
        prepared.commit()?;
        moment(&self.folder, "index committed");
        self.committed.reload()?;
        self.pending = Pending::default();
        self.commits += 1;
        Ok(())
    }

    /// Makes this generation the one that serves and removes the others.
    fn take_over(&mut self) -> Result<(), Error> {
        let name = self.folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        write_whole(&self.layout.index().join("CURRENT"), format!("{name}\n").as_bytes())?;
        self.is_new = false;
        for entry in fs_err::read_dir(self.layout.index())? {
            let entry = entry?;
            let other = entry.file_name().to_string_lossy().into_owned();
            if other.starts_with("gen-") && other != name {
                moment(&self.folder, "earlier generation about to be removed");
                fs_err::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }

    fn add(&mut self, reader: &Reader, making: &mut Making<'_>, seq: RecordSeq, record: &Record) -> Result<(), Error> {
        let Some(subject) = making.of(seq, record)? else { return Ok(()) };
        self.replace(subject)?;
        // A file may have come into another channel: its comments are seen there, too.
        let header = &record.header;
        if header.kind == Kind::File && header.version > 1 {
            let source = SourceId(header.source);
            for (key, _) in reader.newest_under(Kind::Comment, source, None, &format!("{}/", header.key))? {
                if let Some(comment) = item(reader, Kind::Comment, source, None, &key)? {
                    let subject = making.all(&comment)?;
                    // Those whose records are still to come are made when they do.
                    if subject.records.iter().all(|record| record.0 < seq.0) {
                        self.replace(subject)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes out what was indexed of a subject and puts in what it is now.
    fn replace(&mut self, subject: Subject) -> Result<(), Error> {
        for seq in subject.records {
            self.remove(seq.0)?;
        }
        for made in subject.made {
            self.put(&made)?;
        }
        Ok(())
    }

    fn put(&mut self, made: &Made) -> Result<(), Error> {
        let comment = made.content.comment.as_str();
        if let Some(id) = comment.strip_prefix("c:") {
            // A comment that stands in its channel's stream is found there, once.
            if self.is_in_stream(id)? {
                return Ok(());
            }
            self.pending.comments.entry(id.to_owned()).or_default().push(made.seq.0);
        }
        if let Some(id) = comment.strip_prefix("m:") {
            let term = Term::from_field_text(self.fields.comment, &format!("c:{id}"));
            let mut read = self.pending.comments.remove(id).unwrap_or_default();
            read.extend(self.committed_records(&term)?);
            for seq in read {
                self.remove(seq)?;
            }
            self.pending.stream_comments.insert(id.to_owned());
        }
        let check = made.check();
        self.writer.add_document(made.document(&self.fields, check))?;
        self.pending.added.insert(made.seq.0, check);
        self.reached.documents += 1;
        self.reached.digest ^= check;
        Ok(())
    }

    fn remove(&mut self, seq: u64) -> Result<(), Error> {
        let check = match self.pending.added.remove(&seq) {
            Some(check) => Some(check),
            None if self.pending.removed.contains(&seq) => None,
            None => {
                let check = self.committed_check(seq)?;
                if check.is_some() {
                    self.pending.removed.insert(seq);
                }
                check
            }
        };
        if let Some(check) = check {
            self.reached.documents -= 1;
            self.reached.digest ^= check;
            self.writer.delete_term(Term::from_field_u64(self.fields.seq, seq));
        }
        Ok(())
    }

    /// The committed documents with a term.
    fn committed_with(&self, term: &Term) -> Result<HashSet<DocAddress>, Error> {
        let query = TermQuery::new(term.clone(), IndexRecordOption::Basic);
        Ok(self.committed.searcher().search(&query, &tantivy::collector::DocSetCollector)?)
    }

    fn committed_records(&self, term: &Term) -> Result<Vec<u64>, Error> {
        let mut out = Vec::new();
        for address in self.committed_with(term)? {
            out.extend(self.column("seq", address)?);
        }
        out.sort_unstable();
        Ok(out)
    }

    fn committed_check(&self, seq: u64) -> Result<Option<u64>, Error> {
        let term = Term::from_field_u64(self.fields.seq, seq);
        match self.committed_with(&term)?.into_iter().next() {
            Some(address) => self.column("check", address),
            None => Ok(None),
        }
    }

    fn column(&self, name: &str, address: DocAddress) -> Result<Option<u64>, Error> {
        let searcher = self.committed.searcher();
        Ok(searcher.segment_reader(address.segment_ord).fast_fields().u64(name)?.first(address.doc_id))
    }

    fn is_in_stream(&self, comment: &str) -> Result<bool, Error> {
        if self.pending.stream_comments.contains(comment) {
            return Ok(true);
        }
        Ok(!self.committed_with(&Term::from_field_text(self.fields.comment, &stream_comment(comment)))?.is_empty())
    }
}

#[cfg(test)]
impl Indexer {
    /// What a damaged index would lack, hold twice or hold beside the records.
    pub(super) fn remove_for_test(&self, seq: u64) {
        self.writer.delete_term(Term::from_field_u64(self.fields.seq, seq));
    }

    pub(super) fn add_for_test(&self, seq: u64, check: u64) {
        let mut document = tantivy::TantivyDocument::default();
        document.add_u64(self.fields.seq, seq);
        document.add_u64(self.fields.check, check);
        self.writer.add_document(document).unwrap();
    }

    pub(super) fn commit_for_test(&mut self) {
        self.commit().unwrap();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::{bench, messages, writer};

    #[test]
    fn a_worn_index_is_closed_and_goes_on_where_it_ended() {
        let bench = bench();
        let mut archive = writer(&bench);
        archive.append(messages("C", 1..4)).unwrap();
        let reader = Reader::open(&bench.layout).unwrap();
        let mut indexer = Indexer::open(&bench.layout).unwrap();
        indexer.commits = RENEW_AFTER - 2;
        assert_eq!(indexer.catch_up(&reader, None, &mut |_| {}).unwrap(), 3);
        assert!(!indexer.is_worn());
        archive.append(messages("C", 4..5)).unwrap();
        assert_eq!(indexer.catch_up(&reader, None, &mut |_| {}).unwrap(), 1);
        assert!(indexer.is_worn());
        indexer.close().unwrap();
        let mut indexer = Indexer::open(&bench.layout).unwrap();
        assert!(!indexer.is_worn());
        assert_eq!(indexer.catch_up(&reader, None, &mut |_| {}).unwrap(), 0);
        assert_eq!(status(&bench.layout, 4).documents, 4);
    }
}
