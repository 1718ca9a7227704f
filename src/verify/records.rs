use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Check, Finding};
use crate::history::{Item, item};
use crate::index::is_searched_in_stream;
use crate::ledger::{Frontier, verify_inclusion};
use crate::model::{Digest, RecordSeq, SourceId};
use crate::record::{Kind, State};
use crate::store::{Change, Error, Reader, SPAN, Tables, message_ranges};

/// What reading every record showed, for the checks that follow.
#[derive(Default)]
pub(super) struct Seen {
    /// Subject rows as the records make them: kind, source, channel id, key, version → record.
    pub(super) listed: HashMap<(u8, u32, Option<String>, String, u32), u64>,
    /// Ranges of the span index: block, channel id → (min, max).
    pub(super) ranges: BTreeMap<(u64, String), (i64, i64)>,
    /// Records of each channel.
    pub(super) channel_records: HashMap<(SourceId, String), u64>,
    /// Contents that records name.
    pub(super) attachments: HashMap<Digest, u64>,
    /// Numbers of all readings of messages, comments and files that the index must hold.
    pub(super) readings: HashSet<u64>,
    /// Records of the archive when the check began.
    pub(super) head: u64,
    /// Distinct subjects of each kind.
    pub(super) subjects: HashMap<&'static str, i64>,
    /// First versions of each kind that hold what the source sent.
    pub(super) first_readings: HashMap<&'static str, i64>,
}

/// Reads every block, computes every leaf, and compares the tree's nodes and roots.
pub(super) fn full(check: &mut Check<'_>, tables: &Tables, progress: &mut dyn FnMut(u64, u64)) -> Result<Seen, Error> {
    let mut seen = Seen::default();
    let head = tables.blocks.last().map_or(0, |(first, count)| first.saturating_add(*count));
    seen.head = head;
    let mut nodes: HashMap<(u8, u64), &Vec<u8>> =
        tables.nodes.iter().map(|(level, index, hash)| ((*level, *index), hash)).collect();
    let archive = check.reader.archive().id;
    let mut frontier = Frontier::default();
    // After a block that cannot be read, the roots above it cannot be computed: said once.
    let mut broken = false;
    let mut expected = 0;
    let mut comments: Vec<(u64, String)> = Vec::new();
    let mut in_stream: HashSet<String> = HashSet::new();
    let mut secret = None;
    for &(first, count) in &tables.blocks {
        if first != expected {
            check.find(
                Finding::new("block", "records are missing before it, or twice there")
                    .at(first)
                    .instead(expected, first),
            );
            broken = true;
        }
        expected = first.saturating_add(count);
        let Some(block) = check.absorb(check.reader.read_block(first, count))? else {
            broken = true;
            continue;
        };
        check.report.checked.blocks += 1;
        if block.records.len() as u64 != count {
            check.find(
                Finding::new("block", "its row counts other records than it holds")
                    .at(first)
                    .instead(count, block.records.len()),
            );
        }
        let mut numbers = Vec::new();
        let mut channel_names: Vec<String> = Vec::new();
        for (seq, record) in (first..).zip(&block.records) {
            let header = &record.header;
            check.report.checked.records += 1;
            let channel = header.channel.clone().unwrap_or_default();
            let number = channel_names.iter().position(|name| *name == channel).unwrap_or_else(|| {
                channel_names.push(channel.clone());
                channel_names.len() - 1
            });
            numbers.push(i64::try_from(number).unwrap_or(i64::MAX));
            if let Some(n) = header.n {
                let counted = seen.channel_records.entry((SourceId(header.source), channel.clone())).or_default();
                *counted += 1;
                if *counted != n {
                    check.find(
                        Finding::new("block", format!("its number among the records of channel {channel} is wrong"))
                            .at(seq)
                            .instead(*counted, n),
                    );
                    *counted = n;
                }
            }
            note(&mut seen, seq, record);
            match header.kind {
                Kind::Comment if header.state == State::Present => {
                    comments.push((seq, header.key.rsplit('/').next().unwrap_or_default().to_owned()));
                }
                Kind::Message => in_stream.extend(is_searched_in_stream(record)),
                _ => {}
            }
            if seq.is_multiple_of(SPAN) || secret.is_none() {
                secret = check.absorb(check.reader.span_secret(seq / SPAN))?;
                broken |= secret.is_none();
            }
            if broken {
                continue;
            }
            let Some(secret) = &secret else { continue };
            let leaf = record.leaf(&archive, &secret.record_key(RecordSeq(seq))).hash();
            let mut computed = Vec::new();
            frontier.push(leaf, |level, index, hash| computed.push((level, index, hash)));
            for (level, index, hash) in computed.into_iter().filter(|(level, _, _)| *level >= 7) {
                check.report.checked.nodes += 1;
                let start = index << level;
                match nodes.remove(&(level, index)) {
                    Some(stored) if stored.as_slice() == hash.0 => {}
                    Some(stored) => {
                        let stored = Digest::from_slice(stored)
                            .map_or_else(|| "not 32 bytes".to_owned(), |digest| digest.to_string());
                        check.find(
                            Finding::new(
                                "node",
                                format!("the tree's node of level {level}, number {index}, does not match its records"),
                            )
                            .at(start)
                            .instead(hash, stored),
                        );
                    }
                    None => check.find(
                        Finding::new("node", format!("the tree's node of level {level}, number {index}, is missing"))
                            .at(start)
                            .instead(hash, "nothing"),
                    ),
                }
            }
        }
        for (number, (min, max)) in message_ranges(&numbers, &block.records) {
            let name = channel_names.get(usize::try_from(number).unwrap_or(usize::MAX)).cloned().unwrap_or_default();
            seen.ranges.insert((first, name), (min.micros(), max.micros()));
        }
        progress(expected, head);
    }
    if !broken {
        for ((level, index), _) in nodes {
            check.find(
                Finding::new(
                    "node",
                    format!("the tree has a node of level {level}, number {index}, that no records stand under"),
                )
                .at(index << level),
            );
        }
    } else if check.report.findings.is_empty() {
        check.find(Finding::new("block", "the tree could not be computed to its end"));
    }
    // A record that says only that something came back, or was seen elsewhere, is no reading.
    for row in &tables.subjects {
        match row.version.change {
            Change::Back | Change::Shared => drop(seen.readings.remove(&row.version.seq.0)),
            // A reading that is known whole stands for the one before: a file without its contents, a
            // message that was told in part.
            Change::Fetched => {
                let found = subject(check.reader, row.version.seq);
                let Some(Some(item)) = check.absorb(found)? else { continue };
                let standing: HashSet<u64> = item.readings().iter().map(|reading| reading.seq.0).collect();
                for version in item.versions.iter().filter(|version| !standing.contains(&version.seq.0)) {
                    seen.readings.remove(&version.seq.0);
                }
            }
            _ => {}
        }
    }
    for (seq, id) in comments {
        if !in_stream.contains(&id) {
            seen.readings.insert(seq);
        }
    }
    Ok(seen)
}

