use std::collections::BTreeMap;

use super::reach::Reach;
use crate::history::{ChannelCoverage, Coverage, Gap};
use crate::model::{ChannelId, MessageTs, TimeRange, UtcTime};
use crate::web::desk::Desk;
use crate::web::markup::{encode, visible};
use crate::web::pages::view::called;

/// Gaps that are told one by one, and channels that are named of each.
const TOLD: usize = 3;
const NAMED: usize = 3;
/// An archive that was looked after so recently counts as fresh.
const FRESH: chrono::TimeDelta = chrono::TimeDelta::days(1);

/// Time that was not captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Missing {
    pub(crate) from: UtcTime,
    pub(crate) to: UtcTime,
}

impl Missing {
    fn of(gap: &Gap) -> Self {
        let moment = |ts: &Option<String>| ts.as_deref().and_then(MessageTs::parse).map(MessageTs::time);
        let since = gap.since.as_deref().and_then(|text| chrono::DateTime::parse_from_rfc3339(text).ok());
        // Up to a walk nothing newer than the last message was there.
        let from = since.map(|time| time.to_utc()).max(moment(&gap.from));
        Self { from: from.unwrap_or(UtcTime::MIN_UTC), to: moment(&gap.to).unwrap_or(UtcTime::MAX_UTC) }
    }

    fn touches(self, time: TimeRange) -> bool {
        time.to.is_none_or(|to| self.from < to) && time.from.is_none_or(|from| self.to > from)
    }
}

/// A stretch that was not captured in a channel, for people.
#[derive(Debug, Clone)]
pub(crate) struct GapView {
    pub(crate) sentence: String,
    pub(crate) href: String,
}

/// What is not covered of where and when a search looks.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gaps {
    /// How many channels and conversations it looks into.
    pub(crate) channels: usize,
    pub(crate) told: Vec<GapView>,
    pub(crate) more: usize,
    /// Channels that are never fetched, by a decision.
    pub(crate) excluded: usize,
    /// Stretches that the histogram hatches: what is missing in some channel, or everywhere.
    pub(crate) hatched: Vec<Missing>,
    /// Since when nobody looked anywhere, where that matters to the search.
    pub(crate) idle_since: Option<UtcTime>,
    /// When somebody last looked at any of the channels.
    pub(crate) looked_at: Option<UtcTime>,
}

fn walked_until(channel: &ChannelCoverage) -> Option<UtcTime> {
    let times = channel.intervals.iter().filter_map(|interval| interval.walked_at.as_deref());
    times.filter_map(|text| chrono::DateTime::parse_from_rfc3339(text).ok()).map(|time| time.to_utc()).max()
}

impl Gaps {
    /// Of the channels that the search looks into.
    pub(crate) fn of(desk: &Desk, coverage: &Coverage, reach: &Reach) -> Self {
        let mut out = Self::default();
        let mut never = 0;
        let mut until = None;
        // Channels by what is missing of them, in the order of time.
        let mut by_time: BTreeMap<(UtcTime, UtcTime), Vec<&ChannelCoverage>> = BTreeMap::new();
        for channel in coverage.channels.iter().filter(|channel| reach.holds(&channel.channel)) {
            out.channels += 1;
            until = until.max(walked_until(channel));
            if channel.excluded.is_some() {
                out.excluded += 1;
                continue;
            }
            let missing: Vec<Missing> =
                channel.gaps.iter().map(Missing::of).filter(|gap| gap.touches(reach.time)).collect();
            let is_never = missing.iter().any(|gap| (gap.from, gap.to) == (UtcTime::MIN_UTC, UtcTime::MAX_UTC));
            never += usize::from(is_never);
            for gap in missing {
                by_time.entry((gap.from, gap.to)).or_default().push(channel);
                // A channel that was never walked would hatch everything: it is told beside.
                if !is_never && !out.hatched.contains(&gap) {
                    out.hatched.push(gap);
                }
            }
        }
        if never > 0 && never + out.excluded == out.channels {
            out.hatched = vec![Missing { from: UtcTime::MIN_UTC, to: UtcTime::MAX_UTC }];
        }
        out.looked_at = until;
        let now = desk.web().now();
        let is_asked = reach.is_timed() && reach.time.to.is_none_or(|to| until.is_none_or(|until| to > until + FRESH));
        if let Some(until) = until.filter(|until| is_asked && now - *until > FRESH) {
            out.idle_since = Some(until);
            out.hatched.push(Missing { from: until, to: UtcTime::MAX_UTC });
        }
        // What differs by no day is told as one.
        let day = |time: UtcTime| desk.zone.date(time.clamp(UtcTime::UNIX_EPOCH, MessageTs::MAX.time()));
        let mut told: BTreeMap<_, (Missing, Vec<&ChannelCoverage>)> = BTreeMap::new();
        for ((from, to), channels) in by_time {
            let gap = told.entry((day(from), day(to))).or_insert((Missing { from, to }, Vec::new()));
            gap.1.extend(channels);
        }
        out.more = told.len().saturating_sub(TOLD);
        out.told = told.into_values().take(TOLD).map(|(gap, channels)| sentence(desk, &channels, gap)).collect();
        out
    }
}

