//! What matches, counted by channel, author and so on, and by day, week or month.
//!
//! A facet does not count its own selection: with two channels chosen, the other channels still show
//! what choosing them would add. So the engine's query leaves the selections out, and they are judged
//! here, document by document.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{Datelike as _, NaiveDate};
use tantivy::DocId;
use tantivy::columnar::{Column, StrColumn};
use tantivy::index::SegmentReader;

use super::as_of::AsOf;
use crate::history::ItemState;
use crate::model::{UtcTime, Zone};

/// By what hits can be counted and chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Facet {
    /// The channels it stands in.
    Channel,
    /// Who wrote it.
    Author,
    /// Message, comment or file.
    Kind,
    /// A file's extension.
    Extension,
    /// Current, edited or deleted.
    State,
    /// What became of reading a file's text.
    Extraction,
}

impl Facet {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 6] =
        [Self::Channel, Self::Author, Self::Kind, Self::Extension, Self::State, Self::Extraction];

    /// The word on the command line, in addresses and in replies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Channel => "channel",
            Self::Author => "author",
            Self::Kind => "kind",
            Self::Extension => "extension",
            Self::State => "state",
            Self::Extraction => "extraction",
        }
    }

    /// The facet of that word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|facet| facet.as_str() == text)
    }

    fn column(self) -> &'static str {
        match self {
            Self::Extraction => "status",
            other => other.as_str(),
        }
    }
}

/// How long the stretches of a histogram are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stretch {
    /// A day.
    Day,
    /// A week from Monday on.
    Week,
    /// A month.
    Month,
}

impl Stretch {
    /// The stretch of that word.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "day" => Some(Self::Day),
            "week" => Some(Self::Week),
            "month" => Some(Self::Month),
            _ => None,
        }
    }

    /// The first day of the stretch that `day` lies in.
    fn first(self, day: NaiveDate) -> NaiveDate {
        match self {
            Self::Day => day,
            Self::Week => day.week(chrono::Weekday::Mon).checked_first_day().unwrap_or(day),
            Self::Month => day.with_day(1).unwrap_or(day),
        }
    }
}

/// What is counted, and what was chosen.
#[derive(Debug, Clone, Default)]
pub struct FacetPlan {
    /// Whether hits are counted at all, beside being chosen.
    pub counts: bool,
    /// The values chosen of a facet: a hit has one of them. None: all.
    pub chosen: BTreeMap<Facet, BTreeSet<String>>,
    /// A histogram, and the zone in which days begin.
    pub histogram: Option<(Stretch, Zone)>,
    /// Only these channels are named; `None`: all.
    pub channels: Option<BTreeSet<String>>,
    /// States are those of this moment; `None`: now. Set by the search.
    pub as_of: Option<UtcTime>,
}

/// The counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FacetCounts {
    /// Hits by facet and value.
    pub values: BTreeMap<Facet, BTreeMap<String, u64>>,
    /// Hits by the first day of a stretch.
    pub histogram: BTreeMap<NaiveDate, u64>,
}

impl FacetCounts {
    /// Adds the counts of other documents.
    pub fn add(&mut self, other: Self) {
        for (facet, values) in other.values {
            let mine = self.values.entry(facet).or_default();
            for (value, count) in values {
                *mine.entry(value).or_default() += count;
            }
        }
        for (day, count) in other.histogram {
            *self.histogram.entry(day).or_default() += count;
        }
    }
}

/// States as values of a facet at a moment, by their places here.
const STATES: [ItemState; 3] = [ItemState::Current, ItemState::Edited, ItemState::Deleted];

/// Where the values of a facet come from.
enum Values {
    /// No document of the segment has one.
    None,
    Column(StrColumn),
    AsOf(AsOf),
}

impl Values {
    fn count(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Column(column) => column.num_terms(),
            Self::AsOf(_) => STATES.len(),
        }
    }

    /// Calls `each` with the places given, which ascend, and the value at each. Read in one sweep: a
    /// look-up of each value on its own took most of the time of a search that counts.
    fn names(&self, places: &[usize], mut each: impl FnMut(usize, &str)) -> tantivy::Result<()> {
        match self {
            Self::None => {}
            Self::Column(column) => {
                let ords: Vec<u64> = places.iter().map(|place| *place as u64).collect();
                let (mut next, mut is_text) = (0, true);
                let are_there = column.dictionary().sorted_ords_to_term_cb(&ords, |value| {
                    match std::str::from_utf8(value) {
                        Ok(value) => each(places[next], value),
                        Err(_) => is_text = false,
                    }
                    next += 1;
                })?;
                if !are_there || !is_text {
                    let detail = "a value of a facet is not in its dictionary, or is no text";
                    return Err(tantivy::TantivyError::InternalError(detail.to_owned()));
                }
            }
            Self::AsOf(_) => {
                for place in places {
                    if let Some(state) = STATES.get(*place) {
                        each(*place, state.as_str());
                    }
                }
            }
        }
        Ok(())
    }

    /// Calls `each` with the place of each value of a document.
    fn of(&self, doc: DocId, mut each: impl FnMut(usize)) {
        match self {
            Self::None => {}
            Self::Column(column) => {
                column.term_ords(doc).filter_map(|ord| usize::try_from(ord).ok()).for_each(each);
            }
            Self::AsOf(standing) => {
                if let Some(place) =
                    standing.state(doc).and_then(|state| STATES.iter().position(|known| *known == state))
                {
                    each(place);
                }
            }
        }
    }
}

