//! Sessions: who is signed in, from where, and until when.

use std::net::IpAddr;

use base64::Engine as _;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use secrecy::SecretString;

use super::{Access, AccessError, USER, User, random, user_row};
use crate::model::{Digest, UtcTime};
use crate::record::{Action, Visit, scope_note};

/// Seconds without a request after which a session ends.
const IDLE_SECONDS: i64 = 30 * 60;
/// How long a session lasts at most.
const ABSOLUTE_SECONDS: i64 = 12 * 3600;
/// Longer words of a browser about itself are cut.
const LONGEST_AGENT: usize = 256;

/// How somebody signs in.
#[derive(Debug, Clone, Copy, Default)]
pub struct Arrival<'a> {
    /// What the browser says that it is.
    pub agent: Option<&'a str>,
    /// The cookie that it had: that session ends, whoever's it was.
    pub before: Option<&'a str>,
    /// The machine that asks, where that is not the one at the other end of the connection.
    pub client: Option<IpAddr>,
}

/// A session that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// What it is called by: the SHA-256 of its cookie. Nobody gets in with it.
    pub id: Digest,
    /// Whose.
    pub user: String,
    /// Since when.
    pub since: UtcTime,
    /// Its last request, to the minute.
    pub last_seen: UtcTime,
    /// The address from which it was begun.
    pub from: Option<String>,
    /// What the browser says that it is.
    pub agent: Option<String>,
}

/// The entry about what an account itself did.
pub(super) fn visited(visit: &Visit, user: &User) -> Visit {
    Visit {
        user: Some(user.name.clone()),
        role: Some(user.role.as_str().to_owned()),
        scope: Some(scope_note(&user.scope)),
        ..visit.clone()
    }
}

fn session_row(row: &Row<'_>) -> rusqlite::Result<Session> {
    let id: Vec<u8> = row.get(0)?;
    let moment = |seconds| chrono::DateTime::from_timestamp(seconds, 0).unwrap_or(chrono::DateTime::UNIX_EPOCH);
    Ok(Session {
        id: Digest::from_slice(&id).unwrap_or(Digest([0; 32])),
        user: row.get(1)?,
        since: moment(row.get(2)?),
        last_seen: moment(row.get(3)?),
        from: row.get(4)?,
        agent: row.get(5)?,
    })
}

/// What a session is called by.
fn id_of(cookie: &str) -> Digest {
    Digest::of(cookie.as_bytes())
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST_AGENT)]
}

impl Access {
    /// Starts a session: the value of the cookie, of which only the SHA-256 is kept. `visit` says
    /// from where.
    pub fn start_session(&self, user: &str, visit: &Visit, arrival: Arrival<'_>) -> Result<SecretString, AccessError> {
        let secret = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(random()?);
        let now = self.clock.now().timestamp();
        let from = arrival.client.map(|client| client.to_string()).or_else(|| visit.from.clone());
        self.change(|connection| {
            connection.execute(
                "DELETE FROM session WHERE created < ?1 OR last_seen < ?2",
                params![now - ABSOLUTE_SECONDS, now - IDLE_SECONDS],
            )?;
            if let Some(before) = arrival.before {
                connection.execute("DELETE FROM session WHERE digest = ?1", params![id_of(before).0])?;
            }
            connection.execute(
                "INSERT INTO session (digest, user, created, last_seen, came_from, agent) VALUES (?1, ?2, ?3, ?3, ?4, ?5)",
                params![id_of(&secret).0, user, now, from, arrival.agent.map(cut)],
            )?;
            let user = connection.query_row(&format!("{USER} WHERE name = ?1"), [user], user_row)?;
            Ok(((), Action::SignIn, visited(visit, &user)))
        })?;
        Ok(secret.into())
    }

    /// Notes that a sign-in under `name` was refused. The name is kept only when there is such an
    /// account: people type their password into the wrong field.
    pub fn refuse_sign_in(&self, name: &str, visit: &Visit) -> Result<(), AccessError> {
        self.change(|connection| {
            let known = connection
                .query_row("SELECT name FROM user WHERE name = ?1", [name], |row| row.get::<_, String>(0))
                .optional()?;
            Ok(((), Action::SignInFailed, Visit { subject: known, ..visit.clone() }))
        })
    }

