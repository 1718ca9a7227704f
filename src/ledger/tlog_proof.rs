use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::checkpoint::Checkpoint;
use super::known::{KnownKey, Verified};
use super::note::{Note, NoteError};
use super::proof::{ProofError, verify_inclusion};
use super::tree::hash_leaf;
use crate::model::Digest;

/// Which format, and which version of it.
const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";
/// A tree of 2^64 leaves is no deeper.
const MAX_PATH: usize = 64;
/// Longer proofs are not read: the extra line holds one record at most, everything else is small.
const MAX_BYTES: usize = 64 << 20;

/// Why a proof is not accepted: which of its steps failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlogProofError {
    /// It is not of the form that C2SP tlog-proof defines.
    #[error("line {line} of the proof can't be read: {what}")]
    Malformed {
        /// Counted from 1.
        line: usize,
        /// What it should have been.
        what: &'static str,
    },
    /// Its checkpoint is no checkpoint, or none of the known keys stands by it.
    #[error("the checkpoint in the proof can't be trusted: {0}")]
    Checkpoint(NoteError),
    /// Its checkpoint is signed by keys that are known, but none of them is a key of its log.
    #[error("the checkpoint in the proof is not signed by a known key of its log {origin}")]
    OtherLog {
        /// The log that the checkpoint names.
        origin: String,
    },
    /// The entry is not the leaf that the proof is for.
    #[error("the entry is not leaf {index} of the {size} under the checkpoint: {error}")]
    Inclusion {
        /// Leaf index.
        index: u64,
        /// Leaves in the tree.
        size: u64,
        /// What is wrong with the path.
        error: ProofError,
    },
}

/// What a proof that holds has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proved<'a> {
    /// The entry is a leaf of this tree.
    pub checkpoint: Checkpoint,
    /// Which of the known keys stand by the checkpoint; a key of its log is among them.
    pub signers: Vec<Verified<'a>>,
}

/// An inclusion proof that stands alone (C2SP tlog-proof): with the leaf entry and the log's key,
/// anyone can check it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlogProof {
    /// Leaf index.
    pub index: u64,
    /// Audit path, leaf's sibling first.
    pub path: Vec<Digest>,
    /// What opens the leaf (unauthenticated by itself): carried in the `extra` line.
    pub extra: Option<Vec<u8>>,
    /// The signed checkpoint, verbatim.
    pub checkpoint: String,
}

impl TlogProof {
    /// The text form.
    pub fn to_text(&self) -> String {
        let mut out = format!("{FIRST_LINE}\n");
        if let Some(extra) = &self.extra {
            writeln!(out, "extra {}", BASE64.encode(extra)).expect("a String takes all");
        }
        writeln!(out, "index {}", self.index).expect("a String takes all");
        for hash in &self.path {
            writeln!(out, "{}", BASE64.encode(hash.0)).expect("a String takes all");
        }
        out.push('\n');
        out.push_str(&self.checkpoint);
        out
    }

