//! What the server's objects look like to a reader. Views for deciding what to do, never for
//! keeping: what is archived is the bytes they were read from. Each keeps the fields it does not
//! know in `rest`.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::tolerant as t;
use crate::model::MessageTs;

/// Fields that a view does not name.
pub type Rest = Map<String, Value>;

/// An item of a channel's stream.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Message {
    /// `message`, mostly.
    #[serde(rename = "type", deserialize_with = "t::text", default)]
    pub kind: String,
    /// What kind of item; empty for an ordinary message.
    #[serde(deserialize_with = "t::text", default)]
    pub subtype: String,
    /// Who wrote it.
    #[serde(deserialize_with = "t::text", default)]
    pub user: String,
    /// What it says.
    #[serde(deserialize_with = "t::text", default)]
    pub text: String,
    /// Its time stamp, the key.
    #[serde(deserialize_with = "t::text", default)]
    pub ts: String,
    /// The mark of an edit.
    #[serde(deserialize_with = "t::object", default)]
    pub edited: Option<Edited>,
    /// A file it shares.
    #[serde(deserialize_with = "t::object", default)]
    pub file: Option<File>,
    /// The files it shares, where there may be several.
    #[serde(deserialize_with = "t::list", default)]
    pub files: Vec<File>,
    /// A comment that it is.
    #[serde(deserialize_with = "t::object", default)]
    pub comment: Option<Comment>,
    /// `None`: the server did not say.
    #[serde(default)]
    pub reactions: Option<Value>,
    /// The reader's own mark, spelled both ways.
    #[serde(alias = "is_starred", deserialize_with = "t::boolean", default)]
    pub is_stared: bool,
    /// All else.
    #[serde(flatten)]
    pub rest: Rest,
}

impl Message {
    /// The time stamp, if it is of the form that keys have.
    pub fn parsed_ts(&self) -> Option<MessageTs> {
        MessageTs::parse(&self.ts)
    }

    /// Every file the message names, each once.
    pub fn all_files(&self) -> Vec<&File> {
        let mut out: Vec<&File> = Vec::new();
        for file in self.file.iter().chain(&self.files) {
            if !file.id.is_empty() && !out.iter().any(|known| known.id == file.id) {
                out.push(file);
            }
        }
        out
    }
}

/// Who edited, and when.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Edited {
    /// The editor, who need not be the author.
    #[serde(deserialize_with = "t::text", default)]
    pub user: String,
    /// When.
    #[serde(deserialize_with = "t::text", default)]
    pub ts: String,
}

/// A file's facts.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct File {
    /// Its id.
    #[serde(deserialize_with = "t::text", default)]
    pub id: String,
    /// Its name, which may be hostile.
    #[serde(deserialize_with = "t::text", default)]
    pub name: String,
    /// Its title.
    #[serde(deserialize_with = "t::text", default)]
    pub title: String,
    /// Unix seconds.
    #[serde(deserialize_with = "t::integer", default)]
    pub created: i64,
    /// Unix seconds of the last change (protocol notes, row 16).
    #[serde(deserialize_with = "t::integer", default)]
    pub timestamp: i64,
    /// Bytes; 0 in lists, true in `files.info` (row 14).
    #[serde(deserialize_with = "t::integer", default)]
    pub size: i64,
    /// Who uploaded it.
    #[serde(deserialize_with = "t::text", default)]
    pub user: String,
    /// Extension with its point.
    #[serde(deserialize_with = "t::text", default)]
    pub filetype: String,
    /// Where it is downloaded: a bearer secret while its ticket lives.
    #[serde(deserialize_with = "t::text", default)]
    pub url_private: String,
    /// The same, for saving.
    #[serde(deserialize_with = "t::text", default)]
    pub url_private_download: String,
    /// How many comments it has.
    #[serde(deserialize_with = "t::integer", default)]
    pub comments_count: i64,
    /// Where it is shared; empty strings mean nothing (row 18).
    #[serde(deserialize_with = "t::list", default)]
    pub channels: Vec<String>,
    /// It lies elsewhere and cannot be fetched.
    #[serde(deserialize_with = "t::boolean", default)]
    pub is_external: bool,
    /// All else.
    #[serde(flatten)]
    pub rest: Rest,
}

impl File {
    /// The number of edits, from the URL's `editcounter` (protocol notes 1.2); 0 when not given.
    pub fn edit_counter(&self) -> u64 {
        [&self.url_private, &self.url_private_download]
            .into_iter()
            .find_map(|url| {
                let (_, rest) = url.split_once("editcounter=")?;
                rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
            })
            .unwrap_or(0)
    }
}

