//! Who may look at the archive through the web: accounts, sessions, API tokens (`access.db`). Each
//! change of them is an entry of the access log, in the same transaction.

use std::sync::{Arc, Mutex, PoisonError};

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use base64::Engine as _;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, TransactionBehavior, params};
use secrecy::{ExposeSecret as _, SecretString};

use super::access_log::{self, AccessLog};
use super::db::{Which, open_writing};
use super::error::Error;
use super::layout::Layout;
use crate::model::{ChannelId, Clock, Digest, Role, Scope, UtcTime, rfc3339};
use crate::record::{Action, Visit, scope_list, scope_note};

/// Minutes without a request after which a session ends.
const IDLE_SECONDS: i64 = 30 * 60;
/// How long a session lasts at most.
const ABSOLUTE_SECONDS: i64 = 12 * 3600;
/// Shortest password accepted.
pub const MIN_PASSWORD: usize = 12;

/// Why an account, session or token is not granted.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// A name is taken.
    #[error("there is a {what} named {name} already")]
    Taken {
        /// `user` or `token`.
        what: &'static str,
        /// Which.
        name: String,
    },
    /// A name is unknown.
    #[error("there is no {what} named {name}")]
    Unknown {
        /// `user` or `token`.
        what: &'static str,
        /// Which.
        name: String,
    },
    /// Too short.
    #[error("the password is too short: {MIN_PASSWORD} characters at least")]
    ShortPassword,
    /// A reviewer without channels.
    #[error("a {0} sees only the channels it is given, and none is given")]
    NoChannels(&'static str),
    /// The hash could not be made or read.
    #[error("the password could not be hashed: {0}")]
    Hash(String),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] Error),
}

impl From<rusqlite::Error> for AccessError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

/// An account of the web UI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Sign-in name.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// What it may see.
    pub scope: Scope,
    /// Signing in is refused.
    pub disabled: bool,
    /// When it was made.
    pub created: String,
}

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
}

/// The database of accounts. Clones share one connection: look-ups are short. The log has its own,
/// so that one who waits to write an entry holds up no look-up.
#[derive(Clone)]
pub struct Access {
    connection: Arc<Mutex<Connection>>,
    log: AccessLog,
    clock: Clock,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Access")
    }
}

/// `["*"]` stands for every channel.
fn scope_text(scope: &Scope) -> String {
    match scope {
        Scope::All => "*".to_owned(),
        Scope::Channels(channels) => channels.iter().map(ChannelId::as_str).collect::<Vec<_>>().join("\n"),
    }
}

fn scope_of(text: &str) -> Scope {
    if text == "*" { Scope::All } else { Scope::Channels(text.lines().filter_map(ChannelId::parse).collect()) }
}

/// What a role sees, given the channels it was granted; see the contract's roles.
pub fn scope_for(role: Role, channels: Option<Scope>) -> Result<Scope, AccessError> {
    match (role, channels) {
        (Role::Auditor, _) => Ok(Scope::All),
        (_, Some(scope)) => Ok(scope),
        (Role::Reviewer, None) => Err(AccessError::NoChannels("reviewer")),
        (Role::Admin | Role::Verifier, None) => Ok(Scope::nothing()),
    }
}

fn user_row(row: &Row<'_>) -> rusqlite::Result<User> {
    let role: String = row.get(1)?;
    let channels: String = row.get(2)?;
    Ok(User {
        name: row.get(0)?,
        role: Role::parse(&role).unwrap_or(Role::Verifier),
        scope: scope_of(&channels),
        disabled: row.get(3)?,
        created: row.get(4)?,
    })
}

fn token_row(row: &Row<'_>) -> rusqlite::Result<Token> {
    let role: String = row.get(1)?;
    let channels: String = row.get(2)?;
    Ok(Token {
        name: row.get(0)?,
        role: Role::parse(&role).unwrap_or(Role::Verifier),
        scope: scope_of(&channels),
        expires: chrono::DateTime::from_timestamp(row.get(3)?, 0).unwrap_or(chrono::DateTime::UNIX_EPOCH),
        revoked: row.get(4)?,
    })
}

