//! Crawls of the sandbox, held against its own truth.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use teamchat_archive::crawl::Options;
use teamchat_archive::history;
use teamchat_archive::record::Kind;
use teamchat_archive::sandbox::faults::Fault;
use teamchat_archive::sandbox::seed::{Content, Seed, SeedChannel, SeedComment, SeedFile, SeedMessage, SeedUser};
use teamchat_archive::sandbox::{self, Running, story};

use crate::support::{TestArchive, World, account, assert_is_truth, canonical, fold, text};

/// Random schedules that are played.
const SCHEDULES: u64 = 20;

fn full() -> Options {
    Options { full: true, ..Options::default() }
}

/// The members of an object as they came, byte for byte.
type Raw<'a> = BTreeMap<String, &'a RawValue>;

/// Items of a reply's list as they came, with what bearer secrets in addresses become.
async fn raw_items(world: &World, method: &str, arguments: &[(&str, &str)], list: &str) -> Vec<String> {
    let bytes = world.bytes(method, arguments).await;
    let reply: Raw<'_> = serde_json::from_slice(&bytes).unwrap();
    let items: Vec<&RawValue> = serde_json::from_str(reply[list].get()).unwrap();
    items.into_iter().map(|item| without_tickets(item.get())).collect()
}

/// Puts `sha256-` and 16 digits in the place of every ticket. The story's people write of none.
fn without_tickets(item: &str) -> String {
    let mut parts = item.split("ticket=");
    let mut out = parts.next().unwrap().to_owned();
    for part in parts {
        let end = part.find(['&', '"']).unwrap();
        let digest = Sha256::digest(&part.as_bytes()[..end]);
        let short: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        out.push_str(&format!("ticket=sha256-{short}{}", &part[end..]));
    }
    out
}

