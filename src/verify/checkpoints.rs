use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::{Check, Finding};
use crate::ledger::{Checkpoint, Note, NoteError, VerifierKey};
use crate::record::Reason;
use crate::store::Error;

/// A change from one signing key to another, as a record tells it.
struct KeyChange {
    /// The record.
    seq: u64,
    from: VerifierKey,
    to: VerifierKey,
    reason: Reason,
}

/// The keys that the archive names: its first, and each that took over.
struct Succession {
    first: VerifierKey,
    changes: Vec<KeyChange>,
}

impl Succession {
    /// The key in force when the tree had `size` records.
    fn at(&self, size: u64) -> &VerifierKey {
        self.changes.iter().rev().find(|change| change.seq < size).map_or(&self.first, |change| &change.to)
    }

    fn names(&self, key: &VerifierKey) -> bool {
        self.first == *key || self.changes.iter().any(|change| change.to == *key)
    }
}

/// A checkpoint that the tree continues, and who signed it.
struct Signed {
    path: Option<PathBuf>,
    size: u64,
    signers: Vec<VerifierKey>,
}

/// What the archive says of its keys. Its own word: what of it is trusted is decided by signatures.
fn succession(check: &mut Check<'_>) -> Result<Option<Succession>, Error> {
    let Ok(first) = VerifierKey::parse(&check.reader.archive().vkey) else {
        check.find(Finding::new("checkpoint", "the archive names no verification key that can be read"));
        return Ok(None);
    };
    let mut changes: Vec<KeyChange> = Vec::new();
    for own in check.absorb(check.reader.own_records())?.unwrap_or_default() {
        let seq = own.seq.0;
        let Ok(to) = VerifierKey::parse(&own.note.vkey) else {
            check.find(Finding::new("archive", "it names no verification key that can be read").at(seq));
            continue;
        };
        let from = changes.last().map_or(&first, |change| &change.to).clone();
        let previous = own.note.previous.filter(|previous| previous.vkey == from.to_text());
        if to == from {
            continue;
        }
        let reason = if let Some(previous) = previous {
            previous.reason
        } else {
            check.find(
                Finding::new("archive", "it names another verification key than was in force, and no change of it")
                    .at(seq)
                    .instead(from.to_text(), to.to_text()),
            );
            // Nothing is said that would extend trust.
            Reason::Lost
        };
        changes.push(KeyChange { seq, from, to, reason });
    }
    Ok(Some(Succession { first, changes }))
}

/// Every checkpoint in the database and in `checkpoints/`: its signatures, that the tree still has
/// its root at its size, and that it is signed by the key that was in force then. `pinned` is a key
/// that is trusted; its trust reaches other keys only by what it or they signed:
///
/// - forward, from a key to the one that took over from it, when a checkpoint that covers the record
///   of the change is signed by the earlier key, too; never when the record says that it was lost;
/// - backward, to the key before, when a checkpoint that covers the record is signed by a trusted
///   key: its keeper vouches for what the tree says of its beginnings.
pub(super) fn check(check: &mut Check<'_>, pinned: Option<&VerifierKey>) -> Result<(), Error> {
    let Some(succession) = succession(check)? else { return covered(check) };
    let mut known = vec![succession.first.clone()];
    known.extend(succession.changes.iter().map(|change| change.to.clone()));
    known.extend(pinned.cloned());
    known.dedup();
    let signed = signed(check, &succession, &known)?;
    let trusted = match pinned {
        // The archive's own word is all there is.
        None => known,
        Some(pinned) => trust(&succession, pinned, &signed),
    };
    if let Some(pinned) = pinned.filter(|pinned| !succession.names(pinned)) {
        check.find(
            Finding::new("checkpoint", "the archive names another verification key than the one that is trusted")
                .instead(pinned.to_text(), succession.at(u64::MAX).to_text()),
        );
    }
    judge(check, &succession, &signed, &trusted);
    check.report.accepted = trusted;
    covered(check)
}

