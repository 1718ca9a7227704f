use askama::Template;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::Shell;
use super::captured::Captured;
use super::heat::{Frame, Heat, Width, draw};
use super::lacking::limit;
use super::view::{Moment, called};
use crate::history::{ChannelCoverage, Coverage, Debt, Expected, Missing, Seen};
use crate::model::{ChannelId, MessageTs, UtcTime};
use crate::web::desk::Desk;
use crate::web::error::{WebError, blocking, render};
use crate::web::markup::{encode, visible};
use crate::web::words::{Words, grouped};

/// Channels of a page.
const ROWS: usize = 25;
/// Lines of an inventory that are shown of each kind.
const LISTED: usize = 50;

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    channel: String,
    #[serde(default)]
    by: String,
    #[serde(default)]
    to: String,
    #[serde(default)]
    page: String,
}

/// Whether all is there, in a heading and a sentence, and of what.
pub(crate) struct Verdict {
    pub(crate) is_open: bool,
    pub(crate) title: String,
    pub(crate) text: String,
}

/// A stretch of time as people say it.
pub(crate) fn span(w: &Words, seconds: i64) -> String {
    let seconds = u64::try_from(seconds).unwrap_or(0);
    match seconds {
        0..120 => w.count("span-seconds", seconds),
        120..7200 => w.count("span-minutes", seconds / 60),
        7200..172_800 => w.count("span-hours", seconds / 3600),
        _ => w.count("span-days", seconds / 86_400),
    }
}

fn time(text: &str) -> Option<UtcTime> {
    chrono::DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc())
}

/// When a channel was last walked to its end: it is as fresh as the best view of it.
fn walked(channel: &ChannelCoverage) -> Option<UtcTime> {
    channel.intervals.iter().filter_map(|interval| interval.walked_at.as_deref().and_then(time)).max()
}

/// The longest that any of some channels has not been walked to its end; `None` while one never was.
fn staleness(desk: &Desk, channels: &[ChannelCoverage]) -> Option<i64> {
    let fetched = channels.iter().filter(|channel| channel.excluded.is_none());
    let newest: Option<Vec<UtcTime>> = fetched.map(walked).collect();
    newest?.into_iter().min().map(|oldest| (desk.web().now() - oldest).num_seconds())
}

/// What can be said of the channels that the reader is told of.
pub(crate) fn verdict(desk: &Desk, coverage: &Coverage) -> Verdict {
    let w = desk.w;
    let walked = coverage.channels.iter().filter(|channel| walked(channel).is_some()).count();
    let excluded = coverage.excluded();
    let is_whole = desk.oversees();
    let title = if coverage.complete && is_whole {
        w.say("verdict-whole")
    } else if coverage.complete {
        w.say("verdict-yours")
    } else if coverage.channels.is_empty() || walked == 0 {
        w.say("verdict-nothing")
    } else {
        let (gaps, debts) = (coverage.gaps(), coverage.debts());
        match (gaps, debts) {
            (_, 0) => w.with("verdict-open", w.count("gaps-count", gaps)),
            (0, _) => w.with("verdict-open", w.count("debts-count", debts)),
            _ => w.with("verdict-open", format!("{}, {}", w.count("gaps-count", gaps), w.count("debts-count", debts))),
        }
    };
    let mut text = vec![w.count("verdict-walked", walked)];
    if let Some(seconds) = staleness(desk, &coverage.channels) {
        text.push(w.with("verdict-fresh", span(w, seconds)));
    }
    if excluded > 0 {
        text.push(w.count("verdict-excluded", excluded));
    }
    Verdict { is_open: !coverage.complete, title, text: text.join(" ") }
}

/// What is wrong with a channel, or cannot be seen of it.
struct Trouble {
    href: String,
    sign: &'static str,
    name: String,
    summary: String,
    lines: Vec<String>,
}

fn troubles(desk: &Desk, channel: &ChannelCoverage) -> Option<Trouble> {
    let w = desk.w;
    let mut summary = Vec::new();
    for (count, text) in [
        (channel.gaps.len(), w.count("gaps-count", channel.gaps.len())),
        (channel.debts.len(), w.count("debts-count", channel.debts.len())),
        (channel.limits.len(), w.count("limits-count", channel.limits.len())),
        (usize::from(channel.excluded.is_some()), w.say("excluded-short")),
    ] {
        if count > 0 {
            summary.push(text);
        }
    }
    if summary.is_empty() {
        return None;
    }
    let captured = Captured::read(desk, channel.clone());
    let gaps = captured.gaps.iter().map(|gap| w.with_two("gap-line", gap.when(desk), gap.reasons.join("; ")));
    let lines = gaps.chain(captured.notes.iter().cloned()).chain(captured.excluded.iter().cloned());
    Some(Trouble {
        href: format!("/crawl/coverage?channel={}", encode(&channel.channel)),
        sign: if channel.is_im { "" } else { "#" },
        name: visible(&channel.name),
        summary: summary.join(", "),
        lines: lines.collect(),
    })
}

