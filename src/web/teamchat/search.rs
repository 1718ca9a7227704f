use std::ops::Range;

use serde_json::{Value, json};

use super::files::with_tickets;
use super::{Call, Refusal};
use crate::history::{Directory, Item, ItemState, Scoped};
use crate::index::{
    self, Expansion, Facet, FacetCounts, FacetPlan, HIT_END, HIT_START, Order, Paging, Request, Searcher, Stretch,
    positions, texts,
};
use crate::model::{ChannelId, Scope, UtcTime, Zone, json, parse_time};
use crate::query::{self, Context, Query, Sort, Within};
use crate::store::DerivedReader;
use crate::web::desk::Web;

/// Characters shown of what was read in a file before and after the first hit.
const AROUND: usize = 200;
/// Hit positions told of one text.
const MOST_POSITIONS: usize = 1_000;

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
    /// As everything stood at this moment.
    pub as_of: Option<UtcTime>,
    /// What is counted and chosen by facet.
    pub facets: Option<FacetPlan>,
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

/// What is searched and read.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    /// The records that the asker may see.
    pub archive: Scoped<'a>,
    /// Their index.
    pub searcher: &'a Searcher,
    /// What was read in files, if anything was.
    pub derived: Option<&'a DerivedReader>,
}

/// The reply of `search.all` (contract, "`search`"): one match a version, exact totals. Beside it where the
/// hits stand (`hits`), what patterns stood for (`expansions`), what should be known (`notes`), how far the index is (`index`)
/// and, if asked for, counts (`facets`, `histogram`).
pub fn search_reply(
    sources: Sources<'_>,
    directory: &Directory,
    request: &SearchRequest<'_>,
) -> Result<Value, index::Error> {
    let Sources { archive, searcher, .. } = sources;
    let mut reply = json!({"ok": true, "query": request.text});
    let mut expansions: Vec<Expansion> = Vec::new();
    let mut counted = FacetCounts::default();
    let mut hits = serde_json::Map::new();
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
            scope: archive.scope(),
            directory,
            kinds,
            states: request.states,
            as_of: request.as_of,
            order: request.order,
            paging,
            facets: request.facets.clone(),
        })?;
        let mut matches = Vec::with_capacity(answer.hits.len());
        for hit in &answer.hits {
            if let Some(found) = archive.resolve(&format!("record:{}", hit.seq))? {
                let (found, places) = one_match(sources, &found.item, hit.seq.0, directory, request)?;
                matches.push(found);
                hits.insert(hit.seq.to_string(), Value::Object(places));
            }
        }
        searched_through = answer.searched_through;
        notes.extend(answer.notes);
        // Both lists are searches of the same words.
        for expansion in answer.expansions {
            if !expansions.contains(&expansion) {
                expansions.push(expansion);
            }
        }
        counted.add(answer.facets);
        cursors[n] = answer.next_cursor.filter(|_| !is_over).unwrap_or_default();
        reply[name] = listed(answer.total, &matches, request);
    }
    notes.sort();
    notes.dedup();
    let more = cursors.iter().any(|cursor| !cursor.is_empty());
    reply["next_cursor"] = if more { json!(cursors.join("~")) } else { Value::Null };
    reply["searched_through"] = json!(searched_through);
    reply["index"] = json!({"record": searched_through, "lag": archive.head()?.saturating_sub(searched_through)});
    // By record: where the hits stand in each text, in characters, and what became of reading a file.
    reply["hits"] = Value::Object(hits);
    if !expansions.is_empty() {
        reply["expansions"] = expansions
            .iter()
            .map(|expansion| json!({"written": expansion.written, "count": expansion.words.len(), "words": expansion.words}))
            .collect();
    }
    if let Some(plan) = &request.facets {
        if plan.counts {
            reply["facets"] = facets(&counted, directory);
        }
        if plan.histogram.is_some() {
            reply["histogram"] =
                counted.histogram.iter().map(|(day, count)| json!({"from": day.to_string(), "count": count})).collect();
        }
    }
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

