use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::ledger::{ArchiveId, SigningKey, verify_consistency, verify_inclusion};
use crate::model::{ChannelId, Clock, MessageTs, RecordSeq};
use crate::record::{Kind, Origin};

pub(crate) struct Bench {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) layout: Layout,
}

pub(crate) fn bench() -> Bench {
    bench_in(tempfile::tempdir().unwrap())
}

fn bench_in(folder: tempfile::TempDir) -> Bench {
    let layout = Layout::new(folder.path().join("archive"));
    fs_err::create_dir_all(layout.root()).unwrap();
    let key = key();
    create(
        &layout,
        ArchiveId([5; 16]),
        &key.verifier().to_text(),
        "archive.example/t",
        "https://chat.example/",
        &clock(),
    )
    .unwrap();
    Bench { folder, layout }
}

fn key() -> SigningKey {
    SigningKey::new("archive.example/t", [8; 32]).unwrap()
}

fn clock() -> Clock {
    Clock::set(1_700_000_000_000)
}

pub(crate) fn writer(bench: &Bench) -> Writer {
    Writer::open(&bench.layout, bench.layout.lock().unwrap(), Some(key()), clock()).unwrap()
}

pub(crate) fn message(channel: &str, second: u64, version: u32, change: Change, text: &str) -> NewRecord {
    NewRecord {
        kind: Kind::Message,
        source: FIRST_SOURCE,
        channel: ChannelId::parse(channel),
        key: format!("{second}.000001"),
        version,
        change,
        origin: Origin::Observed,
        via: "channels.history",
        account: "a@b.example".to_owned(),
        run: 1,
        observed_at: clock().now(),
        tickets: 0,
        attachments: Vec::new(),
        shared_in: Vec::new(),
        body: format!("{{\"ts\":\"{second}.000001\",\"text\":\"{text}\"}}").into_bytes(),
    }
}

pub(crate) fn messages(channel: &str, seconds: impl IntoIterator<Item = u64>) -> Batch {
    let records = seconds.into_iter().map(|second| message(channel, second, 1, Change::New, "hello")).collect();
    Batch { records, changes: Vec::new() }
}

fn ts(second: u64) -> MessageTs {
    MessageTs::parse(&format!("{second}.000001")).unwrap()
}

#[test]
fn what_is_appended_is_read_back_and_proved() {
    let bench = bench();
    let mut writer = writer(&bench);
    let sizes = [1, 126, 2, 300, 5];
    let mut next = 1_000_000;
    for size in sizes {
        writer.append(messages("C1", next..next + size)).unwrap();
        next += size;
    }
    let checkpoint = writer.checkpoint().unwrap().unwrap();
    assert_eq!(checkpoint.size, sizes.iter().sum::<u64>());
    let reader = Reader::open(&bench.layout).unwrap();
    assert_eq!(reader.head().unwrap(), checkpoint.size);
    assert_eq!(reader.root(checkpoint.size).unwrap(), checkpoint.root);
    for seq in [0, 1, 126, 127, 128, 129, 300, 433] {
        let record = reader.record(RecordSeq(seq)).unwrap();
        assert_eq!(record.header.key, format!("{}.000001", 1_000_000 + seq));
        assert_eq!(record.header.n, Some(seq + 1));
        let path = reader.inclusion(RecordSeq(seq), checkpoint.size).unwrap();
        let leaf = reader.leaf_entry(RecordSeq(seq)).unwrap().hash();
        verify_inclusion(seq, checkpoint.size, &leaf, &path, &checkpoint.root).unwrap();
    }
    assert_eq!(reader.root(0).unwrap(), crate::ledger::empty_root());
    assert!(verify_consistency(1, 434, &reader.root(1).unwrap(), &checkpoint.root, &[]).is_err());
}

