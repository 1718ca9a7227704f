//! `search.*`: plain matching of words and phrases, with the modifiers that clients send.

use chrono::{Datelike as _, Days, Months, NaiveDate, NaiveTime, TimeZone as _};
use chrono_tz::Tz;
use serde_json::{Value, json};

use super::{Answer, Call, Page};
use crate::sandbox::workspace::Refusal;
use crate::sandbox::workspace::state::State;
use crate::sandbox::workspace::view::FileView;

/// Marks around a hit.
const MARKS: (char, char) = ('\u{e000}', '\u{e001}');

/// A parsed query.
#[derive(Debug, Default, PartialEq)]
struct Query {
    wanted: Vec<Term>,
    unwanted: Vec<Term>,
    from: Option<String>,
    channel: Option<String>,
    time: Option<Stretch>,
}

/// A stretch of time in Unix seconds; its end does not belong to it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Stretch {
    from: i64,
    to: i64,
}

impl Stretch {
    /// What a modifier names: `before:`, `after:` and `on:` a day, `during:` a day, a month or a
    /// year. Neither `before:` nor `after:` includes the day itself.
    fn parse(word: &str, zone: Tz) -> Option<Self> {
        let (name, date) = word.split_once(':')?;
        let (first, after) = days(date)?;
        let begin = |day: NaiveDate| zone.from_local_datetime(&day.and_time(NaiveTime::MIN)).earliest();
        let [first_second, second_after] = [begin(first)?.timestamp(), begin(after)?.timestamp()];
        let is_one_day = first.succ_opt() == Some(after);
        match name {
            "before" if is_one_day => Some(Self { from: i64::MIN, to: first_second }),
            "after" if is_one_day => Some(Self { from: second_after, to: i64::MAX }),
            "on" if is_one_day => Some(Self { from: first_second, to: second_after }),
            "during" => Some(Self { from: first_second, to: second_after }),
            _ => None,
        }
    }

    fn and(self, other: Self) -> Self {
        Self { from: self.from.max(other.from), to: self.to.min(other.to) }
    }
}

/// The first day of what `2017`, `2017-03` or `2017-03-20` names, and the first day after it.
fn days(text: &str) -> Option<(NaiveDate, NaiveDate)> {
    let mut parts = text.split('-').map(|part| part.parse::<u32>().ok());
    let year = i32::try_from(parts.next()??).ok()?;
    let (month, day) = (parts.next(), parts.next());
    if parts.next().is_some() || !(1..=9999).contains(&year) {
        return None;
    }
    let first = NaiveDate::from_ymd_opt(year, month.unwrap_or(Some(1))?, day.unwrap_or(Some(1))?)?;
    let after = match (month, day) {
        (None, _) => NaiveDate::from_ymd_opt(first.year() + 1, 1, 1)?,
        (_, None) => first.checked_add_months(Months::new(1))?,
        _ => first.checked_add_days(Days::new(1))?,
    };
    Some((first, after))
}

/// A word or a phrase, in lower case.
#[derive(Debug, PartialEq)]
struct Term {
    letters: Vec<char>,
    /// Only whole words count.
    is_whole: bool,
}

/// Lower case, letter by letter, so that positions stay those of the text.
fn lower(text: &str) -> Vec<char> {
    text.chars().map(|letter| letter.to_lowercase().next().unwrap_or(letter)).collect()
}

impl Query {
    /// Days begin in `zone`. What looks like a modifier and is none is a word.
    fn parse(text: &str, zone: Tz) -> Self {
        let mut query = Self::default();
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            let is_unwanted = rest.starts_with('-') && rest.len() > 1;
            let body = if is_unwanted { &rest[1..] } else { rest };
            let (word, tail, is_phrase) = if let Some(phrase) = body.strip_prefix('"') {
                let (phrase, tail) = phrase.split_once('"').unwrap_or((phrase, ""));
                (phrase, tail, true)
            } else {
                let (word, tail) = body.split_once(char::is_whitespace).unwrap_or((body, ""));
                (word, tail, false)
            };
            rest = tail.trim_start();
            if !is_phrase && !is_unwanted {
                if let Some(from) = word.strip_prefix("from:") {
                    query.from = Some(from.trim_start_matches('@').to_owned());
                    continue;
                }
                if let Some(channel) = word.strip_prefix("in:") {
                    query.channel = Some(channel.trim_start_matches('#').to_owned());
                    continue;
                }
                if let Some(stretch) = Stretch::parse(word, zone) {
                    query.time = Some(query.time.map_or(stretch, |time| time.and(stretch)));
                    continue;
                }
            }
            let stem = word.trim_end_matches('*');
            if stem.is_empty() {
                continue;
            }
            let term = Term { is_whole: stem.len() == word.len() && stem.is_ascii(), letters: lower(stem) };
            if is_unwanted {
                query.unwanted.push(term);
            } else {
                query.wanted.push(term);
            }
        }
        query
    }

    fn is_empty(&self) -> bool {
        self.wanted.is_empty() && self.from.is_none() && self.time.is_none()
    }

    fn is_within(&self, seconds: i64) -> bool {
        self.time.is_none_or(|time| (time.from..time.to).contains(&seconds))
    }

    /// How many hits a text has; `None` when it doesn't match.
    fn hits(&self, text: &str) -> Option<usize> {
        if self.wanted.is_empty() && self.unwanted.is_empty() {
            return Some(0);
        }
        let letters = lower(text);
        if self.unwanted.iter().any(|term| term.is_in(&letters)) {
            return None;
        }
        let mut hits = 0;
        for term in &self.wanted {
            match term.positions(&letters).count() {
                0 => return None,
                count => hits += count,
            }
        }
        Some(hits)
    }

    fn mark(&self, text: &str) -> String {
        let letters = lower(text);
        let mut is_hit = vec![false; letters.len()];
        for term in &self.wanted {
            for at in term.positions(&letters) {
                is_hit[at..at + term.letters.len()].fill(true);
            }
        }
        let mut marked = String::with_capacity(text.len() + 16);
        let mut is_open = false;
        for (letter, hit) in text.chars().zip(is_hit) {
            if hit != is_open {
                marked.push(if hit { MARKS.0 } else { MARKS.1 });
                is_open = hit;
            }
            marked.push(letter);
        }
        if is_open {
            marked.push(MARKS.1);
        }
        marked
    }
}

