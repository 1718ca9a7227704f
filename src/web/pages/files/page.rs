//! One file: what it looks like, what it says, who shared it where, and every version that was fetched.

use askama::Template;
use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::response::Response;

use super::text::{ReadText, beginning, read};
use super::{Chosen, Sort, Wanted, content_of, href, size_text, text_at};
use crate::history::{Directory, Item, author, file_ids};
use crate::index;
use crate::model::{ChannelId, Digest, json};
use crate::web::desk::Desk;
use crate::web::error::{WebError, blocking, render};
use crate::web::markup::{Change, Effort, Piece, encode, visible};
use crate::web::pages::Shell;
use crate::web::pages::view::{MessageView, Moment, channel_href, channel_name, gone_sentence, message, note};

/// Bytes of a file's text on its page; there is a page of the text.
const BEGINNING: usize = 6 * 1024;
/// Messages that carry it, and files with the same content, that are listed.
const LISTED: usize = 50;

#[derive(Template)]
#[template(path = "file.html")]
struct FilePage {
    shell: Shell,
    name: String,
    title: String,
    gone: String,
    /// How it comes that this version is shown, when a moment was asked for.
    then: String,
    /// The version that is looked at, and how many there are.
    number: usize,
    count: usize,
    facts: Vec<(String, String)>,
    channels: Vec<(String, String)>,
    download: Option<String>,
    preview: Option<String>,
    is_pdf: bool,
    source: Vec<String>,
    parts: Vec<Vec<Piece>>,
    text: Option<String>,
    carriers: Vec<Carrier>,
    carriers_more: u64,
    behind: u64,
    is_absent: bool,
    twins: Vec<(String, String)>,
    versions: Vec<FileVersion>,
    comments: Vec<MessageView>,
}

/// A message that carries the file.
struct Carrier {
    href: String,
    at: Moment,
    place: String,
    author: String,
    note: String,
    is_gone: bool,
}

struct FileVersion {
    number: usize,
    href: String,
    record: u64,
    observed: Moment,
    size: String,
    /// When it is not what the file is called now.
    name: String,
    digest: Option<String>,
    download: String,
    is_shown: bool,
}

