//! The second factor: set up from a page, asked for at the door, and good once.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::http::header;
use teamchat_archive::model::{Role, Scope};
use teamchat_archive::store::access::FactorKey;
use teamchat_archive::web::router;
use totp_rs::{Builder, Secret, Totp};

use super::{Answer, Desk, PASSWORD, cookie_of, filled, form, send, tags, text_of};

/// The router with a key for codes.
fn with_key(desk: &Desk) -> Router {
    let key = FactorKey::new("a key that is thirty-two letters long".to_owned().into());
    router(Arc::new(desk.another().with_factor_key(Some(key))))
}

async fn ask(router: &Router, cookie: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
    send(router, form(path).header(header::COOKIE, cookie).body(filled(fields)).unwrap()).await
}

async fn page(router: &Router, cookie: &str, path: &str) -> Answer {
    let request = super::get(path).header(header::COOKIE, cookie).body(axum::body::Body::empty()).unwrap();
    send(router, request).await
}

/// An app that was told the secret of a page.
fn app(page: &str) -> Totp {
    let link = tags(page).into_iter().find(|tag| tag.attribute("href").starts_with("otpauth://")).unwrap();
    let address = url::Url::parse(link.attribute("href")).unwrap();
    let secret = address.query_pairs().find(|(name, _)| name == "secret").unwrap().1.into_owned();
    let typed: String = text_of(page).split_whitespace().collect();
    assert!(typed.contains(&secret), "what is to be typed is another secret");
    let secret = Secret::try_from_base32(secret).unwrap();
    Builder::new().with_secret(secret).with_account_name("ada").build().unwrap()
}

