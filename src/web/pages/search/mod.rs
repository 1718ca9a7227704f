//! Search, with what should be known about the result: how the query was read, what it did not reach, and why each
//! hit is one. Whatever is chosen stands in the address.

pub(crate) mod advanced;
pub(crate) mod asked;
pub(crate) mod certificate;
mod days;
mod gaps;
mod histogram;
mod hits;
mod nothing;
pub(crate) mod rail;
mod reach;
mod reading;

use askama::Template;
use axum::extract::RawQuery;
use axum::http::StatusCode;
use axum::response::Response;

use self::advanced::Form;
use self::asked::Asked;
use self::gaps::Gaps;
use self::histogram::{BASE, Histogram, WIDTH};
use self::hits::{HitView, Shelf};
use self::nothing::Nothing;
use self::rail::{FacetView, Names, rail};
use self::reach::Reach;
use self::reading::{Fault, Reading};
use super::Shell;
use super::view::Moment;
use crate::index::{self, Answer, Facet, FacetPlan, Order, Paging, Request};
use crate::model::UtcTime;
use crate::query::{self, Context, Parsed, Query};
use crate::web::desk::Desk;
use crate::web::error::{WebError, blocking, render};
use crate::web::markup::Piece;
use crate::web::rights::Need;
use crate::web::teamchat::facet_plan;
use crate::web::visits::Told;

/// Hits of a page.
const PAGE: usize = 20;
/// Names that the form offers at most.
const OFFERED: usize = 300;

/// Something that narrows the result, and the search without it.
struct Chip {
    text: String,
    href: String,
}

/// An order of the result.
struct SortView {
    name: String,
    href: String,
    is_chosen: bool,
}

/// What was found, and what should be known of it.
struct Found {
    total: u64,
    /// How many of them are earlier wordings or gone.
    old: u64,
    from: usize,
    to: usize,
    reading: Reading,
    notes: Vec<String>,
    gaps: Gaps,
    idle: String,
    looked_at: String,
    behind: u64,
    unread: u64,
    rail: Vec<FacetView>,
    histogram: Histogram,
    hits: Vec<HitView>,
    nothing: Option<Nothing>,
    certificate: String,
    /// Where it can be taken away, by who may.
    export: Option<String>,
    previous: Option<String>,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "search.html")]
struct SearchPage {
    shell: Shell,
    asked: Asked,
    form: Form,
    chips: Vec<Chip>,
    sorts: Vec<SortView>,
    address: String,
    people: Vec<String>,
    rooms: Vec<String>,
    saved: Vec<(String, String)>,
    fault: Option<Fault>,
    found: Option<Found>,
    fields: &'static [(&'static str, &'static str)],
}

/// What may be wrong with a search.
enum Refused {
    /// The request: a page says so, and where.
    Asked(Fault),
    Web(WebError),
}

impl<E: Into<WebError>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self::Web(error.into())
    }
}

/// The page.
pub(crate) async fn page(desk: Desk, RawQuery(raw): RawQuery) -> Result<Response, WebError> {
    let raw = raw.unwrap_or_default();
    if raw.len() > 8 * asked::LONGEST {
        return Err(WebError::Bad(desk.w.say("search-too-long")));
    }
    let asked = Asked::parse(&raw);
    let (status, page) = blocking(move || build(&desk, asked)).await?;
    let mut response = render(status, &page);
    if let Some(found) = &page.found {
        response.extensions_mut().insert(Told { hits: Some(found.total), ..Told::default() });
    }
    Ok(response)
}

