//! What an archive covers and what it does not: intervals walked, gaps, debts, limits, exclusions.
//!
//! Silence never means complete (invariant I10): what no crawl with these accounts can see is said
//! whether or not anything went wrong.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;

use super::lacking::{GapReason, Limit};
use super::names::{ChannelFacts, Directory, directory};
use crate::model::{ChannelId, Exclusion, MessageTs, UtcTime, rfc3339};
use crate::record::Kind;
use crate::store::{AccountRow, DebtRow, Error, Reader, WalkResult, WalkRow};

/// A round of the audit that took longer than this is owed.
const AUDIT_BOUND: chrono::TimeDelta = chrono::TimeDelta::days(30);

/// A stretch of history that was walked.
#[derive(Debug, Clone, Serialize)]
pub struct Interval {
    /// Time stamp of its oldest end.
    pub from: String,
    /// Time stamp of its newest end; `null` where the channel was empty.
    pub to: Option<String>,
    /// When it was last walked to its end.
    pub walked_at: Option<String>,
    /// With which account.
    pub account: String,
    /// `complete`, or why not.
    pub result: &'static str,
    /// When every message in it had last been looked at again.
    pub audited_at: Option<String>,
}

/// Time that was not walked to the end.
#[derive(Debug, Clone, Serialize)]
pub struct Gap {
    /// The last that is covered; `null`: nothing is.
    pub from: Option<String>,
    /// Where it ends; `null`: it goes on.
    pub to: Option<String>,
    /// Since when it is known.
    pub since: Option<String>,
    /// Whose view.
    pub account: String,
    /// Why, and what closes it.
    pub reason: GapReason,
}

/// Something that is owed and tried again.
#[derive(Debug, Clone, Serialize)]
pub struct Debt {
    /// `file`, `channel`, `order`, `disappearance`, `history`, `audit`.
    pub kind: String,
    /// Which.
    pub key: String,
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: String,
    /// How often it was tried.
    pub tries: u64,
}

/// What is covered of one channel or conversation.
#[derive(Debug, Clone, Serialize)]
pub struct ChannelCoverage {
    /// Its id.
    pub channel: String,
    /// Its name; of a direct conversation, the other person's.
    pub name: String,
    /// Between two people.
    pub is_im: bool,
    /// The accounts that walked it.
    pub accounts: Vec<String>,
    /// What they walked.
    pub intervals: Vec<Interval>,
    /// What was not walked to the end.
    pub gaps: Vec<Gap>,
    /// What is owed in it.
    pub debts: Vec<Debt>,
    /// What cannot be seen of it.
    pub limits: Vec<Limit>,
    /// The policy by which it is never fetched.
    pub excluded: Option<Excluded>,
}

/// A decision not to fetch.
#[derive(Debug, Clone, Serialize)]
pub struct Excluded {
    /// Why.
    pub reason: String,
    /// Who decided.
    pub by: String,
    /// Since when.
    pub since: String,
}

/// What an inventory names, against what is here.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Expected {
    /// People.
    pub accounts: Seen,
    /// Rooms.
    pub rooms: Seen,
}

/// How many of those that are expected are here.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Seen {
    /// Of the expected ones, how many are known to the archive.
    pub seen: usize,
    /// How many are expected.
    pub expected: usize,
    /// Those that are not here.
    pub missing: Vec<Missing>,
    /// Those that are here, but with whose view nothing is crawled.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_enrolled: Vec<Missing>,
}

/// A line of an inventory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// The id, as the inventory has it.
    pub id: String,
    /// The name, as the inventory has it.
    pub name: String,
}

/// What an archive covers (contract, "`coverage`").
#[derive(Debug, Clone, Serialize)]
pub struct Coverage {
    /// No gap and no debt, in what these accounts can see.
    pub complete: bool,
    /// The comparison with an inventory, when there is one.
    pub expected: Option<Expected>,
    /// Channels and conversations, those with gaps or debts first, then by name.
    pub channels: Vec<ChannelCoverage>,
    /// What is owed and belongs to no single channel.
    pub debts: Vec<Debt>,
    /// What no crawl with these accounts can see, whatever the channel.
    pub limits: Vec<Limit>,
    /// The longest that any channel has not been walked to its end, in seconds.
    pub worst_staleness_seconds: Option<i64>,
    /// The longest that any message may have changed without being looked at again, in seconds.
    pub worst_audit_seconds: Option<i64>,
}

