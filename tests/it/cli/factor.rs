//! What `serve` does with the key of second factors: makes it, needs it, and can do without when no account has one.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use secrecy::ExposeSecret as _;
use serde_json::Value;
use teamchat_archive::model::Clock;
use teamchat_archive::record::Visit;
use teamchat_archive::sandbox::generate;
use teamchat_archive::store::Layout;
use teamchat_archive::store::access::{Access, FactorKey};
use totp_rs::{Builder, Secret};

use super::harness::{DONE, FAILURE, Place, Server};

/// Serves the archive until its first line is there.
fn serve(place: &Place) {
    let mut serving = place.start(&["serve", "--listen", "127.0.0.1:0", "--json"]);
    let ready: Value = serde_json::from_str(&serving.line()).unwrap();
    assert!(ready["url"].is_string(), "{ready}");
    serving.terminate();
    serving.finish().expect(DONE);
}

/// Sets up a second factor for an account, as its holder does with an app.
fn set_up(place: &Place, name: &str) {
    let key = fs_err::read_to_string(place.keys().join("second-factor.key")).unwrap();
    let key = FactorKey::new(key.trim().to_owned().into());
    let access = Access::open(&Layout::new(place.archive()), Clock::System).unwrap();
    access.begin_factor(name).unwrap();
    let told = access.app_secret(name, &key, "").unwrap().unwrap();
    let address = url::Url::parse(told.address.expose_secret()).unwrap();
    let secret = address.query_pairs().find(|(name, _)| name == "secret").unwrap().1.into_owned();
    let secret = Secret::try_from_base32(secret).unwrap();
    let app = Builder::new().with_secret(secret).with_account_name(name).build().unwrap();
    let user = access.user(name).unwrap().unwrap();
    let code = app.generate(Clock::System.now().timestamp().cast_unsigned()).to_string();
    access.turn_factor_on(&user, &key, &code, &Visit::default()).unwrap();
}

#[test]
fn serve_does_not_start_without_the_key_of_second_factors_that_accounts_have() {
    let server = Server::start(generate::seed(3, 1));
    let place = Place::new();
    place.run(&["init", "--server", &server.ready.url]).expect(DONE);
    let password = place.file("password", "correct horse battery");
    place.run(&["user", "add", "ada", "--role", "auditor", "--password-file", &password]).expect(DONE);
    serve(&place);
    set_up(&place, "ada");
    assert!(place.run(&["user", "list"]).expect(DONE).text().contains("second factor"));
    serve(&place);

    let key = place.keys().join("second-factor.key");
    let kept = fs_err::read(&key).unwrap();
    fs_err::remove_file(&key).unwrap();
    place
        .run(&["serve", "--listen", "127.0.0.1:0"])
        .expect_error(FAILURE, &["key of the second factors", key.to_str().unwrap()])
        .with_hint("put it back");
    assert!(!key.exists(), "another key was made, with which no code is right");
    fs_err::write(&key, kept).unwrap();
    fs_err::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    serve(&place);

    // Lost for good: who has a second factor is asked for none any more, and a new key is made.
    fs_err::remove_file(&key).unwrap();
    place.run(&["serve", "--listen", "127.0.0.1:0"]).expect_error(FAILURE, &[]).with_hint("user reset-factor NAME");
    place.run(&["user", "reset-factor", "ada"]).expect(DONE);
    serve(&place);
    assert!(key.exists());
}
