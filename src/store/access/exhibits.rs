//! Exhibits: records that somebody put together. They hold numbers and no contents, and whose they are.

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use super::{Access, AccessError};
use crate::model::{RecordSeq, rfc3339};

/// Records of one exhibit.
pub const MAX_EXHIBIT: usize = 1_000;
/// Exhibits of one account.
pub const MAX_EXHIBITS: usize = 1_000;

/// An exhibit of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exhibit {
    /// Its number, which no other one ever has.
    pub id: i64,
    /// What it is called.
    pub title: String,
    /// When it was begun.
    pub made: String,
    /// The records that were chosen, by number.
    pub records: Vec<RecordSeq>,
}

fn records_of(connection: &Connection, id: i64) -> Result<Vec<RecordSeq>, AccessError> {
    let mut statement =
        connection.prepare_cached("SELECT record FROM exhibit_record WHERE exhibit = ?1 ORDER BY record")?;
    let rows = statement.query_map([id], |row| row.get::<_, i64>(0))?;
    let mut out = Vec::new();
    for row in rows {
        out.push(RecordSeq(u64::try_from(row?).unwrap_or(u64::MAX)));
    }
    Ok(out)
}

/// Whether there is such an exhibit of that account.
fn owned(connection: &Connection, user: &str, id: i64) -> Result<bool, AccessError> {
    let mut statement =
        connection.prepare_cached("SELECT EXISTS (SELECT 1 FROM exhibit WHERE id = ?1 AND user = ?2)")?;
    Ok(statement.query_row(params![id, user], |row| row.get(0))?)
}

