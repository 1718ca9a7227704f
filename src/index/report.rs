//! The search term report: what each line of a list of terms or queries finds, alone and beside the
//! others.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::{Column, StrColumn};
use tantivy::index::SegmentReader;
use tantivy::{DocId, Score};

use super::Error;
use super::budget::Budget;
use super::compile::Expansion;
use super::searcher::{Order, Request, Searcher};
use crate::model::Scope;
use crate::query::Query;

/// What one line finds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReportLine {
    /// Documents.
    pub hits: u64,
    /// Documents that no other line finds.
    pub unique: u64,
    /// Documents with their families: the message that carries a file, the file, and the comments on it.
    pub with_families: u64,
    /// Hits by channel.
    pub channels: BTreeMap<String, u64>,
    /// Hits by who wrote them.
    pub authors: BTreeMap<String, u64>,
    /// What its patterns stood for.
    pub expansions: Vec<Expansion>,
    /// What should be known about how it was read.
    pub notes: Vec<String>,
}

/// What a list of queries finds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Line by line.
    pub lines: Vec<ReportLine>,
    /// Documents that any line finds.
    pub hits: u64,
    /// The same with families.
    pub with_families: u64,
    /// Every record below this number was searched.
    pub searched_through: u64,
}

/// What is gathered of each hit.
#[derive(Debug, Default)]
struct Gathered {
    records: Vec<u64>,
    families: HashSet<u64>,
    channels: BTreeMap<String, u64>,
    authors: BTreeMap<String, u64>,
}

struct Gather {
    channels: Option<BTreeSet<String>>,
    budget: Arc<Budget>,
}

struct Segment {
    seq: Column<u64>,
    family: Column<u64>,
    channel: Option<StrColumn>,
    author: Option<StrColumn>,
    channel_counts: HashMap<u64, u64>,
    author_counts: HashMap<u64, u64>,
    allowed: Option<BTreeSet<String>>,
    gathered: Gathered,
    budget: Arc<Budget>,
}

impl Collector for Gather {
    type Fruit = Gathered;
    type Child = Segment;

    fn for_segment(&self, _ordinal: u32, segment: &SegmentReader) -> tantivy::Result<Segment> {
        let fast = segment.fast_fields();
        Ok(Segment {
            seq: fast.u64("seq")?,
            family: fast.u64("family")?,
            channel: fast.str("channel")?,
            author: fast.str("author")?,
            channel_counts: HashMap::new(),
            author_counts: HashMap::new(),
            allowed: self.channels.clone(),
            gathered: Gathered::default(),
            budget: Arc::clone(&self.budget),
        })
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    fn merge_fruits(&self, fruits: Vec<Gathered>) -> tantivy::Result<Gathered> {
        let mut merged = Gathered::default();
        for fruit in fruits {
            merged.records.extend(fruit.records);
            merged.families.extend(fruit.families);
            for (mine, theirs) in [(&mut merged.channels, fruit.channels), (&mut merged.authors, fruit.authors)] {
                for (value, count) in theirs {
                    *mine.entry(value).or_default() += count;
                }
            }
        }
        merged.records.sort_unstable();
        Ok(merged)
    }
}

impl SegmentCollector for Segment {
    type Fruit = Gathered;

    fn collect(&mut self, doc: DocId, _score: Score) {
        if !self.budget.go_on() {
            return;
        }
        self.gathered.records.extend(self.seq.first(doc));
        self.gathered.families.extend(self.family.values_for_doc(doc));
        for ord in self.channel.iter().flat_map(|column| column.term_ords(doc)) {
            *self.channel_counts.entry(ord).or_default() += 1;
        }
        for ord in self.author.iter().flat_map(|column| column.term_ords(doc)) {
            *self.author_counts.entry(ord).or_default() += 1;
        }
    }

    fn harvest(self) -> Gathered {
        let mut gathered = self.gathered;
        let named = |column: Option<StrColumn>, counts: HashMap<u64, u64>, into: &mut BTreeMap<String, u64>| {
            let Some(column) = column else { return };
            for (ord, count) in counts {
                let mut text = String::new();
                if column.ord_to_str(ord, &mut text).unwrap_or(false) {
                    *into.entry(text).or_default() += count;
                }
            }
        };
        named(self.channel, self.channel_counts, &mut gathered.channels);
        named(self.author, self.author_counts, &mut gathered.authors);
        if let Some(allowed) = &self.allowed {
            gathered.channels.retain(|channel, _| allowed.contains(channel));
        }
        gathered
    }
}

/// Runs every line of a list over the same state of the index. Of `request` all but its query, order,
/// page and facets counts.
pub fn report(searcher: &Searcher, queries: &[&Query], request: &Request<'_>) -> Result<Report, Error> {
    let still = searcher.still()?;
    let mut out = Report { searched_through: still.searched_through(), ..Report::default() };
    let mut found: Vec<Gathered> = Vec::new();
    for query in queries {
        let line = Request { query, order: Order::Newest, ..request.clone() };
        let compiled = still.compile(&line, None)?;
        let channels = match request.scope {
            Scope::All => None,
            Scope::Channels(channels) => Some(channels.iter().map(|id| id.as_str().to_owned()).collect()),
        };
        let gathered = still.collect(&compiled, &Gather { channels, budget: Arc::clone(&compiled.budget) })?;
        out.lines.push(ReportLine {
            hits: gathered.records.len() as u64,
            with_families: still.families(request, &gathered.families)?,
            channels: gathered.channels.clone(),
            authors: gathered.authors.clone(),
            notes: compiled.notes,
            expansions: compiled.expansions,
            unique: 0,
        });
        found.push(gathered);
    }
    let mut lines_of: HashMap<u64, u32> = HashMap::new();
    for record in found.iter().flat_map(|gathered| &gathered.records) {
        *lines_of.entry(*record).or_default() += 1;
    }
    for (line, gathered) in out.lines.iter_mut().zip(&found) {
        line.unique = gathered.records.iter().filter(|record| lines_of.get(record) == Some(&1)).count() as u64;
    }
    out.hits = lines_of.len() as u64;
    let all: HashSet<u64> = found.iter().flat_map(|gathered| gathered.families.iter().copied()).collect();
    out.with_families = still.families(request, &all)?;
    Ok(out)
}
