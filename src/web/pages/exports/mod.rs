//! Sets for other people, asked for from a page: made in the background, kept until their owner removes them.

mod form;

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{Path, RawForm, RawQuery};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;

pub(crate) use self::form::Asked;
use super::Shell;
use super::exhibits;
use super::view::{Moment, called};
use crate::export::{DateForm, FormatName, read_from_zip};
use crate::model::{Digest, rfc3339};
use crate::store::access::{AccessError, Job, JobState, MAX_EXHIBIT};
use crate::web::desk::Desk;
use crate::web::error::{WebError, blocking, render};
use crate::web::exporting::{MOST_OF_ONE, Place, Standing, may_have};
use crate::web::markup::visible;
use crate::web::sending::{Sent, send_file};
use crate::web::visits::Told;
use crate::web::words::{Words, grouped};

/// Names that a form offers.
const OFFERED: usize = 500;
/// Rows of the reconciliation that a page shows.
const SHOWN_ROWS: usize = 200;

/// A set, as the list has it.
struct Row {
    number: i64,
    format: String,
    subject: String,
    began: Moment,
    state: String,
    badge: &'static str,
}

struct Choice {
    value: String,
    name: String,
    is_chosen: bool,
}

#[derive(Template)]
#[template(path = "exports.html")]
struct ExportsPage {
    shell: Shell,
    rows: Vec<Row>,
    asked: Asked,
    fault: Option<String>,
    formats: Vec<Choice>,
    channels: Vec<Choice>,
    people: Vec<(String, String)>,
    dates: Vec<Choice>,
    zone: String,
}

/// A line of the reconciliation: a conversation, and what became of its records.
struct Line {
    name: String,
    numbers: [u64; 5],
    difference: i64,
}

#[derive(Template)]
#[template(path = "export.html")]
struct ExportPage {
    shell: Shell,
    row: Row,
    facts: Vec<(String, String)>,
    why: String,
    progress: Option<(String, u64, u64)>,
    set: Option<SetView>,
    can_stop: bool,
    can_go_on: bool,
}

struct SetView {
    is_balanced: bool,
    is_complete: bool,
    size: String,
    facts: Vec<(String, String)>,
    lines: Vec<Line>,
    more: usize,
}

/// A set of the reader's own.
fn own(desk: &Desk, number: &str) -> Result<Job, WebError> {
    let number: i64 = number.parse().map_err(|_| WebError::NotFound)?;
    let job = desk.web().access().job(number)?;
    job.filter(|job| job.user == desk.viewer.name).ok_or(WebError::NotFound)
}

/// A set as it is noted, given what was read of it earlier and where it was found after that. Whoever makes a set notes
/// what became of it before they let go of it: one that is nowhere is read `again`, or one that was made meanwhile
/// would seem to be cut off.
fn settled(
    job: Job,
    standing: Standing,
    again: impl FnOnce(i64) -> Result<Option<Job>, AccessError>,
) -> Result<Job, AccessError> {
    match (job.state, standing) {
        (JobState::Waiting | JobState::Running, Standing::Nowhere) => Ok(again(job.id)?.unwrap_or(job)),
        _ => Ok(job),
    }
}

/// A set as it is at this moment, and where.
fn now(desk: &Desk, job: Job) -> Result<(Job, Standing), WebError> {
    let standing = desk.web().exporting().standing(job.id);
    Ok((settled(job, standing, |id| desk.web().access().job(id))?, standing))
}

/// The word for how far a set is, and how it looks.
fn state(w: &Words, job: &Job, standing: Standing) -> (String, &'static str) {
    match (job.state, standing) {
        (_, Standing::Waiting(before)) => (w.count("export-waiting", before), ""),
        (_, Standing::Under(..)) => (w.say("export-running"), "edited"),
        (JobState::Done, _) => (w.say("export-done"), "good"),
        (JobState::Failed, _) => (w.say("export-failed"), "gone"),
        (JobState::Stopped, _) => (w.say("export-stopped"), ""),
        // Of a process that is no more.
        (JobState::Waiting | JobState::Running, Standing::Nowhere) => (w.say("export-cut-off"), "gone"),
    }
}

