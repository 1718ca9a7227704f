//! What the database holds, row by row, for those that doubt it: a row that is not what its table
//! says is told apart instead of ending the reading.

use std::collections::HashMap;
use std::path::PathBuf;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, params};
use zstd::dict::DecoderDictionary;

use super::error::Error;
use super::reader::{Block, Reader, Stored, open_stored};
use crate::ledger::{ArchiveId, SpanSecret};
use crate::model::{Digest, RecordSeq};
use crate::record::Record;

/// The most attached contents that a leaf can name: a byte counts its parts, two of which are the
/// header and the body.
const MAX_ATTACHMENTS: usize = u8::MAX as usize - 2;

/// A row whose cells are of another kind than its table's columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// The table.
    pub table: &'static str,
    /// The record it is about or points to, when it says one.
    pub seq: Option<u64>,
    /// Its cells, for people.
    pub cells: String,
    /// What does not fit.
    pub detail: String,
}

/// A row of the table of blocks, as it is stored.
#[derive(Debug, Clone)]
pub struct BlockRow {
    /// Number of the first record.
    pub first: u64,
    /// How many records it says it holds.
    pub count: u64,
    /// Whether upkeep is done with it: 0 or 1.
    pub sealed: i64,
    /// The dictionary it was compressed with, 0 for none.
    pub dictionary: i64,
    /// SHA-256 of its bytes, by its own word.
    pub digest: Vec<u8>,
    /// Compressed.
    pub bytes: Vec<u8>,
}

/// A row of the table of secrets.
#[derive(Debug, Clone)]
pub struct SaltRow {
    /// Which 128 records it is for.
    pub span: u64,
    /// The secret, unless something was erased from the span.
    pub secret: Option<Vec<u8>>,
    /// The keys of the records that stayed, after an erasure.
    pub keys: Option<Vec<u8>>,
}

/// Reads the rows of a query one by one. One that `read` refuses becomes a misfit of `table`; `seq`
/// names the column that says which record it is about.
pub(super) fn each<T>(
    connection: &Connection,
    table: &'static str,
    sql: &str,
    seq: Option<&str>,
    misfits: &mut Vec<Misfit>,
    read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, Error> {
    let mut statement = connection.prepare(sql)?;
    let names: Vec<String> = statement.column_names().into_iter().map(str::to_owned).collect();
    let mut rows = statement.query([])?;
    let mut out = Vec::new();
    while let Some(row) = rows.next()? {
        match read(row) {
            Ok(value) => out.push(value),
            Err(error) => misfits.push(misfit(row, &names, table, seq, &error)),
        }
    }
    Ok(out)
}

fn misfit(row: &Row<'_>, names: &[String], table: &'static str, seq: Option<&str>, error: &rusqlite::Error) -> Misfit {
    let mut cells = Vec::new();
    let mut place = None;
    for (at, name) in names.iter().enumerate() {
        let Ok(value) = row.get_ref(at) else { continue };
        if seq == Some(name.as_str()) {
            place = value.as_i64().ok().and_then(|number| u64::try_from(number).ok());
        }
        cells.push(match value {
            ValueRef::Null => format!("{name} is null"),
            ValueRef::Integer(number) => format!("{name} {number}"),
            ValueRef::Real(number) => format!("{name} {number:?}"),
            ValueRef::Text(text) => format!("{name} {:?}", String::from_utf8_lossy(&text[..text.len().min(80)])),
            ValueRef::Blob(bytes) => format!("{name} of {} bytes", bytes.len()),
        });
    }
    Misfit { table, seq: place, cells: cells.join(", "), detail: error.to_string() }
}

/// A number that counts or numbers something: what is below zero does not fit.
pub(super) fn natural(row: &Row<'_>, at: usize) -> rusqlite::Result<u64> {
    let number: i64 = row.get(at)?;
    u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(at, number))
}

pub(super) fn salt_rows(connection: &Connection, misfits: &mut Vec<Misfit>) -> Result<Vec<SaltRow>, Error> {
    each(connection, "salt", "SELECT span, secret, keys FROM salt ORDER BY span", None, misfits, |row| {
        Ok(SaltRow { span: natural(row, 0)?, secret: row.get(1)?, keys: row.get(2)? })
    })
}

/// A dictionary: id, SHA-256 by its own word, bytes.
pub type DictionaryRow = (i64, Vec<u8>, Vec<u8>);

pub(super) fn dictionary_rows(connection: &Connection, misfits: &mut Vec<Misfit>) -> Result<Vec<DictionaryRow>, Error> {
    each(connection, "dictionary", "SELECT id, digest, bytes FROM dictionary ORDER BY id", None, misfits, |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    })
}

/// Holds the numbers of rows that were asked for in their order against that order, `least` being the
/// lowest that was asked for. In a damaged database a row can come again behind itself, and whoever
/// reads on from the last number would never come to an end.
pub(super) fn in_order(table: &str, least: u64, numbers: impl Iterator<Item = u64>) -> Result<(), Error> {
    let mut next = least;
    for number in numbers {
        if number < next {
            let detail = format!("the rows of its table {table} are out of order: {number} comes where {next} is due");
            return Err(Error::Damaged { path: PathBuf::from("archive.db"), detail });
        }
        next = number.saturating_add(1);
    }
    Ok(())
}

