//! A set in the format native, and the archive that is made of it.

use std::collections::BTreeSet;
use std::path::Path;

use teamchat_archive::model::{Digest, RecordSeq};
use teamchat_archive::record::{Header, Kind, Origin, Record, State};
use teamchat_archive::store::{Layout, Reader};

use super::Desk;
use crate::cli::harness::{DONE, FAILURE, INCOMPLETE, INTEGRITY, Outcome, Started, USAGE, files_below, list, number};

/// What stands in an archive, without what an import makes anew: kind, channel, key and version of each record
/// in order, its state and the digest of its body.
fn records(reader: &Reader, of: impl Fn(Kind) -> bool) -> Vec<(Kind, Option<String>, String, u32, State, Digest)> {
    let head = reader.head().unwrap();
    let all = (0..head).map(|seq| reader.record(RecordSeq(seq)).unwrap()).filter(|record| of(record.header.kind));
    all.map(|record| {
        let header = record.header;
        (header.kind, header.channel, header.key, header.version, header.state, Digest::of(&record.body))
    })
    .collect()
}

/// Runs a command on another archive of the place, which has keys of its own.
fn on(desk: &Desk, archive: &str, args: &[&str]) -> Outcome {
    start(desk, archive, args).finish()
}

fn start(desk: &Desk, archive: &str, args: &[&str]) -> Started {
    let mut command = desk.place.command(&[&["--archive", archive], args].concat());
    command.env("TEAMCHAT_ARCHIVE_KEYS_DIR", desk.place.path(&format!("{archive}-keys")));
    Started::new(command)
}

fn reader(desk: &Desk, archive: &str) -> Reader {
    Reader::open(&Layout::new(desk.place.path(archive))).unwrap()
}

/// The headers of an archive's records, without what an import makes anew.
fn headers(reader: &Reader) -> Vec<Header> {
    let all = (0..reader.head().unwrap()).map(|seq| reader.record(RecordSeq(seq)).unwrap().header);
    all.filter(|header| !matches!(header.kind, Kind::Archive | Kind::Dictionary)).collect()
}

/// `verify` finds nothing.
fn verified(desk: &Desk, archive: &str) {
    let report = on(desk, archive, &["verify", "--json"]).expect(DONE).json();
    assert_eq!(report["findings"], serde_json::json!([]), "{report}");
}

/// What a search finds, in its order, by the numbers that the records have in the archive that they are from.
fn found(reply: &serde_json::Value, reader: &Reader) -> Vec<(String, u64)> {
    let matches = ["messages", "files"].into_iter().flat_map(|part| {
        let all = list(reply, &format!("/{part}/matches"));
        all.into_iter().map(move |hit| (part.to_owned(), number(&hit, "/archive/record")))
    });
    let first = |seq| reader.record(RecordSeq(seq)).unwrap().header.first.map_or(seq, |first| first.record);
    matches.map(|(part, seq)| (part, first(seq))).collect()
}

/// Makes the manifests of a bag anew, as anybody can.
fn mend(bag: &Path) {
    for (manifest, is_tag) in [("manifest-sha256.txt", false), ("tagmanifest-sha256.txt", true)] {
        let mut text = String::new();
        for path in files_below(bag) {
            let name = path.strip_prefix(bag).unwrap().to_str().unwrap();
            if name.starts_with("data/") != is_tag && name != "tagmanifest-sha256.txt" {
                text.push_str(&format!("{}  {name}\n", Digest::of(&fs_err::read(&path).unwrap())));
            }
        }
        fs_err::write(bag.join(manifest), text).unwrap();
    }
}