fn row(desk: &Desk, job: &Job, standing: Standing) -> Row {
    let asked = Asked::read(&job.asked);
    let (state, badge) = state(desk.w, job, standing);
    Row {
        number: job.id,
        format: asked.format.clone(),
        subject: visible(&asked.subject()),
        began: Moment::parse(&job.began, desk.zone),
        state,
        badge,
    }
}

/// What a format is, in a few words.
fn format_name(w: &Words, format: FormatName) -> String {
    let what = match format.as_str() {
        "rsmf" => w.say("format-rsmf"),
        "dat" => w.say("format-dat"),
        "eml" => w.say("format-eml"),
        "html" => w.say("format-html"),
        "native" => w.say("format-native"),
        "csv" => w.say("format-csv"),
        "jsonl" => w.say("format-jsonl"),
        "slack" => w.say("format-slack"),
        "mbox" => w.say("format-mbox"),
        "actiance" => w.say("format-actiance"),
        "atom" => w.say("format-atom"),
        _ => format.what().to_owned(),
    };
    format!("{}: {what}", format.as_str())
}

/// The reader's own sets, and the form for another one.
pub(crate) async fn list(desk: Desk, RawQuery(raw): RawQuery) -> Result<Response, WebError> {
    let page = blocking(move || {
        let raw = raw.unwrap_or_default();
        let mut asked = Asked::of_search(&raw, desk.zone);
        let given = Asked::read(&raw);
        asked.format = given.format;
        asked.exhibit = given.exhibit;
        asked.records = given.records;
        exports_page(&desk, asked, None)
    })
    .await?;
    Ok(render(StatusCode::OK, &page))
}

fn exports_page(desk: &Desk, asked: Asked, fault: Option<String>) -> Result<ExportsPage, WebError> {
    let w = desk.w;
    let mut rows = Vec::new();
    for job in desk.web().access().jobs(&desk.viewer.name)? {
        let (job, standing) = now(desk, job)?;
        rows.push(row(desk, &job, standing));
    }
    let directory = desk.directory()?;
    let formats = FormatName::all().map(|format| Choice {
        value: format.as_str().to_owned(),
        name: format_name(w, format),
        is_chosen: asked.format == format.as_str() || asked.format.is_empty() && format.as_str() == "html",
    });
    let formats = formats.collect();
    let mut channels: Vec<Choice> = directory
        .channels
        .iter()
        .map(|(id, facts)| {
            let is_chosen = asked.channels.iter().any(|chosen| chosen == id.as_str());
            Choice { value: id.to_string(), name: called(w, &visible(&facts.name), facts.is_im), is_chosen }
        })
        .collect();
    channels.sort_by(|a, b| (!a.is_chosen, &a.name).cmp(&(!b.is_chosen, &b.name)));
    channels.truncate(OFFERED);
    let mut people: Vec<(String, String)> =
        directory.people.iter().map(|(id, facts)| (id.clone(), visible(&facts.name))).collect();
    people.sort_by(|a, b| a.1.cmp(&b.1));
    people.truncate(OFFERED);
    let dates = DateForm::ALL.map(|(form, word, _)| Choice {
        value: word.to_owned(),
        name: word.to_owned(),
        is_chosen: form == DateForm::parse(&asked.dates).unwrap_or_default(),
    });
    let zone = if asked.zone.is_empty() { desk.zone.name().to_owned() } else { asked.zone.clone() };
    let shell = Shell::new(desk, "exports", w.say("exports-page"));
    Ok(ExportsPage { shell, rows, asked, fault, formats, channels, people, dates: dates.into(), zone })
}

fn to(number: i64) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, format!("/exports/{number}"))]).into_response()
}

/// To the page of a set that is begun once it is logged who asked for it.
fn to_begun(number: i64) -> Response {
    let mut response = to(number);
    response.extensions_mut().insert(Told { set: Some(number), ..Told::default() });
    response
}

