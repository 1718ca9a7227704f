use serde_json::{Value, json};

use super::files::with_tickets;
use super::{Call, Refusal};
use crate::history::{Directory, Item, ItemState, resolve};
use crate::index::{self, Order, Paging, Request, Searcher, mark};
use crate::model::{ChannelId, Scope, json};
use crate::query::{self, Context, Query, Sort};
use crate::record::Kind;
use crate::store::Reader;
use crate::web::Web;

/// A search over the archive in the shape of `search.all`.
#[derive(Debug)]
pub struct SearchRequest<'a> {
    /// As typed.
    pub text: &'a str,
    /// As read.
    pub query: &'a Query,
    /// `None`: messages and files.
    pub only: Option<Sort>,
    /// Empty: all states.
    pub states: &'a [ItemState],
    /// In which order.
    pub order: Order,
    /// Hits a page.
    pub count: usize,
    /// Which page, from 1.
    pub page: usize,
    /// Where an earlier reply stopped, instead of a page.
    pub cursor: Option<&'a str>,
    /// Puts the marks around hits into `text` as well.
    pub marks_in_text: bool,
}

/// The reply of `search.all` (contract, "`search`"): one match a version, exact totals.
pub fn search_reply(
    reader: &Reader,
    searcher: &Searcher,
    directory: &Directory,
    scope: &Scope,
    request: &SearchRequest<'_>,
) -> Result<Value, index::Error> {
    let mut reply = json!({"ok": true, "query": request.text});
    let mut cursors = [String::new(), String::new()];
    let given: Vec<&str> = request.cursor.map(|cursor| cursor.split('~').collect()).unwrap_or_default();
    let mut searched_through = 0;
    let mut notes: Vec<String> = Vec::new();
    for (n, (name, kinds)) in
        [("messages", &[Sort::Message, Sort::Comment][..]), ("files", &[Sort::File][..])].into_iter().enumerate()
    {
        let is_wanted = match request.only {
            None => true,
            Some(Sort::File) => name == "files",
            Some(_) => name == "messages",
        };
        if !is_wanted {
            continue;
        }
        let cursor = given.get(n).copied().unwrap_or_default();
        // A list that a cursor has left behind is at its end.
        let is_over = request.cursor.is_some() && cursor.is_empty();
        let paging = match (request.cursor, is_over) {
            (Some(_), false) => Paging::Cursor { cursor: cursor.to_owned(), limit: request.count },
            (Some(_), true) => Paging::Page { offset: 0, limit: 0 },
            (None, _) => Paging::Page { offset: (request.page - 1) * request.count, limit: request.count },
        };
        let answer = searcher.search(&Request {
            query: request.query,
            scope,
            directory,
            kinds,
            states: request.states,
            order: request.order,
            paging,
        })?;
        let mut matches = Vec::with_capacity(answer.hits.len());
        for hit in &answer.hits {
            if let Some(found) = resolve(reader, &format!("record:{}", hit.seq))? {
                matches.push(one_match(&found.item, hit.seq.0, directory, scope, request));
            }
        }
        searched_through = answer.searched_through;
        notes.extend(answer.notes);
        cursors[n] = answer.next_cursor.filter(|_| !is_over).unwrap_or_default();
        reply[name] = listed(answer.total, &matches, request);
    }
    notes.dedup();
    let more = cursors.iter().any(|cursor| !cursor.is_empty());
    reply["next_cursor"] = if more { json!(cursors.join("~")) } else { Value::Null };
    reply["searched_through"] = json!(searched_through);
    if !notes.is_empty() {
        reply["notes"] = json!(notes);
    }
    Ok(reply)
}

fn listed(total: u64, matches: &[Value], request: &SearchRequest<'_>) -> Value {
    let count = request.count as u64;
    let pages = if count == 0 { 0 } else { total.div_ceil(count) };
    let first = if matches.is_empty() { 0 } else { (request.page as u64 - 1) * count + 1 };
    json!({
        "total": total,
        "paging": {"count": matches.len(), "total": total, "page": request.page, "pages": pages},
        "pagination": {
            "total_count": total,
            "page": request.page,
            "per_page": count,
            "page_count": pages,
            "first": first,
            "last": if matches.is_empty() { 0 } else { first + matches.len() as u64 - 1 },
        },
        "matches": matches,
    })
}

