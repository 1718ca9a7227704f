//! A unit as HTML for people: the head of its page and what stands in it. Used by every format that shows
//! pages. Whoever asks gives the contents of the files, with where each lies, and accounts for the records
//! ([`account`]) of all that is shown: each record stands there with its number, what it says and when it was
//! observed.

mod entries;
pub(super) mod words;

use std::collections::{BTreeSet, HashMap};

use crate::export::Error;
use crate::export::facts;
use crate::export::markup::{css_string, escape, hidden_in, visible};
use crate::export::out::{Content, Out, Set};
use crate::export::unit::{Cell, Role, Subject, Unit, Version};
use crate::model::RecordSeq;
use crate::record::Kind;

const STYLE: &str = include_str!("pages/style.css");

/// What a page may load: its own style, and pictures that lie beside it.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'";

/// The content of a file's version, and where it lies.
pub(super) struct Given {
    pub(super) content: Content,
    /// As a link has it, or the name of an attachment.
    pub(super) place: String,
    /// It can be followed.
    pub(super) is_link: bool,
    /// It is shown on the page.
    pub(super) is_picture: bool,
}

/// The contents of a unit's files, by record.
pub(super) type Contents = HashMap<RecordSeq, Given>;

/// The beginning of a page; `more` is of its style sheet.
pub(super) fn begin(title: &str, more: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n<title>{}</title>\n<style>\n{STYLE}{more}</style>\n</head>\n<body>\n",
        escape(&visible(title))
    )
}

/// The beginning of a unit's page, up to what stands in it. `crumbs` is HTML.
pub(super) fn head(set: &Set<'_>, unit: &Unit, crumbs: &str) -> String {
    let zone = set.request.zone;
    let conversation = &unit.conversation;
    let part = if unit.part > 1 || unit.is_continued { format!(", part {}", unit.part) } else { String::new() };
    let name = visible(&conversation.name);
    let short: String = name.chars().take(60).collect();
    let seqs = words::seqs(unit);
    let records = match (seqs.iter().min(), seqs.iter().max()) {
        (Some(first), Some(last)) if first == last => format!("record {first}"),
        (Some(first), Some(last)) => format!("{} records, {first} to {last}", seqs.len()),
        _ => String::new(),
    };
    let paper = format!(
        "@page{{margin:2cm 1.6cm;@top-left{{content:\"{}\";font:8pt sans-serif}}@top-right{{content:\"{}\";font:8pt sans-serif}}\
         @bottom-left{{content:\"{}\";font:8pt sans-serif}}@bottom-right{{content:counter(page) \" / \" counter(pages);font:8pt sans-serif}}}}\n",
        css_string(&format!("{short}, {}{part}", unit.day)),
        css_string(&format!("{}, {records}", zone.name())),
        css_string(&format!("archive {}, checkpoint {}", set.archive(), set.size)),
    );
    let mut out = begin(&format!("{name}, {}{part}", unit.day), &paper);
    out.push_str(&format!(
        "<header>\n{crumbs}<h1><bdi>{}</bdi></h1>\n<p class=\"day\">{}, {}{part}</p>\n<dl class=\"facts\">\n",
        escape(&name),
        unit.day.format("%A"),
        unit.day
    ));
    let mut fact = |what: &str, html: &str| out.push_str(&format!("<dt>{what}</dt><dd>{html}</dd>\n"));
    if conversation.is_direct {
        fact("Kind", "Direct conversation");
    }
    if !conversation.topic.is_empty() {
        fact("Topic", &escape(&visible(&conversation.topic)));
    }
    let time = unit.entries.first().map_or(set.made_at, |entry| entry.time);
    let members: Vec<String> = conversation
        .members
        .iter()
        .map(|id| format!("<bdi>{}</bdi>", escape(&visible(&facts::who(set.names, id, Some(time))))))
        .collect();
    if !members.is_empty() {
        let list = members.join(", ");
        fact(
            "Members",
            &if members.len() > 12 {
                format!("<details><summary>{} members</summary>{list}</details>", members.len())
            } else {
                list
            },
        );
    }
    fact("Times", &format!("in {}. Topic and members are those at the first item below.", escape(zone.name())));
    fact("Records", &format!("{records} of archive {}, checkpoint {}", set.archive(), set.size));
    fact("Conversation", &escape(&visible(conversation.id.as_str())));
    out.push_str("</dl>\n</header>\n<main>\n");
    out
}