#[test]
fn an_archive_comes_back_from_its_native_set() {
    let desk = Desk::open();
    let (bag, report) = desk.export("native", &["--format", "native"]);
    assert_eq!(desk.check(&bag).0, 0);
    let key = desk.place.keys().join("ledger.vkey").to_str().unwrap().to_owned();
    let outcome = on(&desk, "copy", &["import", "native", "--json", "--key", &key]).expect(DONE);
    assert!(outcome.stderr.contains(&format!("only the set says that {}", desk.server.ready.url)), "{outcome}");
    let summary = outcome.json();
    let copy = reader(&desk, "copy");
    let is_carried = |kind: Kind| !matches!(kind, Kind::Archive | Kind::Dictionary);
    assert_eq!(records(&copy, is_carried), records(&desk.reader, is_carried));
    let carried = headers(&copy);
    assert_eq!(number(&summary, "/records/added"), carried.len() as u64);
    for header in &carried {
        let first = header.first.clone().unwrap();
        let before = desk.reader.record(RecordSeq(first.record)).unwrap().header;
        assert_eq!(header.origin, Origin::Imported);
        assert_eq!((first.origin, first.run, first.source), (before.origin, before.run, before.source));
        assert_eq!(first.log, desk.reader.archive().origin);
        assert_eq!(Some(first.checkpoint), report["checkpoint"].as_u64());
        let seen = (&header.via, &header.account, &header.observed_at);
        assert_eq!(seen, (&before.via, &before.account, &before.observed_at));
    }
    verified(&desk, "copy");
    for query in ["crane", "is:deleted", "\"a comment that has changed\"", "kind:file", "from:petr budget"] {
        let args = ["search", query, "--json"];
        let (ours, theirs) = (desk.place.run(&args), on(&desk, "copy", &args));
        assert_eq!(ours.code, theirs.code, "{query}");
        assert_eq!(found(&ours.json(), &desk.reader), found(&theirs.json(), &copy), "{query}");
    }
    // What was imported is exported again, and the same again.
    on(&desk, "copy", &["export", "--format", "csv", "--output", "again"]).expect(INCOMPLETE);
    let rows = |name: &str| {
        let rows = super::table(&desk.place.path(name).join("data/messages.csv"));
        rows.into_iter()
            .map(|row| (row["kind"].clone(), row["ts"].clone(), row["version"].clone(), row["text"].clone()))
            .collect::<Vec<_>>()
    };
    desk.export("first", &["--format", "csv"]);
    assert_eq!(rows("again"), rows("first"));
    // An archive that was imported was never crawled, so its coverage is open. What is imported out of it says what
    // it was at first.
    on(&desk, "copy", &["export", "--format", "native", "--output", "second"]).expect(INCOMPLETE);
    on(&desk, "grandchild", &["import", "second"]).expect(DONE);
    let grandchild = headers(&reader(&desk, "grandchild"));
    assert!(grandchild.iter().map(|header| &header.first).eq(carried.iter().map(|header| &header.first)));
    verified(&desk, "grandchild");
    desk.place.verified();
}

#[test]
fn a_part_of_an_archive_brings_whom_it_names() {
    let desk = Desk::open();
    let directory = teamchat_archive::history::directory(&desk.reader).unwrap();
    let is_general = |facts: &teamchat_archive::history::ChannelFacts| facts.name == "general";
    let (channel, _) = directory.channels.iter().find(|(_, facts)| is_general(facts)).unwrap();
    let (bag, _) = desk.export("part", &["--format", "native", "--channel", channel.as_str()]);
    let (code, said) = desk.check(&bag);
    assert_eq!(code, 0, "{said}");
    on(&desk, "copy", &["import", "part"]).expect(DONE);
    verified(&desk, "copy");
    let copy = reader(&desk, "copy");
    let of_channel = |header: &Header| {
        let kinds = [Kind::Message, Kind::Reactions, Kind::Pins, Kind::Channel, Kind::Roster];
        kinds.contains(&header.kind)
            && [header.channel.as_ref(), Some(&header.key)].contains(&Some(&channel.to_string()))
    };
    let names = |reader: &Reader, of: &dyn Fn(&Header) -> bool| -> Vec<(Kind, String, u32)> {
        let all = headers(reader).into_iter().filter(of);
        all.map(|header| (header.kind, header.key, header.version)).collect()
    };
    assert_eq!(names(&copy, &of_channel), names(&desk.reader, &of_channel));
    let other = |header: &Header| header.kind == Kind::Message && !of_channel(header);
    assert_eq!(names(&copy, &other), []);
    // Whoever is named in any place of a record that is there has all records.
    let mut named = BTreeSet::new();
    for seq in 0..copy.head().unwrap() {
        let record = copy.record(RecordSeq(seq)).unwrap();
        if !matches!(record.header.kind, Kind::User | Kind::Archive) {
            let body = String::from_utf8_lossy(&record.body).into_owned();
            let said = directory
                .people
                .keys()
                .filter(|id| ["\"ID\"", "<@ID>", "<@ID|"].iter().any(|form| body.contains(&form.replace("ID", id))));
            named.extend(said.cloned());
        }
    }
    assert!(named.len() > 2, "{named:?}");
    let people = |header: &Header| header.kind == Kind::User && named.contains(&header.key);
    let of_all = names(&desk.reader, &people);
    assert_eq!(names(&copy, &|header: &Header| header.kind == Kind::User), of_all);
    desk.place.verified();
}

