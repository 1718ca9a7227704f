//! Relativity Short Message Format 2.0.0: a file for each conversation and day in the zone, in a folder for
//! each conversation. A file is a mail with a text for people and `rsmf.zip`, in which `rsmf_manifest.json` and
//! the contents of files lie.
//!
//! Readers refuse or warn of more than 10,000 events or 2 GB in a file, so a day may be several; they warn of
//! anyone who acts without being there, so joins are added and say so ([`members`]). What becomes of which
//! record stands in [`events`].
//!
//! A comment stands with its file, on the day on which the file was given, with the time that it has: a file
//! may so reach beyond its day. Where no time is known to the source, that of the observation stands there and
//! a pair says so.

mod container;
mod events;
mod manifest;
mod members;
mod transcript;

use std::collections::{BTreeSet, HashSet};

use self::container::Headers;
use self::container::encoded;
use self::events::{Attachment, Event, NOT_STATED, NOT_STATED_DISPLAY, POSTED_AS, Pair};
use self::manifest::{Conversation, EventLine, Manifest, Participant, VERSION, is_address, stamp};
use self::members::Arranged;
use super::Format;
use crate::export::Error;
use crate::export::names::Names;
use crate::export::out::Out;
use crate::export::unit::{Conversation as Place, Unit};
use crate::history::PersonKind;
use crate::model::UtcTime;

/// Events in a file at most.
const MAX_EVENTS: usize = 10_000;
/// Bytes that the contents of a file have in base64 at most: readers take 2 GB, and there is more in it.
const MAX_CONTENT: u64 = 1_900_000_000;
/// People named in a header at most; the manifest names all.
const MAX_NAMED: usize = 200;
/// The name of what is archived.
const APPLICATION: &str = "TeamChat";

/// See the module.
#[derive(Debug)]
pub(super) struct Rsmf;

impl Format for Rsmf {
    fn unit(&mut self, unit: &Unit, out: &mut Out<'_>) -> Result<(), Error> {
        let mut events: Vec<Event> =
            events::of(unit, out)?.into_iter().flat_map(|event| parted(event, MAX_CONTENT)).collect();
        // Pieces follow each other in time: a comment comes with its file, and later than what follows that.
        events.sort_by_key(|event| event.time);
        let names = out.set.names;
        let place = &unit.conversation;
        let mut pieces = Vec::new();
        cut(events, &mut pieces, &|events, is_first| {
            let then = match events.iter().map(|event| event.time).min() {
                Some(time) if !is_first => names.conversation(&place.id, time).members,
                _ => place.members.clone(),
            };
            members::arrange(events, &then, place.is_direct)
        });
        let count = pieces.len();
        for (n, mut piece) in pieces.into_iter().enumerate() {
            finish(&mut piece.events);
            write(unit, (n + 1, count), &piece, out)?;
        }
        Ok(())
    }

    fn growth(&self) -> (u64, u64) {
        (6, 2)
    }
}

/// An event, and behind it others with those of its contents that don't go into one file with the first ones.
fn parted(mut event: Event, limit: u64) -> Vec<Event> {
    let mut pieces: Vec<Vec<Attachment>> = Vec::new();
    let mut bytes = 0;
    for attachment in std::mem::take(&mut event.attachments) {
        bytes += encoded(attachment.blob.size);
        if let Some(piece) = pieces.last_mut().filter(|_| bytes <= limit) {
            piece.push(attachment);
        } else {
            bytes = encoded(attachment.blob.size);
            pieces.push(vec![attachment]);
        }
    }
    let mut pieces = pieces.into_iter();
    event.attachments = pieces.next().unwrap_or_default();
    let mut out = vec![event];
    for (n, attachments) in (2..).zip(pieces) {
        let head = &mut out[0];
        let mut more = Event::new(format!("{}-contents-{n}", head.id), "message", head.time, &head.actor);
        more.body = format!("[More contents of the event {}]", head.id);
        more.custom
            .extend(Pair::of("stands_for", format!("contents of the event {} that don't fit beside it", head.id)));
        head.custom.extend(Pair::of(format!("contents_go_on_{n}"), format!("in the event {}", more.id)));
        (more.parent, more.is_deleted, more.attachments) = (Some(head.id.clone()), head.is_deleted, attachments);
        out.push(more);
    }
    out
}

