//! The moments at which the death of a process would matter: before and after each step that is to
//! last. Nobody listens in an ordinary build, and nothing is left of the calls there. With the
//! feature `failpoints`, `tests/faults` looks at what a process killed at each would leave.

#[cfg(feature = "failpoints")]
pub use heard::{Watch, watch};

use std::path::Path;

/// Says that `what` is about to be done, or was just done, somewhere under `place`.
#[inline]
pub fn moment(place: &Path, what: &'static str) {
    #[cfg(feature = "failpoints")]
    heard::tell(place, what);
    #[cfg(not(feature = "failpoints"))]
    let _ = (place, what);
}

#[cfg(feature = "failpoints")]
mod heard {
    use std::path::{Path, PathBuf};
    use std::sync::{Arc, Mutex, PoisonError};

    type Listener = Arc<dyn Fn(&'static str) + Send + Sync>;

    /// By folder and not by thread: an archive's writer, its downloads and its indexer each have
    /// threads of their own, and tests of other archives run beside.
    static WATCHED: Mutex<Vec<(PathBuf, Listener)>> = Mutex::new(Vec::new());

    /// Listens until it is dropped.
    #[derive(Debug)]
    pub struct Watch {
        folder: PathBuf,
    }

    /// Calls `listener` at every moment of the archive in `folder`, on the thread and in the midst
    /// of what is being done.
    pub fn watch(folder: &Path, listener: impl Fn(&'static str) + Send + Sync + 'static) -> Watch {
        let mut watched = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
        watched.push((folder.to_owned(), Arc::new(listener)));
        Watch { folder: folder.to_owned() }
    }

    impl Drop for Watch {
        fn drop(&mut self) {
            WATCHED.lock().unwrap_or_else(PoisonError::into_inner).retain(|(folder, _)| *folder != self.folder);
        }
    }

    pub(super) fn tell(place: &Path, what: &'static str) {
        let watched = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
        let listener =
            watched.iter().find(|(folder, _)| place.starts_with(folder)).map(|(_, listener)| Arc::clone(listener));
        drop(watched);
        if let Some(listener) = listener {
            listener(what);
        }
    }
}
