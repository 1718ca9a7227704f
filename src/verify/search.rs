use super::{Check, Finding};
use crate::index::{self, Completeness, Searcher, completeness};
use crate::store::{DerivedReader, Error};

/// That the index holds a document for each reading it has reached, as the reading is now, and no other;
/// that its files are as they were written; and that documents are found by what they say. One that is
/// missing or behind can be rebuilt: it is noted and is no fault.
pub(super) fn check(check: &mut Check<'_>) -> Result<(), Error> {
    let layout = check.reader.layout().clone();
    let searcher = Searcher::new(&layout);
    let Some(head) = check.absorb(check.reader.head())? else { return Ok(()) };
    let derived = DerivedReader::open(&layout).unwrap_or_else(|error| {
        check.report.notes.push(format!("what was read in files cannot be read and is to be made anew: {error}"));
        None
    });
    let damaged = match searcher.damaged_files() {
        Ok(damaged) => damaged,
        Err(error) => return unusable(check, error),
    };
    for file in damaged {
        check.find(Finding::new("index", "a file is not as it was written").in_file(&layout.index().join(file)));
    }
    let found = match completeness(&searcher, check.reader, derived.as_ref(), &mut |_| {}) {
        Ok(found) => found,
        // A record that cannot be read is told where the records are checked.
        Err(index::Error::Store(error)) if error.is_integrity() => {
            check.report.notes.push(format!("the search index was not compared with the records: {error}"));
            return Ok(());
        }
        Err(error) => return unusable(check, error),
    };
    check.report.checked.documents = found.documents;
    tell(check, &found, head);
    Ok(())
}

fn unusable(check: &mut Check<'_>, error: index::Error) -> Result<(), Error> {
    match error {
        index::Error::Absent { detail, .. } => {
            check.report.notes.push(format!("the search index was not checked: {detail}"));
            Ok(())
        }
        index::Error::Store(error) => Err(error),
        error => {
            let index = check.reader.layout().index();
            check.find(Finding::new("index", error.to_string()).in_file(&index));
            Ok(())
        }
    }
}

fn tell(check: &mut Check<'_>, found: &Completeness, head: u64) {
    let index = check.reader.layout().index();
    if found.reached > head {
        check.find(
            Finding::new("index", "it claims records that are not in the archive")
                .in_file(&index)
                .instead(head, found.reached),
        );
    } else if found.reached < head {
        check.report.notes.push(format!("the search index is {} records behind", head - found.reached));
    }
    if let Some(detail) = &found.miscounted {
        check.find(Finding::new("index", detail.clone()).in_file(&index));
    }
    for (records, what) in [
        (&found.missing, "a record that should be found is not there"),
        (&found.extra, "a record is there that makes no document"),
        (&found.different, "a document says something else than its record"),
        (&found.twice, "a record is there twice"),
        (&found.lost, "a record is not found by a word of its text"),
    ] {
        for record in records {
            check.find(Finding::new("index", what).at(*record).in_file(&index));
        }
    }
}