/// The checkpoints that are well formed, that some known key signed, and that the tree continues;
/// findings of all others.
fn signed(check: &mut Check<'_>, succession: &Succession, known: &[VerifierKey]) -> Result<Vec<Signed>, Error> {
    let Some(stored) = check.absorb(check.reader.checkpoints())? else { return Ok(Vec::new()) };
    let mut notes: Vec<(Option<PathBuf>, Option<u64>, String)> =
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
    let mut out = Vec::new();
    // Records that can't be read, and the sizes of the checkpoints whose roots can't be computed without them.
    let mut unread: BTreeMap<(u64, String), BTreeSet<u64>> = BTreeMap::new();
    for (path, size, text) in notes {
        let place = |finding: Finding| match &path {
            Some(path) => finding.in_file(path),
            None => finding,
        };
        let (checkpoint, signers) = match signers(&text, succession, known) {
            Ok(found) => found,
            Err(error) => {
                let detail = match size {
                    Some(size) => format!("the checkpoint of {size} records: {error}"),
                    // `latest.note` is called by no size.
                    None => format!("the checkpoint in this file: {error}"),
                };
                check.find(place(Finding::new("checkpoint", detail)));
                continue;
            }
        };
        let origin = &check.reader.archive().origin;
        if checkpoint.origin != *origin {
            let finding = Finding::new("checkpoint", "it is of another log").instead(origin, &checkpoint.origin);
            check.find(place(finding));
            continue;
        }
        if let Some(size) = size.filter(|size| *size != checkpoint.size) {
            let finding = Finding::new("checkpoint", "it is stored under another size than it is for");
            check.find(place(finding.instead(size, checkpoint.size)));
            continue;
        }
        match check.reader.continues(&checkpoint) {
            Ok(()) => out.push(Signed { path, size: checkpoint.size, signers }),
            // It is not the checkpoint that is wrong: of what it covers something can't be read.
            Err(Error::Corrupt { seq, detail }) => {
                unread.entry((seq.0, detail)).or_default().insert(checkpoint.size);
            }
            Err(error @ Error::Rollback { .. }) => {
                check.find(place(
                    Finding::new("checkpoint", error.to_string())
                        .at(checkpoint.size)
                        .instead(checkpoint.root, "another root"),
                ));
            }
            Err(other) => drop(check.absorb::<()>(Err(other))?),
        }
    }
    for ((seq, detail), sizes) in unread {
        check.find(Finding::new("block", detail).at(seq));
        let (least, most) = (sizes.first().copied().unwrap_or(0), sizes.last().copied().unwrap_or(0));
        let which = match sizes.len() {
            1 => format!("the checkpoint of {most} records can't be checked"),
            count => format!("{count} checkpoints of {least} to {most} records can't be checked"),
        };
        check.find(Finding::new("checkpoint", format!("{which}: record {seq} can't be read")).at(seq));
    }
    Ok(out)
}

/// A checkpoint and which of the known keys signed it; one at least. A signature by any of them that
/// does not match refuses it whole.
fn signers(
    text: &str,
    succession: &Succession,
    known: &[VerifierKey],
) -> Result<(Checkpoint, Vec<VerifierKey>), NoteError> {
    let note = Note::parse(text.as_bytes())?;
    let mut signers = Vec::new();
    for key in known {
        match note.verify(key) {
            Ok(()) => signers.push(key.clone()),
            Err(NoteError::Unsigned(_)) => {}
            Err(error) => return Err(error),
        }
    }
    let checkpoint = Checkpoint::parse(note.text())?;
    if signers.is_empty() {
        note.verify(succession.at(checkpoint.size))?;
    }
    Ok((checkpoint, signers))
}

