use ed25519_dalek::Signer as _;

use super::key::{PublicKey, check_name, hex8};
use super::note::{Note, NoteError, Signature};

/// Ed25519 over a time and the text (C2SP tlog-cosignature).
pub(super) const ALGORITHM: u8 = 0x04;
/// No cosignature may name a later time (C2SP tlog-cosignature).
const MAX_TIME_S: u64 = i64::MAX.unsigned_abs();

/// What is signed: two lines of our own, then the checkpoint's whole text.
fn message(time_s: u64, text: &str) -> String {
    format!("cosignature/v1\ntime {time_s}\n{text}")
}

/// A cosigner's public key: its `vkey` has the algorithm 0x04.
///
/// A cosigner says of a checkpoint: at this time, this was the largest tree that I had seen of
/// this log, and it continues all that I had seen before. What is signed does not hold the
/// cosigner's name, so that each cosigner must have an Ed25519 key of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CosignerKey(pub(super) PublicKey);

impl CosignerKey {
    /// Parses the `vkey` form.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        PublicKey::parse(text, ALGORITHM).map(Self)
    }

    /// The `vkey` form.
    pub fn to_text(&self) -> String {
        self.0.to_text()
    }

    /// The cosigner's name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Eight hexadecimal digits that name the key.
    pub fn id(&self) -> String {
        hex8(self.0.id)
    }

    /// Accepts the note when it is cosigned by this key, and gives the time of the first of its
    /// cosignatures: whole seconds since 1970. One that does not match refuses the note whole;
    /// signatures by others are passed over. Whether that time is plausible is the caller's to say.
    pub fn verify(&self, note: &Note) -> Result<u64, NoteError> {
        note.judge(&self.0, |bytes| self.time_of(note.text(), bytes))
    }

    /// The time of a signature by this key over `text`; `None` when it is not one.
    pub(super) fn time_of(&self, text: &str, bytes: &[u8]) -> Option<u64> {
        let (time, signature) = bytes.split_first_chunk()?;
        let time_s = u64::from_be_bytes(*time);
        let is_right =
            time_s <= MAX_TIME_S && self.0.accepts(message(time_s, text).as_bytes(), signature.try_into().ok()?);
        is_right.then_some(time_s)
    }
}

/// A cosigner's private key: that of a witness.
pub struct CosigningKey {
    public: PublicKey,
    key: ed25519_dalek::SigningKey,
}

impl CosigningKey {
    /// From 32 random bytes, which no other key of this or any other cosigner is made from.
    pub fn new(name: &str, seed: [u8; 32]) -> Result<Self, NoteError> {
        check_name(name)?;
        let key = ed25519_dalek::SigningKey::from_bytes(&seed);
        Ok(Self { public: PublicKey::of(name, ALGORITHM, &key), key })
    }

    /// The public half.
    pub fn verifier(&self) -> CosignerKey {
        CosignerKey(self.public.clone())
    }

    /// The cosignature of a checkpoint's text at `time_s` seconds since 1970. The caller has
    /// checked that the checkpoint continues all that this cosigner signed before.
    pub fn cosign(&self, text: &str, time_s: u64) -> Signature {
        debug_assert!(time_s <= MAX_TIME_S, "a time of a cosignature fits 63 bits");
        let mut bytes = time_s.to_be_bytes().to_vec();
        bytes.extend_from_slice(&self.key.sign(message(time_s, text).as_bytes()).to_bytes());
        Signature { name: self.public.name.clone(), id: self.public.id, bytes }
    }
}

