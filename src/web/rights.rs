//! Who may open what. Each page needs one thing of its reader; roles and what an account was given say
//! whether they have it. Which records may be seen is another question: see `Scoped`.

use axum::extract::{FromRequestParts as _, MatchedPath, Request};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::desk::Viewer;
use super::error::WebError;
use super::words::words;
use crate::model::{Role, Scope};

/// What a page needs of its reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// Nothing but to be signed in.
    Nothing,
    /// To read contents of some channel.
    Contents,
    /// To see what was walked and what is missing, of some channel.
    Coverage,
    /// To see whether what is stored is what was stored.
    Verification,
    /// To see the access log: all of it, or their own entries; see [`Viewer::reads_log`].
    AccessLog,
    /// To manage accounts, tokens and others' sessions.
    Accounts,
    /// To take sets away.
    Export,
}

/// The channels of which a role reads contents, of those that it was given.
pub(super) fn reads(role: Role, given: &Scope) -> Scope {
    match role {
        Role::Verifier => Scope::nothing(),
        Role::Admin | Role::Auditor | Role::Reviewer => given.clone(),
    }
}

impl Viewer {
    /// Whether they watch over the archive: are told how far all of it is covered, of its crawls, and
    /// whether it is whole. A verifier is, and reads none of its contents.
    pub(super) fn oversees(&self) -> bool {
        self.scope == Scope::All || self.role == Role::Verifier
    }

    /// Whether they are told who looked at what.
    pub(super) fn reads_log(&self) -> bool {
        matches!(self.role, Role::Auditor | Role::Admin)
    }

    /// Whether a page that needs this is for them.
    pub(super) fn may(&self, need: Need) -> bool {
        let is_reader = self.scope != Scope::nothing();
        match need {
            Need::Nothing | Need::Verification | Need::AccessLog => true,
            Need::Contents => is_reader,
            Need::Coverage => is_reader || self.oversees(),
            Need::Accounts => self.role == Role::Admin,
            Need::Export => self.may_export && is_reader,
        }
    }
}

/// What a route needs. One that is not named here shows contents.
pub(super) fn need(pattern: &str) -> Need {
    let begins = |path: &str| pattern == path || pattern.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
    match pattern {
        "/look" | "/logout" | "/sessions" => Need::Nothing,
        "/" => Need::Coverage,
        _ if begins("/sessions") => Need::Nothing,
        _ if begins("/crawl") => Need::Coverage,
        _ if begins("/verify") => Need::Verification,
        _ if begins("/access") => Need::AccessLog,
        _ if begins("/admin") => Need::Accounts,
        _ if begins("/exports") => Need::Export,
        _ => Need::Contents,
    }
}

/// Lets through whom a page is for. Everything of a route is refused alike, so that a refusal says
/// nothing of what is there.
pub(super) async fn check(request: Request, next: Next) -> Result<Response, WebError> {
    let (mut parts, body) = request.into_parts();
    let viewer = Viewer::from_request_parts(&mut parts, &()).await?;
    let pattern = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let need = need(pattern);
    if viewer.may(need) {
        return Ok(next.run(Request::from_parts(parts, body)).await);
    }
    // Who only manages accounts begins there.
    if pattern == "/" && viewer.may(Need::Accounts) {
        return Ok((StatusCode::SEE_OTHER, [(header::LOCATION, "/admin/users")]).into_response());
    }
    let w = words();
    Err(WebError::Forbidden(match (need, viewer.role) {
        (Need::Accounts, _) => w.say("forbidden-accounts"),
        (Need::Export, _) => w.say("forbidden-export"),
        (_, Role::Verifier) => w.say("forbidden-verifier"),
        (_, Role::Admin) => w.say("forbidden-admin"),
        _ => w.say("forbidden-contents"),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ChannelId;

    fn viewer(role: Role, given: &Scope, may_export: bool) -> Viewer {
        Viewer { name: "ada".to_owned(), role, scope: reads(role, given), may_export }
    }

    #[test]
    fn each_role_opens_what_it_is_for() {
        use Need::{AccessLog, Accounts, Contents, Coverage, Export, Nothing, Verification};
        let some = Scope::Channels([ChannelId::parse("C1").unwrap()].into());
        let none = Scope::nothing();
        let all = [Nothing, Contents, Coverage, Verification, AccessLog, Accounts, Export];
        for (viewer, opens) in [
            (viewer(Role::Admin, &none, false), &[Nothing, Verification, AccessLog, Accounts][..]),
            (viewer(Role::Admin, &none, true), &[Nothing, Verification, AccessLog, Accounts]),
            (viewer(Role::Admin, &some, false), &[Nothing, Contents, Coverage, Verification, AccessLog, Accounts]),
            (viewer(Role::Auditor, &Scope::All, false), &[Nothing, Contents, Coverage, Verification, AccessLog]),
            (viewer(Role::Auditor, &Scope::All, true), &[Nothing, Contents, Coverage, Verification, AccessLog, Export]),
            (viewer(Role::Reviewer, &some, false), &[Nothing, Contents, Coverage, Verification, AccessLog]),
            (viewer(Role::Reviewer, &some, true), &[Nothing, Contents, Coverage, Verification, AccessLog, Export]),
            (viewer(Role::Verifier, &none, true), &[Nothing, Coverage, Verification, AccessLog]),
            (viewer(Role::Verifier, &Scope::All, true), &[Nothing, Coverage, Verification, AccessLog]),
        ] {
            let found: Vec<Need> = all.into_iter().filter(|need| viewer.may(*need)).collect();
            assert_eq!(found, opens, "{viewer:?}");
        }
    }

    #[test]
    fn a_route_that_nobody_thought_of_shows_contents() {
        for (pattern, due) in [
            ("/", Need::Coverage),
            ("/search", Need::Contents),
            ("/c/{id}", Need::Contents),
            ("/crawl/coverage", Need::Coverage),
            ("/verify", Need::Verification),
            ("/access", Need::AccessLog),
            ("/accessories", Need::Contents),
            ("/admin/users/add", Need::Accounts),
            ("/exports/{id}/download", Need::Export),
            ("/exhibits", Need::Contents),
            ("/sessions/end", Need::Nothing),
            ("/something/new", Need::Contents),
        ] {
            assert_eq!(need(pattern), due, "{pattern}");
        }
    }
}
