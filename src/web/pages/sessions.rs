use askama::Template;
use axum::extract::Query;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, Form};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::Shell;
use super::grants::{answering, refusal};
use super::view::Moment;
use crate::model::Digest;
use crate::store::access::{Access, AccessError, MIN_PASSWORD, User};
use crate::web::desk::Desk;
use crate::web::error::{WebError, blocking, render};
use crate::web::front::Whence;
use crate::web::markup::{encode, visible};
use crate::web::rights::Need;
use crate::web::signin::{
    Tried, redirect, seconds, session_cookie, signed_out, start_session, too_often, try_password,
};
use crate::web::words::Words;

/// Longer words of a browser that is not known are cut, in characters.
const LONGEST_AGENT: usize = 60;

#[derive(Template)]
#[template(path = "sessions.html")]
struct Sessions {
    shell: Shell,
    /// Whose.
    of: String,
    shown: String,
    is_own: bool,
    rows: Vec<Row>,
    has_others: bool,
    shortest: usize,
    refused: Option<String>,
}

struct Row {
    id: String,
    browser: String,
    from: String,
    since: Moment,
    last_seen: Moment,
    is_this: bool,
}

/// Whose sessions.
#[derive(Debug, Deserialize)]
pub(crate) struct Of {
    #[serde(default)]
    of: String,
}

