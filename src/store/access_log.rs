//! The access log: entries in `access.db` under a tree of their own, written before what they tell
//! of happens.
//!
//! Several processes append: two `serve` may run, and commands beside them. So each append reads the
//! tree's frontier inside its own write transaction, from the nodes and the leaves of the open span:
//! what it costs does not grow with the log.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};

use super::access_list::ACTION;
use super::db::{Which, open_reading, open_writing};
use super::error::Error;
use super::layout::{Layout, write_whole};
use super::reader::archive_row;
use super::rows::in_order;
use super::tree::{self, SPAN};
use crate::ledger::{ArchiveId, Checkpoint, Frontier, Note, SigningKey, SpanSecret, VerifierKey};
use crate::model::{Clock, Digest, RecordSeq, UtcTime, rfc3339};
use crate::record::{Action, Visit, VisitHeader, visit_leaf, visit_line};

/// How long an append waits for another process's before whatever it tells of is refused.
const PATIENCE: Duration = Duration::from_secs(5);

/// An entry as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredVisit {
    /// Its number, from 0.
    pub number: u64,
    /// The line of [`VisitHeader`].
    pub header: String,
    /// The line of [`Visit`].
    pub body: String,
    /// The leaf, as it is stored.
    pub leaf: Vec<u8>,
}

/// The access log of an archive. Clones share one connection.
#[derive(Clone)]
pub struct AccessLog {
    connection: Arc<Mutex<Connection>>,
    layout: Layout,
    id: ArchiveId,
    origin: String,
    clock: Clock,
}

impl std::fmt::Debug for AccessLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AccessLog")
    }
}

/// The name of the access log of an archive whose own log has the name `origin`.
pub fn access_origin(origin: &str) -> String {
    format!("{origin}/access")
}

fn broken(detail: impl Into<String>) -> Error {
    Error::AccessLog { detail: detail.into() }
}

/// An error of the tree, told of the access log: its leaves are entries and no records.
fn of_the_log(error: Error) -> Error {
    match error {
        Error::Corrupt { seq, detail } => broken(format!("entry {seq}: {detail}")),
        Error::Damaged { detail, .. } => Error::Damaged { path: "access.db".into(), detail },
        other => other,
    }
}

/// How many entries there are.
fn size(connection: &Connection) -> Result<u64, Error> {
    let last: Option<i64> =
        connection.prepare_cached("SELECT max(number) FROM entry")?.query_row([], |row| row.get(0))?;
    Ok(last.map_or(0, |last| last.cast_unsigned() + 1))
}

/// The frontier of the tree of the first `size` entries.
fn frontier(connection: &Connection, size: u64) -> Result<Frontier, Error> {
    let start = size / SPAN * SPAN;
    let mut statement = connection
        .prepare_cached("SELECT number, leaf FROM entry WHERE number >= ?1 AND number < ?2 ORDER BY number")?;
    let mut rows = statement.query([start.cast_signed(), size.cast_signed()])?;
    let mut leaves = Vec::new();
    while let Some(row) = rows.next()? {
        let number = row.get::<_, i64>(0)?.cast_unsigned();
        let leaf: Vec<u8> = row.get(1)?;
        let leaf = Digest::from_slice(&leaf).filter(|_| number == start + leaves.len() as u64);
        leaves.push(leaf.ok_or_else(|| broken(format!("entry {number}: one before it is missing")))?);
    }
    tree::frontier(connection, size, &leaves).map_err(of_the_log)
}

