//! Attacks through SQLite itself on an archive that is open: what the guards refuse, what goes past
//! them, and guards and definitions that are tampered with.

use std::io::Write as _;

use rusqlite::{Connection, MAIN_DB};
use teamchat_archive::store::Reader;
use teamchat_archive::verify::{self, Depth, Finding};

use super::base::{Outcome, Target, key};
use super::sweep::{loosened_table, rewrite};

/// Tables that a guard keeps as they are, each with a column that is no key.
const GUARDED: &[(&str, &str)] = &[
    ("archive", "origin"),
    ("block", "bytes"),
    ("node", "hash"),
    ("salt", "secret"),
    ("span_index", "min_ts"),
    ("subject", "seq"),
    ("checkpoint", "note"),
    ("source", "server"),
    ("about", "text"),
];

fn findings(target: &Target) -> Vec<Finding> {
    match target.outcome() {
        Outcome::Found(findings) => findings,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn assert_found(target: &Target, kind: &str, words: &[&str]) {
    let found = findings(target);
    let is_it = |finding: &Finding| finding.kind == kind && words.iter().all(|word| finding.detail.contains(word));
    assert!(found.iter().any(is_it), "no {kind} finding says {words:?}: {found:?}");
}

/// An ordinary connection, as a careless tool has it.
fn connection(target: &Target) -> Connection {
    Connection::open(target.layout.database()).unwrap()
}

#[test]
fn guards_refuse_what_a_careless_tool_does() {
    let target = Target::new();
    let connection = connection(&target);
    for (table, column) in GUARDED {
        for sql in [
            format!("UPDATE {table} SET {column} = {column}"),
            format!("DELETE FROM {table}"),
            format!("INSERT OR REPLACE INTO {table} SELECT * FROM {table} LIMIT 1"),
            format!("REPLACE INTO {table} SELECT * FROM {table} LIMIT 1"),
        ] {
            let error = connection.execute(&sql, []).map(|count| panic!("{sql}: {count} rows")).unwrap_err();
            assert!(error.to_string().contains("never") || error.to_string().contains("only under"), "{sql}: {error}");
        }
    }
    connection.close().unwrap();
    assert!(matches!(target.outcome(), Outcome::Clean));
}

#[test]
fn a_row_replaced_without_its_guard_is_found_when_the_guard_is_back() {
    let target = Target::new();
    let connection = connection(&target);
    let trigger = |name: &str| -> String {
        let sql = format!("SELECT sql FROM sqlite_schema WHERE type = 'trigger' AND name = '{name}'");
        connection.query_row(&sql, [], |row| row.get(0)).unwrap()
    };
    let guard = trigger("block_replace");
    connection.execute_batch("DROP TRIGGER block_replace").unwrap();
    // The digest fits the bytes: those of another block.
    let sql = "INSERT OR REPLACE INTO block
               SELECT (SELECT min(first) FROM block), count, sealed, dictionary, digest, bytes FROM block ORDER BY first DESC LIMIT 1";
    assert_eq!(connection.execute(sql, []).unwrap(), 1);
    connection.execute_batch(&guard).unwrap();
    connection.close().unwrap();
    let found = findings(&target);
    assert!(found.iter().any(|finding| finding.kind == "block" && finding.record == Some(0)), "{found:?}");
    assert!(found.iter().all(|finding| finding.kind != "definition"), "{found:?}");
}

#[test]
fn bytes_written_past_every_guard_are_found_by_a_reader_that_was_open_before() {
    let target = Target::new();
    for (table, column) in [("block", "bytes"), ("block", "digest"), ("salt", "secret")] {
        target.reset(&super::base::BASE.database);
        let reader = Reader::open(&target.layout).unwrap();
        let last = teamchat_archive::model::RecordSeq(reader.head().unwrap() - 1);
        reader.record(last).unwrap();
        let connection = connection(&target);
        let key = if table == "salt" { "span" } else { "first" };
        let sql = format!("SELECT max({key}) FROM {table}");
        let row: i64 = connection.query_row(&sql, [], |row| row.get(0)).unwrap();
        // `sqlite3_blob_open` fires no trigger.
        let mut blob = connection.blob_open(MAIN_DB, table, column, row, false).unwrap();
        blob.write_all(b"forged").unwrap();
        blob.close().unwrap();
        let report = verify::check(&reader, Depth::Full, Some(&key_of()), &mut |_, _| {}).unwrap();
        let span = last.0 / 128 * 128;
        let is_it = |finding: &Finding| {
            ["block", "salt"].contains(&finding.kind) && finding.record.is_some_and(|record| record >= span)
        };
        assert!(report.findings.iter().any(is_it), "{table}.{column}: {:?}", report.findings);
    }
}

fn key_of() -> teamchat_archive::ledger::VerifierKey {
    key().verifier()
}

#[test]
fn each_guard_that_is_dropped_or_made_harmless_is_named() {
    let target = Target::new();
    let connection = connection(&target);
    let mut statement = connection.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").unwrap();
    let guards: Vec<(String, String)> =
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().collect::<Result<_, _>>().unwrap();
    drop(statement);
    assert!(guards.len() > 20);
    for (name, _) in &guards {
        connection.execute_batch(&format!("DROP TRIGGER {name}")).unwrap();
    }
    let found = findings(&target);
    for (name, _) in &guards {
        let is_it = |finding: &Finding| {
            finding.kind == "definition" && finding.detail.contains(name.as_str()) && finding.detail.contains("missing")
        };
        assert!(found.iter().any(is_it), "nothing says that {name} is missing: {found:?}");
    }
    for (_, sql) in &guards {
        connection.execute_batch(&sql.replace("RAISE(ABORT,", "printf(")).unwrap();
    }
    let found = findings(&target);
    for (name, _) in &guards {
        let is_it = |finding: &Finding| {
            finding.kind == "definition"
                && finding.detail.contains(name.as_str())
                && finding.detail.contains("otherwise")
        };
        assert!(found.iter().any(is_it), "nothing says that {name} is another: {found:?}");
    }
}

#[test]
fn what_is_added_to_the_definitions_is_named() {
    let target = Target::new();
    for (sql, words) in [
        ("CREATE TABLE extra (a)", ["table extra", "does not belong"]),
        ("CREATE INDEX extra ON subject (seq)", ["index extra on subject", "does not belong"]),
        ("CREATE UNIQUE INDEX extra ON node (hash)", ["index extra on node", "does not belong"]),
        ("CREATE VIEW extra AS SELECT * FROM block", ["view extra", "does not belong"]),
        (
            "CREATE TRIGGER extra AFTER INSERT ON block BEGIN DELETE FROM counter; END",
            ["trigger extra on block", "does not belong"],
        ),
        // A trigger may bear the name of a table.
        (
            "CREATE TRIGGER block AFTER INSERT ON node BEGIN DELETE FROM counter; END",
            ["trigger block on node", "does not belong"],
        ),
        ("CREATE VIRTUAL TABLE extra USING fts5(a)", ["table extra", "does not belong"]),
        ("ANALYZE", ["table sqlite_stat1", "does not belong"]),
    ] {
        target.reset(&super::base::BASE.database);
        if let Err(error) = connection(&target).execute_batch(sql) {
            // Not every SQLite has the extension.
            assert!(error.to_string().contains("no such module"), "{sql}: {error}");
            continue;
        }
        assert_found(&target, "definition", &words);
    }
}

#[test]
fn a_view_in_the_place_of_a_table_is_named() {
    for table in ["block", "node", "subject", "checkpoint", "counter", "blob"] {
        let target = Target::new();
        let connection = target.attack();
        // So that the guards go with the table instead of following its name.
        connection.pragma_update(None, "legacy_alter_table", "ON").unwrap();
        connection
            .execute_batch(&format!(
                "ALTER TABLE {table} RENAME TO hidden; CREATE VIEW {table} AS SELECT * FROM hidden"
            ))
            .unwrap();
        connection.close().unwrap();
        assert_found(&target, "definition", &["table hidden", "does not belong"]);
        assert_found(&target, "definition", &[&format!("view {table}"), "does not belong"]);
        assert_found(&target, "definition", &[&format!("table {table}"), "missing"]);
    }
}

#[test]
fn a_definition_that_takes_what_it_should_refuse_is_named() {
    for (table, from, to) in [
        ("block", ") STRICT", ")"),
        ("block", "count      INTEGER", "count      TEXT"),
        ("checkpoint", "note TEXT NOT NULL", "note TEXT"),
        ("archive", "CHECK (one = 1)", ""),
    ] {
        let target = Target::new();
        let connection = target.attack();
        let sql = format!("SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = '{table}'");
        let definition: String = connection.query_row(&sql, [], |row| row.get(0)).unwrap();
        // The columns are aligned by spaces.
        let squeezed = |text: &str| text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        let changed = squeezed(&definition).replace(&squeezed(from), &squeezed(to));
        assert_ne!(changed, squeezed(&definition));
        rewrite(connection, table, &changed);
        assert_found(&target, "definition", &[&format!("table {table}"), "otherwise"]);
    }
}

#[test]
fn cells_of_another_kind_in_many_tables_at_once_are_all_named() {
    let target = Target::new();
    let sets = [
        ("block", "UPDATE block SET count = 'many' WHERE first = 0"),
        ("node", "UPDATE node SET hash = 5 WHERE level = 7 AND idx = 0"),
        ("salt", "UPDATE salt SET secret = 'many' WHERE span = 1"),
        ("subject", "UPDATE subject SET seq = 'many' WHERE seq = (SELECT max(seq) FROM subject)"),
        ("counter", "UPDATE counter SET value = x'00' WHERE name = 'message.subjects'"),
    ];
    for (table, sql) in sets {
        loosened_table(target.attack(), &target, table, |connection| {
            assert_eq!(connection.execute(sql, []).unwrap(), 1, "{sql}");
        });
    }
    let found = findings(&target);
    for (table, _) in sets {
        assert!(found.iter().any(|finding| finding.kind == table), "nothing is said of {table}: {found:?}");
    }
}

#[test]
fn each_of_several_damaged_blocks_is_named_and_nothing_is_said_of_whole_ones() {
    let target = Target::new();
    let connection = target.attack();
    let mut statement = connection.prepare("SELECT first, count FROM block ORDER BY first").unwrap();
    let blocks: Vec<(i64, i64)> =
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().collect::<Result<_, _>>().unwrap();
    drop(statement);
    let damaged: Vec<(i64, i64)> = blocks.iter().skip(1).step_by(3).copied().collect();
    assert!(damaged.len() > 3 && blocks.len() > 9);
    for (first, _) in &damaged {
        connection.execute("UPDATE block SET bytes = x'00' WHERE first = ?1", [first]).unwrap();
    }
    connection.close().unwrap();
    let found = findings(&target);
    let named: Vec<u64> =
        found.iter().filter(|finding| finding.kind == "block").filter_map(|finding| finding.record).collect();
    let due: Vec<u64> = damaged.iter().map(|(first, _)| first.cast_unsigned()).collect();
    assert_eq!(named, due, "{found:?}");
    // A checkpoint inside a span of which a block is damaged cannot be computed; all else can.
    let others: Vec<&Finding> =
        found.iter().filter(|finding| !["block", "checkpoint"].contains(&finding.kind)).collect();
    assert!(others.is_empty(), "{others:?}");
}
