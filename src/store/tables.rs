//! The tables around the records, as they stand: for those who hold them against the records.

use std::collections::HashMap;

use rusqlite::Connection;
use rusqlite::types::Type;

use super::change::Change;
use super::db::Which;
use super::error::Error;
use super::reader::Reader;
use super::rows::{DictionaryRow, Misfit, SaltRow, dictionary_rows, each, natural, salt_rows};
use super::subjects::{VersionRow, version_row};
use crate::model::SourceId;

/// A row of the subject table, as it is stored.
#[derive(Debug, Clone)]
pub struct SubjectRow {
    /// Number of the kind.
    pub kind: u8,
    /// Which server or import.
    pub source: u32,
    /// Number of the channel, 0 for none.
    pub channel: i64,
    /// The key; that of a message is padded.
    pub key: String,
    /// The version.
    pub version: VersionRow,
}

/// The tables that point into the records, at one moment.
#[derive(Debug, Default)]
pub struct Tables {
    /// Where each block begins and how many records its row says it holds.
    pub blocks: Vec<(u64, u64)>,
    /// Stored nodes: level, index, hash.
    pub nodes: Vec<(u8, u64, Vec<u8>)>,
    /// The subject table.
    pub subjects: Vec<SubjectRow>,
    /// The span index: channel, earliest, latest, block.
    pub spans: Vec<(i64, i64, i64, i64)>,
    /// Channels: number, source, id, records.
    pub channels: Vec<(i64, SourceId, String, u64)>,
    /// Counters by name.
    pub counters: HashMap<String, i64>,
    /// Secrets of spans.
    pub salts: Vec<SaltRow>,
    /// Dictionaries.
    pub dictionaries: Vec<DictionaryRow>,
    /// Checkpoints: size, note, when it was signed.
    pub checkpoints: Vec<(u64, String, String)>,
    /// Contents: SHA-256, size.
    pub blobs: Vec<(Vec<u8>, u64)>,
    /// Numbers of the rows that say which archive it is.
    pub archives: Vec<i64>,
    /// Numbers of the sources.
    pub sources: Vec<i64>,
    /// What the archive says of itself.
    pub about: Vec<(String, String)>,
    /// What the rows of the blocks say beside where they begin: first, sealed (0 or 1), id of the
    /// dictionary (0 for none).
    pub packed: Vec<(u64, i64, i64)>,
    /// Rows of tables that this version never writes: the table, the row for people.
    pub odd_rows: Vec<(&'static str, String)>,
    /// Rows that are not what their tables say.
    pub misfits: Vec<Misfit>,
}

impl Reader {
    /// Everything that points into the records, as it stands at one moment: a crawl may go on beside.
    pub fn tables(&self) -> Result<Tables, Error> {
        self.with(|connection| {
            let snapshot = connection.unchecked_transaction()?;
            let mut misfits = Vec::new();
            let tables = Tables {
                blocks: block_rows(&snapshot, &mut misfits)?,
                nodes: nodes(&snapshot, &mut misfits)?,
                subjects: subject_rows(&snapshot, &mut misfits)?,
                spans: span_rows(&snapshot, &mut misfits)?,
                channels: channel_rows(&snapshot, &mut misfits)?,
                counters: counter_rows(&snapshot, &mut misfits)?,
                salts: salt_rows(&snapshot, &mut misfits)?,
                dictionaries: dictionary_rows(&snapshot, &mut misfits)?,
                checkpoints: checkpoint_rows(&snapshot, &mut misfits)?,
                blobs: blob_rows(&snapshot, &mut misfits)?,
                about: about(&snapshot, &mut misfits)?,
                archives: numbers(&snapshot, "SELECT one FROM archive ORDER BY 1")?,
                sources: numbers(&snapshot, "SELECT id FROM source ORDER BY 1")?,
                packed: packed(&snapshot)?,
                odd_rows: odd_rows(&snapshot)?,
                misfits: Vec::new(),
            };
            let tables = Tables { misfits, ..tables };
            Ok(tables)
        })
    }

    /// Where each block begins now and how many records its row says it holds.
    pub fn block_bounds(&self) -> Result<Vec<(u64, u64)>, Error> {
        self.with(|connection| block_rows(connection, &mut Vec::new()))
    }

