use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;

use super::as_of::AsOf;
use crate::model::{ChannelId, RecordSeq, UtcTime, json};
use crate::record::{Kind, Record, State, roster_members};
use crate::store::{Error, FIRST_SOURCE, Reader, VersionRow};

/// A channel or direct conversation as it was seen last, or at a moment.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
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
    /// When it was made, as the server says; `None` where it does not.
    pub created: Option<UtcTime>,
    /// The record that says so.
    pub record: RecordSeq,
    /// Earlier names, oldest first.
    pub earlier_names: Vec<String>,
    /// That record was made later than the moment that was asked for: this is how the channel was
    /// first seen.
    pub is_later: bool,
}

/// What a person is, as far as the source says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PersonKind {
    /// With an account of the organisation.
    Member,
    /// Restricted to some rooms.
    Guest,
    /// A machine.
    Bot,
}

impl PersonKind {
    /// The word in every output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Guest => "guest",
            Self::Bot => "bot",
        }
    }

    fn of(user: &Value) -> Option<Self> {
        let is = |name: &str| user.get(name).and_then(Value::as_bool);
        let guest = [is("is_restricted"), is("is_ultra_restricted")];
        match (is("is_bot"), guest) {
            (Some(true), _) => Some(Self::Bot),
            (_, [Some(true), _] | [_, Some(true)]) => Some(Self::Guest),
            (None, [None, None]) => None,
            _ => Some(Self::Member),
        }
    }
}

/// A person as an observation has them.
#[derive(Debug, Clone, Default)]
pub struct PersonFacts {
    /// The display name, or the id when there is none.
    pub name: String,
    /// What they are; `None` where the source does not say.
    pub kind: Option<PersonKind>,
    /// The account was closed.
    pub is_deleted: bool,
    /// The record that says so.
    pub record: RecordSeq,
    /// It was made later than the moment that was asked for: this is how they were first seen.
    pub is_later: bool,
}

/// Names by id, as they were seen last, or at a moment.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    /// People.
    pub people: HashMap<String, PersonFacts>,
    /// Channels and direct conversations.
    pub channels: BTreeMap<ChannelId, ChannelFacts>,
}

impl Directory {
    /// A person's display name, or the id when there is none.
    pub fn person<'a>(&'a self, id: &'a str) -> &'a str {
        self.people.get(id).map_or(id, |facts| facts.name.as_str())
    }

    /// A channel's name, or its id when there is none.
    pub fn channel<'a>(&'a self, id: &'a ChannelId) -> &'a str {
        self.channels.get(id).map_or(id.as_str(), |facts| facts.name.as_str())
    }
}

