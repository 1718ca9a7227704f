//! Reads a corpus directory (NDJSON, plain or zstd, with files beside) into a seed.
//!
//! Ids, names and time stamps are served as they are; nothing is invented but the account of the
//! ready line, which stays hidden.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read};
use std::path::{Component, Path};

use anyhow::{Context as _, bail};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::seed::{Content, Seed, SeedChannel, SeedFile, SeedMessage, SeedUser};

/// Mail domain of everybody in a corpus.
const DOMAIN: &str = "corpus.example";

/// A line longer than this is no message.
const MAX_LINE_BYTES: usize = 16 << 20;

#[derive(Deserialize)]
struct User {
    id: String,
    name: String,
    #[serde(default)]
    real_name: Option<String>,
    #[serde(default)]
    is_bot: bool,
}

#[derive(Deserialize)]
struct Channel {
    id: String,
    name: String,
    #[serde(default)]
    topic: String,
    #[serde(default)]
    purpose: String,
    #[serde(default)]
    created: i64,
    #[serde(default)]
    creator: String,
    #[serde(default)]
    members: Vec<String>,
}

#[derive(Deserialize)]
struct Message {
    channel: String,
    user: String,
    ts: String,
    text: String,
    subtype: Option<String>,
    #[serde(default)]
    files: Vec<Value>,
    thread_ts: Option<Value>,
    topic: Option<Value>,
    reply_to: Option<Value>,
}

#[derive(Deserialize)]
struct File {
    id: String,
    name: String,
    path: String,
}

/// Loads the corpus at `directory`.
pub fn load(directory: &Path) -> anyhow::Result<Seed> {
    let mut seed = Seed {
        domain: DOMAIN.to_owned(),
        account: format!("archive@{DOMAIN}"),
        account_is_hidden: true,
        ..Seed::default()
    };
    let mut emails = HashMap::new();
    lines(directory, "users", true, |user: User| {
        let email = format!("{}@{DOMAIN}", user.id.to_lowercase());
        emails.insert(user.id.clone(), email.clone());
        seed.users.push(SeedUser {
            real_name: user.real_name.unwrap_or_else(|| user.name.clone()),
            name: user.name,
            email,
            is_bot: user.is_bot,
            id: user.id,
            ..SeedUser::default()
        });
        Ok(())
    })?;
    lines(directory, "channels", true, |channel: Channel| {
        seed.channels.push(SeedChannel {
            key: channel.id.clone(),
            id: channel.id,
            name: channel.name,
            topic: channel.topic,
            purpose: channel.purpose,
            created: channel.created,
            creator: channel.creator,
            members: channel.members,
            ..SeedChannel::default()
        });
        Ok(())
    })?;
    lines(directory, "files", false, |file: File| {
        let path = Path::new(&file.path);
        if !path.components().all(|part| matches!(part, Component::Normal(_))) {
            bail!("file {} lies outside the corpus: {}", file.id, file.path);
        }
        seed.files.push(SeedFile {
            key: file.id.clone(),
            content: Content::Path(directory.join(path)),
            name: file.name,
            id: file.id,
            ..SeedFile::default()
        });
        Ok(())
    })?;
    let files: HashMap<String, usize> =
        seed.files.iter().enumerate().map(|(index, file)| (file.id.clone(), index)).collect();
    lines(directory, "messages", true, |message: Message| {
        let mut shared = Vec::new();
        for entry in &message.files {
            let Some(id) = entry.as_str().or_else(|| entry["id"].as_str()) else {
                bail!("a message at {} names a file without an id", message.ts);
            };
            let Some(file) = files.get(id).map(|index| &mut seed.files[*index]) else {
                bail!("a message at {} names file {id}, which is missing", message.ts);
            };
            if file.user.is_empty() {
                file.user.clone_from(&message.user);
            }
            if !file.channels.contains(&message.channel) {
                file.channels.push(message.channel.clone());
            }
            shared.push(id.to_owned());
        }
        let extra = [("thread_ts", message.thread_ts), ("topic", message.topic), ("reply_to", message.reply_to)];
        seed.messages.push(SeedMessage {
            channel: message.channel,
            user: message.user,
            ts: message.ts,
            text: message.text,
            subtype: message.subtype.unwrap_or_default(),
            files: shared,
            extra: extra.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect(),
            ..SeedMessage::default()
        });
        Ok(())
    })?;
    Ok(seed)
}

/// Gives each line of `name.ndjson` or `name.ndjson.zst` to `take`. Lines end at `\n` only.
fn lines<T: DeserializeOwned>(
    directory: &Path,
    name: &str,
    is_required: bool,
    mut take: impl FnMut(T) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let plain = directory.join(format!("{name}.ndjson"));
    let packed = directory.join(format!("{name}.ndjson.zst"));
    let (path, source): (_, Box<dyn Read>) = if plain.exists() {
        let file = fs_err::File::open(&plain)?;
        (plain, Box::new(file))
    } else if packed.exists() {
        let file = fs_err::File::open(&packed)?;
        (packed, Box::new(zstd::Decoder::new(file)?))
    } else if is_required {
        bail!("can't load the corpus at {}: there is neither {name}.ndjson nor {name}.ndjson.zst", directory.display());
    } else {
        return Ok(());
    };
    let mut reader = BufReader::with_capacity(1 << 20, source);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let limit = u64::try_from(MAX_LINE_BYTES).expect("the limit fits");
        let length = reader
            .by_ref()
            .take(limit)
            .read_until(b'\n', &mut line)
            .with_context(|| format!("can't read {}", path.display()))?;
        if length == 0 {
            break;
        }
        if length == MAX_LINE_BYTES {
            bail!("line {number} of {} is too long", path.display());
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        let item = serde_json::from_slice(&line).map_err(anyhow::Error::from).and_then(&mut take);
        item.with_context(|| format!("can't take line {number} of {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_corpus_keeps_ids_and_splits_at_newlines_only() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            fs_err::write(directory.path().join(name), text).unwrap();
        };
        write("users.ndjson", "{\"id\":\"U1\",\"name\":\"ann\"}\n");
        write("channels.ndjson", "{\"id\":\"C1\",\"name\":\"one\",\"members\":[\"U1\"]}\n");
        let text = "{\"channel\":\"C1\",\"user\":\"U1\",\"ts\":\"5.000001\",\"text\":\"a\u{2028}b\",\
                    \"src\":\"x\",\"topic\":\"t\"}\n";
        let packed = zstd::encode_all(text.as_bytes(), 1).unwrap();
        fs_err::write(directory.path().join("messages.ndjson.zst"), packed).unwrap();
        let seed = load(directory.path()).unwrap();
        assert_eq!(seed.users[0].email, "u1@corpus.example");
        assert_eq!(seed.users[0].id, "U1");
        assert_eq!(seed.messages[0].text, "a\u{2028}b");
        assert_eq!(seed.messages[0].extra.len(), 1);
        assert!(seed.account_is_hidden);
    }
}
