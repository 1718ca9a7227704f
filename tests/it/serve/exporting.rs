//! Sets that are asked for from a page: what becomes of them, who gets them, and that none of a restricted reader
//! names a channel that they may not see.

mod each;
mod making;

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::header;
use mail_parser::{MessageParser, MimeHeaders as _};
use secrecy::ExposeSecret as _;
use serde_json::Value;
use teamchat_archive::history::item;
use teamchat_archive::model::{ChannelId, Digest, Role, Scope};
use teamchat_archive::record::{Kind, Visit};
use teamchat_archive::store::FIRST_SOURCE;
use teamchat_archive::store::access::{Arrival, Grant, JobState};
use teamchat_archive::web::{Web, router};

use super::{Answer, Desk, PASSWORD, filled, form, get, only, send, text_of};

/// The web side over a desk, with the hand that waits for its sets.
pub(super) struct Office {
    pub(super) desk: Desk,
    web: Arc<Web>,
    pub(super) router: Router,
}

impl Office {
    pub(super) async fn open() -> Self {
        Self::over(Desk::open().await)
    }

    pub(super) fn over(desk: Desk) -> Self {
        let web = Arc::new(desk.another());
        let router = router(Arc::clone(&web));
        Self { desk, web, router }
    }

    /// The cookie of a new account that may export.
    pub(super) fn exporter(&self, name: &str, role: Role, scope: &Scope) -> String {
        let grant = Grant { may_export: true, ..Grant::new(role, Some(scope.clone())).unwrap() };
        self.desk.access.add_user(name, &grant, &PASSWORD.to_owned().into()).unwrap();
        self.session(name)
    }

    pub(super) fn session(&self, name: &str) -> String {
        let cookie = self.desk.access.start_session(name, &Visit::default(), Arrival::default()).unwrap();
        format!("__Host-sid={}", cookie.expose_secret())
    }

    pub(super) async fn page(&self, cookie: &str, path: &str) -> Answer {
        send(&self.router, get(path).header(header::COOKIE, cookie).body(Body::empty()).unwrap()).await
    }

    pub(super) async fn form(&self, cookie: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
        send(&self.router, form(path).header(header::COOKIE, cookie).body(filled(fields)).unwrap()).await
    }

    /// Asks for a set and waits until it is made; its address.
    async fn make(&self, cookie: &str, fields: &[(&str, &str)]) -> String {
        let answer = self.form(cookie, "/exports", fields).await;
        assert_eq!(answer.status, 303, "{fields:?}: {}", text_of(&answer.text()));
        self.wait().await;
        answer.header("location").to_owned()
    }

    pub(super) async fn wait(&self) {
        let web = Arc::clone(&self.web);
        tokio::task::spawn_blocking(move || web.wait_for_exports()).await.unwrap();
    }

    /// A set that was made, whole.
    async fn download(&self, cookie: &str, place: &str) -> Vec<u8> {
        let answer = self.page(cookie, &format!("{place}/set.zip")).await;
        assert_eq!(answer.status, 200, "{}", text_of(&self.page(cookie, place).await.text()));
        answer.body
    }
}

/// The files of a zip.
fn unzipped(bytes: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut out = BTreeMap::new();
    for place in 0..zip.len() {
        let mut entry = zip.by_index(place).unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        out.insert(entry.name().unwrap().into_owned(), content);
    }
    out
}

/// All bytes of a set, with what is packed in it unpacked, by where they are.
fn all_bytes(name: &str, bytes: &[u8], out: &mut Vec<(String, Vec<u8>)>) {
    out.push((name.to_owned(), bytes.to_vec()));
    let is = |ending: &str| name.ends_with(ending);
    if is(".zip") {
        for (inner, content) in unzipped(bytes) {
            all_bytes(&format!("{name}!{inner}"), &content, out);
        }
    } else if is(".gz") {
        let mut content = Vec::new();
        flate2::read::GzDecoder::new(bytes).read_to_end(&mut content).unwrap();
        all_bytes(&format!("{name}!"), &content, out);
    } else if is(".eml") || is(".rsmf") {
        mail(name, bytes, out);
    } else if is(".mbox") {
        for (n, text) in
            bytes.split(|byte| *byte == b'\n').collect::<Vec<_>>().split(|line| line.starts_with(b"From ")).enumerate()
        {
            mail(&format!("{name}!{n}"), &text.join(&b'\n'), out);
        }
    }
}

