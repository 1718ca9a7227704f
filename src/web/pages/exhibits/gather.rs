//! What belongs into an exhibit: what was chosen, as far as the reader may see it, and what comes along.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

use crate::history::{Item, answers, file_ids};
use crate::model::{ChannelId, MessageTs, RecordSeq, json};
use crate::record::{Kind, State};
use crate::web::desk::Desk;
use crate::web::error::WebError;

/// Messages that come along, at most.
const MOST_ALONG: usize = 1_000;

/// A subject in an exhibit.
#[derive(Debug, Clone)]
pub(super) struct Taken {
    pub(super) item: Item,
    /// The records by which it was chosen; none: it comes along.
    pub(super) chosen: Vec<u64>,
    /// What it comes along with, and why.
    pub(super) along: Option<Along>,
}

/// Why something comes along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Along {
    /// That record answers it.
    Answered(u64),
    /// That record quotes it.
    Quoted(u64),
}

/// What is in an exhibit, by where it stands.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) messages: BTreeMap<ChannelId, BTreeMap<MessageTs, Taken>>,
    /// Files and comments that were chosen themselves: by the file's id, then by the key of each.
    pub(super) files: BTreeMap<String, BTreeMap<String, Taken>>,
    /// Chosen, and not among what the reader may see now, or not there at all.
    pub(super) missing: usize,
    /// Chosen, and no message, comment or file.
    pub(super) odd: usize,
    /// More would have come along.
    pub(super) is_cut: bool,
}

impl Gathered {
    /// How many messages there are, and how many files and how many comments that were chosen themselves.
    pub(super) fn counts(&self) -> [usize; 3] {
        let others = || self.files.values().flat_map(BTreeMap::values);
        let files = others().filter(|taken| taken.item.kind == Kind::File).count();
        [self.messages.values().map(BTreeMap::len).sum(), files, others().count() - files]
    }

    /// How many of all.
    pub(super) fn items(&self) -> usize {
        self.counts().iter().sum()
    }

    pub(super) fn along(&self) -> usize {
        let all = self.messages.values().flat_map(BTreeMap::values);
        all.filter(|taken| taken.chosen.is_empty()).count()
    }
}

/// Looks at every chosen record again: what it is, and whether it may be seen.
pub(super) fn gather(desk: &Desk, records: &[RecordSeq]) -> Result<Gathered, WebError> {
    let mut out = Gathered::default();
    let mut queue = VecDeque::new();
    for seq in records {
        let Some(found) = desk.archive().resolve(&format!("record:{seq}"))? else {
            out.missing += 1;
            continue;
        };
        let item = found.item;
        let place = (item.kind, item.channel.clone(), MessageTs::parse(&item.key));
        let taken = |item| Taken { item, chosen: Vec::new(), along: None };
        let entry = match place {
            (Kind::Message, Some(channel), Some(ts)) => {
                queue.push_back((channel.clone(), ts));
                out.messages.entry(channel).or_default().entry(ts).or_insert_with(|| taken(item))
            }
            (Kind::File | Kind::Comment, ..) => {
                let file = item.key.split('/').next().unwrap_or_default().to_owned();
                out.files.entry(file).or_default().entry(item.key.clone()).or_insert_with(|| taken(item))
            }
            _ => {
                out.odd += 1;
                continue;
            }
        };
        entry.chosen.push(seq.0);
    }
    let mut along = 0;
    while let Some((channel, ts)) = queue.pop_front() {
        let Some(taken) = out.messages.get(&channel).and_then(|messages| messages.get(&ts)) else { continue };
        let Some(by) = taken.item.latest().map(|latest| latest.seq.0) else { continue };
        let wanted: Vec<(ChannelId, MessageTs, Along)> = called_for(&taken.item, &channel, by);
        for (channel, ts, why) in wanted {
            if out.messages.get(&channel).is_some_and(|messages| messages.contains_key(&ts)) {
                continue;
            }
            // What is not there, or not to be seen, stays away; the page of the message says whom it answers.
            let Some(item) = desk.archive().item(Kind::Message, Some(&channel), &ts.to_string())? else { continue };
            if along >= MOST_ALONG {
                out.is_cut = true;
                continue;
            }
            along += 1;
            let taken = Taken { item, chosen: Vec::new(), along: Some(why) };
            out.messages.entry(channel.clone()).or_default().insert(ts, taken);
            queue.push_back((channel, ts));
        }
    }
    Ok(out)
}

