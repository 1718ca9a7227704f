//! Signing in at an OIDC provider. The provider is one of our own that keeps to the rules, and breaks the one
//! that a test is about; it checks what the archive sends to it as a real one does.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(clippy::pedantic, reason = "a flow is read from top to bottom, and is no interface")]
#![allow(clippy::disallowed_methods, reason = "tests look at files as a stranger does")]

mod headers;
#[path = "../it/serve/headers/judge.rs"]
mod judge;
mod provider;
#[expect(dead_code, reason = "shared with the integration tests, which use the rest")]
#[path = "../it/support.rs"]
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use teamchat_archive::model::{Clock, Role, Scope, Zone};
use teamchat_archive::record::Visit;
use teamchat_archive::store::access::{Access, Arrival, Grant};
use teamchat_archive::web::{Agreement, Front, Provider, Web, router};
use tower::ServiceExt as _;
use url::Url;

use provider::{CLIENT, Fake, SECRET};
use support::TestArchive;

const BASE: &str = "https://archive.example.com";

/// An archive without records, its accounts, and a provider.
struct Room {
    archive: TestArchive,
    access: Access,
    hand: Arc<AtomicI64>,
    fake: Fake,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn location(&self) -> &str {
        self.headers.get(header::LOCATION).map_or("", |value| value.to_str().unwrap())
    }

    /// The value of a cookie that is set.
    fn cookie(&self, name: &str) -> Option<String> {
        let set = self.headers.get_all(header::SET_COOKIE).iter().map(|value| value.to_str().unwrap());
        let mut found = set.filter_map(|set| set.strip_prefix(name)?.strip_prefix('='));
        found.next().map(|value| value.split(';').next().unwrap().to_owned())
    }

    /// What is said at the top of the form.
    fn alert(&self) -> String {
        let (_, rest) = self.text.split_once("role=\"alert\">").unwrap_or_else(|| panic!("no alert: {}", self.text));
        rest.split("</p>").next().unwrap().replace(['\u{2068}', '\u{2069}'], "")
    }
}

async fn send(router: &Router, path: &str, cookie: &str) -> Answer {
    let request = Request::get(path).header(header::HOST, "archive.example.com").header(header::COOKIE, cookie);
    let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    Answer { status: parts.status, headers: parts.headers, text: String::from_utf8(body.to_vec()).unwrap() }
}

/// A browser on its way.
struct Begun {
    /// Where it is sent.
    to: Url,
    /// What it keeps.
    kept: String,
}

async fn begin(router: &Router, next: &str) -> Begun {
    let answer = send(router, &format!("/login/oidc?next={next}"), "").await;
    assert_eq!(answer.status, 303, "{}", answer.text);
    let kept = answer.cookie("__Host-oidc").unwrap();
    Begun { to: answer.location().parse().unwrap(), kept: format!("__Host-oidc={kept}") }
}

impl Room {
    /// With the account `ada`, who sees all.
    async fn open() -> Self {
        let fake = Fake::start().await;
        let archive = TestArchive::new("http://127.0.0.1:9");
        let hand = Arc::new(AtomicI64::new(Clock::System.now().timestamp_millis()));
        let access = Access::open(&archive.layout, Clock::Set(Arc::clone(&hand))).unwrap();
        let room = Self { archive, access, hand, fake };
        room.add("ada");
        room
    }

    fn add(&self, name: &str) {
        let grant = Grant::new(Role::Auditor, Some(Scope::All)).unwrap();
        self.access.add_user(name, &grant, &"correct horse battery".to_owned().into()).unwrap();
    }

    fn agreement(&self) -> Agreement {
        Agreement {
            issuer: self.fake.issuer(),
            client_id: CLIENT.to_owned(),
            secret: SECRET.to_owned().into(),
            claim: "preferred_username".to_owned(),
            acr: Vec::new(),
            amr: Vec::new(),
            public_url: BASE.parse().unwrap(),
        }
    }

