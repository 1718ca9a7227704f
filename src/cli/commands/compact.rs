use std::time::Instant;

use serde_json::json;

use crate::cli::{CliError, Context, Exit};
use crate::store::{Compacted, SealLimits, Weight};

/// Packs what is archived more tightly
///
/// Records, their numbers, their proofs and the index stay what they are: whole runs of 128 records are
/// put together and packed with a dictionary that was learned from them. What was packed is read back and
/// compared before it takes the place of what was there. It can be stopped at any moment; the next time
/// goes on where it stopped, and does nothing when there is nothing to do.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  teamchat-archive compact\n  teamchat-archive compact --json")]
pub(crate) struct Args {}

pub(crate) fn run(context: &Context, _: &Args) -> Result<Exit, CliError> {
    let archive = context.archive()?;
    let began = Instant::now();
    let bar = context.output.bar("records", 0);
    let outcome = archive.compact(SealLimits::default(), &mut |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let compacted = outcome?;
    if context.output.json {
        let Compacted { sealed, trained, too_long, before, after } = compacted;
        let pair = |part: fn(&Weight) -> u64| json!({"before": part(&before), "after": part(&after)});
        context.output.json(&json!({
            "records": {"sealed": sealed},
            "dictionaries": {"trained": trained},
            "spans": {"too_long": too_long},
            "blocks": pair(|weight| weight.blocks),
            "block_bytes": pair(|weight| weight.block_bytes),
            "database_bytes": pair(|weight| weight.database_bytes),
            "duration_ms": u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        }))?;
    } else {
        context.output.data(&describe(&compacted))?;
    }
    Ok(Exit::Done)
}

fn describe(compacted: &Compacted) -> String {
    let Compacted { sealed, trained, too_long, before, after } = compacted;
    let mut text = if *sealed == 0 {
        "nothing to pack: what can be packed is\n".to_owned()
    } else {
        format!(
            "packed {sealed} records: {} blocks of {} bytes became {} of {}\n",
            before.blocks, before.block_bytes, after.blocks, after.block_bytes
        )
    };
    if *trained > 0 {
        text.push_str(&format!("dictionaries made: {trained}\n"));
    }
    if *too_long > 0 {
        text.push_str(&format!("runs of 128 records that are too long to be packed: {too_long}\n"));
    }
    text.push_str(&format!("archive.db: {} bytes, before {}\n", after.database_bytes, before.database_bytes));
    text
}
