use std::sync::Arc;

use askama::Template;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use serde_json::value::RawValue;

use super::view::{MessageView, Moment, VersionView, channel_href, is_present, message, state_word, versions};
use super::{Shell, Viewer};
use crate::history::{Item, Reference, resolve};
use crate::ledger::Label;
use crate::model::{ChannelId, Digest, Scope, json};
use crate::record::Kind;
use crate::store::RecordProof;
use crate::web::Web;
use crate::web::error::{WebError, blocking, render};
use crate::web::markup::{Change, Piece, encode, visible};

#[derive(Template)]
#[template(path = "record.html")]
struct RecordPage {
    shell: Shell,
    seq: u64,
    kind: &'static str,
    state: &'static str,
    shown: Option<MessageView>,
    gone: String,
    versions: Vec<VersionView>,
    facts: Vec<(&'static str, String)>,
    body: String,
    body_digest: String,
    body_bytes: usize,
    leaf: String,
    proof: Option<String>,
    no_proof: String,
    channel: Option<(String, String)>,
    file: Option<String>,
    neighbours: (Option<u64>, Option<u64>),
}

/// The channels that decide whether a record may be seen.
fn channels_of(web: &Web, found: &Reference) -> Result<Vec<ChannelId>, WebError> {
    if let Some(channel) = &found.item.channel {
        return Ok(vec![channel.clone()]);
    }
    let file = match found.item.kind {
        Kind::File => Some(found.item.clone()),
        Kind::Comment => {
            let id = found.item.key.split('/').next().unwrap_or_default();
            crate::history::item(&web.reader, Kind::File, found.item.source, None, id)?
        }
        _ => None,
    };
    Ok(file.as_ref().map(Item::shared_in).unwrap_or_default())
}

/// A record that the viewer may see.
pub(crate) fn find(web: &Web, viewer: &Viewer, reference: &str) -> Result<Reference, WebError> {
    let found = resolve(&web.reader, reference)?.ok_or(WebError::NotFound)?;
    if viewer.scope.allows_any(&channels_of(web, &found)?) { Ok(found) } else { Err(WebError::NotFound) }
}

/// The proof of a record in the newest checkpoint, as far as the viewer may see it: a header that
/// names other channels (those in which a file was shared) stays closed, and the proof good.
fn proof_for(web: &Web, viewer: &Viewer, found: &Reference) -> Result<RecordProof, WebError> {
    let mut proof = web.reader.proof(found.seq)?;
    let header = &found.record.header;
    let is_open = |id: &String| ChannelId::parse(id).is_some_and(|channel| viewer.scope.allows(&channel));
    if viewer.scope != Scope::All && !header.shared_in.iter().all(is_open) {
        proof.opening.redact(Label::Header);
    }
    Ok(proof)
}

/// What `proof.json` says. Hashes are in hexadecimal digits.
#[derive(Serialize)]
struct ProofReply<'a> {
    record: u64,
    archive: String,
    origin: &'a str,
    size: u64,
    root: String,
    index: u64,
    path: Vec<String>,
    leaf: String,
    opening: &'a RawValue,
    checkpoint: &'a str,
    key: &'a str,
    proof: String,
}

/// Everything about one record.
pub(crate) async fn page(
    State(web): State<Arc<Web>>,
    viewer: Viewer,
    Path(reference): Path<String>,
) -> Result<Response, WebError> {
    let page = blocking(move || build(&web, &viewer, &reference)).await?;
    Ok(render(StatusCode::OK, &page))
}