/// The entry about an account or token that was changed on the command line.
fn granted(name: &str, role: Role, scope: &Scope) -> Visit {
    Visit {
        from: Some(command_line()),
        subject: Some(name.to_owned()),
        granted: Some(role.as_str().to_owned()),
        scope: Some(scope_list(scope)),
        ..Visit::default()
    }
}

/// The entry about what an account itself did.
fn visited(visit: &Visit, user: &User) -> Visit {
    Visit {
        user: Some(user.name.clone()),
        role: Some(user.role.as_str().to_owned()),
        scope: Some(scope_note(&user.scope)),
        ..visit.clone()
    }
}

const USER: &str = "SELECT user.name, role, channels, disabled, user.created, password FROM user";
const TOKEN: &str = "SELECT name, role, channels, expires, revoked FROM token";

/// 32 random bytes.
fn random() -> Result<[u8; 32], AccessError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| Error::Io(std::io::Error::other(error.to_string())))?;
    Ok(bytes)
}

fn hash_password(password: &SecretString) -> Result<String, AccessError> {
    if password.expose_secret().chars().count() < MIN_PASSWORD {
        return Err(AccessError::ShortPassword);
    }
    // The crate's defaults are argon2id with 19,456 KiB, two passes, one lane.
    let hash = Argon2::default().hash_password(password.expose_secret().as_bytes());
    Ok(hash.map_err(|error| AccessError::Hash(error.to_string()))?.to_string())
}

/// Where a change that was asked for on the command line came from: the one who asked is an account
/// of the system.
pub fn command_line() -> String {
    use std::os::unix::fs::MetadataExt as _;
    let user = fs_err::metadata("/proc/self").map(|meta| meta.uid());
    user.map_or_else(|_| "command line".to_owned(), |user| format!("command line, user id {user}"))
}

