//! API tokens: what they may read, and which are not made.

use serde_json::{Value, json};
use teamchat_archive::sandbox::story;

use super::harness::{DONE, Place, Server, USAGE, string};
use crate::talk::http_client;

#[test]
fn a_token_that_would_read_nothing_is_not_made() {
    let server = Server::start(story::seed());
    let place = Place::new();
    place.enrol(&server.ready);
    place.crawl();
    for (rights, hint) in [
        (&["--role", "admin"][..], "--channel"),
        (&["--role", "reviewer"], "--channel"),
        (&["--channel", ""], "--channel"),
        (&["--role", "admin", "--channel", ""], "--channel"),
        // A verifier reads no contents, whatever channels it is given.
        (&["--role", "verifier"], "--role reviewer --channel"),
        (&["--role", "verifier", "--channel", "all"], "--role auditor"),
    ] {
        let args = [&["token", "create", "useless"], rights].concat();
        let refused = place.run(&args).expect_error(USAGE, &[]).with_hint(hint);
        assert!(refused.stdout.is_empty(), "a secret is printed: {refused}");
        let role = rights.iter().find(|word| ["admin", "verifier"].contains(word)).unwrap_or(&"reviewer");
        assert!(refused.stderr.contains(role), "{refused}");
    }
    assert_eq!(place.run(&["token", "list", "--json"]).expect(DONE).json(), json!([]));

    // Those that read something are made, and do.
    let made = |name: &str, rights: &[&str]| {
        let args = [&["token", "create", name, "--json"], rights].concat();
        string(&place.run(&args).expect(DONE).json(), "/token")
    };
    let legal = server.running.workspace().channels().into_iter().find(|(_, name)| name == "legal").unwrap().0;
    let tokens = [
        (made("of an admin", &["--role", "admin", "--channel", &legal]), 1),
        (made("of a reviewer", &["--channel", &legal]), 1),
        (made("of an auditor", &["--role", "auditor"]), 2),
    ];
    let mut serving = place.start(&["serve", "--listen", "127.0.0.1:0", "--json"]);
    let ready: Value = serde_json::from_str(&serving.line()).unwrap();
    for (token, least) in tokens {
        let request = http_client().get(format!("{}teamchatapi/channels.list", string(&ready, "/url")));
        let reply =
            server.runtime.block_on(async { request.bearer_auth(&token).send().await.unwrap().text().await.unwrap() });
        let reply: Value = serde_json::from_str(&reply).unwrap();
        let seen = reply["channels"].as_array().unwrap_or_else(|| panic!("{reply}")).len();
        assert!(if least == 1 { seen == 1 } else { seen >= least }, "{reply}");
    }
    serving.terminate();
    serving.finish().expect(DONE);
}