    /// The pages, with tries of their own.
    fn router_with(&self, agreement: Option<Agreement>) -> Router {
        let clock = Clock::Set(Arc::clone(&self.hand));
        let front = Front { public_url: BASE.parse().ok(), ..Front::default() };
        let web = Web::new(self.archive.reader(), self.access.clone(), Zone::UTC, clock).unwrap().with_front(front);
        router(Arc::new(web.with_provider(agreement.map(|agreement| Provider::new(agreement).unwrap()))))
    }

    fn router(&self) -> Router {
        self.router_with(Some(self.agreement()))
    }

    /// From the link to the end: what the browser is answered when it comes back.
    async fn sign_in(&self, router: &Router) -> Answer {
        let begun = begin(router, "").await;
        let back = self.fake.visit(&begun.to).await;
        send(router, &back, &begun.kept).await
    }

    fn entries(&self, action: &str) -> Vec<Value> {
        let entries = self.access.log().entries(0, 10_000).unwrap();
        let of = entries.iter().filter(|entry| entry.header.contains(&format!("\"{action}\"")));
        of.map(|entry| serde_json::from_str(&entry.body).unwrap()).collect()
    }

    fn now(&self) -> i64 {
        self.hand.load(Ordering::Relaxed) / 1000
    }

    /// Nobody is signed in, and the log says nothing of it: anybody can put a link on a page.
    fn assert_not_asked(&self, answer: &Answer, what: &str) {
        assert_eq!(answer.status, 400, "{what}: {}", answer.text);
        assert!(answer.alert().contains("was not begun in this browser"), "{what}: {}", answer.alert());
        assert_eq!(answer.cookie("__Host-sid"), None, "{what}");
        assert!(self.entries("sign_in_failed").is_empty() && self.entries("sign_in").is_empty(), "{what}");
    }

    /// Nobody is signed in; the form says why; the log has one entry more, about this account.
    fn assert_refused(&self, answer: &Answer, status: u16, words: &str, before: usize, subject: &Value, what: &str) {
        assert_eq!(answer.status, status, "{what}: {}", answer.text);
        assert!(answer.alert().contains(words), "{what}: {}", answer.alert());
        assert!(answer.alert().contains("127.0.0.1"), "{what}: nothing says which provider: {}", answer.alert());
        assert_eq!(answer.cookie("__Host-sid"), None, "{what}");
        assert!(!answer.text.contains(SECRET), "{what}");
        let refused = self.entries("sign_in_failed");
        assert_eq!(refused.len(), before + 1, "{what}");
        assert_eq!(&refused.last().unwrap()["subject"], subject, "{what}");
        assert_eq!(self.entries("sign_in").len(), 0, "{what}");
    }
}

#[tokio::test]
async fn who_signs_in_there_is_signed_in_here_with_a_new_session() {
    let room = Room::open().await;
    let router = room.router();
    let form = send(&router, "/login?next=%2Fsessions", "").await;
    assert!(form.text.contains("href=\"/login/oidc?next=%2Fsessions\""), "{}", form.text);

    let begun = begin(&router, "%2Fsessions").await;
    let asked: Vec<(String, String)> = begun.to.query_pairs().into_owned().collect();
    let value = |name: &str| asked.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str());
    assert_eq!((value("response_type"), value("code_challenge_method")), (Some("code"), Some("S256")));
    assert_eq!(value("redirect_uri"), Some("https://archive.example.com/login/oidc/back"));
    assert_eq!(value("scope"), Some("openid profile"));
    assert!(value("state").unwrap().len() >= 16 && value("nonce").unwrap().len() >= 16);
    assert!(!begun.to.as_str().contains(SECRET));

    let old = room.access.start_session("ada", &Visit::default(), Arrival::default()).unwrap();
    let old = format!("__Host-sid={}", old.expose_secret());
    let back = room.fake.visit(&begun.to).await;
    let opened = send(&router, &back, &format!("{old}; {}", begun.kept)).await;
    assert_eq!((opened.status.as_u16(), opened.location()), (303, "/sessions"), "{}", opened.text);
    assert_eq!(opened.cookie("__Host-oidc").as_deref(), Some(""), "what the browser kept is used up");
    let new = format!("__Host-sid={}", opened.cookie("__Host-sid").unwrap());
    assert_ne!(new, old);
    assert_eq!(send(&router, "/sessions", &old).await.status, 303, "the old session goes on");
    let page = send(&router, "/sessions", &new).await;
    assert!(page.status == 200 && page.text.contains("ada"), "{}", page.text);
    let entry = room.entries("sign_in").pop().unwrap();
    assert_eq!((&entry["user"], &entry["role"]), (&json!("ada"), &json!("auditor")));
    assert!(room.entries("sign_in_failed").is_empty());
}

