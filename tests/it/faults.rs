//! Crawls of a server that misbehaves: each fault of the sandbox alone, and replies that no sandbox
//! would send. Whatever comes, nothing is invented, nothing is called deleted that was not, no error
//! page becomes a file, what could not be had is said, and once the fault is over the archive is
//! the truth.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use teamchat_archive::api::{self, Connection, Patience, ServerOptions};
use teamchat_archive::crawl::{self, Account, Options, Summary};
use teamchat_archive::record::Kind;
use teamchat_archive::sandbox::{self, Fault, Running};

use crate::crawl::seed;
use crate::stub::Stub;
use crate::support::{TestArchive, World, account_with, assert_is_truth, differences, fold, quick, side_differences};

/// No pass takes longer than this, whatever the server does.
const NO_LOOP: Duration = Duration::from_secs(60);

/// Patient for a moment only: the server is on the same machine.
fn brisk() -> ServerOptions {
    let quick = quick();
    ServerOptions { patience: Patience { request: Duration::from_secs(2), ..quick.patience }, ..quick }
}

async fn pass(archive: &TestArchive, account: &Account) -> Result<Summary, crawl::Error> {
    let options = Options { full: true, ..Options::default() };
    let pass = archive.crawl(account, &options);
    tokio::time::timeout(NO_LOOP, pass).await.expect("the pass comes to an end")
}

/// An outcome says what is missing, or is a failure that may pass.
fn judge(fault: Fault, outcome: &Result<Summary, crawl::Error>, problems: &[String]) {
    match outcome {
        Ok(summary) => {
            assert!(["complete", "partial"].contains(&summary.result), "{summary:?}");
            let says_so = !summary.findings.is_empty() || summary.debts > 0;
            assert!(summary.result == "complete" || says_so, "{fault:?}: partial, and nobody says why: {summary:?}");
            assert!(problems.is_empty() || says_so, "{fault:?}: {summary:?} keeps silent about {problems:?}");
        }
        Err(crawl::Error::Server(api::Error::Auth { code })) => {
            assert_eq!((fault, code.as_str()), (Fault::TokenRevoked, "token_revoked"));
        }
        Err(crawl::Error::Server(error)) => assert!(error.is_temporary(), "{fault:?}: {error}"),
        Err(other) => panic!("{fault:?}: {other}"),
    }
}

/// What must never be, even while the server misbehaves: a false deletion, a message or a file's
/// content that never was.
fn inventions(archive: &TestArchive, running: &Running) -> Vec<String> {
    let nothing_visible = BTreeSet::new();
    let mut problems = differences(&fold(&archive.reader()), running, &nothing_visible, false);
    let truth = running.workspace().file_truth().unwrap();
    let contents: BTreeSet<&String> = truth.iter().flat_map(|file| &file.versions).collect();
    for (digest, size) in archive.reader().blobs().unwrap() {
        if !contents.contains(&digest.to_string()) {
            problems.push(format!("a content of {size} bytes was stored that no file ever had"));
        }
    }
    problems
}

/// Posts, edits, deletes, comments, replaces: work for a second pass.
fn work(running: &Running) {
    let workspace = running.workspace();
    let (channel, ts) = workspace.labelled("m25").unwrap();
    workspace.edit(&channel, &ts, None, "m25 edited").unwrap();
    let (channel, ts) = workspace.labelled("m27").unwrap();
    workspace.delete(&channel, &ts, None).unwrap();
    for number in 0..9 {
        workspace.post("quay", "eva@harbour.example", &format!("later {number}")).unwrap();
        workspace.post("dock", "bob@harbour.example", &format!("later {number}")).unwrap();
    }
    workspace.comment("plan", "eva@harbour.example", "later").unwrap();
    workspace.replace_file("list", b"a,b,c,d".to_vec()).unwrap();
    workspace.upload("dock", "bob@harbour.example", "new.txt", b"new".to_vec()).unwrap();
}

/// Clean texts are required only of faults that spoil none.
fn spoils_texts(fault: Fault) -> bool {
    matches!(
        fault,
        Fault::InvalidUtf8 | Fault::LoneSurrogate | Fault::NulInText | Fault::DuplicateKeys | Fault::DeepNesting
    )
}

