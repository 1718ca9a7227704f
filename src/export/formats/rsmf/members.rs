//! Who is in the conversation, so that nobody acts who is not.
//!
//! A manifest lists the members of a channel at its earliest event, and everyone else must join before they
//! act and may not act after they leave. People do, in a chat: a program posts that is no member, somebody
//! reacts after leaving. For those an event of ours stands before what they do, a `join` that says of itself
//! that the source knows nothing of it. In a conversation of two nobody can join, and everyone who acts is
//! listed.

use std::collections::{HashMap, HashSet};

use super::events::{Event, NOT_STATED, Pair};
use crate::model::UtcTime;

/// More participants than this are not listed: readers warn of them.
const MAX_LISTED: usize = 10_000;

/// Events in their order, and who was there at the first of them.
pub(super) struct Arranged {
    pub(super) events: Vec<Event>,
    pub(super) members: Vec<String>,
    /// Members who do nothing here and are not listed, because there are too many.
    pub(super) unlisted: usize,
}

impl Event {
    /// Everyone who does something in it.
    pub(super) fn actors(&self) -> impl Iterator<Item = &str> {
        let reacting = self.reactions.iter().flat_map(|reaction| &reaction.actors);
        let editing = self.edits.iter().map(|edit| &edit.actor);
        std::iter::once(&self.actor).chain(reacting).chain(editing).map(String::as_str)
    }
}

/// Takes out what was added here, to begin anew.
pub(super) fn disarranged(mut events: Vec<Event>) -> Vec<Event> {
    events.retain(|event| !event.is_synthesized);
    events
}

/// Brings events into the order of their times and adds the joins that are due.
pub(super) fn arrange(mut events: Vec<Event>, members: &[String], is_direct: bool) -> Arranged {
    events.sort_by_key(|event| event.time);
    // Who leaves may not act from then on, and what they do to their own leaving has no time of its own: such an
    // event tells of the leaving, and is none.
    for event in events.iter_mut().filter(|event| event.kind == "leave") {
        if event.actors().skip(1).any(|id| id == event.actor) {
            event.kind = "history";
        }
    }
    let acting: HashSet<String> = events.iter().flat_map(Event::actors).map(str::to_owned).collect();
    let mut listed: Vec<String> = Vec::new();
    let mut known: HashSet<String> = HashSet::new();
    let add = |id: &str, listed: &mut Vec<String>, known: &mut HashSet<String>| {
        if !id.is_empty() && known.insert(id.to_owned()) {
            listed.push(id.to_owned());
        }
    };
    let is_crowd = members.len() > MAX_LISTED;
    let mut unlisted = 0;
    for member in members {
        if is_crowd && !acting.contains(member) {
            unlisted += 1;
        } else {
            add(member, &mut listed, &mut known);
        }
    }
    if is_direct {
        let mut more: Vec<&String> = acting.iter().collect();
        more.sort_unstable();
        for id in more {
            add(id, &mut listed, &mut known);
        }
        return Arranged { events, members: listed, unlisted };
    }
    if acting.contains(NOT_STATED) {
        add(NOT_STATED, &mut listed, &mut known);
    }
    // The list is that of the first event: who then joins was not there, and who then leaves was.
    let mut first: HashMap<String, bool> = HashMap::new();
    for event in events.iter().filter(|event| is_move(event)) {
        first.entry(event.actor.clone()).or_insert(event.kind == "join");
    }
    listed.retain(|id| first.get(id) != Some(&true));
    known.retain(|id| first.get(id) != Some(&true));
    let leaving = events.iter().filter(|event| event.kind == "leave" && first.get(&event.actor) == Some(&false));
    leaving.for_each(|event| add(&event.actor, &mut listed, &mut known));
    let events = with_joins(events, &known, &first);
    Arranged { events, members: listed, unlisted }
}

fn is_move(event: &Event) -> bool {
    matches!(event.kind, "join" | "leave")
}

