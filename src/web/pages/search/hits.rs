use std::cell::RefCell;
use std::collections::BTreeSet;

use chrono::Datelike as _;
use serde_json::Value;

use super::asked::Asked;
use super::rail::Names;
use crate::history::{AsOf, Directory, Item, ItemState, Version, author, file_ids, item_at};
use crate::index::{HIT_END, HIT_START, Texts, mark, positions, texts};
use crate::model::{ChannelId, MessageTs, UtcTime, json};
use crate::query::{Query, Within, plans};
use crate::record::Kind;
use crate::store::DerivedReader;
use crate::web::desk::{Desk, ZONE};
use crate::web::error::WebError;
use crate::web::markup::{self, Piece, direction, encode, visible};
use crate::web::pages::view::{Moment, gone_sentence, text_of};
use crate::web::teamchat::excerpt;
use crate::web::words::Words;

/// Characters of a long text that are shown before and after its first hit.
const BEFORE: usize = 180;
const AFTER: usize = 480;
/// Lines of a file's text around its first hit, and characters of each.
const LINES: usize = 5;
const LINE: usize = 180;
/// Characters of the message before or after a hit.
const CONTEXT: usize = 160;

/// A hit as the list shows it.
pub(crate) struct HitView {
    pub(crate) record: u64,
    /// What its link is called: its channel, or the name of its file.
    pub(crate) place: Vec<Piece>,
    pub(crate) href: String,
    /// Other places where it stands.
    pub(crate) rooms: Vec<(String, String)>,
    pub(crate) date: String,
    pub(crate) at: Moment,
    /// Comment or file; of a message nothing.
    pub(crate) kind: String,
    /// The class of its badge, and what the badge says of the reading's state.
    pub(crate) state: &'static str,
    pub(crate) badge: String,
    /// Where it was found.
    pub(crate) why: Vec<String>,
    /// How long after it was written it was captured, and when.
    pub(crate) captured: String,
    pub(crate) captured_at: String,
    pub(crate) author: String,
    pub(crate) body: Vec<Piece>,
    pub(crate) dir: &'static str,
    pub(crate) files: Vec<(String, Vec<Piece>)>,
    pub(crate) excerpt: Vec<Piece>,
    pub(crate) excerpt_dir: &'static str,
    pub(crate) fate: String,
    pub(crate) before: Option<ContextView>,
    pub(crate) after: Option<ContextView>,
}

/// The message right before or after a hit, in one line.
pub(crate) struct ContextView {
    /// Its record, where the page shows it for the first time: the access log reads from the page what it shows.
    pub(crate) record: Option<u64>,
    pub(crate) at: Moment,
    pub(crate) author: String,
    pub(crate) text: Vec<Piece>,
    pub(crate) dir: &'static str,
    pub(crate) note: String,
}

/// What is shown of a query's hits.
pub(crate) struct Shelf<'a> {
    pub(crate) desk: &'a Desk,
    pub(crate) asked: &'a Asked,
    pub(crate) query: &'a Query,
    pub(crate) as_of: Option<UtcTime>,
    pub(crate) directory: &'a Directory,
    pub(crate) names: &'a Names<'a>,
    pub(crate) derived: Option<&'a DerivedReader>,
    /// Records that have their place on the page.
    pub(crate) placed: RefCell<BTreeSet<u64>>,
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value[name].as_str().unwrap_or_default()
}

/// When something was written, as far as it says so itself.
fn written(item: &Item, value: &Value) -> UtcTime {
    match MessageTs::parse(&item.key) {
        Some(ts) if item.kind == Kind::Message => ts.time(),
        _ => chrono::DateTime::from_timestamp(json::as_int(&value["created"]).unwrap_or(0), 0).unwrap_or_default(),
    }
}

