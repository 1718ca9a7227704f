//! The read side: many connections, none of which can write. Blocks, records, and what proves them; [`subjects`]
//! and [`tables`] read the rest.
//!
//! [`subjects`]: super::subjects
//! [`tables`]: super::tables

use std::cell::RefCell;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use zstd::dict::DecoderDictionary;
use zstd::zstd_safe::DCtx;

use super::db::{Which, open_reading};
use super::dictionary;
use super::error::Error;
use super::layout::Layout;
use super::rows::in_order;
use super::tree::{self, SPAN, SPAN_LEVEL};
use crate::ledger::{self, ArchiveId, Checkpoint, Note, VerifierKey};
use crate::model::{Digest, RecordSeq};
use crate::record::{Kind, OWN, OwnNote, Record, decode_block};

/// Decoded blocks that are kept for the next reader.
const CACHED_BLOCKS: usize = 256;
/// And no more bytes of bodies in them than this, but for the last one.
const CACHED_BYTES: usize = 128 << 20;
/// Connections kept open for the next reader.
const IDLE_CONNECTIONS: usize = 8;
/// A block never decodes to more than this: a larger one is damage, not data.
const MAX_BLOCK_BYTES: usize = 1 << 30;

/// What an archive says of itself.
#[derive(Debug, Clone)]
pub struct ArchiveRow {
    /// Its number.
    pub id: ArchiveId,
    /// The name of its log.
    pub origin: String,
    /// Its verification key, by its own word.
    pub vkey: String,
    /// When it was made.
    pub created_at: String,
    /// The server of its first source.
    pub server: String,
    /// The format that it was made in.
    pub format: i64,
}

/// A record in which the archive says what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnRecord {
    /// Its number.
    pub seq: RecordSeq,
    /// Its version.
    pub version: u32,
    /// When it was written.
    pub at: String,
    /// What it says.
    pub note: OwnNote,
}

/// A block in the open.
#[derive(Debug)]
pub struct Block {
    /// Number of the first record.
    pub first: RecordSeq,
    /// The records.
    pub records: Vec<Record>,
}

impl Block {
    /// Bytes of the bodies in it.
    fn bytes(&self) -> usize {
        self.records.iter().map(|record| record.body.len()).sum()
    }
}

pub(super) fn archive_row(connection: &Connection, layout: &Layout) -> Result<ArchiveRow, Error> {
    let row = connection
        .query_row(
            "SELECT id, origin, vkey, created_at, (SELECT server FROM source WHERE id = 1 AND typeof(server) = 'text'), format
             FROM archive WHERE one = 1",
            [],
            |row| {
                let server: Option<String> = row.get(4)?;
                Ok((row.get::<_, Vec<u8>>(0)?, row.get(1)?, row.get(2)?, row.get(3)?, server, row.get(5)?))
            },
        )
        .optional()?;
    let damaged = |detail: &str| Error::Damaged { path: layout.database(), detail: detail.to_owned() };
    let (id, origin, vkey, created_at, server, format) = row
        .ok_or_else(|| damaged("it does not say which archive it is; the making of this one may have been cut off"))?;
    let id = ArchiveId(id.try_into().map_err(|_| damaged("the archive's id is not 16 bytes"))?);
    let server = server.ok_or_else(|| damaged("the table source does not name the server of this archive"))?;
    Ok(ArchiveRow { id, origin, vkey, created_at, server, format })
}

/// Records under the newest checkpoint; 0 when there is none.
pub(super) fn newest_size(connection: &Connection) -> Result<u64, Error> {
    let size: Option<i64> = connection.query_row("SELECT max(size) FROM checkpoint", [], |row| row.get(0))?;
    Ok(size.unwrap_or(0).cast_unsigned())
}

pub(super) fn head(connection: &Connection) -> Result<u64, Error> {
    let last: Option<(i64, i64)> = connection
        .prepare_cached("SELECT first, count FROM block ORDER BY first DESC LIMIT 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(last.map_or(0, |(first, count)| first.saturating_add(count).max(0).cast_unsigned()))
}

/// One record, read from the disk.
fn read_record(connection: &Connection, seq: RecordSeq) -> Result<Record, Error> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {BLOCK} FROM block WHERE first = (SELECT max(first) FROM block WHERE first <= ?1)"
    ))?;
    let mut rows = statement.query([seq.0.cast_signed()])?;
    let missing = || Error::Corrupt { seq, detail: "there is no such record".to_owned() };
    let block = decode_row(connection, rows.next()?.ok_or_else(missing)?)?;
    let place = usize::try_from(seq.0 - block.first.0).ok();
    place.and_then(|place| block.records.into_iter().nth(place)).ok_or_else(missing)
}