#[test]
fn what_is_withheld_is_in_no_archive_that_is_made_of_the_set() {
    let desk = Desk::open();
    let all = desk.records();
    let find = |kind: Kind, words: &str| {
        let is_it =
            |record: &Record| record.header.kind == kind && String::from_utf8_lossy(&record.body).contains(words);
        *all.iter().find(|(_, record)| is_it(record)).unwrap().0
    };
    let (message, file) = (find(Kind::Message, "one <script>"), find(Kind::File, "LH-2026-02"));
    let rows = format!("record,action,reason\n{message},redact,advice\n{file},withhold,secret\n");
    let list = desk.place.file("withheld.csv", &rows);
    let (bag, _) = desk.export("held", &["--format", "native", "--withhold", &list]);
    let log: BTreeSet<u64> =
        super::table(&bag.join("PRIVILEGE-LOG.csv")).iter().map(|row| row["record"].parse().unwrap()).collect();
    assert!(log.contains(&message) && log.contains(&file));
    let (code, said) = desk.check(&bag);
    assert_eq!(code, 0, "{said}");
    on(&desk, "copy", &["import", "held"]).expect(DONE);
    verified(&desk, "copy");
    // Everything else is there, and no slip-sheet stands for anything.
    let there: BTreeSet<u64> = headers(&reader(&desk, "copy"))
        .into_iter()
        .map(|header| header.first.unwrap().record)
        .filter(|seq| all.contains_key(seq))
        .collect();
    assert_eq!(there, all.keys().copied().filter(|seq| !log.contains(seq)).collect());
    desk.place.verified();
}