/// The keys that are trusted when `pinned` is.
fn trust(succession: &Succession, pinned: &VerifierKey, signed: &[Signed]) -> Vec<VerifierKey> {
    let mut trusted = vec![pinned.clone()];
    let covers = |seq: u64, signer: &dyn Fn(&VerifierKey) -> bool| {
        signed.iter().any(|signed| signed.size > seq && signed.signers.iter().any(signer))
    };
    for change in &succession.changes {
        let is_signed_for = covers(change.seq, &|key| *key == change.from);
        if change.reason == Reason::Rotated && trusted.contains(&change.from) && is_signed_for {
            trusted.push(change.to.clone());
        }
    }
    for change in succession.changes.iter().rev() {
        if trusted.contains(&change.to) && covers(change.seq, &|key| trusted.contains(key)) {
            trusted.push(change.from.clone());
        }
    }
    trusted
}

/// Holds each checkpoint against the key that was in force, and that against those that are trusted.
fn judge(check: &mut Check<'_>, succession: &Succession, signed: &[Signed], trusted: &[VerifierKey]) {
    // Checkpoints under each key in force that is not trusted: how many, and the newest.
    let mut foreign: Vec<(VerifierKey, usize, u64)> = Vec::new();
    for note in signed {
        let due = succession.at(note.size);
        if !note.signers.contains(due) {
            let ids: Vec<String> = note.signers.iter().map(VerifierKey::id).collect();
            let detail = format!(
                "the checkpoint of {} records is not signed by the key that was in force then, {}",
                note.size,
                due.id()
            );
            let finding =
                Finding::new("checkpoint", detail).instead(due.to_text(), format!("signed by {}", ids.join(", ")));
            check.find(match &note.path {
                Some(path) => finding.in_file(path),
                None => finding,
            });
        } else if trusted.contains(due) {
            check.report.checked.checkpoints += 1;
        } else if let Some((_, count, newest)) = foreign.iter_mut().find(|(key, _, _)| key == due) {
            *count += 1;
            *newest = note.size.max(*newest);
        } else {
            foreign.push((due.clone(), 1, note.size));
        }
    }
    for (key, count, newest) in foreign {
        let change = succession.changes.iter().rev().find(|change| change.to == key);
        let what = format!("{count} checkpoints, the newest of {newest} records, are signed by the key {}", key.id());
        let finding = match change {
            Some(KeyChange { seq, from, reason: Reason::Lost, .. }) => Finding::new(
                "checkpoint",
                format!(
                    "{what}, which is not trusted: record {seq} says that the key before, {}, was lost, so nothing that it signed says who took over. Whoever made the new key must confirm it by another way; then give it with `--key`",
                    from.id()
                ),
            )
            .at(*seq),
            Some(KeyChange { seq, from, .. }) => Finding::new(
                "checkpoint",
                format!(
                    "{what}, which is not trusted: record {seq} says that it took over from {}, and no checkpoint after that record is signed by a key that is trusted",
                    from.id()
                ),
            )
            .at(*seq),
            None => Finding::new("checkpoint", format!("{what}, which is not trusted")),
        };
        check.find(finding.instead(trusted.first().map(VerifierKey::to_text).unwrap_or_default(), key.to_text()));
    }
    if let Some(change) = succession.changes.last()
        && !signed.iter().any(|note| note.size > change.seq)
    {
        check.report.notes.push(format!(
            "record {} says that the key {} took over, and nothing is signed since: the next `crawl` or `key rotate` goes on with it",
            change.seq,
            change.to.id()
        ));
    }
}

/// Records that no checkpoint speaks of can be rewritten by anyone who can write the database: that
/// some are newer than the last one is said, that a finished run left none at all is a finding.
fn covered(check: &mut Check<'_>) -> Result<(), Error> {
    let Some(head) = check.absorb(check.reader.head())? else { return Ok(()) };
    let newest = check.absorb(check.reader.newest_checkpoint())?.flatten();
    let beyond = head.saturating_sub(newest.as_ref().map_or(0, |(checkpoint, _, _)| checkpoint.size));
    let has_ended_runs = check.absorb(check.reader.has_ended_runs())?.unwrap_or_default();
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
