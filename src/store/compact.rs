//! Sealing: the blocks of whole spans become one block, packed harder. Records, their numbers, salts,
//! leaves and nodes stay what they are; only the packing changes.
//!
//! A sealed block holds both spans of a pair that begins at a multiple of 256, or one of them when the
//! two are long. Nothing is sealed that no signed checkpoint speaks of, and what was sealed once is left
//! alone: a pair is sealed when both its spans are whole. Each swap is one transaction of its own, so
//! a process that dies leaves each pair either as it was or sealed, and the next run does the rest.

use std::collections::{HashMap, VecDeque};

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};
use serde_json::{Value, json};
use zstd::bulk::Compressor;
use zstd::dict::EncoderDictionary;

use super::change::{Batch, Change, NewRecord, StateChange};
use super::dictionary::{self, dictionary_id};
use super::error::Error;
use super::moment::moment;
use super::reader::{BLOCK, Block, Reader, decode_row};
use super::tree::{self, SPAN, SPAN_LEVEL};
use super::writer::{Writer, message_ranges};
use crate::ledger::ArchiveId;
use crate::model::{Digest, RecordSeq, SourceId};
use crate::record::{Kind, Origin, Record, encode_sealed_block};

/// At leisure, level 9 with a dictionary gains more than any level without one, and costs a sixth
/// of level 19.
const LEVEL: i32 = 9;
/// The most records of a sealed block: two spans.
const PAIR: u64 = 2 * SPAN;
/// What people write about changes: every so many records get a dictionary of their own.
const EPOCH: u64 = 1 << 20;
const DICTIONARY_BYTES: usize = 112 * 1024;
/// How many spans a dictionary is trained on, spread over its epoch: 16,384 records.
const SAMPLE_SPANS: u64 = 128;
/// Of a long record its beginning is enough to learn from.
const SAMPLE_BYTES: usize = 4 * 1024;
/// And of all samples no more than this is held in memory.
const SAMPLES_BYTES: usize = 32 << 20;
/// Free pages are given back to the file system when they are more than one in so many.
const FREE_ONE_IN: i64 = 10;

/// What is sealed, and how.
#[derive(Debug, Clone, Copy)]
pub struct SealLimits {
    /// Two spans are sealed as one block when their text is not longer than this, in bytes: whoever
    /// reads a record unpacks its whole block.
    pub pair_bytes: u64,
    /// A span whose text is longer than this, in bytes, stays in its open blocks, in which long
    /// records stand alone.
    pub span_bytes: u64,
    /// Records that an epoch must have before a dictionary is trained on it. Less than that gains less
    /// than a dictionary weighs.
    pub train_records: u64,
}

impl Default for SealLimits {
    fn default() -> Self {
        Self { pair_bytes: 256 * 1024, span_bytes: 1024 * 1024, train_records: 10_000 }
    }
}

/// Sizes before and after.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Weight {
    /// Rows of the block table.
    pub blocks: u64,
    /// Bytes of all blocks, packed.
    pub block_bytes: u64,
    /// Bytes of the database file, as SQLite counts its pages.
    pub database_bytes: u64,
}

/// What a compaction came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Records that were sealed now.
    pub sealed: u64,
    /// Dictionaries that were trained now.
    pub trained: u64,
    /// Spans that are whole and stay open, because their text is too long.
    pub too_long: u64,
    /// What there was.
    pub before: Weight,
    /// What there is.
    pub after: Weight,
}

/// Records that become one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Group {
    first: u64,
    count: u64,
}

/// The dictionary that blocks of an epoch are packed with.
struct Packing {
    id: i64,
    encoder: EncoderDictionary<'static>,
}

/// A compaction under way: what is still to be sealed. Dropped, it is simply not gone on with.
pub struct Sealing {
    limits: SealLimits,
    reader: Reader,
    /// Records below this are signed, in whole pairs.
    end: u64,
    groups: VecDeque<Group>,
    all: u64,
    channels: HashMap<(u32, String), i64>,
    packing: Option<(u64, Option<Packing>)>,
    run: Option<u64>,
    compacted: Compacted,
}

