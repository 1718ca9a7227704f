//! The one writer: a batch of records and the state that goes with them become durable together.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};

use super::change::{Batch, Change, NewRecord, StateChange, SuppliedRecord, stored_key};
use super::db::{Which, open_writing};
use super::error::Error;
use super::layout::{Layout, WriteLock, write_whole};
use super::moment::moment;
use super::notes::{refuse_contradiction, signed_by};
use super::reader::{ArchiveRow, BLOCK, archive_row, decode_row, read_open_span};
use super::state::apply;
use super::tree::{self, SPAN};
use crate::ledger::{ArchiveId, Checkpoint, Frontier, Note, SigningKey, SpanSecret, VerifierKey};
use crate::model::{ChannelId, Clock, Digest, MessageTs, RecordSeq, SourceId, rfc3339};
use crate::record::{BlockLimits, First, KeyBefore, Kind, OWN, Origin, OwnNote, Record, encode_block};

/// Compression when written; sealing later does better at leisure.
const LEVEL: i32 = 3;

/// What an append gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Number of the first new record (the head, when none was appended).
    pub first: RecordSeq,
    /// Number of records in the archive now.
    pub head: u64,
}

/// Another key that signs from here on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// Its public half.
    pub vkey: String,
    /// The one before, and why it was followed.
    pub previous: KeyBefore,
}

/// The keys that an archive is written with. What is trusted comes from outside the archive: who can
/// write to it could make it name any key.
#[derive(Debug, Default)]
pub struct Signing {
    /// Signs checkpoints; without it none are signed, and none are judged.
    pub key: Option<SigningKey>,
    /// Signs as well: the one before, for as long as both sign.
    pub also: Option<SigningKey>,
    /// Others that may have signed the newest checkpoint.
    pub trusted: Vec<VerifierKey>,
}

/// The write side of an archive. Holds the lock as long as it lives.
pub struct Writer {
    pub(super) connection: Connection,
    pub(super) layout: Layout,
    archive: ArchiveRow,
    pub(super) id: ArchiveId,
    signing: Signing,
    pub(super) clock: Clock,
    limits: BlockLimits,
    tree: OpenTree,
    channels: Channels,
    _lock: WriteLock,
}

type Channels = HashMap<(SourceId, ChannelId), ChannelRow>;

/// The rows of channels as a batch finds and changes them. Kept apart from those that are known until the
/// batch is durable; a batch looks at its own channels only, however many there are.
struct Rows<'a> {
    known: &'a Channels,
    touched: &'a mut Channels,
}

#[derive(Clone, Default)]
struct OpenTree {
    frontier: Frontier,
    secret: Option<SpanSecret>,
}

#[derive(Clone, Copy)]
struct ChannelRow {
    number: i64,
    records: u64,
}

/// Makes a new, empty archive: the directory, its databases, its first source. What was begun and
/// not ended is no archive, and says so when it is opened.
pub fn create(
    layout: &Layout,
    id: ArchiveId,
    vkey: &str,
    origin: &str,
    server: &str,
    clock: &Clock,
) -> Result<(), Error> {
    fs_err::create_dir_all(layout.checkpoints())?;
    fs_err::create_dir_all(layout.blobs())?;
    moment(layout.root(), "folders made");
    drop(open_writing(&layout.access(), Which::Access)?);
    moment(layout.root(), "access database made");
    let mut connection = open_writing(&layout.database(), Which::Archive)?;
    moment(layout.root(), "empty database made");
    let transaction = connection.transaction()?;
    let format = super::db::format(Which::Archive);
    transaction.execute(
        "INSERT INTO archive (one, format, id, origin, vkey, created_at) VALUES (1, ?1, ?2, ?3, ?4, ?5)",
        params![format, id.0, origin, vkey, rfc3339(clock.now())],
    )?;
    transaction.execute("INSERT INTO source (id, server) VALUES (1, ?1)", [server])?;
    for (name, text) in super::about::texts(vkey) {
        transaction.execute("INSERT INTO about (name, text) VALUES (?1, ?2)", params![name, text])?;
    }
    moment(layout.root(), "archive about to be named");
    // The commit point: from here on there is an archive, whole.
    transaction.commit()?;
    moment(layout.root(), "archive named");
    Ok(())
}

