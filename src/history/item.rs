use crate::model::{ChannelId, MessageTs, RecordSeq, SourceId, json};
use crate::record::{Kind, Record, State, change_digest, is_part_of};
use crate::store::{Change, Error, Reader};

/// One version of a subject, with its record.
#[derive(Debug, Clone)]
pub struct Version {
    /// 1, 2, …
    pub version: u32,
    /// Number of the record.
    pub seq: RecordSeq,
    /// How it relates to the one before.
    pub change: Change,
    /// The record.
    pub record: Record,
}

/// Whether a version is what stands now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemState {
    /// It stands.
    Current,
    /// A later version replaced it.
    Edited,
    /// The subject is gone and this is how it last read.
    Deleted,
}

impl ItemState {
    /// The word in every output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Edited => "edited",
            Self::Deleted => "deleted",
        }
    }
}

/// A subject with all its versions, oldest first; there is at least one.
#[derive(Debug, Clone)]
pub struct Item {
    /// What it is about.
    pub kind: Kind,
    /// Which server or import.
    pub source: SourceId,
    /// Its channel, for what belongs to one.
    pub channel: Option<ChannelId>,
    /// Its key.
    pub key: String,
    /// Every version, those that say it is gone included.
    pub versions: Vec<Version>,
}

impl Item {
    /// The version that says whether it stands: the newest but for those that tell of earlier
    /// readings.
    fn decisive(&self) -> Option<&Version> {
        self.versions.iter().rev().find(|version| version.change != Change::Earlier)
    }

    /// Whether it was last found to be gone.
    pub fn is_gone(&self) -> bool {
        self.decisive().is_some_and(|version| version.record.header.state == State::Gone)
    }

    /// The versions that hold what the source sent, oldest first, without those that only say that
    /// it came back unchanged. What was told late stands where its time of edit puts it.
    pub fn readings(&self) -> Vec<&Version> {
        let mut out: Vec<&Version> = Vec::new();
        let mut is_gone = false;
        for version in &self.versions {
            if version.change != Change::Earlier {
                is_gone = version.record.header.state == State::Gone;
            }
            match version.change {
                _ if version.record.header.state == State::Gone => {}
                Change::Back | Change::Shared => {}
                // The same reading, now known whole: it stands for both.
                Change::Fetched => {
                    out.pop();
                    out.push(version);
                }
                Change::Earlier => {
                    let edited = edit_stamp(&version.record.body);
                    let later = out.iter().position(|other| edit_stamp(&other.record.body) > edited);
                    // Of an item that was gone, the last reading may be what was told late.
                    let place = later.unwrap_or(if is_gone { out.len() } else { out.len().saturating_sub(1) });
                    out.insert(place, version);
                }
                Change::New | Change::Changed | Change::BackChanged | Change::Gone => out.push(version),
            }
        }
        out
    }

    /// The channels a file was seen in.
    pub fn shared_in(&self) -> Vec<ChannelId> {
        let mut out: Vec<ChannelId> = Vec::new();
        for id in self
            .versions
            .iter()
            .flat_map(|version| &version.record.header.shared_in)
            .filter_map(|id| ChannelId::parse(id))
        {
            if !out.contains(&id) {
                out.push(id);
            }
        }
        out
    }

    /// Leaves out the versions that only say of a file that it was shared in yet another channel, where `allows`
    /// says no to that channel: who may not see it is not told that there is such a record.
    pub fn forget_shares(&mut self, allows: &dyn Fn(&ChannelId) -> bool) {
        let mut before = Vec::new();
        self.versions.retain(|version| {
            let ids = version.record.header.shared_in.iter().filter_map(|id| ChannelId::parse(id));
            let now: Vec<ChannelId> = ids.filter(|id| allows(id)).collect();
            let tells = version.change != Change::Shared || now != before;
            before = now;
            tells
        });
    }

    /// How it last read.
    pub fn latest(&self) -> Option<&Version> {
        self.readings().last().copied()
    }

    /// What a reading of it is now.
    pub fn state_of(&self, seq: RecordSeq) -> ItemState {
        match self.latest() {
            Some(latest) if latest.seq != seq => ItemState::Edited,
            _ if self.is_gone() => ItemState::Deleted,
            _ => ItemState::Current,
        }
    }

