//! How far a set was written, so that a run which was cut off is taken up again.

use std::io::Write as _;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Error;
use super::bag::Lengths;
use super::run::Report;
use super::walk::Position;

/// What a set was begun with. Another request, or another version of the program, begins another set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Begun {
    pub(super) request: Value,
    pub(super) withheld: String,
    pub(super) tool: String,
    pub(super) archive: String,
}

impl Begun {
    /// What is another in `other`, in words.
    pub(super) fn difference(&self, other: &Self) -> String {
        let mut parts = Vec::new();
        if self.archive != other.archive {
            parts.push("it is of another archive".to_owned());
        }
        if self.tool != other.tool {
            parts.push(format!("version {} of the program began it", self.tool));
        }
        if self.withheld != other.withheld {
            parts.push("its list of withheld records is another".to_owned());
        }
        let fields = self.request.as_object().into_iter().flatten();
        let others: Vec<&str> = fields
            .filter(|(name, value)| other.request.get(*name) != Some(*value))
            .map(|(name, _)| name.as_str())
            .collect();
        if !others.is_empty() {
            parts.push(format!("it has another {}", others.join(", another ")));
        }
        if parts.is_empty() { "nothing says what it is".to_owned() } else { parts.join("; ") }
    }
}

/// What is kept of it beside that.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Start {
    pub(super) begun: Begun,
    /// The signed checkpoint whose records the set holds.
    pub(super) note: String,
    pub(super) made_at: String,
}

/// What is known of a set that is whole and has no name yet.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Done {
    pub(super) begun: Begun,
    pub(super) report: Report,
}

/// One note of how far it went.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Mark {
    pub(super) position: Position,
    pub(super) lengths: Lengths,
    pub(super) accounts: u64,
    pub(super) format: Value,
    pub(super) volume: u32,
    pub(super) volume_began_at: u64,
    pub(super) volume_units: u64,
    pub(super) exceptions: u64,
    pub(super) withheld: u64,
    pub(super) units: u64,
    pub(super) messages: u64,
    pub(super) files: u64,
}

const START: &str = "start.json";
const HITS: &str = "hits.json";
const MARKS: &str = "marks.ndjson";

/// Notes what a set is begun with, and the hits of its query. The commit point is the name of the first.
pub(super) fn begin(folder: &Path, start: &Start, hits: Option<&[u64]>) -> Result<(), Error> {
    fs_err::create_dir_all(folder).map_err(Error::file("make", folder))?;
    if let Some(hits) = hits {
        write_whole(&folder.join(HITS), &serde_json::to_vec(hits).unwrap_or_default())?;
    }
    write_whole(&folder.join(START), &serde_json::to_vec(start).unwrap_or_default())
}

/// What a set that was cut off was begun with; `None` when none was.
pub(super) fn start(folder: &Path) -> Result<Option<Start>, Error> {
    read(&folder.join(START))
}

/// Notes that a set is whole and was handed over, before it has its name. Beside the bag, not in it.
pub(super) fn done(path: &Path, done: &Done) -> Result<(), Error> {
    write_whole(path, &serde_json::to_vec(done).unwrap_or_default())
}

/// The set that was handed over and has no name yet.
pub(super) fn handed_over(path: &Path) -> Result<Option<Done>, Error> {
    read(path)
}

/// The hits of the query, as they were when the set was begun: an index that has grown since says another scope.
pub(super) fn hits(folder: &Path) -> Result<Option<Vec<u64>>, Error> {
    read(&folder.join(HITS))
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Error> {
    match fs_err::read(path) {
        Ok(text) => Ok(serde_json::from_slice(&text).ok()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file("read", path)(error)),
    }
}

fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = Path::new(&name);
    let written = std::fs::File::create(new).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.and_then(|()| std::fs::rename(new, path)).map_err(Error::file("write", path))
}

/// Notes how far it went. The commit point of a unit: what is written after it is dropped when the run is
/// cut off.
pub(super) fn mark(folder: &Path, mark: &Mark) -> Result<(), Error> {
    let path = folder.join(MARKS);
    let mut text = serde_json::to_vec(mark).unwrap_or_default();
    text.push(b'\n');
    let file = std::fs::OpenOptions::new().append(true).create(true).open(&path);
    file.and_then(|mut file| file.write_all(&text)).map_err(Error::file("write", path))
}

/// The last note that is whole.
pub(super) fn last(folder: &Path) -> Result<Option<Mark>, Error> {
    let path = folder.join(MARKS);
    if !path.exists() {
        return Ok(None);
    }
    let text = fs_err::read(&path).map_err(Error::file("read", &path))?;
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    Ok(text[..whole].split(|byte| *byte == b'\n').rev().find_map(|line| serde_json::from_slice(line).ok()))
}
