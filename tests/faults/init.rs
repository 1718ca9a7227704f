//! `init` dies: what lies there then is a whole archive, or is none and says so.

use std::sync::mpsc::sync_channel;

use teamchat_archive::api::Patience;
use teamchat_archive::app::{self, Archive, NewArchive};
use teamchat_archive::config::Environment;
use teamchat_archive::model::Clock;
use teamchat_archive::sandbox::{self, generate};
use teamchat_archive::verify::{self, Depth};

use crate::deaths::{Remains, die_in};

#[tokio::test(flavor = "multi_thread")]
async fn what_a_death_of_init_leaves_is_an_archive_or_says_that_it_is_none() {
    let running = sandbox::start(generate::seed(10, 3), sandbox::Options::default()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("archive");
    let environment = Environment::default();
    let new = NewArchive {
        root: &root,
        server: &running.url,
        pin: None,
        ca: None,
        keys_dir: Some(folder.path().join("keys")),
    };
    let (sender, receiver) = sync_channel(64);
    let (watch, moments) = die_in(&root, sender);
    app::create(&new, &environment, &Clock::System).await.unwrap();
    drop(watch);
    let moments = moments.lock().unwrap().clone();
    let mut archives = 0;
    for Remains { number, what, archive } in receiver {
        let root = archive.layout.root();
        match Archive::open(root, &environment, &Clock::System) {
            Ok(opened) => {
                drop(opened.write().unwrap());
                opened.connect(Patience::brief(), None).unwrap();
                let own = opened.reader.own_key();
                let report = verify::check(&opened.reader, Depth::Full, own.as_ref(), &mut |_, _| {}).unwrap();
                assert!(report.ok, "after {number} ({what}): {:?}", report.findings);
                archives += 1;
            }
            Err(error) => {
                let text = error.to_string();
                let is_clear = text.contains("there is no archive at") || text.contains("may have been cut off");
                assert!(is_clear, "after {number} ({what}): {text}");
                assert_eq!(archives, 0, "after {number} ({what}), an archive is none again");
            }
        }
        // Nobody's files are written over.
        let again = app::create(&NewArchive { root, ..new.clone() }, &environment, &Clock::System).await;
        let text = again.unwrap_err().to_string();
        assert!(text.contains("is not empty"), "after {number} ({what}): {text}");
    }
    assert!(archives > 0 && moments.len() > archives + 4, "{archives} archives at {moments:?}");
    running.stop().await;
}