impl Sealing {
    /// Records sealed so far, and all that are to be.
    pub fn progress(&self) -> (u64, u64) {
        (self.compacted.sealed, self.all)
    }
}

/// Seals all that can be sealed, and gives freed pages back where they are many. `progress` is told
/// records sealed and all that are to be.
pub fn compact(
    writer: &mut Writer,
    limits: SealLimits,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Compacted, Error> {
    let mut sealing = writer.plan_sealing(limits)?;
    while writer.seal_next(&mut sealing)? {
        let (done, all) = sealing.progress();
        progress(done, all);
    }
    writer.end_sealing(&mut sealing)?;
    writer.give_back()?;
    sealing.compacted.after = weight(&writer.connection)?;
    Ok(sealing.compacted)
}

impl Writer {
    /// Signs what there is, and looks for what can be sealed.
    pub fn plan_sealing(&mut self, limits: SealLimits) -> Result<Sealing, Error> {
        self.checkpoint()?;
        let reader = Reader::open(&self.layout)?;
        let signed = reader.newest_checkpoint()?.map_or(0, |(checkpoint, _, _)| checkpoint.size);
        let end = signed / PAIR * PAIR;
        let (groups, too_long) = groups(&self.connection, end, &limits)?;
        let compacted = Compacted { too_long, before: weight(&self.connection)?, ..Compacted::default() };
        Ok(Sealing {
            limits,
            reader,
            end,
            all: groups.iter().map(|group| group.count).sum(),
            groups,
            channels: HashMap::new(),
            packing: None,
            run: None,
            compacted,
        })
    }

    /// Seals one block; `false` when nothing was left to seal.
    pub fn seal_next(&mut self, sealing: &mut Sealing) -> Result<bool, Error> {
        let Some(group) = sealing.groups.pop_front() else { return Ok(false) };
        if sealing.run.is_none() {
            sealing.run = Some(self.start_run("compact")?);
        }
        let epoch = group.first / EPOCH;
        if sealing.packing.as_ref().is_none_or(|(known, _)| *known != epoch) {
            sealing.packing = Some((epoch, self.packing(sealing, epoch)?));
        }
        let packing = sealing.packing.as_ref().and_then(|(_, packing)| packing.as_ref());
        seal(&mut self.connection, &self.layout, &self.id, group, packing, &mut sealing.channels)?;
        sealing.compacted.sealed += group.count;
        Ok(true)
    }

    /// Seals one block of the compaction that `sealing` holds, and begins one when it holds none; `false`
    /// when nothing was left, and it holds none again. For those who have other things to do in between.
    pub fn seal_one(&mut self, limits: SealLimits, sealing: &mut Option<Sealing>) -> Result<bool, Error> {
        let mut under_way = match sealing.take() {
            Some(under_way) => under_way,
            None => self.plan_sealing(limits)?,
        };
        if self.seal_next(&mut under_way)? {
            *sealing = Some(under_way);
            return Ok(true);
        }
        self.end_sealing(&mut under_way)?;
        Ok(false)
    }

    /// Notes the end of the run, when anything was sealed, and signs what was noted.
    pub fn end_sealing(&mut self, sealing: &mut Sealing) -> Result<(), Error> {
        if let Some(run) = sealing.run.take() {
            let Compacted { sealed, trained, too_long, .. } = sealing.compacted;
            let summary = json!({"sealed": sealed, "trained": trained, "too_long": too_long}).to_string();
            let ended = StateChange::RunEnded { run, at: self.clock.now(), result: "complete".to_owned(), summary };
            self.append(Batch { records: Vec::new(), changes: vec![ended] })?;
            self.checkpoint()?;
        }
        sealing.compacted.after = weight(&self.connection)?;
        Ok(())
    }

    /// Gives free pages back to the file system, when they are many, and empties the write-ahead log. What a
    /// crawl goes on to write would fill them too: whoever crawls at once need not.
    fn give_back(&mut self) -> Result<(), Error> {
        let count = |name: &str| -> Result<i64, Error> {
            Ok(self.connection.pragma_query_value(None, name, |row| row.get(0))?)
        };
        if count("freelist_count")? * FREE_ONE_IN > count("page_count")? {
            moment(self.layout.root(), "free pages about to be given back");
            match self.connection.execute_batch("VACUUM").map_err(Error::from) {
                // It needs as much room again as the database takes; without it, the pages wait.
                Err(error @ (Error::DiskFull(_) | Error::Io(_))) => {
                    tracing::warn!(%error, "there is no room to give free pages back; they are used again");
                }
                other => other?,
            }
            moment(self.layout.root(), "free pages given back");
        }
        // A reader that is under way keeps the log from being emptied; the next writer does it then.
        self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        moment(self.layout.root(), "log emptied");
        Ok(())
    }

    /// What blocks of an epoch are packed with: its own dictionary, made now when the epoch is large
    /// enough, else the newest there is.
    fn packing(&mut self, sealing: &mut Sealing, epoch: u64) -> Result<Option<Packing>, Error> {
        let known = known(&sealing.reader)?;
        let own = known.iter().find(|known| known.epoch == epoch);
        let newest = known.iter().max_by_key(|known| known.epoch);
        let range = (epoch * EPOCH)..((epoch + 1) * EPOCH).min(sealing.end);
        let is_enough = range.end - range.start >= sealing.limits.train_records;
        if own.is_none()
            && is_enough
            && let Some(packing) = self.train(sealing, epoch, range)?
        {
            return Ok(Some(packing));
        }
        let Some(chosen) = own.or(newest) else { return Ok(None) };
        let corrupt = |what: &str| Error::Corrupt {
            seq: chosen.seq,
            detail: format!("the dictionary {} that it speaks of {what}", chosen.id),
        };
        let bytes = dictionary::bytes(&self.connection, chosen.id)?.ok_or_else(|| corrupt("is missing"))?;
        if Digest::of(&bytes).to_string() != chosen.sha256 {
            return Err(corrupt("is another one"));
        }
        Ok(Some(Packing { id: chosen.id, encoder: EncoderDictionary::try_copy(&bytes, LEVEL)? }))
    }

    /// Trains a dictionary on an epoch and writes it down: in the table, and its SHA-256 in a record,
    /// which is signed before anything is packed with it. `None` when there is nothing to be learned.
    fn train(
        &mut self,
        sealing: &mut Sealing,
        epoch: u64,
        range: std::ops::Range<u64>,
    ) -> Result<Option<Packing>, Error> {
        let samples = samples(&sealing.reader, &range)?;
        let bytes = match zstd::dict::from_continuous(&samples.text, &samples.lengths, DICTIONARY_BYTES) {
            Ok(bytes) => bytes,
            // zstd refuses samples that are too few or too much alike; they are packed well without.
            Err(error) => {
                tracing::info!(%error, epoch, "no dictionary could be trained");
                return Ok(None);
            }
        };
        let Some(id) = dictionary_id(&bytes) else { return Ok(None) };
        // Ids are drawn from what a dictionary holds. One that is taken stays what it is.
        if dictionary::bytes(&self.connection, id)?.is_some() {
            return Ok(None);
        }
        let digest = Digest::of(&bytes);
        let body = json!({"dictionary": {
            "id": id,
            "sha256": digest.to_string(),
            "bytes": bytes.len(),
            "level": LEVEL,
            "trained_on": {
                "epoch": epoch,
                "from": range.start,
                "to": range.end,
                "records": samples.records,
                "bytes": samples.text.len(),
            },
        }});
        let note = NewRecord {
            kind: Kind::Dictionary,
            source: super::FIRST_SOURCE,
            channel: None,
            key: id.to_string(),
            version: 1,
            change: Change::New,
            origin: Origin::Noted,
            via: "compact",
            account: String::new(),
            run: sealing.run.unwrap_or_default(),
            observed_at: self.clock.now(),
            tickets: 0,
            attachments: Vec::new(),
            shared_in: Vec::new(),
            body: body.to_string().into_bytes(),
        };
        self.append_with(Batch { records: vec![note], changes: Vec::new() }, |transaction| {
            transaction.execute(
                "INSERT INTO dictionary (id, digest, bytes) VALUES (?1, ?2, ?3)",
                params![id, digest.0, bytes],
            )?;
            Ok(())
        })?;
        self.checkpoint()?;
        sealing.compacted.trained += 1;
        Ok(Some(Packing { id, encoder: EncoderDictionary::try_copy(&bytes, LEVEL)? }))
    }
}

/// What of a span's blocks is open.
#[derive(Clone, Copy, Default)]
struct Span {
    text_bytes: u64,
    is_sealed: bool,
}

/// What can be sealed below `end`, and how many spans are too long for it. Reads of each block its
/// first bytes only, where zstd has noted how long the text is.
fn groups(connection: &Connection, end: u64, limits: &SealLimits) -> Result<(VecDeque<Group>, u64), Error> {
    let mut groups = VecDeque::new();
    let mut too_long = 0;
    let mut close = |pair: u64, spans: [Span; 2]| {
        let is_open = spans.iter().all(|span| !span.is_sealed);
        if is_open && spans.iter().map(|span| span.text_bytes).sum::<u64>() <= limits.pair_bytes {
            groups.push_back(Group { first: pair * PAIR, count: PAIR });
            return;
        }
        for (first, span) in [pair * PAIR, pair * PAIR + SPAN].into_iter().zip(spans) {
            if span.is_sealed {
                continue;
            }
            if span.text_bytes <= limits.span_bytes {
                groups.push_back(Group { first, count: SPAN });
            } else {
                too_long += 1;
            }
        }
    };
    let mut statement = connection
        .prepare("SELECT first, count, sealed, substr(bytes, 1, 18) FROM block WHERE first < ?1 ORDER BY first")?;
    let mut rows = statement.query([end.cast_signed()])?;
    let mut open: Option<(u64, [Span; 2])> = None;
    while let Some(row) = rows.next()? {
        let (first, count) = (row.get::<_, i64>(0)?.cast_unsigned(), row.get::<_, i64>(1)?.cast_unsigned());
        let pair = first / PAIR;
        let (_, spans) = match &mut open {
            Some(open) if open.0 == pair => open,
            _ => {
                if let Some((pair, spans)) = open.take() {
                    close(pair, spans);
                }
                open.insert((pair, <[Span; 2]>::default()))
            }
        };
        let place = usize::from(first % PAIR >= SPAN);
        if row.get(2)? {
            spans[place].is_sealed = true;
            spans[1].is_sealed |= count > SPAN;
            continue;
        }
        let head: Vec<u8> = row.get(3)?;
        let size = zstd::zstd_safe::get_frame_content_size(&head).ok().flatten();
        spans[place].text_bytes += size.ok_or_else(|| Error::Corrupt {
            seq: RecordSeq(first),
            detail: "its block does not say how long its text is".to_owned(),
        })?;
    }
    if let Some((pair, spans)) = open {
        close(pair, spans);
    }
    Ok((groups, too_long))
}

/// Swaps the blocks of a group for one.
fn seal(
    connection: &mut Connection,
    layout: &super::Layout,
    archive: &ArchiveId,
    group: Group,
    packing: Option<&Packing>,
    channels: &mut HashMap<(u32, String), i64>,
) -> Result<(), Error> {
    let (first, end) = (group.first, group.first + group.count);
    let corrupt = |seq: u64, detail: &str| Error::Corrupt { seq: RecordSeq(seq), detail: detail.to_owned() };
    let blocks = blocks_between(connection, first, end)?;
    let mut records: Vec<Record> = Vec::new();
    let mut numbers: Vec<i64> = Vec::new();
    // Rows of the span index by their keys: (channel, latest time stamp, block).
    let mut earlier: Vec<(i64, i64, u64)> = Vec::new();
    let removed = blocks.len();
    for block in blocks {
        if block.first.0 != first + records.len() as u64 {
            return Err(corrupt(block.first.0, "the block before it is missing"));
        }
        let of_block = channel_numbers(connection, channels, &block.records)?;
        let ranges = message_ranges(&of_block, &block.records);
        earlier.extend(ranges.into_iter().map(|(channel, (_, max))| (channel, max.micros(), block.first.0)));
        numbers.extend(of_block);
        records.extend(block.records);
    }
    if records.len() as u64 != group.count {
        return Err(corrupt(first, "its span has other records than the tree"));
    }
    let (text, _) = encode_sealed_block(RecordSeq(first), &records);
    let mut compressor = match packing {
        Some(packing) => Compressor::with_prepared_dictionary(&packing.encoder)?,
        None => Compressor::new(LEVEL)?,
    };
    compressor.include_checksum(true)?;
    let bytes = compressor.compress(&text)?;
    moment(layout.root(), "sealed block made");

    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute("INSERT INTO maintenance (what) VALUES ('compact')", [])?;
    for (channel, max, block) in earlier {
        let gone = transaction
            .prepare_cached("DELETE FROM span_index WHERE channel = ?1 AND max_ts = ?2 AND block = ?3")?
            .execute(params![channel, max, block.cast_signed()])?;
        if gone != 1 {
            return Err(corrupt(block, "the span index does not have its messages"));
        }
    }
    let gone = transaction
        .prepare_cached("DELETE FROM block WHERE first >= ?1 AND first < ?2")?
        .execute([first.cast_signed(), end.cast_signed()])?;
    if gone != removed {
        return Err(corrupt(first, "its blocks changed while they were read"));
    }
    moment(layout.root(), "open blocks removed");
    transaction
        .prepare_cached(
            "INSERT INTO block (first, count, sealed, dictionary, digest, bytes) VALUES (?1, ?2, 1, ?3, ?4, ?5)",
        )?
        .execute(params![
            first.cast_signed(),
            group.count.cast_signed(),
            packing.map_or(0, |packing| packing.id),
            Digest::of(&bytes).0,
            bytes
        ])?;
    for (channel, (min, max)) in message_ranges(&numbers, &records) {
        transaction
            .prepare_cached("INSERT INTO span_index (channel, max_ts, min_ts, block) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![channel, max.micros(), min.micros(), first.cast_signed()])?;
    }
    // Read back what is stored, as everyone will, before the open blocks are gone for good: every header
    // and body is what it was, and gives the tree that was signed.
    let stored = blocks_between(&transaction, first, end)?;
    let [stored] = stored.as_slice() else { return Err(corrupt(first, "sealing it made other blocks than one")) };
    if stored.records != records {
        return Err(corrupt(first, "its sealed block does not read as its open blocks do"));
    }
    check_tree(&transaction, archive, first, &stored.records)?;
    transaction.execute("DELETE FROM maintenance", [])?;
    moment(layout.root(), "sealed block about to be committed");
    // The commit point: before this line the open blocks are there, after it the sealed one.
    transaction.commit()?;
    moment(layout.root(), "sealed block committed");
    Ok(())
}

/// That whole spans of records, from `first` on, are what the tree's stored nodes were computed from.
fn check_tree(connection: &Connection, archive: &ArchiveId, first: u64, records: &[Record]) -> Result<(), Error> {
    let spans = records.chunks(usize::try_from(SPAN).expect("a small number"));
    for (span, records) in (first / SPAN..).zip(spans) {
        let secret = tree::secret(connection, span)?;
        let leaves = tree::leaves(archive, &secret, span * SPAN, records);
        if tree::perfect_root(&leaves) != tree::node(connection, SPAN_LEVEL, span)? {
            let detail = "it or one of the 127 after it is not what the tree was computed from".to_owned();
            return Err(Error::Corrupt { seq: RecordSeq(span * SPAN), detail });
        }
    }
    Ok(())
}

fn blocks_between(connection: &Connection, first: u64, end: u64) -> Result<Vec<Block>, Error> {
    let mut statement = connection
        .prepare_cached(&format!("SELECT {BLOCK} FROM block WHERE first >= ?1 AND first < ?2 ORDER BY first"))?;
    let mut rows = statement.query([first.cast_signed(), end.cast_signed()])?;
    let mut out = Vec::new();
    while let Some(row) = rows.next()? {
        out.push(decode_row(connection, row)?);
    }
    Ok(out)
}

/// The number of each record's channel, 0 for none.
fn channel_numbers(
    connection: &Connection,
    known: &mut HashMap<(u32, String), i64>,
    records: &[Record],
) -> Result<Vec<i64>, Error> {
    let mut out = Vec::with_capacity(records.len());
    for record in records {
        let header = &record.header;
        let Some(channel) = &header.channel else {
            out.push(0);
            continue;
        };
        let key = (header.source, channel.clone());
        let number = if let Some(number) = known.get(&key) {
            *number
        } else {
            let number: Option<i64> = connection
                .prepare_cached("SELECT number FROM channel WHERE source = ?1 AND id = ?2")?
                .query_row(params![SourceId(header.source).0, channel], |row| row.get(0))
                .optional()?;
            let number = number.ok_or_else(|| Error::Corrupt {
                seq: RecordSeq(0),
                detail: format!("channel {channel}, to which records belong, has no row"),
            })?;
            known.insert(key, number);
            number
        };
        out.push(number);
    }
    Ok(out)
}

/// A dictionary as its record tells of it.
struct Known {
    seq: RecordSeq,
    id: i64,
    epoch: u64,
    sha256: String,
}

fn known(reader: &Reader) -> Result<Vec<Known>, Error> {
    let mut out = Vec::new();
    for (_, row) in reader.newest(Kind::Dictionary)? {
        let body: Value = serde_json::from_slice(&reader.record(row.seq)?.body).unwrap_or_default();
        let said = &body["dictionary"];
        let parts = (said["id"].as_i64(), said["trained_on"]["epoch"].as_u64(), said["sha256"].as_str());
        let (Some(id), Some(epoch), Some(sha256)) = parts else {
            return Err(Error::Corrupt { seq: row.seq, detail: "it does not name its dictionary".to_owned() });
        };
        out.push(Known { seq: row.seq, id, epoch, sha256: sha256.to_owned() });
    }
    Ok(out)
}

/// What a dictionary is trained on: texts one after the other, and where each ends.
#[derive(Default)]
struct Samples {
    text: Vec<u8>,
    lengths: Vec<usize>,
    records: u64,
}

/// The pieces of blocks (a first line, a record with its line) of spans spread evenly over a range.
fn samples(reader: &Reader, range: &std::ops::Range<u64>) -> Result<Samples, Error> {
    let mut out = Samples::default();
    let spans = (range.end - range.start) / SPAN;
    let taken = spans.min(SAMPLE_SPANS);
    for n in 0..taken {
        let first = range.start + n * spans / taken * SPAN;
        let mut seq = first;
        while seq < first + SPAN {
            let Some(block) = reader.blocks(seq, 1)?.into_iter().next() else { break };
            let skipped = usize::try_from(seq - block.first.0).unwrap_or(usize::MAX);
            let left = usize::try_from(first + SPAN - seq).unwrap_or(usize::MAX);
            let records: Vec<Record> = block.records.into_iter().skip(skipped).take(left).collect();
            if records.is_empty() {
                break;
            }
            let (text, lengths) = encode_sealed_block(RecordSeq(seq), &records);
            let mut at = 0;
            for length in lengths {
                let piece = &text[at..at + length.min(SAMPLE_BYTES)];
                out.text.extend_from_slice(piece);
                out.lengths.push(piece.len());
                at += length;
            }
            seq += records.len() as u64;
            out.records += records.len() as u64;
            if out.text.len() > SAMPLES_BYTES {
                return Ok(out);
            }
        }
    }
    Ok(out)
}

fn weight(connection: &Connection) -> Result<Weight, Error> {
    let (blocks, block_bytes): (i64, i64) =
        connection.query_row("SELECT count(*), coalesce(sum(length(bytes)), 0) FROM block", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    let pages: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0))?;
    let page_bytes: i64 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
    Ok(Weight {
        blocks: blocks.cast_unsigned(),
        block_bytes: block_bytes.cast_unsigned(),
        database_bytes: (pages * page_bytes).cast_unsigned(),
    })
}
