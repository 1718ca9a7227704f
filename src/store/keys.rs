//! Keys and secrets, which lie outside the archive directory: the ledger's signing key and the
//! tokens of the archived accounts. Files are 0600 in a folder of 0700; one that others can read
//! is refused. A file of the same name in the credentials directory of systemd is read first, and
//! nothing is ever written there.

mod web;

use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use super::error::Error;
use super::layout::sync_folder;
use super::moment::moment;
use crate::ledger::{SigningKey, VerifierKey};
use crate::model::UtcTime;
use crate::record::{KeyBefore, Reason};

/// The key that signs the archive's checkpoints.
const LEDGER: &str = "ledger.key";
/// The one that is about to take over, until it has.
const NEXT: &str = "ledger.key.next";
/// The one before, which signs beside the new one for a while.
const RETIRED: &str = "ledger.key.retired";
/// The key that signs those of the access log.
const ACCESS: &str = "access.key";

/// The name of the public half of a key: `ledger.vkey` of `ledger.key`.
fn public_name(name: &str) -> String {
    name.replacen(".key", ".vkey", 1)
}

/// The folder of keys of one archive.
#[derive(Debug, Clone)]
pub struct Keys {
    folder: PathBuf,
    credentials: Option<PathBuf>,
}

/// The keys that sign an archive's checkpoints.
#[derive(Debug)]
pub struct Signers {
    /// The one that the archive names.
    pub key: SigningKey,
    /// The one before, while both sign.
    pub also: Option<SigningKey>,
    /// The archive names the new key, and it is not in its place yet: once both have signed,
    /// [`Keys::finish_change`] is due.
    pub is_unfinished: bool,
}

