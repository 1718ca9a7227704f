use clap::Subcommand;
use serde_json::json;

use crate::cli::{CliError, Context, Exit};
use crate::index::{Indexer, Searcher, completeness, status};
use crate::store::DerivedReader;

/// The search index: whether it is whole, what it cannot find, and making it anew
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// How far it is behind the records, whether it holds exactly what they make, and which files
    /// could not be read
    Status {
        /// Only how far it is: do not compare it with the records
        #[arg(long)]
        quick: bool,
    },
    /// Make it anew from the records, beside the one that serves; one that was cut off is gone on with
    Rebuild {
        /// At most so many records a second
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        rate: Option<u32>,
    },
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let archive = context.archive()?;
    let head = archive.reader.head()?;
    let is_quick = match &args.verb {
        Verb::Rebuild { rate } => {
            let _lock = archive.layout.lock()?;
            archive.read_contents(&mut |_, _| {})?;
            let derived = DerivedReader::open(&archive.layout)?;
            let bar = context.output.bar("records", head);
            let outcome = Indexer::rebuild(&archive.layout).and_then(|mut indexer| {
                indexer.set_rate(*rate);
                indexer.catch_up(&archive.reader, derived.as_ref(), &mut |done| bar.set_position(done))
            });
            bar.finish_and_clear();
            outcome?;
            true
        }
        Verb::Status { quick } => *quick,
    };
    let status = status(&archive.layout, head);
    let derived = DerivedReader::open(&archive.layout)?;
    let files = match &derived {
        Some(derived) => derived.counts_by_status()?,
        None => Vec::new(),
    };
    let mut whole = json!(status);
    whole["files"] = files.iter().map(|(status, count)| (status.clone(), json!(count))).collect();
    let compared = match (is_quick, &status.generation) {
        (false, Some(_)) => {
            let bar = context.output.bar("records", head);
            let searcher = Searcher::new(&archive.layout);
            let outcome =
                completeness(&searcher, &archive.reader, derived.as_ref(), &mut |done| bar.set_position(done));
            bar.finish_and_clear();
            Some(outcome?)
        }
        _ => None,
    };
    if let Some(found) = &compared {
        whole["complete"] = json!({
            "whole": found.is_whole(), "compared": found.compared, "missing": found.missing, "extra": found.extra,
            "different": found.different, "twice": found.twice, "miscounted": found.miscounted,
            "canaries": found.canaries, "lost": found.lost,
        });
    }
    if context.output.json {
        context.output.json(&whole)?;
    } else {
        context.output.data(&format!(
            "{}: reaches record {}, {} behind; {} documents, {} bytes",
            status.generation.as_deref().unwrap_or("no index"),
            status.record,
            status.lag,
            status.documents,
            status.bytes
        ))?;
        for (status, count) in &files {
            context.output.data(&format!("files {status}: {count}"))?;
        }
        if let Some(found) = &compared {
            context.output.data(&format!(
                "{}: {} documents compared with their records, {} missing, {} extra, {} different, {} twice; {} of {} found by a word of their text",
                if found.is_whole() { "whole" } else { "NOT WHOLE: `teamchat-archive index rebuild` makes it anew" },
                found.compared,
                found.missing.len(),
                found.extra.len(),
                found.different.len(),
                found.twice.len(),
                found.canaries - found.lost.len() as u64,
                found.canaries
            ))?;
        }
    }
    Ok(match compared {
        Some(found) if !found.is_whole() => Exit::Integrity,
        _ => Exit::Done,
    })
}