/// Counts by facet, the most frequent value first.
fn facets(counted: &FacetCounts, directory: &Directory) -> Value {
    let mut out = serde_json::Map::new();
    for facet in Facet::ALL {
        let mut values: Vec<(&String, &u64)> = counted.values.get(&facet).into_iter().flatten().collect();
        values.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        let listed: Vec<Value> = values
            .into_iter()
            .map(|(value, count)| {
                let name = match facet {
                    Facet::Channel => ChannelId::parse(value).map(|id| directory.channel(&id).to_owned()),
                    Facet::Author => Some(directory.person(value).to_owned()),
                    _ => None,
                };
                match name {
                    Some(name) => json!({"value": value, "name": name, "count": count}),
                    None => json!({"value": value, "count": count}),
                }
            })
            .collect();
        out.insert(facet.as_str().to_owned(), Value::Array(listed));
    }
    Value::Object(out)
}

/// A text of a match with what was found in it.
struct Marked {
    name: &'static str,
    text: String,
    found: Vec<Range<usize>>,
}

impl Marked {
    fn new(name: &'static str, text: &str, query: &Query, within: Within) -> Self {
        // Marks that somebody wrote are none of ours; parts are shown on lines of their own.
        let clean = text.replace([HIT_START, HIT_END], "");
        let found = positions(&clean, query, within);
        Self { name, text: clean.replace(query::PART_BREAK, "\n"), found }
    }

    /// From the first hit's surroundings on, or all of a short text, with marks.
    fn shown(&self) -> String {
        let first = self.found.first().map_or(0, |range| range.start);
        let from = self.text[..first].char_indices().rev().nth(AROUND).map_or(0, |(at, _)| at);
        let to = self.text[first..].char_indices().nth(3 * AROUND).map_or(self.text.len(), |(at, _)| first + at);
        let (from, to) = if self.name == "content" { (from, to) } else { (0, self.text.len()) };
        let mut out = String::new();
        if from > 0 {
            out.push('…');
        }
        let mut copied = from;
        for range in self.found.iter().filter(|range| range.start >= from && range.end <= to) {
            out.push_str(&self.text[copied..range.start]);
            out.push(HIT_START);
            out.push_str(&self.text[range.clone()]);
            out.push(HIT_END);
            copied = range.end;
        }
        out.push_str(&self.text[copied..to]);
        if to < self.text.len() {
            out.push('…');
        }
        out
    }

    /// First character and the one past the last of each hit.
    fn positions(&self) -> Value {
        let (mut characters, mut bytes) = (0, 0);
        let mut count = |to: usize| {
            characters += self.text[bytes..to].chars().count();
            bytes = to;
            characters
        };
        self.found.iter().take(MOST_POSITIONS).map(|range| json!([count(range.start), count(range.end)])).collect()
    }
}

/// What was read in a file around the first hit, with marks; `None` when nothing was found in it.
pub fn excerpt(content: &str, query: &Query) -> Option<String> {
    let marked = Marked::new("content", content, query, Within::Content);
    (!marked.found.is_empty()).then(|| marked.shown())
}

/// The archived object as the server sent it, and what the archive knows of it.
fn one_match(
    sources: Sources<'_>,
    item: &Item,
    seq: u64,
    directory: &Directory,
    request: &SearchRequest<'_>,
) -> Result<(Value, serde_json::Map<String, Value>), index::Error> {
    let readings = item.readings();
    let number = readings.iter().position(|reading| reading.seq.0 == seq).unwrap_or(0);
    let reading = readings[number];
    let body = &reading.record.body;
    let mut value =
        json::parse(body).filter(Value::is_object).unwrap_or_else(|| json!({"text": String::from_utf8_lossy(body)}));
    let indexed = texts(&reading.record);
    let read = match (sources.derived, reading.record.header.attachment_digests().first()) {
        (Some(derived), Some(digest)) => derived.newest(digest)?,
        _ => None,
    };
    let content = read.as_ref().map_or("", |row| row.text.as_str());
    let marked = [
        Marked::new("text", &indexed.body, request.query, Within::Body),
        Marked::new("file name", &indexed.title, request.query, Within::Title),
        Marked::new("content", content, request.query, Within::Content),
    ];
    let matched: Vec<&Marked> = marked.iter().filter(|text| !text.found.is_empty()).collect();
    let channel = item.channel.clone().or_else(|| item.shared_in().into_iter().find(|id| sources.archive.allows(id)));
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
        "matched_in": matched.iter().map(|text| text.name).collect::<Vec<_>>(),
        "highlight": matched.first().map_or_else(|| indexed.body.replace(query::PART_BREAK, "\n"), |text| text.shown()),
    });
    let mut hits: serde_json::Map<String, Value> =
        matched.iter().map(|text| (text.name.to_owned(), text.positions())).collect();
    if let Some(read) = &read {
        let outcome = json!({"status": read.status, "engine": read.engine, "truncated": read.is_truncated, "detail": read.detail});
        hits.insert("extraction".to_owned(), outcome);
    }
    if let Some(object) = value.as_object_mut() {
        if request.marks_in_text {
            // A comment's text stands in its `comment`; of a message that is one, in the comment's.
            let name = if object.get("comment").is_some_and(Value::is_string) { "comment" } else { "text" };
            if let Some(text) = object.get_mut(name) {
                let written = text.as_str().unwrap_or_default();
                if let Some(marked) = index::mark(written, request.query, Within::Body) {
                    *text = json!(marked);
                }
            }
        }
        object.insert("archive".to_owned(), archive);
    }
    Ok((value, hits))
}

