//! What records say, read in one place for every format: who wrote, what is answered, when and by whom
//! something went, which reactions stand, what is pinned, where else a file was seen.
//!
//! Facts hold what the source said, and `None` where it said nothing: words for what is missing never make it
//! up. Where a format has no form of its own for a fact, it uses the words of `in_words`.

use serde_json::Value;

use super::names::Names;
use super::request::Hiding;
use super::unit::{Entry, Role, Subject, Version, said_created};
use crate::history;
use crate::model::{ChannelId, MessageTs, Scope, UtcTime, Zone, json};
use crate::record::Kind;

/// Stands for an author whom the source does not name.
pub(super) const AUTHOR_NOT_STATED: &str = "(author not stated)";
/// Stands for an author who is withheld.
pub(super) const AUTHOR_WITHHELD: &str = "(author withheld)";

/// Who made something, as far as that is known and may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Author<'a> {
    /// The id of a person.
    Known(&'a str),
    /// A machine without an id, under the name that it gives itself: nobody's id, whatever it looks like.
    Named(&'a str),
    /// The source does not say.
    NotStated,
    /// It is withheld.
    Withheld,
}

impl<'a> Author<'a> {
    /// The id, the name, or what stands for them.
    pub(super) fn or_words(self) -> &'a str {
        match self {
            Self::Known(text) | Self::Named(text) => text,
            Self::NotStated => AUTHOR_NOT_STATED,
            Self::Withheld => AUTHOR_WITHHELD,
        }
    }

    /// The id of a person.
    pub(super) fn id(self) -> Option<&'a str> {
        match self {
            Self::Known(id) => Some(id),
            _ => None,
        }
    }
}

impl Subject {
    /// Who made it. What is withheld has no author; what is redacted keeps its own.
    pub(super) fn shown_author(&self) -> Author<'_> {
        let is_withheld =
            |version: &Version| version.withheld.as_ref().is_some_and(|withheld| withheld.hiding == Hiding::Withhold);
        if self.versions.iter().any(is_withheld) {
            return Author::Withheld;
        }
        match self.author.as_str() {
            "" => Author::NotStated,
            name if self.is_named_only() => Author::Named(name),
            id => Author::Known(id),
        }
    }

    /// No version of it has a user's id, and one has a machine's name.
    fn is_named_only(&self) -> bool {
        let mut is_named = false;
        for body in self.versions.iter().map(|version| &version.body) {
            if body["user"].as_str().is_some_and(|user| !user.is_empty()) {
                return false;
            }
            is_named |= body["username"].is_string();
        }
        is_named
    }

    /// Whether the source says when it was made. Else `time` of a file or a comment is that of our observation,
    /// which is never told as the source's.
    pub(super) fn is_dated(&self) -> bool {
        let says = |version: &Version| said_created(&version.body) == Some(self.time);
        self.kind == Kind::Message || self.versions.iter().any(says)
    }

    /// The time stamp of the message that it answers, as it was last said.
    pub(super) fn answers(&self) -> Option<&str> {
        self.versions.iter().rev().find_map(answers)
    }

    /// How it read when it went: the reading before a note of that.
    pub(super) fn before(&self, note: &Version) -> Option<&Version> {
        let at = self.versions.iter().position(|version| version.seq == note.seq)?;
        self.versions[..at].iter().rev().find(|version| matches!(version.role, Role::Reading | Role::Partial))
    }
}

/// An edit, as the source marks it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Edit<'a> {
    /// When; a mark may say nothing of it.
    pub(super) at: Option<UtcTime>,
    /// By whom: the id.
    pub(super) by: Option<&'a str>,
}

/// The edit that the source marks on a version. A file or a comment has no mark, and a time of its own that
/// moves when it is changed.
pub(super) fn edit(version: &Version) -> Option<Edit<'_>> {
    if version.body["edited"].is_object() {
        return Some(Edit { at: version.edited_at().map(MessageTs::time), by: version.edited_by() });
    }
    if !matches!(version.record.header.kind, Kind::Comment | Kind::File) {
        return None;
    }
    let of = |name: &str| json::as_int(&version.body[name]).filter(|at| *at > 0);
    let (created, changed) = (of("created")?, of("timestamp")?);
    (changed > created).then(|| Edit { at: UtcTime::from_timestamp(changed, 0), by: None })
}

