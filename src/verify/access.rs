use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use super::{Check, Finding};
use crate::ledger::{Checkpoint, Frontier, Note, SpanSecret, VerifierKey};
use crate::model::{Digest, RecordSeq};
use crate::record::{Action, Visit, VisitHeader, visit_leaf};
use crate::store::{AccessLog, AccessTables, Error, SPAN, StoredVisit, examine_access};

/// Entries read at a time.
const BATCH: usize = 1024;

/// The whole of `access.db`: what SQLite says of it, its definitions, and of the access log every
/// entry, leaf, node and checkpoint. `key` is one that is trusted; without it the log's own word
/// counts.
pub(super) fn check(check: &mut Check<'_>, key: Option<&VerifierKey>) -> Result<(), Error> {
    let layout = check.reader.layout().clone();
    let path = layout.access();
    if !path.exists() {
        check.report.notes.push("there is no access.db; it is made when the web interface is first used".to_owned());
        return Ok(());
    }
    let outcome = examine_access(&layout).and_then(|database| {
        let archive = check.reader.archive();
        Ok((database, AccessLog::open_reading(&layout, archive.id, &archive.origin)?))
    });
    let Some((database, log)) = absorb(check, &path, outcome)? else { return Ok(()) };
    for detail in database.faults {
        check.find(Finding::new("access", detail).in_file(&path));
    }
    definitions(check, &path, database.expected, database.found);
    let Some(log) = log else {
        check.report.notes.push("the access log begins with the next `serve`: a build before it made access.db".into());
        return Ok(());
    };
    // Notes first: what is appended and signed meanwhile is newer than what is looked at.
    let mut notes = Vec::new();
    for path in log.note_files()? {
        let text = String::from_utf8_lossy(&fs_err::read(&path)?).into_owned();
        let size = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
        notes.push((path, size, text));
    }
    let tables = log.tables();
    let Some(tables) = absorb(check, &path, tables)? else { return Ok(()) };
    notes.extend(tables.checkpoints.iter().map(|(size, note)| (path.clone(), Some(*size), note.clone())));
    let sizes: BTreeSet<u64> = notes.iter().filter_map(|(_, _, text)| parsed(text).map(|(_, at)| at.size)).collect();
    let Some(seen) = entries(check, &log, &path, &tables, &sizes)? else { return Ok(()) };
    checkpoints(check, &log, &tables, &seen, notes, key);
    Ok(())
}

/// An error of the store that is a finding about `access.db`, and passes on any other.
fn absorb<T>(check: &mut Check<'_>, path: &Path, outcome: Result<T, Error>) -> Result<Option<T>, Error> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(error @ (Error::AccessLog { .. } | Error::Damaged { .. } | Error::Sqlite(_) | Error::Corrupt { .. })) => {
            check.find(Finding::new("access", error.to_string()).in_file(path));
            Ok(None)
        }
        Err(other) => Err(other),
    }
}

fn parsed(text: &str) -> Option<(Note, Checkpoint)> {
    let note = Note::parse(text.as_bytes()).ok()?;
    let checkpoint = Checkpoint::parse(note.text()).ok()?;
    Some((note, checkpoint))
}

fn definitions(check: &mut Check<'_>, path: &Path, expected: Vec<(String, String)>, found: Vec<(String, String)>) {
    let expected: BTreeMap<String, String> = expected.into_iter().collect();
    let found: BTreeMap<String, String> = found.into_iter().collect();
    let names: BTreeSet<&String> = expected.keys().chain(found.keys()).collect();
    for name in names {
        let (expected, found) = (expected.get(name), found.get(name));
        if expected == found {
            continue;
        }
        let detail = match (expected, found) {
            (Some(_), None) => format!("{name} is missing: a guard or table was dropped"),
            (None, _) => format!("{name} does not belong there"),
            _ => format!("{name} is defined otherwise"),
        };
        let text = |side: Option<&String>| side.map_or("nothing", String::as_str).to_owned();
        check.find(Finding::new("access", detail).in_file(path).instead(text(expected), text(found)));
    }
}

/// What reading every entry showed.
struct Seen {
    /// The root at each size that a checkpoint was signed over.
    roots: HashMap<u64, Digest>,
    /// The keys that entries name as signing from there on.
    signers: Vec<String>,
    /// After an entry that is missing, no root above can be computed.
    is_broken: bool,
}