impl Term {
    fn positions<'a>(&'a self, letters: &'a [char]) -> impl Iterator<Item = usize> + 'a {
        let length = self.letters.len();
        letters
            .windows(length)
            .enumerate()
            .filter(move |(at, window)| *window == self.letters && (!self.is_whole || is_bounded(letters, *at, length)))
            .map(|(at, _)| at)
    }

    fn is_in(&self, letters: &[char]) -> bool {
        self.positions(letters).next().is_some()
    }
}

fn is_bounded(letters: &[char], at: usize, length: usize) -> bool {
    let is_word = |at: usize| letters.get(at).is_some_and(|letter| letter.is_alphanumeric());
    let before = at.checked_sub(1).is_some_and(is_word);
    !before && !is_word(at + length)
}

pub(super) fn search(call: Call<'_>, with_messages: bool, with_files: bool) -> Answer {
    let text = call.params.need("query", "no_query")?;
    let state = call.workspace().read();
    let query = Query::parse(text, state.users[call.caller].tz.parse().unwrap_or(Tz::UTC));
    let channels = scope(call, &state, &query)?;
    let page = Page::read(call.params, 20);
    let mut body = json!({ "query": text });
    if with_messages {
        body["messages"] = messages(call, &state, &query, &channels, page);
    }
    if with_files {
        body["files"] = files(call, &state, &query, &channels, page);
    }
    Ok(body)
}

/// The named channel, or all of the caller's when none is named.
fn scope(call: Call<'_>, state: &State, query: &Query) -> Result<Vec<usize>, Refusal> {
    let named = if call.params.get("channel").is_some() {
        vec![call.readable_channel(state)?]
    } else {
        (0..state.channels.len()).filter(|channel| call.is_in(state, *channel)).collect()
    };
    let Some(name) = &query.channel else {
        return Ok(named);
    };
    let only = state.channel_by_name(name);
    Ok(named.into_iter().filter(|channel| Some(*channel) == only).collect())
}

fn is_from(state: &State, query: &Query, user: usize) -> bool {
    query.from.as_ref().is_none_or(|from| {
        let user = &state.users[user];
        [&user.id, &user.email, &user.name].iter().any(|name| name.eq_ignore_ascii_case(from))
    })
}

fn results<T>(page: Page, total: usize, matches: Vec<T>) -> Value
where
    Value: From<Vec<T>>,
{
    let shown = matches.len();
    json!({
        "total": total,
        "paging": page.paging(shown, total),
        "pagination": page.pagination(shown, total),
        "matches": Value::from(matches),
    })
}

fn messages(call: Call<'_>, state: &State, query: &Query, channels: &[usize], page: Page) -> Value {
    let mut found = Vec::new();
    if !query.is_empty() {
        for channel in channels {
            for (at, message) in state.channels[*channel].messages.iter().enumerate() {
                if query.is_within(message.ts.seconds)
                    && is_from(state, query, message.user)
                    && call.shows(state, *channel, message)
                    && let Some(hits) = query.hits(&message.shown_text())
                {
                    found.push((hits, message.ts, *channel, at));
                }
            }
        }
    }
    sort(call, &mut found);
    let total = found.len();
    let matches: Vec<Value> =
        page.cut(found).into_iter().map(|(_, _, channel, at)| message_match(call, state, query, channel, at)).collect();
    results(page, total, matches)
}

