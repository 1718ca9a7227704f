use std::collections::BTreeSet;

use super::header::Kind;
use crate::model::json::{Keep, canonical, member};
use crate::model::{Digest, json};

/// Fields that differ from one reading to the next without anything having been said: marks of
/// the reader, counters, presence, URLs with tickets (protocol notes (b) 14).
fn is_volatile(name: &str) -> bool {
    matches!(
        name,
        "is_stared"
            | "is_starred"
            | "is_recent"
            | "is_notifications"
            | "last_seen"
            | "last_read"
            | "last_activity"
            | "latest"
            | "presence"
            | "online"
            | "cache_ts"
            | "connection_count"
            | "permalink"
            | "permalink_public"
            | "url_private"
            | "url_private_download"
    ) || name.starts_with("unread")
        || name.starts_with("thumb_")
        || name.starts_with("thread_unread")
}

/// The ids of a roster's note, in the server's order; `None` when it is no such note.
pub fn roster_members(body: &[u8]) -> Option<Vec<String>> {
    let note = json::parse(body)?;
    note["roster"]["members"].as_array()?.iter().map(|id| id.as_str().map(str::to_owned)).collect()
}

/// A digest that is equal for two readings of a subject between which nothing changed.
///
/// Reactions are records of their own, so a message's digest leaves them out; a file inside a
/// message counts by its id alone, since a file's versions are records of their own too. A roster
/// is the set of its members, whatever their order.
pub fn change_digest(kind: Kind, body: &[u8]) -> Digest {
    if let Some(members) = (kind == Kind::Roster).then(|| roster_members(body)).flatten() {
        let members: BTreeSet<String> = members.into_iter().collect();
        return Digest::of(&serde_json::to_vec(&members).expect("a set of texts is plain data"));
    }
    let keep = |path: &[String], name: &str| -> Keep {
        let inside: Vec<&str> = path.iter().map(String::as_str).collect();
        #[expect(clippy::match_same_arms, reason = "each kind has its own line, alike or not")]
        let counts = match (kind, inside.as_slice()) {
            (_, _) if is_volatile(name) => false,
            // A live event is the item with its channel and its own time stamp added.
            (Kind::Message, []) => !matches!(
                name,
                "reactions"
                    | "pinned_to"
                    | "pinned_info"
                    | "comments_count"
                    | "reply_count"
                    | "replies"
                    | "subscribed"
                    | "channel"
                    | "event_ts"
            ),
            (Kind::Message | Kind::Pins, ["file" | "files"]) => name == "id",
            (Kind::Message, ["comment"]) => matches!(name, "id" | "user" | "comment" | "created"),
            (Kind::Message, ["message"]) => matches!(name, "ts" | "type"),
            // A pin is what is pinned, not how it reads at the moment.
            (Kind::Pins, []) => {
                matches!(name, "ts" | "timestamp" | "file" | "comment" | "message" | "created_by" | "global")
            }
            (Kind::Pins, ["message"]) => name == "ts",
            (Kind::Pins, ["comment"]) => name == "id",
            (Kind::File, []) => !matches!(
                name,
                "comments_count"
                    | "comments"
                    | "initial_comment"
                    | "reactions"
                    | "channels"
                    | "is_public"
                    | "public_url_shared"
                    | "username"
            ),
            (Kind::User, ["profile"]) => !name.starts_with("image_"),
            (Kind::User, []) => !matches!(name, "has_files" | "tz_offset" | "tz_label"),
            _ => true,
        };
        if counts { Keep::Yes } else { Keep::No }
    };
    Digest::of(&canonical(body, &keep))
}