/// A comment on a file.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Comment {
    /// Its id.
    #[serde(deserialize_with = "t::text", default)]
    pub id: String,
    /// Who wrote it.
    #[serde(deserialize_with = "t::text", default)]
    pub user: String,
    /// What it says.
    #[serde(deserialize_with = "t::text", default)]
    pub comment: String,
    /// Unix seconds.
    #[serde(deserialize_with = "t::integer", default)]
    pub created: i64,
    /// Unix seconds of the last change.
    #[serde(deserialize_with = "t::integer", default)]
    pub timestamp: i64,
    /// The text that came with the upload.
    #[serde(deserialize_with = "t::boolean", default)]
    pub is_intro: bool,
    /// All else.
    #[serde(flatten)]
    pub rest: Rest,
}

/// A channel's facts.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Channel {
    /// Its id in the server's spelling.
    #[serde(deserialize_with = "t::text", default)]
    pub id: String,
    /// Its name.
    #[serde(deserialize_with = "t::text", default)]
    pub name: String,
    /// Unix seconds.
    #[serde(deserialize_with = "t::integer", default)]
    pub created: i64,
    /// The group account that owns it.
    #[serde(deserialize_with = "t::text", default)]
    pub creator: String,
    /// No longer written to.
    #[serde(deserialize_with = "t::boolean", default)]
    pub is_archived: bool,
    /// Whether this account is in it.
    #[serde(deserialize_with = "t::optional_boolean", default)]
    pub is_member: Option<bool>,
    /// How many members it has.
    #[serde(deserialize_with = "t::optional_integer", default)]
    pub num_members: Option<i64>,
    /// Members, 300 at most (row 40).
    #[serde(deserialize_with = "t::list", default)]
    pub members: Vec<String>,
    /// All else.
    #[serde(flatten)]
    pub rest: Rest,
}

impl Channel {
    /// Whether the server cut the list of members.
    pub fn roster_is_cut(&self) -> bool {
        self.num_members.is_some_and(|count| count > i64::try_from(self.members.len()).unwrap_or(i64::MAX))
    }
}

/// A direct conversation.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Im {
    /// Its id.
    #[serde(deserialize_with = "t::text", default)]
    pub id: String,
    /// The other person.
    #[serde(deserialize_with = "t::text", default)]
    pub user: String,
    /// Unix seconds.
    #[serde(deserialize_with = "t::integer", default)]
    pub created: i64,
    /// Whether the other's account was closed.
    #[serde(deserialize_with = "t::boolean", default)]
    pub is_user_deleted: bool,
    /// All else.
    #[serde(flatten)]
    pub rest: Rest,
}

/// A person.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct User {
    /// The id, a mail address.
    #[serde(deserialize_with = "t::text", default)]
    pub id: String,
    /// Short name.
    #[serde(deserialize_with = "t::text", default)]
    pub name: String,
    /// Display name.
    #[serde(deserialize_with = "t::text", default)]
    pub real_name: String,
    /// The account was closed.
    #[serde(deserialize_with = "t::boolean", default)]
    pub deleted: bool,
    /// A machine.
    #[serde(deserialize_with = "t::boolean", default)]
    pub is_bot: bool,
    /// All else.
    #[serde(flatten)]
    pub rest: Rest,
}

/// A reaction and who set it; the list may be short of the count (row 23).
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Reaction {
    /// Its name.
    #[serde(deserialize_with = "t::text", default)]
    pub name: String,
    /// How many set it.
    #[serde(deserialize_with = "t::integer", default)]
    pub count: i64,
    /// Who.
    #[serde(deserialize_with = "t::list", default)]
    pub users: Vec<String>,
}

/// Paging by number. Nothing is computed from it but whether the page is the one asked for
/// (rows 24 and 25).
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Paging {
    /// Items on this page, or items a page.
    #[serde(deserialize_with = "t::integer", default)]
    pub count: i64,
    /// All items.
    #[serde(deserialize_with = "t::integer", default)]
    pub total: i64,
    /// This page, from 1.
    #[serde(deserialize_with = "t::integer", default)]
    pub page: i64,
    /// Pages; 0 means nothing.
    #[serde(deserialize_with = "t::integer", default)]
    pub pages: i64,
}

/// Who a token belongs to.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Identity {
    /// Name.
    #[serde(deserialize_with = "t::text", default)]
    pub user: String,
    /// Id.
    #[serde(deserialize_with = "t::text", default)]
    pub user_id: String,
    /// A path, on this server.
    #[serde(deserialize_with = "t::text", default)]
    pub url: String,
    /// All else.
    #[serde(flatten)]
    pub rest: Rest,
}

