//! The whole road on the built-in company: each command of this version, its exit codes and each
//! key that the contract promises in its JSON, held against what the sandbox knows to be true.

use std::collections::BTreeSet;

use base64::Engine as _;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use teamchat_archive::ledger::{Checkpoint, Note, Opening, VerifierKey, verify_inclusion};
use teamchat_archive::model::Digest;
use teamchat_archive::sandbox::{self, story};

use super::flows::{hex, stored_digests};
use super::harness::{DONE, FAILURE, INTEGRITY, Place, REFUSED, Server, USAGE, list, number, string};
use crate::talk::http_client;

/// GET of a method with the sandbox's token.
fn ask(server: &Server, method: &str, arguments: &[(&str, &str)]) -> String {
    let request = http_client()
        .get(format!("{}{method}", server.ready.url))
        .query(&[("token", server.ready.token.as_str())])
        .query(arguments);
    server.runtime.block_on(async { request.send().await.unwrap().text().await.unwrap() })
}

fn ask_json(server: &Server, method: &str, arguments: &[(&str, &str)]) -> Value {
    serde_json::from_str(&ask(server, method, arguments)).unwrap()
}

/// The ids of the channels and conversations that the sandbox's account sees.
fn rooms(server: &Server) -> (Vec<String>, Vec<String>) {
    let ids = |reply: &Value, pointer: &str| list(reply, pointer).iter().map(|item| string(item, "/id")).collect();
    (ids(&ask_json(server, "channels.list", &[]), "/channels"), ids(&ask_json(server, "im.list", &[]), "/ims"))
}

/// What the account sees of the truth: messages that live, and file ids.
struct Truth {
    living: BTreeSet<(String, String)>,
    files: BTreeSet<String>,
    channels: u64,
    comments: u64,
    users: u64,
}

fn truth(server: &Server) -> Truth {
    let (channels, ims) = rooms(server);
    let seen: BTreeSet<&String> = channels.iter().chain(&ims).collect();
    let living: BTreeSet<(String, String)> = server
        .running
        .workspace()
        .truth()
        .into_iter()
        .filter(|item| item.state == "current" && seen.contains(&item.channel))
        .map(|item| (item.channel, item.ts))
        .collect();
    let mut files = BTreeSet::new();
    let mut comments = 0;
    for room in &seen {
        let reply = ask_json(server, "files.list", &[("channel", room), ("count", "1000")]);
        for file in list(&reply, "/files") {
            if files.insert(string(&file, "/id")) {
                let detail = ask_json(server, "files.info", &[("file", &string(&file, "/id")), ("count", "1000")]);
                comments += list(&detail, "/comments").len() as u64;
            }
        }
    }
    let users = list(&ask_json(server, "users.list", &[]), "/members").len() as u64;
    Truth { living, files, channels: channels.len() as u64, comments, users }
}

/// `value` has each of these JSON pointers.
#[track_caller]
fn has(value: &Value, pointers: &[&str]) {
    for pointer in pointers {
        assert!(value.pointer(pointer).is_some(), "there is no {pointer} in {value}");
    }
}

fn crawled() -> (Server, Place) {
    let server = Server::start(story::seed());
    let place = Place::new();
    place.enrol(&server.ready);
    place.crawl();
    (server, place)
}

#[test]
fn init_prints_what_it_made_and_keeps_the_key_outside() {
    let server = Server::start(story::seed());
    let place = Place::new();
    let made = place.run(&["init", "--json", "--server", &server.ready.url]).expect(DONE).json();
    has(&made, &["/archive", "/archive_id", "/server", "/key_id"]);
    assert_eq!(made["server"], json!(server.ready.url));
    assert_eq!(made["archive"], json!(place.archive()));
    assert!(place.archive().join("archive.db").exists() && place.archive().join("archive.toml").exists());
    assert!(place.keys().join("ledger.key").exists() && place.keys().join("ledger.vkey").exists());
    let key = fs_err::read_to_string(place.keys().join("ledger.key")).unwrap();
    for path in super::harness::files_below(&place.archive()) {
        let bytes = fs_err::read(&path).unwrap();
        let key = key.trim().as_bytes();
        assert!(!bytes.windows(key.len()).any(|window| window == key), "the signing key lies in {}", path.display());
    }
    // The archive that a flag names wins over the variable.
    let mut other = Place::new();
    other.extra.push(("TEAMCHAT_ARCHIVE".to_owned(), other.path("unused").to_str().unwrap().to_owned()));
    other.run(&["--archive", other.archive().to_str().unwrap(), "init", "--server", &server.ready.url]).expect(DONE);
    assert!(other.archive().join("archive.db").exists() && !other.path("unused").exists());
}

