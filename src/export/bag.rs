//! A BagIt bag (RFC 8493) that is written once, from front to back, and taken up again where it was cut off.
//!
//! Until it is whole it lies in a directory whose name ends in `.partial` and has no `bagit.txt`: nothing
//! takes it for a bag. It gets that file, its tag manifest and its name last.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, Read as _, Seek as _, Write};
use std::path::{Path, PathBuf};

use md5::Md5;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

use super::Error;
use crate::model::Digest;

/// The manifest of `data/`.
const MANIFEST: &str = "manifest-sha256.txt";
/// The manifest of everything else.
const TAG_MANIFEST: &str = "tagmanifest-sha256.txt";
/// What a run that goes on needs; no part of the bag.
pub(super) const WORK: &str = "work/";

/// A file of the payload while it is written.
pub(super) struct NewFile {
    path: String,
    place: PathBuf,
    file: BufWriter<File>,
    sha256: Sha256,
    md5: Option<Md5>,
    size: u64,
}

/// A file of the payload that is written.
#[derive(Debug, Clone)]
pub(super) struct Written {
    pub(super) sha256: Digest,
    pub(super) md5: Option<String>,
    pub(super) size: u64,
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.sha256.update(&bytes[..written]);
        if let Some(md5) = &mut self.md5 {
            md5.update(&bytes[..written]);
        }
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

impl NewFile {
    /// Bytes so far.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// SHA-256 of what was written so far, which is handed to the system.
    pub(super) fn check(&mut self) -> Result<Digest, Error> {
        self.file.flush().map_err(Error::file("write", self.place.clone()))?;
        Ok(Digest(self.sha256.clone().finalize().into()))
    }

    /// For `map_err` on what is written to it.
    pub(super) fn error(&self) -> impl FnOnce(std::io::Error) -> Error + use<> {
        Error::file("write", self.place.clone())
    }
}

/// How far a bag was written: of each file that grows the length, and the SHA-256 of what was in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Lengths(BTreeMap<String, (u64, String)>);

/// A bag while it is written.
pub(super) struct Bag {
    target: PathBuf,
    partial: PathBuf,
    /// Held while the bag is written: two runs never write one.
    _lock: File,
    manifest: BufWriter<File>,
    manifest_hash: Sha256,
    manifest_bytes: u64,
    /// A run that was cut off may have left files that this one does not write again.
    is_resumed: bool,
    growing: BTreeMap<String, NewFile>,
    payload_bytes: u64,
    payload_files: u64,
}

impl Bag {
    /// Where a bag for `target` lies until it is whole.
    pub(super) fn partial(target: &Path) -> PathBuf {
        let mut name = target.file_name().unwrap_or_default().to_os_string();
        name.push(".partial");
        target.with_file_name(name)
    }

    /// Where the report of a bag lies that is whole and was handed over, until it has its name.
    pub(super) fn done(target: &Path) -> PathBuf {
        Self::partial(target).with_extension("partial.done")
    }

    /// Takes the folder in which a bag for `target` is written, for this run alone.
    pub(super) fn take(target: &Path) -> Result<File, Error> {
        let partial = Self::partial(target);
        fs_err::create_dir_all(&partial).map_err(Error::file("make", &partial))?;
        lock(&partial)
    }

    /// Begins a bag.
    pub(super) fn begin(target: &Path, lock: File) -> Result<Self, Error> {
        let partial = Self::partial(target);
        drop_tags(&partial)?;
        for folder in [&partial.join("data"), &partial.join("proofs")] {
            fs_err::create_dir_all(folder).map_err(Error::file("make", folder))?;
        }
        let is_resumed = partial.join(MANIFEST).exists();
        Self::open(target, partial, lock, 0, is_resumed)
    }

    fn open(target: &Path, partial: PathBuf, lock: File, bytes: u64, is_resumed: bool) -> Result<Self, Error> {
        let path = partial.join(MANIFEST);
        let manifest = cut_to(&path, bytes)?;
        Ok(Self {
            target: target.to_owned(),
            partial,
            _lock: lock,
            manifest: BufWriter::new(manifest),
            manifest_hash: Sha256::new(),
            manifest_bytes: bytes,
            is_resumed,
            growing: BTreeMap::new(),
            payload_bytes: 0,
            payload_files: 0,
        })
    }

