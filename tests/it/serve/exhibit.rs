//! Exhibits: what comes along, what is marked as left out, who sees them, and that the file proves itself to a
//! checker that has nothing but the file and the key.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use teamchat_archive::export::CHECKER;
use teamchat_archive::history::item;
use teamchat_archive::model::{ChannelId, Digest, Role};
use teamchat_archive::record::Kind;
use teamchat_archive::store::FIRST_SOURCE;

use super::{Desk, only, send, tags, text_of};
use crate::cli::harness::python;
use crate::support::key;

const PETR: &str = "petr.malek@orlava.example";
const HOSTILE: &str = "a <script>alert(1)</script> & <@sara.nasser@orlava.example|S> `x < y` <https://a.example/?a=1|the plan> \u{202e}evil";

/// The messages that the tests make: time stamps in `random`.
struct Said {
    channel: String,
    first: String,
    edited: String,
    gone: String,
    answer: String,
    file: String,
    other: String,
}

/// The archive of the story, and some messages in `random`, one of which answers another.
async fn open() -> (Desk, Said) {
    let mut said = None;
    let desk = Desk::after(|running| {
        let workspace = running.workspace();
        let (channel, _) = workspace.channels().into_iter().find(|(_, name)| name == "random").unwrap();
        let (other, _) = workspace.channels().into_iter().find(|(_, name)| name == "legal").unwrap();
        let first = workspace.post(&channel, PETR, HOSTILE).unwrap();
        let edited = workspace.post(&channel, PETR, "the order is signed tomorrow").unwrap();
        for text in ["one that is left out", "another one"] {
            workspace.post(&channel, PETR, text).unwrap();
        }
        let gone = workspace.post(&channel, PETR, "do not put this in writing").unwrap();
        let (_, file) = workspace.upload(&channel, PETR, "plan.txt", b"the plan".to_vec()).unwrap();
        let answer = workspace.comment_message(&channel, &first, PETR, "an answer").unwrap();
        workspace.upload(&other, PETR, "secret-name.txt", b"x".to_vec()).unwrap();
        said = Some(Said { channel, first, edited, gone, answer, file, other });
        running.play_later().unwrap();
    })
    .await;
    let said = said.unwrap();
    let workspace = desk.running.workspace();
    workspace.edit(&said.channel, &said.edited, Some(PETR), "the order is signed today").unwrap();
    workspace.delete(&said.channel, &said.gone, None).unwrap();
    let account = crate::support::account(&desk.running).await;
    let options = teamchat_archive::crawl::Options { full: true, ..Default::default() };
    desk.archive.crawl(&account, &options).await.unwrap();
    (desk, said)
}

/// The newest record of a message.
fn record(desk: &Desk, channel: &str, ts: &str) -> u64 {
    let channel = ChannelId::parse(channel).unwrap();
    let found = item(&desk.archive.reader(), Kind::Message, FIRST_SOURCE, Some(&channel), ts).unwrap();
    found.unwrap_or_else(|| panic!("no message {ts}")).latest().unwrap().seq.0
}

/// The time stamp of the message that is a comment on another.
fn answer_of(desk: &Desk, said: &Said) -> String {
    let truth = desk.truth().into_iter().find(|item| item.text == "an answer" && item.channel == said.channel);
    truth.map_or_else(|| said.answer.clone(), |item| item.ts)
}

/// Makes an exhibit of these records; its address.
async fn make(desk: &Desk, cookie: &str, records: &[u64]) -> String {
    let records: Vec<String> = records.iter().map(u64::to_string).collect();
    let fields: Vec<(&str, &str)> = records.iter().map(|record| ("record", record.as_str())).collect();
    let answer = desk.form(cookie, "/exhibits", &fields).await;
    assert_eq!(answer.status, 303, "{}", answer.text());
    answer.header("location").to_owned()
}

/// A folder with a file in it that somebody was handed, the checker, and a key.
struct Elsewhere {
    folder: tempfile::TempDir,
}

impl Elsewhere {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs_err::write(folder.path().join("verify.py"), CHECKER).unwrap();
        fs_err::write(folder.path().join("ledger.vkey"), key().verifier().to_text()).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Whether the checker accepts a page, and what it says.
    fn check(&self, page: &str, flags: &[&str]) -> (bool, String) {
        let path = self.path("exhibit.html");
        fs_err::write(&path, page).unwrap();
        let output = Command::new(python())
            .args(["-B", "-I"])
            .arg(self.path("verify.py"))
            .args(flags)
            .arg(&path)
            .current_dir(self.folder.path())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        (output.status.success(), text)
    }
}