fn with_joins(events: Vec<Event>, listed: &HashSet<String>, first: &HashMap<String, bool>) -> Vec<Event> {
    let mut out: Vec<Event> = Vec::with_capacity(events.len());
    let mut present: HashSet<String> = listed.clone();
    let mut left: HashSet<String> = HashSet::new();
    let mut made = 0;
    for event in events {
        let mut due: Vec<(&str, &str)> = Vec::new();
        if event.kind != "join" && !present.contains(&event.actor) {
            due.push((&event.actor, ACTS));
        }
        let reacting = event.reactions.iter().flat_map(|reaction| &reaction.actors).map(|id| (id, REACTS));
        for (id, does) in reacting.chain(event.edits.iter().map(|edit| (&edit.actor, EDITS))) {
            // One who joins later has a join, and a reaction has no time of its own.
            let is_known = present.contains(id) || (first.get(id) == Some(&true) && !left.contains(id));
            if !is_known && due.iter().all(|(known, _)| known != id) {
                due.push((id, does));
            }
        }
        for (id, does) in due {
            made += 1;
            out.push(join(made, id, event.time, does, left.remove(id)));
            present.insert(id.to_owned());
        }
        match event.kind {
            "join" => {
                present.insert(event.actor.clone());
                left.remove(&event.actor);
            }
            "leave" => {
                present.remove(&event.actor);
                left.insert(event.actor.clone());
            }
            _ => {}
        }
        out.push(event);
    }
    late_edits(&mut out, listed, made);
    out
}

/// Somebody may have edited after they left, or before they came.
fn late_edits(events: &mut Vec<Event>, listed: &HashSet<String>, mut made: usize) {
    let Some(end) = events.last().map(|event| event.time) else { return };
    let edits: Vec<(String, UtcTime)> = events
        .iter()
        .flat_map(|event| &event.edits)
        .filter_map(|edit| Some((edit.actor.clone(), edit.time?)))
        .collect();
    if edits.is_empty() {
        return;
    }
    let mut moves: HashMap<String, Vec<(UtcTime, bool)>> = HashMap::new();
    for event in events.iter().filter(|event| is_move(event)) {
        moves.entry(event.actor.clone()).or_default().push((event.time, event.kind == "join"));
    }
    for (id, time) in edits {
        let own = moves.entry(id.clone()).or_default();
        let last = own.iter().rev().find(|(at, _)| *at <= time).map(|(_, is_join)| *is_join);
        let has_left = last == Some(false);
        if last.unwrap_or_else(|| listed.contains(&id)) {
            continue;
        }
        let at = time.min(end);
        made += 1;
        let place = events.partition_point(|event| event.time <= at);
        events.insert(place, join(made, &id, at, EDITED, has_left));
        let own_place = own.partition_point(|(when, _)| *when <= at);
        own.insert(own_place, (at, true));
    }
}

/// What somebody does who joins by our hand.
const ACTS: &str = "acts in the next event";
/// A reaction has no time.
const REACTS: &str = "reacted to the next event, and when is not known";
const EDITS: &str = "edited the next event";
const EDITED: &str = "edited an event of this file";

/// A join of ours. It says no more than what this file shows: the source knows nothing of it.
fn join(number: usize, id: &str, time: UtcTime, does: &str, has_left: bool) -> Event {
    let mut event = Event::new(format!("join-{number}"), "join", time, id);
    let is = if has_left { "has left before" } else { "is not in the list of members at the first event of this file" };
    event.body = format!("[Added by the exporter: {does}, and {is}. Not an event of the source.]");
    event.custom.extend(Pair::of("added_by_exporter", "yes"));
    event.is_synthesized = true;
    event
}

#[cfg(test)]
mod tests {
    use super::super::events::{Edit, Reaction};
    use super::*;

    fn at(second: i64) -> UtcTime {
        UtcTime::from_timestamp(second, 0).unwrap()
    }

    fn event(kind: &'static str, second: i64, actor: &str) -> Event {
        Event::new(format!("{kind}-{second}-{actor}"), kind, at(second), actor)
    }

    fn told(events: Vec<Event>, members: &[&str], is_direct: bool) -> (String, String) {
        let members: Vec<String> = members.iter().map(|id| (*id).to_owned()).collect();
        let arranged = arrange(events, &members, is_direct);
        let line = |event: &Event| {
            let mark = if event.is_synthesized { "+" } else { "" };
            format!("{mark}{} {} {}", event.kind, event.time.timestamp(), event.actor)
        };
        let lines: Vec<String> = arranged.events.iter().map(line).collect();
        (arranged.members.join(" "), lines.join(", "))
    }

