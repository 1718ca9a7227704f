//! The first account: made with the token that `serve` gave, once and in time.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::body::Body;
use axum::http::header;
use secrecy::ExposeSecret as _;
use teamchat_archive::model::Role;
use teamchat_archive::web::router;

use super::{Answer, Desk, PASSWORD, cookie_of, filled, form, get, send, tags};

async fn finish(desk: &Desk, token: &str, name: &str, password: &str, role: &str) -> Answer {
    let fields = [("token", token), ("username", name), ("password", password), ("again", password), ("role", role)];
    send(&desk.router, form("/setup").body(filled(&fields)).unwrap()).await
}

#[tokio::test]
async fn the_first_account_is_made_with_the_token_and_once() {
    let desk = Desk::open().await;
    let token = desk.access.begin_setup().unwrap().unwrap();
    let token = token.expose_secret();
    assert!(token.len() >= 43, "256 bits");
    let page = desk.html("", "/setup").await;
    for name in ["token", "username", "password", "again", "role"] {
        assert!(tags(&page).iter().any(|tag| tag.attribute("name") == name), "no field {name}");
    }
    assert!(page.contains("reads nothing, unless channels are given") && page.contains("reads everything"));
    assert!(!page.contains(token));

    for (token, name, password, status, said) in [
        ("guess", "ada", PASSWORD, 403, "not the set-up token"),
        ("", "ada", PASSWORD, 403, "not the set-up token"),
        (token, "ada", "short", 400, "too short"),
        (token, "ada", "password1234", 400, "first that are guessed"),
        (token, " ", PASSWORD, 400, "1 to 64 characters"),
    ] {
        let refused = finish(&desk, token, name, password, "admin").await;
        assert_eq!(refused.status, status, "{name:?} {password:?}");
        assert!(refused.text().contains(said), "{said}: {}", refused.text());
        assert!(!refused.headers.contains_key(header::SET_COOKIE));
        assert!(
            !refused.text().contains(token) || token.is_empty() || token == "guess",
            "the token stands in the page"
        );
    }
    let fields =
        [("token", token), ("username", "ada"), ("password", PASSWORD), ("again", "another"), ("role", "admin")];
    let differs = send(&desk.router, form("/setup").body(filled(&fields)).unwrap()).await;
    assert_eq!(differs.status, 400);
    assert_eq!(desk.access.users().unwrap(), [], "what was refused made an account");

    let made = finish(&desk, &format!(" {token}\n"), "ada", PASSWORD, "admin").await;
    assert_eq!((made.status.as_u16(), made.header(header::LOCATION)), (303, "/"));
    let cookie = cookie_of(&made);
    let home = desk.page(&cookie, "/").await;
    assert_eq!((home.status.as_u16(), home.header(header::LOCATION)), (303, "/admin/users"));
    assert!(desk.html(&cookie, "/admin/users").await.contains("ada"));
    let user = desk.access.user("ada").unwrap().unwrap();
    assert_eq!((user.role, user.may_export), (Role::Admin, false));

    // It makes no second one, and the page says so to whoever comes later.
    let second = finish(&desk, token, "eve", PASSWORD, "admin").await;
    assert_eq!(second.status, 403);
    assert!(second.text().contains("was made already"));
    assert_eq!(desk.page("", "/setup").await.status, 403);
    assert_eq!(desk.access.users().unwrap().len(), 1);
    assert!(desk.access.begin_setup().unwrap().is_none());

    // The log tells of it, and nothing that is kept tells the token.
    let entries = desk.access.log().entries(0, 100).unwrap();
    assert!(entries.iter().any(|entry| entry.header.contains("user_added") && entry.body.contains("\"ada\"")));
    for path in ["access.db", "access.db-wal"] {
        let bytes = fs_err::read(desk.archive.layout.root().join(path)).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains(token), "the token is in {path}");
    }
    desk.archive.check();
}

#[tokio::test]
async fn a_set_up_token_holds_for_half_an_hour() {
    let desk = Desk::open().await;
    let token = desk.access.begin_setup().unwrap().unwrap();
    desk.hand.fetch_add(30 * 60 * 1000, Ordering::Relaxed);
    let late = finish(&desk, token.expose_secret(), "ada", PASSWORD, "auditor").await;
    assert_eq!(late.status, 403);
    assert!(late.text().contains("Start <code><bdi>serve</bdi></code> again"), "{}", late.text());
    assert_eq!(desk.access.users().unwrap(), []);
    let token = desk.access.begin_setup().unwrap().unwrap();
    desk.hand.fetch_add(30 * 60 * 1000 - 1000, Ordering::Relaxed);
    let made = finish(&desk, token.expose_secret(), "ada", PASSWORD, "auditor").await;
    assert_eq!(made.status, 303);
    desk.html(&cookie_of(&made), "/search?q=crane").await;
}

#[tokio::test]
async fn the_file_of_the_token_goes_when_it_is_used() {
    let desk = Desk::open().await;
    let file = desk.archive.layout.root().with_file_name("setup-token");
    fs_err::write(&file, "token").unwrap();
    let token = desk.access.begin_setup().unwrap().unwrap();
    let router = router(Arc::new(desk.another().with_setup_file(file.clone())));
    let with = |password: &'static str| {
        [("token", token.expose_secret()), ("username", "ada"), ("password", password), ("again", password)]
    };
    assert_eq!(send(&router, form("/setup").body(filled(&with("short"))).unwrap()).await.status, 400);
    assert!(file.exists(), "it is gone, and the token was not used");
    assert_eq!(send(&router, form("/setup").body(filled(&with(PASSWORD))).unwrap()).await.status, 303);
    assert!(!file.exists());
}

#[tokio::test]
async fn nobody_is_sent_to_the_set_up_from_another_site() {
    let desk = Desk::open().await;
    let token = desk.access.begin_setup().unwrap().unwrap();
    let fields = [("token", token.expose_secret()), ("username", "eve"), ("password", PASSWORD), ("again", PASSWORD)];
    let request = form("/setup").header("sec-fetch-site", "cross-site").body(filled(&fields)).unwrap();
    assert_eq!(send(&desk.router, request).await.status, 403);
    assert_eq!(desk.access.users().unwrap(), []);
    let fetched =
        send(&desk.router, get("/setup").header("sec-purpose", "prefetch").body(Body::empty()).unwrap()).await;
    assert_eq!(fetched.status, 503);
}