/// Asks for a set.
pub(crate) async fn ask(desk: Desk, RawForm(form): RawForm) -> Result<Response, WebError> {
    blocking(move || {
        let mut asked = Asked::read(&String::from_utf8_lossy(&form));
        if !asked.exhibit.is_empty() {
            let exhibit = exhibits::own(&desk, &asked.exhibit)?;
            asked.records = exhibits::records(&desk, &exhibit)?;
        } else if !asked.records.is_empty() {
            asked.records.truncate(MAX_EXHIBIT);
            asked.records = exhibits::showable(&desk, asked.records)?;
        }
        let w = desk.w;
        let is_selection = !asked.exhibit.is_empty() || form.windows(7).any(|part| part == b"record=");
        let now = rfc3339(desk.web().now());
        let request = asked.request(desk.web(), &desk.viewer.scope, &now);
        let fault = match request {
            Err(why) => Some(why),
            Ok(_) if is_selection && asked.records.is_empty() => Some(w.say("export-nothing-selected")),
            Ok(_) => None,
        };
        if let Some(why) = fault {
            return Ok(render(StatusCode::BAD_REQUEST, &exports_page(&desk, asked, Some(why))?));
        }
        let access = desk.web().access();
        let Some(number) = access.add_job(&desk.viewer.name, &asked.text())? else {
            let page = exports_page(&desk, asked, Some(w.say("exports-too-many")))?;
            return Ok(render(StatusCode::CONFLICT, &page));
        };
        let (status, why) = match desk.web().exporting().put(number, &desk.viewer.name) {
            Place::Given => return Ok(to_begun(number)),
            Place::TooManyOfOne => (StatusCode::CONFLICT, w.with("exports-too-many-at-once", MOST_OF_ONE)),
            Place::TooMany => (StatusCode::SERVICE_UNAVAILABLE, w.say("exports-busy")),
        };
        access.drop_job(&desk.viewer.name, number)?;
        Ok(render(status, &exports_page(&desk, asked, Some(why))?))
    })
    .await
}

/// One set: how far it is, what it holds, and how to get it.
pub(crate) async fn page(desk: Desk, Path(number): Path<String>) -> Result<Response, WebError> {
    let page = blocking(move || {
        let (job, standing) = now(&desk, own(&desk, &number)?)?;
        build(&desk, &job, standing)
    })
    .await?;
    Ok(render(StatusCode::OK, &page))
}

fn build(desk: &Desk, job: &Job, standing: Standing) -> Result<ExportPage, WebError> {
    let w = desk.w;
    let asked = Asked::read(&job.asked);
    let mut facts = vec![
        (w.say("export-fact-format"), {
            FormatName::parse(&asked.format).map_or_else(|| asked.format.clone(), |format| format_name(w, format))
        }),
        (w.say("export-fact-of"), visible(&asked.subject())),
        (
            w.say("export-fact-versions"),
            match asked.versions.as_str() {
                "current" => w.say("export-versions-current"),
                _ => w.say("export-versions-all"),
            },
        ),
        (
            w.say("export-fact-zone"),
            if asked.zone.is_empty() { desk.web().zone().name().to_owned() } else { asked.zone },
        ),
        (w.say("export-fact-asked"), Moment::parse(&job.began, desk.zone).full),
    ];
    if let Some(ended) = &job.ended {
        facts.push((w.say("export-fact-ended"), Moment::parse(ended, desk.zone).full));
    }
    let progress = match standing {
        Standing::Under(what, done, of) => Some((step(w, what, done, of), done, of)),
        Standing::Waiting(before) => Some((w.count("export-before", before), 0, 0)),
        Standing::Nowhere => None,
    };
    let is_here = standing != Standing::Nowhere;
    let is_done = job.state == JobState::Done && !is_here;
    let may = may_have(job, &desk.viewer.scope);
    Ok(ExportPage {
        shell: Shell::new(desk, "exports", w.with("export-number", job.id)),
        row: row(desk, job, standing),
        facts,
        why: match &job.error {
            Some(why) if !is_here => visible(why),
            _ if is_done && !may => w.say("export-other-scope"),
            _ => String::new(),
        },
        progress,
        set: if is_done && may { set(desk, job)? } else { None },
        can_stop: is_here,
        can_go_on: !is_here && !is_done,
    })
}

/// What is being done, in words.
fn step(w: &Words, what: &str, done: u64, of: u64) -> String {
    match what {
        "write" => w.with_two("export-step-write", grouped(done), grouped(of)),
        "count" => w.with_two("export-step-count", grouped(done), grouped(of)),
        "proofs" => w.say("export-step-proofs"),
        "look" => w.say("export-step-look"),
        _ => w.say("export-step-begin"),
    }
}

