//! What is stored, held against the ledger, the checkpoints and itself. Problems are data: a
//! check never stops at the first.
//!
//! # What is checked, and against what
//!
//! Records against the leaves that they give, leaves against the stored nodes, nodes against those
//! above them, roots against signed checkpoints. Every other table that points into the records is
//! computed again from them, row by row: subjects, the span index, channels and their numbers,
//! counters, contents. A damaged block is named by its own, and what comes after it is checked as if
//! it were whole; rows that point into it are not accused.
//!
//! # What is outside, and why
//!
//! - Free pages, the gaps inside pages, and fields of the file's header that are SQLite's own: nothing
//!   that is archived lies there. A change of them changes no cell of any table.
//! - Crawl state (`account run walk debt file_state file_wanted unseen view mark told`): where the next
//!   pass goes on. It changes with every pass and is no evidence; a forged one makes a pass look again
//!   at what is known, or later than it would have.
//! - `checkpoint.at`: our clock's word for when a checkpoint was signed. Nothing signs it, and clocks
//!   are set back, so only that it is a time is checked; a keeper's answer proves the time.
//! - Which of several readings of a live event a message's first change was (`fetched` or `changed`) is
//!   told by the counters, not by the row.
//! - Contents under `blobs/` that no row lists (a pass that died
//!   leaves them).

mod access;
mod anchors;
mod blobs;
mod checkpoints;
mod decode;
mod keys;
mod nodes;
mod own;
mod records;
mod sealing;
mod search;
mod tables;

pub use anchors::{anchors, outside};
pub use keys::keys;

use std::collections::HashSet;

use serde::Serialize;

use crate::ledger::VerifierKey;
use crate::model::RecordSeq;
use crate::store::{Error, Reader};

/// Something that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Where: `block`, `node`, `salt`, `checkpoint`, `blob`, `subject`, `span_index`, `channel`,
    /// `counter`, `dictionary`, `about`, `archive`, `erased`, `maintenance`, `definition`, `database`,
    /// `index`, `access`, `anchor`, `key`.
    pub kind: &'static str,
    /// The record it concerns, or the first of several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<u64>,
    /// The file it concerns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// What should be there.
    pub expected: String,
    /// What is there.
    pub found: String,
    /// In words.
    pub detail: String,
}

impl Finding {
    fn new(kind: &'static str, detail: impl Into<String>) -> Self {
        Self { kind, record: None, path: None, expected: String::new(), found: String::new(), detail: detail.into() }
    }

    fn at(mut self, seq: u64) -> Self {
        self.record = Some(seq);
        self
    }

    fn in_file(mut self, path: &std::path::Path) -> Self {
        self.path = Some(path.display().to_string());
        self
    }

    #[expect(clippy::needless_pass_by_value, reason = "digests, numbers and texts are given alike")]
    fn instead(mut self, expected: impl ToString, found: impl ToString) -> Self {
        self.expected = expected.to_string();
        self.found = found.to_string();
        self
    }
}

/// How much was looked at.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Checked {
    /// Records whose leaves were computed again.
    pub records: u64,
    /// Blocks decoded.
    pub blocks: u64,
    /// Tree nodes compared.
    pub nodes: u64,
    /// Checkpoints whose signature and root were checked.
    pub checkpoints: u64,
    /// File contents hashed.
    pub blobs: u64,
    /// Bytes of file contents hashed.
    pub blob_bytes: u64,
    /// Documents of the search index compared.
    pub documents: u64,
    /// Records whose inclusion was proved.
    pub proofs: u64,
    /// Entries of the access log whose leaves were computed again.
    pub entries: u64,
    /// Copies, cosignatures and time-stamps of checkpoints that were compared.
    pub anchors: u64,
}

/// What a check gave.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// No finding.
    pub ok: bool,
    /// How much was looked at.
    pub checked: Checked,
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// What is worth knowing and no fault: an index that is behind, a key that is only the
    /// archive's own word.
    pub notes: Vec<String>,
    /// The key that checkpoints were checked with, or `unpinned` when the archive itself named it.
    pub key: String,
    /// The keys whose checkpoints are accepted: that one, and those that its trust reaches.
    #[serde(skip)]
    pub accepted: Vec<VerifierKey>,
}