    /// When the item went and came back, in turn, from the time on that a reading was first observed:
    /// microseconds since 1970. An odd number of moments before a time: it was gone then. A reading that
    /// was told late of an item that was gone begins with its own time.
    pub fn comings_and_goings(&self, seq: RecordSeq) -> Vec<i64> {
        let mut out = Vec::new();
        let mut is_gone = false;
        let mut is_after = false;
        for version in &self.versions {
            let was_gone = is_gone;
            if version.change != Change::Earlier {
                is_gone = version.record.header.state == State::Gone;
            }
            let time = version.record.header.observed().timestamp_micros();
            if version.seq == seq {
                is_after = true;
                if is_gone {
                    out.push(time);
                }
            } else if is_after && was_gone != is_gone {
                out.push(time);
            }
        }
        out
    }

    /// The evidence of its disappearance, when it is gone: our note, as JSON.
    pub fn evidence(&self) -> Option<serde_json::Value> {
        self.decisive().filter(|_| self.is_gone()).and_then(|version| json::parse(&version.record.body))
    }

    /// What a reading of a message that a live event told makes of this item: how it read at first
    /// (`is_new`), or after a change. Events come late, twice, or in another order; none brings back
    /// what was found to be gone, since the server may have told it before (invariant I11).
    pub fn told(&self, body: &[u8], is_new: bool) -> Told {
        let readings = self.readings();
        let is_known = |version: &&Version| {
            let known = &version.record.body;
            change_digest(Kind::Message, known) == change_digest(Kind::Message, body) || is_part_of(body, known)
        };
        if readings.iter().any(is_known) {
            return Told::Known;
        }
        let is_newer = readings.last().is_none_or(|latest| {
            let (told, known) = (edit_stamp(body), edit_stamp(&latest.record.body));
            // A change need not be marked as an edit: then it is taken to come in its order, and the
            // next walk says what stands.
            told > known || told == known && !is_new
        });
        if is_newer && !self.is_gone() { Told::Newer } else { Told::Earlier }
    }
}

/// What becomes of a reading that a live event told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// It is archived already.
    Known,
    /// The item was edited since it was last seen.
    Newer,
    /// It read so before it was last seen, or before it went.
    Earlier,
}

/// When a message was last edited, as it says itself; [`MessageTs::MIN`] for one that never was.
fn edit_stamp(body: &[u8]) -> MessageTs {
    let edited = json::member(body, "edited").and_then(|range| json::member_text(&body[range], "ts"));
    edited.and_then(|ts| MessageTs::parse(&ts)).unwrap_or(MessageTs::MIN)
}

/// A subject by its key; `None` when nothing is known of it.
pub fn item(
    reader: &Reader,
    kind: Kind,
    source: SourceId,
    channel: Option<&ChannelId>,
    key: &str,
) -> Result<Option<Item>, Error> {
    let mut versions = Vec::new();
    if kind == Kind::Message {
        let found = match (channel, MessageTs::parse(key)) {
            (Some(channel), Some(ts)) => first_version(reader, source, channel, ts)?,
            _ => None,
        };
        let Some((seq, record)) = found else { return Ok(None) };
        versions.push(Version { version: 1, seq, change: Change::New, record });
    }
    for row in reader.versions(kind, source, channel, key)? {
        versions.push(Version {
            version: row.version,
            seq: row.seq,
            change: row.change,
            record: reader.record(row.seq)?,
        });
    }
    if versions.is_empty() {
        return Ok(None);
    }
    Ok(Some(Item { kind, source, channel: channel.cloned(), key: key.to_owned(), versions }))
}

