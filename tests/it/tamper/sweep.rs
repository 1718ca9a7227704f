//! Every cell and every row of every table that is evidence is changed, one at a time. The guards do
//! not fire for the attacker and are as they should be afterwards, so that it is the content that
//! gives the attack away.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use teamchat_archive::verify::Finding;

use super::base::{BASE, Outcome, Target, on_two_copies};

/// How much is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(dead_code, reason = "the integration tests use one, the long form the other")]
pub(crate) enum Depth {
    /// One change of each cell.
    OneFlip,
    /// Every byte of every cell.
    EveryByte,
}

/// Tables that are no evidence, and why.
pub(crate) const NO_EVIDENCE: &[(&str, &str)] = &[
    ("account", "crawl state: how an account fared last"),
    ("debt", "crawl state: what is tried again"),
    ("file_state", "crawl state: what a file looked like when it was last fetched"),
    ("file_wanted", "crawl state: what is still to be fetched"),
    ("mark", "crawl state: when something was last done"),
    ("run", "crawl state: the summaries of runs; that none ended is told by the records"),
    ("told", "crawl state: deletions told by an event that are to be looked at"),
    ("unseen", "crawl state: what one account was not shown"),
    ("view", "crawl state: how a subject read to another account"),
    ("walk", "crawl state: where the next walk goes on"),
    ("anchored", "answers of keepers elsewhere, which this archive has none of: tried with the keepers"),
];

/// A row, by the names of its columns.
pub(crate) type Cells = BTreeMap<String, Value>;

/// A table of the archive.
struct Table {
    name: String,
    columns: Vec<String>,
    /// The columns of its primary key.
    key: Vec<String>,
    definition: String,
    rows: Vec<Cells>,
}

enum Change {
    /// Another value in a cell.
    Set(String, Value),
    /// A cell that its table's definition would refuse: the definition is loosened for it and put
    /// back.
    Force(String, Value),
    Delete,
    /// All but the keys of two rows is exchanged.
    Swap(Cells),
    /// The row once more, under another key.
    Insert(Cells),
}

struct Attack<'a> {
    table: &'a Table,
    row: &'a Cells,
    change: Change,
}

/// A value as SQL, exactly: text need not be UTF-8.
fn literal(value: &Value) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) => format!("{number:?}"),
        Value::Text(text) => format!("CAST(x'{}' AS TEXT)", hex(text.as_bytes())),
        Value::Blob(bytes) => format!("x'{}'", hex(bytes)),
    }
}

fn tables(connection: &Connection) -> Vec<Table> {
    let mut statement = connection
        .prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name")
        .unwrap();
    let names: Vec<(String, String)> =
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().collect::<Result<_, _>>().unwrap();
    let mut out = Vec::new();
    for (name, definition) in names {
        let mut statement = connection.prepare(&format!("SELECT name, pk FROM pragma_table_info('{name}')")).unwrap();
        let columns: Vec<(String, i64)> =
            statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().collect::<Result<_, _>>().unwrap();
        let key = columns.iter().filter(|(_, pk)| *pk > 0).map(|(name, _)| name.clone()).collect();
        let columns: Vec<String> = columns.into_iter().map(|(name, _)| name).collect();
        let mut statement = connection.prepare(&format!("SELECT {} FROM {name}", columns.join(", "))).unwrap();
        let rows = statement.query_map([], |row| {
            columns.iter().enumerate().map(|(at, name)| Ok((name.clone(), row.get::<_, Value>(at)?))).collect()
        });
        let rows = rows.unwrap().collect::<Result<Vec<Cells>, _>>().unwrap();
        out.push(Table { name, columns, key, definition, rows });
    }
    out
}

