use std::sync::Arc;

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::view::{MessageView, channel_href, message, state_word};
use super::{Shell, Viewer};
use crate::history::{Directory, Item, ItemState, resolve};
use crate::index::{Expansion, Facet, FacetCounts, Order, Paging, Request};
use crate::model::{ChannelId, parse_time};
use crate::query::{self, Context, Sort, explain};
use crate::record::Kind;
use crate::store::DerivedReader;
use crate::web::Web;
use crate::web::error::{WebError, blocking, render};
use crate::web::markup::{self, Piece, encode, visible};
use crate::web::teamchat::{excerpt, facet_plan};
use crate::web::visits::Told;

/// Hits of a page.
const PAGE: usize = 20;
/// Values of a facet that are shown; chosen ones always are.
const SHOWN_VALUES: usize = 8;
/// Words of a pattern that are shown.
const SHOWN_WORDS: usize = 40;
/// Bars of a histogram that are shown: days of a quarter, weeks or months of years.
const SHOWN_STRETCHES: usize = 120;

/// What is looked for. Read from the address by hand, since a facet may be chosen more than once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    q: String,
    sort: String,
    state: String,
    kind: String,
    by: String,
    as_of: String,
    only: Vec<(Facet, String)>,
    page: usize,
}

impl Asked {
    fn parse(raw: &str) -> Self {
        let mut asked = Self::default();
        for (name, value) in url::form_urlencoded::parse(raw.as_bytes()) {
            let value = value.into_owned();
            match name.as_ref() {
                "q" => asked.q = value,
                "sort" => asked.sort = value,
                "state" => asked.state = value,
                "kind" => asked.kind = value,
                "by" => asked.by = value,
                "asof" => asked.as_of = value,
                "page" => asked.page = value.parse().unwrap_or(1),
                other => {
                    if let Some(facet) = Facet::parse(other)
                        && !asked.only.contains(&(facet, value.clone()))
                    {
                        asked.only.push((facet, value));
                    }
                }
            }
        }
        asked
    }

    /// The address of the same search with other choices, from its first page on.
    fn link(&self, only: &[(Facet, String)], page: usize) -> String {
        let mut out = url::form_urlencoded::Serializer::new("/search?".to_owned());
        for (name, value) in [
            ("q", &self.q),
            ("sort", &self.sort),
            ("state", &self.state),
            ("kind", &self.kind),
            ("by", &self.by),
            ("asof", &self.as_of),
        ] {
            if !value.is_empty() {
                out.append_pair(name, value);
            }
        }
        for (facet, value) in only {
            out.append_pair(facet.as_str(), value);
        }
        if page > 1 {
            out.append_pair("page", &page.to_string());
        }
        out.finish()
    }
}

/// The values of a facet, with links that choose them or take the choice back.
struct FacetView {
    name: &'static str,
    values: Vec<ValueView>,
    more: usize,
}

struct ValueView {
    name: String,
    count: u64,
    href: String,
    is_chosen: bool,
}

/// One stretch of time in a histogram.
struct BarView {
    name: String,
    count: u64,
    /// Hundredths of the longest.
    share: u64,
}

/// What a pattern stood for.
struct ExpansionView {
    written: String,
    count: usize,
    words: String,
    more: usize,
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
    expansions: Vec<ExpansionView>,
    facets: Vec<FacetView>,
    bars: Vec<BarView>,
    is_cut: bool,
    total: u64,
    from: usize,
    to: usize,
    hits: Vec<HitView>,
    previous: Option<String>,
    next: Option<String>,
    behind: u64,
    unread: u64,
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
    /// What was read in a file, around the first hit.
    excerpt: Vec<Piece>,
}

