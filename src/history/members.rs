//! When somebody was seen among the members of a channel.

use serde_json::Value;

use crate::model::{ChannelId, UtcTime, json};
use crate::record::{Kind, Record, roster_members};
use crate::store::{Error, FIRST_SOURCE, Reader};

/// A stretch in which each look at a channel showed somebody among its members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The channel or conversation.
    pub channel: ChannelId,
    /// The first look that showed it.
    pub from: UtcTime,
    /// The look before showed them not to be a member; else nobody knows since when they were.
    pub was_seen_to_join: bool,
    /// The first look that did not show it any more.
    pub until: Option<UtcTime>,
}

/// Whether one observation shows somebody to be a member; `None` where it does not name all members.
fn shows(record: &Record, user: &str) -> Option<bool> {
    if record.header.kind == Kind::Roster {
        return Some(roster_members(&record.body)?.iter().any(|id| id == user));
    }
    let body = json::parse(&record.body)?;
    if record.header.kind == Kind::Im {
        return Some(body["user"].as_str() == Some(user));
    }
    let members = body["members"].as_array()?;
    let is_there = members.iter().filter_map(Value::as_str).any(|id| id == user);
    let all = body["num_members"].as_u64().unwrap_or(members.len() as u64);
    (is_there || all <= members.len() as u64).then_some(is_there)
}

/// The stretches of one channel, oldest first.
pub(super) fn memberships(
    reader: &Reader,
    kind: Kind,
    id: &ChannelId,
    key: &str,
    user: &str,
) -> Result<Vec<Membership>, Error> {
    let mut rows = reader.versions(kind, FIRST_SOURCE, Some(id), key)?;
    if kind == Kind::Channel {
        rows.extend(reader.versions(Kind::Roster, FIRST_SOURCE, Some(id), key)?);
    }
    rows.sort_unstable_by_key(|row| row.seq);
    let mut looks = Vec::new();
    for row in rows {
        let record = reader.record(row.seq)?;
        if let Some(is_member) = shows(&record, user) {
            looks.push((record.header.observed(), is_member));
        }
    }
    Ok(stretches(id, &looks))
}

fn stretches(id: &ChannelId, looks: &[(UtcTime, bool)]) -> Vec<Membership> {
    let mut out: Vec<Membership> = Vec::new();
    let mut before = None;
    for (at, is_member) in looks {
        match (before, is_member) {
            (None | Some(false), true) => {
                out.push(Membership {
                    channel: id.clone(),
                    from: *at,
                    was_seen_to_join: before.is_some(),
                    until: None,
                });
            }
            (Some(true), false) => {
                if let Some(last) = out.last_mut() {
                    last.until = Some(*at);
                }
            }
            _ => {}
        }
        before = Some(*is_member);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_membership_lasts_from_the_first_look_that_shows_it_to_the_first_that_does_not() {
        let at = |second| UtcTime::from_timestamp(second, 0).unwrap();
        let id = ChannelId::parse("C1").unwrap();
        let of = |looks: &[(i64, bool)]| -> Vec<(i64, bool, Option<i64>)> {
            let looks: Vec<_> = looks.iter().map(|(second, is_member)| (at(*second), *is_member)).collect();
            let seconds = |time: UtcTime| time.timestamp();
            let found = stretches(&id, &looks);
            found.iter().map(|one| (seconds(one.from), one.was_seen_to_join, one.until.map(seconds))).collect()
        };
        assert_eq!(of(&[(1, false), (2, false)]), []);
        assert_eq!(of(&[(1, true), (2, true)]), [(1, false, None)]);
        assert_eq!(
            of(&[(1, true), (2, false), (3, false), (4, true), (5, false)]),
            [(1, false, Some(2)), (4, true, Some(5))]
        );
    }
}
