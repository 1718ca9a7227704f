//! A stretch of a channel as the rows of a page: days, messages, what was not captured, and long silences.
//!
//! It reads everything as of one moment. What a page says of time stands between the messages where it
//! belongs, so that who reads on comes past it.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::captured::{Captured, bounds};
use super::view::{MessageView, Moment, QuoteView, gone_words, message, person_href, reactions, text_of};
use super::way::Way;
use crate::history::{AsOf, Directory, Item, ItemAt, answers, author, item_at};
use crate::index::mark;
use crate::model::{ChannelId, MessageTs, UtcTime, json};
use crate::query::{Query, Within};
use crate::record::Kind;
use crate::web::desk::Desk;
use crate::web::error::WebError;
use crate::web::markup::{self, Effort, Piece, direction, visible};

/// Days without a message that are worth a word.
const SILENCE: i64 = 7;
/// What somebody writes within this time of their last line goes on with it.
const SAME_BREATH: chrono::TimeDelta = chrono::TimeDelta::minutes(5);
/// Characters of a message that another one answers.
const QUOTED: usize = 160;

/// A row of a page.
#[derive(Debug)]
pub(crate) enum Row {
    /// A day begins.
    Day {
        name: String,
        /// The day to print.
        href: String,
    },
    /// Time that was not walked to the end.
    Gap(GapView),
    /// Nothing was said for long, and somebody looked.
    Silence(String),
    /// Something was said.
    Message(Box<MessageView>),
}

/// Time that was not captured.
#[derive(Debug, Clone)]
pub(crate) struct GapView {
    pub(crate) id: String,
    pub(crate) when: String,
    pub(crate) why: Vec<String>,
    /// The day that was asked for lies in it.
    pub(crate) is_target: bool,
}

/// What should be known of a page that is as of a moment.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    /// Messages that were gone by then.
    pub(crate) gone: usize,
    /// Messages that may have been.
    pub(crate) unsure: usize,
    /// Messages that were first seen later, and edited before that.
    pub(crate) later: usize,
}

/// What rows are made of.
pub(crate) struct Stretch<'a> {
    pub(crate) desk: &'a Desk,
    pub(crate) channel: &'a ChannelId,
    pub(crate) way: &'a Way,
    pub(crate) captured: &'a Captured,
    /// Oldest first.
    pub(crate) items: &'a [Item],
    /// Names of the time, and of now.
    pub(crate) names: &'a Directory,
    pub(crate) now: &'a Directory,
    pub(crate) as_of: AsOf,
    pub(crate) query: Option<&'a Query>,
    pub(crate) target: Option<MessageTs>,
    /// The day that was asked for.
    pub(crate) day: Option<chrono::NaiveDate>,
    /// The last message before the page; `None`: there is none.
    pub(crate) after: Option<MessageTs>,
    /// There are messages after those of the page.
    pub(crate) goes_on: bool,
}

/// The name of a message's place on a page.
pub(crate) fn anchor(record: u64) -> String {
    format!("m{record}")
}