#[tokio::test]
async fn what_is_answered_comes_along_and_what_is_left_out_is_counted() {
    let (desk, said) = open().await;
    let cookie = desk.auditor();
    let (first, gone, file) = (
        record(&desk, &said.channel, &said.first),
        record(&desk, &said.channel, &said.gone),
        record(&desk, &said.channel, &said.file),
    );
    let answer = record(&desk, &said.channel, &answer_of(&desk, &said));
    let place = make(&desk, &cookie, &[answer, gone, file]).await;
    let html = desk.html(&cookie, &place).await;
    let text = text_of(&html);
    assert!(text.contains(&format!("comes along: record {answer} answers it")), "{text}");
    assert!(html.contains(&format!("id=\"m{first}\"")), "the message that is answered");
    // Between the first and the one that is gone stand the edited one and two more.
    assert!(text.contains("3 messages not shown."), "{text}");
    assert!(text.contains("do not put this in writing") && text.contains("who removed it: not given by the server"));
    assert!(
        text.contains("plan.txt") && text.contains(&Digest::of(b"the plan").to_string()),
        "its file, with its hash"
    );
    let reader = desk.archive.reader();
    for seq in [first, gone, answer] {
        let record = reader.record(teamchat_archive::model::RecordSeq(seq)).unwrap();
        assert!(text.contains(&Digest::of(&record.body).to_string()), "SHA-256 of record {seq}");
        let leaf = reader.leaf_entry(teamchat_archive::model::RecordSeq(seq)).unwrap().hash();
        assert!(text.contains(&leaf.to_string()), "leaf of record {seq}");
    }
    let (checkpoint, _, _) = reader.newest_checkpoint().unwrap().unwrap();
    assert!(
        text.contains(&checkpoint.root.to_string()) && text.contains("No gap in what was captured is known between")
    );
    // Taking out what it came along with leaves nothing of it.
    let taken = desk.form(&cookie, &format!("{place}/remove"), &[("record", &answer.to_string())]).await;
    assert_eq!(taken.status, 303);
    let html = desk.html(&cookie, &place).await;
    assert!(!html.contains(&format!("id=\"m{first}\"")), "nothing calls for it any more");
}