#[test]
fn any_split_of_a_stream_gives_the_same_root_with_the_same_salts() {
    let bench = bench();
    let mut writer = writer(&bench);
    writer.append(messages("C1", 0..200)).unwrap();
    let root = Reader::open(&bench.layout).unwrap().root(200).unwrap();
    drop(writer);
    let writer = self::writer(&bench);
    assert_eq!(writer.head(), 200);
    let again = Reader::open(&bench.layout).unwrap();
    assert_eq!(again.root(200).unwrap(), root, "opening again computes the same tree");
}

#[test]
fn blocks_of_a_channel_are_found_by_time() {
    let bench = bench();
    let mut writer = writer(&bench);
    writer.append(messages("C1", (2000..2500).rev())).unwrap();
    writer.append(messages("C2", 2000..2010)).unwrap();
    writer.append(messages("C1", (1000..1200).rev())).unwrap();
    let reader = Reader::open(&bench.layout).unwrap();
    let channel = ChannelId::parse("C1").unwrap();
    let found = reader.message_blocks(FIRST_SOURCE, &channel, ts(1100), ts(1100)).unwrap();
    assert_eq!(found.len(), 1);
    let block = reader.block(found[0].2).unwrap();
    assert!(block.records.iter().any(|record| record.header.key == "1100.000001"));
    let all = reader.message_blocks(FIRST_SOURCE, &channel, MessageTs::MIN, MessageTs::MAX).unwrap();
    assert!(all.windows(2).all(|pair| pair[0].1 >= pair[1].1), "latest first");
    assert!(
        reader
            .message_blocks(FIRST_SOURCE, &ChannelId::parse("C9").unwrap(), MessageTs::MIN, MessageTs::MAX)
            .unwrap()
            .is_empty()
    );
}

#[test]
fn versions_are_listed_and_counted() {
    let bench = bench();
    let mut writer = writer(&bench);
    writer.append(messages("C1", [5, 6, 7])).unwrap();
    let changes = [
        (5, 2, Change::Changed),
        (5, 3, Change::Changed),
        (6, 2, Change::Gone),
        (7, 2, Change::Gone),
        (7, 3, Change::Back),
    ];
    let records = changes
        .into_iter()
        .map(|(second, version, change)| message("C1", second, version, change, "changed"))
        .collect();
    writer.append(Batch { records, changes: Vec::new() }).unwrap();
    let reader = Reader::open(&bench.layout).unwrap();
    let channel = ChannelId::parse("C1").unwrap();
    let versions = reader.versions(Kind::Message, FIRST_SOURCE, Some(&channel), "5.000001").unwrap();
    assert_eq!(versions.iter().map(|row| (row.version, row.seq.0)).collect::<Vec<_>>(), [(2, 3), (3, 4)]);
    let between = reader.versions_between(Kind::Message, FIRST_SOURCE, &channel, ts(6), ts(7)).unwrap();
    assert_eq!(between.len(), 2);
    assert_eq!(between[&ts(7)].last().unwrap().change, Change::Back);
    let counters = reader.counters().unwrap();
    assert_eq!(counters["message.subjects"], 3);
    assert_eq!(counters["message.versions"], 5);
    assert_eq!(counters["message.changed"], 1);
    assert_eq!(counters["message.gone"], 1);
}

#[test]
fn a_version_twice_is_refused_and_changes_nothing() {
    let bench = bench();
    let mut writer = writer(&bench);
    writer.append(messages("C1", [5])).unwrap();
    let edit = || Batch { records: vec![message("C1", 5, 2, Change::Changed, "x")], changes: Vec::new() };
    writer.append(edit()).unwrap();
    assert!(writer.append(edit()).is_err());
    assert_eq!(writer.head(), 2);
    writer.append(messages("C1", [6])).unwrap();
    let reader = Reader::open(&bench.layout).unwrap();
    assert_eq!(reader.record(RecordSeq(2)).unwrap().header.n, Some(3), "the counter of the refused batch was not kept");
    let checkpoint = writer.checkpoint().unwrap().unwrap();
    assert_eq!(reader.root(3).unwrap(), checkpoint.root);
}