/// One facet in one segment.
struct Counter {
    facet: Facet,
    values: Values,
    counts: Vec<u64>,
    /// For each value whether it was chosen; `None`: nothing was.
    chosen: Option<Vec<bool>>,
}

/// The facets of one segment.
pub(super) struct SegmentFacets {
    counters: Vec<Counter>,
    counts: bool,
    ts: Column<i64>,
    histogram: Option<(Stretch, Zone)>,
    days: HashMap<NaiveDate, u64>,
    /// The day of the last hit: hits often follow each other in time.
    day: Option<(i64, i64, NaiveDate)>,
    channels: Option<BTreeSet<String>>,
}

impl SegmentFacets {
    pub(super) fn new(plan: &FacetPlan, segment: &SegmentReader) -> tantivy::Result<Self> {
        let fast = segment.fast_fields();
        let mut counters = Vec::new();
        for facet in Facet::ALL {
            let chosen = plan.chosen.get(&facet).filter(|values| !values.is_empty());
            if !plan.counts && chosen.is_none() {
                continue;
            }
            let values = match (facet, plan.as_of) {
                (Facet::State, Some(moment)) => Values::AsOf(AsOf::new(segment, moment)?),
                _ => fast.str(facet.column())?.map_or(Values::None, Values::Column),
            };
            let chosen = match chosen {
                Some(wanted) => {
                    let mut chosen = vec![false; values.count()];
                    let all: Vec<usize> = (0..chosen.len()).collect();
                    // A file stands in channels that the asker may not see, too: it is not found by those.
                    let may_be = |name: &str| {
                        facet != Facet::Channel || plan.channels.as_ref().is_none_or(|seen| seen.contains(name))
                    };
                    values.names(&all, |place, name| chosen[place] = wanted.contains(name) && may_be(name))?;
                    Some(chosen)
                }
                None => None,
            };
            counters.push(Counter { facet, counts: vec![0; values.count()], values, chosen });
        }
        Ok(Self {
            counters,
            counts: plan.counts,
            ts: fast.i64("ts")?,
            histogram: plan.histogram,
            days: HashMap::new(),
            day: None,
            channels: plan.channels.clone(),
        })
    }

    /// Counts a document; whether it has all that was chosen.
    pub(super) fn count(&mut self, doc: DocId) -> bool {
        let mut missing = None;
        let mut lacks = 0;
        for (at, counter) in self.counters.iter().enumerate() {
            if let Some(chosen) = &counter.chosen {
                let mut has = false;
                counter.values.of(doc, |place| has |= chosen[place]);
                if !has {
                    lacks += 1;
                    missing = Some(at);
                }
            }
        }
        if self.counts && lacks < 2 {
            for (at, Counter { values, counts, .. }) in self.counters.iter_mut().enumerate() {
                if missing.is_none_or(|missing| missing == at) {
                    values.of(doc, |place| counts[place] += 1);
                }
            }
        }
        if lacks == 0 {
            self.in_histogram(doc);
        }
        lacks == 0
    }

    fn in_histogram(&mut self, doc: DocId) {
        let (Some((stretch, zone)), Some(ts)) = (self.histogram, self.ts.first(doc)) else { return };
        let day = match self.day {
            Some((from, to, day)) if (from..to).contains(&ts) => day,
            _ => {
                let Some(time) = UtcTime::from_timestamp_micros(ts) else { return };
                let day = zone.date(time);
                let from = zone.start_of_day(day).timestamp_micros();
                let to = day.succ_opt().map_or(i64::MAX, |next| zone.start_of_day(next).timestamp_micros());
                self.day = Some((from, to, day));
                day
            }
        };
        *self.days.entry(stretch.first(day)).or_default() += 1;
    }

    pub(super) fn harvest(self) -> tantivy::Result<FacetCounts> {
        let mut out = FacetCounts { histogram: self.days.into_iter().collect(), ..FacetCounts::default() };
        for counter in self.counters.into_iter().filter(|_| self.counts) {
            let found: Vec<usize> = (0..counter.counts.len()).filter(|place| counter.counts[*place] > 0).collect();
            let values = out.values.entry(counter.facet).or_default();
            counter.values.names(&found, |place, name| {
                // A file may stand in channels that the asker may not see.
                let is_hidden = counter.facet == Facet::Channel
                    && self.channels.as_ref().is_some_and(|allowed| !allowed.contains(name));
                if !is_hidden {
                    *values.entry(name.to_owned()).or_default() += counter.counts[place];
                }
            })?;
        }
        Ok(out)
    }
}
