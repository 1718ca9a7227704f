//! Two accounts that between them may open every page, with something of their own on each: an auditor who may export,
//! with an exhibit, sets and a search that was kept; and an admin.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::http::header;
use secrecy::ExposeSecret as _;
use teamchat_archive::history::messages_between;
use teamchat_archive::model::{ChannelId, MessageTs, Role, Scope};
use teamchat_archive::record::Visit;
use teamchat_archive::store::FIRST_SOURCE;
use teamchat_archive::store::access::{Arrival, Grant};
use teamchat_archive::web::router;

use super::routes::routes;
use super::{Answer, Desk, PASSWORD, filled, form, send};

/// Routes that answer no page where everything is there, and why.
const NO_PAGE: [(&str, &str); 3] = [
    ("/search/advanced", "it leads to the search that it spells out"),
    ("/r/{record}/v/{number}", "it leads to the record of that version"),
    ("/setup", "there are accounts already"),
];

/// Who looks, and their cookies.
pub(super) struct Staff {
    auditor: String,
    admin: String,
}

impl Staff {
    /// Gives both their accounts. The auditor, who is `ada`, puts these records into an exhibit and into a set, asks for
    /// another set by `words`, keeps a search for them, and calls each of it so.
    pub(super) async fn hire(desk: &Desk, records: &[u64], words: &str) -> Self {
        let grant = Grant { may_export: true, ..Grant::new(Role::Auditor, Some(Scope::All)).unwrap() };
        desk.access.add_user("ada", &grant, &PASSWORD.to_owned().into()).unwrap();
        let session = desk.access.start_session("ada", &Visit::default(), Arrival::default()).unwrap();
        let auditor = format!("__Host-sid={}", session.expose_secret());
        let admin = desk.cookie("root", Role::Admin, &Scope::nothing());

        let records: Vec<String> = records.iter().map(u64::to_string).collect();
        let chosen: Vec<(&str, &str)> = records.iter().map(|record| ("record", record.as_str())).collect();
        let query = format!("\"{}\"", words.replace('"', ""));
        let search = filled(&[("q", &query)]);
        let search = axum::body::to_bytes(search, usize::MAX).await.unwrap();
        let search = String::from_utf8(search.to_vec()).unwrap();
        // Sets are made by the web side that is asked for them, which a test has to wait for.
        let web = Arc::new(desk.another());
        let router = router(Arc::clone(&web));
        for (path, fields) in [
            ("/exhibits", chosen.clone()),
            ("/exhibits/1/title", vec![("title", words)]),
            ("/exports", [&[("format", "csv")], chosen.as_slice()].concat()),
            ("/exports", vec![("format", "csv"), ("q", query.as_str())]),
            ("/saved/keep", vec![("name", words), ("address", search.as_str())]),
        ] {
            let request = form(path).header(header::COOKIE, &auditor).body(filled(&fields)).unwrap();
            let answer = send(&router, request).await;
            assert_eq!(answer.status, 303, "{path}: {}", answer.text());
        }
        tokio::task::spawn_blocking(move || web.wait_for_exports()).await.unwrap();
        Self { auditor, admin }
    }

    /// The same, with an ordinary word and a message that was edited.
    pub(super) async fn at_work(desk: &Desk) -> Self {
        let (_, record) = edited(desk);
        Self::hire(desk, &[record], "crane").await
    }

    /// The name and the cookie of whom a page is for.
    pub(super) fn of(&self, pattern: &str) -> (&'static str, &str) {
        if pattern.starts_with("/admin/") { ("root", &self.admin) } else { ("ada", &self.auditor) }
    }

    pub(super) async fn page(&self, desk: &Desk, pattern: &str, path: &str) -> Answer {
        desk.page(self.of(pattern).1, path).await
    }
}

/// A channel in which a message was edited, and the newest record of that message.
pub(super) fn edited(desk: &Desk) -> (String, u64) {
    let reader = desk.archive.reader();
    let edited_in = |id: String| {
        let channel = ChannelId::parse(&id).unwrap();
        let all = messages_between(&reader, FIRST_SOURCE, &channel, MessageTs::MIN, MessageTs::MAX).unwrap();
        let found = all.iter().find(|item| item.readings().len() > 1)?;
        Some((id, found.latest().unwrap().seq.0))
    };
    let channels = desk.running.workspace().channels();
    channels.into_iter().find_map(|(id, _)| edited_in(id)).expect("a message was edited somewhere")
}

/// The id of a file of the story that is a picture: each page of a file shows something of it.
pub(super) fn picture(desk: &Desk) -> String {
    let files = desk.running.workspace().file_truth().unwrap();
    files.into_iter().find(|file| file.name == "knee_utilisation.png").unwrap().file
}

/// Of every route that is looked at a page was among those that were judged. `others` are routes of which a test has
/// none, and why.
pub(super) fn assert_all_were_shown(shown: &BTreeSet<String>, others: &[(&str, &str)]) {
    let without: Vec<&(&str, &str)> = NO_PAGE.iter().chain(others).collect();
    let is_due = |pattern: &String| !shown.contains(pattern) && !without.iter().any(|(known, _)| known == pattern);
    let missing: Vec<String> = routes()
        .into_iter()
        .filter(|route| route.gets && route.pattern != "/teamchatapi/{method}")
        .map(|r| r.pattern)
        .collect();
    let missing: Vec<String> = missing.into_iter().filter(is_due).collect();
    assert!(missing.is_empty(), "no page of these was judged: {missing:?}");
    let stale: Vec<_> = without.iter().filter(|(pattern, _)| shown.contains(*pattern)).collect();
    assert!(stale.is_empty(), "these show a page: {stale:?}");
}
