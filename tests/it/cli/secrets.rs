//! No password, token or ticket in anything that a command prints, however talkative, nor in any
//! byte of the archive's directory.

use std::collections::{BTreeSet, HashSet};

use teamchat_archive::model::RecordSeq;
use teamchat_archive::sandbox::story;
use teamchat_archive::store::{Layout, Reader};

use super::harness::{DONE, Outcome, Place, Server, files_below};
use crate::talk::http_client;

/// Every ticket that the sandbox hands out to its account: in lists, histories and details.
fn tickets(server: &Server) -> BTreeSet<String> {
    let ask = |method: &str, arguments: &[(&str, &str)]| -> String {
        let request = http_client()
            .get(format!("{}{method}", server.ready.url))
            .query(&[("token", server.ready.token.as_str()), ("count", "1000")])
            .query(arguments);
        server.runtime.block_on(async { request.send().await.unwrap().text().await.unwrap() })
    };
    let mut pages = Vec::new();
    for (channel, _) in server.running.workspace().channels() {
        for method in ["channels.history", "files.list", "pins.list"] {
            pages.push(ask(method, &[("channel", &channel)]));
        }
    }
    for file in server.running.workspace().file_truth().unwrap() {
        pages.push(ask("files.info", &[("file", &file.file)]));
    }
    let mut out = BTreeSet::new();
    for page in &pages {
        for rest in page.split("ticket=").skip(1) {
            out.insert(rest[..rest.find(['&', '"', '\\']).unwrap()].to_owned());
        }
    }
    out
}

/// No secret stands in `bytes`. One pass, by the first eight bytes of each secret.
fn find(secrets: &[(String, String)], what: &str, bytes: &[u8]) {
    let begins: HashSet<&[u8]> = secrets.iter().map(|(_, secret)| &secret.as_bytes()[..8]).collect();
    for (place, window) in bytes.windows(8).enumerate() {
        if begins.contains(window) {
            let found = secrets.iter().find(|(_, secret)| bytes[place..].starts_with(secret.as_bytes()));
            assert!(found.is_none(), "a {} stands in {what} at byte {place}", found.unwrap().0);
        }
    }
}

#[test]
fn no_secret_is_printed_or_archived() {
    let server = Server::start(story::seed());
    let place = Place::new();
    let tickets = tickets(&server);
    assert!(tickets.len() > 20, "the sandbox gave {} tickets", tickets.len());
    let mut outcomes: Vec<Outcome> = Vec::new();
    let password = place.file("password", &server.ready.password);
    let token = place.file("token", &server.ready.token);
    let name = server.ready.username.as_str();
    let web = "tr0ub4dor-and-3-horses";
    let web_file = place.file("web", web);
    let runs: Vec<Vec<&str>> = vec![
        vec!["init", "--server", &server.ready.url],
        vec!["login", "--username", name, "--password-file", &password, "--plain"],
        vec!["login", "--token-file", &token],
        vec!["login", "--username", name, "--password-file", &password, "--keep-password"],
        vec!["account", "list", "--json"],
        vec!["crawl", "--plan"],
        vec!["crawl", "--json"],
        vec!["crawl", "--full"],
        vec!["status", "--json"],
        vec!["search", "has:file", "--json", "--limit", "1000"],
        vec!["search", "*", "--json", "--kind", "files", "--limit", "1000"],
        vec!["verify", "--json"],
        vec!["config", "show"],
        vec!["index", "rebuild"],
        vec!["user", "add", "ada", "--role", "auditor", "--password-file", &web_file],
        vec!["user", "list", "--json"],
        vec!["doctor", "--json"],
    ];
    for args in runs {
        let mut all = args.clone();
        all.push("-vvv");
        outcomes.push(place.run(&all));
    }
    for outcome in &outcomes {
        let may_fail = ["search *", "doctor"].iter().any(|begin| outcome.args.starts_with(begin));
        assert!(may_fail || outcome.code == DONE, "{outcome}");
    }
    let files: BTreeSet<String> =
        server.running.workspace().file_truth().unwrap().into_iter().map(|file| file.file).collect();
    for id in files.iter().take(8) {
        outcomes.push(place.run(&["show", &format!("file:{id}"), "--json", "-vvv"]));
    }
    // The token that the archive itself opened, and faults that make it say more.
    let mut secrets: Vec<(String, String)> = vec![
        ("password".to_owned(), server.ready.password.clone()),
        ("password".to_owned(), web.to_owned()),
        ("token".to_owned(), server.ready.token.clone()),
    ];
    secrets.extend(tickets.iter().map(|ticket| ("ticket".to_owned(), ticket.clone())));
    for path in files_below(&place.keys()) {
        let text = fs_err::read_to_string(&path).unwrap();
        for word in text.split(|c: char| c.is_whitespace() || c == '"') {
            if word.starts_with("xoxp-") || word.starts_with("PRIVATE+KEY+") {
                secrets.push(("key or token".to_owned(), word.to_owned()));
            }
        }
    }
    assert!(secrets.iter().filter(|(kind, _)| kind == "key or token").count() >= 2, "no token and key were found");
    server.running.set_fault("error-500".parse().unwrap(), 0.2);
    server.running.set_fault("broken-json".parse().unwrap(), 0.2);
    outcomes.push(place.run(&["crawl", "--full", "-vvv"]));
    server.running.set_fault("error-500".parse().unwrap(), 0.0);
    server.running.set_fault("broken-json".parse().unwrap(), 0.0);
    server.running.set_fault("token-revoked".parse().unwrap(), 1.0);
    outcomes.push(place.run(&["crawl", "-vvv"]));
    server.running.set_fault("token-revoked".parse().unwrap(), 0.0);
    let made = place.run(&["token", "create", "reader", "--role", "auditor"]).expect(DONE);
    secrets.push(("API token".to_owned(), made.text().trim().to_owned()));
    outcomes.push(place.run(&["token", "list", "--json", "-vvv"]));

    for outcome in &outcomes {
        find(&secrets, &format!("stdout of `{}`", outcome.args), &outcome.stdout);
        find(&secrets, &format!("stderr of `{}`", outcome.args), outcome.stderr.as_bytes());
    }
    for path in files_below(&place.archive()) {
        find(&secrets, &path.display().to_string(), &fs_err::read(&path).unwrap());
    }
    let reader = Reader::open(&Layout::new(place.archive())).unwrap();
    let mut replaced = 0;
    for number in 0..reader.head().unwrap() {
        let record = reader.record(RecordSeq(number)).unwrap();
        find(&secrets, &format!("record {number}"), &record.body);
        find(&secrets, &format!("the header of record {number}"), &record.header.to_line());
        replaced += record.header.tickets;
    }
    assert!(replaced > 20, "{replaced} tickets were replaced");
}