#[tokio::test]
async fn the_file_checks_elsewhere_and_every_change_of_what_it_shows_is_refused() {
    let (desk, said) = open().await;
    let cookie = desk.auditor();
    let records = [&said.first, &said.edited, &said.gone, &said.file, &answer_of(&desk, &said)]
        .map(|ts| record(&desk, &said.channel, ts));
    let place = make(&desk, &cookie, &records).await;
    let answer = desk.page(&cookie, &format!("{place}/exhibit.html")).await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-disposition").starts_with("attachment; filename=\"exhibit-"));
    let page = answer.text();
    let elsewhere = Elsewhere::new();
    for flags in [&["--key", "ledger.vkey"][..], &[]] {
        let (is_good, said) = elsewhere.check(&page, flags);
        assert!(is_good && said.contains("good  "), "{flags:?}: {said}");
        assert!(said.contains("every text, time, id and hash that it shows of them is what was archived"), "{said}");
        assert!(said.contains("no proof covers names of people, headings, remarks"), "{said}");
    }
    // The key that the archive hands out is the one that it was made with.
    let given = desk.page(&cookie, "/verify/ledger.vkey").await;
    assert!(given.header("content-disposition").contains("filename=\"ledger.vkey\""));
    fs_err::write(elsewhere.path("given.vkey"), given.text()).unwrap();
    let (is_good, told) = elsewhere.check(&page, &["--key", "given.vkey"]);
    assert!(is_good, "{told}");
    let (_, shown) = elsewhere.check(&page, &["--show"]);
    assert!(shown.contains("the order is signed tomorrow") && shown.contains("the order is signed today"), "{shown}");

    let path = elsewhere.path("exhibit.html");
    let sweep = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/verifier/sweep_exhibit.py");
    let output = Command::new(python())
        .args(["-B"])
        .args([&sweep, &elsewhere.path("verify.py"), &elsewhere.path("ledger.vkey"), &path])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let swept: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(swept["tried"].as_u64().unwrap() > 5_000, "{swept}");

    // Nothing is asked for from elsewhere, and nothing runs but the checker.
    assert!(page.contains("default-src 'none'; script-src 'sha256-"));
    for tag in tags(&page) {
        assert!(!tag.attributes.contains_key("src") && !tag.attributes.contains_key("href"), "{tag:?}");
    }
    assert!(!page.contains("<script>alert"), "what people wrote is no markup");

    let reader = desk.archive.reader();
    let edited = record(&desk, &said.channel, &said.edited);
    let body = reader.record(teamchat_archive::model::RecordSeq(edited)).unwrap().body;
    let digest = Digest::of(&body).to_string();
    let proof = format!("data-proof=\"{edited}\"");
    for (what, from, to) in [
        ("a word", "an answer", "no answer"),
        ("what was taken out", "<del>tomorrow</del>", "<del>today</del>"),
        ("what was put in", "<ins>today</ins>", "<ins>never</ins>"),
        ("a hidden character", "data-code=\"8238\"", "data-code=\"8237\""),
        ("what a mention says", ">@Sara Nasser<", ">@Sara Nassar<"),
        ("where a link leads", "the plan (https://a.example/?a=1)", "the plan (https://b.example/?a=1)"),
        ("code", ">x &#60; y<", ">x &#62; y<"),
        ("the author", ">petr.malek@orlava.example<", ">sara.nasser@orlava.example<"),
        ("a hash", digest.as_str(), "0000"),
        ("the number of a proof", proof.as_str(), "data-proof=\"1\""),
        ("a word more", "an answer<", "an answer indeed<"),
        ("an element more", "an answer<", "an answer<b>!</b><"),
        ("the place of a text", "data-from=\"text\"", "data-from=\"user\""),
        ("another record", &format!("data-record=\"{edited}\" data-is=\"text\""), "data-record=\"0\" data-is=\"text\""),
    ] {
        assert!(page.contains(from), "{what}: {from}");
        let changed = page.replacen(from, to, 1);
        let (is_good, said) = elsewhere.check(&changed, &["--key", "ledger.vkey"]);
        assert!(!is_good && said.contains("bad   "), "{what}: {said}");
    }
    let time = page.split_once("data-is=\"clock\" data-from=\"key\">").unwrap().1[..19].to_owned();
    let (is_good, _) = elsewhere.check(&page.replace(&time, "2001-01-01 00:00:00"), &[]);
    assert!(!is_good, "a time");
    let other = teamchat_archive::ledger::SigningKey::new("teamchat-archive/test", [9; 32]).unwrap();
    fs_err::write(elsewhere.path("other.vkey"), other.verifier().to_text()).unwrap();
    let (is_good, said) = elsewhere.check(&page, &["--key", "other.vkey"]);
    assert!(!is_good && said.contains("bad   "), "{said}");
    desk.archive.check_records();
}

/// Crawls what was said since, and signs nothing.
async fn crawl_unsigned(desk: &Desk) {
    let account = crate::support::account(&desk.running).await;
    let options = teamchat_archive::crawl::Options { full: true, checkpoint: false, ..Default::default() };
    desk.archive.crawl(&account, &options).await.unwrap();
}

#[tokio::test]
async fn what_no_checkpoint_covers_is_neither_good_nor_bad_and_the_page_says_so_before() {
    let (desk, said) = open().await;
    let cookie = desk.auditor();
    let later = desk.running.workspace().post(&said.channel, PETR, "said after the checkpoint").unwrap();
    crawl_unsigned(&desk).await;
    let (signed, unsigned) = (record(&desk, &said.channel, &said.first), record(&desk, &said.channel, &later));
    let elsewhere = Elsewhere::new();

    let place = make(&desk, &cookie, &[unsigned]).await;
    let page = text_of(&desk.html(&cookie, &place).await);
    assert!(page.contains("1 record here is newer than the newest checkpoint and has no proof yet."), "{page}");
    assert!(page.contains("A file that is downloaded now proves nothing of them."), "{page}");
    let alone = desk.page(&cookie, &format!("{place}/exhibit.html")).await.text();
    assert!(alone.contains("said after the checkpoint"));
    assert!(tags(&alone).iter().all(|tag| tag.attribute("data-record").is_empty()), "nothing is bound to a proof");
    let (is_good, told) = elsewhere.check(&alone, &["--key", "ledger.vkey"]);
    assert!(
        !is_good && told.contains("there is no proof in it, so nothing in it is proved, and nothing disproved"),
        "{told}"
    );
    assert!(!told.contains("not as it was made"), "{told}");

    let place = make(&desk, &cookie, &[signed, unsigned]).await;
    let both = desk.page(&cookie, &format!("{place}/exhibit.html")).await.text();
    let changed = both.replace("said after the checkpoint", "said by nobody");
    for page in [&both, &changed] {
        let (is_whole, told) = elsewhere.check(page, &["--key", "ledger.vkey"]);
        assert!(is_whole && told.starts_with("part  ") && !told.contains("good  "), "{told}");
        assert!(told.contains("NOT proved: 2 texts or readings in it have no proof"), "{told}");
    }
    let place = make(&desk, &cookie, &[signed]).await;
    let page = desk.html(&cookie, &place).await;
    assert!(!page.contains("id=\"unproved\""), "all of it has a proof");
    desk.archive.check_records();
}

