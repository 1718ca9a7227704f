use std::collections::HashMap;

use askama::Template;
use axum::extract::Query;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Form};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::Shell;
use super::grants::{Asked, Givable, answering, givable, reading, refusal, roles};
use super::view::Moment;
use crate::store::access::{Access, AccessError, MIN_PASSWORD, User};
use crate::web::desk::Desk;
use crate::web::error::{WebError, blocking, render};
use crate::web::front::Whence;
use crate::web::markup::{encode, visible};
use crate::web::words::Words;

#[derive(Template)]
#[template(path = "users.html")]
struct Users {
    shell: Shell,
    rows: Vec<Row>,
    roles: [(&'static str, String); 4],
    rooms: Vec<Givable>,
    ims: Vec<Givable>,
    unlisted: usize,
    shortest: usize,
    /// The account that is being changed.
    chosen: Option<Chosen>,
    /// The form of a new one.
    fresh: Fresh,
}

struct Row {
    href: String,
    name: String,
    role: &'static str,
    reads: String,
    exports: String,
    disabled: bool,
    is_own: bool,
    is_chosen: bool,
    sessions: usize,
    sessions_href: String,
    made: Moment,
}

struct Chosen {
    name: String,
    shown: String,
    asked: Asked,
    disabled: bool,
    has_factor: bool,
    is_own: bool,
    sessions_href: String,
    refused: Option<String>,
}

struct Fresh {
    name: String,
    asked: Asked,
    refused: Option<String>,
}

impl Default for Fresh {
    fn default() -> Self {
        Self { name: String::new(), asked: Asked::fresh(), refused: None }
    }
}

/// Whose row is open.
#[derive(Debug, Deserialize)]
pub(crate) struct Open {
    #[serde(default)]
    name: String,
}

/// What stands in the forms of a page.
#[derive(Default)]
struct Forms {
    name: String,
    /// What was typed in about the chosen account, if anything, and what was wrong with it.
    change: Option<Asked>,
    refused: Option<String>,
    fresh: Fresh,
}

impl Forms {
    /// Those of an account of which something was not changed, with why.
    fn refused(name: &str, refused: String) -> Self {
        Self { name: name.to_owned(), refused: Some(refused), ..Self::default() }
    }
}

fn made(desk: &Desk, shell: Shell, forms: Forms) -> Result<Users, WebError> {
    let (w, access, names) = (desk.w, desk.web().access(), desk.to_be_given()?);
    let mut running: HashMap<String, usize> = HashMap::new();
    for session in access.sessions(None)? {
        *running.entry(session.user).or_default() += 1;
    }
    let users = access.users()?;
    let chosen = users.iter().find(|user| user.name == forms.name);
    if !forms.name.is_empty() && chosen.is_none() {
        return Err(WebError::NotFound);
    }
    let sessions_href = |user: &User| format!("/sessions?of={}", encode(&user.name));
    let chosen = chosen.map(|user| Chosen {
        name: user.name.clone(),
        shown: visible(&user.name),
        asked: forms.change.unwrap_or_else(|| Asked::of(user.role, &user.scope, user.may_export)),
        disabled: user.disabled,
        has_factor: user.has_factor,
        is_own: user.name == desk.viewer.name,
        sessions_href: sessions_href(user),
        refused: forms.refused,
    });
    let rows = users.iter().map(|user| Row {
        href: format!("/admin/users?name={}#chosen", encode(&user.name)),
        name: visible(&user.name),
        role: user.role.as_str(),
        reads: reading(w, user.role, &user.scope, &names),
        exports: if user.may_export { w.say("yes") } else { w.say("no") },
        disabled: user.disabled,
        is_own: user.name == desk.viewer.name,
        is_chosen: user.name == forms.name,
        sessions: running.get(&user.name).copied().unwrap_or(0),
        sessions_href: sessions_href(user),
        made: Moment::parse(&user.created, desk.zone),
    });
    let rows = rows.collect();
    let (rooms, ims, unlisted) = givable(&names);
    let fresh = forms.fresh;
    Ok(Users { shell, rows, roles: roles(w), rooms, ims, unlisted, shortest: MIN_PASSWORD, chosen, fresh })
}

/// The accounts, and the forms in which they are made and changed.
pub(crate) async fn page(desk: Desk, Query(open): Query<Open>) -> Result<Response, WebError> {
    let page = blocking(move || {
        let shell = Shell::new(&desk, "users", desk.w.say("users"));
        made(&desk, shell, Forms { name: open.name, ..Forms::default() })
    })
    .await?;
    Ok(render(StatusCode::OK, &page))
}

/// The page once more, with what was wrong.
async fn refuse(desk: Desk, forms: Forms) -> Result<Response, WebError> {
    let page = blocking(move || {
        let address = if forms.name.is_empty() {
            "/admin/users".to_owned()
        } else {
            format!("/admin/users?name={}", encode(&forms.name))
        };
        let shell = answering(&desk, "users", desk.w.say("users"), &address);
        made(&desk, shell, forms)
    })
    .await?;
    Ok(render(StatusCode::BAD_REQUEST, &page))
}

fn back_to(name: &str) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, format!("/admin/users?name={}#chosen", encode(name)))]).into_response()
}

/// Leads to the account that was changed, or shows its form again with what was wrong.
async fn settle(
    w: &Words,
    outcome: Result<User, AccessError>,
    again: impl AsyncFnOnce(String) -> Result<Response, WebError>,
) -> Result<Response, WebError> {
    match outcome {
        Ok(user) => Ok(back_to(&user.name)),
        Err(AccessError::Unknown { .. }) => Err(WebError::NotFound),
        Err(error) => again(refusal(w, &error)?).await,
    }
}

