//! What a timeline says beside its messages: what was not captured, where the matches are, what answers what,
//! and in which direction a text is read.

use std::collections::BTreeSet;

use chrono::{DateTime, Days, NaiveDate};
use serde_json::json;
use teamchat_archive::history::{Item, item, messages_between};
use teamchat_archive::model::{ChannelId, MessageTs, Role};
use teamchat_archive::record::Kind;
use teamchat_archive::store::{Batch, FIRST_SOURCE, InFlight, StateChange, WalkResult};

use super::{Desk, Part, Tag, encode, only, parts, tags, text_of};

const ME: &str = "klara.zemanova@orlava.example";

pub(super) fn has_class(tag: &Tag, class: &str) -> bool {
    tag.attribute("class").split(' ').any(|found| found == class)
}

/// Messages and gaps of a page in their order: anchors, and `gap`.
fn order(html: &str) -> Vec<String> {
    let of = |tag: Tag| match tag.name.as_str() {
        "article" if has_class(&tag, "message") => Some(tag.attribute("id").to_owned()),
        "section" if has_class(&tag, "gap") => Some("gap".to_owned()),
        _ => None,
    };
    tags(html).into_iter().filter_map(of).collect()
}

/// What the page is about, and whether it is gone to without script.
fn target(html: &str) -> Option<(String, bool)> {
    let found = tags(html).into_iter().find(|tag| has_class(tag, "target"))?;
    let id = found.attribute("id").to_owned();
    Some((id, found.attributes.contains_key("autofocus") && found.attributes.contains_key("tabindex")))
}

fn anchor(item: &Item) -> String {
    format!("m{}", item.latest().unwrap().seq)
}

fn archived(desk: &Desk, channel: &str) -> Vec<Item> {
    let channel = ChannelId::parse(channel).unwrap();
    messages_between(&desk.archive.reader(), FIRST_SOURCE, &channel, MessageTs::MIN, MessageTs::MAX).unwrap()
}

fn day_of(ts: &str) -> NaiveDate {
    let seconds = ts.split('.').next().unwrap().parse().unwrap();
    DateTime::from_timestamp(seconds, 0).unwrap().date_naive()
}

/// The link that a key follows.
fn key(html: &str, key: &str) -> Option<String> {
    let found = tags(html).into_iter().find(|tag| tag.name == "a" && tag.attribute("data-key") == key)?;
    Some(found.attribute("href").to_owned())
}

/// The archive says of its own that a walk was cut off between two messages.
fn cut_off(desk: &Desk, channel: &str, floor: &str, cursor: &str) {
    let micros = |ts: &str| MessageTs::parse(ts).unwrap().micros();
    let id = ChannelId::parse(channel).unwrap();
    let mut row = desk.archive.reader().walks().unwrap().into_iter().find(|row| row.channel == id).unwrap();
    row.result = WalkResult::UnderWay;
    row.standing.in_flight = Some(InFlight { floor: micros(floor), pin: None, cursor: micros(cursor) });
    desk.archive.writer().append(Batch { records: Vec::new(), changes: vec![StateChange::Walk(row)] }).unwrap();
}

#[tokio::test]
async fn a_gap_stands_where_it_is_and_a_day_inside_it_lands_on_it() {
    let desk = Desk::open().await;
    let cookie = desk.auditor();
    let legal = desk.channel(&desk.auditor_token(), "legal").await;
    let items = archived(&desk, &legal);
    // Two neighbours with a day between them on which nothing was said.
    let at =
        (30..items.len()).find(|at| (day_of(&items[*at].key) - day_of(&items[at - 1].key)).num_days() > 2).unwrap();
    let (before, after) = (&items[at - 1], &items[at]);
    let inside = day_of(&before.key) + Days::new(1);
    let base = format!("/c/{}", encode(&legal));
    let html = desk.html(&cookie, &format!("{base}?date={inside}")).await;
    assert!(!order(&html).contains(&"gap".to_owned()));
    assert!(text_of(&html).contains(&format!("No message of {inside} is archived")), "{inside}");

    cut_off(&desk, &legal, &before.key, &after.key);
    let html = desk.html(&cookie, &format!("{base}?date={inside}")).await;
    assert_eq!(order(&html)[..2], ["gap".to_owned(), anchor(after)]);
    assert_eq!(target(&html), Some(("gap-1".to_owned(), true)));
    let said = text_of(&html);
    assert!(said.contains("Not captured: from ") && said.contains("its walk was cut off"), "{said}");
    assert!(!said.contains("No archived message is of"));

    // Who reads on passes it once, whichever way and wherever pages end.
    for n in [3, 7, 50] {
        let html = desk.html(&cookie, &format!("{base}?at={}&n={n}", after.key)).await;
        let (mut path, mut seen) = (None, order(&html));
        assert_eq!(target(&html), Some((anchor(after), true)));
        for relation in ["prev", "next"] {
            let mut next = super::link(&html, relation);
            while let Some(found) = next {
                let html = desk.html(&cookie, &found).await;
                let page = order(&html);
                if relation == "prev" {
                    seen.splice(0..0, page)
                } else {
                    seen.splice(seen.len().., page)
                };
                next = super::link(&html, relation);
                path = Some(found);
            }
        }
        assert!(path.is_some());
        let mut due: Vec<String> = items.iter().map(anchor).collect();
        due.insert(at, "gap".to_owned());
        assert_eq!(seen, due, "n={n}");
    }

    // The table of the months says it, too, and so do the list of channels and the sheet of the day.
    let html = desk.html(&cookie, &base).await;
    assert!(tags(&html).iter().any(|tag| has_class(tag, "bar-gap")));
    assert!(text_of(&desk.html(&cookie, "/c").await).contains("not wholly captured"));
    let sheet = text_of(&desk.html(&cookie, &format!("{base}/day/{inside}")).await);
    assert!(sheet.contains("Part of this day was not captured") && sheet.contains("its walk was cut off"), "{sheet}");
    let whole = text_of(&desk.html(&cookie, &format!("{base}/day/{}", day_of(&items[0].key))).await);
    assert!(!whole.contains("was not captured"), "{whole}");
}

