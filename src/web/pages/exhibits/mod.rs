//! Exhibits: messages that somebody puts together to show them, as a page, and as one file that proves itself.
//!
//! An exhibit holds numbers of records. What they say is read each time it is looked at, as far as its maker may see
//! it then.

mod document;
mod gather;
mod item;
mod texts;

use askama::Template;
use axum::extract::{Path, RawForm};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use self::document::{Document, Form, Part, document};
use self::texts::{Bit, plain};
use super::Shell;
use super::view::Moment;
use crate::export::{Sheet, sheet};
use crate::model::{Digest, RecordSeq};
use crate::record::{Action, Kind};
use crate::store::access::{Exhibit, MAX_EXHIBIT};
use crate::web::desk::Desk;
use crate::web::error::{WebError, blocking, render};
use crate::web::rights::Need;
use crate::web::visits::Told;
use crate::web::words::Words;

/// Longest title, in characters.
const LONGEST_TITLE: usize = 200;

struct Row {
    number: i64,
    title: String,
    records: usize,
    made: Moment,
}

#[derive(Template)]
#[template(path = "exhibits.html")]
struct ExhibitsPage {
    shell: Shell,
    rows: Vec<Row>,
}

#[derive(Template)]
#[template(path = "exhibit.html")]
struct ExhibitPage {
    shell: Shell,
    d: Document,
    title: String,
    may_export: bool,
    /// The others, into which this one may be put: number and title.
    others: Vec<(i64, String)>,
}

#[derive(Template)]
#[template(path = "exhibit_file.html")]
struct ExhibitFile {
    w: &'static Words,
    d: Document,
}

#[derive(Template)]
#[template(source = "<title>{{ title }}</title>", ext = "html")]
struct Title<'a> {
    title: &'a str,
}

/// An exhibit of the reader's own, with a title in any case.
pub(super) fn own(desk: &Desk, number: &str) -> Result<Exhibit, WebError> {
    let number: i64 = number.parse().map_err(|_| WebError::NotFound)?;
    let mut exhibit = desk.web().access().exhibit(&desk.viewer.name, number)?.ok_or(WebError::NotFound)?;
    if exhibit.title.is_empty() {
        exhibit.title = desk.w.with("exhibit-untitled", number);
    }
    Ok(exhibit)
}

fn titled(desk: &Desk, exhibit: &Exhibit) -> String {
    match exhibit.title.as_str() {
        "" => desk.w.with("exhibit-untitled", exhibit.id),
        title => plain(title),
    }
}

/// The records of an exhibit that the reader may see, with those that come along: for a set of them.
pub(super) fn records(desk: &Desk, exhibit: &Exhibit) -> Result<Vec<RecordSeq>, WebError> {
    let gathered = gather::gather(desk, &exhibit.records)?;
    let messages = gathered.messages.values().flat_map(|messages| messages.values());
    let files = gathered.files.values().flat_map(|subjects| subjects.values());
    let all = messages.chain(files).flat_map(|taken| taken.item.versions.iter().map(|version| version.seq));
    Ok(all.collect())
}

/// The reader's own exhibits.
pub(crate) async fn list(desk: Desk) -> Result<Response, WebError> {
    let page = blocking(move || {
        let rows = desk.web().access().exhibits(&desk.viewer.name)?.into_iter().map(|exhibit| Row {
            number: exhibit.id,
            title: titled(&desk, &exhibit),
            records: exhibit.records.len(),
            made: Moment::parse(&exhibit.made, desk.zone),
        });
        let rows = rows.collect();
        Ok(ExhibitsPage { shell: Shell::new(&desk, "exhibits", desk.w.say("exhibits")), rows })
    })
    .await?;
    Ok(render(StatusCode::OK, &page))
}

/// One exhibit.
pub(crate) async fn page(desk: Desk, Path(number): Path<String>) -> Result<Response, WebError> {
    let page = blocking(move || {
        let exhibit = own(&desk, &number)?;
        let d = document(&desk, &exhibit, Form::Page)?;
        let all = desk.web().access().exhibits(&desk.viewer.name)?.into_iter();
        let others =
            all.filter(|other| other.id != exhibit.id).map(|other| (other.id, titled(&desk, &other))).collect();
        let shell = Shell::new(&desk, "exhibits", d.title.clone());
        Ok(ExhibitPage { shell, d, title: exhibit.title, may_export: desk.viewer.may(Need::Export), others })
    })
    .await?;
    Ok(render(StatusCode::OK, &page))
}

/// The exhibit as one file, which needs nothing but itself. The log knows it by its SHA-256.
pub(crate) async fn file(desk: Desk, Path(number): Path<String>) -> Result<Response, WebError> {
    blocking(move || {
        let exhibit = own(&desk, &number)?;
        let d = document(&desk, &exhibit, Form::File)?;
        let (language, proofs) = (desk.w.language, d.proofs.len() as u64);
        let failed = |error: askama::Error| WebError::Internal(error.to_string());
        let head = Title { title: &d.title }.render().map_err(failed)?;
        let body = ExhibitFile { w: desk.w, d }.render().map_err(failed)?;
        let text = sheet(&Sheet { language, head: &head, body: &body });
        let content = Digest::of(text.as_bytes()).to_string();
        let headers = [
            (header::CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
            (header::CONTENT_DISPOSITION, format!("attachment; filename=\"exhibit-{}.html\"", exhibit.id)),
            (header::CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'".to_owned()),
        ];
        let mut response = (headers, text).into_response();
        let told =
            Told { hits: Some(proofs), content: Some(content), action: Some(Action::Exhibit), ..Told::default() };
        response.extensions_mut().insert(told);
        Ok(response)
    })
    .await
}

fn to(number: i64) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, format!("/exhibits/{number}"))]).into_response()
}

