//! The TeamChat API over the archive: the same methods, parameters and shapes, and nothing that
//! writes. Whatever can read TeamChat can read the archive, our own crawler included.

mod atom;
mod channels;
mod files;
mod messages;
mod people;
mod search;
mod tickets;

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequest as _, Multipart, Path, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

pub use search::{SearchRequest, Sources, excerpt, facet_plan, parse_states, search_reply};
pub(super) use tickets::Tickets;

use super::desk::Web;
use super::rights::reads;
use super::visits;
use crate::history::{Directory, Item, Scoped, leave_out_others};
use crate::model::{ChannelId, Scope, json as bytes_json};
use crate::record::{Visit, scope_note};
use crate::store::access::Token;
use crate::{index, store};

/// A body of parameters is never larger.
const MAX_BODY: usize = 1 << 20;
/// Longer parameters are cut in the access log; a longer query is refused, so that none is asked that does not stand
/// there.
const LONGEST_NOTED: usize = visits::LONGEST;

/// Documented methods that would change something, or need a live server.
const READ_ONLY: [&str; 34] = [
    "auth.revoke",
    "channels.create",
    "channels.join",
    "channels.kick",
    "channels.leave",
    "channels.rename",
    "channels.setpurpose",
    "channels.settopic",
    "chat.delete",
    "chat.postMessage",
    "chat.update",
    "files.avatar",
    "files.comments.add",
    "files.comments.delete",
    "files.comments.edit",
    "files.delete",
    "files.edit",
    "files.empty",
    "files.seteditingpermission",
    "files.seteditingproperties",
    "files.stopedit",
    "files.upload",
    "im.close",
    "im.open",
    "iwauthentication.login.digest",
    "iwauthentication.logout",
    "iwauthentication.login.plain",
    "pins.add",
    "pins.remove",
    "reactions.add",
    "reactions.remove",
    "rtm.start",
    "users.setActive",
    "users.setPresence",
];

/// Why a call is refused: the `error` of the reply.
#[derive(Debug)]
pub(super) enum Refusal {
    /// A code that TeamChat's clients know.
    Code(&'static str),
    /// A query that cannot be read, with what is wrong.
    Query(String),
    /// The archive could not be read.
    Internal(String),
}

impl Refusal {
    /// The `error` of the reply.
    fn code(&self) -> &'static str {
        match self {
            Self::Code(code) => code,
            Self::Query(_) => "invalid_query",
            Self::Internal(_) => "fatal_error",
        }
    }
}

impl From<store::Error> for Refusal {
    fn from(error: store::Error) -> Self {
        Self::Internal(error.to_string())
    }
}

impl From<index::Error> for Refusal {
    fn from(error: index::Error) -> Self {
        match error {
            index::Error::TooBroad(detail) => Self::Query(detail),
            other => Self::Internal(other.to_string()),
        }
    }
}

/// What a call asks with: its parameters, from wherever they came, and what its token may see.
pub(super) struct Call {
    parameters: HashMap<String, String>,
    scope: Scope,
    directory: Arc<Directory>,
    base: String,
    bearer: String,
    /// The records whose contents the reply holds.
    shown: RefCell<BTreeSet<u64>>,
}

impl Call {
    /// Notes that the reply holds what a subject last read.
    fn shows(&self, item: &Item) {
        self.shown.borrow_mut().extend(item.latest().map(|latest| latest.seq.0));
    }

