//! The real thing: records in an archive, indexed and searched as in service.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use teamchat_archive::history::{ItemState, directory};
use teamchat_archive::index::{FacetPlan, Indexer, Order as IndexOrder, Paging, Request, Searcher};
use teamchat_archive::model::{ChannelId, Clock, Digest, MessageTs, Scope, UtcTime, Zone};
use teamchat_archive::query::{Context, Sort, parse};
use teamchat_archive::record::{Kind as RecordKind, Origin};
use teamchat_archive::store::{Batch, Change, Derived, DerivedReader, FIRST_SOURCE, NewRecord, NewResult};

use super::compare::{Ask, Engine, Facets, Order, Page};
use super::document::{Document, Kind, State};
use super::random::CHANNELS;
use crate::support::TestArchive;

pub(super) struct Archive {
    archive: TestArchive,
    searcher: Searcher,
    /// The number of the document that each record is.
    documents: BTreeMap<u64, usize>,
}

impl Archive {
    pub(super) fn new() -> Self {
        let archive = TestArchive::in_memory("https://chat.example/");
        let searcher = Searcher::new(&archive.layout);
        let made = Self { archive, searcher, documents: BTreeMap::new() };
        // That one of them is a conversation between two is said by its record alone.
        let channels = CHANNELS.iter().map(|id| {
            let kind = if id.starts_with('D') { RecordKind::Im } else { RecordKind::Channel };
            let body = json!({"id": id, "name": format!("room {}", &id[3..]), "user": "UANN"});
            record(kind, Some(id), (*id).to_owned(), 1, Change::New, time(1_700_000_000_000), &body)
        });
        made.archive.writer().append(Batch { records: channels.collect(), changes: Vec::new() }).unwrap();
        made
    }
}

fn time(ms: i64) -> UtcTime {
    chrono::DateTime::from_timestamp_millis(ms).unwrap()
}

fn record(
    kind: RecordKind,
    channel: Option<&str>,
    key: String,
    version: u32,
    change: Change,
    observed_at: UtcTime,
    body: &Value,
) -> NewRecord {
    NewRecord {
        kind,
        source: FIRST_SOURCE,
        channel: channel.and_then(ChannelId::parse),
        key,
        version,
        change,
        origin: Origin::Observed,
        via: "channels.history",
        account: "ann@harbour.example".to_owned(),
        run: 1,
        observed_at,
        tickets: 0,
        attachments: Vec::new(),
        shared_in: Vec::new(),
        body: serde_json::to_vec(body).unwrap(),
    }
}

/// Kind, channel and key of a document's subject.
fn subject(document: &Document) -> (RecordKind, Option<&str>, String) {
    let id = document.subject;
    match document.kind {
        Kind::Message => {
            let key = MessageTs::parse(&format!("{}.{:06}", document.ts / 1_000_000, document.ts % 1_000_000)).unwrap();
            (RecordKind::Message, Some(&document.channels[0]), key.to_string())
        }
        Kind::Comment => (RecordKind::Comment, None, format!("F{}/K{id}", document.on_file.unwrap())),
        Kind::File => (RecordKind::File, None, format!("F{id}")),
    }
}

fn named(document: &Document, id: String) -> Value {
    let mut file = json!({"id": id, "name": document.title.parts[0], "created": document.ts / 1_000_000});
    if let Some(title) = document.title.parts.get(1) {
        file["title"] = json!(title);
    }
    file
}

fn body_of(document: &Document) -> Value {
    let first = document.body.parts.first().cloned().unwrap_or_default();
    let comment = json!({
        "id": format!("K{}", document.subject),
        "user": document.author,
        "comment": first,
        "created": document.ts / 1_000_000,
    });
    match document.kind {
        Kind::Comment => comment,
        Kind::File => {
            let mut file = named(document, format!("F{}", document.subject));
            file["user"] = json!(document.author);
            file["size"] = json!(document.size);
            file["initial_comment"] = json!({"comment": first});
            file
        }
        Kind::Message => {
            let mut message = json!({"type": "message", "ts": subject(document).2, "user": document.author});
            if document.on_file.is_some() {
                message["subtype"] = json!("file_comment");
                message["comment"] = comment;
                return message;
            }
            message["text"] = json!(first);
            let more: Vec<Value> = document.body.parts[1..].iter().map(|part| json!({"text": part})).collect();
            message["attachments"] = json!(more);
            if !document.title.parts.is_empty() {
                message["files"] = json!([named(document, format!("FX{}", document.subject))]);
            }
            if document.has_reaction {
                message["reactions"] = json!([{"name": "tada", "count": 1, "users": ["UANN"]}]);
            }
            if document.is_bot {
                message["subtype"] = json!("bot_message");
            }
            message
        }
    }
}

