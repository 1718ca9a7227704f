//! The page of the access log: which entries, in which order, for whom, and each as it is stored.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use axum::body::Body;
use axum::http::header;
use teamchat_archive::ledger::SigningKey;
use teamchat_archive::model::{Role, Scope};
use teamchat_archive::record::{Action, Visit};

use super::{Desk, encode, get, link, only, send, tags, text_of};

/// The numbers of the entries on a page, in its order.
fn numbers(html: &str) -> Vec<u64> {
    let links = tags(html).into_iter().filter(|tag| tag.name == "a" && tag.attribute("data-key") == "o");
    links.filter_map(|tag| tag.attribute("href").strip_prefix("/access/")?.parse().ok()).collect()
}

#[tokio::test]
async fn each_entry_stands_once_on_pages_that_stay_as_they_are() {
    let desk = Desk::open().await;
    let ada = desk.auditor();
    let log = desk.access.log();
    for n in 0..250_u64 {
        log.record(Action::View, &Visit { user: Some("bob".into()), record: Some(n.to_string()), ..Visit::default() })
            .unwrap();
    }
    let size = log.size().unwrap();
    let first = desk.html(&ada, "/access").await;
    assert_eq!(log.size().unwrap(), size + 1, "this view is an entry, too");
    let all = numbers(&first);
    assert_eq!(all, (size - 100..size).rev().collect::<Vec<_>>(), "the newest first, and not this view itself");
    assert!(text_of(&first).contains("newest first"), "{first}");
    // Down to the beginning: views come in between, and nothing moves.
    let (mut seen, mut path) = (all, link(&first, "next"));
    let mut pages = Vec::new();
    while let Some(next) = path {
        let html = desk.html(&ada, &next).await;
        seen.extend(numbers(&html));
        path = link(&html, "next");
        pages.push((next, html));
    }
    assert_eq!(seen, (0..size).rev().collect::<Vec<_>>());
    assert!(text_of(&pages.last().unwrap().1).contains("This is where the log begins."));
    for (path, before) in &pages {
        assert_eq!(numbers(&desk.html(&ada, path).await), numbers(before), "{path}");
    }
    // And up again.
    let newer = link(&pages[1].1, "prev").unwrap();
    assert_eq!(numbers(&desk.html(&ada, &newer).await), numbers(&pages[0].1));
    // The newest page names an address that will show the same.
    let name = format!("before={size}&");
    let own = tags(&first).into_iter().find(|tag| tag.attribute("href").contains(&name)).unwrap();
    assert_eq!(numbers(&desk.html(&ada, own.attribute("href")).await), numbers(&first));
    desk.archive.check();
}

#[tokio::test]
async fn entries_are_found_by_who_what_and_when() {
    let desk = Desk::open().await;
    let ada = desk.auditor();
    let eve = desk.cookie("eve", Role::Auditor, &Scope::All);
    let yesterday = desk.now() - chrono::TimeDelta::days(1);
    let now = desk.hand.swap(yesterday.timestamp_millis(), Ordering::Relaxed);
    desk.access.log().record(Action::View, &Visit { user: Some("eve".into()), ..Visit::default() }).unwrap();
    desk.hand.store(now, Ordering::Relaxed);
    desk.html(&eve, "/search?q=crane").await;
    let token = desk.auditor_token();
    desk.reply(&token, "files.list", &[]).await;

    let html = desk.html(&ada, "/access?who=eve").await;
    let text = text_of(&html);
    assert!(text.contains("query: crane") && text.contains("every channel"), "{text}");
    assert!(!text.contains("API: files.list"), "{text}");
    assert_eq!(numbers(&html).len(), 4, "made, signed in, yesterday's view, the search: {text}");
    let html = desk.html(&ada, "/access?who=eve&action=view").await;
    assert_eq!(numbers(&html).len(), 2, "{html}");
    let day = yesterday.date_naive();
    let html = desk.html(&ada, &format!("/access?who=eve&action=view&day={day}")).await;
    assert_eq!(numbers(&html).len(), 1, "{html}");
    assert!(html.contains("value=\"view\" selected") && html.contains(&format!("value=\"{day}\"")), "{html}");
    let text = text_of(&desk.html(&ada, &format!("/access?who={}", encode("auditor's"))).await);
    assert!(text.contains("API: files.list") && text.contains("token auditor's"), "{text}");
    let html = desk.html(&ada, "/access?who=nobody").await;
    assert!(text_of(&html).contains("There is no such entry.") && numbers(&html).is_empty());
    for (path, said) in [
        ("/access?action=stole", "stole is nothing"),
        ("/access?day=monday", "monday is not a day"),
        ("/access?before=last", "last is not the number"),
    ] {
        let answer = desk.page(&ada, path).await;
        assert!(answer.status == 400 && text_of(&answer.text()).contains(said), "{path}: {}", answer.text());
    }
}