impl Shelf<'_> {
    /// A hit by its record; `None` where there is no such thing any more, or not for the reader.
    pub(crate) fn hit(&self, seq: u64) -> Result<Option<HitView>, WebError> {
        let archive = self.desk.archive();
        let Some(found) = archive.resolve(&format!("record:{seq}"))? else { return Ok(None) };
        let (w, item) = (self.desk.w, &found.item);
        let readings = item.readings();
        let number = readings.iter().position(|reading| reading.seq.0 == seq).unwrap_or(0);
        let Some(reading) = readings.get(number).copied() else { return Ok(None) };
        let value = json::parse(&reading.record.body).unwrap_or_default();
        let at = written(item, &value);
        let indexed = texts(&reading.record);
        let content = match (self.derived, reading.record.header.attachment_digests().first()) {
            (Some(derived), Some(digest)) => derived.newest(digest)?.and_then(|row| excerpt(&row.text, self.query)),
            _ => None,
        };
        let beside = self.beside(item, reading, &indexed);
        let why = self.why(&indexed, beside.is_some(), content.is_some());
        let quoted = content.map(|text| lines(&text)).or(beside);
        let excerpt = quoted.map(|text| markup::pieces(&text, self.directory)).unwrap_or_default();
        let (place, href, rooms) = self.place(item, reading);
        let body = self.body(item, reading);
        let state = self.state(item, reading);
        let (before, after) = match (&item.channel, MessageTs::parse(&item.key)) {
            (Some(channel), Some(ts)) if item.kind == Kind::Message => archive.neighbours(channel, ts)?,
            _ => (None, None),
        };
        let captured = reading.record.header.observed();
        // Of what came after a moment nothing is told as of it.
        let known = match self.as_of {
            Some(time) => readings.iter().filter(|reading| reading.record.header.observed() <= time).count(),
            None => readings.len(),
        };
        Ok(Some(HitView {
            record: seq,
            place,
            href,
            rooms,
            date: self.desk.zone.date(at).format("%a %-d %B %Y").to_string(),
            at: Moment::new(at, self.desk.zone),
            kind: match item.kind {
                Kind::File => w.say("kind-file"),
                Kind::Comment => w.say("kind-comment"),
                _ => String::new(),
            },
            state: match state {
                ItemState::Current => "",
                ItemState::Edited => "edited",
                ItemState::Deleted => "gone",
            },
            badge: badge(w, item.kind, state, number + 1, known.max(number + 1)),
            why,
            captured: later(w, captured - edited(&value).unwrap_or(at)),
            captured_at: Moment::new(captured, self.desk.zone).full,
            author: self.names.person(author(&value)),
            dir: direction(&body),
            body,
            files: self.files(item, &value),
            excerpt_dir: direction(&excerpt),
            excerpt,
            fate: if item.is_gone() && state == ItemState::Deleted {
                gone_sentence(self.desk, item)
            } else {
                String::new()
            },
            before: before.and_then(|item| self.context(&item, at)),
            after: after.and_then(|item| self.context(&item, at)),
        }))
    }

    /// Where a hit stands, how to get there, and where else it is.
    fn place(&self, item: &Item, reading: &Version) -> (Vec<Piece>, String, Vec<(String, String)>) {
        let file = item.key.split('/').next().unwrap_or_default();
        if let Some(channel) = &item.channel {
            let name = vec![Piece::Text(self.names.channel(channel))];
            return (name, self.in_channel(item, reading, channel), Vec::new());
        }
        let value = json::parse(&reading.record.body).unwrap_or_default();
        let name = if item.kind == Kind::File { visible(text(&value, "name")) } else { String::new() };
        let name = if name.is_empty() { visible(file) } else { name };
        let rooms = item.shared_in().into_iter().filter(|id| self.desk.archive().allows(id));
        let rooms = rooms.map(|id| (format!("/c/{}", encode(id.as_str())), self.names.channel(&id)));
        (self.name(&name), format!("/f/{}", encode(file)), rooms.collect())
    }

    /// The address of a message among its neighbours, with what was looked for.
    fn in_channel(&self, item: &Item, reading: &Version, channel: &ChannelId) -> String {
        let as_of = self.as_of.map_or(AsOf::Now, AsOf::Time);
        let stood = item_at(item, as_of).map(|at| at.reading).or_else(|| item.latest()).unwrap_or(reading);
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("at", &reading.seq.to_string());
        let asked = self.asked;
        for (name, value) in [("q", &asked.q), ("asof", &asked.as_of), (ZONE, &asked.zone)] {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        // There the message stands as it reads now, or then.
        format!("/c/{}?{}#m{}", encode(channel.as_str()), query.finish(), stood.seq)
    }

    /// What was written, around the first hit where it is long; of a file, its title where that says more than its
    /// name.
    fn body(&self, item: &Item, reading: &Version) -> Vec<Piece> {
        if item.kind == Kind::File {
            let value = json::parse(&reading.record.body).unwrap_or_default();
            let (name, title) = (text(&value, "name"), text(&value, "title"));
            return if title == name { Vec::new() } else { self.name(&visible(title)) };
        }
        let raw = text_of(&reading.record);
        let shown = mark(&raw, self.query, Within::Body).unwrap_or_else(|| raw.replace([HIT_START, HIT_END], ""));
        markup::pieces(&around(&shown, BEFORE, AFTER), self.directory)
    }

    /// What was found in a message beside what was written: in the subject that came with it, in a card. `None` where
    /// what was written has it.
    fn beside(&self, item: &Item, reading: &Version, indexed: &Texts) -> Option<String> {
        let bare = |text: &str| text.replace([HIT_START, HIT_END], "");
        let is_shown = || mark(&bare(&text_of(&reading.record)), self.query, Within::Body).is_some();
        if item.kind == Kind::File || is_shown() {
            return None;
        }
        let marked = mark(&bare(&indexed.body), self.query, Within::Body)?;
        let found = marked.lines().filter(|line| line.contains(HIT_START)).take(LINES);
        Some(found.map(|line| around(line.trim(), LINE / 2, LINE)).collect::<Vec<_>>().join("\n"))
    }

    /// The name of a file with what was found in it. It is no text with links in it.
    fn name(&self, name: &str) -> Vec<Piece> {
        let name = name.replace([HIT_START, HIT_END], "");
        let name = mark(&name, self.query, Within::Title).unwrap_or(name);
        let parts =
            name.split([HIT_START, HIT_END]).map(str::to_owned).enumerate().filter(|(_, part)| !part.is_empty());
        parts.map(|(n, part)| if n % 2 == 1 { Piece::Hit(part) } else { Piece::Text(part) }).collect()
    }

    fn state(&self, item: &Item, reading: &Version) -> ItemState {
        let Some(time) = self.as_of else { return item.state_of(reading.seq) };
        match item_at(item, AsOf::Time(time)) {
            Some(at) if at.reading.seq != reading.seq => ItemState::Edited,
            Some(at) if at.gone.is_some() => ItemState::Deleted,
            _ => ItemState::Current,
        }
    }

    /// In which of its texts it was found.
    fn why(&self, indexed: &Texts, is_beside: bool, is_in_file: bool) -> Vec<String> {
        let w = self.desk.w;
        if plans(self.query).is_empty() {
            return Vec::new();
        }
        let mut out = Vec::new();
        let has =
            |text: &str, within| !positions(&text.replace([HIT_START, HIT_END], ""), self.query, within).is_empty();
        if has(&indexed.body, Within::Body) {
            out.push(if is_beside { w.say("found-beside") } else { w.say("found-in-text") });
        }
        if has(&indexed.title, Within::Title) {
            out.push(w.say("found-in-name"));
        }
        if is_in_file {
            out.push(w.say("found-in-file"));
        }
        if out.is_empty() {
            out.push(w.say("found-by-conditions"));
        }
        out
    }

    /// The files that a message carries.
    fn files(&self, item: &Item, value: &Value) -> Vec<(String, Vec<Piece>)> {
        if item.kind != Kind::Message {
            return Vec::new();
        }
        let all: Vec<&Value> =
            value.get("file").into_iter().chain(value["files"].as_array().into_iter().flatten()).collect();
        let named =
            |id: &str| all.iter().find(|file| file["id"] == id).map_or(id, |file| text(file, "name")).to_owned();
        file_ids(value).into_iter().map(|id| (format!("/f/{}", encode(id)), self.name(&visible(&named(id))))).collect()
    }

    /// A neighbour as it last read or, as of a moment, as it read then; `None` where it was not there then.
    fn context(&self, item: &Item, hit: UtcTime) -> Option<ContextView> {
        let at = item_at(item, self.as_of.map_or(AsOf::Now, AsOf::Time))?;
        let value = json::parse(&at.reading.record.body).unwrap_or_default();
        let said = text_of(&at.reading.record).replace([HIT_START, HIT_END], "");
        let mut line: String = said.split_whitespace().collect::<Vec<_>>().join(" ");
        if line.is_empty() {
            let files = value.get("file").into_iter().chain(value["files"].as_array().into_iter().flatten());
            line = files.map(|file| visible(text(file, "name"))).collect::<Vec<_>>().join(", ");
        }
        let text = markup::pieces(&shortened(&line, CONTEXT), self.directory);
        let note = if at.gone.is_some() { self.desk.w.say("gone-kept") } else { String::new() };
        let time = written(item, &value);
        let mut moment = Moment::new(time, self.desk.zone);
        let (day, of_hit) = (self.desk.zone.date(time), self.desk.zone.date(hit));
        // The hit's date stands above; a clock alone would be taken for that day's.
        if day != of_hit {
            moment.clock = day.format(if day.year() == of_hit.year() { "%-d %b" } else { "%b %Y" }).to_string();
        }
        let record = at.reading.seq.0;
        Some(ContextView {
            record: self.placed.borrow_mut().insert(record).then_some(record),
            at: moment,
            author: self.names.person(author(&value)),
            dir: direction(&text),
            text,
            note,
        })
    }
}