/// The records in which the archive says what it is, oldest first.
pub(super) fn own_records(connection: &Connection) -> Result<Vec<OwnRecord>, Error> {
    let mut statement =
        connection.prepare_cached("SELECT version, seq FROM subject WHERE kind = ?1 AND key = ?2 ORDER BY version")?;
    let rows: Vec<(u32, i64)> = statement
        .query_map(params![Kind::Archive.number(), OWN], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let mut out = Vec::new();
    for (version, seq) in rows {
        let seq = RecordSeq(seq.cast_unsigned());
        let record = read_record(connection, seq)?;
        let note = OwnNote::parse(&record.body).map_err(|detail| Error::Corrupt { seq, detail })?;
        out.push(OwnRecord { seq, version, at: record.header.observed_at, note });
    }
    Ok(out)
}

/// What [`decode_row`] reads of a block's row.
pub(super) const BLOCK: &str = "first, sealed, dictionary, digest, bytes";

/// The block of a row of [`BLOCK`].
pub(super) fn decode_row(connection: &Connection, row: &Row<'_>) -> Result<Block, Error> {
    let first = RecordSeq(row.get::<_, i64>(0)?.cast_unsigned());
    let corrupt = |detail: String| Error::Corrupt { seq: first, detail };
    let dictionary: i64 = row.get(2)?;
    let digest: Vec<u8> = row.get(3)?;
    let bytes = row.get_ref(4)?.as_blob().map_err(|error| corrupt(error.to_string()))?;
    let prepared = match dictionary {
        0 => None,
        id => {
            Some(dictionary::prepared(connection, id)?.ok_or_else(|| corrupt(format!("dictionary {id} is missing")))?)
        }
    };
    let stored = Stored { first, sealed: row.get(1)?, dictionary, digest: &digest, bytes };
    open_stored(&stored, prepared.as_deref())
}

/// A row of the block table.
pub(super) struct Stored<'a> {
    pub(super) first: RecordSeq,
    pub(super) sealed: i64,
    pub(super) dictionary: i64,
    pub(super) digest: &'a [u8],
    pub(super) bytes: &'a [u8],
}

/// Opens a block. Everything that its row says of it is held against what it says itself.
pub(super) fn open_stored(row: &Stored<'_>, prepared: Option<&DecoderDictionary<'_>>) -> Result<Block, Error> {
    let Stored { first, sealed, dictionary, digest, bytes } = *row;
    let corrupt = |detail: String| Error::Corrupt { seq: first, detail };
    if Digest::of(bytes).0.as_slice() != digest {
        return Err(corrupt("its block does not match the block's digest".to_owned()));
    }
    let named = zstd::zstd_safe::get_dict_id_from_frame(bytes).map_or(0, |id| i64::from(id.get()));
    if named != dictionary {
        return Err(corrupt(format!("its block was packed with dictionary {named}, its row names {dictionary}")));
    }
    let text =
        decompress(bytes, prepared).map_err(|error| corrupt(format!("its block does not decompress: {error}")))?;
    let block = decode_block(&text).map_err(|error| Error::Corrupt { seq: error.seq, detail: error.what })?;
    if block.first != first {
        return Err(corrupt(format!("its block says that it begins at record {}", block.first)));
    }
    if i64::from(block.is_sealed) != sealed {
        let said = if block.is_sealed { "sealed" } else { "open" };
        return Err(corrupt(format!("its block says that it is {said}, its row says otherwise")));
    }
    Ok(Block { first, records: block.records })
}

thread_local! {
    /// What decompressing takes (about 160 KB, cleared when it is made): kept by a thread for its next block.
    static CONTEXT: RefCell<DCtx<'static>> = RefCell::new(DCtx::create());
}

fn decompress(bytes: &[u8], dictionary: Option<&DecoderDictionary<'_>>) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::with_capacity(frame_size(bytes)?);
    let done = CONTEXT.with_borrow_mut(|context| match dictionary {
        None => context.decompress(&mut text, bytes),
        Some(dictionary) => context.decompress_using_ddict(&mut text, bytes, dictionary.as_ddict()),
    });
    done.map_err(|code| std::io::Error::other(zstd::zstd_safe::get_error_name(code)))?;
    Ok(text)
}

