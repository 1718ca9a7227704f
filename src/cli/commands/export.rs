use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;

use clap::builder::{PossibleValue, PossibleValuesParser};
use indicatif::ProgressBar;
use secrecy::ExposeSecret as _;

use crate::cli::output::{Output, read_secret, visible};
use crate::cli::{CliError, Context, Exit};
use crate::export::{
    Bates, CustodianRole, DateForm, FormatName, Progress, Report, Request, Versions, parse_size, read_list,
};
use crate::model::{ChannelId, TimeRange, Zone, parse_time};
use crate::query;

/// Write a set for other people: a scope, in one format, in a bag with its proofs
///
/// The set is a directory (BagIt, RFC 8493): data/ in the format that was asked for, and beside it who made it
/// when from what, what the archive covers, what became of every record in scope, and what proves them. Only
/// records that a signed checkpoint covers are in it. The access log says that it was made. A run that was cut
/// off is taken up again by the same command. Exit code 4: the archive has a gap in this scope, or the counts
/// do not agree.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  teamchat-archive export --format jsonl --output ./set-1\n  teamchat-archive export --format csv --output ./set-2 --query 'shred* w/5 contract' --tz Europe/Prague\n  teamchat-archive export --format jsonl --output ./set-3 --custodian sara@example.com --role member --from 2026-01-01 --to 2026-04-01\n  python3 ./set-1/verify.py ./set-1"
)]
pub(crate) struct Args {
    /// Which format
    #[arg(long, value_parser = PossibleValuesParser::new(formats()))]
    format: String,
    /// The directory of the bag; it must not exist
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
    /// Only what this finds, with whole families: messages with their files, files with their comments
    #[arg(long)]
    query: Option<String>,
    /// Only in this channel (may be repeated)
    #[arg(long, value_name = "ID")]
    channel: Vec<String>,
    /// Only what belongs to this person
    #[arg(long, value_name = "USER")]
    custodian: Option<String>,
    /// What belongs to the custodian: what they wrote, or all that stands in conversations while they were in them
    #[arg(long, requires = "custodian", default_value = "author", value_parser = ["author", "member"])]
    role: String,
    /// Only from this time on
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Only before this time
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// As everything stood at this time
    #[arg(long, value_name = "TIME")]
    as_of: Option<String>,
    /// Every version and deletion, or only what stands
    #[arg(long, default_value = "all", value_parser = ["all", "current"])]
    versions: String,
    /// The zone in which days begin and times are written
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,
    /// How dates are written in tables and load files
    #[arg(long, value_name = "FORM", default_value = "YYYY-MM-DD", value_parser = DateForm::ALL.map(|(_, word, _)| word))]
    date_format: String,
    /// Rules of one reader
    #[arg(long, value_parser = ["everlaw"])]
    profile: Option<String>,
    /// A volume ends before it grows beyond this: bytes, or with k, M, G
    #[arg(long, value_name = "SIZE")]
    volume_size: Option<String>,
    /// What the number of each document begins with
    #[arg(long, value_name = "TEXT")]
    bates_prefix: Option<String>,
    /// The first number
    #[arg(long, value_name = "N", default_value_t = 1, requires = "bates_prefix")]
    bates_start: u64,
    /// Records that are not shown: CSV with the columns record,action,reason; action withhold or redact
    #[arg(long, value_name = "FILE")]
    withhold: Option<PathBuf>,
    /// Give a file that stands in several conversations once
    #[arg(long)]
    dedupe: bool,
    /// Pack the bag into a zip (AES-256) that opens with the password in this file (`-`: standard input); the names
    /// of the files in it stay readable
    #[arg(long, value_name = "FILE")]
    zip_password_file: Option<PathBuf>,
}

fn formats() -> Vec<PossibleValue> {
    FormatName::all().map(|format| PossibleValue::new(format.as_str()).help(format.what())).collect()
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let archive = context.archive()?;
    let request = request(context, args, archive.config.zone())?;
    let progress = Shown { output: &context.output, bar: Mutex::default() };
    let report = archive.export(&request, &progress);
    progress.finish();
    let report = report?;
    if context.output.json {
        context.output.json(&report)?;
    } else {
        context.output.data(&visible(&text(&report)))?;
    }
    Ok(if report.balanced && report.complete { Exit::Done } else { Exit::Incomplete })
}