/// The words about a reading's state and its place among the others.
fn badge(w: &Words, kind: Kind, state: ItemState, number: usize, count: usize) -> String {
    match (state, count) {
        (ItemState::Current, 1) => String::new(),
        (ItemState::Current, _) if kind == Kind::File => w.with_two("badge-current-file", number, count),
        (ItemState::Edited, _) if kind == Kind::File => w.with_two("badge-earlier-file", number, count),
        (ItemState::Current, _) => w.with_two("badge-current", number, count),
        (ItemState::Edited, _) => w.with_two("badge-earlier", number, count),
        (ItemState::Deleted, 1) => w.say("badge-gone"),
        (ItemState::Deleted, _) => w.with_two("badge-gone-version", number, count),
    }
}

/// When a reading was edited, as it says itself.
fn edited(value: &Value) -> Option<UtcTime> {
    MessageTs::parse(value["edited"]["ts"].as_str()?).map(MessageTs::time)
}

/// A length of time in its largest unit that says enough.
fn later(w: &Words, time: chrono::TimeDelta) -> String {
    let seconds = time.num_seconds().max(0);
    match seconds {
        ..120 => w.count("captured-seconds", seconds),
        120..7_200 => w.count("captured-minutes", seconds / 60),
        7_200..172_800 => w.count("captured-hours", seconds / 3600),
        _ => w.count("captured-days", seconds / 86_400),
    }
}

fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
        None => text.to_owned(),
    }
}

/// A text around its first hit; whole where it is short.
fn around(text: &str, before: usize, after: usize) -> String {
    if text.chars().count() <= before + after {
        return text.to_owned();
    }
    let first = text.find(HIT_START).unwrap_or(0);
    let from = text[..first].char_indices().rev().nth(before).map_or(0, |(at, _)| at);
    let to = text[first..].char_indices().nth(after).map_or(text.len(), |(at, _)| first + at);
    let mut out = String::new();
    if from > 0 {
        out.push('…');
    }
    out.push_str(&text[from..to]);
    if out.matches(HIT_START).count() > out.matches(HIT_END).count() {
        out.push(HIT_END);
    }
    if to < text.len() {
        out.push('…');
    }
    out
}

/// A few lines of a file's text, the one before the first hit and those from it on.
fn lines(text: &str) -> String {
    let all: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let first = all.iter().position(|line| line.contains(HIT_START)).unwrap_or(0).saturating_sub(1);
    let shown: Vec<String> = all[first..].iter().take(LINES).map(|line| around(line, LINE / 2, LINE)).collect();
    let mut out = shown.join("\n");
    if first > 0 && !out.starts_with('…') {
        out.insert(0, '…');
    }
    if first + LINES < all.len() && !out.ends_with('…') {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::words::words;

    #[test]
    fn a_long_text_is_shown_around_its_hit() {
        let long = format!("{}\u{e000}hit\u{e001}{}", "a ".repeat(400), " b".repeat(400));
        let shown = around(&long, 10, 20);
        assert_eq!(shown, "… a a a a a \u{e000}hit\u{e001} b b b b b b b …");
        assert_eq!(around("short \u{e000}hit\u{e001}", 10, 20), "short \u{e000}hit\u{e001}");
        let cut = around(&format!("{}\u{e000}{}\u{e001}", "x".repeat(50), "y".repeat(50)), 5, 10);
        assert_eq!((cut.matches(HIT_START).count(), cut.matches(HIT_END).count()), (1, 1));
        assert!(cut.ends_with("\u{e001}…"), "{cut}");
    }

    #[test]
    fn a_file_shows_few_lines_and_the_one_with_the_hit_among_them() {
        let text: Vec<String> = (0..40).map(|n| format!("line {n}\n")).collect();
        let text = text.join("\n").replace("line 20\n", "line \u{e000}20\u{e001}\n");
        let shown = lines(&text);
        assert_eq!(shown.lines().count(), LINES);
        assert_eq!(shown.lines().next(), Some("…line 19"));
        assert!(shown.lines().nth(1).unwrap().contains(HIT_START));
        assert!(shown.ends_with('…'));
        assert_eq!(lines("one\n\n \u{e000}two\u{e001}"), "one\n\u{e000}two\u{e001}");
    }

    #[test]
    fn a_length_of_time_is_said_in_one_unit() {
        for (seconds, due) in [
            (-5, "captured 0 s later"),
            (4, "captured 4 s later"),
            (119, "captured 119 s later"),
            (3600, "captured 60 min later"),
            (90_000, "captured 25 h later"),
            (864_000, "captured 10 days later"),
        ] {
            assert_eq!(later(words(), chrono::TimeDelta::seconds(seconds)), due);
        }
    }
}
