use std::path::{Path, PathBuf};

use super::{Error, Offer};
use crate::ledger::{Checkpoint, Note};
use crate::store::{self, NoteFile, Unusable, write_whole};

/// Copies the checkpoint into the folder, which must be there: a folder that is made where a disk
/// should be mounted would be on the archive's own disk.
pub(super) async fn submit(folder: &Path, offer: Offer<'_>) -> Result<(), Error> {
    let (folder, reader) = (folder.to_owned(), offer.reader.clone());
    let (checkpoint, note, last) = (offer.checkpoint.clone(), offer.note.to_owned(), offer.last);
    // A disk that hangs keeps a thread, and nobody else.
    let copied = tokio::task::spawn_blocking(move || {
        copy(&folder, &checkpoint, &note, last, &|checkpoint| reader.continues(checkpoint))
    });
    copied.await.map_err(|_| Error::Unavailable("the copy was cut off".to_owned()))?
}

fn place(folder: &Path, size: u64) -> PathBuf {
    folder.join(format!("{size:012}.note"))
}

fn copy(
    folder: &Path,
    checkpoint: &Checkpoint,
    note: &str,
    last: Option<u64>,
    continues: &dyn Fn(&Checkpoint) -> Result<(), store::Error>,
) -> Result<(), Error> {
    let shown = folder.display();
    if !folder.is_dir() {
        return Err(Error::Unavailable(format!(
            "there is no folder {shown}: mount the disk, or correct the path in archive.toml"
        )));
    }
    let path = place(folder, checkpoint.size);
    // A mount that came off leaves an empty folder; someone with access to it might empty it, too.
    if let Some(gone) = last.map(|size| place(folder, size)).filter(|path| !path.exists()) {
        return Err(Error::Refused(format!(
            "{} was put there and is gone: mount the disk; if the folder was emptied on purpose, give it another name in archive.toml",
            gone.display()
        )));
    }
    let latest = folder.join("latest.note");
    if latest.exists() {
        newest(&latest, checkpoint, continues)?;
    }
    if path.exists() {
        same(&path, note)?;
    } else {
        write(folder, &path, note)?;
    }
    write(folder, &latest, note)
}

/// Refuses to put a checkpoint beside one that the archive does not continue.
fn newest(
    latest: &Path,
    checkpoint: &Checkpoint,
    continues: &dyn Fn(&Checkpoint) -> Result<(), store::Error>,
) -> Result<(), Error> {
    let shown = latest.display();
    let known = match NoteFile::read(latest).parsed {
        Ok((_, known)) => known,
        Err(Unusable::Unreadable(error)) => return Err(Error::Unavailable(error.to_string())),
        Err(Unusable::Malformed(error)) => {
            return Err(Error::Refused(format!(
                "{shown} is no checkpoint ({error}): look who changed it, then remove it"
            )));
        }
    };
    if known.origin != checkpoint.origin {
        return Err(Error::Refused(format!(
            "{shown} is a checkpoint of another archive, {}: give each archive a folder of its own",
            known.origin
        )));
    }
    if known.size > checkpoint.size {
        return Err(Error::Contradicts(format!(
            "{shown} speaks of {} records and this archive has {}: an older copy of it was put back",
            known.size, checkpoint.size
        )));
    }
    match continues(&known) {
        Err(error) if error.is_integrity() => Err(Error::Contradicts(format!("{shown}: {error}"))),
        other => Ok(other?),
    }
}

/// Refuses to write another checkpoint over one of the same size. One that only has other
/// signatures stays as it is.
fn same(path: &Path, note: &str) -> Result<(), Error> {
    let file = NoteFile::read(path);
    if file.bytes == note.as_bytes() {
        return Ok(());
    }
    let text = Note::parse(note.as_bytes()).map(|note| note.text().to_owned());
    match file.parsed {
        Ok((known, _)) if text.as_deref() == Ok(known.text()) => Ok(()),
        Err(Unusable::Unreadable(error)) => Err(Error::Unavailable(error.to_string())),
        _ => Err(Error::Contradicts(format!(
            "{} is another checkpoint of as many records: nothing was written over it; one of the two histories is false",
            path.display()
        ))),
    }
}

