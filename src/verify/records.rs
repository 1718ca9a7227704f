use std::collections::{BTreeMap, HashMap, HashSet};

use super::decode::{Means, Opened, blocks};
use super::nodes::{self, Spans};
use super::{Check, Finding};
use crate::history::{Item, item};
use crate::ledger::{SpanSecret, verify_inclusion};
use crate::model::{Digest, RecordSeq, SourceId};
use crate::record::{Kind, State};
use crate::store::{Change, Error, Reader, SPAN, Tables, message_ranges, missing};

/// What reading every record showed, for the checks that follow.
#[derive(Default)]
pub(super) struct Seen {
    /// Subject rows as the records make them: kind, source, channel id, key, version → record.
    pub(super) listed: HashMap<(u8, u32, Option<String>, String, u32), u64>,
    /// Ranges of the span index: block, channel id → (min, max).
    pub(super) ranges: BTreeMap<(u64, String), (i64, i64)>,
    /// Records of each channel.
    pub(super) channel_records: HashMap<(SourceId, String), u64>,
    /// The channels in the order in which records first named them, which numbers them from 1.
    pub(super) channels: Vec<(SourceId, String)>,
    /// Contents that records name, and the first that does.
    pub(super) attachments: HashMap<Digest, u64>,
    /// Numbers of all readings of messages, comments and files that the index must hold.
    pub(super) readings: HashSet<u64>,
    /// Records of the archive when the check began.
    pub(super) head: u64,
    /// Stretches of records that are missing or could not be read: first, and one past the last.
    /// What points into them cannot be held against anything.
    pub(super) unread: Vec<(u64, u64)>,
    /// Distinct subjects of each kind.
    pub(super) subjects: HashMap<&'static str, i64>,
    /// First versions of each kind that hold what the source sent.
    pub(super) first_readings: HashMap<&'static str, i64>,
    /// Comments: record, id.
    comments: Vec<(u64, String)>,
    /// Ids of comments that stand in a channel's stream.
    in_stream: HashSet<String>,
}

impl Seen {
    /// How many records could not be read.
    pub(super) fn unread_records(&self) -> u64 {
        self.unread.iter().fold(0, |sum, (from, to)| sum.saturating_add(to - from))
    }

    /// Whether a record is one that could not be read.
    pub(super) fn is_unread(&self, seq: u64) -> bool {
        self.unread.iter().any(|(from, to)| (*from..*to).contains(&seq))
    }
}

/// Reads every block, computes every leaf, and compares the tree's nodes and roots. Each block that
/// is damaged is named; those after it are checked as if it were not.
pub(super) fn full(check: &mut Check<'_>, tables: &Tables, progress: &mut dyn FnMut(u64, u64)) -> Result<Seen, Error> {
    let head = tables.blocks.last().map_or(0, |(first, count)| first.saturating_add(*count));
    let mut seen = Seen { head, ..Seen::default() };
    let secrets = secrets(check, tables);
    let dictionaries: HashMap<i64, Vec<u8>> =
        tables.dictionaries.iter().map(|(id, _, bytes)| (*id, bytes.clone())).collect();
    let means = Means { archive: check.reader.archive().id, secrets: &secrets, dictionaries: &dictionaries };
    let mut spans = Spans::new(tables.checkpoints.iter().map(|(size, _, _)| *size));
    let mut expected = 0;
    let reader = check.reader;
    let outcome = blocks(reader, &means, &mut |opened| {
        // What was appended since the tables were read belongs to the next check.
        if opened.row.first < head {
            block(check, &mut seen, &mut spans, &mut expected, opened)?;
            progress(expected.min(head), head);
        }
        Ok(())
    });
    check.absorb(outcome)?;
    spans.close();
    for span in spans.seen().filter(|span| !secrets.contains_key(span)) {
        check.find(Finding::new("salt", "the secret of its span is missing or not 32 bytes").at(span * SPAN));
    }
    if expected < head {
        seen.unread.push((expected, head));
        check.find(
            Finding::new("block", "the records from here on are missing or could not be read")
                .at(expected)
                .instead(head, expected),
        );
    }
    nodes::check(check, tables, &spans, head);
    readings(check, tables, &mut seen)?;
    Ok(seen)
}

/// The secret of each span, and what is wrong with the rows that hold them.
fn secrets(check: &mut Check<'_>, tables: &Tables) -> HashMap<u64, SpanSecret> {
    let head = tables.blocks.last().map_or(0, |(first, count)| first.saturating_add(*count));
    let mut out = HashMap::new();
    for row in &tables.salts {
        let start = row.span.saturating_mul(SPAN);
        if start >= head {
            check.find(Finding::new("salt", "a secret is there for records that are not").at(start));
        }
        // Keys take the place of a secret when something is erased from its span, and nothing is yet.
        if row.keys.is_some() {
            let detail = "keys stand beside the secret of its span, from which nothing was erased";
            check.find(Finding::new("salt", detail).at(start).instead("nothing", "keys"));
        }
        let secret = row.secret.as_ref().and_then(|secret| <[u8; 32]>::try_from(secret.as_slice()).ok());
        if let Some(secret) = secret {
            out.insert(row.span, SpanSecret(secret));
        }
    }
    out
}

