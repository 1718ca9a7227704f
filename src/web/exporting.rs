//! Sets that are asked for from a page: made one after the other on a thread of its own, kept until their owner
//! removes them.
//!
//! What is asked for is noted in `access.db` first, and begun once the access log has an entry of who asked. The
//! queue itself is of this process: what one that ended had under way is cut off, and is taken up again where it was
//! when its owner asks for it. The thread is not waited for when the process ends, since a set outlives any death.

mod room;

use std::collections::VecDeque;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use serde_json::{Value, json};

use self::room::{Look, Room};
use super::desk::Web;
use super::pages::exports::Asked;
use super::rights::reads;
use crate::export::{self, Handed, Progress};
use crate::record::{Action, Visit, scope_note};
use crate::store::access::{Job, JobState};

/// Sets that wait for their turn, of all accounts.
const MOST_WAITING: usize = 20;
/// Sets of one account that wait or are being made.
pub(super) const MOST_OF_ONE: usize = 3;

/// How far the set under way is.
#[derive(Debug)]
struct Under {
    id: i64,
    user: String,
    room: Room,
    what: Mutex<&'static str>,
    done: AtomicU64,
    of: AtomicU64,
    is_stopped: AtomicBool,
}

impl Under {
    fn new(id: i64, user: String, room: Room) -> Self {
        Self {
            id,
            user,
            room,
            what: Mutex::new("begin"),
            done: AtomicU64::new(0),
            of: AtomicU64::new(0),
            is_stopped: AtomicBool::new(false),
        }
    }
}

impl Progress for Under {
    fn step(&self, what: &'static str, done: u64, of: u64) {
        *self.what.lock().unwrap_or_else(PoisonError::into_inner) = what;
        self.done.store(done, Ordering::Relaxed);
        self.of.store(of, Ordering::Relaxed);
    }

    fn goes_on(&self) -> bool {
        !self.is_stopped.load(Ordering::Relaxed) && self.room.is_there(0)
    }
}

/// A set that waits, and whose it is.
struct Waiting {
    id: i64,
    user: String,
    /// The access log has an entry of who asked for it.
    is_logged: bool,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    under: Option<Arc<Under>>,
    has_thread: bool,
}

impl Queue {
    /// Has a set wait for its turn, if it does not already.
    fn add(&mut self, id: i64, user: &str) -> Place {
        let under = self.under.as_ref().map(|under| (under.id, under.user.as_str()));
        let all = || self.waiting.iter().map(|waiting| (waiting.id, waiting.user.as_str())).chain(under);
        if all().any(|(known, _)| known == id) {
            return Place::Given;
        }
        if all().filter(|(_, whose)| *whose == user).count() >= MOST_OF_ONE {
            return Place::TooManyOfOne;
        }
        if self.waiting.len() >= MOST_WAITING {
            return Place::TooMany;
        }
        self.waiting.push_back(Waiting { id, user: user.to_owned(), is_logged: false });
        Place::Given
    }
}

/// What becomes of a set that somebody wants made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// It is made when its turn comes.
    Given,
    /// Its owner has as many under way as an account may: [`MOST_OF_ONE`].
    TooManyOfOne,
    /// Too many wait.
    TooMany,
}

/// Where a set is in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// So many are made before it.
    Waiting(usize),
    /// It is being made: which step, and how many of how many.
    Under(&'static str, u64, u64),
    /// Neither.
    Nowhere,
}

/// The sets of this process.
pub(super) struct Exporting {
    folder: PathBuf,
    look: Look,
    queue: Mutex<Queue>,
    ended: Condvar,
}

