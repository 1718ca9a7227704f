//! The ledger alone, without a disk: what a record costs to commit to and to append, and what a
//! proof costs in a tree of that many.
//!
//! `cargo bench --bench ledger` prints a line a step. `TEAMCHAT_BENCH_LEAVES` sets the size (default
//! 10,000,000, and 2,000,000 at least). Figures are this machine's; what is worth quoting is how the
//! steps stand to the ceiling, which is SHA-256 of the same bytes in the same run.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark that fails stops, and prints what it measured"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use teamchat_archive::ledger::{
    ArchiveId, Checkpoint, Frontier, KnownKey, LeafEntry, SigningKey, SpanSecret, TlogProof, consistency_proof,
    hash_children, inclusion_proof, verify_consistency,
};
use teamchat_archive::model::{Digest, RecordSeq};

/// Records of a span: what shares one secret, and the leaves below one stored node.
const SPAN: u64 = 128;
/// The lowest level of which nodes are kept.
const SPAN_LEVEL: u8 = 7;
/// Bytes of a header line and of a body: those of a message of middling length.
const HEADER_BYTES: usize = 260;
const BODY_BYTES: usize = 540;
/// The first and the last this many appends are timed on their own.
const MILLION: u64 = 1_000_000;
/// How many proofs are made.
const PROOFS: u64 = 2_000;

const ARCHIVE: ArchiveId = ArchiveId([7; 16]);
const ORIGIN: &str = "bench.example/ledger";

fn rate(what: &str, count: u64, bytes: u64, took: Duration) {
    #[expect(clippy::cast_precision_loss, reason = "a rate for reading")]
    let (count_rate, byte_rate) = (count as f64 / took.as_secs_f64(), bytes as f64 / took.as_secs_f64() / 1e6);
    println!(
        "{what:<32} {count:>9} in {:>8.2} s   {count_rate:>12.0} a second   {byte_rate:>8.1} MB/s",
        took.as_secs_f64()
    );
}

fn percentiles(what: &str, mut times: Vec<Duration>) {
    times.sort();
    println!(
        "{what:<32} {:>9} times   p50 {:>8.1} µs   p99 {:>8.1} µs",
        times.len(),
        times[times.len() / 2].as_secs_f64() * 1e6,
        times[times.len() * 99 / 100].as_secs_f64() * 1e6
    );
}

/// Header and body of one record, all distinct.
struct Bytes {
    header: [u8; HEADER_BYTES],
    body: [u8; BODY_BYTES],
}

impl Bytes {
    fn new() -> Self {
        Self { header: [b'h'; HEADER_BYTES], body: [b'b'; BODY_BYTES] }
    }

    fn number(&mut self, seq: u64) {
        self.header[..8].copy_from_slice(&seq.to_be_bytes());
        self.body[..8].copy_from_slice(&seq.to_be_bytes());
    }

    fn entry(&mut self, seq: u64) -> LeafEntry {
        self.number(seq);
        let mut secret = [3; 32];
        secret[..8].copy_from_slice(&(seq / SPAN).to_be_bytes());
        let key = SpanSecret(secret).record_key(RecordSeq(seq));
        LeafEntry::new(&ARCHIVE, 1, &key, &self.header, &self.body, &[])
    }
}

/// What an archive keeps of its tree, in memory: nodes from level 7 up. What is below is computed
/// again from the records of the span, as an archive does.
struct Nodes {
    levels: Vec<Vec<Digest>>,
    frontier: Frontier,
    bytes: Bytes,
}

impl Nodes {
    fn append(&mut self, seq: u64) {
        let leaf = self.bytes.entry(seq).hash();
        let levels = &mut self.levels;
        self.frontier.push(leaf, |level, index, hash| {
            if let Some(kept) = level.checked_sub(SPAN_LEVEL).map(usize::from) {
                if levels.len() == kept {
                    levels.push(Vec::new());
                }
                assert_eq!(levels[kept].len() as u64, index, "nodes are completed in order");
                levels[kept].push(hash);
            }
        });
    }

