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

#[cfg(test)]
mod tests {
    use super::super::note::VerifierKey;
    use super::*;

    /// Accepted by Go's x/mod note and tlog packages.
    const NOTE: &str = "archive.example/t1\n8\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=\n\n\u{2014} archive.example/t1 Vy9o88ZcRs6oAJq2vGoIn1rPvmW2lAKli3PR9nqYCsQ4Hk0U4NrlQFnCSLLPtsuIs955wtasP1YVteaCAozevwdQnAg=\n";

    #[test]
    fn the_fixed_vector_is_signed_byte_for_byte() {
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
