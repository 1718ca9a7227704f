use secrecy::ExposeSecret as _;

use super::super::tests::bench;
use super::*;
use crate::model::Digest;

const PASSWORD: &str = "correct horse battery";

fn auditor() -> Grant {
    Grant::new(Role::Auditor, None).unwrap()
}

fn reviewer(scope: &Scope) -> Grant {
    Grant::new(Role::Reviewer, Some(scope.clone())).unwrap()
}

/// Makes an account that sees all.
pub(super) fn add(access: &Access, name: &str) {
    access.add_user(name, &auditor(), &PASSWORD.to_owned().into()).unwrap();
}

pub(super) fn access() -> (tempfile::TempDir, Access, Arc<std::sync::atomic::AtomicI64>) {
    let bench = bench();
    let clock = Clock::set(1_700_000_000_000);
    let Clock::Set(hand) = clock.clone() else { unreachable!() };
    let access = Access::open(&bench.layout, clock).unwrap();
    (bench.folder, access, hand)
}

#[test]
fn a_user_signs_in_with_the_right_password_only() {
    let (_folder, access, _) = access();
    let password: SecretString = "correct horse battery".to_owned().into();
    access.add_user("ada", &auditor(), &password).unwrap();
    assert!(matches!(access.add_user("ada", &auditor(), &password), Err(AccessError::Taken { .. })));
    assert!(matches!(access.add_user("bob", &auditor(), &"short".to_owned().into()), Err(AccessError::ShortPassword)));
    assert_eq!(access.check_password("ada", &password).unwrap().unwrap().role, Role::Auditor);
    assert_eq!(access.check_password("ada", &"wrong horse battery".to_owned().into()).unwrap(), None);
    assert_eq!(access.check_password("eve", &password).unwrap(), None);
    access.disable_user("ada").unwrap();
    assert_eq!(access.check_password("ada", &password).unwrap(), None);
}

#[test]
fn sessions_end_by_idling_by_age_and_by_signing_out() {
    use std::sync::atomic::Ordering;
    let (_folder, access, hand) = access();
    access.add_user("ada", &auditor(), &"correct horse battery".to_owned().into()).unwrap();
    let cookie = access.start_session("ada", &Visit::default(), Arrival::default()).unwrap();
    let cookie = cookie.expose_secret();
    assert!(access.session_user(cookie).unwrap().is_some());
    assert!(access.session_user("guess").unwrap().is_none());
    for _ in 0..23 {
        hand.fetch_add(29 * 60 * 1000, Ordering::Relaxed);
        assert!(access.session_user(cookie).unwrap().is_some());
    }
    hand.fetch_add(3600 * 1000, Ordering::Relaxed);
    assert!(access.session_user(cookie).unwrap().is_none(), "older than twelve hours");
    let second = access.start_session("ada", &Visit::default(), Arrival::default()).unwrap();
    hand.fetch_add(31 * 60 * 1000, Ordering::Relaxed);
    assert!(access.session_user(second.expose_secret()).unwrap().is_none(), "idle");
    let third = access.start_session("ada", &Visit::default(), Arrival::default()).unwrap();
    let ada = access.session_user(third.expose_secret()).unwrap().unwrap();
    access.end_session(third.expose_secret(), &ada, &Visit::default()).unwrap();
    assert!(access.session_user(third.expose_secret()).unwrap().is_none());
    let fourth = access.start_session("ada", &Visit::default(), Arrival::default()).unwrap();
    access.set_role("ada", &Grant::new(Role::Verifier, None).unwrap()).unwrap();
    assert!(access.session_user(fourth.expose_secret()).unwrap().is_none(), "its rights changed");
}

#[test]
fn a_token_ends_by_time_and_by_revocation() {
    use std::sync::atomic::Ordering;
    let (_folder, access, hand) = access();
    let expires = chrono::DateTime::from_timestamp(1_700_000_100, 0).unwrap();
    let scope = Scope::Channels([ChannelId::parse("C1").unwrap()].into());
    let (secret, _) = access.create_token("robot", Role::Reviewer, &scope, expires).unwrap();
    assert_eq!(access.check_token(secret.expose_secret()).unwrap().unwrap().scope, scope);
    assert!(access.check_token("arc_x").unwrap().is_none());
    hand.fetch_add(200_000, Ordering::Relaxed);
    assert!(access.check_token(secret.expose_secret()).unwrap().is_none());
    hand.fetch_sub(200_000, Ordering::Relaxed);
    access.revoke_token("robot").unwrap();
    assert!(access.check_token(secret.expose_secret()).unwrap().is_none());
    assert!(matches!(access.revoke_token("nobody"), Err(AccessError::Unknown { .. })));
}

