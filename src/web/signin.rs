use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::{FromRequest as _, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Form};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::assets;
use super::desk::{Web, cookie};
use super::error::{WebError, blocking, render};
use super::front::Whence;
use super::halfway;
use super::limits::Turn;
use super::words::{Words, words};
use crate::store::access::{Access, AccessError, Arrival, User};

/// `__Host-`: only over TLS (or loopback), only for this host, on every path.
const COOKIE: &str = "__Host-sid";
/// Longer names are nobody's.
const LONGEST_NAME: usize = 256;

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    w: &'static Words,
    css: String,
    icons: String,
    refused: Option<String>,
    name: String,
    next: String,
    /// The provider at which one can sign in instead.
    provider: Option<String>,
    /// The place to go to, as it stands in an address.
    encoded: String,
}

/// Where to go after signing in.
#[derive(Debug, Deserialize)]
pub(super) struct Next_ {
    #[serde(default)]
    pub(super) next: String,
}

/// The fields of the form.
#[derive(Deserialize)]
pub(super) struct SignIn {
    #[serde(default)]
    username: String,
    password: SecretString,
    #[serde(default)]
    next: String,
}

/// The form, with the host of the provider at which one can sign in instead.
pub(super) fn login_page(
    status: StatusCode,
    name: String,
    next: String,
    refused: Option<String>,
    provider: Option<String>,
) -> Response {
    let (css, icons, encoded) = (assets::css_url(), assets::icons_url(), super::markup::encode(&next));
    render(status, &LoginPage { w: words(), css, icons, refused, name, next, provider, encoded })
}

pub(super) async fn page(State(web): State<Arc<Web>>, Query(query): Query<Next_>) -> Response {
    login_page(StatusCode::OK, String::new(), query.next, None, web.provider_host())
}

/// A path on this site, so that a link cannot send anyone elsewhere after signing in.
pub(super) fn local_path(next: &str) -> &str {
    if next.starts_with('/') && !next.starts_with("//") && !next.starts_with("/\\") && !next.contains(char::is_control)
    {
        next
    } else {
        "/"
    }
}

/// Runs a change of who is signed in off the async threads; it is not made when it cannot be logged.
pub(super) async fn logged<T: Send + 'static>(
    web: &Web,
    change: impl FnOnce(&Access) -> Result<T, AccessError> + Send + 'static,
) -> Result<T, WebError> {
    let access = web.access().clone();
    blocking(move || change(&access).map_err(|error| WebError::Unlogged(error.to_string()))).await
}

/// What became of a password that somebody gave.
pub(super) enum Tried {
    /// It is right.
    Right(User),
    /// It is not, or there is no such account, or it is refused; there is an entry about it.
    Wrong,
    /// It was not looked at: there were too many tries, and another may be made after so long.
    TooOften(Duration),
}

/// Checks a password, as often as may be. It takes the same time whoever is named.
pub(super) async fn try_password(
    web: &Arc<Web>,
    whence: &Whence,
    name: &str,
    password: SecretString,
) -> Result<Tried, WebError> {
    let client = whence.client;
    match web.limits().ask(name, client, web.now()) {
        Turn::ComeBack(wait) => return Ok(Tried::TooOften(wait)),
        Turn::After(wait) if wait.is_zero() => {}
        Turn::After(wait) => tokio::time::sleep(wait).await,
    }
    let leave = web.hashing().await?;
    let (shared, asked) = (Arc::clone(web), name.to_owned());
    let user = blocking(move || {
        let _leave = leave;
        Ok(shared.access().check_password(&asked, &password)?)
    })
    .await?;
    let Some(user) = user else {
        let (name, visit) = (name.to_owned(), whence.visit.clone());
        logged(web, move |access| access.refuse_sign_in(&name, &visit)).await?;
        return Ok(Tried::Wrong);
    };
    web.limits().succeeded(name, client);
    Ok(Tried::Right(user))
}

/// An answer that says when to come back.
pub(super) fn too_often(mut response: Response, wait: Duration) -> Response {
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds(wait)));
    response
}

/// Whole seconds, of which none is too few.
pub(super) fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