impl Stretch<'_> {
    /// The rows, in the order of time.
    pub(crate) fn rows(&self) -> Result<(Vec<Row>, Counts), WebError> {
        self.rows_until(MessageTs::MAX)
    }

    /// The rows, with what was not captured before `end`.
    pub(crate) fn rows_until(&self, end: MessageTs) -> Result<(Vec<Row>, Counts), WebError> {
        let (pinned, later_reactions) = (self.pinned()?, self.reactions()?);
        let (mut out, mut counts, mut quoted) = (Vec::new(), Counts::default(), HashSet::new());
        let mut effort = Effort::of_a_page();
        let stamps: Vec<MessageTs> = self.items.iter().filter_map(|item| MessageTs::parse(&item.key)).collect();
        let from = self.after.unwrap_or(MessageTs::MIN);
        let to = if self.goes_on { stamps.last().copied().unwrap_or(end) } else { end };
        let mut gaps = self.captured.between(from, to).zip(1..).peekable();
        let mut before: Option<(UtcTime, String)> = self.after.map(|ts| (ts.time(), String::new()));
        let mut day = None;
        for (item, ts) in self.items.iter().zip(stamps) {
            let Some(at) = item_at(item, self.as_of) else { continue };
            let time = ts.time();
            let mut is_parted = false;
            while let Some((gap, number)) = gaps.next_if(|(gap, _)| gap.from < ts) {
                out.push(Row::Gap(self.gap(gap, number)));
                is_parted = true;
            }
            let date = self.desk.zone.date(time);
            if let Some((last, _)) = &before
                && !is_parted
                && let silent = (date - self.desk.zone.date(*last)).num_days() - 1
                && silent >= SILENCE
            {
                let since = MessageTs::from_micros(last.timestamp_micros());
                out.push(Row::Silence(if self.captured.has_seen(since, ts) {
                    self.desk.w.count("silent-days-seen", silent)
                } else {
                    self.desk.w.count("silent-days", silent)
                }));
                is_parted = true;
            }
            if day != Some(date) {
                day = Some(date);
                is_parted = true;
                let name = date.format("%A %-d %B %Y").to_string();
                out.push(Row::Day { name, href: self.way.day(date) });
            }
            let mut view = self.message(item, at, &mut counts, &mut quoted, &mut effort)?;
            if let Some(array) = later_reactions.get(&ts)
                && at.gone.is_none()
            {
                view.reactions = reactions(array, self.names);
            }
            view.is_target = self.target == Some(ts);
            view.pinned = pinned.contains(&item.key);
            let is_plain = view.note.is_empty() && view.gone.is_empty() && view.quote.is_none();
            view.continues = !is_parted
                && is_plain
                && before.is_some_and(|(last, who)| who == view.author_id && time - last < SAME_BREATH);
            before = Some((time, if view.note.is_empty() { view.author_id.clone() } else { String::new() }));
            out.push(Row::Message(Box::new(view)));
        }
        out.extend(gaps.map(|(gap, number)| Row::Gap(self.gap(gap, number))));
        Ok((out, counts))
    }

    fn gap(&self, gap: &super::captured::Gap, number: usize) -> GapView {
        let is_target = self.day.is_some_and(|day| {
            let (from, to) = bounds(self.desk.zone, day);
            gap.meets(from, to)
        });
        GapView { id: format!("gap-{number}"), when: gap.when(self.desk), why: gap.reasons.clone(), is_target }
    }

    /// One message as it stood.
    fn message(
        &self,
        item: &Item,
        at: ItemAt<'_>,
        counts: &mut Counts,
        quoted: &mut HashSet<MessageTs>,
        effort: &mut Effort,
    ) -> Result<MessageView, WebError> {
        let w = self.desk.w;
        let mut view = message(self.desk, item, at.reading, self.names, self.query, effort);
        view.can_pick = true;
        let body = json::parse(&at.reading.record.body).unwrap_or_default();
        view.quote = self.quote(&body, quoted)?;
        let (then, now) = (self.names.person(&view.author_id), self.now.person(&view.author_id));
        if then != now {
            view.author_title = w.with_two("now-called", &view.author_id, visible(now));
        }
        if self.as_of == AsOf::Now {
            view.is_open = self.query.is_some_and(|query| matched_before(item, query));
            return Ok(view);
        }
        for chip in &mut view.files {
            chip.href = self.way.beside(&chip.href);
        }
        let stood = item.readings().iter().position(|reading| reading.seq == at.reading.seq).unwrap_or(0);
        view.versions.truncate(stood + 1);
        if view.versions.len() < 2 {
            view.versions.clear();
        }
        if at.is_later {
            counts.later += 1;
            view.remarks.push(w.say("then-first-seen-later"));
        }
        if let Some(gone) = at.gone {
            counts.gone += 1;
            view.gone = gone_words(self.desk, self.names, &json::parse(&gone.record.body).unwrap_or_default());
            view.remarks = vec![w.say("then-gone")];
            view.lacks_first = false;
            view.body.clear();
            view.files.clear();
            view.reactions.clear();
            view.versions.clear();
            view.quote = None;
        } else {
            if let Some(doubt) = self.may_have_been_gone(item) {
                counts.unsure += 1;
                view.remarks.push(doubt);
            }
            view.gone.clear();
        }
        Ok(view)
    }

    /// A message went between two looks, and the moment lies between them.
    fn may_have_been_gone(&self, item: &Item) -> Option<String> {
        let AsOf::Time(moment) = self.as_of else { return None };
        let note = item.evidence()?;
        let time = |name: &str| {
            let text = note["gone"][name].as_str()?;
            chrono::DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc())
        };
        let (seen, missed) = (time("last_seen")?, time("first_missing")?);
        if time("at").is_some() || moment < seen || moment >= missed {
            return None;
        }
        let shown = |time| Moment::new(time, self.desk.zone).full;
        Some(self.desk.w.with_two("then-perhaps-gone", shown(seen), shown(missed)))
    }

    /// What a message answers, as it read then.
    fn quote(&self, body: &Value, quoted: &mut HashSet<MessageTs>) -> Result<Option<QuoteView>, WebError> {
        let Some(ts) = answers(body).and_then(MessageTs::parse) else { return Ok(None) };
        let (desk, key) = (self.desk, ts.to_string());
        let here = self.items.iter().find(|item| item.key == key).cloned();
        let is_here = here.is_some();
        let parent = match here {
            Some(here) => Some(here),
            None => desk.archive().item(Kind::Message, Some(self.channel), &key)?,
        };
        let at = Moment::new(ts.time(), desk.zone);
        let Some((parent, shown)) = parent.as_ref().and_then(|item| Some((item, item_at(item, self.as_of)?))) else {
            return Ok(Some(QuoteView {
                href: self.way.to(&[("at", &key)]),
                record: None,
                author: String::new(),
                at,
                body: Vec::new(),
                dir: "ltr",
                note: desk.w.say("quote-not-here"),
            }));
        };
        let said = json::parse(&shown.reading.record.body).unwrap_or_default();
        let is_gone = shown.gone.is_some() || self.as_of == AsOf::Now && parent.is_gone();
        let body = beginning(markup::pieces(&text_of(&shown.reading.record), self.names));
        Ok(Some(QuoteView {
            href: self.way.at(shown.reading.seq.0, &anchor(shown.reading.seq.0)),
            record: (!is_here && shown.gone.is_none() && quoted.insert(ts)).then_some(shown.reading.seq.0),
            author: visible(self.names.person(author(&said))),
            at,
            dir: direction(&body),
            body: if shown.gone.is_some() { Vec::new() } else { body },
            note: if is_gone { desk.w.say("quote-gone") } else { String::new() },
        }))
    }

    /// Time stamps of what was pinned, by any account.
    fn pinned(&self) -> Result<Vec<String>, WebError> {
        let mut out = Vec::new();
        for items in self.desk.archive().pins_at(self.channel, self.as_of)? {
            for item in items.as_array().into_iter().flatten() {
                out.extend(item["ts"].as_str().or_else(|| item["message"]["ts"].as_str()).map(str::to_owned));
            }
        }
        Ok(out)
    }

    fn reactions(&self) -> Result<HashMap<MessageTs, Value>, WebError> {
        let stamp = |item: Option<&Item>| item.and_then(|item| MessageTs::parse(&item.key));
        match (stamp(self.items.first()), stamp(self.items.last())) {
            (Some(first), Some(last)) => {
                Ok(self.desk.archive().reactions_between(self.channel, first, last, self.as_of)?)
            }
            _ => Ok(HashMap::new()),
        }
    }
}

