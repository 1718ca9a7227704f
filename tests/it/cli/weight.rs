//! Files of no and of many bytes pass through a crawl without being held in memory.

use std::time::Duration;

use sha2::{Digest as _, Sha256};
use teamchat_archive::sandbox::generate;
use teamchat_archive::sandbox::seed::Content;

use super::flows::{hex, stored_digests};
use super::harness::{DONE, Place, Server, number};
use super::living::memory_of;

#[test]
fn a_file_of_200_mb_and_one_of_none_are_archived_in_little_memory() {
    const LARGE: u64 = 200 << 20;
    let server = Server::start(generate::seed(50, 3));
    let place = Place::new();
    place.enrol(&server.ready);
    place.crawl();
    let workspace = server.running.workspace();
    let (room, _) = workspace.channels().swap_remove(0);
    for (name, content) in
        [("large.bin", Content::Generated { size: LARGE, seed: 5 }), ("empty.bin", Content::Bytes(Vec::new()))]
    {
        workspace.upload_content(&room, &server.ready.username, name, content).unwrap();
    }
    let mut crawl = place.start(&["crawl", "--json"]);
    let mut most = 0;
    while !crawl.ends_within(Duration::from_millis(20)) {
        // Between its last line and its end there is a process and no memory.
        most = most.max(memory_of(&crawl).unwrap_or_default());
    }
    let summary = crawl.finish().expect(DONE).json();
    assert_eq!((number(&summary, "/files/new"), number(&summary, "/files/bytes")), (2, LARGE));
    assert!(most > 0 && most < 100, "{most} MB for a file of {} MB", LARGE >> 20);
    let wanted = workspace.file_truth().unwrap().into_iter().flat_map(|file| file.versions).collect();
    assert_eq!(stored_digests(&place.archive()), wanted);
    assert!(stored_digests(&place.archive()).contains(&hex(&Sha256::digest(b""))));
    place.verified();
}