impl Coverage {
    /// Leaves only these channels, and what is owed in them.
    pub fn only(&mut self, keep: impl Fn(&ChannelId) -> bool) {
        self.channels.retain(|channel| ChannelId::parse(&channel.channel).is_some_and(|id| keep(&id)));
        self.debts.clear();
        self.complete =
            self.gaps() == 0 && self.debts() == 0 && self.channels.iter().any(|channel| !channel.intervals.is_empty());
    }

    /// Number of open gaps.
    pub fn gaps(&self) -> usize {
        self.channels.iter().map(|channel| channel.gaps.len()).sum()
    }

    /// Number of open debts.
    pub fn debts(&self) -> usize {
        self.debts.len() + self.channels.iter().map(|channel| channel.debts.len()).sum::<usize>()
    }

    /// Number of different limits.
    pub fn limits(&self) -> usize {
        let own: BTreeSet<&Limit> = self.channels.iter().flat_map(|channel| &channel.limits).collect();
        self.limits.len() + own.len()
    }

    /// Number of channels and conversations that are never fetched.
    pub fn excluded(&self) -> usize {
        self.channels.iter().filter(|channel| channel.excluded.is_some()).count()
    }
}

/// The key of the record of an inventory.
pub const INVENTORY: &str = "expected";

/// What an archive covers at `now`. `names` are those of [`directory`]; `exclude` is the policy; `disabled` are the accounts that are no
/// longer crawled with.
pub fn coverage(
    reader: &Reader,
    names: &Directory,
    exclude: &[Exclusion],
    disabled: &BTreeSet<String>,
    now: UtcTime,
) -> Result<Coverage, Error> {
    let mut accounts: HashMap<String, AccountRow> =
        reader.accounts()?.into_iter().map(|row| (row.name.clone(), row)).collect();
    for name in disabled {
        if let Some(account) = accounts.get_mut(name) {
            "disabled".clone_into(&mut account.state);
        }
    }
    let mut walks: BTreeMap<ChannelId, Vec<WalkRow>> = BTreeMap::new();
    for row in reader.walks()? {
        walks.entry(row.channel.clone()).or_default().push(row);
    }
    let mut debts = reader.debts()?;
    let is_imported = reader.is_imported()?;
    let mut channels = Vec::new();
    let ids: BTreeSet<&ChannelId> = names.channels.keys().chain(walks.keys()).collect();
    let (mut staleness, mut audit) = (None, None);
    for id in ids {
        let rows = walks.get(id).map_or(&[][..], Vec::as_slice);
        let facts = names.channels.get(id);
        let excluded = exclude.iter().find(|entry| {
            let (name, is_im) = facts.map_or(("", false), |facts| (facts.name.as_str(), facts.is_im));
            let person = facts.and_then(|facts| facts.members.first()).map_or("", String::as_str);
            entry.covers(id.as_str(), name, is_im.then_some(person))
        });
        let own = debts.extract_if(.., |debt| debt.channel().as_ref() == Some(id)).collect::<Vec<_>>();
        let mut channel = ChannelCoverage {
            channel: id.to_string(),
            name: names.channel(id).to_owned(),
            is_im: facts.is_some_and(|facts| facts.is_im),
            accounts: rows.iter().map(|row| row.account.clone()).collect(),
            intervals: rows.iter().map(interval).collect(),
            gaps: Vec::new(),
            debts: Vec::new(),
            limits: facts.map(channel_limits).unwrap_or_default(),
            excluded: excluded.map(|entry| Excluded {
                reason: entry.reason.clone(),
                by: entry.by.clone(),
                since: entry.since.clone(),
            }),
        };
        if excluded.is_none() {
            channel.gaps = gaps(rows, &accounts);
            if is_imported && rows.is_empty() {
                channel.gaps.push(imported());
            }
            channel.debts = own.into_iter().map(debt).collect();
            channel.debts.extend(rows.iter().filter_map(|row| audit_debt(row, now)));
            let oldest = |at: Option<UtcTime>| at.map(|at| (now - at).num_seconds().max(0));
            // A channel is as fresh as the best view of it.
            let walked = rows.iter().filter_map(|row| row.walked_until).max();
            let audited = rows.iter().filter_map(|row| row.standing.all.done_at).max();
            staleness = staleness.max(oldest(walked));
            audit = audit.max(oldest(audited));
        }
        channels.push(channel);
    }
    channels.sort_by_key(|channel| {
        (channel.gaps.is_empty() && channel.debts.is_empty(), channel.is_im, channel.name.clone())
    });
    let mut out = Coverage {
        complete: false,
        expected: None,
        channels,
        debts: debts.into_iter().map(debt).collect(),
        limits: archive_limits(reader, names, &accounts)?,
        worst_staleness_seconds: staleness,
        worst_audit_seconds: audit,
    };
    out.complete = out.gaps() == 0 && out.debts() == 0 && !walks.is_empty();
    Ok(out)
}

