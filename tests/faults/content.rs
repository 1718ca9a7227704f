//! What an archive says, as far as it must be the same whatever happened on the way: no record
//! numbers, no times of observation, no runs.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use teamchat_archive::history::{self, Item};
use teamchat_archive::model::MessageTs;
use teamchat_archive::record::{Kind, State, change_digest};
use teamchat_archive::store::FIRST_SOURCE;

use crate::harness::files_below;
use crate::support::TestArchive;

/// What of it → what is said.
pub(crate) type Content = BTreeMap<String, String>;

/// The versions of a subject: how each came about, what it says, which contents belong to it.
fn versions(item: &Item) -> String {
    let mut out = String::new();
    for version in &item.versions {
        let (header, body) = (&version.record.header, &version.record.body);
        let said = match header.state {
            State::Present => change_digest(item.kind, body).to_string(),
            State::Gone => {
                let note: Value = serde_json::from_slice(body).unwrap();
                let witnesses = note["gone"]["witnesses"].as_array().into_iter().flatten();
                witnesses.map(|witness| format!("{} {}", witness["method"], witness["said"])).collect()
            }
        };
        let channels: BTreeSet<&String> = header.shared_in.iter().collect();
        out.push_str(&format!(
            "{} {:?} {:?} {said} {:?} in {channels:?} by {} with {} secrets; ",
            version.version, version.change, header.origin, header.attachments, header.account, header.tickets
        ));
    }
    out
}

/// All that an archive says. The walks tell where a next pass goes on, so they belong to it.
pub(crate) fn content(archive: &TestArchive) -> Content {
    let reader = archive.reader();
    let mut out = Content::new();
    for walk in reader.walks().unwrap() {
        let items =
            history::messages_between(&reader, FIRST_SOURCE, &walk.channel, MessageTs::MIN, MessageTs::MAX).unwrap();
        for item in items {
            out.insert(format!("message {} {}", walk.channel, item.key), versions(&item));
        }
        let standing = &walk.standing;
        let said = format!(
            "{:?} {} walked: {} sides: {} under way: {}",
            walk.pin.map(|pin| pin.to_string()),
            walk.result.as_str(),
            walk.walked_until.is_some(),
            standing.sides_at.is_some(),
            standing.in_flight.is_some(),
        );
        out.insert(format!("walk {} {}", walk.account, walk.channel), said);
    }
    for kind in Kind::ALL.into_iter().filter(|kind| kind.is_listed(1)) {
        for (key, row) in reader.newest(kind).unwrap() {
            let channel = reader.record(row.seq).unwrap().header.channel_id();
            let item = history::item(&reader, kind, FIRST_SOURCE, channel.as_ref(), &key).unwrap().unwrap();
            let place = channel.map(|channel| channel.to_string()).unwrap_or_default();
            out.insert(format!("{} {place} {key}", kind.as_str()), versions(&item));
        }
    }
    for (name, count) in reader.counters().unwrap() {
        out.insert(format!("counter {name}"), count.to_string());
    }
    for (id, file) in reader.file_states(FIRST_SOURCE).unwrap() {
        let channels: BTreeSet<String> = file.channels.iter().map(|id| id.to_string()).collect();
        out.insert(format!("file as fetched {id}"), format!("{} {} {channels:?}", file.mark, file.comments));
    }
    for (id, channel) in reader.files_wanted(FIRST_SOURCE).unwrap() {
        out.insert(format!("file wanted {id} {channel}"), String::new());
    }
    for debt in reader.debts().unwrap() {
        out.insert(format!("owed {} {}", debt.kind, debt.key), debt.reason);
    }
    for account in reader.accounts().unwrap() {
        let said =
            format!("{} {} {:?} {}", account.user_id, account.state, account.reason, account.last_success.is_some());
        out.insert(format!("account {}", account.name), said);
    }
    for (digest, size) in reader.blobs().unwrap() {
        out.insert(format!("blob {digest}"), size.to_string());
    }
    out.extend(files(archive));
    out
}

/// The files of the archive that are neither a database nor the index, without those whose names
/// are sizes: no file that was being written is left.
fn files(archive: &TestArchive) -> Content {
    let root = archive.layout.root();
    let mut out = Content::new();
    for path in files_below(root) {
        let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        let is_index = name.starts_with("index/") && name.contains("/gen-");
        let is_database = name.starts_with("archive.db") || name.starts_with("access.db");
        let is_numbered =
            name.strip_prefix("checkpoints/").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        if !is_index && !is_database && !is_numbered {
            out.insert(format!("on disk: {name}"), String::new());
        }
    }
    out
}

/// Where two differ, `is` and `due`.
pub(crate) fn differences(is: &Content, due: &Content) -> Vec<String> {
    let keys: BTreeSet<&String> = is.keys().chain(due.keys()).collect();
    keys.into_iter()
        .filter(|key| is.get(*key) != due.get(*key))
        .map(|key| format!("{key}: {:?} where {:?} is due", is.get(key), due.get(key)))
        .collect()
}