#[test]
fn each_change_is_an_entry_without_a_secret() {
    let (_folder, access, _) = access();
    let password: SecretString = "correct horse battery".to_owned().into();
    let from = Visit { from: Some("192.0.2.1:5".to_owned()), ..Visit::default() };
    access.add_user("ada", &auditor(), &password).unwrap();
    access.add_user("ada", &auditor(), &password).unwrap_err();
    let cookie = access.start_session("ada", &from, Arrival::default()).unwrap();
    access.refuse_sign_in("ada", &from).unwrap();
    access.refuse_sign_in("correct horse battery", &from).unwrap();
    let ada = access.session_user(cookie.expose_secret()).unwrap().unwrap();
    access.end_session(cookie.expose_secret(), &ada, &from).unwrap();
    let scope = Scope::Channels([ChannelId::parse("C1").unwrap()].into());
    access.set_role("ada", &reviewer(&scope)).unwrap();
    access.disable_user("ada").unwrap();
    let ends = chrono::DateTime::from_timestamp(1_700_000_100, 0).unwrap();
    let (secret, _) = access.create_token("robot", Role::Reviewer, &scope, ends).unwrap();
    access.revoke_token("robot").unwrap();
    access.revoke_token("nobody").unwrap_err();
    let entries = access.log().entries(0, 100).unwrap();
    let told: Vec<(String, Visit)> = entries
        .iter()
        .map(|entry| {
            let header: crate::record::VisitHeader = serde_json::from_str(&entry.header).unwrap();
            let action = serde_json::to_value(header.action).unwrap();
            (action.as_str().unwrap().to_owned(), serde_json::from_str(&entry.body).unwrap())
        })
        .collect();
    let actions: Vec<&str> = told.iter().map(|(action, _)| action.as_str()).collect();
    let expected = [
        "user_added",
        "sign_in",
        "sign_in_failed",
        "sign_in_failed",
        "sign_out",
        "user_changed",
        "user_disabled",
        "token_created",
        "token_revoked",
    ];
    assert_eq!(actions, expected, "what was refused changed nothing and is no entry");
    assert_eq!((told[2].1.subject.as_deref(), told[3].1.subject.as_deref()), (Some("ada"), None));
    assert_eq!(told[1].1.user.as_deref(), Some("ada"));
    assert_eq!(told[1].1.from.as_deref(), Some("192.0.2.1:5"));
    assert_eq!(told[5].1.scope, Some(serde_json::json!(["C1"])));
    assert_eq!(told[7].1.expires.as_deref(), Some("2023-11-14T22:15:00.000Z"));
    assert!(told[0].1.from.as_deref().is_some_and(|from| from.starts_with("command line")));
    let all: String = entries.iter().map(|entry| format!("{}{}", entry.header, entry.body)).collect();
    for hidden in ["correct horse", cookie.expose_secret(), secret.expose_secret()] {
        assert!(!all.contains(hidden), "{hidden} is in the log");
    }
}

#[test]
fn a_reviewer_needs_channels() {
    assert!(matches!(scope_for(Role::Reviewer, None), Err(AccessError::NoChannels(_))));
    assert_eq!(scope_for(Role::Auditor, None).unwrap(), Scope::All);
    assert_eq!(scope_for(Role::Admin, None).unwrap(), Scope::nothing());
}

