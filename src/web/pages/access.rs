use askama::Template;
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::response::Response;
use chrono::NaiveDate;
use serde::Deserialize;
use serde_json::Value;

use super::Shell;
use super::view::Moment;
use crate::history::Directory;
use crate::model::{ChannelId, Digest, MessageTs, RecordSeq};
use crate::record::{Action, Visit, VisitHeader, visit_leaf};
use crate::store::{SPAN, Side, StoredVisit, VisitFilter};
use crate::web::desk::Desk;
use crate::web::error::{WebError, blocking, render};
use crate::web::markup::{encode, visible};
use crate::web::words::{Words, grouped};

/// Entries of a page.
const LISTED: usize = 100;
/// What an entry has of a request that sends something.
const POST: &str = "POST";
/// Channels of a scope that are named.
const NAMED: usize = 3;

/// What can be looked for.
const ACTIONS: [Action; 18] = [
    Action::View,
    Action::Export,
    Action::Exhibit,
    Action::SignIn,
    Action::SignInFailed,
    Action::SignOut,
    Action::SessionsEnded,
    Action::PasswordChanged,
    Action::UserBound,
    Action::FactorOn,
    Action::FactorOff,
    Action::UserAdded,
    Action::UserChanged,
    Action::UserDisabled,
    Action::UserEnabled,
    Action::TokenCreated,
    Action::TokenRevoked,
    Action::Signer,
];

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    who: String,
    #[serde(default)]
    action: String,
    #[serde(default)]
    day: String,
    #[serde(default)]
    before: String,
}

impl Asked {
    /// The address of the entries before a number, or of the newest.
    fn address(&self, before: Option<u64>) -> String {
        let before = before.map(|before| before.to_string()).unwrap_or_default();
        let parts = [("who", &self.who), ("action", &self.action), ("day", &self.day), ("before", &before)];
        let query: Vec<String> = parts
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| format!("{name}={}", encode(value)))
            .collect();
        if query.is_empty() { "/access".to_owned() } else { format!("/access?{}", query.join("&")) }
    }
}

/// An action as the log and an address have it.
fn word(action: Action) -> String {
    serde_json::to_value(action).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}

/// What was done, for people.
fn deed(w: &Words, action: Action) -> String {
    match action {
        Action::View => w.say("action-view"),
        Action::SignIn => w.say("action-sign-in"),
        Action::SignInFailed => w.say("action-sign-in-failed"),
        Action::SignOut => w.say("action-sign-out"),
        Action::UserAdded => w.say("action-user-added"),
        Action::UserDisabled => w.say("action-user-disabled"),
        Action::UserEnabled => w.say("action-user-enabled"),
        Action::UserChanged => w.say("action-user-changed"),
        Action::PasswordChanged => w.say("action-password"),
        Action::UserBound => w.say("action-user-bound"),
        Action::FactorOn => w.say("action-factor-on"),
        Action::FactorOff => w.say("action-factor-off"),
        Action::TokenCreated => w.say("action-token-created"),
        Action::TokenRevoked => w.say("action-token-revoked"),
        Action::Signer => w.say("action-signer"),
        Action::Export => w.say("action-export"),
        Action::SessionsEnded => w.say("action-sessions-ended"),
        Action::Exhibit => w.say("action-exhibit"),
    }
}

/// A scope as an entry notes it, for people.
fn scope(w: &Words, names: &Directory, note: &Value) -> String {
    match note {
        Value::String(_) => w.say("scope-all"),
        Value::Array(channels) if channels.len() <= NAMED && !channels.is_empty() => {
            let name =
                |id: &str| ChannelId::parse(id).map_or_else(|| id.to_owned(), |id| names.channel(&id).to_owned());
            let named = channels.iter().filter_map(Value::as_str).map(|id| visible(&name(id)));
            w.with("scope-these", named.collect::<Vec<_>>().join(", "))
        }
        Value::Array(channels) => w.count("scope-channels", channels.len()),
        note => w.count("scope-channels", note["channels"].as_u64().unwrap_or_default()),
    }
}

