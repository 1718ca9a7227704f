//! Opens the parts of an archive together: directory, settings, keys, store, index, server.
//!
//! The command line and the tests go through here, so that there is one way in which an archive
//! is made, opened for reading, opened for writing, crawled and indexed.

mod access;
mod anchors;
mod checking;
mod contents;
mod exports;
mod imports;
pub mod inventory;
mod jobs;
mod relogin;
mod rotation;
mod watch;

pub use access::AccessSigner;
pub use anchors::{AnchorStatus, Offered};
pub use imports::import;
pub use rotation::{KeyPlace, KeyState, Rotated};
pub use watch::{Audience, LiveCounts, WatchEvent, WatchOptions, watch};

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::SecretString;

use crate::anchor::{self, Sink};
use crate::api::{self, Connection, Credentials, Patience, Politeness, ServerOptions, Trust};
use crate::config::{Config, ConfigError, Environment, parse_pin};
use crate::crawl;
use crate::export;
use crate::extract;
use crate::history::{self, Coverage, ExpectedLine, coverage};
use crate::index::{self, Indexer};
use crate::ledger::{ArchiveId, SigningKey};
use crate::model::{Clock, Exclusion};
use crate::record::Kind;
use crate::store::keys::{AccountFile, KeyError, Keys, account_name};
use crate::store::{
    self, Appender, Compacted, DerivedReader, Layout, Reader, SealLimits, Signing, Writer, WriterThread,
};

