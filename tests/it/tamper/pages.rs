//! Bytes of the file `archive.db` itself are changed, whatever they mean. Each change is found; or
//! every cell of every table that is evidence still reads as before, so that what was changed is no
//! part of what is archived: a free page, a gap in a page, a field of the header that is SQLite's own,
//! crawl state.

use rusqlite::Connection;
use rusqlite::types::Value;

use super::base::{BASE, Outcome, Target, on_two_copies};
use super::sweep::{Depth, NO_EVIDENCE};

const PAGE: usize = 4096;

/// Of every so many bytes one is changed in the long form; a prime, so that all places in a page come.
const STRIDE: usize = 37;

/// All that an archive holds as evidence: definitions, and every cell of every table; as an error,
/// what SQLite says instead.
fn evidence(path: &std::path::Path) -> rusqlite::Result<Vec<(String, Vec<Vec<Value>>)>> {
    let connection = Connection::open(path)?;
    let schema = read(&connection, "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY 1, 2")?;
    let mut out = Vec::new();
    for row in &schema {
        let (Value::Text(kind), Value::Text(name)) = (&row[0], &row[1]) else { continue };
        if kind == "table" && NO_EVIDENCE.iter().all(|(table, _)| table != name) {
            // In the order of its rows, through no index.
            out.push((name.clone(), read(&connection, &format!("SELECT * FROM \"{name}\" NOT INDEXED"))?));
        }
    }
    out.push(("definitions".to_owned(), schema));
    Ok(out)
}

fn read(connection: &Connection, sql: &str) -> rusqlite::Result<Vec<Vec<Value>>> {
    let mut statement = connection.prepare(sql)?;
    let columns = statement.column_count();
    let rows = statement.query_map([], |row| (0..columns).map(|at| row.get(at)).collect())?;
    rows.collect()
}

/// The places of the cells in the inner pages of tables: by what is changed there, SQLite finds other
/// rows than are there, or the same again and again.
fn inner_cells(bytes: &[u8]) -> Vec<usize> {
    /// The first byte of an inner page of a table, in a database's file format 4.
    const INNER: u8 = 5;
    /// The length of such a page's header.
    const HEADER: usize = 12;
    let pages = (1..bytes.len() / PAGE).map(|page| page * PAGE).filter(|start| bytes[*start] == INNER);
    let two = |at: usize| usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]));
    pages
        .flat_map(|start| (HEADER..HEADER + 2 * two(start + 3)).chain(two(start + 5)..PAGE).map(move |at| start + at))
        .collect()
}

/// Changes bytes all over the file.
pub(crate) fn every_page(depth: Depth) {
    let bytes = &BASE.database;
    assert_eq!(bytes.len() % PAGE, 0);
    let places: Vec<usize> = match depth {
        // One in each page, each time at another place of it; and the fields of the header.
        Depth::OneFlip => {
            let pages = (0..bytes.len() / PAGE).map(|page| page * PAGE + (page * 1021 + 7) % PAGE);
            pages.chain((0..100).step_by(3)).chain(inner_cells(bytes)).collect()
        }
        Depth::EveryByte => (0..bytes.len()).step_by(STRIDE).chain(inner_cells(bytes)).collect(),
    };
    let target = Target::new();
    let before = evidence(&target.layout.database()).unwrap();
    let found = std::sync::atomic::AtomicUsize::new(0);
    on_two_copies(&places, |target, place| {
        let mut changed = bytes.clone();
        changed[*place] ^= 0x55;
        target.reset(&changed);
        match target.outcome() {
            Outcome::Clean => {
                let is_as_before = evidence(&target.layout.database()).is_ok_and(|now| now == before);
                (!is_as_before).then(|| format!("MISSED  byte {} of page {}", place % PAGE, place / PAGE + 1))
            }
            Outcome::Failed(error) => Some(format!("byte {} of page {}: {error}", place % PAGE, place / PAGE + 1)),
            Outcome::Found(_) | Outcome::Refused(_) => {
                found.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                None
            }
        }
    });
    let found = found.into_inner();
    assert!(found > places.len() / 4, "only {found} of {} changes were found", places.len());
}
