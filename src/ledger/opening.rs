use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use super::commitment::{ArchiveId, Label, LeafEntry, commit, parts, salt};
use crate::model::Digest;

/// Longer openings are refused: no record comes near it.
const MAX_BYTES: usize = 64 << 20;

/// Why a text is not the opening of a leaf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpeningError {
    /// It is longer than any record.
    #[error("the opening of the leaf is too long, {0} bytes")]
    TooLong(usize),
    /// It is not JSON of that shape, or a part of it is not what it must be.
    #[error("this does not open a leaf: {0}")]
    Malformed(&'static str),
    /// It says what an opening says, in another spelling.
    #[error("the opening of the leaf is not spelled as an archive spells it")]
    NotCanonical,
}

/// One part of a record, as far as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Shown: its salt and its bytes, from which the commitment follows.
    Open {
        /// What hides the bytes in the leaf.
        salt: [u8; 32],
        /// The header line, the body, or the SHA-256 of an attachment as 64 hexadecimal digits.
        bytes: Vec<u8>,
    },
    /// Withheld: the commitment alone, which tells nothing of the bytes.
    Redacted(Digest),
}

/// What opens a leaf: the archive, the kind, and each part with its salt, or its commitment alone.
///
/// From it anyone computes the leaf entry (`entry`), and so the leaf's hash. It proves nothing by
/// itself: the audit path and the signed checkpoint do. Its text is one line of JSON with one
/// spelling only (fields in this order, no blanks, base64 with padding):
/// `{"archive":"<32 hex>","kind":1,"parts":[{"label":0,"salt":"…","bytes":"…"},{"label":1,"commitment":"…"}]}`.
/// Labels are those of [`Label::byte`], each once, without a gap, from the header up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    archive: ArchiveId,
    kind: u8,
    parts: Vec<(Label, Part)>,
}

/// The line of JSON. The order of the fields is the order in the text.
#[derive(Serialize, Deserialize)]
struct Line {
    archive: String,
    kind: u8,
    parts: Vec<PartOfLine>,
}

#[derive(Serialize, Deserialize)]
struct PartOfLine {
    label: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    salt: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    commitment: Option<String>,
}

/// The label of the part that stands at that place; `None` past the last one there can be.
fn label_at(place: usize) -> Option<Label> {
    let label = match place {
        0 => Label::Header,
        1 => Label::Body,
        _ => Label::Attachment(u8::try_from(place - 2).ok().filter(|n| *n <= u8::MAX - 16)?),
    };
    Some(label)
}

fn decode(text: &str) -> Result<Vec<u8>, OpeningError> {
    BASE64.decode(text).map_err(|_| OpeningError::Malformed("a part is not base64"))
}

fn decode_32(text: &str) -> Result<[u8; 32], OpeningError> {
    decode(text)?.try_into().map_err(|_| OpeningError::Malformed("a salt or a commitment is not 32 bytes"))
}

fn decode_archive(text: &str) -> Result<ArchiveId, OpeningError> {
    let number = u128::from_str_radix(text, 16).ok().filter(|_| text.len() == 32);
    let number = number.ok_or(OpeningError::Malformed("the archive's id is not 32 hexadecimal digits"))?;
    Ok(ArchiveId(number.to_be_bytes()))
}

impl Opening {
    /// Opens the leaf of a record whole: the same parts as for [`LeafEntry::new`].
    pub fn new(
        archive: &ArchiveId,
        kind: u8,
        key: &[u8; 32],
        header: &[u8],
        body: &[u8],
        attachments: &[Digest],
    ) -> Self {
        let parts = parts(header, body, attachments)
            .map(|(label, bytes)| (label, Part::Open { salt: salt(key, label), bytes: bytes.into_owned() }))
            .collect();
        Self { archive: *archive, kind, parts }
    }

    /// Withholds a part: its commitment stays, so that the leaf stays what it is. Whether there is
    /// such a part.
    pub fn redact(&mut self, label: Label) -> bool {
        let Some((label, part)) = self.parts.iter_mut().find(|(at, _)| *at == label) else { return false };
        if let Part::Open { salt, bytes } = part {
            *part = Part::Redacted(commit(*label, salt, bytes));
        }
        true
    }

