use std::ops::Range;

use super::tolerant::as_bool;
use crate::model::{ChannelId, FileId, MessageTs, UserId, json};

/// What became of a channel or conversation, from where the account stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChannelChange {
    /// It was made, opened or joined: there may be more to read.
    Appeared,
    /// Its name, its members or its being archived changed.
    Altered,
    /// It was deleted or left: there may be nothing more to read.
    Vanished,
}

/// What an event says happened, as far as the notes (2.4) know events. A hint where to look, never
/// proof: everything here is what one event claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// Something new in a stream. The event is the item with `channel` and `event_ts` added.
    Message {
        /// Where.
        channel: ChannelId,
        /// Its time stamp.
        ts: MessageTs,
        /// Where the item stands in the event's bytes.
        message: Range<usize>,
    },
    /// An item reads differently now.
    Changed {
        /// Where.
        channel: ChannelId,
        /// The item's time stamp.
        ts: MessageTs,
        /// Where the item as it reads now stands in the event's bytes.
        message: Range<usize>,
        /// Who edited it, where the item says so.
        editor: Option<UserId>,
        /// When it was edited, or else when the event was made.
        event_ts: Option<MessageTs>,
    },
    /// An item is gone.
    Deleted {
        /// Where.
        channel: ChannelId,
        /// The item's time stamp.
        ts: MessageTs,
        /// Who deleted it: only where the event itself has a `user`. The author, who stands in
        /// `previous_message`, is not taken for the one who deleted.
        actor: Option<UserId>,
        /// When, as the event says.
        event_ts: Option<MessageTs>,
    },
    /// Reactions on an item changed.
    Reaction {
        /// Where.
        channel: ChannelId,
        /// The item's time stamp.
        ts: MessageTs,
    },
    /// Pins of a channel changed.
    Pin {
        /// Which.
        channel: ChannelId,
    },
    /// A file came or changed.
    File {
        /// Which.
        id: FileId,
    },
    /// A file is gone.
    FileDeleted {
        /// Which.
        id: FileId,
    },
    /// Comments on a file changed.
    FileComment {
        /// On which.
        file: FileId,
    },
    /// Something about a channel or conversation itself.
    Channel {
        /// Which.
        id: ChannelId,
        /// What.
        change: ChannelChange,
    },
    /// Much changed at once: everything up to `latest` is to be read again.
    HistoryChanged {
        /// Where; every channel when the event names none, as in the sample that Slack gives.
        channel: Option<ChannelId>,
        /// Up to where; the whole history when it names none.
        latest: Option<MessageTs>,
    },
    /// Something about a person.
    User {
        /// Who.
        id: UserId,
    },
    /// Nothing that is understood: an unknown kind, a known one without what makes it of use, or
    /// no whole JSON object.
    Other,
}

/// The event's `type`, if it is an object that has one.
pub(super) fn kind(bytes: &[u8]) -> Option<String> {
    object(bytes, 0..bytes.len()).and_then(|event| text(bytes, event, &["type"]))
}

/// What an event says. Nothing is ever refused: what cannot be read is [`Meaning::Other`].
pub fn meaning(bytes: &[u8]) -> Meaning {
    understood(bytes).unwrap_or(Meaning::Other)
}

