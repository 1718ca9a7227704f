//! The zip of a Slack workspace: read back, and by slack-export-viewer.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::Path;

use serde_json::{Value, json};

use super::hostile::{ANN, TURNED, archive, exceptions, export, goes_on, read_with, says_no_secret, withheld};

/// Every entry of a zip, in its order.
fn entries(path: &Path) -> Vec<(String, Vec<u8>)> {
    let mut zip = zip::ZipArchive::new(fs_err::File::open(path).unwrap()).unwrap();
    (0..zip.len())
        .map(|n| {
            let mut entry = zip.by_index(n).unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            (entry.name().unwrap().into_owned(), bytes)
        })
        .collect()
}

/// The zip of a set of one volume: its entries, and messages by folder.
fn opened(data: &Path) -> (BTreeMap<String, Vec<u8>>, BTreeMap<String, Vec<Value>>) {
    let all = entries(&data.join("VOL001/slack-export.zip"));
    let count = all.len();
    let by_name: BTreeMap<String, Vec<u8>> = all.into_iter().collect();
    assert_eq!(by_name.len(), count, "two entries have one name");
    let mut messages: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for (name, bytes) in &by_name {
        if let Some((folder, day)) = name.split_once('/')
            && !day.contains('/')
        {
            let list: Vec<Value> = serde_json::from_slice(bytes).unwrap();
            messages.entry(folder.to_owned()).or_default().extend(list);
        }
    }
    (by_name, messages)
}

fn list(entries: &BTreeMap<String, Vec<u8>>, name: &str) -> Vec<Value> {
    serde_json::from_slice(&entries[name]).unwrap()
}

#[test]
fn the_viewer_renders_every_message_direct_conversation_and_attachment() {
    let (_server, place) = archive();
    let list_of_withheld = withheld(&place);
    let data = export(&place, "slack", &["--withhold", &list_of_withheld]);
    let zip = data.join("VOL001/slack-export.zip");
    let (entries, messages) = opened(&data);
    says_no_secret(entries.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())));
    let words = ["rightly written", "first in con", "[Withheld: Privileged]", "[Redacted: Private]", TURNED];
    let mut args = vec![zip.to_str().unwrap().to_owned(), place.path("html").to_str().unwrap().to_owned()];
    args.extend(words.map(str::to_owned));
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let seen = read_with("slack_view.py", &place, &args);
    for word in words {
        assert!(seen["words"][word].as_u64().unwrap() > 0, "{word:?} is on no page: {}", seen["words"]);
    }

    let direct: BTreeSet<String> =
        list(&entries, "dms.json").iter().map(|dm| dm["id"].as_str().unwrap().to_owned()).collect();
    assert!(direct.len() > 1, "no direct conversations");
    assert_eq!(seen["pages"].as_object().unwrap().len(), messages.len(), "a page for each folder");
    let mut attachments = 0;
    for (folder, messages) in &messages {
        let kind = if direct.contains(folder) { "dm" } else { "channel" };
        let page = &seen["pages"][format!("{kind}/{folder}")];
        assert_eq!(page["messages"], messages.len(), "messages on the page of {folder}");
        let mut due: Vec<String> = messages
            .iter()
            .flat_map(|message| message["files"].as_array().into_iter().flatten())
            .map(|file| file["url_private"].as_str().unwrap_or("None").to_owned())
            .collect();
        due.sort();
        let mut shown: Vec<String> =
            page["attachments"].as_array().unwrap().iter().map(|link| link.as_str().unwrap().to_owned()).collect();
        shown.sort();
        assert_eq!(shown, due, "attachments on the page of {folder}");
        for link in due.iter().filter(|link| *link != "None") {
            assert!(entries.contains_key(&format!("{folder}/{link}")), "{folder}/{link} is not in the zip");
            attachments += 1;
        }
    }
    assert!(attachments > 40, "{attachments} attachments");
}

