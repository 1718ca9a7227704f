//! `serve` on an archive in which nobody has an account, and the doors that it opens to others.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};
use teamchat_archive::sandbox::story;

use super::harness::{DONE, Place, Server, USAGE, string};
use super::tls::{self, Certificate};

const PASSWORD: &str = "correct horse battery staple";

fn place() -> Place {
    let server = Server::start(story::seed());
    let place = Place::new();
    place.run(&["init", "--server", &server.ready.url]).expect(DONE);
    place
}

fn client(place: &Place, authority: Option<&str>) -> reqwest::Client {
    drop(rustls::crypto::ring::default_provider().install_default());
    let mut builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
    if let Some(pem) = authority {
        builder = builder.tls_certs_only([reqwest::Certificate::from_pem(pem.as_bytes()).unwrap()]);
    }
    assert!(place.has_archive());
    builder.build().unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn settings(place: &Place, more: &str) {
    let path = place.archive().join("archive.toml");
    let text = fs_err::read_to_string(&path).unwrap();
    let text = text.replace("[web]\n", "");
    fs_err::write(&path, format!("{text}\n[web]\n{more}\n")).unwrap();
}

#[test]
fn the_first_serve_prints_where_the_first_account_is_made() {
    let place = place();
    let file = place.keys().join("setup-token");
    let mut serving = place.start(&["serve", "--listen", "127.0.0.1:0", "--json"]);
    let ready: Value = serde_json::from_str(&serving.line()).unwrap();
    let (url, setup_url) = (string(&ready, "/url"), string(&ready, "/setup_url"));
    let (address, token) = setup_url.split_once("#token=").expect("a token behind the #");
    assert_eq!(address, format!("{url}setup"));
    assert_eq!(fs_err::read_to_string(&file).unwrap().trim(), token);
    assert_eq!(fs_err::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let made = runtime().block_on(async {
        let client = client(&place, None);
        assert_eq!(client.get(address).send().await.unwrap().status(), 200);
        let form =
            [("token", token), ("username", "ada"), ("password", PASSWORD), ("again", PASSWORD), ("role", "auditor")];
        let made = client.post(address).form(&form).send().await.unwrap().status();
        assert_eq!(client.post(address).form(&form).send().await.unwrap().status(), 403, "a second use");
        made
    });
    assert_eq!(made, 303);
    assert!(!file.exists(), "the token that was used lies among the keys");
    serving.terminate();
    let out = serving.finish().expect(DONE);
    assert!(!out.stderr.contains(token), "the token is in what was logged: {out}");
    let users = place.run(&["user", "list", "--json"]).expect(DONE).json();
    assert_eq!(
        (&users[0]["name"], &users[0]["role"], &users[0]["may_export"]),
        (&json!("ada"), &json!("auditor"), &json!(false))
    );

    let mut serving = place.start(&["serve", "--listen", "127.0.0.1:0", "--json"]);
    let ready: Value = serde_json::from_str(&serving.line()).unwrap();
    assert_eq!(ready["setup_url"], Value::Null);
    serving.terminate();
    serving.finish().expect(DONE);
}

#[test]
fn a_set_up_that_nobody_used_leaves_no_token_behind() {
    let place = place();
    let file = place.keys().join("setup-token");
    let mut serving = place.start(&["serve", "--listen", "127.0.0.1:0"]);
    assert!(serving.line().starts_with("serving on http://127.0.0.1:"));
    assert!(serving.line().contains("/setup#token="));
    serving.terminate();
    serving.finish().expect(DONE);
    assert!(!file.exists());
    // One that was killed leaves its file, and an account that is made by command takes it away.
    let mut serving = place.start(&["serve", "--listen", "127.0.0.1:0"]);
    serving.line();
    serving.line();
    serving.kill();
    assert!(file.exists());
    let password = place.file("password", PASSWORD);
    place.run(&["user", "add", "root", "--role", "admin", "--password-file", &password]).expect(DONE);
    assert!(!file.exists());
}

#[test]
fn a_door_to_other_machines_stays_shut_until_it_is_safe() {
    let place = place();
    for listen in ["0.0.0.0:0", "[::]:0"] {
        place.run(&["serve", "--listen", listen]).expect_error(USAGE, &["nobody has an account"]).with_hint("user add");
    }
    let password = place.file("password", PASSWORD);
    place.run(&["user", "add", "root", "--role", "admin", "--password-file", &password]).expect(DONE);
    let refused = place.run(&["serve", "--listen", "0.0.0.0:0"]).expect_error(USAGE, &["not be encrypted"]);
    refused.with_hint("web.tls_certificate").with_hint("web.trusted_proxies");
    // An account that is refused opens nothing.
    settings(&place, "trusted_proxies = [\"10.0.0.0/8\"]");
    place.run(&["user", "disable", "root"]).expect(DONE);
    place.run(&["serve", "--listen", "0.0.0.0:0"]).expect_error(USAGE, &["nobody has an account"]);
    place.run(&["user", "enable", "root"]).expect(DONE);
    let mut serving = place.start(&["serve", "--listen", "0.0.0.0:0", "--json"]);
    assert!(serving.line().contains("http://0.0.0.0:"));
    serving.terminate();
    serving.finish().expect(DONE);
}

/// Writes a certificate and its key, and names them in the settings.
fn certify(place: &Place, certificate: &Certificate) -> (String, String) {
    let chain = place.file("chain.pem", &certificate.chain_pem());
    let key = place.file("key.pem", &certificate.key_pem());
    fs_err::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    settings(place, &format!("tls_certificate = \"{chain}\"\ntls_key = \"{key}\""));
    (chain, key)
}

#[test]
fn with_a_certificate_it_speaks_tls_and_who_dawdles_holds_up_nobody() {
    let place = place();
    let (authority, certificate) = tls::signed_by_an_authority();
    certify(&place, &certificate);
    let mut serving = place.start(&["serve", "--listen", "127.0.0.1:0", "--json"]);
    let ready: Value = serde_json::from_str(&serving.line()).unwrap();
    let url = string(&ready, "/url");
    assert!(url.starts_with("https://127.0.0.1:") && string(&ready, "/setup_url").starts_with(&url));
    let address = url.trim_start_matches("https://").trim_end_matches('/').to_owned();
    runtime().block_on(async {
        // Connections that say nothing, and one that says what is no TLS.
        let mut silent = Vec::new();
        for _ in 0..20 {
            silent.push(tokio::net::TcpStream::connect(&address).await.unwrap());
        }
        let mut plain = tokio::net::TcpStream::connect(&address).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut plain, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let client = client(&place, Some(&authority));
        let page = client.get(format!("{url}login")).send().await.unwrap();
        assert_eq!(page.status(), 200);
        let only_tls = page.headers()["strict-transport-security"].to_str().unwrap();
        assert!(only_tls.starts_with("max-age=") && only_tls["max-age=".len()..].parse::<u64>().unwrap() >= 31_536_000);
        // Where it came from is known behind TLS, too.
        let form = [("username", "eve"), ("password", PASSWORD)];
        assert_eq!(client.post(format!("{url}login")).form(&form).send().await.unwrap().status(), 401);
    });
    serving.terminate();
    serving.finish().expect(DONE);
    let log = rusqlite::Connection::open(place.archive().join("access.db")).unwrap();
    let body: String =
        log.query_row("SELECT body FROM entry WHERE header LIKE '%sign_in_failed%'", [], |row| row.get(0)).unwrap();
    assert!(body.contains("\"from\":\"127.0.0.1:"), "{body}");
}

#[test]
fn a_certificate_that_cannot_be_used_is_refused_and_said_why() {
    let place = place();
    let (_, certificate) = tls::signed_by_an_authority();
    let (chain, key) = certify(&place, &certificate);
    let serve = || place.run(&["serve", "--listen", "127.0.0.1:0"]);
    fs_err::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    serve().expect_error(USAGE, &["key.pem", "read by everyone"]).with_hint("chmod 600");
    fs_err::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
    fs_err::write(&key, tls::self_signed().key_pem()).unwrap();
    serve().expect_error(USAGE, &["chain.pem", "key.pem"]).with_hint("first certificate");
    fs_err::write(&key, "nothing").unwrap();
    serve().expect_error(USAGE, &["key.pem", "private key"]).with_hint("PEM");
    fs_err::write(&chain, "nothing").unwrap();
    serve().expect_error(USAGE, &["chain.pem", "certificate"]).with_hint("PEM");
    fs_err::remove_file(&chain).unwrap();
    serve().expect_error(USAGE, &["chain.pem"]).with_hint("web.tls_certificate");
    settings(&place, "tls_certificate = \"/x.pem\"");
}

#[test]
fn a_proxy_that_signs_people_in_is_given_a_secret() {
    let place = place();
    let password = place.file("password", PASSWORD);
    place.run(&["user", "add", "ada", "--role", "auditor", "--password-file", &password]).expect(DONE);
    settings(&place, "trusted_proxies = [\"127.0.0.1\"]\nproxy_user_header = \"X-WEBAUTH-USER\"");
    let mut serving = place.start(&["serve", "--listen", "127.0.0.1:0", "--json"]);
    let ready: Value = serde_json::from_str(&serving.line()).unwrap();
    let url = string(&ready, "/url");
    let file = place.keys().join("proxy.secret");
    assert_eq!(fs_err::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let secret = fs_err::read_to_string(&file).unwrap().trim().to_owned();
    let client = client(&place, None);
    let status = |secret: &str| {
        let request = client.get(&url).header("x-webauth-user", "ada").header("x-archive-proxy-secret", secret);
        runtime().block_on(async { request.send().await.unwrap().status().as_u16() })
    };
    assert_eq!((status("a guess"), status(&secret)), (303, 200));
    serving.terminate();
    let out = serving.finish().expect(DONE);
    assert!(out.stderr.contains("proxy.secret") && !out.stderr.contains(&secret), "{out}");
    fs_err::write(&file, "short").unwrap();
    place.run(&["serve", "--listen", "127.0.0.1:0"]).expect(super::harness::FAILURE);
}
