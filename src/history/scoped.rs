//! The archive as one reader may see it.
//!
//! Whatever is shown to somebody is read through here, so that no page and no method can forget to ask.
//! What is out of scope answers as what does not exist.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use serde_json::Value;

use super::as_of::AsOf;
use super::item::{Item, item};
use super::members::{Membership, memberships};
use super::names::{Directory, names_at, observed};
use super::neighbours::neighbours;
use super::parts::names_others;
use super::passed::{Passed, passed_between};
use super::reference::{Reference, newest, number, resolve};
use super::timeline::{messages_after, messages_before, messages_between, spoken_in};
use crate::model::{ChannelId, Digest, MessageTs, RecordSeq, Scope, json};
use crate::record::{Kind, Record};
use crate::store::{Error, FIRST_SOURCE, ProofError, Reader, RecordProof, WalkRow};

/// What is archived, as far as a scope lets it be seen.
#[derive(Debug, Clone, Copy)]
pub struct Scoped<'a> {
    reader: &'a Reader,
    scope: &'a Scope,
}

impl<'a> Scoped<'a> {
    /// The archive behind `reader`, within `scope`.
    pub fn new(reader: &'a Reader, scope: &'a Scope) -> Self {
        Self { reader, scope }
    }

    /// What may be seen.
    pub fn scope(&self) -> &'a Scope {
        self.scope
    }

    /// Whether contents of `channel` may be seen.
    pub fn allows(&self, channel: &ChannelId) -> bool {
        self.scope.allows(channel)
    }

    /// Records in the archive, whoever may see them.
    pub fn head(&self) -> Result<u64, Error> {
        self.reader.head()
    }

    /// Whether a subject may be seen. What stands in a channel is of that channel, a file and its comments of
    /// every channel it was seen in; people are seen by whoever sees any channel; what the archive says of itself
    /// and of its crawls, by whoever sees all.
    fn shows(&self, item: &Item) -> Result<bool, Error> {
        if *self.scope == Scope::All {
            return Ok(true);
        }
        if let Some(channel) = &item.channel {
            return Ok(self.allows(channel));
        }
        Ok(match item.kind {
            Kind::File => self.scope.allows_any(&item.shared_in()),
            Kind::Comment => {
                let id = item.key.split('/').next().unwrap_or_default();
                let file = item_of(self.reader, Kind::File, None, id)?;
                file.is_some_and(|file| self.scope.allows_any(&file.shared_in()))
            }
            Kind::User => *self.scope != Scope::nothing(),
            _ => false,
        })
    }

    /// A subject as far as it may be seen.
    fn seen(&self, found: Option<Item>) -> Result<Option<Item>, Error> {
        let Some(mut found) = found else { return Ok(None) };
        if !self.shows(&found)? {
            return Ok(None);
        }
        if found.kind == Kind::File && *self.scope != Scope::All {
            found.forget_shares(&|channel| self.allows(channel));
        }
        Ok(Some(found))
    }

    /// A subject with all its versions, if there is one and it may be seen.
    pub fn item(&self, kind: Kind, channel: Option<&ChannelId>, key: &str) -> Result<Option<Item>, Error> {
        self.seen(item_of(self.reader, kind, channel, key)?)
    }

    /// What `text` names (contract, "REF"), if it may be seen.
    pub fn resolve(&self, text: &str) -> Result<Option<Reference>, Error> {
        let Some(Reference { item, seq, record }) = resolve(self.reader, text)? else { return Ok(None) };
        let Some(item) = self.seen(Some(item))? else { return Ok(None) };
        if item.versions.iter().any(|version| version.seq == seq) {
            return Ok(Some(Reference { seq, record, item }));
        }
        // The record that was named is not to be seen, or was the newest only for those who see all.
        Ok(if number(text).is_some() { None } else { newest(item) })
    }

    /// The record of that number, if it may be seen.
    pub fn record(&self, seq: RecordSeq) -> Result<Option<Record>, Error> {
        Ok(self.resolve(&format!("record:{seq}"))?.map(|found| found.record))
    }

    /// All messages of a channel between two time stamps, both inclusive, oldest first.
    pub fn messages_between(&self, channel: &ChannelId, from: MessageTs, to: MessageTs) -> Result<Vec<Item>, Error> {
        if self.allows(channel) {
            messages_between(self.reader, FIRST_SOURCE, channel, from, to)
        } else {
            Ok(Vec::new())
        }
    }

    /// The `count` messages of a channel up to and including `to`, oldest first.
    pub fn messages_before(&self, channel: &ChannelId, to: MessageTs, count: usize) -> Result<Vec<Item>, Error> {
        if self.allows(channel) {
            messages_before(self.reader, FIRST_SOURCE, channel, to, count)
        } else {
            Ok(Vec::new())
        }
    }

    /// The `count` messages of a channel from `from` on, inclusive, oldest first.
    pub fn messages_after(&self, channel: &ChannelId, from: MessageTs, count: usize) -> Result<Vec<Item>, Error> {
        if self.allows(channel) {
            messages_after(self.reader, FIRST_SOURCE, channel, from, count)
        } else {
            Ok(Vec::new())
        }
    }

    /// The messages right before and right after one of a channel, those that are gone included.
    pub fn neighbours(&self, channel: &ChannelId, ts: MessageTs) -> Result<(Option<Item>, Option<Item>), Error> {
        if !self.allows(channel) {
            return Ok((None, None));
        }
        let found = |ts: Option<MessageTs>| match ts {
            Some(ts) => self.item(Kind::Message, Some(channel), &ts.to_string()),
            None => Ok(None),
        };
        let (before, after) = neighbours(self.reader, FIRST_SOURCE, channel, ts)?;
        Ok((found(before)?, found(after)?))
    }

    /// Reactions that changed after their message was archived, as they were last seen by then: for each message
    /// between two time stamps, the array that the server sent.
    pub fn reactions_between(
        &self,
        channel: &ChannelId,
        from: MessageTs,
        to: MessageTs,
        as_of: AsOf,
    ) -> Result<HashMap<MessageTs, Value>, Error> {
        let mut out = HashMap::new();
        if !self.allows(channel) {
            return Ok(out);
        }
        for (ts, rows) in self.reader.versions_between(Kind::Reactions, FIRST_SOURCE, channel, from, to)? {
            for row in rows.iter().rev() {
                let record = self.reader.record(row.seq)?;
                if as_of.includes(row.seq, &record.header) {
                    out.insert(ts, json::parse(&record.body).unwrap_or_default());
                    break;
                }
            }
        }
        Ok(out)
    }

    /// What is pinned in a channel, as each account was last shown it: an array of the server's for each.
    pub fn pins(&self, channel: &ChannelId) -> Result<Vec<Value>, Error> {
        self.pins_at(channel, AsOf::Now)
    }

    /// What was pinned in a channel, as each account was last shown it by then.
    pub fn pins_at(&self, channel: &ChannelId, as_of: AsOf) -> Result<Vec<Value>, Error> {
        let mut out = Vec::new();
        if self.allows(channel) {
            for (key, newest) in self.reader.newest_under(Kind::Pins, FIRST_SOURCE, Some(channel), "")? {
                let seen = observed(self.reader, Kind::Pins, Some(channel), &key, newest, as_of)?;
                if !seen.is_later {
                    out.push(json::parse(&seen.record.body).unwrap_or_default());
                }
            }
        }
        Ok(out)
    }

    /// The names that `now` has as they were at another moment, and what was known then of the channel `room`.
    pub fn names_at(&self, now: &Directory, room: &ChannelId, as_of: AsOf) -> Result<Directory, Error> {
        let mut out = names_at(self.reader, now, room, as_of)?;
        out.channels.retain(|id, _| self.allows(id));
        Ok(out)
    }

    /// When somebody was seen among the members of the channels that may be seen, and of which conversations they
    /// are the other one.
    pub fn memberships(&self, user: &str) -> Result<Vec<Membership>, Error> {
        let mut out = Vec::new();
        for kind in [Kind::Channel, Kind::Im] {
            for (key, _) in self.reader.newest(kind)? {
                if let Some(id) = ChannelId::parse(&key).filter(|id| self.allows(id)) {
                    out.extend(memberships(self.reader, kind, &id, &key, user)?);
                }
            }
        }
        Ok(out)
    }

    /// How many messages of a channel lie between two others.
    pub fn passed_between(&self, channel: &ChannelId, after: MessageTs, before: MessageTs) -> Result<Passed, Error> {
        if self.allows(channel) {
            passed_between(self.reader, FIRST_SOURCE, channel, after, before)
        } else {
            Ok(Passed::default())
        }
    }

    /// The proofs of the records of a subject, as far as each may be shown; of records that no checkpoint covers
    /// there is none yet.
    pub fn proofs(&self, item: &Item) -> Result<Vec<RecordProof>, Error> {
        let mut out = Vec::new();
        if self.shows(item)? {
            for version in &item.versions {
                match self.reader.proof(version.seq) {
                    Ok(proof) => out.push(if self.opens(&version.record) { proof } else { proof.closed() }),
                    Err(ProofError::NoCheckpoint | ProofError::Uncovered { .. }) => {}
                    Err(ProofError::Store(error)) => return Err(error),
                }
            }
        }
        Ok(out)
    }

    /// The records of a subject with the hashes of their leaves.
    pub fn leaves(&self, item: &Item) -> Result<Vec<(RecordSeq, Digest)>, Error> {
        if !self.shows(item)? {
            return Ok(Vec::new());
        }
        item.versions.iter().map(|version| Ok((version.seq, self.reader.leaf_entry(version.seq)?.hash()))).collect()
    }

    /// Every file with its versions, in no order.
    pub fn files(&self) -> Result<Vec<Item>, Error> {
        let mut out = Vec::new();
        for (id, _) in self.reader.newest(Kind::File)? {
            out.extend(self.item(Kind::File, None, &id)?);
        }
        Ok(out)
    }

    /// The comments of a file, with their versions, in no order.
    pub fn comments(&self, file: &str) -> Result<Vec<Item>, Error> {
        let mut out = Vec::new();
        if self.item(Kind::File, None, file)?.is_some() {
            for (key, _) in self.reader.newest_under(Kind::Comment, FIRST_SOURCE, None, &format!("{file}/"))? {
                out.extend(item_of(self.reader, Kind::Comment, None, &key)?);
            }
        }
        Ok(out)
    }

    /// The newest record of each person, by id.
    pub fn people(&self) -> Result<BTreeMap<String, (RecordSeq, Record)>, Error> {
        let mut out = BTreeMap::new();
        if *self.scope != Scope::nothing() {
            for (id, row) in self.reader.newest(Kind::User)? {
                out.insert(id, (row.seq, self.reader.record(row.seq)?));
            }
        }
        Ok(out)
    }

    /// Whether messages of a channel are archived in each of some stretches of time; see [`spoken_in`].
    pub fn spoken_in(&self, channel: &ChannelId, stretches: &[(MessageTs, MessageTs)]) -> Result<Vec<bool>, Error> {
        if self.allows(channel) {
            spoken_in(self.reader, FIRST_SOURCE, channel, stretches)
        } else {
            Ok(vec![false; stretches.len()])
        }
    }

    /// The oldest message of a channel that was ever archived.
    pub fn oldest_message(&self, channel: &ChannelId) -> Result<Option<MessageTs>, Error> {
        if self.allows(channel) { self.reader.oldest_message(FIRST_SOURCE, channel) } else { Ok(None) }
    }

    /// How far each account walked each channel.
    pub fn walks(&self) -> Result<Vec<WalkRow>, Error> {
        Ok(self.reader.walks()?.into_iter().filter(|row| self.allows(&row.channel)).collect())
    }

    /// Whether all of a record may be shown: a file says in which channels it is shared, wherever it is quoted,
    /// and one who sees some of them is not told of the others.
    pub fn opens(&self, record: &Record) -> bool {
        *self.scope == Scope::All || !names_others(record, &|channel| self.allows(channel))
    }

    /// The proof of a record in the newest checkpoint, as far as it may be shown: what would tell of other
    /// channels stays closed, and the proof good.
    pub fn proof(&self, found: &Reference) -> Result<RecordProof, ProofError> {
        let proof = self.reader.proof(found.seq)?;
        Ok(if self.opens(&found.record) { proof } else { proof.closed() })
    }

    /// The numbers of the records that are stored in one block with a record.
    pub fn stored_with(&self, found: &Reference) -> Result<Range<u64>, Error> {
        let block = self.reader.block(found.seq)?;
        Ok(block.first.0..block.first.0 + block.records.len() as u64)
    }

    /// The hash of a record's leaf in the tree.
    pub fn leaf(&self, found: &Reference) -> Result<Digest, Error> {
        Ok(self.reader.leaf_entry(found.seq)?.hash())
    }
}

/// A subject of the server that the archive is of.
fn item_of(reader: &Reader, kind: Kind, channel: Option<&ChannelId>, key: &str) -> Result<Option<Item>, Error> {
    item(reader, kind, FIRST_SOURCE, channel, key)
}