/// Cuts events into pieces of which each fits into a file, with what is added to it.
fn cut(events: Vec<Event>, pieces: &mut Vec<Arranged>, arrange: &dyn Fn(Vec<Event>, bool) -> Arranged) {
    let is_fit =
        |events: &[Event]| events.len() <= MAX_EVENTS && events.iter().map(Event::bytes).sum::<u64>() <= MAX_CONTENT;
    let is_single = events.len() <= 1;
    let mut whole = events;
    if is_single || is_fit(&whole) {
        let arranged = arrange(whole, pieces.is_empty());
        if is_single || arranged.events.len() <= MAX_EVENTS {
            pieces.push(arranged);
            return;
        }
        whole = members::disarranged(arranged.events);
    }
    let rest = whole.split_off(whole.len() / 2);
    cut(whole, pieces, arrange);
    cut(rest, pieces, arrange);
}

/// Drops parents that are not in the file or come later, and makes each id the only one. What was dropped
/// stands in a pair.
fn finish(events: &mut [Event]) {
    let mut ids: HashSet<String> = HashSet::new();
    for event in &mut *events {
        let mut n = 1;
        while !ids.insert(event.id.clone()) {
            n += 1;
            event.id = format!("{}-again-{n}", event.id);
        }
    }
    let mut before: HashSet<&str> = HashSet::new();
    for event in events {
        if let Some(parent) = event.parent.take_if(|parent| !before.contains(parent.as_str())) {
            event.custom.extend(Pair::of("parent_not_in_this_file_or_later", parent));
        }
        before.insert(&event.id);
    }
}

/// How a participant is shown.
fn display(id: &str, names: &Names, time: UtcTime) -> String {
    match id.strip_prefix(POSTED_AS) {
        Some(name) => name.to_owned(),
        None if id == NOT_STATED => NOT_STATED_DISPLAY.to_owned(),
        None => names.name(id, time).to_owned(),
    }
}

/// A person of the file.
struct Person {
    id: String,
    display: String,
    email: String,
    custom: Vec<Pair>,
}

/// Everyone who is listed or acts, the listed ones first.
fn people(piece: &Arranged, names: &Names, time: UtcTime) -> Vec<Person> {
    let listed: HashSet<&str> = piece.members.iter().map(String::as_str).collect();
    let acting: BTreeSet<&str> =
        piece.events.iter().flat_map(Event::actors).filter(|id| !listed.contains(id)).collect();
    let person = |id: &str| {
        let known = names.person(id, time);
        let kind = known.and_then(|person| person.kind).map(|kind| match kind {
            PersonKind::Bot => "bot",
            PersonKind::Guest => "guest",
            PersonKind::Member => "member",
        });
        let note = match known {
            _ if id == NOT_STATED => Some("stands where the archive names nobody, or nobody who may be shown"),
            _ if id.starts_with(POSTED_AS) => Some("a name that a program gave itself; the source names no account"),
            None => Some("the archive has no record of this person"),
            Some(_) => None,
        };
        Person {
            id: id.to_owned(),
            display: display(id, names, time),
            email: known.map(|person| person.email.clone()).filter(|email| is_address(email)).unwrap_or_default(),
            custom: [kind.and_then(|kind| Pair::of("kind", kind)), note.and_then(|note| Pair::of("note", note))]
                .into_iter()
                .flatten()
                .collect(),
        }
    };
    piece.members.iter().map(String::as_str).chain(acting).map(person).collect()
}

/// Whose copy it is: of a conversation of two, the account that read it; else the custodian who was asked for.
fn custodian<'p>(place: &'p Place, piece: &Arranged, asked: Option<&'p str>) -> Option<&'p str> {
    let own = place.members.first().filter(|_| place.is_direct).map(String::as_str);
    asked.into_iter().chain(own).find(|id| piece.members.iter().any(|member| member == id))
}

/// A name that can stand in the list of participants as it is: readers compare that list word by word.
fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 200
        && name.trim() == name
        && !name.contains("  ")
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" .-'_".contains(&byte))
}

fn conversation_pairs(unit: &Unit, piece: &Arranged, out: &Out<'_>) -> Vec<Pair> {
    let place = &unit.conversation;
    let unlisted = if piece.unlisted > 0 { piece.unlisted.to_string() } else { String::new() };
    let part = if unit.part > 1 || unit.is_continued { unit.part.to_string() } else { String::new() };
    [
        ("topic", place.topic.clone()),
        ("channel_id", place.id.to_string()),
        ("day", unit.day.to_string()),
        ("part", part),
        ("zone", out.set.request.zone.name().to_owned()),
        ("members_not_listed", unlisted),
        ("archive", out.set.archive().to_string()),
        ("checkpoint", out.set.size.to_string()),
    ]
    .into_iter()
    .filter_map(|(name, value)| Pair::of(name, value))
    .collect()
}