/// What is counted for an asker: facets, a histogram by `day`, `week` or `month`, and what is chosen,
/// as pairs of facet and value.
pub fn facet_plan(
    scope: &Scope,
    histogram: Option<(&str, Zone)>,
    chosen: &[(Facet, String)],
) -> Result<FacetPlan, String> {
    let histogram = match histogram {
        None => None,
        Some((word, zone)) => Some((
            Stretch::parse(word).ok_or_else(|| format!("`{word}` is no stretch; there are day, week and month"))?,
            zone,
        )),
    };
    let mut plan = FacetPlan { counts: true, histogram, ..FacetPlan::default() };
    for (facet, value) in chosen {
        plan.chosen.entry(*facet).or_default().insert(value.clone());
    }
    if let Scope::Channels(channels) = scope {
        plan.channels = Some(channels.iter().map(|id| id.as_str().to_owned()).collect());
    }
    Ok(plan)
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
    let parsed = query::parse(text, &Context { zone: web.zone(), now: web.now() })
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
    let as_of = match call.text("as_of") {
        None => None,
        Some(text) => Some(
            parse_time(text, web.zone())
                .ok_or_else(|| Refusal::Query("as_of is a time such as 2026-03-04T10:00:00Z".to_owned()))?,
        ),
    };
    let facets = call
        .flag("facets")
        .then(|| facet_plan(&scope, call.text("by").map(|by| (by, web.zone())), &[]))
        .transpose()
        .map_err(Refusal::Query)?;
    let request = SearchRequest {
        text,
        query: &parsed.query,
        only: match method {
            "search.files" => Some(Sort::File),
            "search.messages" => Some(Sort::Message),
            _ => None,
        },
        states: &states,
        as_of,
        facets,
        order,
        count: call.number("count", 20, 1000),
        page: call.number("page", 1, usize::MAX / 2000),
        cursor: call.text("cursor"),
        marks_in_text: call.flag("highlight"),
    };
    let derived = web.derived();
    let sources = Sources { archive: web.archive(&scope), searcher: web.searcher(), derived: derived.as_ref() };
    let mut reply = search_reply(sources, &call.directory, &request)?;
    for list in ["/files/matches", "/messages/matches"] {
        let matches = reply.pointer(list).and_then(Value::as_array).into_iter().flatten();
        call.shown.borrow_mut().extend(matches.filter_map(|found| found["archive"]["record"].as_u64()));
    }
    // Indexing would put in a list that was not asked for.
    if let Some(matches) = reply.pointer_mut("/files/matches").and_then(Value::as_array_mut) {
        matches.iter_mut().try_for_each(|file| with_tickets(web, call, file))?;
    }
    if let Some(matches) = reply.pointer_mut("/messages/matches").and_then(Value::as_array_mut) {
        for message in matches {
            if let Some(file) = message.get_mut("file") {
                with_tickets(web, call, file)?;
            }
        }
    }
    Ok(reply)
}