/// A key that need not be there.
fn present(key: Result<SigningKey, KeyError>) -> Result<Option<SigningKey>, KeyError> {
    match key {
        Ok(key) => Ok(Some(key)),
        Err(KeyError::Absent { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// An account of the archived server, as its file under `accounts/` has it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AccountFile {
    /// Sign-in name.
    pub username: String,
    /// Who the server says it is.
    pub user_id: String,
    /// Its token.
    pub token: String,
    /// Its password, kept only when asked to, for signing in again.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub password: Option<String>,
    /// Whether to sign in with the password in clear (over TLS) instead of a digest.
    #[serde(default)]
    pub plain: bool,
    /// Whether its live events are followed.
    #[serde(default)]
    pub live: bool,
    /// Not crawled with.
    #[serde(default)]
    pub disabled: bool,
    /// Why it was enrolled or disabled, in the words of whoever did.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
}

/// Why a key or secret cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It is not where it should be.
    #[error("there is no {what} at {path}")]
    Absent {
        /// `signing key`, `account` …
        what: &'static str,
        /// Where it was looked for.
        path: PathBuf,
    },
    /// There is one already, of another archive.
    #[error("{0} holds the keys of another archive already")]
    Taken(PathBuf),
    /// It is there, and was said to be lost.
    #[error("the signing key is not lost: it is {0}")]
    NotLost(PathBuf),
    /// It is handed to the process, and nothing is written where it comes from.
    #[error("the signing key is handed over as {0}, and nothing is written there")]
    Handed(PathBuf),
    /// Others could read it.
    #[error("{path} can be read by others (mode {mode:03o}): a key must be yours alone")]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It does not parse.
    #[error("{path} does not hold a {what}: {detail}")]
    Malformed {
        /// What it should be.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not. Never the contents.
        detail: String,
    },
    /// The files could not be read or written.
    #[error(transparent)]
    Store(#[from] Error),
}

impl Keys {
    /// The keys in `folder`, read through `credentials` first when there is one.
    pub fn new(folder: PathBuf, credentials: Option<PathBuf>) -> Self {
        Self { folder, credentials }
    }

    /// Where they lie.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn read(&self, what: &'static str, name: &str, flat: &str) -> Result<SecretString, KeyError> {
        if let Some(path) = self.credentials.as_ref().map(|folder| folder.join(flat)).filter(|path| path.exists()) {
            return Ok(fs_err::read_to_string(path).map_err(Error::from)?.into());
        }
        let path = self.folder.join(name);
        let meta = match fs_err::metadata(&path) {
            Ok(meta) => meta,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(KeyError::Absent { what, path }),
            Err(error) => return Err(Error::from(error).into()),
        };
        let mode = meta.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(KeyError::Exposed { path, mode });
        }
        Ok(fs_err::read_to_string(&path).map_err(Error::from)?.into())
    }

    fn write(&self, name: &str, text: &str, private: bool) -> Result<(), Error> {
        let path = self.folder.join(name);
        let folder = path.parent().unwrap_or(&self.folder);
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let temporary = folder.join(format!(".{}.new", path.file_name().unwrap_or_default().to_string_lossy()));
        let mode = if private { 0o600 } else { 0o644 };
        {
            use fs_err::os::unix::fs::OpenOptionsExt as _;
            use std::io::Write as _;
            let mut file =
                fs_err::OpenOptions::new().create(true).truncate(true).write(true).mode(mode).open(&temporary)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
        }
        moment(folder, "key written beside its place");
        fs_err::rename(&temporary, &path)?;
        sync_folder(folder)?;
        moment(folder, "key file in its place");
        Ok(())
    }

    /// Keeps a signing key under `name`, and its public half beside it under `.vkey`.
    fn store_signing_key(&self, name: &str, key: &SigningKey) -> Result<(), Error> {
        self.write(name, &format!("{}\n", key.to_private_text()), true)?;
        self.write(&public_name(name), &format!("{}\n", key.verifier().to_text()), false)
    }

    fn signing_key(&self, name: &str) -> Result<SigningKey, KeyError> {
        let text = self.read("signing key", name, name)?;
        SigningKey::parse(text.expose_secret()).map_err(|error| KeyError::Malformed {
            what: "signing key",
            path: self.folder.join(name),
            detail: error.to_string(),
        })
    }

    fn public_key(&self, name: &str) -> Option<VerifierKey> {
        let text = fs_err::read_to_string(self.folder.join(public_name(name))).ok()?;
        VerifierKey::parse(&text).ok()
    }

    /// The public halves that are kept here of the key that signs and of the one before: what is
    /// trusted without the archive's word.
    pub fn public_halves(&self) -> Vec<VerifierKey> {
        [LEDGER, RETIRED].into_iter().filter_map(|name| self.public_key(name)).collect()
    }

    /// Keeps a new signing key and its public half.
    pub fn store_ledger_key(&self, key: &SigningKey) -> Result<(), Error> {
        self.store_signing_key(LEDGER, key)
    }

    /// The signing key.
    pub fn ledger_key(&self) -> Result<SigningKey, KeyError> {
        self.signing_key(LEDGER)
    }

    /// The public key kept here, which is what makes `verify` more than the archive's own word.
    pub fn ledger_vkey(&self) -> Option<VerifierKey> {
        self.public_key(LEDGER)
    }

    /// Whether the signing key is handed to the process instead of lying in the folder.
    pub fn handed_ledger_key(&self) -> Option<PathBuf> {
        self.credentials.as_ref().map(|folder| folder.join(LEDGER)).filter(|path| path.exists())
    }

    /// Keeps the key that is about to take over.
    pub fn store_next_key(&self, key: &SigningKey) -> Result<(), Error> {
        self.write(NEXT, &format!("{}\n", key.to_private_text()), true)
    }

    /// The key before, if it is still kept.
    pub fn retired_key(&self) -> Result<Option<SigningKey>, KeyError> {
        present(self.signing_key(RETIRED))
    }

    /// Where it lies.
    pub fn retired_path(&self) -> PathBuf {
        self.folder.join(RETIRED)
    }

    /// The keys to sign with, for an archive that names `current` as the one that signs now and
    /// `previous` as the one before. The one before signs too until its time is over at `now`; while
    /// the change from one to the other is not finished, it does in any case.
    pub fn signers(
        &self,
        current: &VerifierKey,
        previous: Option<&KeyBefore>,
        now: UtcTime,
    ) -> Result<Signers, KeyError> {
        let is_before = |key: &SigningKey| {
            previous
                .is_some_and(|previous| previous.reason == Reason::Rotated && previous.vkey == key.verifier().to_text())
        };
        let until = previous.and_then(|previous| previous.overlap_until.as_deref());
        let overlaps = until
            .and_then(|until| chrono::DateTime::parse_from_rfc3339(until).ok())
            .is_some_and(|until| now < until.to_utc());
        // Read once: a file that fails the first time and not the second is not the key of another.
        let kept = match present(self.ledger_key())? {
            Some(key) if key.verifier() == *current => {
                let also = if overlaps { self.retired_key()?.filter(is_before) } else { None };
                return Ok(Signers { key, also, is_unfinished: false });
            }
            kept => kept,
        };
        if let Some(next) = present(self.signing_key(NEXT))?.filter(|next| next.verifier() == *current) {
            return Ok(Signers { key: next, also: kept.filter(is_before), is_unfinished: true });
        }
        let path = self.folder.join(LEDGER);
        let Some(kept) = kept else { return Err(KeyError::Absent { what: "signing key", path }) };
        let detail = if kept.verifier().name() == current.name() {
            format!("it is another key than the one that the archive names, {}", current.id())
        } else {
            "it is the key of another archive".to_owned()
        };
        Err(KeyError::Malformed { what: "signing key of this archive", path, detail })
    }

    /// Puts the key that takes over in its place and the one before beside it. It can be cut off
    /// anywhere and done again.
    pub fn finish_change(&self) -> Result<(), KeyError> {
        let next = self.signing_key(NEXT)?;
        match present(self.signing_key(LEDGER))? {
            Some(before) => self.store_signing_key(RETIRED, &before)?,
            // Of a key that is lost the public half may be left.
            None => {
                if let Some(before) = self.ledger_vkey().filter(|before| *before != next.verifier()) {
                    self.write(&public_name(RETIRED), &format!("{}\n", before.to_text()), false)?;
                }
            }
        }
        // The public half first: until the private one is in its place, all this is done again.
        self.write(&public_name(LEDGER), &format!("{}\n", next.verifier().to_text()), false)?;
        fs_err::rename(self.folder.join(NEXT), self.folder.join(LEDGER)).map_err(Error::from)?;
        sync_folder(&self.folder)?;
        moment(&self.folder, "key in its place");
        Ok(())
    }

    /// Keeps the key that signs the access log, and its public half.
    pub fn store_access_key(&self, key: &SigningKey) -> Result<(), Error> {
        self.store_signing_key(ACCESS, key)
    }

    /// The key that signs the access log.
    pub fn access_key(&self) -> Result<SigningKey, KeyError> {
        self.signing_key(ACCESS)
    }

    /// The public half of the access log's key that is kept here.
    pub fn access_vkey(&self) -> Option<VerifierKey> {
        self.public_key(ACCESS)
    }

    /// What is wrong with the key files in the folder: the file, and what. A file that is not there
    /// is no problem, and neither is a change of key that was cut off between two files.
    pub fn problems(&self) -> Vec<(PathBuf, String)> {
        let mut out = Vec::new();
        let next = self.private_half(NEXT, &mut out);
        for name in [LEDGER, RETIRED, ACCESS] {
            let public = self.public_half(name, &mut out);
            let Some(private) = self.private_half(name, &mut out) else { continue };
            let is_taking_over = |public: &VerifierKey| name == LEDGER && next.as_ref() == Some(public);
            if public.is_some_and(|public| public != private && !is_taking_over(&public)) {
                let detail = "it is not the signing key of the verification key beside it".to_owned();
                out.push((self.folder.join(name), detail));
            }
        }
        out
    }

    /// The public half that a file names, when it holds that alone.
    fn public_half(&self, name: &str, out: &mut Vec<(PathBuf, String)>) -> Option<VerifierKey> {
        let path = self.folder.join(public_name(name));
        let bytes = match fs_err::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
            Err(error) => {
                out.push((path, error.to_string()));
                return None;
            }
        };
        let text = String::from_utf8_lossy(&bytes);
        let detail = match VerifierKey::parse(&text) {
            Ok(key) if text.strip_suffix('\n').unwrap_or(&text) == key.to_text() => return Some(key),
            Ok(_) => "it does not hold the verification key alone, as it was written".to_owned(),
            Err(error) => format!("it does not hold a verification key: {error}"),
        };
        out.push((path, detail));
        None
    }

    /// The public half of the signing key in a file, when it holds that alone.
    fn private_half(&self, name: &str, out: &mut Vec<(PathBuf, String)>) -> Option<VerifierKey> {
        let path = self.folder.join(name);
        let bytes = match fs_err::read(&path) {
            Ok(bytes) => bytes,
            // Whoever checks need not be the one who signs.
            Err(error)
                if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::PermissionDenied) =>
            {
                return None;
            }
            Err(error) => {
                out.push((path, error.to_string()));
                return None;
            }
        };
        let text = SecretString::from(String::from_utf8_lossy(&bytes).into_owned());
        let line = text.expose_secret().strip_suffix('\n').unwrap_or(text.expose_secret());
        let detail = match SigningKey::parse(line) {
            Ok(key) if line == key.to_private_text() => return Some(key.verifier()),
            Ok(_) => "it does not hold the signing key alone, as it was written".to_owned(),
            Err(error) => format!("it does not hold a signing key: {error}"),
        };
        out.push((path, detail));
        None
    }

    /// The names of the accounts, sorted.
    pub fn account_names(&self) -> Result<Vec<String>, Error> {
        let mut names = Vec::new();
        let folder = self.folder.join("accounts");
        if folder.exists() {
            for entry in fs_err::read_dir(folder)? {
                let name = entry?.file_name().to_string_lossy().into_owned();
                if !name.starts_with('.') {
                    names.push(name);
                }
            }
        }
        if let Some(folder) = self.credentials.as_ref().filter(|folder| folder.exists()) {
            for entry in fs_err::read_dir(folder)? {
                if let Some(name) = entry?.file_name().to_string_lossy().strip_prefix("account.") {
                    names.push(name.to_owned());
                }
            }
        }
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// One account.
    pub fn account(&self, name: &str) -> Result<AccountFile, KeyError> {
        let text = self.read("account", &format!("accounts/{name}"), &format!("account.{name}"))?;
        serde_json::from_str(text.expose_secret()).map_err(|error| KeyError::Malformed {
            what: "account",
            path: self.folder.join("accounts").join(name),
            // serde's message can quote the text; the place is enough.
            detail: format!("line {}, column {}", error.line(), error.column()),
        })
    }

    /// Keeps an account under `name`.
    pub fn store_account(&self, name: &str, account: &AccountFile) -> Result<(), Error> {
        let text = serde_json::to_string_pretty(account).map_err(std::io::Error::other)?;
        self.write(&format!("accounts/{name}"), &text, true)
    }
}

