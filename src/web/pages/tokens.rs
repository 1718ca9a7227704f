use askama::Template;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Form};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::Shell;
use super::grants::{Asked, Givable, answering, givable, reading, refusal};
use super::view::Moment;
use crate::model::Role;
use crate::store::access::{AccessError, Grant, User};
use crate::web::desk::Desk;
use crate::web::error::{WebError, blocking, render};
use crate::web::front::Whence;
use crate::web::markup::visible;

/// How long a token lasts, in days: by default, and at most.
const DAYS: i64 = 90;
const MOST_DAYS: i64 = 366;

#[derive(Template)]
#[template(path = "tokens.html")]
struct Tokens {
    shell: Shell,
    rows: Vec<Row>,
    rooms: Vec<Givable>,
    ims: Vec<Givable>,
    unlisted: usize,
    most_days: i64,
    /// The one that was made just now, with its secret.
    made: Option<(String, String)>,
    name: String,
    days: String,
    asked: Asked,
    refused: Option<String>,
}

struct Row {
    name: String,
    shown: String,
    role: &'static str,
    reads: String,
    until: Moment,
    last_use: Option<Moment>,
    /// It was withdrawn, or its time is over; empty while it holds.
    ended: String,
}

/// The form of a new token.
#[derive(Deserialize)]
pub(crate) struct Create {
    #[serde(default)]
    name: String,
    #[serde(flatten)]
    asked: Asked,
    #[serde(default)]
    days: String,
}

fn page_of(desk: &Desk, shell: Shell) -> Result<Tokens, WebError> {
    let (w, names) = (desk.w, desk.to_be_given()?);
    let now = desk.web().now();
    let tokens = desk.web().access().tokens()?;
    let rows = tokens.into_iter().map(|token| Row {
        shown: visible(&token.name),
        role: token.role.as_str(),
        reads: reading(w, token.role, &token.scope, &names),
        until: Moment::new(token.expires, desk.zone),
        last_use: token.last_use.map(|at| Moment::new(at, desk.zone)),
        ended: match (token.revoked, token.expires <= now) {
            (true, _) => w.say("token-revoked"),
            (false, true) => w.say("token-expired"),
            (false, false) => String::new(),
        },
        name: token.name,
    });
    let rows = rows.collect();
    let (rooms, ims, unlisted) = givable(&names);
    Ok(Tokens {
        shell,
        rows,
        rooms,
        ims,
        unlisted,
        most_days: MOST_DAYS,
        made: None,
        name: String::new(),
        days: DAYS.to_string(),
        asked: Asked::fresh(),
        refused: None,
    })
}

/// The API tokens, and the form in which one is made.
pub(crate) async fn page(desk: Desk) -> Result<Response, WebError> {
    let page = blocking(move || page_of(&desk, Shell::new(&desk, "users", desk.w.say("tokens")))).await?;
    Ok(render(StatusCode::OK, &page))
}

/// Makes a token and shows its secret, this once.
pub(crate) async fn create(
    desk: Desk,
    Extension(by): Extension<User>,
    Extension(whence): Extension<Whence>,
    Form(form): Form<Create>,
) -> Result<Response, WebError> {
    let w = desk.w;
    let (status, page) = blocking(move || {
        let names = desk.to_be_given()?;
        let days = form.days.trim().parse::<i64>().ok().filter(|days| (1..=MOST_DAYS).contains(days));
        let made: Result<(SecretString, String), String> = match (form.asked.grant(w, &names), days) {
            (Err(said), _) => Err(said),
            (_, None) => Err(w.count("token-no-days", MOST_DAYS)),
            (Ok(Grant { role: role @ (Role::Admin | Role::Verifier), .. }), _) => {
                Err(w.with("token-no-use", role.as_str()))
            }
            (Ok(grant), Some(days)) => {
                let ends = desk.web().now() + chrono::TimeDelta::days(days);
                let access = desk.web().access().asked_by(&by, &whence.visit);
                match access.create_token(&form.name, grant.role, &grant.scope, ends) {
                    Ok((secret, token)) => Ok((secret, token.name)),
                    Err(error) => Err(refusal(w, &error)?),
                }
            }
        };
        // After the change, so that the new one is listed.
        let page = page_of(&desk, answering(&desk, "users", w.say("tokens"), "/admin/tokens"))?;
        Ok(match made {
            Ok((secret, name)) => {
                (StatusCode::OK, Tokens { made: Some((visible(&name), secret.expose_secret().to_owned())), ..page })
            }
            Err(said) => {
                let refused = Some(said);
                (
                    StatusCode::BAD_REQUEST,
                    Tokens { refused, name: form.name, days: form.days, asked: form.asked, ..page },
                )
            }
        })
    })
    .await?;
    Ok(render(status, &page))
}

/// Which token.
#[derive(Deserialize)]
pub(crate) struct Revoke {
    name: String,
}

/// Withdraws a token.
pub(crate) async fn revoke(
    desk: Desk,
    Extension(by): Extension<User>,
    Extension(whence): Extension<Whence>,
    Form(form): Form<Revoke>,
) -> Result<Response, WebError> {
    blocking(move || {
        let access = desk.web().access().asked_by(&by, &whence.visit);
        match access.revoke_token(&form.name) {
            Ok(_) => Ok((StatusCode::SEE_OTHER, [(header::LOCATION, "/admin/tokens")]).into_response()),
            Err(AccessError::Unknown { .. }) => Err(WebError::NotFound),
            Err(error) => Err(WebError::Bad(refusal(desk.w, &error)?)),
        }
    })
    .await
}
