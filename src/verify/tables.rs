use std::collections::HashMap;

use super::records::{Seen, fits, same_channel};
use super::{Check, Finding};
use crate::store::{Error, SubjectRow, expected_definitions};

/// SQLite's own judgement, and that tables and guards are defined as this build defines them.
pub(super) fn database(check: &mut Check<'_>) -> Result<(), Error> {
    let path = check.reader.layout().database();
    if let Some(found) = check.absorb(check.reader.integrity_check())? {
        for detail in found {
            check.find(Finding::new("database", detail).in_file(&path));
        }
    }
    let expected: HashMap<String, String> = expected_definitions()?.into_iter().collect();
    let Some(found) = check.absorb(check.reader.definitions())? else { return Ok(()) };
    let found: HashMap<String, String> = found.into_iter().collect();
    let mut names: Vec<&String> = expected.keys().chain(found.keys()).collect();
    names.sort();
    names.dedup();
    for name in names {
        match (expected.get(name), found.get(name)) {
            (Some(a), Some(b)) if a == b => {}
            (Some(_), None) => check.find(
                Finding::new("definition", format!("{name} is missing: a guard or table was dropped")).in_file(&path),
            ),
            (None, Some(found)) => check.find(
                Finding::new("definition", format!("{name} does not belong there"))
                    .in_file(&path)
                    .instead("nothing", found),
            ),
            (Some(expected), Some(found)) => check.find(
                Finding::new("definition", format!("{name} is defined otherwise"))
                    .in_file(&path)
                    .instead(expected, found),
            ),
            (None, None) => {}
        }
    }
    Ok(())
}

/// The tables that point into the records, computed again from them.
pub(super) fn rows(check: &mut Check<'_>, seen: &Seen) -> Result<(), Error> {
    let Some(channels) = check.absorb(check.reader.channel_rows())? else { return Ok(()) };
    let names: HashMap<i64, String> = channels.iter().map(|(number, _, id, _)| (*number, id.clone())).collect();
    for (_, source, id, records) in &channels {
        let counted = seen.channel_records.get(&(*source, id.clone())).copied().unwrap_or(0);
        if counted != *records {
            check.find(
                Finding::new("counter", format!("the count of records of channel {id}")).instead(counted, records),
            );
        }
    }
    subjects(check, seen, &names)?;
    spans(check, seen, &names)?;
    counters(check, seen)
}

fn subjects(check: &mut Check<'_>, seen: &Seen, names: &HashMap<i64, String>) -> Result<(), Error> {
    let Some(rows) = check.absorb(check.reader.subject_rows())? else { return Ok(()) };
    let mut found = 0_usize;
    for SubjectRow { kind, source, channel, key, version: row } in rows {
        let name = if channel == 0 { None } else { names.get(&channel).cloned() };
        // Keys of messages are padded in the table; the records have them as the server does.
        let plain = match key.find('.') {
            Some(10) if key.starts_with('0') => {
                let trimmed = key.trim_start_matches('0');
                if trimmed.starts_with('.') { format!("0{trimmed}") } else { trimmed.to_owned() }
            }
            _ => key.clone(),
        };
        let expected = seen.listed.get(&(kind, source, name.clone(), plain.clone(), row.version));
        if expected == Some(&row.seq.0) {
            found += 1;
            let Some(record) = check.absorb(check.reader.record(row.seq))? else { continue };
            if !fits(row.change, record.header.state) {
                check.find(
                    Finding::new(
                        "subject",
                        format!("version {} of {plain} is listed as another change than its record says", row.version),
                    )
                    .at(row.seq.0),
                );
            }
            let header_channel = record.header.channel.as_deref().unwrap_or_default();
            if name.as_deref().is_some_and(|name| !same_channel(name, header_channel)) {
                check.find(Finding::new("subject", format!("{plain} is listed under another channel")).at(row.seq.0));
            }
        } else {
            let expected = expected.map_or_else(|| "no such version".to_owned(), ToString::to_string);
            check.find(
                Finding::new("subject", format!("version {} of {plain} points to the wrong record", row.version))
                    .at(row.seq.0)
                    .instead(expected, row.seq),
            );
        }
    }
    if found < seen.listed.len() {
        check.find(Finding::new("subject", "versions are missing from the table").instead(seen.listed.len(), found));
    }
    Ok(())
}

fn spans(check: &mut Check<'_>, seen: &Seen, names: &HashMap<i64, String>) -> Result<(), Error> {
    let Some(rows) = check.absorb(check.reader.span_rows())? else { return Ok(()) };
    let mut left = seen.ranges.clone();
    for (channel, min, max, block) in rows {
        let block = block.cast_unsigned();
        let name = names.get(&channel).cloned().unwrap_or_default();
        match left.remove(&(block, name.clone())) {
            Some(range) if range == (min, max) => {}
            Some(range) => check.find(
                Finding::new("span_index", format!("the range of channel {name} in the block"))
                    .at(block)
                    .instead(format!("{range:?}"), format!("{:?}", (min, max))),
            ),
            None => check.find(
                Finding::new("span_index", format!("a row for channel {name} that the block does not hold")).at(block),
            ),
        }
    }
    for (block, name) in left.keys() {
        check.find(Finding::new("span_index", format!("the row for channel {name} is missing")).at(*block));
    }
    Ok(())
}

fn counters(check: &mut Check<'_>, seen: &Seen) -> Result<(), Error> {
    let Some(stored) = check.absorb(check.reader.counters())? else { return Ok(()) };
    for (kind, subjects) in &seen.subjects {
        let found = stored.get(&format!("{kind}.subjects")).copied().unwrap_or(0);
        if found != *subjects {
            check.find(
                Finding::new("counter", format!("the count of subjects of kind {kind}")).instead(subjects, found),
            );
        }
    }
    Ok(())
}
