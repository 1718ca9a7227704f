//! The headers of every answer on the way to the provider and back.

use std::collections::BTreeSet;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, header};
use serde_json::json;
use teamchat_archive::web::Agreement;
use tower::ServiceExt as _;

use super::judge::{self, Judged};
use super::{Answer, Room, begin, send};

/// What was wrong with the answers, and which statuses they had.
#[derive(Default)]
struct Seen {
    problems: Vec<String>,
    statuses: BTreeSet<u16>,
}

impl Seen {
    fn judge(&mut self, what: &str, answer: &Answer) {
        let Answer { status, headers, text } = answer;
        self.statuses.insert(status.as_u16());
        let judged = Judged { status: *status, headers, body: text.as_bytes(), is_https: true };
        judge::judge(what, judged, &mut self.problems);
        for set in headers.get_all(header::SET_COOKIE) {
            let set = set.to_str().unwrap();
            let parts: Vec<&str> = set.split("; ").collect();
            let is_shut = ["Path=/", "Secure", "HttpOnly", "SameSite=Lax"].iter().all(|due| parts.contains(due));
            if !set.starts_with("__Host-") || !is_shut {
                self.problems.push(format!("{what}: {}", parts[1..].join("; ")));
            }
        }
    }
}

async fn ask(router: &Router, method: Method, path: &str) -> Answer {
    let request = Request::builder().method(method).uri(path).header(header::HOST, "archive.example.com");
    let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    Answer { status: parts.status, headers: parts.headers, text: String::from_utf8(body.to_vec()).unwrap() }
}

#[tokio::test]
async fn every_answer_on_the_way_to_the_provider_and_back_has_its_headers() {
    let room = Room::open().await;
    let mut seen = Seen::default();
    let router = room.router();
    seen.judge("to the provider", &send(&router, "/login/oidc?next=%2Fc", "").await);
    let begun = begin(&router, "").await;
    let back = room.fake.visit(&begun.to).await;
    seen.judge("not begun here", &send(&router, &back, "").await);
    seen.judge("signed in", &send(&router, &back, &begun.kept).await);
    seen.judge("a code that was used", &send(&router, &back, &begun.kept).await);
    for path in ["/login/oidc", "/login/oidc/back"] {
        for method in [Method::HEAD, Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
            seen.judge(&format!("{method} {path}"), &ask(&router, method.clone(), path).await);
        }
        seen.judge("no provider", &send(&room.router_with(None), path, "").await);
    }
    room.fake.set(|plan| plan.claims = json!({"preferred_username": "eve", "sub": "s-eve"}));
    seen.judge("nobody's account", &room.sign_in(&room.router()).await);
    let waiting = begin(&room.router(), "").await;
    let state = waiting.to.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    room.fake.set(|plan| plan.is_failing = true);
    seen.judge("a provider that fails", &room.sign_in(&room.router()).await);
    let nowhere = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let router = room.router_with(Some(Agreement { issuer: nowhere, ..room.agreement() }));
    seen.judge("a provider that is not there", &send(&router, "/login/oidc", "").await);
    // Whoever tries too often waits, and is asked to come back at last.
    let router = room.router();
    tokio::time::pause();
    for _ in 0..40 {
        let path = format!("/login/oidc/back?error=access_denied&state={state}");
        let answer = send(&router, &path, &waiting.kept).await;
        seen.judge("too often", &answer);
        if answer.status == 429 {
            break;
        }
    }
    assert!(seen.problems.is_empty(), "{} problems:\n{}", seen.problems.len(), seen.problems.join("\n"));
    for status in [303, 400, 401, 403, 404, 405, 429, 502] {
        assert!(seen.statuses.contains(&status), "no answer was {status}: {:?}", seen.statuses);
    }
}
