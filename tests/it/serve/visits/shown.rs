//! Which records an entry says were shown: those that stood on the page, and no other.

use std::collections::BTreeSet;

use serde_json::Value;
use teamchat_archive::history::{Item, messages_between};
use teamchat_archive::model::{ChannelId, MessageTs, RecordSeq};
use teamchat_archive::record::Kind;
use teamchat_archive::store::FIRST_SOURCE;

use super::super::staff::{Staff, edited};
use super::super::{Desk, encode, tags, text_of};
use super::entries;

/// The numbers that an entry says were shown.
fn named(body: &Value) -> BTreeSet<u64> {
    let stretches = body["shown"].as_str().unwrap_or_default().split(',').filter(|stretch| !stretch.is_empty());
    let numbers = stretches.flat_map(|stretch| {
        let (first, last) = stretch.split_once('-').unwrap_or((stretch, stretch));
        first.parse::<u64>().unwrap()..=last.parse::<u64>().unwrap()
    });
    numbers.collect()
}

/// Texts of messages and comments that are part of no other, each with its record: where one stands on a page, that
/// record is shown, whatever the page says of itself.
fn telling(desk: &Desk) -> Vec<(u64, String)> {
    let reader = desk.archive.reader();
    let mut all = Vec::new();
    for seq in 0..reader.head().unwrap() {
        let record = reader.record(RecordSeq(seq)).unwrap();
        if matches!(record.header.kind, Kind::Message | Kind::Comment) {
            let body: Value = serde_json::from_slice(&record.body).unwrap_or_default();
            let text = body["text"].as_str().or(body["comment"].as_str()).unwrap_or_default();
            all.push((seq, text.to_owned()));
        }
    }
    let is_plain = |text: &str| text.len() > 15 && text.chars().all(|c| c.is_alphanumeric() || " ,.".contains(c));
    let is_its_own = |seq: u64, text: &str| !all.iter().any(|(other, whole)| *other != seq && whole.contains(text));
    all.iter().filter(|(seq, text)| is_plain(text) && is_its_own(*seq, text)).cloned().collect()
}

/// The records of the comments of a file that has some, and its id.
async fn commented(desk: &Desk, token: &str) -> (String, BTreeSet<u64>) {
    let files = desk.reply(token, "files.list", &[("count", "1000")]).await;
    let file =
        files["files"].as_array().unwrap().iter().find(|file| file["comments_count"].as_u64() > Some(1)).unwrap();
    let file = file["id"].as_str().unwrap().to_owned();
    let comments = desk.reply(token, "files.info", &[("file", &file)]).await["comments"].clone();
    let all = desk.archive.newest(Kind::Comment);
    let record = |comment: &Value| all[&format!("{file}/{}", comment["id"].as_str().unwrap())].latest().unwrap().seq.0;
    let records = comments.as_array().unwrap().iter().map(record).collect();
    (file, records)
}

#[tokio::test]
async fn an_entry_names_the_records_that_stood_on_the_page() {
    let desk = Desk::open().await;
    let staff = Staff::at_work(&desk).await;
    let token = desk.auditor_token();
    let (room, record) = edited(&desk);
    let channel = ChannelId::parse(&room).unwrap();
    let reader = desk.archive.reader();
    let all = messages_between(&reader, FIRST_SOURCE, &channel, MessageTs::MIN, MessageTs::MAX).unwrap();
    let readings = |item: &Item| item.readings().iter().map(|reading| reading.seq.0).collect::<BTreeSet<u64>>();
    let message = all.iter().find(|item| readings(item).contains(&record)).unwrap();
    let date = |item: &Item| MessageTs::parse(&item.key).unwrap().time().date_naive();
    let day = date(message);
    let of_day: BTreeSet<u64> = all.iter().filter(|item| date(item) == day).flat_map(readings).collect();
    let (file, comments) = commented(&desk, &token).await;
    let hits = desk.reply(&token, "search.messages", &[("query", "crane"), ("sort", "newest"), ("count", "5")]).await;
    let hits =
        hits["messages"]["matches"].as_array().unwrap().iter().map(|hit| hit["archive"]["record"].as_u64().unwrap());
    let (room, file) = (encode(&room), encode(&file));
    let telling = telling(&desk);
    let (mut met, none) = (BTreeSet::new(), BTreeSet::new());
    // What each page has to show, by the archive itself; empty: it shows no message and no comment.
    for (pattern, path, due) in [
        ("/c/{id}", format!("/c/{room}?date={day}"), of_day.clone()),
        ("/c/{id}/day/{date}", format!("/c/{room}/day/{day}"), of_day),
        ("/search", "/search?q=crane&sort=newest&kind=messages".to_owned(), hits.collect()),
        ("/r/{record}", format!("/r/{record}"), readings(message)),
        ("/f/{id}", format!("/f/{file}"), comments),
        ("/exhibits/{n}", "/exhibits/1".to_owned(), readings(message)),
        ("/exhibits/{n}/exhibit.html", "/exhibits/1/exhibit.html".to_owned(), readings(message)),
        ("/r/{record}", "/r/1".to_owned(), none.clone()),
        ("/people", "/people".to_owned(), none.clone()),
        ("/exhibits", "/exhibits".to_owned(), none),
    ] {
        let before = desk.access.log().size().unwrap();
        let answer = staff.page(&desk, pattern, &path).await;
        let html = answer.text();
        assert_eq!(answer.status, 200, "{path}: {html}");
        let (_, body) = entries(&desk, before).remove(0);
        let named = named(&body);
        assert!(due.is_subset(&named), "{path}: of {due:?} only these are named: {body}");
        assert!(!due.is_empty() || named.is_empty(), "{path}: {body}");
        let marked: BTreeSet<u64> = tags(&html)
            .iter()
            .filter_map(|tag| tag.attribute("id").strip_prefix('m').and_then(|number| number.parse().ok()))
            .collect();
        assert_eq!(named, marked, "{path}: {body}");
        // Nothing else is there to be read.
        let page = text_of(&html);
        for (seq, text) in telling.iter().filter(|(_, text)| page.contains(text.as_str())) {
            let is_asked_for = body["record"].as_str() == Some(&seq.to_string());
            assert!(named.contains(seq) || is_asked_for, "{path}: record {seq}, {text:?}, is not in {body}");
            met.insert(pattern);
        }
    }
    for pattern in ["/c/{id}", "/search"] {
        assert!(met.contains(pattern), "no text that tells stood on {pattern}");
    }
}