fn mail(name: &str, bytes: &[u8], out: &mut Vec<(String, Vec<u8>)>) {
    let Some(message) = MessageParser::default().parse(bytes) else { return };
    out.push((format!("{name}!subject"), message.subject().unwrap_or_default().as_bytes().to_vec()));
    for (n, part) in message.parts.iter().enumerate() {
        let inner = part.attachment_name().unwrap_or_default().to_owned();
        all_bytes(&format!("{name}!{n}!{inner}"), part.contents(), out);
    }
}

/// The openings of leaves that a set's proof keeps closed are base64 within a line: decoded.
fn openings(text: &[u8]) -> Vec<u8> {
    use base64::Engine as _;
    let mut out = Vec::new();
    for line in text.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"shut ")) {
        let line = String::from_utf8_lossy(line);
        for piece in line.split('"').filter(|piece| piece.len() > 20) {
            out.extend(base64::engine::general_purpose::STANDARD.decode(piece).unwrap_or_default());
            out.push(b'\n');
        }
    }
    out
}

#[tokio::test]
async fn a_set_is_made_shown_and_downloaded_and_both_are_logged() {
    let office = Office::open().await;
    let cookie = office.exporter("ada", Role::Auditor, &Scope::All);
    let place = office.make(&cookie, &[("format", "csv"), ("q", "crane")]).await;
    let text = text_of(&office.page(&cookie, &place).await.text());
    assert!(text.contains("made") && text.contains("Nothing in scope is unaccounted for"), "{text}");
    assert!(text.contains("found by: crane") && text.contains("Reconciliation"), "{text}");
    let bytes = office.download(&cookie, &place).await;
    let files = unzipped(&bytes);
    assert!(files.keys().any(|name| name.ends_with("/data/messages.csv")), "{:?}", files.keys());
    assert!(text.contains(&Digest::of(&bytes).to_string()), "the page says what the file is");
    // The entry of the set was there before the set, and each download is one more.
    let entries = office.desk.access.log().entries(0, 100_000).unwrap();
    let told: Vec<(String, Value)> = entries
        .iter()
        .map(|entry| (entry.header.clone(), serde_json::from_str(&entry.body).unwrap()))
        .filter(|(_, body): &(String, Value)| !body["content"].is_null())
        .collect();
    let [(made, set), (seen, download)] = &told[..] else { panic!("{told:?}") };
    assert!(made.contains("\"export\"") && seen.contains("\"view\""));
    assert_eq!(
        (set["user"].as_str(), set["query"].as_str(), set["subject"].as_str()),
        (Some("ada"), Some("crane"), Some("export 1"))
    );
    assert_eq!(
        set["content"],
        Digest::of(&files.iter().find(|(name, _)| name.ends_with("/tagmanifest-sha256.txt")).unwrap().1.clone())
            .to_string()
    );
    assert_eq!(
        (download["page"].as_str(), download["content"].as_str()),
        (Some("set"), Some(&*Digest::of(&bytes).to_string()))
    );

    // In pieces, as after a download that was cut off.
    let part = |range: &str| {
        let request = get(&format!("{place}/set.zip")).header(header::COOKIE, &cookie).header(header::RANGE, range);
        send(&office.router, request.body(Body::empty()).unwrap())
    };
    let (first, rest) = (part("bytes=0-99").await, part("bytes=100-").await);
    assert_eq!((first.status.as_u16(), rest.status.as_u16()), (206, 206));
    assert_eq!([first.body, rest.body].concat(), bytes);
    assert_eq!(part(&format!("bytes={}-", bytes.len())).await.status, 416);

    // It stays until it is removed, and then nothing of it does.
    let folder = office.desk.archive.layout.root().join("exports/1");
    assert!(folder.join("set-1.zip").exists());
    assert_eq!(office.form(&cookie, &format!("{place}/delete"), &[]).await.status, 303);
    assert!(!folder.exists());
    assert_eq!(office.page(&cookie, &place).await.status, 404);
}

