//! What `serve` serves can be archived: an archive made from another one's API, by the program itself,
//! holds the same messages, files and comments as the first.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use teamchat_archive::history::{self, Item};
use teamchat_archive::record::Kind;
use teamchat_archive::sandbox::{corpus, seed::Seed, story};
use teamchat_archive::store::{FIRST_SOURCE, Layout, Reader};

use crate::cli::flows::corpus_folder;
use crate::cli::harness::{DONE, Place, aloud};
use crate::served::{Desk, crawled};
use crate::support::fold;

fn member(item: &Item, name: &str) -> String {
    let body: Value = serde_json::from_slice(&item.latest().unwrap().record.body).unwrap_or_default();
    body[name].as_str().unwrap_or_default().to_owned()
}

/// The files or comments that stand, by key.
fn standing(reader: &Reader, kind: Kind) -> Vec<(String, Item)> {
    let mut out = Vec::new();
    for (key, row) in reader.newest(kind).unwrap() {
        let channel = reader.record(row.seq).unwrap().header.channel_id();
        let item = history::item(reader, kind, FIRST_SOURCE, channel.as_ref(), &key).unwrap().unwrap();
        if !item.is_gone() {
            out.push((key, item));
        }
    }
    out
}

/// What stands in an archive, in words that two archives share.
#[derive(Debug, Default, PartialEq)]
struct Standing {
    /// `channel/ts` → text.
    messages: BTreeMap<String, String>,
    /// Id → digests.
    files: BTreeMap<String, Vec<String>>,
    /// `file/id` → text.
    comments: BTreeMap<String, String>,
}

impl Standing {
    fn of(place: &Place) -> Self {
        let reader = Reader::open(&Layout::new(place.archive())).unwrap();
        let mut out = Self::default();
        for (channel, messages) in fold(&reader) {
            let current = messages.into_iter().filter(|(_, message)| !message.is_gone);
            out.messages.extend(current.map(|(ts, message)| (format!("{channel}/{ts}"), message.text)));
        }
        for (id, item) in standing(&reader, Kind::File) {
            out.files.insert(id, item.latest().unwrap().record.header.attachments.clone());
        }
        for (key, item) in standing(&reader, Kind::Comment) {
            out.comments.insert(key, member(&item, "comment"));
        }
        out
    }

    /// Where two of them differ.
    fn differences(&self, other: &Self) -> Vec<String> {
        let mut out = between("message", &self.messages, &other.messages);
        out.extend(between("file", &self.files, &other.files));
        out.extend(between("comment", &self.comments, &other.comments));
        out
    }
}

fn between<V: std::fmt::Debug + PartialEq>(
    name: &str,
    first: &BTreeMap<String, V>,
    second: &BTreeMap<String, V>,
) -> Vec<String> {
    let keys: BTreeSet<&String> = first.keys().chain(second.keys()).collect();
    keys.into_iter()
        .filter(|key| first.get(*key) != second.get(*key))
        .map(|key| format!("{name} {key}: {:?} and {:?}", first.get(key), second.get(key)))
        .collect()
}

fn an_archive_of_an_archive_is_the_same(name: &str, seed: Seed, later: bool) {
    let (server, first) = crawled(seed);
    if later {
        server.running.play_later().unwrap();
        first.run(&["crawl", "--full", "--json"]).expect(DONE);
    }
    let desk = Desk::open(&first);
    let second = Place::new();
    second.run(&["init", "--server", &desk.url]).expect(DONE);
    let token = second.file("token", &format!("{}\n", desk.token));
    second.run(&["login", "--token-file", &token]).expect(DONE);
    let crawl = second.crawl();
    assert_eq!(crawl["result"], "complete", "{crawl}");

    let (stood, stands) = (Standing::of(&first), Standing::of(&second));
    let differences = stood.differences(&stands);
    aloud(&format!(
        "{name}: {} messages, {} files and {} comments stand, {} differences",
        stood.messages.len(),
        stood.files.len(),
        stood.comments.len(),
        differences.len()
    ));
    assert!(stood.messages.len() > 100 && stood.files.len() > 5, "{} messages", stood.messages.len());
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
    assert!(stood.files.values().any(|digests| !digests.is_empty()), "no file has contents");
    // A second look finds nothing new.
    let again = second.crawl();
    assert_eq!(again["records"]["added"], 0, "{again}");
    desk.close();
    for place in [&first, &second] {
        place.verified();
    }
}

#[test]
fn an_archive_of_the_storys_archive_is_the_same() {
    an_archive_of_an_archive_is_the_same("story", story::seed(), true);
}

#[test]
fn an_archive_of_the_small_corpus_archive_is_the_same() {
    let Some(folder) = corpus_folder("small") else { return };
    an_archive_of_an_archive_is_the_same("small", corpus::load(&folder).unwrap(), false);
}