/// Reads every entry, computes its leaf and the nodes above.
fn entries(
    check: &mut Check<'_>,
    log: &AccessLog,
    path: &Path,
    tables: &AccessTables,
    sizes: &BTreeSet<u64>,
) -> Result<Option<Seen>, Error> {
    let archive = check.reader.archive().id;
    let mut seen = Seen { roots: HashMap::new(), signers: Vec::new(), is_broken: false };
    let mut nodes: HashMap<(u8, u64), &Vec<u8>> =
        tables.nodes.iter().map(|(level, index, hash)| ((*level, *index), hash)).collect();
    let mut frontier = Frontier::default();
    let mut secret: Option<SpanSecret> = None;
    let mut expected = 0;
    if sizes.contains(&0) {
        seen.roots.insert(0, frontier.root());
    }
    loop {
        let batch = log.entries(expected, BATCH);
        let Some(batch) = absorb(check, path, batch)? else { return Ok(None) };
        let batch: Vec<StoredVisit> = batch.into_iter().take_while(|entry| entry.number < tables.size).collect();
        if batch.is_empty() {
            break;
        }
        for entry in batch {
            let number = entry.number;
            if number != expected {
                let missing = if expected + 1 == number {
                    format!("entry {expected} is missing")
                } else {
                    format!("entries {expected} to {} are missing", number - 1)
                };
                check.find(Finding::new("access", missing).in_file(path).instead(expected, number));
                seen.is_broken = true;
                secret = None;
            }
            expected = number + 1;
            check.report.checked.entries += 1;
            lines(check, path, &entry, &mut seen);
            if number.is_multiple_of(SPAN) || secret.is_none() {
                let found = log.span_secret(number / SPAN);
                secret = absorb(check, path, found)?;
            }
            let Some(secret) = &secret else {
                seen.is_broken = true;
                continue;
            };
            let key = secret.record_key(RecordSeq(number));
            let leaf = visit_leaf(&archive, &key, &entry.header, &entry.body).hash();
            if leaf.0.as_slice() != entry.leaf {
                let stored = Digest::from_slice(&entry.leaf).map_or_else(String::new, |digest| digest.to_string());
                let detail = format!("entry {number} is not what was written: its leaf does not match its text");
                check.find(Finding::new("access", detail).in_file(path).instead(leaf, stored));
            }
            if seen.is_broken {
                continue;
            }
            let mut completed = Vec::new();
            frontier.push(leaf, |level, index, hash| completed.push((level, index, hash)));
            for (level, index, hash) in completed.into_iter().filter(|(level, _, _)| *level >= 7) {
                let stored = nodes.remove(&(level, index));
                if stored.is_none_or(|stored| stored.as_slice() != hash.0) {
                    let (first, last) = (index << level, ((index + 1) << level) - 1);
                    let word = if stored.is_some() { "does not match them" } else { "is missing" };
                    let detail =
                        format!("entries {first} to {last}: the tree's node of level {level}, number {index}, {word}");
                    check.find(Finding::new("access", detail).in_file(path).instead(hash, "another hash or none"));
                }
            }
            if sizes.contains(&frontier.size()) {
                seen.roots.insert(frontier.size(), frontier.root());
            }
        }
    }
    if !seen.is_broken {
        for (level, index) in nodes.keys() {
            let detail = format!("the tree has a node of level {level}, number {index}, that no entries stand under");
            check.find(Finding::new("access", detail).in_file(path));
        }
    }
    let spans = tables.size.div_ceil(SPAN);
    if !tables.spans.iter().copied().eq(0..spans) {
        let detail = "the secrets of spans are not one for each 128 entries";
        check.find(Finding::new("access", detail).in_file(path).instead(spans, tables.spans.len()));
    }
    if seen.signers != tables.signers {
        let detail = "the keys that it is said to be signed with are not those that its entries name";
        let (expected, found) = (seen.signers.join(" "), tables.signers.join(" "));
        check.find(Finding::new("access", detail).in_file(path).instead(expected, found));
    }
    Ok(Some(seen))
}

