//! The first account: made over the web by whoever holds the token that `serve` gave.

use base64::Engine as _;
use rusqlite::{Connection, OptionalExtension as _, params};
use secrecy::{ExposeSecret as _, SecretString};

use super::{Access, AccessError, Grant, User, check_name, passwords, random};
use crate::model::Digest;
use crate::record::{Action, Visit};

/// Minutes for which a set-up token holds.
pub const SETUP_MINUTES: i64 = 30;

/// Whether there is any account, one that is refused included: who made the first one is known then.
fn is_set_up(connection: &Connection) -> Result<bool, AccessError> {
    Ok(connection.query_row("SELECT EXISTS (SELECT 1 FROM user)", [], |row| row.get(0))?)
}

impl Access {
    /// Gives a set-up token, of which only the SHA-256 is kept; none when there is an account.
    pub fn begin_setup(&self) -> Result<Option<SecretString>, AccessError> {
        let secret = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(random()?);
        let now = self.clock.now().timestamp();
        self.with(|connection| {
            connection.execute("DELETE FROM setup WHERE expires <= ?1", [now])?;
            if is_set_up(connection)? {
                return Ok(None);
            }
            connection.execute(
                "INSERT INTO setup (digest, expires) VALUES (?1, ?2)",
                params![Digest::of(secret.as_bytes()).0, now + SETUP_MINUTES * 60],
            )?;
            Ok(Some(secret.into()))
        })
    }

    /// Whether the first account is made.
    pub fn is_set_up(&self) -> Result<bool, AccessError> {
        self.with(is_set_up)
    }

    /// Whether a set-up token holds.
    pub fn check_setup(&self, token: &SecretString) -> Result<(), AccessError> {
        self.with(|connection| self.holds(connection, token))
    }

    fn holds(&self, connection: &Connection, token: &SecretString) -> Result<(), AccessError> {
        if is_set_up(connection)? {
            return Err(AccessError::SetUp);
        }
        let expires: Option<i64> = connection
            .prepare_cached("SELECT expires FROM setup WHERE digest = ?1")?
            .query_row(params![Digest::of(token.expose_secret().as_bytes()).0], |row| row.get(0))
            .optional()?;
        match expires {
            None => Err(AccessError::BadSetupToken),
            Some(expires) if expires <= self.clock.now().timestamp() => Err(AccessError::ExpiredSetupToken),
            Some(_) => Ok(()),
        }
    }

    /// Makes the first account for whoever holds a set-up token; no token holds afterwards. `visit`
    /// says from where it was asked for.
    pub fn finish_setup(
        &self,
        token: &SecretString,
        name: &str,
        grant: &Grant,
        password: &SecretString,
        visit: &Visit,
    ) -> Result<User, AccessError> {
        // Before a hash is made, which takes its time, and again where it counts.
        self.check_setup(token)?;
        check_name(name)?;
        let hash = passwords::hash(name, password)?;
        self.change(|connection| {
            self.holds(connection, token)?;
            let user = self.insert_user(connection, name, grant, &hash)?;
            connection.execute("DELETE FROM setup", [])?;
            let by = Self { by: Some(visit.clone()), ..self.clone() };
            let told = by.granted_to(&user);
            Ok((user, Action::UserAdded, told))
        })
    }
}