#[test]
fn what_the_manifests_do_not_prove_is_checked_as_well() {
    let desk = Desk::open();
    let (bag, _) = desk.export("native", &["--format", "native"]);
    let records = bag.join("data/records.txt");
    let whole = fs_err::read(&records).unwrap();
    // Manifests made anew hide nothing: the record that was signed is another.
    let is_refused = |bytes: &[u8], words: &[&str], by_checker: bool| {
        fs_err::write(&records, bytes).unwrap();
        mend(&bag);
        on(&desk, "copy", &["import", "native"]).expect_error(INTEGRITY, words);
        let (code, said) = desk.check(&bag);
        assert_eq!(code, i32::from(by_checker), "{words:?}: {said}");
        assert!(!by_checker || said.contains("data/records.txt"), "{said}");
    };
    let replaced = |from: &str, to: &str| {
        let at = whole.windows(from.len()).position(|at| at == from.as_bytes()).unwrap();
        [&whole[..at], to.as_bytes(), &whole[at + from.len()..]].concat()
    };
    is_refused(&replaced("taken back", "taken over"), &["is not the one that was signed"], true);
    is_refused(&replaced("v1\n\n", "v1\nhello\n"), &["does not begin"], true);
    is_refused(&[&whole[..], b"more\n"].concat(), &["something follows its end"], true);
    // An edit that is called "seen elsewhere" or "back" would be hidden; nothing signed says what it is called.
    let edited = headers_of(&whole)
        .into_iter()
        .find(|(_, change, header)| header.kind == Kind::Message && *change == 1 && header.version > 1);
    let (seq, _, header) = edited.unwrap();
    for change in [0, 2, 3, 4, 5, 6] {
        let line = |change: u8| format!("\n{seq} {change} ");
        let what = format!("record {seq} of it can't be what the set says");
        let bytes = replaced(&line(1), &line(change));
        is_refused(&bytes, &[&what], false);
    }
    assert!(header.version > 1);
    fs_err::write(&records, &whole).unwrap();
    // A content is one that its record names, under its number.
    let bytes = b"second content, other length";
    let mut contents = files_below(&bag.join("data/contents")).into_iter();
    let content = contents.find(|path| fs_err::read(path).unwrap() == bytes).unwrap();
    let refuse_content = || {
        mend(&bag);
        on(&desk, "copy", &["import", "native"]).expect_error(INTEGRITY, &["names no such content"]);
        let (code, said) = desk.check(&bag);
        assert!(code == 1 && said.contains("data/contents/"), "{said}");
    };
    fs_err::write(&content, [&bytes[..], b"!"].concat()).unwrap();
    refuse_content();
    fs_err::remove_file(&content).unwrap();
    let other = bag.join("data/contents/99999999");
    fs_err::write(&other, bytes).unwrap();
    refuse_content();
    fs_err::remove_file(&other).unwrap();
    // A link is no file of a bag.
    std::os::unix::fs::symlink(desk.place.path("outside"), &content).unwrap();
    fs_err::write(desk.place.path("outside"), bytes).unwrap();
    mend(&bag);
    let name = content.file_name().unwrap().to_str().unwrap();
    on(&desk, "copy", &["import", "native"]).expect_error(INTEGRITY, &[name]);
    assert!(!desk.place.path("copy-keys").exists());
    // One that is not there is counted, and owed.
    fs_err::remove_file(&content).unwrap();
    mend(&bag);
    let summary = on(&desk, "copy", &["import", "native", "--json"]).expect(INCOMPLETE);
    assert!(summary.stderr.contains("1 contents that records name are not in the set"), "{summary}");
    let summary = summary.json();
    assert_eq!((number(&summary, "/files/failed"), &summary["result"]), (1, &serde_json::json!("partial")));
    assert_eq!(reader(&desk, "copy").debts().unwrap().len(), 1);
    // The same for lines of JSON.
    let (bag, _) = desk.export("lines", &["--format", "jsonl"]);
    let lines = bag.join("data/records.jsonl");
    let whole = fs_err::read_to_string(&lines).unwrap();
    let without = whole.lines().filter(|line| !line.contains("taken back")).map(|line| format!("{line}\n")).collect();
    for text in [whole.replace("taken back", "taken over"), without] {
        assert_ne!(text, whole);
        fs_err::write(&lines, text).unwrap();
        mend(&bag);
        let (code, said) = desk.check(&bag);
        assert!(code == 1 && said.contains("data/records.jsonl"), "{said}");
    }
    desk.place.verified();
}

/// Number, change and header of each record of a set.
fn headers_of(mut text: &[u8]) -> Vec<(u64, u8, Header)> {
    let mut out = Vec::new();
    text = &text[text.windows(2).position(|at| at == b"\n\n").unwrap() + 2..];
    loop {
        let end = text.iter().position(|byte| *byte == b'\n').unwrap();
        let line = std::str::from_utf8(&text[..end]).unwrap();
        let parts: Vec<&str> = line.splitn(4, ' ').collect();
        let [seq, change, bytes, header] = parts[..] else { return out };
        let header = serde_json::from_str(header).unwrap();
        out.push((seq.parse().unwrap(), change.parse().unwrap(), header));
        text = &text[end + 1 + bytes.parse::<usize>().unwrap() + 1..];
    }
}