/// Adds records, each once; how many there are then, or `None`, and no change, where that would be too many.
fn add(connection: &Connection, id: i64, records: &[RecordSeq]) -> Result<Option<usize>, AccessError> {
    for record in records {
        connection
            .prepare_cached("INSERT INTO exhibit_record (exhibit, record) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
            .execute(params![id, i64::try_from(record.0).unwrap_or(i64::MAX)])?;
    }
    let count = connection
        .query_row("SELECT count(*) FROM exhibit_record WHERE exhibit = ?1", [id], |row| row.get::<_, i64>(0))?;
    Ok(usize::try_from(count).ok().filter(|count| *count <= MAX_EXHIBIT))
}

impl Access {
    /// Begins an exhibit with these records; `None` when they are too many, or the account has too many.
    pub fn make_exhibit(&self, user: &str, title: &str, records: &[RecordSeq]) -> Result<Option<i64>, AccessError> {
        let made = rfc3339(self.clock.now());
        self.with_mut(|connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let count: i64 =
                transaction.query_row("SELECT count(*) FROM exhibit WHERE user = ?1", [user], |row| row.get(0))?;
            if usize::try_from(count).unwrap_or(usize::MAX) >= MAX_EXHIBITS {
                return Ok(None);
            }
            transaction
                .execute("INSERT INTO exhibit (user, title, made) VALUES (?1, ?2, ?3)", params![user, title, made])?;
            let id = transaction.last_insert_rowid();
            if add(&transaction, id, records)?.is_none() {
                return Ok(None);
            }
            transaction.commit()?;
            Ok(Some(id))
        })
    }

    /// The exhibits of an account, newest first.
    pub fn exhibits(&self, user: &str) -> Result<Vec<Exhibit>, AccessError> {
        self.with(|connection| {
            let mut statement =
                connection.prepare("SELECT id, title, made FROM exhibit WHERE user = ?1 ORDER BY id DESC")?;
            let rows = statement.query_map([user], |row| {
                Ok(Exhibit { id: row.get(0)?, title: row.get(1)?, made: row.get(2)?, records: Vec::new() })
            })?;
            let mut out = rows.collect::<Result<Vec<_>, _>>()?;
            for exhibit in &mut out {
                exhibit.records = records_of(connection, exhibit.id)?;
            }
            Ok(out)
        })
    }

    /// An exhibit of an account, if that has one of that number.
    pub fn exhibit(&self, user: &str, id: i64) -> Result<Option<Exhibit>, AccessError> {
        self.with(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT id, title, made FROM exhibit WHERE id = ?1 AND user = ?2")?;
            let found = statement.query_row(params![id, user], |row| {
                Ok(Exhibit { id: row.get(0)?, title: row.get(1)?, made: row.get(2)?, records: Vec::new() })
            });
            let Some(mut exhibit) = found.optional()? else { return Ok(None) };
            exhibit.records = records_of(connection, id)?;
            Ok(Some(exhibit))
        })
    }

    /// Adds records to an exhibit; whether there is such an exhibit and room in it.
    pub fn add_to_exhibit(&self, user: &str, id: i64, records: &[RecordSeq]) -> Result<bool, AccessError> {
        self.with_mut(|connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let is_added = owned(&transaction, user, id)? && add(&transaction, id, records)?.is_some();
            if is_added {
                transaction.commit()?;
            }
            Ok(is_added)
        })
    }

    /// Takes records out of an exhibit; whether there is such an exhibit.
    pub fn take_from_exhibit(&self, user: &str, id: i64, records: &[RecordSeq]) -> Result<bool, AccessError> {
        self.with_mut(|connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let is_owned = owned(&transaction, user, id)?;
            for record in records.iter().filter(|_| is_owned) {
                let record = i64::try_from(record.0).unwrap_or(i64::MAX);
                transaction
                    .execute("DELETE FROM exhibit_record WHERE exhibit = ?1 AND record = ?2", params![id, record])?;
            }
            transaction.commit()?;
            Ok(is_owned)
        })
    }

    /// Calls an exhibit something else; whether there is such an exhibit.
    pub fn rename_exhibit(&self, user: &str, id: i64, title: &str) -> Result<bool, AccessError> {
        self.with(|connection| {
            let sql = "UPDATE exhibit SET title = ?3 WHERE id = ?1 AND user = ?2";
            Ok(connection.execute(sql, params![id, user, title])? > 0)
        })
    }

    /// Removes an exhibit, and nothing of the archive; whether there was one.
    pub fn drop_exhibit(&self, user: &str, id: i64) -> Result<bool, AccessError> {
        self.with_mut(|connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let is_owned = owned(&transaction, user, id)?;
            if is_owned {
                transaction.execute("DELETE FROM exhibit_record WHERE exhibit = ?1", [id])?;
                transaction.execute("DELETE FROM exhibit WHERE id = ?1", [id])?;
            }
            transaction.commit()?;
            Ok(is_owned)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::access;
    use super::*;

    #[test]
    fn an_exhibit_is_its_makers_alone_and_never_has_anothers_number() {
        let (_folder, access, _) = access();
        for name in ["ada", "bob"] {
            super::super::tests::add(&access, name);
        }
        let id = access.make_exhibit("ada", "First", &[RecordSeq(7), RecordSeq(3), RecordSeq(7)]).unwrap().unwrap();
        let found = access.exhibit("ada", id).unwrap().unwrap();
        assert_eq!((found.title.as_str(), found.records.as_slice()), ("First", &[RecordSeq(3), RecordSeq(7)][..]));
        assert_eq!(access.exhibit("bob", id).unwrap(), None);
        for is_changed in [
            access.add_to_exhibit("bob", id, &[RecordSeq(1)]).unwrap(),
            access.take_from_exhibit("bob", id, &[RecordSeq(3)]).unwrap(),
            access.rename_exhibit("bob", id, "Mine").unwrap(),
            access.drop_exhibit("bob", id).unwrap(),
        ] {
            assert!(!is_changed);
        }
        assert_eq!(access.exhibit("ada", id).unwrap(), Some(found));
        assert!(access.take_from_exhibit("ada", id, &[RecordSeq(3)]).unwrap());
        assert!(access.rename_exhibit("ada", id, "Second").unwrap());
        assert!(access.add_to_exhibit("ada", id, &[RecordSeq(9)]).unwrap());
        let [only] = &access.exhibits("ada").unwrap()[..] else { panic!("one") };
        assert_eq!((only.title.as_str(), only.records.as_slice()), ("Second", &[RecordSeq(7), RecordSeq(9)][..]));
        assert!(access.drop_exhibit("ada", id).unwrap());
        assert!(access.make_exhibit("ada", "Third", &[]).unwrap().unwrap() > id, "the log names exhibits by number");
    }

    #[test]
    fn more_records_than_an_exhibit_holds_are_refused_and_nothing_changes() {
        let (_folder, access, _) = access();
        super::super::tests::add(&access, "ada");
        let many: Vec<RecordSeq> = (0..=MAX_EXHIBIT as u64).map(RecordSeq).collect();
        assert_eq!(access.make_exhibit("ada", "x", &many).unwrap(), None);
        assert!(access.exhibits("ada").unwrap().is_empty());
        let id = access.make_exhibit("ada", "x", &many[1..]).unwrap().unwrap();
        assert!(!access.add_to_exhibit("ada", id, &many[..1]).unwrap());
        assert!(access.add_to_exhibit("ada", id, &many[1..3]).unwrap(), "those it has already");
        assert_eq!(access.exhibit("ada", id).unwrap().unwrap().records.len(), MAX_EXHIBIT);
    }
}