#[tokio::test]
async fn what_comes_after_a_channel_was_lost_is_no_silence() {
    let mut lost = None;
    let desk = Desk::after(|running| {
        let workspace = running.workspace();
        lost = workspace.channels().into_iter().find(|(id, _)| workspace.leave(id, &running.username).is_ok());
    })
    .await;
    let (id, _) = lost.unwrap();
    let cookie = desk.auditor();
    let newest = archived(&desk, &id).pop().unwrap();
    let after = day_of(&newest.key) + Days::new(3);
    for query in [format!("?date={after}"), String::new()] {
        let html = desk.html(&cookie, &format!("/c/{}{query}", encode(&id))).await;
        assert_eq!(order(&html).pop().as_deref(), Some("gap"), "{query}");
        assert!(text_of(&html).contains("the account can no longer see it"), "{query}");
        assert_eq!(target(&html).is_some(), !query.is_empty(), "{query}");
    }
    // A day long after the last walk is not silent either: nobody looked.
    let other = desk.running.workspace().channels().into_iter().find(|(other, _)| *other != id).unwrap().0;
    let html = desk.html(&cookie, &format!("/c/{}?date=2099-01-01", encode(&other))).await;
    assert!(text_of(&html).contains("what was said on that day need not be here"), "{html}");
}

#[tokio::test]
async fn the_matches_of_a_search_are_gone_through_one_by_one() {
    let desk = Desk::open().await;
    let cookie = desk.auditor();
    let token = desk.auditor_token();
    let mut tried = 0;
    for (name, query) in [("project-aubin", "crane"), ("legal", "from:jana"), ("project-aubin", "from:viktor")] {
        let id = desk.channel(&token, name).await;
        let states = ("states", "current,edited,deleted");
        let reply = desk
            .reply(&token, "search.messages", &[("query", query), ("channel", &id), ("count", "1000"), states])
            .await;
        let found = reply["messages"]["matches"].as_array().unwrap();
        let total = found.len();
        let mut stamps: Vec<&str> = found.iter().map(|found| found["ts"].as_str().unwrap()).collect();
        stamps.sort_unstable();
        let distinct: BTreeSet<&str> = stamps.iter().copied().collect();
        assert!(distinct.len() > 2, "{name} {query}: {total}");

        let q = format!("q={}", encode(query));
        let first = desk.html(&cookie, &format!("/c/{}?date=2020-01-01&{q}", encode(&id))).await;
        assert!(text_of(&first).contains(&format!("{total} matches here")), "{name} {query}");
        assert_eq!(key(&first, "p"), None);
        assert_eq!(key(&first, "u"), Some(format!("/search?q={}", query.replace(' ', "+").replace(':', "%3A"))));
        let (mut path, mut seen) = (key(&first, "n"), Vec::new());
        let mut last = String::new();
        while let Some(next) = path {
            assert!(next.contains("q=") && next.contains("#m"), "{next}");
            let html = desk.html(&cookie, next.split('#').next().unwrap()).await;
            let (id, is_gone_to) = target(&html).unwrap();
            assert!(is_gone_to && next.ends_with(&format!("#{id}")), "{next} leads to {id}");
            seen.push(id);
            let said = text_of(&html);
            assert!(said.contains(&format!(" of {total}")), "{next}: {said}");
            path = key(&html, "n");
            last = html;
        }
        let channel = ChannelId::parse(&id).unwrap();
        let reader = desk.archive.reader();
        let due: Vec<String> = distinct
            .iter()
            .map(|ts| anchor(&item(&reader, Kind::Message, FIRST_SOURCE, Some(&channel), ts).unwrap().unwrap()))
            .collect();
        assert_eq!(seen, due, "{name} {query}");
        let (mut path, mut back) = (key(&last, "p"), vec![target(&last).unwrap().0]);
        while let Some(next) = path {
            let html = desk.html(&cookie, next.split('#').next().unwrap()).await;
            back.insert(0, target(&html).unwrap().0);
            path = key(&html, "p");
        }
        assert_eq!(back, due, "{name} {query}, backwards");
        tried += due.len();
    }
    assert!(tried > 20, "{tried}");
    // What cannot be read is said, and the page is there all the same.
    let id = desk.channel(&token, "legal").await;
    let html = desk.html(&cookie, &format!("/c/{}?q=%28", encode(&id))).await;
    assert!(!order(&html).is_empty() && key(&html, "u").is_some() && key(&html, "n").is_none());
}