#[tokio::test]
async fn an_answer_that_proves_nothing_signs_nobody_in() {
    let room = Room::open().await;
    let now = room.now();
    for (n, (what, claims)) in [
        ("wrong nonce", json!({"nonce": "another"})),
        ("no nonce", json!({"nonce": null})),
        ("expired", json!({"exp": now - 1})),
        ("for another", json!({"aud": "another"})),
        ("for another, too", json!({"aud": [CLIENT, "another"]})),
        ("given to another", json!({"azp": "another"})),
        ("from another", json!({"iss": "https://evil.example"})),
    ]
    .into_iter()
    .enumerate()
    {
        room.fake.set(|plan| plan.claims = claims);
        let answer = room.sign_in(&room.router()).await;
        room.assert_refused(&answer, 401, "does not prove who you are", n, &Value::Null, what);
    }
    room.fake.set(|plan| plan.claims = json!({}));
    for (n, signature) in ["another key", "none", "HS256", "no token", "cut"].into_iter().enumerate() {
        room.fake.set(|plan| plan.signature = signature);
        let answer = room.sign_in(&room.router()).await;
        let (status, words) = match signature {
            "cut" => (502, "cannot be read"),
            _ => (401, "does not prove who you are"),
        };
        room.assert_refused(&answer, status, words, 7 + n, &Value::Null, signature);
    }
    room.fake.set(|plan| plan.signature = "");
    assert_eq!(room.sign_in(&room.router()).await.status, 303, "the same without the fault");
}

#[tokio::test]
async fn only_the_browser_that_asked_is_answered() {
    let room = Room::open().await;
    let router = room.router();
    let (begun, other) = (begin(&router, "").await, begin(&router, "").await);
    let back = room.fake.visit(&begun.to).await;
    let code = back.split('&').find_map(|part| part.split_once("code=")).unwrap().1.to_owned();
    for (what, path, kept) in [
        ("no cookie", back.clone(), String::new()),
        ("another's cookie", back.clone(), other.kept.clone()),
        ("a cookie that is none", back.clone(), "__Host-oidc=AAAA".to_owned()),
        ("another state", format!("/login/oidc/back?code={code}&state=guess"), begun.kept.clone()),
        ("no state", format!("/login/oidc/back?code={code}"), begun.kept.clone()),
    ] {
        let answer = send(&room.router(), &path, &kept).await;
        room.assert_not_asked(&answer, what);
    }
    assert_eq!(room.fake.tokens_given(), 0, "the provider is asked about answers that nobody waits for");
    // An answer that says it comes from another provider.
    let mixed = format!("{back}&iss=https%3A%2F%2Fevil.example");
    let answer = send(&room.router(), &mixed, &begun.kept).await;
    room.assert_refused(&answer, 401, "does not prove", 0, &Value::Null, "another's answer");
    assert_eq!(send(&router, &back, &begun.kept).await.status, 303);
}

#[tokio::test]
async fn a_code_is_used_once() {
    let room = Room::open().await;
    let router = room.router();
    let begun = begin(&router, "").await;
    let back = room.fake.visit(&begun.to).await;
    assert_eq!(send(&router, &back, &begun.kept).await.status, 303);
    let again = send(&router, &back, &begun.kept).await;
    assert_eq!(again.status, 401);
    assert!(again.alert().contains("did not sign you in"), "{}", again.alert());
    assert_eq!(again.cookie("__Host-sid"), None);
    assert_eq!((room.entries("sign_in").len(), room.entries("sign_in_failed").len()), (1, 1));
    // A code that somebody else got, put into one's own answer: the provider asks for its proof.
    let (theirs, own) = (begin(&router, "").await, begin(&router, "").await);
    let theirs = room.fake.visit(&theirs.to).await;
    let code = theirs.split(['?', '&']).find_map(|part| part.strip_prefix("code=")).unwrap().to_owned();
    let state = own.to.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let answer = send(&router, &format!("/login/oidc/back?code={code}&state={state}"), &own.kept).await;
    assert_eq!(answer.status, 401);
    assert_eq!((room.entries("sign_in").len(), room.entries("sign_in_failed").len()), (1, 2));
}