    /// The records that the token may see.
    fn archive<'a>(&'a self, web: &'a Web) -> Scoped<'a> {
        web.archive(&self.scope)
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    fn flag(&self, name: &str) -> bool {
        matches!(self.text(name), Some("1" | "true" | "True"))
    }

    fn number(&self, name: &str, default: usize, most: usize) -> usize {
        self.text(name).and_then(|text| text.parse().ok()).unwrap_or(default).clamp(1, most)
    }

    /// The channel that is asked for, when the token may see it.
    fn channel(&self) -> Result<ChannelId, Refusal> {
        let id = self.text("channel").or_else(|| self.text("id")).and_then(ChannelId::parse);
        id.filter(|id| self.scope.allows(id) && self.directory.channels.contains_key(id))
            .ok_or(Refusal::Code("channel_not_found"))
    }
}

/// Any call, by either verb, with parameters in the query, a form, multipart or JSON, and the
/// token in any of them or as a bearer. Whatever a token is answered has an entry in the access log
/// before it is sent.
pub(super) async fn handle(State(web): State<Arc<Web>>, Path(method): Path<String>, request: Request) -> Response {
    if !matches!(*request.method(), Method::GET | Method::POST | Method::HEAD) {
        return reply(Err(Refusal::Code("invalid_post_type")));
    }
    let (parts, body) = request.into_parts();
    let from = visits::origin(&parts);
    let request = Request::from_parts(parts, body);
    let headers = request.headers().clone();
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or("localhost").to_owned();
    let mut parameters: HashMap<String, String> = HashMap::new();
    if let Some(query) = request.uri().query() {
        parameters.extend(form(query.as_bytes()));
    }
    match body_parameters(request).await {
        Ok(found) => parameters.extend(found),
        Err(code) => return reply(Err(Refusal::Code(code))),
    }
    let method = parameters.get("override_method").cloned().unwrap_or(method);
    if method == "files.download" {
        return files::download(&web, from, &parameters, &headers).await;
    }
    if method == "api.test" {
        parameters.remove("token");
        let failure = parameters.get("error").filter(|code| !code.is_empty()).cloned();
        let mut body = json!({"ok": failure.is_none(), "args": parameters});
        if let Some(code) = failure {
            body["error"] = json!(code);
        }
        return json_response(&body);
    }
    let bearer = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    let secret = bearer.map(str::to_owned).or_else(|| parameters.remove("token")).unwrap_or_default();
    parameters.remove("token");
    if secret.is_empty() {
        return reply(Err(Refusal::Code("not_authed")));
    }
    let (access, asked_with) = (web.access().clone(), secret.clone());
    let checked = tokio::task::spawn_blocking(move || access.check_token(&asked_with)).await;
    let token: Token = match checked {
        Ok(Ok(Some(token))) => token,
        Ok(Ok(None)) => return reply(Err(Refusal::Code("invalid_auth"))),
        Ok(Err(error)) => return reply(Err(Refusal::Internal(error.to_string()))),
        Err(_) => return reply(Err(Refusal::Internal("a reader panicked".to_owned()))),
    };
    let base = format!("{}/teamchatapi/", web.front().base(&host));
    let scope = reads(token.role, &token.scope);
    let visit = asked(from, &token, &method, &parameters);
    let is_too_long = parameters.get("query").is_some_and(|query| query.len() > LONGEST_NOTED);
    let outcome = if scope == Scope::nothing() && method != "auth.test" {
        Err(Refusal::Code("no_permission"))
    } else if is_too_long {
        Err(Refusal::Query(format!("a query has at most {LONGEST_NOTED} bytes")))
    } else {
        let shared = Arc::clone(&web);
        let work = move || -> Result<(Response, Option<u64>, Option<String>), Refusal> {
            let directory = shared.directory(&scope)?;
            let call = Call { parameters, scope, directory, base, bearer: secret, shown: RefCell::default() };
            if method == "channels.atom.history" {
                let feed = atom::history(&shared, &call)?;
                return Ok((feed, None, visits::list(&call.shown.borrow())));
            }
            let mut body = answer(&shared, &method, &call)?;
            // Whatever the server sent with an object, in whichever member: of other channels it says nothing.
            if call.scope != Scope::All {
                leave_out_others(&mut body, &|id| call.scope.allows(id));
            }
            Ok((json_response(&body), matches(&method, &body), visits::list(&call.shown.borrow())))
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Refusal::Internal("a reader panicked".to_owned())),
        }
    };
    let (response, visit) = match outcome {
        Ok((response, hits, shown)) => (response, Visit { shown, hits, ..visit }),
        Err(refusal) => {
            let error = Some(refusal.code().to_owned());
            (reply(Err(refusal)), Visit { error, ..visit })
        }
    };
    send(&web, visit, response).await
}

