//! What is known of how well one channel is covered, as its pages say it: a silence that was looked at is
//! another thing than one that nobody saw.

use chrono::NaiveDate;

use super::lacking::{limit, why};
use super::view::Moment;
use crate::history::ChannelCoverage;
use crate::model::{ChannelId, MessageTs, UtcTime, Zone};
use crate::web::desk::Desk;
use crate::web::error::WebError;
use crate::web::markup::visible;

/// Time that was not walked to the end: after `from`, before `to`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) from: MessageTs,
    pub(crate) to: MessageTs,
    /// Why, and what closes it; in whose view.
    pub(crate) reasons: Vec<String>,
}

impl Gap {
    /// Whether some of it lies after `from` and not after `to`.
    pub(crate) fn meets(&self, from: MessageTs, to: MessageTs) -> bool {
        self.from < to && self.to > from
    }

    /// From when to when, in words.
    pub(crate) fn when(&self, desk: &Desk) -> String {
        let shown = |ts: MessageTs| Moment::new(ts.time(), desk.zone).full;
        match (self.from == MessageTs::MIN, self.to == MessageTs::MAX) {
            (true, true) => desk.w.say("gap-all"),
            (true, false) => desk.w.with("gap-until", shown(self.to)),
            (false, true) => desk.w.with("gap-since", shown(self.from)),
            (false, false) => desk.w.with_two("gap-between", shown(self.from), shown(self.to)),
        }
    }
}

/// The bounds of a day: the first moment of it, and the first after it.
pub(crate) fn bounds(zone: Zone, day: NaiveDate) -> (MessageTs, MessageTs) {
    let start = |day| MessageTs::from_micros(zone.start_of_day(day).timestamp_micros());
    (start(day), day.succ_opt().map_or(MessageTs::MAX, start))
}

/// What is covered of a channel.
#[derive(Debug, Clone, Default)]
pub(crate) struct Captured {
    /// Oldest first.
    pub(crate) gaps: Vec<Gap>,
    /// The accounts that walked it, and when each did so to its end.
    pub(crate) walks: Vec<(String, Option<UtcTime>)>,
    /// The last time that it was walked to its end.
    pub(crate) until: Option<UtcTime>,
    /// What is owed, and what no crawl can see.
    pub(crate) notes: Vec<String>,
    /// Why it is never fetched.
    pub(crate) excluded: Option<String>,
}

impl Captured {
    /// What is covered of a channel that the reader may see.
    pub(crate) fn of(desk: &Desk, channel: &ChannelId) -> Result<Self, WebError> {
        let coverage = desk.coverage()?;
        let found = coverage.channels.into_iter().find(|found| found.channel == channel.as_str());
        Ok(found.map_or_else(Self::default, |found| Self::read(desk, found)))
    }

    pub(crate) fn read(desk: &Desk, found: ChannelCoverage) -> Self {
        let w = desk.w;
        let ts = |text: Option<&String>, or| text.and_then(|text| MessageTs::parse(text)).unwrap_or(or);
        let mut gaps: Vec<Gap> = Vec::new();
        for gap in &found.gaps {
            let (from, to) = (ts(gap.from.as_ref(), MessageTs::MIN), ts(gap.to.as_ref(), MessageTs::MAX));
            let why = why(w, &gap.reason);
            let reason = match gap.account.as_str() {
                "" => why,
                account => w.with_two("gap-in-view-of", why, visible(account)),
            };
            match gaps.iter_mut().find(|known| (known.from, known.to) == (from, to)) {
                Some(known) => known.reasons.push(reason),
                None => gaps.push(Gap { from, to, reasons: vec![reason] }),
            }
        }
        gaps.sort_by_key(|gap| (gap.from, gap.to));
        let time = |text: &String| chrono::DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc());
        let walks: Vec<(String, Option<UtcTime>)> = found
            .intervals
            .iter()
            .map(|interval| (visible(&interval.account), interval.walked_at.as_ref().and_then(time)))
            .collect();
        let owed = found.debts.iter().map(|debt| w.with_two("owed-of-kind", &debt.kind, &debt.reason));
        Self {
            until: walks.iter().filter_map(|(_, at)| *at).max(),
            walks,
            notes: owed.chain(found.limits.iter().map(|found| limit(w, found))).collect(),
            excluded: found.excluded.map(|policy| w.with_three("excluded-by", policy.reason, policy.by, policy.since)),
            gaps,
        }
    }

    /// The gaps that meet a stretch after `from` and not after `to`.
    pub(crate) fn between(&self, from: MessageTs, to: MessageTs) -> impl Iterator<Item = &Gap> {
        self.gaps.iter().filter(move |gap| gap.meets(from, to))
    }

    /// Whether it was walked to its end after `to`, with nothing left out after `from`: silence in between is silence.
    pub(crate) fn has_seen(&self, from: MessageTs, to: MessageTs) -> bool {
        let is_walked = self.until.is_some_and(|until| until > to.time());
        is_walked && self.excluded.is_none() && self.between(from, to).next().is_none()
    }

    /// Whether a day, or some of it, was after the last walk.
    pub(crate) fn is_after(&self, zone: Zone, day: NaiveDate) -> bool {
        let end = day.succ_opt().map(|next| zone.start_of_day(next));
        self.until.is_none_or(|until| end.is_none_or(|end| end > until))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_meets_what_lies_between_its_ends() {
        let ts = |second: i64| MessageTs::from_micros(second * 1_000_000);
        let gap = Gap { from: ts(10), to: ts(20), reasons: Vec::new() };
        for (from, to, meets) in
            [(0, 10, false), (0, 11, true), (12, 13, true), (19, 30, true), (20, 30, false), (0, 99, true)]
        {
            assert_eq!(gap.meets(ts(from), ts(to)), meets, "{from}..{to}");
        }
    }

    #[test]
    fn silence_is_real_where_it_was_looked_at_later_and_no_gap_is() {
        let ts = |second: i64| MessageTs::from_micros(second * 1_000_000);
        let gap = Gap { from: ts(10), to: ts(20), reasons: Vec::new() };
        let walked = Captured { gaps: vec![gap], until: Some(ts(50).time()), ..Captured::default() };
        for (from, to, seen) in [(0, 10, true), (0, 15, false), (20, 49, true), (5, 30, false), (20, 51, false)] {
            assert_eq!(walked.has_seen(ts(from), ts(to)), seen, "{from}..{to}");
        }
        assert!(!Captured::default().has_seen(ts(0), ts(1)), "nobody looked");
        let excluded = Captured { excluded: Some(String::new()), ..walked };
        assert!(!excluded.has_seen(ts(0), ts(10)));
    }
}
