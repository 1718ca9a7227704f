use std::collections::HashMap;

use super::{Check, Depth, Finding, Report};
use crate::anchor::{self, Destination, Evidence, Sink};
use crate::ledger::{Checkpoint, Note, VerifierKey};
use crate::store::{Breadth, Error, NoteFile, Reader, note_files, signed_by};

/// Adds to a report what the keepers of checkpoints say: that the archive continues every copy in
/// the folders, that no copy is gone, and that each kept cosignature and time-stamp is of a checkpoint
/// that is here. A folder that is not there is a note, not a finding: disks are taken off.
pub fn anchors(
    reader: &Reader,
    sinks: &[Sink],
    keys: &[VerifierKey],
    depth: Depth,
    report: Report,
) -> Result<Report, Error> {
    let mut check = Check { reader, report };
    let Some(stored) = check.absorb(reader.checkpoints())? else { return Ok(check.report) };
    let stored: HashMap<u64, String> = stored.into_iter().map(|(size, note, _)| (size, note)).collect();
    let Some(rows) = check.absorb(reader.anchored())? else { return Ok(check.report) };
    let mut unknown = Vec::new();
    for row in &rows {
        let Some(note) = stored.get(&row.size) else {
            let detail = format!("{} answered to a checkpoint that is not here", row.sink);
            check.find(Finding::new("anchor", detail).instead(format!("a checkpoint of {} records", row.size), "none"));
            continue;
        };
        match anchor::judge(sinks, row, note) {
            Evidence::Right => check.report.checked.anchors += 1,
            Evidence::Unknown(words) if unknown.contains(&words) => {}
            Evidence::Unknown(words) => unknown.push(words),
            Evidence::Wrong(detail) => check.find(
                Finding::new(
                    "anchor",
                    format!(
                        "what {} answered to the checkpoint of {} records is not right: {detail}",
                        row.sink, row.size
                    ),
                )
                .instead("an answer to this checkpoint", "something else"),
            ),
        }
    }
    check.report.notes.append(&mut unknown);
    for sink in sinks {
        if let Destination::Folder(folder) = &sink.destination {
            let put: Vec<u64> = rows.iter().filter(|row| row.sink == sink.id()).map(|row| row.size).collect();
            copies(&mut check, sink, folder, keys, depth, &put)?;
        }
    }
    check.report.ok = check.report.findings.is_empty();
    Ok(check.report)
}

/// One folder of copies. `put` are the sizes of the checkpoints that were put there.
fn copies(
    check: &mut Check<'_>,
    sink: &Sink,
    folder: &std::path::Path,
    keys: &[VerifierKey],
    depth: Depth,
    put: &[u64],
) -> Result<(), Error> {
    let breadth = if depth == Depth::Full { Breadth::All } else { Breadth::Newest };
    let files = match note_files(folder, breadth) {
        Ok(files) => files,
        Err(Error::Io(error)) => {
            let words = format!("the checkpoints kept in the folder {} were not compared: {error}", sink.name);
            check.report.notes.push(words);
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    for file in &files {
        let misnamed = match (&file.parsed, file.named_size()) {
            (Ok((_, checkpoint)), Some(named)) if named != checkpoint.size => Some((named, checkpoint.size)),
            _ => None,
        };
        if let Some((named, size)) = misnamed {
            check.find(
                Finding::new("anchor", "the copy lies under another size than it is for")
                    .in_file(&file.path)
                    .instead(named, size),
            );
        }
        compare(check, "anchor", file, keys)?;
    }
    let gone: Vec<u64> = put.iter().copied().filter(|size| !folder.join(format!("{size:012}.note")).exists()).collect();
    if let Some(newest) = gone.last() {
        check.find(
            Finding::new(
                "anchor",
                format!(
                    "{} of {} copies that were put into the folder {} are gone, the newest of them that of {newest} records: mount the disk, or find out who removed them",
                    gone.len(),
                    put.len(),
                    sink.name
                ),
            )
            .in_file(folder)
            .instead(format!("{newest:012}.note"), "nothing"),
        );
    }
    Ok(())
}

/// Adds to a report what checkpoints say that someone has kept elsewhere: each must be a checkpoint
/// of this archive, signed by one of `keys`, that the archive continues.
pub fn outside(reader: &Reader, files: &[NoteFile], keys: &[VerifierKey], report: Report) -> Result<Report, Error> {
    let mut check = Check { reader, report };
    for file in files {
        compare(&mut check, "checkpoint", file, keys)?;
    }
    check.report.ok = check.report.findings.is_empty();
    Ok(check.report)
}

/// Holds the archive against one file.
fn compare(check: &mut Check<'_>, kind: &'static str, file: &NoteFile, keys: &[VerifierKey]) -> Result<(), Error> {
    let find = |check: &mut Check<'_>, finding: Finding| check.find(finding.in_file(&file.path));
    let own = &check.reader.archive().origin;
    let (note, checkpoint) = match &file.parsed {
        Ok(parsed) => parsed,
        Err(error) => {
            let finding = Finding::new(kind, format!("it is no checkpoint: {error}"));
            find(check, finding.instead("a signed checkpoint of this archive", "something else"));
            return Ok(());
        }
    };
    if checkpoint.origin != *own {
        let finding = Finding::new(kind, format!("it is a checkpoint of another archive, {}", checkpoint.origin));
        find(check, finding.instead(own, &checkpoint.origin));
        return Ok(());
    }
    if let Some(finding) = unsigned(kind, note, keys) {
        find(check, finding);
        return Ok(());
    }
    let Some(head) = check.absorb(check.reader.head())? else { return Ok(()) };
    let size = checkpoint.size;
    if size > head {
        let detail = format!(
            "it speaks of {size} records and only {head} are here: newer ones were lost, or an older copy of the archive was put back"
        );
        find(check, Finding::new(kind, detail).instead(format!("{size} records or more"), format!("{head} records")));
        return Ok(());
    }
    match check.reader.root(size) {
        Ok(root) if root == checkpoint.root => {
            let count = if kind == "anchor" {
                &mut check.report.checked.anchors
            } else {
                &mut check.report.checked.checkpoints
            };
            *count += 1;
        }
        Ok(root) => find(check, forked(kind, checkpoint).instead(checkpoint.root, root)),
        Err(Error::Corrupt { detail, .. }) => {
            let finding = Finding::new(kind, format!("the root of its {size} records can't be computed: {detail}"));
            find(check, finding.instead(checkpoint.root, "no root"));
        }
        Err(error) => {
            check.absorb::<()>(Err(error))?;
        }
    }
    Ok(())
}

fn forked(kind: &'static str, checkpoint: &Checkpoint) -> Finding {
    Finding::new(
        kind,
        format!(
            "the first {} records here give another root: something among them was changed, added or removed after it was signed",
            checkpoint.size
        ),
    )
}

fn unsigned(kind: &'static str, note: &Note, keys: &[VerifierKey]) -> Option<Finding> {
    let error = signed_by(note, keys).err()?;
    let expected = keys.iter().map(|key| format!("{}+{}", key.name(), key.id())).collect::<Vec<_>>().join(" or ");
    Some(Finding::new(kind, error.to_string()).instead(format!("a signature by {expected}"), "none that is right"))
}