/// The answer, once the access log has an entry of it; else a refusal with nothing of it.
async fn send(web: &Web, visit: Visit, response: Response) -> Response {
    match visits::before_sending(web, visit, response.status()).await {
        Ok(_) => response,
        Err(error) => {
            tracing::error!(?error, "the access log can't be written, so nothing is answered");
            let body = json_response(&json!({"ok": false, "error": "access_log_unavailable"}));
            (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
        }
    }
}

/// What a call asks for, as the access log has it: of its parameters only those that say what of the
/// archive is meant.
fn asked(from: Visit, token: &Token, method: &str, parameters: &HashMap<String, String>) -> Visit {
    let text =
        |name: &str| parameters.get(name).filter(|text| !text.is_empty()).map(|text| visits::cut(text, LONGEST_NOTED));
    let ranges = [
        "ts",
        "timestamp",
        "oldest",
        "latest",
        "inclusive",
        "ts_from",
        "ts_to",
        "states",
        "as_of",
        "sort",
        "sort_dir",
        "facets",
        "by",
        "count",
        "page",
        "cursor",
    ];
    let places: Vec<String> =
        ranges.iter().filter_map(|name| text(name).map(|value| format!("{name}={value}"))).collect();
    Visit {
        token: Some(token.name.clone()),
        role: Some(token.role.as_str().to_owned()),
        page: Some("api".to_owned()),
        method: Some(visits::cut(method, LONGEST_NOTED)),
        channel: text("channel").or_else(|| text("id")),
        place: (!places.is_empty()).then(|| places.join(" ")),
        file: text("file"),
        person: text("user"),
        query: text("query"),
        scope: Some(scope_note(&token.scope)),
        ..from
    }
}

/// How many matches the reply of a search counts.
fn matches(method: &str, body: &Value) -> Option<u64> {
    let total = |list: &str| body[list]["total"].as_u64().unwrap_or(0);
    method.starts_with("search.").then(|| total("messages") + total("files"))
}

fn answer(web: &Web, method: &str, call: &Call) -> Result<Value, Refusal> {
    match method {
        "auth.test" => people::auth_test(web),
        "channels.list" => channels::list(web, call),
        "channels.info" | "channel.info" => channels::info(web, call),
        "channels.history" | "im.history" => messages::history(web, call),
        "im.list" => channels::im_list(web, call),
        "items.info" => messages::item_info(web, call),
        "pins.list" => messages::pins(web, call),
        "reactions.get" => messages::reactions_get(web, call),
        "reactions.list" => messages::reactions_list(web, call),
        "files.list" => files::list(web, call),
        "files.info" => files::info(web, call),
        "search.all" | "search.files" | "search.messages" => search::over_http(web, call, method),
        "users.identity" => people::identity(web, call),
        "users.info" => people::info(web, call),
        "users.list" => people::list(web, call),
        other if READ_ONLY.contains(&other) || other == "users.getPresence" => Err(Refusal::Code("read_only_archive")),
        _ => Err(Refusal::Code("unknown_method")),
    }
}

fn json_response(body: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json; charset=utf-8")], body.to_string()).into_response()
}

fn reply(outcome: Result<Value, Refusal>) -> Response {
    json_response(&match outcome {
        Ok(body) => body,
        Err(refusal) => {
            let mut body = json!({"ok": false, "error": refusal.code()});
            match refusal {
                Refusal::Code(_) => {}
                Refusal::Query(detail) => body["detail"] = json!(detail),
                Refusal::Internal(detail) => tracing::error!(detail, "a call of the API failed"),
            }
            body
        }
    })
}

fn form(bytes: &[u8]) -> HashMap<String, String> {
    url::form_urlencoded::parse(bytes).into_owned().collect()
}

/// Parameters of a body, by its type. JSON with nothing in it is an empty object.
async fn body_parameters(request: Request) -> Result<HashMap<String, String>, &'static str> {
    let kind = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_ascii_lowercase();
    if kind.starts_with("multipart/form-data") {
        let mut out = HashMap::new();
        let mut multipart = Multipart::from_request(request, &()).await.map_err(|_| "invalid_form_data")?;
        while let Some(field) = multipart.next_field().await.map_err(|_| "invalid_form_data")? {
            let name = field.name().unwrap_or_default().to_owned();
            out.insert(name, field.text().await.map_err(|_| "invalid_form_data")?);
        }
        return Ok(out);
    }
    let bytes = axum::body::to_bytes(request.into_body(), MAX_BODY).await.map_err(|_| "request_timeout")?;
    if kind.starts_with("application/json") {
        if bytes.trim_ascii().is_empty() {
            return Ok(HashMap::new());
        }
        let value: Value = serde_json::from_slice(&bytes).map_err(|_| "invalid_json")?;
        let object = value.as_object().ok_or("json_not_object")?;
        return Ok(object
            .iter()
            .filter_map(|(name, value)| Some((name.clone(), bytes_json::as_text(value)?)))
            .collect());
    }
    Ok(form(&bytes))
}

/// A page of a list by number. A page past the end is empty, never another one.
pub(super) fn page_of<T: Clone>(all: &[T], count: usize, page: usize) -> (Vec<T>, Value) {
    let items: Vec<T> = all.iter().skip((page - 1).saturating_mul(count)).take(count).cloned().collect();
    let pages = all.len().div_ceil(count);
    let paging = json!({"count": items.len(), "total": all.len(), "page": page, "pages": pages});
    (items, paging)
}

/// An error as a download gives one: JSON under the name of a page (protocol notes 1.1).
fn download_error(code: &str) -> Response {
    let body = json!({"ok": false, "error": code}).to_string();
    (StatusCode::OK, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], Body::from(body)).into_response()
}

/// Whether a request carries this header.
fn header_text<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