/// The values of a field of a form that may be there more than once.
fn values<'f>(form: &'f [u8], name: &'f str) -> impl Iterator<Item = String> + 'f {
    url::form_urlencoded::parse(form).filter(move |(found, _)| found == name).map(|(_, value)| value.into_owned())
}

/// The records that a form names.
pub(super) fn chosen(form: &[u8]) -> Vec<RecordSeq> {
    let mut out: Vec<RecordSeq> =
        values(form, "record").filter_map(|value| value.parse().ok()).map(RecordSeq).collect();
    out.sort_unstable();
    out.dedup();
    out
}

/// Of these records those that can be shown to the reader in an exhibit.
pub(super) fn showable(desk: &Desk, records: Vec<RecordSeq>) -> Result<Vec<RecordSeq>, WebError> {
    let mut out = Vec::new();
    for seq in records {
        let record = desk.archive().record(seq)?;
        if record.is_some_and(|record| matches!(record.header.kind, Kind::Message | Kind::File | Kind::Comment)) {
            out.push(seq);
        }
    }
    Ok(out)
}

/// Makes an exhibit of the chosen records, or adds them to one.
pub(crate) async fn make(desk: Desk, RawForm(form): RawForm) -> Result<Response, WebError> {
    let number = blocking(move || {
        let chosen = chosen(&form);
        let w = desk.w;
        if chosen.is_empty() {
            return Err(WebError::Bad(w.say("exhibit-nothing-chosen")));
        }
        let too_many = || WebError::Bad(w.count("exhibit-too-many", MAX_EXHIBIT));
        if chosen.len() > MAX_EXHIBIT {
            return Err(too_many());
        }
        let records = showable(&desk, chosen)?;
        if records.is_empty() {
            return Err(WebError::NotFound);
        }
        let (access, user) = (desk.web().access(), &desk.viewer.name);
        if let Some(number) = values(&form, "exhibit").find(|value| !value.is_empty()) {
            let exhibit = own(&desk, &number)?;
            return if access.add_to_exhibit(user, exhibit.id, &records)? { Ok(exhibit.id) } else { Err(too_many()) };
        }
        access.make_exhibit(user, "", &records)?.ok_or_else(|| WebError::Bad(w.say("exhibits-too-many")))
    })
    .await?;
    Ok(to(number))
}

/// Takes records out of an exhibit.
pub(crate) async fn remove(
    desk: Desk,
    Path(number): Path<String>,
    RawForm(form): RawForm,
) -> Result<Response, WebError> {
    let number = blocking(move || {
        let exhibit = own(&desk, &number)?;
        desk.web().access().take_from_exhibit(&desk.viewer.name, exhibit.id, &chosen(&form))?;
        Ok(exhibit.id)
    })
    .await?;
    Ok(to(number))
}

/// Calls an exhibit something else.
pub(crate) async fn rename(
    desk: Desk,
    Path(number): Path<String>,
    RawForm(form): RawForm,
) -> Result<Response, WebError> {
    let number = blocking(move || {
        let exhibit = own(&desk, &number)?;
        let title = values(&form, "title").next().ok_or_else(|| WebError::Bad(desk.w.say("exhibit-no-title")))?;
        let title: String = title.trim().chars().filter(|c| !c.is_control()).take(LONGEST_TITLE).collect();
        desk.web().access().rename_exhibit(&desk.viewer.name, exhibit.id, &title)?;
        Ok(exhibit.id)
    })
    .await?;
    Ok(to(number))
}

/// Puts the records of an exhibit into another one of the reader's, which then has both; the first is no more.
pub(crate) async fn join(desk: Desk, Path(number): Path<String>, RawForm(form): RawForm) -> Result<Response, WebError> {
    let number = blocking(move || {
        let exhibit = own(&desk, &number)?;
        let target = own(&desk, &values(&form, "exhibit").next().unwrap_or_default())?;
        let (access, user) = (desk.web().access(), &desk.viewer.name);
        if target.id != exhibit.id {
            if !access.add_to_exhibit(user, target.id, &exhibit.records)? {
                return Err(WebError::Bad(desk.w.count("exhibit-too-many", MAX_EXHIBIT)));
            }
            access.drop_exhibit(user, exhibit.id)?;
        }
        Ok(target.id)
    })
    .await?;
    Ok(to(number))
}

/// Removes an exhibit; the records stay where they are.
pub(crate) async fn delete(desk: Desk, Path(number): Path<String>) -> Result<Response, WebError> {
    blocking(move || {
        let exhibit = own(&desk, &number)?;
        desk.web().access().drop_exhibit(&desk.viewer.name, exhibit.id)?;
        Ok((StatusCode::SEE_OTHER, [(header::LOCATION, "/exhibits")]).into_response())
    })
    .await
}
