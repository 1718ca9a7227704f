//! An archive in a temporary folder beside a sandbox, for tests.

use std::sync::Arc;

use teamchat_archive::api::{self, Connection, Credentials, Patience, Politeness, ServerOptions};
use teamchat_archive::crawl::{self, Account, Options, Summary};
use teamchat_archive::ledger::{ArchiveId, SigningKey};
use teamchat_archive::model::Clock;
use teamchat_archive::sandbox::Running;
use teamchat_archive::store::{Appender, Layout, Reader, Writer, create};

/// An archive that a test crawls into.
pub(crate) struct TestArchive {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) layout: Layout,
}

fn key() -> SigningKey {
    SigningKey::new("teamchat-archive/test", [7; 32]).unwrap()
}

impl TestArchive {
    pub(crate) fn new(server: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path().join("archive"));
        fs_err::create_dir_all(layout.root()).unwrap();
        create(
            &layout,
            ArchiveId([1; 16]),
            &key().verifier().to_text(),
            "teamchat-archive/test",
            server,
            &Clock::System,
        )
        .unwrap();
        Self { folder, layout }
    }

    pub(crate) fn reader(&self) -> Reader {
        Reader::open(&self.layout).unwrap()
    }

    /// One pass with an account; the archive is closed again afterwards.
    pub(crate) async fn crawl(&self, account: &Account, options: &Options) -> Result<Summary, crawl::Error> {
        let writer = Writer::open(&self.layout, self.layout.lock().unwrap(), Some(key()), Clock::System).unwrap();
        let (appender, thread) = Appender::start(writer);
        let outcome = crawl::run(std::slice::from_ref(account), &self.reader(), &appender, options, &()).await;
        drop(appender);
        drop(thread.join().unwrap());
        outcome
    }
}

/// As fast as it goes, and not patient with a server on the same machine.
pub(crate) fn quick() -> ServerOptions {
    ServerOptions {
        politeness: Politeness { requests_per_second: 0.0, connections: 4 },
        patience: Patience {
            first_wait: std::time::Duration::from_millis(10),
            longest_wait: std::time::Duration::from_millis(100),
            unclear_pause: std::time::Duration::from_millis(50),
            ..Patience::default()
        },
        ..ServerOptions::default()
    }
}

pub(crate) async fn account(running: &Running) -> Account {
    let connection = Arc::new(Connection::new(&running.url, &quick()).unwrap());
    let credentials =
        Credentials::Digest { username: running.username.clone(), password: running.password.clone().into() };
    let opened = connection.sign_in(&credentials).await.unwrap();
    Account {
        name: running.username.clone(),
        user_id: opened.user_id,
        reader: api::Reader::new(connection, opened.token),
    }
}
