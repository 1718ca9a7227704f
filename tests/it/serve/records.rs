//! A record's page: versions that are told apart without colour, where it is from in words, and what stays closed.

use axum::http::header;
use teamchat_archive::model::{RecordSeq, Role};
use teamchat_archive::record::Kind;
use teamchat_archive::store::FIRST_SOURCE;

use super::paging::article;
use super::{Desk, Part, link, only, parts, text_of};

#[tokio::test]
async fn a_difference_is_told_in_words() {
    let desk = Desk::open().await;
    let cookie = desk.auditor();
    let (_, ts) = desk.running.workspace().labelled("figure-of-speech").unwrap();
    let reader = desk.archive.reader();
    let records = (0..reader.head().unwrap()).map(|seq| (seq, reader.record(RecordSeq(seq)).unwrap()));
    let versions: Vec<u64> = records
        .filter(|(_, record)| record.header.kind == Kind::Message && record.header.key == ts)
        .map(|(seq, _)| seq)
        .collect();
    assert_eq!(versions.len(), 2);
    for seq in &versions {
        let html = desk.html(&cookie, &format!("/r/{seq}")).await;
        let mut open = String::new();
        let (mut removed, mut added) = (String::new(), String::new());
        for part in parts(&html) {
            match part {
                Part::Tag(tag) if matches!(tag.name.as_str(), "ins" | "del" | "/ins" | "/del") => open = tag.name,
                Part::Text(text) if open == "del" => removed.push_str(&text),
                Part::Text(text) if open == "ins" => added.push_str(&text),
                _ => {}
            }
        }
        assert!(removed.starts_with("removed: ") && added.starts_with("added: "), "{removed} / {added}");
        assert!(added.contains("Nobody"), "{added}");
        for (number, due) in [(1, Some(versions[0])), (2, Some(versions[1])), (0, None), (3, None)] {
            let answer = desk.page(&cookie, &format!("/r/{seq}/v/{number}")).await;
            match due {
                Some(due) => {
                    assert_eq!(answer.status, 303);
                    assert_eq!(answer.header(header::LOCATION), format!("/r/{due}"));
                }
                None => assert_eq!(answer.status, 404, "/r/{seq}/v/{number}"),
            }
        }
    }
    assert_eq!(desk.page(&cookie, "/r/1/v/x").await.status, 404);
}

#[tokio::test]
async fn where_a_record_is_from_is_said_in_words() {
    let desk = Desk::open().await;
    let cookie = desk.auditor();
    let reader = desk.archive.reader();
    let (mut shown, mut noted) = (0, 0);
    for seq in (0..reader.head().unwrap()).step_by(11) {
        let record = reader.record(RecordSeq(seq)).unwrap();
        let said = text_of(&desk.html(&cookie, &format!("/r/{seq}")).await);
        let header = record.header;
        if header.via == "channels.history" && header.kind == Kind::Message {
            let due = format!("The server sent it to {} in a reply to {}, at ", header.account, header.via);
            assert!(said.contains(&due), "/r/{seq}: {said}");
            assert!(said.contains(" after the time that the server gives for it.") || header.version > 1, "/r/{seq}");
            shown += 1;
        } else if header.via == "items.info" {
            assert!(said.contains("The archive noted it itself, of what "), "/r/{seq}");
            noted += 1;
        }
        assert!(said.contains(&format!("/{seq}, ")) && said.contains("python3 verify.py"), "/r/{seq}: {said}");
    }
    let gone =
        (0..reader.head().unwrap()).find(|seq| reader.record(RecordSeq(*seq)).unwrap().header.via == "items.info");
    let said = text_of(&desk.html(&cookie, &format!("/r/{}", gone.unwrap())).await);
    assert!(
        said.contains("The archive noted it itself, of what ") && said.contains("says that it was gone (this record)")
    );
    assert!(shown > 20, "{shown} shown, {noted} noted");
}

#[tokio::test]
async fn who_removed_it_is_said_with_the_source() {
    use serde_json::json;
    use teamchat_archive::api::Event;
    use teamchat_archive::crawl::Options;
    use teamchat_archive::index::Indexer;
    use teamchat_archive::model::Clock;

    let desk = Desk::alone().await;
    let workspace = desk.running.workspace();
    let legal = workspace.channels().into_iter().find(|(_, name)| name == "legal").unwrap().0;
    let victim = workspace.truth().into_iter().find(|item| item.channel == legal && item.state == "current").unwrap();
    let account = crate::support::account(&desk.running).await;
    let mut session = desk.archive.session(&[]).await;
    workspace.delete(&legal, &victim.ts, None).unwrap();
    let told = json!({"type": "message", "subtype": "message_deleted", "channel": legal, "deleted_ts": victim.ts,
        "user": "viktor.sokol@orlava.example", "event_ts": "1790000000.000001"});
    let event =
        Event { bytes: told.to_string().into_bytes(), kind: "message".to_owned(), received_at: Clock::System.now() };
    session.hear(&account, vec![event]).await;
    session.touch(&[account], &Options::default()).await.unwrap();
    session.end().await;
    Indexer::open(&desk.archive.layout).unwrap().catch_up(&desk.archive.reader(), None, &mut |_| {}).unwrap();
    let cookie = desk.auditor();
    let html = desk.html(&cookie, &format!("/c/{}?at={}", super::encode(&legal), victim.ts)).await;
    let said = text_of(&html);
    assert!(said.contains("as the server's event said"), "{said}");
    assert!(said.contains("(viktor.sokol@orlava.example), as the server's event said"), "{said}");
}

