use std::path::PathBuf;

use serde_json::{Value, json};

use super::term_report;
use crate::cli::output::visible;
use crate::cli::{CliError, Context, Exit};
use crate::history::{Directory, Scoped, directory};
use crate::index::{Facet, HIT_END, HIT_START, Order, Searcher};
use crate::model::{ChannelId, Scope, Zone, parse_time};
use crate::query::{self, Query, Sort, explain};
use crate::store::DerivedReader;
use crate::web::teamchat::{SearchRequest, Sources, facet_plan, parse_states, search_reply};

/// Words of a pattern that are told on a terminal.
const SHOWN_WORDS: usize = 20;
/// Values of a facet that are told on a terminal.
const SHOWN_VALUES: usize = 10;

/// Search all versions of everything, the text of files included
///
/// Words that must all occur, "a phrase", OR, NOT or -word, parentheses. Patterns: ship*, wom?n, *ing,
/// colour~1 (spelled alike), apply~~ (same stem), 100..250, /expression/. Near each other: a w/5 b, a
/// pre/5 b, a not w/5 b, "a b c"~5. Fields: from: in: with: before: after: on: during: date: has: is:
/// kind: ext: size: file: title: body: content: id: record: state: extraction:. Accents and case do not matter. Totals are exact.
/// Exit code 1 when nothing matches.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  teamchat-archive search '\"change order\" -draft'\n  teamchat-archive search 'from:sara after:2026-03-01 is:deleted' --sort newest\n  teamchat-archive search '(shred* OR destroy) w/5 contract*' --facets --by month\n  teamchat-archive search 'price*' --kind files --json\n  teamchat-archive search --terms terms.txt --csv > report.csv"
)]
pub(crate) struct Args {
    /// What to look for
    #[arg(required_unless_present = "terms")]
    query: Option<String>,
    /// Report on a list of queries, one a line, instead
    #[arg(long, value_name = "FILE", conflicts_with_all = ["query", "cursor", "facets", "explain"])]
    terms: Option<PathBuf>,
    /// The report as CSV
    #[arg(long, requires = "terms")]
    csv: bool,
    /// all, messages (with comments) or files
    #[arg(long, default_value = "all", value_parser = ["all", "messages", "files"])]
    kind: String,
    /// Only in this channel (may be repeated)
    #[arg(long, value_name = "ID")]
    channel: Vec<String>,
    /// current, edited, deleted; commas between
    #[arg(long, value_name = "STATES", default_value = "current,edited,deleted")]
    states: String,
    /// As everything stood at this time, as far as it had been archived
    #[arg(long, value_name = "TIME")]
    as_of: Option<String>,
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
    /// Count the hits by channel, author, kind, extension, state and extraction
    #[arg(long)]
    facets: bool,
    /// Count the hits by day, week or month
    #[arg(long, value_name = "STRETCH", value_parser = ["day", "week", "month"])]
    by: Option<String>,
    /// Only hits with this value of a facet, such as channel=C0123 (may be repeated); the facet itself still counts the others
    #[arg(long, value_name = "FACET=VALUE")]
    only: Vec<String>,
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
    let time = |text: &str| {
        parse_time(text, zone).ok_or_else(|| {
            CliError::usage(format!("`{text}` is no time; it looks like 2026-03-04 or 2026-03-04T10:00:00Z"))
        })
    };
    let before = args.before.as_deref().map(time).transpose()?;
    let as_of = args.as_of.as_deref().map(time).transpose()?;
    let states = parse_states(&args.states)
        .ok_or_else(|| CliError::usage("states are current, edited and deleted, with commas between"))?;
    let scope = match args.channel.as_slice() {
        [] => Scope::All,
        channels => Scope::Channels(channels.iter().filter_map(|id| ChannelId::parse(id)).collect()),
    };
    let only = match args.kind.as_str() {
        "files" => Some(Sort::File),
        "messages" => Some(Sort::Message),
        _ => None,
    };
    let narrowed = |query: Query| match before {
        Some(to) => Query::And(vec![query, Query::Time(crate::model::TimeRange { from: None, to: Some(to) })]),
        None => query,
    };
    let names = directory(&archive.reader)?;
    let searcher = Searcher::new(&archive.layout);
    let reading = query::Context { zone, now: context.clock.now() };
    if let Some(list) = &args.terms {
        let asked = term_report::Asked { list, csv: args.csv, only, states: &states, scope: &scope, as_of };
        return term_report::run(context, &archive, &searcher, &names, &reading, &asked, &narrowed);
    }
    let text = args.query.as_deref().unwrap_or_default();
    let parsed = query::parse(text, &reading)?;
    let query = narrowed(parsed.query);
    let reading = explain(&query, zone);
    for warning in &parsed.warnings {
        context.output.say(&format!("warning: {warning}"));
    }
    let derived = DerivedReader::open(&archive.layout)?;
    let facets = (args.facets || args.by.is_some() || !args.only.is_empty())
        .then(|| {
            facet_plan(&scope, args.by.as_deref().map(|by| (by, zone)), &chosen(&args.only)?).map_err(CliError::usage)
        })
        .transpose()?;
    let request = SearchRequest {
        text,
        query: &query,
        only,
        states: &states,
        as_of,
        facets,
        order: Order::parse(&args.sort).unwrap_or(Order::Relevance),
        count: if args.explain { 0 } else { usize::from(args.limit) },
        page: usize::try_from(args.page).unwrap_or(1),
        cursor: args.cursor.as_deref(),
        marks_in_text: false,
    };
    let sources =
        Sources { archive: Scoped::new(&archive.reader, &scope), searcher: &searcher, derived: derived.as_ref() };
    let mut reply = search_reply(sources, &names, &request)?;
    reply["reading"] = json!(reading);
    reply["warnings"] = json!(parsed.warnings);
    reply["zone"] = json!(zone.name());
    let behind = reply["index"]["lag"].as_u64().unwrap_or(0);
    if behind > 0 {
        context.output.say(&format!("warning: the index is {behind} records behind; `teamchat-archive index rebuild` or the next crawl brings it up"));
    }
    let total: u64 = ["messages", "files"].iter().filter_map(|name| reply[name]["total"].as_u64()).sum();
    if args.explain {
        if context.output.json {
            context.output.json(&json!({
                "query": text, "reading": reading, "warnings": parsed.warnings, "zone": zone.name(),
                "notes": reply["notes"], "expansions": reply["expansions"], "total": total,
            }))?;
        } else {
            context.output.data(&reading)?;
            tell(context, &reply);
        }
        return Ok(Exit::Done);
    }
    if context.output.json {
        context.output.json(&reply)?;
    } else {
        print(context, &reply, &reading, zone, &names)?;
    }
    Ok(if total == 0 { Exit::Failure } else { Exit::Done })
}

