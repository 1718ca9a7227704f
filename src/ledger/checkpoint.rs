use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::note::{Note, NoteError, SigningKey};
use crate::model::Digest;

/// A tree's size and root under the name of its log (C2SP tlog-checkpoint).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name, which is also its key's name.
    pub origin: String,
    /// Number of leaves.
    pub size: u64,
    /// Root over them.
    pub root: Digest,
}

impl Checkpoint {
    /// The text that is signed: origin, size, root, a line each.
    pub fn to_text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, BASE64.encode(self.root.0))
    }

    /// Reads the text of a note; extension lines after the third are passed over.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        use NoteError::Malformed;
        let mut lines = text.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(Malformed("a checkpoint has three lines"));
        };
        let number: u64 = size.parse().map_err(|_| Malformed("the size of a checkpoint is a number"))?;
        if origin.is_empty() || number.to_string() != size {
            return Err(Malformed("a checkpoint names its origin and a plain size"));
        }
        let root = BASE64.decode(root).ok().and_then(|bytes| Digest::from_slice(&bytes));
        let root = root.ok_or(Malformed("the root of a checkpoint is 32 bytes in base64"))?;
        Ok(Self { origin: origin.to_owned(), size: number, root })
    }

    /// The checkpoint as a signed note.
    pub fn sign(&self, key: &SigningKey) -> Note {
        key.sign(&self.to_text())
    }
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
        let mut out = String::from("c2sp.org/tlog-proof@v1\n");
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
}

#[cfg(test)]
mod tests {
    use super::super::note::VerifierKey;
    use super::super::proof::verify_inclusion;
    use super::super::tree::hash_leaf;
    use super::*;

    /// Accepted by Go's x/mod note and tlog packages.
    const NOTE: &str = "archive.example/t1\n8\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=\n\n\u{2014} archive.example/t1 Vy9o88ZcRs6oAJq2vGoIn1rPvmW2lAKli3PR9nqYCsQ4Hk0U4NrlQFnCSLLPtsuIs955wtasP1YVteaCAozevwdQnAg=\n";

    #[test]
    fn the_fixed_vector_signs_and_proves() {
        let mut seed = [0; 32];
        (0_u8..).zip(&mut seed).for_each(|(n, byte)| *byte = n);
        let key = SigningKey::new("archive.example/t1", seed).unwrap();
        let note = Note::parse(NOTE.as_bytes()).unwrap();
        assert_eq!(
            key.verifier(),
            VerifierKey::parse("archive.example/t1+572f68f3+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4").unwrap()
        );
        note.verify(&key.verifier()).unwrap();
        let checkpoint = Checkpoint::parse(note.text()).unwrap();
        assert_eq!(checkpoint.sign(&key).to_string(), NOTE);
        let path: Vec<Digest> = [
            "vBoGQ7EuTS18d5GPROD095qDi2z57FtcKD4fTYhZnms=",
            "yoVOoSjtBQtBs1/8G4e46yveRh6eO1WW7Oa51ZdaCuA=",
            "037kGJdt2VdTwcc4Yrk5j6Kiz5tP8P3+izDNlSCWFLc=",
        ]
        .iter()
        .map(|line| Digest::from_slice(&BASE64.decode(line).unwrap()).unwrap())
        .collect();
        let leaf = hash_leaf(&[0x40, 0x41, 0x42, 0x43]);
        assert_eq!(verify_inclusion(5, 8, &leaf, &path, &checkpoint.root), Ok(()));
        let text = TlogProof { index: 5, path, extra: None, checkpoint: NOTE.to_owned() }.to_text();
        assert!(text.starts_with("c2sp.org/tlog-proof@v1\nindex 5\nvBoGQ7"));
    }

    #[test]
    fn odd_checkpoints_are_refused() {
        for bad in [
            "a\n1\n",
            "a\n01\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=\n",
            "\n1\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=\n",
            "a\n1\nAAAA\n",
        ] {
            assert!(Checkpoint::parse(bad).is_err(), "{bad:?}");
        }
    }
}
