//! `schemas/openapi.json`, which `serve` gives to programs: put together here from the table below and the schemas of
//! `schemas/api/`, and held against what is answered.

use std::collections::BTreeSet;
use std::path::PathBuf;

use axum::body::Body;
use axum::http::header;
use serde_json::{Map, Value, json};

use super::methods::METHODS;
use super::{Desk, get, send};

/// What a parameter is.
#[derive(Clone, Copy)]
enum Sort {
    Text,
    Count,
    Flag,
    Time,
    OneOf(&'static [&'static str]),
}

/// The parameters by name: what each is, and for what.
const PARAMETERS: [(&str, Sort, &str); 26] = [
    ("channel", Sort::Text, "The id of a channel or direct conversation."),
    ("user", Sort::Text, "The id of a person."),
    ("file", Sort::Text, "The id of a file."),
    ("ts", Sort::Time, "The time stamp of a message."),
    ("timestamp", Sort::Time, "The same as ts."),
    ("latest", Sort::Time, "Messages before this time stamp; 0 or nothing: up to the newest."),
    ("oldest", Sort::Time, "Messages after this time stamp; 0 or nothing: from the first on."),
    ("inclusive", Sort::Flag, "The messages at latest and oldest belong to it."),
    ("unreads", Sort::Flag, "How many are unread is said, too: none, in an archive."),
    ("count", Sort::Count, "How many of a page, up to 1000."),
    ("page", Sort::Count, "Which page, from 1. One past the end is empty."),
    ("cursor", Sort::Text, "Where another answer stopped (its next_cursor); new records do not shift it."),
    ("ts_from", Sort::Time, "Files made at this time or later."),
    ("ts_to", Sort::Time, "Files made at this time or earlier."),
    ("exclude_archived", Sort::Flag, "Without channels that are no longer written to."),
    ("exclude_members", Sort::Flag, "Without the lists of members."),
    ("query", Sort::Text, "What is looked for, in the language of docs/SEARCH.md."),
    ("states", Sort::Text, "Which versions: current, edited, deleted, with commas between. The usual is current."),
    ("sort", Sort::OneOf(&["relevance", "score", "timestamp", "newest", "oldest"]), "In which order."),
    ("sort_dir", Sort::OneOf(&["asc", "desc"]), "Which end of a timestamp order comes first."),
    ("as_of", Sort::Text, "As everything stood at this time: RFC 3339, a date, or a time stamp."),
    ("facets", Sort::Flag, "Hits are counted by channel, author and so on."),
    ("by", Sort::OneOf(&["day", "week", "month"]), "Hits are counted over time, in such stretches."),
    ("highlight", Sort::Flag, "What was found is marked in the text, between U+E000 and U+E001."),
    (
        "ticket",
        Sort::Text,
        "From url_private of a file: opens its content for the token it was made for, 15 minutes long.",
    ),
    ("error", Sort::Text, "The reply is a refusal with this code."),
];

const ABOUT: &str = "What is archived, by the methods of a TeamChat server and in their shapes. Nothing can be changed: \
every other method of TeamChat's answers read_only_archive. A refusal is a reply with status 200, ok false and a code. \
Whatever a token is answered is noted in the archive's access log first; when that cannot be written, the answer is \
status 503 and nothing of the archive. This description is the same for every archive and tells nothing of one.";

fn schemas_dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("schemas")
}

/// A schema of `schemas/api/` as it stands in the document: what it refers to stands beside it.
fn schema(name: &str) -> Value {
    let text = fs_err::read_to_string(schemas_dir().join(format!("api/{name}.json"))).unwrap();
    let text = text.replace("defs.json#/$defs/", "#/components/schemas/").replace("#/$defs/", "#/components/schemas/");
    let mut schema: Value = serde_json::from_str(&text).unwrap();
    let object = schema.as_object_mut().unwrap();
    object.remove("$schema");
    object.remove("$id");
    schema
}

fn parameter_schema(name: &str) -> (Value, &'static str) {
    let (_, sort, about) = PARAMETERS.iter().find(|(known, _, _)| *known == name).unwrap();
    let schema = match sort {
        Sort::Text => json!({"type": "string"}),
        Sort::Count => json!({"type": "integer", "minimum": 1}),
        Sort::Flag => json!({"type": "string", "enum": ["0", "1"]}),
        Sort::Time => json!({"type": "string", "pattern": "^[0-9]{1,10}(\\.[0-9]{1,6})?$"}),
        Sort::OneOf(words) => json!({"type": "string", "enum": words}),
    };
    (schema, about)
}

