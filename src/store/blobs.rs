use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::error::Error;
use super::layout::{at, sync_folder};
use super::moment::moment;
use crate::model::Digest;

/// File contents by their SHA-256: `blobs/ab/cd/<64 digits>`.
#[derive(Debug, Clone)]
pub struct Blobs {
    root: PathBuf,
}

/// A content that is being received. Dropped without [`Blobs::keep`], it leaves nothing behind.
pub struct Incoming {
    file: tempfile::NamedTempFile,
    hash: Sha256,
    size: u64,
}

/// What there is of the disk that a content is received on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskSpace {
    /// Bytes that can still be written without privileges.
    pub free_bytes: u64,
    /// Bytes in all.
    pub total_bytes: u64,
}

impl Incoming {
    /// The disk that it lies on, as it is now.
    pub fn disk(&self) -> Result<DiskSpace, Error> {
        let found = rustix::fs::fstatvfs(self.file.as_file()).map_err(std::io::Error::from)?;
        Ok(DiskSpace {
            free_bytes: found.f_bavail.saturating_mul(found.f_frsize),
            total_bytes: found.f_blocks.saturating_mul(found.f_frsize),
        })
    }

    /// Takes the next bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.hash.update(bytes);
        self.size += bytes.len() as u64;
        Ok(self.file.write_all(bytes)?)
    }

    /// Forgets what was received: the content comes again from its first byte.
    pub fn restart(&mut self) -> Result<(), Error> {
        self.file.rewind()?;
        self.file.as_file().set_len(0)?;
        self.hash = Sha256::new();
        self.size = 0;
        Ok(())
    }

    /// Bytes received so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The first bytes, `limit` at most, to look whether this is a file at all.
    pub fn beginning(&self, limit: u64) -> Result<Vec<u8>, Error> {
        let mut out = Vec::new();
        fs_err::File::open(self.file.path())?.take(limit).read_to_end(&mut out)?;
        Ok(out)
    }
}

impl Blobs {
    /// The store under `root`, which need not exist yet.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Where a content lies, or would.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        let hex = digest.to_string();
        self.root.join(&hex[..2]).join(&hex[2..4]).join(hex)
    }

    /// Starts receiving.
    pub fn receive(&self) -> Result<Incoming, Error> {
        let folder = self.root.join("incoming");
        fs_err::create_dir_all(&folder)?;
        Ok(Incoming { file: tempfile::NamedTempFile::new_in(folder)?, hash: Sha256::new(), size: 0 })
    }

    /// Keeps a content under its digest, durable on return: file synced, renamed, folders synced.
    /// One that is there already is left as it is.
    pub fn keep(&self, incoming: Incoming) -> Result<(Digest, u64), Error> {
        let digest = Digest(incoming.hash.finalize().into());
        let path = self.path(&digest);
        if path.exists() {
            return Ok((digest, incoming.size));
        }
        moment(&self.root, "content received");
        incoming.file.as_file().sync_all().map_err(at("write", incoming.file.path()))?;
        let folder = path.parent().unwrap_or(&self.root);
        fs_err::create_dir_all(folder)?;
        moment(&self.root, "content synced, its folder made");
        incoming.file.persist(&path).map_err(|error| at("put in its place", &path)(error.error))?;
        moment(&self.root, "content in its place");
        for folder in [Some(folder), folder.parent(), Some(self.root.as_path())].into_iter().flatten() {
            sync_folder(folder)?;
        }
        Ok((digest, incoming.size))
    }

    /// Reads a content and says its digest and size as they are now on disk; `None` when it is
    /// not there.
    pub fn check(&self, digest: &Digest) -> Result<Option<(Digest, u64)>, Error> {
        let path = self.path(digest);
        if !path.exists() {
            return Ok(None);
        }
        hash_file(&path).map(Some)
    }

    /// Removes what an interrupted run had begun to receive.
    pub fn clear_incoming(&self) -> Result<(), Error> {
        let folder = self.root.join("incoming");
        if folder.exists() {
            fs_err::remove_dir_all(&folder)?;
        }
        Ok(())
    }
}

fn hash_file(path: &Path) -> Result<(Digest, u64), Error> {
    let mut file = fs_err::File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    let mut size = 0;
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok((Digest(hash.finalize().into()), size));
        }
        hash.update(&buffer[..count]);
        size += count as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_lies_under_its_digest_and_damage_shows() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::new(folder.path().join("blobs"));
        let mut incoming = blobs.receive().unwrap();
        incoming.write(b"hello ").unwrap();
        incoming.write(b"world").unwrap();
        assert_eq!(incoming.beginning(5).unwrap(), b"hello");
        let disk = incoming.disk().unwrap();
        assert!(disk.free_bytes < disk.total_bytes, "{disk:?}");
        let (digest, size) = blobs.keep(incoming).unwrap();
        assert_eq!((digest, size), (Digest::of(b"hello world"), 11));
        assert_eq!(blobs.check(&digest).unwrap(), Some((digest, 11)));
        fs_err::write(blobs.path(&digest), b"hello_world").unwrap();
        assert_ne!(blobs.check(&digest).unwrap().unwrap().0, digest);
        assert_eq!(blobs.check(&Digest::of(b"other")).unwrap(), None);
    }

    #[test]
    fn a_content_that_comes_again_leaves_nothing_of_its_first_coming() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::new(folder.path().join("blobs"));
        let mut incoming = blobs.receive().unwrap();
        incoming.write(b"a longer beginning").unwrap();
        incoming.restart().unwrap();
        assert_eq!(incoming.size(), 0);
        incoming.write(b"short").unwrap();
        let (digest, size) = blobs.keep(incoming).unwrap();
        assert_eq!((digest, size), (Digest::of(b"short"), 5));
        assert_eq!(blobs.check(&digest).unwrap(), Some((digest, 5)));
    }

    #[test]
    fn a_content_that_is_not_kept_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::new(folder.path().join("blobs"));
        let mut incoming = blobs.receive().unwrap();
        incoming.write(b"half").unwrap();
        drop(incoming);
        assert_eq!(fs_err::read_dir(folder.path().join("blobs/incoming")).unwrap().count(), 0);
    }
}
