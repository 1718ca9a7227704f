//! One record: how it reads, what was before and after it, where it is from, and what proves it.

use askama::Template;
use axum::Json;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use serde_json::value::RawValue;

use super::Shell;
use super::provenance::provenance;
use super::view::{
    MessageView, Moment, VersionView, channel_href, channel_name, gone_sentence, is_present, message, state_word,
    versions,
};
use crate::history::{Directory, Item, Reference};
use crate::model::{Digest, json};
use crate::record::Kind;
use crate::store::{Change as Step, RecordProof};
use crate::web::desk::Desk;
use crate::web::error::{WebError, blocking, render};
use crate::web::markup::{Change, Effort, Piece, encode, visible};

#[derive(Template)]
#[template(path = "record.html")]
struct RecordPage {
    shell: Shell,
    seq: u64,
    kind: &'static str,
    state: String,
    shown: Option<MessageView>,
    gone: String,
    versions: Vec<VersionView>,
    /// What else was recorded of it.
    others: Vec<Other>,
    provenance: Vec<String>,
    facts: Vec<(String, String)>,
    run: Option<u64>,
    cite: String,
    /// The exact bytes, unless they would tell of channels that the reader may not see.
    bytes: Option<Bytes>,
    leaf: String,
    proof: Option<String>,
    no_proof: String,
    channel: Option<(String, String)>,
    file: Option<String>,
    neighbours: (Option<u64>, Option<u64>),
}

/// The body of a record as it was received.
struct Bytes {
    text: String,
    /// The text is not the bytes themselves, but what they say.
    is_laid_out: bool,
    digest: String,
    size: usize,
}

/// A record that holds no other wording.
struct Other {
    record: u64,
    what: String,
    seen: Moment,
}

/// A record that the reader may see.
pub(crate) fn find(desk: &Desk, reference: &str) -> Result<Reference, WebError> {
    desk.archive().resolve(reference)?.ok_or(WebError::NotFound)
}

/// The proof of a record in the newest checkpoint, as far as the reader may see it.
fn proof_for(desk: &Desk, found: &Reference) -> Result<RecordProof, WebError> {
    Ok(desk.archive().proof(found)?)
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
pub(crate) async fn page(desk: Desk, Path(reference): Path<String>) -> Result<Response, WebError> {
    let page = blocking(move || build(&desk, &reference)).await?;
    Ok(render(StatusCode::OK, &page))
}

fn build(desk: &Desk, reference: &str) -> Result<RecordPage, WebError> {
    let found = find(desk, &format!("record:{reference}"))?;
    let w = desk.w;
    let directory = desk.directory()?;
    let (item, record) = (&found.item, &found.record);
    let header = &record.header;
    let is_open = desk.archive().opens(record);
    let reading = item.versions.iter().find(|version| version.seq == found.seq);
    let shows = matches!(header.kind, Kind::Message | Kind::Comment | Kind::File) && is_present(record);
    let shown = reading.filter(|_| shows).map(|reading| {
        // All versions stand below.
        MessageView { versions: Vec::new(), ..message(desk, item, reading, &directory, None, &mut Effort::none()) }
    });
    let mut versions = versions(desk, &directory, item, &mut Effort::of_a_page());
    for version in &mut versions {
        version.is_apart = version.record != found.seq.0;
    }
    let channel = item.channel.as_ref().map(|id| {
        let at = item.versions.first().map_or(found.seq.0, |version| version.seq.0);
        let at = if header.kind == Kind::Message { item.latest().map_or(at, |latest| latest.seq.0) } else { at };
        (channel_href(id, at), named(desk, &directory, item))
    });
    let file = match header.kind {
        Kind::File => Some(header.key.clone()),
        Kind::Comment => header.key.split('/').next().map(str::to_owned),
        _ => None,
    };
    let (proof, no_proof) = match proof_for(desk, &found) {
        Ok(proof) => (Some(proof.to_text()), String::new()),
        Err(WebError::NoProof(why)) => (None, why),
        // The record is as it was; a proof needs its neighbours, too.
        Err(WebError::Altered(Some(record), _)) if !desk.archive().stored_with(&found)?.contains(&record) => {
            (None, w.with("no-proof-altered", record))
        }
        Err(error) => return Err(error),
    };
    let leaf = desk.archive().leaf(&found)?.to_string();
    // Numbers lead to records of other channels: only who sees all goes on by them.
    let neighbours = match desk.whole() {
        Some(reader) => (
            found.seq.0.checked_sub(1),
            Some(found.seq.0 + 1).filter(|next| reader.head().is_ok_and(|head| *next < head)),
        ),
        None => (None, None),
    };
    Ok(RecordPage {
        shell: Shell::new(
            desk,
            match header.kind {
                Kind::File | Kind::Comment => "files",
                Kind::User => "people",
                _ if item.channel.is_some() => "channels",
                _ => "",
            },
            w.with("record-title", found.seq),
        ),
        seq: found.seq.0,
        kind: header.kind.as_str(),
        state: reading.map_or_else(String::new, |reading| {
            if is_present(record) { state_word(desk.w, item, reading) } else { desk.w.say("says-gone") }
        }),
        // Where the message is shown, it says itself what became of it.
        gone: if item.is_gone() && shown.is_none() { gone_sentence(desk, item) } else { String::new() },
        others: others(desk, item, found.seq.0),
        provenance: provenance(desk, item, record),
        facts: facts(desk, &found, is_open),
        run: desk.oversees().then_some(header.run).filter(|run| *run > 0),
        cite: cite(desk, &directory, &found, &leaf),
        bytes: is_open.then(|| bytes(&record.body)),
        shown,
        versions,
        leaf,
        proof,
        no_proof,
        channel,
        file: file.map(|id| format!("/f/{}", encode(&id))),
        neighbours,
    })
}

fn bytes(body: &[u8]) -> Bytes {
    let pretty = json::parse(body).and_then(|value| serde_json::to_string_pretty(&value).ok());
    Bytes {
        is_laid_out: pretty.as_ref().is_some_and(|text| text.as_bytes() != body),
        text: pretty.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned()),
        digest: Digest::of(body).to_string(),
        size: body.len(),
    }
}