#[tokio::test]
async fn small_pictures_stand_on_one_line_and_words_stand_for_letters() {
    let desk = Desk::open().await;
    let ada = desk.auditor();
    let log = desk.access.log();
    let first = log.size().unwrap();
    let view = |user: &str, page: &str, place: Option<&str>, status: u16| {
        let visit = Visit {
            user: Some(user.to_owned()),
            page: Some(page.to_owned()),
            place: place.map(str::to_owned),
            status: Some(status),
            ..Visit::default()
        };
        log.record(Action::View, &visit).unwrap();
    };
    for user in ["bob", "bob", "bob", "eve"] {
        view(user, "thumbnail", None, 200);
    }
    view("bob", "thumbnail", None, 404);
    view("bob", "preview", None, 200);
    view("bob", "/exhibits/{n}/title", Some("n=7 POST"), 303);
    view("bob", "version", Some("number=2 tone=low"), 200);
    let html = desk.html(&ada, "/access").await;
    let lines: Vec<String> = html.split("<tr").map(|row| text_of(&format!("<tr{row}"))).collect();
    let counts: Vec<&str> =
        lines.iter().filter_map(|line| line.split_once(" small picture").map(|(count, _)| count)).collect();
    assert_eq!(counts, ["1", "1", "3"], "by whom, and one after the other: {lines:?}");
    // One that was refused stands for itself, and each is still led to.
    assert_eq!(numbers(&html).iter().filter(|number| **number >= first).count(), 3, "{html}");
    for number in first..log.size().unwrap() - 1 {
        assert!(html.contains(&format!("href=\"/access/{number}\"")), "{number}");
    }
    let form = lines.iter().find(|line| line.contains("sent a form to")).unwrap();
    assert!(form.contains("number 7") && !form.contains("POST") && !form.contains("303"), "{form}");
    let text = text_of(&html);
    assert!(text.contains("version 2 tone=low") && text.contains("not found (404)"), "{text}");
}

#[tokio::test]
async fn an_entry_is_shown_as_it_is_stored_with_what_was_signed() {
    let desk = Desk::open().await;
    let ada = desk.auditor();
    let legal = desk.running.workspace().channels().into_iter().find(|(_, name)| name == "legal").unwrap().0;
    let number = desk.access.log().size().unwrap();
    desk.html(&ada, &format!("/c/{}", encode(&legal))).await;
    let entry = desk.access.log().entries(number, 1).unwrap().remove(0);
    let page = text_of(&desk.html(&ada, &format!("/access/{number}")).await);
    assert!(page.contains(&entry.header) && page.contains(&entry.body), "{page}");
    let leaf = teamchat_archive::model::Digest::from_slice(&entry.leaf).unwrap().to_string();
    assert!(page.contains(&leaf) && page.contains("newer than the newest signed checkpoint"), "{page}");
    assert!(page.contains("channel legal") && page.contains("records shown: "), "{page}");

    let log = desk.access.log();
    let key = SigningKey::new(log.origin(), [9; 32]).unwrap();
    log.introduce(&key).unwrap();
    let signed = log.checkpoint(&key).unwrap().unwrap();
    let page = text_of(&desk.html(&ada, &format!("/access/{number}")).await);
    assert!(page.contains(&signed.root.to_string()) && page.contains("cannot be changed or removed"), "{page}");
    assert!(page.contains(&key.verifier().to_text()), "{page}");
    assert_eq!(desk.page(&ada, "/access/999999").await.status, 404);
    assert_eq!(desk.page(&ada, "/access/last").await.status, 404);

    // One that was changed is in red, and those around it are still listed.
    let raw = rusqlite::Connection::open(desk.archive.layout.access()).unwrap();
    raw.execute_batch("DROP TRIGGER entry_update").unwrap();
    raw.execute("UPDATE entry SET body = replace(body, 'ada', 'bob') WHERE number = ?1", [number.cast_signed()])
        .unwrap();
    let html = desk.html(&ada, &format!("/access/{number}")).await;
    assert!(html.contains("class=\"alert\" role=\"alert\"") && html.contains("is not what was written"), "{html}");
    raw.execute("UPDATE entry SET body = 'nothing' WHERE number = ?1", [number.cast_signed()]).unwrap();
    let html = desk.html(&ada, "/access").await;
    assert!(text_of(&html).contains("cannot be read") && numbers(&html).contains(&number), "{html}");
}