fn write(folder: &Path, path: &Path, note: &str) -> Result<(), Error> {
    write_whole(path, note.as_bytes()).map_err(|error| match error {
        store::Error::DiskFull(_) => Error::Unavailable(format!(
            "the disk of {} is full: the next checkpoint is offered again",
            folder.display()
        )),
        other => Error::Unavailable(format!("can't write to {}: {other}", folder.display())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::SigningKey;
    use crate::model::Digest;

    const ORIGIN: &str = "archive.example/t";

    fn checkpoint(size: u64, root: &str) -> Checkpoint {
        Checkpoint { origin: ORIGIN.to_owned(), size, root: Digest::of(root.as_bytes()) }
    }

    fn signed(checkpoint: &Checkpoint) -> String {
        checkpoint.sign(&SigningKey::new(&checkpoint.origin, [8; 32]).unwrap()).to_string()
    }

    /// Puts the checkpoint of `size` records of an archive whose roots are all called `root`.
    fn put(folder: &Path, size: u64, root: &str, last: Option<u64>) -> Result<(), Error> {
        let checkpoint = checkpoint(size, root);
        let continues = |known: &Checkpoint| {
            let detail = "the records before it give another root".to_owned();
            if known.root == Digest::of(root.as_bytes()) {
                Ok(())
            } else {
                Err(store::Error::Rollback { size: known.size, detail })
            }
        };
        copy(folder, &checkpoint, &signed(&checkpoint), last, &continues)
    }

    #[test]
    fn a_copy_is_written_whole_and_never_over_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        put(path, 5, "a", None).unwrap();
        put(path, 9, "a", Some(5)).unwrap();
        put(path, 9, "a", Some(5)).unwrap();
        for (name, size) in [("000000000005.note", 5), ("000000000009.note", 9), ("latest.note", 9)] {
            assert_eq!(fs_err::read_to_string(path.join(name)).unwrap(), signed(&checkpoint(size, "a")), "{name}");
        }
        fs_err::write(path.join("000000000012.note"), signed(&checkpoint(12, "b"))).unwrap();
        assert!(
            matches!(put(path, 12, "a", Some(9)), Err(Error::Contradicts(text)) if text.contains("000000000012.note"))
        );
        assert_eq!(fs_err::read_to_string(path.join("000000000012.note")).unwrap(), signed(&checkpoint(12, "b")));
    }

    #[test]
    fn a_rollback_and_a_fork_are_told_and_change_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        put(path, 9, "a", None).unwrap();
        for (size, root) in [(8, "a"), (20, "b")] {
            let error = put(path, size, root, None).unwrap_err();
            assert!(error.is_contradiction() && error.to_string().contains("latest.note"), "{error}");
        }
        assert_eq!(fs_err::read_dir(path).unwrap().count(), 2);
    }

    #[test]
    fn a_disk_that_is_not_there_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let absent = folder.path().join("absent");
        assert!(matches!(put(&absent, 5, "a", None), Err(Error::Unavailable(text)) if text.contains("mount")));
        assert!(!absent.exists(), "it is not made");
        // The folder under a mount that came off is empty.
        assert!(matches!(put(folder.path(), 5, "a", Some(4)), Err(Error::Refused(text)) if text.contains("mount")));
        assert_eq!(fs_err::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_is_no_checkpoint_of_this_archive_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let latest = folder.path().join("latest.note");
        fs_err::write(&latest, "nothing").unwrap();
        assert!(
            matches!(put(folder.path(), 5, "a", None), Err(Error::Refused(text)) if text.contains("no checkpoint"))
        );
        let foreign = Checkpoint { origin: "another".to_owned(), ..checkpoint(1, "a") };
        fs_err::write(&latest, signed(&foreign)).unwrap();
        assert!(matches!(put(folder.path(), 5, "a", None), Err(Error::Refused(text)) if text.contains("of its own")));
    }
}