impl Reader {
    /// Up to `limit` rows of blocks that begin after record `after` (`None`: from the first on), in
    /// order, as they are stored. Rows that are none of a block are passed over: [`Reader::tables`]
    /// tells of them.
    pub fn block_rows(&self, after: Option<u64>, limit: usize) -> Result<Vec<BlockRow>, Error> {
        self.with(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT first, count, sealed, dictionary, digest, bytes FROM block
                 WHERE first > ?1 AND typeof(count) = 'integer' AND count >= 0 AND typeof(sealed) = 'integer'
                   AND typeof(dictionary) = 'integer' AND typeof(digest) = 'blob' AND typeof(bytes) = 'blob'
                 ORDER BY first LIMIT ?2",
            )?;
            let least = after.map_or(0, |after| after.saturating_add(1));
            let after = after.map_or(-1, u64::cast_signed);
            let rows = statement.query_map(params![after, i64::try_from(limit).unwrap_or(i64::MAX)], |row| {
                Ok(BlockRow {
                    first: natural(row, 0)?,
                    count: natural(row, 1)?,
                    sealed: row.get(2)?,
                    dictionary: row.get(3)?,
                    digest: row.get(4)?,
                    bytes: row.get(5)?,
                })
            })?;
            let rows: Vec<BlockRow> = rows.collect::<Result<_, _>>()?;
            in_order("block", least, rows.iter().map(|row| row.first))?;
            Ok(rows)
        })
    }
}

/// Opens blocks, and keeps for the next what decompressing takes. One for each thread.
pub struct BlockOpener<'a> {
    dictionaries: &'a HashMap<i64, Vec<u8>>,
    prepared: HashMap<i64, DecoderDictionary<'static>>,
}

impl<'a> BlockOpener<'a> {
    /// With the dictionaries of the archive, by id.
    pub fn new(dictionaries: &'a HashMap<i64, Vec<u8>>) -> Self {
        Self { dictionaries, prepared: HashMap::new() }
    }

    /// The records of a block. Every byte of it is accounted for, and its row is held against it.
    pub fn open(&mut self, row: &BlockRow) -> Result<Block, Error> {
        let first = RecordSeq(row.first);
        if row.dictionary != 0 && !self.prepared.contains_key(&row.dictionary) {
            let words = self.dictionaries.get(&row.dictionary).ok_or_else(|| Error::Corrupt {
                seq: first,
                detail: format!("the dictionary {} of its block is missing", row.dictionary),
            })?;
            let prepared = DecoderDictionary::try_copy(words).map_err(|error| Error::Corrupt {
                seq: first,
                detail: format!("the dictionary {} of its block can't be used: {error}", row.dictionary),
            })?;
            self.prepared.insert(row.dictionary, prepared);
        }
        let stored =
            Stored { first, sealed: row.sealed, dictionary: row.dictionary, digest: &row.digest, bytes: &row.bytes };
        open_stored(&stored, self.prepared.get(&row.dictionary))
    }
}

/// The leaf hash of a record, as it was computed when the record was written; `None` for one that
/// names more contents than a leaf can, which was never written.
pub fn leaf_hash(archive: &ArchiveId, secret: &SpanSecret, seq: RecordSeq, record: &Record) -> Option<Digest> {
    (record.header.attachments.len() <= MAX_ATTACHMENTS).then(|| record.leaf(archive, &secret.record_key(seq)).hash())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dictionary_that_cannot_be_loaded_is_told_of_with_the_block_that_needs_it() {
        // What a dictionary of zstd begins with, and then nothing of one.
        let damaged = [&[0x37, 0xA4, 0x30, 0xEC][..], &[0xFF; 64]].concat();
        let dictionaries = HashMap::from([(7, damaged)]);
        let row = BlockRow { first: 512, count: 256, sealed: 1, dictionary: 7, digest: Vec::new(), bytes: Vec::new() };
        let Err(Error::Corrupt { seq, detail }) = BlockOpener::new(&dictionaries).open(&row) else {
            panic!("the block was opened");
        };
        assert_eq!(seq, RecordSeq(512));
        assert!(detail.starts_with("the dictionary 7 of its block can't be used"), "{detail}");
    }

    #[test]
    fn rows_that_come_again_are_damage() {
        let numbers = |numbers: &[u64], least| in_order("block", least, numbers.iter().copied());
        assert!(numbers(&[], 7).is_ok() && numbers(&[7, 8, 20, u64::MAX], 7).is_ok());
        for (rows, least) in [(&[6][..], 7), (&[7, 7], 0), (&[312, 313, 279], 312), (&[u64::MAX, 5], 0)] {
            let Err(Error::Damaged { detail, .. }) = numbers(rows, least) else { panic!("{rows:?} from {least}") };
            assert!(detail.contains("table block are out of order"), "{detail}");
        }
    }
}