impl Writer {
    /// Opens the archive for writing. A tree that does not continue the newest checkpoint found
    /// in the database or in `checkpoints/` is refused: see [`Error::Rollback`].
    pub fn open(layout: &Layout, lock: WriteLock, key: Option<SigningKey>, clock: Clock) -> Result<Self, Error> {
        Self::open_with(layout, lock, Signing { key, ..Signing::default() }, clock)
    }

    /// The same where more than one key is in play.
    pub fn open_with(layout: &Layout, lock: WriteLock, signing: Signing, clock: Clock) -> Result<Self, Error> {
        let connection = open_writing(&layout.database(), Which::Archive)?;
        let archive = archive_row(&connection, layout)?;
        let id = archive.id;
        let head = super::reader::head(&connection)?;
        let open = read_open_span(&connection, head)?;
        let secret = if head % SPAN == 0 { None } else { Some(tree::secret(&connection, head / SPAN)?) };
        let leaves = match &secret {
            Some(secret) => tree::leaves(&id, secret, head / SPAN * SPAN, &open),
            None => Vec::new(),
        };
        let frontier = tree::frontier(&connection, head, &leaves)?;
        let writer = Self {
            connection,
            layout: layout.clone(),
            archive,
            id,
            signing,
            clock,
            limits: BlockLimits::default(),
            tree: OpenTree { frontier, secret },
            channels: HashMap::new(),
            _lock: lock,
        };
        writer.refuse_rollback()?;
        super::blobs::Blobs::new(layout.blobs()).clear_incoming()?;
        Ok(writer)
    }

    /// The keys that may have signed the newest checkpoint. None without a key to sign with.
    fn trusted(&self) -> Vec<VerifierKey> {
        let Signing { key: Some(key), also, trusted } = &self.signing else { return Vec::new() };
        let mut keys = vec![key.verifier()];
        keys.extend(also.iter().map(SigningKey::verifier));
        keys.extend(trusted.iter().cloned());
        keys
    }

    fn continues(&self, checkpoint: &Checkpoint) -> Result<(), Error> {
        super::reader::check_continues(&self.connection, &self.id, self.tree.frontier.size(), checkpoint)
    }

    /// Refuses a tree that does not continue the newest checkpoint in the database.
    fn refuse_fork(&self) -> Result<(), Error> {
        let keys = self.trusted();
        let newest: Option<String> = self
            .connection
            .query_row("SELECT note FROM checkpoint ORDER BY size DESC LIMIT 1", [], |row| row.get(0))
            .optional()?;
        let Some(newest) = newest else { return Ok(()) };
        let parsed = Note::parse(newest.as_bytes()).and_then(|note| {
            signed_by(&note, &keys)?;
            Checkpoint::parse(note.text())
        });
        let checkpoint =
            parsed.map_err(|error| Error::Rollback { size: 0, detail: format!("its newest checkpoint: {error}") })?;
        self.continues(&checkpoint)
    }

    /// The same for what lies in `checkpoints/`.
    fn refuse_rollback(&self) -> Result<(), Error> {
        self.refuse_fork()?;
        let folder = self.layout.checkpoints();
        if !folder.exists() {
            return Ok(());
        }
        let mut keys = self.trusted();
        if !keys.is_empty() {
            // The newest checkpoint is right, and so are the records under it: the keys that they name
            // signed what is older.
            let size = super::reader::newest_size(&self.connection)?;
            let under = super::reader::own_records(&self.connection)?.into_iter().filter(|own| own.seq.0 < size);
            for own in under {
                let named = std::iter::once(own.note.vkey).chain(own.note.previous.map(|before| before.vkey));
                keys.extend(named.filter_map(|text| VerifierKey::parse(&text).ok()));
            }
        }
        refuse_contradiction(&folder, &self.archive.origin, &keys, &|checkpoint| self.continues(checkpoint))
    }