/// The archived object as the server sent it, and what the archive knows of it.
fn one_match(item: &Item, seq: u64, directory: &Directory, scope: &Scope, request: &SearchRequest<'_>) -> Value {
    let readings = item.readings();
    let number = readings.iter().position(|reading| reading.seq.0 == seq).unwrap_or(0);
    let reading = readings[number];
    let body = &reading.record.body;
    let mut value =
        json::parse(body).filter(Value::is_object).unwrap_or_else(|| json!({"text": String::from_utf8_lossy(body)}));
    let text_name = if item.kind == Kind::Comment { "comment" } else { "text" };
    let text = value[text_name]
        .as_str()
        .map(str::to_owned)
        .filter(|text| !text.is_empty())
        .or_else(|| value["comment"]["comment"].as_str().map(str::to_owned))
        .unwrap_or_default();
    let name = value["name"].as_str().or_else(|| value["file"]["name"].as_str()).unwrap_or_default().to_owned();
    let marked = mark(&text, request.query);
    let marked_name = mark(&name, request.query);
    let mut matched_in = Vec::new();
    if marked.is_some() {
        matched_in.push("text");
    }
    if marked_name.is_some() {
        matched_in.push("file name");
    }
    let channel = item.channel.clone().or_else(|| item.shared_in().into_iter().find(|id| scope.allows(id)));
    let channel_name = channel.as_ref().map(|id| directory.channel(id).to_owned());
    let archive = json!({
        "record": seq,
        "kind": item.kind.as_str(),
        "version": number + 1,
        "versions": readings.len(),
        "state": item.state_of(reading.seq).as_str(),
        "channel": channel.as_ref().map(ChannelId::as_str),
        "channel_name": channel_name,
        "observed_at": reading.record.header.observed_at,
        "matched_in": matched_in,
        "highlight": marked.clone().or(marked_name).unwrap_or_else(|| text.clone()),
    });
    if let Some(object) = value.as_object_mut() {
        if let (true, Some(marked)) = (request.marks_in_text, marked) {
            object.insert(text_name.to_owned(), json!(marked));
        }
        object.insert("archive".to_owned(), archive);
    }
    value
}

/// The words of `states` and `--states`.
pub fn parse_states(text: &str) -> Option<Vec<ItemState>> {
    text.split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
        .map(|word| {
            [ItemState::Current, ItemState::Edited, ItemState::Deleted].into_iter().find(|state| state.as_str() == word)
        })
        .collect()
}

/// `search.all`, `search.files`, `search.messages` over HTTP: the current state unless `states`
/// asks for more.
pub(super) fn over_http(web: &Web, call: &Call, method: &str) -> Result<Value, Refusal> {
    let text = call.text("query").ok_or(Refusal::Code("no_query"))?;
    let parsed = query::parse(text, &Context { zone: web.zone, now: web.clock.now() })
        .map_err(|error| Refusal::Query(error.to_string()))?;
    let scope = match call.text("channel") {
        Some(_) => Scope::Channels([call.channel()?].into()),
        None => call.scope.clone(),
    };
    let states = match call.text("states") {
        None => vec![ItemState::Current],
        Some(text) => parse_states(text)
            .ok_or_else(|| Refusal::Query("states are current, edited and deleted, with commas between".to_owned()))?,
    };
    let order = match (call.text("sort"), call.text("sort_dir")) {
        (Some("timestamp"), Some("asc")) | (Some("oldest"), _) => Order::Oldest,
        (Some("timestamp" | "newest"), _) => Order::Newest,
        _ => Order::Relevance,
    };
    let request = SearchRequest {
        text,
        query: &parsed.query,
        only: match method {
            "search.files" => Some(Sort::File),
            "search.messages" => Some(Sort::Message),
            _ => None,
        },
        states: &states,
        order,
        count: call.number("count", 20, 1000),
        page: call.number("page", 1, usize::MAX / 2000),
        cursor: call.text("cursor"),
        marks_in_text: call.flag("highlight"),
    };
    let mut reply = search_reply(&web.reader, &web.searcher, &call.directory, &scope, &request)?;
    if let Some(matches) = reply["files"]["matches"].as_array_mut() {
        matches.iter_mut().try_for_each(|file| with_tickets(web, call, file))?;
    }
    if let Some(matches) = reply["messages"]["matches"].as_array_mut() {
        for message in matches {
            if let Some(file) = message.get_mut("file") {
                with_tickets(web, call, file)?;
            }
        }
    }
    Ok(reply)
}