    /// Goes on with a bag that was cut off, from the lengths that were last noted: what was written after
    /// them is dropped, and what was written before them is read again.
    pub(super) fn go_on(target: &Path, lock: File, lengths: &Lengths) -> Result<Self, Error> {
        let partial = Self::partial(target);
        drop_tags(&partial)?;
        let (length, digest) = lengths.0.get(MANIFEST).cloned().unwrap_or_default();
        let mut bag = Self::open(target, partial, lock, length, true)?;
        let manifest = bag.partial.join(MANIFEST);
        let listed = fs_err::read_to_string(&manifest).map_err(Error::file("read", &manifest))?;
        if length > 0 && Digest::of(listed.as_bytes()).to_string() != digest {
            return Err(changed(&manifest));
        }
        bag.manifest_hash.update(listed.as_bytes());
        for path in listed.lines().filter_map(|line| line.split_once("  ").map(|(_, path)| path)) {
            let place = bag.partial.join(path);
            bag.payload_bytes += fs_err::metadata(&place).map_err(Error::file("read", &place))?.len();
            bag.payload_files += 1;
        }
        for (path, (length, digest)) in lengths.0.iter().filter(|(path, _)| *path != MANIFEST) {
            let place = bag.partial.join(path);
            let file = cut_to(&place, *length)?;
            let mut grown = NewFile::new(path, place, file, false);
            grown.rehash(*length)?;
            if grown.check()?.to_string() != *digest {
                return Err(changed(&grown.place));
            }
            bag.growing.insert(path.clone(), grown);
        }
        Ok(bag)
    }

    /// A bag that is whole and was handed over, and was cut off before it got its name. The digest is that of
    /// its tag manifest.
    pub(super) fn whole(target: &Path, lock: File, digest: &str) -> Result<Self, Error> {
        let partial = Self::partial(target);
        let tags = partial.join(TAG_MANIFEST);
        if digest_of(&tags)?.to_string() != digest {
            return Err(changed(&tags));
        }
        let length =
            fs_err::metadata(partial.join(MANIFEST)).map_err(Error::file("read", partial.join(MANIFEST)))?.len();
        Self::open(target, partial, lock, length, true)
    }

    /// The directory in which it is written.
    pub(super) fn folder(&self) -> &Path {
        &self.partial
    }

    /// Bytes of the files of `data/` that are written.
    pub(super) fn payload_bytes(&self) -> u64 {
        let growing = self.growing.values().filter(|file| file.path.starts_with("data/"));
        self.payload_bytes + growing.map(NewFile::size).sum::<u64>()
    }

    /// Begins a file of the payload; `path` begins with `data/`.
    pub(super) fn create(&mut self, path: &str, with_md5: bool) -> Result<NewFile, Error> {
        let place = self.partial.join(path);
        if let Some(folder) = place.parent() {
            fs_err::create_dir_all(folder).map_err(Error::file("make", folder))?;
        }
        let file = File::create(&place).map_err(Error::file("write", &place))?;
        Ok(NewFile::new(path, place, file, with_md5))
    }

    /// Ends a file and lists it.
    pub(super) fn list(&mut self, file: NewFile) -> Result<Written, Error> {
        let NewFile { path, place, file, sha256, md5, size } = file;
        file.into_inner().map_err(|error| Error::file("write", &place)(error.into_error()))?;
        let sha256 = Digest(sha256.finalize().into());
        if !path.starts_with("data/") {
            return Ok(Written { sha256, md5: None, size });
        }
        let line = format!("{sha256}  {path}\n");
        self.manifest.write_all(line.as_bytes()).map_err(Error::file("write", self.partial.join(MANIFEST)))?;
        self.manifest_hash.update(line.as_bytes());
        self.manifest_bytes += line.len() as u64;
        self.payload_bytes += size;
        self.payload_files += 1;
        let md5 = md5.map(|md5| md5.finalize().iter().map(|byte| format!("{byte:02x}")).collect());
        Ok(Written { sha256, md5, size })
    }

