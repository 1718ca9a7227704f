use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use crate::model::{ChannelId, RecordSeq, json};
use crate::record::{Kind, State, roster_members};
use crate::store::{Error, FIRST_SOURCE, Reader, WalkResult};

/// A channel or direct conversation as it was last seen.
#[derive(Debug, Clone, Default)]
pub struct ChannelFacts {
    /// The id in the server's spelling.
    pub api_id: String,
    /// The name; of a direct conversation, the other person's.
    pub name: String,
    /// The topic.
    pub topic: String,
    /// Members, as far as the server lists them: in the channel's facts or, where it cuts those, in
    /// its roster.
    pub members: Vec<String>,
    /// How many the server says there are.
    pub member_count: u64,
    /// Between two people.
    pub is_im: bool,
    /// No longer written to.
    pub is_archived: bool,
    /// It can no longer be seen.
    pub is_lost: bool,
    /// The record that says so.
    pub record: RecordSeq,
    /// Earlier names, oldest first.
    pub earlier_names: Vec<String>,
}

/// Names by id, as they were last seen.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    /// Display names of people by id.
    pub people: HashMap<String, String>,
    /// The newest record about each person.
    pub people_records: HashMap<String, RecordSeq>,
    /// Channels and direct conversations.
    pub channels: BTreeMap<ChannelId, ChannelFacts>,
}

impl Directory {
    /// A person's display name, or the id when there is none.
    pub fn person<'a>(&'a self, id: &'a str) -> &'a str {
        self.people.get(id).map_or(id, String::as_str)
    }

    /// A channel's name, or its id when there is none.
    pub fn channel<'a>(&'a self, id: &'a ChannelId) -> &'a str {
        self.channels.get(id).map_or(id.as_str(), |facts| facts.name.as_str())
    }
}

fn text(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// `topic` is a text, or an object with the text under `value`.
fn topic(value: &Value) -> String {
    match value.get("topic") {
        Some(Value::String(topic)) => topic.clone(),
        Some(topic @ Value::Object(_)) => text(topic, "value"),
        _ => String::new(),
    }
}

/// The names of people and channels, from the newest record of each.
pub fn directory(reader: &Reader) -> Result<Directory, Error> {
    let mut out = Directory::default();
    for (key, row) in reader.newest(Kind::User)? {
        let record = reader.record(row.seq)?;
        let user = json::parse(&record.body).unwrap_or_default();
        let names = [text(&user, "real_name"), text(&user["profile"], "real_name"), text(&user, "name")];
        let name = names.into_iter().find(|name| !name.is_empty()).unwrap_or_else(|| key.clone());
        out.people.insert(key.clone(), name);
        out.people_records.insert(key, row.seq);
    }
    for (key, row) in reader.newest(Kind::Channel)? {
        let Some(id) = ChannelId::parse(&key) else { continue };
        let mut earlier_names: Vec<String> = Vec::new();
        for version in reader.versions(Kind::Channel, FIRST_SOURCE, Some(&id), &key)? {
            let body = json::parse(&reader.record(version.seq)?.body).unwrap_or_default();
            let name = text(&body, "name");
            if earlier_names.last() != Some(&name) {
                earlier_names.push(name);
            }
        }
        earlier_names.pop();
        let channel = json::parse(&reader.record(row.seq)?.body).unwrap_or_default();
        let mut members: Vec<String> =
            channel["members"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
        let member_count = channel["num_members"].as_u64().unwrap_or(members.len() as u64);
        if member_count > members.len() as u64
            && let Some(row) = reader.versions(Kind::Roster, FIRST_SOURCE, Some(&id), &key)?.last()
            && let Some(roster) = roster_members(&reader.record(row.seq)?.body)
            && roster.len() > members.len()
        {
            members = roster;
        }
        let facts = ChannelFacts {
            api_id: text(&channel, "id"),
            name: Some(text(&channel, "name")).filter(|name| !name.is_empty()).unwrap_or_else(|| key.clone()),
            topic: topic(&channel),
            member_count,
            members,
            is_archived: channel["is_archived"].as_bool().unwrap_or(false),
            record: row.seq,
            earlier_names,
            ..ChannelFacts::default()
        };
        out.channels.insert(id, facts);
    }
    for (key, row) in reader.newest(Kind::Im)? {
        let Some(id) = ChannelId::parse(&key) else { continue };
        let im = json::parse(&reader.record(row.seq)?.body).unwrap_or_default();
        let user = text(&im, "user");
        let facts = ChannelFacts {
            api_id: text(&im, "id"),
            name: out.person(&user).to_owned(),
            members: vec![user],
            member_count: 2,
            is_im: true,
            record: row.seq,
            ..ChannelFacts::default()
        };
        out.channels.insert(id, facts);
    }
    // A channel is out of sight when each account that walked it says so.
    let mut in_sight: HashMap<ChannelId, bool> = HashMap::new();
    for walk in reader.walks()? {
        *in_sight.entry(walk.channel).or_default() |= walk.result != WalkResult::Lost;
    }
    for (_, row) in reader.newest(Kind::Visibility)? {
        let header = reader.record(row.seq)?.header;
        let Some(id) = header.channel_id().filter(|_| header.state == State::Gone) else { continue };
        if let Some(facts) = out.channels.get_mut(&id) {
            facts.is_lost = !in_sight.get(&id).copied().unwrap_or(false);
        }
    }
    Ok(out)
}
