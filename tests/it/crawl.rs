//! Crawls of the sandbox, held against its own truth.

use teamchat_archive::crawl::Options;
use teamchat_archive::sandbox::{self, story};

use crate::support::{TestArchive, account};

#[tokio::test(flavor = "multi_thread")]
async fn the_story_is_archived_and_a_second_pass_adds_nothing() {
    let running = sandbox::start(story::seed(), sandbox::Options::default()).await.unwrap();
    let archive = TestArchive::new(&running.url);
    let account = account(&running).await;
    let first = archive.crawl(&account, &Options::default()).await.unwrap();
    eprintln!("{}", serde_json::to_string_pretty(&first).unwrap());
    let second = archive.crawl(&account, &Options::default()).await.unwrap();
    eprintln!("{}", serde_json::to_string_pretty(&second).unwrap());
    assert_eq!(second.records.added, 0);
    running.stop().await;
}
