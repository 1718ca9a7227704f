use serde_json::{Value, json};

use crate::cli::output::visible;
use crate::cli::{CliError, Context, Exit};
use crate::history::{Item, ItemState, Reference, resolve};
use crate::ledger::TlogProof;
use crate::model::{RecordSeq, json as bytes_json};
use crate::record::{Kind, State};
use crate::store::Reader;

/// Show one item: its versions, its raw bytes, where it is from, its proof
///
/// REF is a record's number; channel/ts; a file's or a comment's id; or one of them with `record:`,
/// `file:` or `comment:` before it.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  teamchat-archive show 4711\n  teamchat-archive show 'cHVibGlj…/1490004760.000165'\n  teamchat-archive show 4a74599400a5 --raw > file.json\n  teamchat-archive show 4711 --proof > 4711.tlog-proof"
)]
pub(crate) struct Args {
    /// What to show
    reference: String,
    /// The bytes as they were received, and nothing else
    #[arg(long, conflicts_with = "proof")]
    raw: bool,
    /// The inclusion proof in the newest checkpoint (C2SP tlog-proof)
    #[arg(long)]
    proof: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let archive = context.archive()?;
    let reader = &archive.reader;
    let found = resolve(reader, &args.reference)?.ok_or_else(|| {
        CliError::other(format!("nothing in the archive is called {}", args.reference))
            .hint("`teamchat-archive search` finds records by what they say")
    })?;
    if args.raw {
        context.output.bytes(&found.record.body)?;
        return Ok(Exit::Done);
    }
    let proof = if args.proof { Some(proof(reader, found.seq)?) } else { None };
    if context.output.json {
        let mut value = describe(&args.reference, &found);
        if let Some(proof) = proof {
            value["proof"] = json!(proof);
        }
        context.output.json(&value)?;
    } else if let Some(proof) = proof {
        context.output.data(&proof)?;
    } else {
        context.output.data(&visible(&text(&found)))?;
    }
    Ok(Exit::Done)
}

/// The proof that a record is in the newest signed checkpoint.
fn proof(reader: &Reader, seq: RecordSeq) -> Result<String, CliError> {
    let (checkpoint, note, _) = reader
        .newest_checkpoint()?
        .ok_or_else(|| CliError::other("no checkpoint was signed yet").hint("the next `crawl` signs one"))?;
    if seq.0 >= checkpoint.size {
        return Err(CliError::other(format!("record {seq} was added after the newest checkpoint"))
            .hint("the next `crawl` signs one that covers it"));
    }
    let path = reader.inclusion(seq, checkpoint.size)?;
    let entry = reader.leaf_entry(seq)?;
    Ok(TlogProof { index: seq.0, path, extra: Some(entry.as_bytes().to_vec()), checkpoint: note }.to_text())
}

fn state(item: &Item) -> &'static str {
    match item.latest() {
        Some(latest) => item.state_of(latest.seq).as_str(),
        None => ItemState::Deleted.as_str(),
    }
}

fn describe(reference: &str, found: &Reference) -> Value {
    let item = &found.item;
    let versions: Vec<Value> = item
        .versions
        .iter()
        .map(|version| {
            let body = bytes_json::parse(&version.record.body).unwrap_or_else(|| json!(String::from_utf8_lossy(&version.record.body)));
            json!({"record": version.seq.0, "observed_at": version.record.header.observed_at, "state": version.record.header.state, "body": body})
        })
        .collect();
    json!({
        "ref": reference,
        "record": found.seq.0,
        "kind": item.kind.as_str(),
        "channel": found.record.header.channel,
        "ts": if item.kind == Kind::Message { json!(item.key) } else { Value::Null },
        "state": state(item),
        "versions": versions,
        "origin": found.record.header,
    })
}

fn text(found: &Reference) -> String {
    let item = &found.item;
    let header = &found.record.header;
    let mut out = format!("record {}: {} {}, {}\n", found.seq, item.kind.as_str(), item.key, state(item));
    if let Some(channel) = &header.channel {
        out.push_str(&format!("channel   {channel}\n"));
    }
    out.push_str(&format!(
        "seen by   {} through {}, run {}, at {}\n",
        header.account, header.via, header.run, header.observed_at
    ));
    for digest in &header.attachments {
        out.push_str(&format!("content   sha256:{digest}\n"));
    }
    for version in &item.versions {
        let body = bytes_json::parse(&version.record.body).and_then(|value| serde_json::to_string_pretty(&value).ok());
        let body = body.unwrap_or_else(|| String::from_utf8_lossy(&version.record.body).into_owned());
        let gone = if version.record.header.state == State::Gone { " (says that it is gone)" } else { "" };
        out.push_str(&format!(
            "\nversion {}{gone}, record {}, {}\n{body}\n",
            version.version, version.seq, version.record.header.observed_at
        ));
    }
    out
}
