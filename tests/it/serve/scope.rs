//! Who may see two channels sees nothing of the others: not a text, not a number, not that there
//! is something.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use axum::body::Body;
use serde_json::{Value, json};
use teamchat_archive::history::{item, messages_between};
use teamchat_archive::model::{ChannelId, MessageTs, RecordSeq, Role};
use teamchat_archive::record::Kind;
use teamchat_archive::store::FIRST_SOURCE;

use super::{Answer, Desk, encode, get, only, send, text_of};

/// Bytes of a text that are enough to know it by.
const NEEDLE: usize = 18;

/// What must not be said, as pieces of a fixed length that no escaping changes.
struct Secrets {
    needles: HashSet<[u8; NEEDLE]>,
    beginnings: HashSet<[u8; 3]>,
}

/// The stretches of letters and blanks of a text.
fn stretches(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != ' ')
}

impl Secrets {
    /// The secret texts, but for what the open ones say as well.
    fn new<'a>(secret: impl IntoIterator<Item = &'a str>, open: &str) -> Self {
        let mut needles = HashSet::new();
        for text in secret {
            for stretch in stretches(text) {
                // From a byte where a character begins, so that a page cannot cut it.
                if stretch.len() >= NEEDLE
                    && let Ok(needle) = stretch.as_bytes()[..NEEDLE].try_into()
                    && !open.contains(&String::from_utf8_lossy(&stretch.as_bytes()[..NEEDLE]).into_owned())
                {
                    needles.insert(needle);
                }
            }
        }
        let beginnings = needles.iter().map(|needle: &[u8; NEEDLE]| [needle[0], needle[1], needle[2]]).collect();
        Self { needles, beginnings }
    }

    /// The first secret in `body`.
    fn leak(&self, body: &[u8]) -> Option<String> {
        body.windows(NEEDLE)
            .filter(|window| self.beginnings.contains(&window[..3]))
            .find(|window| self.needles.contains(*window))
            .map(|window| String::from_utf8_lossy(window).into_owned())
    }
}

/// A desk with a reviewer of two channels.
struct Narrow {
    desk: Desk,
    cookie: String,
    token: String,
    auditor: String,
    auditor_token: String,
    open: BTreeSet<ChannelId>,
    secret: BTreeSet<ChannelId>,
    secrets: Secrets,
    leaks: Vec<String>,
}

impl Narrow {
    async fn open() -> Self {
        let desk = Desk::open().await;
        let auditor_token = desk.auditor_token();
        let (one, two) =
            (desk.channel(&auditor_token, "random").await, desk.channel(&auditor_token, "purchasing").await);
        let scope = only(&[&one, &two]);
        let mut all = desk.ids(&auditor_token, "channels.list", "channels").await;
        all.extend(desk.ids(&auditor_token, "im.list", "ims").await);
        let open: BTreeSet<ChannelId> = [&one, &two].into_iter().map(|id| ChannelId::parse(id).unwrap()).collect();
        let secret = all.iter().map(|id| ChannelId::parse(id).unwrap()).filter(|id| !open.contains(id)).collect();
        let (mut said, mut hidden) = (String::new(), Vec::new());
        for item in desk.running.workspace().truth() {
            let texts = item.versions;
            if open.contains(&ChannelId::parse(&item.channel).unwrap()) {
                said.push_str(&texts.join("\n"));
                said.push('\n');
            } else {
                hidden.extend(texts);
            }
        }
        // Names of people and files of the open channels are not secret.
        let users = desk.reply(&auditor_token, "users.list", &[]).await;
        said.push_str(&users.to_string());
        for id in [&one, &two] {
            let files = desk.reply(&auditor_token, "files.list", &[("channel", id), ("count", "1000")]).await;
            for file in files["files"].as_array().unwrap() {
                let info = desk.reply(&auditor_token, "files.info", &[("file", file["id"].as_str().unwrap())]).await;
                said.push_str(&info.to_string());
            }
        }
        let secrets = Secrets::new(hidden.iter().map(String::as_str), &said);
        assert!(secrets.needles.len() > 200, "only {} secrets", secrets.needles.len());
        let cookie = desk.cookie("rita", Role::Reviewer, &scope);
        let token = desk.token("rita's", Role::Reviewer, &scope);
        let auditor = desk.auditor();
        Self { desk, cookie, token, auditor, auditor_token, open, secret, secrets, leaks: Vec::new() }
    }

    fn judge(&mut self, what: &str, answer: &Answer) {
        // A page may part a text by tags.
        let plain = text_of(&answer.text());
        if let Some(leak) = self.secrets.leak(&answer.body).or_else(|| self.secrets.leak(plain.as_bytes())) {
            self.leaks.push(format!("{what}: {leak:?}"));
        }
    }

