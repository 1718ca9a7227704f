//! What is asked of every route and method: what is the reviewer's, what is elsewhere and what is nowhere.

use axum::http::Method;

use super::super::encode;
use super::super::methods::METHODS;
use super::side::{Asked, By};
use super::town::{BOB, JON, WORDS};
use crate::schedules::play::Dice;

/// What there is to ask for: here, elsewhere and nowhere.
pub(super) struct Known {
    /// The reviewer's two, and those elsewhere.
    pub(super) open: Vec<String>,
    pub(super) places: Vec<String>,
    pub(super) records: u64,
    pub(super) times: Vec<String>,
    pub(super) files: Vec<String>,
    pub(super) queries: Vec<String>,
}

impl Known {
    pub(super) fn places(&self) -> Vec<String> {
        let nowhere = "nowhere".to_owned();
        self.open.iter().chain(&self.places).chain([&nowhere]).cloned().collect()
    }

    /// What stands for a parameter of a route.
    pub(super) fn values(&self, pattern: &str, section: &str, name: &str) -> Vec<String> {
        let texts = |texts: &[&str]| texts.iter().map(|text| encode(text)).collect();
        match (section, name) {
            ("c", "id") => self.places().iter().map(|id| encode(id)).collect(),
            ("c", "date") => texts(&["2026-03-04", "2026-03-09", "2026-13-01"]),
            ("people", "id") => texts(&[BOB, JON, "nobody@harbour.example"]),
            ("r", "record") => {
                // Each record's page; of some the rest.
                let step = if pattern == "/r/{record}" { 1 } else { 6 };
                (0..self.records + 1).step_by(step).map(|seq| seq.to_string()).chain(["x".to_owned()]).collect()
            }
            ("r", "number") => texts(&["1", "2", "x"]),
            ("f", "id") => self.files.iter().map(|id| encode(id)).chain(["none".to_owned()]).collect(),
            ("exhibits" | "exports" | "saved", _) | ("crawl", "run") => texts(&["1", "2", "9", "x"]),
            ("access", "entry") => texts(&["0", "1", "5", "40", "99999", "x"]),
            ("static", _) => texts(&["x"]),
            other => panic!("nothing stands for {other:?} of {pattern}"),
        }
    }

    /// What stands behind the address of a route that is looked at. `None`: nobody thought of this route yet.
    pub(super) fn looked(&self, pattern: &str, dice: &mut Dice) -> Option<Vec<String>> {
        let own = |queries: &[&str]| queries.iter().map(|query| (*query).to_owned()).collect::<Vec<_>>();
        let mut out = own(&[""]);
        let times: Vec<&String> = (0..3).filter_map(|_| dice.pick(&self.times)).collect();
        match pattern {
            "/search" | "/certificate" => {
                let beside = self.beside();
                for (n, q) in self.queries.iter().enumerate() {
                    let few = if pattern == "/search" { 2 } else { 1 };
                    let all = n == 0;
                    out.push(format!("?q={}", encode(q)));
                    for _ in 0..if all { 0 } else { few } {
                        out.push(format!("?q={}&{}", encode(q), dice.pick(&beside).unwrap()));
                    }
                    out.extend(beside.iter().filter(|_| all).map(|more| format!("?q={}&{more}", encode(q))));
                }
                out.extend(beside.iter().map(|more| format!("?{more}")));
            }
            "/c/{id}" => {
                out.extend(own(&[
                    "?n=5",
                    "?date=2026-03-06",
                    "?date=x",
                    "?at=x",
                    "?at=0.000000",
                    "?before=x",
                    "?n=x",
                    "?q=crane",
                    "?asof=2026-03-06",
                    "?asof=2020-01-01",
                    "?tz=Asia/Tokyo",
                    "?at=3",
                    "?q=in:crane&at=30",
                ]));
                out.extend(
                    times
                        .iter()
                        .flat_map(|ts| [format!("?at={ts}"), format!("?n=3&before={ts}"), format!("?n=3&after={ts}")]),
                );
            }
            "/c/{id}/day/{date}" => out.extend(own(&["?asof=2026-03-06", "?from=x", "?tz=Asia/Tokyo"])),
            "/people" => out.extend(own(&["?name=person", "?name=jon", "?name=zz", "?from=2"])),
            "/f" => {
                out.extend(own(&[
                    "?name=crane",
                    "?name=zeppelin",
                    "?extension=xyz",
                    "?extension=txt",
                    "?state=deleted",
                    "?author=ann@harbour.example",
                    "?after=x",
                ]));
                out.extend(self.places().iter().map(|id| format!("?channel={}", encode(id))));
            }
            "/f/{id}" | "/f/{id}/blob" | "/f/{id}/preview" | "/f/{id}/thumbnail" => {
                out.extend(own(&["?v=1", "?v=2", "?v=x"]))
            }
            "/f/{id}/text" => out.extend(own(&["?v=1", "?q=crane"])),
            "/crawl" => out.extend(own(&["?before=2"])),
            "/crawl/coverage" => {
                out.extend(own(&["?by=month", "?by=day&to=2026-03-09", "?page=2", "?page=x"]));
                out.extend(self.places().iter().map(|id| format!("?channel={}", encode(id))));
            }
            "/access" => {
                out.extend(own(&["?who=rita", "?action=view", "?action=export", "?before=9", "?day=2026-03-04"]))
            }
            "/exports" => {
                out.extend(own(&["?q=crane", "?q=in:attic", "?exhibit=1"]));
                out.extend(self.places().iter().map(|id| format!("?q=&channel={}", encode(id))));
            }
            "/search/advanced" => out.extend(own(&["?words=crane&channel=attic", "?words=x&state=deleted"])),
            "/out" => out.extend(own(&["?to=https://a.example/", "?to=x"])),
            "/sessions" => out.extend(own(&["?of=ada"])),
            "/login" => out.extend(own(&["?next=/c"])),
            "/"
            | "/saved"
            | "/sessions/factor"
            | "/exhibits"
            | "/exhibits/{n}"
            | "/exhibits/{n}/exhibit.html"
            | "/exports/{n}"
            | "/exports/{n}/set.zip"
            | "/c"
            | "/c/{id}/day/{date}/list.txt"
            | "/people/{id}"
            | "/r/{record}"
            | "/r/{record}/v/{number}"
            | "/r/{record}/raw.json"
            | "/r/{record}/proof.tlog-proof"
            | "/r/{record}/proof.json"
            | "/crawl/runs/{run}"
            | "/verify"
            | "/verify/verify.py"
            | "/verify/verify.html"
            | "/verify/ledger.vkey"
            | "/access/{entry}"
            | "/admin/users"
            | "/admin/tokens"
            | "/setup"
            | "/healthz"
            | "/readyz"
            | "/static/{hash}/{name}"
            | "/favicon.ico"
            | "/robots.txt"
            | "/openapi.json" => {}
            _ => return None,
        }
        Some(out)
    }

