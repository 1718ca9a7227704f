//! What the archive says of what it holds and of what it does not.

use teamchat_archive::sandbox::generate::{Hidden, seed_with_hidden};

use super::harness::{DONE, FAILURE, INCOMPLETE, Place, Server, USAGE, list, number, string};

/// An archive of a generated workspace with ten rooms and three people that no account is shown.
fn hidden() -> (Server, Place) {
    let server = Server::start(seed_with_hidden(300, 7, Hidden { rooms: 10, people: 3 }));
    let place = Place::new();
    place.enrol(&server.ready);
    place.crawl();
    (server, place)
}

/// The inventory of a sandbox as a CSV file, and what of it is hidden.
fn inventory(server: &Server, place: &Place) -> (String, Vec<String>) {
    let lines = server.running.inventory();
    let mut text = "kind,id,name\n".to_owned();
    for line in &lines {
        text.push_str(&format!("{},{},\"{}\"\n", line.kind, line.id, line.name));
    }
    let mut missing: Vec<String> = lines.iter().filter(|line| line.hidden).map(|line| line.id.clone()).collect();
    missing.sort();
    (place.file("inventory.csv", &text), missing)
}

#[test]
fn rooms_and_people_that_no_account_sees_are_named_by_the_inventory() {
    let (server, place) = hidden();
    let (file, hidden) = inventory(&server, &place);
    assert_eq!(hidden.len(), 13, "{hidden:?}");
    let found = place.run(&["coverage", "--expected", &file, "--json"]).expect(DONE).json();
    let mut missing: Vec<String> = ["/expected/accounts/missing", "/expected/rooms/missing"]
        .iter()
        .flat_map(|place| list(&found, place))
        .map(|line| string(&line, "/id"))
        .collect();
    missing.sort();
    assert_eq!(missing, hidden, "exactly those are missing");
    let (seen, expected) = (number(&found, "/expected/rooms/seen"), number(&found, "/expected/rooms/expected"));
    assert_eq!(expected - seen, 10);
    assert!(!list(&found, "/expected/accounts/not_enrolled").is_empty(), "one person's view is said to be that");
    let text = place.run(&["coverage", "--expected", &file]).expect(DONE).text();
    for word in
        ["missing", "limits", "whisper", "people are enrolled", "complete for what the enrolled accounts can see"]
    {
        let said = text.contains(word) || word == "whisper" && text.contains("addressed to somebody else");
        assert!(said, "{word}: {text}");
    }

    // Named in the settings it is recorded by the next crawl, and used by default from then on.
    assert!(place.run(&["coverage", "--json"]).expect(DONE).json()["expected"].is_null());
    let settings = place.archive().join("archive.toml");
    let before = fs_err::read_to_string(&settings).unwrap();
    assert!(before.contains("[coverage]"), "{before}");
    fs_err::write(&settings, before.replace("[coverage]", &format!("[coverage]\nexpected = \"{file}\""))).unwrap();
    assert_eq!(number(&place.crawl(), "/records/added"), 1, "the inventory");
    assert_eq!(number(&place.crawl(), "/records/added"), 0, "once");
    fs_err::write(&settings, before).unwrap();
    let recorded = place.run(&["coverage", "--json"]).expect(DONE).json();
    assert_eq!(recorded["expected"]["rooms"], found["expected"]["rooms"]);
    place.verified();
}

#[test]
fn a_channel_that_is_lost_is_a_gap_until_it_is_excluded_with_a_reason() {
    let (server, place) = hidden();
    let workspace = server.running.workspace();
    let (id, name) =
        workspace.channels().into_iter().find(|(id, _)| workspace.leave(id, &server.ready.username).is_ok()).unwrap();
    let summary = place.run(&["crawl", "--json"]).expect(INCOMPLETE).json();
    assert_eq!((number(&summary, "/gaps"), number(&summary, "/debts")), (1, 0), "{summary}");
    let found = place.run(&["coverage", "--channel", &id, "--json"]).expect(INCOMPLETE).json();
    let gap = &found["channels"][0]["gaps"][0];
    assert!(string(gap, "/reason").contains("can no longer see it") && gap["from"].is_string(), "{found}");
    assert_eq!(found["complete"], false);
    let text = place.run(&["coverage"]).expect(INCOMPLETE).text();
    assert!(text.contains(&format!("#{name}")) && text.contains("not complete: 1 gaps"), "{text}");
    assert!(place.run(&["status", "--check"]).expect(INCOMPLETE).text().starts_with("incomplete: 1 gaps"));
    // Everything it held is still here, and nothing of it is recorded as deleted.
    assert_eq!(number(&place.status(), "/messages/deleted"), 0);

    let settings = place.archive().join("archive.toml");
    let mut text = fs_err::read_to_string(&settings).unwrap();
    text.push_str(&format!(
        "\n[[exclude]]\nchannel = \"{name}\"\nreason = \"not ours\"\nby = \"counsel\"\nsince = \"2026-01-01\"\n"
    ));
    fs_err::write(&settings, text).unwrap();
    let found = place.run(&["coverage", "--json"]).expect(DONE).json();
    let excluded = list(&found, "/channels").into_iter().find(|channel| string(channel, "/name") == name).unwrap();
    assert_eq!(string(&excluded, "/excluded/reason"), "not ours", "{excluded}");
    assert_eq!(number(&place.status(), "/coverage/excluded"), 1);
    place.verified();
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let (_server, place) = hidden();
    let wrong = place.file("wrong.csv", "kind,id,name\nperson,1,a\n");
    place
        .run(&["coverage", "--expected", &wrong])
        .expect_error(USAGE, &["wrong.csv", "line 2", "person"])
        .with_hint("kind,id,name");
    place.run(&["coverage", "--expected", "/nowhere.csv"]).expect_error(USAGE, &["/nowhere.csv"]);
    place.run(&["coverage", "--channel", "NOSUCH"]).expect_error(FAILURE, &["NOSUCH"]).with_hint("coverage --json");
}