/// How deep a check goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Signatures, and the tree's root at each checkpoint from its stored nodes.
    Quick,
    /// That, and the inclusion of so many records spread over the archive.
    Sample(u64),
    /// Every record, node, table row, file content and document.
    Full,
}

/// What a check works on.
struct Check<'a> {
    reader: &'a Reader,
    report: Report,
}

impl Check<'_> {
    fn find(&mut self, finding: Finding) {
        self.report.findings.push(finding);
    }

    /// An error of the store that is a finding, and passes on any other.
    fn absorb<T>(&mut self, outcome: Result<T, Error>) -> Result<Option<T>, Error> {
        match outcome {
            Ok(value) => Ok(Some(value)),
            Err(Error::Corrupt { seq: RecordSeq(seq), detail }) => {
                self.find(Finding::new("block", detail).at(seq));
                Ok(None)
            }
            Err(Error::Rollback { size, detail }) => {
                self.find(Finding::new("checkpoint", detail).at(size));
                Ok(None)
            }
            Err(Error::Damaged { path, detail }) => {
                self.find(Finding::new("database", detail).in_file(&path));
                Ok(None)
            }
            Err(Error::Sqlite(error)) => {
                self.find(Finding::new("database", error.to_string()));
                Ok(None)
            }
            Err(other) => Err(other),
        }
    }
}

/// How often a check begins again because blocks were sealed under its eyes.
const AGAIN: usize = 3;

/// Everything that is read record by record, and what points into the records.
fn records_and_tables(check: &mut Check<'_>, progress: &mut dyn FnMut(u64, u64)) -> Result<(), Error> {
    let before = check.report.clone();
    let mut again = AGAIN;
    loop {
        let Some(tables) = check.absorb(check.reader.tables())? else { return Ok(()) };
        let mut seen = records::full(check, &tables, progress)?;
        tables::rows(check, &tables, &mut seen)?;
        own::check(check, &tables)?;
        sealing::check(check, &tables)?;
        if again > 0 && check.report.findings.len() > before.findings.len() {
            // Another process may have sealed blocks since the tables were read, which moves what they
            // point to. What is damaged is found again.
            let now = check.absorb(check.reader.block_bounds())?.unwrap_or_default();
            let is_as_before = now.iter().filter(|(first, _)| *first < seen.head).eq(&tables.blocks);
            if !is_as_before {
                again -= 1;
                check.report = before.clone();
                continue;
            }
        }
        blobs::check(check, &tables, &seen);
        return search::check(check);
    }
}

/// The keys that are trusted because they come from elsewhere than the archive. Without one, the
/// archive's own word counts, which proves only that it agrees with itself.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// That of the archive's checkpoints.
    pub ledger: Option<VerifierKey>,
    /// That of the access log's.
    pub access: Option<VerifierKey>,
}

/// [`check_with`], with no key of the access log's own.
pub fn check(
    reader: &Reader,
    depth: Depth,
    key: Option<&VerifierKey>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Report, Error> {
    check_with(reader, depth, &Trust { ledger: key.cloned(), access: None }, progress)
}

/// Checks an archive. `progress` is told records done and all.
pub fn check_with(
    reader: &Reader,
    depth: Depth,
    trust: &Trust,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Report, Error> {
    let key = trust.ledger.as_ref();
    let report = Report {
        ok: false,
        checked: Checked::default(),
        findings: Vec::new(),
        notes: Vec::new(),
        key: "unpinned".to_owned(),
        accepted: Vec::new(),
    };
    let mut check = Check { reader, report };
    match key {
        Some(key) => check.report.key = format!("{}+{}", key.name(), key.id()),
        None => check.report.notes.push("no key was given and none is kept here: the checkpoints were checked with the key that the archive itself names".to_owned()),
    }
    checkpoints::check(&mut check, key)?;
    match depth {
        Depth::Quick => {}
        Depth::Sample(count) => records::sample(&mut check, count, progress)?,
        Depth::Full => {
            tables::database(&mut check)?;
            records_and_tables(&mut check, progress)?;
            access::check(&mut check, trust.access.as_ref())?;
        }
    }
    // Several checks come upon the same damage.
    let mut told = HashSet::new();
    check
        .report
        .findings
        .retain(|finding| told.insert((finding.kind, finding.record, finding.path.clone(), finding.detail.clone())));
    check.report.ok = check.report.findings.is_empty();
    Ok(check.report)
}
