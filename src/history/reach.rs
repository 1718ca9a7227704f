use super::coverage::{ChannelCoverage, Gap, Interval};
use crate::model::{MessageTs, UtcTime};

/// A channel that was walked this recently counts as covered up to now.
const FRESH: chrono::TimeDelta = chrono::TimeDelta::days(1);

/// What is known of a channel in one stretch of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stand {
    /// The channel was made later, as the server says.
    Before,
    /// Walked to the end, and something was said.
    Covered,
    /// Walked to the end, and nothing that the accounts could see was said.
    Silent,
    /// A part of it was walked; of another part it is not known what was said.
    Part,
    /// It should have been walked and was not: the gap says why.
    Gap,
    /// It is never fetched, by a decision.
    Excluded,
    /// Nobody looked since the last pass, or so far; nothing went wrong.
    Waiting,
}

/// How far the coverage of one channel reaches, as stretches of time.
#[derive(Debug, Clone, Default)]
pub struct Reach {
    /// When the channel was made, if the server said so.
    created: Option<UtcTime>,
    /// Walked, each `from..to`.
    covered: Vec<(UtcTime, UtcTime)>,
    /// Not walked to the end.
    gaps: Vec<(UtcTime, UtcTime)>,
    is_excluded: bool,
}

fn moment(ts: &str) -> Option<UtcTime> {
    MessageTs::parse(ts).map(MessageTs::time)
}

fn time(text: &str) -> Option<UtcTime> {
    chrono::DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc())
}

fn covered(interval: &Interval) -> Option<(UtcTime, UtcTime)> {
    let newest = interval.to.as_deref().and_then(moment);
    // Up to the walk nothing newer was there.
    let walked = interval.walked_at.as_deref().and_then(time);
    Some((moment(&interval.from)?, newest.max(walked)?))
}

fn missing(gap: &Gap) -> (UtcTime, UtcTime) {
    let since = gap.since.as_deref().and_then(time);
    let from = since.or_else(|| gap.from.as_deref().and_then(moment)).unwrap_or(UtcTime::MIN_UTC);
    (from, gap.to.as_deref().and_then(moment).unwrap_or(UtcTime::MAX_UTC))
}

impl Reach {
    /// Of a channel that was made at `created`, if the server said when.
    pub fn of(channel: &ChannelCoverage, created: Option<UtcTime>) -> Self {
        let mut spans: Vec<_> = channel.intervals.iter().filter_map(covered).collect();
        spans.sort_unstable();
        Self {
            created,
            covered: spans,
            gaps: channel.gaps.iter().map(missing).collect(),
            is_excluded: channel.excluded.is_some(),
        }
    }

    /// Until when it was walked.
    pub fn until(&self) -> Option<UtcTime> {
        self.covered.iter().map(|(_, to)| *to).max()
    }

    /// What is known of the time from `from` up to `to`, as of `now`. `is_spoken`: messages from then are
    /// archived.
    pub fn stand(&self, from: UtcTime, to: UtcTime, now: UtcTime, is_spoken: bool) -> Stand {
        let ends = to.min(now);
        if !is_spoken && self.created.is_some_and(|created| created >= to) {
            return Stand::Before;
        }
        let begins = self.created.filter(|created| *created < ends).map_or(from, |created| from.max(created));
        // What came since the last pass is looked at by the next one, and that is soon.
        let due = match self.until() {
            Some(until) if until < ends && now - until <= FRESH && until > begins => until,
            _ => ends,
        };
        let touches = |(from, to): &(UtcTime, UtcTime)| *from < ends && *to > begins;
        let is_touched = is_spoken || self.covered.iter().any(touches);
        let is_whole = self.reaches(begins, due);
        match (self.gaps.iter().any(touches), self.is_excluded) {
            (true, _) if is_touched => Stand::Part,
            (true, _) => Stand::Gap,
            (false, _) if is_whole && is_spoken => Stand::Covered,
            (false, _) if is_whole => Stand::Silent,
            (false, _) if is_touched => Stand::Part,
            (false, true) => Stand::Excluded,
            (false, false) => Stand::Waiting,
        }
    }

    /// Whether every moment from `from` up to `to` is covered.
    fn reaches(&self, from: UtcTime, to: UtcTime) -> bool {
        let mut at = from;
        for (begin, end) in &self.covered {
            if *begin <= at {
                at = at.max(*end);
            }
        }
        !self.covered.is_empty() && at >= to
    }
}

#[cfg(test)]
mod tests {
    use super::super::lacking::GapReason;
    use super::*;

    fn at(text: &str) -> UtcTime {
        time(&format!("{text}T00:00:00Z")).unwrap()
    }

