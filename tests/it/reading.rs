//! An archive is read without us: the two readers that each archive carries, run as a stranger would run
//! them, print what our own reader reads.

use std::path::{Path, PathBuf};
use std::process::Command;

use teamchat_archive::crawl::Options;
use teamchat_archive::model::{ChannelId, Clock};
use teamchat_archive::record::{Kind, Origin, State};
use teamchat_archive::sandbox::{self, generate};
use teamchat_archive::store::{Batch, Change, FIRST_SOURCE, NewRecord, SealLimits};

use crate::compact::FEW;
use crate::support::{TestArchive, account};

/// Takes a reader out of the archive itself, as its README says, and runs it.
fn run(archive: &TestArchive, name: &str, args: &[&str]) -> Vec<u8> {
    let database = archive.layout.database();
    let query = format!("SELECT text FROM about WHERE name = '{name}'");
    let text = Command::new("sqlite3").arg(&database).arg(query).output().unwrap();
    assert!(text.status.success() && !text.stdout.is_empty(), "{name} is not in the archive");
    let folder = tempfile::tempdir().unwrap();
    let script: PathBuf = folder.path().join(name);
    fs_err::write(&script, text.stdout).unwrap();
    let program = if name == "read.sh" { Path::new("sh") } else { Path::new("python3") };
    let output = Command::new(program).arg(&script).args(args).arg(archive.layout.root()).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && stderr.is_empty(), "{name} {args:?}: {} {stderr}", output.status);
    output.stdout
}

/// What the readers must print: all records, and the messages alone.
fn due(archive: &TestArchive) -> (Vec<u8>, Vec<u8>) {
    let (mut records, mut messages) = (Vec::new(), Vec::new());
    let all = archive.reader().blocks(0, usize::MAX >> 1).unwrap().into_iter().flat_map(|block| block.records);
    for (seq, record) in all.enumerate() {
        records.extend_from_slice(format!("{seq} {} ", record.body.len()).as_bytes());
        records.extend_from_slice(&record.header.to_line());
        records.push(b'\n');
        records.extend_from_slice(&record.body);
        records.push(b'\n');
        if record.header.kind == Kind::Message && record.header.state == State::Present {
            messages.extend(record.body.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }));
            messages.push(b'\n');
        }
    }
    (records, messages)
}

#[track_caller]
fn assert_equal(found: &[u8], due: &[u8], what: &str) {
    if found != due {
        let at = found.iter().zip(due).take_while(|(a, b)| a == b).count();
        let around = |bytes: &[u8]| {
            String::from_utf8_lossy(&bytes[at.saturating_sub(200)..bytes.len().min(at + 200)]).into_owned()
        };
        panic!(
            "{what}: {} bytes for {}, otherwise at {at}:\n{}\n--- due:\n{}",
            found.len(),
            due.len(),
            around(found),
            around(due)
        );
    }
}

#[track_caller]
fn assert_is_read(archive: &TestArchive, what: &str) {
    let (records, messages) = due(archive);
    for name in ["read.sh", "read.py"] {
        assert_equal(&run(archive, name, &[]), &records, &format!("{name}, {what}"));
        assert_equal(&run(archive, name, &["--messages"]), &messages, &format!("{name} --messages, {what}"));
    }
}