    async fn page(&mut self, path: &str) -> Answer {
        let answer = self.desk.page(&self.cookie, path).await;
        self.judge(path, &answer);
        answer
    }

    async fn call(&mut self, method: &str, arguments: &[(&str, &str)]) -> Answer {
        let answer = self.desk.call(&self.token, method, arguments).await;
        self.judge(&format!("{method} {arguments:?}"), &answer);
        answer
    }

    fn expect(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.leaks.push(what());
        }
    }

    fn finish(self) {
        assert!(self.leaks.is_empty(), "{} leaks:\n{}", self.leaks.len(), self.leaks.join("\n"));
    }

    /// Whether a record may be seen, from the records alone.
    fn may_see(&self, seq: u64) -> bool {
        let reader = self.desk.archive.reader();
        let header = reader.record(RecordSeq(seq)).unwrap().header;
        if let Some(channel) = header.channel_id() {
            return self.open.contains(&channel);
        }
        let file = match header.kind {
            Kind::File => header.key.clone(),
            Kind::Comment => header.key.split('/').next().unwrap().to_owned(),
            // People are of the server, not of a channel: `users.list` gives them to everyone who signs in.
            Kind::User => return true,
            _ => return false,
        };
        let found = item(&reader, Kind::File, FIRST_SOURCE, None, &file).unwrap();
        found.is_some_and(|file| file.shared_in().iter().any(|channel| self.open.contains(channel)))
    }
}

/// A page without the number of its entry in the access log, which is another each time.
fn unnumbered(page: &str) -> String {
    let number = regex::Regex::new("Entry in the access log: [0-9,]+").unwrap();
    number.replace_all(page, "Entry in the access log: N").into_owned()
}

/// The same answer, but for the address that was asked for and the number of the request.
fn is_alike(one: &Answer, other: &Answer) -> bool {
    let headers = |answer: &Answer| {
        let mut headers = answer.headers.clone();
        headers.remove("x-request-id");
        headers
    };
    one.status == other.status && headers(one) == headers(other) && one.body == other.body
}

#[tokio::test]
async fn the_secrets_are_there_for_who_may_see_them() {
    let narrow = Narrow::open().await;
    let mut seen = 0;
    for id in &narrow.secret {
        let path = format!("/c/{}?n=500", encode(id.as_str()));
        let answer = narrow.desk.page(&narrow.auditor, &path).await;
        seen += usize::from(narrow.secrets.leak(&answer.body).is_some());
    }
    assert!(seen > 5, "the secrets are found on {seen} pages of an auditor: the judge is blind");
}

#[tokio::test]
async fn a_reviewer_sees_the_records_of_two_channels_only() {
    let mut narrow = Narrow::open().await;
    let head = narrow.desk.archive.reader().head().unwrap();
    let (mut seen, mut hidden) = (0, 0);
    let absent = narrow.page("/r/99999999").await;
    assert_eq!(absent.status, 404);
    for seq in 0..head {
        let may_see = narrow.may_see(seq);
        for suffix in ["", "/raw.json", "/proof.tlog-proof", "/proof.json"] {
            // Each record's page; of each seventh its bytes and proof as well.
            if !suffix.is_empty() && !seq.is_multiple_of(7) {
                continue;
            }
            let path = format!("/r/{seq}{suffix}");
            let answer = narrow.page(&path).await;
            if may_see {
                seen += 1;
                narrow.expect(answer.status == 200, || format!("{path}: {} where it may be seen", answer.status));
            } else {
                hidden += 1;
                narrow.expect(is_alike(&answer, &absent), || format!("{path}: {} is not as for none", answer.status));
            }
        }
    }
    assert!(seen > 50 && hidden > 500, "{seen} seen, {hidden} hidden");
    narrow.finish();
}

