//! A crawl dies at each moment at which that matters, and one more crawl makes up for it.
//!
//! At each moment the archive's folder is copied as it lies: what a process killed there leaves, with
//! half a transaction in the log and half a file beside its place, since no destructor of a dead
//! process runs. So one crawl dies at every moment of it. The next crawl works on the copy.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime};

use teamchat_archive::crawl::{Account, Options};
use teamchat_archive::index::{self, Indexer};
use teamchat_archive::model::RecordSeq;
use teamchat_archive::sandbox::seed::{Content as Bytes, Seed, SeedComment, SeedFile, SeedMessage};
use teamchat_archive::sandbox::{self, Running, corpus, generate};
use teamchat_archive::store::{Layout, Reader, Watch, watch};
use tempfile::TempDir;
use tokio::runtime::Handle;

use crate::content::{Content, content, differences};
use crate::flows;
use crate::harness::{aloud, files_below};
use crate::support::{TestArchive, account, assert_is_truth};

/// Crawls that go on after a death at the same time.
const HANDS: usize = 2;

/// What a death left.
pub(crate) struct Remains {
    pub(crate) number: usize,
    pub(crate) what: &'static str,
    pub(crate) archive: TestArchive,
}

/// Copies a folder as it lies at one moment: anew when the index, whose threads do not stop for us,
/// made or removed a file meanwhile.
fn copy(from: &Path) -> TempDir {
    let listing = || -> Vec<(PathBuf, Option<(u64, SystemTime)>)> {
        let facts = |path: &Path| fs_err::metadata(path).ok().map(|facts| (facts.len(), facts.modified().unwrap()));
        files_below(from).into_iter().map(|path| (path.clone(), facts(&path))).collect()
    };
    loop {
        let copied = tempfile::tempdir().unwrap();
        let before = listing();
        copy_below(from, &copied.path().join("archive"));
        if listing() == before {
            return copied;
        }
    }
}

fn copy_below(from: &Path, to: &Path) {
    fs_err::create_dir_all(to).unwrap();
    for entry in fs_err::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_below(&entry.path(), &target);
        } else if let Err(error) = fs_err::copy(entry.path(), target) {
            assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{error}");
        }
    }
}

/// Sends what a death at each moment would leave. The sender waits while nobody is free,
/// so that few copies lie on the disk at once.
pub(crate) fn die_in(folder: &Path, sender: SyncSender<Remains>) -> (Watch, Arc<Mutex<Vec<&'static str>>>) {
    let moments: Arc<Mutex<Vec<&'static str>>> = Arc::default();
    let (root, seen) = (folder.to_owned(), Arc::clone(&moments));
    let watch = watch(folder, move |what| {
        let number = {
            let mut seen = seen.lock().unwrap();
            seen.push(what);
            seen.len()
        };
        let copied = copy(&root);
        let layout = Layout::new(copied.path().join("archive"));
        sender.send(Remains { number, what, archive: TestArchive { _folder: copied, layout } }).unwrap();
    });
    (watch, moments)
}

/// What was made of what a death left: the content after one more crawl, or what went wrong.
struct Recovered {
    name: String,
    outcome: Result<Content, String>,
}

fn described(reader: &Reader, seq: u64) -> String {
    let record = reader.record(RecordSeq(seq)).unwrap();
    let header = record.header;
    format!("{:?} {:?} {} v{} {:?}", header.kind, header.channel, header.key, header.version, header.state)
}

