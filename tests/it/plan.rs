//! What a plan says of a pass, held against the pass.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use teamchat_archive::api::{Connection, Politeness, Reader as ServerReader, ServerOptions};
use teamchat_archive::crawl::{Account, Options, Plan, Summary, plan};
use teamchat_archive::model::Clock;
use teamchat_archive::sandbox::seed::Seed;
use teamchat_archive::sandbox::{self, Running, generate, story};

use crate::crawl::seed;
use crate::stub::Stub;
use crate::support::{TestArchive, account, account_of, quick};

const HOUR: i64 = 60 * 60 * 1000;

/// An archive beside a sandbox, with a clock that the test moves.
struct Site {
    running: Running,
    archive: TestArchive,
    account: Account,
    time: Arc<AtomicI64>,
}

impl Site {
    async fn new(seed: Seed) -> Self {
        let running = sandbox::start(seed, sandbox::Options::default()).await.unwrap();
        let archive = TestArchive::new(&running.url);
        let account = account(&running).await;
        let time = Arc::new(AtomicI64::new(1_790_000_000_000));
        Self { running, archive, account, time }
    }

    fn options(&self) -> Options {
        Options { clock: Clock::Set(Arc::clone(&self.time)), ..Options::default() }
    }

    fn pass_hours(&self, hours: i64) {
        self.time.fetch_add(hours * HOUR, Ordering::Relaxed);
    }

    async fn plan(&self, options: &Options) -> Plan {
        plan(std::slice::from_ref(&self.account), &self.archive.reader(), options, 0.0).await.unwrap()
    }

    /// Plans a pass and makes it; a request in ten may be told wrong.
    async fn compare(&self, context: &str, options: &Options) -> (Plan, Summary) {
        let head = self.archive.reader().head().unwrap();
        let plan = self.plan(options).await;
        assert_eq!(self.archive.reader().head().unwrap(), head, "{context}: a plan added records");
        let done = self.archive.crawl(&self.account, options).await.unwrap();
        let difference = plan.requests.abs_diff(done.requests);
        assert!(difference * 10 <= done.requests, "{context}: {plan:?}\n{done:?}");
        assert!(!plan.is_lower_bound, "{context}: {plan:?}");
        (plan, done)
    }

    async fn end(self) {
        self.archive.check();
        self.running.stop().await;
    }
}

