use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::Signer as _;

use crate::model::Digest;

/// Ed25519 over the text (C2SP signed-note).
const ALGORITHM: u8 = 0x01;
/// More signatures than this are refused (C2SP signed-note asks for 16 at least).
const MAX_SIGNATURES: usize = 100;
/// Longer notes are refused.
const MAX_BYTES: usize = 1_000_000;

/// Why a note is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Not of the form that C2SP signed-note defines.
    #[error("this is not a signed note: {0}")]
    Malformed(&'static str),
    /// The key is known and its signature is wrong.
    #[error("the signature by {0} does not match the text")]
    BadSignature(String),
    /// No signature is by a key that is trusted here.
    #[error("no signature is by the key {0}")]
    Unsigned(String),
    /// The text of a key does not parse.
    #[error("this is not a key: {0}")]
    BadKey(&'static str),
}

fn key_id(name: &str, algorithm: u8, public: &[u8]) -> [u8; 4] {
    let mut bytes = name.as_bytes().to_vec();
    bytes.extend_from_slice(&[b'\n', algorithm]);
    bytes.extend_from_slice(public);
    let digest = Digest::of(&bytes);
    [digest.0[0], digest.0[1], digest.0[2], digest.0[3]]
}

fn hex8(id: [u8; 4]) -> String {
    format!("{:08x}", u32::from_be_bytes(id))
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains('+') && !name.chars().any(char::is_whitespace)
}

/// A private Ed25519 key with its name, in Go's form `PRIVATE+KEY+name+id+base64`.
pub struct SigningKey {
    name: String,
    id: [u8; 4],
    key: ed25519_dalek::SigningKey,
}

impl SigningKey {
    /// From 32 random bytes.
    pub fn new(name: &str, seed: [u8; 32]) -> Result<Self, NoteError> {
        if !is_name(name) {
            return Err(NoteError::BadKey("its name is empty or holds a space or a plus sign"));
        }
        let key = ed25519_dalek::SigningKey::from_bytes(&seed);
        let id = key_id(name, ALGORITHM, key.verifying_key().as_bytes());
        Ok(Self { name: name.to_owned(), id, key })
    }

    /// Parses the private form.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let rest =
            text.trim().strip_prefix("PRIVATE+KEY+").ok_or(NoteError::BadKey("it does not begin with PRIVATE+KEY+"))?;
        let (name, id, bytes) = split_key(rest)?;
        let seed: [u8; 32] = bytes.try_into().map_err(|_| NoteError::BadKey("it is not 32 bytes"))?;
        let key = Self::new(name, seed)?;
        if hex8(key.id) != id {
            return Err(NoteError::BadKey("its id does not match"));
        }
        Ok(key)
    }

    /// The private form. It is a secret.
    pub fn to_private_text(&self) -> String {
        let mut bytes = vec![ALGORITHM];
        bytes.extend_from_slice(&self.key.to_bytes());
        format!("PRIVATE+KEY+{}+{}+{}", self.name, hex8(self.id), BASE64.encode(bytes))
    }

    /// The public half.
    pub fn verifier(&self) -> VerifierKey {
        VerifierKey { name: self.name.clone(), id: self.id, key: self.key.verifying_key() }
    }

    /// A note of `text` (which ends in a newline) signed with this key.
    pub fn sign(&self, text: &str) -> Note {
        debug_assert!(text.ends_with('\n'), "a note's text ends in a newline");
        let signature = self.key.sign(text.as_bytes()).to_bytes().to_vec();
        Note {
            text: text.to_owned(),
            signatures: vec![Signature { name: self.name.clone(), id: self.id, bytes: signature }],
        }
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({}+{})", self.name, hex8(self.id))
    }
}

fn split_key(rest: &str) -> Result<(&str, &str, Vec<u8>), NoteError> {
    let mut parts = rest.splitn(3, '+');
    let (Some(name), Some(id), Some(encoded)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(NoteError::BadKey("it does not have three parts"));
    };
    let bytes = BASE64.decode(encoded).map_err(|_| NoteError::BadKey("its last part is not base64"))?;
    match bytes.split_first() {
        Some((&ALGORITHM, key)) => Ok((name, id, key.to_vec())),
        _ => Err(NoteError::BadKey("it is not an Ed25519 key")),
    }
}

/// A public Ed25519 key with its name: the `vkey` of C2SP signed-note, `name+id+base64`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    id: [u8; 4],
    key: ed25519_dalek::VerifyingKey,
}

impl VerifierKey {
    /// Parses the `vkey` form.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let (name, id, bytes) = split_key(text.trim())?;
        if !is_name(name) {
            return Err(NoteError::BadKey("its name is empty or holds a space or a plus sign"));
        }
        let public: [u8; 32] = bytes.try_into().map_err(|_| NoteError::BadKey("it is not 32 bytes"))?;
        let found = key_id(name, ALGORITHM, &public);
        if hex8(found) != id {
            return Err(NoteError::BadKey("its id does not match"));
        }
        let key = ed25519_dalek::VerifyingKey::from_bytes(&public)
            .map_err(|_| NoteError::BadKey("it is no point of the curve"))?;
        Ok(Self { name: name.to_owned(), id: found, key })
    }

    /// The `vkey` form.
    pub fn to_text(&self) -> String {
        let mut bytes = vec![ALGORITHM];
        bytes.extend_from_slice(self.key.as_bytes());
        format!("{}+{}+{}", self.name, hex8(self.id), BASE64.encode(bytes))
    }

    /// The name, which for a log is its origin.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Eight hexadecimal digits that name the key.
    pub fn id(&self) -> String {
        hex8(self.id)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Signature {
    name: String,
    id: [u8; 4],
    bytes: Vec<u8>,
}

/// A signed note (C2SP signed-note): a text and signatures over it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<Signature>,
}

