use std::process::ExitCode;

use crate::store::access::AccessError;
use crate::store::keys::KeyError;
use crate::{api, app, config, crawl, export, index, query, store};

/// How the program ends (contract, "Exit codes").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Nothing found, or a failure that is none of the others.
    Failure = 1,
    /// A wrong flag, query or configuration.
    Usage = 2,
    /// What is stored is not what was stored.
    Integrity = 3,
    /// Done, but a gap or debt is open.
    Incomplete = 4,
    /// Sign-in refused, or a token revoked.
    Refused = 5,
    /// Trying again later may help.
    Temporary = 75,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A failure as a person is told of it.
#[derive(Debug)]
pub struct CliError {
    exit: Exit,
    message: String,
    hints: Vec<String>,
    broken_pipe: bool,
}

impl CliError {
    /// A failure with its exit code.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hints: Vec::new(), broken_pipe: false }
    }

    /// A failure that is none of the special ones.
    pub fn other(message: impl Into<String>) -> Self {
        Self::new(Exit::Failure, message)
    }

    /// A wrong flag or query.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Adds what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The exit code.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// What happened.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do next.
    pub fn hints(&self) -> &[String] {
        &self.hints
    }

    /// Whoever read our output has stopped reading: no failure.
    pub fn is_broken_pipe(&self) -> bool {
        self.broken_pipe
    }
}

impl From<std::io::Error> for CliError {
    fn from(error: std::io::Error) -> Self {
        let broken_pipe = error.kind() == std::io::ErrorKind::BrokenPipe;
        Self { broken_pipe, ..store::Error::from(error).into() }
    }
}

impl From<store::Error> for CliError {
    fn from(error: store::Error) -> Self {
        use store::Error as E;
        let exit = match &error {
            _ if error.is_integrity() => Exit::Integrity,
            _ if error.is_temporary() => Exit::Temporary,
            _ => Exit::Failure,
        };
        // A database that SQLite refuses is an unreadable archive for all but `verify`.
        let exit = if matches!(error, E::Damaged { .. }) { Exit::Failure } else { exit };
        let out = Self::new(exit, error.to_string());
        match error {
            E::Absent(_) => out.hint("name it with `--archive DIR`, or make one with `teamchat-archive init --server URL`"),
            E::Exists(_) => out.hint("name a directory that does not exist yet with `--archive DIR`"),
            E::Newer { .. } => out.hint("use the build that wrote it, or a newer one; nothing was changed"),
            E::Locked { .. } => out.hint("wait until it ends; reading (`status`, `search`, `serve`) goes on beside it"),
            E::DiskFull(_) => out.hint("make room, then run the same command again: it goes on where it stopped"),
            E::Damaged { ref path, .. } if path.ends_with("derived.db") => out.hint("delete it: it is no evidence, and the next crawl reads the text of the files again"),
            E::Damaged { .. } => out.hint("`teamchat-archive verify` says what is damaged; put back a copy whose checkpoint you know"),
            E::Corrupt { .. } => out.hint("`teamchat-archive verify` names everything that does not match the ledger"),
            E::Rollback { .. } => out
                .hint("nothing is written to it, and reading (`search`, `show`, `serve`, `verify`) goes on")
                .hint("an older copy was put back, or records were changed: look for the newer copy, and compare with the checkpoints kept elsewhere: `verify --checkpoint FILE`"),
            E::AccessLog { .. } => out.hint("nobody is shown anything over it; `teamchat-archive verify` names what does not fit: compare `checkpoints/access/` with the copies kept elsewhere, and put back the newest `access.db`"),
            E::BadNote { .. } => out
                .hint("nothing is written while it lies there: it was damaged, changed, or is of another archive")
                .hint("run `verify`; if all else is right, move the file away: signed copies of all checkpoints are in archive.db"),
            E::Io(ref io) if io.kind() == std::io::ErrorKind::PermissionDenied => out.hint("the files belong to another account, or the directory can't be written"),
            E::Io(_) | E::Sqlite(_) | E::Stopped => out,
        }
    }
}

