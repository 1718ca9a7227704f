//! What is in scope: by query, by custodian, by channel, by time, as of a moment.

use std::collections::BTreeSet;
use std::time::Duration;

use teamchat_archive::model::{MessageTs, Zone, parse_time};
use teamchat_archive::record::Kind;

use super::{Desk, table};
use crate::cli::harness::{DONE, FAILURE};

fn rows(desk: &Desk, name: &str, flags: &[&str]) -> Vec<std::collections::BTreeMap<String, String>> {
    let (bag, _) = desk.export(name, &[&["--format", "csv"], flags].concat());
    table(&bag.join("data/messages.csv"))
}

#[test]
fn a_query_brings_whole_families() {
    let desk = Desk::open();
    // A comment is found; its file comes with it, and the message that brought the file.
    let rows = rows(&desk, "query", &["--query", "\"a comment that has changed\""]);
    let kinds: BTreeSet<&str> = rows.iter().map(|row| row["kind"].as_str()).collect();
    assert_eq!(kinds, BTreeSet::from(["comment", "file", "message"]));
    assert_eq!(rows.iter().filter(|row| row["kind"] == "file").count(), 2, "both versions");
    assert!(rows.iter().any(|row| row["kind"] == "comment" && row["text"] == "a comment that will change"));
    desk.place.verified();
}

#[test]
fn a_custodian_is_an_author_or_a_member() {
    let desk = Desk::open();
    let petr = "petr.malek@orlava.example";
    let written = rows(&desk, "author", &["--custodian", petr]);
    assert!(
        written
            .iter()
            .filter(|row| row["kind"] == "message" && row["state"] != "gone")
            .all(|row| { row["author_id"] == petr || !row["file_id"].is_empty() })
    );
    assert!(written.iter().any(|row| row["author_id"] == petr));
    let seen = rows(&desk, "member", &["--custodian", petr, "--role", "member"]);
    let channels: BTreeSet<&str> = seen.iter().map(|row| row["conversation_id"].as_str()).collect();
    let names = teamchat_archive::history::directory(&desk.reader).unwrap();
    for channel in &channels {
        let facts = &names.channels[&teamchat_archive::model::ChannelId::parse(channel).unwrap()];
        assert!(
            facts.is_im
                || facts.members.iter().any(|member| member == petr)
                || seen.iter().any(|row| { row["subtype"] == "channel_leave" && row["author_id"] == petr }),
            "{petr} was never in {}",
            facts.name
        );
    }
    assert!(seen.len() > written.len());
    desk.place.verified();
}

#[test]
fn current_versions_are_what_stands_and_nothing_else() {
    let desk = Desk::open();
    let rows = rows(&desk, "current", &["--versions", "current"]);
    let states: BTreeSet<&str> = rows.iter().map(|row| row["state"].as_str()).collect();
    assert!(states.iter().all(|state| ["current", ""].contains(state)), "{states:?}");
    let messages = rows.iter().filter(|row| row["kind"] == "message").count() as u64;
    assert_eq!(messages, desk.place.status()["messages"]["current"].as_u64().unwrap());
    desk.place.verified();
}

#[test]
fn a_moment_shows_what_stood_then() {
    let desk = Desk::open();
    let workspace = desk.server.running.workspace();
    let channel = workspace.channels().into_iter().find(|(_, name)| name == "general").unwrap().0;
    let user = "petr.malek@orlava.example";
    let ts = workspace.post(&channel, user, "as it was said first").unwrap();
    desk.place.crawl();
    // The server's own time stamp of the message: an edit has a later one, be it in the same second.
    let moment = MessageTs::parse(&ts).unwrap().time().to_rfc3339();
    workspace.edit(&channel, &ts, Some(user), "as it was said then").unwrap();
    desk.place.crawl();
    let rows = rows(&desk, "then", &["--as-of", &moment]);
    let said: Vec<_> = rows.iter().filter(|row| row["text"].starts_with("as it was said")).collect();
    assert_eq!(said.len(), 1, "{moment}: {said:?}");
    assert_eq!((said[0]["text"].as_str(), said[0]["state"].as_str()), ("as it was said first", "current"));
    desk.place.verified();
}

