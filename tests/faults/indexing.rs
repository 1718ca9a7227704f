//! Indexing dies at each moment at which that matters: of messages that come, change and go, and of texts
//! that are read in files later. What it leaves is whole as far as it says it goes, and the next round goes
//! on from there, with no rebuild.

use std::sync::mpsc::sync_channel;

use teamchat_archive::crawl::Options;
use teamchat_archive::index::{self, Completeness, Indexer, Searcher, completeness};
use teamchat_archive::model::Clock;
use teamchat_archive::store::{Derived, DerivedReader, NewResult};

use crate::deaths::{Remains, Story, die_in, generated};
use crate::support::{TestArchive, account};

fn compared(archive: &TestArchive) -> Completeness {
    let derived = DerivedReader::open(&archive.layout).unwrap();
    completeness(&Searcher::new(&archive.layout), &archive.reader(), derived.as_ref(), &mut |_| {}).unwrap()
}

fn catch_up(archive: &TestArchive) {
    let derived = DerivedReader::open(&archive.layout).unwrap();
    Indexer::open(&archive.layout).unwrap().catch_up(&archive.reader(), derived.as_ref(), &mut |_| {}).unwrap();
}

/// Pretends to have read some of the archive's files.
fn read(archive: &TestArchive, every: usize, text: &str) {
    let mut derived = Derived::open(&archive.layout, &Clock::System).unwrap();
    for (digest, _) in archive.reader().blobs().unwrap().into_iter().step_by(every) {
        let result = NewResult {
            digest,
            status: "ok",
            engine: "test",
            version: 1,
            text,
            detail: None,
            charset: None,
            pages: None,
            is_truncated: false,
            thumbnail: Some(b"a picture"),
        };
        derived.put(&result).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_at_any_moment_of_indexing_is_made_up_for_without_a_rebuild() {
    let story = Story::begin(generated(0)).await;
    let archive = TestArchive::new(&story.running.url);
    let account = account(&story.running).await;
    archive.crawl(&account, &Options::default()).await.unwrap();
    catch_up(&archive);
    let generation = index::status(&archive.layout, 0).generation;
    assert!(generation.is_some());
    story.change();
    archive.crawl(&account, &Options { full: true, ..Options::default() }).await.unwrap();

    let (sender, receiver) = sync_channel(1024);
    let (watch, moments) = die_in(archive.layout.root(), sender);
    catch_up(&archive);
    read(&archive, 2, "what stands in a file");
    catch_up(&archive);
    // Some are read a second time, and all that were not.
    read(&archive, 1, "what a newer reader found");
    catch_up(&archive);
    drop(watch);
    let moments = moments.lock().unwrap().clone();
    for due in ["index about to be committed", "index commit prepared", "index committed", "result kept"] {
        assert!(moments.contains(&due), "{due}: {moments:?}");
    }
    let due = compared(&archive);
    assert!(due.is_whole() && due.compared == due.documents && due.canaries > 0, "{due:?}");

    for Remains { number, what, archive } in receiver {
        let name = format!("after {number} ({what})");
        let left = compared(&archive);
        assert!(left.is_whole(), "{name}: {left:?}");
        catch_up(&archive);
        let found = compared(&archive);
        assert!(found.is_whole() && found.compared == found.documents, "{name}: {found:?}");
        assert_eq!(found.documents, due.documents, "{name}");
        assert_eq!(index::status(&archive.layout, 0).generation, generation, "{name}: it was built anew");
        archive.check();
    }
    story.running.stop().await;
}
