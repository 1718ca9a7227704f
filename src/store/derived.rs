//! What was read in files (`derived.db`): texts, why there is none, small pictures. Nothing here is
//! evidence: it can be deleted, and is then made anew from the files.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::db::{NO_TABLES, Which, open_reading, open_writing};
use super::error::Error;
use super::layout::Layout;
use super::moment;
use crate::model::{Clock, Digest, rfc3339};

/// zstd's level for texts.
const LEVEL: i32 = 9;

/// What a reader made of a file.
#[derive(Debug, Clone, Copy)]
pub struct NewResult<'a> {
    /// Of the file.
    pub digest: Digest,
    /// `ok`, `partial`, `encrypted`, `unsupported`, `failed`, `timeout` or `too_big`.
    pub status: &'a str,
    /// What read it, with its version.
    pub engine: &'a str,
    /// Version of our readers.
    pub version: u32,
    /// The text.
    pub text: &'a str,
    /// What should be known: why it failed, what was hidden.
    pub detail: Option<&'a str>,
    /// The character set it was taken to be in.
    pub charset: Option<&'a str>,
    /// Pages, where it has some.
    pub pages: Option<u32>,
    /// There was more text than is kept.
    pub is_truncated: bool,
    /// A small picture of it: PNG or JPEG.
    pub thumbnail: Option<&'a [u8]>,
}

/// A result as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultRow {
    /// Its number: later results have higher ones.
    pub number: u64,
    /// See [`NewResult`].
    pub status: String,
    /// See [`NewResult`].
    pub engine: String,
    /// See [`NewResult`].
    pub version: u32,
    /// See [`NewResult`].
    pub text: String,
    /// See [`NewResult`].
    pub detail: Option<String>,
    /// See [`NewResult`].
    pub charset: Option<String>,
    /// See [`NewResult`].
    pub pages: Option<u32>,
    /// See [`NewResult`].
    pub is_truncated: bool,
    /// When it was read.
    pub read_at: String,
}

/// `derived.db` opened for writing, by whoever holds the writer's lock.
#[derive(Debug)]
pub struct Derived {
    connection: Connection,
    clock: Clock,
    root: PathBuf,
}

impl Derived {
    /// Opens it; makes it when it is not there, and anew when it cannot be read: it is no evidence. Numbers
    /// of results are never used again, also after that.
    pub fn open(layout: &Layout, clock: &Clock) -> Result<Self, Error> {
        let open = || open_writing(&layout.derived(), Which::Derived);
        let connection = match open() {
            Err(Error::Damaged { .. }) => {
                Self::discard(layout)?;
                open()?
            }
            other => other?,
        };
        // Whoever keeps the last number that it took up must not meet it a second time.
        connection.execute(
            "INSERT INTO sqlite_sequence (name, seq) SELECT 'result', ?1
             WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'result')",
            [clock.now().timestamp_micros()],
        )?;
        Ok(Self { connection, clock: clock.clone(), root: layout.root().to_owned() })
    }

    /// Removes it: the files are read again.
    pub fn discard(layout: &Layout) -> Result<(), Error> {
        for ending in ["", "-wal", "-shm"] {
            let mut path = layout.derived().into_os_string();
            path.push(ending);
            match fs_err::remove_file(path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        Ok(())
    }

    /// Keeps a result, durable on return, and says its number.
    pub fn put(&mut self, result: &NewResult<'_>) -> Result<u64, Error> {
        let text = zstd::bulk::compress(result.text.as_bytes(), LEVEL)?;
        let transaction = self.connection.transaction()?;
        transaction.execute(
            "INSERT INTO result (sha256, status, engine, version, text, text_bytes, is_truncated, pages, charset, detail, read_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            params![
                result.digest.0,
                result.status,
                result.engine,
                result.version,
                text,
                i64::try_from(result.text.len()).unwrap_or(i64::MAX),
                result.is_truncated,
                result.pages,
                result.charset,
                result.detail,
                rfc3339(self.clock.now()),
            ],
        )?;
        let number = transaction.last_insert_rowid();
        if let Some(image) = result.thumbnail {
            transaction.execute("INSERT OR REPLACE INTO thumbnail VALUES (?1, ?2)", params![result.digest.0, image])?;
        }
        moment(&self.root, "result about to be kept");
        // The commit point.
        transaction.commit()?;
        moment(&self.root, "result kept");
        Ok(u64::try_from(number).unwrap_or(0))
    }
}