    /// The definitions of tables and triggers as they are, by name.
    pub fn definitions(&self) -> Result<Vec<(String, String)>, Error> {
        self.with(definitions)
    }
}

fn subject_rows(connection: &Connection, misfits: &mut Vec<Misfit>) -> Result<Vec<SubjectRow>, Error> {
    let sql = "SELECT version, seq, change, kind, source, channel, key FROM subject";
    each(connection, "subject", sql, Some("seq"), misfits, |row| {
        let change: u8 = row.get(2)?;
        natural(row, 1)?;
        if Change::from_number(change).is_none() {
            return Err(rusqlite::Error::IntegralValueOutOfRange(2, change.into()));
        }
        Ok(SubjectRow {
            kind: row.get(3)?,
            source: row.get(4)?,
            channel: row.get(5)?,
            key: row.get(6)?,
            version: version_row(row)?,
        })
    })
}

fn span_rows(connection: &Connection, misfits: &mut Vec<Misfit>) -> Result<Vec<(i64, i64, i64, i64)>, Error> {
    let sql = "SELECT channel, min_ts, max_ts, block FROM span_index ORDER BY block, channel";
    each(connection, "span_index", sql, Some("block"), misfits, |row| {
        natural(row, 3)?;
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
    })
}

fn channel_rows(
    connection: &Connection,
    misfits: &mut Vec<Misfit>,
) -> Result<Vec<(i64, SourceId, String, u64)>, Error> {
    let sql = "SELECT number, source, id, records FROM channel ORDER BY number";
    each(connection, "channel", sql, None, misfits, |row| {
        Ok((row.get(0)?, SourceId(row.get(1)?), row.get(2)?, natural(row, 3)?))
    })
}

pub(super) fn nodes(connection: &Connection, misfits: &mut Vec<Misfit>) -> Result<Vec<(u8, u64, Vec<u8>)>, Error> {
    let sql = "SELECT level, idx, hash FROM node ORDER BY level, idx";
    each(connection, "node", sql, None, misfits, |row| {
        let level: u8 = row.get(0)?;
        let index = natural(row, 1)?;
        // No tree has a node there: it would stand over more records than can be numbered.
        if level >= 64 || index > (u64::MAX >> level) {
            return Err(rusqlite::Error::IntegralValueOutOfRange(0, level.into()));
        }
        Ok((level, index, row.get(2)?))
    })
}

fn checkpoint_rows(connection: &Connection, misfits: &mut Vec<Misfit>) -> Result<Vec<(u64, String, String)>, Error> {
    let sql = "SELECT size, note, at FROM checkpoint ORDER BY size";
    each(connection, "checkpoint", sql, Some("size"), misfits, |row| Ok((natural(row, 0)?, row.get(1)?, row.get(2)?)))
}

fn blob_rows(connection: &Connection, misfits: &mut Vec<Misfit>) -> Result<Vec<(Vec<u8>, u64)>, Error> {
    let sql = "SELECT digest, size FROM blob ORDER BY digest";
    each(connection, "blob", sql, None, misfits, |row| Ok((row.get(0)?, natural(row, 1)?)))
}

fn counter_rows(connection: &Connection, misfits: &mut Vec<Misfit>) -> Result<HashMap<String, i64>, Error> {
    let sql = "SELECT name, value FROM counter";
    let rows = each(connection, "counter", sql, None, misfits, |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.into_iter().collect())
}

/// Rows of tables that nothing writes yet.
fn odd_rows(connection: &Connection) -> Result<Vec<(&'static str, String)>, Error> {
    let mut out = Vec::new();
    for (table, sql) in [
        ("erased", "SELECT 'of record ' || coalesce(seq, 'null') FROM erased"),
        ("maintenance", "SELECT coalesce(what, 'null') FROM maintenance"),
    ] {
        let mut statement = connection.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let text = row.get_ref(0)?;
            let text = text.as_bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default();
            out.push((table, text));
        }
    }
    Ok(out)
}

fn block_rows(connection: &Connection, misfits: &mut Vec<Misfit>) -> Result<Vec<(u64, u64)>, Error> {
    let sql = "SELECT first, count, sealed, dictionary, typeof(digest) AS digest, typeof(bytes) AS bytes FROM block ORDER BY first";
    each(connection, "block", sql, Some("first"), misfits, |row| {
        let (_, _): (i64, i64) = (row.get(2)?, row.get(3)?);
        for at in [4, 5] {
            if row.get::<_, String>(at)? != "blob" {
                return Err(rusqlite::Error::InvalidColumnType(at, "digest or bytes".to_owned(), Type::Text));
            }
        }
        Ok((natural(row, 0)?, natural(row, 1)?))
    })
}

fn numbers(connection: &Connection, sql: &str) -> Result<Vec<i64>, Error> {
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Of blocks whose rows fit their table: first, sealed, dictionary.
fn packed(connection: &Connection) -> Result<Vec<(u64, i64, i64)>, Error> {
    // What does not fit is told by `block_rows`.
    let mut told = Vec::new();
    let sql = "SELECT first, sealed, dictionary FROM block ORDER BY first";
    each(connection, "block", sql, None, &mut told, |row| Ok((natural(row, 0)?, row.get(1)?, row.get(2)?)))
}

fn about(connection: &Connection, misfits: &mut Vec<Misfit>) -> Result<Vec<(String, String)>, Error> {
    let sql = "SELECT name, text FROM about ORDER BY name";
    each(connection, "about", sql, None, misfits, |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Everything that is defined, each named by what it is and on which table: a trigger may bear the
/// name of a table, and a forged schema may define a name twice.
pub(super) fn definitions(connection: &Connection) -> Result<Vec<(String, String)>, Error> {
    let mut statement = connection.prepare(
        "SELECT type || ' ' || name || CASE WHEN tbl_name = name THEN '' ELSE ' on ' || tbl_name END, coalesce(sql, '')
         FROM sqlite_schema ORDER BY 1, 2",
    )?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// What the `about` table of an archive with this key must hold.
pub fn expected_about(vkey: &str) -> Vec<(String, String)> {
    let mut texts: Vec<(String, String)> =
        super::about::texts(vkey).into_iter().map(|(name, text)| (name.to_owned(), text)).collect();
    texts.sort();
    texts
}

/// The definitions as they are in a database of that format.
pub fn expected_definitions(format: i64) -> Result<Vec<(String, String)>, Error> {
    let connection = super::db::of_format(Which::Archive, format)?;
    definitions(&connection)
}
