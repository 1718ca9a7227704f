//! A small selection in each format.

use teamchat_archive::history::item;
use teamchat_archive::model::{ChannelId, Digest, Role, Scope};
use teamchat_archive::record::Kind;
use teamchat_archive::store::FIRST_SOURCE;

use super::super::Desk;
use super::{Office, all_bytes, check, unzipped};

const FORMATS: [&str; 11] =
    ["rsmf", "dat", "eml", "html", "native", "csv", "jsonl", "slack", "mbox", "actiance", "atom"];

/// Three that are chosen, with one between them that is not.
const TEXTS: [&str; 4] = [
    "zirconium gasket approved",
    "palladium valve refused",
    "iridium nozzle is another matter",
    "osmium flange delayed",
];
const LEFT: usize = 2;

fn holds(all: &[(String, Vec<u8>)], text: &str) -> bool {
    all.iter().any(|(_, bytes)| bytes.windows(text.len()).any(|at| at == text.as_bytes()))
}

/// A folder as BagIt (RFC 8493) has it: its declaration, and a manifest that names every file below `data` and no other,
/// each with its SHA-256.
fn assert_is_bag(format: &str, set: &[u8]) {
    let files = unzipped(set);
    let root = files.keys().next().unwrap().split('/').next().unwrap().to_owned();
    let file = |name: &str| files.get(&format!("{root}/{name}")).unwrap_or_else(|| panic!("{format}: no {name}"));
    assert_eq!(file("bagit.txt"), b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n", "{format}");
    let manifest = String::from_utf8(file("manifest-sha256.txt").clone()).unwrap();
    let listed: Vec<(String, String)> = manifest
        .lines()
        .map(|line| line.split_once("  ").unwrap_or_else(|| panic!("{format}: {line}")))
        .map(|(digest, path)| (path.replace("%25", "%").replace("%0A", "\n").replace("%0D", "\r"), digest.to_owned()))
        .collect();
    let mut listed: Vec<(String, String)> =
        listed.into_iter().map(|(path, digest)| (format!("{root}/{path}"), digest)).collect();
    listed.sort();
    let data = files.iter().filter(|(name, _)| name.starts_with(&format!("{root}/data/")));
    let data: Vec<(String, String)> = data.map(|(name, bytes)| (name.clone(), Digest::of(bytes).to_string())).collect();
    assert!(!data.is_empty(), "{format}: nothing is in it");
    assert_eq!(listed, data, "{format}");
}

#[tokio::test]
async fn a_selection_of_three_messages_is_a_bag_with_their_texts_in_each_format() {
    let (mut random, mut said) = (String::new(), Vec::new());
    let desk = Desk::after(|running| {
        let workspace = running.workspace();
        random = workspace.channels().into_iter().find(|(_, name)| name == "random").unwrap().0;
        said = TEXTS.map(|text| workspace.post(&random, &running.username, text).unwrap()).into();
    })
    .await;
    let office = Office::over(desk);
    let cookie = office.exporter("ada", Role::Auditor, &Scope::All);
    let channel = ChannelId::parse(&random).unwrap();
    let reader = office.desk.archive.reader();
    let record = |ts: &String| {
        let found = item(&reader, Kind::Message, FIRST_SOURCE, Some(&channel), ts).unwrap();
        found.unwrap().latest().unwrap().seq.to_string()
    };
    let records: Vec<String> = said.iter().map(record).collect();
    for format in FORMATS {
        let mut fields = vec![("format", format)];
        let chosen = records.iter().enumerate().filter(|(n, _)| *n != LEFT);
        fields.extend(chosen.map(|(_, record)| ("record", record.as_str())));
        let place = office.make(&cookie, &fields).await;
        let set = office.download(&cookie, &place).await;
        let mut all = Vec::new();
        all_bytes("set.zip", &set, &mut all);
        for (n, text) in TEXTS.iter().enumerate() {
            assert_eq!(holds(&all, text), n != LEFT, "{format}: {text}");
        }
        assert_is_bag(format, &set);
        check(format, &set);
    }
}
