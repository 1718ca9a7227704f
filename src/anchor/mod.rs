//! Where checkpoints go, so that someone who can write to the archive cannot rewrite it unseen.
//!
//! A keeper elsewhere ([`Sink`]) takes each signed checkpoint: a second folder keeps a copy, a witness
//! (C2SP tlog-witness) signs that it continues all it has seen before, a time-stamping authority
//! (RFC 3161) signs when it was there. What a keeper answers is checked before it is given back, and
//! again by `verify`. Nothing here changes the archive, and no failure of a keeper stops anything:
//! the next checkpoint is offered again.

mod der;
mod folder;
mod http;
mod timestamp;
mod witness;

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use crate::ledger::{Checkpoint, CosignerKey, VerifierKey};
use crate::model::UtcTime;
use crate::store::{self, AnchoredRow, Reader};

/// A keeper has no longer than this to answer, whatever it takes.
const PATIENCE: Duration = Duration::from_secs(45);

/// A keeper of checkpoints.
#[derive(Debug, Clone, PartialEq)]
pub struct Sink {
    /// What people call it.
    pub name: String,
    /// The least time between two checkpoints that it is given; zero is each.
    pub every: Duration,
    /// What it is.
    pub destination: Destination,
}

/// The kinds of keepers.
#[derive(Debug, Clone, PartialEq)]
pub enum Destination {
    /// A second folder: another disk, a mount.
    Folder(PathBuf),
    /// A C2SP witness.
    Witness {
        /// Its submission prefix.
        url: Url,
        /// The key that it signs with.
        key: Box<CosignerKey>,
        /// `http://host:port` of a proxy.
        proxy: Option<Url>,
    },
    /// An RFC 3161 time-stamping authority.
    Timestamp {
        /// Where requests are posted.
        url: Url,
        /// `http://host:port` of a proxy.
        proxy: Option<Url>,
    },
}

/// A checkpoint that is offered, and what it belongs to.
#[derive(Debug, Clone, Copy)]
pub struct Offer<'a> {
    /// The archive, which holds the records that the checkpoint speaks of.
    pub reader: &'a Reader,
    /// The keys that sign its checkpoints.
    pub keys: &'a [VerifierKey],
    /// What is signed.
    pub checkpoint: &'a Checkpoint,
    /// The signed note.
    pub note: &'a str,
    /// The size of the last checkpoint that this keeper took.
    pub last: Option<u64>,
}

/// Why a keeper did not take a checkpoint. The texts name no more of an address than its host.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not be reached or had no time. Nobody needs to do anything unless it stays so.
    #[error("{0}")]
    Unavailable(String),
    /// It answered and did not take it: somebody has to do something.
    #[error("{0}")]
    Refused(String),
    /// It knows another history of this archive than the archive itself.
    #[error("{0}")]
    Contradicts(String),
    /// The archive could not be read.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Error {
    /// Whether it speaks of a rollback, a fork or a rewritten archive.
    pub fn is_contradiction(&self) -> bool {
        matches!(self, Self::Contradicts(_)) || matches!(self, Self::Store(error) if error.is_integrity())
    }
}

impl Sink {
    /// `folder`, `witness` or `timestamp`.
    pub fn kind(&self) -> &'static str {
        match &self.destination {
            Destination::Folder(_) => "folder",
            Destination::Witness { .. } => "witness",
            Destination::Timestamp { .. } => "timestamp",
        }
    }

    /// The name under which its answers are kept: kind, colon, name.
    pub fn id(&self) -> String {
        format!("{}:{}", self.kind(), self.name)
    }

    /// Whether it is time to give it the checkpoint of `size` records.
    pub fn is_due(&self, last: Option<&AnchoredRow>, size: u64, now: UtcTime) -> bool {
        let Some(last) = last else { return true };
        if last.size >= size {
            return false;
        }
        let Ok(at) = chrono::DateTime::parse_from_rfc3339(&last.at) else { return true };
        // A clock that was put back must not stop it for as long.
        (now - at.to_utc()).to_std().map_or(true, |passed| passed >= self.every)
    }
}