impl Engine for Archive {
    fn add(&mut self, documents: &[Document]) {
        let mut derived = Derived::open(&self.archive.layout, &Clock::System).unwrap();
        let first_document = self.documents.len();
        // What is observed at a moment, with the number of the document that it makes, if it makes one.
        let mut events: Vec<(i64, Option<usize>, NewRecord)> = Vec::new();
        for (n, document) in documents.iter().enumerate() {
            let (kind, channel, key) = subject(document);
            let change = if document.version == 1 { Change::New } else { Change::Changed };
            let at = document.observed;
            let body = body_of(document);
            let mut reading = record(kind, channel, key.clone(), document.version, change, time(at), &body);
            if kind == RecordKind::File {
                reading.shared_in = document.channels.iter().filter_map(|id| ChannelId::parse(id)).collect();
            }
            if let Some(text) = document.content.parts.first() {
                let digest = Digest::of(format!("{}/{}", document.subject, document.version).as_bytes());
                reading.attachments.push(digest);
                let result = NewResult {
                    digest,
                    status: "ok",
                    engine: "judge",
                    version: 1,
                    text,
                    detail: None,
                    charset: None,
                    pages: None,
                    is_truncated: false,
                    thumbnail: None,
                };
                derived.put(&result).unwrap();
            }
            events.push((at, Some(first_document + n), reading));
            if let (RecordKind::Message, Some(file), 1) = (kind, document.on_file, document.version) {
                // The same comment as the file's own list has it, now before and now after the stream's.
                let key = format!("F{file}/K{}", document.subject);
                let again = record(RecordKind::Comment, None, key, 1, Change::New, time(at), &body["comment"]);
                let place = if document.subject % 2 == 0 { events.len() } else { events.len() - 1 };
                events.insert(place, (at, None, again));
            }
            if let (None, Some(gone)) = (document.superseded, document.gone) {
                let note = json!({"gone": true});
                let version = document.version + 1;
                events.push((gone, None, record(kind, channel, key, version, Change::Gone, time(gone), &note)));
            }
        }
        events.sort_by_key(|(at, ..)| *at);
        let mut writer = self.archive.writer();
        for (_, document, event) in events {
            let appended = writer.append(Batch { records: vec![event], changes: Vec::new() }).unwrap();
            if let Some(document) = document {
                self.documents.insert(appended.first.0, document);
            }
        }
        drop((writer, derived));
        let reader = self.archive.reader();
        let derived = DerivedReader::open(&self.archive.layout).unwrap();
        let mut indexer = Indexer::open(&self.archive.layout).unwrap();
        indexer.catch_up(&reader, derived.as_ref(), &mut |_| {}).unwrap();
        indexer.close().unwrap();
    }

    fn search(&self, query: &str, ask: &Ask, limit: usize, cursor: Option<&str>) -> Result<Page, String> {
        let context = Context { zone: Zone::UTC, now: time(1_790_000_000_000) };
        let parsed = parse(query, &context).map_err(|error| error.to_string())?;
        let scope = match &ask.scope {
            None => Scope::All,
            Some(ids) => Scope::Channels(ids.iter().filter_map(|id| ChannelId::parse(id)).collect::<BTreeSet<_>>()),
        };
        let kinds: Vec<Sort> = ask
            .kinds
            .iter()
            .map(|kind| match kind {
                Kind::Message => Sort::Message,
                Kind::Comment => Sort::Comment,
                Kind::File => Sort::File,
            })
            .collect();
        let states: Vec<ItemState> = ask
            .states
            .iter()
            .map(|state| match state {
                State::Current => ItemState::Current,
                State::Edited => ItemState::Edited,
                State::Deleted => ItemState::Deleted,
            })
            .collect();
        let request = Request {
            query: &parsed.query,
            scope: &scope,
            directory: &directory(&self.archive.reader()).unwrap(),
            kinds: &kinds,
            states: &states,
            as_of: ask.as_of.map(time),
            order: match ask.order {
                Order::Relevance => IndexOrder::Relevance,
                Order::Newest => IndexOrder::Newest,
                Order::Oldest => IndexOrder::Oldest,
            },
            paging: match cursor {
                None => Paging::Page { offset: 0, limit },
                Some(cursor) => Paging::Cursor { cursor: cursor.to_owned(), limit },
            },
            facets: Some(FacetPlan {
                as_of: None,
                counts: true,
                chosen: BTreeMap::new(),
                histogram: None,
                channels: ask.scope.clone(),
            }),
        };
        let answer = self.searcher.search(&request).map_err(|error| error.to_string())?;
        let hit = |seq: u64| {
            self.documents.get(&seq).copied().ok_or_else(|| format!("record {seq} is found, which is no document"))
        };
        let mut facets = Facets::new();
        for (facet, values) in answer.facets.values {
            let counted = ["channel", "author", "kind", "extension", "state"].contains(&facet.as_str());
            for (value, count) in values.into_iter().filter(|(value, count)| counted && !value.is_empty() && *count > 0)
            {
                *facets.entry(facet.as_str()).or_default().entry(value.to_lowercase()).or_default() += count;
            }
        }
        Ok(Page {
            hits: answer.hits.iter().map(|found| hit(found.seq.0)).collect::<Result<_, _>>()?,
            total: answer.total,
            facets,
            next: answer.next_cursor,
        })
    }
}