#[tokio::test]
async fn an_answer_shows_what_it_answers_and_the_log_knows() {
    let mut said = Vec::new();
    let desk = Desk::after(|running| {
        let workspace = running.workspace();
        let legal = workspace.channels().into_iter().find(|(_, name)| name == "legal").unwrap().0;
        let parent = workspace.truth().into_iter().find(|item| item.channel == legal && item.text.len() > 30).unwrap();
        let gone = workspace.post(&legal, ME, "a question that is taken back").unwrap();
        for ts in [&parent.ts, &gone] {
            workspace.comment_message(&legal, ts, ME, "an answer to that").unwrap();
        }
        said.push((legal.clone(), parent.ts, parent.text));
        said.push((legal, gone, "a question that is taken back".to_owned()));
    })
    .await;
    let cookie = desk.auditor();
    let (legal, parent, text) = &said[0];
    let answers: Vec<Item> = archived(&desk, legal).into_iter().rev().take(3).collect();
    let base = format!("/c/{}", encode(legal));
    let of = |ts: &str| {
        let reader = desk.archive.reader();
        let id = ChannelId::parse(legal).unwrap();
        item(&reader, Kind::Message, FIRST_SOURCE, Some(&id), ts).unwrap().unwrap().latest().unwrap().seq
    };
    let answer = answers.iter().find(|answer| {
        let body: serde_json::Value = serde_json::from_slice(&answer.latest().unwrap().record.body).unwrap();
        body["message"]["ts"] == json!(parent)
    });
    let path = format!("{base}?at={}&n=2", answer.unwrap().key);
    let html = desk.html(&cookie, &path).await;
    let quote = html.split_once("<p class=\"quote\"").unwrap().1.split_once("</p>").unwrap().0.to_owned();
    let quote = format!("<p{quote}");
    let beginning: String = text.chars().take_while(|c| c.is_alphanumeric() || *c == ' ').take(20).collect();
    assert!(text_of(&quote).contains(&beginning), "{quote}");
    let (seq, leads) = (of(parent), tags(&quote).into_iter().find(|tag| tag.name == "a").unwrap());
    assert_eq!(leads.attribute("href"), format!("{base}?at={seq}&n=2#m{seq}"));
    let size = desk.access.log().size().unwrap();
    let entry = desk.access.log().entries(size - 1, 1).unwrap().remove(0);
    let entry: serde_json::Value = serde_json::from_str(&entry.body).unwrap();
    assert!(entry["shown"].to_string().contains(&seq.to_string()), "{entry}: {seq} was quoted");
    // Where both stand on one page, no id stands twice.
    let html = desk.html(&cookie, &format!("{base}?n=500")).await;
    let ids: Vec<String> =
        tags(&html).iter().map(|tag| tag.attribute("id").to_owned()).filter(|id| !id.is_empty()).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len());
    assert_eq!(html.matches("<p class=\"quote\"").count(), 2);
}

