//! From records to documents, in order, so that a commit can say how far it came.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tantivy::query::TermQuery;
use tantivy::schema::IndexRecordOption;
use tantivy::{Index, IndexReader, IndexWriter, ReloadPolicy, TantivyDocument, Term};

use super::Error;
use super::document::{content, document, public_key, stream_comment};
use super::fold::FOLD_VERSION;
use super::schema::{Fields, SCHEMA_VERSION, fields, register};
use crate::history::{Item, ItemState, item};
use crate::model::{ChannelId, RecordSeq, SourceId};
use crate::record::{Kind, Record, State};
use crate::store::{Layout, Reader, moment, write_whole};

/// Memory for documents that wait for a commit.
const MEMORY: usize = 128 << 20;
/// Threads that index.
const THREADS: usize = 2;
/// Documents between two commits of a long catch-up.
const COMMIT_EVERY: u64 = 100_000;
/// Blocks read at once.
const BLOCKS: usize = 64;

/// Commits after which an open index is closed and opened again. The engine's directory remembers the
/// path of every file that it ever opened and forgets none (tantivy 0.27; a heap profile of a followed
/// workspace with 40 changes a second showed 0.5 MB more in eight minutes, and nothing else that grew).
pub(super) const RENEW_AFTER: u32 = 500;

/// What a commit says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Payload {
    /// Every record below this number is in the index.
    pub(super) records_through: u64,
    /// Version of the documents.
    pub(super) schema: u32,
    /// Version of the tokenizer.
    pub(super) fold: u32,
}

impl Payload {
    fn is_ours(&self) -> bool {
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
        out.documents = index.reader().map_or(0, |reader| reader.searcher().num_docs());
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
    reached: u64,
    commits: u32,
    stream_comments: HashSet<String>,
    file_channels: HashMap<String, Vec<ChannelId>>,
}

impl Indexer {
    /// Opens the index of an archive, or begins a new generation when there is none that this
    /// build can go on with.
    pub fn open(layout: &Layout) -> Result<Self, Error> {
        let usable = current(layout).and_then(|folder| {
            let index = open_generation(&folder).ok()?;
            let payload = payload(&index).ok()?;
            payload.is_ours().then_some((folder, index, payload.records_through))
        });
        match usable {
            Some((folder, index, reached)) => Self::with(layout, folder, &index, reached, false),
            None => Self::rebuild(layout),
        }
    }

    /// Begins a new generation beside the one that serves, which serves on until
    /// [`Self::catch_up`] has filled the new one.
    pub fn rebuild(layout: &Layout) -> Result<Self, Error> {
        let mut number = 1;
        while layout.index().join(format!("gen-{number}")).exists() {
            let folder = layout.index().join(format!("gen-{number}"));
            // What an interrupted rebuild left is of no use to anyone.
            if current(layout).as_ref() == Some(&folder) {
                number += 1;
            } else {
                fs_err::remove_dir_all(&folder)?;
            }
        }
        let folder = layout.index().join(format!("gen-{number}"));
        fs_err::create_dir_all(&folder)?;
        moment(&folder, "generation's folder made");
        let index = Index::create_in_dir(&folder, fields().schema)?;
        moment(&folder, "generation made");
        register(&index);
        Self::with(layout, folder, &index, 0, true)
    }

