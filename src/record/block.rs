//! Blocks: runs of records as text, the unit of compression.
//!
//! ```text
//! {"block":1,"first":1024,"count":3,"shared":{"kind":"message","source":1,"channel":"…",…,"n":17}}
//! 42 {"key":"1490004760.000165"}
//! <42 bytes>
//! 57 {"key":"1490004761.000166","tickets":4}
//! <57 bytes>
//! 12 {"key":"…","n":33}
//! <12 bytes>
//! ```
//!
//! The first line holds the fields that the headers of the block share. A record's line gives the
//! length of its body in bytes and the fields that differ; its full header is the shared fields
//! with these put over them, in the fixed order of [`Header`]. `n` goes up by one from record to
//! record that has one, and is written only where it does not. A field that is shared but absent in one record
//! is written there as `null`. A sealed block says so in its first line (`"sealed":true`), so that what
//! its row says of that can be checked.

use serde::Deserialize as _;
use serde::de::value::MapDeserializer;
use serde_json::{Map, Value};

use super::header::{Header, Record};
use crate::model::RecordSeq;

/// How large an open block may become.
#[derive(Debug, Clone, Copy)]
pub struct BlockLimits {
    /// Records in a block; blocks never cross a multiple of this.
    pub records: u64,
    /// Bytes of bodies; a larger record stands alone.
    pub bytes: usize,
}

impl Default for BlockLimits {
    fn default() -> Self {
        Self { records: 128, bytes: 64 * 1024 }
    }
}

impl BlockLimits {
    /// How many of the coming bodies, whose lengths are given, fit into the block that starts at
    /// `first`: one at least.
    pub fn fit(&self, first: u64, lengths: impl IntoIterator<Item = usize>) -> usize {
        let room = self.records - first % self.records;
        let mut bytes = 0;
        let mut count = 0;
        for length in lengths {
            bytes += length;
            if count > 0 && (bytes > self.bytes || count as u64 >= room) {
                break;
            }
            count += 1;
        }
        count
    }
}

/// Why a block cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("record {seq}: {what}")]
pub struct BlockError {
    /// The record at which reading stopped.
    pub seq: RecordSeq,
    /// What is wrong there.
    pub what: String,
}

const FORMAT: u64 = 1;

fn to_map(header: &Header) -> Map<String, Value> {
    match serde_json::to_value(header) {
        Ok(Value::Object(map)) => map,
        _ => unreachable!("a header is an object"),
    }
}

/// A block as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodedBlock {
    /// Number of the first record.
    pub first: RecordSeq,
    /// Whether it holds whole spans and is never joined with others.
    pub is_sealed: bool,
    /// The records.
    pub records: Vec<Record>,
}

/// The text of an open block.
pub fn encode_block(first: RecordSeq, records: &[Record]) -> Vec<u8> {
    encode(first, records, false).0
}

/// The text of a sealed block, with the lengths in bytes of its pieces: the first line, then each
/// record with its line.
pub fn encode_sealed_block(first: RecordSeq, records: &[Record]) -> (Vec<u8>, Vec<usize>) {
    encode(first, records, true)
}