/// Writes a file: piece `n` of `count` of a unit.
fn write(unit: &Unit, (n, count): (usize, usize), piece: &Arranged, out: &mut Out<'_>) -> Result<(), Error> {
    let place = &unit.conversation;
    let (zone, names) = (out.set.request.zone, out.set.names);
    let (Some(first), Some(last)) = (piece.events.first(), piece.events.last()) else { return Ok(()) };
    let folder = place.folder();
    let mut name = format!("{folder}-{}", unit.day);
    if unit.part > 1 || unit.is_continued {
        name.push_str(&format!("-part{:03}", unit.part));
    }
    if count > 1 {
        name.push_str(&format!("-piece{n:03}"));
    }
    let people = people(piece, names, first.time);
    let asked = out.set.request.custodian.as_ref().map(|(id, _)| id.as_str());
    let custodian = custodian(place, piece, asked);
    let title = if place.name.is_empty() { place.id.as_str() } else { &place.name };
    let kind = if place.is_direct { "direct" } else { "channel" };

    let manifest = Manifest {
        version: VERSION,
        participants: people
            .iter()
            .map(|person| Participant {
                id: &person.id,
                display: &person.display,
                email: Some(&person.email[..]).filter(|email| !email.is_empty()),
                account_id: Some(&person.id[..]).filter(|id| *id != NOT_STATED && !id.starts_with(POSTED_AS)),
                custom: person.custom.clone(),
            })
            .collect(),
        conversations: vec![Conversation {
            id: place.id.as_str(),
            display: title,
            platform: APPLICATION,
            kind,
            participants: &piece.members,
            custodian,
            custom: conversation_pairs(unit, piece, out),
        }],
        events: piece.events.iter().map(|event| EventLine::of(event, place.id.as_str(), zone)).collect(),
    };
    let zip = out.bag.folder().join("work").join("rsmf.zip");
    container::write_zip(&zip, &manifest, &piece.events, out.set.blobs)?;
    drop(manifest);

    let day = match (unit.part > 1 || unit.is_continued, count > 1) {
        (false, false) => unit.day.to_string(),
        (true, false) => format!("{}, part {}", unit.day, unit.part),
        (_, true) => format!("{}, part {}.{n}", unit.day, unit.part),
    };
    let head = transcript::Head {
        title,
        kind,
        id: place.id.as_str(),
        topic: &place.topic,
        day: day.clone(),
        members: &piece.members,
        unlisted: piece.unlisted,
    };
    let text = transcript::of(&head, &piece.events, names, zone);

    let mut headers = Headers::default();
    addresses(&people, &first.actor, &mut headers);
    headers.text("Subject", &format!("{APPLICATION}: {title}, {day}"));
    headers.plain("Date", &container::date(zone, first.time));
    let boundary = container::boundary(&format!("{} {name} {}", out.set.archive(), out.set.size));
    let archive = out.set.archive();
    headers.plain("Message-ID", &format!("<{}.{}@{archive}.invalid>", &boundary["=_rsmf_".len()..], out.set.size));
    headers.plain("X-RSMF-Version", VERSION);
    headers.plain("X-RSMF-Generator", concat!("teamchat-archive ", env!("CARGO_PKG_VERSION")));
    headers.plain("X-RSMF-BeginDate", &stamp(zone, first.time));
    headers.plain("X-RSMF-EndDate", &stamp(zone, last.time));
    headers.plain("X-RSMF-EventCount", &piece.events.len().to_string());
    let attachments: usize = piece.events.iter().map(|event| event.attachments.len()).sum();
    headers.plain("X-RSMF-AttachmentCount", &attachments.to_string());
    headers.plain("X-RSMF-Application", APPLICATION);
    let shown = custodian.and_then(|id| people.iter().find(|person| person.id == id));
    if let Some(person) = shown.filter(|person| is_plain(&person.display)) {
        headers.plain("X-RSMF-Custodian", &person.display);
    }
    if people.len() <= MAX_NAMED && people.iter().all(|person| is_plain(&person.display)) && are_apart(&people) {
        let names: Vec<String> = people.iter().map(|person| person.display.clone()).collect();
        headers.list("X-RSMF-Participants", &names);
    }
    headers.plain("MIME-Version", "1.0");
    headers.plain("Content-Type", &format!("multipart/mixed;\r\n boundary=\"{boundary}\""));

    let mut file = out.create(&format!("{folder}/{name}.rsmf"))?;
    container::write(&mut file, headers.end().as_bytes())?;
    container::write_parts(&mut file, &boundary, &text, &zip)?;
    out.bag.list(file)?;
    fs_err::remove_file(&zip).map_err(Error::file("remove", &zip))
}

