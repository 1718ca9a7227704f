//! Accounts and tokens on their pages, and what each role opens.

use axum::body::Body;
use axum::http::header;
use serde_json::Value;
use teamchat_archive::model::{ChannelId, Role, Scope};
use teamchat_archive::store::access::Grant;

use super::{Desk, PASSWORD, cookie_of, filled, form, only, send, tags, text_of};

/// The last entry of an action, without what was looked at.
fn last(desk: &Desk, action: &str) -> Value {
    let entries = desk.access.log().entries(0, 10_000).unwrap();
    let found = entries.iter().rfind(|entry| entry.header.contains(&format!("\"{action}\"")));
    serde_json::from_str(&found.unwrap_or_else(|| panic!("no entry {action}")).body).unwrap()
}

/// Where the navigation of a page leads.
fn places(html: &str) -> Vec<String> {
    let mut is_within = false;
    let mut out = Vec::new();
    for tag in tags(html) {
        match tag.name.as_str() {
            "nav" => is_within = out.is_empty(),
            "/nav" => is_within = false,
            "a" if is_within => out.push(tag.attribute("href").to_owned()),
            _ => {}
        }
    }
    out
}

#[tokio::test]
async fn each_role_opens_what_it_is_for_and_is_offered_nothing_else() {
    let desk = Desk::open().await;
    let token = desk.auditor_token();
    let legal = desk.channel(&token, "legal").await;
    let some = only(&[&legal]);
    let contents = ["/search?q=crane", "/c", "/f", "/r/1"];
    let readers =
        [("ada", Role::Auditor, Scope::All), ("rita", Role::Reviewer, some.clone()), ("rob", Role::Admin, some)];
    let others = [
        ("root", Role::Admin, Scope::nothing()),
        ("vera", Role::Verifier, Scope::nothing()),
        ("vic", Role::Verifier, Scope::All),
    ];
    for (name, role, scope) in readers.iter().chain(&others) {
        let cookie = desk.cookie(name, *role, scope);
        let is_reader = readers.iter().any(|(reader, _, _)| reader == name);
        for path in contents {
            let answer = desk.page(&cookie, path).await;
            let may = if is_reader { answer.status == 200 || answer.status == 404 } else { answer.status == 403 };
            assert!(may, "{name} gets {} of {path}", answer.status);
        }
        let is_admin = *role == Role::Admin;
        for path in ["/admin/users", "/admin/tokens"] {
            let answer = desk.page(&cookie, path).await;
            assert_eq!(answer.status, if is_admin { 200 } else { 403 }, "{name} {path}");
        }
        for path in [
            "/admin/users/add",
            "/admin/users/change",
            "/admin/users/password",
            "/admin/users/state",
            "/admin/tokens/create",
            "/admin/tokens/revoke",
        ] {
            if !is_admin {
                let fields = [
                    ("name", "eve"),
                    ("role", "auditor"),
                    ("all", "yes"),
                    ("password", PASSWORD),
                    ("again", PASSWORD),
                    ("state", "disabled"),
                    ("days", "9"),
                ];
                assert_eq!(desk.form(&cookie, path, &fields).await.status, 403, "{name} {path}");
            }
        }
        // What is offered can be opened; who only manages accounts begins there.
        let page = desk.html(&cookie, "/sessions").await;
        let offered = places(&page);
        assert_eq!(offered.contains(&"/search".to_owned()), is_reader, "{name}: {offered:?}");
        assert_eq!(offered.contains(&"/admin/users".to_owned()), is_admin, "{name}: {offered:?}");
        for path in &offered {
            assert_eq!(desk.page(&cookie, path).await.status, 200, "{name} is offered {path}");
        }
        let home = desk.page(&cookie, "/").await;
        let due = if *name == "root" { (303, "/admin/users") } else { (200, "") };
        assert_eq!((home.status.as_u16(), home.header(header::LOCATION)), due, "{name}");
    }
    assert!(desk.access.user("eve").unwrap().is_none() && desk.access.tokens().unwrap().len() == 1);
    // A refusal is the same whatever is asked for, and has its entry where it is about contents.
    let vera = format!("__Host-sid={}", {
        use secrecy::ExposeSecret as _;
        let visit = teamchat_archive::record::Visit::default();
        desk.access
            .start_session("vera", &visit, teamchat_archive::store::access::Arrival::default())
            .unwrap()
            .expose_secret()
            .to_owned()
    });
    let (there, not) = (desk.page(&vera, "/r/1").await, desk.page(&vera, "/r/99999999").await);
    assert_eq!((there.status.as_u16(), not.status.as_u16()), (403, 403));
    let entry = last(&desk, "view");
    assert_eq!((&entry["user"], &entry["status"]), (&"vera".into(), &403.into()), "{entry}");
    // Over the API, too, a verifier reads nothing.
    let token = desk.token("vic's", Role::Verifier, &Scope::All);
    assert_eq!(desk.call(&token, "search.all", &[("query", "crane")]).await.json()["error"], "no_permission");
}

