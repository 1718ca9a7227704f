//! Whether the index holds exactly what it should: every reading that it has reached, once, as it is
//! now, and nothing else.

use std::collections::{HashMap, HashSet};

use super::Error;
use super::document::{Made, is_searched_in_stream};
use super::making::Making;
use super::searcher::{Order, Paging, Request, Searcher};
use crate::history::Directory;
use crate::model::{RecordSeq, Scope};
use crate::query::{Query, Within, plan, tokens};
use crate::record::{Kind, Record, State};
use crate::store::{DerivedReader, Reader};

/// How many documents are looked for by a word of their text.
const CANARIES: u64 = 100;
/// Blocks read at once.
const BLOCKS: usize = 64;

/// How an index compares with the records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Completeness {
    /// Every record below this number was reached.
    pub reached: u64,
    /// Documents in the index.
    pub documents: u64,
    /// Documents compared with what their records make.
    pub compared: u64,
    /// Records that should be found and are not there.
    pub missing: Vec<u64>,
    /// Documents of records that make none.
    pub extra: Vec<u64>,
    /// Documents that say something else than their records.
    pub different: Vec<u64>,
    /// Records with more than one document.
    pub twice: Vec<u64>,
    /// The index's own count or digest, where it is not that of its documents.
    pub miscounted: Option<String>,
    /// Documents looked for by a word of their text, and those that were not found by it.
    pub canaries: u64,
    /// See `canaries`.
    pub lost: Vec<u64>,
}

impl Completeness {
    /// Whether nothing is wrong with it.
    pub fn is_whole(&self) -> bool {
        self.missing.is_empty()
            && self.extra.is_empty()
            && self.different.is_empty()
            && self.twice.is_empty()
            && self.lost.is_empty()
            && self.miscounted.is_none()
    }
}

/// Compares the index with the records, document by document, and looks for some by a word of their
/// text. What is said of files is compared only when `derived` holds all that the index took up.
/// `progress` is told the number of records read.
pub fn completeness(
    searcher: &Searcher,
    reader: &Reader,
    derived: Option<&DerivedReader>,
    progress: &mut dyn FnMut(u64),
) -> Result<Completeness, Error> {
    let held = searcher.all()?;
    let mut out = Completeness {
        reached: held.payload.records_through,
        documents: held.checks.len() as u64,
        ..Default::default()
    };
    let digest = held.checks.iter().fold(0, |digest, (_, check)| digest ^ check);
    if (held.payload.documents, held.payload.digest) != (out.documents, digest) {
        out.miscounted = Some(format!(
            "it says {} documents with digest {:016x}, and holds {} with digest {digest:016x}",
            held.payload.documents, held.payload.digest, out.documents
        ));
    }
    let mut checks: HashMap<u64, u64> = HashMap::with_capacity(held.checks.len());
    for (seq, check) in held.checks {
        if checks.insert(seq, check).is_some() {
            out.twice.push(seq);
        }
    }
    let results = match derived {
        Some(derived) => derived.last()?,
        None => 0,
    };
    let are_files_comparable = results == held.payload.results_through;
    let head = reader.head()?;
    let reached = out.reached.min(head);
    let first = survey(reader, head, reached)?;
    let mut making = Making::new(reader, derived)?;
    let mut expected: HashSet<u64> = HashSet::new();
    let every = (reached / CANARIES).max(1);
    let mut canaries: Vec<(u64, Query)> = Vec::new();
    for_each_record(reader, reached, &mut |seq, record| {
        progress(seq.0);
        // Each subject once: at its last record.
        if first.last_of(record).is_some_and(|last| last != seq.0) {
            // One that changed after what the index has reached stands there as it was.
            if first.last_of(record).is_some_and(|last| last >= reached) {
                expected.insert(seq.0);
                checks.remove(&seq.0);
            }
            return Ok(());
        }
        let Some(subject) = making.of(seq, record)? else { return Ok(()) };
        for made in &subject.made {
            if made.content.comment.strip_prefix("c:").is_some_and(|id| first.streams.contains(id)) {
                continue;
            }
            let number = made.seq.0;
            expected.insert(number);
            match checks.get(&number) {
                None => out.missing.push(number),
                Some(_) if made.content.kind == "file" && !are_files_comparable => {}
                Some(check) => {
                    out.compared += 1;
                    if *check != made.check() {
                        out.different.push(number);
                    }
                }
            }
            if number.is_multiple_of(every) && (canaries.len() as u64) < CANARIES {
                canaries.extend(canary(made).map(|query| (number, query)));
            }
        }
        Ok(())
    })?;
    out.extra = checks.keys().filter(|seq| !expected.contains(seq)).copied().collect();
    for list in [&mut out.missing, &mut out.extra, &mut out.different, &mut out.twice] {
        list.sort_unstable();
    }
    for (number, query) in canaries {
        out.canaries += 1;
        if !is_found(searcher, number, query)? {
            out.lost.push(number);
        }
    }
    Ok(out)
}

