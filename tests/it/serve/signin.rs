//! Signing in and out, what other sites may ask for, and the headers of every answer.

use axum::body::Body;
use axum::http::header;
use secrecy::ExposeSecret as _;
use teamchat_archive::model::Role;
use teamchat_archive::record::Visit;
use teamchat_archive::store::access::{Arrival, Grant};

use super::{Answer, Desk, PASSWORD, cookie_of, encode, get, post, send, tags};

async fn sign_in(desk: &Desk, name: &str, password: &str, next: &str) -> Answer {
    let form = format!("username={}&password={}&next={}", encode(name), encode(password), encode(next));
    let request = post("/login").header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    send(&desk.router, request.body(Body::from(form)).unwrap()).await
}

#[tokio::test]
async fn the_right_password_opens_and_nothing_else_does() {
    let desk = Desk::open().await;
    desk.access.add_user("ada", &Grant::new(Role::Auditor, None).unwrap(), &PASSWORD.to_owned().into()).unwrap();
    let page = send(&desk.router, get("/login").body(Body::empty()).unwrap()).await;
    assert_eq!(page.status, 200);

    let wrong = sign_in(&desk, "ada", "wrong horse battery", "").await;
    let unknown = sign_in(&desk, "eve", "wrong horse battery", "").await;
    assert_eq!((wrong.status.as_u16(), unknown.status.as_u16()), (401, 401));
    assert_eq!(wrong.text().replace("\"ada\"", "\"eve\""), unknown.text());
    for refused in [&wrong, &unknown] {
        assert!(!refused.headers.contains_key(header::SET_COOKIE));
        assert!(!refused.text().contains("wrong horse"), "the password stands in the page");
    }

    let opened = sign_in(&desk, "ada", PASSWORD, "").await;
    assert_eq!((opened.status.as_u16(), opened.header(header::LOCATION)), (303, "/"));
    let set = opened.header(header::SET_COOKIE);
    let attributes: Vec<&str> = set.split(';').map(str::trim).collect();
    assert!(attributes[0].starts_with("__Host-sid=") && attributes[0].len() > 40, "{set}");
    for due in ["Path=/", "Secure", "HttpOnly", "SameSite=Lax"] {
        assert!(attributes.contains(&due), "{due} is not in {set}");
    }
    assert!(!set.to_ascii_lowercase().contains("domain"), "{set}");
    let cookie = cookie_of(&opened);
    assert!(desk.html(&cookie, "/").await.contains("ada"));
    let mixed = format!("other=1; {cookie}; more=2");
    desk.html(&mixed, "/c").await;
    let again = sign_in(&desk, "ada", PASSWORD, "").await;
    assert_ne!(cookie_of(&again), cookie, "two sessions have one secret");
    for guess in ["", "__Host-sid=", "__Host-sid=guess", "sid=x", &cookie[..cookie.len() - 1]] {
        assert_eq!(desk.page(guess, "/").await.status, 303, "{guess:?}");
    }
}

#[tokio::test]
async fn signing_in_again_leaves_the_old_session_behind() {
    let desk = Desk::open().await;
    let old = desk.auditor();
    let request = post("/login")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::COOKIE, &old)
        .header(header::USER_AGENT, "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0");
    let form = format!("username=ada&password={}", encode(PASSWORD));
    let opened = send(&desk.router, request.body(Body::from(form)).unwrap()).await;
    let new = cookie_of(&opened);
    assert_ne!(new, old);
    assert_eq!(desk.page(&old, "/").await.status, 303, "the old cookie still opens");
    assert!(desk.html(&new, "/sessions").await.contains("Firefox on Linux"));
    // Somebody who had a cookie before signing in does not get that one: it is nobody's session.
    let planted = "__Host-sid=planted-by-somebody-else";
    let request = post("/login")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::COOKIE, planted);
    let form = format!("username=ada&password={}", encode(PASSWORD));
    let opened = send(&desk.router, request.body(Body::from(form)).unwrap()).await;
    assert_ne!(cookie_of(&opened), planted);
    assert_eq!(desk.page(planted, "/").await.status, 303);
}

