use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use rusqlite_migration::{M, Migrations};

use super::error::Error;

/// How long a connection waits for another's transaction.
const BUSY: Duration = Duration::from_secs(10);

/// The steps of `archive.db`; the format number is their count.
const ARCHIVE_STEPS: &[M<'_>] = &[
    M::up(include_str!("../../schemas/sql/0001_archive.sql")),
    M::up(include_str!("../../schemas/sql/0002_views.sql")),
    M::up(include_str!("../../schemas/sql/0003_live.sql")),
    M::up(include_str!("../../schemas/sql/0004_anchors.sql")),
];

/// The steps of `access.db`.
const ACCESS_STEPS: &[M<'_>] = &[
    M::up(include_str!("../../schemas/sql/access_0001.sql")),
    M::up(include_str!("../../schemas/sql/access_0002.sql")),
    M::up(include_str!("../../schemas/sql/access_0003.sql")),
];

/// The steps of `derived.db`.
const DERIVED_STEPS: &[M<'_>] = &[M::up(include_str!("../../schemas/sql/derived_0001.sql"))];

/// What is wrong with a database without tables.
pub(super) const NO_TABLES: &str = "it holds no archive";

/// Which of the databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    Archive,
    Access,
    Derived,
}

impl Which {
    fn steps(self) -> &'static [M<'static>] {
        match self {
            Self::Archive => ARCHIVE_STEPS,
            Self::Access => ACCESS_STEPS,
            Self::Derived => DERIVED_STEPS,
        }
    }
}

/// The format that this build writes.
pub(super) fn format(which: Which) -> i64 {
    i64::try_from(which.steps().len()).unwrap_or(i64::MAX)
}

/// `SQLITE_IOERR_SHMSIZE`: the file beside a database in which its connections meet could not be made.
const NO_ROOM_TO_MEET: i32 = 4874;
/// What that file takes at first.
const MEETING_BYTES: u64 = 32 * 1024;

/// Whether SQLite failed for want of room without saying so.
fn is_full(path: &Path, error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|error| error.extended_code == NO_ROOM_TO_MEET)
        && rustix::fs::statvfs(path.parent().unwrap_or(path))
            .is_ok_and(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) < MEETING_BYTES)
}

fn damaged(path: &Path, error: Error) -> Error {
    match error {
        Error::Sqlite(error) if is_full(path, &error) => Error::DiskFull(path.parent().unwrap_or(path).to_owned()),
        Error::Damaged { detail, .. } => Error::Damaged { path: path.to_owned(), detail },
        Error::DiskFull(_) => Error::DiskFull(path.parent().unwrap_or(path).to_owned()),
        other => other,
    }
}

fn check_format(connection: &Connection, path: &Path, which: Which) -> Result<i64, Error> {
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > format(which) {
        return Err(Error::Newer { path: path.parent().unwrap_or(path).to_owned(), found, known: format(which) });
    }
    Ok(found)
}

/// Opens for writing and brings the tables to this build's format. Durable at each commit.
pub(super) fn open_writing(path: &Path, which: Which) -> Result<Connection, Error> {
    let open = || -> Result<Connection, Error> {
        let mut connection = Connection::open(path)?;
        connection.busy_timeout(BUSY)?;
        check_format(&connection, path, which)?;
        connection.pragma_update(None, "page_size", 4096)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // FULL: a signed checkpoint must never speak of records that a power cut can take back.
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", "ON")?;
        connection.pragma_update(None, "cache_size", -16_384)?;
        Migrations::from_slice(which.steps()).to_latest(&mut connection).map_err(|error| match error {
            rusqlite_migration::Error::RusqliteError { err, .. } => Error::from(err),
            other => Error::Damaged { path: path.to_owned(), detail: other.to_string() },
        })?;
        Ok(connection)
    };
    open().map_err(|error| damaged(path, error))
}

/// An empty database in memory as it is after the first `format` steps.
pub(super) fn of_format(which: Which, format: i64) -> Result<Connection, Error> {
    let mut connection = Connection::open_in_memory()?;
    let steps = &which.steps()[..usize::try_from(format).unwrap_or(0).min(which.steps().len())];
    Migrations::from_slice(steps).to_latest(&mut connection).map_err(|error| match error {
        rusqlite_migration::Error::RusqliteError { err, .. } => Error::from(err),
        other => Error::Damaged { path: PathBuf::new(), detail: other.to_string() },
    })?;
    Ok(connection)
}

