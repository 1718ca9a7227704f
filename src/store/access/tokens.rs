//! API tokens: for programs that read TeamChat.

use base64::Engine as _;
use rusqlite::{OptionalExtension as _, Row, params};
use secrecy::SecretString;

use super::{Access, AccessError, check_name, random, scope_of, scope_text};
use crate::model::{Digest, Role, Scope, UtcTime, rfc3339};
use crate::record::{Action, Visit};

/// Seconds after which a use of a token is noted again: each note waits for the disk.
const NOTED_EVERY: i64 = 3600;

/// An API token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Its name.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// What it may see.
    pub scope: Scope,
    /// When it ends.
    pub expires: UtcTime,
    /// It was withdrawn.
    pub revoked: bool,
    /// When it was used last, to the hour.
    pub last_use: Option<UtcTime>,
}

fn token_row(row: &Row<'_>) -> rusqlite::Result<Token> {
    let role: String = row.get(1)?;
    let channels: String = row.get(2)?;
    let last_use: Option<i64> = row.get(5)?;
    Ok(Token {
        name: row.get(0)?,
        role: Role::parse(&role).unwrap_or(Role::Verifier),
        scope: scope_of(&channels),
        expires: chrono::DateTime::from_timestamp(row.get(3)?, 0).unwrap_or(chrono::DateTime::UNIX_EPOCH),
        revoked: row.get(4)?,
        last_use: last_use.and_then(|seconds| chrono::DateTime::from_timestamp(seconds, 0)),
    })
}

const TOKEN: &str = "SELECT name, role, channels, expires, revoked, last_use FROM token";

impl Access {
    /// Makes an API token and gives its secret, once: `arc_` and 43 characters.
    pub fn create_token(
        &self,
        name: &str,
        role: Role,
        scope: &Scope,
        expires: UtcTime,
    ) -> Result<(SecretString, Token), AccessError> {
        check_name(name)?;
        let secret = format!("arc_{}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(random()?));
        self.change(|connection| {
            let added = connection.execute(
                "INSERT INTO token (name, digest, role, channels, expires) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (name) DO NOTHING",
                params![name, Digest::of(secret.as_bytes()).0, role.as_str(), scope_text(scope), expires.timestamp()],
            )?;
            if added == 0 {
                return Err(AccessError::Taken { what: "token", name: name.to_owned() });
            }
            let token = connection.query_row(&format!("{TOKEN} WHERE name = ?1"), [name], token_row)?;
            let visit = Visit { expires: Some(rfc3339(token.expires)), ..self.granted(name, role, scope) };
            Ok((token, Action::TokenCreated, visit))
        })
        .map(|token| (secret.into(), token))
    }

    /// All tokens, by name.
    pub fn tokens(&self) -> Result<Vec<Token>, AccessError> {
        self.with(|connection| {
            let mut statement = connection.prepare(&format!("{TOKEN} ORDER BY name"))?;
            let rows = statement.query_map([], token_row)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Withdraws a token.
    pub fn revoke_token(&self, name: &str) -> Result<Token, AccessError> {
        self.change(|connection| {
            if connection.execute("UPDATE token SET revoked = 1 WHERE name = ?1", [name])? == 0 {
                return Err(AccessError::Unknown { what: "token", name: name.to_owned() });
            }
            let token = connection.query_row(&format!("{TOKEN} WHERE name = ?1"), [name], token_row)?;
            let visit = self.granted(name, token.role, &token.scope);
            Ok((token, Action::TokenRevoked, visit))
        })
    }

    /// The token that a secret belongs to, if it still holds.
    pub fn check_token(&self, secret: &str) -> Result<Option<Token>, AccessError> {
        self.token_of(&Digest::of(secret.as_bytes()))
    }

    /// The token whose secret has this SHA-256, if it still holds.
    pub fn token_of(&self, digest: &Digest) -> Result<Option<Token>, AccessError> {
        let now = self.clock.now();
        self.with(|connection| {
            let token = connection
                .prepare_cached(&format!("{TOKEN} WHERE digest = ?1"))?
                .query_row(params![digest.0], token_row)
                .optional()?;
            let token = token.filter(|token| !token.revoked && token.expires > now);
            let is_due =
                |token: &Token| token.last_use.is_none_or(|last| (now - last).num_seconds().abs() >= NOTED_EVERY);
            if token.as_ref().is_some_and(is_due) {
                connection
                    .prepare_cached("UPDATE token SET last_use = ?2 WHERE digest = ?1")?
                    .execute(params![digest.0, now.timestamp()])?;
            }
            Ok(token)
        })
    }
}
