//! Signing in and out, what other sites may ask for, and the headers of every answer.

use axum::body::Body;
use axum::http::header;
use secrecy::ExposeSecret as _;
use teamchat_archive::model::{Role, Scope};
use teamchat_archive::record::Visit;

use super::{Answer, Desk, PASSWORD, encode, get, post, send, tags};

async fn sign_in(desk: &Desk, name: &str, password: &str, next: &str) -> Answer {
    let form = format!("username={}&password={}&next={}", encode(name), encode(password), encode(next));
    let request = post("/login").header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    send(&desk.router, request.body(Body::from(form)).unwrap()).await
}

/// The cookie of an answer, as a browser sends it back.
fn cookie_of(answer: &Answer) -> String {
    answer.header(header::SET_COOKIE).split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn the_right_password_opens_and_nothing_else_does() {
    let desk = Desk::open().await;
    desk.access.add_user("ada", Role::Auditor, &Scope::All, &PASSWORD.to_owned().into()).unwrap();
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
async fn who_is_signed_out_is_sent_to_sign_in_and_back() {
    let desk = Desk::open().await;
    desk.access.add_user("ada", Role::Auditor, &Scope::All, &PASSWORD.to_owned().into()).unwrap();
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
    desk.access.add_user("ada", Role::Auditor, &Scope::All, &PASSWORD.to_owned().into()).unwrap();
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
    let second = format!("__Host-sid={}", desk.access.start_session("ada", &Visit::default()).unwrap().expose_secret());
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

const POLICY: &[&str] = &[
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "font-src 'self'",
    "connect-src 'self'",
    "form-action 'self'",
    "frame-src 'self'",
    "object-src 'none'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types archive",
];

fn judge_headers(path: &str, answer: &Answer, problems: &mut Vec<String>) {
    for (name, due) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("x-robots-tag", "noindex"),
    ] {
        if answer.header(name) != due {
            problems.push(format!("{path}: {name} is {:?}", answer.header(name)));
        }
    }
    for feature in ["camera=()", "geolocation=()", "microphone=()"] {
        if !answer.header("permissions-policy").contains(feature) {
            problems.push(format!("{path}: permissions-policy lacks {feature}"));
        }
    }
    if answer.headers.contains_key("access-control-allow-origin") {
        problems.push(format!("{path}: other origins may read it"));
    }
    let policy: Vec<&str> = answer.header("content-security-policy").split(';').map(str::trim).collect();
    let is_sandboxed = policy.contains(&"sandbox") && policy.contains(&"default-src 'none'");
    if !is_sandboxed && policy != POLICY {
        problems.push(format!("{path}: content-security-policy is {policy:?}"));
    }
    let is_static = path.starts_with("/static/") && answer.status == 200;
    let keeping = answer.header("cache-control");
    if if is_static { !keeping.contains("immutable") } else { keeping != "no-store" } {
        problems.push(format!("{path}: cache-control is {keeping:?}"));
    }
}

#[tokio::test]
async fn every_answer_has_the_headers() {
    let desk = Desk::open().await;
    let cookie = desk.auditor();
    let token = desk.auditor_token();
    let legal = encode(&desk.channel(&token, "legal").await);
    let files = desk.reply(&token, "files.list", &[]).await;
    let file = encode(files["files"][0]["id"].as_str().unwrap());
    let ticket = url::Url::parse(files["files"][0]["url_private"].as_str().unwrap()).unwrap();
    let ticket = format!("{}?{}", ticket.path(), ticket.query().unwrap());
    let home = desk.html(&cookie, "/").await;
    let css = tags(&home).into_iter().find(|tag| tag.attribute("rel") == "stylesheet").unwrap();
    let css = css.attribute("href").to_owned();
    let mut problems = Vec::new();
    for (path, status) in [
        ("/", 200),
        ("/c", 200),
        (&format!("/c/{legal}"), 200),
        (&format!("/c/{legal}?at=x"), 400),
        (&format!("/c/{legal}?n=x"), 400),
        ("/c/none", 404),
        ("/search", 200),
        ("/search?q=crane", 200),
        ("/search?q=%28", 400),
        ("/r/1", 200),
        ("/r/1/raw.json", 200),
        ("/r/1/proof.tlog-proof", 200),
        ("/r/1/proof.json", 200),
        ("/r/99999999", 404),
        ("/f", 200),
        (&format!("/f/{file}"), 200),
        (&format!("/f/{file}/blob"), 200),
        ("/f/none/blob", 404),
        ("/logout", 405),
        ("/login", 200),
        ("/healthz", 200),
        ("/readyz", 200),
        ("/robots.txt", 200),
        ("/favicon.ico", 200),
        (&css, 200),
        ("/static/0000/archive.css", 404),
        ("/nowhere", 404),
        ("/%ff", 404),
        ("/c/%ff", 400),
        ("/teamchatapi/auth.test", 200),
        (&format!("/teamchatapi/auth.test?token={token}"), 200),
        (&format!("/teamchatapi/channels.atom.history?token={token}&channel={legal}"), 200),
        ("/teamchatapi/files.download?ticket=x", 200),
        (&ticket, 200),
    ] {
        let answer = desk.page(&cookie, path).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
        judge_headers(path, &answer, &mut problems);
        if answer.header(header::CONTENT_TYPE).is_empty() && !answer.body.is_empty() {
            problems.push(format!("{path}: no content-type"));
        }
    }
    let out = desk.page("", "/c").await;
    judge_headers("signed out", &out, &mut problems);
    let request = post("/login").header("origin", "https://evil.example").body(Body::empty()).unwrap();
    let refused = send(&desk.router, request).await;
    assert_eq!(refused.status, 403);
    judge_headers("cross-site", &refused, &mut problems);
    judge_headers("refused", &sign_in(&desk, "eve", PASSWORD, "").await, &mut problems);
    assert!(problems.is_empty(), "{}", problems.join("\n"));
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
