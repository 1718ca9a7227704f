//! Every route that there is, read from where they are written down: a claim about all of them holds for the next one,
//! too.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::{Method, Request, header};
use teamchat_archive::model::{Role, Scope};
use teamchat_archive::record::Kind;

pub(super) use super::written::{addresses, routes};
use super::{Answer, Desk, encode, send};

/// What is open to whoever comes. Every other route wants to know who asks.
const OPEN: [&str; 11] = [
    "/login",
    "/login/code",
    "/setup",
    "/healthz",
    "/readyz",
    "/static/{hash}/{name}",
    "/favicon.ico",
    "/teamchatapi/{method}",
    "/robots.txt",
    "/openapi.json",
    "/csp-report",
];

#[test]
fn the_routes_are_found_where_they_are_written() {
    let routes = routes();
    let patterns: BTreeSet<&str> = routes.iter().map(|route| route.pattern.as_str()).collect();
    assert_eq!(patterns.len(), routes.len(), "a route is there twice");
    assert_eq!(routes.len(), include_str!("../../../src/web/mod.rs").matches(".route(").count());
    for pattern in ["/", "/search", "/c/{id}", "/f/{id}/blob", "/login", "/csp-report", "/teamchatapi/{method}"] {
        assert!(patterns.contains(pattern), "{pattern}");
    }
    let find = |pattern: &str| routes.iter().find(|route| route.pattern == pattern).unwrap();
    assert!(find("/login").gets && find("/login").posts && find("/teamchatapi/{method}").posts);
    assert!(find("/c").gets && !find("/c").posts && find("/logout").posts && !find("/logout").gets);
    assert_eq!(
        addresses("/c/{id}/day/{date}", &|section, name| vec![format!("{section}-{name}"), "x".to_owned()]),
        ["/c/c-id/day/c-date", "/c/c-id/day/x", "/c/x/day/c-date", "/c/x/day/x"]
    );
}

#[tokio::test]
async fn who_has_not_signed_in_is_sent_to_the_door_from_every_route_but_a_few() {
    let desk = Desk::open().await;
    let ada = desk.auditor();
    // What is asked for is there, as far as it can be: a route that lets somebody in would show it.
    let legal = desk.channel(&desk.auditor_token(), "legal").await;
    let file = desk.archive.newest(Kind::File).into_keys().next().unwrap();
    let record = desk.archive.newest(Kind::Message).into_values().next().unwrap().latest().unwrap().seq.to_string();
    assert_eq!(desk.form(&ada, "/exhibits", &[("record", &record)]).await.status, 303);
    assert_eq!(desk.form(&ada, "/saved/keep", &[("address", "q=crane")]).await.status, 303);
    let values = |section: &str, name: &str| -> Vec<String> {
        let (there, not) = match (section, name) {
            ("c", "id") => (encode(&legal), "nowhere"),
            ("c", "date") => ("2026-03-04".to_owned(), "x"),
            ("people", "id") => (encode(&desk.running.username), "nobody"),
            ("r", "record") => (record.clone(), "99999999"),
            ("f", "id") => (encode(&file), "none"),
            ("teamchatapi", "method") => ("channels.list".to_owned(), "none"),
            _ => ("1".to_owned(), "99999999"),
        };
        vec![there, not.to_owned()]
    };
    let eve = desk.cookie("eve", Role::Auditor, &Scope::All);
    let ben = desk.cookie("ben", Role::Auditor, &Scope::All);
    desk.access.end_sessions("eve").unwrap();
    desk.access.disable_user("ben").unwrap();
    let entries = desk.access.log().entries(0, 100_000).unwrap().len();

    let ask = async |method: Method, path: &str, cookie: &str| -> Answer {
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, "archive.example");
        if !cookie.is_empty() {
            request = request.header(header::COOKIE, cookie);
        }
        send(&desk.router, request.body(Body::empty()).unwrap()).await
    };
    let location = |answer: &Answer| answer.header(header::LOCATION).to_owned();
    let (mut met, mut asked) = (BTreeSet::new(), 0);
    for route in routes() {
        let is_open = OPEN.contains(&route.pattern.as_str());
        if is_open {
            met.insert(route.pattern.clone());
        }
        for path in addresses(&route.pattern, &values) {
            let path = format!("{path}?q=crane&tz=UTC");
            for cookie in ["", "__Host-sid=0123456789", &eve, &ben] {
                for method in [Method::GET, Method::HEAD, Method::POST] {
                    let is_post = method == Method::POST;
                    let what = format!("{method} {path} with {cookie:?}");
                    let answer = ask(method, &path, cookie).await;
                    let status = answer.status.as_u16();
                    if is_open {
                        assert!(status < 500 && !location(&answer).starts_with("/login"), "{what}: {status}");
                        continue;
                    }
                    // Also where the method is none of the route's: whether it is, is told to who came in.
                    let due = if is_post { "/login".to_owned() } else { format!("/login?next={}", encode(&path)) };
                    assert_eq!((status, location(&answer)), (303, due), "{what}");
                    assert!(answer.body.is_empty(), "{what}: {}", answer.text());
                    assert_eq!(answer.header(header::SET_COOKIE), "", "{what}");
                    asked += 1;
                }
            }
        }
    }
    assert_eq!(met.len(), OPEN.len(), "a route that is said to be open is none: {met:?}");
    assert!(asked > 12 * 40, "{asked}");
    // Whoever does come in sees what the others were kept from, and nothing of theirs was noted as seen.
    assert_eq!(desk.access.log().entries(0, 100_000).unwrap().len(), entries);
    assert_eq!(desk.page(&ada, &format!("/r/{record}")).await.status, 200);
}