/// Whether `part` is the reading `whole`, told in part: a live event may show less of an item than the
/// history does. All that it has of what a message says (author, text, files, comment) reads the
/// same, and so does the mark of the last edit.
pub fn is_part_of(part: &[u8], whole: &[u8]) -> bool {
    let said = |message: &[u8], only: &str| {
        let keep = |path: &[String], name: &str| -> Keep {
            let inside: Vec<&str> = path.iter().map(String::as_str).collect();
            let counts = match inside.as_slice() {
                [] => name == only,
                ["file"] => name == "id",
                ["comment"] => matches!(name, "id" | "comment"),
                _ => true,
            };
            if counts { Keep::Yes } else { Keep::No }
        };
        canonical(message, &keep)
    };
    let is_same = |name| said(part, name) == said(whole, name);
    let mut names = ["user", "text", "subtype", "file", "comment"].into_iter();
    is_same("edited") && names.all(|name| member(part, name).is_none() || is_same(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(kind: Kind, a: &str, b: &str) -> bool {
        change_digest(kind, a.as_bytes()) == change_digest(kind, b.as_bytes())
    }

    #[test]
    fn noise_is_no_change_and_one_edit_is() {
        let base = r#"{"type":"message","user":"a","text":"yes","ts":"1.000000","is_stared":false}"#;
        assert!(same(
            Kind::Message,
            base,
            r#"{"ts":"1.000000","text":"yes","user":"a","type":"message","is_stared":true,"unread_count":3,"reactions":[]}"#
        ));
        assert!(!same(Kind::Message, base, &base.replace("yes", "no")));
        assert!(!same(Kind::Message, base, &base.replace('}', r#","edited":{"user":"a","ts":"2.000000"}}"#)));
    }

    #[test]
    fn an_event_reads_as_the_item_that_it_tells_of() {
        let item = r#"{"type":"message","user":"a","text":"yes","ts":"1.000000","file":{"id":"F1","size":3}}"#;
        let event = item.replace("}}", r#"},"channel":"C1","event_ts":"1.000001"}"#);
        assert!(same(Kind::Message, item, &event));
        let part = br#"{"channel":"C1","user":"a","text":"yes","ts":"1.000000","file":{"id":"F1"}}"#;
        assert!(is_part_of(part, item.as_bytes()));
        assert_ne!(change_digest(Kind::Message, item.as_bytes()), change_digest(Kind::Message, part));
        assert!(is_part_of(br#"{"user":"a","ts":"1.000000"}"#, item.as_bytes()));
        assert!(!is_part_of(item.as_bytes(), br#"{"user":"a","ts":"1.000000"}"#));
        assert!(!is_part_of(item.replace("yes", "no").as_bytes(), item.as_bytes()));
        let edited = item.replace("}}", r#"},"edited":{"user":"a","ts":"2.000000"}}"#);
        assert!(!is_part_of(part, edited.as_bytes()));
    }

    #[test]
    fn a_file_in_a_message_counts_by_its_id() {
        let a = r#"{"ts":"1.000000","file":{"id":"F1","size":0,"url_private":"x?ticket=1","comments_count":0}}"#;
        assert!(same(
            Kind::Message,
            a,
            r#"{"ts":"1.000000","file":{"id":"F1","size":9,"url_private":"x?ticket=2","comments_count":4}}"#
        ));
        assert!(!same(Kind::Message, a, r#"{"ts":"1.000000","file":{"id":"F2"}}"#));
    }

    #[test]
    fn a_roster_is_a_set() {
        let a = r#"{"roster":{"members":["a","b"],"of":2,"reply":"x"}}"#;
        assert!(same(Kind::Roster, a, r#"{"roster":{"members":["b","a"],"of":3,"reply":"y"}}"#));
        assert!(!same(Kind::Roster, a, r#"{"roster":{"members":["a","c"],"of":2,"reply":"x"}}"#));
    }

    #[test]
    fn a_pin_is_what_is_pinned() {
        assert!(same(Kind::Pins, r#"[{"ts":"1.000000","text":"a"}]"#, r#"[{"ts":"1.000000","text":"b"}]"#));
        assert!(!same(Kind::Pins, r#"[{"ts":"1.000000"}]"#, r#"[{"ts":"1.000000"},{"ts":"2.000000"}]"#));
    }
}