/// The browser and the system that it says it runs on; what is not known is shown as it stands.
fn browser(w: &Words, agent: Option<&str>) -> String {
    // Most say that they are others, too: the first of these that one names is the one that it is.
    const BROWSERS: [(&str, &str); 7] = [
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("FxiOS/", "Firefox"),
        ("CriOS/", "Chrome"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    ];
    const SYSTEMS: [(&str, &str); 6] = [
        ("Windows", "Windows"),
        ("iPhone", "iOS"),
        ("iPad", "iOS"),
        ("Mac OS X", "macOS"),
        ("Android", "Android"),
        ("Linux", "Linux"),
    ];
    let Some(agent) = agent.filter(|agent| !agent.is_empty()) else { return w.say("session-no-agent") };
    let find = |all: &[(&str, &'static str)]| all.iter().find(|(mark, _)| agent.contains(mark)).map(|(_, name)| *name);
    match (find(&BROWSERS), find(&SYSTEMS)) {
        (Some(browser), Some(system)) => w.with_two("session-browser", browser, system),
        (Some(browser), None) => browser.to_owned(),
        (None, _) => visible(&agent.chars().take(LONGEST_AGENT).collect::<String>()),
    }
}

/// The name of whose sessions are asked for, when they may be seen.
fn whose(desk: &Desk, of: String) -> Result<String, WebError> {
    if of.is_empty() || of == desk.viewer.name {
        return Ok(desk.viewer.name.clone());
    }
    if desk.viewer.may(Need::Accounts) { Ok(of) } else { Err(WebError::NotFound) }
}

fn address(desk: &Desk, of: &str) -> String {
    if of == desk.viewer.name { "/sessions".to_owned() } else { format!("/sessions?of={}", encode(of)) }
}

fn made(
    desk: &Desk,
    shell: Shell,
    of: String,
    cookie: Option<&str>,
    refused: Option<String>,
) -> Result<Sessions, WebError> {
    let access = desk.web().access();
    let is_own = of == desk.viewer.name;
    if !is_own && access.user(&of)?.is_none() {
        return Err(WebError::NotFound);
    }
    let this = cookie.map(Access::session_id);
    let rows = access.sessions(Some(&of))?.into_iter().map(|session| Row {
        is_this: this == Some(session.id),
        id: session.id.to_string(),
        browser: browser(desk.w, session.agent.as_deref()),
        from: session.from.map_or_else(|| desk.w.say("session-no-address"), |from| visible(&from)),
        since: Moment::new(session.since, desk.zone),
        last_seen: Moment::new(session.last_seen, desk.zone),
    });
    let rows: Vec<Row> = rows.collect();
    let has_others = rows.iter().any(|row| !row.is_this);
    Ok(Sessions { shell, shown: visible(&of), of, is_own, rows, has_others, shortest: MIN_PASSWORD, refused })
}

fn title(desk: &Desk, of: &str) -> String {
    if of == desk.viewer.name { desk.w.say("sessions") } else { desk.w.with("sessions-of", visible(of)) }
}

/// The sessions of the reader, or, for who manages accounts, of anybody.
pub(crate) async fn page(desk: Desk, headers: HeaderMap, Query(Of { of }): Query<Of>) -> Result<Response, WebError> {
    let page = blocking(move || {
        let of = whose(&desk, of)?;
        let shell = Shell::new(&desk, "sessions", title(&desk, &of));
        made(&desk, shell, of, session_cookie(&headers).as_deref(), None)
    })
    .await?;
    Ok(render(StatusCode::OK, &page))
}

/// Which sessions end: one by what it is called, `others`, or `all`.
#[derive(Deserialize)]
pub(crate) struct End {
    #[serde(default)]
    of: String,
    which: String,
}

/// Ends sessions.
pub(crate) async fn end(
    desk: Desk,
    Extension(by): Extension<User>,
    Extension(whence): Extension<Whence>,
    headers: HeaderMap,
    Form(form): Form<End>,
) -> Result<Response, WebError> {
    blocking(move || {
        let of = whose(&desk, form.of)?;
        let access = desk.web().access().asked_by(&by, &whence.visit);
        let cookie = session_cookie(&headers).unwrap_or_default();
        let ended = match form.which.as_str() {
            "all" => access.end_sessions(&of),
            "others" => access.end_other_sessions(&of, &cookie),
            id => match id.parse::<Digest>() {
                Ok(id) => access.end_one_session(&id, &of),
                Err(()) => return Err(WebError::NotFound),
            },
        };
        match ended {
            Ok(()) => {}
            Err(AccessError::Unknown { .. }) => return Err(WebError::NotFound),
            Err(error) => return Err(WebError::Bad(refusal(desk.w, &error)?)),
        }
        if of == by.name && access.session_user(&cookie)?.is_none() {
            return Ok(signed_out());
        }
        Ok((StatusCode::SEE_OTHER, [(header::LOCATION, address(&desk, &of))]).into_response())
    })
    .await
}

/// The form in which somebody changes their own password.
#[derive(Deserialize)]
pub(crate) struct Renew {
    current: SecretString,
    password: SecretString,
    again: SecretString,
}

/// Gives the reader another password, ends all of their sessions, and begins a new one here.
pub(crate) async fn set_password(
    desk: Desk,
    Extension(by): Extension<User>,
    Extension(whence): Extension<Whence>,
    headers: HeaderMap,
    Form(form): Form<Renew>,
) -> Result<Response, WebError> {
    let w = desk.w;
    let again = |status: StatusCode, refused: String| {
        let (desk, cookie) = (desk.clone(), session_cookie(&headers));
        async move {
            let page = blocking(move || {
                let shell = answering(&desk, "sessions", desk.w.say("sessions"), "/sessions");
                made(&desk, shell, desk.viewer.name.clone(), cookie.as_deref(), Some(refused))
            })
            .await?;
            Ok(render(status, &page))
        }
    };
    if form.password.expose_secret() != form.again.expose_secret() {
        return again(StatusCode::BAD_REQUEST, w.say("refused-again")).await;
    }
    // Whoever found a browser open does not know the password, and may guess it no more often than at
    // the door.
    match try_password(desk.shared(), &whence, &by.name, form.current).await? {
        Tried::Right(_) => {}
        Tried::Wrong => return again(StatusCode::FORBIDDEN, w.say("password-not-right")).await,
        Tried::TooOften(wait) => {
            let said = w.count("sign-in-too-often", seconds(wait));
            return again(StatusCode::TOO_MANY_REQUESTS, said).await.map(|response| too_often(response, wait));
        }
    }
    let changed = {
        let leave = desk.web().hashing().await?;
        let (access, name) = (desk.web().access().asked_by(&by, &whence.visit), by.name.clone());
        blocking(move || {
            let _leave = leave;
            Ok(access.set_password(&name, &form.password))
        })
        .await?
    };
    match changed {
        Ok(user) => Ok(redirect("/sessions", &start_session(desk.web(), &user, &whence, &headers).await?)),
        Err(error) => {
            let said = refusal(w, &error)?;
            again(StatusCode::BAD_REQUEST, said).await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::browser;
    use crate::web::words::words;

    #[test]
    fn browsers_are_called_by_their_names() {
        for (agent, name) in [
            ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1",
                "Safari on iOS",
            ),
            (
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36",
                "Chrome on Android",
            ),
            ("curl/8.5.0", "curl/8.5.0"),
            ("\u{202e}evil", "[U+202E]evil"),
        ] {
            assert_eq!(browser(words(), Some(agent)), name);
        }
        assert!(!browser(words(), None).is_empty() && !browser(words(), Some("")).is_empty());
        assert_eq!(browser(words(), Some(&"x".repeat(300))).len(), 60);
    }
}
