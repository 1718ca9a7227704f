//! `compact` as people and scripts run it.

use serde_json::json;
use teamchat_archive::sandbox::generate;

use super::harness::{DONE, Place, Server, TEMPORARY, number};

#[test]
fn compact_prints_what_it_gained_and_then_has_nothing_to_do() {
    let server = Server::start(generate::seed(600, 31));
    let place = Place::new();
    place.enrol(&server.ready);
    place.crawl();
    let before = place.status();
    let compacted = place.run(&["compact", "--json"]).expect(DONE).json();
    assert_eq!(number(&compacted, "/records/sealed"), number(&before, "/records") / 256 * 256, "{compacted}");
    assert_eq!(number(&compacted, "/dictionaries/trained"), 0, "{compacted}");
    assert_eq!(number(&compacted, "/spans/too_long"), 0, "{compacted}");
    for what in ["blocks", "block_bytes", "database_bytes"] {
        let [before, after] = ["before", "after"].map(|when| number(&compacted, &format!("/{what}/{when}")));
        assert!(after > 0 && after <= before, "{what}: {compacted}");
    }
    let log = fs_err::metadata(place.archive().join("archive.db-wal")).map_or(0, |file| file.len());
    assert_eq!(log, 0, "the write-ahead log is left full");

    let words = place.run(&["compact"]).expect(DONE).text();
    assert!(words.starts_with("nothing to pack"), "{words}");
    let after = place.status();
    for part in ["messages", "files", "records", "checkpoint"] {
        assert_eq!(after[part], before[part], "{part}");
    }
    assert_eq!(after["index"]["lag"], json!(0));
    assert_eq!(number(&place.crawl(), "/records/added"), 0);
    place.verified();

    let watch = teamchat_archive::store::Layout::new(place.archive()).lock().unwrap();
    place.run(&["compact"]).expect_error(TEMPORARY, &["being written by another process"]);
    drop(watch);
}