fn reply(method: &str) -> Value {
    let text = |about: &str, content: Value| json!({"description": about, "content": content});
    let refusal = json!({"$ref": "#/components/schemas/error"});
    let unlogged = text(
        "The access log can't be written, so nothing is answered.",
        json!({"application/json": {"schema": refusal}}),
    );
    match method {
        "files.download" => json!({
            "200": text("The content; or, as a page with JSON in it, why there is none.", json!({
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
                "text/html": {"schema": {"type": "string"}},
                "application/json": {"schema": refusal},
            })),
            "206": text("The part that was asked for.", json!({"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}})),
            "416": {"description": "It has no such part."},
            "503": unlogged,
        }),
        "channels.atom.history" => json!({
            "200": text("The feed; or why there is none.", json!({
                "application/atom+xml": {"schema": {"type": "string"}},
                "application/json": {"schema": refusal},
            })),
            "503": unlogged,
        }),
        _ => {
            // A conversation's history is a channel's.
            let name = if method == "im.history" { "channels.history" } else { method };
            let good = json!({"$ref": format!("#/components/schemas/{name}")});
            json!({
                "200": text("The reply, or a refusal.", json!({"application/json": {"schema": {"anyOf": [good, refusal]}}})),
                "503": unlogged,
            })
        }
    }
}

fn document() -> Value {
    let mut schemas = Map::new();
    for (name, defined) in schema("defs")["$defs"].as_object().unwrap() {
        schemas.insert(name.clone(), defined.clone());
    }
    schemas.insert("error".to_owned(), schema("error"));
    // Left out where it is asked for without.
    schemas["channel"]["required"].as_array_mut().unwrap().retain(|name| name != "members");
    let mut paths = Map::new();
    for (method, about, needed, optional) in METHODS {
        if schemas_dir().join(format!("api/{method}.json")).exists() {
            schemas.insert(method.to_owned(), schema(method));
        }
        let mut parameters = Vec::new();
        let mut properties = Map::new();
        for name in needed.iter().chain(optional) {
            let (schema, about) = parameter_schema(name);
            properties.insert((*name).to_owned(), schema.clone());
            let is_needed = needed.contains(name);
            parameters.push(
                json!({"name": name, "in": "query", "required": is_needed, "description": about, "schema": schema}),
            );
        }
        let operation = |verb: &str| json!({"operationId": format!("{verb}.{method}"), "summary": about, "responses": reply(method)});
        let (mut get, mut post) = (operation("get"), operation("post"));
        get["parameters"] = json!(parameters);
        let form = json!({"schema": {"type": "object", "properties": properties, "required": needed}});
        post["requestBody"] = json!({
            "required": !needed.is_empty(),
            "content": {"application/x-www-form-urlencoded": form, "application/json": form},
        });
        if matches!(method, "api.test" | "files.download") {
            get["security"] = json!([]);
            post["security"] = json!([]);
        }
        paths.insert(format!("/teamchatapi/{method}"), json!({"get": get, "post": post}));
    }
    // A direct conversation is told of by the method for channels, too.
    let place = &mut schemas["channels.info"]["properties"]["channel"];
    *place = json!({"anyOf": [place.clone(), {"$ref": "#/components/schemas/im"}]});
    for (path, about) in [("/healthz", "Whether the process answers."), ("/readyz", "Whether the archive can be read.")]
    {
        let plain = json!({"text/plain": {"schema": {"type": "string"}}});
        let mut responses = json!({"200": {"description": "It does.", "content": plain}});
        if path == "/readyz" {
            responses["503"] = json!({"description": "It can't.", "content": plain});
        }
        paths.insert(
            path.to_owned(),
            json!({"get": {"operationId": &path[1..], "summary": about, "security": [], "responses": responses}}),
        );
    }
    json!({
        "openapi": "3.1.0",
        "info": {"title": "teamchat-archive", "version": env!("CARGO_PKG_VERSION"), "description": ABOUT},
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}, {"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "A token of `teamchat-archive token create`."},
                "token": {"type": "apiKey", "in": "query", "name": "token", "description": "The same, for clients that know no header."},
            },
            "schemas": schemas,
        },
    })
}

/// With `TEAMCHAT_ARCHIVE_WRITE_OPENAPI` set the file is written, to be looked at and kept.
#[test]
fn the_description_is_what_the_table_and_the_schemas_say() {
    let path = schemas_dir().join("openapi.json");
    let text = serde_json::to_string_pretty(&document()).unwrap() + "\n";
    if std::env::var_os("TEAMCHAT_ARCHIVE_WRITE_OPENAPI").is_some() {
        fs_err::write(&path, &text).unwrap();
    }
    assert!(
        fs_err::read_to_string(&path).unwrap() == text,
        "{} is not what tests/it/serve/openapi.rs makes",
        path.display()
    );
    let used: BTreeSet<&str> =
        METHODS.iter().flat_map(|(_, _, needed, optional)| needed.iter().chain(*optional)).copied().collect();
    let known: BTreeSet<&str> = PARAMETERS.iter().map(|(name, _, _)| *name).collect();
    assert_eq!(used, known);
}

#[tokio::test]
async fn it_is_given_to_whoever_asks_and_names_the_methods_that_are_answered() {
    let desk = Desk::open().await;
    let answer = send(&desk.router, get("/openapi.json").body(Body::empty()).unwrap()).await;
    assert_eq!((answer.status.as_u16(), answer.header(header::CONTENT_TYPE)), (200, "application/json"));
    assert_eq!(answer.json(), document());
    let token = desk.auditor_token();
    // What our own code matches on is what there is.
    let code = include_str!("../../../src/web/teamchat/mod.rs");
    let quoted = regex::Regex::new(r#""([a-z]+(?:\.[a-zA-Z]+)+)""#).unwrap();
    let mut answered = BTreeSet::new();
    for found in quoted.captures_iter(code) {
        let reply = desk.call(&token, &found[1], &[]).await;
        let body: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        if !matches!(body["error"].as_str(), Some("read_only_archive" | "unknown_method")) {
            answered.insert(found[1].to_owned());
        }
    }
    // Another spelling that some clients have.
    answered.remove("channel.info");
    answered.insert("channels.atom.history".to_owned());
    let described: BTreeSet<String> = METHODS.iter().map(|(method, _, _, _)| (*method).to_owned()).collect();
    assert_eq!(answered, described);
}
