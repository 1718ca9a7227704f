use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::Shell;
use super::coverage::{Verdict, debt, span, verdict};
use super::crawl::{Run, listed};
use super::lacking::{limit, why};
use super::verify::outcome;
use super::view::Moment;
use crate::history::{ChannelCoverage, Coverage};
use crate::model::{Scope, rfc3339};
use crate::web::desk::Desk;
use crate::web::error::{WebError, blocking, render};
use crate::web::markup::{encode, visible};
use crate::web::words::grouped;

/// Crawls, and gaps and debts, that are listed here; their own pages have all.
const LISTED_RUNS: u32 = 5;
const LISTED: usize = 5;

/// A figure, and where what it counts is listed.
struct Figure {
    name: String,
    number: String,
    href: Option<&'static str>,
}

/// A channel that is not covered to its end.
struct Missing {
    href: String,
    sign: &'static str,
    name: String,
    why: String,
}

struct AccountRow {
    user: String,
    state: String,
    is_open: bool,
    last: Option<Moment>,
    age: String,
}

/// What the last check of the archive gave, in a sentence.
struct Check {
    is_open: bool,
    text: String,
    at: Option<Moment>,
}

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    shell: Shell,
    verdict: Verdict,
    scope: String,
    missing: Vec<Missing>,
    more_missing: usize,
    debts: Vec<(String, String)>,
    more_debts: usize,
    figures: Vec<Figure>,
    accounts: Vec<AccountRow>,
    runs: Vec<Run>,
    check: Check,
    limits: Vec<String>,
    excluded: Vec<Missing>,
    reads_contents: bool,
    oversees: bool,
}

fn missing(channel: &ChannelCoverage, why: String) -> Missing {
    Missing {
        href: format!("/crawl/coverage?channel={}", encode(&channel.channel)),
        sign: if channel.is_im { "" } else { "#" },
        name: visible(&channel.name),
        why,
    }
}

/// How much there is. Who sees some channels is told of those; what is counted over all is for who watches over
/// all.
fn figures(desk: &Desk, coverage: &Coverage) -> Result<Vec<Figure>, WebError> {
    let w = desk.w;
    let figure = |name: String, number: u64, href| Figure { name, number: grouped(number), href };
    let Some(reader) = desk.whole() else {
        let (ims, rooms): (Vec<_>, Vec<_>) = coverage.channels.iter().partition(|channel| channel.is_im);
        let href = (desk.viewer.scope != Scope::nothing()).then_some("/c");
        let mut out = vec![
            figure(w.say("figure-channels"), rooms.len() as u64, href),
            figure(w.say("figure-conversations"), ims.len() as u64, href),
        ];
        if desk.oversees() {
            out.push(figure(w.say("figure-records"), desk.web().head()?, None));
        }
        return Ok(out);
    };
    let counters = reader.counters()?;
    let count = |name: &str| counters.get(name).copied().unwrap_or(0).unsigned_abs();
    Ok(vec![
        figure(
            w.say("figure-messages"),
            count("message.subjects").saturating_sub(count("message.gone")),
            Some("/search"),
        ),
        figure(w.say("figure-gone"), count("message.gone"), Some("/search?q=is%3Adeleted+kind%3Amessage")),
        figure(w.say("figure-edited"), count("message.changed"), Some("/search?q=state%3Aedited+kind%3Amessage")),
        figure(w.say("figure-files"), count("file.subjects"), Some("/f")),
        figure(w.say("figure-comments"), count("comment.subjects"), None),
        figure(w.say("figure-channels"), count("channel.subjects"), Some("/c")),
        figure(w.say("figure-conversations"), count("im.subjects"), Some("/c")),
        figure(w.say("figure-people"), count("user.subjects"), None),
        figure(w.say("figure-records"), reader.head()?, Some("/verify")),
    ])
}