#[test]
fn each_way_to_sign_in_enrols_the_account() {
    let server = Server::start(story::seed());
    let place = Place::new();
    place.run(&["init", "--server", &server.ready.url]).expect(DONE);
    let password = place.file("password", &server.ready.password);
    let token = place.file("token", &format!("{}\n", server.ready.token));
    let name = server.ready.username.as_str();
    let digest = place.run(&["login", "--json", "--username", name, "--password-file", &password]).expect(DONE).json();
    has(&digest, &["/account", "/user_id", "/server"]);
    assert_eq!(digest["account"], json!(name));
    let plain = ["login", "--json", "--username", name, "--password-file", &password, "--plain"];
    assert_eq!(place.run(&plain).expect(DONE).json(), digest);
    let fed = ["login", "--json", "--username", name, "--password-file", "-"];
    assert_eq!(place.run_fed(&fed, &format!("{}\n", server.ready.password)).expect(DONE).json(), digest);
    let by_token = place.run(&["login", "--json", "--token-file", &token, "--live"]).expect(DONE).json();
    assert_eq!(by_token["user_id"], digest["user_id"]);

    let accounts = place.run(&["account", "list", "--json"]).expect(DONE).json();
    let accounts = accounts.as_array().unwrap();
    assert_eq!(accounts.len(), 1, "one person is one account: {accounts:?}");
    has(&accounts[0], &["/account", "/user_id", "/state", "/last_success", "/live", "/reason"]);
    assert_eq!(accounts[0]["state"], "ok");
    assert_eq!(accounts[0]["live"], true);
    assert_eq!(accounts[0]["last_success"], Value::Null);
    place.crawl();
    let accounts = place.run(&["account", "list", "--json"]).expect(DONE).json();
    assert!(accounts[0]["last_success"].is_string(), "{accounts}");

    let disabled = place.run(&["account", "disable", name, "--json", "--reason", "left"]).expect(DONE).json();
    assert_eq!((&disabled[0]["state"], &disabled[0]["reason"]), (&json!("disabled"), &json!("left")));
    place.run(&["crawl"]).expect_error(FAILURE, &["no account"]).with_hint("login");

    let csv = format!("username,password_file,token_file,live,reason\n{name},{password},,true,\"a, b\"\n");
    let listed = place.run(&["account", "import", &place.file("accounts.csv", &csv), "--json"]).expect(DONE).json();
    assert_eq!((&listed[0]["state"], &listed[0]["reason"]), (&json!("ok"), &json!("a, b")));
}

#[test]
fn a_first_crawl_and_status_are_the_sandboxs_truth() {
    let server = Server::start(story::seed());
    let place = Place::new();
    place.enrol(&server.ready);
    let truth = truth(&server);

    let plan = place.run(&["crawl", "--plan", "--json"]).expect(DONE).json();
    assert!(number(&plan, "/requests") > 0, "{plan}");
    assert_eq!(number(&place.status(), "/records"), 0, "a plan added records");
    assert_eq!(place.status()["coverage"]["complete"], false, "nothing was walked yet");

    let first = place.crawl();
    has(
        &first,
        &[
            "/run",
            "/result",
            "/channels/seen",
            "/channels/walked",
            "/channels/failed",
            "/records/added",
            "/records/first",
            "/records/last",
            "/messages/new",
            "/messages/edited",
            "/messages/deleted",
            "/messages/restored",
            "/files/new",
            "/files/versions",
            "/files/bytes",
            "/files/failed",
            "/comments/new",
            "/comments/edited",
            "/comments/deleted",
            "/reactions/changed",
            "/pins/changed",
            "/requests",
            "/retries",
            "/bytes_received",
            "/findings",
            "/duration_ms",
        ],
    );
    assert_eq!(first["result"], "complete");
    assert_eq!(number(&first, "/messages/new"), truth.living.len() as u64);

    let status = place.status();
    has(
        &status,
        &[
            "/server",
            "/accounts/0/account",
            "/accounts/0/state",
            "/accounts/0/last_success",
            "/records",
            "/messages/current",
            "/messages/versions",
            "/messages/edited",
            "/messages/deleted",
            "/files/count",
            "/files/versions",
            "/files/bytes",
            "/comments",
            "/channels",
            "/users",
            "/coverage/complete",
            "/coverage/gaps",
            "/coverage/debts",
            "/coverage/limits",
            "/coverage/excluded",
            "/worst_staleness_seconds",
            "/checkpoint/size",
            "/checkpoint/root",
            "/checkpoint/time",
            "/checkpoint/key_id",
            "/index/record",
            "/index/lag",
            "/storage/database_bytes",
            "/storage/blob_bytes",
            "/storage/index_bytes",
            "/storage/raw_bytes",
        ],
    );
    assert_eq!(number(&status, "/messages/current"), truth.living.len() as u64);
    assert_eq!(number(&status, "/messages/versions"), truth.living.len() as u64);
    assert_eq!(number(&status, "/messages/deleted"), 0);
    assert_eq!(number(&status, "/files/count"), truth.files.len() as u64);
    assert_eq!(number(&status, "/channels"), truth.channels);
    assert_eq!(number(&status, "/comments"), truth.comments);
    assert_eq!(number(&status, "/users"), truth.users);
    // The first record is what the archive says of itself.
    assert_eq!(number(&status, "/records"), number(&first, "/records/added") + 1);
    assert_eq!(number(&status, "/checkpoint/size"), number(&status, "/records"));
    assert_eq!(number(&status, "/index/record"), number(&status, "/records"));
    assert_eq!(number(&status, "/index/lag"), 0);
    let wanted: BTreeSet<String> = server
        .running
        .workspace()
        .file_truth()
        .unwrap()
        .into_iter()
        .filter(|file| truth.files.contains(&file.file))
        .filter_map(|file| file.versions.last().cloned())
        .collect();
    assert_eq!(stored_digests(&place.archive()), wanted);

    let second = place.crawl();
    assert_eq!(number(&second, "/records/added"), 0);
    assert_eq!(number(&place.status(), "/records"), number(&status, "/records"));
    let report = place.verified();
    assert_eq!(number(&report, "/checked/records"), number(&status, "/records"));
    let check = place.run(&["status", "--check"]).expect(DONE).text();
    assert_eq!(check.lines().count(), 1, "{check}");
}

