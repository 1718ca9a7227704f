use super::records::Seen;
use super::{Check, Finding};
use crate::index::{self, Searcher};
use crate::store::Error;

/// That the index holds a document for each reading it has reached, and no other. One that is
/// missing or behind can be rebuilt: it is noted and is no fault.
pub(super) fn check(check: &mut Check<'_>, seen: &Seen) -> Result<(), Error> {
    let layout = check.reader.layout().clone();
    let searcher = Searcher::new(&layout);
    let (reached, documents) = match searcher.reached().and_then(|reached| Ok((reached, searcher.all_records()?))) {
        Ok(found) => found,
        Err(index::Error::Absent { detail, .. }) => {
            check.report.notes.push(format!("the search index was not checked: {detail}"));
            return Ok(());
        }
        Err(index::Error::Store(error)) => return Err(error),
        Err(error) => {
            check.find(Finding::new("index", error.to_string()).in_file(&layout.index()));
            return Ok(());
        }
    };
    let Some(head) = check.absorb(check.reader.head())? else { return Ok(()) };
    if reached > head {
        check.find(
            Finding::new("index", "it claims records that are not in the archive")
                .in_file(&layout.index())
                .instead(head, reached),
        );
    } else if reached < head {
        check.report.notes.push(format!("the search index is {} records behind", head - reached));
    }
    let mut expected: Vec<u64> = seen.readings.iter().copied().filter(|seq| *seq < reached).collect();
    expected.sort_unstable();
    check.report.checked.documents = documents.len() as u64;
    let mut wanted = expected.iter().peekable();
    let mut previous = None;
    for found in &documents {
        if previous == Some(*found) {
            check.find(Finding::new("index", "a record is there twice").at(*found).in_file(&layout.index()));
            continue;
        }
        previous = Some(*found);
        while let Some(missing) = wanted.next_if(|wanted| **wanted < *found) {
            check.find(
                Finding::new("index", "a record that should be found is not there")
                    .at(*missing)
                    .in_file(&layout.index()),
            );
        }
        // Readings beyond the record reached may be there already: a later version rewrites all.
        if wanted.next_if_eq(&found).is_none()
            && *found < reached.min(seen.head)
            && !seen.readings.contains(found)
            && !seen.is_unread(*found)
        {
            check.find(
                Finding::new("index", "a record is there that is no message, comment or file")
                    .at(*found)
                    .in_file(&layout.index()),
            );
        }
    }
    for missing in wanted {
        check.find(
            Finding::new("index", "a record that should be found is not there").at(*missing).in_file(&layout.index()),
        );
    }
    Ok(())
}
