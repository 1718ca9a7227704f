//! The story told to its end and crawled, once for all tests that only read it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, mpsc};

use teamchat_archive::crawl::Options;
use teamchat_archive::index::Indexer;
use teamchat_archive::sandbox::{self, Running, story};
use teamchat_archive::store::Layout;

use crate::support::{TestArchive, account, in_memory};

/// An archive of the story, and the sandbox that it is of.
pub(super) struct Told {
    pub(super) running: Arc<Running>,
    /// The files of the archive: a folder would stay behind, since nothing ends what all tests share.
    files: Vec<(PathBuf, Vec<u8>)>,
}

impl Told {
    /// Tells it now, with what `more` makes of it between the two crawls.
    pub(super) async fn tell(more: impl FnOnce(&Running)) -> (Running, TestArchive) {
        let running = sandbox::start(story::seed(), sandbox::Options::default()).await.unwrap();
        let archive = TestArchive::in_memory(&running.url);
        let account = account(&running).await;
        archive.crawl(&account, &Options::default()).await.unwrap();
        more(&running);
        archive.crawl(&account, &Options { full: true, ..Options::default() }).await.unwrap();
        Indexer::open(&archive.layout).unwrap().catch_up(&archive.reader(), None, &mut |_| {}).unwrap();
        (running, archive)
    }

    /// The one that all share. Its sandbox is served by a thread of its own: the runtime of a test ends with the test.
    pub(super) fn once() -> &'static Self {
        static TOLD: OnceLock<Told> = OnceLock::new();
        TOLD.get_or_init(|| {
            let (tell, told) = mpsc::channel();
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let (running, archive) = Self::tell(|running| running.play_later().unwrap()).await;
                    let mut files = Vec::new();
                    read_below(archive.layout.root(), Path::new(""), &mut files);
                    tell.send(Self { running: Arc::new(running), files }).unwrap();
                    std::future::pending::<()>().await;
                });
            });
            told.recv().expect("the story was told")
        })
    }

    /// An archive of it for one test.
    pub(super) fn archive(&self) -> TestArchive {
        let folder = in_memory();
        let layout = Layout::new(folder.path().join("archive"));
        for (path, bytes) in &self.files {
            let path = layout.root().join(path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, bytes).unwrap();
        }
        TestArchive { _folder: folder, layout }
    }
}

fn read_below(folder: &Path, name: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in fs_err::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let (path, name) = (entry.path(), name.join(entry.file_name()));
        if entry.file_type().unwrap().is_dir() {
            read_below(&path, &name, files);
        } else {
            files.push((name, fs_err::read(path).unwrap()));
        }
    }
}