impl Access {
    /// Opens `access.db` of the archive, which `init` made.
    pub fn open(layout: &Layout, clock: Clock) -> Result<Self, Error> {
        let connection = open_writing(&layout.access(), Which::Access)?;
        let log = AccessLog::open(layout, clock.clone())?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)), log, clock })
    }

    /// The access log, which lies in the same database.
    pub fn log(&self) -> &AccessLog {
        &self.log
    }

    fn with<T>(&self, run: impl FnOnce(&Connection) -> Result<T, AccessError>) -> Result<T, AccessError> {
        run(&self.connection.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs a change and writes the entry that tells of it, both or neither.
    fn change<T>(
        &self,
        run: impl FnOnce(&Transaction<'_>) -> Result<(T, Action, Visit), AccessError>,
    ) -> Result<T, AccessError> {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let (out, action, visit) = run(&transaction)?;
        access_log::append(&transaction, self.log.archive_id(), self.clock.now(), action, &visit)?;
        transaction.commit()?;
        Ok(out)
    }

    /// Makes an account.
    pub fn add_user(
        &self,
        name: &str,
        role: Role,
        scope: &Scope,
        password: &SecretString,
    ) -> Result<User, AccessError> {
        let hash = hash_password(password)?;
        let created = rfc3339(self.clock.now());
        self.change(|connection| {
            let added = connection.execute(
                "INSERT INTO user (name, role, channels, password, created) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
                params![name, role.as_str(), scope_text(scope), hash, created],
            )?;
            if added == 0 {
                return Err(AccessError::Taken { what: "user", name: name.to_owned() });
            }
            let user =
                User { name: name.to_owned(), role, scope: scope.clone(), disabled: false, created: created.clone() };
            let visit = granted(name, role, scope);
            Ok((user, Action::UserAdded, visit))
        })
    }

    /// All accounts, by name.
    pub fn users(&self) -> Result<Vec<User>, AccessError> {
        self.with(|connection| {
            let mut statement = connection.prepare(&format!("{USER} ORDER BY name"))?;
            let rows = statement.query_map([], user_row)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Refuses an account from now on and ends its sessions.
    pub fn disable_user(&self, name: &str) -> Result<User, AccessError> {
        self.change_user(name, Action::UserDisabled, "UPDATE user SET disabled = 1 WHERE name = ?1", params![name])
    }

    /// Gives an account another role and scope and ends its sessions.
    pub fn set_role(&self, name: &str, role: Role, scope: &Scope) -> Result<User, AccessError> {
        self.change_user(
            name,
            Action::UserChanged,
            "UPDATE user SET role = ?2, channels = ?3 WHERE name = ?1",
            params![name, role.as_str(), scope_text(scope)],
        )
    }

    fn change_user(
        &self,
        name: &str,
        action: Action,
        sql: &str,
        values: &[&dyn rusqlite::ToSql],
    ) -> Result<User, AccessError> {
        self.change(|connection| {
            if connection.execute(sql, values)? == 0 {
                return Err(AccessError::Unknown { what: "user", name: name.to_owned() });
            }
            connection.execute("DELETE FROM session WHERE user = ?1", [name])?;
            let user = connection.query_row(&format!("{USER} WHERE name = ?1"), [name], user_row)?;
            let visit = granted(name, user.role, &user.scope);
            Ok((user, action, visit))
        })
    }

    /// Checks a password. It takes the same time for a name that does not exist. Slow by design:
    /// call it off the async threads, two at a time at most.
    pub fn check_password(&self, name: &str, password: &SecretString) -> Result<Option<User>, AccessError> {
        let found: Option<(String, User)> = self.with(|connection| {
            Ok(connection
                .query_row(&format!("{USER} WHERE name = ?1"), [name], |row| Ok((row.get(5)?, user_row(row)?)))
                .optional()?)
        })?;
        let (hash, user) = match found {
            Some((hash, user)) => (hash, Some(user)),
            None => (DUMMY.to_owned(), None),
        };
        let parsed = PasswordHash::new(&hash).map_err(|error| AccessError::Hash(error.to_string()))?;
        let right = Argon2::default().verify_password(password.expose_secret().as_bytes(), &parsed).is_ok();
        Ok(user.filter(|user| right && !user.disabled))
    }

    /// Starts a session: the value of the cookie, of which only the SHA-256 is kept. `visit` says
    /// from where.
    pub fn start_session(&self, user: &str, visit: &Visit) -> Result<SecretString, AccessError> {
        let secret = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(random()?);
        let now = self.clock.now().timestamp();
        self.change(|connection| {
            connection.execute(
                "DELETE FROM session WHERE created < ?1 OR last_seen < ?2",
                params![now - ABSOLUTE_SECONDS, now - IDLE_SECONDS],
            )?;
            connection.execute(
                "INSERT INTO session (digest, user, created, last_seen) VALUES (?1, ?2, ?3, ?3)",
                params![Digest::of(secret.as_bytes()).0, user, now],
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
        let digest = Digest::of(cookie.as_bytes());
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
            connection.execute("DELETE FROM session WHERE digest = ?1", params![Digest::of(cookie.as_bytes()).0])?;
            Ok(((), Action::SignOut, visited(visit, user)))
        })
    }

    /// Makes an API token and gives its secret, once: `arc_` and 43 characters.
    pub fn create_token(
        &self,
        name: &str,
        role: Role,
        scope: &Scope,
        expires: UtcTime,
    ) -> Result<(SecretString, Token), AccessError> {
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
            let visit = Visit { expires: Some(rfc3339(token.expires)), ..granted(name, role, scope) };
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
            let visit = granted(name, token.role, &token.scope);
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
            Ok(token.filter(|token| !token.revoked && token.expires > now))
        })
    }
}

/// A hash that no password is known for, checked in place of one that does not exist.
const DUMMY: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$Zm9yIG5vIHBhc3N3b3JkIGF0IGFsbCwgMzIgYnl0ZXM";

#[cfg(test)]
mod tests {
    use super::super::tests::bench;
    use super::*;

    fn access() -> (tempfile::TempDir, Access, Arc<std::sync::atomic::AtomicI64>) {
        let bench = bench();
        let clock = Clock::set(1_700_000_000_000);
        let Clock::Set(hand) = clock.clone() else { unreachable!() };
        let access = Access::open(&bench.layout, clock).unwrap();
        (bench.folder, access, hand)
    }

    #[test]
    fn a_user_signs_in_with_the_right_password_only() {
        let (_folder, access, _) = access();
        let password: SecretString = "correct horse battery".to_owned().into();
        access.add_user("ada", Role::Auditor, &Scope::All, &password).unwrap();
        assert!(matches!(
            access.add_user("ada", Role::Auditor, &Scope::All, &password),
            Err(AccessError::Taken { .. })
        ));
        assert!(matches!(
            access.add_user("bob", Role::Auditor, &Scope::All, &"short".to_owned().into()),
            Err(AccessError::ShortPassword)
        ));
        assert_eq!(access.check_password("ada", &password).unwrap().unwrap().role, Role::Auditor);
        assert_eq!(access.check_password("ada", &"wrong horse battery".to_owned().into()).unwrap(), None);
        assert_eq!(access.check_password("eve", &password).unwrap(), None);
        access.disable_user("ada").unwrap();
        assert_eq!(access.check_password("ada", &password).unwrap(), None);
    }

    #[test]
    fn sessions_end_by_idling_by_age_and_by_signing_out() {
        use std::sync::atomic::Ordering;
        let (_folder, access, hand) = access();
        access.add_user("ada", Role::Auditor, &Scope::All, &"correct horse battery".to_owned().into()).unwrap();
        let cookie = access.start_session("ada", &Visit::default()).unwrap();
        let cookie = cookie.expose_secret();
        assert!(access.session_user(cookie).unwrap().is_some());
        assert!(access.session_user("guess").unwrap().is_none());
        for _ in 0..23 {
            hand.fetch_add(29 * 60 * 1000, Ordering::Relaxed);
            assert!(access.session_user(cookie).unwrap().is_some());
        }
        hand.fetch_add(3600 * 1000, Ordering::Relaxed);
        assert!(access.session_user(cookie).unwrap().is_none(), "older than twelve hours");
        let second = access.start_session("ada", &Visit::default()).unwrap();
        hand.fetch_add(31 * 60 * 1000, Ordering::Relaxed);
        assert!(access.session_user(second.expose_secret()).unwrap().is_none(), "idle");
        let third = access.start_session("ada", &Visit::default()).unwrap();
        let ada = access.session_user(third.expose_secret()).unwrap().unwrap();
        access.end_session(third.expose_secret(), &ada, &Visit::default()).unwrap();
        assert!(access.session_user(third.expose_secret()).unwrap().is_none());
        let fourth = access.start_session("ada", &Visit::default()).unwrap();
        access.set_role("ada", Role::Verifier, &Scope::nothing()).unwrap();
        assert!(access.session_user(fourth.expose_secret()).unwrap().is_none(), "its rights changed");
    }

    #[test]
    fn a_token_ends_by_time_and_by_revocation() {
        use std::sync::atomic::Ordering;
        let (_folder, access, hand) = access();
        let expires = chrono::DateTime::from_timestamp(1_700_000_100, 0).unwrap();
        let scope = Scope::Channels([ChannelId::parse("C1").unwrap()].into());
        let (secret, _) = access.create_token("robot", Role::Reviewer, &scope, expires).unwrap();
        assert_eq!(access.check_token(secret.expose_secret()).unwrap().unwrap().scope, scope);
        assert!(access.check_token("arc_x").unwrap().is_none());
        hand.fetch_add(200_000, Ordering::Relaxed);
        assert!(access.check_token(secret.expose_secret()).unwrap().is_none());
        hand.fetch_sub(200_000, Ordering::Relaxed);
        access.revoke_token("robot").unwrap();
        assert!(access.check_token(secret.expose_secret()).unwrap().is_none());
        assert!(matches!(access.revoke_token("nobody"), Err(AccessError::Unknown { .. })));
    }

    #[test]
    fn each_change_is_an_entry_without_a_secret() {
        let (_folder, access, _) = access();
        let password: SecretString = "correct horse battery".to_owned().into();
        let from = Visit { from: Some("192.0.2.1:5".to_owned()), ..Visit::default() };
        access.add_user("ada", Role::Auditor, &Scope::All, &password).unwrap();
        access.add_user("ada", Role::Auditor, &Scope::All, &password).unwrap_err();
        let cookie = access.start_session("ada", &from).unwrap();
        access.refuse_sign_in("ada", &from).unwrap();
        access.refuse_sign_in("correct horse battery", &from).unwrap();
        let ada = access.session_user(cookie.expose_secret()).unwrap().unwrap();
        access.end_session(cookie.expose_secret(), &ada, &from).unwrap();
        let scope = Scope::Channels([ChannelId::parse("C1").unwrap()].into());
        access.set_role("ada", Role::Reviewer, &scope).unwrap();
        access.disable_user("ada").unwrap();
        let ends = chrono::DateTime::from_timestamp(1_700_000_100, 0).unwrap();
        let (secret, _) = access.create_token("robot", Role::Reviewer, &scope, ends).unwrap();
        access.revoke_token("robot").unwrap();
        access.revoke_token("nobody").unwrap_err();
        let entries = access.log().entries(0, 100).unwrap();
        let told: Vec<(String, Visit)> = entries
            .iter()
            .map(|entry| {
                let header: crate::record::VisitHeader = serde_json::from_str(&entry.header).unwrap();
                let action = serde_json::to_value(header.action).unwrap();
                (action.as_str().unwrap().to_owned(), serde_json::from_str(&entry.body).unwrap())
            })
            .collect();
        let actions: Vec<&str> = told.iter().map(|(action, _)| action.as_str()).collect();
        let expected = [
            "user_added",
            "sign_in",
            "sign_in_failed",
            "sign_in_failed",
            "sign_out",
            "user_changed",
            "user_disabled",
            "token_created",
            "token_revoked",
        ];
        assert_eq!(actions, expected, "what was refused changed nothing and is no entry");
        assert_eq!((told[2].1.subject.as_deref(), told[3].1.subject.as_deref()), (Some("ada"), None));
        assert_eq!(told[1].1.user.as_deref(), Some("ada"));
        assert_eq!(told[1].1.from.as_deref(), Some("192.0.2.1:5"));
        assert_eq!(told[5].1.scope, Some(serde_json::json!(["C1"])));
        assert_eq!(told[7].1.expires.as_deref(), Some("2023-11-14T22:15:00.000Z"));
        assert!(told[0].1.from.as_deref().is_some_and(|from| from.starts_with("command line")));
        let all: String = entries.iter().map(|entry| format!("{}{}", entry.header, entry.body)).collect();
        for hidden in ["correct horse", cookie.expose_secret(), secret.expose_secret()] {
            assert!(!all.contains(hidden), "{hidden} is in the log");
        }
    }

    #[test]
    fn a_reviewer_needs_channels() {
        assert!(matches!(scope_for(Role::Reviewer, None), Err(AccessError::NoChannels(_))));
        assert_eq!(scope_for(Role::Auditor, None).unwrap(), Scope::All);
        assert_eq!(scope_for(Role::Admin, None).unwrap(), Scope::nothing());
    }
}
