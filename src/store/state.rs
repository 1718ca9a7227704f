//! Crawl state: where the next pass goes on. Derived from nothing and evidence of nothing: it
//! changes in the transaction of the records it speaks of, and only the crawl relies on it.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};

use super::change::{AccountRow, StateChange, WalkResult, WalkRow};
use super::error::Error;
use super::reader::Reader;
use crate::model::{ChannelId, Digest, MessageTs, RecordSeq, SourceId, UtcTime, rfc3339};
use crate::record::Kind;

/// A debt.
#[derive(Debug, Clone)]
pub struct DebtRow {
    /// `file`, `channel` …
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

impl DebtRow {
    /// The channel it concerns, for a kind of debt that names one: its key begins with it.
    pub fn channel(&self) -> Option<ChannelId> {
        match self.kind.as_str() {
            "file" => None,
            _ => ChannelId::parse(self.key.split(' ').next()?),
        }
    }
}

/// A file as it was last fetched.
#[derive(Debug, Clone)]
pub struct FileRow {
    /// Time stamp, size and edit counter.
    pub mark: String,
    /// How many comments the server counted.
    pub comments: u64,
    /// The channels it was seen in.
    pub channels: Vec<ChannelId>,
}

/// A run.
#[derive(Debug, Clone)]
pub struct RunRow {
    /// Its number.
    pub id: u64,
    /// `crawl` …
    pub kind: String,
    /// When it began.
    pub started_at: String,
    /// When it ended, if it did.
    pub ended_at: Option<String>,
    /// `complete` or `partial`.
    pub result: Option<String>,
    /// Its summary.
    pub summary: Option<String>,
}

impl Reader {
    /// How far each account has walked each channel.
    pub fn walks(&self) -> Result<Vec<WalkRow>, Error> {
        self.with(|connection| {
            let mut statement = connection.prepare_cached(&format!("{WALK} ORDER BY account, channel"))?;
            let rows = statement.query_map([], walk_row)?;
            Ok(rows.filter_map(Result::transpose).collect::<Result<_, _>>()?)
        })
    }