fn named(desk: &Desk, directory: &Directory, item: &Item) -> String {
    item.channel.as_ref().map_or_else(String::new, |id| channel_name(desk.w, id, directory))
}

/// What the header says, a line each.
fn facts(desk: &Desk, found: &Reference, is_open: bool) -> Vec<(String, String)> {
    let (w, header) = (desk.w, &found.record.header);
    let mut facts =
        vec![(w.say("fact-kind"), header.kind.as_str().to_owned()), (w.say("fact-key"), header.key.clone())];
    // A file has a version for each channel that it was seen in.
    if is_open {
        facts.push((w.say("fact-version"), header.version.to_string()));
    }
    facts.push((w.say("fact-account"), header.account.clone()));
    facts.push((w.say("fact-via"), header.via.clone()));
    let observed = Moment::parse(&header.observed_at, desk.zone).full;
    facts.push((w.say("fact-observed"), format!("{observed} ({})", header.observed_at)));
    facts.push((w.say("fact-run"), header.run.to_string()));
    facts.push((w.say("fact-origin"), format!("{:?}", header.origin).to_lowercase()));
    if let Some(n) = header.n {
        facts.push((w.say("fact-n"), n.to_string()));
    }
    for digest in &header.attachments {
        facts.push((w.say("fact-content"), format!("sha256:{digest}")));
    }
    facts.into_iter().map(|(name, value)| (name, visible(&value))).collect()
}

/// The records of an item that hold no other wording of it: that it went, came back, or was fetched.
fn others(desk: &Desk, item: &Item, own: u64) -> Vec<Other> {
    let w = desk.w;
    let what = |step: Step| match step {
        Step::Gone => Some(w.say("step-gone")),
        Step::Back => Some(w.say("step-back")),
        Step::BackChanged => Some(w.say("step-back-changed")),
        Step::Fetched => Some(w.say("step-fetched")),
        Step::Earlier => Some(w.say("step-earlier")),
        // In which channel is told to who sees all.
        Step::Shared => desk.whole().map(|_| w.say("step-shared")),
        Step::New | Step::Changed => None,
    };
    let all = item.versions.iter().filter_map(|version| Some((version, what(version.change)?)));
    all.map(|(version, what)| Other {
        record: version.seq.0,
        what: if version.seq.0 == own { w.with("step-this-record", what) } else { what },
        seen: Moment::parse(&version.record.header.observed_at, desk.zone),
    })
    .collect()
}

/// How to name it where somebody else is to find it again.
fn cite(desk: &Desk, directory: &Directory, found: &Reference, leaf: &str) -> String {
    let archive = &desk.web().about().id.to_string()[..8];
    let at = match crate::model::MessageTs::parse(&found.record.header.key) {
        Some(ts) if found.record.header.kind == Kind::Message => crate::model::rfc3339(ts.time()),
        _ => found.record.header.observed_at.clone(),
    };
    let place = named(desk, directory, &found.item);
    let place = if place.is_empty() { at } else { format!("{place}, {at}") };
    desk.w.with_three("cite", format!("{archive}/{}", found.seq), place, leaf)
}

/// The bytes as they were received.
pub(crate) async fn raw(desk: Desk, Path(reference): Path<String>) -> Result<Response, WebError> {
    let found = blocking(move || {
        let found = find(&desk, &format!("record:{reference}"))?;
        if !desk.archive().opens(&found.record) {
            return Err(WebError::Closed(desk.w.say("bytes-closed")));
        }
        Ok(found)
    })
    .await?;
    let name = format!("attachment; filename=\"record-{}.json\"", found.seq);
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_DISPOSITION, name),
        (header::CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'".to_owned()),
    ];
    Ok((headers, found.record.body).into_response())
}

/// The proof as a file.
pub(crate) async fn proof(desk: Desk, Path(reference): Path<String>) -> Result<Response, WebError> {
    let proof = blocking(move || {
        let found = find(&desk, &format!("record:{reference}"))?;
        proof_for(&desk, &found)
    })
    .await?;
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"record-{}.tlog-proof\"", proof.seq)),
    ];
    Ok((headers, proof.to_text()).into_response())
}

/// The proof for programs.
pub(crate) async fn proof_json(desk: Desk, Path(reference): Path<String>) -> Result<Response, WebError> {
    blocking(move || {
        let found = find(&desk, &format!("record:{reference}"))?;
        let proof = proof_for(&desk, &found)?;
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
            key: &desk.web().about().vkey,
            proof: proof.to_text(),
        };
        Ok(Json(reply).into_response())
    })
    .await
}