/// `derived.db` opened for reading. Clones share the connection.
#[derive(Debug, Clone)]
pub struct DerivedReader {
    connection: Arc<Mutex<Connection>>,
    path: PathBuf,
}

impl DerivedReader {
    /// Opens it; `None` when nothing was read yet.
    pub fn open(layout: &Layout) -> Result<Option<Self>, Error> {
        let path = layout.derived();
        if !path.exists() {
            return Ok(None);
        }
        match open_reading(&path, Which::Derived) {
            Ok(connection) => Ok(Some(Self { connection: Arc::new(Mutex::new(connection)), path })),
            // A death or a full disk came before its first table.
            Err(Error::Damaged { detail, .. }) if detail == NO_TABLES => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn with<T>(&self, read: impl FnOnce(&Connection) -> Result<T, Error>) -> Result<T, Error> {
        read(&self.connection.lock().unwrap_or_else(PoisonError::into_inner)).map_err(|error| match error {
            Error::Damaged { detail, .. } => Error::Damaged { path: self.path.clone(), detail },
            other => other,
        })
    }

    /// The newest result for a file.
    pub fn newest(&self, digest: &Digest) -> Result<Option<ResultRow>, Error> {
        self.with(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT number, status, engine, version, text, text_bytes, is_truncated, pages, charset, detail, read_at
                 FROM result WHERE sha256 = ?1 ORDER BY number DESC LIMIT 1",
            )?;
            let found = statement.query_row([digest.0], |row| Ok(result_row(row))).optional()?;
            found.transpose()
        })
    }

    /// The number of the newest result; 0 when there is none.
    pub fn last(&self) -> Result<u64, Error> {
        self.with(|connection| {
            let last: i64 = connection
                .prepare_cached("SELECT coalesce(max(number), 0) FROM result")?
                .query_row([], |row| row.get(0))?;
            Ok(u64::try_from(last).unwrap_or(0))
        })
    }