/// Runs a change as the one who asks for it, off the async threads and not more of them at once than
/// there may be of passwords.
async fn changed(
    desk: &Desk,
    by: &User,
    whence: &Whence,
    change: impl FnOnce(&Access) -> Result<User, AccessError> + Send + 'static,
) -> Result<Result<User, AccessError>, WebError> {
    let leave = desk.web().hashing().await?;
    let access = desk.web().access().asked_by(by, &whence.visit);
    blocking(move || {
        let _leave = leave;
        Ok(change(&access))
    })
    .await
}

/// The form of a new account.
#[derive(Deserialize)]
pub(crate) struct Add {
    #[serde(default)]
    name: String,
    #[serde(flatten)]
    asked: Asked,
    password: SecretString,
    again: SecretString,
}

/// Makes an account.
pub(crate) async fn add(
    desk: Desk,
    Extension(by): Extension<User>,
    Extension(whence): Extension<Whence>,
    Form(form): Form<Add>,
) -> Result<Response, WebError> {
    let w = desk.w;
    let again = |refused: String| {
        let fresh = Fresh { name: form.name.clone(), asked: form.asked.clone(), refused: Some(refused) };
        refuse(desk.clone(), Forms { fresh, ..Forms::default() })
    };
    if form.password.expose_secret() != form.again.expose_secret() {
        return again(w.say("refused-again")).await;
    }
    let shared = desk.clone();
    let names = blocking(move || shared.to_be_given()).await?;
    let grant = match form.asked.grant(w, &names) {
        Ok(grant) => grant,
        Err(said) => return again(said).await,
    };
    let (name, password) = (form.name.clone(), form.password.clone());
    let made = changed(&desk, &by, &whence, move |access| access.add_user(&name, &grant, &password)).await?;
    settle(w, made, again).await
}

/// The form of an account's rights.
#[derive(Deserialize)]
pub(crate) struct Change {
    #[serde(default)]
    name: String,
    #[serde(flatten)]
    asked: Asked,
}

/// Gives an account other rights.
pub(crate) async fn change(
    desk: Desk,
    Extension(by): Extension<User>,
    Extension(whence): Extension<Whence>,
    Form(form): Form<Change>,
) -> Result<Response, WebError> {
    let w = desk.w;
    let again = |refused: String| {
        let change = Some(form.asked.clone());
        refuse(desk.clone(), Forms { change, ..Forms::refused(&form.name, refused) })
    };
    // Who takes their own rights away may leave nobody who could give them back.
    if form.name == by.name {
        return again(w.say("users-own-rights")).await;
    }
    let shared = desk.clone();
    let names = blocking(move || shared.to_be_given()).await?;
    let grant = match form.asked.grant(w, &names) {
        Ok(grant) => grant,
        Err(said) => return again(said).await,
    };
    let name = form.name.clone();
    let changed = changed(&desk, &by, &whence, move |access| access.set_role(&name, &grant)).await?;
    settle(w, changed, again).await
}

/// The form of a new password.
#[derive(Deserialize)]
pub(crate) struct Renew {
    #[serde(default)]
    name: String,
    password: SecretString,
    again: SecretString,
}

/// Gives an account another password.
pub(crate) async fn set_password(
    desk: Desk,
    Extension(by): Extension<User>,
    Extension(whence): Extension<Whence>,
    Form(form): Form<Renew>,
) -> Result<Response, WebError> {
    let w = desk.w;
    let again = |refused: String| refuse(desk.clone(), Forms::refused(&form.name, refused));
    // Their own they change where the old one is asked for.
    if form.name == by.name {
        return again(w.say("users-own-password")).await;
    }
    if form.password.expose_secret() != form.again.expose_secret() {
        return again(w.say("refused-again")).await;
    }
    let (name, password) = (form.name.clone(), form.password.clone());
    let changed = changed(&desk, &by, &whence, move |access| access.set_password(&name, &password)).await?;
    settle(w, changed, again).await
}

/// Whether an account is let in.
#[derive(Deserialize)]
pub(crate) struct State {
    #[serde(default)]
    name: String,
    state: String,
}

/// Refuses an account from now on, or lets it in again.
pub(crate) async fn set_state(
    desk: Desk,
    Extension(by): Extension<User>,
    Extension(whence): Extension<Whence>,
    Form(form): Form<State>,
) -> Result<Response, WebError> {
    let w = desk.w;
    let again = |refused: String| refuse(desk.clone(), Forms::refused(&form.name, refused));
    if form.name == by.name {
        return again(w.say("users-own-rights")).await;
    }
    let is_enabled = match form.state.as_str() {
        "enabled" => true,
        "disabled" => false,
        _ => return Err(WebError::Bad(w.say("users-no-state"))),
    };
    let name = form.name.clone();
    let change = move |access: &Access| if is_enabled { access.enable_user(&name) } else { access.disable_user(&name) };
    settle(w, changed(&desk, &by, &whence, change).await?, again).await
}

/// Whose second factor is forgotten.
#[derive(Deserialize)]
pub(crate) struct Reset {
    #[serde(default)]
    name: String,
}

/// Asks an account for no second factor any more: its holder lost what makes the codes.
pub(crate) async fn reset_factor(
    desk: Desk,
    Extension(by): Extension<User>,
    Extension(whence): Extension<Whence>,
    Form(form): Form<Reset>,
) -> Result<Response, WebError> {
    let w = desk.w;
    let again = |refused: String| refuse(desk.clone(), Forms::refused(&form.name, refused));
    // Their own they turn off where a code is asked for.
    if form.name == by.name {
        return again(w.say("users-own-rights")).await;
    }
    let name = form.name.clone();
    let changed = changed(&desk, &by, &whence, move |access| access.turn_factor_off(&name)).await?;
    settle(w, changed, again).await
}
