//! A power cut takes back what was not synced: the write-ahead log of a crawl is cut at every frame and
//! inside frames. What is left is a beginning of the archive, and is told from the whole by the newest
//! checkpoint of the folder.

use rusqlite::Connection;
use teamchat_archive::crawl::Options;
use teamchat_archive::model::Clock;
use teamchat_archive::sandbox::{self, generate};
use teamchat_archive::store::{self, Reader, Writer};
use teamchat_archive::verify::{self, Depth};

use super::base::key;
use crate::support::{TestArchive, account};

const HEADER: usize = 32;
const FRAME: usize = 24 + 4096;

/// An archive whose database file holds nothing yet: all is in the log.
struct Logged {
    archive: TestArchive,
    database: Vec<u8>,
    log: Vec<u8>,
    /// Sizes of the checkpoints, in order.
    signed: Vec<u64>,
}

async fn logged() -> Logged {
    let running = sandbox::start(generate::seed(20, 5), sandbox::Options::default()).await.unwrap();
    let archive = TestArchive::in_memory(&running.url);
    let account = account(&running).await;
    // While this reads, nothing of the log can be moved into the database.
    let holder = Connection::open(archive.layout.database()).unwrap();
    holder.execute_batch("BEGIN; SELECT count(*) FROM block").unwrap();
    archive.crawl(&account, &Options::default()).await.unwrap();
    let (channel, _) = running.workspace().channels().remove(0);
    for round in 0..2 {
        for line in 0..3 {
            running.workspace().post(&channel, &running.username, &format!("later {round}.{line}")).unwrap();
        }
        archive.crawl(&account, &Options::default()).await.unwrap();
    }
    running.stop().await;
    let database = fs_err::read(archive.layout.database()).unwrap();
    let log = fs_err::read(archive.layout.root().join("archive.db-wal")).unwrap();
    let signed = archive.reader().checkpoints().unwrap().into_iter().map(|(size, _, _)| size).collect();
    drop(holder);
    Logged { archive, database, log, signed }
}

/// Offsets of the frames after which a transaction is committed: their header has the database's size.
fn commits(log: &[u8]) -> Vec<usize> {
    let ends = (HEADER + FRAME..=log.len()).step_by(FRAME);
    ends.filter(|end| log[end - FRAME + 4..end - FRAME + 8] != [0; 4]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_cut_anywhere_leaves_a_beginning_and_a_lost_checkpoint_is_told() {
    let Logged { archive, database, log, signed } = logged().await;
    let kept = archive.copy();
    let whole = kept.reader();
    let head = whole.head().unwrap();
    let newest = *signed.last().unwrap();
    let ends = commits(&log);
    assert!(signed.len() >= 3 && ends.len() > 20, "{} checkpoints, {} transactions", signed.len(), ends.len());
    assert_eq!((log.len() - HEADER) % FRAME, 0);

    // The log's header, each frame's end, and places inside each frame.
    let mut cuts: Vec<usize> = vec![0, 1, HEADER - 1, HEADER];
    for (number, start) in (HEADER..log.len()).step_by(FRAME).enumerate() {
        cuts.extend([start + 1 + number * 389 % (FRAME - 1), start + FRAME]);
    }
    let (mut clean, mut rolled_back, mut states) = (0, 0, 0);
    let mut before: Option<(usize, u64)> = None;
    for cut in cuts {
        let layout = &archive.layout;
        for end in ["archive.db-wal", "archive.db-shm"] {
            fs_err::remove_file(layout.root().join(end)).ok();
        }
        fs_err::write(layout.database(), &database).unwrap();
        fs_err::write(layout.root().join("archive.db-wal"), &log[..cut]).unwrap();
        let read = Reader::open(layout).unwrap();
        let found = read.head().unwrap();
        let held: Vec<u64> = read.checkpoints().unwrap().into_iter().map(|(size, _, _)| size).collect();
        // Whole transactions, and as many as there are: a cut inside one takes all of it.
        let committed = ends.iter().filter(|end| **end <= cut).count();
        let (committed_before, found_before) = before.unwrap_or_default();
        let is_onward = found >= found_before && (found == found_before || committed > committed_before);
        assert!(is_onward, "cut at {cut}: {found} records after {before:?}");
        assert!(signed.starts_with(&held), "cut at {cut}: {held:?}");
        if before.replace((committed, found)).is_some_and(|(known, _)| known == committed) {
            continue;
        }
        states += 1;
        assert_eq!(read.root(found).unwrap(), whole.root(found).unwrap(), "cut at {cut}");
        let report = verify::check(&read, Depth::Full, Some(&key().verifier()), &mut |_, _| {}).unwrap();
        let opened = Writer::open(layout, layout.lock().unwrap(), Some(key()), Clock::System);
        if held.last() == Some(&newest) {
            assert!(report.ok, "cut at {cut}: {:?}", report.findings);
            assert!(opened.is_ok());
            clean += 1;
        } else {
            assert!(!report.ok, "cut at {cut}: {found} records, and {newest} were signed");
            let is_told = report.findings.iter().all(|finding| finding.kind == "checkpoint");
            assert!(is_told, "cut at {cut}: {:?}", report.findings);
            assert!(report.findings.iter().any(|finding| finding.record == Some(newest)), "{:?}", report.findings);
            if found < newest {
                assert!(matches!(opened, Err(store::Error::Rollback { .. })), "cut at {cut}");
            }
            rolled_back += 1;
        }
    }
    assert!(clean > 0 && rolled_back > 10 && states == ends.len() + 1, "{clean} clean, {rolled_back} of {states}");
    assert_eq!(before.map(|(_, found)| found), Some(head));
    // The last cut was none.
    archive.check_records();
}