fn sort<K: Ord + Copy, I>(call: Call<'_>, found: &mut [(usize, K, usize, I)]) {
    let by_time = call.params.get("sort") == Some("timestamp");
    found.sort_by_key(|(hits, key, channel, _)| (if by_time { 0 } else { *hits }, *key, *channel));
    if call.params.get("sort_dir") != Some("asc") {
        found.reverse();
    }
}

fn message_match(call: Call<'_>, state: &State, query: &Query, channel: usize, at: usize) -> Value {
    let stream = &state.channels[channel];
    let message = &stream.messages[at];
    let mut body = state.message_json(channel, message, Some(call.caller));
    if call.params.flag("highlight") {
        body["text"] = json!(query.mark(&message.shown_text()));
    }
    body["channel"] = json!({ "id": stream.id, "name": stream.name });
    body["username"] = json!(state.users[message.user].name);
    body["permalink"] = json!(format!(
        "{}/teamchatapi/items.info?channel={}&ts={}",
        state.origin,
        crate::sandbox::ids::encode(&stream.id),
        message.ts
    ));
    let near = |at: usize| {
        let message = &stream.messages[at];
        json!({
            "type": "message",
            "user": state.users[message.user].id,
            "username": state.users[message.user].name,
            "text": message.shown_text(),
            "ts": message.ts.to_string(),
        })
    };
    let shown = |at: &usize| call.shows(state, channel, &stream.messages[*at]);
    for (name, at) in ["previous", "previous_2"].into_iter().zip((0..at).rev().filter(shown)) {
        body[name] = near(at);
    }
    let after = at + 1..stream.messages.len();
    for (name, at) in ["next", "next_2"].into_iter().zip(after.filter(shown)) {
        body[name] = near(at);
    }
    body
}

fn files(call: Call<'_>, state: &State, query: &Query, channels: &[usize], page: Page) -> Value {
    let mut found = Vec::new();
    if !query.is_empty() {
        for channel in channels {
            for file in &state.channels[*channel].files {
                let entry = &state.files[*file];
                if !entry.is_deleted
                    && query.is_within(entry.created)
                    && is_from(state, query, entry.user)
                    && !found.iter().any(|(_, _, _, known)| known == file)
                    && let Some(hits) = query.hits(&format!("{} {}", entry.name, entry.title))
                {
                    found.push((hits, entry.created, *channel, *file));
                }
            }
        }
    }
    sort(call, &mut found);
    let total = found.len();
    let matches: Vec<Value> = page
        .cut(found)
        .into_iter()
        .map(|(_, _, channel, file)| state.file_json(file, FileView::Stream(channel), call.caller))
        .collect();
    results(page, total, matches)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: &str, text: &str, expected: bool) {
        assert_eq!(Query::parse(query, Tz::UTC).hits(text).is_some(), expected, "{query} in {text}");
    }

    #[test]
    fn words_phrases_and_exclusions() {
        check("anchor", "Drop the ANCHOR!", true);
        check("anchor", "anchorage", false);
        check("anchor*", "anchorage", true);
        check("\"the anchor\"", "drop the anchor", true);
        check("\"anchor the\"", "drop the anchor", false);
        check("drop -anchor", "drop the anchor", false);
        check("kotva přístav", "Přístav a kotva", true);
    }

    #[test]
    fn hits_are_marked() {
        assert_eq!(
            Query::parse("anchor", Tz::UTC).mark("Anchor, an anchor"),
            "\u{e000}Anchor\u{e001}, an \u{e000}anchor\u{e001}"
        );
    }

    #[test]
    fn days_months_and_years_in_the_zone_of_the_asker() {
        let second = |text: &str| chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp();
        for (query, moment, expected) in [
            ("on:2017-03-20", "2017-03-20T00:00:00+01:00", true),
            ("on:2017-03-20", "2017-03-19T23:59:59+01:00", false),
            ("before:2017-03-20", "2017-03-19T23:59:59+01:00", true),
            ("before:2017-03-20", "2017-03-20T00:00:00+01:00", false),
            ("after:2017-03-20", "2017-03-20T23:59:59+01:00", false),
            ("after:2017-03-20", "2017-03-21T00:00:00+01:00", true),
            ("after:2017-03-01 before:2017-03-20", "2017-03-20T12:00:00+01:00", false),
            ("during:2017-03", "2017-03-31T23:59:59+02:00", true),
            ("during:2017-03", "2017-04-01T00:00:00+02:00", false),
            ("during:2017", "2018-01-01T00:00:00+01:00", false),
            ("after:1970-01-01", "2017-03-20T12:00:00+01:00", true),
        ] {
            let query_read = Query::parse(query, Tz::Europe__Prague);
            assert!(!query_read.is_empty(), "{query}");
            assert_eq!(query_read.is_within(second(moment)), expected, "{query} at {moment}");
        }
        for word in ["on:tuesday", "before:2017", "after:2017-13-01", "on:2017-03-20-1"] {
            assert_eq!(Query::parse(word, Tz::UTC).time, None, "{word} is a word");
        }
    }
}
