use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::Signer as _;

use super::key::{KeyId, PublicKey, check_name, hex8, is_name, split_key};

/// Ed25519 over the text (C2SP signed-note).
pub(super) const ALGORITHM: u8 = 0x01;
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
    /// None of the signatures is by one of several keys.
    #[error("no signature is by a key that is known here")]
    NoneKnown,
    /// Two of the keys that are known have the name and the id of a signature, so that it cannot
    /// be told whose it is.
    #[error("two known keys are called {0}: name each key once")]
    Ambiguous(String),
    /// The text of a key does not parse.
    #[error("this is not a key: {0}")]
    BadKey(&'static str),
}

/// A private Ed25519 key with its name, in Go's form `PRIVATE+KEY+name+id+base64`.
pub struct SigningKey {
    public: PublicKey,
    key: ed25519_dalek::SigningKey,
}

impl SigningKey {
    /// From 32 random bytes.
    pub fn new(name: &str, seed: [u8; 32]) -> Result<Self, NoteError> {
        check_name(name)?;
        let key = ed25519_dalek::SigningKey::from_bytes(&seed);
        Ok(Self { public: PublicKey::of(name, ALGORITHM, &key), key })
    }

    /// Parses the private form.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let rest =
            text.trim().strip_prefix("PRIVATE+KEY+").ok_or(NoteError::BadKey("it does not begin with PRIVATE+KEY+"))?;
        let (name, id, algorithm, seed) = split_key(rest)?;
        if algorithm != ALGORITHM {
            return Err(NoteError::BadKey("it is for another algorithm"));
        }
        let key = Self::new(name, seed)?;
        if hex8(key.public.id) != id {
            return Err(NoteError::BadKey("its id does not match"));
        }
        Ok(key)
    }

    /// The private form. It is a secret.
    pub fn to_private_text(&self) -> String {
        let mut bytes = vec![ALGORITHM];
        bytes.extend_from_slice(&self.key.to_bytes());
        format!("PRIVATE+KEY+{}+{}", self.public.short(), BASE64.encode(bytes))
    }

    /// The public half.
    pub fn verifier(&self) -> VerifierKey {
        VerifierKey(self.public.clone())
    }

    /// A note of `text` (which ends in a newline) signed with this key.
    pub fn sign(&self, text: &str) -> Note {
        debug_assert!(text.ends_with('\n'), "a note's text ends in a newline");
        Note { text: text.to_owned(), signatures: vec![self.signature(text)] }
    }

    /// This key's signature over `text`, for a note that others have signed.
    pub fn signature(&self, text: &str) -> Signature {
        let bytes = self.key.sign(text.as_bytes()).to_bytes().to_vec();
        Signature { name: self.public.name.clone(), id: self.public.id, bytes }
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({})", self.public.short())
    }
}

/// A public Ed25519 key with its name: the `vkey` of C2SP signed-note, `name+id+base64`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey(pub(super) PublicKey);

impl VerifierKey {
    /// Parses the `vkey` form. A point of small order, or one that is not written as RFC 8032
    /// has it, is no key.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        PublicKey::parse(text, ALGORITHM).map(Self)
    }

    /// The `vkey` form.
    pub fn to_text(&self) -> String {
        self.0.to_text()
    }

    /// The name, which for a log is its origin.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Eight hexadecimal digits that name the key.
    pub fn id(&self) -> String {
        hex8(self.0.id)
    }

    /// Whether the bytes of a signature are this key's over `text`.
    pub(super) fn accepts(&self, text: &str, bytes: &[u8]) -> bool {
        bytes.try_into().is_ok_and(|signature| self.0.accepts(text.as_bytes(), signature))
    }
}

/// One signature of a note: whose it says it is, and bytes that only the key can judge.
///
/// `Display` prints its line without the newline: a dash, the name, base64 of id and bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    pub(super) name: String,
    pub(super) id: KeyId,
    pub(super) bytes: Vec<u8>,
}

impl Signature {
    /// Parses one line, without its newline.
    pub fn parse(line: &str) -> Result<Self, NoteError> {
        use NoteError::Malformed;
        let rest = line.strip_prefix("\u{2014} ").ok_or(Malformed("a signature line does not begin with a dash"))?;
        let (name, encoded) = rest.split_once(' ').ok_or(Malformed("a signature line has no signature"))?;
        let decoded = BASE64.decode(encoded).map_err(|_| Malformed("a signature is not base64"))?;
        let Some((id, bytes)) = decoded.split_first_chunk() else {
            return Err(Malformed("a signature line is incomplete"));
        };
        if !is_name(name) || bytes.is_empty() {
            return Err(Malformed("a signature line is incomplete"));
        }
        Ok(Self { name: name.to_owned(), id: *id, bytes: bytes.to_vec() })
    }

