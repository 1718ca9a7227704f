//! Room for sets. A disk that they fill stops the crawl and the access log, so that part of it stays free.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::store::DiskSpace;

/// So much of the disk stays free, and no less than so many of a hundred parts of it.
const LEAST_BYTES: u64 = 1 << 30;
const LEAST_PERCENT: u64 = 5;

/// Looks at the disk that a folder lies on.
pub(super) type Look = fn(&Path) -> std::io::Result<DiskSpace>;

/// The disk that a folder lies on, as it is now.
pub(super) fn look(folder: &Path) -> std::io::Result<DiskSpace> {
    let found = rustix::fs::statvfs(folder)?;
    Ok(DiskSpace {
        free_bytes: found.f_bavail.saturating_mul(found.f_frsize),
        total_bytes: found.f_blocks.saturating_mul(found.f_frsize),
    })
}

/// The room that one set has.
#[derive(Debug)]
pub(super) struct Room {
    folder: PathBuf,
    look: Look,
    lack: Mutex<Option<String>>,
}

impl Room {
    /// For a set that lies in `folder`.
    pub(super) fn new(folder: PathBuf, look: Look) -> Self {
        Self { folder, look, lack: Mutex::default() }
    }

    /// Whether there is room for so many bytes more. Why not is kept.
    pub(super) fn is_there(&self, more: u64) -> bool {
        let lack = match (self.look)(&self.folder) {
            Ok(disk) => lack(&self.folder, disk, more),
            Err(error) => Some(format!("can't see how much of the disk of {} is free: {error}", self.folder.display())),
        };
        let has_room = lack.is_none();
        *self.lack.lock().unwrap_or_else(PoisonError::into_inner) = lack;
        has_room
    }

    /// Whether there is room to pack what is in the folder, beside what is packed.
    pub(super) fn is_there_to_pack(&self) -> std::io::Result<bool> {
        Ok(self.is_there(bytes_in(&self.folder)?))
    }

    /// Why there was none when it was last asked.
    pub(super) fn lack(&self) -> Option<String> {
        self.lack.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What to do where `more` bytes do not leave enough of a disk free.
fn lack(folder: &Path, disk: DiskSpace, more: u64) -> Option<String> {
    let least = LEAST_BYTES.max(disk.total_bytes / 100 * LEAST_PERCENT);
    if disk.free_bytes >= least.saturating_add(more) {
        return None;
    }
    let mebibytes = |bytes: u64| format!("{} MiB", bytes >> 20);
    let takes = if more > 0 { format!(", packing it takes up to {}", mebibytes(more)) } else { String::new() };
    Some(format!(
        "{} of the disk of {} are free{takes}, and {} stay free for the archive: remove sets that are no longer needed \
         (what there is of this one takes room until it is removed, too), or make room, then go on with it; \
         `web.exports_dir` in archive.toml names another place",
        mebibytes(disk.free_bytes),
        folder.display(),
        mebibytes(least),
    ))
}

/// Bytes of all files below a folder.
fn bytes_in(folder: &Path) -> std::io::Result<u64> {
    let mut open = vec![folder.to_owned()];
    let mut bytes = 0;
    while let Some(at) = open.pop() {
        for entry in fs_err::read_dir(&at)? {
            let entry = entry?;
            let found = entry.metadata()?;
            if found.is_dir() {
                open.push(entry.path());
            } else {
                bytes += found.len();
            }
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn a_gibibyte_stays_free_and_a_twentieth_of_a_large_disk() {
        let has_room = |free_bytes, total_bytes, more| {
            lack(Path::new("/sets"), DiskSpace { free_bytes, total_bytes }, more).is_none()
        };
        assert!(has_room(GIB, 10 * GIB, 0) && !has_room(GIB - 1, 10 * GIB, 0));
        assert!(has_room(GIB + 7, 10 * GIB, 7) && !has_room(GIB + 6, 10 * GIB, 7));
        // A twentieth of a hundred is five.
        assert!(has_room(5 * GIB, 100 * GIB, 0) && !has_room(5 * GIB - (1 << 20), 100 * GIB, 0));
        assert!(!has_room(GIB, 10 * GIB, u64::MAX) && !has_room(0, 0, 0));
    }

    #[test]
    fn what_is_wrong_and_what_to_do_is_said_until_there_is_room() {
        static FREE: AtomicU64 = AtomicU64::new(0);
        let room = Room::new(PathBuf::from("/sets/7"), |_| {
            Ok(DiskSpace { free_bytes: FREE.load(Ordering::Relaxed), total_bytes: 10 * GIB })
        });
        FREE.store(40 << 20, Ordering::Relaxed);
        assert!(!room.is_there(3 << 20));
        let lack = room.lack().expect("something is wrong");
        for said in
            ["40 MiB of the disk of /sets/7", "up to 3 MiB", "1024 MiB stay free", "remove sets", "web.exports_dir"]
        {
            assert!(lack.contains(said), "{said}: {lack}");
        }
        FREE.store(2 * GIB, Ordering::Relaxed);
        assert!(room.is_there(0) && room.lack().is_none());
        let room = Room::new(PathBuf::from("/sets/7"), |_| Err(std::io::Error::other("gone")));
        assert!(!room.is_there(0) && room.lack().is_some_and(|lack| lack.contains("gone")));
    }

    #[test]
    fn packing_takes_what_lies_in_the_folder() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        fs_err::create_dir_all(folder.path().join("a/b")).expect("a folder can be made");
        for name in ["one", "a/two", "a/b/three"] {
            fs_err::write(folder.path().join(name), [0; 10]).expect("a file can be written");
        }
        assert_eq!(bytes_in(folder.path()).expect("the folder can be read"), 30);
        // As much is free as must be, and nothing for the thirty bytes.
        let tight: Look = |_| Ok(DiskSpace { free_bytes: GIB + 29, total_bytes: 10 * GIB });
        let room = Room::new(folder.path().to_owned(), tight);
        assert!(room.is_there(0) && !room.is_there_to_pack().expect("the folder can be read"));
        assert!(look(folder.path()).expect("the disk can be seen").total_bytes > 0);
    }
}
