use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The key of the records in which an archive says what it is.
pub const OWN: &str = "archive";

/// Why a key was followed by another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// It was there to sign with: its signature over what follows says that the other took over.
    Rotated,
    /// It was lost: nothing that it signed says anything of the other.
    Lost,
}

/// The key before the one that signs now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyBefore {
    /// Its public half.
    pub vkey: String,
    /// Why it was followed.
    pub reason: Reason,
    /// Until when it signs beside the new one (UTC, RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub overlap_until: Option<String>,
}

/// What an archive says of itself, as the body of a record. Its JSON has the fields in this order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnNote {
    /// The archive's id, 32 hexadecimal digits.
    pub id: String,
    /// The name of its log.
    pub origin: String,
    /// When it was made.
    pub created_at: String,
    /// The format that it was made in.
    pub format: i64,
    /// The server of its first source.
    pub server: String,
    /// The public half of the key that signs from this record on.
    pub vkey: String,
    /// The key before, in the record that tells of the change and in no later one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub previous: Option<KeyBefore>,
    /// SHA-256 of each text of the `about` table, by name.
    pub about: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
struct Wrapped<T> {
    archive: T,
}

impl OwnNote {
    /// The body of the record.
    pub fn to_body(&self) -> Vec<u8> {
        serde_json::to_vec(&Wrapped { archive: self }).expect("a note is plain data")
    }

    /// Reads such a body; what is wrong with one that is none.
    pub fn parse(body: &[u8]) -> Result<Self, String> {
        serde_json::from_slice::<Wrapped<Self>>(body).map(|wrapped| wrapped.archive).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_written_in_one_order_and_read_back() {
        let mut note = OwnNote {
            id: "ab".into(),
            origin: "o".into(),
            created_at: "c".into(),
            format: 4,
            server: "s".into(),
            vkey: "k".into(),
            previous: None,
            about: [("b".to_owned(), "2".to_owned()), ("a".to_owned(), "1".to_owned())].into(),
        };
        let text = String::from_utf8(note.to_body()).unwrap();
        let plain = r#"{"archive":{"id":"ab","origin":"o","created_at":"c","format":4,"server":"s","vkey":"k","about":{"a":"1","b":"2"}}}"#;
        assert_eq!(text, plain);
        note.previous = Some(KeyBefore { vkey: "j".into(), reason: Reason::Lost, overlap_until: None });
        let text = String::from_utf8(note.to_body()).unwrap();
        assert!(text.contains(r#""vkey":"k","previous":{"vkey":"j","reason":"lost"},"about""#), "{text}");
        assert_eq!(OwnNote::parse(text.as_bytes()), Ok(note));
        assert!(OwnNote::parse(b"{}").is_err());
    }
}
