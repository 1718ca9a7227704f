//! The files beside the database: contents, checkpoints, keys. A byte is changed in each, each is cut,
//! made longer, exchanged with another of its kind, and removed.

use std::path::{Path, PathBuf};

use teamchat_archive::store::keys::Keys;
use teamchat_archive::verify::{self, Report};

use super::base::{BASE, Outcome, Target, key, on_two_copies};
use super::sweep::Depth;

struct Attack {
    what: String,
    path: PathBuf,
    /// `None`: it is removed.
    bytes: Option<Vec<u8>>,
}

/// What is made of a file: every change that is no longer the file.
fn changes(path: &Path, bytes: &[u8], depth: Depth) -> Vec<Attack> {
    let places: Vec<usize> = match depth {
        Depth::OneFlip => vec![0, bytes.len() / 2, bytes.len() - 1],
        Depth::EveryByte => (0..bytes.len()).collect(),
    };
    let mut out: Vec<Attack> = places
        .into_iter()
        .map(|place| {
            let mut flipped = bytes.to_vec();
            flipped[place] ^= 1;
            Attack { what: format!("byte {place} flipped"), path: path.to_owned(), bytes: Some(flipped) }
        })
        .collect();
    let cuts =
        [("cut", bytes[..bytes.len() / 2].to_vec()), ("emptied", Vec::new()), ("made longer", [bytes, b"x"].concat())];
    out.extend(cuts.map(|(what, bytes)| Attack { what: what.to_owned(), path: path.to_owned(), bytes: Some(bytes) }));
    out
}

/// Every content and checkpoint.
pub(crate) fn every_file(depth: Depth) {
    let mut attacks = Vec::new();
    for (at, (path, bytes)) in BASE.files.iter().enumerate() {
        attacks.extend(changes(path, bytes, depth));
        let folder = path.iter().next();
        let other = BASE.files.iter().skip(at + 1).find(|(other, with)| other.iter().next() == folder && with != bytes);
        if let Some((_, other)) = other {
            // The newest checkpoint under the name of the newest is itself.
            let is_itself = path.ends_with("latest.note") || Path::new("checkpoints").join("latest.note") == *path;
            if !is_itself {
                let what = "exchanged with another of its kind".to_owned();
                attacks.push(Attack { what, path: path.clone(), bytes: Some(other.clone()) });
            }
        }
        // A checkpoint that is missing from the folder is in the database still, and may have been
        // taken elsewhere.
        if path.starts_with("blobs") {
            attacks.push(Attack { what: "removed".to_owned(), path: path.clone(), bytes: None });
        }
    }
    for part in ["blobs", "checkpoints"] {
        assert!(attacks.iter().filter(|attack| attack.path.starts_with(part)).count() > 10, "hardly a file in {part}");
    }
    on_two_copies(&attacks, |target, attack| {
        let path = target.layout.root().join(&attack.path);
        let before = fs_err::read(&path).unwrap();
        match &attack.bytes {
            Some(bytes) => fs_err::write(&path, bytes).unwrap(),
            None => fs_err::remove_file(&path).unwrap(),
        }
        let outcome = target.outcome();
        fs_err::write(&path, before).unwrap();
        let place = path.display().to_string();
        let kind = if attack.path.starts_with("blobs") { "blob" } else { "checkpoint" };
        let is_named = |finding: &verify::Finding| finding.kind == kind && finding.path.as_ref() == Some(&place);
        match outcome {
            Outcome::Found(findings) if findings.iter().any(is_named) => None,
            other => Some(format!("{}: {}: {other:?}", attack.path.display(), attack.what)),
        }
    });
    keys(depth);
}

/// What `verify` says of the keys in a folder.
fn report(folder: &Path) -> Report {
    let target = Target::new();
    let reader = teamchat_archive::store::Reader::open(&target.layout).unwrap();
    let mut report = verify::check(&reader, verify::Depth::Quick, None, &mut |_, _| {}).unwrap();
    verify::keys(&Keys::new(folder.to_owned(), None), &mut report);
    report
}

fn keys(depth: Depth) {
    let folder = tempfile::tempdir().unwrap();
    let keys = Keys::new(folder.path().join("keys"), None);
    assert!(report(keys.folder()).ok, "keys that are not there are no problem");
    keys.store_ledger_key(&key()).unwrap();
    assert!(report(keys.folder()).ok);
    let mut tried = 0;
    for name in ["ledger.key", "ledger.vkey"] {
        let path = keys.folder().join(name);
        let bytes = fs_err::read(&path).unwrap();
        let other = teamchat_archive::ledger::SigningKey::new("teamchat-archive/test", [9; 32]).unwrap();
        let other = if name == "ledger.key" { other.to_private_text() } else { other.verifier().to_text() };
        let mut attacks = changes(&path, &bytes, depth);
        let exchanged = Some(format!("{other}\n").into_bytes());
        attacks.push(Attack { what: "that of another".to_owned(), path: path.clone(), bytes: exchanged });
        for attack in attacks {
            fs_err::write(&path, attack.bytes.unwrap()).unwrap();
            let report = report(keys.folder());
            // With a public half of another key, it is the secret one that does not go with it.
            let is_named = report.findings.iter().any(|finding| {
                let place = finding.path.clone().unwrap_or_default();
                finding.kind == "key" && (place.ends_with(name) || attack.what == "that of another")
            });
            assert!(is_named && !report.ok, "{name}: {}: {:?}", attack.what, report.findings);
            fs_err::write(&path, &bytes).unwrap();
            tried += 1;
        }
    }
    assert!(tried >= 14, "only {tried} changes of keys");
    assert!(report(keys.folder()).ok);
}