/// What a death left is whole as it lies; so is what one more crawl makes of it, and one more adds nothing.
async fn go_on(archive: &TestArchive, account: &Account, options: &Options) -> Content {
    archive.check_records();
    // A download of another connection was under way, too.
    let incoming = archive.layout.blobs().join("incoming");
    fs_err::create_dir_all(&incoming).unwrap();
    fs_err::write(incoming.join(".tmpDead"), b"half a fi").unwrap();

    let summary = archive.crawl(account, options).await.unwrap();
    assert_eq!((summary.result, summary.debts), ("complete", 0), "{summary:?}");
    archive.check();
    let reader = archive.reader();
    let head = reader.head().unwrap();
    let status = index::status(&archive.layout, head);
    assert_eq!((status.record, status.lag), (head, 0), "{status:?}");
    let found = content(archive);
    let again = archive.crawl(account, &Options { full: true, ..options.clone() }).await.unwrap();
    let added: Vec<String> = (head..head + again.records.added).map(|seq| described(&reader, seq)).collect();
    assert!(added.is_empty(), "a further crawl adds {added:?}");
    found
}

fn recover_all(
    remains: &Mutex<Receiver<Remains>>,
    recovered: &Mutex<Vec<Recovered>>,
    runtime: &Handle,
    account: &Account,
    options: &Options,
) {
    loop {
        let next = remains.lock().unwrap().recv();
        let Ok(Remains { number, what, archive }) = next else { return };
        let going_on = std::panic::AssertUnwindSafe(|| runtime.block_on(go_on(&archive, account, options)));
        let outcome = std::panic::catch_unwind(going_on).map_err(|panic| match panic.downcast::<String>() {
            Ok(text) => *text,
            Err(_) => "it panicked".to_owned(),
        });
        recovered.lock().unwrap().push(Recovered { name: format!("{number} ({what})"), outcome });
    }
}

/// One crawl and the index, dying at every moment; then what came of each death is held
/// against what the crawl itself came to. How many moments there were, and what went wrong.
async fn one_crawl(archive: &TestArchive, account: &Account, options: &Options) -> (usize, Vec<String>) {
    let (sender, receiver) = sync_channel(1);
    let (watch, moments) = die_in(archive.layout.root(), sender);
    let (receiver, recovered) = (Arc::new(Mutex::new(receiver)), Arc::new(Mutex::new(Vec::new())));
    let hands: Vec<_> = (0..HANDS)
        .map(|_| {
            let (receiver, recovered) = (Arc::clone(&receiver), Arc::clone(&recovered));
            let (runtime, account, options) = (Handle::current(), account.clone(), options.clone());
            std::thread::spawn(move || recover_all(&receiver, &recovered, &runtime, &account, &options))
        })
        .collect();
    // One thing at a time, so that no copy is made while another thread writes.
    let summary = archive.crawl(account, &Options { connections: 1, ..options.clone() }).await.unwrap();
    assert_eq!((summary.result, summary.debts), ("complete", 0), "{summary:?}");
    Indexer::open(&archive.layout).unwrap().catch_up(&archive.reader(), None, &mut |_| {}).unwrap();
    drop(watch);
    for hand in hands {
        hand.join().unwrap();
    }
    archive.check();
    let due = content(archive);
    let moments = moments.lock().unwrap().len();
    let recovered = std::mem::take(&mut *recovered.lock().unwrap());
    assert_eq!(recovered.len(), moments, "a death was forgotten");
    let mut problems = Vec::new();
    for Recovered { name, outcome } in recovered {
        match outcome {
            Ok(is) => problems.extend(differences(&is, &due).into_iter().map(|text| format!("after {name}: {text}"))),
            Err(text) => problems.push(format!("after {name}: {text}")),
        }
    }
    (moments, problems)
}

/// The newest messages of the channels, those of channels with more first: they can be changed,
/// and an ordinary crawl sees it.
fn newest(running: &Running) -> Vec<Vec<(String, String)>> {
    let mut channels: std::collections::BTreeMap<String, Vec<(String, String)>> = Default::default();
    for item in running.workspace().truth() {
        let is_plain = item.subtype.is_empty() && item.whisper_to.is_none() && item.state == "current";
        if is_plain {
            channels.entry(item.channel.clone()).or_default().push((item.channel, item.ts));
        }
    }
    let mut channels: Vec<_> = channels.into_values().filter(|messages| messages.len() >= 3).collect();
    for messages in &mut channels {
        messages.sort_by(|a, b| b.1.cmp(&a.1));
    }
    channels.sort_by_key(|messages| std::cmp::Reverse(messages.len()));
    channels
}