#[tokio::test]
async fn only_who_may_export_asks_for_sets_and_each_gets_their_own() {
    let office = Office::open().await;
    let ada = office.exporter("ada", Role::Auditor, &Scope::All);
    let bob = office.exporter("bob", Role::Auditor, &Scope::All);
    let eve = office.desk.cookie("eve", Role::Auditor, &Scope::All);
    for path in ["/exports", "/exports/1", "/exports/1/set.zip"] {
        assert_eq!(office.page(&eve, path).await.status, 403, "{path}");
    }
    assert_eq!(office.form(&eve, "/exports", &[("format", "csv")]).await.status, 403);
    let place = office.make(&ada, &[("format", "jsonl"), ("q", "crane")]).await;
    for path in [place.clone(), format!("{place}/set.zip")] {
        assert_eq!(office.page(&bob, &path).await.status, 404, "{path}");
    }
    for change in ["stop", "again", "delete"] {
        assert_eq!(office.form(&bob, &format!("{place}/{change}"), &[]).await.status, 404, "{change}");
    }
    // Who sees less than when the set was made gets it no more.
    let random = office.desk.channel(&office.desk.auditor_token(), "random").await;
    let grant = Grant { may_export: true, ..Grant::new(Role::Reviewer, Some(only(&[&random]))).unwrap() };
    office.desk.access.set_role("ada", &grant).unwrap();
    let ada = office.session("ada");
    assert_eq!(office.page(&ada, &format!("{place}/set.zip")).await.status, 404);
    assert!(text_of(&office.page(&ada, &place).await.text()).contains("What you may see has changed"));
    // And without the right nothing more is made.
    let grant = Grant { may_export: false, ..grant };
    office.desk.access.set_role("ada", &grant).unwrap();
    assert_eq!(office.page(&office.session("ada"), &place).await.status, 403);
}

#[tokio::test]
async fn what_cannot_be_made_says_why_and_what_was_filled_in_stays() {
    let office = Office::open().await;
    let cookie = office.exporter("ada", Role::Auditor, &Scope::All);
    for (fields, why) in [
        (&[("format", "doc")][..], "doc is not a format"),
        (&[("format", "csv"), ("q", "(a")], "character"),
        (&[("format", "csv"), ("from", "soon")], "soon is not a time"),
        (&[("format", "csv"), ("from", "2026-03-02"), ("to", "2026-03-01")], "is not before the last"),
        (&[("format", "csv"), ("channel", "nowhere")], "called nowhere"),
        (&[("format", "csv"), ("tz", "Mars/Base")], "Mars/Base is not a time zone"),
        (&[("format", "csv"), ("volume", "much")], "much is not a size"),
        (&[("format", "dat"), ("bates", "A B")], "Bates"),
        (&[("format", "dat"), ("bates", "A"), ("number", "x")], "x is not a number"),
        (&[("format", "native"), ("dedupe", "on")], "The format native"),
        (&[("format", "csv"), ("record", "99999999")], "Nothing of what is selected"),
    ] {
        let answer = office.form(&cookie, "/exports", fields).await;
        assert_eq!(answer.status, 400, "{fields:?}");
        let html = answer.text();
        assert!(text_of(&html).contains(why), "{why}: {}", text_of(&html));
        for (_, value) in fields.iter().filter(|(name, _)| *name != "channel" && *name != "record" && *name != "dedupe")
        {
            assert!(html.contains(&format!("value=\"{value}\"")) || *value == "doc", "{value} is still in the form");
        }
    }
    assert!(office.desk.access.jobs("ada").unwrap().is_empty());
    // What goes wrong while it is made is said on its page, and it can be asked for again.
    let place = office.make(&cookie, &[("format", "csv"), ("q", "zqxvzqxv")]).await;
    let text = text_of(&office.page(&cookie, &place).await.text());
    assert!(text.contains("could not be made") && text.contains("nothing in the archive is in this scope"), "{text}");
    assert_eq!(office.page(&cookie, &format!("{place}/set.zip")).await.status, 404);
    assert_eq!(office.form(&cookie, &format!("{place}/again"), &[]).await.status, 303);
    office.wait().await;
    assert_eq!(office.desk.access.job(1).unwrap().unwrap().state, JobState::Failed);
}

