//! The dictionaries that sealed blocks are packed with: kept by id for ever, since a block that was
//! packed with one can be read with no other.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OptionalExtension as _};
use zstd::dict::DecoderDictionary;

use super::error::Error;
use crate::model::{Digest, RecordSeq};

/// Dictionaries that are kept ready: those of several archives, when one process reads several.
const READY: usize = 8;

type Prepared = Arc<DecoderDictionary<'static>>;

/// Ready dictionaries by their SHA-256, newest last. What has the same digest is the same
/// dictionary, so one list serves every archive and every connection.
static PREPARED: Mutex<VecDeque<(Digest, Prepared)>> = Mutex::new(VecDeque::new());

/// The dictionary `id`, ready to unpack with; `None` when the archive has none of that id. Its bytes
/// are held against its digest before they are used.
pub(super) fn prepared(connection: &Connection, id: i64) -> Result<Option<Prepared>, Error> {
    let digest: Option<Vec<u8>> = connection
        .prepare_cached("SELECT digest FROM dictionary WHERE id = ?1")?
        .query_row([id], |row| row.get(0))
        .optional()?;
    let Some(digest) = digest else { return Ok(None) };
    let damaged = |what: &str| Error::Corrupt { seq: RecordSeq(0), detail: format!("dictionary {id} {what}") };
    let digest = Digest::from_slice(&digest).ok_or_else(|| damaged("has a digest that is not 32 bytes"))?;
    let mut known = PREPARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, prepared)) = known.iter().find(|(found, _)| *found == digest) {
        return Ok(Some(Arc::clone(prepared)));
    }
    let bytes: Vec<u8> =
        connection.prepare_cached("SELECT bytes FROM dictionary WHERE id = ?1")?.query_row([id], |row| row.get(0))?;
    if Digest::of(&bytes) != digest {
        return Err(damaged("does not match its digest"));
    }
    let prepared = DecoderDictionary::try_copy(&bytes).map_err(|error| damaged(&format!("can't be used: {error}")))?;
    let prepared = Arc::new(prepared);
    known.push_back((digest, Arc::clone(&prepared)));
    while known.len() > READY {
        known.pop_front();
    }
    Ok(Some(prepared))
}

/// The bytes of the dictionary `id`.
pub(super) fn bytes(connection: &Connection, id: i64) -> Result<Option<Vec<u8>>, Error> {
    Ok(connection.query_row("SELECT bytes FROM dictionary WHERE id = ?1", [id], |row| row.get(0)).optional()?)
}

/// The id in a dictionary's own first bytes; `None` when it is no dictionary of zstd.
pub fn dictionary_id(bytes: &[u8]) -> Option<i64> {
    zstd::zstd_safe::get_dict_id_from_dict(bytes).map(|id| i64::from(id.get()))
}