/// A sign-in's answer: a challenge or a token.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct SignIn {
    /// Whether it is done.
    #[serde(deserialize_with = "t::boolean", default)]
    pub authorized: bool,
    /// The token, when it is.
    #[serde(deserialize_with = "t::text", default)]
    pub token: String,
    /// For the digest.
    #[serde(deserialize_with = "t::text", default)]
    pub realm: String,
    /// For the digest.
    #[serde(deserialize_with = "t::text", default)]
    pub nonce: String,
    /// For the digest.
    #[serde(deserialize_with = "t::text", default)]
    pub qop: String,
    /// For the digest.
    #[serde(deserialize_with = "t::text", default)]
    pub algorithm: String,
    /// For the digest: used exactly as given.
    #[serde(deserialize_with = "t::text", default)]
    pub method: String,
}

/// Presence of the caller.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Presence {
    /// `active` or `away`.
    #[serde(deserialize_with = "t::text", default)]
    pub presence: String,
    /// Unix seconds.
    #[serde(deserialize_with = "t::integer", default)]
    pub last_activity: i64,
    /// Whether a connection is open.
    #[serde(deserialize_with = "t::boolean", default)]
    pub online: bool,
    /// How many.
    #[serde(deserialize_with = "t::integer", default)]
    pub connection_count: i64,
}

/// What `chat.*` answers: where the message stands and what it is.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Posted {
    /// Its time stamp.
    #[serde(deserialize_with = "t::text", default)]
    pub ts: String,
    /// The channel, without padding.
    #[serde(deserialize_with = "t::text", default)]
    pub channel: String,
    /// The new text, after an update.
    #[serde(deserialize_with = "t::text", default)]
    pub text: String,
    /// The message, after a post.
    #[serde(deserialize_with = "t::object", default)]
    pub message: Option<Message>,
}

/// What `im.open` answers. The id at the top is the conversation (row 27).
#[derive(Debug, Clone, Default, Deserialize)]
pub struct OpenedIm {
    /// The conversation.
    #[serde(deserialize_with = "t::text", default)]
    pub id: String,
    /// It was open before.
    #[serde(deserialize_with = "t::boolean", default)]
    pub already_open: bool,
    /// The whole object, when asked for.
    #[serde(deserialize_with = "t::object", default)]
    pub channel: Option<Channel>,
}

/// What `files.edit` answers.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct EditSession {
    /// What an editor needs; passed through.
    #[serde(default)]
    pub data: Value,
    /// The mode granted.
    #[serde(deserialize_with = "t::integer", default)]
    pub mode: i64,
    /// The session's key.
    #[serde(deserialize_with = "t::text", default)]
    pub key: String,
}

/// One side of a search's answer.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Matches {
    /// How many match.
    #[serde(deserialize_with = "t::integer", default)]
    pub total: i64,
    /// Paging by number.
    #[serde(deserialize_with = "t::object", default)]
    pub paging: Option<Paging>,
    /// The matches, as they came.
    #[serde(default)]
    pub matches: Vec<Value>,
}

/// A search's answer.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct SearchAnswer {
    /// What was asked.
    #[serde(deserialize_with = "t::text", default)]
    pub query: String,
    /// Messages, where they were asked for.
    #[serde(deserialize_with = "t::object", default)]
    pub messages: Option<Matches>,
    /// Files, where they were asked for.
    #[serde(deserialize_with = "t::object", default)]
    pub files: Option<Matches>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_types_cost_a_field_and_not_the_item() {
        let message: Message = serde_json::from_str(
            r#"{"ts":"1.000000","text":5,"file":"x","files":[{"id":7},3],"edited":[],"is_starred":"1","new":{"a":1}}"#,
        )
        .unwrap();
        assert_eq!(message.text, "5");
        assert!(message.file.is_none() && message.edited.is_none() && message.is_stared);
        assert_eq!(message.files[0].id, "7");
        assert_eq!(message.rest["new"]["a"], 1);
    }

    #[test]
    fn a_file_named_twice_is_one_file() {
        let message: Message =
            serde_json::from_str(r#"{"file":{"id":"F1"},"files":[{"id":"F1"},{"id":"F2"}]}"#).unwrap();
        assert_eq!(message.all_files().len(), 2);
    }

    #[test]
    fn the_edit_counter_is_read_from_the_url() {
        let file: File = serde_json::from_str(r#"{"url_private":"https://h/x?ticket=t&editcounter=12&a=1"}"#).unwrap();
        assert_eq!(file.edit_counter(), 12);
        assert_eq!(File::default().edit_counter(), 0);
    }
}