fn request(context: &Context, args: &Args, zone: Zone) -> Result<Request, CliError> {
    let zone = match &args.tz {
        Some(name) => Zone::parse(name)
            .ok_or_else(|| CliError::usage(format!("`{name}` is no zone; it looks like Europe/Prague")))?,
        None => zone,
    };
    let time = |text: &String| {
        parse_time(text, zone).ok_or_else(|| {
            CliError::usage(format!("`{text}` is no time; it looks like 2026-03-04 or 2026-03-04T10:00:00Z"))
        })
    };
    let format =
        FormatName::parse(&args.format).ok_or_else(|| CliError::usage(format!("`{}` is no format", args.format)))?;
    let mut request = Request::new(format, args.output.clone());
    request.zone = zone;
    if let Some(typed) = &args.query {
        let parsed = query::parse(typed, &query::Context { zone, now: context.clock.now() })?;
        for warning in &parsed.warnings {
            context.output.say(&format!("warning: {warning}"));
        }
        request.query = Some((typed.clone(), parsed.query));
    }
    for id in &args.channel {
        let channel = ChannelId::parse(id).ok_or_else(|| CliError::usage(format!("`{id}` is no id of a channel")))?;
        request.channels.push(channel);
    }
    request.custodian = args
        .custodian
        .clone()
        .map(|person| (person, if args.role == "member" { CustodianRole::Member } else { CustodianRole::Author }));
    request.range =
        TimeRange { from: args.from.as_ref().map(time).transpose()?, to: args.to.as_ref().map(time).transpose()? };
    if let (Some(from), Some(to)) = (request.range.from, request.range.to)
        && from >= to
    {
        return Err(CliError::usage("--from is not before --to, so nothing can be in scope"));
    }
    request.as_of = args.as_of.as_ref().map(time).transpose()?;
    request.versions = if args.versions == "current" { Versions::Current } else { Versions::All };
    request.dates = DateForm::parse(&args.date_format).unwrap_or_default();
    request.everlaw = args.profile.is_some();
    request.volume_bytes = match args.volume_size.as_deref() {
        Some(text) => Some(
            parse_size(text)
                .ok_or_else(|| CliError::usage(format!("`{text}` is no size; it looks like 700M or 4G")))?,
        ),
        None => None,
    };
    request.bates = args.bates_prefix.clone().map(|prefix| Bates { prefix, start: args.bates_start });
    request.bates.iter().try_for_each(Bates::check)?;
    request.withheld = match &args.withhold {
        Some(path) => read_list(path)?,
        None => BTreeMap::new(),
    };
    request.dedupe = args.dedupe;
    request.zip_password = match &args.zip_password_file {
        Some(path) => {
            let password = read_secret(Some(path), "")?;
            if password.expose_secret().is_empty() {
                return Err(CliError::usage(format!("the password in {} is empty", path.display())));
            }
            Some(password)
        }
        None => None,
    };
    Ok(request)
}

fn text(report: &Report) -> String {
    let mut out = format!(
        "{} records in scope of the first {}, signed: {} messages, {} files in {} stretches of conversations\n",
        report.records, report.checkpoint, report.messages, report.files, report.units
    );
    if report.withheld > 0 {
        out.push_str(&format!("{} records withheld or redacted: PRIVILEGE-LOG.csv\n", report.withheld));
    }
    if !report.not_in_scope.is_empty() {
        let records: Vec<String> = report.not_in_scope.iter().map(u64::to_string).collect();
        out.push_str(&format!(
            "{} records of the list are not in the scope of the set: {}\n",
            records.len(),
            records.join(", ")
        ));
    }
    if report.exceptions > 0 {
        out.push_str(&format!(
            "{} lines in EXCEPTIONS.csv: not carried, missing, or worth knowing\n",
            report.exceptions
        ));
    }
    out.push_str(if report.balanced {
        "balanced: nothing in scope is unaccounted for\n"
    } else {
        "NOT BALANCED: RECONCILIATION.html says where\n"
    });
    if !report.complete {
        out.push_str("the archive has gaps or owes items in this scope: COVERAGE.json\n");
    }
    out.push_str(&format!("bag       {}\nsha256    {}\n", report.bag.display(), report.sha256));
    out
}

/// Shows how far a set is.
struct Shown<'a> {
    output: &'a Output,
    bar: Mutex<(&'static str, Option<ProgressBar>)>,
}

impl Shown<'_> {
    fn finish(&self) {
        let mut shown = self.bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(bar) = shown.1.take() {
            bar.finish_and_clear();
        }
    }
}

impl Progress for Shown<'_> {
    fn step(&self, what: &'static str, done: u64, of: u64) {
        let mut shown = self.bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if shown.0 != what {
            if let Some(bar) = shown.1.take() {
                bar.finish_and_clear();
            }
            *shown = (what, Some(self.output.bar(what, of)));
        }
        if let Some(bar) = &shown.1 {
            bar.set_position(done);
        }
    }
}