#[tokio::test]
async fn who_does_not_audit_sees_what_was_noted_of_themselves() {
    let desk = Desk::open().await;
    let ada = desk.auditor();
    let legal = desk.running.workspace().channels().into_iter().find(|(_, name)| name == "legal").unwrap().0;
    let eve = desk.cookie("eve", Role::Reviewer, &only(&[&legal]));
    desk.token("eve", Role::Auditor, &Scope::All);
    desk.html(&ada, "/search?q=secret").await;
    desk.html(&eve, "/search?q=crane").await;
    let others = desk.access.log().size().unwrap() - 2;
    let html = desk.html(&eve, "/access?who=ada").await;
    let text = text_of(&html);
    assert!(text.contains("query: crane") && text.contains("legal"), "{text}");
    assert!(!html.contains("secret") && !html.contains("list=\"people\""), "{html}");
    let entries = desk.access.log().entries(0, 10_000).unwrap();
    let own: BTreeSet<u64> =
        entries.iter().filter(|entry| entry.body.contains("\"user\":\"eve\"")).map(|entry| entry.number).collect();
    assert!(numbers(&html).into_iter().all(|number| own.contains(&number)), "{own:?}: {text}");
    assert_eq!(desk.page(&eve, &format!("/access/{others}")).await.status, 404);
    let mine = *own.last().unwrap();
    assert!(desk.html(&eve, &format!("/access/{mine}")).await.contains("eve"));

    // Who manages accounts reads the log, and none of what it is about.
    let adam = desk.cookie("adam", Role::Admin, &Scope::nothing());
    assert!(text_of(&desk.html(&adam, "/access").await).contains("query: secret"));
    assert_eq!(desk.page(&adam, "/search?q=secret").await.status, 403);
}

#[tokio::test]
async fn what_people_typed_stays_text() {
    let desk = Desk::open().await;
    let ada = desk.auditor();
    let bad = "\"><img src=x onerror=alert(1)><script>1</script>\u{202e}";
    desk.page(&ada, &format!("/search?q={}", encode(bad))).await;
    desk.page(&ada, &format!("/r/{}", encode(bad))).await;
    let request = get("/c").header(header::COOKIE, &ada).header("x-forwarded-for", "<img src=y>");
    send(&desk.router, request.body(Body::empty()).unwrap()).await;
    let newest = desk.access.log().size().unwrap() - 1;
    for path in ["/access".to_owned(), format!("/access?who={}", encode(bad)), format!("/access/{}", newest - 1)] {
        let html = desk.html(&ada, &path).await;
        assert!(!tags(&html).iter().any(|tag| tag.name == "img"), "{path}: {html}");
        assert_eq!(tags(&html).iter().filter(|tag| tag.name == "script").count(), 1, "{path}: {html}");
    }
    let html = desk.html(&ada, "/access").await;
    assert!(html.contains("[U+202E]") && !html.contains('\u{202e}'), "{html}");
}