/// Appends an entry to the log, inside a write transaction of `access.db`; its number.
pub(super) fn append(
    transaction: &Transaction<'_>,
    id: &ArchiveId,
    at: UtcTime,
    action: Action,
    visit: &Visit,
) -> Result<u64, Error> {
    let number = size(transaction)?;
    let mut frontier = frontier(transaction, number)?;
    let secret = if number.is_multiple_of(SPAN) {
        tree::make_secret(transaction, number / SPAN)?
    } else {
        tree::secret(transaction, number / SPAN).map_err(of_the_log)?
    };
    let header =
        visit_line(&VisitHeader { number, at: rfc3339(at), action, version: env!("CARGO_PKG_VERSION").to_owned() });
    let body = visit_line(visit);
    let leaf = visit_leaf(id, &secret.record_key(RecordSeq(number)), &header, &body).hash();
    transaction
        .prepare_cached("INSERT INTO entry (number, header, body, leaf) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![number.cast_signed(), header, body, leaf.0])?;
    tree::grow(transaction, &mut frontier, leaf)?;
    Ok(number)
}

/// The keys that the log names, oldest first.
fn signers(connection: &Connection) -> Result<Vec<VerifierKey>, Error> {
    let mut statement = connection.prepare_cached("SELECT vkey FROM signer ORDER BY number")?;
    let texts: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(texts.iter().filter_map(|text| VerifierKey::parse(text).ok()).collect())
}

impl AccessLog {
    /// Opens the log in `access.db` for writing.
    pub fn open(layout: &Layout, clock: Clock) -> Result<Self, Error> {
        let archive = archive_row(&open_reading(&layout.database(), Which::Archive)?, layout)?;
        let connection = open_writing(&layout.access(), Which::Access)?;
        connection.busy_timeout(PATIENCE)?;
        Ok(Self::with_connection(connection, layout, archive.id, &archive.origin, clock))
    }

    /// Opens it for reading, as that of the archive with this id and log; `None` while `access.db`
    /// is of a format that had no log.
    pub fn open_reading(layout: &Layout, id: ArchiveId, origin: &str) -> Result<Option<Self>, Error> {
        let connection = open_reading(&layout.access(), Which::Access)?;
        let format: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        Ok((format >= 2).then(|| Self::with_connection(connection, layout, id, origin, Clock::System)))
    }

    fn with_connection(connection: Connection, layout: &Layout, id: ArchiveId, origin: &str, clock: Clock) -> Self {
        let connection = Arc::new(Mutex::new(connection));
        Self { connection, layout: layout.clone(), id, origin: access_origin(origin), clock }
    }

    /// How long an append waits for another process's, instead of five seconds.
    pub fn wait_at_most(&self, patience: Duration) -> Result<(), Error> {
        self.with(|connection| Ok(connection.busy_timeout(patience)?))
    }

    /// How many pages its database may have, instead of as many as the disk has room for.
    pub fn grow_at_most(&self, pages: u64) -> Result<(), Error> {
        let pages = i64::try_from(pages).unwrap_or(i64::MAX);
        self.with(|connection| Ok(connection.pragma_update(None, "max_page_count", pages)?))
    }

    /// The archive whose log it is.
    pub(super) fn archive_id(&self) -> &ArchiveId {
        &self.id
    }

    /// The name under which its checkpoints are signed.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Where its checkpoints lie.
    pub fn checkpoints_folder(&self) -> PathBuf {
        self.layout.checkpoints().join("access")
    }

    pub(super) fn with<T>(&self, run: impl FnOnce(&mut Connection) -> Result<T, Error>) -> Result<T, Error> {
        run(&mut self.connection.lock().unwrap_or_else(PoisonError::into_inner)).map_err(Error::of_access)
    }

    /// Writes an entry; durable when it returns, and then its number. What it tells of must not
    /// happen when this fails. Waits for the disk: call it off the async threads.
    pub fn record(&self, action: Action, visit: &Visit) -> Result<u64, Error> {
        self.with(|connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let number = append(&transaction, &self.id, self.clock.now(), action, visit)?;
            // The commit point: what the entry tells of may happen from here on.
            transaction.commit()?;
            Ok(number)
        })
    }

    /// What the newest entry of an action says; `None` when there is none.
    pub fn last(&self, action: Action) -> Result<Option<Visit>, Error> {
        let name =
            serde_json::to_value(action).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default();
        self.with(|connection| {
            let body: Option<String> = connection
                // The index of actions is found by the same expression.
                .prepare_cached(&format!("SELECT body FROM entry WHERE {ACTION} = ?1 ORDER BY number DESC LIMIT 1"))?
                .query_row([name], |row| row.get(0))
                .optional()?;
            Ok(body.and_then(|body| serde_json::from_str(&body).ok()))
        })
    }

    /// Names `key` as the one that signs from here on, with an entry, unless it is already.
    pub fn introduce(&self, key: &SigningKey) -> Result<(), Error> {
        let vkey = key.verifier();
        self.with(|connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            if signers(&transaction)?.last() == Some(&vkey) {
                return Ok(());
            }
            let now = self.clock.now();
            transaction
                .execute("INSERT INTO signer (vkey, since) VALUES (?1, ?2)", params![vkey.to_text(), rfc3339(now)])?;
            let visit = Visit { subject: Some(vkey.to_text()), ..Visit::default() };
            append(&transaction, &self.id, now, Action::Signer, &visit)?;
            transaction.commit()?;
            Ok(())
        })
    }

    /// Signs the log as it is, unless it is empty or signed as it is; the note is in the database
    /// before it is in `checkpoints/access/`.
    pub fn checkpoint(&self, key: &SigningKey) -> Result<Option<Checkpoint>, Error> {
        let signed = self.with(|connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let size = size(&transaction)?;
            let known: Option<String> = transaction
                .query_row("SELECT note FROM checkpoint WHERE size = ?1", [size.cast_signed()], |row| row.get(0))
                .optional()?;
            if size == 0 || known.is_some() {
                return Ok(None);
            }
            // Never sign what does not continue the last signed tree (C2SP tlog-checkpoint).
            self.refuse(&transaction, Some(&key.verifier()))?;
            let root = frontier(&transaction, size)?.root();
            let checkpoint = Checkpoint { origin: self.origin.clone(), size, root };
            let note = checkpoint.sign(key).to_string();
            transaction.execute(
                "INSERT INTO checkpoint (size, note, at) VALUES (?1, ?2, ?3)",
                params![size.cast_signed(), note, rfc3339(self.clock.now())],
            )?;
            transaction.commit()?;
            Ok(Some((checkpoint, note)))
        })?;
        let Some((checkpoint, note)) = signed else { return Ok(None) };
        let folder = self.checkpoints_folder();
        fs_err::create_dir_all(&folder)?;
        write_whole(&folder.join(format!("{:012}.note", checkpoint.size)), note.as_bytes())?;
        write_whole(&folder.join("latest.note"), note.as_bytes())?;
        Ok(Some(checkpoint))
    }

    /// Refuses a log that does not continue the newest checkpoint found in the database or in
    /// `checkpoints/access/`: see [`Error::AccessLog`]. `key` is one that is trusted.
    pub fn refuse_rollback(&self, key: Option<&VerifierKey>) -> Result<(), Error> {
        self.with(|connection| {
            let snapshot = connection.transaction()?;
            self.refuse(&snapshot, key)
        })
    }

    fn refuse(&self, connection: &Connection, key: Option<&VerifierKey>) -> Result<(), Error> {
        let mut notes: Vec<String> = connection
            .prepare_cached("SELECT note FROM checkpoint ORDER BY size DESC LIMIT 1")?
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        // Names are sizes: `latest.note` and the largest of the others say the most.
        for path in self.note_files()?.iter().rev().take(2) {
            notes.push(fs_err::read_to_string(path)?);
        }
        let mut keys = signers(connection)?;
        keys.extend(key.cloned());
        let size = size(connection)?;
        for text in notes {
            let note = Note::parse(text.as_bytes()).map_err(|error| broken(format!("its checkpoint: {error}")))?;
            if !keys.is_empty() && !keys.iter().any(|key| note.verify(key).is_ok()) {
                return Err(broken("its newest checkpoint is signed by no key that is kept here or that it names"));
            }
            let checkpoint =
                Checkpoint::parse(note.text()).map_err(|error| broken(format!("its checkpoint: {error}")))?;
            if checkpoint.origin != self.origin {
                return Err(broken(format!("its newest checkpoint is that of another log, {}", checkpoint.origin)));
            }
            if checkpoint.size > size {
                return Err(broken(format!(
                    "a checkpoint was signed over {} entries and only {size} are here, so newer ones were removed or an older copy was put back",
                    checkpoint.size
                )));
            }
            if frontier(connection, checkpoint.size)?.root() != checkpoint.root {
                return Err(broken(format!(
                    "the entries before number {} are not those that a checkpoint was signed over",
                    checkpoint.size
                )));
            }
        }
        Ok(())
    }

    /// The notes under `checkpoints/access/`, by name.
    pub fn note_files(&self) -> Result<Vec<PathBuf>, Error> {
        let folder = self.checkpoints_folder();
        let mut paths = Vec::new();
        if folder.exists() {
            for entry in fs_err::read_dir(folder)? {
                paths.push(entry?.path());
            }
        }
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "note"));
        paths.sort();
        Ok(paths)
    }

    /// Number of entries; one more than the largest number.
    pub fn size(&self) -> Result<u64, Error> {
        self.with(|connection| size(connection))
    }

    /// Up to `limit` entries with numbers from `from` on, in order.
    pub fn entries(&self, from: u64, limit: usize) -> Result<Vec<StoredVisit>, Error> {
        self.with(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT number, header, body, leaf FROM entry WHERE number >= ?1 ORDER BY number LIMIT ?2",
            )?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let rows = statement.query_map(params![from.cast_signed(), limit], |row| {
                Ok(StoredVisit {
                    number: row.get::<_, i64>(0)?.cast_unsigned(),
                    header: row.get(1)?,
                    body: row.get(2)?,
                    leaf: row.get(3)?,
                })
            })?;
            let rows: Vec<StoredVisit> = rows.collect::<Result<_, _>>()?;
            in_order("entry", from, rows.iter().map(|row| row.number)).map_err(of_the_log)?;
            Ok(rows)
        })
    }

    /// The secret of a span of 128 entries.
    pub fn span_secret(&self, span: u64) -> Result<SpanSecret, Error> {
        self.with(|connection| tree::secret(connection, span).map_err(of_the_log))
    }

    /// What stands beside the entries, at one moment: others may append meanwhile.
    pub fn tables(&self) -> Result<AccessTables, Error> {
        self.with(|connection| {
            let snapshot = connection.transaction()?;
            let numbers = |sql: &str| -> Result<Vec<u64>, Error> {
                let mut statement = snapshot.prepare(sql)?;
                let rows = statement.query_map([], |row| Ok(row.get::<_, i64>(0)?.cast_unsigned()))?;
                Ok(rows.collect::<Result<_, _>>()?)
            };
            let spans = numbers("SELECT span FROM salt ORDER BY span")?;
            let mut statement = snapshot.prepare("SELECT size, note FROM checkpoint ORDER BY size")?;
            let checkpoints = statement
                .query_map([], |row| Ok((row.get::<_, i64>(0)?.cast_unsigned(), row.get(1)?)))?
                .collect::<Result<_, _>>()?;
            let mut statement = snapshot.prepare("SELECT vkey FROM signer ORDER BY number")?;
            let signers = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
            // A row that is no node is one that is missing, and is found as that.
            let mut misfits = Vec::new();
            Ok(AccessTables {
                size: size(&snapshot)?,
                nodes: super::tables::nodes(&snapshot, &mut misfits)?,
                spans,
                checkpoints,
                signers,
            })
        })
    }
}

