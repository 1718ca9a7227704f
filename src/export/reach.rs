//! What is not shown, and all that would show it.
//!
//! A list names records. What they are of is hidden whole; so is what is the same text elsewhere: a comment
//! in the streams of channels and the one read from its file, the words of an upload in the message that
//! brought it and in the file's own record, the comments on a file. This goes on until nothing more is found.
//! Whatever else has any of it in its body is redacted, and that goes no further.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use serde_json::Value;

use super::Error;
use super::request::{Hiding, Withheld};
use super::scan::Numbers;
use crate::history::{comment_id, file_ids};
use crate::model::{ChannelId, MessageTs, RecordSeq};
use crate::record::{Kind, Record};

/// A message: the number of its channel, and its time stamp.
pub(super) type Key = (u32, MessageTs);

/// What can be hidden.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Thing {
    Message(Key),
    File(String),
    /// By its own id: it may stand on several files.
    Comment(String),
}

/// Why something is not shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hidden {
    withheld: Withheld,
    /// The records of it that are listed, each with its own reason.
    listed: Vec<(RecordSeq, String)>,
}

impl Hidden {
    /// What is done to all of it: the strictest of what is asked.
    pub(super) fn hiding(&self) -> Hiding {
        self.withheld.hiding
    }

    /// What is done to a record of it, and why.
    pub(super) fn of(&self, seq: RecordSeq) -> Withheld {
        let own = self.listed.iter().find(|(listed, _)| *listed == seq).map(|(_, reason)| reason);
        Withheld { hiding: self.withheld.hiding, reason: own.unwrap_or(&self.withheld.reason).clone() }
    }

    /// Makes it as strict as `other`; whether that changed anything.
    fn tighten(&mut self, other: &Withheld) -> bool {
        let is_stricter = self.withheld.hiding == Hiding::Redact && other.hiding == Hiding::Withhold;
        if is_stricter {
            self.withheld = other.clone();
        }
        is_stricter
    }
}

impl From<&Withheld> for Hidden {
    fn from(withheld: &Withheld) -> Self {
        Self { withheld: withheld.clone(), listed: Vec::new() }
    }
}

/// What is not shown.
#[derive(Debug, Default)]
pub(super) struct Reach {
    hidden: HashMap<Thing, Hidden>,
    /// Lists of pins that are listed, by channel.
    pins: HashMap<u32, Hidden>,
    /// Channels whose lists of pins may show something of it.
    channels: HashSet<u32>,
    /// Listed records of what is redacted.
    redacted: BTreeSet<RecordSeq>,
}

impl Reach {
    pub(super) fn message(&self, key: Key) -> Option<&Hidden> {
        self.hidden.get(&Thing::Message(key))
    }

    pub(super) fn file(&self, id: &str) -> Option<&Hidden> {
        if self.hidden.is_empty() { None } else { self.hidden.get(&Thing::File(id.to_owned())) }
    }

    pub(super) fn comment(&self, id: &str) -> Option<&Hidden> {
        if self.hidden.is_empty() { None } else { self.hidden.get(&Thing::Comment(id.to_owned())) }
    }

    /// Lists of pins hold whole messages and files.
    pub(super) fn pins(&self, channel: u32) -> Option<Hidden> {
        let because = || {
            let reason = "the list of pins may show something that is withheld".to_owned();
            Hidden::from(&Withheld { hiding: Hiding::Redact, reason })
        };
        self.pins.get(&channel).cloned().or_else(|| self.channels.contains(&channel).then(because))
    }

    /// Whether a record is listed and its author and time may be shown.
    pub(super) fn redacts(&self, seq: RecordSeq) -> bool {
        self.redacted.contains(&seq)
    }
}

/// What one pass over the records finds of what stands in what.
#[derive(Debug, Default)]
pub(super) struct Finding {
    reach: Reach,
    /// What is listed, in the order of the records.
    seeds: Vec<Thing>,
    /// What is hidden with something.
    same: HashMap<Thing, Vec<Thing>>,
    /// In whose bodies something stands.
    bearers: HashMap<Thing, Vec<Thing>>,
    /// The channels in which a file stands.
    places: HashMap<String, BTreeSet<u32>>,
}

