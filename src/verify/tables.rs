use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::records::Seen;
use super::{Check, Finding};
use crate::history::{Item, Told, Version, item};
use crate::model::{ChannelId, SourceId, rfc3339};
use crate::record::{Kind, LIVE, State, change_digest, is_part_of};
use crate::store::{Change, Error, SubjectRow, Tables, expected_definitions};

/// How many missing rows are named one by one.
const MANY: usize = 100;

/// SQLite's own judgement, and that tables and guards are defined as this build defines them.
pub(super) fn database(check: &mut Check<'_>) -> Result<(), Error> {
    let path = check.reader.layout().database();
    if let Some(found) = check.absorb(check.reader.integrity_check())? {
        for detail in found {
            check.find(Finding::new("database", detail).in_file(&path));
        }
    }
    let Some(format) = check.absorb(check.reader.format())? else { return Ok(()) };
    let Some(found) = check.absorb(check.reader.definitions())? else { return Ok(()) };
    let by_name = |definitions: Vec<(String, String)>| {
        let mut out: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, definition) in definitions {
            out.entry(name).or_default().push(definition);
        }
        out
    };
    let (expected, found) = (by_name(expected_definitions(format)?), by_name(found));
    let names: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
    for name in names {
        let finding = match (expected.get(name), found.get(name)) {
            (Some(a), Some(b)) if a == b => continue,
            (Some(_), None) => Finding::new("definition", format!("{name} is missing: a guard or table was dropped")),
            (None, found) => Finding::new("definition", format!("{name} does not belong there"))
                .instead("nothing", found.map(|found| found.join("; ")).unwrap_or_default()),
            (Some(expected), Some(found)) => Finding::new("definition", format!("{name} is defined otherwise"))
                .instead(expected.join("; "), found.join("; ")),
        };
        check.find(finding.in_file(&path));
    }
    Ok(())
}

/// The tables that point into the records, computed again from them.
pub(super) fn rows(check: &mut Check<'_>, tables: &Tables, seen: &mut Seen) -> Result<(), Error> {
    let names: HashMap<i64, String> = tables.channels.iter().map(|(number, _, id, _)| (*number, id.clone())).collect();
    for misfit in &tables.misfits {
        let detail = format!("a row is not what its table holds: {} ({})", misfit.cells, misfit.detail);
        let finding = Finding::new(misfit.table, detail);
        check.find(match misfit.seq {
            Some(seq) => finding.at(seq),
            None => finding,
        });
    }
    for (table, row) in &tables.odd_rows {
        let why = if *table == "erased" { "nothing is erased in this format" } else { "no upkeep is under way" };
        let detail = format!("a row stands in {table}, and {why}: {row}");
        check.find(Finding::new(table, detail).instead("nothing", "a row"));
    }
    channels(check, tables, seen);
    checkpoints(check, tables)?;
    subjects(check, tables, seen, &names)?;
    spans(check, tables, seen, &names);
    if seen.unread.is_empty() {
        counters(check, tables, seen);
    } else {
        let count = seen.unread_records();
        check.report.notes.push(format!("the counters were not checked: {count} records could not be read"));
    }
    Ok(())
}

/// Channels are numbered in the order in which records first named them, and each counts its records.
fn channels(check: &mut Check<'_>, tables: &Tables, seen: &Seen) {
    // A record that could not be read may have been the first of its channel.
    let numbered = seen.unread.is_empty();
    let mut expected: BTreeMap<i64, &(SourceId, String)> = (1..).zip(&seen.channels).collect();
    for (number, source, id, records) in &tables.channels {
        let due = expected.remove(number);
        let is = (*source, id.clone());
        if numbered && due != Some(&is) {
            let due =
                due.map_or_else(|| "no such number".to_owned(), |(source, id)| format!("{id} of source {}", source.0));
            check.find(
                Finding::new(
                    "channel",
                    format!("channel {id} is listed under the number {number}, which is not its own"),
                )
                .instead(due, format!("{id} of source {}", source.0)),
            );
        }
        let counted = seen.channel_records.get(&is).copied().unwrap_or(0);
        let unread = seen.unread_records();
        if counted != *records && !(*records > counted && *records - counted <= unread) {
            check.find(
                Finding::new("channel", format!("the count of records of channel {id}")).instead(counted, records),
            );
        }
    }
    if numbered {
        for (number, (_, id)) in expected {
            let detail = format!("channel {id}, number {number}, is missing from the table");
            check.find(Finding::new("channel", detail));
        }
    }
}

