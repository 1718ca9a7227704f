//! Names, topics and members as they were.
//!
//! Two things tell of the past: what the archive observed, with the time of the observation, and what the
//! stream of a channel says itself, with the time of the source ("renamed the channel from a to b", "joined").
//! Of a time before the first observation the stream is run backwards from it; what neither tells is as it
//! was first observed. A message that is withheld is not heard.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;

use super::Error;
use super::scan::{People, each_record};
use super::unit::Conversation;
use crate::history::PersonKind;
use crate::model::{ChannelId, MessageTs, RecordSeq, Scope, UtcTime, json};
use crate::record::{Kind, Record, State, roster_members};
use crate::store::{FIRST_SOURCE, Reader};

/// A person as an observation has them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Person {
    /// The display name, else the id.
    pub(super) name: String,
    /// The address, where the source gives one.
    pub(super) email: String,
    /// What they are, where the source says.
    pub(super) kind: Option<PersonKind>,
}

/// A name or a topic over time: as it was observed, and as the stream says that it was changed.
#[derive(Debug, Default)]
struct Told {
    seen: Vec<(UtcTime, String)>,
    /// What it was before, where the stream says so, and what it became.
    said: Vec<(UtcTime, Option<String>, String)>,
}

impl Told {
    fn settle(&mut self) {
        self.seen.sort_by_key(|(at, _)| *at);
        self.said.sort_by_key(|(at, ..)| *at);
    }

    /// What was last said or seen at a time. Before the first of both: what a later change says that it was
    /// before, else as it was first seen. `None` where nobody says.
    fn at(&self, time: UtcTime) -> Option<&str> {
        let seen = self.seen[..self.seen.partition_point(|(at, _)| *at <= time)].last();
        let said = self.said[..self.said.partition_point(|(at, ..)| *at <= time)].last();
        match (seen, said) {
            (Some((at, _)), Some((since, _, new))) if since > at => Some(new),
            (Some((_, name)), _) => Some(name),
            (None, Some((_, _, new))) => Some(new),
            (None, None) => {
                let first = self.said.first().filter(|(at, ..)| self.seen.first().is_none_or(|(seen, _)| at <= seen));
                match first {
                    // Where the old one is not said there was another one before, and nobody says which.
                    Some((_, old, _)) => old.as_deref(),
                    None => self.seen.first().map(|(_, name)| name.as_str()),
                }
            }
        }
    }
}

/// Members of a channel at a point of its stream.
#[derive(Debug)]
struct Base {
    time: UtcTime,
    /// How many of the changes lie before it.
    next: usize,
    members: Arc<[u32]>,
}

/// Who was in a channel over time. Members have numbers.
#[derive(Debug, Default)]
struct Members {
    /// As they were observed.
    rosters: Vec<(UtcTime, Arc<[u32]>)>,
    /// Who came (`true`) and went.
    changes: Vec<(UtcTime, u32, bool)>,
    /// From the first roster on: the rosters, and what the changes between them make of them at intervals, so
    /// that a moment is never far from one.
    bases: Vec<Base>,
    /// Before it: the same backwards, so the latest comes first.
    before: Vec<Base>,
}

/// Changes between two bases, at least.
const STRIDE: usize = 64;

/// Members in the order in which they came.
struct Roll {
    places: HashMap<u32, usize>,
    next: usize,
}

impl Roll {
    fn of(members: &[u32]) -> Self {
        Self { places: members.iter().copied().zip(0..).collect(), next: members.len() }
    }

    fn set(&mut self, person: u32, is_in: bool) {
        if is_in {
            self.places.insert(person, self.next);
            self.next += 1;
        } else {
            self.places.remove(&person);
        }
    }

    fn list(&self) -> Vec<u32> {
        let mut out: Vec<u32> = self.places.keys().copied().collect();
        out.sort_unstable_by_key(|person| self.places[person]);
        out
    }
}