impl Finding {
    /// Notes what a record has of others, and that it is listed. `body` is its body, where it can hold
    /// anything of others.
    pub(super) fn meet(
        &mut self,
        numbers: &mut Numbers,
        seq: RecordSeq,
        record: &Record,
        body: Option<&Value>,
        listed: Option<&Withheld>,
    ) -> Result<(), Error> {
        let header = &record.header;
        let channel = header.channel_id().map(|channel| numbers.of(&channel));
        let message = channel.zip(MessageTs::parse(&header.key)).map(Thing::Message);
        let thing = match header.kind {
            Kind::Message | Kind::Reactions => message,
            Kind::File => Some(Thing::File(header.key.clone())),
            Kind::Comment => Some(Thing::Comment(own_id(&header.key).to_owned())),
            _ => None,
        };
        if let Some(withheld) = listed {
            match (&thing, header.kind, channel) {
                (Some(thing), _, _) => {
                    let hidden = self.reach.hidden.entry(thing.clone()).or_insert_with(|| withheld.into());
                    hidden.tighten(withheld);
                    hidden.listed.push((seq, withheld.reason.clone()));
                    self.seeds.push(thing.clone());
                }
                (None, Kind::Pins, Some(channel)) => {
                    let hidden = self.reach.pins.entry(channel).or_insert_with(|| withheld.into());
                    hidden.tighten(withheld);
                    hidden.listed.push((seq, withheld.reason.clone()));
                }
                // What can't be read is withheld alone.
                (None, Kind::Message | Kind::Reactions | Kind::Pins | Kind::Unknown, _) => {}
                _ => {
                    return Err(Error::Usage(format!(
                        "record {seq} can't be withheld: it is of the kind `{}`, and what people wrote is in messages, \
                         files, comments, reactions, pins and what could not be recognised",
                        header.kind.as_str(),
                    )));
                }
            }
        }
        if header.kind == Kind::File {
            let places = header.shared_in.iter().filter_map(|id| ChannelId::parse(id)).map(|id| numbers.of(&id));
            self.places.entry(header.key.clone()).or_default().extend(places);
        }
        if let (Some(thing), Some(body)) = (thing, body) {
            self.look_into(numbers, &thing, body);
        }
        Ok(())
    }

    fn look_into(&mut self, numbers: &mut Numbers, thing: &Thing, body: &Value) {
        let mut standing = Vec::new();
        let mut channel = None;
        if let Thing::Message((own, _)) = thing {
            channel = Some(*own);
            for file in file_ids(body) {
                self.places.entry(file.to_owned()).or_default().insert(*own);
            }
            if let Some(comment) = comment_id(body) {
                // Both are one text.
                let comment = Thing::Comment(comment.to_owned());
                self.join(thing, &comment);
                self.join(&comment, thing);
            } else {
                // Whoever brings a file says so in the message and with the file.
                let files = body.get("file").into_iter().chain(body["files"].as_array().into_iter().flatten());
                for comment in files.filter_map(|file| said(&file["initial_comment"])) {
                    self.join(thing, &Thing::Comment(comment.to_owned()));
                }
            }
        }
        quoted(numbers, body, channel, &mut standing);
        for other in standing.into_iter().filter(|other| other != thing) {
            let bearers = self.bearers.entry(other).or_default();
            if bearers.last() != Some(thing) {
                bearers.push(thing.clone());
            }
        }
    }

    fn join(&mut self, from: &Thing, to: &Thing) {
        let same = self.same.entry(from.clone()).or_default();
        if !same.contains(to) {
            same.push(to.clone());
        }
    }

