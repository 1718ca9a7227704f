//! The read side: many connections, none of which can write.

use std::cell::RefCell;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use zstd::dict::DecoderDictionary;
use zstd::zstd_safe::DCtx;

use super::change::{Change, stored_key};
use super::db::{Which, open_reading};
use super::dictionary;
use super::error::Error;
use super::layout::Layout;
use super::rows::{DictionaryRow, Misfit, SaltRow, dictionary_rows, each, in_order, natural, salt_rows};
use super::tree::{self, SPAN, SPAN_LEVEL};
use crate::ledger::{self, ArchiveId, Checkpoint, Note, VerifierKey};
use crate::model::{ChannelId, Digest, MessageTs, RecordSeq, SourceId};
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

/// A version of a subject: where its record is and how it relates to the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VersionRow {
    /// 1, 2, …
    pub version: u32,
    /// The record.
    pub seq: RecordSeq,
    /// What happened.
    pub change: Change,
}

/// A row of the subject table, as it is stored.
#[derive(Debug, Clone)]
pub struct SubjectRow {
    /// Number of the kind.
    pub kind: u8,
    /// Which server or import.
    pub source: u32,
    /// Number of the channel, 0 for none.
    pub channel: i64,
    /// The key; that of a message is padded.
    pub key: String,
    /// The version.
    pub version: VersionRow,
}

