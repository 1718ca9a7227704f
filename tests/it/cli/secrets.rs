//! No password, token or ticket in anything that a command prints, however talkative, nor in any
//! byte of the archive's directory.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use reqwest::RequestBuilder;
use reqwest::header::HeaderMap;
use teamchat_archive::model::RecordSeq;
use teamchat_archive::sandbox::story;
use teamchat_archive::store::{Layout, Reader};

use super::harness::{DONE, Outcome, Place, Server, files_below, string};
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

/// The first secret that stands in `bytes`, and where. One pass, by the first eight bytes of each secret.
fn found<'s>(secrets: &'s [(String, String)], bytes: &[u8]) -> Option<(&'s str, usize)> {
    let begins: HashSet<&[u8]> = secrets.iter().map(|(_, secret)| &secret.as_bytes()[..8]).collect();
    let mut places = bytes.windows(8).enumerate().filter(|(_, window)| begins.contains(window));
    places.find_map(|(place, _)| {
        let (kind, _) = secrets.iter().find(|(_, secret)| bytes[place..].starts_with(secret.as_bytes()))?;
        Some((kind.as_str(), place))
    })
}

/// No secret stands in `bytes`.
fn find(secrets: &[(String, String)], what: &str, bytes: &[u8]) {
    if let Some((kind, place)) = found(secrets, bytes) {
        panic!("a {kind} stands in {what} at byte {place}");
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

/// What a page or a reply holds between two texts.
fn between<'t>(text: &'t str, before: &str, after: &str) -> &'t str {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("no {before:?} in {text}"));
    rest.split_once(after).unwrap_or_else(|| panic!("no {after:?} in {rest}")).0
}

/// A browser and a program before a server, who keep what they were told in confidence.
struct Visitors {
    client: reqwest::Client,
    runtime: tokio::runtime::Runtime,
    base: String,
    secrets: Vec<(String, String)>,
}

impl Visitors {
    fn keep(&mut self, kind: &str, secret: &str) -> String {
        assert!(secret.len() > 8, "{kind}: {secret}");
        self.secrets.push((kind.to_owned(), secret.to_owned()));
        secret.to_owned()
    }