fn build(web: &Web, viewer: &Viewer, reference: &str) -> Result<RecordPage, WebError> {
    let found = find(web, viewer, &format!("record:{reference}"))?;
    let directory = web.directory(&viewer.scope)?;
    let (item, record) = (&found.item, &found.record);
    let header = &record.header;
    let reading = item.versions.iter().find(|version| version.seq == found.seq);
    let shows = matches!(header.kind, Kind::Message | Kind::Comment | Kind::File) && is_present(record);
    let shown = reading.filter(|_| shows).map(|reading| message(item, reading, &directory, web.zone, None));
    let mut facts = vec![
        ("record", found.seq.to_string()),
        ("kind", header.kind.as_str().to_owned()),
        ("key", header.key.clone()),
        ("version", header.version.to_string()),
        ("seen by", header.account.clone()),
        ("through", header.via.clone()),
        ("observed", format!("{} ({})", Moment::parse(&header.observed_at, web.zone).full, header.observed_at)),
        ("run", header.run.to_string()),
        ("origin", format!("{:?}", header.origin).to_lowercase()),
    ];
    if let Some(n) = header.n {
        facts.push(("number in its channel", n.to_string()));
    }
    if header.tickets > 0 {
        facts.push(("download tickets replaced", header.tickets.to_string()));
    }
    for digest in &header.attachments {
        facts.push(("content", format!("sha256:{digest}")));
    }
    let channel = item.channel.as_ref().map(|id| {
        let at = item.versions.first().map_or(found.seq.0, |version| version.seq.0);
        (
            channel_href(
                id,
                if header.kind == Kind::Message { item.latest().map_or(at, |latest| latest.seq.0) } else { at },
            ),
            visible(directory.channel(id)),
        )
    });
    let file = match header.kind {
        Kind::File => Some(header.key.clone()),
        Kind::Comment => header.key.split('/').next().map(str::to_owned),
        _ => None,
    };
    let pretty = json::parse(&record.body).and_then(|value| serde_json::to_string_pretty(&value).ok());
    let head = web.reader.head()?;
    let title = format!("Record {}", found.seq);
    let (proof, no_proof) = match proof_for(web, viewer, &found) {
        Ok(proof) => (Some(proof.to_text()), String::new()),
        Err(WebError::NoProof(why)) => (None, why),
        Err(error) => return Err(error),
    };
    Ok(RecordPage {
        shell: Shell::new(web, viewer, "search", title),
        seq: found.seq.0,
        kind: header.kind.as_str(),
        state: reading
            .map_or("", |reading| if is_present(record) { state_word(item, reading) } else { "says that it is gone" }),
        shown,
        gone: if item.is_gone() { super::view::gone_sentence(item, web.zone) } else { String::new() },
        versions: versions(item, web.zone),
        facts,
        body: pretty.unwrap_or_else(|| String::from_utf8_lossy(&record.body).into_owned()),
        body_digest: Digest::of(&record.body).to_string(),
        body_bytes: record.body.len(),
        leaf: web.reader.leaf_entry(found.seq)?.hash().to_string(),
        proof,
        no_proof,
        channel,
        file: file.map(|id| format!("/f/{}", encode(&id))),
        neighbours: (found.seq.0.checked_sub(1), Some(found.seq.0 + 1).filter(|next| *next < head)),
    })
}

/// The bytes as they were received.
pub(crate) async fn raw(
    State(web): State<Arc<Web>>,
    viewer: Viewer,
    Path(reference): Path<String>,
) -> Result<Response, WebError> {
    let found = blocking(move || find(&web, &viewer, &format!("record:{reference}"))).await?;
    let name = format!("attachment; filename=\"record-{}.json\"", found.seq);
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_DISPOSITION, name),
        (header::CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'".to_owned()),
    ];
    Ok((headers, found.record.body).into_response())
}

/// The proof as a file.
pub(crate) async fn proof(
    State(web): State<Arc<Web>>,
    viewer: Viewer,
    Path(reference): Path<String>,
) -> Result<Response, WebError> {
    let proof = blocking(move || {
        let found = find(&web, &viewer, &format!("record:{reference}"))?;
        proof_for(&web, &viewer, &found)
    })
    .await?;
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"record-{}.tlog-proof\"", proof.seq)),
    ];
    Ok((headers, proof.to_text()).into_response())
}

/// The proof for programs.
pub(crate) async fn proof_json(
    State(web): State<Arc<Web>>,
    viewer: Viewer,
    Path(reference): Path<String>,
) -> Result<Response, WebError> {
    blocking(move || {
        let found = find(&web, &viewer, &format!("record:{reference}"))?;
        let proof = proof_for(&web, &viewer, &found)?;
        let opening = RawValue::from_string(proof.opening.to_line());
        let opening = opening.map_err(|error| WebError::Internal(format!("an opening is no JSON: {error}")))?;
        let reply = ProofReply {
            record: proof.seq.0,
            archive: proof.opening.archive().to_string(),
            origin: &proof.checkpoint.origin,
            size: proof.checkpoint.size,
            root: proof.checkpoint.root.to_string(),
            index: proof.seq.0,
            path: proof.path.iter().map(ToString::to_string).collect(),
            leaf: proof.opening.entry().hash().to_string(),
            opening: &opening,
            checkpoint: &proof.note,
            key: &web.reader.archive().vkey,
            proof: proof.to_text(),
        };
        Ok(Json(reply).into_response())
    })
    .await
}
