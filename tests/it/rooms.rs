//! The house in order: what each room of `src/` may import, and what must not be anywhere.
//!
//! The table is the one of the architecture, copied here as data, so that a change of either is
//! seen.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Rooms of `src/`, bottom to top, and which others each may import.
const ROOMS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("ledger", &["model"]),
    ("record", &["ledger", "model"]),
    ("query", &["model"]),
    ("config", &["model"]),
    ("api", &["model"]),
    ("store", &["record", "ledger", "model"]),
    ("anchor", &["ledger", "store", "model"]),
    ("history", &["store", "record", "model"]),
    ("crawl", &["api", "history", "store", "record", "model"]),
    ("extract", &["model"]),
    ("index", &["history", "store", "extract", "query", "record", "model"]),
    ("policy", &["index", "history", "query", "store", "record", "model"]),
    ("verify", &["policy", "index", "history", "anchor", "store", "record", "ledger", "model"]),
    ("export", &["policy", "index", "history", "store", "query", "record", "ledger", "model"]),
    (
        "web",
        &["export", "verify", "policy", "index", "extract", "history", "store", "query", "record", "ledger", "model"],
    ),
    ("sandbox", &["model"]),
    (
        "app",
        &[
            "sandbox", "web", "export", "verify", "policy", "index", "extract", "crawl", "history", "anchor", "store",
            "api", "config", "query", "record", "ledger", "model",
        ],
    ),
    (
        "cli",
        &[
            "app", "sandbox", "web", "export", "verify", "policy", "index", "extract", "crawl", "history", "anchor",
            "store", "api", "config", "query", "record", "ledger", "model",
        ],
    ),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A source file: its path from the top, and its code without comments, strings and, if asked,
/// test modules.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// The room of `src/` that it is in; empty for `lib.rs` and `main.rs`.
    fn room(&self) -> &str {
        let inside = self.path.strip_prefix("src/").unwrap_or_default();
        match inside.split_once('/') {
            Some((room, _)) => room,
            None => inside.strip_suffix(".rs").filter(|name| !["lib", "main"].contains(name)).unwrap_or_default(),
        }
    }

    /// What the compiler sees outside tests: no comments, no strings, no `#[cfg(test)]` module.
    fn code(&self) -> String {
        let code = without_comments_and_strings(&self.text);
        match code.find("#[cfg(test)]\nmod tests {") {
            Some(at) => code[..at].to_owned(),
            None => code,
        }
    }

    fn is_test(&self) -> bool {
        self.path.starts_with("tests/") || self.path.ends_with("/tests.rs")
    }
}

fn walk(folder: &Path, extensions: &[&str], into: &mut Vec<Source>) {
    let Ok(entries) = fs_err::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            if !["target", "node_modules", "venv", ".git"].contains(&name) {
                walk(&path, extensions, into);
            }
        } else if extensions.contains(&path.extension().and_then(|text| text.to_str()).unwrap_or_default())
            || extensions.contains(&name)
        {
            let text = fs_err::read_to_string(&path).unwrap();
            let path = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            into.push(Source { path, text });
        }
    }
}

fn rust(folder: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    walk(&root().join(folder), &["rs"], &mut sources);
    assert!(!sources.is_empty(), "{folder} has no Rust");
    sources
}