/// The size that a compressed block says it has when it is decompressed.
pub(super) fn frame_size(bytes: &[u8]) -> std::io::Result<usize> {
    let size =
        zstd::zstd_safe::get_frame_content_size(bytes).ok().flatten().and_then(|size| usize::try_from(size).ok());
    size.filter(|&size| size <= MAX_BLOCK_BYTES)
        .ok_or_else(|| std::io::Error::other("its size is not given or too large"))
}

/// The records of the open span, for the writer.
pub(super) fn read_open_span(connection: &Connection, head: u64) -> Result<Vec<Record>, Error> {
    if head.is_multiple_of(SPAN) { Ok(Vec::new()) } else { super::writer::open_span_records(connection, head) }
}

/// The root of the subtree of `2^level` leaves at `index`, whatever the level. `spans` keeps the leaves of the
/// spans that one proof goes through: it asks for several subtrees of each.
fn subtree(
    connection: &Connection,
    archive: &ArchiveId,
    spans: &mut HashMap<u64, Vec<Digest>>,
    level: u8,
    index: u64,
) -> Result<Digest, Error> {
    if level >= SPAN_LEVEL {
        return tree::node(connection, level, index);
    }
    let start = index << level;
    let leaves = match spans.entry(start / SPAN) {
        Entry::Occupied(known) => known.into_mut(),
        Entry::Vacant(place) => place.insert(span_leaves(connection, archive, start / SPAN)?),
    };
    let from = usize::try_from(start % SPAN).expect("less than a span");
    leaves.get(from..from + (1 << level)).map(tree::perfect_root).ok_or_else(|| Error::Corrupt {
        seq: RecordSeq(start),
        detail: "its span has fewer records than the tree".to_owned(),
    })
}

/// What is said of record `from` when it is gone, with all those before `until`.
pub fn missing(from: u64, until: u64) -> String {
    match until - 1 {
        last if last == from => "it is no longer here".to_owned(),
        last => format!("it is no longer here, nor is what follows up to record {last}"),
    }
}

/// The leaf hashes of a span, computed from its blocks.
fn span_leaves(connection: &Connection, archive: &ArchiveId, span: u64) -> Result<Vec<Digest>, Error> {
    let (start, end) = (span * SPAN, (span + 1) * SPAN);
    let secret = tree::secret(connection, span)?;
    let mut records = Vec::new();
    let mut expected = None;
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {BLOCK} FROM block
         WHERE first >= (SELECT max(first) FROM block WHERE first <= ?1) AND first < ?2 ORDER BY first",
    ))?;
    let mut rows = statement.query([start.cast_signed(), end.cast_signed()])?;
    while let Some(row) = rows.next()? {
        let block = decode_row(connection, row)?;
        let (first, due) = (block.first.0, expected.unwrap_or(start));
        if first > due {
            return Err(Error::Corrupt { seq: RecordSeq(due), detail: missing(due, first) });
        }
        if expected.is_some_and(|due| first < due) {
            let detail = format!("its block begins before the one ahead of it ends, at record {due}");
            return Err(Error::Corrupt { seq: block.first, detail });
        }
        expected = Some(first + block.records.len() as u64);
        for (seq, record) in (first..).zip(block.records) {
            if (start..end).contains(&seq) {
                records.push(record);
            }
        }
    }
    Ok(tree::leaves(archive, &secret, start, &records))
}

/// The root of the first `size` records.
fn root_at(connection: &Connection, archive: &ArchiveId, size: u64) -> Result<Digest, Error> {
    let leaves = if size.is_multiple_of(SPAN) { Vec::new() } else { span_leaves(connection, archive, size / SPAN)? };
    if (leaves.len() as u64) < size % SPAN {
        return Err(Error::Corrupt { seq: RecordSeq(size), detail: "the archive holds fewer records".to_owned() });
    }
    Ok(tree::frontier(connection, size, &leaves)?.root())
}

/// The last block that begins at record `seq` or before it.
fn holding(connection: &Connection, seq: u64) -> Result<Option<Block>, Error> {
    let mut statement = connection
        .prepare_cached(&format!("SELECT {BLOCK} FROM block WHERE first <= ?1 ORDER BY first DESC LIMIT 1"))?;
    let mut rows = statement.query([seq.cast_signed()])?;
    rows.next()?.map(|row| decode_row(connection, row)).transpose()
}