#[tokio::test]
async fn the_sixth_try_waits_whoever_is_named_and_nobody_is_locked_out() {
    let desk = Desk::open().await;
    desk.access.add_user("ada", &Grant::new(Role::Auditor, None).unwrap(), &PASSWORD.to_owned().into()).unwrap();
    // From here on waiting takes no time, and is counted all the same.
    tokio::time::pause();
    let mut waits = Vec::new();
    for name in ["ada", "eve"] {
        let mut seen = Vec::new();
        for _ in 0..8 {
            let before = tokio::time::Instant::now();
            let refused = sign_in(&desk, name, "wrong horse battery", "").await;
            assert_eq!(refused.status, 401);
            seen.push(before.elapsed().as_secs());
        }
        waits.push(seen);
    }
    assert_eq!(waits[0], waits[1], "how long it takes tells who has an account");
    assert_eq!(waits[0][..5], [0; 5]);
    assert!(waits[0][5] >= 2 && waits[0][6] > waits[0][5] && waits[0][7] > waits[0][6], "{waits:?}");
    let before = tokio::time::Instant::now();
    let opened = sign_in(&desk, "ada", PASSWORD, "").await;
    assert_eq!(opened.status, 303, "the right password is let in after waiting");
    assert!(before.elapsed().as_secs() >= 2);
    let again = tokio::time::Instant::now();
    assert_eq!(sign_in(&desk, "ada", PASSWORD, "").await.status, 303);
    assert_eq!(again.elapsed().as_secs(), 0, "who got in waits no more");
}

