//! A set that was cut off is no bag, and is taken up again to the same files.

use std::time::Duration;

use teamchat_archive::sandbox::generate;

use super::Desk;
use crate::cli::harness::{DONE, Place, Server, TEMPORARY, USAGE, aloud, files_below};
use crate::cli::small_disk::SmallDisk;

#[test]
fn a_set_that_was_killed_goes_on_to_the_same_files() {
    let server = Server::start(generate::seed(4_000, 3));
    let place = Place::new();
    place.enrol(&server.ready);
    place.crawl();
    let args = |name: &'static str| ["export", "--json", "--format", "csv", "--output", name, "--volume-size", "300k"];
    let whole = place.run(&args("whole")).expect(DONE).json();
    let files = |name: &str| fs_err::read_to_string(place.path(name).join("manifest-sha256.txt")).unwrap();
    let mut kills = 0;
    for delay in [5_u64, 10, 15, 20, 30, 40, 60, 80, 120, 160, 240, 400] {
        let mut run = place.start(&args("killed"));
        if run.ends_within(Duration::from_millis(delay)) {
            break;
        }
        run.kill();
        drop(run.finish());
        assert!(!place.path("killed").exists(), "half a set has the name of a whole one");
        assert!(!place.path("killed.partial/bagit.txt").exists() || place.path("killed").exists());
        kills += 1;
    }
    assert!(kills > 3, "it was too quick to be killed");
    if !place.path("killed").exists() {
        let again = place.run(&args("killed")).expect(DONE).json();
        for name in ["units", "messages", "files", "exceptions", "balanced", "records"] {
            assert_eq!(again[name], whole[name], "{name}");
        }
    }
    assert_eq!(files("killed"), files("whole"));
    assert!(!place.path("killed.partial").exists());
    // The whole set has volumes, and none is larger than was asked.
    let volumes = fs_err::read_dir(place.path("whole/data")).unwrap().count();
    assert!(volumes > 2, "{volumes}");
    place.verified();
}

#[test]
fn on_a_full_disk_an_export_stops_and_goes_on_when_there_is_room() {
    let desk = Desk::open();
    let (whole, _) = desk.export("whole", &["--format", "rsmf"]);
    let due = fs_err::read_to_string(whole.join("manifest-sha256.txt")).unwrap();
    let mut full = 0;
    for size in ["200k", "1m", "2m", "4m"] {
        let Some(disk) = SmallDisk::new(&desk.place.path("disk"), size) else {
            aloud("NOT TESTED: a full disk (this needs root, unshare, nsenter and tmpfs)");
            return;
        };
        let args = ["export", "--json", "--format", "rsmf", "--output", &format!("{}/set", disk.root)];
        let first = disk.run(&desk.place, &args);
        if first.code == DONE {
            continue;
        }
        full += 1;
        first.expect_error(TEMPORARY, &["the disk is full"]).with_hint("goes on");
        let found =
            |name: &str| disk.inside("test", &["-e", &format!("{}/{name}", disk.root)]).status().unwrap().success();
        assert!(!found("set") && !found("set.partial/bagit.txt"), "{size}: half a set looks like a whole one");
        disk.grow("64m");
        disk.run(&desk.place, &args).expect(DONE);
        let manifest = disk.inside("cat", &[&format!("{}/set/manifest-sha256.txt", disk.root)]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&manifest.stdout), due, "{size}");
        assert!(!found("set.partial") && !found("set.partial.done"), "{size}");
    }
    assert!(full >= 2, "the disk was full only {full} times");
    desk.place.verified();
}

#[test]
fn two_runs_never_write_one_set_and_another_request_says_what_is_another() {
    let server = Server::start(generate::seed(4_000, 3));
    let place = Place::new();
    place.enrol(&server.ready);
    place.crawl();
    let args = ["export", "--json", "--format", "eml", "--output", "set"];
    let mut first = place.start(&args);
    while fs_err::metadata(place.path("set.partial/work/marks.ndjson")).map_or(0, |marks| marks.len()) == 0 {
        assert!(!first.ends_within(Duration::from_millis(1)), "it ended before it noted how far it was");
    }
    place.run(&args).expect_error(TEMPORARY, &["another run is writing"]).with_hint("wait");
    first.kill();
    drop(first.finish());
    place
        .run(&[&args[..], &["--tz", "Asia/Tokyo"]].concat())
        .expect_error(USAGE, &["unfinished", "it has another zone"])
        .with_hint("goes on with it");
    // What was written is read again: a byte of it is another, and it does not go on.
    let list = place.path("set.partial/work/EXCEPTIONS.csv");
    let mut bytes = fs_err::read(&list).unwrap();
    bytes[0] ^= 1;
    fs_err::write(&list, &bytes).unwrap();
    place.run(&args).expect_error(crate::cli::harness::FAILURE, &["EXCEPTIONS.csv", "not what was written before"]);
    bytes[0] ^= 1;
    fs_err::write(&list, &bytes).unwrap();
    place.run(&args).expect(DONE);
    assert!(files_below(&place.path("set")).len() > 100);
    place.verified();
}