pub(super) async fn sign_in(State(web): State<Arc<Web>>, request: Request) -> Result<Response, WebError> {
    let (parts, body) = request.into_parts();
    let (whence, headers) = (whence(&parts), parts.headers.clone());
    let Form(form) = match Form::<SignIn>::from_request(Request::from_parts(parts, body), &()).await {
        Ok(form) => form,
        Err(rejection) => return Ok(rejection.into_response()),
    };
    // A name that is nobody's is tried like any other, and not said again.
    let is_name = form.username.len() <= LONGEST_NAME;
    let name = if is_name { form.username } else { String::new() };
    let (w, provider) = (words(), web.provider_host());
    match try_password(&web, &whence, &name, form.password).await? {
        Tried::Right(user) if user.has_factor => {
            let half = web.halfway().begin(&user.name, web.now())?;
            let mut response = code_page(StatusCode::OK, form.next, None);
            set_cookie(&mut response, &half_cookie(&half, halfway::PATIENCE.num_seconds()));
            Ok(response)
        }
        Tried::Right(user) => {
            let cookie = start_session(&web, &user, &whence, &headers).await?;
            Ok(redirect(local_path(&form.next), &cookie))
        }
        Tried::Wrong => {
            let said = w.say("sign-in-refused");
            Ok(login_page(StatusCode::UNAUTHORIZED, name, form.next, Some(said), provider))
        }
        Tried::TooOften(wait) => {
            let said = w.count("sign-in-too-often", seconds(wait));
            Ok(too_often(login_page(StatusCode::TOO_MANY_REQUESTS, name, form.next, Some(said), provider), wait))
        }
    }
}

#[derive(Template)]
#[template(path = "code.html")]
struct CodePage {
    w: &'static Words,
    css: String,
    icons: String,
    refused: Option<String>,
    next: String,
}

/// The form for the code of a second factor.
fn code_page(status: StatusCode, next: String, refused: Option<String>) -> Response {
    render(status, &CodePage { w: words(), css: assets::css_url(), icons: assets::icons_url(), refused, next })
}

fn half_cookie(value: &str, seconds: i64) -> String {
    format!("{}={value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={seconds}", halfway::COOKIE)
}

/// The fields of the form for a code.
#[derive(Deserialize)]
pub(super) struct GiveCode {
    code: SecretString,
    #[serde(default)]
    next: String,
}

/// Lets in who gave the right password before and gives the right code now.
pub(super) async fn give_code(
    State(web): State<Arc<Web>>,
    Extension(whence): Extension<Whence>,
    headers: HeaderMap,
    Form(form): Form<GiveCode>,
) -> Result<Response, WebError> {
    let (w, half) = (words(), cookie(&headers, halfway::COOKIE).unwrap_or_default());
    let Some(name) = web.halfway().try_code(&half, web.now()) else {
        let said = Some(w.say("code-too-late"));
        let mut page = login_page(StatusCode::UNAUTHORIZED, String::new(), form.next, said, web.provider_host());
        set_cookie(&mut page, &half_cookie("", 0));
        return Ok(page);
    };
    // The tries of a code are counted apart from those of the password: no account has such a name.
    match try_code(&web, &whence, &name, &format!("\0code {name}"), form.code).await? {
        Tried::Right(user) => {
            web.halfway().end(&half);
            let session = start_session(&web, &user, &whence, &headers).await?;
            let mut response = redirect(local_path(&form.next), &session);
            set_cookie(&mut response, &half_cookie("", 0));
            Ok(response)
        }
        Tried::Wrong => Ok(code_page(StatusCode::UNAUTHORIZED, form.next, Some(w.say("code-wrong")))),
        Tried::TooOften(wait) => {
            let said = w.count("sign-in-too-often", seconds(wait));
            Ok(too_often(code_page(StatusCode::TOO_MANY_REQUESTS, form.next, Some(said)), wait))
        }
    }
}

/// Checks a code, as often as may be; the tries are counted under `counted`.
pub(super) async fn try_code(
    web: &Arc<Web>,
    whence: &Whence,
    name: &str,
    counted: &str,
    code: SecretString,
) -> Result<Tried, WebError> {
    match web.limits().ask(counted, whence.client, web.now()) {
        Turn::ComeBack(wait) => return Ok(Tried::TooOften(wait)),
        Turn::After(wait) if wait.is_zero() => {}
        Turn::After(wait) => tokio::time::sleep(wait).await,
    }
    let Some(key) = web.factor_key().cloned() else {
        return Err(WebError::Internal("the key of the second factors is not there".to_owned()));
    };
    let (access, asked) = (web.access().clone(), name.to_owned());
    let user = blocking(move || {
        let user = access.user(&asked)?.filter(|user| !user.disabled);
        Ok(if access.check_code(&asked, &key, code.expose_secret())? { user } else { None })
    })
    .await?;
    let Some(user) = user else {
        let (name, visit) = (name.to_owned(), whence.visit.clone());
        logged(web, move |access| access.refuse_sign_in(&name, &visit)).await?;
        return Ok(Tried::Wrong);
    };
    web.limits().succeeded(counted, whence.client);
    Ok(Tried::Right(user))
}