/// A record with a body, and with a key that must be escaped in its header.
fn odd(number: usize, body: &[u8], shared_in: usize) -> NewRecord {
    NewRecord {
        kind: Kind::Unknown,
        source: FIRST_SOURCE,
        channel: None,
        key: format!("{number} \"quoted\" \\ {{}}[],: \u{1} \u{7f} \n é 猫 \u{2028}"),
        version: 1,
        change: Change::New,
        origin: Origin::Observed,
        via: "channels.history",
        account: "zoë@chat.example".to_owned(),
        run: 1,
        observed_at: Clock::System.now(),
        tickets: u32::try_from(number % 3).unwrap(),
        attachments: Vec::new(),
        shared_in: (0..shared_in).filter_map(|n| ChannelId::parse(&format!("c{n}"))).collect(),
        body: body.to_vec(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_readers_of_an_archive_print_what_is_in_it() {
    let running = sandbox::start(generate::seed(700, 21), sandbox::Options::default()).await.unwrap();
    let archive = TestArchive::new(&running.url);
    // Bodies that look like the text around them, and bytes that are no text.
    let bodies: [&[u8]; 7] = [
        b"",
        b"\n",
        b"\n12 {}\n\xff\0",
        b"{\"a\":\r\n 1}",
        &[0; 5000],
        &[b'\n'; 3],
        &[0xa0, 0x0a, 0xb0, 0xa0, 0xaa, 0x00, 0x0a],
    ];
    for (number, body) in bodies.iter().enumerate() {
        let records = vec![odd(number, body, number % 3)];
        archive.writer().append(Batch { records, changes: Vec::new() }).unwrap();
    }
    let everything: Vec<u8> = (0..=u8::MAX).cycle().take(100_000).collect();
    archive.writer().append(Batch { records: vec![odd(99, &everything, 0)], changes: Vec::new() }).unwrap();
    let account = account(&running).await;
    archive.crawl(&account, &Options::default()).await.unwrap();
    assert_is_read(&archive, "open");

    let compacted = archive.compact(SealLimits { span_bytes: 100_000, pair_bytes: 150_000, ..FEW });
    assert_eq!((compacted.trained, compacted.too_long), (1, 1), "{compacted:?}");
    assert!(compacted.sealed >= 256, "{compacted:?}");
    let channel = running.workspace().channels().swap_remove(0).0;
    running.workspace().post(&channel, &running.username, "one more").unwrap();
    archive.crawl(&account, &Options::default()).await.unwrap();
    assert_is_read(&archive, "sealed, in part");
    archive.check();
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_readers_say_what_they_cannot_read() {
    let running = sandbox::start(generate::seed(300, 22), sandbox::Options::default()).await.unwrap();
    let archive = TestArchive::new(&running.url);
    archive.crawl(&account(&running).await, &Options::default()).await.unwrap();
    for damage in [
        "DELETE FROM block WHERE first = 128",
        "UPDATE block SET bytes = CAST(substr(bytes, 1, length(bytes) - 9) AS BLOB) WHERE first = 128",
        "UPDATE block SET dictionary = 5 WHERE first = 128",
    ] {
        let copy = archive.copy();
        let connection = rusqlite::Connection::open(copy.layout.database()).unwrap();
        connection.execute_batch(&format!("DROP TRIGGER block_update; DROP TRIGGER block_delete; {damage};")).unwrap();
        drop(connection);
        for (program, name) in [("sh", "read.sh"), ("python3", "read.py")] {
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/read").join(name);
            let output = Command::new(program).arg(script).arg(copy.layout.root()).output().unwrap();
            assert_eq!(output.status.code(), Some(1), "{name} after {damage}");
            assert!(!output.stderr.is_empty(), "{name} after {damage} says nothing");
        }
    }
    archive.check();
    running.stop().await;
}

/// The examples of a page in one language, one after the other.
fn examples(page: &str, language: &str) -> String {
    let fence = format!("```{language}\n");
    let blocks = page.split(&fence).skip(1).filter_map(|rest| rest.split("```").next());
    blocks.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_examples_of_the_format_page_run_and_compute_the_tree_that_was_signed() {
    let running = sandbox::start(generate::seed(600, 23), sandbox::Options::default()).await.unwrap();
    let archive = TestArchive::new(&running.url);
    let account = account(&running).await;
    archive.crawl(&account, &Options::default()).await.unwrap();
    let page = fs_err::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/FORMAT.md")).unwrap();
    for (packing, checkpoints) in [("open", 1), ("sealed", 2)] {
        if packing == "sealed" {
            archive.compact(FEW);
        }
        let copy = archive.copy();
        let shell = format!("set -eu\n{}", examples(&page, "sh"));
        let scripts = [("sh", "examples.sh", shell), ("python3", "examples.py", examples(&page, "python"))];
        for (program, name, script) in scripts {
            fs_err::write(copy.layout.root().join(name), script).unwrap();
            let output = Command::new(program).arg(name).current_dir(copy.layout.root()).output().unwrap();
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && stderr.is_empty(), "{name}, {packing}: {stderr}");
            if program == "python3" {
                let text = String::from_utf8(output.stdout).unwrap();
                assert!(
                    text.lines().count() >= checkpoints && text.lines().all(|line| line.ends_with("as signed")),
                    "{text}"
                );
            }
        }
        let (_, messages) = due(&archive);
        assert_equal(&fs_err::read(copy.layout.root().join("messages.ndjson")).unwrap(), &messages, packing);
    }
    archive.check();
    running.stop().await;
}