/// What a set that was made says of itself.
fn set(desk: &Desk, job: &Job) -> Result<Option<SetView>, WebError> {
    let w = desk.w;
    let report: Value = job.report.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let path = desk.web().exporting().path(job.id);
    if !path.exists() {
        return Ok(None);
    }
    let (said, counts) = (&report["set"], &report["set"]["counts"]);
    let number = |value: &Value| grouped(value.as_u64().unwrap_or(0));
    let facts = vec![
        (w.say("export-records"), number(&counts["records_in_scope"])),
        (w.say("export-produced"), number(&counts["produced"])),
        (w.say("export-withheld"), number(&counts["withheld"])),
        (w.say("export-not-carried"), number(&counts["not_carried_by_the_format"])),
        (w.say("export-exceptions"), number(&counts["exceptions"])),
        (w.say("export-messages"), number(&counts["messages"])),
        (w.say("export-files"), number(&counts["files"])),
        (w.say("export-checkpoint"), w.with("export-checkpoint-of", number(&said["checkpoint"]))),
        (w.say("export-sha256"), said["sha256"].as_str().unwrap_or_default().to_owned()),
        (w.say("export-manifest"), said["tag_manifest"].as_str().unwrap_or_default().to_owned()),
    ];
    let table = read_from_zip(&path, "RECONCILIATION.csv").map_err(|error| WebError::Internal(error.to_string()))?;
    let mut lines = reconciled(&table);
    let more = lines.len().saturating_sub(SHOWN_ROWS);
    lines.truncate(SHOWN_ROWS);
    Ok(Some(SetView {
        is_balanced: counts["balanced"] == true,
        is_complete: said["complete"] == true,
        size: w.count("size-bytes", said["bytes"].as_u64().unwrap_or(0)),
        facts,
        lines,
        more,
    }))
}

/// The reconciliation by conversation, those that do not balance first.
fn reconciled(table: &[u8]) -> Vec<Line> {
    let table = table.strip_prefix(b"\xef\xbb\xbf").unwrap_or(table);
    let mut reader = csv::Reader::from_reader(table);
    let Ok(columns) = reader.headers().cloned() else { return Vec::new() };
    let place = |name: &str| columns.iter().position(|column| column == name);
    let names = ["in_scope", "produced", "withheld", "not_carried", "exceptions"].map(place);
    let mut lines: BTreeMap<String, Line> = BTreeMap::new();
    for row in reader.records().flatten() {
        let text = |place: Option<usize>| place.and_then(|place| row.get(place)).unwrap_or_default();
        let (id, name) = (text(place("conversation")), text(place("conversation_name")));
        let line = lines.entry(id.to_owned()).or_insert_with(|| Line {
            name: visible(if name.is_empty() { id } else { name }),
            numbers: [0; 5],
            difference: 0,
        });
        for (sum, place) in line.numbers.iter_mut().zip(names) {
            *sum += text(place).parse::<u64>().unwrap_or(0);
        }
        line.difference += text(place("difference")).parse::<i64>().unwrap_or(0).abs();
    }
    let mut out: Vec<Line> = lines.into_values().collect();
    out.sort_by(|a, b| (a.difference == 0, &a.name).cmp(&(b.difference == 0, &b.name)));
    out
}

/// The set as a file; a download that was cut off goes on where it was.
pub(crate) async fn download(desk: Desk, Path(number): Path<String>, headers: HeaderMap) -> Result<Response, WebError> {
    let shared = desk.clone();
    let job = blocking(move || own(&shared, &number)).await?;
    let report: Value = job.report.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let digest = report["set"]["sha256"].as_str().and_then(|text| text.parse::<Digest>().ok());
    let digest = digest.filter(|_| job.state == JobState::Done && may_have(&job, &desk.viewer.scope));
    let content = digest.ok_or(WebError::NotFound)?;
    let name = format!("set-{}.zip", job.id);
    let sent = Sent { content: &content, name: &name, kind: "application/zip", is_inline: false };
    let mut response = send_file(&desk.web().exporting().path(job.id), &sent, &headers).await?;
    response.extensions_mut().insert(Told { content: Some(content.to_string()), ..Told::default() });
    Ok(response)
}

