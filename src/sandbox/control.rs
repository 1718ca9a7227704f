//! The `/_control/` endpoints: how tests and benchmarks move the workspace from outside.
//!
//! Only there when asked for. A failure is a 400 with the reason. `POST /_control/ACTION` takes a
//! JSON object:
//!
//! - Messages: `post {channel,user,text,to?|at?}` gives `{ts}` (`to`: a whisper, `at`: Unix seconds of
//!   the past), `edit {channel,ts,text,user?}`, `delete {channel,ts,user?}`, `restore {channel,ts}`,
//!   `react {channel,ts,user,name?}` (an empty name takes it away), `pin {channel,ts,user,private?}`,
//!   `unpin {channel,ts,user}`, `comment {file|channel+ts,user,text}`.
//! - Files: `upload {channel,user,name,base64|size,seed?}` gives `{file,ts}`, `replace
//!   {file,base64|size,seed?}`, `delete_file {file}`. With `size` the bytes are made while they are
//!   sent.
//! - Rooms and people: `create {user,name,hidden?}` gives `{channel}`, `join`, `leave` and `kick
//!   {channel,user}`, `archive`, `unarchive` and `remove {channel}`, `rename {channel|user,name}`,
//!   `revoke {user}` (all tokens of an account).
//! - The server: `faults {NAME:RATE}`, `cut {}` (every real-time socket, without a goodbye).
//!
//! `GET /_control/truth` (`?files=1` for files), `/_control/requests` and `/_control/inventory` answer
//! with NDJSON.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use super::faults::Fault;
use super::seed::Content;
use super::server::Sandbox;
use super::workspace::Workspace;

/// The largest file that is made on demand: 1 TiB.
const MAX_SIZE: u64 = 1 << 40;

pub(super) fn routes() -> Router<Arc<Sandbox>> {
    Router::new()
        .route("/_control/truth", get(truth))
        .route("/_control/requests", get(requests))
        .route("/_control/inventory", get(inventory))
        .route("/_control/{action}", post(act))
}

#[derive(Deserialize)]
struct TruthQuery {
    #[serde(default)]
    files: u8,
}

fn lines<T: serde::Serialize>(items: &[T]) -> Response {
    let mut text = String::new();
    for item in items {
        match serde_json::to_string(item) {
            Ok(line) => text.push_str(&line),
            Err(error) => return fail(&error.to_string()),
        }
        text.push('\n');
    }
    ([(header::CONTENT_TYPE, "application/x-ndjson")], text).into_response()
}

fn fail(reason: &str) -> Response {
    let body = axum::Json(json!({ "error": reason }));
    (StatusCode::BAD_REQUEST, body).into_response()
}

/// The truth log; `?files=1` gives the files with the digests of their versions instead.
async fn truth(State(sandbox): State<Arc<Sandbox>>, Query(query): Query<TruthQuery>) -> Response {
    let work = move || {
        if query.files == 0 {
            return lines(&sandbox.workspace.truth());
        }
        match sandbox.workspace.file_truth() {
            Ok(files) => lines(&files),
            Err(error) => fail(&format!("{error:#}")),
        }
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(response) => response,
        Err(error) => fail(&error.to_string()),
    }
}

async fn requests(State(sandbox): State<Arc<Sandbox>>) -> Response {
    lines(&sandbox.requests())
}

async fn inventory(State(sandbox): State<Arc<Sandbox>>) -> Response {
    lines(&sandbox.workspace.inventory())
}

async fn act(State(sandbox): State<Arc<Sandbox>>, Path(action): Path<String>, body: Bytes) -> Response {
    let body = if body.trim_ascii().is_empty() {
        json!({})
    } else {
        match serde_json::from_slice(&body) {
            Ok(body) => body,
            Err(error) => return fail(&format!("can't read the body: {error}")),
        }
    };
    match perform(&sandbox, &action, &body) {
        Ok(answer) => axum::Json(answer).into_response(),
        Err(error) => fail(&format!("can't {action}: {error:#}")),
    }
}

