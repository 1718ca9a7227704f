//! What about an item of the history was not expected. Such an item is archived as it came, like
//! any other; what is said here becomes a finding, so that a person can look whether this version
//! still understands its source (protocol notes 1.3: accept any subtype; 2.4).

use crate::model::json::members;

/// Subtypes that the protocol notes name (1.3 and 2.4) or that Slack-like servers are known to send.
const SUBTYPES: &[&str] = &[
    "bot_add",
    "bot_message",
    "bot_remove",
    "file_comment",
    "file_mention",
    "file_share",
    "me_message",
    "message_comment",
    "pinned_item",
    "reminder_add",
    "reply_broadcast",
    "slackbot_response",
    "thread_broadcast",
    "unpinned_item",
];
/// Subtypes that come for channels and, as twins, for groups.
const OF_CHANNELS: &[&str] = &["archive", "join", "leave", "name", "purpose", "topic", "unarchive"];
/// Members and the first bytes their values may have: `"` a string, `{` an object, `[` a list.
const TYPES: &[(&str, &[u8])] = &[
    ("type", b"\""),
    ("subtype", b"\""),
    ("user", b"\""),
    ("text", b"\""),
    ("ts", b"\"0123456789"),
    ("edited", b"{"),
    ("file", b"{"),
    ("files", b"["),
    ("comment", b"{"),
    ("reactions", b"["),
    ("attachments", b"["),
];

/// What was not expected in an item, each in words that do not depend on the single item, so that a
/// server that does the same a thousand times in a channel is reported once.
///
/// `null`, `false`, an empty list and an empty string stand for "nothing" wherever they come.
pub(super) fn oddities(bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    if std::str::from_utf8(bytes).is_err() {
        found.push("holds bytes that are not UTF-8".to_owned());
    } else if has_half_pair(bytes) {
        found.push("holds half of a surrogate pair".to_owned());
    }
    let mut present: Vec<&[u8]> = Vec::new();
    for (key, value) in members(bytes, 0..bytes.len()) {
        let name = &bytes[key.start + 1..key.end - 1];
        let value = &bytes[value];
        if matches!(value, b"null" | b"false" | b"[]" | b"\"\"") {
            // An empty text is still a text.
            if name == b"text" && value == b"\"\"" {
                present.push(name);
            }
            continue;
        }
        present.push(name);
        let Some((name, allowed)) = TYPES.iter().find(|(known, _)| known.as_bytes() == name) else { continue };
        if !value.first().is_some_and(|first| allowed.contains(first)) {
            found.push(format!("has a value of an unexpected type in \"{name}\""));
        } else if *name == "subtype"
            && let Ok(subtype) = serde_json::from_slice::<String>(value)
            && !is_known(&subtype)
        {
            let shown: String = subtype.chars().take(40).collect();
            found.push(format!("is of the subtype {shown:?}, which this version does not know"));
        }
    }
    let lacks = |names: &[&str]| !names.iter().any(|name| present.contains(&name.as_bytes()));
    if lacks(&["type"]) {
        found.push("has no \"type\"".to_owned());
    }
    if lacks(&["subtype"]) {
        if lacks(&["user", "username", "bot_id"]) {
            found.push("is an ordinary message without an author".to_owned());
        }
        if lacks(&["text", "file", "files", "attachments"]) {
            found.push("is an ordinary message without a text".to_owned());
        }
    }
    found
}

fn is_known(subtype: &str) -> bool {
    SUBTYPES.contains(&subtype)
        || ["channel_", "group_"]
            .iter()
            .any(|kind| subtype.strip_prefix(kind).is_some_and(|what| OF_CHANNELS.contains(&what)))
}

/// Whether an escape stands for half of a character. Only items with such escapes are parsed.
fn has_half_pair(bytes: &[u8]) -> bool {
    bytes.windows(3).any(|three| matches!(three, b"\\ud" | b"\\uD"))
        && serde_json::from_slice::<serde_json::Value>(bytes).is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_items_are_not_odd() {
        for item in [
            r#"{"type":"message","user":"a@t.com","text":"","ts":"1490000000.000001"}"#,
            r#"{"type":"message","user":"a@t.com","text":"\ud83d\ude00","ts":"1.000001","edited":[],"file":null}"#,
            r#"{"type":"message","subtype":"group_join","user":"a@t.com","text":"x","ts":"1.000001"}"#,
            r#"{"type":"message","bot_id":"B1","attachments":[{"text":"x"}],"ts":"1.000001","is_stared":"false"}"#,
            r#"{"type":"message","user":"a@t.com","files":[{"id":"f"}],"ts":"1.000001","unknown":{"field":1}}"#,
        ] {
            assert_eq!(oddities(item.as_bytes()), Vec::<String>::new(), "{item}");
        }
    }

    #[test]
    fn each_oddity_is_named() {
        let cases: &[(&[u8], &str)] = &[
            (br#"{"type":"message","subtype":"quantum_leap"}"#, "subtype \"quantum_leap\""),
            (br#"{"type":"message","subtype":"channel_leap"}"#, "subtype \"channel_leap\""),
            (br#"{"type":["message"],"user":"a","text":"x"}"#, "unexpected type in \"type\""),
            (br#"{"type":"message","user":7,"text":"x"}"#, "unexpected type in \"user\""),
            (br#"{"type":"message","user":"a","text":{"no":"text"}}"#, "unexpected type in \"text\""),
            (br#"{"type":"message","user":"a","text":"x","edited":"yes"}"#, "unexpected type in \"edited\""),
            (br#"{"type":"message","user":"a","text":"x","files":{"id":1}}"#, "unexpected type in \"files\""),
            (b"{\"type\":\"message\",\"user\":\"a\",\"text\":\"\xff\"}", "not UTF-8"),
            (br#"{"type":"message","user":"a","text":"half \ud83d of a pair"}"#, "surrogate"),
            (br#"{"user":"a","text":"x"}"#, "no \"type\""),
            (br#"{"type":"message","text":"x"}"#, "without an author"),
            (br#"{"type":"message","user":"a"}"#, "without a text"),
        ];
        for (item, expected) in cases {
            let found = oddities(item);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].contains(expected), "{found:?} for {}", String::from_utf8_lossy(item));
        }
    }
}