/// One kind of line of an inventory.
struct Inventory {
    what: String,
    verdict: String,
    missing: Vec<String>,
    more_missing: usize,
    silent: Vec<String>,
    more_silent: usize,
}

fn inventory(w: &Words, expected: &Expected) -> Vec<Inventory> {
    let names = |lines: &[Missing]| -> Vec<String> {
        lines.iter().take(LISTED).map(|line| visible(format!("{} {}", line.id, line.name).trim())).collect()
    };
    let part = |what: String, seen: &Seen| Inventory {
        verdict: w.with_two("expected-seen", grouped(seen.seen as u64), grouped(seen.expected as u64)),
        what,
        missing: names(&seen.missing),
        more_missing: seen.missing.len().saturating_sub(LISTED),
        silent: names(&seen.not_enrolled),
        more_silent: seen.not_enrolled.len().saturating_sub(LISTED),
    };
    [(w.say("expected-people"), &expected.accounts), (w.say("expected-rooms"), &expected.rooms)]
        .into_iter()
        .filter(|(_, seen)| seen.expected > 0)
        .map(|(what, seen)| part(what, seen))
        .collect()
}

/// A debt that belongs to no single channel: which, and why.
pub(crate) fn debt(desk: &Desk, debt: &Debt) -> (String, String) {
    let since = Moment::parse(&debt.since, desk.zone).full;
    let why = desk.w.with_three("debt-since", &debt.reason, since, desk.w.count("debt-tries", debt.tries));
    (format!("{} {}", debt.kind, debt.key), why)
}

#[derive(Template)]
#[template(path = "coverage.html")]
struct CoveragePage {
    shell: Shell,
    verdict: Verdict,
    oversees: bool,
    heat: Heat,
    rows: String,
    previous: Option<String>,
    next: Option<String>,
    troubles: Vec<Trouble>,
    debts: Vec<(String, String)>,
    limits: Vec<String>,
    expected: Vec<Inventory>,
}

/// An account's walk of a channel.
struct Walk {
    account: String,
    from: String,
    to: String,
    walked: Option<Moment>,
    result: String,
    audited: Option<Moment>,
}

#[derive(Template)]
#[template(path = "coverage_channel.html")]
struct ChannelPage {
    shell: Shell,
    name: String,
    timeline: Option<String>,
    is_open: bool,
    title: String,
    heat: Heat,
    walks: Vec<Walk>,
    gaps: Vec<(String, Vec<String>)>,
    debts: Vec<(String, String)>,
    excluded: Option<String>,
    limits: Vec<String>,
}

/// What is covered, what is not, and why: of everything that the reader is told of, or of one channel.
pub(crate) async fn page(desk: Desk, Query(asked): Query<Asked>) -> Result<Response, WebError> {
    let is_of_one = !asked.channel.is_empty();
    if is_of_one {
        let page = blocking(move || of_channel(&desk, &asked)).await?;
        return Ok(render(StatusCode::OK, &page));
    }
    let page = blocking(move || of_all(&desk, &asked)).await?;
    Ok(render(StatusCode::OK, &page))
}

fn drawn(
    desk: &Desk,
    all: &[ChannelCoverage],
    shown: &[ChannelCoverage],
    asked: &Asked,
    rest: String,
) -> Result<Heat, WebError> {
    let frame = Frame { by: asked.by.trim(), to: asked.to.trim(), rest };
    draw(desk, all, shown, &frame)?.ok_or_else(|| WebError::Bad(desk.w.say("coverage-no-frame")))
}