#[test]
fn a_session_is_listed_and_ended_by_name_one_by_one_or_all_at_once() {
    use std::sync::atomic::Ordering;
    let (_folder, access, hand) = access();
    let password: SecretString = PASSWORD.to_owned().into();
    for name in ["ada", "bo"] {
        access.add_user(name, &auditor(), &password).unwrap();
    }
    let from = Visit { from: Some("192.0.2.1:5".to_owned()), ..Visit::default() };
    let long = "é".repeat(300);
    let first = access.start_session("ada", &from, Arrival { agent: Some(&long), before: None, client: None }).unwrap();
    hand.fetch_add(120_000, Ordering::Relaxed);
    let second = access.start_session("ada", &from, Arrival::default()).unwrap();
    let other = access.start_session("bo", &from, Arrival::default()).unwrap();
    let listed = access.sessions(Some("ada")).unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!(
        (listed[0].id, listed[1].id),
        (Access::session_id(second.expose_secret()), Digest::of(first.expose_secret().as_bytes()))
    );
    assert_eq!(listed[1].from.as_deref(), Some("192.0.2.1:5"));
    assert_eq!(listed[1].agent.as_ref().map(String::len), Some(256));
    assert_eq!((listed[0].since - listed[1].since).num_seconds(), 120);
    assert_eq!(access.sessions(None).unwrap().len(), 3);

    // Nobody's session is ended under the name of another.
    access.end_one_session(&listed[0].id, "bo").unwrap();
    assert!(access.session_user(second.expose_secret()).unwrap().is_some());
    access.end_one_session(&listed[1].id, "ada").unwrap();
    assert!(access.session_user(first.expose_secret()).unwrap().is_none());
    let third = access.start_session("ada", &from, Arrival::default()).unwrap();
    access.end_other_sessions("ada", third.expose_secret()).unwrap();
    assert!(access.session_user(second.expose_secret()).unwrap().is_none());
    assert!(access.session_user(third.expose_secret()).unwrap().is_some());
    access.end_sessions("ada").unwrap();
    assert_eq!(access.sessions(Some("ada")).unwrap(), []);
    assert!(access.session_user(other.expose_secret()).unwrap().is_some());
    assert!(matches!(access.end_sessions("eve"), Err(AccessError::Unknown { .. })));

    // What has run out is not listed, and who signs in with an old cookie leaves it behind.
    hand.fetch_add(31 * 60 * 1000, Ordering::Relaxed);
    assert_eq!(access.sessions(None).unwrap(), []);
    let old = access.start_session("ada", &from, Arrival::default()).unwrap();
    access
        .start_session("ada", &from, Arrival { agent: None, before: Some(old.expose_secret()), client: None })
        .unwrap();
    assert!(access.session_user(old.expose_secret()).unwrap().is_none());
}

#[test]
fn the_first_account_is_made_once_and_in_time() {
    use std::sync::atomic::Ordering;
    let (_folder, access, hand) = access();
    let password: SecretString = PASSWORD.to_owned().into();
    let visit = Visit { from: Some("127.0.0.1:5".to_owned()), ..Visit::default() };
    let finish = |token: &SecretString, name: &str| access.finish_setup(token, name, &auditor(), &password, &visit);
    let late = access.begin_setup().unwrap().unwrap();
    assert!(matches!(finish(&"guess".to_owned().into(), "ada"), Err(AccessError::BadSetupToken)));
    hand.fetch_add(30 * 60 * 1000 - 1000, Ordering::Relaxed);
    access.check_setup(&late).unwrap();
    hand.fetch_add(1000, Ordering::Relaxed);
    assert!(matches!(finish(&late, "ada"), Err(AccessError::ExpiredSetupToken)));
    let (token, second) = (access.begin_setup().unwrap().unwrap(), access.begin_setup().unwrap().unwrap());
    assert!(matches!(finish(&token, " ada"), Err(AccessError::BadName)));
    assert_eq!(finish(&token, "ada").unwrap().role, Role::Auditor);
    for used in [&token, &second, &late] {
        assert!(matches!(finish(used, "eve"), Err(AccessError::SetUp)));
    }
    assert!(access.begin_setup().unwrap().is_none());
    let raw = access
        .with(|connection| Ok(connection.query_row("SELECT count(*) FROM setup", [], |row| row.get::<_, i64>(0))?));
    assert_eq!(raw.unwrap(), 0);
    let entries = access.log().entries(0, 10).unwrap();
    assert_eq!(entries.len(), 1);
    assert!(entries[0].header.contains("user_added") && entries[0].body.contains("127.0.0.1:5"), "{entries:?}");
    // An account that is refused was somebody's all the same.
    access.disable_user("ada").unwrap();
    assert!(access.begin_setup().unwrap().is_none() && !access.has_users().unwrap());
}

