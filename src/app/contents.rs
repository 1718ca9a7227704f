//! Reads the text of the files that the archive holds, once each, in confined children.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::{Archive, Error};
use crate::extract::recognize::Patience;
use crate::extract::{Bounds, EXTRACTOR_VERSION, Extracted, Extractor, Recognizer};
use crate::model::{Digest, json};
use crate::record::Kind;
use crate::store::{self, Blobs, Derived, DerivedReader, NewResult, Reader};

/// Children at once. Each may use a core and a gibibyte.
const AT_ONCE: usize = 2;

/// A file to read: where its bytes are, and what the server called them.
struct Unread {
    digest: Digest,
    path: PathBuf,
    name: String,
    mime: String,
}

/// Reads what nobody has read yet, or what an older version of the readers read, with `program` as the
/// children, and says how many files it read. What a file holds can fail; that is a result, too, and kept. The
/// caller holds the writer's lock. `progress` is told how many of how many.
pub(super) fn read_contents(
    archive: &Archive,
    program: &Path,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<u64, Error> {
    let unread = unread(archive)?;
    if unread.is_empty() {
        return Ok(0);
    }
    let settings = &archive.config.extract;
    let recognizer =
        settings.recognize.then(|| Recognizer::find(&settings.tesseract, program, Patience::default())).flatten();
    let bounds = Bounds { wall: Duration::from_secs(settings.seconds), ..Bounds::default() };
    let extractor = Extractor::new(program.to_owned(), bounds, recognizer);
    let derived = Mutex::new(Derived::open(&archive.layout, &archive.clock)?);
    let next = AtomicUsize::new(0);
    let done = AtomicUsize::new(0);
    let failed: Mutex<Option<Error>> = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(unread.len()) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(file) = unread.get(at) else { return };
                    let outcome = extractor
                        .extract(&file.path, &file.name, &file.mime)
                        .map_err(Error::from)
                        .and_then(|found| keep(&derived, file, &found));
                    if let Err(error) = outcome {
                        next.store(unread.len(), Ordering::Relaxed);
                        *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                        return;
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    let done = done.into_inner() as u64;
    progress(done, unread.len() as u64);
    match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(done),
    }
}

fn keep(derived: &Mutex<Derived>, file: &Unread, found: &Extracted) -> Result<(), Error> {
    let mut derived = derived.lock().unwrap_or_else(PoisonError::into_inner);
    derived.put(&NewResult {
        digest: file.digest,
        status: found.status.as_str(),
        engine: &found.engine,
        version: found.version,
        text: &found.text,
        detail: found.detail.as_deref(),
        charset: found.charset.as_deref(),
        pages: found.pages,
        is_truncated: found.is_truncated,
        thumbnail: found.thumbnail.as_deref(),
    })?;
    Ok(())
}

/// The files whose bytes are here and that no reader of this version has read.
fn unread(archive: &Archive) -> Result<Vec<Unread>, Error> {
    let known = || match DerivedReader::open(&archive.layout)? {
        Some(derived) => derived.read_by(EXTRACTOR_VERSION),
        None => Ok(HashSet::new()),
    };
    let known: HashSet<Digest> = match known() {
        // It is no evidence: what was in it is read again.
        Err(store::Error::Damaged { .. }) => {
            Derived::discard(&archive.layout)?;
            HashSet::new()
        }
        other => other?,
    };
    let wanted: Vec<Digest> = archive
        .reader
        .blobs()?
        .into_iter()
        .map(|(digest, _)| digest)
        .filter(|digest| !known.contains(digest))
        .collect();
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let names = names(&archive.reader, &wanted.iter().copied().collect())?;
    let blobs = Blobs::new(archive.layout.blobs());
    Ok(wanted
        .into_iter()
        // What no file record names is no file's content.
        .filter_map(|digest| {
            let (name, mime) = names.get(&digest)?.clone();
            Some(Unread { digest, path: blobs.path(&digest), name, mime })
        })
        .filter(|file| Path::exists(&file.path))
        .collect())
}

/// Name and type of files, by what they hold.
fn names(reader: &Reader, wanted: &HashSet<Digest>) -> Result<HashMap<Digest, (String, String)>, Error> {
    let mut out = HashMap::new();
    for (key, _) in reader.newest(Kind::File)? {
        for row in reader.versions(Kind::File, store::FIRST_SOURCE, None, &key)? {
            let record = reader.record(row.seq)?;
            for digest in record.header.attachment_digests().into_iter().filter(|digest| wanted.contains(digest)) {
                let value = json::parse(&record.body).unwrap_or_default();
                let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
                out.insert(digest, (text("name"), text("mimetype")));
            }
        }
    }
    Ok(out)
}