    /// Results after a number, oldest first: their numbers and files.
    pub fn since(&self, number: u64, limit: usize) -> Result<Vec<(u64, Digest)>, Error> {
        self.with(|connection| {
            let mut statement = connection
                .prepare_cached("SELECT number, sha256 FROM result WHERE number > ?1 ORDER BY number LIMIT ?2")?;
            let number = i64::try_from(number).unwrap_or(i64::MAX);
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let rows = statement.query_map([number, limit], |row| {
                let number: i64 = row.get(0)?;
                Ok((u64::try_from(number).unwrap_or(0), Digest(row.get(1)?)))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// The files that readers of `version` or newer have read.
    pub fn read_by(&self, version: u32) -> Result<HashSet<Digest>, Error> {
        self.with(|connection| {
            let mut statement = connection.prepare("SELECT DISTINCT sha256 FROM result WHERE version >= ?1")?;
            let rows = statement.query_map([version], |row| Ok(Digest(row.get(0)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// How many files ended in each status.
    pub fn counts_by_status(&self) -> Result<Vec<(String, u64)>, Error> {
        self.with(|connection| {
            let mut statement = connection.prepare(
                "SELECT status, count(*) FROM result
                 WHERE number IN (SELECT max(number) FROM result GROUP BY sha256) GROUP BY status ORDER BY status",
            )?;
            let rows = statement.query_map([], |row| {
                let count: i64 = row.get(1)?;
                Ok((row.get(0)?, u64::try_from(count).unwrap_or(0)))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// A small picture of a file.
    pub fn thumbnail(&self, digest: &Digest) -> Result<Option<Vec<u8>>, Error> {
        self.with(|connection| {
            let mut statement = connection.prepare_cached("SELECT image FROM thumbnail WHERE sha256 = ?1")?;
            Ok(statement.query_row([digest.0], |row| row.get(0)).optional()?)
        })
    }
}

fn result_row(row: &Row<'_>) -> Result<ResultRow, Error> {
    let number: i64 = row.get(0)?;
    let compressed: Vec<u8> = row.get(4)?;
    let length: i64 = row.get(5)?;
    let damaged = |detail: String| Error::Damaged { path: "derived.db".into(), detail };
    let length = usize::try_from(length).map_err(|_| damaged(format!("result {number} has no length")))?;
    let bytes = zstd::bulk::decompress(&compressed, length)
        .map_err(|error| damaged(format!("the text of result {number} cannot be read: {error}")))?;
    Ok(ResultRow {
        number: u64::try_from(number).unwrap_or(0),
        status: row.get(1)?,
        engine: row.get(2)?,
        version: row.get(3)?,
        text: String::from_utf8(bytes).map_err(|_| damaged(format!("the text of result {number} is not UTF-8")))?,
        is_truncated: row.get(6)?,
        pages: row.get(7)?,
        charset: row.get(8)?,
        detail: row.get(9)?,
        read_at: row.get(10)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::bench;

    fn result(digest: Digest, status: &'static str, version: u32, text: &'static str) -> NewResult<'static> {
        NewResult {
            digest,
            status,
            engine: "test 1",
            version,
            text,
            detail: None,
            charset: Some("UTF-8"),
            pages: Some(3),
            is_truncated: false,
            thumbnail: Some(b"png"),
        }
    }

    #[test]
    fn the_newest_result_of_a_file_counts() {
        let bench = bench();
        assert!(DerivedReader::open(&bench.layout).unwrap().is_none());
        let mut derived = Derived::open(&bench.layout, &Clock::System).unwrap();
        let (one, other) = (Digest([1; 32]), Digest([2; 32]));
        let first = derived.put(&result(one, "failed", 1, "")).unwrap();
        derived.put(&result(other, "ok", 1, "a text")).unwrap();
        let last = derived.put(&result(one, "ok", 2, "příliš")).unwrap();
        let reader = DerivedReader::open(&bench.layout).unwrap().unwrap();
        let row = reader.newest(&one).unwrap().unwrap();
        assert_eq!((row.status.as_str(), row.text.as_str(), row.number, row.version), ("ok", "příliš", last, 2));
        assert_eq!(reader.last().unwrap(), last);
        assert_eq!(reader.since(first, 10).unwrap(), [(first + 1, other), (last, one)]);
        assert_eq!(reader.read_by(2).unwrap(), HashSet::from([one]));
        assert_eq!(reader.counts_by_status().unwrap(), [("ok".to_owned(), 2)]);
        assert_eq!(reader.thumbnail(&one).unwrap().as_deref(), Some(&b"png"[..]));
        assert_eq!(reader.newest(&Digest([3; 32])).unwrap(), None);
    }

    #[test]
    fn one_that_cannot_be_read_is_made_anew() {
        let bench = bench();
        let mut derived = Derived::open(&bench.layout, &Clock::System).unwrap();
        let first = derived.put(&result(Digest([1; 32]), "ok", 1, "text")).unwrap();
        drop(derived);
        fs_err::write(bench.layout.derived(), "this is no database, but long enough to be taken for one").unwrap();
        assert!(matches!(DerivedReader::open(&bench.layout), Err(Error::Damaged { .. })));
        let mut derived = Derived::open(&bench.layout, &Clock::System).unwrap();
        let again = derived.put(&result(Digest([1; 32]), "ok", 1, "text")).unwrap();
        assert!(again > first, "{again} was used before");
        fs_err::write(bench.layout.derived(), "").unwrap();
        assert!(DerivedReader::open(&bench.layout).unwrap().is_none(), "cut off before its first table");
    }

    #[test]
    fn a_text_that_is_damaged_is_told() {
        let bench = bench();
        let mut derived = Derived::open(&bench.layout, &Clock::System).unwrap();
        derived.put(&result(Digest([1; 32]), "ok", 1, "a text that is long enough")).unwrap();
        derived.connection.execute("UPDATE result SET text = x'00112233'", []).unwrap();
        let reader = DerivedReader::open(&bench.layout).unwrap().unwrap();
        assert!(matches!(reader.newest(&Digest([1; 32])), Err(Error::Damaged { .. })));
    }
}