fn cookies(answer: &Answer) -> Vec<String> {
    let all = answer.headers.get_all(header::SET_COOKIE).iter();
    all.map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_second_factor_is_set_up_from_its_page_and_asked_for_at_the_door() {
    let desk = Desk::open().await;
    let router = with_key(&desk);
    let here = desk.auditor();
    let now = || (desk.hand.load(Ordering::Relaxed) / 1000).cast_unsigned();

    // Who found a browser open does not know the password, and is told nothing.
    let wrong = ask(&router, &here, "/sessions/factor/begin", &[("current", "wrong horse battery")]).await;
    assert_eq!(wrong.status, 403);
    assert!(!wrong.text().contains("otpauth:"));
    assert_eq!(ask(&router, &here, "/sessions/factor/begin", &[("current", PASSWORD)]).await.status, 303);
    let told = page(&router, &here, "/sessions/factor").await;
    assert_eq!(told.header(header::CACHE_CONTROL), "no-store");
    let app = app(&told.text());
    assert!(told.text().contains("<svg viewBox"));
    let code = || app.generate(now()).to_string();

    // Nothing is asked for until the app has shown that it knows the secret.
    let opened = ask(&router, "", "/login", &[("username", "ada"), ("password", PASSWORD)]).await;
    assert_eq!(opened.status, 303);
    let here = cookie_of(&opened);
    let refused = ask(&router, &here, "/sessions/factor/on", &[("code", "000000")]).await;
    assert_eq!(refused.status, 400);
    assert_eq!(ask(&router, &here, "/sessions/factor/on", &[("code", &code())]).await.status, 303);
    let on = page(&router, &here, "/sessions/factor").await.text();
    assert!(!on.contains("otpauth:") && text_of(&on).contains("Turn it off"), "{on}");

    // The password alone is not enough, and no session is begun by it.
    desk.hand.fetch_add(30_000, Ordering::Relaxed);
    let halfway = ask(&router, "", "/login", &[("username", "ada"), ("password", PASSWORD), ("next", "/c")]).await;
    assert_eq!(halfway.status, 200);
    let half = cookies(&halfway);
    assert_eq!(half.len(), 1);
    assert!(half[0].starts_with("__Host-half="), "{half:?}");
    assert_eq!(page(&router, &half[0], "/c").await.status, 303, "half is no session");
    let hidden = tags(&halfway.text()).into_iter().find(|tag| tag.attribute("name") == "next").unwrap();
    assert_eq!(hidden.attribute("value"), "/c");
    let used = code();
    let in_ = ask(&router, &half[0], "/login/code", &[("code", &used), ("next", "/c")]).await;
    assert_eq!((in_.status.as_u16(), in_.header(header::LOCATION)), (303, "/c"));
    let session = cookies(&in_).into_iter().find(|cookie| cookie.starts_with("__Host-sid=")).unwrap();
    assert_eq!(page(&router, &session, "/c").await.status, 200);
    assert!(cookies(&in_).contains(&"__Host-half=".to_owned()), "what was half is over");

    // The code is used, and so is the cookie of those who were halfway.
    let again = ask(&router, "", "/login", &[("username", "ada"), ("password", PASSWORD)]).await;
    let half_again = cookies(&again).remove(0);
    assert_eq!(ask(&router, &half_again, "/login/code", &[("code", &used)]).await.status, 401);
    desk.hand.fetch_add(30_000, Ordering::Relaxed);
    assert_eq!(ask(&router, &half[0], "/login/code", &[("code", &code())]).await.status, 401);
    assert_eq!(ask(&router, "", "/login/code", &[("code", &code())]).await.status, 401);
    let right = ask(&router, &half_again, "/login/code", &[("code", &code())]).await;
    assert_eq!(right.status, 303);

    // Turned off by who has the app, and by nobody else.
    desk.hand.fetch_add(30_000, Ordering::Relaxed);
    assert_eq!(ask(&router, &session, "/sessions/factor/off", &[("code", "000000")]).await.status, 403);
    assert_eq!(ask(&router, &session, "/sessions/factor/off", &[("code", &code())]).await.status, 303);
    let opened = ask(&router, "", "/login", &[("username", "ada"), ("password", PASSWORD)]).await;
    assert_eq!(opened.status, 303);

    // The log tells of it, and holds no code and no secret.
    let entries = desk.access.log().entries(0, 1000).unwrap();
    for action in ["factor_on", "factor_off", "sign_in_failed"] {
        assert!(entries.iter().any(|entry| entry.header.contains(action)), "{action}");
    }
    let secret = app.secret().to_base32();
    for entry in entries {
        assert!(!entry.body.contains(&used) && !entry.body.contains(&secret), "{}", entry.body);
    }
}

#[tokio::test]
async fn codes_are_tried_no_more_often_than_passwords() {
    let desk = Desk::open().await;
    let router = with_key(&desk);
    let here = desk.auditor();
    assert_eq!(ask(&router, &here, "/sessions/factor/begin", &[("current", PASSWORD)]).await.status, 303);
    let app = app(&page(&router, &here, "/sessions/factor").await.text());
    let now = || (desk.hand.load(Ordering::Relaxed) / 1000).cast_unsigned();
    assert_eq!(
        ask(&router, &here, "/sessions/factor/on", &[("code", &app.generate(now()).to_string())]).await.status,
        303
    );
    desk.hand.fetch_add(30_000, Ordering::Relaxed);
    // From here on waiting takes no time, and is counted all the same.
    tokio::time::pause();
    let wrong = |code: &str| if app.check(code, now()).is_some() { "111111".to_owned() } else { code.to_owned() };
    let halfway = ask(&router, "", "/login", &[("username", "ada"), ("password", PASSWORD)]).await;
    let half = cookies(&halfway).remove(0);
    for _ in 0..5 {
        assert_eq!(ask(&router, &half, "/login/code", &[("code", &wrong("123456"))]).await.status, 401);
    }
    // The password is asked for again, and the next code waits.
    let right = app.generate(now()).to_string();
    let over = ask(&router, &half, "/login/code", &[("code", &right)]).await;
    assert_eq!(over.status, 401);
    assert!(over.text().contains("name=\"password\""), "a sixth code was looked at");
    let halfway = ask(&router, "", "/login", &[("username", "ada"), ("password", PASSWORD)]).await;
    let half = cookies(&halfway).remove(0);
    let before = tokio::time::Instant::now();
    assert_eq!(ask(&router, &half, "/login/code", &[("code", &right)]).await.status, 303);
    assert!(before.elapsed().as_secs() >= 2);
}

#[tokio::test]
async fn who_manages_accounts_forgets_a_second_factor_that_was_lost() {
    let desk = Desk::open().await;
    let router = with_key(&desk);
    let (ada, root) = (desk.auditor(), desk.cookie("root", Role::Admin, &Scope::nothing()));
    let reset = |name: &'static str| [("name", name)];
    assert_eq!(ask(&router, &ada, "/sessions/factor/begin", &[("current", PASSWORD)]).await.status, 303);
    let app = app(&page(&router, &ada, "/sessions/factor").await.text());
    let now = (desk.hand.load(Ordering::Relaxed) / 1000).cast_unsigned();
    assert_eq!(
        ask(&router, &ada, "/sessions/factor/on", &[("code", &app.generate(now).to_string())]).await.status,
        303
    );
    assert!(desk.access.user("ada").unwrap().unwrap().has_factor);
    assert_eq!(ask(&router, &ada, "/admin/users/factor", &reset("ada")).await.status, 403);
    let chosen = page(&router, &root, "/admin/users?name=ada").await.text();
    assert!(text_of(&chosen).contains("Forget the second factor"), "{chosen}");
    assert_eq!(ask(&router, &root, "/admin/users/factor", &reset("root")).await.status, 400);
    assert_eq!(ask(&router, &root, "/admin/users/factor", &reset("nobody")).await.status, 404);
    assert_eq!(ask(&router, &root, "/admin/users/factor", &reset("ada")).await.status, 303);
    assert!(!desk.access.user("ada").unwrap().unwrap().has_factor);
    let opened = ask(&router, "", "/login", &[("username", "ada"), ("password", PASSWORD)]).await;
    assert_eq!(opened.status, 303);
    // Without a key nobody can have one, and the page says so.
    let without = desk.another_router();
    let page = page(&without, &cookie_of(&opened), "/sessions/factor").await.text();
    assert!(text_of(&page).contains("no key to make codes with"), "{page}");
    assert_eq!(
        ask(&without, &cookie_of(&opened), "/sessions/factor/begin", &[("current", PASSWORD)]).await.status,
        404
    );
}
