use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use super::error::Error;
use super::moment::moment;

/// The files of an archive directory (contract, "Names").
#[derive(Debug, Clone)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// For the archive at `root`, which need not exist.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Configuration.
    pub fn config(&self) -> PathBuf {
        self.root.join("archive.toml")
    }

    /// Records, ledger, crawl state.
    pub fn database(&self) -> PathBuf {
        self.root.join("archive.db")
    }

    /// Web accounts, sessions, tokens.
    pub fn access(&self) -> PathBuf {
        self.root.join("access.db")
    }

    /// What was read in files, which can be made anew.
    pub fn derived(&self) -> PathBuf {
        self.root.join("derived.db")
    }

    /// The search index, which can be rebuilt.
    pub fn index(&self) -> PathBuf {
        self.root.join("index")
    }

    /// File contents.
    pub fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    /// Signed checkpoints.
    pub fn checkpoints(&self) -> PathBuf {
        self.root.join("checkpoints")
    }

    /// Takes the lock of the one writer. It is released when the returned value is dropped or the
    /// process ends, however it ends.
    pub fn lock(&self) -> Result<WriteLock, Error> {
        let path = self.root.join("archive.lock");
        let mut file =
            fs_err::OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path)?.into_file();
        match file.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // The holder's note is only a help to the reader: without it the message stands.
                let known = file.read_to_string(&mut holder).is_ok() && !holder.trim().is_empty();
                return Err(Error::Locked { path: self.root.clone(), holder: known.then(|| holder.trim().to_owned()) });
            }
            Err(std::fs::TryLockError::Error(error)) => return Err(error.into()),
        }
        file.set_len(0).and_then(|()| writeln!(file, "process {}", std::process::id())).map_err(at("write", &path))?;
        Ok(WriteLock { file })
    }
}

/// Proof that this process is the one writer.
#[derive(Debug)]
pub struct WriteLock {
    file: File,
}

impl Drop for WriteLock {
    /// Says so to the system: closing the file alone would leave the lock with a child that is just being
    /// started and has not yet closed what it inherited.
    fn drop(&mut self) {
        // What fails here ends with the file being closed, at the latest when that child runs its program.
        self.file.unlock().ok();
    }
}

/// Writes a file so that it is either the old one or the new one, whole, after any crash. What a
/// crash leaves beside it goes with the next write of the same file.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let name = format!(".{}.new", path.file_name().unwrap_or_default().to_string_lossy());
    let leftover = folder.join(&name);
    if leftover.exists() {
        fs_err::remove_file(&leftover)?;
    }
    let mut temporary = tempfile::Builder::new().prefix(&name).rand_bytes(0).tempfile_in(folder)?;
    temporary.write_all(bytes).and_then(|()| temporary.as_file().sync_all()).map_err(at("write", &leftover))?;
    moment(folder, "file written beside its place");
    temporary.persist(path).map_err(|error| at("put in its place", path)(error.error))?;
    moment(folder, "file in its place");
    sync_folder(folder)
}

/// Says with an error of the system what was attempted, and on which file. Its kind stays.
pub(super) fn at(attempted: &str, path: &Path) -> impl FnOnce(std::io::Error) -> std::io::Error {
    move |error| std::io::Error::new(error.kind(), format!("can't {attempted} {}: {error}", path.display()))
}

/// Makes a rename in `folder` durable.
pub(super) fn sync_folder(folder: &Path) -> Result<(), Error> {
    fs_err::File::open(folder)?.sync_all()?;
    Ok(())
}
