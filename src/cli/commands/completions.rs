use crate::cli::{CliError, Context, Exit, description};

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// bash, zsh, fish, elvish or powershell
    shell: clap_complete::Shell,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut description(), "teamchat-archive", &mut script);
    context.output.bytes(&script)?;
    Ok(Exit::Done)
}
