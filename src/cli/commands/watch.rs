use std::time::Duration;

use serde_json::{Value, json};

use super::crawl::{describe, parse_duration, parse_rate};
use super::serve::stopped;
use crate::app::{LiveCounts, Offered, WatchEvent, WatchOptions, watch};
use crate::cli::{CliError, Context, Exit};

/// Crawls on a schedule and follows live events until stopped
///
/// Accounts that were enrolled with `login --live` are listened with: every event is kept as it
/// comes, so that what is edited or deleted between two passes leaves a trace. The others are
/// crawled only, and nobody appears online who is not. The index follows after seconds, a checkpoint
/// is signed every few minutes. `login` and `account` may be used meanwhile: each pass looks again
/// who is enrolled.
///
/// SIGTERM or Ctrl-C ends it in order, a second one at once; killed at any moment, the next `watch` or
/// `crawl` goes on. Under systemd it says READY, WATCHDOG and STOPPING (Type=notify). Ends with exit
/// code 4 while something is owed, as `coverage` says.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  teamchat-archive watch\n  teamchat-archive watch --interval 1m --json")]
pub(crate) struct Args {
    /// From the beginning of one pass to the next: 90s, 30m, 2h
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "5m")]
    interval: Duration,
    /// From one signed checkpoint to the next
    #[arg(long, value_name = "TIME", value_parser = parse_duration, default_value = "10m")]
    checkpoint_interval: Duration,
    /// Requests a second, or `unlimited` for one's own server
    #[arg(long, value_name = "N|unlimited", value_parser = parse_rate)]
    rate: Option<f64>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let archive = context.archive()?;
    let options = WatchOptions {
        interval: args.interval.max(Duration::from_secs(1)),
        checkpoint_interval: args.checkpoint_interval,
        rate: args.rate,
    };
    let mut failed = None;
    let mut tell = |event: WatchEvent<'_>| match say(context, &options, &event) {
        Ok(()) => true,
        Err(error) => {
            failed = Some(error);
            false
        }
    };
    let outcome = context.block_on(watch(&archive, &context.environment, &options, &mut tell, stopped))?;
    if let Some(error) = failed {
        return Err(error);
    }
    outcome?;
    if archive.anchor_status()?.iter().any(|anchor| anchor.contradicts) {
        return Ok(Exit::Integrity);
    }
    Ok(if archive.coverage()?.complete { Exit::Done } else { Exit::Incomplete })
}

/// One line of what happens.
fn say(context: &Context, options: &WatchOptions, event: &WatchEvent<'_>) -> Result<(), CliError> {
    if context.output.json {
        return match event {
            WatchEvent::Pass(summary) => context.output.json_line(summary),
            other => context.output.json_line(&line(options, other)),
        };
    }
    let text = match event {
        WatchEvent::Ready { accounts, live } => format!(
            "watching with {} of which {} live, a pass every {} s; Ctrl-C ends it",
            counted(accounts.len(), "account"),
            live.len(),
            options.interval.as_secs()
        ),
        WatchEvent::Connected(name) => format!("live      {name} is listened with"),
        WatchEvent::Disconnected(name, error) => format!("live      {name}: {error}; it is opened again"),
        WatchEvent::Refused(name, error) => format!("live      {name} is not listened with any more: {error}"),
        WatchEvent::Pass(summary) => {
            let text = describe(summary);
            // Where nothing happened, that is all there is to say.
            let is_quiet = summary.records.added == 0 && summary.result == "complete" && summary.findings.is_empty();
            if is_quiet { text.lines().next().unwrap_or_default().to_owned() } else { text }
        }
        WatchEvent::Failed(error) => format!("a pass failed: {error}; the next is made in time"),
        WatchEvent::Looked(name, summary) => format!(
            "live      {name}: {} records added, {} deleted, after looking at what was told",
            summary.records.added, summary.messages.deleted
        ),
        WatchEvent::Live(counts) => heard(counts),
        WatchEvent::Checkpoint(checkpoint) => {
            format!("signed    {} records, root {}", checkpoint.size, checkpoint.root)
        }
        WatchEvent::Offered(Offered { kind, name, size, outcome }) => match outcome {
            Ok(()) => format!("kept      {kind} {name} has the checkpoint of {size} records"),
            Err(error) => format!("kept      not by {kind} {name}: {error}"),
        },
        WatchEvent::IndexFailed(error) => format!("the index is behind: {error}; it is tried again"),
        WatchEvent::Stopping => "stopping".to_owned(),
    };
    context.output.data(&text)
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

fn heard(counts: &LiveCounts) -> String {
    let delay = counts.durable_p99_ms.map(|ms| format!(", 99 in 100 durable within {ms:.0} ms")).unwrap_or_default();
    format!(
        "live      {} events since the beginning: {} messages new, {} readings more, {} deletions confirmed{delay}",
        counts.events, counts.new, counts.edited, counts.deleted
    )
}

/// The same for programs; what is no run summary has `event`.
fn line(options: &WatchOptions, event: &WatchEvent<'_>) -> Value {
    match event {
        WatchEvent::Ready { accounts, live } => json!({
            "event": "ready",
            "accounts": accounts,
            "live": live,
            "interval_seconds": options.interval.as_secs(),
            "checkpoint_interval_seconds": options.checkpoint_interval.as_secs(),
        }),
        WatchEvent::Connected(name) => json!({"event": "connected", "account": name}),
        WatchEvent::Disconnected(name, error) => {
            json!({"event": "disconnected", "account": name, "reason": error.to_string()})
        }
        WatchEvent::Refused(name, error) => {
            json!({"event": "refused", "account": name, "reason": error.to_string()})
        }
        WatchEvent::Pass(summary) => json!(summary),
        WatchEvent::Failed(error) => json!({"event": "pass_failed", "reason": error.to_string()}),
        WatchEvent::Looked(name, summary) => json!({
            "event": "looked",
            "account": name,
            "records": summary.records,
            "messages": summary.messages,
            "findings": summary.findings,
        }),
        WatchEvent::Live(counts) => {
            let mut line = json!(counts);
            line["event"] = json!("live");
            line
        }
        WatchEvent::Checkpoint(checkpoint) => {
            json!({"event": "checkpoint", "size": checkpoint.size, "root": checkpoint.root.to_string()})
        }
        WatchEvent::Offered(Offered { kind, name, size, outcome: Ok(()) }) => {
            json!({"event": "anchored", "kind": kind, "name": name, "size": size})
        }
        WatchEvent::Offered(Offered { kind, name, size, outcome: Err(error) }) => json!({
            "event": "anchor_failed",
            "kind": kind,
            "name": name,
            "size": size,
            "contradicts": error.is_contradiction(),
            "reason": error.to_string(),
        }),
        WatchEvent::IndexFailed(error) => json!({"event": "index_failed", "reason": error.to_string()}),
        WatchEvent::Stopping => json!({"event": "stopping"}),
    }
}
