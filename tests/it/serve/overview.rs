//! What the first page says of what is missing: the same as the command `coverage`.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::body::Body;
use axum::http::header;
use teamchat_archive::model::{ChannelId, Clock, Exclusion, Role, Scope, Zone};
use teamchat_archive::web::{Web, router};

use super::{Desk, get, only, send, tags, text_of};

const WHOLE: &str = "Everything the archived accounts can see was walked to its end";
const YOURS: &str = "Everything the archived accounts can see of the channels given to you was walked to its end";

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_channel_is_named_until_it_is_excluded() {
    let whole = Desk::open().await;
    assert!(whole.html(&whole.auditor(), "/").await.contains(WHOLE));

    let mut lost = None;
    let desk = Desk::after(|running| {
        let workspace = running.workspace();
        lost = workspace.channels().into_iter().find(|(id, _)| workspace.leave(id, &running.username).is_ok());
    })
    .await;
    let (id, name) = lost.unwrap();
    let ada = desk.auditor();
    let page = desk.html(&ada, "/").await;
    assert!(!page.contains(WHOLE), "{page}");
    assert!(page.contains(&format!("<bdi>{name}</bdi></a>: the account can no longer see it")), "{page}");

    // Who may see another channel only is told of that one.
    let other = desk.running.workspace().channels().into_iter().find(|(other, _)| *other != id).unwrap().0;
    let scope = Scope::Channels([ChannelId::parse(&other).unwrap()].into());
    let eve = desk.cookie("eve", Role::Reviewer, &scope);
    let page = desk.html(&eve, "/").await;
    assert!(page.contains(YOURS) && !page.contains("no longer see it"), "{page}");

    let entry = Exclusion { channel: name, reason: "not ours".to_owned(), ..Exclusion::default() };
    let web = Web::new(desk.archive.reader(), desk.access.clone(), Zone::UTC, Clock::System).unwrap();
    let web = router(Arc::new(web.with_policy(vec![entry], BTreeSet::new())));
    let answer = send(&web, get("/").header(header::COOKIE, &ada).body(Body::empty()).unwrap()).await;
    assert!(answer.text().contains(WHOLE), "{}", answer.text());
    desk.archive.check();
}

#[tokio::test]
async fn the_first_page_says_what_is_here_and_what_is_not() {
    let desk = Desk::open().await;
    let html = desk.html(&desk.auditor(), "/").await;
    let text = text_of(&html);
    for said in [
        WHOLE,
        "Each was last walked no more than ",
        "deleted, text kept",
        "Not checked since this server started.",
        "people are enrolled",
        "left no trace",
        " ago",
        "crawl 2",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    let leads: BTreeSet<String> = tags(&html).iter().map(|tag| tag.attribute("href").to_owned()).collect();
    for path in ["/crawl/coverage", "/crawl", "/crawl/runs/2", "/verify", "/access", "/c", "/f"] {
        assert!(leads.contains(path), "{path}: {leads:?}");
    }
    // The days go on, and the page says so.
    desk.hand.fetch_add(3 * 86_400_000, std::sync::atomic::Ordering::Relaxed);
    let ada = desk.cookie("bea", Role::Auditor, &Scope::All);
    let text = text_of(&desk.html(&ada, "/").await);
    assert!(text.contains("3 days ago") && text.contains("no more than 3 days ago"), "{text}");
}

#[tokio::test]
async fn who_sees_two_channels_or_none_is_told_so() {
    let desk = Desk::open().await;
    let channels = desk.running.workspace().channels();
    let eve = desk.cookie("eve", Role::Reviewer, &only(&[&channels[0].0, &channels[1].0]));
    let html = desk.html(&eve, "/").await;
    let text = text_of(&html);
    assert!(text.contains("You may see 2 channels") && text.contains(YOURS), "{text}");
    assert!(text.contains("2 channels and conversations were walked to their end."), "{text}");
    assert!(!html.contains("/crawl/runs/") && !html.contains("/search?q=is"), "{html}");

    let victor = desk.cookie("victor", Role::Verifier, &Scope::nothing());
    let html = desk.html(&victor, "/").await;
    let text = text_of(&html);
    assert!(text.contains(WHOLE) && text.contains("reads nothing of what was said in it"), "{text}");
    for tag in tags(&html).iter().filter(|tag| tag.name == "a") {
        let path = tag.attribute("href").split(['?', '#']).next().unwrap();
        if path.starts_with('/') {
            assert_eq!(desk.page(&victor, path).await.status, 200, "{path} is offered");
        }
    }
    // Who only manages accounts begins with those.
    let adam = desk.cookie("adam", Role::Admin, &Scope::nothing());
    let answer = desk.page(&adam, "/").await;
    assert_eq!((answer.status.as_u16(), answer.header(header::LOCATION)), (303, "/admin/users"));
}