fn understood(bytes: &[u8]) -> Option<Meaning> {
    let event = whole_object(bytes, 0..bytes.trim_ascii_end().len())?;
    let at = |path: &[&str]| text(bytes, event.clone(), path);
    let channel = |path: &[&str]| id(bytes, event.clone(), path).and_then(|id| ChannelId::parse(&id));
    let file = |path: &[&str]| id(bytes, event.clone(), path).and_then(|id| FileId::parse(&id));
    let ts = |path: &[&str]| at(path).and_then(|ts| MessageTs::parse(&ts));
    let kind = at(&["type"])?;
    let a_file = || file(&["file"]).or_else(|| file(&["file_id"]));
    Some(match kind.as_str() {
        "message" => return message(bytes, event),
        "reaction_added" | "reaction_removed" => {
            match (channel(&["item", "channel"]).or_else(|| channel(&["channel"])), ts(&["item", "ts"])) {
                (Some(channel), Some(ts)) => Meaning::Reaction { channel, ts },
                _ if member(bytes, event.clone(), &["item", "file_comment"]).is_some() => {
                    Meaning::FileComment { file: file(&["item", "file"])? }
                }
                _ => Meaning::File { id: file(&["item", "file"])? },
            }
        }
        "pin_added" | "pin_removed" => {
            let named = channel(&["channel_id"]).or_else(|| channel(&["channel"]));
            Meaning::Pin { channel: named.or_else(|| channel(&["item", "channel"]))? }
        }
        "file_created" | "file_shared" | "file_unshared" | "file_public" | "file_private" | "file_change" => {
            Meaning::File { id: a_file()? }
        }
        "file_deleted" => Meaning::FileDeleted { id: file(&["file_id"]).or_else(|| file(&["file"]))? },
        "file_comment_added" | "file_comment_edited" | "file_comment_deleted" => {
            Meaning::FileComment { file: a_file()? }
        }
        "user_change" | "team_join" => {
            Meaning::User { id: id(bytes, event.clone(), &["user"]).and_then(|id| UserId::parse(&id))? }
        }
        "member_joined_channel" | "member_left_channel" => {
            Meaning::Channel { id: channel(&["channel"])?, change: ChannelChange::Altered }
        }
        _ => {
            let (_, what) =
                kind.split_once('_').filter(|(of, _)| matches!(*of, "channel" | "group" | "im" | "mpim"))?;
            if what == "history_changed" {
                // A channel that cannot be read is not every channel.
                let is_named = member(bytes, event.clone(), &["channel"]).is_some();
                let channel = channel(&["channel"]);
                if is_named && channel.is_none() {
                    return None;
                }
                return Some(Meaning::HistoryChanged { channel, latest: ts(&["latest"]) });
            }
            let change = match what {
                "created" | "joined" | "open" => ChannelChange::Appeared,
                "rename" | "archive" | "unarchive" | "close" => ChannelChange::Altered,
                "deleted" | "left" => ChannelChange::Vanished,
                _ => return None,
            };
            Meaning::Channel { id: channel(&["channel"])?, change }
        }
    })
}

/// What an event of type `message` says, by its subtype.
fn message(bytes: &[u8], event: Range<usize>) -> Option<Meaning> {
    let at = |path: &[&str]| text(bytes, event.clone(), path);
    let ts = |path: &[&str]| at(path).and_then(|ts| MessageTs::parse(&ts));
    let channel = id(bytes, event.clone(), &["channel"]);
    let event_ts = || ts(&["event_ts"]).or_else(|| ts(&["ts"]));
    match at(&["subtype"]).as_deref() {
        Some("message_changed") => {
            let message = whole_object(bytes, member(bytes, event.clone(), &["message"])?)?;
            let channel = channel.or_else(|| id(bytes, message.clone(), &["channel"]));
            Some(Meaning::Changed {
                channel: ChannelId::parse(&channel?)?,
                ts: ts(&["message", "ts"])?,
                message,
                editor: id(bytes, event.clone(), &["message", "edited", "user"]).and_then(|id| UserId::parse(&id)),
                event_ts: ts(&["message", "edited", "ts"]).or_else(event_ts),
            })
        }
        Some("message_deleted") => Some(Meaning::Deleted {
            channel: ChannelId::parse(&channel?)?,
            ts: ts(&["deleted_ts"]).or_else(|| ts(&["previous_message", "ts"]))?,
            actor: id(bytes, event.clone(), &["user"]).and_then(|id| UserId::parse(&id)),
            event_ts: event_ts(),
        }),
        _ => {
            // Other hidden ones tell of an item and are none (protocol notes 2.2).
            let hidden = member(bytes, event.clone(), &["hidden"]).and_then(|range| json::parse(&bytes[range]));
            if hidden.as_ref().and_then(as_bool) == Some(true) {
                return None;
            }
            Some(Meaning::Message { channel: ChannelId::parse(&channel?)?, ts: ts(&["ts"])?, message: event })
        }
    }
}

/// The range without white space before it, if an object stands there.
fn object(bytes: &[u8], range: Range<usize>) -> Option<Range<usize>> {
    let inside = &bytes[range.clone()];
    let start = range.end - inside.trim_ascii_start().len();
    (bytes[start..range.end].first() == Some(&b'{')).then_some(start..range.end)
}

/// The same, if it is the whole of an object: what was cut short is kept and not acted on.
fn whole_object(bytes: &[u8], range: Range<usize>) -> Option<Range<usize>> {
    let object = object(bytes, range)?;
    let is_whole = json::value_end(bytes, object.start) == Some(object.end) && bytes[object.end - 1] == b'}';
    is_whole.then_some(object)
}