impl Edit<'_> {
    /// `edited 2026-03-04 10:22:07 +01:00 by Ann One (ann@example.com), as the server says`.
    pub(super) fn in_words(&self, names: &Names, zone: Zone) -> String {
        let when = self.at.map_or_else(|| "at a time that it does not say".to_owned(), |at| zone.full_text(at));
        let by = self.by.map(|id| format!(" by {}", who(names, id, self.at))).unwrap_or_default();
        format!("edited {when}{by}, as the server says")
    }
}

/// The lines of the cards that a message carries, with the markup of the chat: previews of links, and what machines
/// post in place of a text.
pub(super) fn cards(version: &Version) -> Vec<String> {
    let mut lines = Vec::new();
    for card in version.body["attachments"].as_array().into_iter().flatten() {
        let parts = ["pretext", "author_name", "title", "title_link", "text", "footer", "image_url"];
        lines.extend(parts.into_iter().filter_map(|name| card[name].as_str()).map(str::to_owned));
        for field in card["fields"].as_array().into_iter().flatten() {
            let of = |name: &str| field[name].as_str().unwrap_or_default();
            lines.push(format!("{}: {}", of("title"), of("value")));
        }
    }
    lines.retain(|line| !line.is_empty());
    lines
}

/// The files that a message shows and that are not given with it, a sentence each. Begins small, ends without a stop.
pub(super) fn files_not_here(entry: &Entry, names: &Names) -> Vec<String> {
    let before = entry.given_before.iter().map(|id| format!("the file {id} is given with an earlier message"));
    let elsewhere = entry.given_elsewhere.iter().map(|(id, channel)| {
        format!("the file {id} is given in the conversation {}", which(names, channel, entry.time))
    });
    let nowhere = entry.not_given.iter().map(|id| format!("of the file {id} nothing is in the set"));
    before.chain(elsewhere).chain(nowhere).collect()
}

/// The time stamp of the message that a message answers: of a thread, or of a comment on a message.
pub(super) fn answers(version: &Version) -> Option<&str> {
    history::answers(&version.body).filter(|ts| *ts != version.record.header.key)
}

/// What a note says of how something went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Gone<'a> {
    /// When, where the source says it.
    pub(super) at: Option<UtcTime>,
    /// When the archive last saw it.
    pub(super) last_seen: Option<UtcTime>,
    /// When the archive first missed it.
    pub(super) first_missing: Option<UtcTime>,
    /// Who deleted it, where the source says so: the id.
    pub(super) actor: Option<&'a str>,
    /// Everything older went with it.
    pub(super) is_swept: bool,
    /// Which method showed it, and what that said.
    pub(super) witnesses: Vec<(&'a str, &'a str)>,
}

/// Reads a note that something is gone.
pub(super) fn gone(version: &Version) -> Gone<'_> {
    let gone = &version.body["gone"];
    let time = |name: &str| {
        let text = gone[name].as_str()?;
        let time = chrono::DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc());
        time.or_else(|| MessageTs::parse(text).map(MessageTs::time))
    };
    let witnesses = gone["witnesses"].as_array().into_iter().flatten();
    Gone {
        at: time("at"),
        last_seen: time("last_seen"),
        first_missing: time("first_missing"),
        actor: gone["actor"].as_str().filter(|actor| !actor.is_empty()),
        is_swept: gone["cause"].as_str() == Some("swept"),
        witnesses: witnesses
            .map(|witness| {
                (witness["method"].as_str().unwrap_or_default(), witness["said"].as_str().unwrap_or_default())
            })
            .collect(),
    }
}

