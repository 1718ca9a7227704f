//! A search engine, held against the judge.

use std::collections::{BTreeMap, BTreeSet};

use super::document::{Document, Kind, State};
use super::judge::finds;
use super::sought::{Pen, Sought};

/// Of one answer.
const MOST_PAGES: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Relevance,
    Newest,
    Oldest,
}

/// A search with all that restricts and arranges it.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    pub(super) sought: Sought,
    /// Which spellings are used.
    pub(super) dice: u64,
    /// The channels that may be seen; `None`: all.
    pub(super) scope: Option<BTreeSet<String>>,
    /// Empty: all.
    pub(super) kinds: Vec<Kind>,
    /// Empty: all.
    pub(super) states: Vec<State>,
    /// In milliseconds.
    pub(super) as_of: Option<i64>,
    pub(super) order: Order,
    /// Hits on a page.
    pub(super) limit: usize,
}

impl Ask {
    pub(super) fn query(&self) -> String {
        Pen::new(self.dice).write(&self.sought)
    }

    pub(super) fn at(&self) -> i64 {
        self.as_of.unwrap_or(i64::MAX)
    }

    /// Whether a document is looked at, and matches.
    pub(super) fn is_answered_by(&self, document: &Document) -> bool {
        let Some(state) = document.state(self.at()) else { return false };
        document.is_seen_by(self.scope.as_ref())
            && (self.kinds.is_empty() || self.kinds.contains(&document.kind))
            && (self.states.is_empty() || self.states.contains(&state))
            && finds(&self.sought, &document.as_seen_by(self.scope.as_ref()), self.at())
    }
}

/// Hits by facet (`channel`, `author`, `kind`, `extension`, `state`) and value, in small letters.
pub(super) type Facets = BTreeMap<&'static str, BTreeMap<String, u64>>;

/// One page of an answer. Documents are named by their number in the order in which they were added.
#[derive(Debug, Clone)]
pub(super) struct Page {
    pub(super) hits: Vec<usize>,
    pub(super) total: u64,
    pub(super) facets: Facets,
    pub(super) next: Option<String>,
}

/// What is held against the judge.
pub(super) trait Engine {
    /// Adds documents behind those that it has. A subject is added with all its versions at once.
    fn add(&mut self, documents: &[Document]);

    /// The first page of an answer, or the one that a cursor names; an error in the words that a
    /// person would be shown.
    fn search(&self, query: &str, ask: &Ask, limit: usize, cursor: Option<&str>) -> Result<Page, String>;
}

/// Everything that is not as it should be with one answer, or nothing; and how many matched.
pub(super) fn compare(engine: &dyn Engine, documents: &[Document], ask: &Ask) -> Result<usize, String> {
    let query = ask.query();
    let said = |what: String| format!("{what}\nquery: {query}\n{ask:#?}");
    let expected: BTreeSet<usize> = (0..documents.len()).filter(|n| ask.is_answered_by(&documents[*n])).collect();
    let whole =
        engine.search(&query, ask, documents.len().max(1), None).map_err(|error| said(format!("refused: {error}")))?;
    let found: BTreeSet<usize> = whole.hits.iter().copied().collect();
    if let Some(missed) = expected.difference(&found).next() {
        return Err(said(format!("not found: {:#?}", documents[*missed])));
    }
    if let Some(surplus) = found.difference(&expected).next() {
        return Err(said(format!("found though it does not match: {:#?}", documents[*surplus])));
    }
    if whole.hits.len() != found.len() {
        return Err(said(format!("some are found twice: {:?}", whole.hits)));
    }
    if whole.total != expected.len() as u64 {
        return Err(said(format!("the total is {} and not {}", whole.total, expected.len())));
    }
    if whole.next.is_some() {
        return Err(said(format!("there is a page after the last hit: {:?}", whole.next)));
    }
    let counted = count(documents, &expected, ask);
    if whole.facets != counted {
        return Err(said(format!("the facets are {:?}\nand not {counted:?}", whole.facets)));
    }
    if let Some(wrong) = disorder(documents, &whole.hits, ask) {
        return Err(said(wrong));
    }
    // Small pages of many hits would take most of the time and tell nothing new.
    let limit = ask.limit.max(expected.len() / MOST_PAGES);
    let paged = pages(engine, &query, ask, limit, None, expected.len()).map_err(&said)?;
    if paged != whole.hits {
        return Err(said(format!("pages of {limit} show {paged:?}\nand not {:?}", whole.hits)));
    }
    Ok(expected.len())
}

/// All hits from a cursor on, page by page.
pub(super) fn pages(
    engine: &dyn Engine,
    query: &str,
    ask: &Ask,
    limit: usize,
    mut cursor: Option<String>,
    total: usize,
) -> Result<Vec<usize>, String> {
    let mut out = Vec::new();
    for _ in 0..=total {
        let page = engine
            .search(query, ask, limit, cursor.as_deref())
            .map_err(|error| format!("a page is refused: {error}"))?;
        if page.total != total as u64 {
            return Err(format!("the total of a page is {} and not {total}", page.total));
        }
        out.extend(page.hits);
        cursor = page.next;
        if cursor.is_none() {
            return Ok(out);
        }
    }
    Err(format!("there are more than {total} pages of {total} hits"))
}

/// What the facets of some hits are.
pub(super) fn count(documents: &[Document], hits: &BTreeSet<usize>, ask: &Ask) -> Facets {
    let mut out = Facets::new();
    for hit in hits {
        let document = &documents[*hit];
        let mut add = |facet: &'static str, value: &str| {
            if !value.is_empty() {
                *out.entry(facet).or_default().entry(value.to_lowercase()).or_default() += 1;
            }
        };
        for channel in &document.channels {
            // Who sees a file in one channel is not told that it also stands in another.
            if ask.scope.as_ref().is_none_or(|scope| scope.contains(channel)) {
                add("channel", channel);
            }
        }
        add("author", &document.author);
        add("kind", document.kind.as_str());
        add("extension", &document.extension);
        add("state", document.state(ask.at()).unwrap().as_str());
    }
    out
}

/// Where an order by time is broken. Hits of one moment stand together by channel, and those of one
/// channel by record, in one direction or the other.
fn disorder(documents: &[Document], hits: &[usize], ask: &Ask) -> Option<String> {
    let order = ask.order;
    if order == Order::Relevance {
        return None;
    }
    let place = |hit: usize| {
        let seen = documents[hit].as_seen_by(ask.scope.as_ref());
        (seen.ts, seen.channels.first().cloned())
    };
    let mut seen = BTreeSet::new();
    let mut directions = BTreeSet::new();
    for pair in hits.windows(2) {
        let (first, second) = (pair[0], pair[1]);
        let (earlier, later) = (documents[first].ts, documents[second].ts);
        if earlier != later && (earlier > later) != (order == Order::Newest) {
            return Some(format!("hit {first} of {earlier} stands before {second} of {later}"));
        }
        if place(first) == place(second) {
            directions.insert(first < second);
        } else if !seen.insert(place(first)) || seen.contains(&place(second)) {
            return Some(format!("hits of {:?} do not stand together", place(first)));
        }
    }
    (directions.len() > 1).then(|| format!("hits of one moment and channel are in no order: {hits:?}"))
}
