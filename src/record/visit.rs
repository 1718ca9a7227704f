//! Entries of the access log: exactly what is on disk.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::ledger::{ArchiveId, LeafEntry};
use crate::model::{ChannelId, Digest, Scope};

/// Stands where a record's kind stands in a leaf; no kind of record ever has this number, so that
/// an entry is never taken for a record.
const LEAF_KIND: u8 = 0x80;
/// A scope of more channels than this is named by their number and digest.
const LISTED_CHANNELS: usize = 32;

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Contents, or what is known of them, were asked for: a page, a file, a search, a method of the
    /// API. The body says how it was answered.
    View,
    /// Somebody signed in.
    SignIn,
    /// A sign-in was refused.
    SignInFailed,
    /// Somebody signed out.
    SignOut,
    /// An account was made.
    UserAdded,
    /// An account was refused from then on.
    UserDisabled,
    /// An account was given another role or other channels.
    UserChanged,
    /// An API token was made.
    TokenCreated,
    /// An API token was withdrawn.
    TokenRevoked,
    /// The log is signed with another key from here on.
    Signer,
    /// A set was exported.
    Export,
    /// Sessions of an account were ended by somebody who may.
    SessionsEnded,
    /// Records were put together and handed over as an exhibit.
    Exhibit,
    /// An account that was refused is let in again.
    UserEnabled,
    /// An account was given another password.
    PasswordChanged,
    /// Whom a provider calls by some name is an account from then on.
    UserBound,
    /// An account is asked for a second factor from then on.
    FactorOn,
    /// It is not any more.
    FactorOff,
}

/// The first line of an entry. Its JSON has the fields in this order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VisitHeader {
    /// The entry's number in the log, from 0.
    pub number: u64,
    /// When (our clock, UTC, RFC 3339).
    pub at: String,
    /// What was done.
    pub action: Action,
    /// The version of the program that wrote it.
    pub version: String,
}

/// The second line: who did it, from where, and what it was about. A field without a value is left
/// out. Never a password, a token's secret, a cookie or a ticket.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Visit {
    /// The account of the web UI; with no token either, nobody who is known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub user: Option<String>,
    /// The name of the API token.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub token: Option<String>,
    /// What the account or token may do.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub role: Option<String>,
    /// The address at the other end of the connection, or `command line` with the system's user id.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub from: Option<String>,
    /// What a proxy on this machine said of whom it asks for. It is the proxy's word.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub forwarded_for: Option<String>,
    /// The machine that asked, as the proxies that are trusted say, where it is not the one at the other end.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub client: Option<String>,
    /// The page, or `api`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub page: Option<String>,
    /// The method of the API.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub method: Option<String>,
    /// The channel, as it was asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub channel: Option<String>,
    /// The time stamp, date or page that was asked for, and how.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub place: Option<String>,
    /// The record, as it was asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub record: Option<String>,
    /// The file's id, as it was asked for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub file: Option<String>,
    /// The records whose contents stood on the page: stretches of numbers, or how many and the SHA-256 of their
    /// list.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub shown: Option<String>,
    /// SHA-256 of the content that was sent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub content: Option<String>,
    /// The person who was asked about.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub person: Option<String>,
    /// The query, as typed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub query: Option<String>,
    /// How many matches the query has.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hits: Option<u64>,
    /// The account, token or key that was changed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub subject: Option<String>,
    /// The role that it has now.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub granted: Option<String>,
    /// Whether it may take sets away now.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub may_export: Option<bool>,
    /// When it ends.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expires: Option<String>,
    /// The HTTP status of the answer.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub status: Option<u16>,
    /// The error of a refused call of the API.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<String>,
    /// What could be seen: see [`scope_note`]. Of a changed account or token, what it may see now.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub scope: Option<Value>,
}

/// A scope for an entry: `"all"`, the channels, or, for many, their number and the SHA-256 of their
/// ids in order, a line each: the entry that granted them lists them.
pub fn scope_note(scope: &Scope) -> Value {
    match scope {
        Scope::Channels(channels) if channels.len() > LISTED_CHANNELS => {
            let text: String = channels.iter().map(|id| format!("{id}\n")).collect();
            json!({"channels": channels.len(), "sha256": Digest::of(text.as_bytes()).to_string()})
        }
        scope => scope_list(scope),
    }
}

/// A scope for the entry that grants it: `"all"`, or every channel.
pub fn scope_list(scope: &Scope) -> Value {
    match scope {
        Scope::All => json!("all"),
        Scope::Channels(channels) => json!(channels.iter().map(ChannelId::as_str).collect::<Vec<_>>()),
    }
}

/// The line that is hashed and stored.
pub fn visit_line(part: &impl Serialize) -> String {
    serde_json::to_string(part).expect("an entry is plain data")
}

/// The leaf entry of a log entry from its two lines, under the key of its number.
pub fn visit_leaf(archive: &ArchiveId, key: &[u8; 32], header: &str, body: &str) -> LeafEntry {
    LeafEntry::new(archive, LEAF_KIND, key, header.as_bytes(), body.as_bytes(), &[])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::SpanSecret;
    use crate::model::RecordSeq;
    use crate::record::Kind;

    #[test]
    fn fields_stand_in_their_order_and_empty_ones_not_at_all() {
        let header =
            VisitHeader { number: 3, at: "2026-03-04T10:00:00Z".into(), action: Action::View, version: "1".into() };
        assert_eq!(visit_line(&header), r#"{"number":3,"at":"2026-03-04T10:00:00Z","action":"view","version":"1"}"#);
        let visit = Visit {
            user: Some("ada".into()),
            page: Some("search".into()),
            query: Some("\"x\"".into()),
            hits: Some(2),
            scope: Some(scope_note(&Scope::All)),
            ..Visit::default()
        };
        let line = visit_line(&visit);
        assert_eq!(line, r#"{"user":"ada","page":"search","query":"\"x\"","hits":2,"scope":"all"}"#);
        assert_eq!(serde_json::from_str::<Visit>(&line).unwrap(), visit);
    }

    #[test]
    fn many_channels_are_named_by_their_digest() {
        let of = |count: usize| {
            let ids = (0..count).filter_map(|n| ChannelId::parse(&format!("C{n}"))).collect();
            Scope::Channels(ids)
        };
        assert_eq!(scope_note(&of(2)), json!(["C0", "C1"]));
        assert_eq!(scope_note(&of(0)), json!([]));
        let many = scope_note(&of(33));
        assert_eq!(many["channels"], 33);
        assert_ne!(many["sha256"], scope_note(&of(34))["sha256"]);
        assert_eq!(scope_list(&of(33)).as_array().map(Vec::len), Some(33));
    }

    #[test]
    fn a_leaf_depends_on_both_lines_and_is_no_record() {
        let archive = ArchiveId([1; 16]);
        let key = SpanSecret([2; 32]).record_key(RecordSeq(0));
        let leaf = visit_leaf(&archive, &key, "h", "b").hash();
        assert_ne!(leaf, visit_leaf(&archive, &key, "h", "c").hash());
        assert_ne!(leaf, visit_leaf(&archive, &key, "i", "b").hash());
        assert!(Kind::from_number(LEAF_KIND).is_none());
    }
}
