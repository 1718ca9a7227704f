use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::app::inventory;
use crate::cli::output::visible;
use crate::cli::{CliError, Context, Exit};
use crate::history::{ChannelCoverage, Coverage, Debt, Expected, Limit, expected};
use crate::model::ChannelId;

/// Lines of one kind that are printed; `--json` has all.
const SHOWN: usize = 50;

/// What is covered, what is not, and why
///
/// Gaps are time that was not walked to the end; debts are owed and tried again; limits are what no
/// crawl with the enrolled accounts can see. Ends with exit code 4 while a gap or debt is open.
/// Changes nothing.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  teamchat-archive coverage\n  teamchat-archive coverage --expected inventory.csv\n  teamchat-archive coverage --channel C123 --json"
)]
pub(crate) struct Args {
    /// Only this channel or conversation (may be repeated)
    #[arg(long, value_name = "ID")]
    channel: Vec<String>,
    /// Compare with this inventory (CSV: kind,id,name; kind is account or room)
    #[arg(long, value_name = "FILE")]
    expected: Option<PathBuf>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let archive = context.archive()?;
    let mut coverage = archive.coverage()?;
    if let Some(path) = &args.expected {
        let (_, lines) = inventory::read(path).map_err(crate::app::Error::from)?;
        coverage.expected = Some(expected(&archive.reader, &lines)?);
    }
    if !args.channel.is_empty() {
        let wanted: BTreeSet<String> =
            args.channel.iter().filter_map(|id| ChannelId::parse(id)).map(|id| id.to_string()).collect();
        coverage.only(|id| wanted.contains(id.as_str()));
        if coverage.channels.len() < wanted.len() {
            let known: Vec<&str> = coverage.channels.iter().map(|channel| channel.channel.as_str()).collect();
            let unknown = wanted.iter().find(|id| !known.contains(&id.as_str())).map_or("", String::as_str);
            return Err(CliError::other(format!("nothing is known of a channel {unknown}"))
                .hint("`teamchat-archive coverage --json` lists them with their ids"));
        }
    }
    if context.output.json {
        context.output.json(&coverage)?;
    } else {
        context.output.data(&visible(&describe(&coverage)))?;
    }
    Ok(if coverage.complete { Exit::Done } else { Exit::Incomplete })
}

/// Coverage in words: what is open first, then what can never be seen.
fn describe(coverage: &Coverage) -> String {
    let (rooms, ims): (Vec<_>, Vec<_>) = coverage.channels.iter().partition(|channel| !channel.is_im);
    let mut text = format!("{} channels and {} direct conversations are known\n", rooms.len(), ims.len());
    text.push_str(&if coverage.complete {
        "complete for what the enrolled accounts can see: no gap, no debt\n".to_owned()
    } else if coverage.channels.iter().all(|channel| channel.intervals.is_empty()) {
        "nothing was crawled yet\n".to_owned()
    } else {
        format!("not complete: {} gaps, {} debts\n", coverage.gaps(), coverage.debts())
    });
    if let Some(seconds) = coverage.worst_staleness_seconds {
        text.push_str(&format!("every channel was walked to its end within the last {}", span(seconds)));
        match coverage.worst_audit_seconds {
            Some(audit) => text.push_str(&format!(", every message looked at again within {}\n", span(audit))),
            None => text.push('\n'),
        }
    }
    let mut gaps = Vec::new();
    let mut debts: Vec<String> = Vec::new();
    for channel in &coverage.channels {
        for gap in &channel.gaps {
            let from =
                gap.from.as_deref().map_or_else(|| "from the beginning".to_owned(), |from| format!("after {from}"));
            let to = gap.to.as_deref().map_or_else(|| "on".to_owned(), |to| format!("to {to}"));
            gaps.push(format!("{} ({}): {from} {to}: {}", title(channel), gap.account, gap.reason));
        }
        debts.extend(channel.debts.iter().map(|debt| format!("{}: {}", title(channel), debt_text(debt))));
    }
    debts.extend(coverage.debts.iter().map(|debt| format!("{} {}: {}", debt.kind, debt.key, debt_text(debt))));
    section(&mut text, "gaps", &gaps);
    section(&mut text, "debts", &debts);
    if let Some(expected) = &coverage.expected {
        text.push_str(&inventory_text(expected));
    }
    let excluded: Vec<String> = coverage
        .channels
        .iter()
        .filter_map(|channel| {
            let excluded = channel.excluded.as_ref()?;
            Some(format!(
                "{}: excluded by policy: {} ({}, since {})",
                title(channel),
                or_none(&excluded.reason),
                or_none(&excluded.by),
                or_none(&excluded.since)
            ))
        })
        .collect();
    section(&mut text, "exclusions", &excluded);
    let mut limits: Vec<String> = coverage.limits.iter().map(Limit::to_string).collect();
    let mut own: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for channel in &coverage.channels {
        for limit in &channel.limits {
            own.entry(limit.kind()).or_default().push(format!("{}: {limit}", title(channel)));
        }
    }
    limits.extend(own.into_values().flatten());
    section(&mut text, "limits (no crawl with these accounts can see this)", &limits);
    text
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { "not said" } else { text }
}

fn title(channel: &ChannelCoverage) -> String {
    if channel.is_im { format!("with {}", channel.name) } else { format!("#{}", channel.name) }
}

fn debt_text(debt: &Debt) -> String {
    match debt.tries {
        0 => format!("{} (since {})", debt.reason, debt.since),
        1 => format!("{} (since {}, tried once)", debt.reason, debt.since),
        tries => format!("{} (since {}, tried {tries} times)", debt.reason, debt.since),
    }
}

fn section(text: &mut String, heading: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    text.push_str(&format!("\n{heading}\n"));
    for line in lines.iter().take(SHOWN) {
        text.push_str(&format!("  {line}\n"));
    }
    if lines.len() > SHOWN {
        text.push_str(&format!("  and {} more: `--json` lists all\n", lines.len() - SHOWN));
    }
}

fn inventory_text(expected: &Expected) -> String {
    let mut text = String::from("\ninventory\n");
    for (what, seen) in [("people", &expected.accounts), ("rooms", &expected.rooms)] {
        if seen.expected == 0 {
            continue;
        }
        text.push_str(&format!("  {what}: {} of {} expected are here\n", seen.seen, seen.expected));
        let missing: Vec<String> = seen.missing.iter().map(|line| format!("{} {}", line.id, line.name)).collect();
        lines(&mut text, "missing", &missing);
        let silent: Vec<String> = seen.not_enrolled.iter().map(|line| format!("{} {}", line.id, line.name)).collect();
        lines(&mut text, "known, but not enrolled: what they alone can see is not here", &silent);
    }
    text
}

fn lines(text: &mut String, heading: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    text.push_str(&format!("    {heading}:\n"));
    for line in lines.iter().take(SHOWN) {
        text.push_str(&format!("      {}\n", line.trim()));
    }
    if lines.len() > SHOWN {
        text.push_str(&format!("      and {} more\n", lines.len() - SHOWN));
    }
}

/// A stretch of time as people say it.
fn span(seconds: i64) -> String {
    match seconds {
        ..=1 => "second".to_owned(),
        2..=119 => format!("{seconds} seconds"),
        120..=7199 => format!("{} minutes", seconds / 60),
        7200..=172_799 => format!("{} hours", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}