/// The checkpoints of the database beside those of the folder: each is written to both, to the
/// database first.
///
/// When one was signed is our clock's word. Nothing signs it, and clocks are set back, so it is no
/// evidence: only that it is a time is checked. What proves the time is an answer of a keeper elsewhere.
fn checkpoints(check: &mut Check<'_>, tables: &Tables) -> Result<(), Error> {
    let folder = check.reader.layout().checkpoints();
    let mut missing = 0_u64;
    for (size, note, at) in &tables.checkpoints {
        let is_time = chrono::DateTime::parse_from_rfc3339(at).is_ok_and(|time| rfc3339(time.to_utc()) == *at);
        if !is_time {
            let detail = "the time at which it was signed is none";
            check.find(Finding::new("checkpoint", detail).at(*size).instead("a time", at));
        }
        let path = folder.join(format!("{size:012}.note"));
        match fs_err::read(&path) {
            Ok(bytes) if bytes == note.as_bytes() => {}
            Ok(bytes) => check.find(
                Finding::new("checkpoint", "the checkpoint in the folder is not the one in the database")
                    .at(*size)
                    .in_file(&path)
                    .instead(note, String::from_utf8_lossy(&bytes)),
            ),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => missing += 1,
            Err(error) => return Err(error.into()),
        }
    }
    if missing > 0 {
        let folder = folder.display();
        check.report.notes.push(format!("{missing} checkpoints of the database are not in {folder}"));
    }
    if !folder.exists() {
        return Ok(());
    }
    let known: BTreeSet<u64> = tables.checkpoints.iter().map(|(size, _, _)| *size).collect();
    let mut paths: Vec<_> = fs_err::read_dir(&folder)?.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths.into_iter().filter(|path| path.extension().is_some_and(|extension| extension == "note")) {
        let size: Option<u64> = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
        if let Some(size) = size.filter(|size| !known.contains(size)) {
            check.find(
                Finding::new("checkpoint", "the database does not hold the checkpoint that the folder holds")
                    .at(size)
                    .in_file(&path)
                    .instead("a checkpoint", "nothing"),
            );
        }
    }
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

fn subjects(
    check: &mut Check<'_>,
    tables: &Tables,
    seen: &mut Seen,
    names: &HashMap<i64, String>,
) -> Result<(), Error> {
    let mut left = std::mem::take(&mut seen.listed);
    let mut changed: BTreeSet<(u8, u32, Option<String>, String)> = BTreeSet::new();
    for SubjectRow { kind, source, channel, key, version: row } in &tables.subjects {
        // What it points to could not be read, which is said already.
        if seen.is_unread(row.seq.0) {
            continue;
        }
        let name = if *channel == 0 { None } else { Some(names.get(channel).cloned().unwrap_or_default()) };
        let plain = plain_key(Kind::from_number(*kind), key);
        let expected = left.remove(&(*kind, *source, name.clone(), plain.clone(), row.version));
        if expected == Some(row.seq.0) {
            changed.insert((*kind, *source, name, plain));
        } else {
            let expected = expected.map_or_else(|| "no such version".to_owned(), |seq| seq.to_string());
            check.find(
                Finding::new("subject", format!("version {} of {plain} points to the wrong record", row.version))
                    .at(row.seq.0)
                    .instead(expected, row.seq),
            );
        }
    }
    let mut missing: Vec<_> = left.into_iter().map(|((_, _, _, key, version), seq)| (seq, key, version)).collect();
    missing.sort_unstable();
    for (seq, key, version) in missing.iter().take(MANY) {
        let detail = format!("version {version} of {key} is missing from the table");
        check.find(Finding::new("subject", detail).at(*seq).instead(seq, "nothing"));
    }
    if let Some((seq, _, _)) = missing.get(MANY) {
        let detail = format!("{} more versions are missing from the table", missing.len() - MANY);
        check.find(Finding::new("subject", detail).at(*seq));
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
        let had_none = reading.is_some_and(|reading| reading.record.header.attachments.is_empty());
        let fits = match version.change {
            Change::New => version.version == 1 && !is_gone,
            Change::Gone => is_gone,
            // A channel is seen again: what is noted of it each time bears the time.
            Change::Back => !is_gone && was_gone && (same || item.kind == Kind::Visibility),
            Change::BackChanged => !is_gone && was_gone && !same && item.kind != Kind::Visibility,
            // Reactions are compared as sets, and a file's contents are part of its version: but that
            // they could be had at last is no change of it.
            Change::Changed => {
                let is_otherwise = match item.kind {
                    Kind::Reactions => true,
                    Kind::File => !same || !same_contents && !had_none,
                    _ => !same || !same_contents,
                };
                !is_gone && !was_gone && before.is_some() && is_otherwise
            }
            Change::Shared => item.kind == Kind::File && !is_gone && same && same_contents,
            Change::Fetched if item.kind == Kind::Message => {
                let was_told = reading.is_some_and(|reading| {
                    reading.record.header.via == LIVE && is_part_of(&reading.record.body, &version.record.body)
                });
                !is_gone && !same && was_told
            }
            Change::Fetched => item.kind == Kind::File && !is_gone && same && had_none,
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
        if seen.is_unread(block) {
            continue;
        }
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
    for name in tables.counters.keys().filter(|name| !expected.contains_key(*name)) {
        check.find(Finding::new("counter", format!("there is no counter named {name}")));
    }
    for (name, expected) in expected {
        let found = tables.counters.get(&name).copied().unwrap_or(0);
        if found != expected {
            check.find(Finding::new("counter", format!("the counter {name}")).instead(expected, found));
        }
    }
}