#[test]
fn edits_and_deletions_are_new_versions_and_verify_still_finds_nothing() {
    let (server, place) = crawled();
    let before = truth(&server);
    server.running.play_later().unwrap();
    let after = truth(&server);
    let summary = place.run(&["crawl", "--full", "--json"]).expect(DONE).json();
    let gone = before.living.difference(&after.living).count() as u64;
    let new = after.living.difference(&before.living).count() as u64;
    assert!(gone > 0 && new > 0, "the story has lost its later part");
    assert_eq!(number(&summary, "/messages/deleted"), gone, "{summary}");
    let status = place.status();
    assert_eq!(number(&status, "/messages/current"), after.living.len() as u64);
    assert_eq!(number(&status, "/messages/deleted"), gone);
    assert!(number(&status, "/messages/edited") > 0);
    place.verified();

    let deleted = place.run(&["search", "is:deleted", "--json", "--limit", "100"]).expect(DONE).json();
    let matches = list(&deleted, "/messages/matches");
    assert_eq!(matches.len() as u64, number(&deleted, "/messages/total"));
    for (channel, ts) in before.living.difference(&after.living) {
        let reference = format!("{channel}/{ts}");
        let shown = place.run(&["show", &reference, "--json"]).expect(DONE).json();
        assert_eq!(shown["state"], "deleted", "{shown}");
        assert_eq!(shown["ts"], json!(ts));
        assert!(list(&shown, "/versions").len() >= 2, "{shown}");
        assert!(matches.iter().any(|found| found["ts"] == json!(ts)), "is:deleted does not find {reference}");
    }
    // The command searches all states; each alone is a part, and the parts add up.
    let total = |states: &str| {
        let reply = place.run(&["search", "the", "--json", "--kind", "messages", "--states", states]);
        number(&reply.json(), "/messages/total")
    };
    let all = place.run(&["search", "the", "--json", "--kind", "messages"]).expect(DONE).json();
    let parts = [total("current"), total("edited"), total("deleted")];
    assert_eq!(parts.iter().sum::<u64>(), number(&all, "/messages/total"), "{parts:?}");
    assert!(parts[1] > 0, "{parts:?}");
}

#[test]
fn search_prints_the_envelope_of_the_contract() {
    let (_server, place) = crawled();
    let reply = place.run(&["search", "crane", "--json", "--limit", "5"]).expect(DONE).json();
    assert_eq!((&reply["ok"], &reply["query"]), (&json!(true), &json!("crane")));
    for name in ["messages", "files"] {
        for key in ["total", "paging", "pagination", "matches"] {
            has(&reply, &[&format!("/{name}/{key}")]);
        }
        for found in list(&reply, &format!("/{name}/matches")) {
            let keys: BTreeSet<&str> = found["archive"].as_object().unwrap().keys().map(String::as_str).collect();
            let due = [
                "record",
                "kind",
                "version",
                "versions",
                "state",
                "channel",
                "channel_name",
                "observed_at",
                "matched_in",
                "highlight",
            ];
            assert_eq!(keys, BTreeSet::from(due));
            let highlight = string(&found, "/archive/highlight");
            assert!(highlight.contains('\u{e000}') && highlight.contains('\u{e001}'), "no hit is marked: {found}");
            assert!(["message", "comment", "file"].contains(&found["archive"]["kind"].as_str().unwrap()));
        }
    }
    has(&reply, &["/next_cursor"]);

    let none = place.run(&["search", "xyzzyplugh", "--json"]).expect(FAILURE).json();
    assert_eq!(
        (&none["ok"], &none["messages"]["total"], &none["files"]["total"]),
        (&json!(true), &json!(0), &json!(0))
    );
    assert_eq!(none["next_cursor"], Value::Null);
    let quiet = place.run(&["search", "xyzzyplugh"]).expect(FAILURE);
    assert_eq!(quiet.text(), "");
    assert!(!quiet.stderr.contains("error:"), "that nothing matches is no error: {quiet}");

    let explained = place.run(&["search", "crane on:2026-03-01", "--explain", "--tz", "Europe/Prague"]).expect(DONE);
    assert!(explained.text().contains("crane") && explained.text().contains("2026-03-01 00:00"), "{explained}");

    for (query, place_in_query) in
        [("\"open", "character 1"), ("crane (boom", "character 7"), ("after:soon", "character")]
    {
        place.run(&["search", query]).expect_error(USAGE, &[place_in_query]);
        place.run(&["search", query, "--json"]).expect_error(USAGE, &[place_in_query]);
    }
    place.run(&["search", "crane", "--states", "lost"]).expect_error(USAGE, &["current, edited and deleted"]);
    place.run(&["search", "crane", "--tz", "Mars"]).expect_error(USAGE, &["Mars"]);
    place.run(&["search", "crane", "--cursor", "nonsense"]).expect_error(USAGE, &["cursor"]);

    let kinds = |kind: &str| place.run(&["search", "crane", "--json", "--kind", kind]).expect(DONE).json();
    assert_eq!(kinds("messages")["messages"]["total"], reply["messages"]["total"]);
    assert_eq!(kinds("files")["files"]["total"], reply["files"]["total"]);
    let channel = string(&reply, "/messages/matches/0/archive/channel");
    let narrow =
        place.run(&["search", "crane", "--json", "--channel", &channel, "--limit", "1000"]).expect(DONE).json();
    assert!(number(&narrow, "/messages/total") < number(&reply, "/messages/total"));
    assert!(list(&narrow, "/messages/matches").iter().all(|found| found["archive"]["channel"] == json!(channel)));
}