#[tokio::test]
async fn each_text_is_read_in_its_direction() {
    let desk = Desk::after(|running| {
        let workspace = running.workspace();
        let legal = workspace.channels().into_iter().find(|(_, name)| name == "legal").unwrap().0;
        let post = |text: &str| workspace.post(&legal, ME, text).unwrap();
        post("Aubin Cranes: `cargo build` هذه رسالة طويلة بالعربية <https://a.example/b|الوصف>");
        post("English words and one שלום");
        let ts = post("to be written again");
        workspace.edit(&legal, &ts, None, "היום אנחנו כותבים בעברית OK").unwrap();
        workspace.set_topic(&legal, ME, "موضوع القناة").unwrap();
    })
    .await;
    let cookie = desk.auditor();
    let legal = desk.channel(&desk.auditor_token(), "legal").await;
    let html = desk.html(&cookie, &format!("/c/{}", encode(&legal))).await;
    let mut open: Option<String> = None;
    let mut seen = Vec::new();
    for part in parts(&html) {
        match part {
            Part::Tag(tag) if has_class(&tag, "said") => open = Some(tag.attribute("dir").to_owned()),
            Part::Tag(tag) if tag.name == "code" && open.is_some() => {
                seen.push(("code", tag.attribute("dir").to_owned()))
            }
            Part::Tag(tag) if tag.name == "p" && tag.attribute("dir") == "rtl" => {
                seen.push(("topic", "rtl".to_owned()))
            }
            Part::Text(text) if text.contains("هذه رسالة") => seen.push(("arabic", open.clone().unwrap())),
            Part::Text(text) if text.contains("English words") => seen.push(("english", open.clone().unwrap())),
            Part::Text(text) if text.contains("כותבים") => seen.push(("hebrew", open.clone().unwrap())),
            _ => {}
        }
    }
    for due in [("topic", "rtl"), ("arabic", "rtl"), ("code", "ltr"), ("english", "ltr"), ("hebrew", "rtl")] {
        assert!(seen.iter().any(|(what, dir)| (*what, dir.as_str()) == due), "{due:?}: {seen:?}");
    }
    assert!(seen.iter().all(|(what, dir)| (*what == "code" || *what == "english") == (dir == "ltr")), "{seen:?}");
    assert!(!html.contains("dir=\"auto\""), "a direction is left to the browser");
}

#[tokio::test]
async fn the_map_counts_each_message_in_its_month() {
    let desk = Desk::open().await;
    let cookie = desk.auditor();
    let project = desk.channel(&desk.auditor_token(), "project-aubin").await;
    let items = archived(&desk, &project);
    let eve = desk.cookie("eve", Role::Reviewer, &only(&[&project]));
    for cookie in [&cookie, &eve] {
        let html = desk.html(cookie, &format!("/c/{}", encode(&project))).await;
        let map = html.split_once("<svg class=\"bars map\"").unwrap().1.split_once("</svg>").unwrap().0;
        let mut total = 0;
        for bar in tags(map).into_iter().filter(|tag| tag.name == "a") {
            let from: NaiveDate = bar.attribute("href").rsplit_once("date=").unwrap().1.parse().unwrap();
            let to = from + chrono::Months::new(1);
            let due = items.iter().filter(|item| (from..to).contains(&day_of(&item.key))).count();
            let said = format!("{}: {due} messages", from.format("%B %Y"));
            assert_eq!(bar.attribute("aria-label"), said);
            total += due;
        }
        assert_eq!(total, items.len());
        let rows = html.split_once("<caption").unwrap().1.split_once("</table>").unwrap().0.matches("<tr>").count();
        assert!(rows > 6, "{rows} rows");
    }
}

#[tokio::test]
async fn days_with_messages_lead_to_each_other() {
    let desk = Desk::open().await;
    let cookie = desk.auditor();
    let legal = desk.channel(&desk.auditor_token(), "legal").await;
    let days: Vec<NaiveDate> =
        archived(&desk, &legal).iter().map(|item| day_of(&item.key)).collect::<BTreeSet<_>>().into_iter().collect();
    let base = format!("/c/{}", encode(&legal));
    let leads = |html: &str, arrow: &str| {
        let mut at = None;
        let mut href = String::new();
        for part in parts(html) {
            match part {
                Part::Tag(tag) if tag.name == "a" => href = tag.attribute("href").to_owned(),
                Part::Text(text) if text.contains(arrow) && text.contains("20") => at = Some(href.clone()),
                _ => {}
            }
        }
        at
    };
    for (at, day) in days.iter().enumerate().step_by(9) {
        let html = desk.html(&cookie, &format!("{base}?date={day}")).await;
        let due = |day: Option<&NaiveDate>| day.map(|day| format!("{base}?date={day}"));
        assert_eq!(leads(&html, "←"), due(at.checked_sub(1).and_then(|at| days.get(at))), "before {day}");
        assert_eq!(leads(&html, "→"), due(days.get(at + 1)), "after {day}");
    }
    // The newest page is about its newest day: in the field, on either side of it, and to print.
    let html = desk.html(&cookie, &base).await;
    let newest = days.last().unwrap();
    let field = tags(&html).into_iter().find(|tag| tag.attribute("id") == "date").unwrap();
    assert_eq!(field.attribute("value"), newest.to_string());
    assert_eq!(leads(&html, "←"), days.iter().nth_back(1).map(|day| format!("{base}?date={day}")));
    assert!(html.contains(&format!("<a href=\"{base}/day/{newest}\">Print {newest}</a>")), "{html}");
    assert!(html.contains("href=\"#end\"") && html.contains("id=\"end\""), "{html}");
}
