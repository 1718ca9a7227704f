use super::{Check, Finding};
use crate::ledger::{Checkpoint, Note, VerifierKey};
use crate::store::Error;

/// Every checkpoint in the database and in `checkpoints/`: its signature, and that the tree still
/// has its root at its size.
pub(super) fn check(check: &mut Check<'_>, key: Option<&VerifierKey>) -> Result<(), Error> {
    let Some(key) = key else {
        check.find(Finding::new("checkpoint", "the archive names no verification key that can be read"));
        return Ok(());
    };
    let Some(stored) = check.absorb(check.reader.checkpoints())? else { return Ok(()) };
    let mut notes: Vec<(Option<std::path::PathBuf>, Option<u64>, String)> =
        stored.into_iter().map(|(size, note, _)| (None, Some(size), note)).collect();
    let folder = check.reader.layout().checkpoints();
    if folder.exists() {
        let mut paths: Vec<_> = fs_err::read_dir(&folder)?.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "note")) {
            let size = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
            let text = String::from_utf8_lossy(&fs_err::read(&path)?).into_owned();
            notes.push((Some(path), size, text));
        }
    }
    for (path, size, text) in notes {
        let place = |finding: Finding| match &path {
            Some(path) => finding.in_file(path),
            None => finding,
        };
        let parsed = Note::parse(text.as_bytes())
            .and_then(|note| note.verify(key).and_then(|()| Checkpoint::parse(note.text())));
        let checkpoint = match parsed {
            Ok(checkpoint) => checkpoint,
            Err(error) => {
                let finding =
                    Finding::new("checkpoint", format!("the checkpoint of {} records: {error}", size.unwrap_or(0)));
                check.find(place(finding));
                continue;
            }
        };
        if checkpoint.origin != check.reader.archive().origin || size.is_some_and(|size| size != checkpoint.size) {
            check.find(place(
                Finding::new("checkpoint", "it is stored under another size or log than it is for")
                    .instead(size.unwrap_or(0), checkpoint.size),
            ));
            continue;
        }
        check.report.checked.checkpoints += 1;
        if let Err(error) = check.reader.continues(&checkpoint) {
            match error {
                Error::Rollback { .. } | Error::Corrupt { .. } => {
                    check.find(place(
                        Finding::new("checkpoint", error.to_string())
                            .at(checkpoint.size)
                            .instead(checkpoint.root, "another root"),
                    ));
                }
                other => {
                    check.absorb::<()>(Err(other))?;
                }
            }
        }
    }
    covered(check)
}

/// Records that no checkpoint speaks of can be rewritten by anyone who can write the database: that
/// some are newer than the last one is said, that a finished run left none at all is a finding.
fn covered(check: &mut Check<'_>) -> Result<(), Error> {
    let Some(head) = check.absorb(check.reader.head())? else { return Ok(()) };
    let newest = check.absorb(check.reader.newest_checkpoint())?.flatten();
    let beyond = head.saturating_sub(newest.as_ref().map_or(0, |(checkpoint, _, _)| checkpoint.size));
    let has_ended_runs = check.absorb(check.reader.tables())?.is_some_and(|tables| tables.has_ended_runs);
    if newest.is_none() && head > 0 && has_ended_runs {
        check.find(Finding::new(
            "checkpoint",
            format!("{head} records are here and no signed checkpoint speaks of them"),
        ));
    } else if beyond > 0 {
        check.report.notes.push(format!("{beyond} records are newer than the newest signed checkpoint"));
    }
    Ok(())
}