/// The first version of a message, through the span index.
fn first_version(
    reader: &Reader,
    source: SourceId,
    channel: &ChannelId,
    ts: MessageTs,
) -> Result<Option<(RecordSeq, Record)>, Error> {
    let key = ts.to_string();
    for (_, _, first) in reader.message_blocks(source, channel, ts, ts)? {
        let block = reader.block(first)?;
        for (seq, record) in (block.first.0..).zip(&block.records) {
            let header = &record.header;
            if header.kind == Kind::Message
                && header.version == 1
                && header.key == key
                && header.channel.as_deref() == Some(channel.as_str())
            {
                return Ok(Some((RecordSeq(seq), record.clone())));
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Header, Origin};

    /// An item whose versions are these bodies; an empty one says that it is gone.
    fn item_of(versions: &[(Change, &str)]) -> Item {
        let channel = ChannelId::parse("C1");
        let mut item = Item {
            kind: Kind::Message,
            source: SourceId(1),
            channel,
            key: "1.000000".to_owned(),
            versions: Vec::new(),
        };
        for (number, (change, body)) in (1..).zip(versions) {
            let header = Header {
                kind: Kind::Message,
                source: 1,
                channel: Some("C1".to_owned()),
                key: "1.000000".to_owned(),
                version: number,
                state: if *change == Change::Gone { State::Gone } else { State::Present },
                n: Some(1),
                origin: Origin::Observed,
                via: "rtm".to_owned(),
                account: "a".to_owned(),
                run: 1,
                observed_at: "2026-01-01T00:00:00Z".to_owned(),
                tickets: 0,
                attachments: Vec::new(),
                shared_in: Vec::new(),
                first: None,
            };
            let record = Record { header, body: body.as_bytes().to_vec() };
            item.versions.push(Version { version: number, seq: RecordSeq(u64::from(number)), change: *change, record });
        }
        item
    }

    fn edited(text: &str, at: u32) -> String {
        format!(r#"{{"user":"a","text":"{text}","edited":{{"user":"a","ts":"{at}.000000"}}}}"#)
    }

    const FIRST: &str = r#"{"user":"a","text":"one"}"#;

    fn order(item: &Item) -> Vec<u32> {
        item.readings().iter().map(|reading| reading.version).collect()
    }

    #[test]
    fn what_is_told_late_takes_its_place_and_changes_nothing_that_stands() {
        let (second, third) = (edited("two", 2), edited("three", 3));
        let known = item_of(&[(Change::New, &third), (Change::Earlier, FIRST), (Change::Earlier, &second)]);
        assert_eq!(order(&known), [2, 3, 1]);
        assert_eq!(known.latest().unwrap().version, 1);
        assert_eq!(known.state_of(RecordSeq(1)), ItemState::Current);
        assert_eq!(known.state_of(RecordSeq(3)), ItemState::Edited);

        let gone = item_of(&[(Change::New, FIRST), (Change::Gone, "{}"), (Change::Earlier, &second)]);
        assert!(gone.is_gone());
        assert_eq!(order(&gone), [1, 3]);
        assert_eq!(gone.state_of(RecordSeq(3)), ItemState::Deleted);
        assert!(gone.evidence().is_some());
        let back =
            item_of(&[(Change::New, FIRST), (Change::Gone, "{}"), (Change::Earlier, &second), (Change::Back, &second)]);
        assert!(!back.is_gone());
        assert_eq!(order(&back), [1, 3]);
        assert_eq!(back.state_of(RecordSeq(3)), ItemState::Current);
    }

    #[test]
    fn who_may_not_see_a_channel_is_not_told_that_a_file_was_shared_there() {
        let mut item = item_of(&[(Change::New, "{}"), (Change::Shared, "{}"), (Change::Shared, "{}")]);
        item.kind = Kind::File;
        for (version, shared_in) in item.versions.iter_mut().zip([&["A"][..], &["A", "B"], &["A", "B", "C"]]) {
            version.record.header.shared_in = shared_in.iter().map(|id| (*id).to_owned()).collect();
        }
        for (seen, expected) in [("A", &[1][..]), ("AB", &[1, 2]), ("AC", &[1, 3]), ("ABC", &[1, 2, 3]), ("", &[1])] {
            let mut item = item.clone();
            item.forget_shares(&|id| seen.contains(id.as_str()));
            assert_eq!(item.versions.iter().map(|version| version.version).collect::<Vec<_>>(), expected, "{seen}");
        }
    }

    #[test]
    fn an_event_is_known_newer_or_earlier() {
        let (second, third) = (edited("two", 2), edited("three", 3));
        let item = item_of(&[(Change::New, FIRST), (Change::Changed, &second)]);
        let check = |item: &Item, body: &str, expected| {
            for is_new in [true, false] {
                assert_eq!(item.told(body.as_bytes(), is_new), expected, "{body}");
            }
        };
        check(&item, &second, Told::Known);
        check(&item, r#"{"type":"message","channel":"C1","user":"a","text":"one"}"#, Told::Known);
        check(&item, r#"{"type":"message","channel":"C1","text":"one"}"#, Told::Known);
        check(&item, &third, Told::Newer);
        check(&item_of(&[(Change::New, &third)]), &second, Told::Earlier);
        check(&item_of(&[(Change::New, &third)]), FIRST, Told::Earlier);
        let gone = item_of(&[(Change::New, FIRST), (Change::Gone, "{}")]);
        check(&gone, &third, Told::Earlier);
        check(&gone, FIRST, Told::Known);
        let unmarked = FIRST.replace("one", "other").into_bytes();
        assert_eq!(item_of(&[(Change::New, FIRST)]).told(&unmarked, false), Told::Newer);
        assert_eq!(item_of(&[(Change::New, FIRST)]).told(&unmarked, true), Told::Earlier);
    }
}