/// A first crawl and a second one under the fault, then one without it.
async fn survive(fault: Fault, rate: f64, size: usize) {
    let running = sandbox::start(seed(size), sandbox::Options::default()).await.unwrap();
    let archive = TestArchive::new(&running.url);
    let account = account_with(&running, &brisk()).await;
    let world = World::of(&running);
    let visible = world.visible().await;
    // Who loses sight of a channel, or never sees a whisper, can't tell what is missing; what goes
    // between two pages was there when it was read; a spoilt text was sent so.
    let can_know = !matches!(fault, Fault::MembershipLoss | Fault::Whisper | Fault::PageDrift) && !spoils_texts(fault);

    let seen = |archive: &TestArchive| {
        if can_know { differences(&fold(&archive.reader()), &running, &visible, false) } else { Vec::new() }
    };
    running.set_fault(fault, rate);
    let first = pass(&archive, &account).await;
    assert_eq!(inventions(&archive, &running), Vec::<String>::new(), "{fault:?}, first pass");
    judge(fault, &first, &seen(&archive));

    // A message that was shown and is hushed afterwards is, by all a client can see, deleted: the
    // sandbox's whispers are whispers from the beginning.
    if fault != Fault::Whisper {
        work(&running);
        let second = pass(&archive, &account).await;
        assert_eq!(inventions(&archive, &running), Vec::<String>::new(), "{fault:?}, second pass");
        judge(fault, &second, &seen(&archive));
    }
    archive.check();

    running.set_fault(fault, 0.0);
    // A revoked token stays dead: somebody signs in again.
    let account = if fault == Fault::TokenRevoked { account_with(&running, &brisk()).await } else { account };
    let healed = pass(&archive, &account).await.unwrap();
    let context = format!("{fault:?} is over: {healed:?}");
    if fault == Fault::TsTie {
        ties_are_kept(&archive, &running).await;
    } else if spoils_texts(fault) {
        let mut problems = differences(&fold(&archive.reader()), &running, &visible, false);
        problems.extend(side_differences(&archive, &running, &account.name).await);
        assert_eq!(problems, Vec::<String>::new(), "{context}");
    } else {
        assert_is_truth(&archive, &running, &account, &context).await;
    }
    let debts: Vec<String> = archive.reader().debts().unwrap().into_iter().map(|debt| format!("{debt:?}")).collect();
    assert_eq!(debts, Vec::<String>::new(), "{context}");
    let again = pass(&archive, &account).await.unwrap();
    assert_eq!((again.records.added, again.result), (0, "complete"), "{context}: {again:?}");
    archive.check();
    running.stop().await;
}

/// Several messages bear one time stamp: each text is kept, as a message or as an item of its own.
async fn ties_are_kept(archive: &TestArchive, running: &Running) {
    let mut kept: BTreeSet<String> = BTreeSet::new();
    for messages in fold(&archive.reader()).into_values() {
        kept.extend(messages.into_values().flat_map(|message| message.versions));
    }
    for item in archive.newest(Kind::Unknown).into_values() {
        let body: serde_json::Value = serde_json::from_slice(&item.versions[0].record.body).unwrap();
        kept.insert(body["text"].as_str().unwrap().to_owned());
    }
    let mut stamps: HashMap<(String, String), usize> = HashMap::new();
    for item in running.workspace().truth().into_iter().filter(|item| item.state == "current") {
        *stamps.entry((item.channel, item.ts)).or_default() += 1;
        assert!(kept.contains(&item.text), "{:?} is lost", item.text);
    }
    assert!(stamps.values().any(|count| *count > 1), "the fault made no tie");
}

#[test]
fn every_fault_of_the_sandbox_has_its_test() {
    let missing: Vec<&Fault> = Fault::ALL.iter().filter(|fault| !COVERED.contains(fault)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

macro_rules! faults {
    ($($name:ident: $fault:ident, $rate:literal, $size:literal;)*) => {
        /// Every fault that has a test here.
        const COVERED: &[Fault] = &[$(Fault::$fault,)*];

        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                survive(Fault::$fault, $rate, $size).await;
            }
        )*
    };
}