#[tokio::test]
async fn a_record_that_names_other_channels_keeps_its_bytes_closed() {
    let desk = Desk::open().await;
    let reader = desk.archive.reader();
    let shared = (0..reader.head().unwrap()).find_map(|seq| {
        let record = reader.record(RecordSeq(seq)).unwrap();
        (record.header.kind == Kind::File && record.header.shared_in.len() > 1).then_some((seq, record))
    });
    let (seq, record) = shared.expect("no file of the story was shared in two channels");
    let other = record.header.shared_in[1].clone();
    let eve = desk.cookie("eve", Role::Reviewer, &only(&[&record.header.shared_in[0]]));
    let html = desk.html(&eve, &format!("/r/{seq}")).await;
    assert!(text_of(&html).contains("Its exact bytes name channels that you may not see, and stay closed"), "{html}");
    for telling in [other.as_str(), "raw.json", &teamchat_archive::model::Digest::of(&record.body).to_string()] {
        assert!(!html.contains(telling), "{telling}");
    }
    let answer = desk.page(&eve, &format!("/r/{seq}/raw.json")).await;
    assert_eq!(answer.status, 404);
    assert!(text_of(&answer.text()).contains("stay closed"), "{}", answer.text());
    assert_eq!((link(&html, "prev"), link(&html, "next")), (None, None), "numbers of other channels are no way on");
    let auditor = desk.auditor();
    assert_eq!(desk.page(&auditor, &format!("/r/{seq}/raw.json")).await.body, record.body);
    assert!(link(&desk.html(&auditor, &format!("/r/{seq}")).await, "next").is_some());
}

#[tokio::test]
async fn what_went_with_everything_older_is_told_so() {
    use teamchat_archive::crawl::Options;
    use teamchat_archive::index::Indexer;
    use teamchat_archive::sandbox::Fault;

    let (mut channel, mut said) = (String::new(), Vec::new());
    let desk = Desk::after(|running| {
        let workspace = running.workspace();
        channel = workspace.create_channel(&running.username, "tide-tables").unwrap();
        said = (0..60)
            .map(|n| workspace.post_at(&channel, &running.username, &format!("tide {n}"), 1_700_000_000 + n).unwrap())
            .collect();
    })
    .await;
    let crawl = async || {
        let account = crate::support::account(&desk.running).await;
        desk.archive.crawl(&account, &Options { full: true, ..Options::default() }).await.unwrap();
    };
    // One is removed by hand, and later the older half goes at once.
    desk.running.workspace().delete(&channel, &said[5], None).unwrap();
    crawl().await;
    desk.running.set_fault(Fault::RetentionSweep, 0.5);
    // What much vanishes at once is believed when it is seen a second time.
    crawl().await;
    crawl().await;
    Indexer::open(&desk.archive.layout).unwrap().catch_up(&desk.archive.reader(), None, &mut |_| {}).unwrap();
    let cookie = desk.auditor();
    let reader = desk.archive.reader();
    let id = teamchat_archive::model::ChannelId::parse(&channel).unwrap();
    let mut swept = 0;
    for known in desk.truth().into_iter().filter(|known| known.channel == channel) {
        let found = teamchat_archive::history::item(&reader, Kind::Message, FIRST_SOURCE, Some(&id), &known.ts);
        let found = found.unwrap().unwrap();
        let is_gone = known.state == "deleted";
        assert_eq!(found.is_gone(), is_gone, "{}", known.ts);
        let is_swept = is_gone && known.ts != said[5];
        swept += usize::from(is_swept);
        let seq = found.latest().unwrap().seq;
        let timeline = desk.html(&cookie, &format!("/c/{}?at={}", super::encode(&channel), known.ts)).await;
        let note = found.versions.last().unwrap().seq;
        for (what, part) in [
            ("the timeline", article(&timeline, &format!("m{seq}"))),
            ("its page", desk.html(&cookie, &format!("/r/{seq}")).await),
            ("the page of its end", desk.html(&cookie, &format!("/r/{note}")).await),
        ] {
            let text = text_of(&part);
            assert_eq!(text.contains("; everything older went with it"), is_swept, "{what} of {}: {text}", known.text);
            assert_eq!(text.contains("who removed it: not given by the server"), is_gone, "{what} of {}", known.text);
        }
    }
    // The older half of the channel, but for the one of before.
    assert!((25..=35).contains(&swept), "{swept} were swept");
}