    /// Hides all that has to be. `comments`: the file that each comment is on.
    pub(super) fn close(mut self, comments: &BTreeMap<String, String>) -> Reach {
        for (comment, file) in comments {
            self.same.entry(Thing::File(file.clone())).or_default().push(Thing::Comment(comment.clone()));
        }
        let hidden = &mut self.reach.hidden;
        let mut queue: VecDeque<Thing> = self.seeds.into();
        let mut order = Vec::new();
        while let Some(thing) = queue.pop_front() {
            let Some(withheld) = hidden.get(&thing).map(|known| known.withheld.clone()) else { continue };
            for other in self.same.get(&thing).into_iter().flatten() {
                if let Some(known) = hidden.get_mut(other) {
                    if known.tighten(&withheld) {
                        queue.push_back(other.clone());
                    }
                } else {
                    hidden.insert(other.clone(), Hidden::from(&withheld));
                    queue.push_back(other.clone());
                }
            }
            order.push(thing);
        }
        for thing in order {
            let Some(reason) = hidden.get(&thing).map(|known| known.withheld.reason.clone()) else { continue };
            let what = match &thing {
                Thing::Message(_) => "quotes a message",
                Thing::File(_) => "shows a file",
                Thing::Comment(_) => "holds a comment",
            };
            for bearer in self.bearers.get(&thing).into_iter().flatten() {
                let why = || {
                    let reason = format!("{what} that is withheld: {reason}");
                    Hidden::from(&Withheld { hiding: Hiding::Redact, reason })
                };
                hidden.entry(bearer.clone()).or_insert_with(why);
            }
        }
        for thing in hidden.keys() {
            let file = match thing {
                Thing::Message((channel, _)) => {
                    self.reach.channels.insert(*channel);
                    continue;
                }
                Thing::File(file) => Some(file),
                Thing::Comment(comment) => comments.get(comment),
            };
            let places = file.and_then(|file| self.places.get(file));
            self.reach.channels.extend(places.into_iter().flatten());
        }
        let redacted =
            hidden.values().chain(self.reach.pins.values()).filter(|hidden| hidden.hiding() == Hiding::Redact);
        self.reach.redacted = redacted.flat_map(|hidden| &hidden.listed).map(|(seq, _)| *seq).collect();
        self.reach
    }
}

/// The id of a comment in the key of its record: file, `/`, comment.
pub(super) fn own_id(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or(key)
}

/// Whether a body can hold anything of others. Almost none does, and parsing takes longer than reading. A name
/// can be written with escapes.
pub(super) fn may_quote(body: &[u8]) -> bool {
    std::str::from_utf8(body).map_or(true, |body| {
        ["file", "comment", "\"item\"", "\\u"].iter().any(|word| body.contains(word))
            || body.matches("\"ts\"").nth(1).is_some()
    })
}

/// The id of a comment that has words.
fn said(comment: &Value) -> Option<&str> {
    let has = |name: &str| comment[name].as_str().filter(|text| !text.is_empty());
    has("comment").and(has("id"))
}

