use askama::Template;
use axum::Form;
use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;

use super::Shell;
use super::coverage::span;
use super::view::Moment;
use crate::export::{CHECKER, CHECKER_PAGE};
use crate::ledger::VerifierKey;
use crate::model::{Digest, Scope};
use crate::verify::{Depth, Finding, Report};
use crate::web::checks::Checked;
use crate::web::desk::Desk;
use crate::web::error::{WebError, blocking, render};
use crate::web::markup::visible;
use crate::web::words::{Words, grouped};

/// Records whose inclusion a sampled check proves.
const SAMPLE: u64 = 1000;
/// Findings that are shown.
const FINDINGS: usize = 200;

/// A key as people compare it.
struct Key {
    name: String,
    id: String,
    text: String,
    digest: String,
}

impl Key {
    fn read(text: &str) -> Option<Self> {
        let key = VerifierKey::parse(text).ok()?;
        let text = key.to_text();
        Some(Self { name: key.name().to_owned(), id: key.id(), digest: Digest::of(text.as_bytes()).to_string(), text })
    }
}

/// What is signed of a log.
struct Signed {
    size: String,
    root: String,
    at: Moment,
    /// How many are newer.
    beyond: u64,
}

/// Something that is not as it must be.
struct Found {
    title: String,
    href: Option<String>,
    path: String,
    detail: String,
    expected: String,
    instead: String,
}

/// The last check that ended.
struct Last {
    is_open: bool,
    title: String,
    /// What was checked, when, by whom.
    how: String,
    ended: Moment,
    error: Option<String>,
    checked: Vec<(String, String)>,
    key: String,
    notes: Vec<String>,
    findings: Vec<Found>,
    more_findings: usize,
}

struct Running {
    how: String,
    progress: String,
}

#[derive(Template)]
#[template(path = "verify.html")]
struct VerifyPage {
    shell: Shell,
    checkpoint: Option<Signed>,
    /// Why the checkpoint cannot be read.
    broken: Option<String>,
    key: Option<Key>,
    kept: Vec<(String, String, Moment)>,
    log: Option<Signed>,
    log_entries: String,
    running: Option<Running>,
    last: Option<Last>,
    /// Those before, the newest first.
    earlier: Vec<Last>,
    since: Moment,
    may_run: bool,
    tells_all: bool,
    sample: String,
}

fn depth(w: &Words, depth: Depth) -> String {
    match depth {
        Depth::Quick => w.say("check-quick"),
        Depth::Sample(count) => w.with("check-sample", grouped(count)),
        Depth::Full => w.say("check-full"),
    }
}

/// What a finding is about, for people.
fn title(w: &Words, finding: &Finding) -> String {
    match (finding.kind, finding.record) {
        ("block", Some(record)) => w.with("finding-record", record),
        ("block" | "salt", None) => w.say("finding-records"),
        ("salt", Some(record)) => w.with("finding-secret", record),
        ("node", _) => w.say("finding-tree"),
        ("checkpoint", _) => w.say("finding-checkpoint"),
        ("anchor", _) => w.say("finding-anchor"),
        ("key", _) => w.say("finding-key"),
        ("blob", _) => w.say("finding-file"),
        ("access", _) => w.say("finding-access"),
        ("index", _) => w.say("finding-index"),
        ("archive" | "about", _) => w.say("finding-self"),
        ("database" | "definition" | "maintenance", _) => w.say("finding-database"),
        _ => w.say("finding-table"),
    }
}

fn found(desk: &Desk, finding: &Finding) -> Found {
    // Of a checkpoint the number is its size, and no record's.
    let is_of_record = matches!(finding.kind, "block" | "salt" | "subject");
    let opens = desk.viewer.scope == Scope::All && is_of_record;
    Found {
        title: title(desk.w, finding),
        href: finding.record.filter(|_| opens).map(|record| format!("/r/{record}")),
        path: finding.path.as_deref().map(visible).unwrap_or_default(),
        detail: visible(&finding.detail),
        expected: visible(&finding.expected),
        instead: visible(&finding.found),
    }
}

fn counted(w: &Words, report: &Report) -> Vec<(String, String)> {
    let checked = &report.checked;
    [
        (w.say("checked-checkpoints"), checked.checkpoints),
        (w.say("checked-proofs"), checked.proofs),
        (w.say("checked-anchors"), checked.anchors),
        (w.say("checked-records"), checked.records),
        (w.say("checked-files"), checked.blobs),
    ]
    .into_iter()
    .filter(|(_, count)| *count > 0)
    .map(|(name, count)| (name, grouped(count)))
    .collect()
}

/// How a check ended, and how much that says.
pub(crate) fn outcome(w: &Words, checked: &Checked) -> String {
    match (&checked.outcome, checked.depth) {
        (Err(_), _) => w.say("check-failed"),
        (Ok(report), _) if !report.ok => w.count("check-findings", report.findings.len()),
        (Ok(_), Depth::Quick) => w.say("check-clean-quick"),
        (Ok(_), Depth::Sample(_) | Depth::Full) => w.say("check-clean"),
    }
}

