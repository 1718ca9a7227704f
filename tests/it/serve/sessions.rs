//! Sessions: listed with where they came from, ended by who may, and one's own password.

use secrecy::ExposeSecret as _;
use teamchat_archive::model::{Role, Scope};
use teamchat_archive::record::Visit;
use teamchat_archive::store::access::Arrival;

use super::{Desk, PASSWORD, cookie_of, only, tags, text_of};

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
const NEW: &str = "another horse battery";

/// Another session of an account.
fn session(desk: &Desk, name: &str, from: &str, agent: &str) -> String {
    let visit = Visit { from: Some(from.to_owned()), ..Visit::default() };
    let arrival = Arrival { agent: Some(agent), ..Arrival::default() };
    format!("__Host-sid={}", desk.access.start_session(name, &visit, arrival).unwrap().expose_secret())
}

/// The sessions that a page can end.
fn listed(html: &str) -> Vec<String> {
    let buttons = tags(html).into_iter().filter(|tag| tag.name == "button" && tag.attribute("name") == "which");
    buttons.map(|tag| tag.attribute("value").to_owned()).filter(|which| which.len() == 64).collect()
}

#[tokio::test]
async fn ones_own_sessions_are_listed_and_ended() {
    let desk = Desk::open().await;
    let here = desk.auditor();
    let lent = session(&desk, "ada", "192.0.2.7:4711", FIREFOX);
    let third = session(&desk, "ada", "192.0.2.8:1", "\u{202e}<script>alert(1)</script>");
    desk.cookie("bo", Role::Auditor, &Scope::All);
    let page = desk.html(&here, "/sessions").await;
    let said = text_of(&page);
    assert!(
        said.contains("Firefox on Linux") && said.contains("192.0.2.7:4711") && said.contains("this one"),
        "{said}"
    );
    assert!(said.contains("[U+202E]<script>"), "{said}");
    assert!(!tags(&page).iter().any(|tag| tag.name == "script" && tag.attribute("src").is_empty()));
    assert_eq!(listed(&page).len(), 3, "{said}");
    for cookie in [&here, &lent, &third] {
        assert!(!page.contains(&cookie["__Host-sid=".len()..]), "a cookie stands in the page");
    }

    // One by what it is called; then all others; then this one, too.
    let of_lent = teamchat_archive::store::access::Access::session_id(&lent["__Host-sid=".len()..]).to_string();
    assert!(listed(&page).contains(&of_lent));
    assert_eq!(desk.form(&here, "/sessions/end", &[("which", &of_lent)]).await.status, 303);
    assert_eq!(desk.page(&lent, "/").await.status, 303);
    desk.html(&third, "/").await;
    assert_eq!(desk.form(&here, "/sessions/end", &[("which", "others")]).await.status, 303);
    assert_eq!(desk.page(&third, "/").await.status, 303);
    desk.html(&here, "/").await;
    assert_eq!(desk.form(&here, "/sessions/end", &[("which", "nonsense")]).await.status, 404);
    let out = desk.form(&here, "/sessions/end", &[("which", "all")]).await;
    assert_eq!((out.status.as_u16(), out.header("location")), (303, "/login"));
    assert_eq!(desk.page(&here, "/").await.status, 303);
    let ended = desk.access.log().entries(0, 1000).unwrap();
    let ended: Vec<_> = ended.iter().filter(|entry| entry.header.contains("sessions_ended")).collect();
    assert_eq!(ended.len(), 3);
    assert!(
        ended.iter().all(|entry| entry.body.contains("\"user\":\"ada\"") && entry.body.contains("\"subject\":\"ada\""))
    );
    desk.archive.check();
}

