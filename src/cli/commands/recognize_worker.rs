use std::ffi::OsString;

use crate::cli::{CliError, Exit};
use crate::extract::recognize::become_limited;

/// Set limits, then become the program that recognises text in pictures (started by other commands)
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The program
    program: OsString,
    /// What it is started with
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

pub(crate) fn run(args: &Args) -> Result<Exit, CliError> {
    // Comes back only when it could not.
    let error = become_limited(&args.program, &args.arguments);
    Err(CliError::other(format!("can't become {}: {error}", args.program.display())))
}