#[test]
fn a_slack_export_says_what_became_of_each_message_and_file() {
    let (_server, place) = archive();
    let data = export(&place, "slack", &[]);
    let (entries, messages) = opened(&data);
    let all: Vec<&Value> = messages.values().flatten().collect();
    let find = |text: &str| all.iter().find(|message| message["text"] == text).copied().unwrap();

    let edited = find("rightly written");
    assert_eq!(edited["archive"]["other_versions"][0]["body"]["text"], "wrongly written", "{edited}");
    assert!(edited["edited"]["user"].as_str().is_some_and(|user| user == edited["user"]), "{edited}");

    let gone = all.iter().find(|message| message["archive"]["last_seen_by_archive"]["text"] == "never to be seen");
    let gone = gone.unwrap();
    assert_eq!((&gone["subtype"], &gone["hidden"]), (&json!("tombstone"), &json!(true)));
    assert!(gone["text"].as_str().unwrap().starts_with("This message was deleted between 2"), "{gone}");
    assert!(gone["archive"]["deletions"][0]["body"]["gone"]["witnesses"].is_array(), "{gone}");

    let parent = find("who comes along");
    let reply = find("I do");
    assert_eq!(parent["replies"], json!([{"user": reply["user"], "ts": reply["ts"]}]));
    assert_eq!((&reply["subtype"], &reply["thread_ts"]), (&json!("message_comment"), &parent["ts"]));
    assert_eq!((&parent["reactions"][0]["name"], &parent["reactions"][0]["count"]), (&json!("tea"), &json!(1)));
    assert_ne!(parent["archive"]["time"], reply["archive"]["time"], "the reply came a day later");

    // Two files of one name, one of them in two versions.
    let twins: BTreeSet<&[u8]> = entries
        .iter()
        .filter(|(name, _)| name.contains("/attachments/") && name.ends_with("-twin.txt"))
        .map(|(_, bytes)| bytes.as_slice())
        .collect();
    let due: [&[u8]; 3] = [b"first twin", b"first twin, again", b"second twin"];
    assert_eq!(twins, due.into_iter().collect());
    let current = all.iter().flat_map(|message| message["files"].as_array().into_iter().flatten());
    let current = current.filter(|file| file["name"] == "twin.txt").map(|file| file["url_private"].as_str().unwrap());
    let current: BTreeSet<&[u8]> = current
        .map(|path| {
            let found = entries.iter().find(|(name, _)| name.ends_with(&format!("/{path}"))).unwrap();
            found.1.as_slice()
        })
        .collect();
    assert_eq!(current, due[1..].iter().copied().collect(), "the link leads to the newest version");
    let exceptions = exceptions(&data);
    assert_eq!(exceptions["exception"], ["its content is not in the archive"], "{exceptions:?}");

    let comments: Vec<&Value> = all
        .iter()
        .flat_map(|message| message["files"].as_array().into_iter().flatten())
        .flat_map(|file| file["archive"]["comments_on_it"].as_array().into_iter().flatten())
        .collect();
    assert!(comments.iter().any(|comment| comment["state"] == "deleted"), "no comment is gone");
    assert!(comments.len() > 30, "{} comments", comments.len());

    // Names that are no names.
    let folders: BTreeSet<&str> = messages.keys().map(String::as_str).collect();
    assert!(folders.contains("random"), "{folders:?}");
    for start in ["_.._x-", "_CON-", "Twin-", "twin-", "a_b__c_-"] {
        assert!(folders.iter().any(|folder| folder.starts_with(start)), "no folder {start}… of {folders:?}");
    }
    let named: BTreeSet<String> =
        list(&entries, "channels.json").iter().map(|channel| channel["name"].as_str().unwrap().to_owned()).collect();
    let direct: BTreeSet<String> =
        list(&entries, "dms.json").iter().map(|dm| dm["id"].as_str().unwrap().to_owned()).collect();
    let room = list(&entries, "channels.json").into_iter().find(|channel| channel["archive"]["name"] == "../../x");
    let room = room.unwrap();
    let pinned = room["archive"]["pins"].as_array().unwrap();
    assert!(pinned.iter().any(|pins| pins.to_string().contains("who comes along")), "{room}");
    let both: BTreeSet<&str> = named.union(&direct).map(String::as_str).collect();
    assert_eq!(both, folders, "every folder is listed once");
    assert!(named.is_disjoint(&direct));
    let users: BTreeSet<String> =
        list(&entries, "users.json").iter().map(|user| user["id"].as_str().unwrap().to_owned()).collect();
    for channel in list(&entries, "channels.json") {
        assert!(users.contains(channel["creator"].as_str().unwrap()), "{channel} was made by nobody");
    }
    let beep = find("beep");
    assert_eq!(beep["user_profile"]["real_name"], ANN);
    let machine = list(&entries, "users.json").into_iter().find(|user| user["id"] == beep["user"]).unwrap();
    assert_eq!((&machine["is_bot"], &machine["archive"]), (&json!(true), &json!({"is_a_name_alone": true})));
    for message in &all {
        assert!(users.contains(message["user"].as_str().unwrap()), "{message} is by nobody");
    }
}

#[test]
fn the_everlaw_profile_lists_every_folder_as_a_channel_and_volumes_are_whole() {
    let (_server, place) = archive();
    let data = export(&place, "slack", &["--profile", "everlaw"]);
    let (entries, messages) = opened(&data);
    let named: BTreeSet<String> =
        list(&entries, "channels.json").iter().map(|channel| channel["name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(named, messages.keys().cloned().collect());
    let whole: usize = messages.values().map(Vec::len).sum();

    let data = export(&place, "slack", &["--volume-size", "1M", "--tz", "Asia/Tokyo"]);
    let (mut volumes, mut count) = (0, 0);
    for entry in fs_err::read_dir(&data).unwrap() {
        let entries: BTreeMap<String, Vec<u8>> =
            super::slack::entries(&entry.unwrap().path().join("slack-export.zip")).into_iter().collect();
        volumes += 1;
        for (name, bytes) in entries.iter().filter(|(name, _)| name.matches('/').count() == 1) {
            let list: Vec<Value> = serde_json::from_slice(bytes).unwrap();
            count += list.len();
            let folder = name.split_once('/').unwrap().0;
            for file in list.iter().flat_map(|message| message["files"].as_array().into_iter().flatten()) {
                if let Some(path) = file["url_private"].as_str() {
                    assert!(entries.contains_key(&format!("{folder}/{path}")), "{folder}/{path} is in another volume");
                }
            }
        }
    }
    assert_eq!(count, whole, "messages in {volumes} volumes");
    assert!(volumes > 2, "{volumes} volumes");
}

#[test]
fn a_zip_that_was_killed_goes_on_to_the_same_bytes() {
    goes_on("slack");
}
