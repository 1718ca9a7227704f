//! A compaction dies at each moment at which that matters. What it leaves is whole, and compacting again
//! comes to the same.

use std::sync::mpsc::sync_channel;

use teamchat_archive::crawl::Options;
use teamchat_archive::record::Kind;
use teamchat_archive::sandbox::{self, generate};
use teamchat_archive::store::{Reader, SealLimits};

use crate::deaths::{Remains, die_in};
use crate::support::{TestArchive, account};

/// Limits with which a few hundred records get a dictionary.
const FEW: SealLimits = SealLimits { pair_bytes: 256 * 1024, span_bytes: 1024 * 1024, train_records: 256 };

/// Every record, as it is hashed; and which blocks there are.
fn content(reader: &Reader) -> (Vec<Vec<u8>>, Vec<(u64, usize)>) {
    let blocks = reader.blocks(0, usize::MAX >> 1).unwrap();
    let sizes = blocks.iter().map(|block| (block.first.0, block.records.len())).collect();
    let records = blocks.into_iter().flat_map(|block| block.records);
    (records.map(|record| [record.header.to_line(), record.body].concat()).collect(), sizes)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_at_any_moment_of_a_compaction_is_made_up_for() {
    let running = sandbox::start(generate::seed(600, 11), sandbox::Options::default()).await.unwrap();
    let archive = TestArchive::new(&running.url);
    archive.crawl(&account(&running).await, &Options::default()).await.unwrap();
    running.stop().await;
    archive.check();
    let (before, _) = content(&archive.reader());
    let (sender, receiver) = sync_channel(256);
    let (watch, moments) = die_in(archive.layout.root(), sender);
    let whole = archive.compact(FEW);
    drop(watch);
    let moments = moments.lock().unwrap().clone();
    for what in [
        "batch about to be committed",
        "sealed block made",
        "open blocks removed",
        "sealed block about to be committed",
        "sealed block committed",
        "log emptied",
    ] {
        assert!(moments.contains(&what), "{what} is not among {moments:?}");
    }
    archive.check();
    let (records, blocks) = content(&archive.reader());
    assert_eq!(records[..before.len()], before[..], "a record was changed");
    assert_eq!((whole.trained, records.len()), (1, before.len() + 1));

    let mut deaths = 0;
    for Remains { number, what, archive } in receiver {
        let name = format!("after {number} ({what})");
        archive.check_records();
        let (left, _) = content(&archive.reader());
        assert_eq!(left[..before.len()], before[..], "{name}: a record was changed");
        archive.compact(FEW);
        archive.check_records();
        let (found, sizes) = content(&archive.reader());
        assert_eq!(found[..before.len()], before[..], "{name}: a record was changed");
        assert_eq!(sizes, blocks, "{name}: other blocks");
        assert_eq!(archive.reader().newest(Kind::Dictionary).unwrap().len(), 1, "{name}: another dictionary");
        let again = archive.compact(FEW);
        assert_eq!((again.sealed, again.trained), (0, 0), "{name}: something was left to do");
        deaths += 1;
    }
    assert_eq!(deaths, moments.len());
}
