//! What the handlers share, and the desk at which one reader sits.
//!
//! The fields are closed to the pages and methods: records are reached through a [`Scoped`], searches
//! carry a scope, and only who sees everything is given the whole.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};

use super::checks::{Check, Checks};
use super::copies::Copies;
use super::counts::Counts;
use super::error::WebError;
use super::exporting::Exporting;
use super::front::Front;
use super::halfway::Halfway;
use super::limits::Limits;
use super::rights::{Need, reads};
use super::teamchat;
use super::words::{Words, words};
use crate::export::{self, Handed, Progress, Sources};
use crate::history::{self, Coverage, Directory, Expected, ExpectedLine, Limit, Scoped};
use crate::index::{self, Answer, Request, Searcher};
use crate::ledger::Checkpoint;
use crate::model::{ChannelId, Clock, Exclusion, MessageTs, RecordSeq, Role, Scope, UtcTime, Zone};
use crate::record::{Action, Kind};
use crate::store::access::{Access, FactorKey, User};
use crate::store::{
    AccountRow, AnchoredRow, ArchiveRow, Blobs, DerivedReader, Error, FIRST_SOURCE, Reader, RunRow, Side, VisitFilter,
};
use crate::verify;

/// The folder of the archive in which sets lie that were asked for from a page.
const EXPORTS: &str = "exports";

/// Scopes of which the names are kept.
const NARROWED: usize = 16;

/// What the handlers share.
pub struct Web {
    reader: Reader,
    searcher: Searcher,
    access: Access,
    blobs: Blobs,
    zone: Zone,
    clock: Clock,
    tickets: teamchat::Tickets,
    directory: Mutex<Option<(u64, Arc<Directory>)>>,
    /// The same within scopes, those asked for last at the end.
    narrowed: Mutex<Vec<(u64, Scope, Arc<Directory>)>>,
    limits: Limits,
    halfway: Halfway,
    factor_key: Option<FactorKey>,
    front: Front,
    #[cfg(feature = "oidc")]
    provider: Option<super::oidc::Provider>,
    setup_file: Option<PathBuf>,
    exclude: Vec<Exclusion>,
    disabled: BTreeSet<String>,
    hashing: Arc<tokio::sync::Semaphore>,
    checks: Checks,
    copies: Copies,
    counts: Counts,
    inventory: Option<Arc<Inventory>>,
    exporting: Exporting,
}

/// The inventory of what should be there, as it is now; what keeps it from being read, for people.
pub type Inventory = dyn Fn() -> Result<Option<Vec<ExpectedLine>>, String> + Send + Sync;

impl Web {
    /// For an archive opened for reading and its database of accounts.
    pub fn new(reader: Reader, access: Access, zone: Zone, clock: Clock) -> Result<Self, Error> {
        let layout = reader.layout().clone();
        // Without keys from elsewhere the archive is held against its own word.
        let own = reader.clone();
        let check: Arc<Check> = Arc::new(move |depth, progress| verify::check(&own, depth, None, progress));
        Ok(Self {
            checks: Checks::new(check, clock.clone()),
            copies: Copies::new(),
            inventory: None,
            exporting: Exporting::new(layout.root().join(EXPORTS)),
            counts: Counts::default(),
            searcher: Searcher::new(&layout),
            blobs: Blobs::new(layout.blobs()),
            tickets: teamchat::Tickets::new()?,
            directory: Mutex::default(),
            narrowed: Mutex::default(),
            limits: Limits::default(),
            halfway: Halfway::default(),
            factor_key: None,
            front: Front::default(),
            #[cfg(feature = "oidc")]
            provider: None,
            setup_file: None,
            exclude: Vec::new(),
            disabled: BTreeSet::new(),
            // Two cores: more hashes at once would only wait for each other.
            hashing: Arc::new(tokio::sync::Semaphore::new(2)),
            reader,
            access,
            zone,
            clock,
        })
    }

    /// Behind what stands between it and people.
    #[must_use]
    pub fn with_front(mut self, front: Front) -> Self {
        self.front = front;
        self
    }

    /// With a provider at which people sign in, if there is one.
    #[cfg(feature = "oidc")]
    #[must_use]
    pub fn with_provider(mut self, provider: Option<super::oidc::Provider>) -> Self {
        self.provider = provider;
        self
    }

    /// With what the codes of second factors are made with; without it nobody can have one.
    #[must_use]
    pub fn with_factor_key(mut self, key: Option<FactorKey>) -> Self {
        self.factor_key = key;
        self
    }

