//! What of the archive is where: the messages of a channel by time, the versions of a subject.

use std::collections::HashMap;

use rusqlite::{OptionalExtension as _, Row, params};

use super::change::{Change, stored_key};
use super::error::Error;
use super::reader::Reader;
use crate::model::{ChannelId, MessageTs, RecordSeq, SourceId};
use crate::record::Kind;

/// A version of a subject: where its record is and how it relates to the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VersionRow {
    /// 1, 2, …
    pub version: u32,
    /// The record.
    pub seq: RecordSeq,
    /// What happened.
    pub change: Change,
}

impl Reader {
    /// The number under which a channel is known in the tables; `None` when nothing of it is here.
    fn channel_number(&self, source: SourceId, channel: &ChannelId) -> Result<Option<i64>, Error> {
        self.with(|connection| {
            Ok(connection
                .prepare_cached("SELECT number FROM channel WHERE source = ?1 AND id = ?2")?
                .query_row(params![source.0, channel.as_str()], |row| row.get(0))
                .optional()?)
        })
    }

    /// That number, or 0 for what is in no channel, as the subject table has it.
    fn place(&self, source: SourceId, channel: Option<&ChannelId>) -> Result<Option<i64>, Error> {
        channel.map_or(Ok(Some(0)), |channel| self.channel_number(source, channel))
    }