/// Whether a query finds an earlier wording and not the last one.
fn matched_before(item: &Item, query: &Query) -> bool {
    let readings = item.readings();
    let finds = |n: usize| mark(&text_of(&readings[n].record), query, Within::Body).is_some();
    let earlier = readings.len().saturating_sub(1);
    earlier > 0 && !finds(earlier) && (0..earlier).any(finds)
}

/// The beginning of a text, on one line and without links.
fn beginning(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut out = Vec::new();
    let mut left = QUOTED;
    for piece in pieces {
        let (text, is_code) = match piece {
            Piece::Text(text) | Piece::Hit(text) | Piece::Link { label: text, .. } => (text, false),
            Piece::Code(text) | Piece::Block(text) => (text, true),
            other => {
                out.push(other);
                continue;
            }
        };
        let cut: String = text.chars().take(left).map(|c| if c == '\n' { ' ' } else { c }).collect();
        let is_cut = cut.len() < text.len();
        left -= cut.chars().count();
        out.push(if is_code { Piece::Code(cut) } else { Piece::Text(cut) });
        if is_cut {
            out.push(Piece::Text("…".to_owned()));
            break;
        }
    }
    out
}

/// The members of a channel, some by name.
pub(crate) struct Members {
    /// How many, and when.
    pub(crate) count: String,
    /// Name and page of each of the first ones.
    pub(crate) some: Vec<(String, String)>,
    pub(crate) more: u64,
}

/// Members that are named.
const NAMED: usize = 60;

/// Who was in a channel, as it was known at a moment: on that day, or when it was first seen.
pub(crate) fn members(
    desk: &Desk,
    channel: &ChannelId,
    names: &Directory,
    day: Option<chrono::NaiveDate>,
) -> Result<Members, WebError> {
    let w = desk.w;
    let Some(facts) = names.channels.get(channel) else {
        return Ok(Members { count: String::new(), some: Vec::new(), more: 0 });
    };
    let count = w.count("member-count", facts.member_count);
    let count = if facts.is_later {
        let record = desk.archive().record(facts.record)?;
        let seen = record.map(|record| desk.zone.date(record.header.observed()).to_string()).unwrap_or_default();
        w.with_two("members-first-seen", count, seen)
    } else if let Some(day) = day {
        w.with_two("members-on-day", count, day)
    } else {
        count
    };
    let some: Vec<(String, String)> =
        facts.members.iter().take(NAMED).map(|id| (visible(names.person(id)), person_href(names, id))).collect();
    let more = facts.member_count.saturating_sub(some.len() as u64);
    Ok(Members { count, more: if some.is_empty() { 0 } else { more }, some })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_is_short_and_leads_nowhere() {
        let long = "a".repeat(QUOTED - 2);
        let text = |text: &str| Piece::Text(text.to_owned());
        let link = Piece::Link { href: "https://x.example".into(), label: "x\nyz".into(), host: "x.example".into() };
        assert_eq!(beginning(vec![text("a\nb"), link.clone()]), [text("a b"), text("x yz")]);
        assert_eq!(beginning(vec![text(&long), link, text("more")]), [text(&long), text("x "), text("…")]);
        assert_eq!(beginning(vec![text("Я"); QUOTED]).len(), QUOTED);
    }
}
