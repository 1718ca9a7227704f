use std::path::PathBuf;

use crate::model::RecordSeq;

/// What went wrong with an archive on disk, said so that a person can act on it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no archive there.
    #[error("there is no archive at {0}")]
    Absent(PathBuf),
    /// There is one already.
    #[error("{0} is not empty: an archive is made in a new or empty directory")]
    Exists(PathBuf),
    /// Made by a later build.
    #[error(
        "can't open the archive at {path}: it was written by a newer version (format {found}, this build reads up to {known})"
    )]
    Newer {
        /// The directory.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// Another process writes.
    #[error("the archive at {path} is being written by another process{}", .holder.as_ref().map(|h| format!(" ({h})")).unwrap_or_default())]
    Locked {
        /// The directory.
        path: PathBuf,
        /// What the lock file says about the holder.
        holder: Option<String>,
    },
    /// No room left.
    #[error("the disk is full: nothing was lost, but nothing more can be stored at {0}")]
    DiskFull(PathBuf),
    /// The files could not be read or written.
    #[error("{0}")]
    Io(#[source] std::io::Error),
    /// SQLite refuses the database.
    #[error("the database {path} is damaged: {detail}")]
    Damaged {
        /// Which database.
        path: PathBuf,
        /// SQLite's words.
        detail: String,
    },
    /// Something in SQLite failed that is not damage.
    #[error("the database refused: {0}")]
    Sqlite(#[source] rusqlite::Error),
    /// A record, block or node is not what it must be.
    #[error("record {seq} can't be read: {detail}")]
    Corrupt {
        /// The record, or the first of the block.
        seq: RecordSeq,
        /// What is wrong.
        detail: String,
    },
    /// The tree is older than, or other than, a checkpoint that was signed for it.
    #[error("the archive does not continue its own checkpoint of {size} records: {detail}")]
    Rollback {
        /// The size that was signed.
        size: u64,
        /// What does not fit.
        detail: String,
    },
    /// The access log is not what it was, or older than a checkpoint that was signed for it.
    #[error("the access log is not what it was: {detail}")]
    AccessLog {
        /// What does not fit.
        detail: String,
    },
    /// A file that should hold a signed checkpoint of this archive does not.
    #[error("the checkpoint file {path} can't be trusted: {detail}")]
    BadNote {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// The writer's thread is gone after an earlier failure.
    #[error("the archive stopped writing after an earlier failure")]
    Stopped,
}

impl Error {
    /// Whether trying again later can help.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Locked { .. } | Self::DiskFull(_))
    }

    /// The same, of the database of accounts and of the access log.
    pub(super) fn of_access(self) -> Self {
        match self {
            Self::Damaged { detail, .. } => Self::Damaged { path: PathBuf::from("access.db"), detail },
            other => other,
        }
    }

    /// Whether what is stored is not what was stored: exit code 3.
    pub fn is_integrity(&self) -> bool {
        matches!(
            self,
            Self::Damaged { .. }
                | Self::Corrupt { .. }
                | Self::Rollback { .. }
                | Self::AccessLog { .. }
                | Self::BadNote { .. }
        )
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::StorageFull {
            return Self::DiskFull(PathBuf::from("the archive's disk"));
        }
        Self::Io(error)
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        // The tables refuse values of another kind than their columns, so someone forced one in.
        if let rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..) = error
        {
            let detail = format!("a cell is not what its column holds: {error}");
            return Self::Damaged { path: PathBuf::from("archive.db"), detail };
        }
        // What is asked is written in this program, and asks for what it made: a definition was changed.
        let misses = match &error {
            rusqlite::Error::SqlInputError { msg, .. } => Some(msg),
            rusqlite::Error::SqliteFailure(_, Some(msg)) if msg.starts_with("no such ") => Some(msg),
            _ => None,
        };
        if let Some(msg) = misses {
            let detail = format!("a table is not defined as it was made: {msg}");
            return Self::Damaged { path: PathBuf::from("archive.db"), detail };
        }
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::DiskFull(PathBuf::from("the archive's disk")),
            // SQLite calls a file damaged of which the disk fails to give a part.
            Some(ErrorCode::DatabaseCorrupt) => Self::Damaged {
                path: PathBuf::from("archive.db"),
                detail: format!("{error}, or the disk fails to read it"),
            },
            Some(ErrorCode::NotADatabase) => {
                Self::Damaged { path: PathBuf::from("archive.db"), detail: error.to_string() }
            }
            _ => Self::Sqlite(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_or_column_that_is_not_there_is_damage() {
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE archive (other INTEGER)").unwrap();
        for (asked, missing) in
            [("SELECT format FROM archive", "format"), ("SELECT size FROM checkpoint", "checkpoint")]
        {
            let error = Error::from(connection.prepare(asked).unwrap_err());
            assert!(error.is_integrity(), "{error:?}");
            let told = error.to_string();
            assert!(told.contains("not defined as it was made") && told.contains(missing), "{told}");
        }
    }
}
