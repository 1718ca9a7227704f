use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::records::Seen;
use super::{Check, Finding};
use crate::model::Digest;
use crate::store::{Blobs, Error, Tables};

/// Every content under `blobs/`: that it is there, that it is what its name says, and that each
/// content a record names is among them.
pub(super) fn check(check: &mut Check<'_>, tables: &Tables, seen: &Seen) {
    let store = Blobs::new(check.reader.layout().blobs());
    let mut known: BTreeMap<Digest, u64> = BTreeMap::new();
    for (digest, size) in &tables.blobs {
        match Digest::from_slice(digest) {
            Some(digest) => drop(known.insert(digest, *size)),
            None => check.find(Finding::new("blob", "a content is listed under a digest that is not 32 bytes")),
        }
    }
    let known: Vec<(Digest, u64)> = known.into_iter().collect();
    for ((digest, size), found) in known.iter().zip(hashed(&store, &known)) {
        let path = store.path(digest);
        let record = seen.attachments.get(digest).copied();
        if record.is_none() && seen.unread.is_empty() {
            let detail = "a content is listed that no record names";
            check.find(Finding::new("blob", detail).in_file(&path).instead("nothing", digest));
        }
        let mut finding = match found {
            Ok(None) => Finding::new("blob", "the content is missing").instead(digest, "nothing"),
            Ok(Some((found, _))) if found != *digest => {
                Finding::new("blob", "the content is not what its name says").instead(digest, found)
            }
            Ok(Some((_, found))) if found != *size => {
                Finding::new("blob", "the content has another size than was recorded").instead(size, found)
            }
            Ok(Some((_, size))) => {
                check.report.checked.blobs += 1;
                check.report.checked.blob_bytes += size;
                continue;
            }
            Err(error) => {
                Finding::new("blob", format!("the content can't be read: {error}")).instead(digest, "nothing readable")
            }
        };
        finding.record = record;
        check.find(finding.in_file(&path));
    }
    let known: BTreeSet<&Digest> = known.iter().map(|(digest, _)| digest).collect();
    let mut named: Vec<_> = seen.attachments.iter().collect();
    named.sort_unstable_by_key(|(digest, seq)| (**seq, **digest));
    for (digest, seq) in named {
        if !known.contains(digest) {
            check.find(
                Finding::new("blob", "a record names a content that is not listed").at(*seq).instead(digest, "nothing"),
            );
        }
    }
}

/// What there is of a content: its SHA-256 and size as they are now.
type Found = Result<Option<(Digest, u64)>, Error>;

/// Hashes contents on all cores. What is found of each, in their order.
fn hashed(store: &Blobs, contents: &[(Digest, u64)]) -> Vec<Found> {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get).min(contents.len());
    let next = AtomicUsize::new(0);
    let mut found: Vec<(usize, Found)> = std::thread::scope(|scope| {
        let hands: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let mut out = Vec::new();
                    loop {
                        let place = next.fetch_add(1, Ordering::Relaxed);
                        let Some((digest, _)) = contents.get(place) else { return out };
                        out.push((place, store.check(digest)));
                    }
                })
            })
            .collect();
        hands.into_iter().flat_map(|hand| hand.join().expect("hashing a file does not panic")).collect()
    });
    found.sort_unstable_by_key(|(place, _)| *place);
    found.into_iter().map(|(_, found)| found).collect()
}
