//! What keepers elsewhere answered to checkpoints.

use rusqlite::{OptionalExtension as _, Row};

use super::error::Error;
use super::reader::Reader;

/// A keeper's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnchoredRow {
    /// The size of the checkpoint that it took.
    pub size: u64,
    /// Which keeper: `folder:NAME`, `witness:NAME`, `timestamp:NAME`.
    pub sink: String,
    /// When it answered.
    pub at: String,
    /// What it answered, byte for byte; empty for a folder.
    pub evidence: Vec<u8>,
}

impl Reader {
    /// All answers, by size.
    pub fn anchored(&self) -> Result<Vec<AnchoredRow>, Error> {
        self.with(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT size, sink, at, evidence FROM anchored ORDER BY size, sink")?;
            let rows = statement.query_map([], anchored_row)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// The answer of a keeper to the largest checkpoint that it took.
    pub fn last_anchored(&self, sink: &str) -> Result<Option<AnchoredRow>, Error> {
        self.with(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT size, sink, at, evidence FROM anchored WHERE sink = ?1 ORDER BY size DESC LIMIT 1",
            )?;
            Ok(statement.query_row([sink], anchored_row).optional()?)
        })
    }
}

fn anchored_row(row: &Row<'_>) -> rusqlite::Result<AnchoredRow> {
    Ok(AnchoredRow {
        size: row.get::<_, i64>(0)?.cast_unsigned(),
        sink: row.get(1)?,
        at: row.get(2)?,
        evidence: row.get(3)?,
    })
}