/// Starts a session in place of the one that the browser had: the cookie to set.
pub(super) async fn start_session(
    web: &Web,
    user: &User,
    whence: &Whence,
    headers: &HeaderMap,
) -> Result<String, WebError> {
    let (name, visit, before) = (user.name.clone(), whence.visit.clone(), session_cookie(headers));
    let client = whence.client;
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).map(str::to_owned);
    let secret = logged(web, move |access| {
        access.start_session(&name, &visit, Arrival { agent: agent.as_deref(), before: before.as_deref(), client })
    })
    .await?;
    Ok(format!("{COOKIE}={}; Path=/; Secure; HttpOnly; SameSite=Lax", secret.expose_secret()))
}

pub(super) fn redirect(to: &str, cookie: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    // A place that no header can hold is given up, the session is not.
    let to = HeaderValue::from_str(to).unwrap_or_else(|_| HeaderValue::from_static("/"));
    response.headers_mut().insert(header::LOCATION, to);
    set_cookie(&mut response, cookie);
    response
}

fn set_cookie(response: &mut Response, cookie: &str) {
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

/// To the page for signing in, and nothing left of the session.
pub(super) fn signed_out() -> Response {
    redirect("/login", &format!("{COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0"))
}

pub(super) async fn sign_out(
    State(web): State<Arc<Web>>,
    Extension(user): Extension<User>,
    Extension(whence): Extension<Whence>,
    headers: HeaderMap,
) -> Result<Response, WebError> {
    if let Some(cookie) = session_cookie(&headers) {
        logged(&web, move |access| access.end_session(&cookie, &user, &whence.visit)).await?;
    }
    Ok(signed_out())
}

pub(super) fn session_cookie(headers: &HeaderMap) -> Option<String> {
    cookie(headers, COOKIE)
}

/// Where a request comes from.
pub(super) fn whence(parts: &Parts) -> Whence {
    parts.extensions.get::<Whence>().cloned().unwrap_or_default()
}

/// Lets signed-in people through, with who they are; sends others to sign in and back. Whom a trusted
/// proxy has signed in gets a session of their own.
pub(super) async fn require(
    State(web): State<Arc<Web>>,
    mut request: Request,
    next: Next,
) -> Result<Response, WebError> {
    let user: Option<User> = match session_cookie(request.headers()) {
        Some(cookie) => {
            let access = web.access().clone();
            blocking(move || Ok(access.session_user(&cookie)?)).await?
        }
        None => None,
    };
    let whence = request.extensions().get::<Whence>().cloned().unwrap_or_default();
    let vouched = whence.vouched.clone().filter(|name| user.as_ref().is_none_or(|user| user.name != *name));
    let (user, cookie) = match (vouched, user) {
        (Some(name), _) => {
            let user = vouched_for(&web, name, &whence).await?;
            let cookie = start_session(&web, &user, &whence, request.headers()).await?;
            (user, Some(cookie))
        }
        (None, Some(user)) => (user, None),
        (None, None) => return Ok(to_sign_in(&request)),
    };
    request.extensions_mut().insert(user);
    let mut response = next.run(request).await;
    if let Some(cookie) = cookie {
        set_cookie(&mut response, &cookie);
    }
    Ok(response)
}

/// The account that a trusted proxy names. It must be there already: nobody gets one by a header.
async fn vouched_for(web: &Web, name: String, whence: &Whence) -> Result<User, WebError> {
    let (access, asked) = (web.access().clone(), name.clone());
    let found = blocking(move || Ok(access.user(&asked)?)).await?;
    if let Some(user) = found.filter(|user| !user.disabled) {
        return Ok(user);
    }
    let visit = whence.visit.clone();
    let said = words().with("forbidden-vouched", super::markup::visible(&name));
    logged(web, move |access| access.refuse_sign_in(&name, &visit)).await?;
    Err(WebError::Forbidden(said))
}

fn to_sign_in(request: &Request) -> Response {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    // Only what can be asked for by a link is come back to.
    let to = if request.method().is_safe() {
        format!("/login?next={}", super::markup::encode(path))
    } else {
        "/login".to_owned()
    };
    (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response()
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
