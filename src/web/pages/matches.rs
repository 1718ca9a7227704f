//! The matches of a search inside one channel, from one to the next.

use super::transcript::anchor;
use super::way::Way;
use crate::history::{AsOf, Directory, item_at};
use crate::index::{self, Answer, Facet, FacetPlan, Order, Paging, Request};
use crate::model::{ChannelId, MessageTs, TimeRange, UtcTime};
use crate::query::{self, Context, Query, Sort};
use crate::web::desk::Desk;
use crate::web::error::WebError;

/// Where the reader is among the matches.
#[derive(Debug, Default)]
pub(crate) struct Matches {
    /// `Match 3 of 17`.
    pub(crate) place: String,
    pub(crate) query: String,
    pub(crate) previous: Option<String>,
    pub(crate) next: Option<String>,
    /// The search that leads here.
    pub(crate) back: String,
    /// Why there is none.
    pub(crate) error: String,
}

/// What is looked for, and from where.
pub(crate) struct Around<'a> {
    pub(crate) desk: &'a Desk,
    pub(crate) channel: &'a ChannelId,
    pub(crate) directory: &'a Directory,
    pub(crate) way: &'a Way,
    pub(crate) text: &'a str,
    pub(crate) as_of: AsOf,
    /// The message that the page is about.
    pub(crate) target: Option<MessageTs>,
    /// Else the first that it shows.
    pub(crate) first: MessageTs,
}

impl Around<'_> {
    /// The query, if it can be read, and the matches. A page is shown whatever becomes of its search.
    pub(crate) fn find(&self) -> Result<(Option<Query>, Matches), WebError> {
        let desk = self.desk;
        let back = format!(
            "/search?{}",
            url::form_urlencoded::Serializer::new(String::new()).append_pair("q", self.text).finish()
        );
        let mut matches = Matches { query: self.text.to_owned(), back, ..Matches::default() };
        let parsed = match query::parse(self.text, &Context { zone: desk.zone, now: desk.web().now() }) {
            Ok(parsed) => parsed.query,
            Err(error) => {
                matches.error = error.to_string();
                return Ok((None, matches));
            }
        };
        match self.places(&parsed) {
            Ok((before, here, after)) => {
                let total = before.total + here + after.total;
                matches.place = match (self.target.is_some(), here) {
                    (true, 1) => desk.w.with_two("match-of", before.total + 1, total),
                    (true, 2..) => desk.w.with_three("matches-of", before.total + 1, before.total + here, total),
                    _ => desk.w.count("matches-here", total),
                };
                matches.previous = self.href(&before)?;
                matches.next = self.href(&after)?;
            }
            Err(index::Error::TooBroad(detail)) => matches.error = detail,
            Err(error) => {
                tracing::warn!(%error, "the matches of a channel cannot be looked up");
                matches.error = desk.w.say("matches-no-index");
            }
        }
        Ok((Some(parsed), matches))
    }

    /// The matches before the place, how many are at it, and those after it.
    fn places(&self, parsed: &Query) -> Result<(Answer, u64, Answer), index::Error> {
        let next = |ts: MessageTs| MessageTs::from_micros(ts.micros() + 1);
        let (from, to) = match self.target {
            Some(ts) => (ts, next(ts)),
            None => (self.first, self.first),
        };
        let range = |from: Option<MessageTs>, to: Option<MessageTs>| TimeRange {
            from: from.map(MessageTs::time),
            to: to.map(MessageTs::time),
        };
        let before = self.search(parsed, range(None, Some(from)), Order::Newest, 1)?;
        let here =
            if from == to { 0 } else { self.search(parsed, range(Some(from), Some(to)), Order::Oldest, 0)?.total };
        let after = self.search(parsed, range(Some(to), None), Order::Oldest, 1)?;
        Ok((before, here, after))
    }

    fn search(&self, parsed: &Query, range: TimeRange, order: Order, limit: usize) -> Result<Answer, index::Error> {
        let id = self.channel.as_str().to_owned();
        let as_of: Option<UtcTime> = match self.as_of {
            AsOf::Time(time) => Some(time),
            _ => None,
        };
        self.desk.search(&Request {
            query: &Query::And(vec![parsed.clone(), Query::In(id.clone()), Query::Time(range)]),
            scope: &self.desk.viewer.scope,
            directory: self.directory,
            kinds: &[Sort::Message],
            states: &[],
            as_of,
            order,
            paging: Paging::Page { offset: 0, limit },
            // Another channel may be called as this one is numbered.
            facets: Some(FacetPlan { chosen: [(Facet::Channel, [id].into())].into(), ..FacetPlan::default() }),
        })
    }

    /// Where the first of these matches is shown.
    fn href(&self, found: &Answer) -> Result<Option<String>, WebError> {
        let Some(hit) = found.hits.first() else { return Ok(None) };
        let found = self.desk.archive().resolve(&format!("record:{}", hit.seq))?;
        let place = found.as_ref().and_then(|found| item_at(&found.item, self.as_of));
        Ok(place.map(|at| self.way.at(hit.seq.0, &anchor(at.reading.seq.0))))
    }
}