/// What stands in a unit, an item at a time.
pub(super) fn body<E>(
    set: &Set<'_>,
    unit: &Unit,
    contents: &Contents,
    mut put: impl FnMut(&str) -> Result<(), E>,
) -> Result<(), E> {
    let mut page = entries::Page::new(set, unit, contents);
    unit.entries.iter().try_for_each(|entry| put(page.entry(entry)))
}

/// Says of every record of a unit what became of it. Characters that are shown as their numbers are listed: with
/// the record that says them, those in names and in the topic with the first record.
pub(super) fn account(unit: &Unit, contents: &Contents, out: &mut Out<'_>) -> Result<(), Error> {
    if let (Some(first), Some(entry)) = (words::versions(unit).next(), unit.entries.first()) {
        let conversation = &unit.conversation;
        let people: BTreeSet<&str> = conversation.members.iter().map(String::as_str).chain(authors(unit)).collect();
        let names = people.iter().map(|id| out.set.names.name(id, entry.time));
        let count = names.chain([conversation.name.as_str(), conversation.topic.as_str()]).map(hidden_in).sum();
        remark(&entry.cell, first, " in names and the topic", count, out)?;
    }
    for entry in &unit.entries {
        if let Some(message) = &entry.message {
            subject_account(message, contents, out)?;
        }
        for version in entry.reactions.iter().chain(&entry.pins) {
            replaced(&entry.cell, version, out)?;
            out.produced(&entry.cell, version)?;
        }
        for family in &entry.files {
            subject_account(&family.file, contents, out)?;
            family.comments.iter().try_for_each(|comment| subject_account(comment, contents, out))?;
        }
    }
    Ok(())
}

/// Those who made what stands in a unit, as far as they are named.
fn authors(unit: &Unit) -> impl Iterator<Item = &str> {
    words::subjects(unit).map(|subject| subject.shown_author()).map(facts::Author::or_words)
}

fn subject_account(subject: &Subject, contents: &Contents, out: &mut Out<'_>) -> Result<(), Error> {
    for version in &subject.versions {
        replaced(&subject.cell, version, out)?;
        match contents.get(&version.seq) {
            Some(given) => out.produced_with(&subject.cell, version, &given.content)?,
            None => out.produced(&subject.cell, version)?,
        }
    }
    Ok(())
}

fn replaced(cell: &Cell, version: &Version, out: &mut Out<'_>) -> Result<(), Error> {
    if version.role == Role::Gone {
        return Ok(());
    }
    let count = if version.body.is_null() {
        hidden_in(&String::from_utf8_lossy(&version.record.body))
    } else {
        said(version).into_iter().map(hidden_in).sum()
    };
    remark(cell, version, "", count, out)
}

/// All that a page shows of what people wrote in a version.
fn said(version: &Version) -> Vec<&str> {
    let body = &version.body;
    let mut out = vec![version.text()];
    for card in body["attachments"].as_array().into_iter().flatten() {
        out.extend(words::CARD.iter().chain(&["fallback"]).filter_map(|name| card[*name].as_str()));
        let fields = card["fields"].as_array().into_iter().flatten();
        out.extend(fields.flat_map(|field| [&field["title"], &field["value"]]).filter_map(|text| text.as_str()));
    }
    match version.record.header.kind {
        Kind::File => out.extend(["name", "title"].iter().filter_map(|name| body[*name].as_str())),
        Kind::Pins => {
            let pins = facts::pins(body).into_iter();
            out.extend(pins.flat_map(|pin| [pin.text, pin.file.map_or("", |(_, name)| name)]));
        }
        kind => {
            let list = if kind == Kind::Reactions { body } else { &body["reactions"] };
            out.extend(facts::reactions(list).into_iter().map(|reaction| reaction.name));
        }
    }
    out
}

fn remark(cell: &Cell, version: &Version, place: &str, count: usize, out: &mut Out<'_>) -> Result<(), Error> {
    if count == 0 {
        return Ok(());
    }
    let what =
        format!("{count} characters{place} that are not seen or turn the direction of text are shown as their numbers");
    out.remark("replaced", cell, version, &what)
}
