use std::collections::{BTreeMap, BTreeSet};

use super::{Check, Finding};
use crate::model::Digest;
use crate::store::{Error, Tables, expected_about};

/// What the archive says of itself outside the tree (its row, its server, the texts of `about`), held
/// against the newest record in which it said so. An archive without such a record, which this build
/// has not written to yet, is held against this build's texts.
pub(super) fn check(check: &mut Check<'_>, tables: &Tables) -> Result<(), Error> {
    let row = check.reader.archive().clone();
    let path = check.reader.layout().database();
    for (name, rows) in [("archive", &tables.archives), ("source", &tables.sources)] {
        if *rows != [1] {
            let detail = format!("the table {name} has other rows than its one");
            check.find(Finding::new("archive", detail).in_file(&path).instead("[1]", format!("{rows:?}")));
        }
    }
    let Some(records) = check.absorb(check.reader.own_records())? else { return Ok(()) };
    let Some(newest) = records.last() else {
        let texts = expected_about(&row.vkey);
        let due = texts.into_iter().map(|(name, text)| (name, Digest::of(text.as_bytes()).to_string())).collect();
        about(check, tables, &due, None);
        return Ok(());
    };
    let (seq, note) = (newest.seq.0, &newest.note);
    // The key of the row is the first one; the checkpoints' check follows the changes from there.
    let oldest = &records[0].note;
    let first_key = oldest.previous.as_ref().map_or(&oldest.vkey, |before| &before.vkey);
    for (name, said, found) in [
        ("id", &note.id, row.id.to_string()),
        ("origin", &note.origin, row.origin),
        ("created_at", &note.created_at, row.created_at),
        ("format", &note.format.to_string(), row.format.to_string()),
        ("vkey", first_key, row.vkey),
        ("source.server", &note.server, row.server),
    ] {
        if *said != found {
            check.find(
                Finding::new("archive", format!("{name} is not what the archive wrote down of itself"))
                    .at(seq)
                    .in_file(&path)
                    .instead(said, found),
            );
        }
    }
    about(check, tables, &note.about, Some(seq));
    Ok(())
}

/// The texts of `about`, held against the SHA-256 that each should have.
fn about(check: &mut Check<'_>, tables: &Tables, due: &BTreeMap<String, String>, seq: Option<u64>) {
    let found: BTreeMap<&str, String> =
        tables.about.iter().map(|(name, text)| (name.as_str(), Digest::of(text.as_bytes()).to_string())).collect();
    let names: BTreeSet<&str> = found.keys().copied().chain(due.keys().map(String::as_str)).collect();
    for name in names {
        let (said, found) = (due.get(name), found.get(name));
        if said != found {
            let text = |side: Option<&String>| side.map_or("no such text", String::as_str).to_owned();
            let mut finding = Finding::new("about", format!("the text {name} is not the one that was put there"))
                .instead(text(said), text(found));
            finding.record = seq;
            check.find(finding);
        }
    }
}
