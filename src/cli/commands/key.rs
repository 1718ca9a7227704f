use std::time::Duration;

use clap::Subcommand;

use super::crawl::parse_duration;
use crate::app::{KeyPlace, KeyState, Rotated};
use crate::cli::{CliError, Context, Exit};
use crate::record::Reason;

/// The keys that sign the archive's checkpoints
///
/// They lie outside the archive and are needed for signing only; reading never needs one.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  teamchat-archive key show\n  teamchat-archive key rotate --overlap 30d\n  teamchat-archive key rotate --lost"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Name them: ids, public halves, where they lie, since when
    Show,
    /// Let a new key sign from here on
    ///
    /// A record under the old key tells of the change, and both sign for a while: whoever knows the
    /// old key learns of the new one by its signature. Cut off anywhere, the next command that writes
    /// finishes it.
    Rotate {
        /// How long both keys sign: 30d, 12h
        #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "30d", conflicts_with = "lost")]
        overlap: Duration,
        /// The old key is lost: the record says so, and nobody who knows it learns of the new one by
        /// a signature
        #[arg(long)]
        lost: bool,
    },
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let archive = context.archive()?;
    match &args.verb {
        Verb::Show => {
            let state = archive.key_state()?;
            if context.output.json {
                context.output.json(&state)?;
            } else {
                context.output.data(&describe(&state))?;
            }
        }
        Verb::Rotate { overlap, lost } => {
            let overlap = chrono::TimeDelta::from_std(*overlap)
                .ok()
                .filter(|overlap| *overlap <= chrono::TimeDelta::days(3660))
                .ok_or_else(|| CliError::usage("both keys sign for ten years at most"))?;
            let rotated = archive.rotate_key(*lost, overlap)?;
            if context.output.json {
                context.output.json(&rotated)?;
            } else {
                context.output.data(&told(&rotated))?;
            }
            context.output.say("back the new key up, apart from the archive, and give its public half (`ledger.vkey`) to those who verify with `--key`");
        }
    }
    Ok(Exit::Done)
}

fn told(rotated: &Rotated) -> String {
    let begun = if rotated.resumed { "an earlier change of key is finished: " } else { "" };
    let overlap = match (&rotated.reason, &rotated.overlap_until) {
        (Reason::Rotated, Some(until)) => format!("both sign until {until}"),
        (Reason::Rotated, None) => "the one before signs no more".to_owned(),
        (Reason::Lost, _) => "the one before is recorded as lost".to_owned(),
    };
    format!(
        "{begun}{} signs from record {} on, in place of {}; {overlap}\n{}\n",
        rotated.key_id, rotated.record, rotated.previous_key_id, rotated.vkey
    )
}

fn lines(name: &str, place: &KeyPlace) -> String {
    let since = place.since.as_ref().map(|since| format!(", since {since}")).unwrap_or_default();
    format!(
        "{name:<9} {}{since}\n          {}\n          {}: {}\n",
        place.key_id,
        place.vkey,
        place.path.display(),
        place.private
    )
}

fn describe(state: &KeyState) -> String {
    let mut text = lines("ledger", &state.ledger);
    match &state.pinned {
        Some(id) if *id == state.ledger.key_id => {}
        Some(id) => text.push_str(&format!("          `ledger.vkey` beside it is another key, {id}\n")),
        None => text.push_str("          there is no `ledger.vkey` beside it: `verify` has only the archive's word\n"),
    }
    if let Some(previous) = &state.previous {
        text.push_str(&lines("previous", &previous.place));
        let why = match previous.reason {
            Reason::Rotated => "rotated",
            Reason::Lost => "lost",
        };
        let what = match (previous.signs, previous.may_be_destroyed, &previous.overlap_until) {
            (true, _, Some(until)) => format!("signs too until {until}"),
            (_, true, _) => "signs no more: it may be destroyed".to_owned(),
            _ => "signs no more".to_owned(),
        };
        text.push_str(&format!("          {why} in record {}; {what}\n", previous.record));
    }
    match &state.access {
        Some(access) => text.push_str(&lines("access", access)),
        None => text.push_str("access    none yet: the next `serve` makes the access log's key\n"),
    }
    text
}