impl From<store::ProofError> for CliError {
    fn from(error: store::ProofError) -> Self {
        use store::ProofError as E;
        match error {
            E::Store(error) => error.into(),
            E::NoCheckpoint => Self::other(error.to_string()).hint("the next `teamchat-archive crawl` signs one"),
            E::Uncovered { .. } => {
                Self::other(error.to_string()).hint("the next `teamchat-archive crawl` signs one that covers it")
            }
        }
    }
}

impl From<api::Error> for CliError {
    fn from(error: api::Error) -> Self {
        use api::Error as E;
        let exit = match &error {
            E::Unreachable { .. } | E::Broken { .. } | E::Disconnected { .. } => Exit::Temporary,
            E::Auth { .. } => Exit::Refused,
            E::Settings(_) => Exit::Usage,
            E::NotTeamChat { .. } | E::Untrusted { .. } | E::Refused { .. } => Exit::Failure,
        };
        let out = Self::new(exit, error.to_string());
        match error {
            E::Unreachable { .. } => out.hint("check the address, the network and the proxy; what was archived is kept, and the next run goes on"),
            E::NotTeamChat { .. } => out.hint("the base URL of TeamChat's API looks like https://chat.example.com/teamchatapi/"),
            E::Untrusted { fingerprint: Some(print), .. } => out
                .hint(format!("the server presents the public key sha256:{print}"))
                .hint("compare it with the server's administrator; if it is right, run `init` with `--pin sha256:…`, or give the authority that signed it with `--ca FILE`"),
            E::Untrusted { fingerprint: None, .. } => out.hint("give the authority that signed it with `--ca FILE`"),
            E::Auth { .. } => out.hint("run `teamchat-archive login` for this account again; check name and password, and `--plain` if the server knows no digest"),
            E::Refused { .. } | E::Broken { .. } | E::Disconnected { .. } | E::Settings(_) => out,
        }
    }
}

impl From<config::ConfigError> for CliError {
    fn from(error: config::ConfigError) -> Self {
        Self::usage(error.to_string()).hint("`teamchat-archive config check` reads it again")
    }
}

impl From<KeyError> for CliError {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Store(error) => error.into(),
            KeyError::Exposed { ref path, .. } => {
                let hint = format!("run `chmod 600 {}`; if others could read it, make a new one", path.display());
                Self::other(error.to_string()).hint(hint)
            }
            KeyError::Taken(_) => Self::other(error.to_string())
                .hint("each archive has a folder of its own: name another with `--keys-dir` or TEAMCHAT_ARCHIVE_KEYS_DIR"),
            KeyError::NotLost(_) => Self::usage(error.to_string())
                .hint("`key rotate` without `--lost` lets it sign that the new one takes over, which proves more"),
            KeyError::Handed(_) => Self::usage(error.to_string())
                .hint("rotate with the key in the keys directory and without the credential, then hand over the new one"),
            KeyError::Absent { what: "signing key", .. } => Self::other(error.to_string())
                .hint("the keys lie outside the archive: name their folder with `keys_dir` in archive.toml or TEAMCHAT_ARCHIVE_KEYS_DIR; reading needs none"),
            KeyError::Absent { what: "key of the second factors", .. } => Self::other(error.to_string())
                .hint("accounts have second factors, whose codes are made with it: put it back from a copy of the keys")
                .hint("if it is lost, run `user reset-factor NAME` for each account that `user list` shows with a second factor"),
            KeyError::Absent { what: "secret of the OpenID Connect provider", .. } => Self::usage(error.to_string())
                .hint("the provider gives it out with the name of this client: write it into that file (mode 0600), or hand it over as the credential `oidc.secret`"),
            _ => Self::other(error.to_string()),
        }
    }
}

impl From<crawl::Error> for CliError {
    fn from(error: crawl::Error) -> Self {
        match error {
            crawl::Error::Store(error) => error.into(),
            crawl::Error::Server(error) => error.into(),
            crawl::Error::UnknownChannel(_) => Self::other(error.to_string())
                .hint("ids are those of `channels.list`; `status` and the audit UI show them"),
            crawl::Error::OtherIdentity { .. } => Self::new(Exit::Refused, error.to_string())
                .hint("enrol the other person as an account of their own: views are never mixed"),
        }
    }
}

