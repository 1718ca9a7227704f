use super::item::{Item, item};
use crate::model::{ChannelId, RecordSeq};
use crate::record::{Kind, Record};
use crate::store::{Error, FIRST_SOURCE, Reader};

/// What a person named on a command line or in an address.
#[derive(Debug, Clone)]
pub struct Reference {
    /// The record that was named, or the newest of the subject.
    pub seq: RecordSeq,
    /// That record.
    pub record: Record,
    /// The whole subject.
    pub item: Item,
}

/// Finds what `text` names (contract, "REF"): a record's number; `channel/ts`; a file's or a
/// comment's id; `record:`, `file:` or `comment:` force one. `None` when there is no such thing.
pub fn resolve(reader: &Reader, text: &str) -> Result<Option<Reference>, Error> {
    if let Some(id) = text.strip_prefix("file:") {
        return Ok(item(reader, Kind::File, FIRST_SOURCE, None, id)?.and_then(newest));
    }
    if let Some(id) = text.strip_prefix("comment:") {
        return comment(reader, id);
    }
    if let Some(digits) = number(text) {
        return by_number(reader, digits);
    }
    if let Some((channel, ts)) = text.rsplit_once('/') {
        let Some(channel) = ChannelId::parse(channel) else { return Ok(None) };
        return Ok(item(reader, Kind::Message, FIRST_SOURCE, Some(&channel), ts)?.and_then(newest));
    }
    match item(reader, Kind::File, FIRST_SOURCE, None, text)?.and_then(newest) {
        Some(found) => Ok(Some(found)),
        None => comment(reader, text),
    }
}

fn comment(reader: &Reader, id: &str) -> Result<Option<Reference>, Error> {
    let key = if id.contains('/') {
        Some(id.to_owned())
    } else {
        reader.keys_ending(Kind::Comment, &format!("/{id}"))?.into_iter().next()
    };
    match key {
        Some(key) => Ok(item(reader, Kind::Comment, FIRST_SOURCE, None, &key)?.and_then(newest)),
        None => Ok(None),
    }
}

/// What of `text` is meant to be the number of a record.
pub(super) fn number(text: &str) -> Option<&str> {
    let is_bare = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.strip_prefix("record:").or_else(|| is_bare.then_some(text))
}

/// A subject by its newest version.
pub(super) fn newest(item: Item) -> Option<Reference> {
    let newest = item.versions.last()?;
    Some(Reference { seq: newest.seq, record: newest.record.clone(), item })
}

fn by_number(reader: &Reader, digits: &str) -> Result<Option<Reference>, Error> {
    let Ok(seq) = digits.parse::<u64>().map(RecordSeq) else { return Ok(None) };
    if seq.0 >= reader.head()? {
        return Ok(None);
    }
    let record = reader.record(seq)?;
    let header = &record.header;
    let channel = header.channel_id();
    // Kinds whose versions are not listed stand for themselves.
    let found = item(reader, header.kind, crate::model::SourceId(header.source), channel.as_ref(), &header.key)?;
    let item = found.unwrap_or_else(|| Item {
        kind: header.kind,
        source: crate::model::SourceId(header.source),
        channel,
        key: header.key.clone(),
        versions: vec![super::item::Version {
            version: header.version,
            seq,
            change: crate::store::Change::New,
            record: record.clone(),
        }],
    });
    Ok(Some(Reference { seq, record, item }))
}