impl Gone<'_> {
    /// `deleted at …, as the server says; last seen …`, or between which looks. Begins small, ends without a stop.
    pub(super) fn in_words(&self, names: &Names, zone: Zone) -> String {
        let time = |at: Option<UtcTime>| at.map_or_else(|| "an unknown time".to_owned(), |at| zone.full_text(at));
        let by = self.actor.map(|id| format!(" by {}", who(names, id, self.at.or(self.last_seen)))).unwrap_or_default();
        if self.at.is_some() {
            return format!("deleted at {}{by}, as the server says; last seen {}", time(self.at), time(self.last_seen));
        }
        let between = format!("deleted between {} and {}", time(self.last_seen), time(self.first_missing));
        match (self.actor, self.is_swept) {
            (Some(_), _) => format!("{between}{by}, as the server says; it does not say when"),
            (None, true) => format!("{between}, and everything older with it; the server does not say when or by whom"),
            (None, false) => format!("{between}; the server does not say when or by whom"),
        }
    }

    /// The evidence in words, if there is any.
    pub(super) fn evidence(&self) -> Option<String> {
        let one = |(method, said): &(&str, &str)| format!("{method}: {said}");
        (!self.witnesses.is_empty()).then(|| self.witnesses.iter().map(one).collect::<Vec<_>>().join("; "))
    }
}

/// A reaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reaction<'a> {
    /// Its name; empty where the source gives none.
    pub(super) name: &'a str,
    /// How many people gave it.
    pub(super) count: u64,
    /// Those of them whom the source names.
    pub(super) users: Vec<&'a str>,
}

/// Reads a list of reactions.
pub(super) fn reactions(list: &Value) -> Vec<Reaction<'_>> {
    list.as_array()
        .into_iter()
        .flatten()
        .map(|reaction| {
            let users = reaction["users"].as_array().into_iter().flatten();
            let users: Vec<&str> = users.filter_map(Value::as_str).filter(|user| !user.is_empty()).collect();
            let count = json::as_int(&reaction["count"]).and_then(|count| u64::try_from(count).ok()).unwrap_or(0);
            Reaction {
                name: reaction["name"].as_str().unwrap_or_default(),
                count: count.max(users.len() as u64),
                users,
            }
        })
        .collect()
}

impl Reaction<'_> {
    /// `:tea: Ann One (ann@example.com), Bob (bob@example.com) and 2 who are not named`.
    pub(super) fn in_words(&self, names: &Names, time: UtcTime) -> String {
        let mut people: Vec<String> = self.users.iter().map(|id| who(names, id, Some(time))).collect();
        let others = self.count - self.users.len() as u64;
        if others > 0 {
            people.push(format!("{others} who {} not named", if others == 1 { "is" } else { "are" }));
        }
        let name = if self.name.is_empty() { "?" } else { self.name };
        format!(":{name}: {}", people.join(", "))
    }
}

/// A list of reactions in words; empty when there are none.
pub(super) fn reactions_in_words(list: &Value, names: &Names, time: UtcTime) -> String {
    reactions(list).iter().map(|reaction| reaction.in_words(names, time)).collect::<Vec<_>>().join("; ")
}

/// The list of reactions that stands: the newest record of them, else that of the latest reading; with the
/// version that holds it.
pub(super) fn standing_reactions(entry: &Entry) -> Option<(&Version, &Value)> {
    match entry.reactions.last() {
        Some(version) => Some((version, &version.body)),
        None => entry.message.as_ref().map(|message| (message.latest(), &message.latest().body["reactions"])),
    }
}

/// Something that is pinned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Pin<'a> {
    /// The time stamp of the message.
    pub(super) message: Option<&'a str>,
    /// The id of the comment.
    pub(super) comment: Option<&'a str>,
    /// The id of the file, and its name.
    pub(super) file: Option<(&'a str, &'a str)>,
    /// Who wrote it: the id.
    pub(super) author: Option<&'a str>,
    /// What it says.
    pub(super) text: &'a str,
    /// Who pinned it: the id.
    pub(super) pinned_by: Option<&'a str>,
    /// When it was pinned.
    pub(super) pinned_at: Option<UtcTime>,
    /// For everyone, or for one person alone; `None`: not said.
    pub(super) is_global: Option<bool>,
}