#[tokio::test]
async fn an_admin_ends_anybodys_sessions_and_nobody_else_does() {
    let desk = Desk::open().await;
    let admin = desk.cookie("root", Role::Admin, &Scope::nothing());
    let rita = desk.cookie("rita", Role::Reviewer, &only(&["C1"]));
    let ada = desk.auditor();
    let id = teamchat_archive::store::access::Access::session_id(&ada["__Host-sid=".len()..]).to_string();
    // Whose sessions are not hers do not exist for her, and neither does who is nobody.
    for path in ["/sessions?of=ada", "/sessions?of=nobody"] {
        assert_eq!(desk.page(&rita, path).await.status, 404, "{path}");
    }
    for (of, which) in [("ada", "all"), ("ada", id.as_str()), ("nobody", "all")] {
        assert_eq!(desk.form(&rita, "/sessions/end", &[("of", of), ("which", which)]).await.status, 404);
    }
    // Called by its name, but as her own.
    desk.form(&rita, "/sessions/end", &[("which", &id)]).await;
    desk.html(&ada, "/").await;

    let page = desk.html(&admin, "/sessions?of=ada").await;
    assert_eq!(listed(&page), [id.as_str()]);
    assert!(text_of(&page).contains("Sessions of ada") && !page.contains("/sessions/password"));
    let out = desk.form(&admin, "/sessions/end", &[("of", "ada"), ("which", "all")]).await;
    assert_eq!((out.status.as_u16(), out.header("location")), (303, "/sessions?of=ada"));
    assert_eq!(desk.page(&ada, "/").await.status, 303);
    desk.html(&admin, "/admin/users").await;
    assert_eq!(desk.page(&admin, "/sessions?of=nobody").await.status, 404);
    let last = desk.access.log().entries(0, 1000).unwrap();
    let last = last.iter().rfind(|entry| entry.header.contains("sessions_ended")).unwrap();
    assert!(last.body.contains("\"user\":\"root\"") && last.body.contains("\"subject\":\"ada\""), "{}", last.body);
}

#[tokio::test]
async fn a_password_is_changed_by_who_knows_the_old_one() {
    let desk = Desk::open().await;
    let here = desk.auditor();
    let lent = session(&desk, "ada", "192.0.2.7:1", FIREFOX);
    for (current, password, again, status, said) in [
        ("wrong horse battery", NEW, NEW, 403, "not right"),
        (PASSWORD, NEW, PASSWORD, 400, "not the same"),
        (PASSWORD, "short", "short", 400, "too short"),
        (PASSWORD, "ada ada ada ada", "ada ada ada ada", 400, "guessed"),
    ] {
        let fields = [("current", current), ("password", password), ("again", again)];
        let refused = desk.form(&here, "/sessions/password", &fields).await;
        assert_eq!(refused.status, status, "{said}");
        assert!(text_of(&refused.text()).contains(said), "{said}: {}", refused.text());
        for secret in [current, password] {
            let is_told =
                refused.text().contains(&format!("\"{secret}\"")) || text_of(&refused.text()).contains(PASSWORD);
            assert!(!is_told, "a password stands in the page");
        }
    }
    desk.html(&lent, "/").await;
    let fields = [("current", PASSWORD), ("password", NEW), ("again", NEW)];
    let changed = desk.form(&here, "/sessions/password", &fields).await;
    assert_eq!((changed.status.as_u16(), changed.header("location")), (303, "/sessions"));
    let new = cookie_of(&changed);
    desk.html(&new, "/").await;
    for old in [&here, &lent] {
        assert_eq!(desk.page(old, "/").await.status, 303, "an old session still runs");
    }
    let sign_in = async |password: &str| desk.form("", "/login", &[("username", "ada"), ("password", password)]).await;
    assert_eq!((sign_in(PASSWORD).await.status.as_u16(), sign_in(NEW).await.status.as_u16()), (401, 303));
    // Whoever found a browser open guesses no more often than at the door.
    tokio::time::pause();
    let before = tokio::time::Instant::now();
    for _ in 0..6 {
        let fields = [("current", "wrong horse battery"), ("password", NEW), ("again", NEW)];
        desk.form(&new, "/sessions/password", &fields).await;
    }
    assert!(before.elapsed().as_secs() >= 2);
}
