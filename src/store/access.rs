//! Who may look at the archive through the web: accounts, sessions, API tokens (`access.db`). Each
//! change of them is an entry of the access log, in the same transaction.

mod exhibits;
mod factor;
mod jobs;
mod passwords;
mod providers;
mod sessions;
mod setup;
#[cfg(test)]
mod tests;
mod tokens;

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, TransactionBehavior, params};
use secrecy::SecretString;

pub use exhibits::{Exhibit, MAX_EXHIBIT, MAX_EXHIBITS};
pub use factor::{AppSecret, FactorKey};
pub use jobs::{Job, JobState, MAX_JOBS};
pub use passwords::{MAX_PASSWORD, MIN_PASSWORD};
pub use sessions::{Arrival, Session};
pub use setup::SETUP_MINUTES;
pub use tokens::Token;

use super::access_log::{self, AccessLog};
use super::db::{Which, open_writing};
use super::error::Error;
use super::layout::Layout;
use crate::model::{ChannelId, Clock, Role, Scope, rfc3339};
use crate::record::{Action, Visit, scope_list};

/// Longest name of an account or token, in characters.
const LONGEST_NAME: usize = 64;

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
        /// `user`, `token` or `session`.
        what: &'static str,
        /// Which.
        name: String,
    },
    /// A name that could not be read or typed.
    #[error("a name has 1 to {LONGEST_NAME} characters that can be seen, and no blank at its ends")]
    BadName,
    /// Too short.
    #[error("the password is too short: {MIN_PASSWORD} characters at least")]
    ShortPassword,
    /// Too long.
    #[error("the password is too long: {MAX_PASSWORD} characters at most")]
    LongPassword,
    /// It is tried first by whoever guesses.
    #[error("the password is among the first that are guessed")]
    CommonPassword,
    /// A reviewer without channels.
    #[error("a {0} sees only the channels it is given, and none is given")]
    NoChannels(&'static str),
    /// The first account is made once.
    #[error("the first account was made already")]
    SetUp,
    /// It is not what `serve` gave.
    #[error("this is not the set-up token, or it was used")]
    BadSetupToken,
    /// The code of the second factor is another one, or was used.
    #[error("the code is not right, or was used")]
    WrongCode,
    /// Its time is over.
    #[error("the set-up token has expired")]
    ExpiredSetupToken,
    /// The hash could not be made or read.
    #[error("the password could not be hashed: {0}")]
    Hash(String),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] Error),
}

impl From<rusqlite::Error> for AccessError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(Error::from(error).of_access())
    }
}

/// What an account may do and see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// What it may do.
    pub role: Role,
    /// Which channels it may read, if its role reads.
    pub scope: Scope,
    /// Whether it may take sets away. No role has it by itself.
    pub may_export: bool,
}

impl Grant {
    /// What a role is given with these channels, and no right to export.
    pub fn new(role: Role, channels: Option<Scope>) -> Result<Self, AccessError> {
        Ok(Self { role, scope: scope_for(role, channels)?, may_export: false })
    }
}

/// An account of the web UI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Sign-in name.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Which channels it may read, if its role reads.
    pub scope: Scope,
    /// Whether it may take sets away.
    pub may_export: bool,
    /// Signing in is refused.
    pub disabled: bool,
    /// When it was made.
    pub created: String,
    /// Signing in with the password needs a code, too.
    pub has_factor: bool,
}

/// The database of accounts. Clones share one connection: look-ups are short. The log has its own,
/// so that one who waits to write an entry holds up no look-up.
#[derive(Clone)]
pub struct Access {
    connection: Arc<Mutex<Connection>>,
    log: AccessLog,
    clock: Clock,
    /// Who asks for changes; nobody is the command line.
    by: Option<Visit>,
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
        may_export: row.get(3)?,
        disabled: row.get(4)?,
        created: row.get(5)?,
        has_factor: row.get(7)?,
    })
}

const USER: &str = "SELECT user.name, role, channels, may_export, disabled, user.created, password,
    EXISTS (SELECT 1 FROM second_factor WHERE second_factor.user = user.name AND is_on = 1) FROM user";

/// 32 random bytes.
fn random() -> Result<[u8; 32], AccessError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| Error::Io(std::io::Error::other(error.to_string())))?;
    Ok(bytes)
}