fn last(desk: &Desk, checked: &Checked) -> Last {
    let w = desk.w;
    let tells_all = desk.oversees();
    let took = span(w, (checked.ended - checked.began).num_seconds());
    let mut out = Last {
        is_open: true,
        title: outcome(w, checked),
        how: w.with_three("check-how", depth(w, checked.depth), visible(&checked.by), took),
        ended: Moment::new(checked.ended, desk.zone),
        error: None,
        checked: Vec::new(),
        key: String::new(),
        notes: Vec::new(),
        findings: Vec::new(),
        more_findings: 0,
    };
    match &checked.outcome {
        Ok(report) => {
            out.is_open = !report.ok;
            out.key = if report.key == "unpinned" { w.say("check-unpinned") } else { w.with("check-key", &report.key) };
            // What was counted is of all channels.
            if tells_all {
                out.checked = counted(w, report);
                out.notes.clone_from(&report.notes);
                out.findings = report.findings.iter().take(FINDINGS).map(|finding| found(desk, finding)).collect();
                out.more_findings = report.findings.len().saturating_sub(FINDINGS);
            }
        }
        Err(error) => {
            out.error = tells_all.then(|| error.clone());
        }
    }
    out
}

/// What the archive proves, and whether it did when it was last asked.
pub(crate) async fn page(desk: Desk) -> Result<Response, WebError> {
    let page = blocking(move || build(&desk)).await?;
    Ok(render(StatusCode::OK, &page))
}

fn build(desk: &Desk) -> Result<VerifyPage, WebError> {
    let w = desk.w;
    let web = desk.web();
    // Whatever is wrong with the archive, this page says so.
    let (checkpoint, broken) = match web.checkpoint() {
        Ok(found) => (found, None),
        Err(error) => (None, Some(error.to_string())),
    };
    let head = web.head().unwrap_or_default();
    let signed = |size: u64, root: &Digest, at: &str, all: u64| Signed {
        size: grouped(size),
        root: root.to_string(),
        at: Moment::parse(at, desk.zone),
        beyond: all.saturating_sub(size),
    };
    let log = web.access().log();
    let entries = log.size()?;
    let log_signed = log.newest_checkpoint()?;
    let kept = desk
        .kept_elsewhere()?
        .into_iter()
        .map(|(sink, row)| (visible(&sink), w.count("kept-records", row.size), Moment::parse(&row.at, desk.zone)));
    let (running, ended) = web.checks().state();
    Ok(VerifyPage {
        shell: Shell::new(desk, "verify", w.say("verify")),
        checkpoint: checkpoint.map(|(checkpoint, at)| signed(checkpoint.size, &checkpoint.root, &at, head)),
        broken,
        key: Key::read(&web.key()),
        kept: kept.collect(),
        log: log_signed.map(|(checkpoint, at)| signed(checkpoint.size, &checkpoint.root, &at, entries)),
        log_entries: grouped(entries),
        running: running.map(|running| Running {
            how: w.with_three(
                "check-running",
                depth(w, running.depth),
                visible(&running.by),
                Moment::new(running.began, desk.zone).full,
            ),
            progress: if running.all > 0 {
                w.with_two("check-progress", grouped(running.done), grouped(running.all))
            } else {
                w.say("check-begun")
            },
        }),
        last: ended.map(|ended| last(desk, &ended)),
        earlier: web.checks().earlier().iter().map(|ended| last(desk, ended)).collect(),
        since: Moment::new(web.checks().since(), desk.zone),
        may_run: desk.oversees(),
        tells_all: desk.oversees(),
        sample: w.with("check-sample", grouped(SAMPLE)),
    })
}

/// What checks without this program, to keep before it is needed: a script, a page for browsers, and the key.
fn checker(name: &str, text: impl Into<Body>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
        (header::CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'".to_owned()),
    ];
    (headers, text.into()).into_response()
}

/// The script.
pub(crate) async fn script() -> Response {
    checker("verify.py", CHECKER)
}

/// The page.
pub(crate) async fn checking_page() -> Response {
    checker("verify.html", CHECKER_PAGE)
}

/// The key that checkpoints are signed with now, by the archive's own word.
pub(crate) async fn key(desk: Desk) -> Response {
    checker("ledger.vkey", format!("{}\n", desk.web().key()))
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Wanted {
    #[serde(default)]
    depth: String,
}

/// Begins a check, unless one runs, and shows the page again.
pub(crate) async fn run(desk: Desk, Form(wanted): Form<Wanted>) -> Result<Response, WebError> {
    if !desk.oversees() {
        return Err(WebError::Forbidden(desk.w.say("check-not-yours")));
    }
    let depth = match wanted.depth.as_str() {
        "quick" => Depth::Quick,
        "sample" => Depth::Sample(SAMPLE),
        _ => return Err(WebError::Bad(desk.w.say("check-no-depth"))),
    };
    // While another one runs the page shows that one.
    desk.web().checks().start(depth, desk.viewer.name.clone());
    Ok((StatusCode::SEE_OTHER, [(header::LOCATION, "/verify#checked")]).into_response())
}