#[test]
fn exporting_is_a_right_of_its_own_and_goes_with_each_change_of_role() {
    let (_folder, access, _) = access();
    access.add_user("ada", &auditor(), &PASSWORD.to_owned().into()).unwrap();
    assert!(!access.user("ada").unwrap().unwrap().may_export, "no role has it by itself");
    let admin = access.add_user("root", &Grant::new(Role::Admin, None).unwrap(), &PASSWORD.to_owned().into()).unwrap();
    let from = Visit { from: Some("192.0.2.9:1".to_owned()), ..Visit::default() };
    let by = access.asked_by(&admin, &from);
    assert!(by.set_role("ada", &Grant { may_export: true, ..auditor() }).unwrap().may_export);
    let body = access.log().entries(2, 1).unwrap().remove(0).body;
    let told: Visit = serde_json::from_str(&body).unwrap();
    assert_eq!((told.user.as_deref(), told.role.as_deref()), (Some("root"), Some("admin")));
    assert_eq!(
        (told.subject.as_deref(), told.may_export, told.from.as_deref()),
        (Some("ada"), Some(true), Some("192.0.2.9:1"))
    );
    assert_eq!(told.scope, Some(serde_json::json!("all")), "what the account may see, not who asked");
    assert!(!access.set_role("ada", &auditor()).unwrap().may_export);
}

#[test]
fn a_refused_account_is_let_in_again_and_a_new_password_ends_its_sessions() {
    let (_folder, access, _) = access();
    let (old, new): (SecretString, SecretString) =
        (PASSWORD.to_owned().into(), "another horse battery".to_owned().into());
    access.add_user("ada", &auditor(), &old).unwrap();
    access.disable_user("ada").unwrap();
    assert!(!access.enable_user("ada").unwrap().disabled);
    assert!(access.check_password("ada", &old).unwrap().is_some());
    let cookie = access.start_session("ada", &Visit::default(), Arrival::default()).unwrap();
    assert!(matches!(
        access.set_password("ada", &"ada ada ada ada".to_owned().into()),
        Err(AccessError::CommonPassword)
    ));
    assert!(access.session_user(cookie.expose_secret()).unwrap().is_some(), "what was refused changes nothing");
    access.set_password("ada", &new).unwrap();
    assert!(access.session_user(cookie.expose_secret()).unwrap().is_none());
    assert!(
        access.check_password("ada", &old).unwrap().is_none() && access.check_password("ada", &new).unwrap().is_some()
    );
}

#[test]
fn a_use_of_a_token_is_noted_to_the_hour() {
    use std::sync::atomic::Ordering;
    let (_folder, access, hand) = access();
    let ends = chrono::DateTime::from_timestamp(1_800_000_000, 0).unwrap();
    let (secret, token) = access.create_token("robot", Role::Auditor, &Scope::All, ends).unwrap();
    assert_eq!(token.last_use, None);
    let last = || access.tokens().unwrap()[0].last_use.map(|at| at.timestamp());
    access.check_token(secret.expose_secret()).unwrap().unwrap();
    hand.fetch_add(3_599_000, Ordering::Relaxed);
    access.check_token(secret.expose_secret()).unwrap().unwrap();
    assert_eq!(last(), Some(1_700_000_000));
    hand.fetch_add(1_000, Ordering::Relaxed);
    access.check_token(secret.expose_secret()).unwrap().unwrap();
    assert_eq!(last(), Some(1_700_003_600));
}

#[test]
fn an_error_names_the_database_that_it_is_of() {
    let bench = bench();
    let access = Access::open(&bench.layout, Clock::System).unwrap();
    let other = Connection::open(bench.layout.access()).unwrap();
    other.execute_batch("ALTER TABLE session RENAME TO sessions; ALTER TABLE entry RENAME TO entries").unwrap();
    let error = access.sessions(None).unwrap_err().to_string();
    assert!(error.starts_with("the database access.db is damaged: "), "{error}");
    let error = access.log().record(Action::View, &Visit::default()).unwrap_err().to_string();
    assert!(error.starts_with("the database access.db is damaged: "), "{error}");
}