/// Blanks comments, strings and character literals; line breaks stay.
fn without_comments_and_strings(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let letters: Vec<char> = text.chars().collect();
    let mut at = 0;
    let starts = |at: usize, word: &str| word.chars().enumerate().all(|(i, c)| letters.get(at + i) == Some(&c));
    while at < letters.len() {
        if starts(at, "//") {
            while at < letters.len() && letters[at] != '\n' {
                at += 1;
            }
        } else if letters[at] == 'r' && (starts(at, "r\"") || starts(at, "r#")) && starts_raw(&letters, at) {
            let hashes = letters[at + 1..].iter().take_while(|c| **c == '#').count();
            let end: String = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
            at += hashes + 2;
            while at < letters.len() && !starts(at, &end) {
                out.extend((letters[at] == '\n').then_some('\n'));
                at += 1;
            }
            at += hashes + 1;
            out.push_str("\"\"");
        } else if letters[at] == '"' {
            at += 1;
            while at < letters.len() && letters[at] != '"' {
                out.extend((letters[at] == '\n').then_some('\n'));
                at += if letters[at] == '\\' { 2 } else { 1 };
            }
            at += 1;
            out.push_str("\"\"");
        } else if letters[at] == '\'' && (letters.get(at + 1) == Some(&'\\') || letters.get(at + 2) == Some(&'\'')) {
            at += if letters.get(at + 1) == Some(&'\\') { 3 } else { 2 };
            while at < letters.len() && letters[at] != '\'' {
                at += 1;
            }
            at += 1;
        } else {
            out.push(letters[at]);
            at += 1;
        }
    }
    out
}

/// Whether a raw string, not an identifier, begins here.
fn starts_raw(letters: &[char], at: usize) -> bool {
    let before = at.checked_sub(1).map(|before| letters[before]);
    let hashes = letters[at + 1..].iter().take_while(|c| **c == '#').count();
    before.is_none_or(|c| !c.is_alphanumeric() && c != '_' || c == 'b') && letters.get(at + 1 + hashes) == Some(&'"')
}