    /// Number of records.
    pub fn head(&self) -> u64 {
        self.tree.frontier.size()
    }

    /// Notes the start of a run and gives its number.
    pub fn start_run(&mut self, kind: &str) -> Result<u64, Error> {
        moment(self.layout.root(), "run about to start");
        self.connection
            .execute("INSERT INTO run (kind, started_at) VALUES (?1, ?2)", params![kind, rfc3339(self.clock.now())])?;
        moment(self.layout.root(), "run started");
        Ok(self.connection.last_insert_rowid().cast_unsigned())
    }

    /// Appends records and changes crawl state, in one transaction. Durable on return; on an
    /// error nothing of it happened.
    pub fn append(&mut self, batch: Batch) -> Result<Appended, Error> {
        self.append_with(batch, |_| Ok(()))
    }

    /// Appends records out of another archive, with what goes with them, in one transaction. Durable on
    /// return; on an error nothing of it happened.
    pub fn import(&mut self, records: Vec<SuppliedRecord>, changes: Vec<StateChange>) -> Result<Appended, Error> {
        let (mut batch, mut told) = (Batch { records: Vec::with_capacity(records.len()), changes }, Vec::new());
        for SuppliedRecord { record, via, first } in records {
            batch.records.push(record);
            told.push(Some((via, first)));
        }
        self.append_all(batch, told, |_| Ok(()))
    }

