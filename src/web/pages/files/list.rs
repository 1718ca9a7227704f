//! The list: files, newest first, found by name, kind, place and person. It is a search of everything, so what a
//! page costs does not grow with the archive.

use askama::Template;
use axum::extract::RawQuery;
use axum::http::StatusCode;
use axum::response::Response;

use super::{Sort as Type, content_of, href, size_text, text_at};
use crate::history::{Directory, ItemState};
use crate::index::{self, Answer, Facet, FacetCounts, Order, Paging, Request};
use crate::model::{ChannelId, json};
use crate::query::{self, Context, Query, Sort};
use crate::web::desk::Desk;
use crate::web::error::{WebError, blocking, render};
use crate::web::markup::visible;
use crate::web::pages::Shell;
use crate::web::pages::search::rail::Names;
use crate::web::pages::view::{Moment, channel_name};
use crate::web::teamchat::facet_plan;
use crate::web::visits::Told;

/// Files of a page.
const PAGE: usize = 60;
/// Values of a facet that are shown at once, and those that are shown on demand.
const SHOWN_VALUES: usize = 8;
const MORE_VALUES: usize = 100;
/// By what files are chosen, in this order.
const FACETS: [Facet; 4] = [Facet::Extension, Facet::Channel, Facet::Author, Facet::State];

/// What is asked for. Read by hand, since a facet may be chosen more than once.
#[derive(Debug, Clone, Default)]
struct Asked {
    name: String,
    only: Vec<(Facet, String)>,
    /// Where the page before ended.
    after: String,
}

impl Asked {
    fn parse(raw: &str) -> Self {
        let mut asked = Self::default();
        for (name, value) in url::form_urlencoded::parse(raw.as_bytes()) {
            let value = value.trim().to_owned();
            match name.as_ref() {
                _ if value.is_empty() => {}
                "name" => asked.name = value,
                "after" => asked.after = value,
                // A file's kind is that it is a file.
                other => {
                    if let Some(facet) = Facet::parse(other).filter(|facet| FACETS.contains(facet))
                        && !asked.only.contains(&(facet, value.clone()))
                    {
                        asked.only.push((facet, value));
                    }
                }
            }
        }
        asked
    }

    /// The address of the list with these choices, from the place where a page ended.
    fn link(&self, only: &[(Facet, String)], after: &str) -> String {
        let mut out = url::form_urlencoded::Serializer::new(String::new());
        if !self.name.is_empty() {
            out.append_pair("name", &self.name);
        }
        for (facet, value) in only {
            out.append_pair(facet.as_str(), value);
        }
        if !after.is_empty() {
            out.append_pair("after", after);
        }
        let query = out.finish();
        if query.is_empty() { "/f".to_owned() } else { format!("/f?{query}") }
    }

    fn is_narrow(&self) -> bool {
        !self.name.is_empty() || !self.only.is_empty()
    }

    /// What a name must hold: each of the words, or a word that begins so.
    fn query(&self, context: &Context) -> Result<Query, String> {
        let words: Vec<&str> =
            self.name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
        if words.is_empty() {
            return Ok(Query::All);
        }
        let written = |star: &str| words.iter().map(|word| format!("title:{word}{star}")).collect::<Vec<_>>().join(" ");
        // Where words are written without spaces between, none begins: the pattern is refused, the word found.
        let parsed = query::parse(&written("*"), context).or_else(|_| query::parse(&written(""), context));
        parsed.map(|parsed| parsed.query).map_err(|error| error.to_string())
    }
}

struct Row {
    href: String,
    thumbnail: Option<String>,
    name: String,
    size: String,
    user: String,
    created: Moment,
    channels: String,
    gone: bool,
    versions: usize,
}

/// The values of a facet, with links that choose them or take the choice back.
struct FacetView {
    id: &'static str,
    name: String,
    values: Vec<ValueView>,
    more: Vec<ValueView>,
}

struct ValueView {
    name: String,
    count: u64,
    href: String,
    is_chosen: bool,
}

#[derive(Template)]
#[template(path = "files.html")]
struct FilesPage {
    shell: Shell,
    asked: Asked,
    error: Option<String>,
    is_absent: bool,
    rows: Vec<Row>,
    total: u64,
    behind: u64,
    facets: Vec<FacetView>,
    newest: Option<String>,
    older: Option<String>,
}

