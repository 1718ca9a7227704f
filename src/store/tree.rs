//! A tree on disk: roots of perfect subtrees from level 7 up, each written once and never changed,
//! and the secrets of spans. The records of `archive.db` have one, whose leaves are computed again
//! from blocks when they are needed, and the access log in `access.db` has one, which keeps its
//! leaves; the tables `node` and `salt` are alike in both.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::error::Error;
use crate::ledger::{ArchiveId, Frontier, SpanSecret, hash_children};
use crate::model::{Digest, RecordSeq};
use crate::record::Record;

/// Records of a span: what hangs on one secret and on one node of level 7.
pub const SPAN: u64 = 128;
/// The lowest level that is stored.
pub(super) const SPAN_LEVEL: u8 = 7;

/// The node at (level ≥ 7, index).
pub(super) fn node(connection: &Connection, level: u8, index: u64) -> Result<Digest, Error> {
    let hash: Option<Vec<u8>> = connection
        .prepare_cached("SELECT hash FROM node WHERE level = ?1 AND idx = ?2")?
        .query_row(params![level, index.cast_signed()], |row| row.get(0))
        .optional()?;
    hash.and_then(|bytes| Digest::from_slice(&bytes)).ok_or_else(|| Error::Corrupt {
        seq: RecordSeq(index << level),
        detail: format!("the tree's node of level {level}, number {index}, is missing or not 32 bytes"),
    })
}

/// The secret of a span.
pub(super) fn secret(connection: &Connection, span: u64) -> Result<SpanSecret, Error> {
    let secret: Option<Option<Vec<u8>>> = connection
        .prepare_cached("SELECT secret FROM salt WHERE span = ?1")?
        .query_row([span.cast_signed()], |row| row.get(0))
        .optional()?;
    secret.flatten().and_then(|bytes| bytes.try_into().ok()).map(SpanSecret).ok_or_else(|| Error::Corrupt {
        seq: RecordSeq(span * SPAN),
        detail: "the secret of its span is missing or not 32 bytes".to_owned(),
    })
}

/// Draws the secret of a new span and keeps it.
pub(super) fn make_secret(connection: &Connection, span: u64) -> Result<SpanSecret, Error> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|error| Error::Io(std::io::Error::other(error.to_string())))?;
    connection
        .prepare_cached("INSERT INTO salt (span, secret) VALUES (?1, ?2)")?
        .execute(params![span.cast_signed(), secret])?;
    Ok(SpanSecret(secret))
}

/// Appends a leaf to the tree and keeps the nodes that this completes.
pub(super) fn grow(connection: &Connection, frontier: &mut Frontier, leaf: Digest) -> Result<(), Error> {
    let mut completed = Vec::new();
    frontier.push(leaf, |level, index, hash| completed.push((level, index, hash)));
    for (level, index, hash) in completed.into_iter().filter(|(level, _, _)| *level >= SPAN_LEVEL) {
        connection.prepare_cached("INSERT INTO node (level, idx, hash) VALUES (?1, ?2, ?3)")?.execute(params![
            level,
            index.cast_signed(),
            hash.0
        ])?;
    }
    Ok(())
}

/// The leaf hashes of consecutive records that begin at `first`, all of one span.
pub(super) fn leaves<'a>(
    archive: &ArchiveId,
    secret: &SpanSecret,
    first: u64,
    records: impl IntoIterator<Item = &'a Record>,
) -> Vec<Digest> {
    (first..)
        .zip(records)
        .map(|(seq, record)| record.leaf(archive, &secret.record_key(RecordSeq(seq))).hash())
        .collect()
}

/// The root of a perfect subtree of `leaves` (a power of two of them).
pub(super) fn perfect_root(leaves: &[Digest]) -> Digest {
    let mut row = leaves.to_vec();
    while row.len() > 1 {
        row = row.chunks_exact(2).map(|pair| hash_children(&pair[0], &pair[1])).collect();
    }
    row[0]
}

/// The frontier of a tree of `size` leaves, from stored nodes and the leaves of its open span.
pub(super) fn frontier(connection: &Connection, size: u64, open_leaves: &[Digest]) -> Result<Frontier, Error> {
    let whole = size / SPAN * SPAN;
    let mut peaks = Vec::new();
    let mut start = 0;
    while start < whole {
        let level = u8::try_from((whole - start).ilog2()).expect("a level is below 64");
        peaks.push(node(connection, level, start >> level)?);
        start += 1 << level;
    }
    let mut frontier = Frontier::from_peaks(whole, peaks).expect("one peak for each one-bit");
    let open = usize::try_from(size - whole).expect("less than a span");
    let open = open_leaves.get(..open).ok_or_else(|| Error::Corrupt {
        seq: RecordSeq(size),
        detail: "the archive holds fewer records than it says".to_owned(),
    })?;
    for leaf in open {
        frontier.push(*leaf, |_, _, _| {});
    }
    Ok(frontier)
}