/// The values chosen of facets.
fn chosen(only: &[String]) -> Result<Vec<(Facet, String)>, CliError> {
    only.iter()
        .map(|pair| {
            let (name, value) = pair
                .split_once('=')
                .ok_or_else(|| CliError::usage(format!("`{pair}` is no choice; it looks like channel=C0123")))?;
            let facet = Facet::parse(name).ok_or_else(|| {
                let known: Vec<&str> = Facet::ALL.iter().map(|facet| facet.as_str()).collect();
                CliError::usage(format!("`{name}` is no facet; there are {}", known.join(", ")))
            })?;
            Ok((facet, value.to_owned()))
        })
        .collect()
}

/// What patterns stood for, and what should be known of the result.
fn tell(context: &Context, reply: &Value) {
    for note in reply["notes"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        context.output.say(&format!("note: {note}"));
    }
    for expansion in reply["expansions"].as_array().into_iter().flatten() {
        let words: Vec<&str> = expansion["words"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let more = if words.len() > SHOWN_WORDS { " …" } else { "" };
        context.output.say(&format!(
            "{} = {} words: {}{more}",
            expansion["written"].as_str().unwrap_or_default(),
            words.len(),
            visible(&words[..words.len().min(SHOWN_WORDS)].join(" "))
        ));
    }
}

fn print(context: &Context, reply: &Value, reading: &str, zone: Zone, names: &Directory) -> Result<(), CliError> {
    context.output.say(&format!("interpreted as: {reading} (times in {})", zone.name()));
    tell(context, reply);
    for name in ["messages", "files"] {
        let Some(list) = reply[name].as_object() else { continue };
        context.output.say(&format!("{} {name}", list["total"]));
        for found in list["matches"].as_array().into_iter().flatten() {
            context.output.data(&line(found, zone, names))?;
        }
    }
    for (facet, values) in reply["facets"].as_object().into_iter().flatten() {
        let values: Vec<&Value> = values.as_array().into_iter().flatten().collect();
        if values.is_empty() {
            continue;
        }
        let shown: Vec<String> = values
            .iter()
            .take(SHOWN_VALUES)
            .map(|value| {
                let name = value["name"].as_str().or_else(|| value["value"].as_str()).unwrap_or_default();
                format!("{} {}", visible(name), value["count"])
            })
            .collect();
        let more =
            if values.len() > SHOWN_VALUES { format!(", {} more", values.len() - SHOWN_VALUES) } else { String::new() };
        context.output.say(&format!("by {facet}: {}{more}", shown.join(", ")));
    }
    for stretch in reply["histogram"].as_array().into_iter().flatten() {
        context.output.say(&format!("from {}: {}", stretch["from"].as_str().unwrap_or_default(), stretch["count"]));
    }
    if let Some(cursor) = reply["next_cursor"].as_str() {
        context.output.say(&format!("more: --cursor '{cursor}'"));
    }
    Ok(())
}

/// A match in two lines: where and when, then what, with hits between brackets.
fn line(found: &Value, zone: Zone, names: &Directory) -> String {
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