#[test]
fn one_process_writes_at_a_time() {
    let bench = bench();
    let lock = bench.layout.lock().unwrap();
    let Err(Error::Locked { holder, .. }) = bench.layout.lock() else { panic!("a second lock was given") };
    assert!(holder.unwrap().starts_with("process "));
    drop(lock);
    assert!(bench.layout.lock().is_ok());
}

#[test]
fn an_older_copy_under_a_newer_checkpoint_is_refused() {
    let bench = bench();
    let old = bench.folder.path().join("old.db");
    let mut writer = writer(&bench);
    writer.append(messages("C1", 0..10)).unwrap();
    writer.checkpoint().unwrap();
    drop(writer);
    fs_err::copy(bench.layout.database(), &old).unwrap();
    let mut writer = self::writer(&bench);
    writer.append(messages("C1", 10..20)).unwrap();
    writer.checkpoint().unwrap();
    drop(writer);
    fs_err::copy(&old, bench.layout.database()).unwrap();
    let again = Writer::open(&bench.layout, bench.layout.lock().unwrap(), Some(key()), clock());
    assert!(matches!(again, Err(Error::Rollback { size: 20, .. })));
    assert_eq!(Reader::open(&bench.layout).unwrap().head().unwrap(), 10, "reading goes on");
}

#[test]
fn a_checkpoint_file_that_says_nothing_is_named() {
    let bench = bench();
    let mut writer = writer(&bench);
    for start in [0, 10, 20] {
        writer.append(messages("C1", start..start + 10)).unwrap();
        writer.checkpoint().unwrap();
    }
    drop(writer);
    let open = || Writer::open(&bench.layout, bench.layout.lock().unwrap(), Some(key()), clock());
    let path = bench.layout.checkpoints().join("000000000010.note");
    let whole = fs_err::read(&path).unwrap();
    for bad in [&b""[..], &whole[..whole.len() / 2]] {
        fs_err::write(&path, bad).unwrap();
        assert!(matches!(open(), Err(Error::BadNote { path: named, .. }) if named == path));
    }
    fs_err::remove_file(&path).unwrap();
    assert!(open().is_ok(), "a file that is gone says nothing: it is in the database");
}

#[test]
fn every_tree_is_proved_to_be_a_beginning_of_every_later_one() {
    let bench = bench();
    let mut writer = writer(&bench);
    writer.append(messages("C1", 0..300)).unwrap();
    let reader = Reader::open(&bench.layout).unwrap();
    let sizes = [0, 1, 2, 127, 128, 129, 200, 256, 257, 300];
    for old in sizes {
        for new in sizes.into_iter().filter(|new| *new >= old) {
            let path = reader.consistency(old, new).unwrap();
            let (before, after) = (reader.root(old).unwrap(), reader.root(new).unwrap());
            assert_eq!(verify_consistency(old, new, &before, &after, &path), Ok(()), "{old} to {new}");
        }
    }
    assert!(reader.consistency(3, 2).is_err());
}

#[test]
fn an_answer_of_a_keeper_is_kept_once_and_its_debt_is_no_gap() {
    let bench = bench();
    let mut writer = writer(&bench);
    writer.append(messages("C1", 0..10)).unwrap();
    writer.checkpoint().unwrap();
    let at = clock().now();
    let sink = || "witness:w".to_owned();
    let answer = |size, evidence: &[u8]| StateChange::Anchored { size, sink: sink(), at, evidence: evidence.to_vec() };
    let mut change = |changes| writer.append(Batch { records: Vec::new(), changes }).unwrap();
    change(vec![
        answer(10, b"first"),
        StateChange::Owed { kind: "anchor", key: sink(), reason: "out of reach".to_owned(), at },
    ]);
    change(vec![answer(10, b"second"), answer(7, b"earlier")]);
    let reader = Reader::open(&bench.layout).unwrap();
    let kept: Vec<(u64, Vec<u8>)> =
        reader.anchored().unwrap().into_iter().map(|row| (row.size, row.evidence)).collect();
    assert_eq!(kept, [(7, b"earlier".to_vec()), (10, b"first".to_vec())]);
    assert_eq!(reader.last_anchored("witness:w").unwrap().unwrap().size, 10);
    assert_eq!(reader.last_anchored("witness:x").unwrap(), None);
    assert!(reader.debts().unwrap().is_empty());
    assert_eq!(reader.anchor_debts().unwrap()[0].reason, "out of reach");
    change(vec![StateChange::Paid { kind: "anchor", key: sink() }]);
    assert!(reader.anchor_debts().unwrap().is_empty());
}

