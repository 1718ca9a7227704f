use std::collections::{BTreeMap, HashSet, VecDeque};

use chrono::SubsecRound as _;

use super::item::{Item, Version};
use crate::model::{ChannelId, MessageTs, RecordSeq, SourceId, UtcTime};
use crate::record::{Header, Kind, LIVE, Record, change_digest, is_part_of};
use crate::store::{Block, Change, Error, Reader, VersionRow};

type Firsts = BTreeMap<MessageTs, (RecordSeq, Record)>;

/// The first versions of a channel's messages in a block.
pub(super) fn firsts<'b>(
    block: &'b Block,
    channel: &'b ChannelId,
) -> impl Iterator<Item = (MessageTs, RecordSeq, &'b Record)> + use<'b> {
    (block.first.0..).zip(&block.records).filter_map(move |(seq, record)| {
        let header = &record.header;
        let is_first =
            header.kind == Kind::Message && header.version == 1 && header.channel.as_deref() == Some(channel.as_str());
        Some((MessageTs::parse(&header.key).filter(|_| is_first)?, RecordSeq(seq), record))
    })
}

/// Adds the first versions of a channel's messages in one block that lie between the bounds.
fn collect(
    reader: &Reader,
    block: RecordSeq,
    channel: &ChannelId,
    from: MessageTs,
    to: MessageTs,
    into: &mut Firsts,
) -> Result<(), Error> {
    let block = reader.block(block)?;
    let found = firsts(&block, channel).filter(|(ts, ..)| (from..=to).contains(ts));
    into.extend(found.map(|(ts, seq, record)| (ts, (seq, record.clone()))));
    Ok(())
}

fn with_versions(reader: &Reader, source: SourceId, channel: &ChannelId, firsts: Firsts) -> Result<Vec<Item>, Error> {
    let (Some(from), Some(to)) = (firsts.keys().next().copied(), firsts.keys().last().copied()) else {
        return Ok(Vec::new());
    };
    let mut later = reader.versions_between(Kind::Message, source, channel, from, to)?;
    let mut out = Vec::with_capacity(firsts.len());
    for (ts, (seq, record)) in firsts {
        let mut versions = vec![Version { version: 1, seq, change: Change::New, record }];
        for row in later.remove(&ts).unwrap_or_default() {
            versions.push(Version {
                version: row.version,
                seq: row.seq,
                change: row.change,
                record: reader.record(row.seq)?,
            });
        }
        out.push(Item { kind: Kind::Message, source, channel: Some(channel.clone()), key: ts.to_string(), versions });
    }
    Ok(out)
}

/// All messages of a channel between two time stamps, both inclusive, oldest first.
pub fn messages_between(
    reader: &Reader,
    source: SourceId,
    channel: &ChannelId,
    from: MessageTs,
    to: MessageTs,
) -> Result<Vec<Item>, Error> {
    let mut firsts = Firsts::new();
    for (_, _, block) in reader.message_blocks(source, channel, from, to)? {
        collect(reader, block, channel, from, to, &mut firsts)?;
    }
    with_versions(reader, source, channel, firsts)
}

/// The `count` messages of a channel up to and including `to`, oldest first.
pub fn messages_before(
    reader: &Reader,
    source: SourceId,
    channel: &ChannelId,
    to: MessageTs,
    count: usize,
) -> Result<Vec<Item>, Error> {
    let mut firsts = Firsts::new();
    // Blocks come by their latest message, so nothing that is still to come is later than `max`.
    for (_, max, block) in reader.message_blocks(source, channel, MessageTs::MIN, to)? {
        if firsts.range(max..).count() > count {
            break;
        }
        collect(reader, block, channel, MessageTs::MIN, to, &mut firsts)?;
    }
    while firsts.len() > count {
        firsts.pop_first();
    }
    with_versions(reader, source, channel, firsts)
}

/// The `count` messages of a channel from `from` on, inclusive, oldest first.
pub fn messages_after(
    reader: &Reader,
    source: SourceId,
    channel: &ChannelId,
    from: MessageTs,
    count: usize,
) -> Result<Vec<Item>, Error> {
    Messages::new(reader, source, channel, from)?.take(count).collect()
}

/// Messages that are looked up at once, without their bodies.
const LOOK: usize = 256;

/// Goes through the messages of a channel from a time stamp on, inclusive, oldest first. It holds the bodies of
/// one message at a time, and looks at each block of the archive once.
#[derive(Debug)]
pub struct Messages<'a> {
    reader: &'a Reader,
    source: SourceId,
    channel: &'a ChannelId,
    from: MessageTs,
    /// The blocks that were not looked at so far, by their earliest message; the next one is the last.
    blocks: Vec<(MessageTs, RecordSeq)>,
    /// First versions in blocks that were, and that are not handed out.
    found: BTreeMap<MessageTs, RecordSeq>,
    /// The next ones, with the listed versions of each.
    next: VecDeque<(MessageTs, RecordSeq, Vec<VersionRow>)>,
    /// What was looked up last.
    through: Option<MessageTs>,
}