fn encode(first: RecordSeq, records: &[Record], is_sealed: bool) -> (Vec<u8>, Vec<usize>) {
    let maps: Vec<Map<String, Value>> = records.iter().map(|record| to_map(&record.header)).collect();
    let mut shared = maps.first().cloned().unwrap_or_default();
    // The first record's key and the version's and attachments' values are rarely shared; a value
    // is worth naming once when most records have it.
    let mut names: Vec<String> = shared.keys().cloned().collect();
    names.retain(|name| name != "n");
    for name in names {
        let same = maps.iter().filter(|map| map.get(&name) == shared.get(&name)).count();
        if same * 2 <= maps.len() && maps.len() > 1 || name == "key" {
            shared.remove(&name);
        }
    }
    let mut out = Vec::with_capacity(records.iter().map(|record| record.body.len() + 64).sum());
    let mut first_line =
        serde_json::json!({"block": FORMAT, "first": first.0, "count": records.len(), "shared": shared});
    if is_sealed {
        first_line["sealed"] = Value::Bool(true);
    }
    out.extend_from_slice(first_line.to_string().as_bytes());
    out.push(b'\n');
    let mut lengths = vec![out.len()];
    let mut expected_n = shared.get("n").and_then(Value::as_u64);
    for (record, map) in records.iter().zip(&maps) {
        let mut own = Map::new();
        for (name, value) in map {
            if name == "n" {
                if value.as_u64() != expected_n {
                    own.insert(name.clone(), value.clone());
                }
            } else if shared.get(name) != Some(value) {
                own.insert(name.clone(), value.clone());
            }
        }
        for name in shared.keys() {
            if !map.contains_key(name) {
                own.insert(name.clone(), Value::Null);
            }
        }
        if expected_n.is_some() && !map.contains_key("n") {
            own.insert("n".to_owned(), Value::Null);
        }
        expected_n = match map.get("n").and_then(Value::as_u64) {
            Some(n) => Some(n + 1),
            None => expected_n,
        };
        let start = out.len();
        out.extend_from_slice(record.body.len().to_string().as_bytes());
        out.push(b' ');
        out.extend_from_slice(Value::Object(own).to_string().as_bytes());
        out.push(b'\n');
        out.extend_from_slice(&record.body);
        out.push(b'\n');
        lengths.push(out.len() - start);
    }
    (out, lengths)
}

fn line(bytes: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let end = at + bytes.get(at..)?.iter().position(|&byte| byte == b'\n')?;
    Some((&bytes[at..end], end + 1))
}

/// The records of a block. Every byte must be accounted for.
pub fn decode_block(bytes: &[u8]) -> Result<DecodedBlock, BlockError> {
    let mut seq = RecordSeq(0);
    let fail = |seq: RecordSeq, what: &str| BlockError { seq, what: what.to_owned() };
    let (head, mut at) = line(bytes, 0).ok_or_else(|| fail(seq, "the block has no first line"))?;
    let head: Value =
        serde_json::from_slice(head).map_err(|error| fail(seq, &format!("the block's first line: {error}")))?;
    if head["block"].as_u64() != Some(FORMAT) {
        return Err(fail(seq, "the block is of another format"));
    }
    let (Some(first), Some(count), Some(shared)) =
        (head["first"].as_u64(), head["count"].as_u64(), head["shared"].as_object())
    else {
        return Err(fail(seq, "the block's first line lacks a field"));
    };
    let is_sealed = match head.get("sealed") {
        None => false,
        Some(Value::Bool(true)) => true,
        Some(_) => return Err(fail(RecordSeq(first), "the block's first line says neither sealed nor open")),
    };
    seq = RecordSeq(first);
    let mut expected_n = shared.get("n").cloned().unwrap_or(Value::Null);
    let mut records = Vec::new();
    for _ in 0..count {
        let (own, body_at) = line(bytes, at).ok_or_else(|| fail(seq, "its line is missing"))?;
        let space = own.iter().position(|&byte| byte == b' ').ok_or_else(|| fail(seq, "its line has no length"))?;
        let length: usize = std::str::from_utf8(&own[..space])
            .ok()
            .and_then(|digits| digits.parse().ok())
            .ok_or_else(|| fail(seq, "its line has no length"))?;
        let own: Map<String, Value> =
            serde_json::from_slice(&own[space + 1..]).map_err(|error| fail(seq, &format!("its line: {error}")))?;
        let header = merged(shared, &expected_n, &own).map_err(|error| fail(seq, &format!("its header: {error}")))?;
        if let Some(n) = own.get("n").unwrap_or(&expected_n).as_u64() {
            expected_n = Value::from(n.saturating_add(1));
        }
        let end = body_at.checked_add(length).filter(|&end| bytes.get(end) == Some(&b'\n'));
        let end = end.ok_or_else(|| fail(seq, "its body has another length than its line says"))?;
        records.push(Record { header, body: bytes[body_at..end].to_vec() });
        at = end + 1;
        seq.0 = seq.0.saturating_add(1);
    }
    if at != bytes.len() {
        return Err(fail(seq, "bytes follow the last record of the block"));
    }
    Ok(DecodedBlock { first: RecordSeq(first), is_sealed, records })
}