#[tokio::test]
async fn nobody_gets_an_account_by_signing_in_there() {
    let room = Room::open().await;
    room.add("gone");
    room.access.disable_user("gone").unwrap();
    let refuse = "no such account in this archive for you, or it is disabled";
    for (n, (name, subject)) in
        [("eve", Value::Null), ("gone", json!("gone")), ("Ada", Value::Null), ("a\u{202e}da", Value::Null)]
            .into_iter()
            .enumerate()
    {
        room.fake.set(|plan| plan.claims = json!({"preferred_username": name, "sub": format!("s-{name}")}));
        let answer = room.sign_in(&room.router()).await;
        room.assert_refused(&answer, 403, refuse, n, &subject, name);
        assert!(answer.alert().contains(&name.replace('\u{202e}', "[U+202E]")), "{}", answer.alert());
    }
    assert_eq!(room.access.users().unwrap().len(), 2);
    room.fake.set(|plan| plan.claims = json!({"preferred_username": null}));
    let answer = room.sign_in(&room.router()).await;
    room.assert_refused(&answer, 403, "lacks “preferred_username”", 4, &Value::Null, "no name");
}

#[tokio::test]
async fn an_account_stays_with_whom_it_was_first() {
    let room = Room::open().await;
    room.add("bo");
    let as_whom = async |sub: &str, name: &str| {
        room.fake.set(|plan| plan.claims = json!({"sub": sub, "preferred_username": name}));
        let router = room.router();
        let answer = room.sign_in(&router).await;
        match answer.cookie("__Host-sid") {
            Some(_) => Ok(room.entries("sign_in").pop().unwrap()["user"].as_str().unwrap().to_owned()),
            None => Err((answer.status.as_u16(), room.entries("sign_in_failed").pop().unwrap()["subject"].clone())),
        }
    };
    assert_eq!(as_whom("s1", "ada").await, Ok("ada".to_owned()));
    assert_eq!(as_whom("s1", "ada lovelace").await, Ok("ada".to_owned()), "she is called otherwise there");
    assert_eq!(as_whom("s1", "bo").await, Ok("ada".to_owned()), "a name leads to nobody else's account");
    assert_eq!(as_whom("s2", "ada").await, Err((403, json!("ada"))), "somebody else took her name there");
    assert_eq!(as_whom("s3", "bo").await, Ok("bo".to_owned()));
    room.access.disable_user("ada").unwrap();
    assert_eq!(as_whom("s1", "ada").await, Err((403, json!("ada"))));
    // Disabling lets go of her: whoever has the name there when the account is let in again has it.
    room.access.enable_user("ada").unwrap();
    assert_eq!(as_whom("s2", "ada").await, Ok("ada".to_owned()));
    assert_eq!(as_whom("s1", "ada").await, Err((403, json!("ada"))));
}

#[tokio::test]
async fn another_way_of_signing_in_can_be_asked_for() {
    let room = Room::open().await;
    let agreement = Agreement { acr: vec!["gold".to_owned()], amr: vec!["otp".to_owned()], ..room.agreement() };
    for (n, claims) in [
        json!({}),
        json!({"acr": "silver", "amr": ["pwd", "otp"]}),
        json!({"acr": "gold"}),
        json!({"acr": "gold", "amr": ["pwd"]}),
    ]
    .into_iter()
    .enumerate()
    {
        room.fake.set(|plan| plan.claims = claims);
        let answer = room.sign_in(&room.router_with(Some(agreement.clone()))).await;
        room.assert_refused(&answer, 403, "another way of signing in", n, &Value::Null, "weak");
    }
    room.fake.set(|plan| plan.claims = json!({"acr": "gold", "amr": ["pwd", "otp"]}));
    let router = room.router_with(Some(agreement));
    let begun = begin(&router, "").await;
    assert!(begun.to.query_pairs().any(|(name, value)| name == "acr_values" && value == "gold"), "{}", begun.to);
    assert_eq!(room.sign_in(&router).await.status, 303);
}