impl<'a> Messages<'a> {
    /// Begins at `from`.
    pub fn new(reader: &'a Reader, source: SourceId, channel: &'a ChannelId, from: MessageTs) -> Result<Self, Error> {
        let blocks = reader.message_blocks(source, channel, from, MessageTs::MAX)?;
        let mut blocks: Vec<_> = blocks.into_iter().map(|(min, _, block)| (min, block)).collect();
        blocks.sort_unstable_by(|a, b| b.cmp(a));
        let (found, next) = (BTreeMap::new(), VecDeque::new());
        Ok(Self { reader, source, channel, from, blocks, found, next, through: None })
    }

    /// Up to which time stamp the messages after the last one were looked up at once: so far whoever needs more
    /// of each can do the same.
    pub fn through(&self) -> Option<MessageTs> {
        self.through
    }

    fn look(&mut self) -> Result<(), Error> {
        while let Some((min, block)) = self.blocks.last().copied() {
            if self.found.first_key_value().is_some_and(|(first, _)| *first < min) {
                break;
            }
            self.blocks.pop();
            let block = self.reader.block(block)?;
            // Two blocks of the list may have been sealed into one meanwhile: what was handed out is not again.
            let is_due = |ts: &MessageTs| *ts >= self.from && self.through.is_none_or(|through| *ts > through);
            self.found.extend(firsts(&block, self.channel).filter(|(ts, ..)| is_due(ts)).map(|(ts, seq, _)| (ts, seq)));
        }
        while self.next.len() < LOOK
            && let Some(first) = self.found.first_entry()
            && self.blocks.last().is_none_or(|(min, _)| first.key() < min)
        {
            let (ts, seq) = first.remove_entry();
            self.next.push_back((ts, seq, Vec::new()));
        }
        let (Some((from, ..)), Some((to, ..))) = (self.next.front(), self.next.back()) else { return Ok(()) };
        let mut later = self.reader.versions_between(Kind::Message, self.source, self.channel, *from, *to)?;
        self.through = Some(*to);
        self.next.iter_mut().for_each(|(ts, _, rows)| *rows = later.remove(ts).unwrap_or_default());
        Ok(())
    }

    fn read(&self, ts: MessageTs, first: RecordSeq, rows: &[VersionRow]) -> Result<Item, Error> {
        let mut versions =
            vec![Version { version: 1, seq: first, change: Change::New, record: self.reader.record(first)? }];
        for row in rows {
            let record = self.reader.record(row.seq)?;
            versions.push(Version { version: row.version, seq: row.seq, change: row.change, record });
        }
        let (kind, channel) = (Kind::Message, Some(self.channel.clone()));
        Ok(Item { kind, source: self.source, channel, key: ts.to_string(), versions })
    }
}

impl Iterator for Messages<'_> {
    type Item = Result<Item, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next.is_empty()
            && let Err(error) = self.look()
        {
            return Some(Err(error));
        }
        let (ts, first, rows) = self.next.pop_front()?;
        Some(self.read(ts, first, &rows))
    }
}

/// How many messages of a channel between two time stamps, both inclusive, are not known to be gone.
pub fn count_between(
    reader: &Reader,
    source: SourceId,
    channel: &ChannelId,
    from: MessageTs,
    to: MessageTs,
) -> Result<u64, Error> {
    let mut count = 0_u64;
    let mut counted = HashSet::new();
    for (_, _, first) in reader.message_blocks(source, channel, from, to)? {
        let block = reader.block(first)?;
        // Two blocks of the list may have been sealed into one meanwhile.
        if !counted.insert(block.first) {
            continue;
        }
        count += firsts(&block, channel).filter(|(ts, ..)| (from..=to).contains(ts)).count() as u64;
    }
    let later = reader.versions_between(Kind::Message, source, channel, from, to)?;
    let decisive = |rows: &Vec<VersionRow>| rows.iter().rev().find(|row| row.change != Change::Earlier).copied();
    let gone = later.values().filter(|rows| decisive(rows).is_some_and(|row| row.change == Change::Gone)).count();
    Ok(count.saturating_sub(gone as u64))
}