/// Where the member stands that a path of names leads to, through objects only.
fn member(bytes: &[u8], range: Range<usize>, path: &[&str]) -> Option<Range<usize>> {
    let mut range = range;
    for name in path {
        range = object(bytes, range)?;
        let found = json::member(&bytes[range.clone()], name)?;
        range = range.start + found.start..range.start + found.end;
    }
    Some(range)
}

fn text(bytes: &[u8], range: Range<usize>, path: &[&str]) -> Option<String> {
    json::text(&bytes[member(bytes, range, path)?])
}

/// An id that stands there itself, or in the `id` of an object (protocol notes 2.4: now so, now
/// so).
fn id(bytes: &[u8], range: Range<usize>, path: &[&str]) -> Option<String> {
    let range = member(bytes, range, path)?;
    match object(bytes, range.clone()) {
        Some(inner) => text(bytes, inner, &["id"]),
        None => json::text(&bytes[range]),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PADDED: &str = "cHVibGlj+Zm9/MTYw==";

    fn channel() -> ChannelId {
        ChannelId::parse(PADDED).unwrap()
    }

    fn ts(text: &str) -> MessageTs {
        MessageTs::parse(text).unwrap()
    }

    fn user(text: &str) -> UserId {
        UserId::parse(text).unwrap()
    }

    fn file() -> FileId {
        FileId::parse("4a74599400a5").unwrap()
    }

    /// The shapes of protocol notes 2.4, with `CH` for the channel's id in each of its spellings.
    fn check(event: &str, expected: &Meaning) {
        for spelling in [PADDED, "cHVibGlj+Zm9/MTYw", "cHVibGlj-Zm9_MTYw", r"cHVibGlj+Zm9\/MTYw=="] {
            let event = event.replace("CH", spelling);
            assert_eq!(&meaning(event.as_bytes()), expected, "{event}");
        }
    }

    #[test]
    fn a_message_is_the_event_itself() {
        for event in [
            r#"{"type":"message","channel":"C","user":"a@h","text":"x","ts":"1490004760.000165"}"#,
            r#"{"type":"message","subtype":"file_share","channel":"C","ts":"1490004760.000165","file":{"id":"1"}}"#,
            r#"{"type":"message","subtype":"message_comment","channel":"C","ts":"1490004760.000165","message":{"type":"message","ts":"1.000000"}}"#,
            r#"{"type":"message","subtype":"never_heard_of","hidden":"false","channel":"C","ts":"1490004760.000165"}"#,
            r#"{"type":"message","channel":"C","ts":1490004760.000165,"text":"\ud800"}"#,
        ] {
            let Meaning::Message { channel, ts, message } = meaning(event.as_bytes()) else { panic!("{event}") };
            assert_eq!((channel.as_str(), ts.to_string().as_str()), ("C", "1490004760.000165"));
            assert_eq!(&event[message], event);
        }
        let spaced = b" \n{\"type\":\"message\",\"channel\":\"C\",\"ts\":\"1.000000\"} \n";
        let Meaning::Message { message, .. } = meaning(spaced) else { panic!("not read") };
        assert_eq!(spaced[message].trim_ascii(), spaced.trim_ascii());
    }

    #[test]
    fn an_edit_gives_the_exact_bytes_of_the_item() {
        let item = r#"{ "ts":"1490004760.000165", "text":"n\u0065w","edited":{"user":"b@h","ts":"1490004800.000001"}}"#;
        let event = format!(
            r#"{{"type":"message","subtype":"message_changed","hidden":true,"channel":"CH","ts":"1490004801.000002","message": {item} }}"#
        )
        .replace("CH", PADDED);
        let Meaning::Changed { channel: found, ts: which, message, editor, event_ts } = meaning(event.as_bytes())
        else {
            panic!("{event}")
        };
        assert_eq!(&event[message], item);
        assert_eq!((found, which), (channel(), ts("1490004760.000165")));
        assert_eq!((editor, event_ts), (Some(user("b@h")), Some(ts("1490004800.000001"))));
        let bare = br#"{"type":"message","subtype":"message_changed","channel":"C","ts":"2.000000","message":{"ts":"1.000000"}}"#;
        let Meaning::Changed { editor, event_ts, .. } = meaning(bare) else { panic!("not read") };
        assert_eq!((editor, event_ts), (None, Some(ts("2.000000"))));
    }

    #[test]
    fn a_deletion_has_an_actor_only_where_the_event_names_one() {
        let deleted = |actor: Option<&str>, event_ts: &str| Meaning::Deleted {
            channel: channel(),
            ts: ts("1.000000"),
            actor: actor.map(user),
            event_ts: Some(ts(event_ts)),
        };
        let event = r#"{"type":"message","subtype":"message_deleted","hidden":true,"channel":"CH","ts":"3.000000","deleted_ts":"1.000000","event_ts":"4.000000"}"#;
        check(event, &deleted(None, "4.000000"));
        let event = r#"{"type":"message","subtype":"message_deleted","channel":"CH","ts":"3.000000","deleted_ts":"1.000000","user":"m@h"}"#;
        check(event, &deleted(Some("m@h"), "3.000000"));
        let event = r#"{"type":"message","subtype":"message_deleted","channel":"CH","ts":"3.000000","previous_message":{"ts":"1.000000","user":"author@h"}}"#;
        check(event, &deleted(None, "3.000000"));
    }

    #[test]
    fn the_other_shapes_are_understood() {
        let reaction = Meaning::Reaction { channel: channel(), ts: ts("1.000000") };
        let pin = Meaning::Pin { channel: channel() };
        let a_file = Meaning::File { id: file() };
        let comment = Meaning::FileComment { file: file() };
        let of = |change| Meaning::Channel { id: channel(), change };
        let person = Meaning::User { id: user("a@h") };
        for (event, expected) in [
            (
                r#"{"type":"reaction_added","user":"a@h","reaction":"x","item_user":"b@h","item":{"type":"message","channel":"CH","ts":"1.000000"},"event_ts":"2.000000"}"#,
                &reaction,
            ),
            (r#"{"type":"reaction_removed","item":{"channel":"CH","ts":"1.000000"}}"#, &reaction),
            (r#"{"type":"reaction_added","item":{"type":"file","file":"4a74599400a5"}}"#, &a_file),
            (
                r#"{"type":"reaction_added","item":{"type":"file_comment","file_comment":"1","file":"4a74599400a5"}}"#,
                &comment,
            ),
            (r#"{"type":"pin_added","user":"a@h","channel_id":"CH","item":{},"event_ts":"2.000000"}"#, &pin),
            (r#"{"type":"pin_removed","item":{"channel":"CH"}}"#, &pin),
            (r#"{"type":"file_shared","file":{"id":"4a74599400a5"}}"#, &a_file),
            (r#"{"type":"file_created","file_id":"4a74599400a5"}"#, &a_file),
            (r#"{"type":"file_change","file":"4a74599400a5"}"#, &a_file),
            (r#"{"type":"file_deleted","file_id":"4a74599400a5"}"#, &Meaning::FileDeleted { id: file() }),
            (r#"{"type":"file_comment_added","file":{"id":"4a74599400a5"},"comment":{"id":"1"}}"#, &comment),
            (r#"{"type":"file_comment_deleted","file":{"id":"4a74599400a5"},"comment":"1"}"#, &comment),
            (r#"{"type":"channel_created","channel":{"id":"CH"}}"#, &of(ChannelChange::Appeared)),
            (r#"{"type":"channel_joined","channel":{"id":"CH"}}"#, &of(ChannelChange::Appeared)),
            (r#"{"type":"im_created","user":"a@h","channel":{"id":"CH"}}"#, &of(ChannelChange::Appeared)),
            (r#"{"type":"channel_rename","channel":{"id":"CH","name":"n"}}"#, &of(ChannelChange::Altered)),
            (r#"{"type":"channel_archive","channel":"CH"}"#, &of(ChannelChange::Altered)),
            (r#"{"type":"member_left_channel","user":"a@h","channel":"CH"}"#, &of(ChannelChange::Altered)),
            (r#"{"type":"channel_left","channel":"CH"}"#, &of(ChannelChange::Vanished)),
            (r#"{"type":"group_deleted","channel":"CH"}"#, &of(ChannelChange::Vanished)),
            (r#"{"type":"user_change","user":{"id":"a@h"}}"#, &person),
            (r#"{"type":"team_join","user":"a@h"}"#, &person),
            (
                r#"{"type":"channel_history_changed","channel":"CH","latest":"1.000000","ts":"2.000000"}"#,
                &Meaning::HistoryChanged { channel: Some(channel()), latest: Some(ts("1.000000")) },
            ),
            (
                r#"{"type":"im_history_changed","latest":"soon"}"#,
                &Meaning::HistoryChanged { channel: None, latest: None },
            ),
        ] {
            check(event, expected);
        }
    }

    #[test]
    fn what_is_not_understood_is_other() {
        let deep = format!(r#"{{"type":"message","message":{}1{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        let huge = format!(r#"{{"type":"message","subtype":"message_changed","message":{}}}"#, "{".repeat(1 << 20));
        for event in [
            "",
            " ",
            "hello",
            "[]",
            "7",
            r#""type":"message","channel":"C","ts":"1.000000""#,
            r#"["type":"message"]"#,
            r#"{"type":"message","channel":"C","ts":"1.000000""#,
            r#"{"type":"message","channel":"C","ts":"1.000000"}{"type":"message"}"#,
            r#"{"type":"message","channel":"C","ts":"1"}"#,
            r#"{"type":"message","channel":"=","ts":"1.000000"}"#,
            r#"{"type":"message","channel":["C"],"ts":"1.000000"}"#,
            r#"{"type":"message","ts":"1.000000"}"#,
            r#"{"type":"message","subtype":"message_replied","hidden":true,"channel":"C","ts":"1.000000"}"#,
            r#"{"type":"message","subtype":"message_changed","channel":"C","ts":"1.000000","message":"x"}"#,
            r#"{"type":"message","subtype":"message_changed","channel":"C","ts":"1.000000","message":{"text":"x"}}"#,
            r#"{"type":"message","subtype":"message_deleted","channel":"C","ts":"1.000000"}"#,
            r#"{"type":["message"]}"#,
            r#"{"type":"reaction_added","item":"C"}"#,
            r#"{"type":"pin_added","channel_id":{}}"#,
            r#"{"type":"file_deleted","file_id":""}"#,
            r#"{"type":"user_change","user":null}"#,
            r#"{"type":"channel_history_changed","channel":[],"latest":"1.000000"}"#,
            r#"{"type":"channel_marked","channel":"C","ts":"1.000000"}"#,
            r#"{"type":"team_migration_started"}"#,
            r#"{"type":"something_new","channel":"C"}"#,
            deep.as_str(),
            huge.as_str(),
        ] {
            assert_eq!(meaning(event.as_bytes()), Meaning::Other, "{}", event.chars().take(200).collect::<String>());
        }
        assert_eq!(kind(b"[\"type\":\"message\"]"), None);
        assert_eq!(kind(br#"{"type":"a\u0062c"}"#).unwrap(), "abc");
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_odd(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(meaning(&bytes), Meaning::Other);
            kind(&bytes);
        }

        /// Pieces of events, put together anyhow: whatever is understood points into the event.
        #[test]
        fn no_mixture_of_pieces_is_too_odd(pieces in proptest::collection::vec(0..PIECES.len(), 0..40)) {
            let event: String = pieces.into_iter().map(|piece| PIECES[piece]).collect();
            for event in [event.clone(), format!(r#"{{"type":"message",{event}}}"#)] {
                kind(event.as_bytes());
                match meaning(event.as_bytes()) {
                    Meaning::Message { message, .. } | Meaning::Changed { message, .. } => {
                        let part = event[message].as_bytes();
                        prop_assert_eq!((part.first(), part.last()), (Some(&b'{'), Some(&b'}')));
                    }
                    _ => {}
                }
            }
        }
    }

    const PIECES: &[&str] = &[
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\\",
        " ",
        "null",
        "7",
        "-1.5",
        "é",
        "\\ud800",
        "\"type\":",
        "\"message\"",
        "\"message\":{",
        "\"subtype\":\"message_changed\",",
        "\"subtype\":\"message_deleted\",",
        "\"channel\":\"C\",",
        "\"channel\":{\"id\":\"C\"},",
        "\"ts\":\"1.000000\"",
        "\"ts\":\"2.000000\",",
        "\"deleted_ts\":\"1.000000\",",
        "\"edited\":{\"user\":\"a@h\"}",
        "\"hidden\":true,",
        "\"item\":{",
        "\"user\":",
    ];
}