#[test]
fn pages_and_cursors_walk_all_matches_once() {
    const PER_PAGE: usize = 7;
    let (_server, place) = crawled();
    for sort in ["relevance", "newest", "oldest"] {
        let ask = |more: &[&str]| {
            let limit = PER_PAGE.to_string();
            let mut args = vec!["search", "crane", "--json", "--kind", "messages", "--sort", sort, "--limit", &limit];
            args.extend(more);
            place.run(&args).json()
        };
        let records = |reply: &Value| -> Vec<u64> {
            list(reply, "/messages/matches").iter().map(|found| number(found, "/archive/record")).collect()
        };
        let whole = place
            .run(&["search", "crane", "--json", "--kind", "messages", "--sort", sort, "--limit", "1000"])
            .expect(DONE)
            .json();
        let due = records(&whole);
        assert_eq!(due.len() as u64, number(&whole, "/messages/total"));
        assert!(due.len() > 3 * PER_PAGE);
        let distinct: BTreeSet<u64> = due.iter().copied().collect();
        assert_eq!(distinct.len(), due.len(), "a record is there twice");
        if sort != "relevance" {
            let mut times: Vec<String> =
                list(&whole, "/messages/matches").iter().map(|found| string(found, "/ts")).collect();
            if sort == "newest" {
                times.reverse();
            }
            assert!(times.is_sorted(), "--sort {sort} is in another order");
        }

        let mut paged = Vec::new();
        for page in 1..=due.len().div_ceil(PER_PAGE) {
            let reply = ask(&["--page", &page.to_string()]);
            assert_eq!(number(&reply, "/messages/total"), due.len() as u64);
            assert_eq!(number(&reply, "/messages/pagination/page"), page as u64);
            paged.extend(records(&reply));
        }
        assert_eq!(paged, due, "--page, {sort}");

        let mut reply = ask(&[]);
        let mut followed = records(&reply);
        while let Some(cursor) = reply["next_cursor"].as_str() {
            assert!(followed.len() < due.len() + PER_PAGE, "the cursor goes round");
            let cursor = cursor.to_owned();
            reply = ask(&["--cursor", &cursor]);
            followed.extend(records(&reply));
        }
        assert_eq!(followed, due, "--cursor, {sort}");
    }
}

/// Replaces download tickets as the README says they are replaced, in a way of its own.
fn without_tickets(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("ticket=") {
        let end = after.find(['&', '"']).unwrap();
        out.push_str(before);
        out.push_str("ticket=sha256-");
        out.push_str(&hex(&Sha256::digest(&after.as_bytes()[..end]))[..16]);
        rest = &after[end..];
    }
    out + rest
}

