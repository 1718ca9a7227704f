//! Compaction: what was open is sealed, and nothing that is archived changes.

use std::collections::BTreeMap;

use teamchat_archive::crawl::Options;
use teamchat_archive::history::{count_between, directory, messages_between};
use teamchat_archive::index::{Order, Paging, Request, Searcher};
use teamchat_archive::model::{ChannelId, Clock, MessageTs, RecordSeq, Scope, Zone};
use teamchat_archive::query::{Context, parse};
use teamchat_archive::record::{Kind, Record};
use teamchat_archive::sandbox::{self, Running, corpus, generate};
use teamchat_archive::store::{Compacted, FIRST_SOURCE, Reader, SealLimits, compact};
use teamchat_archive::verify::{self, Depth};

use crate::cli::flows::corpus_folder;
use crate::cli::harness::aloud;
use crate::support::{TestArchive, account, assert_is_truth};

/// Limits with which a few hundred records get a dictionary.
pub(crate) const FEW: SealLimits = SealLimits { pair_bytes: 256 * 1024, span_bytes: 1024 * 1024, train_records: 256 };

/// Everything that must be the same before and after: each record, its leaf, its proof.
struct Whole {
    records: Vec<Record>,
    leaves: Vec<Vec<u8>>,
    root: String,
    proofs: BTreeMap<u64, Vec<String>>,
}

fn whole(reader: &Reader, size: u64) -> Whole {
    let all = reader.blocks(0, usize::MAX >> 1).unwrap().into_iter().flat_map(|block| block.records);
    let records: Vec<Record> = all.take(usize::try_from(size).unwrap()).collect();
    assert_eq!(records.len() as u64, size);
    let leaves = (0..size).map(|seq| reader.leaf_entry(RecordSeq(seq)).unwrap().as_bytes().to_vec()).collect();
    let proof = |seq| {
        let path = reader.inclusion(RecordSeq(seq), size).unwrap();
        (seq, path.into_iter().map(|hash| hash.to_string()).collect())
    };
    let proofs = (0..size).step_by(37).map(proof).collect();
    Whole { records, leaves, root: reader.root(size).unwrap().to_string(), proofs }
}

fn assert_same(before: &Whole, after: &Whole) {
    for (seq, (a, b)) in before.records.iter().zip(&after.records).enumerate() {
        assert_eq!(a.header.to_line(), b.header.to_line(), "header of record {seq}");
        assert_eq!(a.body, b.body, "body of record {seq}");
    }
    assert_eq!(before.records.len(), after.records.len());
    assert_eq!(before.leaves, after.leaves);
    assert_eq!((&before.root, &before.proofs), (&after.root, &after.proofs));
}

/// What some queries find: the totals and the numbers of records.
fn found(archive: &TestArchive, queries: &[&str]) -> Vec<(u64, Vec<u64>)> {
    let reader = archive.reader();
    let (names, searcher) = (directory(&reader).unwrap(), Searcher::new(&archive.layout));
    let find = |text: &&str| {
        let parsed = parse(text, &Context { zone: Zone::UTC, now: Clock::System.now() }).unwrap();
        let request = Request {
            query: &parsed.query,
            scope: &Scope::All,
            directory: &names,
            kinds: &[],
            states: &[],
            as_of: None,
            order: Order::Newest,
            paging: Paging::Page { offset: 0, limit: 50 },
            facets: None,
        };
        let hits = searcher.search(&request).unwrap();
        (hits.total, hits.hits.iter().map(|hit| hit.seq.0).collect())
    };
    queries.iter().map(find).collect()
}

fn figures(name: &str, compacted: &Compacted) {
    let Compacted { sealed, trained, too_long, before, after } = compacted;
    aloud(&format!(
        "{name}: {sealed} records sealed, {trained} dictionaries, {too_long} spans too long; blocks {} → {}, bytes of blocks {} → {}, database {} → {}",
        before.blocks, after.blocks, before.block_bytes, after.block_bytes, before.database_bytes, after.database_bytes
    ));
}

async fn crawled(running: &Running) -> TestArchive {
    let archive = TestArchive::new(&running.url);
    archive.crawl(&account(running).await, &Options::default()).await.unwrap();
    archive.check();
    archive
}
const QUERIES: [&str; 3] = ["the", "report", "e*"];

