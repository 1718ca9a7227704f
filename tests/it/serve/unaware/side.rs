//! One archive with its reviewer, and answers without what is another in any two archives.

use std::io::{Cursor, Read as _};
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use axum::Router;
use axum::http::{HeaderMap, Method, header};
use secrecy::ExposeSecret as _;
use teamchat_archive::api::ServerOptions;
use teamchat_archive::crawl::{self, Options};
use teamchat_archive::index::Indexer;
use teamchat_archive::model::{Clock, Role, Scope, Zone};
use teamchat_archive::record::Visit;
use teamchat_archive::sandbox::Running;
use teamchat_archive::store::access::{Access, Arrival, Grant};
use teamchat_archive::store::{Appender, Writer};
use teamchat_archive::web::{Web, router};

use super::super::{Answer, PASSWORD, filled, form, get, send};
use crate::support::{TestArchive, account_with, key, quick};

/// One archive with a reviewer before it.
pub(super) struct Side {
    pub(super) web: Arc<Web>,
    pub(super) router: Router,
    pub(super) cookie: String,
    pub(super) auditor: String,
    pub(super) token: String,
    pub(super) archive: TestArchive,
}

/// A crawl at the moment that the hand shows.
pub(super) async fn crawl(archive: &TestArchive, running: &Running, hand: &Arc<AtomicI64>) {
    let clock = Clock::Set(Arc::clone(hand));
    let options = ServerOptions { clock: clock.clone(), ..quick() };
    let account = account_with(running, &options).await;
    let lock = archive.layout.lock().unwrap();
    let (appender, thread) = Appender::start(Writer::open(&archive.layout, lock, Some(key()), clock.clone()).unwrap());
    let options = Options { full: true, clock, ..Options::default() };
    crawl::run(&[account], &archive.reader(), &appender, &options, &()).await.unwrap();
    drop(appender);
    drop(thread.join().unwrap());
}

impl Side {
    pub(super) fn open(archive: TestArchive, hand: &Arc<AtomicI64>, scope: &Scope) -> Self {
        Indexer::open(&archive.layout).unwrap().catch_up(&archive.reader(), None, &mut |_| {}).unwrap();
        let clock = Clock::Set(Arc::clone(hand));
        let access = Access::open(&archive.layout, clock.clone()).unwrap();
        let grant = Grant { may_export: true, ..Grant::new(Role::Reviewer, Some(scope.clone())).unwrap() };
        access.add_user("rita", &grant, &PASSWORD.to_owned().into()).unwrap();
        let cookie_secret = access.start_session("rita", &Visit::default(), Arrival::default()).unwrap();
        let ends = clock.now() + chrono::TimeDelta::days(1);
        let token = access.create_token("rita's", Role::Reviewer, scope, ends).unwrap().0.expose_secret().to_owned();
        let grant = Grant::new(Role::Auditor, Some(Scope::All)).unwrap();
        access.add_user("ada", &grant, &PASSWORD.to_owned().into()).unwrap();
        let auditor = access.start_session("ada", &Visit::default(), Arrival::default()).unwrap();
        let web = Arc::new(Web::new(archive.reader(), access, Zone::UTC, clock).unwrap());
        let router = router(Arc::clone(&web));
        let cookie = |secret: &str| format!("__Host-sid={secret}");
        let (cookie, auditor) = (cookie(cookie_secret.expose_secret()), cookie(auditor.expose_secret()));
        Self { web, router, cookie, auditor, token, archive }
    }

    pub(super) async fn ask(&self, asked: &Asked) -> Answer {
        let request = match &asked.fields {
            None => get(&asked.path).method(asked.method.clone()),
            Some(_) => form(&asked.path),
        };
        let request = match asked.by {
            By::Page => request.header(header::COOKIE, &self.cookie),
            By::Token => request.header(header::AUTHORIZATION, format!("Bearer {}", self.token)),
        };
        let fields: Vec<(&str, &str)> =
            asked.fields.iter().flatten().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        send(&self.router, request.body(filled(&fields)).unwrap()).await
    }