    /// Starts of the blocks that hold first versions of a channel's messages between `from` and
    /// `to` (both inclusive) with the range each covers, latest first, `limit` at most.
    pub fn message_blocks(
        &self,
        source: SourceId,
        channel: &ChannelId,
        from: MessageTs,
        to: MessageTs,
    ) -> Result<Vec<(MessageTs, MessageTs, RecordSeq)>, Error> {
        let Some(number) = self.channel_number(source, channel)? else { return Ok(Vec::new()) };
        self.with(|connection| {
            let mut statement = connection
                .prepare_cached("SELECT min_ts, max_ts, block FROM span_index WHERE channel = ?1 AND max_ts >= ?2 AND min_ts <= ?3 ORDER BY max_ts DESC, block DESC")?;
            let rows = statement.query_map(params![number, from.micros(), to.micros()], |row| {
                Ok((
                    MessageTs::from_micros(row.get(0)?),
                    MessageTs::from_micros(row.get(1)?),
                    RecordSeq(row.get::<_, i64>(2)?.cast_unsigned()),
                ))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// The blocks of which some hold the message of a channel right before a time stamp and the one right after
    /// it: those that reach over it and, of the others, the nearest on each side. Of each its first and last
    /// message.
    pub fn blocks_beside(
        &self,
        source: SourceId,
        channel: &ChannelId,
        ts: MessageTs,
    ) -> Result<Vec<(MessageTs, MessageTs, RecordSeq)>, Error> {
        let Some(number) = self.channel_number(source, channel)? else { return Ok(Vec::new()) };
        self.with(|connection| {
            // A bare column beside min() comes from the row of the minimum (SQLite, "Bare columns").
            let mut statement = connection.prepare_cached(
                "SELECT min_ts, max_ts, block FROM span_index WHERE channel = ?1 AND max_ts >= ?2 AND min_ts <= ?2
                 UNION ALL
                 SELECT * FROM (SELECT min_ts, max_ts, block FROM span_index
                                WHERE channel = ?1 AND max_ts < ?2 ORDER BY max_ts DESC LIMIT 1)
                 UNION ALL
                 SELECT least, max_ts, block FROM (SELECT min(min_ts) AS least, max_ts, block FROM span_index
                                                   WHERE channel = ?1 AND max_ts > ?2 AND min_ts > ?2)
                 WHERE least IS NOT NULL",
            )?;
            let rows = statement.query_map(params![number, ts.micros()], |row| {
                Ok((
                    MessageTs::from_micros(row.get(0)?),
                    MessageTs::from_micros(row.get(1)?),
                    RecordSeq(row.get::<_, i64>(2)?.cast_unsigned()),
                ))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// The newest message of a channel that was ever archived.
    pub fn newest_message(&self, source: SourceId, channel: &ChannelId) -> Result<Option<MessageTs>, Error> {
        let Some(number) = self.channel_number(source, channel)? else { return Ok(None) };
        self.with(|connection| {
            let mut statement = connection.prepare_cached("SELECT max(max_ts) FROM span_index WHERE channel = ?1")?;
            let newest: Option<i64> = statement.query_row([number], |row| row.get(0))?;
            Ok(newest.map(MessageTs::from_micros))
        })
    }

    /// The oldest message of a channel that was ever archived.
    pub fn oldest_message(&self, source: SourceId, channel: &ChannelId) -> Result<Option<MessageTs>, Error> {
        let Some(number) = self.channel_number(source, channel)? else { return Ok(None) };
        self.with(|connection| {
            let mut statement = connection.prepare_cached("SELECT min(min_ts) FROM span_index WHERE channel = ?1")?;
            let oldest: Option<i64> = statement.query_row([number], |row| row.get(0))?;
            Ok(oldest.map(MessageTs::from_micros))
        })
    }

    /// The listed versions of one subject, oldest first. A message's first version is not listed.
    pub fn versions(
        &self,
        kind: Kind,
        source: SourceId,
        channel: Option<&ChannelId>,
        key: &str,
    ) -> Result<Vec<VersionRow>, Error> {
        let Some(number) = self.place(source, channel)? else { return Ok(Vec::new()) };
        self.with(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT version, seq, change FROM subject WHERE kind = ?1 AND source = ?2 AND channel = ?3 AND key = ?4 ORDER BY version",
            )?;
            let rows = statement.query_map(params![kind.number(), source.0, number, stored_key(kind, key)], version_row)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// The listed versions of a channel's messages (or reactions) between `from` and `to`, both
    /// inclusive, by time stamp.
    pub fn versions_between(
        &self,
        kind: Kind,
        source: SourceId,
        channel: &ChannelId,
        from: MessageTs,
        to: MessageTs,
    ) -> Result<HashMap<MessageTs, Vec<VersionRow>>, Error> {
        let Some(number) = self.channel_number(source, channel)? else { return Ok(HashMap::new()) };
        let (from, to) = (stored_key(kind, &from.to_string()), stored_key(kind, &to.to_string()));
        self.with(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT version, seq, change, key FROM subject WHERE kind = ?1 AND source = ?2 AND channel = ?3 AND key BETWEEN ?4 AND ?5 ORDER BY key, version",
            )?;
            let mut rows = statement.query(params![kind.number(), source.0, number, from, to])?;
            let mut out: HashMap<MessageTs, Vec<VersionRow>> = HashMap::new();
            while let Some(row) = rows.next()? {
                let key: String = row.get(3)?;
                let padded = key.trim_start_matches('0');
                let key = if padded.starts_with('.') { format!("0{padded}") } else { padded.to_owned() };
                if let Some(ts) = MessageTs::parse(&key) {
                    out.entry(ts).or_default().push(version_row(row)?);
                }
            }
            Ok(out)
        })
    }

    /// Every subject of a kind with its newest version: key and row, by key, for kinds whose
    /// versions are all listed.
    pub fn newest(&self, kind: Kind) -> Result<Vec<(String, VersionRow)>, Error> {
        self.with(|connection| {
            // A bare column beside max() comes from the row of the maximum (SQLite, "Bare columns").
            let mut statement =
                connection.prepare_cached("SELECT max(version), seq, change, key FROM subject WHERE kind = ?1 GROUP BY source, channel, key ORDER BY key")?;
            let rows = statement.query_map([kind.number()], |row| Ok((row.get(3)?, version_row(row)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Subjects of a kind and channel whose key begins with `prefix`, with the newest version of
    /// each.
    pub fn newest_under(
        &self,
        kind: Kind,
        source: SourceId,
        channel: Option<&ChannelId>,
        prefix: &str,
    ) -> Result<Vec<(String, VersionRow)>, Error> {
        let Some(number) = self.place(source, channel)? else { return Ok(Vec::new()) };
        self.with(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT max(version), seq, change, key FROM subject
                 WHERE kind = ?1 AND source = ?2 AND channel = ?3 AND key >= ?4 AND substr(key, 1, length(?4)) = ?4
                 GROUP BY key ORDER BY key",
            )?;
            let rows = statement.query_map(params![kind.number(), source.0, number, prefix], |row| {
                Ok((row.get(3)?, version_row(row)?))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Keys of a kind's subjects that end in `suffix`.
    pub fn keys_ending(&self, kind: Kind, suffix: &str) -> Result<Vec<String>, Error> {
        self.with(|connection| {
            let mut statement = connection
                .prepare_cached("SELECT DISTINCT key FROM subject WHERE kind = ?1 AND length(key) >= length(?2) AND substr(key, -length(?2)) = ?2")?;
            let rows = statement.query_map(params![kind.number(), suffix], |row| row.get(0))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }
}

pub(super) fn version_row(row: &Row<'_>) -> rusqlite::Result<VersionRow> {
    let change: u8 = row.get(2)?;
    Ok(VersionRow {
        version: row.get(0)?,
        seq: RecordSeq(row.get::<_, i64>(1)?.cast_unsigned()),
        change: Change::from_number(change).unwrap_or(Change::Changed),
    })
}
