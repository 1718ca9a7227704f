//! Takes checkpoints to their keepers, and says how each stands.

use serde::Serialize;

use super::{Archive, Error};
use crate::anchor::{self, Destination, Offer, Sink};
use crate::config::{Anchor, AnchorKind, Config, ConfigError, parse_address};
use crate::crawl::Finding;
use crate::ledger::{Checkpoint, CosignerKey, Note, VerifierKey};
use crate::store::{self, Appender, Batch, Layout, StateChange};

/// The debt of a keeper that could not take a checkpoint.
const FAILED: &str = "anchor";
/// The debt, and the finding, of one that knows another history.
const CONTRADICTS: &str = "anchor_contradicts";

/// What a keeper said to a checkpoint that it was offered.
#[derive(Debug)]
pub struct Offered {
    /// `folder`, `witness`, `timestamp`.
    pub kind: &'static str,
    /// Its name in the settings.
    pub name: String,
    /// The checkpoint's size.
    pub size: u64,
    /// Whether it took it.
    pub outcome: Result<(), anchor::Error>,
}

impl Offered {
    /// What went wrong, as a finding of the run; `None` when nothing did.
    pub fn finding(&self) -> Option<Finding> {
        let error = self.outcome.as_ref().err()?;
        let kind = if error.is_contradiction() { CONTRADICTS } else { "anchor_failed" };
        Some(Finding { kind, channel: String::new(), detail: format!("{} {}: {error}", self.kind, self.name) })
    }
}

/// How a keeper stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AnchorStatus {
    /// Its name in the settings.
    pub name: String,
    /// `folder`, `witness`, `timestamp`.
    pub kind: &'static str,
    /// The size of the newest checkpoint that it took.
    pub size: Option<u64>,
    /// When it took that.
    pub time: Option<String>,
    /// Why it has not taken a newer one, if it was offered one.
    pub error: Option<String>,
    /// Since when.
    pub error_since: Option<String>,
    /// Whether that is because it knows another history of this archive.
    pub contradicts: bool,
}

/// The keepers that the settings name.
pub(super) fn sinks(config: &Config, layout: &Layout) -> Result<Vec<Sink>, ConfigError> {
    config.anchor.iter().map(|entry| sink(entry, layout)).collect()
}

fn sink(entry: &Anchor, layout: &Layout) -> Result<Sink, ConfigError> {
    let wrong = |key: &str, detail: String| ConfigError::Malformed {
        origin: layout.config().display().to_string(),
        detail: format!("anchor `{}`, {key}: {detail}", entry.name),
    };
    let address = |key: &str, text: &Option<String>| {
        text.as_deref().map(parse_address).transpose().map_err(|detail| wrong(key, detail.to_owned()))
    };
    let missing = |key: &str| wrong(key, "it needs one".to_owned());
    let (url, proxy) = (address("url", &entry.url)?, address("proxy", &entry.proxy)?);
    let destination = match entry.kind {
        AnchorKind::Folder => {
            let path = entry.path.clone().ok_or_else(|| missing("path"))?;
            let root = std::path::absolute(layout.root()).unwrap_or_else(|_| layout.root().to_owned());
            if path.starts_with(&root) {
                let detail = "it lies in the archive's own directory, and whoever can write there can write to both";
                return Err(wrong("path", detail.to_owned()));
            }
            Destination::Folder(path)
        }
        AnchorKind::Witness => {
            let key = CosignerKey::parse(entry.key.as_deref().unwrap_or_default())
                .map_err(|error| wrong("key", format!("{error}; a witness's key looks like name+1a2b3c4d+base64")))?;
            Destination::Witness { url: url.ok_or_else(|| missing("url"))?, key: Box::new(key), proxy }
        }
        AnchorKind::Timestamp => Destination::Timestamp { url: url.ok_or_else(|| missing("url"))?, proxy },
    };
    Ok(Sink { name: entry.name.clone(), every: entry.every(), destination })
}