/// The crawls that die, one after the other, and what the server did before each.
const FIRST: &str = "first crawl";
const CHANGES: &str = "crawl of every kind of change";
const CHANGES_BACK: &str = "full crawl after deletions were taken back";
const STAGES: &[&str] = &[FIRST, CHANGES, CHANGES_BACK];

/// What happens on the server between the crawls; in each stage another crawl dies.
pub(crate) struct Story {
    pub(crate) running: Running,
    files: Vec<String>,
    comments: Vec<String>,
}

impl Story {
    pub(crate) async fn begin(seed: Seed) -> Self {
        let running = sandbox::start(seed, sandbox::Options::default()).await.unwrap();
        let workspace = running.workspace();
        let me = running.username.clone();
        let channels = newest(&running);
        let (mut files, mut comments) = (Vec::new(), Vec::new());
        for (number, messages) in channels.iter().take(3).enumerate() {
            let channel = &messages[0].0;
            // An ordinary crawl looks an hour back, so what is to change must be new.
            let said: Vec<String> =
                (0..4).map(|line| workspace.post(channel, &me, &format!("new line {line}")).unwrap()).collect();
            let ts = &said[0];
            let bytes = format!("what stands in file {number}").into_bytes();
            let (file, _) = workspace.upload(channel, &me, &format!("{number}.txt"), bytes).unwrap();
            comments.push(workspace.comment(&file, &me, &format!("about file {number}")).unwrap());
            files.push(file);
            workspace.pin(channel, ts, &me, number == 0).unwrap();
            workspace.react(channel, ts, &me, "tea").unwrap();
        }
        Self { running, files, comments }
    }

    /// Every kind of change.
    pub(crate) fn change(&self) {
        let workspace = self.running.workspace();
        let me = &self.running.username;
        let channels = newest(&self.running);
        for (number, messages) in channels.iter().take(3).enumerate() {
            let [(channel, edited), (_, deleted), (_, reacted), ..] = messages.as_slice() else { unreachable!() };
            workspace.edit(channel, edited, None, &format!("edited {number}")).unwrap();
            workspace.delete(channel, deleted, None).unwrap();
            workspace.react(channel, reacted, me, "wave").unwrap();
            workspace.pin(channel, reacted, me, false).unwrap();
            workspace.post(channel, me, &format!("posted {number}")).unwrap();
        }
        workspace.replace_file(&self.files[0], b"what stands there instead".to_vec()).unwrap();
        workspace.edit_comment(&self.comments[0], "about file 0, in other words").unwrap();
        workspace.delete_comment(&self.comments[1]).unwrap();
        workspace.comment(&self.files[1], me, "a comment in its place").unwrap();
        workspace.upload(&channels[1][0].0, me, "late.txt", b"one more".to_vec()).unwrap();
        workspace.delete_file(&self.files[2]).unwrap();
    }

    /// What was deleted is back, and what was edited is edited again.
    fn change_back(&self) {
        let workspace = self.running.workspace();
        for item in workspace.truth() {
            if item.state == "deleted" {
                // A file's message goes and comes with its file.
                let _ = workspace.restore(&item.channel, &item.ts);
            } else if item.versions.len() > 1 {
                workspace.edit(&item.channel, &item.ts, None, "edited once more").unwrap();
            }
        }
        workspace.rename_channel(&self.running.workspace().channels()[0].0, "under-another-name").unwrap();
    }