// The share of requests (or of what the fault touches) and the messages in the busiest channel;
// faults between two pages need more than a page.
faults! {
    rate_limit: RateLimit, 0.06, 30;
    rate_limit_bad_header: RateLimitBadHeader, 0.3, 30;
    error_500: Error500, 0.3, 30;
    timeout: Timeout, 0.04, 30;
    reset: Reset, 0.3, 30;
    reset_mid_body: ResetMidBody, 0.3, 30;
    slow: Slow, 0.1, 30;
    slow_trickle: SlowTrickle, 0.1, 30;
    truncated_json: TruncatedJson, 0.3, 30;
    broken_json: BrokenJson, 0.3, 30;
    ticket_expiry: TicketExpiry, 1.0, 30;
    error_as_html: ErrorAsHtml, 0.3, 30;
    page_drift: PageDrift, 1.0, 2100;
    silent_has_more: SilentHasMore, 1.0, 2100;
    unordered: Unordered, 1.0, 1100;
    ts_tie: TsTie, 0.5, 30;
    dst_repeat: DstRepeat, 0.5, 30;
    counter_wrap: CounterWrap, 0.5, 30;
    lost_event: LostEvent, 1.0, 30;
    duplicate_event: DuplicateEvent, 1.0, 30;
    membership_loss: MembershipLoss, 0.5, 30;
    retention_sweep: RetentionSweep, 0.5, 30;
    whisper: Whisper, 0.4, 30;
    invalid_utf8: InvalidUtf8, 1.0, 30;
    token_revoked: TokenRevoked, 0.1, 30;
    lone_surrogate: LoneSurrogate, 1.0, 30;
    nul_in_text: NulInText, 1.0, 30;
    huge_integers: HugeIntegers, 1.0, 30;
    deep_nesting: DeepNesting, 1.0, 30;
    duplicate_keys: DuplicateKeys, 1.0, 30;
    rtm_cut: RtmCut, 1.0, 30;
    huge_text: HugeText, 0.1, 30;
    path_tricks: PathTricks, 1.0, 30;
}

/// Faults that leave nothing: the pass ends with an error that may pass, and the archive is whole.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_never_answers_well_is_a_temporary_error() {
    for fault in [
        Fault::Error500,
        Fault::Reset,
        Fault::ResetMidBody,
        Fault::TruncatedJson,
        Fault::BrokenJson,
        Fault::ErrorAsHtml,
    ] {
        let running = sandbox::start(seed(30), sandbox::Options::default()).await.unwrap();
        let archive = TestArchive::new(&running.url);
        let account = account_with(&running, &brisk()).await;
        running.set_fault(fault, 1.0);
        match pass(&archive, &account).await {
            Err(crawl::Error::Server(error)) => assert!(error.is_temporary(), "{fault:?}: {error}"),
            other => panic!("{fault:?}: {other:?}"),
        }
        assert_eq!(inventions(&archive, &running), Vec::<String>::new(), "{fault:?}");
        archive.check();
        running.stop().await;
    }
}

/// The old half of a large channel goes at once: a pass does not take that for deletions on its own
/// word (protocol notes 6.6).
#[tokio::test(flavor = "multi_thread")]
async fn a_mass_disappearance_is_a_debt_and_no_deletion() {
    let running = sandbox::start(seed(300), sandbox::Options::default()).await.unwrap();
    let archive = TestArchive::new(&running.url);
    let account = account_with(&running, &brisk()).await;
    pass(&archive, &account).await.unwrap();
    running.set_fault(Fault::RetentionSweep, 0.5);
    let second = pass(&archive, &account).await.unwrap();
    assert_eq!(second.result, "partial", "{second:?}");
    assert!(second.findings.iter().any(|finding| finding.kind == "mass_disappearance"), "{second:?}");
    let quay = running.workspace().labelled("m299").unwrap().0;
    let gone = |archive: &TestArchive| {
        let quay = teamchat_archive::model::ChannelId::parse(&quay).unwrap();
        fold(&archive.reader())[quay.as_str()].values().filter(|message| message.is_gone).count()
    };
    assert_eq!(gone(&archive), 0, "the breaker held");
    archive.check();
    running.stop().await;
}

