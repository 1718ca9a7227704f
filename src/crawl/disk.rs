//! The disk's reserve: file contents stop where it begins, so that texts, which are small and cannot
//! be had again, still find room (protocol notes (b)). What does not fit is owed.

use super::pass::{Options, Pass};
use super::summary::Finding;
use crate::api::Sink;
use crate::store::{self, Incoming};

/// The kind of the finding.
pub(super) const DISK_RESERVE: &str = "disk_reserve";
/// The disk is looked at again after this many bytes: others write on it, too.
const LOOK_EVERY: u64 = 16 << 20;

/// A content on its way into the store, as long as the reserve stays free. It is gone when this is
/// dropped.
pub(super) struct Receiving<'a> {
    incoming: Incoming,
    options: &'a Options,
    /// Bytes since the disk was last looked at.
    unlooked: u64,
}

/// Why a content is not received any further.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stop {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// There is no room for it, in words for people.
    #[error("{0}")]
    NoRoom(String),
}

impl<'a> Receiving<'a> {
    /// Begins to receive `size` bytes, if there is room for them; 0 where nobody knows how many.
    pub(super) fn begin(incoming: Incoming, size: u64, options: &'a Options) -> Result<Self, Stop> {
        let receiving = Self { incoming, options, unlooked: 0 };
        receiving.look(size)?;
        Ok(receiving)
    }

    /// What was received.
    pub(super) fn finish(self) -> Incoming {
        self.incoming
    }

    /// Whether `size` more bytes leave the reserve free.
    fn look(&self, size: u64) -> Result<(), Stop> {
        let percent = self.options.disk_reserve_percent;
        if percent == 0 {
            return Ok(());
        }
        let disk = (self.options.disk)(&self.incoming)?;
        let reserve = disk.total_bytes / 100 * u64::from(percent);
        if disk.free_bytes >= reserve.saturating_add(size) {
            return Ok(());
        }
        let mebibytes = |bytes: u64| format!("{} MiB", bytes >> 20);
        let takes = if size > 0 { format!(", it takes {}", mebibytes(size)) } else { String::new() };
        Err(Stop::NoRoom(format!(
            "not fetched: {} of the disk are free{takes}, and {percent} % ({}) are kept back for texts: make room, or lower `limits.disk_reserve_percent` in archive.toml",
            mebibytes(disk.free_bytes),
            mebibytes(reserve)
        )))
    }
}

impl Sink for Receiving<'_> {
    type Error = Stop;

    fn write(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        self.unlooked += bytes.len() as u64;
        if self.unlooked >= LOOK_EVERY {
            self.unlooked = 0;
            self.look(0)?;
        }
        Ok(self.incoming.write(bytes)?)
    }

    fn restart(&mut self) -> Result<(), Stop> {
        Ok(self.incoming.restart()?)
    }
}

/// Says once in a run that file contents stopped; the debt of each file says it of that file.
pub(super) fn say(pass: &Pass<'_>, reason: &str) {
    pass.count(|summary| {
        if summary.findings.iter().all(|finding| finding.kind != DISK_RESERVE) {
            let detail = format!("file contents wait while messages are archived; the first was {reason}");
            summary.findings.push(Finding { kind: DISK_RESERVE, channel: String::new(), detail });
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Blobs, DiskSpace};

    #[test]
    fn what_fits_beside_the_reserve_is_received() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::new(folder.path().to_owned());
        let disk = |_: &Incoming| Ok(DiskSpace { free_bytes: 60 << 20, total_bytes: 1000 << 20 });
        let begin = |percent, size| {
            let options = Options { disk_reserve_percent: percent, disk, ..Options::default() };
            let begun = Receiving::begin(blobs.receive().unwrap(), size, &options).map(drop);
            begun.map_err(|stop| stop.to_string())
        };
        for (percent, size) in [(0, u64::MAX), (5, 0), (5, 10 << 20), (6, 0)] {
            assert_eq!(begin(percent, size), Ok(()), "{size} bytes beside {percent} %");
        }
        for (percent, size) in [(5, (10 << 20) + 1), (6, 1), (7, 0), (100, 0), (5, u64::MAX)] {
            assert!(begin(percent, size).is_err(), "{size} bytes beside {percent} %");
        }
        assert_eq!(
            begin(5, 11 << 20).unwrap_err(),
            "not fetched: 60 MiB of the disk are free, it takes 11 MiB, and 5 % (50 MiB) are kept back for texts: make room, or lower `limits.disk_reserve_percent` in archive.toml"
        );
    }
}