/// One block: its row, its records, what they make of the tables.
fn block(
    check: &mut Check<'_>,
    seen: &mut Seen,
    spans: &mut Spans,
    expected: &mut u64,
    opened: Opened,
) -> Result<(), Error> {
    let (first, count) = (opened.row.first, opened.row.count);
    if first > *expected {
        check.find(Finding::new("block", missing(*expected, first)).at(*expected).instead(*expected, first));
        seen.unread.push((*expected, first));
    } else if first < *expected {
        let detail = format!("it begins before the block ahead of it ends, at record {expected}");
        check.find(Finding::new("block", detail).at(first).instead(*expected, first));
    }
    *expected = first.saturating_add(count);
    if !matches!(opened.row.sealed, 0 | 1) {
        let detail = "its row says neither that it is sealed nor that it is not";
        check.find(Finding::new("block", detail).at(first).instead("0 or 1", opened.row.sealed));
    } else if opened.row.sealed == 0 && opened.row.dictionary != 0 {
        let detail = "its row names a dictionary, and only a sealed block has one";
        check.find(Finding::new("block", detail).at(first).instead(0, opened.row.dictionary));
    }
    let block = match opened.block {
        Ok(block) => block,
        // Named by its first record: what is wrong may be said of a record that is none.
        Err(Error::Corrupt { detail, .. }) => {
            check.find(Finding::new("block", detail).at(first));
            seen.unread.push((first, *expected));
            return Ok(());
        }
        Err(other) => {
            seen.unread.push((first, *expected));
            return check.absorb::<()>(Err(other)).map(drop);
        }
    };
    check.report.checked.blocks += 1;
    if block.records.len() as u64 != count {
        check.find(
            Finding::new("block", "its row counts other records than it holds")
                .at(first)
                .instead(block.records.len(), count),
        );
        *expected = first.saturating_add(block.records.len() as u64);
    }
    seen.in_stream.extend(opened.in_stream);
    let unread = seen.unread_records();
    let mut numbers = Vec::new();
    let mut channel_names: Vec<String> = Vec::new();
    for ((seq, record), leaf) in (first..).zip(&block.records).zip(opened.leaves) {
        let header = &record.header;
        check.report.checked.records += 1;
        spans.take(seq, leaf);
        let channel = header.channel.as_deref().unwrap_or_default();
        let number = channel_names.iter().position(|name| name == channel).unwrap_or_else(|| {
            channel_names.push(channel.to_owned());
            channel_names.len() - 1
        });
        numbers.push(i64::try_from(number).unwrap_or(i64::MAX));
        if let Some(n) = header.n {
            let key = (SourceId(header.source), channel.to_owned());
            let counted = seen.channel_records.entry(key).or_insert_with_key(|key| {
                seen.channels.push(key.clone());
                0
            });
            *counted += 1;
            // Records that could not be read may have been of this channel.
            if *counted != n && !(n > *counted && n - *counted <= unread) {
                check.find(
                    Finding::new("block", format!("its number among the records of channel {channel} is wrong"))
                        .at(seq)
                        .instead(*counted, n),
                );
            }
            *counted = n;
        }
        note(seen, seq, record);
        if header.kind == Kind::Comment && header.state == State::Present {
            seen.comments.push((seq, header.key.rsplit('/').next().unwrap_or_default().to_owned()));
        }
    }
    for (number, (min, max)) in message_ranges(&numbers, &block.records) {
        let name = channel_names.get(usize::try_from(number).unwrap_or(usize::MAX)).cloned().unwrap_or_default();
        seen.ranges.insert((first, name), (min.micros(), max.micros()));
    }
    Ok(())
}

/// Which records the index must hold.
fn readings(check: &mut Check<'_>, tables: &Tables, seen: &mut Seen) -> Result<(), Error> {
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
    for (seq, id) in std::mem::take(&mut seen.comments) {
        if !seen.in_stream.contains(&id) {
            seen.readings.insert(seq);
        }
    }
    Ok(())
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
pub(super) fn sample(check: &mut Check<'_>, count: u64, progress: &mut dyn FnMut(u64, u64)) -> Result<(), Error> {
    let Some(Some((checkpoint, _, _))) = check.absorb(check.reader.newest_checkpoint())? else { return Ok(()) };
    let count = count.min(checkpoint.size);
    for n in 0..count {
        progress(n, count);
        let seq = n * checkpoint.size / count.max(1);
        // The record first: while one of the last span cannot be read no path can be made, and that would hide what
        // is wrong with this one.
        let proof = check
            .reader
            .leaf_entry(RecordSeq(seq))
            .and_then(|entry| Ok((entry.hash(), check.reader.inclusion(RecordSeq(seq), checkpoint.size)?)));
        let Some((leaf, path)) = check.absorb(proof)? else { continue };
        check.report.checked.proofs += 1;
        if let Err(error) = verify_inclusion(seq, checkpoint.size, &leaf, &path, &checkpoint.root) {
            check.find(
                Finding::new("block", format!("it is not what the newest checkpoint was signed over: {error}")).at(seq),
            );
        }
    }
    Ok(())
}
