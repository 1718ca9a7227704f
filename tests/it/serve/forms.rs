//! What is sent by hand or by a broken form: each route that changes something refuses what lacks a field, and nothing
//! is changed by it.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use axum::body::Body;
use axum::http::header;
use teamchat_archive::model::{Role, Scope};
use teamchat_archive::record::Kind;

use super::exporting::Office;
use super::routes::{addresses, routes};
use super::{Answer, PASSWORD, encode, post, send};

/// What a form is without one of its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Without {
    /// Nothing that can be read: 400 or 422.
    Bad,
    /// About somebody or something of no name, which does not exist: 404, or 400.
    Nobody,
    /// The wrong key at a door: 401 or 403.
    Shut,
    /// Still a form: it has its effect.
    Whole,
}
use Without::{Bad, Nobody, Shut, Whole};

/// A route, its whole form, and what the form is without each field.
struct Form {
    pattern: &'static str,
    fields: &'static [(&'static str, &'static str, Without)],
}

const fn form(pattern: &'static str, fields: &'static [(&'static str, &'static str, Without)]) -> Form {
    Form { pattern, fields }
}

/// Every form; the whole ones are sent in this order. `RECORD` stands for one.
const FORMS: [Form; 31] = [
    form("/look", &[("tz", "UTC", Bad), ("theme", "dark", Whole), ("keys", "on", Whole), ("back", "/c", Whole)]),
    form("/saved/keep", &[("address", "q=plate", Bad), ("name", "plates", Whole)]),
    form("/saved/{id}/delete", &[]),
    form("/exhibits", &[("record", "RECORD", Bad)]),
    form("/exhibits/{n}/title", &[("title", "a name", Whole)]),
    form("/exhibits/{n}/remove", &[("record", "RECORD", Whole)]),
    form("/exhibits/{n}/join", &[("exhibit", "2", Nobody)]),
    form("/exhibits/{n}/delete", &[]),
    form("/exports", &[("format", "csv", Bad)]),
    form("/exports/{n}/stop", &[]),
    form("/exports/{n}/again", &[]),
    form("/exports/{n}/delete", &[]),
    form("/verify", &[("depth", "quick", Bad)]),
    form(
        "/admin/users/add",
        &[
            ("name", "new", Bad),
            ("role", "reviewer", Bad),
            ("all", "yes", Bad),
            ("password", PASSWORD, Bad),
            ("again", PASSWORD, Bad),
        ],
    ),
    form("/admin/users/change", &[("name", "ben", Nobody), ("role", "reviewer", Bad), ("all", "yes", Bad)]),
    form("/admin/users/factor", &[("name", "ben", Nobody)]),
    form("/admin/users/password", &[("name", "ben", Nobody), ("password", PASSWORD, Bad), ("again", PASSWORD, Bad)]),
    form("/admin/users/state", &[("name", "ben", Nobody), ("state", "disabled", Bad)]),
    form(
        "/admin/tokens/create",
        &[("name", "script", Bad), ("role", "reviewer", Bad), ("all", "yes", Bad), ("days", "9", Bad)],
    ),
    form("/admin/tokens/revoke", &[("name", "script", Bad)]),
    form("/login", &[("username", "ada", Shut), ("password", PASSWORD, Bad), ("next", "/c", Whole)]),
    form(
        "/setup",
        &[
            ("token", "x", Bad),
            ("username", "x", Shut),
            ("role", "admin", Shut),
            ("password", PASSWORD, Bad),
            ("again", PASSWORD, Bad),
        ],
    ),
    form("/login/code", &[("code", "123456", Bad), ("next", "/c", Shut)]),
    form("/sessions/factor/begin", &[("current", PASSWORD, Bad)]),
    form("/sessions/factor/on", &[("code", "123456", Bad)]),
    form("/sessions/factor/off", &[("code", "123456", Bad)]),
    form("/csp-report", &[]),
    form("/teamchatapi/{method}", &[("token", "TOKEN", Whole), ("query", "crane", Whole)]),
    form("/sessions/end", &[("which", "others", Bad), ("of", "ada", Whole)]),
    form(
        "/sessions/password",
        &[("current", PASSWORD, Bad), ("password", "another long one", Bad), ("again", "another long one", Bad)],
    ),
    form("/logout", &[]),
];

