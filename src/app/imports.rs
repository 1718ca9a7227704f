//! Makes an archive of a set in the format `native`.

use std::collections::{HashMap, HashSet};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use super::{Archive, Error, found, random};
use crate::config::{Config, Environment};
use crate::crawl;
use crate::export::{self, NativeSet, Supplied};
use crate::ledger::{ArchiveId, VerifierKey};
use crate::model::{ChannelId, Clock, Digest};
use crate::record::{First, Kind, Origin, State};
use crate::store::keys::KeyError;
use crate::store::{self, Blobs, Change, FIRST_SOURCE, Layout, NewRecord, StateChange, SuppliedRecord, Writer};

/// Records in one transaction.
const BATCH: usize = 1_000;
/// Bytes of bodies in one transaction.
const BATCH_BYTES: usize = 8 << 20;

/// Marks an archive that is being made, and the folder of its keys. Each names the other, so that what a run left
/// that was cut off can be told from anything else.
const MARK: &str = "importing";
/// The keys that an archive is made with.
const KEYS: [&str; 4] = ["ledger.key", "ledger.vkey", "access.key", "access.vkey"];

/// Makes an archive at `root`, new or empty, of the set at `bag`. Every file, record and proof of the set is
/// checked before anything is made. The records keep their bodies, versions and order; their leaves are new, and
/// each says what it was in the archive that it is from. It is made under another name, and gets its own when it
/// is whole; on an error nothing is left of it, and what a run left that was cut off is removed by the next.
/// `worker` is the program that reads files. `progress` is told how many records are imported. Gives what was
/// done, and the server that the set says was archived.
#[expect(clippy::too_many_arguments, reason = "an archive is made of all of these")]
pub fn import(
    root: &Path,
    bag: &Path,
    key: Option<&VerifierKey>,
    keys_dir: Option<PathBuf>,
    worker: Option<PathBuf>,
    environment: &Environment,
    clock: &Clock,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(crawl::Summary, String), Error> {
    if root.exists() && root.read_dir().map_err(store::Error::from)?.next().is_some() {
        return Err(store::Error::Exists(root.to_owned()).into());
    }
    let set = NativeSet::open(bag, key)?;
    let mut config = Config { keys_dir, ..Config::default() };
    config.server.url.clone_from(&set.server);
    let effective = Config::parse(&config.to_text()?, "the settings", environment)?;
    let id = ArchiveId(random()?);
    let begun = Begun::new(root, &environment.keys_folder(&effective, &id.to_string()))?;
    let made = found(id, &Layout::new(&begun.partial), &config, &effective, environment, clock)
        .and_then(|archive| fill(archive, worker, &set, progress));
    match made.and_then(|summary| begun.end(root).map(|()| summary)) {
        Ok(summary) => Ok((summary, set.server)),
        Err(error) => {
            // What can't be removed is removed by the next run, or named by it.
            drop(begun.discard());
            Err(error)
        }
    }
}

fn fill(
    mut archive: Archive,
    worker: Option<PathBuf>,
    set: &NativeSet,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<crawl::Summary, Error> {
    if let Some(program) = worker {
        archive = archive.with_worker(program);
    }
    let mut writer = archive.writer()?;
    let summary = append(&archive, &mut writer, set, progress)?;
    writer.checkpoint()?;
    archive.index(&mut |_| {})?;
    Ok(summary)
}

/// An archive that is being made: its folder under another name, and the folder of its keys.
struct Begun {
    partial: PathBuf,
    keys: PathBuf,
}

impl Begun {
    /// Marks both, after what a run left there that was cut off is removed.
    fn new(root: &Path, keys: &Path) -> Result<Self, Error> {
        let absolute = |path: &Path| std::path::absolute(path).map_err(store::Error::from);
        let root = absolute(root)?;
        let mut name = root.file_name().unwrap_or_default().to_os_string();
        name.push(".partial");
        let begun = Self { partial: root.with_file_name(name), keys: absolute(keys)? };
        if begun.partial.exists() {
            begun.left_by_another().ok_or_else(|| store::Error::Exists(begun.partial.clone()))?.discard()?;
        }
        if KEYS.iter().any(|name| begun.keys.join(name).exists()) {
            return Err(KeyError::Taken(begun.keys).into());
        }
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&begun.keys);
        made.map_err(store::Error::from)?;
        let mark = |folder: &Path, other: &Path| {
            fs_err::create_dir_all(folder)?;
            store::write_whole(&folder.join(MARK), other.as_os_str().as_encoded_bytes())
        };
        let made = mark(&begun.keys, &begun.partial).and_then(|()| mark(&begun.partial, &begun.keys));
        if let Err(error) = made {
            drop(begun.discard());
            return Err(error.into());
        }
        Ok(begun)
    }

    /// What lies under that name, if it is what a run left that was cut off: one under way holds the lock.
    fn left_by_another(&self) -> Option<Self> {
        let keys = PathBuf::from(fs_err::read_to_string(self.partial.join(MARK)).ok()?);
        let is_ours = fs_err::read(keys.join(MARK)).ok()? == self.partial.as_os_str().as_encoded_bytes();
        (is_ours && Layout::new(&self.partial).lock().is_ok()).then(|| Self { partial: self.partial.clone(), keys })
    }

    /// Removes all of it. The marks go last: without them nothing would lead from one to the other.
    fn discard(&self) -> Result<(), store::Error> {
        let remove = |path: PathBuf| match fs_err::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        KEYS.iter().try_for_each(|name| remove(self.keys.join(name)))?;
        if self.partial.exists() {
            fs_err::remove_dir_all(&self.partial)?;
        }
        remove(self.keys.join(MARK))?;
        // It may hold what somebody else put there.
        drop(fs_err::remove_dir(&self.keys));
        Ok(())
    }

    /// The archive is whole and gets its name.
    fn end(&self, root: &Path) -> Result<(), Error> {
        if root.exists() {
            fs_err::remove_dir(root).map_err(store::Error::from)?;
        }
        // The commit point: it is an archive under its name from here on.
        fs_err::rename(&self.partial, root).map_err(store::Error::from)?;
        for folder in [root, &self.keys] {
            // Of no use any more, and no harm.
            drop(fs_err::remove_file(folder.join(MARK)));
        }
        Ok(())
    }
}

fn append(
    archive: &Archive,
    writer: &mut Writer,
    set: &NativeSet,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<crawl::Summary, Error> {
    writer.describe(None)?;
    let run = writer.start_run("import")?;
    let first = writer.head();
    let blobs = Blobs::new(archive.layout.blobs());
    let mut kept: HashSet<Digest> = HashSet::new();
    // Contents that records name, and whose they are.
    let mut named: HashMap<Digest, String> = HashMap::new();
    let (mut records, mut changes, mut bytes, mut done) = (Vec::new(), Vec::new(), 0, 0_u64);
    let mut summary = crawl::Summary { run, ..crawl::Summary::default() };
    set.each(&mut |supplied: Supplied| {
        if let Some((path, digest)) = set.content(supplied.seq)
            && kept.insert(digest)
        {
            let size = keep(&blobs, &path, digest)?;
            summary.files.bytes += size;
            changes.push(StateChange::Blob { digest, size });
        }
        let header = &supplied.record.header;
        named.extend(header.attachment_digests().into_iter().map(|digest| (digest, header.key.clone())));
        count(&mut summary, &supplied);
        bytes += supplied.record.body.len();
        records.push(as_imported(set, run, supplied));
        done += 1;
        if records.len() >= BATCH || bytes >= BATCH_BYTES {
            writer.import(std::mem::take(&mut records), std::mem::take(&mut changes))?;
            bytes = 0;
            progress(done, set.records);
        }
        Ok(())
    })?;
    let now = archive.clock.now();
    let mut missing: Vec<(Digest, String)> = named.into_iter().filter(|(digest, _)| !kept.contains(digest)).collect();
    missing.sort_unstable();
    for (digest, key) in missing {
        let reason = format!("the set that was imported does not hold its content {digest}");
        changes.push(StateChange::Owed { kind: "file", key, reason, at: now });
        summary.files.failed += 1;
    }
    summary.debts = summary.files.failed;
    summary.result = if summary.files.failed == 0 { "complete" } else { "partial" };
    summary.records.added = done;
    summary.records.first = (done > 0).then_some(first);
    summary.records.last = (done > 0).then(|| first + done - 1);
    let text = serde_json::to_string(&summary).unwrap_or_default();
    changes.push(StateChange::RunEnded { run, at: now, result: summary.result.to_owned(), summary: text });
    writer.import(records, changes)?;
    Ok(summary)
}

/// A record of the set as a record of this archive.
fn as_imported(set: &NativeSet, run: u64, supplied: Supplied) -> SuppliedRecord {
    let Supplied { seq, change, record } = supplied;
    let mut header = record.header;
    // What was imported there already says what it was at first, and goes on saying it.
    let first = header.first.take().map_or_else(
        || First {
            origin: header.origin,
            log: set.origin.clone(),
            record: seq.0,
            run: header.run,
            source: header.source,
            checkpoint: set.checkpoint.size,
            bag: set.digest.to_string(),
        },
        |first| *first,
    );
    let record = NewRecord {
        kind: header.kind,
        source: FIRST_SOURCE,
        channel: header.channel_id(),
        key: header.key.clone(),
        version: header.version,
        change,
        origin: Origin::Imported,
        via: "import",
        account: header.account.clone(),
        run,
        observed_at: header.observed(),
        tickets: header.tickets,
        attachments: header.attachment_digests(),
        shared_in: header.shared_in.iter().filter_map(|id| ChannelId::parse(id)).collect(),
        body: record.body,
    };
    SuppliedRecord { record, via: header.via, first }
}

/// Keeps a content of the set; its size.
fn keep(blobs: &Blobs, path: &Path, digest: Digest) -> Result<u64, export::Error> {
    let mut incoming = blobs.receive()?;
    let mut file = fs_err::File::open(path).map_err(store::Error::from)?;
    let mut piece = vec![0; 1 << 16];
    loop {
        match std::io::Read::read(&mut file, &mut piece).map_err(store::Error::from)? {
            0 => break,
            read => incoming.write(&piece[..read])?,
        }
    }
    let (found, size) = blobs.keep(incoming)?;
    if found == digest {
        return Ok(size);
    }
    Err(export::Error::Supplied { path: path.to_owned(), detail: "it changed while it was read".to_owned() })
}

fn count(summary: &mut crawl::Summary, supplied: &Supplied) {
    let header = &supplied.record.header;
    let is_gone = header.state == State::Gone;
    match (header.kind, supplied.change) {
        (Kind::Message, Change::New) => summary.messages.new += 1,
        (Kind::Message, Change::Changed | Change::BackChanged) => summary.messages.edited += 1,
        (Kind::Message, Change::Back) => summary.messages.restored += 1,
        (Kind::Message, _) if is_gone => summary.messages.deleted += 1,
        (Kind::File, Change::New) => summary.files.new += 1,
        (Kind::File, Change::Changed) => summary.files.versions += 1,
        (Kind::Comment, Change::New) => summary.comments.new += 1,
        (Kind::Comment, _) if is_gone => summary.comments.deleted += 1,
        (Kind::Comment, Change::Changed | Change::BackChanged) => summary.comments.edited += 1,
        (Kind::Reactions, _) => summary.reactions.changed += 1,
        (Kind::Pins, _) => summary.pins.changed += 1,
        _ => {}
    }
}