    /// With the file that holds the set-up token, to be removed when the token is used.
    #[must_use]
    pub fn with_setup_file(mut self, path: PathBuf) -> Self {
        self.setup_file = Some(path);
        self
    }

    /// With what is never fetched, and the accounts that are not crawled with any more: neither is
    /// told by the archive itself.
    #[must_use]
    pub fn with_policy(mut self, exclude: Vec<Exclusion>, disabled: BTreeSet<String>) -> Self {
        self.exclude = exclude;
        self.disabled = disabled;
        self
    }

    /// With another place for sets that are asked for from a page than the archive's own folder for them.
    #[must_use]
    pub fn with_exports_dir(mut self, folder: Option<PathBuf>) -> Self {
        if let Some(folder) = folder {
            self.exporting = Exporting::new(folder);
        }
        self
    }

    /// Returns when no set is being made and none waits.
    pub fn wait_for_exports(&self) {
        self.exporting.wait();
    }

    /// With what checks the archive against keys and checkpoints that are kept elsewhere.
    #[must_use]
    pub fn with_check(mut self, check: Arc<Check>) -> Self {
        self.checks = Checks::new(check, self.clock.clone());
        self
    }

    /// With the inventory that coverage is compared with.
    #[must_use]
    pub fn with_inventory(mut self, inventory: Arc<Inventory>) -> Self {
        self.inventory = Some(inventory);
        self
    }

    /// The archive within a scope.
    pub(super) fn archive<'a>(&'a self, scope: &'a Scope) -> Scoped<'a> {
        Scoped::new(&self.reader, scope)
    }

    /// The archive's row: its id, its server, its key.
    pub(super) fn about(&self) -> &ArchiveRow {
        self.reader.archive()
    }

    /// How many records there are.
    pub(super) fn head(&self) -> Result<u64, Error> {
        self.reader.head()
    }

    /// The newest signed checkpoint and when it was signed.
    pub(super) fn checkpoint(&self) -> Result<Option<(Checkpoint, String)>, Error> {
        Ok(self.reader.newest_checkpoint()?.map(|(checkpoint, _, at)| (checkpoint, at)))
    }

    /// The key that checkpoints are signed with now, by the archive's own word.
    pub(super) fn key(&self) -> String {
        self.reader.own_key().map_or_else(|| self.reader.archive().vkey.clone(), |key| key.to_text())
    }

    /// The checks that are asked for from pages.
    pub(super) fn checks(&self) -> &Checks {
        &self.checks
    }

    /// Sets that are asked for from pages.
    pub(super) fn exporting(&self) -> &Exporting {
        &self.exporting
    }

    /// Makes a set of what the scope of the request lets be seen, for `owner`.
    pub(super) fn make_set(
        &self,
        request: &export::Request,
        owner: &str,
        hand_over: &mut dyn FnMut(&Handed) -> Result<(), export::Error>,
        progress: &dyn Progress,
    ) -> Result<export::Report, export::Error> {
        let log = self.access.log();
        // The size of the log when a set was handed out tells when that was: to whom does not see all, of no sets but
        // their own.
        let last = if request.scope == Scope::All {
            log.last(Action::Export)?
        } else {
            let own =
                VisitFilter { user: Some(owner.to_owned()), action: Some(Action::Export), ..VisitFilter::default() };
            let found = log.listed(&own, Side::Before(u64::MAX), 1)?;
            found.first().and_then(|entry| serde_json::from_str(&entry.body).ok())
        };
        let previous = last.as_ref().and_then(export::handed_out);
        let derived = DerivedReader::open(self.reader.layout())?;
        let sources = Sources {
            reader: &self.reader,
            searcher: &self.searcher,
            blobs: &self.blobs,
            derived: derived.as_ref(),
            directory: &*self.directory(&request.scope)?,
            coverage: &self.coverage(&request.scope)?,
            clock: &self.clock,
            previous,
        };
        export::run(request, &sources, hand_over, progress)
    }

    /// The accounts whose view is archived.
    pub(super) fn accounts(&self) -> Result<Vec<AccountRow>, Error> {
        self.reader.accounts()
    }

