use std::path::PathBuf;

use crate::{index, store};

/// Why an export was not made, or not made whole.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The archive on disk.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The index, for a scope by query.
    #[error(transparent)]
    Index(#[from] index::Error),
    /// A file of the set could not be written or read.
    #[error("can't {doing} {path}: {source}")]
    File {
        /// What was attempted.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The disk of the set is full.
    #[error("the disk is full: {path} is unfinished")]
    DiskFull {
        /// The unfinished set.
        path: PathBuf,
    },
    /// Nothing to export.
    #[error("nothing in the archive is in this scope: {0}")]
    Empty(String),
    /// There is something already.
    #[error("{0} exists already, and an export never writes over anything")]
    Exists(PathBuf),
    /// Another export was begun there.
    #[error("another export was begun at {path} and is unfinished: {difference}")]
    Unfinished {
        /// Where.
        path: PathBuf,
        /// What is another in this one.
        difference: String,
    },
    /// Whoever asked for it no longer wants it, for now.
    #[error("it was stopped; the same request goes on with it")]
    Stopped,
    /// Another run writes there now.
    #[error("another run is writing {0} at this moment")]
    Busy(PathBuf),
    /// Nothing was signed so far.
    #[error("no checkpoint was signed yet, so nothing in a set could be proved")]
    NoCheckpoint,
    /// The index does not reach all that the set is to hold.
    #[error("the index reaches record {reached} of {size}, so a query can't say what is in scope")]
    IndexBehind {
        /// How far it reaches.
        reached: u64,
        /// How far it should.
        size: u64,
    },
    /// A channel that is named and not in the archive.
    #[error("no channel or conversation of the archive is called {0}")]
    UnknownChannel(String),
    /// A person who is named and not in the archive.
    #[error("no person of the archive is called {0}")]
    UnknownCustodian(String),
    /// What was supplied is not what its maker signed, or no set at all.
    #[error("the set can't be imported: {path}: {detail}")]
    Supplied {
        /// The file of the bag.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// What is asked does not go together.
    #[error("{0}")]
    Usage(String),
}

impl Error {
    /// For `map_err` on what is done to a file of the set.
    pub(super) fn file(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| match source.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Self::DiskFull { path },
            _ => Self::File { doing, path, source: plain(source) },
        }
    }
}

/// What the system said, without the path that may have been put before it.
pub(super) fn plain(error: std::io::Error) -> std::io::Error {
    let inner =
        error.get_ref().and_then(|inner| inner.source()).and_then(|inner| inner.downcast_ref::<std::io::Error>());
    inner.and_then(std::io::Error::raw_os_error).map_or(error, std::io::Error::from_raw_os_error)
}
