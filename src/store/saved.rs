//! Searches that people kept under a name: addresses, no results. Each sees their own.

use rusqlite::{OptionalExtension as _, Row, params};

use super::access::{Access, AccessError};
use crate::model::{UtcTime, rfc3339};

/// Searches that one account keeps at most.
const MOST: i64 = 500;

/// A search that somebody kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedSearch {
    /// Its number.
    pub id: u64,
    /// Under which name.
    pub name: String,
    /// What stands after the `?` of its address.
    pub address: String,
    /// When it was kept.
    pub saved: String,
}

fn row(row: &Row<'_>) -> rusqlite::Result<SavedSearch> {
    Ok(SavedSearch {
        id: row.get::<_, i64>(0)?.cast_unsigned(),
        name: row.get(1)?,
        address: row.get(2)?,
        saved: row.get(3)?,
    })
}

impl Access {
    /// Keeps a search of `user` under a name that none of theirs has; its number.
    pub fn save_search(&self, user: &str, name: &str, address: &str, now: UtcTime) -> Result<u64, AccessError> {
        self.with(|connection| {
            let taken = || AccessError::Taken { what: "saved search", name: name.to_owned() };
            connection
                .query_row(
                    "INSERT INTO saved_search (user, name, address, saved)
                     SELECT ?1, ?2, ?3, ?4 WHERE (SELECT count(*) FROM saved_search WHERE user = ?1) < ?5
                     ON CONFLICT (user, name) DO NOTHING RETURNING id",
                    params![user, name, address, rfc3339(now), MOST],
                    |row| Ok(row.get::<_, i64>(0)?.cast_unsigned()),
                )
                .optional()?
                .ok_or_else(taken)
        })
    }

    /// The searches of `user`, the latest first.
    pub fn saved_searches(&self, user: &str) -> Result<Vec<SavedSearch>, AccessError> {
        self.with(|connection| {
            let mut statement = connection
                .prepare_cached("SELECT id, name, address, saved FROM saved_search WHERE user = ?1 ORDER BY id DESC")?;
            let rows = statement.query_map([user], row)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Drops a search of `user`; whether they had it.
    pub fn drop_search(&self, user: &str, id: u64) -> Result<bool, AccessError> {
        self.with(|connection| {
            let dropped = connection
                .execute("DELETE FROM saved_search WHERE user = ?1 AND id = ?2", params![user, id.cast_signed()])?;
            Ok(dropped > 0)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::access::Grant;
    use super::super::tests::bench;
    use super::*;
    use crate::model::{Clock, Role};

    #[test]
    fn each_keeps_their_own_searches() {
        let bench = bench();
        let clock = Clock::set(1_700_000_000_000);
        let access = Access::open(&bench.layout, clock.clone()).unwrap();
        let now = clock.now();
        let grant = Grant::new(Role::Auditor, None).unwrap();
        for user in ["ada", "bob"] {
            access.add_user(user, &grant, &"staple battery horse".to_owned().into()).unwrap();
        }
        let first = access.save_search("ada", "cranes", "q=crane", now).unwrap();
        access.save_search("ada", "plates", "q=plate", now).unwrap();
        access.save_search("bob", "cranes", "q=bob", now).unwrap();
        let again = access.save_search("ada", "cranes", "q=other", now);
        assert!(matches!(again, Err(AccessError::Taken { what: "saved search", .. })), "{again:?}");
        let names = |user: &str| -> Vec<String> {
            access
                .saved_searches(user)
                .unwrap()
                .into_iter()
                .map(|saved| format!("{} {}", saved.name, saved.address))
                .collect()
        };
        assert_eq!(names("ada"), ["plates q=plate", "cranes q=crane"]);
        assert_eq!(names("bob"), ["cranes q=bob"]);
        assert!(!access.drop_search("bob", first).unwrap(), "it is another's");
        assert!(access.drop_search("ada", first).unwrap());
        assert!(!access.drop_search("ada", first).unwrap());
        assert_eq!(names("ada"), ["plates q=plate"]);
    }
}