/// Other values in the place of one.
fn others(value: &Value, depth: Depth) -> Vec<Value> {
    let flipped = |bytes: &[u8]| -> Vec<Vec<u8>> {
        let places: Vec<usize> = match depth {
            Depth::OneFlip => vec![bytes.len() / 2],
            Depth::EveryByte => (0..bytes.len()).collect(),
        };
        let flip = |place: usize| {
            let mut bytes = bytes.to_vec();
            // An empty cell cannot be flipped: it is made longer.
            match bytes.get_mut(place) {
                Some(byte) => *byte ^= 1,
                None => bytes.push(b'x'),
            }
            bytes
        };
        places.into_iter().map(flip).chain([bytes[..bytes.len() / 2].to_vec()]).collect()
    };
    let others: Vec<Value> = match value {
        Value::Null => vec![Value::Blob(vec![7; 32])],
        Value::Integer(number) => match depth {
            Depth::OneFlip => vec![Value::Integer(number + 1)],
            Depth::EveryByte => {
                let flips = (0..8).map(|byte| Value::Integer(number ^ 1 << (8 * byte)));
                flips.chain([i64::MIN, i64::MAX, -1].map(Value::Integer)).collect()
            }
        },
        Value::Real(_) => unreachable!("no table holds fractions"),
        Value::Text(text) => {
            let texts = flipped(text.as_bytes()).into_iter().filter_map(|bytes| String::from_utf8(bytes).ok());
            texts.map(Value::Text).collect()
        }
        Value::Blob(bytes) => flipped(bytes).into_iter().map(Value::Blob).collect(),
    };
    others.into_iter().filter(|other| other != value).collect()
}

/// Values that the column of this one does not take.
fn strangers(value: &Value) -> Vec<Value> {
    match value {
        Value::Null => vec![Value::Integer(5)],
        Value::Integer(_) => vec![Value::Null, Value::Text("many".to_owned()), Value::Real(1.5)],
        _ => vec![Value::Null, Value::Integer(5)],
    }
}

/// Rows that are attacked at the same time where the findings about one say nothing of another: each
/// has to be named.
const TOGETHER: usize = 16;
const INDEPENDENT: &[&str] = &["subject", "span_index", "counter", "blob", "about"];

/// Attacks, those of one inner list at the same time.
fn attacks(tables: &[Table], depth: Depth) -> Vec<Vec<Attack<'_>>> {
    let mut out = Vec::new();
    for table in tables.iter().filter(|table| NO_EVIDENCE.iter().all(|(name, _)| *name != table.name)) {
        if table.rows.is_empty() {
            out.push(vec![Attack { table, row: NO_CELLS, change: Change::Insert(planted(table)) }]);
        }
        let mut of_rows: Vec<_> = (0..table.rows.len()).map(|at| on_row(table, at, depth).into_iter()).collect();
        // Far from each other, so that no two are versions of one subject or next to each other.
        let is_independent = INDEPENDENT.contains(&table.name.as_str());
        let apart = if is_independent { table.rows.len().div_ceil(TOGETHER).max(3) } else { table.rows.len() };
        for first in 0..apart {
            loop {
                let group: Vec<Attack<'_>> =
                    of_rows.iter_mut().skip(first).step_by(apart).filter_map(Iterator::next).collect();
                if group.is_empty() {
                    break;
                }
                out.push(group);
            }
        }
    }
    out.extend(tables.iter().flat_map(|table| forced(table, depth)));
    out
}

/// Cells of another kind than their column's, in the first row or in all.
fn forced(table: &Table, depth: Depth) -> Vec<Vec<Attack<'_>>> {
    if NO_EVIDENCE.iter().any(|(name, _)| *name == table.name) {
        return Vec::new();
    }
    let count = if depth == Depth::EveryByte { usize::MAX } else { 1 };
    let mut out = Vec::new();
    for row in table.rows.iter().take(count) {
        for column in &table.columns {
            let changes = strangers(&row[column]).into_iter().map(|value| Change::Force(column.clone(), value));
            out.extend(changes.map(|change| vec![Attack { table, row, change }]));
        }
    }
    out
}

fn on_row(table: &Table, at: usize, depth: Depth) -> Vec<Attack<'_>> {
    let row = &table.rows[at];
    let mut changes = Vec::new();
    for column in &table.columns {
        changes.extend(others(&row[column], depth).into_iter().map(|value| Change::Set(column.clone(), value)));
    }
    changes.push(Change::Delete);
    if let Some(next) = table.rows.get(at + 1)
        && table.columns.iter().any(|name| !table.key.contains(name) && row[name] != next[name])
    {
        changes.push(Change::Swap(next.clone()));
    }
    let mut copy = row.clone();
    let moved = if table.name == "span_index" { "max_ts" } else { table.key.last().unwrap() };
    copy.insert(moved.to_owned(), beyond(&row[moved]));
    // What must be unique beside the key is made so.
    if table.name == "channel" {
        copy.insert("id".to_owned(), beyond(&row["id"]));
    }
    changes.push(Change::Insert(copy));
    changes.into_iter().map(|change| Attack { table, row, change }).collect()
}