#[test]
fn days_begin_where_the_reader_lives() {
    let desk = Desk::open();
    let flags =
        ["--from", "2026-03-04", "--to", "2026-03-07", "--tz", "America/Los_Angeles", "--date-format", "MM/DD/YYYY"];
    let rows = rows(&desk, "days", &flags);
    let zone = Zone::parse("America/Los_Angeles").unwrap();
    let mut others = 0;
    for row in rows.iter().filter(|row| row["kind"] == "message") {
        let time = parse_time(&row["time_utc"], Zone::UTC).unwrap();
        assert_eq!(row["date"], zone.date(time).format("%m/%d/%Y").to_string());
        assert_eq!(row["time"], zone.clock_text(time));
        assert!((zone.start_of_day(zone.date(time))..parse_time("2026-03-07", zone).unwrap()).contains(&time));
        others += usize::from(zone.date(time) != Zone::UTC.date(time));
    }
    assert!(others > 0, "no message was written on another day there than in UTC");
    desk.place.verified();
}

#[test]
fn a_query_finds_what_stood_at_the_checkpoint_whatever_came_later() {
    let desk = Desk::open();
    let workspace = desk.server.running.workspace();
    let channel = workspace.channels().into_iter().find(|(_, name)| name == "general").unwrap().0;
    let user = "petr.malek@orlava.example";
    let ts = workspace.post(&channel, user, "zqstanding is what it says").unwrap();
    desk.place.crawl();
    let args = |name: &str| {
        let flags = ["export", "--json", "--format", "csv", "--versions", "current", "--query", "zqstanding"];
        [&flags, ["--output", name].as_slice()].concat().into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    // A set that was begun, and cut off.
    let cut = (0..20).map(|number| format!("cut-{number}")).find(|name| {
        let mut run = desk.place.start(&args(name));
        let start = desk.place.path(&format!("{name}.partial/work/start.json"));
        while !start.exists() && !run.ends_within(Duration::from_millis(1)) {}
        run.ends_within(Duration::from_millis(10));
        run.kill();
        drop(run.finish());
        start.exists() && !desk.place.path(name).exists()
    });
    let name = cut.expect("it was too quick to be killed");
    workspace.edit(&channel, &ts, Some(user), "and now something else").unwrap();
    desk.place.crawl();
    desk.place.run(&args(&name)).expect(DONE);
    let rows = table(&desk.place.path(&name).join("data/messages.csv"));
    let texts: Vec<(&str, &str)> = rows.iter().map(|row| (row["state"].as_str(), row["text"].as_str())).collect();
    assert_eq!(texts, [("current", "zqstanding is what it says")]);
    // A set of now: what it says no more does not find it, and what it ever said does where all is asked for.
    desk.place.run(&args("now")).expect_error(FAILURE, &["nothing in the archive is in this scope"]);
    let (bag, _) = desk.export("ever", &["--format", "csv", "--query", "zqstanding"]);
    assert_eq!(table(&bag.join("data/messages.csv")).len(), 2);
    desk.place.verified();
}

#[test]
fn a_file_of_a_time_comes_with_the_message_that_brings_it() {
    let desk = Desk::open();
    let whole = rows(&desk, "whole", &[]);
    let of = |rows: &[std::collections::BTreeMap<String, String>], file: &str| {
        rows.iter().filter(|row| row["kind"] == "file" && row["file_id"] == file).count()
    };
    // The source says of some files that they were made after their message.
    let seconds = |row: &std::collections::BTreeMap<String, String>| row["time_utc"][..19].to_owned();
    let late = desk.records().into_values().find_map(|record| {
        let body: serde_json::Value = serde_json::from_slice(&record.body).ok()?;
        let created = teamchat_archive::model::UtcTime::from_timestamp(body["created"].as_i64()?, 0)?;
        let created = created.format("%Y-%m-%dT%H:%M:%S").to_string();
        let id = body["id"].as_str()?;
        let times: Vec<String> =
            whole.iter().filter(|row| row["kind"] == "message" && row["file_id"].contains(id)).map(seconds).collect();
        let is_late = !times.is_empty() && times.iter().all(|time| *time < created);
        (record.header.kind == Kind::File && is_late).then_some((record.header.key, created))
    });
    let (file, created) = late.unwrap();
    assert!(of(&whole, &file) > 0);
    let after = rows(&desk, "after", &["--from", &format!("{created}Z")]);
    assert_eq!(of(&after, &file), 0, "{file} of {created} stands without the message that brings it");
    desk.place.verified();
}