#[tokio::test]
async fn a_reviewers_pages_show_two_channels_only() {
    let mut narrow = Narrow::open().await;
    let secret = narrow.secret.clone();
    let open = narrow.open.clone();
    let auditor_token = narrow.auditor_token.clone();
    let list = narrow.desk.reply(&auditor_token, "channels.list", &[]).await;
    let name_of = |id: &ChannelId| {
        let channels = list["channels"].as_array().unwrap();
        let found =
            channels.iter().find(|channel| ChannelId::parse(channel["id"].as_str().unwrap()).as_ref() == Some(id));
        found.map(|channel| channel["name"].as_str().unwrap().to_owned())
    };
    let absent = narrow.page("/c/none").await;
    assert_eq!(absent.status, 404);
    for id in &secret {
        for query in ["", "?n=500", "?date=2026-03-04", "?at=0.000000", "?at=x", "?n=x", "?before=x"] {
            let path = format!("/c/{}{query}", encode(id.as_str()));
            let answer = narrow.page(&path).await;
            let none = narrow.page(&format!("/c/none{query}")).await;
            narrow.expect(is_alike(&answer, &none), || format!("{path}: {} is not as for none", answer.status));
        }
    }
    let overview = narrow.page("/").await.text();
    let channels = narrow.page("/c").await.text();
    let files = narrow.page("/f").await.text();
    for id in &secret {
        for (page, html) in [("/", &overview), ("/c", &channels), ("/f", &files)] {
            narrow.expect(!html.contains(id.as_str()), || format!("{page} names {id}"));
            if let Some(name) = name_of(id).filter(|name| name.len() > 5 || name == "legal") {
                narrow.expect(!html.contains(&format!(">{name}<")), || format!("{page} names #{name}"));
            }
        }
    }
    // No number of the overview is that of all channels together.
    let whole = narrow.desk.page(&narrow.auditor.clone(), "/").await.text();
    let figures = |html: &str| -> BTreeMap<String, String> {
        let list =
            html.split_once("<dl class=\"figures\">").map_or("", |(_, rest)| rest.split("</dl>").next().unwrap());
        let pairs = list.split("<dt>").skip(1).filter_map(|pair| pair.split_once("</dt><dd>"));
        pairs.map(|(name, value)| (name.to_owned(), text_of(value.split("</dd>").next().unwrap()))).collect()
    };
    let (whole, part) = (figures(&whole), figures(&overview));
    for name in [
        "messages",
        "messages deleted, text kept",
        "messages changed since first seen, all versions kept",
        "files",
        "comments",
        "channels",
        "conversations",
    ] {
        assert!(whole.contains_key(name), "{whole:?}");
        narrow.expect(part.get(name) != whole.get(name), || format!("/ counts all {name}: {:?}", whole[name]));
    }

    // Files, one by one.
    let truth = narrow.desk.running.workspace().file_truth().unwrap();
    let reader = narrow.desk.archive.reader();
    let (mut seen, mut hidden) = (0, 0);
    for file in truth {
        let Some(found) = item(&reader, Kind::File, FIRST_SOURCE, None, &file.file).unwrap() else { continue };
        let may_see = found.shared_in().iter().any(|id| open.contains(id));
        for suffix in ["", "/blob", "/blob?v=1", "/blob?v=1&inline=1"] {
            let path = format!("/f/{}{suffix}", encode(&file.file));
            let answer = narrow.page(&path).await;
            let none = narrow.page(&format!("/f/none{suffix}")).await;
            if may_see {
                seen += 1;
                narrow.expect(answer.status == 200, || format!("{path}: {}", answer.status));
            } else {
                hidden += 1;
                narrow.expect(is_alike(&answer, &none), || format!("{path}: {} is not as for none", answer.status));
            }
        }
        if !may_see {
            narrow.expect(!files.contains(&file.file), || format!("/f names {}", file.file));
        }
    }
    assert!(seen > 0 && hidden > 0, "{seen} seen, {hidden} hidden");

    // What can be seen is seen whole.
    for id in &open {
        let path = format!("/c/{}?n=500", encode(id.as_str()));
        let answer = narrow.page(&path).await;
        let items = messages_between(&reader, FIRST_SOURCE, id, MessageTs::MIN, MessageTs::MAX).unwrap();
        let shown = answer.text().matches("<article ").count();
        narrow.expect(shown == items.len().min(500), || format!("{path}: {shown} of {}", items.len()));
    }
    // Nobody's scope at all: an admin and a verifier without channels.
    for role in [Role::Admin, Role::Verifier] {
        let cookie = narrow.desk.cookie(role.as_str(), role, &only(&[]));
        for id in secret.iter().chain(&open) {
            assert_eq!(narrow.desk.page(&cookie, &format!("/c/{}", encode(id.as_str()))).await.status, 403);
        }
        let answer = narrow.desk.page(&cookie, "/search?q=crane").await;
        narrow.judge("search without channels", &answer);
        narrow.expect(answer.status == 403, || format!("{role:?} may search: {}", answer.status));
    }
    narrow.finish();
}