#[test]
fn show_finds_a_thing_by_each_of_its_names_and_gives_the_servers_own_bytes() {
    #[derive(serde::Deserialize)]
    struct History<'a> {
        #[serde(borrow)]
        messages: Vec<&'a RawValue>,
    }
    let (server, place) = crawled();
    let (channels, _) = rooms(&server);
    let mut with_file = None;
    let mut compared = 0;
    for channel in &channels {
        let page = ask(&server, "channels.history", &[("channel", channel), ("count", "10")]);
        let page: History<'_> = serde_json::from_str(&page).unwrap();
        for raw in page.messages {
            let message: Value = serde_json::from_str(raw.get()).unwrap();
            let reference = format!("{channel}/{}", string(&message, "/ts"));
            let shown = place.run(&["show", &reference, "--raw"]).expect(DONE).text();
            assert_eq!(shown, without_tickets(raw.get()), "{reference}");
            compared += 1;
            if message["file"]["id"].is_string() {
                with_file = Some((reference, message));
            }
        }
    }
    assert!(compared > 50);
    let (reference, message) = with_file.unwrap();
    let shown = place.run(&["show", &reference, "--json"]).expect(DONE).json();
    has(&shown, &["/ref", "/record", "/kind", "/channel", "/ts", "/state", "/origin"]);
    has(&shown, &["/versions/0/record", "/versions/0/observed_at", "/versions/0/body"]);
    assert_eq!((&shown["ref"], &shown["kind"]), (&json!(reference), &json!("message")));
    assert_eq!(shown["versions"][0]["body"]["text"], message["text"]);
    let record = number(&shown, "/record").to_string();
    for name in [record.clone(), format!("record:{record}")] {
        let by_number = place.run(&["show", &name, "--json"]).expect(DONE).json();
        assert_eq!((&by_number["record"], &by_number["ts"]), (&shown["record"], &shown["ts"]), "{name}");
    }

    let id = string(&message, "/file/id");
    let file = place.run(&["show", &format!("file:{id}"), "--json"]).expect(DONE).json();
    assert_eq!((&file["kind"], &file["versions"][0]["body"]["id"]), (&json!("file"), &json!(id)));
    if !id.bytes().all(|byte| byte.is_ascii_digit()) {
        assert_eq!(place.run(&["show", &id, "--json"]).expect(DONE).json()["record"], file["record"]);
    }

    let files = truth(&server).files;
    let comment = files.iter().find_map(|id| {
        let detail = ask_json(&server, "files.info", &[("file", id)]);
        list(&detail, "/comments").into_iter().next()
    });
    let comment = comment.unwrap();
    let id = string(&comment, "/id");
    let shown = place.run(&["show", &format!("comment:{id}"), "--json"]).expect(DONE).json();
    assert_eq!(shown["kind"], "comment", "{shown}");
    assert_eq!(shown["versions"][0]["body"]["comment"], comment["comment"]);

    let words = place.run(&["show", &reference]).expect(DONE).text();
    assert!(words.contains("version 1") && words.contains("seen by"), "{words}");
    for unknown in ["99999999", "file:none", "comment:none", "record:x", "no-such-thing", "a/1.000001", ""] {
        place.run(&["show", unknown]).expect_error(FAILURE, &["nothing in the archive"]).with_hint("search");
    }
}

#[test]
fn a_proof_leads_from_the_record_to_the_signed_checkpoint() {
    let (_server, place) = crawled();
    let base64 = base64::engine::general_purpose::STANDARD;
    let found = place.run(&["search", "crane", "--json", "--limit", "3"]).expect(DONE).json();
    let vkey = fs_err::read_to_string(place.keys().join("ledger.vkey")).unwrap();
    let vkey = VerifierKey::parse(vkey.trim()).unwrap();
    for hit in list(&found, "/messages/matches") {
        let record = number(&hit, "/archive/record");
        let text = place.run(&["show", &record.to_string(), "--proof"]).expect(DONE).text();
        let (head, note) = text.split_once("\n\n").unwrap();
        let mut lines = head.lines();
        assert_eq!(lines.next(), Some("c2sp.org/tlog-proof@v1"));
        let extra = lines.next().unwrap().strip_prefix("extra ").unwrap();
        assert_eq!(lines.next(), Some(format!("index {record}").as_str()));
        let path: Vec<Digest> = lines.map(|line| Digest(base64.decode(line).unwrap().try_into().unwrap())).collect();
        let note = Note::parse(note.as_bytes()).unwrap();
        note.verify(&vkey).unwrap();
        let checkpoint = Checkpoint::parse(note.text()).unwrap();
        assert_eq!(checkpoint.size, number(&place.status(), "/checkpoint/size"));
        let leaf = Opening::parse(&base64.decode(extra).unwrap()).unwrap().entry().hash();
        verify_inclusion(record, checkpoint.size, &leaf, &path, &checkpoint.root).unwrap();
        assert!(verify_inclusion(record + 1, checkpoint.size, &leaf, &path, &checkpoint.root).is_err());
        let shown = place.run(&["show", &record.to_string(), "--proof", "--json"]).expect(DONE).json();
        assert_eq!(shown["proof"], json!(text));
    }
}

