//! Folders of signed checkpoints: `checkpoints/` of the archive, and copies that are kept elsewhere.
//!
//! A file's name is taken for no more than an address: what counts is the size that its note speaks
//! of, so that a file that was renamed or copied under another name says what it says.

use std::cmp::Reverse;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::error::Error;
use crate::ledger::{Checkpoint, Note, NoteError, VerifierKey};

/// Longer files are no notes (as `ledger` has it); no more is read of one.
const MAX_NOTE_BYTES: u64 = 1_000_000;
/// So many files are read of those whose names are sizes, largest first, when an archive is opened
/// for writing: ten minutes apart, a week of them.
const NEWEST: usize = 1000;

/// How many files of a folder are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breadth {
    /// Those that can matter to whoever goes on: `latest.note`, all whose names are no sizes, and the
    /// newest thousand of the others.
    Newest,
    /// Every one.
    All,
}

/// A file that should hold a checkpoint.
#[derive(Debug)]
pub struct NoteFile {
    /// Where it lies.
    pub path: PathBuf,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What it says, its signatures not judged; or why it says nothing.
    pub parsed: Result<(Note, Checkpoint), Unusable>,
}

/// Why a file says nothing.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// The disk did not give it.
    #[error("it can't be read: {0}")]
    Unreadable(std::io::Error),
    /// It holds something else.
    #[error("{0}")]
    Malformed(NoteError),
}

impl NoteFile {
    /// Reads one file, whatever its name.
    pub fn read(path: &Path) -> Self {
        let mut bytes = Vec::new();
        let read = fs_err::metadata(path)
            // A pipe would keep whoever opens it.
            .and_then(|meta| {
                if !meta.is_file() {
                    return Err(std::io::Error::other(format!("{} is no file", path.display())));
                }
                fs_err::File::open(path)?.take(MAX_NOTE_BYTES + 1).read_to_end(&mut bytes)
            })
            .map_err(Unusable::Unreadable);
        let parsed = read.and_then(|_| {
            Note::parse(&bytes)
                .and_then(|note| Checkpoint::parse(note.text()).map(|checkpoint| (note, checkpoint)))
                .map_err(Unusable::Malformed)
        });
        Self { path: path.to_owned(), bytes, parsed }
    }

    /// The size that its name promises; `None` for `latest.note` and odd names.
    pub fn named_size(&self) -> Option<u64> {
        named_size(&self.path)
    }
}

/// The size in a name like `000000000120.note`.
fn named_size(path: &Path) -> Option<u64> {
    let stem = path.file_stem()?.to_str()?;
    (stem.len() >= 12 && stem.bytes().all(|byte| byte.is_ascii_digit())).then(|| stem.parse().ok())?
}

/// The files `*.note` of a folder, in the order of their names. One that can't be read is there with
/// the reason; files that begin with a dot are left to whoever made them.
pub fn note_files(folder: &Path, breadth: Breadth) -> Result<Vec<NoteFile>, Error> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in fs_err::read_dir(folder)? {
        let path = entry?.path();
        let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !is_hidden && path.extension().is_some_and(|extension| extension == "note") {
            paths.push(path);
        }
    }
    if breadth == Breadth::Newest {
        let (mut sized, mut chosen): (Vec<_>, Vec<_>) = paths.into_iter().partition(|path| named_size(path).is_some());
        sized.sort_by_key(|path| Reverse(named_size(path)));
        sized.truncate(NEWEST);
        chosen.extend(sized);
        paths = chosen;
    }
    paths.sort();
    Ok(paths.iter().map(|path| NoteFile::read(path)).collect())
}

/// Accepts a note that one of `keys` signed. A signature by any of them that does not match refuses
/// the note whole. Without a key nothing can be said, and nothing is refused.
pub fn signed_by(note: &Note, keys: &[VerifierKey]) -> Result<(), NoteError> {
    let mut missing = None;
    let mut is_signed = keys.is_empty();
    for key in keys {
        match note.verify(key) {
            Ok(()) => is_signed = true,
            Err(error @ NoteError::Unsigned(_)) => missing = missing.or(Some(error)),
            Err(error) => return Err(error),
        }
    }
    match missing {
        Some(error) if !is_signed => Err(error),
        _ => Ok(()),
    }
}

