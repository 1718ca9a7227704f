//! The shape of what `serve` answers to searches: the reference's schemas hold for it, whatever is asked
//! for, and what is asked for is heeded.

use std::collections::BTreeSet;

use serde_json::Value;
use teamchat_archive::sandbox::story;

use crate::cli::harness::{DONE, Place, Server, list, number, string};
use crate::reference::Schemas;
use crate::served::{Desk, Dice, crawled};

fn opened() -> (Server, Place, Desk) {
    let (server, place) = crawled(story::seed());
    server.running.play_later().unwrap();
    place.run(&["crawl", "--full", "--json"]).expect(DONE);
    let desk = Desk::open(&place);
    (server, place, desk)
}

/// Each value of a parameter, and that it is not given.
const PARAMETERS: [(&str, &[&str]); 5] = [
    ("highlight", &["", "1", "0"]),
    ("count", &["", "1", "7", "1000"]),
    ("page", &["", "2", "400"]),
    ("sort", &["", "score", "timestamp"]),
    ("sort_dir", &["", "asc", "desc"]),
];

/// All mixtures of the parameters.
fn mixtures() -> Vec<Vec<(&'static str, &'static str)>> {
    let mut out: Vec<Vec<(&str, &str)>> = vec![Vec::new()];
    for (name, values) in PARAMETERS {
        out = out
            .into_iter()
            .flat_map(|mixture| {
                values.iter().map(move |value| {
                    let mut mixture = mixture.clone();
                    if !value.is_empty() {
                        mixture.push((name, *value));
                    }
                    mixture
                })
            })
            .collect();
    }
    out
}

/// What a list of matches says wrong of itself, when so much was asked for.
fn miscounts(found: &Value, given: &dyn Fn(&str) -> Option<u64>) -> Vec<String> {
    let (count, page) = (given("count").unwrap_or(20), given("page").unwrap_or(1));
    let total = number(found, "/total");
    let shown = list(found, "/matches").len() as u64;
    let pages = total.div_ceil(count);
    let due = total.saturating_sub((page - 1) * count).min(count);
    let mut out = Vec::new();
    for (name, is, due) in [
        ("matches", shown, due),
        ("paging.count", number(found, "/paging/count"), due),
        ("paging.total", number(found, "/paging/total"), total),
        ("paging.page", number(found, "/paging/page"), page),
        ("paging.pages", number(found, "/paging/pages"), pages),
        ("pagination.total_count", number(found, "/pagination/total_count"), total),
        ("pagination.per_page", number(found, "/pagination/per_page"), count),
        ("pagination.page", number(found, "/pagination/page"), page),
        ("pagination.page_count", number(found, "/pagination/page_count"), pages),
    ] {
        if is != due {
            out.push(format!("{name} is {is}, not {due}"));
        }
    }
    out
}

#[test]
fn the_schemas_of_the_reference_hold_for_every_search() {
    let (_server, _place, desk) = opened();
    let schemas = Schemas::load();
    let mixtures = mixtures();
    assert_eq!(mixtures.len(), 3 * 4 * 3 * 3 * 3);
    let mut problems = Vec::new();
    let mut totals: BTreeSet<(&str, u64)> = BTreeSet::new();
    let mut marked = 0;
    let mut dice = Dice(5);
    for mixture in &mixtures {
        // Each mixture is asked of one method, and each method for many of each value.
        let method = ["search.all", "search.messages", "search.files"][dice.below(3)];
        let query = if method == "search.files" { "pdf OR png" } else { "contract OR crane" };
        let mut arguments = vec![("query", query)];
        arguments.extend(mixture);
        let reply = desk.reply(method, &arguments);
        let name = format!("{method} {mixture:?}");
        problems.extend(schemas.problems(method, &reply).into_iter().map(|problem| format!("{name}: {problem}")));
        let value = |name: &str| mixture.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        let given = |name: &str| value(name).and_then(|value| value.parse::<u64>().ok());
        for kind in ["messages", "files"] {
            let is_due = method == "search.all" || method == format!("search.{kind}");
            if reply.get(kind).is_some() != is_due {
                problems.push(format!("{name}: {kind} is {:?}", reply.get(kind)));
                continue;
            }
            if is_due {
                problems
                    .extend(miscounts(&reply[kind], &given).into_iter().map(|said| format!("{name}: {kind}: {said}")));
            }
        }
        if method == "search.messages" {
            let matches = list(&reply, "/messages/matches");
            totals.insert((method, number(&reply, "/messages/total")));
            let has_marks = matches.iter().any(|hit| hit["text"].as_str().unwrap_or_default().contains('\u{e000}'));
            assert!(!has_marks || value("highlight") == Some("1"), "{name}: marks that nobody asked for");
            marked += usize::from(has_marks);
            if value("sort") == Some("timestamp") {
                let stamps: Vec<String> =
                    matches.iter().filter(|hit| hit["ts"].is_string()).map(|hit| string(hit, "/ts")).collect();
                let is_right =
                    if value("sort_dir") == Some("asc") { stamps.is_sorted() } else { stamps.iter().rev().is_sorted() };
                assert!(is_right, "{name}: not in the order of time: {stamps:?}");
            }
        }
    }
    desk.close();
    assert!(problems.is_empty(), "{}:\n{}", problems.len(), problems.join("\n"));
    assert_eq!(totals.len(), 1, "the total depends on how it is asked for: {totals:?}");
    assert!(totals.iter().all(|(_, total)| *total > 7), "{totals:?}");
    assert!(marked > 10, "{marked} replies have marks");
}

#[test]
fn a_query_that_cannot_be_read_is_refused_in_the_shape_of_an_error() {
    let (_server, _place, desk) = opened();
    let schemas = Schemas::load();
    for query in ["(", "\"open", "nosuch:field", "a w/0 b", "/(/", "word~9"] {
        let reply = desk.call("search.all", &[("query", query)]);
        assert_eq!(reply["ok"], false, "{query}: {reply}");
        assert_eq!(schemas.problems("error", &reply), Vec::<String>::new(), "{query}: {reply}");
    }
    desk.close();
}
