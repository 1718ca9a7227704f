//! The timeline: every message once, every address lands where it says, and what changed or went
//! is told.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Days, NaiveDate};
use teamchat_archive::history::{Item, messages_between};
use teamchat_archive::model::{ChannelId, MessageTs, RecordSeq};
use teamchat_archive::record::Kind;
use teamchat_archive::store::FIRST_SOURCE;

use super::then::{letters, texts};
use super::timeline::has_class;
use super::{Desk, Part, encode, link, parts, tags, text_of};

/// The anchors of a page's messages, in its order.
fn anchors(html: &str) -> Vec<String> {
    let is_message = |name: &str| name.split(' ').any(|class| class == "message");
    tags(html)
        .into_iter()
        .filter(|tag| tag.name == "article" && is_message(tag.attribute("class")))
        .map(|tag| tag.attribute("id").to_owned())
        .collect()
}

/// The anchor of the message that the page is about.
fn target(html: &str) -> Option<String> {
    let is_target = |name: &str| name.split(' ').any(|class| class == "target");
    let found = tags(html).into_iter().find(|tag| tag.name == "article" && is_target(tag.attribute("class")));
    found.map(|tag| tag.attribute("id").to_owned())
}

fn anchor(item: &Item) -> String {
    format!("m{}", item.latest().unwrap().seq)
}

/// What the archive has of a channel, oldest first, the deleted included.
fn archived(desk: &Desk, channel: &str) -> Vec<Item> {
    let channel = ChannelId::parse(channel).unwrap();
    messages_between(&desk.archive.reader(), FIRST_SOURCE, &channel, MessageTs::MIN, MessageTs::MAX).unwrap()
}

/// The part of a page that is the message of this anchor, with its tag.
pub(super) fn article(html: &str, anchor: &str) -> String {
    let id = format!("id=\"{anchor}\"");
    let is_it = |part: &&str| part.split('>').next().unwrap().contains(&id);
    let found = html.split("<article").skip(1).find(is_it).unwrap_or_else(|| panic!("no article {anchor}"));
    format!("<article{}", found.split("</article>").next().unwrap())
}

async fn places(desk: &Desk) -> BTreeSet<String> {
    let token = desk.auditor_token();
    let mut ids = desk.ids(&token, "channels.list", "channels").await;
    ids.extend(desk.ids(&token, "im.list", "ims").await);
    ids
}

#[tokio::test]
async fn older_and_newer_lead_past_each_message_once() {
    let desk = Desk::open().await;
    let cookie = desk.auditor();
    let places = places(&desk).await;
    let living = desk.living(&places);
    let mut steps = 0;
    for id in &places {
        let items = archived(&desk, id);
        let stamps: BTreeSet<&str> = items.iter().map(|item| item.key.as_str()).collect();
        for ts in living[id].keys() {
            assert!(stamps.contains(ts.as_str()), "{id}/{ts} is not archived");
        }
        let due: Vec<String> = items.iter().map(anchor).collect();
        assert!(!due.is_empty(), "{id} is empty");

        let start = format!("/c/{}", encode(id));
        let (mut path, mut seen, mut oldest) = (start.clone(), Vec::new(), start.clone());
        loop {
            let html = desk.html(&cookie, &path).await;
            let page = anchors(&html);
            assert!(!page.is_empty() && page.len() <= 100, "{path}: {} messages", page.len());
            seen.splice(0..0, page);
            oldest.clone_from(&path);
            steps += 1;
            match link(&html, "prev") {
                Some(older) => path = older,
                None => break,
            }
        }
        assert_eq!(seen, due, "{id}, from the newest back");

        let (mut path, mut seen) = (oldest, Vec::new());
        loop {
            let html = desk.html(&cookie, &path).await;
            seen.extend(anchors(&html));
            match link(&html, "next") {
                Some(newer) => path = newer,
                None => break,
            }
        }
        assert_eq!(seen, due, "{id}, from the oldest on");

        for n in [1, 7, 500] {
            let page = anchors(&desk.html(&cookie, &format!("{start}?n={n}")).await);
            assert_eq!(page, due[due.len().saturating_sub(n)..], "{id} n={n}");
        }
        for n in ["0", "99999999999"] {
            let page = anchors(&desk.html(&cookie, &format!("{start}?n={n}")).await);
            assert!((1..=500).contains(&page.len()), "{id} n={n}: {}", page.len());
        }
    }
    assert!(steps > places.len(), "no channel of the story takes a second page");
}

