use std::path::PathBuf;

use crate::cli::{CliError, Context, Exit};
use crate::ledger::{Checkpoint, Note, VerifierKey};
use crate::store::Error;
use crate::verify::{Depth, Finding, Report, check};

/// Check all that is stored against the ledger and its checkpoints
///
/// Reads every record, computes the Merkle tree again, checks each signature, hashes every file,
/// and compares the tables, the guards and the search index with the records. Exit code 3 when
/// anything is not what it must be; each finding names the record.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  teamchat-archive verify\n  teamchat-archive verify --quick\n  teamchat-archive verify --checkpoint /mnt/elsewhere/latest.note --key ledger.vkey"
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
    /// A checkpoint kept elsewhere, which the archive must continue
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
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
        None => archive.keys.ledger_vkey(),
    };
    let depth = match (args.quick, args.sample) {
        (true, _) => Depth::Quick,
        (false, Some(count)) => Depth::Sample(count),
        (false, None) => Depth::Full,
    };
    let bar = context.output.bar("records", archive.reader.head().unwrap_or(0));
    let outcome = check(&archive.reader, depth, key.as_ref(), &mut |done, _| bar.set_position(done));
    bar.finish_and_clear();
    let mut report = outcome?;
    crate::verify::keys(&archive.keys, &mut report);
    if let Some(path) = &args.checkpoint {
        outside(&archive.reader, path, key.as_ref().or(archive.reader.own_key().as_ref()), &mut report)?;
    }
    if context.output.json {
        context.output.json(&report)?;
    } else {
        context.output.data(&describe(&report))?;
    }
    Ok(if report.ok { Exit::Done } else { Exit::Integrity })
}

/// A checkpoint kept elsewhere: signed by the trusted key, and continued by the archive.
fn outside(
    reader: &crate::store::Reader,
    path: &std::path::Path,
    key: Option<&VerifierKey>,
    report: &mut Report,
) -> Result<(), CliError> {
    let bytes = fs_err::read(path).map_err(|error| CliError::usage(error.to_string()))?;
    let parsed = Note::parse(&bytes).and_then(|note| {
        if let Some(key) = key {
            note.verify(key)?;
        }
        Checkpoint::parse(note.text())
    });
    let problem = match parsed {
        Err(error) => Some(error.to_string()),
        Ok(checkpoint) if checkpoint.origin != reader.archive().origin => {
            Some(format!("it is a checkpoint of another archive, {}", checkpoint.origin))
        }
        Ok(checkpoint) => match reader.continues(&checkpoint) {
            Ok(()) => {
                report.checked.checkpoints += 1;
                None
            }
            Err(error @ (Error::Rollback { .. } | Error::Corrupt { .. })) => Some(error.to_string()),
            Err(error) => return Err(error.into()),
        },
    };
    if let Some(detail) = problem {
        report.findings.push(Finding {
            kind: "checkpoint",
            record: None,
            path: Some(path.display().to_string()),
            expected: "an archive that continues it".to_owned(),
            found: "one that does not".to_owned(),
            detail,
        });
        report.ok = false;
    }
    Ok(())
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
        "checked {} records in {} blocks, {} tree nodes, {} checkpoints, {} files ({} bytes), {} index documents, {} proofs\n",
        checked.records, checked.blocks, checked.nodes, checked.checkpoints, checked.blobs, checked.blob_bytes, checked.documents, checked.proofs
    ));
    text.push_str(&format!("key: {}\n", report.key));
    for note in &report.notes {
        text.push_str(&format!("note: {note}\n"));
    }
    text
}