    /// The account whose view was archived first, whatever they are called.
    pub(super) fn first_account(&self) -> Result<Option<AccountRow>, Error> {
        let mut first: Option<(RecordSeq, AccountRow)> = None;
        for account in self.reader.accounts()? {
            let versions = self.reader.versions(Kind::Account, FIRST_SOURCE, None, &account.name)?;
            // One that was only enrolled so far comes after those that were recorded.
            let seq = versions.first().map_or(RecordSeq(u64::MAX), |version| version.seq);
            if first.as_ref().is_none_or(|(known, _)| seq < *known) {
                first = Some((seq, account));
            }
        }
        Ok(first.map(|(_, account)| account))
    }

    /// The index. What it is asked carries the asker's scope.
    pub(super) fn searcher(&self) -> &Searcher {
        &self.searcher
    }

    /// Messages of channels by month.
    pub(super) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The accounts of the web side and the access log.
    pub(super) fn access(&self) -> &Access {
        &self.access
    }

    /// Contents of files. Which belongs to whom is told by the records.
    pub(super) fn blobs(&self) -> &Blobs {
        &self.blobs
    }

    /// Copies of pictures that were made for pages.
    pub(super) fn copies(&self) -> &Copies {
        &self.copies
    }

    /// The zone of the archive.
    pub(super) fn zone(&self) -> Zone {
        self.zone
    }

    pub(super) fn now(&self) -> UtcTime {
        self.clock.now()
    }

    pub(super) fn tickets(&self) -> &teamchat::Tickets {
        &self.tickets
    }

    /// What stands between people and the router.
    pub(super) fn front(&self) -> &Front {
        &self.front
    }

    /// The provider at which people sign in.
    #[cfg(feature = "oidc")]
    pub(super) fn provider(&self) -> Option<&super::oidc::Provider> {
        self.provider.as_ref()
    }

    /// What that provider is called towards people.
    #[cfg(feature = "oidc")]
    pub(super) fn provider_host(&self) -> Option<String> {
        self.provider.as_ref().map(super::oidc::Provider::host)
    }

    /// This build knows of none.
    #[cfg(not(feature = "oidc"))]
    #[allow(clippy::unused_self, reason = "a build with the feature asks it")]
    pub(super) fn provider_host(&self) -> Option<String> {
        None
    }

    /// The file that holds the set-up token, if there is one.
    pub(super) fn setup_file(&self) -> Option<&Path> {
        self.setup_file.as_deref()
    }

    /// What the codes of second factors are made with.
    pub(super) fn factor_key(&self) -> Option<&FactorKey> {
        self.factor_key.as_ref()
    }

    /// Who has yet to give a code.
    pub(super) fn halfway(&self) -> &Halfway {
        &self.halfway
    }

    /// How often passwords are tried.
    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The leave to hash a password, once fewer than two are hashed. It is held by what makes the hash, which goes on
    /// when whoever asked for it goes away: they make no room for another.
    pub(super) async fn hashing(&self) -> Result<tokio::sync::OwnedSemaphorePermit, WebError> {
        let leave = Arc::clone(&self.hashing).acquire_owned().await;
        leave.map_err(|error| WebError::Internal(error.to_string()))
    }

    /// What was read in files. What cannot be read is made anew by the next crawl; until then there is
    /// nothing.
    pub(super) fn derived(&self) -> Option<DerivedReader> {
        DerivedReader::open(self.reader.layout()).unwrap_or_else(|error| {
            tracing::warn!(%error, "what was read in files cannot be read");
            None
        })
    }

    /// What is covered of the channels in a scope.
    pub(super) fn coverage(&self, scope: &Scope) -> Result<Coverage, Error> {
        let names = self.whole_directory()?;
        let mut found = history::coverage(&self.reader, &names, &self.exclude, &self.disabled, self.clock.now())?;
        if *scope != Scope::All {
            found.only(|id| scope.allows(id));
            // Whether there are such items elsewhere is not told.
            if !self.has_unrecognised(scope)? {
                found.limits.retain(|limit| *limit != Limit::Unrecognised);
            }
        }
        Ok(found)
    }