/// Reads a list of pins: items are messages, or hold them (protocol note, deviation 19).
pub(super) fn pins(list: &Value) -> Vec<Pin<'_>> {
    list.as_array().into_iter().flatten().map(pin).collect()
}

fn pin(pin: &Value) -> Pin<'_> {
    let of = |places: &[&str]| {
        let found = places.iter().filter_map(|place| pin.pointer(place)?.as_str());
        found.into_iter().find(|text| !text.is_empty())
    };
    let is_wrapped = pin["message"].is_object() || pin.get("created_by").is_some();
    let pinned_at = json::as_int(&pin["created"]).filter(|at| is_wrapped && *at > 0);
    let file = of(&["/file/id", "/message/file/id", "/file"]);
    Pin {
        message: of(&["/message/ts", "/ts"]),
        comment: of(&["/comment/id", "/message/comment/id"]),
        file: file.map(|id| (id, of(&["/file/name", "/message/file/name", "/file/title"]).unwrap_or_default())),
        author: of(&["/message/user", "/user", "/comment/user", "/file/user"]),
        text: of(&["/message/text", "/text", "/comment/comment"]).unwrap_or_default(),
        pinned_by: of(&["/created_by", "/pinned_by"]),
        pinned_at: pinned_at.and_then(|at| UtcTime::from_timestamp(at, 0)),
        is_global: pin.get("is_global").or_else(|| pin.get("global")).and_then(json::as_bool),
    }
}

impl Pin<'_> {
    /// `message of … by …, pinned by … at …, for everyone: text`. `plain` turns the markup of the chat into what the
    /// format takes.
    pub(super) fn in_words(
        &self,
        names: &Names,
        zone: Zone,
        time: UtcTime,
        plain: impl FnOnce(&str) -> String,
    ) -> String {
        let mut parts = Vec::new();
        if let Some(ts) = self.message {
            let at = MessageTs::parse(ts).map(|ts| format!(" of {}", zone.full_text(ts.time())));
            parts.push(format!("message {ts}{}", at.unwrap_or_default()));
        }
        if let Some(id) = self.comment {
            parts.push(format!("comment {id}"));
        }
        if let Some((id, name)) = self.file {
            parts.push(format!("file {id} {name}").trim_end().to_owned());
        }
        if let Some(id) = self.author {
            parts.push(format!("by {}", who(names, id, Some(time))));
        }
        match (self.pinned_by, self.pinned_at.map(|at| zone.full_text(at))) {
            (Some(id), Some(at)) => parts.push(format!("pinned by {} at {at}", who(names, id, self.pinned_at))),
            (Some(id), None) => parts.push(format!("pinned by {}", who(names, id, Some(time)))),
            (None, Some(at)) => parts.push(format!("pinned at {at}")),
            (None, None) => {}
        }
        match self.is_global {
            Some(true) => parts.push("for everyone".to_owned()),
            Some(false) => parts.push("for one person".to_owned()),
            None => {}
        }
        let head = if parts.is_empty() { "something that is not named".to_owned() } else { parts.join(", ") };
        if self.text.is_empty() { head } else { format!("{head}: {}", plain(self.text)) }
    }
}

/// A list of pins in words, a line each; before them to whom it was shown.
pub(super) fn pins_in_words(
    version: &Version,
    names: &Names,
    zone: Zone,
    mut plain: impl FnMut(&str) -> String,
) -> Vec<String> {
    let time = version.observed();
    let pins = pins(&version.body);
    let nothing = if pins.is_empty() { ": nothing" } else { "" };
    let mut lines =
        vec![format!("pinned, as {} was shown it{nothing}", who(names, &version.record.header.account, Some(time)))];
    lines.extend(pins.iter().map(|pin| pin.in_words(names, zone, time, &mut plain)));
    lines
}

