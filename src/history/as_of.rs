//! How something read at a moment.
//!
//! There are two clocks. Ours says when something was observed; the source's own says when a
//! message was written (its time stamp) or edited, and when a file or a comment was changed. A
//! reading counts from the moment that the source gives for it, else from our observation: what
//! changed between two passes without a word of the source counts from the second pass on, and
//! what is gone counts as gone from when it was first missed.

use std::collections::HashMap;

use serde_json::Value;

use super::item::{Item, Version};
use crate::model::{MessageTs, RecordSeq, UtcTime, json};
use crate::record::{Header, Kind, State};
use crate::store::Change;

/// Up to where records count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AsOf {
    /// All of them.
    Now,
    /// Up to this one and with it.
    Record(RecordSeq),
    /// Those of what was so at this moment.
    Time(UtcTime),
}

impl AsOf {
    /// Whether an observation counts.
    pub(super) fn includes(self, seq: RecordSeq, header: &Header) -> bool {
        match self {
            Self::Now => true,
            Self::Record(last) => seq <= last,
            Self::Time(time) => header.observed() <= time,
        }
    }
}

/// How an item read at a moment.
#[derive(Debug, Clone, Copy)]
pub struct ItemAt<'a> {
    /// How it read, or last read before it was gone.
    pub reading: &'a Version,
    /// The record that says that it was gone by then.
    pub gone: Option<&'a Version>,
    /// The item was there at that moment, as the source says, but how it read then was not seen:
    /// this is how it was first seen.
    pub is_later: bool,
}

/// How an item read then; `None` when it did not exist yet, or nothing was ever read of it.
pub fn item_at(item: &Item, as_of: AsOf) -> Option<ItemAt<'_>> {
    let readings = item.readings();
    let mut stood: Option<&Version> = None;
    let mut source_time = None;
    for reading in &readings {
        let given = changed_at(item.kind, reading).filter(|given| *given <= reading.record.header.observed());
        // A time that the source gave for an earlier reading says nothing of this one.
        let own = given.filter(|given| source_time.is_none_or(|before| *given > before));
        source_time = source_time.max(given);
        let counts = match (as_of, own) {
            (AsOf::Time(time), Some(own)) => own <= time,
            _ => as_of.includes(reading.seq, &reading.record.header),
        };
        if counts {
            stood = Some(reading);
        }
    }
    let is_later = stood.is_none();
    let first = *readings.first()?;
    if is_later && !existed(item, first, as_of) {
        return None;
    }
    let reading = stood.unwrap_or(first);
    // What was told late says nothing of whether it stands.
    let decides = |version: &&Version| version.change != Change::Earlier && counts_by_evidence(version, as_of);
    let last = item.versions.iter().rfind(decides);
    let is_after = |last: &&Version| last.seq > reading.seq || reading.change == Change::Earlier;
    let gone = last.filter(|last| last.record.header.state == State::Gone).filter(is_after);
    Some(ItemAt { reading, gone, is_later })
}

/// The versions of an item that count at a moment: the readings up to the one that stood then, and what
/// else was noted of it by then. Oldest record first; empty when the item did not exist yet.
pub fn versions_at(item: &Item, as_of: AsOf) -> Vec<&Version> {
    let Some(at) = item_at(item, as_of) else { return Vec::new() };
    let readings = item.readings();
    let stood = readings.iter().position(|reading| reading.seq == at.reading.seq).unwrap_or(0);
    let places: HashMap<RecordSeq, usize> = (0..).zip(&readings).map(|(place, reading)| (reading.seq, place)).collect();
    let counts = |version: &&Version| match places.get(&version.seq) {
        Some(place) => *place <= stood,
        None => counts_by_evidence(version, as_of),
    };
    item.versions.iter().filter(counts).collect()
}

/// Whether the source says that the item was there although no reading of it counts.
fn existed(item: &Item, first: &Version, as_of: AsOf) -> bool {
    let AsOf::Time(time) = as_of else { return false };
    let created = match item.kind {
        Kind::Message => MessageTs::parse(&item.key).map(MessageTs::time),
        Kind::File | Kind::Comment => seconds(&json::parse(&first.record.body).unwrap_or_default()["created"]),
        _ => None,
    };
    created.is_some_and(|created| created <= time)
}

/// Whether a version counts, a deletion from the moment at which the source says that it was.
fn counts_by_evidence(version: &Version, as_of: AsOf) -> bool {
    let header = &version.record.header;
    let told = (header.state == State::Gone)
        .then(|| json::parse(&version.record.body))
        .flatten()
        .and_then(|note| chrono::DateTime::parse_from_rfc3339(note["gone"]["at"].as_str()?).ok())
        .map(|at| at.to_utc());
    match (as_of, told) {
        (AsOf::Time(time), Some(told)) => told <= time,
        _ => as_of.includes(version.seq, header),
    }
}

/// Since when a reading was so, as far as the source says.
fn changed_at(kind: Kind, reading: &Version) -> Option<UtcTime> {
    let body = json::parse(&reading.record.body)?;
    match kind {
        Kind::Message => {
            let ts = match &body["edited"] {
                Value::Object(edited) => edited.get("ts")?,
                _ => &body["ts"],
            };
            MessageTs::parse(ts.as_str()?).map(MessageTs::time)
        }
        Kind::File | Kind::Comment => seconds(&body["timestamp"]).or_else(|| seconds(&body["created"])),
        _ => None,
    }
}