#[tokio::test]
async fn a_reviewers_search_counts_two_channels_only() {
    let mut narrow = Narrow::open().await;
    let all = narrow.auditor_token.clone();
    let mut narrower = 0;
    let long = ("count", "1000");
    let states = ("states", "current,edited,deleted");
    for query in [
        "crane",
        "the",
        "gearbox",
        "price OR plate",
        "contract",
        "Viktor",
        "pdf",
        "has:file",
        "NOT crane",
        "in:legal",
        "from:klara",
        "is:deleted",
        "is:edited",
    ] {
        for list in ["messages", "files"] {
            let method = format!("search.{list}");
            let mut whole: BTreeSet<u64> = BTreeSet::new();
            let mut cursor = String::new();
            loop {
                let mut arguments = vec![("query", query), long, states];
                if !cursor.is_empty() {
                    arguments.push(("cursor", cursor.as_str()));
                }
                let reply = narrow.desk.reply(&all, &method, &arguments).await;
                let records = reply[list]["matches"].as_array().unwrap().iter();
                whole.extend(records.map(|found| found["archive"]["record"].as_u64().unwrap()));
                match reply["next_cursor"].as_str() {
                    Some(next) => cursor = next.to_owned(),
                    None => break,
                }
            }
            let due: BTreeSet<u64> = whole.iter().copied().filter(|seq| narrow.may_see(*seq)).collect();
            let reply = narrow.call(&method, &[("query", query), long, states]).await.json();
            let found: BTreeSet<u64> = reply[list]["matches"]
                .as_array()
                .unwrap()
                .iter()
                .map(|found| found["archive"]["record"].as_u64().unwrap())
                .collect();
            narrow.expect(found == due, || format!("{method} {query:?}: {} found, {} due", found.len(), due.len()));
            let total = reply[list]["total"].as_u64();
            narrow.expect(total == Some(due.len() as u64), || {
                format!("{method} {query:?}: total {total:?}, {} due", due.len())
            });
            narrower += usize::from(due.len() < whole.len());
            for found in reply[list]["matches"].as_array().unwrap() {
                for id in found["channels"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                    let is_secret = ChannelId::parse(id).is_some_and(|id| narrow.secret.contains(&id));
                    narrow.expect(!is_secret, || format!("{method} {query:?}: a match names channel {id}"));
                }
            }
        }
        narrow.page(&format!("/search?q={}", encode(query))).await;
        narrow.page(&format!("/search?q={}&state=deleted&sort=newest", encode(query))).await;
    }
    assert!(narrower > 8, "only {narrower} searches were narrowed");

    // A channel that one may not see is as one that is not there.
    for (there, nowhere) in [("legal", "lugal"), ("general", "generul"), ("standup", "stundup")] {
        for form in ["in:X", "in:#X", "in:X contract", "NOT in:X"] {
            let path = |name: &str| format!("/search?q={}", encode(&form.replace('X', name)));
            let plain = |page: &str| unnumbered(page).replace(there, "X").replace(nowhere, "X");
            let one = plain(&narrow.page(&path(there)).await.text());
            let other = plain(&narrow.page(&path(nowhere)).await.text());
            narrow
                .expect(one == other, || format!("{form} tells {there} from {nowhere}: {}", difference(&one, &other)));
            let one = narrow
                .call("search.all", &[("query", &form.replace('X', there))])
                .await
                .text()
                .replace(there, "X")
                .replace(nowhere, "X");
            let other = narrow
                .call("search.all", &[("query", &form.replace('X', nowhere))])
                .await
                .text()
                .replace(there, "X")
                .replace(nowhere, "X");
            narrow.expect(one == other, || format!("{form} by the API tells {there} from {nowhere}"));
        }
    }
    narrow.finish();
}