/// Refuses an archive that does not continue the newest checkpoint in `folder`, and any file there
/// that is no checkpoint of this archive, signed by one of `keys`: each is named. `continues` says
/// whether the archive continues a checkpoint.
///
/// # Errors
/// [`Error::Rollback`] when the archive is older or another than a checkpoint, [`Error::BadNote`]
/// for a file that can't be trusted, and what `continues` and the disk give.
pub fn refuse_contradiction(
    folder: &Path,
    origin: &str,
    keys: &[VerifierKey],
    continues: &dyn Fn(&Checkpoint) -> Result<(), Error>,
) -> Result<(), Error> {
    let (mut found, mut unreadable) = (Vec::new(), None);
    for file in note_files(folder, Breadth::Newest)? {
        let NoteFile { path, parsed, .. } = file;
        let bad = |detail: String| Error::BadNote { path: path.clone(), detail };
        let (note, checkpoint) = match parsed {
            Ok(parsed) => parsed,
            // The others may say enough.
            Err(Unusable::Unreadable(error)) => {
                unreadable = unreadable.or(Some(error));
                continue;
            }
            Err(error @ Unusable::Malformed(_)) => return Err(bad(error.to_string())),
        };
        if checkpoint.origin != origin {
            return Err(bad(format!("it is a checkpoint of another archive, {}", checkpoint.origin)));
        }
        // Only who signs in our name has our key; anyone can write down a size.
        signed_by(&note, keys).map_err(|error| bad(error.to_string()))?;
        found.push((path, checkpoint));
    }
    // What continues the largest continues all that it continues; two of one size are both asked.
    let newest = found.iter().map(|(_, checkpoint)| checkpoint.size).max().unwrap_or(0);
    for (path, checkpoint) in found.iter().filter(|(_, checkpoint)| checkpoint.size == newest) {
        continues(checkpoint).map_err(|error| match error {
            Error::Rollback { size, detail } => {
                Error::Rollback { size, detail: format!("{detail}; the checkpoint is {}", path.display()) }
            }
            other => other,
        })?;
    }
    unreadable.map_or(Ok(()), |error| Err(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::SigningKey;
    use crate::model::Digest;
    use crate::store::write_whole;

    const ORIGIN: &str = "archive.example/t";

    fn key() -> SigningKey {
        SigningKey::new(ORIGIN, [8; 32]).unwrap()
    }

    fn signed(size: u64) -> String {
        Checkpoint { origin: ORIGIN.to_owned(), size, root: Digest::of(b"root") }.sign(&key()).to_string()
    }

    /// Whether a tree of 10 records is refused beside these files, and the words.
    fn refusal(files: &[(&str, &str)]) -> Option<Error> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            write_whole(&folder.path().join(name), text.as_bytes()).unwrap();
        }
        let continues = |checkpoint: &Checkpoint| match checkpoint.size {
            0..=10 => Ok(()),
            size => Err(Error::Rollback { size, detail: "only 10 records are here".to_owned() }),
        };
        refuse_contradiction(folder.path(), ORIGIN, &[key().verifier()], &continues).err()
    }

    #[test]
    fn the_newest_note_is_found_under_any_name() {
        assert!(refusal(&[("000000000010.note", &signed(10)), ("latest.note", &signed(10))]).is_none());
        for name in ["000000000020.note", "latest.note", "000000000001.note", "copy of it.note", "a.b.note"] {
            let Some(Error::Rollback { size: 20, detail }) =
                refusal(&[("000000000010.note", &signed(10)), (name, &signed(20))])
            else {
                panic!("{name} was not looked at")
            };
            assert!(detail.contains(name), "{detail}");
        }
    }

    #[test]
    fn a_file_that_is_no_checkpoint_of_ours_is_named() {
        let other = SigningKey::new("another", [9; 32]).unwrap();
        let foreign = Checkpoint { origin: "another".to_owned(), size: 3, root: Digest::of(b"") }.sign(&other);
        let forged = Checkpoint { origin: ORIGIN.to_owned(), size: 3, root: Digest::of(b"") };
        let forged = SigningKey::new(ORIGIN, [1; 32]).unwrap().sign(&forged.to_text()).to_string();
        let changed = signed(3).replace("\n3\n", "\n4\n");
        for (text, word) in [
            ("", "no signatures"),
            (&signed(3)[..40], "not a signed note"),
            (&foreign.to_string(), "another archive"),
            (&forged, "no signature"),
            (&changed, "does not match"),
        ] {
            let Some(Error::BadNote { path, detail }) =
                refusal(&[("000000000003.note", text), ("latest.note", &signed(10))])
            else {
                panic!("{text:?} was accepted")
            };
            assert!(path.ends_with("000000000003.note") && detail.contains(word), "{detail}");
        }
        assert!(refusal(&[("notes.txt", "mine"), (".0.note.new", "half"), (".hidden.note", "")]).is_none());
    }

    #[test]
    fn what_cannot_be_read_hides_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let outcome = |known: u64| {
            refuse_contradiction(folder.path(), ORIGIN, &[key().verifier()], &|checkpoint| match checkpoint.size {
                size if size > known => Err(Error::Rollback { size, detail: String::new() }),
                _ => Ok(()),
            })
        };
        fs_err::create_dir(folder.path().join("000000000030.note")).unwrap();
        write_whole(&folder.path().join("000000000020.note"), signed(20).as_bytes()).unwrap();
        assert!(matches!(outcome(10), Err(Error::Rollback { size: 20, .. })));
        assert!(matches!(outcome(20), Err(Error::Io(_))));
    }

    #[test]
    fn a_note_signed_by_one_of_several_keys_is_accepted() {
        let (old, new) = (key(), SigningKey::new(ORIGIN, [2; 32]).unwrap());
        let note = Note::parse(signed(1).as_bytes()).unwrap();
        assert_eq!(signed_by(&note, &[new.verifier(), old.verifier()]), Ok(()));
        assert!(matches!(signed_by(&note, &[new.verifier()]), Err(NoteError::Unsigned(_))));
        assert_eq!(signed_by(&note, &[]), Ok(()));
    }
}
