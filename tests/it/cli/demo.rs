//! `demo` in both of its forms, as `make demo` and the browser tests start it.

use serde_json::Value;

use super::harness::{DONE, Place, string};
use crate::talk::http_client;

#[test]
fn demo_once_prints_a_line_a_step_and_leaves_nothing() {
    let place = Place::new();
    let out = place.run(&["demo", "--once", "--json"]).expect(DONE);
    let steps: Vec<String> =
        out.text().lines().map(|line| string(&serde_json::from_str::<Value>(line).unwrap(), "/step")).collect();
    for step in ["sandbox", "init", "login", "crawl", "index", "verify"] {
        assert!(steps.iter().any(|done| done == step), "{step} is not in {steps:?}");
    }
    let left = fs_err::read_dir(place.path("tmp")).unwrap().count();
    assert_eq!(left, 0, "a temporary folder is left behind");
    assert!(!place.keys().exists(), "the demo's keys were put among mine");
    assert!(!place.has_archive());
}

#[test]
fn demo_in_a_directory_keeps_an_archive_that_verifies() {
    let place = Place::new();
    let folder = place.path("demo");
    place.run(&["demo", "--once", "--dir", folder.to_str().unwrap()]).expect(DONE);
    let archive = folder.join("archive");
    let args = ["--archive", archive.to_str().unwrap(), "verify"];
    let mut command = place.command(&args);
    command.env_remove("TEAMCHAT_ARCHIVE_KEYS_DIR");
    super::harness::Started::new(command).finish().expect(DONE);
}

#[test]
fn demo_serves_until_it_is_told_to_end() {
    let place = Place::new();
    let mut demo = place.start(&["demo", "--json", "--listen", "127.0.0.1:0"]);
    let ready = loop {
        let line: Value = serde_json::from_str(&demo.line()).unwrap();
        if line["url"].is_string() {
            break line;
        }
    };
    let (url, token) = (string(&ready, "/url"), string(&ready, "/token"));
    assert_eq!(string(&ready, "/username"), "auditor");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let http = http_client();
        assert_eq!(http.get(format!("{url}healthz")).send().await.unwrap().status(), 200);
        let test = http.get(format!("{url}teamchatapi/auth.test")).bearer_auth(&token);
        let reply: Value = test.send().await.unwrap().json().await.unwrap();
        assert_eq!(reply["ok"], true, "{reply}");
        let form = [("username", string(&ready, "/username")), ("password", string(&ready, "/password"))];
        let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let entered = client.post(format!("{url}login")).form(&form).send().await.unwrap();
        assert_eq!(entered.status(), 303);
    });
    demo.terminate();
    let out = demo.finish().expect(DONE);
    assert!(!out.stderr.contains("panicked"), "{out}");
    assert_eq!(fs_err::read_dir(place.path("tmp")).unwrap().count(), 0, "a temporary folder is left behind");
}