fn text(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Seconds, as a number or a text.
fn created(value: &Value) -> Option<UtcTime> {
    let seconds = json::as_int(value.get("created")?).filter(|seconds| *seconds > 0)?;
    UtcTime::from_timestamp(seconds, 0)
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
    directory_at(reader, AsOf::Now)
}

/// The names of people and channels as the newest observation that counts has them. What was not
/// observed by then is as it was first observed, and marked: the archive did not know it yet.
pub fn directory_at(reader: &Reader, as_of: AsOf) -> Result<Directory, Error> {
    let mut out = Directory::default();
    for (key, newest) in reader.newest(Kind::User)? {
        let facts = person(reader, &key, newest, as_of)?;
        out.people.insert(key, facts);
    }
    for (key, newest) in reader.newest(Kind::Channel)? {
        let Some(id) = ChannelId::parse(&key) else { continue };
        let facts = channel(reader, &id, &key, newest, as_of)?;
        out.channels.insert(id, facts);
    }
    for (key, newest) in reader.newest(Kind::Im)? {
        let Some(id) = ChannelId::parse(&key) else { continue };
        let facts = conversation(reader, &out, &id, &key, newest, as_of)?;
        out.channels.insert(id, facts);
    }
    for (id, is_lost) in lost(reader, as_of)? {
        if let Some(facts) = out.channels.get_mut(&id) {
            facts.is_lost = is_lost;
        }
    }
    Ok(out)
}

/// The names that `now` has, as they were then, and of `room` all that was known of it then. Who was
/// observed once is not read again, so that this takes as long as there are changes and not as there are people:
/// of others than `room` nothing but the name is of that time.
pub(super) fn names_at(reader: &Reader, now: &Directory, room: &ChannelId, as_of: AsOf) -> Result<Directory, Error> {
    let mut out = now.clone();
    for (key, newest) in reader.newest(Kind::User)? {
        if newest.version > 1
            && let Some(facts) = out.people.get_mut(&key)
        {
            *facts = person(reader, &key, newest, as_of)?;
        }
    }
    for (key, newest) in reader.newest(Kind::Channel)? {
        let Some(id) = ChannelId::parse(&key).filter(|id| out.channels.contains_key(id)) else { continue };
        if id == *room {
            let facts =
                ChannelFacts { is_lost: now.channels[&id].is_lost, ..channel(reader, &id, &key, newest, as_of)? };
            out.channels.insert(id, facts);
        } else if newest.version > 1 {
            let seen = observed(reader, Kind::Channel, Some(&id), &key, newest, as_of)?;
            let then = text(&json::parse(&seen.record.body).unwrap_or_default(), "name");
            if let Some(facts) = out.channels.get_mut(&id).filter(|_| !then.is_empty()) {
                facts.name = then;
            }
        }
    }
    let other = out.channels.get(room).filter(|facts| facts.is_im).and_then(|facts| facts.members.first());
    if let Some(name) = other.map(|id| out.person(id).to_owned())
        && let Some(facts) = out.channels.get_mut(room)
    {
        facts.name = name;
    }
    Ok(out)
}

fn person(reader: &Reader, key: &str, newest: VersionRow, as_of: AsOf) -> Result<PersonFacts, Error> {
    let seen = observed(reader, Kind::User, None, key, newest, as_of)?;
    let user = json::parse(&seen.record.body).unwrap_or_default();
    Ok(PersonFacts {
        name: display_name(&user).unwrap_or_else(|| key.to_owned()),
        kind: PersonKind::of(&user),
        is_deleted: user["deleted"].as_bool().unwrap_or(false),
        record: seen.seq,
        is_later: seen.is_later,
    })
}

/// What a person is called by others.
pub fn display_name(user: &Value) -> Option<String> {
    let names = [text(user, "real_name"), text(&user["profile"], "real_name"), text(user, "name")];
    names.into_iter().find(|name| !name.is_empty())
}

fn channel(reader: &Reader, id: &ChannelId, key: &str, newest: VersionRow, as_of: AsOf) -> Result<ChannelFacts, Error> {
    let seen = observed(reader, Kind::Channel, Some(id), key, newest, as_of)?;
    let mut earlier_names: Vec<String> = Vec::new();
    for version in reader.versions(Kind::Channel, FIRST_SOURCE, Some(id), key)? {
        if version.seq <= seen.seq {
            let name = text(&json::parse(&reader.record(version.seq)?.body).unwrap_or_default(), "name");
            if earlier_names.last() != Some(&name) {
                earlier_names.push(name);
            }
        }
    }
    earlier_names.pop();
    let channel = json::parse(&seen.record.body).unwrap_or_default();
    let mut members: Vec<String> =
        channel["members"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    let member_count = channel["num_members"].as_u64().unwrap_or(members.len() as u64);
    if member_count > members.len() as u64
        && let Some(newest) = reader.versions(Kind::Roster, FIRST_SOURCE, Some(id), key)?.last().copied()
    {
        let roster = observed(reader, Kind::Roster, Some(id), key, newest, as_of)?;
        let roster = roster_members(&roster.record.body).unwrap_or_default();
        if roster.len() > members.len() {
            members = roster;
        }
    }
    Ok(ChannelFacts {
        api_id: text(&channel, "id"),
        name: Some(text(&channel, "name")).filter(|name| !name.is_empty()).unwrap_or_else(|| key.to_owned()),
        topic: topic(&channel),
        member_count,
        members,
        is_archived: channel["is_archived"].as_bool().unwrap_or(false),
        created: created(&channel),
        record: seen.seq,
        earlier_names,
        is_later: seen.is_later,
        ..ChannelFacts::default()
    })
}

fn conversation(
    reader: &Reader,
    names: &Directory,
    id: &ChannelId,
    key: &str,
    newest: VersionRow,
    as_of: AsOf,
) -> Result<ChannelFacts, Error> {
    let seen = observed(reader, Kind::Im, Some(id), key, newest, as_of)?;
    let im = json::parse(&seen.record.body).unwrap_or_default();
    let user = text(&im, "user");
    Ok(ChannelFacts {
        api_id: text(&im, "id"),
        name: names.person(&user).to_owned(),
        members: vec![user],
        member_count: 2,
        is_im: true,
        created: created(&im),
        record: seen.seq,
        is_later: seen.is_later,
        ..ChannelFacts::default()
    })
}

/// An observation of a subject.
pub(super) struct Observed {
    seq: RecordSeq,
    pub(super) record: Record,
    pub(super) is_later: bool,
}

/// The newest observation that counts, else the first there is.
pub(super) fn observed(
    reader: &Reader,
    kind: Kind,
    channel: Option<&ChannelId>,
    key: &str,
    newest: VersionRow,
    as_of: AsOf,
) -> Result<Observed, Error> {
    let record = reader.record(newest.seq)?;
    if as_of.includes(newest.seq, &record.header) {
        return Ok(Observed { seq: newest.seq, record, is_later: false });
    }
    let mut first = Observed { seq: newest.seq, record, is_later: true };
    for row in reader.versions(kind, FIRST_SOURCE, channel, key)?.into_iter().rev() {
        let record = reader.record(row.seq)?;
        let counts = as_of.includes(row.seq, &record.header);
        first = Observed { seq: row.seq, record, is_later: !counts };
        if counts {
            break;
        }
    }
    Ok(first)
}

/// Channels of which some account said that it can no longer see them, and whether each account
/// that walked them says so.
fn lost(reader: &Reader, as_of: AsOf) -> Result<HashMap<ChannelId, bool>, Error> {
    let mut gone: HashMap<ChannelId, HashSet<String>> = HashMap::new();
    for (key, newest) in reader.newest(Kind::Visibility)? {
        let record = reader.record(newest.seq)?;
        let Some(id) = record.header.channel_id() else { continue };
        let seen = observed(reader, Kind::Visibility, Some(&id), &key, newest, as_of)?;
        if seen.record.header.state == State::Gone && !seen.is_later {
            gone.entry(id).or_default().insert(seen.record.header.account);
        }
    }
    let walks = reader.walks()?;
    let is_lost = |id: &ChannelId, accounts: &HashSet<String>| {
        walks.iter().filter(|walk| walk.channel == *id).all(|walk| accounts.contains(&walk.account))
    };
    Ok(gone.iter().map(|(id, accounts)| (id.clone(), is_lost(id, accounts))).collect())
}