/// Whether messages of a channel are archived, gone ones too, in each of some stretches of time, which are in
/// their order: from the first time stamp of each up to, and without, the second.
pub fn spoken_in(
    reader: &Reader,
    source: SourceId,
    channel: &ChannelId,
    stretches: &[(MessageTs, MessageTs)],
) -> Result<Vec<bool>, Error> {
    let (Some((first, _)), Some((_, last))) = (stretches.first(), stretches.last()) else { return Ok(Vec::new()) };
    let blocks = reader.message_blocks(source, channel, *first, *last)?;
    let mut out = Vec::with_capacity(stretches.len());
    for (from, to) in stretches {
        let is_in = |ts: MessageTs| ts >= *from && ts < *to;
        // Most stretches hold the first or last message of a block, and none needs to be opened.
        let mut is_spoken = blocks.iter().any(|(min, max, _)| is_in(*min) || is_in(*max));
        for (_, _, block) in blocks.iter().filter(|(min, max, _)| min < from && max >= to) {
            is_spoken = is_spoken
                || match reader.block(*block) {
                    Ok(block) => firsts(&block, channel).any(|(ts, ..)| is_in(ts)),
                    // What it holds cannot be read. That it holds messages from about then, the index says.
                    Err(Error::Corrupt { .. }) => true,
                    Err(error) => return Err(error),
                };
        }
        out.push(is_spoken);
    }
    Ok(out)
}

/// What is archived of one message, as far as a walk needs it.
#[derive(Debug, Clone)]
pub struct Known {
    /// Number of its newest version.
    pub version: u32,
    /// Whether it was last found to be gone.
    pub is_gone: bool,
    /// When a live event told how it last read, perhaps in part; `None`: the history showed it.
    pub told_at: Option<UtcTime>,
    /// How it last read.
    pub body: Vec<u8>,
}

impl Known {
    /// What another reading makes of it, for which the server was asked at `asked_at`; `None`: it
    /// reads as before, or a live event has told since of what is newer than the question.
    pub fn becomes(&self, body: &[u8], asked_at: UtcTime) -> Option<Change> {
        let same = self.body == body || change_digest(Kind::Message, &self.body) == change_digest(Kind::Message, body);
        // Records bear milliseconds.
        let asked_at = asked_at.trunc_subsecs(3);
        if self.told_at.is_some_and(|told_at| told_at >= asked_at) && !self.is_gone {
            return None;
        }
        match (same, self.is_gone) {
            (true, false) => None,
            (true, true) => Some(Change::Back),
            (false, true) => Some(Change::BackChanged),
            // A live event told of it in part; nobody edited it.
            (false, false) if self.told_at.is_some() && is_part_of(&self.body, body) => Some(Change::Fetched),
            (false, false) => Some(Change::Changed),
        }
    }
}

/// What is archived of a channel's messages between two time stamps, both inclusive.
pub fn known_between(
    reader: &Reader,
    source: SourceId,
    channel: &ChannelId,
    from: MessageTs,
    to: MessageTs,
) -> Result<BTreeMap<MessageTs, Known>, Error> {
    let mut out = BTreeMap::new();
    for item in messages_between(reader, source, channel, from, to)? {
        let (Some(newest), Some(latest)) = (item.versions.last(), item.latest()) else { continue };
        let Some(ts) = MessageTs::parse(&item.key) else { continue };
        let known = Known {
            version: newest.version,
            is_gone: item.is_gone(),
            told_at: Some(&latest.record.header).filter(|header| header.via == LIVE).map(Header::observed),
            body: latest.record.body.clone(),
        };
        out.insert(ts, known);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> UtcTime {
        UtcTime::from_timestamp(second, 0).unwrap()
    }

    #[test]
    fn an_answer_to_an_older_question_is_no_newer_than_what_was_told() {
        let first = br#"{"user":"a","text":"one","ts":"1.000000","is_stared":false,"color":"red"}"#;
        let part = br#"{"user":"a","text":"one","ts":"1.000000"}"#;
        let edited = br#"{"user":"a","text":"two","ts":"1.000000","edited":{"user":"a","ts":"2.000000"}}"#;
        let known = |body: &[u8], told_at| Known { version: 2, is_gone: false, told_at, body: body.to_vec() };
        let told = known(edited, Some(at(5)));
        assert_eq!(told.becomes(first, at(4)), None, "the page was on its way while it was edited");
        assert_eq!(told.becomes(first, at(6)), Some(Change::Changed));
        assert_eq!(known(part, Some(at(5))).becomes(first, at(6)), Some(Change::Fetched));
        assert_eq!(known(part, None).becomes(first, at(4)), Some(Change::Changed));
        assert_eq!(known(first, None).becomes(first, at(4)), None);
        let gone = Known { is_gone: true, ..known(first, Some(at(5))) };
        assert_eq!(gone.becomes(first, at(4)), Some(Change::Back));
    }
}