impl Members {
    fn settle(&mut self) {
        self.rosters.sort_by_key(|(at, _)| *at);
        self.changes.sort_by_key(|(at, ..)| *at);
        if self.rosters.is_empty() && !self.changes.is_empty() {
            // Nobody ever saw a list: who leaves without having come was there before.
            let mut known = HashSet::new();
            let first = self.changes.iter().filter(|(_, person, _)| known.insert(*person));
            let members = first.filter(|(.., is_in)| !is_in).map(|(_, person, _)| *person).collect();
            self.rosters.push((UtcTime::MIN_UTC, members));
        }
        for place in 0..self.rosters.len() {
            let (time, members) = self.rosters[place].clone();
            let next = self.changes.partition_point(|(when, ..)| *when <= time);
            let end = self
                .rosters
                .get(place + 1)
                .map_or(self.changes.len(), |(until, _)| self.changes.partition_point(|(when, ..)| when <= until));
            if place == 0 {
                self.before.push(Base { time, next, members: Arc::clone(&members) });
                let mut back = Roll::of(&members);
                let mut since = 0;
                for at in (0..next).rev() {
                    let (time, person, is_in) = self.changes[at];
                    back.set(person, !is_in);
                    since += 1;
                    if since >= STRIDE.max(back.places.len()) {
                        since = 0;
                        self.before.push(Base { time, next: at, members: back.list().into() });
                    }
                }
            }
            self.bases.push(Base { time, next, members: Arc::clone(&members) });
            if next == end {
                continue;
            }
            let (mut roll, mut since) = (Roll::of(&members), 0);
            for at in next..end {
                let (time, person, is_in) = self.changes[at];
                roll.set(person, is_in);
                since += 1;
                if since >= STRIDE.max(roll.places.len()) {
                    since = 0;
                    self.bases.push(Base { time, next: at + 1, members: roll.list().into() });
                }
            }
        }
    }

    /// Who was there at a time: the nearest roster, and who came and went between it and then.
    fn at(&self, time: UtcTime) -> Vec<u32> {
        let now = self.changes.partition_point(|(when, ..)| *when <= time);
        if let Some(base) = self.bases[..self.bases.partition_point(|base| base.time <= time)].last() {
            let mut roll = Roll::of(&base.members);
            self.changes[base.next..now].iter().for_each(|(_, person, is_in)| roll.set(*person, *is_in));
            return roll.list();
        }
        let Some(base) = self.before[..self.before.partition_point(|base| base.next >= now)].last() else {
            return Vec::new();
        };
        let mut roll = Roll::of(&base.members);
        self.changes[now..base.next].iter().rev().for_each(|(_, person, is_in)| roll.set(*person, !is_in));
        roll.list()
    }

    /// Since when a person was there and since when not, in turn.
    fn spells(&self, person: u32) -> Vec<(UtcTime, bool)> {
        let Some((first, members)) = self.rosters.first() else { return Vec::new() };
        let own: Vec<(UtcTime, bool)> =
            self.changes.iter().filter(|(_, who, _)| *who == person).map(|(at, _, is_in)| (*at, *is_in)).collect();
        let split = own.partition_point(|(at, _)| at <= first);
        // Before the first roster it is a change that says how it was until then.
        let starts = std::iter::once(UtcTime::MIN_UTC).chain(own.iter().map(|(at, _)| *at));
        let until = own[..split].iter().map(|(_, is_in)| !is_in).chain([members.contains(&person)]);
        let before = starts.zip(until);
        let seen = self.rosters.iter().map(|(at, members)| (*at, members.contains(&person)));
        let mut after: Vec<(UtcTime, bool)> = own[split..].iter().copied().chain(seen).collect();
        // A roster holds what happened up to its moment.
        after.sort_by_key(|(at, _)| *at);
        let mut out: Vec<(UtcTime, bool)> = Vec::new();
        for (at, is_in) in before.chain(after) {
            if out.last().is_some_and(|(last, _)| *last == at) {
                out.pop();
            }
            if out.last().is_none_or(|(_, before)| *before != is_in) {
                out.push((at, is_in));
            }
        }
        out
    }
}

/// What is known of a channel over time.
#[derive(Debug, Default)]
struct Channel {
    /// There is an observation of it.
    is_seen: bool,
    name: Told,
    topic: Told,
    members: Members,
}

/// Everything that was ever said of names.
#[derive(Debug, Default)]
pub(super) struct Names {
    people: HashMap<String, Vec<(UtcTime, Person)>>,
    channels: HashMap<ChannelId, Channel>,
    direct: BTreeMap<ChannelId, (String, String)>,
    numbers: People,
}