/// What else was asked for. What an address calls by a letter has its word; what the deed says is left out.
fn place(desk: &Desk, page: &str, text: &str) -> String {
    let w = desk.w;
    let is_numbered = ["exhibit", "export", "set"].iter().any(|name| page.trim_start_matches('/').starts_with(name));
    let part = |part: &str| match part.split_once('=') {
        None if part == POST => None,
        Some(("n", number)) if is_numbered => Some(w.with("about-number", number)),
        Some(("v" | "number", number)) => Some(w.with("version", number)),
        Some(("entry", number)) => Some(w.with("entry-number", number)),
        Some(("run", number)) => Some(w.with("run-number", number)),
        Some(("date", day)) => Some(w.with("about-day", day)),
        Some(("at", place)) => Some(w.with("title-around", moment(desk, place))),
        Some(("before", place)) => Some(w.with("title-before", moment(desk, place))),
        Some(("after", place)) => Some(w.with("title-after", moment(desk, place))),
        Some(("asof", time)) => Some(w.with("chip-as-of", time)),
        _ => Some(part.to_owned()),
    };
    text.split(' ').filter_map(part).collect::<Vec<_>>().join(" ")
}

/// A time stamp as a time. What is none, such as the number of a record or of an entry, stays.
fn moment(desk: &Desk, text: &str) -> String {
    MessageTs::parse(text).map_or_else(|| text.to_owned(), |ts| Moment::new(ts.time(), desk.zone).full)
}

/// How a request was answered. The entry itself has the number.
fn answered(w: &Words, status: u16) -> String {
    match status {
        200..=299 => w.say("answer-given"),
        300..=399 => w.say("answer-done"),
        401 | 403 | 429 => w.with("answer-refused", status),
        404 => w.with("answer-not-found", status),
        _ => w.with("answer-failed", status),
    }
}

/// What an entry is about, piece by piece.
fn about(desk: &Desk, names: &Directory, visit: &Visit) -> Vec<String> {
    let w = desk.w;
    let mut out = Vec::new();
    if let Some(method) = &visit.method {
        out.push(w.with("about-method", method));
    } else if let Some(page) = &visit.page {
        out.push(w.with("about-page", page));
    }
    if let Some(id) = &visit.channel {
        let name = ChannelId::parse(id).map_or_else(|| id.clone(), |id| names.channel(&id).to_owned());
        out.push(w.with("about-channel", name));
    }
    let mut add = |value: &Option<String>, text: &dyn Fn(&str) -> String| {
        if let Some(value) = value {
            out.push(text(value));
        }
    };
    add(&visit.record, &|record| w.with("record", record));
    add(&visit.file, &|file| w.with("about-file", file));
    add(&visit.person, &|person| w.with("about-person", names.person(person)));
    add(&visit.query, &|query| w.with("about-query", query));
    let page = visit.page.as_deref().unwrap_or_default();
    // What an exhibit that is handed over has are proofs.
    let hits = if page == "exhibit file" { "exhibit-proofs" } else { "matches" };
    add(&visit.hits.map(|hits| hits.to_string()), &|count| w.count(hits, count));
    let place = visit.place.as_deref().map(|text| place(desk, page, text)).filter(|place| !place.is_empty());
    add(&place, &str::to_owned);
    add(&visit.subject, &|subject| w.with("about-subject", subject));
    add(&visit.granted, &|role| w.with("about-granted", role));
    add(&visit.expires, &|at| w.with("about-expires", at));
    add(&visit.shown, &|records| w.with("about-shown", records));
    add(&visit.content, &|digest| w.with("about-content", digest));
    add(&visit.error, &|error| w.with("about-error", error));
    out.iter().map(|text| visible(text)).collect()
}

/// An entry as a row.
struct Row {
    number: u64,
    shown_number: String,
    at: Moment,
    deed: String,
    who: String,
    role: String,
    about: Vec<String>,
    from: String,
    status: String,
    scope: String,
    /// What the status says is no answer.
    is_refused: bool,
    /// A small copy of a picture, of which a page asks for many.
    is_picture: bool,
}

/// What stands on a line of the page: an entry, or pictures that somebody's browser asked for one after the other.
enum Line {
    Entry(Box<Row>),
    Pictures(Vec<Row>),
}

fn lines(rows: impl Iterator<Item = Row>) -> Vec<Line> {
    let mut out: Vec<Line> = Vec::new();
    for row in rows {
        match out.last_mut() {
            Some(Line::Pictures(before)) if row.is_picture && before[0].who == row.who => before.push(row),
            _ if row.is_picture => out.push(Line::Pictures(vec![row])),
            _ => out.push(Line::Entry(Box::new(row))),
        }
    }
    out
}

/// Who is told of whose entries by whom: the names that a reader may see, whoever they are.
fn names(desk: &Desk) -> Result<std::sync::Arc<Directory>, WebError> {
    match desk.to_be_given() {
        Ok(all) => Ok(all),
        Err(_) => Ok(desk.directory()?),
    }
}

