use serde_json::{Value, json};

use crate::app::Archive;
use crate::cli::{CliError, Context, Exit};
use crate::index;
use crate::model::rfc3339;

/// What is in the archive, how fresh, how healthy
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// One line for a monitor; exit code 0, 3 or 4
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let archive = context.archive()?;
    let status = status(&archive)?;
    let incomplete = status["coverage"]["complete"] == json!(false);
    if args.check {
        let continues = match archive.reader.newest_checkpoint()? {
            Some((checkpoint, _, _)) => archive.reader.continues(&checkpoint).map_err(|error| error.to_string()),
            None => Ok(()),
        };
        let continues = continues.and_then(|()| archive.refuse_rollback().map_err(|error| error.to_string()));
        let contradicting = archive.anchor_status()?.into_iter().find(|anchor| anchor.contradicts);
        let continues = match contradicting {
            Some(anchor) => continues.and(Err(anchor.error.unwrap_or_default())),
            None => continues,
        };
        let (word, exit) = match (&continues, incomplete) {
            (Err(detail), _) => (format!("integrity: {detail}"), Exit::Integrity),
            (Ok(()), true) => (
                format!("incomplete: {} gaps, {} debts", status["coverage"]["gaps"], status["coverage"]["debts"]),
                Exit::Incomplete,
            ),
            (Ok(()), false) => ("ok".to_owned(), Exit::Done),
        };
        context.output.data(&format!(
            "{word}; {} records, {} s since the last pass",
            status["records"], status["worst_staleness_seconds"]
        ))?;
        return Ok(exit);
    }
    if context.output.json {
        context.output.json(&status)?;
    } else {
        context.output.data(&describe(&status))?;
    }
    Ok(Exit::Done)
}

/// The status of an archive (contract, "`status`").
pub(super) fn status(archive: &Archive) -> Result<Value, CliError> {
    let reader = &archive.reader;
    let counters = reader.counters()?;
    let count = |name: &str| counters.get(name).copied().unwrap_or(0);
    let head = reader.head()?;
    let blobs = reader.blobs()?;
    let accounts: Vec<Value> = reader
        .accounts()?
        .into_iter()
        .map(|row| json!({"account": row.name, "state": row.state, "last_success": row.last_success.map(rfc3339)}))
        .collect();
    let coverage = archive.coverage()?;
    let checkpoint = reader.newest_checkpoint()?.map(|(checkpoint, _, at)| {
        json!({"size": checkpoint.size, "root": checkpoint.root.to_string(), "time": at, "key_id": reader.own_key().map(|key| key.id())})
    });
    let index = index::status(&archive.layout, head);
    let size = |path: std::path::PathBuf| fs_err::metadata(path).map_or(0, |meta| meta.len());
    let database = archive.layout.database();
    let mut wal = database.clone().into_os_string();
    wal.push("-wal");
    Ok(json!({
        "server": reader.archive().server,
        "accounts": accounts,
        "records": head,
        "messages": {
            "current": count("message.subjects") - count("message.gone"),
            "versions": count("message.versions"),
            "edited": count("message.changed"),
            "deleted": count("message.gone"),
        },
        "files": {"count": count("file.subjects"), "versions": count("file.versions"), "bytes": blobs.iter().map(|(_, size)| size).sum::<u64>()},
        "comments": count("comment.subjects"),
        "channels": count("channel.subjects"),
        "users": count("user.subjects"),
        "coverage": {"complete": coverage.complete, "gaps": coverage.gaps(), "debts": coverage.debts(), "limits": coverage.limits(), "excluded": coverage.excluded()},
        "worst_staleness_seconds": coverage.worst_staleness_seconds,
        "worst_audit_seconds": coverage.worst_audit_seconds,
        "checkpoint": checkpoint,
        "anchors": archive.anchor_status()?,
        "index": {"record": index.record, "lag": index.lag},
        "storage": {
            "database_bytes": size(database) + size(wal.into()),
            "blob_bytes": blobs.iter().map(|(_, size)| size).sum::<u64>(),
            "index_bytes": index.bytes,
            "raw_bytes": reader.raw_bytes()?,
        },
    }))
}

fn describe(status: &Value) -> String {
    let mut text = format!("server      {}\n", status["server"].as_str().unwrap_or_default());
    for account in status["accounts"].as_array().into_iter().flatten() {
        let last = account["last_success"].as_str().unwrap_or("never");
        text.push_str(&format!(
            "account     {} ({}, last pass {last})\n",
            account["account"].as_str().unwrap_or_default(),
            account["state"].as_str().unwrap_or_default()
        ));
    }
    text.push_str(&format!(
        "messages    {} current, {} deleted, {} edited, {} versions in all\n",
        status["messages"]["current"],
        status["messages"]["deleted"],
        status["messages"]["edited"],
        status["messages"]["versions"]
    ));
    text.push_str(&format!(
        "files       {} ({} versions, {} bytes)\n",
        status["files"]["count"], status["files"]["versions"], status["files"]["bytes"]
    ));
    text.push_str(&format!(
        "comments    {}\nchannels    {}\npeople      {}\nrecords     {}\n",
        status["comments"], status["channels"], status["users"], status["records"]
    ));
    let coverage = &status["coverage"];
    let word =
        if coverage["complete"] == json!(true) { "complete for what these accounts can see" } else { "not complete" };
    text.push_str(&format!("coverage    {word}: {} gaps, {} debts\n", coverage["gaps"], coverage["debts"]));
    text.push_str("            one account sees one person's view: rooms and conversations of others are not here\n");
    match status["checkpoint"].as_object() {
        Some(checkpoint) => text.push_str(&format!(
            "checkpoint  {} records, {}, key {}\n",
            checkpoint["size"],
            checkpoint["time"].as_str().unwrap_or_default(),
            checkpoint["key_id"].as_str().unwrap_or_default()
        )),
        None => text.push_str("checkpoint  none yet\n"),
    }
    for anchor in status["anchors"].as_array().into_iter().flatten() {
        let (kind, name) = (anchor["kind"].as_str().unwrap_or_default(), anchor["name"].as_str().unwrap_or_default());
        let kept = match anchor["size"].as_u64() {
            Some(size) => format!("{size} records, {}", anchor["time"].as_str().unwrap_or_default()),
            None => "nothing yet".to_owned(),
        };
        text.push_str(&format!("kept        {kind} {name}: {kept}\n"));
        if let Some(error) = anchor["error"].as_str() {
            let since = anchor["error_since"].as_str().unwrap_or_default();
            text.push_str(&format!("            nothing newer since {since}: {error}\n"));
        }
    }
    text.push_str(&format!(
        "index       reaches record {}, {} behind\n",
        status["index"]["record"], status["index"]["lag"]
    ));
    text
}