#[tokio::test(flavor = "multi_thread")]
async fn compaction_changes_no_record_no_proof_and_no_answer() {
    let running = sandbox::start(generate::seed(900, 3), sandbox::Options::default()).await.unwrap();
    let archive = crawled(&running).await;
    // A reader of before, with its blocks in memory, goes on beside and after the compaction.
    let reader = archive.reader();
    let size = reader.head().unwrap();
    let before = whole(&reader, size);
    let answers = found(&archive, &QUERIES);
    assert!(answers.iter().any(|(total, _)| *total > 10), "{answers:?}");
    let channels: Vec<ChannelId> = reader.walks().unwrap().into_iter().map(|walk| walk.channel).collect();
    let messages = |reader: &Reader| -> Vec<(u64, Vec<String>)> {
        let all = |channel| {
            let items = messages_between(reader, FIRST_SOURCE, channel, MessageTs::MIN, MessageTs::MAX).unwrap();
            let count = count_between(reader, FIRST_SOURCE, channel, MessageTs::MIN, MessageTs::MAX).unwrap();
            (count, items.into_iter().map(|item| item.key).collect())
        };
        channels.iter().map(all).collect()
    };
    let stood = messages(&reader);

    let compacted = archive.compact(FEW);
    figures("generated", &compacted);
    assert_eq!((compacted.sealed, compacted.trained, compacted.too_long), (size / 256 * 256, 1, 0));
    assert!(compacted.after.block_bytes < compacted.before.block_bytes, "{compacted:?}");
    for reader in [&reader, &archive.reader()] {
        assert_same(&before, &whole(reader, size));
        assert_eq!(messages(reader), stood);
    }
    let sizes: Vec<usize> = archive.reader().blocks(0, 3).unwrap().iter().map(|block| block.records.len()).collect();
    assert_eq!(sizes, [256, 256, 256]);
    archive.check();
    assert_eq!(found(&archive, &QUERIES), answers);

    // The dictionary is a record, and signed; nothing else is new.
    let noted = archive.reader().newest(Kind::Dictionary).unwrap();
    assert_eq!(noted.len(), 1);
    assert_eq!(archive.reader().head().unwrap(), size + 1);
    assert_eq!(archive.reader().newest_checkpoint().unwrap().unwrap().0.size, size + 1);

    let again = archive.compact(FEW);
    assert_eq!((again.sealed, again.trained), (0, 0));
    assert_eq!(again.before.blocks, again.after.blocks);
    assert_eq!(archive.reader().head().unwrap(), size + 1, "a compaction that does nothing leaves no record");
    archive.check();
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crawl_goes_on_after_a_compaction() {
    let running = sandbox::start(generate::seed(700, 5), sandbox::Options::default()).await.unwrap();
    let archive = crawled(&running).await;
    archive.compact(FEW);
    let account = account(&running).await;
    let full = Options { full: true, ..Options::default() };
    let nothing = archive.crawl(&account, &full).await.unwrap();
    assert_eq!(nothing.records.added, 0, "what was sealed is known as before");

    let workspace = running.workspace();
    let items: Vec<_> = workspace
        .truth()
        .into_iter()
        .filter(|item| item.subtype.is_empty() && item.whisper_to.is_none() && item.state == "current")
        .collect();
    // Sealed messages are edited and deleted; new ones come one by one, each a block of its own.
    workspace.edit(&items[0].channel, &items[0].ts, None, "edited after it was sealed").unwrap();
    workspace.delete(&items[1].channel, &items[1].ts, None).unwrap();
    let changed = archive.crawl(&account, &full).await.unwrap();
    assert_eq!((changed.messages.edited, changed.messages.deleted), (1, 1), "{changed:?}");
    for number in 0..5 {
        workspace.post(&items[0].channel, &running.username, &format!("live line {number}")).unwrap();
        archive.crawl(&account, &Options::default()).await.unwrap();
    }
    archive.check();
    let reader = archive.reader();
    let size = reader.head().unwrap();
    let before = whole(&reader, size);
    let later = archive.compact(FEW);
    assert_eq!(later.trained, 0, "the dictionary of the epoch is there");
    assert_same(&before, &whole(&archive.reader(), size));
    archive.check();
    assert_is_truth(&archive, &running, &account, "after compactions").await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn long_spans_are_sealed_alone_and_too_long_ones_stay_as_they_are() {
    let running = sandbox::start(generate::seed(700, 7), sandbox::Options::default()).await.unwrap();
    let archive = crawled(&running).await;
    let size = archive.reader().head().unwrap();
    let before = whole(&archive.reader(), size);
    let pairs = size / 256;

    let none = archive.compact(SealLimits { pair_bytes: 1, span_bytes: 1, ..SealLimits::default() });
    assert_eq!((none.sealed, none.too_long), (0, 2 * pairs));
    assert_eq!(none.before, none.after);

    let alone = archive.compact(SealLimits { pair_bytes: 1, ..SealLimits::default() });
    assert_eq!((alone.sealed, alone.trained), (pairs * 256, 0), "too few records for a dictionary");
    let sizes: Vec<usize> = archive.reader().blocks(0, 2).unwrap().iter().map(|block| block.records.len()).collect();
    assert_eq!(sizes, [128, 128]);
    assert_same(&before, &whole(&archive.reader(), size));
    archive.check();

    // What was sealed once is left alone, whatever the limits are now.
    assert_eq!(archive.compact(SealLimits::default()).sealed, 0);
    archive.check();
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_what_was_sealed_is_named() {
    let running = sandbox::start(generate::seed(700, 9), sandbox::Options::default()).await.unwrap();
    let archive = crawled(&running).await;
    archive.compact(FEW);
    archive.check();
    let drop_guards = "DROP TRIGGER block_update; DROP TRIGGER dictionary_update; DROP TRIGGER dictionary_delete;";
    for (change, kind, words) in [
        ("INSERT INTO maintenance VALUES ('compact')", "maintenance", "no upkeep is under way"),
        ("UPDATE dictionary SET bytes = CAST(bytes || x'00' AS BLOB)", "dictionary", "does not match its digest"),
        ("UPDATE dictionary SET digest = zeroblob(32)", "dictionary", "does not match its digest"),
        ("UPDATE dictionary SET id = id + 1", "dictionary", "is missing"),
        ("DELETE FROM dictionary", "dictionary", "is missing"),
        ("INSERT INTO dictionary VALUES (7, zeroblob(32), x'00')", "dictionary", "no record names dictionary 7"),
        ("UPDATE block SET sealed = 0 WHERE first = 256", "block", "its row says otherwise"),
        ("UPDATE block SET sealed = 2 WHERE first = 256", "block", "its row says otherwise"),
        ("UPDATE block SET sealed = 1 WHERE sealed = 0", "block", "its row says otherwise"),
        ("UPDATE block SET dictionary = 0 WHERE first = 256", "block", "its row names 0"),
        ("UPDATE block SET dictionary = 5 WHERE first = 256", "block", "is missing"),
        (
            "UPDATE block SET dictionary = (SELECT id FROM dictionary) WHERE sealed = 0",
            "block",
            "packed with dictionary 0",
        ),
    ] {
        let copy = archive.copy();
        let connection = rusqlite::Connection::open(copy.layout.database()).unwrap();
        connection.execute_batch(&format!("{drop_guards} {change};")).unwrap();
        drop(connection);
        let report = verify::check(&copy.reader(), Depth::Full, None, &mut |_, _| {}).unwrap();
        let is_named = report.findings.iter().any(|finding| finding.kind == kind && finding.detail.contains(words));
        assert!(is_named, "{change}: {:#?}", report.findings);
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_is_not_sealed_away() {
    let running = sandbox::start(generate::seed(400, 9), sandbox::Options::default()).await.unwrap();
    let archive = crawled(&running).await;
    // A secret that is another one: what is stored reads well, and is not what was signed.
    let connection = rusqlite::Connection::open(archive.layout.database()).unwrap();
    connection
        .execute_batch("DROP TRIGGER salt_update; UPDATE salt SET secret = zeroblob(32) WHERE span = 1;")
        .unwrap();
    drop(connection);
    let blocks = archive.reader().blocks(0, 1000).unwrap().len();
    let outcome = compact(&mut archive.writer(), SealLimits::default(), &mut |_, _| {});
    let error = outcome.unwrap_err();
    assert!(error.is_integrity() && error.to_string().contains("record 128"), "{error}");
    assert_eq!(archive.reader().blocks(0, 1000).unwrap().len(), blocks, "the open blocks are there as before");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_small_corpus_is_sealed_record_for_record() {
    let Some(folder) = corpus_folder("small") else { return };
    let running = sandbox::start(corpus::load(&folder).unwrap(), sandbox::Options::default()).await.unwrap();
    let archive = crawled(&running).await;
    let size = archive.reader().head().unwrap();
    let before = whole(&archive.reader(), size);
    let compacted = archive.compact(SealLimits { train_records: 1000, ..SealLimits::default() });
    figures("small", &compacted);
    assert_eq!((compacted.sealed, compacted.trained), (size / 256 * 256, 1));
    assert!(compacted.after.block_bytes < compacted.before.block_bytes, "{compacted:?}");
    assert_same(&before, &whole(&archive.reader(), size));
    archive.check();
    running.stop().await;
}
