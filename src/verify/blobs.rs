use std::collections::HashMap;

use super::records::Seen;
use super::{Check, Finding};
use crate::model::Digest;
use crate::store::{Blobs, Error};

/// Every content under `blobs/`: that it is there, that it is what its name says, and that each
/// content a record names is among them.
pub(super) fn check(check: &mut Check<'_>, seen: &Seen) -> Result<(), Error> {
    let store = Blobs::new(check.reader.layout().blobs());
    let Some(rows) = check.absorb(check.reader.blobs())? else { return Ok(()) };
    let known: HashMap<Digest, u64> = rows.into_iter().collect();
    for (digest, size) in &known {
        let path = store.path(digest);
        let record = seen.attachments.get(digest).copied();
        let mut finding = match store.check(digest)? {
            None => Finding::new("blob", "the content is missing").instead(digest, "nothing"),
            Some((found, _)) if found != *digest => {
                Finding::new("blob", "the content is not what its name says").instead(digest, found)
            }
            Some((_, found)) if found != *size => {
                Finding::new("blob", "the content has another size than was recorded").instead(size, found)
            }
            Some((_, size)) => {
                check.report.checked.blobs += 1;
                check.report.checked.blob_bytes += size;
                continue;
            }
        };
        finding.record = record;
        check.find(finding.in_file(&path));
    }
    for (digest, seq) in &seen.attachments {
        if !known.contains_key(digest) {
            check.find(
                Finding::new("blob", "a record names a content that is not listed").at(*seq).instead(digest, "nothing"),
            );
        }
    }
    Ok(())
}
