//! A forger who changes one word of one message and then computes everything again: the block, its
//! digest, every leaf, every node. What stops him is the key, and, should he have it, a checkpoint that
//! was kept elsewhere.

use std::collections::{BTreeMap, HashMap};

use rusqlite::params;
use teamchat_archive::ledger::{Checkpoint, Frontier, Note, SigningKey, SpanSecret};
use teamchat_archive::model::{Digest, RecordSeq};
use teamchat_archive::record::{Kind, Record, State, encode_block, encode_sealed_block};
use teamchat_archive::store::{BlockOpener, Error, FIRST_SOURCE, Reader, SPAN, leaf_hash};

use super::base::{Outcome, Target, key};

/// Changes a word and makes all that follows from it fit. The number of the record.
fn forge(target: &Target, signer: Option<&SigningKey>) -> u64 {
    let reader = Reader::open(&target.layout).unwrap();
    let tables = reader.tables().unwrap();
    let dictionaries: HashMap<i64, Vec<u8>> =
        tables.dictionaries.iter().map(|(id, _, bytes)| (*id, bytes.clone())).collect();
    let mut opener = BlockOpener::new(&dictionaries);
    let rows = reader.block_rows(None, usize::MAX).unwrap();
    let mut blocks: Vec<Vec<Record>> = rows.iter().map(|row| opener.open(row).unwrap().records).collect();

    // A message that was never edited: no other version tells how it read.
    let mut found = None;
    for (at, (row, records)) in rows.iter().zip(&blocks).enumerate() {
        for (place, record) in records.iter().enumerate() {
            let header = &record.header;
            let is_plain = header.kind == Kind::Message && header.version == 1 && header.state == State::Present;
            let says = String::from_utf8_lossy(&record.body).contains("line 0.");
            if is_plain && says && found.is_none() {
                let channel = header.channel_id();
                let versions = reader.versions(Kind::Message, FIRST_SOURCE, channel.as_ref(), &header.key).unwrap();
                if versions.is_empty() {
                    found = Some((at, place, row.first + place as u64));
                }
            }
        }
    }
    let (at, place, seq) = found.unwrap();
    let body = String::from_utf8(blocks[at][place].body.clone()).unwrap();
    let forged = body.replace("line 0.", "lies 0.");
    assert_ne!(forged, body);
    blocks[at][place].body = forged.into_bytes();

    let connection = target.attack();
    let first = RecordSeq(rows[at].first);
    let text = match rows[at].sealed {
        1 => encode_sealed_block(first, &blocks[at]).0,
        _ => encode_block(first, &blocks[at]),
    };
    let bytes = zstd::bulk::compress(&text, 3).unwrap();
    connection
        .execute(
            "UPDATE block SET bytes = ?1, digest = ?2, dictionary = 0 WHERE first = ?3",
            params![bytes, Digest::of(&bytes).0, rows[at].first.cast_signed()],
        )
        .unwrap();
    let secrets: HashMap<u64, SpanSecret> = tables
        .salts
        .iter()
        .map(|row| (row.span, SpanSecret(row.secret.clone().unwrap().try_into().unwrap())))
        .collect();
    let mut frontier = Frontier::default();
    let mut roots: BTreeMap<u64, Digest> = BTreeMap::new();
    let archive = reader.archive().id;
    for (seq, record) in (0..).zip(blocks.iter().flatten()) {
        let leaf = leaf_hash(&archive, &secrets[&(seq / SPAN)], RecordSeq(seq), record).unwrap();
        frontier.push(leaf, |level, index, hash| {
            let sql = "UPDATE node SET hash = ?1 WHERE level = ?2 AND idx = ?3";
            let changed = connection.execute(sql, params![hash.0, level, index.cast_signed()]).unwrap();
            assert_eq!(changed, usize::from(level >= 7));
        });
        roots.insert(seq + 1, frontier.root());
    }
    if let Some(signer) = signer {
        let origin = reader.archive().origin.clone();
        for (size, _, _) in &tables.checkpoints {
            let note = Checkpoint { origin: origin.clone(), size: *size, root: roots[size] }.sign(signer).to_string();
            let sql = "UPDATE checkpoint SET note = ?1 WHERE size = ?2";
            connection.execute(sql, params![note, size.cast_signed()]).unwrap();
            for name in [format!("{size:012}.note"), "latest.note".to_owned()] {
                fs_err::write(target.layout.checkpoints().join(name), &note).unwrap();
            }
        }
        let text = signer.verifier().to_text();
        connection.execute("UPDATE archive SET vkey = ?1", [&text]).unwrap();
        connection.execute("UPDATE about SET text = ?1 || char(10) WHERE name = 'ledger.vkey'", [&text]).unwrap();
    }
    connection.close().unwrap();
    seq
}

#[test]
fn a_tree_computed_again_without_the_key_does_not_fit_the_checkpoints() {
    let target = Target::new();
    let seq = forge(&target, None);
    let Outcome::Found(findings) = target.outcome() else { panic!("the forger is not found") };
    let sizes: Vec<u64> =
        Reader::open(&target.layout).unwrap().checkpoints().unwrap().iter().map(|row| row.0).collect();
    for size in sizes {
        let is_it = findings.iter().any(|finding| finding.kind == "checkpoint" && finding.record == Some(size));
        assert_eq!(is_it, size > seq, "the checkpoint of {size} records, the forged one is {seq}: {findings:?}");
    }
}

#[test]
fn a_tree_signed_with_another_key_does_not_fit_the_key_that_is_trusted() {
    let target = Target::new();
    let other = SigningKey::new("teamchat-archive/test", [66; 32]).unwrap();
    forge(&target, Some(&other));
    let Outcome::Found(findings) = target.outcome() else { panic!("the forger is not found") };
    let kinds: Vec<&str> = findings.iter().map(|finding| finding.kind).collect();
    assert!(kinds.iter().all(|kind| ["checkpoint", "archive", "about"].contains(kind)), "{findings:?}");
    assert!(findings.iter().any(|finding| finding.detail.contains("another verification key")), "{findings:?}");
}

#[test]
fn a_tree_signed_with_the_stolen_key_does_not_fit_a_checkpoint_that_was_kept_elsewhere() {
    let target = Target::new();
    let kept = fs_err::read(target.layout.checkpoints().join("latest.note")).unwrap();
    let seq = forge(&target, Some(&key()));
    // Nothing inside the archive tells.
    assert!(matches!(target.outcome(), Outcome::Clean), "{:?}", target.outcome());
    let note = Note::parse(&kept).unwrap();
    note.verify(&key().verifier()).unwrap();
    let checkpoint = Checkpoint::parse(note.text()).unwrap();
    assert!(checkpoint.size > seq);
    let told = Reader::open(&target.layout).unwrap().continues(&checkpoint);
    assert!(matches!(told, Err(Error::Rollback { size, .. }) if size == checkpoint.size), "{told:?}");
}