    /// What may stand beside a query.
    fn beside(&self) -> Vec<String> {
        let mut out: Vec<String> = [
            "sort=newest",
            "sort=oldest",
            "state=deleted",
            "state=edited",
            "author=ann@harbour.example",
            "author=jon@harbour.example",
            "asof=2026-03-05",
            "list=channel",
            "list=author&like=o",
            "list=extension",
            "page=2",
            "on=2026-03-04..2026-03-06",
            "kind=files",
            "kind=messages",
            "extension=xyz",
            "tz=Asia/Tokyo",
        ]
        .map(str::to_owned)
        .into();
        out.extend(self.places().iter().map(|id| format!("channel={}", encode(id))));
        out
    }

    /// What is sent to a route. `None`: nobody thought of this route yet.
    pub(super) fn sent(&self, pattern: &str) -> Option<Vec<Vec<(&'static str, String)>>> {
        let one = |pairs: &[(&'static str, &str)]| {
            pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect::<Vec<_>>()
        };
        let mut out = vec![Vec::new()];
        match pattern {
            "/exhibits" => {
                // Some of each other, some alone.
                let all = (0..self.records).step_by(4).map(|seq| ("record", seq.to_string())).collect();
                out = vec![all, one(&[("record", "99999")]), one(&[("record", &(self.records - 3).to_string())])];
            }
            "/exports" => {
                let mut sets = vec![one(&[("format", "jsonl"), ("q", "crane")]), one(&[("format", "csv")])];
                sets.extend(self.places().iter().map(|id| one(&[("format", "csv"), ("channel", id)])));
                sets.push(one(&[("format", "csv"), ("record", &(self.records - 3).to_string())]));
                sets.push(one(&[("format", "csv"), ("q", "zeppelin")]));
                out = sets;
            }
            "/saved/keep" => {
                out = vec![
                    one(&[("name", "one"), ("address", "q=crane")]),
                    one(&[("name", "two"), ("address", "q=zeppelin")]),
                    one(&[("name", "three"), ("address", "q=in:crane+crane")]),
                ];
            }
            "/look" => out = vec![one(&[("tz", "UTC"), ("back", "/c")])],
            "/verify" => out = vec![one(&[("depth", "quick")])],
            "/exhibits/{n}/remove" => out = vec![one(&[("record", "5")])],
            "/exhibits/{n}/join" => out = vec![one(&[("exhibit", "2")])],
            "/exhibits/{n}/title" => out = vec![one(&[("title", "x")])],
            "/login" => out = vec![one(&[("username", "ada"), ("password", "wrong")])],
            "/sessions/password" => out = vec![one(&[("old", "wrong"), ("new", "correct horse battery 2")])],
            "/sessions/end" => out = vec![one(&[("id", "0")])],
            "/exhibits/{n}/delete"
            | "/exports/{n}/stop"
            | "/exports/{n}/again"
            | "/exports/{n}/delete"
            | "/admin/users/add"
            | "/admin/users/change"
            | "/admin/users/password"
            | "/admin/users/state"
            | "/admin/tokens/create"
            | "/admin/tokens/revoke"
            | "/saved/{id}/delete"
            | "/logout"
            | "/setup"
            | "/csp-report"
            | "/login/code"
            | "/sessions/factor/begin"
            | "/sessions/factor/on"
            | "/sessions/factor/off"
            | "/admin/users/factor" => {}
            _ => return None,
        }
        Some(out)
    }

    /// What a parameter of the API may be.
    fn argument(&self, name: &str) -> Vec<String> {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        match name {
            "channel" => self.places(),
            "user" => texts(&[BOB, JON, "nobody"]),
            "file" => self.files.iter().cloned().chain(["none".to_owned()]).collect(),
            "ts" | "timestamp" | "latest" | "oldest" => {
                self.times.iter().step_by(7).cloned().chain(["1.000000".to_owned(), "x".to_owned()]).collect()
            }
            "query" => self.queries.clone(),
            "count" => texts(&["2", "1000"]),
            "page" => texts(&["2"]),
            "cursor" => texts(&["x"]),
            "ts_from" | "ts_to" => texts(&["1772700000"]),
            "states" => texts(&["current,edited,deleted", "deleted"]),
            "sort" => texts(&["newest", "relevance"]),
            "sort_dir" => texts(&["asc"]),
            "as_of" => texts(&["2026-03-05"]),
            "by" => texts(&["day", "month"]),
            "ticket" => texts(&["x"]),
            "error" => texts(&["x"]),
            "inclusive" | "unreads" | "exclude_archived" | "exclude_members" | "facets" | "highlight" => texts(&["1"]),
            other => panic!("nothing stands for the parameter {other}"),
        }
    }

    /// Calls of every method of the API.
    pub(super) fn calls(&self, dice: &mut Dice) -> Vec<Asked> {
        let mut out = Vec::new();
        for (method, _, needed, optional) in METHODS {
            let mut calls: Vec<Vec<(String, String)>> = vec![Vec::new()];
            for name in needed {
                let values = self.argument(name);
                calls = calls
                    .iter()
                    .flat_map(|call| {
                        values
                            .iter()
                            .map(move |value| [call.as_slice(), &[((*name).to_owned(), value.clone())]].concat())
                    })
                    .collect();
            }
            let mut more = Vec::new();
            for name in optional {
                for value in self.argument(name) {
                    let call = dice.pick(&calls).unwrap();
                    more.push([call.as_slice(), &[((*name).to_owned(), value)]].concat());
                }
            }
            if needed.contains(&"query") {
                let all = [("facets", "1"), ("by", "day"), ("states", "current,edited,deleted"), ("highlight", "1")];
                let all = all.map(|(name, value)| (name.to_owned(), value.to_owned()));
                more.extend(calls.iter().map(|call| [call.as_slice(), &all].concat()));
            }
            for call in calls.into_iter().chain(more) {
                let pairs: Vec<String> = call.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
                out.push(Asked {
                    pattern: "/teamchatapi/{method}".to_owned(),
                    by: By::Token,
                    method: Method::GET,
                    path: format!("/teamchatapi/{method}?{}", pairs.join("&")),
                    fields: None,
                });
            }
        }
        out
    }
}

pub(super) fn queries(dice: &mut Dice) -> Vec<String> {
    let mut word = || *dice.pick(&WORDS).unwrap();
    let mut out = vec![
        format!("{} OR {}", word(), word()),
        word().to_owned(),
        format!("{} {}", word(), word()),
        format!("\"{} {}\"", word(), word()),
        format!("NOT {}", word()),
        format!("{} w/3 {}", word(), word()),
        format!("{}~", word()),
    ];
    out.extend(
        [
            "cra*",
            "zeppelin",
            "cranberry",
            "cran",
            "plan*",
            "from:jon",
            "from:bob crane",
            "in:crane",
            "in:attic crane",
            "in:quay",
            "with:jon",
            "is:deleted",
            "is:edited",
            "is:im",
            "NOT is:im crane",
            "is:comment OR is:bot OR is:thread OR is:pinned OR has:link OR has:reaction",
            "is:superseded OR is:unextracted OR is:truncated",
            "mentions:bob OR reaction:eyes OR mime:text/plain",
            "title:cra* OR content:crane OR body:/pla.*/",
            "size:>3 OR extraction:ok",
            "record:1..400 crane~~",
            "has:file",
            "ext:xyz",
            "date:2026-03-03..2026-03-05 crane",
            "NOT in:attic",
            "(",
            "nothing:here",
            "*",
        ]
        .map(str::to_owned),
    );
    out
}
