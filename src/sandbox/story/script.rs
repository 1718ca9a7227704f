//! Reads the chat scripts: text files in which a message is a line.
//!
//! A script is made of days and messages, and of lines that start with a sign and belong to the
//! message above them:
//!
//! ```text
//! == 03-12                   a day of 2026; times are UTC
//! 08:05 petr The text        a message: time, short name of the author, text
//! | another line             the text goes on in a new line
//! + tada hana sara           a reaction and who set it
//! ^ schedule gantt           keys of the files it shares
//! ~ petr 03-12 08:09         who edited it and when
//! !                          pinned for all; with a short name: for that person alone
//! = co3-price                a label for the actions that come later
//! % channel_topic            a subtype
//! & topic Some text          a further field of the message, a string
//! # remark                   not part of the story
//! ```
//!
//! `<@petr>` in a text becomes the mention of Petr's mail address.

use chrono::NaiveDate;
use serde_json::Value;

use super::people;
use crate::sandbox::seed::SeedMessage;

/// The year the story is set in.
const YEAR: i32 = 2026;

/// Unix seconds of a minute of the story's year; `None` when there is no such minute.
pub(super) fn moment(month: u32, day: u32, hour: u32, minute: u32) -> Option<i64> {
    let time = NaiveDate::from_ymd_opt(YEAR, month, day)?.and_hms_opt(hour, minute, 0)?;
    Some(time.and_utc().timestamp())
}

/// Unix seconds of `03-12 08:09`.
pub(super) fn moment_of(text: &str) -> Option<i64> {
    let (day, time) = text.trim().split_once(' ')?;
    let (month, day) = day.split_once('-')?;
    let (hour, minute) = time.split_once(':')?;
    moment(month.parse().ok()?, day.parse().ok()?, hour.parse().ok()?, minute.parse().ok()?)
}

/// Puts mail addresses where a text mentions somebody by short name.
pub(super) fn expand_mentions(text: &str) -> String {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("<@") {
        let (before, mention) = rest.split_at(start + 2);
        expanded.push_str(before);
        rest = mention;
        if let Some(end) = mention.find(['>', '|'])
            && let Some(email) = people::email(&mention[..end])
        {
            expanded.push_str(email);
            rest = &mention[end..];
        }
    }
    expanded.push_str(rest);
    expanded
}

/// The messages of a script, in its order. `at` is the start of the minute; seconds come later,
/// when all messages of a channel are known.
pub(super) fn parse(channel: &str, script: &str) -> Result<Vec<SeedMessage>, String> {
    let mut messages: Vec<SeedMessage> = Vec::new();
    let mut day = "";
    for (index, line) in script.lines().enumerate() {
        let refuse = |what: &str| format!("{channel}, line {}: {what}: {line}", index + 1);
        let line_end = line.trim_end();
        if line_end.is_empty() || line_end.starts_with('#') {
            continue;
        }
        if let Some(rest) = line_end.strip_prefix("== ") {
            day = rest;
            continue;
        }
        if line_end.starts_with(|first: char| first.is_ascii_digit()) {
            messages.push(message(channel, day, line_end).ok_or_else(|| refuse("not a message"))?);
            continue;
        }
        let last = messages.last_mut().ok_or_else(|| refuse("no message above"))?;
        let mut parts = line_end.splitn(2, ' ');
        let sign = parts.next().unwrap_or_default();
        let rest = parts.next().unwrap_or_default();
        annotate(last, sign, rest).ok_or_else(|| refuse("not understood"))?;
    }
    Ok(messages)
}

/// Reads `08:05 petr The text`.
fn message(channel: &str, day: &str, line: &str) -> Option<SeedMessage> {
    let mut parts = line.splitn(3, ' ');
    let time = parts.next()?;
    let user = people::email(parts.next()?)?;
    Some(SeedMessage {
        channel: channel.to_owned(),
        user: user.to_owned(),
        at: moment_of(&format!("{day} {time}"))?,
        text: expand_mentions(parts.next().unwrap_or_default()),
        ..SeedMessage::default()
    })
}

/// Applies a line that starts with a sign to the message above it.
fn annotate(message: &mut SeedMessage, sign: &str, rest: &str) -> Option<()> {
    match sign {
        "|" => {
            message.text.push('\n');
            message.text.push_str(&expand_mentions(rest));
        }
        "+" => {
            let mut words = rest.split(' ');
            let name = words.next()?;
            for who in words {
                let pair = (name.to_owned(), people::email(who)?.to_owned());
                message.reactions.push(pair);
            }
        }
        "^" => message.files.extend(rest.split(' ').map(str::to_owned)),
        "~" => {
            let (who, time) = rest.split_once(' ')?;
            message.edited = Some((people::email(who)?.to_owned(), moment_of(time)?));
        }
        "!" if rest.is_empty() => message.pinned = Some(None),
        "!" => message.pinned = Some(Some(people::email(rest)?.to_owned())),
        "=" => rest.clone_into(&mut message.label),
        "%" => rest.clone_into(&mut message.subtype),
        "&" => {
            let (name, value) = rest.split_once(' ')?;
            message.extra.push((name.to_owned(), Value::String(value.to_owned())));
        }
        _ => return None,
    }
    Some(())
}