/// Which channels lack a stretch of time. Names of a few stand for many.
fn sentence(desk: &Desk, channels: &[&ChannelCoverage], gap: Missing) -> GapView {
    let w = desk.w;
    let names: Vec<String> =
        channels.iter().take(NAMED).map(|channel| called(desk.w, &visible(&channel.name), channel.is_im)).collect();
    let name = match channels.len().saturating_sub(NAMED) {
        0 => names.join(", "),
        more => w.with_two("uncaptured-names", names.join(", "), more),
    };
    let day = |time: UtcTime| desk.zone.date(time).format("%-d %B %Y").to_string();
    let sentence = match (gap.from == UtcTime::MIN_UTC, gap.to == UtcTime::MAX_UTC) {
        (true, true) => w.with("uncaptured-ever", name),
        (true, false) => w.with_two("uncaptured-until", day(gap.to), name),
        (false, true) => w.with_two("uncaptured-since", day(gap.from), name),
        (false, false) if day(gap.from) == day(gap.to) => w.with_two("uncaptured-on", day(gap.from), name),
        (false, false) => w.with_three("uncaptured-between", day(gap.from), day(gap.to), name),
    };
    let href = match channels {
        [alone] => {
            let id = ChannelId::parse(&alone.channel).map_or_else(String::new, |id| encode(id.as_str()));
            format!("/crawl/coverage?channel={id}")
        }
        _ => "/crawl/coverage".to_owned(),
    };
    GapView { sentence, href }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::GapReason;
    use crate::model::{Zone, parse_time};

    #[test]
    fn a_gap_begins_where_a_walk_ended() {
        let at = |text: &str| parse_time(text, Zone::UTC).unwrap();
        let ts = |text: &str| Some(MessageTs::from_micros(at(text).timestamp_micros()).to_string());
        let gap = |from, to, since: Option<&str>| Gap {
            from,
            to,
            since: since.map(|day| format!("{day}T00:00:00Z")),
            account: "a".to_owned(),
            reason: GapReason::CutOff,
        };
        let never = Missing::of(&gap(None, None, None));
        assert_eq!(never, Missing { from: UtcTime::MIN_UTC, to: UtcTime::MAX_UTC });
        let lost = Missing::of(&gap(ts("2026-03-01"), None, Some("2026-03-12")));
        assert_eq!(lost, Missing { from: at("2026-03-12"), to: UtcTime::MAX_UTC });
        let cut = Missing::of(&gap(ts("2026-03-12"), ts("2026-03-19"), None));
        assert_eq!(cut, Missing { from: at("2026-03-12"), to: at("2026-03-19") });
        let range = |from, to| TimeRange { from: Some(at(from)), to: Some(at(to)) };
        for (from, to, due) in [
            ("2026-03-01", "2026-03-12", false),
            ("2026-03-01", "2026-03-13", true),
            ("2026-03-14", "2026-03-15", true),
            ("2026-03-19", "2026-03-20", false),
        ] {
            assert_eq!(cut.touches(range(from, to)), due, "{from}");
        }
        assert!(cut.touches(TimeRange::default()));
    }
}
