//! Searches that somebody kept, with what each finds now.

use askama::Template;
use axum::Form;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;

use super::Shell;
use super::search::asked::{Asked, LONGEST};
use super::search::count;
use super::view::Moment;
use crate::store::access::AccessError;
use crate::web::desk::Desk;
use crate::web::error::{WebError, blocking, render};

/// Searches that are run when they are listed; the others are when they are opened.
const RUN: usize = 30;
/// Longest name, in characters.
const LONGEST_NAME: usize = 120;

#[derive(Template)]
#[template(path = "saved.html")]
struct Saved {
    shell: Shell,
    searches: Vec<SearchView>,
}

struct SearchView {
    id: u64,
    name: String,
    href: String,
    query: String,
    /// How many match now; nothing where it was not run.
    count: String,
    saved: Moment,
}

/// A search to keep.
#[derive(Debug, Deserialize)]
pub(crate) struct Keep {
    #[serde(default)]
    name: String,
    #[serde(default)]
    address: String,
}

/// The reader's own searches.
pub(crate) async fn page(desk: Desk) -> Result<Response, WebError> {
    let page = blocking(move || {
        let mut searches = Vec::new();
        for (n, saved) in desk.web().access().saved_searches(&desk.viewer.name)?.into_iter().enumerate() {
            let asked = Asked::parse(&saved.address);
            let found = if n < RUN { count(&desk, &asked)? } else { None };
            searches.push(SearchView {
                id: saved.id,
                name: saved.name,
                href: asked.href(),
                count: found.map(|found| desk.w.count("matches", found)).unwrap_or_default(),
                query: asked.q,
                saved: Moment::parse(&saved.saved, desk.zone),
            });
        }
        Ok(Saved { shell: Shell::new(&desk, "search", desk.w.say("saved")), searches })
    })
    .await?;
    Ok(render(StatusCode::OK, &page))
}

fn to_list() -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, "/saved")]).into_response()
}

/// Keeps a search under a name, by default what it asks for.
pub(crate) async fn keep(desk: Desk, Form(form): Form<Keep>) -> Result<Response, WebError> {
    if form.address.len() > LONGEST {
        return Err(WebError::Bad(desk.w.say("search-too-long")));
    }
    // Only what a search knows is kept, and from its first page on.
    let asked = Asked::parse(&form.address).at_page(1);
    if !asked.is_search() {
        return Err(WebError::Bad(desk.w.say("saved-nothing")));
    }
    let name = if form.name.trim().is_empty() { asked.q.trim() } else { form.name.trim() };
    let name: String = name.chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect();
    if name.is_empty() {
        return Err(WebError::Bad(desk.w.say("saved-no-name")));
    }
    blocking(move || {
        let now = desk.web().now();
        match desk.web().access().save_search(&desk.viewer.name, &name, &asked.query(), now) {
            Ok(_) => Ok(()),
            Err(AccessError::Taken { .. }) => Err(WebError::Bad(desk.w.with("saved-taken", &name))),
            Err(error) => Err(error.into()),
        }
    })
    .await?;
    Ok(to_list())
}

/// Drops a search of the reader's own.
pub(crate) async fn delete(desk: Desk, Path(id): Path<String>) -> Result<Response, WebError> {
    let id: u64 = id.parse().map_err(|_| WebError::NotFound)?;
    let is_dropped = blocking(move || Ok(desk.web().access().drop_search(&desk.viewer.name, id)?)).await?;
    if !is_dropped {
        return Err(WebError::NotFound);
    }
    Ok(to_list())
}