/// Items as no library would write them, newest first, and the key each must be found under; none:
/// it has no time stamp and is kept as an item that could not be recognised.
const STRANGE: &[(&[u8], Option<&str>)] = &[
    (br#"{"type":"message","ts":"1490000019.000001","subtype":"quantum_leap","text":"x","payload":{"a":[1,{"b":null}]}}"#, Some("1490000019.000001")),
    (br#"{"type":"message","text":"no stamp at all","user":"a@t.com"}"#, None),
    (br#"{"type":"message","ts":null,"text":"a stamp of null"}"#, None),
    (br#"{"type":"message","ts":"yesterday","text":"a stamp of words"}"#, None),
    (br#"{"type":["message"],"ts":"1490000015.000001","user":7,"text":{"no":"text"},"edited":"yes","file":3,"files":{"id":1},"reactions":"many","is_stared":[]}"#, Some("1490000015.000001")),
    (b"{\"type\":\"message\",\"ts\":\"1490000014.000001\",\"text\":\"bad \xff\xfe bytes\"}", Some("1490000014.000001")),
    (br#"{"type":"message","ts":"1490000013.000001","text":"half \ud83d of a pair"}"#, Some("1490000013.000001")),
    (br#"{"type":"message","ts":"1490000012.000001","text":"nul \u0000 inside"}"#, Some("1490000012.000001")),
    (br#"{"type":"message","ts":"1490000011.000001","text":"huge","n":123456789012345678901234567890,"m":1e999,"k":-0}"#, Some("1490000011.000001")),
    (br#"{"type":"message","ts":"1490000010.000001","text":"first","text":"second","ts":"1490000010.000002"}"#, Some("1490000010.000002")),
    (br#"{ "type" : "message" ,	"ts" : "1490000009.000001",
 "text":"spaces and \/ escapes \u0041" }"#, Some("1490000009.000001")),
    (br#"{"type":"message","ts":"1490000008.000001",oops,"text":"no JSON inside"}"#, Some("1490000008.000001")),
    (b"7", None),
    (b"\"a string where a message should be\"", None),
    (b"null", None),
    (b"[1,2]", None),
    (b"{}", None),
    (br#"{"type":"message","ts":"1490000001.000001","text":"the last one, and well"}"#, Some("1490000001.000001")),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_understood_is_kept_as_it_came_and_reported() {
    let mut nested = br#"{"type":"message","ts":"1490000000.500000","text":"deep","nest":"#.to_vec();
    nested.extend("[".repeat(5000).bytes().chain("]".repeat(5000).bytes()).chain(*b"}"));
    let mut items: Vec<(Vec<u8>, Option<&str>)> = STRANGE.iter().map(|(item, ts)| (item.to_vec(), *ts)).collect();
    items.push((nested, Some("1490000000.500000")));
    let mut page = b"{\"messages\":[".to_vec();
    page.extend(items.iter().map(|(item, _)| item.clone()).collect::<Vec<_>>().join(&b','));
    page.extend(b"],\"has_more\":false,\"ok\":true}");
    let stub = Stub::start(move |method, _| {
        let fixed: &[u8] = match method {
            "auth.test" => br#"{"user":"a@t.com","user_id":"a@t.com","url":"/","ok":true}"#,
            "users.list" => br#"{"members":[],"cache_ts":"1.000000","ok":true}"#,
            "channels.list" => {
                br#"{"channels":[{"id":"QQ==","name":"odd","is_member":true,"num_members":0,"members":[]}],"ok":true}"#
            }
            "im.list" => br#"{"ims":[],"ok":true}"#,
            "files.list" => br#"{"files":[],"paging":{"count":0,"total":0,"page":1,"pages":0},"ok":true}"#,
            "pins.list" => br#"{"items":[],"ok":true}"#,
            "channels.history" => &page,
            _ => br#"{"ok":false,"error":"message_not_found"}"#,
        };
        fixed.to_vec()
    })
    .await;
    let archive = TestArchive::new(&stub.url);
    let connection = Arc::new(Connection::new(&stub.url, &brisk()).unwrap());
    let account = Account {
        name: "a@t.com".to_owned(),
        user_id: "a@t.com".to_owned(),
        reader: api::Reader::new(connection, "t".to_owned().into()),
    };
    let first = pass(&archive, &account).await.unwrap();
    assert!(first.findings.iter().any(|finding| finding.kind == "unreadable_item"), "{first:?}");
    for said in ["quantum_leap", "type in \"text\"", "not UTF-8", "surrogate", "without an author"] {
        let is_said = |finding: &crawl::Finding| finding.kind == "odd_item" && finding.detail.contains(said);
        assert!(first.findings.iter().any(is_said), "{said}: {first:?}");
    }

    let reader = archive.reader();
    let mut messages: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut unknown: BTreeSet<Vec<u8>> = BTreeSet::new();
    let mut findings = 0;
    for record in reader.blocks(0, 1000).unwrap().into_iter().flat_map(|block| block.records) {
        match record.header.kind {
            Kind::Message => drop(messages.insert(record.header.key, record.body)),
            Kind::Unknown => drop(unknown.insert(record.body)),
            Kind::Finding => findings += 1,
            _ => {}
        }
    }
    for (item, ts) in &items {
        let kept = match ts {
            Some(ts) => messages.get(*ts) == Some(item),
            None => unknown.contains(item),
        };
        assert!(kept, "{} is not kept as it came", String::from_utf8_lossy(&item[..item.len().min(200)]));
    }
    assert_eq!(messages.len() + unknown.len(), items.len(), "nothing else was made of them");
    assert!(findings > 0, "the findings are records too");
    archive.check();
    let second = pass(&archive, &account).await.unwrap();
    assert_eq!(second.records.added, 0, "{second:?}");
    archive.check();
}