/// Opens for reading only. On a medium that cannot be written, where SQLite could not make its
/// `-shm` file, a database without an open log is read as it lies.
pub(super) fn open_reading(path: &Path, which: Which) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let prepare = |connection: Connection| -> Result<Connection, Error> {
        connection.busy_timeout(BUSY)?;
        connection.pragma_update(None, "query_only", "ON")?;
        // There are several of them, and what is read again is kept as whole blocks elsewhere.
        connection.pragma_update(None, "cache_size", -4_096)?;
        if check_format(&connection, path, which)? == 0 {
            return Err(Error::Damaged { path: path.to_owned(), detail: NO_TABLES.to_owned() });
        }
        Ok(connection)
    };
    let plain = Connection::open_with_flags(path, flags).map_err(Error::from).and_then(prepare);
    match plain {
        Err(Error::Sqlite(_)) if !wal_has_content(path) => {
            let uri =
                format!("file:{}?immutable=1", percent_encoding::utf8_percent_encode(&path.to_string_lossy(), PATH));
            prepare(Connection::open_with_flags(uri, flags)?)
        }
        other => other,
    }
    .map_err(|error| damaged(path, error))
}

/// What must be escaped in the path of a `file:` URI.
const PATH: &percent_encoding::AsciiSet = &percent_encoding::CONTROLS.add(b'%').add(b'?').add(b'#').add(b' ');

fn wal_has_content(path: &Path) -> bool {
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    fs_err::metadata(Path::new(&wal)).is_ok_and(|meta| meta.len() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_apply_to_an_empty_database() {
        Migrations::from_slice(ARCHIVE_STEPS).validate().unwrap();
        Migrations::from_slice(ACCESS_STEPS).validate().unwrap();
        Migrations::from_slice(DERIVED_STEPS).validate().unwrap();
    }

    #[test]
    fn a_newer_format_is_refused_and_a_file_of_another_kind_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("archive.db");
        open_writing(&path, Which::Archive).unwrap().pragma_update(None, "user_version", 99).unwrap();
        assert!(matches!(open_reading(&path, Which::Archive), Err(Error::Newer { found: 99, .. })));
        assert!(matches!(open_writing(&path, Which::Archive), Err(Error::Newer { .. })));
        fs_err::write(&path, "this is no database, but long enough to be taken for one by its size").unwrap();
        assert!(matches!(open_reading(&path, Which::Archive), Err(Error::Damaged { .. })));
    }

    #[test]
    fn append_only_tables_refuse_change() {
        let folder = tempfile::tempdir().unwrap();
        let connection = open_writing(&folder.path().join("archive.db"), Which::Archive).unwrap();
        connection
            .execute_batch(
                "INSERT INTO block VALUES (0, 1, 0, 0, zeroblob(32), x'00');
                 INSERT INTO node VALUES (7, 0, zeroblob(32));
                 INSERT INTO salt VALUES (0, zeroblob(32), NULL);
                 INSERT INTO subject VALUES (1, 1, 1, 'k', 2, 5, 1);
                 INSERT INTO checkpoint VALUES (1, 'n', 't');",
            )
            .unwrap();
        for refused in [
            "UPDATE block SET bytes = x'01'",
            "DELETE FROM block",
            "INSERT OR REPLACE INTO block VALUES (0, 1, 0, 0, zeroblob(32), x'02')",
            "UPDATE node SET hash = zeroblob(32)",
            "INSERT OR REPLACE INTO node VALUES (7, 0, zeroblob(32))",
            "DELETE FROM salt",
            "UPDATE subject SET seq = 6",
            "INSERT OR REPLACE INTO subject VALUES (1, 1, 1, 'k', 2, 6, 1)",
            "DELETE FROM checkpoint",
            "INSERT OR REPLACE INTO checkpoint VALUES (1, 'm', 't')",
        ] {
            assert!(connection.execute_batch(refused).is_err(), "{refused}");
        }
    }
}