static NO_CELLS: &Cells = &Cells::new();

/// A row for a table that has none: numbers where the definition says so, bytes elsewhere.
fn planted(table: &Table) -> Cells {
    let kind = |name: &String| {
        let line = table.definition.lines().find(|line| line.trim_start().starts_with(&format!("{name} "))).unwrap();
        match line {
            line if line.contains("INTEGER") => Value::Integer(3),
            line if line.contains("TEXT") => Value::Text("planted".to_owned()),
            _ => Value::Blob(vec![9; 32]),
        }
    };
    table.columns.iter().map(|name| (name.clone(), kind(name))).collect()
}

/// A key that no row has.
fn beyond(value: &Value) -> Value {
    match value {
        Value::Integer(number) => Value::Integer(number.wrapping_add(1000)),
        Value::Text(text) => Value::Text(format!("{text}x")),
        Value::Blob(bytes) => {
            let mut bytes = bytes.clone();
            bytes[0] ^= 0x80;
            Value::Blob(bytes)
        }
        other => other.clone(),
    }
}

fn condition(table: &Table, row: &Cells) -> String {
    let keys: Vec<String> = table.key.iter().map(|name| format!("{name} = {}", literal(&row[name]))).collect();
    keys.join(" AND ")
}

fn set(connection: &Connection, table: &Table, row: &Cells, cells: &[(&String, &Value)]) -> rusqlite::Result<usize> {
    let cells: Vec<String> = cells.iter().map(|(name, value)| format!("{name} = {}", literal(value))).collect();
    connection.execute(&format!("UPDATE {} SET {} WHERE {}", table.name, cells.join(", "), condition(table, row)), [])
}

/// Does it. The row that `verify` has to name; `None` when SQLite has no way to do it.
fn perform(target: &Target, attack: &Attack<'_>) -> Option<Cells> {
    let Attack { table, row, change } = attack;
    let connection = target.attack();
    match change {
        Change::Set(column, value) => {
            let changed = match set(&connection, table, row, &[(column, value)]) {
                // Another row has that key already: one that none has.
                Err(_) => set(&connection, table, row, &[(column, &beyond(value))]).unwrap(),
                Ok(changed) => changed,
            };
            assert_eq!(changed, 1);
        }
        Change::Force(column, value) => {
            // A row's number is never anything else, and a key without rows of its own is never null.
            let is_done = loosened_table(connection, target, &table.name, |connection| {
                let changed = set(connection, table, row, &[(column, value)]);
                assert_ne!(changed, Ok(0), "the row is not there");
                changed.is_ok()
            });
            return is_done.then(|| (*row).clone());
        }
        Change::Delete => {
            let sql = format!("DELETE FROM {} WHERE {}", table.name, condition(table, row));
            assert_eq!(connection.execute(&sql, []).unwrap(), 1);
        }
        Change::Swap(other) => {
            let rest = |of: &'_ Cells| -> Vec<(String, Value)> {
                let names = table.columns.iter().filter(|name| !table.key.contains(name));
                names.map(|name| (name.clone(), of[name].clone())).collect()
            };
            let (mine, theirs) = (rest(row), rest(other));
            // Through a third value, where two rows must not be the same.
            if table.name == "channel" {
                set(&connection, table, row, &[(&"id".to_owned(), &Value::Text("between".to_owned()))]).unwrap();
            }
            let pairs = |of: &'_ [(String, Value)]| {
                of.iter().map(|(name, value)| (name.clone(), value.clone())).collect::<Vec<_>>()
            };
            for (place, cells) in [(other, pairs(&mine)), (*row, pairs(&theirs))] {
                let cells: Vec<(&String, &Value)> = cells.iter().map(|(name, value)| (name, value)).collect();
                assert_eq!(set(&connection, table, place, &cells).unwrap(), 1);
            }
        }
        Change::Insert(copy) => {
            let marks = vec!["?"; table.columns.len()].join(", ");
            let sql = format!("INSERT INTO {} ({}) VALUES ({marks})", table.name, table.columns.join(", "));
            let cells = table.columns.iter().map(|name| copy[name].clone());
            connection.execute(&sql, params_from_iter(cells)).unwrap();
            return Some(copy.clone());
        }
    }
    Some((*row).clone())
}