#[test]
fn verify_at_each_depth_and_against_a_checkpoint_kept_elsewhere() {
    let (server, place) = crawled();
    let kept = place.path("kept.note");
    fs_err::copy(place.archive().join("checkpoints/latest.note"), &kept).unwrap();
    server.running.play_later().unwrap();
    place.run(&["crawl", "--full"]).expect(DONE);
    let size = number(&place.status(), "/records");
    let named = place.archive().join(format!("checkpoints/{size:012}.note"));
    assert!(named.exists(), "there is no {}", named.display());
    let vkey = place.keys().join("ledger.vkey");
    let (kept, vkey) = (kept.to_str().unwrap(), vkey.to_str().unwrap());
    for args in [
        &["verify", "--json"][..],
        &["verify", "--json", "--quick"],
        &["verify", "--json", "--full"],
        &["verify", "--json", "--sample", "20"],
        &["verify", "--json", "--checkpoint", kept, "--key", vkey],
    ] {
        let report = place.run(args).expect(DONE).json();
        has(&report, &["/ok", "/checked", "/findings", "/key"]);
        assert_eq!((&report["ok"], &report["findings"]), (&json!(true), &json!([])), "{args:?}");
    }
    // An archive that was put back to an earlier state does not continue a later checkpoint.
    let other = Place::new();
    other.enrol(&server.ready);
    other.crawl();
    let foreign = other.archive().join("checkpoints/latest.note");
    let report = place.run(&["verify", "--json", "--checkpoint", foreign.to_str().unwrap()]).expect(INTEGRITY).json();
    assert_eq!(report["ok"], false);
    assert_eq!(report["findings"][0]["kind"], "checkpoint");
    has(&report["findings"][0], &["/kind", "/path", "/expected", "/found", "/detail"]);
    let wrong_key = other.keys().join("ledger.vkey");
    place.run(&["verify", "--key", wrong_key.to_str().unwrap()]).expect(INTEGRITY);
    place.run(&["verify", "--checkpoint", "/nowhere"]).expect(USAGE);
}

#[test]
fn web_accounts_and_tokens_are_made_listed_and_withdrawn() {
    let (_server, place) = crawled();
    let password = place.file("web-password", "correct horse battery staple\n");
    let add = ["user", "add", "ada", "--role", "auditor", "--password-file", &password, "--json"];
    let user = place.run(&add).expect(DONE).json();
    assert_eq!((&user["name"], &user["role"], &user["disabled"]), (&json!("ada"), &json!("auditor"), &json!(false)));
    place.run(&add).expect_error(FAILURE, &["ada"]);
    place
        .run(&["user", "add", "bo", "--password-file", &password])
        .expect_error(USAGE, &["channel"])
        .with_hint("--channel");
    place.run(&["user", "add", "bo", "--channel", "all", "--password-file", &password]).expect(DONE);
    let role = place.run(&["user", "set-role", "bo", "--role", "verifier", "--channel", "all", "--json"]).expect(DONE);
    assert_eq!(role.json()["role"], "verifier");
    assert_eq!(place.run(&["user", "disable", "bo", "--json"]).expect(DONE).json()["disabled"], true);
    let users = place.run(&["user", "list", "--json"]).expect(DONE).json();
    assert_eq!(users.as_array().unwrap().len(), 2);
    place.run(&["user", "disable", "nobody"]).expect_error(FAILURE, &["nobody"]);
    let short = place.file("short", "abc");
    place.run(&["user", "add", "cy", "--role", "auditor", "--password-file", &short]).expect(USAGE);

    let made = place.run(&["token", "create", "reader", "--role", "auditor", "--json"]).expect(DONE).json();
    has(&made, &["/token", "/name", "/role", "/expires"]);
    let alone = place.run(&["token", "create", "second", "--channel", "all", "--expires", "2d"]).expect(DONE);
    assert_eq!(alone.text().lines().count(), 1, "the secret stands alone on stdout: {alone}");
    place.run(&["token", "create", "third"]).expect_error(USAGE, &["channel"]);
    place.run(&["token", "create", "third", "--channel", "all", "--expires", "9000d"]).expect(USAGE);
    place.run(&["token", "create", "reader", "--channel", "all"]).expect(FAILURE);
    let tokens = place.run(&["token", "list", "--json"]).expect(DONE);
    assert_eq!(tokens.json().as_array().unwrap().len(), 2);
    assert!(!tokens.text().contains(&string(&made, "/token")), "a secret is listed");
    assert_eq!(place.run(&["token", "revoke", "reader", "--json"]).expect(DONE).json()["revoked"], true);
    place.run(&["token", "revoke", "nobody"]).expect_error(FAILURE, &["nobody"]);

    // What they are for: `serve` lets the living in and the revoked not.
    let mut serving = place.start(&["serve", "--listen", "127.0.0.1:0", "--json"]);
    let ready: Value = serde_json::from_str(&serving.line()).unwrap();
    assert_eq!(ready["setup_url"], Value::Null);
    let url = string(&ready, "/url");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let list_with = |token: &str| -> Value {
        runtime.block_on(async {
            let request = http_client().get(format!("{url}teamchatapi/channels.list")).bearer_auth(token);
            request.send().await.unwrap().json().await.unwrap()
        })
    };
    assert_eq!(list_with(alone.text().trim())["ok"], true);
    assert_eq!(list_with(&string(&made, "/token"))["ok"], false);
    // It serves beside a crawl.
    place.crawl();
    serving.terminate();
    serving.finish().expect(DONE);
    place.run(&["serve", "--listen", "0.0.0.0:0"]).expect(USAGE);
}

