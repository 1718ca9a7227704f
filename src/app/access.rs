//! The web side's database, opened so that what is shown is logged and the log is signed.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, interval_at};

use super::{Archive, Error, random};
use crate::ledger::SigningKey;
use crate::store::access::Access;
use crate::store::keys::KeyError;
use crate::store::{self, AccessLog, access_origin};

/// From one signed checkpoint of the access log to the next, where there are new entries.
const SIGN_EVERY: Duration = Duration::from_mins(10);

/// Signs the access log for as long as something is served.
pub struct AccessSigner {
    log: AccessLog,
    key: Arc<SigningKey>,
}

impl Archive {
    /// Makes the key that signs the access log.
    pub(super) fn make_access_key(&self) -> Result<SigningKey, Error> {
        let origin = access_origin(&self.reader.archive().origin);
        let key = SigningKey::new(&origin, random()?)
            .map_err(|error| store::Error::Io(std::io::Error::other(error.to_string())))?;
        self.keys.store_access_key(&key)?;
        Ok(key)
    }

    /// Opens the accounts and the access log for serving. A log that does not continue its newest
    /// checkpoint is refused. An archive that has no key for it is given one; where none can be kept
    /// the log is written and not signed: there is no signer then.
    pub fn open_access(&self) -> Result<(Access, Option<AccessSigner>), Error> {
        let access = Access::open(&self.layout, self.clock.clone())?;
        access.log().refuse_rollback(self.keys.access_vkey().as_ref())?;
        let key = match self.keys.access_key() {
            Ok(key) => key,
            Err(KeyError::Absent { .. }) => match self.make_access_key() {
                Ok(key) => key,
                Err(error) => {
                    tracing::warn!(%error, "the access log is written and not signed: no key for it can be kept");
                    return Ok((access, None));
                }
            },
            Err(error) => return Err(error.into()),
        };
        if key.verifier().name() != access.log().origin() {
            return Err(KeyError::Malformed {
                what: "signing key of this archive's access log",
                path: self.keys.folder().join("access.key"),
                detail: "it is the key of another archive".to_owned(),
            }
            .into());
        }
        access.log().introduce(&key)?;
        let signer = AccessSigner { log: access.log().clone(), key: Arc::new(key) };
        // What commands wrote since the last `serve`, and what one that was killed left unsigned.
        signer.log.checkpoint(&signer.key)?;
        Ok((access, Some(signer)))
    }
}

impl AccessSigner {
    /// Signs now and then, when there are new entries, until `work` ends, and once more at its end.
    /// A failure is told and tried again.
    pub async fn during<T>(self, work: impl Future<Output = T>) -> T {
        let mut ticks = interval_at(Instant::now() + SIGN_EVERY, SIGN_EVERY);
        let mut work = std::pin::pin!(work);
        let out = loop {
            tokio::select! {
                out = &mut work => break out,
                _ = ticks.tick() => self.sign().await,
            }
        };
        self.sign().await;
        out
    }

    /// Signs what is new, now.
    pub(super) fn sign_now(&self) -> Result<(), Error> {
        self.log.checkpoint(&self.key)?;
        Ok(())
    }

    async fn sign(&self) {
        let (log, key) = (self.log.clone(), Arc::clone(&self.key));
        match tokio::task::spawn_blocking(move || log.checkpoint(&key)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::error!(%error, "the access log could not be signed"),
            Err(_) => tracing::error!("the access log could not be signed: its writer panicked"),
        }
    }
}
