use std::path::PathBuf;

use crate::cli::{CliError, Context, Exit};
use crate::ledger::VerifierKey;
use crate::store::{Breadth, NoteFile, Unusable, note_files};
use crate::verify::{Depth, Report, outside};

/// Check all that is stored against the ledger and its checkpoints
///
/// Reads every record, computes the Merkle tree again, checks each signature, hashes every file,
/// and compares the tables, the guards and the search index with the records. Exit code 3 when
/// anything is not what it must be; each finding names the record.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  teamchat-archive verify\n  teamchat-archive verify --quick\n  teamchat-archive verify --checkpoint /mnt/elsewhere/latest.note --key ledger.vkey\n  teamchat-archive verify --checkpoint /mnt/elsewhere"
)]
pub(crate) struct Args {
    /// Signatures and roots only
    #[arg(long, conflicts_with_all = ["full", "sample"])]
    quick: bool,
    /// Everything (the default)
    #[arg(long)]
    full: bool,
    /// Prove the inclusion of N records spread over the archive
    #[arg(long, value_name = "N", conflicts_with = "full")]
    sample: Option<u64>,
    /// A checkpoint kept elsewhere, or a folder of them, which the archive must continue (may be repeated)
    #[arg(long, value_name = "FILE")]
    checkpoint: Vec<PathBuf>,
    /// The verification key to trust (a .vkey file)
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let archive = match context.archive() {
        Ok(archive) => archive,
        // A database that SQLite refuses is what `verify` is there to say.
        Err(error) if error.message().contains("is damaged") || error.message().contains("the database refused") => {
            return Err(CliError::new(Exit::Integrity, error.message())
                .hint("put back a copy whose checkpoint you know, and compare it with `--checkpoint`"));
        }
        Err(error) => return Err(error),
    };
    let key = match &args.key {
        Some(path) => {
            let text = fs_err::read_to_string(path).map_err(|error| CliError::usage(error.to_string()))?;
            Some(VerifierKey::parse(&text).map_err(|error| CliError::usage(format!("{}: {error}", path.display())))?)
        }
        None => None,
    };
    let kept = kept_elsewhere(&args.checkpoint)?;
    let depth = match (args.quick, args.sample) {
        (true, _) => Depth::Quick,
        (false, Some(count)) => Depth::Sample(count),
        (false, None) => Depth::Full,
    };
    let bar = context.output.bar("records", archive.reader.head().unwrap_or(0));
    let outcome = archive.check(depth, key, &mut |done, _| bar.set_position(done));
    bar.finish_and_clear();
    let report = outcome?;
    let keys = report.accepted.clone();
    let report = outside(&archive.reader, &kept, &keys, report)?;
    if context.output.json {
        context.output.json(&report)?;
    } else {
        context.output.data(&describe(&report))?;
    }
    Ok(if report.ok { Exit::Done } else { Exit::Integrity })
}

/// The checkpoints that the flags name. What can't be read is a wrong flag; what can be read and is
/// no checkpoint of this archive is a finding.
fn kept_elsewhere(paths: &[PathBuf]) -> Result<Vec<NoteFile>, CliError> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let found = note_files(path, Breadth::All).map_err(|error| CliError::usage(error.to_string()))?;
            if found.is_empty() {
                return Err(CliError::usage(format!("there is no checkpoint (*.note) in {}", path.display())));
            }
            files.extend(found);
        } else {
            files.push(NoteFile::read(path));
        }
    }
    for file in &files {
        if let Err(Unusable::Unreadable(error)) = &file.parsed {
            return Err(CliError::usage(format!("the checkpoint can't be read: {error}")));
        }
    }
    Ok(files)
}

fn describe(report: &Report) -> String {
    let checked = &report.checked;
    let mut text =
        if report.ok { "nothing is amiss\n".to_owned() } else { format!("{} findings\n", report.findings.len()) };
    for finding in &report.findings {
        let place = finding
            .record
            .map(|record| format!("record {record}: "))
            .or_else(|| finding.path.as_ref().map(|path| format!("{path}: ")))
            .unwrap_or_default();
        text.push_str(&format!("  {}  {place}{}\n", finding.kind, finding.detail));
        if !finding.expected.is_empty() {
            text.push_str(&format!("      expected {}\n      found    {}\n", finding.expected, finding.found));
        }
    }
    text.push_str(&format!(
        "checked {} records in {} blocks, {} tree nodes, {} checkpoints, {} files ({} bytes), {} index documents, {} proofs, {} entries of the access log\n",
        checked.records, checked.blocks, checked.nodes, checked.checkpoints, checked.blobs, checked.blob_bytes, checked.documents, checked.proofs, checked.entries
    ));
    if checked.anchors > 0 {
        text.push_str(&format!("and {} copies, cosignatures and time-stamps of checkpoints\n", checked.anchors));
    }
    text.push_str(&format!("key: {}\n", report.key));
    for note in &report.notes {
        text.push_str(&format!("note: {note}\n"));
    }
    text
}