/// The files in the reader's scope.
pub(crate) async fn list(desk: Desk, RawQuery(raw): RawQuery) -> Result<Response, WebError> {
    let asked = Asked::parse(&raw.unwrap_or_default());
    let (status, page) = blocking(move || build(&desk, asked)).await?;
    let mut response = render(status, &page);
    if page.error.is_none() && page.asked.is_narrow() {
        response.extensions_mut().insert(Told { hits: Some(page.total), ..Told::default() });
    }
    Ok(response)
}

fn build(desk: &Desk, asked: Asked) -> Result<(StatusCode, FilesPage), WebError> {
    let mut page = FilesPage {
        shell: Shell::new(desk, "files", desk.w.say("files")),
        error: None,
        is_absent: false,
        rows: Vec::new(),
        total: 0,
        behind: 0,
        facets: Vec::new(),
        newest: (!asked.after.is_empty()).then(|| asked.link(&asked.only, "")),
        older: None,
        asked,
    };
    let directory = desk.directory()?;
    let answer = match found(desk, &page.asked, &directory) {
        Ok(answer) => answer,
        Err(Trouble::Asked(detail)) => {
            page.error = Some(detail);
            return Ok((StatusCode::BAD_REQUEST, page));
        }
        Err(Trouble::Absent(detail)) => {
            tracing::warn!(detail, "files can't be listed");
            page.is_absent = true;
            return Ok((StatusCode::OK, page));
        }
        Err(Trouble::Other(error)) => return Err(error),
    };
    page.total = answer.total;
    page.behind = desk.web().head()?.saturating_sub(answer.searched_through);
    page.older = answer.next_cursor.as_ref().map(|cursor| page.asked.link(&page.asked.only, cursor));
    page.facets = facet_views(desk, &page.asked, &answer.facets, &directory);
    for hit in &answer.hits {
        page.rows.extend(row(desk, hit.seq.0, &directory)?);
    }
    Ok((StatusCode::OK, page))
}

/// Why there is no list.
enum Trouble {
    /// What was asked cannot be read, or is too much.
    Asked(String),
    /// There is no index.
    Absent(String),
    Other(WebError),
}

fn found(desk: &Desk, asked: &Asked, directory: &Directory) -> Result<Answer, Trouble> {
    let query = asked.query(&Context { zone: desk.zone, now: desk.web().now() }).map_err(Trouble::Asked)?;
    let facets = facet_plan(&desk.viewer.scope, None, &asked.only).map_err(Trouble::Asked)?;
    let paging = if asked.after.is_empty() {
        Paging::Page { offset: 0, limit: PAGE }
    } else {
        Paging::Cursor { cursor: asked.after.clone(), limit: PAGE }
    };
    let request = Request {
        query: &query,
        scope: &desk.viewer.scope,
        directory,
        kinds: &[Sort::File],
        // Each file once: as it last was.
        states: &[ItemState::Current, ItemState::Deleted],
        as_of: None,
        order: Order::Newest,
        paging,
        facets: Some(facets),
    };
    desk.search(&request).map_err(|error| match error {
        index::Error::TooBroad(detail) => Trouble::Asked(detail),
        error @ index::Error::Absent { .. } => Trouble::Absent(error.to_string()),
        other => Trouble::Other(other.into()),
    })
}

fn row(desk: &Desk, seq: u64, directory: &Directory) -> Result<Option<Row>, WebError> {
    let Some(found) = desk.archive().resolve(&format!("record:{seq}"))? else { return Ok(None) };
    let (item, readings) = (&found.item, found.item.readings().len());
    let Some(latest) = item.latest() else { return Ok(None) };
    let value = json::parse(&latest.record.body).unwrap_or_default();
    let created = chrono::DateTime::from_timestamp(json::as_int(&value["created"]).unwrap_or(0), 0);
    let address = href(&item.key);
    let is_picture = match content_of(latest) {
        Some(content) => Type::of(desk, &content)?.is_picture(),
        None => false,
    };
    let mut channels: Vec<String> = Vec::new();
    for id in item.shared_in().iter().filter(|id| desk.archive().allows(id)) {
        channels.push(channel_name(desk.w, id, directory));
    }
    Ok(Some(Row {
        thumbnail: is_picture.then(|| format!("{address}/thumbnail?v={readings}")),
        href: address,
        name: visible(&text_at(&value, "name")),
        size: size_text(desk.w, json::as_int(&value["size"]).unwrap_or(0)),
        user: visible(directory.person(&text_at(&value, "user"))),
        created: Moment::new(created.unwrap_or(chrono::DateTime::UNIX_EPOCH), desk.zone),
        channels: channels.join(", "),
        gone: item.is_gone(),
        versions: readings,
    }))
}