fn text(value: &Value, name: &str) -> Option<String> {
    value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

impl Names {
    /// Reads what was observed, and what streams say, in records below `size`. A message of which one of the
    /// `listed` records tells, or reactions on which, is not heard; nor is anything of channels that whoever asks
    /// may not see.
    pub(super) fn read(
        reader: &Reader,
        size: u64,
        scope: &Scope,
        listed: impl Iterator<Item = RecordSeq>,
    ) -> Result<Self, Error> {
        let mut names = Self::default();
        for kind in [Kind::User, Kind::Channel, Kind::Roster, Kind::Im] {
            for (key, _) in reader.newest(kind)? {
                let channel = if kind == Kind::User { None } else { ChannelId::parse(&key) };
                if channel.as_ref().is_some_and(|channel| !scope.allows(channel)) {
                    continue;
                }
                for row in reader.versions(kind, FIRST_SOURCE, channel.as_ref(), &key)? {
                    if row.seq.0 < size {
                        names.observe(&key, &reader.record(row.seq)?);
                    }
                }
            }
        }
        let mut unheard = HashSet::new();
        for seq in listed.filter(|seq| seq.0 < size) {
            let header = reader.record(seq)?.header;
            if matches!(header.kind, Kind::Message | Kind::Reactions) {
                unheard.insert((header.channel, header.key));
            }
        }
        each_record(reader, size, |_, record| {
            if record.header.channel_id().is_none_or(|channel| scope.allows(&channel)) {
                names.hear(&record, &unheard);
            }
            Ok(())
        })?;
        names.settle();
        Ok(names)
    }

    /// Notes a list of the members of a channel.
    fn roster<'i>(&mut self, channel: &ChannelId, at: UtcTime, ids: impl Iterator<Item = &'i str>) {
        let members: Vec<u32> = ids.map(|id| self.numbers.of(id)).collect();
        let rosters = &mut self.channels.entry(channel.clone()).or_default().members.rosters;
        // Most observations of a channel have the members of the one before.
        let members = match rosters.last() {
            Some((_, before)) if before[..] == members[..] => Arc::clone(before),
            _ => members.into(),
        };
        rosters.push((at, members));
    }

    fn observe(&mut self, key: &str, record: &Record) {
        if record.header.state == State::Gone {
            return;
        }
        let at = record.header.observed();
        let body = json::parse(&record.body).unwrap_or_default();
        let channel = || ChannelId::parse(key);
        match record.header.kind {
            Kind::User => {
                let found = [text(&body, "real_name"), text(&body["profile"], "real_name"), text(&body, "name")];
                let name = found.into_iter().flatten().next().unwrap_or_else(|| key.to_owned());
                let email = text(&body["profile"], "email").unwrap_or_default();
                let is = |name: &str| body[name].as_bool().unwrap_or(false);
                let kind = match (is("is_bot"), is("is_restricted") || is("is_ultra_restricted")) {
                    (true, _) => Some(PersonKind::Bot),
                    (_, true) => Some(PersonKind::Guest),
                    _ if body.get("is_bot").is_some() => Some(PersonKind::Member),
                    _ => None,
                };
                self.people.entry(key.to_owned()).or_default().push((at, Person { name, email, kind }));
            }
            Kind::Channel => {
                let Some(channel) = channel() else { return };
                let topic = text(&body, "topic").or_else(|| text(&body["topic"], "value"));
                let known = self.channels.entry(channel.clone()).or_default();
                known.is_seen = true;
                known.name.seen.extend(text(&body, "name").map(|name| (at, name)));
                known.topic.seen.push((at, topic.unwrap_or_default()));
                if let Some(members) = body["members"].as_array()
                    && json::as_int(&body["num_members"])
                        .is_none_or(|count| usize::try_from(count).is_ok_and(|count| count <= members.len()))
                {
                    self.roster(&channel, at, members.iter().filter_map(Value::as_str));
                }
            }
            Kind::Roster => {
                let Some(channel) = channel() else { return };
                self.channels.entry(channel.clone()).or_default().is_seen = true;
                if let Some(members) = roster_members(&record.body) {
                    self.roster(&channel, at, members.iter().map(String::as_str));
                }
            }
            Kind::Im => {
                let Some(channel) = channel() else { return };
                let other = text(&body, "user").unwrap_or_default();
                self.direct.insert(channel, (record.header.account.clone(), other));
            }
            _ => {}
        }
    }

    /// Hears what a message of a channel says of its names and members.
    fn hear(&mut self, record: &Record, unheard: &HashSet<(Option<String>, String)>) {
        let header = &record.header;
        // Almost no message does, and parsing takes longer than reading.
        let may_tell = |body: &str| body.contains("\"channel_") || body.contains("\"group_");
        if header.kind != Kind::Message
            || header.version != 1
            || !std::str::from_utf8(&record.body).is_ok_and(may_tell)
            || (!unheard.is_empty() && unheard.contains(&(header.channel.clone(), header.key.clone())))
        {
            return;
        }
        let (Some(channel), Some(ts)) = (header.channel_id(), MessageTs::parse(&header.key)) else { return };
        let body = json::parse(&record.body).unwrap_or_default();
        let at = ts.time();
        match body["subtype"].as_str() {
            Some("channel_name" | "group_name") => {
                let Some(new) = text(&body, "name") else { return };
                let name = &mut self.channels.entry(channel).or_default().name;
                name.said.push((at, text(&body, "old_name"), new));
            }
            Some("channel_topic" | "group_topic") => {
                let Some(new) = body["topic"].as_str() else { return };
                self.channels.entry(channel).or_default().topic.said.push((at, None, new.to_owned()));
            }
            Some(what @ ("channel_join" | "group_join" | "channel_leave" | "group_leave")) => {
                let Some(user) = text(&body, "user") else { return };
                let person = self.numbers.of(&user);
                let members = &mut self.channels.entry(channel).or_default().members;
                members.changes.push((at, person, what.ends_with("_join")));
            }
            _ => {}
        }
    }

    /// Puts what was heard in the order of its times.
    fn settle(&mut self) {
        self.people.values_mut().for_each(|seen| seen.sort_by_key(|(at, _)| *at));
        for channel in self.channels.values_mut() {
            channel.name.settle();
            channel.topic.settle();
            channel.members.settle();
        }
    }

    /// Puts words of ours where one of these topics would be shown.
    pub(super) fn withhold(&mut self, topics: &HashSet<String>) {
        for told in self.channels.values_mut().map(|channel| &mut channel.topic) {
            let said = told.said.iter_mut().flat_map(|(_, old, new)| old.iter_mut().chain([new]));
            for topic in told.seen.iter_mut().map(|(_, topic)| topic).chain(said) {
                if topics.contains(topic.trim()) {
                    "[Withheld]".clone_into(topic);
                }
            }
        }
    }

    /// A person as they were seen at a time, else as they were first seen. `None` for one of whom there is
    /// no record.
    pub(super) fn person(&self, id: &str, time: UtcTime) -> Option<&Person> {
        let seen = self.people.get(id)?;
        seen.iter().rev().find(|(at, _)| *at <= time).or_else(|| seen.first()).map(|(_, person)| person)
    }

    /// The name of a person at a time, else the id.
    pub(super) fn name<'a>(&'a self, id: &'a str, time: UtcTime) -> &'a str {
        self.person(id, time).map_or(id, |person| person.name.as_str())
    }

    /// The name of a conversation at a time, else the id: of a direct one the other person's.
    pub(super) fn conversation_name(&self, channel: &ChannelId, time: UtcTime) -> String {
        let name = match self.direct.get(channel) {
            Some((_, other)) => Some(self.name(other, time)),
            None => self.channels.get(channel).and_then(|known| known.name.at(time)),
        };
        name.unwrap_or(channel.as_str()).to_owned()
    }

    /// A conversation as it was at a time.
    pub(super) fn conversation(&self, channel: &ChannelId, time: UtcTime) -> Conversation {
        let mut out = Conversation {
            id: channel.clone(),
            name: self.conversation_name(channel, time),
            topic: String::new(),
            members: Vec::new(),
            is_direct: false,
        };
        if let Some((account, other)) = self.direct.get(channel) {
            out.is_direct = true;
            out.members = [account, other].into_iter().filter(|id| !id.is_empty()).cloned().collect();
        } else if let Some(known) = self.channels.get(channel) {
            known.topic.at(time).unwrap_or_default().clone_into(&mut out.topic);
            out.members =
                known.members.at(time).into_iter().map(|number| self.numbers.id(number).to_string()).collect();
        }
        out
    }

    /// Since when a person was a member of each conversation, and since when not, in turn. What holds before
    /// the first moment is said with the earliest time there is.
    pub(super) fn memberships(&self, person: &str) -> HashMap<ChannelId, Vec<(UtcTime, bool)>> {
        let mut out = HashMap::new();
        if let Some(number) = self.numbers.known(person) {
            for (channel, known) in self.channels.iter().filter(|(channel, _)| !self.direct.contains_key(*channel)) {
                let spells = known.members.spells(number);
                if spells.iter().any(|(_, is_in)| *is_in) {
                    out.insert(channel.clone(), spells);
                }
            }
        }
        let own = self.direct.iter().filter(|(_, (account, other))| account == person || other == person);
        out.extend(own.map(|(channel, _)| (channel.clone(), vec![(UtcTime::MIN_UTC, true)])));
        out
    }

    /// The conversations of which there is an observation.
    pub(super) fn conversations(&self) -> impl Iterator<Item = &ChannelId> {
        let seen = self.channels.iter().filter(|(_, known)| known.is_seen).map(|(channel, _)| channel);
        seen.chain(self.direct.keys())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> UtcTime {
        UtcTime::from_timestamp(second, 0).unwrap()
    }

    fn note(kind: Kind, key: &str, second: i64, body: &str) -> Record {
        let header = crate::record::Header {
            kind,
            source: 1,
            channel: (kind == Kind::Message).then(|| "C1".to_owned()),
            key: key.to_owned(),
            version: 1,
            state: State::Present,
            n: None,
            origin: crate::record::Origin::Observed,
            via: String::new(),
            account: "ann".to_owned(),
            run: 1,
            observed_at: crate::model::rfc3339(at(second)),
            tickets: 0,
            attachments: Vec::new(),
            shared_in: Vec::new(),
            first: None,
        };
        Record { header, body: body.as_bytes().to_vec() }
    }

    /// What a channel's stream says at these seconds, observed at second 100.
    fn heard(observed: &str, said: &[(i64, &str)]) -> (Names, ChannelId) {
        let mut names = Names::default();
        names.observe("C1", &note(Kind::Channel, "C1", 100, observed));
        for (second, body) in said {
            names.hear(&note(Kind::Message, &format!("{second}.000000"), 100, body), &HashSet::new());
        }
        for (second, name) in [(100, "Ann One"), (200, "Ann Two")] {
            names.observe("ann", &note(Kind::User, "ann", second, &format!(r#"{{"real_name":"{name}"}}"#)));
        }
        names.settle();
        (names, ChannelId::parse("C1").unwrap())
    }

    fn town() -> (Names, ChannelId) {
        heard(
            r#"{"name":"new","topic":"third","members":["ann","bob"]}"#,
            &[
                (10, r#"{"subtype":"channel_join","user":"bob"}"#),
                (20, r#"{"subtype":"group_name","old_name":"old","name":"new"}"#),
                (30, r#"{"subtype":"channel_topic","topic":"second"}"#),
                (40, r#"{"subtype":"group_leave","user":"eve"}"#),
            ],
        )
    }

    #[test]
    fn a_cut_list_of_members_is_none_and_an_old_name_that_nobody_says_is_the_id() {
        let said = [
            (10, r#"{"subtype":"channel_join","user":"bob"}"#),
            (20, r#"{"subtype":"channel_name","name":"new"}"#),
            (30, r#"{"subtype":"group_leave","user":"eve"}"#),
        ];
        for observed in [r#"{"name":"new","members":["ann"],"num_members":"2"}"#, r#"{"name":"new"}"#] {
            let (names, channel) = heard(observed, &said);
            let members = |second| names.conversation(&channel, at(second)).members.join(" ");
            assert_eq!((members(5), members(15), members(500)), ("eve".into(), "eve bob".into(), "bob".into()));
            assert_eq!(names.conversation_name(&channel, at(5)), "C1");
            assert_eq!(names.conversation_name(&channel, at(25)), "new");
        }
        let (names, channel) = heard(r#"{"name":"new","members":[],"num_members":"0"}"#, &said[..1]);
        assert_eq!(names.conversation(&channel, at(500)).members, Vec::<String>::new());
    }

    #[test]
    fn what_is_withheld_is_not_heard() {
        let mut names = Names::default();
        let rename = note(Kind::Message, "20.000000", 100, r#"{"subtype":"channel_name","old_name":"a","name":"b"}"#);
        names.hear(&rename, &HashSet::from([(Some("C1".to_owned()), "20.000000".to_owned())]));
        assert_eq!(names.conversation_name(&ChannelId::parse("C1").unwrap(), at(30)), "C1");
        names.hear(&rename, &HashSet::from([(Some("C1".to_owned()), "21.000000".to_owned())]));
        assert_eq!(names.conversation_name(&ChannelId::parse("C1").unwrap(), at(30)), "b");
    }

    /// The nearest roster, and everybody who came and went between it and then.
    fn fold(members: &Members, time: UtcTime) -> Vec<u32> {
        let (rosters, changes) = (&members.rosters, &members.changes);
        let before = rosters.iter().rev().find(|(at, _)| *at <= time);
        let Some((at, roster)) = before.or_else(|| rosters.first()) else { return Vec::new() };
        let mut out = roster.to_vec();
        let mut set = |person: u32, is_in: bool| {
            out.retain(|member| *member != person);
            if is_in {
                out.push(person);
            }
        };
        if *at <= time {
            let between = changes.iter().filter(|(when, ..)| when > at && *when <= time);
            between.for_each(|(_, person, is_in)| set(*person, *is_in));
        } else {
            let between = changes.iter().rev().filter(|(when, ..)| *when > time && when <= at);
            between.for_each(|(_, person, is_in)| set(*person, !is_in));
        }
        out
    }

    proptest::proptest! {
        #[test]
        fn members_and_spells_are_those_of_one_step_after_the_other(
            rosters in proptest::collection::vec((0_i64..60, proptest::collection::btree_set(0_u32..6, 0..6)), 0..4),
            changes in proptest::collection::vec((0_i64..60, 0_u32..6, proptest::prelude::any::<bool>()), 0..400),
        ) {
            let mut members = Members {
                rosters: rosters.into_iter().map(|(second, ids)| (at(second), ids.into_iter().collect())).collect(),
                changes: changes.into_iter().map(|(second, person, is_in)| (at(second), person, is_in)).collect(),
                ..Members::default()
            };
            members.settle();
            let mut moments: Vec<UtcTime> = (-1..62).map(at).collect();
            moments.insert(0, UtcTime::MIN_UTC);
            for moment in &moments {
                proptest::prop_assert_eq!(members.at(*moment), fold(&members, *moment));
            }
            for person in 0..6 {
                let mut expected: Vec<(UtcTime, bool)> = Vec::new();
                for moment in moments.iter().filter(|_| !members.rosters.is_empty()) {
                    let is_in = fold(&members, *moment).contains(&person);
                    if expected.last().is_none_or(|(_, before)| *before != is_in) {
                        expected.push((*moment, is_in));
                    }
                }
                proptest::prop_assert_eq!(members.spells(person), expected);
            }
        }
    }

    #[test]
    fn a_channel_is_as_it_was() {
        let (names, channel) = town();
        let then = |second| {
            let conversation = names.conversation(&channel, at(second));
            (conversation.name, conversation.topic, conversation.members.join(" "))
        };
        let of = |name: &str, topic: &str, members: &str| (name.to_owned(), topic.to_owned(), members.to_owned());
        assert_eq!(then(5), of("old", "", "ann eve"));
        assert_eq!(then(15), of("old", "", "ann bob eve"));
        assert_eq!(then(25), of("new", "", "ann bob eve"));
        assert_eq!(then(35), of("new", "second", "ann bob eve"));
        assert_eq!(then(45), of("new", "second", "ann bob"));
        assert_eq!(then(100), of("new", "third", "ann bob"));
    }

    #[test]
    fn a_membership_lasts_from_one_word_to_the_next() {
        let (names, channel) = town();
        let spells = |person| names.memberships(person).remove(&channel);
        assert_eq!(spells("bob"), Some(vec![(UtcTime::MIN_UTC, false), (at(10), true)]));
        assert_eq!(spells("eve"), Some(vec![(UtcTime::MIN_UTC, true), (at(40), false)]));
        assert_eq!(spells("ann"), Some(vec![(UtcTime::MIN_UTC, true)]));
        assert_eq!(spells("nobody"), None);
    }

    #[test]
    fn a_person_has_the_name_of_the_time_or_the_first_that_is_known() {
        let (names, _) = town();
        assert_eq!(names.name("ann", at(1)), "Ann One");
        assert_eq!(names.name("ann", at(250)), "Ann Two");
        assert_eq!(names.name("nobody", at(250)), "nobody");
    }
}