/// Ends the making of a set, or takes it out of the queue.
pub(crate) async fn stop(desk: Desk, Path(number): Path<String>) -> Result<Response, WebError> {
    blocking(move || {
        let job = own(&desk, &number)?;
        let was_waiting = matches!(desk.web().exporting().standing(job.id), Standing::Waiting(_));
        if desk.web().exporting().stop(job.id) && was_waiting {
            desk.web().access().set_job(job.id, JobState::Stopped, None, None)?;
        }
        Ok(to(job.id))
    })
    .await
}

/// Takes up a set again that was cut off, stopped, or could not be made.
pub(crate) async fn go_on(desk: Desk, Path(number): Path<String>) -> Result<Response, WebError> {
    blocking(move || {
        let job = own(&desk, &number)?;
        if job.state == JobState::Done {
            return Ok(to(job.id));
        }
        let (access, w) = (desk.web().access(), desk.w);
        access.set_job(job.id, JobState::Waiting, None, None)?;
        let why = match desk.web().exporting().put(job.id, &job.user) {
            Place::Given => return Ok(to_begun(job.id)),
            Place::TooManyOfOne => w.with("exports-too-many-at-once", MOST_OF_ONE),
            Place::TooMany => w.say("exports-busy"),
        };
        // It is as it was.
        access.set_job(job.id, job.state, None, job.error.as_deref())?;
        Err(WebError::Bad(why))
    })
    .await
}

/// Removes a set that is not being made, whatever there is of it.
pub(crate) async fn delete(desk: Desk, Path(number): Path<String>) -> Result<Response, WebError> {
    blocking(move || {
        let job = own(&desk, &number)?;
        if desk.web().exporting().standing(job.id) != Standing::Nowhere {
            return Err(WebError::Bad(desk.w.say("export-stop-first")));
        }
        let removed = desk.web().exporting().remove(job.id);
        removed.map_err(|error| WebError::Internal(error.to_string()))?;
        desk.web().access().drop_job(&desk.viewer.name, job.id)?;
        Ok((StatusCode::SEE_OTHER, [(header::LOCATION, "/exports")]).into_response())
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::words::words;

    #[test]
    fn the_reconciliation_is_summed_by_conversation_and_differences_come_first() {
        let table = b"\xef\xbb\xbfcustodian,custodian_name,conversation,conversation_name,day,zone,in_scope,produced,withheld,not_carried,exceptions,difference\r\n\
            a,A,C1,general,2026-03-01,UTC,3,2,0,1,0,0\r\n\
            b,B,C1,general,2026-03-02,UTC,4,4,0,0,0,0\r\n\
            a,A,C2,,2026-03-01,UTC,2,1,0,0,0,1\r\n";
        let lines = reconciled(table);
        let shown: Vec<_> = lines.iter().map(|line| (line.name.as_str(), line.numbers, line.difference)).collect();
        assert_eq!(shown, [("C2", [2, 1, 0, 0, 0], 1), ("general", [7, 6, 0, 1, 0], 0)]);
    }

    #[test]
    fn what_was_made_since_it_was_read_is_not_cut_off() {
        let job = |state| Job {
            id: 7,
            user: String::new(),
            asked: String::new(),
            state,
            began: String::new(),
            ended: None,
            report: None,
            error: None,
        };
        let made = |id| Ok((id == 7).then(|| job(JobState::Done)));
        let w = words();
        for earlier in [JobState::Waiting, JobState::Running] {
            let found = settled(job(earlier), Standing::Nowhere, made).unwrap();
            assert_eq!(state(w, &found, Standing::Nowhere).0, w.say("export-done"));
            // One that nobody made is, and so is one that was removed meanwhile.
            for left in [Some(job(earlier)), None] {
                let found = settled(job(earlier), Standing::Nowhere, |_| Ok(left)).unwrap();
                assert_eq!(state(w, &found, Standing::Nowhere).0, w.say("export-cut-off"));
            }
            let under = Standing::Under("count", 1, 2);
            assert_eq!(settled(job(earlier), under, made).unwrap().state, earlier, "it is under way");
        }
    }
}