#[tokio::test]
async fn many_tries_at_once_are_not_more_tries() {
    let desk = Desk::open().await;
    desk.access.add_user("ada", &Grant::new(Role::Auditor, None).unwrap(), &PASSWORD.to_owned().into()).unwrap();
    tokio::time::pause();
    let before = desk.access.log().size().unwrap();
    let tries = (0..40).map(|_| sign_in(&desk, "ada", "wrong horse battery", ""));
    let answers = futures_util::future::join_all(tries).await;
    let refused = answers.iter().filter(|answer| answer.status == 401).count();
    let sent_away: Vec<&Answer> = answers.iter().filter(|answer| answer.status == 429).collect();
    assert_eq!((refused, sent_away.len()), (10, 30));
    for answer in sent_away {
        assert!(answer.header(header::RETRY_AFTER).parse::<u64>().unwrap() > 0);
        assert!(answer.text().contains("nobody is locked out") && !answer.text().contains("wrong horse"));
    }
    assert_eq!(desk.access.log().size().unwrap() - before, 10, "what was looked at is noted");
    // The owner waits for the queue that the others made, and gets in.
    assert_eq!(sign_in(&desk, "bo", "wrong horse battery", "").await.status, 401);
    desk.hand.fetch_add(90_000, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(sign_in(&desk, "ada", PASSWORD, "").await.status, 303);
}

#[tokio::test]
async fn who_is_signed_out_is_sent_to_sign_in_and_back() {
    let desk = Desk::open().await;
    desk.access.add_user("ada", &Grant::new(Role::Auditor, None).unwrap(), &PASSWORD.to_owned().into()).unwrap();
    let paths = [
        "/",
        "/c",
        "/c/none",
        "/search?q=a%20b&page=2",
        "/r/0",
        "/r/0/raw.json",
        "/r/0/proof.tlog-proof",
        "/r/0/proof.json",
        "/f",
        "/f/x",
        "/f/x/blob?v=1",
    ];
    for path in paths {
        let answer = desk.page("", path).await;
        assert_eq!(answer.status, 303, "{path}");
        let to = answer.header(header::LOCATION).to_owned();
        assert_eq!(to, format!("/login?next={}", encode(path)));
        assert!(answer.body.is_empty(), "{path} says something to who is signed out");
        // The form carries the place on, and signing in leads there.
        let form = desk.html("", &to).await;
        let hidden = tags(&form).into_iter().find(|tag| tag.attribute("name") == "next").unwrap();
        assert_eq!(hidden.attribute("value"), path);
        let opened = sign_in(&desk, "ada", PASSWORD, hidden.attribute("value")).await;
        assert_eq!(opened.header(header::LOCATION), path);
    }
    // Signing out when the session has ended must not lead back to signing out.
    let answer = send(&desk.router, post("/logout").body(Body::empty()).unwrap()).await;
    assert_eq!((answer.status.as_u16(), answer.header(header::LOCATION)), (303, "/login"));
}

#[tokio::test]
async fn signing_in_leads_nowhere_else() {
    let desk = Desk::open().await;
    desk.access.add_user("ada", &Grant::new(Role::Auditor, None).unwrap(), &PASSWORD.to_owned().into()).unwrap();
    let base = url::Url::parse("https://archive.example/login").unwrap();
    for next in [
        "https://evil.example/",
        "//evil.example/",
        "///evil.example/",
        "/\\evil.example/",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        " //evil.example",
        "javascript:alert(1)",
        "evil.example",
        "/.//evil.example",
        "/..//evil.example",
        "/%2f/evil.example",
        "@evil.example",
        "/x\r\nSet-Cookie: a=b",
    ] {
        let answer = sign_in(&desk, "ada", PASSWORD, next).await;
        assert_eq!(answer.status, 303, "{next:?}");
        let to = answer.header(header::LOCATION);
        assert!(to.starts_with('/'), "{next:?} leads to {to:?}");
        // As a browser reads it.
        assert_eq!(base.join(to).unwrap().host_str(), Some("archive.example"), "{next:?} leads to {to:?}");
        assert_eq!(answer.headers.get_all(header::SET_COOKIE).iter().count(), 1);
    }
    // A place that no header can hold costs the place, not the session.
    let answer = sign_in(&desk, "ada", PASSWORD, "/search?q=Číňan").await;
    assert_eq!(answer.status, 303);
    assert!(answer.header(header::LOCATION).starts_with('/'), "{:?}", answer.headers);
    assert!(cookie_of(&answer).starts_with("__Host-sid="));
}

#[tokio::test]
async fn other_sites_change_nothing() {
    let desk = Desk::open().await;
    let cookie = desk.auditor();
    let form = format!("username=ada&password={}", encode(PASSWORD));
    for (headers, status) in [
        (&[][..], 303),
        (&[("sec-fetch-site", "same-origin")], 303),
        (&[("sec-fetch-site", "none")], 303),
        (&[("origin", "https://archive.example")], 303),
        (&[("sec-fetch-site", "cross-site")], 403),
        (&[("sec-fetch-site", "same-site")], 403),
        (&[("sec-fetch-site", "cross-site"), ("origin", "https://archive.example")], 403),
        (&[("origin", "https://evil.example")], 403),
        (&[("origin", "https://archive.example.evil.example")], 403),
        (&[("origin", "null")], 403),
    ] {
        let mut request = post("/login").header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = send(&desk.router, request.body(Body::from(form.clone())).unwrap()).await;
        assert_eq!(answer.status, status, "{headers:?}");
        assert_eq!(answer.headers.contains_key(header::SET_COOKIE), status == 303, "{headers:?}");
    }
    let request = post("/logout").header(header::COOKIE, &cookie).header("sec-fetch-site", "cross-site");
    assert_eq!(send(&desk.router, request.body(Body::empty()).unwrap()).await.status, 403);
    desk.html(&cookie, "/").await;
}

#[tokio::test]
async fn a_session_ends_by_signing_out_and_with_its_account() {
    let desk = Desk::open().await;
    let first = desk.auditor();
    let second = desk.access.start_session("ada", &Visit::default(), Arrival::default()).unwrap();
    let second = format!("__Host-sid={}", second.expose_secret());
    let request = post("/logout").header(header::COOKIE, &first);
    let out = send(&desk.router, request.body(Body::empty()).unwrap()).await;
    assert_eq!((out.status.as_u16(), out.header(header::LOCATION)), (303, "/login"));
    let cleared = out.header(header::SET_COOKIE);
    assert!(cleared.starts_with("__Host-sid=;") && cleared.contains("Max-Age=0"), "{cleared}");
    assert_eq!(desk.page(&first, "/").await.status, 303, "the old cookie still opens");
    desk.html(&second, "/").await;

    // GET changes nothing.
    assert_eq!(desk.page(&second, "/logout").await.status, 405);
    desk.html(&second, "/").await;

    desk.access.disable_user("ada").unwrap();
    assert_eq!(desk.page(&second, "/").await.status, 303, "the session outlives its account");
    let refused = sign_in(&desk, "ada", PASSWORD, "").await;
    let unknown = sign_in(&desk, "eve", PASSWORD, "").await;
    assert_eq!(refused.status, 401);
    assert_eq!(refused.text().replace("\"ada\"", "\"eve\""), unknown.text());
}

#[tokio::test]
async fn a_session_ends_by_idling() {
    use std::sync::atomic::Ordering;
    let desk = Desk::open().await;
    let cookie = desk.auditor();
    desk.hand.fetch_add(29 * 60 * 1000, Ordering::Relaxed);
    desk.html(&cookie, "/").await;
    desk.hand.fetch_add(31 * 60 * 1000, Ordering::Relaxed);
    assert_eq!(desk.page(&cookie, "/").await.status, 303);
}

#[tokio::test]
async fn a_browser_that_only_guesses_gets_no_page() {
    let desk = Desk::open().await;
    let cookie = desk.auditor();
    for purpose in ["prefetch", "prefetch;prerender", "prefetch;anonymous-client-ip"] {
        for path in ["/", "/c", "/search?q=crane", "/r/0"] {
            let request = get(path).header(header::COOKIE, &cookie).header("sec-purpose", purpose);
            let answer = send(&desk.router, request.body(Body::empty()).unwrap()).await;
            assert_eq!((answer.status.as_u16(), answer.header("cache-control")), (503, "no-store"), "{path} {purpose}");
            assert!(answer.body.is_empty());
        }
    }
}
