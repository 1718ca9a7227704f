//! Messages of channels by month, counted once for each state of the index.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::NaiveDate;

use super::desk::Desk;
use crate::history::{Directory, ItemState};
use crate::index::{self, Facet, FacetPlan, Order, Paging, Request, Stretch};
use crate::model::ChannelId;
use crate::query::{Query, Sort};

/// Channels whose counts are kept; then all are forgotten.
const KEPT: usize = 256;

type Months = Arc<BTreeMap<NaiveDate, u64>>;
/// A channel and the name of a zone.
type Key = (ChannelId, &'static str);

/// What was counted: for a channel and a zone, and the record up to which the index went.
#[derive(Debug, Default)]
pub(super) struct Counts(Mutex<HashMap<Key, (u64, Months)>>);

impl Counts {
    /// How many messages of a channel, the deleted included, each month has in the zone of the desk, as far as the
    /// index goes. Nothing of a channel that the reader may not see.
    pub(super) fn months(
        &self,
        desk: &Desk,
        channel: &ChannelId,
        directory: &Directory,
    ) -> Result<Months, index::Error> {
        if !desk.archive().allows(channel) {
            return Ok(Arc::default());
        }
        let reached = desk.web().searcher().reached()?;
        let key = (channel.clone(), desk.zone.name());
        if let Some((known, months)) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key)
            && *known == reached
        {
            return Ok(Arc::clone(months));
        }
        let id = channel.as_str().to_owned();
        let answer = desk.search(&Request {
            query: &Query::In(id.clone()),
            scope: &desk.viewer.scope,
            directory,
            kinds: &[Sort::Message],
            // One version of each message: the last.
            states: &[ItemState::Current, ItemState::Deleted],
            as_of: None,
            order: Order::Oldest,
            paging: Paging::Page { offset: 0, limit: 0 },
            facets: Some(FacetPlan {
                // Another channel may be called as this one is numbered.
                chosen: [(Facet::Channel, [id].into())].into(),
                histogram: Some((Stretch::Month, desk.zone)),
                ..FacetPlan::default()
            }),
        })?;
        let months: Months = Arc::new(answer.facets.histogram);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(key, (answer.searched_through, Arc::clone(&months)));
        Ok(months)
    }
}