#[test]
fn a_changed_byte_in_a_block_is_named() {
    let bench = bench();
    let mut writer = writer(&bench);
    writer.append(messages("C1", 0..10)).unwrap();
    drop(writer);
    let connection = rusqlite::Connection::open(bench.layout.database()).unwrap();
    connection
        .execute_batch("DROP TRIGGER block_update; UPDATE block SET bytes = CAST(substr(bytes, 1, 30) || x'ff' || substr(bytes, 32) AS BLOB);")
        .unwrap();
    let reader = Reader::open(&bench.layout).unwrap();
    assert!(matches!(reader.record(RecordSeq(3)), Err(Error::Corrupt { seq: RecordSeq(0), .. })));
}

#[test]
fn walks_debts_and_accounts_are_kept_with_their_records() {
    let bench = bench();
    let mut writer = writer(&bench);
    let run = writer.start_run("crawl").unwrap();
    let walk = WalkRow {
        account: "a@b.example".to_owned(),
        source: FIRST_SOURCE,
        channel: ChannelId::parse("C1").unwrap(),
        pin: Some(ts(9)),
        standing: Standing::default(),
        walked_until: None,
        result: WalkResult::UnderWay,
        run,
    };
    let at = clock().now();
    let owed = |reason: &str| StateChange::Owed { kind: "file", key: "F1".to_owned(), reason: reason.to_owned(), at };
    let mut batch = messages("C1", 0..3);
    batch.changes = vec![StateChange::Walk(walk.clone()), owed("no ticket"), owed("still none")];
    writer.append(batch).unwrap();
    let reader = Reader::open(&bench.layout).unwrap();
    assert_eq!(reader.walks().unwrap(), std::slice::from_ref(&walk));
    assert_eq!(reader.walkers().unwrap(), ["a@b.example"]);
    let others = [("b", "C1"), ("b", "C2"), ("a", "C7"), ("c", "C1"), ("a@b.example", "C3")];
    let walked = |(account, channel): (&str, &str)| {
        let channel = ChannelId::parse(channel).unwrap();
        StateChange::Walk(WalkRow { account: account.to_owned(), channel, ..walk.clone() })
    };
    writer.append(Batch { records: Vec::new(), changes: others.map(walked).to_vec() }).unwrap();
    assert_eq!(reader.walkers().unwrap(), ["a", "a@b.example", "b", "c"]);
    let debts = reader.debts().unwrap();
    assert_eq!((debts[0].tries, debts[0].reason.as_str()), (2, "still none"));
    writer
        .append(Batch { records: Vec::new(), changes: vec![StateChange::Paid { kind: "file", key: "F1".to_owned() }] })
        .unwrap();
    assert!(reader.debts().unwrap().is_empty());
}

#[test]
fn a_proof_is_of_what_was_signed_and_there_is_none_of_what_was_not() {
    let bench = bench();
    let mut writer = writer(&bench);
    writer.append(messages("C1", 0..130)).unwrap();
    let reader = Reader::open(&bench.layout).unwrap();
    assert!(matches!(reader.proof(RecordSeq(0)), Err(ProofError::NoCheckpoint)));
    let checkpoint = writer.checkpoint().unwrap().unwrap();
    writer.append(messages("C1", 130..131)).unwrap();
    for seq in [0, 127, 128, 129].map(RecordSeq) {
        let proof = reader.proof(seq).unwrap();
        assert_eq!(proof.checkpoint, checkpoint);
        assert_eq!(proof.opening.entry(), reader.leaf_entry(seq).unwrap());
        assert!(proof.to_text().ends_with(&format!("\n\n{}", proof.note)));
    }
    let later = reader.proof(RecordSeq(130));
    assert!(matches!(later, Err(ProofError::Uncovered { seq: RecordSeq(130), size: 130 })), "{later:?}");
}

