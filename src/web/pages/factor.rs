//! The reader's own second factor: told to an app, turned on with its first code, turned off with another.

use askama::Template;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Form};
use qrcode::{Color, QrCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::Shell;
use super::grants::answering;
use crate::store::access::{AccessError, User};
use crate::web::desk::Desk;
use crate::web::error::{WebError, blocking, render};
use crate::web::front::Whence;
use crate::web::signin::{Tried, seconds, too_often, try_code, try_password};

/// Light squares around the dark ones (ISO/IEC 18004, quiet zone).
const QUIET: usize = 4;
/// Letters of the secret that are shown together.
const GROUP: usize = 4;

#[derive(Template)]
#[template(path = "factor.html")]
struct FactorPage {
    shell: Shell,
    /// This archive has no key to make codes with.
    is_absent: bool,
    is_on: bool,
    told: Option<Told>,
    refused: Option<String>,
}

/// What an app is told.
struct Told {
    letters: String,
    address: String,
    /// The address as a picture: squares a side, and the outlines of the dark ones.
    side: usize,
    squares: String,
}

fn told(desk: &Desk) -> Result<Option<Told>, WebError> {
    let Some(key) = desk.web().factor_key() else { return Ok(None) };
    let issuer = format!("{} {}", desk.w.say("product"), &desk.web().about().id.to_string()[..8]);
    let Some(secret) = desk.web().access().app_secret(&desk.viewer.name, key, &issuer)? else { return Ok(None) };
    let address = secret.address.expose_secret();
    let picture = QrCode::new(address).map_err(|error| WebError::Internal(error.to_string()))?;
    let (width, mut squares) = (picture.width(), String::new());
    for (place, colour) in picture.to_colors().into_iter().enumerate() {
        if colour == Color::Dark {
            squares.push_str(&format!("M{} {}h1v1h-1z", place % width + QUIET, place / width + QUIET));
        }
    }
    let letters: Vec<char> = secret.letters.expose_secret().chars().collect();
    let groups: Vec<String> = letters.chunks(GROUP).map(|group| group.iter().collect()).collect();
    Ok(Some(Told { letters: groups.join(" "), address: address.to_owned(), side: width + 2 * QUIET, squares }))
}

fn made(desk: &Desk, shell: Shell, refused: Option<String>) -> Result<FactorPage, WebError> {
    let user = desk.web().access().user(&desk.viewer.name)?.ok_or(WebError::NotFound)?;
    let told = if user.has_factor { None } else { told(desk)? };
    Ok(FactorPage { shell, is_absent: desk.web().factor_key().is_none(), is_on: user.has_factor, told, refused })
}

/// Whether a code is asked for, and how that is changed.
pub(crate) async fn page(desk: Desk) -> Result<Response, WebError> {
    let page = blocking(move || {
        let shell = Shell::new(&desk, "sessions", desk.w.say("factor"));
        made(&desk, shell, None)
    })
    .await?;
    Ok(render(StatusCode::OK, &page))
}

async fn refuse(desk: Desk, status: StatusCode, said: String) -> Result<Response, WebError> {
    let page = blocking(move || {
        let shell = answering(&desk, "sessions", desk.w.say("factor"), "/sessions/factor");
        made(&desk, shell, Some(said))
    })
    .await?;
    Ok(render(status, &page))
}

fn back() -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, "/sessions/factor")]).into_response()
}

/// What became of a try, where it was not right.
async fn not_right(desk: Desk, tried: Tried, wrong: String) -> Result<Response, WebError> {
    if let Tried::TooOften(wait) = tried {
        let said = desk.w.count("sign-in-too-often", seconds(wait));
        return refuse(desk, StatusCode::TOO_MANY_REQUESTS, said).await.map(|response| too_often(response, wait));
    }
    refuse(desk, StatusCode::FORBIDDEN, wrong).await
}

/// The form that begins: whoever found a browser open does not know the password.
#[derive(Deserialize)]
pub(crate) struct Begin {
    current: SecretString,
}

/// Prepares a second factor.
pub(crate) async fn begin(
    desk: Desk,
    Extension(whence): Extension<Whence>,
    Form(form): Form<Begin>,
) -> Result<Response, WebError> {
    if desk.web().factor_key().is_none() {
        return Err(WebError::NotFound);
    }
    let name = desk.viewer.name.clone();
    match try_password(desk.shared(), &whence, &name, form.current).await? {
        Tried::Right(_) => {}
        tried => {
            let wrong = desk.w.say("password-not-right");
            return not_right(desk, tried, wrong).await;
        }
    }
    let access = desk.web().access().clone();
    blocking(move || Ok(access.begin_factor(&name)?)).await?;
    Ok(back())
}

/// The form with a code.
#[derive(Deserialize)]
pub(crate) struct Code {
    code: SecretString,
}

/// Turns it on, with the first code of the app.
pub(crate) async fn turn_on(
    desk: Desk,
    Extension(by): Extension<User>,
    Extension(whence): Extension<Whence>,
    Form(form): Form<Code>,
) -> Result<Response, WebError> {
    let Some(key) = desk.web().factor_key().cloned() else { return Err(WebError::NotFound) };
    let access = desk.web().access().clone();
    let visit = whence.visit.clone();
    let turned = blocking(move || Ok(access.turn_factor_on(&by, &key, form.code.expose_secret(), &visit))).await?;
    match turned {
        Ok(()) => Ok(back()),
        Err(AccessError::WrongCode) => {
            let said = desk.w.say("code-wrong");
            refuse(desk, StatusCode::BAD_REQUEST, said).await
        }
        Err(error) => Err(WebError::Unlogged(error.to_string())),
    }
}

/// Turns it off, for who has the app at hand.
pub(crate) async fn turn_off(
    desk: Desk,
    Extension(by): Extension<User>,
    Extension(whence): Extension<Whence>,
    Form(form): Form<Code>,
) -> Result<Response, WebError> {
    if desk.web().factor_key().is_none() {
        return Err(WebError::NotFound);
    }
    match try_code(desk.shared(), &whence, &by.name, &format!("\0code {}", by.name), form.code).await? {
        Tried::Right(_) => {}
        tried => {
            let wrong = desk.w.say("code-wrong");
            return not_right(desk, tried, wrong).await;
        }
    }
    let access = desk.web().access().asked_by(&by, &whence.visit);
    blocking(move || access.turn_factor_off(&by.name).map_err(|error| WebError::Unlogged(error.to_string()))).await?;
    Ok(back())
}
