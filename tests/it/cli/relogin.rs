//! A token that the server no longer accepts, and an account whose password was kept or was not: what
//! `crawl` does about it, as scripts see it.

use serde_json::Value;
use teamchat_archive::sandbox::{self, story};

use super::harness::{DONE, Place, REFUSED, Server, files_below, list, number, string};
use crate::talk::http_client;

/// An archive whose account keeps its password, crawled once.
fn kept() -> (Server, Place) {
    let server = Server::with(story::seed(), sandbox::Options { control: true, ..sandbox::Options::default() });
    let place = Place::new();
    place.run(&["init", "--server", &server.ready.url]).expect(DONE);
    login(&server, &place, &["--keep-password", "--live"]);
    place.crawl();
    (server, place)
}

fn login(server: &Server, place: &Place, more: &[&str]) {
    let password = place.file("password", &server.ready.password);
    let mut args = vec!["login", "--username", &server.ready.username, "--password-file", &password];
    args.extend(more);
    place.run(&args).expect(DONE);
}

/// How often somebody signed in or tried to: a digest takes two requests.
fn sign_ins(server: &Server) -> usize {
    let url = format!("{}/_control/requests", server.ready.url.split("/teamchatapi").next().unwrap());
    let request = http_client().get(url);
    let log = server.runtime.block_on(async { request.send().await.unwrap().text().await.unwrap() });
    let requests = log.lines().filter(|line| line.contains("\"iwauthentication.login.digest\"")).count();
    assert_eq!(requests % 2, 0, "{log}");
    requests / 2
}

fn account_file(place: &Place) -> (std::path::PathBuf, Value) {
    let path = files_below(&place.keys().join("accounts")).remove(0);
    let file = serde_json::from_str(&fs_err::read_to_string(&path).unwrap()).unwrap();
    (path, file)
}

fn revoke(server: &Server) {
    server.running.workspace().revoke_all(&server.ready.username).unwrap();
}

/// State and reason of the one account.
fn standing(place: &Place) -> (String, String) {
    let listed = place.run(&["account", "list", "--json"]).expect(DONE).json();
    (string(&listed, "/0/state"), listed[0]["reason"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn with_the_password_kept_a_crawl_signs_in_again_once_and_ends_complete() {
    let (server, place) = kept();
    let (_, before) = account_file(&place);
    let signed_in = sign_ins(&server);
    server.running.workspace().post("general", &server.ready.username, "after the token was revoked").unwrap();
    revoke(&server);
    let outcome = place.run(&["crawl", "--json", "-vvv"]).expect(DONE);
    let summary = outcome.json();
    assert_eq!((string(&summary, "/result").as_str(), number(&summary, "/messages/new")), ("complete", 1), "{summary}");
    let kinds: Vec<String> = list(&summary, "/findings").iter().map(|finding| string(finding, "/kind")).collect();
    assert_eq!(kinds, ["account_failed", "signed_in_again"], "{summary}");
    assert_eq!(summary.get("refused_accounts"), None, "{summary}");
    assert_eq!(sign_ins(&server), signed_in + 1);
    let (_, mut after) = account_file(&place);
    for secret in [string(&before, "/token"), string(&after, "/token"), server.ready.password.clone()] {
        assert!(!outcome.stderr.contains(&secret) && !outcome.text().contains(&secret), "a secret is printed");
    }
    assert_ne!(after["token"], before["token"]);
    after["token"] = before["token"].clone();
    assert_eq!(after, before, "all but the token is as it was");
    assert_eq!(standing(&place).0, "ok");
    place.verified();
    place.crawl();
    assert_eq!(sign_ins(&server), signed_in + 1, "the new token is used");
    place.verified();
}

#[test]
fn without_a_password_nobody_signs_in() {
    let (server, place) = kept();
    let (path, mut file) = account_file(&place);
    file.as_object_mut().unwrap().remove("password");
    fs_err::write(path, file.to_string()).unwrap();
    let signed_in = sign_ins(&server);
    revoke(&server);
    place.run(&["crawl"]).expect_error(REFUSED, &["does not accept"]).with_hint("login");
    assert_eq!(sign_ins(&server), signed_in);
    assert_eq!(standing(&place), ("needs_login".to_owned(), "token_revoked".to_owned()));
    place.verified();
}

#[test]
fn a_kept_password_that_is_wrong_is_tried_once_an_hour() {
    let (server, place) = kept();
    let (path, mut file) = account_file(&place);
    file["password"] = "not the password".into();
    fs_err::write(path, file.to_string()).unwrap();
    let signed_in = sign_ins(&server);
    revoke(&server);
    let outcome = place.run(&["crawl", "-vvv"]).expect_error(REFUSED, &["does not accept"]).with_hint("login");
    assert!(!outcome.stderr.contains("not the password"), "{outcome}");
    assert_eq!(sign_ins(&server), signed_in + 1);
    let (state, reason) = standing(&place);
    assert!(state == "needs_login" && reason.contains("invalid_auth"), "{state}: {reason}");
    place.run(&["crawl"]).expect_error(REFUSED, &["does not accept"]);
    assert_eq!(sign_ins(&server), signed_in + 1, "within the hour there is no second try");
    assert!(standing(&place).1.contains("once an hour"), "{}", standing(&place).1);
    place.verified();
    login(&server, &place, &[]);
    place.crawl();
    assert_eq!(standing(&place).0, "ok");
    place.verified();
}