    /// Reads the text form, all of it: `to_text` of the result gives the same bytes. The
    /// checkpoint is one, but who signed it is not judged, nor whether the path leads to it.
    pub fn parse(bytes: &[u8]) -> Result<Self, TlogProofError> {
        let malformed = |line: usize, what: &'static str| TlogProofError::Malformed { line, what };
        if bytes.len() > MAX_BYTES {
            return Err(malformed(1, "the proof is longer than 64 MiB"));
        }
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let whole = &bytes[..error.valid_up_to()];
            malformed(whole.split(|byte| *byte == b'\n').count(), "it is not UTF-8")
        })?;
        let mut rest = text;
        let mut number = 0;
        let mut next_line = || {
            let (line, after) = rest.split_once('\n')?;
            (rest, number) = (after, number + 1);
            Some((number, line))
        };
        let ended = || malformed(text.matches('\n').count() + 1, "the proof ends here");

        let (number, line) = next_line().ok_or_else(ended)?;
        if line != FIRST_LINE {
            return Err(malformed(number, "a proof begins with `c2sp.org/tlog-proof@v1`"));
        }
        let (mut number, mut line) = next_line().ok_or_else(ended)?;
        let mut extra = None;
        if let Some(encoded) = line.strip_prefix("extra ") {
            extra = Some(BASE64.decode(encoded).map_err(|_| malformed(number, "`extra` is not base64"))?);
            (number, line) = next_line().ok_or_else(ended)?;
        }
        let digits = line.strip_prefix("index ").ok_or(malformed(number, "it is not `index` and a number"))?;
        let index: u64 = digits.parse().map_err(|_| malformed(number, "the index is not a number"))?;
        if index.to_string() != digits {
            return Err(malformed(number, "the index is not a plain number"));
        }
        let mut path = Vec::new();
        loop {
            let (number, line) = next_line().ok_or_else(ended)?;
            if line.is_empty() {
                break;
            }
            if path.len() == MAX_PATH {
                return Err(malformed(number, "no tree is so deep"));
            }
            let hash = BASE64.decode(line).ok().and_then(|bytes| Digest::from_slice(&bytes));
            path.push(hash.ok_or(malformed(number, "a hash is 32 bytes in base64"))?);
        }
        let note = Note::parse(rest.as_bytes()).map_err(TlogProofError::Checkpoint)?;
        Checkpoint::parse(note.text()).map_err(TlogProofError::Checkpoint)?;
        Ok(Self { index, path, extra, checkpoint: rest.to_owned() })
    }

    /// Checks that `entry` (what is hashed, not its hash) is in the log: first that the checkpoint
    /// is signed by a known key that is called as its log is, and that no known key's signature on
    /// it is wrong; then that the path leads from the entry to its root. Whether enough cosigners
    /// stand by it is the caller's to say.
    ///
    /// Index, path, origin, size and root are covered by this. The `extra` line is not: it is
    /// what the sender says.
    pub fn check<'a>(&self, entry: &[u8], known: &'a [KnownKey]) -> Result<Proved<'a>, TlogProofError> {
        let note = Note::parse(self.checkpoint.as_bytes()).map_err(TlogProofError::Checkpoint)?;
        let checkpoint = Checkpoint::parse(note.text()).map_err(TlogProofError::Checkpoint)?;
        let signers = note.verify_known(known).map_err(TlogProofError::Checkpoint)?;
        let is_by_log = |signer: &Verified<'_>| matches!(signer, Verified::Log(key) if key.name() == checkpoint.origin);
        if !signers.iter().any(is_by_log) {
            return Err(TlogProofError::OtherLog { origin: checkpoint.origin });
        }
        let (index, size) = (self.index, checkpoint.size);
        verify_inclusion(index, size, &hash_leaf(entry), &self.path, &checkpoint.root)
            .map_err(|error| TlogProofError::Inclusion { index, size, error })?;
        Ok(Proved { checkpoint, signers })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::note::SigningKey;
    use super::*;

    /// Made with other software; Go's x/mod note and tlog packages accept log signature and path.
    const PROOF: &str = "c2sp.org/tlog-proof@v1\nindex 5\nvBoGQ7EuTS18d5GPROD095qDi2z57FtcKD4fTYhZnms=\nyoVOoSjtBQtBs1/8G4e46yveRh6eO1WW7Oa51ZdaCuA=\n037kGJdt2VdTwcc4Yrk5j6Kiz5tP8P3+izDNlSCWFLc=\n\narchive.example/t1\n8\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=\n\n\u{2014} archive.example/t1 Vy9o88ZcRs6oAJq2vGoIn1rPvmW2lAKli3PR9nqYCsQ4Hk0U4NrlQFnCSLLPtsuIs955wtasP1YVteaCAozevwdQnAg=\n\u{2014} witness.example/w1 IDJKvgAAAABlU/EAxiUhMDE4/LX8C0u7wF2bZctAXyPnXVU1/I5QH2AtjjQZPF3CEFqn4nMDD5arS6UFa4NzFGVvaUj61CTS5OkiDw==\n";
    const ENTRY: [u8; 4] = [0x40, 0x41, 0x42, 0x43];

    fn known() -> [KnownKey; 2] {
        [
            "archive.example/t1+572f68f3+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4",
            "witness.example/w1+20324abe+BCmsuuFBvMrwsi4alNNNC8c2HlJtC/4SyJeUvJMilm3X",
        ]
        .map(|text| KnownKey::parse(text).unwrap())
    }

    #[test]
    fn the_fixed_proof_holds_with_its_cosignature() {
        let proof = TlogProof::parse(PROOF.as_bytes()).unwrap();
        assert_eq!(proof.to_text(), PROOF);
        let known = known();
        let proved = proof.check(&ENTRY, &known).unwrap();
        assert_eq!((proved.checkpoint.origin.as_str(), proved.checkpoint.size), ("archive.example/t1", 8));
        let [KnownKey::Log(log), KnownKey::Cosigner(witness)] = &known else { unreachable!() };
        let cosigned = Verified::Cosigner { key: witness, time_s: 1_700_000_000 };
        assert_eq!(proved.signers, [Verified::Log(log), cosigned]);
    }

    #[test]
    fn each_step_that_fails_is_named() {
        let proof = TlogProof::parse(PROOF.as_bytes()).unwrap();
        let known = known();
        let wrong_root = |error| Err(TlogProofError::Inclusion { index: 5, size: 8, error });
        assert_eq!(proof.check(b"another entry", &known), wrong_root(ProofError::WrongRoot));
        let shorter = TlogProof { path: proof.path[..2].to_vec(), ..proof.clone() };
        assert_eq!(shorter.check(&ENTRY, &known), wrong_root(ProofError::WrongLength));
        let beyond = TlogProof { index: 8, ..proof.clone() };
        let refused = beyond.check(&ENTRY, &known).unwrap_err();
        assert_eq!(refused, TlogProofError::Inclusion { index: 8, size: 8, error: ProofError::OutOfRange });
        assert_eq!(proof.check(&ENTRY, &[]), Err(TlogProofError::Checkpoint(NoteError::NoneKnown)));
        // A witness alone says nothing of who keeps the log.
        let other_log = TlogProofError::OtherLog { origin: "archive.example/t1".to_owned() };
        assert_eq!(proof.check(&ENTRY, &known[1..]), Err(other_log.clone()));
        // Nor does a known log that signs a checkpoint in another's name.
        let stranger = SigningKey::new("archive.example/t2", [9; 32]).unwrap();
        let text = &proof.checkpoint[..=proof.checkpoint.find("\n\n").unwrap()];
        let renamed = TlogProof { checkpoint: stranger.sign(text).to_string(), ..proof.clone() };
        assert_eq!(renamed.check(&ENTRY, &[stranger.verifier().into()]), Err(other_log));
        let resized = TlogProof { checkpoint: proof.checkpoint.replace("\n8\n", "\n7\n"), ..proof };
        let bad = TlogProofError::Checkpoint(NoteError::BadSignature("archive.example/t1".to_owned()));
        assert_eq!(resized.check(&ENTRY, &known), Err(bad));
    }

    /// What a changed text may still be: unreadable, refused, or short of a signer.
    #[test]
    fn no_byte_of_a_proof_can_be_changed() {
        let known = known();
        let signers = TlogProof::parse(PROOF.as_bytes()).unwrap().check(&ENTRY, &known).unwrap().signers;
        let (mut read, mut unsigned) = (0, 0);
        for at in 0..PROOF.len() {
            for change in [0x01, 0x02, 0x20, 0x80] {
                let mut bytes = PROOF.as_bytes().to_vec();
                bytes[at] ^= change;
                let Ok(proof) = TlogProof::parse(&bytes) else { continue };
                read += 1;
                assert_eq!(proof.to_text().as_bytes(), bytes, "byte {at} is read as another");
                // A changed name or id makes a witness unknown, and a proof without it.
                if let Ok(proved) = proof.check(&ENTRY, &known) {
                    assert_eq!(proved.signers, signers[..1], "byte {at} ^ {change} passes");
                    let start = PROOF.find("\u{2014} witness").unwrap();
                    assert!((start..start + "\u{2014} witness.example/w1 IDJKvg".len()).contains(&at), "byte {at}");
                    unsigned += 1;
                }
            }
        }
        assert!(read > 500 && unsigned > 20, "{read} read, {unsigned} without the witness");
        for length in 0..PROOF.len() {
            let cut = TlogProof::parse(&PROOF.as_bytes()[..length]);
            let without_witness = PROOF.find("\u{2014} witness").unwrap();
            assert_eq!(cut.is_ok(), length == without_witness, "cut to {length} bytes");
        }
    }

    #[test]
    fn proofs_that_are_not_in_form_are_refused_at_their_line() {
        let after = |from: &str, to: &str| PROOF.replacen(from, to, 1);
        let path = "vBoGQ7EuTS18d5GPROD095qDi2z57FtcKD4fTYhZnms=\n";
        for (text, line) in [
            (String::new(), 1),
            (after("@v1", "@v2"), 1),
            (format!(" {PROOF}"), 1),
            (format!("\n{PROOF}"), 1),
            (PROOF.replace('\n', "\r\n"), 1),
            (after("index 5\n", ""), 2),
            (after("index 5", "index 05"), 2),
            (after("index 5", "index +5"), 2),
            (after("index 5", "index -5"), 2),
            (after("index 5", "index  5"), 2),
            (after("index 5", "index 5 "), 2),
            (after("index 5", "index"), 2),
            (after("index 5", "index 18446744073709551616"), 2),
            (after("index 5", "extra !\nindex 5"), 2),
            (after("index 5", "extra AAA\nindex 5"), 2),
            (after("index 5", "extra AAB=\nindex 5"), 2),
            (after("index 5", "extra\nindex 5"), 2),
            (after("index 5", "extra AAAA\nextra AAAA\nindex 5"), 3),
            (after("index 5", "index 5\nextra AAAA"), 3),
            (after("index 5", "index 5\nindex 5"), 3),
            (after(path, "AAAA\n"), 3),
            (after(path, " vBoGQ7EuTS18d5GPROD095qDi2z57FtcKD4fTYhZnms=\n"), 3),
            (after(path, "vBoGQ7EuTS18d5GPROD095qDi2z57FtcKD4fTYhZnmt=\n"), 3),
            (after(path, "vBoGQ7EuTS18d5GPROD095qDi2z57FtcKD4fTYhZnms\n"), 3),
            (after(path, &path.repeat(63)), 67),
            ("c2sp.org/tlog-proof@v1\nindex 0\n".to_owned(), 3),
            ("c2sp.org/tlog-proof@v1\nindex 0".to_owned(), 2),
        ] {
            let refused = TlogProof::parse(text.as_bytes()).unwrap_err();
            assert!(matches!(refused, TlogProofError::Malformed { line: l, .. } if l == line), "{refused} in {text:?}");
        }
        for text in [
            after("\n\narchive", "\n\n\narchive"),
            after("\n\n\u{2014}", "\n\u{2014}"),
            after("\n8\n", "\n08\n"),
            format!("{PROOF}\n"),
            format!("{PROOF}more\n"),
        ] {
            let refused = TlogProof::parse(text.as_bytes()).unwrap_err();
            assert!(matches!(refused, TlogProofError::Checkpoint(_)), "{refused} in {text:?}");
        }
        let binary = TlogProof::parse(b"c2sp.org/tlog-proof@v1\nextra \xff\n").unwrap_err();
        assert_eq!(binary.to_string(), "line 2 of the proof can't be read: it is not UTF-8");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_proof_reads_back_as_it_was_written(
            index: u64,
            path in proptest::collection::vec(any::<[u8; 32]>(), 0..=MAX_PATH),
            extra: Option<Vec<u8>>,
            size: u64,
            root: [u8; 32],
        ) {
            let key = SigningKey::new("archive.example/t1", [7; 32]).unwrap();
            let checkpoint = Checkpoint { origin: "archive.example/t1".to_owned(), size, root: Digest(root) };
            let path = path.into_iter().map(Digest).collect();
            let proof = TlogProof { index, path, extra, checkpoint: checkpoint.sign(&key).to_string() };
            prop_assert_eq!(TlogProof::parse(proof.to_text().as_bytes()), Ok(proof));
        }
    }
}
