//! What the first page says of what is missing: the same as the command `coverage`.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::body::Body;
use axum::http::header;
use teamchat_archive::model::{ChannelId, Clock, Exclusion, Role, Scope, Zone};
use teamchat_archive::web::{Web, router};

use super::{Desk, get, send};

const WHOLE: &str = "Everything the archived accounts can see was walked to its end";

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_channel_is_named_until_it_is_excluded() {
    let whole = Desk::open().await;
    assert!(whole.html(&whole.auditor(), "/").await.contains(WHOLE));
    whole.running.stop().await;

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
    assert!(page.contains(&format!("<bdi>{name}</bdi>: the account can no longer see it")), "{page}");

    // Who may see another channel only is told of that one.
    let other = desk.running.workspace().channels().into_iter().find(|(other, _)| *other != id).unwrap().0;
    let scope = Scope::Channels([ChannelId::parse(&other).unwrap()].into());
    let eve = desk.cookie("eve", Role::Reviewer, &scope);
    let page = desk.html(&eve, "/").await;
    assert!(page.contains(WHOLE) && !page.contains("no longer see it"), "{page}");

    let entry = Exclusion { channel: name, reason: "not ours".to_owned(), ..Exclusion::default() };
    let web = Web::new(desk.archive.reader(), desk.access.clone(), Zone::UTC, Clock::System).unwrap();
    let web = router(Arc::new(web.with_policy(vec![entry], BTreeSet::new())));
    let answer = send(&web, get("/").header(header::COOKIE, &ada).body(Body::empty()).unwrap()).await;
    assert!(answer.text().contains(WHOLE), "{}", answer.text());
    desk.archive.check();
}