/// What stands beside the entries of the access log, at one moment.
#[derive(Debug, Default)]
pub struct AccessTables {
    /// One more than the largest number of an entry.
    pub size: u64,
    /// Stored nodes: level, index, hash.
    pub nodes: Vec<(u8, u64, Vec<u8>)>,
    /// The spans that have a secret.
    pub spans: Vec<u64>,
    /// Checkpoints, oldest first: size, note.
    pub checkpoints: Vec<(u64, String)>,
    /// The keys that the log names, oldest first. It is the log's own word.
    pub signers: Vec<String>,
}

/// What is checked of `access.db` whatever its format: SQLite's own judgement, and the definitions
/// of its tables and guards as they are and as they should be.
#[derive(Debug)]
pub struct AccessDatabase {
    /// What SQLite finds wrong.
    pub faults: Vec<String>,
    /// Definitions by name, as they are.
    pub found: Vec<(String, String)>,
    /// As a database of its format has them.
    pub expected: Vec<(String, String)>,
}

/// Looks at `access.db` as a whole.
pub fn examine_access(layout: &Layout) -> Result<AccessDatabase, Error> {
    let connection = open_reading(&layout.access(), Which::Access)?;
    let faults: Vec<String> =
        connection.prepare("PRAGMA integrity_check(20)")?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let format: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    Ok(AccessDatabase {
        faults: if faults == ["ok"] { Vec::new() } else { faults },
        found: super::tables::definitions(&connection)?,
        expected: super::tables::definitions(&super::db::of_format(Which::Access, format)?)?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::bench;
    use super::*;

    fn visit(n: u64) -> Visit {
        Visit { user: Some("ada".into()), record: Some(n.to_string()), ..Visit::default() }
    }

    fn key(log: &AccessLog) -> SigningKey {
        SigningKey::new(log.origin(), [5; 32]).unwrap()
    }

    #[test]
    fn entries_are_numbered_and_the_tree_grows_over_spans() {
        let bench = bench();
        let layout = bench.layout.clone();
        let log = AccessLog::open(&layout, Clock::set(1_700_000_000_000)).unwrap();
        let other = AccessLog::open(&layout, Clock::set(1_700_000_000_000)).unwrap();
        let key = key(&log);
        log.introduce(&key).unwrap();
        log.introduce(&key).unwrap();
        let mut computed = Frontier::default();
        for n in 1..300 {
            // Two processes take turns.
            let log = if n % 2 == 0 { &log } else { &other };
            assert_eq!(log.record(Action::View, &visit(n)).unwrap(), n);
        }
        for entry in log.entries(0, 1000).unwrap() {
            let secret = log.span_secret(entry.number / SPAN).unwrap();
            let key = secret.record_key(RecordSeq(entry.number));
            let leaf = visit_leaf(log.archive_id(), &key, &entry.header, &entry.body).hash();
            assert_eq!(leaf.0.as_slice(), entry.leaf);
            computed.push(leaf, |_, _, _| {});
        }
        let checkpoint = log.checkpoint(&key).unwrap().unwrap();
        assert_eq!((checkpoint.size, checkpoint.root), (300, computed.root()));
        assert_eq!(other.checkpoint(&key).unwrap(), None, "it is signed as it is");
        assert_eq!(log.tables().unwrap().nodes.len(), 3, "two of level 7 and one above");
        log.refuse_rollback(Some(&key.verifier())).unwrap();
        let folder = log.checkpoints_folder();
        assert_eq!(
            fs_err::read(folder.join("latest.note")).unwrap(),
            fs_err::read(folder.join("000000000300.note")).unwrap()
        );
    }

    #[test]
    fn entries_that_went_are_missed() {
        let bench = bench();
        let layout = bench.layout.clone();
        let log = AccessLog::open(&layout, Clock::set(1_700_000_000_000)).unwrap();
        let key = key(&log);
        for n in 0..5 {
            log.record(Action::View, &visit(n)).unwrap();
        }
        log.checkpoint(&key).unwrap();
        let raw = Connection::open(layout.access()).unwrap();
        assert!(raw.execute("DELETE FROM entry WHERE number = 4", []).is_err(), "a guard holds");
        raw.execute_batch("DROP TRIGGER entry_delete; DELETE FROM entry WHERE number = 4").unwrap();
        let error = log.refuse_rollback(Some(&key.verifier())).unwrap_err();
        assert!(error.is_integrity() && error.to_string().contains("only 4 are here"), "{error}");
        // Another entry in its place does not help.
        log.record(Action::View, &visit(9)).unwrap();
        let error = log.refuse_rollback(Some(&key.verifier())).unwrap_err();
        assert!(error.to_string().contains("not those"), "{error}");
        assert!(log.checkpoint(&key).unwrap().is_none());
        log.record(Action::View, &visit(10)).unwrap();
        assert!(log.checkpoint(&key).is_err(), "a fork is not signed");
    }
}