/// The office with an exhibit, a saved search and an account to be changed; who is signed in there.
struct Open {
    office: Office,
    ada: String,
    root: String,
    record: String,
    token: String,
}

impl Open {
    async fn new() -> Self {
        let office = Office::open().await;
        let ada = office.exporter("ada", Role::Auditor, &Scope::All);
        let root = office.desk.cookie("root", Role::Admin, &Scope::nothing());
        office.desk.cookie("ben", Role::Auditor, &Scope::All);
        let messages = office.desk.archive.newest(Kind::Message).into_values();
        let record = messages.into_iter().next().unwrap().latest().unwrap().seq.to_string();
        for _ in 0..2 {
            assert_eq!(office.form(&ada, "/exhibits", &[("record", &record)]).await.status, 303);
        }
        assert_eq!(office.form(&ada, "/saved/keep", &[("address", "q=crane")]).await.status, 303);
        let token = office.desk.auditor_token();
        Self { office, ada, root, record, token }
    }

    /// All that a form can change.
    fn state(&self) -> String {
        let access = &self.office.desk.access;
        let mut out = String::new();
        // Writing into a text does not fail.
        for user in access.users().unwrap() {
            let _ = writeln!(out, "{user:?}");
        }
        let _ = writeln!(out, "{:?}", access.tokens().unwrap());
        for user in ["ada", "root", "ben"] {
            let _ = writeln!(out, "{:?}", access.saved_searches(user).unwrap());
            let _ = writeln!(out, "{:?} {:?}", access.exhibits(user).unwrap(), access.jobs(user).unwrap());
            let sessions = access.sessions(Some(user)).unwrap();
            let ids: BTreeSet<String> = sessions.iter().map(|session| session.id.to_string()).collect();
            let _ = writeln!(out, "{ids:?}");
        }
        out
    }

    /// Everybody still has their password.
    fn have_their_passwords(&self) -> bool {
        let is_right =
            |user: &&str| self.office.desk.access.check_password(user, &PASSWORD.to_owned().into()).unwrap().is_some();
        ["ada", "root", "ben"].iter().all(is_right)
    }

    fn value(&self, value: &str) -> String {
        value.replace("RECORD", &self.record).replace("TOKEN", &self.token)
    }

    /// Who may use the form.
    fn cookie(&self, path: &str) -> &str {
        if path.starts_with("/admin") { &self.root } else { &self.ada }
    }

    async fn send(&self, cookie: &str, path: &str, kind: &str, body: String) -> Answer {
        let request = post(path).header(header::COOKIE, cookie).header(header::CONTENT_TYPE, kind);
        send(&self.office.router, request.body(Body::from(body)).unwrap()).await
    }

    /// The form without one of its fields; of no name, all of it.
    async fn form(&self, cookie: &str, path: &str, form: &Form, without: &str) -> Answer {
        let fields = form.fields.iter().filter(|(name, ..)| *name != without);
        let pairs: Vec<String> =
            fields.map(|(name, value, _)| format!("{name}={}", encode(&self.value(value)))).collect();
        self.send(cookie, path, "application/x-www-form-urlencoded", pairs.join("&")).await
    }
}

fn path(pattern: &str) -> String {
    let value = match pattern {
        "/teamchatapi/{method}" => "search.all",
        // The first was put into it.
        "/exhibits/{n}/delete" => "2",
        _ => "1",
    };
    addresses(pattern, &|_, _| vec![value.to_owned()]).remove(0)
}

