use serde_json::{Value, json};

use crate::cli::output::visible;
use crate::cli::{CliError, Context, Exit};
use crate::history::{
    AsOf, Directory, Item, ItemAt, ItemState, PersonKind, Reference, directory, directory_at, item, item_at, resolve,
};
use crate::model::{ChannelId, UtcTime, Zone, json as bytes_json, parse_time, rfc3339};
use crate::record::{Kind, Record, State};
use crate::store::Reader;

/// Show one item: its versions, its raw bytes, where it is from, its proof
///
/// REF is a record's number; channel/ts; a file's or a comment's id; or one of them with `record:`,
/// `file:` or `comment:` before it. With --as-of, how it read at that time, with the names, topic and
/// members of that time: as the source dates its messages and edits, else as this archive saw them.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  teamchat-archive show 4711\n  teamchat-archive show 'cHVibGlj…/1490004760.000165'\n  teamchat-archive show 4a74599400a5 --raw > file.json\n  teamchat-archive show 4711 --proof > 4711.tlog-proof\n  teamchat-archive show 4711 --as-of 2026-03-04T10:00:00Z"
)]
pub(crate) struct Args {
    /// What to show
    reference: String,
    /// The bytes as they were received, and nothing else
    #[arg(long, conflicts_with = "proof")]
    raw: bool,
    /// The inclusion proof in the newest checkpoint (C2SP tlog-proof), with what opens the record:
    /// who gets it reads the record. `teamchat-archive verifier` prints a program that checks it
    #[arg(long)]
    proof: bool,
    /// How it read at this time: RFC 3339, YYYY-MM-DD, or a message's time stamp
    #[arg(long, value_name = "TIME")]
    as_of: Option<String>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, CliError> {
    let archive = context.archive()?;
    let reader = &archive.reader;
    let found = resolve(reader, &args.reference)?.ok_or_else(|| {
        CliError::other(format!("nothing in the archive is called {}", args.reference))
            .hint("`teamchat-archive search` finds records by what they say")
    })?;
    let moment = match &args.as_of {
        Some(time) => Some(Moment::read(reader, &found, time, archive.config.zone())?),
        None => None,
    };
    // What is named, or the version of it that stood then.
    let (seq, record) = match &moment {
        Some(moment) => (moment.at.reading.seq, &moment.at.reading.record),
        None => (found.seq, &found.record),
    };
    if args.raw {
        context.output.bytes(&record.body)?;
        return Ok(Exit::Done);
    }
    let proof = if args.proof { Some(reader.proof(seq)?.to_text()) } else { None };
    if context.output.json {
        let mut value = describe(&args.reference, &found);
        if let Some(moment) = &moment {
            value["as_of"] = moment.describe();
        }
        if let Some(proof) = proof {
            value["proof"] = json!(proof);
        }
        context.output.json(&value)?;
    } else if let Some(proof) = proof {
        context.output.bytes(proof.as_bytes())?;
    } else if let Some(moment) = &moment {
        context.output.data(&visible(&moment.text()))?;
    } else {
        context.output.data(&visible(&text(&found, &directory(reader)?)))?;
    }
    Ok(Exit::Done)
}

/// An item at a moment, with the names of that time.
struct Moment<'a> {
    time: UtcTime,
    zone: Zone,
    at: ItemAt<'a>,
    body: Value,
    names: Directory,
    channel: Option<ChannelId>,
}

impl<'a> Moment<'a> {
    fn read(reader: &Reader, found: &'a Reference, time: &str, zone: Zone) -> Result<Self, CliError> {
        let time = parse_time(time, zone).ok_or_else(|| {
            CliError::usage(format!("`{time}` is no time; it looks like 2026-03-04 or 2026-03-04T10:00:00Z"))
        })?;
        let at = item_at(&found.item, AsOf::Time(time)).ok_or_else(|| {
            CliError::other(format!(
                "{} {} did not exist at {}",
                found.item.kind.as_str(),
                found.item.key,
                zone.full_text(time)
            ))
            .hint("without `--as-of`, `show` prints every version with the time of each")
        })?;
        let header = &at.reading.record.header;
        let first_channel = |item: &Item| item.shared_in().into_iter().next();
        let channel = match found.item.kind {
            Kind::Comment => {
                let file = header.key.split('/').next().unwrap_or_default();
                item(reader, Kind::File, found.item.source, None, file)?.as_ref().and_then(first_channel)
            }
            Kind::File => first_channel(&found.item),
            _ => header.channel_id(),
        };
        let body = body(&at.reading.record);
        Ok(Self { time, zone, at, body, names: directory_at(reader, AsOf::Time(time))?, channel })
    }