/// Runs something while a table takes whatever it is given.
pub(super) fn loosened_table<T>(
    connection: Connection,
    target: &Target,
    name: &str,
    run: impl FnOnce(&Connection) -> T,
) -> T {
    let sql = format!("SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = '{name}'");
    let definition: String = connection.query_row(&sql, [], |row| row.get(0)).unwrap();
    let loose = definition.replace(" NOT NULL", "").replace(") STRICT, WITHOUT ROWID", ") WITHOUT ROWID");
    // A column of bytes takes everything as it comes.
    let loose = loose.replace(") STRICT", ")").replace(" INTEGER,", " BLOB,").replace(" TEXT,", " BLOB,");
    let loose = loose.replace(" INTEGER\n", " BLOB\n").replace(" TEXT\n", " BLOB\n");
    rewrite(connection, name, &loose);
    let connection = target.attack();
    let out = run(&connection);
    rewrite(connection, name, &definition);
    out
}

/// Writes a definition into the schema itself. Whoever opens the file next goes by it.
pub(super) fn rewrite(connection: Connection, name: &str, definition: &str) {
    connection.pragma_update(None, "writable_schema", "ON").unwrap();
    let sql = "UPDATE sqlite_schema SET sql = ?1 WHERE name = ?2 AND type = 'table'";
    assert_eq!(connection.execute(sql, [definition, name]).unwrap(), 1);
    connection.close().unwrap();
}

fn integer(row: &Cells, name: &str) -> u64 {
    match &row[name] {
        Value::Integer(number) => number.cast_unsigned(),
        other => panic!("{name} is {other:?}"),
    }
}