/// The tables that point into the records, at one moment.
#[derive(Debug, Default)]
pub struct Tables {
    /// Where each block begins and how many records its row says it holds.
    pub blocks: Vec<(u64, u64)>,
    /// Stored nodes: level, index, hash.
    pub nodes: Vec<(u8, u64, Vec<u8>)>,
    /// The subject table.
    pub subjects: Vec<SubjectRow>,
    /// The span index: channel, earliest, latest, block.
    pub spans: Vec<(i64, i64, i64, i64)>,
    /// Channels: number, source, id, records.
    pub channels: Vec<(i64, SourceId, String, u64)>,
    /// Counters by name.
    pub counters: HashMap<String, i64>,
    /// Secrets of spans.
    pub salts: Vec<SaltRow>,
    /// Dictionaries.
    pub dictionaries: Vec<DictionaryRow>,
    /// Checkpoints: size, note, when it was signed.
    pub checkpoints: Vec<(u64, String, String)>,
    /// Contents: SHA-256, size.
    pub blobs: Vec<(Vec<u8>, u64)>,
    /// Numbers of the rows that say which archive it is.
    pub archives: Vec<i64>,
    /// Numbers of the sources.
    pub sources: Vec<i64>,
    /// What the archive says of itself.
    pub about: Vec<(String, String)>,
    /// What the rows of the blocks say beside where they begin: first, sealed (0 or 1), id of the
    /// dictionary (0 for none).
    pub packed: Vec<(u64, i64, i64)>,
    /// Rows of tables that this version never writes: the table, the row for people.
    pub odd_rows: Vec<(&'static str, String)>,
    /// Rows that are not what their tables say.
    pub misfits: Vec<Misfit>,
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
        if expected.is_some_and(|seq| seq != block.first.0) || (expected.is_none() && block.first.0 > start) {
            return Err(Error::Corrupt { seq: block.first, detail: "the block before it is missing".to_owned() });
        }
        let first = block.first.0;
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

    /// The number under which a channel is known in the tables; `None` when nothing of it is here.
    fn channel_number(&self, source: SourceId, channel: &ChannelId) -> Result<Option<i64>, Error> {
        self.with(|connection| {
            Ok(connection
                .prepare_cached("SELECT number FROM channel WHERE source = ?1 AND id = ?2")?
                .query_row(params![source.0, channel.as_str()], |row| row.get(0))
                .optional()?)
        })
    }

    /// Starts of the blocks that hold first versions of a channel's messages between `from` and
    /// `to` (both inclusive) with the range each covers, latest first, `limit` at most.
    pub fn message_blocks(
        &self,
        source: SourceId,
        channel: &ChannelId,
        from: MessageTs,
        to: MessageTs,
    ) -> Result<Vec<(MessageTs, MessageTs, RecordSeq)>, Error> {
        let Some(number) = self.channel_number(source, channel)? else { return Ok(Vec::new()) };
        self.with(|connection| {
            let mut statement = connection
                .prepare_cached("SELECT min_ts, max_ts, block FROM span_index WHERE channel = ?1 AND max_ts >= ?2 AND min_ts <= ?3 ORDER BY max_ts DESC, block DESC")?;
            let rows = statement.query_map(params![number, from.micros(), to.micros()], |row| {
                Ok((
                    MessageTs::from_micros(row.get(0)?),
                    MessageTs::from_micros(row.get(1)?),
                    RecordSeq(row.get::<_, i64>(2)?.cast_unsigned()),
                ))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// The blocks of which some hold the message of a channel right before a time stamp and the one right after
    /// it: those that reach over it and, of the others, the nearest on each side. Of each its first and last
    /// message.
    pub fn blocks_beside(
        &self,
        source: SourceId,
        channel: &ChannelId,
        ts: MessageTs,
    ) -> Result<Vec<(MessageTs, MessageTs, RecordSeq)>, Error> {
        let Some(number) = self.channel_number(source, channel)? else { return Ok(Vec::new()) };
        self.with(|connection| {
            // A bare column beside min() comes from the row of the minimum (SQLite, "Bare columns").
            let mut statement = connection.prepare_cached(
                "SELECT min_ts, max_ts, block FROM span_index WHERE channel = ?1 AND max_ts >= ?2 AND min_ts <= ?2
                 UNION ALL
                 SELECT * FROM (SELECT min_ts, max_ts, block FROM span_index
                                WHERE channel = ?1 AND max_ts < ?2 ORDER BY max_ts DESC LIMIT 1)
                 UNION ALL
                 SELECT least, max_ts, block FROM (SELECT min(min_ts) AS least, max_ts, block FROM span_index
                                                   WHERE channel = ?1 AND max_ts > ?2 AND min_ts > ?2)
                 WHERE least IS NOT NULL",
            )?;
            let rows = statement.query_map(params![number, ts.micros()], |row| {
                Ok((
                    MessageTs::from_micros(row.get(0)?),
                    MessageTs::from_micros(row.get(1)?),
                    RecordSeq(row.get::<_, i64>(2)?.cast_unsigned()),
                ))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// The newest message of a channel that was ever archived.
    pub fn newest_message(&self, source: SourceId, channel: &ChannelId) -> Result<Option<MessageTs>, Error> {
        let Some(number) = self.channel_number(source, channel)? else { return Ok(None) };
        self.with(|connection| {
            let mut statement = connection.prepare_cached("SELECT max(max_ts) FROM span_index WHERE channel = ?1")?;
            let newest: Option<i64> = statement.query_row([number], |row| row.get(0))?;
            Ok(newest.map(MessageTs::from_micros))
        })
    }

    /// The oldest message of a channel that was ever archived.
    pub fn oldest_message(&self, source: SourceId, channel: &ChannelId) -> Result<Option<MessageTs>, Error> {
        let Some(number) = self.channel_number(source, channel)? else { return Ok(None) };
        self.with(|connection| {
            let mut statement = connection.prepare_cached("SELECT min(min_ts) FROM span_index WHERE channel = ?1")?;
            let oldest: Option<i64> = statement.query_row([number], |row| row.get(0))?;
            Ok(oldest.map(MessageTs::from_micros))
        })
    }

    /// The listed versions of one subject, oldest first. A message's first version is not listed.
    pub fn versions(
        &self,
        kind: Kind,
        source: SourceId,
        channel: Option<&ChannelId>,
        key: &str,
    ) -> Result<Vec<VersionRow>, Error> {
        let number = match channel {
            None => 0,
            Some(channel) => match self.channel_number(source, channel)? {
                Some(number) => number,
                None => return Ok(Vec::new()),
            },
        };
        self.with(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT version, seq, change FROM subject WHERE kind = ?1 AND source = ?2 AND channel = ?3 AND key = ?4 ORDER BY version",
            )?;
            let rows = statement.query_map(params![kind.number(), source.0, number, stored_key(kind, key)], version_row)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// The listed versions of a channel's messages (or reactions) between `from` and `to`, both
    /// inclusive, by time stamp.
    pub fn versions_between(
        &self,
        kind: Kind,
        source: SourceId,
        channel: &ChannelId,
        from: MessageTs,
        to: MessageTs,
    ) -> Result<HashMap<MessageTs, Vec<VersionRow>>, Error> {
        let Some(number) = self.channel_number(source, channel)? else { return Ok(HashMap::new()) };
        let (from, to) = (stored_key(kind, &from.to_string()), stored_key(kind, &to.to_string()));
        self.with(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT version, seq, change, key FROM subject WHERE kind = ?1 AND source = ?2 AND channel = ?3 AND key BETWEEN ?4 AND ?5 ORDER BY key, version",
            )?;
            let mut rows = statement.query(params![kind.number(), source.0, number, from, to])?;
            let mut out: HashMap<MessageTs, Vec<VersionRow>> = HashMap::new();
            while let Some(row) = rows.next()? {
                let key: String = row.get(3)?;
                let padded = key.trim_start_matches('0');
                let key = if padded.starts_with('.') { format!("0{padded}") } else { padded.to_owned() };
                if let Some(ts) = MessageTs::parse(&key) {
                    out.entry(ts).or_default().push(version_row(row)?);
                }
            }
            Ok(out)
        })
    }

    /// Every subject of a kind with its newest version: key and row, by key, for kinds whose
    /// versions are all listed.
    pub fn newest(&self, kind: Kind) -> Result<Vec<(String, VersionRow)>, Error> {
        self.with(|connection| {
            // A bare column beside max() comes from the row of the maximum (SQLite, "Bare columns").
            let mut statement =
                connection.prepare_cached("SELECT max(version), seq, change, key FROM subject WHERE kind = ?1 GROUP BY source, channel, key ORDER BY key")?;
            let rows = statement.query_map([kind.number()], |row| Ok((row.get(3)?, version_row(row)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Subjects of a kind and channel whose key begins with `prefix`, with the newest version of
    /// each.
    pub fn newest_under(
        &self,
        kind: Kind,
        source: SourceId,
        channel: Option<&ChannelId>,
        prefix: &str,
    ) -> Result<Vec<(String, VersionRow)>, Error> {
        let number = match channel {
            None => 0,
            Some(channel) => match self.channel_number(source, channel)? {
                Some(number) => number,
                None => return Ok(Vec::new()),
            },
        };
        self.with(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT max(version), seq, change, key FROM subject
                 WHERE kind = ?1 AND source = ?2 AND channel = ?3 AND key >= ?4 AND substr(key, 1, length(?4)) = ?4
                 GROUP BY key ORDER BY key",
            )?;
            let rows = statement.query_map(params![kind.number(), source.0, number, prefix], |row| {
                Ok((row.get(3)?, version_row(row)?))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Keys of a kind's subjects that end in `suffix`.
    pub fn keys_ending(&self, kind: Kind, suffix: &str) -> Result<Vec<String>, Error> {
        self.with(|connection| {
            let mut statement = connection
                .prepare_cached("SELECT DISTINCT key FROM subject WHERE kind = ?1 AND length(key) >= length(?2) AND substr(key, -length(?2)) = ?2")?;
            let rows = statement.query_map(params![kind.number(), suffix], |row| row.get(0))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Everything that points into the records, as it stands at one moment: a crawl may go on beside.
    pub fn tables(&self) -> Result<Tables, Error> {
        self.with(|connection| {
            let snapshot = connection.unchecked_transaction()?;
            let mut misfits = Vec::new();
            let tables = Tables {
                blocks: block_rows(&snapshot, &mut misfits)?,
                nodes: nodes(&snapshot, &mut misfits)?,
                subjects: subject_rows(&snapshot, &mut misfits)?,
                spans: span_rows(&snapshot, &mut misfits)?,
                channels: channel_rows(&snapshot, &mut misfits)?,
                counters: counter_rows(&snapshot, &mut misfits)?,
                salts: salt_rows(&snapshot, &mut misfits)?,
                dictionaries: dictionary_rows(&snapshot, &mut misfits)?,
                checkpoints: checkpoint_rows(&snapshot, &mut misfits)?,
                blobs: blob_rows(&snapshot, &mut misfits)?,
                about: about(&snapshot, &mut misfits)?,
                archives: numbers(&snapshot, "SELECT one FROM archive ORDER BY 1")?,
                sources: numbers(&snapshot, "SELECT id FROM source ORDER BY 1")?,
                packed: packed(&snapshot)?,
                odd_rows: odd_rows(&snapshot)?,
                misfits: Vec::new(),
            };
            let tables = Tables { misfits, ..tables };
            Ok(tables)
        })
    }

    /// Where each block begins now and how many records its row says it holds.
    pub fn block_bounds(&self) -> Result<Vec<(u64, u64)>, Error> {
        self.with(|connection| block_rows(connection, &mut Vec::new()))
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

    /// The definitions of tables and triggers as they are, by name.
    pub fn definitions(&self) -> Result<Vec<(String, String)>, Error> {
        self.with(definitions)
    }
}

fn subject_rows(connection: &Connection, misfits: &mut Vec<Misfit>) -> Result<Vec<SubjectRow>, Error> {
    let sql = "SELECT version, seq, change, kind, source, channel, key FROM subject";
    each(connection, "subject", sql, Some("seq"), misfits, |row| {
        let change: u8 = row.get(2)?;
        natural(row, 1)?;
        if Change::from_number(change).is_none() {
            return Err(rusqlite::Error::IntegralValueOutOfRange(2, change.into()));
        }
        Ok(SubjectRow {
            kind: row.get(3)?,
            source: row.get(4)?,
            channel: row.get(5)?,
            key: row.get(6)?,
            version: version_row(row)?,
        })
    })
}

fn span_rows(connection: &Connection, misfits: &mut Vec<Misfit>) -> Result<Vec<(i64, i64, i64, i64)>, Error> {
    let sql = "SELECT channel, min_ts, max_ts, block FROM span_index ORDER BY block, channel";
    each(connection, "span_index", sql, Some("block"), misfits, |row| {
        natural(row, 3)?;
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
    })
}

fn channel_rows(
    connection: &Connection,
    misfits: &mut Vec<Misfit>,
) -> Result<Vec<(i64, SourceId, String, u64)>, Error> {
    let sql = "SELECT number, source, id, records FROM channel ORDER BY number";
    each(connection, "channel", sql, None, misfits, |row| {
        Ok((row.get(0)?, SourceId(row.get(1)?), row.get(2)?, natural(row, 3)?))
    })
}

pub(super) fn nodes(connection: &Connection, misfits: &mut Vec<Misfit>) -> Result<Vec<(u8, u64, Vec<u8>)>, Error> {
    let sql = "SELECT level, idx, hash FROM node ORDER BY level, idx";
    each(connection, "node", sql, None, misfits, |row| {
        let level: u8 = row.get(0)?;
        let index = natural(row, 1)?;
        // No tree has a node there: it would stand over more records than can be numbered.
        if level >= 64 || index > (u64::MAX >> level) {
            return Err(rusqlite::Error::IntegralValueOutOfRange(0, level.into()));
        }
        Ok((level, index, row.get(2)?))
    })
}

fn checkpoint_rows(connection: &Connection, misfits: &mut Vec<Misfit>) -> Result<Vec<(u64, String, String)>, Error> {
    let sql = "SELECT size, note, at FROM checkpoint ORDER BY size";
    each(connection, "checkpoint", sql, Some("size"), misfits, |row| Ok((natural(row, 0)?, row.get(1)?, row.get(2)?)))
}

fn blob_rows(connection: &Connection, misfits: &mut Vec<Misfit>) -> Result<Vec<(Vec<u8>, u64)>, Error> {
    let sql = "SELECT digest, size FROM blob ORDER BY digest";
    each(connection, "blob", sql, None, misfits, |row| Ok((row.get(0)?, natural(row, 1)?)))
}

fn counter_rows(connection: &Connection, misfits: &mut Vec<Misfit>) -> Result<HashMap<String, i64>, Error> {
    let sql = "SELECT name, value FROM counter";
    let rows = each(connection, "counter", sql, None, misfits, |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.into_iter().collect())
}

/// Rows of tables that nothing writes yet.
fn odd_rows(connection: &Connection) -> Result<Vec<(&'static str, String)>, Error> {
    let mut out = Vec::new();
    for (table, sql) in [
        ("erased", "SELECT 'of record ' || coalesce(seq, 'null') FROM erased"),
        ("maintenance", "SELECT coalesce(what, 'null') FROM maintenance"),
    ] {
        let mut statement = connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let text = row.get_ref(0)?;
            let text = text.as_bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default();
            out.push((table, text));
        }
    }
    Ok(out)
}

fn counters(connection: &Connection) -> Result<HashMap<String, i64>, Error> {
    let mut statement = connection.prepare_cached("SELECT name, value FROM counter")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn block_rows(connection: &Connection, misfits: &mut Vec<Misfit>) -> Result<Vec<(u64, u64)>, Error> {
    let sql = "SELECT first, count, sealed, dictionary, typeof(digest) AS digest, typeof(bytes) AS bytes FROM block ORDER BY first";
    each(connection, "block", sql, Some("first"), misfits, |row| {
        let (_, _): (i64, i64) = (row.get(2)?, row.get(3)?);
        for at in [4, 5] {
            if row.get::<_, String>(at)? != "blob" {
                return Err(rusqlite::Error::InvalidColumnType(at, "digest or bytes".to_owned(), Type::Text));
            }
        }
        Ok((natural(row, 0)?, natural(row, 1)?))
    })
}

fn numbers(connection: &Connection, sql: &str) -> Result<Vec<i64>, Error> {
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Of blocks whose rows fit their table: first, sealed, dictionary.
fn packed(connection: &Connection) -> Result<Vec<(u64, i64, i64)>, Error> {
    // What does not fit is told by `block_rows`.
    let mut told = Vec::new();
    let sql = "SELECT first, sealed, dictionary FROM block ORDER BY first";
    each(connection, "block", sql, None, &mut told, |row| Ok((natural(row, 0)?, row.get(1)?, row.get(2)?)))
}

fn about(connection: &Connection, misfits: &mut Vec<Misfit>) -> Result<Vec<(String, String)>, Error> {
    let sql = "SELECT name, text FROM about ORDER BY name";
    each(connection, "about", sql, None, misfits, |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Everything that is defined, each named by what it is and on which table: a trigger may bear the
/// name of a table, and a forged schema may define a name twice.
pub(super) fn definitions(connection: &Connection) -> Result<Vec<(String, String)>, Error> {
    let mut statement = connection.prepare(
        "SELECT type || ' ' || name || CASE WHEN tbl_name = name THEN '' ELSE ' on ' || tbl_name END, coalesce(sql, '')
         FROM sqlite_schema ORDER BY 1, 2",
    )?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// What the `about` table of an archive with this key must hold.
pub fn expected_about(vkey: &str) -> Vec<(String, String)> {
    let mut texts: Vec<(String, String)> =
        super::about::texts(vkey).into_iter().map(|(name, text)| (name.to_owned(), text)).collect();
    texts.sort();
    texts
}

/// The definitions as they are in a database of that format.
pub fn expected_definitions(format: i64) -> Result<Vec<(String, String)>, Error> {
    let connection = super::db::of_format(Which::Archive, format)?;
    definitions(&connection)
}

fn version_row(row: &Row<'_>) -> rusqlite::Result<VersionRow> {
    let change: u8 = row.get(2)?;
    Ok(VersionRow {
        version: row.get(0)?,
        seq: RecordSeq(row.get::<_, i64>(1)?.cast_unsigned()),
        change: Change::from_number(change).unwrap_or(Change::Changed),
    })
}