    fn ts(text: &str) -> String {
        MessageTs::from_micros(at(text).timestamp_micros()).to_string()
    }

    fn walked(from: Option<&str>, to: Option<&str>, walked_at: Option<&str>) -> Interval {
        Interval {
            from: from.map_or_else(|| MessageTs::MIN.to_string(), ts),
            to: to.map(ts),
            walked_at: walked_at.map(|day| format!("{day}T00:00:00Z")),
            account: "a".to_owned(),
            result: "complete",
            audited_at: None,
        }
    }

    fn gap(from: Option<&str>, to: Option<&str>, since: Option<&str>) -> Gap {
        let since = since.map(|day| format!("{day}T00:00:00Z"));
        Gap { from: from.map(ts), to: to.map(ts), since, account: "a".to_owned(), reason: GapReason::CutOff }
    }

    fn channel(intervals: Vec<Interval>, gaps: Vec<Gap>) -> ChannelCoverage {
        ChannelCoverage {
            channel: "C1".to_owned(),
            name: "quay".to_owned(),
            is_im: false,
            accounts: Vec::new(),
            intervals,
            gaps,
            debts: Vec::new(),
            limits: Vec::new(),
            excluded: None,
        }
    }

    /// One letter for each month from January to June 2026, as of the 20th of June; messages in those months.
    fn months(reach: &Reach, spoken: &[usize]) -> String {
        let firsts: Vec<UtcTime> = (1..=7).map(|month| at(&format!("2026-{month:02}-01"))).collect();
        (0..6)
            .map(|n| match reach.stand(firsts[n], firsts[n + 1], at("2026-06-20"), spoken.contains(&(n + 1))) {
                Stand::Before => '-',
                Stand::Covered => 'C',
                Stand::Silent => 'N',
                Stand::Part => 'P',
                Stand::Gap => 'G',
                Stand::Excluded => 'X',
                Stand::Waiting => 'W',
            })
            .collect()
    }

    #[test]
    fn each_month_says_what_is_known_of_it() {
        let whole = || walked(None, Some("2026-05-10"), Some("2026-06-20"));
        let early = || walked(None, Some("2026-03-10"), Some("2026-04-05"));
        let february = Some(at("2026-02-10"));
        for (what, found, created, spoken, due) in [
            ("walked today", channel(vec![whole()], vec![]), None, &[1, 3, 5][..], "CNCNCN"),
            ("made in February", channel(vec![whole()], vec![]), february, &[3], "-NCNNN"),
            ("older than the server says", channel(vec![whole()], vec![]), february, &[1, 3], "CNCNNN"),
            ("an empty channel", channel(vec![walked(None, None, Some("2026-06-20"))], vec![]), None, &[], "NNNNNN"),
            ("nobody looked since April", channel(vec![early()], vec![]), None, &[1, 3], "CNCPWW"),
            (
                "a pass failed after April",
                channel(vec![early()], vec![gap(Some("2026-03-10"), None, Some("2026-04-05"))]),
                None,
                &[1, 3],
                "CNCPGG",
            ),
            ("never walked", channel(vec![walked(None, None, None)], vec![gap(None, None, None)]), None, &[], "GGGGGG"),
            (
                "told by live events only",
                channel(vec![walked(None, None, None)], vec![gap(None, None, None)]),
                None,
                &[4],
                "GGGPGG",
            ),
            (
                "a first walk was cut off on its way down",
                channel(
                    vec![walked(Some("2026-04-10"), Some("2026-06-20"), None)],
                    vec![gap(Some("1970-01-01"), Some("2026-04-10"), None)],
                ),
                None,
                &[4, 5, 6],
                "GGGPCC",
            ),
            ("known, and nobody began", channel(vec![], vec![]), None, &[], "WWWWWW"),
            (
                "two accounts, one after the other",
                channel(vec![early(), walked(Some("2026-04-01"), Some("2026-06-19"), Some("2026-06-20"))], vec![]),
                None,
                &[1],
                "CNNNNN",
            ),
        ] {
            assert_eq!(months(&Reach::of(&found, created), spoken), due, "{what}");
        }
    }

    #[test]
    fn what_was_fetched_before_a_decision_stays_covered() {
        let excluded = super::super::Excluded { reason: String::new(), by: String::new(), since: String::new() };
        let mut found = channel(vec![], vec![]);
        found.excluded = Some(excluded);
        assert_eq!(months(&Reach::of(&found, None), &[]), "XXXXXX");
        found.intervals.push(walked(None, Some("2026-03-10"), Some("2026-04-05")));
        assert_eq!(months(&Reach::of(&found, Some(at("2026-02-10"))), &[3]), "-NCPXX");
    }
}