/// Search, with what should be known about the result.
pub(crate) async fn page(
    State(web): State<Arc<Web>>,
    viewer: Viewer,
    RawQuery(raw): RawQuery,
) -> Result<Response, WebError> {
    let asked = Asked::parse(&raw.unwrap_or_default());
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
    let is_asked =
        !asked.q.trim().is_empty() || !asked.kind.is_empty() || !asked.state.is_empty() || !asked.only.is_empty();
    let mut page = SearchPage {
        shell,
        is_asked,
        error: None,
        reading: String::new(),
        notes: Vec::new(),
        expansions: Vec::new(),
        facets: Vec::new(),
        bars: Vec::new(),
        is_cut: false,
        total: 0,
        from: 0,
        to: 0,
        hits: Vec::new(),
        previous: None,
        next: None,
        behind: 0,
        unread: 0,
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
    let as_of = match page.asked.as_of.as_str() {
        "" => None,
        text => {
            let Some(time) = parse_time(text, web.zone) else {
                page.error = Some(format!("`{text}` is no time; it looks like 2026-03-04 or 2026-03-04T10:00:00Z"));
                return Ok((StatusCode::BAD_REQUEST, page));
            };
            Some(time)
        }
    };
    let by = match page.asked.by.as_str() {
        "" => "month",
        by => by,
    };
    let facets = match facet_plan(&viewer.scope, Some((by, web.zone)), &page.asked.only) {
        Ok(plan) => Some(plan),
        Err(detail) => {
            page.error = Some(detail);
            return Ok((StatusCode::BAD_REQUEST, page));
        }
    };
    let number = page.asked.page.clamp(1, 100_000);
    let request = Request {
        query: &parsed.query,
        scope: &viewer.scope,
        directory: &directory,
        kinds,
        states,
        as_of,
        order,
        paging: Paging::Page { offset: (number - 1).saturating_mul(PAGE), limit: PAGE },
        facets,
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
    page.expansions = answer.expansions.iter().map(expansion).collect();
    page.facets = facet_views(&page.asked, &answer.facets, &directory);
    page.bars = bars(&answer.facets, by);
    page.is_cut = answer.facets.histogram.len() > page.bars.len();
    page.unread = answer
        .facets
        .values
        .get(&Facet::Extraction)
        .map_or(0, |values| values.iter().filter(|(status, _)| *status != "ok").map(|(_, count)| count).sum());
    page.total = answer.total;
    page.behind = web.reader.head()?.saturating_sub(answer.searched_through);
    page.from = (number - 1).saturating_mul(PAGE).saturating_add(1);
    page.to = (page.from - 1).saturating_add(answer.hits.len());
    let derived = web.derived();
    for hit in &answer.hits {
        let Some(found) = resolve(&web.reader, &format!("record:{}", hit.seq))? else { continue };
        page.hits.push(view(web, &found.item, hit.seq.0, &directory, &parsed.query, derived.as_ref())?);
    }
    let link = |number: usize| page.asked.link(&page.asked.only, number);
    let (previous, next) = (link(number - 1), link(number + 1));
    page.previous = (number > 1).then_some(previous);
    page.next = ((page.to as u64) < page.total).then_some(next);
    Ok((StatusCode::OK, page))
}

fn view(
    web: &Web,
    item: &Item,
    seq: u64,
    directory: &Directory,
    query: &query::Query,
    derived: Option<&DerivedReader>,
) -> Result<HitView, WebError> {
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
    let content = match (derived, reading.record.header.attachment_digests().first()) {
        (Some(derived), Some(digest)) => derived.newest(digest)?.map(|row| row.text).unwrap_or_default(),
        _ => String::new(),
    };
    let found = excerpt(&content, query);
    Ok(HitView {
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
        excerpt: found.map(|text| markup::pieces(&text, directory)).unwrap_or_default(),
    })
}

fn expansion(found: &Expansion) -> ExpansionView {
    let shown = &found.words[..found.words.len().min(SHOWN_WORDS)];
    ExpansionView {
        written: visible(&found.written),
        count: found.words.len(),
        words: visible(&shown.join(" ")),
        more: found.words.len() - shown.len(),
    }
}

fn facet_views(asked: &Asked, counts: &FacetCounts, directory: &Directory) -> Vec<FacetView> {
    let mut out = Vec::new();
    for facet in Facet::ALL {
        let mut counted: Vec<(String, u64)> =
            counts.values.get(&facet).into_iter().flatten().map(|(value, count)| (value.clone(), *count)).collect();
        for (chosen, value) in &asked.only {
            if *chosen == facet && !counted.iter().any(|(known, _)| known == value) {
                counted.push((value.clone(), 0));
            }
        }
        counted.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let all = counted.len();
        let mut values = Vec::new();
        for (value, count) in counted {
            let choice = (facet, value.clone());
            let is_chosen = asked.only.contains(&choice);
            if values.len() >= SHOWN_VALUES && !is_chosen {
                continue;
            }
            let mut only = asked.only.clone();
            if is_chosen {
                only.retain(|known| *known != choice);
            } else {
                only.push(choice);
            }
            let name = match facet {
                Facet::Channel => ChannelId::parse(&value).map(|id| named(&id, directory)),
                Facet::Author => Some(visible(directory.person(&value))),
                _ => None,
            };
            values.push(ValueView {
                name: name.unwrap_or_else(|| visible(&value)),
                count,
                href: asked.link(&only, 1),
                is_chosen,
            });
        }
        // A facet with one value that everything has tells nothing.
        if values.len() > 1 || values.iter().any(|value| value.is_chosen) {
            out.push(FacetView { name: facet.as_str(), more: all - values.len(), values });
        }
    }
    out
}

fn bars(counts: &FacetCounts, by: &str) -> Vec<BarView> {
    let highest = counts.histogram.values().copied().max().unwrap_or(1);
    let skipped = counts.histogram.len().saturating_sub(SHOWN_STRETCHES);
    counts
        .histogram
        .iter()
        .skip(skipped)
        .map(|(day, count)| BarView {
            name: match by {
                "month" => day.format("%B %Y").to_string(),
                "week" => format!("week from {}", day.format("%-d %B %Y")),
                _ => day.format("%A %-d %B %Y").to_string(),
            },
            count: *count,
            share: (count * 100).div_ceil(highest),
        })
        .collect()
}

fn named(channel: &ChannelId, directory: &Directory) -> String {
    let is_im = directory.channels.get(channel).is_some_and(|facts| facts.is_im);
    let name = visible(directory.channel(channel));
    if is_im { format!("conversation with {name}") } else { format!("#{name}") }
}
