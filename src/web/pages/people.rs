//! The people that the archive knows.

use askama::Template;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::Shell;
use super::view::{Moment, called, person_href};
use crate::history::{Directory, PersonFacts, PersonKind};
use crate::model::Scope;
use crate::record::Kind;
use crate::web::desk::Desk;
use crate::web::error::{WebError, blocking, render};
use crate::web::markup::visible;

/// People of a page.
const PAGE: usize = 100;
/// Channels that are named of each.
const NAMED: usize = 6;

/// Whom to list.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Asked {
    /// Part of a name or id.
    #[serde(default)]
    name: String,
    #[serde(default)]
    from: usize,
}

#[derive(Template)]
#[template(path = "people.html")]
struct People {
    shell: Shell,
    name: String,
    total: usize,
    rows: Vec<Row>,
    previous: Option<String>,
    next: Option<String>,
}

struct Row {
    href: String,
    id: String,
    name: String,
    kind: String,
    is_closed: bool,
    first: Option<Moment>,
    last: Option<Moment>,
    channels: Vec<String>,
    more: usize,
}

/// The word for what somebody is; empty where the source does not say.
pub(crate) fn kind(desk: &Desk, facts: &PersonFacts) -> String {
    match facts.kind {
        Some(PersonKind::Member) => desk.w.say("person-member"),
        Some(PersonKind::Guest) => desk.w.say("person-guest"),
        Some(PersonKind::Bot) => desk.w.say("person-bot"),
        None => String::new(),
    }
}

/// The channels in which somebody is, of those that the reader may see, and their conversations.
fn channels(desk: &Desk, directory: &Directory, id: &str) -> Vec<String> {
    let of = |facts: &&crate::history::ChannelFacts| facts.members.iter().any(|member| member == id);
    let name = |facts: &crate::history::ChannelFacts| called(desk.w, &visible(&facts.name), facts.is_im);
    directory.channels.values().filter(of).map(name).collect()
}

/// Everyone, by name.
pub(crate) async fn page(desk: Desk, Query(asked): Query<Asked>) -> Result<Response, WebError> {
    let page = blocking(move || build(&desk, &asked)).await?;
    Ok(render(StatusCode::OK, &page))
}

fn build(desk: &Desk, asked: &Asked) -> Result<People, WebError> {
    let directory = desk.directory()?;
    let wanted = asked.name.trim().to_lowercase();
    let is_wanted = |id: &str, facts: &PersonFacts| {
        wanted.is_empty() || id.to_lowercase().contains(&wanted) || facts.name.to_lowercase().contains(&wanted)
    };
    let may_see = desk.viewer.scope != Scope::nothing();
    let all = directory.people.iter().filter(|(id, facts)| may_see && is_wanted(id, facts));
    let mut all: Vec<(&String, &PersonFacts)> = all.collect();
    all.sort_by_cached_key(|(id, facts)| (facts.name.to_lowercase(), (*id).clone()));
    let mut rows = Vec::new();
    for (id, facts) in all.iter().skip(asked.from).take(PAGE) {
        let item = desk.archive().item(Kind::User, None, id)?;
        let seen = |version: Option<&crate::history::Version>| {
            version.map(|version| Moment::new(version.record.header.observed(), desk.zone))
        };
        let mut channels = channels(desk, &directory, id);
        let more = channels.len().saturating_sub(NAMED);
        channels.truncate(NAMED);
        rows.push(Row {
            href: person_href(&directory, id),
            id: visible(id),
            name: visible(&facts.name),
            kind: kind(desk, facts),
            is_closed: facts.is_deleted,
            first: seen(item.as_ref().and_then(|item| item.versions.first())),
            last: seen(item.as_ref().and_then(|item| item.versions.last()).filter(|version| version.version > 1)),
            channels,
            more,
        });
    }
    let link = |from: usize| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        if !asked.name.is_empty() {
            query.append_pair("name", &asked.name);
        }
        format!("/people?{}", query.append_pair("from", &from.to_string()).finish())
    };
    Ok(People {
        shell: Shell::new(desk, "people", desk.w.say("people")),
        name: asked.name.clone(),
        total: all.len(),
        rows,
        previous: (asked.from > 0).then(|| link(asked.from.saturating_sub(PAGE))),
        next: (asked.from.saturating_add(PAGE) < all.len()).then(|| link(asked.from + PAGE)),
    })
}