/// What can go wrong when parts work together.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The archive on disk.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Keys and tokens.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The server.
    #[error(transparent)]
    Server(#[from] api::Error),
    /// The crawl.
    #[error(transparent)]
    Crawl(#[from] crawl::Error),
    /// The index.
    #[error(transparent)]
    Index(#[from] index::Error),
    /// The program that reads files.
    #[error(transparent)]
    Extract(#[from] extract::Error),
    /// A set for other people.
    #[error(transparent)]
    Export(#[from] export::Error),
    /// The settings name another server than the one that is archived.
    #[error("this is an archive of {archived}, and the settings name {configured}")]
    OtherServer {
        /// The archive's.
        archived: String,
        /// That of the settings.
        configured: String,
    },
    /// No account to crawl with.
    #[error("no account is enrolled in the archive at {0}")]
    NoAccount(PathBuf),
    /// The inventory cannot be used.
    #[error(transparent)]
    Inventory(#[from] inventory::InventoryError),
    /// An account that is named and not there.
    #[error("no account named {0} is enrolled")]
    UnknownAccount(String),
}

/// An archive, opened for reading, with what belongs to it.
#[derive(Debug, Clone)]
pub struct Archive {
    /// Its files.
    pub layout: Layout,
    /// Its settings.
    pub config: Config,
    /// Its keys, which lie elsewhere.
    pub keys: Keys,
    /// What it holds.
    pub reader: Reader,
    /// The keepers of its checkpoints.
    pub anchors: Vec<Sink>,
    /// Our clock.
    pub clock: Clock,
    /// The program that reads the text of files, if there is one; see [`Archive::with_worker`].
    pub worker: Option<PathBuf>,
}

/// How an archive is made.
#[derive(Debug, Clone)]
pub struct NewArchive<'a> {
    /// The directory, new or empty.
    pub root: &'a Path,
    /// Base URL of the server.
    pub server: &'a str,
    /// Public key to pin, `sha256:…`.
    pub pin: Option<String>,
    /// PEM file of certificates to trust.
    pub ca: Option<PathBuf>,
    /// Where keys go, if not where they go by default.
    pub keys_dir: Option<PathBuf>,
}

/// A random value of `N` bytes.
fn random<const N: usize>() -> Result<[u8; N], store::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| store::Error::Io(std::io::Error::other(error.to_string())))?;
    Ok(bytes)
}

/// Makes an archive, after the server has answered as TeamChat does. Nothing is left behind when
/// it does not.
pub async fn create(new: &NewArchive<'_>, environment: &Environment, clock: &Clock) -> Result<Archive, Error> {
    let layout = Layout::new(new.root);
    let mut config = Config { keys_dir: new.keys_dir.clone(), ..Config::default() };
    config.server.url = new.server.to_owned();
    config.server.pin = new.pin.clone();
    config.server.ca = new.ca.as_deref().map(std::path::absolute).transpose().map_err(store::Error::from)?;
    // The environment's settings count for this first look already.
    let effective = Config::parse(&config.to_text()?, "the settings", environment)?;
    if new.root.exists() && new.root.read_dir().map_err(store::Error::from)?.next().is_some() {
        return Err(store::Error::Exists(new.root.to_owned()).into());
    }
    let connection = connect(&effective, Patience::brief(), None, clock)?;
    connection.probe().await?;
    config.server.url = connection.base().to_string();

    found(ArchiveId(random()?), &layout, &config, &effective, environment, clock)
}

/// Makes the directory, the keys and the databases of an archive.
fn found(
    id: ArchiveId,
    layout: &Layout,
    config: &Config,
    effective: &Config,
    environment: &Environment,
    clock: &Clock,
) -> Result<Archive, Error> {
    let keys = Keys::new(environment.keys_folder(effective, &id.to_string()), environment.credentials.clone());
    if keys.folder().join("ledger.key").exists() {
        return Err(KeyError::Taken(keys.folder().to_owned()).into());
    }
    fs_err::create_dir_all(layout.root()).map_err(store::Error::from)?;
    let origin = format!("teamchat-archive/{id}");
    let key = SigningKey::new(&origin, random()?)
        .map_err(|error| store::Error::Io(std::io::Error::other(error.to_string())))?;
    keys.store_ledger_key(&key)?;
    // Last, because it is what makes it an archive: one that a death cuts off is none.
    store::write_whole(&layout.config(), config.to_text()?.as_bytes())?;
    store::create(layout, id, &key.verifier().to_text(), &origin, &config.server.url, clock)?;
    let archive = Archive::open(layout.root(), environment, clock)?;
    archive.make_access_key()?;
    Ok(archive)
}

/// A connection to the server that the settings name. `rate` overrides the pace: 0 is without
/// limit.
pub fn connect(
    config: &Config,
    patience: Patience,
    rate: Option<f64>,
    clock: &Clock,
) -> Result<Arc<Connection>, api::Error> {
    let trust = match (&config.server.pin, &config.server.ca) {
        (Some(pin), _) => Trust::Pin(parse_pin(pin).ok_or_else(|| api::Error::Settings(format!("`{pin}` is no pin")))?),
        (None, Some(ca)) => Trust::Authority(ca.clone()),
        (None, None) => Trust::System,
    };
    let requests_per_second = rate.unwrap_or(config.limits.requests_per_second);
    let options = ServerOptions {
        trust,
        proxy: config.server.proxy.clone(),
        politeness: Politeness { requests_per_second, connections: config.limits.connections },
        patience,
        clock: clock.clone(),
    };
    Connection::new(&config.server.url, &options).map(Arc::new)
}

impl Archive {
    /// Opens the archive at `root` for reading.
    pub fn open(root: &Path, environment: &Environment, clock: &Clock) -> Result<Self, Error> {
        let layout = Layout::new(root);
        if !layout.config().exists() && !layout.database().exists() {
            return Err(store::Error::Absent(root.to_owned()).into());
        }
        let reader = Reader::open(&layout)?;
        let config =
            if layout.config().exists() { Config::load(&layout.config(), environment)? } else { Config::default() };
        let keys = Keys::new(
            environment.keys_folder(&config, &reader.archive().id.to_string()),
            environment.credentials.clone(),
        );
        let anchors = anchors::sinks(&config, &layout)?;
        Ok(Self { layout, config, keys, reader, anchors, clock: clock.clone(), worker: None })
    }

    /// Takes the writer's lock and starts its thread. An archive that does not continue a checkpoint
    /// of its own, here or with a keeper that can be looked into, is refused. What the archive is, is
    /// written down first, when its newest record of that says something else.
    pub fn write(&self) -> Result<(Appender, WriterThread), Error> {
        let mut writer = self.writer()?;
        writer.describe(None)?;
        Ok(Appender::start(writer))
    }

    /// Seals what can be sealed; see [`store::compact`]. The lock is held for as long as it takes.
    pub fn compact(&self, limits: SealLimits, progress: &mut dyn FnMut(u64, u64)) -> Result<Compacted, Error> {
        let mut writer = self.writer()?;
        let compacted = store::compact(&mut writer, limits, progress)?;
        // A new dictionary is a record, and whoever adds records brings the index up to them.
        if compacted.trained > 0 {
            self.index(&mut |_| {})?;
        }
        Ok(compacted)
    }

    /// Takes the writer's lock.
    fn writer(&self) -> Result<Writer, Error> {
        let lock = self.layout.lock()?;
        let (current, previous) = self.key_in_force()?;
        let signers = self.keys.signers(&current, previous.as_ref(), self.clock.now())?;
        // Before the database is opened for writing: what lies elsewhere may know better than this copy.
        // Should the archive name a key that was never its own, the opening below refuses it.
        anchor::refuse_rollback(&self.anchors, &self.reader, &self.trusted_keys()?)?;
        let signing = Signing { key: Some(signers.key), also: signers.also, trusted: self.keys.public_halves() };
        let mut writer = Writer::open_with(&self.layout, lock, signing, self.clock.clone())?;
        if signers.is_unfinished {
            // A change of key was cut off after it was recorded.
            writer.checkpoint()?;
            self.keys.finish_change()?;
        }
        Ok(writer)
    }

    /// A connection to its server.
    pub fn connect(&self, patience: Patience, rate: Option<f64>) -> Result<Arc<Connection>, Error> {
        let connection = connect(&self.config, patience, rate, &self.clock)?;
        let archived = &self.reader.archive().server;
        // Another server's messages are not this one's, and its silence is no deletion.
        if connection.base().as_str() != archived {
            return Err(Error::OtherServer { archived: archived.clone(), configured: connection.base().to_string() });
        }
        Ok(connection)
    }

    /// Opens an account on the server and keeps its token.
    pub async fn login(
        &self,
        connection: &Connection,
        username: Option<&str>,
        credentials: &Credentials,
        mut file: AccountFile,
    ) -> Result<(String, AccountFile), Error> {
        let opened = connection.sign_in(credentials).await?;
        let username = username.map_or_else(|| opened.user_id.clone(), str::to_owned);
        let name = account_name(&username);
        file.username = username;
        file.user_id = opened.user_id;
        file.token = secrecy::ExposeSecret::expose_secret(&opened.token).to_owned();
        self.keys.store_account(&name, &file)?;
        Ok((name, file))
    }

    /// The accounts to crawl with: those that are named, or all that are not disabled.
    pub fn accounts(&self, named: &[String], connection: &Arc<Connection>) -> Result<Vec<crawl::Account>, Error> {
        let names = if named.is_empty() {
            self.keys.account_names()?
        } else {
            named.iter().map(|name| account_name(name)).collect()
        };
        let mut out = Vec::new();
        for name in names {
            let file = match self.keys.account(&name) {
                Err(KeyError::Absent { .. }) => return Err(Error::UnknownAccount(name)),
                other => other?,
            };
            if file.disabled && named.is_empty() {
                continue;
            }
            let token = SecretString::from(file.token);
            out.push(crawl::Account {
                name,
                user_id: file.user_id,
                reader: api::Reader::new(Arc::clone(connection), token),
            });
        }
        if out.is_empty() {
            return Err(Error::NoAccount(self.layout.root().to_owned()));
        }
        Ok(out)
    }

    /// What the settings say is never fetched.
    pub fn exclusions(&self) -> Vec<Exclusion> {
        self.config
            .exclude
            .iter()
            .map(|entry| Exclusion {
                channel: entry.channel.clone(),
                user: entry.user.clone(),
                reason: entry.reason.clone(),
                by: entry.by.clone(),
                since: entry.since.clone(),
            })
            .collect()
    }

    /// What the archive covers now, against the inventory that the settings name, if any.
    pub fn coverage(&self) -> Result<Coverage, Error> {
        let mut found = coverage(
            &self.reader,
            &history::directory(&self.reader)?,
            &self.exclusions(),
            &self.disabled_accounts()?,
            self.clock.now(),
        )?;
        if let Some(inventory) = self.inventory()? {
            found.expected = Some(history::expected(&self.reader, &inventory)?);
        }
        Ok(found)
    }

    /// The accounts that the archive knows and that are not crawled with any more. Where no tokens
    /// lie, as beside a copy, nobody can say so, and there are none.
    pub fn disabled_accounts(&self) -> Result<BTreeSet<String>, Error> {
        let enabled = self.enabled_accounts()?;
        if enabled.is_empty() && self.keys.account_names()?.is_empty() {
            return Ok(BTreeSet::new());
        }
        let known = self.reader.accounts()?;
        Ok(known.into_iter().map(|row| row.name).filter(|name| !enabled.contains(name)).collect())
    }

    /// The accounts that are crawled with.
    fn enabled_accounts(&self) -> Result<BTreeSet<String>, Error> {
        let mut enabled = BTreeSet::new();
        for name in self.keys.account_names()? {
            if !self.keys.account(&name)?.disabled {
                enabled.insert(name);
            }
        }
        Ok(enabled)
    }

    /// The inventory to compare with: the file that the settings name, else what the archive was
    /// last given.
    pub fn inventory(&self) -> Result<Option<Vec<ExpectedLine>>, Error> {
        if let Some(path) = self.config.coverage.expected.as_ref().filter(|path| path.exists()) {
            return Ok(Some(inventory::read(path)?.1));
        }
        let rows = self.reader.versions(Kind::Inventory, store::FIRST_SOURCE, None, history::INVENTORY)?;
        let Some(row) = rows.last() else { return Ok(None) };
        Ok(Some(inventory::parse(&self.reader.record(row.seq)?.body, "the recorded inventory")?))
    }

    /// The options of a pass as the settings have them.
    pub fn crawl_options(&self) -> Result<crawl::Options, Error> {
        let inventory = match &self.config.coverage.expected {
            Some(path) => Some(inventory::read(path)?.0),
            None => None,
        };
        Ok(crawl::Options {
            connections: self.config.limits.connections,
            max_file_bytes: self.config.limits.max_file_bytes,
            disk_reserve_percent: self.config.limits.disk_reserve_percent,
            exclude: self.exclusions(),
            enrolled: self.enabled_accounts()?,
            resting: self.disabled_accounts()?,
            inventory,
            clock: self.clock.clone(),
            ..crawl::Options::default()
        })
    }

    /// One pass, one more with the accounts that had to be signed in again, and the index brought to
    /// its end. The lock is held for as long as it takes.
    pub async fn crawl(
        &self,
        accounts: &[crawl::Account],
        options: &crawl::Options,
        progress: &dyn crawl::Progress,
    ) -> Result<crawl::Summary, Error> {
        let (appender, thread) = self.write()?;
        let outcome = self.passes(accounts, options, progress, &appender).await;
        // What was signed is offered also when the pass ended badly.
        let offered = if options.checkpoint { self.offer(&appender).await } else { Ok(Vec::new()) };
        progress.step("index", 0);
        let indexed = self.index(&mut |_| {});
        drop(appender);
        // The lock goes with the writer, when all that was sent to it is done.
        drop(tokio::task::spawn_blocking(move || thread.join()).await.map_err(|_| store::Error::Stopped)??);
        let mut summary = outcome?;
        indexed?;
        summary.findings.extend(offered?.iter().filter_map(Offered::finding));
        summary.findings.sort();
        Ok(summary)
    }

    /// With the program that reads files as a confined child: this one, under its command
    /// `extract-worker`. Without it files are archived and found by their names; the next run with it
    /// reads them.
    #[must_use]
    pub fn with_worker(mut self, program: PathBuf) -> Self {
        self.worker = self.config.extract.enabled.then_some(program);
        self
    }

    /// Reads the text of files that nobody has read yet and says how many. The caller holds the writer's
    /// lock. `progress` is told how many of how many.
    pub fn read_contents(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<u64, Error> {
        match &self.worker {
            Some(program) => contents::read_contents(self, program, progress),
            None => Ok(0),
        }
    }

    /// Reads the text of new files and brings the index to the archive's head. The caller holds the writer's lock.
    pub fn index(&self, progress: &mut dyn FnMut(u64)) -> Result<u64, Error> {
        self.read_contents(&mut |_, _| {})?;
        let derived = DerivedReader::open(&self.layout)?;
        Ok(Indexer::open(&self.layout)?.catch_up(&self.reader, derived.as_ref(), progress)?)
    }
}
