//! What a served archive answers against what its own description of the API says, asked by schemathesis. Written once:
//! `make test` asks some, the soak target much more.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use teamchat_archive::sandbox::story;

use super::harness::{DONE, Place, Server, number, python, string};

/// Asks `serve` over the story whatever its description allows, and what it does not, with so many examples for each
/// operation; `is_long`: each bound and each malformed input of each parameter as well, one by one.
pub(crate) fn every_answer_is_as_it_is_described(examples: u32, seed: u64, is_long: bool) {
    let phases = if is_long { "coverage,fuzzing" } else { "fuzzing" };
    let server = Server::start(story::seed());
    let place = Place::new();
    place.enrol(&server.ready);
    place.crawl();
    server.running.play_later().unwrap();
    place.run(&["crawl", "--full", "--json"]).expect(DONE);
    let token = place.run(&["token", "create", "asker", "--role", "auditor", "--json"]).expect(DONE).json();
    let mut serving = place.start(&["serve", "--listen", "127.0.0.1:0", "--json"]);
    let ready: Value = serde_json::from_str(&serving.line()).unwrap();
    let url = format!("{}teamchatapi/", string(&ready, "/url"));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/thirdparty/openapi_fuzz.py");
    let mut command = Command::new(python());
    command.arg("-B").arg(script).args([
        &url,
        &string(&token, "/token"),
        &examples.to_string(),
        &seed.to_string(),
        phases,
    ]);
    // The server is on loopback.
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    let output = command.output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{stdout}{stderr}", output.status);
    let found: Value = serde_json::from_str(&stdout).unwrap();
    assert!(number(&found, "/operations") >= 44, "{found}");
    let due = if is_long { 4000 } else { 300 };
    assert!(number(&found, "/requests") > due && number(&found, "/answers/200") > due / 2, "{found}");
    let answers = found["answers"].as_object().unwrap();
    assert!(answers.keys().all(|status| !status.starts_with('5') && status != "none"), "{found}");
    serving.terminate();
    serving.finish().expect(DONE);
}