#[tokio::test]
async fn a_file_that_is_handed_over_is_an_entry_with_its_digest_and_its_records() {
    let (desk, said) = open().await;
    let cookie = desk.auditor();
    let seq = record(&desk, &said.channel, &said.first);
    let place = make(&desk, &cookie, &[seq]).await;
    let file = desk.page(&cookie, &format!("{place}/exhibit.html")).await;
    let entries = desk.access.log().entries(0, 100_000).unwrap();
    let last = entries.last().unwrap();
    let (header, body): (Value, Value) =
        (serde_json::from_str(&last.header).unwrap(), serde_json::from_str(&last.body).unwrap());
    assert_eq!((header["action"].as_str(), body["user"].as_str()), (Some("exhibit"), Some("ada")));
    assert_eq!(body["content"], Digest::of(&file.body).to_string());
    assert!(body["shown"].as_str().unwrap().contains(&seq.to_string()), "{body}");
    let page = desk.page(&cookie, &place).await;
    assert_eq!(page.status, 200);
    let last: Value =
        serde_json::from_str(&desk.access.log().entries(0, 100_000).unwrap().last().unwrap().body).unwrap();
    assert_eq!((last["page"].as_str(), last["shown"].as_str().is_some()), (Some("exhibit"), true));
}

#[tokio::test]
async fn an_exhibit_is_its_makers_and_shows_what_they_may_see_now() {
    let (desk, said) = open().await;
    let auditor = desk.auditor();
    let reviewer = desk.cookie("rita", Role::Reviewer, &only(&[&said.channel]));
    let (mine, theirs) = (record(&desk, &said.channel, &said.first), {
        let truth = desk.truth();
        let found = truth.iter().find(|item| item.channel == said.other && item.state == "current").unwrap();
        (record(&desk, &said.other, &found.ts), found.text.clone())
    });
    // What may not be seen is as what is not there: alone, and beside what may.
    let alone = desk.form(&reviewer, "/exhibits", &[("record", &theirs.0.to_string())]).await;
    let none = desk.form(&reviewer, "/exhibits", &[("record", "99999999")]).await;
    assert_eq!((alone.status, &alone.body), (none.status, &none.body));
    assert_eq!(alone.status, 404);
    let place = make(&desk, &reviewer, &[mine, theirs.0]).await;
    let html = desk.html(&reviewer, &place).await;
    assert!(html.contains(&format!("id=\"m{mine}\"")) && !html.contains(&theirs.1));
    let file = desk.page(&reviewer, &format!("{place}/exhibit.html")).await.text();
    assert!(!file.contains(&theirs.1) && !file.contains(&said.other));
    for path in [place.clone(), format!("{place}/exhibit.html")] {
        let answer = desk.page(&auditor, &path).await;
        assert_eq!(answer.status, 404, "an exhibit of somebody else");
    }
    for change in ["remove", "title", "delete"] {
        let answer = desk.form(&auditor, &format!("{place}/{change}"), &[("title", "x")]).await;
        assert_eq!(answer.status, 404, "{change}");
    }
    // What the maker may see is asked each time.
    let wide = make(&desk, &auditor, &[mine, theirs.0]).await;
    assert!(desk.html(&auditor, &wide).await.contains(&format!("id=\"m{}\"", theirs.0)));
    let narrow = teamchat_archive::store::access::Grant::new(Role::Reviewer, Some(only(&[&said.channel]))).unwrap();
    desk.access.set_role("ada", &narrow).unwrap();
    let session = desk.access.start_session("ada", &Default::default(), Default::default()).unwrap();
    let again = format!("__Host-sid={}", secrecy::ExposeSecret::expose_secret(&session));
    let html = desk.html(&again, &wide).await;
    assert!(!html.contains(&theirs.1), "what they no longer see");
    assert!(text_of(&html).contains("1 record that was selected is not shown: you may not see it now."));
}