    /// The same, with something else that stands or falls with it.
    pub(super) fn append_with(
        &mut self,
        batch: Batch,
        also: impl FnOnce(&Transaction<'_>) -> Result<(), Error>,
    ) -> Result<Appended, Error> {
        self.append_all(batch, Vec::new(), also)
    }

    fn append_all(
        &mut self,
        batch: Batch,
        told: Vec<Option<(String, First)>>,
        also: impl FnOnce(&Transaction<'_>) -> Result<(), Error>,
    ) -> Result<Appended, Error> {
        let first = RecordSeq(self.head());
        let mut tree = self.tree.clone();
        let mut touched = HashMap::new();
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        if !batch.records.is_empty() {
            let rows = Rows { known: &self.channels, touched: &mut touched };
            append_records(&transaction, &self.id, &self.limits, &mut tree, rows, batch.records, told)?;
        }
        for change in &batch.changes {
            apply(&transaction, first, change)?;
        }
        also(&transaction)?;
        // The commit point: before this line nothing happened, after it everything did. Tree,
        // records and cursors move together; recovery is the next pass of the ordinary crawl.
        moment(self.layout.root(), "batch about to be committed");
        transaction.commit()?;
        moment(self.layout.root(), "batch committed");
        self.tree = tree;
        self.channels.extend(touched);
        Ok(Appended { first, head: self.head() })
    }

    /// Writes down what the archive is, when the newest record of that says something else: in a new
    /// archive, under a build with other texts for `about`, which are brought up to date with it, and
    /// when `change` says that another key signs from here on. The number of the record, if one was
    /// written.
    pub fn describe(&mut self, change: Option<NewKey>) -> Result<Option<RecordSeq>, Error> {
        let known = super::reader::own_records(&self.connection)?.pop();
        let version = known.as_ref().map_or(1, |known| known.version + 1);
        let current = known.as_ref().map_or(&self.archive.vkey, |known| &known.note.vkey).clone();
        let (vkey, previous, via) = match change {
            Some(NewKey { vkey, previous }) => (vkey, Some(previous), "key rotate"),
            None => (current, None, "archive"),
        };
        let texts = super::about::texts(&vkey);
        let about = texts.iter().map(|(name, text)| ((*name).to_owned(), Digest::of(text.as_bytes()).to_string()));
        let note = OwnNote {
            id: self.id.to_string(),
            origin: self.archive.origin.clone(),
            created_at: self.archive.created_at.clone(),
            format: self.archive.format,
            server: self.archive.server.clone(),
            vkey,
            previous,
            about: about.collect(),
        };
        if known.is_some_and(|known| OwnNote { previous: None, ..known.note } == note) {
            return Ok(None);
        }
        // The run that is about to start; a change of key belongs to none.
        let run: i64 = if note.previous.is_some() {
            0
        } else {
            self.connection.query_row("SELECT coalesce(max(id), 0) + 1 FROM run", [], |row| row.get(0))?
        };
        let record = NewRecord {
            kind: Kind::Archive,
            source: super::FIRST_SOURCE,
            channel: None,
            key: OWN.to_owned(),
            version,
            change: if version == 1 { Change::New } else { Change::Changed },
            origin: Origin::Noted,
            via,
            account: String::new(),
            run: run.cast_unsigned(),
            observed_at: self.clock.now(),
            tickets: 0,
            attachments: Vec::new(),
            shared_in: Vec::new(),
            body: note.to_body(),
        };
        let appended = self.append_with(Batch { records: vec![record], changes: Vec::new() }, |transaction| {
            transaction.execute("INSERT INTO maintenance (what) VALUES ('about')", [])?;
            transaction.execute("DELETE FROM about", [])?;
            for (name, text) in &texts {
                transaction.execute("INSERT INTO about (name, text) VALUES (?1, ?2)", params![name, text])?;
            }
            transaction.execute("DELETE FROM maintenance", [])?;
            Ok(())
        })?;
        Ok(Some(appended.first))
    }

    /// Signs the tree as it is, unless it is unchanged since the last checkpoint or there is no
    /// key. The note is in the database before it is written to `checkpoints/`.
    pub fn checkpoint(&mut self) -> Result<Option<Checkpoint>, Error> {
        let Some(key) = &self.signing.key else { return Ok(None) };
        let size = self.head();
        let known: Option<String> = self
            .connection
            .query_row("SELECT note FROM checkpoint WHERE size = ?1", [size.cast_signed()], |row| row.get(0))
            .optional()?;
        let checkpoint = Checkpoint { origin: self.archive.origin.clone(), size, root: self.tree.frontier.root() };
        let note = if let Some(note) = known {
            note
        } else {
            // Never sign what does not continue the last signed tree (C2SP tlog-checkpoint). The
            // files were looked at when this archive was opened, and nobody else writes it since.
            self.refuse_fork()?;
            let mut note = checkpoint.sign(key);
            if let Some(also) = &self.signing.also {
                let signature = also.signature(note.text());
                note.add(signature).map_err(|error| Error::Rollback {
                    size,
                    detail: format!("it can't be signed by both keys: {error}"),
                })?;
            }
            let note = note.to_string();
            moment(self.layout.root(), "checkpoint signed");
            self.connection.execute(
                "INSERT INTO checkpoint (size, note, at) VALUES (?1, ?2, ?3)",
                params![size.cast_signed(), note, rfc3339(self.clock.now())],
            )?;
            moment(self.layout.root(), "checkpoint in the database");
            note
        };
        let folder = self.layout.checkpoints();
        fs_err::create_dir_all(&folder)?;
        let path = folder.join(format!("{size:012}.note"));
        if !path.exists() {
            write_whole(&path, note.as_bytes())?;
        }
        write_whole(&folder.join("latest.note"), note.as_bytes())?;
        Ok(Some(checkpoint))
    }
}

fn append_records(
    transaction: &Transaction<'_>,
    id: &ArchiveId,
    limits: &BlockLimits,
    tree: &mut OpenTree,
    mut rows: Rows<'_>,
    records: Vec<NewRecord>,
    told: Vec<Option<(String, First)>>,
) -> Result<(), Error> {
    let mut told = told.into_iter();
    let mut counters = Counters::default();
    let start = tree.frontier.size();
    let mut numbers = Vec::with_capacity(records.len());
    let mut built = Vec::with_capacity(records.len());
    for (seq, new) in (start..).zip(records) {
        let row = match &new.channel {
            Some(channel) => Some(rows.row(transaction, new.source, channel)?),
            None => None,
        };
        let number = row.as_ref().map_or(0, |row| row.number);
        let n = row.map(|row| {
            row.records += 1;
            row.records
        });
        note_subject(transaction, &mut counters, &new, number, seq)?;
        numbers.push(number);
        let mut header = new.header(n);
        if let Some(Some((via, first))) = told.next() {
            header.via = via;
            header.first = Some(Box::new(first));
        }
        built.push(Record { header, body: new.body });
    }
    for (seq, record) in (start..).zip(&built) {
        if seq % SPAN == 0 {
            tree.secret = Some(tree::make_secret(transaction, seq / SPAN)?);
        }
        let secret = tree.secret.as_ref().expect("an open span has its secret");
        let leaf = record.leaf(id, &secret.record_key(RecordSeq(seq))).hash();
        tree::grow(transaction, &mut tree.frontier, leaf)?;
    }
    write_blocks(transaction, limits, start, &numbers, &built)?;
    for row in rows.touched.values() {
        transaction
            .prepare_cached("UPDATE channel SET records = ?2 WHERE number = ?1")?
            .execute(params![row.number, row.records.cast_signed()])?;
    }
    counters.store(transaction)
}

impl Rows<'_> {
    fn row(
        &mut self,
        transaction: &Transaction<'_>,
        source: SourceId,
        channel: &ChannelId,
    ) -> Result<&mut ChannelRow, Error> {
        let key = (source, channel.clone());
        let row = match self.touched.entry(key) {
            Entry::Occupied(entry) => return Ok(entry.into_mut()),
            Entry::Vacant(entry) => entry,
        };
        let found = if let Some(known) = self.known.get(row.key()) {
            *known
        } else {
            transaction
                .prepare_cached("INSERT INTO channel (source, id) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
                .execute(params![source.0, channel.as_str()])?;
            transaction
                .prepare_cached("SELECT number, records FROM channel WHERE source = ?1 AND id = ?2")?
                .query_row(params![source.0, channel.as_str()], |row| {
                    Ok(ChannelRow { number: row.get(0)?, records: row.get::<_, i64>(1)?.cast_unsigned() })
                })?
        };
        Ok(row.insert(found))
    }
}

/// Lists the version in the subject table and counts it.
fn note_subject(
    transaction: &Transaction<'_>,
    counters: &mut Counters,
    new: &NewRecord,
    channel: i64,
    seq: u64,
) -> Result<(), Error> {
    let name = new.kind.as_str();
    match new.change {
        Change::New => {
            counters.add(name, "subjects", 1);
            counters.add(name, "versions", 1);
        }
        Change::Changed | Change::BackChanged | Change::Earlier => {
            // Whether there is one, not how many: a subject may have been changed a thousand times.
            let was_changed: bool = transaction
                .prepare_cached("SELECT EXISTS (SELECT 1 FROM subject WHERE kind = ?1 AND source = ?2 AND channel = ?3 AND key = ?4 AND change IN (1, 4, 7))")?
                .query_row(params![new.kind.number(), new.source.0, channel, stored_key(new.kind, &new.key)], |row| row.get(0))?;
            counters.add(name, "versions", 1);
            counters.add(name, "changed", i64::from(!was_changed));
        }
        // The first that is known of a channel's visibility is that it was lost.
        Change::Gone if new.version == 1 => counters.add(name, "subjects", 1),
        Change::Gone | Change::Back | Change::Shared | Change::Fetched => {}
    }
    match new.change {
        Change::Gone => counters.add(name, "gone", 1),
        Change::Back | Change::BackChanged => counters.add(name, "gone", -1),
        Change::New | Change::Changed | Change::Shared | Change::Fetched | Change::Earlier => {}
    }
    if new.kind.is_listed(new.version) {
        transaction
            .prepare_cached("INSERT INTO subject (kind, source, channel, key, version, seq, change) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
            .execute(params![
                new.kind.number(),
                new.source.0,
                channel,
                stored_key(new.kind, &new.key),
                new.version,
                seq.cast_signed(),
                new.change.number()
            ])?;
    }
    Ok(())
}

fn write_blocks(
    transaction: &Transaction<'_>,
    limits: &BlockLimits,
    start: u64,
    numbers: &[i64],
    built: &[Record],
) -> Result<(), Error> {
    let mut insert = transaction.prepare_cached(
        "INSERT INTO block (first, count, sealed, dictionary, digest, bytes) VALUES (?1, ?2, 0, 0, ?3, ?4)",
    )?;
    let mut index = transaction
        .prepare_cached("INSERT INTO span_index (channel, max_ts, min_ts, block) VALUES (?1, ?2, ?3, ?4)")?;
    let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
    compressor.include_checksum(true)?;
    let mut at = 0;
    while at < built.len() {
        let first = start + at as u64;
        let count = limits.fit(first, built[at..].iter().map(|record| record.body.len()));
        let part = &built[at..at + count];
        let bytes = compressor.compress(&encode_block(RecordSeq(first), part))?;
        insert.execute(params![
            first.cast_signed(),
            i64::try_from(count).unwrap_or(i64::MAX),
            Digest::of(&bytes).0,
            bytes
        ])?;
        for (channel, (min, max)) in message_ranges(&numbers[at..at + count], part) {
            index.execute(params![channel, max.micros(), min.micros(), first.cast_signed()])?;
        }
        at += count;
    }
    Ok(())
}

/// For each channel in a block, by number, the range of its first versions of messages.
pub fn message_ranges(channels: &[i64], records: &[Record]) -> Vec<(i64, (MessageTs, MessageTs))> {
    let mut ranges: Vec<(i64, (MessageTs, MessageTs))> = Vec::new();
    for (channel, record) in channels.iter().zip(records) {
        if record.header.kind != Kind::Message || record.header.version != 1 {
            continue;
        }
        let Some(ts) = MessageTs::parse(&record.header.key) else { continue };
        match ranges.iter_mut().find(|(number, _)| number == channel) {
            Some((_, (min, max))) => {
                *min = ts.min(*min);
                *max = ts.max(*max);
            }
            None => ranges.push((*channel, (ts, ts))),
        }
    }
    ranges
}

/// Counts of subjects and versions, kept so that `status` need not read the archive.
#[derive(Default)]
struct Counters(HashMap<(&'static str, &'static str), i64>);

impl Counters {
    fn add(&mut self, kind: &'static str, what: &'static str, delta: i64) {
        *self.0.entry((kind, what)).or_default() += delta;
    }

    fn store(self, transaction: &Transaction<'_>) -> Result<(), Error> {
        for ((kind, what), delta) in self.0 {
            transaction
                .prepare_cached("INSERT INTO counter (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = value + ?2")?
                .execute(params![format!("{kind}.{what}"), delta])?;
        }
        Ok(())
    }
}

/// The records of the blocks from `first` on that belong to the span at the end of the archive.
pub(super) fn open_span_records(connection: &Connection, head: u64) -> Result<Vec<Record>, Error> {
    let start = head / SPAN * SPAN;
    let mut out = Vec::new();
    let mut statement =
        connection.prepare_cached(&format!("SELECT {BLOCK} FROM block WHERE first >= ?1 ORDER BY first"))?;
    let mut rows = statement.query([start.cast_signed()])?;
    while let Some(row) = rows.next()? {
        out.extend(decode_row(connection, row)?.records);
    }
    Ok(out)
}