    /// A file that grows over many units: opened when it is first asked for.
    pub(super) fn growing(&mut self, path: &str) -> Result<&mut NewFile, Error> {
        let file = match self.growing.remove(path) {
            Some(file) => file,
            None => self.create(path, false)?,
        };
        Ok(self.growing.entry(path.to_owned()).or_insert(file))
    }

    /// Ends a file that grew; `None` when it was never begun.
    pub(super) fn grown(&mut self, path: &str) -> Result<Option<Written>, Error> {
        self.growing.remove(path).map(|file| self.list(file)).transpose()
    }

    /// Brings everything to the disk and says how far it goes: what is noted must be there after a loss of power.
    pub(super) fn lengths(&mut self) -> Result<Lengths, Error> {
        self.manifest.flush().map_err(Error::file("write", self.partial.join(MANIFEST)))?;
        let listed = Digest(self.manifest_hash.clone().finalize().into());
        let mut lengths = BTreeMap::from([(MANIFEST.to_owned(), (self.manifest_bytes, listed.to_string()))]);
        for (path, file) in &mut self.growing {
            lengths.insert(path.clone(), (file.size, file.check()?.to_string()));
        }
        self.sync()?;
        Ok(Lengths(lengths))
    }

    /// Ends the bag: lists what is not listed as a problem, writes the tag files that BagIt asks for, syncs
    /// every file. It has its name only after [`Bag::name`]. The digest is that of the tag manifest, which
    /// lists everything else by its own.
    pub(super) fn end(&mut self, info: &[(&str, String)]) -> Result<Digest, Error> {
        let open: Vec<String> = self.growing.keys().cloned().collect();
        for path in open {
            self.grown(&path)?;
        }
        self.manifest.flush().map_err(Error::file("write", self.partial.join(MANIFEST)))?;
        if self.is_resumed {
            self.drop_unlisted()?;
        }
        let mut text = String::new();
        for (name, value) in info {
            text.push_str(&folded(name, value));
        }
        text.push_str(&format!("Payload-Oxum: {}.{}\n", self.payload_bytes, self.payload_files));
        self.tag("bag-info.txt", text.as_bytes())?;
        self.tag("bagit.txt", b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n")?;
        let mut lines = String::new();
        for path in files_but(&self.partial, &["data", "work"])?.into_iter().filter(|path| path != TAG_MANIFEST) {
            let place = self.partial.join(&path);
            lines.push_str(&format!("{}  {path}\n", digest_of(&place)?));
        }
        self.tag(TAG_MANIFEST, lines.as_bytes())?;
        self.sync()?;
        Ok(Digest::of(lines.as_bytes()))
    }

    /// Brings all of it to the disk. One call for the whole disk where the system has it: a set may be a
    /// million files.
    fn sync(&self) -> Result<(), Error> {
        let folder = fs_err::File::open(&self.partial).map_err(Error::file("sync", &self.partial))?;
        #[cfg(target_os = "linux")]
        rustix::fs::syncfs(folder.file()).map_err(|error| Error::file("sync", &self.partial)(error.into()))?;
        #[cfg(not(target_os = "linux"))]
        for path in files_below(&self.partial)? {
            let place = self.partial.join(path);
            fs_err::File::open(&place).and_then(|file| file.sync_all()).map_err(Error::file("sync", &place))?;
        }
        folder.sync_all().map_err(Error::file("sync", &self.partial))
    }

    /// Gives the bag its name. The commit point: from here on it is whole.
    pub(super) fn name(self) -> Result<PathBuf, Error> {
        self.drop_work()?;
        self.is_free()?;
        std::fs::rename(&self.partial, &self.target).map_err(Error::file("name", &self.target))?;
        self.sync_folder()?;
        Ok(self.target)
    }

    /// Packs the bag into a zip, which with a password opens with that only (AES-256, `WinZip`'s AE-2), and gives
    /// that the bag's name. The commit point is the name; then what was packed is removed.
    pub(super) fn pack(self, password: Option<&SecretString>) -> Result<PathBuf, Error> {
        self.drop_work()?;
        let mut name = self.partial.clone().into_os_string();
        name.push(".zip");
        let packed = PathBuf::from(name);
        let inner = self.target.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let file = File::create(&packed).map_err(Error::file("write", &packed))?;
        let mut zip = zip::ZipWriter::new(BufWriter::new(file));
        for path in files_below(&self.partial)? {
            let options = zip::write::SimpleFileOptions::default()
                .compression_method(zip::CompressionMethod::Deflated)
                .large_file(true);
            let options = match password {
                Some(password) => options.with_aes_encryption(zip::AesMode::Aes256, password.expose_secret()),
                None => options,
            };
            let begun = zip.start_file(format!("{inner}/{path}"), options).map_err(std::io::Error::other);
            begun.map_err(Error::file("pack", &packed))?;
            let place = self.partial.join(&path);
            let mut content = fs_err::File::open(&place).map_err(Error::file("read", &place))?;
            std::io::copy(&mut content, &mut zip).map_err(Error::file("pack", &packed))?;
        }
        let done = zip.finish().map_err(std::io::Error::other).and_then(|mut out| {
            out.flush()?;
            out.get_ref().sync_all()
        });
        done.map_err(Error::file("pack", &packed))?;
        self.is_free()?;
        std::fs::rename(&packed, &self.target).map_err(Error::file("name", &self.target))?;
        self.sync_folder()?;
        fs_err::remove_dir_all(&self.partial).map_err(Error::file("remove", &self.partial))?;
        Ok(self.target)
    }

    /// Removes what only a run that goes on needs. The bag is whole by then, and what is left to do with it is
    /// noted elsewhere.
    fn drop_work(&self) -> Result<(), Error> {
        let work = self.partial.join(WORK);
        match std::fs::remove_dir_all(&work) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::file("remove", &work)(error)),
            _ => Ok(()),
        }
    }