#[tokio::test]
async fn an_admin_makes_and_changes_accounts_and_each_change_is_logged() {
    let desk = Desk::open().await;
    let legal = desk.channel(&desk.auditor_token(), "legal").await;
    let admin = desk.cookie("root", Role::Admin, &Scope::nothing());
    let add = async |fields: &[(&str, &str)]| {
        let fixed = [("password", PASSWORD), ("again", PASSWORD)];
        let all: Vec<(&str, &str)> = fields.iter().chain(&fixed).copied().collect();
        desk.form(&admin, "/admin/users/add", &all).await
    };
    for (fields, said) in [
        (&[("name", "rita"), ("role", "reviewer")][..], "at least one channel"),
        (&[("name", "rita"), ("role", "reviewer"), ("channels", "#legal\n#nowhere")], "#nowhere"),
        (&[("name", "rita"), ("role", "emperor")], "A role is"),
        (&[("name", "root"), ("role", "auditor")], "already"),
        (&[("name", "a\u{7}"), ("role", "auditor")], "1 to 64"),
    ] {
        let refused = add(fields).await;
        assert_eq!(refused.status, 400, "{fields:?}");
        let page = refused.text();
        assert!(text_of(&page).contains(said), "{said}: {page}");
        // What was typed stands there still, but for the password.
        assert!(
            tags(&page).iter().any(|tag| tag.attribute("id") == "new-name" && tag.attribute("value") == fields[0].1)
        );
        assert!(!page.contains(PASSWORD) && !page.contains("Entry in the access log"));
    }
    assert_eq!(desk.access.users().unwrap().len(), 1);

    let made = add(&[("name", "rita <b>"), ("role", "reviewer"), ("channels", "#Legal"), ("export", "yes")]).await;
    assert_eq!((made.status.as_u16(), made.header(header::LOCATION)), (303, "/admin/users?name=rita%20%3Cb%3E#chosen"));
    let rita = desk.access.user("rita <b>").unwrap().unwrap();
    assert_eq!((rita.role, &rita.scope, rita.may_export), (Role::Reviewer, &only(&[&legal]), true));
    let entry = last(&desk, "user_added");
    assert_eq!(
        (&entry["user"], &entry["subject"], &entry["may_export"]),
        (&"root".into(), &"rita <b>".into(), &true.into())
    );
    assert_eq!(entry["scope"], serde_json::json!([ChannelId::parse(&legal).unwrap().as_str()]));
    let page = desk.html(&admin, "/admin/users?name=rita%20%3Cb%3E").await;
    assert!(text_of(&page).contains("#legal"), "{page}");

    // She signs in; a change of her rights ends her session, and holds from then on.
    let sign_in = async || desk.form("", "/login", &[("username", "rita <b>"), ("password", PASSWORD)]).await;
    let cookie = cookie_of(&sign_in().await);
    desk.html(&cookie, "/search?q=crane").await;
    let fields = [("name", "rita <b>"), ("role", "verifier")];
    assert_eq!(desk.form(&admin, "/admin/users/change", &fields).await.status, 303);
    assert_eq!(desk.page(&cookie, "/").await.status, 303);
    let cookie = cookie_of(&sign_in().await);
    assert_eq!(desk.page(&cookie, "/search?q=crane").await.status, 403);
    assert!(!desk.access.user("rita <b>").unwrap().unwrap().may_export, "a right goes that is not given again");
    assert_eq!(last(&desk, "user_changed")["granted"], "verifier");

    // Disabled, she is refused at once; enabled, let in.
    for (state, status, action) in [("disabled", 401, "user_disabled"), ("enabled", 303, "user_enabled")] {
        let done = desk.form(&admin, "/admin/users/state", &[("name", "rita <b>"), ("state", state)]).await;
        assert_eq!(done.status, 303);
        assert_eq!(desk.page(&cookie, "/").await.status, 303);
        assert_eq!(sign_in().await.status, status, "{state}");
        assert_eq!(last(&desk, action)["user"], "root");
    }
    let fields = [("name", "rita <b>"), ("password", "another horse battery"), ("again", "another horse battery")];
    assert_eq!(desk.form(&admin, "/admin/users/password", &fields).await.status, 303);
    assert_eq!(sign_in().await.status, 401);
    assert_eq!(last(&desk, "password_changed")["subject"], "rita <b>");

    // Nobody shuts themself out, and who is not there is not changed.
    for (path, fields) in [
        ("/admin/users/change", &[("name", "root"), ("role", "verifier")][..]),
        ("/admin/users/state", &[("name", "root"), ("state", "disabled")]),
        (
            "/admin/users/password",
            &[("name", "root"), ("password", "another horse battery"), ("again", "another horse battery")],
        ),
    ] {
        assert_eq!(desk.form(&admin, path, fields).await.status, 400, "{path}");
        let nobody: Vec<(&str, &str)> =
            fields.iter().map(|(name, value)| (*name, if *name == "name" { "nobody" } else { value })).collect();
        assert_eq!(desk.form(&admin, path, &nobody).await.status, 404, "{path}");
    }
    desk.html(&admin, "/admin/users?name=root").await;
    assert_eq!(desk.page(&admin, "/admin/users?name=nobody").await.status, 404);
    desk.archive.check();
}