impl std::fmt::Debug for CosigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CosigningKey({})", self.public.short())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Built to the specification with another implementation of Ed25519 (seed 20 to 3f).
    const VKEY: &str = "witness.example/w1+20324abe+BCmsuuFBvMrwsi4alNNNC8c2HlJtC/4SyJeUvJMilm3X";
    const TEXT: &str = "archive.example/t1\n8\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=\n";
    const LOG_LINE: &str = "\u{2014} archive.example/t1 Vy9o88ZcRs6oAJq2vGoIn1rPvmW2lAKli3PR9nqYCsQ4Hk0U4NrlQFnCSLLPtsuIs955wtasP1YVteaCAozevwdQnAg=\n";
    const LINE: &str = "\u{2014} witness.example/w1 IDJKvgAAAABlU/EAxiUhMDE4/LX8C0u7wF2bZctAXyPnXVU1/I5QH2AtjjQZPF3CEFqn4nMDD5arS6UFa4NzFGVvaUj61CTS5OkiDw==\n";

    fn key() -> CosigningKey {
        let mut seed = [0; 32];
        (0x20_u8..).zip(&mut seed).for_each(|(n, byte)| *byte = n);
        CosigningKey::new("witness.example/w1", seed).unwrap()
    }

    fn note(lines: &str) -> Note {
        Note::parse(format!("{TEXT}\n{lines}").as_bytes()).unwrap()
    }

    #[test]
    fn the_fixed_cosignature_verifies_and_is_made_byte_for_byte() {
        let cosigner = CosignerKey::parse(VKEY).unwrap();
        assert_eq!((cosigner.name(), cosigner.id().as_str()), ("witness.example/w1", "20324abe"));
        assert_eq!(cosigner.to_text(), VKEY);
        assert_eq!(key().verifier(), cosigner);
        let both = note(&format!("{LOG_LINE}{LINE}"));
        assert_eq!(cosigner.verify(&both), Ok(1_700_000_000));
        let mut made = note(LOG_LINE);
        assert_eq!(cosigner.verify(&made), Err(NoteError::Unsigned("witness.example/w1+20324abe".to_owned())));
        made.add(key().cosign(TEXT, 1_700_000_000)).unwrap();
        assert_eq!(made, both);
        assert_eq!(made.signature_lines(), format!("{LOG_LINE}{LINE}"));
    }

    #[test]
    fn a_cosignature_holds_for_one_text_and_one_time() {
        let cosigner = key().verifier();
        let bad = Err(NoteError::BadSignature("witness.example/w1".to_owned()));
        let made = key().cosign(TEXT, 1_700_000_000);
        for at in 0..made.bytes.len() {
            let mut changed = made.clone();
            changed.bytes[at] ^= 1;
            let mut note = note(LOG_LINE);
            note.add(changed).unwrap();
            assert_eq!(cosigner.verify(&note), bad, "byte {at}");
        }
        let other = Note::parse(format!("{}\n{LINE}", TEXT.replace("\n8\n", "\n9\n")).as_bytes()).unwrap();
        assert_eq!(cosigner.verify(&other), bad);
        for length in [1, 8, 64, 71, 73] {
            let mut bytes = made.bytes.clone();
            bytes.resize(length, 0);
            let mut note = note(LOG_LINE);
            note.add(Signature { bytes, ..made.clone() }).unwrap();
            assert_eq!(cosigner.verify(&note), bad, "{length} bytes");
        }
    }

    #[test]
    fn a_later_bad_cosignature_refuses_the_note() {
        let good = key().cosign(TEXT, 5);
        let bad = key().cosign("another text\n", 6);
        let lines = |list: &[&Signature]| list.iter().map(|line| format!("{line}\n")).collect::<String>();
        assert_eq!(key().verifier().verify(&note(&lines(&[&good]))), Ok(5));
        assert_eq!(key().verifier().verify(&note(&lines(&[&good, &key().cosign(TEXT, 7)]))), Ok(5));
        assert!(matches!(key().verifier().verify(&note(&lines(&[&good, &bad]))), Err(NoteError::BadSignature(_))));
    }

    #[test]
    fn a_time_beyond_63_bits_is_refused_although_it_is_signed() {
        let time_s = MAX_TIME_S + 1;
        let mut bytes = time_s.to_be_bytes().to_vec();
        bytes.extend_from_slice(&key().key.sign(message(time_s, TEXT).as_bytes()).to_bytes());
        let mut beyond = note(LOG_LINE);
        beyond.add(Signature { bytes, ..key().cosign(TEXT, 1) }).unwrap();
        assert!(matches!(key().verifier().verify(&beyond), Err(NoteError::BadSignature(_))));
        let mut latest = note(LOG_LINE);
        latest.add(key().cosign(TEXT, MAX_TIME_S)).unwrap();
        assert_eq!(key().verifier().verify(&latest), Ok(MAX_TIME_S));
    }

    #[test]
    fn a_key_of_a_log_is_no_key_of_a_cosigner() {
        let log = "archive.example/t1+572f68f3+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4";
        assert_eq!(CosignerKey::parse(log), Err(NoteError::BadKey("it is for another algorithm")));
        assert_eq!(super::super::note::VerifierKey::parse(VKEY), Err(NoteError::BadKey("it is for another algorithm")));
        assert_eq!(format!("{:?}", key()), "CosigningKey(witness.example/w1+20324abe)");
    }
}
