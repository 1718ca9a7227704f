//! A small archive that holds some of everything, made once, and copies of it to be tampered with.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use teamchat_archive::crawl::Options;
use teamchat_archive::ledger::{SigningKey, VerifierKey};
use teamchat_archive::sandbox::{self, Running, generate};
use teamchat_archive::store::{self, Layout, Reader, SealLimits};
use teamchat_archive::verify::{self, Depth, Finding};

use crate::support::{TestArchive, account};

/// The key that the archive is signed with; the attacker does not have it.
pub(crate) fn key() -> SigningKey {
    SigningKey::new("teamchat-archive/test", [7; 32]).unwrap()
}

/// The files of the archive, by their paths inside it.
pub(crate) struct Base {
    pub(crate) database: Vec<u8>,
    /// Contents and checkpoints.
    pub(crate) files: Vec<(PathBuf, Vec<u8>)>,
    pub(crate) records: u64,
}

pub(crate) static BASE: LazyLock<Base> = LazyLock::new(|| {
    // On a thread of its own: whoever asks first may be inside a runtime.
    let made = std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(make())
    });
    made.join().unwrap()
});

/// New messages, files, comments, reactions and pins in the first channels.
fn fill(running: &Running, round: usize) -> Vec<(String, String)> {
    let workspace = running.workspace();
    let me = &running.username;
    let mut out = Vec::new();
    for (number, (channel, _)) in workspace.channels().into_iter().take(4).enumerate() {
        let Ok(first) = workspace.post(&channel, me, &format!("line {round}.{number}")) else { continue };
        for line in 0..4 {
            out.push((
                channel.clone(),
                workspace.post(&channel, me, &format!("more {round}.{number}.{line}")).unwrap(),
            ));
        }
        let bytes = format!("what stands in file {round}.{number}").repeat(20).into_bytes();
        let (file, _) = workspace.upload(&channel, me, &format!("{round}-{number}.txt"), bytes).unwrap();
        let comment = workspace.comment(&file, me, &format!("about file {round}.{number}")).unwrap();
        workspace.pin(&channel, &first, me, number == 0).unwrap();
        workspace.react(&channel, &first, me, "tea").unwrap();
        if round == 1 && number == 0 {
            workspace.replace_file(&file, b"other bytes".to_vec()).unwrap();
            workspace.edit_comment(&comment, "in other words").unwrap();
        }
        out.push((channel, first));
    }
    out
}

async fn make() -> Base {
    let running = sandbox::start(generate::seed(190, 11), sandbox::Options::default()).await.unwrap();
    let archive = TestArchive::in_memory(&running.url);
    let account = account(&running).await;
    let full = Options { full: true, ..Options::default() };
    let workspace = running.workspace();
    archive.writer().describe(None).unwrap();
    archive.crawl(&account, &Options::default()).await.unwrap();
    let first = fill(&running, 0);
    archive.crawl(&account, &Options::default()).await.unwrap();
    for (at, (channel, ts)) in first.iter().enumerate() {
        match at % 4 {
            0 => workspace.edit(channel, ts, None, "said otherwise").unwrap(),
            1 => workspace.delete(channel, ts, None).unwrap(),
            2 => workspace.react(channel, ts, &running.username, "wave").unwrap(),
            _ => {}
        }
    }
    let second = fill(&running, 1);
    archive.crawl(&account, &full).await.unwrap();
    for (channel, ts) in first.iter().skip(1).step_by(8) {
        workspace.restore(channel, ts).unwrap();
    }
    for (channel, ts) in second.iter().step_by(3) {
        workspace.edit(channel, ts, None, "said otherwise, later").unwrap();
    }
    archive.crawl(&account, &full).await.unwrap();
    running.stop().await;
    // The first records in sealed blocks, with a dictionary; the last in open ones.
    let compacted = archive.compact(SealLimits { train_records: 256, ..SealLimits::default() });
    assert!(compacted.sealed > 0 && compacted.trained > 0, "{compacted:?}");
    archive.check_records();
    let records = archive.reader().head().unwrap();
    assert!(records >= 300, "only {records} records");

    let database = archive.layout.database();
    let connection = Connection::open(&database).unwrap();
    connection.pragma_update(None, "wal_checkpoint", "TRUNCATE").unwrap();
    connection.close().unwrap();
    let root = archive.layout.root().to_owned();
    let mut files = Vec::new();
    for folder in [archive.layout.blobs(), archive.layout.checkpoints()] {
        for path in files_below(&folder) {
            files.push((path.strip_prefix(&root).unwrap().to_owned(), fs_err::read(&path).unwrap()));
        }
    }
    Base { database: fs_err::read(&database).unwrap(), files, records }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for entry in fs_err::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { out.extend(files_below(&path)) } else { out.push(path) }
    }
    out.sort();
    out
}

