use std::io::{stdin, stdout};

use crate::cli::{CliError, Context, Exit};
use crate::extract;

/// Read one file from stdin in a confined process (started by other commands)
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Try what must be refused, and print what the system said
    #[arg(long)]
    self_test: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    if !args.self_test {
        extract::serve(&mut stdin().lock(), &mut stdout().lock())?;
        return Ok(Exit::Done);
    }
    let (confinement, attempts) = extract::test_confinement().map_err(CliError::other)?;
    let is_held = attempts.iter().all(|attempt| attempt.is_refused);
    context.output.json(&serde_json::json!({ "confinement": confinement, "attempts": attempts }))?;
    Ok(if is_held { Exit::Done } else { Exit::Failure })
}