fn interval(row: &WalkRow) -> Interval {
    let from = match (&row.standing.in_flight, row.pin) {
        // A first walk that was cut off covers what lies above its cursor.
        (Some(walk), None) => MessageTs::from_micros(walk.cursor),
        _ => MessageTs::MIN,
    };
    let to = row.pin.or_else(|| row.standing.in_flight.as_ref().and_then(|walk| walk.pin).map(MessageTs::from_micros));
    Interval {
        from: from.to_string(),
        to: to.map(|to| to.to_string()),
        walked_at: row.walked_until.map(rfc3339),
        account: row.account.clone(),
        result: row.result.as_str(),
        audited_at: row.standing.all.done_at.map(rfc3339),
    }
}

fn debt(row: DebtRow) -> Debt {
    Debt { kind: row.kind, key: row.key, reason: row.reason, since: row.since, tries: row.tries }
}

/// What is not walked to the end of a channel. Where one account covers it, what another misses is
/// its own affair.
fn gaps(rows: &[WalkRow], accounts: &HashMap<String, AccountRow>) -> Vec<Gap> {
    let refused = |row: &WalkRow| accounts.get(&row.account).filter(|account| account.state != "ok");
    let is_covered = |row: &WalkRow| {
        refused(row).is_none()
            && matches!(row.result, WalkResult::Complete | WalkResult::OrderNotProved | WalkResult::InParts)
    };
    if rows.iter().any(is_covered) {
        return Vec::new();
    }
    let mut out = Vec::new();
    for row in rows {
        let gap = |from: Option<MessageTs>, to: Option<MessageTs>, since, reason: GapReason| Gap {
            from: from.map(|ts| ts.to_string()),
            to: to.map(|ts| ts.to_string()),
            since,
            account: row.account.clone(),
            reason,
        };
        let since = row.walked_until.map(rfc3339);
        if let Some(account) = refused(row) {
            let why = account.reason.clone();
            let reason = match account.state.as_str() {
                "needs_login" => GapReason::NeedsLogin(why),
                state => GapReason::Account { state: state.to_owned(), why },
            };
            out.push(gap(row.pin, None, since, reason));
            continue;
        }
        match (row.result, &row.standing.in_flight) {
            (WalkResult::NotBegun, _) => out.push(gap(None, None, None, GapReason::NeverWalked)),
            (WalkResult::Lost, _) => out.push(gap(row.pin, None, since, GapReason::Lost)),
            (WalkResult::Failed, _) => out.push(gap(row.pin, None, since, GapReason::Failed)),
            (WalkResult::UnderWay, Some(walk)) => {
                let (from, to) = (MessageTs::from_micros(walk.floor), MessageTs::from_micros(walk.cursor));
                out.push(gap(Some(from), Some(to), since, GapReason::CutOff));
            }
            (WalkResult::UnderWay, None) => out.push(gap(row.pin, None, since, GapReason::CutOff)),
            (WalkResult::Complete | WalkResult::OrderNotProved | WalkResult::InParts, _) => {}
        }
    }
    out
}