/// Every pass that the first weeks of an archive see.
async fn weeks(seed: Seed) {
    let site = Site::new(seed).await;
    let (first, done) = site.compare("first", &site.options()).await;
    assert_eq!((first.channels, first.never_walked), (done.channels.walked, done.channels.walked), "{first:?}");
    assert_eq!(first.messages, done.messages.new, "{first:?}");
    let (second, _) = site.compare("second", &site.options()).await;
    assert_eq!((second.never_walked, second.files), (0, 0), "{second:?}");
    for (hours, what) in [(1, "sides and a day"), (25, "feed, week and month"), (8 * 24, "all history")] {
        site.pass_hours(hours);
        site.compare(what, &site.options()).await;
    }
    site.compare("full", &Options { full: true, ..site.options() }).await;
    site.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_of_the_storys_workspace_is_what_passes_do() {
    weeks(story::seed()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_of_histories_of_many_pages_is_what_passes_do() {
    weeks(generate::seed(9000, 5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_knows_the_bounds_of_pages() {
    for messages in [0, 98, 99, 998, 999, 1000, 1998, 2000] {
        let site = Site::new(seed(messages)).await;
        let (plan, done) = site.compare(&format!("{messages} messages"), &site.options()).await;
        assert_eq!(plan.requests, done.requests, "{messages} messages");
        let full = Options { full: true, ..site.options() };
        let (plan, done) = site.compare(&format!("{messages} messages, full"), &full).await;
        assert_eq!(plan.requests, done.requests, "{messages} messages, full");
        site.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_without_files_and_one_of_what_they_owe() {
    let site = Site::new(generate::seed(4000, 7)).await;
    let without = Options { files: false, ..site.options() };
    site.compare("without files", &without).await;
    site.compare("without files again", &without).await;
    site.compare("with files", &site.options()).await;
    site.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_takes_up_a_first_walk_that_was_cut_off() {
    let site = Site::new(seed(5000)).await;
    let mut polls = 10;
    while site.archive.reader().walks().unwrap().iter().all(|row| row.standing.in_flight.is_none()) {
        polls += 2;
        let outcome = site.archive.crawl_for(&site.account, &site.options(), polls).await;
        assert!(outcome.is_none(), "the pass ended before it could die between two pages");
    }
    site.compare("resumed", &site.options()).await;
    site.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_for_two_accounts_counts_each_and_fetches_a_file_once() {
    let running = sandbox::start(generate::seed(3000, 3), sandbox::Options::default()).await.unwrap();
    let archive = TestArchive::new(&running.url);
    let connection = Arc::new(Connection::new(&running.url, &quick()).unwrap());
    let second = generate::seed(3000, 3).users[2].email.clone();
    let accounts = [account_of(&running, &running.username, &connection), account_of(&running, &second, &connection)];
    let planned = plan(&accounts, &archive.reader(), &Options::default(), 0.0).await.unwrap();
    let done = archive.crawl_watched(&accounts, &Options::default(), || true).await.unwrap().unwrap();
    let difference = planned.requests.abs_diff(done.requests);
    assert!(difference * 10 <= done.requests, "{planned:?}\n{done:?}");
    archive.check();
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_counts_the_question_after_a_lost_channel_once() {
    let site = Site::new(seed(30)).await;
    site.compare("first", &site.options()).await;
    site.running.workspace().leave("dock", &site.running.username).unwrap();
    site.compare("a channel is lost", &site.options()).await;
    site.compare("it was lost before", &site.options()).await;
    site.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_search_that_counts_a_plan_says_that_it_is_a_lower_bound() {
    let stub = Stub::start(|method, parameters| {
        let reply = match (method, parameters.get("query").map(String::as_str)) {
            ("channels.list", _) => r#"{"ok":true,"channels":[{"id":"C1","name":"one"},{"id":"C2","name":"two"}]}"#,
            ("im.list", _) => r#"{"ok":true,"ims":[]}"#,
            ("files.list", _) => r#"{"ok":true,"files":[{"id":"F1"}],"paging":{"total":1}}"#,
            ("search.messages", Some("*")) => r#"{"ok":true,"messages":{"total":0,"matches":[]}}"#,
            _ => r#"{"ok":false,"error":"unknown_method"}"#,
        };
        reply.as_bytes().to_vec()
    })
    .await;
    let archive = TestArchive::new(&stub.url);
    let connection = Arc::new(Connection::new(&stub.url, &quick()).unwrap());
    let account =
        Account { name: "ann".to_owned(), user_id: String::new(), reader: ServerReader::new(connection, "x".into()) };
    let planned = plan(&[account], &archive.reader(), &Options::default(), 10.0).await.unwrap();
    assert!(planned.is_lower_bound, "{planned:?}");
    assert_eq!((planned.never_walked, planned.messages, planned.files), (2, 0, 1), "{planned:?}");
    assert!(planned.basis.contains("does not say"), "{planned:?}");
    archive.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_keeps_the_time_of_a_pass_at_the_pace_that_is_set() {
    let running = sandbox::start(seed(30), sandbox::Options::default()).await.unwrap();
    let archive = TestArchive::new(&running.url);
    let pace = 20.0;
    let politeness = Politeness { requests_per_second: pace, connections: 4 };
    let options = ServerOptions { politeness, ..quick() };
    let account = crate::support::account_with(&running, &options).await;
    let planned = plan(std::slice::from_ref(&account), &archive.reader(), &Options::default(), pace).await.unwrap();
    let done = archive.crawl(&account, &Options::default()).await.unwrap();
    let difference = planned.duration_ms.abs_diff(done.duration_ms);
    assert!(difference * 10 <= done.duration_ms * 3, "{planned:?}\n{done:?}");
    archive.check();
    running.stop().await;
}