fn who(w: &Words, visit: &Visit) -> String {
    match (&visit.user, &visit.token) {
        (Some(user), _) => visible(user),
        (None, Some(token)) => w.with("who-token", visible(token)),
        (None, None) if visit.from.as_ref().is_some_and(|from| from.starts_with("command line")) => {
            w.say("who-command-line")
        }
        (None, None) if visit.from.is_none() => w.say("who-server"),
        (None, None) => w.say("who-nobody"),
    }
}

fn row(desk: &Desk, names: &Directory, entry: &StoredVisit) -> Row {
    let w = desk.w;
    let header = serde_json::from_str::<VisitHeader>(&entry.header).ok();
    let visit = serde_json::from_str::<Visit>(&entry.body).ok();
    let is_read = header.is_some() && visit.is_some();
    let visit = visit.unwrap_or_default();
    let is_sent = visit.place.as_ref().is_some_and(|place| place.split(' ').any(|part| part == POST));
    Row {
        number: entry.number,
        shown_number: grouped(entry.number),
        at: header.as_ref().map_or_else(|| Moment::parse("", desk.zone), |header| Moment::parse(&header.at, desk.zone)),
        // A line that was made into something else is no reason to hide that it stands there.
        deed: match header.filter(|_| is_read).map(|header| header.action) {
            None => w.say("entry-unreadable"),
            Some(Action::View) if is_sent => w.say("action-sent"),
            Some(action) => deed(w, action),
        },
        is_picture: is_read
            && visit.error.is_none()
            && visit.status.is_none_or(|status| status < 400)
            && matches!(visit.page.as_deref(), Some("thumbnail" | "preview")),
        who: who(w, &visit),
        role: visit.role.clone().unwrap_or_default(),
        about: about(desk, names, &visit),
        from: visible(&match (&visit.from, visit.client.as_ref().or(visit.forwarded_for.as_ref())) {
            (Some(from), Some(other)) => w.with_two("from-for", other, from),
            (Some(from), None) => from.clone(),
            _ => String::new(),
        }),
        is_refused: !is_read || visit.status.is_some_and(|status| status >= 400),
        status: visit.status.map(|status| answered(w, status)).unwrap_or_default(),
        scope: visit.scope.as_ref().map(|note| scope(w, names, note)).unwrap_or_default(),
    }
}

struct Choice {
    value: String,
    name: String,
    is_chosen: bool,
}

#[derive(Template)]
#[template(path = "access.html")]
struct AccessPage {
    shell: Shell,
    lead: String,
    reads_all: bool,
    who: String,
    people: Vec<String>,
    actions: Vec<Choice>,
    day: String,
    lines: Vec<Line>,
    is_filtered: bool,
    newest: Option<String>,
    newer: Option<String>,
    older: Option<String>,
}

/// The entries, newest first. The view itself is the next one and never on its own page, and a link to a page of
/// older entries shows the same for ever.
pub(crate) async fn list(desk: Desk, Query(asked): Query<Asked>) -> Result<Response, WebError> {
    let page = blocking(move || build(&desk, &asked)).await?;
    Ok(render(StatusCode::OK, &page))
}

