use std::path::PathBuf;

use crate::cli::{CliError, Context, Exit, description};

/// Print the manual page, or write one a command to a folder
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder to write to
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    if let Some(folder) = &args.output {
        fs_err::create_dir_all(folder)?;
        clap_mangen::generate_to(description(), folder)?;
    } else {
        let mut page = Vec::new();
        clap_mangen::Man::new(description()).render(&mut page)?;
        context.output.bytes(&page)?;
    }
    Ok(Exit::Done)
}
