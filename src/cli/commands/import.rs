use std::path::PathBuf;

use crate::app;
use crate::cli::output::visible;
use crate::cli::{CliError, Context, Exit};
use crate::ledger::VerifierKey;

/// Make an archive of a set in the format native
///
/// Every file, record and proof of the bag is checked first, against the key of --key, else against the one that
/// came with it. The archive is made at --archive, which must not exist; bodies, versions and order are those of the
/// archive that the set is from, the ledger is a new one, and each record says that it was imported and what it was
/// there. Contents that records name and the set does not hold are counted and owed (exit 4). On an error nothing is
/// left, and what a run left that was killed is removed by the next one to the same place.
///
/// The address of the server is the set's own word: no record that was signed says it. Compare it before you log in.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  teamchat-archive --archive ./copy import ./set-1\n  teamchat-archive --archive ./copy import ./set-1 --key ledger.vkey"
)]
pub(crate) struct Args {
    /// The directory of the bag
    bag: PathBuf,
    /// The key (.vkey) of the log that the set is from, got another way than with the set
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Where the keys of the new archive go
    #[arg(long, value_name = "DIR")]
    keys_dir: Option<PathBuf>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let key = match &args.key {
        Some(path) => {
            let text = fs_err::read_to_string(path).map_err(|error| CliError::other(error.to_string()))?;
            let key = VerifierKey::parse(text.trim())
                .map_err(|error| CliError::usage(format!("{} is no key: {error}", path.display())))?;
            Some(key)
        }
        None => None,
    };
    let bar = context.output.bar("import", 0);
    let (summary, server) = app::import(
        &context.global.archive,
        &args.bag,
        key.as_ref(),
        args.keys_dir.clone(),
        std::env::current_exe().ok(),
        &context.environment,
        &context.clock,
        &mut |done, of| {
            bar.set_length(of);
            bar.set_position(done);
        },
    )?;
    bar.finish_and_clear();
    if key.is_none() {
        context
            .output
            .say("the set was checked with the key that came with it: compare that key with one you got another way");
    }
    let server = if server.is_empty() { "that no server".to_owned() } else { format!("that {}", visible(&server)) };
    context.output.say(&format!(
        "only the set says {server} was archived: nothing signed names it, so compare it before you log in"
    ));
    let missing = summary.files.failed;
    if missing > 0 {
        context.output.say(&format!(
            "{missing} contents that records name are not in the set; they are owed, and a crawl asks for them"
        ));
    }
    if context.output.json {
        context.output.json(&summary)?;
    } else {
        context.output.data(&format!(
            "{} records imported into {}: {} messages, {} files, {} comments\n",
            summary.records.added,
            context.global.archive.display(),
            summary.messages.new,
            summary.files.new,
            summary.comments.new
        ))?;
    }
    Ok(if missing == 0 { Exit::Done } else { Exit::Incomplete })
}