#[tokio::test]
async fn a_set_that_was_cut_off_is_said_to_be_and_taken_up_again() {
    let office = Office::open().await;
    let cookie = office.exporter("ada", Role::Auditor, &Scope::All);
    let place = office.make(&cookie, &[("format", "csv")]).await;
    let whole = office.download(&cookie, &place).await;
    // As a process leaves it that dies while it writes: noted as under way, and nobody makes it.
    let id = office.desk.access.add_job("ada", "format=csv").unwrap().unwrap();
    office.desk.access.set_job(id, JobState::Running, None, None).unwrap();
    let place = format!("/exports/{id}");
    let html = office.page(&cookie, &place).await.text();
    assert!(text_of(&html).contains("cut off") && html.contains(&format!("action=\"{place}/again\"")), "{html}");
    assert_eq!(office.form(&cookie, &format!("{place}/again"), &[]).await.status, 303);
    office.wait().await;
    let again = unzipped(&office.download(&cookie, &place).await);
    let file = |files: &BTreeMap<String, Vec<u8>>| {
        files.iter().find(|(name, _)| name.ends_with("/data/messages.csv")).unwrap().1.clone()
    };
    assert_eq!(file(&again), file(&unzipped(&whole)));
    // One that died between the name of the set and its note is whole.
    office.desk.access.set_job(id, JobState::Running, None, None).unwrap();
    office.form(&cookie, &format!("{place}/again"), &[]).await;
    office.wait().await;
    assert_eq!(office.desk.access.job(id).unwrap().unwrap().state, JobState::Done);
    let exports = office.desk.access.log().entries(0, 100_000).unwrap();
    assert_eq!(
        exports.iter().filter(|entry| entry.header.contains("\"export\"")).count(),
        2,
        "each was handed over once"
    );
}

#[tokio::test]
async fn a_set_is_begun_once_it_is_logged_who_asked_for_it() {
    let office = Office::open().await;
    let cookie = office.exporter("ada", Role::Auditor, &Scope::All);
    let other = rusqlite::Connection::open(office.desk.archive.layout.access()).unwrap();
    other
        .execute_batch("CREATE TRIGGER no_more BEFORE INSERT ON entry BEGIN SELECT RAISE(ABORT, 'full'); END")
        .unwrap();
    assert_eq!(office.form(&cookie, "/exports", &[("format", "csv")]).await.status, 503);
    other.execute_batch("DROP TRIGGER no_more").unwrap();
    // Another one that is begun takes none along that was not logged.
    let place = office.make(&cookie, &[("format", "csv")]).await;
    let states = [1, 2].map(|id| office.desk.access.job(id).unwrap().unwrap().state);
    assert_eq!((states, place.as_str()), ([JobState::Waiting, JobState::Done], "/exports/2"));
    let html = office.page(&cookie, "/exports/1").await.text();
    assert!(text_of(&html).contains("cut off"), "{html}");
    let entries = office.desk.access.log().entries(0, 100_000).unwrap();
    let number = |what: &str| {
        entries.iter().find(|entry| entry.header.contains(what) || entry.body.contains(what)).unwrap().number
    };
    assert!(number("\"page\":\"exports\"") < number("\"export 2\""), "{entries:?}");
    // It can be taken up all the same.
    assert_eq!(office.form(&cookie, "/exports/1/again", &[]).await.status, 303);
    office.wait().await;
    assert_eq!(office.desk.access.job(1).unwrap().unwrap().state, JobState::Done);
    office.desk.archive.check();
}

