//! Archived feeds: read back by feedparser and by a crate that nobody here wrote.

use std::collections::BTreeSet;

use atom_syndication::Feed;
use atom_syndication::extension::Extension;
use serde_json::Value;

use super::hostile::{ANN, TURNED, archive, exceptions, export, goes_on, read_with, says_no_secret, withheld};
use super::table;
use crate::cli::harness::files_below;

/// The elements of a name, of a feed or of an entry.
fn elements<'a>(
    extensions: &'a atom_syndication::extension::ExtensionMap,
    prefix: &str,
    name: &str,
) -> impl Iterator<Item = &'a Extension> {
    extensions.get(prefix).and_then(|of| of.get(name)).into_iter().flatten()
}

#[test]
fn two_readers_of_feeds_read_every_entry_of_every_month() {
    let (_server, place) = archive();
    let list = withheld(&place);
    let data = export(&place, "atom", &["--withhold", &list]);
    let walked = read_with("atom_walk.py", &place, &[data.to_str().unwrap()]);
    let walked: Vec<&Value> = walked.as_object().unwrap().values().collect();
    assert!(walked.iter().any(|feed| feed["documents"].as_array().unwrap().len() > 6), "no feed has months");
    let entries: Vec<&Value> = walked.iter().flat_map(|feed| feed["entries"].as_array().unwrap()).collect();
    let ids: BTreeSet<&str> = entries.iter().map(|entry| entry["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), entries.len(), "two entries have one id");
    let find = |text: &str| {
        let found = entries.iter().find(|entry| entry["text"].as_str().unwrap().contains(text));
        found.copied().unwrap_or_else(|| panic!("no entry says {text:?}"))
    };
    let edited = find("rightly written");
    assert_eq!(edited["author"], TURNED);
    assert!(edited["updated"].as_str() > edited["published"].as_str(), "{edited}");
    let plain = find("first in con, to @Klára Zemanová & all");
    assert_eq!((&plain["updated"], &plain["title"]), (&plain["published"], &plain["text"]));
    assert_eq!(find("[Withheld: Privileged]")["author"], "(author withheld)");
    assert_eq!(find("[Redacted: Private]")["author"], TURNED);
    assert!(entries.iter().all(|entry| !entry["text"].as_str().unwrap().contains("never to be seen")));
    let long = find(" ab ab ")["text"].as_str().unwrap().len();
    assert!(long >= 1 << 20, "{long}");

    // The crate reads the same entries, and what feedparser passes over.
    let (mut count, mut gone, mut versions, mut slips) = (0, Vec::new(), Vec::new(), Vec::new());
    for path in files_below(&data).into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "atom")) {
        let text = fs_err::read(&path).unwrap();
        let feed = Feed::read_from(text.as_slice()).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        count += feed.entries.len();
        let folder = path.parent().unwrap();
        for entry in &feed.entries {
            versions.extend(elements(&entry.extensions, "ta", "version").cloned());
            for link in entry.links.iter().filter(|link| link.rel == "enclosure") {
                let decoded = percent_encoding::percent_decode_str(&link.href).decode_utf8().unwrap();
                let length = fs_err::metadata(folder.join(decoded.as_ref())).unwrap().len();
                assert_eq!(link.length, Some(length.to_string()));
            }
        }
        gone.extend(elements(&feed.extensions, "at", "deleted-entry").cloned());
        let notes = feed.entries.iter().flat_map(|entry| elements(&entry.extensions, "ta", "reactions"));
        slips.extend(notes.chain(elements(&feed.extensions, "ta", "pins")).filter_map(|note| note.value.clone()));
        for entry in feed.entries.iter().filter(|entry| entry.title.value.contains("corrected by another")) {
            let own = elements(&entry.extensions, "ta", "record").next().unwrap();
            assert_eq!(own.attrs["edited-by"], ANN);
            let author = elements(&entry.extensions, "ta", "author").next().unwrap();
            assert!(author.attrs["id"].starts_with("turned@"), "{author:?}");
        }
        for entry in feed.entries.iter().filter(|entry| entry.title.value == "I do") {
            let parent = &elements(&entry.extensions, "thr", "in-reply-to").next().unwrap().attrs["ref"];
            assert_eq!(find("who comes along")["id"], parent.as_str());
        }
    }
    assert_eq!(count, entries.len());
    assert!(versions.iter().any(|version| version.value.as_deref() == Some("wrongly written")));
    let tombstone = gone.iter().find(|gone| {
        let versions = gone.children.get("version").into_iter().flatten();
        versions.map(|version| version.value.as_deref()).any(|text| text == Some("never to be seen"))
    });
    let tombstone = tombstone.expect("what was deleted is a tombstone");
    let comment = tombstone.children["comment"][0].value.as_deref().unwrap();
    let when = tombstone.attrs["when"][..19].replace('T', " ");
    assert!(comment.starts_with("deleted between 2") && comment.contains(&when), "{comment}");
    assert!(!ids.contains(tombstone.attrs["ref"].as_str()));
    for slip in ["[Withheld: Privileged]", ":tea: Klára Zemanová"] {
        assert!(slips.iter().any(|text| text.starts_with(slip)), "{slip}: {slips:?}");
    }
    for path in files_below(&data) {
        let bytes = fs_err::read(&path).unwrap();
        says_no_secret([(path.to_str().unwrap(), bytes.as_slice())]);
    }
    let exceptions = exceptions(&data);
    assert!(exceptions["replaced"].iter().all(|what| what.contains("stand there as")), "{exceptions:?}");
    assert_eq!(exceptions["exception"], ["its content is not in the archive"]);
    assert!(exceptions["replaced"].iter().any(|what| what.contains("U+001B")), "{exceptions:?}");
}

#[test]
fn each_volume_has_whole_feeds_and_says_which_is_which() {
    let (_server, place) = archive();
    let count = |data: &std::path::Path| -> usize {
        let feeds = read_with("atom_walk.py", &place, &[data.to_str().unwrap()]);
        let feeds = feeds.as_object().unwrap();
        let rows = table(&data.join("CONVERSATIONS.csv"));
        let named: BTreeSet<&str> = rows.iter().map(|row| row["folder"].as_str()).collect();
        assert_eq!(named, feeds.keys().map(String::as_str).collect(), "{}", data.display());
        for row in &rows {
            assert_eq!(feeds[&row["folder"]]["title"], row["name"].as_str());
        }
        feeds.values().map(|feed| feed["entries"].as_array().unwrap().len()).sum()
    };
    let whole = count(&export(&place, "atom", &[]));
    let data = export(&place, "atom", &["--volume-size", "1M", "--tz", "Asia/Tokyo"]);
    let volumes: Vec<_> = fs_err::read_dir(&data).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(volumes.len() > 2, "{} volumes", volumes.len());
    assert_eq!(volumes.iter().map(|volume| count(volume)).sum::<usize>(), whole);
}

#[test]
fn a_feed_that_was_killed_goes_on_to_the_same_bytes() {
    goes_on("atom");
}
