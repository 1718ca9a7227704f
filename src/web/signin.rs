use std::sync::{Arc, PoisonError};
use std::time::Duration;

use askama::Template;
use axum::extract::{FromRequest as _, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Form};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::error::{WebError, blocking, render};
use super::{Web, assets, text, visits};
use crate::record::Visit;
use crate::store::access::{Access, AccessError, User};

/// `__Host-`: only over TLS (or loopback), only for this host, on every path.
const COOKIE: &str = "__Host-sid";
/// Failures of one name after which each further try waits.
const FREE_TRIES: u32 = 5;
/// Longer names are nobody's.
const LONGEST_NAME: usize = 256;
/// How long failures are remembered.
const REMEMBERED: chrono::TimeDelta = chrono::TimeDelta::minutes(15);

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    css: String,
    refused: Option<&'static str>,
    name: String,
    next: String,
}

/// Where to go after signing in.
#[derive(Debug, Deserialize)]
pub(super) struct Next_ {
    #[serde(default)]
    next: String,
}

/// Where the request of who is signed in came from.
#[derive(Debug, Clone)]
pub(super) struct Peer(Visit);

/// The fields of the form.
#[derive(Deserialize)]
pub(super) struct SignIn {
    #[serde(default)]
    username: String,
    password: SecretString,
    #[serde(default)]
    next: String,
}

fn login_page(status: StatusCode, name: String, next: String, refused: Option<&'static str>) -> Response {
    render(status, &LoginPage { css: assets::css_url(), refused, name, next })
}

pub(super) async fn page(Query(query): Query<Next_>) -> Response {
    login_page(StatusCode::OK, String::new(), query.next, None)
}

/// A path on this site, so that a link cannot send anyone elsewhere after signing in.
fn local_path(next: &str) -> &str {
    if next.starts_with('/') && !next.starts_with("//") && !next.starts_with("/\\") && !next.contains(char::is_control)
    {
        next
    } else {
        "/"
    }
}

/// Runs a change of who is signed in off the async threads; it is not made when it cannot be logged.
async fn logged<T: Send + 'static>(
    web: &Web,
    change: impl FnOnce(&Access) -> Result<T, AccessError> + Send + 'static,
) -> Result<T, WebError> {
    let access = web.access.clone();
    blocking(move || change(&access).map_err(|error| WebError::Unlogged(error.to_string()))).await
}

pub(super) async fn sign_in(State(web): State<Arc<Web>>, request: Request) -> Result<Response, WebError> {
    let (parts, body) = request.into_parts();
    let visit = visits::origin(&parts);
    let Form(form) = match Form::<SignIn>::from_request(Request::from_parts(parts, body), &()).await {
        Ok(form) => form,
        Err(rejection) => return Ok(rejection.into_response()),
    };
    if form.username.len() > LONGEST_NAME {
        let _permit = web.hashing.acquire().await.map_err(|error| WebError::Internal(error.to_string()))?;
        logged(&web, move |access| access.refuse_sign_in("", &visit)).await?;
        return Ok(login_page(StatusCode::UNAUTHORIZED, String::new(), form.next, Some(text::SIGN_IN_REFUSED)));
    }
    let wait = {
        let failures = web.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures
            .get(&form.username)
            .filter(|(_, since)| web.clock.now() - *since < REMEMBERED)
            .map_or(0, |(count, _)| count.saturating_sub(FREE_TRIES - 1))
    };
    if wait > 0 {
        tokio::time::sleep(Duration::from_secs(2_u64.saturating_pow(wait.min(5)))).await;
    }
    let _permit = web.hashing.acquire().await.map_err(|error| WebError::Internal(error.to_string()))?;
    let (shared, name, password) = (Arc::clone(&web), form.username.clone(), form.password);
    let user = blocking(move || Ok(shared.access.check_password(&name, &password)?)).await?;
    let Some(user) = user else {
        {
            let mut failures = web.failures.lock().unwrap_or_else(PoisonError::into_inner);
            let now = web.clock.now();
            failures.retain(|_, (_, since)| now - *since < REMEMBERED);
            let entry = failures.entry(form.username.clone()).or_insert((0, now));
            *entry = (entry.0 + 1, now);
        }
        let name = form.username.clone();
        logged(&web, move |access| access.refuse_sign_in(&name, &visit)).await?;
        return Ok(login_page(StatusCode::UNAUTHORIZED, form.username, form.next, Some(text::SIGN_IN_REFUSED)));
    };
    web.failures.lock().unwrap_or_else(PoisonError::into_inner).remove(&form.username);
    let cookie = logged(&web, move |access| access.start_session(&user.name, &visit)).await?;
    let cookie = format!("{COOKIE}={}; Path=/; Secure; HttpOnly; SameSite=Lax", cookie.expose_secret());
    Ok(redirect(local_path(&form.next), &cookie))
}

fn redirect(to: &str, cookie: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    // A place that no header can hold is given up, the session is not.
    let to = HeaderValue::from_str(to).unwrap_or_else(|_| HeaderValue::from_static("/"));
    response.headers_mut().insert(header::LOCATION, to);
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

pub(super) async fn sign_out(
    State(web): State<Arc<Web>>,
    Extension(user): Extension<User>,
    headers: HeaderMap,
    Extension(Peer(visit)): Extension<Peer>,
) -> Result<Response, WebError> {
    if let Some(cookie) = session_cookie(&headers) {
        logged(&web, move |access| access.end_session(&cookie, &user, &visit)).await?;
    }
    Ok(redirect("/login", &format!("{COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0")))
}

fn session_cookie(headers: &HeaderMap) -> Option<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == COOKIE)
        .map(|(_, value)| value.to_owned())
}

/// Lets signed-in people through, with who they are; sends others to sign in and back.
pub(super) async fn require(
    State(web): State<Arc<Web>>,
    mut request: Request,
    next: Next,
) -> Result<Response, WebError> {
    let user: Option<User> = match session_cookie(request.headers()) {
        Some(cookie) => {
            let access = web.access.clone();
            blocking(move || Ok(access.session_user(&cookie)?)).await?
        }
        None => None,
    };
    let Some(user) = user else {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        // Only what can be asked for by a link is come back to.
        let to = if request.method().is_safe() {
            format!("/login?next={}", super::markup::encode(path))
        } else {
            "/login".to_owned()
        };
        return Ok((StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response());
    };
    request.extensions_mut().insert(user);
    let (mut parts, body) = request.into_parts();
    let peer = Peer(visits::origin(&parts));
    parts.extensions.insert(peer);
    Ok(next.run(Request::from_parts(parts, body)).await)
}

#[cfg(test)]
mod tests {
    use super::local_path;

    #[test]
    fn signing_in_leads_nowhere_else() {
        assert_eq!(local_path("/search?q=a"), "/search?q=a");
        for bad in ["//evil.example", "https://evil.example", "/\\evil.example", "", "/a\nb"] {
            assert_eq!(local_path(bad), "/", "{bad:?}");
        }
    }
}
