//! The truth log: every item with every version it had, for tests to compare an archive with.

use anyhow::Context as _;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::state::{State, Stored};
use crate::sandbox::faults::Faults;
use crate::sandbox::ids;

/// One item of a channel's stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TruthItem {
    /// Id of the channel, as `channels.list` gives it.
    pub channel: String,
    /// Time stamp.
    pub ts: String,
    /// `current` or `deleted`.
    pub state: &'static str,
    /// The last text.
    pub text: String,
    /// All texts, oldest first; the last is `text`.
    pub versions: Vec<String>,
    /// Author.
    pub user: String,
    /// Subtype; empty: a plain message.
    pub subtype: String,
    /// Whom a whisper is for; `somebody` for one that the fault of this name makes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub whisper_to: Option<String>,
}

/// One file with the digests of its versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TruthFile {
    /// Id of the file.
    pub file: String,
    /// Name.
    pub name: String,
    /// `current` or `deleted`.
    pub state: &'static str,
    /// Lower-case SHA-256 of each version; the index is the `editcounter`.
    pub versions: Vec<String>,
}

fn word(is_deleted: bool) -> &'static str {
    if is_deleted { "deleted" } else { "current" }
}

pub(super) fn items(state: &State, faults: &Faults) -> Vec<TruthItem> {
    let mut items = Vec::new();
    for channel in &state.channels {
        for message in &channel.messages {
            let more = message.more.as_deref();
            let mut versions = more.map(|more| more.older.clone()).unwrap_or_default();
            versions.push(message.text.clone());
            let is_hushed = faults.hushes(&channel.id, message.ts);
            items.push(TruthItem {
                channel: channel.id.clone(),
                ts: message.ts.to_string(),
                state: word(message.is_deleted),
                text: message.text.clone(),
                versions,
                user: state.users[message.user].id.clone(),
                subtype: message.subtype.clone(),
                whisper_to: more
                    .and_then(|more| more.whisper_to)
                    .map(|user| state.users[user].id.clone())
                    .or_else(|| is_hushed.then(|| "somebody".to_owned())),
            });
        }
    }
    items
}

pub(super) fn files(state: &State) -> anyhow::Result<Vec<TruthFile>> {
    let mut files = Vec::new();
    // One without an id hasn't been shared yet.
    for file in state.files.iter().filter(|file| !file.id.is_empty()) {
        let mut versions = Vec::new();
        for version in &file.versions {
            let digest = match &version.content {
                Stored::Bytes(bytes) => Sha256::digest(bytes),
                Stored::Path(path) => Sha256::digest(fs_err::read(path).context("can't read a file of the corpus")?),
            };
            versions.push(ids::hex(&digest));
        }
        files.push(TruthFile {
            file: file.id.clone(),
            name: file.name.clone(),
            state: word(file.is_deleted),
            versions,
        });
    }
    Ok(files)
}
