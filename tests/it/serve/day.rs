//! The sheet of a day: all of it, no more, and what it can be checked by.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate};
use teamchat_archive::history::{Item, messages_between};
use teamchat_archive::model::{ChannelId, Digest, MessageTs, RecordSeq, Role, Zone};
use teamchat_archive::store::FIRST_SOURCE;

use super::timeline::has_class;
use super::{Desk, encode, link, only, tags, text_of};

fn days(desk: &Desk, channel: &str, zone: Zone) -> BTreeMap<NaiveDate, Vec<Item>> {
    let id = ChannelId::parse(channel).unwrap();
    let mut out: BTreeMap<NaiveDate, Vec<Item>> = BTreeMap::new();
    for item in messages_between(&desk.archive.reader(), FIRST_SOURCE, &id, MessageTs::MIN, MessageTs::MAX).unwrap() {
        let seconds = item.key.split('.').next().unwrap().parse().unwrap();
        out.entry(zone.date(DateTime::from_timestamp(seconds, 0).unwrap())).or_default().push(item);
    }
    out
}

#[tokio::test]
async fn a_sheet_has_the_whole_day_and_can_be_checked_by_its_list() {
    let desk = Desk::open().await;
    let cookie = desk.auditor();
    let reader = desk.archive.reader();
    let project = desk.channel(&desk.auditor_token(), "project-aubin").await;
    let eve = desk.cookie("eve", Role::Reviewer, &only(&[&project]));
    let (mut records, mut sheets) = (0, 0);
    for zone in ["UTC", "Pacific/Auckland"] {
        for (day, items) in days(&desk, &project, Zone::parse(zone).unwrap()).into_iter().step_by(7) {
            let base = format!("/c/{}/day/{day}", encode(&project));
            let html = desk.html(&cookie, &format!("{base}?tz={}", encode(zone))).await;
            let rows: Vec<String> = tags(&html)
                .iter()
                .filter(|tag| tag.name == "tr" && has_class(tag, "entry"))
                .map(|tag| tag.attribute("id").to_owned())
                .collect();
            let due: Vec<String> = items.iter().map(|item| format!("m{}", item.latest().unwrap().seq)).collect();
            assert_eq!(rows, due, "{base} in {zone}");
            let said = text_of(&html);
            for must in [
                "Every archived message from ",
                "Walked to its end at ",
                &format!("Times in {zone}"),
                "Entry in the access log: ",
                " records, signed ",
                "ada, who may see all of the archive",
            ] {
                assert!(said.contains(must), "{base}: {must}\n{said}");
            }
            for item in &items {
                assert!(said.contains(&format!("record {}", item.latest().unwrap().seq)), "{base}");
            }
            assert!(html.contains("<thead>") && html.contains("<tfoot"), "header and footer are repeated by printers");

            let list = desk.page(&cookie, &format!("{base}/list.txt?tz={}", encode(zone))).await.text();
            assert!(html.contains(&Digest::of(list.as_bytes()).to_string()), "{base}: the list is another one");
            let lines: Vec<(u64, String)> = list
                .lines()
                .map(|line| line.split_once(' ').unwrap())
                .map(|(seq, leaf)| (seq.parse().unwrap(), leaf.to_owned()))
                .collect();
            let all: Vec<u64> =
                items.iter().flat_map(|item| item.versions.iter().map(|version| version.seq.0)).collect();
            assert_eq!(lines.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), all, "{base}");
            for (seq, leaf) in lines {
                assert_eq!(reader.leaf_entry(RecordSeq(seq)).unwrap().hash().to_string(), leaf);
                records += 1;
            }
            sheets += 1;
        }
    }
    assert!(sheets > 10 && records > 50, "{sheets} sheets, {records} records");

    // The entry of the log names the list.
    let (day, _) = days(&desk, &project, Zone::UTC).into_iter().next().unwrap();
    let path = format!("/c/{}/day/{day}", encode(&project));
    let html = desk.html(&eve, &path).await;
    let size = desk.access.log().size().unwrap();
    let entry = desk.access.log().entries(size - 1, 1).unwrap().remove(0);
    let entry: serde_json::Value = serde_json::from_str(&entry.body).unwrap();
    assert_eq!((entry["page"].as_str(), entry["channel"].as_str()), (Some("day"), Some(project.as_str())), "{entry}");
    assert!(html.contains(entry["content"].as_str().unwrap()), "{entry}");
    assert!(text_of(&html).contains("eve, who may see 1 of its channels and conversations"));
    assert_eq!(link(&html, "next"), None);
}

#[tokio::test]
async fn a_day_is_one_that_there_is_and_of_a_channel_that_may_be_seen() {
    let desk = Desk::open().await;
    let cookie = desk.auditor();
    let token = desk.auditor_token();
    let (legal, random) = (desk.channel(&token, "legal").await, desk.channel(&token, "random").await);
    let eve = desk.cookie("eve", Role::Reviewer, &only(&[&random]));
    for suffix in ["", "/list.txt"] {
        let path = format!("/c/{}/day/2026-03-04{suffix}", encode(&legal));
        assert_eq!(desk.page(&cookie, &path).await.status, 200, "{path}");
        assert_eq!(desk.page(&eve, &path).await.status, 404, "{path}");
        for (day, status) in [("2026-02-30", 400), ("x", 400), ("9999-12-31", 200), ("1999-01-01", 200)] {
            let path = format!("/c/{}/day/{day}{suffix}", encode(&legal));
            assert_eq!(desk.page(&cookie, &path).await.status, status, "{path}");
        }
    }
    let empty = text_of(&desk.html(&cookie, &format!("/c/{}/day/1999-01-01", encode(&legal))).await);
    assert!(empty.contains("No message of this day is archived") && empty.contains("There is none."), "{empty}");
    // A part begins inside the day and nowhere else.
    let days = days(&desk, &legal, Zone::UTC);
    let (day, items) = days.iter().find(|(_, items)| items.len() > 3).unwrap();
    let base = format!("/c/{}/day/{day}", encode(&legal));
    let html = desk.html(&cookie, &format!("{base}?from={}", items[2].key)).await;
    assert_eq!(html.matches("<tr class=\"entry").count(), items.len() - 2);
    assert!(text_of(&html).contains("This part begins at "));
    assert_eq!(link(&html, "prev"), Some(base.clone()));
    assert_eq!(desk.page(&cookie, &format!("{base}?from=1.000000")).await.status, 400);
}