fn build(desk: &Desk, asked: &Asked) -> Result<AccessPage, WebError> {
    let w = desk.w;
    let log = desk.web().access().log();
    let reads_all = desk.reads_log();
    let mut filter = VisitFilter::default();
    if !reads_all {
        filter.user = Some(desk.viewer.name.clone());
    } else if !asked.who.trim().is_empty() {
        filter.who = Some(asked.who.trim().to_owned());
    }
    if !asked.action.is_empty() {
        let action = serde_json::from_value(Value::String(asked.action.clone()));
        filter.action = Some(action.map_err(|_| WebError::Bad(w.with("access-no-action", &asked.action)))?);
    }
    if !asked.day.is_empty() {
        let day: NaiveDate = asked.day.parse().map_err(|_| WebError::Bad(w.with("no-day", &asked.day)))?;
        filter.from = Some(desk.zone.start_of_day(day));
        filter.to = day.succ_opt().map(|next| desk.zone.start_of_day(next));
    }
    let before = if asked.before.is_empty() { Ok(u64::MAX) } else { asked.before.parse::<u64>() };
    let before = before.map_err(|_| WebError::Bad(w.with("access-no-number", &asked.before)))?;
    let mut found = log.listed(&filter, Side::Before(before), LISTED + 1)?;
    let is_more = found.len() > LISTED;
    found.truncate(LISTED);
    let nearer = if before == u64::MAX { Vec::new() } else { log.listed(&filter, Side::From(before), LISTED)? };
    let newer = match nearer.last() {
        Some(last) if nearer.len() == LISTED => Some(asked.address(Some(last.number + 1))),
        Some(_) => Some(asked.address(None)),
        None => None,
    };
    let names = names(desk)?;
    let mut shell = Shell::new(desk, "access", w.say("access"));
    // The newest entries are others tomorrow: the address that is told is that of these.
    if let Some(first) = found.first() {
        shell.permalink = super::permalink(&asked.address(Some(first.number + 1)), desk.zone.name());
    }
    let mut people: Vec<String> = Vec::new();
    if reads_all {
        people.extend(desk.web().access().users()?.into_iter().map(|user| user.name));
        people.extend(desk.web().access().tokens()?.into_iter().map(|token| token.name));
        people.sort();
        people.dedup();
    }
    let size = log.size()?;
    Ok(AccessPage {
        shell,
        lead: if reads_all { w.count("access-entries", size) } else { w.say("access-own") },
        reads_all,
        who: asked.who.clone(),
        people,
        actions: ACTIONS
            .into_iter()
            .map(|action| Choice {
                value: word(action),
                name: deed(w, action),
                is_chosen: filter.action == Some(action),
            })
            .collect(),
        day: asked.day.clone(),
        lines: lines(found.iter().map(|entry| row(desk, &names, entry))),
        is_filtered: filter != VisitFilter { user: filter.user.clone(), ..VisitFilter::default() },
        newest: newer.is_some().then(|| asked.address(None)),
        newer,
        older: found.last().filter(|_| is_more).map(|last| asked.address(Some(last.number))),
    })
}

#[derive(Template)]
#[template(path = "entry.html")]
struct EntryPage {
    shell: Shell,
    row: Row,
    header: String,
    body: String,
    leaf: String,
    /// What the leaf should be, when it is not that.
    due: Option<String>,
    /// The newest signed checkpoint: entries, root, when; whether this entry is among them.
    signed: Option<(String, String, Moment)>,
    is_signed: bool,
    signer: Option<String>,
    neighbours: (Option<u64>, Option<u64>),
}

/// One entry, exactly as it is stored.
pub(crate) async fn entry(desk: Desk, Path(number): Path<String>) -> Result<Response, WebError> {
    let page = blocking(move || one(&desk, number.parse().map_err(|_| WebError::NotFound)?)).await?;
    Ok(render(StatusCode::OK, &page))
}

fn one(desk: &Desk, number: u64) -> Result<EntryPage, WebError> {
    let w = desk.w;
    let log = desk.web().access().log();
    let found = log.listed(&VisitFilter::default(), Side::From(number), 2)?;
    let entry = found.first().filter(|entry| entry.number == number).ok_or(WebError::NotFound)?;
    let own = serde_json::from_str::<Visit>(&entry.body).ok().and_then(|visit| visit.user);
    let reads_all = desk.reads_log();
    if !reads_all && own.as_ref() != Some(&desk.viewer.name) {
        return Err(WebError::NotFound);
    }
    let key = log.span_secret(number / SPAN)?.record_key(RecordSeq(number));
    let due = visit_leaf(&desk.web().about().id, &key, &entry.header, &entry.body).hash();
    let leaf = Digest::from_slice(&entry.leaf);
    let signed = log.newest_checkpoint()?;
    let after = found.get(1).map(|next| next.number).filter(|_| reads_all);
    Ok(EntryPage {
        shell: Shell::new(desk, "access", w.with("entry-title", grouped(number))),
        row: row(desk, &*names(desk)?, entry),
        header: entry.header.clone(),
        body: entry.body.clone(),
        due: (leaf != Some(due)).then(|| due.to_string()),
        leaf: leaf.map(|leaf| leaf.to_string()).unwrap_or_default(),
        is_signed: signed.as_ref().is_some_and(|(checkpoint, _)| checkpoint.size > number),
        signed: signed.map(|(checkpoint, at)| {
            (grouped(checkpoint.size), checkpoint.root.to_string(), Moment::parse(&at, desk.zone))
        }),
        signer: log.signer()?,
        neighbours: (number.checked_sub(1).filter(|_| reads_all), after),
    })
}