/// Offers a checkpoint to a keeper and gives what it answered, checked, byte for byte; empty for a
/// folder. Ends within a minute.
pub async fn submit(sink: &Sink, offer: Offer<'_>) -> Result<Vec<u8>, Error> {
    let work = async {
        match &sink.destination {
            Destination::Folder(path) => folder::submit(path, offer).await.map(|()| Vec::new()),
            Destination::Witness { url, key, proxy } => witness::submit(url, proxy.as_ref(), key, offer).await,
            Destination::Timestamp { url, proxy } => timestamp::submit(url, proxy.as_ref(), offer).await,
        }
    };
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| {
        let detail = format!("the {} {} did not answer within {} s", sink.kind(), sink.name, PATIENCE.as_secs());
        Err(Error::Unavailable(format!("{detail}; the next checkpoint is offered again")))
    })
}

/// Refuses an archive that does not continue what lies in one of the folders; see
/// [`store::refuse_contradiction`]. A folder that can't be read now says nothing: [`submit`] says so.
pub fn refuse_rollback(sinks: &[Sink], reader: &Reader, keys: &[VerifierKey]) -> Result<(), store::Error> {
    for sink in sinks {
        let Destination::Folder(path) = &sink.destination else { continue };
        let continues = |checkpoint: &Checkpoint| reader.continues(checkpoint);
        match store::refuse_contradiction(path, &reader.archive().origin, keys, &continues) {
            Err(store::Error::Io(_)) | Ok(()) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What can be said of a kept answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evidence {
    /// It is about this checkpoint and right, as far as that can be said here.
    Right,
    /// It can't be judged without what `archive.toml` no longer says.
    Unknown(String),
    /// It is not about this checkpoint, or not by whom it should be.
    Wrong(String),
}

/// Judges what a keeper answered to the checkpoint in `note`. Of a time-stamp, that it was granted
/// for this note: who signed it is for `openssl ts -verify` to say, which knows whom you trust.
pub fn judge(sinks: &[Sink], row: &AnchoredRow, note: &str) -> Evidence {
    let outcome = match row.sink.split_once(':').map(|(kind, _)| kind) {
        Some("folder") if row.evidence.is_empty() => Ok(()),
        Some("timestamp") => timestamp::check(&row.evidence, note.as_bytes(), None),
        Some("witness") => {
            let known = sinks.iter().find(|sink| sink.id() == row.sink).map(|sink| &sink.destination);
            let Some(Destination::Witness { key, .. }) = known else {
                return Evidence::Unknown(format!(
                    "cosignatures of {} were not checked: archive.toml no longer names its key",
                    row.sink
                ));
            };
            witness::check(&row.evidence, note, key).map(|_| ())
        }
        _ => Err("no keeper of that kind is known".to_owned()),
    };
    match outcome {
        Ok(()) => Evidence::Right,
        Err(detail) => Evidence::Wrong(detail),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> UtcTime {
        crate::model::Clock::set(ms).now()
    }

    #[test]
    fn a_keeper_is_asked_no_more_often_than_it_should_be() {
        let sink = |every| Sink { name: "a".to_owned(), every, destination: Destination::Folder("/f".into()) };
        let row = AnchoredRow {
            size: 10,
            sink: "folder:a".to_owned(),
            at: crate::model::rfc3339(at(1_000_000)),
            evidence: Vec::new(),
        };
        let (each, hourly) = (sink(Duration::ZERO), sink(Duration::from_hours(1)));
        assert!(each.is_due(None, 10, at(0)) && hourly.is_due(None, 10, at(0)));
        assert!(!each.is_due(Some(&row), 10, at(9_000_000)), "it has that one");
        assert!(each.is_due(Some(&row), 11, at(1_000_001)));
        assert!(!hourly.is_due(Some(&row), 11, at(1_000_001)));
        assert!(hourly.is_due(Some(&row), 11, at(4_600_000)));
        assert!(hourly.is_due(Some(&row), 11, at(500_000)), "a clock that was put back");
    }
}