    fn with(layout: &Layout, folder: PathBuf, index: &Index, reached: u64, is_new: bool) -> Result<Self, Error> {
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
            stream_comments: HashSet::new(),
            file_channels: HashMap::new(),
        })
    }

    /// Whether it should be closed and opened again before it is used further.
    pub fn is_worn(&self) -> bool {
        self.commits >= RENEW_AFTER
    }

    /// Ends it, once what the engine does in the background is done.
    pub fn close(self) -> Result<(), Error> {
        Ok(self.writer.wait_merging_threads()?)
    }

    /// Brings the index to the archive's head and says how many records it read. `progress` is
    /// told the number of records reached.
    pub fn catch_up(&mut self, reader: &Reader, progress: &mut dyn FnMut(u64)) -> Result<u64, Error> {
        let start = self.reached;
        let head = reader.head()?;
        let ims: HashSet<String> = reader.newest(Kind::Im)?.into_iter().map(|(key, _)| key).collect();
        self.file_channels.clear();
        self.stream_comments.clear();
        let mut since_commit = 0;
        while self.reached < head {
            let blocks = reader.blocks(self.reached, BLOCKS)?;
            if blocks.is_empty() {
                break;
            }
            for block in blocks {
                for (seq, record) in (block.first.0..).zip(&block.records) {
                    if seq < self.reached {
                        continue;
                    }
                    self.add(reader, RecordSeq(seq), record, &ims)?;
                    self.reached = seq + 1;
                    since_commit += 1;
                }
            }
            progress(self.reached);
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
        Ok(self.reached - start)
    }

    fn commit(&mut self) -> Result<(), Error> {
        let payload = Payload { records_through: self.reached, schema: SCHEMA_VERSION, fold: FOLD_VERSION };
        moment(&self.folder, "index about to be committed");
        let mut prepared = self.writer.prepare_commit()?;
        prepared.set_payload(&serde_json::to_string(&payload).map_err(|error| Error::Engine(error.to_string()))?);
        // The commit point: documents and the number they reach become visible together. After a
        // crash before it, the same records are read again.
        moment(&self.folder, "index commit prepared");
        prepared.commit()?;
        moment(&self.folder, "index committed");
        self.committed.reload()?;
        self.stream_comments.clear();
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

    fn add(&mut self, reader: &Reader, seq: RecordSeq, record: &Record, ims: &HashSet<String>) -> Result<(), Error> {
        let header = &record.header;
        if !matches!(header.kind, Kind::Message | Kind::Comment | Kind::File) {
            return Ok(());
        }
        let is_im = header.channel.as_ref().is_some_and(|channel| ims.contains(channel));
        if header.version == 1 && header.state == State::Present {
            let key = header.key.rsplit('/').next().unwrap_or(&header.key);
            return self.add_reading(reader, seq, record, key, ItemState::Current, false, is_im);
        }
        // A later version changes what the earlier ones are: all readings are written anew.
        let channel = header.channel_id();
        let Some(found): Option<Item> =
            item(reader, header.kind, SourceId(header.source), channel.as_ref(), &header.key)?
        else {
            return Ok(());
        };
        for version in &found.versions {
            self.writer.delete_term(Term::from_field_u64(self.fields.seq, version.seq.0));
        }
        let readings = found.readings();
        let is_changed = readings.len() > 1;
        for reading in &readings {
            let state = found.state_of(reading.seq);
            self.add_reading(reader, reading.seq, &reading.record, public_key(&found), state, is_changed, is_im)?;
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "what a document is made of, named once")]
    fn add_reading(
        &mut self,
        reader: &Reader,
        seq: RecordSeq,
        record: &Record,
        key: &str,
        state: ItemState,
        is_changed: bool,
        is_im: bool,
    ) -> Result<(), Error> {
        let header = &record.header;
        let file_channels = match (header.kind, header.key.split_once('/')) {
            (Kind::Comment, Some((file, id))) => {
                // A comment that stands in its channel's stream is found there, once.
                if self.is_in_stream(id)? {
                    return Ok(());
                }
                self.channels_of(reader, file)?
            }
            (Kind::File, _) => self.channels_of(reader, &header.key)?,
            _ => Vec::new(),
        };
        let Some(content) = content(record, &file_channels) else { return Ok(()) };
        if header.kind == Kind::Message
            && let Some(id) = content.comment.strip_prefix("m:")
        {
            self.writer.delete_term(Term::from_field_text(self.fields.comment, &format!("c:{id}")));
            self.stream_comments.insert(id.to_owned());
        }
        let document: TantivyDocument = document(&self.fields, seq, key, &content, state, is_changed, is_im);
        self.writer.add_document(document)?;
        Ok(())
    }

    fn is_in_stream(&self, comment: &str) -> Result<bool, Error> {
        if self.stream_comments.contains(comment) {
            return Ok(true);
        }
        let term = Term::from_field_text(self.fields.comment, &stream_comment(comment));
        let searcher = self.committed.searcher();
        Ok(searcher.search(&TermQuery::new(term, IndexRecordOption::Basic), &tantivy::collector::Count)? > 0)
    }

    fn channels_of(&mut self, reader: &Reader, file: &str) -> Result<Vec<ChannelId>, Error> {
        if let Some(known) = self.file_channels.get(file) {
            return Ok(known.clone());
        }
        let found = item(reader, Kind::File, crate::store::FIRST_SOURCE, None, file)?;
        let channels = found.as_ref().map(Item::shared_in).unwrap_or_default();
        self.file_channels.insert(file.to_owned(), channels.clone());
        Ok(channels)
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
        assert_eq!(indexer.catch_up(&reader, &mut |_| {}).unwrap(), 3);
        assert!(!indexer.is_worn());
        archive.append(messages("C", 4..5)).unwrap();
        assert_eq!(indexer.catch_up(&reader, &mut |_| {}).unwrap(), 1);
        assert!(indexer.is_worn());
        indexer.close().unwrap();
        let mut indexer = Indexer::open(&bench.layout).unwrap();
        assert!(!indexer.is_worn());
        assert_eq!(indexer.catch_up(&reader, &mut |_| {}).unwrap(), 0);
        assert_eq!(status(&bench.layout, 4).documents, 4);
    }
}