/// The rooms that `code` names as `crate::room` or in `crate::{room, …}`.
fn imports(code: &str) -> BTreeSet<String> {
    let word = |text: &str| -> String { text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect() };
    let mut out = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => drop(out.insert(word(rest))),
            Some(list) => {
                let mut depth = 0;
                let mut start = true;
                for (at, letter) in list.char_indices() {
                    match letter {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => start = true,
                        c if start && !c.is_whitespace() => {
                            out.insert(word(&list[at..]));
                            start = false;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    out
}

#[test]
fn imports_are_found_in_both_spellings() {
    let code = "use crate::store::{Error, Reader};\nuse crate::{index, model::{self, json}, web};\ncrate::record::x()";
    let found: Vec<String> = imports(code).into_iter().collect();
    assert_eq!(found, ["index", "model", "record", "store", "web"]);
    let code = without_comments_and_strings(
        "a('\"'); // crate::x\nlet s = \"crate::y \\\" \"; let r = r#\"crate::\"z\"#; b('\\'')",
    );
    assert!(!code.contains("crate"), "{code}");
    assert!(code.contains("b(") && code.contains("let r"), "{code}");
}

#[test]
fn each_room_imports_only_what_the_table_allows() {
    let table: BTreeMap<&str, &[&str]> = ROOMS.iter().copied().collect();
    let mut problems = Vec::new();
    let mut seen = BTreeSet::new();
    for source in rust("src") {
        let room = source.room();
        if room.is_empty() || source.is_test() {
            continue;
        }
        seen.insert(room.to_owned());
        let Some(allowed) = table.get(room) else {
            problems.push(format!("{}: the table has no room {room}", source.path));
            continue;
        };
        for import in imports(&source.code()) {
            // What is no room is something the crate's root holds.
            let is_room = table.contains_key(import.as_str());
            if is_room && import != room && !allowed.contains(&import.as_str()) {
                problems.push(format!("{}: {room} imports {import}", source.path));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(seen.len() > 12, "only {seen:?} was looked at");
}

#[test]
fn the_table_has_no_way_up() {
    let order: BTreeMap<&str, usize> = ROOMS.iter().enumerate().map(|(at, (room, _))| (*room, at)).collect();
    for (room, allowed) in ROOMS {
        for import in *allowed {
            assert!(order[import] < order[room], "{room} above {import}");
        }
    }
}

/// Which words may stand only in the files of which beginnings.
const CONFINED: &[(&str, &[&str])] = &[
    ("rusqlite", &["src/store/"]),
    ("std::env::var", &["src/config/"]),
    ("use std::env;", &["src/config/"]),
    ("env::vars", &["src/config/"]),
    ("reqwest", &["src/anchor/", "src/api/", "src/web/oidc.rs"]),
    ("tungstenite", &["src/api/"]),
    ("println!", &["src/cli/"]),
    ("print!", &["src/cli/"]),
    ("eprint!", &["src/cli/"]),
    ("io::stdout", &["src/cli/"]),
    ("io::stderr", &["src/cli/"]),
    ("anstream", &["src/cli/"]),
    ("process::exit", &[]),
    ("Utc::now", &["src/model/clock.rs", "src/sandbox/"]),
    ("Local::now", &[]),
    ("SystemTime::now", &["src/model/clock.rs", "src/sandbox/"]),
];

#[test]
fn what_belongs_to_one_room_stands_in_no_other() {
    let mut problems = Vec::new();
    for source in rust("src").into_iter().filter(|source| !source.is_test()) {
        let code = source.code();
        for (word, places) in CONFINED {
            if code.contains(word) && !places.iter().any(|place| source.path.starts_with(place)) {
                problems.push(format!("{}: {word}", source.path));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn nothing_is_left_undone_or_switched_off() {
    let mut problems = Vec::new();
    for source in rust("src").into_iter().chain(rust("tests")) {
        let code = without_comments_and_strings(&source.text);
        for word in ["todo!", "unimplemented!", "#[ignore", "dbg!", "thread::sleep"] {
            if code.contains(word) {
                problems.push(format!("{}: {word}", source.path));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn every_test_file_is_declared() {
    let main = fs_err::read_to_string(root().join("tests/it/main.rs")).unwrap();
    let mut forgotten = Vec::new();
    for entry in fs_err::read_dir(root().join("tests/it")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let is_module = path.is_dir() || path.extension().is_some_and(|extension| extension == "rs");
        if is_module && name != "main" && name != "snapshots" && !main.contains(&format!("mod {name};")) {
            forgotten.push(name.to_owned());
        }
    }
    assert!(forgotten.is_empty(), "{forgotten:?}");
}

#[test]
fn every_file_begins_with_what_it_is_for() {
    let bare: Vec<String> = rust("tests")
        .into_iter()
        .chain(rust("src").into_iter().filter(|source| source.path.ends_with("/mod.rs")))
        .filter(|source| !source.text.starts_with("//! "))
        .map(|source| source.path)
        .collect();
    assert!(bare.is_empty(), "{bare:?}");
}

#[test]
fn no_file_names_a_place_on_somebodys_machine() {
    // Put together here, so that this file does not name them itself.
    let places = ["work", "root", "home", "Users"].map(|name| format!("/{name}/"));
    // An invented home in a test of paths.
    let invented = format!("{}a", places[2]);
    let mut sources = Vec::new();
    let extensions = [
        "rs", "toml", "md", "json", "html", "css", "js", "mjs", "ts", "py", "sql", "yml", "yaml", "sh", "Makefile",
        "run",
    ];
    walk(&root(), &extensions, &mut sources);
    let mut problems = Vec::new();
    for source in &sources {
        for (number, line) in source.text.lines().enumerate() {
            let line = line.replace(&format!("\"{invented}\""), "").replace(&format!("\"{invented}/"), "");
            let named = places.iter().find(|place| {
                // A part of an address (`https://host/home/`) is no path of a machine.
                line.match_indices(place.as_str()).any(|(at, _)| {
                    line[..at].chars().next_back().is_none_or(|c| !c.is_alphanumeric() && !"./}_-*".contains(c))
                })
            });
            if let Some(place) = named {
                problems.push(format!("{}:{}: {place}", source.path, number + 1));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(sources.len() > 200, "only {} files were read", sources.len());
}
