use std::sync::Arc;

use askama::Template;
use axum::Form;
use axum::extract::{FromRequest as _, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::grants::refusal;
use crate::model::Role;
use crate::store::access::{AccessError, Grant, MIN_PASSWORD, SETUP_MINUTES, User};
use crate::web::assets;
use crate::web::desk::Web;
use crate::web::error::{WebError, blocking, render};
use crate::web::signin::{redirect, start_session, whence};
use crate::web::words::{Words, words};

#[derive(Template)]
#[template(path = "setup.html")]
struct Setup {
    w: &'static Words,
    css: String,
    icons: String,
    script: String,
    refused: Option<String>,
    name: String,
    is_auditor: bool,
    shortest: usize,
    minutes: i64,
}

/// The fields of the form.
#[derive(Deserialize)]
pub(crate) struct First {
    token: SecretString,
    #[serde(default)]
    username: String,
    #[serde(default)]
    role: String,
    password: SecretString,
    again: SecretString,
}

fn form(status: StatusCode, name: String, is_auditor: bool, refused: Option<String>) -> Response {
    let page = Setup {
        w: words(),
        css: assets::css_url(),
        icons: assets::icons_url(),
        script: assets::script_url(),
        refused,
        name,
        is_auditor,
        shortest: MIN_PASSWORD,
        minutes: SETUP_MINUTES,
    };
    render(status, &page)
}

fn done() -> WebError {
    WebError::Forbidden(words().say("setup-done"))
}

/// The form in which the first account is made.
pub(crate) async fn page(State(web): State<Arc<Web>>) -> Result<Response, WebError> {
    let access = web.access().clone();
    if blocking(move || Ok(access.is_set_up()?)).await? {
        return Err(done());
    }
    Ok(form(StatusCode::OK, String::new(), false, None))
}

/// Makes the first account for whoever holds the token, and signs it in.
pub(crate) async fn finish(State(web): State<Arc<Web>>, request: Request) -> Result<Response, WebError> {
    let (parts, body) = request.into_parts();
    let (whence, headers) = (whence(&parts), parts.headers.clone());
    let Form(first) = match Form::<First>::from_request(Request::from_parts(parts, body), &()).await {
        Ok(first) => first,
        Err(rejection) => return Ok(rejection.into_response()),
    };
    let w = words();
    let is_auditor = first.role == Role::Auditor.as_str();
    let refuse = |status, said| Ok(form(status, first.username.clone(), is_auditor, Some(said)));
    if first.password.expose_secret() != first.again.expose_secret() {
        return refuse(StatusCode::BAD_REQUEST, w.say("refused-again"));
    }
    let grant = Grant::new(if is_auditor { Role::Auditor } else { Role::Admin }, None)?;
    let leave = web.hashing().await?;
    let (access, name, visit) = (web.access().clone(), first.username.clone(), whence.visit.clone());
    let (token, password) = (first.token.clone(), first.password.clone());
    let token: SecretString = token.expose_secret().trim().to_owned().into();
    let made = blocking(move || {
        let _leave = leave;
        Ok(access.finish_setup(&token, &name, &grant, &password, &visit))
    })
    .await?;
    let user: User = match made {
        Ok(user) => user,
        Err(AccessError::SetUp) => return Err(done()),
        Err(error @ (AccessError::BadSetupToken | AccessError::ExpiredSetupToken)) => {
            return refuse(StatusCode::FORBIDDEN, refusal(w, &error)?);
        }
        Err(error) => return refuse(StatusCode::BAD_REQUEST, refusal(w, &error)?),
    };
    if let Some(path) = web.setup_file() {
        match fs_err::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                // It opens nothing any more.
                tracing::warn!(%error, "the file of the set-up token, which was used, can't be removed");
            }
            _ => {}
        }
    }
    let cookie = start_session(&web, &user, &whence, &headers).await?;
    Ok(redirect("/", &cookie))
}