#[tokio::test]
async fn a_change_that_cannot_be_logged_is_not_made() {
    let desk = Desk::open().await;
    let admin = desk.cookie("root", Role::Admin, &Scope::nothing());
    desk.access.add_user("ada", &Grant::new(Role::Auditor, None).unwrap(), &PASSWORD.to_owned().into()).unwrap();
    let other = rusqlite::Connection::open(desk.archive.layout.access()).unwrap();
    other
        .execute_batch("CREATE TRIGGER no_more BEFORE INSERT ON entry BEGIN SELECT RAISE(ABORT, 'full'); END")
        .unwrap();
    for (path, fields) in [
        ("/admin/users/state", &[("name", "ada"), ("state", "disabled")][..]),
        ("/admin/users/add", &[("name", "eve"), ("role", "auditor"), ("password", PASSWORD), ("again", PASSWORD)]),
        ("/admin/tokens/create", &[("name", "eve"), ("role", "auditor"), ("days", "9")]),
        ("/sessions/end", &[("of", "ada"), ("which", "all")]),
    ] {
        let answer = desk.form(&admin, path, fields).await;
        assert_eq!(answer.status, 503, "{path}: {}", answer.text());
        assert!(!answer.text().contains("arc_"));
    }
    other.execute_batch("DROP TRIGGER no_more").unwrap();
    assert!(!desk.access.user("ada").unwrap().unwrap().disabled);
    assert!(desk.access.user("eve").unwrap().is_none() && desk.access.tokens().unwrap().is_empty());
}

#[tokio::test]
async fn a_tokens_secret_is_shown_once_and_it_works_until_it_is_revoked() {
    let desk = Desk::open().await;
    let admin = desk.cookie("root", Role::Admin, &Scope::nothing());
    for (fields, said) in [
        (&[("name", "robot"), ("role", "reviewer"), ("days", "90")][..], "at least one channel"),
        (&[("name", "robot"), ("role", "auditor"), ("days", "367")], "1 to 366"),
        (&[("name", "robot"), ("role", "auditor"), ("days", "soon")], "1 to 366"),
        (&[("name", "robot"), ("role", "admin"), ("all", "yes"), ("days", "9")], "would read nothing"),
        (&[("name", ""), ("role", "auditor"), ("days", "9")], "1 to 64"),
    ] {
        let refused = desk.form(&admin, "/admin/tokens/create", fields).await;
        assert_eq!(refused.status, 400, "{fields:?}");
        assert!(text_of(&refused.text()).contains(said), "{said}: {}", refused.text());
    }
    let fields = [("name", "robot"), ("role", "reviewer"), ("channels", "#legal"), ("days", "2")];
    let made = desk.form(&admin, "/admin/tokens/create", &fields).await;
    assert_eq!((made.status.as_u16(), made.header(header::CACHE_CONTROL)), (200, "no-store"));
    let fields = tags(&made.text());
    let secret = fields.iter().find(|tag| tag.attribute("value").starts_with("arc_")).expect("a secret");
    let secret = secret.attribute("value").to_owned();
    assert_eq!(last(&desk, "token_created")["user"], "root");
    let reply = desk.reply(&secret, "channels.list", &[]).await;
    assert_eq!(reply["channels"].as_array().unwrap().len(), 1);
    let page = desk.html(&admin, "/admin/tokens").await;
    assert!(!page.contains("arc_") && text_of(&page).contains("robot"), "{page}");
    assert_eq!(desk.form(&admin, "/admin/tokens/revoke", &[("name", "robot")]).await.status, 303);
    assert_eq!(desk.call(&secret, "channels.list", &[]).await.json()["error"], "invalid_auth");
    assert!(text_of(&desk.html(&admin, "/admin/tokens").await).contains("revoked"));
    assert_eq!(desk.form(&admin, "/admin/tokens/revoke", &[("name", "nobody")]).await.status, 404);
    // Another site makes none.
    let request = form("/admin/tokens/create").header(header::COOKIE, &admin).header("sec-fetch-site", "cross-site");
    let fields = [("name", "evil"), ("role", "auditor"), ("days", "9")];
    assert_eq!(send(&desk.router, request.body(filled(&fields)).unwrap()).await.status, 403);
    assert_eq!(
        send(&desk.router, form("/admin/tokens/create").header(header::COOKIE, &admin).body(Body::empty()).unwrap())
            .await
            .status,
        400
    );
    assert_eq!(desk.access.tokens().unwrap().len(), 1);
}