/// A time in Unix seconds, as a number or as text.
fn seconds(value: &Value) -> Option<UtcTime> {
    let seconds = value.as_i64().or_else(|| value.as_str()?.parse().ok()).filter(|seconds| *seconds > 0)?;
    chrono::DateTime::from_timestamp(seconds, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{SourceId, rfc3339};
    use crate::record::{Origin, Record};

    fn time(seconds: i64) -> UtcTime {
        chrono::DateTime::from_timestamp(seconds, 0).unwrap()
    }

    /// A message of second 100, by the observations of it: when, what happened, the body.
    fn message(versions: &[(i64, Change, &str)]) -> Item {
        let versions = (1..).zip(versions).map(|(number, (at, change, body))| {
            let header = Header {
                kind: Kind::Message,
                source: 1,
                channel: Some("C1".to_owned()),
                key: "100.000001".to_owned(),
                version: number,
                state: if *change == Change::Gone { State::Gone } else { State::Present },
                n: None,
                origin: Origin::Observed,
                via: String::new(),
                account: String::new(),
                run: 1,
                observed_at: rfc3339(time(*at)),
                tickets: 0,
                attachments: Vec::new(),
                shared_in: Vec::new(),
                first: None,
            };
            let record = Record { header, body: body.as_bytes().to_vec() };
            Version { version: number, seq: RecordSeq(u64::from(number) * 10), change: *change, record }
        });
        let (kind, key) = (Kind::Message, "100.000001".to_owned());
        Item { kind, source: SourceId(1), channel: None, key, versions: versions.collect() }
    }

    /// The number of the version that stood, whether it was gone, whether it was seen only later.
    fn check(item: &Item, as_of: AsOf, expected: Option<(u32, bool, bool)>) {
        let found = item_at(item, as_of).map(|at| (at.reading.version, at.gone.is_some(), at.is_later));
        assert_eq!(found, expected, "{as_of:?}");
    }

    const PLAIN: &str = r#"{"ts":"100.000001","text":"a"}"#;

    #[test]
    fn the_source_says_when_it_was_written_and_edited() {
        let edited = r#"{"ts":"100.000001","text":"b","edited":{"ts":"300.000000"}}"#;
        let gone = r#"{"gone":{"first_missing":"x"}}"#;
        let item = message(&[(200, Change::New, PLAIN), (400, Change::Changed, edited), (600, Change::Gone, gone)]);
        check(&item, AsOf::Time(time(99)), None);
        check(&item, AsOf::Time(time(150)), Some((1, false, false)));
        check(&item, AsOf::Time(time(299)), Some((1, false, false)));
        check(&item, AsOf::Time(time(300)), Some((2, false, false)));
        check(&item, AsOf::Time(time(599)), Some((2, false, false)));
        check(&item, AsOf::Time(time(600)), Some((2, true, false)));
        check(&item, AsOf::Now, Some((2, true, false)));
        check(&item, AsOf::Record(RecordSeq(9)), None);
        check(&item, AsOf::Record(RecordSeq(19)), Some((1, false, false)));
        check(&item, AsOf::Record(RecordSeq(30)), Some((2, true, false)));
    }

    #[test]
    fn what_the_source_does_not_date_counts_from_our_observation() {
        let other = r#"{"ts":"100.000001","text":"b"}"#;
        let item = message(&[(200, Change::New, PLAIN), (400, Change::Changed, other)]);
        check(&item, AsOf::Time(time(399)), Some((1, false, false)));
        check(&item, AsOf::Time(time(400)), Some((2, false, false)));
    }

    #[test]
    fn a_text_that_was_edited_before_it_was_seen_is_marked() {
        let edited = r#"{"ts":"100.000001","text":"b","edited":{"ts":"150.000000"}}"#;
        let item = message(&[(200, Change::New, edited)]);
        check(&item, AsOf::Time(time(120)), Some((1, false, true)));
        check(&item, AsOf::Time(time(150)), Some((1, false, false)));
    }

    #[test]
    fn what_came_back_stands_again() {
        let gone = r#"{"gone":{"at":"1970-01-01T00:04:10Z"}}"#;
        let item = message(&[(200, Change::New, PLAIN), (300, Change::Gone, gone), (400, Change::Back, PLAIN)]);
        check(&item, AsOf::Time(time(249)), Some((1, false, false)));
        check(&item, AsOf::Time(time(250)), Some((1, true, false)));
        check(&item, AsOf::Time(time(400)), Some((1, false, false)));
    }

    #[test]
    fn what_was_told_late_counts_from_when_the_source_says_and_brings_nothing_back() {
        let edited = r#"{"ts":"100.000001","text":"b","edited":{"ts":"220.000000"}}"#;
        let gone = r#"{"gone":{"first_missing":"x"}}"#;
        let item = message(&[(200, Change::New, PLAIN), (300, Change::Gone, gone), (400, Change::Earlier, edited)]);
        check(&item, AsOf::Time(time(219)), Some((1, false, false)));
        check(&item, AsOf::Time(time(220)), Some((3, false, false)));
        check(&item, AsOf::Time(time(300)), Some((3, true, false)));
        check(&item, AsOf::Now, Some((3, true, false)));
        check(&item, AsOf::Record(RecordSeq(20)), Some((1, true, false)));
    }
}
