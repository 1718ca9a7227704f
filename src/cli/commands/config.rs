use clap::Subcommand;

use crate::cli::{CliError, Context, Exit};

/// The settings as they are after file and environment
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Print them (they hold no secrets)
    Show,
    /// Read them and say whether they are well formed
    Check,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let archive = context.archive()?;
    match args.verb {
        Verb::Show if context.output.json => context.output.json(&archive.config)?,
        Verb::Show => context.output.data(&archive.config.to_text()?)?,
        Verb::Check => context.output.data(&format!("{} is well formed", archive.layout.config().display()))?,
    }
    Ok(Exit::Done)
}