/// The name of an account's file: its user name with what a path could misread replaced.
pub fn account_name(username: &str) -> String {
    let clean: String = username
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || matches!(c, '@' | '.' | '-' | '_' | '+') {
                c.to_ascii_lowercase()
            } else {
                '_'
            }
        })
        .collect();
    clean.trim_start_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let keys = Keys::new(folder.path().join("k"), None);
        assert!(matches!(keys.ledger_key(), Err(KeyError::Absent { .. })));
        let key = SigningKey::new("origin", [3; 32]).unwrap();
        keys.store_ledger_key(&key).unwrap();
        assert_eq!(keys.ledger_key().unwrap().verifier(), key.verifier());
        assert_eq!(keys.ledger_vkey(), Some(key.verifier()));
        let path = keys.folder().join("ledger.key");
        assert_eq!(fs_err::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(keys.ledger_key(), Err(KeyError::Exposed { .. })));
    }

    #[test]
    fn credentials_are_read_first() {
        let folder = tempfile::tempdir().unwrap();
        let credentials = folder.path().join("c");
        fs_err::create_dir_all(&credentials).unwrap();
        fs_err::write(credentials.join("ledger.key"), SigningKey::new("other", [4; 32]).unwrap().to_private_text())
            .unwrap();
        let keys = Keys::new(folder.path().join("k"), Some(credentials));
        keys.store_ledger_key(&SigningKey::new("origin", [3; 32]).unwrap()).unwrap();
        assert_eq!(keys.ledger_key().unwrap().verifier().name(), "other");
    }

    #[test]
    fn a_name_cannot_leave_the_folder() {
        assert_eq!(account_name("../Sara@Acme.example"), "_Sara@Acme.example".to_lowercase());
        assert_eq!(account_name(".."), "");
    }
}