    /// Whether items of these channels are kept that could not be recognised.
    fn has_unrecognised(&self, scope: &Scope) -> Result<bool, Error> {
        for (_, row) in self.reader.newest(Kind::Unknown)? {
            if self.reader.record(row.seq)?.header.channel_id().is_some_and(|id| scope.allows(&id)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The names in a scope, as of now.
    pub(super) fn directory(&self, scope: &Scope) -> Result<Arc<Directory>, Error> {
        let all = self.whole_directory()?;
        if *scope == Scope::All {
            return Ok(all);
        }
        let head = self.reader.head()?;
        let mut narrowed = self.narrowed.lock().unwrap_or_else(PoisonError::into_inner);
        narrowed.retain(|(known, ..)| *known == head);
        if let Some((_, _, seen)) = narrowed.iter().find(|(_, known, _)| known == scope) {
            return Ok(Arc::clone(seen));
        }
        let mut seen = Directory::clone(&all);
        seen.channels.retain(|id, _| scope.allows(id));
        let seen = Arc::new(seen);
        if narrowed.len() >= NARROWED {
            narrowed.remove(0);
        }
        narrowed.push((head, scope.clone(), Arc::clone(&seen)));
        Ok(seen)
    }

    /// All names; read again when records were added.
    fn whole_directory(&self) -> Result<Arc<Directory>, Error> {
        let head = self.reader.head()?;
        if let Some((known, directory)) = &*self.directory.lock().unwrap_or_else(PoisonError::into_inner)
            && *known == head
        {
            return Ok(Arc::clone(directory));
        }
        let fresh = Arc::new(history::directory(&self.reader)?);
        *self.directory.lock().unwrap_or_else(PoisonError::into_inner) = Some((head, Arc::clone(&fresh)));
        Ok(fresh)
    }
}

/// The parameter and the cookie that say in which zone times are shown, and the cookies of the colours and the keys.
pub(super) const ZONE: &str = "tz";
pub(super) const THEME: &str = "theme";
pub(super) const KEYS: &str = "keys";

/// The value of a cookie.
pub(super) fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let values = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = values.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(found, _)| *found == name).map(|(_, value)| value.to_owned())
}

/// Who looks, and what they may see; `rights.rs` says what of it opens which page.
#[derive(Debug, Clone)]
pub(super) struct Viewer {
    pub(super) name: String,
    pub(super) role: Role,
    /// The channels whose contents they read.
    pub(super) scope: Scope,
    pub(super) may_export: bool,
}

impl<S: Sync> FromRequestParts<S> for Viewer {
    type Rejection = WebError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, WebError> {
        let user: Option<&User> = parts.extensions.get();
        let user = user.ok_or_else(|| WebError::Internal("a page was reached without signing in".to_owned()))?;
        let scope = reads(user.role, &user.scope);
        Ok(Self { name: user.name.clone(), role: user.role, scope, may_export: user.may_export })
    }
}

/// The archive as it lies before one reader: what they may see, in the zone in which they read it.
/// Every page takes one; there is no other way to a record.
#[derive(Clone)]
pub(super) struct Desk {
    web: Arc<Web>,
    pub(super) viewer: Viewer,
    /// In which times are shown.
    pub(super) zone: Zone,
    /// `light`, `dark`, or nothing: as the system is.
    pub(super) theme: &'static str,
    /// Single keys do what links do, unless somebody switched them off.
    pub(super) keys: bool,
    /// What pages say.
    pub(super) w: &'static Words,
    /// The path and query that were asked for.
    pub(super) asked: String,
}

impl FromRequestParts<Arc<Web>> for Desk {
    type Rejection = WebError;

    async fn from_request_parts(parts: &mut Parts, web: &Arc<Web>) -> Result<Self, WebError> {
        let viewer = Viewer::from_request_parts(parts, web).await?;
        let asked = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let query = parts.uri.query().unwrap_or_default();
        let zone = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == ZONE);
        let zone = zone.map(|(_, value)| value.into_owned()).or_else(|| cookie(&parts.headers, ZONE));
        let zone = zone.and_then(|name| Zone::parse(&name)).unwrap_or(web.zone);
        let theme = match cookie(&parts.headers, THEME).as_deref() {
            Some("light") => "light",
            Some("dark") => "dark",
            _ => "",
        };
        let keys = cookie(&parts.headers, KEYS).as_deref() != Some("off");
        Ok(Self { viewer, zone, theme, keys, w: words(), asked, web: Arc::clone(web) })
    }
}