fn text(row: &Cells, name: &str) -> String {
    match &row[name] {
        Value::Text(text) => text.clone(),
        Value::Blob(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        other => panic!("{name} is {other:?}"),
    }
}

/// Whether a finding names the row.
pub(crate) fn names(table: &str, row: &Cells, finding: &Finding) -> bool {
    let Finding { kind, record, path, expected, detail, .. } = finding;
    let says = |word: &str| detail.contains(word) || expected.contains(word);
    match table {
        "block" => {
            let first = integer(row, "first");
            let records = first..first + integer(row, "count");
            // The last records have no checkpoint behind them: that they are gone shows there.
            let is_last = records.end == BASE.records && *kind == "checkpoint" && *record == Some(BASE.records);
            *kind == "block" && record.is_some_and(|record| records.contains(&record)) || is_last
        }
        "node" => {
            let (level, index) = (integer(row, "level"), integer(row, "idx"));
            *kind == "node" && *record == Some(index << level) && says(&format!("level {level}, number {index}"))
        }
        "salt" => {
            let span = integer(row, "span");
            ["salt", "block", "node"].contains(kind) && record.is_some_and(|record| record / 128 == span)
        }
        "span_index" => *kind == "span_index" && *record == Some(integer(row, "block")),
        "subject" => {
            let key = text(row, "key");
            let plain = key.trim_start_matches('0').to_owned();
            *kind == "subject" && (*record == Some(integer(row, "seq")) || says(&plain))
        }
        "checkpoint" => {
            let size = integer(row, "size");
            *kind == "checkpoint" && (*record == Some(size) || says(&size.to_string()))
        }
        "channel" => *kind == "channel" && says(&text(row, "id")),
        // Under another name it is a counter that there is not.
        "counter" => *kind == "counter" && (says(&text(row, "name")) || detail.starts_with("there is no counter")),
        "about" => *kind == "about" && says(&text(row, "name")),
        "blob" => {
            let digest = text(row, "digest");
            *kind == "blob" && (says(&digest) || path.as_ref().is_some_and(|path| path.contains(&digest)))
        }
        "archive" | "source" => *kind == "archive",
        other => *kind == other,
    }
}

/// What no finding is due for, and why; see the module of `verify`.
fn is_outside(attack: &Attack<'_>) -> bool {
    match &attack.change {
        // Another time is a time. What is no time at all is found.
        Change::Set(column, Value::Text(at)) if attack.table.name == "checkpoint" && column == "at" => {
            let other = chrono::DateTime::parse_from_rfc3339(at);
            other.is_ok_and(|time| time.to_utc().to_rfc3339_opts(chrono::SecondsFormat::Millis, true) == *at)
        }
        _ => false,
    }
}

fn described(attack: &Attack<'_>) -> String {
    let short = |value: &Value| literal(value).chars().take(60).collect::<String>();
    let row: Vec<String> =
        attack.table.key.iter().filter_map(|name| Some(format!("{name} {}", short(attack.row.get(name)?)))).collect();
    let change = match &attack.change {
        Change::Set(column, value) => format!("{column} set to {}", short(value)),
        Change::Force(column, value) => format!("{column} forced to {}", short(value)),
        Change::Delete => "deleted".to_owned(),
        Change::Swap(_) => "contents swapped with the next row's".to_owned(),
        Change::Insert(_) => "a row planted".to_owned(),
    };
    format!("{} ({}): {change}", attack.table.name, row.join(", "))
}

/// Attacks each row and cell, and asks `verify`.
pub(crate) fn every_cell_and_row(depth: Depth) {
    let target = Target::new();
    let connection = Connection::open(target.layout.database()).unwrap();
    let tables = tables(&connection);
    drop(connection);
    let known: BTreeSet<&str> = tables.iter().map(|table| table.name.as_str()).collect();
    for (name, _) in NO_EVIDENCE {
        assert!(known.contains(name), "there is no table {name}");
    }
    let full: Vec<&str> =
        tables.iter().filter(|table| !table.rows.is_empty()).map(|table| table.name.as_str()).collect();
    for name in [
        "block",
        "node",
        "salt",
        "span_index",
        "subject",
        "checkpoint",
        "channel",
        "counter",
        "blob",
        "about",
        "dictionary",
    ] {
        assert!(full.contains(&name), "the archive that is attacked has no {name}");
    }
    let levels: BTreeSet<String> = tables
        .iter()
        .filter(|table| table.name == "node")
        .flat_map(|table| table.rows.iter().map(|row| literal(&row["level"])))
        .collect();
    assert!(levels.contains("7") && levels.contains("8"), "nodes of the levels {levels:?} alone");
    assert!(matches!(target.outcome(), Outcome::Clean));

    let groups = attacks(&tables, depth);
    let count: usize = groups.iter().map(Vec::len).sum();
    assert!(count > 1000, "only {count} attacks");
    on_two_copies(&groups, |target, group| {
        target.reset(&BASE.database);
        let done: Vec<(&Attack<'_>, Cells)> =
            group.iter().filter_map(|attack| Some((attack, perform(target, attack)?))).collect();
        if done.is_empty() {
            return None;
        }
        let outcome = target.outcome();
        let problems: Vec<String> = done.iter().filter_map(|(attack, row)| judged(&outcome, attack, row)).collect();
        (!problems.is_empty()).then(|| problems.join("\n"))
    });
}

/// What is wrong with what `verify` made of an attack.
fn judged(outcome: &Outcome, attack: &Attack<'_>, row: &Cells) -> Option<String> {
    let is_outside = is_outside(attack);
    match outcome {
        Outcome::Failed(error) => Some(format!("failed {}: {error}", described(attack))),
        _ if is_outside => None,
        Outcome::Clean => Some(format!("MISSED  {}", described(attack))),
        // Without its row, an archive is none; without its server, it is not read.
        Outcome::Refused(_) if attack.table.name == "archive" => None,
        Outcome::Refused(error) if attack.table.name == "source" && error.contains("the table source") => None,
        Outcome::Refused(error) => Some(format!("refused {}: {error}", described(attack))),
        Outcome::Found(findings) => {
            let is_named = findings.iter().any(|finding| names(&attack.table.name, row, finding));
            let told: Vec<String> = findings
                .iter()
                .take(3)
                .map(|finding| format!("{} {:?} {}", finding.kind, finding.record, finding.detail))
                .collect();
            (!is_named).then(|| format!("unnamed {}: {told:?}", described(attack)))
        }
    }
}
