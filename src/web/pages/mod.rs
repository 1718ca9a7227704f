//! One file a page. A page is a struct with everything its template needs.

pub(super) mod channels;
pub(super) mod files;
pub(super) mod health;
pub(super) mod overview;
pub(super) mod record;
pub(super) mod search;
pub(super) mod timeline;
mod view;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::error::WebError;
use super::{Web, assets};
use crate::model::{Role, Scope};
use crate::store::access::User;

/// What every page has around it.
pub(super) struct Shell {
    pub(super) title: String,
    pub(super) css: String,
    pub(super) user: String,
    pub(super) role: &'static str,
    /// Which part of the navigation it belongs to.
    pub(super) section: &'static str,
    pub(super) archive: String,
    pub(super) server: String,
    pub(super) zone: &'static str,
    pub(super) checkpoint: String,
    /// The query in the search field at the top.
    pub(super) query: String,
}

impl Shell {
    pub(super) fn new(web: &Web, viewer: &Viewer, section: &'static str, title: impl Into<String>) -> Self {
        let row = web.reader.archive();
        let checkpoint = match web.reader.newest_checkpoint() {
            Ok(Some((checkpoint, _, at))) => format!("{} records, signed {at}", checkpoint.size),
            Ok(None) => "none yet".to_owned(),
            Err(error) => error.to_string(),
        };
        Self {
            title: title.into(),
            css: assets::css_url(),
            user: viewer.name.clone(),
            role: viewer.role.as_str(),
            section,
            archive: row.id.to_string()[..8].to_owned(),
            server: row.server.clone(),
            zone: web.zone.name(),
            checkpoint,
            query: String::new(),
        }
    }
}

/// Who looks, and what they may see. Handlers of content take one; there is no other way to a
/// scope.
#[derive(Debug, Clone)]
pub(super) struct Viewer {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) scope: Scope,
}

impl<S: Sync> FromRequestParts<S> for Viewer {
    type Rejection = WebError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, WebError> {
        let user: Option<&User> = parts.extensions.get();
        let user = user.ok_or_else(|| WebError::Internal("a page was reached without signing in".to_owned()))?;
        Ok(Self { name: user.name.clone(), role: user.role, scope: user.scope.clone() })
    }
}