    fn of(members: &str, events: &str) -> (String, String) {
        (members.to_owned(), events.to_owned())
    }

    #[test]
    fn who_acts_unasked_joins_before_they_do() {
        let events = vec![event("message", 20, "bot"), event("message", 10, "ann"), event("message", 30, "bot")];
        assert_eq!(
            told(events.clone(), &["ann"], false),
            of("ann", "message 10 ann, +join 20 bot, message 20 bot, message 30 bot")
        );
        assert_eq!(told(events, &["ann"], true), of("ann bot", "message 10 ann, message 20 bot, message 30 bot"));
    }

    #[test]
    fn a_leaving_to_which_the_leaver_reacted_is_history() {
        let mut leaving = event("leave", 20, "eva");
        leaving.reactions.push(Reaction { value: "wave".to_owned(), count: 1, actors: vec!["eva".to_owned()] });
        let lines = told(vec![leaving, event("message", 10, "eva")], &["eva"], false).1;
        assert_eq!(lines, "message 10 eva, history 20 eva");
    }

    #[test]
    fn the_list_is_that_of_the_first_event() {
        let events = vec![
            event("join", 10, "bob"),
            event("message", 20, "bob"),
            event("leave", 30, "eve"),
            event("message", 40, "eve"),
            event("leave", 50, "eve"),
            event("leave", 60, "eve"),
        ];
        assert_eq!(
            told(events, &["ann", "bob"], false),
            of(
                "ann eve",
                "join 10 bob, message 20 bob, leave 30 eve, +join 40 eve, message 40 eve, leave 50 eve, +join 60 eve, leave 60 eve"
            )
        );
    }

    #[test]
    fn reactions_and_edits_are_acts() {
        let mut message = event("message", 10, "ann");
        let react = |id: &str| Reaction { value: "x".to_owned(), count: 1, actors: vec![id.to_owned()] };
        let edit = |id: &str, second: Option<i64>| Edit {
            actor: id.to_owned(),
            time: second.map(at),
            previous: None,
            new: String::new(),
        };
        message.reactions = vec![react("later"), react("never")];
        message.edits = vec![edit("ann", Some(500)), edit("", None), edit("later", Some(15))];
        message.edits[1].actor = NOT_STATED.to_owned();
        let events = vec![message, event("join", 20, "later"), event("leave", 30, "ann"), event("message", 40, "bob")];
        assert_eq!(
            told(events, &["ann", "bob"], false),
            of(
                &format!("ann bob {NOT_STATED}"),
                "+join 10 never, message 10 ann, +join 15 later, join 20 later, leave 30 ann, message 40 bob, +join 40 ann"
            )
        );
    }

    #[test]
    fn a_join_says_no_more_than_the_file_shows() {
        let mut message = event("message", 10, "ann");
        message.reactions = vec![Reaction { value: "x".to_owned(), count: 1, actors: vec!["eve".to_owned()] }];
        let events = vec![message, event("leave", 20, "ann"), event("message", 30, "ann"), event("message", 40, "bob")];
        let arranged = arrange(events, &["ann".to_owned()], false);
        let bodies: Vec<&str> =
            arranged.events.iter().filter(|event| event.is_synthesized).map(|event| event.body.as_str()).collect();
        assert_eq!(
            bodies,
            [
                "[Added by the exporter: reacted to the next event, and when is not known, and is not in the list of members at the first event of this file. Not an event of the source.]",
                "[Added by the exporter: acts in the next event, and has left before. Not an event of the source.]",
                "[Added by the exporter: acts in the next event, and is not in the list of members at the first event of this file. Not an event of the source.]",
            ]
        );
    }

    #[test]
    fn a_crowd_is_not_listed() {
        let crowd: Vec<String> = (0..=MAX_LISTED).map(|n| format!("p{n}")).collect();
        let arranged = arrange(vec![event("message", 1, "p7")], &crowd, false);
        assert_eq!((arranged.members, arranged.unlisted), (vec!["p7".to_owned()], MAX_LISTED));
    }
}