    /// The accounts that have walked some channel, whether they ever ended a pass or not. Takes a look-up
    /// for each, however many channels there are.
    pub fn walkers(&self) -> Result<Vec<String>, Error> {
        self.with(|connection| {
            let mut statement = connection.prepare_cached(
                "WITH RECURSIVE walker(name) AS (
                   SELECT min(account) FROM walk
                   UNION ALL
                   SELECT (SELECT min(account) FROM walk WHERE account > walker.name) FROM walker WHERE walker.name IS NOT NULL
                 )
                 SELECT name FROM walker WHERE name IS NOT NULL",
            )?;
            let rows = statement.query_map([], |row| row.get(0))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// How far one account has walked one channel.
    pub fn walk(&self, account: &str, source: SourceId, channel: &ChannelId) -> Result<Option<WalkRow>, Error> {
        self.with(|connection| {
            let mut statement =
                connection.prepare_cached(&format!("{WALK} WHERE account = ?1 AND source = ?2 AND channel = ?3"))?;
            let mut rows = statement.query(params![account, source.0, channel.as_str()])?;
            Ok(rows.next()?.map(walk_row).transpose()?.flatten())
        })
    }

    /// Archived messages of a channel between two bounds, both inclusive, that an account was not
    /// shown though it walked there; true for those that it was shown before.
    pub fn unseen(
        &self,
        account: &str,
        source: SourceId,
        channel: &ChannelId,
        from: MessageTs,
        to: MessageTs,
    ) -> Result<HashMap<MessageTs, bool>, Error> {
        self.with(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT ts, lost FROM unseen WHERE account = ?1 AND source = ?2 AND channel = ?3 AND ts BETWEEN ?4 AND ?5",
            )?;
            let rows = statement
                .query_map(params![account, source.0, channel.as_str(), from.micros(), to.micros()], |row| {
                    Ok((MessageTs::from_micros(row.get(0)?), row.get(1)?))
                })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Messages of a channel between two bounds, both inclusive, of whose deletion a live event told
    /// that is not recorded yet, with the number of the event's record.
    pub fn told(
        &self,
        source: SourceId,
        channel: &ChannelId,
        from: MessageTs,
        to: MessageTs,
    ) -> Result<HashMap<MessageTs, RecordSeq>, Error> {
        self.with(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT ts, event FROM told WHERE source = ?1 AND channel = ?2 AND ts BETWEEN ?3 AND ?4",
            )?;
            let rows = statement.query_map(params![source.0, channel.as_str(), from.micros(), to.micros()], |row| {
                Ok((MessageTs::from_micros(row.get(0)?), RecordSeq(row.get::<_, i64>(1)?.cast_unsigned())))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// How subjects of a kind last read to an account, where that is not how the newest record has
    /// them: channel (empty for none) and key to the change digest.
    pub fn views(
        &self,
        account: &str,
        source: SourceId,
        kind: Kind,
    ) -> Result<HashMap<(String, String), Digest>, Error> {
        self.with(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT channel, key, digest FROM view WHERE account = ?1 AND source = ?2 AND kind = ?3",
            )?;
            let rows = statement.query_map(params![account, source.0, kind.number()], |row| {
                Ok(((row.get(0)?, row.get(1)?), Digest(row.get(2)?)))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// When something that concerns the whole archive was last done.
    pub fn mark(&self, name: &str) -> Result<Option<UtcTime>, Error> {
        let at: Option<String> = self.with(|connection| {
            let mut statement = connection.prepare_cached("SELECT at FROM mark WHERE name = ?1")?;
            Ok(statement.query_row([name], |row| row.get(0)).optional()?)
        })?;
        Ok(at.as_deref().and_then(time))
    }

    /// Files as they were last fetched, by id.
    pub fn file_states(&self, source: SourceId) -> Result<HashMap<String, FileRow>, Error> {
        self.with(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT id, mark, comments, channels FROM file_state WHERE source = ?1")?;
            let rows = statement.query_map([source.0], |row| {
                let channels: String = row.get(3)?;
                let channels = channels.lines().filter_map(ChannelId::parse).collect();
                Ok((
                    row.get(0)?,
                    FileRow { mark: row.get(1)?, comments: row.get::<_, i64>(2)?.cast_unsigned(), channels },
                ))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Files that were seen and are still to be fetched, with where they were seen.
    pub fn files_wanted(&self, source: SourceId) -> Result<Vec<(String, ChannelId)>, Error> {
        self.with(|connection| {
            let mut statement = connection.prepare_cached("SELECT id, channel FROM file_wanted WHERE source = ?1")?;
            let mut rows = statement.query([source.0])?;
            let mut out = Vec::new();
            while let Some(row) = rows.next()? {
                let channel: String = row.get(1)?;
                out.extend(ChannelId::parse(&channel).map(|channel| (row.get(0), channel)));
            }
            out.into_iter().map(|(id, channel)| Ok((id?, channel))).collect()
        })
    }

    /// What is owed of the server's contents.
    pub fn debts(&self) -> Result<Vec<DebtRow>, Error> {
        self.with(|connection| debts(connection, "kind NOT IN ('anchor', 'anchor_contradicts')"))
    }

    /// The keepers elsewhere that did not take the newest checkpoint: `anchor`, or
    /// `anchor_contradicts` for one that knows another history; the key is the keeper. Nothing of the
    /// server is missing for that, so that it is no gap in what is covered.
    pub fn anchor_debts(&self) -> Result<Vec<DebtRow>, Error> {
        self.with(|connection| debts(connection, "kind IN ('anchor', 'anchor_contradicts')"))
    }

    /// The accounts that were crawled with.
    pub fn accounts(&self) -> Result<Vec<AccountRow>, Error> {
        self.with(|connection| {
            let mut statement = connection
                .prepare_cached("SELECT name, user_id, state, reason, last_success FROM account ORDER BY name")?;
            let rows = statement.query_map([], |row| {
                Ok(AccountRow {
                    name: row.get(0)?,
                    user_id: row.get(1)?,
                    state: row.get(2)?,
                    reason: row.get(3)?,
                    last_success: row.get::<_, Option<String>>(4)?.as_deref().and_then(time),
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// The newest runs, newest first.
    pub fn runs(&self, limit: u32) -> Result<Vec<RunRow>, Error> {
        self.runs_before(u64::MAX, limit)
    }

    /// The newest runs with numbers below `before`, newest first.
    pub fn runs_before(&self, before: u64, limit: u32) -> Result<Vec<RunRow>, Error> {
        let before = i64::try_from(before).unwrap_or(i64::MAX);
        self.with(|connection| {
            let mut statement = connection.prepare_cached(&format!("{RUN} WHERE id < ?1 ORDER BY id DESC LIMIT ?2"))?;
            let rows = statement.query_map(params![before, limit], run_row)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// The run of that number.
    pub fn run(&self, id: u64) -> Result<Option<RunRow>, Error> {
        let Ok(id) = i64::try_from(id) else { return Ok(None) };
        self.with(|connection| {
            let mut statement = connection.prepare_cached(&format!("{RUN} WHERE id = ?1"))?;
            Ok(statement.query_row([id], run_row).optional()?)
        })
    }
}

const RUN: &str = "SELECT id, kind, started_at, ended_at, result, summary FROM run";

fn run_row(row: &Row<'_>) -> rusqlite::Result<RunRow> {
    Ok(RunRow {
        id: row.get::<_, i64>(0)?.cast_unsigned(),
        kind: row.get(1)?,
        started_at: row.get(2)?,
        ended_at: row.get(3)?,
        result: row.get(4)?,
        summary: row.get(5)?,
    })
}

fn debts(connection: &Connection, which: &str) -> Result<Vec<DebtRow>, Error> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT kind, key, reason, since, tries FROM debt WHERE {which} ORDER BY kind, key"
    ))?;
    let rows = statement.query_map([], |row| {
        Ok(DebtRow {
            kind: row.get(0)?,
            key: row.get(1)?,
            reason: row.get(2)?,
            since: row.get(3)?,
            tries: row.get::<_, i64>(4)?.cast_unsigned(),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

const WALK: &str = "SELECT account, source, channel, pin, walk, walked_until, result, run FROM walk";

/// A row of `walk`; `None` when its channel has no id.
fn walk_row(row: &Row<'_>) -> rusqlite::Result<Option<WalkRow>> {
    let channel: String = row.get(2)?;
    let Some(channel) = ChannelId::parse(&channel) else { return Ok(None) };
    Ok(Some(WalkRow {
        account: row.get(0)?,
        source: SourceId(row.get(1)?),
        channel,
        pin: row.get::<_, Option<i64>>(3)?.map(MessageTs::from_micros),
        // What an earlier build wrote otherwise is as good as nothing: the walk begins again.
        standing: row
            .get::<_, Option<String>>(4)?
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default(),
        walked_until: row.get::<_, Option<String>>(5)?.as_deref().and_then(time),
        result: WalkResult::parse(&row.get::<_, String>(6)?),
        run: row.get::<_, i64>(7)?.cast_unsigned(),
    }))
}

fn time(text: &str) -> Option<UtcTime> {
    chrono::DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc())
}

fn time_text(time: Option<UtcTime>) -> Option<String> {
    time.map(rfc3339)
}

/// Changes crawl state. `first` is the number of the first record of the same batch.
pub(super) fn apply(transaction: &Transaction<'_>, first: RecordSeq, change: &StateChange) -> Result<(), Error> {
    match change {
        StateChange::Walk(row) => {
            transaction
                .prepare_cached(
                    "INSERT INTO walk (account, source, channel, pin, walk, walked_until, result, run) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                     ON CONFLICT (account, source, channel) DO UPDATE SET pin = ?4, walk = ?5, walked_until = ?6, result = ?7, run = ?8",
                )?
                .execute(params![
                    row.account,
                    row.source.0,
                    row.channel.as_str(),
                    row.pin.map(MessageTs::micros),
                    serde_json::to_string(&row.standing).ok(),
                    time_text(row.walked_until),
                    row.result.as_str(),
                    row.run.cast_signed()
                ])?;
        }
        StateChange::RunEnded { run, at, result, summary } => {
            transaction.execute(
                "UPDATE run SET ended_at = ?2, result = ?3, summary = ?4 WHERE id = ?1",
                params![run.cast_signed(), rfc3339(*at), result, summary],
            )?;
        }
        StateChange::File { source, id, mark, comments, channels } => {
            transaction
                .prepare_cached(
                    "INSERT INTO file_state (source, id, mark, comments, channels) VALUES (?1, ?2, ?3, ?4, ?5)
                     ON CONFLICT (source, id) DO UPDATE SET mark = ?3, comments = ?4, channels = ?5",
                )?
                .execute(params![
                    source.0,
                    id,
                    mark,
                    comments.cast_signed(),
                    channels.iter().map(ChannelId::as_str).collect::<Vec<_>>().join("\n")
                ])?;
        }
        StateChange::FileWanted { source, id, channel } => {
            transaction
                .prepare_cached(
                    "INSERT INTO file_wanted (source, id, channel) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
                )?
                .execute(params![source.0, id, channel.as_str()])?;
        }
        StateChange::Blob { digest, size } => {
            transaction
                .prepare_cached("INSERT INTO blob (digest, size) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
                .execute(params![digest.0, size.cast_signed()])?;
        }
        StateChange::Owed { kind, key, reason, at } => {
            transaction
                .prepare_cached(
                    "INSERT INTO debt (kind, key, reason, since, tries) VALUES (?1, ?2, ?3, ?4, 1)
                     ON CONFLICT (kind, key) DO UPDATE SET reason = ?3, tries = tries + 1",
                )?
                .execute(params![kind, key, reason, rfc3339(*at)])?;
        }
        StateChange::Paid { kind, key } => {
            transaction.prepare_cached("DELETE FROM debt WHERE kind = ?1 AND key = ?2")?.execute(params![kind, key])?;
            if *kind == "file" {
                transaction.prepare_cached("DELETE FROM file_wanted WHERE id = ?1")?.execute([key])?;
            }
        }
        StateChange::Account(row) => {
            transaction.execute(
                "INSERT INTO account (name, user_id, state, reason, last_success) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (name) DO UPDATE SET user_id = ?2, state = ?3, reason = ?4, last_success = coalesce(?5, last_success)",
                params![row.name, row.user_id, row.state, row.reason, time_text(row.last_success)],
            )?;
        }
        StateChange::Unseen { account, source, channel, ts, is_lost } => {
            transaction
                .prepare_cached(
                    "INSERT INTO unseen (account, source, channel, ts, lost) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
                )?
                .execute(params![account, source.0, channel.as_str(), ts.micros(), is_lost])?;
        }
        StateChange::Seen { account, source, channel, ts } => {
            transaction
                .prepare_cached("DELETE FROM unseen WHERE account = ?1 AND source = ?2 AND channel = ?3 AND ts = ?4")?
                .execute(params![account, source.0, channel.as_str(), ts.micros()])?;
        }
        StateChange::Told { source, channel, ts, event } => {
            transaction
                .prepare_cached(
                    "INSERT INTO told (source, channel, ts, event) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT DO UPDATE SET event = excluded.event",
                )?
                .execute(params![source.0, channel.as_str(), ts.micros(), (first.0 + *event as u64).cast_signed()])?;
        }
        StateChange::Settled { source, channel, from, to, before } => {
            let before = before.map_or(i64::MAX, |before| before.0.cast_signed());
            transaction
                .prepare_cached(
                    "DELETE FROM told WHERE source = ?1 AND channel = ?2 AND ts BETWEEN ?3 AND ?4 AND event < ?5",
                )?
                .execute(params![source.0, channel.as_str(), from.micros(), to.micros(), before])?;
        }
        StateChange::View { account, source, kind, channel, key, digest } => {
            let channel = channel.as_ref().map_or("", ChannelId::as_str);
            let place = params![account, source.0, kind.number(), channel, key];
            match digest {
                None => transaction
                    .prepare_cached("DELETE FROM view WHERE account = ?1 AND source = ?2 AND kind = ?3 AND channel = ?4 AND key = ?5")?
                    .execute(place)?,
                Some(digest) => transaction
                    .prepare_cached(
                        "INSERT INTO view (account, source, kind, channel, key, digest) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                         ON CONFLICT DO UPDATE SET digest = ?6",
                    )?
                    .execute(params![account, source.0, kind.number(), channel, key, digest.0])?,
            };
        }
        StateChange::Anchored { size, sink, at, evidence } => {
            transaction
                .prepare_cached(
                    "INSERT INTO anchored (size, sink, at, evidence) SELECT ?1, ?2, ?3, ?4
                     WHERE NOT EXISTS (SELECT 1 FROM anchored WHERE size = ?1 AND sink = ?2)",
                )?
                .execute(params![size.cast_signed(), sink, rfc3339(*at), evidence])?;
        }
        StateChange::Mark { name, at } => {
            transaction
                .prepare_cached("INSERT INTO mark (name, at) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET at = ?2")?
                .execute(params![name, rfc3339(*at)])?;
        }
    }
    Ok(())
}
