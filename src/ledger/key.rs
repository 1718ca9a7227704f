use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::note::NoteError;
use crate::model::Digest;

/// The first bytes of the SHA-256 of name, algorithm and key: an address, not a proof.
pub(super) type KeyId = [u8; 4];

/// The id that C2SP signed-note recommends and that tlog-cosignature demands.
pub(super) fn key_id(name: &str, algorithm: u8, public: &[u8; 32]) -> KeyId {
    let mut bytes = name.as_bytes().to_vec();
    bytes.extend_from_slice(&[b'\n', algorithm]);
    bytes.extend_from_slice(public);
    let digest = Digest::of(&bytes);
    [digest.0[0], digest.0[1], digest.0[2], digest.0[3]]
}

/// Eight hexadecimal digits.
pub(super) fn hex8(id: KeyId) -> String {
    format!("{:08x}", u32::from_be_bytes(id))
}

/// Whether a key may be called so: not empty, no space of any script, no plus sign.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains('+') && !name.chars().any(char::is_whitespace)
}

/// Refuses what `is_name` does not accept.
pub(super) fn check_name(name: &str) -> Result<(), NoteError> {
    if is_name(name) { Ok(()) } else { Err(NoteError::BadKey("its name is empty or holds a space or a plus sign")) }
}

/// Splits `name+id+base64(algorithm || 32 bytes)`; the id is still to be compared.
pub(super) fn split_key(text: &str) -> Result<(&str, &str, u8, [u8; 32]), NoteError> {
    let mut parts = text.splitn(3, '+');
    let (Some(name), Some(id), Some(encoded)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(NoteError::BadKey("it does not have three parts"));
    };
    check_name(name)?;
    let bytes = BASE64.decode(encoded).map_err(|_| NoteError::BadKey("its last part is not base64"))?;
    let (algorithm, key) = bytes.split_first().ok_or(NoteError::BadKey("it is empty"))?;
    let key = key.try_into().map_err(|_| NoteError::BadKey("it is not 32 bytes"))?;
    Ok((name, id, *algorithm, key))
}

/// Whether 32 bytes are the one encoding of a point that RFC 8032 section 5.1.3 has: below the
/// sign bit a number below 2^255 - 19.
fn is_canonical(point: &[u8; 32]) -> bool {
    let is_high = point[31] & 0x7f == 0x7f && point[1..31].iter().all(|byte| *byte == 0xff);
    !(is_high && point[0] >= 0xed)
}

/// An Ed25519 public key with its name, for one algorithm of signed notes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PublicKey {
    pub(super) name: String,
    pub(super) algorithm: u8,
    pub(super) id: KeyId,
    point: ed25519_dalek::VerifyingKey,
}

impl PublicKey {
    /// The public half of a private key.
    pub(super) fn of(name: &str, algorithm: u8, key: &ed25519_dalek::SigningKey) -> Self {
        let point = key.verifying_key();
        Self { name: name.to_owned(), algorithm, id: key_id(name, algorithm, point.as_bytes()), point }
    }

    /// Parses the `vkey` form; the algorithm must be the one that is asked for.
    pub(super) fn parse(text: &str, algorithm: u8) -> Result<Self, NoteError> {
        let (name, id, found, public) = split_key(text.trim())?;
        if found != algorithm {
            return Err(NoteError::BadKey("it is for another algorithm"));
        }
        let expected = key_id(name, algorithm, &public);
        if hex8(expected) != id {
            return Err(NoteError::BadKey("its id does not match"));
        }
        if !is_canonical(&public) {
            return Err(NoteError::BadKey("its point is not written in the one way that RFC 8032 has"));
        }
        let point = ed25519_dalek::VerifyingKey::from_bytes(&public)
            .map_err(|_| NoteError::BadKey("it is no point of the curve"))?;
        // Under a key of small order anyone can make signatures.
        if point.is_weak() {
            return Err(NoteError::BadKey("its point is of small order, so that it proves nothing"));
        }
        Ok(Self { name: name.to_owned(), algorithm, id: expected, point })
    }

    /// The `vkey` form.
    pub(super) fn to_text(&self) -> String {
        let mut bytes = vec![self.algorithm];
        bytes.extend_from_slice(self.point.as_bytes());
        format!("{}+{}+{}", self.name, hex8(self.id), BASE64.encode(bytes))
    }

    /// `name+id`, as messages name a key.
    pub(super) fn short(&self) -> String {
        format!("{}+{}", self.name, hex8(self.id))
    }

    /// Whether `signature` is this key's over `message`. Strict (RFC 8032 with the checks that it
    /// leaves open): a scalar of the group's order or more, and points of small order, are refused.
    pub(super) fn accepts(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.point.verify_strict(message, &ed25519_dalek::Signature::from_bytes(signature)).is_ok()
    }
}
