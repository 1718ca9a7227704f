use rusqlite::{OptionalExtension as _, ToSql};

use super::access_log::{AccessLog, StoredVisit};
use super::error::Error;
use crate::ledger::{Checkpoint, Note};
use crate::model::{UtcTime, rfc3339};
use crate::record::Action;

/// What entries are found by. `schemas/sql/access_0003.sql` has an index of each expression as it stands here;
/// a line that somebody made into something else than JSON is found by nothing and seen all the same.
const WHO: &str = "CASE WHEN json_valid(body) THEN coalesce(json_extract(body, '$.user'), json_extract(body, '$.token'), json_extract(body, '$.subject')) END";
pub(super) const ACTION: &str = "CASE WHEN json_valid(header) THEN json_extract(header, '$.action') END";
const AT: &str = "CASE WHEN json_valid(header) THEN json_extract(header, '$.at') END";

/// Which entries of the access log are asked for; all of these count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VisitFilter {
    /// The account or token that did it, else the one that it was done to.
    pub who: Option<String>,
    /// The account of the web side that did it, and nobody else of that name.
    pub user: Option<String>,
    /// What was done.
    pub action: Option<Action>,
    /// From then on.
    pub from: Option<UtcTime>,
    /// Before then.
    pub to: Option<UtcTime>,
}

/// On which side of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The ones before it, the nearest first.
    Before(u64),
    /// It and the ones after it, the nearest first.
    From(u64),
}

/// The word of an action in an entry.
fn word(action: Action) -> String {
    serde_json::to_value(action).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}