#[tokio::test]
async fn an_address_of_a_record_shows_it_in_its_channel() {
    let desk = Desk::open().await;
    let cookie = desk.auditor();
    let reader = desk.archive.reader();
    let mut tried = 0;
    for seq in (0..reader.head().unwrap()).step_by(50) {
        let header = reader.record(RecordSeq(seq)).unwrap().header;
        let Some(channel) = header.channel_id() else { continue };
        let path = format!("/c/{}?at={seq}", encode(channel.as_str()));
        if !matches!(header.kind, Kind::Message | Kind::Reactions) {
            assert_eq!(desk.page(&cookie, &path).await.status, 404, "{path} is a {:?}", header.kind);
            continue;
        }
        let items = archived(&desk, channel.as_str());
        let at = items.iter().position(|item| item.key == header.key).unwrap();
        let html = desk.html(&cookie, &path).await;
        let due = anchor(&items[at]);
        assert_eq!(target(&html).as_ref(), Some(&due), "{path}");
        let page = anchors(&html);
        let place = page.iter().position(|anchor| *anchor == due).unwrap();
        assert_eq!((place, page.len() - place), (at.min(50), (items.len() - at).min(50)), "{path}: before and from it");
        let by_ts = desk.html(&cookie, &format!("/c/{}?at={}", encode(channel.as_str()), header.key)).await;
        assert_eq!(target(&by_ts), Some(due), "{path} by its time stamp");
        tried += 1;
    }
    assert!(tried > 10, "only {tried} records were tried");
}

#[tokio::test]
async fn a_day_begins_with_its_first_message() {
    let desk = Desk::open().await;
    let cookie = desk.auditor();
    let day = |item: &Item| -> NaiveDate {
        let seconds = item.key.split('.').next().unwrap().parse().unwrap();
        DateTime::from_timestamp(seconds, 0).unwrap().date_naive()
    };
    for id in places(&desk).await {
        let items = archived(&desk, &id);
        let mut firsts: BTreeMap<NaiveDate, &Item> = BTreeMap::new();
        for item in &items {
            firsts.entry(day(item)).or_insert(item);
        }
        let (first, last) = (*firsts.keys().next().unwrap(), *firsts.keys().next_back().unwrap());
        let mut date = first - Days::new(2);
        // Every day with messages of short channels, each eleventh day of long ones.
        let step = Days::new(if items.len() > 60 { 11 } else { 3 });
        while date <= last {
            let html = desk.html(&cookie, &format!("/c/{}?date={date}", encode(&id))).await;
            let due = firsts.range(date..).next().map(|(_, item)| anchor(item));
            assert_eq!(anchors(&html).first().cloned(), due, "{id} on {date}");
            date = date + step;
        }
        let after = last + Days::new(1);
        let html = desk.html(&cookie, &format!("/c/{}?date={after}", encode(&id))).await;
        assert_eq!(anchors(&html), Vec::<String>::new());
        assert!(text_of(&html).contains("There is no archived message here"), "{id} on {after}");
        // From there a way leads back to the messages.
        assert!(link(&html, "prev").is_some(), "{id}: nothing leads back from {after}");
    }
}