#[test]
fn the_index_can_be_looked_at_and_made_anew() {
    let (_server, place) = crawled();
    let before = place.run(&["index", "status", "--json"]).expect(DONE).json();
    assert_eq!(number(&before, "/lag"), 0);
    let found =
        |place: &Place| place.run(&["search", "crane", "--json"]).expect(DONE).json()["messages"]["total"].clone();
    let total = found(&place);
    let after = place.run(&["index", "rebuild", "--json"]).expect(DONE).json();
    assert_eq!((&after["lag"], &after["documents"]), (&json!(0), &before["documents"]));
    assert_eq!(found(&place), total);
    place.verified();
}

#[test]
fn settings_are_shown_and_checked() {
    let (server, mut place) = crawled();
    let shown = place.run(&["config", "show"]).expect(DONE).text();
    assert!(shown.contains(&server.ready.url), "{shown}");
    let shown = place.run(&["config", "show", "--json"]).expect(DONE).json();
    assert_eq!(shown["server"]["url"], json!(server.ready.url));
    place.run(&["config", "check"]).expect(DONE);
    place.extra.push(("TEAMCHAT_ARCHIVE_LIMITS__CONNECTIONS".to_owned(), "2".to_owned()));
    let shown = place.run(&["config", "show", "--json"]).expect(DONE).json();
    assert_eq!(shown["limits"]["connections"], 2);
    place.extra.push(("TEAMCHAT_ARCHIVE_LIMITS__CONNECTION".to_owned(), "2".to_owned()));
    place.run(&["config", "check"]).expect_error(USAGE, &["connection"]);
}

#[test]
fn completions_manual_help_and_version_need_no_archive() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = place.run(&["completions", shell]).expect(DONE).text();
        assert!(script.contains("teamchat-archive") && script.contains("crawl"), "{shell}");
    }
    place.run(&["completions", "tcsh"]).expect(USAGE);
    let page = place.run(&["man"]).expect(DONE).text();
    assert!(page.contains(".TH teamchat-archive"), "{page}");
    let pages = place.path("man");
    place.run(&["man", "--output", pages.to_str().unwrap()]).expect(DONE);
    assert!(pages.join("teamchat-archive-crawl.1").exists());
    let help = place.run(&["--help"]).expect(DONE).text();
    for command in [
        "demo",
        "init",
        "login",
        "account",
        "crawl",
        "status",
        "search",
        "show",
        "verify",
        "serve",
        "user",
        "token",
        "sandbox",
        "index",
        "doctor",
        "config",
        "completions",
        "man",
    ] {
        assert!(help.contains(&format!("  {command} ")), "{command} is not in the help");
        let own = place.run(&[command, "--help"]).expect(DONE).text();
        assert!(own.contains("Usage:"), "{command}");
    }
    assert!(place.run(&["--version"]).expect(DONE).text().starts_with("teamchat-archive "));
    place.run::<&str>(&[]).expect(USAGE);
}

#[test]
fn a_budget_and_a_single_channel_leave_the_rest_owed_and_say_so() {
    let server = Server::start(story::seed());
    let place = Place::new();
    place.enrol(&server.ready);
    let (channels, _) = rooms(&server);
    let summary = place.run(&["crawl", "--json", "--channel", &channels[0]]);
    assert_eq!(number(&summary.json(), "/channels/walked"), 1, "{summary}");
    place.run(&["crawl", "--json", "--budget", "0s"]).expect(4);
    place.run(&["status", "--check"]).expect(4);
    let without = place.run(&["crawl", "--json", "--no-files"]).expect(4).json();
    assert_eq!(without["result"], "partial");
    assert!(number(&place.status(), "/coverage/debts") > 0);
    let whole = place.crawl();
    assert_eq!(whole["result"], "complete");
    assert_eq!(number(&place.status(), "/messages/current"), truth(&server).living.len() as u64);
    assert_eq!(number(&place.status(), "/coverage/debts"), 0);
    place.run(&["status", "--check"]).expect(DONE);
    place.verified();
}

#[test]
fn faults_of_the_server_are_weathered() {
    let faults = ["error-500", "reset", "truncated-json", "broken-json"].map(|name| (name.parse().unwrap(), 0.05));
    let server = Server::start(story::seed());
    let place = Place::new();
    place.enrol(&server.ready);
    for (fault, rate) in faults {
        server.running.set_fault(fault, rate);
    }
    let truth_of = place.run(&["crawl", "--json"]).expect(DONE).json();
    assert!(number(&truth_of, "/retries") > 0, "{truth_of}");
    for (fault, _) in faults {
        server.running.set_fault(fault, 0.0);
    }
    let truth = truth(&server);
    assert_eq!(number(&place.status(), "/messages/current"), truth.living.len() as u64);
    assert_eq!(number(&place.status(), "/files/count"), truth.files.len() as u64);
    assert_eq!(number(&place.crawl(), "/records/added"), 0);
    place.verified();
}

