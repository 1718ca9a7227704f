//! What a search found, or that it found nothing, as a sheet to hand over: what was asked and how it was read, where
//! it was looked and where nobody could look, and what the archive was at that moment.

use askama::Template;
use axum::extract::RawQuery;
use axum::http::StatusCode;
use axum::response::Response;

use super::asked::{Asked, LONGEST};
use super::rail::Names;
use super::reach::Reach;
use super::reading::Reading;
use super::{Chip, Ready, Shell, chips, ready};
use crate::history::Directory;
use crate::index::{self, Facet, FacetPlan, Order, Paging, Request};
use crate::model::{MessageTs, Scope, TimeRange, UtcTime, Zone};
use crate::query::{self, Context, Query};
use crate::web::desk::Desk;
use crate::web::error::{WebError, blocking, render};
use crate::web::markup::visible;
use crate::web::pages::captured::Captured;
use crate::web::pages::lacking::limit;
use crate::web::pages::view::{Moment, called, gone_sentence};
use crate::web::visits::Told;
use crate::web::words::grouped;

/// Channels whose coverage is listed one by one.
const LISTED: usize = 500;
/// Matches that are listed one by one.
const SHOWN: usize = 100;
/// Names of channels that stand in the sentence about the scope.
const NAMED: usize = 30;

/// What is known of one conversation that was searched.
struct Room {
    name: String,
    id: String,
    walked: String,
    /// What was not captured of it in the time that was searched.
    gaps: Vec<String>,
    notes: Vec<String>,
}

/// A match, as another finds it again.
struct Match {
    record: u64,
    place: String,
    /// What is known of its deletion; empty: it stands.
    gone: String,
    seen: Moment,
    leaf: String,
}

#[derive(Template)]
#[template(path = "certificate.html")]
struct CertificatePage {
    shell: Shell,
    statement: String,
    found_nothing: bool,
    q: String,
    reading: Reading,
    chips: Vec<Chip>,
    facts: Vec<(String, String)>,
    /// Newest first.
    matches: Vec<Match>,
    more_matches: u64,
    rooms: Vec<Room>,
    more: usize,
    gaps: usize,
    limits: Vec<String>,
    notes: Vec<String>,
    search: String,
}

/// The sheet.
pub(crate) async fn page(desk: Desk, RawQuery(raw): RawQuery) -> Result<Response, WebError> {
    let raw = raw.unwrap_or_default();
    if raw.len() > 8 * LONGEST {
        return Err(WebError::Bad(desk.w.say("search-too-long")));
    }
    let (page, total) = blocking(move || build(&desk, &Asked::parse(&raw).at_page(1))).await?;
    let mut response = render(StatusCode::OK, &page);
    response.extensions_mut().insert(Told { hits: Some(total), ..Told::default() });
    Ok(response)
}

fn build(desk: &Desk, asked: &Asked) -> Result<(CertificatePage, u64), WebError> {
    let w = desk.w;
    if !asked.is_search() {
        return Err(WebError::Bad(w.say("certificate-of-nothing")));
    }
    let ready = ready(desk, asked).map_err(|fault| WebError::Bad(fault.what))?;
    let directory = desk.directory()?;
    let names = Names::new(desk, &directory);
    let count = |query: &Query, plan: Option<FacetPlan>, limit: usize| {
        let request = Request {
            query,
            scope: &desk.viewer.scope,
            directory: &directory,
            kinds: &[],
            states: &[],
            as_of: ready.as_of,
            order: Order::Newest,
            paging: Paging::Page { offset: 0, limit },
            facets: plan,
        };
        desk.search(&request)
    };
    let plan = FacetPlan { counts: false, histogram: None, ..ready.plan.clone() };
    let answer = count(&ready.query, Some(plan), SHOWN).map_err(|error| match error {
        index::Error::TooBroad(what) => WebError::Bad(what),
        other => other.into(),
    })?;
    let searched = count(&Query::All, None, 0)?.total;
    let context = Context { zone: desk.zone, now: desk.web().now() };
    let unread = match query::parse("is:unextracted", &context) {
        Ok(parsed) => count(&parsed.query, None, 0)?.total,
        Err(_) => 0,
    };
    let reach = Reach::of(asked, &ready.parsed.query, &directory, desk.zone);
    let coverage = desk.coverage()?;
    let mut rooms: Vec<Room> = Vec::new();
    for channel in coverage.channels.iter().filter(|channel| reach.holds(&channel.channel)) {
        // Who watches over the archive is told of the coverage of channels whose contents they do not read.
        if crate::model::ChannelId::parse(&channel.channel).is_some_and(|id| desk.viewer.scope.allows(&id)) {
            rooms.push(room(desk, called(w, &visible(&channel.name), channel.is_im), channel, reach.time));
        }
    }
    let gaps = rooms.iter().filter(|room| !room.gaps.is_empty()).count();
    let all = rooms.len();
    rooms.sort_by(|a, b| (a.gaps.is_empty(), &a.name).cmp(&(b.gaps.is_empty(), &b.name)));
    rooms.truncate(LISTED);
    let total = answer.total;
    let matches = matches(desk, &names, &answer.hits)?;
    let now = Moment::new(desk.web().now(), desk.zone).full;
    let reading = Reading::new(desk, asked, &ready.parsed, &answer.expansions, &directory, &names);
    let mut facts = vec![
        (w.say("certificate-found"), w.count("matches", total)),
        (w.say("certificate-searched"), w.count("certificate-readings", searched)),
        (w.say("certificate-scope"), scope(desk, &directory, &names)),
        (w.say("certificate-states"), states(desk, asked, &ready)),
        (w.say("certificate-time"), when(desk, reach.time)),
        (w.say("certificate-index"), {
            let head = desk.web().head()?;
            w.with_two("certificate-index-at", grouped(answer.searched_through), grouped(head))
        }),
        (w.say("certificate-unread"), w.count("certificate-unread-files", unread)),
        (w.say("certificate-coverage"), {
            let all = w.count("certificate-rooms", all);
            if gaps > 0 {
                format!("{all} {}", w.count("certificate-gaps", gaps))
            } else {
                format!("{all} {}", w.say("certificate-no-gaps"))
            }
        }),
        (w.say("certificate-zone"), format!("{} ({} {})", desk.zone.name(), w.say("exhibit-tzdb"), Zone::database())),
    ];
    if let Some((checkpoint, at)) = desk.web().checkpoint()? {
        let at = Moment::parse(&at, desk.zone).full;
        let text = w.with_three("certificate-checkpoint-of", grouped(checkpoint.size), at, checkpoint.root);
        facts.push((w.say("exhibit-fact-checkpoint"), text));
    }
    let title = if total == 0 { w.say("certificate-negative") } else { w.say("certificate") };
    let page = CertificatePage {
        statement: w.with_three(
            "certificate-statement",
            now,
            visible(&desk.viewer.name),
            visible(&desk.web().about().server),
        ),
        found_nothing: total == 0,
        shell: Shell::new(desk, "search", title),
        q: visible(&asked.q),
        reading,
        chips: chips(desk, asked, &names),
        facts,
        more_matches: total - matches.len() as u64,
        matches,
        more: all - rooms.len(),
        rooms,
        gaps,
        limits: coverage.limits.iter().map(|found| limit(w, found)).collect(),
        notes: ready.parsed.warnings.iter().cloned().chain(answer.notes).collect(),
        search: asked.href(),
    };
    Ok((page, total))
}