    /// Whose session a cookie is, if it still runs.
    pub fn session_user(&self, cookie: &str) -> Result<Option<User>, AccessError> {
        let digest = id_of(cookie);
        let now = self.clock.now().timestamp();
        self.with(|connection| {
            let user = connection
                .prepare_cached(&format!(
                    "{USER} JOIN session ON session.user = user.name
                     WHERE session.digest = ?1 AND session.created >= ?2 AND session.last_seen >= ?3 AND disabled = 0"
                ))?
                .query_row(params![digest.0, now - ABSOLUTE_SECONDS, now - IDLE_SECONDS], user_row)
                .optional()?;
            // An UPDATE waits for those who write, rows or none: it is run only when one is due.
            let is_due = user.is_some()
                && connection
                    .prepare_cached("SELECT last_seen < ?2 - 60 FROM session WHERE digest = ?1")?
                    .query_row(params![digest.0, now], |row| row.get(0))?;
            if is_due {
                connection
                    .prepare_cached("UPDATE session SET last_seen = ?2 WHERE digest = ?1 AND last_seen < ?2 - 60")?
                    .execute(params![digest.0, now])?;
            }
            Ok(user)
        })
    }

    /// Ends the session of `user`. `visit` says from where it was asked for.
    pub fn end_session(&self, cookie: &str, user: &User, visit: &Visit) -> Result<(), AccessError> {
        self.change(|connection| {
            connection.execute("DELETE FROM session WHERE digest = ?1", params![id_of(cookie).0])?;
            Ok(((), Action::SignOut, visited(visit, user)))
        })
    }

    /// What the session of a cookie is called by.
    pub fn session_id(cookie: &str) -> Digest {
        id_of(cookie)
    }

    fn running(&self, connection: &Connection, of: Option<&str>) -> Result<Vec<Session>, AccessError> {
        let now = self.clock.now().timestamp();
        let mut statement = connection.prepare_cached(
            "SELECT digest, user, session.created, last_seen, came_from, agent
             FROM session JOIN user ON session.user = user.name
             WHERE session.created >= ?1 AND last_seen >= ?2 AND disabled = 0 AND (?3 IS NULL OR user = ?3)
             ORDER BY last_seen DESC, session.created DESC, digest",
        )?;
        let rows = statement.query_map(params![now - ABSOLUTE_SECONDS, now - IDLE_SECONDS, of], session_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The sessions that run, of one account or of all; the one used last is first.
    pub fn sessions(&self, of: Option<&str>) -> Result<Vec<Session>, AccessError> {
        self.with(|connection| self.running(connection, of))
    }

    /// Ends one session of an account, by what it is called.
    pub fn end_one_session(&self, id: &Digest, user: &str) -> Result<(), AccessError> {
        self.end_those(user, "digest = ?2", &id.0)
    }

    /// Ends the sessions of an account, but for the one of this cookie.
    pub fn end_other_sessions(&self, user: &str, cookie: &str) -> Result<(), AccessError> {
        self.end_those(user, "digest <> ?2", &id_of(cookie).0)
    }

    /// Ends all sessions of an account.
    pub fn end_sessions(&self, user: &str) -> Result<(), AccessError> {
        // No cookie has this digest.
        self.end_those(user, "digest <> ?2", &[0; 32])
    }

    fn end_those(&self, user: &str, which: &str, id: &[u8; 32]) -> Result<(), AccessError> {
        self.change(|connection| {
            let found = connection.query_row(&format!("{USER} WHERE name = ?1"), [user], user_row).optional()?;
            let found = found.ok_or_else(|| AccessError::Unknown { what: "user", name: user.to_owned() })?;
            connection.execute(&format!("DELETE FROM session WHERE user = ?1 AND {which}"), params![user, id])?;
            Ok(((), Action::SessionsEnded, self.granted_to(&found)))
        })
    }
}