/// Refuses a tree of `size` records that is not a continuation of `checkpoint`.
pub(super) fn check_continues(
    connection: &Connection,
    archive: &ArchiveId,
    size: u64,
    checkpoint: &Checkpoint,
) -> Result<(), Error> {
    if checkpoint.size > size {
        return Err(Error::Rollback {
            size: checkpoint.size,
            detail: format!("only {size} records are here, so newer ones were lost or an older copy was put back"),
        });
    }
    let root = root_at(connection, archive, checkpoint.size)?;
    if root != checkpoint.root {
        return Err(Error::Rollback {
            size: checkpoint.size,
            detail: "the records before it give another root".to_owned(),
        });
    }
    Ok(())
}

struct Shared {
    layout: Layout,
    archive: ArchiveRow,
    idle: Mutex<Vec<Connection>>,
    cache: Mutex<Cache>,
}

#[derive(Default)]
struct Cache {
    blocks: HashMap<u64, Arc<Block>>,
    order: VecDeque<u64>,
    bytes: usize,
}

/// Reads an archive. Clones share connections and decoded blocks; each call is a short read of
/// its own, so a reader never holds back the writer.
#[derive(Clone)]
pub struct Reader {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reader({})", self.shared.layout.root().display())
    }
}

impl Reader {
    /// Opens the archive at `layout` for reading.
    pub fn open(layout: &Layout) -> Result<Self, Error> {
        if !layout.database().exists() {
            return Err(Error::Absent(layout.root().to_owned()));
        }
        let connection = open_reading(&layout.database(), Which::Archive)?;
        let archive = archive_row(&connection, layout)?;
        let shared =
            Shared { layout: layout.clone(), archive, idle: Mutex::new(vec![connection]), cache: Mutex::default() };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// What the archive says of itself.
    pub fn archive(&self) -> &ArchiveRow {
        &self.shared.archive
    }

    /// Its files.
    pub fn layout(&self) -> &Layout {
        &self.shared.layout
    }

    /// Runs `read` on a connection. One that failed is not used again.
    pub(super) fn with<T>(&self, read: impl FnOnce(&Connection) -> Result<T, Error>) -> Result<T, Error> {
        let idle = self.shared.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => open_reading(&self.shared.layout.database(), Which::Archive)?,
        };
        let out = read(&connection)?;
        let mut idle = self.shared.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_CONNECTIONS {
            idle.push(connection);
        }
        Ok(out)
    }

    /// Number of records.
    pub fn head(&self) -> Result<u64, Error> {
        self.with(head)
    }