    /// Plays it all, or the first crawl alone.
    async fn play(self, stages: &[&str]) {
        let archive = TestArchive::new(&self.running.url);
        let account = account(&self.running).await;
        let full = Options { full: true, ..Options::default() };
        let mut problems = Vec::new();
        for stage in stages {
            let began = Instant::now();
            match *stage {
                CHANGES => self.change(),
                CHANGES_BACK => self.change_back(),
                _ => {}
            }
            let options = if *stage == CHANGES_BACK { &full } else { &Options::default() };
            let (moments, found) = one_crawl(&archive, &account, options).await;
            assert_is_truth(&archive, &self.running, &account, stage).await;
            aloud(&format!("{stage}: a death at each of {moments} moments, {:?}", began.elapsed()));
            assert!(moments > 20, "{stage}: only {moments} moments");
            problems.extend(found.into_iter().map(|text| format!("{stage}, {text}")));
        }
        self.running.stop().await;
        assert!(problems.is_empty(), "{} differences:\n{}", problems.len(), problems.join("\n"));
    }
}

/// A small generated workspace, with a file in two channels and `more` messages in the first.
pub(crate) fn generated(more: usize) -> Seed {
    let mut seed = generate::seed(60, 11);
    let first = &seed.channels[0].key;
    let model = seed.messages.iter().rfind(|message| message.channel == *first && message.subtype.is_empty());
    let model = model.unwrap().clone();
    seed.messages.extend((1..=more).map(|number| SeedMessage {
        at: model.at + i64::try_from(number).unwrap(),
        ts: String::new(),
        text: format!("line {number}"),
        label: String::new(),
        files: Vec::new(),
        ..model.clone()
    }));
    seed.files.push(SeedFile {
        key: "old".to_owned(),
        name: "old.bin".to_owned(),
        user: model.user.clone(),
        channels: vec![seed.channels[0].key.clone(), seed.channels[1].key.clone()],
        created: model.at,
        content: Bytes::Bytes(vec![7; 5000]),
        comments: vec![SeedComment { user: model.user, text: "an old comment".to_owned(), created: model.at }],
        ..SeedFile::default()
    });
    seed
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_at_any_moment_of_a_generated_workspace_is_made_up_for() {
    Story::begin(generated(0)).await.play(STAGES).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_between_the_pages_of_a_channel_is_made_up_for() {
    let running = sandbox::start(generated(1010), sandbox::Options::default()).await.unwrap();
    let story = Story { running, files: Vec::new(), comments: Vec::new() };
    story.play(&[FIRST]).await;
}

/// For `make soak`.
#[tokio::test(flavor = "multi_thread")]
async fn a_death_at_any_moment_of_the_small_corpus_is_made_up_for() {
    let Some(folder) = flows::corpus_folder("small") else { return };
    Story::begin(corpus::load(&folder).unwrap()).await.play(STAGES).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_at_any_moment_of_a_rebuild_leaves_an_index() {
    let running = sandbox::start(generate::seed(60, 11), sandbox::Options::default()).await.unwrap();
    let archive = TestArchive::new(&running.url);
    archive.crawl(&account(&running).await, &Options::default()).await.unwrap();
    archive.check();
    let (sender, receiver) = sync_channel(64);
    let (watch, moments) = die_in(archive.layout.root(), sender);
    Indexer::rebuild(&archive.layout).unwrap().catch_up(&archive.reader(), None, &mut |_| {}).unwrap();
    drop(watch);
    let moments = moments.lock().unwrap().clone();
    assert!(moments.contains(&"earlier generation about to be removed") && moments.len() > 6, "{moments:?}");
    let head = archive.reader().head().unwrap();
    for Remains { number, what, archive } in receiver {
        // The generation that served serves until the new one is whole.
        let status = index::status(&archive.layout, head);
        assert_eq!((status.record, status.lag), (head, 0), "after {number} ({what}): {status:?}");
        archive.check();
        Indexer::rebuild(&archive.layout).unwrap().catch_up(&archive.reader(), None, &mut |_| {}).unwrap();
        archive.check();
        let generations = fs_err::read_dir(archive.layout.index()).unwrap();
        let names: Vec<String> = generations.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        assert_eq!(names.len(), 2, "after {number} ({what}): one generation and CURRENT: {names:?}");
    }
    running.stop().await;
}
