//! Accounts that are signed in by a provider.

use rusqlite::{OptionalExtension as _, TransactionBehavior, params};

use super::{Access, AccessError, USER, User, access_log, user_row};
use crate::record::{Action, Visit};

impl Access {
    /// The account of a person whom `issuer` calls `subject`. The first time it is the one named `claimed`, unless it
    /// is somebody else's there, and it is theirs from then on, whatever they are called later. None is made.
    pub fn account_at(&self, issuer: &str, subject: &str, claimed: &str) -> Result<Option<User>, AccessError> {
        self.with_mut(|connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let bound = transaction
                .query_row(
                    &format!("{USER} WHERE name = (SELECT user FROM provided WHERE issuer = ?1 AND subject = ?2)"),
                    [issuer, subject],
                    user_row,
                )
                .optional()?;
            if bound.is_some() {
                return Ok(bound);
            }
            let free = transaction
                .query_row(
                    &format!(
                        "{USER} WHERE name = ?1 AND disabled = 0
                         AND NOT EXISTS (SELECT 1 FROM provided WHERE issuer = ?2 AND user = ?1)"
                    ),
                    [claimed, issuer],
                    user_row,
                )
                .optional()?;
            if let Some(user) = &free {
                transaction.execute(
                    "INSERT INTO provided (issuer, subject, user) VALUES (?1, ?2, ?3)",
                    params![issuer, subject, user.name],
                )?;
                // Whoever comes from there is this account from now on: the log says who that is.
                let visit = Visit { person: Some(format!("{subject} at {issuer}")), ..self.granted_to(user) };
                access_log::append(&transaction, self.log.archive_id(), self.clock.now(), Action::UserBound, &visit)?;
                transaction.commit()?;
            }
            Ok(free)
        })
    }
}