/// What of others stands in a body, however deep: comments with their words, messages with their text, files.
fn quoted(numbers: &mut Numbers, value: &Value, channel: Option<u32>, out: &mut Vec<Thing>) {
    for (name, member) in value.as_object().into_iter().flatten() {
        if name == "edited" {
            continue;
        }
        let parts = member.as_array().map_or(std::slice::from_ref(member), Vec::as_slice);
        for part in parts.iter().filter(|part| part.is_object()) {
            let text = |name: &str| part[name].as_str().filter(|text| !text.is_empty());
            let named = text("channel").or_else(|| text("channel_id")).and_then(ChannelId::parse);
            let channel = named.map(|named| numbers.of(&named)).or(channel);
            if let Some(comment) = said(part) {
                out.push(Thing::Comment(comment.to_owned()));
            }
            let ts = text("ts").filter(|_| text("text").or_else(|| text("fallback")).is_some());
            out.extend(channel.zip(ts.and_then(MessageTs::parse)).map(Thing::Message));
            if let ("file" | "files" | "item", Some(id)) = (name.as_str(), text("id")) {
                out.push(Thing::File(id.to_owned()));
            }
            quoted(numbers, part, channel, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::json::parse;

    /// Passes over records, numbered from 0, some of which are listed with an action and a reason.
    struct Pass {
        numbers: Numbers,
        finding: Finding,
        comments: BTreeMap<String, String>,
        listed: BTreeMap<u64, Withheld>,
        next: u64,
    }

    impl Pass {
        fn new(listed: &[(u64, Hiding, &str)]) -> Self {
            let of = |(seq, hiding, reason): &(u64, Hiding, &str)| {
                (*seq, Withheld { hiding: *hiding, reason: (*reason).to_owned() })
            };
            Self {
                numbers: Numbers::default(),
                finding: Finding::default(),
                comments: BTreeMap::new(),
                listed: listed.iter().map(of).collect(),
                next: 0,
            }
        }

        fn try_meet(&mut self, kind: &str, channel: Option<&str>, key: &str, body: &Value) -> Result<(), Error> {
            let mut header = json!({
                "kind": kind, "source": 1, "key": key, "version": 1, "state": "present", "origin": "observed",
                "via": "", "account": "", "run": 1, "observed_at": "2026-01-01T00:00:00Z",
            });
            match channel {
                Some(channel) if kind == "file" => header["shared_in"] = json!([channel]),
                Some(channel) => header["channel"] = json!(channel),
                None => {}
            }
            let record =
                Record { header: serde_json::from_value(header).unwrap(), body: body.to_string().into_bytes() };
            if kind == "comment" {
                self.comments.insert(own_id(key).to_owned(), key.split('/').next().unwrap().to_owned());
            }
            let body = if may_quote(&record.body) { parse(&record.body) } else { None };
            let listed = self.listed.get(&self.next);
            self.finding.meet(&mut self.numbers, RecordSeq(self.next), &record, body.as_ref(), listed)?;
            self.next += 1;
            Ok(())
        }

        fn meet(&mut self, kind: &str, channel: Option<&str>, key: &str, body: &Value) -> &mut Self {
            self.try_meet(kind, channel, key, body).unwrap();
            self
        }

        fn close(&mut self) -> (Reach, impl Fn(&str, &str) -> Key + use<>) {
            let reach = std::mem::take(&mut self.finding).close(&self.comments);
            let ids: HashMap<String, u32> = ["C1", "C2", "C3"]
                .into_iter()
                .map(|id| (id.to_owned(), self.numbers.of(&ChannelId::parse(id).unwrap())))
                .collect();
            (reach, move |channel: &str, ts: &str| (ids[channel], MessageTs::parse(ts).unwrap()))
        }
    }

    const ONE: &str = "1.000001";
    const TWO: &str = "2.000001";
    const THREE: &str = "3.000001";

    fn why(hidden: Option<&Hidden>) -> Option<(Hiding, &str)> {
        hidden.map(|hidden| (hidden.hiding(), hidden.withheld.reason.as_str()))
    }

    #[test]
    fn a_comment_is_one_text_in_every_stream_and_on_its_file() {
        let comment = json!({"comment": {"id": "c", "comment": "words"}, "file": {"id": "f"}});
        let mut pass = Pass::new(&[(0, Hiding::Withhold, "advice")]);
        pass.meet("message", Some("C1"), ONE, &comment)
            .meet("message", Some("C2"), TWO, &comment)
            .meet("comment", None, "f/c", &json!({"id": "c", "comment": "words"}))
            .meet("file", Some("C3"), "f", &json!({"id": "f", "initial_comment": {"id": "i", "comment": "more"}}))
            .meet("message", Some("C1"), THREE, &json!({"text": "", "file": {"id": "f"}}));
        let (reach, key) = pass.close();
        let expected = Some((Hiding::Withhold, "advice"));
        assert_eq!(why(reach.message(key("C2", TWO))), expected);
        assert_eq!(why(reach.comment("c")), expected);
        // Neither the file nor who shows it without those words.
        assert_eq!((why(reach.file("f")), why(reach.message(key("C1", THREE)))), (None, None));
        assert_eq!(why(reach.comment("i")), None);
        // Pins of any place of the file may show it.
        for channel in ["C1", "C2", "C3"] {
            assert!(reach.pins(key(channel, ONE).0).is_some(), "{channel}");
        }
    }

    #[test]
    fn a_file_takes_its_comments_and_is_shown_by_nobody() {
        let mut pass = Pass::new(&[(1, Hiding::Withhold, "secret")]);
        // The channel of an earlier version than the listed one; a comment whose message does not name the file.
        pass.meet("file", Some("C3"), "f", &json!({"id": "f"}))
            .meet("file", Some("C1"), "f", &json!({"id": "f"}))
            .meet("comment", None, "f/c", &json!({"id": "c", "comment": "words"}))
            .meet("message", Some("C1"), ONE, &json!({"comment": {"id": "c", "comment": "words"}}))
            .meet("message", Some("C1"), TWO, &json!({"files": [{"id": "g"}, {"id": "f"}]}))
            .meet("message", Some("C2"), THREE, &json!({"subtype": "pinned_item", "item": {"id": "f", "name": "n"}}));
        let (reach, key) = pass.close();
        let expected = Some((Hiding::Withhold, "secret"));
        assert_eq!(why(reach.comment("c")), expected);
        assert_eq!(why(reach.message(key("C1", ONE))), expected);
        let shows = Some((Hiding::Redact, "shows a file that is withheld: secret"));
        assert_eq!(why(reach.message(key("C1", TWO))), shows);
        assert_eq!(why(reach.message(key("C2", THREE))), shows);
        assert_eq!(why(reach.file("g")), None);
        assert!(reach.pins(key("C3", ONE).0).is_some());
    }

    #[test]
    fn what_has_a_withheld_text_in_its_body_is_redacted() {
        let words = json!({"id": "i", "comment": "words", "channel": ""});
        let mut pass = Pass::new(&[(0, Hiding::Withhold, "advice"), (1, Hiding::Withhold, "upload")]);
        pass.meet("message", Some("C1"), ONE, &json!({"ts": ONE, "text": "said"}))
            .meet("message", Some("C1"), TWO, &json!({"file": {"id": "f", "initial_comment": words}}))
            .meet("file", Some("C1"), "f", &json!({"id": "f", "comments": [words]}))
            .meet("message", Some("C2"), ONE, &json!({"file": {"id": "f", "initial_comment": words}}))
            .meet(
                "message",
                Some("C2"),
                TWO,
                &json!({"attachments": [
                {"channel_id": "C1", "ts": ONE, "text": "said"}, {"channel_id": "C1", "ts": THREE, "text": "x"}]}),
            )
            .meet("message", Some("C2"), THREE, &json!({"ts": THREE, "replies": [{"ts": ONE, "user": "u"}]}))
            .meet(
                "message",
                Some("C1"),
                THREE,
                &json!({"item": {"type": "message", "message": {"ts": ONE, "text": "said"}}}),
            )
            .meet("file", Some("C1"), "g", &json!({"id": "g", "initial_comment": {"id": "j", "comment": ""}}));
        let (reach, key) = pass.close();
        assert_eq!(why(reach.comment("i")), Some((Hiding::Withhold, "upload")));
        let holds = Some((Hiding::Redact, "holds a comment that is withheld: upload"));
        assert_eq!(why(reach.file("f")), holds);
        assert_eq!(why(reach.message(key("C2", ONE))), holds);
        let quotes = Some((Hiding::Redact, "quotes a message that is withheld: advice"));
        assert_eq!(why(reach.message(key("C2", TWO))), quotes);
        assert_eq!(why(reach.message(key("C1", THREE))), quotes);
        assert_eq!((why(reach.message(key("C2", THREE))), why(reach.file("g"))), (None, None));
    }

    #[test]
    fn the_stricter_action_wins_and_each_record_keeps_its_reason() {
        let mut pass = Pass::new(&[
            (0, Hiding::Withhold, "first"),
            (1, Hiding::Redact, "second"),
            (2, Hiding::Redact, "third"),
            (3, Hiding::Withhold, "pins"),
        ]);
        let body = json!({"text": "said"});
        pass.meet("message", Some("C1"), ONE, &body)
            .meet("message", Some("C1"), ONE, &body)
            .meet("message", Some("C1"), TWO, &body)
            .meet("pins", Some("C2"), "C2/ann", &json!([]));
        let (reach, key) = pass.close();
        let of = |hidden: Option<&Hidden>, seq| hidden.map(|hidden| hidden.of(RecordSeq(seq))).unwrap();
        let both = reach.message(key("C1", ONE));
        for (seq, reason) in [(0, "first"), (1, "second"), (9, "first")] {
            assert_eq!(of(both, seq), Withheld { hiding: Hiding::Withhold, reason: reason.to_owned() });
        }
        assert_eq!([0, 1, 2].map(|seq| reach.redacts(RecordSeq(seq))), [false, false, true]);
        let pins = reach.pins(key("C2", ONE).0);
        assert_eq!(why(pins.as_ref()), Some((Hiding::Withhold, "pins")));
    }

    #[test]
    fn what_can_t_be_withheld_is_named() {
        for (kind, channel, key) in [("channel", None, "C1"), ("event", None, "x/1")] {
            let mut pass = Pass::new(&[(0, Hiding::Redact, "advice")]);
            let refused = pass.try_meet(kind, channel, key, &json!({})).unwrap_err().to_string();
            assert!(
                refused.starts_with(&format!("record 0 can't be withheld: it is of the kind `{kind}`")),
                "{refused}"
            );
        }
    }
}