impl Exporting {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, look: room::look, queue: Mutex::default(), ended: Condvar::new() }
    }

    fn queue(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The folder of a set. It holds nothing else.
    fn folder_of(&self, id: i64) -> PathBuf {
        self.folder.join(id.to_string())
    }

    /// Where a set is when it is made.
    pub(super) fn path(&self, id: i64) -> PathBuf {
        self.folder_of(id).join(format!("set-{id}.zip"))
    }

    pub(super) fn standing(&self, id: i64) -> Standing {
        let queue = self.queue();
        match &queue.under {
            Some(under) if under.id == id => {
                let what = *under.what.lock().unwrap_or_else(PoisonError::into_inner);
                Standing::Under(what, under.done.load(Ordering::Relaxed), under.of.load(Ordering::Relaxed))
            }
            under => match queue.waiting.iter().position(|waiting| waiting.id == id) {
                Some(before) => Standing::Waiting(before + usize::from(under.is_some())),
                None => Standing::Nowhere,
            },
        }
    }

    /// Has a set of an account wait for its turn, which comes after [`Exporting::begin`].
    pub(super) fn put(&self, id: i64, user: &str) -> Place {
        self.queue().add(id, user)
    }

    /// Has a set that waits made when its turn comes: the access log has an entry of who asked for it.
    pub(super) fn begin(web: &Arc<Web>, id: i64) {
        let mut queue = web.exporting().queue();
        if let Some(waiting) = queue.waiting.iter_mut().find(|waiting| waiting.id == id) {
            waiting.is_logged = true;
        }
        if !queue.has_thread {
            let shared = Arc::clone(web);
            match std::thread::Builder::new().name("exports".to_owned()).spawn(move || work(&shared)) {
                Ok(_) => queue.has_thread = true,
                // It can be asked for again.
                Err(error) => {
                    tracing::error!(%error, "no thread can be begun for exports");
                    queue.waiting.retain(|waiting| waiting.id != id);
                }
            }
        }
    }

    /// Forgets a set that waits, of which the access log could not be told.
    pub(super) fn forget(&self, id: i64) {
        self.queue().waiting.retain(|waiting| waiting.id != id || waiting.is_logged);
    }

    /// Takes a set out of the queue, or has its making end; it can be taken up again. Whether it was there.
    pub(super) fn stop(&self, id: i64) -> bool {
        let mut queue = self.queue();
        if let Some(under) = queue.under.as_ref().filter(|under| under.id == id) {
            under.is_stopped.store(true, Ordering::Relaxed);
            return true;
        }
        let before = queue.waiting.len();
        queue.waiting.retain(|waiting| waiting.id != id);
        queue.waiting.len() < before
    }

    /// Removes what there is of a set that is not being made.
    pub(super) fn remove(&self, id: i64) -> std::io::Result<()> {
        match fs_err::remove_dir_all(self.folder_of(id)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Returns when nothing waits and nothing is being made.
    pub(super) fn wait(&self) {
        let mut queue = self.queue();
        while queue.has_thread {
            queue = self.ended.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Makes one set after the other until none waits.
fn work(web: &Web) {
    let exporting = web.exporting();
    loop {
        let under = {
            let mut queue = exporting.queue();
            let next = queue.waiting.iter().position(|waiting| waiting.is_logged);
            let Some(Waiting { id, user, .. }) = next.and_then(|place| queue.waiting.remove(place)) else {
                queue.has_thread = false;
                exporting.ended.notify_all();
                return;
            };
            let room = Room::new(exporting.folder_of(id), exporting.look);
            let under = Arc::new(Under::new(id, user, room));
            queue.under = Some(Arc::clone(&under));
            under
        };
        // A set that panics is one that failed, and the others are made all the same.
        let made = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| make(web, &under)));
        let outcome = made.unwrap_or_else(|_| Err(Ending::Failed("the export panicked".to_owned())));
        let access = web.access();
        let noted = match outcome {
            Ok(report) => access.set_job(under.id, JobState::Done, Some(&report.to_string()), None),
            Err(Ending::Stopped) => access.set_job(under.id, JobState::Stopped, None, None),
            Err(Ending::Failed(why)) => access.set_job(under.id, JobState::Failed, None, Some(&why)),
        };
        if let Err(error) = noted {
            tracing::error!(%error, export.id = under.id, "what became of an export can't be noted");
        }
        exporting.queue().under = None;
    }
}

/// Why there is no set.
enum Ending {
    Stopped,
    Failed(String),
}

impl<E: std::fmt::Display> From<E> for Ending {
    fn from(error: E) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Makes a set, or goes on with it, for its owner as they are now.
fn make(web: &Web, under: &Under) -> Result<Value, Ending> {
    let id = under.id;
    let access = web.access();
    let job = access.job(id)?.ok_or("it is not known any more")?;
    let user = access.user(&job.user)?.filter(|user| !user.disabled && user.may_export);
    let user = user.ok_or("its owner may not export any more")?;
    let exporting = web.exporting();
    let (folder, path) = (exporting.folder_of(id), exporting.path(id));
    let scope = reads(user.role, &user.scope);
    let seen = scope_note(&scope);
    // What there is of it holds what its owner saw when it was begun. If they see anything else now, or nobody noted
    // what they saw, it is made anew. The old goes before the new is noted: whenever this is cut off, nothing lies
    // there but what the note tells of.
    if report_of(&job)["scope"] != seen {
        exporting.remove(id)?;
        // After a power cut the old would else be there again, under the new note.
        if exporting.folder.exists() {
            fs_err::File::open(&exporting.folder)?.sync_all()?;
        }
    }
    access.set_job(id, JobState::Running, Some(&json!({"scope": seen}).to_string()), None)?;
    // One that was cut off after it got its name is whole.
    if !path.exists() {
        let folder = folder.as_path();
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| {
            format!("can't make {}: {error}; `web.exports_dir` in archive.toml names another place", folder.display())
        })?;
        // What was begun is packed beside itself in the end.
        if !under.room.is_there_to_pack()? {
            return Err(under.room.lack().map_or(Ending::Stopped, Ending::Failed));
        }
        let asked = Asked::read(&job.asked);
        let mut request = asked.request(web, &scope, &job.began)?;
        request.output.clone_from(&path);
        request.asked_by = format!("{} over the web", user.name);
        request.zip = true;
        let visit = Visit {
            user: Some(user.name.clone()),
            role: Some(user.role.as_str().to_owned()),
            subject: Some(format!("export {id}")),
            ..Visit::default()
        };
        let mut hand_over = |handed: &Handed| -> Result<(), export::Error> {
            // It is packed next. What cannot be is not handed over, and is not logged as if it were.
            if !under.room.is_there_to_pack().map_err(|source| export::Error::File {
                doing: "list",
                path: folder.to_owned(),
                source,
            })? {
                return Err(export::Error::Stopped);
            }
            access.log().record(Action::Export, &handed.told(visit.clone()))?;
            Ok(())
        };
        match web.make_set(&request, &user.name, &mut hand_over, under) {
            Ok(_) => {}
            Err(export::Error::Stopped) => return Err(under.room.lack().map_or(Ending::Stopped, Ending::Failed)),
            Err(error) => return Err(error.into()),
        }
    }
    under.step("look", 0, 0);
    Ok(json!({"set": described(&path)?, "scope": seen}))
}

/// What a set says of itself, and what it is as a file.
fn described(path: &Path) -> Result<Value, String> {
    let bytes = fs_err::metadata(path).map_err(|error| error.to_string())?.len();
    let digest = export::file_digest(path).map_err(|error| error.to_string())?;
    let read = |name: &str| export::read_from_zip(path, name).map_err(|error| error.to_string());
    let custody: Value = serde_json::from_slice(&read("CUSTODY.json")?).map_err(|error| error.to_string())?;
    let coverage: Value = serde_json::from_slice(&read("COVERAGE.json")?).map_err(|error| error.to_string())?;
    Ok(json!({
        "bytes": bytes,
        "sha256": digest.to_string(),
        "counts": custody["counts"],
        "checkpoint": custody["checkpoint"]["size"],
        "complete": coverage["complete"],
        "tag_manifest": crate::model::Digest::of(&read("tagmanifest-sha256.txt")?).to_string(),
    }))
}

/// What is noted of what is made, or was.
fn report_of(job: &Job) -> Value {
    job.report.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// Whether an account may still have a set: it sees what it saw when the set was made, or everything.
pub(super) fn may_have(job: &Job, scope: &crate::model::Scope) -> bool {
    *scope == crate::model::Scope::All || report_of(job)["scope"] == scope_note(scope)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::DiskSpace;

    fn under(id: i64, user: &str, look: Look) -> Under {
        Under::new(id, user.to_owned(), Room::new(PathBuf::from("/sets"), look))
    }

    const ROOMY: Look = |_| Ok(DiskSpace { free_bytes: 9 << 30, total_bytes: 10 << 30 });
    const FULL: Look = |_| Ok(DiskSpace { free_bytes: 1 << 20, total_bytes: 10 << 30 });

    #[test]
    fn one_account_does_not_fill_the_queue() {
        let mut queue = Queue { under: Some(Arc::new(under(1, "ada", ROOMY))), ..Queue::default() };
        assert_eq!([2, 3, 4].map(|id| queue.add(id, "ada")), [Place::Given, Place::Given, Place::TooManyOfOne]);
        // What has its place already keeps it, waiting or under way, and takes no other one.
        assert_eq!([1, 2].map(|id| queue.add(id, "ada")), [Place::Given; 2]);
        assert_eq!((queue.waiting.len(), queue.add(5, "bob")), (2, Place::Given));
        queue.under = None;
        assert_eq!([6, 7].map(|id| queue.add(id, "ada")), [Place::Given, Place::TooManyOfOne]);
    }

    #[test]
    fn no_more_wait_than_are_made_in_reasonable_time() {
        let mut queue = Queue::default();
        let most = i64::try_from(MOST_WAITING).expect("a small number");
        assert!((0..most).all(|id| queue.add(id, &format!("user {}", id / 2)) == Place::Given));
        assert_eq!(queue.add(most, "somebody"), Place::TooMany);
        assert_eq!(queue.add(0, "user 0"), Place::Given, "it waits already");
    }

    #[test]
    fn a_set_stops_where_the_disk_has_no_room_and_says_why() {
        let set = under(1, "ada", ROOMY);
        assert!(set.goes_on() && set.room.lack().is_none());
        set.is_stopped.store(true, Ordering::Relaxed);
        assert!(!set.goes_on() && set.room.lack().is_none(), "its owner stopped it");
        let set = under(1, "ada", FULL);
        assert!(!set.goes_on() && set.room.lack().is_some_and(|lack| lack.contains("1 MiB of the disk of /sets")));
    }
}
