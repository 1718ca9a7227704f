use super::cosignature::{self, CosignerKey};
use super::key::{PublicKey, split_key};
use super::note::{self, Note, NoteError, Signature, VerifierKey};

/// A key that a reader of notes knows and trusts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KnownKey {
    /// One that signs the text itself: a log's.
    Log(VerifierKey),
    /// One that signs the text with a time: a witness's.
    Cosigner(CosignerKey),
}

impl KnownKey {
    /// Parses the `vkey` form; its algorithm says which kind of key it is.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        match split_key(text.trim())?.2 {
            note::ALGORITHM => VerifierKey::parse(text).map(Self::Log),
            cosignature::ALGORITHM => CosignerKey::parse(text).map(Self::Cosigner),
            _ => Err(NoteError::BadKey("it is for another algorithm")),
        }
    }

    /// The `vkey` form.
    pub fn to_text(&self) -> String {
        self.public().to_text()
    }

    /// The key's name.
    pub fn name(&self) -> &str {
        &self.public().name
    }

    fn public(&self) -> &PublicKey {
        match self {
            Self::Log(key) => &key.0,
            Self::Cosigner(key) => &key.0,
        }
    }

    fn judge(&self, text: &str, signature: &Signature) -> Option<Verified<'_>> {
        match self {
            Self::Log(key) => key.accepts(text, &signature.bytes).then_some(Verified::Log(key)),
            Self::Cosigner(key) => key.time_of(text, &signature.bytes).map(|time_s| Verified::Cosigner { key, time_s }),
        }
    }
}

impl From<VerifierKey> for KnownKey {
    fn from(key: VerifierKey) -> Self {
        Self::Log(key)
    }
}

impl From<CosignerKey> for KnownKey {
    fn from(key: CosignerKey) -> Self {
        Self::Cosigner(key)
    }
}

/// A known key whose signature was found and is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verified<'a> {
    /// It signed the text.
    Log(&'a VerifierKey),
    /// It signed the text with a time.
    Cosigner {
        /// Whose cosignature it is.
        key: &'a CosignerKey,
        /// Seconds since 1970, as the cosigner says.
        time_s: u64,
    },
}

impl Verified<'_> {
    fn public(&self) -> &PublicKey {
        match self {
            Self::Log(key) => &key.0,
            Self::Cosigner { key, .. } => &key.0,
        }
    }
}