    /// The block that holds record `seq`.
    pub fn block(&self, seq: RecordSeq) -> Result<Arc<Block>, Error> {
        let missing = || Error::Corrupt { seq, detail: "there is no such record".to_owned() };
        // The block may be sealed with its neighbours by another process between any two reads.
        let found: Option<(i64, i64)> = self.with(|connection| {
            Ok(connection
                .prepare_cached("SELECT first, count FROM block WHERE first <= ?1 ORDER BY first DESC LIMIT 1")?
                .query_row([seq.0.cast_signed()], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?)
        })?;
        let (first, count) =
            found.map(|(first, count)| (first.cast_unsigned(), count.cast_unsigned())).ok_or_else(missing)?;
        if let Some(block) = self.shared.cache.lock().unwrap_or_else(PoisonError::into_inner).blocks.get(&first)
            && block.records.len() as u64 == count
            && seq.0 < first + count
        {
            return Ok(Arc::clone(block));
        }
        let block = self.with(|connection| holding(connection, seq.0))?.ok_or_else(missing)?;
        let first = block.first.0;
        if seq.0 >= first + block.records.len() as u64 {
            return Err(missing());
        }
        let block = Arc::new(block);
        let mut cache = self.shared.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.bytes += block.bytes();
        match cache.blocks.insert(first, Arc::clone(&block)) {
            Some(before) => cache.bytes -= before.bytes(),
            None => cache.order.push_back(first),
        }
        while cache.order.len() > CACHED_BLOCKS || cache.bytes > CACHED_BYTES && cache.order.len() > 1 {
            let Some(oldest) = cache.order.pop_front().and_then(|oldest| cache.blocks.remove(&oldest)) else { break };
            cache.bytes -= oldest.bytes();
        }
        Ok(block)
    }

    /// One record.
    pub fn record(&self, seq: RecordSeq) -> Result<Record, Error> {
        let block = self.block(seq)?;
        Ok(block.records[usize::try_from(seq.0 - block.first.0).expect("a block fits in memory")].clone())
    }

    /// Up to `limit` blocks from the one that holds record `from` on, in order, not cached: for
    /// those that read everything.
    pub fn blocks(&self, from: u64, limit: usize) -> Result<Vec<Block>, Error> {
        self.with(|connection| {
            // Asked for first: it only grows.
            let least = if from < head(connection)? { from.saturating_add(1) } else { 0 };
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {BLOCK} FROM block
                 WHERE first >= coalesce((SELECT max(first) FROM block WHERE first <= ?1), 0) ORDER BY first LIMIT ?2",
            ))?;
            let mut rows = statement.query(params![from.cast_signed(), i64::try_from(limit).unwrap_or(i64::MAX)])?;
            let mut out = Vec::new();
            while let Some(row) = rows.next()? {
                out.push(decode_row(connection, row)?);
            }
            in_order("block", 0, out.iter().map(|block: &Block| block.first.0))?;
            let end = out.last().map_or(0, |last| last.first.0.saturating_add(last.records.len() as u64));
            // Who reads on from the end would come here again.
            in_order("block", least, std::iter::once(end))?;
            Ok(out)
        })
    }

    /// Whether any run came to its end.
    pub fn has_ended_runs(&self) -> Result<bool, Error> {
        let sql = "SELECT EXISTS (SELECT 1 FROM run WHERE ended_at IS NOT NULL)";
        self.with(|connection| Ok(connection.query_row(sql, [], |row| row.get(0))?))
    }

    /// Whether the archive was made of a set that another archive had exported.
    pub fn is_imported(&self) -> Result<bool, Error> {
        let sql = "SELECT EXISTS (SELECT 1 FROM run WHERE kind = 'import')";
        self.with(|connection| Ok(connection.query_row(sql, [], |row| row.get(0))?))
    }

    /// The key of each record of a span, for leaf hashes.
    pub fn span_secret(&self, span: u64) -> Result<ledger::SpanSecret, Error> {
        self.with(|connection| tree::secret(connection, span))
    }

    /// The root of the first `size` records.
    pub fn root(&self, size: u64) -> Result<Digest, Error> {
        self.with(|connection| root_at(connection, &self.archive().id, size))
    }

    /// Whether the archive continues `checkpoint`.
    pub fn continues(&self, checkpoint: &Checkpoint) -> Result<(), Error> {
        self.with(|connection| check_continues(connection, &self.archive().id, head(connection)?, checkpoint))
    }

    /// The audit path of record `seq` in the tree of `size` records.
    pub fn inclusion(&self, seq: RecordSeq, size: u64) -> Result<Vec<Digest>, Error> {
        if seq.0 >= size {
            return Err(Error::Corrupt { seq, detail: format!("it is not among the first {size} records") });
        }
        let mut spans = HashMap::new();
        self.with(|connection| {
            ledger::inclusion_proof(seq.0, size, &mut |level, index| {
                subtree(connection, &self.archive().id, &mut spans, level, index)
            })
        })
    }

    /// The root of the perfect subtree of `2^level` leaves that is number `index` of its level: what stands
    /// in a proof for records that are not handed out.
    pub fn subtree(&self, level: u8, index: u64) -> Result<Digest, Error> {
        self.with(|connection| subtree(connection, &self.archive().id, &mut HashMap::new(), level, index))
    }

    /// The proof that the tree of `old` records is a beginning of that of `new` records (RFC 6962
    /// section 2.1.2).
    pub fn consistency(&self, old: u64, new: u64) -> Result<Vec<Digest>, Error> {
        if old > new {
            let detail = format!("the tree of {old} records is no beginning of one of {new}");
            return Err(Error::Corrupt { seq: RecordSeq(new), detail });
        }
        let mut spans = HashMap::new();
        self.with(|connection| {
            ledger::consistency_proof(old, new, &mut |level, index| {
                subtree(connection, &self.archive().id, &mut spans, level, index)
            })
        })
    }

    /// The leaf entry of a record, as it was hashed.
    pub fn leaf_entry(&self, seq: RecordSeq) -> Result<ledger::LeafEntry, Error> {
        let record = self.record(seq)?;
        let secret = self.span_secret(seq.0 / SPAN)?;
        Ok(record.leaf(&self.archive().id, &secret.record_key(seq)))
    }

    /// What opens the leaf of a record.
    pub fn opening(&self, seq: RecordSeq) -> Result<ledger::Opening, Error> {
        let record = self.record(seq)?;
        let secret = self.span_secret(seq.0 / SPAN)?;
        Ok(record.opening(&self.archive().id, &secret.record_key(seq)))
    }

    /// All checkpoints, oldest first: size, note, time of signing.
    pub fn checkpoints(&self) -> Result<Vec<(u64, String, String)>, Error> {
        self.with(|connection| {
            let mut statement = connection.prepare("SELECT size, note, at FROM checkpoint ORDER BY size")?;
            let rows =
                statement.query_map([], |row| Ok((row.get::<_, i64>(0)?.cast_unsigned(), row.get(1)?, row.get(2)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// The newest checkpoint, its note and when it was signed.
    pub fn newest_checkpoint(&self) -> Result<Option<(Checkpoint, String, String)>, Error> {
        let row: Option<(String, String)> = self.with(|connection| {
            Ok(connection
                .prepare_cached("SELECT note, at FROM checkpoint ORDER BY size DESC LIMIT 1")?
                .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?)
        })?;
        let Some((note, at)) = row else { return Ok(None) };
        let parsed = Note::parse(note.as_bytes()).and_then(|parsed| Checkpoint::parse(parsed.text()));
        match parsed {
            Ok(checkpoint) => Ok(Some((checkpoint, note, at))),
            Err(error) => {
                Err(Error::Rollback { size: 0, detail: format!("its newest checkpoint can't be read: {error}") })
            }
        }
    }

    /// The records in which the archive says what it is, oldest first.
    pub fn own_records(&self) -> Result<Vec<OwnRecord>, Error> {
        self.with(own_records)
    }

    /// The verification key that the archive names as the one that signs now. It is the archive's own
    /// word.
    pub fn own_key(&self) -> Option<VerifierKey> {
        let newest = self.own_records().ok().and_then(|records| records.into_iter().next_back());
        let text = newest.map_or_else(|| self.archive().vkey.clone(), |newest| newest.note.vkey);
        VerifierKey::parse(&text).ok()
    }

    /// A counter such as `message.subjects`; 0 when nothing was counted.
    pub fn counters(&self) -> Result<HashMap<String, i64>, Error> {
        self.with(counters)
    }

    /// The contents that should be under `blobs/`, with their sizes.
    pub fn blobs(&self) -> Result<Vec<(Digest, u64)>, Error> {
        self.with(|connection| {
            let mut statement = connection.prepare("SELECT digest, size FROM blob ORDER BY digest")?;
            let rows = statement.query_map([], |row| {
                let digest: Vec<u8> = row.get(0)?;
                Ok((Digest::from_slice(&digest).unwrap_or(Digest([0; 32])), row.get::<_, i64>(1)?.cast_unsigned()))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Bytes that records had before compression, from the frames' own headers.
    pub fn raw_bytes(&self) -> Result<u64, Error> {
        self.with(|connection| {
            let mut statement = connection.prepare("SELECT substr(bytes, 1, 18) FROM block")?;
            let mut rows = statement.query([])?;
            let mut sum = 0;
            while let Some(row) = rows.next()? {
                let head: Vec<u8> = row.get(0)?;
                sum += zstd::zstd_safe::get_frame_content_size(&head).ok().flatten().unwrap_or(0);
            }
            Ok(sum)
        })
    }

    /// SQLite's own judgement of the file: what it finds wrong, if anything.
    pub fn integrity_check(&self) -> Result<Vec<String>, Error> {
        self.with(|connection| {
            let mut statement = connection.prepare("PRAGMA integrity_check(20)")?;
            let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
            let found: Vec<String> = rows.collect::<Result<_, _>>()?;
            Ok(if found == ["ok"] { Vec::new() } else { found })
        })
    }

    /// The format of the database: how many of the steps under `schemas/sql/` it has taken. One
    /// that an earlier build made takes the rest when it is next written to.
    pub fn format(&self) -> Result<i64, Error> {
        self.with(|connection| Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?))
    }
}

fn counters(connection: &Connection) -> Result<HashMap<String, i64>, Error> {
    let mut statement = connection.prepare_cached("SELECT name, value FROM counter")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
