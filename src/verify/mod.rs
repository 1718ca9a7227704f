//! What is stored, held against the ledger, the checkpoints and itself. Problems are data: a
//! check never stops at the first.

mod access;
mod anchors;
mod blobs;
mod checkpoints;
mod own;
mod records;
mod sealing;
mod search;
mod tables;

pub use anchors::{anchors, outside};
use serde::Serialize;

use crate::ledger::VerifierKey;
use crate::model::RecordSeq;
use crate::store::{Error, Reader};

/// Something that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Where: `block`, `node`, `checkpoint`, `blob`, `subject`, `span_index`, `counter`,
    /// `dictionary`, `definition`, `database`, `index`, `archive`, `about`, `access`, `anchor`.
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
        Depth::Sample(count) => records::sample(&mut check, count)?,
        Depth::Full => {
            tables::database(&mut check)?;
            if let Some(tables) = check.absorb(reader.tables())? {
                let seen = records::full(&mut check, &tables, progress)?;
                tables::rows(&mut check, &tables, &seen)?;
                own::check(&mut check, &tables)?;
                sealing::check(&mut check, &tables)?;
                blobs::check(&mut check, &seen)?;
                search::check(&mut check, &seen)?;
            }
            access::check(&mut check, trust.access.as_ref())?;
        }
    }
    check.report.ok = check.report.findings.is_empty();
    Ok(check.report)
}