impl From<index::Error> for CliError {
    fn from(error: index::Error) -> Self {
        match error {
            index::Error::Store(error) => error.into(),
            index::Error::TooBroad(_) => Self::usage(error.to_string()),
            index::Error::Absent { .. } => {
                Self::other(error.to_string()).hint("`teamchat-archive index rebuild` makes it from the records")
            }
            index::Error::Engine(_) => Self::other(error.to_string())
                .hint("it can be removed and made again: `teamchat-archive index rebuild`"),
        }
    }
}

impl From<export::Error> for CliError {
    fn from(error: export::Error) -> Self {
        use export::Error as E;
        let message = error.to_string();
        match error {
            E::Store(error) => error.into(),
            E::Index(error) => error.into(),
            E::DiskFull { .. } => Self::new(Exit::Temporary, message)
                .hint("make room, then run the same command again: it goes on where it stopped"),
            E::File { .. } => Self::other(message),
            E::Empty(_) => Self::other(message)
                .hint("`teamchat-archive search` shows what a query finds; `status` and `coverage` show what there is"),
            E::Exists(_) => Self::usage(message).hint("name a directory that does not exist yet with `--output DIR`"),
            E::Busy(_) => Self::new(Exit::Temporary, message).hint("wait until it has ended, or name another directory with `--output DIR`"),
            E::Unfinished { .. } => Self::usage(message)
                .hint("the command that began it goes on with it; else remove that directory, or name another with `--output DIR`"),
            E::Stopped => Self::new(Exit::Temporary, message),
            E::NoCheckpoint => Self::other(message).hint("the next `teamchat-archive crawl` signs one"),
            E::IndexBehind { .. } => Self::other(message)
                .hint("the next `crawl` brings it up to date; `teamchat-archive index rebuild` makes it anew"),
            E::UnknownChannel(_) => Self::usage(message).hint("`teamchat-archive coverage` lists the ids"),
            E::UnknownCustodian(_) => Self::usage(message)
                .hint("a custodian is named by id, as `search from:NAME --json` shows it under `user`"),
            E::Supplied { .. } => Self::new(Exit::Integrity, message).hint(
                "nothing was imported; `python3 verify.py BAG` names every file that is not as its maker listed it",
            ),
            E::Usage(_) => Self::usage(message),
        }
    }
}

impl From<app::Error> for CliError {
    fn from(error: app::Error) -> Self {
        match error {
            app::Error::Store(error) => error.into(),
            app::Error::Config(error) => error.into(),
            app::Error::Key(error) => error.into(),
            app::Error::Server(error) => error.into(),
            app::Error::Crawl(error) => error.into(),
            app::Error::Index(error) => error.into(),
            app::Error::Extract(_) => Self::other(error.to_string()).hint(
                "the archive is whole; `extract.enabled = false` in archive.toml leaves the text of files unread",
            ),
            app::Error::Export(error) => error.into(),
            app::Error::NoAccount(_) => Self::other(error.to_string())
                .hint("enrol one with `teamchat-archive login --username NAME --password-file FILE`"),
            app::Error::OtherServer { .. } => Self::usage(error.to_string())
                .hint("set `server.url` in archive.toml back, or make an archive of its own for the other server"),
            app::Error::Inventory(error) => Self::usage(error.to_string())
                .hint("an inventory is a CSV file with the columns kind,id,name; kind is account or room"),
            app::Error::UnknownAccount(_) => {
                Self::usage(error.to_string()).hint("`teamchat-archive account list` names them")
            }
        }
    }
}

impl From<AccessError> for CliError {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::Store(error) => error.into(),
            AccessError::NoChannels(_) => {
                Self::usage(error.to_string()).hint("name them with `--channel ID`, or say `--channel all`")
            }
            AccessError::CommonPassword => {
                Self::usage(error.to_string()).hint("four or five words that do not go together are good")
            }
            AccessError::ShortPassword | AccessError::LongPassword | AccessError::BadName => {
                Self::usage(error.to_string())
            }
            _ => Self::other(error.to_string()),
        }
    }
}

impl From<query::QueryError> for CliError {
    fn from(error: query::QueryError) -> Self {
        Self::usage(format!("the query can't be read: {error}"))
    }
}