fn facet_views(desk: &Desk, asked: &Asked, counts: &FacetCounts, directory: &Directory) -> Vec<FacetView> {
    let w = desk.w;
    let mut out = Vec::new();
    for facet in FACETS {
        let mut counted: Vec<(String, u64)> =
            counts.values.get(&facet).into_iter().flatten().map(|(value, count)| (value.clone(), *count)).collect();
        // Most first; what is chosen is always shown.
        counted.sort_by(|a, b| {
            let is_chosen = |value: &str| asked.only.contains(&(facet, value.to_owned()));
            (is_chosen(&b.0), b.1).cmp(&(is_chosen(&a.0), a.1)).then_with(|| a.0.cmp(&b.0))
        });
        let mut values: Vec<ValueView> = Vec::new();
        for (value, count) in counted.into_iter().take(SHOWN_VALUES + MORE_VALUES) {
            let choice = (facet, value.clone());
            let is_chosen = asked.only.contains(&choice);
            let mut only = asked.only.clone();
            if is_chosen {
                only.retain(|known| *known != choice);
            } else {
                only.push(choice);
            }
            let name = match facet {
                Facet::Channel => ChannelId::parse(&value).map(|id| channel_name(w, &id, directory)),
                Facet::Author => Some(Names::new(desk, directory).person(&value)),
                Facet::State if value == ItemState::Deleted.as_str() => Some(w.say("file-gone")),
                Facet::State => Some(w.say("file-stands")),
                _ => Some(visible(&value)),
            };
            let name = name.unwrap_or_else(|| visible(&value));
            values.push(ValueView { name, count, href: asked.link(&only, ""), is_chosen });
        }
        // A facet with one value that everything has tells nothing.
        if values.len() > 1 || values.iter().any(|value| value.is_chosen) {
            let name = match facet {
                Facet::Channel => w.say("shared-in"),
                Facet::Author => w.say("files-by"),
                Facet::State => w.say("files-on-server"),
                _ => w.say("files-kind"),
            };
            let more = values.split_off(values.len().min(SHOWN_VALUES));
            out.push(FacetView { id: facet.as_str(), name, values, more });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Zone;

    fn asked(raw: &str) -> Asked {
        Asked::parse(raw)
    }

    #[test]
    fn an_address_of_the_list_leads_back_to_what_was_asked() {
        let one =
            asked("name=change+order&extension=pdf&extension=pdf&channel=C1&kind=message&after=newest.0.1.2.3.4&x=y");
        assert_eq!(one.only, [(Facet::Extension, "pdf".to_owned()), (Facet::Channel, "C1".to_owned())]);
        assert_eq!(
            one.link(&one.only, "newest.0.1.2.3.4"),
            "/f?name=change+order&extension=pdf&channel=C1&after=newest.0.1.2.3.4"
        );
        assert_eq!(asked("name=&extension=").link(&[], ""), "/f");
    }

    #[test]
    fn a_name_is_asked_for_by_the_beginnings_of_its_words() {
        let context = Context { zone: Zone::UTC, now: chrono::DateTime::UNIX_EPOCH };
        let query = |name: &str| asked(&format!("name={name}")).query(&context);
        assert_eq!(query("contr").unwrap(), query::parse("title:contr*", &context).unwrap().query);
        assert_eq!(
            query("co-v3.pdf").unwrap(),
            query::parse("title:co* title:v3* title:pdf*", &context).unwrap().query
        );
        for odd in ["", "%22", "(", "*", "-", "title:", "%E6%9D%B1%E4%BA%AC", "%00", "a%20OR%20(b"] {
            assert!(query(odd).is_ok(), "{odd}");
        }
        assert_eq!(query("%22%28").unwrap(), Query::All);
    }
}