fn of_all(desk: &Desk, asked: &Asked) -> Result<CoveragePage, WebError> {
    let w = desk.w;
    let coverage = desk.coverage()?;
    let all = &coverage.channels;
    let pages = all.len().div_ceil(ROWS).max(1);
    let page = if asked.page.is_empty() { Some(1) } else { asked.page.parse::<usize>().ok() };
    let page = page.filter(|page| (1..=pages).contains(page));
    let page = page.ok_or_else(|| WebError::Bad(w.with("coverage-no-page", &asked.page)))?;
    let shown = &all[(page - 1) * ROWS..all.len().min(page * ROWS)];
    let rest = if page > 1 { format!("page={page}&") } else { String::new() };
    let heat = drawn(desk, all, shown, asked, rest)?;
    let frame: String = [("by", &asked.by), ("to", &asked.to)]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name}={}&", encode(value)))
        .collect();
    let other = |page: usize| format!("/crawl/coverage?{frame}page={page}");
    let expected = desk.expected()?.map(|expected| inventory(w, &expected)).unwrap_or_default();
    let from = if shown.is_empty() { 0 } else { (page - 1) * ROWS + 1 };
    let to = (page - 1) * ROWS + shown.len();
    Ok(CoveragePage {
        shell: Shell::new(desk, "coverage", w.say("coverage")),
        verdict: verdict(desk, &coverage),
        oversees: desk.oversees(),
        rows: w.with_three("coverage-rows", from, to, grouped(all.len() as u64)),
        previous: (page > 1).then(|| other(page - 1)),
        next: (page < pages).then(|| other(page + 1)),
        troubles: shown.iter().filter_map(|channel| troubles(desk, channel)).collect(),
        debts: coverage.debts.iter().map(|owed| debt(desk, owed)).collect(),
        limits: coverage.limits.iter().map(|found| limit(desk.w, found)).collect(),
        expected,
        heat,
    })
}

fn of_channel(desk: &Desk, asked: &Asked) -> Result<ChannelPage, WebError> {
    let w = desk.w;
    let coverage = desk.coverage()?;
    let id = ChannelId::parse(&asked.channel).ok_or(WebError::NotFound)?;
    let found: Vec<ChannelCoverage> =
        coverage.channels.iter().filter(|channel| channel.channel == id.as_str()).cloned().collect();
    let Some(channel) = found.first() else { return Err(WebError::NotFound) };
    let heat = drawn(desk, &found, &found, asked, format!("channel={}&", encode(&channel.channel)))?;
    let shown = |text: &str| Moment::new(time(text).unwrap_or_default(), desk.zone);
    let ts = |text: &str| {
        MessageTs::parse(text).filter(|ts| *ts != MessageTs::MIN).map(|ts| Moment::new(ts.time(), desk.zone).full)
    };
    let walks = channel.intervals.iter().map(|interval| Walk {
        account: visible(&interval.account),
        from: ts(&interval.from).unwrap_or_else(|| w.say("walk-from-beginning")),
        to: interval.to.as_deref().and_then(ts).unwrap_or_else(|| w.say("walk-to-nothing")),
        walked: interval.walked_at.as_deref().map(shown),
        result: result(w, interval.result),
        audited: interval.audited_at.as_deref().map(shown),
    });
    let walks = walks.collect();
    let captured = Captured::read(desk, channel.clone());
    let is_open = !channel.gaps.is_empty() || !channel.debts.is_empty();
    let title = match (&channel.excluded, is_open) {
        (Some(_), _) => w.say("coverage-excluded"),
        (None, false) if channel.intervals.is_empty() => w.say("verdict-nothing"),
        (None, false) => w.say("coverage-whole"),
        (None, true) => w.with(
            "verdict-open",
            [
                (channel.gaps.len(), w.count("gaps-count", channel.gaps.len())),
                (channel.debts.len(), w.count("debts-count", channel.debts.len())),
            ]
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(_, text)| text)
            .collect::<Vec<_>>()
            .join(", "),
        ),
    };
    let limits = channel.limits.iter().chain(&coverage.limits);
    let name = called(w, &visible(&channel.name), channel.is_im);
    Ok(ChannelPage {
        shell: Shell::new(desk, "coverage", w.with("coverage-of", &name)),
        timeline: desk.viewer.scope.allows(&id).then(|| format!("/c/{}", encode(id.as_str()))),
        is_open: is_open || channel.excluded.is_some(),
        title,
        gaps: captured.gaps.iter().map(|gap| (gap.when(desk), gap.reasons.clone())).collect(),
        debts: channel.debts.iter().map(|owed| debt(desk, owed)).collect(),
        excluded: captured.excluded,
        limits: limits.map(|found| limit(desk.w, found)).collect(),
        name,
        heat,
        walks,
    })
}

/// How a walk ended, for people.
fn result(w: &Words, word: &str) -> String {
    match word {
        "complete" => w.say("walk-complete"),
        "order not proved" => w.say("walk-order"),
        "in parts" => w.say("walk-parts"),
        "under way" => w.say("walk-under-way"),
        "failed" => w.say("walk-failed"),
        "lost" => w.say("walk-lost"),
        _ => w.say("walk-not-begun"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::words::words;

    #[test]
    fn stretches_are_said_as_people_say_them() {
        for (seconds, said) in [
            (-3, "0 seconds"),
            (1, "1 second"),
            (119, "119 seconds"),
            (120, "2 minutes"),
            (7200, "2 hours"),
            (200_000, "2 days"),
        ] {
            assert_eq!(span(words(), seconds), said);
        }
    }
}
