//! A disk that is nearly full: messages go on, file contents wait as debts, and nothing of what did
//! not fit is stored.

use std::sync::atomic::{AtomicU32, Ordering};

use teamchat_archive::crawl::Options;
use teamchat_archive::history::{coverage, directory};
use teamchat_archive::model::Clock;
use teamchat_archive::sandbox::seed::Content;
use teamchat_archive::sandbox::{self, story};
use teamchat_archive::store::{DiskSpace, Error, Incoming};

use crate::cli::harness::{DONE, INCOMPLETE, Place, Server, list, number, string};
use crate::crawl::seed;
use crate::support::{TestArchive, World, account, assert_is_truth, differences, fold};

const ROOMY: DiskSpace = DiskSpace { free_bytes: 900 << 20, total_bytes: 1000 << 20 };
const TIGHT: DiskSpace = DiskSpace { free_bytes: 40 << 20, total_bytes: 1000 << 20 };

fn options(disk: fn(&Incoming) -> Result<DiskSpace, Error>) -> Options {
    Options { disk_reserve_percent: 5, disk, ..Options::default() }
}

/// What a folder's temporary files of contents under way leave behind.
fn left_behind(archive: &TestArchive) -> usize {
    fs_err::read_dir(archive.layout.blobs().join("incoming")).map_or(0, Iterator::count)
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_messages_go_on_and_files_are_owed_until_there_is_room() {
    let running = sandbox::start(seed(30), sandbox::Options::default()).await.unwrap();
    let archive = TestArchive::in_memory(&running.url);
    let account = account(&running).await;
    for _ in 0..2 {
        let summary = archive.crawl(&account, &options(|_| Ok(TIGHT))).await.unwrap();
        let said: Vec<&str> = summary.findings.iter().map(|finding| finding.kind).collect();
        assert_eq!((summary.result, summary.debts, said), ("partial", 2, vec!["disk_reserve"]), "{summary:?}");
        assert_eq!((summary.files.failed, summary.files.versions), (2, 0), "{summary:?}");
        let visible = World::of(&running).visible().await;
        let missing = differences(&fold(&archive.reader()), &running, &visible, true);
        assert_eq!(missing, Vec::<String>::new(), "every message is archived");
        let reader = archive.reader();
        let now = Clock::System.now();
        let covered = coverage(&reader, &directory(&reader).unwrap(), &[], &[].into(), now).unwrap();
        assert_eq!((covered.complete, covered.gaps(), covered.debts()), (false, 0, 2));
        for debt in reader.debts().unwrap() {
            for word in ["40 MiB of the disk are free", "5 % (50 MiB)", "limits.disk_reserve_percent"] {
                assert!(debt.reason.contains(word), "{word:?} is not in {:?}", debt.reason);
            }
        }
        assert_eq!((reader.blobs().unwrap().len(), left_behind(&archive)), (0, 0), "nothing of them is stored");
        archive.check();
    }
    let summary = archive.crawl(&account, &options(|_| Ok(ROOMY))).await.unwrap();
    assert_eq!((summary.result, summary.debts, summary.files.versions), ("complete", 0, 2), "{summary:?}");
    assert_is_truth(&archive, &running, &account, "there is room again").await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_meets_the_reserve_on_its_way_leaves_nothing_behind() {
    static LOOKS: AtomicU32 = AtomicU32::new(0);
    // Somebody else fills the disk while the file comes.
    let filling = |_: &Incoming| Ok(if LOOKS.fetch_add(1, Ordering::Relaxed) == 0 { ROOMY } else { TIGHT });
    let running = sandbox::start(seed(0), sandbox::Options::default()).await.unwrap();
    let workspace = running.workspace();
    for file in ["plan", "list"] {
        workspace.delete_file(file).unwrap();
    }
    let large = Content::Generated { size: 40 << 20, seed: 3 };
    workspace.upload_content("dock", "bob@harbour.example", "large.bin", large).unwrap();
    let archive = TestArchive::in_memory(&running.url);
    let account = account(&running).await;
    let summary = archive.crawl(&account, &options(filling)).await.unwrap();
    assert_eq!((summary.result, summary.debts, LOOKS.load(Ordering::Relaxed)), ("partial", 1, 2), "{summary:?}");
    assert_eq!((archive.reader().blobs().unwrap().len(), left_behind(&archive)), (0, 0));
    archive.check();
    let summary = archive.crawl(&account, &options(|_| Ok(ROOMY))).await.unwrap();
    assert_eq!((summary.result, summary.files.bytes), ("complete", 40 << 20), "{summary:?}");
    assert_is_truth(&archive, &running, &account, "there is room again").await;
    running.stop().await;
}

#[test]
fn a_reserve_in_the_settings_is_kept_and_said() {
    let server = Server::start(story::seed());
    let mut place = Place::new();
    place.enrol(&server.ready);
    // The whole disk is kept back, so that it does not matter how full it is.
    place.extra = vec![("TEAMCHAT_ARCHIVE_LIMITS__DISK_RESERVE_PERCENT".to_owned(), "100".to_owned())];
    let summary = place.run(&["crawl", "--json"]).expect(INCOMPLETE).json();
    assert!(number(&summary, "/messages/new") > 300 && number(&summary, "/files/failed") > 10, "{summary}");
    assert_eq!(number(&summary, "/files/bytes"), 0, "{summary}");
    let findings = list(&summary, "/findings");
    assert_eq!(findings.len(), 1, "{summary}");
    assert_eq!(string(&findings[0], "/kind"), "disk_reserve");
    let covered = place.run(&["coverage", "--json"]).expect(INCOMPLETE).json();
    assert!(covered.to_string().contains("limits.disk_reserve_percent"), "{covered}");
    place.verified();
    place.extra = vec![("TEAMCHAT_ARCHIVE_LIMITS__DISK_RESERVE_PERCENT".to_owned(), "0".to_owned())];
    let summary = place.crawl();
    assert!(number(&summary, "/files/bytes") > 0, "{summary}");
    place.run(&["coverage"]).expect(DONE);
    place.verified();
}