    /// Nothing got that name while the bag was made.
    fn is_free(&self) -> Result<(), Error> {
        let is_taken = std::fs::symlink_metadata(&self.target).is_ok();
        if is_taken { Err(Error::Exists(self.target.clone())) } else { Ok(()) }
    }

    fn sync_folder(&self) -> Result<(), Error> {
        let folder = self.target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs_err::File::open(folder).and_then(|folder| folder.sync_all()).map_err(Error::file("sync", folder))
    }

    /// Writes a tag file.
    pub(super) fn tag(&mut self, path: &str, bytes: &[u8]) -> Result<(), Error> {
        let place = self.partial.join(path);
        if let Some(folder) = place.parent() {
            fs_err::create_dir_all(folder).map_err(Error::file("make", folder))?;
        }
        fs_err::write(&place, bytes).map_err(Error::file("write", &place))
    }

    /// Removes files of `data/` that a run which was cut off left behind and this one did not write again.
    fn drop_unlisted(&self) -> Result<(), Error> {
        let manifest = self.partial.join(MANIFEST);
        let listed = fs_err::read_to_string(&manifest).map_err(Error::file("read", &manifest))?;
        let mut listed: Vec<&str> =
            listed.lines().filter_map(|line| line.split_once("  ").map(|(_, path)| path)).collect();
        listed.sort_unstable();
        for path in files_but(&self.partial, &["proofs", "work"])?.into_iter().filter(|path| path.starts_with("data/"))
        {
            if listed.binary_search(&path.as_str()).is_err() {
                let place = self.partial.join(path);
                fs_err::remove_file(&place).map_err(Error::file("remove", &place))?;
            }
        }
        Ok(())
    }
}

impl NewFile {
    fn new(path: &str, place: PathBuf, file: File, with_md5: bool) -> Self {
        let md5 = with_md5.then(Md5::new);
        Self {
            path: path.to_owned(),
            place,
            file: BufWriter::with_capacity(1 << 16, file),
            sha256: Sha256::new(),
            md5,
            size: 0,
        }
    }

    /// Reads what is there already.
    fn rehash(&mut self, length: u64) -> Result<(), Error> {
        let file = fs_err::File::open(&self.place).map_err(Error::file("read", &self.place))?;
        let mut reader = BufReader::new(file).take(length);
        let mut piece = vec![0; 1 << 16];
        loop {
            let read = reader.read(&mut piece).map_err(Error::file("read", &self.place))?;
            if read == 0 {
                break;
            }
            self.sha256.update(&piece[..read]);
            self.size += read as u64;
        }
        Ok(())
    }
}

