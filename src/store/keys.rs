//! Keys and secrets, which lie outside the archive directory: the ledger's signing key and the
//! tokens of the archived accounts. Files are 0600 in a folder of 0700; one that others can read
//! is refused. A file of the same name in the credentials directory of systemd is read first, and
//! nothing is ever written there.

use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use super::error::Error;
use super::layout::sync_folder;
use crate::ledger::{SigningKey, VerifierKey};

/// The folder of keys of one archive.
#[derive(Debug, Clone)]
pub struct Keys {
    folder: PathBuf,
    credentials: Option<PathBuf>,
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
        fs_err::rename(&temporary, &path)?;
        sync_folder(folder)
    }

    /// Keeps a new signing key and its public half.
    pub fn store_ledger_key(&self, key: &SigningKey) -> Result<(), Error> {
        self.write("ledger.key", &format!("{}\n", key.to_private_text()), true)?;
        self.write("ledger.vkey", &format!("{}\n", key.verifier().to_text()), false)
    }

    /// The signing key.
    pub fn ledger_key(&self) -> Result<SigningKey, KeyError> {
        let text = self.read("signing key", "ledger.key", "ledger.key")?;
        SigningKey::parse(text.expose_secret()).map_err(|error| KeyError::Malformed {
            what: "signing key",
            path: self.folder.join("ledger.key"),
            detail: error.to_string(),
        })
    }

    /// The public key kept here, which is what makes `verify` more than the archive's own word.
    pub fn ledger_vkey(&self) -> Option<VerifierKey> {
        let text = fs_err::read_to_string(self.folder.join("ledger.vkey")).ok()?;
        VerifierKey::parse(&text).ok()
    }

    /// What is wrong with the key files in the folder: the file, and what. A file that is not there
    /// is no problem.
    pub fn problems(&self) -> Vec<(PathBuf, String)> {
        let mut out = Vec::new();
        let path = self.folder.join("ledger.vkey");
        let public = match fs_err::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => {
                out.push((path, error.to_string()));
                None
            }
            Ok(bytes) => {
                let text = String::from_utf8_lossy(&bytes);
                match VerifierKey::parse(&text) {
                    Ok(key) if text.strip_suffix('\n').unwrap_or(&text) == key.to_text() => Some(key),
                    Ok(_) => {
                        out.push((path, "it does not hold the verification key alone, as it was written".to_owned()));
                        None
                    }
                    Err(error) => {
                        out.push((path, format!("it does not hold a verification key: {error}")));
                        None
                    }
                }
            }
        };
        let path = self.folder.join("ledger.key");
        match fs_err::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            // Whoever checks need not be the one who signs.
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {}
            Err(error) => out.push((path, error.to_string())),
            Ok(bytes) => {
                let text = SecretString::from(String::from_utf8_lossy(&bytes).into_owned());
                let line = text.expose_secret().strip_suffix('\n').unwrap_or(text.expose_secret());
                match SigningKey::parse(line) {
                    Ok(key) if line != key.to_private_text() => {
                        out.push((path, "it does not hold the signing key alone, as it was written".to_owned()));
                    }
                    Ok(key) if public.is_some_and(|public| public != key.verifier()) => {
                        out.push((path, "it is not the signing key of the verification key beside it".to_owned()));
                    }
                    Ok(_) => {}
                    Err(error) => out.push((path, format!("it does not hold a signing key: {error}"))),
                }
            }
        }
        out
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
