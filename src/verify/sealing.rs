use std::collections::BTreeMap;

use super::{Check, Finding};
use crate::model::{Digest, RecordSeq};
use crate::record::Kind;
use crate::store::{Error, SPAN, Tables, dictionary_id};

/// That dictionaries are those that the log names, that every block has the one it needs, and that
/// blocks lie where blocks of their kind may. That they follow each other without a gap, and read as
/// their rows say, is checked where they are read.
pub(super) fn check(check: &mut Check<'_>, tables: &Tables) -> Result<(), Error> {
    let mut kept: BTreeMap<i64, Digest> = BTreeMap::new();
    for (id, digest, bytes) in &tables.dictionaries {
        let own = Digest::of(bytes);
        if own.0.as_slice() != digest.as_slice() {
            let found = Digest::from_slice(digest).map_or_else(|| "not 32 bytes".to_owned(), |said| said.to_string());
            let detail = format!("dictionary {id} does not match its digest");
            check.find(Finding::new("dictionary", detail).instead(own, found));
        }
        if dictionary_id(bytes) != Some(*id) {
            let found = dictionary_id(bytes).map_or_else(|| "no dictionary".to_owned(), |id| id.to_string());
            check.find(Finding::new("dictionary", format!("dictionary {id} is another one")).instead(id, found));
        }
        kept.insert(*id, own);
    }
    noted(check, kept.clone())?;
    let counts: BTreeMap<u64, u64> = tables.blocks.iter().copied().collect();
    for (first, sealed, dictionary) in &tables.packed {
        // One whose row does not fit the table is told of by itself.
        let Some(&count) = counts.get(first) else { continue };
        let detail = if *sealed == 0 {
            let is_within = (1..=SPAN - first % SPAN).contains(&count);
            (!is_within).then(|| format!("an open block of {count} records reaches from one span into another"))
        } else {
            let is_whole = (count == SPAN || count == 2 * SPAN) && first % count == 0;
            (!is_whole).then(|| format!("a sealed block of {count} records does not hold whole spans"))
        };
        if let Some(detail) = detail {
            check.find(Finding::new("block", detail).at(*first));
        }
        if *dictionary != 0 && !kept.contains_key(dictionary) {
            let detail = format!("dictionary {dictionary}, without which its block can't be read, is missing");
            check.find(Finding::new("dictionary", detail).at(*first));
        }
    }
    Ok(())
}

/// That each dictionary has its record, and each record its dictionary.
fn noted(check: &mut Check<'_>, mut kept: BTreeMap<i64, Digest>) -> Result<(), Error> {
    let Some(noted) = check.absorb(check.reader.newest(Kind::Dictionary))? else { return Ok(()) };
    for (key, row) in noted {
        let RecordSeq(seq) = row.seq;
        let Some(record) = check.absorb(check.reader.record(row.seq))? else {
            // Its block is damaged, which is told: what it named cannot be held against it.
            kept.remove(&key.parse().unwrap_or_default());
            continue;
        };
        let body: serde_json::Value = serde_json::from_slice(&record.body).unwrap_or_default();
        let said = body["dictionary"]["sha256"].as_str().unwrap_or_default().to_owned();
        match key.parse().ok().and_then(|id: i64| kept.remove(&id)) {
            None => check.find(Finding::new("dictionary", format!("dictionary {key} is missing")).at(seq)),
            Some(digest) if digest.to_string() == said => {}
            Some(digest) => {
                let detail = format!("dictionary {key} is not the one that the log names");
                check.find(Finding::new("dictionary", detail).at(seq).instead(said, digest));
            }
        }
    }
    for (id, _) in kept {
        check.find(Finding::new("dictionary", format!("no record names dictionary {id}")));
    }
    Ok(())
}