impl Note {
    /// Which of the known keys signed the note, in the order of their lines, each once with its
    /// first signature; there is one at least (C2SP signed-note).
    ///
    /// Signatures by a name and id that are not known are passed over, whatever they hold. One by
    /// a known key that does not match refuses the note whole, also when the same key has another
    /// that does match (Go looks at the first one only). Two known keys of one name and id are an
    /// error once a signature is by them, and none as long as none is, as in Go.
    pub fn verify_known<'a>(&self, known: &'a [KnownKey]) -> Result<Vec<Verified<'a>>, NoteError> {
        let mut verified: Vec<Verified<'a>> = Vec::new();
        for signature in self.signatures() {
            let mut keys = known.iter().filter(|key| signature.is_by(key.public()));
            let Some(key) = keys.next() else { continue };
            if keys.next().is_some() {
                return Err(NoteError::Ambiguous(key.public().short()));
            }
            let found =
                key.judge(self.text(), signature).ok_or_else(|| NoteError::BadSignature(key.name().to_owned()))?;
            if !verified.iter().any(|earlier| signature.is_by(earlier.public())) {
                verified.push(found);
            }
        }
        if verified.is_empty() { Err(NoteError::NoneKnown) } else { Ok(verified) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::cosignature::CosigningKey;
    use super::super::note::SigningKey;
    use super::*;

    // The published examples of Go's note package.
    const TEXT: &str =
        "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
    const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const PETER_LINE: &str = "\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
    const ENOCH: &str = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop";
    const ENOCH_LINE: &str = "\u{2014} EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n";

    fn keys(texts: &[&str]) -> Vec<KnownKey> {
        texts.iter().map(|text| KnownKey::parse(text).unwrap()).collect()
    }

    fn names(lines: &str, known: &[&str]) -> Result<Vec<String>, NoteError> {
        let note = Note::parse(format!("{TEXT}\n{lines}").as_bytes())?;
        let known = keys(known);
        Ok(note.verify_known(&known)?.iter().map(|verified| verified.public().name.clone()).collect())
    }

    /// Puts `ABCD` into the 60th byte of a line, as Go's test does: still base64, no signature.
    fn spoilt(line: &str) -> String {
        format!("{}ABCD{}", &line[..60], &line[60..])
    }

    #[test]
    fn the_published_notes_are_signed_by_whom_they_say() {
        let both = format!("{PETER_LINE}{ENOCH_LINE}");
        assert_eq!(names(&both, &[PETER]), Ok(vec!["PeterNeumann".to_owned()]));
        assert_eq!(names(&both, &[ENOCH, PETER]), Ok(vec!["PeterNeumann".to_owned(), "EnochRoot".to_owned()]));
        assert_eq!(names(&both, &[]), Err(NoteError::NoneKnown));
        assert_eq!(names(ENOCH_LINE, &[PETER]), Err(NoteError::NoneKnown));
        let note = Note::parse(format!("{TEXT}\n{both}").as_bytes()).unwrap();
        let said: Vec<(&str, String)> = note.signatures().iter().map(|line| (line.name(), line.id())).collect();
        assert_eq!(said, [("PeterNeumann", "c74f20a3".to_owned()), ("EnochRoot", "af0cfe78".to_owned())]);
        assert_eq!(note.signature_lines(), both);
    }

    #[test]
    fn a_known_key_that_did_not_sign_this_refuses_the_note() {
        let bad = Err(NoteError::BadSignature("PeterNeumann".to_owned()));
        assert_eq!(names(&spoilt(PETER_LINE), &[PETER]), bad);
        assert_eq!(names(&format!("{ENOCH_LINE}{}", spoilt(PETER_LINE)), &[PETER, ENOCH]), bad);
        // Go would pass over the second line.
        assert_eq!(names(&format!("{PETER_LINE}{}", spoilt(PETER_LINE)), &[PETER]), bad);
        // Of a key that is not known it says nothing.
        assert_eq!(
            names(&format!("{PETER_LINE}{}", spoilt(ENOCH_LINE)), &[PETER]),
            Ok(vec!["PeterNeumann".to_owned()])
        );
    }

    #[test]
    fn a_key_that_is_known_twice_is_ambiguous_once_it_signed() {
        let twice = [ENOCH, PETER, ENOCH];
        assert_eq!(names(ENOCH_LINE, &twice), Err(NoteError::Ambiguous("EnochRoot+af0cfe78".to_owned())));
        assert_eq!(names(PETER_LINE, &twice), Ok(vec!["PeterNeumann".to_owned()]));
        let both = format!("{PETER_LINE}{ENOCH_LINE}");
        assert_eq!(names(&both, &twice), Err(NoteError::Ambiguous("EnochRoot+af0cfe78".to_owned())));
    }

    #[test]
    fn repeated_signatures_count_once() {
        let lines = format!("{PETER_LINE}{PETER_LINE}{ENOCH_LINE}{ENOCH_LINE}{}", spoilt(ENOCH_LINE));
        assert_eq!(names(&lines, &[PETER]), Ok(vec!["PeterNeumann".to_owned()]));
    }

    #[test]
    fn a_signature_under_another_name_or_id_is_unknown() {
        for (from, to) in [("PeterNeumann", "CarmenSandiego"), ("x08g", "xxxx")] {
            assert_eq!(names(&PETER_LINE.replace(from, to), &[PETER]), Err(NoteError::NoneKnown));
        }
    }

    #[test]
    fn a_note_holds_a_hundred_signatures_and_no_more() {
        assert_eq!(names(&PETER_LINE.repeat(100), &[PETER]), Ok(vec!["PeterNeumann".to_owned()]));
        let refused = Err(NoteError::Malformed("it has too many signatures"));
        assert_eq!(names(&PETER_LINE.repeat(101), &[PETER]), refused);
        assert_eq!(names(&PETER_LINE.repeat(101), &[]), refused);
    }

    #[test]
    fn the_published_malformed_notes_are_refused() {
        let whole = format!("{TEXT}\n{PETER_LINE}");
        let bad: [Vec<u8>; 7] = [
            TEXT.into(),
            format!("{TEXT}\n").into(),
            whole.trim_end().into(),
            format!("\u{1}{whole}").into(),
            [b"\xff", whole.as_bytes()].concat(),
            whole.replace("PeterNeumann", "Bad Name").trim_end().into(),
            format!("{whole}Unexpected line.\n").into(),
        ];
        for bytes in bad {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            assert!(matches!(Note::parse(&bytes), Err(NoteError::Malformed(_))), "{text:?}");
        }
        assert!(Note::parse(whole.as_bytes()).is_ok());
    }

    #[test]
    fn logs_and_cosigners_sign_one_note() {
        let (log, witness) = (SigningKey::new("a/log", [1; 32]).unwrap(), CosigningKey::new("a/w", [2; 32]).unwrap());
        let mut note = log.sign("a/log\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n");
        note.add(witness.cosign(note.text(), 77)).unwrap();
        let known: Vec<KnownKey> = vec![witness.verifier().into(), log.verifier().into()];
        assert_eq!(
            note.verify_known(&known),
            Ok(vec![Verified::Log(&log.verifier()), Verified::Cosigner { key: &witness.verifier(), time_s: 77 }])
        );
        for key in &known {
            assert_eq!(KnownKey::parse(&key.to_text()).as_ref(), Ok(key));
        }
        // A cosignature is bound to its algorithm: under a log's key of the same point it is unknown.
        let twin: Vec<KnownKey> = vec![SigningKey::new("a/w", [2; 32]).unwrap().verifier().into()];
        assert_eq!(note.verify_known(&twin), Err(NoteError::NoneKnown));
    }
}
