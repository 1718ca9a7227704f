//! The ledger held against what others published and against what others wrote: the vectors of
//! transparency-dev, and three crates with the same purpose.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use serde_json::Value;
use signed_note::Verifier as _;
use teamchat_archive::ledger::{
    Checkpoint, CosignerKey, CosigningKey, Frontier, KnownKey, Note, SigningKey, VerifierKey, consistency_proof,
    empty_root, hash_leaf, inclusion_proof, verify_consistency, verify_inclusion,
};
use teamchat_archive::model::Digest;

/// The JSON files under a folder of the vectors, by path. Where they are missing this says so
/// aloud, and fails when data is required.
fn vectors(folder: &str) -> Vec<(String, Value)> {
    let data = std::env::var_os("TEAMCHAT_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from);
    let top = data.join("vectors/testdata").join(folder);
    if !top.exists() {
        let is_required = std::env::var("TEAMCHAT_DATA_REQUIRED").is_ok_and(|value| value == "1");
        let text = format!("NOT TESTED: no vectors at {} (TEAMCHAT_DATA names their folder)", top.display());
        assert!(!is_required, "{text}");
        crate::cli::harness::aloud(&text);
        return Vec::new();
    }
    let mut folders = vec![top];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "json") {
                let value = serde_json::from_slice(&fs_err::read(&path).unwrap()).unwrap();
                found.push((path.display().to_string(), value));
            }
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

fn number(vector: &Value, field: &str) -> u64 {
    vector[field].as_u64().unwrap_or_else(|| panic!("{field} in {vector}"))
}

fn bytes(value: &Value) -> Vec<u8> {
    BASE64.decode(value.as_str().unwrap()).unwrap()
}

/// A hash of a vector; `None` when it has another length, which nothing of ours can hold.
fn hash(value: &Value) -> Option<Digest> {
    Digest::from_slice(&bytes(value))
}

fn path(vector: &Value) -> Option<Vec<Digest>> {
    vector["proof"].as_array().map_or(Some(Vec::new()), |hashes| hashes.iter().map(hash).collect())
}

#[derive(Debug, Clone)]
struct Inclusion {
    index: u64,
    size: u64,
    leaf: Digest,
    root: Digest,
    path: Vec<Digest>,
}

impl Inclusion {
    fn read(vector: &Value) -> Option<Self> {
        Some(Self {
            index: number(vector, "leafIdx"),
            size: number(vector, "treeSize"),
            leaf: hash(&vector["leafHash"])?,
            root: hash(&vector["root"])?,
            path: path(vector)?,
        })
    }

    fn holds(&self) -> bool {
        verify_inclusion(self.index, self.size, &self.leaf, &self.path, &self.root).is_ok()
    }
}

#[derive(Debug, Clone)]
struct Consistency {
    old: u64,
    new: u64,
    old_root: Digest,
    new_root: Digest,
    path: Vec<Digest>,
}

impl Consistency {
    fn read(vector: &Value, hash: impl Fn(&Value) -> Option<Digest>) -> Option<Self> {
        Some(Self {
            old: number(vector, "size1"),
            new: number(vector, "size2"),
            old_root: hash(&vector["root1"])?,
            new_root: hash(&vector["root2"])?,
            path: path(vector)?,
        })
    }

    fn holds(&self) -> bool {
        verify_consistency(self.old, self.new, &self.old_root, &self.new_root, &self.path).is_ok()
    }
}

/// `digest` with each of its bits flipped in turn.
fn flipped(digest: Digest) -> impl Iterator<Item = Digest> {
    (0..256).map(move |bit| {
        let mut other = digest;
        other.0[bit / 8] ^= 1 << (bit % 8);
        other
    })
}

/// `path` with one hash changed, left out, doubled, moved, or added at either end.
fn changed_paths(path: &[Digest], extra: Digest) -> Vec<Vec<Digest>> {
    let mut changed = Vec::new();
    for at in 0..path.len() {
        let with = |hashes: &[Digest]| [&path[..at], hashes, &path[at + 1..]].concat();
        changed.extend(flipped(path[at]).map(|other| with(&[other])));
        changed.push(with(&[]));
        changed.push(with(&[path[at], path[at]]));
        for other in at + 1..path.len() {
            let mut swapped = path.to_vec();
            swapped.swap(at, other);
            changed.push(swapped);
        }
    }
    changed.push([&[extra], path].concat());
    changed.push([path, &[extra]].concat());
    changed
}

#[test]
fn the_published_inclusion_proofs_are_judged_as_published() {
    let (mut held, mut refused, mut wrong_length, mut mutations) = (0, 0, 0, 0);
    let vectors = vectors("inclusion");
    for (name, vector) in &vectors {
        let read = Inclusion::read(vector);
        wrong_length += usize::from(read.is_none());
        let holds = read.as_ref().is_some_and(Inclusion::holds);
        assert_eq!(holds, !vector["wantErr"].as_bool().unwrap(), "{name}: {vector}");
        let Some(good) = read.filter(|_| holds) else {
            refused += 1;
            continue;
        };
        held += 1;
        let mut bad: Vec<Inclusion> = Vec::new();
        // Neighbouring sizes may have a path of the same turns: what binds a root to its size is
        // the signature under both. Sizes of another depth are refused here.
        let sizes = [0, good.size * 2, good.size / 2, u64::MAX];
        bad.extend(sizes.into_iter().map(|size| Inclusion { size, ..good.clone() }));
        bad.extend((0..64).map(|bit| Inclusion { index: good.index ^ (1 << bit), ..good.clone() }));
        bad.extend(flipped(good.leaf).map(|leaf| Inclusion { leaf, ..good.clone() }));
        bad.extend(flipped(good.root).map(|root| Inclusion { root, ..good.clone() }));
        let paths = changed_paths(&good.path, good.root);
        bad.extend(paths.into_iter().map(|path| Inclusion { path, ..good.clone() }));
        mutations += bad.len();
        for bad in bad {
            assert!(!bad.holds(), "{name} changed to {bad:?}");
        }
    }
    if !vectors.is_empty() {
        assert_eq!((held, refused, wrong_length), (6, 92, 26));
        assert!(mutations > 6_000, "{mutations}");
    }
}

#[test]
fn the_published_consistency_proofs_are_judged_as_published() {
    let (mut held, mut refused, mut wrong_length, mut mutations) = (0, 0, 0, 0);
    let vectors = vectors("consistency");
    for (name, vector) in &vectors {
        let want = !vector["wantErr"].as_bool().unwrap();
        let mut read = Consistency::read(vector, hash);
        if read.is_none() && want {
            // Its roots are words of another length, of which it matters only that they are equal.
            read = Consistency::read(vector, |root| Some(Digest::of(&bytes(root))));
        }
        wrong_length += usize::from(read.is_none());
        let holds = read.as_ref().is_some_and(Consistency::holds);
        assert_eq!(holds, want, "{name}: {vector}");
        let Some(good) = read.filter(|_| holds) else {
            refused += 1;
            continue;
        };
        held += 1;
        let mut bad: Vec<Consistency> = Vec::new();
        let sizes =
            [(good.new, good.old), (good.old, good.new * 2), (good.old * 2, good.new), (good.old, good.new / 2)];
        let other_sizes = sizes.into_iter().filter(|(old, new)| (*old, *new) != (good.old, good.new));
        bad.extend(other_sizes.map(|(old, new)| Consistency { old, new, ..good.clone() }));
        bad.extend((0..64).map(|bit| Consistency { old: good.old ^ (1 << bit), ..good.clone() }));
        bad.extend(flipped(good.old_root).map(|old_root| Consistency { old_root, ..good.clone() }));
        bad.extend(flipped(good.new_root).map(|new_root| Consistency { new_root, ..good.clone() }));
        let paths = changed_paths(&good.path, good.new_root);
        bad.extend(paths.into_iter().map(|path| Consistency { path, ..good.clone() }));
        mutations += bad.len();
        for bad in bad {
            assert!(!bad.holds(), "{name} changed to {bad:?}");
        }
    }
    if !vectors.is_empty() {
        assert_eq!((held, refused, wrong_length), (6, 92, 26));
        assert!(mutations > 6_000, "{mutations}");
    }
}

/// Where we differ from the vectors: they refuse every proof that begins at the empty tree, a
/// witness (C2SP tlog-witness) accepts the empty proof from it, and so do we.
#[test]
fn the_empty_tree_is_a_beginning_of_every_tree_and_has_one_root() {
    let root = Digest::of(b"any");
    assert_eq!(verify_consistency(0, 1, &empty_root(), &root, &[]), Ok(()));
    assert_eq!(verify_consistency(0, 0, &empty_root(), &empty_root(), &[]), Ok(()));
    for (old, new, old_root, new_root, path) in [
        (0, 1, root, root, vec![]),
        (0, 0, root, root, vec![]),
        (0, 0, empty_root(), root, vec![]),
        (0, 1, empty_root(), root, vec![root]),
        (0, 0, empty_root(), empty_root(), vec![root]),
        (1, 0, root, empty_root(), vec![]),
    ] {
        assert!(verify_consistency(old, new, &old_root, &new_root, &path).is_err(), "{old} {new} {path:?}");
    }
}

/// Hashes by (level, index), as each implementation wants them.
#[derive(Default)]
struct Nodes {
    ours: HashMap<(u8, u64), Digest>,
    /// In the order of Go's tlog: the number of a node in the order in which they are complete.
    theirs: Vec<tlog_tiles::Hash>,
}

impl tlog_tiles::HashReader for Nodes {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog_tiles::Hash>, tlog_tiles::Error> {
        Ok(indexes.iter().map(|index| self.theirs[usize::try_from(*index).unwrap()]).collect())
    }
}

impl Nodes {
    fn push(&mut self, frontier: &mut Frontier, entry: &[u8]) {
        let (index, leaf) = (frontier.size(), hash_leaf(entry));
        self.ours.insert((0, index), leaf);
        let ours = &mut self.ours;
        frontier.push(leaf, |level, index, hash| {
            ours.insert((level, index), hash);
        });
        let theirs = tlog_tiles::stored_hashes(index, entry, self).unwrap();
        self.theirs.extend(theirs);
    }

    fn inclusion(&self, index: u64, size: u64) -> Vec<Digest> {
        inclusion_proof(index, size, &mut |level, index| Ok::<_, ()>(self.ours[&(level, index)])).unwrap()
    }

    fn consistency(&self, old: u64, new: u64) -> Vec<Digest> {
        consistency_proof(old, new, &mut |level, index| Ok::<_, ()>(self.ours[&(level, index)])).unwrap()
    }
}

fn flat(path: &[Digest]) -> Vec<u8> {
    path.iter().flat_map(|digest| digest.0).collect()
}

fn flat_theirs(path: &[tlog_tiles::Hash]) -> Vec<u8> {
    path.iter().flat_map(|hash| hash.0).collect()
}

/// Holds roots and proofs of one tree against both other implementations, byte for byte.
struct Trees {
    nodes: Nodes,
    frontier: Frontier,
    merkle: MemoryBackedTree<sha2::Sha256, Vec<u8>>,
    roots: Vec<Digest>,
}

impl Trees {
    fn new() -> Self {
        let frontier = Frontier::default();
        let roots = vec![frontier.root()];
        Self { nodes: Nodes::default(), frontier, merkle: MemoryBackedTree::new(), roots }
    }

    fn push(&mut self, entry: Vec<u8>) {
        self.nodes.push(&mut self.frontier, &entry);
        self.merkle.push(entry);
        let root = self.frontier.root();
        assert_eq!(tlog_tiles::tree_hash(self.frontier.size(), &self.nodes).unwrap().0, root.0);
        assert_eq!(self.merkle.root().as_bytes().as_slice(), root.0);
        self.roots.push(root);
    }

    /// The proof of leaf `index` in the whole tree.
    fn check_inclusion(&self, index: u64) {
        let (size, root) = (self.frontier.size(), self.frontier.root());
        let path = self.nodes.inclusion(index, size);
        let tiles = tlog_tiles::prove_record(size, index, &self.nodes).unwrap();
        assert_eq!(flat(&path), flat_theirs(&tiles), "{index} in {size}, tlog_tiles");
        let merkle = self.merkle.prove_inclusion(usize::try_from(index).unwrap());
        assert_eq!(flat(&path), merkle.as_bytes(), "{index} in {size}, ct-merkle");
        let leaf = self.nodes.ours[&(0, index)];
        assert_eq!(verify_inclusion(index, size, &leaf, &path, &root), Ok(()), "{index} in {size}");
    }

    /// The proof that the tree of `old` leaves is a beginning of the whole one.
    fn check_consistency(&self, old: u64) {
        let (size, root) = (self.frontier.size(), self.frontier.root());
        let path = self.nodes.consistency(old, size);
        let tiles = tlog_tiles::prove_tree(size, old, &self.nodes).unwrap();
        assert_eq!(flat(&path), flat_theirs(&tiles), "{old} in {size}, tlog_tiles");
        let merkle = self.merkle.prove_consistency(usize::try_from(size - old).unwrap());
        assert_eq!(flat(&path), merkle.as_bytes(), "{old} in {size}, ct-merkle");
        let old_root = self.roots[usize::try_from(old).unwrap()];
        assert_eq!(verify_consistency(old, size, &old_root, &root, &path), Ok(()), "{old} in {size}");
    }
}

#[test]
fn every_proof_up_to_145_leaves_is_that_of_two_other_implementations() {
    let mut trees = Trees::new();
    let mut pairs = 0;
    for size in 1..=145_u64 {
        trees.push(format!("leaf {size}").into_bytes());
        for index in 0..size {
            trees.check_inclusion(index);
            trees.check_consistency(index + 1);
            pairs += 1;
        }
    }
    assert!(pairs > 10_000, "{pairs}");
}

#[test]
fn proofs_of_larger_trees_are_those_of_two_other_implementations() {
    let mut trees = Trees::new();
    let mut pairs = 0;
    for size in 1..=2_100_u64 {
        trees.push(size.to_be_bytes().to_vec());
        // Around each power of two, where the shape of the tree changes, and now and then between.
        let is_at_an_edge = (size - 1).is_power_of_two() || size.is_power_of_two() || (size + 1).is_power_of_two();
        if size > 145 && (is_at_an_edge || size % 97 == 0) {
            for index in (0..size).step_by(41).chain([1, size / 2, size - 2, size - 1]) {
                trees.check_inclusion(index);
                trees.check_consistency(index + 1);
                pairs += 1;
            }
        }
    }
    assert!(pairs > 500, "{pairs}");
}

const TEXT: &str = "archive.example/t1\n8\nXcnaeacGWamtVZy3Ad7ZoqudgjqtL0lgz+Nw7/RgQyg=\n";

fn keys() -> [SigningKey; 2] {
    [("archive.example/t1", 1), ("archive.example/t1\u{e9}", 2)]
        .map(|(name, seed)| SigningKey::new(name, [seed; 32]).unwrap())
}

fn their_keys(keys: &[VerifierKey]) -> signed_note::VerifierList {
    let boxed = |key: &VerifierKey| -> Box<dyn signed_note::Verifier> {
        Box::new(signed_note::StandardVerifier::new(&key.to_text()).unwrap())
    };
    signed_note::VerifierList::new(keys.iter().map(boxed).collect())
}

#[test]
fn a_note_that_we_sign_is_accepted_by_another_implementation_and_theirs_by_us() {
    let [first, second] = keys();
    let verifiers = [first.verifier(), second.verifier()];
    let mut ours = first.sign(TEXT);
    ours.add(second.signature(TEXT)).unwrap();
    let read = signed_note::Note::from_bytes(ours.to_string().as_bytes()).unwrap();
    let (verified, unverified) = read.verify(&their_keys(&verifiers)).unwrap();
    assert_eq!((verified.len(), unverified.len()), (2, 0));
    let (verified, unverified) = read.verify(&their_keys(&verifiers[..1])).unwrap();
    assert_eq!((verified.len(), unverified.len()), (1, 1));

    let signers = keys().map(|key| signed_note::StandardSigner::new(&key.to_private_text()).unwrap());
    let mut theirs = signed_note::Note::new(TEXT.as_bytes(), &[]).unwrap();
    theirs.add_sigs(&[&signers[0], &signers[1]]).unwrap();
    assert_eq!(String::from_utf8(theirs.to_bytes()).unwrap(), ours.to_string());
    let note = Note::parse(&theirs.to_bytes()).unwrap();
    let known = verifiers.map(KnownKey::Log);
    assert_eq!(note.verify_known(&known).unwrap().len(), 2);
    let checkpoint = Checkpoint::parse(note.text()).unwrap();
    let other = tlog_tiles::Checkpoint::from_bytes(note.text().as_bytes()).unwrap();
    assert_eq!((checkpoint.origin.as_str(), checkpoint.size), (other.origin(), other.size()));
    assert_eq!((checkpoint.root.0, checkpoint.to_text().into_bytes()), (other.hash().0, other.to_bytes()));
}

#[test]
fn a_note_with_any_byte_changed_is_judged_as_another_implementation_judges_it() {
    let [first, second] = keys();
    let verifiers = [first.verifier(), second.verifier()];
    let their_keys = their_keys(&verifiers);
    let known = verifiers.map(KnownKey::Log);
    let mut note = first.sign("two\n\nparts\n");
    note.add(second.signature(note.text())).unwrap();
    let text = note.to_string().into_bytes();
    let (mut accepted, mut refused) = (0, 0);
    for at in 0..text.len() {
        for change in [0x01, 0x20] {
            let mut bytes = text.clone();
            bytes[at] ^= change;
            let ours = Note::parse(&bytes).and_then(|note| Ok(note.verify_known(&known)?.len())).ok();
            let theirs = signed_note::Note::from_bytes(&bytes).and_then(|note| Ok(note.verify(&their_keys)?.0.len()));
            assert_eq!(ours, theirs.ok(), "byte {at} ^ {change}");
            *(if ours.is_some() { &mut accepted } else { &mut refused }) += 1;
        }
    }
    // A changed name or id leaves one key that is known.
    assert!(accepted > 40 && refused > 300, "{accepted} {refused}");
}

/// A cosignature, checked with another implementation of keys, ids and Ed25519.
#[test]
fn our_cosignature_verifies_elsewhere() {
    let witness = CosigningKey::new("witness.example/w1", [3; 32]).unwrap();
    let vkey = witness.verifier().to_text();
    assert_eq!(CosignerKey::parse(&vkey).as_ref(), Ok(&witness.verifier()));
    let encoded = BASE64.decode(vkey.rsplit_once('+').unwrap().1).unwrap();
    let point: [u8; 32] = encoded[1..].try_into().unwrap();
    let id = signed_note::key_id("witness.example/w1", &encoded);
    assert_eq!((encoded[0], witness.verifier().id()), (4, format!("{id:08x}")));
    // The same point as a key of plain notes, because that is the one that the other can check.
    let plain = [&[1], point.as_slice()].concat();
    let plain_id = signed_note::key_id("witness.example/w1", &plain);
    let plain = format!("witness.example/w1+{plain_id:08x}+{}", BASE64.encode(plain));
    let plain = signed_note::StandardVerifier::new(&plain).unwrap();
    let line = witness.cosign(TEXT, 1_700_000_000);
    let read = signed_note::Signature::from_bytes(line.to_string().as_bytes()).unwrap();
    assert_eq!((read.name(), read.id()), ("witness.example/w1", id));
    let (time, signature) = read.signature().split_at(8);
    assert_eq!(time, 1_700_000_000_u64.to_be_bytes());
    let message = format!("cosignature/v1\ntime 1700000000\n{TEXT}");
    assert!(plain.verify(message.as_bytes(), signature));
    assert!(!plain.verify(TEXT.as_bytes(), signature));
}