#[test]
fn the_sandbox_command_is_a_server_to_archive() {
    let place = Place::new();
    let mut sandbox =
        place.start(&["sandbox", "--json", "--generate", "300", "--seed", "9", "--listen", "127.0.0.1:0"]);
    let ready: Value = serde_json::from_str(&sandbox.line()).unwrap();
    let ready = super::harness::Ready {
        url: string(&ready, "/url"),
        username: string(&ready, "/username"),
        password: string(&ready, "/password"),
        token: string(&ready, "/token"),
    };
    place.enrol(&ready);
    let summary = place.crawl();
    assert!(number(&summary, "/messages/new") > 200, "{summary}");
    let doctor = place.run(&["doctor", "--server", &ready.url, "--json"]);
    assert!([DONE, FAILURE].contains(&doctor.code), "{doctor}");
    drop(doctor.json());
    sandbox.terminate();
    sandbox.finish().expect(DONE);
    place.run(&["sandbox", "--listen", "0.0.0.0:0"]).expect(USAGE);
    place.run(&["sandbox", "--faults", "earthquake"]).expect_error(USAGE, &["earthquake"]);
    place.run(&["sandbox", "--corpus", "/nowhere"]).expect(FAILURE);
}

#[test]
fn a_password_that_is_refused_is_5_and_enrols_nobody() {
    let server = Server::with(story::seed(), sandbox::Options::default());
    let place = Place::new();
    place.run(&["init", "--server", &server.ready.url]).expect(DONE);
    let wrong = place.file("wrong", "not the password\n");
    let name = server.ready.username.as_str();
    for more in [&[][..], &["--plain"]] {
        let mut args = vec!["login", "--username", name, "--password-file", &wrong];
        args.extend(more);
        let out = place.run(&args).expect_error(REFUSED, &["does not accept"]).with_hint("login");
        assert!(!out.stderr.contains("not the password") && !out.text().contains("not the password"), "{out}");
    }
    let token = place.file("token", "xoxp-0000");
    place.run(&["login", "--token-file", &token]).expect_error(REFUSED, &["does not accept"]);
    assert_eq!(place.run(&["account", "list", "--json"]).expect(DONE).json(), json!([]));
    place.run(&["login", "--username", name, "--password-file", "/nowhere"]).expect(FAILURE);
    place.run(&["login", "--username", name]).expect_error(USAGE, &["terminal"]).with_hint("--password-file");
}

#[test]
fn show_tells_how_a_message_read_at_a_time() {
    let server = Server::start(story::seed());
    let place = Place::new();
    place.enrol(&server.ready);
    place.crawl();
    let workspace = server.running.workspace();
    let (channel, ts) = workspace.labelled("shipped-date").unwrap();
    server.running.play_later().unwrap();
    place.run(&["crawl", "--full"]).expect(DONE);
    let reference = format!("{channel}/{ts}");
    let shown = place.run(&["show", &reference, "--json"]).expect(DONE).json();
    let [first, second] = [0, 1].map(|number| shown["versions"][number].clone());
    let edited = string(&second, "/body/edited/ts");
    let (seconds, _) = edited.split_once('.').unwrap();
    let before = format!("{}.000000", seconds.parse::<u64>().unwrap() - 1);

    for (time, version) in [(before.as_str(), &first), (edited.as_str(), &second)] {
        let shown = place.run(&["show", &reference, "--as-of", time, "--json"]).expect(DONE).json();
        has(&shown, &["/as_of/time", "/as_of/zone", "/as_of/author/id", "/as_of/channel/topic"]);
        let found = &shown["as_of"];
        assert_eq!((&found["record"], &found["body"]), (&version["record"], &version["body"]), "{time}");
        assert_eq!((&found["state"], &found["is_later"]), (&json!("current"), &json!(false)), "{time}");
        assert_eq!(found["author"]["kind"], "member", "{found}");
        assert!(number(found, "/channel/members") > 2, "{found}");
        let raw = place.run(&["show", &reference, "--as-of", time, "--raw"]).expect(DONE).json();
        assert_eq!(raw, version["body"], "{time}");
        let words = place.run(&["show", &reference, "--as-of", time]).expect(DONE).text();
        let name = string(found, "/channel/name");
        for word in [string(found, "/author/name"), name, "members".to_owned(), format!("version {}", found["version"])]
        {
            assert!(words.contains(&word), "{word:?} is not in {words}");
        }
    }
    place
        .run(&["show", &reference, "--as-of", "2001-01-01"])
        .expect_error(FAILURE, &["did not exist"])
        .with_hint("show");
    place.run(&["show", &reference, "--as-of", "yesterday"]).expect_error(USAGE, &["is no time"]);
    assert!(place.run(&["show", &reference]).expect(DONE).text().contains("member"));
    place.verified();
}
