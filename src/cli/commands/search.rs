use serde_json::Value;

use crate::cli::output::visible;
use crate::cli::{CliError, Context, Exit};
use crate::history::directory;
use crate::index::{HIT_END, HIT_START, Order, Searcher};
use crate::model::{ChannelId, Scope, Zone, parse_time};
use crate::query::{self, Query, Sort, explain};
use crate::web::teamchat::{SearchRequest, parse_states, search_reply};

/// Search all versions of everything
///
/// Words that must all occur, "a phrase", OR, NOT or -word, begin*, parentheses, and fields:
/// from: in: before: after: on: during: has: is: kind: file: ext: id:. Accents and case do not
/// matter. Totals are exact. Exit code 1 when nothing matches.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  teamchat-archive search '\"change order\" -draft'\n  teamchat-archive search 'from:sara after:2026-03-01 is:deleted' --sort newest\n  teamchat-archive search 'price*' --kind files --json"
)]
pub(crate) struct Args {
    /// What to look for
    query: String,
    /// all, messages (with comments) or files
    #[arg(long, default_value = "all", value_parser = ["all", "messages", "files"])]
    kind: String,
    /// Only in this channel (may be repeated)
    #[arg(long, value_name = "ID")]
    channel: Vec<String>,
    /// current, edited, deleted; commas between
    #[arg(long, value_name = "STATES", default_value = "current,edited,deleted")]
    states: String,
    /// relevance, newest or oldest
    #[arg(long, default_value = "relevance", value_parser = ["relevance", "newest", "oldest"])]
    sort: String,
    /// Matches a page
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
    /// Which page
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    page: u32,
    /// Go on where a reply's `next_cursor` points
    #[arg(long, conflicts_with = "page")]
    cursor: Option<String>,
    /// Only what was written before this time
    #[arg(long, value_name = "TIME")]
    before: Option<String>,
    /// The zone in which days begin and times are shown
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,
    /// Say how the query was read, and search nothing
    #[arg(long)]
    explain: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let archive = context.archive()?;
    let zone = match &args.tz {
        Some(name) => Zone::parse(name)
            .ok_or_else(|| CliError::usage(format!("`{name}` is no zone; it looks like Europe/Prague")))?,
        None => archive.config.zone(),
    };
    let parsed = query::parse(&args.query, &query::Context { zone, now: context.clock.now() })?;
    let mut query = parsed.query;
    if let Some(before) = &args.before {
        let to = parse_time(before, zone).ok_or_else(|| {
            CliError::usage(format!("`{before}` is no time; it looks like 2026-03-04 or 2026-03-04T10:00:00Z"))
        })?;
        query = Query::And(vec![query, Query::Time(crate::model::TimeRange { from: None, to: Some(to) })]);
    }
    let reading = explain(&query, zone);
    for warning in &parsed.warnings {
        context.output.say(&format!("warning: {warning}"));
    }
    if args.explain {
        if context.output.json {
            context.output.json(&serde_json::json!({"query": args.query, "reading": reading, "warnings": parsed.warnings, "zone": zone.name()}))?;
        } else {
            context.output.data(&reading)?;
        }
        return Ok(Exit::Done);
    }
    let states = parse_states(&args.states)
        .ok_or_else(|| CliError::usage("states are current, edited and deleted, with commas between"))?;
    let scope = match args.channel.as_slice() {
        [] => Scope::All,
        channels => Scope::Channels(channels.iter().filter_map(|id| ChannelId::parse(id)).collect()),
    };
    let request = SearchRequest {
        text: &args.query,
        query: &query,
        only: match args.kind.as_str() {
            "files" => Some(Sort::File),
            "messages" => Some(Sort::Message),
            _ => None,
        },
        states: &states,
        order: Order::parse(&args.sort).unwrap_or(Order::Relevance),
        count: usize::from(args.limit),
        page: usize::try_from(args.page).unwrap_or(1),
        cursor: args.cursor.as_deref(),
        marks_in_text: false,
    };
    let names = directory(&archive.reader)?;
    let reply = search_reply(&archive.reader, &Searcher::new(&archive.layout), &names, &scope, &request)?;
    let total: u64 = ["messages", "files"].iter().filter_map(|name| reply[name]["total"].as_u64()).sum();
    let behind = archive.reader.head()?.saturating_sub(reply["searched_through"].as_u64().unwrap_or(0));
    if behind > 0 {
        context.output.say(&format!("warning: the index is {behind} records behind; `teamchat-archive index rebuild` or the next crawl brings it up"));
    }
    if context.output.json {
        context.output.json(&reply)?;
    } else {
        print(context, &reply, &reading, zone, &names)?;
    }
    Ok(if total == 0 { Exit::Failure } else { Exit::Done })
}

fn print(
    context: &Context,
    reply: &Value,
    reading: &str,
    zone: Zone,
    names: &crate::history::Directory,
) -> Result<(), CliError> {
    context.output.say(&format!("interpreted as: {reading} (times in {})", zone.name()));
    for note in reply["notes"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        context.output.say(&format!("note: {note}"));
    }
    for name in ["messages", "files"] {
        let Some(list) = reply[name].as_object() else { continue };
        context.output.say(&format!("{} {name}", list["total"]));
        for found in list["matches"].as_array().into_iter().flatten() {
            context.output.data(&line(found, zone, names))?;
        }
    }
    if let Some(cursor) = reply["next_cursor"].as_str() {
        context.output.say(&format!("more: --cursor '{cursor}'"));
    }
    Ok(())
}

/// A match in two lines: where and when, then what, with hits between brackets.
fn line(found: &Value, zone: Zone, names: &crate::history::Directory) -> String {
    let archive = &found["archive"];
    let time = match found["ts"].as_str().and_then(crate::model::MessageTs::parse) {
        Some(ts) => ts.time(),
        None => chrono::DateTime::from_timestamp(crate::model::json::as_int(&found["created"]).unwrap_or(0), 0)
            .unwrap_or(chrono::DateTime::UNIX_EPOCH),
    };
    let state = match archive["state"].as_str() {
        Some("current") | None => String::new(),
        Some(state) => format!(" [{state}]"),
    };
    let author = found["user"].as_str().or_else(|| found["username"].as_str()).unwrap_or_default();
    let text = visible(archive["highlight"].as_str().unwrap_or_default())
        .replace(HIT_START, "\u{1b}[1m[")
        .replace(HIT_END, "]\u{1b}[0m")
        .replace('\n', "\n    ");
    let name = found["name"].as_str().map(|name| format!("{}: ", visible(name))).unwrap_or_default();
    format!(
        "record {}  {}  {}  {}{state}\n    {name}{text}",
        archive["record"],
        zone.full_text(time),
        archive["channel_name"].as_str().unwrap_or_default(),
        visible(names.person(author)),
    )
}
