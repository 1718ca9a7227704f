//! The truth log: every item with every version it had, for tests to compare an archive with.

use anyhow::Context as _;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::state::{State, Stored, Version};
use crate::sandbox::faults::Faults;
use crate::sandbox::{filler, ids};

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

/// A room or a person, as somebody knows them who runs the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InventoryItem {
    /// `room` or `account`.
    pub kind: &'static str,
    /// Id, as `channels.list` or `users.list` would give it.
    pub id: String,
    /// Name of the room, display name of the person.
    pub name: String,
    /// Whether it is shown to nobody else: a room to its members only, a person to no account.
    pub hidden: bool,
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
            let text = message.shown_text().into_owned();
            versions.push(text.clone());
            let is_hushed = faults.hushes(&channel.id, message.ts);
            items.push(TruthItem {
                channel: channel.id.clone(),
                ts: message.ts.to_string(),
                state: word(message.is_deleted),
                text,
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

/// A file with what its digests are made from, copied out of the lock.
type Copied = (TruthFile, Vec<Version>);

pub(super) fn files(state: &State) -> Vec<Copied> {
    // One without an id hasn't been shared yet.
    let shared = state.files.iter().filter(|file| !file.id.is_empty());
    shared
        .map(|file| {
            let is_homeless = file.channels.iter().all(|channel| state.channels[*channel].is_removed);
            let is_gone = file.is_deleted || (is_homeless && !file.channels.is_empty());
            let truth = TruthFile {
                file: file.id.clone(),
                name: file.name.clone(),
                state: word(is_gone),
                versions: Vec::new(),
            };
            (truth, file.versions.clone())
        })
        .collect()
}

/// Fills in the digests; each is made once.
pub(super) fn digested(files: Vec<Copied>) -> anyhow::Result<Vec<TruthFile>> {
    files
        .into_iter()
        .map(|(mut truth, versions)| {
            truth.versions = versions.iter().map(digest).collect::<anyhow::Result<_>>()?;
            Ok(truth)
        })
        .collect()
}

fn digest(version: &Version) -> anyhow::Result<String> {
    if let Some(known) = version.digest.get() {
        return Ok(known.clone());
    }
    let made = match &version.content {
        Stored::Bytes(bytes) => ids::hex(&Sha256::digest(bytes)),
        Stored::Path(path) => ids::hex(&Sha256::digest(fs_err::read(path).context("can't read a file of the corpus")?)),
        Stored::Generated { size, seed } => filler::digest(*seed, *size),
    };
    Ok(version.digest.get_or_init(|| made).clone())
}

/// All rooms and people there are, shown or not; removed channels and direct conversations are
/// left out, and so is the archiver's own account of a corpus.
pub(super) fn inventory(state: &State) -> Vec<InventoryItem> {
    let rooms = state.channels.iter().filter(|channel| !channel.is_im && !channel.is_removed).map(|channel| {
        InventoryItem { kind: "room", id: channel.id.clone(), name: channel.name.clone(), hidden: channel.is_hidden }
    });
    let people = state.users.iter().filter(|user| !user.is_hidden).map(|user| InventoryItem {
        kind: "account",
        id: user.id.clone(),
        name: user.real_name.clone(),
        hidden: user.is_unlisted,
    });
    rooms.chain(people).collect()
}