    /// Reads the line of JSON, in its one spelling.
    pub fn parse(line: &[u8]) -> Result<Self, OpeningError> {
        use OpeningError::Malformed;
        if line.len() > MAX_BYTES {
            return Err(OpeningError::TooLong(line.len()));
        }
        let given: Line =
            serde_json::from_slice(line).map_err(|_| Malformed("it is not JSON with archive, kind and parts"))?;
        if given.parts.len() < 2 {
            return Err(Malformed("a record has a header and a body"));
        }
        let mut parts = Vec::with_capacity(given.parts.len());
        for (place, part) in given.parts.into_iter().enumerate() {
            let label = label_at(place).filter(|label| label.byte() == part.label);
            let label = label.ok_or(Malformed("its labels are not 0, 1, 16, 17 and so on"))?;
            let part = match (part.salt, part.bytes, part.commitment) {
                (Some(salt), Some(bytes), None) => Part::Open { salt: decode_32(&salt)?, bytes: decode(&bytes)? },
                (None, None, Some(commitment)) => Part::Redacted(Digest(decode_32(&commitment)?)),
                _ => return Err(Malformed("a part has salt and bytes, or a commitment")),
            };
            parts.push((label, part));
        }
        let opening = Self { archive: decode_archive(&given.archive)?, kind: given.kind, parts };
        // One spelling for each opening: what was changed in any byte is another one, or none.
        if opening.to_line().as_bytes() == line { Ok(opening) } else { Err(OpeningError::NotCanonical) }
    }

    /// The line of JSON, without a newline.
    pub fn to_line(&self) -> String {
        let parts = self.parts.iter().map(|(label, part)| {
            let (salt, bytes, commitment) = match part {
                Part::Open { salt, bytes } => (Some(BASE64.encode(salt)), Some(BASE64.encode(bytes)), None),
                Part::Redacted(commitment) => (None, None, Some(BASE64.encode(commitment.0))),
            };
            PartOfLine { label: label.byte(), salt, bytes, commitment }
        });
        let line = Line { archive: self.archive.to_string(), kind: self.kind, parts: parts.collect() };
        serde_json::to_string(&line).expect("an opening is plain data")
    }

    /// The leaf entry that follows from it.
    pub fn entry(&self) -> LeafEntry {
        let commitments = self.parts.iter().map(|(label, part)| match part {
            Part::Open { salt, bytes } => (*label, commit(*label, salt, bytes)),
            Part::Redacted(commitment) => (*label, *commitment),
        });
        LeafEntry::of(&self.archive, self.kind, commitments)
    }

    /// The archive in which the record is.
    pub fn archive(&self) -> ArchiveId {
        self.archive
    }

    /// The number of the record's kind.
    pub fn kind(&self) -> u8 {
        self.kind
    }