/// Where each match stands, when the archive first saw it so, and its leaf in the tree.
fn matches(desk: &Desk, names: &Names<'_>, hits: &[index::Hit]) -> Result<Vec<Match>, WebError> {
    let mut out = Vec::new();
    for hit in hits {
        let Some(found) = desk.archive().resolve(&format!("record:{}", hit.seq))? else { continue };
        let channel = found.item.channel.as_ref().map(|id| names.channel(id)).unwrap_or_default();
        let said = MessageTs::parse(&found.item.key).filter(|_| found.item.channel.is_some());
        let said = said.map(|ts| Moment::new(ts.time(), desk.zone).full).unwrap_or_default();
        out.push(Match {
            record: hit.seq.0,
            place: [channel, said].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", "),
            gone: if found.item.is_gone() { gone_sentence(desk, &found.item) } else { String::new() },
            seen: Moment::new(found.record.header.observed(), desk.zone),
            leaf: desk.archive().leaf(&found)?.to_string(),
        });
    }
    Ok(out)
}

fn room(desk: &Desk, name: String, channel: &crate::history::ChannelCoverage, time: TimeRange) -> Room {
    let captured = Captured::read(desk, channel.clone());
    let ts = |time: UtcTime| MessageTs::from_micros(time.timestamp_micros());
    let (from, to) = (time.from.map_or(MessageTs::MIN, ts), time.to.map_or(MessageTs::MAX, ts));
    let mut gaps = Vec::new();
    for gap in captured.between(from, to) {
        gaps.push(format!("{} {}", gap.when(desk), gap.reasons.join(" ")));
    }
    let w = desk.w;
    let mut notes = captured.notes;
    notes.extend(captured.excluded);
    Room {
        name,
        id: channel.channel.clone(),
        walked: match captured.until {
            Some(until) => Moment::new(until, desk.zone).full,
            None => w.say("walked-never"),
        },
        gaps,
        notes,
    }
}

/// What the reader may see, in words.
fn scope(desk: &Desk, directory: &Directory, names: &Names<'_>) -> String {
    let w = desk.w;
    let Scope::Channels(channels) = &desk.viewer.scope else {
        return w.count("certificate-scope-all", directory.channels.len());
    };
    let some: Vec<String> = channels.iter().take(NAMED).map(|channel| names.channel(channel)).collect();
    let more = channels.len() - some.len();
    let listed = some.join(", ");
    if more > 0 { format!("{listed} {}", w.count("and-more", more)) } else { listed }
}

/// Which versions were searched.
fn states(desk: &Desk, asked: &Asked, ready: &Ready) -> String {
    let w = desk.w;
    let chosen: Vec<&str> =
        asked.only.iter().filter(|(facet, _)| *facet == Facet::State).map(|(_, value)| value.as_str()).collect();
    let words = if chosen.is_empty() {
        w.say("certificate-all-states")
    } else {
        let names = chosen.into_iter().map(|state| match state {
            "current" => w.say("state-current"),
            "edited" => w.say("state-edited"),
            "deleted" => w.say("state-deleted"),
            other => visible(other),
        });
        names.collect::<Vec<_>>().join(", ")
    };
    match ready.as_of {
        Some(time) => format!("{words} {}", w.with("certificate-as-of", Moment::new(time, desk.zone).full)),
        None => words,
    }
}

fn when(desk: &Desk, time: TimeRange) -> String {
    let shown = |time: UtcTime| Moment::new(time, desk.zone).full;
    match (time.from, time.to) {
        (None, None) => desk.w.say("certificate-any-time"),
        (Some(from), None) => desk.w.with("export-of-from", shown(from)),
        (None, Some(to)) => desk.w.with("export-of-to", shown(to)),
        (Some(from), Some(to)) => desk.w.with_two("certificate-from-to", shown(from), shown(to)),
    }
}
