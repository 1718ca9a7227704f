//! Sets that were asked for from a page, and what became of them. The sets themselves lie in a folder.

use rusqlite::{OptionalExtension as _, Row, TransactionBehavior, params};

use super::{Access, AccessError};
use crate::model::rfc3339;

/// Sets that one account may have, made, being made or waiting.
pub const MAX_JOBS: usize = 100;

/// How far a set is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// It is its turn later.
    Waiting,
    /// It is being made, or its making was cut off.
    Running,
    /// It can be downloaded.
    Done,
    /// It could not be made.
    Failed,
    /// Its owner stopped it.
    Stopped,
}

impl JobState {
    const ALL: [Self; 5] = [Self::Waiting, Self::Running, Self::Done, Self::Failed, Self::Stopped];

    /// The word in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }

    fn parse(text: &str) -> Self {
        Self::ALL.into_iter().find(|state| state.as_str() == text).unwrap_or(Self::Failed)
    }
}

/// A set that somebody asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its number, which no other one ever has.
    pub id: i64,
    /// Whose it is.
    pub user: String,
    /// What was asked.
    pub asked: String,
    /// How far it is.
    pub state: JobState,
    /// When it was asked for.
    pub began: String,
    /// When it ended, whichever way.
    pub ended: Option<String>,
    /// What is known of what is made, or was: from when its making began.
    pub report: Option<String>,
    /// Why not.
    pub error: Option<String>,
}

const JOB: &str = "SELECT id, user, asked, state, began, ended, report, error FROM export_job";

fn job_row(row: &Row<'_>) -> rusqlite::Result<Job> {
    let state: String = row.get(3)?;
    Ok(Job {
        id: row.get(0)?,
        user: row.get(1)?,
        asked: row.get(2)?,
        state: JobState::parse(&state),
        began: row.get(4)?,
        ended: row.get(5)?,
        report: row.get(6)?,
        error: row.get(7)?,
    })
}

impl Access {
    /// Notes that an account asks for a set; `None` when it has as many as it may.
    pub fn add_job(&self, user: &str, asked: &str) -> Result<Option<i64>, AccessError> {
        let began = rfc3339(self.clock.now());
        self.with_mut(|connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let count: i64 =
                transaction.query_row("SELECT count(*) FROM export_job WHERE user = ?1", [user], |row| row.get(0))?;
            if usize::try_from(count).unwrap_or(usize::MAX) >= MAX_JOBS {
                return Ok(None);
            }
            transaction.execute(
                "INSERT INTO export_job (user, asked, state, began) VALUES (?1, ?2, ?3, ?4)",
                params![user, asked, JobState::Waiting.as_str(), began],
            )?;
            let id = transaction.last_insert_rowid();
            transaction.commit()?;
            Ok(Some(id))
        })
    }

    /// The sets of an account, newest first.
    pub fn jobs(&self, user: &str) -> Result<Vec<Job>, AccessError> {
        self.with(|connection| {
            let mut statement = connection.prepare(&format!("{JOB} WHERE user = ?1 ORDER BY id DESC"))?;
            let rows = statement.query_map([user], job_row)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// A set by its number.
    pub fn job(&self, id: i64) -> Result<Option<Job>, AccessError> {
        self.with(|connection| {
            let mut statement = connection.prepare_cached(&format!("{JOB} WHERE id = ?1"))?;
            Ok(statement.query_row([id], job_row).optional()?)
        })
    }

    /// Notes how far a set is; what is made goes with [`JobState::Running`], what was with [`JobState::Done`], why not
    /// with [`JobState::Failed`]. Without a `report` the one before stays: what there is of a set is as it says.
    pub fn set_job(
        &self,
        id: i64,
        state: JobState,
        report: Option<&str>,
        error: Option<&str>,
    ) -> Result<(), AccessError> {
        let is_over = matches!(state, JobState::Done | JobState::Failed | JobState::Stopped);
        let ended = is_over.then(|| rfc3339(self.clock.now()));
        self.with(|connection| {
            connection.execute(
                "UPDATE export_job SET state = ?2, ended = ?3, report = coalesce(?4, report), error = ?5 WHERE id = ?1",
                params![id, state.as_str(), ended, report, error],
            )?;
            Ok(())
        })
    }

    /// Forgets a set of an account; whether there was one.
    pub fn drop_job(&self, user: &str, id: i64) -> Result<bool, AccessError> {
        self.with(|connection| {
            Ok(connection.execute("DELETE FROM export_job WHERE id = ?1 AND user = ?2", params![id, user])? > 0)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{access, add};
    use super::*;

    #[test]
    fn a_set_goes_from_waiting_to_its_end_and_is_its_owners() {
        let (_folder, access, _) = access();
        add(&access, "ada");
        add(&access, "bob");
        let id = access.add_job("ada", "format=csv").unwrap().unwrap();
        assert_eq!(access.job(id).unwrap().unwrap().state, JobState::Waiting);
        access.set_job(id, JobState::Running, None, None).unwrap();
        assert_eq!(access.job(id).unwrap().unwrap().ended, None);
        access.set_job(id, JobState::Done, Some("{}"), None).unwrap();
        let [job] = &access.jobs("ada").unwrap()[..] else { panic!("one") };
        assert_eq!((job.state, job.report.as_deref(), job.ended.is_some()), (JobState::Done, Some("{}"), true));
        access.set_job(id, JobState::Stopped, None, None).unwrap();
        assert_eq!(access.job(id).unwrap().unwrap().report.as_deref(), Some("{}"), "what there is of it is as it was");
        assert!(access.jobs("bob").unwrap().is_empty() && !access.drop_job("bob", id).unwrap());
        assert!(access.drop_job("ada", id).unwrap());
        assert!(access.add_job("ada", "format=csv").unwrap().unwrap() > id, "the log names sets by number");
        for _ in 1..MAX_JOBS {
            access.add_job("ada", "").unwrap().unwrap();
        }
        assert_eq!(access.add_job("ada", "").unwrap(), None, "so many at most");
    }
}