#[tokio::test]
async fn garbage_is_refused_and_breaks_nothing() {
    let desk = Desk::open().await;
    let cookie = desk.auditor();
    let token = desk.auditor_token();
    let legal = desk.channel(&token, "legal").await;
    let id = encode(&legal);
    let head = desk.archive.reader().head().unwrap();
    let mut problems = Vec::new();
    for path in [
        "/c/garbage",
        "/c/%3D",
        "/c/%00",
        "/c/%F0%9F%A6%80",
        "/r/garbage",
        "/r/-1",
        "/r/1.5",
        "/r/99999999999999999999999",
        &format!("/r/{head}"),
        &format!("/r/{head}/raw.json"),
        "/r/18446744073709551615/proof.tlog-proof",
        &format!("/r/{head}/proof.json"),
        "/f/garbage",
        "/f/garbage/blob",
        "/f/..%2F..%2Farchive.toml/blob",
        &format!("/c/{id}?at={head}"),
        &format!("/c/{id}?at=0"),
    ] {
        let status = desk.page(&cookie, path).await.status.as_u16();
        if status != 404 {
            problems.push(format!("{path}: {status}"));
        }
    }
    for query in [
        "at=garbage",
        "at=-1",
        "at=99999999999999999999999",
        "at=1.5",
        "date=garbage",
        "date=2026-02-30",
        "date=2026-13-01",
        "before=garbage",
        "after=12",
        "n=garbage",
        "n=-1",
    ] {
        let path = format!("/c/{id}?{query}");
        let status = desk.page(&cookie, &path).await.status.as_u16();
        if !matches!(status, 400 | 404) {
            problems.push(format!("{path}: {status}"));
        }
    }
    // The ends of what can be said are still answered.
    for path in [
        format!("/c/{id}?date=0001-01-01"),
        format!("/c/{id}?date=9999-12-31"),
        format!("/c/{id}?date=-262143-01-01"),
        format!("/c/{id}?date=%2B262142-12-31"),
        format!("/c/{id}?at=0.000000"),
        format!("/c/{id}?at=9999999999.999999"),
        format!("/c/{id}?before=0.000000"),
        format!("/c/{id}?after=9999999999.999999"),
        "/f?from=18446744073709551615".to_owned(),
        "/search?q=crane&page=18446744073709551615".to_owned(),
        "/search?q=crane&page=922337203685477581".to_owned(),
    ] {
        let status = desk.page(&cookie, &path).await.status.as_u16();
        if !matches!(status, 200 | 400 | 404) {
            problems.push(format!("{path}: {status}"));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// The text of a comparison without what stands in `drop`.
fn side(html: &str, drop: &str) -> String {
    let mut out = String::new();
    let (mut dropped, mut is_word) = (false, false);
    for part in parts(html) {
        match part {
            Part::Tag(tag) if tag.name == drop => dropped = true,
            Part::Tag(tag) if tag.name == format!("/{drop}") => dropped = false,
            // The words that say what was removed and added.
            Part::Tag(tag) if tag.name.ends_with("small") => is_word = tag.name == "small",
            Part::Text(text) if !dropped && !is_word => out.push_str(&text),
            _ => {}
        }
    }
    out
}

#[tokio::test]
async fn what_changed_and_what_went_is_told() {
    let desk = Desk::open().await;
    let cookie = desk.auditor();
    let truth = desk.truth();
    let (mut edited, mut gone) = (0, 0);
    for id in places(&desk).await {
        let items = archived(&desk, &id);
        let texts = |item: &Item| -> Vec<String> {
            let body = |version: &&teamchat_archive::history::Version| -> serde_json::Value {
                serde_json::from_slice(&version.record.body).unwrap()
            };
            item.readings()
                .iter()
                .map(|version| body(version)["text"].as_str().unwrap_or_default().to_owned())
                .collect()
        };
        for item in &items {
            let path = format!("/c/{}?at={}&n=1", encode(&id), item.key);
            let known = truth.iter().find(|known| known.channel == id && known.ts == item.key).unwrap();
            assert_eq!(item.is_gone(), known.state == "deleted", "{id}/{}", item.key);
            let texts = texts(item);
            if texts.len() > 1 && texts[0] != texts[1] {
                assert!(known.versions.ends_with(&texts), "{id}/{}: {texts:?} {:?}", item.key, known.versions);
                edited += 1;
                for page in [path.clone(), format!("/r/{}", item.versions[0].seq)] {
                    let html = desk.html(&cookie, &page).await;
                    let list = html.split_once("<ol class=\"versions\">").unwrap().1;
                    let list = list.split_once("</ol>").unwrap().0;
                    let shown: Vec<&str> = list.split("<p class=\"said\"").skip(1).collect();
                    assert_eq!(shown.len(), texts.len(), "{page}");
                    for (n, part) in shown.iter().enumerate() {
                        let part = format!("<p{}", part.split_once("</p>").unwrap().0);
                        assert_eq!(side(&part, "del"), texts[n], "{page} version {n}");
                        if n > 0 {
                            assert_eq!(side(&part, "ins"), texts[n - 1], "{page} version {n} before");
                            assert!(tags(&part).iter().any(|tag| matches!(tag.name.as_str(), "ins" | "del")), "{page}");
                        }
                    }
                }
            }
            if item.is_gone() {
                gone += 1;
                for page in [
                    path,
                    format!("/r/{}", item.latest().unwrap().seq),
                    format!("/r/{}", item.versions.last().unwrap().seq),
                ] {
                    let said = text_of(&desk.html(&cookie, &page).await);
                    assert!(said.contains("gone between "), "{page}");
                    assert!(said.contains("who removed it: not given by the server"), "{page}");
                }
            }
        }
    }
    assert!(edited > 0 && gone > 0, "{edited} edited, {gone} gone");
}

#[tokio::test]
async fn what_is_gone_stands_with_its_last_wording_and_is_marked() {
    let desk = Desk::open().await;
    let cookie = desk.auditor();
    let truth = desk.truth();
    let (mut marked, mut worded, mut bare) = (0, 0, 0);
    for id in places(&desk).await {
        let items = archived(&desk, &id);
        for gone in items.iter().filter(|item| item.is_gone()) {
            let html = desk.html(&cookie, &format!("/c/{}?at={}", encode(&id), gone.key)).await;
            let shown: BTreeMap<String, String> = texts(&html).into_iter().collect();
            for item in items.iter().filter(|item| shown.contains_key(&anchor(item))) {
                let part = article(&html, &anchor(item));
                let found = tags(&part);
                let is_marked = has_class(&found[0], "gone");
                assert_eq!(is_marked, item.is_gone(), "{id}/{}", item.key);
                let badges = found.iter().filter(|tag| has_class(tag, "badge") && has_class(tag, "gone"));
                let fates = found.iter().filter(|tag| has_class(tag, "fate"));
                let due = usize::from(item.is_gone());
                assert_eq!((badges.count(), fates.count()), (due, due), "{id}/{}", item.key);
                bare += usize::from(!is_marked);
            }
            marked += 1;
            let part = article(&html, &anchor(gone));
            assert!(text_of(&part).contains("deleted, text kept"), "{id}/{}: {part}", gone.key);
            let known = truth.iter().find(|known| known.channel == id && known.ts == gone.key).unwrap();
            let last = known.versions.last().unwrap();
            // Notation becomes something else, and cards of machines follow the text.
            if !last.is_empty() && !last.contains(['<', '&']) {
                let text = &shown[&anchor(gone)];
                assert!(letters(text).starts_with(&letters(last)), "{id}/{}: {text} is not {last}", gone.key);
                worded += usize::from(!letters(last).is_empty());
            }
        }
    }
    assert!(marked > 3 && worded > 3 && bare > 3, "{marked} marked, {worded} with a text, {bare} not marked");
}