impl Archive {
    /// Offers the newest checkpoint to each keeper that it is time for, all at once, and notes what
    /// they answered. Whatever they say is told, and stops nothing.
    pub(super) async fn offer(&self, appender: &Appender) -> Result<Vec<Offered>, Error> {
        if self.anchors.is_empty() {
            return Ok(Vec::new());
        }
        let Some((checkpoint, note, _)) = self.reader.newest_checkpoint()? else { return Ok(Vec::new()) };
        let keys = self.trusted_keys()?;
        let mut offers = Vec::new();
        for sink in &self.anchors {
            let last = self.reader.last_anchored(&sink.id())?;
            if sink.is_due(last.as_ref(), checkpoint.size, self.clock.now()) {
                let offer = Offer {
                    reader: &self.reader,
                    keys: &keys,
                    checkpoint: &checkpoint,
                    note: &note,
                    last: last.map(|row| row.size),
                };
                offers.push(async move { (sink, anchor::submit(sink, offer).await) });
            }
        }
        let answers = futures_util::future::join_all(offers).await;
        let (mut out, mut batch) = (Vec::new(), Batch::default());
        for (sink, answer) in answers {
            let (size, at, key) = (checkpoint.size, self.clock.now(), sink.id());
            let outcome = match answer {
                Ok(evidence) => {
                    batch.changes.push(StateChange::Anchored { size, sink: key.clone(), at, evidence });
                    batch.changes.push(StateChange::Paid { kind: FAILED, key: key.clone() });
                    batch.changes.push(StateChange::Paid { kind: CONTRADICTS, key });
                    Ok(())
                }
                Err(error) => {
                    let (kind, other) =
                        if error.is_contradiction() { (CONTRADICTS, FAILED) } else { (FAILED, CONTRADICTS) };
                    batch.changes.push(StateChange::Paid { kind: other, key: key.clone() });
                    batch.changes.push(StateChange::Owed { kind, key, reason: error.to_string(), at });
                    Err(error)
                }
            };
            out.push(Offered { kind: sink.kind(), name: sink.name.clone(), size, outcome });
        }
        if !batch.changes.is_empty() {
            appender.append(batch).await?;
        }
        Ok(out)
    }

    /// The keys that this archive's checkpoints may be signed with, the one that signs now first: those
    /// whose public half is kept here, and those that the archive says followed each other. Its word is
    /// good for what lies under a checkpoint that one of the former signed.
    pub fn trusted_keys(&self) -> Result<Vec<VerifierKey>, store::Error> {
        let mut keys = self.keys.public_halves();
        let mut named: Vec<String> = Vec::new();
        for own in self.reader.own_records()?.into_iter().rev() {
            named.push(own.note.vkey);
            named.extend(own.note.previous.map(|before| before.vkey));
        }
        if keys.is_empty() {
            named.push(self.reader.archive().vkey.clone());
        }
        for key in named.iter().filter_map(|text| VerifierKey::parse(text).ok()) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        Ok(keys)
    }

    /// Refuses an archive that does not continue what lies in `checkpoints/` or in one of the folders
    /// that keep copies of it: what whoever writes is held against, for whoever only looks.
    pub fn refuse_rollback(&self) -> Result<(), store::Error> {
        let kept = self.keys.public_halves();
        if let Some((checkpoint, note, _)) = self.reader.newest_checkpoint()? {
            Note::parse(note.as_bytes()).and_then(|note| store::signed_by(&note, &kept)).map_err(|error| {
                store::Error::Rollback {
                    size: checkpoint.size,
                    detail: format!("its newest checkpoint is not one of ours: {error}"),
                }
            })?;
        }
        let keys = self.trusted_keys()?;
        let folder = self.layout.checkpoints();
        if folder.exists() {
            let continues = |checkpoint: &Checkpoint| self.reader.continues(checkpoint);
            store::refuse_contradiction(&folder, &self.reader.archive().origin, &keys, &continues)?;
        }
        anchor::refuse_rollback(&self.anchors, &self.reader, &keys)
    }

    /// How each keeper stands.
    pub fn anchor_status(&self) -> Result<Vec<AnchorStatus>, store::Error> {
        let debts = self.reader.anchor_debts()?;
        let mut out = Vec::new();
        for sink in &self.anchors {
            let id = sink.id();
            let last = self.reader.last_anchored(&id)?;
            let debt = debts.iter().find(|debt| debt.key == id);
            out.push(AnchorStatus {
                name: sink.name.clone(),
                kind: sink.kind(),
                size: last.as_ref().map(|row| row.size),
                time: last.map(|row| row.at),
                error: debt.map(|debt| debt.reason.clone()),
                error_since: debt.map(|debt| debt.since.clone()),
                contradicts: debt.is_some_and(|debt| debt.kind == CONTRADICTS),
            });
        }
        Ok(out)
    }
}