#[test]
fn an_import_that_did_not_end_leaves_nothing_in_the_way_of_the_next() {
    let desk = Desk::open();
    desk.export("native", &["--format", "native"]);
    let is_clear = |name: &str| {
        !desk.place.path(name).exists()
            && !desk.place.path(&format!("{name}.partial")).exists()
            && !desk.place.path(&format!("{name}-keys")).exists()
    };
    // No file may become larger than this, as on a disk that is full.
    let whole = desk.place.command(&["--archive", "copy", "import", "native"]);
    let mut command = desk.place.command::<&str>(&[]);
    let program = whole.get_program().to_owned();
    let mut limited = std::process::Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 600; exec \"$@\"", "sh"]).arg(program).args(whole.get_args());
    limited.current_dir(command.get_current_dir().unwrap()).env_clear();
    command.env("TEAMCHAT_ARCHIVE_KEYS_DIR", desk.place.path("copy-keys"));
    for (name, value) in command.get_envs() {
        limited.env(name, value.unwrap());
    }
    limited.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let outcome = Started::new(limited).finish();
    assert!(outcome.code > 0 && outcome.stderr.contains("error:"), "{outcome}");
    assert!(is_clear("copy"), "{outcome}");
    // Killed, it leaves its beginnings, which the next run knows as such.
    let mut killed = start(&desk, "copy", &["import", "native"]);
    let begun = desk.place.path("copy.partial/archive.db");
    while !begun.exists() {
        assert!(killed.child.try_wait().unwrap().is_none(), "it ended");
        std::thread::yield_now();
    }
    killed.kill();
    killed.finish();
    assert!(begun.exists() && desk.place.path("copy-keys/ledger.key").exists());
    on(&desk, "copy", &["import", "native"]).expect(DONE);
    verified(&desk, "copy");
    assert!(!desk.place.path("copy.partial").exists());
    for folder in ["copy", "copy-keys"] {
        assert!(!desk.place.path(folder).join("importing").exists());
    }
    // What somebody else put there is not touched.
    fs_err::create_dir(desk.place.path("other.partial")).unwrap();
    let keys = desk.place.path("copy-keys");
    fs_err::write(desk.place.path("other.partial/importing"), keys.to_str().unwrap()).unwrap();
    on(&desk, "other", &["import", "native"]).expect_error(FAILURE, &["other.partial"]);
    assert!(keys.join("ledger.key").exists() && desk.place.path("other.partial").exists());
    desk.place.verified();
}

#[test]
fn a_set_that_was_changed_is_not_imported() {
    let desk = Desk::open();
    let (bag, _) = desk.export("native", &["--format", "native"]);
    let import = || desk.place.run(&["--archive", "copy", "import", "native"]);
    let change = |name: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let path = bag.join(name);
        let whole = fs_err::read(&path).unwrap();
        let mut bytes = whole.clone();
        change(&mut bytes);
        fs_err::write(&path, bytes).unwrap();
        let outcome = import();
        fs_err::write(&path, whole).unwrap();
        outcome
    };
    for name in ["data/records.txt", "CUSTODY.json", "proofs/records.tlog-set.gz", "manifest-sha256.txt"] {
        change(name, &|bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        })
        .expect_error(INTEGRITY, &["can't be imported"])
        .with_hint("nothing was imported");
    }
    fs_err::write(bag.join("data/more.txt"), "x").unwrap();
    import().expect_error(INTEGRITY, &["more.txt", "no manifest lists it"]);
    fs_err::remove_file(bag.join("data/more.txt")).unwrap();
    // Another key did not sign it.
    let other = Desk::open();
    let key = other.place.keys().join("ledger.vkey").to_str().unwrap().to_owned();
    desk.place
        .run(&["--archive", "copy", "import", "native", "--key", &key])
        .expect_error(INTEGRITY, &["checkpoint.note"]);
    assert!(!desk.place.path("copy").exists() && !desk.place.path("copy.partial").exists());
    desk.export("other", &["--format", "csv"]);
    desk.place.run(&["--archive", "copy", "import", "other"]).expect_error(INTEGRITY, &["no set in the format native"]);
    desk.place.run(&["import", "native"]).expect_error(FAILURE, &["is not empty"]);
    for flags in [["--versions", "current"], ["--as-of", "2026-03-01"], ["--volume-size", "1M"]] {
        desk.try_export("refused", &[&["--format", "native"], flags.as_slice()].concat())
            .expect_error(USAGE, &["the format native", flags[0]]);
    }
    desk.place.verified();
}
