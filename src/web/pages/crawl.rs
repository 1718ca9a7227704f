use askama::Template;
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;

use super::Shell;
use super::coverage::span;
use super::view::Moment;
use crate::model::{ChannelId, Scope};
use crate::store::RunRow;
use crate::web::desk::Desk;
use crate::web::error::{WebError, blocking, render};
use crate::web::markup::{encode, visible};
use crate::web::words::{Words, grouped};

/// Runs of a page.
const LISTED: u32 = 50;
/// Findings that are shown of one run.
const FINDINGS: usize = 200;

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    before: String,
}

/// A run in a list.
pub(crate) struct Run {
    pub(crate) id: u64,
    pub(crate) kind: String,
    pub(crate) started: Moment,
    pub(crate) took: String,
    pub(crate) result: String,
    /// Something was left open.
    pub(crate) is_open: bool,
    pub(crate) added: String,
    pub(crate) messages: String,
    pub(crate) findings: usize,
}

fn kind(w: &Words, word: &str) -> String {
    match word {
        "crawl" => w.say("run-kind-crawl"),
        "watch" => w.say("run-kind-watch"),
        "import" => w.say("run-kind-import"),
        "compact" => w.say("run-kind-compact"),
        other => other.to_owned(),
    }
}

fn summary(row: &RunRow) -> Value {
    row.summary.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

fn took(desk: &Desk, row: &RunRow) -> String {
    let time = |text: &str| chrono::DateTime::parse_from_rfc3339(text).ok();
    match (time(&row.started_at), row.ended_at.as_deref().and_then(time)) {
        (Some(began), Some(ended)) => span(desk.w, (ended - began).num_seconds()),
        _ => String::new(),
    }
}

/// How a run ended, and whether it left something open.
fn result(w: &Words, row: &RunRow) -> (String, bool) {
    match row.result.as_deref() {
        Some("complete") => (w.say("run-complete"), false),
        Some("partial") => (w.say("run-partial"), true),
        Some(other) => (other.to_owned(), true),
        None => (w.say("run-open"), true),
    }
}

/// A row for each run.
pub(crate) fn listed(desk: &Desk, rows: &[RunRow]) -> Vec<Run> {
    let w = desk.w;
    rows.iter()
        .map(|row| {
            let summary = summary(row);
            let messages = &summary["messages"];
            let (result, is_open) = result(w, row);
            Run {
                id: row.id,
                kind: kind(w, &row.kind),
                started: Moment::parse(&row.started_at, desk.zone),
                took: took(desk, row),
                result,
                is_open,
                added: summary["records"]["added"].as_u64().map(grouped).unwrap_or_default(),
                messages: if messages.is_object() {
                    let count = |name: &str| grouped(messages[name].as_u64().unwrap_or_default());
                    w.with_three("run-messages", count("new"), count("edited"), count("deleted"))
                } else {
                    String::new()
                },
                findings: summary["findings"].as_array().map_or(0, Vec::len),
            }
        })
        .collect()
}

#[derive(Template)]
#[template(path = "crawls.html")]
struct RunsPage {
    shell: Shell,
    runs: Vec<Run>,
    newest: Option<String>,
    older: Option<String>,
}

/// The crawls, newest first.
pub(crate) async fn list(desk: Desk, Query(asked): Query<Asked>) -> Result<Response, WebError> {
    let page = blocking(move || {
        let before = if asked.before.is_empty() { Ok(u64::MAX) } else { asked.before.parse() };
        let before = before.map_err(|_| WebError::Bad(desk.w.with("run-no-number", &asked.before)))?;
        let rows = desk.runs(before, LISTED + 1)?.ok_or(WebError::NotFound)?;
        let is_more = rows.len() > LISTED as usize;
        let shown = &rows[..rows.len().min(LISTED as usize)];
        Ok(RunsPage {
            shell: Shell::new(&desk, "coverage", desk.w.say("crawls")),
            runs: listed(&desk, shown),
            newest: (before != u64::MAX).then(|| "/crawl".to_owned()),
            older: shown.last().filter(|_| is_more).map(|row| format!("/crawl?before={}", row.id)),
        })
    })
    .await?;
    Ok(render(StatusCode::OK, &page))
}

struct Finding {
    kind: String,
    channel: String,
    href: Option<String>,
    detail: String,
}

#[derive(Template)]
#[template(path = "crawl.html")]
struct RunPage {
    shell: Shell,
    id: u64,
    is_open: bool,
    result: String,
    facts: Vec<(String, String)>,
    added: Vec<(String, String)>,
    /// The first and last record that it added.
    records: Option<(u64, u64)>,
    may_open: bool,
    refused: Vec<(String, String)>,
    findings: Vec<Finding>,
    more_findings: usize,
    own_words: String,
    neighbours: (Option<u64>, Option<u64>),
}

/// One crawl: what it was, what it added, what did not fit.
pub(crate) async fn page(desk: Desk, Path(id): Path<String>) -> Result<Response, WebError> {
    let page = blocking(move || build(&desk, id.parse().map_err(|_| WebError::NotFound)?)).await?;
    Ok(render(StatusCode::OK, &page))
}

fn build(desk: &Desk, id: u64) -> Result<RunPage, WebError> {
    let w = desk.w;
    let (row, accounts) = desk.run(id)?.ok_or(WebError::NotFound)?;
    let summary = summary(&row);
    let (result, is_open) = result(w, &row);
    let mut facts =
        vec![(w.say("run-kind"), kind(w, &row.kind)), (w.say("began"), Moment::parse(&row.started_at, desk.zone).full)];
    if let Some(ended) = &row.ended_at {
        facts.push((w.say("run-ended"), Moment::parse(ended, desk.zone).full));
        facts.push((w.say("run-took"), took(desk, &row)));
    }
    if !accounts.is_empty() {
        let names: Vec<String> = accounts.iter().map(|name| visible(name)).collect();
        facts.push((w.say("run-accounts"), names.join(", ")));
    }
    let count = |part: &str, name: &str| summary[part][name].as_u64();
    if let (Some(seen), Some(walked), Some(failed)) =
        (count("channels", "seen"), count("channels", "walked"), count("channels", "failed"))
    {
        facts.push((w.say("channels"), w.with_three("run-channels", seen, walked, failed)));
    }
    for (name, key) in [("requests", w.say("run-requests")), ("retries", w.say("run-retries"))] {
        if let Some(number) = summary[name].as_u64() {
            facts.push((key, grouped(number)));
        }
    }
    for (name, key) in [("gaps", w.say("run-gaps")), ("debts", w.say("run-debts"))] {
        if let Some(number) = summary[name].as_u64() {
            facts.push((key, grouped(number)));
        }
    }
    let added = [
        (count("messages", "new"), w.say("run-messages-new")),
        (count("messages", "edited"), w.say("run-messages-edited")),
        (count("messages", "deleted"), w.say("run-messages-deleted")),
        (count("messages", "restored"), w.say("run-messages-restored")),
        (count("files", "new"), w.say("run-files-new")),
        (count("files", "versions"), w.say("run-files-fetched")),
        (count("files", "failed"), w.say("run-files-failed")),
        (count("comments", "new"), w.say("run-comments-new")),
        (count("reactions", "changed"), w.say("run-reactions")),
        (count("records", "added"), w.say("figure-records")),
        (summary["events"].as_u64(), w.say("run-events")),
        (summary["sealed"].as_u64(), w.say("run-sealed")),
    ];
    let found: Vec<Value> = summary["findings"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value, name: &str| visible(value[name].as_str().unwrap_or_default());
    let findings = found.iter().take(FINDINGS).map(|finding| {
        let channel = finding["channel"].as_str().unwrap_or_default();
        Finding {
            kind: text(finding, "kind"),
            channel: visible(channel),
            href: ChannelId::parse(channel).map(|id| format!("/crawl/coverage?channel={}", encode(id.as_str()))),
            detail: text(finding, "detail"),
        }
    });
    let refused = summary["refused_accounts"].as_object().into_iter().flatten();
    let below = desk.runs(id, 1)?.unwrap_or_default();
    let above = desk.run(id + 1)?;
    Ok(RunPage {
        shell: Shell::new(desk, "coverage", w.with("crawl-title", id)),
        id,
        is_open,
        result,
        facts,
        added: added
            .into_iter()
            .filter_map(|(number, name)| Some((name, grouped(number.filter(|number| *number > 0)?))))
            .collect(),
        records: count("records", "first").zip(count("records", "last")),
        may_open: desk.viewer.scope == Scope::All,
        refused: refused.map(|(name, why)| (visible(name), visible(why.as_str().unwrap_or_default()))).collect(),
        findings: findings.collect(),
        more_findings: found.len().saturating_sub(FINDINGS),
        own_words: serde_json::to_string_pretty(&summary).unwrap_or_default(),
        neighbours: (below.first().map(|row| row.id), above.map(|(row, _)| row.id)),
    })
}