/// Opens a file to go on after `length` bytes, and drops what comes after them.
fn cut_to(path: &Path, length: u64) -> Result<File, Error> {
    let open = || -> std::io::Result<File> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
        if file.metadata()?.len() < length {
            return Err(std::io::Error::other("it is shorter than it was"));
        }
        file.set_len(length)?;
        file.seek(std::io::SeekFrom::End(0))?;
        Ok(file)
    };
    open().map_err(Error::file("go on with", path))
}

/// A line of `bag-info.txt`, its breaks folded (RFC 8493, section 2.2.2).
fn folded(name: &str, value: &str) -> String {
    let value = value.split(['\r', '\n']).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n  ");
    format!("{name}: {value}\n")
}

/// SHA-256 of a file.
pub(super) fn digest_of(path: &Path) -> Result<Digest, Error> {
    let mut hash = Sha256::new();
    let mut file = fs_err::File::open(path).map_err(Error::file("read", path))?;
    let mut piece = vec![0; 1 << 16];
    loop {
        match file.read(&mut piece).map_err(Error::file("read", path))? {
            0 => return Ok(Digest(hash.finalize().into())),
            read => hash.update(&piece[..read]),
        }
    }
}

/// SHA-256 of a set that is a file.
pub fn file_digest(path: &Path) -> Result<Digest, Error> {
    digest_of(path)
}

/// Reads a tag file of a set that is packed without a password. They are small.
pub fn read_from_zip(path: &Path, name: &str) -> Result<Vec<u8>, Error> {
    const MOST: u64 = 256 << 20;
    let wrong = |error: zip::result::ZipError| Error::file("read", path)(std::io::Error::other(error));
    let file = fs_err::File::open(path).map_err(Error::file("read", path))?;
    let mut zip = zip::ZipArchive::new(BufReader::new(file)).map_err(wrong)?;
    let inner = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let entry = zip.by_name(&format!("{inner}/{name}")).map_err(wrong)?;
    let mut out = Vec::new();
    entry.take(MOST).read_to_end(&mut out).map_err(Error::file("read", path))?;
    Ok(out)
}

/// All files below a folder, with slashes, sorted.
pub(super) fn files_below(folder: &Path) -> Result<Vec<String>, Error> {
    files_but(folder, &[])
}

/// All files below a folder but those below some of its own folders.
fn files_but(folder: &Path, without: &[&str]) -> Result<Vec<String>, Error> {
    let mut out = Vec::new();
    let mut open = vec![(folder.to_owned(), String::new())];
    while let Some((at, prefix)) = open.pop() {
        for entry in fs_err::read_dir(&at).map_err(Error::file("list", &at))? {
            let entry = entry.map_err(Error::file("list", &at))?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if !entry.file_type().map_err(Error::file("list", &at))?.is_dir() {
                out.push(name);
            } else if !without.contains(&name.as_str()) {
                open.push((entry.path(), format!("{name}/")));
            }
        }
    }
    out.sort_unstable();
    Ok(out)
}

/// Takes the folder of an unfinished bag for this run alone.
fn lock(partial: &Path) -> Result<File, Error> {
    let folder = fs_err::File::open(partial).map_err(Error::file("open", partial))?.into_parts().0;
    match folder.try_lock() {
        Ok(()) => Ok(folder),
        Err(std::fs::TryLockError::WouldBlock) => Err(Error::Busy(partial.to_owned())),
        Err(std::fs::TryLockError::Error(error)) => Err(Error::file("lock", partial)(error)),
    }
}

/// Should it have been cut off just before it got its name: it is no bag again.
fn drop_tags(partial: &Path) -> Result<(), Error> {
    for name in ["bagit.txt", TAG_MANIFEST] {
        match std::fs::remove_file(partial.join(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::file("remove", partial.join(name))(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// What was written before the run was cut off is another now.
fn changed(place: &Path) -> Error {
    Error::file("go on with", place)(std::io::Error::other("it is not what was written before the run was cut off"))
}
