//! Signing in by a proxy's header, and what a proxy is believed: the two faults that Grafana had (a header that anybody
//! could send, #18109; the client's address looked at in place of the proxy's, #10707) are the tests.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderName, header};
use serde_json::Value;
use teamchat_archive::model::{Network, Role, Scope};
use teamchat_archive::web::{Front, Vouching, router};

use super::{Answer, Desk, PASSWORD, cookie_of, filled, form, get, only, send, text_of};

const SECRET: &str = "what the proxy and the archive know";
const PROXY: &str = "10.0.0.1:4711";
const ELSEWHERE: &str = "203.0.113.5:4711";

fn front() -> Front {
    Front {
        public_url: url::Url::parse("https://archive.example.com/").ok(),
        proxies: vec![Network::parse("10.0.0.0/8").unwrap()],
        vouching: Some(Vouching {
            user: HeaderName::from_static("x-webauth-user"),
            secret_header: HeaderName::from_static("x-archive-proxy-secret"),
            secret: SECRET.to_owned().into(),
        }),
        ..Front::default()
    }
}

fn behind(desk: &Desk) -> Router {
    router(Arc::new(desk.another().with_front(front())))
}

async fn ask(router: &Router, peer: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = get(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut request = request.body(Body::empty()).unwrap();
    request.extensions_mut().insert(ConnectInfo(peer.parse::<SocketAddr>().unwrap()));
    send(router, request).await
}

fn bodies(desk: &Desk, action: &str) -> Vec<Value> {
    let entries = desk.access.log().entries(0, 10_000).unwrap();
    let of = entries.iter().filter(|entry| entry.header.contains(&format!("\"{action}\"")));
    of.map(|entry| serde_json::from_str(&entry.body).unwrap()).collect()
}

#[tokio::test]
async fn a_forged_header_signs_nobody_in() {
    let desk = Desk::open().await;
    desk.auditor();
    let user = ("x-webauth-user", "ada");
    let right = ("x-archive-proxy-secret", SECRET);
    let router = behind(&desk);
    for (peer, headers) in [
        (ELSEWHERE, &[user][..]),
        (ELSEWHERE, &[user, right]),
        (ELSEWHERE, &[user, right, ("x-forwarded-for", "10.0.0.1")]),
        (ELSEWHERE, &[user, right, ("x-real-ip", "10.0.0.1"), ("forwarded", "for=10.0.0.1")]),
        ("127.0.0.1:1", &[user, right]),
        (PROXY, &[user]),
        (PROXY, &[user, ("x-archive-proxy-secret", "a guess")]),
        (PROXY, &[user, ("x-webauth-user", "root"), right]),
        (PROXY, &[("x-webauth-user", ""), right]),
    ] {
        let answer = ask(&router, peer, "/", headers).await;
        assert_eq!(answer.status, 303, "{peer} {headers:?}");
        assert!(answer.header(header::LOCATION).starts_with("/login"), "{peer} {headers:?}");
        assert!(!answer.headers.contains_key(header::SET_COOKIE));
    }
    // Where nobody is signed in by a header, the right one is a word like any other.
    let answer = ask(&desk.router, PROXY, "/", &[user, right]).await;
    assert_eq!(answer.status, 303);
    assert_eq!(bodies(&desk, "sign_in").len(), 1, "only the test's own");
}

#[tokio::test]
async fn the_proxys_address_counts_and_not_the_clients() {
    let desk = Desk::open().await;
    desk.auditor();
    let router = behind(&desk);
    let vouched = [("x-webauth-user", "ada"), ("x-archive-proxy-secret", SECRET), ("x-forwarded-for", "203.0.113.5")];
    let opened = ask(&router, PROXY, "/sessions", &vouched).await;
    assert_eq!(opened.status, 200, "a client that is no proxy comes through one that is");
    let cookie = cookie_of(&opened);
    let entry = bodies(&desk, "sign_in").pop().unwrap();
    assert_eq!(
        (&entry["user"], &entry["from"], &entry["forwarded_for"]),
        (&"ada".into(), &PROXY.into(), &"203.0.113.5".into())
    );
    assert!(text_of(&opened.text()).contains("203.0.113.5"), "the page of sessions shows the machine of who asks");
    // The session goes on, and another name is another session.
    let before = bodies(&desk, "sign_in").len();
    let again: Vec<(&str, &str)> = vouched.iter().copied().chain([("cookie", cookie.as_str())]).collect();
    let answer = ask(&router, PROXY, "/c", &again).await;
    assert_eq!(answer.status, 200);
    assert!(!answer.headers.contains_key(header::SET_COOKIE));
    assert_eq!(bodies(&desk, "sign_in").len(), before);
    desk.cookie("rita", Role::Reviewer, &only(&["C1"]));
    let as_rita: Vec<(&str, &str)> =
        again.iter().map(|(name, value)| (*name, if *name == "x-webauth-user" { "rita" } else { value })).collect();
    let answer = ask(&router, PROXY, "/sessions", &as_rita).await;
    assert!(text_of(&answer.text()).contains("rita"));
    assert_eq!(desk.page(&cookie, "/").await.status, 303, "ada's session goes on in rita's browser");
}

#[tokio::test]
async fn a_header_makes_no_account() {
    let desk = Desk::open().await;
    desk.auditor();
    desk.access.disable_user("ada").unwrap();
    let router = behind(&desk);
    for name in ["ada", "eve <b>"] {
        let answer = ask(&router, PROXY, "/", &[("x-webauth-user", name), ("x-archive-proxy-secret", SECRET)]).await;
        assert_eq!(answer.status, 403, "{name}");
        assert!(text_of(&answer.text()).contains(name), "{}", answer.text());
        assert!(!answer.headers.contains_key(header::SET_COOKIE));
    }
    assert_eq!(desk.access.users().unwrap().len(), 1);
    let refused = bodies(&desk, "sign_in_failed");
    assert_eq!((&refused[0]["subject"], &refused[1]["subject"]), (&"ada".into(), &Value::Null));
}

#[tokio::test]
async fn browsers_are_told_to_come_over_tls_and_forms_come_from_the_public_name() {
    let desk = Desk::open().await;
    desk.auditor();
    let router = behind(&desk);
    for path in ["/login", "/nowhere", "/static/x/y", "/teamchatapi/api.test"] {
        let answer = ask(&router, PROXY, path, &[]).await;
        assert!(answer.header("strict-transport-security").starts_with("max-age="), "{path}");
        assert!(!ask(&desk.router, PROXY, path, &[]).await.headers.contains_key("strict-transport-security"), "{path}");
    }
    // The proxy asks under a name of its own.
    for (origin, status) in [("https://archive.example.com", 303), ("https://evil.example", 403), ("null", 403)] {
        let fields = [("username", "ada"), ("password", PASSWORD)];
        let request = form("/login").header("origin", origin).body(filled(&fields)).unwrap();
        assert_eq!(send(&router, request).await.status, status, "{origin}");
    }
    let token = desk.token("reader", Role::Auditor, &Scope::All);
    let files = ask(&router, PROXY, &format!("/teamchatapi/files.list?token={token}"), &[]).await.json();
    let address = files["files"][0]["url_private"].as_str().unwrap();
    assert!(address.starts_with("https://archive.example.com/teamchatapi/"), "{address}");
}

#[tokio::test]
async fn each_client_of_a_proxy_has_tries_of_its_own() {
    let desk = Desk::open().await;
    let router = behind(&desk);
    tokio::time::pause();
    let try_from = async |client: &str, n: usize| {
        let fields = [("username", format!("n{n}")), ("password", "wrong horse battery".to_owned())];
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut request = form("/login").header("x-forwarded-for", client).body(filled(&fields)).unwrap();
        request.extensions_mut().insert(ConnectInfo(PROXY.parse::<SocketAddr>().unwrap()));
        let before = tokio::time::Instant::now();
        assert_eq!(send(&router, request).await.status, 401);
        before.elapsed().as_secs()
    };
    for n in 0..30 {
        // What stands before the proxy's own word was written by the client.
        assert_eq!(try_from(&format!("192.0.2.{n}, 203.0.113.5"), n).await, 0, "{n}");
    }
    assert_eq!(try_from("198.51.100.9, 203.0.113.5", 31).await, 30);
    assert_eq!(try_from("203.0.113.6", 32).await, 0);
}