/// A header out of the fields that the block shares with those of its own line put over them. A field
/// that is `null` is not there. Nothing is copied but what the header keeps: every record of an archive
/// comes through here whenever it is read.
fn merged(
    shared: &Map<String, Value>,
    expected_n: &Value,
    own: &Map<String, Value>,
) -> Result<Header, serde_json::Error> {
    let shared = shared.iter().map(|(name, value)| (name.as_str(), value)).filter(|(name, _)| *name != "n");
    let inherited = shared.chain([("n", expected_n)]).filter(|(name, _)| !own.contains_key(*name));
    let fields = inherited.chain(own.iter().map(|(name, value)| (name.as_str(), value)));
    Header::deserialize(MapDeserializer::new(fields.filter(|(_, value)| !value.is_null())))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::header::{Kind, Origin, State};
    use super::*;

    fn record(key: &str, channel: Option<&str>, n: Option<u64>, version: u32, body: &[u8]) -> Record {
        let header = Header {
            kind: Kind::Message,
            source: 1,
            channel: channel.map(str::to_owned),
            key: key.to_owned(),
            version,
            state: State::Present,
            n,
            origin: Origin::Observed,
            via: "channels.history".to_owned(),
            account: "a@b.example".to_owned(),
            run: 1,
            observed_at: "2026-03-04T09:22:07.000Z".to_owned(),
            tickets: version / 3,
            attachments: Vec::new(),
            shared_in: Vec::new(),
            first: None,
        };
        Record { header, body: body.to_vec() }
    }

    #[test]
    fn what_records_share_is_written_once() {
        let records: Vec<Record> =
            (0..3).map(|i| record(&format!("{i}.000000"), Some("C"), Some(7 + i), 1, b"{\"a\":1}")).collect();
        let text = String::from_utf8(encode_block(RecordSeq(5), &records)).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[1], r#"7 {"key":"0.000000"}"#);
        assert_eq!(lines[5], r#"7 {"key":"2.000000"}"#);
        assert_eq!(text.matches("2026-03-04").count(), 1);
    }

    #[test]
    fn a_body_may_hold_anything() {
        let records =
            vec![record("1.000000", None, None, 1, b"\n12 {}\n\xff\0"), record("2.000000", None, None, 1, b"")];
        assert_eq!(decode_block(&encode_block(RecordSeq(0), &records)).unwrap().records, records);
    }

    #[test]
    fn a_block_cut_or_stretched_is_refused() {
        let bytes = encode_block(RecordSeq(9), &[record("1.000000", None, None, 1, b"abc")]);
        for end in 0..bytes.len() {
            assert!(decode_block(&bytes[..end]).is_err(), "cut at {end}");
        }
        let mut longer = bytes.clone();
        longer.push(b'x');
        assert!(decode_block(&longer).is_err());
    }

    #[test]
    fn blocks_respect_their_limits() {
        let limits = BlockLimits { records: 128, bytes: 100 };
        assert_eq!(limits.fit(126, [1, 1, 1]), 2);
        assert_eq!(limits.fit(0, [60, 60]), 1);
        assert_eq!(limits.fit(0, [500, 1]), 1);
    }

    proptest! {
        #[test]
        fn decode_undoes_encode(items in proptest::collection::vec(
            (any::<String>(), proptest::option::of("[a-c]"), proptest::option::of(0_u64..5), 1_u32..9, proptest::collection::vec(any::<u8>(), 0..40)), 1..20)) {
            let records: Vec<Record> = items.iter().map(|(key, channel, n, version, body)| record(key, channel.as_deref(), *n, *version, body)).collect();
            let open = encode_block(RecordSeq(77), &records);
            let (sealed, lengths) = encode_sealed_block(RecordSeq(77), &records);
            prop_assert_eq!(lengths.iter().sum::<usize>(), sealed.len());
            prop_assert_eq!(lengths.len(), records.len() + 1);
            for (bytes, is_sealed) in [(open, false), (sealed, true)] {
                let due = DecodedBlock { first: RecordSeq(77), is_sealed, records: records.clone() };
                prop_assert_eq!(decode_block(&bytes).unwrap(), due);
            }
        }
    }
}