#[tokio::test]
async fn a_limited_token_reads_two_channels_only() {
    let mut narrow = Narrow::open().await;
    let (open, secret) = (narrow.open.clone(), narrow.secret.clone());
    let all = narrow.auditor_token.clone();
    let mut spelled: BTreeMap<ChannelId, String> = BTreeMap::new();
    for (method, list) in [("channels.list", "channels"), ("im.list", "ims")] {
        for id in narrow.desk.ids(&all, method, list).await {
            spelled.insert(ChannelId::parse(&id).unwrap(), id);
        }
        let mine = narrow.call(method, &[]).await.json();
        for channel in mine[list].as_array().unwrap() {
            let id = ChannelId::parse(channel["id"].as_str().unwrap()).unwrap();
            narrow.expect(open.contains(&id), || format!("{method} shows {id}"));
        }
    }
    let mine = narrow.call("channels.list", &[]).await.json();
    assert_eq!(mine["channels"].as_array().unwrap().len(), 2);
    assert!(mine["channels"].as_array().unwrap().iter().all(|channel| channel["is_member"] == true));

    let reader = narrow.desk.archive.reader();
    for id in &secret {
        let items = messages_between(&reader, FIRST_SOURCE, id, MessageTs::MIN, MessageTs::MAX).unwrap();
        let ts = items.first().unwrap().key.clone();
        let calls: [(&str, &[(&str, &str)]); 10] = [
            ("channels.info", &[]),
            ("channels.history", &[]),
            ("channels.atom.history", &[]),
            ("items.info", &[("ts", &ts)]),
            ("pins.list", &[]),
            ("reactions.get", &[("timestamp", &ts)]),
            ("reactions.list", &[]),
            ("files.list", &[]),
            ("users.list", &[]),
            ("search.all", &[("query", "crane")]),
        ];
        for (method, arguments) in calls {
            for spelling in [&spelled[id], id.as_str()] {
                let mut asked = arguments.to_vec();
                asked.push(("channel", spelling));
                let answer = narrow.call(method, &asked).await;
                asked.pop();
                asked.push(("channel", "none"));
                let none = narrow.call(method, &asked).await;
                narrow.expect(is_alike(&answer, &none), || {
                    format!("{method} of {id} is not as of none: {}", answer.text())
                });
                let refusal = json!({"ok": false, "error": "channel_not_found"});
                narrow.expect(none.json() == refusal, || format!("{method} of none: {}", none.text()));
            }
        }
    }
    // What is in scope is answered, and nothing else with it.
    for id in &open {
        let spelling = spelled[id].clone();
        let history = narrow.call("channels.history", &[("channel", &spelling), ("count", "1000")]).await.json();
        let messages = history["messages"].as_array().unwrap().clone();
        assert!(!messages.is_empty());
        for message in messages.iter().step_by(9) {
            let ts = message["ts"].as_str().unwrap();
            narrow.call("items.info", &[("channel", &spelling), ("ts", ts)]).await;
            narrow.call("reactions.get", &[("channel", &spelling), ("timestamp", ts)]).await;
        }
        for method in
            ["channels.info", "channels.atom.history", "pins.list", "reactions.list", "files.list", "users.list"]
        {
            let answer = narrow.call(method, &[("channel", &spelling)]).await;
            narrow.expect(answer.status == 200 && !answer.text().contains("\"ok\":false"), || {
                format!("{method}: {}", answer.text())
            });
        }
        for file in messages.iter().filter_map(|message| message.get("file")) {
            for named in file["channels"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                let is_secret = ChannelId::parse(named).is_some_and(|id| secret.contains(&id));
                narrow.expect(!is_secret, || format!("a file in the history of {id} names channel {named}"));
            }
        }
    }
    // Files, and the tickets of those that may be had.
    let listed = narrow.call("files.list", &[("count", "1000")]).await.json();
    let listed: BTreeSet<String> =
        listed["files"].as_array().unwrap().iter().map(|file| file["id"].as_str().unwrap().to_owned()).collect();
    let none = narrow.call("files.info", &[("file", "none")]).await;
    assert_eq!(none.json()["error"], "file_not_found");
    for file in narrow.desk.running.workspace().file_truth().unwrap() {
        let Some(found) = item(&reader, Kind::File, FIRST_SOURCE, None, &file.file).unwrap() else { continue };
        let may_see = found.shared_in().iter().any(|id| open.contains(id));
        let answer = narrow.call("files.info", &[("file", &file.file)]).await;
        narrow.expect(listed.contains(&file.file) == (may_see && !found.is_gone()), || {
            format!("files.list and {}", file.file)
        });
        if may_see {
            for id in answer.json()["file"]["channels"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                let is_secret = ChannelId::parse(id).is_some_and(|id| secret.contains(&id));
                narrow.expect(!is_secret, || format!("files.info of {} names channel {id}", file.file));
            }
        } else {
            narrow.expect(is_alike(&answer, &none), || format!("files.info of {} is not as of none", file.file));
        }
    }
    for method in ["auth.test", "users.identity", "users.list", "api.test"] {
        narrow.call(method, &[]).await;
    }
    let request = get("/teamchatapi/channels.history?channel=none").body(Body::empty()).unwrap();
    assert_eq!(send(&narrow.desk.router, request).await.json()["error"], "not_authed");
    narrow.finish();
}

/// Where two texts begin to differ.
fn difference(one: &str, other: &str) -> String {
    let lines = one.lines().zip(other.lines()).find(|(one, other)| one != other);
    lines.map(|(one, other)| format!("{one}\n{other}")).unwrap_or_default()
}