    fn subtree(&mut self, level: u8, index: u64) -> Digest {
        if let Some(kept) = level.checked_sub(SPAN_LEVEL) {
            return self.levels[usize::from(kept)][usize::try_from(index).unwrap()];
        }
        let first = index << level;
        let mut row: Vec<Digest> = (first..first + (1 << level)).map(|seq| self.bytes.entry(seq).hash()).collect();
        while row.len() > 1 {
            row = row.chunks_exact(2).map(|pair| hash_children(&pair[0], &pair[1])).collect();
        }
        row[0]
    }
}

/// Places all over the tree, the same in each run: steps of a number without common factor.
fn places(below: u64) -> impl Iterator<Item = u64> {
    (0..PROOFS).map(move |n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % below)
}

fn main() {
    let leaves: u64 =
        std::env::var("TEAMCHAT_BENCH_LEAVES").ok().and_then(|text| text.parse().ok()).unwrap_or(10_000_000);
    let leaves = leaves.max(2 * MILLION);
    let record_bytes = (HEADER_BYTES + BODY_BYTES) as u64;

    let mut bytes = Bytes::new();
    let start = Instant::now();
    for seq in 0..MILLION {
        bytes.number(seq);
        let mut hash = Sha256::new();
        hash.update(bytes.header);
        hash.update(bytes.body);
        black_box(hash.finalize());
    }
    rate("ceiling: SHA-256 of the bytes", MILLION, MILLION * record_bytes, start.elapsed());

    let start = Instant::now();
    for seq in 0..MILLION {
        black_box(bytes.entry(seq).hash());
    }
    rate("leaves", MILLION, MILLION * record_bytes, start.elapsed());

    let mut nodes = Nodes { levels: Vec::new(), frontier: Frontier::default(), bytes };
    let start = Instant::now();
    let mut last_million = start;
    // Odd, so that the sizes end at all places of a span.
    let step = (leaves / PROOFS) | 1;
    let mut roots = Vec::new();
    for seq in 0..leaves {
        if seq == leaves - MILLION {
            last_million = Instant::now();
        }
        nodes.append(seq);
        if (seq + 1) % step == 0 {
            roots.push((seq + 1, nodes.frontier.root()));
        }
        if seq + 1 == MILLION {
            rate("appended, the first million", MILLION, MILLION * record_bytes, start.elapsed());
        }
    }
    rate("appended, the last million", MILLION, MILLION * record_bytes, last_million.elapsed());
    rate("appended, all", leaves, leaves * record_bytes, start.elapsed());
    let kept: usize = nodes.levels.iter().map(Vec::len).sum();
    println!("{:<32} {:>9} bytes in {kept} nodes", "kept of the tree", kept * 32);

    let root = nodes.frontier.root();
    let key = SigningKey::new(ORIGIN, [1; 32]).unwrap();
    let note = Checkpoint { origin: ORIGIN.to_owned(), size: leaves, root }.sign(&key).to_string();
    let known = [KnownKey::from(key.verifier())];
    let (mut made, mut checked) = (Vec::new(), Vec::new());
    for index in places(leaves) {
        let start = Instant::now();
        let path =
            inclusion_proof(index, leaves, &mut |level, index| Ok::<_, ()>(nodes.subtree(level, index))).unwrap();
        made.push(start.elapsed());
        let entry = nodes.bytes.entry(index);
        let text = TlogProof { index, path, extra: None, checkpoint: note.clone() }.to_text();
        let start = Instant::now();
        TlogProof::parse(text.as_bytes()).unwrap().check(entry.as_bytes(), &known).unwrap();
        checked.push(start.elapsed());
    }
    percentiles("inclusion proof made", made);
    percentiles("its file read and checked", checked);

    let mut made = Vec::new();
    for (old, old_root) in roots {
        let start = Instant::now();
        let path =
            consistency_proof(old, leaves, &mut |level, index| Ok::<_, ()>(nodes.subtree(level, index))).unwrap();
        made.push(start.elapsed());
        verify_consistency(old, leaves, &old_root, &root, &path).unwrap();
    }
    percentiles("consistency proof made", made);
}
