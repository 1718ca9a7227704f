//! What the body of a message, file or comment says of its author, its files and its places, in whichever of
//! the spellings the server used.

use serde_json::Value;

use crate::model::{ChannelId, json};
use crate::record::Record;

/// Who wrote it: the user's id or, of a machine without one, the name that it gives itself. Empty where
/// the source says neither.
pub fn author(body: &Value) -> &str {
    let text = |name: &str| body[name].as_str().unwrap_or_default();
    if text("user").is_empty() { text("username") } else { text("user") }
}

/// The ids of the files that a message shows, in its order, each once: those of `file` and of `files`.
pub fn file_ids(body: &Value) -> Vec<&str> {
    let mut out: Vec<&str> = Vec::new();
    let all = body.get("file").into_iter().chain(body["files"].as_array().into_iter().flatten());
    for id in all.filter_map(|file| file["id"].as_str()).filter(|id| !id.is_empty()) {
        if !out.contains(&id) {
            out.push(id);
        }
    }
    out
}

/// The id of the comment that a message of a channel's stream is, if it is one.
pub fn comment_id(body: &Value) -> Option<&str> {
    body["comment"]["id"].as_str().filter(|id| !id.is_empty())
}

/// The time stamp of the message that a message answers: of a thread, or of a comment on a message. The first of a
/// thread names itself.
pub fn answers(body: &Value) -> Option<&str> {
    let said = body["message"]["ts"].as_str().or_else(|| body["thread_ts"].as_str());
    said.filter(|ts| !ts.is_empty() && body["ts"].as_str() != Some(ts))
}

/// Members of objects that list channels, and those that name one: a file says where it is shared, a comment
/// where it stands, wherever they are quoted.
const LISTS: [&str; 3] = ["channels", "groups", "ims"];
const PLACES: [&str; 2] = ["channel", "channel_id"];

/// Whether a body can name a channel. Few do, and parsing takes longer than looking. A name can be written with
/// escapes.
fn may_name(body: &[u8]) -> bool {
    std::str::from_utf8(body)
        .map_or(true, |body| ["channel", "\"groups\"", "\"ims\"", "\\u"].iter().any(|word| body.contains(word)))
}

/// Whether a record names a channel that may not be named to somebody: one in which its file is shared, too.
/// `allows` says which may. What people wrote in a text is not looked at.
pub fn names_others(record: &Record, allows: &dyn Fn(&ChannelId) -> bool) -> bool {
    if record.header.shared_in.iter().any(|id| is_other(id, allows)) {
        return true;
    }
    // What can't be read may name anything.
    may_name(&record.body) && json::parse(&record.body).is_none_or(|body| body_names_others(&body, allows))
}

fn is_other(id: &str, allows: &dyn Fn(&ChannelId) -> bool) -> bool {
    ChannelId::parse(id).is_some_and(|id| !allows(&id))
}

fn body_names_others(value: &Value, allows: &dyn Fn(&ChannelId) -> bool) -> bool {
    match value {
        Value::Array(values) => values.iter().any(|value| body_names_others(value, allows)),
        Value::Object(members) => members.iter().any(|(name, value)| match value {
            Value::String(id) => PLACES.contains(&name.as_str()) && is_other(id, allows),
            Value::Array(ids) if LISTS.contains(&name.as_str()) => {
                ids.iter().any(|id| id.as_str().is_some_and(|id| is_other(id, allows)) || body_names_others(id, allows))
            }
            value => body_names_others(value, allows),
        }),
        _ => false,
    }
}

/// A record without the channels that may not be named; see [`names_others`]. It is another record then: nothing
/// proves it.
#[must_use]
pub fn without_others(record: &Record, allows: &dyn Fn(&ChannelId) -> bool) -> Record {
    let mut out = record.clone();
    out.header.shared_in.retain(|id| !is_other(id, allows));
    if may_name(&out.body) {
        let mut body = json::parse(&out.body).unwrap_or_default();
        leave_out_others(&mut body, allows);
        out.body = body.to_string().into_bytes();
    }
    out
}

/// Leaves out of a body the channels that `allows` does not let be named; see [`names_others`].
pub fn leave_out_others(value: &mut Value, allows: &dyn Fn(&ChannelId) -> bool) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(|value| leave_out_others(value, allows)),
        Value::Object(members) => {
            for (name, value) in members {
                if PLACES.contains(&name.as_str()) && value.as_str().is_some_and(|id| is_other(id, allows)) {
                    *value = Value::String(String::new());
                } else if LISTS.contains(&name.as_str())
                    && let Value::Array(ids) = value
                {
                    ids.retain(|id| !id.as_str().is_some_and(|id| is_other(id, allows)));
                }
                leave_out_others(value, allows);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(body: &[u8], shared_in: &[&str]) -> Record {
        let header = json!({
            "kind": "file", "source": 1, "key": "f", "version": 1, "state": "present", "origin": "observed", "via": "",
            "account": "ann", "run": 1, "observed_at": "2026-01-01T00:00:00Z", "shared_in": shared_in,
        });
        Record { header: serde_json::from_value(header).unwrap(), body: body.to_vec() }
    }

    #[test]
    fn channels_that_may_not_be_named_are_found_and_left_out_wherever_they_stand() {
        let allows = |id: &ChannelId| id.as_str() == "A";
        for (body, shared_in, expected) in [
            (r#"{"text":"in B"}"#, &["A"][..], None),
            (r#"{"channels":["A","A=="],"channel":"","initial_comment":{"channel":"A"}}"#, &[], None),
            (r#"{"text":"x"}"#, &["A", "B"], Some(r#"{"text":"x"}"#)),
            (r#"{"file":{"channels":["B","A"]}}"#, &[], Some(r#"{"file":{"channels":["A"]}}"#)),
            (r#"[{"comment":{"channel":"B"}}]"#, &[], Some(r#"[{"comment":{"channel":""}}]"#)),
            (r#"{"files":[{"\u0069ms":["B"]}]}"#, &[], Some(r#"{"files":[{"ims":[]}]}"#)),
            (r#"{"channel": "#, &[], Some("null")),
        ] {
            let record = record(body.as_bytes(), shared_in);
            assert_eq!(names_others(&record, &allows), expected.is_some(), "{body}");
            let Some(expected) = expected else { continue };
            let other = without_others(&record, &allows);
            assert_eq!(String::from_utf8_lossy(&other.body), expected);
            assert!(!names_others(&other, &allows), "{body}");
        }
    }

    #[test]
    fn both_spellings_of_files_and_of_authors_are_read() {
        let body =
            json!({"user":"","username":"Dockhand","file":{"id":"a"},"files":[{"id":"a"},{"id":"b"},{"id":""},3]});
        assert_eq!((author(&body), file_ids(&body)), ("Dockhand", vec!["a", "b"]));
        let body = json!({"user":"ann","username":"x","comment":{"id":"c1"}});
        assert_eq!((author(&body), file_ids(&body), comment_id(&body)), ("ann", Vec::new(), Some("c1")));
        assert_eq!((author(&json!(null)), comment_id(&json!({"comment":{}}))), ("", None));
        assert_eq!(answers(&json!({"ts":"2.000000","message":{"ts":"1.000000"}})), Some("1.000000"));
        assert_eq!(answers(&json!({"ts":"2.000000","thread_ts":"1.000000"})), Some("1.000000"));
        assert_eq!(answers(&json!({"ts":"1.000000","thread_ts":"1.000000"})), None);
    }
}