    /// An answer as it is compared: without what is another in any two archives.
    pub(super) fn settled(&self, pattern: &str, answer: &Answer) -> (u16, Vec<String>, String) {
        let mut headers: HeaderMap = answer.headers.clone();
        // Each request has a number of its own, drawn by chance; the length is the body's.
        headers.remove("x-request-id");
        headers.remove(header::CONTENT_LENGTH);
        // Hashes of the content.
        if TELLS_OF_THE_TREE.contains(&pattern) {
            headers.remove(header::ETAG);
            headers.remove("repr-digest");
        }
        // A feed has tickets in it.
        if answer.header(header::CONTENT_TYPE).starts_with("application/atom+xml") {
            headers.remove(header::ETAG);
        }
        let mut headers: Vec<String> = headers.iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
        headers.sort();
        let mut body = match pattern {
            "/exports/{n}/set.zip" if answer.status == 200 => unpacked(&answer.body),
            _ => answer.text(),
        };
        for (pattern, instead) in [
            // Drawn by chance: the ticket of a file, the number of a session.
            ("ticket=[A-Za-z0-9_.%=-]+", "ticket=CHANCE"),
            ("name=\"which\" value=\"[0-9a-f]{64}\"", "SESSION"),
            // An answer of a search says up to which record the index goes: how many records there are.
            (r#""index":\{"lag":0,"record":[0-9]+\}"#, "INDEX"),
            (r#""searched_through":[0-9]+"#, "INDEX"),
            (r#"("next_cursor":"[^"]*\.)[0-9a-f]+~""#, "${1}INDEX\""),
            // Each page tells the newest checkpoint at its foot: how many records there are, and when that was signed.
            (r"[0-9,]+ records, signed [0-9-]{10} [0-9:]{8} [+-][0-9]{2}:[0-9]{2}", "CHECKPOINT"),
        ] {
            body = regex::Regex::new(pattern).unwrap().replace_all(&body, instead).into_owned();
        }
        if TELLS_OF_THE_TREE.contains(&pattern) {
            body = self.without_tree(&body);
        }
        if pattern.starts_with("/access") {
            // Of a set, which has a checkpoint in it; and of entries of the log, with a secret of the log's.
            body = regex::Regex::new("[0-9a-f]{64}").unwrap().replace_all(&body, "HASH").into_owned();
        }
        if pattern == "/exports/{n}" {
            // A proof is longer in a larger tree, and so is the set that holds it.
            body = regex::Regex::new("[0-9,]+ bytes").unwrap().replace_all(&body, "BYTES").into_owned();
        }
        (answer.status.as_u16(), headers, body)
    }

    /// A text without how many records there are, the root over them, and what is hashed with them.
    fn without_tree(&self, body: &str) -> String {
        let reader = self.archive.reader();
        let (checkpoint, ..) = reader.newest_checkpoint().unwrap().unwrap();
        // A note within JSON has its ends of lines in two letters.
        let body = body.replace("\\n", "\n");
        let signed = regex::Regex::new("Signed</dt><dd><time[^<]*</time>").unwrap();
        let body = signed.replace(&body, "SIGNED");
        // This number is another one that may be the same.
        let entry = regex::Regex::new("Entry in the access log:?( |</dt><dd>)[0-9,]+").unwrap();
        let body = entry.replace_all(&body, "ENTRY");
        // So is how many there are, which is compared: in letters.
        let entries = regex::Regex::new("Entries</dt><dd>[0-9,]+").unwrap();
        let letter = |c: char| c.to_digit(10).and_then(|digit| char::from_digit(digit + 10, 36)).unwrap_or(c);
        let in_letters = |found: &regex::Captures<'_>| found[0].chars().map(letter).collect::<String>();
        let mut body = entries.replace_all(&body, in_letters).into_owned();
        for size in [checkpoint.size, reader.head().unwrap()] {
            let number = regex::Regex::new(&format!("\\b{size}\\b( bytes)?")).unwrap();
            // So many bytes are no records.
            let instead = |found: &regex::Captures<'_>| match found.get(1) {
                Some(_) => found[0].to_owned(),
                None => "SIZE".to_owned(),
            };
            body = number.replace_all(&body, instead).into_owned();
        }
        // Hashes and signatures, in hexadecimal letters and in base64.
        let hash = regex::Regex::new("[0-9a-f]{64}|[A-Za-z0-9+/]{43,}={0,2}").unwrap();
        let body = hash.replace_all(&body, "HASH").into_owned();
        // A path is as long as the tree is high.
        regex::Regex::new("HASH([\"',\\s]*HASH)+").unwrap().replace_all(&body, "HASHES").into_owned()
    }
}

/// Where the newest checkpoint is told, or what is hashed with it: how many records the archive has, and the root over
/// them. A proof cannot be checked without them, and they are published elsewhere: that there are other records is no
/// secret, only what they are.
pub(super) const TELLS_OF_THE_TREE: [&str; 10] = [
    "/certificate",
    "/verify",
    "/r/{record}",
    "/r/{record}/proof.tlog-proof",
    "/r/{record}/proof.json",
    "/exhibits/{n}",
    "/exhibits/{n}/exhibit.html",
    "/exports/{n}",
    "/exports/{n}/set.zip",
    "/c/{id}/day/{date}",
];

/// The files of a set, one after the other: what they hold of those with the data, and the names of all others, which
/// have the checkpoint and what is hashed with it in them.
pub(super) fn unpacked(bytes: &[u8]) -> String {
    let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut out = String::new();
    for place in 0..zip.len() {
        let mut entry = zip.by_index(place).unwrap();
        let name = entry.name().unwrap().into_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        let is_data = name.contains("/data/") && !name.contains("/proofs/");
        let content = if is_data { String::from_utf8_lossy(&content) } else { "".into() };
        out.extend(["\n== ", &name, "\n", &*content]);
    }
    out
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    Page,
    Token,
}

/// A request, and the route that it is for.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) pattern: String,
    pub(super) by: By,
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) fields: Option<Vec<(String, String)>>,
}