/// Whose view is archived, as far as it is of channels that the reader is told of, the freshest first.
fn accounts(desk: &Desk, coverage: &Coverage) -> Result<Vec<AccountRow>, WebError> {
    let w = desk.w;
    let walked = |name: &String| coverage.channels.iter().any(|channel| channel.accounts.contains(name));
    let mut rows = desk.web().accounts()?;
    rows.retain(|row| desk.oversees() || walked(&row.name));
    rows.sort_by_key(|row| std::cmp::Reverse(row.last_success));
    let now = desk.web().now();
    let shown = rows.into_iter().map(|row| AccountRow {
        is_open: row.state != "ok",
        state: match row.state.as_str() {
            "ok" => w.say("account-ok"),
            "needs_login" => w.say("account-needs-login"),
            "refused" => w.say("account-refused"),
            "disabled" => w.say("account-disabled"),
            other => other.to_owned(),
        },
        user: visible(&row.user_id),
        last: row.last_success.map(|at| Moment::parse(&rfc3339(at), desk.zone)),
        age: row.last_success.map(|at| w.with("ago", span(w, (now - at).num_seconds()))).unwrap_or_default(),
    });
    Ok(shown.collect())
}

fn check(desk: &Desk) -> Check {
    let w = desk.w;
    let (running, last) = desk.web().checks().state();
    match (running, last) {
        (_, Some(last)) => {
            let is_open = !last.outcome.as_ref().is_ok_and(|report| report.ok);
            Check { is_open, text: outcome(w, &last), at: Some(Moment::new(last.ended, desk.zone)) }
        }
        (Some(_), None) => Check { is_open: false, text: w.say("check-under-way"), at: None },
        (None, None) => Check { is_open: false, text: w.say("check-not-yet"), at: None },
    }
}

/// What is here and how fresh, and what is not here and why.
pub(crate) async fn page(desk: Desk) -> Result<Response, WebError> {
    let page = blocking(move || build(&desk)).await?;
    Ok(render(StatusCode::OK, &page))
}

fn build(desk: &Desk) -> Result<Overview, WebError> {
    let w = desk.w;
    let coverage = desk.coverage()?;
    let gaps: Vec<Missing> = coverage
        .channels
        .iter()
        .flat_map(|channel| channel.gaps.iter().map(|gap| missing(channel, why(w, &gap.reason))))
        .collect();
    let debts = coverage.channels.iter().flat_map(|channel| &channel.debts).chain(&coverage.debts);
    let debts: Vec<(String, String)> = debts.map(|owed| debt(desk, owed)).collect();
    let excluded = coverage.channels.iter().filter_map(|channel| {
        let policy = channel.excluded.as_ref()?;
        Some(missing(channel, w.with_three("excluded-by", &policy.reason, &policy.by, &policy.since)))
    });
    let runs = desk.runs(u64::MAX, LISTED_RUNS)?.unwrap_or_default();
    Ok(Overview {
        verdict: verdict(desk, &coverage),
        scope: match &desk.viewer.scope {
            Scope::Channels(channels) if !channels.is_empty() => w.count("scope-yours", channels.len()),
            Scope::Channels(_) => w.say("scope-none"),
            Scope::All => String::new(),
        },
        more_missing: gaps.len().saturating_sub(LISTED),
        missing: gaps.into_iter().take(LISTED).collect(),
        more_debts: debts.len().saturating_sub(LISTED),
        debts: debts.into_iter().take(LISTED).collect(),
        figures: figures(desk, &coverage)?,
        accounts: accounts(desk, &coverage)?,
        runs: listed(desk, &runs),
        check: check(desk),
        limits: coverage.limits.iter().map(|found| limit(w, found)).collect(),
        excluded: excluded.take(LISTED).collect(),
        reads_contents: desk.viewer.scope != Scope::nothing(),
        oversees: desk.oversees(),
        shell: Shell::new(desk, "overview", w.say("overview")),
    })
}