/// No two are shown alike.
fn are_apart(people: &[Person]) -> bool {
    let mut seen: HashSet<&str> = HashSet::new();
    people.iter().all(|person| seen.insert(&person.display))
}

/// `From`, who did what comes first, and `To`, the others, as far as they have an address. An address of the
/// domain `invalid` is nobody's.
fn addresses(people: &[Person], first: &str, headers: &mut Headers) {
    let of = |person: &Person| container::mailbox(&person.display, &person.email);
    let from = people.iter().find(|person| person.id == first);
    let nobody = || {
        let display = from.map_or(NOT_STATED_DISPLAY, |person| &person.display);
        container::mailbox(display, "no-address@teamchat-archive.invalid").unwrap_or_default()
    };
    headers.plain("From", &from.and_then(of).unwrap_or_else(nobody));
    let to: Vec<String> = people.iter().filter(|person| person.id != first).filter_map(of).take(MAX_NAMED).collect();
    if !to.is_empty() {
        headers.list("To", &to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::unit::Blob;
    use crate::model::Digest;

    fn events(count: usize) -> Vec<Event> {
        let time = |n: usize| UtcTime::from_timestamp(i64::try_from(n).unwrap(), 0).unwrap();
        (0..count).map(|n| Event::new(format!("e{n}"), "message", time(n), &format!("p{n}"))).collect()
    }

    fn pieces(count: usize, members: &[String]) -> Vec<usize> {
        let mut pieces = Vec::new();
        cut(events(count), &mut pieces, &|events, _| members::arrange(events, members, false));
        let whole: usize = pieces.iter().flat_map(|piece| &piece.events).filter(|event| !event.is_synthesized).count();
        assert_eq!(whole, count);
        pieces.iter().map(|piece| piece.events.len()).collect()
    }

    #[test]
    fn what_is_added_never_makes_a_file_too_long() {
        let all: Vec<String> = (0..MAX_EVENTS).map(|n| format!("p{n}")).collect();
        assert_eq!(pieces(MAX_EVENTS, &all), [MAX_EVENTS]);
        assert_eq!(pieces(MAX_EVENTS, &all[1..]), [MAX_EVENTS / 2 + 1, MAX_EVENTS / 2]);
        assert_eq!(pieces(MAX_EVENTS, &[]), [MAX_EVENTS, MAX_EVENTS]);
        assert_eq!(pieces(MAX_EVENTS + 1, &all), [MAX_EVENTS / 2, MAX_EVENTS / 2 + 2]);
        assert_eq!(pieces(1, &[]), [2]);
        assert!(pieces(2 * MAX_EVENTS + 1, &all).iter().all(|count| *count <= MAX_EVENTS));
    }

    #[test]
    fn contents_that_do_not_fit_get_events_of_their_own() {
        let mut event = events(1).remove(0);
        for (n, size) in [570, 570, 57, 5_700, 57].into_iter().enumerate() {
            let blob = Blob { digest: Digest::of(b""), size };
            event.attachments.push(Attachment { entry: format!("a{n}"), display: "a".to_owned(), blob });
        }
        let parts = parted(event, 1_600);
        let names =
            |event: &Event| event.attachments.iter().map(|file| file.entry.clone()).collect::<Vec<_>>().join(" ");
        assert_eq!(parts.iter().map(names).collect::<Vec<_>>(), ["a0 a1", "a2", "a3", "a4"]);
        assert!(parts[1..].iter().all(|part| part.parent.as_deref() == Some("e0") && part.actor == "p0"));
        assert_eq!((parts[0].custom.len(), parts[3].id.as_str()), (3, "e0-contents-4"));
    }

    #[test]
    fn ids_are_made_apart_and_parents_come_before() {
        let mut events = events(3);
        events[0].parent = Some("e1".to_owned());
        events[1].parent = Some("e0".to_owned());
        events[2].id = "e0".to_owned();
        events[2].parent = Some("elsewhere".to_owned());
        finish(&mut events);
        let parents: Vec<Option<&str>> = events.iter().map(|event| event.parent.as_deref()).collect();
        assert_eq!(parents, [None, Some("e0"), None]);
        assert_eq!(events[2].id, "e0-again-2");
        assert_eq!(events[0].custom.len(), 1);
    }

    #[test]
    fn only_plain_names_stand_in_the_list() {
        assert!(is_plain("Ann O'Neil-Smith Jr."));
        for name in ["", "One, Ann", "Říhová", " Ann", "Ann  One", "Ann <a@b.c>", "\"Ann\"", "(not stated)", "a\nb"]
        {
            assert!(!is_plain(name), "{name:?}");
        }
    }
}