fn build(desk: &Desk, asked: Asked) -> Result<(StatusCode, SearchPage), WebError> {
    let w = desk.w;
    let title = if asked.q.is_empty() { w.say("search") } else { w.with("search-title", &asked.q) };
    let directory = desk.directory()?;
    let names = Names::new(desk, &directory);
    let mut page = SearchPage {
        shell: Shell::new(desk, "search", title),
        chips: chips(desk, &asked, &names),
        sorts: sorts(desk, &asked),
        address: asked.at_page(1).query(),
        people: Vec::new(),
        rooms: Vec::new(),
        saved: Vec::new(),
        fault: None,
        found: None,
        fields: &query::FIELDS,
        form: Form::of(&asked),
        asked,
    };
    if !page.asked.is_search() {
        page.people = offered(directory.people.values().map(|facts| facts.name.as_str()));
        page.rooms = offered(directory.channels.values().map(|facts| facts.name.as_str()));
        let saved = desk.web().access().saved_searches(&desk.viewer.name)?;
        page.saved = saved.into_iter().map(|saved| (saved.name, format!("/search?{}", saved.address))).collect();
        return Ok((StatusCode::OK, page));
    }
    match find(desk, &page.asked, &directory, &names) {
        Ok(found) => {
            page.found = Some(found);
            Ok((StatusCode::OK, page))
        }
        Err(Refused::Asked(fault)) => {
            page.fault = Some(fault);
            Ok((StatusCode::BAD_REQUEST, page))
        }
        Err(Refused::Web(error)) => Err(error),
    }
}

/// A search that was read, before it is run.
pub(crate) struct Ready {
    /// What was typed.
    pub(crate) parsed: Parsed,
    /// With the days that were chosen.
    query: Query,
    pub(crate) as_of: Option<UtcTime>,
    plan: FacetPlan,
}

/// Reads a search. An error says what is wrong with it, and where.
fn ready(desk: &Desk, asked: &Asked) -> Result<Ready, Fault> {
    let here = |what: String, text: &str| Fault {
        what,
        before: String::new(),
        at: crate::web::markup::visible(text),
        after: String::new(),
    };
    let parsed = query::parse(&asked.q, &Context { zone: desk.zone, now: desk.web().now() })
        .map_err(|error| Fault::new(&asked.q, error.what, error.place))?;
    let as_of = asked.moment(desk.zone).map_err(|text| here(desk.w.say("as-of-no-time"), text))?;
    if let Some(text) = &asked.no_days {
        return Err(here(desk.w.say("on-no-days"), text));
    }
    let query = match asked.on {
        Some(days) => Query::And(vec![parsed.query.clone(), Query::Time(days.range(desk.zone))]),
        None => parsed.query.clone(),
    };
    let plan = facet_plan(&desk.viewer.scope, Some(("day", desk.zone)), &asked.only).map_err(|what| here(what, ""))?;
    Ok(Ready { parsed, query, as_of, plan })
}