    fn author(&self) -> Option<&str> {
        self.body["user"].as_str().filter(|user| !user.is_empty())
    }

    fn state(&self) -> &'static str {
        if self.at.gone.is_some() { ItemState::Deleted.as_str() } else { ItemState::Current.as_str() }
    }

    fn describe(&self) -> Value {
        let reading = self.at.reading;
        let author = self.author().map(|id| {
            let facts = self.names.people.get(id);
            json!({
                "id": id,
                "name": self.names.person(id),
                "kind": facts.and_then(|facts| facts.kind).map(PersonKind::as_str),
                "deleted": facts.map(|facts| facts.is_deleted),
                "is_later": facts.map(|facts| facts.is_later),
            })
        });
        let channel = self.channel.as_ref().map(|id| {
            let facts = self.names.channels.get(id);
            json!({
                "id": id.as_str(),
                "name": self.names.channel(id),
                "topic": facts.map(|facts| &facts.topic),
                "members": facts.map(|facts| facts.member_count),
                "is_later": facts.map(|facts| facts.is_later),
            })
        });
        json!({
            "time": rfc3339(self.time),
            "zone": self.zone.name(),
            "record": reading.seq.0,
            "version": reading.version,
            "observed_at": reading.record.header.observed_at,
            "state": self.state(),
            "is_later": self.at.is_later,
            "gone": self.at.gone.map(|gone| gone.seq.0),
            "author": author,
            "channel": channel,
            "body": self.body,
        })
    }

    fn text(&self) -> String {
        let reading = self.at.reading;
        let header = &reading.record.header;
        let later = |is_later| if is_later { " (as first seen, later than that)" } else { "" };
        let mut out = format!(
            "as of {} ({})\nrecord {}: {} {}, version {}, {}{}\n",
            self.zone.full_text(self.time),
            self.zone.name(),
            reading.seq,
            header.kind.as_str(),
            header.key,
            reading.version,
            self.state(),
            later(self.at.is_later),
        );
        if let Some(author) = self.author() {
            let is_later = self.names.people.get(author).is_some_and(|facts| facts.is_later);
            out.push_str(&format!("author    {}{}\n", person(&self.names, author), later(is_later)));
        }
        if let Some(id) = &self.channel {
            out.push_str(&format!("channel   {}", self.names.channel(id)));
            if let Some(facts) = self.names.channels.get(id) {
                out.push_str(&format!(", {} members{}\n", facts.member_count, later(facts.is_later)));
                if !facts.topic.is_empty() {
                    out.push_str(&format!("topic     {}\n", facts.topic));
                }
            } else {
                out.push('\n');
            }
        }
        if let Some(gone) = self.at.gone {
            out.push_str(&format!("gone      record {} says so, {}\n", gone.seq, gone.record.header.observed_at));
        }
        out.push_str(&format!("seen      {}\n\n{}\n", header.observed_at, pretty(&reading.record)));
        out
    }
}

/// A person's name with what they are: `Sara Nasser (sara@t.com), guest`.
fn person(names: &Directory, id: &str) -> String {
    let mut out = format!("{} ({id})", names.person(id));
    if let Some(facts) = names.people.get(id) {
        if let Some(kind) = facts.kind {
            out.push_str(&format!(", {}", kind.as_str()));
        }
        if facts.is_deleted {
            out.push_str(", account closed");
        }
    }
    out
}

fn body(record: &Record) -> Value {
    bytes_json::parse(&record.body).unwrap_or_else(|| json!(String::from_utf8_lossy(&record.body)))
}

/// A body as people read one.
fn pretty(record: &Record) -> String {
    let pretty = bytes_json::parse(&record.body).and_then(|value| serde_json::to_string_pretty(&value).ok());
    pretty.unwrap_or_else(|| String::from_utf8_lossy(&record.body).into_owned())
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
            let body = body(&version.record);
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

fn text(found: &Reference, names: &Directory) -> String {
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
    if let Some(author) = body(&found.record)["user"].as_str().filter(|user| !user.is_empty()) {
        out.push_str(&format!("author    {}\n", person(names, author)));
    }
    for digest in &header.attachments {
        out.push_str(&format!("content   sha256:{digest}\n"));
    }
    for version in &item.versions {
        let gone = if version.record.header.state == State::Gone { " (says that it is gone)" } else { "" };
        out.push_str(&format!(
            "\nversion {}{gone}, record {}, {}\n{}\n",
            version.version,
            version.seq,
            version.record.header.observed_at,
            pretty(&version.record)
        ));
    }
    out
}