#[tokio::test]
async fn an_exhibit_is_added_to_renamed_and_deleted_and_refuses_what_is_no_message() {
    let (desk, said) = open().await;
    let cookie = desk.auditor();
    let (one, two) = (record(&desk, &said.channel, &said.first), record(&desk, &said.channel, &said.edited));
    let place = make(&desk, &cookie, &[one]).await;
    let number = place.rsplit('/').next().unwrap().to_owned();
    let fields = [("record", two.to_string()), ("exhibit", number)];
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let answer = desk.form(&cookie, "/exhibits", &fields).await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (303, place.as_str()));
    let answer = desk.form(&cookie, &format!("{place}/title"), &[("title", "Crane \u{7}<b>\u{202e}")]).await;
    assert_eq!(answer.status, 303);
    assert_eq!(desk.form(&cookie, &format!("{place}/title"), &[]).await.status, 400);
    let html = desk.html(&cookie, &place).await;
    assert!(html.contains("Crane &#60;b&#62;[U+202E]"), "{html}");
    assert!(html.contains(&format!("id=\"m{two}\"")));
    assert!(text_of(&desk.html(&cookie, "/exhibits").await).contains("2 records"));
    // One that was made elsewhere goes into it.
    let three = record(&desk, &said.channel, &said.gone);
    let second = make(&desk, &cookie, &[three]).await;
    let moved = desk.form(&cookie, &format!("{second}/join"), &[("exhibit", place.rsplit('/').next().unwrap())]).await;
    assert_eq!((moved.status.as_u16(), moved.header("location")), (303, place.as_str()));
    assert!(desk.html(&cookie, &place).await.contains(&format!("id=\"m{three}\"")));
    assert_eq!(desk.page(&cookie, &second).await.status, 404);
    let nothing = desk.form(&cookie, "/exhibits", &[]).await;
    assert_eq!(nothing.status, 400);
    let no_message = desk.form(&cookie, "/exhibits", &[("record", "0")]).await;
    assert_eq!(no_message.status, 404, "record 0 is what the archive says of itself");
    let many: Vec<String> = (0..1_001).map(|n| n.to_string()).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|n| ("record", n.as_str())).collect();
    assert_eq!(desk.form(&cookie, "/exhibits", &many).await.status, 400);
    assert_eq!(desk.form(&cookie, &format!("{place}/delete"), &[]).await.status, 303);
    assert_eq!(desk.page(&cookie, &place).await.status, 404);
    let foreign = super::form("/exhibits").header("cookie", &cookie).header("sec-fetch-site", "cross-site");
    assert_eq!(send(&desk.router, foreign.body(super::filled(&[("record", "5")])).unwrap()).await.status, 403);
}

#[tokio::test]
async fn a_certificate_says_what_was_asked_where_and_that_nothing_was_found() {
    let (desk, said) = open().await;
    let auditor = desk.auditor();
    let reviewer = desk.cookie("rita", Role::Reviewer, &only(&[&said.channel]));
    let nothing = desk.html(&auditor, "/certificate?q=%22no+such+phrase%22+zqxv").await;
    let text = text_of(&nothing);
    for due in ["nothing was found", "\"no such phrase\" zqxv", "0 matches", "all of the archive", "every version"] {
        assert!(text.contains(due), "{due}: {text}");
    }
    let entries = desk.access.log().entries(0, 100_000).unwrap();
    let last = entries.last().unwrap();
    assert!(text.contains(&last.number.to_string()), "the number of its entry");
    let body: Value = serde_json::from_str(&last.body).unwrap();
    assert_eq!((body["page"].as_str(), body["hits"].as_u64()), (Some("certificate"), Some(0)));
    let root = desk.archive.reader().newest_checkpoint().unwrap().unwrap().0.root.to_string();
    assert!(text.contains(&root));
    // The count is that of the search, and a reviewer's is of what they may see.
    let found = text_of(&desk.html(&auditor, "/certificate?q=secret-name").await);
    assert!(found.contains("Certificate: what was found") && !found.contains("0 matches"), "{found}");
    // Of what was deleted it says what is known of that, and which times the days of a search are.
    let gone = text_of(&desk.html(&auditor, "/certificate?q=is%3Adeleted+after%3A2020").await);
    assert!(gone.contains("gone between") && gone.contains("written from 2021-01-01"), "{gone}");
    let none = desk.html(&reviewer, "/certificate?q=secret-name").await;
    assert!(text_of(&none).contains("0 matches") && text_of(&none).contains("#random"), "{none}");
    assert!(!none.contains(&said.other) && !text_of(&none).contains("#legal"));
    let empty = desk.page(&auditor, "/certificate").await;
    assert_eq!(empty.status, 400);
    let broken = desk.page(&auditor, "/certificate?q=%28a").await;
    assert_eq!(broken.status, 400);
}
