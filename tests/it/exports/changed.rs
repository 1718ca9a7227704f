//! A bag in which something is withheld: whatever is changed in it, its checker names the file.

use std::path::Path;
use std::process::Command;

use teamchat_archive::model::RecordSeq;
use teamchat_archive::record::{Kind, State};
use teamchat_archive::sandbox::seed::Seed;
use teamchat_archive::store::{Layout, Reader};

use super::harness::{DONE, Place, Server, python};
use super::town;

/// Changes `count` bytes of every file of a bag, one at a time; 0: every byte, but for the checkers, which are
/// long, only some.
pub(crate) fn every_change_is_named(count: usize) {
    let server = Server::start(Seed { account: town::ANN.to_owned(), ..town::seed(2) });
    let place = Place::new();
    place.enrol(&server.ready);
    place.crawl();
    let reader = Reader::open(&Layout::new(place.archive())).unwrap();
    let of = |kind: Kind| {
        let is_one = |seq: &u64| {
            let header = reader.record(RecordSeq(*seq)).unwrap().header;
            header.kind == kind && header.state == State::Present
        };
        (0..reader.head().unwrap()).find(is_one).unwrap()
    };
    let lines =
        format!("record,action,reason\n{},withhold,advice\n{},redact,secret\n", of(Kind::Message), of(Kind::File));
    let list = place.file("withheld.csv", &lines);
    let report = place.run(&["export", "--json", "--format", "csv", "--output", "set", "--withhold", &list]);
    let report = report.expect(DONE).json();
    assert!(report["withheld"].as_u64().unwrap() >= 2, "{report}");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/verifier/sweep_bag.py");
    let mut command = Command::new(python());
    command.arg("-B").arg(script).arg(place.path("set")).arg(place.keys().join("ledger.vkey")).arg(count.to_string());
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && said.contains("every change was named"), "{said}");
    place.verified();
}
