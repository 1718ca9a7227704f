use std::collections::BTreeSet;

use super::asked::Asked;
use crate::history::Directory;
use crate::index::{Facet, channels_called, conversations, conversations_with};
use crate::model::{ChannelId, TimeRange, Zone};
use crate::query::{Flag, Query};

/// Where and when a search looks, as far as it says so: what was not captured elsewhere does not matter to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Reach {
    /// `None`: everywhere.
    channels: Option<BTreeSet<ChannelId>>,
    pub(crate) time: TimeRange,
}

impl Reach {
    /// Of a query with what was chosen beside it.
    pub(crate) fn of(asked: &Asked, query: &Query, directory: &Directory, zone: Zone) -> Self {
        let mut found = of_query(query, directory);
        if let Some(days) = asked.on {
            found.time = both(found.time, days.range(zone));
        }
        let chosen = asked.only.iter().filter(|(facet, _)| *facet == Facet::Channel);
        let chosen: BTreeSet<ChannelId> = chosen.filter_map(|(_, id)| ChannelId::parse(id)).collect();
        if !chosen.is_empty() {
            found.channels = common(found.channels, Some(chosen));
        }
        found
    }

    /// Whether it looks there.
    pub(crate) fn holds(&self, channel: &str) -> bool {
        let Some(channels) = &self.channels else { return true };
        ChannelId::parse(channel).is_some_and(|id| channels.contains(&id))
    }

    /// Whether it says when.
    pub(crate) fn is_timed(&self) -> bool {
        self.time != TimeRange::default()
    }
}

fn of_query(query: &Query, directory: &Directory) -> Reach {
    let these = |found: Vec<&ChannelId>| Reach {
        channels: Some(found.into_iter().cloned().collect()),
        time: TimeRange::default(),
    };
    match query {
        Query::And(parts) => parts.iter().map(|part| of_query(part, directory)).fold(Reach::default(), |all, part| {
            Reach { channels: common(all.channels, part.channels), time: both(all.time, part.time) }
        }),
        Query::Or(parts) => {
            let parts: Vec<Reach> = parts.iter().map(|part| of_query(part, directory)).collect();
            let channels: Option<Vec<_>> = parts.iter().map(|part| part.channels.clone()).collect();
            // An end that some part leaves open is open.
            let from = parts.iter().map(|part| part.time.from).min().flatten();
            let to = parts.iter().any(|part| part.time.to.is_none());
            let to = parts.iter().filter_map(|part| part.time.to).max().filter(|_| !to);
            Reach { channels: channels.map(|all| all.into_iter().flatten().collect()), time: TimeRange { from, to } }
        }
        Query::In(called) => these(channels_called(directory, called)),
        Query::With(who) => these(conversations_with(directory, who)),
        Query::Flag(Flag::Im) => these(conversations(directory)),
        Query::Time(range) => Reach { channels: None, time: *range },
        _ => Reach::default(),
    }
}

fn common(one: Option<BTreeSet<ChannelId>>, other: Option<BTreeSet<ChannelId>>) -> Option<BTreeSet<ChannelId>> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.intersection(&other).cloned().collect()),
        (one, other) => one.or(other),
    }
}

fn both(one: TimeRange, other: TimeRange) -> TimeRange {
    let to = match (one.to, other.to) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
    TimeRange { from: one.from.max(other.from), to }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::ChannelFacts;
    use crate::query::{Context, parse};

    #[test]
    fn a_search_looks_where_all_its_parts_look() {
        let mut directory = Directory::default();
        for (id, name, is_im) in [("C1", "legal", false), ("C2", "random", false), ("D1", "Jana", true)] {
            let facts = ChannelFacts { name: name.to_owned(), is_im, ..ChannelFacts::default() };
            directory.channels.insert(ChannelId::parse(id).unwrap(), facts);
        }
        let now = crate::model::parse_time("2026-06-10", Zone::UTC).unwrap();
        for (address, channels, from, to) in [
            ("q=a", "C1 C2 D1", None, None),
            ("q=in:legal", "C1", None, None),
            ("q=in:legal in:random", "", None, None),
            ("q=in:legal OR in:random", "C1 C2", None, None),
            ("q=in:legal OR a", "C1 C2 D1", None, None),
            ("q=-in:legal", "C1 C2 D1", None, None),
            ("q=is:im", "D1", None, None),
            ("q=a&channel=C2&channel=C9", "C2", None, None),
            ("q=in:legal&channel=C2", "", None, None),
            ("q=after:2026-01-31 before:2026-03-01", "C1 C2 D1", Some("2026-02-01"), Some("2026-03-01")),
            ("q=on:2026-02&on=2026-02-03..2026-03-05", "C1 C2 D1", Some("2026-02-03"), Some("2026-03-01")),
            ("q=on:2026-02-03 OR on:2026-02-07", "C1 C2 D1", Some("2026-02-03"), Some("2026-02-08")),
            ("q=on:2026-02-03 OR a", "C1 C2 D1", None, None),
            ("q=before:2026-02-03 OR on:2026-02-07", "C1 C2 D1", None, Some("2026-02-08")),
        ] {
            let asked = Asked::parse(&address.replace(' ', "+"));
            let query = parse(&asked.q, &Context { zone: Zone::UTC, now }).unwrap().query;
            let reach = Reach::of(&asked, &query, &directory, Zone::UTC);
            let found: Vec<&str> =
                directory.channels.keys().map(ChannelId::as_str).filter(|id| reach.holds(id)).collect();
            let at = |text: Option<&str>| text.and_then(|text| crate::model::parse_time(text, Zone::UTC));
            assert_eq!(
                (found.join(" ").as_str(), reach.time),
                (channels, TimeRange { from: at(from), to: at(to) }),
                "{address}"
            );
        }
    }
}
