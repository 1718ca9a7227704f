//! What proves the records of a set, all in one file: `proofs/records.tlog-set.gz`.
//!
//! The text in it is the tree of the set's checkpoint from left to right. A record of the set is a leaf,
//! opened; where records are not in the set the root of the largest perfect subtree without any of them
//! stands instead. Whoever reads it computes the root of the whole tree and compares it with the signed one
//! (RFC 6962, section 2.1).
//!
//! ```text
//! teamchat-archive/set-proof/v1
//! origin <the log's name>
//! archive <its id, 32 hexadecimal digits>
//! size <records in the checkpoint>
//!
//! open <index> <kind> <the record's key, base64> <bytes of the header> <bytes of the body>
//! <header>
//! <body>
//! shut <index> <the opening of the leaf, with commitments for what is withheld>
//! node <level> <hash, base64>
//! end
//! ```
//!
//! A record's key gives the salts of its parts, and of no other record's; of a record of which anything is
//! withheld, or stays closed because it names conversations beyond the asker's scope, it is never shown. Its attachments are those that its header names.

use std::io::Write;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::Error;
use super::accounts::Accounts;
use super::bag::Bag;
use super::selection::Selection;
use super::unit::is_closed;
use crate::ledger::{Checkpoint, Label};
use crate::model::RecordSeq;
use crate::store::{Reader, SPAN};

/// The first line of the proof of the records.
pub(super) const TITLE: &str = "teamchat-archive/set-proof/v1";
/// The proof of the records.
const RECORDS: &str = "proofs/records.tlog-set.gz";
/// The signed checkpoint, verbatim.
const CHECKPOINT: &str = "proofs/checkpoint.note";
/// The proof that the log is a continuation of the one that was handed out before.
const CONSISTENCY: &str = "proofs/consistency.txt";

/// Writes the proofs of a set. `previous` is the checkpoint of the set handed out before, if there was one.
pub(super) fn write(
    bag: &mut Bag,
    reader: &Reader,
    selection: &Selection<'_>,
    accounts: &Accounts,
    checkpoint: &Checkpoint,
    note: &str,
    previous: Option<u64>,
) -> Result<(), Error> {
    bag.tag(CHECKPOINT, note.as_bytes())?;
    if let Some(old) = previous.filter(|old| *old < checkpoint.size && *old > 0) {
        let mut text = format!("old {old}\nold root {}\n", BASE64.encode(reader.root(old)?.0));
        for hash in reader.consistency(old, checkpoint.size)? {
            text.push_str(&BASE64.encode(hash.0));
            text.push('\n');
        }
        text.push('\n');
        text.push_str(note);
        bag.tag(CONSISTENCY, text.as_bytes())?;
    }
    let place = bag.folder().join(RECORDS);
    let file = std::fs::File::create(&place).map_err(Error::file("write", &place))?;
    let mut out = GzEncoder::new(std::io::BufWriter::new(file), Compression::fast());
    let mut cover = Cover { reader, selection, accounts, size: checkpoint.size, out: &mut out, key: None };
    cover.begin(checkpoint).and_then(|()| cover.all()).map_err(|error| match error {
        CoverError::Export(error) => error,
        CoverError::Io(source) => Error::file("write", &place)(source),
    })?;
    out.finish().and_then(|mut file| file.flush()).map_err(Error::file("write", &place))
}

enum CoverError {
    Export(Error),
    Io(std::io::Error),
}

impl From<std::io::Error> for CoverError {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<crate::store::Error> for CoverError {
    fn from(error: crate::store::Error) -> Self {
        Self::Export(error.into())
    }
}

struct Cover<'a, W: Write> {
    reader: &'a Reader,
    selection: &'a Selection<'a>,
    accounts: &'a Accounts,
    size: u64,
    out: &'a mut W,
    /// The secret of the span that was asked for last.
    key: Option<(u64, crate::ledger::SpanSecret)>,
}

impl<W: Write> Cover<'_, W> {
    fn begin(&mut self, checkpoint: &Checkpoint) -> Result<(), CoverError> {
        let archive = self.reader.archive().id;
        Ok(write!(self.out, "{TITLE}\norigin {}\narchive {archive}\nsize {}\n\n", checkpoint.origin, self.size)?)
    }

    /// The perfect subtrees that make up the tree, largest first.
    fn all(&mut self) -> Result<(), CoverError> {
        let mut start = 0;
        while start < self.size {
            let level = u8::try_from((self.size - start).ilog2()).unwrap_or(63);
            self.subtree(level, start)?;
            start += 1 << level;
        }
        Ok(self.out.write_all(b"end\n")?)
    }

    fn subtree(&mut self, level: u8, start: u64) -> Result<(), CoverError> {
        if !self.accounts.shown.any(start, start + (1 << level)) {
            let hash = self.reader.subtree(level, start >> level)?;
            return Ok(writeln!(self.out, "node {level} {}", BASE64.encode(hash.0))?);
        }
        if level == 0 {
            return self.leaf(RecordSeq(start));
        }
        self.subtree(level - 1, start)?;
        self.subtree(level - 1, start + (1 << (level - 1)))
    }

    fn leaf(&mut self, seq: RecordSeq) -> Result<(), CoverError> {
        if self.accounts.hidden.contains(seq.0) {
            let mut opening = self.reader.opening(seq)?;
            // What is redacted shows its place and time. A header that names contents lets whoever has a file
            // confirm that it is that one.
            let header = self.reader.record(seq)?.header;
            let is_bare = header.attachments.is_empty() && header.shared_in.is_empty();
            if !self.selection.redacts(seq) || !is_bare {
                opening.redact(Label::Header);
            }
            opening.redact(Label::Body);
            for place in 0..=u8::MAX - 16 {
                if !opening.redact(Label::Attachment(place)) {
                    break;
                }
            }
            return Ok(writeln!(self.out, "shut {seq} {}", opening.to_line())?);
        }
        let record = self.reader.record(seq)?;
        if is_closed(&record, &self.selection.request.scope) {
            // The contents of a file may be proved all the same.
            let mut opening = self.reader.opening(seq)?;
            opening.redact(Label::Header);
            opening.redact(Label::Body);
            return Ok(writeln!(self.out, "shut {seq} {}", opening.to_line())?);
        }
        let span = seq.0 / SPAN;
        if self.key.as_ref().is_none_or(|(known, _)| *known != span) {
            self.key = Some((span, self.reader.span_secret(span)?));
        }
        let Some((_, secret)) = &self.key else { return Ok(()) };
        let header = record.header.to_line();
        writeln!(
            self.out,
            "open {seq} {} {} {} {}",
            record.header.kind.number(),
            BASE64.encode(secret.record_key(seq)),
            header.len(),
            record.body.len()
        )?;
        self.out.write_all(&header)?;
        self.out.write_all(b"\n")?;
        self.out.write_all(&record.body)?;
        Ok(self.out.write_all(b"\n")?)
    }
}