fn check_name(name: &str) -> Result<(), AccessError> {
    let is_good = name.trim() == name && (1..=LONGEST_NAME).contains(&name.chars().count());
    if is_good && !name.contains(char::is_control) { Ok(()) } else { Err(AccessError::BadName) }
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
        Ok(Self { connection: Arc::new(Mutex::new(connection)), log, clock, by: None })
    }

    /// The access log, which lies in the same database.
    pub fn log(&self) -> &AccessLog {
        &self.log
    }

    /// The same, for changes that somebody asks for over the web: entries say who, and from where.
    #[must_use]
    pub fn asked_by(&self, user: &User, visit: &Visit) -> Self {
        Self { by: Some(sessions::visited(visit, user)), ..self.clone() }
    }

    pub(super) fn with<T>(&self, run: impl FnOnce(&Connection) -> Result<T, AccessError>) -> Result<T, AccessError> {
        run(&self.connection.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// For changes that are nobody's but the account's own: no entry tells of them.
    fn with_mut<T>(&self, run: impl FnOnce(&mut Connection) -> Result<T, AccessError>) -> Result<T, AccessError> {
        run(&mut self.connection.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs a change and writes the entry that tells of it, both or neither.
    fn change<T>(
        &self,
        run: impl FnOnce(&Transaction<'_>) -> Result<(T, Action, Visit), AccessError>,
    ) -> Result<T, AccessError> {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let (out, action, visit) = run(&transaction)?;
        access_log::append(&transaction, self.log.archive_id(), self.clock.now(), action, &visit)
            .map_err(Error::of_access)?;
        transaction.commit()?;
        Ok(out)
    }

    /// The entry about an account or token that was changed: what it may see now stands where else
    /// stands what the one who asks may see.
    fn granted(&self, name: &str, role: Role, scope: &Scope) -> Visit {
        let by = self.by.clone().unwrap_or_else(|| Visit { from: Some(command_line()), ..Visit::default() });
        Visit {
            subject: Some(name.to_owned()),
            granted: Some(role.as_str().to_owned()),
            scope: Some(scope_list(scope)),
            ..by
        }
    }

    fn granted_to(&self, user: &User) -> Visit {
        Visit { may_export: Some(user.may_export), ..self.granted(&user.name, user.role, &user.scope) }
    }

    /// Makes an account.
    pub fn add_user(&self, name: &str, grant: &Grant, password: &SecretString) -> Result<User, AccessError> {
        check_name(name)?;
        let hash = passwords::hash(name, password)?;
        self.change(|connection| {
            let user = self.insert_user(connection, name, grant, &hash)?;
            let visit = self.granted_to(&user);
            Ok((user, Action::UserAdded, visit))
        })
    }

    fn insert_user(&self, connection: &Connection, name: &str, grant: &Grant, hash: &str) -> Result<User, AccessError> {
        let created = rfc3339(self.clock.now());
        let added = connection.execute(
            "INSERT INTO user (name, role, channels, may_export, password, created) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT DO NOTHING",
            params![name, grant.role.as_str(), scope_text(&grant.scope), grant.may_export, hash, created],
        )?;
        if added == 0 {
            return Err(AccessError::Taken { what: "user", name: name.to_owned() });
        }
        let Grant { role, scope, may_export } = grant.clone();
        Ok(User { name: name.to_owned(), role, scope, may_export, disabled: false, created, has_factor: false })
    }

    /// All accounts, by name.
    pub fn users(&self) -> Result<Vec<User>, AccessError> {
        self.with(|connection| {
            let mut statement = connection.prepare(&format!("{USER} ORDER BY name"))?;
            let rows = statement.query_map([], user_row)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// An account, if there is one of that name.
    pub fn user(&self, name: &str) -> Result<Option<User>, AccessError> {
        self.with(|connection| {
            let mut statement = connection.prepare_cached(&format!("{USER} WHERE name = ?1"))?;
            Ok(statement.query_row([name], user_row).optional()?)
        })
    }

    /// Whether there is an account that can sign in.
    pub fn has_users(&self) -> Result<bool, AccessError> {
        self.with(|connection| {
            let mut statement = connection.prepare_cached("SELECT EXISTS (SELECT 1 FROM user WHERE disabled = 0)")?;
            Ok(statement.query_row([], |row| row.get(0))?)
        })
    }

    /// Refuses an account from now on and ends its sessions.
    pub fn disable_user(&self, name: &str) -> Result<User, AccessError> {
        self.change_user(name, Action::UserDisabled, "UPDATE user SET disabled = 1 WHERE name = ?1", params![name])
    }

    /// Lets an account in again that was refused.
    pub fn enable_user(&self, name: &str) -> Result<User, AccessError> {
        self.change_user(name, Action::UserEnabled, "UPDATE user SET disabled = 0 WHERE name = ?1", params![name])
    }

    /// Gives an account another role, scope and right to export, and ends its sessions.
    pub fn set_role(&self, name: &str, grant: &Grant) -> Result<User, AccessError> {
        self.change_user(
            name,
            Action::UserChanged,
            "UPDATE user SET role = ?2, channels = ?3, may_export = ?4 WHERE name = ?1",
            params![name, grant.role.as_str(), scope_text(&grant.scope), grant.may_export],
        )
    }

    /// Gives an account another password and ends its sessions.
    pub fn set_password(&self, name: &str, password: &SecretString) -> Result<User, AccessError> {
        let hash = passwords::hash(name, password)?;
        let sql = "UPDATE user SET password = ?2 WHERE name = ?1";
        self.change_user(name, Action::PasswordChanged, sql, params![name, hash])
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
            if action == Action::UserDisabled {
                // Whom a provider signs in with it next is asked anew.
                connection.execute("DELETE FROM provided WHERE user = ?1", [name])?;
            }
            let user = connection.query_row(&format!("{USER} WHERE name = ?1"), [name], user_row)?;
            let visit = self.granted_to(&user);
            Ok((user, action, visit))
        })
    }
}
