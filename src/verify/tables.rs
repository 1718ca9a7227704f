use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::records::Seen;
use super::{Check, Finding};
use crate::history::{Item, Told, Version, item};
use crate::model::{ChannelId, SourceId};
use crate::record::{Kind, LIVE, State, change_digest, is_part_of};
use crate::store::{Change, Error, SubjectRow, Tables, expected_definitions};

/// SQLite's own judgement, and that tables and guards are defined as this build defines them.
pub(super) fn database(check: &mut Check<'_>) -> Result<(), Error> {
    let path = check.reader.layout().database();
    if let Some(found) = check.absorb(check.reader.integrity_check())? {
        for detail in found {
            check.find(Finding::new("database", detail).in_file(&path));
        }
    }
    let Some(format) = check.absorb(check.reader.format())? else { return Ok(()) };
    let expected: HashMap<String, String> = expected_definitions(format)?.into_iter().collect();
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
pub(super) fn rows(check: &mut Check<'_>, tables: &Tables, seen: &Seen) -> Result<(), Error> {
    let names: HashMap<i64, String> = tables.channels.iter().map(|(number, _, id, _)| (*number, id.clone())).collect();
    for (_, source, id, records) in &tables.channels {
        let counted = seen.channel_records.get(&(*source, id.clone())).copied().unwrap_or(0);
        if counted != *records {
            check.find(
                Finding::new("counter", format!("the count of records of channel {id}")).instead(counted, records),
            );
        }
    }
    if tables.odd_rows > 0 {
        let detail = "rows stand in tables that are empty outside a transaction (erased, maintenance)";
        check.find(Finding::new("database", detail).instead(0, tables.odd_rows));
    }
    subjects(check, tables, seen, &names)?;
    spans(check, tables, seen, &names);
    counters(check, tables, seen);
    Ok(())
}

/// A key as the records have it: messages are padded in the table, so that text order is time
/// order.
fn plain_key(kind: Option<Kind>, key: &str) -> String {
    if !matches!(kind, Some(Kind::Message | Kind::Reactions)) || !key.starts_with('0') || key.find('.') != Some(10) {
        return key.to_owned();
    }
    let trimmed = key.trim_start_matches('0');
    if trimmed.starts_with('.') { format!("0{trimmed}") } else { trimmed.to_owned() }
}

fn subjects(check: &mut Check<'_>, tables: &Tables, seen: &Seen, names: &HashMap<i64, String>) -> Result<(), Error> {
    let mut found = 0_usize;
    let mut changed: BTreeSet<(u8, u32, Option<String>, String)> = BTreeSet::new();
    for SubjectRow { kind, source, channel, key, version: row } in &tables.subjects {
        let name = if *channel == 0 { None } else { names.get(channel).cloned() };
        let plain = plain_key(Kind::from_number(*kind), key);
        let expected = seen.listed.get(&(*kind, *source, name.clone(), plain.clone(), row.version));
        if expected == Some(&row.seq.0) {
            found += 1;
            changed.insert((*kind, *source, name, plain));
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
    for (kind, source, channel, key) in changed {
        let Some(kind) = Kind::from_number(kind) else { continue };
        let channel = channel.as_deref().and_then(ChannelId::parse);
        let found = item(check.reader, kind, SourceId(source), channel.as_ref(), &key);
        if let Some(Some(found)) = check.absorb(found)? {
            changes(check, &found);
        }
    }
    Ok(())
}

/// That each version is listed as the change that its record makes of the ones before.
fn changes(check: &mut Check<'_>, item: &Item) {
    let mut before: Option<&Version> = None;
    let mut reading: Option<&Version> = None;
    for (place, version) in item.versions.iter().enumerate() {
        let is_gone = version.record.header.state == State::Gone;
        let was_gone = before.is_some_and(|before| before.record.header.state == State::Gone);
        let same = reading.is_some_and(|reading| {
            change_digest(item.kind, &reading.record.body) == change_digest(item.kind, &version.record.body)
        });
        let same_contents =
            reading.is_some_and(|reading| reading.record.header.attachments == version.record.header.attachments);
        let fits = match version.change {
            Change::New => version.version == 1 && !is_gone,
            Change::Gone => is_gone,
            // A channel is seen again: what is noted of it each time bears the time.
            Change::Back => !is_gone && was_gone && (same || item.kind == Kind::Visibility),
            Change::BackChanged => !is_gone && was_gone && !same,
            // Reactions are compared as sets, and a file's contents are part of its version.
            Change::Changed => {
                !is_gone && !was_gone && before.is_some() && (!same || item.kind == Kind::Reactions || !same_contents)
            }
            Change::Shared => item.kind == Kind::File && !is_gone && same && same_contents,
            Change::Fetched if item.kind == Kind::Message => {
                let was_told = reading.is_some_and(|reading| {
                    reading.record.header.via == LIVE && is_part_of(&reading.record.body, &version.record.body)
                });
                !is_gone && !same && was_told
            }
            Change::Fetched => {
                let had_none = reading.is_some_and(|reading| reading.record.header.attachments.is_empty());
                item.kind == Kind::File && !is_gone && same && had_none
            }
            Change::Earlier => {
                let known = Item { versions: item.versions[..place].to_vec(), ..item.clone() };
                let header = &version.record.header;
                item.kind == Kind::Message
                    && header.via == LIVE
                    && !is_gone
                    && known.told(&version.record.body, true) == Told::Earlier
            }
        };
        if !fits {
            let detail = format!(
                "version {} of {} is listed as another change than its record makes",
                version.version, item.key
            );
            check.find(Finding::new("subject", detail).at(version.seq.0));
        }
        if version.change == Change::Earlier {
            // What stands, or is gone, stays so; of what is gone it may be the last reading.
            let until_here = Item { versions: item.versions[..=place].to_vec(), ..item.clone() };
            let last = until_here.latest().map(|latest| latest.seq);
            reading = item.versions.iter().find(|version| Some(version.seq) == last);
            continue;
        }
        before = Some(version);
        if !is_gone {
            reading = Some(version);
        }
    }
}

fn spans(check: &mut Check<'_>, tables: &Tables, seen: &Seen, names: &HashMap<i64, String>) {
    let mut left = seen.ranges.clone();
    for &(channel, min, max, block) in &tables.spans {
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
}

/// The counts that `status` shows, computed again.
fn counters(check: &mut Check<'_>, tables: &Tables, seen: &Seen) {
    let mut expected: BTreeMap<String, i64> = BTreeMap::new();
    for kind in Kind::ALL {
        let of = |counts: &HashMap<&'static str, i64>| counts.get(kind.as_str()).copied().unwrap_or(0);
        let rows = tables.subjects.iter().filter(|row| row.kind == kind.number());
        let (mut later, mut changed, mut gone) = (0, BTreeSet::new(), BTreeMap::new());
        for row in rows {
            let subject = (row.source, row.channel, &row.key);
            if matches!(row.version.change, Change::Changed | Change::BackChanged | Change::Earlier) {
                later += 1;
                changed.insert(subject);
            }
            if row.version.change != Change::Earlier {
                gone.insert(subject, row.version.change == Change::Gone);
            }
        }
        let name = kind.as_str();
        expected.insert(format!("{name}.subjects"), of(&seen.subjects));
        expected.insert(format!("{name}.versions"), of(&seen.first_readings) + later);
        expected.insert(format!("{name}.changed"), i64::try_from(changed.len()).unwrap_or(i64::MAX));
        expected.insert(format!("{name}.gone"), gone.values().map(|gone| i64::from(*gone)).sum());
    }
    for (name, expected) in expected {
        let found = tables.counters.get(&name).copied().unwrap_or(0);
        if found != expected {
            check.find(Finding::new("counter", format!("the counter {name}")).instead(expected, found));
        }
    }
}
