//! What the body of a message, file or comment says of its author and its files, in whichever of the
//! spellings the server used.

use serde_json::Value;

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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_spellings_of_files_and_of_authors_are_read() {
        let body =
            json!({"user":"","username":"Dockhand","file":{"id":"a"},"files":[{"id":"a"},{"id":"b"},{"id":""},3]});
        assert_eq!((author(&body), file_ids(&body)), ("Dockhand", vec!["a", "b"]));
        let body = json!({"user":"ann","username":"x","comment":{"id":"c1"}});
        assert_eq!((author(&body), file_ids(&body), comment_id(&body)), ("ann", Vec::new(), Some("c1")));
        assert_eq!((author(&json!(null)), comment_id(&json!({"comment":{}}))), ("", None));
    }
}