impl Desk {
    /// The records that the reader may see.
    pub(super) fn archive(&self) -> Scoped<'_> {
        self.web.archive(&self.viewer.scope)
    }

    /// All of the archive, for who sees all of it.
    pub(super) fn whole(&self) -> Option<&Reader> {
        (self.viewer.scope == Scope::All).then_some(&self.web.reader)
    }

    /// What the handlers share and is no record.
    pub(super) fn web(&self) -> &Web {
        &self.web
    }

    /// The same, for what goes on without this desk.
    pub(super) fn shared(&self) -> &Arc<Web> {
        &self.web
    }

    /// The names that the reader may see, as of now.
    pub(super) fn directory(&self) -> Result<Arc<Directory>, Error> {
        self.web.directory(&self.viewer.scope)
    }

    /// Whether the reader watches over the archive.
    pub(super) fn oversees(&self) -> bool {
        self.viewer.oversees()
    }

    /// Whether the reader is told who looked at what.
    pub(super) fn reads_log(&self) -> bool {
        self.viewer.reads_log()
    }

    /// The channels by name, to give them to accounts, for who manages those.
    pub(super) fn to_be_given(&self) -> Result<Arc<Directory>, WebError> {
        if !self.viewer.may(Need::Accounts) {
            return Err(WebError::NotFound);
        }
        Ok(self.web.directory(&Scope::All)?)
    }

    /// Of which channels the reader is told how far they are covered.
    fn overseen(&self) -> &Scope {
        if self.oversees() { &Scope::All } else { &self.viewer.scope }
    }

    /// What is covered of the channels that the reader is told of.
    pub(super) fn coverage(&self) -> Result<Coverage, Error> {
        self.web.coverage(self.overseen())
    }

    /// When each of those channels was made, by the server's word.
    pub(super) fn created(&self) -> Result<BTreeMap<ChannelId, UtcTime>, Error> {
        let directory = self.web.directory(self.overseen())?;
        Ok(directory.channels.iter().filter_map(|(id, facts)| Some((id.clone(), facts.created?))).collect())
    }

    /// In which stretches of time one of those channels has archived messages.
    pub(super) fn spoken_in(
        &self,
        channel: &ChannelId,
        stretches: &[(MessageTs, MessageTs)],
    ) -> Result<Vec<bool>, Error> {
        self.web.archive(self.overseen()).spoken_in(channel, stretches)
    }

    /// The oldest archived message of one of those channels.
    pub(super) fn oldest_message(&self, channel: &ChannelId) -> Result<Option<MessageTs>, Error> {
        self.web.archive(self.overseen()).oldest_message(channel)
    }

    /// What should be there against what is, for who watches over the archive.
    pub(super) fn expected(&self) -> Result<Option<Expected>, WebError> {
        let Some(inventory) = self.web.inventory.as_ref().filter(|_| self.oversees()) else { return Ok(None) };
        let lines = inventory().map_err(WebError::Internal)?;
        Ok(lines.map(|lines| history::expected(&self.web.reader, &lines)).transpose()?)
    }

    /// The newest crawls below a number, for who watches over the archive.
    pub(super) fn runs(&self, before: u64, limit: u32) -> Result<Option<Vec<RunRow>>, Error> {
        self.oversees().then(|| self.web.reader.runs_before(before, limit)).transpose()
    }

    /// One crawl, and the accounts that its first and last record and the walks that it ended last are by.
    pub(super) fn run(&self, id: u64) -> Result<Option<(RunRow, BTreeSet<String>)>, Error> {
        let reader = &self.web.reader;
        let Some(run) = self.oversees().then(|| reader.run(id)).transpose()?.flatten() else { return Ok(None) };
        let mut accounts: BTreeSet<String> = BTreeSet::new();
        accounts.extend(reader.walks()?.into_iter().filter(|walk| walk.run == id).map(|walk| walk.account));
        let summary: serde_json::Value =
            run.summary.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        for name in ["first", "last"] {
            if let Some(seq) =
                summary["records"][name].as_u64().filter(|seq| reader.head().is_ok_and(|head| *seq < head))
            {
                accounts.insert(reader.record(RecordSeq(seq))?.header.account);
            }
        }
        accounts.remove("");
        Ok(Some((run, accounts)))
    }

    /// The newest checkpoint that each keeper elsewhere has taken, for who watches over the archive.
    pub(super) fn kept_elsewhere(&self) -> Result<BTreeMap<String, AnchoredRow>, Error> {
        let rows = if self.oversees() { self.web.reader.anchored()? } else { Vec::new() };
        // They come by size, so that the largest of each keeper stays.
        Ok(rows.into_iter().map(|row| (row.sink.clone(), row)).collect())
    }

    /// Searches what the reader may see: `request` carries the same scope.
    pub(super) fn search(&self, request: &Request<'_>) -> Result<Answer, index::Error> {
        self.web.searcher.search(&Request { scope: &self.viewer.scope, ..request.clone() })
    }
}
