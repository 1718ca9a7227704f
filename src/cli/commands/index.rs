use clap::Subcommand;

use crate::cli::{CliError, Context, Exit};
use crate::index::{Indexer, status};

/// The search index: how far it is, and making it anew
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// How far it is behind the records
    Status,
    /// Make it anew from the records, beside the one that serves
    Rebuild,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let archive = context.archive()?;
    if matches!(args.verb, Verb::Rebuild) {
        let _lock = archive.layout.lock()?;
        let bar = context.output.bar("records", archive.reader.head()?);
        let outcome = Indexer::rebuild(&archive.layout)
            .and_then(|mut indexer| indexer.catch_up(&archive.reader, &mut |done| bar.set_position(done)));
        bar.finish_and_clear();
        outcome?;
    }
    let status = status(&archive.layout, archive.reader.head()?);
    if context.output.json {
        context.output.json(&status)?;
    } else {
        context.output.data(&format!(
            "{}: reaches record {}, {} behind; {} documents, {} bytes",
            status.generation.as_deref().unwrap_or("no index"),
            status.record,
            status.lag,
            status.documents,
            status.bytes
        ))?;
    }
    Ok(Exit::Done)
}
