use std::sync::Arc;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::view::{MessageView, channel_href, message, state_word};
use super::{Shell, Viewer};
use crate::history::{Item, ItemState, resolve};
use crate::index::{Order, Paging, Request};
use crate::model::ChannelId;
use crate::query::{self, Context, Sort, explain};
use crate::record::Kind;
use crate::web::Web;
use crate::web::error::{WebError, blocking, render};
use crate::web::markup::{Piece, encode, visible};
use crate::web::visits::Told;

/// Hits of a page.
const PAGE: usize = 20;

/// What is looked for.
#[derive(Debug, Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    q: String,
    #[serde(default)]
    sort: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    page: usize,
}

#[derive(Template)]
#[template(path = "search.html")]
struct SearchPage {
    shell: Shell,
    asked: Asked,
    is_asked: bool,
    error: Option<String>,
    reading: String,
    notes: Vec<String>,
    total: u64,
    from: usize,
    to: usize,
    hits: Vec<HitView>,
    previous: Option<String>,
    next: Option<String>,
    behind: u64,
    walked: usize,
    fields: &'static [(&'static str, &'static str)],
}

struct HitView {
    message: MessageView,
    place: String,
    place_href: Option<String>,
    record_href: String,
    kind: &'static str,
    state: &'static str,
    version: String,
}

/// Search, with what should be known about the result.
pub(crate) async fn page(
    State(web): State<Arc<Web>>,
    viewer: Viewer,
    Query(asked): Query<Asked>,
) -> Result<Response, WebError> {
    let (status, page) = blocking(move || build(&web, &viewer, asked)).await?;
    let mut response = render(status, &page);
    if page.is_asked && page.error.is_none() {
        response.extensions_mut().insert(Told { hits: Some(page.total), ..Told::default() });
    }
    Ok(response)
}

fn build(web: &Web, viewer: &Viewer, asked: Asked) -> Result<(StatusCode, SearchPage), WebError> {
    let mut shell = Shell::new(
        web,
        viewer,
        "search",
        if asked.q.is_empty() { "Search".to_owned() } else { format!("Search: {}", asked.q) },
    );
    shell.query.clone_from(&asked.q);
    let walked = web
        .reader
        .walks()?
        .iter()
        .filter(|row| row.walked_until.is_some() && viewer.scope.allows(&row.channel))
        .count();
    let is_asked = !asked.q.trim().is_empty() || !asked.kind.is_empty() || !asked.state.is_empty();
    let mut page = SearchPage {
        shell,
        is_asked,
        error: None,
        reading: String::new(),
        notes: Vec::new(),
        total: 0,
        from: 0,
        to: 0,
        hits: Vec::new(),
        previous: None,
        next: None,
        behind: 0,
        walked,
        fields: &query::FIELDS,
        asked,
    };
    if !page.is_asked {
        return Ok((StatusCode::OK, page));
    }
    let parsed = match query::parse(&page.asked.q, &Context { zone: web.zone, now: web.clock.now() }) {
        Ok(parsed) => parsed,
        Err(error) => {
            page.error = Some(error.to_string());
            return Ok((StatusCode::BAD_REQUEST, page));
        }
    };
    page.reading = explain(&parsed.query, web.zone);
    let directory = web.directory(&viewer.scope)?;
    let order = Order::parse(&page.asked.sort).unwrap_or(Order::Relevance);
    let states: &[ItemState] = match page.asked.state.as_str() {
        "current" => &[ItemState::Current],
        "edited" => &[ItemState::Edited],
        "deleted" => &[ItemState::Deleted],
        _ => &[],
    };
    let kinds: &[Sort] = match page.asked.kind.as_str() {
        "messages" => &[Sort::Message, Sort::Comment],
        "files" => &[Sort::File],
        _ => &[],
    };
    let number = page.asked.page.clamp(1, 100_000);
    let request = Request {
        query: &parsed.query,
        scope: &viewer.scope,
        directory: &directory,
        kinds,
        states,
        order,
        paging: Paging::Page { offset: (number - 1).saturating_mul(PAGE), limit: PAGE },
    };
    let answer = match web.searcher.search(&request) {
        Ok(answer) => answer,
        Err(crate::index::Error::TooBroad(detail)) => {
            page.error = Some(detail);
            return Ok((StatusCode::BAD_REQUEST, page));
        }
        Err(error) => return Err(error.into()),
    };
    page.notes = parsed.warnings;
    page.notes.extend(answer.notes);
    page.total = answer.total;
    page.behind = web.reader.head()?.saturating_sub(answer.searched_through);
    page.from = (number - 1).saturating_mul(PAGE).saturating_add(1);
    page.to = (page.from - 1).saturating_add(answer.hits.len());
    for hit in &answer.hits {
        let Some(found) = resolve(&web.reader, &format!("record:{}", hit.seq))? else { continue };
        page.hits.push(view(web, &found.item, hit.seq.0, &directory, &parsed.query));
    }
    let link = |number: usize| {
        let asked = &page.asked;
        format!(
            "/search?q={}&sort={}&state={}&kind={}&page={number}",
            encode(&asked.q),
            encode(&asked.sort),
            encode(&asked.state),
            encode(&asked.kind)
        )
    };
    page.previous = (number > 1).then(|| link(number - 1));
    page.next = ((page.to as u64) < page.total).then(|| link(number + 1));
    Ok((StatusCode::OK, page))
}

fn view(web: &Web, item: &Item, seq: u64, directory: &crate::history::Directory, query: &query::Query) -> HitView {
    let readings = item.readings();
    let number = readings.iter().position(|reading| reading.seq.0 == seq).unwrap_or(0);
    let reading = readings[number];
    let shown = message(item, reading, directory, web.zone, Some(query));
    let (place, place_href) = match (&item.channel, item.kind) {
        (Some(channel), _) => {
            let at = item.versions.first().map_or(seq, |version| version.seq.0);
            let target = item.latest().map_or(at, |latest| latest.seq.0);
            (named(channel, directory), Some(channel_href(channel, target)))
        }
        (None, Kind::File) => ("file".to_owned(), Some(format!("/f/{}", encode(&item.key)))),
        (None, _) => {
            let file = item.key.split('/').next().unwrap_or_default();
            ("comment on a file".to_owned(), Some(format!("/f/{}", encode(file))))
        }
    };
    HitView {
        place,
        place_href,
        record_href: format!("/r/{seq}"),
        kind: item.kind.as_str(),
        state: state_word(item, reading),
        version: if readings.len() > 1 {
            format!("version {} of {}", number + 1, readings.len())
        } else {
            String::new()
        },
        message: shown,
    }
}

fn named(channel: &ChannelId, directory: &crate::history::Directory) -> String {
    let is_im = directory.channels.get(channel).is_some_and(|facts| facts.is_im);
    let name = visible(directory.channel(channel));
    if is_im { format!("conversation with {name}") } else { format!("#{name}") }
}