/// The messages that a message cannot be read without: what any of its readings answers or quotes.
fn called_for(item: &Item, channel: &ChannelId, by: u64) -> Vec<(ChannelId, MessageTs, Along)> {
    let mut out: Vec<(ChannelId, MessageTs, Along)> = Vec::new();
    let own = MessageTs::parse(&item.key);
    for version in item.versions.iter().filter(|version| version.record.header.state == State::Present) {
        let Some(body) = json::parse(&version.record.body) else { continue };
        let mut add = |channel: ChannelId, ts: Option<MessageTs>, why| {
            if let Some(ts) = ts.filter(|ts| Some(*ts) != own)
                && !out.iter().any(|(known, at, _)| (known, at) == (&channel, &ts))
            {
                out.push((channel, ts, why));
            }
        };
        for ts in [answers(&body), body["reply_to"].as_str()] {
            add(channel.clone(), ts.and_then(MessageTs::parse), Along::Answered(by));
        }
        let mut quoted = Vec::new();
        find_quoted(&body, &mut quoted);
        for (place, ts) in quoted {
            add(place.unwrap_or_else(|| channel.clone()), Some(ts), Along::Quoted(by));
        }
    }
    out
}

/// Whole messages within a message: an object with a time stamp and a text, and the channel that it names.
fn find_quoted(value: &Value, out: &mut Vec<(Option<ChannelId>, MessageTs)>) {
    for (name, member) in value.as_object().into_iter().flatten() {
        if name == "edited" {
            continue;
        }
        let parts = member.as_array().map_or(std::slice::from_ref(member), Vec::as_slice);
        for part in parts.iter().filter(|part| part.is_object()) {
            let text = |name: &str| part[name].as_str().filter(|text| !text.is_empty());
            let has_words = text("text").or_else(|| text("fallback")).is_some();
            if let Some(ts) = text("ts").filter(|_| has_words).and_then(MessageTs::parse) {
                let channel = text("channel").or_else(|| text("channel_id")).and_then(ChannelId::parse);
                out.push((channel, ts));
            }
            find_quoted(part, out);
        }
    }
}

/// The ids of the files that any reading of a message names, each once.
pub(super) fn files_of(item: &Item) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for version in &item.versions {
        let body = json::parse(&version.record.body).unwrap_or_default();
        for id in file_ids(&body) {
            if !out.iter().any(|known| known == id) {
                out.push(id.to_owned());
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Version;
    use crate::model::SourceId;
    use crate::record::Record;
    use crate::store::Change;

    #[test]
    fn what_a_message_answers_or_quotes_is_called_for_once() {
        let header = serde_json::json!({
            "kind": "message", "source": 1, "channel": "A", "key": "9.000000", "version": 1, "state": "present",
            "origin": "observed", "via": "", "account": "a", "run": 1, "observed_at": "2026-01-01T00:00:00Z",
        });
        let body = serde_json::json!({
            "ts": "9.000000", "thread_ts": "1.000000", "reply_to": "1.000000", "text": "see",
            "attachments": [{"ts": "2.000000", "text": "old", "channel": "B"}, {"ts": "3.000000"}],
            "item": {"message": {"ts": "4.000000", "text": "pinned"}}, "edited": {"ts": "5.000000", "text": "x"},
        });
        let record = Record { header: serde_json::from_value(header).unwrap(), body: body.to_string().into_bytes() };
        let version = Version { version: 1, seq: RecordSeq(7), change: Change::New, record };
        let channel = ChannelId::parse("A").unwrap();
        let item = Item {
            kind: Kind::Message,
            source: SourceId(1),
            channel: Some(channel.clone()),
            key: "9.000000".to_owned(),
            versions: vec![version],
        };
        let mut found: Vec<String> = called_for(&item, &channel, 7)
            .into_iter()
            .map(|(channel, ts, why)| format!("{channel} {ts} {why:?}"))
            .collect();
        found.sort();
        assert_eq!(found, ["A 1.000000 Answered(7)", "A 4.000000 Quoted(7)", "B 2.000000 Quoted(7)"]);
    }
}
