//! The audit UI and the read-only TeamChat API, over one router that is tested without a socket.
//!
//! It changes no record and never calls TeamChat. Every handler of content is given a [`Scope`] and
//! passes it on; what is out of scope answers as what does not exist. Whatever is shown has an entry
//! in the access log first (`visits.rs`). Pages work without script; there is none.

mod assets;
mod error;
mod markup;
mod pages;
mod security;
mod signin;
pub mod teamchat;
mod text;
mod visits;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{any, get, post};

use crate::history::{self, Coverage, Directory};
use crate::index::Searcher;
use crate::model::{Clock, Exclusion, Scope, UtcTime, Zone};
use crate::store::access::Access;
use crate::store::{Blobs, DerivedReader, Error, Reader};

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
    failures: Mutex<HashMap<String, (u32, UtcTime)>>,
    public_url: Option<String>,
    exclude: Vec<Exclusion>,
    disabled: BTreeSet<String>,
    hashing: tokio::sync::Semaphore,
}

impl Web {
    /// For an archive opened for reading and its database of accounts.
    pub fn new(reader: Reader, access: Access, zone: Zone, clock: Clock) -> Result<Self, Error> {
        let layout = reader.layout().clone();
        Ok(Self {
            searcher: Searcher::new(&layout),
            blobs: Blobs::new(layout.blobs()),
            tickets: teamchat::Tickets::new()?,
            directory: Mutex::default(),
            failures: Mutex::default(),
            public_url: None,
            exclude: Vec::new(),
            disabled: BTreeSet::new(),
            // Two cores: more hashes at once would only wait for each other.
            hashing: tokio::sync::Semaphore::new(2),
            reader,
            access,
            zone,
            clock,
        })
    }

    /// Under the address that people use, when that is not the one it listens on.
    #[must_use]
    pub fn with_public_url(mut self, url: Option<String>) -> Self {
        self.public_url = url;
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

    /// What was read in files. What cannot be read is made anew by the next crawl; until then there is
    /// nothing.
    fn derived(&self) -> Option<DerivedReader> {
        DerivedReader::open(self.reader.layout()).unwrap_or_else(|error| {
            tracing::warn!(%error, "what was read in files cannot be read");
            None
        })
    }

    /// What is covered of the channels that a reader may see.
    fn coverage(&self, scope: &Scope) -> Result<Coverage, Error> {
        let names = self.whole_directory()?;
        let mut found = history::coverage(&self.reader, &names, &self.exclude, &self.disabled, self.clock.now())?;
        if *scope != Scope::All {
            found.only(|id| scope.allows(id));
        }
        Ok(found)
    }

    /// The names that a reader may see, as of now.
    fn directory(&self, scope: &Scope) -> Result<Arc<Directory>, Error> {
        let all = self.whole_directory()?;
        if *scope == Scope::All {
            return Ok(all);
        }
        let mut seen = Directory::clone(&all);
        seen.channels.retain(|id, _| scope.allows(id));
        Ok(Arc::new(seen))
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

/// All routes.
pub fn router(web: Arc<Web>) -> Router {
    // Every page of content stands in here, behind the door that writes the access log.
    let content = Router::new()
        .route("/", get(pages::overview::page))
        .route("/search", get(pages::search::page))
        .route("/c", get(pages::channels::page))
        .route("/c/{id}", get(pages::timeline::page))
        .route("/r/{record}", get(pages::record::page))
        .route("/r/{record}/raw.json", get(pages::record::raw))
        .route("/r/{record}/proof.tlog-proof", get(pages::record::proof))
        .route("/r/{record}/proof.json", get(pages::record::proof_json))
        .route("/f", get(pages::files::list))
        .route("/f/{id}", get(pages::files::page))
        .route("/f/{id}/blob", get(pages::files::blob))
        .route_layer(from_fn_with_state(Arc::clone(&web), visits::recorded));
    let signed_in = content
        .route("/logout", post(signin::sign_out))
        .route_layer(from_fn_with_state(Arc::clone(&web), signin::require));
    let open = Router::new()
        .route("/login", get(signin::page).post(signin::sign_in))
        .route("/healthz", get(pages::health::healthz))
        .route("/readyz", get(pages::health::readyz))
        .route("/static/{hash}/{name}", get(assets::serve))
        .route("/favicon.ico", get(assets::favicon))
        .route("/teamchatapi/{method}", any(teamchat::handle))
        .route("/robots.txt", get(pages::health::robots));
    // Outermost last: headers go on every answer, the refusals of the layers within included.
    signed_in
        .merge(open)
        .fallback(pages::health::not_found)
        .layer(from_fn(security::refuse_cross_site))
        .layer(from_fn(security::refuse_prefetch))
        .layer(from_fn(security::headers))
        .with_state(web)
}
