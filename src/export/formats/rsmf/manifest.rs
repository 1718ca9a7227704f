//! `rsmf_manifest.json` as version 2.0.0 of its schema has it. Nothing is written that the schema does not
//! name, and no id and no value is ever empty.

use serde::Serialize;

use super::events::{Event, Pair};
use crate::model::{UtcTime, Zone};

/// The version of the schema, for the manifest and for the header.
pub(super) const VERSION: &str = "2.0.0";

/// The whole document.
#[derive(Serialize)]
pub(super) struct Manifest<'a> {
    pub(super) version: &'static str,
    pub(super) participants: Vec<Participant<'a>>,
    pub(super) conversations: Vec<Conversation<'a>>,
    pub(super) events: Vec<EventLine<'a>>,
}

/// A person, or what stands for one.
#[derive(Serialize)]
pub(super) struct Participant<'a> {
    pub(super) id: &'a str,
    pub(super) display: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) account_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) custom: Vec<Pair>,
}

/// The conversation; there is one in each file.
#[derive(Serialize)]
pub(super) struct Conversation<'a> {
    pub(super) id: &'a str,
    pub(super) display: &'a str,
    pub(super) platform: &'static str,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) participants: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) custodian: Option<&'a str>,
    pub(super) custom: Vec<Pair>,
}

/// An event, as it is written.
#[derive(Serialize)]
pub(super) struct EventLine<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    conversation: &'a str,
    participant: &'a str,
    timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<&'a str>,
    body: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    deleted: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reactions: Vec<ReactionLine<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attachments: Vec<AttachmentLine<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    edits: Vec<EditLine<'a>>,
    #[serde(skip_serializing_if = "<[Pair]>::is_empty")]
    custom: &'a [Pair],
}

#[derive(Serialize)]
struct ReactionLine<'a> {
    value: &'a str,
    count: u64,
    participants: &'a [String],
}

#[derive(Serialize)]
struct AttachmentLine<'a> {
    id: &'a str,
    display: &'a str,
    size: u64,
}

#[derive(Serialize)]
struct EditLine<'a> {
    participant: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<&'a str>,
    new: &'a str,
}

impl<'a> EventLine<'a> {
    /// An event of a conversation, its times in the zone.
    pub(super) fn of(event: &'a Event, conversation: &'a str, zone: Zone) -> Self {
        Self {
            id: &event.id,
            kind: event.kind,
            conversation,
            participant: &event.actor,
            timestamp: stamp(zone, event.time),
            parent: event.parent.as_deref(),
            body: &event.body,
            deleted: event.is_deleted,
            reactions: event
                .reactions
                .iter()
                .map(|reaction| ReactionLine {
                    value: &reaction.value,
                    count: reaction.count,
                    participants: &reaction.actors,
                })
                .collect(),
            attachments: event
                .attachments
                .iter()
                .map(|file| AttachmentLine { id: &file.entry, display: &file.display, size: file.blob.size })
                .collect(),
            edits: event
                .edits
                .iter()
                .map(|edit| EditLine {
                    participant: &edit.actor,
                    timestamp: edit.time.map(|time| stamp(zone, time)),
                    previous: edit.previous.as_deref(),
                    new: &edit.new,
                })
                .collect(),
            custom: &event.custom,
        }
    }
}

/// A time as the manifest and the headers have it: six digits of a second, and the offset of the zone. The
/// digits keep apart, and in their order, what the source numbered within a second.
pub(super) fn stamp(zone: Zone, time: UtcTime) -> String {
    let micros = time.timestamp_subsec_micros().min(999_999);
    let offset = zone.offset_text(time);
    // Offsets with seconds, of times long gone, can't be written so.
    let (zone, offset) = if offset.len() == 6 { (zone, offset) } else { (Zone::UTC, "+00:00".to_owned()) };
    format!("{}T{}.{micros:06}{offset}", zone.date(time), zone.clock_text(time))
}

/// The nearest time that a manifest can hold: years have four digits in it.
pub(super) fn within(time: UtcTime) -> UtcTime {
    let of = |seconds| UtcTime::from_timestamp(seconds, 0).unwrap_or_default();
    time.clamp(of(-62_135_510_400), of(253_402_214_399))
}

/// An address that every checker takes for one; others are left out.
pub(super) fn is_address(text: &str) -> bool {
    let is_atom =
        |part: &str| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || "!#$%&'*+/=?^_`{|}~-".contains(c));
    let is_label = |part: &str| {
        !part.is_empty()
            && part.len() <= 63
            && part.chars().all(|c| c.is_alphanumeric() || c == '-')
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    let Some((local, domain)) = text.split_once('@') else { return false };
    local.len() <= 64
        && text.len() <= 254
        && domain.contains('.')
        && local.split('.').all(is_atom)
        && domain.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_its_digits_and_its_offset() {
        let prague = Zone::parse("Europe/Prague").unwrap();
        let time = UtcTime::from_timestamp(1_768_291_541, 257_000).unwrap();
        assert_eq!(stamp(prague, time), "2026-01-13T09:05:41.000257+01:00");
        assert_eq!(stamp(Zone::UTC, within(UtcTime::MAX_UTC)), "9999-12-30T23:59:59.000000+00:00");
        assert_eq!(&stamp(Zone::UTC, within(UtcTime::MIN_UTC))[..5], "0001-");
        let monrovia = Zone::parse("Africa/Monrovia").unwrap();
        assert_eq!(stamp(monrovia, UtcTime::from_timestamp(0, 0).unwrap()), "1970-01-01T00:00:00.000000+00:00");
    }

    #[test]
    fn an_address_is_one_or_it_is_not() {
        for address in ["a@b.example", "a.b+c@x-y.example", "MKamiński@polar.com"] {
            assert!(is_address(address), "{address}");
        }
        for none in
            ["", "a", "a@b", "@b.example", "a@", "a b@c.example", "a@b..c", "a@-b.c", "a.@b.c", "a@b@c.d", "a@b.c\n"]
        {
            assert!(!is_address(none), "{none:?}");
        }
    }
}