fn perform(sandbox: &Sandbox, action: &str, body: &Value) -> anyhow::Result<Value> {
    let workspace = &sandbox.workspace;
    let find = |name: &str| body.get(name).and_then(Value::as_str);
    let need = |name: &str| find(name).ok_or_else(|| anyhow::anyhow!("`{name}` is missing or no text"));
    match action {
        "post" => {
            let (channel, user, text) = (need("channel")?, need("user")?, need("text")?);
            let ts = match (find("to"), body.get("at").and_then(Value::as_i64)) {
                (Some(to), _) => workspace.whisper(channel, user, to, text)?,
                (None, Some(at)) => workspace.post_at(channel, user, text, at)?,
                (None, None) => workspace.post(channel, user, text)?,
            };
            return Ok(json!({ "ts": ts }));
        }
        "edit" => {
            workspace.edit(need("channel")?, need("ts")?, find("user"), need("text")?)?;
        }
        "delete" => workspace.delete(need("channel")?, need("ts")?, find("user"))?,
        "restore" => workspace.restore(need("channel")?, need("ts")?)?,
        "upload" => {
            let (channel, user, name) = (need("channel")?, need("user")?, need("name")?);
            let (file, ts) = workspace.upload_content(channel, user, name, content(body)?)?;
            return Ok(json!({ "file": file, "ts": ts }));
        }
        "replace" => workspace.replace_content(need("file")?, content(body)?)?,
        "delete_file" => workspace.delete_file(need("file")?)?,
        "comment" => {
            let (user, text) = (need("user")?, need("text")?);
            if let Some(file) = find("file") {
                return Ok(json!({ "id": workspace.comment(file, user, text)? }));
            }
            let (channel, ts) = (need("channel")?, need("ts")?);
            let ts = workspace.comment_message(channel, ts, user, text)?;
            return Ok(json!({ "ts": ts }));
        }
        "react" => {
            let (channel, ts, user) = (need("channel")?, need("ts")?, need("user")?);
            match find("name") {
                Some("") => workspace.unreact(channel, ts, user)?,
                name => workspace.react(channel, ts, user, name.unwrap_or("thumbsup"))?,
            }
        }
        "pin" => {
            let is_private = body["private"].as_bool().unwrap_or(false);
            workspace.pin(need("channel")?, need("ts")?, need("user")?, !is_private)?;
        }
        "unpin" => workspace.unpin(need("channel")?, need("ts")?, need("user")?)?,
        "leave" => workspace.leave(need("channel")?, need("user")?)?,
        "kick" => workspace.kick(need("channel")?, need("user")?)?,
        "join" => workspace.join(need("channel")?, need("user")?)?,
        "create" => {
            let (user, name) = (need("user")?, need("name")?);
            let is_hidden = body["hidden"].as_bool().unwrap_or(false);
            let create = if is_hidden { Workspace::create_hidden_channel } else { Workspace::create_channel };
            return Ok(json!({ "channel": create(workspace, user, name)? }));
        }
        "archive" => workspace.archive_channel(need("channel")?)?,
        "unarchive" => workspace.unarchive_channel(need("channel")?)?,
        "remove" => workspace.remove_channel(need("channel")?)?,
        "rename" => match find("channel") {
            Some(channel) => workspace.rename_channel(channel, need("name")?)?,
            None => workspace.rename_user(need("user")?, need("name")?)?,
        },
        "revoke" => workspace.revoke_all(need("user")?)?,
        "cut" => return Ok(json!({ "sockets": workspace.cut_sockets() })),
        "faults" => set_faults(sandbox, body)?,
        _ => anyhow::bail!("there is no such control"),
    }
    Ok(json!({ "ok": true }))
}

/// The content of a file: `base64`, or `size` bytes that `seed` decides.
fn content(body: &Value) -> anyhow::Result<Content> {
    if let Some(text) = body.get("base64").and_then(Value::as_str) {
        return Ok(Content::Bytes(STANDARD.decode(text)?));
    }
    let Some(size) = body.get("size").and_then(Value::as_u64) else {
        anyhow::bail!("there is neither `base64` nor `size`");
    };
    if size > MAX_SIZE {
        anyhow::bail!("a file of {size} bytes is larger than {MAX_SIZE}");
    }
    Ok(Content::Generated { size, seed: body.get("seed").and_then(Value::as_u64).unwrap_or(1) })
}

fn set_faults(sandbox: &Sandbox, body: &Value) -> anyhow::Result<()> {
    let Some(rates) = body.as_object() else {
        anyhow::bail!("the body is no object of names and rates");
    };
    let mut parsed = Vec::new();
    for (name, rate) in rates {
        let fault: Fault = name.parse()?;
        match rate.as_f64() {
            Some(rate) if (0.0..=1.0).contains(&rate) => parsed.push((fault, rate)),
            _ => anyhow::bail!("the rate of `{name}` is no number from 0 to 1"),
        }
    }
    sandbox.workspace.set_faults(&parsed);
    Ok(())
}