#[tokio::test]
async fn a_form_that_lacks_a_field_is_refused_and_changes_nothing() {
    let open = Open::new().await;
    let known: BTreeSet<&str> = FORMS.iter().map(|form| form.pattern).collect();
    let routes = routes();
    let posts: BTreeSet<&str> = routes.iter().filter(|route| route.posts).map(|route| route.pattern.as_str()).collect();
    assert_eq!(posts, known, "nobody thought of the form of a new route");
    let before = open.state();
    let mut refused = 0;
    for form in &FORMS {
        let path = path(form.pattern);
        for (field, _, due) in form.fields.iter().filter(|(.., due)| *due != Whole) {
            let answer = open.form(open.cookie(&path), &path, form, field).await;
            let allowed: &[u16] = match due {
                Bad => &[400, 422],
                Nobody => &[400, 404],
                Shut => &[401, 403],
                Whole => unreachable!(),
            };
            let status = answer.status.as_u16();
            assert!(allowed.contains(&status), "{path} without {field}: {status} {}", answer.text());
            assert!(!answer.body.is_empty(), "{path} without {field} says nothing");
            assert_eq!(open.state(), before, "{path} without {field} changes something");
            refused += 1;
        }
    }
    assert!(refused > 25 && open.have_their_passwords(), "{refused}");
}

#[tokio::test]
async fn what_is_no_form_is_refused_and_changes_nothing() {
    let open = Open::new().await;
    let before = open.state();
    let form_kind = "application/x-www-form-urlencoded";
    for form in FORMS.iter().filter(|form| form.fields.iter().any(|(.., due)| *due != Whole)) {
        let path = path(form.pattern);
        for (kind, body) in [
            (form_kind, String::new()),
            (form_kind, "&&==&%&%zz=%ff&=".to_owned()),
            (
                form_kind,
                form.fields.iter().map(|(name, ..)| format!("{name}=%00&{name}=%ff")).collect::<Vec<_>>().join("&"),
            ),
            ("application/json", "{}".to_owned()),
            ("text/plain", "x".repeat(5000)),
            ("", String::new()),
        ] {
            let answer = open.send(open.cookie(&path), &path, kind, body.clone()).await;
            let status = answer.status.as_u16();
            assert!((400..500).contains(&status), "{path} {kind} {body:.40}: {status} {}", answer.text());
            assert_eq!(open.state(), before, "{path} {kind} {body:.40} changes something");
        }
    }
    assert!(open.have_their_passwords());
}

#[tokio::test]
async fn the_whole_form_has_its_effect() {
    let open = Open::new().await;
    for form in &FORMS {
        let path = path(form.pattern);
        // One form ends the session of another.
        let ada = open.office.session("ada");
        if path == "/admin/users/password" {
            open.office.session("ben");
        }
        let cookie = if path.starts_with("/admin") { &open.root } else { &ada };
        let before = open.state();
        let answer = open.form(cookie, &path, form, "").await;
        let status = answer.status.as_u16();
        open.office.wait().await;
        match form.pattern {
            // There are accounts already, and a report is no form.
            "/setup" => assert_eq!(status, 403),
            "/csp-report" => assert_eq!(status, 415),
            // Nobody gave a password there, and this server has no key for codes.
            "/login/code" => assert_eq!(status, 401),
            "/sessions/factor/begin" | "/sessions/factor/on" | "/sessions/factor/off" => {
                assert_eq!(status, 404, "{path}");
            }
            _ => assert!(matches!(status, 200 | 303), "{path}: {status} {}", answer.text()),
        }
        let is_kept = ["/look", "/setup", "/login/code", "/csp-report", "/verify"];
        // What was over already, and what notes no more than that a token was used.
        let no_more = [
            "/exports/{n}/stop",
            "/exports/{n}/again",
            "/sessions/end",
            "/admin/users/factor",
            "/teamchatapi/{method}",
        ];
        let is_same = open.state() == before;
        if is_kept.contains(&form.pattern) || form.pattern.starts_with("/sessions/factor/") {
            assert!(is_same, "{path}");
        } else if !no_more.contains(&form.pattern) {
            assert!(!is_same, "{path} has no effect: {status}");
        }
    }
}