/// Of a channel that came with a set and was never walked by this archive nobody here knows what is missing.
fn imported() -> Gap {
    Gap { from: None, to: None, since: None, account: String::new(), reason: GapReason::Imported }
}

/// History that was not looked at again for longer than the bound.
fn audit_debt(row: &WalkRow, now: UtcTime) -> Option<Debt> {
    row.pin?;
    let done = row.standing.all.done_at.or(row.walked_until)?;
    if now - done <= AUDIT_BOUND || row.result == WalkResult::Lost {
        return None;
    }
    Some(Debt {
        kind: "audit".to_owned(),
        key: format!("{} {}", row.channel, row.account),
        reason: format!(
            "its older history was last looked at again on {}: `crawl --full` does it at once, `watch` bit by bit",
            rfc3339(done)
        ),
        since: rfc3339(done + AUDIT_BOUND),
        tries: 0,
    })
}

fn channel_limits(facts: &ChannelFacts) -> Vec<Limit> {
    let (named, members) = (facts.members.len() as u64, facts.member_count);
    if facts.is_im || members <= named { Vec::new() } else { vec![Limit::RosterCut { named, members }] }
}

/// What holds for the archive as a whole.
fn archive_limits(
    reader: &Reader,
    names: &Directory,
    accounts: &HashMap<String, AccountRow>,
) -> Result<Vec<Limit>, Error> {
    let enrolled: Vec<&str> =
        accounts.values().filter(|row| row.state != "disabled").map(|row| row.user_id.as_str()).collect();
    let others = names.people.keys().filter(|id| !enrolled.iter().any(|user| user.eq_ignore_ascii_case(id))).count();
    let view = Limit::OneView { enrolled: enrolled.len(), people: enrolled.len() + others };
    let mut out = vec![view, Limit::Whispers, Limit::PrivatePins, Limit::BetweenPasses];
    if reader.counters()?.get(&format!("{}.subjects", Kind::Unknown.as_str())).copied().unwrap_or(0) > 0 {
        out.push(Limit::Unrecognised);
    }
    Ok(out)
}

/// A line of an inventory: what should be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedLine {
    /// A person rather than a room.
    pub is_account: bool,
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// Compares an inventory with what is known here: by id, or by name where there is no id.
pub fn expected(reader: &Reader, inventory: &[ExpectedLine]) -> Result<Expected, Error> {
    let names = directory(reader)?;
    let accounts = reader.accounts()?;
    let walked: BTreeSet<ChannelId> = reader.walks()?.into_iter().map(|row| row.channel).collect();
    let people: BTreeSet<String> = names.people.keys().map(|id| id.to_lowercase()).collect();
    let people_by_name: BTreeSet<String> = names.people.values().map(|facts| facts.name.to_lowercase()).collect();
    let rooms_by_name: BTreeSet<String> =
        names.channels.values().filter(|facts| !facts.is_im).map(|facts| facts.name.to_lowercase()).collect();
    let mut out = Expected::default();
    for line in inventory {
        let missing = Missing { id: line.id.clone(), name: line.name.clone() };
        let name = line.name.to_lowercase();
        if line.is_account {
            let id = line.id.to_lowercase();
            let is_enrolled = accounts.iter().any(|row| row.user_id.to_lowercase() == id && row.state == "ok");
            let is_seen = is_enrolled || people.contains(&id) || id.is_empty() && people_by_name.contains(&name);
            count(&mut out.accounts, is_seen, missing.clone());
            if is_seen && !is_enrolled {
                out.accounts.not_enrolled.push(missing);
            }
        } else {
            let is_seen = match ChannelId::parse(&line.id) {
                Some(id) => names.channels.contains_key(&id) || walked.contains(&id),
                None => rooms_by_name.contains(&name),
            };
            count(&mut out.rooms, is_seen, missing);
        }
    }
    Ok(out)
}

fn count(seen: &mut Seen, is_seen: bool, line: Missing) {
    seen.expected += 1;
    if is_seen {
        seen.seen += 1;
    } else {
        seen.missing.push(line);
    }
}