/// The other conversations in which a file was seen by that record, of those that whoever asked may see.
pub(super) fn places(version: &Version, scope: &Scope) -> Vec<ChannelId> {
    let all = version.record.header.shared_in.iter().filter_map(|id| ChannelId::parse(id));
    all.filter(|channel| scope.allows(channel)).collect()
}

/// Those conversations in a sentence. Begins small, ends without a stop.
pub(super) fn places_in_words(version: &Version, scope: &Scope, names: &Names) -> String {
    let places = places(version, scope);
    let places: Vec<String> = places.iter().map(|channel| which(names, channel, version.observed())).collect();
    match places.as_slice() {
        [] => "seen, unchanged, in another conversation".to_owned(),
        places => format!("seen, unchanged, in {}", places.join(", ")),
    }
}

/// `quay (C1)`: the name of a conversation at a time, and its id.
pub(super) fn which(names: &Names, channel: &ChannelId, time: UtcTime) -> String {
    let name = names.conversation(channel, time).name;
    if name == channel.as_str() { name } else { format!("{name} ({channel})") }
}

/// `Ann One (ann@example.com)`: the name at a time, and the id.
pub(super) fn who(names: &Names, id: &str, time: Option<UtcTime>) -> String {
    let name = names.name(id, time.unwrap_or(UtcTime::MAX_UTC));
    if name == id { id.to_owned() } else { format!("{name} ({id})") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reactions_name_people_and_count_the_rest() {
        let list = json!([{"name": "tea", "count": "3", "users": ["ann", ""]}, {"users": ["bob"]}, {"name": "x"}]);
        let words = reactions_in_words(&list, &Names::default(), UtcTime::UNIX_EPOCH);
        assert_eq!(words, ":tea: ann, 2 who are not named; :?: bob; :x: ");
        assert_eq!(reactions(&Value::Null), []);
    }

    #[test]
    fn pins_are_read_in_both_shapes() {
        let list = json!([
            {"ts": "1.000001", "user": "ann", "text": "hi"},
            {"type": "message", "message": {"ts": "2.000001", "text": "ho"}, "created": 60, "created_by": "bob", "is_global": "true"},
            {"type": "file", "file": {"id": "f", "name": "a.txt", "user": "eva"}},
            {"x": 1}
        ]);
        let words: Vec<String> = pins(&list)
            .iter()
            .map(|pin| pin.in_words(&Names::default(), Zone::UTC, UtcTime::UNIX_EPOCH, str::to_uppercase))
            .collect();
        assert_eq!(
            words,
            [
                "message 1.000001 of 1970-01-01 00:00:01 +00:00, by ann: HI",
                "message 2.000001 of 1970-01-01 00:00:02 +00:00, pinned by bob at 1970-01-01 00:01:00 +00:00, for everyone: HO",
                "file f a.txt, by eva",
                "something that is not named"
            ]
        );
    }

    #[test]
    fn a_deletion_has_the_time_and_the_person_that_the_source_names() {
        let of = |actor: Option<&'static str>, at| Gone {
            at,
            last_seen: UtcTime::from_timestamp(1, 0),
            first_missing: UtcTime::from_timestamp(9, 0),
            actor,
            is_swept: false,
            witnesses: Vec::new(),
        };
        let words = |gone: Gone<'_>| gone.in_words(&Names::default(), Zone::UTC);
        assert_eq!(
            words(of(Some("ann"), UtcTime::from_timestamp(5, 0))),
            "deleted at 1970-01-01 00:00:05 +00:00 by ann, as the server says; last seen 1970-01-01 00:00:01 +00:00"
        );
        let between = "deleted between 1970-01-01 00:00:01 +00:00 and 1970-01-01 00:00:09 +00:00";
        assert_eq!(words(of(Some("ann"), None)), format!("{between} by ann, as the server says; it does not say when"));
        assert_eq!(words(of(None, None)), format!("{between}; the server does not say when or by whom"));
    }
}
