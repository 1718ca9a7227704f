//! Secrets of the web interface.

use std::path::PathBuf;

use secrecy::{ExposeSecret as _, SecretString};

use super::{Error, KeyError, Keys};

/// The token with which the first account is made.
const SETUP: &str = "setup-token";
/// What a proxy shows that signs people in.
const PROXY: &str = "proxy.secret";
/// What an OIDC provider knows this archive by.
#[cfg(feature = "oidc")]
const PROVIDER: &str = "oidc.secret";
/// What the codes of second factors are made with.
const FACTOR: &str = "second-factor.key";
/// Characters that a secret has at least.
const LEAST_SECRET: usize = 32;

impl Keys {
    /// Where the set-up token lies while nobody has an account.
    pub fn setup_token_path(&self) -> PathBuf {
        self.folder.join(SETUP)
    }

    /// Keeps the token with which the first account is made.
    pub fn store_setup_token(&self, token: &SecretString) -> Result<(), Error> {
        self.write(SETUP, &format!("{}\n", token.expose_secret()), true)
    }

    /// Removes it: it is used, or its time is over.
    pub fn remove_setup_token(&self) -> Result<(), Error> {
        match fs_err::remove_file(self.setup_token_path()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// The secret that a proxy shares with us which signs people in.
    pub fn proxy_secret(&self) -> Result<SecretString, KeyError> {
        let text = self.read("secret of the proxy", PROXY, PROXY)?;
        let secret = text.expose_secret().trim();
        if secret.chars().count() < LEAST_SECRET {
            return Err(KeyError::Malformed {
                what: "secret of the proxy",
                path: self.proxy_secret_path(),
                detail: format!("it has fewer than {LEAST_SECRET} characters"),
            });
        }
        Ok(secret.to_owned().into())
    }

    /// What the provider at which people sign in knows this archive by. It is made there.
    #[cfg(feature = "oidc")]
    pub fn provider_secret(&self) -> Result<SecretString, KeyError> {
        let what = "secret of the OpenID Connect provider";
        let text = self.read(what, PROVIDER, PROVIDER)?;
        match text.expose_secret().trim() {
            "" => Err(KeyError::Malformed { what, path: self.folder.join(PROVIDER), detail: "it is empty".to_owned() }),
            secret => Ok(secret.to_owned().into()),
        }
    }

    /// What the codes of second factors are made with, together with what `access.db` has of each.
    pub fn factor_key(&self) -> Result<SecretString, KeyError> {
        let what = "key of the second factors";
        let text = self.read(what, FACTOR, FACTOR)?;
        match text.expose_secret().trim() {
            key if key.chars().count() >= LEAST_SECRET => Ok(key.to_owned().into()),
            _ => Err(KeyError::Malformed {
                what,
                path: self.folder.join(FACTOR),
                detail: format!("it has fewer than {LEAST_SECRET} characters"),
            }),
        }
    }

    /// Keeps it.
    pub fn store_factor_key(&self, key: &SecretString) -> Result<(), Error> {
        self.write(FACTOR, &format!("{}\n", key.expose_secret()), true)
    }

    /// Where it lies, unless it is handed to the process.
    pub fn proxy_secret_path(&self) -> PathBuf {
        self.folder.join(PROXY)
    }

    /// Keeps it.
    pub fn store_proxy_secret(&self, secret: &SecretString) -> Result<(), Error> {
        self.write(PROXY, &format!("{}\n", secret.expose_secret()), true)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_set_up_token_is_ones_own_and_goes_without_a_trace() {
        let folder = tempfile::tempdir().unwrap();
        let keys = Keys::new(folder.path().join("k"), None);
        keys.remove_setup_token().unwrap();
        keys.store_setup_token(&"a token".to_owned().into()).unwrap();
        let path = keys.setup_token_path();
        assert_eq!(fs_err::read_to_string(&path).unwrap(), "a token\n");
        assert_eq!(fs_err::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        keys.remove_setup_token().unwrap();
        assert_eq!(fs_err::read_dir(keys.folder()).unwrap().count(), 0);
    }

    #[cfg(feature = "oidc")]
    #[test]
    fn the_secret_of_a_provider_is_ones_own() {
        let folder = tempfile::tempdir().unwrap();
        let keys = Keys::new(folder.path().join("k"), None);
        assert!(matches!(keys.provider_secret(), Err(KeyError::Absent { .. })));
        keys.write(PROVIDER, "\n", true).unwrap();
        assert!(matches!(keys.provider_secret(), Err(KeyError::Malformed { .. })));
        keys.write(PROVIDER, "what they know\n", false).unwrap();
        assert!(matches!(keys.provider_secret(), Err(KeyError::Exposed { .. })));
        keys.write(PROVIDER, "what they know\n", true).unwrap();
        assert_eq!(keys.provider_secret().unwrap().expose_secret(), "what they know");
    }

    #[test]
    fn a_secret_that_is_short_or_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let keys = Keys::new(folder.path().join("k"), None);
        assert!(matches!(keys.proxy_secret(), Err(KeyError::Absent { .. })));
        keys.store_proxy_secret(&"short".to_owned().into()).unwrap();
        assert!(matches!(keys.proxy_secret(), Err(KeyError::Malformed { .. })));
        keys.store_proxy_secret(&"long ".repeat(10).into()).unwrap();
        assert_eq!(keys.proxy_secret().unwrap().expose_secret(), "long ".repeat(10).trim());
        fs_err::set_permissions(keys.proxy_secret_path(), std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(keys.proxy_secret(), Err(KeyError::Exposed { .. })));
    }
}