/// One file, in the version that is asked for.
pub(crate) async fn page(
    desk: Desk,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, WebError> {
    let page = blocking(move || build(&desk, &id, &wanted)).await?;
    Ok(render(StatusCode::OK, &page))
}

fn build(desk: &Desk, id: &str, wanted: &Wanted) -> Result<FilePage, WebError> {
    let chosen = Chosen::find(desk, id, wanted)?;
    let directory = desk.directory()?;
    let w = desk.w;
    let value = &chosen.value;
    let name = visible(&chosen.name());
    let content = chosen.content();
    let sort = content.as_ref().map(|content| Sort::of(desk, content)).transpose()?.unwrap_or(Sort::Other);
    let ReadText { text, source } = match &content {
        Some(content) => read(desk, content)?,
        None => ReadText { text: String::new(), source: vec![w.say("reading-not-here")] },
    };
    let (parts, _) = beginning(&text, BEGINNING);
    let created = chrono::DateTime::from_timestamp(json::as_int(&value["created"]).unwrap_or(0), 0);
    let facts = vec![
        (w.say("fact-uploaded-by"), visible(directory.person(author(value)))),
        (w.say("created"), Moment::new(created.unwrap_or(chrono::DateTime::UNIX_EPOCH), desk.zone).full),
        (w.say("size"), size_text(w, json::as_int(&value["size"]).unwrap_or(0))),
        (w.say("fact-type"), visible(&text_at(value, "pretty_type"))),
        (w.say("fact-looks-like"), looks_like(desk, sort, content.is_some())),
        (w.say("fact-id"), visible(id)),
    ];
    let here = |what: &str| format!("{}/{what}?v={}", href(id), chosen.number);
    let shown_in = chosen.item.shared_in();
    let allowed = shown_in.iter().filter(|channel| desk.archive().allows(channel));
    let mut page = FilePage {
        shell: Shell::new(desk, "files", name.clone()),
        title: visible(&text_at(value, "title")),
        gone: if chosen.item.is_gone() { gone_sentence(desk, &chosen.item) } else { String::new() },
        then: chosen.then.clone(),
        number: chosen.number,
        count: chosen.item.readings().len(),
        facts,
        channels: allowed
            .map(|channel| (format!("/c/{}", encode(channel.as_str())), channel_name(w, channel, &directory)))
            .collect(),
        download: content.map(|_| here("blob")),
        preview: (content.is_some() && sort.is_picture()).then(|| here("preview")),
        is_pdf: sort == Sort::Pdf,
        source,
        text: (!parts.is_empty()).then(|| here("text")),
        parts,
        carriers: Vec::new(),
        carriers_more: 0,
        behind: 0,
        is_absent: false,
        twins: Vec::new(),
        versions: versions(desk, &chosen),
        comments: comments(desk, &chosen.item, &directory)?,
        name,
    };
    sharing(desk, &chosen, content.as_ref(), &directory, &mut page)?;
    Ok(page)
}

/// What the bytes are by our own look, beside what the server says.
fn looks_like(desk: &Desk, sort: Sort, is_here: bool) -> String {
    match sort {
        _ if !is_here => desk.w.say("not-fetched"),
        Sort::Other => desk.w.say("looks-like-nothing"),
        sort => sort.media_type().to_owned(),
    }
}

fn versions(desk: &Desk, chosen: &Chosen) -> Vec<FileVersion> {
    let id = &chosen.item.key;
    let mut out = Vec::new();
    for (n, reading) in chosen.item.readings().into_iter().enumerate() {
        let value = json::parse(&reading.record.body).unwrap_or_default();
        let (number, name) = (n + 1, text_at(&value, "name"));
        out.push(FileVersion {
            number,
            href: format!("{}?v={number}", href(id)),
            record: reading.seq.0,
            observed: Moment::parse(&reading.record.header.observed_at, desk.zone),
            size: size_text(desk.w, json::as_int(&value["size"]).unwrap_or(0)),
            name: if name == chosen.name() { String::new() } else { visible(&name) },
            digest: content_of(reading).map(|digest| digest.to_string()),
            download: format!("{}/blob?v={number}", href(id)),
            is_shown: number == chosen.number,
        });
    }
    out.reverse();
    out
}

fn comments(desk: &Desk, file: &Item, directory: &Directory) -> Result<Vec<MessageView>, WebError> {
    let (mut found, mut effort) = (Vec::new(), Effort::of_a_page());
    for comment in desk.archive().comments(&file.key)? {
        if let Some(latest) = comment.latest() {
            found.push(message(desk, &comment, latest, directory, None, &mut effort));
        }
    }
    found.sort_by(|a, b| (&a.at.iso, a.record).cmp(&(&b.at.iso, b.record)));
    Ok(found)
}

/// The messages that carry the file, and other files that are the same bytes. The index knows them; without one the
/// page says so.
fn sharing(
    desk: &Desk,
    chosen: &Chosen,
    content: Option<&Digest>,
    directory: &Directory,
    page: &mut FilePage,
) -> Result<(), WebError> {
    let (searcher, scope, id) = (desk.web().searcher(), &desk.viewer.scope, chosen.item.key.as_str());
    let standing = match searcher.carriers(scope, id, LISTED) {
        Ok(standing) => standing,
        Err(index::Error::Absent { .. }) => {
            page.is_absent = true;
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    page.behind = desk.web().head()?.saturating_sub(standing.searched_through);
    page.carriers_more = standing.total.saturating_sub(standing.hits.len() as u64);
    for hit in standing.hits {
        let Some(found) = desk.archive().resolve(&format!("record:{}", hit.seq))? else { continue };
        let value = json::parse(&found.record.body).unwrap_or_default();
        // Two families may have one number.
        if !file_ids(&value).contains(&id) {
            continue;
        }
        let Some(channel) = found.item.channel.as_ref() else { continue };
        page.carriers.push(carrier(desk, &found.item, channel, hit.seq.0, &value, directory));
    }
    let Some(content) = content else { return Ok(()) };
    for hit in searcher.same_content(scope, content, LISTED)?.hits {
        let Some(found) = desk.archive().resolve(&format!("record:{}", hit.seq))? else { continue };
        if found.item.key != id {
            let value = json::parse(&found.record.body).unwrap_or_default();
            page.twins.push((href(&found.item.key), visible(&text_at(&value, "name"))));
        }
    }
    Ok(())
}

fn carrier(
    desk: &Desk,
    item: &Item,
    channel: &ChannelId,
    seq: u64,
    value: &serde_json::Value,
    directory: &Directory,
) -> Carrier {
    let time =
        crate::model::MessageTs::parse(&item.key).map_or(chrono::DateTime::UNIX_EPOCH, crate::model::MessageTs::time);
    let who = author(value);
    Carrier {
        href: channel_href(channel, seq),
        at: Moment::new(time, desk.zone),
        place: channel_name(desk.w, channel, directory),
        author: if who.is_empty() { desk.w.say("nobody") } else { visible(directory.person(who)) },
        note: note(desk.w, value),
        is_gone: item.is_gone(),
    }
}