impl Note {
    /// Parses a note without judging its signatures.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        use NoteError::Malformed;
        if bytes.len() > MAX_BYTES {
            return Err(Malformed("it is too long"));
        }
        let all = std::str::from_utf8(bytes).map_err(|_| Malformed("it is not UTF-8"))?;
        if all.chars().any(|c| c < ' ' && c != '\n') {
            return Err(Malformed("it holds a control character"));
        }
        let split = all.rfind("\n\n").ok_or(Malformed("it has no signatures"))?;
        let (text, signatures) = (&all[..=split], &all[split + 2..]);
        if signatures.is_empty() || !signatures.ends_with('\n') {
            return Err(Malformed("its signatures do not end in a newline"));
        }
        let mut found = Vec::new();
        for line in signatures.trim_end_matches('\n').split('\n') {
            let rest =
                line.strip_prefix("\u{2014} ").ok_or(Malformed("a signature line does not begin with a dash"))?;
            let (name, encoded) = rest.split_once(' ').ok_or(Malformed("a signature line has no signature"))?;
            let decoded = BASE64.decode(encoded).map_err(|_| Malformed("a signature is not base64"))?;
            if !is_name(name) || decoded.len() < 5 {
                return Err(Malformed("a signature line is incomplete"));
            }
            let id = [decoded[0], decoded[1], decoded[2], decoded[3]];
            found.push(Signature { name: name.to_owned(), id, bytes: decoded[4..].to_vec() });
            if found.len() > MAX_SIGNATURES {
                return Err(Malformed("it has too many signatures"));
            }
        }
        Ok(Self { text: text.to_owned(), signatures: found })
    }

    /// The signed text, with its final newline.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Accepts the note when it is signed by `key`. A signature by that key that does not match
    /// refuses the note whole; signatures by others are passed over.
    pub fn verify(&self, key: &VerifierKey) -> Result<(), NoteError> {
        let mut signed = false;
        for signature in self.signatures.iter().filter(|s| s.id == key.id && s.name == key.name) {
            let bad = || NoteError::BadSignature(key.name.clone());
            let bytes: [u8; 64] = signature.bytes.as_slice().try_into().map_err(|_| bad())?;
            let given = ed25519_dalek::Signature::from_bytes(&bytes);
            key.key.verify_strict(self.text.as_bytes(), &given).map_err(|_| bad())?;
            signed = true;
        }
        if signed { Ok(()) } else { Err(NoteError::Unsigned(format!("{}+{}", key.name, key.id()))) }
    }
}

impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}", self.text)?;
        for signature in &self.signatures {
            let mut bytes = signature.id.to_vec();
            bytes.extend_from_slice(&signature.bytes);
            writeln!(f, "\u{2014} {} {}", signature.name, BASE64.encode(bytes))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VKEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
    const NOTE: &str = "This is an example message.\n\n\u{2014} example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";

    #[test]
    fn the_published_example_verifies_and_a_changed_one_does_not() {
        let key = VerifierKey::parse(VKEY).unwrap();
        assert_eq!(key.to_text(), VKEY);
        let note = Note::parse(NOTE.as_bytes()).unwrap();
        assert_eq!(note.verify(&key), Ok(()));
        assert_eq!(note.to_string(), NOTE);
        let changed = NOTE.replace("example message", "Example message");
        assert!(matches!(Note::parse(changed.as_bytes()).unwrap().verify(&key), Err(NoteError::BadSignature(_))));
    }

    #[test]
    fn the_published_private_key_signs_byte_for_byte() {
        let key = SigningKey::parse("PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")
            .unwrap();
        assert_eq!(key.verifier().to_text(), "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW");
        let text =
            "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
        let signed = key.sign(text).to_string();
        assert!(signed.ends_with("\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"));
        assert!(!format!("{key:?}").contains("AYEK"));
    }

    #[test]
    fn malformed_notes_are_refused() {
        for bad in [
            "no signatures\n",
            "text\n\n",
            "text\n\n\u{2014} name\n",
            "text\n\n\u{2014} name AAAA\n",
            "text\n\n- name AAAAAAAA\n",
            "te\u{1}xt\n\n\u{2014} name AAAAAAAA\n",
            "text\n\n\u{2014} name AAAAAAAA",
        ] {
            assert!(Note::parse(bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert!(Note::parse(b"\xff\n\n").is_err());
    }

    #[test]
    fn a_note_by_another_key_is_unsigned() {
        let other = SigningKey::new("example.com/bar", [1; 32]).unwrap();
        let note = Note::parse(NOTE.as_bytes()).unwrap();
        assert!(matches!(note.verify(&other.verifier()), Err(NoteError::Unsigned(_))));
    }
}