/// What has to be known of all records before one can be judged.
struct Survey {
    /// The last record of each subject that has several.
    last: HashMap<(u8, u32, String, String), u64>,
    /// Comments that stand in a channel's stream.
    streams: HashSet<String>,
}

impl Survey {
    fn key(record: &Record) -> (u8, u32, String, String) {
        let header = &record.header;
        (header.kind.number(), header.source, header.channel.clone().unwrap_or_default(), header.key.clone())
    }

    fn last_of(&self, record: &Record) -> Option<u64> {
        self.last.get(&Self::key(record)).copied()
    }
}

fn survey(reader: &Reader, head: u64, reached: u64) -> Result<Survey, Error> {
    let mut survey = Survey { last: HashMap::new(), streams: HashSet::new() };
    for_each_record(reader, head, &mut |seq, record| {
        let header = &record.header;
        if !matches!(header.kind, Kind::Message | Kind::Comment | Kind::File) {
            return Ok(());
        }
        if header.version > 1 || header.state == State::Gone {
            survey.last.insert(Survey::key(record), seq.0);
        }
        if seq.0 < reached
            && let Some(id) = is_searched_in_stream(record)
        {
            survey.streams.insert(id);
        }
        Ok(())
    })?;
    Ok(survey)
}

fn for_each_record(
    reader: &Reader,
    end: u64,
    each: &mut dyn FnMut(RecordSeq, &Record) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut next = 0;
    while next < end {
        let blocks = reader.blocks(next, BLOCKS)?;
        if blocks.is_empty() {
            break;
        }
        for block in blocks {
            for (seq, record) in (block.first.0..).zip(&block.records) {
                if (next..end).contains(&seq) {
                    each(RecordSeq(seq), record)?;
                    next = seq + 1;
                }
            }
        }
    }
    Ok(())
}

/// A search by the longest word of a document's texts, in which it has to be found.
fn canary(made: &Made) -> Option<Query> {
    let text = [made.content.body.as_str(), made.content.title.as_str(), made.read.text.as_str()]
        .into_iter()
        .find(|text| !text.is_empty())?;
    let beginning: String = text.chars().take(10_000).collect();
    let word = tokens(&beginning).into_iter().filter(|token| token.length == 1).max_by_key(|token| token.text.len())?;
    let typed = &beginning[word.start..word.end];
    Some(Query::Text { within: Within::Any, plan: plan(typed), typed: typed.to_owned() })
}

fn is_found(searcher: &Searcher, number: u64, query: Query) -> Result<bool, Error> {
    let this = Query::Records { from: Some(number), to: Some(number) };
    let answer = searcher.search(&Request {
        query: &Query::And(vec![query, this]),
        scope: &Scope::All,
        directory: &Directory::default(),
        kinds: &[],
        states: &[],
        as_of: None,
        order: Order::Newest,
        paging: Paging::Page { offset: 0, limit: 1 },
        facets: None,
    })?;
    Ok(answer.total == 1)
}
