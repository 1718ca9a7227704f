//! Changes of the signing key, and what is to be known of the keys.
//!
//! A change is recorded, then signed by both keys, then the new key is put in its place: cut off
//! anywhere, the archive is whole, and whoever writes to it next finishes what was begun.

use std::path::PathBuf;

use serde::Serialize;

use super::{Archive, Error, random};
use crate::anchor;
use crate::ledger::{SigningKey, VerifierKey};
use crate::model::{UtcTime, rfc3339};
use crate::record::{KeyBefore, Reason};
use crate::store::keys::KeyError;
use crate::store::{self, NewKey, Signing, Writer, moment};

/// What a change of key gave.
#[derive(Debug, Clone, Serialize)]
pub struct Rotated {
    /// Id of the key that signs now.
    pub key_id: String,
    /// Its public half.
    pub vkey: String,
    /// Id of the key before.
    pub previous_key_id: String,
    /// Why it was followed.
    pub reason: Reason,
    /// Until when both sign.
    pub overlap_until: Option<String>,
    /// The record that tells of the change.
    pub record: u64,
    /// Records under the first checkpoint that the new key signed.
    pub checkpoint: Option<u64>,
    /// An earlier command began it and was cut off.
    pub resumed: bool,
}

/// A key and where it lies.
#[derive(Debug, Clone, Serialize)]
pub struct KeyPlace {
    /// Eight hexadecimal digits.
    pub key_id: String,
    /// The public half.
    pub vkey: String,
    /// Since when it signs, as the archive says.
    pub since: Option<String>,
    /// The file of the private half.
    pub path: PathBuf,
    /// What is to be said of that file: `kept`, or why it cannot be used.
    pub private: String,
}

/// What is known of an archive's keys.
#[derive(Debug, Clone, Serialize)]
pub struct KeyState {
    /// The key that the archive names.
    pub ledger: KeyPlace,
    /// Id of the public key that is kept beside it, which `verify` trusts.
    pub pinned: Option<String>,
    /// The key before, why it was followed, and what becomes of it.
    pub previous: Option<PreviousKey>,
    /// The key of the access log, once there is one.
    pub access: Option<KeyPlace>,
}

/// The key before the one that signs now.
#[derive(Debug, Clone, Serialize)]
pub struct PreviousKey {
    /// The key.
    #[serde(flatten)]
    pub place: KeyPlace,
    /// Why it was followed.
    pub reason: Reason,
    /// The record that tells of it.
    pub record: u64,
    /// Until when both sign.
    pub overlap_until: Option<String>,
    /// Whether it signs beside the new one now.
    pub signs: bool,
    /// Whether it is kept and of no more use.
    pub may_be_destroyed: bool,
}

fn parse(vkey: &str) -> Result<VerifierKey, Error> {
    VerifierKey::parse(vkey).map_err(|error| {
        store::Error::Rollback { size: 0, detail: format!("it names no verification key that can be read: {error}") }
            .into()
    })
}

/// How a private key is kept.
fn kept(key: &Result<SigningKey, KeyError>, due: &VerifierKey) -> String {
    match key {
        Ok(key) if key.verifier() == *due => "kept".to_owned(),
        Ok(key) => format!("another key lies there, {}", key.verifier().id()),
        Err(KeyError::Absent { .. }) => "not kept here".to_owned(),
        Err(error) => error.to_string(),
    }
}

impl Archive {
    /// The key that the archive names as the one that signs now, and the last change that led to it.
    pub(super) fn key_in_force(&self) -> Result<(VerifierKey, Option<KeyBefore>), Error> {
        let records = self.reader.own_records()?;
        let current = records.last().map_or(&self.reader.archive().vkey, |newest| &newest.note.vkey);
        let previous = records.iter().rev().find_map(|own| own.note.previous.clone());
        Ok((parse(current)?, previous))
    }

