use std::time::Duration;

use crate::api::Patience;
use crate::cli::{CliError, Context, Exit};
use crate::crawl::{Options, Plan, Summary, plan};
use crate::model::{self, ChannelId};

/// One pass: everything new, changed or gone since the last
///
/// Walks every channel and conversation the enrolled accounts see, fetches files and comments,
/// signs a checkpoint and brings the search index up to date. Killed at any moment, the next
/// `crawl` goes on. Ends with exit code 4 while something is owed, and says what.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  teamchat-archive crawl\n  teamchat-archive crawl --full --budget 30m\n  teamchat-archive crawl --plan"
)]
pub(crate) struct Args {
    /// Crawl only with this account (may be repeated)
    #[arg(long, value_name = "NAME")]
    account: Vec<String>,
    /// Crawl only this channel (may be repeated)
    #[arg(long, value_name = "ID")]
    channel: Vec<String>,
    /// Walk all history again, for edits and deletions of any age
    #[arg(long)]
    full: bool,
    /// Stop asking after this long: 90s, 30m, 2h
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    budget: Option<Duration>,
    /// Leave file contents out; they are owed
    #[arg(long)]
    no_files: bool,
    /// Requests a second, or `unlimited` for one's own server
    #[arg(long, value_name = "N|unlimited", value_parser = parse_rate)]
    rate: Option<f64>,
    /// Predict requests and time; fetch no history
    #[arg(long)]
    plan: bool,
}

pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    model::parse_duration(text).ok_or_else(|| "a time looks like 90s, 30m or 2h".to_owned())
}

pub(super) fn parse_rate(text: &str) -> Result<f64, String> {
    match text {
        "unlimited" => Ok(0.0),
        _ => text
            .parse()
            .ok()
            .filter(|rate: &f64| *rate > 0.0 && rate.is_finite())
            .ok_or_else(|| "a rate is a number above 0, or `unlimited`".to_owned()),
    }
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let archive = context.archive()?;
    let connection = archive.connect(Patience::default(), args.rate)?;
    let accounts = archive.accounts(&args.account, &connection)?;
    let only = (!args.channel.is_empty()).then(|| args.channel.iter().filter_map(|id| ChannelId::parse(id)).collect());
    let options =
        Options { full: args.full, files: !args.no_files, only, budget: args.budget, ..archive.crawl_options()? };
    if args.plan {
        let rate = args.rate.unwrap_or(archive.config.limits.requests_per_second);
        let plan = context.block_on(plan(&accounts, &archive.reader, &options, rate))??;
        if context.output.json {
            context.output.json(&plan)?;
        } else {
            context.output.data(&foresee(&plan))?;
        }
        return Ok(Exit::Done);
    }
    let progress = context.output.crawl_progress();
    let outcome = context.block_on(archive.crawl(&accounts, &options, &progress))?;
    progress.finish();
    let summary = outcome?;
    if context.output.json {
        context.output.json(&summary)?;
    } else {
        context.output.data(&describe(&summary))?;
    }
    Ok(exit(&summary))
}

/// A plan in words.
fn foresee(plan: &Plan) -> String {
    let least = if plan.is_lower_bound { "at least " } else { "about " };
    format!(
        "{least}{} requests, {} s: {} channels ({} never walked), {} messages and {} files to look at\n({})",
        plan.requests, plan.seconds, plan.channels, plan.never_walked, plan.messages, plan.files, plan.basis
    )
}

/// The exit code of a pass.
pub(super) fn exit(summary: &Summary) -> Exit {
    // Someone who keeps checkpoints of this archive knows another history of it.
    if summary.findings.iter().any(|finding| finding.kind == "anchor_contradicts") {
        return Exit::Integrity;
    }
    if summary.result == "complete" { Exit::Done } else { Exit::Incomplete }
}

/// A pass in words.
pub(super) fn describe(summary: &Summary) -> String {
    let mut text = format!(
        "run {} is {}: {} channels walked, {} records added in {:.1} s ({} requests)\n",
        summary.run,
        summary.result,
        summary.channels.walked,
        summary.records.added,
        Duration::from_millis(summary.duration_ms).as_secs_f64(),
        summary.requests
    );
    text.push_str(&format!(
        "messages  {} new, {} edited, {} deleted, {} restored\n",
        summary.messages.new, summary.messages.edited, summary.messages.deleted, summary.messages.restored
    ));
    text.push_str(&format!(
        "files     {} new, {} versions fetched ({} bytes), {} failed\n",
        summary.files.new, summary.files.versions, summary.files.bytes, summary.files.failed
    ));
    text.push_str(&format!(
        "comments  {} new, {} edited, {} deleted\n",
        summary.comments.new, summary.comments.edited, summary.comments.deleted
    ));
    if summary.reconciled.disagreements > 0 {
        text.push_str(&format!(
            "feeds     {} of {} messages are not told alike by the history and the feed\n",
            summary.reconciled.disagreements, summary.reconciled.messages
        ));
    }
    if summary.debts > 0 {
        text.push_str(&format!("owed      {} things, tried again by the next crawl\n", summary.debts));
    }
    if summary.gaps > 0 {
        text.push_str(&format!("gaps      {} open: `coverage` names them and what closes them\n", summary.gaps));
    }
    for finding in summary.findings.iter().take(20) {
        text.push_str(&format!("finding   {}: {}\n", finding.kind, finding.detail));
    }
    if summary.findings.len() > 20 {
        text.push_str(&format!("          and {} more: `--json` lists all\n", summary.findings.len() - 20));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_rates_as_people_write_them() {
        assert_eq!(parse_duration("30m"), Ok(Duration::from_mins(30)));
        assert_eq!(parse_duration("90"), Ok(Duration::from_secs(90)));
        assert!(parse_duration("soon").is_err());
        assert_eq!(parse_rate("unlimited"), Ok(0.0));
        assert!(parse_rate("0").is_err() && parse_rate("-1").is_err());
    }
}