async fn start() -> Running {
    sandbox::start(story::seed(), sandbox::Options::default()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_crawl_is_the_truth_and_a_second_adds_nothing() {
    let running = start().await;
    let archive = TestArchive::new(&running.url);
    let account = account(&running).await;
    let first = archive.crawl(&account, &Options::default()).await.unwrap();
    assert_eq!((first.result, first.findings.len(), first.debts), ("complete", 0, 0), "{first:?}");
    let truth = running.workspace().truth().into_iter().filter(|item| item.state == "current").count();
    assert!(first.messages.new as usize <= truth && first.messages.new > 300, "{first:?}");
    assert_is_truth(&archive, &running, &account, "after the first crawl").await;

    let second = archive.crawl(&account, &Options::default()).await.unwrap();
    assert_eq!(second.records.added, 0, "{second:?}");
    let third = archive.crawl(&account, &full()).await.unwrap();
    assert_eq!(third.records.added, 0, "a full crawl: {third:?}");
    archive.check();
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_body_is_what_the_server_sent_but_for_tickets() {
    let running = start().await;
    let archive = TestArchive::new(&running.url);
    let account = account(&running).await;
    archive.crawl(&account, &Options::default()).await.unwrap();
    let world = World::of(&running);
    let mut sent: BTreeSet<String> = BTreeSet::new();
    for id in world.readable().await {
        let channel = [("channel", id.as_str()), ("count", "1000")];
        sent.extend(raw_items(&world, "channels.history", &channel, "messages").await);
        for file in world.ask("files.list", &channel).await["files"].as_array().unwrap() {
            let arguments = [("file", file["id"].as_str().unwrap()), ("count", "1000")];
            sent.extend(raw_items(&world, "files.info", &arguments, "comments").await);
            let bytes = world.bytes("files.info", &arguments).await;
            let reply: Raw<'_> = serde_json::from_slice(&bytes).unwrap();
            sent.insert(without_tickets(reply["file"].get()));
        }
        let bytes = world.bytes("pins.list", &channel).await;
        let reply: Raw<'_> = serde_json::from_slice(&bytes).unwrap();
        sent.insert(without_tickets(reply["items"].get()));
    }
    for (method, list) in [("users.list", "members"), ("channels.list", "channels"), ("im.list", "ims")] {
        sent.extend(raw_items(&world, method, &[], list).await);
    }
    let auth_test = world.bytes("auth.test", &[]).await;
    sent.insert(String::from_utf8(auth_test).unwrap());

    let mut seen = 0;
    let mut tickets = 0;
    for block in archive.reader().blocks(0, usize::MAX >> 1).unwrap() {
        for record in block.records {
            if matches!(record.header.kind, Kind::Coverage | Kind::Finding) {
                continue;
            }
            let body = String::from_utf8(record.body).unwrap();
            assert!(sent.contains(&body), "{:?} {}: {body}", record.header.kind, record.header.key);
            assert_eq!(body.matches("ticket=sha256-").count(), record.header.tickets as usize);
            assert_eq!(body.matches("ticket=").count(), record.header.tickets as usize, "a ticket stands in the clear");
            tickets += record.header.tickets;
            seen += 1;
        }
    }
    assert!(seen > 400 && tickets > 30, "{seen} bodies, {tickets} tickets");
    archive.check();
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_between_two_crawls_is_versions_and_witnessed_deletions() {
    let running = start().await;
    let archive = TestArchive::new(&running.url);
    let account = account(&running).await;
    archive.crawl(&account, &Options::default()).await.unwrap();
    let before = archive.newest(Kind::File);
    running.play_later().unwrap();
    let second = archive.crawl(&account, &full()).await.unwrap();
    assert_eq!(second.result, "complete", "{second:?}");
    assert!(second.messages.edited >= 7 && second.messages.deleted >= 8, "{second:?}");
    assert_is_truth(&archive, &running, &account, "after the later actions").await;

    let workspace = running.workspace();
    let messages = fold(&archive.reader());
    let at = |label: &str| {
        let (channel, ts) = workspace.labelled(label).unwrap();
        &messages[&canonical(&channel)][&ts]
    };
    for label in ["not-in-writing", "call-me", "papers", "forget-it", "tidy-up", "phones", "renamed"] {
        let gone = at(label);
        assert!(gone.is_gone, "{label}");
        let evidence = &gone.item.evidence().unwrap()["gone"];
        let methods: BTreeSet<String> =
            evidence["witnesses"].as_array().unwrap().iter().map(|witness| text(&witness["method"])).collect();
        assert!(methods.contains("channels.history") && methods.contains("items.info"), "{label}: {evidence}");
        assert!(text(&evidence["last_seen"]) <= text(&evidence["first_missing"]), "{label}: {evidence}");
        assert_eq!(evidence["cause"], "unknown", "{label}: nobody said who or why");
        assert!(!gone.text.is_empty(), "{label} keeps its last text");
    }
    for label in ["shipped-date", "you-will-see", "viktor-customer", "damages", "mug", "klara-hello"] {
        let edited = at(label);
        assert_eq!(edited.versions.len(), 2, "{label}: {:?}", edited.versions);
    }
    let directory = history::directory(&archive.reader()).unwrap();
    let panel = directory.channels.values().find(|facts| facts.name == "operator-panel").unwrap();
    assert_eq!(panel.earlier_names, ["panel-texts"].map(str::to_owned), "{panel:?}");
    assert!(directory.channels.values().any(|facts| facts.topic.contains("settlement in #legal")));
    let closed = archive.newest(Kind::User).into_values().filter(|user| user.versions.len() == 2);
    let closed: Vec<String> = closed.map(|user| user.key).collect();
    assert!(closed.iter().any(|id| id.starts_with("viktor")), "{closed:?}");

    let after = archive.newest(Kind::File);
    let contents = |files: &BTreeMap<String, history::Item>, id: &str| -> BTreeSet<String> {
        files[id].versions.iter().flat_map(|version| version.record.header.attachments.clone()).collect()
    };
    let replaced: Vec<&String> = after.keys().filter(|id| contents(&after, id).len() == 2).collect();
    assert_eq!(replaced.len(), 2, "settlement-v1 and price-list: {replaced:?}");
    for id in replaced {
        assert!(contents(&after, id).is_superset(&contents(&before, id)), "{id} keeps its first content");
    }
    let comments = archive.newest(Kind::Comment);
    assert!(comments.values().any(|comment| comment.is_gone()), "a comment was deleted");
    assert_eq!(archive.crawl(&account, &full()).await.unwrap().records.added, 0);

    // What was deleted comes back.
    let (channel, ts) = workspace.labelled("papers").unwrap();
    workspace.restore(&channel, &ts).unwrap();
    let restored = archive.crawl(&account, &full()).await.unwrap();
    assert_eq!((restored.messages.restored, restored.records.added), (1, 1), "{restored:?}");
    assert!(!fold(&archive.reader())[&canonical(&channel)][&ts].is_gone);
    assert_is_truth(&archive, &running, &account, "after the return").await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reactions_and_pins_change_and_noise_does_not() {
    let running = start().await;
    let archive = TestArchive::new(&running.url);
    let account = account(&running).await;
    archive.crawl(&account, &Options::default()).await.unwrap();
    let workspace = running.workspace();
    let (channel, ts) = workspace.labelled("mug").unwrap();
    let me = running.username.clone();
    workspace.react(&channel, &ts, &me, "tea").unwrap();
    workspace.pin(&channel, &ts, &me, false).unwrap();
    let pass = archive.crawl(&account, &full()).await.unwrap();
    assert_eq!((pass.reactions.changed, pass.pins.changed, pass.records.added), (1, 1, 2), "{pass:?}");
    assert_is_truth(&archive, &running, &account, "with a reaction and a pin").await;
    workspace.unreact(&channel, &ts, &me).unwrap();
    workspace.unpin(&channel, &ts, &me).unwrap();
    let pass = archive.crawl(&account, &full()).await.unwrap();
    assert_eq!((pass.reactions.changed, pass.pins.changed, pass.records.added), (1, 1, 2), "{pass:?}");
    assert_is_truth(&archive, &running, &account, "without them").await;

    // Looking, and being there, changes nothing.
    let world = World::of(&running);
    world.ask("channels.history", &[("channel", &channel), ("unreads", "1")]).await;
    world.ask("users.setActive", &[]).await;
    world.ask("users.setPresence", &[("presence", "away")]).await;
    world.ask("rtm.start", &[]).await;
    let pass = archive.crawl(&account, &full()).await.unwrap();
    assert_eq!(pass.records.added, 0, "{pass:?}");
    archive.check();
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comment_edited_or_exchanged_alone_is_a_version() {
    let running = sandbox::start(seed(0), sandbox::Options::default()).await.unwrap();
    let archive = TestArchive::new(&running.url);
    let account = account(&running).await;
    let workspace = running.workspace();
    archive.crawl(&account, &Options::default()).await.unwrap();
    // Neither the file's time stamp nor its number of comments tells of this.
    let comment = workspace.comment("plan", BOB, "first").unwrap();
    archive.crawl(&account, &full()).await.unwrap();
    workspace.edit_comment(&comment, "first, edited").unwrap();
    archive.crawl(&account, &full()).await.unwrap();
    assert_is_truth(&archive, &running, &account, "a comment was edited").await;
    workspace.delete_comment(&comment).unwrap();
    workspace.comment("plan", BOB, "second").unwrap();
    archive.crawl(&account, &full()).await.unwrap();
    assert_is_truth(&archive, &running, &account, "a comment was exchanged").await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_after_a_first_crawl_that_died_is_found() {
    let running = sandbox::start(seed(1500), sandbox::Options::default()).await.unwrap();
    let account = account(&running).await;
    let workspace = running.workspace();
    // Dies in the busy channel's walk: its newest page is kept, and the next was not answered, because
    // each answer comes so late that the pass has to wait for it.
    running.set_fault(Fault::Slow, 1.0);
    let archive = TestArchive::new(&running.url);
    let reader = archive.reader();
    let is_half_kept = || fold(&reader).values().any(|channel| channel.len() == 1000);
    let accounts = std::slice::from_ref(&account);
    let outcome = archive.crawl_watched(accounts, &Options::default(), || !is_half_kept()).await;
    assert!(outcome.is_none() && is_half_kept(), "the pass ended before it could die between two pages");
    running.set_fault(Fault::Slow, 0.0);
    let (channel, ts) = workspace.labelled("m1400").unwrap();
    workspace.delete(&channel, &ts, None).unwrap();
    archive.crawl(&account, &full()).await.unwrap();
    assert_is_truth(&archive, &running, &account, "a message went after the death of the first crawl").await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_of_nothing_still_gets_somewhere() {
    let running = sandbox::start(seed(30), sandbox::Options::default()).await.unwrap();
    let archive = TestArchive::new(&running.url);
    let account = account(&running).await;
    let none = Options { budget: Some(Duration::ZERO), ..Options::default() };
    let first = archive.crawl(&account, &none).await.unwrap();
    assert_eq!(first.result, "partial", "{first:?}");
    // The first unit of progress is never gated by a budget, or a standing limit stalls for ever.
    for _ in 0..20 {
        archive.crawl(&account, &none).await.unwrap();
    }
    let counts: Vec<usize> = fold(&archive.reader()).values().map(BTreeMap::len).collect();
    assert!(counts.iter().all(|count| *count > 0), "messages of the channels after 21 passes: {counts:?}");
    assert_is_truth(&archive, &running, &account, "after 21 passes without a budget").await;
    running.stop().await;
}

const ANN: &str = "ann@harbour.example";
const BOB: &str = "bob@harbour.example";
const EVA: &str = "eva@harbour.example";

/// Two channels, a conversation, two files, and `messages` messages in the first channel.
pub(crate) fn seed(messages: usize) -> Seed {
    let user = |email: &str, is_admin| SeedUser {
        email: email.to_owned(),
        name: email.split('@').next().unwrap().to_owned(),
        real_name: format!("Person {}", &email[..3]),
        is_admin,
        tz: "Europe/Prague".to_owned(),
        ..SeedUser::default()
    };
    let channel = |key: &str, is_im, members: &[&str]| SeedChannel {
        key: key.to_owned(),
        name: if is_im { String::new() } else { key.to_owned() },
        created: 1_490_000_000,
        members: members.iter().map(|member| (*member).to_owned()).collect(),
        is_im,
        ..SeedChannel::default()
    };
    let file = |key: &str, channel: &str, bytes: &[u8]| SeedFile {
        key: key.to_owned(),
        name: format!("{key}.txt"),
        user: BOB.to_owned(),
        channels: vec![channel.to_owned()],
        created: 1_490_000_050,
        content: Content::Bytes(bytes.to_vec()),
        ..SeedFile::default()
    };
    let line = |channel: &str, user: &str, number: usize| SeedMessage {
        channel: channel.to_owned(),
        user: user.to_owned(),
        at: 1_490_000_100 + i64::try_from(number).unwrap() / 3,
        text: format!("{channel} line {number}"),
        label: if channel == "quay" { format!("m{number}") } else { String::new() },
        ..SeedMessage::default()
    };
    let share = |channel: &str, key: &str| SeedMessage {
        subtype: "file_share".to_owned(),
        files: vec![key.to_owned()],
        at: 1_490_000_050,
        text: String::new(),
        label: String::new(),
        ..line(channel, BOB, 0)
    };
    let mut all: Vec<SeedMessage> = (0..messages).map(|number| line("quay", BOB, number)).collect();
    all.extend((0..9).map(|number| line("dock", EVA, number)));
    all.extend((0..5).map(|number| line("ann-bob", BOB, number)));
    all.push(share("dock", "plan"));
    all.push(share("quay", "list"));
    let mut plan = file("plan", "dock", b"0123456789");
    plan.comments = vec![SeedComment { user: ANN.to_owned(), text: "good".to_owned(), created: 1_490_000_060 }];
    Seed {
        domain: "harbour.example".to_owned(),
        account: ANN.to_owned(),
        users: vec![user(ANN, true), user(BOB, false), user(EVA, false)],
        channels: vec![
            channel("quay", false, &[ANN, BOB, EVA]),
            channel("dock", false, &[ANN, BOB, EVA]),
            channel("ann-bob", true, &[ANN, BOB]),
        ],
        messages: all,
        files: vec![plan, file("list", "quay", b"a,b,c")],
        ..Seed::default()
    }
}

/// A small generator (xorshift64*), so that a schedule can be played again from its number.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let mixed = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(mixed).unwrap() % limit.max(1)
    }

    fn pick<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        if list.is_empty() { None } else { Some(&list[self.below(list.len())]) }
    }
}

/// One random change of the workspace; what it refuses (a message that is gone) is no change.
fn change(
    dice: &mut Dice,
    running: &Running,
    comments: &mut Vec<String>,
    files: &mut Vec<String>,
    step: usize,
) -> String {
    let workspace = running.workspace();
    let people = [ANN, BOB, EVA];
    let user = people[dice.below(people.len())];
    let channel_names = ["quay", "dock", "ann-bob"];
    let channel = channel_names[dice.below(channel_names.len())];
    let items = workspace.truth();
    let (at, ts) = dice.pick(&items).map(|item| (item.channel.clone(), item.ts.clone())).unwrap();
    let words = format!("step {step}");
    let what = dice.below(17);
    let done = match what {
        0..=2 => workspace.post(channel, if channel == "ann-bob" { BOB } else { user }, &words).map(drop),
        3 | 4 => workspace.edit(&at, &ts, None, &words),
        5 | 6 => workspace.delete(&at, &ts, None),
        7 => {
            // The account may have left "dock": there the archive rightly says what it last saw.
            let dock = &workspace.channels()[1].0;
            let gone: Vec<_> = items.iter().filter(|item| item.state == "deleted" && item.channel != *dock).collect();
            dice.pick(&gone).map_or(Ok(()), |item| workspace.restore(&item.channel, &item.ts))
        }
        8 => workspace.react(&at, &ts, user, ["tea", "wave"][dice.below(2)]),
        9 => workspace.unreact(&at, &ts, user),
        10 => match dice.pick(files) {
            Some(file) => workspace.comment(file, user, &words).map(|id| comments.push(id)),
            None => Ok(()),
        },
        11 => dice.pick(comments).map_or(Ok(()), |id| workspace.edit_comment(id, &words)),
        12 => dice.pick(comments).map_or(Ok(()), |id| workspace.delete_comment(id)),
        13 => workspace
            .upload(channel, BOB, &format!("{step}.txt"), words.clone().into_bytes())
            .map(|(id, _)| files.push(id)),
        14 => dice.pick(files).map_or(Ok(()), |file| workspace.replace_file(file, words.clone().into_bytes())),
        15 => {
            let is_global = dice.below(2) == 0;
            workspace.pin(&at, &ts, ANN, is_global).or_else(|_| workspace.unpin(&at, &ts, ANN))
        }
        _ => match dice.below(5) {
            0 => workspace.leave("dock", ANN),
            1 => workspace.join("dock", ANN),
            2 => workspace.leave("dock", EVA).or_else(|_| workspace.join("dock", EVA)),
            3 => dice.pick(files).map_or(Ok(()), |file| workspace.delete_file(file)),
            _ => {
                let id = running.workspace().channels()[0].0.clone();
                workspace.rename_channel(&id, &format!("quay-{step}"))
            }
        },
    };
    let outcome = done.map_or_else(|refusal| refusal.0.to_owned(), |()| "done".to_owned());
    format!("{what} {channel} {at}/{ts} {user}: {outcome}")
}

/// Plays one schedule: changes and passes in turn, the last a full one.
async fn play(number: u64) {
    let mut dice = Dice::new(number);
    // One in eight has a channel of more than one page.
    let size = if number % 8 == 7 { 1100 } else { 12 };
    let running = sandbox::start(seed(size), sandbox::Options::default()).await.unwrap();
    let archive = TestArchive::new(&running.url);
    let account = account(&running).await;
    let mut log = Vec::new();
    let (mut comments, mut files) = (Vec::new(), vec!["plan".to_owned(), "list".to_owned()]);
    let mut step = 0;
    for _ in 0..3 + dice.below(4) {
        for _ in 0..dice.below(14) {
            step += 1;
            log.push(change(&mut dice, &running, &mut comments, &mut files, step));
        }
        let options = Options {
            full: dice.below(3) == 0,
            budget: (dice.below(4) == 0).then_some(Duration::ZERO),
            ..Options::default()
        };
        let polls = if dice.below(3) == 0 { dice.below(250) } else { usize::MAX };
        let outcome = archive.crawl_for(&account, &options, polls).await;
        log.push(format!("crawl full={} budget={:?}: {}", options.full, options.budget, outcome.is_some()));
        if let Some(outcome) = outcome {
            outcome.unwrap();
        }
    }
    archive.crawl(&account, &full()).await.unwrap();
    let context = format!("schedule {number}\n{}\n", log.join("\n"));
    assert_is_truth(&archive, &running, &account, &context).await;
    let again = archive.crawl(&account, &full()).await.unwrap();
    assert_eq!(again.records.added, 0, "{context}: {again:?}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_checkpoint_is_not_put_off_and_a_later_one_may_be() {
    let running = start().await;
    let archive = TestArchive::new(&running.url);
    let account = account(&running).await;
    // As the passes of a watch, which signs from time to time.
    let put_off = Options { checkpoint: false, ..Options::default() };
    archive.crawl(&account, &put_off).await.unwrap();
    let signed = || archive.reader().newest_checkpoint().unwrap().unwrap().0.size;
    let head = archive.reader().head().unwrap();
    assert_eq!(signed(), head);
    archive.check_records();

    let channel = running.workspace().channels()[0].0.clone();
    running.workspace().post(&channel, &running.username, "one more").unwrap();
    archive.crawl(&account, &put_off).await.unwrap();
    assert!(archive.reader().head().unwrap() > head);
    assert_eq!(signed(), head, "the watch signs this one");
    archive.check();
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_any_schedule_a_full_crawl_is_the_truth() {
    let mut failed = Vec::new();
    let local = tokio::task::LocalSet::new();
    for number in 0..SCHEDULES {
        // Each is a task of its own, so that one run tells of all that fail.
        if let Err(error) = local.run_until(async { tokio::task::spawn_local(play(number)).await }).await {
            failed.push(format!("schedule {number}: {error}"));
        }
    }
    assert!(failed.is_empty(), "{} of {SCHEDULES} schedules failed:\n{}", failed.len(), failed.join("\n"));
}