    /// Lets another key sign from here on. With the key before, a record under it tells of the change
    /// and both sign for the time of `overlap`; without it (`is_lost`), the record says so.
    ///
    /// A change that was cut off is finished, and no further one made.
    pub fn rotate_key(&self, is_lost: bool, overlap: chrono::TimeDelta) -> Result<Rotated, Error> {
        if let Some(path) = self.keys.handed_ledger_key() {
            return Err(KeyError::Handed(path).into());
        }
        let lock = self.layout.lock()?;
        let (current, previous) = self.key_in_force()?;
        let kept = match self.keys.signers(&current, previous.as_ref(), self.clock.now()) {
            Ok(signers) if signers.is_unfinished => {
                drop(lock);
                return self.resume(&current, previous);
            }
            Ok(_) if is_lost => return Err(KeyError::NotLost(self.keys.folder().join("ledger.key")).into()),
            Ok(signers) => Some(signers.key),
            Err(KeyError::Absent { .. }) if is_lost => None,
            Err(error) => return Err(error.into()),
        };
        let origin = &self.reader.archive().origin;
        anchor::refuse_rollback(&self.anchors, &self.reader, &self.trusted_keys()?)?;
        let next = SigningKey::new(origin, random()?)
            .map_err(|error| store::Error::Io(std::io::Error::other(error.to_string())))?;
        let vkey = next.verifier();
        self.keys.store_next_key(&next)?;
        let root = self.layout.root();
        moment(root, "next key kept");
        let mut trusted = self.keys.public_halves();
        if is_lost && trusted.is_empty() {
            // Both halves are gone: there is the archive's own word and no other.
            trusted.push(current.clone());
        }
        let signing = Signing { key: Some(next), also: kept, trusted };
        let mut writer = Writer::open_with(&self.layout, lock, signing, self.clock.clone())?;
        let reason = if is_lost { Reason::Lost } else { Reason::Rotated };
        let overlap_until = (!is_lost).then(|| rfc3339(self.clock.now() + overlap));
        let before = KeyBefore { vkey: current.to_text(), reason, overlap_until: overlap_until.clone() };
        // The commit point: from here on the archive names the new key, and whoever writes next
        // finishes the change.
        let record = writer.describe(Some(NewKey { vkey: vkey.to_text(), previous: before }))?;
        moment(root, "change of key recorded");
        let checkpoint = writer.checkpoint()?;
        moment(root, "change of key signed");
        self.keys.finish_change()?;
        moment(root, "change of key finished");
        Ok(Rotated {
            key_id: vkey.id(),
            vkey: vkey.to_text(),
            previous_key_id: current.id(),
            reason,
            overlap_until,
            record: record.map_or(0, |record| record.0),
            checkpoint: checkpoint.map(|checkpoint| checkpoint.size),
            resumed: false,
        })
    }

    /// Finishes a change that was cut off after it was recorded.
    fn resume(&self, current: &VerifierKey, previous: Option<KeyBefore>) -> Result<Rotated, Error> {
        drop(self.writer()?);
        let record = self.reader.own_records()?.into_iter().rev().find(|own| own.note.previous.is_some());
        let signed = self.reader.newest_checkpoint()?.map(|(checkpoint, _, _)| checkpoint.size);
        let reason = previous.as_ref().map_or(Reason::Rotated, |previous| previous.reason);
        let before = previous.as_ref().and_then(|previous| VerifierKey::parse(&previous.vkey).ok());
        Ok(Rotated {
            key_id: current.id(),
            vkey: current.to_text(),
            previous_key_id: before.map(|before| before.id()).unwrap_or_default(),
            reason,
            overlap_until: previous.and_then(|previous| previous.overlap_until),
            record: record.map_or(0, |record| record.seq.0),
            checkpoint: signed,
            resumed: true,
        })
    }

    /// What is known of the archive's keys. It never holds a private half.
    pub fn key_state(&self) -> Result<KeyState, Error> {
        let (current, _) = self.key_in_force()?;
        let folder = self.keys.folder();
        let records = self.reader.own_records()?;
        let change = records.iter().rev().find(|own| own.note.previous.is_some());
        let since = change.map_or_else(|| self.reader.archive().created_at.clone(), |change| change.at.clone());
        let ledger = KeyPlace {
            key_id: current.id(),
            vkey: current.to_text(),
            since: Some(since),
            path: folder.join("ledger.key"),
            private: kept(&self.keys.ledger_key(), &current),
        };
        let previous = match change.and_then(|change| change.note.previous.clone().map(|before| (change, before))) {
            None => None,
            Some((change, before)) => {
                let key = parse(&before.vkey)?;
                let retired = match self.keys.retired_key() {
                    Ok(Some(key)) => Ok(key),
                    Ok(None) => Err(KeyError::Absent { what: "signing key", path: self.keys.retired_path() }),
                    Err(error) => Err(error),
                };
                let overlaps = before.overlap_until.as_deref().is_some_and(|until| self.is_before(until));
                let private = kept(&retired, &key);
                let is_kept = private == "kept";
                Some(PreviousKey {
                    place: KeyPlace {
                        key_id: key.id(),
                        vkey: key.to_text(),
                        since: None,
                        path: self.keys.retired_path(),
                        private,
                    },
                    reason: before.reason,
                    record: change.seq.0,
                    overlap_until: before.overlap_until,
                    signs: is_kept && overlaps,
                    may_be_destroyed: is_kept && !overlaps,
                })
            }
        };
        let access = self.keys.access_vkey().map(|key| KeyPlace {
            key_id: key.id(),
            vkey: key.to_text(),
            since: None,
            path: folder.join("access.key"),
            private: kept(&self.keys.access_key(), &key),
        });
        Ok(KeyState { ledger, pinned: self.keys.ledger_vkey().map(|key| key.id()), previous, access })
    }

    fn is_before(&self, time: &str) -> bool {
        let time: Option<UtcTime> = chrono::DateTime::parse_from_rfc3339(time).ok().map(|time| time.to_utc());
        time.is_some_and(|time| self.clock.now() < time)
    }
}
