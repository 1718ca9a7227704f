use std::borrow::Cow;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use super::tree::hash_leaf;
use crate::model::{Digest, RecordSeq};

/// The archive's own number, drawn at `init`; part of each leaf, so that a leaf proves nothing
/// about another archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ArchiveId(pub [u8; 16]);

impl std::fmt::Display for ArchiveId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Which part of a record a commitment is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    /// Our header line.
    Header,
    /// The bytes received.
    Body,
    /// The n-th attached content, by its SHA-256 (as 64 hexadecimal digits).
    Attachment(u8),
}

impl Label {
    /// The byte that stands for it in hashes: 0, 1, then 16 and up.
    pub fn byte(self) -> u8 {
        match self {
            Self::Header => 0,
            Self::Body => 1,
            Self::Attachment(n) => 16_u8.saturating_add(n),
        }
    }
}

/// The random secret of a span of 128 records, from which the salts of all their parts follow.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SpanSecret(pub [u8; 32]);

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

impl SpanSecret {
    /// The key of one record: HMAC-SHA-256 of its number under the span's secret.
    pub fn record_key(&self, seq: RecordSeq) -> [u8; 32] {
        hmac(&self.0, &seq.0.to_be_bytes())
    }
}

/// The salt of one part, from the record's key.
pub(super) fn salt(key: &[u8; 32], label: Label) -> [u8; 32] {
    hmac(key, &[label.byte()])
}

/// The hiding commitment to one part of a record: without the salt, nothing can be guessed
/// from it, not even a text as short as "yes".
pub(super) fn commit(label: Label, salt: &[u8; 32], bytes: &[u8]) -> Digest {
    let mut hash = Sha256::new();
    hash.update(b"teamchat-archive/commit/v1\n");
    hash.update([label.byte()]);
    hash.update(salt);
    hash.update((bytes.len() as u64).to_be_bytes());
    hash.update(bytes);
    Digest(hash.finalize().into())
}

/// The parts of a record in the order in which a leaf commits to them.
pub(super) fn parts<'a>(
    header: &'a [u8],
    body: &'a [u8],
    attachments: &'a [Digest],
) -> impl Iterator<Item = (Label, Cow<'a, [u8]>)> {
    let digests = attachments.iter().enumerate().map(|(n, digest)| {
        (Label::Attachment(u8::try_from(n).unwrap_or(u8::MAX)), Cow::Owned(digest.to_string().into_bytes()))
    });
    [(Label::Header, Cow::Borrowed(header)), (Label::Body, Cow::Borrowed(body))].into_iter().chain(digests)
}

/// What is fed to the tree for one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeafEntry(Vec<u8>);

impl LeafEntry {
    /// The entry of a record: kind, header line, body, and the SHA-256 of each attachment.
    pub fn new(
        archive: &ArchiveId,
        kind: u8,
        key: &[u8; 32],
        header: &[u8],
        body: &[u8],
        attachments: &[Digest],
    ) -> Self {
        let parts = parts(header, body, attachments);
        Self::of(archive, kind, parts.map(|(label, bytes)| (label, commit(label, &salt(key, label), &bytes))))
    }

    /// The entry that holds these commitments, in order of their labels: the one place that lays
    /// it out.
    pub(super) fn of(archive: &ArchiveId, kind: u8, commitments: impl Iterator<Item = (Label, Digest)>) -> Self {
        let mut entry = b"teamchat-archive/leaf/v1\n".to_vec();
        entry.extend_from_slice(&archive.0);
        entry.extend_from_slice(&[kind, 0]);
        let count_at = entry.len() - 1;
        let mut count = 0_u8;
        for (label, commitment) in commitments {
            entry.push(label.byte());
            entry.extend_from_slice(&commitment.0);
            count = count.checked_add(1).expect("a record has few attachments");
        }
        entry[count_at] = count;
        Self(entry)
    }

    /// The leaf hash.
    pub fn hash(&self) -> Digest {
        hash_leaf(&self.0)
    }

    /// The bytes, for a proof that someone else checks.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leaf_depends_on_each_of_its_parts() {
        let archive = ArchiveId([7; 16]);
        let secret = SpanSecret([9; 32]);
        let key = secret.record_key(RecordSeq(5));
        let of = |kind, header: &[u8], body: &[u8], attachments: &[Digest]| {
            LeafEntry::new(&archive, kind, &key, header, body, attachments).hash()
        };
        let base = of(1, b"h", b"b", &[]);
        assert_eq!(base, of(1, b"h", b"b", &[]));
        assert_ne!(base, of(2, b"h", b"b", &[]));
        assert_ne!(base, of(1, b"i", b"b", &[]));
        assert_ne!(base, of(1, b"h", b"c", &[]));
        assert_ne!(base, of(1, b"hb", b"", &[]));
        assert_ne!(base, of(1, b"h", b"b", &[Digest([0; 32])]));
        let other = secret.record_key(RecordSeq(6));
        assert_ne!(base, LeafEntry::new(&archive, 1, &other, b"h", b"b", &[]).hash());
    }
}