#[tokio::test]
async fn a_selection_is_exported_with_its_family_and_nothing_else() {
    let office = Office::open().await;
    let cookie = office.exporter("ada", Role::Auditor, &Scope::All);
    let random = office.desk.channel(&office.desk.auditor_token(), "random").await;
    let chosen =
        office.desk.truth().into_iter().find(|item| item.channel == random && item.state == "current").unwrap();
    let channel = ChannelId::parse(&random).unwrap();
    let found = item(&office.desk.archive.reader(), Kind::Message, FIRST_SOURCE, Some(&channel), &chosen.ts).unwrap();
    let seq = found.unwrap().latest().unwrap().seq.to_string();
    let exhibit = office.form(&cookie, "/exhibits", &[("record", &seq)]).await.header("location").to_owned();
    let number = exhibit.rsplit('/').next().unwrap().to_owned();
    let asked = office.page(&cookie, &format!("/exports?exhibit={number}")).await.text();
    assert!(asked.contains(&format!("name=\"exhibit\" value=\"{number}\"")));
    for fields in [&[("format", "jsonl"), ("exhibit", &*number)][..], &[("format", "jsonl"), ("record", &seq)]] {
        let place = office.make(&cookie, fields).await;
        let files = unzipped(&office.download(&cookie, &place).await);
        let (_, lines) = files.iter().find(|(name, _)| name.ends_with("/data/records.jsonl")).unwrap();
        let lines: Vec<Value> = lines
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect();
        let keys: std::collections::BTreeSet<&str> = lines
            .iter()
            .filter(|line| line["header"]["kind"] == "message")
            .filter_map(|line| line["header"]["key"].as_str())
            .collect();
        assert!(keys.contains(chosen.ts.as_str()) && keys.len() < 5, "{keys:?}");
    }
}

