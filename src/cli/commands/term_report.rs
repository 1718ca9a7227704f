use std::path::Path;

use serde_json::{Value, json};

use crate::app::Archive;
use crate::cli::{CliError, Context, Exit};
use crate::history::{Directory, ItemState};
use crate::index::{self, Order, Paging, Report, Request, Searcher, report};
use crate::model::{ChannelId, Digest, Scope, UtcTime, rfc3339};
use crate::query::{self, Query, Sort, explain};

/// A list of queries, and what it is asked of.
pub(super) struct Asked<'a> {
    pub(super) list: &'a Path,
    pub(super) csv: bool,
    pub(super) only: Option<Sort>,
    pub(super) states: &'a [ItemState],
    pub(super) scope: &'a Scope,
    pub(super) as_of: Option<UtcTime>,
}

/// One line of the list.
struct Line {
    number: usize,
    typed: String,
    query: Query,
    warnings: Vec<String>,
}

/// The search term report: what each line of a list finds. A list with a line that cannot be read is
/// refused whole, with every such line named: a report with a hole would be believed.
pub(super) fn run(
    context: &Context,
    archive: &Archive,
    searcher: &Searcher,
    names: &Directory,
    reading: &query::Context,
    asked: &Asked<'_>,
    narrowed: &dyn Fn(Query) -> Query,
) -> Result<Exit, CliError> {
    let bytes = fs_err::read(asked.list)?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| CliError::usage(format!("{} is not UTF-8 text", asked.list.display())))?;
    let mut lines = Vec::new();
    let mut refused = Vec::new();
    for (n, typed) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        if typed.trim().is_empty() {
            continue;
        }
        match query::parse(typed, reading) {
            Ok(parsed) => lines.push(Line {
                number: n + 1,
                typed: typed.trim().to_owned(),
                query: narrowed(parsed.query),
                warnings: parsed.warnings,
            }),
            Err(error) => refused.push(format!("line {}: {error}", n + 1)),
        }
    }
    if !refused.is_empty() {
        return Err(CliError::usage(format!("{} cannot be read: {}", asked.list.display(), refused.join("; "))));
    }
    if lines.is_empty() {
        return Err(CliError::usage(format!("{} holds no query", asked.list.display())));
    }
    let kinds: &[Sort] = match asked.only {
        None => &[],
        Some(Sort::File) => &[Sort::File],
        Some(_) => &[Sort::Message, Sort::Comment],
    };
    let queries: Vec<&Query> = lines.iter().map(|line| &line.query).collect();
    let found = report(
        searcher,
        &queries,
        &Request {
            query: &Query::All,
            scope: asked.scope,
            directory: names,
            kinds,
            states: asked.states,
            as_of: asked.as_of,
            order: Order::Newest,
            paging: Paging::Page { offset: 0, limit: 0 },
            facets: None,
        },
    )?;
    let head = archive.reader.head()?;
    let whole = json!({
        "list": {"sha256": Digest::of(&bytes).to_string(), "lines": lines.len()},
        "index": {"record": found.searched_through, "lag": head.saturating_sub(found.searched_through),
                  "schema": index::SCHEMA_VERSION, "fold": query::FOLD_VERSION},
        "time": rfc3339(context.clock.now()),
        "zone": reading.zone.name(),
        "states": asked.states.iter().map(|state| state.as_str()).collect::<Vec<_>>(),
        "hits": found.hits,
        "hits_with_families": found.with_families,
        "terms": lines.iter().zip(&found.lines).map(|(line, counted)| json!({
            "line": line.number,
            "query": line.typed,
            "reading": explain(&line.query, reading.zone),
            "hits": counted.hits,
            "unique_hits": counted.unique,
            "hits_with_families": counted.with_families,
            "channels": counted.channels.iter().map(|(id, hits)| json!({
                "channel": id, "name": ChannelId::parse(id).map(|id| names.channel(&id).to_owned()), "hits": hits,
            })).collect::<Vec<_>>(),
            "custodians": counted.authors.iter().map(|(id, hits)| json!({
                "user": id, "name": names.person(id), "hits": hits,
            })).collect::<Vec<_>>(),
            "expansions": counted.expansions.iter().map(|expansion| json!({
                "written": expansion.written, "words": expansion.words,
            })).collect::<Vec<_>>(),
            "warnings": line.warnings.iter().chain(&counted.notes).collect::<Vec<_>>(),
        })).collect::<Vec<Value>>(),
    });
    if context.output.json {
        context.output.json(&whole)?;
    } else if asked.csv {
        context.output.data(table(&lines, &found, &whole)?.trim_end())?;
    } else {
        print(context, &lines, &found, &whole)?;
    }
    Ok(if found.hits == 0 { Exit::Failure } else { Exit::Done })
}

/// The report as CSV: what makes it reproducible stands in every line, since lines are copied apart.
fn table(lines: &[Line], found: &Report, whole: &Value) -> Result<String, CliError> {
    let mut out = csv::Writer::from_writer(Vec::new());
    let failed = |error: csv::Error| CliError::from(std::io::Error::other(error.to_string()));
    out.write_record([
        "line",
        "query",
        "hits",
        "unique_hits",
        "hits_with_families",
        "channels",
        "custodians",
        "expansions",
        "warnings",
        "searched_through_record",
        "list_sha256",
        "time",
    ])
    .map_err(failed)?;
    let counts = |counts: &std::collections::BTreeMap<String, u64>| {
        counts.iter().map(|(name, hits)| format!("{name}={hits}")).collect::<Vec<_>>().join("; ")
    };
    for (line, counted) in lines.iter().zip(&found.lines) {
        let expansions: Vec<String> = counted
            .expansions
            .iter()
            .map(|expansion| format!("{} = {}", expansion.written, expansion.words.join(" ")))
            .collect();
        let warnings: Vec<&str> = line.warnings.iter().chain(&counted.notes).map(String::as_str).collect();
        out.write_record([
            line.number.to_string(),
            formula_safe(&line.typed),
            counted.hits.to_string(),
            counted.unique.to_string(),
            counted.with_families.to_string(),
            counts(&counted.channels),
            counts(&counted.authors),
            formula_safe(&expansions.join("; ")),
            formula_safe(&warnings.join("; ")),
            found.searched_through.to_string(),
            whole["list"]["sha256"].as_str().unwrap_or_default().to_owned(),
            whole["time"].as_str().unwrap_or_default().to_owned(),
        ])
        .map_err(failed)?;
    }
    let bytes = out.into_inner().map_err(|error| CliError::from(std::io::Error::other(error.to_string())))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A cell that a spreadsheet does not take for a formula.
fn formula_safe(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() }
}

fn print(context: &Context, lines: &[Line], found: &Report, whole: &Value) -> Result<(), CliError> {
    context.output.say(&format!(
        "{} queries over every record below {}; list SHA-256 {}",
        lines.len(),
        found.searched_through,
        whole["list"]["sha256"].as_str().unwrap_or_default()
    ));
    context.output.data(&format!("{:>9} {:>9} {:>9}  query", "hits", "unique", "families"))?;
    for (line, counted) in lines.iter().zip(&found.lines) {
        context.output.data(&format!(
            "{:>9} {:>9} {:>9}  {}",
            counted.hits,
            counted.unique,
            counted.with_families,
            crate::cli::output::visible(&line.typed)
        ))?;
        for warning in line.warnings.iter().chain(&counted.notes) {
            context.output.say(&format!("line {}: {warning}", line.number));
        }
    }
    context.output.data(&format!("{:>9} {:>9} {:>9}  all together", found.hits, "", found.with_families))?;
    Ok(())
}