    /// Parses signature lines, each ended by a newline: what stands under the text of a note, and
    /// what a witness answers. There is one at least, and no more than a note may have.
    pub fn parse_lines(text: &str) -> Result<Vec<Self>, NoteError> {
        use NoteError::Malformed;
        if text.len() > MAX_BYTES {
            return Err(Malformed("its signatures are too long"));
        }
        if text.chars().any(|c| c < ' ' && c != '\n') {
            return Err(Malformed("its signatures hold a control character"));
        }
        let lines = text.strip_suffix('\n').ok_or(Malformed("its signatures do not end in a newline"))?;
        let mut found = Vec::new();
        for line in lines.split('\n') {
            if found.len() == MAX_SIGNATURES {
                return Err(Malformed("it has too many signatures"));
            }
            found.push(Self::parse(line)?);
        }
        Ok(found)
    }

    /// The name of the key that is said to have signed.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Eight hexadecimal digits: the id of the key that is said to have signed.
    pub fn id(&self) -> String {
        hex8(self.id)
    }

    /// What follows the id: for Ed25519 64 bytes, for a cosignature a time and 64 bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether it says that it is by this key.
    pub(super) fn is_by(&self, key: &PublicKey) -> bool {
        self.id == key.id && self.name == key.name
    }
}

impl std::fmt::Display for Signature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut bytes = self.id.to_vec();
        bytes.extend_from_slice(&self.bytes);
        write!(f, "\u{2014} {} {}", self.name, BASE64.encode(bytes))
    }
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
        let signatures = Signature::parse_lines(&all[split + 2..])?;
        Ok(Self { text: all[..=split].to_owned(), signatures })
    }

    /// The signed text, with its final newline.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signatures, in the order of their lines, not judged.
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// The signature lines alone, each ended by a newline: what `Signature::parse_lines` reads.
    pub fn signature_lines(&self) -> String {
        self.signatures.iter().map(|signature| format!("{signature}\n")).collect()
    }

    /// Adds a signature below the others, not judged; one by the same name and id gives way to
    /// it. Refused when the note has as many as it may have.
    pub fn add(&mut self, signature: Signature) -> Result<(), NoteError> {
        self.signatures.retain(|held| held.id != signature.id || held.name != signature.name);
        if self.signatures.len() == MAX_SIGNATURES {
            return Err(NoteError::Malformed("it has too many signatures"));
        }
        self.signatures.push(signature);
        Ok(())
    }

    /// Accepts the note when it is signed by `key`. A signature by that key that does not match
    /// refuses the note whole; signatures by others are passed over.
    pub fn verify(&self, key: &VerifierKey) -> Result<(), NoteError> {
        self.judge(&key.0, |bytes| key.accepts(&self.text, bytes).then_some(()))
    }

    /// What the first signature by `key` tells, once `judge` has accepted each that is by it.
    pub(super) fn judge<T>(&self, key: &PublicKey, judge: impl Fn(&[u8]) -> Option<T>) -> Result<T, NoteError> {
        let mut first = None;
        for signature in self.signatures.iter().filter(|signature| signature.is_by(key)) {
            let told = judge(&signature.bytes).ok_or_else(|| NoteError::BadSignature(key.name.clone()))?;
            first = first.or(Some(told));
        }
        first.ok_or_else(|| NoteError::Unsigned(key.short()))
    }
}

impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\n{}", self.text, self.signature_lines())
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
    fn mangled_keys_are_refused() {
        let public = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
        let private = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
        // The manglings of Go's note package: every part of the text, and every letter changed.
        for (text, is_key) in [
            (public, (|text| VerifierKey::parse(text).is_ok()) as fn(&str) -> bool),
            (private, |text| SigningKey::parse(text).is_ok()),
        ] {
            assert!(is_key(text));
            for start in 0..text.len() {
                for end in start..=text.len() {
                    assert!(end - start == text.len() || !is_key(&text[start..end]), "{}", &text[start..end]);
                }
                let mut changed = text.as_bytes().to_vec();
                changed[start] += 1;
                let changed = String::from_utf8(changed).unwrap();
                assert!(!is_key(&changed), "{changed}");
            }
        }
        for (text, why) in [
            // Go refuses this one for its length, since it reads base64 with bits left over.
            (
                "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
                "its last part is not base64",
            ),
            ("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWAAAA", "it is not 32 bytes"),
            ("PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", "it is for another algorithm"),
            ("PeterNeumann+c74f20a3+", "it is empty"),
        ] {
            assert_eq!(VerifierKey::parse(text), Err(NoteError::BadKey(why)), "{text}");
        }
        for name in ["", "a b", "a+b", "a\u{2003}b"] {
            assert!(SigningKey::new(name, [1; 32]).is_err(), "{name:?}");
        }
    }

    #[test]
    fn points_that_prove_nothing_are_no_keys() {
        let point = |low: u8, fill: u8, high: u8| {
            let mut bytes = [fill; 32];
            (bytes[0], bytes[31]) = (low, high);
            bytes
        };
        let eighth = |text: &str, sign: u8| {
            let mut bytes = [0; 32];
            (0..32).for_each(|i| bytes[i] = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap());
            bytes[31] ^= sign;
            bytes
        };
        // The points of order 1, 2, 4 and 8, and the second ways to write some of them.
        let small = [
            point(1, 0, 0),
            point(1, 0, 0x80),
            point(0xec, 0xff, 0x7f),
            point(0xec, 0xff, 0xff),
            point(0, 0, 0),
            point(0, 0, 0x80),
            eighth("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", 0),
            eighth("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", 0x80),
            eighth("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", 0),
            eighth("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", 0x80),
        ];
        let second_ways = (0xed..=0xff).flat_map(|low| [point(low, 0xff, 0x7f), point(low, 0xff, 0xff)]);
        let parsed = |public: &[u8; 32]| {
            let id = hex8(super::super::key::key_id("a", ALGORITHM, public));
            VerifierKey::parse(&format!("a+{id}+{}", BASE64.encode([&[ALGORITHM], public.as_slice()].concat())))
        };
        for public in small {
            let refused = parsed(&public);
            assert!(matches!(refused, Err(NoteError::BadKey(why)) if why.contains("small order")), "{refused:?}");
        }
        for public in second_ways {
            let refused = parsed(&public);
            assert!(matches!(refused, Err(NoteError::BadKey(why)) if why.contains("RFC 8032")), "{refused:?}");
        }
        let none = parsed(&point(2, 0, 0));
        assert_eq!(none, Err(NoteError::BadKey("it is no point of the curve")));
    }

    #[test]
    fn a_second_way_to_write_a_signature_is_refused() {
        let key = VerifierKey::parse(VKEY).unwrap();
        let mut note = Note::parse(NOTE.as_bytes()).unwrap();
        // The order of the group, added to the scalar: a verifier that reduces it would accept.
        let order = [
            0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0,
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
        ];
        let mut carry = 0;
        for (byte, add) in note.signatures[0].bytes[32..].iter_mut().zip(order) {
            let sum = u16::from(*byte) + add + carry;
            *byte = (sum & 0xff) as u8;
            carry = sum >> 8;
        }
        assert_eq!(carry, 0);
        assert_eq!(note.verify(&key), Err(NoteError::BadSignature("example.com/foo".to_owned())));
    }

    #[test]
    fn signatures_are_added_printed_and_read_back() {
        let (a, b) = (SigningKey::new("a", [1; 32]).unwrap(), SigningKey::new("b", [2; 32]).unwrap());
        let mut note = a.sign("text\n");
        note.add(b.signature("text\n")).unwrap();
        assert_eq!(note.verify(&a.verifier()).and(note.verify(&b.verifier())), Ok(()));
        assert_eq!(Note::parse(note.to_string().as_bytes()).as_ref(), Ok(&note));
        assert_eq!(Signature::parse_lines(&note.signature_lines()).as_deref(), Ok(note.signatures()));
        // A new signature by a key stands in the place of its old one, below the others.
        note.add(a.signature("other\n")).unwrap();
        let order: Vec<&str> = note.signatures().iter().map(Signature::name).collect();
        assert_eq!(order, ["b", "a"]);
        assert!(matches!(note.verify(&a.verifier()), Err(NoteError::BadSignature(_))));
        for n in 2..MAX_SIGNATURES {
            note.add(Signature { name: format!("n{n}"), ..b.signature("text\n") }).unwrap();
        }
        assert_eq!(note.add(Signature { name: "full".to_owned(), ..b.signature("text\n") }).ok(), None);
        note.add(b.signature("text\n")).unwrap();
        assert_eq!(note.signatures().len(), MAX_SIGNATURES);
    }

    #[test]
    fn odd_signature_lines_are_refused() {
        let line = SigningKey::new("a", [1; 32]).unwrap().signature("text\n").to_string();
        assert!(Signature::parse_lines(&format!("{line}\n")).is_ok());
        for bad in [
            String::new(),
            "\n".to_owned(),
            line.clone(),
            format!("{line}\n\n"),
            format!("\n{line}\n"),
            format!("{line}\r\n"),
            format!("{line} \n"),
            format!("{line}=\n"),
            line.replace("\u{2014} a", "\u{2014}  a") + "\n",
            line.replace("\u{2014} a", "\u{2014} a\u{a0}b") + "\n",
            line.replace('\u{2014}', "-") + "\n",
            // An id, and nothing that is signed.
            "\u{2014} a AAAAAA==\n".to_owned(),
            // Bits that the encoding leaves over.
            "\u{2014} a AAAAAAB=\n".to_owned(),
        ] {
            assert!(Signature::parse_lines(&bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_note_by_another_key_is_unsigned() {
        let other = SigningKey::new("example.com/bar", [1; 32]).unwrap();
        let note = Note::parse(NOTE.as_bytes()).unwrap();
        assert!(matches!(note.verify(&other.verifier()), Err(NoteError::Unsigned(_))));
    }
}