/// An archive that looks as if it held `spans` whole spans, as far as an append looks at it: all tables
/// that grow with it have as many rows as they would.
fn seeded(spans: u64) -> Bench {
    let bench = bench_in(tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap());
    let connection = rusqlite::Connection::open(bench.layout.database()).unwrap();
    let numbers =
        |count: u64| format!("WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {count})");
    let mut sql = String::from("PRAGMA synchronous = OFF; BEGIN;");
    for level in 0..64 {
        if spans >> level > 0 {
            let numbers = numbers(spans >> level);
            sql.push_str(&format!("{numbers} INSERT INTO node SELECT {level} + 7, i, randomblob(32) FROM n;"));
        }
    }
    let numbers = numbers(spans);
    for insert in [
        "INSERT INTO salt SELECT i, randomblob(32), NULL FROM n",
        "INSERT INTO block SELECT i * 128, 128, 0, 0, randomblob(32), randomblob(64) FROM n",
        "INSERT INTO channel SELECT i + 1, 1, 'S' || i, 128 FROM n",
        "INSERT INTO span_index SELECT i + 1, i, i, i * 128 FROM n",
        "INSERT INTO subject SELECT 2, 1, 0, 'F' || i, 1, i * 128, 0 FROM n",
    ] {
        sql.push_str(&format!("{numbers} {insert};"));
    }
    sql.push_str("COMMIT; PRAGMA wal_checkpoint(TRUNCATE);");
    connection.execute_batch(&sql).unwrap();
    bench
}

#[test]
fn an_append_costs_at_ten_million_records_what_it_costs_at_ten_thousand() {
    let benches = [80, 80_000].map(|spans| (spans, seeded(spans)));
    let mut writers = benches.each_ref().map(|(spans, bench)| {
        let mut writer = writer(bench);
        assert_eq!(writer.head(), spans * SPAN);
        // The log is not emptied meanwhile, so that its length says what was written.
        writer.connection.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
        // Channels that are known, as after a pass: many in the large archive.
        let known = (0..spans / 40).map(|n| message(&format!("S{n}"), 5_000_000, 1, Change::New, "known")).collect();
        writer.append(Batch { records: known, changes: Vec::new() }).unwrap();
        writer
    });
    let log = |bench: &Bench| fs_err::metadata(bench.layout.root().join("archive.db-wal")).unwrap().len();
    let before = benches.each_ref().map(|(_, bench)| log(bench));
    let steps = writers.each_ref().map(|writer| {
        let steps = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&steps);
        let each = move || {
            count.fetch_add(1, Ordering::Relaxed);
            false
        };
        writer.connection.progress_handler(1, Some(each)).unwrap();
        steps
    });
    let rounds = 101;
    for round in 0..rounds {
        for writer in &mut writers {
            writer.append(messages("S1", [6_000_000 + round])).unwrap();
        }
    }
    // Steps of SQLite's machine: one that searched a table from its beginning would take thousands more.
    let [small, large] = steps.map(|steps| steps.load(Ordering::Relaxed) / rounds);
    assert!(small > 10 && large < small + small / 4, "an append takes {large} steps, in a small archive {small}");
    let written = benches
        .each_ref()
        .map(|(_, bench)| log(bench))
        .iter()
        .zip(before)
        .map(|(after, before)| (after - before) / rounds)
        .collect::<Vec<u64>>();
    // Trees are a level or two deeper there.
    assert!(written[1] < written[0] + 3 * 4096, "an append writes {written:?} bytes");
}