    fn ask(
        &self,
        method: &str,
        path: &str,
        with: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> (u16, HeaderMap, String) {
        let request = self.client.request(method.parse().unwrap(), format!("{}{path}", self.base));
        self.runtime.block_on(async {
            let answer = with(request).send().await.unwrap();
            let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
            (status, headers, String::from_utf8_lossy(&answer.bytes().await.unwrap()).into_owned())
        })
    }

    /// Signs in; the cookie of the session.
    fn sign_in(&mut self, name: &str, password: &str) -> String {
        let (status, headers, page) =
            self.ask("POST", "login", |request| request.form(&[("username", name), ("password", password)]));
        assert_eq!(status, 303, "{page}");
        self.cookie(&headers)
    }

    fn cookie(&mut self, headers: &HeaderMap) -> String {
        let set = headers["set-cookie"].to_str().unwrap();
        format!("__Host-sid={}", self.keep("cookie", between(set, "__Host-sid=", ";")))
    }
}

/// A word that is asked for in each way beside the secrets: where it does not stand, nobody looked.
const MARKER: &str = "zirconium-7714";

#[test]
fn no_secret_of_who_asks_is_printed_logged_or_kept_by_a_server() {
    let server = Server::start(story::seed());
    let place = Place::new();
    place.enrol(&server.ready);
    place.crawl();
    let password = "tr0ub4dor-and-5-horses";
    let file = place.file("web", password);
    for (name, role) in [("ada", "auditor"), ("root", "admin")] {
        place.run(&["user", "add", name, "--role", role, "--password-file", &file]).expect(DONE);
    }
    let token = place.run(&["token", "create", "reader", "--role", "auditor", "--json"]).expect(DONE).json();
    let mut serving = place.start(&["serve", "--listen", "127.0.0.1:0", "--json", "-vvv"]);
    let ready: serde_json::Value = serde_json::from_str(&serving.line()).unwrap();
    drop(rustls::crypto::ring::default_provider().install_default());
    let mut who = Visitors {
        client: reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap(),
        runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
        base: string(&ready, "/url"),
        secrets: Vec::new(),
    };
    who.keep("password", password);
    let token = who.keep("token", token["token"].as_str().unwrap());
    // One that opens nothing is a secret, too: it may be right elsewhere.
    let wrong = who.keep("token that is none", "arc_bm8gdG9rZW4gb2Ygb3VycyBidXQgc29tZWJvZHkncw");

    // A program asks: with the token in each place that may have it, of what is there, what is not, and what is refused.
    for (method, error) in [
        ("search.all", ""),
        ("channels.info", "channel_not_found"),
        ("chat.postMessage", "read_only_archive"),
        ("no.such.method", "unknown_method"),
    ] {
        for secret in [&token, &wrong] {
            let path = format!("teamchatapi/{method}");
            let known = [("query", MARKER), ("channel", if method == "search.all" { "" } else { MARKER })];
            let pairs = [known.as_slice(), &[("token", secret.as_str())]].concat();
            let json = serde_json::to_string(&pairs.iter().copied().collect::<BTreeMap<_, _>>()).unwrap();
            let multipart = pairs.iter().fold(reqwest::multipart::Form::new(), |form, (name, value)| {
                form.text((*name).to_owned(), (*value).to_owned())
            });
            let answers = [
                who.ask("GET", &path, |request| request.query(&pairs)),
                who.ask("POST", &path, |request| request.query(&pairs)),
                who.ask("POST", &path, |request| request.form(&pairs)),
                who.ask("POST", &path, |request| request.header("content-type", "application/json").body(json)),
                who.ask("POST", &path, |request| request.multipart(multipart)),
                who.ask("GET", &path, |request| request.query(&known).bearer_auth(secret)),
                who.ask("POST", &path, |request| request.form(&known).bearer_auth(secret)),
            ];
            let due = if secret == &wrong { "invalid_auth" } else { error };
            for (status, _, reply) in answers {
                let reply: serde_json::Value = serde_json::from_str(&reply).unwrap();
                assert_eq!((status, reply["error"].as_str().unwrap_or_default()), (200, due), "{method}: {reply}");
            }
        }
    }
    who.ask("PUT", "teamchatapi/channels.list", |request| request.query(&[("token", &token)]));
    who.ask("HEAD", "teamchatapi/channels.list", |request| request.query(&[("token", &token)]));
    // It takes a file by its ticket, and tries one that is none.
    let (_, _, list) = who.ask("GET", "teamchatapi/files.list", |request| request.bearer_auth(&token));
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    let url = url::Url::parse(list["files"][0]["url_private"].as_str().unwrap()).unwrap();
    let ticket = url.query_pairs().find(|(name, _)| name == "ticket").unwrap().1.into_owned();
    who.keep("ticket", &ticket);
    who.keep("ticket", between(url.as_str(), "ticket=", "&"));
    let path = format!("{}?{}", url.path().trim_start_matches('/'), url.query().unwrap());
    let (status, headers, _) = who.ask("GET", &path, |request| request);
    assert_eq!((status, headers["content-type"].to_str().unwrap()), (200, "application/octet-stream"));
    let (_, _, none) = who.ask("GET", &path.replace("ticket=", "ticket=x"), |request| request);
    assert!(none.contains("invalid_ticket"), "{none}");

    // People sign in, with a wrong password first, look, give themselves another password, and go.
    let mistyped = who.keep("password that is none", "tr0ub4dor-and-6-horses");
    let (status, ..) =
        who.ask("POST", "login", |request| request.form(&[("username", "ada"), ("password", &mistyped)]));
    assert_eq!(status, 401);
    // As the name, in the field above it.
    who.ask("POST", "login", |request| request.form(&[("username", &mistyped), ("password", &mistyped)]));
    let cookie = who.sign_in("ada", password);
    let next = who.keep("password", "9-correct-horses-in-a-row");
    let fields = [("current", password), ("password", &next), ("again", &next)];
    let (status, headers, page) =
        who.ask("POST", "sessions/password", |request| request.header("cookie", &cookie).form(&fields));
    assert_eq!(status, 303, "{page}");
    let cookie = who.cookie(&headers);
    let (status, ..) = who.ask("GET", &format!("search?q={MARKER}"), |request| request.header("cookie", &cookie));
    assert_eq!(status, 200);
    who.ask("POST", "logout", |request| request.header("cookie", &cookie));
    // An admin gives another account a password, and makes a token.
    let admin = who.sign_in("root", password);
    let given = who.keep("password", "a-password-for-somebody-else");
    let fields = [("name", "bo"), ("role", "auditor"), ("password", &given), ("again", &given)];
    let (status, _, page) =
        who.ask("POST", "admin/users/add", |request| request.header("cookie", &admin).form(&fields));
    assert_eq!(status, 303, "{page}");
    let fields = [("name", "second"), ("role", "auditor"), ("days", "9")];
    let (_, _, page) = who.ask("POST", "admin/tokens/create", |request| request.header("cookie", &admin).form(&fields));
    let second = format!("arc_{}", between(&page, "value=\"arc_", "\""));
    who.keep("token", &second);
    let (_, _, reply) = who.ask("GET", "teamchatapi/channels.list", |request| request.query(&[("token", &second)]));
    assert!(reply.contains("\"ok\":true"), "{reply}");

    let database = place.archive().join("access.db-wal");
    let log = [fs_err::read(place.archive().join("access.db")).unwrap(), fs_err::read(database).unwrap()].concat();
    let marked = log.windows(MARKER.len()).filter(|window| *window == MARKER.as_bytes()).count();
    assert!(marked > 7 * 4, "what was asked for stands in the log, and was found {marked} times");
    let look = |when: &str| {
        for path in files_below(&place.archive()) {
            find(&who.secrets, &format!("{} {when}", path.display()), &fs_err::read(&path).unwrap());
        }
    };
    look("while it runs");
    serving.terminate();
    let out = serving.finish().expect(DONE);
    look("afterwards");
    assert!(!out.stderr.is_empty(), "a talkative server says nothing");
    find(&who.secrets, "stdout of `serve`", &out.stdout);
    find(&who.secrets, "stderr of `serve`", out.stderr.as_bytes());
    let shown = [("name".to_owned(), MARKER.to_owned())];
    assert!(found(&shown, &log).is_some(), "the judge is blind");
}