/// The subject of a record.
fn subject(reader: &Reader, seq: RecordSeq) -> Result<Option<Item>, Error> {
    let header = reader.record(seq)?.header;
    item(reader, header.kind, SourceId(header.source), header.channel_id().as_ref(), &header.key)
}

fn note(seen: &mut Seen, seq: u64, record: &crate::record::Record) {
    let header = &record.header;
    if header.kind.is_listed(header.version) {
        seen.listed.insert(
            (header.kind.number(), header.source, header.channel.clone(), header.key.clone(), header.version),
            seq,
        );
    }
    for digest in header.attachment_digests() {
        seen.attachments.entry(digest).or_insert(seq);
    }
    if header.state == State::Present && matches!(header.kind, Kind::Message | Kind::File) {
        seen.readings.insert(seq);
    }
    let is_first = header.version == 1;
    *seen.subjects.entry(header.kind.as_str()).or_default() += i64::from(is_first);
    *seen.first_readings.entry(header.kind.as_str()).or_default() +=
        i64::from(is_first && header.state == State::Present);
}

/// Proves the inclusion of `count` records, spread evenly, in the newest checkpoint.
pub(super) fn sample(check: &mut Check<'_>, count: u64) -> Result<(), Error> {
    let Some(Some((checkpoint, _, _))) = check.absorb(check.reader.newest_checkpoint())? else { return Ok(()) };
    let count = count.min(checkpoint.size);
    for n in 0..count {
        let seq = n * checkpoint.size / count.max(1);
        let proof = check
            .reader
            .inclusion(RecordSeq(seq), checkpoint.size)
            .and_then(|path| Ok((path, check.reader.leaf_entry(RecordSeq(seq))?.hash())));
        let Some((path, leaf)) = check.absorb(proof)? else { continue };
        check.report.checked.proofs += 1;
        if let Err(error) = verify_inclusion(seq, checkpoint.size, &leaf, &path, &checkpoint.root) {
            check.find(
                Finding::new("block", format!("it is not what the newest checkpoint was signed over: {error}")).at(seq),
            );
        }
    }
    Ok(())
}