/// What `verify` made of an archive.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Nothing is amiss.
    Clean,
    /// Something is.
    Found(Vec<Finding>),
    /// It could not even be opened, and the error says that what is stored is not what was stored.
    Refused(String),
    /// It ended in an error that says something else.
    Failed(String),
}

/// A copy of the archive, to be tampered with again and again.
pub(crate) struct Target {
    _folder: tempfile::TempDir,
    pub(crate) layout: Layout,
}

impl Target {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let layout = Layout::new(folder.path().join("archive"));
        for (path, bytes) in &BASE.files {
            let path = layout.root().join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, bytes).unwrap();
        }
        let target = Self { _folder: folder, layout };
        target.reset(&BASE.database);
        target
    }

    /// Puts this in the place of the database.
    pub(crate) fn reset(&self, database: &[u8]) {
        for end in ["-wal", "-shm"] {
            let mut path = self.layout.database().into_os_string();
            path.push(end);
            let path = PathBuf::from(path);
            if path.exists() {
                fs_err::remove_file(path).unwrap();
            }
        }
        fs_err::write(self.layout.database(), database).unwrap();
    }

    /// A connection of someone who respects neither guards nor checks.
    pub(crate) fn attack(&self) -> Connection {
        let connection = Connection::open(self.layout.database()).unwrap();
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false).unwrap();
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, false).unwrap();
        connection.pragma_update(None, "ignore_check_constraints", "ON").unwrap();
        connection.pragma_update(None, "synchronous", "OFF").unwrap();
        connection
    }

    pub(crate) fn outcome(&self) -> Outcome {
        self.outcome_by(&key().verifier())
    }

    pub(crate) fn outcome_by(&self, key: &VerifierKey) -> Outcome {
        let checked = Reader::open(&self.layout)
            .and_then(|reader| verify::check(&reader, Depth::Full, Some(key), &mut |_, _| {}));
        match checked {
            Ok(report) if report.findings.is_empty() => Outcome::Clean,
            Ok(report) => Outcome::Found(report.findings),
            Err(error) => {
                let is_told = error.is_integrity() || matches!(error, store::Error::Newer { .. });
                if is_told { Outcome::Refused(error.to_string()) } else { Outcome::Failed(error.to_string()) }
            }
        }
    }
}

/// Runs `judge` on each of many attacks, on two copies at once; what it says is collected.
pub(crate) fn on_two_copies<A: Sync>(attacks: &[A], judge: impl Fn(&Target, &A) -> Option<String> + Sync) {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let problems: Vec<String> = std::thread::scope(|scope| {
        let hands: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let target = Target::new();
                    let mut out = Vec::new();
                    while let Some(attack) = attacks.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
                        out.extend(judge(&target, attack));
                    }
                    out
                })
            })
            .collect();
        hands.into_iter().flat_map(|hand| hand.join().unwrap()).collect()
    });
    assert!(problems.is_empty(), "{} attacks went wrong:\n{}", problems.len(), problems.join("\n"));
}