#[tokio::test]
async fn a_provider_that_is_down_or_refuses_is_told_apart() {
    let room = Room::open().await;
    // It refuses.
    room.fake.set(|plan| plan.error = Some("access_denied"));
    let answer = room.sign_in(&room.router()).await;
    room.assert_refused(&answer, 401, "did not sign you in", 0, &Value::Null, "denied");
    assert!(!answer.text.contains("what it says more"), "words from the address stand in the page");
    // It fails when it is asked for the token.
    room.fake.set(|plan| {
        plan.error = None;
        plan.is_failing = true;
    });
    let answer = room.sign_in(&room.router()).await;
    room.assert_refused(&answer, 502, "cannot be reached", 1, &Value::Null, "failing");
    // It is not there at all: nobody has tried to sign in yet.
    let nowhere = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let router = room.router_with(Some(Agreement { issuer: nowhere, ..room.agreement() }));
    let answer = send(&router, "/login/oidc?next=%2Fc", "").await;
    assert_eq!(answer.status, 502);
    assert!(answer.alert().contains("cannot be reached"), "{}", answer.alert());
    assert!(answer.text.contains("value=\"/c\""), "the place to go to is lost: {}", answer.text);
    assert_eq!(room.entries("sign_in_failed").len(), 2);
    // One that says it is another.
    let issuer = room.fake.issuer().replace("127.0.0.1", "localhost");
    let router = room.router_with(Some(Agreement { issuer, ..room.agreement() }));
    assert_eq!(send(&router, "/login/oidc", "").await.status, 502);
}

#[tokio::test]
async fn a_provider_that_signs_with_a_new_key_is_asked_for_it() {
    let room = Room::open().await;
    let router = room.router();
    assert_eq!(room.sign_in(&router).await.status, 303);
    room.fake.set(|plan| plan.new_key());
    assert_eq!(room.sign_in(&router).await.status, 401, "keys are asked for over and over");
    tokio::time::pause();
    tokio::time::advance(std::time::Duration::from_secs(61)).await;
    tokio::time::resume();
    assert_eq!(room.sign_in(&router).await.status, 303);
}

#[tokio::test]
async fn answers_are_tried_as_often_as_passwords_and_those_that_nobody_waits_for_hold_nobody_up() {
    let room = Room::open().await;
    let router = room.router();
    let mut asked = Vec::new();
    for _ in 0..7 {
        let begun = begin(&router, "").await;
        let state = begun.to.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
        asked.push((format!("/login/oidc/back?error=access_denied&state={state}"), begun.kept));
    }
    tokio::time::pause();
    let begins = tokio::time::Instant::now();
    for _ in 0..20 {
        room.assert_not_asked(&send(&router, "/login/oidc/back?code=x&state=y", "").await, "a link on a page");
    }
    assert_eq!(begins.elapsed().as_secs(), 0);
    let mut waits = Vec::new();
    for (path, kept) in asked {
        let before = tokio::time::Instant::now();
        assert_eq!(send(&router, &path, &kept).await.status, 401);
        waits.push(before.elapsed().as_secs());
    }
    assert_eq!(waits[..5], [0; 5]);
    assert!(waits[5] >= 2 && waits[6] > waits[5], "{waits:?}");
}

#[tokio::test]
async fn without_a_provider_there_is_no_way_to_one() {
    let room = Room::open().await;
    let router = room.router_with(None);
    for path in ["/login/oidc", "/login/oidc/back?code=x&state=y"] {
        assert_eq!(send(&router, path, "").await.status, 404, "{path}");
    }
    assert!(!send(&router, "/login", "").await.text.contains("oidc"));
    assert!(room.entries("sign_in_failed").is_empty());
}
