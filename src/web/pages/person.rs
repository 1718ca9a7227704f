//! One person: what they were called and when, where they were seen, and what they wrote.

use askama::Template;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;

use super::Shell;
use super::people::kind;
use super::view::{Moment, channel_href, channel_name};
use super::way::Way;
use crate::history::{Directory, Item, Membership, display_name};
use crate::index::{Order, Paging, Request};
use crate::model::json;
use crate::query::{Query, Sort};
use crate::record::Kind;
use crate::web::desk::Desk;
use crate::web::error::{WebError, blocking, render};
use crate::web::markup::visible;

#[derive(Template)]
#[template(path = "person.html")]
struct Person {
    shell: Shell,
    id: String,
    name: String,
    kind: String,
    is_closed: bool,
    names: Vec<Called>,
    places: Vec<Place>,
    written: String,
    first: Option<(String, String)>,
    last: Option<(String, String)>,
    search: String,
}

/// A name, and since which look at it.
struct Called {
    name: String,
    record: u64,
    seen: Moment,
    note: String,
}

/// A channel, and when they were among its members.
struct Place {
    name: String,
    href: String,
    from: Moment,
    was_seen_to_join: bool,
    until: Option<Moment>,
}

/// Everything about one person that the reader may see.
pub(crate) async fn page(desk: Desk, Path(id): Path<String>) -> Result<Response, WebError> {
    let page = blocking(move || build(&desk, &id)).await?;
    Ok(render(StatusCode::OK, &page))
}

fn build(desk: &Desk, id: &str) -> Result<Person, WebError> {
    let item = desk.archive().item(Kind::User, None, id)?.ok_or(WebError::NotFound)?;
    let directory = desk.directory()?;
    let facts = directory.people.get(id).ok_or(WebError::NotFound)?;
    let name = visible(&facts.name);
    let mut places = Vec::new();
    for stay in desk.archive().memberships(id)? {
        places.push(place(desk, &directory, &stay));
    }
    places.sort_by_key(|place| (place.name.to_lowercase(), place.from.iso.clone()));
    let query = format!("from:{}", if id.contains(char::is_whitespace) { format!("\"{id}\"") } else { id.to_owned() });
    let (written, first, last) = written(desk, &directory, id)?;
    Ok(Person {
        shell: Shell::new(desk, "people", &name),
        id: visible(id),
        kind: kind(desk, facts),
        is_closed: facts.is_deleted,
        names: called(desk, &item),
        places,
        written,
        first,
        last,
        search: format!(
            "/search?{}",
            url::form_urlencoded::Serializer::new(String::new()).append_pair("q", &query).finish()
        ),
        name,
    })
}

/// The names over time, each once for the time that it stood.
fn called(desk: &Desk, item: &Item) -> Vec<Called> {
    let mut out: Vec<Called> = Vec::new();
    let mut was_closed = None;
    for version in &item.versions {
        let body = json::parse(&version.record.body).unwrap_or_default();
        let is_gone = version.record.header.state == crate::record::State::Gone;
        let name = if is_gone { String::new() } else { display_name(&body).unwrap_or_else(|| item.key.clone()) };
        let is_closed = body["deleted"].as_bool().unwrap_or(false);
        let note = match (is_gone, was_closed, is_closed) {
            (true, ..) => desk.w.say("person-no-longer-listed"),
            (_, Some(false) | None, true) => desk.w.say("person-closed"),
            (_, Some(true), false) => desk.w.say("person-open-again"),
            _ => String::new(),
        };
        was_closed = Some(is_closed);
        let name = visible(&name);
        if note.is_empty() && out.last().is_some_and(|last| last.name == name) {
            continue;
        }
        let seen = Moment::new(version.record.header.observed(), desk.zone);
        out.push(Called { name, record: version.seq.0, seen, note });
    }
    out
}

fn place(desk: &Desk, directory: &Directory, stay: &Membership) -> Place {
    Place {
        name: channel_name(desk.w, &stay.channel, directory),
        href: Way::new(desk, stay.channel.as_str(), &[]).to(&[]),
        from: Moment::new(stay.from, desk.zone),
        was_seen_to_join: stay.was_seen_to_join,
        until: stay.until.map(|until| Moment::new(until, desk.zone)),
    }
}

type Written = (String, Option<(String, String)>, Option<(String, String)>);

/// How much they wrote in what the reader may see, and where the first and the last of it is. Empty where the
/// index cannot be read.
fn written(desk: &Desk, directory: &Directory, id: &str) -> Result<Written, WebError> {
    let search = |order| {
        desk.search(&Request {
            query: &Query::From(id.to_owned()),
            scope: &desk.viewer.scope,
            directory,
            kinds: &[Sort::Message],
            states: &[],
            as_of: None,
            order,
            paging: Paging::Page { offset: 0, limit: 1 },
            facets: None,
        })
    };
    let (oldest, newest) = match (search(Order::Oldest), search(Order::Newest)) {
        (Ok(oldest), Ok(newest)) => (oldest, newest),
        (Err(error), _) | (_, Err(error)) => {
            tracing::warn!(%error, "what somebody wrote cannot be counted");
            return Ok((String::new(), None, None));
        }
    };
    let place = |answer: &crate::index::Answer| -> Result<Option<(String, String)>, WebError> {
        let Some(hit) = answer.hits.first() else { return Ok(None) };
        let Some(found) = desk.archive().resolve(&format!("record:{}", hit.seq))? else { return Ok(None) };
        let (Some(channel), Some(latest)) = (&found.item.channel, found.item.latest()) else { return Ok(None) };
        let at = crate::model::MessageTs::parse(&found.item.key).map(crate::model::MessageTs::time);
        let shown = at.map(|at| Moment::new(at, desk.zone).full).unwrap_or_default();
        Ok(Some((shown, channel_href(channel, latest.seq.0))))
    };
    Ok((desk.w.count("person-wrote", oldest.total), place(&oldest)?, place(&newest)?))
}