    /// The parts, in order of their labels.
    pub fn parts(&self) -> &[(Label, Part)] {
        &self.parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARCHIVE: ArchiveId = ArchiveId([0x0a; 16]);
    const KEY: [u8; 32] = [5; 32];
    const HEADER: &[u8] = b"{\"kind\":\"message\"}";
    const BODY: &[u8] = b"{\"text\":\"yes\"}";

    fn attachments() -> [Digest; 2] {
        [Digest::of(b"one"), Digest::of(b"two")]
    }

    fn whole() -> Opening {
        Opening::new(&ARCHIVE, 1, &KEY, HEADER, BODY, &attachments())
    }

    fn entry() -> LeafEntry {
        LeafEntry::new(&ARCHIVE, 1, &KEY, HEADER, BODY, &attachments())
    }

    /// Every way to withhold some of the four parts.
    fn redactions() -> impl Iterator<Item = Opening> {
        (0..16_u8).map(|withheld| {
            let mut opening = whole();
            for place in (0..4).filter(|place| withheld >> place & 1 == 1) {
                assert!(opening.redact(label_at(place).unwrap()));
            }
            opening
        })
    }

    #[test]
    fn what_is_opened_is_the_leaf_that_was_hashed_whatever_is_withheld() {
        for opening in redactions() {
            assert_eq!(opening.entry(), entry());
            assert_eq!(Opening::parse(opening.to_line().as_bytes()), Ok(opening));
        }
        assert!(!whole().redact(Label::Attachment(2)));
        let bare = Opening::new(&ARCHIVE, 16, &KEY, b"", b"", &[]);
        assert_eq!(bare.entry(), LeafEntry::new(&ARCHIVE, 16, &KEY, b"", b"", &[]));
    }

    #[test]
    fn its_line_is_the_one_that_is_written_down() {
        let mut opening = Opening::new(&ARCHIVE, 1, &KEY, b"h", b"b", &[]);
        opening.redact(Label::Body);
        let Part::Redacted(commitment) = &opening.parts()[1].1 else { panic!("the body is withheld") };
        let salt = BASE64.encode(salt(&KEY, Label::Header));
        let commitment = BASE64.encode(commitment.0);
        let parts = format!(
            "{{\"label\":0,\"salt\":\"{salt}\",\"bytes\":\"aA==\"}},{{\"label\":1,\"commitment\":\"{commitment}\"}}"
        );
        let archive = "0a".repeat(16);
        assert_eq!(opening.to_line(), format!("{{\"archive\":\"{archive}\",\"kind\":1,\"parts\":[{parts}]}}"));
    }

    #[test]
    fn a_change_of_any_byte_that_counts_gives_another_leaf() {
        let mut others = 0;
        for opening in redactions() {
            for place in 0..4 {
                let length = match &opening.parts[place].1 {
                    Part::Open { salt, bytes } => salt.len() + bytes.len(),
                    Part::Redacted(commitment) => commitment.0.len(),
                };
                for at in 0..length {
                    let mut changed = opening.clone();
                    let byte = match &mut changed.parts[place].1 {
                        Part::Open { salt, bytes } => salt.iter_mut().chain(bytes).nth(at),
                        Part::Redacted(commitment) => commitment.0.get_mut(at),
                    };
                    *byte.unwrap() ^= 1;
                    assert_ne!(changed.entry(), entry());
                    others += 1;
                }
            }
        }
        assert!(others > 2000, "{others}");
        let other_kind = Opening::new(&ARCHIVE, 2, &KEY, HEADER, BODY, &attachments());
        let other_archive = Opening::new(&ArchiveId([0x0b; 16]), 1, &KEY, HEADER, BODY, &attachments());
        assert_ne!(other_kind.entry(), entry());
        assert_ne!(other_archive.entry(), entry());
    }

    #[test]
    fn a_change_of_any_byte_of_its_line_is_refused_or_gives_another_leaf() {
        let mut opening = whole();
        opening.redact(Label::Attachment(1));
        let line = opening.to_line().into_bytes();
        let mut refused = 0;
        for at in 0..line.len() {
            for flip in [1, 4, 0x20, 0x80] {
                let mut changed = line.clone();
                changed[at] ^= flip;
                match Opening::parse(&changed) {
                    Ok(parsed) => assert_ne!(parsed.entry(), entry(), "byte {at}, flip {flip}"),
                    Err(_) => refused += 1,
                }
            }
        }
        assert!(refused > 0);
    }

    #[test]
    fn other_spellings_and_odd_shapes_are_refused() {
        use OpeningError::{Malformed, NotCanonical, TooLong};
        let line = whole().to_line();
        let spelled = |from: &str, to: &str| {
            assert!(line.contains(from), "{from}");
            Opening::parse(line.replacen(from, to, 1).as_bytes())
        };
        assert_eq!(spelled("\"kind\":1", "\"kind\": 1"), Err(NotCanonical));
        assert_eq!(spelled("\"kind\":1", "\"kind\":1,\"more\":0"), Err(NotCanonical));
        assert_eq!(spelled("0a0a", "0A0a"), Err(NotCanonical));
        assert_eq!(spelled("0a0a", "+a0a"), Err(NotCanonical));
        for (from, to) in [
            ("\"kind\":1", "\"kind\":256"),
            ("\"kind\":1", "\"kind\":1,\"kind\":1"),
            ("\"label\":0", "\"label\":1"),
            ("\"label\":17", "\"label\":18"),
            ("\"salt\":\"", "\"salt\":\"AAAA"),
            ("\"salt\":\"", "\"salt\":\"?"),
            ("\"salt\"", "\"commitment\""),
            ("0a0a", "0a"),
        ] {
            assert!(matches!(spelled(from, to), Err(Malformed(_))), "{from} to {to}");
        }
        let one = "{\"archive\":\"0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a\",\"kind\":1,\"parts\":[]}";
        assert!(matches!(Opening::parse(one.as_bytes()), Err(Malformed(_))));
        assert_eq!(Opening::parse(&vec![b' '; MAX_BYTES + 1]), Err(TooLong(MAX_BYTES + 1)));
    }
}