/// That both lines are an entry's, and the first one's number is its place.
fn lines(check: &mut Check<'_>, path: &Path, entry: &StoredVisit, seen: &mut Seen) {
    let number = entry.number;
    let header = serde_json::from_str::<VisitHeader>(&entry.header);
    let body = serde_json::from_str::<Visit>(&entry.body);
    match (header, body) {
        (Ok(header), Ok(body)) => {
            if header.number != number {
                let detail = format!("entry {number} stands in another entry's place");
                check.find(Finding::new("access", detail).in_file(path).instead(number, header.number));
            }
            if header.action == Action::Signer {
                seen.signers.push(body.subject.unwrap_or_default());
            }
        }
        (Err(error), _) | (_, Err(error)) => {
            let detail = format!("entry {number} can't be read: {error}");
            check.find(Finding::new("access", detail).in_file(path));
        }
    }
}

/// Every checkpoint in the database and in the folder: signature, name, root. The newest must be by
/// the key that is trusted; older ones may be by a key that the log names as an earlier one.
fn checkpoints(
    check: &mut Check<'_>,
    log: &AccessLog,
    tables: &AccessTables,
    seen: &Seen,
    notes: Vec<(std::path::PathBuf, Option<u64>, String)>,
    key: Option<&VerifierKey>,
) {
    let named: Vec<VerifierKey> = tables.signers.iter().filter_map(|text| VerifierKey::parse(text).ok()).collect();
    let trusted = key.or(named.last());
    let mut newest: Option<(u64, bool)> = None;
    let mut earlier = 0;
    for (path, size, text) in notes {
        let mut find = |detail: String| check.find(Finding::new("access", detail).in_file(&path));
        let Some((note, checkpoint)) = parsed(&text) else {
            find(format!("the checkpoint of {} entries can't be read", size.unwrap_or(0)));
            continue;
        };
        let at = checkpoint.size;
        if checkpoint.origin != log.origin() || size.is_some_and(|size| size != at) {
            find(format!("the checkpoint of {at} entries of {} is stored as another", checkpoint.origin));
            continue;
        }
        let is_trusted = trusted.is_some_and(|key| note.verify(key).is_ok());
        if !is_trusted && !named.iter().any(|key| note.verify(key).is_ok()) {
            find(format!("the checkpoint of {at} entries is signed by no key that is trusted or that the log names"));
            continue;
        }
        earlier += u64::from(!is_trusted);
        // What stands in the database and in the folder for one size must both be.
        newest = match newest {
            Some((size, was)) if size == at => Some((at, was && is_trusted)),
            Some((size, was)) if size > at => Some((size, was)),
            _ => Some((at, is_trusted)),
        };
        let finding = match seen.roots.get(&at) {
            Some(root) if *root == checkpoint.root => continue,
            Some(root) => Finding::new(
                "access",
                format!("entries before number {at} are not those that a checkpoint was signed over"),
            )
            .instead(checkpoint.root, root),
            None if at > tables.size => Finding::new(
                "access",
                format!(
                    "a checkpoint was signed over {at} entries: newer ones were removed, or an older copy was put back"
                ),
            )
            .instead(at, tables.size),
            // That entries are missing was said.
            None => continue,
        };
        check.find(finding.in_file(&path));
    }
    match newest {
        Some((size, false)) => check.find(
            Finding::new(
                "access",
                format!("the newest checkpoint of the access log, of {size} entries, is not signed by the key that is trusted"),
            )
            .in_file(&log.checkpoints_folder())
            .instead(trusted.map(VerifierKey::to_text).unwrap_or_default(), "an earlier key, by the log's own word"),
        ),
        Some((size, true)) if size < tables.size => {
            check.report.notes.push(format!(
                "{} entries of the access log are newer than its newest signed checkpoint",
                tables.size - size
            ));
        }
        None if tables.size > 0 => {
            check.report.notes.push(format!("no checkpoint speaks of the {} entries of the access log yet", tables.size));
        }
        _ => {}
    }
    if earlier > 0 {
        check.report.notes.push(format!(
            "{earlier} checkpoints of the access log are signed by an earlier key, which is the log's own word"
        ));
    }
    if key.is_none() && newest.is_some() {
        check.report.notes.push("the access log was checked with the key that it names itself".to_owned());
    }
}