/// Every format, as a reviewer of two channels gets it who shares a file with others: no byte of it names another.
#[tokio::test]
async fn no_set_of_a_reviewer_names_a_channel_that_they_do_not_see() {
    let office = Office::open().await;
    let token = office.desk.auditor_token();
    let list = office.desk.reply(&token, "channels.list", &[]).await;
    let names: BTreeMap<String, String> = list["channels"]
        .as_array()
        .unwrap()
        .iter()
        .map(|channel| (channel["id"].as_str().unwrap().to_owned(), channel["name"].as_str().unwrap().to_owned()))
        .collect();
    let reader = office.desk.archive.reader();
    // A file that stands in several channels: its bytes name them all.
    let shared = office
        .desk
        .archive
        .newest(Kind::File)
        .into_values()
        .find(|file| file.shared_in().len() > 1)
        .expect("the story shares a file");
    let places = shared.shared_in();
    let (mine, other) = (&places[0], &places[1]);
    let second = names.keys().filter_map(|id| ChannelId::parse(id)).find(|id| !places.contains(id)).unwrap();
    let scope = Scope::Channels([mine.clone(), second.clone()].into());
    let cookie = office.exporter("rita", Role::Reviewer, &scope);
    // What people wrote may mention a channel by its name or id; that is what they said, and open to who reads it.
    let mut said = String::new();
    for seq in 0..reader.head().unwrap() {
        let record = reader.record(teamchat_archive::model::RecordSeq(seq)).unwrap();
        let is_open = record.header.channel_id().is_some_and(|id| scope.allows(&id));
        if is_open && record.header.kind == Kind::Message
            || record.header.kind == Kind::Comment
            || record.header.kind == Kind::User
        {
            let body: Value = serde_json::from_slice(&record.body).unwrap_or_default();
            said.push_str(&format!(
                "{} {} {}\n",
                body["text"],
                body["comment"],
                if record.header.kind == Kind::User { &body } else { &Value::Null }
            ));
        }
    }
    let mut secrets: Vec<String> = Vec::new();
    for (id, name) in &names {
        let parsed = ChannelId::parse(id).unwrap();
        if !scope.allows(&parsed) {
            secrets.extend([id.trim_end_matches('=').to_owned(), parsed.to_string()]);
            // A name that is a word is in many texts.
            if name.len() > 6 && !said.to_lowercase().contains(&name.to_lowercase()) {
                secrets.push(name.clone());
            }
        }
    }
    for id in office.desk.ids(&token, "im.list", "ims").await {
        if !said.contains(id.trim_end_matches('=')) {
            secrets.push(id.trim_end_matches('=').to_owned());
        }
    }
    secrets.retain(|secret| !said.contains(secret.as_str()));
    secrets.sort();
    secrets.dedup();
    assert!(secrets.len() > 10 && secrets.iter().any(|secret| secret == other.as_str()), "{secrets:?}");

    let mut leaks = Vec::new();
    let mut closed = 0;
    for format in ["rsmf", "dat", "eml", "html", "native", "csv", "jsonl", "slack", "mbox", "actiance", "atom"] {
        let place = office.make(&cookie, &[("format", format)]).await;
        let text = text_of(&office.page(&cookie, &place).await.text());
        assert!(text.contains("Nothing in scope is unaccounted for"), "{format}: {text}");
        let bytes = office.download(&cookie, &place).await;
        let mut all = Vec::new();
        all_bytes("set.zip", &bytes, &mut all);
        let more: Vec<(String, Vec<u8>)> = all
            .iter()
            .filter(|(name, _)| name.ends_with("tlog-set.gz!"))
            .map(|(name, text)| (format!("{name}!open"), openings(text)))
            .collect();
        all.extend(more);
        closed += all.iter().filter(|(_, bytes)| bytes.windows(8).any(|at| at == b"\nclosed,")).count();
        for (name, bytes) in &all {
            for secret in &secrets {
                if bytes.windows(secret.len()).any(|at| at == secret.as_bytes()) {
                    leaks.push(format!("{format}: {secret} in {name}"));
                }
            }
        }
        check(format, &bytes);
    }
    assert!(leaks.is_empty(), "{} leaks:\n{}", leaks.len(), leaks.join("\n"));
    assert!(closed >= 10, "the sets say that something is closed: {closed}");
    // Who sees all is given all.
    let auditor = office.exporter("ada", Role::Auditor, &Scope::All);
    let place = office.make(&auditor, &[("format", "jsonl")]).await;
    let bytes = office.download(&auditor, &place).await;
    let files = unzipped(&bytes);
    let (_, lines) = files.iter().find(|(name, _)| name.ends_with("/data/records.jsonl")).unwrap();
    assert!(lines.windows(other.as_str().len()).any(|at| at == other.as_str().as_bytes()), "the judge is blind");
}

/// A set is what its maker says, for a checker that has nothing else; one in `native` makes an archive.
fn check(format: &str, bytes: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in unzipped(bytes) {
        let path = folder.path().join(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, content).unwrap();
    }
    let bag = fs_err::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
    let key = folder.path().join("own.vkey");
    fs_err::write(&key, crate::support::key().verifier().to_text()).unwrap();
    let output = std::process::Command::new(crate::cli::harness::python())
        .args(["-B", "-I"])
        .arg(bag.join("verify.py"))
        .arg("--key")
        .arg(&key)
        .arg(&bag)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{format}: {text}");
    if format == "native" {
        let key = crate::support::key().verifier().clone();
        teamchat_archive::export::NativeSet::open(&bag, Some(&key)).unwrap();
    }
}