impl AccessLog {
    /// Up to `limit` entries that a filter lets through, on one side of a number.
    pub fn listed(&self, filter: &VisitFilter, side: Side, limit: usize) -> Result<Vec<StoredVisit>, Error> {
        let (number, beside, order) = match side {
            Side::Before(number) => (number, "number < ?", "DESC"),
            Side::From(number) => (number, "number >= ?", "ASC"),
        };
        let mut conditions = vec![beside.to_owned()];
        let mut values: Vec<Box<dyn ToSql>> = vec![Box::new(i64::try_from(number).unwrap_or(i64::MAX))];
        let mut add = |condition: String, value: String| {
            conditions.push(condition);
            values.push(Box::new(value));
        };
        if let Some(who) = &filter.who {
            add(format!("{WHO} = ?"), who.clone());
        }
        if let Some(user) = &filter.user {
            add(format!("{WHO} = ?"), user.clone());
            add("json_extract(body, '$.user') = ?".to_owned(), user.clone());
        }
        if let Some(action) = filter.action {
            add(format!("{ACTION} = ?"), word(action));
        }
        // Both are written alike, so that their texts stand in the order of time.
        if let Some(from) = filter.from {
            add(format!("{AT} >= ?"), rfc3339(from));
        }
        if let Some(to) = filter.to {
            add(format!("{AT} < ?"), rfc3339(to));
        }
        values.push(Box::new(i64::try_from(limit).unwrap_or(i64::MAX)));
        let sql = format!(
            "SELECT number, header, body, leaf FROM entry WHERE {} ORDER BY number {order} LIMIT ?",
            conditions.join(" AND ")
        );
        self.with(|connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map(rusqlite::params_from_iter(values.iter()), |row| {
                Ok(StoredVisit {
                    number: row.get::<_, i64>(0)?.cast_unsigned(),
                    header: row.get(1)?,
                    body: row.get(2)?,
                    leaf: row.get(3)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// The newest signed checkpoint, and when it was signed.
    pub fn newest_checkpoint(&self) -> Result<Option<(Checkpoint, String)>, Error> {
        let found: Option<(String, String)> = self.with(|connection| {
            Ok(connection
                .prepare_cached("SELECT note, at FROM checkpoint ORDER BY size DESC LIMIT 1")?
                .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?)
        })?;
        let broken = |detail: String| Error::AccessLog { detail: format!("its newest checkpoint: {detail}") };
        let Some((text, at)) = found else { return Ok(None) };
        let note = Note::parse(text.as_bytes()).map_err(|error| broken(error.to_string()))?;
        let checkpoint = Checkpoint::parse(note.text()).map_err(|error| broken(error.to_string()))?;
        Ok(Some((checkpoint, at)))
    }

    /// The key that signs it, by its own word.
    pub fn signer(&self) -> Result<Option<String>, Error> {
        self.with(|connection| {
            let mut statement = connection.prepare_cached("SELECT vkey FROM signer ORDER BY number DESC LIMIT 1")?;
            Ok(statement.query_row([], |row| row.get(0)).optional()?)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::bench;
    use super::*;
    use crate::model::Clock;
    use crate::record::Visit;

    #[test]
    fn entries_are_found_from_either_side_and_by_what_they_say() {
        let bench = bench();
        let start = 1_780_000_000_000;
        let hand = std::sync::Arc::new(std::sync::atomic::AtomicI64::new(start));
        let log = AccessLog::open(&bench.layout, Clock::Set(std::sync::Arc::clone(&hand))).unwrap();
        for n in 0..40_u64 {
            hand.store(start + i64::try_from(n).unwrap() * 1000, std::sync::atomic::Ordering::Relaxed);
            let who = if n % 4 == 0 { "eve" } else { "ada" };
            let action = if n % 10 == 0 { Action::SignIn } else { Action::View };
            log.record(action, &Visit { user: Some(who.to_owned()), ..Visit::default() }).unwrap();
        }
        let numbers = |filter: &VisitFilter, side, limit| -> Vec<u64> {
            log.listed(filter, side, limit).unwrap().into_iter().map(|entry| entry.number).collect()
        };
        let all = VisitFilter::default();
        assert_eq!(numbers(&all, Side::Before(u64::MAX), 3), [39, 38, 37]);
        assert_eq!(numbers(&all, Side::Before(2), 3), [1, 0]);
        assert_eq!(numbers(&all, Side::From(38), 3), [38, 39]);
        let eve = VisitFilter { who: Some("eve".to_owned()), ..VisitFilter::default() };
        assert_eq!(numbers(&eve, Side::Before(20), 3), [16, 12, 8]);
        let signing_in = VisitFilter { action: Some(Action::SignIn), ..eve.clone() };
        assert_eq!(numbers(&signing_in, Side::From(0), 9), [0, 20]);
        let time = |n: i64| UtcTime::from_timestamp_millis(start + n * 1000);
        let between = VisitFilter { from: time(5), to: time(9), ..VisitFilter::default() };
        assert_eq!(numbers(&between, Side::Before(u64::MAX), 9), [8, 7, 6, 5]);
        log.record(Action::View, &Visit { token: Some("eve".to_owned()), ..Visit::default() }).unwrap();
        let own = VisitFilter { user: Some("eve".to_owned()), ..VisitFilter::default() };
        assert_eq!(numbers(&own, Side::Before(u64::MAX), 1), [36], "a token of that name is somebody else");
        assert_eq!(numbers(&eve, Side::Before(u64::MAX), 1), [40]);
        let odd = VisitFilter { who: Some("' OR 1=1".to_owned()), ..all };
        assert!(numbers(&odd, Side::From(0), 9).is_empty());
        let plan: Vec<String> = log
            .with(|connection| {
                let sql = format!("EXPLAIN QUERY PLAN SELECT number FROM entry WHERE number < 9 AND {WHO} = 'eve' ORDER BY number DESC LIMIT 3");
                Ok(connection.prepare(&sql)?.query_map([], |row| row.get(3))?.collect::<Result<_, _>>()?)
            })
            .unwrap();
        assert!(plan.iter().any(|step| step.contains("entry_who")), "a long log is not read through: {plan:?}");
    }

    #[test]
    fn the_newest_checkpoint_and_key_are_told() {
        let bench = bench();
        let log = AccessLog::open(&bench.layout, Clock::System).unwrap();
        assert_eq!((log.newest_checkpoint().unwrap(), log.signer().unwrap()), (None, None));
        let key = crate::ledger::SigningKey::new(log.origin(), [9; 32]).unwrap();
        log.introduce(&key).unwrap();
        log.checkpoint(&key).unwrap();
        assert_eq!(log.newest_checkpoint().unwrap().map(|(checkpoint, _)| checkpoint.size), Some(1));
        assert_eq!(log.signer().unwrap(), Some(key.verifier().to_text()));
    }
}