/// How many match a search, if it can be read.
pub(crate) fn count(desk: &Desk, asked: &Asked) -> Result<Option<u64>, WebError> {
    let Ok(ready) = ready(desk, asked) else { return Ok(None) };
    let plan = FacetPlan { counts: false, histogram: None, ..ready.plan };
    let directory = desk.directory()?;
    let request = Request {
        query: &ready.query,
        scope: &desk.viewer.scope,
        directory: &directory,
        kinds: &[],
        states: &[],
        as_of: ready.as_of,
        order: Order::Newest,
        paging: Paging::Page { offset: 0, limit: 0 },
        facets: Some(plan),
    };
    match desk.search(&request) {
        Ok(answer) => Ok(Some(answer.total)),
        Err(index::Error::TooBroad(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn find(
    desk: &Desk,
    asked: &Asked,
    directory: &crate::history::Directory,
    names: &Names<'_>,
) -> Result<Found, Refused> {
    let Ready { parsed, query, as_of, plan } = ready(desk, asked).map_err(Refused::Asked)?;
    let request = Request {
        query: &query,
        scope: &desk.viewer.scope,
        directory,
        kinds: &[],
        states: &[],
        as_of,
        order: Order::parse(&asked.sort).unwrap_or(Order::Relevance),
        paging: Paging::Page { offset: (asked.page - 1) * PAGE, limit: PAGE },
        facets: Some(plan),
    };
    let answer = match desk.search(&request) {
        Ok(answer) => answer,
        Err(index::Error::TooBroad(what)) => {
            let whole = query::Place { start: 0, end: asked.q.len() };
            return Err(Refused::Asked(Fault::new(&asked.q, what, whole)));
        }
        Err(error) => return Err(error.into()),
    };
    let Answer { total, hits, searched_through, notes, expansions, facets, .. } = answer;
    let reach = Reach::of(asked, &parsed.query, directory, desk.zone);
    let gaps = Gaps::of(desk, &desk.coverage()?, &reach);
    let derived = desk.web().derived();
    let placed = std::cell::RefCell::new(hits.iter().map(|hit| hit.seq.0).collect());
    let shelf = Shelf { desk, asked, query: &parsed.query, as_of, directory, names, derived: derived.as_ref(), placed };
    let mut views = Vec::with_capacity(hits.len());
    for hit in &hits {
        views.extend(shelf.hit(hit.seq.0)?);
    }
    let counted = |facet: Facet, is_wanted: fn(&str) -> bool| -> u64 {
        let values = facets.values.get(&facet).into_iter().flatten();
        values.filter(|(value, _)| is_wanted(value)).map(|(_, count)| count).sum()
    };
    let has_state = asked.only.iter().any(|(facet, _)| *facet == Facet::State);
    let moment = |time: Option<UtcTime>| time.map(|time| Moment::new(time, desk.zone).full).unwrap_or_default();
    let (from, to) = ((asked.page - 1) * PAGE, (asked.page - 1) * PAGE + hits.len());
    let certificate = format!("/certificate?{}", asked.at_page(1).query());
    Ok(Found {
        total,
        old: if has_state { 0 } else { counted(Facet::State, |state| state != "current") },
        from: from + 1,
        to,
        reading: Reading::new(desk, asked, &parsed, &expansions, directory, names),
        behind: desk.web().head()?.saturating_sub(searched_through),
        unread: counted(Facet::Extraction, |status| status != "ok"),
        rail: rail(desk, asked, &facets, names),
        histogram: Histogram::draw(desk, asked, &facets.histogram, reach.time, &gaps.hatched),
        nothing: match total {
            0 => Some(Nothing::of(desk, asked, &parsed, as_of, directory)?),
            _ => None,
        },
        idle: moment(gaps.idle_since),
        looked_at: moment(gaps.looked_at),
        gaps,
        notes: parsed.warnings.into_iter().chain(notes).collect(),
        hits: views,
        certificate,
        export: desk.viewer.may(Need::Export).then(|| format!("/exports?{}", asked.at_page(1).query())),
        previous: (asked.page > 1).then(|| asked.at_page(asked.page - 1).href()),
        next: ((to as u64) < total && !hits.is_empty()).then(|| asked.at_page(asked.page + 1).href()),
    })
}

fn chips(desk: &Desk, asked: &Asked, names: &Names<'_>) -> Vec<Chip> {
    let w = desk.w;
    let mut out = Vec::new();
    for (facet, value) in &asked.only {
        let name = names.of(*facet, value);
        let text = match facet {
            Facet::Channel => w.with("chip-channel", name),
            Facet::Author => w.with("chip-author", name),
            Facet::State | Facet::Kind => name,
            Facet::Extension => w.with("chip-extension", name),
            Facet::Extraction => w.with("chip-extraction", name),
        };
        out.push(Chip { text, href: asked.without(*facet, value).href() });
    }
    if let Some(days) = asked.on {
        out.push(Chip { text: days.name(w), href: asked.within(None, desk.zone).href() });
    }
    if let Ok(Some(time)) = asked.moment(desk.zone) {
        let text = w.with("chip-as-of", Moment::new(time, desk.zone).full);
        out.push(Chip { text, href: asked.as_of_now().href() });
    }
    out
}

fn sorts(desk: &Desk, asked: &Asked) -> Vec<SortView> {
    let w = desk.w;
    let chosen = Order::parse(&asked.sort).unwrap_or(Order::Relevance);
    let all = [
        (Order::Relevance, w.say("order-best")),
        (Order::Newest, w.say("order-newest")),
        (Order::Oldest, w.say("order-oldest")),
    ];
    let view = |(order, name): (Order, String)| {
        let word = if order == Order::Relevance { "" } else { order.as_str() };
        SortView { name, href: asked.sorted(word).href(), is_chosen: order == chosen }
    };
    all.map(view).into()
}

/// Names that a form offers; none where a page cannot hold them all, since some would look like all.
fn offered<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> Vec<String> {
    if names.len() > OFFERED {
        return Vec::new();
    }
    let mut out: Vec<String> = names.map(crate::web::markup::visible).collect();
    out.sort_by_cached_key(|name| name.to_lowercase());
    out.dedup();
    out
}
